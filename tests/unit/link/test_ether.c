// SPDX-License-Identifier: BSD-3-Clause
// Frames in: what is for us, of a type we know, and whole. Frames out: the queue of a turn, and lo0.
#include "fake.h"
#include "sysctl/sysctl.h"

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

static void families_go_up_in_bursts(void **state)
{
    struct rte_mbuf *pkts[100];

    for (int i = 0; i < 100; i++)
        pkts[i] = fake_frame(&fake_mac, i % 3 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6, 46);
    ether_input(f.nif, pkts, 100);
    assert_int_equal(f.n_ip4, 66);
    assert_int_equal(f.n_ip6, 34);
    assert_int_equal(rte_pktmbuf_pkt_len(f.got[0]), 46);
    assert_ptr_equal(pkt_info(f.got[0])->netif, f.nif);
    assert_int_equal(pkt_info(f.got[0])->flags, 0);
    assert_int_equal(f.nif->stats.ipackets, 100);
    assert_int_equal(f.nif->stats.ibytes, 6000);
}

static void each_drop_has_one_counter(void **state)
{
    struct rte_mbuf *runt = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, 0);
    struct rte_mbuf *stripped = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, 46);
    const struct netif_stats *s = &f.nif->stats;

    rte_pktmbuf_trim(runt, 1);
    stripped->ol_flags |= RTE_MBUF_F_RX_VLAN_STRIPPED;
    fake_arrive(&f, runt);
    fake_arrive(&f, stripped);
    fake_arrive(&f, fake_frame(&fake_mac, RTE_ETHER_TYPE_VLAN, 46));
    fake_arrive(&f, fake_frame(&fake_mac, 0x88cc, 46));
    fake_arrive(&f, fake_frame(&fake_mac, 46, 46)); /* IEEE 802.3 length */
    fake_arrive(&f, fake_frame(&peer_mac, RTE_ETHER_TYPE_IPV4, 46));
    assert_int_equal(s->drop_rx_short, 1);
    assert_int_equal(s->drop_rx_vlan, 2);
    assert_int_equal(s->drop_rx_type, 2);
    assert_int_equal(s->drop_rx_not_ours, 1);
    assert_int_equal(f.n_got, 0);
}

static void groups_are_filtered_until_joined(void **state)
{
    struct rte_ether_addr group = {{0x33, 0x33, 0, 0, 0, 1}};

    fake_arrive(&f, fake_frame(&group, RTE_ETHER_TYPE_IPV6, 46));
    assert_int_equal(f.nif->stats.drop_rx_not_ours, 1);
    assert_int_equal(netif_join(f.nif, &group), 0);
    assert_int_equal(netif_join(f.nif, &group), 0);
    fake_arrive(&f, fake_frame(&group, RTE_ETHER_TYPE_IPV6, 46));
    assert_int_equal(f.n_ip6, 1);
    assert_int_equal(pkt_info(f.got[0])->flags, PKT_MULTICAST);
    netif_leave(f.nif, &group);
    fake_arrive(&f, fake_frame(&group, RTE_ETHER_TYPE_IPV6, 46));
    assert_int_equal(f.n_ip6, 2);
    netif_leave(f.nif, &group);
    fake_arrive(&f, fake_frame(&group, RTE_ETHER_TYPE_IPV6, 46));
    assert_int_equal(f.n_ip6, 2);
    assert_int_equal(netif_leave(f.nif, &group), -ENOENT);
}

static void more_groups_than_fit_take_all(void **state)
{
    struct rte_ether_addr group = {{0x33, 0x33, 9, 0, 0, 1}};

    for (int i = 0; i <= NETIF_GROUPS_MAX; i++) {
        group.addr_bytes[5] = i;
        assert_int_equal(netif_join(f.nif, &group), 0);
    }
    group.addr_bytes[2] = 8;
    fake_arrive(&f, fake_frame(&group, RTE_ETHER_TYPE_IPV6, 46));
    assert_int_equal(f.n_ip6, 1);
}

static void output_leaves_with_the_turn(void **state)
{
    ether_output(f.nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    assert_int_equal(f.n_sent, 0);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 1);
    assert_int_equal(f.nif->stats.opackets, 1);
    assert_int_equal(f.nif->stats.obytes, 74);
}

static void unsent_packets_wait_up_to_the_limit(void **state)
{
    f.e->link->priv->params.txq_max = 100;
    f.takes = 0;
    for (int i = 0; i < 130; i++)
        ether_output(f.nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
    assert_int_equal(f.nif->n_tx, 100);
    assert_int_equal(f.nif->stats.drop_tx_full, 30);
    f.takes = 60;
    link_transmit(f.e, NULL);
    assert_int_equal(f.nif->n_tx, 40);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 100);
    assert_int_equal(f.nif->stats.opackets, 100);
}

