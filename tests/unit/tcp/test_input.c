// SPDX-License-Identifier: BSD-3-Clause
// What TCP makes of segments: acceptance, handshake, states, acknowledgements. One test for each rule, named after it.
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

/* ---- handshake ---- */

static void rfc9293_3_5_passive_open(void **state)
{
    struct tcb *l = listening(5);
    in_opt("S", 0, 0, 0, 1000, "mss 1000 sackOK ts 5 0 wscale 3");
    struct sent s = expect("SA", 0, 0, 1);
    assert_int_equal(s.opt.seen, TOF_MSS | TOF_SCALE | TOF_TS | TOF_SACKPERM);
    assert_int_equal(s.opt.tsecr, 5);
    assert_int_equal(e.tcp->syncache->entries.used, 1);
    assert_null(tcp_accept(l));
    char echo[50];
    snprintf(echo, sizeof(echo), "ts 6 %u", s.opt.tsval);
    in_opt("A", 1, 0, 1, 1000, echo);
    assert_int_equal(acceptable, 1);
    struct tcb *tp = tcp_accept(l);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(tp->snd_wnd, 8000);
    assert_int_equal(tp->maxseg, 1000 - 12);
    assert_int_equal(stat("accepts"), 1);
    tcp_adopt(tp, &upcalls, &owner);
}

static void rfc9293_3_5_only_offered_options_are_answered(void **state)
{
    listening(5);
    in_opt("S", 0, 0, 0, 1000, "mss 1000");
    assert_int_equal(expect("SA", 0, 0, 1).opt.seen, TOF_MSS);
}

static void handshake_and_data_in_one_burst(void **state)
{
    struct tcb *l = listening(5);
    in_opt("S", 0, 0, 0, 1000, "mss 1460");
    expect("SA", 0, 0, 1);
    struct rte_mbuf *burst[3] = {segment("A", 1, 0, 1, 1000, ""), segment("A", 1, 100, 1, 1000, ""),
                                 segment("FA", 101, 0, 1, 1000, "")};
    tcp_input(&e, burst, 3);
    run_due();
    expect("A", 1, 0, 102);
    struct tcb *tp = tcp_accept(l);
    assert_int_equal(tp->rcv.bytes, 100);
    assert_int_equal(tp->state, TCPS_CLOSE_WAIT);
}

static void a_repeated_syn_gets_the_syn_ack_again(void **state)
{
    listening(5);
    in_opt("S", 0, 0, 0, 1000, "mss 1460");
    expect("SA", 0, 0, 1);
    uint32_t isn = our_isn;
    in_opt("S", 0, 0, 0, 1000, "mss 1460");
    expect("SA", 0, 0, 1);
    assert_int_equal(our_isn, isn);
}

static void rfc9293_3_10_7_2_listen_answers_ack_with_rst_and_hears_no_rst(void **state)
{
    listening(5);
    in("R", 0, 0, 0, 1000);
    expect_nothing();
    our_isn = 0;
    in("A", 1, 0, 5, 1000);
    assert_int_equal(next_sent().flags, RTE_TCP_RST_FLAG);
    in("F", 1, 0, 0, 1000);
    expect_nothing();
    assert_int_equal(stat("badrst"), 1);
    assert_int_equal(stat("badackhandshake"), 1);
    assert_int_equal(stat("listendrop"), 1);
}

static void rfc9293_3_10_7_4_bad_ack_in_syn_received_gets_rst(void **state)
{
    listening(5);
    in("S", 0, 0, 0, 1000);
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 2, 1000);
    expect("R", 2, 0, ANY_ACK);
    assert_int_equal(e.tcp->syncache->entries.used, 1);
    assert_int_equal(stat("sc_badack"), 1);
}

static void rfc9293_3_10_7_4_rst_in_syn_received_returns_to_listen(void **state)
{
    listening(5);
    in("S", 0, 0, 0, 1000);
    expect("SA", 0, 0, 1);
    in("R", 1, 0, 0, 1000);
    assert_int_equal(e.tcp->syncache->entries.used, 0);
    assert_int_equal(stat("sc_reset"), 1);
    assert_int_equal(e.tcp->tcbs.used, 1);
    assert_int_equal(failed, 0);
}

