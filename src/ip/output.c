// SPDX-License-Identifier: BSD-3-Clause
// IP output, both families.
#include <errno.h>
#include <string.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include "ip/priv.h"

void ip_to_link(const struct ip_path *path, struct rte_mbuf *m, bool v4)
{
    m->l2_len = sizeof(struct rte_ether_hdr);
    if (path->neigh)
        neigh_output(path->neigh, m);
    else
        ether_output(path->netif, m, &path->netif->mac, v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
}

/* Of 20 bytes, the field itself still 0 (RFC 1071). */
static uint16_t header_cksum(const struct rte_ipv4_hdr *h)
{
    uint32_t w[5];
    memcpy(w, h, sizeof(w));
    uint64_t sum = (uint64_t)w[0] + w[1] + w[2] + w[3] + w[4];
    sum = (sum & UINT16_MAX) + (sum >> 16 & UINT16_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t) ~((sum & UINT16_MAX) + (sum >> 16));
}

static void put_header4(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how,
                        struct rte_ipv4_hdr *h)
{
    bool tso = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG;
    h->version_ihl = RTE_IPV4_VHL_DEF;
    h->type_of_service = how->tos;
    h->total_length = rte_cpu_to_be_16((uint16_t)m->pkt_len);
    /* RFC 6864: a packet that can't be fragmented needs no identification. */
    h->packet_id = how->dont_fragment ? 0 : rte_cpu_to_be_16(ip->next_id++);
    h->fragment_offset = how->dont_fragment ? rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG) : 0;
    h->time_to_live = how->ttl ? how->ttl : (uint8_t)ip->params.ttl;
    h->next_proto_id = how->proto;
    h->src_addr = how->src->w[3];
    h->dst_addr = how->dst->w[3];
    h->hdr_checksum = 0;
    m->l3_len = sizeof(*h);
    m->ol_flags |= RTE_MBUF_F_TX_IPV4;
    if (tso)
        m->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM; /* each piece gets its own */
    else
        h->hdr_checksum = header_cksum(h);
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
    m->l3_len = sizeof(*h);
    m->ol_flags |= RTE_MBUF_F_TX_IPV6;
}

/* The pseudo header's sum (RFC 9293 §3.1) as NICs want it in the checksum field: without the length when they cut segments. */
static uint16_t pseudo_cksum(const struct rte_mbuf *m, const struct ip_send *how)
{
    uint32_t len = m->ol_flags & RTE_MBUF_F_TX_TCP_SEG ? 0 : m->pkt_len - m->l3_len;
    uint64_t sum = (uint64_t)htonl(len) + htonl(IPPROTO_TCP);
    if (ip_addr_is_v4(how->dst))
        sum += (uint64_t)how->src->w[3] + how->dst->w[3];
    else
        for (unsigned i = 0; i < 4; i++)
            sum += (uint64_t)how->src->w[i] + how->dst->w[i];
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT32_MAX) + (sum >> 32);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    sum = (sum & UINT16_MAX) + (sum >> 16);
    return (uint16_t)sum;
}

int ip_output(struct engine *e, struct rte_mbuf *m, const struct ip_send *how)
{
    struct ip_layer *ip = e->ip;
    bool v4 = ip_addr_is_v4(how->dst);
    void *h = rte_pktmbuf_prepend(m, v4 ? sizeof(struct rte_ipv4_hdr) : sizeof(struct rte_ipv6_hdr));
    if (!h) {
        ip_drop(m, &ip->stats.odropped_nobuf);
        return -ENOBUFS;
    }
    if (v4)
        put_header4(ip, m, how, h);
    else
        put_header6(ip, m, how, h);
    if (m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM) {
        struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)((char *)h + m->l3_len);
        th->cksum = pseudo_cksum(m, how);
    }
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
