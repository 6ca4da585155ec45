// SPDX-License-Identifier: BSD-3-Clause
// Among the files of the IP room.
#pragma once
#include <netinet/in.h>
#include "base/pool.h"
#include "engine/engine.h"
#include "ip/ip.h"
#include "sysctl/sysctl.h"

struct rte_ip_frag_tbl;
struct rte_mbuf;

struct ip_params { /* sysctl net.inet.ip.*, net.inet6.ip6.*, net.inet.icmp.*, net.inet6.icmp6.* */
    uint32_t ttl, hlim;
    uint32_t maxroutes, maxaddrs, maxpaths;
    uint32_t dad_count4, dad_count6, dad_wait_ms;
    uint32_t maxfragpackets, fragttl_ms;
    uint32_t icmplim;
    uint32_t maxredirects, maxifdefrouters, maxifprefixes, redirtimeout4_s, redirtimeout6_s;
    bool accept_rtadv, auto_linklocal, drop_redirect, rediraccept, mld_v1, bmcastecho, dad_enhanced;
};
struct ip_stats {
    uint64_t total4, total6, delivered4, delivered6, localout;
    /* Each dropped packet counts in exactly one of these. */
    uint64_t tooshort, badvers, badhlen, badlen, badsum, badaddr, cantforward, noproto, badoptions,
        toomanyhdr, notmember;
    uint64_t odropped_nobuf, cantfrag, fragmented, ofragments;
    uint64_t fragments, fragdropped, reassembled, fragtimeout;
    uint64_t noroute;
    /* ICMP, both families. */
    uint64_t icmp_echo, icmp_in_error, icmp_badsum, icmp_tooshort, icmp_badcode, icmp_ignored,
        icmp_sent_error, icmp_ratelimited, icmp_nobuf;
    uint64_t nd_badsol, nd_badadv, nd_badra, nd_ns_in, nd_na_in, nd_ns_out, nd_na_out, nd_ra_in, nd_rs_out,
        dad_duplicates, dad_looped;
    uint64_t redirects, badredirect, mld_queries, mld_badquery, mld_reports;
};

/* Who said so. The smaller one goes before. */
enum route_origin { ROUTE_STATIC, ROUTE_ADDRESS, ROUTE_RA, ROUTE_REDIRECT };

struct route {
    struct ip_addr dst, gateway;
    uint8_t plen; /* of the 128 bits: IPv4's + 96 */
    bool has_gateway;
    uint8_t origin;
    struct netif *netif;
    uint64_t valid_until; /* ns */
};

/* What ICMP said of the way to one host. */
struct path_mtu {
    TAILQ_ENTRY(path_mtu) link;
    struct ip_addr dst;
    uint32_t mtu;
    uint64_t until;
};

struct group; /* mld.c */

struct ip_layer {
    uint32_t path_gen; /* grows when a route, an address or a path MTU changes */
    uint16_t next_id;
    uint64_t next_id6; /* hashed: RFC 7739 */
    struct engine *e;
    struct ip_params params;
    struct ip_stats stats;
    const struct ip_proto *protos[256];
    struct ifaddr_list addrs;
    struct pool addr_pool, path_pool, group_pool;
    struct route *routes; /* longest prefix first */
    uint32_t n_routes, room_routes;
    TAILQ_HEAD(, path_mtu) path_mtus; /* oldest first */
    struct rte_ip_frag_tbl *frags;
    struct wheel_timer frag_timer;
    uint64_t frag_at;            /* when the last fragment came that waits for others */
    struct wheel_timer rs_timer; /* router solicitations */
    struct wheel_timer expiry;   /* the next route or path MTU that ends */
    TAILQ_HEAD(, group) groups;  /* IPv6 groups we are in, and those we left a moment ago */
    struct wheel_timer mld_timer;
    uint64_t mld_v1_until;  /* an MLDv1 router asks here (RFC 3810 §8.2.1); ns */
    uint8_t mld_robustness; /* as the querier says; 0: RFC 3810 §9.1 */
    uint8_t rs_left;
    struct icmp_limit {
        uint64_t at; /* window, and what was sent in it */
        uint32_t used;
    } limit_errors, limit_echo;
};

/* plen of struct ifaddr to that of struct route */
static inline uint8_t plen128(const struct ip_addr *a, uint8_t plen)
{
    return (uint8_t)(ip_addr_is_v4(a) ? plen + 96 : plen);
}
bool ip_prefix_match(const struct ip_addr *a, const struct ip_addr *b, unsigned plen);

/* ip4.c, ip6.c: a packet's payload to its protocol; ip has filled struct pkt_info. Take m. */
void ip4_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
void ip6_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
/* Counts and frees. */
void ip_drop(struct rte_mbuf *m, uint64_t *counter);
/* Cuts m to its first len bytes (rte_pktmbuf_trim() reaches no further than into the last buffer). */
void ip_trim(struct rte_mbuf *m, uint32_t len);
/* Is this address of ours one that packets may come to: usable, or (for ND) still tentative? */
struct ifaddr *ip_addr_any_state(struct engine *e, const struct ip_addr *addr);

