// SPDX-License-Identifier: BSD-3-Clause
// ARP and the neighbour table: RFC 826, RFC 1122 §2.3.2, RFC 4861 §7.3, RFC 5227.
#include "fake.h"

static struct fake f;

static int begin(void **state)
{
    memset(&f, 0, sizeof(f));
    fake_host(&f, 0, 1);
    return 0;
}

static int end(void **state)
{
    fake_end(&f);
    assert_int_equal(fake_pool_used(), 0);
    return 0;
}

static struct neigh *ask(uint8_t d)
{
    struct ip_addr a = v4(d);
    struct neigh *n = neigh_get(f.nif, &a);

    assert_non_null(n);
    neigh_output(n, fake_packet(40));
    link_transmit(f.e, NULL);
    return n;
}

static struct neigh *known(uint8_t d)
{
    struct neigh *n = ask(d);

    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, v4(d), f.ours);
    assert_int_equal(n->state, NEIGH_REACHABLE);
    fake_forget(&f);
    return n;
}

static void rfc826_request_reply_and_send(void **state)
{
    struct neigh *n = ask(2);
    const struct rte_arp_hdr *arp = fake_arp(&f, 0);

    assert_int_equal(f.n_sent, 1);
    assert_non_null(arp);
    assert_int_equal(arp->arp_opcode, RTE_BE16(RTE_ARP_OP_REQUEST));
    assert_int_equal(arp->arp_data.arp_sip, f.ours.w[3]);
    assert_int_equal(arp->arp_data.arp_tip, v4(2).w[3]);
    assert_true(rte_is_broadcast_ether_addr(&rte_pktmbuf_mtod(f.sent[0], struct rte_ether_hdr *)->dst_addr));
    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, v4(2), f.ours);
    assert_int_equal(n->state, NEIGH_REACHABLE);
    assert_int_equal(f.n_sent, 2);
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[1], struct rte_ether_hdr *)->dst_addr.addr_bytes, &peer_mac,
                        6);
    assert_int_equal(rte_pktmbuf_pkt_len(f.sent[1]), 54);
}

static void rfc1122_2322_newest_packets_wait(void **state)
{
    struct ip_addr a = v4(2);
    struct neigh *n = neigh_get(f.nif, &a);

    for (unsigned i = 0; i < 6; i++)
        neigh_output(n, fake_packet(40 + i));
    assert_int_equal(n->n_queued, 4);
    assert_int_equal(f.e->link->priv->neigh.drop_hold, 2);
    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, v4(2), f.ours);
    assert_int_equal(f.n_sent, 5); /* the request and four packets, oldest first */
    assert_int_equal(rte_pktmbuf_pkt_len(f.sent[1]), 42 + 14);
    assert_int_equal(rte_pktmbuf_pkt_len(f.sent[4]), 45 + 14);
}

static void rfc1122_2321_one_request_a_second_then_unreachable(void **state)
{
    struct ip_addr a = v4(2);
    uint32_t gen = f.e->link->neigh_gen;

    ask(2);
    for (int i = 0; i < 50; i++) /* a flood of packets does not ask more often */
        neigh_output(neigh_find(f.nif, &a), fake_packet(40));
    fake_pass(&f, 4500 * NS_PER_MS);
    assert_int_equal(f.e->link->priv->arp.txrequests, 5);
    assert_int_equal(f.n_unreachable, 0);
    fake_pass(&f, 1000 * NS_PER_MS);
    assert_int_equal(f.e->link->priv->arp.txrequests, 5);
    assert_int_equal(f.n_unreachable, 4);
    assert_null(neigh_find(f.nif, &a));
    assert_int_not_equal(f.e->link->neigh_gen, gen);
}

static void rfc4861_reachable_stale_delay_probe(void **state)
{
    struct neigh *n = known(2);

    fake_pass(&f, 46 * NS_PER_SEC); /* at most 1.5 REACHABLE_TIME */
    assert_int_equal(n->state, NEIGH_STALE);
    neigh_output(n, fake_packet(40));
    assert_int_equal(n->state, NEIGH_DELAY);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 1); /* the packet went at once */
    fake_pass(&f, 5100 * NS_PER_MS);
    assert_int_equal(n->state, NEIGH_PROBE);
    assert_int_equal(f.n_sent, 2);
    assert_non_null(fake_arp(&f, 1)); /* RFC 1122 §2.3.2.1: unicast poll */
    assert_memory_equal(rte_pktmbuf_mtod(f.sent[1], struct rte_ether_hdr *)->dst_addr.addr_bytes, &peer_mac,
                        6);
    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, v4(2), f.ours);
    assert_int_equal(n->state, NEIGH_REACHABLE);
}

static void rfc4861_probe_without_answer_forgets(void **state)
{
    struct neigh *n = known(2);
    struct ip_addr a = v4(2);

    fake_pass(&f, 46 * NS_PER_SEC);
    neigh_output(n, fake_packet(40));
    fake_pass(&f, 8500 * NS_PER_MS); /* 5 s, then 3 questions */
    assert_null(neigh_find(f.nif, &a));
}

