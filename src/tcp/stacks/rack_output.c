// SPDX-License-Identifier: BSD-3-Clause
// What the rack stack sends: what is lost first, lowest first, then new data as window and cwnd allow; probes of the tail.
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/rto.h"
#include "tcp/output.h"
#include "tcp/stacks/rack.h"

/* Of [seq, seq + len): payload bytes, without the FIN. */
static uint32_t payload_of(const struct tcb *tp, tcp_seq seq, uint32_t len)
{
    uint32_t off = seq - tp->snd_una, left = off < tp->snd.bytes ? tp->snd.bytes - off : 0;
    return RTE_MIN(len, left);
}

/* What is known to be lost. True: a segment went. */
static bool resend(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    const struct sendmap_entry *e = c->map.lost_first;
    if (!e)
        return false;
    if (!c->force && (stack_shared(tp)->frto != FRTO_OFF || sendmap_flight(&c->map) + tp->maxseg > tp->cwnd))
        return false;
    uint32_t len = RTE_MIN(e->end - e->start, (uint32_t)tp->maxseg);
    bool again = e->rexmits > 0;
    len = payload_of(tp, e->start, len);
    if (tp->snd_wnd == 0 && len > 0)
        return false; /* the probe asks first */
    if (tcp_output_segment(tp, e->start, len) < 0)
        return false;
    c->force = false;
    rack_stats(tp)->rexmits++;
    rack_stats(tp)->lostrexmt += again;
    loss_stats(tp)->sack_rexmits++;
    loss_stats(tp)->sack_rexmit_bytes += len;
    return true;
}

/* Bytes that window and cwnd leave for what comes next. */
static uint32_t usable(const struct tcb *tp, const struct rack_conn *c)
{
    uint32_t out = tp->snd_nxt - tp->snd_una, used = sendmap_flight(&c->map);
    uint32_t wnd = tp->snd_wnd > out ? tp->snd_wnd - out : 0;
    uint32_t room = tp->cwnd > used ? tp->cwnd - used : 0;
    return RTE_MIN(wnd, room);
}

/* win: bytes that may go. */
static bool send_new(struct tcb *tp, uint32_t win)
{
    uint32_t len = tcp_output_new_len(tp, win);
    if (len == 0 || !sendmap_ready(&rack_conn(tp)->map))
        return false;
    return tcp_output_segment(tp, tp->snd_nxt, len) == 0;
}

/* The handshake's timer put snd_nxt back (RFC 7413 §4.2.2): what went with the SYN-ACK goes again. */
static void sent_early(struct tcb *tp, struct rack_conn *c)
{
    sendmap_lose_longer(&c->map, 0);
    tp->snd_nxt = tp->snd_max;
}

static void end_of_pass(struct tcb *tp, enum stack_limit limit)
{
    struct rack_conn *c = rack_conn(tp);
    if (tcp_output_fin_due(tp) && sendmap_ready(&c->map))
        tcp_output_segment(tp, tp->snd_nxt, 0);
    bool waiting = tp->snd.ready > 0 && (tp->snd_nxt == tp->snd_una || c->map.lost_first);
    stack_end_of_pass(tp, limit, waiting);
}

static enum rack_pace phase(const struct tcb *tp)
{
    if (tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY))
        return RACK_PACE_REC;
    return tp->cwnd < tp->ssthresh ? RACK_PACE_SS : RACK_PACE_CA;
}

void rack_pace(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    if (!c->pace)
        return;
    enum rack_pace now = phase(tp);
    if (c->pace_rate[now]) {
        pacer_wish(tp, c->pace_rate[now]);
        return;
    }
    uint64_t rtt = tp->srtt ? RTE_MAX(tp->srtt, NS_PER_US) : PACER_BURST_NS; /* not known: almost at once */
    uint64_t most = policer_rate(&c->policer, tp->e->now, rtt);
    if (now == RACK_PACE_SS) /* that it can double in a round trip */
        rtt /= 2;
    uint32_t window = RTE_MIN(tp->cwnd, tp->snd_wnd);
    if (window < tp->maxseg)
        window = tp->maxseg;
    if (most)
        rtt = RTE_MAX(rtt, window * NS_PER_SEC / most);
    pacer_wish_window(tp, window, rtt);
}

/* At a rate: each burst at its time. */
static void paced_output(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    uint32_t budget = loss_params(tp)->output_burst_segs;
    rack_pace(tp);
    bool open = pacer_begin(tp);
    while (open && budget > 0 && (resend(tp) || send_new(tp, RTE_MIN(usable(tp, c), pacer_burst(tp))))) {
        open = pacer_open(tp);
        budget--;
    }
    if (!open)
        pacer_wait(tp);
    end_of_pass(tp, !open ? STACK_PACED : budget == 0 ? STACK_BURST : STACK_DONE);
}

