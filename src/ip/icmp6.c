// SPDX-License-Identifier: BSD-3-Clause
// ICMPv6 (RFC 4443).
#include <netinet/icmp6.h>
#include <netinet/ip6.h>
#include <rte_ip.h>
#include "base/cksum.h"
#include "base/alloc.h"
#include "ip/priv.h"

#define QUOTE_MAX (1280u - sizeof(struct ip6_hdr) - sizeof(struct icmp6_hdr))

static uint16_t sum_of(const struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst)
{
    struct {
        uint8_t src[16], dst[16];
        uint32_t len, next;
    } pseudo;
    memcpy(pseudo.src, src->b, 16);
    memcpy(pseudo.dst, dst->b, 16);
    pseudo.len = rte_cpu_to_be_32(m->pkt_len);
    pseudo.next = rte_cpu_to_be_32(IPPROTO_ICMPV6);
    uint32_t sum = (uint32_t)cksum_mbuf(m, 0, m->pkt_len) + rte_raw_cksum(&pseudo, sizeof(pseudo));
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

void icmp6_finish(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst)
{
    struct icmp6_hdr *icmp = rte_pktmbuf_mtod(m, struct icmp6_hdr *);
    icmp->icmp6_cksum = 0;
    icmp->icmp6_cksum = sum_of(m, src, dst);
}

void icmp6_to_link(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *src,
                   const struct ip_addr *dst, const struct rte_ether_addr *mac, uint8_t next, uint8_t hops)
{
    struct rte_ipv6_hdr *h = (struct rte_ipv6_hdr *)rte_pktmbuf_prepend(m, sizeof(*h));
    h->vtc_flow = rte_cpu_to_be_32(6u << 28);
    h->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - sizeof(*h)));
    h->proto = next;
    h->hop_limits = hops;
    memcpy(h->src_addr, src->b, 16);
    memcpy(h->dst_addr, dst->b, 16);
    m->l2_len = sizeof(struct rte_ether_hdr);
    m->l3_len = sizeof(*h);
    m->ol_flags |= RTE_MBUF_F_TX_IPV6;
    ether_output(nif, m, mac, RTE_ETHER_TYPE_IPV6);
}

void icmp6_send(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst,
                const struct rte_ether_addr *mac)
{
    icmp6_finish(m, src, dst);
    icmp6_to_link(nif, m, src, dst, mac, IPPROTO_ICMPV6, 255);
}

/* Through the routes, as everything but ND goes. Takes m. */
static void icmp6_route(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_addr *src,
                        const struct ip_addr *dst, uint32_t scope)
{
    struct ip_path path;
    if (ip_path_find(ip->e, src, dst, scope, &path) < 0) {
        ip_drop(m, &ip->stats.icmp_nobuf);
        return;
    }
    icmp6_finish(m, src, dst);
    struct ip_send how = {.src = src, .dst = dst, .proto = IPPROTO_ICMPV6, .path = &path};
    ip_output(ip->e, m, &how);
}

static uint32_t scope_of_input(const struct pkt_info *info)
{
    return ip_addr_is_link_local(&info->src) ? info->netif->index : 0;
}

/* RFC 4443 §4.2: to a group, the answer comes from an address of ours. */
static bool answer_source(struct ip_layer *ip, const struct pkt_info *info, struct ip_addr *src)
{
    if (ip_addr_find(ip->e, &info->dst)) {
        *src = info->dst;
        return true;
    }
    return ip_source(ip->e, &info->src, scope_of_input(info), src) == 0;
}

static void echo(struct ip_layer *ip, struct rte_mbuf *m)
{
    struct pkt_info info = *pkt_info(m);
    struct ip_addr src;
    struct rte_mbuf *r = NULL;
    if (!icmp_may_send(ip, &ip->limit_echo)) {
        rte_pktmbuf_free(m);
        return;
    }
    if (answer_source(ip, &info, &src) && !fault_now())
        r = rte_pktmbuf_copy(m, ip->e->pkt_pool, 0, UINT32_MAX);
    rte_pktmbuf_free(m);
    if (!r) {
        ip->stats.icmp_nobuf++;
        return;
    }
    r->ol_flags = 0;
    rte_pktmbuf_mtod(r, struct icmp6_hdr *)->icmp6_type = ICMP6_ECHO_REPLY;
    ip->stats.icmp_echo++;
    icmp6_route(ip, r, &src, &info.src, scope_of_input(&info));
}

