// SPDX-License-Identifier: BSD-3-Clause
// The default stack: fast retransmit and recovery with SACK (RFC 6675) and without (RFC 6582), limited transmit (RFC 3042), the
// retransmission timer (RFC 6298). Put together from the scoreboard, the RTO and a congestion control.
#include <errno.h>
#include <string.h>
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/rto.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/output.h"
#include "tcp/stacks/default.h"

static int default_init(struct tcb *tp)
{
    memset(tp->stack_state, 0, sizeof(tp->stack_state));
    if (tp->rto == 0)
        rto_init(tp);
    if (tcp_timer_armed(tp, TT_PERSIST))
        tp->snd_nxt = tp->snd_una; /* what waits goes when the window opens */
    return 0;
}

/* Without scoreboard, as RFC 6582 has it, until SACK blocks make one. */
static void default_recovering(struct tcb *tp, bool timeout)
{
    struct default_state *d = default_state(tp);
    if (timeout) {
        tp->flags |= TF_RTO_RECOVERY;
        tp->snd_nxt = tp->snd_una;
    } else {
        tp->flags |= TF_RECOVERY;
        prr_begin(&d->shared.prr, tcb_flight(tp));
    }
    d->rexmit_head = !timeout;
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

/* ---- what an ACK means ---- */

/* RFC 5681 §2; with SACK what counts is that it says something new (RFC 6675 §2). */
static bool is_duplicate(const struct tcb *tp, const struct tcp_ack *a, uint32_t newly_sacked)
{
    if (a->acked > 0 || a->ack != tp->snd_una || tp->snd_una == tp->snd_max)
        return false;
    if (tcp_timer_armed(tp, TT_PERSIST)) /* the answer to a window probe */
        return false;
    if (tp->recovery)
        return newly_sacked > 0;
    return a->payload == 0 && !a->window_changed && !a->fin;
}

/* una: the cumulative ACK; snd_una is the one before. What limited transmit sent is not part of what the network was thought to
 * take (RFC 5681 §3.2 step 2). */
static void enter_recovery(struct tcb *tp, tcp_seq una, uint32_t delivered)
{
    struct default_state *d = default_state(tp);
    uint32_t flight = tp->snd_max - una;
    tp->flags |= TF_RECOVERY;
    stack_cut(tp, una, stack_window_used(tp));
    rto_arm(tp, tp->e->now); /* as FreeBSD: the retransmission has its own time */
    d->rexmit_head = true;
    /* Also without a scoreboard: one may come while this recovery lasts. */
    prr_begin(&d->shared.prr, flight - (tp->recovery ? tp->recovery->sacked : 0) + delivered);
    if (tp->recovery) {
        loss_stats(tp)->sack_recovery_episode++;
        scoreboard_recovery_begins(tp, una);
        stack_reduce_rate(tp, delivered, tp->recovery->pipe, tp->recovery->sacked, false);
    } else {
        loss_stats(tp)->fast_recoveries++;
        tp->cwnd = tp->ssthresh + DUP_THRESH * (uint32_t)tp->maxseg;
    }
    TCP_LOG_EVENT(tp, BBR_LOG_ENTREC, .flex1 = una, .flex2 = tp->cwnd, .flex3 = tp->ssthresh,
                  .flex4 = tp->recover);
}

static void leave_recovery(struct tcb *tp, tcp_seq ack)
{
    bool inflated = !tp->recovery;
    uint32_t flight = tp->snd_max - ack;
    tp->flags &= ~TF_RECOVERY;
    default_state(tp)->rexmit_head = false;
    tp->dupacks = 0;
    if (inflated &&
        flight + tp->maxseg <
            tp->ssthresh) /* RFC 6582 §3.2 step 3, the careful way: no burst when little is in flight */
        tp->cwnd = (flight > tp->maxseg ? flight : tp->maxseg) + tp->maxseg;
    else /* RFC 9937 §6.2 */
        tp->cwnd = tp->ssthresh;
    stack_congestion(tp, CC_RECOVERED, flight);
    TCP_LOG_EVENT(tp, BBR_LOG_EXITREC, .flex1 = ack, .flex2 = tp->cwnd, .flex3 = tp->ssthresh);
}

/* RFC 6582 §3.2, without SACK */
static void in_newreno_recovery(struct tcb *tp, const struct tcp_ack *a, bool duplicate)
{
    if (a->acked > 0) { /* a partial ACK: the next hole begins here */
        loss_stats(tp)->newreno_partial_acks++;
        default_state(tp)->rexmit_head = true;
        uint32_t deflated = tp->cwnd > a->acked ? tp->cwnd - a->acked : 0;
        if (a->acked >= tp->maxseg)
            deflated += tp->maxseg;
        tp->cwnd = RTE_MAX(deflated, (uint32_t)tp->maxseg);
    } else if (duplicate) {
        tp->cwnd += tp->maxseg;
    }
}

/* RFC 6675 step B and C; the window by RFC 9937. lost_again: bytes of retransmissions found lost. */
static void in_sack_recovery(struct tcb *tp, const struct tcp_ack *a, uint32_t delivered, uint32_t lost_again)
{
    struct default_state *d = default_state(tp);
    uint32_t pipe = tp->recovery->pipe;
    if (lost_again > 0) {
        rto_arm(tp, a->now);
        loss_stats(tp)->sack_lostrexmt += (lost_again + tp->maxseg - 1) / tp->maxseg;
        if (seq_geq(tp->snd_una, tp->recover) || seq_gt(scoreboard_highest(tp->recovery), tp->recover)) {
            stack_cut(tp, tp->snd_una, pipe); /* a loss in a later window of data */
            prr_begin(&d->shared.prr, pipe + delivered);
        }
    }
    bool more_lost = a->acked > 0 && !d->rexmit_head && scoreboard_partial_ack(tp, a->ack);
    bool safe = a->acked > 0 && !lost_again && !more_lost;
    stack_reduce_rate(tp, delivered, tp->recovery->pipe, tp->recovery->sacked, safe);
}

static void in_recovery(struct tcb *tp, const struct tcp_ack *a, bool duplicate, uint32_t delivered,
                        uint32_t lost_again)
{
    if (a->acked > 0 && seq_geq(a->ack, tp->recover))
        leave_recovery(tp, a->ack);
    else if (tp->recovery)
        in_sack_recovery(tp, a, delivered, lost_again);
    else
        in_newreno_recovery(tp, a, duplicate);
}

/* RFC 5827 §2.2: so little is in flight that DupThresh duplicates cannot come. */
static bool early_retransmit(const struct tcb *tp)
{
    const struct recovery *r = tp->recovery;
    uint32_t mss = tp->maxseg, flight = tcb_flight(tp), segs = (flight + mss - 1) / mss;
    bool nothing_new = tp->snd.ready <= tp->snd_nxt - tp->snd_una;
    return loss_params(tp)->early_retransmit && r && nothing_new && segs >= 2 && segs <= DUP_THRESH &&
           r->sacked + mss >= flight;
}

static void on_duplicate(struct tcb *tp, uint32_t delivered)
{
    const struct recovery *r = tp->recovery;
    if (tp->dupacks < UINT8_MAX)
        tp->dupacks++;
    /* Duplicates of what a timeout or the last recovery sent again are no new loss (RFC 6582 §4.1). */
    if ((tp->flags & TF_RTO_RECOVERY) || stack_before_recover(tp, tp->snd_una))
        return;
    bool lost = tp->dupacks >= DUP_THRESH || (r && r->n > 0 && seq_gt(r->lost_edge, tp->snd_una));
    if (!lost && early_retransmit(tp)) {
        loss_stats(tp)->early_rexmits++;
        lost = true;
    }
    if (lost)
        enter_recovery(tp, tp->snd_una, delivered);
}

/* RFC 6675 §5: an ACK of new data may bring enough SACK blocks with it, without any duplicate. */
static void on_sack(struct tcb *tp, const struct tcp_ack *a, uint32_t delivered)
{
    const struct recovery *r = tp->recovery;
    bool lost = r->n > 0 && seq_gt(r->lost_edge, a->ack);
    if (lost && !(tp->flags & TF_RTO_RECOVERY) && !stack_before_recover(tp, a->ack))
        enter_recovery(tp, a->ack, delivered);
}

static void grow(struct tcb *tp, const struct tcp_ack *a, uint64_t rtt)
{
    struct default_state *d = default_state(tp);
    if (d->timed.n > 0) {
        uint64_t sample = rtt_ring_acked(&d->timed, a);
        rtt = rtt ? rtt : sample;
    }
    stack_grow(tp, a, rtt);
}

static void new_data_acked(struct tcb *tp, const struct tcp_ack *a)
{
    stack_flight_of_turn(tp);
    uint64_t rtt = stack_progress(tp, a);
    if (!(tp->flags & TF_RECOVERY)) {
        tp->dupacks = 0;
        grow(tp, a, rtt);
    }
    if ((tp->flags & TF_RTO_RECOVERY) && seq_geq(a->ack, tp->recover))
        tp->flags &= ~TF_RTO_RECOVERY;
}

static void take_back(struct tcb *tp, const struct tcp_ack *a)
{
    stack_take_back(tp, a, tp->snd_max - seq_max(a->ack, tp->snd_una));
    tp->snd_nxt = tp->snd_max;
    default_state(tp)->rexmit_head = false;
}

/* Everything from una on goes again. */
static void go_back(struct tcb *tp, tcp_seq una, uint32_t cwnd)
{
    tp->cwnd = cwnd;
    tp->snd_nxt = una;
}

/* RFC 5682 §2.1, steps 2 and 3 */
static void after_timeout(struct tcb *tp, const struct tcp_ack *a, bool duplicate)
{
    struct default_state *d = default_state(tp);
    tcp_seq una = seq_max(a->ack, tp->snd_una);
    bool second = d->shared.frto == FRTO_NEW_SENT;
    switch (frto_acked(&d->shared.frto, a->acked > 0, duplicate, seq_geq(a->ack, tp->recover),
                       stack_new_data_ready(tp, a))) {
    case FRTO_SEND_NEW:
        tp->cwnd = tp->snd_max - una + 2u * tp->maxseg;
        break;
    case FRTO_LOST:
        go_back(tp, una, (second ? 3u : duplicate ? 1u : 2u) * tp->maxseg);
        break;
    case FRTO_SPURIOUS:
        loss_stats(tp)->frto_spurious++;
        take_back(tp, a);
        break;
    case FRTO_NOTHING:
        break;
    }
}

/* Blocks of the ACK go into the scoreboard. Returns bytes delivered, by the cumulative ACK too. */
static uint32_t digest_sack(struct tcb *tp, const struct tcp_ack *a, uint32_t *newly_sacked, bool *dsack,
                            uint32_t *lost_again)
{
    uint32_t before = tp->recovery ? tp->recovery->sacked : 0;
    *newly_sacked = scoreboard_update(tp, a, dsack);
    if (!tp->recovery)
        return a->acked;
    *lost_again = scoreboard_evaluate(tp, a->acked ? a->ack : tp->snd_una);
    return a->acked + tp->recovery->sacked - before;
}

static void default_ack(struct tcb *tp, const struct tcp_ack *a)
{
    uint32_t newly_sacked = 0, delivered = a->acked, lost_again = 0;
    bool dsack = false;
    if (tp->recovery || a->n_sack > 0)
        delivered = digest_sack(tp, a, &newly_sacked, &dsack, &lost_again);
    bool duplicate = is_duplicate(tp, a, newly_sacked);
    if (tp->ecn)
        stack_digest_ecn(tp, a);
    if (((tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) || dsack) && stack_mistaken(tp, a, dsack))
        take_back(tp, a);
    if (a->acked > 0)
        new_data_acked(tp, a);
    if (tp->flags & TF_RECOVERY)
        in_recovery(tp, a, duplicate, delivered, lost_again);
    else if (default_state(tp)->shared.frto != FRTO_OFF)
        after_timeout(tp, a, duplicate);
    else if (duplicate)
        on_duplicate(tp, delivered);
    else if (newly_sacked > 0 && tp->recovery)
        on_sack(tp, a, delivered);
    if (tp->recovery && tp->recovery->n == 0 && !(tp->flags & TF_RECOVERY))
        scoreboard_free(tp);
    if (a->wnd > 0)
        stack_window_opened(tp);
}

/* ---- what a timer means ---- */

static void data_timeout(struct tcb *tp, uint64_t now)
{
    struct default_state *d = default_state(tp);
    uint32_t flight = tcb_flight(tp);
    bool first = tp->rexmits == 0;
    /* RFC 5682 §2.1 step 1: not while an earlier retransmission is still on its way. */
    bool find_out = loss_params(tp)->frto && first && !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) &&
                    !tp->recovery && tp->snd_nxt == tp->snd_max && flight > tp->maxseg;
    if (!rto_timeout(tp, now))
        return;
    tcp_pmtu_timeout(tp);
    tp->flags &= ~TF_RECOVERY;
    tp->flags |= TF_RTO_RECOVERY;
    scoreboard_free(tp); /* the peer may have reneged (RFC 2018 §8) */
    if (first) {
        stack_congestion(tp, CC_LOSS_RTO, flight);
        undo_begin(&d->shared.undo, tp);
    }
    ecn_reduced(tp);
    tp->recover = tp->snd_max;
    tp->dupacks = 0;
    d->shared.frto = find_out ? FRTO_HEAD_SENT : FRTO_OFF;
    d->rexmit_head = find_out;
    tp->cwnd = tp->maxseg;
    if (!find_out)
        tp->snd_nxt = tp->snd_una;
    rto_arm(tp, now);
    tcb_mark_due(tp);
}

static void default_timer(struct tcb *tp, enum tcp_timer which, uint64_t now)
{
    if (which == TT_PERSIST)
        persist_timeout(tp, now);
    else if (which == TT_STACK) /* the pacer's */
        tcb_mark_due(tp);
    else if (tp->state == TCPS_SYN_SENT || tp->state == TCPS_SYN_RECEIVED)
        stack_syn_timeout(tp, now);
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

static void default_marks(const struct tcb *tp, struct tcp_marks *m)
{
    const struct recovery *r = tp->recovery;
    if (!r || r->n == 0)
        return;
    m->sacked = r->sacked;
    m->lost = scoreboard_holes(tp, r->lost_edge);
    m->again = tp->flags & TF_RECOVERY ? scoreboard_holes(tp, r->high_rxt) : 0;
}

const struct tcp_stack tcp_stack_default = {
    .name = "default",
    .init = default_init,
    .fini = default_fini,
    .recovering = default_recovering,
    .handoff_ok = default_handoff_ok,
    .established = stack_established,
    .ack = default_ack,
    .output = default_output,
    .sent = default_sent,
    .timer = default_timer,
    .mtu_changed = default_mtu_changed,
    .pipe = default_pipe,
    .marks = default_marks,
};
