// SPDX-License-Identifier: BSD-3-Clause
// Segments as frames: built for injection, read with every length and checksum checked.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <rte_common.h>
#include <rte_ether.h>
#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include "base/cksum.h"
#include "port/sim/segment.h"

static const struct rte_ether_addr peer_mac = {{0x02, 0, 0, 0, 0, 0x99}};

/* ---- building ---- */

static uint8_t tos_of(const struct segment *s)
{
    uint8_t tos = s->tos >= 0 ? (uint8_t)s->tos : 0;
    static const uint8_t bits[] = {0, 1, 2, 3, 2};
    return s->ecn >= 0 ? (uint8_t)((tos & ~3u) | bits[s->ecn]) : tos;
}

static uint8_t ttl_of(const struct segment *s)
{
    return s->ttl >= 0 ? (uint8_t)s->ttl : 255;
}

static void build_ip4(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                      uint8_t proto, uint32_t len)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)rte_pktmbuf_append(m, sizeof(*ip));
    *ip = (struct rte_ipv4_hdr){
        .version_ihl = 0x45,
        .type_of_service = tos_of(s),
        .total_length = rte_cpu_to_be_16((uint16_t)(sizeof(*ip) + len)),
        .time_to_live = ttl_of(s),
        .next_proto_id = proto,
        .src_addr = ends->src.w[3],
        .dst_addr = ends->dst.w[3],
    };
    ip->hdr_checksum = rte_ipv4_cksum(ip);
}

static void build_ip6(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                      uint8_t proto, uint32_t len)
{
    struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)rte_pktmbuf_append(m, sizeof(*ip));
    *ip = (struct rte_ipv6_hdr){
        .vtc_flow =
            rte_cpu_to_be_32(6u << 28 | (uint32_t)tos_of(s) << 20 | (s->flow > 0 ? (uint32_t)s->flow : 0)),
        .payload_len = rte_cpu_to_be_16((uint16_t)len),
        .proto = proto,
        .hop_limits = ttl_of(s),
    };
    memcpy(ip->src_addr, &ends->src, 16);
    memcpy(ip->dst_addr, &ends->dst, 16);
}

/* Ethernet and IP headers for len bytes of proto. */
static void build_headers(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                          uint8_t proto, uint32_t len)
{
    bool v4 = ip_addr_is_v4(&ends->dst);
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, sizeof(*eth));
    memset(&eth->dst_addr, 0xff, sizeof(eth->dst_addr));
    eth->src_addr = peer_mac;
    eth->ether_type = rte_cpu_to_be_16(v4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
    if (v4)
        build_ip4(s, ends, m, proto, len);
    else
        build_ip6(s, ends, m, proto, len);
}

static uint16_t pseudo_cksum(const struct segment_ends *ends, uint8_t proto, uint32_t len)
{
    if (ip_addr_is_v4(&ends->dst)) {
        struct rte_ipv4_hdr ip = {.version_ihl = 0x45,
                                  .next_proto_id = proto,
                                  .total_length = rte_cpu_to_be_16((uint16_t)(sizeof(ip) + len)),
                                  .src_addr = ends->src.w[3],
                                  .dst_addr = ends->dst.w[3]};
        return rte_ipv4_phdr_cksum(&ip, 0);
    }
    struct rte_ipv6_hdr ip = {.proto = proto, .payload_len = rte_cpu_to_be_16((uint16_t)len)};
    memcpy(ip.src_addr, &ends->src, 16);
    memcpy(ip.dst_addr, &ends->dst, 16);
    return rte_ipv6_phdr_cksum(&ip, 0);
}

