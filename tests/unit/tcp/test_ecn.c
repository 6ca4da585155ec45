// SPDX-License-Identifier: BSD-3-Clause
// ECN (RFC 3168; net.inet.tcp.ecn.enable, maxretries): negotiation from both ends, marks and echoes, the answer to ECE.
#include <leat/tcp.h>
#include "conversation.h"
#include "tcp/accecn.h"

#define PASSIVE_OPTIONS "mss 1000"

/* The peer's SYN has the ECN flags `asks`; our SYN-ACK is to have `answers`. */
static struct tcb *passive(const char *asks, const char *answers)
{
    struct tcb *l = listening(10);
    in_opt(asks, 0, 0, 0, 65535, PASSIVE_OPTIONS);
    struct sent s = expect(answers, 0, 0, 1);
    assert_int_equal(s.ecn, ECN_NOT_ECT);
    in("A", 1, 0, 1, 65535);
    struct tcb *tp = tcp_accept(l);
    assert_non_null(tp);
    tcp_adopt(tp, &upcalls, &owner);
    return tp;
}

static struct tcb *agreed(void)
{
    return passive("SEW", "SEA");
}

static void sends(struct tcb *tp, const char *flags, uint32_t seq, unsigned field)
{
    struct sent s = expect(flags, seq, 1000, ANY_ACK);
    assert_int_equal(s.ecn, field);
}

/* ---- negotiation ---- */

static void enable_0_refuses(void **state)
{
    set("net.inet.tcp.ecn.enable", "0");
    struct tcb *tp = passive("SEW", "SA");
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
    assert_int_equal(stat("ecn_shs"), 0);
}

static void enable_2_accepts(void **state)
{
    struct tcb *tp = agreed();
    assert_int_equal(stat("ecn_shs"), 1);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_ECT0);
    assert_int_equal(stat("ecn_sndect0"), 1);
}

static void enable_2_does_not_ask(void **state)
{
    struct tcb *tp = connecting(); /* expects S alone */
    in_opt("SEA", 0, 0, 1, 65535, "mss 1000");
    expect("A", 1, 0, 1);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
}

/* RFC 3168 §6.1.1: only both flags ask. */
static void half_an_offer_is_none(void **state)
{
    passive("SE", "SA");
    peer_port = rte_cpu_to_be_16(40001);
    in_opt("SW", 0, 0, 0, 65535, PASSIVE_OPTIONS);
    expect("SA", 0, 0, 1);
}

static struct tcb *asking(void)
{
    set("net.inet.tcp.ecn.enable", "1");
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_connect(tp, &peer, peer_port, 0), 0);
    our_port = tp->lport;
    run_due();
    struct sent s = expect("SEW", 0, 0, ANY_ACK);
    assert_int_equal(s.ecn, ECN_NOT_ECT);
    return tp;
}

static void enable_1_asks(void **state)
{
    struct tcb *tp = asking();
    in_opt("SEA", 0, 0, 1, 65535, "mss 1000");
    struct sent s = expect("A", 1, 0, 1);
    assert_int_equal(s.ecn, ECN_NOT_ECT); /* RFC 3168 §6.1.4 */
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_ECT0);
    assert_int_equal(stat("ecn_shs"), 1);
}

/* A SYN-ACK with both flags is a reflection of ours by somebody who does not know them (RFC 3168 §6.1.1). */
static void reflected_flags_are_no_answer(void **state)
{
    struct tcb *tp = asking();
    in_opt("SEWA", 0, 0, 1, 65535, "mss 1000");
    expect("A", 1, 0, 1);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
}

/* RFC 3168 §6.1.1.1, net.inet.tcp.ecn.maxretries */
static void syn_without_ecn_after_maxretries(void **state)
{
    struct tcb *tp = asking();
    wait_ms(1000);
    expect("SEW", 0, 0, ANY_ACK);
    wait_ms(2200);
    expect("S", 0, 0, ANY_ACK);
    /* §6.1.1: having sent one without, we use none even if the answer is to the first. */
    in_opt("SEA", 0, 0, 1, 65535, "mss 1000");
    expect("A", 1, 0, 1);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
}

static void syn_ack_without_ecn_after_maxretries(void **state)
{
    set("net.inet.tcp.ecn.maxretries", "0");
    listening(10);
    in_opt("SEW", 0, 0, 0, 65535, PASSIVE_OPTIONS);
    expect("SEA", 0, 0, 1);
    wait_ms(1000);
    expect("SA", 0, 0, 1);
}

static void simultaneous_open(void **state)
{
    struct tcb *tp = asking();
    in_opt("SEW", 0, 0, 0, 65535, "mss 1000");
    expect("SEA", 0, 0, 1);
    in("A", 1, 0, 1, 65535);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_ECT0);
}

