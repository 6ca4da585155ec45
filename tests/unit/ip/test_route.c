// SPDX-License-Identifier: BSD-3-Clause
// Routes, paths and their MTU, source addresses: RFC 1122 §3.3.1, RFC 1191, RFC 8201, RFC 6724.
#include "host.h"

static void add(const char *dst, uint8_t plen, const char *gateway)
{
    struct ip_addr d = ip(dst), g = gateway ? ip(gateway) : (struct ip_addr){0};
    assert_int_equal(route_add(f.e, &d, plen, gateway ? &g : NULL, f.nif), 0);
}

static struct ip_path path_to(const char *dst)
{
    struct ip_path path;
    struct ip_addr d = ip(dst), src;
    assert_int_equal(ip_source(f.e, &d, 0, &src), 0);
    assert_int_equal(ip_path_find(f.e, &src, &d, 0, &path), 0);
    return path;
}

static void goes_by(const char *dst, const char *nexthop)
{
    struct ip_path path = path_to(dst);
    struct ip_addr n = ip(nexthop);
    assert_non_null(path.neigh);
    assert_true(ip_addr_eq(&path.neigh->addr, &n));
}

static void longest_prefix_wins(void **state)
{
    static const char *const gw[] = {"10.0.0.100", "10.0.0.101", "10.0.0.102", "10.0.0.103"};
    add("10.64.0.0", 10, gw[2]);
    add("0.0.0.0", 0, gw[0]);
    add("10.65.1.2", 32, gw[3]);
    add("10.0.0.0", 8, gw[1]);
    goes_by("192.0.2.1", gw[0]);
    goes_by("10.200.0.1", gw[1]);
    goes_by("10.127.255.255", gw[2]);
    goes_by("10.128.0.0", gw[1]);
    goes_by("10.65.1.2", gw[3]);
    goes_by("10.65.1.3", gw[2]);
    goes_by("10.0.0.77", "10.0.0.77"); /* on link */
}

static void longest_prefix_wins_in_ipv6(void **state)
{
    add("::", 0, "fe80::100");
    add("2001:db8:1::", 48, "fe80::101");
    add("2001:db8:1:8000::", 49, "fe80::102");
    goes_by("2001:db9::1", "fe80::100");
    goes_by("2001:db8:1:7fff::1", "fe80::101");
    goes_by("2001:db8:1:8000::1", "fe80::102");
    goes_by("2001:db8::99", "2001:db8::99");
}

static void families_do_not_mix(void **state)
{
    struct ip_addr v4_dst = ip("192.0.2.1"), src = v4(1), v6_dst = ip("2001:db9::1"),
                   src6 = ip("2001:db8::1");
    struct ip_path path;
    add("::", 0, "fe80::100");
    assert_int_equal(ip_path_find(f.e, &src, &v4_dst, 0, &path), -ENETUNREACH);
    struct ip_addr any6 = {0};
    assert_int_equal(route_del(f.e, &any6, 0), 0);
    add("0.0.0.0", 0, "10.0.0.100");
    assert_int_equal(ip_path_find(f.e, &src6, &v6_dst, 0, &path), -ENETUNREACH);
    assert_int_equal(sysctl_value("net.inet.ip.stats.lookups_noroute"), 2);
}

static void bad_routes_are_refused(void **state)
{
    struct ip_addr d = ip("10.9.0.0"), g6 = ip("fe80::1"), g = ip("10.0.0.9");
    assert_int_equal(route_add(f.e, &d, 33, &g, f.nif), -EINVAL);
    assert_int_equal(route_add(f.e, &d, 16, &g6, f.nif), -EINVAL);
    assert_int_equal(route_add(f.e, &d, 16, &g, NULL), -EINVAL);
    assert_int_equal(route_add(f.e, &d, 16, &g, f.nif), 0);
    struct ip_addr same = ip("10.9.77.1"); /* the same network */
    assert_int_equal(route_add(f.e, &same, 16, &g, f.nif), -EEXIST);
    assert_int_equal(route_del(f.e, &d, 15), -ENOENT);
    assert_int_equal(route_del(f.e, &d, 16), 0);
    assert_int_equal(route_del(f.e, &d, 16), -ENOENT);
}

static void number_of_routes_is_limited(void **state)
{
    struct ip_addr g = ip("10.0.0.9");
    sysctl_put("net.inet.ip.maxroutes", "20");
    int rc = 0;
    unsigned n = 0;
    for (uint32_t i = 1; rc == 0 && i < 100; i++) {
        struct ip_addr d = ip_addr_v4(rte_cpu_to_be_32(0xc0000000 + (i << 8)));
        rc = route_add(f.e, &d, 24, &g, f.nif);
        n += rc == 0;
    }
    assert_int_equal(rc, -ENOBUFS);
    assert_int_equal(f.e->ip->n_routes, 20);
    assert_true(n > 10);
}

