// SPDX-License-Identifier: BSD-3-Clause
// ICMP and ICMPv6: RFC 792, RFC 1122 §3.2.2, RFC 1812 §4.3.2, RFC 4443.
#include "host.h"

static struct rte_mbuf *icmp4(uint8_t type, uint8_t code, unsigned len)
{
    struct rte_mbuf *m = packet4(IPPROTO_ICMP, len);
    struct icmphdr *icmp = (struct icmphdr *)((struct rte_ipv4_hdr *)ip_of(m) + 1);
    icmp->type = type;
    icmp->code = code;
    sum_icmp4(m);
    return m;
}

static struct rte_mbuf *icmp6(uint8_t type, uint8_t code, unsigned len)
{
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, len);
    struct icmp6_hdr *icmp = (struct icmp6_hdr *)((struct rte_ipv6_hdr *)ip_of(m) + 1);
    icmp->icmp6_type = type;
    icmp->icmp6_code = code;
    sum_icmp6(m);
    return m;
}

static void rfc1122_3226_echo(void **state)
{
    struct rte_mbuf *m = icmp4(ICMP_ECHO, 0, 64);
    ((struct rte_ipv4_hdr *)ip_of(m))->type_of_service = 0x20;
    sum4(ip_of(m));
    arrive(m);
    assert_int_equal(f.n_sent, 1);
    const struct rte_ipv4_hdr *h = sent4(0);
    assert_int_equal(h->src_addr, v4(1).w[3]);
    assert_int_equal(h->dst_addr, v4(2).w[3]);
    assert_int_equal(h->type_of_service, 0x20);
    assert_int_equal(rte_be_to_cpu_16(h->total_length), 84);
    assert_int_equal(sent_icmp4(0)->type, ICMP_ECHOREPLY);
    assert_int_equal(((const uint8_t *)sent_icmp4(0))[63], 63);
    assert_int_equal(sysctl_value("net.inet.icmp.stats.echo"), 1);
}

static void rfc4443_41_echo(void **state)
{
    arrive(icmp6(ICMP6_ECHO_REQUEST, 0, 64));
    assert_int_equal(f.n_sent, 1);
    const struct rte_ipv6_hdr *h = sent6(0);
    struct ip_addr a = ip("2001:db8::1"), b = ip("2001:db8::2");
    assert_memory_equal(h->src_addr, a.b, 16);
    assert_memory_equal(h->dst_addr, b.b, 16);
    assert_int_equal(sent_icmp6(0)->icmp6_type, ICMP6_ECHO_REPLY);
    assert_int_equal(((const uint8_t *)sent_icmp6(0))[63], 63);
}

static void rfc4443_42_echo_to_a_group_is_answered_from_our_address(void **state)
{
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, 16);
    address6(m, "2001:db8::2", "ff02::1");
    ((struct icmp6_hdr *)((struct rte_ipv6_hdr *)ip_of(m) + 1))->icmp6_type = ICMP6_ECHO_REQUEST;
    ((struct icmp6_hdr *)((struct rte_ipv6_hdr *)ip_of(m) + 1))->icmp6_code = 0;
    sum_icmp6(m);
    arrive(m);
    struct ip_addr a = ip("2001:db8::1");
    assert_non_null(sent6(0));
    assert_memory_equal(sent6(0)->src_addr, a.b, 16);
    assert_int_equal(sent_icmp6(0)->icmp6_type, ICMP6_ECHO_REPLY);
}

static void large_echo_is_answered_in_fragments(void **state)
{
    assert_int_equal(netif_set_mtu(f.nif, 1400), -ENOTSUP); /* the fake port's is fixed */
    f.nif->mtu = 1280;
    arrive(icmp6(ICMP6_ECHO_REQUEST, 0, 1400));
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(sent6(0)->proto, IPPROTO_FRAGMENT);
    assert_int_equal(sysctl_value("net.inet.ip.stats.cantfrag"), 0);
    arrive(icmp4(ICMP_ECHO, 0, 1400));
    assert_int_equal(f.n_sent, 4);
    assert_true(sent4(2)->fragment_offset & RTE_BE16(RTE_IPV4_HDR_MF_FLAG));
}

static void rfc1122_3226_broadcast_echo_is_ignored_unless_wanted(void **state)
{
    for (int on = 0; on < 2; on++) {
        struct rte_mbuf *m = icmp4(ICMP_ECHO, 0, 16);
        struct rte_ipv4_hdr *h = ip_of(m);
        h->dst_addr = v4(255).w[3];
        sum4(h);
        memset(&rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr, 0xff, 6);
        if (on) {
            sysctl_put("net.inet.icmp.bmcastecho", "1");
            arrive(m);
        } else {
            dropped(m, "net.inet.ip.stats.notmember");
        }
        assert_int_equal(f.n_sent, on);
    }
    assert_int_equal(sent4(0)->src_addr, v4(1).w[3]);
}

