// SPDX-License-Identifier: BSD-3-Clause
// Routes by longest prefix, and the path MTU of single hosts. A host has few routes and connections remember their path, so a sorted
// array serves better than a trie.
#include <errno.h>
#include "base/alloc.h"
#include "ip/priv.h"

static struct route *exact(struct ip_layer *ip, const struct ip_addr *dst, uint8_t plen)
{
    for (uint32_t i = 0; i < ip->n_routes; i++) {
        struct route *r = &ip->routes[i];
        if (r->plen == plen && ip_addr_is_v4(&r->dst) == ip_addr_is_v4(dst) &&
            ip_prefix_match(&r->dst, dst, plen))
            return r;
    }
    return NULL;
}

const struct route *route_find(const struct ip_layer *ip, const struct ip_addr *dst, const struct netif *only)
{
    bool v4 = ip_addr_is_v4(dst);
    for (uint32_t i = 0; i < ip->n_routes; i++) {
        const struct route *r = &ip->routes[i];
        /* ::/0 covers ::ffff:0:0/96 in bits, but not in meaning. */
        if (ip_addr_is_v4(&r->dst) == v4 && (!only || r->netif == only) && r->valid_until > ip->e->now &&
            ip_prefix_match(&r->dst, dst, r->plen))
            return r;
    }
    return NULL;
}

static int make_room(struct ip_layer *ip)
{
    if (ip->n_routes >= ip->params.maxroutes)
        return -ENOBUFS;
    if (ip->n_routes < ip->room_routes)
        return 0;
    uint32_t room = ip->room_routes ? 2 * ip->room_routes : 16;
    struct route *routes = mem_alloc(room * sizeof(*routes));
    if (!routes)
        return -ENOMEM;
    if (ip->n_routes > 0)
        memcpy(routes, ip->routes, ip->n_routes * sizeof(*routes));
    mem_free(ip->routes);
    ip->routes = routes;
    ip->room_routes = room;
    return 0;
}

static void mask(struct ip_addr *a, unsigned plen)
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = plen > 8 * i ? plen - 8 * i : 0;
        if (bits < 8)
            a->b[i] &= (uint8_t)(0xff00 >> bits);
    }
}

static int insert(struct ip_layer *ip, const struct route *r)
{
    int err = make_room(ip);
    if (err)
        return err;
    uint32_t i = ip->n_routes++;
    while (i > 0 && ip->routes[i - 1].plen < r->plen) {
        ip->routes[i] = ip->routes[i - 1];
        i--;
    }
    ip->routes[i] = *r;
    mask(&ip->routes[i].dst, r->plen);
    ip->path_gen++;
    return 0;
}

int route_add(struct engine *e, const struct ip_addr *dst, uint8_t plen, const struct ip_addr *gateway,
              struct netif *nif)
{
    struct ip_layer *ip = e->ip;
    bool v4 = ip_addr_is_v4(dst), direct = !gateway || ip_addr_is_any(gateway);
    if (plen > (v4 ? 32 : 128) || (!direct && ip_addr_is_v4(gateway) != v4) || !nif)
        return -EINVAL;
    struct route r = {.dst = *dst,
                      .plen = plen128(dst, plen),
                      .netif = nif,
                      .has_gateway = !direct,
                      .valid_until = TIME_NEVER};
    if (!direct)
        r.gateway = *gateway;
    struct route *old = exact(ip, dst, r.plen);
    /* fe80::/64 is on every link. */
    if (old && !(ip_addr_is_link_local(dst) && !v4 && old->netif != nif))
        return -EEXIST;
    return insert(ip, &r);
}

static void remove_at(struct ip_layer *ip, struct route *r)
{
    memmove(r, r + 1, (size_t)(&ip->routes[--ip->n_routes] - r) * sizeof(*r));
    ip->path_gen++;
}

int route_del(struct engine *e, const struct ip_addr *dst, uint8_t plen)
{
    struct route *r = exact(e->ip, dst, plen128(dst, plen));
    if (!r)
        return -ENOENT;
    remove_at(e->ip, r);
    return 0;
}

int route_set_default_ra(struct ip_layer *ip, struct netif *nif, const struct ip_addr *router,
                         uint64_t valid_until)
{
    struct ip_addr any = {0};
    struct route *old = exact(ip, &any, 0);
    if (old && !old->from_ra)
        return 0; /* what was configured goes before */
    if (old)
        remove_at(ip, old);
    if (valid_until <= ip->e->now)
        return 0;
    struct route r = {.dst = any,
                      .gateway = *router,
                      .has_gateway = true,
                      .from_ra = true,
                      .netif = nif,
                      .valid_until = valid_until};
    return insert(ip, &r);
}

void routes_destroy(struct ip_layer *ip)
{
    mem_free(ip->routes);
    ip->routes = NULL;
    ip->n_routes = ip->room_routes = 0;
}

/* ---- path MTU (RFC 1191 §6.3, RFC 8201) ---- */

static struct path_mtu *path_mtu_find(struct ip_layer *ip, const struct ip_addr *dst)
{
    struct path_mtu *p;
    TAILQ_FOREACH (p, &ip->path_mtus, link) {
        if (ip_addr_eq(&p->dst, dst))
            return p;
    }
    return NULL;
}

static void path_mtu_forget(struct ip_layer *ip, struct path_mtu *p)
{
    TAILQ_REMOVE(&ip->path_mtus, p, link);
    pool_put(&ip->path_pool, p);
}

