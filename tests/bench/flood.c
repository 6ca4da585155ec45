// SPDX-License-Identifier: BSD-3-Clause
#include "flood.h"
#include <arpa/inet.h>
#include <string.h>
#include <rte_ethdev.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>

#define BURST 32
#define MOST  16 /* bursts in one turn */

static struct {
    struct rte_mempool *pool;
    uint32_t address;
    uint16_t port;
    uint64_t per_second, sent, next, chance; /* next: ns, when the next burst is due */
    struct rte_ether_addr macs[FLOOD_TOS];
} flood;

static uint64_t chance(void)
{
    flood.chance ^= flood.chance << 13; /* xorshift64 (Marsaglia 2003) */
    flood.chance ^= flood.chance >> 7;
    flood.chance ^= flood.chance << 17;
    return flood.chance;
}

bool flood_init(uint32_t address_be, uint16_t port_be, uint64_t per_second)
{
    flood.pool = rte_pktmbuf_pool_create("flood", 4095, 64, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    flood.address = address_be;
    flood.port = port_be;
    flood.per_second = per_second;
    flood.chance = UINT64_C(88172645463325252);
    rte_ether_unformat_addr(FLOOD_TARGET_MAC, &flood.macs[FLOOD_SERVER]);
    rte_ether_unformat_addr(FLOOD_BESIDE_MAC, &flood.macs[FLOOD_BESIDE]);
    return flood.pool != NULL;
}

uint64_t flood_sent(void)
{
    return flood.sent;
}

/* From anywhere in 64.0.0.0/8 to 95.0.0.0/8. */
static struct rte_mbuf *forge(enum flood_to to)
{
    static const uint8_t mss[4] = {2, 4, 5, 0xb4};
    struct rte_mbuf *m = rte_pktmbuf_alloc(flood.pool);
    if (!m)
        return NULL;
    uint64_t r = chance(), q = chance();
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 14 + 20 + 24);
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
    struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)(ip + 1);
    eth->dst_addr = flood.macs[to];
    rte_eth_macaddr_get(0, &eth->src_addr);
    eth->ether_type = htons(RTE_ETHER_TYPE_IPV4);
    *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
                                .total_length = htons(44),
                                .time_to_live = 64,
                                .next_proto_id = IPPROTO_TCP,
                                .src_addr = htonl(0x40000000 | ((uint32_t)r & 0x1fffffff)),
                                .dst_addr = flood.address};
    *th = (struct rte_tcp_hdr){.src_port = (uint16_t)((r >> 32) | 1),
                               .dst_port = flood.port,
                               .sent_seq = (uint32_t)q,
                               .data_off = 6 << 4,
                               .tcp_flags = RTE_TCP_SYN_FLAG,
                               .rx_win = htons(65535)};
    memcpy(th + 1, mss, sizeof(mss));
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    th->cksum = rte_ipv4_udptcp_cksum(ip, th);
    return m;
}

static void flood_burst(enum flood_to to)
{
    struct rte_mbuf *burst[BURST];
    uint16_t n = 0;
    while (n < BURST && (burst[n] = forge(to)) != NULL)
        n++;
    uint16_t sent = n && to != FLOOD_AWAY ? rte_eth_tx_burst(0, 0, burst, n) : 0;
    flood.sent += sent;
    if (sent < n)
        rte_pktmbuf_free_bulk(burst + sent, n - sent);
}

/* Whole bursts only, as a busy wire delivers them: a frame alone costs both ends several cache misses. */
void flood_turn(uint64_t now, enum flood_to to)
{
    uint64_t every = BURST * UINT64_C(1000000000) / flood.per_second;
    if (flood.next + MOST * every < now)
        flood.next = now - MOST * every;
    for (; flood.next <= now; flood.next += every)
        flood_burst(to);
}
