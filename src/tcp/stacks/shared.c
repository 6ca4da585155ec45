// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/stacks/shared.h"
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/rto.h"
#include "tcp/output.h"

void stack_established(struct tcb *tp)
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

void stack_congestion(struct tcb *tp, enum cc_event ev, uint32_t flight)
{
    uint32_t before = tp->cwnd;
    tp->cc->event(tp, ev, flight);
    TCP_LOG_EVENT(tp, BBR_LOG_CWND, .flex1 = before, .flex2 = tp->cwnd, .flex3 = tp->ssthresh,
                  .flex4 = flight, .flex8 = (uint8_t)ev);
}

void stack_cut(struct tcb *tp, tcp_seq una, uint32_t flight)
{
    tp->recover = tp->snd_max;
    tp->rtt_start = 0;
    if (!ecn_window_reduced(tp, una)) {
        stack_congestion(tp, CC_LOSS_FAST, flight);
        undo_begin(&stack_shared(tp)->undo, tp);
    }
    ecn_reduced(tp);
}

void stack_reduce_rate(struct tcb *tp, uint32_t delivered, uint32_t pipe, uint32_t sacked, bool safe)
{
    const struct loss_params *p = loss_params(tp);
    struct prr *prr = &stack_shared(tp)->prr;
    if (!p->do_prr || delivered == 0)
        return;
    tp->cwnd = prr_acked(prr, delivered, pipe, tp->ssthresh, tp->maxseg, safe, p->do_prr_conservative);
    TCP_LOG_EVENT(tp, BBR_LOG_BBRUPD, .flex1 = prr->out, .flex2 = prr->recover_fs, .flex3 = tp->cwnd - pipe,
                  .flex4 = prr->delivered, .flex5 = sacked);
}

/* RFC 7661's idea: a window that was not used is not known to be good. What this turn's ACKs have added to it could not be used yet. */
static bool app_limited(struct tcb *tp, uint32_t flight)
{
    if (tp->cwnd < tp->ssthresh)
        return tp->cwnd > 2 * flight;
    return flight + 2u * tp->maxseg < RTE_MIN(tp->cwnd, stack_shared(tp)->cwnd);
}

void stack_grow(struct tcb *tp, const struct tcp_ack *a, uint64_t rtt)
{
    struct stack_shared *s = stack_shared(tp);
    uint32_t flight = stack_flight_of_turn(tp);
    if ((tp->ecn & TE_REDUCED) && !(tp->flags & TF_RTO_RECOVERY))
        return; /* RFC 3168 §6.1.2 */
    if (s->frto != FRTO_OFF)
        return; /* RFC 5682 §2.1: what two segments find out decides */
    bool limited = app_limited(tp, flight);
    if (limited && s->limited_told)
        return; /* the usual case of requests and replies */
    s->limited_told = limited;
    struct cc_ack c = {.ack = a->ack,
                       .acked = a->acked,
                       .rtt = rtt,
                       .flight = flight,
                       .app_limited = limited,
                       .now = a->now};
    tp->cc->acked(tp, &c);
}

uint64_t stack_progress(struct tcb *tp, const struct tcp_ack *a)
{
    uint64_t rtt = rtt_acked(tp, a);
    if (rtt)
        rto_sample(tp, rtt);
    rto_progress(tp);
    if (a->ack == tp->snd_max)
        tcp_timer_stop(tp, TT_REXMT);
    else
        rto_arm(tp, a->now);
    return rtt;
}

/*
 * The last cut was a mistake: window and threshold are what they were. What cannot be filled at once is filled by slow start
 * (RFC 4015 §3.2 step 5), for all that was in flight may have arrived.
 */
void stack_take_back(struct tcb *tp, const struct tcp_ack *a, uint32_t pipe)
{
    struct stack_shared *s = stack_shared(tp);
    TCP_LOG_EVENT(tp, TCP_LOG_BAD_RETRAN, .flex1 = a->ack, .flex2 = a->has_ts ? a->tsecr : 0);
    stack_congestion(tp, CC_UNDO, pipe);
    uint32_t most = pipe + RTE_MAX(a->acked, tcp_cc_initial_window(tp));
    if (tp->cwnd > most) {
        tp->ssthresh = RTE_MAX(tp->ssthresh, tp->cwnd);
        tp->cwnd = most;
    }
    tp->flags &= ~(TF_RECOVERY | TF_RTO_RECOVERY);
    tp->recover = tp->snd_una;
    tp->dupacks = 0;
    tp->rxtshift = 0;
    s->frto = FRTO_OFF;
    s->limited_told = false; /* its state is an older one again */
    undo_forget(&s->undo);
    tp->e->tcp->loss.cc.stats.cc_undone++;
}

/* RFC 4821 §7.7: nothing else was sent again in this window than a probe that was too large for the path. */
static bool only_probe_lost(const struct tcb *tp, const struct undo *u, const struct tcp_ack *a)
{
    return u->armed && u->sent && a->acked > 0 && seq_geq(a->ack, tp->recover) &&
           tcp_pmtu_was_probe(tp, u->from, u->rexmit_end);
}

