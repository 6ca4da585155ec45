// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of TCP-AO and TCP-MD5 against known answers: RFC 9235, and RFC 2385 worked out with another library.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include "tcp/auth/keys.h"
#include "vectors.h"

static struct rte_mempool *pool;
static struct auth_layer layer;

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (uint8_t)byte;
    }
    return n;
}

/* The TCP segment of an IP packet in buffers of `chunk` bytes behind the header; src, dst. */
static struct rte_mbuf *segment_of(const uint8_t *ip, size_t len, struct ip_addr *src, struct ip_addr *dst,
                                   size_t chunk)
{
    bool v4 = ip[0] >> 4 == 4;
    uint32_t words[2];
    memcpy(words, ip + 12, 8);
    *src = v4 ? ip_addr_v4(words[0]) : ip_addr_v6(ip + 8);
    *dst = v4 ? ip_addr_v4(words[1]) : ip_addr_v6(ip + 24);
    const uint8_t *tcp = ip + (v4 ? 20 : 40), *end = ip + len;
    struct rte_mbuf *head = rte_pktmbuf_alloc(pool);
    size_t n = (tcp[12] >> 4) * 4u;
    for (struct rte_mbuf *m = head;;) {
        memcpy(rte_pktmbuf_append(m, (uint16_t)n), tcp, n);
        tcp += n;
        if (m != head) {
            m->pkt_len = 0;
            assert_int_equal(rte_pktmbuf_chain(head, m), 0);
            head->pkt_len += (uint32_t)n;
        }
        if (tcp == end)
            return head;
        m = rte_pktmbuf_alloc(pool);
        n = (size_t)(end - tcp) < chunk ? (size_t)(end - tcp) : chunk;
    }
}

static uint8_t *option_of(struct rte_mbuf *m, uint8_t kind)
{
    uint8_t *th = rte_pktmbuf_mtod(m, uint8_t *), *at = th + 20;
    while (*at != kind)
        at += *at == TCPOPT_NOP ? 1 : at[1];
    return at;
}

/* ISNs of the sections: client, server. */
static void isns(unsigned section, uint32_t *client, uint32_t *server)
{
    static const struct {
        unsigned section;
        uint32_t client, server;
    } known[] = {
        {41, 0xfbfbab5a, 0x11c14261}, {42, 0xcb0efbee, 0xacd5b5e1}, {51, 0x787a1ddf, 0xfadd6de9},
        {52, 0x389bed71, 0xd3844a6f}, {61, 0x176a833f, 0x3f51994b}, {62, 0x020c1e69, 0xeba3734d},
        {71, 0x193cccec, 0xa6744ecb}, {72, 0xb01da74a, 0xa6246145},
    };
    for (unsigned i = 0; i < RTE_DIM(known); i++) {
        if (known[i].section == section / 10) {
            *client = known[i].client;
            *server = known[i].server;
        }
    }
}

static struct auth_key key_of(unsigned section)
{
    struct auth_key k = {
        .alg = section / 100 % 2 ? AUTH_AES_CMAC : AUTH_HMAC_SHA1, .maclen = 12, .keylen = 10};
    if (section / 10 % 10 == 2)
        k.keyflags = AUTH_KEYF_EXCLUDE_OPT;
    memcpy(k.key, "testvector", 10);
    return k;
}

/* sent: worked out as the sender, else as the receiver. */
static void check_vector(const struct vector *v, bool sent, size_t chunk)
{
    uint8_t packet[200], traffic[32], expected[32], mac[32];
    size_t len = unhex(v->packet, packet), n = unhex(v->traffic_key, expected);
    struct ip_addr src, dst;
    uint32_t client = 0, server = 0;
    struct auth_key k = key_of(v->section);
    struct rte_mbuf *m = segment_of(packet, len, &src, &dst, chunk);
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    isns(v->section, &client, &server);
    bool by_client = v->section % 2 == 1;
    uint32_t from = by_client ? client : server, to = by_client ? server : client;
    struct auth_flow f = sent ? (struct auth_flow){src, dst, th->src_port, th->dst_port, from, to}
                              : (struct auth_flow){dst, src, th->dst_port, th->src_port, to, from};
    bool syn = (th->tcp_flags & 0x12) == RTE_TCP_SYN_FLAG;
    assert_true(ao_traffic_key(&layer, &f, sent, syn, &k, traffic));
    assert_int_equal(ao_traffic_len(k.alg), n);
    assert_memory_equal(traffic, expected, n);
    uint8_t *option = option_of(m, TCPOPT_AO);
    assert_true(ao_mac(&layer, &f, sent, &k, traffic, 0, m, option, mac));
    if (memcmp(mac, option + 4, 12) != 0)
        fail_msg("RFC 9235 %u: another MAC", v->section);
    rte_pktmbuf_free(m);
}