void rack_output(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    uint32_t budget = loss_params(tp)->output_burst_segs;
    if (tp->snd_nxt != tp->snd_max && c->map.first)
        sent_early(tp, c);
    if (tp->snd.ready > tp->snd_nxt - tp->snd_una)
        stack_restart_after_idle(tp);
    if (__builtin_expect(tp->flags & TF_PACED, 0)) {
        paced_output(tp);
        return;
    }
    while (budget > 0 && (resend(tp) || send_new(tp, usable(tp, c)))) {
        if (!c->map.lost_first && stack_all_sent(tp))
            return; /* and with it the ACK; the usual case */
        budget--;
    }
    end_of_pass(tp, budget == 0 ? STACK_BURST : STACK_DONE);
}

/* ---- tail loss probe ---- */

bool rack_tail_in_doubt(const struct tcb *tp, const struct rack_conn *c)
{
    const struct sendmap_entry *e = c->map.first;
    bool fin_alone = e && (tp->flags & TF_SENTFIN) && e->start == tp->snd_max - 1;
    return e && !fin_alone && c->map.sacked == 0 && !c->map.lost_first && TCPS_HAVEESTABLISHED(tp->state) &&
           !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY)) && tlp_may_probe(&c->tlp);
}

void rack_arm_tlp(struct tcb *tp, tcp_seq una, uint64_t now)
{
    struct rack_conn *c = rack_conn(tp);
    if (!rack_tail_in_doubt(tp, c)) {
        if (c->timer == RACK_TIMER_TLP)
            rack_disarm(tp, c);
        return;
    }
    bool single = tp->snd_max - una <= tp->maxseg;
    uint64_t at = now + tlp_timeout(tp->srtt, c->tlp_thresh, c->tlp_min_ns, single, c->ack_delay_ns);
    rack_arm(tp, c, RACK_TIMER_TLP, RTE_MIN(at, tp->timer_at[TT_REXMT]));
}

/* New data, if there is any and the peer's window takes it; cwnd may be exceeded by this one. */
static bool probe_new(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    uint32_t out = tp->snd_nxt - tp->snd_una;
    if (tp->snd_nxt != tp->snd_max || tp->snd.ready <= out || tp->snd_wnd <= out)
        return false;
    uint32_t len = RTE_MIN(tp->snd.ready - out, (uint32_t)tp->maxseg);
    tcp_seq seq = tp->snd_nxt;
    if (len > tp->snd_wnd - out || !sendmap_ready(&c->map) || tcp_output_segment(tp, seq, len) < 0)
        return false;
    tlp_sent(&c->tlp, seq, tp->snd_max, false);
    rack_stats(tp)->tlp_new++;
    return true;
}

/* The last segment of what was sent, with the FIN where that was. */
static bool probe_again(struct tcb *tp)
{
    struct rack_conn *c = rack_conn(tp);
    tcp_seq end = tp->snd_una + RTE_MIN(tp->snd.bytes, tp->snd_max - tp->snd_una);
    const struct sendmap_entry *e = end != tp->snd_una ? sendmap_find(&c->map, end - 1) : NULL;
    if (!e)
        return false;
    uint32_t last = e->mss > 1 ? (end - 1 - e->start) % e->mss + 1 : end - e->start;
    uint32_t len = RTE_MIN(last, (uint32_t)tp->maxseg);
    if (tcp_output_segment(tp, end - len, len) < 0)
        return false;
    tlp_sent(&c->tlp, end - len, tp->snd_max, true);
    rack_stats(tp)->tlp_retran++;
    return true;
}

bool rack_send_probe(struct tcb *tp)
{
    bool sent = probe_new(tp) || probe_again(tp);
    if (!sent)
        return false;
    struct rack_conn *c = rack_conn(tp);
    c->probes++;
    c->probe_bytes += c->tlp.end_seq - c->tlp.start;
    TCP_LOG_EVENT(tp, BBR_LOG_TO_PROCESS, .flex1 = c->tlp.start, .flex2 = c->tlp.is_retrans);
    return true;
}

/* ---- it left ---- */

void rack_sent(struct tcb *tp, const struct tcp_sent *s)
{
    struct rack_conn *c = rack_conn(tp);
    bool syn = s->flags & RTE_TCP_SYN_FLAG;
    tcp_seq seq = s->seq + syn, end = seq + s->len, top = c->map.last ? c->map.last->end : seq;
    rtt_sent(tp, s);
    if (s->len > 0)
        sendmap_sent(&c->map, seq, end, tp->maxseg, s->now);
    if (s->flags & RTE_TCP_FIN_FLAG) /* by itself, that blocks with and without it are of whole segments */
        sendmap_sent(&c->map, end, end + 1, 1, s->now);
    if (s->rexmit)
        undo_sent(&stack_shared(tp)->undo, tp, s);
    if (tp->flags & TF_RECOVERY)
        prr_sent(&stack_shared(tp)->prr, s->len);
    if (tp->flags & TF_PACED)
        pacer_sent(tp, s->len);
    if (seq_geq(seq, top) && s->len > 0)
        rack_arm_tlp(tp, tp->snd_una, s->now);
}
