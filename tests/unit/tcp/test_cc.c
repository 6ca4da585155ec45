// SPDX-License-Identifier: BSD-3-Clause
// Congestion controls by themselves: what an ACK, a loss, a mark, an idle time does to cwnd and ssthresh.
#include "conversation.h"
#include <netinet/tcp.h>

#define MSS 1000u
#define RTT (100 * NS_PER_MS)

static struct tcb *with(const char *algorithm)
{
    set("net.inet.tcp.cc.algorithm", algorithm);
    struct tcb *tp = established_opt("mss 1000");
    assert_string_equal(tp->cc->name, algorithm);
    tp->srtt = RTT;
    return tp;
}

static void acked(struct tcb *tp, uint32_t bytes, uint64_t rtt)
{
    struct cc_ack a = {.ack = tp->snd_una, .acked = bytes, .rtt = rtt, .flight = tp->cwnd, .now = e.now};
    tp->cc->acked(tp, &a);
}

/* A window of data in ACKs of one segment, one round trip long. */
static void round_trip(struct tcb *tp)
{
    uint32_t n = tp->cwnd / MSS;
    for (uint32_t i = 0; i < n; i++) {
        e.now += RTT / n;
        acked(tp, MSS, 0);
    }
}

/* ---- common ---- */

static void initial_window_is_ten_segments(void **state)
{
    struct tcb *tp = with("newreno");
    assert_int_equal(tcp_cc_initial_window(tp), 10 * MSS); /* RFC 6928 */
    tp->maxseg = 1460;
    assert_int_equal(tcp_cc_initial_window(tp), 14600);
    tp->maxseg = 9000;
    assert_int_equal(tcp_cc_initial_window(tp), 18000);
}

static void initcwnd_segments(void **state)
{
    set("net.inet.tcp.initcwnd_segments", "4");
    struct tcb *tp = with("newreno");
    assert_int_equal(tp->cwnd, 4 * MSS);
}

/* RFC 3465 §2.2, net.inet.tcp.abc_l_var */
static void slow_start_counts_bytes(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 10 * MSS;
    acked(tp, 300, 0);
    assert_int_equal(tp->cwnd, 10 * MSS + 300);
    acked(tp, 5 * MSS, 0);
    assert_int_equal(tp->cwnd, 12 * MSS + 300);
    set("net.inet.tcp.abc_l_var", "4");
    acked(tp, 5 * MSS, 0);
    assert_int_equal(tp->cwnd, 16 * MSS + 300);
    tp->flags |= TF_RTO_RECOVERY; /* §2.3: L = 1 after a timeout */
    acked(tp, 5 * MSS, 0);
    assert_int_equal(tp->cwnd, 17 * MSS + 300);
    set("net.inet.tcp.rfc3465", "0");
    acked(tp, 1, 0);
    assert_int_equal(tp->cwnd, 18 * MSS + 300);
}

/* RFC 7661: a window that was not used is not known to be good. */
static void application_limited_windows_do_not_grow(void **state)
{
    static const char *const all[] = {"newreno", "cubic", "dctcp"};
    for (unsigned i = 0; i < RTE_DIM(all); i++) {
        peer_port++;
        our_port++;
        struct tcb *tp = with(all[i]);
        struct cc_ack a = {.acked = MSS, .flight = MSS, .app_limited = true, .now = e.now};
        tp->cc->acked(tp, &a);
        assert_int_equal(tp->cwnd, 10 * MSS);
        tp->ssthresh = MSS;
        tp->cc->acked(tp, &a);
        assert_int_equal(tp->cwnd, 10 * MSS);
    }
}

/* RFC 5681 §4.1 with RFC 2861 §2 */
static void idle_restarts_with_the_initial_window(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 100 * MSS;
    tp->ssthresh = 50 * MSS;
    tp->cc->event(tp, CC_IDLE, 0);
    assert_int_equal(tp->cwnd, 10 * MSS);
    assert_int_equal(tp->ssthresh, 75 * MSS);
}

static void tcp_congestion_chooses(void **state)
{
    struct tcb *tp = with("cubic");
    char name[16];
    uint32_t len = sizeof(name);
    assert_int_equal(tcp_setopt(tp, TCP_CONGESTION, "dctcp", 5), 0);
    assert_int_equal(tcp_getopt(tp, TCP_CONGESTION, name, &len), 0);
    assert_string_equal(name, "dctcp");
    assert_int_equal(tcp_setopt(tp, TCP_CONGESTION, "vegas", 5), -ENOENT);
}