static void simultaneous_open_with_one_who_does_not(void **state)
{
    struct tcb *tp = asking();
    in_opt("S", 0, 0, 0, 65535, "mss 1000");
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 65535);
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
}

/* ---- receiver ---- */

/* RFC 3168 §6.1.3: every ACK from the mark on, until CWR. */
static void ce_is_echoed_until_cwr(void **state)
{
    agreed();
    in_ecn(ECN_CE, "A", 1, 1000, 1);
    in_ecn(ECN_ECT0, "A", 1001, 1000, 1);
    expect("EA", 1, 0, 2001);
    in_ecn(ECN_ECT0, "A", 2001, 1000, 1);
    in_ecn(ECN_ECT0, "A", 3001, 1000, 1);
    expect("EA", 1, 0, 4001);
    in_ecn(ECN_ECT0, "AW", 4001, 1000, 1);
    expect("A", 1, 0, 5001); /* at once */
    assert_int_equal(stat("ecn_rcvce"), 1);
    assert_int_equal(stat("ecn_rcvect0"), 4);
}

static void echo_goes_with_data(void **state)
{
    struct tcb *tp = agreed();
    in_ecn(ECN_CE, "A", 1, 1000, 1);
    app_writes(tp, 1000);
    sends(tp, "PEA", 1, ECN_ECT0);
}

/* The segment that carries CWR may be marked itself. */
static void cwr_with_ce_goes_on_echoing(void **state)
{
    agreed();
    in_ecn(ECN_CE, "A", 1, 1000, 1);
    in_ecn(ECN_CE, "AW", 1001, 1000, 1);
    expect("EA", 1, 0, 2001);
}

static void no_echo_without_agreement(void **state)
{
    passive("S", "SA");
    in_ecn(ECN_CE, "A", 1, 1000, 1);
    in_ecn(ECN_CE, "A", 1001, 1000, 1);
    expect("A", 1, 0, 2001);
    assert_int_equal(stat("ecn_rcvce"), 2);
}

/* RFC 3168 §6.1.5: a forged or stale segment says nothing about the path. */
static void ce_outside_the_window_is_ignored(void **state)
{
    agreed();
    in_ecn(ECN_CE, "A", 1 + 10000000, 1000, 1);
    expect("A", 1, 0, 1);
    in("A", 1, 1000, 1, 65535);
    in("A", 1001, 1000, 1, 65535);
    expect("A", 1, 0, 2001);
}

static void ect1_is_counted(void **state)
{
    agreed();
    in_ecn(ECN_ECT1, "A", 1, 1000, 1);
    assert_int_equal(stat("ecn_rcvect1"), 1);
    wait_ms(40);
    expect("A", 1, 0, 1001);
}

/* RFC 9768 §3.2.1, in FreeBSD's TCP_INFO. The handshake is scripts' business. */
static void accecn_bytes_are_in_tcp_info(void **state)
{
    struct tcb *tp = agreed();
    struct leat_freebsd_tcp_info info;
    tp->ecn = TE_ON | TE_ACCURATE;
    accecn_start(tp, false);
    in_ecn(ECN_ECT0, "A", 1, 1000, 1);
    in_ecn(ECN_CE, "A", 1001, 500, 1);
    in_ecn(ECN_ECT1, "A", 1501, 200, 1);
    in_ecn(ECN_CE, "A", 1701, 30, 1);
    in_ecn(ECN_NOT_ECT, "A", 1731, 4, 1);
    tcp_fill_freebsd_info(tp, &info);
    assert_int_equal(info.tcpi_received_e0_bytes, 1000);
    assert_int_equal(info.tcpi_received_ce_bytes, 530);
    assert_int_equal(info.tcpi_received_e1_bytes, 200);
    assert_int_equal(info.tcpi_received_ce, 2);
    assert_int_equal(info.tcpi_delivered_ce, tp->ce_told);
    while (at_caught < n_caught)
        next_sent();
}

/* ---- sender ---- */

/* RFC 3168 §6.1.2: half the window, CWR once with the next new data. */
static void ece_cuts_once_in_a_window(void **state)
{
    struct tcb *tp = agreed();
    app_writes(tp, 20000);
    for (unsigned i = 0; i < 10; i++)
        sends(tp, "A", 1 + 1000 * i, ECN_ECT0);
    in("EA", 1, 0, 2001, 65535);
    assert_true(tp->cwnd < 10000);
    uint32_t cut = tp->cwnd;
    assert_int_equal(tp->ssthresh, cut);
    in("EA", 1, 0, 4001, 65535);
    assert_int_equal(tp->cwnd, cut);
    assert_int_equal(stat("ecn_rcwnd"), 1);
    in("A", 1, 0, 10001, 65535);
    struct sent s = next_sent();
    assert_int_equal(s.flags, RTE_TCP_ACK_FLAG | RTE_TCP_CWR_FLAG);
    assert_int_equal(s.ecn, ECN_ECT0);
    for (s = next_sent(); at_caught < n_caught; s = next_sent())
        assert_false(s.flags & RTE_TCP_CWR_FLAG);
}

