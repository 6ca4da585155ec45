// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/lrd.h"
#include <string.h>
#include "tcp/loss/scoreboard.h"

void lrd_sent(struct lrd *l, tcp_seq seq, uint32_t len, tcp_seq snd_max)
{
    struct lrd_run *last = l->n > 0 ? &l->run[l->n - 1] : NULL;
    if (last && !last->lost && last->edge == snd_max && seq_geq(seq, last->end)) {
        last->end = seq + len; /* holes between are the peer's already */
        return;
    }
    if (l->n < LRD_RUNS)
        l->run[l->n++] = (struct lrd_run){.start = seq, .end = seq + len, .edge = snd_max};
}

/* The first piece of [*start, end) that the peer lacks. False: it has all. */
static bool first_missing(const struct recovery *r, tcp_seq *start, tcp_seq end, tcp_seq *stop)
{
    for (uint32_t i = 0; i < r->n; i++) {
        if (seq_leq(r->ranges[i].end, *start))
            continue;
        if (seq_gt(r->ranges[i].start, *start)) {
            *stop = seq_min(end, r->ranges[i].start);
            return seq_lt(*start, end);
        }
        *start = r->ranges[i].end;
    }
    *stop = end;
    return seq_lt(*start, end);
}

static uint32_t missing(const struct recovery *r, const struct lrd_run *run, tcp_seq una)
{
    tcp_seq at = seq_max(run->start, una), stop;
    uint32_t sum = 0;
    while (seq_lt(at, run->end) && first_missing(r, &at, run->end, &stop)) {
        sum += stop - at;
        at = stop;
    }
    return sum;
}

uint32_t lrd_evaluate(struct lrd *l, const struct recovery *r, tcp_seq una)
{
    uint32_t kept = 0, lost = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        struct lrd_run run = l->run[i];
        uint32_t lacks = missing(r, &run, una);
        if (lacks == 0)
            continue;
        if (!run.lost && r->n > 0 && seq_gt(scoreboard_highest(r), run.edge)) {
            run.lost = true;
            lost += lacks;
        }
        l->run[kept++] = run;
    }
    l->n = kept;
    return lost;
}

uint32_t lrd_missing(const struct lrd *l, const struct recovery *r, tcp_seq una)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < l->n; i++)
        if (l->run[i].lost)
            sum += missing(r, &l->run[i], una);
    return sum;
}

bool lrd_next(struct lrd *l, const struct recovery *r, tcp_seq una, uint32_t most, tcp_seq *seq,
              uint32_t *len)
{
    for (uint32_t i = 0; i < l->n; i++) {
        struct lrd_run *run = &l->run[i];
        tcp_seq at = seq_max(run->start, una), stop;
        if (!run->lost || !seq_lt(at, run->end) || !first_missing(r, &at, run->end, &stop))
            continue;
        *seq = at;
        *len = stop - at < most ? stop - at : most;
        run->start = at + *len;
        return true;
    }
    return false;
}
