// SPDX-License-Identifier: BSD-3-Clause
// Parts of loss recovery by themselves: PRR, lost retransmissions, undo, F-RTO, the ring of timed segments.
#include "conversation.h"
#include "tcp/loss/frto.h"
#include "tcp/loss/policer.h"
#include "tcp/loss/prr.h"
#include "tcp/loss/rttring.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/loss/undo.h"

#define MSS 1000u

/* ---- PRR ---- */

/* RFC 9937 §6.2: as long as more than ssthresh is in flight, ssthresh / RecoverFS of what is delivered leaves. */
static void prr_sends_in_proportion(void **state)
{
    struct prr p;
    prr_begin(&p, 20 * MSS);
    uint32_t pipe = 19 * MSS, sent = 0;
    for (unsigned i = 0; i < 18 && pipe > 10 * MSS; i++) {
        uint32_t cwnd = prr_acked(&p, MSS, pipe, 10 * MSS, MSS, false, false);
        while (pipe + MSS <= cwnd) {
            prr_sent(&p, MSS);
            pipe += MSS;
            sent++;
        }
        pipe -= MSS;
    }
    assert_in_range(sent, 8, 9); /* half of what arrived */
    assert_int_equal(pipe, 10 * MSS);
}

static void prr_first_retransmission_leaves_in_any_case(void **state)
{
    struct prr p;
    prr_begin(&p, 100 * MSS);
    assert_int_equal(prr_acked(&p, MSS, 90 * MSS, 50 * MSS, MSS, false, false), 91 * MSS);
}

/* §6.2, the other side: slow start up to ssthresh while ACKs bring good news, packet conservation otherwise. */
static void prr_rebuilds(void **state)
{
    struct prr p;
    prr_begin(&p, 20 * MSS);
    prr_sent(&p, MSS);
    p.delivered = MSS;
    assert_int_equal(prr_acked(&p, MSS, 4 * MSS, 10 * MSS, MSS, true, false), 6 * MSS);
    prr_sent(&p, 2 * MSS);
    assert_int_equal(prr_acked(&p, MSS, 4 * MSS, 10 * MSS, MSS, false, false), 5 * MSS);
    assert_int_equal(prr_acked(&p, 9 * MSS, 8 * MSS, 10 * MSS, MSS, true, false),
                     10 * MSS); /* never beyond */
}

/* net.inet.tcp.do_prr_conservative */
static void prr_conservative(void **state)
{
    struct prr p;
    prr_begin(&p, 20 * MSS);
    prr_sent(&p, 3 * MSS);
    p.delivered = 2 * MSS;
    assert_int_equal(prr_acked(&p, MSS, 4 * MSS, 10 * MSS, MSS, true, true), 4 * MSS);
    assert_int_equal(prr_acked(&p, MSS, 4 * MSS, 10 * MSS, MSS, true, true), 5 * MSS);
}

/* ---- lost retransmissions ---- */

static struct recovery *holes(struct recovery *r, const struct sack_block *b, uint32_t n)
{
    memset(r, 0, sizeof(*r));
    r->ranges = r->own;
    r->n = n;
    if (n > 0)
        memcpy(r->own, b, n * sizeof(*b));
    return r;
}

static void a_retransmission_is_lost_when_later_data_arrives(void **state)
{
    struct recovery rec;
    struct sack_block b[] = {{1000, 5000}};
    struct recovery *r = holes(&rec, b, 1);
    tcp_seq seq;
    uint32_t len;
    lrd_sent(&r->lrd, 0, 1000, 5000);
    assert_int_equal(lrd_evaluate(&r->lrd, r, 0), 0);
    r->own[0].end = 6000; /* sent after it */
    assert_int_equal(lrd_evaluate(&r->lrd, r, 0), 1000);
    assert_int_equal(lrd_evaluate(&r->lrd, r, 0), 0); /* told once */
    assert_int_equal(lrd_missing(&r->lrd, r, 0), 1000);
    assert_true(lrd_next(&r->lrd, r, 0, 600, &seq, &len));
    assert_int_equal(seq, 0);
    assert_int_equal(len, 600);
    assert_true(lrd_next(&r->lrd, r, 0, 600, &seq, &len));
    assert_int_equal(seq, 600);
    assert_int_equal(len, 400);
    assert_false(lrd_next(&r->lrd, r, 0, 600, &seq, &len));
    assert_int_equal(lrd_missing(&r->lrd, r, 0), 0);
}

