// SPDX-License-Identifier: BSD-3-Clause
// The socket of leatctl. A request is one line of arguments with tabs between; the answer is the exit status in one line, then text until
// the end of the stream. One request at a time: this is for people.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/alloc.h"
#include "process/tool.h"

#define LINE_MAX_BYTES 4096
#define CLIENT_WAIT_MS 2000

struct tool_socket {
    struct process *p;
    int fd, wake[2];
    pthread_t thread;
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
};

static const struct tool_command commands[] = {
    {"blackbox", tool_blackbox, tool_blackbox_stream},
    {"ifconfig", tool_ifconfig, NULL},
    {"netstat", tool_netstat, NULL},
    {"sockstat", tool_sockstat, NULL},
    {"sysctl", tool_sysctl, NULL},
    {"tcpdrop", tool_tcpdrop, NULL},
    {"tcpsso", tool_tcpsso, NULL},
    {"tls", tool_tls, NULL},
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct tool_command *find(const char *name)
{
    for (unsigned i = 0; i < N_COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return &commands[i];
    return NULL;
}

static int unknown(const char *name, FILE *out)
{
    fprintf(out, "\"%s\": no such command; expected", name);
    for (unsigned i = 0; i < N_COMMANDS; i++)
        fprintf(out, "%s %s", i ? "," : "", commands[i].name);
    fprintf(out, "\n");
    return 2;
}

static int split(char *line, char **argv)
{
    int argc = 0;
    for (char *save, *a = strtok_r(line, "\t", &save); a && argc < TOOL_ARGS_MAX;
         a = strtok_r(NULL, "\t", &save))
        argv[argc++] = a;
    return argc;
}

/* Only the user who runs the process: the file's mode says so too, but not on every file system. */
static bool same_user(int fd)
{
    struct ucred who;
    socklen_t len = sizeof(who);
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 && (who.uid == geteuid() || who.uid == 0);
}

/* The line without its end; false: too long, too slow or broken off. */
static bool read_line(int fd, char *line)
{
    size_t have = 0;
    while (have < LINE_MAX_BYTES - 1) {
        struct pollfd pfd = {fd, POLLIN, 0};
        if (poll(&pfd, 1, CLIENT_WAIT_MS) <= 0)
            return false;
        ssize_t n = read(fd, line + have, LINE_MAX_BYTES - 1 - have);
        if (n <= 0)
            return false;
        have += (size_t)n;
        line[have] = 0;
        char *end = strchr(line, '\n');
        if (end) {
            *end = 0;
            return true;
        }
    }
    return false;
}

static void write_all(int fd, const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void serve(struct tool_socket *t, int fd)
{
    char line[LINE_MAX_BYTES], *argv[TOOL_ARGS_MAX + 1], *text = NULL, status[16];
    size_t len;
    if (!same_user(fd) || !read_line(fd, line))
        return;
    int argc = split(line, argv);
    const struct tool_command *c = argc > 0 ? find(argv[0]) : NULL;
    if (c && c->stream && c->stream(t->p, argc, argv, fd))
        return;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return;
    int code = c ? c->run(t->p, argc, argv, out) : unknown(argc > 0 ? argv[0] : "", out);
    fclose(out);
    snprintf(status, sizeof(status), "%d\n", code);
    write_all(fd, status, strlen(status));
    write_all(fd, text, len);
    free(text);
}

static void *tool_main(void *arg)
{
    struct tool_socket *t = arg;
    struct pollfd pfd[2] = {{t->fd, POLLIN, 0}, {t->wake[0], POLLIN, 0}};
    while (poll(pfd, 2, -1) >= 0 || errno == EINTR) {
        if (pfd[1].revents)
            break;
        int fd = pfd[0].revents ? accept4(t->fd, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd < 0)
            continue;
        struct timeval tv = {.tv_sec = CLIENT_WAIT_MS / 1000};
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
        serve(t, fd);
        close(fd);
    }
    return NULL;
}

static void default_path(char *path, size_t size)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    snprintf(path, size, "%s/leat.%d.sock", dir && *dir ? dir : "/tmp", (int)getpid());
}

/* Does a process answer there? */
static bool in_use(const struct sockaddr_un *un)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool used = fd >= 0 && (connect(fd, (const struct sockaddr *)un, sizeof(*un)) == 0 || errno == EAGAIN);
    if (fd >= 0)
        close(fd);
    return used;
}

static int bind_path(struct tool_socket *t)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct stat st;
    snprintf(un.sun_path, sizeof(un.sun_path), "%s", t->path);
    /* What an earlier process left behind goes; a socket in use, and anything but a socket, stays. */
    if (lstat(t->path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        if (in_use(&un))
            return -EADDRINUSE;
        unlink(t->path);
    }
    t->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (t->fd < 0)
        return -errno;
    mode_t before = umask(0177);
    int rc = bind(t->fd, (struct sockaddr *)&un, sizeof(un)) < 0 ? -errno : 0;
    umask(before);
    if (!rc && listen(t->fd, 8) < 0)
        rc = -errno;
    return rc;
}

struct tool_socket *tool_socket_open(struct process *p, const char *path)
{
    struct tool_socket *t = mem_alloc(sizeof(*t));
    int rc = -ENOMEM;
    if (!t)
        goto out;
    t->p = p;
    t->fd = -1;
    if (path && strlen(path) >= sizeof(t->path)) {
        rc = -ENAMETOOLONG;
        goto out;
    }
    if (path)
        snprintf(t->path, sizeof(t->path), "%s", path);
    else
        default_path(t->path, sizeof(t->path));
    rc = pipe2(t->wake, O_CLOEXEC) < 0 ? -errno : 0;
    if (rc)
        goto out;
    rc = bind_path(t);
    if (!rc)
        rc = -pthread_create(&t->thread, NULL, tool_main, t);
    if (!rc)
        return t;
    close(t->wake[0]);
    close(t->wake[1]);
    if (t->fd >= 0)
        close(t->fd);
out:
    mem_free(t);
    errno = -rc;
    return NULL;
}

void tool_socket_close(struct tool_socket *t)
{
    if (!t)
        return;
    if (write(t->wake[1], "", 1) == 1)
        pthread_join(t->thread, NULL);
    close(t->wake[0]);
    close(t->wake[1]);
    close(t->fd);
    unlink(t->path);
    mem_free(t);
}
