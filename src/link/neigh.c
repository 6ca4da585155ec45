// SPDX-License-Identifier: BSD-3-Clause
// The neighbour table of both families. ARP (arp.c) and ND (ip/nd.c) only ask and answer; states, timers,
// waiting packets and the limit against floods are here (RFC 4861 §7.3, RFC 6583).
#include <errno.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_jhash.h>
#include "base/alloc.h"
#include "link/priv.h"

#define NEIGH_PER_SLAB 64
/* How far a full table looks for a known entry that may go: keeps a flood from making each packet a walk. */
#define EVICT_LOOK 8

static void neigh_fire(struct wheel_timer *t, uint64_t now);

static struct link_layer *layer_of(const struct neigh *n)
{
    return n->netif->e->link;
}

int neigh_table_create(struct link_layer *l)
{
    struct link_priv *p = l->priv;
    uint32_t buckets = rte_align32pow2(p->params.max_entries);

    p->table = mem_alloc(buckets * sizeof(*p->table));
    if (!p->table)
        return -ENOMEM;
    p->table_mask = buckets - 1;
    for (int i = 0; i < NEIGH_LISTS; i++)
        TAILQ_INIT(&p->lru[i]);
    pool_init(&p->neighs, "neighbours", sizeof(struct neigh), p->params.max_entries, NEIGH_PER_SLAB);
    return 0;
}

void neigh_table_destroy(struct link_layer *l)
{
    if (!l->priv->table)
        return;
    pool_fini(&l->priv->neighs);
    mem_free(l->priv->table);
    l->priv->table = NULL;
}

/* Keyed: who floods us chooses the addresses. */
static struct neigh_chain *chain_of(const struct netif *nif, const struct ip_addr *addr)
{
    struct link_priv *p = nif->e->link->priv;
    uint32_t seed = (uint32_t)nif->e->secret.k[0] + nif->index;

    return &p->table[rte_jhash_32b(addr->w, 4, seed) & p->table_mask];
}

struct neigh *neigh_find(const struct netif *nif, const struct ip_addr *addr)
{
    struct neigh *n;

    LIST_FOREACH (n, chain_of(nif, addr), link) {
        if (n->netif == nif && ip_addr_eq(&n->addr, addr))
            return n;
    }
    return NULL;
}

static void list_move(struct neigh *n, uint8_t list)
{
    struct link_priv *p = layer_of(n)->priv;

    TAILQ_REMOVE(&p->lru[n->list], n, lru);
    n->list = list;
    TAILQ_INSERT_TAIL(&p->lru[list], n, lru);
}

static void arm_ms(struct neigh *n, uint64_t ms)
{
    struct engine *e = n->netif->e;

    wheel_arm(&e->wheel, &n->timer, e->now + ms * NS_PER_MS);
}

static void drop_queue(struct neigh *n)
{
    struct link_priv *p = layer_of(n)->priv;

    p->neigh.drop_unreachable += n->n_queued;
    rte_pktmbuf_free_bulk(n->queue, n->n_queued);
    n->n_queued = 0;
}

void neigh_remove(struct neigh *n)
{
    struct link_layer *l = layer_of(n);

    wheel_cancel(&n->netif->e->wheel, &n->timer);
    LIST_REMOVE(n, link);
    TAILQ_REMOVE(&l->priv->lru[n->list], n, lru);
    drop_queue(n);
    if (n->shared)
        l->neigh_gen++;
    l->priv->neigh.entries--;
    pool_put(&l->priv->neighs, n);
}

void neigh_flush(struct netif *nif)
{
    struct neigh *n, *next;

    for (int i = 0; i < NEIGH_LISTS; i++) {
        TAILQ_FOREACH_SAFE (n, &nif->e->link->priv->lru[i], lru, next) {
            if (n->netif == nif)
                neigh_remove(n);
        }
    }
}

int neigh_walk(struct engine *e, int (*fn)(struct neigh *n, void *arg), void *arg)
{
    struct neigh *n;
    int rc;

    for (int i = 0; i < NEIGH_LISTS; i++) {
        TAILQ_FOREACH (n, &e->link->priv->lru[i], lru) {
            rc = fn(n, arg);
            if (rc)
                return rc;
        }
    }
    return 0;
}

static bool evictable(const struct neigh *n)
{
    return n->state == NEIGH_STALE || (n->state == NEIGH_STATIC && ip_addr_is_multicast(&n->addr));
}

/*
 * Makes room: first entries that strangers made by asking us, then the longest unanswered question, then a
 * known one that is stale. Strangers' own entries only ever replace their like, so they can't push out what
 * we use.
 */
static bool evict(struct link_priv *p, bool learned)
{
    struct neigh *n = TAILQ_FIRST(&p->lru[NEIGH_LEARNED]);
    unsigned looked = 0;

    if (!n && !learned) {
        n = TAILQ_FIRST(&p->lru[NEIGH_PENDING]);
        if (n == TAILQ_LAST(&p->lru[NEIGH_PENDING], neigh_lru)) /* maybe the one this is about */
            n = NULL;
    }
    if (!n && !learned) {
        TAILQ_FOREACH (n, &p->lru[NEIGH_KNOWN], lru) {
            if (evictable(n))
                break;
            if (++looked == EVICT_LOOK)
                return false;
        }
    }
    if (!n)
        return false;
    p->neigh.evicted++;
    neigh_remove(n);
    return true;
}

