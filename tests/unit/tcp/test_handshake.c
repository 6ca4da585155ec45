// SPDX-License-Identifier: BSD-3-Clause
// Opening a connection: passive, active, at once; what is answered before it is open. One test for each rule, named after it.
#include "conversation.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
