// SPDX-License-Identifier: BSD-3-Clause
// IP layer of one engine, both families: addresses, routes, input, output, ICMP, fragments.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include "base/ipaddr.h"
#include "link/link.h"

struct engine;

enum ifaddr_state { IFADDR_TENTATIVE, IFADDR_PREFERRED, IFADDR_DEPRECATED, IFADDR_DUPLICATED };
struct ifaddr {
    TAILQ_ENTRY(ifaddr) link;
    struct netif *netif;
    struct ip_addr addr;
    uint8_t plen; /* prefix length in the family's own bits: 0..32 or 0..128 */
    uint8_t state;
    bool autoconf;                         /* by router advertisement */
    uint64_t preferred_until, valid_until; /* ns; TIME_NEVER for static ones */
    uint8_t dad_left, dad_looped;          /* probes to come; of our own, heard again */
    uint8_t dad_nonce[6];                  /* of the last probe (RFC 7527) */
    struct wheel_timer timer;
};

/* Where a packet goes; connections keep one and ask again when its generation is old. */
struct ip_path {
    struct netif *netif;
    struct neigh *neigh; /* NULL on loopback */
    uint32_t gen;        /* ip->path_gen when it was made */
    uint32_t neigh_gen;  /* link->neigh_gen when it was made */
    uint32_t mtu;        /* of the path: the interface's, or less by ICMP too big */
};

/* Transport protocol above IP. */
struct ip_proto {
    /* A burst of packets of this protocol; mbuf data at the transport header (see struct pkt_info). Takes
     * them. */
    void (*input)(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
    /* An ICMP error quoted one of our packets: src/dst as in the quoted packet (src is ours). l4 points at
     * len >= 8 quoted bytes of the transport header. type/code in ICMPv4 terms for v4, ICMPv6 terms for v6.
     * mtu: for too big, else 0. */
    void (*error)(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, const uint8_t *l4,
                  uint32_t len, int type, int code, uint32_t mtu);
};

struct ip_layer;
int ip_create(struct engine *e);
void ip_destroy(struct engine *e);
void ip_register(struct engine *e, uint8_t proto, const struct ip_proto *ops);

/* Addresses. plen as in struct ifaddr. 0, -EEXIST, -EINVAL, -ENOMEM. A new address is probed (DAD) and
 * announced. */
int ip_addr_add(struct netif *nif, const struct ip_addr *addr, uint8_t plen);
int ip_addr_del(struct netif *nif, const struct ip_addr *addr);
/* Ours and usable (not tentative or duplicated)? scope_index 0: any interface. */
struct ifaddr *ip_addr_find(struct engine *e, const struct ip_addr *addr);
TAILQ_HEAD(ifaddr_list, ifaddr);
struct ifaddr_list *ip_addrs(struct engine *e);

/* A new interface is up: its link-local address (net.inet6.ip6.auto_linklocal), and routers are asked for
 * (ra.c). */
void ip_netif_up(struct netif *nif);

/* Routes. gateway any (or NULL) = on link. 0, -EEXIST, -ENOENT, -EINVAL, -ENOMEM. */
int route_add(struct engine *e, const struct ip_addr *dst, uint8_t plen, const struct ip_addr *gateway,
              struct netif *nif);
int route_del(struct engine *e, const struct ip_addr *dst, uint8_t plen);
/* For listings: copies up to n routes, the first skip left out, and returns how many. */
struct route_entry {
    struct ip_addr dst, gateway;
    uint8_t plen;                        /* in the family's own bits */
    bool has_gateway, dynamic, autoconf; /* dynamic: by redirect; autoconf: by router advertisement */
    const struct netif *netif;
    uint64_t valid_until; /* ns; TIME_NEVER: no end */
};
unsigned route_list(struct engine *e, unsigned skip, struct route_entry *out, unsigned n);

/* Finds the way to dst. 0, -EHOSTUNREACH, -ENETUNREACH, -ENOBUFS. */
int ip_path_find(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, uint32_t scope_index,
                 struct ip_path *path);
bool ip_path_valid(const struct engine *e, const struct ip_path *path);
/* The source address for packets to dst (RFC 6724 rules that matter on a host). 0 or -EADDRNOTAVAIL /
 * -ENETUNREACH. */
int ip_source(struct engine *e, const struct ip_addr *dst, uint32_t scope_index, struct ip_addr *src);
/* A validated ICMP too big for dst: remembers the smaller MTU and ages paths. */
void ip_path_mtu_lower(struct engine *e, const struct ip_addr *dst, uint32_t mtu);
/* What is remembered of dst (0: nothing), and forgetting it for all. */
uint32_t ip_path_mtu_known(struct engine *e, const struct ip_addr *dst);
void ip_path_mtu_forget(struct engine *e);

struct ip_send {
    const struct ip_addr *src, *dst;
    uint8_t proto, tos, ttl; /* ttl 0 = the default */
    bool dont_fragment;
    uint64_t sum; /* TCP: of the whole transport packet in words of the wire, checksum field 0; 0: unknown */
    const struct ip_path *path;
};
/*
 * m's data starts at the transport header; the IP header is prepended into its headroom, then the packet
 * goes to the neighbour. TCP sets m->l4_len and, to have the checksum filled in by NIC or software
 * (netif), RTE_MBUF_F_TX_TCP_CKSUM; for TSO also RTE_MBUF_F_TX_TCP_SEG and tso_segsz. ip sets
 * l3_len, the family flags and the pseudo header checksum in the transport header's checksum field; of a packet that is summed already,
 * the checksum, so that nobody below reads it again.
 * Packets larger than the path's MTU (and not TSO) are fragmented when dont_fragment is false, else
 * dropped and counted. Takes m. 0 or -errno (the packet is gone in either case).
 */
int ip_output(struct engine *e, struct rte_mbuf *m, const struct ip_send *how);