static void rfc4861_731_upper_layer_confirms(void **state)
{
    struct neigh *n = known(2);

    for (int i = 0; i < 20; i++) {
        fake_pass(&f, 10 * NS_PER_SEC);
        neigh_confirm(n);
    }
    assert_int_equal(n->state, NEIGH_REACHABLE);
    assert_int_equal(f.n_sent, 0);
}

static void unused_entry_expires(void **state)
{
    struct ip_addr a = v4(2);

    known(2);
    fake_pass(&f, 1300 * NS_PER_SEC);
    assert_null(neigh_find(f.nif, &a));
    assert_int_equal(f.e->link->priv->neigh.entries, 0);
}

static void rfc826_request_for_us_is_answered_and_learned(void **state)
{
    struct ip_addr a = v4(7);
    const struct rte_arp_hdr *arp;

    arp_arrives(&f, RTE_ARP_OP_REQUEST, &peer_mac, v4(7), f.ours);
    arp = fake_arp(&f, 0);
    assert_non_null(arp);
    assert_int_equal(arp->arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
    assert_int_equal(arp->arp_data.arp_sip, f.ours.w[3]);
    assert_memory_equal(arp->arp_data.arp_sha.addr_bytes, &fake_mac, 6);
    assert_int_equal(neigh_find(f.nif, &a)->state, NEIGH_STALE);
}

static void request_for_others_teaches_nothing_new(void **state)
{
    struct ip_addr a = v4(7);

    arp_arrives(&f, RTE_ARP_OP_REQUEST, &peer_mac, v4(7), v4(8));
    assert_null(neigh_find(f.nif, &a));
    assert_int_equal(f.n_sent, 0);
}

static void gratuitous_changes_known_entries_only(void **state)
{
    struct ip_addr a = v4(3);
    struct neigh *n = known(2);

    arp_arrives(&f, RTE_ARP_OP_REQUEST, &other_mac, v4(3), v4(3));
    assert_null(neigh_find(f.nif, &a));
    arp_arrives(&f, RTE_ARP_OP_REQUEST, &other_mac, v4(2), v4(2));
    assert_memory_equal(&n->mac, &other_mac, 6);
    assert_int_equal(n->state, NEIGH_STALE);
}

static void rfc5227_probe_is_answered_not_learned(void **state)
{
    struct ip_addr none = ip_addr_v4(0);

    arp_arrives(&f, RTE_ARP_OP_REQUEST, &peer_mac, none, f.ours);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(f.e->link->priv->neigh.entries, 0);
}

static void rfc5227_211_conflict_while_probing(void **state)
{
    arp_probe(f.nif, f.tentative.w[3]);
    link_transmit(f.e, NULL);
    assert_int_equal(fake_arp(&f, 0)->arp_data.arp_sip, 0);
    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, f.tentative, f.ours);
    assert_int_equal(f.n_duplicate, 1);
    arp_arrives(&f, RTE_ARP_OP_REQUEST, &peer_mac, ip_addr_v4(0), f.tentative); /* probes it too */
    assert_int_equal(f.n_duplicate, 2);
}

static void rfc5227_24_address_in_use_is_defended_once_in_ten_seconds(void **state)
{
    for (int i = 0; i < 5; i++)
        arp_arrives(&f, RTE_ARP_OP_REQUEST, &other_mac, f.ours, f.ours);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(fake_arp(&f, 0)->arp_data.arp_sip, f.ours.w[3]);
    assert_int_equal(f.n_duplicate, 0);
    assert_int_equal(f.e->link->priv->arp.dupips, 5);
    fake_pass(&f, 11 * NS_PER_SEC);
    arp_arrives(&f, RTE_ARP_OP_REQUEST, &other_mac, f.ours, f.ours);
    assert_int_equal(f.n_sent, 2);
}

static void own_and_malformed_arp_is_dropped(void **state)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_ARP, 12);

    arp_arrives(&f, RTE_ARP_OP_REQUEST, &fake_mac, v4(2), f.ours);
    assert_int_equal(f.e->link->priv->arp.drop_own, 1);
    fake_arrive(&f, m);
    arp_arrives(&f, 77, &peer_mac, v4(2), f.ours);
    arp_arrives(&f, RTE_ARP_OP_REQUEST, &(struct rte_ether_addr){{1, 0, 0, 0, 0, 1}}, v4(2), f.ours);
    assert_int_equal(f.e->link->priv->arp.drop_malformed, 3);
    assert_int_equal(f.n_sent, 0);
}

