// SPDX-License-Identifier: BSD-3-Clause
// IPv6 input: RFC 8200, RFC 5095, RFC 4291.
#include "host.h"

static struct rte_ipv6_hdr *header(struct rte_mbuf *m)
{
    return ip_of(m);
}

static void whole_packet_goes_up_with_what_the_header_says(void **state)
{
    struct rte_mbuf *m = packet6(PROTO_TEST, 40);
    header(m)->vtc_flow = rte_cpu_to_be_32(6u << 28 | 0x2e << 20 | 0x12345);
    header(m)->hop_limits = 9;
    memset(rte_pktmbuf_append(m, 6), 0xaa, 6); /* padding of the frame */
    m = delivered(m);
    const struct pkt_info *info = pkt_info(m);
    assert_int_equal(m->pkt_len, 40);
    assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[1], 1);
    assert_int_equal(m->l3_len, 40);
    assert_int_equal(info->tos, 0x2e);
    assert_int_equal(info->ttl, 9);
    assert_int_equal(sysctl_value("net.inet6.ip6.stats.delivered"), 1);
}

static void bad_headers_are_dropped_each_with_its_counter(void **state)
{
    dropped(fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV6, 39), "net.inet.ip.stats.tooshort");
    struct rte_mbuf *m = packet6(PROTO_TEST, 8);
    header(m)->vtc_flow = rte_cpu_to_be_32(4u << 28);
    dropped(m, "net.inet.ip.stats.badvers");
    m = packet6(PROTO_TEST, 8);
    header(m)->payload_len = rte_cpu_to_be_16(9);
    dropped(m, "net.inet.ip.stats.badlen");
}

static void from_to(const char *src, const char *dst, const char *counter)
{
    struct rte_mbuf *m = packet6(PROTO_TEST, 8);
    struct ip_addr to = ip(dst);
    address6(m, src, dst);
    if (ip_addr_is_multicast(&to)) /* as if the port's filter had let it through */
        rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr = fake_mac;
    dropped(m, counter);
}

static void rfc4291_addresses_that_cannot_be(void **state)
{
    from_to("ff02::1", "2001:db8::1", "net.inet.ip.stats.badaddr");
    from_to("::1", "2001:db8::1", "net.inet.ip.stats.badaddr");
    from_to("2001:db8::2", "::1", "net.inet.ip.stats.badaddr");
    from_to("::ffff:10.0.0.2", "2001:db8::1", "net.inet.ip.stats.badaddr");
    from_to("2001:db8::2", "::ffff:10.0.0.1", "net.inet.ip.stats.badaddr");
}

static void what_is_not_for_us_is_neither_taken_nor_forwarded(void **state)
{
    from_to("2001:db8::2", "2001:db8::3", "net.inet.ip.stats.cantforward");
    from_to("2001:db8::2", "ff02::1:ff00:9", "net.inet.ip.stats.notmember");
    from_to("2001:db8::2", "ff02::fb", "net.inet.ip.stats.notmember");
    assert_int_equal(f.n_sent, 0);
}

/* ---- extension headers ---- */

/* Puts `len` bytes of extension header before the payload of m, of kind `kind`. */
static struct rte_mbuf *with_header(struct rte_mbuf *m, uint8_t kind, const void *bytes, unsigned len)
{
    uint8_t saved[54];
    memcpy(saved, rte_pktmbuf_mtod(m, void *), sizeof(saved));
    assert_non_null(rte_pktmbuf_prepend(m, (uint16_t)len));
    memcpy(rte_pktmbuf_mtod(m, void *), saved, sizeof(saved));
    uint8_t *ext = (uint8_t *)(header(m) + 1);
    memcpy(ext, bytes, len);
    ext[0] = header(m)->proto;
    header(m)->proto = kind;
    header(m)->payload_len = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(header(m)->payload_len) + len));
    return m;
}
static const uint8_t padn[8] = {0, 0, 1, 4};

static void rfc8200_4_chain_is_walked(void **state)
{
    struct rte_mbuf *m = packet6(PROTO_TEST, 10);
    static const uint8_t routed[8] = {0, 0, 4, 0};
    m = with_header(m, IPPROTO_DSTOPTS, padn, 8);
    m = with_header(m, IPPROTO_ROUTING, routed, 8); /* segments left 0: as if it were not there */
    m = with_header(m, IPPROTO_HOPOPTS, padn, 8);
    m = delivered(m);
    assert_int_equal(m->l3_len, 64);
    assert_int_equal(m->pkt_len, 10);
    assert_int_equal(*rte_pktmbuf_mtod(m, uint8_t *), 0);
    assert_int_equal(pkt_info(m)->proto, PROTO_TEST);
}

static void parameter_problem(unsigned i, uint8_t code, uint32_t pointer)
{
    assert_int_equal(f.n_sent, i + 1);
    assert_int_equal(sent_icmp6(i)->icmp6_type, ICMP6_PARAM_PROB);
    assert_int_equal(sent_icmp6(i)->icmp6_code, code);
    assert_int_equal(ntohl(sent_icmp6(i)->icmp6_pptr), pointer);
}

static void rfc8200_42_unknown_options_do_what_their_bits_ask(void **state)
{
    static const uint8_t skip[8] = {0, 0, 0x1e, 4}, discard[8] = {0, 0, 0x5e, 4}, tell[8] = {0, 0, 0x9e, 4},
                         tell_one[8] = {0, 0, 0xde, 4};
    delivered(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, skip, 8));
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, discard, 8),
            "net.inet6.ip6.stats.badoptions");
    assert_int_equal(f.n_sent, 0);
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, tell, 8), "net.inet6.ip6.stats.badoptions");
    parameter_problem(0, ICMP6_PARAMPROB_OPTION, 42);
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, tell_one, 8),
            "net.inet6.ip6.stats.badoptions");
    parameter_problem(1, ICMP6_PARAMPROB_OPTION, 42);
}

