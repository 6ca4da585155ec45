// SPDX-License-Identifier: BSD-3-Clause
// leatctl: asks a running process of Leat. See leatctl(1).
#include <errno.h>
#include <glob.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include "tools/blackbox/blackbox.h"

static const char usage_text[] =
    "usage: leatctl [-p PID | -s SOCKET] COMMAND ...\n"
    "  sysctl [-a] [-d] [-n] [NAME[=VALUE]...]   settings and counters; a NAME stands for all below it\n"
    "  blackbox list | mode MODE WHICH | id NAME WHICH | dump [-r REASON] WHICH | follow [-w FILE]\n"
    "  blackbox show [-S] [-e EVENT,...] [-t FROM[,TO]] [-i ID] FILE | summary FILE | html [-o PAGE] FILE\n"
    "           WHICH is -a, -i ID or LADDR LPORT FADDR FPORT; see leatctl(1)\n"
    "  ifconfig [IF [inet|inet6 ADDRESS/N [alias|delete] | up | down | mtu N]]\n"
    "  tls                                       what TLS can do here, and its sessions\n"
    "  netstat [-aLnWx] [-f inet|inet6] | -s [-p PROTOCOL] | -i [-I IF] | -r\n"
    "  sockstat [-46cilLnqsSC] [-p PORTS] [-P tcp]\n"
    "  tcpdrop [-l] LOCAL-ADDRESS LOCAL-PORT FOREIGN-ADDRESS FOREIGN-PORT | [-l] -a | [-l] [-C CC] [-S "
    "STACK] [-s STATE]\n"
    "  tcpsso -i ID | -a | [-C CC] [-S STACK] [-s STATE] | LADDR LPORT FADDR FPORT   [LEVEL] OPTION VALUE\n"
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

/* The request is one line of arguments with tabs between. */
static void send_request(int fd, int argc, char **argv)
{
    char *line = NULL;
    size_t len;
    FILE *f = open_memstream(&line, &len);
    for (int i = 0; f && i < argc; i++)
        fprintf(f, "%s%s", argv[i], i + 1 < argc ? "\t" : "\n");
    if (!f || fclose(f) != 0) {
        perror("leatctl");
        exit(1);
    }
    /* Who does not want to hear it has hung up: then no answer comes. */
    if (send(fd, line, len, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET) {
        perror("leatctl");
        exit(1);
    }
    free(line);
}

/* The answer's first line; the rest must stay unread, for it may be a stream. -1: none came. */
static int read_status(int fd)
{
    char text[16] = "";
    for (size_t n = 0; n < sizeof(text) - 1 && read(fd, text + n, 1) == 1; n++)
        if (text[n] == '\n')
            return atoi(text);
    return -1;
}

/* What comes is passed on at once, until the end. */
static void pass_on(int fd, FILE *out)
{
    char buf[65536];
    for (ssize_t n; (n = read(fd, buf, sizeof(buf))) > 0;)
        if (fwrite(buf, 1, (size_t)n, out) != (size_t)n || fflush(out) != 0)
            return;
}

/* "blackbox follow -w FILE": where to. The -w and its FILE are taken out. */
static FILE *output_file(int *argc, char **argv)
{
    bool follow = *argc > 1 && strcmp(argv[0], "blackbox") == 0 && strcmp(argv[1], "follow") == 0;
    if (follow && *argc == 2 && isatty(STDOUT_FILENO)) {
        fputs("leatctl: blackbox follow: this is pcapng, not for a terminal; say -w FILE, or pipe it\n",
              stderr);
        exit(2);
    }
    if (!follow || *argc != 4 || strcmp(argv[2], "-w") != 0)
        return stdout;
    FILE *f = strcmp(argv[3], "-") == 0 ? stdout : fopen(argv[3], "w");
    if (!f) {
        fprintf(stderr, "leatctl: %s: %s\n", argv[3], strerror(errno));
        exit(1);
    }
    *argc = 2;
    return f;
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
    if (optind + 1 < argc && strcmp(argv[optind], "blackbox") == 0 && blackbox_reads(argv[optind + 1]))
        return blackbox_read_command(argc - optind - 1, argv + optind + 1);
    if (!path[0])
        find_socket(path, sizeof(path), pid);
    argc -= optind;
    argv += optind;
    FILE *out = output_file(&argc, argv);
    int fd = ask(path);
    send_request(fd, argc, argv);
    int status = read_status(fd);
    if (status < 0) {
        fprintf(stderr, "leatctl: %s: no answer (not your process, or it is going)\n", path);
        return 1;
    }
    pass_on(fd, status ? stderr : out);
    return status;
}