/* Of the whole upper layer packet, its checksum field zero or already right (then the result is 0). */
static uint16_t upper_cksum(const struct segment_ends *ends, const struct rte_mbuf *m, uint32_t off,
                            uint8_t proto)
{
    uint32_t len = rte_pktmbuf_pkt_len(m) - off;
    uint32_t sum = cksum_mbuf(m, off, len);
    if (proto != IPPROTO_ICMP)
        sum += pseudo_cksum(ends, proto, len);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

/* Payload in as many buffers as it takes: a peer may have a larger MTU than the host, or a NIC that joins segments. */
static int put_payload(struct rte_mbuf *m, uint32_t seq, uint32_t len)
{
    for (uint32_t done = 0; done < len;) {
        struct rte_mbuf *last = rte_pktmbuf_lastseg(m);
        uint32_t n = RTE_MIN(len - done, (uint32_t)rte_pktmbuf_tailroom(last));
        if (n == 0) {
            struct rte_mbuf *more = rte_pktmbuf_alloc(m->pool);
            if (!more)
                return -ENOBUFS;
            rte_pktmbuf_chain(m, more);
            continue;
        }
        uint8_t *data = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)n);
        for (uint32_t i = 0; i < n; i++)
            data[i] = (uint8_t)(seq + done + i);
        done += n;
    }
    return 0;
}

static int build_tcp(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m)
{
    uint32_t hlen = (uint32_t)sizeof(struct rte_tcp_hdr) + s->opt_len;
    if (s->opt_any || s->seq_any)
        return -EINVAL;
    build_headers(s, ends, m, IPPROTO_TCP, hlen + s->len);
    uint32_t off = rte_pktmbuf_pkt_len(m);
    struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, (uint16_t)hlen);
    *th = (struct rte_tcp_hdr){
        .src_port = rte_cpu_to_be_16(ends->sport),
        .dst_port = rte_cpu_to_be_16(ends->dport),
        .sent_seq = rte_cpu_to_be_32(s->seq),
        .recv_ack = rte_cpu_to_be_32(s->ack),
        .data_off = (uint8_t)(hlen << 2 | (s->flags & SEGMENT_AE ? 1 : 0)),
        .tcp_flags = (uint8_t)s->flags,
        .rx_win = rte_cpu_to_be_16(s->win),
        .tcp_urp = rte_cpu_to_be_16(s->urg),
    };
    memcpy(th + 1, s->opt, s->opt_len);
    if (put_payload(m, s->seq, s->len) < 0)
        return -ENOBUFS;
    th->cksum = upper_cksum(ends, m, off, IPPROTO_TCP);
    return 0;
}

static int build_icmp(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                      const uint8_t *quoted, uint16_t quoted_len)
{
    bool v4 = ip_addr_is_v4(&ends->dst);
    uint8_t proto = v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    if (rte_pktmbuf_tailroom(m) < 14u + 40 + 8 + quoted_len)
        return -ENOBUFS;
    build_headers(s, ends, m, proto, 8u + quoted_len);
    uint32_t off = rte_pktmbuf_pkt_len(m);
    uint8_t *icmp = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(8 + quoted_len));
    if (!icmp)
        return -ENOBUFS;
    memset(icmp, 0, 8);
    icmp[0] = s->icmp_type;
    icmp[1] = s->icmp_code;
    uint32_t mtu = rte_cpu_to_be_32(v4 ? s->icmp_mtu & 0xffff : s->icmp_mtu); /* RFC 1191 §4, RFC 4443 §3.2 */
    memcpy(icmp + 4, &mtu, 4);
    if (quoted_len)
        memcpy(icmp + 8, quoted, quoted_len);
    uint16_t sum = upper_cksum(ends, m, off, proto);
    memcpy(icmp + 2, &sum, 2);
    return 0;
}

int segment_build(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                  const uint8_t *quoted, uint16_t quoted_len)
{
    return s->kind == SEGMENT_TCP ? build_tcp(s, ends, m) : build_icmp(s, ends, m, quoted, quoted_len);
}

/* ---- reading ---- */

static int bad(char *err, size_t errlen, const char *what)
{
    snprintf(err, errlen, "%s", what);
    return -EBADMSG;
}