static void land_attack(void **state)
{
    listening(5);
    struct rte_mbuf *m = segment("S", 0, 0, 0, 1000, "");
    pkt_info(m)->src = us;
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->src_port = our_port;
    in_packet(m);
    assert_int_equal(stat("badsyn"), 1);
}

static void backlog_bounds_the_accept_queue(void **state)
{
    struct tcb *l = listening(4);
    for (int i = 0; i < 10; i++) {
        peer_port = rte_cpu_to_be_16((uint16_t)(5000 + i));
        in("S", 0, 0, 0, 1000);
        expect("SA", 0, 0, 1);
        in("A", 1, 0, 1, 1000);
        if (i >= 7)
            expect("R", 1, 0, ANY_ACK);
    }
    assert_int_equal(l->listen->n_complete, 7);
    assert_int_equal(stat("listenoverflow"), 3);
    tcp_close(l, false); /* everybody in the queue is reset */
    for (int i = 0; i < 7; i++)
        assert_true(next_sent().flags & RTE_TCP_RST_FLAG);
    assert_int_equal(e.tcp->tcbs.used, 0);
}

static void limit_maxtcb(void **state)
{
    set("net.inet.tcp.maxtcb", "2");
    listening(10);
    for (int i = 0; i < 3; i++) {
        peer_port = rte_cpu_to_be_16((uint16_t)(5000 + i));
        in("S", 0, 0, 0, 1000);
        expect("SA", 0, 0, 1);
        in("A", 1, 0, 1, 1000);
        if (i >= 1)
            expect("R", 1, 0, ANY_ACK);
    }
    assert_int_equal(stat("nostate"), 2);
    assert_int_equal(stat("sc_aborted"), 2);
}

static void sysctl_keepinit_ends_a_handshake(void **state)
{
    set("net.inet.tcp.keepinit", "2500");
    listening(5);
    in("S", 0, 0, 0, 1000);
    wait_ms(2499);
    assert_int_equal(e.tcp->syncache->entries.used, 1);
    wait_ms(2);
    expect("SA", 0, 0, 1);
    expect("SA", 0, 0, 1);
    assert_int_equal(e.tcp->syncache->entries.used, 0);
    assert_int_equal(stat("sc_stale"), 1);
}