static void what_arrived_is_forgotten(void **state)
{
    struct recovery rec;
    struct sack_block b[] = {{1000, 2000}, {3000, 9000}};
    struct recovery *r = holes(&rec, b, 2);
    lrd_sent(&r->lrd, 0, 1000, 8000);
    lrd_sent(&r->lrd, 2000, 1000, 8000);
    assert_int_equal(r->lrd.n, 1);                          /* one run: sent in one go */
    assert_int_equal(lrd_evaluate(&r->lrd, r, 1000), 1000); /* the second hole is open still */
    r->own[0].end = 9000;
    r->n = 1;
    assert_int_equal(lrd_evaluate(&r->lrd, r, 1000), 0);
    assert_int_equal(r->lrd.n, 0);
}

static void lrd_room_is_bounded(void **state)
{
    struct recovery rec;
    struct recovery *r = holes(&rec, NULL, 0);
    for (uint32_t i = 0; i < 2 * LRD_RUNS; i++)
        lrd_sent(&r->lrd, i * 2000, 1000, 100000 + i);
    assert_int_equal(r->lrd.n, LRD_RUNS);
}

/* ---- undo ---- */

static struct tcb *in_flight(struct undo *u)
{
    struct tcb *tp = established_opt("mss 1012 sackOK ts 100 0");
    tp->maxseg = MSS;
    tp->snd_nxt = tp->snd_max = tp->snd_una + 10 * MSS;
    undo_begin(u, tp);
    struct tcp_sent s = {.seq = tp->snd_una, .len = MSS, .rexmit = true};
    undo_sent(u, tp, &s);
    tp->snd_nxt = tp->snd_max = tp->snd_una; /* the connection itself has nothing outstanding */
    return tp;
}

/* RFC 3522 §3.2 step 5: the ACK echoes a timestamp from before the retransmission. */
static void eifel(void **state)
{
    struct undo u;
    struct tcb *tp = in_flight(&u);
    struct tcp_ack a = {.acked = MSS, .has_ts = true, .tsecr = tcp_ts_now(tp) - 1};
    assert_true(undo_by_timestamp(&u, &a));
}

static void eifel_only_the_first_ack_counts(void **state)
{
    struct undo u;
    struct tcb *tp = in_flight(&u);
    struct tcp_ack a = {.acked = MSS, .has_ts = true, .tsecr = tcp_ts_now(tp)};
    assert_false(undo_by_timestamp(&u, &a));
    a.tsecr--;
    assert_false(undo_by_timestamp(&u, &a));
}

static void eifel_needs_timestamps(void **state)
{
    struct undo u;
    in_flight(&u);
    struct tcp_ack a = {.acked = MSS};
    assert_false(undo_by_timestamp(&u, &a));
}

static bool dsack(struct undo *u, const struct tcb *tp, uint32_t start, uint32_t len)
{
    struct tcp_ack a = {.n_sack = 1};
    a.sack[0] = (struct sack_block){tp->snd_una + start, tp->snd_una + start + len};
    return undo_by_dsack(u, tp, &a);
}

/* RFC 3708 §2: every retransmission was a duplicate. */
static void dsack_for_all_that_was_sent_again(void **state)
{
    struct undo u;
    struct tcb *tp = in_flight(&u);
    struct tcp_sent s = {.seq = tp->snd_una + 3 * MSS, .len = MSS, .rexmit = true};
    undo_sent(&u, tp, &s);
    assert_false(dsack(&u, tp, 0, MSS));
    assert_true(dsack(&u, tp, 3 * MSS, MSS));
}

static void dsack_of_what_was_not_sent_again_says_nothing(void **state)
{
    struct undo u;
    struct tcb *tp = in_flight(&u);
    assert_false(dsack(&u, tp, 5 * MSS, MSS));
    undo_forget(&u);
    assert_false(dsack(&u, tp, 0, MSS));
}

/* ---- F-RTO (RFC 5682 §2.1) ---- */

static void frto_finds_a_mistake(void **state)
{
    uint8_t step = FRTO_HEAD_SENT;
    assert_int_equal(frto_acked(&step, false, false, false, true), FRTO_NOTHING);
    assert_int_equal(frto_acked(&step, true, false, false, true), FRTO_SEND_NEW);
    assert_int_equal(frto_acked(&step, true, false, false, true), FRTO_SPURIOUS);
    assert_int_equal(step, FRTO_OFF);
}

static void frto_finds_a_loss(void **state)
{
    uint8_t step = FRTO_HEAD_SENT;
    assert_int_equal(frto_acked(&step, false, true, false, true), FRTO_LOST); /* step 2a */
    assert_int_equal(step, FRTO_OFF);
    step = FRTO_NEW_SENT;
    assert_int_equal(frto_acked(&step, false, true, false, true), FRTO_LOST); /* step 3a */
    step = FRTO_HEAD_SENT;
    assert_int_equal(frto_acked(&step, true, false, true, true), FRTO_LOST); /* everything: no telling */
    step = FRTO_HEAD_SENT;
    assert_int_equal(frto_acked(&step, true, false, false, false), FRTO_LOST); /* nothing new to send */
}

