// SPDX-License-Identifier: BSD-3-Clause
// Inside of demux.c and ports.c; the doors for the other rooms are in tcp.h.
#pragma once
#include <stdint.h>
#include "base/pool.h"
#include "base/queue.h"
#include "tcp/tcp.h"

/* A local port that somebody holds. */
struct tcp_port {
    LIST_HEAD(, tcb) bound; /* by bind(): listeners, and connections made from bound sockets */
    LIST_HEAD(, tcb) conns; /* passive connections, and active ones with a port chosen for them */
};

#define DEMUX_PORT_COUNTERS 256 /* RFC 6056 §3.3.4: TABLE_LENGTH */

struct demux {
    struct tcb **table;
    struct tcb **old; /* while the table doubles: buckets from moved on are still there */
    uint32_t mask, old_mask, moved;
    uint32_t n;              /* connections in the table */
    uint32_t retry;          /* after a failed doubling: not before n is this */
    struct tcp_port **ports; /* by port, host order; NULL: free */
    struct pool held;        /* of struct tcp_port */
    uint32_t port_counter[DEMUX_PORT_COUNTERS];
};

static inline struct tcb **demux_bucket(const struct demux *d, uint32_t hash)
{
    if (d->old && (hash & d->old_mask) >= d->moved)
        return &d->old[hash & d->old_mask];
    return &d->table[hash & d->mask];
}

/* tp (lport set) goes into its port's list of connections unless it holds the port by bind. 0, -ENOMEM. */
int ports_use(struct tcp_layer *t, struct tcb *tp);
void ports_release(struct tcp_layer *t, struct tcb *tp);
