// SPDX-License-Identifier: BSD-3-Clause
// The handshake from both ends: SYN_SENT (RFC 9293 §3.10.7.3), the ACK that ends SYN_RECEIVED, and what a SYN brings along.
#include <errno.h>
#include "tcp/accecn.h"
#include "tcp/hostcache.h"
#include "tcp/fastopen.h"
#include "tcp/input.h"
#include "tcp/stats.h"

/* Buffers hold whole segments, as FreeBSD's do. */
static uint32_t whole_segments(const struct tcb *tp, uint32_t bytes, uint32_t mss)
{
    uint32_t whole = (bytes + mss - 1) / mss * mss;
    return bytes > mss && whole <= tp->e->tcp->params.maxsockbuf ? whole : bytes;
}

void tcp_round_buffers(struct tcb *tp)
{
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    uint32_t mss = tp->maxseg + ((tp->flags & stamps) == stamps ? 12u : 0u);
    tp->rcv.hiwat = whole_segments(tp, tp->rcv.hiwat, mss);
    tp->snd.hiwat = whole_segments(tp, tp->snd.hiwat, mss);
}

void tcp_take_syn(struct tcb *tp, const struct tcp_segment *s)
{
    const struct tcp_options *o = &s->opt;
    unsigned seen = tp->flags & TF_NOOPT ? o->seen & TOF_MSS : o->seen;
    tp->irs = s->seq;
    tp->rcv_nxt = s->seq + 1;
    tp->rcv_adv = tp->rcv_nxt;
    tp->last_ack_sent = tp->rcv_nxt;
    if ((seen & TOF_SCALE) && (tp->flags & TF_REQ_SCALE)) {
        tp->flags |= TF_RCVD_SCALE;
        tp->snd_scale = o->wscale;
    } else {
        tp->rcv_scale = 0; /* RFC 7323 §2.2: both or none */
    }
    if ((seen & TOF_TS) && (tp->flags & TF_REQ_TSTMP)) {
        tp->flags |= TF_RCVD_TSTMP;
        tp->ts_recent = o->tsval;
        tp->ts_recent_at = tp->e->now;
    }
    if (!(seen & TOF_SACKPERM))
        tp->flags &= ~TF_SACK_PERMIT;
    if (seen & TOF_MSS)
        tp->mss_peer = o->mss;
    tp->snd_wnd = s->wnd; /* RFC 7323 §2.2: never scaled in a SYN */
    tp->max_sndwnd = tp->snd_wnd;
    tp->snd_wl1 = s->seq;
    tcp_mss_update(tp);
    tcp_round_buffers(tp);
}

/* The first round trip (RFC 6298 §2.2). A SYN sent twice gives one only with timestamps (Karn). */
static void handshake_rtt(struct tcb *tp, const struct tcp_segment *s)
{
    uint64_t now = tp->e->now;
    if (tp->rtt_start && tp->rtt_start <= now)
        rto_sample(tp, RTE_MAX(now - tp->rtt_start, (uint64_t)1));
    else if (tcp_has_timestamps(tp) && (s->opt.seen & TOF_TS) && s->opt.tsecr)
        rto_sample(tp, RTE_MAX((uint64_t)(uint32_t)(tcp_ts_now(tp) - s->opt.tsecr), (uint64_t)1) * NS_PER_MS);
    tp->rtt_start = 0;
}

/* Our SYN is acknowledged. */
static void syn_acked(struct tcb *tp, const struct tcp_segment *s)
{
    hostcache_start(tp);
    handshake_rtt(tp, s);
    tp->snd_una = tp->iss + 1;
    tp->snd_nxt = seq_max(tp->snd_nxt, tp->snd_una);
    tp->snd_wl2 = s->ack;
    tp->softerror = 0;
}

/* Data that came with the SYN: rcv_adv as announced with our SYN, unscaled. */
static bool syn_text(struct tcb *tp, struct tcp_segment *s)
{
    s->seq++;
    s->flags &= (uint8_t)~RTE_TCP_SYN_FLAG;
    tp->rcv_adv = tp->rcv_nxt + RTE_MIN(tp->rcv_wnd, UINT32_C(65535));
    return tcp_trim(tp, s);
}

/* RFC 9293 §3.10.7.3, fourth step: text waits until the connection is established; a FIN comes again. */
static void simultaneous_open(struct tcb *tp, struct tcp_segment *s)
{
    tcp_set_state(tp, TCPS_SYN_RECEIVED);
    tp->snd_nxt = tp->iss;
    tcb_mark_due(tp);
    s->flags &= (uint8_t)~RTE_TCP_FIN_FLAG;
    if (s->len > 0 && syn_text(tp, s))
        tcp_input_early_text(tp, s);
}

bool tcp_input_syn_sent(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    bool ack = s->flags & RTE_TCP_ACK_FLAG;
    if (ack && (seq_leq(s->ack, tp->iss) || seq_gt(s->ack, tp->snd_max))) {
        st->badackhandshake++;
        tcp_refuse(tp->e, tp, s);
        return false;
    }
    if (s->flags & RTE_TCP_RST_FLAG) {
        if (!ack) {
            st->badrst++;
            return false;
        }
        st->rcvrst++;
        tcp_drop(tp, ECONNREFUSED);
        return false;
    }
    if (!(s->flags & RTE_TCP_SYN_FLAG)) {
        st->rcvhandshake++;
        return false;
    }
    tp->last_rcv = tp->e->now;
    tcp_take_syn(tp, s);
    if (!ack) {
        ecn_syn_received(tp, tcp_ace(s->th), segment_info(s)->tos & 3);
        simultaneous_open(tp, s);
        return false;
    }
    ecn_synack_received(tp, tcp_ace(s->th), segment_info(s)->tos & 3);
    if ((tp->ecn & TE_ACCURATE) && (s->opt.seen & TOF_ACCECN))
        accecn_input(tp, s);
    syn_acked(tp, s);
    if (tp->fastopen)
        fastopen_synack(tp, s);
    if (!syn_text(tp, s))
        return false;
    tcp_ack_now(tp);
    tcp_established(tp);
    return true;
}

bool tcp_input_syn_received(struct tcb *tp, struct tcp_segment *s)
{
    if (seq_leq(s->ack, tp->snd_una) || seq_gt(s->ack, tp->snd_max)) {
        tp->e->tcp->stats->badackhandshake++;
        tcp_refuse(tp->e, tp, s);
        return false;
    }
    syn_acked(tp, s);
    tp->snd_wnd = s->wnd << tp->snd_scale;
    tp->max_sndwnd = RTE_MAX(tp->max_sndwnd, tp->snd_wnd);
    tp->snd_wl1 = s->seq;
    tp->last_rcv = tp->e->now;
    tcp_established(tp);
    if (tp->fastopen)
        fastopen_established(tp);
    tcp_input_deliver_early(tp);
    if (tp->snd.bytes > 0 || (tp->flags & TF_FIN_QUEUED))
        tcb_mark_due(tp);
    return true;
}
