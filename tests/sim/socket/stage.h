// SPDX-License-Identifier: BSD-3-Clause
// The stage of scenarios: what sockets answer, told as a trace on standard output: "scenario: step = result". Each file of scenarios is built
// twice: over Leat, between two simulated hosts, and (SCENARIOS_KERNEL) over this kernel's sockets on the loopback of a network namespace of its
// own. compare.py holds the traces against each other; deliberate differences stand in docs/sockets.md.
#pragma once
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#ifdef SCENARIOS_KERNEL
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#define NET(name) name
enum side { CLIENT, SERVER };
static const char server4[] = "127.0.0.1", server6[] = "::1";
static void side(enum side s)
{
}
static void settle(void)
{
    usleep(10000);
}
static void world(void)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
        perror("unshare");
        exit(77);
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    if (ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
        perror("lo");
    close(fd);
}
static void end_of_world(void)
{
}
#else
#include <leat/event.h>
#include <leat/leat.h>
#include "port/sim/sim.h"
#define NET(name) leat_##name
enum side { CLIENT, SERVER };
static const char server4[] = "10.0.0.2", server6[] = "fd00::2";
static struct sim *sim;
static struct sim_node *node[2];
static void side(enum side s)
{
    sim_enter(node[s]);
}
static void settle(void)
{
    sim_run_for(sim, 100 * NS_PER_MS);
}
static void world(void)
{
    if (sim_eal_init(256) < 0 || !(sim = sim_create(1)))
        exit(1);
    node[CLIENT] = sim_host(sim, "client");
    node[SERVER] = sim_host(sim, "server");
    struct sim_link *l = sim_link(sim, node[CLIENT], node[SERVER], NULL);
    sim_addr(l, node[CLIENT], "10.0.0.1/24");
    sim_addr(l, node[SERVER], "10.0.0.2/24");
    sim_addr(l, node[CLIENT], "fd00::1/64");
    sim_addr(l, node[SERVER], "fd00::2/64");
}
static void end_of_world(void)
{
    int64_t lost = sim_destroy(sim);
    if (lost)
        fprintf(stderr, "scenarios: %lld buffers did not come back\n", (long long)lost);
    exit(lost != 0);
}
#endif

/* ---- the trace ---- */

static const char *scenario;

static long told(const char *step, long v)
{
    if (v == -1)
        printf("%s: %s = %s\n", scenario, step, strerrorname_np(errno));
    else
        printf("%s: %s = %ld\n", scenario, step, v);
    return v;
}
#define TRY(step, expr) (errno = 0, told(step, (long)(expr)))

static void told_events(const char *step, uint32_t ev)
{
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {{EPOLLIN, " IN"},   {EPOLLOUT, " OUT"}, {EPOLLRDHUP, " RDHUP"}, {EPOLLERR, " ERR"},
                 {EPOLLHUP, " HUP"}, {EPOLLPRI, " PRI"}, {POLLNVAL, " NVAL"}};
    printf("%s: %s =", scenario, step);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (ev & names[i].bit)
            printf("%s", names[i].name);
    printf("%s\n", ev ? "" : " nothing");
}

static void told_poll(const char *step, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT | POLLPRI | POLLRDHUP};
    int n = NET(poll)(&p, 1, 0);
    if (n < 0)
        told(step, -1);
    else
        told_events(step, (uint32_t)p.revents);
}

static inline void told_so_error(const char *step, int fd)
{
    int v = -1;
    socklen_t len = sizeof(v);
    if (NET(getsockopt)(fd, SOL_SOCKET, SO_ERROR, &v, &len) < 0)
        told(step, -1);
    else
        printf("%s: %s = %s\n", scenario, step, v ? strerrorname_np(v) : "0");
}

/* ---- what scenarios begin with ---- */

static uint16_t port = 5000; /* one of its own for each scenario */
static const int on = 1, off = 0;
static volatile int negative = -1; /* which the compiler need not know */

static struct sockaddr_in in4(const char *addr, uint16_t p)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(p)};
    inet_pton(AF_INET, addr, &in.sin_addr);
    return in;
}

static inline struct sockaddr_in6 in6(const char *addr, uint16_t p)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(p)};
    inet_pton(AF_INET6, addr, &in.sin6_addr);
    return in;
}

static int tcp(int family)
{
    int fd = NET(socket)(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        perror("scenarios: socket");
        exit(1);
    }
    return fd;
}

static int bind4(int fd, uint16_t p)
{
    struct sockaddr_in in = in4("0.0.0.0", p);
    return NET(bind)(fd, (struct sockaddr *)&in, sizeof(in));
}

static int connect4(int fd, uint16_t p)
{
    struct sockaddr_in in = in4(server4, p);
    return NET(connect)(fd, (struct sockaddr *)&in, sizeof(in));
}

static int listener(uint16_t p)
{
    side(SERVER);
    int fd = tcp(AF_INET);
    if (bind4(fd, p) < 0 || NET(listen)(fd, 5) < 0) {
        perror("scenarios: listen");
        exit(1);
    }
    return fd;
}

struct ends {
    int l, c, s;
};

static struct ends connected(void)
{
    struct ends e = {.l = listener(port)};
    side(CLIENT);
    e.c = tcp(AF_INET);
    connect4(e.c, port);
    settle();
    side(SERVER);
    e.s = NET(accept4)(e.l, NULL, NULL, SOCK_NONBLOCK);
    if (e.s < 0) {
        perror("scenarios: accept");
        exit(1);
    }
    side(CLIENT);
    NET(connect)(e.c, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, 0); /* state settled */
    return e;
}

static void disconnect(struct ends e)
{
    side(CLIENT);
    if (e.c >= 0)
        NET(close)(e.c);
    settle();
    side(SERVER);
    if (e.s >= 0)
        NET(close)(e.s);
    NET(close)(e.l);
    settle();
}

static void reset(int fd)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    NET(setsockopt)(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    NET(close)(fd);
}

struct scenario {
    const char *name;
    void (*run)(void);
};

static void play(const struct scenario *all, unsigned n)
{
    signal(SIGPIPE, SIG_IGN);
    world();
    for (unsigned i = 0; i < n; i++) {
        port++;
        scenario = all[i].name;
        all[i].run();
        fflush(stdout);
    }
    end_of_world();
}
