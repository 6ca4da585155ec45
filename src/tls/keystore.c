// SPDX-License-Identifier: BSD-3-Clause
// Memory for keys: whole pages, locked in RAM where the process may, left out of core dumps, wiped piece by piece when given back.
#include <string.h>
#include <sys/mman.h>
#include <rte_common.h>
#include "base/alloc.h"
#include "base/queue.h"
#include "tls/keystore.h"

#define PAGE_BYTES 16384u

union slot {
    struct tls_keys keys;
    union slot *next;
};

struct page {
    SLIST_ENTRY(page) link;
    union slot *slots;
};

struct tls_keystore {
    SLIST_HEAD(, page) pages;
    union slot *free_list;
    uint64_t unlocked;
    uint32_t used;
};

struct tls_keystore *tls_keystore_new(void)
{
    return mem_alloc(sizeof(struct tls_keystore));
}

void tls_keystore_free(struct tls_keystore *ks)
{
    struct page *p;
    if (!ks)
        return;
    RTE_ASSERT(ks->used == 0);
    while ((p = SLIST_FIRST(&ks->pages)) != NULL) {
        SLIST_REMOVE_HEAD(&ks->pages, link);
        munmap(p->slots, PAGE_BYTES);
        mem_free(p);
    }
    mem_free(ks);
}

uint64_t tls_keystore_unlocked(const struct tls_keystore *ks)
{
    return ks->unlocked;
}

static void *locked_pages(struct tls_keystore *ks)
{
    if (fault_now())
        return NULL;
    void *mem = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED)
        return NULL;
    if (mlock(mem, PAGE_BYTES) < 0)
        ks->unlocked++;
    madvise(mem, PAGE_BYTES, MADV_DONTDUMP);
    return mem;
}

static bool grow(struct tls_keystore *ks)
{
    struct page *p = mem_alloc(sizeof(*p));
    union slot *slots = p ? locked_pages(ks) : NULL;
    if (!slots) {
        mem_free(p);
        return false;
    }
    p->slots = slots;
    SLIST_INSERT_HEAD(&ks->pages, p, link);
    for (unsigned i = 0; i < PAGE_BYTES / sizeof(*slots); i++) {
        slots[i].next = ks->free_list;
        ks->free_list = &slots[i];
    }
    return true;
}

struct tls_keys *tls_keys_get(struct tls_keystore *ks)
{
    if (!ks->free_list && !grow(ks))
        return NULL;
    union slot *s = ks->free_list;
    ks->free_list = s->next;
    ks->used++;
    memset(s, 0, sizeof(*s));
    return &s->keys;
}

void tls_keys_put(struct tls_keystore *ks, struct tls_keys *k)
{
    union slot *s = (union slot *)k;
    explicit_bzero(s, sizeof(*s));
    s->next = ks->free_list;
    ks->free_list = s;
    ks->used--;
}
