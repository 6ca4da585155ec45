// SPDX-License-Identifier: BSD-3-Clause
// Is the segment acceptable in a synchronized state? RST, SYN, timestamps, window: RFC 9293 §3.10.7.4 with RFC 5961 and RFC 7323.
#include <errno.h>
#include "tcp/fastopen.h"
#include "tcp/input.h"
#include "tcp/log.h"
#include "tcp/output.h"
#include "tcp/reassembly.h"
#include "tcp/stats.h"

#define PAWS_IDLE_NS (24 * 24 * 3600 * NS_PER_SEC) /* RFC 7323 §5.5 */

/* The connection ends by a good RST. */
static void reset(struct tcb *tp)
{
    tp->e->tcp->stats->rcvrst++;
    tcp_trace_point(tp, TP_RESET_RCV);
    if (tp->fastopen)
        fastopen_reset(tp);
    bool refused = tp->state == TCPS_SYN_RECEIVED && !(tp->flags & TF_PASSIVE);
    tcp_drop(tp, refused ? ECONNREFUSED : ECONNRESET);
}

/* RFC 5961 §3.2: exactly at rcv_nxt it is believed, elsewhere in the window it is asked about. */
static void validate_rst(struct tcb *tp, const struct tcp_segment *s)
{
    uint32_t wnd = tcp_window_left(tp);
    bool exact = s->seq == tp->rcv_nxt || s->seq == tp->last_ack_sent;
    bool inside = seq_geq(s->seq, tp->last_ack_sent) && seq_lt(s->seq, tp->rcv_nxt + wnd);
    if (exact || (inside && tp->e->tcp->params.insecure_rst)) {
        reset(tp);
        return;
    }
    tp->e->tcp->stats->badrst++;
    if (inside)
        tcp_challenge(tp);
}

/* RFC 5961 §4.2. True: the SYN was only a repetition and is taken off; the rest of the segment counts. */
static bool validate_syn(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (tp->state == TCPS_SYN_RECEIVED && s->seq == tp->irs) {
        if (s->flags & RTE_TCP_ACK_FLAG) { /* simultaneous open (RFC 9293 §3.5, figure 7) */
            s->flags &= (uint8_t)~RTE_TCP_SYN_FLAG;
            s->seq++;
            return true;
        }
        tp->snd_nxt = tp->iss; /* our SYN-ACK was lost */
        tcb_mark_due(tp);
        st->rcvhandshake++;
        return false;
    }
    st->synchallenge++;
    if (tp->e->tcp->params.insecure_syn && seq_geq(s->seq, tp->last_ack_sent) &&
        seq_lt(s->seq, tp->rcv_nxt + tcp_window_left(tp))) {
        tcp_output_reset(tp);
        tcp_drop(tp, ECONNRESET);
        return false;
    }
    tcp_challenge(tp);
    return false;
}

/* RFC 7323 §3.2 and §5.3. */
static bool validate_timestamp(struct tcb *tp, const struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (!tcp_has_timestamps(tp))
        return true;
    if (!(s->opt.seen & TOF_TS)) {
        if (tp->e->tcp->params.tolerate_missing_ts)
            return true;
        st->tsmissing++;
        return false;
    }
    if ((int32_t)(s->opt.tsval - tp->ts_recent) >= 0)
        return true;
    if (tp->e->now - tp->ts_recent_at > PAWS_IDLE_NS) {
        tp->ts_recent = s->opt.tsval; /* §5.5: ts_recent has grown too old to mean anything */
        return true;
    }
    st->pawsdrop++;
    if (s->len > 0 || (s->flags & RTE_TCP_FIN_FLAG))
        tcp_ack_now(tp);
    return false;
}

/* Cuts off what lies before rcv_nxt. What is all old still carries its ACK. */
static void trim_front(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (seq_geq(s->seq, tp->rcv_nxt))
        return;
    uint32_t old = tp->rcv_nxt - s->seq;
    if (old > s->len || (old == s->len && !(s->flags & RTE_TCP_FIN_FLAG))) {
        if (s->len > 0 || (s->flags & RTE_TCP_FIN_FLAG)) {
            st->rcvduppack++;
            st->rcvdupbyte += s->len;
        }
        s->flags &= (uint8_t)~RTE_TCP_FIN_FLAG;
        tcp_ack_now(tp); /* it is repeated because our ACK was lost; also the answer to a keepalive probe */
        old = s->len;
    } else if (old > 0 && s->len > 0) {
        st->rcvpartduppack++;
        st->rcvpartdupbyte += old;
        tcp_ack_now(tp);
    }
    if (old > 0)
        reass_duplicate(tp, s->seq, s->seq + old);
    s->seq += old; /* of what is all old not to rcv_nxt: its window is no news */
    s->skip += old;
    s->len -= old;
}

/* Cuts off what lies beyond the window. False: all of it does. */
static bool trim_back(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    uint32_t wnd = tcp_window_left(tp);
    tcp_seq edge = tp->rcv_nxt + wnd, end = s->seq + s->len;
    if (seq_leq(end, edge))
        return true;
    uint32_t over = end - edge;
    if (over >= s->len) {
        tcp_ack_now(tp);
        if (wnd > 0 || s->seq != tp->rcv_nxt) {
            st->rcvafterwin++;
            return false;
        }
        st->rcvwinprobe++; /* RFC 9293 §3.8.6.1: its ACK counts */
        over = s->len;
    } else {
        st->rcvpackafterwin++;
    }
    st->rcvbyteafterwin += over;
    s->len -= over;
    s->flags &= (uint8_t) ~(RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG);
    return true;
}

bool tcp_trim(struct tcb *tp, struct tcp_segment *s)
{
    trim_front(tp, s);
    return trim_back(tp, s);
}

/* RFC 9293 §3.6.1: data that nobody can read any more is answered with a RST, so that its sender learns. */
static bool validate_reader(struct tcb *tp, const struct tcp_segment *s)
{
    if (!(tp->flags & TF_ORPHAN) || s->len == 0 || tp->state < TCPS_FIN_WAIT_1)
        return true;
    tp->e->tcp->stats->rcvafterclose++;
    tcp_refuse(tp->e, tp, s);
    tcp_closed(tp);
    return false;
}

bool tcp_validate(struct tcb *tp, struct tcp_segment *s)
{
    if (s->flags & RTE_TCP_RST_FLAG) { /* RFC 7323 §5.2: no PAWS for RST */
        validate_rst(tp, s);
        return false;
    }
    if ((s->flags & RTE_TCP_SYN_FLAG) && !validate_syn(tp, s))
        return false;
    return validate_timestamp(tp, s) && tcp_trim(tp, s) && validate_reader(tp, s);
}
