// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/rto.h"
#include "tcp/log.h"
#include <errno.h>
#include <rte_common.h>
#include "tcp/output.h"

#define GRANULARITY NS_PER_MS /* of the timestamp clock; RFC 6298's G for samples that come from it */

static uint64_t clamp(uint64_t v, uint64_t least, uint64_t most)
{
    return v < least ? least : v > most ? most : v;
}

void rto_init(struct tcb *tp)
{
    tp->srtt = tp->rttvar = tp->rttmin = tp->rtt_start = 0;
    tp->rto = tp->e->tcp->params.rexmit_initial_ms * NS_PER_MS;
}

/* (2.3), (2.4) with FreeBSD's bounds */
static void set_rto(struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t rto = tp->srtt + RTE_MAX(GRANULARITY, 4 * tp->rttvar);
    tp->rto = clamp(rto, p->rexmit_min_ms * NS_PER_MS, p->rexmit_max_ms * NS_PER_MS);
}

void rto_sample(struct tcb *tp, uint64_t rtt)
{
    tp->e->tcp->loss.stats.rttupdated++;
    if (tp->srtt == 0) { /* RFC 6298 (2.2) */
        tp->srtt = rtt;
        tp->rttvar = rtt / 2;
    } else { /* (2.3) */
        uint64_t delta = tp->srtt > rtt ? tp->srtt - rtt : rtt - tp->srtt;
        tp->rttvar = tp->rttvar - tp->rttvar / 4 + delta / 4;
        tp->srtt = tp->srtt - tp->srtt / 8 + rtt / 8;
    }
    if (tp->srtt == 0)
        tp->srtt = 1; /* 0 means no sample */
    if (tp->rttmin == 0 || rtt < tp->rttmin)
        tp->rttmin = rtt;
    tp->rxtshift = 0;
    tp->rttupdated++;
    set_rto(tp);
    TCP_LOG_EVENT(tp, TCP_LOG_RTT, .flex1 = (uint32_t)(rtt / NS_PER_US),
                  .flex2 = (uint32_t)(tp->rto / NS_PER_US));
}

void rto_assume(struct tcb *tp, uint64_t srtt, uint64_t rttvar)
{
    tp->srtt = srtt;
    tp->rttvar = rttvar;
    set_rto(tp);
}

uint64_t rtt_acked(struct tcb *tp, const struct tcp_ack *a)
{
    uint64_t rtt = 0;
    if (tp->rtt_start && seq_gt(a->ack, tp->rtt_seq)) {
        rtt = a->now - tp->rtt_start;
        tp->rtt_start = 0;
    } else if (!tp->rtt_start && a->has_ts && a->tsecr && a->acked > 0) {
        uint32_t ms = tcp_ts_now(tp) - a->tsecr;
        if (ms < 1000 * 600) /* an echo of the future or of long ago is no measurement */
            rtt = ms ? ms * NS_PER_MS : GRANULARITY / 2;
    }
    return rtt;
}

uint64_t rto_current(const struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t rto = tp->rto << RTE_MIN(tp->rxtshift, TCP_MAXRXTSHIFT);
    /* FreeBSD's slop for the peer's delayed ACKs comes after the backoff; a first SYN waits for none. */
    if (tp->srtt > 0 || tp->rxtshift > 0)
        rto += p->rexmit_slop_ms * NS_PER_MS;
    return RTE_MIN(rto, p->rexmit_max_ms * NS_PER_MS);
}

void rto_arm(struct tcb *tp, uint64_t now)
{
    tcp_timer_arm(tp, TT_REXMT, now + rto_current(tp));
}

void rto_backoff(struct tcb *tp)
{
    if (tp->rxtshift < TCP_MAXRXTSHIFT)
        tp->rxtshift++;
}

static bool given_up(const struct tcb *tp, uint32_t count, uint32_t limit, uint64_t now)
{
    if (tp->user_timeout_ms) /* RFC 5482 */
        return now - tp->stalled_since >= tp->user_timeout_ms * NS_PER_MS;
    return count > limit;
}

bool rto_timeout(struct tcb *tp, uint64_t now)
{
    struct tcp_loss *l = &tp->e->tcp->loss;
    l->stats.rexmttimeo++;
    if (tp->stalled_since == 0)
        tp->stalled_since = tp->last_snd ? tp->last_snd : now;
    tp->rexmits++;
    if (given_up(tp, tp->rexmits, l->params.rexmit_retries, now)) {
        l->stats.timeoutdrop++;
        tcp_output_reset(tp);
        tcp_drop(tp, ETIMEDOUT);
        return false;
    }
    if (tp->rexmits == TCP_REXMIT_R1)
        tp->path.gen--; /* look for another way */
    rto_backoff(tp);
    tp->rtt_start = 0; /* Karn */
    return true;
}

void persist_arm(struct tcb *tp, uint64_t now)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t wait = tp->rto << RTE_MIN(tp->persist_shift, TCP_MAXRXTSHIFT);
    wait = clamp(wait, p->persmin_ms * NS_PER_MS, p->persmax_ms * NS_PER_MS);
    tcp_timer_arm(tp, TT_PERSIST, now + wait);
    TCP_LOG_EVENT(tp, BBR_LOG_PERSIST, .flex1 = (uint32_t)(wait / NS_PER_US), .flex2 = tp->persist_shift,
                  .flex8 = 1);
    if (tp->persist_shift < TCP_MAXRXTSHIFT)
        tp->persist_shift++;
}

/* RFC 9293 §3.8.6.2.1: a window that is open but too small for a decent segment has had its time to grow. What fits goes. */
static bool fill_small_window(struct tcb *tp)
{
    uint32_t ready = RTE_MIN(tp->snd.ready, (uint32_t)tp->maxseg), len = RTE_MIN(tp->snd_wnd, ready);
    if (len == 0)
        return false;
    tp->persist_shift = 0;
    tp->stalled_since = 0;
    return tcp_output_segment(tp, tp->snd_una, len) == 0;
}

bool persist_timeout(struct tcb *tp, uint64_t now)
{
    struct tcp_loss *l = &tp->e->tcp->loss;
    l->stats.persisttimeo++;
    if (tp->stalled_since == 0)
        tp->stalled_since = now;
    /* RFC 1122 §4.2.2.17: as long as probes are answered the connection stays; orphans are not kept so long. */
    uint64_t silent = now - RTE_MAX(tp->last_rcv, tp->started);
    bool orphan_over = (tp->flags & TF_ORPHAN) && tp->persist_shift >= TCP_MAXRXTSHIFT;
    if (tp->state > TCPS_CLOSE_WAIT && silent >= tp->e->tcp->params.persmax_ms * NS_PER_MS)
        orphan_over = true; /* FreeBSD: closed here, and nothing is heard from there */
    bool user_over = tp->user_timeout_ms && now - tp->stalled_since >= tp->user_timeout_ms * NS_PER_MS;
    if (orphan_over || user_over || silent >= l->params.maxpersistidle_ms * NS_PER_MS) {
        l->stats.persistdrop++;
        tcp_output_reset(tp);
        tcp_drop(tp, ETIMEDOUT);
        return false;
    }
    if (fill_small_window(tp))
        return true;
    tcp_output_probe(tp, true);
    persist_arm(tp, now);
    return true;
}
