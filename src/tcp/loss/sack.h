// SPDX-License-Identifier: BSD-3-Clause
// What both the scoreboard and the send map ask of a SACK block.
#pragma once
#include "tcp/seq.h"
#include "tcp/stack.h"

/* RFC 2883 §4: the first block lies below the cumulative ACK, or inside the second. */
static inline bool sack_is_dsack(const struct tcp_ack *a)
{
    const struct sack_block *b = a->sack;
    if (seq_leq(b[0].end, a->ack))
        return true;
    return a->n_sack > 1 && seq_geq(b[0].start, b[1].start) && seq_leq(b[0].end, b[1].end);
}

/* Of what is outstanding after this ACK. */
static inline bool sack_credible(const struct tcb *tp, const struct tcp_ack *a, const struct sack_block *b)
{
    return seq_lt(b->start, b->end) && seq_geq(b->start, seq_max(a->ack, tp->snd_una)) &&
           seq_leq(b->end, tp->snd_max);
}
