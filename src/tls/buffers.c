// SPDX-License-Identifier: BSD-3-Clause
// Buffers for whole records, in DPDK's memory. They grow by slabs and are kept.
#include <rte_malloc.h>
#include "base/alloc.h"
#include "tls/tls.h"

#define SLAB_BYTES (288u * 1024)

static const uint32_t sizes[TLS_BUFFER_SIZES] = {512, 4608, (TLS_RECORD_MAX + 63) & ~63u};

struct slab {
    struct slab *next;
};

/* A buffer that nobody has. Its address on the bus is found once. */
struct tls_buffer {
    struct tls_buffer *next;
    rte_iova_t iova;
};

void tls_buffers_init(struct tls_layer *l)
{
    for (unsigned i = 0; i < TLS_BUFFER_SIZES; i++)
        l->buffers[i] = (struct tls_buffers){.size = sizes[i]};
}

void tls_buffers_fini(struct tls_layer *l)
{
    for (unsigned i = 0; i < TLS_BUFFER_SIZES; i++) {
        while (l->buffers[i].slabs) {
            struct slab *s = l->buffers[i].slabs;
            l->buffers[i].slabs = s->next;
            rte_free(s);
        }
    }
}

static void grow(struct tls_buffers *b)
{
    struct slab *s = fault_now() ? NULL : rte_malloc("leat_tls", SLAB_BYTES, RTE_CACHE_LINE_SIZE);
    if (!s)
        return;
    s->next = b->slabs;
    b->slabs = s;
    rte_iova_t iova = rte_malloc_virt2iova(s);
    for (uint32_t at = RTE_CACHE_LINE_SIZE; at + b->size <= SLAB_BYTES; at += b->size) {
        struct tls_buffer *f = (struct tls_buffer *)((uint8_t *)s + at);
        *f = (struct tls_buffer){b->free_list, iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : iova + at};
        b->free_list = f;
    }
}

uint8_t *tls_buffer_get(struct tls_layer *l, uint32_t size, uint8_t *which, rte_iova_t *iova)
{
    uint8_t i = 0;
    while (l->buffers[i].size < size)
        i++;
    struct tls_buffers *b = &l->buffers[i];
    if (!b->free_list)
        grow(b);
    struct tls_buffer *f = b->free_list;
    if (!f)
        return NULL;
    b->free_list = f->next;
    *which = i;
    *iova = f->iova;
    return (uint8_t *)f;
}

void tls_buffer_put(struct tls_layer *l, uint8_t *buf, uint8_t which, rte_iova_t iova)
{
    struct tls_buffer *f = (struct tls_buffer *)buf;
    *f = (struct tls_buffer){l->buffers[which].free_list, iova};
    l->buffers[which].free_list = f;
}
