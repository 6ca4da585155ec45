// SPDX-License-Identifier: BSD-3-Clause
// IPv6 input (RFC 8200). Extension headers are walked with limits: a host needs few, an attacker many.
#include <stddef.h>
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <rte_ip.h>
#include "ip/priv.h"

#define HEADERS_MAX 8
#define CHAIN_MAX   400 /* bytes of IPv6 and extension headers: m->l3_len has 9 bits */

static uint64_t *check(struct ip_layer *ip, struct rte_mbuf *m)
{
    struct ip_stats *st = &ip->stats;
    if (m->data_len < sizeof(struct rte_ipv6_hdr))
        return &st->tooshort;
    const struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
    if ((rte_be_to_cpu_32(h->vtc_flow) >> 28) != 6)
        return &st->badvers;
    unsigned total = sizeof(*h) + rte_be_to_cpu_16(h->payload_len);
    if (total > m->pkt_len)
        return &st->badlen;
    struct pkt_info *info = pkt_info(m);
    info->src = ip_addr_v6(h->src_addr);
    info->dst = ip_addr_v6(h->dst_addr);
    bool from_v4 =
        ip_addr_is_v4(&info->src) || ip_addr_is_v4(&info->dst); /* must not be seen on a wire (RFC 4291) */
    bool loop = IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)info->src.b) ||
                IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)info->dst.b);
    if (ip_addr_is_multicast(&info->src) || from_v4 || (loop && !info->netif->loopback))
        return &st->badaddr;
    if (total < m->pkt_len)
        ip_trim(m, total);
    info->tos = (uint8_t)(rte_be_to_cpu_32(h->vtc_flow) >> 20);
    info->ttl = h->hop_limits;
    if (pkt_l4_good(m))
        info->flags |= PKT_CKSUM_OK;
    return NULL;
}

static uint64_t *for_us(struct ip_layer *ip, const struct pkt_info *info)
{
    if (ip_addr_is_multicast(&info->dst))
        return group_joined(info->netif, &info->dst) ? NULL : &ip->stats.notmember;
    /* ND of an address that is still checked comes to its group; nothing comes to the address itself. */
    return ip_addr_find(ip->e, &info->dst) ? NULL : &ip->stats.cantforward;
}

/* RFC 8200 §4.2: an option we don't know says in its two highest bits what to do. 0: all may be skipped; the
 * offset of one that may not; -1: malformed. */
static int option_refused(const uint8_t *p, unsigned len)
{
    for (unsigned i = 2; i < len;) {
        if (p[i] == IP6OPT_PAD1) {
            i++;
            continue;
        }
        if (i + 1 >= len || i + 2 + p[i + 1] > len)
            return -1;
        if (p[i] != IP6OPT_PADN && (p[i] >> 6) != 0)
            return (int)i;
        i += 2u + p[i + 1];
    }
    return 0;
}

/* Where in the packet stands what the header at `off` is: for the pointer of a parameter problem. */
static unsigned next_header_field(const uint8_t *packet, unsigned off)
{
    unsigned field = offsetof(struct rte_ipv6_hdr, proto), at = sizeof(struct rte_ipv6_hdr);
    while (at < off) {
        field = at;
        at += 8u * (packet[at + 1] + 1u);
    }
    return field;
}

/* Tells the sender of m, whose data is at the IP header. */
static uint64_t *refuse(struct ip_layer *ip, struct rte_mbuf *m, uint8_t code, unsigned pointer)
{
    m->l3_len = 0;
    icmp6_error(ip->e, m, ICMP6_PARAM_PROB, code, pointer);
    return &ip->stats.badoptions;
}

static uint64_t *options(struct ip_layer *ip, struct rte_mbuf *m, unsigned off, unsigned len)
{
    const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, off);
    int at = option_refused(p, len);
    if (at == 0)
        return NULL;
    unsigned action = at > 0 ? p[at] >> 6 : 1; /* 01: discard; 10: tell; 11: tell, but not of a group */
    if (action == 2 || (action == 3 && !ip_addr_is_multicast(&pkt_info(m)->dst)))
        return refuse(ip, m, ICMP6_PARAMPROB_OPTION, off + (unsigned)at);
    return &ip->stats.badoptions;
}

