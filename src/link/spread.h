// SPDX-License-Identifier: BSD-3-Clause
// One port shared by several engines. Made by whoever starts the engines (src/process), before them, and
// freed after them; besides its rings nothing of it is written while they run.
//
// Engine i polls queue i of the port when there is one (i < queues). With RSS the port brings TCP flows to
// their engine; without, or with fewer queues than engines, the engine that polls hashes each TCP packet
// (symmetric Toeplitz) and hands foreign ones to their owner's ring. What belongs to no flow stays with the
// engine that polled it; ARP and neighbour discovery are also copied to the others, and ICMP errors go to
// the engine of the quoted flow. Engines without a queue send through the ring of one that has.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "link/link.h"

struct rte_ring;

#define SPREAD_ENGINES_MAX 128

struct spread {
    uint32_t engines; /* sharing the port */
    uint32_t queues;  /* of the port: engines below this number poll one */
    bool rss;         /* the port's own hash decides where TCP goes */
    struct rte_ring
        *rx[SPREAD_ENGINES_MAX]; /* received frames for the engine; any engine puts, the owner takes */
    struct rte_ring *tx[SPREAD_ENGINES_MAX]; /* finished frames to send; NULL where nobody needs it */
};

/* Rings of ring_size (a power of two) packets. NULL and errno. port->reta_size and rss_key tell whether the
 * port spreads. */
struct spread *spread_create(const struct port *port, uint32_t engines, uint32_t ring_size, int socket_id);
/* Frees what is still in the rings. */
void spread_destroy(struct spread *s);

/* A Toeplitz key whose hash is the same for both directions of a flow (Woo, Park 2012): one 16-bit pattern
 * repeated. */
void toeplitz_symmetric_key(uint8_t *key, uint32_t len);
/* Its hash of len (even) bytes: by linearity that of the exclusive or of all 16-bit words. */
uint32_t toeplitz_symmetric(const void *tuple, uint32_t len);

/* For ether.c: hands on or copies what other engines should have; keeps the rest in pkts and returns how
 * many those are. */
uint16_t spread_input(struct netif *nif, struct rte_mbuf **pkts, uint16_t n);
/* For link.c's stations: takes packets that others put in our rings. */
unsigned spread_receive(struct netif *nif);
unsigned spread_transmit(struct netif *nif);
/* Puts finished frames in the ring of a queue's owner; returns how many it took. */
uint16_t spread_send(struct netif *nif, struct rte_mbuf **pkts, uint16_t n);
