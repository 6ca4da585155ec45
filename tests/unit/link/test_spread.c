// SPDX-License-Identifier: BSD-3-Clause
// One port, several engines: every flow has one owner, and what belongs to no flow is answered once.
#include <rte_ring.h>
#include <rte_thash.h>
#include "fake.h"
#include "link/spread.h"

#define ENGINES 3

static struct fake f[ENGINES];
static struct spread *s;

static void hosts(uint16_t queues)
{
    memset(f, 0, sizeof(f));
    for (unsigned i = 0; i < ENGINES; i++) {
        f[i].port.queues = queues;
        snprintf(f[i].port.name, sizeof(f[i].port.name), "p");
    }
    s = spread_create(&f[0].port, ENGINES, 64, SOCKET_ID_ANY);
    assert_non_null(s);
    for (unsigned i = 0; i < ENGINES; i++) {
        fake_host(&f[i], i, ENGINES);
        netif_set_spread(f[i].nif, s);
    }
}

static int begin(void **state)
{
    hosts(1);
    return 0;
}

static int end(void **state)
{
    for (unsigned i = 0; i < ENGINES; i++)
        fake_end(&f[i]);
    spread_destroy(s);
    assert_int_equal(fake_pool_used(), 0);
    return 0;
}

/* Engine i's receive station, its packets kept apart. */
static void receive(unsigned i)
{
    fake_now = &f[i];
    link_receive(f[i].e, NULL);
}

static void arrive(struct rte_mbuf *m)
{
    fake_now = &f[0];
    fake_arrive(&f[0], m);
}

static struct rte_mbuf *ip4_frame(uint8_t proto, uint8_t from, uint32_t len)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV4, 20 + len);
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);

    ip->version_ihl = 0x45;
    ip->next_proto_id = proto;
    ip->total_length = rte_cpu_to_be_16(20 + len);
    ip->src_addr = v4(from).w[3];
    ip->dst_addr = v4(1).w[3];
    return m;
}

static struct rte_mbuf *tcp4(uint8_t from, uint16_t port)
{
    struct rte_mbuf *m = ip4_frame(IPPROTO_TCP, from, 20);
    struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, 34);

    tcp->src_port = rte_cpu_to_be_16(port);
    tcp->dst_port = RTE_BE16(80);
    return m;
}

static uint32_t owner(uint8_t from, uint16_t port)
{
    struct ip_addr a = v4(from), b = v4(1);

    return link_engine_of_flow(f[0].nif, &a, &b, rte_cpu_to_be_16(port), RTE_BE16(80));
}

static void toeplitz_is_toeplitz_and_symmetric(void **state)
{
    _Alignas(4) uint8_t key[52];
    uint32_t words[9];
    uint8_t tuple[36], back[36];

    toeplitz_symmetric_key(key, sizeof(key));
    for (unsigned round = 0; round < 200; round++) {
        unsigned n = round & 1 ? 36 : 12, a = (n - 4) / 2;

        for (unsigned i = 0; i < n; i++)
            tuple[i] = (round * 131 + i * 89 + (i * round >> 3)) & 0xff;
        for (unsigned i = 0; i < n / 4; i++)
            words[i] = (uint32_t)tuple[4 * i] << 24 | tuple[4 * i + 1] << 16 | tuple[4 * i + 2] << 8 |
                       tuple[4 * i + 3];
        assert_int_equal(toeplitz_symmetric(tuple, n), rte_softrss(words, n / 4, key));
        memcpy(back, tuple + a, a);
        memcpy(back + a, tuple, a);
        memcpy(back + 2 * a, tuple + 2 * a + 2, 2);
        memcpy(back + 2 * a + 2, tuple + 2 * a, 2);
        assert_int_equal(toeplitz_symmetric(tuple, n), toeplitz_symmetric(back, n));
    }
}

static void each_flow_reaches_its_owner(void **state)
{
    unsigned per[ENGINES] = {0};

    for (unsigned port = 1000; port < 1060; port++) {
        arrive(tcp4(2, port));
        per[owner(2, port)]++;
    }
    for (unsigned i = 1; i < ENGINES; i++)
        receive(i);
    for (unsigned i = 0; i < ENGINES; i++) {
        assert_true(per[i] > 5);
        assert_int_equal(f[i].n_ip4, per[i]);
        for (unsigned k = 0; k < f[i].n_got; k++) {
            struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(f[i].got[k], struct rte_tcp_hdr *, 20);

            assert_int_equal(owner(2, rte_be_to_cpu_16(tcp->src_port)), i);
            assert_ptr_equal(pkt_info(f[i].got[k])->netif, f[i].nif);
        }
    }
    assert_int_equal(f[0].nif->stats.spread_out, 60 - per[0]);
}

