// SPDX-License-Identifier: BSD-3-Clause
// The rack stack: losses are found by time (RFC 8985), the tail is probed, the window comes down by PRR (RFC 9937), mistakes are taken back. Put
// together from the send map, RACK, TLP, PRR, undo, the RTO and a congestion control. It needs a peer with SACK.
#include "tcp/stacks/rack.h"
#include <errno.h>
#include <string.h>
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/rto.h"
#include "tcp/output.h"

/* ---- beginning and end ---- */

/*
 * What is outstanding, and nobody knows since when. A FIN has its own entry. While the peer's window is closed all of it waits to be sent
 * again; the byte of a window probe was never in flight.
 */
static int adopt(struct tcb *tp, struct rack_conn *c)
{
    tcp_seq from = tp->snd_una + (tp->snd_una == tp->iss), end = tp->snd_max - !!(tp->flags & TF_SENTFIN);
    bool closed = tcp_timer_armed(tp, TT_PERSIST);
    int err = 0;
    if (closed && tp->snd_max - tp->snd_una <= 1) {
        tp->snd_nxt = tp->snd_una;
        return 0;
    }
    if (seq_lt(from, end))
        err = sendmap_adopt(&c->map, from, end, tp->e->now);
    if (!err && seq_lt(from, tp->snd_max) && end != tp->snd_max)
        err = sendmap_adopt(&c->map, end, tp->snd_max, tp->e->now);
    if (closed)
        sendmap_lose_longer(&c->map, 0);
    tp->snd_nxt = tp->snd_max;
    return err;
}

static int rack_attach(struct tcb *tp)
{
    struct tcp_rack *l = tp->e->tcp->rack;
    struct rack_state *s = (struct rack_state *)tp->stack_state;
    struct rack_conn *c = pool_get(&l->conns);
    if (!c) {
        l->stats.nomem++;
        return -ENOMEM;
    }
    memset(tp->stack_state, 0, sizeof(tp->stack_state));
    memset(c, 0, sizeof(*c));
    sendmap_init(&c->map, &l->maps, (uint32_t)rng_u64(&tp->e->rng));
    rack_init(&c->rack, tp->snd_una, tp->rttmin, tp->e->now);
    rack_take_params(tp, c);
    c->tlp.sampled = true;
    if (TCPS_HAVERCVDSYN(tp->state) && tp->snd_una != tp->snd_max && adopt(tp, c) < 0) {
        sendmap_free(&c->map);
        pool_put(&l->conns, c);
        l->stats.nomem++;
        return -ENOMEM;
    }
    s->c = c;
    if (tp->rto == 0)
        rto_init(tp);
    if (TCPS_HAVEESTABLISHED(tp->state))
        rack_pace(tp);
    return 0;
}

static void rack_fini(struct tcb *tp, bool dying)
{
    struct rack_conn *c = rack_conn(tp);
    sendmap_free(&c->map);
    pool_put(&tp->e->tcp->rack->conns, c);
}

static int rack_handoff_ok(const struct tcb *tp)
{
    if (tp->state <= TCPS_LISTEN)
        return 0;
    if (!TCPS_HAVEESTABLISHED(tp->state))
        return -EAGAIN; /* whether there is SACK is not known yet */
    return tp->flags & TF_SACK_PERMIT ? 0 : -EINVAL;
}

static void rack_established(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    stack_established(tp);
    sendmap_free(&c->map); /* data of a SYN that the peer did not take is as if it had not been sent */
    rack_init(&c->rack, tp->snd_una, tp->rttmin, tp->e->now);
    rack_pace(tp);
}

/* ---- what an ACK means ---- */

static void enter_recovery(struct tcb *tp, tcp_seq una, uint32_t delivered)
{
    struct rack_conn *c = rack_conn(tp);
    uint32_t flight = tp->snd_max - una;
    tp->flags |= TF_RECOVERY;
    c->tlp.out = false; /* its loss would be another event of the same window */
    c->force = true;
    stack_cut(tp, una, stack_window_used(tp));
    prr_begin(&stack_shared(tp)->prr, flight - c->map.sacked + delivered);
    if (c->pace)
        policer_begin(&c->policer, tp->e->now, c->map.lost);
    loss_stats(tp)->sack_recovery_episode++;
    rack_stats(tp)->recoveries++;
    stack_reduce_rate(tp, delivered, sendmap_flight(&c->map), c->map.sacked, false);
    TCP_LOG_EVENT(tp, BBR_LOG_ENTREC, .flex1 = una, .flex2 = tp->cwnd, .flex3 = tp->ssthresh,
                  .flex4 = tp->recover);
}

