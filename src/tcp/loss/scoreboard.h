// SPDX-License-Identifier: BSD-3-Clause
// The sender's scoreboard (RFC 2018, RFC 6675): which ranges above the cumulative ACK the peer has. Allocated with the first SACK
// block, given back when the last hole is closed.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/loss/lrd.h"
#include "tcp/stack.h"

#define SACK_RANGES_OWN 8   /* in the structure itself */
#define SACK_RANGES_MAX 256 /* when it has grown */
#define DUP_THRESH      3

struct recovery {
    struct sack_block *ranges; /* what the peer has, in order, none touching another */
    uint32_t n, room;
    uint32_t sacked;   /* bytes in ranges */
    uint32_t pipe;     /* RFC 6675 SetPipe, as of the last scoreboard_evaluate() and what was sent since */
    tcp_seq lost_edge; /* what is missing below it is lost (IsLost, scoreboard_partial_ack()) */
    tcp_seq high_rxt;  /* HighRxt: end of what recovery has sent again */
    tcp_seq rescue;    /* RescueRxt: set once in a recovery */
    bool rescued;
    struct lrd lrd; /* what was sent again, as far as net.inet.tcp.sack.lrd watches it */
    struct sack_block own[SACK_RANGES_OWN];
};

/* Takes the blocks of an ACK in (snd_una still the old one). Returns bytes newly delivered above a->ack; *dsack: the first block reported a
 * duplicate. Allocates on the first block; without memory the blocks are lost (counted). */
uint32_t scoreboard_update(struct tcb *tp, const struct tcp_ack *a, bool *dsack);
/* Sets lost_edge and pipe for the cumulative ACK `una`. Returns bytes of retransmissions found lost. */
uint32_t scoreboard_evaluate(struct tcb *tp, tcp_seq una);
/* In recovery the cumulative ACK went on to una, short of recover. What recovery sent again has arrived, so holes in what was sent before it,
 * a round trip ago, are lost, and the segment at una is in any case (RFC 6582 §3.2, which has no SACK). After scoreboard_evaluate(). True:
 * something is lost that was not known to be. */
bool scoreboard_partial_ack(struct tcb *tp, tcp_seq una);
/* NextSeg rule 1: lost retransmissions, then lost bytes not sent again yet. False: none. With any: rule 3, holes below the highest
 * SACK that are not lost. */
bool scoreboard_next(struct tcb *tp, bool any, tcp_seq *seq, uint32_t *len);
/* [seq, seq + len) was sent again in recovery. */
void scoreboard_sent_again(struct tcb *tp, tcp_seq seq, uint32_t len);
/* Recovery begins with the cumulative ACK una. What the one before sent again, beyond its own end, is not sent again once more. */
void scoreboard_recovery_begins(struct tcb *tp, tcp_seq una);
/* Forgets everything and gives the memory back. */
void scoreboard_free(struct tcb *tp);
/* Bytes below edge that the peer does not have. */
uint32_t scoreboard_holes(const struct tcb *tp, tcp_seq edge);
static inline tcp_seq scoreboard_highest(const struct recovery *r)
{
    return r->ranges[r->n - 1].end;
}
