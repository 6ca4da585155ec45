// SPDX-License-Identifier: BSD-3-Clause
// IP output, both families.
#include <errno.h>
#include <string.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include "base/txlen.h"
#include "ip/priv.h"

void ip_to_link(const struct ip_path *path, struct rte_mbuf *m, bool v4)
{
    uint16_t type = v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6;
    if (!path->neigh)
        ether_output(path->netif, m, &path->netif->mac, type);
    else if (neigh_settled(path->neigh))
        ether_output(path->netif, m, &path->neigh->mac, type);
    else
        neigh_output(path->neigh, m);
}

/* 32 bits at a time add up to the same one's complement sum as 16 (RFC 1071 §2). */
static uint16_t fold(uint64_t sum)
{
    sum = (sum & UINT32_MAX) + (sum >> 32);
    uint32_t s = (uint32_t)sum + (uint32_t)(sum >> 32);
    return (uint16_t)((s + (s << 16 | s >> 16)) >> 16);
}

/* As five words, whose sum is at hand when they are written. addrs: the sum of the addresses. */
static void put_header4(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how,
                        struct rte_ipv4_hdr *h, uint64_t addrs)
{
    /* RFC 6864: a packet that can't be fragmented needs no identification. */
    uint32_t id = how->dont_fragment ? RTE_IPV4_HDR_DF_FLAG : (uint32_t)ip->next_id++ << 16;
    uint32_t ttl = how->ttl ? how->ttl : (uint8_t)ip->params.ttl;
    uint32_t w[5] = {htonl(RTE_IPV4_VHL_DEF << 24 | (uint32_t)how->tos << 16 | (m->pkt_len & UINT16_MAX)),
                     htonl(id), htonl(ttl << 24 | (uint32_t)how->proto << 16), how->src->w[3],
                     how->dst->w[3]};
    memcpy(h, w, sizeof(w));
    m->ol_flags |= RTE_MBUF_F_TX_IPV4;
    if (m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM; /* each piece gets its own */
    else
        h->hdr_checksum = (uint16_t)~fold(addrs + w[0] + w[1] + w[2]);
}

static void put_header6(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how,
                        struct rte_ipv6_hdr *h)
{
    h->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)how->tos << 20);
    h->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - sizeof(*h)));
    h->proto = how->proto;
    h->hop_limits = how->ttl ? how->ttl : (uint8_t)ip->params.hlim;
    memcpy(h->src_addr, how->src->b, 16);
    memcpy(h->dst_addr, how->dst->b, 16);
    m->ol_flags |= RTE_MBUF_F_TX_IPV6;
}

static uint64_t addresses_sum(const struct ip_send *how, bool v4)
{
    if (v4)
        return (uint64_t)how->src->w[3] + how->dst->w[3];
    uint64_t sum = 0;
    for (unsigned i = 0; i < 4; i++)
        sum += (uint64_t)how->src->w[i] + how->dst->w[i];
    return sum;
}

/* The pseudo header's sum (RFC 9293 §3.1) as NICs want it in the checksum field: without the length when they cut segments. len: of
 * the transport packet. */
static uint16_t pseudo_cksum(const struct rte_mbuf *m, uint32_t len, uint64_t addrs)
{
    return fold(addrs + htonl(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 0 : len) + htonl(IPPROTO_TCP));
}

/* Of a packet whose sum TCP knows: nobody below has to read it. */
static void finish_cksum(struct rte_mbuf *m, const struct ip_send *how, uint64_t addrs)
{
    m->ol_flags &= ~RTE_MBUF_F_TX_TCP_CKSUM;
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->cksum =
        (uint16_t)~fold(pseudo_cksum(m, m->pkt_len, addrs) + how->sum);
    how->path->netif->stats.sw_cksum++;
}

int ip_output(struct engine *e, struct rte_mbuf *m, const struct ip_send *how)
{
    struct ip_layer *ip = e->ip;
    bool v4 = ip_addr_is_v4(how->dst);
    uint64_t addrs = addresses_sum(how, v4);
    uint32_t len = m->pkt_len, hlen = v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr);
    if (how->sum)
        finish_cksum(m, how, addrs);
    else if (m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM)
        rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->cksum = pseudo_cksum(m, len, addrs);
    void *h = rte_pktmbuf_prepend(m, (uint16_t)hlen);
    if (!h) {
        ip_drop(m, &ip->stats.odropped_nobuf);
        return -ENOBUFS;
    }
    pkt_set_l3_len(m, hlen);
    if (v4)
        put_header4(ip, m, how, h, addrs);
    else
        put_header6(ip, m, how, h);
    ip->stats.localout++;
    if (m->pkt_len > how->path->mtu && !(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG)) {
        if (!how->dont_fragment)
            return fragment_output(ip, m, how);
        ip_drop(m, &ip->stats.cantfrag);
        return -EMSGSIZE;
    }
    ip_to_link(how->path, m, v4);
    return 0;
}
