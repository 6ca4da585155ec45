// SPDX-License-Identifier: BSD-3-Clause
// Routes by longest prefix, and the path MTU of single hosts. A host has few routes and connections remember
// their path, so a sorted array serves better than a trie.
#include <errno.h>
#include "base/alloc.h"
#include "ip/priv.h"

#define PATH_MTU_LIFE (600 * NS_PER_SEC) /* RFC 1191 §6.3 */

/* fe80::/64 is on every link, so there the interface belongs to the name. */
static struct route *exact(struct ip_layer *ip, const struct ip_addr *dst, uint8_t plen,
                           const struct netif *nif)
{
    bool each_link = nif && !ip_addr_is_v4(dst) && ip_addr_is_link_local(dst);
    for (uint32_t i = 0; i < ip->n_routes; i++) {
        struct route *r = &ip->routes[i];
        if (r->plen == plen && ip_addr_is_v4(&r->dst) == ip_addr_is_v4(dst) &&
            (!each_link || r->netif == nif) && ip_prefix_match(&r->dst, dst, plen))
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

/* What was configured stands before what others say. */
static bool goes_before(const struct route *a, const struct route *b)
{
    return a->plen != b->plen ? a->plen > b->plen : a->origin < b->origin;
}

static int insert(struct ip_layer *ip, const struct route *r)
{
    int err = make_room(ip);
    if (err)
        return err;
    uint32_t i = ip->n_routes++;
    while (i > 0 && goes_before(r, &ip->routes[i - 1])) {
        ip->routes[i] = ip->routes[i - 1];
        i--;
    }
    ip->routes[i] = *r;
    mask(&ip->routes[i].dst, r->plen);
    ip->path_gen++;
    return 0;
}

static void remove_at(struct ip_layer *ip, struct route *r)
{
    memmove(r, r + 1, (size_t)(&ip->routes[--ip->n_routes] - r) * sizeof(*r));
    ip->path_gen++;
}

static int add(struct engine *e, const struct ip_addr *dst, uint8_t plen, const struct ip_addr *gateway,
               struct netif *nif, enum route_origin origin)
{
    bool v4 = ip_addr_is_v4(dst), direct = !gateway || ip_addr_is_any(gateway);
    if (plen > (v4 ? 32 : 128) || (!direct && ip_addr_is_v4(gateway) != v4) || !nif)
        return -EINVAL;
    struct route r = {.dst = *dst,
                      .plen = plen128(dst, plen),
                      .netif = nif,
                      .has_gateway = !direct,
                      .origin = origin,
                      .valid_until = TIME_NEVER};
    if (!direct)
        r.gateway = *gateway;
    struct route *old = exact(e->ip, dst, r.plen, nif);
    if (old && old->origin <= ROUTE_ADDRESS)
        return -EEXIST;
    return insert(e->ip, &r);
}

int route_add(struct engine *e, const struct ip_addr *dst, uint8_t plen, const struct ip_addr *gateway,
              struct netif *nif)
{
    return add(e, dst, plen, gateway, nif, ROUTE_STATIC);
}

int route_add_network(struct netif *nif, const struct ip_addr *addr, uint8_t plen)
{
    return add(nif->e, addr, plen, NULL, nif, ROUTE_ADDRESS);
}

void route_del_network(struct netif *nif, const struct ip_addr *addr, uint8_t plen)
{
    struct ip_layer *ip = nif->e->ip;
    struct route *r = exact(ip, addr, plen128(addr, plen), nif);
    if (r && r->origin == ROUTE_ADDRESS && r->netif == nif)
        remove_at(ip, r);
}

int route_del(struct engine *e, const struct ip_addr *dst, uint8_t plen)
{
    struct route *r = exact(e->ip, dst, plen128(dst, plen), NULL);
    if (!r)
        return -ENOENT;
    remove_at(e->ip, r);
    return 0;
}

unsigned route_list(struct engine *e, unsigned skip, struct route_entry *out, unsigned n)
{
    const struct ip_layer *ip = e->ip;
    unsigned k = 0;
    for (uint32_t i = skip; i < ip->n_routes && k < n; i++) {
        const struct route *r = &ip->routes[i];
        out[k++] = (struct route_entry){
            .dst = r->dst,
            .gateway = r->gateway,
            .plen = (uint8_t)(ip_addr_is_v4(&r->dst) && r->plen >= 96 ? r->plen - 96 : r->plen),
            .has_gateway = r->has_gateway,
            .dynamic = r->origin == ROUTE_REDIRECT,
            .autoconf = r->origin == ROUTE_RA,
            .netif = r->netif,
            .valid_until = r->valid_until,
        };
    }
    return k;
}

/* ---- routes that others told us, for a time ---- */

static void expire(struct ip_layer *ip);

/* The same as r, learned before; default routers stand side by side. */
static struct route *learned(struct ip_layer *ip, const struct route *r)
{
    for (uint32_t i = 0; i < ip->n_routes; i++) {
        struct route *old = &ip->routes[i];
        if (old->origin == r->origin && old->plen == r->plen && old->netif == r->netif &&
            ip_addr_eq(&old->dst, &r->dst) && (r->plen > 0 || ip_addr_eq(&old->gateway, &r->gateway)))
            return old;
    }
    return NULL;
}

static uint32_t how_many(const struct ip_layer *ip, const struct route *like)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < ip->n_routes; i++) {
        const struct route *r = &ip->routes[i];
        n += r->origin == like->origin && r->netif == like->netif && (r->plen == 0) == (like->plen == 0);
    }
    return n;
}

