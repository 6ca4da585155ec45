// SPDX-License-Identifier: BSD-3-Clause
// ICMP (RFC 792, RFC 1122 §3.2.2).
#include <netinet/ip_icmp.h>
#include <rte_ip.h>
#include "base/cksum.h"
#include "base/alloc.h"
#include "ip/priv.h"

#define QUOTE_MAX 548u /* RFC 1812 §4.3.2.3: as much as fits in 576 bytes */

bool icmp_may_send(struct ip_layer *ip, struct icmp_limit *limit)
{
    uint64_t now = ip->e->now;
    if (now - limit->at >= NS_PER_SEC) {
        limit->at = now;
        limit->used = 0;
    }
    if (ip->params.icmplim && limit->used >= ip->params.icmplim) {
        ip->stats.icmp_ratelimited++;
        return false;
    }
    limit->used++;
    return true;
}

static uint16_t sum_of(const struct rte_mbuf *m)
{
    return (uint16_t)~cksum_mbuf(m, 0, m->pkt_len);
}

/* m: an ICMP message without its checksum. Takes m. */
static void icmp4_send(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_addr *src,
                       const struct ip_addr *dst, uint8_t tos)
{
    struct ip_path path;
    struct icmphdr *icmp = rte_pktmbuf_mtod(m, struct icmphdr *);
    if (ip_path_find(ip->e, src, dst, 0, &path) < 0) {
        ip_drop(m, &ip->stats.icmp_nobuf);
        return;
    }
    icmp->checksum = 0;
    icmp->checksum = sum_of(m);
    struct ip_send how = {.src = src, .dst = dst, .proto = IPPROTO_ICMP, .tos = tos, .path = &path};
    ip_output(ip->e, m, &how);
}

static void echo(struct ip_layer *ip, struct rte_mbuf *m)
{
    struct ip_addr src = pkt_info(m)->src, dst = pkt_info(m)->dst;
    uint8_t tos = pkt_info(m)->tos;
    struct rte_mbuf *r = NULL;
    if (!icmp_may_send(ip, &ip->limit_echo)) {
        rte_pktmbuf_free(m);
        return;
    }
    /* To a broadcast or group, the answer comes from an address of ours. */
    if ((ip_addr_find(ip->e, &dst) || ip_source(ip->e, &src, 0, &dst) == 0) && !fault_now())
        r = rte_pktmbuf_copy(m, ip->e->pkt_pool, 0, UINT32_MAX);
    rte_pktmbuf_free(m);
    if (!r) {
        ip->stats.icmp_nobuf++;
        return;
    }
    r->ol_flags = 0;
    rte_pktmbuf_mtod(r, struct icmphdr *)->type = ICMP_ECHOREPLY;
    ip->stats.icmp_echo++;
    icmp4_send(ip, r, &dst, &src, tos);
}

/* An error quotes a packet of ours: to its protocol, if it is one that we can have sent. Does not take m. */
static void error_input(struct ip_layer *ip, struct rte_mbuf *m, const struct icmphdr *icmp)
{
    const struct rte_ipv4_hdr *q = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, sizeof(*icmp));
    unsigned room = m->data_len - (unsigned)sizeof(*icmp);
    if (room < sizeof(*q) || rte_ipv4_hdr_len(q) < sizeof(*q) || room < rte_ipv4_hdr_len(q) + 8u) {
        ip->stats.icmp_tooshort++;
        return;
    }
    struct ip_addr src = ip_addr_v4(q->src_addr), dst = ip_addr_v4(q->dst_addr);
    const struct ip_proto *proto = ip->protos[q->next_proto_id];
    bool first = !(q->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK));
    if (q->version != 4 || !first || !proto || !proto->error || !ip_addr_find(ip->e, &src)) {
        ip->stats.icmp_badcode++;
        return;
    }
    uint32_t mtu =
        icmp->type == ICMP_DEST_UNREACH && icmp->code == ICMP_FRAG_NEEDED ? ntohs(icmp->un.frag.mtu) : 0;
    unsigned hlen = rte_ipv4_hdr_len(q);
    ip->stats.icmp_in_error++;
    proto->error(ip->e, &src, &dst, (const uint8_t *)q + hlen, room - hlen, icmp->type, icmp->code, mtu);
}