static void bad_messages_are_dropped_each_with_its_counter(void **state)
{
    dropped(packet4(IPPROTO_ICMP, 7), "net.inet.icmp.stats.tooshort");
    dropped(packet6(IPPROTO_ICMPV6, 7), "net.inet.icmp.stats.tooshort");
    struct rte_mbuf *m = icmp4(ICMP_ECHO, 0, 17);
    rte_pktmbuf_mtod(m, uint8_t *)[40] ^= 1;
    dropped(m, "net.inet.icmp.stats.checksum");
    m = icmp6(ICMP6_ECHO_REQUEST, 0, 17);
    rte_pktmbuf_mtod(m, uint8_t *)[60] ^= 1;
    dropped(m, "net.inet.icmp.stats.checksum");
    dropped(icmp4(ICMP_ADDRESS, 0, 16), "net.inet.icmp.stats.ignored");
    dropped(icmp4(ICMP_ECHOREPLY, 0, 16), "net.inet.icmp.stats.ignored");
    dropped(icmp6(ICMP6_ECHO_REPLY, 0, 16), "net.inet.icmp.stats.ignored");
    dropped(icmp6(200, 0, 16), "net.inet.icmp.stats.ignored");
    assert_int_equal(f.n_sent, 0);
}

/* ---- errors that we send ---- */

static void rfc1812_4323_error_quotes_what_it_is_about(void **state)
{
    arrive(packet4(99, 600));
    const struct icmphdr *icmp = sent_icmp4(0);
    const struct rte_ipv4_hdr *quoted = (const void *)(icmp + 1);
    assert_int_equal(sent4(0)->type_of_service, 0xc0);
    assert_int_equal(icmp->type, ICMP_DEST_UNREACH);
    assert_int_equal(quoted->next_proto_id, 99);
    assert_int_equal(quoted->src_addr, v4(2).w[3]);
    assert_int_equal(rte_be_to_cpu_16(sent4(0)->total_length), 576);
    fake_forget(&f);
    arrive(packet6(99, 1400));
    const struct rte_ipv6_hdr *quoted6 = (const void *)(sent_icmp6(0) + 1);
    assert_int_equal(quoted6->proto, 99);
    assert_int_equal(rte_be_to_cpu_16(sent6(0)->payload_len), 1240);
}

static void rfc1122_322_no_error_about(struct rte_mbuf *m)
{
    arrive(m);
    assert_int_equal(f.n_sent, 0);
}

static void rfc1122_322_no_errors_about_broadcasts_groups_fragments_and_errors(void **state)
{
    struct rte_mbuf *m = packet4(99, 16); /* to our address, in a broadcast frame */
    memset(&rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr, 0xff, 6);
    rfc1122_322_no_error_about(m);
    m = packet6(99, 16); /* the same in IPv6 */
    address6(m, "2001:db8::2", "ff02::1");
    rfc1122_322_no_error_about(m);
    m = packet6(99, 16); /* from nobody */
    address6(m, "::", "2001:db8::1");
    rfc1122_322_no_error_about(m);
}

static void errors_a_second_are_limited_in_both_families_together(void **state)
{
    sysctl_put("net.inet.icmp.icmplim", "5");
    for (int i = 0; i < 5; i++) {
        arrive(packet4(99, 16));
        arrive(packet6(99, 16));
    }
    assert_int_equal(f.n_sent, 5);
    assert_int_equal(sysctl_value("net.inet.icmp.stats.ratelimited"), 5);
    arrive(icmp4(ICMP_ECHO, 0, 16)); /* answers are not errors */
    assert_int_equal(f.n_sent, 6);
    fake_pass(&f, NS_PER_SEC);
    arrive(packet4(99, 16));
    assert_int_equal(f.n_sent, 7);
}

/* By themselves, so that a flood of pings does not silence the errors. */
static void echo_replies_a_second_are_limited_in_both_families_together(void **state)
{
    sysctl_put("net.inet.icmp.icmplim", "5");
    for (int i = 0; i < 20; i++)
        arrive(i & 1 ? icmp6(ICMP6_ECHO_REQUEST, 0, 16) : icmp4(ICMP_ECHO, 0, 16));
    assert_int_equal(f.n_sent, 5);
    assert_int_equal(sysctl_value("net.inet.icmp.stats.ratelimited"), 15);
    arrive(packet4(99, 16));
    assert_int_equal(f.n_sent, 6);
    fake_pass(&f, NS_PER_SEC);
    arrive(icmp4(ICMP_ECHO, 0, 16));
    assert_int_equal(f.n_sent, 7);
}

