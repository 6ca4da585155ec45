// SPDX-License-Identifier: BSD-3-Clause
// Router solicitation and advertisement: RFC 4861 §6.3, RFC 4862 §5.5, RFC 5942.
#include "host.h"

#define AUTO    ND_OPT_PI_FLAG_AUTO
#define ON_LINK ND_OPT_PI_FLAG_ONLINK

struct prefix {
    const char *text;
    uint8_t plen, flags;
    uint32_t valid, preferred;
};

/* An advertisement of fe80::`router` to all nodes. */
static struct rte_mbuf *advert(const char *router, uint16_t lifetime, const struct prefix *p)
{
    unsigned len = sizeof(struct nd_router_advert) + (p ? sizeof(struct nd_opt_prefix_info) : 0);
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, len);
    struct rte_ipv6_hdr *h = ip_of(m);
    struct nd_router_advert *ra = (struct nd_router_advert *)(h + 1);
    struct nd_opt_prefix_info *o = (struct nd_opt_prefix_info *)(ra + 1);
    address6(m, router, "ff02::1");
    h->hop_limits = 255;
    memset(ra, 0, len);
    ra->nd_ra_type = ND_ROUTER_ADVERT;
    ra->nd_ra_router_lifetime = htons(lifetime);
    if (p) {
        struct ip_addr a = ip(p->text);
        o->nd_opt_pi_type = ND_OPT_PREFIX_INFORMATION;
        o->nd_opt_pi_len = 4;
        o->nd_opt_pi_prefix_len = p->plen;
        o->nd_opt_pi_flags_reserved = p->flags;
        o->nd_opt_pi_valid_time = htonl(p->valid);
        o->nd_opt_pi_preferred_time = htonl(p->preferred);
        memcpy(&o->nd_opt_pi_prefix, a.b, 16);
    }
    sum_icmp6(m);
    return m;
}

static struct ip_addr automatic(void) /* of 2001:db8:5::/64 and the MAC address 02:00:00:00:00:01 */
{
    return ip("2001:db8:5::ff:fe00:1");
}

static int find_path(const char *text, struct ip_path *path)
{
    struct ip_addr d = ip(text), src = ip("2001:db8::1");
    return ip_path_find(f.e, &src, &d, 0, path);
}

static const struct prefix usual = {"2001:db8:5::", 64, AUTO | ON_LINK, 3600, 1800};

static void rfc4862_553_address_from_a_prefix(void **state)
{
    struct ip_addr a = automatic();
    arrive(advert("fe80::2", 0, &usual));
    struct ifaddr *ia = ip_addr_any_state(f.e, &a);
    assert_non_null(ia);
    assert_int_equal(ia->state, IFADDR_TENTATIVE);
    fake_pass(&f, 2 * NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_PREFERRED);
    assert_int_equal(ia->plen, 64);
    fake_pass(&f, 1800 * NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_DEPRECATED);
    assert_non_null(ip_addr_find(f.e, &a)); /* still good for what uses it */
    fake_pass(&f, 1800 * NS_PER_SEC);
    assert_null(ip_addr_any_state(f.e, &a));
    struct ip_path path;
    assert_int_equal(find_path("2001:db8:5::9", &path), -ENETUNREACH); /* so did the prefix */
}

static void lifetimes_hold_without_the_check_for_duplicates(void **state)
{
    struct ip_addr a = automatic();
    sysctl_put("net.inet6.ip6.dad_count", "0");
    arrive(advert("fe80::2", 0, &usual));
    assert_non_null(ip_addr_find(f.e, &a));
    fake_pass(&f, 3601 * NS_PER_SEC);
    assert_null(ip_addr_any_state(f.e, &a));
}

static void renewed_address_lives_on(void **state)
{
    struct ip_addr a = automatic();
    arrive(advert("fe80::2", 0, &usual));
    for (int i = 0; i < 3; i++) {
        fake_pass(&f, 1500 * NS_PER_SEC);
        arrive(advert("fe80::2", 0, &usual));
    }
    assert_int_equal(ip_addr_find(f.e, &a)->state, IFADDR_PREFERRED);
}