static struct neigh *neigh_new(struct netif *nif, const struct ip_addr *addr, enum neigh_list list)
{
    struct link_priv *p = nif->e->link->priv;
    struct neigh *n;

    p->neighs.limit = p->params.max_entries;
    n = p->neigh.entries < p->params.max_entries || evict(p, list == NEIGH_LEARNED) ? pool_get(&p->neighs)
                                                                                    : NULL;
    if (!n) {
        if (list == NEIGH_LEARNED)
            p->neigh.learn_refused++;
        else
            p->neigh.table_full++;
        return NULL;
    }
    memset(n, 0, sizeof(*n));
    n->addr = *addr;
    n->netif = nif;
    n->state = NEIGH_INCOMPLETE;
    n->list = list;
    wheel_timer_init(&n->timer, neigh_fire);
    LIST_INSERT_HEAD(chain_of(nif, addr), n, link);
    TAILQ_INSERT_TAIL(&p->lru[list], n, lru);
    p->neigh.entries++;
    return n;
}

/* Groups need no question: the link-layer address is computed. */
static bool is_group(const struct ip_addr *addr)
{
    return ip_addr_is_multicast(addr) || (ip_addr_is_v4(addr) && addr->w[3] == INADDR_BROADCAST);
}

struct neigh *neigh_get(struct netif *nif, const struct ip_addr *nexthop)
{
    struct neigh *n = neigh_find(nif, nexthop);

    if (n) {
        list_move(n, n->list == NEIGH_LEARNED ? NEIGH_KNOWN : n->list);
    } else if (is_group(nexthop)) {
        n = neigh_new(nif, nexthop, NEIGH_KNOWN);
        if (n) {
            ether_group(nexthop, &n->mac);
            n->state = NEIGH_STATIC;
        }
    } else {
        n = neigh_new(nif, nexthop, NEIGH_PENDING);
        if (n) /* nobody may ever send: then it goes like one that did not answer */
            arm_ms(n, nif->e->link->priv->params.max_age * UINT64_C(1000));
    }
    if (n)
        n->shared = true;
    return n;
}

static void solicit(struct neigh *n, bool unicast)
{
    struct link_layer *l = layer_of(n);

    n->tries++;
    arm_ms(n, l->priv->params.retrans_ms);
    if (ip_addr_is_v4(&n->addr))
        arp_solicit(n->netif, n, unicast);
    else if (l->nd_solicit)
        l->nd_solicit(n->netif, n, unicast);
}

static void become_stale(struct neigh *n)
{
    n->state = NEIGH_STALE;
    arm_ms(n, layer_of(n)->priv->params.max_age * UINT64_C(1000));
}

/* RFC 4861 §6.3.2: uniformly between 0.5 and 1.5 times the base, so that hosts do not ask in step. */
static void become_reachable(struct neigh *n)
{
    struct engine *e = n->netif->e;
    uint32_t base = layer_of(n)->priv->params.reachable_ms;

    n->state = NEIGH_REACHABLE;
    n->tries = 0;
    n->confirmed = e->now;
    arm_ms(n, base / 2 + rng_below(&e->rng, base + 1));
}

/* Nobody answered: the waiting packets are reported, the entry goes, so the next packet asks anew (RFC 4861
 * §7.2.2). */
static void give_up(struct neigh *n)
{
    struct link_layer *l = layer_of(n);
    struct netif *nif = n->netif;
    struct ip_addr dst = n->addr;
    struct rte_mbuf *pkts[NEIGH_HOLD];
    uint16_t n_pkts = n->n_queued;

    memcpy(pkts, n->queue, sizeof(pkts));
    n->n_queued = 0;
    l->priv->neigh.timeouts++;
    l->priv->neigh.drop_unreachable += n_pkts;
    neigh_remove(n);
    for (uint16_t i = 0; i < n_pkts; i++) {
        if (l->unreachable)
            l->unreachable(nif, pkts[i], &dst);
        else
            rte_pktmbuf_free(pkts[i]);
    }
}

static void neigh_fire(struct wheel_timer *t, uint64_t now)
{
    struct neigh *n = (struct neigh *)((char *)t - offsetof(struct neigh, timer));
    const struct link_params *p = &layer_of(n)->priv->params;
    uint64_t good_until = n->confirmed + p->reachable_ms * NS_PER_MS;

    switch ((enum neigh_state)n->state) {
    case NEIGH_INCOMPLETE:
        if (n->tries && n->tries < p->maxtries)
            solicit(n, false);
        else
            give_up(n);
        break;
    case NEIGH_REACHABLE:
        if (good_until > now) /* confirmed meanwhile */
            wheel_arm(&n->netif->e->wheel, t, good_until);
        else
            become_stale(n);
        break;
    case NEIGH_STALE: /* unused all the time */
        neigh_remove(n);
        break;
    case NEIGH_DELAY:
        n->state = NEIGH_PROBE;
        n->tries = 0;
        solicit(n, true);
        break;
    case NEIGH_PROBE:
        if (n->tries < p->umaxtries)
            solicit(n, true);
        else
            give_up(n);
        break;
    case NEIGH_STATIC:
        break;
    }
}

