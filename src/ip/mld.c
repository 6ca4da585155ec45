// SPDX-License-Identifier: BSD-3-Clause
// The IPv6 groups that an interface is in, and their reports to multicast routers and switches that look on:
// MLDv2 (RFC 3810), MLDv1 (RFC 2710) where a router asks in it. We want every source of a group, so no record
// names one.
#include <errno.h>
#include <netinet/icmp6.h>
#include "base/alloc.h"
#include "ip/priv.h"

#define MLD_V2_REPORT   143
#define MLD_ROBUSTNESS  2                  /* RFC 3810 §9.1 */
#define MLD_UNSOLICITED NS_PER_SEC         /* RFC 3810 §9.11, and more than RFC 4861's jitter */
#define MLD_V1_PATIENCE (260 * NS_PER_SEC) /* RFC 3810 §9.12 by its own defaults */
#define RECORDS_MAX     48                 /* fit in the smallest packet buffer, 1024 bytes */

enum { MODE_IS_EXCLUDE = 2, CHANGE_TO_INCLUDE = 3, CHANGE_TO_EXCLUDE = 4 };

struct group {
    TAILQ_ENTRY(group) link;
    struct netif *netif;
    struct ip_addr addr;
    uint16_t refs; /* 0: left, and kept until that has been told */
    uint8_t tell;  /* reports of the change still to be sent */
    bool asked;    /* a query waits for its answer */
};

struct record {
    uint8_t type, aux;
    uint16_t n_sources;
    uint8_t group[16];
};
struct report {
    uint8_t type, code;
    uint16_t cksum, reserved, n;
    struct record records[];
};

const struct ip_addr ip6_all_nodes = {.b = {0xff, 2, [15] = 1}};
static const struct ip_addr all_routers = {.b = {0xff, 2, [15] = 2}},
                            mld_routers = {.b = {0xff, 2, [15] = 0x16}};
static const uint8_t router_alert[8] = {IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0}; /* RFC 2711, and PadN */

static struct group *find(const struct netif *nif, const struct ip_addr *addr)
{
    struct group *g;
    TAILQ_FOREACH (g, &nif->e->ip->groups, link) {
        if (g->netif == nif && ip_addr_eq(&g->addr, addr))
            return g;
    }
    return NULL;
}

bool group_joined(const struct netif *nif, const struct ip_addr *addr)
{
    const struct group *g = find(nif, addr);
    return g && g->refs > 0;
}

static void forget(struct ip_layer *ip, struct group *g)
{
    TAILQ_REMOVE(&ip->groups, g, link);
    pool_put(&ip->group_pool, g);
}

static void wake_at(struct ip_layer *ip, uint64_t when)
{
    if (!wheel_timer_armed(&ip->mld_timer) || ip->mld_timer.deadline > when)
        wheel_arm(&ip->e->wheel, &ip->mld_timer, when);
}

/* RFC 3810 §6.1: a change is told at once, and again in case that was lost. Nobody asks for all nodes (§6). */
static void changed(struct ip_layer *ip, struct group *g)
{
    if (ip_addr_eq(&g->addr, &ip6_all_nodes))
        return;
    g->tell = ip->mld_robustness ? ip->mld_robustness : MLD_ROBUSTNESS;
    wake_at(ip, ip->e->now);
}

int group_join(struct netif *nif, const struct ip_addr *addr)
{
    struct ip_layer *ip = nif->e->ip;
    struct group *g = find(nif, addr);
    struct rte_ether_addr mac;
    if (!g) {
        g = pool_get(&ip->group_pool);
        if (!g)
            return -ENOMEM;
        *g = (struct group){.netif = nif, .addr = *addr};
        TAILQ_INSERT_TAIL(&ip->groups, g, link);
    }
    if (g->refs++ > 0)
        return 0;
    ether_group(addr, &mac);
    netif_join(nif, &mac); /* a port that cannot filter gets every group */
    changed(ip, g);
    return 0;
}

void group_leave(struct netif *nif, const struct ip_addr *addr)
{
    struct ip_layer *ip = nif->e->ip;
    struct group *g = find(nif, addr);
    struct rte_ether_addr mac;
    if (!g || g->refs == 0 || --g->refs > 0)
        return;
    ether_group(addr, &mac);
    netif_leave(nif, &mac);
    g->asked = false;
    changed(ip, g);
    if (g->tell == 0)
        forget(ip, g);
}

void groups_destroy(struct ip_layer *ip)
{
    struct group *g;
    wheel_cancel(&ip->e->wheel, &ip->mld_timer);
    while ((g = TAILQ_FIRST(&ip->groups)) != NULL)
        forget(ip, g);
    pool_fini(&ip->group_pool);
}

/* ---- reports ---- */

/* RFC 3810 §5.2.13, RFC 3590: while the link-local address is checked, from nobody. */
static struct ip_addr source(const struct netif *nif)
{
    const struct ifaddr *ia;
    TAILQ_FOREACH (ia, &nif->e->ip->addrs, link) {
        if (ia->netif == nif && !ip_addr_is_v4(&ia->addr) && ip_addr_is_link_local(&ia->addr) &&
            ifaddr_usable(ia))
            return ia->addr;
    }
    return (struct ip_addr){0};
}

/* m: the message, without its checksum. Takes m. */
static void send_report(struct netif *nif, struct rte_mbuf *m, const struct ip_addr *dst)
{
    struct ip_addr src = source(nif);
    struct rte_ether_addr mac;
    ether_group(dst, &mac);
    icmp6_finish(m, &src, dst);
    memcpy(rte_pktmbuf_prepend(m, sizeof(router_alert)), router_alert, sizeof(router_alert));
    nif->e->ip->stats.mld_reports++;
    icmp6_to_link(nif, m, &src, dst, &mac, IPPROTO_HOPOPTS, 1);
}

