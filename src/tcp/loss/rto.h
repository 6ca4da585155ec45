// SPDX-License-Identifier: BSD-3-Clause
// Round trip times, the retransmission timer and the persist timer, for every stack (RFC 6298, RFC 9293 §3.8). The calls that
// the whole TCP room uses (rto_sample, rto_arm, rto_backoff) are in tcp.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/stack.h"
#include "tcp/tcp.h"

#define TCP_MAXRXTSHIFT 12 /* the interval stops doubling here */
#define TCP_REXMIT_R1   3  /* RFC 1122 §4.2.3.5: from here on the way itself is in doubt */

/* A fresh connection: rto = net.inet.tcp.rexmit_initial, no samples. */
void rto_init(struct tcb *tp);
/* No sample yet: what the host cache knows stands for one. ns. */
void rto_assume(struct tcb *tp, uint64_t srtt, uint64_t rttvar);
/* RTO with the present backoff, ns. */
uint64_t rto_current(const struct tcb *tp);
/* TT_REXMT went off with data outstanding: counts, backs off and doubts the route at R1. False: the limit (R2, or
 * TCP_USER_TIMEOUT) is reached, the connection was dropped with ETIMEDOUT, tp may be gone. */
bool rto_timeout(struct tcb *tp, uint64_t now);
/* The peer acked something new (or answers with a closed window): the count of timeouts in a row starts again. The backoff
 * stays until there is a sample (Karn). */
static inline void rto_progress(struct tcb *tp)
{
    tp->rexmits = 0;
    tp->stalled_since = 0;
}

/*
 * One segment is timed at a time: exact to the ns, one sample per round trip as RFC 6298 §3 asks. Retransmitting ends the timing
 * (Karn); from then on until new data is timed again the timestamp option gives the samples (RFC 7323 §4.1).
 */
static inline void rtt_sent(struct tcb *tp, const struct tcp_sent *s)
{
    if (s->rexmit) {
        tp->rtt_start = 0;
    } else if (tp->rtt_start == 0 && (s->len > 0 || (s->flags & 0x03) != 0)) { /* data, SYN or FIN */
        tp->rtt_start = s->now;
        tp->rtt_seq = s->seq;
    }
}
/* Takes the sample that an ACK of new data allows, if any: ns, 0 = none. tp->snd_una is the old one. */
uint64_t rtt_acked(struct tcb *tp, const struct tcp_ack *a);

/* TT_PERSIST = now + the probe interval of persist_shift (RFC 9293 §3.8.6.1; net.inet.tcp.persmin, persmax). */
void persist_arm(struct tcb *tp, uint64_t now);
/* TT_PERSIST went off: sends a probe and arms the next. False: given up, the connection was dropped, tp may be gone. */
bool persist_timeout(struct tcb *tp, uint64_t now);
