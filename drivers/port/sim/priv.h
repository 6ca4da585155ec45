// SPDX-License-Identifier: BSD-3-Clause
// Among the files of the simulator.
#pragma once
#include "base/queue.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "link/port.h"
#include "port/sim/sim.h"

struct rte_mempool;

/* Packets that have arrived and wait to be taken: a ring that grows. */
struct sim_queue {
    struct rte_mbuf **pkts;
    uint32_t head, n, room;
};

/* One end of a link. Of a stub's far end only the queue is used. */
struct sim_end {
    struct port port; /* first */
    struct sim_link *link;
    struct sim_node *node; /* NULL: the test */
    struct netif *netif;
    struct sim_queue rx;
    bool hold_tx;
    /* The direction that leaves here. */
    struct sim_wire wire;
    struct sim_wire_stats stats;
    struct rng rng;
    uint64_t sent;       /* packets, for wire.lose */
    uint64_t busy_until; /* the rate's clock */
    uint64_t last_arrival;
    uint64_t policed_at;   /* when the policer's bucket was filled last */
    double tokens_missing; /* bytes, then: a bucket begins full */
    uint32_t queued_packets, queued_bytes;
    bool burst_bad;
};

struct sim_link {
    STAILQ_ENTRY(sim_link) list;
    struct sim *sim;
    struct sim_end end[2];
};

struct sim_node {
    STAILQ_ENTRY(sim_node) list;
    struct sim *sim;
    struct engine *e;
    char name[16];
    unsigned n_ports;
    bool kick; /* its application wants a turn */
    struct rng entropy;
};

/* On its way. */
struct sim_flight {
    uint64_t when, serial;
    struct rte_mbuf *m;    /* NULL: only leaves the queue before the rate (departs) */
    struct rte_mbuf *held; /* the sender's buffers, given back at departure */
    struct sim_end *from;
    uint32_t bytes;
    bool departs;
};

struct sim {
    uint64_t now, seed, serial;
    struct rte_mempool *pool;
    unsigned pool_free; /* mbufs that were free at the beginning */
    STAILQ_HEAD(, sim_node) nodes;
    STAILQ_HEAD(, sim_link) links;
    struct sim_flight *heap;
    uint32_t n_heap, room_heap;
    void *pcap; /* pcap_dumper_t */
};

extern const struct port_ops sim_port_ops;
static inline struct sim_end *sim_other(struct sim_end *end)
{
    return end == &end->link->end[0] ? &end->link->end[1] : &end->link->end[0];
}
void sim_queue_put(struct sim_queue *q, struct rte_mbuf *m);
struct rte_mbuf *sim_queue_take(struct sim_queue *q);
void sim_flight_add(struct sim *s, const struct sim_flight *f);
/* wire.c: one frame, as it is on the wire, leaves an end. Takes m and held. */
void sim_wire_send(struct sim_end *from, struct rte_mbuf *m, struct rte_mbuf *held);
/* pcap.c */
void sim_pcap_frame(struct sim *s, const struct rte_mbuf *m, uint64_t when);
/* port.c */
void sim_end_init(struct sim_end *end, struct sim_link *link, struct sim_node *node,
                  const struct sim_port_options *opt, unsigned index);
