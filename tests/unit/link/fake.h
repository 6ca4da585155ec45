// SPDX-License-Identifier: BSD-3-Clause
// A link floor on a port that keeps what it is given, and a clock that the test turns.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <rte_arp.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "link/link.h"
#include "link/priv.h"

#define FAKE_SENT 2048

struct fake {
    struct port port; /* first */
    struct engine *e;
    struct netif *nif;
    struct rte_mbuf *sent[FAKE_SENT];
    unsigned n_sent;
    uint16_t takes; /* packets a burst takes at most */
    bool down;
    uint64_t clock;
    /* what the floor above got */
    unsigned n_ip4, n_ip6, n_unreachable, n_duplicate, n_nd;
    struct rte_mbuf *got[FAKE_SENT];
    unsigned n_got;
    struct ip_addr ours, tentative;
};

static struct rte_mempool *fake_pool;
static struct fake *fake_now; /* the floor above has no argument of its own */
static const struct rte_ether_addr fake_mac = {{2, 0, 0, 0, 0, 1}}, peer_mac = {{2, 0, 0, 0, 0, 2}},
                                   other_mac = {{2, 0, 0, 0, 0, 3}};

static inline uint16_t fake_tx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    struct fake *f = (struct fake *)p;
    uint16_t i;

    for (i = 0; i < n && i < f->takes; i++)
        f->sent[f->n_sent++] = pkts[i];
    return i;
}
static inline uint16_t fake_rx(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    return 0;
}
static inline bool fake_link_up(struct port *p)
{
    return !((struct fake *)p)->down;
}
static const struct port_ops fake_ops = {.rx_burst = fake_rx, .tx_burst = fake_tx, .link_up = fake_link_up};

static inline uint64_t fake_clock(void *arg)
{
    return ((struct fake *)arg)->clock;
}
static inline void fake_entropy(void *arg, void *buf, size_t len)
{
    memset(buf, 7, len);
}

static inline void fake_keep(struct rte_mbuf **pkts, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++)
        fake_now->got[fake_now->n_got++] = pkts[i];
}
static inline void fake_ip4(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    fake_now->n_ip4 += n;
    fake_keep(pkts, n);
}
static inline void fake_ip6(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    fake_now->n_ip6 += n;
    fake_keep(pkts, n);
}
static inline enum link_owns fake_owns(struct netif *nif, const struct ip_addr *addr)
{
    if (ip_addr_eq(addr, &fake_now->ours))
        return LINK_OURS;
    return ip_addr_eq(addr, &fake_now->tentative) ? LINK_TENTATIVE : LINK_NOT_OURS;
}
static inline void fake_duplicate(struct netif *nif, const struct ip_addr *addr)
{
    fake_now->n_duplicate++;
}
static inline void fake_unreachable(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *dst)
{
    fake_now->n_unreachable++;
    rte_pktmbuf_free(m);
}
static inline void fake_nd(struct netif *nif, struct neigh *n, bool unicast)
{
    fake_now->n_nd++;
}

static inline void fake_upper(struct fake *f)
{
    f->e->link->ip4_input = fake_ip4;
    f->e->link->ip6_input = fake_ip6;
    f->e->link->owns = fake_owns;
    f->e->link->duplicate = fake_duplicate;
    f->e->link->unreachable = fake_unreachable;
    f->e->link->nd_solicit = fake_nd;
}

/* A host id of count, its interface f0 on the fake port. Does not touch an f->port that the test set up. */
static inline void fake_host(struct fake *f, uint32_t id, uint32_t count)
{
    struct engine_config c = {.id = id, .count = count, .pkt_pool = fake_pool, .socket_id = SOCKET_ID_ANY};

    c.env = (struct engine_env){.clock = fake_clock, .entropy = fake_entropy, .arg = f};
    f->clock = f->clock ? f->clock : NS_PER_SEC;
    f->takes = FAKE_SENT;
    f->port.ops = &fake_ops;
    f->port.mac = fake_mac;
    f->port.mtu = f->port.mtu ? f->port.mtu : 1500;
    f->port.mtu_max = 9000;
    f->port.queues = f->port.queues ? f->port.queues : 1;
    f->port.tx_seg_max = f->port.tx_seg_max ? f->port.tx_seg_max : 8;
    f->ours = ip_addr_v4(rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 1)));
    f->tentative = ip_addr_v4(rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 9)));
    f->e = engine_create(&c);
    assert_non_null(f->e);
    assert_int_equal(link_create(f->e), 0);
    f->nif = netif_attach(f->e, &f->port, id < f->port.queues ? id : NETIF_NO_QUEUE, "f0");
    assert_non_null(f->nif);
    fake_upper(f);
    fake_now = f;
}

