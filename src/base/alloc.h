// SPDX-License-Identifier: BSD-3-Clause
// The only doors to memory in the house, so that every allocation can be limited, counted and made to fail by a test.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
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

/* Gives a packet back; quick for the usual one, whose only buffer nobody else holds. */
static inline void pkt_free(struct rte_mbuf *m)
{
    if (m->next == NULL && RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1 && m->nb_segs == 1)
        rte_mbuf_raw_free(m);
    else
        rte_pktmbuf_free(m);
}

/* A packet buffer with the pool's headroom, or NULL. The caller counts the failure. */
static inline struct rte_mbuf *pkt_alloc(struct rte_mempool *pool)
{
    return __builtin_expect(fault_now(), 0) ? NULL : rte_pktmbuf_alloc(pool);
}