/* Strangers who ask us fill only what strangers filled; neighbours in use stay. */
static void flood_of_requests_is_limited(void **state)
{
    struct ip_addr a = v4(2);
    uint32_t gen;

    f.e->link->priv->params.max_entries = 16;
    known(2);
    gen = f.e->link->neigh_gen;
    for (unsigned i = 0; i < 1000; i++) {
        struct ip_addr from = ip_addr_v4(rte_cpu_to_be_32(RTE_IPV4(10, 1, i >> 8, i & 0xff)));

        arp_arrives(&f, RTE_ARP_OP_REQUEST, &peer_mac, from, f.ours);
    }
    assert_int_equal(f.e->link->priv->neigh.entries, 16);
    assert_int_equal(f.e->link->priv->neigh.evicted, 1000 - 15);
    assert_non_null(neigh_find(f.nif, &a));
    assert_int_equal(f.e->link->neigh_gen, gen); /* no cached path had to be looked up again */
}

static void flood_of_questions_replaces_the_oldest_question(void **state)
{
    struct ip_addr a = v4(2), first = v4(10), last = v4(200);

    f.e->link->priv->params.max_entries = 16;
    known(2);
    for (unsigned i = 10; i <= 200; i++)
        ask(i);
    assert_int_equal(f.e->link->priv->neigh.entries, 16);
    assert_non_null(neigh_find(f.nif, &a));
    assert_null(neigh_find(f.nif, &first));
    assert_non_null(neigh_find(f.nif, &last));
}

static void full_of_neighbours_in_use_refuses(void **state)
{
    struct ip_addr a = v4(100);

    f.e->link->priv->params.max_entries = 16;
    for (unsigned i = 20; i < 36; i++)
        known(i);
    assert_null(neigh_get(f.nif, &a));
    assert_int_equal(f.e->link->priv->neigh.table_full, 1);
}

static void rfc4861_725_advertisement_without_override(void **state)
{
    struct neigh *n = known(2);
    struct ip_addr a = v4(2);

    neigh_update(f.nif, &a, &other_mac, true, false, false);
    assert_int_equal(n->state, NEIGH_STALE);
    assert_memory_equal(&n->mac, &peer_mac, 6);
    neigh_update(f.nif, &a, &other_mac, true, true, true);
    assert_int_equal(n->state, NEIGH_REACHABLE);
    assert_memory_equal(&n->mac, &other_mac, 6);
    assert_true(n->router);
}

static void ip6_neighbours_are_asked_through_nd(void **state)
{
    struct ip_addr a;
    struct neigh *n;
    struct rte_mbuf *m = rte_pktmbuf_alloc(fake_pool);

    ip_addr_parse("fe80::2", &a);
    n = neigh_get(f.nif, &a);
    *rte_pktmbuf_append(m, 40) = 0x60;
    neigh_output(n, m);
    assert_int_equal(f.n_nd, 1);
    neigh_update(f.nif, &a, &peer_mac, true, true, false);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(rte_pktmbuf_mtod(f.sent[0], struct rte_ether_hdr *)->ether_type,
                     RTE_BE16(RTE_ETHER_TYPE_IPV6));
}

static void rfc1112_groups_need_no_question(void **state)
{
    struct ip_addr a = ip_addr_v4(RTE_BE32(0xe0810203));
    struct neigh *n = neigh_get(f.nif, &a);

    assert_memory_equal(&n->mac, "\x01\x00\x5e\x01\x02\x03", 6);
    neigh_output(n, fake_packet(40));
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 1);
}

static void static_entry_stays(void **state)
{
    struct ip_addr a = v4(2);

    ask(2);
    assert_int_equal(neigh_set_static(f.nif, &a, &other_mac), 0);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 2); /* what waited went */
    arp_arrives(&f, RTE_ARP_OP_REPLY, &peer_mac, a, f.ours);
    fake_pass(&f, 3000 * NS_PER_SEC);
    assert_memory_equal(&neigh_find(f.nif, &a)->mac, &other_mac, 6);
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
    const struct CMUnitTest tests[] = {
        T(rfc826_request_reply_and_send),
        T(rfc1122_2322_newest_packets_wait),
        T(rfc1122_2321_one_request_a_second_then_unreachable),
        T(rfc4861_reachable_stale_delay_probe),
        T(rfc4861_probe_without_answer_forgets),
        T(rfc4861_731_upper_layer_confirms),
        T(unused_entry_expires),
        T(rfc826_request_for_us_is_answered_and_learned),
        T(request_for_others_teaches_nothing_new),
        T(gratuitous_changes_known_entries_only),
        T(rfc5227_probe_is_answered_not_learned),
        T(rfc5227_211_conflict_while_probing),
        T(rfc5227_24_address_in_use_is_defended_once_in_ten_seconds),
        T(own_and_malformed_arp_is_dropped),
        T(flood_of_requests_is_limited),
        T(flood_of_questions_replaces_the_oldest_question),
        T(full_of_neighbours_in_use_refuses),
        T(rfc4861_725_advertisement_without_override),
        T(ip6_neighbours_are_asked_through_nd),
        T(rfc1112_groups_need_no_question),
        T(static_entry_stays),
    };

    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
