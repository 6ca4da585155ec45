// SPDX-License-Identifier: BSD-3-Clause
// Groups and their reports: RFC 3810, RFC 2710, RFC 3590, RFC 2711.
#include "host.h"

enum { IS_EXCLUDE = 2, TO_INCLUDE = 3, TO_EXCLUDE = 4 };

struct report {
    struct rte_ipv6_hdr ip;
    uint8_t hbh[8];
    uint8_t type, code;
    uint16_t cksum, reserved, n;
    struct {
        uint8_t type, aux;
        uint16_t n_sources;
        uint8_t group[16];
    } records[];
} __rte_packed;

/* Sent frame i as MLD report, its outside checked; NULL: it is none. */
static const struct report *report(unsigned i, uint8_t type)
{
    const struct report *r = (const struct report *)sent6(i);
    if (!r || r->ip.proto != IPPROTO_HOPOPTS || r->type != type)
        return NULL;
    assert_int_equal(r->ip.hop_limits, 1);
    assert_memory_equal(r->hbh, "\x3a\x00\x05\x02\x00\x00\x01\x00", 8);
    uint32_t off = 14 + 48, len = f.sent[i]->pkt_len - off;
    assert_int_equal(rte_be_to_cpu_16(r->ip.payload_len), len + 8);
    struct rte_ipv6_hdr pseudo = r->ip;
    pseudo.proto = IPPROTO_ICMPV6;
    pseudo.payload_len = rte_cpu_to_be_16((uint16_t)len);
    uint32_t sum = cksum_mbuf(f.sent[i], off, len) + rte_ipv6_phdr_cksum(&pseudo, 0);
    assert_int_equal((sum & 0xffff) + (sum >> 16), 0xffff);
    return r;
}

static unsigned reports_of(const char *group, uint8_t record)
{
    struct ip_addr g = ip(group);
    unsigned n = 0;
    for (unsigned i = 0; i < f.n_sent; i++) {
        const struct report *r = report(i, 143);
        for (unsigned j = 0; r && j < rte_be_to_cpu_16(r->n); j++)
            n += r->records[j].type == record && memcmp(r->records[j].group, g.b, 16) == 0;
    }
    return n;
}

/* A query of fe80::2 for group (:: general); v1: in the old form. */
static struct rte_mbuf *query(const char *group, uint16_t delay, bool v1)
{
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, v1 ? 24 : 28);
    struct rte_ipv6_hdr *h = ip_of(m);
    struct mld_hdr *q = (struct mld_hdr *)(h + 1);
    struct ip_addr g = ip(group);
    address6(m, "fe80::2", ip_addr_is_any(&g) ? "ff02::1" : group);
    h->hop_limits = 1;
    memset(q, 0, v1 ? 24 : 28);
    q->mld_type = MLD_LISTENER_QUERY;
    q->mld_maxdelay = htons(delay);
    memcpy(&q->mld_addr, g.b, 16);
    sum_icmp6(m);
    return m;
}

static void rfc3810_61_join_is_told_twice(void **state)
{
    give("2001:db8::5", 64);
    fake_pass(&f, 10 * NS_PER_MS);
    assert_int_equal(reports_of("ff02::1:ff00:5", TO_EXCLUDE), 1);
    fake_pass(&f, 5 * NS_PER_SEC);
    assert_int_equal(reports_of("ff02::1:ff00:5", TO_EXCLUDE), 2);
    assert_int_equal(reports_of("ff02::1", TO_EXCLUDE), 0); /* §6: nobody asks for all nodes */
}

static void rfc3590_report_comes_from_link_local_or_nobody(void **state)
{
    give("2001:db8::5", 64);
    fake_pass(&f, 10 * NS_PER_MS);
    struct ip_addr any = {0}, ll = ip("fe80::1"), routers = ip("ff02::16");
    unsigned i = 0;
    while (!report(i, 143))
        assert_true(++i < f.n_sent);
    assert_memory_equal(report(i, 143)->ip.src_addr, any.b, 16);
    assert_memory_equal(report(i, 143)->ip.dst_addr, routers.b, 16);
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[i], uint8_t *), "\x33\x33\x00\x00\x00\x16", 6);
    give("fe80::1", 64);
    fake_pass(&f, 5 * NS_PER_SEC);
    fake_forget(&f);
    give("2001:db8::6", 64);
    fake_pass(&f, 10 * NS_PER_MS);
    for (i = 0; !report(i, 143); i++)
        assert_true(i < f.n_sent);
    assert_memory_equal(report(i, 143)->ip.src_addr, ll.b, 16);
}

