// SPDX-License-Identifier: BSD-3-Clause
// Buffers that grow by themselves: the receive buffer to twice what the application takes in a round trip (dynamic right sizing),
// the send buffer when both windows would take more than it holds.
#include "tcp/tcp.h"

/* A round trip as the receiver sees it: srtt, or 100 ms when only the peer sends and no timestamps say more. */
static uint64_t round_trip(const struct tcb *tp)
{
    return tp->srtt ? tp->srtt : 100 * NS_PER_MS;
}

void rcvtune_copied(struct tcb *tp, uint32_t n)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t now = tp->e->now;
    tp->tune_copied += n;
    if (tp->tune_at == 0) {
        tp->tune_at = now;
        return;
    }
    if (now - tp->tune_at < round_trip(tp))
        return;
    uint32_t want = 2 * tp->tune_copied;
    if (p->recvbuf_auto && !(tp->flags & TF_RCVBUF_FIXED) && want > tp->rcv.hiwat) {
        /* Twice what came, and room for a peer in slow start that sends twice as much in the next round. */
        want += 16u * tp->maxseg;
        tp->rcv.hiwat = want < p->recvbuf_max ? want : RTE_MAX(p->recvbuf_max, tp->rcv.hiwat);
    }
    tp->tune_at = now;
    tp->tune_copied = 0;
}

void sndtune(struct tcb *tp, uint32_t held)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    if (held < tp->snd.hiwat / 4) /* soon said of most: less than any lowat asks for */
        return;
    uint32_t win = RTE_MIN(tp->snd_wnd, tp->cwnd);
    if (!p->sendbuf_auto || (tp->flags & TF_SNDBUF_FIXED) || tp->snd.hiwat >= p->sendbuf_max)
        return;
    /* FreeBSD's measure: the windows would take it, the buffer was mostly full, and what was in it is on its way. */
    uint32_t lowat = p->sendbuf_auto_lowat ? RTE_MIN(tp->snd.lowat, tp->snd.hiwat / 2) : 0;
    if (win / 4 * 5 < tp->snd.hiwat - lowat || held < tp->snd.hiwat / 8 * 7 - lowat)
        return;
    uint32_t more = RTE_MAX(p->sendbuf_inc, tp->snd.hiwat); /* doubled: cwnd doubles too in slow start */
    tp->snd.hiwat = RTE_MIN(tp->snd.hiwat + more, p->sendbuf_max);
}