static void error_input(struct ip_layer *ip, struct rte_mbuf *m, const struct icmp6_hdr *icmp)
{
    const struct rte_ipv6_hdr *q = (const struct rte_ipv6_hdr *)(icmp + 1);
    unsigned room = m->data_len - (unsigned)sizeof(*icmp);
    if (room < sizeof(*q) + 8) {
        ip->stats.icmp_tooshort++;
        return;
    }
    struct ip_addr src = ip_addr_v6(q->src_addr), dst = ip_addr_v6(q->dst_addr);
    const struct ip_proto *proto = ip->protos[q->proto]; /* we send no extension headers */
    if (!proto || !proto->error || !ip_addr_find(ip->e, &src)) {
        ip->stats.icmp_badcode++;
        return;
    }
    uint32_t mtu = icmp->icmp6_type == ICMP6_PACKET_TOO_BIG ? ntohl(icmp->icmp6_mtu) : 0;
    ip->stats.icmp_in_error++;
    proto->error(ip->e, &src, &dst, (const uint8_t *)(q + 1), room - (unsigned)sizeof(*q), icmp->icmp6_type,
                 icmp->icmp6_code, mtu);
}

static void message(struct ip_layer *ip, struct rte_mbuf *m, const struct icmp6_hdr *icmp)
{
    struct netif *nif = pkt_info(m)->netif;
    switch (icmp->icmp6_type) {
    case ICMP6_DST_UNREACH:
    case ICMP6_PACKET_TOO_BIG:
    case ICMP6_TIME_EXCEEDED:
    case ICMP6_PARAM_PROB:
        error_input(ip, m, icmp);
        break;
    case ND_NEIGHBOR_SOLICIT:
        nd_solicitation_input(nif, m);
        break;
    case ND_NEIGHBOR_ADVERT:
        nd_advertisement_input(nif, m);
        break;
    case ND_ROUTER_ADVERT:
        ra_input(nif, m);
        break;
    case ND_REDIRECT:
        redirect6_input(nif, m);
        break;
    case MLD_LISTENER_QUERY:
        mld_query_input(nif, m);
        break;
    default:
        ip->stats.icmp_ignored++;
    }
}

void icmp6_input(struct engine *e, struct rte_mbuf *m)
{
    struct ip_layer *ip = e->ip;
    const struct pkt_info *info = pkt_info(m);
    if (m->data_len < sizeof(struct icmp6_hdr)) {
        ip_drop(m, &ip->stats.icmp_tooshort);
        return;
    }
    if (sum_of(m, &info->src, &info->dst) != 0) {
        ip_drop(m, &ip->stats.icmp_badsum);
        return;
    }
    const struct icmp6_hdr *icmp = rte_pktmbuf_mtod(m, const struct icmp6_hdr *);
    if (icmp->icmp6_type == ICMP6_ECHO_REQUEST && !(info->flags & PKT_COPY)) {
        echo(ip, m);
        return;
    }
    message(ip, m, icmp);
    rte_pktmbuf_free(m);
}

/* RFC 4443 §2.4(e) */
static bool may_be_told(struct rte_mbuf *m, uint8_t type, uint8_t code)
{
    const struct pkt_info *info = pkt_info(m);
    bool group_allowed =
        type == ICMP6_PACKET_TOO_BIG || (type == ICMP6_PARAM_PROB && code == ICMP6_PARAMPROB_OPTION);
    if ((info->flags & PKT_COPY) || ip_addr_is_multicast(&info->src) || ip_addr_is_any(&info->src))
        return false;
    if (!group_allowed && ((info->flags & PKT_MULTICAST) || ip_addr_is_multicast(&info->dst)))
        return false;
    if (info->proto != IPPROTO_ICMPV6)
        return true;
    return m->data_len > 0 && (*rte_pktmbuf_mtod(m, uint8_t *) & ICMP6_INFOMSG_MASK);
}

void icmp6_error(struct engine *e, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
    struct ip_layer *ip = e->ip;
    const struct pkt_info *info = pkt_info(m);
    struct ip_addr src;
    if (!may_be_told(m, type, code) || !answer_source(ip, info, &src) ||
        !icmp_may_send(ip, &ip->limit_errors))
        return;
    struct rte_mbuf *r = pkt_alloc(e->pkt_pool);
    if (!r) {
        ip->stats.icmp_nobuf++;
        return;
    }
    unsigned quote = m->l3_len + m->data_len;
    if (quote > QUOTE_MAX)
        quote = QUOTE_MAX;
    struct icmp6_hdr *icmp = (struct icmp6_hdr *)rte_pktmbuf_append(r, (uint16_t)(sizeof(*icmp) + quote));
    *icmp = (struct icmp6_hdr){.icmp6_type = type, .icmp6_code = code};
    icmp->icmp6_pptr = htonl(param);
    memcpy(icmp + 1, rte_pktmbuf_mtod(m, char *) - m->l3_len, quote);
    ip->stats.icmp_sent_error++;
    icmp6_route(ip, r, &src, &info->src, scope_of_input(info));
}