static void rfc4862_553e_nobody_ends_an_address_by_a_short_lifetime(void **state)
{
    struct ip_addr a = automatic();
    struct prefix longer = usual, shorter = usual;
    longer.valid = 86400;
    shorter.valid = shorter.preferred = 1;
    arrive(advert("fe80::2", 0, &longer));
    fake_pass(&f, 2 * NS_PER_SEC);
    arrive(advert("fe80::3", 0, &shorter));
    fake_pass(&f, 7000 * NS_PER_SEC);
    assert_non_null(ip_addr_find(f.e, &a)); /* two hours remain */
    fake_pass(&f, 300 * NS_PER_SEC);
    assert_null(ip_addr_find(f.e, &a));
}

static void rfc5942_address_alone_says_nothing_of_the_link(void **state)
{
    struct prefix off_link = usual;
    struct ip_addr a = automatic();
    struct ip_path path;
    off_link.flags = AUTO;
    arrive(advert("fe80::2", 600, &off_link));
    fake_pass(&f, 2 * NS_PER_SEC);
    assert_non_null(ip_addr_find(f.e, &a));
    assert_int_equal(find_path("2001:db8:5::9", &path), 0);
    struct ip_addr router = ip("fe80::2");
    assert_true(ip_addr_eq(&path.neigh->addr, &router));
}

static void rfc4861_634_prefix_on_link_ends_with_its_lifetime_or_at_once(void **state)
{
    struct prefix on_link = usual;
    struct ip_path path;
    on_link.flags = ON_LINK;
    arrive(advert("fe80::2", 0, &on_link));
    assert_int_equal(find_path("2001:db8:5::9", &path), 0);
    fake_pass(&f, 3590 * NS_PER_SEC);
    assert_int_equal(find_path("2001:db8:5::9", &path), 0);
    fake_pass(&f, 20 * NS_PER_SEC);
    assert_false(ip_path_valid(f.e, &path));
    assert_int_equal(find_path("2001:db8:5::9", &path), -ENETUNREACH);
    arrive(advert("fe80::2", 0, &on_link));
    assert_int_equal(find_path("2001:db8:5::9", &path), 0);
    on_link.valid = on_link.preferred = 0;
    arrive(advert("fe80::2", 0, &on_link));
    assert_int_equal(find_path("2001:db8:5::9", &path), -ENETUNREACH);
}

static void rfc4861_634_default_router_for_its_lifetime(void **state)
{
    struct ip_path path;
    struct ip_addr router = ip("fe80::2");
    assert_int_equal(find_path("2a00::1", &path), -ENETUNREACH);
    arrive(advert("fe80::2", 100, NULL));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_true(ip_addr_eq(&path.neigh->addr, &router));
    arrive(advert("fe80::2", 100, NULL));
    assert_true(ip_path_valid(f.e, &path)); /* said again, nothing changed */
    fake_pass(&f, 99 * NS_PER_SEC);
    assert_true(ip_path_valid(f.e, &path));
    fake_pass(&f, 2 * NS_PER_SEC);
    assert_false(ip_path_valid(f.e, &path)); /* connections must notice */
    assert_int_equal(find_path("2a00::1", &path), -ENETUNREACH);
}

static void rfc4861_634_lifetime_0_ends_the_default_route_at_once(void **state)
{
    struct ip_path path;
    struct ip_addr second = ip("fe80::3");
    arrive(advert("fe80::2", 100, NULL));
    arrive(advert("fe80::3", 100, NULL));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_true(path.neigh->addr.b[15] == 2); /* the first stays in use */
    arrive(advert("fe80::4", 0, NULL));       /* of somebody else: nothing */
    assert_true(ip_path_valid(f.e, &path));
    arrive(advert("fe80::2", 0, NULL));
    assert_false(ip_path_valid(f.e, &path));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_true(ip_addr_eq(&path.neigh->addr, &second));
}

static void rfc4861_636_dead_router_is_left_for_another(void **state)
{
    struct ip_addr src = ip("2001:db8::1"), dst = ip("2a00::1");
    struct ip_path path;
    struct ip_send how = {.src = &src, .dst = &dst, .proto = PROTO_TEST, .path = &path};
    arrive(advert("fe80::8", 1000, NULL));
    arrive(advert("fe80::9", 1000, NULL));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_int_equal(path.neigh->addr.b[15], 8);
    ip_output(f.e, fake_zeros(20), &how);
    fake_pass(&f, 30 * NS_PER_SEC); /* no answer */
    assert_false(ip_path_valid(f.e, &path));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_int_equal(path.neigh->addr.b[15], 9);
}

