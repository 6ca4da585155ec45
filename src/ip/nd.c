// SPDX-License-Identifier: BSD-3-Clause
// Neighbour discovery (RFC 4861): solicitations and advertisements, and the check for duplicate addresses
// (RFC 4862 §5.4, enhanced by a nonce: RFC 7527).
#include <netinet/icmp6.h>
#include "base/alloc.h"
#include "ip/priv.h"

bool nd_option_next(const uint8_t **at, const uint8_t *end, struct nd_option *out, bool *bad)
{
    const uint8_t *p = *at;
    if (p == end)
        return false;
    if (end - p < 8 || p[1] == 0 || end - p < 8 * p[1]) {
        *bad = true;
        return false;
    }
    *out = (struct nd_option){.kind = p[0], .len = (uint16_t)(8 * p[1]), .data = p};
    *at = p + out->len;
    return true;
}

#define OPT_NONCE 14 /* RFC 3971 §5.3.2 */

/* What the options of a solicitation or an advertisement say; NULL: they don't. */
struct said {
    const struct rte_ether_addr *mac; /* link-layer address of the asked kind */
    const uint8_t *nonce;             /* 6 bytes */
};

/* False: the options are malformed. */
static bool read_options(const uint8_t *at, const uint8_t *end, uint8_t kind, struct said *said)
{
    struct nd_option o;
    bool bad = false;
    *said = (struct said){0};
    while (nd_option_next(&at, end, &o, &bad)) {
        if (o.kind == kind && o.len == 8)
            said->mac = (const struct rte_ether_addr *)(o.data + 2);
        else if (o.kind == OPT_NONCE && o.len == 8)
            said->nonce = o.data + 2;
    }
    return !bad;
}

/* Of every ND message: hop limit 255 proves that no router passed it on; code 0; in one buffer (RFC 4861
 * §7.1). */
static bool sound(const struct rte_mbuf *m, unsigned least)
{
    const struct icmp6_hdr *icmp = rte_pktmbuf_mtod(m, const struct icmp6_hdr *);
    return pkt_info((struct rte_mbuf *)(uintptr_t)m)->ttl == 255 && m->nb_segs == 1 && m->data_len >= least &&
           icmp->icmp6_code == 0;
}

/* ---- sending ---- */

struct nd_message {
    uint8_t type, code;
    uint16_t cksum;
    uint32_t flags;
    uint8_t target[16];
    uint8_t option[8]; /* link-layer address or nonce: kind, length, 6 bytes */
} __rte_packed;

static void nd_send(struct netif *nif, uint8_t type, uint32_t flags, const struct ip_addr *target,
                    const struct ip_addr *src, const struct ip_addr *dst, const struct rte_ether_addr *mac,
                    uint8_t option, const uint8_t *value)
{
    struct ip_layer *ip = nif->e->ip;
    struct rte_mbuf *m = pkt_alloc(nif->e->pkt_pool);
    if (!m) {
        ip->stats.icmp_nobuf++;
        return;
    }
    uint16_t len = sizeof(struct nd_message) - (value ? 0 : 8);
    struct nd_message *msg = (struct nd_message *)rte_pktmbuf_append(m, len);
    msg->type = type;
    msg->code = 0;
    msg->flags = flags;
    memcpy(msg->target, target->b, 16);
    if (value) {
        msg->option[0] = option;
        msg->option[1] = 1;
        memcpy(msg->option + 2, value, 6);
    }
    if (type == ND_NEIGHBOR_SOLICIT)
        ip->stats.nd_ns_out++;
    else
        ip->stats.nd_na_out++;
    icmp6_send(nif, m, src, dst, mac);
}

void nd_solicit(struct netif *nif, struct neigh *n, bool unicast)
{
    struct ip_addr src, group;
    struct rte_ether_addr mac;
    if (ip_source(nif->e, &n->addr, nif->index, &src) < 0)
        return;
    if (unicast) {
        nd_send(nif, ND_NEIGHBOR_SOLICIT, 0, &n->addr, &src, &n->addr, &n->mac, ND_OPT_SOURCE_LINKADDR,
                nif->mac.addr_bytes);
        return;
    }
    solicited_node(&n->addr, &group);
    ether_group(&group, &mac);
    nd_send(nif, ND_NEIGHBOR_SOLICIT, 0, &n->addr, &src, &group, &mac, ND_OPT_SOURCE_LINKADDR,
            nif->mac.addr_bytes);
}

void nd_dad_probe(struct ifaddr *ia)
{
    struct ip_addr any = {0}, group;
    struct rte_ether_addr mac;
    if (!netif_speaks(ia->netif))
        return;
    solicited_node(&ia->addr, &group);
    ether_group(&group, &mac);
    uint64_t random = rng_u64(&ia->netif->e->rng);
    memcpy(ia->dad_nonce, &random, sizeof(ia->dad_nonce));
    nd_send(ia->netif, ND_NEIGHBOR_SOLICIT, 0, &ia->addr, &any, &group, &mac, OPT_NONCE,
            ia->netif->e->ip->params.dad_enhanced ? ia->dad_nonce : NULL);
}