static void rfc9293_3_5_active_open(void **state)
{
    struct tcb *tp = connecting();
    in_opt("SA", 0, 0, 1, 1000, "mss 1000");
    expect("A", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(connected, 1);
    assert_int_equal(tp->maxseg, 1000);
    assert_int_equal(tp->rcv_scale, 0);
    assert_false(tp->flags & TF_SACK_PERMIT);
    assert_true(tp->srtt > 0);
}

static void rfc9293_3_10_7_3_syn_sent_refused(void **state)
{
    struct tcb *tp = connecting();
    in("R", 0, 0, 0, 0); /* no ACK: not ours to believe */
    assert_int_equal(failed, 0);
    in("RA", 0, 0, 1, 0);
    assert_int_equal(failed_with, ECONNREFUSED);
    assert_int_equal(tp->state, TCPS_CLOSED);
    tcp_close(tp, false);
}

static void rfc9293_3_10_7_3_bad_ack_in_syn_sent_gets_rst(void **state)
{
    struct tcb *tp = connecting();
    in("SA", 0, 0, 2, 1000);
    expect("R", 2, 0, ANY_ACK);
    in("RA", 0, 0, 2, 1000);
    in("A", 0, 0, 1, 1000);
    expect_nothing();
    assert_int_equal(tp->state, TCPS_SYN_SENT);
    assert_int_equal(stat("badackhandshake"), 2);
    assert_int_equal(stat("rcvhandshake"), 1);
}

static void rfc9293_3_5_simultaneous_open(void **state)
{
    struct tcb *tp = connecting();
    in_opt("S", 0, 0, 0, 1000, "mss 1460");
    expect("SA", 0, 0, 1);
    assert_int_equal(tp->state, TCPS_SYN_RECEIVED);
    in_opt("SA", 0, 0, 1, 1000, "mss 1460");
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(connected, 1);
    while (at_caught < n_caught)
        expect("A", 1, 0, 1);
}

static void rfc9293_3_10_4_close_in_syn_received_sends_fin_when_established(void **state)
{
    struct tcb *tp = connecting();
    in("S", 0, 0, 0, 1000);
    expect("SA", 0, 0, 1);
    app_shuts(tp);
    expect_nothing();
    in("A", 1, 0, 1, 1000);
    expect("FA", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_FIN_WAIT_1);
}

static void data_on_a_syn_ack_is_taken(void **state)
{
    struct tcb *tp = connecting();
    in("SA", 0, 50, 1, 1000);
    expect("A", 1, 0, 51);
    assert_int_equal(tp->rcv.bytes, 50);
}

static void rfc6528_isn_differs_by_tuple_and_grows(void **state)
{
    struct tcb a = {.e = &e, .faddr = peer, .laddr = us, .fport = 1, .lport = 2}, b = a;
    tcp_isn_init(&a);
    b.lport = 3;
    tcp_isn_init(&b);
    assert_int_not_equal(a.iss, b.iss);
    assert_int_not_equal(a.ts_offset, b.ts_offset);
    uint32_t before = a.iss;
    e.now += 4000;
    tcp_isn_init(&a);
    assert_int_equal(a.iss, before + 1);
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

/* ---- ending ---- */

static void rfc9293_3_6_passive_close(void **state)
{
    struct tcb *tp = established();
    in("FA", 1, 10, 1, 1000);
    expect("A", 1, 0, 12);
    assert_int_equal(tp->state, TCPS_CLOSE_WAIT);
    assert_int_equal(readable, 1);
    app_shuts(tp);
    expect("FA", 1, 0, 12);
    assert_int_equal(tp->state, TCPS_LAST_ACK);
    in("A", 12, 0, 2, 1000);
    assert_int_equal(tp->state, TCPS_CLOSED);
    assert_int_equal(tp->rcv.bytes, 10); /* still readable */
    tcp_close(tp, false);
    assert_int_equal(e.tcp->tcbs.used, 1);
}

static void rfc9293_3_6_active_close_and_time_wait(void **state)
{
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_FIN_WAIT_1);
    in("A", 1, 0, 2, 1000);
    assert_int_equal(tp->state, TCPS_FIN_WAIT_2);
    in("FA", 1, 0, 2, 1000);
    expect("A", 2, 0, 2);
    assert_int_equal(tp->state, TCPS_TIME_WAIT);
    wait_ms(30000);
    in("FA", 1, 0, 2, 1000); /* again: 2MSL begins anew */
    expect("A", 2, 0, 2);
    wait_ms(59000);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 1);
    wait_ms(1100);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 0);
    assert_int_equal(e.tcp->tcbs.used, 1);
}

static void rfc9293_3_6_fin_and_ack_in_one(void **state)
{
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in("FA", 1, 0, 2, 1000);
    expect("A", 2, 0, 2);
    assert_int_equal(tp->state, TCPS_TIME_WAIT);
}

static void rfc9293_3_6_simultaneous_close(void **state)
{
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in("FA", 1, 0, 1, 1000);
    expect("FA", 1, 0, 2); /* as FreeBSD's: the ACK carries the FIN that waits for its own */
    assert_int_equal(tp->state, TCPS_CLOSING);
    in("A", 2, 0, 2, 1000);
    assert_int_equal(tp->state, TCPS_TIME_WAIT);
}

static void fin_out_of_order_waits(void **state)
{
    struct tcb *tp = established();
    in("FA", 11, 10, 1, 1000);
    expect("A", 1, 0, 1);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    in("A", 1, 10, 1, 1000);
    expect("A", 1, 0, 22);
    assert_int_equal(tp->state, TCPS_CLOSE_WAIT);
    assert_int_equal(tp->rcv.bytes, 20);
}

static void half_close_still_receives(void **state)
{
    struct tcb *tp = established();
    app_shuts(tp);
    expect("FA", 1, 0, 1);
    in("A", 1, 10, 2, 1000);
    assert_int_equal(tp->state, TCPS_FIN_WAIT_2);
    assert_int_equal(tp->rcv.bytes, 10);
    in("FA", 11, 10, 2, 1000);
    expect("A", 2, 0, 22);
    assert_int_equal(tp->rcv.bytes, 20);
}

