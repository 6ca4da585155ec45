// SPDX-License-Identifier: BSD-3-Clause
// IPv4 input and output: RFC 791, RFC 1122 §3.2.1, RFC 6864.
#include "host.h"

static struct rte_ipv4_hdr *header(struct rte_mbuf *m)
{
    return ip_of(m);
}

static void whole_packet_goes_up_with_what_the_header_says(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 40);
    header(m)->type_of_service = 0x2e;
    header(m)->time_to_live = 7;
    sum4(header(m));
    m = delivered(m);
    const struct pkt_info *info = pkt_info(m);
    assert_int_equal(m->pkt_len, 40);
    assert_int_equal(rte_pktmbuf_mtod(m, uint8_t *)[1], 1);
    assert_int_equal(m->l3_len, 20);
    assert_int_equal(info->proto, PROTO_TEST);
    assert_int_equal(info->tos, 0x2e);
    assert_int_equal(info->ttl, 7);
    assert_true(info->netif == f.nif);
    assert_true(ip_addr_eq(&info->src, &(struct ip_addr){.w = {0, 0, htonl(0xffff), v4(2).w[3]}}));
    assert_int_equal(sysctl_value("net.inet.ip.stats.delivered"), 1);
}

static void tcp_goes_up_as_one_burst(void **state)
{
    struct rte_mbuf *burst[3] = {packet4(IPPROTO_TCP, 20), packet4(IPPROTO_TCP, 20), packet4(PROTO_TEST, 20)};
    ether_input(f.nif, burst, 3);
    assert_int_equal(f.n_got, 3);
    assert_int_equal(pkt_info(f.got[0])->proto, PROTO_TEST); /* delivered on the way; TCP at the end */
    assert_int_equal(pkt_info(f.got[2])->proto, IPPROTO_TCP);
    assert_int_equal(sysctl_value("net.inet.ip.stats.delivered"), 3);
}

static void rfc1122_3211_bad_headers_are_dropped_each_with_its_counter(void **state)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, 19);
    dropped(m, "net.inet.ip.stats.tooshort");
    m = packet4(PROTO_TEST, 8);
    header(m)->version_ihl = 0x65;
    dropped(m, "net.inet.ip.stats.badvers");
    m = packet4(PROTO_TEST, 8);
    header(m)->version_ihl = 0x44;
    dropped(m, "net.inet.ip.stats.badhlen");
    m = packet4(PROTO_TEST, 8); /* header longer than the packet */
    header(m)->version_ihl = 0x4f;
    dropped(m, "net.inet.ip.stats.badhlen");
    m = packet4(PROTO_TEST, 8);
    header(m)->total_length = rte_cpu_to_be_16(19);
    sum4(header(m));
    dropped(m, "net.inet.ip.stats.badlen");
    m = packet4(PROTO_TEST, 8);
    header(m)->total_length = rte_cpu_to_be_16(29);
    sum4(header(m));
    dropped(m, "net.inet.ip.stats.badlen");
    m = packet4(PROTO_TEST, 8);
    header(m)->hdr_checksum ^= 0x100;
    dropped(m, "net.inet.ip.stats.badsum");
}

static void checksum_is_the_nics_word_when_it_gave_one(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 8);
    header(m)->hdr_checksum ^= 1;
    m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    delivered(m);
    m = packet4(PROTO_TEST, 8);
    m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
    dropped(m, "net.inet.ip.stats.badsum");
    m = packet4(PROTO_TEST, 8);
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    assert_true(pkt_info(delivered(m))->flags & PKT_CKSUM_OK);
}

/* RTE_MBUF_F_RX_*_CKSUM_NONE, of a packet that never left the machine: nobody wrote a checksum, and nothing is wrong with it. */
static void checksum_that_nobody_wrote_is_not_asked_for(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 8);
    header(m)->hdr_checksum ^= 1;
    m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_NONE | RTE_MBUF_F_RX_L4_CKSUM_NONE;
    assert_true(pkt_info(delivered(m))->flags & PKT_CKSUM_OK);
    m = packet4(PROTO_TEST, 8);
    m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_BAD;
    assert_false(pkt_info(delivered(m))->flags & PKT_CKSUM_OK);
}

static void from_to(const char *src, const char *dst, const char *counter)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 8);
    header(m)->src_addr = ip(src).w[3];
    header(m)->dst_addr = ip(dst).w[3];
    sum4(header(m));
    dropped(m, counter);
}

static void rfc1122_3213_addresses_that_cannot_be(void **state)
{
    from_to("127.0.0.1", "10.0.0.1", "net.inet.ip.stats.badaddr");
    from_to("10.0.0.2", "127.0.0.1", "net.inet.ip.stats.badaddr");
    from_to("224.0.0.1", "10.0.0.1", "net.inet.ip.stats.badaddr");
    from_to("255.255.255.255", "10.0.0.1", "net.inet.ip.stats.badaddr");
    from_to("0.0.0.0", "10.0.0.1", "net.inet.ip.stats.badaddr");
}

static void what_is_not_for_us_is_neither_taken_nor_forwarded(void **state)
{
    from_to("10.0.0.2", "10.0.0.3", "net.inet.ip.stats.cantforward");
    from_to("10.0.0.2", "10.0.0.255", "net.inet.ip.stats.notmember");
    from_to("10.0.0.2", "255.255.255.255", "net.inet.ip.stats.notmember");
    from_to("10.0.0.2", "224.0.0.1", "net.inet.ip.stats.notmember");
    assert_int_equal(f.n_sent, 0);
}

