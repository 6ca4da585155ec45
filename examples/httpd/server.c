// SPDX-License-Identifier: BSD-3-Clause
// Listening, events and time-outs of one engine.
#include "httpd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <leat/sysctl.h>

#define ACCEPT_BATCH 64
#define EVENT_BATCH  256

/* Requests may come with the SYN: what this server does may be done twice (RFC 7413 §6.1). */
static int fastopen(int fd, const struct options *opt)
{
    int on = 1;
    socklen_t len = opt->fastopen_psk ? sizeof(opt->fastopen) : sizeof(int);
    if (!opt->fastopen.enable)
        return 0;
    if (leat_sysctlbyname("net.inet.tcp.fastopen.server_enable", NULL, NULL, &on, sizeof(on)) < 0)
        return -1;
    return leat_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &opt->fastopen, len);
}

/* What an event's pointer refers to: one of the two listeners, or a connection. */
static int listener_open(struct server *s, int family, void *tag)
{
    int fd = leat_socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    leat_setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(s->opt->port)};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(s->opt->port)};
    if (family == AF_INET6)
        leat_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    const struct sockaddr *addr = family == AF_INET ? (struct sockaddr *)&a4 : (struct sockaddr *)&a6;
    socklen_t len = family == AF_INET ? sizeof(a4) : sizeof(a6);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = tag};
    if (leat_bind(fd, addr, len) < 0 || leat_listen(fd, 4096) < 0 || fastopen(fd, s->opt) < 0 ||
        leat_epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        int err = errno;
        leat_close(fd);
        errno = err;
        return -1;
    }
    return fd;
}

int server_open(struct server *s, const struct options *opt)
{
    s->opt = opt;
    TAILQ_INIT(&s->conns);
    s->listen4 = s->listen6 = s->epfd = -1;
    s->root = open(opt->root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0) {
        fprintf(stderr, "httpd: --root %s: %s\n", opt->root, strerror(errno));
        return -1;
    }
    if (!files_init(&s->files, opt->trust_ms))
        goto fail;
    if (opt->log_path && !(s->log = log_open(opt->log_path))) {
        fprintf(stderr, "httpd: --access-log %s: %s\n", opt->log_path, strerror(errno));
        goto fail;
    }
    s->epfd = leat_epoll_create1(0);
    s->listen4 = s->epfd < 0 ? -1 : listener_open(s, AF_INET, &s->listen4);
    s->listen6 = s->listen4 < 0 ? -1 : listener_open(s, AF_INET6, &s->listen6);
    if (s->listen6 >= 0)
        return 0;
    fprintf(stderr, "httpd: port %u: %s\n", opt->port, strerror(errno));
fail:
    server_close(s);
    return -1;
}

static void server_accept(struct server *s, int listener)
{
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        struct sockaddr_storage addr;
        socklen_t len = sizeof(addr);
        int fd = leat_accept4(listener, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK);
        if (fd < 0)
            return;
        if (s->n_conns >= s->opt->max_conns)
            leat_close(fd);
        else
            conn_open(s, fd, (struct sockaddr *)&addr);
    }
}

static void server_sweep(struct server *s)
{
    uint64_t now = leat_now();
    if (now < s->next_sweep)
        return;
    s->next_sweep = now + NS_PER_SECOND / 4;
    struct conn *c, *next;
    for (c = TAILQ_FIRST(&s->conns); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->deadline <= now)
            conn_timeout(c);
        else if (c->starved)
            conn_run(c);
    }
    if (s->log)
        log_flush(s->log);
}

int server_turn(struct server *s)
{
    struct epoll_event ev[EVENT_BATCH];
    int n = leat_epoll_wait(s->epfd, ev, EVENT_BATCH, 0);
    for (int i = 0; i < n; i++) {
        void *tag = ev[i].data.ptr;
        if (tag == &s->listen4 || tag == &s->listen6)
            server_accept(s, *(int *)tag);
        else
            conn_run(tag);
    }
    server_sweep(s);
    return n;
}

static void listener_close(int *fd)
{
    if (*fd >= 0)
        leat_close(*fd);
    *fd = -1;
}

void server_drain(struct server *s)
{
    s->draining = true;
    s->drain_deadline = leat_now() + s->opt->grace_s * NS_PER_SECOND;
    listener_close(&s->listen4);
    listener_close(&s->listen6);
    struct conn *c, *next;
    for (c = TAILQ_FIRST(&s->conns); c; c = next) {
        next = TAILQ_NEXT(c, link);
        if (c->state == CONN_READING && c->in_len == c->in_used && c->req.head_bytes == 0)
            conn_close(c);
    }
}

bool server_drained(struct server *s)
{
    return TAILQ_EMPTY(&s->conns) || leat_now() >= s->drain_deadline;
}

void server_close(struct server *s)
{
    while (!TAILQ_EMPTY(&s->conns))
        conn_close(TAILQ_FIRST(&s->conns));
    files_fini(&s->files);
    listener_close(&s->listen4);
    listener_close(&s->listen6);
    listener_close(&s->epfd);
    if (s->log)
        log_close(s->log);
    s->log = NULL;
    if (s->root >= 0)
        close(s->root);
    s->root = -1;
}
