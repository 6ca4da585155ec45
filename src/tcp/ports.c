// SPDX-License-Identifier: BSD-3-Clause
// Local ports: who holds them, who may share them, which listener a SYN belongs to, and which port an active open gets.
// Rules of sharing as Linux has them (socket(7), ip(7), ipv6(7)).
#include <errno.h>
#include <rte_byteorder.h>
#include <rte_jhash.h>
#include "tcp/demux.h"
#include "tcp/stats.h"

static struct tcp_port *port_get(struct tcp_layer *t, uint16_t port_be)
{
    struct tcp_port **slot = &t->demux->ports[rte_be_to_cpu_16(port_be)];
    if (*slot)
        return *slot;
    *slot = pool_get(&t->demux->held);
    if (*slot)
        **slot = (struct tcp_port){0};
    return *slot;
}

int ports_use(struct tcp_layer *t, struct tcb *tp)
{
    if (tp->port)
        return 0;
    tp->port = port_get(t, tp->lport);
    if (!tp->port)
        return -ENOMEM;
    LIST_INSERT_HEAD(&tp->port->conns, tp, port_link);
    return 0;
}

void ports_release(struct tcp_layer *t, struct tcb *tp)
{
    struct tcp_port *port = tp->port;
    if (!port)
        return;
    LIST_REMOVE(tp, port_link);
    tp->port = NULL;
    if (LIST_EMPTY(&port->bound) && LIST_EMPTY(&port->conns)) {
        t->demux->ports[rte_be_to_cpu_16(tp->lport)] = NULL;
        pool_put(&t->demux->held, port);
    }
}

/* Does a wildcard address of this kind take in addr? (RFC 3493 §5.3: an unspecified IPv6 socket takes IPv4 too.) */
static bool covers(const struct ip_addr *any, unsigned flags, const struct ip_addr *addr)
{
    if (!ip_addr_is_any(any))
        return false;
    return ip_addr_is_v4(any) ? ip_addr_is_v4(addr) : !ip_addr_is_v4(addr) || !(flags & TCP_BIND_V6ONLY);
}

static bool conflict(const struct tcb *other, const struct tcb *tp, const struct ip_addr *addr,
                     unsigned flags)
{
    if (other == tp)
        return false;
    if (!ip_addr_eq(&other->laddr, addr) && !covers(addr, flags, &other->laddr) &&
        !covers(&other->laddr, other->bind_flags, addr))
        return false;
    unsigned both = other->bind_flags & flags;
    if (both & TCP_BIND_REUSEPORT)
        return false;
    if (both & TCP_BIND_REUSEADDR)
        return other->state == TCPS_LISTEN;
    return true;
}

static bool port_conflict(const struct tcp_port *port, const struct tcb *tp, const struct ip_addr *addr,
                          unsigned flags)
{
    const struct tcb *other;
    if (!port)
        return false;
    LIST_FOREACH (other, &port->bound, port_link)
        if (conflict(other, tp, addr, flags))
            return true;
    LIST_FOREACH (other, &port->conns, port_link)
        if (conflict(other, tp, addr, flags))
            return true;
    return false;
}

static void port_range(const struct tcp_layer *t, uint32_t *first, uint32_t *count)
{
    uint32_t a = t->params.port_first, b = t->params.port_last;
    *first = a < b ? a : b;
    *count = (a < b ? b - a : a - b) + 1;
}

/* A port for bind(port 0): any that nobody holds against us. */
static uint16_t port_for_bind(struct tcb *tp, const struct ip_addr *addr, unsigned flags)
{
    struct tcp_layer *t = tp->e->tcp;
    uint32_t first, count;
    port_range(t, &first, &count);
    uint32_t start = rng_below(&tp->e->rng, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t p = first + (start + i) % count;
        /* Sharing is for those who ask for a port by number. */
        if (!port_conflict(t->demux->ports[p], tp, addr, flags & ~(TCP_BIND_REUSEADDR | TCP_BIND_REUSEPORT)))
            return rte_cpu_to_be_16((uint16_t)p);
    }
    return 0;
}

int demux_bind(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags)
{
    struct tcp_layer *t = tp->e->tcp;
    if (tp->port)
        return -EINVAL;
    if (port_be == 0) {
        port_be = port_for_bind(tp, addr, flags);
        if (port_be == 0) {
            t->stats->portexhausted++;
            return -EADDRINUSE;
        }
    } else if (port_conflict(t->demux->ports[rte_be_to_cpu_16(port_be)], tp, addr, flags)) {
        return -EADDRINUSE;
    }
    struct tcp_port *port = port_get(t, port_be);
    if (!port)
        return -ENOMEM;
    tp->laddr = *addr;
    tp->lport = port_be;
    tp->bind_flags = (uint16_t)flags;
    tp->port = port;
    LIST_INSERT_HEAD(&port->bound, tp, port_link);
    return 0;
}

