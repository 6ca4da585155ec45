// SPDX-License-Identifier: BSD-3-Clause
// The ACK station (RFC 9293 §3.10.7.4, fifth step): which ACKs are believed, the peer's window, what leaves the send buffer, and the
// states that our acknowledged FIN leads to. What an ACK means for recovery and congestion, the stack decides.
#include <string.h>
#include "tcp/input.h"
#include "tcp/stats.h"

/*
 * RFC 9293 §3.10.7.4: a newer segment, or the same with a newer ACK, or (FreeBSD's caution about reordering) with more window.
 * Returns whether the segment's window differs from the one known before, taken or not: then it is no duplicate ACK.
 */
static bool window_update(struct tcb *tp, const struct tcp_segment *s, uint32_t wnd)
{
    bool differs = wnd != tp->snd_wnd;
    bool newer = seq_lt(tp->snd_wl1, s->seq) ||
                 (tp->snd_wl1 == s->seq &&
                  (seq_lt(tp->snd_wl2, s->ack) || (tp->snd_wl2 == s->ack && wnd > tp->snd_wnd)));
    if (newer) {
        tp->e->tcp->stats->rcvwinupd += differs && s->len == 0 && s->ack == tp->snd_una;
        tp->snd_wnd = wnd;
        tp->snd_wl1 = s->seq;
        tp->snd_wl2 = s->ack;
        if (wnd > tp->max_sndwnd)
            tp->max_sndwnd = wnd;
    }
    return differs;
}

static void count(struct tcb *tp, const struct tcp_ack *a)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (a->acked > 0) {
        st->rcvackpack++;
        st->rcvackbyte += a->acked;
    } else if (seq_lt(a->ack, tp->snd_una)) {
        st->rcvoldack++;
    } else if (a->payload == 0 && !a->window_changed && !a->fin && tp->snd_una != tp->snd_max) {
        st->rcvdupack++;
    }
}

static void describe(struct tcb *tp, const struct tcp_segment *s, uint32_t wnd, struct tcp_ack *a)
{
    a->seq = s->seq;
    a->ack = s->ack;
    a->acked = seq_gt(s->ack, tp->snd_una) ? s->ack - tp->snd_una : 0;
    a->wnd = wnd;
    a->payload = s->len;
    a->window_changed = window_update(tp, s, wnd);
    a->has_ts = (s->opt.seen & TOF_TS) && tcp_has_timestamps(tp);
    a->tsecr = a->has_ts ? s->opt.tsecr : 0;
    a->fin = s->flags & RTE_TCP_FIN_FLAG;
    a->ece = s->flags & RTE_TCP_ECE_FLAG;
    a->marked = s->marked;
    a->n_sack = tp->flags & TF_SACK_PERMIT ? s->opt.n_sack : 0;
    if (a->n_sack > 0)
        memcpy(a->sack, s->opt.sack, a->n_sack * sizeof(a->sack[0]));
    a->now = tp->e->now;
}

/* snd_una moves; what was acknowledged leaves the buffer. True: our FIN was among it. */
static bool advance(struct tcb *tp, const struct tcp_ack *a)
{
    struct engine *e = tp->e;
    bool tight = sendbuf_space(&tp->snd) < tp->snd.lowat;
    uint32_t held = tp->snd.bytes;
    bool fin = a->acked > tp->snd.bytes;
    sendbuf_drop(&tp->snd, fin ? tp->snd.bytes : a->acked);
    tp->snd_una = a->ack;
    if (seq_lt(tp->snd_nxt, tp->snd_una))
        tp->snd_nxt = tp->snd_una;
    tp->softerror = 0;
    /* RFC 4861 §7.3.1: the way forth and back works. */
    if (tp->path.neigh && tp->path.neigh_gen == e->link->neigh_gen)
        neigh_confirm(tp->path.neigh);
    sndtune(tp, held);
    if (tight && sendbuf_space(&tp->snd) >= tp->snd.lowat)
        tp->up->writable(tp);
    return fin;
}

/* Our FIN has arrived. False: that was the end of the connection. */
static bool fin_acked(struct tcb *tp)
{
    switch (tp->state) {
    case TCPS_FIN_WAIT_1:
        tcp_fin_wait_2(tp);
        return true;
    case TCPS_CLOSING:
        tcp_time_wait(tp);
        return true;
    case TCPS_LAST_ACK:
        tcp_closed(tp);
        return false;
    default:
        return true;
    }
}

/* RFC 5961 §5.2: an ACK of what was not sent, or older than any window we saw, may be forged. */
static bool believable(struct tcb *tp, const struct tcp_segment *s)
{
    if (seq_leq(s->ack, tp->snd_max) && seq_geq(s->ack, tp->snd_una - tp->max_sndwnd))
        return true;
    if (tp->e->tcp->params.insecure_ack && seq_leq(s->ack, tp->snd_max))
        return true;
    tp->e->tcp->stats->rcvacktoomuch++;
    tcp_challenge(tp);
    return false;
}

bool tcp_input_ack(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_ack a;
    if (!believable(tp, s))
        return false;
    tp->last_rcv = tp->e->now;
    if (tp->keep_probes)
        tp->keep_probes = 0;
    describe(tp, s, s->wnd << tp->snd_scale, &a);
    count(tp, &a);
    tp->stack->ack(tp, &a);
    if (a.acked > 0 && advance(tp, &a) && !fin_acked(tp))
        return false;
    if (tp->snd.bytes > 0 || tp->snd_una != tp->snd_max || (tp->flags & TF_ACKNOW))
        tcb_mark_due(tp);
    return true;
}
