// SPDX-License-Identifier: BSD-3-Clause
// The default stack: fast retransmit and recovery with SACK (RFC 6675) and without (RFC 6582), limited transmit (RFC 3042), the
// retransmission timer (RFC 6298). Put together from the scoreboard, the RTO and a congestion control.
#include <errno.h>
#include <string.h>
#include <rte_common.h>
#include "tcp/loss/rto.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/output.h"

struct default_state {
    bool rexmit_head; /* the first unacknowledged segment goes again in the next pass */
};
_Static_assert(sizeof(struct default_state) <= TCP_STACK_BYTES, "fits in the tcb");

static struct default_state *state(struct tcb *tp)
{
    return (struct default_state *)tp->stack_state;
}
static struct loss_stats *stats(const struct tcb *tp)
{
    return &tp->e->tcp->loss.stats;
}
static const struct loss_params *params(const struct tcb *tp)
{
    return &tp->e->tcp->loss.params;
}

static int default_init(struct tcb *tp)
{
    memset(tp->stack_state, 0, sizeof(tp->stack_state));
    if (tp->rto == 0)
        rto_init(tp);
    return 0;
}

static void default_fini(struct tcb *tp, bool dying)
{
    scoreboard_free(tp);
    tp->flags &= ~(TF_RECOVERY | TF_RTO_RECOVERY);
}

static int default_handoff_ok(const struct tcb *tp)
{
    return 0;
}

static void default_established(struct tcb *tp)
{
    tp->cc->init(tp);
    tp->cwnd = tcp_cc_initial_window(tp);
    if (tp->rexmits > 0) { /* a SYN was lost: RFC 5681 §3.1, RFC 6298 (5.7) */
        tp->cwnd = tp->maxseg;
        tp->rto = RTE_MAX(tp->rto, 3 * NS_PER_SEC);
    }
    tp->recover = tp->iss;
    rto_progress(tp);
}

/* ---- what an ACK means ---- */

/* RFC 5681 §2; with SACK what counts is that it says something new (RFC 6675 §2). */
static bool is_duplicate(const struct tcb *tp, const struct tcp_ack *a, uint32_t newly_sacked)
{
    if (a->acked > 0 || a->ack != tp->snd_una || tp->snd_una == tp->snd_max)
        return false;
    if (tp->recovery)
        return newly_sacked > 0;
    return a->payload == 0 && !a->window_changed && !a->fin;
}

static void enter_recovery(struct tcb *tp)
{
    uint32_t flight = tcb_flight(tp);
    tp->flags |= TF_RECOVERY;
    tp->recover = tp->snd_max;
    if (!ecn_window_reduced(tp, tp->snd_una))
        tp->cc->event(tp, CC_LOSS_FAST, flight);
    ecn_reduced(tp);
    tp->rtt_start = 0;
    state(tp)->rexmit_head = true;
    if (tp->recovery) {
        stats(tp)->sack_recovery_episode++;
        tp->recovery->high_rxt = tp->snd_una;
        tp->recovery->rescued = false;
        scoreboard_evaluate(tp, tp->snd_una);
    } else {
        stats(tp)->fast_recoveries++;
        tp->cwnd = tp->ssthresh + DUP_THRESH * (uint32_t)tp->maxseg;
    }
}

static void leave_recovery(struct tcb *tp, tcp_seq ack)
{
    bool inflated = !tp->recovery;
    uint32_t flight = tp->snd_max - ack;
    tp->flags &= ~TF_RECOVERY;
    state(tp)->rexmit_head = false;
    tp->dupacks = 0;
    /* RFC 6582 §3.2 step 3, the careful way: no burst when little is in flight. */
    if (inflated)
        tp->cwnd = RTE_MIN(tp->ssthresh, (flight > tp->maxseg ? flight : tp->maxseg) + tp->maxseg);
    tp->cc->event(tp, CC_RECOVERED, flight);
}

static void in_recovery(struct tcb *tp, const struct tcp_ack *a, bool duplicate)
{
    if (a->acked > 0 && seq_geq(a->ack, tp->recover)) {
        leave_recovery(tp, a->ack);
    } else if (a->acked > 0 && !tp->recovery) { /* a partial ACK: the next hole begins here */
        stats(tp)->newreno_partial_acks++;
        state(tp)->rexmit_head = true;
        uint32_t deflated = tp->cwnd > a->acked ? tp->cwnd - a->acked : 0;
        if (a->acked >= tp->maxseg)
            deflated += tp->maxseg;
        tp->cwnd = RTE_MAX(deflated, (uint32_t)tp->maxseg);
    } else if (duplicate && !tp->recovery) {
        tp->cwnd += tp->maxseg;
    }
}

