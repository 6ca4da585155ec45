// SPDX-License-Identifier: BSD-3-Clause
// NewReno (RFC 5681, RFC 6582) with byte counting (RFC 3465) and Alternative Backoff with ECN (RFC 8511).
#include "tcp/cc/newreno.h"
#include <rte_common.h>
#include "tcp/tcp.h"

_Static_assert(sizeof(struct newreno) <= TCP_CC_BYTES, "fits in the tcb");

static struct newreno *state(struct tcb *tp)
{
    return (struct newreno *)tp->cc_state;
}

void newreno_init(struct tcb *tp)
{
    *state(tp) = (struct newreno){0};
}

/* RFC 5681 §3.1: a segment for a window of bytes (RFC 3465 §2.1), spread over that window. */
static void avoid_congestion(struct tcb *tp, struct newreno *s, uint32_t acked)
{
    uint32_t window = tp->cwnd - s->grown;
    s->rest += (uint64_t)acked * tp->maxseg;
    uint32_t more = (uint32_t)(s->rest / window);
    s->rest -= (uint64_t)more * window;
    tp->cwnd += more;
    s->grown = (s->grown + more) % tp->maxseg;
}

void newreno_acked(struct tcb *tp, const struct cc_ack *a)
{
    struct newreno *s = state(tp);
    if (a->app_limited)
        return;
    if (tp->cwnd < tp->ssthresh) {
        tp->cwnd += cc_slow_start(tp, a->acked);
        return;
    }
    avoid_congestion(tp, s, a->acked);
}

void newreno_cut(struct tcb *tp, uint32_t ssthresh)
{
    *state(tp) = (struct newreno){.prior_cwnd = tp->cwnd, .prior_ssthresh = tp->ssthresh};
    tp->ssthresh = ssthresh;
    tp->cwnd = ssthresh;
}

static void undo(struct tcb *tp)
{
    const struct newreno *s = state(tp);
    tp->cwnd = RTE_MAX(tp->cwnd, s->prior_cwnd);
    tp->ssthresh = RTE_MAX(tp->ssthresh, s->prior_ssthresh);
}

void newreno_event(struct tcb *tp, enum cc_event ev, uint32_t flight)
{
    const struct cc_params *p = cc_params(tp);
    switch (ev) {
    case CC_LOSS_FAST:
        newreno_cut(tp, cc_cut(tp, flight, p->newreno_beta));
        break;
    case CC_ECN:
        newreno_cut(tp, cc_cut(tp, flight, p->abe ? p->newreno_beta_ecn : p->newreno_beta));
        break;
    case CC_LOSS_RTO:
        newreno_cut(tp, cc_cut(tp, flight, 50));
        tp->cwnd = tp->maxseg;
        break;
    case CC_UNDO:
        undo(tp);
        break;
    case CC_IDLE:
        cc_restart(tp);
        break;
    case CC_RECOVERED:
        break;
    }
}

const struct tcp_cc tcp_cc_newreno = {
    .name = "newreno",
    .init = newreno_init,
    .acked = newreno_acked,
    .event = newreno_event,
};
