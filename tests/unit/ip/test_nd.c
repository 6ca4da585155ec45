// SPDX-License-Identifier: BSD-3-Clause
// Neighbour discovery: RFC 4861 §7, duplicate address detection: RFC 4862 §5.4, RFC 5227.
#include "host.h"

struct nd {
    struct rte_ipv6_hdr ip;
    uint8_t type, code;
    uint16_t cksum;
    uint32_t flags;
    uint8_t target[16];
    uint8_t option[8];
} __rte_packed;

static struct nd *nd_of(struct rte_mbuf *m)
{
    return ip_of(m);
}

/* A solicitation or advertisement of target with a link-layer address option (mac NULL: without). */
static struct rte_mbuf *nd(uint8_t type, uint32_t flags, const char *src, const char *dst, const char *target,
                           const struct rte_ether_addr *mac)
{
    struct rte_mbuf *m = packet6(IPPROTO_ICMPV6, mac ? 32 : 24);
    struct nd *n = nd_of(m);
    struct ip_addr t = ip(target);
    address6(m, src, dst);
    n->ip.hop_limits = 255;
    n->type = type;
    n->code = 0;
    n->flags = flags;
    memcpy(n->target, t.b, 16);
    if (mac) {
        n->option[0] = type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
        n->option[1] = 1;
        memcpy(n->option + 2, mac->addr_bytes, 6);
    }
    sum_icmp6(m);
    return m;
}

/* Sent frame i as ND message of that type; NULL: it is none. */
static const struct nd *sent_nd(unsigned i, uint8_t type)
{
    const struct rte_ipv6_hdr *h = sent6(i);
    if (!h || h->proto != IPPROTO_ICMPV6)
        return NULL;
    sent_icmp6(i);
    return ((const struct nd *)h)->type == type ? (const struct nd *)h : NULL;
}

static unsigned count_sent(uint8_t type)
{
    unsigned n = 0;
    for (unsigned i = 0; i < f.n_sent; i++)
        n += sent_nd(i, type) != NULL;
    return n;
}

static void is_addr(const uint8_t *bytes, const char *text)
{
    struct ip_addr a = ip(text);
    assert_memory_equal(bytes, a.b, 16);
}

static void send_to(const char *text)
{
    struct ip_addr src = ip("2001:db8::1"), dst = ip(text);
    struct ip_path path;
    struct ip_send how = {.src = &src, .dst = &dst, .proto = PROTO_TEST, .path = &path};
    assert_int_equal(ip_path_find(f.e, &src, &dst, 0, &path), 0);
    assert_int_equal(ip_output(f.e, fake_zeros(20), &how), 0);
    link_transmit(f.e, NULL);
}

static void rfc4861_722_resolution(void **state)
{
    send_to("2001:db8::aa:bbcc");
    const struct nd *ns = sent_nd(0, ND_NEIGHBOR_SOLICIT);
    assert_int_equal(f.n_sent, 1);
    assert_non_null(ns);
    is_addr(ns->ip.src_addr, "2001:db8::1");
    is_addr(ns->ip.dst_addr, "ff02::1:ffaa:bbcc");
    is_addr(ns->target, "2001:db8::aa:bbcc");
    assert_int_equal(ns->ip.hop_limits, 255);
    assert_int_equal(ns->option[0], ND_OPT_SOURCE_LINKADDR);
    assert_memory_equal(ns->option + 2, fake_mac.addr_bytes, 6);
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[0], struct rte_ether_hdr *)->dst_addr.addr_bytes,
                        "\x33\x33\xff\xaa\xbb\xcc", 6);
    arrive(nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE, "2001:db8::aa:bbcc",
              "2001:db8::1", "2001:db8::aa:bbcc", &other_mac));
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(sent6(1)->proto, PROTO_TEST);
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[1], struct rte_ether_hdr *)->dst_addr.addr_bytes, &other_mac,
                        6);
}

