// SPDX-License-Identifier: BSD-3-Clause
// What software finishes for a port must be byte for byte what a NIC would send.
#include "fake.h"

static struct fake f;

static int begin(void **state)
{
    memset(&f, 0, sizeof(f));
    return 0;
}

static int end(void **state)
{
    fake_end(&f);
    assert_int_equal(fake_pool_used(), 0);
    return 0;
}

static void host(uint64_t tx_offloads, uint16_t seg_max)
{
    f.port.tx_offloads = tx_offloads;
    f.port.tx_seg_max = seg_max;
    f.port.tso_max = tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? 65000 : 0;
    fake_host(&f, 0, 1);
}

#define ALL                                                                                                  \
    (RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |              \
     RTE_ETH_TX_OFFLOAD_IPV4_CKSUM)
#define TCP_LEN 32 /* with the timestamp option */

static uint8_t payload_byte(uint32_t i)
{
    return (i * 7 + (i >> 8)) & 0xff;
}

/* A TCP packet as ip_output() leaves it, the payload in pieces of piece bytes behind the headers. */
static struct rte_mbuf *tcp_packet(bool v6, uint32_t len, uint32_t piece, uint16_t mss, uint8_t flags)
{
    uint16_t l3 = v6 ? 40 : 20;
    struct rte_mbuf *m = fake_zeros(l3 + TCP_LEN);
    uint8_t *h = rte_pktmbuf_mtod(m, uint8_t *);
    struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(h + l3);

    tcp->src_port = RTE_BE16(80);
    tcp->dst_port = RTE_BE16(5000);
    tcp->sent_seq = RTE_BE32(0xfffff000);
    tcp->data_off = TCP_LEN / 4 << 4;
    tcp->tcp_flags = flags;
    m->l3_len = l3;
    m->l4_len = TCP_LEN;
    m->l2_len = 14;
    m->ol_flags |=
        RTE_MBUF_F_TX_TCP_CKSUM | (v6 ? RTE_MBUF_F_TX_IPV6 : RTE_MBUF_F_TX_IPV4 | RTE_MBUF_F_TX_IP_CKSUM);
    if (mss) {
        m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
        m->tso_segsz = mss;
    }
    if (v6) {
        struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)h;

        ip->vtc_flow = RTE_BE32(0x60000000);
        ip->payload_len = rte_cpu_to_be_16(TCP_LEN + len);
        ip->proto = IPPROTO_TCP;
        ip->hop_limits = 64;
        memset(ip->src_addr, 0xfd, 16);
        memset(ip->dst_addr, 0x20, 16);
        tcp->cksum = rte_ipv6_phdr_cksum(ip, m->ol_flags);
    } else {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)h;

        ip->version_ihl = 0x45;
        ip->total_length = rte_cpu_to_be_16(l3 + TCP_LEN + len);
        ip->packet_id = RTE_BE16(0xfffe);
        ip->time_to_live = 64;
        ip->next_proto_id = IPPROTO_TCP;
        ip->src_addr = RTE_BE32(0x0a000001);
        ip->dst_addr = RTE_BE32(0x0a000002);
        tcp->cksum = rte_ipv4_phdr_cksum(ip, m->ol_flags);
    }
    for (uint32_t off = 0; off < len; off += piece) {
        uint32_t n = RTE_MIN(piece, len - off);
        struct rte_mbuf *p = fake_zeros(n);
        uint8_t *b = rte_pktmbuf_mtod(p, uint8_t *);

        for (uint32_t i = 0; i < n; i++)
            b[i] = payload_byte(off + i);
        assert_int_equal(rte_pktmbuf_chain(m, p), 0);
    }
    return m;
}

static void transmit(struct rte_mbuf *m)
{
    bool v6 = m->ol_flags & RTE_MBUF_F_TX_IPV6;

    ether_output(f.nif, m, &peer_mac, v6 ? RTE_ETHER_TYPE_IPV6 : RTE_ETHER_TYPE_IPV4);
    link_transmit(f.e, NULL);
}

/* Both checksums right; returns the TCP header. Copies the frame into buf. */
static const struct rte_tcp_hdr *checked(unsigned i, uint8_t *buf, uint32_t *payload_len)
{
    uint32_t len = rte_pktmbuf_pkt_len(f.sent[i]);
    const void *l3, *l4;
    const void *p = rte_pktmbuf_read(f.sent[i], 0, len, buf);

    if (p != buf)
        memcpy(buf, p, len);
    l3 = buf + 14;
    if (buf[14] >> 4 == 6) {
        l4 = buf + 14 + 40;
        assert_int_equal(rte_ipv6_udptcp_cksum_verify(l3, l4), 0);
        *payload_len = len - 14 - 40 - TCP_LEN;
        assert_int_equal(rte_be_to_cpu_16(((const struct rte_ipv6_hdr *)l3)->payload_len),
                         *payload_len + TCP_LEN);
    } else {
        l4 = buf + 14 + 20;
        assert_int_equal(rte_raw_cksum(l3, 20), 0xffff);
        assert_int_equal(rte_ipv4_udptcp_cksum_verify(l3, l4), 0);
        *payload_len = len - 14 - 20 - TCP_LEN;
    }
    return l4;
}