static void cached_path_ages_when_routes_change(void **state)
{
    struct ip_path path = path_to("10.0.0.2");
    assert_true(ip_path_valid(f.e, &path));
    add("192.0.2.0", 24, "10.0.0.100");
    assert_false(ip_path_valid(f.e, &path));
    path = path_to("10.0.0.2");
    struct ip_addr d = ip("192.0.2.0");
    route_del(f.e, &d, 24);
    assert_false(ip_path_valid(f.e, &path));
}

static void to_ourselves_by_loopback(void **state)
{
    static const char *const own[] = {"10.0.0.1", "127.0.0.1", "127.9.9.9", "2001:db8::1", "::1"};
    for (unsigned i = 0; i < RTE_DIM(own); i++) {
        struct ip_path path;
        struct ip_addr d = ip(own[i]);
        assert_int_equal(ip_path_find(f.e, &d, &d, 0, &path), 0);
        assert_true(path.netif->loopback);
        assert_null(path.neigh);
    }
}

static void path_without_room_for_a_neighbour_stays_invalid(void **state)
{
    struct ip_addr src = v4(1), dst = v4(99);
    struct ip_path path = path_to("10.0.0.2"), before;
    f.e->ip->path_gen++;
    before = path;
    f.e->link->priv->params.max_entries = 1; /* the fixture has more, all static */
    assert_int_equal(ip_path_find(f.e, &src, &dst, 0, &path), -ENOBUFS);
    assert_memory_equal(&path, &before, sizeof(path));
    assert_false(ip_path_valid(f.e, &path));
}

/* ---- path MTU ---- */

static void rfc1191_smaller_mtu_is_remembered_for_ten_minutes(void **state)
{
    static const char *const dst[] = {"10.0.0.2", "2001:db8::2"};
    for (unsigned i = 0; i < 2; i++) {
        struct ip_addr d = ip(dst[i]);
        struct ip_path path = path_to(dst[i]);
        assert_int_equal(path.mtu, 1500);
        ip_path_mtu_lower(f.e, &d, 1400);
        assert_false(ip_path_valid(f.e, &path)); /* connections ask again */
        assert_int_equal(path_to(dst[i]).mtu, 1400);
        ip_path_mtu_lower(f.e, &d, 1450); /* never larger by ICMP */
        assert_int_equal(path_to(dst[i]).mtu, 1400);
        assert_int_equal(path_to(i ? "2001:db8::3" : "10.0.0.3").mtu, 1500);
        fake_pass(&f, 590 * NS_PER_SEC);
        path = path_to(dst[i]);
        assert_int_equal(path.mtu, 1400);
        fake_pass(&f, 20 * NS_PER_SEC);
        assert_false(ip_path_valid(f.e, &path)); /* RFC 1191 §6.3: the larger one is tried again */
        assert_int_equal(path_to(dst[i]).mtu, 1500);
    }
}

static void rfc8201_4_never_below_the_least_mtu(void **state)
{
    struct ip_addr d4 = ip("10.0.0.2"), d6 = ip("2001:db8::2");
    ip_path_mtu_lower(f.e, &d4, 10);
    ip_path_mtu_lower(f.e, &d6, 10);
    assert_int_equal(path_to("10.0.0.2").mtu, 68);
    assert_int_equal(path_to("2001:db8::2").mtu, 1280);
}

static void remembered_path_mtus_are_limited(void **state)
{
    sysctl_put("net.inet.ip.maxpaths", "3");
    for (uint8_t i = 2; i < 10; i++) {
        struct ip_addr d = v4(i);
        ip_path_mtu_lower(f.e, &d, 1000u + i);
    }
    assert_int_equal(f.e->ip->path_pool.used, 3);
    assert_int_equal(path_to("10.0.0.9").mtu, 1009); /* the newest are kept */
    assert_int_equal(path_to("10.0.0.6").mtu, 1500);
}

/* ---- source addresses ---- */

static void from(const char *dst, const char *want)
{
    struct ip_addr d = ip(dst), src, w = ip(want);
    assert_int_equal(ip_source(f.e, &d, 0, &src), 0);
    char text[IP_ADDR_STRLEN];
    if (!ip_addr_eq(&src, &w))
        fail_msg("to %s from %s, not %s", dst, ip_addr_str(&src, text), want);
}

static void rfc6724_5_source_address(void **state)
{
    give("fe80::1", 64);
    give("fd00::1", 64);
    give("2001:db8::77:1", 64);
    give("10.0.0.65", 24);
    add("::", 0, "fe80::2");
    add("0.0.0.0", 0, "10.0.0.100");
    from("2001:db8::77:1", "2001:db8::77:1"); /* rule 1: the same */
    from("fe80::2", "fe80::1");               /* rule 2: scope */
    from("2a00::1", "2001:db8::1");
    from("fd00::9", "fd00::1"); /* rule 8: longest match */
    from("2001:db8::77:9", "2001:db8::77:1");
    from("10.0.0.66", "10.0.0.65");
    from("192.0.2.1", "10.0.0.1");
    from("127.0.0.1", "127.0.0.1");
    struct ip_addr a = ip("2001:db8::77:1");
    ip_addr_any_state(f.e, &a)->state = IFADDR_DEPRECATED; /* rule 3 */
    from("2001:db8::77:9", "2001:db8::1");
}

