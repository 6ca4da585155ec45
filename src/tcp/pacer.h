// SPDX-License-Identifier: BSD-3-Clause
// Pacing: what a connection sends leaves at a rate, evenly, whatever its ACKs do. A part that any stack can use: the stack asks in its output pass
// and tells of each segment in its sent(), the pacer keeps the time of the next departure. Off (TF_PACED is not set), it costs that test.
//
//     output():  if (flags & TF_PACED)
//                    open = pacer_begin(tp);
//                while (open && send one of at most pacer_burst(tp) bytes)   -> sent() calls pacer_sent()
//                    open = pacer_open(tp);
//                if (!open)
//                    pacer_wait(tp);                                         -> TT_STACK; its timer() marks the connection due
//
// Bytes are those of whole frames, Ethernet header included (as FreeBSD's rack and Linux's fq count them). A departure that comes late, by the wheel's slots or a
// long turn, makes the next gap shorter by as much, up to CREDIT_NS: the rate is met on the average. A connection that had nothing to send gets no such credit.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct tcb;

#define PACER_BURST_NS  UINT64_C(1000000) /* a burst is at most so much of the rate, */
#define PACER_BURST_MAX 65536u            /* and at most so many bytes */

struct pacer {
    uint64_t rate;     /* bytes/s in effect: the lesser of the two below; 0: not paced */
    uint64_t limit;    /* bytes/s: SO_MAX_PACING_RATE, TCP_PACING_RATE_CAP; 0: none */
    uint64_t wish;     /* bytes/s: what the stack itself wants; 0: no wish. Ends with the stack */
    uint64_t next;     /* ns: nothing leaves earlier */
    uint16_t max_segs; /* segments of a burst, the stack's own limit; 0: none */
    bool waiting;      /* held by next, and TT_STACK was armed for it */
};

/* The application's limit, and the stack's wish: bytes/s, 0 = none. Set TF_PACED. */
void pacer_limit(struct tcb *tp, uint64_t bytes_per_s);
void pacer_wish(struct tcb *tp, uint64_t bytes_per_s);
/* The wish is so many bytes of payload in so long a time, ns. What waits is not held longer than a burst takes at the new rate. */
void pacer_wish_window(struct tcb *tp, uint32_t bytes, uint64_t ns);
/* An output pass begins: may a segment leave now? */
bool pacer_begin(struct tcb *tp);
/* After each: may another? */
bool pacer_open(const struct tcb *tp);
/* Payload that one departure may have: a segment; where the port cuts segments (TSO), as many as the rate has in 1 ms, at least 2, at most 64 KiB. */
uint32_t pacer_burst(const struct tcb *tp);
/* len bytes of payload left. */
void pacer_sent(struct tcb *tp, uint32_t len);
/* Something may be left to send: TT_STACK goes off at the next departure, or earlier if it was to. */
void pacer_wait(struct tcb *tp);