static void check_segments(bool v6, uint32_t total, uint16_t mss, uint8_t flags)
{
    uint8_t buf[10000];
    uint32_t at = 0, len;

    for (unsigned i = 0; i < f.n_sent; i++) {
        const struct rte_tcp_hdr *tcp = checked(i, buf, &len);
        bool first = i == 0, last = i + 1 == f.n_sent;

        assert_int_equal(rte_be_to_cpu_32(tcp->sent_seq), 0xfffff000 + at);
        assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_CWR_FLAG), first && (flags & RTE_TCP_CWR_FLAG));
        assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_FIN_FLAG), last && (flags & RTE_TCP_FIN_FLAG));
        assert_int_equal(!!(tcp->tcp_flags & RTE_TCP_PSH_FLAG), last && (flags & RTE_TCP_PSH_FLAG));
        assert_true(tcp->tcp_flags & RTE_TCP_ACK_FLAG);
        assert_int_equal(len, last ? total - at : mss);
        for (uint32_t b = 0; b < len; b++)
            assert_int_equal(((const uint8_t *)tcp)[TCP_LEN + b], payload_byte(at + b));
        if (!v6)
            assert_int_equal(rte_be_to_cpu_16(((struct rte_ipv4_hdr *)(buf + 14))->packet_id),
                             (0xfffe + i) & 0xffff);
        at += len;
    }
    assert_int_equal(at, total);
}

#define FLAGS (RTE_TCP_ACK_FLAG | RTE_TCP_PSH_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_CWR_FLAG)

static void tso_in_software_ip4(void **state)
{
    host(0, 1);
    transmit(tcp_packet(false, 20000, 1900, 1448, FLAGS));
    assert_int_equal(f.n_sent, 14);
    check_segments(false, 20000, 1448, FLAGS);
    assert_int_equal(f.nif->stats.sw_tso, 1);
    assert_int_equal(f.nif->stats.sw_cksum, 14);
}

static void tso_in_software_ip6(void **state)
{
    host(0, 1);
    transmit(tcp_packet(true, 30000, 777, 1428, FLAGS));
    check_segments(true, 30000, 1428, FLAGS);
}

/* The port sums, so the payload is not touched: segments refer to it. */
static void tso_by_reference_when_the_port_sums(void **state)
{
    host(RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_IPV4_CKSUM, 8);
    transmit(tcp_packet(false, 20000, 1900, 1448, FLAGS));
    assert_int_equal(f.n_sent, 14);
    assert_int_equal(f.nif->stats.sw_cksum, 0);
    for (unsigned i = 0; i < f.n_sent; i++) {
        struct rte_mbuf *m = f.sent[i];
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, 14);
        struct rte_tcp_hdr *tcp = (struct rte_tcp_hdr *)(ip + 1);
        uint16_t sum = 0;

        assert_true(m->nb_segs >= 2);
        assert_true(RTE_MBUF_CLONED(m->next));
        assert_int_equal(m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM),
                         RTE_MBUF_F_TX_TCP_CKSUM);
        assert_int_equal(tcp->cksum, rte_ipv4_phdr_cksum(ip, 0));
        rte_raw_cksum_mbuf(m, 34, rte_pktmbuf_pkt_len(m) - 34, &sum); /* as the NIC does */
        tcp->cksum = ~sum;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
    check_segments(false, 20000, 1448, FLAGS);
}

/* virtio: TSO, and no checksum of IPv4 headers. The packet stays whole, its header with a checksum. */
static void tso_of_a_port_without_ipv4_checksums(void **state)
{
    host(RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 32);
    transmit(tcp_packet(false, 20000, 1900, 1448, FLAGS));
    assert_int_equal(f.n_sent, 1);
    const struct rte_mbuf *m = f.sent[0];
    const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, 14);
    assert_int_equal(m->ol_flags & (RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM | RTE_MBUF_F_TX_IP_CKSUM),
                     RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_TX_TCP_CKSUM);
    assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
    assert_int_equal(f.nif->stats.sw_tso, 0);
    rte_pktmbuf_free(f.sent[0]);
    f.n_sent = 0;
}

static void tso_that_fits_one_segment(void **state)
{
    host(0, 1);
    transmit(tcp_packet(false, 100, 100, 1448, FLAGS));
    assert_int_equal(f.n_sent, 1);
    check_segments(false, 100, 1448, FLAGS);
}

static void tso_left_to_the_port(void **state)
{
    host(ALL, 16);
    transmit(tcp_packet(false, 20000, 2000, 1448, FLAGS));
    assert_int_equal(f.n_sent, 1);
    assert_true(f.sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_SEG);
    assert_int_equal(f.nif->stats.sw_tso, 0);
}

