// SPDX-License-Identifier: BSD-3-Clause
// In software what a port does not offer: TCP segmentation, transport and IPv4 checksums, packets in one
// piece.
#include <assert.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>
#include "base/alloc.h"
#include "base/cksum.h"
#include "link/priv.h"

/* tcp_flags */
#define TCP_FIRST_ONLY RTE_TCP_CWR_FLAG /* RFC 3168 §6.1.2: once for a reduction */
#define TCP_LAST_ONLY  (RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG)

/* Segments of at least so many pieces pay for references; a port that leaves checksums to us reads every
 * byte anyway. */
#define REFER_SEGS_MIN 4

static uint32_t header_len(const struct rte_mbuf *m)
{
    return m->l2_len + m->l3_len + m->l4_len;
}

static bool tso_offered(const struct port *port, const struct rte_mbuf *m)
{
    uint16_t segs = port->tso_seg_max ? port->tso_seg_max : port->tx_seg_max;

    return (port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO) &&
           rte_pktmbuf_pkt_len(m) - header_len(m) <= port->tso_max && m->nb_segs <= segs;
}

static bool l4_offered(const struct port *port, const struct rte_mbuf *m)
{
    switch (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) {
    case RTE_MBUF_F_TX_TCP_CKSUM:
        return port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM;
    case RTE_MBUF_F_TX_UDP_CKSUM:
        return port->tx_offloads & RTE_ETH_TX_OFFLOAD_UDP_CKSUM;
    default:
        return true;
    }
}

static bool ip_offered(const struct port *port, const struct rte_mbuf *m)
{
    return !(m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) || (port->tx_offloads & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM);
}

bool offload_needed(const struct port *port, const struct rte_mbuf *m)
{
    if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
        return !tso_offered(port, m) || !ip_offered(port, m);
    return m->nb_segs > port->tx_seg_max || !l4_offered(port, m) || !ip_offered(port, m);
}

/* The field holds the pseudo header's sum, so the sum over the transport packet is all there is to do (RFC
 * 1071). */
static void cksum_l4(struct rte_mbuf *m)
{
    uint32_t off = m->l2_len + m->l3_len;
    bool udp = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_UDP_CKSUM;
    uint16_t *field = rte_pktmbuf_mtod_offset(
        m, uint16_t *,
        off + (udp ? offsetof(struct rte_udp_hdr, dgram_cksum) : offsetof(struct rte_tcp_hdr, cksum)));

    *field = (uint16_t)~cksum_mbuf(m, off, rte_pktmbuf_pkt_len(m) - off);
    if (udp && *field == 0) /* RFC 768: zero means none */
        *field = 0xffff;
    m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
}

static void cksum_ip(struct rte_mbuf *m)
{
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, m->l2_len);

    ip->hdr_checksum = 0;
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    m->ol_flags &= ~RTE_MBUF_F_TX_IP_CKSUM;
}

/* A chain of fresh buffers with m's bytes and wishes, or NULL. m stays the caller's. */
static struct rte_mbuf *copy_packet(struct netif *nif, const struct rte_mbuf *m)
{
    struct rte_mbuf *copy =
        fault_now() ? NULL : rte_pktmbuf_copy(m, nif->e->pkt_pool, 0, rte_pktmbuf_pkt_len(m));

    if (copy) {
        copy->ol_flags = (copy->ol_flags & (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)) |
                         (m->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK);
        copy->tx_offload = m->tx_offload;
    }
    return copy;
}

static struct rte_mbuf *linearise(struct netif *nif, struct rte_mbuf *m)
{
    struct rte_mbuf *copy = copy_packet(nif, m);

    rte_pktmbuf_free(m);
    if (copy && copy->nb_segs <= nif->port->tx_seg_max) {
        nif->stats.sw_linear++;
        return copy;
    }
    rte_pktmbuf_free(copy);
    nif->stats.drop_tx_nobuf++;
    return NULL;
}

/* Everything but segmentation. Takes m. */
static void finish_one(struct netif *nif, struct rte_mbuf *m)
{
    bool summed = false;

    if (!l4_offered(nif->port, m)) {
        cksum_l4(m);
        summed = true;
    }
    if (!ip_offered(nif->port, m)) {
        cksum_ip(m);
        summed = true;
    }
    nif->stats.sw_cksum += summed;
    if (m->nb_segs > nif->port->tx_seg_max && !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG))
        m = linearise(nif, m);
    if (m)
        netif_enqueue(nif, m);
}

/* Where the next segment's payload lies in the large packet. */
struct tso {
    struct netif *nif;
    struct rte_mbuf *whole, *at;
    uint32_t at_off;
    uint32_t hdr, payload, sent; /* bytes */
    uint16_t index;              /* of the segment */
    bool refer;
};

/* The next piece of the payload that lies in one buffer. */
static uint32_t tso_piece(struct tso *t, uint32_t want)
{
    while (t->at_off == rte_pktmbuf_data_len(t->at)) {
        t->at = t->at->next;
        t->at_off = 0;
    }
    return RTE_MIN(want, rte_pktmbuf_data_len(t->at) - t->at_off);
}

static bool append_reference(struct tso *t, struct rte_mbuf *seg, uint32_t len)
{
    struct rte_mbuf *ref = pkt_alloc(t->nif->e->pkt_pool);

    if (!ref)
        return false;
    rte_pktmbuf_attach(ref, t->at);
    ref->data_off += t->at_off;
    ref->data_len = len;
    ref->pkt_len = len;
    ref->nb_segs = 1;
    ref->next = NULL;
    rte_pktmbuf_chain(seg, ref);
    return true;
}

