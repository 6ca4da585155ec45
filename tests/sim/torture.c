// SPDX-License-Identifier: BSD-3-Clause
// Two-way transfers under everything that a wire can do, from one seed: every byte right or a clean error, nothing left over.
//   torture [--seeds N] [--first S] [--stack NAME]
// A failing seed is printed; running it again with PCAP=file in the environment writes what was on the wire.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ethdev.h>
#include <leat/event.h>
#include <leat/leat.h>
#include "base/rng.h"
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sim/chance.h"
#include "sim/seeds.h"
#include "sysctl/sysctl.h"

#define LIMIT (20000 * NS_PER_SEC) /* virtual: retransmission may take its time */

struct side {
    struct sim_node *node;
    int fd, listener, ep;
    uint64_t to_send, sent, to_get, got;
    uint64_t pattern_out, pattern_in; /* seeds of the bytes */
    uint32_t chunk;                   /* bytes per read and write */
    uint32_t slow;                    /* reads only every so many turns */
    uint32_t turns;
    uint64_t abort_after; /* bytes read, then RST; 0 = never */
    bool shut, done, failed;
    int error;
};

static struct sim *sim;
static struct side sides[2];
static bool wrong, may_fail;
static uint64_t seed;
static const char *stack; /* of both hosts; NULL: as they are */

static uint8_t byte_at(uint64_t pattern, uint64_t i)
{
    uint64_t x = (pattern + i / 8) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)((x ^ x >> 29) >> (i % 8 * 8));
}

static void end(struct side *s, int error)
{
    s->error = error;
    s->failed = error != 0;
    s->done = true;
    if (s->fd >= 0)
        leat_close(s->fd);
    s->fd = -1;
}

static void read_some(struct side *s)
{
    static uint8_t buf[65536];
    for (;;) {
        ssize_t n = leat_read(s->fd, buf, s->chunk);
        if (n < 0) {
            if (errno != EAGAIN)
                end(s, errno);
            return;
        }
        if (n == 0) {
            if (s->got != s->to_get) {
                fprintf(stderr, "seed %lu: end of stream after %lu of %lu bytes\n", seed, s->got, s->to_get);
                wrong = true;
            }
            if (s->sent == s->to_send)
                end(s, 0);
            return;
        }
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] != byte_at(s->pattern_in, s->got + (uint64_t)i)) {
                fprintf(stderr, "seed %lu: wrong byte at %lu\n", seed, s->got + (uint64_t)i);
                wrong = true;
                end(s, EIO);
                return;
            }
        }
        s->got += (uint64_t)n;
        if (s->abort_after && s->got >= s->abort_after) {
            struct linger off = {1, 0};
            leat_setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
            end(s, 0);
            return;
        }
        if (s->slow)
            return;
    }
}

static void write_some(struct side *s)
{
    static uint8_t buf[65536];
    while (s->sent < s->to_send) {
        uint64_t left = s->to_send - s->sent;
        uint32_t n = left < s->chunk ? (uint32_t)left : s->chunk;
        for (uint32_t i = 0; i < n; i++)
            buf[i] = byte_at(s->pattern_out, s->sent + i);
        ssize_t w = leat_send(s->fd, buf, n, MSG_NOSIGNAL);
        if (w < 0) {
            if (errno != EAGAIN)
                end(s, errno);
            return;
        }
        s->sent += (uint64_t)w;
    }
    if (!s->shut) {
        s->shut = true;
        leat_shutdown(s->fd, SHUT_WR);
    }
}

static int loop(void *arg)
{
    struct side *s = arg;
    struct epoll_event ev[4];
    leat_epoll_wait(s->ep, ev, 4, 0);
    if (s->listener >= 0 && s->fd < 0 && !s->done) {
        s->fd = leat_accept4(s->listener, NULL, NULL, SOCK_NONBLOCK);
        if (s->fd < 0)
            return 0;
        leat_close(s->listener);
        s->listener = -1;
    }
    if (s->done || s->fd < 0)
        return 0;
    struct pollfd p = {s->fd, POLLOUT, 0};
    if (leat_poll(&p, 1, 0) == 0 && s->sent == 0 && s->got == 0)
        return 0; /* still connecting */
    if (s->slow == 0 || ++s->turns % s->slow == 0)
        read_some(s);
    if (!s->done)
        write_some(s);
    return 0;
}

