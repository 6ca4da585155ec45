// SPDX-License-Identifier: BSD-3-Clause
// TCP echo (RFC 862) on every engine, with epoll. usage: echo [leat options] -- [EAL options] -- [port [peer password]...]
// A peer with a password (an address, IPv4 or IPv6) must sign its segments with TCP-MD5 (RFC 2385).
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <leat/event.h>
#include <leat/leat.h>

#define CHUNK 65536

/* What came and has not gone back yet. */
struct session {
    int fd;
    size_t len, sent;
    bool eof;
    char buf[CHUNK];
};

static uint16_t port = 7;
static char **passwords; /* peer, password, peer, ... NULL */
static __thread int epfd, listener;

/* -1 with errno: EINVAL: not an address. */
static int password_set(const char *peer, const char *password)
{
    struct tcp_md5sig key = {.tcpm_keylen = (uint16_t)strlen(password)};
    struct sockaddr_in6 *in = (struct sockaddr_in6 *)&key.tcpm_addr;
    char mapped[64];
    snprintf(mapped, sizeof(mapped), strchr(peer, ':') ? "%s" : "::ffff:%s", peer);
    in->sin6_family = AF_INET6;
    errno = EINVAL;
    if (key.tcpm_keylen > sizeof(key.tcpm_key) || inet_pton(AF_INET6, mapped, &in->sin6_addr) != 1)
        return -1;
    memcpy(key.tcpm_key, password, key.tcpm_keylen);
    return leat_setsockopt(listener, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key));
}

static int start(void *arg)
{
    int on = 0;
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    epfd = leat_epoll_create1(0);
    listener = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)); /* IPv4 too */
    if (leat_bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || leat_listen(listener, 1024) < 0 ||
        leat_epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) < 0) {
        fprintf(stderr, "echo: port %u: %s\n", port, strerror(errno));
        return -1;
    }
    for (char **p = passwords; p && p[0] && p[1]; p += 2) {
        if (password_set(p[0], p[1]) < 0) {
            fprintf(stderr, "echo: password of %s: %s\n", p[0], strerror(errno));
            return -1;
        }
    }
    return 0;
}

static void session_open(int fd)
{
    struct session *s = malloc(sizeof(*s));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
    if (!s || leat_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        free(s);
        leat_close(fd);
        return;
    }
    s->fd = fd;
    s->len = s->sent = 0;
    s->eof = false;
} // NOLINT(clang-analyzer-unix.Malloc): the epoll item holds it

/* 1: something moved; 0: nothing to do now; -1: over. */
static int session_step(struct session *s)
{
    if (s->sent < s->len) {
        ssize_t n = leat_send(s->fd, s->buf + s->sent, s->len - s->sent, MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN ? 0 : -1;
        s->sent += (size_t)n;
        return 1;
    }
    if (s->eof)
        return -1;
    ssize_t n = leat_read(s->fd, s->buf, sizeof(s->buf));
    if (n < 0)
        return errno == EAGAIN ? 0 : -1;
    s->eof = n == 0;
    s->len = (size_t)n;
    s->sent = 0;
    return 1;
}

static int loop(void *arg)
{
    struct epoll_event ev[64];
    int n = leat_epoll_wait(epfd, ev, 64, 0);
    for (int i = 0; i < n; i++) {
        struct session *s = ev[i].data.ptr;
        int fd, moved;
        if (!s) {
            while ((fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                session_open(fd);
            continue;
        }
        while ((moved = session_step(s)) > 0)
            ;
        if (moved < 0) {
            leat_close(s->fd);
            free(s);
        }
    }
    return 0;
}

/* leat_stop() only sets a flag. */
static void on_signal(int sig)
{
    leat_stop(); // NOLINT(bugprone-signal-handler)
}

int main(int argc, char **argv)
{
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    if (argc - used > 1)
        port = (uint16_t)atoi(argv[used + 1]);
    if (argc - used > 2)
        passwords = argv + used + 2;
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    leat_on_start(start, NULL);
    int err = leat_run(loop, NULL);
    leat_fini();
    return err < 0;
}