static void remember_source(struct neigh *n, const struct rte_mbuf *m)
{
    if (ip_addr_is_v4(&n->addr) && rte_pktmbuf_data_len(m) >= sizeof(struct rte_ipv4_hdr))
        n->asked_from = rte_pktmbuf_mtod(m, const struct rte_ipv4_hdr *)->src_addr;
}

static void send_to(struct neigh *n, struct rte_mbuf *m)
{
    ether_output(n->netif, m, &n->mac, ip_addr_is_v4(&n->addr) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
}

/* RFC 1122 §2.3.2.2, RFC 4861 §7.2.2: a few wait, and the oldest goes for the newest. */
static void hold(struct neigh *n, struct rte_mbuf *m)
{
    struct link_priv *p = layer_of(n)->priv;

    if (p->params.maxhold == 0) {
        p->neigh.drop_hold++;
        rte_pktmbuf_free(m);
        return;
    }
    while (n->n_queued >= p->params.maxhold) {
        p->neigh.drop_hold++;
        rte_pktmbuf_free(n->queue[0]);
        memmove(n->queue, n->queue + 1, --n->n_queued * sizeof(n->queue[0]));
    }
    n->queue[n->n_queued++] = m;
}

void neigh_output(struct neigh *n, struct rte_mbuf *m)
{
    if (n->state == NEIGH_INCOMPLETE) {
        remember_source(n, m);
        hold(n, m);
        if (n->tries == 0)
            solicit(n, false);
        return;
    }
    if (n->state == NEIGH_STALE) { /* RFC 4861 §7.3.3: usable, but ask if nothing confirms it soon */
        remember_source(n, m);
        n->state = NEIGH_DELAY;
        n->tries = 0;
        list_move(n, NEIGH_KNOWN);
        arm_ms(n, layer_of(n)->priv->params.delay_ms);
    }
    send_to(n, m);
}

static void send_queue(struct neigh *n)
{
    struct rte_mbuf *pkts[NEIGH_HOLD];
    uint16_t n_pkts = n->n_queued;

    memcpy(pkts, n->queue, sizeof(pkts));
    n->n_queued = 0;
    for (uint16_t i = 0; i < n_pkts; i++)
        send_to(n, pkts[i]);
}

/* RFC 4861 §7.2.5, first half: any answer completes. */
static void complete(struct neigh *n, const struct rte_ether_addr *mac, bool solicited, bool router)
{
    n->mac = *mac;
    n->router = router;
    list_move(n, NEIGH_KNOWN);
    if (solicited)
        become_reachable(n);
    else
        become_stale(n);
    send_queue(n);
}

void neigh_update(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac,
                  bool solicited, bool override, bool router)
{
    struct neigh *n = neigh_find(nif, addr);
    bool same;

    if (!n || n->state == NEIGH_STATIC)
        return;
    if (n->state == NEIGH_INCOMPLETE) {
        complete(n, mac, solicited, router);
        return;
    }
    same = rte_is_same_ether_addr(&n->mac, mac);
    if (!same && !override) { /* the cached address is kept but no longer trusted */
        if (n->state == NEIGH_REACHABLE)
            become_stale(n);
        return;
    }
    n->mac = *mac;
    n->router = router;
    if (solicited)
        become_reachable(n);
    else if (!same)
        become_stale(n);
}

void neigh_learn(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
    struct neigh *n = neigh_find(nif, addr);

    if (n && n->state == NEIGH_STATIC)
        return;
    if (!n) {
        n = neigh_new(nif, addr, NEIGH_LEARNED);
        if (!n)
            return;
        n->mac = *mac;
        become_stale(n);
    } else if (n->state == NEIGH_INCOMPLETE) {
        complete(n, mac, false, n->router);
    } else if (!rte_is_same_ether_addr(&n->mac, mac)) {
        n->mac = *mac;
        become_stale(n);
    }
}

int neigh_set_static(struct netif *nif, const struct ip_addr *addr, const struct rte_ether_addr *mac)
{
    struct neigh *n = neigh_find(nif, addr);

    if (!n)
        n = neigh_new(nif, addr, NEIGH_KNOWN);
    if (!n)
        return -ENOBUFS;
    list_move(n, NEIGH_KNOWN);
    wheel_cancel(&nif->e->wheel, &n->timer);
    n->mac = *mac;
    n->state = NEIGH_STATIC;
    send_queue(n);
    return 0;
}

void neigh_confirm(struct neigh *n)
{
    n->confirmed = n->netif->e->now;
    if (n->state == NEIGH_STALE || n->state == NEIGH_DELAY || n->state == NEIGH_PROBE)
        become_reachable(n);
}