static bool append_copy(struct tso *t, struct rte_mbuf *seg, uint32_t len)
{
    const uint8_t *from = rte_pktmbuf_mtod_offset(t->at, const uint8_t *, t->at_off);

    while (len) {
        uint32_t fits = RTE_MIN(len, rte_pktmbuf_tailroom(rte_pktmbuf_lastseg(seg)));
        struct rte_mbuf *more;

        if (fits) {
            memcpy(rte_pktmbuf_append(seg, fits), from, fits);
            from += fits;
            len -= fits;
            continue;
        }
        more = pkt_alloc(t->nif->e->pkt_pool);
        if (!more)
            return false;
        rte_pktmbuf_chain(seg, more);
    }
    return true;
}

static bool tso_fill(struct tso *t, struct rte_mbuf *seg, uint32_t want)
{
    while (want) {
        uint32_t len = tso_piece(t, want);

        if (!(t->refer ? append_reference(t, seg, len) : append_copy(t, seg, len)))
            return false;
        t->at_off += len;
        want -= len;
    }
    return true;
}

static void fix_ip(struct tso *t, struct rte_mbuf *seg, struct rte_tcp_hdr *tcp)
{
    uint16_t l4 = rte_pktmbuf_pkt_len(seg) - seg->l2_len - seg->l3_len;

    tcp->cksum = 0;
    if (seg->ol_flags & RTE_MBUF_F_TX_IPV6) {
        struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(seg, struct rte_ipv6_hdr *, seg->l2_len);
        struct rte_ipv6_hdr pseudo = *ip;

        ip->payload_len = rte_cpu_to_be_16(rte_pktmbuf_pkt_len(seg) - seg->l2_len - sizeof(*ip));
        pseudo.payload_len = rte_cpu_to_be_16(l4); /* without extension headers */
        pseudo.proto = IPPROTO_TCP;
        tcp->cksum = rte_ipv6_phdr_cksum(&pseudo, 0);
    } else {
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(seg, struct rte_ipv4_hdr *, seg->l2_len);

        ip->total_length = rte_cpu_to_be_16(seg->l3_len + l4);
        ip->packet_id = rte_cpu_to_be_16(rte_be_to_cpu_16(ip->packet_id) + t->index);
        ip->hdr_checksum = 0;
        if (!(seg->ol_flags & RTE_MBUF_F_TX_IP_CKSUM))
            ip->hdr_checksum = rte_ipv4_cksum(ip);
        tcp->cksum = rte_ipv4_phdr_cksum(ip, 0);
    }
}

static void fix_headers(struct tso *t, struct rte_mbuf *seg, uint32_t len)
{
    struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(seg, struct rte_tcp_hdr *, seg->l2_len + seg->l3_len);

    tcp->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(tcp->sent_seq) + t->sent);
    if (t->sent)
        tcp->tcp_flags &= ~TCP_FIRST_ONLY;
    if (t->sent + len < t->payload)
        tcp->tcp_flags &= ~TCP_LAST_ONLY;
    fix_ip(t, seg, tcp);
}

/* One segment with headers and len bytes of payload, or NULL. */
static struct rte_mbuf *tso_segment(struct tso *t, uint32_t len)
{
    struct rte_mbuf *seg = pkt_alloc(t->nif->e->pkt_pool);

    if (!seg)
        return NULL;
    memcpy(rte_pktmbuf_append(seg, t->hdr), rte_pktmbuf_mtod(t->whole, const void *), t->hdr);
    seg->tx_offload = t->whole->tx_offload;
    seg->tso_segsz = 0;
    seg->ol_flags |=
        (t->whole->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK & ~RTE_MBUF_F_TX_TCP_SEG) | RTE_MBUF_F_TX_TCP_CKSUM;
    if (!tso_fill(t, seg, len)) {
        rte_pktmbuf_free(seg);
        return NULL;
    }
    fix_headers(t, seg, len);
    return seg;
}

static void software_tso(struct netif *nif, struct rte_mbuf *m)
{
    struct tso t = {.nif = nif, .whole = m, .at = m, .hdr = header_len(m), .at_off = header_len(m)};
    uint32_t segsz = m->tso_segsz ? m->tso_segsz : 1;

    assert(rte_pktmbuf_data_len(m) >= t.hdr); /* headers are never split */
    t.payload = rte_pktmbuf_pkt_len(m) - t.hdr;
    t.refer =
        nif->port->tx_seg_max >= REFER_SEGS_MIN && (nif->port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
    nif->stats.sw_tso++;
    do {
        uint32_t len = RTE_MIN(segsz, t.payload - t.sent);
        struct rte_mbuf *seg = tso_segment(&t, len);

        if (!seg) { /* the rest is lost, as if on the wire */
            nif->stats.drop_tx_nobuf++;
            break;
        }
        finish_one(nif, seg);
        t.sent += len;
        t.index++;
    } while (t.sent < t.payload);
    rte_pktmbuf_free(m);
}

void offload_finish(struct netif *nif, struct rte_mbuf *m)
{
    if ((m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) && !tso_offered(nif->port, m))
        software_tso(nif, m);
    else
        finish_one(nif, m);
}
