// SPDX-License-Identifier: BSD-3-Clause
// Redirects (RFC 792, RFC 1122 §3.2.2.2, RFC 4861 §8): our first hop to a host knows a better one. They
// become routes to that host alone, for a time, and are believed only from the router that the packets go to
// now.
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <rte_ip.h>
#include "ip/priv.h"

/* Does what we send to dst go to `router` on this interface? */
static bool is_first_hop(const struct netif *nif, const struct ip_addr *router, const struct ip_addr *dst)
{
    const struct route *r = route_find(nif->e->ip, dst, NULL);
    return r && r->has_gateway && r->netif == nif && ip_addr_eq(&r->gateway, router);
}

static bool on_link(const struct netif *nif, const struct ip_addr *addr)
{
    const struct route *r = route_find(nif->e->ip, addr, NULL);
    return r && !r->has_gateway && r->netif == nif;
}

/* gateway NULL: the host is on the link itself. */
static void follow(struct netif *nif, const struct ip_addr *dst, const struct ip_addr *gateway,
                   uint32_t seconds)
{
    struct ip_layer *ip = nif->e->ip;
    struct route r = {.dst = *dst,
                      .plen = 128,
                      .has_gateway = gateway != NULL,
                      .netif = nif,
                      .origin = ROUTE_REDIRECT,
                      .valid_until = nif->e->now + seconds * NS_PER_SEC};
    if (gateway)
        r.gateway = *gateway;
    if (route_learn(ip, &r) == 0)
        ip->stats.redirects++;
    else
        ip->stats.badredirect++;
}

void redirect4_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_layer *ip = nif->e->ip;
    const struct icmphdr *icmp = rte_pktmbuf_mtod(m, const struct icmphdr *);
    const struct rte_ipv4_hdr *q = (const struct rte_ipv4_hdr *)(icmp + 1);
    if (ip->params.drop_redirect) {
        ip->stats.icmp_ignored++;
        return;
    }
    if (m->data_len < sizeof(*icmp) + sizeof(*q) || icmp->code > ICMP_REDIR_HOSTTOS) {
        ip->stats.badredirect++;
        return;
    }
    struct ip_addr src = ip_addr_v4(q->src_addr), dst = ip_addr_v4(q->dst_addr);
    struct ip_addr gateway = ip_addr_v4(icmp->un.gateway);
    if (!ip_addr_find(ip->e, &src) || ip_addr_is_multicast(&dst) ||
        !is_first_hop(nif, &pkt_info(m)->src, &dst) || ip_addr_any_state(ip->e, &gateway) ||
        ip_addr_is_multicast(&gateway) || !on_link(nif, &gateway)) {
        ip->stats.badredirect++;
        return;
    }
    follow(nif, &dst, &gateway, ip->params.redirtimeout4_s);
}

/* The options; *mac: the target's link-layer address or NULL. */
static bool options_sound(const uint8_t *at, const uint8_t *end, const struct rte_ether_addr **mac)
{
    struct nd_option o;
    bool bad = false;
    *mac = NULL;
    while (nd_option_next(&at, end, &o, &bad)) {
        if (o.kind == ND_OPT_TARGET_LINKADDR && o.len == 8)
            *mac = (const struct rte_ether_addr *)(o.data + 2);
    }
    return !bad;
}

void redirect6_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_layer *ip = nif->e->ip;
    const struct pkt_info *info = pkt_info(m);
    const struct nd_redirect *rd = rte_pktmbuf_mtod(m, const struct nd_redirect *);
    const uint8_t *end = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len);
    const struct rte_ether_addr *mac;
    if (!ip->params.rediraccept) {
        ip->stats.icmp_ignored++;
        return;
    }
    if (info->ttl != 255 || m->nb_segs != 1 || m->data_len < sizeof(*rd) || rd->nd_rd_code != 0 ||
        !ip_addr_is_link_local(&info->src) || !options_sound((const uint8_t *)(rd + 1), end, &mac)) {
        ip->stats.badredirect++;
        return;
    }
    struct ip_addr target = ip_addr_v6(&rd->nd_rd_target), dst = ip_addr_v6(&rd->nd_rd_dst);
    bool direct = ip_addr_eq(&target, &dst);
    if (ip_addr_is_multicast(&dst) || !is_first_hop(nif, &info->src, &dst) ||
        (!direct && !ip_addr_is_link_local(&target)) || ip_addr_any_state(ip->e, &target)) {
        ip->stats.badredirect++;
        return;
    }
    if (mac)
        neigh_learn(nif, &target, mac);
    follow(nif, &dst, direct ? NULL : &target, ip->params.redirtimeout6_s);
}