static void configured_default_route_goes_before(void **state)
{
    struct ip_addr any = {0}, gw = ip("fe80::77");
    struct ip_path path;
    arrive(advert("fe80::2", 1000, NULL));
    assert_int_equal(route_add(f.e, &any, 0, &gw, f.nif), 0);
    arrive(advert("fe80::3", 1000, NULL));
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_int_equal(path.neigh->addr.b[15], 0x77);
    assert_int_equal(route_del(f.e, &any, 0), 0);
    assert_int_equal(find_path("2a00::1", &path), 0);
    assert_int_equal(path.neigh->addr.b[15], 2);
}

static void rfc4861_612_bad_advertisements_are_dropped(void **state)
{
    static const char bad[] = "net.inet6.icmp6.stats.nd_badra";
    struct rte_mbuf *m = advert("fe80::2", 100, &usual);
    ((struct rte_ipv6_hdr *)ip_of(m))->hop_limits = 64;
    dropped(m, bad);
    dropped(advert("2001:db8::2", 100, &usual), bad); /* not from the link */
    m = advert("fe80::2", 100, &usual);
    rte_pktmbuf_mtod(m, uint8_t *)[14 + 40 + 16 + 1] = 0; /* option of no length */
    sum_icmp6(m);
    dropped(m, bad);
    m = advert("fe80::2", 100, &usual);
    rte_pktmbuf_mtod(m, uint8_t *)[14 + 40 + 16 + 1] = 5; /* beyond the end */
    sum_icmp6(m);
    dropped(m, bad);
    sysctl_put("net.inet6.ip6.accept_rtadv", "0");
    dropped(advert("fe80::2", 100, &usual), bad);
    struct ip_addr a = automatic();
    assert_null(ip_addr_any_state(f.e, &a));
}

static void prefixes_that_make_no_address(void **state)
{
    struct ip_addr a = automatic();
    struct prefix p = usual;
    p.preferred = 3601; /* RFC 4862 §5.5.3 (c) */
    arrive(advert("fe80::2", 0, &p));
    p = usual;
    p.plen = 63; /* (d): not what our interface identifiers need */
    arrive(advert("fe80::2", 0, &p));
    p = usual;
    p.valid = p.preferred = 0;
    arrive(advert("fe80::2", 0, &p));
    p = usual;
    p.text = "fe80::"; /* (b) */
    arrive(advert("fe80::2", 0, &p));
    assert_null(ip_addr_any_state(f.e, &a));
    assert_int_equal(sysctl_value("net.inet6.icmp6.stats.nd_ra_in"), 4);
}

static void made_up_routers_and_prefixes_are_limited(void **state)
{
    unsigned before = f.e->ip->addr_pool.used, routes = f.e->ip->n_routes;
    for (unsigned i = 1; i < 100; i++) {
        char router[32], text[32];
        struct prefix p = usual;
        snprintf(router, sizeof(router), "fe80::5:%x", i);
        snprintf(text, sizeof(text), "2001:db8:%x::", 0x100 + i);
        p.text = text;
        arrive(advert(router, 1000, &p));
    }
    assert_int_equal(f.e->ip->addr_pool.used - before, 16);
    assert_int_equal(f.e->ip->n_routes - routes, 32);
}

/* RFC 4861 §6.3.4: IPv6 alone, and up again when the router says so; the device keeps its own. */
static void mtu_option_is_ipv6s_within_limits(void **state)
{
    static const struct {
        uint32_t told;
        uint16_t mtu;
    } cases[] = {{9000, 1500}, {1000, 1500}, {1400, 1400}, {1279, 1400}, {1280, 1280}, {1500, 1500}};
    for (unsigned i = 0; i < RTE_DIM(cases); i++) {
        struct rte_mbuf *m = advert("fe80::2", 0, &usual);
        struct nd_opt_mtu *o =
            rte_pktmbuf_mtod_offset(m, struct nd_opt_mtu *, 54 + sizeof(struct nd_router_advert));
        memset(o, 0, 32);
        o->nd_opt_mtu_type = ND_OPT_MTU;
        o->nd_opt_mtu_len = 1;
        o->nd_opt_mtu_mtu = htonl(cases[i].told);
        ((uint8_t *)o)[8] = 200; /* an unknown option behind it is skipped */
        ((uint8_t *)o)[9] = 3;
        sum_icmp6(m);
        arrive(m);
        assert_int_equal(netif_mtu(f.nif, false), cases[i].mtu);
        assert_int_equal(netif_mtu(f.nif, true), 1500);
        assert_int_equal(f.nif->mtu, 1500);
    }
}