int demux_listen(struct tcb *tp, unsigned flags)
{
    struct tcb *other;
    LIST_FOREACH (other, &tp->port->bound, port_link)
        if (other->state == TCPS_LISTEN && conflict(other, tp, &tp->laddr, flags))
            return -EADDRINUSE;
    tp->bind_flags = (uint16_t)flags;
    return 0;
}

/* How well a listener fits: 3 the very address, 2 any of its family, 1 IPv4 at a dual-stack socket, 0 not at all. */
static int listener_score(const struct tcb *tp, const struct ip_addr *laddr)
{
    if (tp->state != TCPS_LISTEN)
        return 0;
    if (ip_addr_eq(&tp->laddr, laddr))
        return 3;
    if (!covers(&tp->laddr, tp->bind_flags, laddr))
        return 0;
    return ip_addr_is_v4(&tp->laddr) == ip_addr_is_v4(laddr) ? 2 : 1;
}

struct tcb *demux_find_listener(struct tcp_layer *t, uint32_t hash, const struct ip_addr *laddr,
                                uint16_t lport)
{
    const struct tcp_port *port = t->demux->ports[rte_be_to_cpu_16(lport)];
    struct tcb *best = NULL, *tp;
    int score = 0;
    uint32_t equal = 0;
    if (!port)
        return NULL;
    LIST_FOREACH (tp, &port->bound, port_link) {
        int s = listener_score(tp, laddr);
        if (s == 0 || s < score)
            continue;
        equal = s > score ? 1 : equal + 1;
        score = s;
        /* The n-th of equals wins with chance 1/n, by the hash: the same flow finds the same listener. */
        if (equal == 1 || rte_jhash_1word(hash, equal) % equal == 0)
            best = tp;
    }
    return best;
}

const struct tcb *demux_find_bound(struct tcp_layer *t, const struct ip_addr *laddr, uint16_t lport)
{
    const struct tcp_port *port = t->demux->ports[rte_be_to_cpu_16(lport)];
    const struct tcb *tp;
    if (!port)
        return NULL;
    LIST_FOREACH (tp, &port->bound, port_link)
        if (tp->state == TCPS_CLOSED &&
            (ip_addr_eq(&tp->laddr, laddr) || covers(&tp->laddr, tp->bind_flags, laddr)))
            return tp;
    return NULL;
}

/* Is this port right for tp's four-tuple (then hashed): nobody bound it, no such connection, and replies come to this engine? */
static bool port_fits(struct tcb *tp, uint16_t port_be)
{
    struct tcp_layer *t = tp->e->tcp;
    const struct tcp_port *port = t->demux->ports[rte_be_to_cpu_16(port_be)];
    if (port && !LIST_EMPTY(&port->bound))
        return false;
    if (tp->e->count > 1 && tp->path.netif &&
        link_engine_of_flow(tp->path.netif, &tp->faddr, &tp->laddr, tp->fport, port_be) != tp->e->id)
        return false;
    tp->hash = demux_hash(tp->e, &tp->faddr, &tp->laddr, tp->fport, port_be);
    return demux_find(t, tp->hash, &tp->faddr, &tp->laddr, tp->fport, port_be) == NULL;
}

/*
 * RFC 6056 §3.3.4 (double-hash): a secret offset for each destination and a counter shared by groups of them: successive
 * connections to one peer walk through the range, and nobody who sees one destination's ports learns another's.
 */
static uint16_t port_for_connect(struct tcb *tp)
{
    struct engine *e = tp->e;
    struct demux *d = e->tcp->demux;
    uint64_t h = tcp_flow_digest(e, &tp->laddr, &tp->faddr, 0, tp->fport, DIGEST_PORT);
    uint32_t *counter = &d->port_counter[(h >> 32) % DEMUX_PORT_COUNTERS];
    uint32_t first, count;
    port_range(e->tcp, &first, &count);
    for (uint32_t i = 0; i < count; i++) {
        uint16_t port = rte_cpu_to_be_16((uint16_t)(first + ((uint32_t)h + (*counter)++) % count));
        if (port_fits(tp, port))
            return port;
    }
    return 0;
}

int demux_connect(struct tcb *tp)
{
    bool chosen = tp->lport == 0;
    if (chosen) {
        tp->lport = port_for_connect(tp);
        if (tp->lport == 0) {
            tp->e->tcp->stats->portexhausted++;
            return -EADDRNOTAVAIL;
        }
    }
    int rc = chosen ? demux_insert_new(tp, tp->hash) : demux_insert(tp);
    if (rc < 0 && !tp->port)
        tp->lport = 0;
    return rc;
}
