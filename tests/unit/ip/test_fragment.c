// SPDX-License-Identifier: BSD-3-Clause
// Fragments in both directions: RFC 791, RFC 815, RFC 8200 §4.5, RFC 5722, RFC 6946, RFC 1122 §3.3.2.
#include "host.h"

#define FRAG_MAX 8 /* fragments of one packet, by librte_ip_frag */

/* Bytes [off, off + len) of a packet whose byte i is (uint8_t)(i * 7). */
static void fill(uint8_t *data, unsigned off, unsigned len)
{
    for (unsigned i = 0; i < len; i++)
        data[i] = (uint8_t)((off + i) * 7);
}

static struct rte_mbuf *part4(uint16_t id, unsigned off, unsigned len, bool more)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, len);
    struct rte_ipv4_hdr *h = ip_of(m);
    h->packet_id = rte_cpu_to_be_16(id);
    h->fragment_offset = rte_cpu_to_be_16((uint16_t)(off / 8 | (more ? RTE_IPV4_HDR_MF_FLAG : 0)));
    fill((uint8_t *)(h + 1), off, len);
    sum4(h);
    return m;
}

static struct rte_mbuf *part6(uint32_t id, unsigned off, unsigned len, bool more)
{
    struct rte_mbuf *m = packet6(IPPROTO_FRAGMENT, len + 8);
    struct rte_ipv6_hdr *h = ip_of(m);
    struct rte_ipv6_fragment_ext *fh = (struct rte_ipv6_fragment_ext *)(h + 1);
    fh->next_header = PROTO_TEST;
    fh->reserved = 0;
    fh->frag_data = rte_cpu_to_be_16((uint16_t)(off | more));
    fh->id = rte_cpu_to_be_32(id);
    fill((uint8_t *)(fh + 1), off, len);
    return m;
}

static struct rte_mbuf *part(bool v4, uint16_t id, unsigned off, unsigned len, bool more)
{
    return v4 ? part4(id, off, len, more) : part6(id, off, len, more);
}

static void intact(struct rte_mbuf *m, unsigned len)
{
    uint8_t got[4096], want[4096];
    assert_int_equal(m->pkt_len, len);
    fill(want, 0, len);
    const void *at = rte_pktmbuf_read(m, 0, len, got);
    assert_memory_equal(at, want, len);
    rte_mbuf_sanity_check(m, 1);
}

static uint64_t stat(const char *name)
{
    char full[64];
    snprintf(full, sizeof(full), "net.inet.ip.stats.%s", name);
    return sysctl_value(full);
}

static void in_any_order_the_packet_comes_out_whole(void **state)
{
    static const uint8_t orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}, {0, 2, 1}, {1, 0, 2}};
    static const unsigned off[] = {0, 64, 1064}, len[] = {64, 1000, 37};
    for (unsigned v4 = 0; v4 < 2; v4++) {
        for (unsigned o = 0; o < RTE_DIM(orders); o++) {
            unsigned before = f.n_got;
            for (unsigned i = 0; i < 3; i++)
                arrive(part(v4, (uint16_t)o, off[orders[o][i]], len[orders[o][i]], orders[o][i] != 2));
            assert_int_equal(f.n_got, before + 1);
            intact(f.got[before], 1101);
            assert_int_equal(pkt_info(f.got[before])->proto, PROTO_TEST);
            assert_true(pkt_info(f.got[before])->netif == f.nif);
            assert_int_equal(f.got[before]->l3_len, v4 ? 20 : 40);
        }
    }
    assert_int_equal(stat("reassembled"), 12);
    assert_int_equal(stat("fragments"), 36);
    assert_int_equal(drops(), 0);
}

static void checksum_of_a_fragment_says_nothing_of_the_whole(void **state)
{
    struct rte_mbuf *a = part4(1, 0, 8, true), *b = part4(1, 8, 8, false);
    a->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    b->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    arrive(a);
    assert_false(pkt_info(delivered(b))->flags & PKT_CKSUM_OK);
}