static void rfc9235_traffic_keys_and_macs(void **state)
{
    assert_int_equal(RTE_DIM(vectors), 32);
    for (unsigned i = 0; i < RTE_DIM(vectors); i++) {
        check_vector(&vectors[i], true, 1000);
        check_vector(&vectors[i], false, 7); /* data in many buffers */
    }
}

/* RFC 5925 §6.2, RFC 9187: either way across the wrap, from any place. */
static void rfc5925_6_2_upper_half_of_sequence_numbers(void **state)
{
    struct auth_sne at = {0xfffffff0, 0};
    assert_int_equal(ao_sne(&at, 0xfffffff8), 0);
    assert_int_equal(ao_sne(&at, 8), 1);
    assert_int_equal(ao_sne(&at, 0x7fffffe0), 1);
    assert_int_equal(ao_sne(&at, 0x80000010), 0);
    ao_sne_move(&at, 100);
    assert_int_equal(at.sne, 1);
    assert_int_equal(ao_sne(&at, 0xffffffff), 0);
    assert_int_equal(ao_sne(&at, 50), 1);
    for (uint64_t seq = 100; seq < (UINT64_C(5) << 32); seq += 0x3fffffff)
        ao_sne_move(&at, (uint32_t)seq);
    assert_int_equal(at.sne, 5);
}

/* RFC 5926 §3.1.1.2: a key that has not 128 bits is made so; 16 bytes are taken as they are. */
static void rfc5926_cmac_keys_of_any_length(void **state)
{
    struct auth_flow f = {.iss = 1, .irs = 2};
    struct auth_key a = {.alg = AUTH_AES_CMAC, .keylen = 16}, b = {.alg = AUTH_AES_CMAC, .keylen = 17};
    uint8_t ka[32], kb[32];
    assert_true(ao_traffic_key(&layer, &f, true, false, &a, ka));
    assert_true(ao_traffic_key(&layer, &f, true, false, &b, kb));
    assert_memory_not_equal(ka, kb, 16);
}

/* The other algorithms that Linux offers derive as many bits as they digest. */
static void sha256_traffic_keys_have_256_bits(void **state)
{
    struct auth_flow f = {.iss = 1, .irs = 2};
    struct auth_key k = {.alg = AUTH_HMAC_SHA256, .keylen = 3, .key = "abc"};
    uint8_t key[32], zero[32] = {0};
    assert_int_equal(ao_traffic_len(k.alg), 32);
    assert_true(ao_traffic_key(&layer, &f, true, false, &k, key));
    assert_memory_not_equal(key + 20, zero, 12);
}

static int set_up(void **state)
{
    char *argv[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m", "32", "--log-level=error"};
    if (rte_eal_init(7, argv) < 0)
        return -1;
    pool = rte_pktmbuf_pool_create("p", 255, 0, sizeof(struct pkt_info), RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    for (unsigned i = 0; i < AUTH_N; i++)
        if (!auth_alg_prepare(&layer, (enum auth_alg)i))
            return -1;
    return pool ? 0 : -1;
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < AUTH_N; i++)
        EVP_MAC_CTX_free(layer.mac[i]);
    EVP_MD_CTX_free(layer.md_ctx);
    EVP_MD_free(layer.md5);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc9235_traffic_keys_and_macs),
        cmocka_unit_test(rfc5925_6_2_upper_half_of_sequence_numbers),
        cmocka_unit_test(rfc5926_cmac_keys_of_any_length),
        cmocka_unit_test(sha256_traffic_keys_have_256_bits),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