/* The IP header of the bytes b. Sets the protocol and the upper layer's offset and length. */
static int read_ip(struct segment *s, struct segment_ends *ends, const uint8_t *b, uint32_t len,
                   uint8_t *proto, uint32_t *off, char *err, size_t errlen)
{
    uint32_t total;
    if (len >= sizeof(struct rte_ipv4_hdr) && b[0] >> 4 == 4) {
        const struct rte_ipv4_hdr *ip = (const struct rte_ipv4_hdr *)b;
        total = rte_be_to_cpu_16(ip->total_length);
        *off = rte_ipv4_hdr_len(ip);
        if (rte_raw_cksum(ip, *off) != 0xffff)
            return bad(err, errlen, "the IPv4 header's checksum is wrong");
        *proto = ip->next_proto_id;
        s->tos = ip->type_of_service;
        s->ttl = ip->time_to_live;
        ends->src = ip_addr_v4(ip->src_addr);
        ends->dst = ip_addr_v4(ip->dst_addr);
    } else if (len >= sizeof(struct rte_ipv6_hdr) && b[0] >> 4 == 6) {
        const struct rte_ipv6_hdr *ip = (const struct rte_ipv6_hdr *)b;
        *off = sizeof(*ip);
        total = *off + rte_be_to_cpu_16(ip->payload_len);
        *proto = ip->proto;
        s->tos = (int)(rte_be_to_cpu_32(ip->vtc_flow) >> 20 & 0xff);
        s->ttl = ip->hop_limits;
        s->flow = (int32_t)(rte_be_to_cpu_32(ip->vtc_flow) & 0xfffff);
        memcpy(&ends->src, ip->src_addr, 16);
        memcpy(&ends->dst, ip->dst_addr, 16);
    } else {
        return -EPROTONOSUPPORT;
    }
    s->ecn = s->tos & 3;
    return total == len ? 0 : bad(err, errlen, "the IP length is not the packet's");
}

static int read_tcp(struct segment *s, struct segment_ends *ends, const uint8_t *b, uint32_t len, char *err,
                    size_t errlen)
{
    const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)b;
    uint32_t hlen = len >= sizeof(*th) ? (th->data_off >> 4) * 4u : 0;
    if (hlen < sizeof(*th) || hlen > len)
        return bad(err, errlen, "the TCP header's length is wrong");
    s->kind = SEGMENT_TCP;
    ends->sport = s->sport = rte_be_to_cpu_16(th->src_port);
    ends->dport = s->dport = rte_be_to_cpu_16(th->dst_port);
    s->flags = (uint16_t)(th->tcp_flags | (th->data_off & 1 ? SEGMENT_AE : 0));
    s->seq = rte_be_to_cpu_32(th->sent_seq);
    s->ack = rte_be_to_cpu_32(th->recv_ack);
    s->win = rte_be_to_cpu_16(th->rx_win);
    s->urg = rte_be_to_cpu_16(th->tcp_urp);
    s->has_win = true;
    s->has_urg = s->urg != 0;
    s->len = len - hlen;
    s->opt_len = (uint8_t)(hlen - sizeof(*th));
    memcpy(s->opt, th + 1, s->opt_len);
    return 0;
}

int segment_read(struct segment *s, struct segment_ends *ends, const struct rte_mbuf *m, char *err,
                 size_t errlen)
{
    uint8_t copy[65600], proto;
    uint32_t len = rte_pktmbuf_pkt_len(m), off = 0;
    memset(s, 0, sizeof(*s));
    memset(ends, 0, sizeof(*ends));
    if (len < sizeof(struct rte_ether_hdr) || len > sizeof(copy))
        return bad(err, errlen, "the frame's length is wrong");
    const uint8_t *b = rte_pktmbuf_read(m, 0, len, copy);
    b += sizeof(struct rte_ether_hdr);
    len -= (uint32_t)sizeof(struct rte_ether_hdr);
    int error = read_ip(s, ends, b, len, &proto, &off, err, errlen);
    if (error)
        return error;
    if (proto != IPPROTO_TCP && proto != IPPROTO_ICMP)
        return -EPROTONOSUPPORT;
    if (upper_cksum(ends, m, (uint32_t)sizeof(struct rte_ether_hdr) + off, proto) != 0)
        return bad(err, errlen,
                   proto == IPPROTO_TCP ? "the TCP checksum is wrong" : "the ICMP checksum is wrong");
    if (proto == IPPROTO_TCP)
        return read_tcp(s, ends, b + off, len - off, err, errlen);
    s->kind = SEGMENT_ICMP;
    s->icmp_type = b[off];
    s->icmp_code = b[off + 1];
    return 0;
}
