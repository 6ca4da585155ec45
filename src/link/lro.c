// SPDX-License-Identifier: BSD-3-Clause
// Large receive in software, for ports that do not join segments themselves: TCP segments of one burst that follow each other
// become one packet, by reference. What they are joined from must differ in nothing but sequence number, length and PSH, so that
// every one of them could be told apart again, and every checksum is looked at before.
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include "link/priv.h"

#define FLOWS       8     /* open at a time, by their ports */
#define JOINED_MAX  65000 /* bytes of one packet */
#define PIECES_MAX  44    /* segments of one packet, as NICs have it */
#define ETHER       sizeof(struct rte_ether_hdr)
#define SUMMED_GOOD (RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD)

/* A packet that others may be joined to. */
struct open {
    struct rte_mbuf *m; /* NULL: none */
    uint32_t next;      /* sequence number that would follow */
    uint16_t first;     /* payload of the first segment: only the last may be shorter */
    bool shut;          /* was shorter, or has PSH */
};

struct segment {
    uint8_t *l3;
    struct rte_tcp_hdr *tcp;
    uint32_t seq;
    uint16_t l3_len, headers, payload; /* headers: from the frame's beginning */
    bool v4;
};

static bool parse_ip(const struct rte_mbuf *m, struct segment *s)
{
    const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    s->l3 = rte_pktmbuf_mtod_offset(m, uint8_t *, ETHER);
    s->v4 = eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4);
    if (s->v4) {
        const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)s->l3;
        s->l3_len = sizeof(*ip);
        return ip->version_ihl == RTE_IPV4_VHL_DEF && ip->next_proto_id == IPPROTO_TCP &&
               !(ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) &&
               ETHER + rte_be_to_cpu_16(ip->total_length) == m->data_len;
    }
    const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)s->l3;
    s->l3_len = sizeof(*ip);
    return eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && ip->proto == IPPROTO_TCP &&
           ETHER + sizeof(*ip) + rte_be_to_cpu_16(ip->payload_len) == m->data_len;
}

/* Data, and nothing else to say. */
static bool parse(const struct rte_mbuf *m, struct segment *s)
{
    const uint8_t plain = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG;
    if (m->nb_segs != 1 || m->data_len < ETHER + sizeof(struct rte_ipv6_hdr) + sizeof(struct rte_tcp_hdr) ||
        pkt_info((struct rte_mbuf *)(uintptr_t)m)->flags || !parse_ip(m, s))
        return false;
    s->tcp = (struct rte_tcp_hdr *)(s->l3 + s->l3_len);
    uint32_t tcp_len = (s->tcp->data_off >> 4) * 4u;
    s->headers = (uint16_t)(ETHER + s->l3_len + tcp_len);
    if (tcp_len < sizeof(struct rte_tcp_hdr) || s->headers >= m->data_len || (s->tcp->tcp_flags & ~plain) ||
        !(s->tcp->tcp_flags & RTE_TCP_ACK_FLAG))
        return false;
    s->payload = m->data_len - s->headers;
    s->seq = rte_be_to_cpu_32(s->tcp->sent_seq);
    return true;
}

/* Looks at the checksums unless the port has, and notes that they are right. */
static bool sums_good(struct rte_mbuf *m, const struct segment *s)
{
    uint64_t ip = m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK, l4 = m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_MASK;
    if (ip == RTE_MBUF_F_RX_IP_CKSUM_BAD || l4 == RTE_MBUF_F_RX_L4_CKSUM_BAD)
        return false;
    if (s->v4 && !pkt_ip_good(m) && rte_raw_cksum(s->l3, s->l3_len) != 0xffff)
        return false;
    if (!pkt_l4_good(m) &&
        (s->v4 ? rte_ipv4_udptcp_cksum_verify((const struct rte_ipv4_hdr *)s->l3, s->tcp)
               : rte_ipv6_udptcp_cksum_verify((const struct rte_ipv6_hdr *)s->l3, s->tcp)) != 0)
        return false;
    m->ol_flags |= SUMMED_GOOD;
    return true;
}

