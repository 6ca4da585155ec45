// SPDX-License-Identifier: BSD-3-Clause
// What sockets answer (stage.h) to those who wait for them: epoll, poll, low-water marks.
#include "stage.h"

static void told_wait(const char *step, int ep)
{
    struct epoll_event ev[8];
    int n = NET(epoll_wait)(ep, ev, 8, 0);
    if (n <= 0)
        told(step, n);
    else
        told_events(step, ev[0].events);
}

static int watch(int ep, int op, int fd, uint32_t events)
{
    struct epoll_event ev = {.events = events, .data.fd = fd};
    return NET(epoll_ctl)(ep, op, fd, &ev);
}

static void epoll_errors(void)
{
    side(CLIENT);
    int ep = NET(epoll_create1)(0), fd = tcp(AF_INET);
    struct epoll_event ev[4];
    TRY("create of 0", NET(epoll_create)(0));
    TRY("create1 with an unknown flag", NET(epoll_create1)(1));
    TRY("add", watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
    TRY("add again", watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN));
    TRY("mod", watch(ep, EPOLL_CTL_MOD, fd, EPOLLOUT));
    TRY("del", watch(ep, EPOLL_CTL_DEL, fd, 0));
    TRY("del again", watch(ep, EPOLL_CTL_DEL, fd, 0));
    TRY("mod of nothing", watch(ep, EPOLL_CTL_MOD, fd, EPOLLIN));
    TRY("unknown operation", watch(ep, 77, fd, EPOLLIN));
    TRY("itself", watch(ep, EPOLL_CTL_ADD, ep, EPOLLIN));
    TRY("bad descriptor", watch(ep, EPOLL_CTL_ADD, 987654, EPOLLIN));
    TRY("of no epoll", watch(fd, EPOLL_CTL_ADD, ep, EPOLLIN));
    TRY("no room", NET(epoll_wait)(ep, ev, 0, 0));
    TRY("negative room", NET(epoll_wait)(ep, ev, negative, 0));
    TRY("wait of no epoll", NET(epoll_wait)(fd, ev, 4, 0));
    TRY("nothing there", NET(epoll_wait)(ep, ev, 4, 0));
    watch(ep, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLOUT);
    told_wait("a fresh socket", ep);
    NET(close)(fd);
    told_wait("closed is forgotten", ep);
    TRY("read", NET(read)(ep, ev, 1));
    NET(close)(ep);
}

static void epoll_level(void)
{
    struct ends e = connected();
    char buf[8];
    side(SERVER);
    int ep = NET(epoll_create1)(0);
    watch(ep, EPOLL_CTL_ADD, e.s, EPOLLIN);
    told_wait("nothing", ep);
    side(CLIENT);
    NET(write)(e.c, "abcd", 4);
    settle();
    side(SERVER);
    told_wait("data", ep);
    told_wait("still", ep);
    NET(read)(e.s, buf, 2);
    told_wait("half is read", ep);
    NET(read)(e.s, buf, 2);
    told_wait("all is read", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLOUT);
    told_wait("space", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, 0);
    told_wait("asked for nothing", ep);
    side(CLIENT);
    NET(shutdown)(e.c, SHUT_WR);
    settle();
    side(SERVER);
    told_wait("nothing of a half close", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLRDHUP);
    told_wait("half close", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLIN | EPOLLRDHUP | EPOLLOUT);
    told_wait("all of it", ep);
    NET(close)(ep);
    disconnect(e);
}

