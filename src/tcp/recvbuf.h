// SPDX-License-Identifier: BSD-3-Clause
// Inside of the receiving side: what buffers cost. The doors for the other rooms are in tcp.h.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include "tcp/reassembly.h"
#include "tcp/tcb.h"

/* Bytes that one mbuf holds. */
static inline uint32_t recvbuf_seg_memory(const struct rte_mbuf *m)
{
    return (uint32_t)sizeof(*m) + m->buf_len;
}
static inline uint32_t recvbuf_memory(const struct rte_mbuf *m)
{
    uint32_t bytes = 0;
    for (; m; m = m->next)
        bytes += recvbuf_seg_memory(m);
    return bytes;
}
void recvbuf_charge(struct tcb *tp, uint32_t *memory, uint32_t bytes);
void recvbuf_uncharge(struct tcb *tp, uint32_t *memory, uint32_t bytes);
/* Buffers that a connection may hold: twice what the application asked for, and a little for the last ones. */
#define RECVBUF_SLACK 16384
static inline uint64_t recvbuf_limit(const struct tcb *tp)
{
    return 2 * (uint64_t)tp->rcv.hiwat + RECVBUF_SLACK;
}
/* May m be kept out of order? (In order: recvbuf_room.) */
bool recvbuf_room_reass(const struct tcb *tp, const struct rte_mbuf *m);

/* Puts len bytes in front of what is queued: they were read too early. -ENOBUFS. */
int recvbuf_prepend(struct tcb *tp, const void *data, uint32_t len);

/* A chain without its first n bytes; buffers that become empty are freed. NULL when nothing is left. */
struct rte_mbuf *pktchain_skip(struct rte_mbuf *m, uint32_t n);
/* Cuts a chain to its first len bytes. */
void pktchain_cut(struct rte_mbuf *m, uint32_t len);
