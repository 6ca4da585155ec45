// SPDX-License-Identifier: BSD-3-Clause
// Router advertisements (RFC 4861 §6.3) and addresses made from them (RFC 4862 §5.5). Of several default
// routers the first heard is used, until it is gone.
#include <errno.h>
#include <netinet/icmp6.h>
#include "base/alloc.h"
#include "ip/priv.h"

#define TWO_HOURS       (7200 * NS_PER_SEC)
#define SOLICITATIONS   3 /* RFC 4861 §10 */
#define SOLICIT_WAIT_NS (4 * NS_PER_SEC)

/* ---- link-local address and solicitation ---- */

/* fe80:: with the modified EUI-64 of the MAC address (RFC 4291 appendix A). */
static struct ip_addr interface_address(const struct netif *nif, const uint8_t prefix[8])
{
    struct ip_addr a = {0};
    const uint8_t *mac = nif->mac.addr_bytes;
    memcpy(a.b, prefix, 8);
    memcpy(a.b + 8, mac, 3);
    a.b[8] ^= 2;
    a.b[11] = 0xff;
    a.b[12] = 0xfe;
    memcpy(a.b + 13, mac + 3, 3);
    return a;
}

static bool uses_ra(const struct netif *nif)
{
    return !nif->loopback && nif->up && nif->e->ip->params.accept_rtadv;
}

static void solicit_routers(struct netif *nif)
{
    static const struct ip_addr all_routers = {.b = {0xff, 2, [15] = 2}};
    struct ip_addr src;
    struct rte_ether_addr mac;
    struct rte_mbuf *m;
    if (!uses_ra(nif) || !netif_speaks(nif) || ip_source(nif->e, &all_routers, nif->index, &src) < 0)
        return;
    m = pkt_alloc(nif->e->pkt_pool);
    if (!m) {
        nif->e->ip->stats.icmp_nobuf++;
        return;
    }
    struct nd_router_solicit *rs = (struct nd_router_solicit *)rte_pktmbuf_append(m, sizeof(*rs) + 8);
    uint8_t *option = (uint8_t *)(rs + 1);
    *rs = (struct nd_router_solicit){.nd_rs_type = ND_ROUTER_SOLICIT};
    option[0] = ND_OPT_SOURCE_LINKADDR;
    option[1] = 1;
    memcpy(option + 2, nif->mac.addr_bytes, 6);
    ether_group(&all_routers, &mac);
    nif->e->ip->stats.nd_rs_out++;
    icmp6_send(nif, m, &src, &all_routers, &mac);
}

void ra_fire(struct wheel_timer *t, uint64_t now)
{
    struct ip_layer *ip = container_of(t, struct ip_layer, rs_timer);
    struct netif *nif;
    TAILQ_FOREACH (nif, &ip->e->link->netifs, link)
        solicit_routers(nif);
    if (--ip->rs_left > 0)
        wheel_arm(&ip->e->wheel, t, now + SOLICIT_WAIT_NS);
}

void ip_netif_up(struct netif *nif)
{
    static const uint8_t link_local[8] = {0xfe, 0x80};
    struct ip_layer *ip = nif->e->ip;
    if (nif->loopback || !ip->params.auto_linklocal)
        return;
    struct ip_addr a = interface_address(nif, link_local);
    ip_addr_add(nif, &a, 64);
    ip->rs_left = SOLICITATIONS;
    /* The first when the address has been checked; with some jitter, for after a power failure all hosts
     * start at once. */
    uint64_t wait = (ip->params.dad_count6 + 1) * ip->params.dad_wait_ms * NS_PER_MS;
    wheel_arm(&nif->e->wheel, &ip->rs_timer, nif->e->now + wait + rng_below(&nif->e->rng, 1000) * NS_PER_MS);
}

/* ---- advertisements ---- */

static uint64_t until(const struct netif *nif, uint32_t seconds)
{
    return seconds == UINT32_MAX ? TIME_NEVER : nif->e->now + seconds * NS_PER_SEC;
}

/* RFC 4862 §5.5.3 (e): an attacker must not end an address by a short lifetime. */
static void renew(struct netif *nif, struct ifaddr *ia, uint32_t valid, uint32_t preferred)
{
    uint64_t now = nif->e->now, told = until(nif, valid);
    if (told > ia->valid_until || told - now > TWO_HOURS)
        ia->valid_until = told;
    else if (ia->valid_until > now + TWO_HOURS)
        ia->valid_until = now + TWO_HOURS;
    ia->preferred_until = until(nif, preferred);
    if (ia->state == IFADDR_TENTATIVE || ia->state == IFADDR_DUPLICATED)
        return;
    ia->state = preferred ? IFADDR_PREFERRED : IFADDR_DEPRECATED;
    uint64_t next = preferred ? ia->preferred_until : ia->valid_until;
    if (next > ia->valid_until)
        next = ia->valid_until;
    if (next != TIME_NEVER)
        wheel_arm(&nif->e->wheel, &ia->timer, next);
}

