// SPDX-License-Identifier: BSD-3-Clause
// Shares a port's packets out among engines, see spread.h.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_ring.h>
#include <rte_tcp.h>
#include <rte_thash.h>
#include "base/alloc.h"
#include "link/priv.h"
#include "link/spread.h"

#define SPREAD_BURST 256
#define IP6_EXT_MAX  4 /* extension headers looked through */

/* ICMPv6: errors are below 128; groups have 130 to 132 (RFC 2710), RFC 4861 §4 has 133 to 137. */
#define ICMP6_INFO       128
#define ICMP6_LINK_FIRST 130
#define ICMP6_LINK_LAST  137

void toeplitz_symmetric_key(uint8_t *key, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        key[i] = i & 1 ? 0x5a : 0x6d;
}

/* The key repeats every 16 bits, so a data bit's 32-bit window depends on its place in its 16-bit word
 * only. */
uint32_t toeplitz_symmetric(const void *tuple, uint32_t len)
{
    const uint8_t *p = tuple;
    uint32_t words = 0, hash = 0, window = 0x6d5a6d5a;

    for (uint32_t i = 0; i < len; i += 2)
        words ^= (uint32_t)p[i] << 8 | p[i + 1];
    for (int bit = 15; bit >= 0; bit--) {
        if (words & (1u << bit))
            hash ^= window;
        window = window << 1 | window >> 31;
    }
    return hash;
}

static uint32_t owner_of_hash(const struct spread *s, uint32_t hash)
{
    return hash % s->engines;
}

/* As the port hashes a received packet: source first. */
static uint32_t port_hash(const struct port *port, const struct ip_addr *faddr, const struct ip_addr *laddr,
                          uint16_t fport, uint16_t lport)
{
    bool v4 = ip_addr_is_v4(faddr);
    uint32_t tuple[9], n = 0;

    for (int i = v4 ? 3 : 0; i < 4; i++)
        tuple[n++] = ntohl(faddr->w[i]);
    for (int i = v4 ? 3 : 0; i < 4; i++)
        tuple[n++] = ntohl(laddr->w[i]);
    tuple[n++] = (uint32_t)ntohs(fport) << 16 | ntohs(lport);
    return rte_softrss(tuple, n, port->rss_key);
}

/* Symmetric, so the order is free; and zero words of mapped IPv4 addresses cancel out as ::ffff: does
 * against itself. */
static uint32_t flow_hash(const struct ip_addr *a, const struct ip_addr *b, uint16_t a_port, uint16_t b_port)
{
    struct {
        struct ip_addr a, b;
        uint16_t a_port, b_port, none[2]; /* no padding */
    } tuple = {*a, *b, a_port, b_port, {0, 0}};

    return toeplitz_symmetric(&tuple, sizeof(tuple));
}

uint32_t link_engine_of_flow(const struct netif *nif, const struct ip_addr *faddr,
                             const struct ip_addr *laddr, uint16_t fport, uint16_t lport)
{
    const struct spread *s = nif->spread;
    const struct port *port = nif->port;

    if (!s)
        return nif->e->id;
    if (s->rss)
        return port->reta[port_hash(port, faddr, laddr, fport, lport) % port->reta_size];
    return owner_of_hash(s, flow_hash(faddr, laddr, fport, lport));
}

/* What a look into a frame told. */
struct look {
    struct ip_addr src, dst;
    uint8_t proto;
    bool fragment;
    uint32_t l4; /* offset in the first buffer */
};

static bool look_ip4(const struct rte_mbuf *m, uint32_t off, struct look *k)
{
    const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, off);

    if (rte_pktmbuf_data_len(m) < off + sizeof(*ip))
        return false;
    k->src = ip_addr_v4(ip->src_addr);
    k->dst = ip_addr_v4(ip->dst_addr);
    k->proto = ip->next_proto_id;
    k->fragment = ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
    k->l4 = off + rte_ipv4_hdr_len(ip);
    return true;
}