static void leave_recovery(struct tcb *tp, tcp_seq ack)
{
    struct rack_conn *c = rack_conn(tp);
    tp->flags &= ~TF_RECOVERY;
    c->force = false;
    tp->cwnd = tp->ssthresh; /* RFC 9937 §6.4 */
    rack_recovered(&c->rack);
    stack_congestion(tp, CC_RECOVERED, tp->snd_max - ack);
    TCP_LOG_EVENT(tp, BBR_LOG_EXITREC, .flex1 = ack, .flex2 = tp->cwnd, .flex3 = tp->ssthresh);
}

/* A paced connection learns from the round trip after a loss whether a policer made it. */
static void watch_policer(struct tcb *tp, uint64_t now, uint32_t delivered, uint32_t lost)
{
    struct rack_conn *c = rack_conn(tp);
    struct policer *p = &c->policer;
    policer_acked(p, delivered, lost);
    if (now - p->since < tp->srtt && (tp->flags & TF_RECOVERY))
        return;
    bool queued = c->rack.rtt > c->rack.min_rtt + c->rack.min_rtt / 4;
    if (!policer_end(p, now, queued, tp->e->tcp->rack->params.policing_hold_us * NS_PER_US))
        return;
    rack_stats(tp)->policed++;
    uint64_t fits = RTE_MAX(p->cap * tp->srtt / NS_PER_SEC, UINT64_C(2) * tp->maxseg);
    tp->ssthresh = (uint32_t)RTE_MIN(fits, (uint64_t)tp->ssthresh);
}

/* Marks go back too: what was thought lost is on its way. */
static void take_back(struct tcb *tp, const struct tcp_ack *a)
{
    struct rack_conn *c = rack_conn(tp);
    sendmap_unlose(&c->map);
    rack_reposition(&c->rack, &c->map);
    stack_take_back(tp, a, sendmap_flight(&c->map));
    c->force = false;
}

/* A retransmission was lost, or what recovery sent: that is another event when it belongs to a later window of data (RFC 8985 §9.3 leaves it to the
 * congestion control, RFC 5681 §4.3). */
static void in_recovery(struct tcb *tp, const struct tcp_ack *a, uint32_t delivered, uint32_t lost)
{
    struct rack_conn *c = rack_conn(tp);
    uint32_t pipe = sendmap_flight(&c->map);
    if (lost > 0 && seq_gt(c->rack.end_seq, tp->recover)) {
        stack_cut(tp, seq_max(a->ack, tp->snd_una), pipe);
        prr_begin(&stack_shared(tp)->prr, pipe + delivered);
    }
    stack_reduce_rate(tp, delivered, pipe, c->map.sacked, a->acked > 0 && lost == 0);
}

/* The window of the segment that a probe repaired, RFC 8985 §7.4.2: one cut, and no recovery, for nothing is missing. */
static void probe_repaired(struct tcb *tp, const struct tcp_ack *a)
{
    if (tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY))
        return;
    rack_stats(tp)->tlp_recoveries++;
    stack_cut(tp, a->ack, stack_window_used(tp));
    tp->cwnd = RTE_MIN(tp->cwnd, tp->ssthresh);
    undo_forget(&stack_shared(tp)->undo);
    stack_congestion(tp, CC_RECOVERED, tp->snd_max - a->ack);
}

/* RFC 5681 §2: nothing in it but the ACK itself. */
static bool bare_duplicate(const struct tcb *tp, const struct tcp_ack *a)
{
    return a->acked == 0 && a->ack == tp->snd_una && tp->snd_una != tp->snd_max && a->payload == 0 &&
           !a->window_changed && !a->fin && !tcp_timer_armed(tp, TT_PERSIST);
}

/* DSACK: about the probe, or of reordering (RFC 8985 §7.4.2, §6.2 step 4). */
static void digest_probe(struct tcb *tp, const struct tcp_ack *a, bool dsack)
{
    struct rack_conn *c = rack_conn(tp);
    struct tlp_ack t = {
        .ack = a->ack, .dsack = dsack, .bare_duplicate = a->n_sack == 0 && bare_duplicate(tp, a)};
    if (dsack) {
        t.dsack_start = a->sack[0].start;
        t.dsack_end = a->sack[0].end;
    }
    if (dsack && tlp_dsacked(&c->tlp, &t)) {
        rack_stats(tp)->tlp_spurious++;
    } else if (dsack) {
        unsigned before = c->rack.reo_wnd_mult;
        rack_dsack(&c->rack, &c->options, seq_max(a->ack, tp->snd_una), tp->snd_max);
        rack_stats(tp)->dsack_wider += c->rack.reo_wnd_mult != before;
    }
    if (tlp_acked(&c->tlp, &t))
        probe_repaired(tp, a);
}