/* A slow reader needs turns when nothing happens on the wire. */
static bool going_on(void *arg)
{
    return !wrong && !(sides[0].done && sides[1].done);
}

static double some(struct rng *r, double most)
{
    return rng_below(r, 3) ? 0 : most * rng_below(r, 1000) / 1000;
}

static void choose_wire(struct rng *r, struct sim_wire *w)
{
    static const uint64_t rates[] = {0, 1000000, 10000000, 100000000, 1000000000};
    w->rate_bps = rates[rng_below(r, 5)];
    w->delay_ns = rng_below(r, 100) * NS_PER_MS;
    w->jitter_ns = some(r, 20e6);
    w->queue_packets = rng_below(r, 2) ? 5 + rng_below(r, 200) : 0;
    w->loss = some(r, 0.3);
    w->duplicate = some(r, 0.1);
    w->corrupt = some(r, 0.05);
    w->truncate = some(r, 0.02);
    w->reorder = some(r, 0.2);
    w->reorder_ns = rng_below(r, 50) * NS_PER_MS;
    if (rng_below(r, 5) == 0) {
        w->burst_enter = 0.01;
        w->burst_leave = 0.2;
        w->burst_loss = 0.8;
    }
    if (rng_below(r, 4) == 0) {
        w->aqm = SIM_RED;
        w->red_min = 5;
        w->red_max = 50;
    }
}

static uint64_t size_of(struct rng *r, bool lossy)
{
    return 1 + rng_u64(r) % (UINT64_C(1) << rng_below(r, lossy ? 18 : 24));
}

static void buffers(struct rng *r, int fd)
{
    int v = 2048 << rng_below(r, 8);
    if (rng_below(r, 2))
        leat_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &v, sizeof(v));
    v = 2048 << rng_below(r, 8);
    if (rng_below(r, 2))
        leat_setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &v, sizeof(v));
    v = (int)rng_below(r, 2);
    leat_setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &v, sizeof(v));
}

static void set_up_side(struct rng *r, struct side *s, struct sim_node *n)
{
    *s = (struct side){.node = n, .fd = -1, .listener = -1};
    s->chunk = 1 + rng_below(r, rng_below(r, 2) ? 65536 : 1000);
    s->slow = rng_below(r, 4) ? 0 : 1 + rng_below(r, 8);
    sim_enter(n);
    s->ep = leat_epoll_create1(0);
}

static void open_connection(struct rng *r, bool v6)
{
    struct sockaddr_in in = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a000002)};
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(80), .sin6_addr = {{{0xfd, [15] = 2}}}};
    const struct sockaddr *to = v6 ? (struct sockaddr *)&in6 : (struct sockaddr *)&in;
    socklen_t len = v6 ? sizeof(in6) : sizeof(in);
    sim_enter(sides[1].node);
    sides[1].listener = leat_socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    buffers(r, sides[1].listener);
    leat_bind(sides[1].listener, to, len);
    leat_listen(sides[1].listener, 5);
    sim_enter(sides[0].node);
    sides[0].fd = leat_socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    buffers(r, sides[0].fd);
    if (leat_connect(sides[0].fd, to, len) < 0 && errno != EINPROGRESS) {
        fprintf(stderr, "seed %lu: connect: %s\n", seed, strerror(errno));
        wrong = true;
    }
}

static bool judge(bool finished)
{
    if (!finished && !wrong) {
        fprintf(stderr, "seed %lu: stalled at %lu/%lu and %lu/%lu bytes\n", seed, sides[0].got,
                sides[0].to_get, sides[1].got, sides[1].to_get);
        return false;
    }
    for (int i = 0; i < 2; i++) {
        if (sides[i].failed && !may_fail) {
            fprintf(stderr, "seed %lu: side %d: %s\n", seed, i, strerror(sides[i].error));
            return false;
        }
    }
    return !wrong;
}

