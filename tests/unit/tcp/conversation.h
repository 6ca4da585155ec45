// SPDX-License-Identifier: BSD-3-Clause
// TCP of one engine with the floors below faked: segments go in one by one, what it sends is caught. Sequence numbers in() and expect()
// are relative to the sender's ISN, acknowledgements to the other's. For tests of the room alone; whole hosts: tests/sim.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include <rte_tcp.h>
#include "base/alloc.h"
#include "base/cksum.h"
#include "ip/ip.h"
#include "sysctl/sysctl.h"
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

/* Not every test file needs every helper. */
#pragma GCC diagnostic ignored "-Wunused-function"

#define PEER_ISN 0xfffffff0u /* numbers wrap in every conversation */
#define PEER     "10.0.0.2"
#define US       "10.0.0.1"
#define ANY_ACK  UINT32_MAX

static struct engine e;
static struct rte_mempool *pool;
static struct netif nif = {.mtu = 1500, .index = 1};
static struct neigh neighbour;
static uint32_t path_mtu;
static struct ip_addr us, peer;
static uint16_t peer_port, our_port;
static tcp_seq our_isn;
static struct rte_mbuf *caught[2048];
static uint8_t caught_tos[2048];
static unsigned n_caught, at_caught;
static struct tcp_ack last_ack; /* as the stack was told */
static unsigned connected, acceptable, readable, writable, failed, detached, mtu_changes;
static int failed_with;

/* ---- floors below ---- */

int ip_output(struct engine *en, struct rte_mbuf *m, const struct ip_send *how)
{
    assert_true(n_caught < 2048);
    caught_tos[n_caught] = how->tos;
    caught[n_caught++] = m;
    return 0;
}
int ip_path_find(struct engine *en, const struct ip_addr *src, const struct ip_addr *dst, uint32_t scope,
                 struct ip_path *path)
{
    *path = (struct ip_path){.netif = &nif, .neigh = &neighbour, .gen = path_mtu, .mtu = path_mtu};
    return 0;
}
bool ip_path_valid(const struct engine *en, const struct ip_path *path)
{
    return path->gen == path_mtu;
}
int ip_source(struct engine *en, const struct ip_addr *dst, uint32_t scope, struct ip_addr *src)
{
    *src = us;
    return 0;
}
struct ifaddr *ip_addr_find(struct engine *en, const struct ip_addr *addr)
{
    static struct ifaddr ours;
    return ip_addr_eq(addr, &us) ? &ours : NULL;
}
void ip_path_mtu_lower(struct engine *en, const struct ip_addr *dst, uint32_t mtu)
{
    path_mtu = mtu;
}
uint32_t ip_path_mtu_known(struct engine *en, const struct ip_addr *dst)
{
    return path_mtu < nif.mtu ? path_mtu : 0;
}
void ip_path_mtu_forget(struct engine *en)
{
    path_mtu = nif.mtu;
}
void ip_register(struct engine *en, uint8_t proto, const struct ip_proto *ops)
{
}
void neigh_confirm(struct neigh *n)
{
    n->tries++;
}
uint32_t netif_tso_max(const struct netif *n)
{
    return 0;
}
uint32_t link_engine_of_flow(const struct netif *n, const struct ip_addr *faddr, const struct ip_addr *laddr,
                             uint16_t fport, uint16_t lport)
{
    return 0;
}

/* ---- the default stack, overheard ---- */

static void spy_ack(struct tcb *tp, const struct tcp_ack *a)
{
    last_ack = *a;
    tcp_stack_default.ack(tp, a);
}
static void spy_mtu_changed(struct tcb *tp)
{
    mtu_changes++;
    tcp_stack_default.mtu_changed(tp);
}
static struct tcp_stack spy;

static void overhear(struct tcb *tp)
{
    spy = tcp_stack_default;
    spy.ack = spy_ack;
    spy.mtu_changed = spy_mtu_changed;
    tp->stack = &spy;
}