static void packets_are_told_apart_by_id_and_sender(void **state)
{
    arrive(part4(1, 0, 8, true));
    arrive(part4(2, 8, 8, false));
    struct rte_mbuf *m = part4(1, 8, 8, false);
    struct rte_ipv4_hdr *h = ip_of(m);
    h->src_addr = v4(7).w[3];
    sum4(h);
    arrive(m);
    assert_int_equal(f.n_got, 0);
    intact(delivered(part4(1, 8, 8, false)), 16);
    fake_pass(&f, 40 * NS_PER_SEC);
    assert_int_equal(stat("fragtimeout"), 2);
}

static void rfc5722_overlap_drops_the_packet(void **state)
{
    for (unsigned v4 = 0; v4 < 2; v4++) {
        uint64_t before = drops();
        arrive(part(v4, 5, 0, 16, true));
        arrive(part(v4, 5, 8, 16, true));
        arrive(part(v4, 5, 24, 8, false));
        arrive(part(v4, 5, 16, 8, true));
        fake_pass(&f, 40 * NS_PER_SEC);
        assert_int_equal(f.n_got, 0);
        assert_int_equal(drops() - before, 4);
        fake_forget(&f);
    }
}

static void unusable_fragments_are_dropped(void **state)
{
    dropped(part4(1, 0, 12, true), "net.inet.ip.stats.fragdropped"); /* not of eights, and more follow */
    dropped(part4(1, 8, 0, true), "net.inet.ip.stats.fragdropped");
    dropped(part4(1, 65512, 8, false), "net.inet.ip.stats.fragdropped"); /* with its header beyond 65535 */
    dropped(part6(1, 8, 0, true), "net.inet.ip.stats.fragdropped");
    arrive(packet6(IPPROTO_FRAGMENT, 6));
    assert_int_equal(stat("fragdropped"), 5);
    assert_int_equal(f.n_sent, 0);
}

static void rfc8200_45_bad_lengths_are_pointed_at(void **state)
{
    dropped(part6(1, 0, 12, true), "net.inet.ip.stats.fragdropped");
    assert_int_equal(sent_icmp6(0)->icmp6_type, ICMP6_PARAM_PROB);
    assert_int_equal(sent_icmp6(0)->icmp6_code, ICMP6_PARAMPROB_HEADER);
    assert_int_equal(ntohl(sent_icmp6(0)->icmp6_pptr), 4); /* payload length */
    dropped(part6(1, 65528, 16, false), "net.inet.ip.stats.fragdropped");
    assert_int_equal(sent_icmp6(1)->icmp6_type, ICMP6_PARAM_PROB);
    assert_int_equal(ntohl(sent_icmp6(1)->icmp6_pptr), 42); /* fragment offset */
}

static void rfc6946_atomic_fragment_is_a_packet_by_itself(void **state)
{
    arrive(part6(9, 0, 64, true)); /* another packet with the same id waits */
    struct rte_mbuf *m = delivered(part6(9, 0, 40, false));
    intact(m, 40);
    assert_int_equal(m->l3_len, 40);
    assert_int_equal(pkt_info(m)->proto, PROTO_TEST);
}

static void too_many_fragments_drop_the_packet(void **state)
{
    for (unsigned v4 = 0; v4 < 2; v4++) {
        uint64_t before = drops();
        for (unsigned i = 0; i <= FRAG_MAX; i++)
            arrive(part(v4, 3, i * 8, 8, i < FRAG_MAX));
        assert_int_equal(f.n_got, 0);
        fake_pass(&f, 40 * NS_PER_SEC);
        assert_int_equal(drops() - before, FRAG_MAX + 1);
        fake_forget(&f);
    }
}

