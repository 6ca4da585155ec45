// SPDX-License-Identifier: BSD-3-Clause
// Redirects: RFC 792, RFC 1122 §3.2.2.2, RFC 4861 §8, and FreeBSD's sysctls for them.
#include "host.h"

static const char bad[] = "net.inet.icmp.stats.badredirect";

static int begin(void **state)
{
    struct ip_addr any4 = ip("0.0.0.0"), any6 = {0}, gw4 = ip("10.0.0.2"), gw6 = ip("fe80::2");
    host_begin(state);
    assert_int_equal(route_add(f.e, &any4, 0, &gw4, f.nif), 0);
    assert_int_equal(route_add(f.e, &any6, 0, &gw6, f.nif), 0);
    return 0;
}

static struct ip_path path_to(const char *dst)
{
    struct ip_path path;
    struct ip_addr d = ip(dst), src;
    assert_int_equal(ip_source(f.e, &d, 0, &src), 0);
    assert_int_equal(ip_path_find(f.e, &src, &d, 0, &path), 0);
    return path;
}

static bool goes_by(const char *dst, const char *nexthop)
{
    struct ip_addr n = ip(nexthop);
    return ip_addr_eq(&path_to(dst).neigh->addr, &n);
}

/* 10.0.0.2 or `from` says: to dst rather by gateway. */
static struct rte_mbuf *redirect4(const char *from, const char *dst, const char *gateway)
{
    struct rte_mbuf *m = packet4(IPPROTO_ICMP, 8 + 28);
    struct rte_ipv4_hdr *h = ip_of(m), *q;
    struct icmphdr *icmp = (struct icmphdr *)(h + 1);
    h->src_addr = ip(from).w[3];
    sum4(h);
    *icmp = (struct icmphdr){.type = ICMP_REDIRECT, .code = ICMP_REDIR_HOST};
    icmp->un.gateway = ip(gateway).w[3];
    q = (struct rte_ipv4_hdr *)(icmp + 1);
    memset(q, 0, 28);
    q->version_ihl = RTE_IPV4_VHL_DEF;
    q->src_addr = v4(1).w[3];
    q->dst_addr = ip(dst).w[3];
    sum_icmp4(m);
    return m;
}

static struct rte_mbuf *redirect6(const char *from, const char *dst, const char *target,
                                  const struct rte_ether_addr *mac)
{
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, 40 + (mac ? 8 : 0));
    struct rte_ipv6_hdr *h = ip_of(m);
    struct nd_redirect *rd = (struct nd_redirect *)(h + 1);
    struct ip_addr t = ip(target), d = ip(dst);
    address6(m, from, "2001:db8::1");
    h->hop_limits = 255;
    memset(rd, 0, sizeof(*rd));
    rd->nd_rd_type = ND_REDIRECT;
    memcpy(&rd->nd_rd_target, t.b, 16);
    memcpy(&rd->nd_rd_dst, d.b, 16);
    if (mac) {
        uint8_t *o = (uint8_t *)(rd + 1);
        o[0] = ND_OPT_TARGET_LINKADDR;
        o[1] = 1;
        memcpy(o + 2, mac, 6);
    }
    sum_icmp6(m);
    return m;
}