/* RFC 5682 §2.1, steps 2 and 3. What is not in flight because it seems lost stays where it is until it is known. */
static void after_timeout(struct tcb *tp, const struct tcp_ack *a, bool duplicate)
{
    struct stack_shared *s = stack_shared(tp);
    struct rack_conn *c = rack_conn(tp);
    bool second = s->frto == FRTO_NEW_SENT;
    switch (frto_acked(&s->frto, a->acked > 0, duplicate, seq_geq(a->ack, tp->recover),
                       stack_new_data_ready(tp, a))) {
    case FRTO_SEND_NEW:
        tp->cwnd = sendmap_flight(&c->map) + 2u * tp->maxseg;
        break;
    case FRTO_LOST:
        tp->cwnd = (second ? 3u : duplicate ? 1u : 2u) * tp->maxseg;
        break;
    case FRTO_SPURIOUS:
        loss_stats(tp)->frto_spurious++;
        take_back(tp, a);
        break;
    case FRTO_NOTHING:
        break;
    }
}

/* sample: ns, of the segments that were never sent again; 0: none. */
static void new_data_acked(struct tcb *tp, const struct tcp_ack *a, uint64_t sample)
{
    struct rack_conn *c = rack_conn(tp);
    stack_flight_of_turn(tp);
    uint64_t rtt = stack_progress(tp, a);
    c->tlp.sampled |= rtt > 0 || sample > 0;
    tp->dupacks = 0; /* digest() counts anew */
    if (!(tp->flags & TF_RECOVERY))
        stack_grow(tp, a, sample ? sample : rtt);
    if ((tp->flags & TF_RTO_RECOVERY) && seq_geq(a->ack, tp->recover)) {
        tp->flags &= ~TF_RTO_RECOVERY;
        rack_recovered(&c->rack);
    }
    if ((tp->flags & TF_RECOVERY) && seq_geq(a->ack, tp->recover))
        leave_recovery(tp, a->ack);
}

/* Everything that seems lost (RFC 8985 §6.2 step 5), and when to look again. */
static uint32_t detect(struct tcb *tp, uint64_t now, uint64_t *look)
{
    struct rack_conn *c = rack_conn(tp);
    bool in = tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY);
    uint32_t lost = rack_detect(&c->rack, &c->map, &c->options, in, tp->srtt, now, look);
    if (lost > 0)
        rack_stats(tp)->lost_segs += (lost + tp->maxseg - 1) / tp->maxseg;
    return lost;
}

/* RFC 8985 §8: reordering or probe, whichever is wanted. */
static void set_timer(struct tcb *tp, tcp_seq una, bool advanced, uint64_t look, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    if (look) {
        rack_arm(tp, c, RACK_TIMER_REO, look);
    } else if (c->timer == RACK_TIMER_REO || !c->map.first) {
        rack_disarm(tp, c);
    }
    if (!look && (advanced || (c->timer == RACK_TIMER_TLP && !rack_tail_in_doubt(tp, c))))
        rack_arm_tlp(tp, una, now);
}

/* What is left when nothing is missing and nothing was: the usual case. */
static bool quiet(const struct tcb *tp, const struct rack_conn *c, const struct tcp_ack *a)
{
    return a->n_sack == 0 && !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) && c->map.sacked == 0 &&
           !c->map.lost_first && !c->map.before && !c->tlp.out;
}

