// SPDX-License-Identifier: BSD-3-Clause
// Several segments of one window timed at a time: HyStart++ wants eight samples of a round, where the RTO needs one (rto.h).
#pragma once
#include "tcp/stack.h"

#define RTT_RING 8

struct rtt_ring {
    uint8_t first, n;
    struct {
        tcp_seq end;
        uint32_t at_us; /* low bits of the time it left */
    } slot[RTT_RING];
};

static inline void rtt_ring_clear(struct rtt_ring *r)
{
    r->n = 0;
}
/* New data left. One of those that leave at the same time is enough. */
static inline void rtt_ring_sent(struct rtt_ring *r, const struct tcp_sent *s)
{
    uint32_t at = (uint32_t)(s->now / 1000);
    unsigned last = (r->first + r->n + RTT_RING - 1u) % RTT_RING;
    if (r->n == RTT_RING || (r->n > 0 && r->slot[last].at_us == at))
        return;
    unsigned next = (r->first + r->n++) % RTT_RING;
    r->slot[next].end = s->seq + s->len;
    r->slot[next].at_us = at;
}
/* ns, of the newest that the ACK covers; 0 = none */
static inline uint64_t rtt_ring_acked(struct rtt_ring *r, const struct tcp_ack *a)
{
    uint64_t rtt = 0;
    while (r->n > 0 && seq_leq(r->slot[r->first].end, a->ack)) {
        rtt = (uint64_t)((uint32_t)(a->now / 1000) - r->slot[r->first].at_us) * 1000;
        r->first = (uint8_t)((r->first + 1) % RTT_RING);
        r->n--;
    }
    return rtt;
}