static void burst_keeps_order_within_a_flow(void **state)
{
    struct rte_mbuf *pkts[60];
    unsigned to = 1;
    uint16_t port = 1000;

    while (owner(2, port) != to)
        port++;
    for (unsigned i = 0; i < 60; i++) {
        pkts[i] = i & 1 ? tcp4(2, port) : tcp4(3, i);
        rte_pktmbuf_mtod_offset(pkts[i], struct rte_tcp_hdr *, 34)->sent_seq = rte_cpu_to_be_32(i);
    }
    fake_now = &f[0];
    ether_input(f[0].nif, pkts, 60);
    receive(to);
    for (unsigned k = 0, last = 0; k < f[to].n_got; k++) {
        struct rte_tcp_hdr *tcp = rte_pktmbuf_mtod_offset(f[to].got[k], struct rte_tcp_hdr *, 20);

        if (tcp->src_port != rte_cpu_to_be_16(port))
            continue;
        assert_true(rte_be_to_cpu_32(tcp->sent_seq) >= last);
        last = rte_be_to_cpu_32(tcp->sent_seq);
    }
}

static void full_ring_drops_and_counts(void **state)
{
    uint16_t port = 1000;

    while (owner(2, port) != 1)
        port++;
    for (unsigned i = 0; i < 70; i++)
        arrive(tcp4(2, port));
    assert_int_equal(f[0].nif->stats.drop_spread_full, 70 - 63); /* a ring holds size - 1 */
    receive(1);
    assert_int_equal(f[1].n_ip4, 63);
    assert_int_equal(f[1].nif->stats.spread_in, 63);
}

static void all_learn_from_arp_one_answers(void **state)
{
    struct ip_addr a = v4(7);

    fake_now = &f[0];
    arp_arrives(&f[0], RTE_ARP_OP_REQUEST, &peer_mac, v4(7), f[0].ours);
    for (unsigned i = 0; i < ENGINES; i++) {
        receive(i);
        link_transmit(f[i].e, NULL);
        assert_non_null(neigh_find(f[i].nif, &a));
    }
    assert_int_equal(f[0].n_sent, 1);
    assert_int_equal(f[1].n_sent + f[2].n_sent, 0);
    assert_int_equal(rte_ring_count(s->tx[0]), 0);
}

static void one_engine_probes_and_announces(void **state)
{
    for (unsigned i = 0; i < ENGINES; i++) {
        fake_now = &f[i];
        assert_int_equal(netif_speaks(f[i].nif), i == 0);
        arp_probe(f[i].nif, v4(1).w[3]);
        arp_announce(f[i].nif, v4(1).w[3]);
    }
    assert_int_equal(f[0].nif->n_tx, 2);
    assert_int_equal(f[1].nif->n_tx + f[2].nif->n_tx, 0);
}

static void neighbour_discovery_is_copied(void **state)
{
    struct rte_mbuf *m = fake_frame(&fake_mac, RTE_ETHER_TYPE_IPV6, 40 + 24);
    struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, 14);

    ip->vtc_flow = RTE_BE32(0x60000000);
    ip->proto = IPPROTO_ICMPV6;
    *(uint8_t *)(ip + 1) = 135;
    arrive(m);
    for (unsigned i = 0; i < ENGINES; i++) {
        receive(i);
        assert_int_equal(f[i].n_ip6, 1);
        assert_int_equal(pkt_info(f[i].got[0])->flags, i ? PKT_COPY : 0);
    }
}

static void echo_request_is_answered_once(void **state)
{
    struct rte_mbuf *m = ip4_frame(IPPROTO_ICMP, 2, 16);

    *rte_pktmbuf_mtod_offset(m, uint8_t *, 34) = 8;
    arrive(m);
    for (unsigned i = 0; i < ENGINES; i++)
        receive(i);
    assert_int_equal(f[0].n_ip4, 1);
    assert_int_equal(f[1].n_ip4 + f[2].n_ip4, 0);
}

static void icmp_error_goes_to_the_quoted_flow(void **state)
{
    for (unsigned to = 0; to < ENGINES; to++) {
        struct rte_mbuf *m = ip4_frame(IPPROTO_ICMP, 99, 8 + 20 + 8);
        struct rte_ipv4_hdr *quoted = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 34 + 8);
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(quoted + 1);
        uint16_t port = 1000;

        while (owner(2, port) != to)
            port++;
        *rte_pktmbuf_mtod_offset(m, uint8_t *, 34) = 3;
        quoted->version_ihl = 0x45;
        quoted->next_proto_id = IPPROTO_TCP;
        quoted->src_addr = v4(1).w[3];
        quoted->dst_addr = v4(2).w[3];
        tcp->src_port = RTE_BE16(80);
        tcp->dst_port = rte_cpu_to_be_16(port);
        arrive(m);
        receive(to);
        assert_int_equal(f[to].n_ip4, 1);
    }
}