static void rfc4861_724_solicitation_is_answered(void **state)
{
    arrive(nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "ff02::1:ff00:1", "2001:db8::1", &other_mac));
    const struct nd *na = sent_nd(0, ND_NEIGHBOR_ADVERT);
    assert_non_null(na);
    is_addr(na->ip.dst_addr, "2001:db8::77");
    is_addr(na->target, "2001:db8::1");
    assert_int_equal(na->flags, ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE);
    assert_memory_equal(na->option + 2, fake_mac.addr_bytes, 6);
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[0], struct rte_ether_hdr *)->dst_addr.addr_bytes, &other_mac,
                        6);
    struct ip_addr who = ip("2001:db8::77");
    assert_non_null(neigh_find(f.nif, &who)); /* learned from the question */
}

static void solicitation_of_others_is_not_answered(void **state)
{
    arrive(nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "ff02::1:ff00:1", "2001:db8:1::1", &other_mac));
    assert_int_equal(f.n_sent, 0);
}

static void rfc4861_711_bad_solicitations_are_dropped(void **state)
{
    static const char bad[] = "net.inet6.icmp6.stats.nd_badns";
    struct rte_mbuf *m = nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "2001:db8::1", "2001:db8::1", &other_mac);
    nd_of(m)->ip.hop_limits = 254; /* came through a router */
    dropped(m, bad);
    m = nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "2001:db8::1", "2001:db8::1", &other_mac);
    nd_of(m)->code = 1;
    sum_icmp6(m);
    dropped(m, bad);
    dropped(nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "2001:db8::1", "ff02::1", &other_mac), bad);
    m = nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "2001:db8::1", "2001:db8::1", &other_mac);
    nd_of(m)->option[1] = 0; /* an option of no length */
    sum_icmp6(m);
    dropped(m, bad);
    m = nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "2001:db8::1", "2001:db8::1", &other_mac);
    nd_of(m)->option[1] = 2; /* longer than the message */
    sum_icmp6(m);
    dropped(m, bad);
    dropped(nd(ND_NEIGHBOR_SOLICIT, 0, "::", "2001:db8::1", "2001:db8::1", NULL), bad);
    dropped(nd(ND_NEIGHBOR_SOLICIT, 0, "::", "ff02::1:ff00:1", "2001:db8::1", &other_mac), bad);
    m = packet6(IPPROTO_ICMPV6, 20);
    nd_of(m)->ip.hop_limits = 255;
    nd_of(m)->type = ND_NEIGHBOR_SOLICIT;
    nd_of(m)->code = 0;
    sum_icmp6(m);
    dropped(m, bad);
    assert_int_equal(f.n_sent, 0);
}

static void rfc4861_712_bad_advertisements_are_dropped(void **state)
{
    static const char bad[] = "net.inet6.icmp6.stats.nd_badna";
    struct rte_mbuf *m = nd(ND_NEIGHBOR_ADVERT, 0, "2001:db8::77", "2001:db8::1", "2001:db8::77", &other_mac);
    nd_of(m)->ip.hop_limits = 254;
    dropped(m, bad);
    dropped(nd(ND_NEIGHBOR_ADVERT, 0, "2001:db8::77", "2001:db8::1", "ff02::1", &other_mac), bad);
    dropped(
        nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_SOLICITED, "2001:db8::77", "ff02::1", "2001:db8::77", &other_mac),
        bad);
}

static void rfc4861_725_advertisement_changes_what_is_known(void **state)
{
    struct ip_addr a = ip("2001:db8::77");
    arrive(nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_OVERRIDE, "2001:db8::77", "2001:db8::1", "2001:db8::77",
              &peer_mac));
    assert_null(neigh_find(f.nif, &a)); /* makes no entry */
    send_to("2001:db8::77");
    struct neigh *n = neigh_find(f.nif, &a);
    arrive(nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_SOLICITED, "2001:db8::77", "2001:db8::1", "2001:db8::77",
              &peer_mac));
    assert_int_equal(n->state, NEIGH_REACHABLE);
    arrive(
        nd(ND_NEIGHBOR_ADVERT, 0, "2001:db8::77", "ff02::1", "2001:db8::77", &other_mac)); /* no override */
    assert_memory_equal(&n->mac, &peer_mac, 6);
    assert_int_equal(n->state, NEIGH_STALE);
    arrive(
        nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_OVERRIDE, "2001:db8::77", "ff02::1", "2001:db8::77", &other_mac));
    assert_memory_equal(&n->mac, &other_mac, 6);
    arrive(nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_SOLICITED, "2001:db8::77", "2001:db8::1", "2001:db8::77", NULL));
    assert_int_equal(n->state, NEIGH_REACHABLE); /* without the option it says the neighbour is there */
    assert_memory_equal(&n->mac, &other_mac, 6);
}