static void number_of_incomplete_packets_is_limited(void **state)
{
    sysctl_put("net.inet.ip.maxfragpackets", "4");
    for (uint16_t id = 0; id < 50; id++)
        arrive(part4(id, 0, 8, true));
    assert_true(fake_pool_used() <= 4);
    assert_true(stat("fragdropped") >= 46);
    fake_pass(&f, 40 * NS_PER_SEC);
    assert_int_equal(stat("fragdropped") + stat("fragtimeout"), 50);
    intact((arrive(part4(99, 0, 8, true)), delivered(part4(99, 8, 8, false))), 16);
}

static void maxfragpackets_0_takes_no_fragments(void **state)
{
    sysctl_put("net.inet.ip.maxfragpackets", "0");
    dropped(part4(1, 0, 8, true), "net.inet.ip.stats.fragdropped");
    dropped(part6(1, 0, 8, true), "net.inet.ip.stats.fragdropped");
}

static void rfc1122_332_incomplete_packets_time_out(void **state)
{
    sysctl_put("net.inet.ip.fragttl", "5000");
    arrive(part4(1, 0, 8, true));
    fake_pass(&f, 4 * NS_PER_SEC);
    arrive(part4(2, 8, 8, true)); /* must not live for ever because it came between two sweeps */
    assert_int_equal(stat("fragtimeout"), 0);
    fake_pass(&f, 3 * NS_PER_SEC);
    assert_int_equal(stat("fragtimeout"), 1);
    fake_pass(&f, 4 * NS_PER_SEC);
    assert_int_equal(stat("fragtimeout"), 2);
    assert_int_equal(fake_pool_used(), f.n_sent);
    assert_false(wheel_timer_armed(&f.e->ip->frag_timer));
}

static void time_exceeded(bool v4)
{
    if (v4) {
        assert_int_equal(sent_icmp4(0)->type, ICMP_TIME_EXCEEDED);
        assert_int_equal(sent_icmp4(0)->code, ICMP_EXC_FRAGTIME);
        const struct rte_ipv4_hdr *quoted = (const void *)(sent_icmp4(0) + 1);
        assert_int_equal(quoted->packet_id, rte_cpu_to_be_16(7));
    } else {
        assert_int_equal(sent_icmp6(0)->icmp6_type, ICMP6_TIME_EXCEEDED);
        assert_int_equal(sent_icmp6(0)->icmp6_code, ICMP6_TIME_EXCEED_REASSEMBLY);
    }
}

static void timeout_is_told_when_the_first_fragment_was_there(void **state)
{
    for (unsigned v4 = 0; v4 < 2; v4++) {
        arrive(part(v4, 6, 8, 8, false));
        fake_pass(&f, 40 * NS_PER_SEC);
        assert_int_equal(f.n_sent, 0);
        arrive(part(v4, 7, 0, 16, true));
        arrive(part(v4, 7, 16, 16, true));
        fake_pass(&f, 40 * NS_PER_SEC);
        assert_int_equal(f.n_sent, 1);
        time_exceeded(v4);
        fake_forget(&f);
    }
    assert_int_equal(stat("fragtimeout"), 6);
}

/* ---- output ---- */

static uint64_t output_flags;

static int output(const char *from, const char *to, unsigned len, bool df)
{
    struct rte_mbuf *m = fake_zeros(RTE_MIN(len, 1800u)), *last = m;
    struct ip_path path;
    struct ip_addr src = ip(from), dst = ip(to);
    struct ip_send how = {.src = &src, .dst = &dst, .proto = PROTO_TEST, .dont_fragment = df, .path = &path};
    fill(rte_pktmbuf_mtod(m, uint8_t *), 0, m->data_len);
    for (unsigned n; m->pkt_len < len; m->pkt_len += n, m->nb_segs++) {
        n = RTE_MIN(len - m->pkt_len, 1800u);
        last->next = fake_zeros(n);
        last = last->next;
        fill(rte_pktmbuf_mtod(last, uint8_t *), m->pkt_len, n);
    }
    m->ol_flags |= output_flags;
    assert_int_equal(ip_path_find(f.e, &src, &dst, 0, &path), 0);
    int rc = ip_output(f.e, m, &how);
    link_transmit(f.e, NULL);
    return rc;
}