static void cubic_is_the_default(void **state)
{
    char text[64];
    assert_int_equal(sysctl_get_text(e.sysctl, "net.inet.tcp.cc.algorithm", text, sizeof(text)), 0);
    assert_string_equal(text, "cubic");
    assert_int_equal(sysctl_get_text(e.sysctl, "net.inet.tcp.cc.available", text, sizeof(text)), 0);
    assert_string_equal(text, "cubic newreno dctcp");
}

/* ---- newreno ---- */

static void newreno_adds_a_segment_a_round_trip(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = tp->ssthresh = 20 * MSS;
    round_trip(tp);
    assert_int_equal(tp->cwnd, 21 * MSS);
    round_trip(tp);
    assert_int_equal(tp->cwnd, 22 * MSS);
}

/* RFC 5681 equation 4: of what was in flight, not of cwnd; net.inet.tcp.cc.newreno.beta */
static void newreno_halves(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 40 * MSS);
    assert_int_equal(tp->cwnd, 20 * MSS);
    assert_int_equal(tp->ssthresh, 20 * MSS);
    tp->cc->event(tp, CC_LOSS_FAST, 3 * MSS);
    assert_int_equal(tp->cwnd, 2 * MSS);
    set("net.inet.tcp.cc.newreno.beta", "70");
    tp->cc->event(tp, CC_LOSS_FAST, 40 * MSS);
    assert_int_equal(tp->cwnd, 28 * MSS);
}

static void newreno_after_a_timeout(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 40 * MSS;
    tp->cc->event(tp, CC_LOSS_RTO, 40 * MSS);
    assert_int_equal(tp->cwnd, MSS);
    assert_int_equal(tp->ssthresh, 20 * MSS);
}

/* RFC 8511: net.inet.tcp.cc.abe, newreno.beta_ecn */
static void newreno_backs_off_less_for_a_mark(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_ECN, 100 * MSS);
    assert_int_equal(tp->cwnd, 50 * MSS);
    set("net.inet.tcp.cc.abe", "1");
    tp->cc->event(tp, CC_ECN, 100 * MSS);
    assert_int_equal(tp->cwnd, 80 * MSS);
}

static void newreno_takes_a_cut_back(void **state)
{
    struct tcb *tp = with("newreno");
    tp->cwnd = 40 * MSS;
    uint32_t ssthresh = tp->ssthresh;
    tp->cc->event(tp, CC_LOSS_RTO, 40 * MSS);
    tp->cc->event(tp, CC_UNDO, 0);
    assert_int_equal(tp->cwnd, 40 * MSS);
    assert_int_equal(tp->ssthresh, ssthresh);
}

/* ---- cubic ---- */

static void cubic_leaves_seven_tenths(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 100 * MSS);
    assert_int_equal(tp->cwnd, 70 * MSS); /* RFC 9438 §4.6 */
    assert_int_equal(tp->ssthresh, 70 * MSS);
}

/* RFC 9438 §4.2: K = cbrt((w_max - cwnd_epoch) / C) seconds after the cut the window is w_max again, having slowed down. */
static void cubic_is_back_after_k(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 1000 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 1000 * MSS);
    uint64_t k = (uint64_t)(9.0856 * NS_PER_SEC), began = e.now; /* cbrt(300 / 0.4) */
    uint32_t half = 0;
    while (e.now - began < k) {
        round_trip(tp);
        if (half == 0 && e.now - began >= k / 2)
            half = tp->cwnd;
    }
    assert_in_range(tp->cwnd, 990 * MSS, 1005 * MSS);
    assert_in_range(half, 955 * MSS, 970 * MSS); /* 1000 - 300 / 8 */
    while (e.now - began < 2 * k)
        round_trip(tp);
    assert_in_range(tp->cwnd, 1270 * MSS, 1330 * MSS); /* convex: as far above as it had fallen */
}

/* §4.3: where CUBIC would be slower than Reno it is Reno. */
static void cubic_is_not_slower_than_reno(void **state)
{
    struct tcb *tp = with("cubic");
    tp->srtt = NS_PER_MS;
    tp->cwnd = 20 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 20 * MSS);
    for (unsigned i = 0; i < 40; i++) { /* 1 ms each: the cubic function has hardly moved */
        uint32_t n = tp->cwnd / MSS;
        for (uint32_t k = 0; k < n; k++) {
            e.now += NS_PER_MS / n;
            acked(tp, MSS, 0);
        }
    }
    /* 0.53 segments a round trip up to 20, then one. */
    assert_in_range(tp->cwnd, 40 * MSS, 50 * MSS);
}

