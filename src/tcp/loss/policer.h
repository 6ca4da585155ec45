// SPDX-License-Identifier: BSD-3-Clause
// Is the path policed, and to what rate? A token bucket drops what exceeds its rate and queues nothing: in the round trip after a loss it delivers just that rate, whatever
// was sent, while round trips stay as short as ever. A paced connection that knows it keeps below, instead of finding it out by losses again and again (Flach and others, "An
// Internet-Wide Analysis of Traffic Policing", 2016, measured what those cost; FreeBSD's rack has net.inet.tcp.rack.policing.*, BBR its long-term rate for the same).
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct policer {
    uint64_t since;           /* ns: when the round after a loss began; 0: none is on */
    uint64_t rate;            /* bytes/s that the last round delivered; 0: not known */
    uint64_t cap;             /* bytes/s of payload to keep to; 0: none */
    uint64_t until;           /* ns: for so long; then more is tried again, a little each round trip */
    uint32_t delivered, lost; /* bytes, in this round */
};

/* A recovery begins: so many bytes seem lost by now. */
void policer_begin(struct policer *p, uint64_t now, uint32_t lost);
static inline void policer_acked(struct policer *p, uint32_t delivered, uint32_t lost)
{
    p->delivered += delivered;
    p->lost += lost;
}
/* The round is over, a round trip after it began. queued: round trips became longer, so that a queue dropped it. True: a policer did; cap is new, for hold ns. */
bool policer_end(struct policer *p, uint64_t now, bool queued, uint64_t hold);
/* bytes/s of payload that may leave; 0: as many as one likes. */
uint64_t policer_rate(struct policer *p, uint64_t now, uint64_t rtt);
