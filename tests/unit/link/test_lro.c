// SPDX-License-Identifier: BSD-3-Clause
// Segments that software joins on the way in: what is joined is the bytes of all, what differs in anything stays apart.
#include "fake.h"

enum { TCP_LEN = 32, MSS = 1000, PEER = 5000 };

static struct fake f;
static struct rte_mbuf *burst[64];
static uint16_t n_burst;

static int begin(void **state)
{
    memset(&f, 0, sizeof(f));
    fake_host(&f, 0, 1);
    f.e->link->priv->params.sw_lro = 1;
    n_burst = 0;
    return 0;
}

static int end(void **state)
{
    fake_end(&f);
    assert_int_equal(fake_pool_used(), 0);
    return 0;
}

struct seg {
    bool v6;
    uint32_t seq, ack;
    uint16_t len, port; /* port 0: PEER */
    uint8_t flags, tos;
    uint32_t tsval;
    bool bad_sum, bad_ip_sum;
};

static uint8_t byte_at(uint32_t seq)
{
    return (uint8_t)(seq * 11 + (seq >> 8));
}

static void add(struct seg s)
{
    uint32_t l3 = s.v6 ? 40 : 20;
    struct rte_mbuf *m =
        fake_frame(&fake_mac, s.v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4, l3 + TCP_LEN + s.len);
    uint8_t *h = rte_pktmbuf_mtod_offset(m, uint8_t *, 14);
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(h + l3);
    for (uint32_t i = 0; i < s.len; i++)
        h[l3 + TCP_LEN + i] = byte_at(s.seq + i);
    tcp->src_port = rte_cpu_to_be_16(s.port ? s.port : PEER);
    tcp->dst_port = RTE_BE16(80);
    tcp->sent_seq = rte_cpu_to_be_32(s.seq);
    tcp->recv_ack = rte_cpu_to_be_32(s.ack);
    tcp->rx_win = RTE_BE16(500);
    tcp->data_off = TCP_LEN / 4 << 4;
    tcp->tcp_flags = s.flags ? s.flags : RTE_TCP_ACK_FLAG;
    memcpy(tcp + 1, "\1\1\10\12", 4);
    memcpy((uint8_t *)(tcp + 1) + 4, &s.tsval, 4);
    if (s.v6) {
        struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)h;
        ip->vtc_flow = rte_cpu_to_be_32(6u << 28 | (uint32_t)s.tos << 20);
        ip->payload_len = rte_cpu_to_be_16((uint16_t)(TCP_LEN + s.len));
        ip->proto = IPPROTO_TCP;
        ip->hop_limits = 64;
        ip->src_addr[0] = ip->dst_addr[0] = 0xfd;
        tcp->cksum = rte_ipv6_udptcp_cksum(ip, tcp);
    } else {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)h;
        *ip = (struct rte_ipv4_hdr){
            .version_ihl = 0x45, .type_of_service = s.tos, .time_to_live = 64, .next_proto_id = IPPROTO_TCP};
        ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + TCP_LEN + s.len));
        ip->packet_id = rte_cpu_to_be_16((uint16_t)s.seq);
        ip->src_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 2));
        ip->dst_addr = rte_cpu_to_be_32(RTE_IPV4(10, 0, 0, 1));
        ip->hdr_checksum = rte_ipv4_cksum(ip);
        tcp->cksum = rte_ipv4_udptcp_cksum(ip, tcp);
        ip->hdr_checksum ^= s.bad_ip_sum;
    }
    tcp->cksum ^= s.bad_sum;
    burst[n_burst++] = m;
}

static unsigned arrive(void)
{
    ether_input(f.nif, burst, n_burst);
    n_burst = 0;
    return f.n_got;
}

/* Packet i, data at the IP header, is the stream from seq on; its lengths agree. */
static void check_stream(unsigned i, uint32_t seq, uint32_t len)
{
    struct rte_mbuf *m = f.got[i];
    const uint8_t *h = rte_pktmbuf_mtod(m, const uint8_t *);
    bool v6 = h[0] >> 4 == 6;
    uint32_t l3 = v6 ? 40 : 20, at = 0;
    assert_int_equal(m->pkt_len, l3 + TCP_LEN + len);
    assert_int_equal(v6 ? h[4] << 8 | h[5] : (h[2] << 8 | h[3]) - 20, TCP_LEN + len);
    for (const struct rte_mbuf *p = m; p; p = p->next) {
        const uint8_t *bytes = rte_pktmbuf_mtod(p, const uint8_t *);
        for (uint32_t k = p == m ? l3 + TCP_LEN : 0; k < p->data_len; k++)
            assert_int_equal(bytes[k], byte_at(seq + at++));
    }
    assert_int_equal(at, len);
    rte_mbuf_sanity_check(m, 1);
}