/* addr.c */
void ip_addr_duplicate(struct netif *nif, const struct ip_addr *addr);
enum link_owns ip_addr_owns(struct netif *nif, const struct ip_addr *addr);
void ip_addrs_destroy(struct ip_layer *ip);
void solicited_node(const struct ip_addr *addr, struct ip_addr *group);
static inline bool ifaddr_usable(const struct ifaddr *ia)
{
    return ia->state == IFADDR_PREFERRED || ia->state == IFADDR_DEPRECATED;
}
/* An address that a router's prefix made: of no network (RFC 5942), for a time. As ip_addr_add(). */
int ip_addr_add_auto(struct netif *nif, const struct ip_addr *addr, uint8_t plen, uint64_t preferred_until,
                     uint64_t valid_until);

/* route.c */
const struct route *route_find(const struct ip_layer *ip, const struct ip_addr *dst,
                               const struct netif *only);
/* The network of an address of ours. As route_add(). */
int route_add_network(struct netif *nif, const struct ip_addr *addr, uint8_t plen);
void route_del_network(struct netif *nif, const struct ip_addr *addr, uint8_t plen);
/* What a router says (RA, redirect), until r->valid_until: new, renewed, or ended when that is not after
 * now. What was configured goes before it. 0, -ENOBUFS, -ENOMEM. */
int route_learn(struct ip_layer *ip, const struct route *r);
/* The neighbour does not answer: redirects to it are forgotten, other default routers go first (RFC 4861
 * §6.3.6). */
void route_unreachable(struct ip_layer *ip, const struct netif *nif, const struct ip_addr *nexthop);
void route_expire(struct wheel_timer *t, uint64_t now);
void routes_destroy(struct ip_layer *ip);

/* fragment.c: takes m (data at the IP header); the whole packet, or NULL while parts are missing or when it
 * was dropped. */
int fragment_create(struct ip_layer *ip);
void fragment_destroy(struct ip_layer *ip);
void fragment_sweep(struct wheel_timer *t, uint64_t now);
/* sysctl: a limit of the table changes, so the table is made anew; what waits in it is dropped. */
int fragment_param_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize);
struct rte_mbuf *fragment4_input(struct ip_layer *ip, struct rte_mbuf *m);
struct rte_mbuf *fragment6_input(struct ip_layer *ip, struct rte_mbuf *m, unsigned frag_off);
int fragment_output(struct ip_layer *ip, struct rte_mbuf *m, const struct ip_send *how);
/* output.c: m with its IP header to where the path leads. Takes m. */
void ip_to_link(const struct ip_path *path, struct rte_mbuf *m, bool v4);

/* icmp4.c, icmp6.c: data at the ICMP header. Take m. */
void icmp4_input(struct engine *e, struct rte_mbuf *m);
void icmp6_input(struct engine *e, struct rte_mbuf *m);
/* Answers m (data at the transport header, IP header l3_len before it) with an error, where and as often as
 * allowed. Does not take m. */
void icmp4_error(struct engine *e, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param);
void icmp6_error(struct engine *e, struct rte_mbuf *m, uint8_t type, uint8_t code, uint32_t param);
/* One more ICMP error within net.inet.icmp.icmplim a second? */
bool icmp_may_send(struct ip_layer *ip, struct icmp_limit *limit);
/* Packets that waited for a neighbour which is not there. Takes m (data at the IP header). */
void icmp_unreachable(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *dst);

/* nd.c, ra.c: data at the ICMPv6 header, checksum good. Do not take m. */
void nd_solicitation_input(struct netif *nif, struct rte_mbuf *m);
void nd_advertisement_input(struct netif *nif, struct rte_mbuf *m);
void nd_solicit(struct netif *nif, struct neigh *n, bool unicast);
void nd_dad_probe(struct ifaddr *ia);
/* A probe of ours came back on a link with a loop: asked again, some times (RFC 7527 §4.2). */
void ip_addr_looped(struct ifaddr *ia);
void nd_announce(struct ifaddr *ia);
void ra_input(struct netif *nif, struct rte_mbuf *m);
void ra_fire(struct wheel_timer *t, uint64_t now);
extern const struct ip_addr ip6_all_nodes;
/* redirect.c: data at the ICMP header, checksum good. Do not take m. */
void redirect4_input(struct netif *nif, struct rte_mbuf *m);
void redirect6_input(struct netif *nif, struct rte_mbuf *m);

/* mld.c: IPv6 groups of an interface (RFC 3810). Joins count. 0 or -ENOMEM. */
int group_join(struct netif *nif, const struct ip_addr *addr);
void group_leave(struct netif *nif, const struct ip_addr *addr);
bool group_joined(const struct netif *nif, const struct ip_addr *addr);
void groups_create(struct ip_layer *ip);
void groups_destroy(struct ip_layer *ip);
void mld_query_input(struct netif *nif, struct rte_mbuf *m);

/* Fills in the checksum of the message m. */
void icmp6_finish(struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst);
/* Puts the IPv6 header before m, whose first header is `next`, and sends it to mac. Takes m. */
void icmp6_to_link(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *src,
                   const struct ip_addr *dst, const struct rte_ether_addr *mac, uint8_t next, uint8_t hops);
/* Sends an ICMPv6 message (m: the message; checksum filled in here) with hop limit 255. Takes m. */
void icmp6_send(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *src, const struct ip_addr *dst,
                const struct rte_ether_addr *mac);
/* Next option of an ND message: kind, body (8 * length bytes with its head); false at the end, -1 in *bad
 * when malformed. */
struct nd_option {
    uint8_t kind;
    uint16_t len;
    const uint8_t *data;
};
bool nd_option_next(const uint8_t **at, const uint8_t *end, struct nd_option *out, bool *bad);
