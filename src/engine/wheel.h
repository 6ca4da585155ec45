// SPDX-License-Identifier: BSD-3-Clause
// Timing wheel (Varghese, Lauck 1987), FreeBSD's hpts: slots of 10 us, 1.31 s of them apart; what is farther (to 2.98 hours) waits in slots of 10.24 ms
// and 10.49 s and comes nearer a few at a time, long before it is due, so that no slot is ever late for it. Carries protocol timers and
// paced sends. Insert, remove and re-arm are O(1) without allocation: the timer is a member of what it times. A timer never fires
// early; it fires at the first advance at which its deadline has come, not at the end of the slot. docs/hpts.md
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/queue.h"
#include "base/units.h"

#define WHEEL_SLOT_NS (10 * NS_PER_US)
#define WHEEL_LEVELS  3
#define WHEEL_SLOTS   (1u << 17) /* of the lowest level */

struct wheel_timer;
typedef void (*wheel_fn)(struct wheel_timer *t, uint64_t now);

struct wheel_timer {
    LIST_ENTRY(wheel_timer) link;
    uint64_t deadline; /* ns; TIME_NEVER while it is on no slot */
    wheel_fn
        fire; /* set by wheel_timer_init; the timer is off the wheel when it is called and may be armed again */
};
/* hint: where timers armed last lie, for fetching their memory before they are due. Never followed: they may be gone. */
#define WHEEL_HINTS 14
struct wheel_slot {
    struct wheel_timer *lh_first; /* as LIST_HEAD has it */
    uint32_t hint[WHEEL_HINTS];
};

/* Which slots of a level hold a timer: a bit each, and which words of the row below are not 0. */
#define WHEEL_BITS(bits) ((1u << (bits)) / 64)
struct wheel_used {
    uint64_t *slots, *words;
    uint64_t top;
};

#define WHEEL_LATE_BUCKETS 16 /* slots late: 0, 1, 2-3, 4-7, ... 16384 and more */

struct wheel {
    uint64_t attend;  /* ns: nothing is to be done before */
    uint64_t tick;    /* slots below it are empty */
    uint64_t now;     /* while an advance is on: its time; else 0 */
    uint64_t fetched; /* the timers of slots below it have been fetched */
    uint64_t far;     /* no block of a higher level must come nearer before this slot, */
    uint64_t far_at;  /* and none may before this time, ns */
    uint32_t armed;   /* timers on the wheel */
    uint32_t hints;   /* which hint of a slot is written next */
    /* Counters. */
    uint64_t fired;
    uint64_t behind_max_ns;            /* the most a timer was late */
    uint64_t wraps;                    /* advances that were more than the lowest level late */
    uint64_t unfinished;               /* advances that left due timers to the next, for their budget */
    uint64_t runs;                     /* advances that fired */
    uint64_t late[WHEEL_LATE_BUCKETS]; /* timers by how many slots late they were served */
    struct wheel_used used[WHEEL_LEVELS];
    uint64_t used_slots[WHEEL_BITS(17) + WHEEL_BITS(14) + WHEEL_BITS(10)];
    uint64_t used_words[32 + 4 + 1];
    struct wheel_slot slot[(1u << 17) + (1u << 14) + (1u << 10)];
};

/* w is zeros, or was a wheel before. */
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
/* No timer fires before this time; TIME_NEVER when empty. Exact for deadlines up to a second ahead; for later ones it may name the earlier
 * time at which they cascade. */
uint64_t wheel_next(const struct wheel *w);
/* The most that the share (0..1) of the timers so far was late by, ns: the upper edge of its bucket of late[]. */
uint64_t wheel_late(const struct wheel *w, double share);