static void icmplim_0_is_no_limit(void **state)
{
    sysctl_put("net.inet.icmp.icmplim", "0");
    for (int i = 0; i < 300; i++)
        arrive(packet4(99, 16));
    assert_int_equal(f.n_sent, 300);
}

/* ---- errors that we get ---- */

/* An error that quotes a packet of protocol proto from src to 10.9.9.9. */
static struct rte_mbuf *error4(uint8_t type, uint8_t code, uint16_t mtu, uint8_t proto, const char *src)
{
    struct rte_mbuf *m = icmp4(type, code, 8 + 28);
    struct icmphdr *icmp = (struct icmphdr *)((struct rte_ipv4_hdr *)ip_of(m) + 1);
    struct rte_ipv4_hdr *q = (struct rte_ipv4_hdr *)(icmp + 1);
    icmp->un.frag.mtu = htons(mtu);
    memset(q, 0, sizeof(*q));
    q->version_ihl = RTE_IPV4_VHL_DEF;
    q->next_proto_id = proto;
    q->src_addr = ip(src).w[3];
    q->dst_addr = ip("10.9.9.9").w[3];
    memcpy(q + 1, "12345678", 8);
    sum_icmp4(m);
    return m;
}

static struct rte_mbuf *error6(uint8_t type, uint8_t code, uint32_t mtu, uint8_t proto, const char *src)
{
    struct rte_mbuf *m = icmp6(type, code, 8 + 48);
    struct icmp6_hdr *icmp = (struct icmp6_hdr *)((struct rte_ipv6_hdr *)ip_of(m) + 1);
    struct rte_ipv6_hdr *q = (struct rte_ipv6_hdr *)(icmp + 1);
    struct ip_addr a = ip(src), b = ip("2001:db8:9::9");
    icmp->icmp6_mtu = htonl(mtu);
    memset(q, 0, sizeof(*q));
    q->vtc_flow = rte_cpu_to_be_32(6u << 28);
    q->proto = proto;
    memcpy(q->src_addr, a.b, 16);
    memcpy(q->dst_addr, b.b, 16);
    memcpy(q + 1, "12345678", 8);
    sum_icmp6(m);
    return m;
}

static void heard(int type, int code, uint32_t mtu, const char *dst)
{
    struct ip_addr d = ip(dst);
    assert_int_equal(told.n, 1);
    assert_int_equal(told.type, type);
    assert_int_equal(told.code, code);
    assert_int_equal(told.mtu, mtu);
    assert_true(ip_addr_eq(&told.dst, &d));
    assert_memory_equal(told.l4, "12345678", 8);
    told.n = 0;
}

static void rfc1122_3221_protocol_above_hears_of_errors(void **state)
{
    arrive(error4(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, PROTO_TEST, "10.0.0.1"));
    heard(ICMP_DEST_UNREACH, ICMP_PORT_UNREACH, 0, "10.9.9.9");
    arrive(error4(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1400, PROTO_TEST, "10.0.0.1"));
    heard(ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 1400, "10.9.9.9");
    arrive(error4(ICMP_TIME_EXCEEDED, 0, 1400, PROTO_TEST, "10.0.0.1"));
    heard(ICMP_TIME_EXCEEDED, 0, 0, "10.9.9.9");
    arrive(error6(ICMP6_PACKET_TOO_BIG, 0, 1300, PROTO_TEST, "2001:db8::1"));
    heard(ICMP6_PACKET_TOO_BIG, 0, 1300, "2001:db8:9::9");
    arrive(error6(ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, 7, PROTO_TEST, "2001:db8::1"));
    heard(ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOPORT, 0, "2001:db8:9::9");
    assert_int_equal(sysctl_value("net.inet.icmp.stats.inerrors"), 5);
}

static void errors_about_what_we_cannot_have_sent_are_dropped(void **state)
{
    static const char badcode[] = "net.inet.icmp.stats.badcode";
    dropped(error4(ICMP_DEST_UNREACH, 1, 0, PROTO_TEST, "10.0.0.7"), badcode);
    dropped(error4(ICMP_DEST_UNREACH, 1, 0, 99, "10.0.0.1"), badcode);
    dropped(error6(ICMP6_DST_UNREACH, 1, 0, PROTO_TEST, "2001:db8::7"), badcode);
    dropped(error6(ICMP6_DST_UNREACH, 1, 0, 99, "2001:db8::1"), badcode);
    struct rte_mbuf *m = error4(ICMP_DEST_UNREACH, 1, 0, PROTO_TEST, "10.0.0.1");
    ((struct rte_ipv4_hdr *)((char *)ip_of(m) + 28))->fragment_offset = RTE_BE16(5); /* not the first */
    sum_icmp4(m);
    dropped(m, badcode);
    assert_int_equal(told.n, 0);
}

