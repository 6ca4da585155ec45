// SPDX-License-Identifier: BSD-3-Clause
// Timing wheel (Varghese, Lauck 1987): three levels of 1,024 slots, 10 us each at the lowest, so 10 us to 2.98 hours.
// Carries protocol timers and paced sends. Insert, remove and re-arm are O(1) without allocation: the timer is a
// member of what it times. A timer never fires early; it fires in the slot after its deadline's.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/queue.h"
#include "base/units.h"

#define WHEEL_SLOT_NS (10 * NS_PER_US)
#define WHEEL_LEVELS  3
#define WHEEL_BITS    10
#define WHEEL_SLOTS   (1u << WHEEL_BITS)

struct wheel_timer;
typedef void (*wheel_fn)(struct wheel_timer *t, uint64_t now);

struct wheel_timer {
    LIST_ENTRY(wheel_timer) link;
    uint64_t deadline; /* ns; TIME_NEVER while it is on no slot */
    wheel_fn
        fire; /* set by wheel_timer_init; the timer is off the wheel when it is called and may be armed again */
};
LIST_HEAD(wheel_slot, wheel_timer);

struct wheel {
    uint64_t tick;          /* the next slot to be served: every slot below has been */
    uint64_t horizon;       /* while an advance is on: the first slot that is not its own */
    uint32_t armed;         /* timers on the wheel */
    uint64_t fired;         /* counter */
    uint64_t behind_max_ns; /* the most an advance found itself late */
    uint64_t used[WHEEL_LEVELS][WHEEL_SLOTS / 64]; /* which slots hold a timer */
    struct wheel_slot slot[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now);
static inline void wheel_timer_init(struct wheel_timer *t, wheel_fn fire)
{
    t->deadline = TIME_NEVER;
    t->fire = fire;
}
static inline bool wheel_timer_armed(const struct wheel_timer *t)
{
    return t->deadline != TIME_NEVER;
}
/* Arms or re-arms. A deadline in the past fires at the next advance; one beyond 2.98 h is kept and cascades. */
void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline);
void wheel_cancel(struct wheel *w, struct wheel_timer *t);
/* Fires what is due at now, at most budget timers (the rest at the next call). Returns how many fired. Timers armed
 * by a firing timer with a deadline <= now wait for the next call: nothing recurses. */
unsigned wheel_advance(struct wheel *w, uint64_t now, unsigned budget);
/* No timer fires before this time; TIME_NEVER when empty. Exact within one slot for deadlines up to 10 ms ahead; for later
 * ones it may name the earlier time at which they cascade. */
uint64_t wheel_next(const struct wheel *w);
