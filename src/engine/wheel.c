// SPDX-License-Identifier: BSD-3-Clause
#include "engine/wheel.h"
#include <string.h>
#include <rte_common.h>
#include <rte_prefetch.h>

/* A slot of level n is 1 << shift ticks; the level has 1 << bits of them. */
static const struct level {
    unsigned bits, shift, first; /* first: index of its first slot in wheel.slot */
} levels[WHEEL_LEVELS] = {{17, 0, 0}, {14, 10, 1u << 17}, {10, 20, (1u << 17) + (1u << 14)}};
#define SPAN_MAX      ((UINT64_C(1) << 30) - 1) /* ticks ahead that the wheel can hold apart */
#define ALL_SLOTS     RTE_DIM(((struct wheel *)0)->slot)
#define SPREAD_AT_ONE 64 /* far timers that come nearer in one advance, while they need not */
#define HINT_UNIT                                                                                            \
    16 /* bytes; the upper bits of an address are the same in one heap, and where not, the wrong memory is fetched */
#define FETCH_AHEAD 3 /* slots */
#define IDLE_MOST   (100 * NS_PER_MS)

/* ---- which slots are used ---- */

static __rte_always_inline void used_set(struct wheel_used *u, unsigned i)
{
    uint64_t before = u->slots[i / 64];
    u->slots[i / 64] = before | UINT64_C(1) << (i % 64);
    if (before == 0) {
        u->words[i / 4096] |= UINT64_C(1) << (i / 64 % 64);
        u->top |= UINT64_C(1) << (i / 4096);
    }
}

static void used_clear(struct wheel_used *u, unsigned i)
{
    if ((u->slots[i / 64] &= ~(UINT64_C(1) << (i % 64))) != 0)
        return;
    if ((u->words[i / 4096] &= ~(UINT64_C(1) << (i / 64 % 64))) == 0)
        u->top &= ~(UINT64_C(1) << (i / 4096));
}

#define NONE UINT32_MAX

static uint64_t from(uint64_t bits, unsigned i)
{
    return i < 64 ? bits & (UINT64_MAX << i) : 0;
}

