// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/scoreboard.h"
#include <string.h>
#include "tcp/loss/sack.h"
#include "tcp/tcp.h"

static struct tcp_loss *loss_of(const struct tcb *tp)
{
    return &tp->e->tcp->loss;
}

static struct recovery *recovery_get(struct tcb *tp)
{
    if (tp->recovery)
        return tp->recovery;
    struct recovery *r = pool_get(&loss_of(tp)->recoveries);
    if (!r) {
        loss_of(tp)->stats.recovery_nomem++;
        return NULL;
    }
    memset(r, 0, sizeof(*r));
    r->ranges = r->own;
    r->room = SACK_RANGES_OWN;
    r->high_rxt = r->lost_edge = tp->snd_una;
    tp->recovery = r;
    return r;
}

void scoreboard_free(struct tcb *tp)
{
    struct recovery *r = tp->recovery;
    if (!r)
        return;
    if (r->ranges != r->own)
        pool_put(&loss_of(tp)->holes, r->ranges);
    pool_put(&loss_of(tp)->recoveries, r);
    tp->recovery = NULL;
}

/* The cumulative ACK has reached una. */
static void drop_below(struct recovery *r, tcp_seq una)
{
    uint32_t gone = 0;
    while (gone < r->n && seq_leq(r->ranges[gone].end, una)) {
        r->sacked -= r->ranges[gone].end - r->ranges[gone].start;
        gone++;
    }
    r->n -= gone;
    memmove(r->ranges, r->ranges + gone, r->n * sizeof(*r->ranges));
    if (r->n > 0 && seq_lt(r->ranges[0].start, una)) {
        r->sacked -= una - r->ranges[0].start;
        r->ranges[0].start = una;
    }
}

static bool make_room(struct tcb *tp, struct recovery *r)
{
    struct tcp_loss *l = loss_of(tp);
    if (r->n < r->room)
        return r->n < l->params.sack_maxholes;
    if (r->room == SACK_RANGES_MAX)
        return false;
    struct sack_block *more = pool_get(&l->holes);
    if (!more)
        return false;
    memcpy(more, r->ranges, r->n * sizeof(*more));
    r->ranges = more;
    r->room = SACK_RANGES_MAX;
    return r->n < l->params.sack_maxholes;
}

/* Adds [b.start, b.end), which may overlap anything. Returns bytes that are new. */
static uint32_t insert(struct tcb *tp, struct recovery *r, struct sack_block b)
{
    uint32_t before = r->sacked, first = r->n;
    /* New blocks are mostly at the end: search from there. [first, last) are those that b touches. */
    while (first > 0 && seq_geq(r->ranges[first - 1].end, b.start))
        first--;
    uint32_t last = first;
    while (last < r->n && seq_leq(r->ranges[last].start, b.end)) {
        b.start = seq_min(b.start, r->ranges[last].start);
        b.end = seq_max(b.end, r->ranges[last].end);
        r->sacked -= r->ranges[last].end - r->ranges[last].start;
        last++;
    }
    if (first == last) {
        if (!make_room(tp, r)) {
            loss_of(tp)->stats.sack_sboverflow++;
            return 0;
        }
        memmove(r->ranges + first + 1, r->ranges + first, (r->n - first) * sizeof(*r->ranges));
        r->n++;
    } else {
        memmove(r->ranges + first + 1, r->ranges + last, (r->n - last) * sizeof(*r->ranges));
        r->n -= last - first - 1;
    }
    r->ranges[first] = b;
    r->sacked += b.end - b.start;
    return r->sacked - before;
}

uint32_t scoreboard_update(struct tcb *tp, const struct tcp_ack *a, bool *dsack)
{
    struct loss_stats *st = &loss_of(tp)->stats;
    uint32_t fresh = 0;
    unsigned i = 0;
    *dsack = false;
    if (tp->recovery && a->acked > 0)
        drop_below(tp->recovery, a->ack);
    if (a->n_sack > 0 && sack_is_dsack(a)) {
        *dsack = true;
        st->sack_dsacks++;
        i = 1;
    }
    for (; i < a->n_sack; i++) {
        st->sack_rcv_blocks++;
        struct recovery *r = sack_credible(tp, a, &a->sack[i]) ? recovery_get(tp) : NULL;
        if (r)
            fresh += insert(tp, r, a->sack[i]);
        else
            st->sack_bad_blocks++;
    }
    return fresh;
}

