// SPDX-License-Identifier: BSD-3-Clause
// The IP layer of one engine: made, described in sysctls, and taken down.
#include <errno.h>
#include <rte_common.h>
#include "base/alloc.h"
#include "ip/priv.h"

static int maxaddrs_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct ip_layer *ip = base;
    ip->params.maxaddrs = ip->addr_pool.limit = (uint32_t)strtoul(text, NULL, 0);
    return 0;
}

#define UINT(name, field, flags, def, min, max, unit, desc)                                                  \
    SYSCTL_OID_UINT(name, struct ip_layer, params.field, flags, def, min, max, unit, desc)
#define FRAG(NAME, FIELD, DEF, MIN, MAX, UNIT, DESC)                                                         \
    {                                                                                                        \
        .name = NAME, .desc = DESC, .unit = UNIT, .type = SYSCTL_UINT, .flags = SYSCTL_TUN,                  \
        .offset = offsetof(struct ip_layer, params.FIELD), .min = MIN, .max = MAX, .def = DEF,               \
        .set = fragment_param_set                                                                            \
    }
#define BOOL(name, field, def, desc)                                                                         \
    SYSCTL_OID_BOOL(name, struct ip_layer, params.field, SYSCTL_RW, def, desc)
#define COUNT(name, field, desc) SYSCTL_OID_COUNTER(name, struct ip_layer, stats.field, "packets", desc)