/* What was sent comes back in: addresses exchanged, it must be whole. */
static void comes_back_whole(unsigned len)
{
    unsigned n = f.n_sent;
    struct rte_mbuf *frames[64];
    memcpy(frames, f.sent, n * sizeof(frames[0]));
    f.n_sent = 0;
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = rte_pktmbuf_copy(frames[i], fake_pool, 0, UINT32_MAX);
        struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
        eh->dst_addr = fake_mac;
        m->ol_flags = 0;
        if (eh->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
            struct rte_ipv4_hdr *h = ip_of(m);
            RTE_SWAP(h->src_addr, h->dst_addr);
        } else {
            struct rte_ipv6_hdr *h = ip_of(m);
            uint8_t t[16];
            memcpy(t, h->src_addr, 16);
            memcpy(h->src_addr, h->dst_addr, 16);
            memcpy(h->dst_addr, t, 16);
        }
        arrive(m);
        rte_pktmbuf_free(frames[i]);
    }
    assert_int_equal(drops(), 0);
    assert_int_equal(f.n_got, 1);
    intact(f.got[0], len);
}

static void rfc791_output_cuts_in_eights_and_numbers_them_alike(void **state)
{
    assert_int_equal(output("10.0.0.1", "10.0.0.2", 4000, false), 0);
    assert_int_equal(f.n_sent, 3);
    unsigned at = 0;
    for (unsigned i = 0; i < 3; i++) {
        const struct rte_ipv4_hdr *h = sent4(i);
        unsigned len = rte_be_to_cpu_16(h->total_length) - 20u, off = rte_be_to_cpu_16(h->fragment_offset);
        assert_true(len + 20 <= 1500 && f.sent[i]->pkt_len == len + 34);
        assert_int_equal((off & RTE_IPV4_HDR_OFFSET_MASK) * 8, at);
        assert_int_equal(!!(off & RTE_IPV4_HDR_MF_FLAG), i < 2);
        assert_int_equal(rte_raw_cksum(h, 20), 0xffff);
        assert_int_equal(h->packet_id, sent4(0)->packet_id);
        at += len;
    }
    assert_int_equal(stat("fragmented"), 1);
    assert_int_equal(stat("ofragments"), 3);
    comes_back_whole(4000);
}

static void rfc8200_45_output_with_a_fragment_header(void **state)
{
    assert_int_equal(output("2001:db8::1", "2001:db8::2", 4000, false), 0);
    assert_int_equal(f.n_sent, 3);
    unsigned at = 0;
    uint32_t id = 0;
    for (unsigned i = 0; i < 3; i++) {
        const struct rte_ipv6_hdr *h = sent6(i);
        const struct rte_ipv6_fragment_ext *fh = (const void *)(h + 1);
        unsigned len = rte_be_to_cpu_16(h->payload_len) - 8u, data = rte_be_to_cpu_16(fh->frag_data);
        assert_int_equal(h->proto, IPPROTO_FRAGMENT);
        assert_int_equal(fh->next_header, PROTO_TEST);
        assert_true(len + 48 <= 1500 && f.sent[i]->pkt_len == len + 62);
        assert_int_equal(data & ~7u, at);
        assert_int_equal(data & 1, i < 2);
        id = i ? id : fh->id;
        assert_int_equal(fh->id, id);
        at += len;
    }
    comes_back_whole(4000);
    assert_int_equal(output("2001:db8::1", "2001:db8::2", 2000, false),
                     0); /* RFC 7739: the next id is another */
    assert_true(((const struct rte_ipv6_fragment_ext *)(sent6(0) + 1))->id != id);
}

