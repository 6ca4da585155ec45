// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/cc/hystart.h"
#include "tcp/log.h"

static void next_round(struct hystart *h, tcp_seq window_end)
{
    h->last_min_us = h->round_min_us;
    h->round_min_us = UINT32_MAX;
    h->samples = 0;
    h->window_end = window_end;
}

void hystart_start(struct hystart *h, const struct tcb *tp)
{
    *h = (struct hystart){.phase = HYSTART_SLOW_START, .round_min_us = UINT32_MAX};
    next_round(h, tp->snd_max);
}

static void take_sample(struct hystart *h, uint64_t rtt)
{
    uint32_t us = (uint32_t)(rtt / NS_PER_US);
    if (us < h->round_min_us)
        h->round_min_us = us;
    if (h->samples < UINT8_MAX)
        h->samples++;
}

/* RFC 9406 §4.2: RttThresh */
static uint32_t threshold(const struct hystart *h, const struct cc_params *p)
{
    uint32_t t = h->last_min_us / 8;
    return t < p->hystart_minrtt_us   ? p->hystart_minrtt_us
           : t > p->hystart_maxrtt_us ? p->hystart_maxrtt_us
                                      : t;
}

/* RFC 9406: the phase has changed. */
static void changed(const struct hystart *h, struct tcb *tp)
{
    TCP_LOG_EVENT(tp, TCP_HYSTART, .flex1 = h->phase, .flex2 = h->round_min_us, .flex3 = h->last_min_us,
                  .flex4 = h->css_rounds, .flex5 = tp->cwnd);
}

/* Enough is known of this round to judge it. */
static void judge(struct hystart *h, struct tcb *tp)
{
    const struct cc_params *p = cc_params(tp);
    if (h->phase == HYSTART_CSS) {
        if (h->round_min_us < h->baseline_us) { /* it was jitter */
            h->phase = HYSTART_SLOW_START;
            cc_stats(tp)->hystart_resumed++;
            changed(h, tp);
        }
        return;
    }
    if (h->last_min_us == UINT32_MAX || h->round_min_us < h->last_min_us + threshold(h, p))
        return;
    h->phase = HYSTART_CSS;
    h->baseline_us = h->round_min_us;
    h->css_rounds = 0;
    cc_stats(tp)->hystart_css++;
    changed(h, tp);
}

static void round_over(struct hystart *h, struct tcb *tp)
{
    next_round(h, tp->snd_max);
    if (h->phase == HYSTART_CSS && ++h->css_rounds >= cc_params(tp)->hystart_css_rounds) {
        hystart_stop(h);
        tp->ssthresh = tp->cwnd;
        cc_stats(tp)->hystart_exits++;
        changed(h, tp);
    }
}

uint32_t hystart_acked(struct hystart *h, struct tcb *tp, const struct cc_ack *a, uint32_t increase)
{
    if (h->phase == HYSTART_OFF)
        return increase;
    if (a->rtt)
        take_sample(h, a->rtt);
    if (h->samples >= cc_params(tp)->hystart_samples)
        judge(h, tp);
    if (h->phase == HYSTART_CSS)
        increase /= cc_params(tp)->hystart_css_div;
    if (seq_geq(a->ack, h->window_end))
        round_over(h, tp);
    return increase;
}
