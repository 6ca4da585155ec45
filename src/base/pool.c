// SPDX-License-Identifier: BSD-3-Clause
#include "base/pool.h"
#include <assert.h>
#include <stdlib.h>
#include "base/alloc.h"

#define POOL_ALIGN 64u

struct pool_slab {
    struct pool_slab *next;
};

void pool_init(struct pool *p, const char *name, size_t size, uint32_t limit, uint32_t per_slab)
{
    *p = (struct pool){
        .name = name,
        .size = (size + POOL_ALIGN - 1) & ~(size_t)(POOL_ALIGN - 1),
        .limit = limit,
        .per_slab = per_slab,
    };
}

void pool_fini(struct pool *p)
{
    assert(p->used == 0);
    while (p->slabs) {
        struct pool_slab *s = p->slabs;
        p->slabs = s->next;
        free(s);
    }
    p->free_list = NULL;
    p->made = 0;
}

static void pool_grow(struct pool *p)
{
    uint32_t n = p->limit - p->made < p->per_slab ? p->limit - p->made : p->per_slab;
    struct pool_slab *s = fault_now() ? NULL : aligned_alloc(POOL_ALIGN, POOL_ALIGN + n * p->size);
    if (!s)
        return;
    s->next = p->slabs;
    p->slabs = s;
    p->made += n;
    char *at = (char *)s + POOL_ALIGN + n * p->size;
    while (n-- > 0) {
        at -= p->size;
        struct pool_free *o = (struct pool_free *)at;
        o->next = p->free_list;
        p->free_list = o;
    }
}

void *pool_get_slowly(struct pool *p)
{
    if (!p->free_list && p->made < p->limit)
        pool_grow(p);
    if (!p->free_list || p->used >= p->limit || fault_now()) {
        p->failures++;
        return NULL;
    }
    return pool_take(p);
}