static inline void fake_forget(struct fake *f)
{
    rte_pktmbuf_free_bulk(f->sent, f->n_sent);
    rte_pktmbuf_free_bulk(f->got, f->n_got);
    f->n_sent = f->n_got = 0;
}

static inline void fake_end(struct fake *f)
{
    link_destroy(f->e);
    engine_destroy(f->e);
    fake_forget(f);
}

/* Time passes, 10 ms at a step, and due timers fire. */
static inline void fake_pass(struct fake *f, uint64_t ns)
{
    uint64_t end = f->clock + ns;

    while (f->clock < end) {
        f->clock += RTE_MIN(end - f->clock, 10 * NS_PER_MS);
        f->e->now = f->clock;
        wheel_advance(&f->e->wheel, f->clock, UINT32_MAX);
    }
    link_transmit(f->e, NULL);
}

static inline struct ip_addr v4(uint8_t d)
{
    return ip_addr_v4(rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, d)));
}

/* A packet of len zero bytes. */
static inline struct rte_mbuf *fake_zeros(uint32_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(fake_pool);
    void *p = m ? rte_pktmbuf_append(m, len) : NULL;

    assert_non_null(p);
    return p ? memset(p, 0, len), m : NULL;
}

/* An IPv4 packet from us with len bytes in all. */
static inline struct rte_mbuf *fake_packet(uint32_t len)
{
    struct rte_mbuf *m = fake_zeros(len);
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);

    ip->version_ihl = 0x45;
    ip->total_length = rte_cpu_to_be_16(len);
    ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 1));
    return m;
}

/* A frame of the wire with len bytes of payload, all zero. */
static inline struct rte_mbuf *fake_frame(const struct rte_ether_addr *dst, uint16_t type, uint32_t len)
{
    struct rte_mbuf *m = fake_zeros(sizeof(struct rte_ether_hdr) + len);
    struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

    eh->dst_addr = *dst;
    eh->src_addr = peer_mac;
    eh->ether_type = rte_cpu_to_be_16(type);
    return m;
}

static inline void fake_arrive(struct fake *f, struct rte_mbuf *m)
{
    ether_input(f->nif, &m, 1);
}

/* The ARP packet in sent frame i, or NULL. */
static inline const struct rte_arp_hdr *fake_arp(const struct fake *f, unsigned i)
{
    const struct rte_ether_hdr *eh;

    if (i >= f->n_sent)
        return NULL;
    eh = rte_pktmbuf_mtod(f->sent[i], const struct rte_ether_hdr *);
    return eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP) ? (const struct rte_arp_hdr *)(eh + 1) : NULL;
}

static inline void arp_arrives(struct fake *f, uint16_t op, const struct rte_ether_addr *from,
                               struct ip_addr sender, struct ip_addr target)
{
    struct rte_mbuf *m =
        fake_frame(op == RTE_ARP_OP_REPLY ? &fake_mac : &(struct rte_ether_addr){"\xff\xff\xff\xff\xff\xff"},
                   RTE_ETHER_TYPE_ARP, sizeof(struct rte_arp_hdr));
    struct rte_arp_hdr *a = rte_pktmbuf_mtod_offset(m, struct rte_arp_hdr *, sizeof(struct rte_ether_hdr));

    a->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
    a->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    a->arp_hlen = 6;
    a->arp_plen = 4;
    a->arp_opcode = rte_cpu_to_be_16(op);
    a->arp_data.arp_sha = *from;
    a->arp_data.arp_sip = sender.w[3];
    a->arp_data.arp_tip = target.w[3];
    fake_arrive(f, m);
    link_transmit(f->e, NULL);
}

static inline unsigned fake_pool_used(void)
{
    return rte_mempool_in_use_count(fake_pool);
}

static inline int fake_eal(void **state)
{
    char *argv[] = {"t",  "--no-huge",     "--no-shconf", "--no-pci", "-m",
                    "64", "--log-level=1", "-l",          "0",        NULL};

    if (rte_eal_init(RTE_DIM(argv) - 1, argv) < 0)
        return -1;
    fake_pool = rte_pktmbuf_pool_create("t", 4095, 0, sizeof(struct pkt_info), RTE_MBUF_DEFAULT_BUF_SIZE,
                                        SOCKET_ID_ANY);
    return fake_pool ? 0 : -1;
}
