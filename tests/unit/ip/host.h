// SPDX-License-Identifier: BSD-3-Clause
// A host of link and ip floors on the fake port of ../link/fake.h, with a protocol above that keeps what it
// is given.
#pragma once
#include "../link/fake.h"
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include "base/cksum.h"
#include "ip/ip.h"
#include "ip/priv.h"

#define PROTO_TEST 253 /* RFC 3692 */

static struct fake f;

struct told { /* the last ICMP error that reached the protocol above */
    unsigned n;
    struct ip_addr src, dst;
    uint8_t l4[8];
    uint32_t len, mtu;
    int type, code;
};
static struct told told;

static inline void keep_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    fake_keep(pkts, n);
}

static inline void keep_error(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst,
                              const uint8_t *l4, uint32_t len, int type, int code, uint32_t mtu)
{
    told = (struct told){told.n + 1, *src, *dst, {0}, len, mtu, type, code};
    memcpy(told.l4, l4, 8);
}
static const struct ip_proto keep_ops = {.input = keep_input, .error = keep_error};

static inline struct ip_addr ip(const char *text)
{
    struct ip_addr a;
    assert_int_equal(ip_addr_parse(text, &a), 0);
    return a;
}

static inline uint64_t sysctl_value(const char *name)
{
    char text[32];
    assert_int_equal(sysctl_get_text(f.e->sysctl, name, text, sizeof(text)), 0);
    return strtoull(text, NULL, 10);
}

static inline void sysctl_put(const char *name, const char *value)
{
    char err[160];
    assert_int_equal(sysctl_set_text(f.e->sysctl, name, value, err, sizeof(err)), 0);
}

/* An address that is used at once, without the check for duplicates. */
static inline void give(const char *text, uint8_t plen)
{
    struct ip_addr a = ip(text);
    uint32_t dad4 = f.e->ip->params.dad_count4, dad6 = f.e->ip->params.dad_count6;
    f.e->ip->params.dad_count4 = f.e->ip->params.dad_count6 = 0;
    assert_int_equal(ip_addr_add(f.nif, &a, plen), 0);
    f.e->ip->params.dad_count4 = dad4;
    f.e->ip->params.dad_count6 = dad6;
}

static inline void neighbour(const char *text)
{
    struct ip_addr a = ip(text);
    assert_int_equal(neigh_set_static(f.nif, &a, &peer_mac), 0);
}

/* 10.0.0.1/24 and 2001:db8::1/64, with .2 and ::2 as neighbours; nothing sent yet. */
static inline int host_begin(void **state)
{
    memset(&f, 0, sizeof(f));
    memset(&told, 0, sizeof(told));
    fake_host(&f, 0, 1);
    assert_int_equal(ip_create(f.e), 0);
    ip_register(f.e, IPPROTO_TCP, &keep_ops);
    ip_register(f.e, PROTO_TEST, &keep_ops);
    give("10.0.0.1", 24);
    give("2001:db8::1", 64);
    neighbour("10.0.0.2");
    neighbour("2001:db8::2");
    neighbour("fe80::2");
    fake_pass(&f, 3 * NS_PER_SEC); /* what a new address sends */
    fake_forget(&f);
    return 0;
}

static inline int host_end(void **state)
{
    link_discard(f.e);
    ip_destroy(f.e);
    fake_end(&f);
    assert_int_equal(fake_pool_used(), 0);
    return 0;
}

static inline void arrive(struct rte_mbuf *m)
{
    fake_arrive(&f, m);
    link_transmit(f.e, NULL);
}

static inline void *ip_of(struct rte_mbuf *frame)
{
    return rte_pktmbuf_mtod_offset(frame, void *, sizeof(struct rte_ether_hdr));
}

static inline void sum4(struct rte_ipv4_hdr *h)
{
    h->hdr_checksum = 0;
    h->hdr_checksum = rte_ipv4_cksum(h);
}

/* A frame to us with an IPv4 packet from 10.0.0.2 to 10.0.0.1, its payload `len` bytes 0, 1, 2 ... */
static inline struct rte_mbuf *packet4(uint8_t proto, unsigned len)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, sizeof(struct rte_ipv4_hdr) + len);
    struct rte_ipv4_hdr *h = ip_of(m);
    uint8_t *data = (uint8_t *)(h + 1);
    h->version_ihl = RTE_IPV4_VHL_DEF;
    h->total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*h) + len));
    h->time_to_live = 64;
    h->next_proto_id = proto;
    h->src_addr = v4(2).w[3];
    h->dst_addr = v4(1).w[3];
    for (unsigned i = 0; i < len; i++)
        data[i] = (uint8_t)i;
    sum4(h);
    return m;
}

/* The same from 2001:db8::2 to 2001:db8::1. */
static inline struct rte_mbuf *packet6(uint8_t proto, unsigned len)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV6, sizeof(struct rte_ipv6_hdr) + len);
    struct rte_ipv6_hdr *h = ip_of(m);
    struct ip_addr src = ip("2001:db8::2"), dst = ip("2001:db8::1");
    uint8_t *data = (uint8_t *)(h + 1);
    h->vtc_flow = rte_cpu_to_be_32(6u << 28);
    h->payload_len = rte_cpu_to_be_16((uint16_t)len);
    h->proto = proto;
    h->hop_limits = 64;
    memcpy(h->src_addr, src.b, 16);
    memcpy(h->dst_addr, dst.b, 16);
    for (unsigned i = 0; i < len; i++)
        data[i] = (uint8_t)i;
    return m;
}