static struct rte_mbuf *message(struct ip_layer *ip, uint16_t len)
{
    struct rte_mbuf *m = pkt_alloc(ip->e->pkt_pool);
    if (!m) {
        ip->stats.icmp_nobuf++;
        return NULL;
    }
    memset(rte_pktmbuf_append(m, len), 0, len);
    return m;
}

static void send_v1(struct group *g)
{
    struct rte_mbuf *m = message(g->netif->e->ip, sizeof(struct mld_hdr));
    if (!m)
        return;
    struct mld_hdr *h = rte_pktmbuf_mtod(m, struct mld_hdr *);
    h->mld_type = g->refs ? MLD_LISTENER_REPORT : MLD_LISTENER_REDUCTION;
    memcpy(&h->mld_addr, g->addr.b, 16);
    send_report(g->netif, m, g->refs ? &g->addr : &all_routers);
}

static void add_record(struct rte_mbuf *m, const struct group *g)
{
    struct record *r = (struct record *)rte_pktmbuf_append(m, sizeof(*r));
    struct report *report = rte_pktmbuf_mtod(m, struct report *);
    *r = (struct record){.type = MODE_IS_EXCLUDE};
    if (g->tell)
        r->type = g->refs ? CHANGE_TO_EXCLUDE : CHANGE_TO_INCLUDE;
    memcpy(r->group, g->addr.b, 16);
    report->n = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(report->n) + 1));
}

/* One thing told of g, in m (made when NULL); the report to go on with. */
static struct rte_mbuf *report(struct ip_layer *ip, struct rte_mbuf *m, struct group *g)
{
    if (ip->params.mld_v1 && ip->mld_v1_until > ip->e->now) {
        send_v1(g);
        return m;
    }
    if (!m) {
        m = message(ip, sizeof(struct report));
        if (!m)
            return NULL;
        *rte_pktmbuf_mtod(m, uint8_t *) = MLD_V2_REPORT;
    }
    add_record(m, g);
    if (rte_be_to_cpu_16(rte_pktmbuf_mtod(m, struct report *)->n) < RECORDS_MAX)
        return m;
    send_report(g->netif, m, &mld_routers);
    return NULL;
}

/* Whatever is to be told on nif; true: something must be told again. */
static bool report_all(struct ip_layer *ip, struct netif *nif)
{
    struct rte_mbuf *m = NULL;
    struct group *g, *next;
    bool again = false;
    TAILQ_FOREACH_SAFE (g, &ip->groups, link, next) {
        if (g->netif != nif || (!g->tell && !g->asked))
            continue;
        if (netif_speaks(nif))
            m = report(ip, m, g);
        g->tell -= g->tell > 0;
        g->asked = false;
        again |= g->tell > 0;
        if (g->refs == 0 && g->tell == 0)
            forget(ip, g);
    }
    if (m)
        send_report(nif, m, &mld_routers);
    return again;
}

static void fire(struct wheel_timer *t, uint64_t now)
{
    struct ip_layer *ip = container_of(t, struct ip_layer, mld_timer);
    struct netif *nif;
    bool again = false;
    TAILQ_FOREACH (nif, &ip->e->link->netifs, link)
        again |= report_all(ip, nif);
    if (again)
        wake_at(ip, now + rng_below(&ip->e->rng, MLD_UNSOLICITED / NS_PER_US) * NS_PER_US);
}

void groups_create(struct ip_layer *ip)
{
    TAILQ_INIT(&ip->groups);
    wheel_timer_init(&ip->mld_timer, fire);
    /* No limit of their own: addresses have one, and each has two groups. */
    pool_init(&ip->group_pool, "groups", sizeof(struct group), UINT32_MAX, 16);
}

/* ---- queries ---- */

/* RFC 3810 §5.1.3 */
static uint32_t response_delay_ms(uint16_t code, bool v1)
{
    if (v1 || code < 32768)
        return code;
    return (uint32_t)((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
}

void mld_query_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_layer *ip = nif->e->ip;
    const struct pkt_info *info = pkt_info(m);
    const struct mld_hdr *q = rte_pktmbuf_mtod(m, const struct mld_hdr *);
    bool v1 = m->pkt_len == sizeof(*q), any = false;
    if (m->data_len < sizeof(*q) || (!v1 && m->data_len < sizeof(*q) + 4) || info->ttl != 1 ||
        !ip_addr_is_link_local(&info->src)) {
        ip->stats.mld_badquery++;
        return;
    }
    ip->stats.mld_queries++;
    if (v1)
        ip->mld_v1_until = nif->e->now + MLD_V1_PATIENCE;
    else
        ip->mld_robustness = ((const uint8_t *)(q + 1))[0] & 7;
    struct ip_addr addr = ip_addr_v6(&q->mld_addr);
    struct group *g;
    TAILQ_FOREACH (g, &ip->groups, link) {
        bool meant = ip_addr_is_any(&addr) || ip_addr_eq(&g->addr, &addr);
        if (g->netif != nif || g->refs == 0 || !meant || ip_addr_eq(&g->addr, &ip6_all_nodes))
            continue;
        g->asked = any = true;
    }
    uint32_t delay = response_delay_ms(ntohs(q->mld_maxdelay), v1);
    if (any)
        wake_at(ip, nif->e->now + (delay ? rng_below(&nif->e->rng, delay) : 0) * NS_PER_MS);
}
