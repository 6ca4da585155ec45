// SPDX-License-Identifier: BSD-3-Clause
#include "engine/wheel.h"
#include <string.h>
#include <rte_common.h>

#define SLOT_MASK (WHEEL_SLOTS - 1)
#define SPAN_MAX                                                                                             \
    ((UINT64_C(1) << (WHEEL_LEVELS * WHEEL_BITS)) - 1) /* slots ahead that the wheel can hold apart */

void wheel_init(struct wheel *w, uint64_t now)
{
    memset(w, 0, sizeof(*w));
    w->tick = now / WHEEL_SLOT_NS + 1;
}

static void slot_insert(struct wheel *w, struct wheel_timer *t, uint64_t slot)
{
    uint64_t ahead = slot - w->tick;
    if (ahead > SPAN_MAX) {
        ahead = SPAN_MAX;
        slot = w->tick + SPAN_MAX;
    }
    unsigned level = ahead < WHEEL_SLOTS ? 0 : ahead < (UINT64_C(1) << (2 * WHEEL_BITS)) ? 1 : 2;
    unsigned i = (unsigned)(slot >> (level * WHEEL_BITS)) & SLOT_MASK;
    LIST_INSERT_HEAD(&w->slot[level][i], t, link);
    w->used[level][i / 64] |= UINT64_C(1) << (i % 64);
}

/* Takes t off its slot. The last of a slot is known by what points at it: the slot's head. */
static void slot_remove(struct wheel *w, struct wheel_timer *t)
{
    struct wheel_slot *head = (struct wheel_slot *)t->link.le_prev;
    bool last = !LIST_NEXT(t, link) && head >= w->slot[0] && head <= &w->slot[WHEEL_LEVELS - 1][SLOT_MASK];
    LIST_REMOVE(t, link);
    if (last) {
        unsigned i = (unsigned)(head - &w->slot[0][0]);
        w->used[i / WHEEL_SLOTS][i % WHEEL_SLOTS / 64] &= ~(UINT64_C(1) << (i % 64));
    }
}

static uint64_t slot_of(uint64_t deadline)
{
    return deadline / WHEEL_SLOT_NS + (deadline % WHEEL_SLOT_NS != 0);
}

void wheel_arm(struct wheel *w, struct wheel_timer *t, uint64_t deadline)
{
    if (wheel_timer_armed(t))
        slot_remove(w, t);
    else
        w->armed++;
    if (deadline == TIME_NEVER)
        deadline--; /* TIME_NEVER says "off the wheel" */
    uint64_t slot = slot_of(deadline), first = w->horizon ? w->horizon : w->tick;
    if (slot < first) {
        slot = first;
        deadline = first * WHEEL_SLOT_NS;
    }
    t->deadline = deadline;
    slot_insert(w, t, slot);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
    if (!wheel_timer_armed(t))
        return;
    slot_remove(w, t);
    t->deadline = TIME_NEVER;
    w->armed--;
}

/* Distance from index `from` to the first used one, going round; WHEEL_SLOTS: none. */
static unsigned used_after(const uint64_t used[WHEEL_SLOTS / 64], unsigned from)
{
    unsigned word = from / 64;
    uint64_t bits = used[word] & (UINT64_MAX << (from % 64));
    for (unsigned n = 0; n <= WHEEL_SLOTS / 64; n++) {
        if (bits) {
            unsigned i = word * 64 + (unsigned)__builtin_ctzll(bits);
            unsigned d = (i - from) & SLOT_MASK;
            /* Coming back to the first word, its bits below `from` are meant, which are the farthest. */
            return d;
        }
        word = (word + 1) % (WHEEL_SLOTS / 64);
        bits = used[word];
    }
    return WHEEL_SLOTS;
}

/* The first slot, from w->tick on, at which a timer is due or a block of a higher level must be spread; UINT64_MAX: none. */
static uint64_t next_slot(const struct wheel *w)
{
    if (w->armed == 0)
        return UINT64_MAX;
    uint64_t next = UINT64_MAX;
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        unsigned shift = level * WHEEL_BITS;
        /* A block of a higher level is spread when the tick enters it: the one that it is in has been, except at its very start. */
        uint64_t first = (w->tick + (UINT64_C(1) << shift) - 1) >> shift;
        unsigned d = used_after(w->used[level], (unsigned)first & SLOT_MASK);
        uint64_t slot = (first + d) << shift;
        if (d < WHEEL_SLOTS && slot < next)
            next = slot;
    }
    return next;
}

static void spread(struct wheel *w, unsigned level)
{
    unsigned i = (unsigned)(w->tick >> (level * WHEEL_BITS)) & SLOT_MASK;
    struct wheel_slot list = w->slot[level][i];
    if (!LIST_FIRST(&list))
        return;
    LIST_FIRST(&list)->link.le_prev = &list.lh_first;
    LIST_INIT(&w->slot[level][i]);
    w->used[level][i / 64] &= ~(UINT64_C(1) << (i % 64));
    struct wheel_timer *t;
    while ((t = LIST_FIRST(&list)) != NULL) {
        LIST_REMOVE(t, link);
        uint64_t slot = slot_of(t->deadline);
        slot_insert(w, t, slot > w->tick ? slot : w->tick);
    }
}

static void enter(struct wheel *w, uint64_t slot)
{
    w->tick = slot;
    for (unsigned level = WHEEL_LEVELS - 1; level > 0; level--) {
        if ((slot & ((UINT64_C(1) << (level * WHEEL_BITS)) - 1)) == 0)
            spread(w, level);
    }
}

unsigned wheel_advance(struct wheel *w, uint64_t now, unsigned budget)
{
    uint64_t target = now / WHEEL_SLOT_NS, slot;
    unsigned fired = 0;
    if (target < w->tick)
        return 0;
    w->horizon = target + 1;
    while ((slot = next_slot(w)) <= target) {
        enter(w, slot);
        uint64_t late = now - slot * WHEEL_SLOT_NS;
        struct wheel_timer *t;
        while ((t = LIST_FIRST(&w->slot[0][slot & SLOT_MASK])) != NULL) {
            if (fired == budget)
                goto out;
            slot_remove(w, t);
            t->deadline = TIME_NEVER;
            w->armed--;
            fired++;
            if (late > w->behind_max_ns)
                w->behind_max_ns = late;
            t->fire(t, now);
        }
        w->tick = slot + 1;
    }
    w->tick = target + 1;
out:
    w->horizon = 0;
    w->fired += fired;
    return fired;
}

uint64_t wheel_next(const struct wheel *w)
{
    uint64_t slot = next_slot(w);
    return slot == UINT64_MAX ? TIME_NEVER : slot * WHEEL_SLOT_NS;
}