bool stack_mistaken(struct tcb *tp, const struct tcp_ack *a, bool dsack)
{
    struct undo *u = &stack_shared(tp)->undo;
    if (loss_params(tp)->eifel && undo_by_timestamp(u, a)) {
        loss_stats(tp)->eifel_spurious++;
        return true;
    }
    if (dsack && loss_params(tp)->dsack_undo && undo_by_dsack(u, tp, a)) {
        loss_stats(tp)->dsack_spurious++;
        return true;
    }
    return only_probe_lost(tp, u, a);
}

bool stack_new_data_ready(const struct tcb *tp, const struct tcp_ack *a)
{
    uint32_t sent = tp->snd_max - tp->snd_una;
    return tp->snd.ready > sent && a->ack + a->wnd - tp->snd_max >= tp->maxseg &&
           a->wnd > tp->snd_max - a->ack;
}

/* Bytes that the peer saw marked: AccECN counts, else ECE stands for all of the ACK. */
static uint32_t marked_bytes(const struct tcb *tp, const struct tcp_ack *a)
{
    if (!a->ece)
        return 0;
    return (tp->ecn & TE_ACCURATE) && a->marked < a->acked ? a->marked : a->acked;
}

void stack_digest_ecn(struct tcb *tp, const struct tcp_ack *a)
{
    if (tp->cc->feedback && (tp->ecn & TE_ON)) {
        struct cc_ack c = {.ack = a->ack,
                           .acked = a->acked,
                           .marked = marked_bytes(tp, a),
                           .flight = tcb_flight(tp),
                           .now = a->now};
        tp->cc->feedback(tp, &c);
    }
    if (ecn_congested(tp, a->ack, a->ece)) {
        stack_congestion(tp, CC_ECN, stack_window_used(tp));
        undo_forget(&stack_shared(tp)->undo);
    }
}

void stack_window_opened(struct tcb *tp)
{
    if (!tcp_timer_armed(tp, TT_PERSIST))
        return;
    tcp_timer_stop(tp, TT_PERSIST);
    TCP_LOG_EVENT(tp, BBR_LOG_PERSIST, .flex2 = tp->persist_shift, .flex8 = 0);
    tp->persist_shift = 0;
    tp->stalled_since = 0;
    tcb_mark_due(tp);
}

void stack_syn_timeout(struct tcb *tp, uint64_t now)
{
    if (!rto_timeout(tp, now))
        return;
    /* Some middleboxes drop SYNs with options they don't know. */
    if (tp->state == TCPS_SYN_SENT && tp->rexmits == 3 && loss_params(tp)->rexmit_drop_options)
        tp->flags &= ~(TF_REQ_SCALE | TF_REQ_TSTMP | TF_SACK_PERMIT);
    loss_stats(tp)->syn_rexmits++;
    rto_arm(tp, now);
    tcp_output_syn(tp);
}

void stack_restart_after_idle(struct tcb *tp)
{
    if (tp->snd_una != tp->snd_max || !tp->last_snd || !loss_params(tp)->idle_restart)
        return;
    uint64_t idle = tp->e->now - tp->last_snd;
    if (idle > tp->rto && idle > rto_current(tp) && tp->cwnd > tcp_cc_initial_window(tp)) {
        tp->cc->event(tp, CC_IDLE, 0);
        loss_stats(tp)->idle_restarts++;
    }
}

/* The peer's window is closed, over data that was never sent or over what waits to be sent again: ask, but don't push. */
static void probe_if_closed(struct tcb *tp, bool waiting)
{
    if (!waiting || tcp_timer_armed(tp, TT_PERSIST))
        return;
    if (tp->snd_wnd == 0)
        tcp_timer_stop(tp, TT_REXMT);
    else if (tp->snd_una != tp->snd_max || tcp_output_new_len(tp, UINT32_MAX) == 0)
        return; /* held back by Nagle or cork, not by the peer */
    if (!tcp_timer_armed(tp, TT_REXMT))
        persist_arm(tp, tp->e->now);
}

/* Why does data stay? Numbers of the black box's event JUSTRET; STACK_BURST and STACK_PACED are among them. */
enum why { WHY_WINDOW = 1, WHY_CWND, WHY_NOT_READY, WHY_HELD = 5 };

static enum why why_not(const struct tcb *tp, uint32_t out, uint32_t next)
{
    if (tp->snd.ready <= out)
        return WHY_NOT_READY;
    if (out + next > tp->snd_wnd)
        return WHY_WINDOW;
    return tp->stack->pipe(tp) + next > tp->cwnd ? WHY_CWND : WHY_HELD;
}

static void log_why_not(struct tcb *tp, enum stack_limit limit)
{
    uint32_t out = tp->snd_nxt - tp->snd_una, waiting = out < tp->snd.bytes ? tp->snd.bytes - out : 0;
    uint32_t next = RTE_MIN(waiting, (uint32_t)tp->maxseg);
    if (waiting > 0)
        TCP_LOG_EVENT(tp, BBR_LOG_JUSTRET, .flex2 = waiting,
                      .flex4 = limit ? (uint32_t)limit : (uint32_t)why_not(tp, out, next));
}

void stack_end_of_pass(struct tcb *tp, enum stack_limit limit, bool waiting)
{
    if (limit == STACK_BURST) {
        loss_stats(tp)->burst_limited++;
        tcb_mark_due(tp); /* others first */
    }
    if (tcp_output_ack_due(tp))
        tcp_output_ack(tp);
    if (limit != STACK_PACED)
        probe_if_closed(tp, waiting);
    if (tcp_logging(tp))
        log_why_not(tp, limit);
}
