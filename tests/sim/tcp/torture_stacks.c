// SPDX-License-Identifier: BSD-3-Clause
// Several connections over a bad wire, files one way and writes the other, while every connection changes its TCP stack at random moments: in recovery, with
// data that the disk has not delivered, with FIN sent, at both ends, and with no memory for the new stack. Every byte arrives, or the connection ends with an error that the wire explains.
//   torture_stacks [--seeds N] [--first S]
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
#include <rte_ethdev.h>
#include <sys/mman.h>
#include <leat/leat.h>
#include "sim/seeds.h"
#include "sim/switch.h"
#include "sysctl/sysctl.h"

#define CONNS 3
#define LIMIT (20000 * NS_PER_SEC)
#define FILES (1u << 20) /* bytes of the file that all send from */

struct end {
    struct sim_node *node;
    int fd;
    uint64_t to_send, sent, to_get, got;
    uint32_t id;   /* of the bytes that it sends */
    uint32_t most; /* bytes in one call */
    bool file;     /* sends by leat_sendfile() */
    unsigned slow; /* reads in one turn of so many */
    bool shut, done;
    int error;
};

static struct sim *sim;
static struct sim_node *client, *server;
static struct end ends[2 * CONNS]; /* the client's, then the server's */
static int listener, file = -1;
static unsigned accepted;
static struct rng rng;
static uint64_t seed, failures, received;
static unsigned often;
static bool wrong, harsh;
static struct switched total;

/* id 0: those of the file, which begins again after its end. */
static uint8_t byte_at(uint32_t id, uint64_t i)
{
    i %= id ? UINT64_MAX : FILES;
    uint64_t x = (i / 8) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)((x ^ x >> 29) >> (i % 8 * 8)) ^ (uint8_t)id;
}

static void end_of(struct end *e, int error)
{
    e->error = error;
    e->done = true;
    leat_close(e->fd);
    e->fd = -1;
}

static void complain(const struct end *e, const char *what, uint64_t at)
{
    fprintf(stderr, "seed %lu: connection %ld of the %s: %s at %lu\n", seed, (e - ends) % CONNS,
            e < ends + CONNS ? "client" : "server", what, at);
    wrong = true;
}

static void receive(struct end *e, uint32_t peer)
{
    static uint8_t buf[65536];
    ssize_t n;
    while ((n = leat_read(e->fd, buf, e->most)) > 0) {
        for (ssize_t i = 0; i < n && !wrong; i++)
            if (buf[i] != byte_at(peer, e->got + (uint64_t)i))
                complain(e, "wrong byte", e->got + (uint64_t)i);
        e->got += (uint64_t)n;
        if (rng_below(&rng, 16) == 0)
            return; /* the window may close */
    }
    if (n < 0) {
        if (errno != EAGAIN)
            end_of(e, errno);
    } else {
        if (e->got != e->to_get)
            complain(e, "end of stream", e->got);
        if (e->sent == e->to_send)
            end_of(e, 0);
    }
}

/* Bytes sent, -1 and errno. */
static ssize_t send_some(struct end *e)
{
    static uint8_t buf[65536];
    uint64_t left = e->to_send - e->sent;
    size_t n = left < e->most ? left : e->most;
    off_t done = 0;
    if (e->file) {
        size_t room = FILES - e->sent % FILES;
        int err = leat_sendfile(file, e->fd, (off_t)(e->sent % FILES), n < room ? n : room, NULL, &done, 0);
        return done > 0 ? done : err;
    }
    for (size_t i = 0; i < n; i++)
        buf[i] = byte_at(e->id, e->sent + i);
    return leat_send(e->fd, buf, n, MSG_NOSIGNAL);
}

static void transmit(struct end *e)
{
    while (e->sent < e->to_send) {
        ssize_t n = send_some(e);
        if (n < 0) {
            if (errno != EAGAIN && errno != EBUSY)
                end_of(e, errno);
            return;
        }
        e->sent += (uint64_t)n;
        if (rng_below(&rng, 32) == 0)
            return;
    }
    if (!e->shut) {
        e->shut = true;
        leat_shutdown(e->fd, SHUT_WR);
    }
}