void icmp4_input(struct engine *e, struct rte_mbuf *m)
{
    struct ip_layer *ip = e->ip;
    bool copy = pkt_info(m)->flags & PKT_COPY;
    if (m->data_len < sizeof(struct icmphdr)) {
        ip_drop(m, &ip->stats.icmp_tooshort);
        return;
    }
    if (sum_of(m) != 0) {
        ip_drop(m, &ip->stats.icmp_badsum);
        return;
    }
    const struct icmphdr *icmp = rte_pktmbuf_mtod(m, const struct icmphdr *);
    switch (icmp->type) {
    case ICMP_ECHO:
        if (copy)
            break;
        echo(ip, m);
        return;
    case ICMP_DEST_UNREACH:
    case ICMP_TIME_EXCEEDED:
    case ICMP_PARAMETERPROB:
    case ICMP_SOURCE_QUENCH:
        error_input(ip, m, icmp);
        break;
    case ICMP_REDIRECT:
        redirect4_input(pkt_info(m)->netif, m);
        break;
    default:
        ip->stats.icmp_ignored++;
    }
    rte_pktmbuf_free(m);
}

/* RFC 1122 §3.2.2: never about an ICMP error, a group or broadcast, a fragment but the first, or a sender
 * that is no single host. */
static bool may_be_told(struct rte_mbuf *m, const struct rte_ipv4_hdr *h)
{
    const struct pkt_info *info = pkt_info(m);
    if (info->flags & (PKT_MULTICAST | PKT_COPY))
        return false;
    if (ip_addr_is_multicast(&info->dst) || ip_addr_is_multicast(&info->src) || ip_addr_is_any(&info->src))
        return false;
    if (h->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK))
        return false;
    if (info->proto != IPPROTO_ICMP)
        return true;
    uint8_t type = m->data_len > 0 ? *rte_pktmbuf_mtod(m, uint8_t *) : ICMP_DEST_UNREACH;
    return type == ICMP_ECHO || type == ICMP_TIMESTAMP;
}

void icmp4_error(struct engine *e, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
    struct ip_layer *ip = e->ip;
    const struct rte_ipv4_hdr *h = (const struct rte_ipv4_hdr *)(rte_pktmbuf_mtod(m, char *) - m->l3_len);
    if (!may_be_told(m, h) || !icmp_may_send(ip, &ip->limit_errors))
        return;
    struct rte_mbuf *r = pkt_alloc(e->pkt_pool);
    if (!r) {
        ip->stats.icmp_nobuf++;
        return;
    }
    unsigned quote = m->l3_len + m->data_len;
    if (quote > QUOTE_MAX)
        quote = QUOTE_MAX;
    struct icmphdr *icmp = (struct icmphdr *)rte_pktmbuf_append(r, (uint16_t)(sizeof(*icmp) + quote));
    *icmp = (struct icmphdr){.type = type, .code = code};
    icmp->un.frag.mtu = htons((uint16_t)param);
    memcpy(icmp + 1, h, quote);
    ip->stats.icmp_sent_error++;
    icmp4_send(ip, r, &pkt_info(m)->dst, &pkt_info(m)->src, 0xc0); /* RFC 1812 §4.3.2.5: precedence */
}

/* m is a packet of our own (or none of ours, when it was copied): the protocol that sent it hears of it. */
static void tell_sender4(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
    if (m->data_len < sizeof(*h) + 8)
        return;
    const struct ip_proto *proto = ip->protos[h->next_proto_id];
    struct ip_addr src = ip_addr_v4(h->src_addr), dst = ip_addr_v4(h->dst_addr);
    if (proto && proto->error)
        proto->error(ip->e, &src, &dst, (const uint8_t *)(h + 1), m->data_len - (unsigned)sizeof(*h),
                     ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
}

static void tell_sender6(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
    if (m->data_len < sizeof(*h) + 8)
        return;
    const struct ip_proto *proto = ip->protos[h->proto];
    struct ip_addr src = ip_addr_v6(h->src_addr), dst = ip_addr_v6(h->dst_addr);
    if (proto && proto->error) /* ICMPv6: destination unreachable, address unreachable */
        proto->error(ip->e, &src, &dst, (const uint8_t *)(h + 1), m->data_len - (unsigned)sizeof(*h), 1, 3,
                     0);
}

void icmp_unreachable(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *dst)
{
    struct ip_layer *ip = nif->e->ip;
    if (ip_addr_is_v4(dst))
        tell_sender4(ip, m);
    else
        tell_sender6(ip, m);
    rte_pktmbuf_free(m);
    route_unreachable(ip, nif, dst);
}