/* The bytes of the pieces behind their headers, in one. */
static unsigned gather(uint8_t *whole, bool v4)
{
    unsigned headers = v4 ? 34 : 14 + 48, len = 0;
    for (unsigned i = 0; i < f.n_sent; i++) {
        unsigned n = f.sent[i]->pkt_len - headers;
        const void *at = rte_pktmbuf_read(f.sent[i], headers, n, whole + len);
        memmove(whole + len, at, n);
        len += n;
        assert_false(f.sent[i]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
        rte_pktmbuf_free(f.sent[i]);
    }
    f.n_sent = 0;
    return len;
}

/* No port can sum what it sees in pieces. PROTO_TEST stands for TCP; the pseudo header is TCP's. */
static void transport_checksum_is_made_before_the_cut(void **state)
{
    for (unsigned v4 = 0; v4 < 2; v4++) {
        uint8_t whole[4000];
        output_flags = RTE_MBUF_F_TX_TCP_CKSUM;
        assert_int_equal(v4 ? output("10.0.0.1", "10.0.0.2", 4000, false)
                            : output("2001:db8::1", "2001:db8::2", 4000, false),
                         0);
        output_flags = 0;
        assert_int_equal(f.n_sent, 3);
        assert_int_equal(gather(whole, v4), 4000);
        struct ip_addr src = ip(v4 ? "10.0.0.1" : "2001:db8::1"), dst = ip(v4 ? "10.0.0.2" : "2001:db8::2");
        uint32_t sum = rte_raw_cksum(whole, 4000), at = v4 ? 12 : 0;
        sum += rte_raw_cksum(src.b + at, 16 - at) + rte_raw_cksum(dst.b + at, 16 - at) + htons(4000) +
               htons(IPPROTO_TCP);
        sum = (sum >> 16) + (sum & 0xffff);
        assert_int_equal((sum >> 16) + (sum & 0xffff), 0xffff);
    }
}

static void too_many_parts_or_df_are_dropped_and_counted(void **state)
{
    assert_int_equal(output("10.0.0.1", "10.0.0.2", 1481, true), -EMSGSIZE);
    assert_int_equal(output("2001:db8::1", "2001:db8::2", 1461, true), -EMSGSIZE);
    assert_int_equal(stat("cantfrag"), 2);
    assert_int_equal(f.n_sent, 0);
}

static void no_buffer_for_a_fragment_loses_the_packet_only(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    static const char *const from[] = {"10.0.0.1", "2001:db8::1"}, *const to[] = {"10.0.0.2", "2001:db8::2"};
    for (int i = 0; i < 2; i++) {
        fault_run = 1;
        fault_countdown = 1;
        assert_true(output(from[i], to[i], 3000, false) < 0);
        fault_countdown = -1;
        assert_int_equal(f.n_sent, 0);
        assert_int_equal(fake_pool_used(), 0);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(in_any_order_the_packet_comes_out_whole),
        HOST_TEST(checksum_of_a_fragment_says_nothing_of_the_whole),
        HOST_TEST(packets_are_told_apart_by_id_and_sender),
        HOST_TEST(rfc5722_overlap_drops_the_packet),
        HOST_TEST(unusable_fragments_are_dropped),
        HOST_TEST(rfc8200_45_bad_lengths_are_pointed_at),
        HOST_TEST(rfc6946_atomic_fragment_is_a_packet_by_itself),
        HOST_TEST(too_many_fragments_drop_the_packet),
        HOST_TEST(number_of_incomplete_packets_is_limited),
        HOST_TEST(maxfragpackets_0_takes_no_fragments),
        HOST_TEST(rfc1122_332_incomplete_packets_time_out),
        HOST_TEST(timeout_is_told_when_the_first_fragment_was_there),
        HOST_TEST(rfc791_output_cuts_in_eights_and_numbers_them_alike),
        HOST_TEST(rfc8200_45_output_with_a_fragment_header),
        HOST_TEST(transport_checksum_is_made_before_the_cut),
        HOST_TEST(too_many_parts_or_df_are_dropped_and_counted),
        HOST_TEST(no_buffer_for_a_fragment_loses_the_packet_only),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