/* SACK, loss, recovery. */
static void digest(struct tcb *tp, const struct tcp_ack *a, struct rack_ack *d)
{
    struct rack_conn *c = rack_conn(tp);
    tcp_seq una = seq_max(a->ack, tp->snd_una);
    uint32_t fresh = 0;
    uint64_t look;
    bool dsack = false;
    if (a->n_sack > 0 && !c->sack_off)
        fresh = rack_sack(tp, a, d, &dsack);
    if (((tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) || dsack) && stack_mistaken(tp, a, dsack)) {
        if (tp->flags & TF_RECOVERY) { /* what was sent first arrived last */
            c->rack.reordering_seen = true;
            c->rack.reordered_at = a->now;
        }
        take_back(tp, a);
    }
    if (a->acked > 0)
        new_data_acked(tp, a, d->rtt);
    if (c->map.first && c->map.first->state == SENDMAP_SACKED && c->map.first->start == una) {
        sendmap_renege(&c->map);
        c->n_seen = 0;
        rack_stats(tp)->reneged++;
    }
    digest_probe(tp, a, dsack);
    uint32_t lost = detect(tp, a->now, &look);
    rack_stats(tp)->reordered += d->reordered;
    if (c->policer.since)
        watch_policer(tp, a->now, d->delivered, lost);
    tp->dupacks = (uint8_t)RTE_MIN(c->map.sacked_segs, (uint32_t)UINT8_MAX);
    if (tp->flags & TF_RECOVERY)
        in_recovery(tp, a, d->delivered, lost);
    else if (stack_shared(tp)->frto != FRTO_OFF)
        after_timeout(tp, a, fresh > 0 || bare_duplicate(tp, a));
    else if (c->map.lost_first && !(tp->flags & TF_RTO_RECOVERY) && !stack_before_recover(tp, una))
        enter_recovery(tp, una, d->delivered);
    set_timer(tp, una, a->acked > 0, look, a->now);
}

/* In general. */
static void acked(struct tcb *tp, const struct tcp_ack *a)
{
    struct rack_conn *c = rack_conn(tp);
    struct rack_ack d = {.rack = &c->rack,
                         .map = &c->map,
                         .options = &c->options,
                         .now = a->now,
                         .has_ts = a->has_ts,
                         .tsecr = a->tsecr,
                         .ts_now = tcp_ts_now(tp)};
    if (a->acked > 0)
        sendmap_ack(&c->map, a->ack, rack_delivered, &d);
    if (tp->ecn)
        stack_digest_ecn(tp, a);
    if (!quiet(tp, c, a)) {
        digest(tp, a, &d);
    } else if (a->acked > 0) {
        new_data_acked(tp, a, d.rtt);
        if (c->map.first)
            rack_arm_tlp(tp, a->ack, a->now);
        else
            rack_disarm(tp, c);
    }
    if (a->wnd > 0)
        stack_window_opened(tp);
}

static void rack_acked(struct tcb *tp, const struct tcp_ack *a)
{
    struct rack_conn *c = rack_conn(tp);
    bool all = a->acked > 0 && a->ack == tp->snd_max && a->n_sack == 0;
    if (!all || !sendmap_alone(&c->map) || (tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) || c->tlp.out ||
        tp->ecn) {
        acked(tp, a);
        return;
    }
    /* The usual case of requests and replies. */
    uint64_t rtt = rack_delivered_alone(&c->rack, &c->options, c->map.first->xmit_ns, a->ack, a->now);
    sendmap_clear(&c->map);
    new_data_acked(tp, a, rtt);
    rack_disarm(tp, c);
    if (a->wnd > 0)
        stack_window_opened(tp);
}

/* ---- what a timer means ---- */

/* RFC 8985 §6.3 */
static void data_timeout(struct tcb *tp, uint64_t now)
{
    struct stack_shared *s = stack_shared(tp);
    struct rack_conn *c = rack_conn(tp);
    uint32_t flight = tcb_flight(tp);
    bool first = tp->rexmits == 0;
    /* RFC 5682 §2.1 step 1: not while an earlier retransmission is still on its way. */
    bool find_out = loss_params(tp)->frto && first && !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) &&
                    c->map.sacked == 0 && !c->map.lost_first && flight > tp->maxseg;
    if (!rto_timeout(tp, now))
        return;
    tcp_pmtu_timeout(tp);
    rack_disarm(tp, c);
    tp->flags &= ~TF_RECOVERY;
    tp->flags |= TF_RTO_RECOVERY;
    if (c->map.first && c->map.first->state == SENDMAP_SACKED) /* it cannot have it (RFC 2018 §8) */
        sendmap_renege(&c->map);
    rack_timeout(&c->rack, &c->map, tp->maxseg, now);
    c->tlp.out = false;
    c->n_seen = 0;
    if (first) {
        stack_congestion(tp, CC_LOSS_RTO, flight);
        undo_begin(&s->undo, tp);
    }
    ecn_reduced(tp);
    tp->recover = tp->snd_max;
    s->frto = find_out ? FRTO_HEAD_SENT : FRTO_OFF;
    c->force = true;
    tp->cwnd = tp->maxseg;
    rto_arm(tp, now);
    tcb_mark_due(tp);
}