/* ---- timed segments ---- */

static void eight_segments_of_a_window_are_timed(void **state)
{
    struct rtt_ring r = {0};
    for (uint32_t i = 0; i < 20; i++) {
        struct tcp_sent s = {.seq = i * MSS, .len = MSS, .now = i * NS_PER_MS};
        rtt_ring_sent(&r, &s);
    }
    assert_int_equal(r.n, RTT_RING);
    struct tcp_ack a = {.ack = 3 * MSS, .now = 50 * NS_PER_MS};
    assert_int_equal(rtt_ring_acked(&r, &a), 48 * NS_PER_MS); /* the newest it covers */
    assert_int_equal(rtt_ring_acked(&r, &a), 0);
    struct tcp_sent s = {.seq = 30 * MSS, .len = MSS, .now = 60 * NS_PER_MS};
    rtt_ring_sent(&r, &s);
    rtt_ring_sent(&r, &s); /* at the same time: no news */
    assert_int_equal(r.n, 6);
    a = (struct tcp_ack){.ack = 31 * MSS, .now = 100 * NS_PER_MS};
    assert_int_equal(rtt_ring_acked(&r, &a), 40 * NS_PER_MS);
    assert_int_equal(r.n, 0);
}

/* ---- policers ---- */

/* A round of 100 ms. */
static bool round_after_loss(struct policer *p, uint64_t at, uint32_t delivered, uint32_t lost, bool queued)
{
    policer_begin(p, at, lost);
    policer_acked(p, delivered / 2, 0);
    policer_acked(p, delivered - delivered / 2, 0);
    return policer_end(p, at + 100 * NS_PER_MS, queued, 10 * NS_PER_SEC);
}

static void heavy_loss_without_a_queue_is_a_policer(void **state)
{
    struct policer p = {0};
    assert_true(round_after_loss(&p, NS_PER_SEC, 100 * MSS, 30 * MSS, false));
    assert_int_equal(p.cap, 1000000 - 1000000 / 16);
    assert_int_equal(policer_rate(&p, 5 * NS_PER_SEC, 100 * NS_PER_MS), p.cap);
    memset(&p, 0, sizeof(p));
    assert_false(round_after_loss(&p, NS_PER_SEC, 100 * MSS, 30 * MSS, true)); /* a queue was full */
    assert_int_equal(policer_rate(&p, 5 * NS_PER_SEC, 100 * NS_PER_MS), 0);
}

static void single_losses_are_a_policers_at_the_same_rate(void **state)
{
    struct policer p = {0};
    assert_false(round_after_loss(&p, NS_PER_SEC, 100 * MSS, MSS, false));
    assert_false(round_after_loss(&p, 2 * NS_PER_SEC, 70 * MSS, MSS, false)); /* chance */
    assert_true(round_after_loss(&p, 3 * NS_PER_SEC, 72 * MSS, MSS, false));
}

static void a_policer_is_tried_again(void **state)
{
    struct policer p = {0};
    const uint64_t rtt = 100 * NS_PER_MS;
    round_after_loss(&p, NS_PER_SEC, 100 * MSS, 30 * MSS, false);
    uint64_t until = p.until, cap = p.cap;
    assert_int_equal(until, NS_PER_SEC + rtt + 10 * NS_PER_SEC);
    assert_int_equal(policer_rate(&p, until, rtt), cap + cap / 16);
    assert_int_equal(policer_rate(&p, until + 3 * rtt, rtt), cap + 4 * (cap / 16));
    policer_rate(&p, until + 20 * rtt, rtt);
    assert_int_equal(policer_rate(&p, until + 20 * rtt, rtt), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(prr_sends_in_proportion),
        TEST(prr_first_retransmission_leaves_in_any_case),
        TEST(prr_rebuilds),
        TEST(prr_conservative),
        TEST(a_retransmission_is_lost_when_later_data_arrives),
        TEST(what_arrived_is_forgotten),
        TEST(lrd_room_is_bounded),
        TEST(eifel),
        TEST(eifel_only_the_first_ack_counts),
        TEST(eifel_needs_timestamps),
        TEST(dsack_for_all_that_was_sent_again),
        TEST(dsack_of_what_was_not_sent_again_says_nothing),
        TEST(frto_finds_a_mistake),
        TEST(frto_finds_a_loss),
        TEST(heavy_loss_without_a_queue_is_a_policer),
        TEST(single_losses_are_a_policers_at_the_same_rate),
        TEST(a_policer_is_tried_again),
        TEST(eight_segments_of_a_window_are_timed),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