/* ---- the floor above ---- */

static void on_connected(struct tcb *tp)
{
    connected++;
}
static void on_acceptable(struct tcb *tp)
{
    acceptable++;
}
static void on_readable(struct tcb *tp)
{
    readable++;
}
static void on_writable(struct tcb *tp)
{
    writable++;
}
static void on_failed(struct tcb *tp, int error)
{
    failed++;
    failed_with = error;
}
static void on_detached(struct tcb *tp)
{
    detached++;
}
static const struct tcp_upcalls upcalls = {on_connected, on_acceptable, on_readable,
                                           on_writable,  on_failed,     on_detached};
static int owner; /* its address is what a socket would be */

/* ---- turning the world ---- */

static void run_due(void)
{
    struct due_list now = TAILQ_HEAD_INITIALIZER(now);
    struct due *d;
    TAILQ_CONCAT(&now, &e.due, link);
    while ((d = TAILQ_FIRST(&now)) != NULL) {
        TAILQ_REMOVE(&now, d, link);
        d->queued = false;
        e.n_due--;
        d->run(d);
    }
}

static void wait_ms(uint64_t ms)
{
    for (uint64_t until = e.now + ms * NS_PER_MS; e.now < until;) {
        uint64_t next = wheel_next(&e.wheel);
        e.now = next > e.now && next < until ? next : until;
        while (wheel_advance(&e.wheel, e.now, 100) > 0)
            run_due();
        run_due();
    }
}

