// SPDX-License-Identifier: BSD-3-Clause
// What TCP makes of segments: ones that are none, acceptance, acknowledgements. One test for each rule, named after it.
#include <rte_ip.h>
#include "conversation.h"
#include "tcp/reassembly.h"

/* ---- segments that are none, or nobody's ---- */

static void rfc9293_3_1_checksum_covers_pseudo_header(void **state)
{
    struct rte_mbuf *m;
    listening(1);
    for (int broken = 0; broken < 2; broken++) {
        m = segment("S", 0, 5, 0, 1000, "mss 1460");
        pkt_info(m)->flags = 0;
        struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
        uint32_t sum = (uint32_t)rte_raw_cksum(&us.w[3], 4) + rte_raw_cksum(&peer.w[3], 4) +
                       rte_cpu_to_be_16(6) + rte_cpu_to_be_16((uint16_t)m->pkt_len) +
                       cksum_mbuf(m, 0, m->pkt_len);
        sum = (sum & 0xffff) + (sum >> 16);
        sum = (sum & 0xffff) + (sum >> 16);
        th->cksum = (uint16_t)~sum;
        if (broken)
            th->rx_win ^= 1;
        in_packet(m);
    }
    expect("SA", 0, 0, 1);
    assert_int_equal(stat("rcvbadsum"), 1);
    assert_int_equal(stat("rcvtotal"), 2);
}

static void malformed_headers_are_counted(void **state)
{
    listening(1);
    struct rte_mbuf *m = segment("S", 0, 0, 0, 1000, "");
    rte_pktmbuf_trim(m, 1);
    in_packet(m);
    m = segment("S", 0, 0, 0, 1000, "");
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = 4 << 4;
    in_packet(m);
    m = segment("S", 0, 0, 0, 1000, "");
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = 6 << 4;
    in_packet(m);
    assert_int_equal(stat("rcvshort"), 1);
    assert_int_equal(stat("rcvbadoff"), 2);
}

static void rfc1122_4_2_3_10_no_connection_over_multicast(void **state)
{
    listening(1);
    struct rte_mbuf *m = segment("S", 0, 0, 0, 1000, "");
    ip_addr_parse("224.0.0.1", &pkt_info(m)->dst);
    in_packet(m);
    m = segment("S", 0, 0, 0, 1000, "");
    pkt_info(m)->flags |= PKT_MULTICAST;
    in_packet(m);
    assert_int_equal(stat("rcvmulticast"), 2);
}

static void rfc9293_3_10_7_1_closed_port_answers_rst(void **state)
{
    our_isn = 0;
    in("S", 0, 0, 0, 1000);
    struct sent s = next_sent();
    assert_int_equal(s.flags, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG);
    assert_int_equal(s.seq, 0);
    assert_int_equal(s.ack, 1);
    in("A", 7, 10, 77, 1000);
    s = next_sent();
    assert_int_equal(s.flags, RTE_TCP_RST_FLAG);
    assert_int_equal(s.seq, 77);
    in("F", 7, 10, 0, 1000);
    s = next_sent();
    assert_int_equal(s.ack, 18);
    in("R", 7, 0, 0, 1000);
    assert_int_equal(stat("rcvnoconn"), 4);
}

static void sysctl_blackhole(void **state)
{
    set("net.inet.tcp.blackhole", "1");
    in("S", 0, 0, 0, 1000);
    expect_nothing();
    our_isn = 0;
    in("A", 1, 0, 5, 1000);
    assert_int_equal(next_sent().flags, RTE_TCP_RST_FLAG);
    set("net.inet.tcp.blackhole", "2");
    in("A", 1, 0, 5, 1000);
    expect_nothing();
    assert_int_equal(stat("rcvblackholed"), 2);
}

static void sysctl_drop_synfin(void **state)
{
    listening(1);
    set("net.inet.tcp.drop_synfin", "1");
    in("SF", 0, 0, 0, 1000);
    assert_int_equal(stat("rcvsynfin"), 1);
}

/* ---- acceptance ---- */

static void rfc5961_3_2_rst_exact_resets(void **state)
{
    struct tcb *tp = established();
    in("R", 1, 0, 0, 0);
    assert_int_equal(failed_with, ECONNRESET);
    assert_int_equal(tp->state, TCPS_CLOSED);
    tcp_close(tp, false);
    assert_int_equal(stat("rcvrst"), 1);
}

