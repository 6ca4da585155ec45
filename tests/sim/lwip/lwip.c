// SPDX-License-Identifier: BSD-3-Clause
// Another stack's opinion: a host of the simulator talks with lwIP in the same process and the same virtual time, both opening
// connections, over wires that lose, reorder and repeat, from one seed: every byte right and every connection ended, both ways.
//   lwip [--seeds N] [--first S] MODULE
#include <dlfcn.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <leat/leat.h>
#include "base/alloc.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "ip/ip.h"
#include "link/link.h"
#include "port/sim/sim.h"
#include "side.h"

#define LIMIT (20000 * NS_PER_SEC) /* virtual: lwIP's timers are coarse */

static struct conversation {
    struct end leat, *lwip;
    int fd;                /* Leat's; -1: none yet, or no more */
    bool closed, accepted; /* Leat's end is closed; by the listener */
} conv[CONNS];

static struct sim *sim;
static struct sim_node *host;
static struct sim_link *cable;
static const struct lwip_side *lwip;
static struct rng chance;
static int listener;

static __attribute__((noreturn)) void die(const char *what)
{
    fprintf(stderr, "%s (errno %d)\n", what, errno);
    exit(1);
}

/* ---- the cable ---- */

static void from_lwip(const void *packet, unsigned n)
{
    struct rte_mbuf *m = pkt_alloc(sim_engine(host)->pkt_pool);
    if (!m)
        die("no packet buffer");
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, sizeof(*eth));
    *eth = (struct rte_ether_hdr){.dst_addr = sim_netif(cable, host)->mac,
                                  .src_addr = {{0x02, 0, 0, 0, 0, 0x77}},
                                  .ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4)};
    memcpy(rte_pktmbuf_append(m, (uint16_t)n), packet, n);
    sim_stub_send(cable, m);
}

static void to_lwip(void)
{
    struct rte_mbuf *m;
    while ((m = sim_stub_recv(cable, sim_now(sim), NULL)) != NULL) {
        uint8_t frame[2048];
        uint32_t len = rte_pktmbuf_pkt_len(m) - (uint32_t)sizeof(struct rte_ether_hdr);
        const uint8_t *b = rte_pktmbuf_read(m, sizeof(struct rte_ether_hdr), len, frame);
        if (b && b[0] >> 4 == 4)
            lwip->input(b, len);
        rte_pktmbuf_free(m);
    }
}

/* ---- Leat's end ---- */

static struct sockaddr_in address(uint8_t last, uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = rte_cpu_to_be_16(port),
                                .sin_addr.s_addr = rte_cpu_to_be_32(0x0a000000u | last)};
}

static void leat_up(void)
{
    struct sockaddr_in own = address(1, PORT);
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (listener < 0 || leat_bind(listener, (struct sockaddr *)&own, sizeof(own)) < 0 ||
        leat_listen(listener, 64) < 0)
        die("Leat: listen");
}