static void group_is_told_before_the_address_is_checked(void **state)
{
    struct ip_addr a = ip("2001:db8::5");
    assert_int_equal(ip_addr_add(f.nif, &a, 64), 0);
    fake_pass(&f, 10 * NS_PER_MS);
    assert_non_null(report(0, 143)); /* RFC 4862 §5.4.2: else a switch keeps the answer from us */
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(sent_icmp6(1)->icmp6_type, ND_NEIGHBOR_SOLICIT);
}

static void rfc3810_61_leave_is_told_when_the_last_address_goes(void **state)
{
    struct ip_addr a = ip("2001:db8::5"), b = ip("fd00::5"), group = ip("ff02::1:ff00:5");
    give("2001:db8::5", 64);
    give("fd00::5", 64);
    fake_pass(&f, 5 * NS_PER_SEC);
    fake_forget(&f);
    assert_int_equal(ip_addr_del(f.nif, &a), 0);
    fake_pass(&f, 5 * NS_PER_SEC);
    assert_int_equal(f.n_sent, 0);
    assert_true(group_joined(f.nif, &group));
    assert_int_equal(ip_addr_del(f.nif, &b), 0);
    assert_false(group_joined(f.nif, &group));
    fake_pass(&f, 5 * NS_PER_SEC);
    assert_int_equal(reports_of("ff02::1:ff00:5", TO_INCLUDE), 2);
    assert_int_equal(f.e->ip->group_pool.used, 2); /* all nodes, and the fixture's */
}

static void rfc3810_62_general_query_is_answered_within_its_time(void **state)
{
    give("2001:db8::5", 64);
    fake_pass(&f, 5 * NS_PER_SEC);
    fake_forget(&f);
    arrive(query("::", 2000, false));
    fake_pass(&f, 2 * NS_PER_SEC);
    assert_int_equal(reports_of("ff02::1:ff00:5", IS_EXCLUDE), 1);
    assert_int_equal(reports_of("ff02::1:ff00:1", IS_EXCLUDE), 1);
    assert_int_equal(f.n_sent, 1);
    fake_pass(&f, 20 * NS_PER_SEC);
    assert_int_equal(f.n_sent, 1);
}

static void rfc3810_62_query_of_one_group(void **state)
{
    give("2001:db8::5", 64);
    fake_pass(&f, 5 * NS_PER_SEC);
    fake_forget(&f);
    arrive(query("ff02::1:ff00:5", 1000, false));
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(reports_of("ff02::1:ff00:5", IS_EXCLUDE), 1);
    assert_int_equal(reports_of("ff02::1:ff00:1", IS_EXCLUDE), 0);
}

static void rfc3810_513_delays_beyond_32_seconds_are_floating(void **state)
{
    arrive(query("::", 0x8000 | 7 << 12 | 0xfff, false)); /* 8191 << 10 ms: 2.3 hours */
    uint64_t deadline = f.e->ip->mld_timer.deadline;
    assert_true(deadline > f.e->now + 40 * NS_PER_SEC && deadline < f.e->now + 8388 * NS_PER_SEC);
}

static void rfc3810_82_old_router_is_spoken_to_in_mldv1(void **state)
{
    struct ip_addr g = ip("ff02::1:ff00:1"), a = ip("2001:db8::1"), all_routers = ip("ff02::2");
    arrive(query("::", 100, true));
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(f.n_sent, 1);
    const struct report *r = report(0, MLD_LISTENER_REPORT);
    assert_non_null(r);
    assert_memory_equal(r->ip.dst_addr, g.b, 16);
    assert_int_equal(rte_be_to_cpu_16(r->ip.payload_len), 32);
    assert_memory_equal((const uint8_t *)r + 56, g.b, 16);
    fake_forget(&f);
    ip_addr_del(f.nif, &a);
    fake_pass(&f, 5 * NS_PER_SEC);
    assert_non_null(report(0, MLD_LISTENER_REDUCTION));
    assert_memory_equal(sent6(0)->dst_addr, all_routers.b, 16);
    fake_forget(&f);
    fake_pass(&f, 300 * NS_PER_SEC); /* it has fallen silent */
    give("2001:db8::5", 64);
    fake_pass(&f, 10 * NS_PER_MS);
    assert_int_equal(reports_of("ff02::1:ff00:5", TO_EXCLUDE), 1);
}