/* The first used slot from i on, not going round. */
static unsigned used_from(const struct wheel_used *u, unsigned i)
{
    uint64_t bits = from(u->slots[i / 64], i % 64);
    unsigned word = i / 64, top = i / 4096;
    if (!bits) {
        uint64_t words = from(u->words[top], word % 64 + 1);
        if (!words) {
            uint64_t tops = from(u->top, top + 1);
            if (!tops)
                return NONE;
            top = (unsigned)__builtin_ctzll(tops);
            words = u->words[top];
        }
        word = top * 64 + (unsigned)__builtin_ctzll(words);
        bits = u->slots[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

/* The first used slot of a level whose first tick is not below w->tick, as a number that counts on; UINT64_MAX: none. */
static uint64_t used_next(const struct wheel *w, unsigned l)
{
    const struct level *v = &levels[l];
    uint64_t first = (w->tick + (UINT64_C(1) << v->shift) - 1) >> v->shift;
    unsigned mask = (1u << v->bits) - 1, at = (unsigned)first & mask;
    if (w->used[l].top == 0)
        return UINT64_MAX;
    unsigned i = used_from(&w->used[l], at);
    if (i == NONE)
        i = used_from(&w->used[l], 0);
    return first + ((i - at) & mask);
}

void wheel_init(struct wheel *w, uint64_t now)
{
    uint64_t *slots = w->used_slots, *words = w->used_words;
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        for (unsigned i; w->used[l].top && (i = used_from(&w->used[l], 0)) != NONE;
             used_clear(&w->used[l], i))
            LIST_INIT(&w->slot[levels[l].first + i]);
        w->used[l] = (struct wheel_used){.slots = slots, .words = words};
        slots += WHEEL_BITS(levels[l].bits);
        words += (WHEEL_BITS(levels[l].bits) + 63) / 64;
    }
    memset(w, 0, offsetof(struct wheel, used));
    w->tick = now / WHEEL_SLOT_NS;
    w->attend = w->far = w->far_at = TIME_NEVER;
}

/* ---- in and out ---- */

static __rte_always_inline void put(struct wheel *w, struct wheel_timer *t, unsigned l, uint64_t slot)
{
    unsigned i = (unsigned)(slot >> levels[l].shift) & ((1u << levels[l].bits) - 1);
    struct wheel_slot *to = &w->slot[levels[l].first + i];
    LIST_INSERT_HEAD(to, t, link);
    to->hint[w->hints] = (uint32_t)((uintptr_t)t / HINT_UNIT);
    w->hints = w->hints + 1 < WHEEL_HINTS ? w->hints + 1 : 0;
    used_set(&w->used[l], i);
}

/* It is seen to when it comes nearer: at which time, the next advance says. */
static void put_far(struct wheel *w, struct wheel_timer *t, uint64_t slot)
{
    if (slot - w->tick > SPAN_MAX)
        slot = w->tick + SPAN_MAX;
    unsigned l = (slot >> 10) - (w->tick >> 10) < 1u << 14 ? 1 : 2;
    uint64_t first = slot >> levels[l].shift << levels[l].shift;
    put(w, t, l, slot);
    w->far = RTE_MIN(w->far, first);
    w->far_at = w->attend = 0;
}

static void slot_insert(struct wheel *w, struct wheel_timer *t)
{
    uint64_t slot = t->deadline / WHEEL_SLOT_NS;
    if (slot < w->tick)
        slot = w->tick;
    if (__builtin_expect(slot - w->tick >= WHEEL_SLOTS, 0)) {
        put_far(w, t, slot);
        return;
    }
    put(w, t, 0, slot);
    if (t->deadline < w->attend)
        w->attend = t->deadline;
}

static unsigned level_of(unsigned i)
{
    return i < levels[1].first ? 0 : i < levels[2].first ? 1 : 2;
}

/* Takes t off its slot. The last of a slot is known by what points at it: the slot's head. */
static void slot_remove(struct wheel *w, struct wheel_timer *t)
{
    struct wheel_slot *head = (struct wheel_slot *)t->link.le_prev;
    bool last = !LIST_NEXT(t, link) && head >= w->slot && head < w->slot + ALL_SLOTS;
    LIST_REMOVE(t, link);
    if (last) {
        unsigned i = (unsigned)(head - w->slot), l = level_of(i);
        used_clear(&w->used[l], i - levels[l].first);
    }
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
    if (wheel_timer_armed(t))
        slot_remove(w, t);
    else
        w->armed++;
    if (deadline == TIME_NEVER)
        deadline--; /* TIME_NEVER says "off the wheel" */
    t->deadline = w->now && deadline <= w->now ? w->now + 1 : deadline;
    slot_insert(w, t);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_timer_armed(t))
        return;
    slot_remove(w, t);
    t->deadline = TIME_NEVER;
    w->armed--;
}

/* ---- time goes on ---- */

/* The first slot, from w->tick on, at which a block of a higher level must come nearer; UINT64_MAX: none. */
static uint64_t far_slot(const struct wheel *w)
{
    uint64_t next = UINT64_MAX;
    for (unsigned l = 1; l < WHEEL_LEVELS; l++) {
        uint64_t block = used_next(w, l);
        if (block != UINT64_MAX)
            next = RTE_MIN(next, block << levels[l].shift);
    }
    return next;
}

/* Up to most timers of a block of level l come nearer. */
static void spread(struct wheel *w, unsigned l, uint64_t block, unsigned most)
{
    struct wheel_slot *head = &w->slot[levels[l].first + ((unsigned)block & ((1u << levels[l].bits) - 1))];
    struct wheel_timer *t;
    while (most-- > 0 && (t = LIST_FIRST(head)) != NULL) {
        slot_remove(w, t);
        slot_insert(w, t);
    }
}

/* A block of a higher level is spread when the tick enters it, if it has not been before. */
static void enter(struct wheel *w, uint64_t slot)
{
    for (unsigned l = WHEEL_LEVELS - 1; l > 0; l--)
        if ((slot & ((UINT64_C(1) << levels[l].shift) - 1)) == 0)
            spread(w, l, slot >> levels[l].shift, UINT32_MAX);
}

/*
 * A block that lies within the level below may be spread, and is, a few timers at a time. Returns the time from which on something is to
 * be done for this level.
 */
static uint64_t spread_ahead(struct wheel *w, unsigned l)
{
    uint64_t block = used_next(w, l);
    if (block == UINT64_MAX)
        return TIME_NEVER;
    const struct level *below = &levels[l - 1];
    uint64_t end = (block + 1) << levels[l].shift, reach = UINT64_C(1) << (below->bits + below->shift);
    if (end > w->tick + reach)
        return (end - reach) * WHEEL_SLOT_NS;
    spread(w, l, block, SPREAD_AT_ONE);
    return 0;
}

/* ---- serving ---- */

static void count_late(struct wheel *w, uint64_t late, unsigned n)
{
    unsigned bucket = 0;
    if (__builtin_expect(late >= WHEEL_SLOT_NS, 0))
        bucket = 64u - (unsigned)__builtin_clzll(late / WHEEL_SLOT_NS);
    w->late[RTE_MIN(bucket, WHEEL_LATE_BUCKETS - 1u)] += n;
    if (late > w->behind_max_ns)
        w->behind_max_ns = late;
}

/* What a slot holds: how many are due, the earliest of them, the earliest that is not. */
struct view {
    unsigned n, due;
    uint64_t first, rest;
};

static struct view look_at(const struct wheel_slot *s, uint64_t now)
{
    struct view v = {.first = TIME_NEVER, .rest = TIME_NEVER};
    const struct wheel_timer *t;
    LIST_FOREACH (t, s, link) {
        v.n++;
        if (t->deadline <= now) {
            v.due++;
            v.first = RTE_MIN(v.first, t->deadline);
        } else {
            v.rest = RTE_MIN(v.rest, t->deadline);
        }
    }
    return v;
}

/* Takes what is due off the slot, into a list, at most so many. */
static void take_due(struct wheel *w, struct wheel_slot *s, uint64_t now, unsigned most,
                     struct wheel_slot *due)
{
    struct wheel_timer *t, *next;
    LIST_INIT(due);
    LIST_FOREACH_SAFE (t, s, link, next) {
        if (most == 0)
            break;
        if (t->deadline > now)
            continue;
        most--;
        slot_remove(w, t);
        LIST_INSERT_HEAD(due, t, link);
    }
}

static void take_all(struct wheel *w, struct wheel_slot *s, struct wheel_slot *due)
{
    due->lh_first = LIST_FIRST(s);
    due->lh_first->link.le_prev = &due->lh_first;
    LIST_INIT(s);
    used_clear(&w->used[0], (unsigned)(s - w->slot));
}

/* Fires the timers of a list; what is cancelled meanwhile leaves it. late: count each one's, else it is 0 slots. */
static void fire(struct wheel *w, struct wheel_slot *due, uint64_t now, bool late)
{
    struct wheel_timer *t;
    unsigned n = 0;
    while ((t = LIST_FIRST(due)) != NULL) {
        LIST_REMOVE(t, link);
        if (late)
            count_late(w, now - t->deadline, 1);
        t->deadline = TIME_NEVER;
        w->armed--;
        n++;
        t->fire(t, now);
    }
    w->fired += n;
    w->late[0] += late ? 0 : n;
}

/* Fires what the slot holds and is due; what is armed meanwhile waits for the next advance. Returns whether that was all: else the budget is spent. */
static bool serve(struct wheel *w, uint64_t slot, uint64_t now, unsigned *budget)
{
    struct wheel_slot *s = &w->slot[slot & (WHEEL_SLOTS - 1)], due;
    struct view v = look_at(s, now);
    bool late = v.due > 0 && now - v.first >= WHEEL_SLOT_NS, all = v.due <= *budget;
    if (v.rest < w->attend)
        w->attend = v.rest;
    if (v.due == 0)
        return true;
    if (v.due == v.n && all)
        take_all(w, s, &due);
    else
        take_due(w, s, now, *budget, &due);
    *budget -= all ? v.due : *budget;
    if (!late && now - v.first > w->behind_max_ns)
        w->behind_max_ns = now - v.first;
    fire(w, &due, now, late);
    return all;
}

/*
 * The memory of timers that are due in the next slots comes while others are served: a list of timers that lie far apart would cost a cache miss each, one
 * after the other.
 */
static void fetch(struct wheel *w, uint64_t slot)
{
    uintptr_t high = (uintptr_t)LIST_FIRST(&w->slot[slot & (WHEEL_SLOTS - 1)]) &
                     ~(uintptr_t)(UINT32_MAX * UINT64_C(16) + 15);
    const struct wheel_slot *s = &w->slot[slot & (WHEEL_SLOTS - 1)];
    if (!LIST_FIRST(s))
        return;
    for (unsigned i = 0; i < WHEEL_HINTS; i++)
        rte_prefetch0((const void *)(high | (uintptr_t)s->hint[i] * HINT_UNIT));
}

static void fetch_ahead(struct wheel *w, uint64_t slot)
{
    uint64_t first = RTE_MAX(w->fetched, slot);
    while (first < slot + FETCH_AHEAD)
        fetch(w, first++);
    w->fetched = first;
}

/* Far timers come nearer when it is their time, and a few of them earlier. */
static void look_far(struct wheel *w)
{
    w->far_at = TIME_NEVER;
    for (unsigned l = 1; l < WHEEL_LEVELS; l++) {
        uint64_t at = spread_ahead(w, l);
        w->far_at = RTE_MIN(w->far_at, at);
    }
    w->far = far_slot(w);
}

/* Serves every slot up to target. Returns whether the budget was enough. */
static bool serve_until(struct wheel *w, uint64_t target, uint64_t now, unsigned *budget)
{
    for (;;) {
        uint64_t slot = RTE_MIN(used_next(w, 0), w->far);
        if (slot > target) {
            w->attend = RTE_MIN(w->attend, slot * WHEEL_SLOT_NS);
            return true;
        }
        fetch_ahead(w, slot);
        w->tick = slot;
        if (slot == w->far) {
            enter(w, slot);
            w->far = far_slot(w);
        }
        if (!serve(w, slot, now, budget))
            return false;
        if (slot == target && w->attend < (slot + 1) * WHEEL_SLOT_NS)
            return true;
        w->tick = slot + 1;
    }
}

unsigned wheel_advance(struct wheel *w, uint64_t now, unsigned budget)
{
    if (now < w->attend)
        return 0;
    uint64_t target = now / WHEEL_SLOT_NS;
    uint64_t before = w->fired;
    w->wraps += target > w->tick + WHEEL_SLOTS;
    w->attend = now + IDLE_MOST; /* the tick does not stay behind for long */
    w->now = now;
    if (serve_until(w, target, now, &budget)) {
        w->tick = target;
        if (now >= w->far_at)
            look_far(w);
        w->attend = RTE_MIN(w->attend, w->far_at);
    } else {
        w->attend = 0;
        w->unfinished++;
    }
    w->now = 0;
    w->runs += w->fired > before;
    return (unsigned)(w->fired - before);
}

uint64_t wheel_next(const struct wheel *w)
{
    uint64_t near = used_next(w, 0), far = far_slot(w), at = TIME_NEVER;
    const struct wheel_timer *t;
    if (far <= near)
        return far == UINT64_MAX ? TIME_NEVER : far * WHEEL_SLOT_NS;
    LIST_FOREACH (t, &w->slot[near & (WHEEL_SLOTS - 1)], link)
        at = RTE_MIN(at, t->deadline);
    return at;
}

uint64_t wheel_late(const struct wheel *w, double share)
{
    uint64_t all = 0, sum = 0;
    for (unsigned i = 0; i < WHEEL_LATE_BUCKETS; i++)
        all += w->late[i];
    for (unsigned i = 0; i < WHEEL_LATE_BUCKETS; i++) {
        sum += w->late[i];
        if (all > 0 && (double)sum >= share * (double)all)
            return i + 1 < WHEEL_LATE_BUCKETS ? (UINT64_C(1) << i) * WHEEL_SLOT_NS : w->behind_max_ns;
    }
    return 0;
}