/*
 * Walks the chain from `next` at offset *off to the transport header. NULL: *off is there and info->proto
 * says what it is; the fragment header stops the walk with IPPROTO_FRAGMENT. Else the counter.
 */
static uint64_t *walk(struct ip_layer *ip, struct rte_mbuf *m, uint8_t next, unsigned *off)
{
    struct pkt_info *info = pkt_info(m);
    for (unsigned count = 0;; count++) {
        bool first = count == 0 && *off == sizeof(struct rte_ipv6_hdr);
        if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
            break;
        if (count == HEADERS_MAX || *off + 8 > m->data_len || *off > CHAIN_MAX)
            return &ip->stats.toomanyhdr;
        const uint8_t *p = rte_pktmbuf_mtod_offset(m, const uint8_t *, *off);
        unsigned len = 8u * (p[1] + 1u);
        info->proto = next;
        if (*off + len > m->data_len)
            return &ip->stats.badoptions;
        if (next == IPPROTO_HOPOPTS && !first)
            return refuse(ip, m, ICMP6_PARAMPROB_NEXTHEADER,
                          next_header_field(rte_pktmbuf_mtod(m, const uint8_t *), *off));
        if (next == IPPROTO_ROUTING && p[3] != 0) /* segments left: type 0 (RFC 5095), and we don't forward */
            return refuse(ip, m, ICMP6_PARAMPROB_HEADER, *off + 2);
        uint64_t *bad = next != IPPROTO_ROUTING ? options(ip, m, *off, len) : NULL;
        if (bad)
            return bad;
        next = p[0];
        *off += len;
    }
    info->proto = next;
    return *off > CHAIN_MAX ? &ip->stats.toomanyhdr : NULL;
}

static void deliver(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct ip_proto *proto = ip->protos[pkt_info(m)->proto];
    ip->stats.delivered6++;
    if (pkt_info(m)->proto == IPPROTO_ICMPV6) {
        icmp6_input(ip->e, m);
    } else if (pkt_info(m)->proto == IPPROTO_NONE) {
        rte_pktmbuf_free(m);
    } else if (proto) {
        proto->input(ip->e, &m, 1);
    } else {
        const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *) - m->l3_len;
        icmp6_error(ip->e, m, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_NEXTHEADER, next_header_field(h, m->l3_len));
        ip->stats.delivered6--;
        ip_drop(m, &ip->stats.noproto);
    }
}

static struct rte_mbuf *receive(struct ip_layer *ip, struct rte_mbuf *m)
{
    unsigned off = sizeof(struct rte_ipv6_hdr);
    uint64_t *bad = check(ip, m);
    if (!bad)
        bad = for_us(ip, pkt_info(m));
    if (!bad)
        bad = walk(ip, m, rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->proto, &off);
    if (!bad && pkt_info(m)->proto == IPPROTO_FRAGMENT) {
        m = fragment6_input(ip, m, off);
        if (!m)
            return NULL;
        off = sizeof(struct rte_ipv6_hdr);
        pkt_info(m)->flags &= (uint8_t)~PKT_CKSUM_OK;
        bad = walk(ip, m, rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *)->proto, &off);
        if (!bad && pkt_info(m)->proto == IPPROTO_FRAGMENT)
            bad = &ip->stats.badoptions;
    }
    if (bad) {
        ip_drop(m, bad);
        return NULL;
    }
    m->l3_len = off;
    rte_pktmbuf_adj(m, (uint16_t)off);
    return m;
}

void ip6_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    struct ip_layer *ip = e->ip;
    const struct ip_proto *tcp = ip->protos[IPPROTO_TCP];
    uint16_t n_tcp = 0;
    ip->stats.total6 += n;
    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = receive(ip, pkts[i]);
        if (!m)
            continue;
        if (pkt_info(m)->proto == IPPROTO_TCP && tcp && !ip_addr_is_multicast(&pkt_info(m)->dst))
            pkts[n_tcp++] = m;
        else
            deliver(ip, m);
    }
    if (n_tcp > 0) {
        ip->stats.delivered6 += n_tcp;
        tcp->input(e, pkts, n_tcp);
    }
}