static void tso_with_more_pieces_than_the_port_takes(void **state)
{
    host(ALL, 4);
    transmit(tcp_packet(false, 20000, 2000, 1448, FLAGS));
    assert_int_equal(f.n_sent, 14);
    assert_int_equal(f.nif->stats.sw_tso, 1);
}

static void tcp_checksum_in_software(void **state)
{
    host(0, 8);
    transmit(tcp_packet(false, 999, 333, 0, FLAGS));
    transmit(tcp_packet(true, 999, 100, 0, FLAGS)); /* 11 pieces: copied too */
    assert_int_equal(f.n_sent, 2);
    assert_int_equal(f.nif->stats.sw_cksum, 2);
    assert_int_equal(f.nif->stats.sw_linear, 1);
    assert_true(f.sent[1]->nb_segs <= 8);
    for (unsigned i = 0; i < 2; i++) {
        uint8_t buf[2000];
        uint32_t len;
        const struct rte_tcp_hdr *tcp = checked(i, buf, &len);

        assert_int_equal(len, 999);
        for (uint32_t b = 0; b < len; b++)
            assert_int_equal(((const uint8_t *)tcp)[TCP_LEN + b], payload_byte(b));
    }
}

static void checksums_left_to_the_port(void **state)
{
    host(ALL, 8);
    transmit(tcp_packet(false, 999, 333, 0, FLAGS));
    assert_int_equal(f.nif->stats.sw_cksum, 0);
    assert_true(f.sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
}

static void linear_keeps_the_wishes(void **state)
{
    host(ALL, 2);
    transmit(tcp_packet(false, 999, 333, 0, FLAGS));
    assert_int_equal(f.nif->stats.sw_linear, 1);
    assert_int_equal(f.sent[0]->nb_segs, 1);
    assert_int_equal(f.sent[0]->l4_len, TCP_LEN);
    assert_true(f.sent[0]->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM);
    assert_true(f.sent[0]->ol_flags & RTE_MBUF_F_TX_IP_CKSUM);
}

/* Payload and addresses chosen so that the sum comes to nothing: RFC 768 sends all ones. */
static void rfc768_udp_zero_checksum(void **state)
{
    struct rte_mbuf *m;
    struct rte_ipv4_hdr *ip;
    struct rte_udp_hdr *udp;

    host(0, 1);
    m = fake_packet(20 + 8 + 2);
    ip = rte_pktmbuf_mtod(m, struct rte_ipv4_hdr *);
    udp = (struct rte_udp_hdr *)(ip + 1);
    ip->next_proto_id = IPPROTO_UDP;
    udp->dgram_len = RTE_BE16(10);
    m->l3_len = 20;
    m->l4_len = 8;
    m->ol_flags |= RTE_MBUF_F_TX_UDP_CKSUM | RTE_MBUF_F_TX_IPV4;
    udp->dgram_cksum = rte_ipv4_phdr_cksum(ip, 0);
    *(uint16_t *)(udp + 1) = ~rte_raw_cksum(udp, 8);
    transmit(m);
    udp = rte_pktmbuf_mtod_offset(f.sent[0], struct rte_udp_hdr *, 34);
    assert_int_equal(udp->dgram_cksum, 0xffff);
}

static void every_failed_allocation_is_counted_and_leaks_nothing(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    for (int by_reference = 0; by_reference < 2; by_reference++) {
        memset(&f, 0, sizeof(f));
        host(by_reference ? RTE_ETH_TX_OFFLOAD_TCP_CKSUM : 0, by_reference ? 8 : 1);
        for (int n = 1; n < 12; n++) {
            struct rte_mbuf *m = tcp_packet(false, 5000, 900, 1448, FLAGS);
            uint64_t before = f.nif->stats.drop_tx_nobuf;

            fault_countdown = n;
            fault_run = 1;
            transmit(m);
            if (fault_countdown <= 0)
                assert_int_equal(f.nif->stats.drop_tx_nobuf, before + 1);
            fault_countdown = -1;
            fake_forget(&f);
            assert_int_equal(fake_pool_used(), 0);
        }
        if (!by_reference)
            fake_end(&f);
    }
#else
    host(0, 1);
    skip();
#endif
}

int main(void)
{
#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
    const struct CMUnitTest tests[] = {
        T(tso_in_software_ip4),
        T(tso_in_software_ip6),
        T(tso_by_reference_when_the_port_sums),
        T(tso_of_a_port_without_ipv4_checksums),
        T(tso_that_fits_one_segment),
        T(tso_left_to_the_port),
        T(tso_with_more_pieces_than_the_port_takes),
        T(tcp_checksum_in_software),
        T(checksums_left_to_the_port),
        T(linear_keeps_the_wishes),
        T(rfc768_udp_zero_checksum),
        T(every_failed_allocation_is_counted_and_leaks_nothing),
    };

    return cmocka_run_group_tests(tests, fake_eal, NULL);
}
