// SPDX-License-Identifier: BSD-3-Clause
// Ending a connection, its timers, and what ICMP may say of it. One test for each rule, named after it.
#include "conversation.h"

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
#ifdef LEAT_FAULT_INJECTION
        TEST(every_allocation_of_a_conversation_may_fail),
#endif
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
