// SPDX-License-Identifier: BSD-3-Clause
// Ethernet: a received burst is checked and sorted by type; IPv4 and IPv6 go up as bursts.
#include <rte_ethdev.h>
#include <rte_prefetch.h>
#include "base/txlen.h"
#include "link/priv.h"
#include "link/spread.h"

#define ETHER_BURST 64u

/* Of a burst, by where it goes. */
struct ether_sorted {
    struct rte_mbuf *ip4[ETHER_BURST], *ip6[ETHER_BURST], *dropped[ETHER_BURST];
    uint16_t n_ip4, n_ip6, n_dropped;
};

void ether_group(const struct ip_addr *group, struct rte_ether_addr *mac)
{
    if (!ip_addr_is_v4(group)) { /* RFC 2464 §7 */
        mac->addr_bytes[0] = mac->addr_bytes[1] = 0x33;
        memcpy(mac->addr_bytes + 2, group->b + 12, 4);
    } else if (group->w[3] == INADDR_BROADCAST) {
        memset(mac, 0xff, sizeof(*mac));
    } else { /* RFC 1112 §6.4 */
        *mac = (struct rte_ether_addr){{0x01, 0x00, 0x5e, group->b[13] & 0x7f, group->b[14], group->b[15]}};
    }
}

static bool joined(const struct netif *nif, const struct rte_ether_addr *mac)
{
    if (nif->all_multi || rte_is_broadcast_ether_addr(mac))
        return true;
    for (uint16_t i = 0; i < nif->n_groups; i++) {
        if (rte_is_same_ether_addr(&nif->groups[i].mac, mac))
            return true;
    }
    return false;
}

/* For us? Notes in the packet's info whether to a group. */
static bool ours(const struct netif *nif, struct rte_mbuf *m, const struct rte_ether_hdr *eh)
{
    if (rte_is_same_ether_addr(&eh->dst_addr, &nif->mac))
        return true;
    if (!rte_is_multicast_ether_addr(&eh->dst_addr))
        return false;
    pkt_info(m)->flags |= PKT_MULTICAST;
    return joined(nif, &eh->dst_addr);
}

static void drop(struct ether_sorted *s, struct rte_mbuf *m, uint64_t *counter)
{
    ++*counter;
    s->dropped[s->n_dropped++] = m;
}

static void sort_one(struct netif *nif, struct rte_mbuf *m, struct ether_sorted *s)
{
    const struct rte_ether_hdr *eh = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    struct pkt_info *info = pkt_info(m);

    nif->stats.ibytes += rte_pktmbuf_pkt_len(m);
    info->netif = nif;
    if (rte_pktmbuf_data_len(m) < sizeof(*eh)) {
        drop(s, m, &nif->stats.drop_rx_short);
        return;
    }
    if (!ours(nif, m, eh)) {
        drop(s, m, &nif->stats.drop_rx_not_ours);
        return;
    }
    if (m->ol_flags & (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)) {
        drop(s, m, &nif->stats.drop_rx_vlan);
        return;
    }
    m->l2_len = sizeof(*eh);
    switch (eh->ether_type) {
    case RTE_BE16(RTE_ETHER_TYPE_IPV4):
        rte_pktmbuf_adj(m, sizeof(*eh));
        s->ip4[s->n_ip4++] = m;
        break;
    case RTE_BE16(RTE_ETHER_TYPE_IPV6):
        rte_pktmbuf_adj(m, sizeof(*eh));
        s->ip6[s->n_ip6++] = m;
        break;
    case RTE_BE16(RTE_ETHER_TYPE_ARP):
        rte_pktmbuf_adj(m, sizeof(*eh));
        arp_input(nif, m);
        break;
    case RTE_BE16(RTE_ETHER_TYPE_VLAN):
    case RTE_BE16(RTE_ETHER_TYPE_QINQ):
        drop(s, m, &nif->stats.drop_rx_vlan);
        break;
    default:
        drop(s, m, &nif->stats.drop_rx_type);
    }
}

/* Nobody above for this family. */
static void refuse(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    nif->stats.drop_rx_type += n;
    rte_pktmbuf_free_bulk(pkts, n);
}

static void hand_up(struct netif *nif, struct ether_sorted *s)
{
    struct link_layer *l = nif->e->link;

    if (s->n_ip4) {
        if (l->ip4_input)
            l->ip4_input(nif->e, s->ip4, s->n_ip4);
        else
            refuse(nif, s->ip4, s->n_ip4);
    }
    if (s->n_ip6) {
        if (l->ip6_input)
            l->ip6_input(nif->e, s->ip6, s->n_ip6);
        else
            refuse(nif, s->ip6, s->n_ip6);
    }
    if (s->n_dropped)
        rte_pktmbuf_free_bulk(s->dropped, s->n_dropped);
}

static void sort_burst(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    struct ether_sorted s;

    s.n_ip4 = s.n_ip6 = s.n_dropped = 0;
    for (uint16_t i = 0; i < n; i++) {
        if (i + 4 < n)
            rte_prefetch0(rte_pktmbuf_mtod(pkts[i + 4], void *));
        sort_one(nif, pkts[i], &s);
    }
    hand_up(nif, &s);
}

void ether_deliver(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    nif->stats.ipackets += n;
    if (n > 1 && nif->e->link->priv->params.sw_lro && !nif->loopback &&
        !(nif->port->rx_offloads & RTE_ETH_RX_OFFLOAD_TCP_LRO))
        n = lro_burst(nif, pkts, n);
    for (uint16_t i = 0; i < n; i += ETHER_BURST)
        sort_burst(nif, pkts + i, RTE_MIN((unsigned)(n - i), ETHER_BURST));
}

void ether_input(struct netif *nif, struct rte_mbuf **pkts, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++)
        pkt_info(pkts[i])->flags = 0;
    if (nif->spread)
        n = spread_input(nif, pkts, n);
    if (n)
        ether_deliver(nif, pkts, n);
}

/* Every packet of ours has headroom: one came through that has not. */
static __rte_noinline void drop_no_room(struct netif *nif, struct rte_mbuf *m)
{
    nif->stats.drop_tx_nobuf++;
    rte_pktmbuf_free(m);
}

void ether_output(struct netif *nif, struct rte_mbuf *m, const struct rte_ether_addr *dst,
                  uint16_t ether_type)
{
    struct rte_ether_hdr *eh;

    if (!nif->loopback) {
        eh = (struct rte_ether_hdr *)rte_pktmbuf_prepend(m, sizeof(*eh));
        if (!eh) {
            drop_no_room(nif, m);
            return;
        }
        pkt_set_l2_len(m, sizeof(*eh));
        eh->dst_addr = *dst;
        eh->src_addr = nif->mac;
        eh->ether_type = rte_cpu_to_be_16(ether_type);
    }
    netif_transmit(nif, m);
}