static int turn(void *first)
{
    struct end *e = first;
    bool at_client = e == ends;
    for (unsigned i = 0; i < CONNS; i++, e++) {
        struct pollfd p = {e->fd, POLLOUT, 0};
        if (e->done || e->fd < 0)
            continue;
        if (e->sent == 0 && e->got == 0 && leat_poll(&p, 1, 0) == 0)
            continue; /* still connecting */
        if (rng_below(&rng, e->slow) == 0)
            receive(e, at_client ? e[CONNS].id : e[-CONNS].id);
        if (!e->done)
            transmit(e);
    }
    switch_stacks(at_client ? client : server, &rng, often, &total);
    if (total.unexpected)
        wrong = true;
    return 0;
}

/* A client's first byte would say whose it is: here ports do, which are in the order of connecting. */
static void take_connections(void)
{
    struct sockaddr_in from, mine;
    socklen_t len = sizeof(from);
    int fd;
    sim_enter(server);
    while ((fd = leat_accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK)) >= 0) {
        for (unsigned i = 0; i < CONNS; i++) {
            sim_enter(client);
            len = sizeof(mine);
            if (ends[i].fd >= 0 && leat_getsockname(ends[i].fd, (struct sockaddr *)&mine, &len) == 0 &&
                mine.sin_port == from.sin_port)
                ends[CONNS + i].fd = fd;
        }
        accepted++;
        len = sizeof(from);
        sim_enter(server);
    }
}

static double some(double most)
{
    return rng_below(&rng, 3) ? 0 : most * rng_below(&rng, 1000) / 1000;
}

static void choose_wire(struct sim_wire *w)
{
    static const uint64_t rates[] = {0, 10000000, 100000000};
    w->rate_bps = rates[rng_below(&rng, 3)];
    w->delay_ns = rng_below(&rng, 40) * NS_PER_MS;
    w->queue_packets = w->rate_bps ? 20 + rng_below(&rng, 100) : 0;
    w->loss = some(harsh ? 0.2 : 0.06) + 0.01;
    w->reorder = some(0.2);
    w->reorder_ns = rng_below(&rng, 20) * NS_PER_MS;
    w->duplicate = some(0.05);
}

static void set(struct sim_node *n, const char *name, uint32_t v)
{
    char text[16], err[200];
    snprintf(text, sizeof(text), "%u", v);
    if (sysctl_set_text(sim_engine(n)->sysctl, name, text, err, sizeof(err)) < 0) {
        fprintf(stderr, "%s\n", err);
        wrong = true;
    }
}