static void epoll_edge(void)
{
    struct ends e = connected();
    char buf[8];
    side(SERVER);
    int ep = NET(epoll_create1)(0);
    watch(ep, EPOLL_CTL_ADD, e.s, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    told_wait("at first", ep);
    told_wait("then", ep);
    side(CLIENT);
    NET(write)(e.c, "abcd", 4);
    settle();
    side(SERVER);
    told_wait("data", ep);
    told_wait("not again", ep);
    NET(read)(e.s, buf, 2);
    told_wait("half is read", ep);
    side(CLIENT);
    NET(write)(e.c, "ef", 2);
    settle();
    side(SERVER);
    told_wait("more data", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLIN | EPOLLET);
    told_wait("mod tells again", ep);
    told_wait("once", ep);
    side(CLIENT);
    NET(close)(e.c);
    e.c = -1;
    settle();
    side(SERVER);
    told_wait("closed", ep);
    told_wait("told once", ep);
    NET(close)(ep);
    disconnect(e);
}

static void epoll_oneshot(void)
{
    struct ends e = connected();
    side(SERVER);
    int ep = NET(epoll_create1)(0);
    watch(ep, EPOLL_CTL_ADD, e.s, EPOLLIN | EPOLLONESHOT);
    side(CLIENT);
    NET(write)(e.c, "ab", 2);
    settle();
    side(SERVER);
    told_wait("first", ep);
    told_wait("disarmed", ep);
    side(CLIENT);
    NET(write)(e.c, "cd", 2);
    settle();
    side(SERVER);
    told_wait("more data, disarmed", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLIN | EPOLLONESHOT);
    told_wait("armed again", ep);
    side(CLIENT);
    reset(e.c);
    e.c = -1;
    settle();
    side(SERVER);
    told_wait("reset, disarmed", ep);
    watch(ep, EPOLL_CTL_MOD, e.s, EPOLLIN | EPOLLONESHOT);
    told_wait("reset, armed", ep);
    NET(close)(ep);
    disconnect(e);
}

static void epoll_nested(void)
{
    struct ends e = connected();
    side(SERVER);
    int inner = NET(epoll_create1)(0), outer = NET(epoll_create1)(0);
    TRY("inner", watch(inner, EPOLL_CTL_ADD, e.s, EPOLLIN));
    TRY("outer", watch(outer, EPOLL_CTL_ADD, inner, EPOLLIN));
    TRY("a ring", watch(inner, EPOLL_CTL_ADD, outer, EPOLLIN));
    told_wait("nothing", outer);
    side(CLIENT);
    NET(write)(e.c, "ab", 2);
    settle();
    side(SERVER);
    told_wait("through the outer", outer);
    told_poll("poll of an epoll", inner);
    told_wait("at the inner", inner);
    NET(close)(inner);
    told_wait("the inner closed", outer);
    NET(close)(outer);
    disconnect(e);
}

static void polling(void)
{
    struct ends e = connected();
    side(SERVER);
    struct pollfd p[3] = {
        {.fd = e.s, .events = POLLIN}, {.fd = -5, .events = POLLIN}, {.fd = 987654, .events = POLLIN}};
    TRY("count", NET(poll)(p, 3, 0));
    told_events("connection", (uint32_t)p[0].revents);
    told_events("negative", (uint32_t)p[1].revents);
    told_events("not open", (uint32_t)p[2].revents);
    TRY("nobody", NET(poll)(NULL, 0, 0));
    disconnect(e);
}

static void low_water(void)
{
    struct ends e = connected();
    int v = 4;
    side(SERVER);
    NET(setsockopt)(e.s, SOL_SOCKET, SO_RCVLOWAT, &v, sizeof(v));
    side(CLIENT);
    NET(write)(e.c, "abc", 3);
    settle();
    side(SERVER);
    told_poll("under the mark", e.s);
    side(CLIENT);
    NET(write)(e.c, "d", 1);
    settle();
    side(SERVER);
    told_poll("at the mark", e.s);
    side(CLIENT);
    NET(shutdown)(e.c, SHUT_WR);
    settle();
    char buf[8];
    side(SERVER);
    NET(read)(e.s, buf, 3);
    told_poll("under it at the end", e.s);
    disconnect(e);
}

static const struct scenario scenarios[] = {
    {"epoll errors", epoll_errors},   {"epoll level", epoll_level},   {"epoll edge", epoll_edge},
    {"epoll oneshot", epoll_oneshot}, {"epoll nested", epoll_nested}, {"polling", polling},
    {"low water", low_water},
};

int main(void)
{
    play(scenarios, sizeof(scenarios) / sizeof(scenarios[0]));
    return 0;
}