void ip_path_mtu_lower(struct engine *e, const struct ip_addr *dst, uint32_t mtu)
{
    struct ip_layer *ip = e->ip;
    struct path_mtu *p = path_mtu_find(ip, dst);
    uint32_t least = ip_addr_is_v4(dst) ? 68 : 1280;
    if (mtu < least)
        mtu = least;
    if (p && p->mtu <= mtu)
        return;
    if (p)
        path_mtu_forget(ip, p);
    if (ip->path_pool.used >= ip->params.maxpaths)
        path_mtu_forget(ip, TAILQ_FIRST(&ip->path_mtus));
    p = pool_get(&ip->path_pool);
    if (!p)
        return; /* the next too big tells again */
    *p = (struct path_mtu){.dst = *dst, .mtu = mtu, .until = e->now + 600 * NS_PER_SEC};
    TAILQ_INSERT_TAIL(&ip->path_mtus, p, link);
    ip->path_gen++;
}

static uint32_t path_mtu(struct ip_layer *ip, const struct ip_addr *dst, uint32_t mtu)
{
    struct path_mtu *p = TAILQ_EMPTY(&ip->path_mtus) ? NULL : path_mtu_find(ip, dst);
    if (p && p->until <= ip->e->now) {
        path_mtu_forget(ip, p);
        p = NULL;
    }
    return p && p->mtu < mtu ? p->mtu : mtu;
}

/* ---- paths ---- */

static bool is_loopback(const struct ip_addr *a)
{
    return ip_addr_is_v4(a) ? a->b[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)a->b);
}

static int path_out(struct ip_layer *ip, struct netif *nif, const struct ip_addr *nexthop,
                    const struct ip_addr *dst, struct ip_path *path)
{
    path->netif = nif;
    path->neigh = NULL;
    path->mtu = path_mtu(ip, dst, nif->mtu);
    path->gen = ip->path_gen;
    if (!nif->loopback) {
        path->neigh = neigh_get(nif, nexthop);
        if (!path->neigh)
            return -ENOBUFS;
    }
    path->neigh_gen = ip->e->link->neigh_gen;
    return 0;
}

int ip_path_find(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, uint32_t scope_index,
                 struct ip_path *path)
{
    struct ip_layer *ip = e->ip;
    struct netif *only = NULL, *lo = netif_find(e, "lo0");
    if (lo && (is_loopback(dst) || ip_addr_find(e, dst)))
        return path_out(ip, lo, dst, dst, path);
    if (!ip_addr_is_v4(dst) && ip_addr_is_link_local(dst)) {
        const struct ifaddr *ia = ip_addr_find(e, src);
        only = scope_index ? netif_by_index(e, scope_index) : ia ? ia->netif : NULL;
        if (scope_index && !only)
            return -ENETUNREACH;
    }
    const struct route *r = route_find(ip, dst, only);
    if (!r || !r->netif->up) {
        ip->stats.noroute++;
        return r ? -ENETDOWN : -ENETUNREACH;
    }
    return path_out(ip, r->netif, r->has_gateway ? &r->gateway : dst, dst, path);
}

bool ip_path_valid(const struct engine *e, const struct ip_path *path)
{
    return path->gen == e->ip->path_gen && path->neigh_gen == e->link->neigh_gen;
}

/* ---- source addresses (RFC 6724 §5, the rules that a host with few addresses needs) ---- */

static int scope_of(const struct ip_addr *a)
{
    return is_loopback(a) ? 0 : ip_addr_is_link_local(a) ? 1 : 2;
}

static unsigned common_bits(const struct ip_addr *a, const struct ip_addr *b)
{
    unsigned n = 0;
    while (n < 128 && ip_prefix_match(a, b, n + 1))
        n++;
    return n;
}

/* Is a a better source than b (which may be NULL)? */
static bool better(const struct ifaddr *a, const struct ifaddr *b, const struct ip_addr *dst,
                   const struct netif *out)
{
    if (!b)
        return true;
    int sa = scope_of(&a->addr), sb = scope_of(&b->addr), sd = scope_of(dst);
    if (sa != sb) /* rule 2 */
        return sa < sb ? sa >= sd : sb < sd;
    if (a->state != b->state) /* rule 3 */
        return a->state == IFADDR_PREFERRED;
    if ((a->netif == out) != (b->netif == out)) /* rule 5 */
        return a->netif == out;
    return common_bits(&a->addr, dst) > common_bits(&b->addr, dst); /* rule 8 */
}

int ip_source(struct engine *e, const struct ip_addr *dst, uint32_t scope_index, struct ip_addr *src)
{
    struct ip_layer *ip = e->ip;
    const struct ifaddr *ia = ip_addr_find(e, dst), *best = NULL;
    bool v4 = ip_addr_is_v4(dst);
    if (ia) { /* to ourselves: rule 1 */
        *src = *dst;
        return 0;
    }
    const struct route *r = route_find(ip, dst, scope_index ? netif_by_index(e, scope_index) : NULL);
    if (!r && !is_loopback(dst))
        return -ENETUNREACH;
    const struct netif *out = r ? r->netif : NULL;
    TAILQ_FOREACH (ia, &ip->addrs, link) {
        if (ip_addr_is_v4(&ia->addr) != v4 ||
            (ia->state != IFADDR_PREFERRED && ia->state != IFADDR_DEPRECATED))
            continue;
        if (scope_of(&ia->addr) == 0 && scope_of(dst) != 0)
            continue;
        if (better(ia, best, dst, out))
            best = ia;
    }
    if (!best)
        return -EADDRNOTAVAIL;
    *src = best->addr;
    return 0;
}
