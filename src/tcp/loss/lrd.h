// SPDX-License-Identifier: BSD-3-Clause
// Lost retransmissions (FreeBSD's sack.lrd): data sent after a retransmission was SACKed, the retransmission was not. Part of the
// scoreboard: runs of what was sent again, in the order of sending.
#pragma once
#include "tcp/stack.h"

#define LRD_RUNS 16

struct recovery;

struct lrd_run {
    tcp_seq start, end;
    tcp_seq edge; /* snd_max when it was sent: what lies above was sent later */
    bool lost;    /* to be sent once more; what is still missing of it counts as not in flight */
};

struct lrd {
    uint32_t n;
    struct lrd_run run[LRD_RUNS];
};

/* [seq, seq + len) was sent again. When all runs are in use it is not watched: the timer will. */
void lrd_sent(struct lrd *l, tcp_seq seq, uint32_t len, tcp_seq snd_max);
/* After the scoreboard was updated, cumulative ACK una: marks what is lost, forgets what has arrived. Returns bytes newly lost. */
uint32_t lrd_evaluate(struct lrd *l, const struct recovery *r, tcp_seq una);
/* Bytes of lost runs that are still missing. */
uint32_t lrd_missing(const struct lrd *l, const struct recovery *r, tcp_seq una);
/* The next missing piece of a lost run, at most most bytes; it is taken off the run. False: none. */
bool lrd_next(struct lrd *l, const struct recovery *r, tcp_seq una, uint32_t most, tcp_seq *seq,
              uint32_t *len);
