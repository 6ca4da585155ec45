// SPDX-License-Identifier: BSD-3-Clause
// DCTCP (RFC 8257): the window shrinks by how much was marked, not by whether. The receiver's side is in ecn.c. Without ECN
// the connection is NewReno's.
#include <rte_common.h>
#include "tcp/cc/newreno.h"
#include "tcp/tcp.h"

#define ALPHA_ONE 1024u

struct dctcp {
    struct newreno reno;
    uint32_t alpha;         /* marked fraction, of ALPHA_ONE */
    uint64_t acked, marked; /* bytes, of this window */
    tcp_seq window_end;
    bool halved; /* dctcp.slowstart: the first mark has come */
};
_Static_assert(sizeof(struct dctcp) <= TCP_CC_BYTES, "fits in the tcb");

static struct dctcp *state(struct tcb *tp)
{
    return (struct dctcp *)tp->cc_state;
}

static void begin(struct tcb *tp)
{
    struct dctcp *s = state(tp);
    s->alpha = cc_params(tp)->dctcp_alpha;
    s->acked = s->marked = 0;
    s->window_end = tp->snd_max;
    s->halved = false;
}

static void dctcp_init(struct tcb *tp)
{
    newreno_init(tp);
    begin(tp);
}

/* §3.3 steps 6 to 9. */
static void window_over(struct tcb *tp, struct dctcp *s)
{
    uint32_t g = cc_params(tp)->dctcp_shift_g;
    if (s->acked > 0) {
        uint64_t fresh = (s->marked * ALPHA_ONE / s->acked) >> g;
        uint32_t kept = s->alpha - (s->alpha >> g);
        if (kept == s->alpha && s->marked == 0 && kept > 0)
            kept--; /* small numbers end at 0 too */
        s->alpha = (uint32_t)RTE_MIN(kept + fresh, (uint64_t)ALPHA_ONE);
    }
    s->window_end = tp->snd_max;
    s->acked = s->marked = 0;
}

static void dctcp_feedback(struct tcb *tp, const struct cc_ack *a)
{
    struct dctcp *s = state(tp);
    s->acked += a->acked;
    s->marked += a->marked;
    if (seq_gt(a->ack, s->window_end))
        window_over(tp, s);
}

/* §3.3: cwnd * (1 - alpha / 2) */
static void marked(struct tcb *tp)
{
    struct dctcp *s = state(tp);
    bool halve = cc_params(tp)->dctcp_slowstart && !s->halved;
    uint32_t alpha = halve ? ALPHA_ONE : s->alpha;
    uint32_t less = (uint32_t)((uint64_t)tp->cwnd * alpha / (2 * ALPHA_ONE));
    s->halved = true;
    newreno_cut(tp, RTE_MAX(tp->cwnd - less, 2u * tp->maxseg));
}

static void dctcp_event(struct tcb *tp, enum cc_event ev, uint32_t flight)
{
    if (ev == CC_ECN) {
        marked(tp);
        return;
    }
    if (ev == CC_IDLE)
        begin(tp);
    newreno_event(tp, ev, flight);
}

const struct tcp_cc tcp_cc_dctcp = {
    .name = "dctcp",
    .init = dctcp_init,
    .acked = newreno_acked,
    .event = dctcp_event,
    .feedback = dctcp_feedback,
    .exact_ecn = true,
};