static void on_duplicate(struct tcb *tp)
{
    const struct recovery *r = tp->recovery;
    if (tp->dupacks < UINT8_MAX)
        tp->dupacks++;
    bool lost = tp->dupacks >= DUP_THRESH || (r && r->n > 0 && seq_gt(r->lost_edge, tp->snd_una));
    /* Duplicates of what a timeout or the last recovery sent again are no new loss (RFC 6582 §4.1). */
    if (lost && !(tp->flags & TF_RTO_RECOVERY) && seq_geq(tp->snd_una, tp->recover))
        enter_recovery(tp);
}

/* RFC 7661's idea: a window that was not used is not known to be good. */
static bool app_limited(const struct tcb *tp, uint32_t flight)
{
    if (tp->cwnd < tp->ssthresh)
        return tp->cwnd > 2 * flight;
    return flight + 2u * tp->maxseg < tp->cwnd;
}

static void grow(struct tcb *tp, const struct tcp_ack *a, uint64_t rtt)
{
    struct cc_ack c = {.acked = a->acked, .rtt = rtt, .flight = tcb_flight(tp), .now = a->now};
    if ((tp->ecn & TE_REDUCED) && !(tp->flags & TF_RTO_RECOVERY))
        return; /* RFC 3168 §6.1.2 */
    c.app_limited = app_limited(tp, c.flight);
    tp->cc->acked(tp, &c);
}

static void new_data_acked(struct tcb *tp, const struct tcp_ack *a)
{
    uint64_t rtt = rtt_acked(tp, a);
    if (rtt)
        rto_sample(tp, rtt);
    rto_progress(tp);
    if (!(tp->flags & TF_RECOVERY)) {
        tp->dupacks = 0;
        grow(tp, a, rtt);
    }
    if ((tp->flags & TF_RTO_RECOVERY) && seq_geq(a->ack, tp->recover))
        tp->flags &= ~TF_RTO_RECOVERY;
    if (a->ack == tp->snd_max)
        tcp_timer_stop(tp, TT_REXMT);
    else
        rto_arm(tp, a->now);
}

/* The window opened: probing is over, and what waits goes out. */
static void window_opened(struct tcb *tp)
{
    if (!tcp_timer_armed(tp, TT_PERSIST))
        return;
    tcp_timer_stop(tp, TT_PERSIST);
    tp->persist_shift = 0;
    tp->stalled_since = 0;
    tcb_mark_due(tp);
}

static void default_ack(struct tcb *tp, const struct tcp_ack *a)
{
    uint32_t newly_sacked = 0;
    bool dsack;
    if (tp->recovery || a->n_sack > 0) {
        newly_sacked = scoreboard_update(tp, a, &dsack);
        if (tp->recovery)
            scoreboard_evaluate(tp, a->acked ? a->ack : tp->snd_una);
    }
    bool duplicate = is_duplicate(tp, a, newly_sacked);
    if (tp->ecn && ecn_congested(tp, a->ack, a->ece))
        tp->cc->event(tp, CC_ECN, tcb_flight(tp));
    if (a->acked > 0)
        new_data_acked(tp, a);
    if (tp->flags & TF_RECOVERY)
        in_recovery(tp, a, duplicate);
    else if (duplicate)
        on_duplicate(tp);
    if (tp->recovery && tp->recovery->n == 0 && !(tp->flags & TF_RECOVERY))
        scoreboard_free(tp);
    if (a->wnd > 0)
        window_opened(tp);
}

/* ---- what to send ---- */

static bool sack_recovery(const struct tcb *tp)
{
    return (tp->flags & TF_RECOVERY) && tp->recovery;
}

static bool send_again(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    struct recovery *r = tp->recovery;
    if (tcp_output_segment(tp, seq, len) < 0)
        return false;
    if (r && (tp->flags & TF_RECOVERY)) {
        stats(tp)->sack_rexmits++;
        stats(tp)->sack_rexmit_bytes += len;
        r->pipe += len;
        r->high_rxt = seq_max(r->high_rxt, seq + len);
    }
    return true;
}