static void tentative_address_takes_nothing(void **state)
{
    struct ip_addr a = v4(9);
    assert_int_equal(ip_addr_add(f.nif, &a, 24), 0);
    from_to("10.0.0.2", "10.0.0.9", "net.inet.ip.stats.cantforward");
    fake_pass(&f, 3 * NS_PER_SEC);
    struct rte_mbuf *m = packet4(PROTO_TEST, 8);
    header(m)->dst_addr = a.w[3];
    sum4(header(m));
    delivered(m);
}

static void rfc894_padding_behind_the_packet_is_cut_off(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 8);
    memset(rte_pktmbuf_append(m, 18), 0xaa, 18);
    assert_int_equal(delivered(m)->pkt_len, 8);
}

static void padding_that_fills_whole_buffers_is_cut_off(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 8), *more = fake_zeros(100), *end = fake_zeros(10);
    m->next = more;
    more->next = end;
    m->nb_segs = 3;
    m->pkt_len += 110;
    m = delivered(m);
    assert_int_equal(m->pkt_len, 8);
    assert_int_equal(m->nb_segs, 1);
    rte_mbuf_sanity_check(m, 1);
}

static void rfc791_options_are_skipped(void **state)
{
    struct rte_mbuf *m = packet4(PROTO_TEST, 16); /* of which 8 become options: NOP, timestamp ... */
    header(m)->version_ihl = 0x47;
    memset(header(m) + 1, 1, 8);
    header(m)->hdr_checksum = 0;
    header(m)->hdr_checksum = rte_ipv4_cksum(header(m));
    m = delivered(m);
    assert_int_equal(m->pkt_len, 8);
    assert_int_equal(m->l3_len, 28);
    assert_int_equal(*rte_pktmbuf_mtod(m, uint8_t *), 8);
}

static void unknown_protocol_is_answered_and_counted_once(void **state)
{
    dropped(packet4(99, 16), "net.inet.ip.stats.noproto");
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(sent_icmp4(0)->type, ICMP_DEST_UNREACH);
    assert_int_equal(sent_icmp4(0)->code, ICMP_PROT_UNREACH);
}

static struct rte_mbuf *payload(unsigned len)
{
    struct rte_mbuf *m = fake_zeros(len);
    for (unsigned i = 0; i < len; i++)
        rte_pktmbuf_mtod(m, uint8_t *)[i] = (uint8_t)i;
    return m;
}

static int output(struct rte_mbuf *m, const char *to, bool df)
{
    struct ip_path path;
    struct ip_addr src = v4(1), dst = ip(to);
    struct ip_send how = {
        .src = &src, .dst = &dst, .proto = PROTO_TEST, .tos = 3, .dont_fragment = df, .path = &path};
    assert_int_equal(ip_path_find(f.e, &src, &dst, 0, &path), 0);
    int rc = ip_output(f.e, m, &how);
    link_transmit(f.e, NULL);
    return rc;
}

static void output_puts_a_header_before_the_payload(void **state)
{
    assert_int_equal(output(payload(100), "10.0.0.2", true), 0);
    const struct rte_ipv4_hdr *h = sent4(0);
    assert_non_null(h);
    assert_int_equal(rte_be_to_cpu_16(h->total_length), 120);
    assert_int_equal(h->type_of_service, 3);
    assert_int_equal(h->time_to_live, 64);
    assert_int_equal(rte_raw_cksum(h, 20), 0xffff);
    assert_int_equal(h->fragment_offset, RTE_BE16(RTE_IPV4_HDR_DF_FLAG));
    assert_int_equal(h->packet_id, 0); /* RFC 6864 §4.1 */
}

static void without_df_packets_have_ids_of_their_own(void **state)
{
    output(payload(10), "10.0.0.2", false);
    output(payload(10), "10.0.0.2", false);
    assert_true(sent4(0)->packet_id != sent4(1)->packet_id);
    assert_int_equal(sent4(0)->fragment_offset, 0);
}

static void to_ourselves_goes_over_loopback(void **state)
{
    assert_int_equal(output(payload(10), "10.0.0.1", true), 0);
    assert_int_equal(f.n_sent, 0);
    link_receive(f.e, NULL);
    assert_int_equal(f.n_got, 1);
    assert_true(pkt_info(f.got[0])->flags & PKT_CKSUM_OK);
}

static void too_big_with_df_is_dropped_and_counted(void **state)
{
    assert_int_equal(output(payload(1481), "10.0.0.2", true), -EMSGSIZE);
    assert_int_equal(sysctl_value("net.inet.ip.stats.cantfrag"), 1);
    assert_int_equal(f.n_sent, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(whole_packet_goes_up_with_what_the_header_says),
        HOST_TEST(tcp_goes_up_as_one_burst),
        HOST_TEST(rfc1122_3211_bad_headers_are_dropped_each_with_its_counter),
        HOST_TEST(checksum_is_the_nics_word_when_it_gave_one),
        HOST_TEST(checksum_that_nobody_wrote_is_not_asked_for),
        HOST_TEST(rfc1122_3213_addresses_that_cannot_be),
        HOST_TEST(what_is_not_for_us_is_neither_taken_nor_forwarded),
        HOST_TEST(tentative_address_takes_nothing),
        HOST_TEST(rfc894_padding_behind_the_packet_is_cut_off),
        HOST_TEST(padding_that_fills_whole_buffers_is_cut_off),
        HOST_TEST(rfc791_options_are_skipped),
        HOST_TEST(unknown_protocol_is_answered_and_counted_once),
        HOST_TEST(output_puts_a_header_before_the_payload),
        HOST_TEST(without_df_packets_have_ids_of_their_own),
        HOST_TEST(to_ourselves_goes_over_loopback),
        HOST_TEST(too_big_with_df_is_dropped_and_counted),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
