// SPDX-License-Identifier: BSD-3-Clause
// What Fast Open saves: one HTTP request without it, one that asks for a cookie, and one that goes with the SYN.
// usage: fastopen [leat options] -- [EAL options] -- [--psk=FILE] ADDRESS PORT [PATH]
//   --psk=FILE   proves the possession of the key, the first line of FILE as 32 hexadecimal digits
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include <leat/tcp.h>
#include "psk.h"

static const char usage[] =
    "usage: fastopen [leat options] -- [EAL options] -- [--psk=FILE] ADDRESS PORT [PATH]\n";
static struct leat_tcp_fastopen option = {.enable = 1};
static socklen_t option_len = sizeof(int); /* all of it with a key */
static struct sockaddr_storage to;
static socklen_t to_len;
static char request[1024];
static int status = 1;

static int target(const char *address, const char *port, const char *path)
{
    struct sockaddr_in *in = (struct sockaddr_in *)&to;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&to;
    in->sin_port = in6->sin6_port = htons((uint16_t)atoi(port)); /* at the same place */
    if (inet_pton(AF_INET, address, &in->sin_addr) == 1) {
        to.ss_family = AF_INET;
        to_len = sizeof(*in);
    } else if (inet_pton(AF_INET6, address, &in6->sin6_addr) == 1) {
        to.ss_family = AF_INET6;
        to_len = sizeof(*in6);
    } else {
        return -1;
    }
    int n = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: leat\r\n\r\n", path);
    return n > 0 && (size_t)n < sizeof(request) ? 0 : -1;
}

/* Connects and sends; with Fast Open in one call. */
static int send_request(int fd, bool fast)
{
    if (fast && leat_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &option, option_len) < 0)
        return -1;
    if (!fast && leat_connect(fd, (struct sockaddr *)&to, to_len) < 0)
        return -1;
    ssize_t len = (ssize_t)strlen(request);
    ssize_t n = fast ? leat_sendto(fd, request, (size_t)len, 0, (struct sockaddr *)&to, to_len)
                     : leat_send(fd, request, (size_t)len, MSG_NOSIGNAL);
    return n == len ? 0 : -1;
}

static int ask(const char *what, bool fast)
{
    char buf[4096];
    struct leat_tcp_info info;
    socklen_t len = sizeof(info);
    int fd = leat_socket(to.ss_family, SOCK_STREAM, 0);
    uint64_t begin = leat_now();
    if (fd < 0 || send_request(fd, fast) < 0) {
        fprintf(stderr, "fastopen: %s: %s\n", what, strerror(errno));
        return -1;
    }
    ssize_t n = leat_read(fd, buf, sizeof(buf));
    double ms = (double)(leat_now() - begin) / 1e6;
    if (n <= 0) {
        fprintf(stderr, "fastopen: %s: %s\n", what, n < 0 ? strerror(errno) : "no answer");
        leat_close(fd);
        return -1;
    }
    bool taken = leat_getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
                 (info.tcpi_options & LEAT_TCPI_OPT_TFO);
    printf("%-28s first byte after %8.3f ms   data in the SYN: %s\n", what, ms, taken ? "taken" : "no");
    while (n > 0)
        n = leat_read(fd, buf, sizeof(buf));
    leat_close(fd);
    return 0;
}

static int loop(void *arg)
{
    if (ask("without", false) == 0 && ask("with, asking for a cookie", true) == 0 &&
        ask("with the cookie", true) == 0)
        status = 0;
    fflush(stdout);
    leat_stop();
    return 0;
}

/* "--psk=FILE". False: it is another word. */
static bool read_psk(const char *arg)
{
    if (strncmp(arg, "--psk=", 6) != 0)
        return false;
    const char *wrong = psk_read(arg + 6, option.psk);
    if (wrong) {
        fprintf(stderr, "fastopen: %s: %s\n", arg, wrong);
        exit(2);
    }
    option_len = sizeof(option);
    return true;
}

int main(int argc, char **argv)
{
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    argc -= used;
    argv += used;
    if (argc > 1 && read_psk(argv[1])) {
        argc--;
        argv++;
    }
    if (argc < 3 || argc > 4 || target(argv[1], argv[2], argc == 4 ? argv[3] : "/") < 0) {
        fputs(usage, stderr);
        return 2;
    }
    leat_run(loop, NULL);
    leat_fini();
    return status;
}
