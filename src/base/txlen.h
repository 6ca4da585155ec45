// SPDX-License-Identifier: BSD-3-Clause
// Header lengths of a packet on its way out, written as one word. Bit fields are stored in bytes, and a driver's (or netif's) load of more than
// one of them then waits until every store before them has left the core, those into the packet's cold buffer too.
#pragma once
#include <stdint.h>
#include <rte_mbuf.h>

static inline void pkt_set_l2_len(struct rte_mbuf *m, uint64_t len)
{
    m->tx_offload = (m->tx_offload & ~(((uint64_t)1 << RTE_MBUF_L2_LEN_BITS) - 1)) | len;
}

static inline void pkt_set_l3_len(struct rte_mbuf *m, uint64_t len)
{
    const uint64_t mask = ((uint64_t)1 << RTE_MBUF_L3_LEN_BITS) - 1;
    m->tx_offload = (m->tx_offload & ~(mask << RTE_MBUF_L2_LEN_BITS)) | len << RTE_MBUF_L2_LEN_BITS;
}

static inline void pkt_set_tso_segsz(struct rte_mbuf *m, uint64_t size)
{
    const unsigned at = RTE_MBUF_L2_LEN_BITS + RTE_MBUF_L3_LEN_BITS + RTE_MBUF_L4_LEN_BITS;
    const uint64_t mask = ((uint64_t)1 << RTE_MBUF_TSO_SEGSZ_BITS) - 1;
    m->tx_offload = (m->tx_offload & ~(mask << at)) | size << at;
}