static void no_source_no_route_are_told_apart(void **state)
{
    struct ip_addr far = ip("192.0.2.1"), src;
    assert_int_equal(ip_source(f.e, &far, 0, &src), -ENETUNREACH);
    struct ip_addr a = ip("2001:db8::1"), near = ip("2001:db9::9"), net = ip("2001:db9::");
    assert_int_equal(ip_addr_del(f.nif, &a), 0);
    assert_int_equal(route_add(f.e, &net, 64, NULL, f.nif), 0);
    assert_int_equal(ip_source(f.e, &near, 0, &src), -EADDRNOTAVAIL);
}

/* ---- addresses and their networks ---- */

static void address_brings_its_network_and_takes_it_along(void **state)
{
    struct ip_addr a = v4(1), b = v4(65), dst = v4(2);
    struct ip_path path;
    give("10.0.0.65", 24);
    assert_int_equal(ip_addr_del(f.nif, &a), 0);
    assert_int_equal(ip_path_find(f.e, &b, &dst, 0, &path), 0); /* the other one still needs it */
    assert_int_equal(ip_addr_del(f.nif, &b), 0);
    assert_int_equal(ip_path_find(f.e, &b, &dst, 0, &path), -ENETUNREACH);
    assert_int_equal(ip_addr_del(f.nif, &b), -ENOENT);
}

static void link_local_network_is_on_each_interface(void **state)
{
    struct port other = f.port;
    struct netif *second = netif_attach(f.e, &other, 0, "f1");
    struct ip_addr a = ip("fe80::a"), b = ip("fe80::b"), c = ip("fe80::c"), dst = ip("fe80::9");
    struct ip_path path;
    f.e->ip->params.dad_count6 = 0;
    assert_int_equal(ip_addr_add(f.nif, &a, 64), 0);
    assert_int_equal(ip_addr_add(second, &b, 64), 0);
    uint32_t n = f.e->ip->n_routes;
    assert_int_equal(ip_addr_add(second, &c, 64), 0);
    assert_int_equal(f.e->ip->n_routes, n); /* it has the network already */
    assert_int_equal(ip_addr_del(second, &c), 0);
    assert_int_equal(ip_addr_del(second, &b), 0);
    assert_int_equal(ip_path_find(f.e, &a, &dst, f.nif->index, &path), 0);
    assert_true(path.netif == f.nif);
    assert_int_equal(ip_path_find(f.e, &a, &dst, second->index, &path), -ENETUNREACH);
}

static void number_of_addresses_is_limited(void **state)
{
    sysctl_put("net.inet.ip.maxaddrs", "6"); /* two of lo0, two of the fixture */
    struct ip_addr a = v4(70), b = v4(71), c = v4(72), group = ip("224.0.0.5"), any = ip("0.0.0.0");
    assert_int_equal(ip_addr_add(f.nif, &a, 24), 0);
    assert_int_equal(ip_addr_add(f.nif, &a, 24), -EEXIST);
    assert_int_equal(ip_addr_add(f.nif, &b, 24), 0);
    assert_int_equal(ip_addr_add(f.nif, &c, 24), -ENOMEM);
    assert_int_equal(ip_addr_add(f.nif, &c, 33), -EINVAL);
    assert_int_equal(ip_addr_add(f.nif, &group, 24), -EINVAL);
    assert_int_equal(ip_addr_add(f.nif, &any, 24), -EINVAL);
}

static void every_failed_allocation_of_the_layer_is_survived(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    int rc = -ENOMEM;
    ip_destroy(f.e);
    for (int n = 1; rc; n++) {
        assert_true(n < 100);
        fault_run = 1;
        fault_countdown = n;
        rc = ip_create(f.e);
        fault_countdown = -1;
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_true(rc == 0 || !f.e->ip);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(longest_prefix_wins),
        HOST_TEST(longest_prefix_wins_in_ipv6),
        HOST_TEST(families_do_not_mix),
        HOST_TEST(bad_routes_are_refused),
        HOST_TEST(number_of_routes_is_limited),
        HOST_TEST(cached_path_ages_when_routes_change),
        HOST_TEST(to_ourselves_by_loopback),
        HOST_TEST(path_without_room_for_a_neighbour_stays_invalid),
        HOST_TEST(rfc1191_smaller_mtu_is_remembered_for_ten_minutes),
        HOST_TEST(rfc8201_4_never_below_the_least_mtu),
        HOST_TEST(remembered_path_mtus_are_limited),
        HOST_TEST(rfc6724_5_source_address),
        HOST_TEST(no_source_no_route_are_told_apart),
        HOST_TEST(address_brings_its_network_and_takes_it_along),
        HOST_TEST(link_local_network_is_on_each_interface),
        HOST_TEST(number_of_addresses_is_limited),
        HOST_TEST(every_failed_allocation_of_the_layer_is_survived),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
