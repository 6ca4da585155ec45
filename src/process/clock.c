// SPDX-License-Identifier: BSD-3-Clause
#include "process/clock.h"
#include <stdbool.h>
#include <time.h>
#include <rte_cycles.h>
#include "base/units.h"

#define SYNC_NS  (100 * NS_PER_MS)
#define READINGS 3
/* Differences are worked off over the next period, but the clock runs at no less than half and no more than
 * twice its speed. Beyond this (the machine slept) it jumps forward. */
#define JUMP_NS (50 * NS_PER_MS)

static uint64_t rate_of(uint64_t ns, uint64_t ticks)
{
    return (uint64_t)(((unsigned __int128)ns << 32) / ticks);
}

void clock_start(struct clock *c, uint64_t tsc, uint64_t mono_ns, uint64_t tsc_hz)
{
    *c = (struct clock){.base_tsc = tsc, .base_ns = mono_ns, .mono_tsc = tsc, .mono_ns = mono_ns};
    c->rate = rate_of(NS_PER_SEC, tsc_hz);
    c->sync_ticks = tsc_hz / (NS_PER_SEC / SYNC_NS);
    c->sync_tsc = tsc + c->sync_ticks;
}

void clock_steer(struct clock *c, uint64_t tsc, uint64_t mono_ns)
{
    uint64_t ours = clock_at(c, tsc), ticks = tsc - c->mono_tsc;
    uint64_t speed = ticks ? rate_of(mono_ns - c->mono_ns, ticks) : c->rate;
    uint64_t period = (uint64_t)(((unsigned __int128)c->sync_ticks * speed) >> 32);
    int64_t behind = (int64_t)(mono_ns - ours);

    if (behind > (int64_t)JUMP_NS) { /* what was measured is no speed */
        ours = mono_ns;
        behind = 0;
        speed = c->rate;
        period = (uint64_t)(((unsigned __int128)c->sync_ticks * speed) >> 32);
    }
    if (behind < -(int64_t)(period / 2))
        behind = -(int64_t)(period / 2);
    else if (behind > (int64_t)period)
        behind = (int64_t)period;
    c->base_tsc = tsc;
    c->base_ns = ours;
    c->mono_tsc = tsc;
    c->mono_ns = mono_ns;
    c->rate = rate_of(period + behind, c->sync_ticks);
    c->sync_tsc = tsc + c->sync_ticks;
}

static uint64_t monotonic(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
}

/* Both clocks at one moment: the reading that was interrupted least. */
static void steer_now(struct clock *c)
{
    uint64_t best = UINT64_MAX, tsc = 0, mono = 0;

    for (int i = 0; i < READINGS; i++) {
        uint64_t before = rte_rdtsc(), ns = monotonic(), took = rte_rdtsc() - before;

        if (took < best) {
            best = took;
            tsc = before + took / 2;
            mono = ns;
        }
    }
    clock_steer(c, tsc, mono);
}

uint64_t clock_read(void *arg)
{
    struct clock *c = arg;
    uint64_t tsc = rte_rdtsc();

    if (__builtin_expect(tsc >= c->sync_tsc, 0))
        steer_now(c);
    /* Where another core's counter lags, time stands still until it has caught up. */
    return tsc > c->base_tsc ? clock_at(c, tsc) : c->base_ns;
}