static void link_down_drops_and_counts(void **state)
{
    f.takes = 0;
    f.down = true;
    ether_output(f.nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
    assert_int_equal(f.nif->n_tx, 0);
    assert_int_equal(f.nif->stats.drop_tx_down, 1);
}

static void interface_down_drops_both_ways(void **state)
{
    f.nif->up = false;
    ether_output(f.nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    assert_int_equal(f.nif->stats.drop_tx_down, 1);
}

static void beyond_the_mtu_is_dropped(void **state)
{
    ether_output(f.nif, fake_packet(1501), &peer_mac, RTE_ETHER_TYPE_IPV4);
    ether_output(f.nif, fake_packet(1500), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
    assert_int_equal(f.nif->stats.drop_tx_toobig, 1);
    assert_int_equal(f.n_sent, 1);
}

static void no_headroom_is_counted(void **state)
{
    struct rte_mbuf *m = fake_packet(60);

    rte_pktmbuf_prepend(m, rte_pktmbuf_headroom(m));
    ether_output(f.nif, m, &peer_mac, RTE_ETHER_TYPE_IPV4);
    assert_int_equal(f.nif->stats.drop_tx_nobuf, 1);
}

static uint16_t refuse_second(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    for (uint16_t i = 0; i < n; i++) {
        if (rte_pktmbuf_pkt_len(pkts[i]) == 66 + 14)
            return i;
    }
    return n;
}

static void refused_by_the_driver_does_not_block_the_rest(void **state)
{
    struct port_ops ops = fake_ops;

    ops.tx_prepare = refuse_second;
    f.port.ops = &ops;
    for (int i = 0; i < 3; i++)
        ether_output(f.nif, fake_packet(i == 1 ? 66 : 60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(f.nif->stats.drop_tx_refused, 1);
}

static void loopback_comes_back_in_the_next_turn(void **state)
{
    struct netif *lo = netif_find(f.e, "lo0");
    struct rte_mbuf *m = fake_packet(60);

    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IPV4;
    ether_output(lo, m, NULL, RTE_ETHER_TYPE_IPV4);
    assert_int_equal(f.n_got, 0);
    assert_true(engine_next(f.e) <= f.e->now); /* time must not jump */
    assert_true(link_receive(f.e, NULL) > 0);
    assert_int_equal(f.n_ip4, 1);
    assert_int_equal(pkt_info(f.got[0])->flags, PKT_CKSUM_OK);
    assert_ptr_equal(pkt_info(f.got[0])->netif, lo);
    assert_int_equal(f.got[0]->ol_flags & RTE_MBUF_F_TX_OFFLOAD_MASK, 0);
}

static void loopback_queue_is_bounded(void **state)
{
    struct netif *lo = netif_find(f.e, "lo0");

    f.e->link->priv->params.txq_max = 10;
    for (int i = 0; i < 12; i++)
        ether_output(lo, fake_packet(60), NULL, RTE_ETHER_TYPE_IPV4);
    assert_int_equal(lo->stats.drop_tx_full, 2);
    link_receive(f.e, NULL);
    assert_int_equal(f.n_ip4, 10);
}

static void names_in_the_tree(void **state)
{
    char buf[64];

    ether_output(f.nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
    assert_int_equal(sysctl_get_text(f.e->sysctl, "net.link.f0.opackets", buf, sizeof(buf)), 0);
    assert_string_equal(buf, "1");
    assert_int_equal(sysctl_get_text(f.e->sysctl, "net.link.f0.mtu", buf, sizeof(buf)), 0);
    assert_string_equal(buf, "1500");
    assert_int_equal(sysctl_get_text(f.e->sysctl, "net.link.lo0.opackets", buf, sizeof(buf)), 0);
    netif_detach(f.nif);
    assert_int_equal(sysctl_get_text(f.e->sysctl, "net.link.f0.mtu", buf, sizeof(buf)), -ENOENT);
}

static void creation_survives_every_failed_allocation(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct fake g = {0};
    struct engine_config c = {.count = 1, .pkt_pool = fake_pool, .socket_id = SOCKET_ID_ANY};
    int rc = -1;

    c.env = (struct engine_env){.clock = fake_clock, .entropy = fake_entropy, .arg = &g};
    g.e = engine_create(&c);
    for (int n = 1; n < 100 && rc; n++) {
        fault_countdown = n;
        fault_run = 1;
        rc = link_create(g.e);
        fault_countdown = -1;
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_true(rc == 0 || g.e->link == NULL);
    }
    assert_int_equal(rc, 0);
    link_destroy(g.e);
    engine_destroy(g.e);
#else
    skip();
#endif
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
    const struct CMUnitTest tests[] = {
        T(families_go_up_in_bursts),
        T(each_drop_has_one_counter),
        T(groups_are_filtered_until_joined),
        T(more_groups_than_fit_take_all),
        T(output_leaves_with_the_turn),
        T(unsent_packets_wait_up_to_the_limit),
        T(link_down_drops_and_counts),
        T(interface_down_drops_both_ways),
        T(beyond_the_mtu_is_dropped),
        T(no_headroom_is_counted),
        T(refused_by_the_driver_does_not_block_the_rest),
        T(loopback_comes_back_in_the_next_turn),
        T(loopback_queue_is_bounded),
        T(names_in_the_tree),
        T(creation_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