static void set_up(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(80), .sin_addr.s_addr = htonl(0x0a000002)};
    struct sim_port_options opt = {.hold_tx = rng_below(&rng, 2)};
    if (rng_below(&rng, 2))
        opt.tx_offloads = RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM |
                          RTE_ETH_TX_OFFLOAD_MULTI_SEGS | RTE_ETH_TX_OFFLOAD_TCP_TSO;
    client = sim_host(sim, "client");
    server = sim_host(sim, "server");
    struct sim_link *l = sim_link(sim, client, server, &opt);
    sim_addr(l, client, "10.0.0.1/24");
    sim_addr(l, server, "10.0.0.2/24");
    harsh = rng_below(&rng, 4) == 0;
    choose_wire(sim_wire(l, client));
    choose_wire(sim_wire(l, server));
    set(server, "leat.filecache.sync_delay", rng_below(&rng, 3) ? 1 + rng_below(&rng, 20000) : 0);
    if (rng_below(&rng, 4) == 0) /* some without SACK */
        set(client, "net.inet.tcp.sack.enable", 0);
    often = 1 + rng_below(&rng, rng_below(&rng, 2) ? 300 : 20);
    uint64_t rate = rng_below(&rng, 4) ? 0 : 100000 + rng_below(&rng, 10000000); /* some paced */
    sim_enter(server);
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(listener, IPPROTO_TCP, TCP_PACING_RATE_CAP, &rate, sizeof(rate));
    leat_bind(listener, (struct sockaddr *)&to, sizeof(to));
    leat_listen(listener, 16);
    accepted = 0;
    for (unsigned i = 0; i < CONNS; i++) {
        struct end *c = &ends[i], *s = &ends[CONNS + i];
        *c = (struct end){.node = client, .id = i + 1, .most = 1 + rng_below(&rng, 65536)};
        *s = (struct end){
            .node = server, .fd = -1, .file = rng_below(&rng, 2), .most = 1 + rng_below(&rng, 65536)};
        s->id = s->file ? 0 : i + 101;
        c->slow = rng_below(&rng, 3) ? 1 : 1 + rng_below(&rng, 200);
        s->slow = 1;
        c->to_send = s->to_get = 1 + rng_u64(&rng) % (UINT64_C(1) << (8 + rng_below(&rng, harsh ? 9 : 12)));
        s->to_send = c->to_get = 1 + rng_u64(&rng) % (UINT64_C(1) << (10 + rng_below(&rng, harsh ? 9 : 12)));
        sim_enter(client);
        c->fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        int small = 2048 << rng_below(&rng, 8);
        if (c->slow > 1) /* its window closes */
            leat_setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
        if (leat_connect(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
            wrong = true;
    }
}

static void make_file(void)
{
    uint8_t *bytes = malloc(FILES);
    file = memfd_create("torture", 0);
    for (uint64_t i = 0; i < FILES; i++)
        bytes[i] = byte_at(0, i);
    if (file < 0 || write(file, bytes, FILES) != FILES)
        exit(1);
    free(bytes);
}

static bool all_done(void)
{
    for (unsigned i = 0; i < 2 * CONNS; i++)
        if (!ends[i].done && !(i >= CONNS && ends[i].fd < 0 && ends[i - CONNS].done))
            return false;
    return true;
}

static bool judge(void)
{
    for (unsigned i = 0; i < 2 * CONNS && !wrong; i++) {
        if (!ends[i].done && ends[i].fd >= 0)
            complain(&ends[i], "stalled", ends[i].got);
        else if (ends[i].error && !harsh)
            complain(&ends[i], strerror(ends[i].error), ends[i].got);
        failures += ends[i].error != 0;
        received += ends[i].got;
    }
    return !wrong;
}

static bool run(void)
{
    rng_seed(&rng, seed);
    wrong = false;
    sim = sim_create(seed);
    set_up();
    if (getenv("PCAP"))
        sim_pcap(sim, getenv("PCAP"));
    uint64_t until = sim_now(sim) + LIMIT;
    sim_app(client, turn, &ends[0]);
    sim_app(server, turn, &ends[CONNS]);
    while (!wrong && !all_done() && sim_now(sim) < until) {
        sim_run_for(sim, 2 * NS_PER_MS);
        take_connections();
        sim_app(client, turn, &ends[0]);
        sim_app(server, turn, &ends[CONNS]);
    }
    bool good = judge();
    int64_t leaks = sim_destroy(sim);
    if (leaks != 0)
        fprintf(stderr, "seed %lu: %ld buffers did not come back\n", seed, leaks);
    return good && leaks == 0;
}

int main(int argc, char **argv)
{
    struct seeds asked = seeds_asked(argc, argv, 40);
    uint64_t bad = 0;
    signal(SIGPIPE, SIG_IGN);
    if (sim_eal_init(512) < 0)
        return 1;
    make_file();
    for (seed = asked.first; seed < asked.first + asked.n; seed++)
        bad += !run();
    switched_print(&total);
    printf("%lu seeds, %lu failed; %lu bytes, %lu ends of connections that the wire broke\n", asked.n, bad,
           received, failures);
    return bad != 0;
}
