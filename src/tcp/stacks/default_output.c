// SPDX-License-Identifier: BSD-3-Clause
// What the default stack sends: what recovery asks for first (RFC 6675 NextSeg), then new data as window and cwnd allow.
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/rto.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/output.h"
#include "tcp/stacks/default.h"

static bool sack_recovery(const struct tcb *tp)
{
    return (tp->flags & TF_RECOVERY) && tp->recovery;
}

static bool send_again(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    if (tcp_output_segment(tp, seq, len) < 0)
        return false;
    if (tp->recovery && (tp->flags & TF_RECOVERY))
        scoreboard_sent_again(tp, seq, len);
    return true;
}

/* The first unacknowledged segment, up to what the peer has. */
static bool resend_head(struct tcb *tp)
{
    const struct recovery *r = tp->recovery;
    uint32_t len = RTE_MIN((uint32_t)tp->maxseg, tp->snd.ready);
    default_state(tp)->rexmit_head = false;
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
    if (default_state(tp)->rexmit_head)
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
    if (tp->recovery)
        used = tp->recovery->pipe;
    else if (tp->dupacks > 0 && tp->dupacks < DUP_THRESH && loss_params(tp)->rfc3042)
        cwnd += tp->dupacks * (uint32_t)tp->maxseg;
    uint32_t room = cwnd > used ? cwnd - used : 0;
    return RTE_MIN(wnd, room);
}

/* win: bytes that may go. */
static __rte_always_inline bool send_of(struct tcb *tp, uint32_t win)
{
    uint32_t len = tcp_output_new_len(tp, win);
    if (len == 0)
        return false;
    bool fresh = tp->snd_nxt == tp->snd_max;
    tcp_seq before = tp->snd_nxt;
    if (tcp_output_segment(tp, before, len) < 0)
        return false;
    if (tp->recovery)
        tp->recovery->pipe += tp->snd_nxt - before;
    if (fresh && tp->dupacks > 0 && tp->dupacks < DUP_THRESH)
        loss_stats(tp)->limited_transmits++;
    return true;
}

static bool send_new(struct tcb *tp)
{
    return send_of(tp, usable(tp));
}

static bool send_burst(struct tcb *tp)
{
    return send_of(tp, RTE_MIN(usable(tp), pacer_burst(tp)));
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
    loss_stats(tp)->sack_rescues++;
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

/* What a pass owes beyond data. */
static void end_of_pass(struct tcb *tp, enum stack_limit limit)
{
    if (tcp_output_fin_due(tp))
        tcp_output_segment(tp, tp->snd_nxt, 0);
    stack_end_of_pass(tp, limit, tp->snd_nxt == tp->snd_una && tp->snd.ready > 0);
}

/* At a rate: each burst at its time. */
static void paced_output(struct tcb *tp)
{
    uint32_t budget = loss_params(tp)->output_burst_segs;
    bool open = pacer_begin(tp);
    while (open && budget > 0 && (resend(tp) || send_burst(tp) || rescue(tp))) {
        open = pacer_open(tp);
        budget--;
    }
    if (!open)
        pacer_wait(tp);
    end_of_pass(tp, !open ? STACK_PACED : budget == 0 ? STACK_BURST : STACK_DONE);
}

void default_output(struct tcb *tp)
{
    uint32_t budget = loss_params(tp)->output_burst_segs;
    if (tp->snd.ready > tp->snd_nxt - tp->snd_una)
        stack_restart_after_idle(tp);
    if (__builtin_expect(tp->flags & TF_PACED, 0)) {
        paced_output(tp);
        return;
    }
    while (budget > 0 && (resend(tp) || send_new(tp) || rescue(tp))) {
        if (stack_all_sent(tp))
            return; /* and with it the ACK; the usual case */
        budget--;
    }
    end_of_pass(tp, budget == 0 ? STACK_BURST : STACK_DONE);
}

/* More than one sample of a round is wanted (hystart.h), and a window is there to take them from. */
static bool round_is_timed(const struct tcb *tp)
{
    return tcb_flight(tp) > 2 * RTT_RING * (uint32_t)tp->maxseg && tp->cwnd < tp->ssthresh;
}

void default_sent(struct tcb *tp, const struct tcp_sent *s)
{
    struct default_state *d = default_state(tp);
    rtt_sent(tp, s);
    if (s->rexmit) {
        rtt_ring_clear(&d->timed);
        undo_sent(&d->shared.undo, tp, s);
    } else if (round_is_timed(tp)) {
        rtt_ring_sent(&d->timed, s);
    }
    if (tp->flags & (TF_RECOVERY | TF_PACED)) {
        if (tp->flags & TF_RECOVERY)
            prr_sent(&d->shared.prr, s->len);
        if (tp->flags & TF_PACED)
            pacer_sent(tp, s->len);
    }
}
