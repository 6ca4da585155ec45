// SPDX-License-Identifier: BSD-3-Clause
// Among the files of the link room.
#pragma once
#include "base/pool.h"
#include "engine/engine.h"
#include "link/link.h"
#include "link/port.h"
#include "sysctl/sysctl.h"

struct link_params {     /* sysctl net.link.* */
    uint32_t txq_max;    /* packets waiting for a port */
    uint32_t sw_tso_max; /* bytes of payload; 0: off */
    bool sw_lro;
    uint32_t max_entries;           /* net.link.ether.inet.*, both families */
    uint32_t maxtries, umaxtries;   /* questions to the group, to the address we know */
    uint32_t maxhold;               /* packets that wait behind a question */
    uint32_t retrans_ms, delay_ms;  /* RFC 4861 §10: RETRANS_TIMER, DELAY_FIRST_PROBE_TIME */
    uint32_t reachable_ms, max_age; /* ms; seconds an unused stale entry is kept */
};

struct arp_stats { /* net.link.ether.arp.*, FreeBSD's arpstat names */
    uint64_t txrequests, txreplies, txannounces, rxrequests, rxreplies, drop_malformed, drop_own, dupips,
        nobufs;
};

struct neigh_stats { /* net.link.neigh.* */
    uint64_t timeouts, evicted, table_full, learn_refused, drop_hold, drop_unreachable;
    uint32_t entries;
};

/* Entries that may go are found by age in the list of their kind. */
enum neigh_list { NEIGH_LEARNED, NEIGH_PENDING, NEIGH_KNOWN, NEIGH_LISTS };
#define NEIGH_HOLD (sizeof(((struct neigh *)0)->queue) / sizeof(struct rte_mbuf *))

LIST_HEAD(neigh_chain, neigh);
TAILQ_HEAD(neigh_lru, neigh);

struct link_priv {
    struct link_params params;
    struct arp_stats arp;
    struct neigh_stats neigh;
    struct pool neighs;
    struct neigh_chain *table;
    uint32_t table_mask;
    struct neigh_lru lru[NEIGH_LISTS]; /* oldest first */
    struct netif *lo;
    struct due lo_due; /* packets wait on lo: another turn is wanted at once */
};

/* neigh.c */
int neigh_table_create(struct link_layer *l);
void neigh_table_destroy(struct link_layer *l);
void neigh_flush(struct netif *nif);

/* arp.c. One frame, data at the ARP header; takes it. */
void arp_input(struct netif *nif, struct rte_mbuf *m);
/* Who has n->addr; unicast asks the address we know (RFC 1122 §2.3.2.1). */
void arp_solicit(struct netif *nif, struct neigh *n, bool unicast);

/* ether.c: packets of both families with data at the IP header; takes them. */
void ether_deliver(struct netif *nif, struct rte_mbuf **pkts, uint16_t n);

/* offload.c: does what the port cannot and enqueues the result; takes m. */
bool offload_needed(const struct port *port, const struct rte_mbuf *m);
__rte_noinline void offload_finish(struct netif *nif, struct rte_mbuf *m); /* not into the fast path */

/* lro.c: joins what can be; how many packets are left. */
uint16_t lro_burst(struct netif *nif, struct rte_mbuf **pkts, uint16_t n);

/* output.c */
void netif_enqueue(struct netif *nif, struct rte_mbuf *m);
__rte_noinline void netif_flush(struct netif *nif);
unsigned loop_receive(struct netif *nif);