static void quotes_too_short_to_tell_are_dropped(void **state)
{
    struct rte_mbuf *m = error4(ICMP_DEST_UNREACH, 1, 0, PROTO_TEST, "10.0.0.1");
    rte_pktmbuf_trim(m, 1);
    ((struct rte_ipv4_hdr *)ip_of(m))->total_length = rte_cpu_to_be_16(55);
    sum4(ip_of(m));
    sum_icmp4(m);
    dropped(m, "net.inet.icmp.stats.tooshort");
    m = error4(ICMP_DEST_UNREACH, 1, 0, PROTO_TEST, "10.0.0.1");
    ((struct rte_ipv4_hdr *)((char *)ip_of(m) + 28))->version_ihl = 0x4f;
    sum_icmp4(m);
    dropped(m, "net.inet.icmp.stats.tooshort");
    m = error6(ICMP6_DST_UNREACH, 1, 0, PROTO_TEST, "2001:db8::1");
    rte_pktmbuf_trim(m, 1);
    ((struct rte_ipv6_hdr *)ip_of(m))->payload_len = rte_cpu_to_be_16(55);
    sum_icmp6(m);
    dropped(m, "net.inet.icmp.stats.tooshort");
    assert_int_equal(told.n, 0);
}

static void sender_hears_when_a_neighbour_does_not_answer(void **state)
{
    static const char *const from[] = {"10.0.0.1", "2001:db8::1"}, *const to[] = {"10.0.0.77",
                                                                                  "2001:db8::77"};
    for (int i = 0; i < 2; i++) {
        struct ip_addr src = ip(from[i]), dst = ip(to[i]);
        struct ip_path path;
        struct ip_send how = {.src = &src, .dst = &dst, .proto = PROTO_TEST, .path = &path};
        assert_int_equal(ip_path_find(f.e, &src, &dst, 0, &path), 0);
        assert_int_equal(ip_output(f.e, fake_zeros(20), &how), 0);
        fake_pass(&f, 20 * NS_PER_SEC);
        assert_int_equal(told.n, 1);
        assert_int_equal(told.type, i ? ICMP6_DST_UNREACH : ICMP_DEST_UNREACH);
        assert_int_equal(told.code, i ? ICMP6_DST_UNREACH_ADDR : ICMP_HOST_UNREACH);
        assert_true(ip_addr_eq(&told.dst, &dst));
        told.n = 0;
    }
}

static void no_buffer_for_an_answer_is_counted(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct rte_mbuf *m[] = {icmp4(ICMP_ECHO, 0, 16), icmp6(ICMP6_ECHO_REQUEST, 0, 16), packet4(99, 16),
                            packet6(99, 16)};
    for (unsigned i = 0; i < RTE_DIM(m); i++) {
        fault_run = 1;
        fault_countdown = 1;
        arrive(m[i]);
        fault_countdown = -1;
        assert_int_equal(sysctl_value("net.inet.icmp.stats.nobuf"), i + 1);
    }
    assert_int_equal(f.n_sent, 0);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(rfc1122_3226_echo),
        HOST_TEST(rfc4443_41_echo),
        HOST_TEST(rfc4443_42_echo_to_a_group_is_answered_from_our_address),
        HOST_TEST(large_echo_is_answered_in_fragments),
        HOST_TEST(rfc1122_3226_broadcast_echo_is_ignored_unless_wanted),
        HOST_TEST(bad_messages_are_dropped_each_with_its_counter),
        HOST_TEST(rfc1812_4323_error_quotes_what_it_is_about),
        HOST_TEST(rfc1122_322_no_errors_about_broadcasts_groups_fragments_and_errors),
        HOST_TEST(errors_a_second_are_limited_in_both_families_together),
        HOST_TEST(echo_replies_a_second_are_limited_in_both_families_together),
        HOST_TEST(icmplim_0_is_no_limit),
        HOST_TEST(rfc1122_3221_protocol_above_hears_of_errors),
        HOST_TEST(errors_about_what_we_cannot_have_sent_are_dropped),
        HOST_TEST(quotes_too_short_to_tell_are_dropped),
        HOST_TEST(sender_hears_when_a_neighbour_does_not_answer),
        HOST_TEST(no_buffer_for_an_answer_is_counted),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