/* The first unacknowledged segment, up to what the peer has. */
static bool resend_head(struct tcb *tp)
{
    const struct recovery *r = tp->recovery;
    uint32_t len = RTE_MIN((uint32_t)tp->maxseg, tp->snd.ready);
    state(tp)->rexmit_head = false;
    if (r && r->n > 0)
        len = RTE_MIN(len, r->ranges[0].start - tp->snd_una);
    if (len == 0 && !(tp->flags & TF_SENTFIN))
        return false;
    return send_again(tp, tp->snd_una, len);
}

/* What recovery knows is lost. True: a segment went. */
static bool resend(struct tcb *tp)
{
    tcp_seq seq;
    uint32_t len;
    if (state(tp)->rexmit_head)
        return resend_head(tp);
    if (!sack_recovery(tp) || tp->recovery->pipe + tp->maxseg > tp->cwnd ||
        !scoreboard_next(tp, false, &seq, &len))
        return false;
    return send_again(tp, seq, len);
}

/* Bytes that window and cwnd leave for what comes next. */
static uint32_t usable(const struct tcb *tp)
{
    uint32_t out = tp->snd_nxt - tp->snd_una;
    uint32_t wnd = tp->snd_wnd > out ? tp->snd_wnd - out : 0;
    uint32_t used = out, cwnd = tp->cwnd;
    if (tp->recovery && tp->recovery->n > 0)
        used = tp->recovery->pipe;
    else if (tp->dupacks > 0 && tp->dupacks < DUP_THRESH && params(tp)->rfc3042)
        cwnd += tp->dupacks * (uint32_t)tp->maxseg;
    uint32_t room = cwnd > used ? cwnd - used : 0;
    return RTE_MIN(wnd, room);
}

static bool send_new(struct tcb *tp)
{
    uint32_t len = tcp_output_new_len(tp, usable(tp));
    if (len == 0)
        return false;
    bool fresh = tp->snd_nxt == tp->snd_max;
    tcp_seq before = tp->snd_nxt;
    if (tcp_output_segment(tp, before, len) < 0)
        return false;
    if (tp->recovery)
        tp->recovery->pipe += tp->snd_nxt - before;
    if (fresh && tp->dupacks > 0 && tp->dupacks < DUP_THRESH)
        stats(tp)->limited_transmits++;
    return true;
}

/* RFC 6675 NextSeg rule 4: once in a recovery the tail goes again, so that its loss doesn't wait for the timer. */
static bool rescue_tail(struct tcb *tp)
{
    struct recovery *r = tp->recovery;
    tcp_seq top = scoreboard_highest(r), end = seq_min(tp->snd_max, tp->snd_una + tp->snd.ready);
    if (r->rescued || seq_geq(top, end))
        return false;
    tcp_seq seq = end - top > tp->maxseg ? end - tp->maxseg : top;
    if (tcp_output_segment(tp, seq, end - seq) < 0)
        return false;
    r->rescued = true;
    r->rescue = end;
    r->pipe += end - seq;
    stats(tp)->sack_rescues++;
    return true;
}

/* Rules 3 and 4, when there is nothing new to send: first a hole that is not known to be lost. */
static bool rescue(struct tcb *tp)
{
    struct recovery *r = tp->recovery;
    tcp_seq seq;
    uint32_t len;
    if (!sack_recovery(tp) || r->n == 0 || r->pipe + tp->maxseg > tp->cwnd || tp->snd_nxt != tp->snd_max)
        return false;
    if (scoreboard_next(tp, true, &seq, &len))
        return send_again(tp, seq, len);
    return rescue_tail(tp);
}

/* RFC 5681 §4.1 */
static void restart_after_idle(struct tcb *tp)
{
    if (tp->snd_una != tp->snd_max || !tp->last_snd || !params(tp)->idle_restart)
        return;
    uint64_t idle = tp->e->now - tp->last_snd;
    if (idle > tp->rto && idle > rto_current(tp) && tp->cwnd > tcp_cc_initial_window(tp)) {
        tp->cc->event(tp, CC_IDLE, 0);
        stats(tp)->idle_restarts++;
    }
}

/* The peer's window is closed, over data that was never sent or over what waits to be sent again: ask, but don't push. */
static void probe_if_closed(struct tcb *tp)
{
    bool waiting = tp->snd_nxt == tp->snd_una && tp->snd.ready > 0;
    if (!waiting || tcp_timer_armed(tp, TT_PERSIST))
        return;
    if (tp->snd_wnd == 0)
        tcp_timer_stop(tp, TT_REXMT);
    else if (tp->snd_una != tp->snd_max || tcp_output_new_len(tp, UINT32_MAX) == 0)
        return; /* held back by Nagle or cork, not by the peer */
    if (!tcp_timer_armed(tp, TT_REXMT))
        persist_arm(tp, tp->e->now);
}