/* §4.7: whoever loses before its plateau gives way. */
static void cubic_fast_convergence(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 100 * MSS);
    tp->cwnd = 80 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 80 * MSS);
    uint64_t began = e.now; /* plateau 68 (0.85 * 80), from 56: K = cbrt(12 / 0.4) = 3.1 s */
    while (e.now - began < 3100 * NS_PER_MS)
        round_trip(tp);
    assert_in_range(tp->cwnd, 66 * MSS, 76 * MSS);
}

/* §4.5: at most half as much again in a round trip. */
static void cubic_growth_is_bounded(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 10 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 10 * MSS);
    acked(tp, MSS, 0);
    e.now += 3600 * NS_PER_SEC; /* the curve has gone to the sky */
    uint32_t before = tp->cwnd;
    round_trip(tp);
    assert_in_range(tp->cwnd, before + MSS, before + before * 7 / 10);
}

static void cubic_takes_a_cut_back(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 100 * MSS);
    for (unsigned i = 0; i < 10; i++)
        round_trip(tp);
    uint32_t cwnd = tp->cwnd, ssthresh = tp->ssthresh;
    tp->cc->event(tp, CC_LOSS_RTO, cwnd);
    assert_int_equal(tp->cwnd, MSS);
    tp->cc->event(tp, CC_UNDO, 0); /* RFC 9438 §4.9 */
    assert_int_equal(tp->cwnd, cwnd);
    assert_int_equal(tp->ssthresh, ssthresh);
    uint32_t before = tp->cwnd;
    round_trip(tp);
    assert_in_range(tp->cwnd, before, before + 5 * MSS); /* and goes on along the same curve */
}

/* §4.8: the first stage after a timeout begins at its plateau. */
static void cubic_after_a_timeout(void **state)
{
    struct tcb *tp = with("cubic");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_RTO, 100 * MSS);
    assert_int_equal(tp->cwnd, MSS);
    assert_int_equal(tp->ssthresh, 70 * MSS);
    tp->cwnd = 70 * MSS;
    round_trip(tp);
    assert_in_range(tp->cwnd, 70 * MSS, 72 * MSS);
}

/* ---- HyStart++ ---- */

/* A round of slow start in which the ACKs measure rtt_ms. */
static void hystart_round(struct tcb *tp, unsigned rtt_ms)
{
    for (unsigned i = 0; i < 10; i++)
        acked(tp, MSS, rtt_ms * NS_PER_MS);
    tp->snd_una = tp->snd_max;
    tp->snd_nxt = tp->snd_max += 10 * MSS; /* the next round is on its way */
    acked(tp, MSS, rtt_ms * NS_PER_MS);
}

static struct tcb *slow_start(void)
{
    struct tcb *tp = with("cubic");
    hystart_round(tp, 50);
    hystart_round(tp, 50);
    return tp;
}

/* RFC 9406 §4.2: RttThresh = clamp(4 ms, lastRoundMinRTT / 8, 16 ms), here 6.25 */
static void growing_delay_makes_slow_start_conservative(void **state)
{
    struct tcb *tp = slow_start();
    hystart_round(tp, 56);
    assert_int_equal(stat("hystart_css"), 0);
    hystart_round(tp, 50);
    hystart_round(tp, 57);
    assert_int_equal(stat("hystart_css"), 1);
    uint32_t before = tp->cwnd;
    acked(tp, MSS, 0);
    assert_int_equal(tp->cwnd, before + MSS / 4); /* CSS_GROWTH_DIVISOR */
}

static void css_lasts_five_rounds(void **state)
{
    struct tcb *tp = slow_start();
    hystart_round(tp, 57); /* the round in which it began counts */
    for (unsigned i = 0; i < 3; i++) {
        hystart_round(tp, 57);
        assert_true(tp->cwnd < tp->ssthresh);
    }
    hystart_round(tp, 57);
    assert_true(tp->ssthresh <= tp->cwnd);
    assert_int_equal(stat("hystart_exits"), 1);
}

static void css_was_a_mistake(void **state)
{
    struct tcb *tp = slow_start();
    hystart_round(tp, 57);
    hystart_round(tp, 50);
    assert_int_equal(stat("hystart_resumed"), 1);
    uint32_t before = tp->cwnd;
    acked(tp, MSS, 0);
    assert_int_equal(tp->cwnd, before + MSS);
}

