// SPDX-License-Identifier: BSD-3-Clause
// The link layer of an engine: its interfaces, their names in the tree, and the receive station.
#include <errno.h>
#include <stdio.h>
#include <rte_ethdev.h>
#include "base/alloc.h"
#include "link/priv.h"
#include "link/spread.h"

#define RX_BURST_MAX 256u
#define LO_MTU       16384 /* FreeBSD's */

#define P(NAME, FIELD, FLAGS, DEF, MIN, MAX, UNIT, DESC)                                                     \
    SYSCTL_OID_UINT("net.link." NAME, struct link_priv, params.FIELD, FLAGS, DEF, MIN, MAX, UNIT, DESC)
#define C(NAME, FIELD, DESC) SYSCTL_OID_COUNTER("net.link." NAME, struct link_priv, FIELD, "packets", DESC)

static const struct sysctl_oid link_oids[] = {
    P("txq_max", txq_max, SYSCTL_RW, 1024, 1, NETIF_TX_MAX, "packets",
      "Packets that may wait for a port to take them"),
    P("sw_tso_max", sw_tso_max, SYSCTL_RW, 0, 0, 65000, "bytes",
      "Payload of one TCP packet that software cuts for a port without TSO; 0 leaves cutting to TCP"),
    SYSCTL_OID_BOOL("net.link.sw_lro", struct link_priv, params.sw_lro, SYSCTL_RW, 0,
                    "Join TCP segments of a burst in software where the port does not"),
    P("ether.inet.max_entries", max_entries, SYSCTL_RW, 4096, 16, 1 << 20, "entries",
      "Neighbours known at most, IPv4 and IPv6 together"),
    P("ether.inet.maxtries", maxtries, SYSCTL_RW, 5, 1, 100, "", "Questions before a host is unreachable"),
    P("ether.inet.umaxtries", umaxtries, SYSCTL_RW, 3, 1, 100, "",
      "Unicast questions before a known host is unreachable (MAX_UNICAST_SOLICIT)"),
    P("ether.inet.maxhold", maxhold, SYSCTL_RW, 4, 0, NEIGH_HOLD, "packets",
      "Packets that wait for one neighbour's address"),
    P("ether.inet.retrans_ms", retrans_ms, SYSCTL_RW, 1000, 1, 3600000, "ms",
      "Between questions (RETRANS_TIMER)"),
    P("ether.inet.delay_ms", delay_ms, SYSCTL_RW, 5000, 1, 3600000, "ms",
      "A stale neighbour in use is asked after this (DELAY_FIRST_PROBE_TIME)"),
    P("ether.inet.reachable_ms", reachable_ms, SYSCTL_RW, 30000, 1, 3600000, "ms",
      "A neighbour is trusted without confirmation (REACHABLE_TIME)"),
    P("ether.inet.max_age", max_age, SYSCTL_RW, 1200, 1, 86400, "s", "A neighbour nobody uses is forgotten"),
    C("ether.arp.txrequests", arp.txrequests, "ARP requests sent"),
    C("ether.arp.txreplies", arp.txreplies, "ARP replies sent"),
    C("ether.arp.txannounces", arp.txannounces, "ARP announcements sent"),
    C("ether.arp.rxrequests", arp.rxrequests, "ARP requests received"),
    C("ether.arp.rxreplies", arp.rxreplies, "ARP replies received"),
    C("ether.arp.drop_malformed", arp.drop_malformed, "ARP packets that made no sense"),
    C("ether.arp.drop_own", arp.drop_own, "ARP packets with our own link-layer address"),
    C("ether.arp.dupips", arp.dupips, "Claims of others to our addresses"),
    C("ether.arp.nobufs", arp.nobufs, "ARP packets not sent for want of a buffer"),
    C("neigh.timeouts", neigh.timeouts, "Neighbours that did not answer"),
    C("neigh.evicted", neigh.evicted, "Neighbours that made room for others"),
    C("neigh.table_full", neigh.table_full, "Neighbours that found no room"),
    C("neigh.learn_refused", neigh.learn_refused, "Strangers that found no room"),
    C("neigh.drop_hold", neigh.drop_hold, "Packets replaced by newer ones while an address was unknown"),
    C("neigh.drop_unreachable", neigh.drop_unreachable, "Packets for neighbours that did not answer"),
    SYSCTL_OID_GAUGE("net.link.neigh.entries", struct link_priv, neigh.entries, "entries",
                     "Neighbours in the table"),
};