static void set(const char *name, const char *value)
{
    char err[200];
    if (sysctl_set_text(e.sysctl, name, value, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static uint64_t stat(const char *name)
{
    char full[100], buf[32];
    snprintf(full, sizeof(full), "net.inet.tcp.stats.%s", name);
    assert_int_equal(sysctl_get_text(e.sysctl, full, buf, sizeof(buf)), 0);
    return strtoull(buf, NULL, 10);
}

static int set_up_group(void **state)
{
    char *argv[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m", "64", "--log-level=error"};
    if (rte_eal_init(7, argv) < 0)
        return -1;
    pool = rte_pktmbuf_pool_create("p", 4095, 0, sizeof(struct pkt_info), RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    return pool ? 0 : -1;
}

static int set_up(void **state)
{
    static struct link_layer link;
    memset(&e, 0, sizeof(e));
    e.now = 1000 * NS_PER_SEC;
    TAILQ_INIT(&e.due);
    wheel_init(&e.wheel, e.now);
    rng_seed(&e.rng, 1);
    e.secret.k[0] = 1;
    e.count = 1;
    e.pkt_pool = pool;
    e.link = &link;
    e.sysctl = sysctl_tree_new();
    path_mtu = 1500;
    n_caught = at_caught = 0;
    connected = acceptable = readable = writable = failed = detached = mtu_changes = 0;
    failed_with = 0;
    memset(&last_ack, 0, sizeof(last_ack));
    ip_addr_parse(US, &us);
    ip_addr_parse(PEER, &peer);
    peer_port = rte_cpu_to_be_16(40000);
    our_port = rte_cpu_to_be_16(80);
    return tcp_create(&e);
}

static void expect_nothing(void)
{
    if (at_caught < n_caught)
        fail_msg("a segment with flags 0x%x was sent",
                 rte_pktmbuf_mtod(caught[at_caught], struct rte_tcp_hdr *)->tcp_flags);
}

static int tear_down(void **state)
{
    expect_nothing();
    for (unsigned s = 0; s < TCP_NSTATES; s++) {
        unsigned n = 0;
        struct tcb *tp;
        TAILQ_FOREACH (tp, &e.tcp->all, all_link)
            n += tp->state == s;
        if (s == TCPS_SYN_RECEIVED)
            n += e.tcp->syncache->entries.used;
        assert_int_equal(e.tcp->states[s], n);
    }
    tcp_destroy(&e);
    assert_int_equal(e.wheel.armed, 0);
    assert_true(TAILQ_EMPTY(&e.due));
    sysctl_tree_free(e.sysctl);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
    return 0;
}

/* ---- segments ---- */

static uint8_t flags_of(const char *text)
{
    static const char letters[] = "FSRPAUEW";
    uint8_t f = 0;
    for (; *text; text++)
        f |= (uint8_t)(1u << (strchr(letters, *text) - letters));
    return f;
}

/* "mss 1460 wscale 7 sackOK ts 5 0 sack 10 20" */
static unsigned options_write(const char *text, uint8_t *out)
{
    unsigned n = 0;
    char copy[100];
    snprintf(copy, sizeof(copy), "%s", text);
#define NEXT ((uint32_t)strtoul(strtok(NULL, " "), NULL, 10))
#define PUT32(v)                                                                                             \
    do {                                                                                                     \
        uint32_t be = rte_cpu_to_be_32(v);                                                                   \
        memcpy(out + n, &be, 4);                                                                             \
        n += 4;                                                                                              \
    } while (0)
    for (char *w = strtok(copy, " "); w; w = strtok(NULL, " ")) {
        if (!strcmp(w, "mss")) {
            uint32_t v = NEXT;
            out[n++] = 2, out[n++] = 4, out[n++] = (uint8_t)(v >> 8), out[n++] = (uint8_t)v;
        } else if (!strcmp(w, "wscale")) {
            out[n++] = 1, out[n++] = 3, out[n++] = 3, out[n++] = (uint8_t)NEXT;
        } else if (!strcmp(w, "sackOK")) {
            out[n++] = 1, out[n++] = 1, out[n++] = 4, out[n++] = 2;
        } else if (!strcmp(w, "ts")) {
            uint32_t val = NEXT, ecr = NEXT;
            out[n++] = 1, out[n++] = 1, out[n++] = 8, out[n++] = 10;
            PUT32(val);
            PUT32(ecr);
        } else if (!strcmp(w, "sack")) {
            uint32_t a = NEXT, b = NEXT;
            out[n++] = 1, out[n++] = 1, out[n++] = 5, out[n++] = 10;
            PUT32(our_isn + a);
            PUT32(our_isn + b);
        } else {
            fail_msg("option %s?", w);
        }
    }
    return n;
}

static struct rte_mbuf *segment(const char *flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd,
                                const char *options)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, 20);
    uint8_t bytes[40];
    unsigned n = options_write(options, bytes);
    *th = (struct rte_tcp_hdr){
        .src_port = peer_port,
        .dst_port = our_port,
        .sent_seq = rte_cpu_to_be_32(PEER_ISN + seq),
        .recv_ack = strchr(flags, 'A') ? rte_cpu_to_be_32(our_isn + ack) : 0,
        .data_off = (uint8_t)((20 + n) << 2),
        .tcp_flags = flags_of(flags),
        .rx_win = rte_cpu_to_be_16(wnd),
    };
    memcpy(rte_pktmbuf_append(m, (uint16_t)n), bytes, n);
    for (uint32_t i = 0; i < len; i++)
        *rte_pktmbuf_append(m, 1) = (char)(seq + i);
    struct pkt_info *info = pkt_info(m);
    memset(info, 0, sizeof(*info));
    info->netif = &nif;
    info->src = peer;
    info->dst = us;
    info->flags = PKT_CKSUM_OK;
    return m;
}

static void in_packet(struct rte_mbuf *m)
{
    tcp_input(&e, &m, 1);
    run_due();
}
static void in_opt(const char *flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd, const char *opt)
{
    in_packet(segment(flags, seq, len, ack, wnd, opt));
}
static void in(const char *flags, uint32_t seq, uint32_t len, uint32_t ack, uint16_t wnd)
{
    in_opt(flags, seq, len, ack, wnd, "");
}

/* With the ECN field of the IP header. */
static void in_ecn(unsigned field, const char *flags, uint32_t seq, uint32_t len, uint32_t ack)
{
    struct rte_mbuf *m = segment(flags, seq, len, ack, 65535, "");
    pkt_info(m)->tos = (uint8_t)field;
    in_packet(m);
}

struct sent {
    uint8_t flags;
    uint8_t ecn; /* field of the IP header */
    uint32_t seq, len, ack, wnd;
    struct tcp_options opt;
};

static struct sent next_sent(void)
{
    if (at_caught >= n_caught)
        fail_msg("nothing was sent");
    struct rte_mbuf *m = caught[at_caught++];
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    uint32_t hlen = (th->data_off >> 4) * 4u;
    if (th->tcp_flags & RTE_TCP_SYN_FLAG)
        our_isn = rte_be_to_cpu_32(th->sent_seq);
    struct sent s = {
        .flags = th->tcp_flags,
        .ecn = caught_tos[at_caught - 1] & 3,
        .seq = rte_be_to_cpu_32(th->sent_seq) - our_isn,
        .len = m->pkt_len - hlen,
        .ack = rte_be_to_cpu_32(th->recv_ack) - PEER_ISN,
        .wnd = rte_be_to_cpu_16(th->rx_win),
    };
    tcp_options_parse(&s.opt, (const uint8_t *)(th + 1), hlen - 20, s.flags & RTE_TCP_SYN_FLAG);
    rte_pktmbuf_free(m);
    return s;
}

static struct sent expect(const char *flags, uint32_t seq, uint32_t len, uint32_t ack)
{
    struct sent s = next_sent();
    uint8_t f = flags_of(flags);
    if (s.flags != f || s.seq != seq || s.len != len || (ack != ANY_ACK && s.ack != ack))
        fail_msg("sent flags 0x%x seq %u len %u ack %u, expected 0x%x %u %u %u", s.flags, s.seq, s.len, s.ack,
                 f, seq, len, ack);
    return s;
}

/* ---- usual beginnings ---- */

static inline struct tcb *listening(int backlog)
{
    struct tcb *l = tcp_new(&e, &upcalls, &owner);
    struct ip_addr any = ip_addr_v4(0);
    assert_int_equal(tcp_bind(l, &any, our_port, 0), 0);
    assert_int_equal(tcp_listen(l, backlog, 0), 0);
    return l;
}

/* A passive connection, accepted; options as the peer's SYN has them. */
static inline struct tcb *established_opt(const char *options)
{
    bool ts = strstr(options, "ts ") != NULL;
    struct tcb *l = listening(10);
    in_opt("S", 0, 0, 0, 65535, options);
    struct sent s = expect("SA", 0, 0, 1);
    char echo[50] = "";
    if (ts)
        snprintf(echo, sizeof(echo), "ts 100 %u", s.opt.tsval);
    in_opt("A", 1, 0, 1, 65535, echo);
    struct tcb *tp = tcp_accept(l);
    assert_non_null(tp);
    tcp_adopt(tp, &upcalls, &owner);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    overhear(tp);
    return tp;
}
static inline struct tcb *established(void)
{
    return established_opt("mss 1460 sackOK");
}

static inline struct tcb *connecting(void)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_connect(tp, &peer, peer_port, 0), 0);
    our_port = tp->lport;
    run_due();
    expect("S", 0, 0, ANY_ACK);
    return tp;
}

static inline void app_reads(struct tcb *tp)
{
    uint32_t n = tp->rcv.bytes;
    recvbuf_drop(tp, n);
    tcp_received(tp, n);
    run_due();
}

static inline void app_writes(struct tcb *tp, uint32_t len)
{
    static char bytes[65536];
    struct iovec iov = {bytes, len};
    assert_int_equal(tcp_send(tp, &iov, 1, len, false), len);
    run_due();
}

static inline void app_shuts(struct tcb *tp)
{
    assert_int_equal(tcp_shutdown_write(tp), 0);
    run_due();
}

static inline void app_closes(struct tcb *tp)
{
    tcp_close(tp, false);
    run_due();
}
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
