// SPDX-License-Identifier: BSD-3-Clause
// Frames of any content into a host with IPv4, IPv6, a listener and a connection: Ethernet, ARP, IP, ICMP, ND, fragments, TCP and its
// options. Input: frames, each behind two bytes of length and one byte that says how much virtual time passes first and which
// checksums are set right, so that the fuzzer gets past them.
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/tcp.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "link/link.h"

#define FIX_CKSUM 0x80
#define FIX_MAC   0x40

static struct sim *sim;
static struct sim_node *host;
static struct sim_link *wire;

/* The application: accepts, reads what comes, writes a little back. */
static int app(void *arg)
{
    static char buf[4096];
    int *fds = arg, fd;
    while ((fd = leat_accept4(fds[0], NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        if (fds[1] >= 0)
            leat_close(fds[1]);
        fds[1] = fd;
    }
    ssize_t n = fds[1] >= 0 ? leat_read(fds[1], buf, sizeof(buf)) : -1;
    if (n > 0)
        leat_send(fds[1], buf, (size_t)n, MSG_NOSIGNAL);
    if (n == 0) {
        leat_close(fds[1]);
        fds[1] = -1;
    }
    return 0;
}

static void fix_checksums(uint8_t *frame, size_t len)
{
    size_t off = sizeof(struct rte_ether_hdr);
    if (len < off + sizeof(struct rte_ipv4_hdr))
        return;
    uint16_t type = (uint16_t)(frame[12] << 8 | frame[13]);
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(frame + off);
    size_t ihl = rte_ipv4_hdr_len(ip);
    if (type == RTE_ETHER_TYPE_IPV4 && ihl >= 20 && len >= off + ihl) {
        size_t total = rte_be_to_cpu_16(ip->total_length);
        ip->hdr_checksum = 0;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
        if (ip->next_proto_id == IPPROTO_TCP && total >= ihl + 20 && len >= off + total) {
            struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)((uint8_t *)ip + ihl);
            th->cksum = 0;
            th->cksum = rte_ipv4_udptcp_cksum(ip, th);
        }
        if (ip->next_proto_id == IPPROTO_ICMP && total >= ihl + 8 && len >= off + total) {
            uint8_t *icmp = (uint8_t *)ip + ihl;
            icmp[2] = icmp[3] = 0;
            uint16_t sum = (uint16_t)~rte_raw_cksum(icmp, total - ihl);
            memcpy(icmp + 2, &sum, 2);
        }
    }
    if (type == RTE_ETHER_TYPE_IPV6 && len >= off + 40 + 4) {
        struct rte_ipv6_hdr *ip6 = (struct rte_ipv6_hdr *)(frame + off);
        uint8_t *l4 = (uint8_t *)(ip6 + 1);
        size_t at = ip6->proto == IPPROTO_TCP ? 16 : ip6->proto == IPPROTO_ICMPV6 ? 2 : 0;
        size_t plen = rte_be_to_cpu_16(ip6->payload_len);
        if (at && plen >= at + 2 && len >= off + 40 + plen) {
            l4[at] = l4[at + 1] = 0;
            uint16_t sum = rte_ipv6_udptcp_cksum(ip6, l4);
            memcpy(l4 + at, &sum, 2);
        }
    }
}

/* Peers in 10.0.0.128/26 sign with TCP-MD5, those in 10.0.0.192/26 with TCP-AO. */
static void set_keys(int fd)
{
    struct tcp_md5sig md5 = {
        .tcpm_flags = TCP_MD5SIG_FLAG_PREFIX, .tcpm_prefixlen = 122, .tcpm_keylen = 1, .tcpm_key = "k"};
    struct leat_tcp_ao_add ao = {
        .alg_name = "hmac(sha1)", .prefix = 122, .sndid = 1, .rcvid = 1, .keylen = 1, .key = "k"};
    struct sockaddr_in6 *in[2] = {(struct sockaddr_in6 *)&md5.tcpm_addr, (struct sockaddr_in6 *)&ao.addr};
    for (int i = 0; i < 2; i++) {
        in[i]->sin6_family = AF_INET6;
        memcpy(&in[i]->sin6_addr, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0", 15);
        in[i]->sin6_addr.s6_addr[15] = (uint8_t)(128 + 64 * i);
    }
    if (leat_setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG_EXT, &md5, sizeof(md5)) < 0 ||
        leat_setsockopt(fd, IPPROTO_TCP, LEAT_TCP_AO_ADD_KEY, &ao, sizeof(ao)) < 0)
        abort();
}

static void set_up(void)
{
    static int fds[2] = {-1, -1};
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(8080)};
    int off = 0;
    if (sim_eal_init(512) < 0 || !(sim = sim_create(1)) || !(host = sim_host(sim, "host")) ||
        !(wire = sim_stub(sim, host, NULL)))
        abort();
    if (sim_addr(wire, host, "10.0.0.1/24") < 0 || sim_addr(wire, host, "fd00::1/64") < 0)
        abort();
    sim_enter(host);
    fds[0] = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(fds[0], IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (leat_bind(fds[0], (struct sockaddr *)&any, sizeof(any)) < 0 || leat_listen(fds[0], 16) < 0)
        abort();
    set_keys(fds[0]);
    sim_app(host, app, fds);
}

static void send_frame(const uint8_t *data, size_t len, uint8_t how)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(sim_engine(host)->pkt_pool);
    if (!m)
        abort(); /* a leak */
    uint8_t *frame = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
    if (!frame) {
        rte_pktmbuf_free(m);
        return;
    }
    memcpy(frame, data, len);
    if ((how & FIX_MAC) && len >= sizeof(struct rte_ether_hdr))
        rte_ether_addr_copy(&sim_netif(wire, host)->mac, (struct rte_ether_addr *)frame);
    if (how & FIX_CKSUM)
        fix_checksums(frame, len);
    sim_stub_send(wire, m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!sim)
        set_up();
    while (size >= 3) {
        size_t len = (size_t)(data[0] << 8 | data[1]) % 2000;
        uint8_t how = data[2];
        data += 3;
        size -= 3;
        if (len > size)
            len = size;
        sim_run_for(sim, (uint64_t)(how & 0x3f) * 50 * NS_PER_MS);
        send_frame(data, len, how);
        sim_run_for(sim, 10 * NS_PER_US);
        data += len;
        size -= len;
    }
    sim_run_for(sim, NS_PER_MS);
    struct rte_mbuf *m;
    while ((m = sim_stub_recv(wire, sim_now(sim), NULL)) != NULL)
        rte_pktmbuf_free(m);
    return 0;
}