static void segments_of_a_stream_become_one(void **state)
{
    for (int v6 = 0; v6 < 2; v6++) {
        for (uint32_t i = 0; i < 10; i++)
            add((struct seg){.v6 = v6, .seq = 0xfffff000 + i * MSS, .len = MSS});
        add((struct seg){.v6 = v6,
                         .seq = 0xfffff000 + 10 * MSS,
                         .len = 300,
                         .flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG});
        assert_int_equal(arrive(), 1);
        check_stream(0, 0xfffff000, 10 * MSS + 300);
        const struct rte_tcp_hdr *tcp =
            rte_pktmbuf_mtod_offset(f.got[0], const struct rte_tcp_hdr *, v6 ? 40 : 20);
        assert_int_equal(tcp->tcp_flags, RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG); /* of the last */
        assert_true(f.got[0]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD);         /* nobody need sum it again */
        assert_int_equal(f.nif->stats.sw_lro, 10 * (v6 + 1));
        assert_int_equal(f.nif->stats.ipackets, 11 * (v6 + 1)); /* as they came */
        fake_forget(&f);
    }
}

static void two_streams_at_once(void **state)
{
    for (uint32_t i = 0; i < 5; i++) {
        add((struct seg){.seq = i * MSS, .len = MSS});
        add((struct seg){.seq = 7000 + i * MSS, .len = MSS, .port = PEER + 1});
    }
    assert_int_equal(arrive(), 2);
    check_stream(0, 0, 5 * MSS);
    check_stream(1, 7000, 5 * MSS);
}

static void what_differs_stays_apart(void **state)
{
    const struct seg first = {.seq = 0, .len = MSS};
    const struct seg second[] = {
        {.seq = MSS + 1, .len = MSS},                                           /* a hole */
        {.seq = 0, .len = MSS},                                                 /* again */
        {.seq = MSS, .len = MSS, .ack = 1},                                     /* acknowledges more */
        {.seq = MSS, .len = MSS, .tsval = 1},                                   /* another time */
        {.seq = MSS, .len = MSS, .tos = 3},                                     /* congestion experienced */
        {.seq = MSS, .len = MSS, .flags = RTE_TCP_ACK_FLAG | RTE_TCP_FIN_FLAG}, /* the end */
        {.seq = MSS, .len = MSS, .flags = RTE_TCP_ACK_FLAG | RTE_TCP_URG_FLAG},
        {.seq = MSS, .len = MSS, .flags = RTE_TCP_ACK_FLAG | RTE_TCP_ECE_FLAG},
        {.seq = MSS, .len = MSS + 1}, /* longer than the first */
        {.seq = MSS, .len = 0},       /* no data */
        {.seq = MSS, .len = MSS, .bad_sum = true},
        {.seq = MSS, .len = MSS, .bad_ip_sum = true},
    };
    for (unsigned i = 0; i < RTE_DIM(second); i++) {
        add(first);
        add(second[i]);
        if (arrive() != 2)
            fail_msg("case %u was joined", i);
        check_stream(0, 0, MSS);
        fake_forget(&f);
    }
    assert_int_equal(f.nif->stats.sw_lro, 0);
}

static void a_push_or_a_short_segment_is_the_last(void **state)
{
    add((struct seg){.seq = 0, .len = MSS, .flags = RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG});
    add((struct seg){.seq = MSS, .len = MSS});
    add((struct seg){.seq = 2 * MSS, .len = 10});
    add((struct seg){.seq = 2 * MSS + 10, .len = 10});
    assert_int_equal(arrive(), 3);
    check_stream(0, 0, MSS);
    check_stream(1, MSS, MSS + 10);
    check_stream(2, 2 * MSS + 10, 10);
}

static void a_bad_segment_is_not_joined_to_nor_vouched_for(void **state)
{
    add((struct seg){.seq = 0, .len = MSS, .bad_sum = true});
    add((struct seg){.seq = MSS, .len = MSS});
    assert_int_equal(arrive(), 2);
    assert_false(f.got[0]->ol_flags & RTE_MBUF_F_RX_L4_CKSUM_GOOD);
}

static void no_packet_is_larger_than_ip_allows(void **state)
{
    for (uint32_t i = 0; i < 50; i++)
        add((struct seg){.seq = i * 1400, .len = 1400});
    assert_int_equal(arrive(), 2); /* 44 pieces, and the rest */
    check_stream(0, 0, 44 * 1400);
    check_stream(1, 44 * 1400, 6 * 1400);
}

static void padding_and_fragments_are_left_alone(void **state)
{
    add((struct seg){.seq = 0, .len = MSS});
    rte_pktmbuf_append(burst[0], 6);
    add((struct seg){.seq = MSS, .len = MSS});
    struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(burst[1], struct rte_ipv4_hdr *, 14);
    ip->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
    add((struct seg){.seq = 2 * MSS, .len = MSS});
    assert_int_equal(arrive(), 3);
}

static void off_unless_asked_for_or_done_by_the_port(void **state)
{
    for (int turn = 0; turn < 2; turn++) {
        f.e->link->priv->params.sw_lro = turn == 1;
        f.port.rx_offloads = turn == 1 ? RTE_ETH_RX_OFFLOAD_TCP_LRO : 0;
        add((struct seg){.seq = 0, .len = MSS});
        add((struct seg){.seq = MSS, .len = MSS});
        assert_int_equal(arrive(), 2);
        fake_forget(&f);
    }
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(segments_of_a_stream_become_one),
        T(two_streams_at_once),
        T(what_differs_stays_apart),
        T(a_push_or_a_short_segment_is_the_last),
        T(a_bad_segment_is_not_joined_to_nor_vouched_for),
        T(no_packet_is_larger_than_ip_allows),
        T(padding_and_fragments_are_left_alone),
        T(off_unless_asked_for_or_done_by_the_port),
    };
    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