/* Everything but lengths, identification, header checksum, sequence number, PSH and TCP checksum. */
static bool same_headers(const struct segment *a, const struct segment *b)
{
    const size_t ports = 4, ack = 8, options = sizeof(struct rte_tcp_hdr);
    const uint8_t *x = (const uint8_t *)a->tcp, *y = (const uint8_t *)b->tcp;
    if (a->v4 != b->v4 || a->headers != b->headers)
        return false;
    bool same = a->v4 ? memcmp(a->l3, b->l3, 2) == 0 && memcmp(a->l3 + 6, b->l3 + 6, 4) == 0 &&
                            memcmp(a->l3 + 12, b->l3 + 12, 8) == 0
                      : memcmp(a->l3, b->l3, 4) == 0 && memcmp(a->l3 + 6, b->l3 + 6, 34) == 0;
    if (!same)
        return false;
    return memcmp(x, y, ports) == 0 && memcmp(x + ack, y + ack, 5) == 0 && a->tcp->rx_win == b->tcp->rx_win &&
           memcmp(x + options, y + options, a->headers - ETHER - a->l3_len - options) == 0;
}

static bool same_frame(const struct rte_mbuf *a, const struct rte_mbuf *b)
{
    return memcmp(rte_pktmbuf_mtod(a, const void *), rte_pktmbuf_mtod(b, const void *), ETHER) == 0;
}

static bool joinable(const struct open *o, const struct segment *s, struct rte_mbuf *m)
{
    struct segment head;
    if (!o->m || o->shut || s->seq != o->next || s->payload > o->first || o->m->nb_segs >= PIECES_MAX ||
        o->m->pkt_len + s->payload > JOINED_MAX || !same_frame(o->m, m))
        return false;
    head.v4 = s->v4;
    head.l3 = rte_pktmbuf_mtod_offset(o->m, uint8_t *, ETHER);
    head.l3_len = s->l3_len;
    head.headers = s->headers;
    head.tcp = (struct rte_tcp_hdr *)(head.l3 + head.l3_len);
    return head.tcp->data_off == s->tcp->data_off && same_headers(&head, s);
}

static void join(struct open *o, const struct segment *s, struct rte_mbuf *m)
{
    uint8_t *l3 = rte_pktmbuf_mtod_offset(o->m, uint8_t *, ETHER);
    ((struct rte_tcp_hdr *)(l3 + s->l3_len))->tcp_flags |= s->tcp->tcp_flags;
    o->next += s->payload;
    o->shut = s->payload < o->first || (s->tcp->tcp_flags & RTE_TCP_PSH_FLAG);
    rte_pktmbuf_adj(m, s->headers);
    rte_pktmbuf_chain(o->m, m);
    uint16_t len = rte_cpu_to_be_16((uint16_t)(o->m->pkt_len - ETHER - (s->v4 ? 0 : s->l3_len)));
    if (s->v4)
        ((struct rte_ipv4_hdr *)l3)->total_length = len;
    else
        ((struct rte_ipv6_hdr *)l3)->payload_len = len;
}

static void begin(struct open *o, const struct segment *s, struct rte_mbuf *m)
{
    *o = (struct open){.m = m,
                       .next = s->seq + s->payload,
                       .first = s->payload,
                       .shut = s->tcp->tcp_flags & RTE_TCP_PSH_FLAG};
}

uint16_t lro_burst(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    struct open flows[FLOWS] = {0};
    uint16_t kept = 0;

    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = pkts[i];
        struct segment s;
        bool data = parse(m, &s);
        if (!data) { /* whatever it is, nothing is joined across it */
            memset(flows, 0, sizeof(flows));
            pkts[kept++] = m;
            continue;
        }
        struct open *o = &flows[(s.tcp->src_port ^ s.tcp->dst_port ^ (s.tcp->src_port >> 8)) % FLOWS];
        bool good = sums_good(m, &s);
        if (good && joinable(o, &s, m)) {
            join(o, &s, m);
            nif->stats.sw_lro++;
            nif->stats.ibytes += s.headers; /* the rest counts with the packet */
            continue;
        }
        if (good)
            begin(o, &s, m);
        else
            o->m = NULL;
        pkts[kept++] = m;
    }
    return kept;
}
