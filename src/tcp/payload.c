// SPDX-License-Identifier: BSD-3-Clause
// Data and FIN of an acceptable segment (RFC 9293 §3.10.7.4, seventh and eighth step), and when they are acknowledged.
#include "tcp/input.h"
#include "tcp/log.h"
#include "tcp/reassembly.h"
#include "tcp/recvbuf.h"
#include "tcp/stats.h"

/* RFC 9293 §3.8.6.3, RFC 5681 §4.2: at least every second segment, at once when something is unusual. */
static void acknowledge(struct tcb *tp, uint32_t len, bool at_once)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    tp->segs_unacked++;
    if (at_once || (tp->flags & (TF_DELACK | TF_QUICKACK | TF_RXWIN0SENT)) || !p->delayed_ack ||
        len > tp->maxseg || tp->rcv_nxt - tp->irs - 1 <= p->quickack_bytes) {
        tp->flags &= ~TF_RXWIN0SENT;
        tcp_ack_now(tp);
        return;
    }
    tp->flags |= TF_DELACK;
    tcp_timer_arm(tp, TT_DELACK, tp->e->now + p->delacktime_ms * NS_PER_MS);
}

/* The segment's data alone; the segment gives it away. */
static struct rte_mbuf *take_data(struct tcp_segment *s)
{
    struct rte_mbuf *m = s->m;
    s->m = NULL;
    if (!m->next && s->skip + s->len <= m->data_len && s->len > 0) { /* one buffer: the usual case */
        m->data_off = (uint16_t)(m->data_off + s->skip);
        m->data_len = (uint16_t)s->len;
        return m;
    }
    m = pktchain_skip(m, s->skip);
    pktchain_cut(m, s->len);
    return m;
}

static void count_in_order(struct tcb *tp, uint32_t len)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    st->rcvpack++;
    st->rcvbyte += len;
    tp->bytes_in += len;
}

/* Data at rcv_nxt. False: no memory; it comes again. */
static bool data_in_order(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (tp->flags & TF_CANTRCVMORE) {
        st->rcvshutdown += s->len;
    } else if (!recvbuf_room(tp, s->m)) {
        st->rcvmemdrop++;
        return false;
    } else {
        recvbuf_append(tp, take_data(s));
    }
    count_in_order(tp, s->len);
    tp->rcv_nxt += s->len;
    return true;
}

/* RFC 9293 §3.10.7.4, eighth step. */
static void fin_in_order(struct tcb *tp)
{
    tp->fin_seq = tp->rcv_nxt++;
    tcp_ack_now(tp);
    switch (tp->state) {
    case TCPS_ESTABLISHED:
        tcp_set_state(tp, TCPS_CLOSE_WAIT);
        break;
    case TCPS_FIN_WAIT_1:
        tcp_set_state(tp, TCPS_CLOSING);
        break;
    case TCPS_FIN_WAIT_2:
        tcp_time_wait(tp);
        break;
    default:
        break;
    }
}

static void out_of_order(struct tcb *tp, struct tcp_segment *s)
{
    bool fin = s->flags & RTE_TCP_FIN_FLAG;
    tcp_ack_now(tp);
    TCP_LOG_EVENT(tp, TCP_LOG_REASS, .flex1 = s->seq, .flex2 = tp->rcv_nxt, .flex3 = s->len);
    reass_insert(tp, take_data(s), s->seq, s->len, fin);
}

/* What waited behind rcv_nxt follows. True: up to the FIN. */
static bool fill_gap(struct tcb *tp)
{
    bool fin;
    uint32_t bytes = reass_advance(tp, &fin);
    tp->bytes_in += bytes;
    tp->e->tcp->stats->rcvbyte += bytes;
    return fin;
}

void tcp_input_early_text(struct tcb *tp, struct tcp_segment *s)
{
    reass_insert(tp, take_data(s), s->seq, s->len, false);
}

void tcp_input_deliver_early(struct tcb *tp)
{
    if (!tp->reass)
        return;
    tcp_seq before = tp->rcv_nxt;
    fill_gap(tp);
    if (tp->rcv_nxt == before)
        return;
    acknowledge(tp, tp->rcv_nxt - before, false);
    tp->up->readable(tp);
}

void tcp_input_payload(struct tcb *tp, struct tcp_segment *s)
{
    bool fin = s->flags & RTE_TCP_FIN_FLAG;
    if (TCPS_HAVERCVDFIN(tp->state)) {
        tp->e->tcp->stats->rcvafterfin++;
        return;
    }
    if (s->seq != tp->rcv_nxt) {
        out_of_order(tp, s);
        return;
    }
    uint32_t len = s->len;
    bool gap = tp->reass != NULL;
    if (len > 0) {
        if (!data_in_order(tp, s))
            return;
        if (gap)
            fin = fill_gap(tp) || fin;
        acknowledge(tp, len, gap || fin);
    }
    if (fin)
        fin_in_order(tp);
    if (fin || tp->rcv.bytes >= tp->rcv.lowat) {
        if (fin || gap || tp->rcv.lowat > 1) /* else IN has said it */
            TCP_LOG_EVENT(tp, TCP_LOG_SB_WAKE, .flex1 = tp->rcv.bytes, .flex2 = fin);
        tp->up->readable(tp);
    }
}