static const struct sysctl_oid oids[] = {
    UINT("net.inet.ip.ttl", ttl, SYSCTL_RW, 64, 1, 255, "hops", "TTL of packets we send"),
    UINT("net.inet6.ip6.hlim", hlim, SYSCTL_RW, 64, 1, 255, "hops", "Hop limit of packets we send"),
    UINT("net.inet.ip.maxroutes", maxroutes, SYSCTL_RW, 1024, 1, 65536, "routes",
         "Routes at most, both families"),
    {.name = "net.inet.ip.maxaddrs",
     .desc = "Addresses at most, both families",
     .unit = "addresses",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct ip_layer, params.maxaddrs),
     .min = 2,
     .max = 4096,
     .def = 256,
     .set = maxaddrs_set},
    UINT("net.inet.ip.maxpaths", maxpaths, SYSCTL_RW, 1024, 1, 65536, "hosts",
         "Hosts with a path MTU of their own that are remembered"),
    UINT("net.inet.ip.dad_count", dad_count4, SYSCTL_RW, 1, 0, 10, "probes",
         "ARP probes before an IPv4 address is used (RFC 5227)"),
    UINT("net.inet6.ip6.dad_count", dad_count6, SYSCTL_RW, 1, 0, 10, "probes",
         "Neighbour solicitations before an IPv6 address is used (RFC 4862)"),
    BOOL("net.inet6.ip6.dad_enhanced", dad_enhanced, 1,
         "Probes of IPv6 addresses carry a nonce, which tells an own one that came back from a duplicate's "
         "(RFC 7527)"),
    UINT("net.inet.ip.dad_wait", dad_wait_ms, SYSCTL_RW, 1000, 1, 10000, "ms",
         "Time between probes, and after the last"),
    FRAG("net.inet.ip.maxfragpackets", maxfragpackets, 256, 0, 65536, "packets",
         "Packets of which fragments are kept, both families; 0 drops all fragments"),
    FRAG("net.inet.ip.fragttl", fragttl_ms, 30000, 100, 120000, "ms", "Fragments wait so long for the rest"),
    UINT("net.inet.icmp.icmplim", icmplim, SYSCTL_RW, 200, 0, 100000, "packets/s",
         "ICMP errors sent at most, both families, and as many echo replies; 0: no limit"),
    BOOL("net.inet.icmp.drop_redirect", drop_redirect, 0, "Ignore ICMP redirects"),
    UINT("net.inet.icmp.redirtimeout", redirtimeout4_s, SYSCTL_RW, 600, 1, 86400, "s",
         "Routes by ICMP redirects last so long"),
    BOOL("net.inet6.icmp6.rediraccept", rediraccept, 1, "Follow ICMPv6 redirects"),
    UINT("net.inet6.icmp6.redirtimeout", redirtimeout6_s, SYSCTL_RW, 600, 1, 86400, "s",
         "Routes by ICMPv6 redirects last so long"),
    UINT("net.inet.icmp.maxredirects", maxredirects, SYSCTL_RW, 64, 0, 1024, "routes",
         "Routes by redirects at most, on each interface, both families"),
    UINT("net.inet6.ip6.maxifdefrouters", maxifdefrouters, SYSCTL_RW, 16, 0, 256, "routers",
         "Default routers taken from router advertisements at most, on each interface"),
    UINT("net.inet6.ip6.maxifprefixes", maxifprefixes, SYSCTL_RW, 16, 0, 256, "prefixes",
         "Prefixes taken from router advertisements at most, on each interface"),
    BOOL("net.inet6.mld.v1enable", mld_v1, 1, "Speak MLDv1 where an MLDv1 router asks (RFC 3810)"),
    BOOL("net.inet.icmp.bmcastecho", bmcastecho, 0, "Answer echo requests to broadcast and group addresses"),
    BOOL("net.inet6.ip6.accept_rtadv", accept_rtadv, 1,
         "Take routes and addresses from router advertisements"),
    BOOL("net.inet6.ip6.auto_linklocal", auto_linklocal, 1, "Give each interface a link-local address"),
    COUNT("net.inet.ip.stats.total", total4, "IPv4 packets received"),
    COUNT("net.inet6.ip6.stats.total", total6, "IPv6 packets received"),
    COUNT("net.inet.ip.stats.delivered", delivered4, "IPv4 packets given to their protocol"),
    COUNT("net.inet6.ip6.stats.delivered", delivered6, "IPv6 packets given to their protocol"),
    COUNT("net.inet.ip.stats.localout", localout, "Packets sent, both families"),
    COUNT("net.inet.ip.stats.tooshort", tooshort, "Dropped: shorter than an IP header"),
    COUNT("net.inet.ip.stats.badvers", badvers, "Dropped: wrong version"),
    COUNT("net.inet.ip.stats.badhlen", badhlen, "Dropped: bad header length"),
    COUNT("net.inet.ip.stats.badlen", badlen, "Dropped: shorter than the header says"),
    COUNT("net.inet.ip.stats.badsum", badsum, "Dropped: bad header checksum"),
    COUNT("net.inet.ip.stats.badaddr", badaddr, "Dropped: an address that cannot be"),
    COUNT("net.inet.ip.stats.cantforward", cantforward, "Dropped: not for this host, which does not forward"),
    COUNT("net.inet.ip.stats.noproto", noproto, "Dropped: unknown protocol"),
    COUNT("net.inet6.ip6.stats.badoptions", badoptions,
          "Dropped: options or extension headers that are refused"),
    COUNT("net.inet6.ip6.stats.toomanyhdr", toomanyhdr, "Dropped: too many extension headers"),
    COUNT("net.inet.ip.stats.notmember", notmember, "Dropped: a group we are not in, or a broadcast"),
    COUNT("net.inet.ip.stats.odropped", odropped_nobuf, "Not sent: no buffer"),
    COUNT("net.inet.ip.stats.lookups_noroute", noroute, "Path lookups that found no route"),
    COUNT("net.inet.ip.stats.cantfrag", cantfrag, "Not sent: too big, and fragmentation is forbidden"),
    COUNT("net.inet.ip.stats.fragmented", fragmented, "Packets sent in fragments"),
    COUNT("net.inet.ip.stats.ofragments", ofragments, "Fragments sent"),
    COUNT("net.inet.ip.stats.fragments", fragments, "Fragments received"),
    COUNT("net.inet.ip.stats.fragdropped", fragdropped, "Fragments dropped: overlap, limit or malformed"),
    COUNT("net.inet.ip.stats.reassembled", reassembled, "Packets put together from fragments"),
    COUNT("net.inet.ip.stats.fragtimeout", fragtimeout, "Fragments dropped: the rest did not come in time"),
    COUNT("net.inet.icmp.stats.echo", icmp_echo, "Echo requests answered, both families"),
    COUNT("net.inet.icmp.stats.inerrors", icmp_in_error,
          "Errors received and given to their protocol, both families"),
    COUNT("net.inet.icmp.stats.checksum", icmp_badsum, "Dropped: bad ICMP checksum"),
    COUNT("net.inet.icmp.stats.tooshort", icmp_tooshort, "Dropped: ICMP message too short"),
    COUNT("net.inet.icmp.stats.badcode", icmp_badcode, "Dropped: ICMP quotes what we can't have sent"),
    COUNT("net.inet.icmp.stats.ignored", icmp_ignored, "Dropped: ICMP messages of no use to a host"),
    COUNT("net.inet.icmp.stats.outerrors", icmp_sent_error, "Errors sent, both families"),
    COUNT("net.inet.icmp.stats.ratelimited", icmp_ratelimited,
          "Errors and echo replies not sent, by net.inet.icmp.icmplim"),
    COUNT("net.inet.icmp.stats.nobuf", icmp_nobuf, "Messages not sent: no buffer or route"),
    COUNT("net.inet6.icmp6.stats.nd_badns", nd_badsol, "Dropped: bad neighbour solicitations"),
    COUNT("net.inet6.icmp6.stats.nd_badna", nd_badadv, "Dropped: bad neighbour advertisements"),
    COUNT("net.inet6.icmp6.stats.nd_badra", nd_badra, "Dropped: bad or unwanted router advertisements"),
    COUNT("net.inet6.icmp6.stats.nd_ns_in", nd_ns_in, "Neighbour solicitations received"),
    COUNT("net.inet6.icmp6.stats.nd_na_in", nd_na_in, "Neighbour advertisements received"),
    COUNT("net.inet6.icmp6.stats.nd_ra_in", nd_ra_in, "Router advertisements taken"),
    COUNT("net.inet6.icmp6.stats.nd_ns_out", nd_ns_out, "Neighbour solicitations sent"),
    COUNT("net.inet6.icmp6.stats.nd_na_out", nd_na_out, "Neighbour advertisements sent"),
    COUNT("net.inet6.icmp6.stats.nd_rs_out", nd_rs_out, "Router solicitations sent"),
    COUNT("net.inet.icmp.stats.redirects", redirects, "Redirects followed, both families"),
    COUNT("net.inet.icmp.stats.badredirect", badredirect,
          "Dropped: redirects that are malformed, not of our router, or beyond net.inet.icmp.maxredirects"),
    COUNT("net.inet6.mld.stats.queries", mld_queries, "MLD queries received"),
    COUNT("net.inet6.mld.stats.badqueries", mld_badquery, "Dropped: bad MLD queries"),
    COUNT("net.inet6.mld.stats.reports", mld_reports, "MLD reports and dones sent"),
    COUNT("net.inet.ip.stats.dad_looped", dad_looped,
          "Own probes of an address that the link brought back (RFC 7527)"),
    COUNT("net.inet.ip.stats.dad_duplicates", dad_duplicates,
          "Addresses not used because another host has them"),
};

