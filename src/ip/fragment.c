// SPDX-License-Identifier: BSD-3-Clause
// Fragments, by librte_ip_frag: put together on the way in (RFC 791, RFC 8200 §4.5), made on the way out
// where DF is not set.
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <rte_ip.h>
#include <rte_ip_frag.h>
#include <rte_tcp.h>
#include "base/alloc.h"
#include "base/cksum.h"
#include "ip/priv.h"

#define PARTS_MAX  48u /* of one packet sent */
#define SWEEP_NS   NS_PER_SEC
#define BUCKET_LEN 4u

/* The sender hears that a packet came in part only, when its beginning did: m is that one (RFC 792, RFC 8200
 * §4.5). */
static void tell4(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *);
    if (h->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_OFFSET_MASK))
        return;
    m->l3_len = sizeof(*h);
    rte_pktmbuf_adj(m, sizeof(*h));
    icmp4_error(ip->e, m, ICMP_TIME_EXCEEDED, ICMP_EXC_FRAGTIME, 0);
}

/* An error about the fragment m, data at the IPv6 header; what is in the fragment decides whether it may be
 * told. */
static void tell6(struct ip_layer *ip, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param)
{
    const struct rte_ipv6_fragment_ext *frag = rte_pktmbuf_mtod_offset(
        m, const struct rte_ipv6_fragment_ext *, (uint16_t)sizeof(struct rte_ipv6_hdr));
    if (rte_be_to_cpu_16(frag->frag_data) & RTE_IPV6_EHDR_FO_MASK)
        pkt_info(m)->proto = IPPROTO_FRAGMENT;
    else
        pkt_info(m)->proto = frag->next_header;
    m->l3_len = sizeof(struct rte_ipv6_hdr) + RTE_IPV6_FRAG_HDR_SIZE;
    rte_pktmbuf_adj(m, m->l3_len);
    icmp6_error(ip->e, m, type, code, param);
}

static void tell_timeout(struct ip_layer *ip, struct rte_mbuf *m)
{
    const struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, const struct rte_ipv6_hdr *);
    const struct rte_ipv6_fragment_ext *frag = (const struct rte_ipv6_fragment_ext *)(h + 1);
    if (*(const uint8_t *)h >> 4 == 4)
        tell4(ip, m);
    else if (!(rte_be_to_cpu_16(frag->frag_data) & RTE_IPV6_EHDR_FO_MASK))
        tell6(ip, m, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_REASSEMBLY, 0);
}

static void watch(struct ip_layer *ip, uint64_t since)
{
    if (!wheel_timer_armed(&ip->frag_timer))
        wheel_arm(&ip->e->wheel, &ip->frag_timer, since + ip->params.fragttl_ms * NS_PER_MS + SWEEP_NS);
}

/* The library's clock is whatever it is given: the engine's nanoseconds. A death row may be too short for
 * all at once. */
void fragment_sweep(struct wheel_timer *t, uint64_t now)
{
    struct ip_layer *ip = container_of(t, struct ip_layer, frag_timer);
    struct rte_ip_frag_death_row row;
    do {
        row.cnt = 0;
        rte_ip_frag_table_del_expired_entries(ip->frags, &row, now);
        ip->stats.fragtimeout += row.cnt;
        for (uint32_t i = 0; i < row.cnt; i++)
            tell_timeout(ip, row.row[i]);
        rte_ip_frag_free_death_row(&row, 0);
    } while (row.cnt > 0);
    if (ip->frag_at + ip->params.fragttl_ms * NS_PER_MS >= now)
        watch(ip, ip->frag_at);
}

static struct rte_ip_frag_tbl *table_new(uint32_t packets, uint32_t ttl_ms)
{
    uint32_t buckets = rte_align32pow2((packets + BUCKET_LEN - 1) / BUCKET_LEN);
    return fault_now()
               ? NULL
               : rte_ip_frag_table_create(buckets, BUCKET_LEN, packets, ttl_ms * NS_PER_MS, SOCKET_ID_ANY);
}

int fragment_create(struct ip_layer *ip)
{
    ip->frags = table_new(ip->params.maxfragpackets, ip->params.fragttl_ms);
    return ip->frags ? 0 : -ENOMEM;
}

