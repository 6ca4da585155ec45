// SPDX-License-Identifier: BSD-3-Clause
// Fragments, by librte_ip_frag: put together on the way in (RFC 791, RFC 8200 §4.5), made on the way out where DF is not set.
#include <errno.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>
#include "base/alloc.h"
#include "ip/priv.h"

#define PARTS_MAX  48u /* of one packet sent */
#define SWEEP_NS   NS_PER_SEC
#define BUCKET_LEN 4u

/* The library's clock is whatever it is given: the engine's nanoseconds. */
static void sweep(struct wheel_timer *t, uint64_t now)
{
    struct ip_layer *ip = container_of(t, struct ip_layer, frag_timer);
    struct rte_ip_frag_death_row row = {.cnt = 0};
    rte_ip_frag_table_del_expired_entries(ip->frags, &row, now);
    if (row.cnt > 0)
        ip->stats.fragtimeout++;
    rte_ip_frag_free_death_row(&row, 0);
}

int fragment_create(struct ip_layer *ip)
{
    const struct ip_params *p = &ip->params;
    wheel_timer_init(&ip->frag_timer, sweep);
    if (p->maxfragpackets == 0)
        return 0;
    uint32_t buckets = (p->maxfragpackets + BUCKET_LEN - 1) / BUCKET_LEN;
    if (!fault_now())
        ip->frags = rte_ip_frag_table_create(rte_align32pow2(buckets), BUCKET_LEN,
                                             rte_align32pow2(buckets) * BUCKET_LEN, p->fragttl_ms * NS_PER_MS,
                                             SOCKET_ID_ANY);
    return ip->frags ? 0 : -ENOMEM;
}

void fragment_destroy(struct ip_layer *ip)
{
    wheel_cancel(&ip->e->wheel, &ip->frag_timer);
    if (ip->frags)
        rte_ip_frag_table_destroy(ip->frags);
    ip->frags = NULL;
}

static void watch(struct ip_layer *ip)
{
    if (!wheel_timer_armed(&ip->frag_timer))
        wheel_arm(&ip->e->wheel, &ip->frag_timer, ip->e->now + ip->params.fragttl_ms * NS_PER_MS + SWEEP_NS);
}

/* The library drops what it can't use into the death row. */
static struct rte_mbuf *bury(struct ip_layer *ip, struct rte_mbuf *whole, struct rte_ip_frag_death_row *row)
{
    ip->stats.fragdropped += row->cnt;
    rte_ip_frag_free_death_row(row, 0);
    if (whole)
        ip->stats.reassembled++;
    else
        watch(ip);
    return whole;
}

struct rte_mbuf *fragment4_input(struct ip_layer *ip, struct rte_mbuf *m)
{
    struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
    unsigned offset = rte_be_to_cpu_16(h->fragment_offset) & RTE_IPV4_HDR_OFFSET_MASK;
    unsigned len = m->pkt_len - m->l3_len;
    bool more = rte_be_to_cpu_16(h->fragment_offset) & RTE_IPV4_HDR_MF_FLAG;
    ip->stats.fragments++;
    if (!ip->frags || m->l3_len != sizeof(*h) || len == 0 || (more && len % 8 != 0) ||
        offset * 8 + len > UINT16_MAX - sizeof(*h)) {
        ip_drop(m, &ip->stats.fragdropped);
        return NULL;
    }
    struct rte_ip_frag_death_row row = {.cnt = 0};
    struct netif *nif = pkt_info(m)->netif;
    uint8_t flags = pkt_info(m)->flags;
    m->l2_len = 0;
    struct rte_mbuf *whole = rte_ipv4_frag_reassemble_packet(ip->frags, &row, m, ip->e->now, h);
    whole = bury(ip, whole, &row);
    if (!whole)
        return NULL;
    pkt_info(whole)->netif = nif;
    pkt_info(whole)->flags = flags;
    whole->l3_len = sizeof(*h);
    return link_redirect(nif, whole) ? NULL : whole;
}

struct rte_mbuf *fragment6_input(struct ip_layer *ip, struct rte_mbuf *m, unsigned off)
{
    struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
    ip->stats.fragments++;
    /* The library knows the fragment header directly behind the IPv6 header, which is where hosts put it. */
    if (!ip->frags || off != sizeof(*h) || m->data_len < off + RTE_IPV6_FRAG_HDR_SIZE) {
        ip_drop(m, &ip->stats.fragdropped);
        return NULL;
    }
    struct rte_ipv6_fragment_ext *frag = (struct rte_ipv6_fragment_ext *)(h + 1);
    unsigned data = rte_be_to_cpu_16(frag->frag_data), len = m->pkt_len - off - RTE_IPV6_FRAG_HDR_SIZE;
    if ((data & (RTE_IPV6_EHDR_FO_MASK | RTE_IPV6_EHDR_MF_MASK)) ==
        0) { /* atomic (RFC 6946): whole already */
        h->proto = frag->next_header;
        memmove((char *)h + RTE_IPV6_FRAG_HDR_SIZE, h, sizeof(*h));
        h = (struct rte_ipv6_hdr *)rte_pktmbuf_adj(m, RTE_IPV6_FRAG_HDR_SIZE);
        h->payload_len = rte_cpu_to_be_16((uint16_t)(m->pkt_len - sizeof(*h)));
        return m;
    }
    if (len == 0 || ((data & RTE_IPV6_EHDR_MF_MASK) && len % 8 != 0) ||
        (data & RTE_IPV6_EHDR_FO_MASK) + len > UINT16_MAX) {
        ip_drop(m, &ip->stats.fragdropped);
        return NULL;
    }
    struct rte_ip_frag_death_row row = {.cnt = 0};
    struct pkt_info info = *pkt_info(m);
    m->l2_len = 0;
    m->l3_len = sizeof(*h) + RTE_IPV6_FRAG_HDR_SIZE;
    struct rte_mbuf *whole = rte_ipv6_frag_reassemble_packet(ip->frags, &row, m, ip->e->now, h, frag);
    whole = bury(ip, whole, &row);
    if (!whole)
        return NULL;
    *pkt_info(whole) = info;
    return link_redirect(info.netif, whole) ? NULL : whole;
}

int fragment_output(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how)
{
    struct rte_mbuf *parts[PARTS_MAX];
    struct rte_mempool *pool = ip->e->pkt_pool;
    uint16_t mtu = (uint16_t)how->path->mtu;
    bool v4 = ip_addr_is_v4(how->dst);
    int n = -EINVAL;
    if (v4 && !fault_now()) /* the checksum of the transport must be right before it is cut */
        n = rte_ipv4_fragment_packet(m, parts, PARTS_MAX, mtu, pool, pool);
    rte_pktmbuf_free(m);
    if (n < 0) {
        ip->stats.cantfrag++;
        return -EMSGSIZE;
    }
    ip->stats.fragmented++;
    ip->stats.ofragments += (uint64_t)n;
    for (int i = 0; i < n; i++) {
        struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(parts[i], struct rte_ipv4_hdr *);
        parts[i]->l3_len = sizeof(*h);
        parts[i]->ol_flags |= RTE_MBUF_F_TX_IPV4;
        h->hdr_checksum = 0;
        h->hdr_checksum = rte_ipv4_cksum(h);
        ip_to_link(how->path, parts[i], true);
    }
    return 0;
}