/* RFC 4861 §7.2.6: unsolicited, to all nodes. */
void nd_announce(struct ifaddr *ia)
{
    struct rte_ether_addr mac;
    if (!netif_speaks(ia->netif))
        return;
    ether_group(&ip6_all_nodes, &mac);
    nd_send(ia->netif, ND_NEIGHBOR_ADVERT, ND_NA_FLAG_OVERRIDE, &ia->addr, &ia->addr, &ip6_all_nodes, &mac,
            ND_OPT_TARGET_LINKADDR, ia->netif->mac.addr_bytes);
}

/* ---- receiving ---- */

static void answer(struct netif *nif, const struct ip_addr *target, const struct pkt_info *info,
                   const struct rte_ether_addr *mac)
{
    struct rte_ether_addr group;
    if (ip_addr_is_any(&info->src)) { /* somebody checks an address that we have */
        ether_group(&ip6_all_nodes, &group);
        nd_send(nif, ND_NEIGHBOR_ADVERT, ND_NA_FLAG_OVERRIDE, target, target, &ip6_all_nodes, &group,
                ND_OPT_TARGET_LINKADDR, nif->mac.addr_bytes);
        return;
    }
    struct neigh *n = neigh_find(nif, &info->src);
    const struct rte_ether_addr *to = mac ? mac : n && n->state != NEIGH_INCOMPLETE ? &n->mac : NULL;
    if (to)
        nd_send(nif, ND_NEIGHBOR_ADVERT, ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE, target, target,
                &info->src, to, ND_OPT_TARGET_LINKADDR, nif->mac.addr_bytes);
}

/* RFC 4862 §5.4.3: another host checks the address that we check; unless it is our own question that came back (RFC 7527 §4.2). */
static void checked_by_another(struct netif *nif, const struct ip_addr *target, const uint8_t *nonce)
{
    struct ifaddr *ia = ip_addr_any_state(nif->e, target);
    if (ia && nonce && memcmp(nonce, ia->dad_nonce, sizeof(ia->dad_nonce)) == 0)
        ip_addr_looped(ia);
    else
        ip_addr_duplicate(nif, target);
}

void nd_solicitation_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_stats *st = &nif->e->ip->stats;
    const struct pkt_info *info = pkt_info(m);
    const struct nd_neighbor_solicit *ns = rte_pktmbuf_mtod(m, const struct nd_neighbor_solicit *);
    struct said said;
    const uint8_t *end = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len);
    bool checking = ip_addr_is_any(&info->src);
    if (!sound(m, sizeof(*ns)) || IN6_IS_ADDR_MULTICAST(&ns->nd_ns_target) ||
        !read_options((const uint8_t *)(ns + 1), end, ND_OPT_SOURCE_LINKADDR, &said) ||
        (checking && (said.mac || !ip_addr_is_multicast(&info->dst)))) {
        st->nd_badsol++;
        return;
    }
    st->nd_ns_in++;
    struct ip_addr target = ip_addr_v6(&ns->nd_ns_target);
    enum link_owns owns = ip_addr_owns(nif, &target);
    if (owns == LINK_NOT_OURS)
        return;
    if (owns == LINK_TENTATIVE) {
        if (checking)
            checked_by_another(nif, &target, said.nonce);
        return;
    }
    if (said.mac)
        neigh_learn(nif, &info->src, said.mac);
    if (!(info->flags & PKT_COPY))
        answer(nif, &target, info, said.mac);
}

void nd_advertisement_input(struct netif *nif, struct rte_mbuf *m)
{
    struct ip_stats *st = &nif->e->ip->stats;
    const struct nd_neighbor_advert *na = rte_pktmbuf_mtod(m, const struct nd_neighbor_advert *);
    struct said said;
    const uint8_t *end = rte_pktmbuf_mtod_offset(m, const uint8_t *, m->data_len);
    if (!sound(m, sizeof(*na)) || IN6_IS_ADDR_MULTICAST(&na->nd_na_target) ||
        !read_options((const uint8_t *)(na + 1), end, ND_OPT_TARGET_LINKADDR, &said) ||
        ((na->nd_na_flags_reserved & ND_NA_FLAG_SOLICITED) && ip_addr_is_multicast(&pkt_info(m)->dst))) {
        st->nd_badadv++;
        return;
    }
    st->nd_na_in++;
    struct ip_addr target = ip_addr_v6(&na->nd_na_target);
    uint32_t flags = na->nd_na_flags_reserved;
    if (ip_addr_owns(nif, &target) == LINK_TENTATIVE) {
        ip_addr_duplicate(nif, &target);
        return;
    }
    struct neigh *n = neigh_find(nif, &target);
    const struct rte_ether_addr *mac = said.mac;
    if (!mac && n && n->state != NEIGH_INCOMPLETE)
        mac = &n->mac; /* RFC 4861 §7.2.5: no option, no change of address */
    if (n && mac)
        neigh_update(nif, &target, mac, flags & ND_NA_FLAG_SOLICITED, flags & ND_NA_FLAG_OVERRIDE,
                     flags & ND_NA_FLAG_ROUTER);
}