static void rfc9293_3_6_1_data_after_close_gets_rst(void **state)
{
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in("A", 1, 10, 2, 1000);
    assert_true(next_sent().flags & RTE_TCP_RST_FLAG);
    assert_int_equal(stat("rcvafterclose"), 1);
    assert_int_equal(e.tcp->tcbs.used, 1);
}

static void sysctl_finwait2_timeout(void **state)
{
    set("net.inet.tcp.fast_finwait2_recycle", "1");
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in("A", 1, 0, 2, 1000);
    wait_ms(61000);
    assert_int_equal(e.tcp->tcbs.used, 1);
    assert_int_equal(stat("finwait2_drops"), 1);
}

/* FreeBSD without fast_finwait2_recycle: keepcnt times keepintvl of silence. */
static void sysctl_fast_finwait2_recycle_off(void **state)
{
    set("net.inet.tcp.always_keepalive", "0");
    struct tcb *tp = established();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in("A", 1, 0, 2, 1000);
    wait_ms(500 * 1000);
    in("A", 1, 0, 2, 1000); /* the peer lives: a look every keepintvl */
    wait_ms(590 * 1000);
    assert_int_equal(e.tcp->tcbs.used, 2);
    wait_ms(90 * 1000);
    assert_int_equal(e.tcp->tcbs.used, 1);
    assert_int_equal(stat("finwait2_drops"), 1);
}

static struct tcb *in_time_wait(const char *options, const char *last)
{
    struct tcb *tp = established_opt(options);
    app_closes(tp);
    expect("FA", 1, 0, 1);
    in_opt("FA", 1, 0, 2, 1000, last);
    expect("A", 2, 0, 2);
    assert_int_equal(tp->state, TCPS_TIME_WAIT);
    return tp;
}

static void rfc1337_time_wait_hears_no_rst(void **state)
{
    in_time_wait("mss 1460", "");
    in("R", 2, 0, 0, 0);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 1);
    assert_int_equal(stat("rcvtimewait"), 1);
}

static void rfc6191_time_wait_reuse_by_timestamp(void **state)
{
    in_time_wait("mss 1460 ts 50 0", "ts 200 0");
    in_opt("S", 1u - 5000, 0, 0, 1000, "mss 1460 ts 201 0"); /* lower ISN, newer timestamp */
    struct sent s = next_sent();
    assert_int_equal(s.flags, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);
    assert_int_equal(stat("tw_recycles"), 1);
    assert_int_equal(e.tcp->states[TCPS_SYN_RECEIVED], 1);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 0);
}

static void rfc6191_time_wait_old_timestamp_is_ignored(void **state)
{
    in_time_wait("mss 1460 ts 50 0", "ts 200 0");
    in_opt("S", 5000, 0, 0, 1000, "mss 1460 ts 199 0");
    assert_int_equal(stat("rcvnoack"), 1);
    assert_int_equal(stat("tw_recycles"), 0);
}

static void rfc9293_3_6_1_time_wait_reuse_by_sequence(void **state)
{
    in_time_wait("mss 1460", "");
    in("S", 1, 0, 0, 1000); /* an old one: FreeBSD is silent */
    assert_int_equal(stat("rcvnoack"), 1);
    in("S", 5000, 0, 0, 1000);
    assert_int_equal(next_sent().flags, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);
    assert_int_equal(stat("tw_recycles"), 1);
}

static void rst_in_last_ack_ends_it(void **state)
{
    struct tcb *tp = established();
    in("FA", 1, 0, 1, 1000);
    expect("A", 1, 0, 2);
    app_closes(tp);
    expect("FA", 1, 0, 2);
    in("R", 2, 0, 0, 0);
    assert_int_equal(e.tcp->tcbs.used, 1);
    assert_int_equal(stat("drops"), 1);
}

static void shut_rd_acks_and_drops(void **state)
{
    struct tcb *tp = established();
    tp->flags |= TF_CANTRCVMORE;
    in("A", 1, 1000, 1, 1000);
    in("A", 1001, 1000, 1, 1000);
    expect("A", 1, 0, 2001);
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("rcvshutdown"), 2000);
}

/* ---- timers ---- */

