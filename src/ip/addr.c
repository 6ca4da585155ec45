// SPDX-License-Identifier: BSD-3-Clause
// Our addresses: checked for duplicates (RFC 5227, RFC 4862 §5.4), then used and announced.
#include <errno.h>
#include <string.h>
#include <rte_byteorder.h>
#include "ip/priv.h"

#define DAD_MOST_LOOPED 3 /* more probes for those that came back; then the address is used */

bool ip_prefix_match(const struct ip_addr *a, const struct ip_addr *b, unsigned plen)
{
    uint64_t x[2], y[2];
    memcpy(x, a->b, sizeof(x));
    memcpy(y, b->b, sizeof(y));
    uint64_t high = rte_be_to_cpu_64(x[0] ^ y[0]), low = rte_be_to_cpu_64(x[1] ^ y[1]);
    if (plen <= 64)
        return plen == 0 || high >> (64 - plen) == 0;
    return high == 0 && low >> (128 - plen) == 0;
}

struct ifaddr_list *ip_addrs(struct engine *e)
{
    return &e->ip->addrs;
}

struct ifaddr *ip_addr_any_state(struct engine *e, const struct ip_addr *addr)
{
    struct ifaddr *ia;
    TAILQ_FOREACH (ia, &e->ip->addrs, link) {
        if (ip_addr_eq(&ia->addr, addr))
            return ia;
    }
    return NULL;
}

struct ifaddr *ip_addr_find(struct engine *e, const struct ip_addr *addr)
{
    struct ifaddr *ia = ip_addr_any_state(e, addr);
    return ia && ifaddr_usable(ia) ? ia : NULL;
}

enum link_owns ip_addr_owns(struct netif *nif, const struct ip_addr *addr)
{
    struct ifaddr *ia = ip_addr_any_state(nif->e, addr);
    if (!ia || ia->netif != nif || ia->state == IFADDR_DUPLICATED)
        return LINK_NOT_OURS;
    return ifaddr_usable(ia) ? LINK_OURS : LINK_TENTATIVE;
}

/* RFC 4291 §2.7.1 */
void solicited_node(const struct ip_addr *addr, struct ip_addr *group)
{
    static const uint8_t prefix[13] = {0xff, 2, [11] = 1, [12] = 0xff};
    memcpy(group->b, prefix, 13);
    memcpy(group->b + 13, addr->b + 13, 3);
}

static void leave_groups(struct ifaddr *ia)
{
    struct ip_addr g;
    if (ip_addr_is_v4(&ia->addr) || ia->netif->loopback)
        return;
    solicited_node(&ia->addr, &g);
    group_leave(ia->netif, &g);
    group_leave(ia->netif, &ip6_all_nodes);
}

static int join_groups(struct ifaddr *ia)
{
    struct ip_addr g;
    if (ip_addr_is_v4(&ia->addr) || ia->netif->loopback)
        return 0;
    solicited_node(&ia->addr, &g);
    int err = group_join(ia->netif, &g);
    if (err)
        return err;
    err = group_join(ia->netif, &ip6_all_nodes);
    if (err)
        group_leave(ia->netif, &g);
    return err;
}

static void announce(struct ifaddr *ia)
{
    if (ia->netif->loopback)
        return;
    if (ip_addr_is_v4(&ia->addr))
        arp_announce(ia->netif, ia->addr.w[3]);
    else
        nd_announce(ia);
}

/* Lifetimes of an address from a router (RFC 4862 §5.5.4). */
static void age(struct ifaddr *ia, uint64_t now)
{
    struct engine *e = ia->netif->e;
    if (ia->valid_until <= now) {
        ip_addr_del(ia->netif, &ia->addr);
        return;
    }
    ia->state = ia->preferred_until <= now ? IFADDR_DEPRECATED : IFADDR_PREFERRED;
    uint64_t next = ia->preferred_until <= now ? ia->valid_until : ia->preferred_until;
    if (next != TIME_NEVER)
        wheel_arm(&e->wheel, &ia->timer, next);
}

static void ready(struct ifaddr *ia)
{
    ia->state = IFADDR_PREFERRED;
    ia->netif->e->ip->path_gen++;
    announce(ia);
    age(ia, ia->netif->e->now);
}

static void address_fire(struct wheel_timer *t, uint64_t now)
{
    struct ifaddr *ia = container_of(t, struct ifaddr, timer);
    struct engine *e = ia->netif->e;
    if (ia->state != IFADDR_TENTATIVE) {
        age(ia, now);
        return;
    }
    if (ia->dad_left == 0) {
        ready(ia);
        return;
    }
    ia->dad_left--;
    if (ip_addr_is_v4(&ia->addr))
        arp_probe(ia->netif, ia->addr.w[3]);
    else
        nd_dad_probe(ia);
    wheel_arm(&e->wheel, &ia->timer, now + e->ip->params.dad_wait_ms * NS_PER_MS);
}

