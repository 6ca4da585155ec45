// SPDX-License-Identifier: BSD-3-Clause
// An engine's clock: the time-stamp counter, steered so that it neither drifts from CLOCK_MONOTONIC nor
// ever steps back.
#pragma once
#include <stdint.h>

struct clock {
    uint64_t base_tsc, base_ns; /* now = base_ns + (tsc - base_tsc) * rate */
    uint64_t rate;              /* ns per tick, 32.32 fixed point */
    uint64_t sync_tsc;          /* when to compare with CLOCK_MONOTONIC again */
    uint64_t sync_ticks;        /* between comparisons: about 100 ms */
    uint64_t mono_tsc, mono_ns; /* at the last comparison */
};

void clock_start(struct clock *c, uint64_t tsc, uint64_t mono_ns, uint64_t tsc_hz);
/* Compares and sets the rate so that the next comparison finds no difference. */
void clock_steer(struct clock *c, uint64_t tsc, uint64_t mono_ns);
static inline uint64_t clock_at(const struct clock *c, uint64_t tsc)
{
    return c->base_ns + (uint64_t)(((unsigned __int128)(tsc - c->base_tsc) * c->rate) >> 32);
}
/* For struct engine_env: arg is the clock. */
uint64_t clock_read(void *arg);