static uint32_t most_of(const struct ip_layer *ip, const struct route *r)
{
    if (r->origin == ROUTE_REDIRECT)
        return ip->params.maxredirects;
    return r->plen == 0 ? ip->params.maxifdefrouters : ip->params.maxifprefixes;
}

int route_learn(struct ip_layer *ip, const struct route *told)
{
    struct route r = *told;
    mask(&r.dst, r.plen);
    struct route *old = learned(ip, &r);
    if (old && r.valid_until > ip->e->now && old->has_gateway == r.has_gateway &&
        ip_addr_eq(&old->gateway, &r.gateway)) { /* cached paths stay good */
        old->valid_until = r.valid_until;
        expire(ip);
        return 0;
    }
    if (old)
        remove_at(ip, old);
    if (r.valid_until <= ip->e->now)
        return 0;
    int err = how_many(ip, &r) < most_of(ip, &r) ? insert(ip, &r) : -ENOBUFS;
    expire(ip);
    return err;
}

void route_unreachable(struct ip_layer *ip, const struct netif *nif, const struct ip_addr *nexthop)
{
    for (uint32_t i = ip->n_routes; i-- > 0;) {
        struct route r = ip->routes[i];
        if (r.netif != nif || !ip_addr_eq(r.has_gateway ? &r.gateway : &r.dst, nexthop))
            continue;
        if (r.origin == ROUTE_REDIRECT)
            remove_at(ip, &ip->routes[i]);
        if (r.origin == ROUTE_RA && r.plen == 0 && i + 1 < ip->n_routes) { /* default routes come last */
            remove_at(ip, &ip->routes[i]);
            insert(ip, &r);
        }
    }
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
    *p = (struct path_mtu){.dst = *dst, .mtu = mtu, .until = e->now + PATH_MTU_LIFE};
    TAILQ_INSERT_TAIL(&ip->path_mtus, p, link);
    ip->path_gen++;
    expire(ip);
}

uint32_t ip_path_mtu_known(struct engine *e, const struct ip_addr *dst)
{
    const struct path_mtu *p = path_mtu_find(e->ip, dst);
    return p ? p->mtu : 0;
}

void ip_path_mtu_forget(struct engine *e)
{
    struct path_mtu *p;
    while ((p = TAILQ_FIRST(&e->ip->path_mtus)) != NULL) {
        path_mtu_forget(e->ip, p);
        e->ip->path_gen++;
    }
}

static uint32_t path_mtu(struct ip_layer *ip, const struct ip_addr *dst, uint32_t mtu)
{
    struct path_mtu *p = TAILQ_EMPTY(&ip->path_mtus) ? NULL : path_mtu_find(ip, dst);
    return p && p->mtu < mtu ? p->mtu : mtu;
}

