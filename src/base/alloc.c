// SPDX-License-Identifier: BSD-3-Clause
#include "base/alloc.h"
#include <stdlib.h>

#ifdef LEAT_FAULT_INJECTION
__thread int64_t fault_countdown = -1;
__thread int64_t fault_run = 1;
__thread uint64_t fault_seen;

bool fault_now(void)
{
    fault_seen++;
    if (fault_countdown < 0)
        return false;
    if (fault_countdown > 1) {
        fault_countdown--;
        return false;
    }
    if (--fault_run <= 0)
        fault_countdown = -1;
    return true;
}
#endif

void pkt_free_slowly(struct rte_mbuf *m)
{
    rte_pktmbuf_free(m);
}

void *mem_alloc(size_t size)
{
    return fault_now() ? NULL : calloc(1, size);
}

void mem_free(void *p)
{
    free(p);
}