static bool look_ip6(const struct rte_mbuf *m, uint32_t off, struct look *k)
{
    const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, off);

    if (rte_pktmbuf_data_len(m) < off + sizeof(*ip))
        return false;
    k->src = ip_addr_v6(ip->src_addr);
    k->dst = ip_addr_v6(ip->dst_addr);
    k->proto = ip->proto;
    k->l4 = off + sizeof(*ip);
    for (int i = 0; i < IP6_EXT_MAX && (k->proto == IPPROTO_HOPOPTS || k->proto == IPPROTO_DSTOPTS ||
                                        k->proto == IPPROTO_ROUTING);
         i++) {
        const uint8_t *ext = rte_pktmbuf_mtod_offset(m, const uint8_t *, k->l4);

        if (rte_pktmbuf_data_len(m) < k->l4 + 8)
            return false;
        k->proto = ext[0];
        k->l4 += (ext[1] + 1u) * 8;
    }
    k->fragment = k->proto == IPPROTO_FRAGMENT;
    return true;
}

static bool look(const struct rte_mbuf *m, uint32_t off, struct look *k)
{
    if (rte_pktmbuf_data_len(m) <= off)
        return false;
    switch (*rte_pktmbuf_mtod_offset(m, const uint8_t *, off) >> 4) {
    case 4:
        return look_ip4(m, off, k);
    case 6:
        return look_ip6(m, off, k);
    default:
        return false;
    }
}

#define OWNER_ALL UINT32_MAX /* ours, and a copy for everybody */

static uint32_t owner_of_tcp(const struct netif *nif, const struct rte_mbuf *m, const struct look *k)
{
    const struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, k->l4);

    if (rte_pktmbuf_data_len(m) < k->l4 + 4)
        return nif->e->id; /* for ip or tcp to drop and count */
    return link_engine_of_flow(nif, &k->src, &k->dst, tcp->src_port, tcp->dst_port);
}

/* An error goes to the engine whose packet it quotes; in that the foreign address is the destination. */
static uint32_t owner_of_error(const struct netif *nif, const struct rte_mbuf *m, const struct look *error)
{
    struct look k;
    const struct rte_tcp_hdr *tcp;

    if (!look(m, error->l4 + 8, &k) || k.proto != IPPROTO_TCP || rte_pktmbuf_data_len(m) < k.l4 + 4)
        return nif->e->id;
    tcp = rte_pktmbuf_mtod_offset(m, const struct rte_tcp_hdr *, k.l4);
    return link_engine_of_flow(nif, &k.dst, &k.src, tcp->dst_port, tcp->src_port);
}

static bool icmp4_is_error(uint8_t type)
{
    return type == 3 || type == 4 || type == 5 || type == 11 || type == 12; /* RFC 1122 §3.2.2 */
}

static uint32_t owner_of_icmp(const struct netif *nif, const struct rte_mbuf *m, const struct look *k)
{
    uint8_t type;

    if (rte_pktmbuf_data_len(m) <= k->l4)
        return nif->e->id;
    type = *rte_pktmbuf_mtod_offset(m, const uint8_t *, k->l4);
    if (k->proto == IPPROTO_ICMP)
        return icmp4_is_error(type) ? owner_of_error(nif, m, k) : nif->e->id;
    if (type < ICMP6_INFO)
        return owner_of_error(nif, m, k);
    return type >= ICMP6_LINK_FIRST && type <= ICMP6_LINK_LAST ? OWNER_ALL : nif->e->id;
}

static uint32_t owner_of_ip(const struct netif *nif, const struct rte_mbuf *m, uint32_t off)
{
    const struct spread *s = nif->spread;
    struct look k;

    if (!look(m, off, &k))
        return nif->e->id;
    if (k.fragment) /* with two addresses all fragments meet; see link_redirect() */
        return s->rss ? nif->e->id : owner_of_hash(s, flow_hash(&k.src, &k.dst, 0, 0));
    switch (k.proto) {
    case IPPROTO_TCP:
        return s->rss ? nif->e->id : owner_of_tcp(nif, m, &k);
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return owner_of_icmp(nif, m, &k);
    case IPPROTO_IGMP:
        return nif->e->id;
    default:
        return s->rss ? nif->e->id : owner_of_hash(s, flow_hash(&k.src, &k.dst, 0, 0));
    }
}