static void ece_in_the_next_window_cuts_again(void **state)
{
    struct tcb *tp = agreed();
    app_writes(tp, 20000);
    while (at_caught < n_caught)
        next_sent();
    in("EA", 1, 0, 2001, 65535);
    in("A", 1, 0, 10001, 65535);
    while (at_caught < n_caught)
        next_sent();
    uint32_t before = tp->cwnd;
    in("EA", 1, 0, 11001, 65535);
    assert_true(tp->cwnd < before);
    assert_int_equal(stat("ecn_rcwnd"), 2);
    while (at_caught < n_caught)
        next_sent();
}

/* RFC 3168 §6.1.2: the window doesn't grow meanwhile. */
static void no_growth_until_the_cut_is_acknowledged(void **state)
{
    struct tcb *tp = agreed();
    app_writes(tp, 20000);
    while (at_caught < n_caught)
        next_sent();
    in("EA", 1, 0, 1001, 65535);
    uint32_t cut = tp->cwnd;
    for (unsigned i = 2; i <= 10; i++)
        in("A", 1, 0, 1 + 1000 * i, 65535);
    assert_int_equal(tp->cwnd, cut);
    while (at_caught < n_caught)
        next_sent();
}

static void ece_without_agreement_is_nothing(void **state)
{
    struct tcb *tp = passive("S", "SA");
    app_writes(tp, 10000);
    while (at_caught < n_caught)
        next_sent();
    uint32_t before = tp->cwnd;
    in("EA", 1, 0, 1001, 65535);
    assert_true(tp->cwnd >= before);
    assert_int_equal(stat("ecn_rcwnd"), 0);
}

/* RFC 3168 §6.1.5 */
static void retransmissions_are_not_ect(void **state)
{
    struct tcb *tp = agreed();
    app_writes(tp, 1000);
    sends(tp, "PA", 1, ECN_ECT0);
    wait_ms(2000);
    sends(tp, "PA", 1, ECN_NOT_ECT);
    while (at_caught < n_caught)
        next_sent();
}

/* RFC 3168 §6.1.6 */
static void window_probes_are_not_ect(void **state)
{
    struct tcb *tp = agreed();
    in("A", 1, 1000, 1, 65535);
    in("A", 1001, 1000, 1, 0);
    expect("A", 1, 0, 2001);
    app_writes(tp, 1000);
    wait_ms(5000);
    struct sent s = expect("A", 1, 1, 2001);
    assert_int_equal(s.ecn, ECN_NOT_ECT);
}

/* A loss cuts the window too: CWR tells, and ECE for the same window cuts no further. */
static void loss_and_mark_in_one_window_cut_once(void **state)
{
    struct tcb *tp = agreed();
    app_writes(tp, 10000);
    while (at_caught < n_caught)
        next_sent();
    in("EA", 1, 0, 1001, 65535);
    uint32_t cut = tp->ssthresh;
    for (unsigned i = 0; i < 3; i++)
        in("EA", 1, 0, 1001, 65535);
    assert_true(tp->flags & TF_RECOVERY);
    assert_int_equal(tp->ssthresh, cut);
    while (at_caught < n_caught)
        next_sent();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(enable_0_refuses),
        TEST(enable_2_accepts),
        TEST(enable_2_does_not_ask),
        TEST(half_an_offer_is_none),
        TEST(enable_1_asks),
        TEST(reflected_flags_are_no_answer),
        TEST(syn_without_ecn_after_maxretries),
        TEST(syn_ack_without_ecn_after_maxretries),
        TEST(simultaneous_open),
        TEST(simultaneous_open_with_one_who_does_not),
        TEST(ce_is_echoed_until_cwr),
        TEST(echo_goes_with_data),
        TEST(cwr_with_ce_goes_on_echoing),
        TEST(no_echo_without_agreement),
        TEST(ce_outside_the_window_is_ignored),
        TEST(ect1_is_counted),
        TEST(accecn_bytes_are_in_tcp_info),
        TEST(ece_cuts_once_in_a_window),
        TEST(ece_in_the_next_window_cuts_again),
        TEST(no_growth_until_the_cut_is_acknowledged),
        TEST(ece_without_agreement_is_nothing),
        TEST(retransmissions_are_not_ect),
        TEST(window_probes_are_not_ect),
        TEST(loss_and_mark_in_one_window_cut_once),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
