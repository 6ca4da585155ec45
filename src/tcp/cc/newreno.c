// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window arithmetic (RFC 5681, RFC 3465, RFC 6582).
#include <rte_common.h>
#include "tcp/tcp.h"

struct newreno {
    uint32_t bytes_acked;                /* towards the next segment of congestion avoidance */
    uint32_t prior_cwnd, prior_ssthresh; /* before the last cut */
};
_Static_assert(sizeof(struct newreno) <= TCP_CC_BYTES, "fits in the tcb");

static struct newreno *state(struct tcb *tp)
{
    return (struct newreno *)tp->cc_state;
}

static void newreno_init(struct tcb *tp)
{
    *state(tp) = (struct newreno){0};
}

static void newreno_acked(struct tcb *tp, const struct cc_ack *a)
{
    struct newreno *s = state(tp);
    uint32_t mss = tp->maxseg;
    if (a->app_limited)
        return;
    if (tp->cwnd < tp->ssthresh) {
        uint32_t most = tp->e->tcp->loss.params.abc_l_var * mss;
        if (tp->flags & TF_RTO_RECOVERY)
            most = mss; /* RFC 3465 §2.3: L = 1 after a timeout */
        tp->cwnd += RTE_MIN(a->acked, most);
        return;
    }
    s->bytes_acked += a->acked;
    if (s->bytes_acked >= tp->cwnd) {
        s->bytes_acked -= tp->cwnd;
        tp->cwnd += mss;
    }
}

/* RFC 5681 equation 4 */
static void cut(struct tcb *tp, uint32_t flight)
{
    struct newreno *s = state(tp);
    s->prior_cwnd = tp->cwnd;
    s->prior_ssthresh = tp->ssthresh;
    s->bytes_acked = 0;
    tp->ssthresh = RTE_MAX(flight / 2, 2u * tp->maxseg);
}

static void newreno_event(struct tcb *tp, enum cc_event ev, uint32_t flight)
{
    struct newreno *s = state(tp);
    switch (ev) {
    case CC_LOSS_FAST:
    case CC_ECN:
        cut(tp, flight);
        tp->cwnd = tp->ssthresh;
        break;
    case CC_LOSS_RTO:
        cut(tp, flight);
        tp->cwnd = tp->maxseg;
        break;
    case CC_UNDO:
        tp->cwnd = RTE_MAX(tp->cwnd, s->prior_cwnd);
        tp->ssthresh = RTE_MAX(tp->ssthresh, s->prior_ssthresh);
        break;
    case CC_IDLE:
        tp->cwnd = RTE_MIN(tp->cwnd, tcp_cc_initial_window(tp));
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

uint32_t tcp_cc_initial_window(const struct tcb *tp)
{
    uint32_t segs = tp->e->tcp->params.initcwnd_segments, mss = tp->maxseg;
    if (segs != 10)
        return segs * mss;
    uint32_t least = RTE_MAX(2 * mss, 14600u);
    return RTE_MIN(10 * mss, least); /* RFC 6928 */
}