/* Everything there is has left, no FIN and no recovery is on. */
static bool all_sent(const struct tcb *tp)
{
    return tp->snd_nxt == tp->snd_una + tp->snd.bytes && tp->snd_nxt == tp->snd_max &&
           !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY | TF_FIN_QUEUED | TF_ACKNOW));
}

static void default_output(struct tcb *tp)
{
    uint32_t budget = params(tp)->output_burst_segs;
    if (tp->snd.ready > tp->snd_nxt - tp->snd_una)
        restart_after_idle(tp);
    while (budget > 0 && (resend(tp) || send_new(tp) || rescue(tp))) {
        if (all_sent(tp))
            return; /* and with it the ACK; the usual case */
        budget--;
    }
    if (budget == 0) {
        stats(tp)->burst_limited++;
        tcb_mark_due(tp); /* others first */
    }
    if (tcp_output_fin_due(tp))
        tcp_output_segment(tp, tp->snd_nxt, 0);
    if (tcp_output_ack_due(tp))
        tcp_output_ack(tp);
    probe_if_closed(tp);
}

static void default_sent(struct tcb *tp, const struct tcp_sent *s)
{
    rtt_sent(tp, s);
}

/* ---- what a timer means ---- */

static void syn_timeout(struct tcb *tp, uint64_t now)
{
    if (!rto_timeout(tp, now))
        return;
    /* Some middleboxes drop SYNs with options they don't know. */
    if (tp->state == TCPS_SYN_SENT && tp->rexmits == 3 && params(tp)->rexmit_drop_options)
        tp->flags &= ~(TF_REQ_SCALE | TF_REQ_TSTMP | TF_SACK_PERMIT);
    stats(tp)->syn_rexmits++;
    rto_arm(tp, now);
    tcp_output_syn(tp);
}

static void data_timeout(struct tcb *tp, uint64_t now)
{
    uint32_t flight = tcb_flight(tp);
    bool first = tp->rexmits == 0;
    if (!rto_timeout(tp, now))
        return;
    tp->flags &= ~TF_RECOVERY;
    tp->flags |= TF_RTO_RECOVERY;
    scoreboard_free(tp); /* the peer may have reneged (RFC 2018 §8) */
    if (first)
        tp->cc->event(tp, CC_LOSS_RTO, flight);
    else
        tp->cwnd = tp->maxseg;
    ecn_reduced(tp);
    tp->recover = tp->snd_max;
    tp->snd_nxt = tp->snd_una;
    tp->dupacks = 0;
    state(tp)->rexmit_head = false;
    rto_arm(tp, now);
    tcb_mark_due(tp);
}

static void default_timer(struct tcb *tp, enum tcp_timer which, uint64_t now)
{
    if (which == TT_PERSIST)
        persist_timeout(tp, now);
    else if (tp->state == TCPS_SYN_SENT || tp->state == TCPS_SYN_RECEIVED)
        syn_timeout(tp, now);
    else if (tp->snd_una == tp->snd_max)
        tcb_mark_due(tp); /* nothing could be sent before, for lack of buffers or a route */
    else
        data_timeout(tp, now);
}

/* What is in flight was too big and is lost: it goes again in smaller pieces, without a congestion response (RFC 1191 §6.4). */
static void default_mtu_changed(struct tcb *tp)
{
    if (tp->snd_una == tp->snd_max)
        return;
    scoreboard_free(tp);
    tp->flags &= ~TF_RECOVERY;
    tp->rtt_start = 0;
    tp->snd_nxt = tp->snd_una;
    tp->recover = tp->snd_max;
    tcb_mark_due(tp);
}

static uint32_t default_pipe(const struct tcb *tp)
{
    return tp->recovery ? tp->recovery->pipe : tcb_flight(tp);
}

const struct tcp_stack tcp_stack_default = {
    .name = "default",
    .init = default_init,
    .fini = default_fini,
    .handoff_ok = default_handoff_ok,
    .established = default_established,
    .ack = default_ack,
    .output = default_output,
    .sent = default_sent,
    .timer = default_timer,
    .mtu_changed = default_mtu_changed,
    .pipe = default_pipe,
};