static int oid_mtu(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct netif *nif = base;

    return (size_t)snprintf(buf, size, "%u", nif->mtu) < size ? 0 : -ENOSPC;
}

static int oid_lladdr(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct netif *nif = base;

    if (size < RTE_ETHER_ADDR_FMT_SIZE)
        return -ENOSPC;
    rte_ether_format_addr(buf, size, &nif->mac);
    return 0;
}

#define N(FIELD, UNIT, DESC) SYSCTL_OID_COUNTER(#FIELD, struct netif, stats.FIELD, UNIT, DESC)
#define G(NAME, UNIT, DESC, FN)                                                                              \
    {                                                                                                        \
        .name = NAME, .desc = DESC, .unit = UNIT, .type = SYSCTL_PROC, .flags = SYSCTL_RD, .get = FN         \
    }

/* Names after "net.link.<interface>." */
static const struct sysctl_oid netif_oids[] = {
    G("mtu", "bytes", "Largest IP packet", oid_mtu),
    SYSCTL_OID_UINT("mss", struct netif, mss, SYSCTL_RW, 0, 0, 65535, "bytes",
                    "Largest TCP MSS announced and used on this interface, where the MTU and the peer allow "
                    "more; 0: as they do"),
    G("lladdr", "", "Link-layer address", oid_lladdr),
    N(ipackets, "packets", "Received"),
    N(ibytes, "bytes", "Received"),
    N(opackets, "packets", "Sent"),
    N(obytes, "bytes", "Sent"),
    N(drop_rx_down, "packets", "The interface was down"),
    N(drop_rx_short, "packets", "Shorter than an Ethernet header"),
    N(drop_rx_type, "packets", "Neither IPv4, IPv6 nor ARP"),
    N(drop_rx_vlan, "packets", "VLAN tagged"),
    N(drop_rx_not_ours, "packets", "To another host or a group not joined"),
    N(drop_tx_full, "packets", "More than net.link.txq_max waited for the port"),
    N(drop_tx_down, "packets", "The interface or its link was down"),
    N(drop_tx_nobuf, "packets", "No buffer for finishing in software"),
    N(drop_tx_toobig, "packets", "Larger than the MTU"),
    N(drop_tx_refused, "packets", "Refused by the driver"),
    N(spread_out, "packets", "Handed to another engine"),
    N(spread_in, "packets", "Taken from another engine"),
    N(drop_spread_full, "packets", "Another engine's ring was full"),
    N(drop_spread_nobuf, "packets", "No buffer for a copy to another engine"),
    N(sw_cksum, "packets", "Checksummed in software"),
    N(sw_tso, "packets", "Cut to segments in software"),
    N(sw_linear, "packets", "Copied because of too many pieces"),
    N(sw_lro, "packets", "Joined in software to the segment before"),
};

struct netif_names {
    struct sysctl_oid oids[RTE_DIM(netif_oids)];
    char name[RTE_DIM(netif_oids)][64];
};

static int netif_register(struct netif *nif)
{
    struct netif_names *names = mem_alloc(sizeof(*names));
    int rc;

    if (!names)
        return -ENOMEM;
    memcpy(names->oids, netif_oids, sizeof(netif_oids));
    for (unsigned i = 0; i < RTE_DIM(netif_oids); i++) {
        snprintf(names->name[i], sizeof(names->name[i]), "net.link.%s.%s", nif->name, netif_oids[i].name);
        names->oids[i].name = names->name[i];
    }
    rc = sysctl_register(nif->e->sysctl, names->oids, RTE_DIM(netif_oids), nif);
    if (rc)
        mem_free(names);
    else
        nif->priv = names;
    return rc;
}

