// SPDX-License-Identifier: BSD-3-Clause
// CUBIC (RFC 9438), with HyStart++ in its first slow start. Windows are bytes, times ns; the cubic function itself is computed
// with floating point numbers in segments and seconds, as the RFC writes it.
#include <math.h>
#include <rte_common.h>
#include "tcp/cc/hystart.h"
#include "tcp/tcp.h"

#define CUBIC_C    0.4
#define BETA       70 /* percent */
#define BETA_RATIO 0.7
/* §4.3: alpha that gives Reno's average window with this beta. */
#define ALPHA (3 * (1 - BETA_RATIO) / (1 + BETA_RATIO))

struct curve {
    uint64_t epoch;      /* ns: congestion avoidance began; 0 = the next ACK begins it */
    uint32_t w_max;      /* bytes: the plateau */
    uint32_t cwnd_prior; /* bytes: before the last cut (§4.3) */
    uint32_t w_est;      /* bytes: Reno's window */
    float k;             /* s from epoch to the plateau */
};

struct cubic {
    struct curve now, before; /* before: as of the last cut */
    uint32_t prior_cwnd, prior_ssthresh;
    float est_rest, rest; /* of a byte, that the last increase of w_est, of cwnd left over */
    bool fresh;           /* slow start is over, and no cut says where the plateau is (§4.8, §4.10) */
    struct hystart hystart;
};
_Static_assert(sizeof(struct cubic) <= TCP_CC_BYTES, "fits in the tcb");

static struct cubic *state(struct tcb *tp)
{
    return (struct cubic *)tp->cc_state;
}

static void cubic_init(struct tcb *tp)
{
    struct cubic *s = state(tp);
    *s = (struct cubic){.fresh = true};
    hystart_start(&s->hystart, tp);
}

/* §4.2: a new stage of congestion avoidance. */
static void begin_epoch(struct tcb *tp, struct cubic *s, uint64_t now)
{
    struct curve *c = &s->now;
    c->epoch = now;
    c->w_est = tp->cwnd;
    s->est_rest = s->rest = 0;
    if (s->fresh || c->w_max <= tp->cwnd) {
        c->w_max = tp->cwnd;
        c->k = 0;
    } else {
        c->k = cbrtf((float)(c->w_max - tp->cwnd) / tp->maxseg / (float)CUBIC_C);
    }
    s->fresh = false;
}

/* Equation 1, bytes, one round trip ahead. */
static double target(const struct tcb *tp, const struct curve *c, uint64_t now)
{
    double t = (double)(now - c->epoch + tp->srtt) / (double)NS_PER_SEC - (double)c->k;
    double w = CUBIC_C * t * t * t * tp->maxseg + c->w_max;
    double most = 1.5 * tp->cwnd;
    return w < tp->cwnd ? tp->cwnd : w > most ? most : w;
}

/* §4.3: what Reno would have by now. */
static void grow_estimate(struct tcb *tp, struct cubic *s, uint32_t acked)
{
    struct curve *c = &s->now;
    double alpha = c->w_est < c->cwnd_prior ? ALPHA : 1;
    double more = alpha * acked * tp->maxseg / tp->cwnd + (double)s->est_rest;
    uint32_t whole = (uint32_t)more;
    s->est_rest = (float)(more - whole);
    c->w_est += whole;
}

/* §4.4, §4.5: towards the curve, spread over a window of ACKs. */
static void grow_cubic(struct tcb *tp, struct cubic *s, const struct cc_ack *a)
{
    double more = (target(tp, &s->now, a->now) - tp->cwnd) * a->acked / tp->cwnd + (double)s->rest;
    uint32_t whole = (uint32_t)more;
    s->rest = (float)(more - whole);
    tp->cwnd += whole;
}

static void avoid_congestion(struct tcb *tp, struct cubic *s, const struct cc_ack *a)
{
    hystart_stop(&s->hystart);
    if (s->now.epoch == 0)
        begin_epoch(tp, s, a->now);
    grow_estimate(tp, s, a->acked);
    grow_cubic(tp, s, a);
    tp->cwnd = RTE_MAX(tp->cwnd, s->now.w_est);
}

static void cubic_acked(struct tcb *tp, const struct cc_ack *a)
{
    struct cubic *s = state(tp);
    if (a->app_limited)
        s->now.epoch = 0; /* §5.8: time in which nothing was tried does not count */
    else if (tp->cwnd < tp->ssthresh)
        tp->cwnd += hystart_acked(&s->hystart, tp, a, cc_slow_start(tp, a->acked));
    else
        avoid_congestion(tp, s, a);
}

/* §4.6, §4.7 */
static void cut(struct tcb *tp, uint32_t flight)
{
    struct cubic *s = state(tp);
    s->before = s->now;
    s->prior_cwnd = tp->cwnd;
    s->prior_ssthresh = tp->ssthresh;
    /* Less than last time: somebody else came, and gets room sooner. */
    bool shrinking = tp->cwnd < s->now.w_max;
    s->now.w_max = shrinking ? (uint32_t)(tp->cwnd * ((1 + BETA_RATIO) / 2)) : tp->cwnd;
    s->now.cwnd_prior = tp->cwnd;
    s->now.epoch = 0;
    s->fresh = false;
    hystart_stop(&s->hystart);
    tp->ssthresh = cc_cut(tp, flight, BETA);
    tp->cwnd = tp->ssthresh;
}

/* §4.9 */
static void undo(struct tcb *tp)
{
    struct cubic *s = state(tp);
    tp->cwnd = RTE_MAX(tp->cwnd, s->prior_cwnd);
    tp->ssthresh = RTE_MAX(tp->ssthresh, s->prior_ssthresh);
    s->now = s->before;
}

static void cubic_event(struct tcb *tp, enum cc_event ev, uint32_t flight)
{
    switch (ev) {
    case CC_LOSS_FAST:
    case CC_ECN:
        cut(tp, flight);
        break;
    case CC_LOSS_RTO: /* §4.8 */
        cut(tp, flight);
        tp->cwnd = tp->maxseg;
        state(tp)->fresh = true;
        break;
    case CC_UNDO:
        undo(tp);
        break;
    case CC_IDLE:
        state(tp)->now.epoch = 0;
        cc_restart(tp);
        hystart_start(&state(tp)->hystart, tp);
        break;
    case CC_RECOVERED:
        break;
    }
}

const struct tcp_cc tcp_cc_cubic = {
    .name = "cubic",
    .init = cubic_init,
    .acked = cubic_acked,
    .event = cubic_event,
};