static uint32_t owner_of_frame(const struct netif *nif, const struct rte_mbuf *m)
{
    const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

    if (rte_pktmbuf_data_len(m) < sizeof(*eh))
        return nif->e->id;
    switch (eh->ether_type) {
    case RTE_BE16(RTE_ETHER_TYPE_ARP):
        return OWNER_ALL;
    case RTE_BE16(RTE_ETHER_TYPE_IPV4):
    case RTE_BE16(RTE_ETHER_TYPE_IPV6):
        return owner_of_ip(nif, m, sizeof(*eh));
    default:
        return nif->e->id;
    }
}

static void put(struct netif *nif, uint32_t engine, struct rte_mbuf **pkts, uint16_t n)
{
    uint16_t taken = rte_ring_enqueue_burst(nif->spread->rx[engine], (void **)pkts, n, NULL);

    nif->stats.spread_out += taken;
    nif->stats.drop_spread_full += n - taken;
    if (taken < n)
        rte_pktmbuf_free_bulk(pkts + taken, n - taken);
}

static void copy_to_all(struct netif *nif, const struct rte_mbuf *m)
{
    for (uint32_t i = 0; i < nif->spread->engines; i++) {
        struct rte_mbuf *copy;

        if (i == nif->e->id)
            continue;
        copy = fault_now() ? NULL : rte_pktmbuf_copy(m, nif->e->pkt_pool, 0, UINT32_MAX);
        if (!copy) {
            nif->stats.drop_spread_nobuf++;
            continue;
        }
        pkt_info(copy)->flags = PKT_COPY;
        put(nif, i, &copy, 1);
    }
}

/* Hands over, engine by engine, what owner[] gives to others. Few engines have packets in one burst. */
static void put_foreign(struct netif *nif, struct rte_mbuf **pkts, uint32_t *owner, uint16_t n)
{
    struct rte_mbuf *batch[SPREAD_BURST];

    for (uint16_t i = 0; i < n; i++) {
        uint32_t to = owner[i];
        uint16_t k = 0;

        if (to == OWNER_ALL)
            continue;
        for (uint16_t j = i; j < n; j++) {
            if (owner[j] == to) {
                batch[k++] = pkts[j];
                owner[j] = OWNER_ALL;
            }
        }
        put(nif, to, batch, k);
    }
}

uint16_t spread_input(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    struct rte_mbuf *foreign[SPREAD_BURST];
    uint32_t owner[SPREAD_BURST];
    uint16_t kept = 0, n_foreign = 0;

    for (uint16_t i = 0; i < n; i++) {
        uint32_t to = owner_of_frame(nif, pkts[i]);

        if (to == OWNER_ALL)
            copy_to_all(nif, pkts[i]);
        if (to == OWNER_ALL || to == nif->e->id || n_foreign == SPREAD_BURST) {
            pkts[kept++] = pkts[i];
        } else {
            owner[n_foreign] = to;
            foreign[n_foreign++] = pkts[i];
        }
    }
    put_foreign(nif, foreign, owner, n_foreign);
    return kept;
}

bool link_redirect(struct netif *nif, struct rte_mbuf *m)
{
    struct look k;
    uint32_t to;

    if (!nif->spread || !look(m, 0, &k) || k.fragment || k.proto != IPPROTO_TCP)
        return false;
    to = owner_of_tcp(nif, m, &k);
    if (to == nif->e->id)
        return false;
    /* The frame's own header lies before the IP header still. */
    rte_pktmbuf_prepend(m, sizeof(struct rte_ether_hdr));
    pkt_info(m)->flags = 0;
    put(nif, to, &m, 1);
    return true;
}

unsigned spread_receive(struct netif *nif)
{
    struct rte_mbuf *pkts[SPREAD_BURST];
    uint16_t n = rte_ring_dequeue_burst(nif->spread->rx[nif->e->id], (void **)pkts, SPREAD_BURST, NULL);

    nif->stats.spread_in += n;
    if (n)
        ether_deliver(nif, pkts, n);
    return n;
}

/*
 * The owner of the queue will free the packet on his thread. Buffers count their references atomically, but
 * what frees external memory (an extent's end) belongs to this engine: such packets are copied.
 */
