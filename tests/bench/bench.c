// SPDX-License-Identifier: BSD-3-Clause
// Both ends in one process over the simulated wire: what a request costs the stack, in ns and (under callgrind, collecting in
// bench_measured()) in instructions.
//   bench rr|crr|bulk CONNS COUNT [STACK]    COUNT: requests, or MiB for bulk, in the measured part
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/sysctl.h>
#include <rte_ethdev.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sysctl/sysctl.h"

#define REQUEST 64
#define REPLY   512
#define PORT    8080
#define BULK    65536

struct peer { /* one connection at one end */
    int fd;
    uint32_t got;
    bool started; /* client: the first request is out */
};

static struct bench {
    struct sim *sim;
    struct sim_node *client, *server;
    int client_ep, server_ep, listener;
    struct sockaddr_in to;
    bool reconnect, bulk;  /* crr, bulk */
    uint64_t done, target; /* requests, or bytes for bulk */
    unsigned conns, ready;
    bool go; /* all are open */
    char buf[BULK];
} b;

static void die(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int ep, int fd, struct peer *p)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = p};
    if (leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

/* ---- server ---- */

static void server_accept(void)
{
    int fd;
    while ((fd = leat_accept4(b.listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        p->fd = fd;
        watch(b.server_ep, fd, p);
    }
}

static void server_rr(struct peer *p)
{
    ssize_t n = leat_read(p->fd, b.buf, BULK);
    if (n > 0) { /* less than asked for: there is no more (epoll(7)) */
        p->got += (uint32_t)n;
        if (p->got < REQUEST)
            return;
        p->got = 0;
        if (leat_write(p->fd, b.buf, REPLY) != REPLY)
            die("server write");
    } else if (n == 0 || errno != EAGAIN) {
        leat_close(p->fd);
        free(p);
    }
}

static void server_bulk(struct peer *p)
{
    while (leat_write(p->fd, b.buf, BULK) > 0)
        ;
}

static int server_loop(void *arg)
{
    struct epoll_event ev[256];
    int n = leat_epoll_wait(b.server_ep, ev, 256, 0);
    for (int i = 0; i < n; i++) {
        if (!ev[i].data.ptr)
            server_accept();
        else if (b.bulk)
            server_bulk(ev[i].data.ptr);
        else
            server_rr(ev[i].data.ptr);
    }
    return 0;
}

/* ---- client ---- */

static void client_request(struct peer *p)
{
    p->started = true;
    if (leat_write(p->fd, b.buf, REQUEST) != REQUEST)
        die("client write");
}

/* Requests of all connections begin together, as those of many clients gather in the queue of a busy server. */
static void client_ready(struct peer *p)
{
    if (b.reconnect || b.go)
        client_request(p);
    else
        b.ready++;
}

static void client_open(struct peer *p)
{
    p->got = 0;
    p->started = b.bulk;
    p->fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (p->fd < 0)
        die("socket");
    if (leat_connect(p->fd, (struct sockaddr *)&b.to, sizeof(b.to)) < 0 && errno != EINPROGRESS)
        die("connect");
    watch(b.client_ep, p->fd, p);
}

/* The whole reply is here: the next request, on this connection or a new one. */
static void client_replied(struct peer *p)
{
    p->got = 0;
    b.done++;
    if (!b.reconnect) {
        client_request(p);
        return;
    }
    leat_close(p->fd);
    client_open(p);
}

static void client_read(struct peer *p)
{
    ssize_t n;
    do {
        n = leat_read(p->fd, b.buf, BULK);
        if (n <= 0)
            break;
        p->got += (uint32_t)n;
        if (b.bulk) {
            b.done += (uint64_t)n;
        } else if (p->got == REPLY) {
            client_replied(p);
            return;
        }
    } while (n == BULK);
    if (n == 0 || (n < 0 && errno != EAGAIN))
        die("client read");
}

static int client_loop(void *arg)
{
    struct epoll_event ev[256];
    int n = leat_epoll_wait(b.client_ep, ev, 256, 0);
    for (int i = 0; i < n; i++) {
        struct peer *p = ev[i].data.ptr;
        if (!p->started && (ev[i].events & EPOLLOUT))
            client_ready(p);
        else if (ev[i].events & EPOLLIN)
            client_read(p);
    }
    return 0;
}

/* ---- the run ---- */

static bool going_on(void *arg)
{
    return b.done < b.target;
}

static void run_to(uint64_t target)
{
    b.target = target;
    if (!sim_run_while(b.sim, going_on, NULL, sim_now(b.sim) + 3600 * NS_PER_SEC)) {
        fprintf(stderr, "bench: stalled at %llu of %llu\n", (unsigned long long)b.done,
                (unsigned long long)target);
        exit(1);
    }
}

static bool opening(void *arg)
{
    return b.ready < b.conns;
}

static void start_together(struct peer *peers)
{
    sim_run_while(b.sim, opening, NULL, sim_now(b.sim) + 60 * NS_PER_SEC);
    sim_enter(b.client);
    b.go = true;
    for (unsigned i = 0; i < b.conns; i++)
        client_request(&peers[i]);
}

void bench_measured(uint64_t count); /* visible to callgrind's --toggle-collect */
__attribute__((noinline)) void bench_measured(uint64_t count)
{
    run_to(b.done + count);
}

/* The TCP stack of both ends. */
static void set_stack(const char *name)
{
    struct sim_node *ends[] = {b.client, b.server};
    for (unsigned i = 0; i < 2; i++) {
        sim_enter(ends[i]);
        if (leat_sysctlbyname("net.inet.tcp.functions_default", NULL, NULL, name, strlen(name)) < 0)
            die(name);
    }
}

static void set_up(const char *stack)
{
    if (sim_eal_init(2048) < 0 || !(b.sim = sim_create(1)))
        die("simulator");
    b.client = sim_host(b.sim, "client");
    b.server = sim_host(b.sim, "server");
    /* A NIC that checks and fills checksums and cuts segments, as those people buy do. */
    const uint64_t tx = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                        RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    const struct sim_port_options nic = {.tx_offloads = tx,
                                         .rx_offloads =
                                             RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM,
                                         .tx_seg_max = 32};
    struct sim_link *l = b.client && b.server ? sim_link(b.sim, b.client, b.server, &nic) : NULL;
    if (!l || sim_addr(l, b.client, "10.0.0.1/8") < 0 || sim_addr(l, b.server, "10.0.0.2/8") < 0)
        die("link");
    sim_wire(l, b.client)->delay_ns = sim_wire(l, b.server)->delay_ns = 10 * NS_PER_US;
    if (stack)
        set_stack(stack);
    b.to = (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(0x0a000002)};
    sim_enter(b.server);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    b.server_ep = leat_epoll_create1(0);
    b.listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(b.listener, (struct sockaddr *)&b.to, sizeof(b.to)) < 0 ||
        leat_listen(b.listener, 65535) < 0 || leat_epoll_ctl(b.server_ep, EPOLL_CTL_ADD, b.listener, &ev) < 0)
        die("listen");
    sim_app(b.server, server_loop, NULL);
    sim_enter(b.client);
    b.client_ep = leat_epoll_create1(0);
    sim_app(b.client, client_loop, NULL);
}

/* "NAME=VALUE", on both hosts */
static void set(const char *text)
{
    char name[200], err[300];
    const char *value = strchr(text, '=');
    snprintf(name, sizeof(name), "%.*s", value ? (int)(value - text) : 0, text);
    if (!value || sysctl_set_text(sim_engine(b.client)->sysctl, name, value + 1, err, sizeof(err)) < 0 ||
        sysctl_set_text(sim_engine(b.server)->sysctl, name, value + 1, err, sizeof(err)) < 0) {
        fprintf(stderr, "bench: %s: %s\n", text, value ? err : "expected NAME=VALUE");
        exit(2);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr, "usage: bench rr|crr|bulk CONNS COUNT [STACK] [SYSCTL=VALUE...]\n");
        return 2;
    }
    b.bulk = strcmp(argv[1], "bulk") == 0;
    b.reconnect = strcmp(argv[1], "crr") == 0;
    b.conns = (unsigned)atoi(argv[2]);
    uint64_t count = strtoull(argv[3], NULL, 10);
    bool stack = argc > 4 && !strchr(argv[4], '=');
    set_up(stack ? argv[4] : NULL);
    for (int i = stack ? 5 : 4; i < argc; i++)
        set(argv[i]);
    struct peer *peers = calloc(b.conns, sizeof(*peers));
    for (unsigned i = 0; i < b.conns; i++) {
        sim_enter(b.client);
        client_open(&peers[i]);
        if (i % 100 == 99)
            sim_run_for(b.sim, 100 * NS_PER_US); /* a few at a time */
    }
    if (!b.bulk && !b.reconnect)
        start_together(peers);
    run_to(b.bulk ? UINT64_C(64) << 20
                  : 2 * (uint64_t)b.conns + 1000); /* every connection open and past slow start */
    struct timespec t0, t1;
    clock_gettime(CLOCK_MONOTONIC, &t0);
    uint64_t units = b.bulk ? count << 20 : count;
    bench_measured(units);
    clock_gettime(CLOCK_MONOTONIC, &t1);
    double ns = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
    if (b.bulk)
        printf("%.3f Gbit/s\n", (double)units * 8 / ns);
    else
        printf("%.1f ns\n", ns / (double)count);
    return 0;
}
