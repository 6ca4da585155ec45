// SPDX-License-Identifier: BSD-3-Clause
// IPv4 input (RFC 791, RFC 1122 §3.2.1). Packets of TCP go up as one burst.
#include <netinet/ip_icmp.h>
#include <rte_ip.h>
#include "ip/priv.h"

static bool header_sum_good(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip, unsigned hlen)
{
    if (pkt_ip_good(m))
        return true;
    if (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_BAD)
        return false;
    return rte_raw_cksum(ip, hlen) == 0xffff;
}

/* Addresses that cannot be the sender of a packet from this interface (RFC 1122 §3.2.1.3). */
static bool martian(const struct netif *nif, uint32_t src, uint32_t dst)
{
    src = ntohl(src);
    dst = ntohl(dst);
    if (src >= 0xe0000000 || src == 0)
        return true;
    return !nif->loopback && ((src >> 24) == 127 || (dst >> 24) == 127);
}

/* Cuts m to the packet and checks its header; the counter that a bad one belongs to, or NULL. */
static uint64_t *check(struct ip_layer *ip, struct rte_mbuf *m, unsigned *hlen)
{
    struct ip_stats *st = &ip->stats;
    if (m->data_len < sizeof(struct rte_ipv4_hdr))
        return &st->tooshort;
    const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
    *hlen = rte_ipv4_hdr_len(h);
    if (h->version != 4)
        return &st->badvers;
    if (*hlen < sizeof(*h) || *hlen > m->data_len)
        return &st->badhlen;
    unsigned total = rte_be_to_cpu_16(h->total_length);
    if (total < *hlen || total > m->pkt_len)
        return &st->badlen;
    if (!header_sum_good(m, h, *hlen))
        return &st->badsum;
    if (martian(pkt_info(m)->netif, h->src_addr, h->dst_addr))
        return &st->badaddr;
    if (total < m->pkt_len)
        ip_trim(m, total);
    return NULL;
}

static bool broadcast(const struct netif *nif, uint32_t dst)
{
    const struct ifaddr *ia;
    if (dst == INADDR_BROADCAST)
        return true;
    TAILQ_FOREACH (ia, ip_addrs(nif->e), link) {
        uint32_t host = ia->plen < 31 ? htonl(UINT32_MAX >> ia->plen) : 0;
        if (host && ia->netif == nif && ip_addr_is_v4(&ia->addr) && dst == (ia->addr.w[3] | host))
            return true;
    }
    return false;
}

static void fill_info(struct rte_mbuf *m, const struct rte_ipv4_hdr *h, unsigned hlen)
{
    struct pkt_info *info = pkt_info(m);
    info->src = ip_addr_v4(h->src_addr);
    info->dst = ip_addr_v4(h->dst_addr);
    info->proto = h->next_proto_id;
    info->tos = h->type_of_service;
    info->ttl = h->time_to_live;
    if (pkt_l4_good(m))
        info->flags |= PKT_CKSUM_OK;
    m->l3_len = hlen;
}

/* All but TCP, which goes in bursts. Takes m. */
static void deliver(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct ip_proto *proto = ip->protos[pkt_info(m)->proto];
    ip->stats.delivered4++;
    if (pkt_info(m)->proto == IPPROTO_ICMP) {
        icmp4_input(ip->e, m);
    } else if (proto) {
        proto->input(ip->e, &m, 1);
    } else {
        icmp4_error(ip->e, m, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
        ip->stats.delivered4--;
        ip_drop(m, &ip->stats.noproto);
    }
}

#define NO_ADDRESS UINT64_MAX /* no 32 bits are equal to it */

/* Is the packet for us? Broadcasts and groups are looked at by ICMP alone. */
static uint64_t *for_us(struct ip_layer *ip, struct rte_mbuf *m, uint64_t *ours)
{
    const struct pkt_info *info = pkt_info(m);
    if (ip_addr_find(ip->e, &info->dst)) {
        *ours = info->dst.w[3];
        return NULL;
    }
    if (!ip_addr_is_multicast(&info->dst) && !broadcast(info->netif, info->dst.w[3]))
        return &ip->stats.cantforward;
    return info->proto == IPPROTO_ICMP && ip->params.bmcastecho ? NULL : &ip->stats.notmember;
}

/* The packet, ready for its protocol with data at the transport header; NULL: gone. ours: an address that is, or NO_ADDRESS. */
static struct rte_mbuf *receive(struct ip_layer *ip, struct rte_mbuf *m, uint64_t *ours)
{
    unsigned hlen;
    uint64_t *bad = check(ip, m, &hlen);
    if (!bad) {
        const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
        fill_info(m, h, hlen);
        bad = h->dst_addr == *ours ? NULL : for_us(ip, m, ours);
    }
    if (bad) {
        ip_drop(m, bad);
        return NULL;
    }
    const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
    if (h->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)) {
        m = fragment4_input(ip, m);
        if (!m)
            return NULL;
        fill_info(m, rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *), m->l3_len);
        pkt_info(m)->flags &= (uint8_t)~PKT_CKSUM_OK;
    }
    rte_pktmbuf_adj(m, m->l3_len);
    return m;
}

void ip4_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    struct ip_layer *ip = e->ip;
    const struct ip_proto *tcp = ip->protos[IPPROTO_TCP];
    uint16_t n_tcp = 0;
    uint64_t ours = NO_ADDRESS; /* most of a burst come to one address: it is looked up once */
    ip->stats.total4 += n;
    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = receive(ip, pkts[i], &ours);
        if (!m)
            continue;
        if (pkt_info(m)->proto == IPPROTO_TCP && tcp)
            pkts[n_tcp++] = m;
        else
            deliver(ip, m);
    }
    if (n_tcp > 0) {
        ip->stats.delivered4 += n_tcp;
        tcp->input(e, pkts, n_tcp);
    }
}