static void rfc4861_637_routers_are_asked_for_until_one_answers(void **state)
{
    ip_netif_up(f.nif);
    fake_pass(&f, 3500 * NS_PER_MS);
    struct ip_addr ll = ip("fe80::ff:fe00:1");
    assert_non_null(ip_addr_find(f.e, &ll));
    unsigned at = 0, n = 0;
    for (unsigned i = 0; i < f.n_sent; i++) {
        if (sent6(i) && sent6(i)->proto == IPPROTO_ICMPV6 && sent_icmp6(i)->icmp6_type == ND_ROUTER_SOLICIT) {
            n++;
            at = i;
        }
    }
    assert_int_equal(n, 1);
    struct ip_addr all_routers = ip("ff02::2");
    assert_memory_equal(sent6(at)->dst_addr, all_routers.b, 16);
    assert_memory_equal(sent6(at)->src_addr, ll.b, 16);
    assert_int_equal(sent6(at)->hop_limits, 255);
    fake_pass(&f, 60 * NS_PER_SEC);
    assert_int_equal(sysctl_value("net.inet6.icmp6.stats.nd_rs_out"), 3);
}

static void answer_ends_the_asking(void **state)
{
    ip_netif_up(f.nif);
    fake_pass(&f, 3500 * NS_PER_MS);
    arrive(advert("fe80::2", 100, NULL));
    fake_pass(&f, 60 * NS_PER_SEC);
    assert_int_equal(sysctl_value("net.inet6.icmp6.stats.nd_rs_out"), 1);
}

static void every_failed_allocation_is_survived(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct ip_addr a = automatic();
    bool over = false;
    for (int n = 1; !over; n++) {
        assert_true(n < 100);
        fault_run = 1;
        fault_countdown = n;
        arrive(advert("fe80::2", 1000, &usual));
        fake_pass(&f, 3 * NS_PER_SEC);
        over = fault_countdown > 0;
        fault_countdown = -1;
        struct prefix gone = usual;
        gone.valid = gone.preferred = 0;
        arrive(advert("fe80::2", 0, &gone));
        if (ip_addr_any_state(f.e, &a))
            assert_int_equal(ip_addr_del(f.nif, &a), 0);
        fake_pass(&f, 3 * NS_PER_SEC);
        fake_forget(&f);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(rfc4862_553_address_from_a_prefix),
        HOST_TEST(lifetimes_hold_without_the_check_for_duplicates),
        HOST_TEST(renewed_address_lives_on),
        HOST_TEST(rfc4862_553e_nobody_ends_an_address_by_a_short_lifetime),
        HOST_TEST(rfc5942_address_alone_says_nothing_of_the_link),
        HOST_TEST(rfc4861_634_prefix_on_link_ends_with_its_lifetime_or_at_once),
        HOST_TEST(rfc4861_634_default_router_for_its_lifetime),
        HOST_TEST(rfc4861_634_lifetime_0_ends_the_default_route_at_once),
        HOST_TEST(rfc4861_636_dead_router_is_left_for_another),
        HOST_TEST(configured_default_route_goes_before),
        HOST_TEST(rfc4861_612_bad_advertisements_are_dropped),
        HOST_TEST(prefixes_that_make_no_address),
        HOST_TEST(made_up_routers_and_prefixes_are_limited),
        HOST_TEST(mtu_option_is_ipv6s_within_limits),
        HOST_TEST(rfc4861_637_routers_are_asked_for_until_one_answers),
        HOST_TEST(answer_ends_the_asking),
        HOST_TEST(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
