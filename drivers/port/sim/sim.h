// SPDX-License-Identifier: BSD-3-Clause
// The simulator: hosts joined by links in one process and one thread, in virtual time, from one seed; the same seed gives the same
// bytes at the same times. Users may test their own programs with it: docs/simulator.md.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include "base/units.h"

struct engine;
struct netif;
struct rte_mbuf;
struct sim;
struct sim_node;
struct sim_link;

enum sim_aqm {
    SIM_TAIL_DROP,
    SIM_RED /* simple AQM: drop or mark with probability rising from min to max queue */
};

/* One direction of a link. Zeroed = a perfect wire. Chances are 0..1. */
struct sim_wire {
    uint64_t rate_bps;                   /* bits per second; 0 = infinite */
    uint64_t delay_ns, jitter_ns;        /* jitter: uniform in [0, jitter], order kept unless reorder */
    uint32_t queue_packets, queue_bytes; /* limits before the rate; 0 = none */
    /* A policer behind the rate: a token bucket of so many bytes that fills at police_bps (0 = none). What finds too few is dropped, nothing waits. */
    uint64_t police_bps;
    uint32_t police_bytes;
    enum sim_aqm aqm;
    bool ecn;                  /* AQM marks ECT packets instead of dropping */
    uint32_t red_min, red_max; /* packets */
    double loss, duplicate, corrupt, truncate;
    double burst_enter, burst_leave,
        burst_loss; /* Gilbert-Elliott: chance to enter and leave the bad state, loss in it */
    double reorder;
    uint64_t reorder_ns;   /* chance to be delayed by so much more */
    uint64_t duplicate_ns; /* a duplicate comes up to so much later than the packet; 0: beside it */
    /* Chosen packets: called for every packet, n counts from 1; true = lose it. May look, must not change it. */
    bool (*lose)(void *arg, uint64_t n, const uint8_t *frame, uint32_t len);
    void *lose_arg;
    /* The MTU of the path in between: larger IP packets are answered with ICMP too big / frag needed when set. 0 = none */
    uint32_t path_mtu;
};
struct sim_wire_stats {
    uint64_t packets, bytes, lost, queue_drops, policed, marked, duplicated, reordered, corrupted, truncated;
};

/* EAL must be up (sim_eal_init). NULL and errno. */
struct sim *sim_create(uint64_t seed);
/* Takes the world down. Returns how many mbufs did not come back: 0 when all is well. */
int64_t sim_destroy(struct sim *s);
/* EAL with no hugepages, NICs or shared configuration: for tests. Idempotent. 0 or -1. */
int sim_eal_init(unsigned megabytes);
uint64_t sim_now(const struct sim *s);
uint64_t sim_seed(const struct sim *s);
/* Writes every frame on every link to a pcap (ns timestamps, virtual time). NULL path: off. 0 or -errno. */
int sim_pcap(struct sim *s, const char *path);

/* A host with one engine. name for messages. */
struct sim_node *sim_host(struct sim *s, const char *name);
struct engine *sim_engine(struct sim_node *n);
/* The application of a node: called in its application phase, with leat_*() calls going to its engine. */
void sim_app(struct sim_node *n, int (*loop)(void *arg), void *arg);
/* Makes leat_*() calls of this thread go to the node until the next sim_enter (NULL: nobody). */
void sim_enter(struct sim_node *n);

struct sim_port_options {
    uint16_t mtu;         /* 0 = 1500 */
    uint64_t tx_offloads; /* RTE_ETH_TX_OFFLOAD_*: the port then does what a NIC would */
    uint64_t rx_offloads; /* RTE_ETH_RX_OFFLOAD_*_CKSUM */
    uint16_t tx_seg_max;  /* 0 = 8 */
    bool
        hold_tx; /* a packet's buffers are given back when it has left the wire, as a NIC does, not at once */
};
/* Joins two hosts; each gets a port and an interface (sim0, sim1, ...) without addresses. opt NULL: defaults. */
struct sim_link *sim_link(struct sim *s, struct sim_node *a, struct sim_node *b,
                          const struct sim_port_options *opt);
/* A host's port whose other end is the test: sim_inject() and sim_expect() below. */
struct sim_link *sim_stub(struct sim *s, struct sim_node *a, const struct sim_port_options *opt);
struct sim_wire *sim_wire(struct sim_link *l, struct sim_node *from); /* may be changed at any time */
const struct sim_wire_stats *sim_wire_stats(const struct sim_link *l, struct sim_node *from);
/* The interface that the link made on the node. */
struct netif *sim_netif(struct sim_link *l, struct sim_node *n);
/* Adds address text "10.0.0.1/24" or "2001:db8::1/64", usable at once (no DAD). 0 or -errno. */
int sim_addr(struct sim_link *l, struct sim_node *n, const char *text);

/* Runs the world. */
void sim_run_until(struct sim *s, uint64_t t);
void sim_run_for(struct sim *s, uint64_t ns);
/* Until done(arg) or t. True when done. */
bool sim_run_while(struct sim *s, bool (*going_on)(void *arg), void *arg, uint64_t until);
/* One event: advances to the next time at which anything happens, at most until. False: nothing before until. */
bool sim_step(struct sim *s, uint64_t until);

/* Raw frames of a stub link: takes m; the next frame the host sent (caller frees), running the world until t at most; NULL: none. */
void sim_stub_send(struct sim_link *l, struct rte_mbuf *m);
struct rte_mbuf *sim_stub_recv(struct sim_link *l, uint64_t until, uint64_t *when);
