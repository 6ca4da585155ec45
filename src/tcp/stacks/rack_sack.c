// SPDX-License-Identifier: BSD-3-Clause
// SACK blocks of the rack stack: which are believed, which are news, and when a peer is not heard any more. Blocks are repeated by
// honest receivers and invented by hostile ones: neither may cost much.
#include <rte_common.h>
#include "tcp/log.h"
#include "tcp/loss/sack.h"
#include "tcp/stacks/rack.h"

/* What the blocks of the last ACK covered is in the map. */
static struct sack_block news_of(const struct rack_conn *c, struct sack_block b)
{
    for (unsigned i = 0; i < c->n_seen; i++) {
        const struct sack_block *s = &c->seen[i];
        if (seq_leq(s->start, b.start) && seq_gt(s->end, b.start))
            b.start = seq_min(s->end, b.end);
        if (seq_lt(s->start, b.end) && seq_geq(s->end, b.end))
            b.end = seq_max(s->start, b.start);
    }
    return b;
}

/* Ascending, as rack_delivered() wants them. At most four. */
static void sort(struct sack_block *b, unsigned n)
{
    for (unsigned i = 1; i < n; i++)
        for (unsigned j = i; j > 0 && seq_lt(b[j].start, b[j - 1].start); j--) {
            struct sack_block x = b[j];
            b[j] = b[j - 1];
            b[j - 1] = x;
        }
}

/* A receiver that invents blocks, or tears segments to pieces, is not worth the work: its SACKs are not heard any more. */
static void judge(struct tcb *tp, struct rack_conn *c, uint32_t odd)
{
    c->odd += odd;
    if (c->sad_thresh == 0 || c->odd < c->sad_thresh)
        return;
    c->sack_off = true;
    c->n_seen = 0;
    rack_stats(tp)->attacks++;
    TCP_LOG_EVENT(tp, TCP_LOG_MAPCHG, .flex1 = c->odd, .flex2 = c->map.n, .flex3 = c->map.splits);
}

uint32_t rack_sack(struct tcb *tp, const struct tcp_ack *a, struct rack_ack *digest, bool *dsack)
{
    struct loss_stats *st = loss_stats(tp);
    struct rack_conn *c = rack_conn(tp);
    struct sack_block blocks[TCP_MAX_SACK];
    const struct sendmap_shared *sh = c->map.shared;
    uint64_t odd = sh->misaligned + sh->split_limited, bad = 0;
    uint32_t fresh = 0;
    unsigned n = 0, i = 0;
    *dsack = sack_is_dsack(a);
    if (*dsack) {
        st->sack_dsacks++;
        i = 1;
    }
    for (; i < a->n_sack; i++) {
        st->sack_rcv_blocks++;
        if (sack_credible(tp, a, &a->sack[i]))
            blocks[n++] = a->sack[i];
        else
            bad += seq_gt(a->sack[i].end, tp->snd_max) || seq_geq(a->sack[i].start, a->sack[i].end);
    }
    st->sack_bad_blocks += a->n_sack - n - *dsack;
    sort(blocks, n);
    uint32_t torn = c->map.splits;
    for (i = 0; i < n; i++) {
        struct sack_block b = news_of(c, blocks[i]);
        if (seq_lt(b.start, b.end))
            fresh += sendmap_sack(&c->map, b.start, b.end, rack_delivered, digest);
    }
    /* An ACK says one thing that is new; three apart from one another only when ACKs were lost. */
    bool scattered = n > 2 && c->map.splits >= torn + 3;
    odd = sh->misaligned + sh->split_limited - odd + bad + scattered;
    c->n_seen = odd == scattered ? (uint8_t)n : 0; /* what was not noted comes again */
    for (i = 0; i < c->n_seen; i++)
        c->seen[i] = blocks[i];
    if (odd > 0)
        judge(tp, c, (uint32_t)odd);
    else if (c->odd > 0)
        c->odd--;
    return fresh;
}