static struct netif *netif_new(struct engine *e, const char *name, struct port *port)
{
    struct netif *nif = mem_alloc(sizeof(*nif));
    int rc = -ENOMEM;

    if (nif) {
        nif->e = e;
        nif->port = port;
        nif->sums_tcp = port && !(port->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_CKSUM);
        snprintf(nif->name, sizeof(nif->name), "%s", name);
        rc = netif_register(nif);
    }
    if (rc) {
        mem_free(nif);
        errno = -rc;
        return NULL;
    }
    nif->index = ++e->link->next_index;
    nif->up = true;
    TAILQ_INSERT_TAIL(&e->link->netifs, nif, link);
    return nif;
}

struct netif *netif_attach(struct engine *e, struct port *port, uint16_t queue, const char *name)
{
    struct netif *nif;

    if (strlen(name) >= NETIF_NAMSIZ || netif_find(e, name)) {
        errno = netif_find(e, name) ? EEXIST : ENAMETOOLONG;
        return NULL;
    }
    nif = netif_new(e, name, port);
    if (nif) {
        nif->queue = queue;
        nif->mtu = port->mtu;
        nif->mac = port->mac;
    }
    return nif;
}

void netif_detach(struct netif *nif)
{
    struct engine *e = nif->e;

    neigh_flush(nif);
    rte_pktmbuf_free_bulk(nif->tx, nif->n_tx);
    TAILQ_REMOVE(&e->link->netifs, nif, link);
    sysctl_unregister(e->sysctl, nif);
    mem_free(nif->priv);
    mem_free(nif);
}

void netif_set_spread(struct netif *nif, struct spread *s)
{
    nif->spread = s;
}

bool netif_speaks(const struct netif *nif)
{
    return !nif->spread || nif->e->id == 0;
}

bool netif_link_up(const struct netif *nif)
{
    return nif->up && (nif->loopback || !nif->port->ops->link_up || nif->port->ops->link_up(nif->port));
}

int netif_set_mtu(struct netif *nif, uint16_t mtu)
{
    int rc = 0;

    if (nif->loopback || mtu < 576 || mtu > nif->port->mtu_max) /* RFC 791: every host takes 576 */
        return -EINVAL;
    if (netif_speaks(nif) && mtu != nif->port->mtu)
        rc = nif->port->ops->set_mtu ? nif->port->ops->set_mtu(nif->port, mtu) : -ENOTSUP;
    if (!rc)
        nif->mtu = mtu;
    return rc;
}

static int port_join(struct netif *nif, const struct rte_ether_addr *group, bool on)
{
    if (nif->loopback || !nif->port->ops->join || !netif_speaks(nif))
        return 0;
    return nif->port->ops->join(nif->port, group, on);
}

int netif_join(struct netif *nif, const struct rte_ether_addr *group)
{
    for (uint16_t i = 0; i < nif->n_groups; i++) {
        if (rte_is_same_ether_addr(&nif->groups[i].mac, group)) {
            nif->groups[i].refs++;
            return 0;
        }
    }
    if (nif->n_groups == NETIF_GROUPS_MAX)
        nif->all_multi = true;
    else
        nif->groups[nif->n_groups++] = (struct netif_group){*group, 1};
    return port_join(nif, group, true);
}

int netif_leave(struct netif *nif, const struct rte_ether_addr *group)
{
    for (uint16_t i = 0; i < nif->n_groups; i++) {
        if (!rte_is_same_ether_addr(&nif->groups[i].mac, group))
            continue;
        if (--nif->groups[i].refs)
            return 0;
        nif->groups[i] = nif->groups[--nif->n_groups];
        return port_join(nif, group, false);
    }
    return nif->all_multi ? port_join(nif, group, false) : -ENOENT;
}