static bool run(void)
{
    struct rng r;
    struct sim_port_options opt;
    char why[128];
    rng_seed(&r, seed);
    wrong = false;
    sim = sim_create(seed);
    if (getenv("PCAP"))
        sim_pcap(sim, getenv("PCAP"));
    port_by_chance(&r, &opt);
    struct sim_node *a = sim_host(sim, "a"), *b = sim_host(sim, "b");
    struct sim_link *l = sim_link(sim, a, b, &opt);
    sim_addr(l, a, "10.0.0.1/24");
    sim_addr(l, b, "10.0.0.2/24");
    if (opt.mtu == 0 || opt.mtu >= 1280) {
        sim_addr(l, a, "fd00::1/64");
        sim_addr(l, b, "fd00::2/64");
    }
    if (seed % 2) /* joined segments, where a burst has any */
        for (int i = 0; i < 2; i++)
            sysctl_set_text(sim_engine(i ? b : a)->sysctl, "net.link.sw_lro", "1", why, sizeof(why));
    for (int i = 0; stack && i < 2; i++)
        if (sysctl_set_text(sim_engine(i ? b : a)->sysctl, "net.inet.tcp.functions_default", stack, why,
                            sizeof(why)) < 0) {
            fprintf(stderr, "%s\n", why);
            exit(2);
        }
    choose_wire(&r, sim_wire(l, a));
    choose_wire(&r, sim_wire(l, b));
    struct sim_wire *wa = sim_wire(l, a), *wb = sim_wire(l, b);
    double trouble = wa->loss + wb->loss + wa->corrupt + wb->corrupt + wa->truncate + wb->truncate +
                     wa->burst_enter + wb->burst_enter;
    set_up_side(&r, &sides[0], a);
    set_up_side(&r, &sides[1], b);
    sides[0].to_send = sides[1].to_get = size_of(&r, trouble > 0 || wa->rate_bps || wb->rate_bps);
    sides[1].to_send = sides[0].to_get = size_of(&r, trouble > 0 || wa->rate_bps || wb->rate_bps);
    sides[0].pattern_out = sides[1].pattern_in = rng_u64(&r);
    sides[1].pattern_out = sides[0].pattern_in = rng_u64(&r);
    may_fail = trouble > 0.15 || wa->burst_enter > 0 ||
               wb->burst_enter > 0; /* a handshake or a retransmission may run out of tries, in all honesty */
    if (rng_below(&r, 10) == 0) {
        sides[1].abort_after = 1 + rng_u64(&r) % sides[1].to_get;
        may_fail = true;
    }
    open_connection(&r, rng_below(&r, 2) && opt.mtu != 576);
    sim_app(a, loop, &sides[0]);
    sim_app(b, loop, &sides[1]);
    uint64_t until = sim_now(sim) + LIMIT;
    bool finished = false;
    while (!wrong && !finished && sim_now(sim) < until) {
        sim_app(a, loop, &sides[0]);
        sim_app(b, loop, &sides[1]);
        uint64_t next = sim_now(sim) + 5 * NS_PER_MS;
        finished = sim_run_while(sim, going_on, NULL, next);
        if (sides[0].done && sides[0].failed && sides[1].listener >= 0)
            finished = true; /* the connection never came about */
    }
    bool good = judge(finished);
    int64_t leaks = sim_destroy(sim);
    if (leaks != 0) {
        fprintf(stderr, "seed %lu: %ld buffers did not come back\n", seed, leaks);
        good = false;
    }
    return good;
}

/* Once more, for people: the failing run's frames go to a file. */
static void record(void)
{
    char path[64];
    if (getenv("PCAP"))
        return;
    snprintf(path, sizeof(path), "/tmp/leat-torture-%lu.pcap", seed);
    setenv("PCAP", path, 1);
    run();
    unsetenv("PCAP");
    fprintf(stderr, "seed %lu: its frames are in %s; again: torture --first %lu --seeds 1\n", seed, path,
            seed);
}

int main(int argc, char **argv)
{
    struct seeds asked = seeds_asked(argc, argv, 300);
    uint64_t bad = 0;
    stack = asked.stack;
    signal(SIGPIPE, SIG_IGN);
    if (sim_eal_init(512) < 0)
        return 1;
    for (seed = asked.first; seed < asked.first + asked.n; seed++)
        if (!run()) {
            bad++;
            record();
        }
    printf("%lu seeds, %lu failed\n", asked.n, bad);
    return bad != 0;
}
