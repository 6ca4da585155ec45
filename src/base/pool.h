// SPDX-License-Identifier: BSD-3-Clause
// Fixed-size objects of one engine: grows by slabs up to a limit, never shrinks below what is used, no lock.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct pool_slab;
struct pool_free;
struct pool {
    const char *name;  /* for messages */
    size_t size;       /* bytes of one object, rounded up to 64 */
    uint32_t limit;    /* objects at most; may be changed at any time (existing ones stay) */
    uint32_t per_slab; /* objects added at a time */
    uint32_t used;     /* objects handed out */
    uint32_t made;     /* objects in all slabs */
    uint32_t high;     /* most ever used */
    uint64_t failures; /* pool_get() calls that gave NULL */
    struct pool_free *free_list;
    struct pool_slab *slabs;
};

void pool_init(struct pool *p, const char *name, size_t size, uint32_t limit, uint32_t per_slab);
/* Frees every slab. All objects must have come back: asserts used == 0 in debug builds. */
void pool_fini(struct pool *p);
/* A free object: the link to the next stands in it. */
struct pool_free {
    struct pool_free *next;
};

/* Grows, refuses, and (fault injection) fails when a test says so. */
void *pool_get_slowly(struct pool *p);

static inline void *pool_take(struct pool *p)
{
    struct pool_free *o = p->free_list;
    p->free_list = o->next;
    if (++p->used > p->high)
        p->high = p->used;
    return o;
}
/* A cache-line aligned object with unspecified content, or NULL (limit, memory, injected fault). O(1). */
static inline void *pool_get(struct pool *p)
{
#ifndef LEAT_FAULT_INJECTION
    if (__builtin_expect(p->free_list && p->used < p->limit, 1))
        return pool_take(p);
#endif
    return pool_get_slowly(p);
}
static inline void pool_put(struct pool *p, void *object)
{
    struct pool_free *o = object;
    o->next = p->free_list;
    p->free_list = o;
    p->used--;
}