static void rfc8200_42_to_a_group_only_10_is_told(void **state)
{
    static const uint8_t tell[8] = {0, 0, 0x9e, 4}, tell_one[8] = {0, 0, 0xde, 4};
    struct rte_mbuf *m = with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, tell_one, 8);
    address6(m, "2001:db8::2", "ff02::1:ff00:1");
    dropped(m, "net.inet6.ip6.stats.badoptions");
    assert_int_equal(f.n_sent, 0);
    m = with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, tell, 8);
    address6(m, "2001:db8::2", "ff02::1:ff00:1");
    dropped(m, "net.inet6.ip6.stats.badoptions");
    parameter_problem(0, ICMP6_PARAMPROB_OPTION, 42);
}

static void option_longer_than_its_header_is_dropped(void **state)
{
    static const uint8_t bad[8] = {0, 0, 1, 5};
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, bad, 8), "net.inet6.ip6.stats.badoptions");
}

static void rfc8200_4_hop_by_hop_elsewhere_than_first(void **state)
{
    struct rte_mbuf *m = with_header(packet6(PROTO_TEST, 8), IPPROTO_HOPOPTS, padn, 8);
    dropped(with_header(m, IPPROTO_DSTOPTS, padn, 8), "net.inet6.ip6.stats.badoptions");
    parameter_problem(0, ICMP6_PARAMPROB_NEXTHEADER, 40);
}

static void rfc5095_source_routes_are_refused(void **state)
{
    static const uint8_t type0[8] = {0, 0, 0, 1};
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_ROUTING, type0, 8), "net.inet6.ip6.stats.badoptions");
    parameter_problem(0, ICMP6_PARAMPROB_HEADER, 42);
}

static void too_many_headers_are_dropped(void **state)
{
    struct rte_mbuf *m = packet6(PROTO_TEST, 8);
    for (int i = 0; i < 8; i++)
        m = with_header(m, IPPROTO_DSTOPTS, padn, 8);
    delivered(m);
    m = packet6(PROTO_TEST, 8);
    for (int i = 0; i < 9; i++)
        m = with_header(m, IPPROTO_DSTOPTS, padn, 8);
    dropped(m, "net.inet6.ip6.stats.toomanyhdr");
    uint8_t long_one[200] = {0, 24, 1, 196};
    m = packet6(PROTO_TEST, 8);
    struct rte_mbuf *n = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV6, 40 + 8 + 400);
    memcpy(rte_pktmbuf_mtod(n, void *), rte_pktmbuf_mtod(m, void *), 54);
    rte_pktmbuf_free(m);
    uint8_t *ext = (uint8_t *)(header(n) + 1);
    memcpy(ext, long_one, 200);
    memcpy(ext + 200, long_one, 200);
    header(n)->proto = ext[0] = IPPROTO_DSTOPTS;
    ext[200] = PROTO_TEST;
    header(n)->payload_len = rte_cpu_to_be_16(408);
    dropped(n, "net.inet6.ip6.stats.toomanyhdr");
}

static void header_beyond_the_packet_is_dropped(void **state)
{
    static const uint8_t too_long[8] = {0, 2, 1, 4};
    dropped(with_header(packet6(PROTO_TEST, 8), IPPROTO_DSTOPTS, too_long, 8),
            "net.inet6.ip6.stats.badoptions");
}

static void rfc8200_47_no_next_header_ends_quietly(void **state)
{
    unsigned got = f.n_got;
    arrive(packet6(IPPROTO_NONE, 8));
    assert_int_equal(f.n_got, got);
    assert_int_equal(drops(), 0);
    assert_int_equal(f.n_sent, 0);
}

static void unknown_next_header_is_pointed_at(void **state)
{
    dropped(packet6(99, 16), "net.inet.ip.stats.noproto");
    parameter_problem(0, ICMP6_PARAMPROB_NEXTHEADER, 6);
    struct rte_mbuf *m = with_header(packet6(99, 16), IPPROTO_DSTOPTS, padn, 8);
    dropped(with_header(m, IPPROTO_DSTOPTS, padn, 8), "net.inet.ip.stats.noproto");
    parameter_problem(1, ICMP6_PARAMPROB_NEXTHEADER, 48);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(whole_packet_goes_up_with_what_the_header_says),
        HOST_TEST(bad_headers_are_dropped_each_with_its_counter),
        HOST_TEST(rfc4291_addresses_that_cannot_be),
        HOST_TEST(what_is_not_for_us_is_neither_taken_nor_forwarded),
        HOST_TEST(rfc8200_4_chain_is_walked),
        HOST_TEST(rfc8200_42_unknown_options_do_what_their_bits_ask),
        HOST_TEST(rfc8200_42_to_a_group_only_10_is_told),
        HOST_TEST(option_longer_than_its_header_is_dropped),
        HOST_TEST(rfc8200_4_hop_by_hop_elsewhere_than_first),
        HOST_TEST(rfc5095_source_routes_are_refused),
        HOST_TEST(too_many_headers_are_dropped),
        HOST_TEST(header_beyond_the_packet_is_dropped),
        HOST_TEST(rfc8200_47_no_next_header_ends_quietly),
        HOST_TEST(unknown_next_header_is_pointed_at),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