/* RFC 6675 IsLost: DupThresh ranges above, or more than (DupThresh - 1) * SMSS bytes. Walks down from the top. */
static tcp_seq find_lost_edge(const struct tcb *tp, const struct recovery *r, tcp_seq una)
{
    uint32_t above = 0;
    for (uint32_t i = r->n; i-- > 0;) {
        above += r->ranges[i].end - r->ranges[i].start;
        if (r->n - i >= DUP_THRESH || above > (DUP_THRESH - 1) * (uint32_t)tp->maxseg)
            return r->ranges[i].start;
    }
    return una;
}

/* Bytes of [start, end) below edge. */
static uint32_t part_below(tcp_seq start, tcp_seq end, tcp_seq edge)
{
    if (seq_leq(edge, start))
        return 0;
    return seq_min(end, edge) - start;
}

/* RFC 6675 SetPipe: sent and not lost (a), or sent again (b) and not lost again. */
static uint32_t count_pipe(const struct tcb *tp, const struct recovery *r, tcp_seq una)
{
    uint32_t pipe = 0;
    tcp_seq at = una;
    for (uint32_t i = 0; i <= r->n; i++) {
        tcp_seq end = i < r->n ? r->ranges[i].start : tp->snd_max;
        pipe += (end - at) - part_below(at, end, r->lost_edge);
        pipe += part_below(at, end, r->high_rxt);
        if (i < r->n)
            at = r->ranges[i].end;
    }
    uint32_t again = r->lrd.n > 0 ? lrd_missing(&r->lrd, r, una) : 0;
    return pipe > again ? pipe - again : 0;
}

uint32_t scoreboard_evaluate(struct tcb *tp, tcp_seq una)
{
    struct recovery *r = tp->recovery;
    if (seq_lt(r->high_rxt, una))
        r->high_rxt = una;
    /* What was lost stays lost: the edge does not go down while it lies above una. */
    tcp_seq edge = find_lost_edge(tp, r, una);
    if (seq_gt(edge, r->lost_edge) || seq_lt(r->lost_edge, una))
        r->lost_edge = edge;
    uint32_t lost_again = r->lrd.n > 0 ? lrd_evaluate(&r->lrd, r, una) : 0;
    r->pipe = count_pipe(tp, r, una);
    return lost_again;
}

bool scoreboard_partial_ack(struct tcb *tp, tcp_seq una)
{
    struct recovery *r = tp->recovery;
    uint32_t before = r->pipe;
    tcp_seq edge = una + tp->maxseg;
    if (r->n > 0)
        edge = seq_max(edge, scoreboard_highest(r));
    edge = seq_min(edge, tp->recover);
    if (seq_leq(edge, r->lost_edge))
        return false;
    r->lost_edge = edge;
    r->pipe = count_pipe(tp, r, una);
    return r->pipe < before;
}

bool scoreboard_next(struct tcb *tp, bool any, tcp_seq *seq, uint32_t *len)
{
    struct recovery *r = tp->recovery;
    if (r->lrd.n > 0 && lrd_next(&r->lrd, r, tp->snd_una, tp->maxseg, seq, len))
        return true;
    tcp_seq at = tp->snd_una, edge = any ? seq_max(scoreboard_highest(r), r->lost_edge) : r->lost_edge;
    edge = seq_min(edge, tp->snd_una + tp->snd.ready); /* a FIN is no data */
    for (uint32_t i = 0; i <= r->n; i++) {
        tcp_seq end = i < r->n ? seq_min(r->ranges[i].start, edge) : edge;
        tcp_seq start = seq_max(at, r->high_rxt);
        if (seq_lt(start, end)) {
            *seq = start;
            *len = end - start < tp->maxseg ? end - start : tp->maxseg;
            return true;
        }
        if (i < r->n)
            at = r->ranges[i].end;
    }
    return false;
}

void scoreboard_sent_again(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    struct recovery *r = tp->recovery;
    struct tcp_loss *l = loss_of(tp);
    l->stats.sack_rexmits++;
    l->stats.sack_rexmit_bytes += len;
    r->pipe += len;
    r->high_rxt = seq_max(r->high_rxt, seq + len);
    if (l->params.sack_lrd)
        lrd_sent(&r->lrd, seq, len, tp->snd_max);
}

void scoreboard_recovery_begins(struct tcb *tp, tcp_seq una)
{
    struct recovery *r = tp->recovery;
    r->rescued = false;
    scoreboard_evaluate(tp, una);
}

uint32_t scoreboard_holes(const struct tcb *tp, tcp_seq edge)
{
    const struct recovery *r = tp->recovery;
    tcp_seq from = tp->snd_una;
    uint32_t bytes = 0;
    for (uint32_t i = 0; i < r->n && seq_lt(r->ranges[i].start, edge); i++) {
        bytes += r->ranges[i].start - from;
        from = r->ranges[i].end;
    }
    return bytes + (seq_lt(from, edge) ? edge - from : 0);
}
