// SPDX-License-Identifier: BSD-3-Clause
// ARP for IPv4 over Ethernet: RFC 826, RFC 1122 §2.3.2; conflicts by RFC 5227. What is learned goes to
// neigh.c.
#include <rte_arp.h>
#include "base/alloc.h"
#include "link/priv.h"

/* RFC 5227 §1.1 */
#define DEFEND_INTERVAL (10 * NS_PER_SEC)

static const struct rte_ether_addr nobody;
static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

struct arp_ask {
    uint16_t op;
    const struct rte_ether_addr *to, *target_mac;
    uint32_t sender, target; /* network order */
};

static bool arp_send(struct netif *nif, const struct arp_ask *ask)
{
    struct rte_mbuf *m = pkt_alloc(nif->e->pkt_pool);
    struct rte_arp_hdr *arp;

    if (!m) {
        nif->e->link->priv->arp.nobufs++;
        return false;
    }
    arp = (struct rte_arp_hdr *)rte_pktmbuf_append(m, sizeof(*arp));
    arp->arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER);
    arp->arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4);
    arp->arp_hlen = RTE_ETHER_ADDR_LEN;
    arp->arp_plen = sizeof(uint32_t);
    arp->arp_opcode = rte_cpu_to_be_16(ask->op);
    arp->arp_data.arp_sha = nif->mac;
    arp->arp_data.arp_sip = ask->sender;
    arp->arp_data.arp_tha = *ask->target_mac;
    arp->arp_data.arp_tip = ask->target;
    ether_output(nif, m, ask->to, RTE_ETHER_TYPE_ARP);
    return true;
}

void arp_solicit(struct netif *nif, struct neigh *n, bool unicast)
{
    struct arp_ask ask = {RTE_ARP_OP_REQUEST, unicast ? &n->mac : &everybody, &nobody, n->asked_from,
                          n->addr.w[3]};

    nif->e->link->priv->arp.txrequests += arp_send(nif, &ask);
}

void arp_probe(struct netif *nif, uint32_t addr_be)
{
    struct arp_ask ask = {RTE_ARP_OP_REQUEST, &everybody, &nobody, 0, addr_be};

    if (!nif->loopback && netif_speaks(nif))
        nif->e->link->priv->arp.txrequests += arp_send(nif, &ask);
}

void arp_announce(struct netif *nif, uint32_t addr_be)
{
    struct arp_ask ask = {RTE_ARP_OP_REQUEST, &everybody, &nobody, addr_be, addr_be};

    if (!nif->loopback && netif_speaks(nif))
        nif->e->link->priv->arp.txannounces += arp_send(nif, &ask);
}

static bool arp_valid(const struct rte_mbuf *m, const struct rte_arp_hdr *arp)
{
    return rte_pktmbuf_data_len(m) >= sizeof(*arp) &&
           arp->arp_hardware == rte_cpu_to_be_16(RTE_ARP_HRD_ETHER) &&
           arp->arp_protocol == rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4) &&
           arp->arp_hlen == RTE_ETHER_ADDR_LEN && arp->arp_plen == sizeof(uint32_t) &&
           rte_is_valid_assigned_ether_addr(&arp->arp_data.arp_sha) &&
           arp->arp_data.arp_sip != INADDR_BROADCAST && !IN_MULTICAST(ntohl(arp->arp_data.arp_sip));
}

/*
 * RFC 5227 §2.4 (c): an address in use is kept and defended, at most once an interval, for a server that
 * gave up its address to whoever claims it would be too easy to silence. One being probed is given up
 * (§2.1.1).
 */
static void arp_conflict(struct netif *nif, const struct ip_addr *addr, enum link_owns how)
{
    struct link_layer *l = nif->e->link;

    l->priv->arp.dupips++;
    if (how == LINK_TENTATIVE) {
        if (l->duplicate)
            l->duplicate(nif, addr);
    } else if (nif->defended_at == 0 || nif->e->now - nif->defended_at >= DEFEND_INTERVAL) {
        nif->defended_at = nif->e->now;
        arp_announce(nif, addr->w[3]);
    }
}

static void arp_answer(struct netif *nif, const struct rte_arp_hdr *arp)
{
    struct arp_ask ask = {RTE_ARP_OP_REPLY, &arp->arp_data.arp_sha, &arp->arp_data.arp_sha,
                          arp->arp_data.arp_tip, arp->arp_data.arp_sip};

    nif->e->link->priv->arp.txreplies += arp_send(nif, &ask);
}

static void arp_request(struct netif *nif, const struct rte_arp_hdr *arp, const struct ip_addr *sender,
                        bool copy)
{
    struct ip_addr target = ip_addr_v4(arp->arp_data.arp_tip);
    enum link_owns owns = nif->e->link->owns(nif, &target);
    bool probe = arp->arp_data.arp_sip == 0;

    nif->e->link->priv->arp.rxrequests++;
    if (owns == LINK_OURS) {
        if (!probe)
            neigh_learn(nif, sender, &arp->arp_data.arp_sha);
        if (!copy)
            arp_answer(nif, arp);
    } else if (owns == LINK_TENTATIVE && probe) {
        arp_conflict(nif, &target, owns); /* two hosts probe for the same address */
    } else if (!probe) {
        neigh_update(nif, sender, &arp->arp_data.arp_sha, false, true, false);
    }
}

static void arp_reply(struct netif *nif, const struct rte_arp_hdr *arp, const struct ip_addr *sender)
{
    struct ip_addr target = ip_addr_v4(arp->arp_data.arp_tip);
    bool asked = nif->e->link->owns(nif, &target) == LINK_OURS;

    nif->e->link->priv->arp.rxreplies++;
    neigh_update(nif, sender, &arp->arp_data.arp_sha, asked, true, false);
}

static void arp_process(struct netif *nif, const struct rte_arp_hdr *arp, bool copy)
{
    struct link_layer *l = nif->e->link;
    struct ip_addr sender = ip_addr_v4(arp->arp_data.arp_sip);
    enum link_owns owns = arp->arp_data.arp_sip ? l->owns(nif, &sender) : LINK_NOT_OURS;

    if (rte_is_same_ether_addr(&arp->arp_data.arp_sha, &nif->mac))
        l->priv->arp.drop_own++;
    else if (owns != LINK_NOT_OURS)
        arp_conflict(nif, &sender, owns);
    else if (arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REQUEST))
        arp_request(nif, arp, &sender, copy);
    else if (arp->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY))
        arp_reply(nif, arp, &sender);
    else
        l->priv->arp.drop_malformed++;
}

void arp_input(struct netif *nif, struct rte_mbuf *m)
{
    const struct rte_arp_hdr *arp = rte_pktmbuf_mtod(m, const struct rte_arp_hdr *);

    if (!arp_valid(m, arp) || !nif->e->link->owns)
        nif->e->link->priv->arp.drop_malformed++;
    else
        arp_process(nif, arp, pkt_info(m)->flags & PKT_COPY);
    rte_pktmbuf_free(m);
}