static struct rte_mbuf *detach_from_engine(struct netif *nif, struct rte_mbuf *m)
{
    struct rte_mbuf *seg, *copy;

    for (seg = m; seg; seg = seg->next) {
        if (seg->ol_flags & (RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT))
            break;
    }
    if (!seg)
        return m;
    copy = fault_now() ? NULL : rte_pktmbuf_copy(m, nif->e->pkt_pool, 0, UINT32_MAX);
    if (copy) {
        copy->ol_flags |= m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK;
        copy->tx_offload = m->tx_offload;
    } else {
        nif->stats.drop_tx_nobuf++;
    }
    rte_pktmbuf_free(m);
    return copy;
}

/* A packet that could not be copied counts as taken: it is gone and counted. */
uint16_t spread_send(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    struct spread *s = nif->spread;
    struct rte_ring *ring = s->tx[nif->e->id % s->queues];
    uint16_t room = RTE_MIN(n, rte_ring_free_count(ring)), i;

    for (i = 0; i < room; i++) {
        struct rte_mbuf *m = detach_from_engine(nif, pkts[i]);

        if (m && rte_ring_enqueue(ring, m) != 0) { /* others were faster */
            pkts[i] = m;
            break;
        }
        nif->stats.spread_out += m != NULL;
    }
    return i;
}

unsigned spread_transmit(struct netif *nif)
{
    struct rte_ring *ring = nif->spread->tx[nif->e->id];
    uint16_t room = NETIF_TX_MAX - nif->n_tx, n;

    if (!ring)
        return 0;
    n = rte_ring_dequeue_burst(ring, (void **)(nif->tx + nif->n_tx), room, NULL);
    for (uint16_t end = nif->n_tx + n; nif->n_tx < end; nif->n_tx++)
        nif->tx_len[nif->n_tx] = rte_pktmbuf_pkt_len(nif->tx[nif->n_tx]);
    return n;
}

/* Names must differ within the process: the address of s does. */
static struct rte_ring *ring_new(const struct spread *s, const char *way, uint32_t i, uint32_t size,
                                 unsigned flags, int socket_id)
{
    char name[RTE_RING_NAMESIZE];
    int len = snprintf(name, sizeof(name), "%s%u_%" PRIxPTR, way, i, (uintptr_t)s);

    return fault_now() || len >= (int)sizeof(name) ? NULL : rte_ring_create(name, size, socket_id, flags);
}

static bool rings_create(struct spread *s, uint32_t size, int socket_id)
{
    for (uint32_t i = 0; i < s->engines; i++) {
        s->rx[i] = ring_new(s, "rx", i, size, RING_F_SC_DEQ, socket_id);
        if (!s->rx[i])
            return false;
    }
    for (uint32_t i = 0; i < s->queues && i + s->queues < s->engines; i++) {
        bool one = i + 2 * s->queues >= s->engines;

        s->tx[i] = ring_new(s, "tx", i, size, RING_F_SC_DEQ | (one ? RING_F_SP_ENQ : 0), socket_id);
        if (!s->tx[i])
            return false;
    }
    return true;
}

struct spread *spread_create(const struct port *port, uint32_t engines, uint32_t ring_size, int socket_id)
{
    struct spread *s;

    if (engines > SPREAD_ENGINES_MAX || port->queues == 0) {
        errno = EINVAL;
        return NULL;
    }
    s = mem_alloc(sizeof(*s));
    if (!s) {
        errno = ENOMEM;
        return NULL;
    }
    s->engines = engines;
    s->queues = RTE_MIN(port->queues, engines);
    s->rss = port->reta_size && s->queues == engines;
    if (!rings_create(s, ring_size, socket_id)) {
        spread_destroy(s);
        errno = ENOMEM;
        return NULL;
    }
    return s;
}

static void ring_free(struct rte_ring *r)
{
    void *m;

    while (r && rte_ring_dequeue(r, &m) == 0)
        rte_pktmbuf_free(m);
    rte_ring_free(r);
}

void spread_destroy(struct spread *s)
{
    if (!s)
        return;
    for (uint32_t i = 0; i < SPREAD_ENGINES_MAX; i++) {
        ring_free(s->rx[i]);
        ring_free(s->tx[i]);
    }
    mem_free(s);
}
