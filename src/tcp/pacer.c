// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/pacer.h"
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/output.h"
#include "tcp/tcp.h"

/* Bytes of a segment's headers in its frame: Ethernet, IP, TCP, timestamps. */
static uint32_t overhead(const struct tcb *tp)
{
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    return 14 + (ip_addr_is_v4(&tp->faddr) ? 20 : 40) + 20 + ((tp->flags & stamps) == stamps ? 12 : 0);
}

/* Time that len bytes of payload take at the rate, ns, rounded up. */
static uint64_t time_of(const struct tcb *tp, uint32_t len)
{
    uint32_t segs = (len + tp->maxseg - 1) / tp->maxseg;
    uint64_t bytes = len + (uint64_t)segs * overhead(tp), rate = tp->pacer.rate;
    return (bytes * NS_PER_SEC + rate - 1) / rate;
}

/* The most that lateness makes good. */
static uint64_t credit(const struct pacer *p)
{
    return RTE_MIN(PACER_BURST_NS, PACER_BURST_MAX * NS_PER_SEC / p->rate);
}

static void update(struct tcb *tp)
{
    struct pacer *p = &tp->pacer;
    p->rate = p->limit && p->wish ? RTE_MIN(p->limit, p->wish) : p->limit | p->wish;
    if (p->rate)
        tp->flags |= TF_PACED;
    else
        tp->flags &= ~TF_PACED;
}

/* The gap that is on is one of the new rate. */
static void shorten(struct tcb *tp)
{
    struct pacer *p = &tp->pacer;
    if (p->rate && p->next > tp->e->now)
        p->next = RTE_MIN(p->next, tp->e->now + time_of(tp, pacer_burst(tp)));
}

void pacer_limit(struct tcb *tp, uint64_t bytes_per_s)
{
    tp->pacer.limit = bytes_per_s;
    update(tp);
    shorten(tp);
    if (TCPS_HAVEESTABLISHED(tp->state))
        tcb_mark_due(tp);
}

void pacer_wish(struct tcb *tp, uint64_t bytes_per_s)
{
    tp->pacer.wish = bytes_per_s;
    update(tp);
}

void pacer_wish_window(struct tcb *tp, uint32_t bytes, uint64_t ns)
{
    uint64_t frames = bytes + (uint64_t)((bytes + tp->maxseg - 1) / tp->maxseg) * overhead(tp);
    pacer_wish(tp, frames * NS_PER_SEC / ns + 1);
    shorten(tp);
}

bool pacer_begin(struct tcb *tp)
{
    struct pacer *p = &tp->pacer;
    uint64_t now = tp->e->now;
    if (p->next > now)
        return false;
    uint64_t late = 0;
    if (p->waiting) {
        late = RTE_MIN(now - p->next, credit(p));
        TCP_LOG_EVENT(tp, TCP_LOG_HPTS, .flex1 = (uint32_t)((now - p->next) / NS_PER_US),
                      .bw_inuse = p->rate);
    }
    p->next = now - late;
    p->waiting = false;
    return true;
}

bool pacer_open(const struct tcb *tp)
{
    return tp->pacer.next <= tp->e->now;
}

uint32_t pacer_burst(const struct tcb *tp)
{
    const struct pacer *p = &tp->pacer;
    uint32_t mss = tp->maxseg, most = RTE_MIN(tcp_output_most(tp), PACER_BURST_MAX) / mss;
    uint64_t segs = p->rate / (NS_PER_SEC / PACER_BURST_NS) / (mss + overhead(tp));
    if (segs < 2)
        segs = 2;
    if (p->max_segs && segs > p->max_segs)
        segs = p->max_segs;
    if (segs > most)
        segs = most;
    return segs ? (uint32_t)segs * mss : mss;
}

void pacer_sent(struct tcb *tp, uint32_t len)
{
    struct pacer *p = &tp->pacer;
    uint64_t first = tp->e->now - credit(p); /* also of what shared code sends outside a pass */
    if (len > 0)
        p->next = RTE_MAX(p->next, first) + time_of(tp, len);
}

void pacer_wait(struct tcb *tp)
{
    struct pacer *p = &tp->pacer;
    if (!p->waiting)
        TCP_LOG_EVENT(tp, BBR_LOG_HPTSI_CALC, .flex1 = (uint32_t)((p->next - tp->e->now) / NS_PER_US),
                      .flex2 = pacer_burst(tp), .bw_inuse = p->rate);
    p->waiting = true;
    if (tp->timer_at[TT_STACK] > p->next)
        tcp_timer_arm(tp, TT_STACK, p->next);
}
