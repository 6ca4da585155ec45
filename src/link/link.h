// SPDX-License-Identifier: BSD-3-Clause
// Link layer of one engine: its interfaces (one port queue each), Ethernet, neighbours (ARP; ND uses the
// same table), and the spreading of packets among engines where the port cannot (spread.c).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include "base/ipaddr.h"
#include "base/queue.h"
#include "engine/wheel.h"
#include "link/port.h"

struct engine;
struct netif;
struct spread;    /* spread.h */
struct link_priv; /* priv.h */

/*
 * What the floors know of a received packet: the private area of each mbuf (pool priv_size = sizeof(struct
 * pkt_info)). ether fills netif; ip fills the rest. From ip upward the mbuf's data starts at the transport
 * header, the IP header lies l3_len bytes before it, and the mbuf ends where the IP packet ends.
 */
struct pkt_info {
    struct netif *netif;
    struct ip_addr src, dst;
    uint8_t proto; /* IPPROTO_* */
    uint8_t tos;   /* IPv4 TOS or IPv6 traffic class: DSCP and ECN */
    uint8_t ttl;   /* or hop limit */
    uint8_t flags; /* PKT_* */
    uint32_t hash; /* of the connection, by tcp/demux */
} __rte_cache_aligned;
#define PKT_MULTICAST 1 /* came to a link-layer group or broadcast address */
#define PKT_CKSUM_OK  2 /* transport checksum known good (NIC or loop back) */
#define PKT_COPY      4 /* another engine has the original and answers it: learn from it, never answer */

static inline struct pkt_info *pkt_info(struct rte_mbuf *m)
{
    return (struct pkt_info *)rte_mbuf_to_priv(m);
}

/*
 * The port vouches for what the transport carries: its checksum is right, or nobody wrote one, since the packet never left the machine
 * (RTE_MBUF_F_RX_L4_CKSUM_NONE: a guest's and a host's virtio), which has GOOD's bit too. Likewise the IPv4 header.
 */
static inline bool pkt_l4_good(const struct rte_mbuf *m)
{
    return m->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}
static inline bool pkt_ip_good(const struct rte_mbuf *m)
{
    return m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}

#define NETIF_TX_MAX     1024 /* upper end of net.link.txq_max */
#define NETIF_NAMSIZ     16
#define NETIF_GROUPS_MAX 64
#define NETIF_NO_QUEUE                                                                                       \
    0xffff           /* the engine has no queue of the port: it sends and receives through struct spread */
struct netif_stats { /* sysctl net.link.<name>.* */
    uint64_t ipackets, ibytes, opackets, obytes;
    uint64_t drop_rx_down, drop_rx_short, drop_rx_type, drop_rx_vlan,
        drop_rx_not_ours; /* each dropped frame counts in exactly one */
    uint64_t drop_tx_full, drop_tx_down, drop_tx_nobuf, drop_tx_toobig, drop_tx_refused;
    uint64_t spread_out, spread_in, drop_spread_full, drop_spread_nobuf;
    uint64_t sw_cksum, sw_tso, sw_linear; /* packets that software had to finish */
    uint64_t sw_lro;                      /* segments joined to the one before */
};
struct netif_group {
    struct rte_ether_addr mac;
    uint16_t refs;
};
struct netif {
    struct engine *e;
    struct port *port; /* NULL on loopback */
    struct spread
        *spread; /* shared with the other engines' interfaces of this port; NULL: this engine has it alone */
    uint16_t queue;
    uint16_t mtu;
    uint16_t mtu6;  /* of IPv6 packets, as a router advertises it; 0, or more than mtu: as mtu */
    uint32_t mss;   /* largest of TCP over this interface (net.link.<name>.mss); 0: as the MTU has it */
    uint16_t index; /* 1, 2, ...: scope id of link-local addresses */
    uint16_t n_tx;
    uint32_t stuck; /* flushes in a row of which the port took nothing */
    struct rte_ether_addr mac;
    bool up;
    bool loopback; /* lo0: output comes back as input */
    bool
        sums_tcp; /* the port leaves TCP checksums to us: every byte of a segment is read here on its way out */
    char name[NETIF_NAMSIZ];
    struct rte_mbuf *tx[NETIF_TX_MAX]; /* of this turn, sent by the transmit station (or when full) */
    uint32_t
        tx_len[NETIF_TX_MAX]; /* their bytes: who waits behind a full ring is not looked at again and again */
    struct netif_stats stats;
    TAILQ_ENTRY(netif) link;
    uint64_t defended_at; /* ns; when ARP last defended an address here (RFC 5227 §2.4) */
    bool all_multi;       /* more groups than fit: every group frame is taken */
    uint16_t n_groups;
    struct netif_group groups[NETIF_GROUPS_MAX]; /* link-layer groups joined */
    void *priv;                                  /* link.c: sysctl names */
};
TAILQ_HEAD(netif_list, netif);

