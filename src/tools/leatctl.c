// SPDX-License-Identifier: BSD-3-Clause
// leatctl: asks a running process of Leat. See leatctl(1).
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char usage_text[] =
    "usage: leatctl [-p PID | -s SOCKET] COMMAND ...\n"
    "  sysctl [-a] [-d] [-n] [NAME[=VALUE]...]   settings and counters; a NAME stands for all below it\n"
    "  ifconfig [IF [inet|inet6 ADDRESS/N [alias|delete] | up | down | mtu N]]\n"
    "Without -p or -s: the one process that runs. Its socket is in $XDG_RUNTIME_DIR or /tmp, or where its "
    "configuration says.\n";

static void usage(int status)
{
    fputs(usage_text, status ? stderr : stdout);
    exit(status);
}

static void find_socket(char *path, size_t size, const char *pid)
{
    const char *dir = getenv("XDG_RUNTIME_DIR");
    char pattern[256];
    glob_t g;
    int flags = 0;
    for (int i = 0; i < 2; i++) {
        snprintf(pattern, sizeof(pattern), "%s/leat.%s.sock", i == 0 && dir && *dir ? dir : "/tmp",
                 pid ? pid : "*");
        if (glob(pattern, flags, NULL, &g) == GLOB_NOSPACE)
            exit(1);
        flags = GLOB_APPEND;
        if (!dir || !*dir || strcmp(dir, "/tmp") == 0)
            break;
    }
    if (g.gl_pathc == 1) {
        snprintf(path, size, "%s", g.gl_pathv[0]);
        globfree(&g);
        return;
    }
    fprintf(stderr, g.gl_pathc == 0 ? "leatctl: no process of Leat is found; say which with -s SOCKET\n"
                                    : "leatctl: several processes run; say which with -p PID:\n");
    for (size_t i = 0; i < g.gl_pathc; i++)
        fprintf(stderr, "  %s\n", g.gl_pathv[i]);
    exit(1);
}

static int ask(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct ucred who;
    socklen_t len = sizeof(who);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(path) >= sizeof(un.sun_path)) {
        fprintf(stderr, "leatctl: %s: longer than %zu characters\n", path, sizeof(un.sun_path) - 1);
        exit(1);
    }
    strcpy(un.sun_path, path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&un, sizeof(un)) < 0) {
        fprintf(stderr, "leatctl: %s: %s\n", path, strerror(errno));
        exit(1);
    }
    /* In /tmp anybody could wait under that name. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) < 0 ||
        (who.uid != geteuid() && who.uid != 0 && geteuid() != 0)) {
        fprintf(stderr, "leatctl: %s: another user's process listens there\n", path);
        exit(1);
    }
    return fd;
}

int main(int argc, char **argv)
{
    char path[256] = "";
    const char *pid = NULL;
    int c;
    while ((c = getopt(argc, argv, "+hp:s:")) != -1) {
        switch (c) {
        case 'p':
            pid = optarg;
            break;
        case 's':
            snprintf(path, sizeof(path), "%s", optarg);
            break;
        case 'h':
            usage(0);
            break;
        default:
            usage(2);
        }
    }
    if (optind < argc && strcmp(argv[optind], "--help") == 0)
        usage(0);
    if (optind == argc)
        usage(2);
    if (!path[0])
        find_socket(path, sizeof(path), pid);
    FILE *f = fdopen(ask(path), "r+");
    for (int i = optind; i < argc; i++)
        fprintf(f, "%s%s", argv[i], i + 1 < argc ? "\t" : "\n");
    fflush(f);
    int status;
    if (fscanf(f, "%d", &status) != 1 || fgetc(f) != '\n') {
        fprintf(stderr, "leatctl: %s: no answer (not your process, or it is going)\n", path);
        return 1;
    }
    FILE *out = status ? stderr : stdout;
    while ((c = fgetc(f)) != EOF)
        fputc(c, out);
    return status;
}