/* RFC 8985 §6.2 step 5: those that had time left have none. */
static void reordering_timeout(struct tcb *tp, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    uint64_t look;
    rack_stats(tp)->reo_timeouts++;
    c->timer = RACK_TIMER_NONE;
    uint32_t lost = detect(tp, now, &look);
    if (lost > 0 && !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) &&
        !stack_before_recover(tp, tp->snd_una)) {
        enter_recovery(tp, tp->snd_una, 0);
        tp->cwnd = RTE_MAX(sendmap_flight(&c->map) + tp->maxseg, (uint32_t)tp->maxseg);
    }
    set_timer(tp, tp->snd_una, false, look, now);
    if (lost > 0)
        tcb_mark_due(tp);
}

/* RFC 8985 §7.3 */
static void probe_timeout(struct tcb *tp, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    rack_stats(tp)->tlp_timeouts++;
    rack_disarm(tp, c);
    if (tlp_may_probe(&c->tlp))
        rack_send_probe(tp);
    rack_disarm(tp, c); /* what new data armed: not another probe, but the timeout */
    if (tp->snd_una != tp->snd_max)
        rto_arm(tp, now);
}

/* TT_STACK: ours, or the pacer's. */
static void stack_timeout(struct tcb *tp, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    if (tp->flags & TF_PACED)
        tcb_mark_due(tp);
    if (c->timer == RACK_TIMER_NONE)
        return;
    if (now < c->at)
        tcp_timer_arm(tp, TT_STACK, c->at);
    else if (c->timer == RACK_TIMER_REO)
        reordering_timeout(tp, now);
    else
        probe_timeout(tp, now);
}

static void rack_timer(struct tcb *tp, enum tcp_timer which, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    if (which == TT_PERSIST)
        persist_timeout(tp, now);
    else if (!TCPS_HAVEESTABLISHED(tp->state))
        stack_syn_timeout(tp, now);
    else if (which == TT_STACK)
        stack_timeout(tp, now);
    else if (c->timer == RACK_TIMER_TLP && tlp_may_probe(&c->tlp))
        probe_timeout(tp, now); /* in place of a timeout that would come first (RFC 8985 §7.2) */
    else if (tp->snd_una == tp->snd_max)
        tcb_mark_due(tp); /* nothing could be sent before, for lack of buffers or a route */
    else
        data_timeout(tp, now);
}

/* What was too big for the path is lost: it goes again in smaller pieces, without a congestion response (RFC 1191 §6.4). */
static void rack_mtu_changed(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    sendmap_lose_longer(&c->map, tp->maxseg);
    if (!c->map.lost_first)
        return;
    tp->rtt_start = 0;
    if (!(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)))
        tp->recover = tp->snd_max;
    c->force = true;
    tcb_mark_due(tp);
}

/* The stack before had begun to repair. */
static void rack_recovering(struct tcb *tp, bool timeout)
{
    struct rack_conn *c = rack_conn(tp);
    tp->flags |= timeout ? TF_RTO_RECOVERY : TF_RECOVERY;
    if (!timeout)
        prr_begin(&stack_shared(tp)->prr, tcb_flight(tp));
    sendmap_lose_first(&c->map, tp->maxseg);
    c->force = true;
}

static uint32_t rack_pipe(const struct tcb *tp)
{
    const struct sendmap *m = &rack_conn(tp)->map;
    return m->first ? sendmap_flight(m) : tcb_flight(tp);
}

static void rack_marks(const struct tcb *tp, struct tcp_marks *m)
{
    const struct rack_conn *c = rack_conn(tp);
    m->sacked = c->map.sacked;
    m->again = sendmap_again(&c->map);
    m->lost = c->map.lost + m->again;
    m->probes = c->probes;
    m->probe_bytes = c->probe_bytes;
}

const struct tcp_stack tcp_stack_rack = {
    .name = "rack",
    .init = rack_attach,
    .fini = rack_fini,
    .recovering = rack_recovering,
    .handoff_ok = rack_handoff_ok,
    .established = rack_established,
    .ack = rack_acked,
    .output = rack_output,
    .sent = rack_sent,
    .timer = rack_timer,
    .mtu_changed = rack_mtu_changed,
    .setopt = rack_setopt,
    .getopt = rack_getopt,
    .pipe = rack_pipe,
    .marks = rack_marks,
};