struct netif *netif_find(struct engine *e, const char *name)
{
    struct netif *nif;

    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (strcmp(nif->name, name) == 0)
            break;
    }
    return nif;
}

struct netif *netif_loopback(struct engine *e)
{
    return e->link->priv->lo;
}

struct netif *netif_by_index(struct engine *e, uint32_t index)
{
    struct netif *nif;

    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (nif->index == index)
            break;
    }
    return nif;
}

uint32_t netif_tso_max(const struct netif *nif)
{
    if (nif->loopback)
        return 0;
    return nif->port->tso_max ? nif->port->tso_max : nif->e->link->priv->params.sw_tso_max;
}

static void drop_down(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    nif->stats.drop_rx_down += n;
    rte_pktmbuf_free_bulk(pkts, n);
}

static unsigned port_receive(struct netif *nif)
{
    struct rte_mbuf *pkts[RX_BURST_MAX];
    uint16_t n =
        nif->port->ops->rx_burst(nif->port, nif->queue, pkts, RTE_MIN(nif->e->params.rx_burst, RX_BURST_MAX));

    if (n && nif->up)
        ether_input(nif, pkts, n);
    else if (n)
        drop_down(nif, pkts, n);
    return n;
}

unsigned link_receive(struct engine *e, void *unused)
{
    struct netif *nif;
    unsigned work = 0;

    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (nif->loopback)
            work += loop_receive(nif);
        else if (nif->queue != NETIF_NO_QUEUE)
            work += port_receive(nif);
        if (nif->spread)
            work += spread_receive(nif);
    }
    return work;
}

/* The engine must not sleep or let time jump while packets wait on lo0. */
static void lo_pending(struct due *d)
{
    struct link_priv *p = (struct link_priv *)((char *)d - offsetof(struct link_priv, lo_due));

    if (p->lo->n_tx)
        engine_mark_due(p->lo->e, d);
}

static int lo_create(struct link_layer *l)
{
    struct netif *lo = netif_new(l->e, "lo0", NULL);

    if (!lo)
        return -errno;
    lo->loopback = true;
    lo->all_multi = true;
    lo->mtu = LO_MTU;
    l->priv->lo = lo;
    due_init(&l->priv->lo_due, lo_pending);
    return 0;
}

int link_create(struct engine *e)
{
    struct link_layer *l = mem_alloc(sizeof(*l));
    int rc = -ENOMEM;

    if (!l)
        return rc;
    l->e = e;
    e->link = l;
    TAILQ_INIT(&l->netifs);
    l->priv = mem_alloc(sizeof(*l->priv));
    if (l->priv)
        rc = sysctl_register(e->sysctl, link_oids, RTE_DIM(link_oids), l->priv);
    if (!rc)
        rc = neigh_table_create(l);
    if (!rc)
        rc = lo_create(l);
    if (rc)
        link_destroy(e);
    return rc;
}

static int discard_held(struct neigh *n, void *unused)
{
    rte_pktmbuf_free_bulk(n->queue, n->n_queued);
    n->n_queued = 0;
    return 0;
}

void link_discard(struct engine *e)
{
    struct netif *nif;

    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        rte_pktmbuf_free_bulk(nif->tx, nif->n_tx);
        nif->n_tx = 0;
    }
    neigh_walk(e, discard_held, NULL);
}

void link_destroy(struct engine *e)
{
    struct link_layer *l = e->link;
    struct netif *nif;

    if (!l)
        return;
    while ((nif = TAILQ_FIRST(&l->netifs)))
        netif_detach(nif);
    if (l->priv) {
        if (l->priv->lo)
            engine_unmark_due(e, &l->priv->lo_due);
        sysctl_unregister(e->sysctl, l->priv);
        neigh_table_destroy(l);
        mem_free(l->priv);
    }
    mem_free(l);
    e->link = NULL;
}