/* So that a stream of made-up prefixes ends before the memory for addresses does. */
static bool room_for_another(const struct netif *nif)
{
    const struct ifaddr *ia;
    uint32_t n = 0;
    TAILQ_FOREACH (ia, &nif->e->ip->addrs, link)
        n += ia->netif == nif && ia->autoconf;
    return n < nif->e->ip->params.maxifprefixes;
}

static void address_of_prefix(struct netif *nif, const struct nd_opt_prefix_info *p, uint32_t valid,
                              uint32_t preferred)
{
    struct ip_addr a = interface_address(nif, p->nd_opt_pi_prefix.s6_addr);
    struct ifaddr *ia = ip_addr_any_state(nif->e, &a);
    if (ia && ia->autoconf)
        renew(nif, ia, valid, preferred);
    else if (!ia && valid > 0 && room_for_another(nif))
        ip_addr_add_auto(nif, &a, 64, until(nif, preferred), until(nif, valid));
}

static void prefix_option(struct netif *nif, const struct nd_opt_prefix_info *p)
{
    struct ip_addr prefix = ip_addr_v6(p->nd_opt_pi_prefix.s6_addr);
    uint32_t valid = ntohl(p->nd_opt_pi_valid_time), preferred = ntohl(p->nd_opt_pi_preferred_time);
    uint8_t plen = p->nd_opt_pi_prefix_len;
    if (ip_addr_is_link_local(&prefix) || ip_addr_is_multicast(&prefix) || ip_addr_is_v4(&prefix) ||
        plen == 0 || plen > 128 || preferred > valid)
        return;
    if (p->nd_opt_pi_flags_reserved & ND_OPT_PI_FLAG_ONLINK) { /* RFC 4861 §6.3.4 */
        struct route r = {
            .dst = prefix, .plen = plen, .netif = nif, .origin = ROUTE_RA, .valid_until = until(nif, valid)};
        route_learn(nif->e->ip, &r);
    }
    if ((p->nd_opt_pi_flags_reserved & ND_OPT_PI_FLAG_AUTO) && plen == 64)
        address_of_prefix(nif, p, valid, preferred);
}

/* RFC 4861 §6.3.4: of IPv6 on this link. The device goes on taking what IPv4's hosts send. */
static void link_mtu(struct netif *nif, uint32_t mtu)
{
    if (mtu < 1280 || mtu > nif->mtu || mtu == netif_mtu(nif, false))
        return;
    nif->mtu6 = (uint16_t)mtu;
    nif->e->ip->path_gen++;
}

static void options(struct netif *nif, const struct pkt_info *info, const uint8_t *at, const uint8_t *end)
{
    struct nd_option o;
    bool bad = false;
    while (nd_option_next(&at, end, &o, &bad)) {
        if (o.kind == ND_OPT_SOURCE_LINKADDR && o.len == 8) {
            neigh_learn(nif, &info->src, (const struct rte_ether_addr *)(o.data + 2));
        } else if (o.kind == ND_OPT_PREFIX_INFORMATION && o.len == sizeof(struct nd_opt_prefix_info)) {
            prefix_option(nif, (const struct nd_opt_prefix_info *)o.data);
        } else if (o.kind == ND_OPT_MTU && o.len == sizeof(struct nd_opt_mtu)) {
            link_mtu(nif, ntohl(((const struct nd_opt_mtu *)o.data)->nd_opt_mtu_mtu));
        }
    }
}

static bool options_sound(const uint8_t *at, const uint8_t *end)
{
    struct nd_option o;
    bool bad = false;
    while (nd_option_next(&at, end, &o, &bad))
        ;
    return !bad;
}

void ra_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_layer *ip = nif->e->ip;
    const struct pkt_info *info = pkt_info(m);
    const struct nd_router_advert *ra = rte_pktmbuf_mtod(m, const struct nd_router_advert *);
    const uint8_t *end = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len);
    if (info->ttl != 255 || m->nb_segs != 1 || m->data_len < sizeof(*ra) || ra->nd_ra_code != 0 ||
        !ip_addr_is_link_local(&info->src) || !options_sound((const uint8_t *)(ra + 1), end) ||
        !uses_ra(nif)) {
        ip->stats.nd_badra++;
        return;
    }
    ip->stats.nd_ra_in++;
    wheel_cancel(&nif->e->wheel, &ip->rs_timer); /* no more questions */
    options(nif, info, (const uint8_t *)(ra + 1), end);
    struct route r = {.gateway = info->src,
                      .has_gateway = true,
                      .netif = nif,
                      .origin = ROUTE_RA,
                      .valid_until = nif->e->now + ntohs(ra->nd_ra_router_lifetime) * NS_PER_SEC};
    route_learn(ip, &r);
}