/* ---- duplicate addresses ---- */

static struct ifaddr *check(const char *text, uint8_t plen)
{
    struct ip_addr a = ip(text);
    assert_int_equal(ip_addr_add(f.nif, &a, plen), 0);
    struct ifaddr *ia = ip_addr_any_state(f.e, &a);
    assert_int_equal(ia->state, IFADDR_TENTATIVE);
    fake_pass(&f, 10 * NS_PER_MS);
    return ia;
}

static void rfc4862_542_unique_address_is_probed_then_used_and_announced(void **state)
{
    struct ifaddr *ia = check("2001:db8::5", 64);
    assert_int_equal(count_sent(ND_NEIGHBOR_SOLICIT), 1);
    for (unsigned i = 0; i < f.n_sent; i++) {
        const struct nd *ns = sent_nd(i, ND_NEIGHBOR_SOLICIT);
        if (!ns)
            continue;
        is_addr(ns->ip.src_addr, "::");
        is_addr(ns->ip.dst_addr, "ff02::1:ff00:5");
        is_addr(ns->target, "2001:db8::5");
        assert_int_equal(rte_be_to_cpu_16(ns->ip.payload_len), 24 + 8); /* no address option, but a nonce */
        assert_int_equal(ns->option[0], 14);
        assert_int_equal(ns->option[1], 1);
    }
    assert_null(ip_addr_find(f.e, &ia->addr));
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_PREFERRED);
    assert_non_null(ip_addr_find(f.e, &ia->addr));
    assert_int_equal(count_sent(ND_NEIGHBOR_ADVERT), 1); /* RFC 4861 §7.2.6 */
}

static void rfc4862_544_answer_means_duplicate(void **state)
{
    struct ifaddr *ia = check("2001:db8::5", 64);
    arrive(nd(ND_NEIGHBOR_ADVERT, ND_NA_FLAG_OVERRIDE, "2001:db8::5", "ff02::1", "2001:db8::5", &other_mac));
    assert_int_equal(ia->state, IFADDR_DUPLICATED);
    assert_int_equal(sysctl_value("net.inet.ip.stats.dad_duplicates"), 1);
    fake_pass(&f, 10 * NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_DUPLICATED);
    assert_null(ip_addr_find(f.e, &ia->addr));
}

static void rfc4862_543_same_question_of_another_means_duplicate(void **state)
{
    struct ifaddr *ia = check("2001:db8::5", 64);
    arrive(nd(ND_NEIGHBOR_SOLICIT, 0, "2001:db8::77", "ff02::1:ff00:5", "2001:db8::5", &other_mac));
    assert_int_equal(ia->state,
                     IFADDR_TENTATIVE); /* somebody looks for it: neither answered nor a duplicate */
    assert_int_equal(count_sent(ND_NEIGHBOR_ADVERT), 0);
    arrive(nd(ND_NEIGHBOR_SOLICIT, 0, "::", "ff02::1:ff00:5", "2001:db8::5", NULL));
    assert_int_equal(ia->state, IFADDR_DUPLICATED);
}

/* What the address asks, as the link gives it back. */
static void own_probe_comes_back(bool changed)
{
    const struct nd *ns = NULL;
    for (unsigned i = 0; i < f.n_sent && !ns; i++)
        ns = sent_nd(i, ND_NEIGHBOR_SOLICIT);
    assert_non_null(ns);
    struct rte_mbuf *m = nd(ND_NEIGHBOR_SOLICIT, 0, "::", "ff02::1:ff00:5", "2001:db8::5", &other_mac);
    memcpy(nd_of(m)->option, ns->option, 8);
    if (changed)
        nd_of(m)->option[7] ^= 1;
    sum_icmp6(m);
    arrive(m);
}

static void rfc7527_42_own_probe_that_comes_back_is_no_duplicate(void **state)
{
    struct ifaddr *ia = check("2001:db8::5", 64);
    own_probe_comes_back(false);
    assert_int_equal(ia->state, IFADDR_TENTATIVE);
    assert_int_equal(sysctl_value("net.inet.ip.stats.dad_looped"), 1);
    fake_pass(&f, NS_PER_SEC); /* a second probe instead of the end */
    assert_int_equal(ia->state, IFADDR_TENTATIVE);
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_PREFERRED);
}

