// SPDX-License-Identifier: BSD-3-Clause
// Was the last cut of the window a mistake? Two witnesses: the timestamp of the ACK that ends it (Eifel, RFC 3522), and DSACK blocks for
// everything that was sent again (RFC 3708). The response is the stack's.
#pragma once
#include "tcp/stack.h"

struct undo {
    tcp_seq from, to;     /* what was in flight when the window was cut */
    tcp_seq rexmit_end;   /* end of what was sent again */
    uint32_t rexmit_segs; /* sent again, and not reported as duplicate */
    uint32_t rexmit_ts;   /* our timestamp of the first retransmission */
    bool armed;           /* there was a cut that may be taken back */
    bool sent;            /* something was sent again since */
    bool judged;          /* timestamps have spoken */
};

/* The window was cut. */
void undo_begin(struct undo *u, const struct tcb *tp);
static inline void undo_forget(struct undo *u)
{
    u->armed = false;
}
/* A segment left, below snd_max. */
void undo_sent(struct undo *u, const struct tcb *tp, const struct tcp_sent *s);
/* The first ACK of new data after a retransmission: does it echo a timestamp from before? */
bool undo_by_timestamp(struct undo *u, const struct tcp_ack *a);
/* a->sack[0] is a DSACK: are all retransmissions now known to be duplicates? */
bool undo_by_dsack(struct undo *u, const struct tcb *tp, const struct tcp_ack *a);