static void rfc9293_3_8_4_keepalive(void **state)
{
    struct tcb *tp = established();
    wait_ms(7199000);
    expect_nothing();
    wait_ms(2000);
    expect("A", 0, 0, 1);
    in("A", 1, 0, 1, 1000); /* alive */
    wait_ms(7199000);
    expect_nothing();
    wait_ms(2000);
    expect("A", 0, 0, 1);
    for (int i = 0; i < 7; i++) {
        wait_ms(75000);
        expect("A", 0, 0, 1);
    }
    wait_ms(75000);
    assert_true(next_sent().flags & RTE_TCP_RST_FLAG);
    assert_int_equal(failed_with, ETIMEDOUT);
    assert_int_equal(stat("keepprobe"), 9);
    tcp_close(tp, false);
}

static void rfc5482_user_timeout_shortens_keepalive(void **state)
{
    struct tcb *tp = established();
    tp->keepidle_ms = 10000;
    tp->keepintvl_ms = 1000;
    tp->user_timeout_ms = 12000;
    tcp_keepalive_arm(tp);
    wait_ms(10500);
    expect("A", 0, 0, 1);
    wait_ms(1000);
    expect("A", 0, 0, 1);
    wait_ms(1000);
    assert_true(next_sent().flags & RTE_TCP_RST_FLAG);
    assert_int_equal(failed_with, ETIMEDOUT);
    assert_int_equal(stat("usertimeo"), 1);
    tcp_close(tp, false);
}

static void a_keepalive_probe_is_answered(void **state)
{
    established();
    in("A", 0, 0, 1, 1000);
    expect("A", 1, 0, 1);
    in("A", 0, 1, 1, 1000);
    expect("A", 1, 0, 1);
}

/* ---- ICMP ---- */

static void icmp(struct tcb *tp, uint32_t seq, int type, int code, uint32_t mtu)
{
    uint8_t l4[8];
    uint32_t be = rte_cpu_to_be_32(our_isn + seq);
    memcpy(l4, &tp->lport, 2);
    memcpy(l4 + 2, &tp->fport, 2);
    memcpy(l4 + 4, &be, 4);
    tcp_icmp_error(&e, &us, &peer, l4, sizeof(l4), type, code, mtu);
    run_due();
}

static void rfc5927_4_1_only_what_is_in_flight_counts(void **state)
{
    struct tcb *tp = connecting();
    icmp(tp, UINT32_MAX, 3, 3, 0);
    icmp(tp, 1, 3, 3, 0);
    assert_int_equal(failed, 0);
    assert_int_equal(stat("icmp_ignored"), 2);
    icmp(tp, 0, 3, 3, 0);
    assert_int_equal(failed_with, ECONNREFUSED);
    tcp_close(tp, false);
}

static void sysctl_icmp_may_rst(void **state)
{
    struct tcb *tp = connecting();
    set("net.inet.tcp.icmp_may_rst", "0");
    icmp(tp, 0, 3, 3, 0);
    assert_int_equal(tp->state, TCPS_SYN_SENT);
}

static void rfc5927_5_hard_errors_do_not_end_a_connection(void **state)
{
    struct tcb *tp = established();
    app_writes(tp, 10);
    expect("PA", 1, 10, 1);
    icmp(tp, 1, 3, 3, 0);
    icmp(tp, 1, 3, 1, 0);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(stat("icmp_soft"), 2);
}

static void rfc1122_4_2_3_9_soft_error_explains_a_timeout(void **state)
{
    struct tcb *tp = connecting();
    icmp(tp, 0, 3, 1, 0);
    assert_int_equal(tp->state, TCPS_SYN_SENT);
    tcp_drop(tp, ETIMEDOUT);
    assert_int_equal(failed_with, EHOSTUNREACH);
    tcp_close(tp, false);
}

static void rfc1191_too_big_lowers_maxseg(void **state)
{
    struct tcb *tp = established();
    app_writes(tp, 1460);
    expect("PA", 1, 1460, 1);
    icmp(tp, 1, 3, 4, 1000);
    assert_int_equal(tp->maxseg, 960);
    assert_int_equal(mtu_changes, 1);
    icmp(tp, 1, 3, 4, 1400); /* larger than known: nothing */
    assert_int_equal(tp->maxseg, 960);
    icmp(tp, 1, 3, 4, 68); /* no smaller than minmss */
    assert_int_equal(tp->maxseg, 216);
    while (at_caught < n_caught)
        next_sent();
}