/*
 * Neighbour: protocol address to link address, for ARP and ND alike. States as RFC 4861 §7.3.2. A pointer
 * stays good while link->neigh_gen stays the same.
 */
enum neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_STALE, NEIGH_DELAY, NEIGH_PROBE, NEIGH_STATIC };
struct neigh {
    LIST_ENTRY(neigh) link; /* hash chain */
    TAILQ_ENTRY(neigh) lru;
    struct ip_addr addr;
    struct netif *netif;
    struct rte_ether_addr mac;
    uint8_t state;
    uint8_t tries;
    bool router;  /* ND */
    bool shared;  /* neigh_get() gave it away: somebody may have kept the pointer */
    uint8_t list; /* neigh.c: which lru list */
    uint16_t n_queued;
    uint64_t confirmed;  /* ns; when reachability was last known */
    uint32_t asked_from; /* ARP: sender address of our questions, from the packet that caused them */
    struct rte_mbuf
        *queue[4]; /* packets waiting for the address, newest kept (RFC 1122 §2.3.2.2), IP header first */
    struct wheel_timer timer;
};

/* Answer of link_layer.owns. */
enum link_owns { LINK_NOT_OURS, LINK_OURS, LINK_TENTATIVE };

struct link_layer {
    struct engine *e;
    struct netif_list netifs;
    uint16_t next_index;
    /* The floor above, set by ip_create(). Bursts of packets with data at the IP header. */
    void (*ip4_input)(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
    void (*ip6_input)(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
    /* An IPv6 neighbour must be asked for, or one died: sends the solicitation (nd.c) */
    void (*nd_solicit)(struct netif *nif, struct neigh *n, bool unicast);
    /* The packets that waited for n could not be delivered: ICMP host unreachable (takes the mbuf) */
    void (*unreachable)(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *dst);
    /* Is the address this host's on this interface: usable (deprecated too), or still being checked for
     * duplicates */
    enum link_owns (*owns)(struct netif *nif, const struct ip_addr *addr);
    /* Somebody else has the tentative address: the check failed (RFC 5227 §2.1.1). Usable addresses are
     * defended by ARP itself */
    void (*duplicate)(struct netif *nif, const struct ip_addr *addr);
    struct link_priv *priv; /* priv.h */
    uint32_t
        neigh_gen; /* grows whenever a neigh that was given away is freed: cached pointers are then stale */
};

/* Makes the layer and its lo0 (no addresses yet). 0 or -errno. */
int link_create(struct engine *e);
void link_destroy(struct engine *e);
/* Drops every packet that waits here: packets refer to memory of the floors above, which may go after that. */
void link_discard(struct engine *e);
/* Attaches queue of port as interface name. NULL and errno. */
struct netif *netif_attach(struct engine *e, struct port *port, uint16_t queue, const char *name);
/* The interface goes, with its neighbours and queued packets. The port stays the caller's. */
void netif_detach(struct netif *nif);
/* Lets the port's packets be shared out among the engines of s (spread.h), which outlives the interface. */
void netif_set_spread(struct netif *nif, struct spread *s);
/* Several engines own an address together, but one of them probes, announces and solicits routers for all. */
bool netif_speaks(const struct netif *nif);
/* 0, -EINVAL (beyond the port's range), -ENOTSUP. */
int netif_set_mtu(struct netif *nif, uint16_t mtu);
static inline uint16_t netif_mtu(const struct netif *nif, bool v4)
{
    return v4 || nif->mtu6 == 0 || nif->mtu6 > nif->mtu ? nif->mtu : nif->mtu6;
}
bool netif_link_up(const struct netif *nif);
/* Receive frames to a link-layer group; counted, each join needs a leave. 0 or -errno of the port. */
int netif_join(struct netif *nif, const struct rte_ether_addr *group);
int netif_leave(struct netif *nif, const struct rte_ether_addr *group);
/* The group an IP multicast address maps to: RFC 1112 §6.4, RFC 2464 §7. */
void ether_group(const struct ip_addr *group, struct rte_ether_addr *mac);
struct netif *netif_find(struct engine *e, const char *name);
struct netif *netif_loopback(struct engine *e); /* lo0 */
struct netif *netif_by_index(struct engine *e, uint32_t index);

/* Stations. */
unsigned link_receive(struct engine *e, void *unused);
unsigned link_transmit(struct engine *e, void *unused);

/* Puts the Ethernet header before m (data at the IP header) and queues it. Takes m. On loopback dst is not
 * looked at and m comes back to ip4_input/ip6_input in the next turn. */
void ether_output(struct netif *nif, struct rte_mbuf *m, const struct rte_ether_addr *dst,
                  uint16_t ether_type);
/* A whole burst of frames from the wire, as if received on nif. Takes them. */
void ether_input(struct netif *nif, struct rte_mbuf **pkts, uint16_t n);

/* Queues a whole frame after doing in software what the port does not offer (TSO, checksums, too many
 * segments). Takes m. */
void netif_transmit(struct netif *nif, struct rte_mbuf *m);
/* m (data at the IP header, just put together from fragments) may belong to a flow of another engine: then
 * hands it there and returns true. */
bool link_redirect(struct netif *nif, struct rte_mbuf *m);

/* Finds or makes the neighbour of nexthop (which must be on nif's link). NULL: table full (counted). */
struct neigh *neigh_get(struct netif *nif, const struct ip_addr *nexthop);
/* Sends m (data at the IP header) to the neighbour: at once when its address is known, queued behind the
 * question otherwise. Takes m. */
void neigh_output(struct neigh *n, struct rte_mbuf *m);
/* Is there nothing to ask, so that ether_output() to its address is all that neigh_output() would do? */
static inline bool neigh_settled(const struct neigh *n)
{
    return n->state != NEIGH_INCOMPLETE && n->state != NEIGH_STALE;
}
/* An answer, or unsolicited news, from the wire (ARP reply, neighbour advertisement). override and
 * solicited as RFC 4861 §7.2.5. */
void neigh_update(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac,
                  bool solicited, bool override, bool router);
/* Somebody told us his address by asking (ARP request for us, RFC 826; NS or RS source, RFC 4861 §7.2.3): a
 * new or changed entry becomes STALE. */
void neigh_learn(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac);
/* The entry if there is one; makes nothing and asks nobody. */
struct neigh *neigh_find(const struct netif *nif, const struct ip_addr *addr);
/* A permanent entry. 0 or -ENOBUFS. */
int neigh_set_static(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac);
void neigh_remove(struct neigh *n);
/* Calls fn for every entry until it returns nonzero, and returns that. fn must not add or remove. */
int neigh_walk(struct engine *e, int (*fn)(struct neigh *n, void *arg), void *arg);
/* TCP had an ACK of new data from there: reachable (RFC 4861 §7.3.1). */
void neigh_confirm(struct neigh *n);
/* One gratuitous ARP request, one probe (RFC 5227 §2.3, §2.1.1); the caller's timer repeats them. Silent
 * unless netif_speaks(). */
void arp_announce(struct netif *nif, uint32_t addr_be);
void arp_probe(struct netif *nif, uint32_t addr_be);

/* The engine that receives packets of this flow at this interface (RSS table or software spreading). Ports
 * in network order. */
uint32_t link_engine_of_flow(const struct netif *nif, const struct ip_addr *faddr,
                             const struct ip_addr *laddr, uint16_t fport, uint16_t lport);
/* Bytes of TCP payload one output packet may carry (TSO, of the port or net.link.sw_tso_max), 0 = none beyond the
 * MTU. */
uint32_t netif_tso_max(const struct netif *nif);