static void rfc1122_3222_redirect_of_our_router_is_followed_for_one_host(void **state)
{
    struct ip_path before = path_to("192.0.2.1");
    arrive(redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3"));
    assert_false(ip_path_valid(f.e, &before));
    assert_true(goes_by("192.0.2.1", "10.0.0.3"));
    assert_true(goes_by("192.0.2.2", "10.0.0.2"));
    assert_int_equal(sysctl_value("net.inet.icmp.stats.redirects"), 1);
    arrive(redirect4("10.0.0.3", "192.0.2.1", "10.0.0.4")); /* the new router knows better still */
    assert_true(goes_by("192.0.2.1", "10.0.0.4"));
}

static void redirtimeout_ends_it(void **state)
{
    sysctl_put("net.inet.icmp.redirtimeout", "60");
    arrive(redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3"));
    fake_pass(&f, 59 * NS_PER_SEC);
    struct ip_path path = path_to("192.0.2.1");
    assert_true(goes_by("192.0.2.1", "10.0.0.3"));
    fake_pass(&f, 2 * NS_PER_SEC);
    assert_false(ip_path_valid(f.e, &path));
    assert_true(goes_by("192.0.2.1", "10.0.0.2"));
}

static void rfc1122_3222_others_are_dropped(void **state)
{
    dropped(redirect4("10.0.0.9", "192.0.2.1", "10.0.0.3"), bad);  /* not our router */
    dropped(redirect4("10.0.0.2", "192.0.2.1", "10.1.0.3"), bad);  /* not on our network */
    dropped(redirect4("10.0.0.2", "192.0.2.1", "10.0.0.1"), bad);  /* ourselves */
    dropped(redirect4("10.0.0.2", "10.0.0.7", "10.0.0.3"), bad);   /* a neighbour's packets go to no router */
    dropped(redirect4("10.0.0.2", "224.0.0.9", "10.0.0.3"), bad);  /* a group */
    dropped(redirect4("10.0.0.2", "192.0.2.1", "224.0.0.1"), bad); /* to a group */
    struct rte_mbuf *m = redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3");
    ((struct icmphdr *)((struct rte_ipv4_hdr *)ip_of(m) + 1))->code = 4;
    sum_icmp4(m);
    dropped(m, bad);
    m = redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3");
    ((struct rte_ipv4_hdr *)((char *)ip_of(m) + 28))->src_addr = v4(8).w[3]; /* quotes a packet not ours */
    sum_icmp4(m);
    dropped(m, bad);
    assert_true(goes_by("192.0.2.1", "10.0.0.2"));
}

static void drop_redirect_and_rediraccept(void **state)
{
    sysctl_put("net.inet.icmp.drop_redirect", "1");
    sysctl_put("net.inet6.icmp6.rediraccept", "0");
    dropped(redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3"), "net.inet.icmp.stats.ignored");
    dropped(redirect6("fe80::2", "2a00::1", "fe80::3", NULL), "net.inet.icmp.stats.ignored");
    assert_true(goes_by("192.0.2.1", "10.0.0.2"));
    assert_true(goes_by("2a00::1", "fe80::2"));
}

static void rfc4861_83_better_router_and_its_address(void **state)
{
    arrive(redirect6("fe80::2", "2a00::1", "fe80::3", &other_mac));
    assert_true(goes_by("2a00::1", "fe80::3"));
    assert_true(goes_by("2a00::2", "fe80::2"));
    assert_memory_equal(&path_to("2a00::1").neigh->mac, &other_mac, 6);
    assert_int_equal(path_to("2a00::1").neigh->state, NEIGH_STALE);
}

static void rfc4861_83_host_on_the_link(void **state)
{
    arrive(redirect6("fe80::2", "2a00::1", "2a00::1", &other_mac));
    assert_true(goes_by("2a00::1", "2a00::1"));
    sysctl_put("net.inet6.icmp6.redirtimeout", "60");
    arrive(redirect6("fe80::2", "2a00::2", "2a00::2", NULL));
    fake_pass(&f, 61 * NS_PER_SEC);
    assert_true(goes_by("2a00::2", "fe80::2"));
    assert_true(goes_by("2a00::1", "2a00::1"));
}

static void rfc4861_81_others_are_dropped(void **state)
{
    struct rte_mbuf *m = redirect6("fe80::2", "2a00::1", "fe80::3", NULL);
    ((struct rte_ipv6_hdr *)ip_of(m))->hop_limits = 254;
    dropped(m, bad);
    dropped(redirect6("2001:db8::2", "2a00::1", "fe80::3", NULL), bad);
    dropped(redirect6("fe80::9", "2a00::1", "fe80::3", NULL), bad);
    dropped(redirect6("fe80::2", "2a00::1", "2a00::3", NULL), bad);
    dropped(redirect6("fe80::2", "ff0e::1", "fe80::3", NULL), bad);
    dropped(redirect6("fe80::2", "2001:db8::9", "fe80::3", NULL), bad);
    m = redirect6("fe80::2", "2a00::1", "fe80::3", &other_mac);
    rte_pktmbuf_mtod(m, uint8_t *)[14 + 40 + 40 + 1] = 0;
    sum_icmp6(m);
    dropped(m, bad);
    assert_true(goes_by("2a00::1", "fe80::2"));
}

static void number_of_redirects_is_limited(void **state)
{
    sysctl_put("net.inet.icmp.maxredirects", "3");
    for (unsigned i = 1; i <= 5; i++) {
        char dst[32];
        snprintf(dst, sizeof(dst), "192.0.2.%u", i);
        arrive(redirect4("10.0.0.2", dst, "10.0.0.3"));
    }
    assert_int_equal(sysctl_value("net.inet.icmp.stats.redirects"), 3);
    assert_int_equal(sysctl_value(bad), 2);
}

static void rfc4861_733_dead_target_is_forgotten(void **state)
{
    struct ip_addr src = ip("10.0.0.1"), dst = ip("192.0.2.1");
    arrive(redirect4("10.0.0.2", "192.0.2.1", "10.0.0.3"));
    struct ip_path path = path_to("192.0.2.1");
    struct ip_send how = {.src = &src, .dst = &dst, .proto = PROTO_TEST, .path = &path};
    ip_output(f.e, fake_zeros(20), &how);
    fake_pass(&f, 30 * NS_PER_SEC); /* 10.0.0.3 does not answer */
    assert_true(goes_by("192.0.2.1", "10.0.0.2"));
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, begin, host_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(rfc1122_3222_redirect_of_our_router_is_followed_for_one_host),
        TEST(redirtimeout_ends_it),
        TEST(rfc1122_3222_others_are_dropped),
        TEST(drop_redirect_and_rediraccept),
        TEST(rfc4861_83_better_router_and_its_address),
        TEST(rfc4861_83_host_on_the_link),
        TEST(rfc4861_81_others_are_dropped),
        TEST(number_of_redirects_is_limited),
        TEST(rfc4861_733_dead_target_is_forgotten),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