int fragment_param_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct ip_layer *ip = base;
    uint32_t *param = (uint32_t *)((char *)base + oid->offset), before = *param;
    struct rte_ip_frag_tbl *frags = NULL;
    *param = (uint32_t)strtoul(text, NULL, 0);
    if (ip->params.maxfragpackets > 0) {
        frags = table_new(ip->params.maxfragpackets, ip->params.fragttl_ms);
        if (!frags) {
            *param = before;
            snprintf(err, errsize, "%s: \"%s\": no memory for the table", oid->name, text);
            return -ENOMEM;
        }
    }
    fragment_destroy(ip);
    ip->frags = frags;
    return 0;
}

void fragment_destroy(struct ip_layer *ip)
{
    wheel_cancel(&ip->e->wheel, &ip->frag_timer);
    if (ip->frags)
        rte_ip_frag_table_destroy(ip->frags);
    ip->frags = NULL;
}

/* The library drops what it can't use into the death row. */
static struct rte_mbuf *bury(struct ip_layer *ip, struct rte_mbuf *whole, struct rte_ip_frag_death_row *row)
{
    ip->stats.fragdropped += row->cnt;
    rte_ip_frag_free_death_row(row, 0);
    if (whole)
        ip->stats.reassembled++;
    else
        ip->frag_at = ip->e->now;
    watch(ip, ip->frag_at);
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
    bool uneven = (data & RTE_IPV6_EHDR_MF_MASK) && len % 8 != 0;
    bool beyond = (data & RTE_IPV6_EHDR_FO_MASK) + len > UINT16_MAX;
    if (uneven || beyond)
        tell6(ip, m, ICMP6_PARAM_PROB, ICMP6_PARAMPROB_HEADER,
              uneven ? offsetof(struct rte_ipv6_hdr, payload_len) : off + 2);
    if (len == 0 || uneven || beyond) {
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

static void part4(struct rte_mbuf *m)
{
    struct rte_ipv4_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
    m->l3_len = sizeof(*h);
    m->ol_flags |= RTE_MBUF_F_TX_IPV4;
    h->hdr_checksum = 0;
    h->hdr_checksum = rte_ipv4_cksum(h);
}

static void part6(struct rte_mbuf *m, uint32_t id)
{
    struct rte_ipv6_hdr *h = rte_pktmbuf_mtod(m, struct rte_ipv6_hdr *);
    m->l3_len = sizeof(*h) + RTE_IPV6_FRAG_HDR_SIZE;
    m->ol_flags |= RTE_MBUF_F_TX_IPV6;
    ((struct rte_ipv6_fragment_ext *)(h + 1))->id = id;
}

/* RFC 7739 §5.3: who sees one identification must not know the next. */
static uint32_t identification(struct ip_layer *ip)
{
    uint64_t n = ip->next_id6++;
    return (uint32_t)siphash24(&ip->e->secret, &n, sizeof(n));
}

/* Of the whole, before it is cut: no NIC sees it in one piece. */
static void finish_cksum(struct rte_mbuf *m)
{
    uint32_t off = m->l3_len;
    if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM))
        return;
    rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, off)->cksum =
        (uint16_t)~cksum_mbuf(m, off, m->pkt_len - off);
    m->ol_flags &= ~RTE_MBUF_F_TX_L4_MASK;
}

int fragment_output(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how)
{
    struct rte_mbuf *parts[PARTS_MAX];
    struct rte_mempool *pool = ip->e->pkt_pool;
    uint16_t mtu = (uint16_t)how->path->mtu;
    bool v4 = ip_addr_is_v4(how->dst);
    int n = -ENOMEM;
    finish_cksum(m);
    if (!fault_now())
        n = v4 ? rte_ipv4_fragment_packet(m, parts, PARTS_MAX, mtu, pool, pool)
               : rte_ipv6_fragment_packet(m, parts, PARTS_MAX, mtu, pool, pool);
    rte_pktmbuf_free(m);
    if (n < 0) {
        (*(n == -ENOMEM ? &ip->stats.odropped_nobuf : &ip->stats.cantfrag))++;
        return n == -ENOMEM ? -ENOBUFS : -EMSGSIZE;
    }
    uint32_t id = v4 ? 0 : identification(ip);
    ip->stats.fragmented++;
    ip->stats.ofragments += (uint64_t)n;
    for (int i = 0; i < n; i++) {
        if (v4)
            part4(parts[i]);
        else
            part6(parts[i], id);
        ip_to_link(how->path, parts[i], v4);
    }
    return 0;
}