static void fragments_meet_and_then_go_to_their_flow(void **state)
{
    unsigned got = 0;
    uint16_t port = 1000;
    struct rte_mbuf *m;

    for (unsigned i = 0; i < 3; i++) {
        m = tcp4(2, 1000 + i); /* what the bytes behind the first fragment are means nothing */
        rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14)->fragment_offset =
            rte_cpu_to_be_16(i * 10 | RTE_IPV4_HDR_MF_FLAG);
        arrive(m);
    }
    for (unsigned i = 0; i < ENGINES; i++) {
        receive(i);
        got += f[i].n_ip4 == 3;
    }
    assert_int_equal(got, 1);

    while (owner(2, port) != 2)
        port++;
    m = tcp4(2, port);
    rte_pktmbuf_adj(m, 14);
    assert_true(link_redirect(f[0].nif, m));
    fake_forget(&f[2]);
    f[2].n_ip4 = 0;
    receive(2);
    assert_int_equal(f[2].n_ip4, 1);
    m = tcp4(2, port);
    rte_pktmbuf_adj(m, 14);
    assert_false(link_redirect(f[2].nif, m));
    rte_pktmbuf_free(m);
}

static unsigned freed_by;
static void ext_free(void *addr, void *arg)
{
    freed_by++;
}

/* External memory must be given back on the engine that lent it: before the other engine sends. */
static void sending_through_another_engine(void **state)
{
    static uint8_t memory[64];
    struct rte_mbuf_ext_shared_info shared = {.free_cb = ext_free, .refcnt = 1};
    struct rte_mbuf *x = rte_pktmbuf_alloc(fake_pool), *m = fake_packet(20);

    rte_pktmbuf_attach_extbuf(x, memory, 0, sizeof(memory), &shared);
    rte_pktmbuf_append(x, 64);
    memset(memory, 0x33, sizeof(memory));
    rte_pktmbuf_chain(m, x);
    ether_output(f[1].nif, m, &peer_mac, RTE_ETHER_TYPE_IPV4);
    ether_output(f[2].nif, fake_packet(60), &peer_mac, RTE_ETHER_TYPE_IPV4);
    link_transmit(f[1].e, NULL);
    assert_int_equal(freed_by, 1);
    link_transmit(f[2].e, NULL);
    assert_int_equal(f[1].n_sent + f[2].n_sent + f[0].n_sent, 0);
    link_transmit(f[0].e, NULL);
    assert_int_equal(f[0].n_sent, 2);
    assert_int_equal(rte_pktmbuf_pkt_len(f[0].sent[0]), 98);
    assert_int_equal(*rte_pktmbuf_mtod_offset(f[0].sent[0], uint8_t *, 97), 0x33);
}

static void rss_answers_with_the_ports_table(void **state)
{
    unsigned per[ENGINES] = {0};

    for (unsigned i = 0; i < ENGINES; i++)
        fake_end(&f[i]);
    spread_destroy(s);
    memset(f, 0, sizeof(f));
    for (unsigned i = 0; i < ENGINES; i++) {
        struct port *p = &f[i].port;

        p->queues = ENGINES;
        p->reta_size = 128;
        for (unsigned k = 0; k < 128; k++)
            p->reta[k] = k % ENGINES;
        for (unsigned k = 0; k < 40; k++)
            p->rss_key[k] = k * 37 + 11; /* the NIC kept its own key */
        p->rss_key_len = 40;
    }
    s = spread_create(&f[0].port, ENGINES, 64, SOCKET_ID_ANY);
    assert_true(s->rss);
    for (unsigned i = 0; i < ENGINES; i++) {
        fake_host(&f[i], i, ENGINES);
        netif_set_spread(f[i].nif, s);
    }
    for (unsigned port = 0; port < 300; port++) {
        uint32_t words[3] = {RTE_IPV4(10, 0, 0, 2), RTE_IPV4(10, 0, 0, 1), port << 16 | 80};

        assert_int_equal(owner(2, port), rte_softrss(words, 3, f[0].port.rss_key) % 128 % ENGINES);
        per[owner(2, port)]++;
    }
    assert_true(per[0] && per[1] && per[2]);
    arrive(tcp4(2, 1234)); /* the port has decided */
    assert_int_equal(f[0].n_ip4, 1);
}

static void creation_survives_every_failed_allocation(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct spread *t = NULL;
    struct port p = f[0].port;

    snprintf(p.name, sizeof(p.name), "q");
    for (int n = 1; n < 20 && !t; n++) {
        fault_countdown = n;
        fault_run = 1;
        t = spread_create(&p, ENGINES, 64, SOCKET_ID_ANY);
        fault_countdown = -1;
    }
    assert_non_null(t);
    spread_destroy(t);
#else
    skip();
#endif
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(toeplitz_is_toeplitz_and_symmetric),
        T(each_flow_reaches_its_owner),
        T(burst_keeps_order_within_a_flow),
        T(full_ring_drops_and_counts),
        T(all_learn_from_arp_one_answers),
        T(one_engine_probes_and_announces),
        T(neighbour_discovery_is_copied),
        T(echo_request_is_answered_once),
        T(icmp_error_goes_to_the_quoted_flow),
        T(fragments_meet_and_then_go_to_their_flow),
        T(sending_through_another_engine),
        T(rss_answers_with_the_ports_table),
        T(creation_survives_every_failed_allocation),
    };

    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