#ifdef LEAT_FAULT_INJECTION
static void take_isn(void *arg, const struct half_open *h)
{
    our_isn = h->iss;
}

static void every_allocation_of_a_conversation_may_fail(void **state)
{
    for (int64_t n = 1; n < 40; n++) {
        struct tcb *l = listening(5);
        fault_run = 1;
        fault_countdown = n;
        in_opt("S", 0, 0, 0, 1000, "mss 1460 sackOK");
        our_isn = 0;
        syncache_walk(e.tcp, take_isn, NULL);
        in("A", 1, 0, 1, 1000);
        in("A", 101, 100, 1, 1000);
        in("A", 301, 100, 1, 1000);
        in("A", 1, 100, 1, 1000);
        in("FA", 201, 100, 1, 1000);
        fault_countdown = -1;
        tcp_close(l, false);
        while (at_caught < n_caught)
            next_sent();
        n_caught = at_caught = 0;
        assert_int_equal(e.tcp->tcbs.used, 0);
        syncache_flush(e.tcp);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc9293_3_1_checksum_covers_pseudo_header),
#ifdef LEAT_FAULT_INJECTION
        TEST(every_allocation_of_a_conversation_may_fail),
#endif
        TEST(malformed_headers_are_counted),
        TEST(rfc1122_4_2_3_10_no_connection_over_multicast),
        TEST(rfc9293_3_10_7_1_closed_port_answers_rst),
        TEST(sysctl_blackhole),
        TEST(sysctl_drop_synfin),
        TEST(rfc9293_3_5_passive_open),
        TEST(rfc9293_3_5_only_offered_options_are_answered),
        TEST(handshake_and_data_in_one_burst),
        TEST(a_repeated_syn_gets_the_syn_ack_again),
        TEST(rfc9293_3_10_7_2_listen_answers_ack_with_rst_and_hears_no_rst),
        TEST(rfc9293_3_10_7_4_bad_ack_in_syn_received_gets_rst),
        TEST(rfc9293_3_10_7_4_rst_in_syn_received_returns_to_listen),
        TEST(land_attack),
        TEST(backlog_bounds_the_accept_queue),
        TEST(limit_maxtcb),
        TEST(sysctl_keepinit_ends_a_handshake),
        TEST(rfc9293_3_5_active_open),
        TEST(rfc9293_3_10_7_3_syn_sent_refused),
        TEST(rfc9293_3_10_7_3_bad_ack_in_syn_sent_gets_rst),
        TEST(rfc9293_3_5_simultaneous_open),
        TEST(rfc9293_3_10_4_close_in_syn_received_sends_fin_when_established),
        TEST(data_on_a_syn_ack_is_taken),
        TEST(rfc6528_isn_differs_by_tuple_and_grows),
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
        TEST(rfc9293_3_6_passive_close),
        TEST(rfc9293_3_6_active_close_and_time_wait),
        TEST(rfc9293_3_6_fin_and_ack_in_one),
        TEST(rfc9293_3_6_simultaneous_close),
        TEST(fin_out_of_order_waits),
        TEST(half_close_still_receives),
        TEST(rfc9293_3_6_1_data_after_close_gets_rst),
        TEST(sysctl_finwait2_timeout),
        TEST(sysctl_fast_finwait2_recycle_off),
        TEST(rfc1337_time_wait_hears_no_rst),
        TEST(rfc6191_time_wait_reuse_by_timestamp),
        TEST(rfc6191_time_wait_old_timestamp_is_ignored),
        TEST(rfc9293_3_6_1_time_wait_reuse_by_sequence),
        TEST(rst_in_last_ack_ends_it),
        TEST(shut_rd_acks_and_drops),
        TEST(rfc9293_3_8_4_keepalive),
        TEST(rfc5482_user_timeout_shortens_keepalive),
        TEST(a_keepalive_probe_is_answered),
        TEST(rfc5927_4_1_only_what_is_in_flight_counts),
        TEST(sysctl_icmp_may_rst),
        TEST(rfc5927_5_hard_errors_do_not_end_a_connection),
        TEST(rfc1122_4_2_3_9_soft_error_explains_a_timeout),
        TEST(rfc1191_too_big_lowers_maxseg),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
