// SPDX-License-Identifier: BSD-3-Clause
// The only doors to memory in the house, so that every allocation can be limited, counted and made to fail by a test.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

/*
 * Fault injection (meson -Dfault_injection=true; nothing otherwise): the test sets fault_countdown to n, the
 * n-th allocation from then on fails, and so do the following (fault_run - 1). Counts down over all doors below
 * and over pool_get().
 */
#ifdef LEAT_FAULT_INJECTION
extern __thread int64_t fault_countdown; /* -1 = off, and then only counts in fault_seen */
extern __thread int64_t fault_run;
extern __thread uint64_t fault_seen; /* allocation points passed */
bool fault_now(void);
#else
static inline bool fault_now(void)
{
    return false;
}
#endif

/* Zeroed memory, or NULL. Not for the packet path. */
void *mem_alloc(size_t size);
void mem_free(void *p);

/*
 * One packet buffer from and to the thread's cache of the pool: what rte_mempool_get() and _put() do of any number of objects, in
 * a third of their instructions.
 */
static inline struct rte_mbuf *pkt_uncache(struct rte_mempool *pool)
{
    struct rte_mempool_cache *c = rte_mempool_default_cache(pool, rte_lcore_id());
    return __builtin_expect(c && c->len > 0, 1) ? c->objs[--c->len] : NULL;
}
static inline bool pkt_cache(struct rte_mbuf *m)
{
    struct rte_mempool_cache *c = rte_mempool_default_cache(m->pool, rte_lcore_id());
    if (__builtin_expect(!c || c->len >= c->flushthresh, 0))
        return false;
    c->objs[c->len++] = m;
    return true;
}

/* rte_pktmbuf_free(), of which every caller of pkt_free() would have a copy otherwise. */
void pkt_free_slowly(struct rte_mbuf *m);

/* Gives a packet back; quick for the usual one, whose only buffer nobody else holds. */
static inline void pkt_free(struct rte_mbuf *m)
{
    bool alone = m->next == NULL && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 && m->nb_segs == 1;
    if (!alone || !pkt_cache(m))
        pkt_free_slowly(m);
}

/* A packet buffer with the pool's headroom, or NULL. The caller counts the failure. */
static inline struct rte_mbuf *pkt_alloc(struct rte_mempool *pool)
{
    if (__builtin_expect(fault_now(), 0))
        return NULL;
    struct rte_mbuf *m = pkt_uncache(pool);
    if (__builtin_expect(!m, 0))
        return rte_pktmbuf_alloc(pool);
    /* rte_pktmbuf_reset() by words: what a buffer in the pool is known to hold is not written. */
    m->data_off = RTE_PKTMBUF_HEADROOM;
    m->port = RTE_MBUF_PORT_INVALID;
    m->ol_flags = 0;
    m->packet_type = 0;
    m->pkt_len = 0;
    m->data_len = 0;
    m->tx_offload = 0;
    return m;
}