void ip_addr_duplicate(struct netif *nif, const struct ip_addr *addr)
{
    struct ifaddr *ia = ip_addr_any_state(nif->e, addr);
    if (!ia || ia->netif != nif || ia->state != IFADDR_TENTATIVE)
        return;
    ia->state = IFADDR_DUPLICATED;
    wheel_cancel(&nif->e->wheel, &ia->timer);
    nif->e->ip->stats.dad_duplicates++;
}

void ip_addr_looped(struct ifaddr *ia)
{
    ia->netif->e->ip->stats.dad_looped++;
    if (ia->dad_looped == DAD_MOST_LOOPED)
        return;
    ia->dad_looped++;
    ia->dad_left++;
}

/* All but the route: template says what it is. */
static int address_new(const struct ifaddr *template)
{
    struct netif *nif = template->netif;
    struct ip_layer *ip = nif->e->ip;
    struct ifaddr *ia = pool_get(&ip->addr_pool);
    if (!ia)
        return -ENOMEM;
    *ia = *template;
    ia->state = IFADDR_TENTATIVE;
    wheel_timer_init(&ia->timer, address_fire);
    int err = join_groups(ia);
    if (err) {
        pool_put(&ip->addr_pool, ia);
        return err;
    }
    TAILQ_INSERT_TAIL(&ip->addrs, ia, link);
    ia->dad_left = (uint8_t)(ip_addr_is_v4(&ia->addr) ? ip->params.dad_count4 : ip->params.dad_count6);
    if (nif->loopback || ia->dad_left == 0)
        ready(ia);
    else /* later by a slot than the report of the group, else a switch keeps it (RFC 4862 §5.4.2) */
        wheel_arm(&nif->e->wheel, &ia->timer, nif->e->now + 2 * WHEEL_SLOT_NS);
    return 0;
}

static int acceptable(struct netif *nif, const struct ip_addr *addr, uint8_t plen)
{
    if (plen > (ip_addr_is_v4(addr) ? 32 : 128) || ip_addr_is_any(addr) || ip_addr_is_multicast(addr))
        return -EINVAL;
    return ip_addr_any_state(nif->e, addr) ? -EEXIST : 0;
}

int ip_addr_add(struct netif *nif, const struct ip_addr *addr, uint8_t plen)
{
    struct ifaddr template = {
        .netif = nif, .addr = *addr, .plen = plen, .preferred_until = TIME_NEVER, .valid_until = TIME_NEVER};
    int err = acceptable(nif, addr, plen);
    if (err)
        return err;
    int shared = route_add_network(nif, addr, plen); /* -EEXIST: a second address of the same network */
    if (shared && shared != -EEXIST)
        return shared;
    err = address_new(&template);
    if (err && !shared)
        route_del_network(nif, addr, plen);
    return err;
}

int ip_addr_add_auto(struct netif *nif, const struct ip_addr *addr, uint8_t plen, uint64_t preferred_until,
                     uint64_t valid_until)
{
    struct ifaddr template = {.netif = nif,
                              .addr = *addr,
                              .plen = plen,
                              .autoconf = true,
                              .preferred_until = preferred_until,
                              .valid_until = valid_until};
    int err = acceptable(nif, addr, plen);
    return err ? err : address_new(&template);
}

static bool network_in_use(const struct ip_layer *ip, const struct ifaddr *gone)
{
    const struct ifaddr *ia;
    TAILQ_FOREACH (ia, &ip->addrs, link) {
        if (ia->netif == gone->netif && !ia->autoconf && ia->plen == gone->plen &&
            ip_addr_is_v4(&ia->addr) == ip_addr_is_v4(&gone->addr) &&
            ip_prefix_match(&ia->addr, &gone->addr, plen128(&gone->addr, gone->plen)))
            return true;
    }
    return false;
}

static void address_free(struct ip_layer *ip, struct ifaddr *ia)
{
    wheel_cancel(&ip->e->wheel, &ia->timer);
    TAILQ_REMOVE(&ip->addrs, ia, link);
    leave_groups(ia);
    pool_put(&ip->addr_pool, ia);
}

int ip_addr_del(struct netif *nif, const struct ip_addr *addr)
{
    struct ip_layer *ip = nif->e->ip;
    struct ifaddr *ia = ip_addr_any_state(nif->e, addr);
    if (!ia || ia->netif != nif)
        return -ENOENT;
    struct ifaddr gone = *ia;
    address_free(ip, ia);
    if (!gone.autoconf && !network_in_use(ip, &gone))
        route_del_network(nif, &gone.addr, gone.plen);
    ip->path_gen++;
    return 0;
}

void ip_addrs_destroy(struct ip_layer *ip)
{
    struct ifaddr *ia;
    while ((ia = TAILQ_FIRST(&ip->addrs)) != NULL)
        address_free(ip, ia);
}