static void v1enable_0_speaks_mldv2_only(void **state)
{
    sysctl_put("net.inet6.mld.v1enable", "0");
    arrive(query("::", 100, true));
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(reports_of("ff02::1:ff00:1", IS_EXCLUDE), 1);
}

static void rfc3810_5114_bad_queries_are_dropped(void **state)
{
    uint64_t n = 0;
    struct rte_mbuf *bad[3] = {query("::", 100, false), query("::", 100, false), query("::", 100, false)};
    ((struct rte_ipv6_hdr *)ip_of(bad[0]))->hop_limits = 2;
    address6(bad[1], "2001:db8::2", "ff02::1");
    sum_icmp6(bad[1]);
    rte_pktmbuf_trim(bad[2], 2); /* neither MLDv1's length nor MLDv2's */
    ((struct rte_ipv6_hdr *)ip_of(bad[2]))->payload_len = rte_cpu_to_be_16(26);
    sum_icmp6(bad[2]);
    for (unsigned i = 0; i < 3; i++) {
        arrive(bad[i]);
        assert_int_equal(sysctl_value("net.inet6.mld.stats.badqueries"), ++n);
    }
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(f.n_sent, 0);
}

static void many_groups_fill_several_reports(void **state)
{
    for (unsigned i = 0; i < 100; i++) {
        char text[32];
        snprintf(text, sizeof(text), "2001:db8::7:%x", 0x100 + i);
        give(text, 64);
    }
    fake_pass(&f, 5 * NS_PER_SEC);
    fake_forget(&f);
    arrive(query("::", 0, false));
    fake_pass(&f, 10 * NS_PER_MS);
    unsigned records = 0;
    for (unsigned i = 0; i < f.n_sent; i++) {
        assert_non_null(report(i, 143));
        records += rte_be_to_cpu_16(report(i, 143)->n);
        assert_true(f.sent[i]->pkt_len <= 1294);
    }
    assert_int_equal(records, 101);
    assert_int_equal(f.n_sent, 3);
}

static void failed_join_fails_the_address(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    for (int n = 1;; n++) {
        struct ip_addr a = ip("2001:db8:77::5");
        fault_run = 1;
        fault_countdown = n;
        int rc = ip_addr_add(f.nif, &a, 64);
        bool over = fault_countdown > 0;
        fault_countdown = -1;
        if (rc == 0 && over)
            break;
        assert_int_equal(rc, -ENOMEM);
        struct ip_path path;
        struct ip_addr near = ip("2001:db8:77::6");
        assert_int_equal(ip_path_find(f.e, &a, &near, 0, &path), -ENETUNREACH); /* nothing left behind */
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(rfc3810_61_join_is_told_twice),
        HOST_TEST(rfc3590_report_comes_from_link_local_or_nobody),
        HOST_TEST(group_is_told_before_the_address_is_checked),
        HOST_TEST(rfc3810_61_leave_is_told_when_the_last_address_goes),
        HOST_TEST(rfc3810_62_general_query_is_answered_within_its_time),
        HOST_TEST(rfc3810_62_query_of_one_group),
        HOST_TEST(rfc3810_513_delays_beyond_32_seconds_are_floating),
        HOST_TEST(rfc3810_82_old_router_is_spoken_to_in_mldv1),
        HOST_TEST(v1enable_0_speaks_mldv2_only),
        HOST_TEST(rfc3810_5114_bad_queries_are_dropped),
        HOST_TEST(many_groups_fill_several_reports),
        HOST_TEST(failed_join_fails_the_address),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