/* N_RTT_SAMPLE */
static void few_samples_say_nothing(void **state)
{
    struct tcb *tp = slow_start();
    for (unsigned i = 0; i < 6; i++)
        acked(tp, MSS, 90 * NS_PER_MS);
    assert_int_equal(stat("hystart_css"), 0);
    set("net.inet.tcp.cc.hystartplusplus.n_rttsamples", "7");
    acked(tp, MSS, 90 * NS_PER_MS);
    assert_int_equal(stat("hystart_css"), 1);
}

/* ---- dctcp ---- */

static void feedback(struct tcb *tp, uint32_t bytes, uint32_t marked)
{
    tp->snd_max += bytes;
    struct cc_ack a = {
        .ack = tp->snd_max, .acked = bytes, .marked = marked, .flight = tp->cwnd, .now = e.now};
    tp->cc->feedback(tp, &a);
    tp->snd_una = tp->snd_nxt = tp->snd_max;
}

static uint32_t cut_by_mark(struct tcb *tp)
{
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_ECN, 100 * MSS);
    return tp->cwnd;
}

/* RFC 8257 §3.3: alpha = (1 - g) alpha + g M; cwnd = cwnd (1 - alpha / 2) */
static void dctcp_cuts_by_the_marked_fraction(void **state)
{
    struct tcb *tp = with("dctcp");
    assert_int_equal(cut_by_mark(tp), 50 * MSS); /* net.inet.tcp.cc.dctcp.alpha: 1024 of 1024 */
    for (unsigned i = 0; i < 200; i++)
        feedback(tp, 10 * MSS, 0);
    assert_int_equal(cut_by_mark(tp), 100 * MSS); /* nothing was marked for long */
    feedback(tp, 10 * MSS, 10 * MSS);
    assert_int_equal(cut_by_mark(tp), 100 * MSS - 100 * MSS / 32); /* 1/16 of all, halved */
    for (unsigned i = 0; i < 200; i++)
        feedback(tp, 10 * MSS, 5 * MSS);
    assert_in_range(cut_by_mark(tp), 74 * MSS, 77 * MSS);
}

static void dctcp_shift_g(void **state)
{
    set("net.inet.tcp.cc.dctcp.shift_g", "0");
    set("net.inet.tcp.cc.dctcp.alpha", "0");
    struct tcb *tp = with("dctcp");
    assert_int_equal(cut_by_mark(tp), 100 * MSS);
    feedback(tp, 10 * MSS, 5 * MSS);
    assert_int_equal(cut_by_mark(tp), 75 * MSS);
}

static void dctcp_slowstart(void **state)
{
    set("net.inet.tcp.cc.dctcp.alpha", "0");
    set("net.inet.tcp.cc.dctcp.slowstart", "1");
    struct tcb *tp = with("dctcp");
    assert_int_equal(cut_by_mark(tp), 50 * MSS);
    assert_int_equal(cut_by_mark(tp), 100 * MSS);
}

/* §3.4: a loss is a loss. */
static void dctcp_halves_for_a_loss(void **state)
{
    struct tcb *tp = with("dctcp");
    tp->cwnd = 100 * MSS;
    tp->cc->event(tp, CC_LOSS_FAST, 100 * MSS);
    assert_int_equal(tp->cwnd, 50 * MSS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(initial_window_is_ten_segments),
        TEST(initcwnd_segments),
        TEST(slow_start_counts_bytes),
        TEST(application_limited_windows_do_not_grow),
        TEST(idle_restarts_with_the_initial_window),
        TEST(tcp_congestion_chooses),
        TEST(cubic_is_the_default),
        TEST(newreno_adds_a_segment_a_round_trip),
        TEST(newreno_halves),
        TEST(newreno_after_a_timeout),
        TEST(newreno_backs_off_less_for_a_mark),
        TEST(newreno_takes_a_cut_back),
        TEST(cubic_leaves_seven_tenths),
        TEST(cubic_is_back_after_k),
        TEST(cubic_is_not_slower_than_reno),
        TEST(cubic_fast_convergence),
        TEST(cubic_growth_is_bounded),
        TEST(cubic_takes_a_cut_back),
        TEST(cubic_after_a_timeout),
        TEST(growing_delay_makes_slow_start_conservative),
        TEST(css_lasts_five_rounds),
        TEST(css_was_a_mistake),
        TEST(few_samples_say_nothing),
        TEST(dctcp_cuts_by_the_marked_fraction),
        TEST(dctcp_shift_g),
        TEST(dctcp_slowstart),
        TEST(dctcp_halves_for_a_loss),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
