// SPDX-License-Identifier: BSD-3-Clause
// Data that came out of order, and what the peer is told about it (RFC 2018, RFC 2883).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/queue.h"
#include "tcp/stack.h"
#include "tcp/tcb.h"

/* One run of bytes without a gap. */
struct reass_run {
    TAILQ_ENTRY(reass_run) order;  /* by sequence number */
    TAILQ_ENTRY(reass_run) recent; /* newest change first: the order of SACK blocks (RFC 2018 §4) */
    tcp_seq start, end;
    struct rte_mbuf *head, *tail; /* mbufs linked by next; NULL for a run that is only a FIN */
};
TAILQ_HEAD(reass_runs, reass_run);

struct reass {
    struct reass_runs order, recent;
    uint32_t runs;
    uint32_t memory; /* bytes of buffers held, as struct recvbuf's */
    bool fin;        /* the peer's FIN is at fin_seq */
    tcp_seq fin_seq;
};

/*
 * Keeps m's data, which begins at seq beyond rcv_nxt and lies in the window (len bytes; with fin, a FIN behind them). What is there
 * already is kept, what overlaps is cut off (first come). Takes m; counts what it drops.
 */
void reass_insert(struct tcb *tp, struct rte_mbuf *m, tcp_seq seq, uint32_t len, bool fin);
/* Data up to rcv_nxt arrived: moves the runs that follow on into tp->rcv and rcv_nxt forward. Returns bytes moved; *fin: the
 * FIN is next at rcv_nxt. Frees tp->reass when it is empty. */
uint32_t reass_advance(struct tcb *tp, bool *fin);
void reass_free(struct tcb *tp);
/* Bytes [start, end) came a second time: to be reported once (RFC 2883 §4). */
void reass_duplicate(struct tcb *tp, tcp_seq start, tcp_seq end);
/*
 * For output: the SACK blocks that the ACK being built is to carry, a DSACK first (which is then forgotten), then the most
 * recently changed run first. Returns how many of max. 0 when SACK is not in use.
 */
unsigned reass_sack_blocks(struct tcb *tp, struct sack_block *out, unsigned max);