static inline void address6(struct rte_mbuf *m, const char *src, const char *dst)
{
    struct rte_ipv6_hdr *h = ip_of(m);
    struct ip_addr a = ip(src), b = ip(dst);
    memcpy(h->src_addr, a.b, 16);
    memcpy(h->dst_addr, b.b, 16);
    if (ip_addr_is_multicast(&b))
        ether_group(&b, &rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr);
}

/* Fills in the checksum of the ICMP message that begins at l4. */
static inline void sum_icmp4(struct rte_mbuf *m)
{
    struct rte_ipv4_hdr *h = ip_of(m);
    struct icmphdr *icmp = (struct icmphdr *)((char *)h + rte_ipv4_hdr_len(h));
    icmp->checksum = 0;
    icmp->checksum = (uint16_t)~rte_raw_cksum(icmp, rte_be_to_cpu_16(h->total_length) - rte_ipv4_hdr_len(h));
}
static inline void sum_icmp6(struct rte_mbuf *m)
{
    struct rte_ipv6_hdr *h = ip_of(m);
    struct icmp6_hdr *icmp = (struct icmp6_hdr *)(h + 1);
    icmp->icmp6_cksum = 0;
    icmp->icmp6_cksum = rte_ipv6_udptcp_cksum(h, icmp);
}

/* The IP header of sent frame i when it is of that family, else NULL. */
static inline void *sent_ip(unsigned i, uint16_t type)
{
    const struct rte_ether_hdr *eh;
    if (i >= f.n_sent)
        return NULL;
    eh = rte_pktmbuf_mtod(f.sent[i], const struct rte_ether_hdr *);
    return eh->ether_type == rte_cpu_to_be_16(type) ? ip_of(f.sent[i]) : NULL;
}
static inline struct rte_ipv4_hdr *sent4(unsigned i)
{
    return sent_ip(i, RTE_ETHER_TYPE_IPV4);
}
static inline struct rte_ipv6_hdr *sent6(unsigned i)
{
    return sent_ip(i, RTE_ETHER_TYPE_IPV6);
}

/* The ICMP message of sent frame i, its checksum checked. */
static inline struct icmphdr *sent_icmp4(unsigned i)
{
    struct rte_ipv4_hdr *h = sent4(i);
    assert_non_null(h);
    assert_int_equal(h->next_proto_id, IPPROTO_ICMP);
    assert_int_equal(rte_raw_cksum(h, sizeof(*h)), 0xffff);
    uint32_t off = sizeof(struct rte_ether_hdr) + sizeof(*h);
    assert_int_equal(cksum_mbuf(f.sent[i], off, f.sent[i]->pkt_len - off), 0xffff);
    return (struct icmphdr *)(h + 1);
}
static inline struct icmp6_hdr *sent_icmp6(unsigned i)
{
    struct rte_ipv6_hdr *h = sent6(i);
    assert_non_null(h);
    assert_int_equal(h->proto, IPPROTO_ICMPV6);
    uint32_t off = sizeof(struct rte_ether_hdr) + sizeof(*h);
    uint32_t sum = cksum_mbuf(f.sent[i], off, f.sent[i]->pkt_len - off) + rte_ipv6_phdr_cksum(h, 0);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    return (struct icmp6_hdr *)(h + 1);
}

/* Every counter of the room that says why a packet was dropped, added up. */
static inline uint64_t drops(void)
{
    const struct ip_stats *s = &f.e->ip->stats;
    return s->tooshort + s->badvers + s->badhlen + s->badlen + s->badsum + s->badaddr + s->cantforward +
           s->noproto + s->badoptions + s->toomanyhdr + s->notmember + s->fragdropped + s->fragtimeout +
           s->icmp_badsum + s->icmp_tooshort + s->icmp_badcode + s->icmp_ignored + s->nd_badsol +
           s->nd_badadv + s->nd_badra + s->badredirect + s->mld_badquery;
}

/* m arrives, nobody gets it, and exactly the counter `name` says so. */
static inline void dropped(struct rte_mbuf *m, const char *name)
{
    uint64_t before = sysctl_value(name), all = drops();
    unsigned got = f.n_got;
    arrive(m);
    assert_int_equal(f.n_got, got);
    if (sysctl_value(name) != before + 1 || drops() != all + 1)
        fail_msg("%s +%d, all +%d", name, (int)(sysctl_value(name) - before), (int)(drops() - all));
}

/* m arrives and the protocol above gets it. */
static inline struct rte_mbuf *delivered(struct rte_mbuf *m)
{
    uint64_t all = drops();
    unsigned got = f.n_got;
    arrive(m);
    assert_int_equal(drops(), all);
    assert_int_equal(f.n_got, got + 1);
    return f.got[got];
}

#define HOST_TEST(FN) cmocka_unit_test_setup_teardown(FN, host_begin, host_end)