static void leat_open(unsigned i)
{
    struct sockaddr_in own = address(1, (uint16_t)(PORT + 1 + i)), to = address(2, PORT);
    int fd = conv[i].fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || leat_bind(fd, (struct sockaddr *)&own, sizeof(own)) < 0 ||
        (leat_connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
        die("Leat: connect");
}

static void leat_accept_all(void)
{
    struct sockaddr_in from;
    socklen_t len = sizeof(from);
    int fd;
    while ((fd = leat_accept4(listener, (struct sockaddr *)&from, &len, SOCK_NONBLOCK)) >= 0) {
        unsigned i = rte_be_to_cpu_16(from.sin_port) - PORT - 1u;
        if (i >= CONNS || conv[i].accepted)
            die("a connection that nobody opened");
        conv[i].fd = fd;
        conv[i].accepted = true;
        len = sizeof(from);
    }
}

static void leat_turn(struct conversation *c)
{
    uint8_t b[8192];
    struct end *e = &c->leat;
    ssize_t n;
    if (c->fd < 0)
        return;
    while (!e->ended && (n = leat_read(c->fd, b, sizeof(b))) >= 0) {
        e->ended = n == 0;
        if (!take(e, b, (uint64_t)n))
            die("Leat: a byte is another");
    }
    if (!e->ended && errno != EAGAIN && errno != ENOTCONN)
        die("Leat: read");
    while (e->sent < e->to_send && (n = leat_write(c->fd, b, give(e, b, sizeof(b)))) > 0)
        e->sent += (uint64_t)n;
    if (e->sent == e->to_send && !e->shut)
        e->shut = leat_shutdown(c->fd, SHUT_WR) == 0;
    if (e->ended && e->shut && e->got == e->to_get) {
        leat_close(c->fd);
        c->fd = -1;
        c->closed = true;
    }
}

/* ---- the world ---- */

static void wires(void)
{
    for (int back = 0; back < 2; back++) {
        struct sim_wire *w = sim_wire(cable, back ? NULL : host);
        w->delay_ns = rng_below(&chance, 30) * NS_PER_MS;
        w->loss = (double)rng_below(&chance, 4) / 100;
        w->reorder = (double)rng_below(&chance, 4) / 100;
        w->reorder_ns = 1 + rng_below(&chance, 20) * NS_PER_MS;
        w->duplicate = (double)rng_below(&chance, 2) / 100;
        w->corrupt = (double)rng_below(&chance, 2) / 200;
    }
}

static void plan(void)
{
    for (unsigned i = 0; i < CONNS; i++) {
        struct conversation *c = &conv[i];
        *c = (struct conversation){.lwip = &lwip->ends[i], .fd = -1};
        c->leat.to_send = c->lwip->to_get = rng_below(&chance, 4) ? rng_below(&chance, 100000) : 0;
        c->lwip->to_send = c->leat.to_get = rng_below(&chance, 4) ? rng_below(&chance, 100000) : 0;
        c->leat.pattern_out = c->lwip->pattern_in = rng_u64(&chance);
        c->lwip->pattern_out = c->leat.pattern_in = rng_u64(&chance);
        if (i % 2)
            lwip->open(i);
        else
            leat_open(i);
    }
}

static bool done(const struct conversation *c)
{
    return c->closed && c->lwip->ended && c->lwip->got == c->lwip->to_get;
}

static bool all_done(void)
{
    for (unsigned i = 0; i < CONNS; i++)
        if (!done(&conv[i]))
            return false;
    return true;
}

static void print_end(const char *name, const struct end *e)
{
    fprintf(stderr, "  %s: sent %lu of %lu%s, got %lu of %lu%s\n", name, e->sent, e->to_send,
            e->shut ? " and FIN" : "", e->got, e->to_get, e->ended ? " and FIN" : "");
}

static void print_unfinished(void)
{
    for (unsigned i = 0; i < CONNS; i++) {
        if (done(&conv[i]))
            continue;
        fprintf(stderr, "conversation %u, opened by %s, Leat's port %u:\n", i, i % 2 ? "lwIP" : "Leat",
                i % 2 ? PORT : PORT + 1 + i);
        print_end("Leat", &conv[i].leat);
        print_end("lwIP", conv[i].lwip);
    }
}

static void world(uint64_t seed)
{
    static const struct rte_ether_addr mac = {{0x02, 0, 0, 0, 0, 0x77}};
    struct ip_addr peer;
    rng_seed(&chance, seed);
    sim = sim_create(seed);
    host = sim ? sim_host(sim, "leat") : NULL;
    cable = host ? sim_stub(sim, host, NULL) : NULL;
    if (!cable || sim_addr(cable, host, "10.0.0.1/24") < 0 || ip_addr_parse("10.0.0.2", &peer) < 0 ||
        neigh_set_static(sim_netif(cable, host), &peer, &mac) < 0 ||
        (getenv("PCAP") && sim_pcap(sim, getenv("PCAP")) < 0))
        die("no world");
    wires();
    srand((unsigned)seed); /* lwIP's chance */
    lwip->clock((uint32_t)(sim_now(sim) / NS_PER_MS));
    lwip->init(from_lwip, die);
    sim_enter(host);
    leat_up();
    plan();
    uint64_t began = sim_now(sim);
    while (!all_done() && sim_now(sim) - began < LIMIT) {
        sim_step(sim, sim_now(sim) + NS_PER_MS);
        to_lwip();
        lwip->clock((uint32_t)(sim_now(sim) / NS_PER_MS));
        sim_enter(host);
        leat_accept_all();
        for (unsigned i = 0; i < CONNS; i++)
            leat_turn(&conv[i]);
    }
    if (!all_done()) {
        print_unfinished();
        die("not all conversations ended");
    }
    to_lwip();
    if (sim_destroy(sim) != 0)
        die("packet buffers were lost");
}

static bool run(uint64_t seed)
{
    int status;
    fflush(NULL);
    pid_t pid = fork(); /* lwIP keeps one stack a process */
    if (pid == 0) {
        alarm(120);
        world(seed);
        _exit(0);
    }
    return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seeds", required_argument, NULL, 's'}, {"first", required_argument, NULL, 'f'}, {0}};
    uint64_t seeds = 20, first = 1, failed = 0;
    int o;
    while ((o = getopt_long(argc, argv, "s:f:", options, NULL)) != -1) {
        if (o != 's' && o != 'f')
            return 2;
        *(o == 's' ? &seeds : &first) = strtoull(optarg, NULL, 10);
    }
    void *module = optind < argc ? dlopen(argv[optind], RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND) : NULL;
    lwip = module ? dlsym(module, "lwip_side") : NULL;
    if (!lwip) {
        fprintf(stderr, "%s\n", optind < argc ? dlerror() : "usage: lwip [--seeds N] [--first S] MODULE");
        return 2;
    }
    if (sim_eal_init(128) < 0)
        die("the EAL does not start");
    for (uint64_t s = first; s < first + seeds; s++) {
        if (run(s))
            continue;
        printf("seed %llu failed\n", (unsigned long long)s);
        failed++;
    }
    printf("%llu seeds, %llu failed\n", (unsigned long long)seeds, (unsigned long long)failed);
    return failed > 0;
}