static void rfc5961_3_2_rst_in_window_is_challenged(void **state)
{
    struct tcb *tp = established();
    in("R", 2, 0, 0, 0);
    expect("A", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
}

static void rfc5961_3_2_rst_out_of_window_is_dropped(void **state)
{
    struct tcb *tp = established();
    in("R", 1 + (1 << 24), 0, 0, 0);
    in("R", 0, 0, 0, 0);
    expect_nothing();
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(stat("badrst"), 2);
}

static void sysctl_insecure_rst(void **state)
{
    struct tcb *tp = established();
    set("net.inet.tcp.insecure_rst", "1");
    in("R", 500, 0, 0, 0);
    assert_int_equal(tp->state, TCPS_CLOSED);
    tcp_close(tp, false);
}

static void rfc5961_4_2_syn_is_challenged(void **state)
{
    struct tcb *tp = established();
    in("S", 0, 0, 0, 1000);
    expect("A", 1, 0, 1);
    in("S", 1 + (1 << 24), 0, 0, 1000);
    expect("A", 1, 0, 1);
    in("S", 5, 0, 0, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(stat("synchallenge"), 3);
}

static void rfc5961_5_2_ack_of_the_future_is_challenged(void **state)
{
    struct tcb *tp = established();
    in("A", 1, 10, 2, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(tp->rcv.bytes, 0);
    in("A", 1, 10, 1 - 65536u, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(stat("rcvacktoomuch"), 2);
    assert_int_equal(tp->rcv.bytes, 0);
}

static void rfc5961_7_challenges_are_limited_by_connection(void **state)
{
    established();
    for (int i = 0; i < 8; i++)
        in("S", 0, 0, 0, 1000);
    for (int i = 0; i < 5; i++)
        expect("A", 1, 0, 1);
    expect_nothing();
    assert_int_equal(stat("challenge_limited"), 3);
    wait_ms(1001);
    in("S", 0, 0, 0, 1000);
    expect("A", 1, 0, 1);
}

static void rfc7323_5_paws_drops_and_acks_old_timestamps(void **state)
{
    struct tcb *tp = established_opt("mss 1460 ts 50 0");
    in_opt("A", 1, 10, 1, 1000, "ts 90 0");
    expect("A", 1, 0, 1);
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("pawsdrop"), 1);
}

static void rfc7323_5_2_rst_needs_no_timestamp(void **state)
{
    struct tcb *tp = established_opt("mss 1460 ts 50 0");
    in("R", 1, 0, 0, 0);
    assert_int_equal(tp->state, TCPS_CLOSED);
    tcp_close(tp, false);
}

static void rfc7323_5_5_after_24_days_any_timestamp_is_new(void **state)
{
    set("net.inet.tcp.always_keepalive", "0");
    struct tcb *tp = established_opt("mss 1460 ts 50 0");
    e.now += 25 * 24 * 3600 * NS_PER_SEC;
    in_opt("A", 1, 10, 1, 1000, "ts 4000000000 0");
    assert_int_equal(tp->rcv.bytes, 10);
}

static void rfc7323_3_2_a_missing_timestamp_drops(void **state)
{
    struct tcb *tp = established_opt("mss 1460 ts 50 0");
    set("net.inet.tcp.tolerate_missing_ts", "0");
    in("A", 1, 10, 1, 1000);
    expect_nothing();
    assert_int_equal(stat("tsmissing"), 1);
    set("net.inet.tcp.tolerate_missing_ts", "1");
    in("A", 1, 10, 1, 1000);
    assert_int_equal(tp->rcv.bytes, 10);
}

static void rfc7323_4_3_delayed_ack_echoes_the_first_timestamp(void **state)
{
    struct tcb *tp = established_opt("mss 1460 ts 50 0");
    in_opt("A", 1, 10, 1, 1000, "ts 110 0");
    in_opt("A", 11, 10, 1, 1000, "ts 120 0");
    struct sent s = expect("A", 1, 0, 21);
    assert_int_equal(s.opt.tsecr, 110);
    assert_int_equal(tp->rcv.bytes, 20);
}

static void rfc9293_3_10_7_4_no_ack_bit_no_hearing(void **state)
{
    struct tcb *tp = established();
    in("P", 1, 10, 0, 1000);
    expect_nothing();
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("rcvnoack"), 1);
}

static void rfc9293_3_10_7_4_old_data_is_acked_and_dropped(void **state)
{
    struct tcb *tp = established();
    in("A", 1, 100, 1, 1000);
    app_reads(tp);
    in("A", 1, 100, 1, 1000);
    struct sent s = expect("A", 1, 0, 101);
    assert_int_equal(s.opt.n_sack, 1); /* RFC 2883 */
    assert_int_equal(s.opt.sack[0].start, PEER_ISN + 1);
    assert_int_equal(s.opt.sack[0].end, PEER_ISN + 101);
    in("A", 51, 100, 1, 1000);
    expect("A", 1, 0, 151);
    assert_int_equal(tp->rcv.bytes, 50);
    assert_int_equal(*rte_pktmbuf_mtod(tp->rcv.head, uint8_t *), 101);
    assert_int_equal(stat("rcvduppack"), 1);
    assert_int_equal(stat("rcvpartduppack"), 1);
}

static void rfc9293_3_10_7_4_data_beyond_the_window(void **state)
{
    struct tcb *tp = established();
    uint32_t edge = tp->rcv_nxt + tcp_window_left(tp) - PEER_ISN;
    in("A", edge, 10, 1, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(stat("rcvafterwin"), 1);
    in("FA", edge - 5, 10, 1, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(stat("rcvpackafterwin"), 1);
    assert_int_equal(tp->reass->order.tqh_first->end, PEER_ISN + edge);
    assert_false(tp->reass->fin);
}

static void rfc9293_3_8_6_1_probe_of_a_closed_window(void **state)
{
    struct tcb *l = listening(1);
    l->rcv.hiwat = 1000;
    in_opt("S", 0, 0, 0, 1000, "mss 1460");
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 1000);
    struct tcb *tp = tcp_accept(l);
    tcp_adopt(tp, &upcalls, &owner);
    in("A", 1, 1000, 1, 1000);
    wait_ms(50);
    assert_int_equal(expect("A", 1, 0, 1001).wnd, 0);
    in("A", 1001, 1, 1, 2000);
    assert_int_equal(expect("A", 1, 0, 1001).wnd, 0);
    assert_int_equal(stat("rcvwinprobe"), 1);
    assert_int_equal(tp->snd_wnd, 2000); /* its ACK and window count */
}

/* ---- acknowledging ---- */

static void rfc9293_3_8_6_3_every_second_segment_is_acked(void **state)
{
    established();
    in("A", 1, 1460, 1, 1000);
    expect_nothing();
    in("A", 1461, 1460, 1, 1000);
    expect("A", 1, 0, 2921);
}

static void sysctl_delacktime(void **state)
{
    established();
    in("A", 1, 10, 1, 1000);
    wait_ms(39);
    expect_nothing();
    wait_ms(2);
    expect("A", 1, 0, 11);
    assert_int_equal(stat("delack"), 1);
}

static void sysctl_delayed_ack_off(void **state)
{
    established();
    set("net.inet.tcp.delayed_ack", "0");
    in("A", 1, 10, 1, 1000);
    expect("A", 1, 0, 11);
}

static void rfc5681_4_2_out_of_order_and_filled_gap_are_acked_at_once(void **state)
{
    struct tcb *tp = established();
    in("A", 101, 100, 1, 1000);
    struct sent s = expect("A", 1, 0, 1);
    assert_int_equal(s.opt.n_sack, 1);
    assert_int_equal(s.opt.sack[0].start, PEER_ISN + 101);
    in("A", 1, 100, 1, 1000);
    s = expect("A", 1, 0, 201);
    assert_int_equal(s.opt.n_sack, 0);
    assert_int_equal(tp->rcv.bytes, 200);
    assert_int_equal(readable, 1);
}

static void an_answer_carries_the_delayed_ack(void **state)
{
    struct tcb *tp = established();
    in("A", 1, 10, 1, 1000);
    app_writes(tp, 5);
    expect("PA", 1, 5, 11);
    wait_ms(100);
    expect_nothing();
}

static void rfc6093_urgent_data_is_in_line(void **state)
{
    struct tcb *tp = established();
    struct rte_mbuf *m = segment("UA", 1, 10, 1, 1000, "");
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->tcp_urp = rte_cpu_to_be_16(3);
    in_packet(m);
    assert_int_equal(tp->rcv.bytes, 10);
    assert_int_equal(stat("rcvurg"), 1);
}

static void header_prediction_counts_both_kinds(void **state)
{
    struct tcb *tp = established();
    app_writes(tp, 10);
    expect("PA", 1, 10, 1);
    in("A", 1, 0, 11, 1000);
    in("A", 1, 10, 11, 1000);
    assert_int_equal(stat("rcvfastack"), 1);
    assert_int_equal(stat("rcvfastdata"), 1);
    assert_int_equal(tp->snd.bytes, 0);
    assert_int_equal(tp->snd_una, our_isn + 11);
}

static void the_stack_is_told_each_ack(void **state)
{
    struct tcb *tp = established();
    app_writes(tp, 10);
    expect("PA", 1, 10, 1);
    in_opt("A", 1, 0, 1, 65535, "sack 5 11");
    assert_int_equal(last_ack.acked, 0);
    assert_int_equal(last_ack.n_sack, 1);
    assert_int_equal(last_ack.sack[0].end, our_isn + 11);
    assert_false(last_ack.window_changed);
    assert_int_equal(stat("rcvdupack"), 1);
    in("A", 1, 0, 1, 5000);
    assert_true(last_ack.window_changed);
    in("A", 1, 0, 11, 5000);
    assert_int_equal(last_ack.acked, 10);
}

static void writable_when_space_passes_lowat(void **state)
{
    struct tcb *tp = established();
    tp->snd.hiwat = 1000;
    app_writes(tp, 1000);
    expect("PA", 1, 1000, 1);
    in("A", 1, 0, 1001, 65535);
    assert_int_equal(writable, 1);
}

static void rfc9293_3_10_7_4_window_update_only_from_newer_segments(void **state)
{
    struct tcb *tp = established();
    in("A", 1, 10, 1, 3000);
    in("A", 11, 10, 1, 2000);
    expect("A", 1, 0, 21);
    assert_int_equal(tp->snd_wnd, 2000);
    in("A", 1, 10, 1, 9000); /* an old one again */
    expect("A", 1, 0, 21);
    assert_int_equal(tp->snd_wnd, 9000); /* trimmed to rcv_nxt, its window is larger: the rule takes it */
    in("A", 1, 0, 1, 100);
    next_sent();
    assert_int_equal(tp->snd_wnd, 9000);
}

static void limit_recvbytes_max(void **state)
{
    struct tcb *tp = established();
    set("net.inet.tcp.recvbytes_max", "65536");
    e.tcp->recv_bytes += 65536; /* others hold it all */
    in("A", 1, 1000, 1, 1000);
    assert_int_equal(tp->rcv.bytes, 1000); /* the first is always let in */
    in("A", 1001, 1000, 1, 1000);
    assert_int_equal(tp->rcv.bytes, 1000);
    assert_int_equal(stat("rcvmemdrop"), 1);
    e.tcp->recv_bytes -= 65536;
    wait_ms(50);
    expect("A", 1, 0, 1001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc9293_3_1_checksum_covers_pseudo_header),
        TEST(malformed_headers_are_counted),
        TEST(rfc1122_4_2_3_10_no_connection_over_multicast),
        TEST(rfc9293_3_10_7_1_closed_port_answers_rst),
        TEST(sysctl_blackhole),
        TEST(sysctl_drop_synfin),
        TEST(rfc5961_3_2_rst_exact_resets),
        TEST(rfc5961_3_2_rst_in_window_is_challenged),
        TEST(rfc5961_3_2_rst_out_of_window_is_dropped),
        TEST(sysctl_insecure_rst),
        TEST(rfc5961_4_2_syn_is_challenged),
        TEST(rfc5961_5_2_ack_of_the_future_is_challenged),
        TEST(rfc5961_7_challenges_are_limited_by_connection),
        TEST(rfc7323_5_paws_drops_and_acks_old_timestamps),
        TEST(rfc7323_5_2_rst_needs_no_timestamp),
        TEST(rfc7323_5_5_after_24_days_any_timestamp_is_new),
        TEST(rfc7323_3_2_a_missing_timestamp_drops),
        TEST(rfc7323_4_3_delayed_ack_echoes_the_first_timestamp),
        TEST(rfc9293_3_10_7_4_no_ack_bit_no_hearing),
        TEST(rfc9293_3_10_7_4_old_data_is_acked_and_dropped),
        TEST(rfc9293_3_10_7_4_data_beyond_the_window),
        TEST(rfc9293_3_8_6_1_probe_of_a_closed_window),
        TEST(rfc9293_3_8_6_3_every_second_segment_is_acked),
        TEST(sysctl_delacktime),
        TEST(sysctl_delayed_ack_off),
        TEST(rfc5681_4_2_out_of_order_and_filled_gap_are_acked_at_once),
        TEST(an_answer_carries_the_delayed_ack),
        TEST(rfc6093_urgent_data_is_in_line),
        TEST(header_prediction_counts_both_kinds),
        TEST(the_stack_is_told_each_ack),
        TEST(writable_when_space_passes_lowat),
        TEST(rfc9293_3_10_7_4_window_update_only_from_newer_segments),
        TEST(limit_recvbytes_max),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