void ip_drop(struct rte_mbuf *m, uint64_t *counter)
{
    (*counter)++;
    rte_pktmbuf_free(m);
}

void ip_trim(struct rte_mbuf *m, uint32_t len)
{
    struct rte_mbuf *last = m;
    m->pkt_len = len;
    m->nb_segs = 1;
    while (len > last->data_len) {
        len -= last->data_len;
        last = last->next;
        m->nb_segs++;
    }
    last->data_len = (uint16_t)len;
    rte_pktmbuf_free(last->next);
    last->next = NULL;
}

void ip_register(struct engine *e, uint8_t proto, const struct ip_proto *ops)
{
    e->ip->protos[proto] = ops;
}

static void hook_in(struct link_layer *l)
{
    l->ip4_input = ip4_input;
    l->ip6_input = ip6_input;
    l->nd_solicit = nd_solicit;
    l->unreachable = icmp_unreachable;
    l->owns = ip_addr_owns;
    l->duplicate = ip_addr_duplicate;
}

static int loopback_addresses(struct engine *e)
{
    struct netif *lo = netif_loopback(e);
    struct ip_addr v4 = ip_addr_v4(htonl(INADDR_LOOPBACK)), v6 = ip_addr_v6(&in6addr_loopback);
    if (!lo)
        return 0;
    int err = ip_addr_add(lo, &v4, 8);
    return err ? err : ip_addr_add(lo, &v6, 128);
}

int ip_create(struct engine *e)
{
    struct ip_layer *ip = mem_alloc(sizeof(*ip));
    if (!ip)
        return -ENOMEM;
    ip->e = e;
    TAILQ_INIT(&ip->addrs);
    TAILQ_INIT(&ip->path_mtus);
    wheel_timer_init(&ip->rs_timer, ra_fire);
    wheel_timer_init(&ip->expiry, route_expire);
    wheel_timer_init(&ip->frag_timer, fragment_sweep);
    pool_init(&ip->addr_pool, "addresses", sizeof(struct ifaddr), 256, 16);
    groups_create(ip);
    pool_init(&ip->path_pool, "path MTUs", sizeof(struct path_mtu), UINT32_MAX, 64);
    ip->path_gen = 1;
    e->ip = ip;
    int err = sysctl_register(e->sysctl, oids, RTE_DIM(oids), ip);
    if (!err)
        err = fragment_create(ip);
    if (!err)
        err = loopback_addresses(e);
    if (err) {
        ip_destroy(e);
        return err;
    }
    hook_in(e->link);
    return 0;
}

void ip_destroy(struct engine *e)
{
    struct ip_layer *ip = e->ip;
    struct path_mtu *p;
    wheel_cancel(&e->wheel, &ip->rs_timer);
    wheel_cancel(&e->wheel, &ip->expiry);
    fragment_destroy(ip);
    ip_addrs_destroy(ip);
    groups_destroy(ip);
    routes_destroy(ip);
    while ((p = TAILQ_FIRST(&ip->path_mtus)) != NULL) {
        TAILQ_REMOVE(&ip->path_mtus, p, link);
        pool_put(&ip->path_pool, p);
    }
    pool_fini(&ip->addr_pool);
    pool_fini(&ip->path_pool);
    sysctl_unregister(e->sysctl, ip);
    e->ip = NULL;
    mem_free(ip);
}