static void rfc7527_41_the_probe_of_another_has_another_nonce(void **state)
{
    struct ifaddr *ia = check("2001:db8::5", 64);
    own_probe_comes_back(true);
    assert_int_equal(ia->state, IFADDR_DUPLICATED);
}

static void sysctl_dad_enhanced_off_sends_no_nonce(void **state)
{
    sysctl_put("net.inet6.ip6.dad_enhanced", "0");
    check("2001:db8::5", 64);
    for (unsigned i = 0; i < f.n_sent; i++)
        if (sent_nd(i, ND_NEIGHBOR_SOLICIT))
            assert_int_equal(rte_be_to_cpu_16(sent_nd(i, ND_NEIGHBOR_SOLICIT)->ip.payload_len), 24);
}

static void rfc4862_54_others_check_of_our_address_is_answered_to_all(void **state)
{
    arrive(nd(ND_NEIGHBOR_SOLICIT, 0, "::", "ff02::1:ff00:1", "2001:db8::1", NULL));
    const struct nd *na = sent_nd(0, ND_NEIGHBOR_ADVERT);
    assert_non_null(na);
    is_addr(na->ip.dst_addr, "ff02::1");
    assert_int_equal(na->flags, ND_NA_FLAG_OVERRIDE);
}

static void number_of_probes_is_a_sysctl(void **state)
{
    sysctl_put("net.inet6.ip6.dad_count", "3");
    struct ifaddr *ia = check("2001:db8::5", 64);
    fake_pass(&f, 2500 * NS_PER_MS);
    assert_int_equal(ia->state, IFADDR_TENTATIVE);
    assert_int_equal(count_sent(ND_NEIGHBOR_SOLICIT), 3);
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_PREFERRED);
}

static void rfc5227_211_arp_probe_then_announcement(void **state)
{
    struct ifaddr *ia = check("10.0.0.5", 24);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(fake_arp(&f, 0)->arp_data.arp_sip, 0);
    assert_int_equal(fake_arp(&f, 0)->arp_data.arp_tip, v4(5).w[3]);
    fake_pass(&f, NS_PER_SEC);
    assert_int_equal(ia->state, IFADDR_PREFERRED);
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(fake_arp(&f, 1)->arp_data.arp_sip, v4(5).w[3]);
}

static void rfc5227_211_arp_reply_means_duplicate(void **state)
{
    struct ifaddr *ia = check("10.0.0.5", 24);
    arp_arrives(&f, RTE_ARP_OP_REPLY, &other_mac, v4(5), v4(0));
    assert_int_equal(ia->state, IFADDR_DUPLICATED);
    assert_null(ip_addr_find(f.e, &ia->addr));
    assert_int_equal(ip_addr_del(f.nif, &ia->addr), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(rfc4861_722_resolution),
        HOST_TEST(rfc4861_724_solicitation_is_answered),
        HOST_TEST(solicitation_of_others_is_not_answered),
        HOST_TEST(rfc4861_711_bad_solicitations_are_dropped),
        HOST_TEST(rfc4861_712_bad_advertisements_are_dropped),
        HOST_TEST(rfc4861_725_advertisement_changes_what_is_known),
        HOST_TEST(rfc4862_542_unique_address_is_probed_then_used_and_announced),
        HOST_TEST(rfc4862_544_answer_means_duplicate),
        HOST_TEST(rfc4862_543_same_question_of_another_means_duplicate),
        HOST_TEST(rfc7527_42_own_probe_that_comes_back_is_no_duplicate),
        HOST_TEST(rfc7527_41_the_probe_of_another_has_another_nonce),
        HOST_TEST(sysctl_dad_enhanced_off_sends_no_nonce),
        HOST_TEST(rfc4862_54_others_check_of_our_address_is_answered_to_all),
        HOST_TEST(number_of_probes_is_a_sysctl),
        HOST_TEST(rfc5227_211_arp_probe_then_announcement),
        HOST_TEST(rfc5227_211_arp_reply_means_duplicate),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