/* ---- what ends by itself: connections ask anew for their paths then ---- */

static void expire(struct ip_layer *ip)
{
    uint64_t now = ip->e->now, next = TIME_NEVER;
    struct path_mtu *p;
    for (uint32_t i = ip->n_routes; i-- > 0;) {
        if (ip->routes[i].valid_until <= now)
            remove_at(ip, &ip->routes[i]);
        else if (ip->routes[i].valid_until < next)
            next = ip->routes[i].valid_until;
    }
    while ((p = TAILQ_FIRST(&ip->path_mtus)) != NULL && p->until <= now) {
        path_mtu_forget(ip, p);
        ip->path_gen++;
    }
    if (p && p->until < next)
        next = p->until;
    if (next == TIME_NEVER)
        wheel_cancel(&ip->e->wheel, &ip->expiry);
    else
        wheel_arm(&ip->e->wheel, &ip->expiry, next);
}

void route_expire(struct wheel_timer *t, uint64_t now)
{
    expire(container_of(t, struct ip_layer, expiry));
}

/* ---- paths ---- */

static bool is_loopback(const struct ip_addr *a)
{
    return ip_addr_is_v4(a) ? a->b[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)a->b);
}

static int path_out(struct ip_layer *ip, struct netif *nif, const struct ip_addr *nexthop,
                    const struct ip_addr *dst, struct ip_path *path)
{
    struct neigh *n = nif->loopback ? NULL : neigh_get(nif, nexthop);
    if (!n && !nif->loopback)
        return -ENOBUFS; /* path stays as it was: not valid */
    path->netif = nif;
    path->neigh = n;
    path->mtu = path_mtu(ip, dst, netif_mtu(nif, ip_addr_is_v4(dst)));
    path->gen = ip->path_gen;
    path->neigh_gen = ip->e->link->neigh_gen;
    return 0;
}

int ip_path_find(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, uint32_t scope_index,
                 struct ip_path *path)
{
    struct ip_layer *ip = e->ip;
    struct netif *only = NULL, *lo = netif_loopback(e);
    if (lo && (is_loopback(dst) || ip_addr_find(e, dst)))
        return path_out(ip, lo, dst, dst, path);
    if (!ip_addr_is_v4(dst) && (ip_addr_is_link_local(dst) || ip_addr_is_multicast(dst))) {
        const struct ifaddr *ia = ip_addr_find(e, src);
        only = scope_index ? netif_by_index(e, scope_index) : ia ? ia->netif : NULL;
        if (scope_index && !only)
            return -ENETUNREACH;
    }
    if (only && ip_addr_is_multicast(dst))
        return path_out(ip, only, dst, dst, path);
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

/* 0 this host, 1 this link, 2 more (RFC 6724 §3.1) */
static int scope_of(const struct ip_addr *a)
{
    if (!ip_addr_is_v4(a) && ip_addr_is_multicast(a))
        return (a->b[1] & 0xf) <= 2 ? 1 : 2;
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

/* RFC 6724 §4: an address of another link or of loopback says nothing to who gets it. */
static bool candidate(const struct ifaddr *ia, const struct ip_addr *dst, const struct netif *out)
{
    int scope = scope_of(&ia->addr);
    if (scope == 0)
        return scope_of(dst) == 0;
    return scope != 1 || ip_addr_is_v4(&ia->addr) || ia->netif == out;
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
    const struct netif *only = scope_index ? netif_by_index(e, scope_index) : NULL;
    const struct route *r = route_find(ip, dst, only);
    if (!r && !is_loopback(dst) && !(only && ip_addr_is_multicast(dst)))
        return -ENETUNREACH;
    const struct netif *out = r ? r->netif : only;
    TAILQ_FOREACH (ia, &ip->addrs, link) {
        if (ip_addr_is_v4(&ia->addr) != v4 || !ifaddr_usable(ia) || !candidate(ia, dst, out))
            continue;
        if (better(ia, best, dst, out))
            best = ia;
    }
    if (!best)
        return -EADDRNOTAVAIL;
    *src = best->addr;
    return 0;
}
