// SPDX-License-Identifier: BSD-3-Clause
// Standard input to a TCP port, and what comes back to standard output:
//   pipe [leat options -- EAL options --] ADDRESS PORT
// The connection is opened when all of the input is there. At the end of the stream standard output is closed; the program goes on
// until it is killed, so that it can be asked what it has counted.
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <leat/leat.h>

#define CHUNK 65536

static char *input, buf[CHUNK];
static size_t len, sent;
static bool shut, ended;
static int fd;

static void die(const char *what)
{
    fprintf(stderr, "pipe: %s: %s\n", what, strerror(errno));
    exit(1);
}

static bool later(void)
{
    return errno == EAGAIN || errno == ENOTCONN || errno == EINPROGRESS;
}

static void input_read(void)
{
    ssize_t n;
    do {
        input = realloc(input, len + CHUNK);
        n = input ? read(STDIN_FILENO, input + len, CHUNK) : -1;
        if (n < 0)
            die("input");
        len += (size_t)n;
    } while (n > 0);
}

static void send_some(void)
{
    while (sent < len) {
        ssize_t n = leat_send(fd, input + sent, len - sent, MSG_NOSIGNAL);
        if (n < 0 && !later())
            die("send");
        if (n < 0)
            return;
        sent += (size_t)n;
    }
    if (!shut && leat_shutdown(fd, SHUT_WR) < 0)
        die("shutdown");
    shut = true;
}

static void read_some(void)
{
    ssize_t n;
    while ((n = leat_read(fd, buf, sizeof(buf))) > 0)
        if (fwrite(buf, 1, (size_t)n, stdout) != (size_t)n)
            die("output");
    if (n < 0 && !later())
        die("read");
    if (n == 0 && fclose(stdout) != 0)
        die("output");
    ended = n == 0;
}

static int loop(void *arg)
{
    if (!ended)
        send_some();
    if (!ended)
        read_some();
    return 0;
}

int main(int argc, char **argv)
{
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    argc -= used;
    argv += used;
    struct sockaddr_in6 to = {.sin6_family = AF_INET6};
    char mapped[64];
    snprintf(mapped, sizeof(mapped), argc > 1 && strchr(argv[1], ':') ? "%s" : "::ffff:%s",
             argc > 1 ? argv[1] : "");
    if (argc != 3 || inet_pton(AF_INET6, mapped, &to.sin6_addr) != 1) {
        fprintf(stderr, "usage: pipe ADDRESS PORT\n");
        return 2;
    }
    to.sin6_port = htons((uint16_t)atoi(argv[2]));
    input_read();
    fd = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || (leat_connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
        die("connect");
    return leat_run(loop, NULL) < 0;
}
