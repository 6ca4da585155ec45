// SPDX-License-Identifier: BSD-3-Clause
// What happens to a frame between two ends.
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include "port/sim/priv.h"

static bool chance(struct rng *r, double p)
{
    return p > 0 && (double)(rng_u64(r) >> 11) * 0x1p-53 < p;
}

static uint64_t uniform(struct rng *r, uint64_t most)
{
    return most ? rng_u64(r) % (most + 1) : 0;
}

/* Gilbert-Elliott: two states, each with its chance of loss. */
static bool lost(struct sim_end *from, const struct rte_mbuf *m)
{
    struct sim_wire *w = &from->wire;
    from->sent++;
    if (w->lose && w->lose(w->lose_arg, from->sent, rte_pktmbuf_mtod(m, const uint8_t *), m->data_len))
        return true;
    if (w->burst_enter > 0) {
        from->burst_bad =
            from->burst_bad ? !chance(&from->rng, w->burst_leave) : chance(&from->rng, w->burst_enter);
        if (from->burst_bad && chance(&from->rng, w->burst_loss))
            return true;
    }
    return chance(&from->rng, w->loss);
}

/* ECN: CE on an ECT packet (RFC 3168). False: the packet is not capable. */
static bool mark_ce(struct rte_mbuf *m)
{
    uint8_t *f = rte_pktmbuf_mtod(m, uint8_t *);
    if (m->data_len >= 34 && f[12] == 0x08 && f[13] == 0 && (f[15] & 3) != 0) {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(f + 14);
        ip->type_of_service |= 3;
        ip->hdr_checksum = 0;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
        return true;
    }
    if (m->data_len >= 54 && f[12] == 0x86 && f[13] == 0xdd && (f[15] & 0x30) != 0) {
        f[15] |= 0x30;
        return true;
    }
    return false;
}

/* Room in the queue before the rate? The simple AQM drops or marks with a chance that rises from red_min to red_max packets. */
static bool queue_takes(struct sim_end *from, struct rte_mbuf *m)
{
    struct sim_wire *w = &from->wire;
    if ((w->queue_packets && from->queued_packets >= w->queue_packets) ||
        (w->queue_bytes && from->queued_bytes + m->pkt_len > w->queue_bytes))
        return false;
    if (w->aqm != SIM_RED || from->queued_packets < w->red_min)
        return true;
    double p =
        w->red_max > w->red_min ? (double)(from->queued_packets - w->red_min) / (w->red_max - w->red_min) : 1;
    if (!chance(&from->rng, p))
        return true;
    if (w->ecn && mark_ce(m)) {
        from->stats.marked++;
        return true;
    }
    return false;
}

static void damage(struct sim_end *from, struct rte_mbuf *m)
{
    struct sim_wire *w = &from->wire;
    if (chance(&from->rng, w->corrupt)) {
        uint32_t at = rng_below(&from->rng, m->data_len);
        rte_pktmbuf_mtod(m, uint8_t *)[at] ^= (uint8_t)(1u << rng_below(&from->rng, 8));
        m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
        from->stats.corrupted++;
    }
    if (chance(&from->rng, w->truncate) && m->nb_segs == 1 && m->data_len > 1) {
        rte_pktmbuf_trim(m, (uint16_t)(1 + rng_below(&from->rng, m->data_len - 1u)));
        m->ol_flags &= ~(RTE_MBUF_F_RX_IP_CKSUM_MASK | RTE_MBUF_F_RX_L4_CKSUM_MASK);
        from->stats.truncated++;
    }
}

/* A router in between answers a packet that is too big (RFC 1191, RFC 8201), in the name of the destination. */
static struct rte_mbuf *too_big(struct sim_end *from, struct rte_mbuf *m)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    struct rte_mbuf *r = rte_pktmbuf_alloc(from->link->sim->pool);
    bool v4 = f[12] == 0x08;
    uint16_t quote = v4 ? 28 : 48;
    if (!r)
        return NULL;
    struct rte_ether_hdr *eth =
        (struct rte_ether_hdr *)rte_pktmbuf_append(r, (uint16_t)(14 + (v4 ? 20 : 40) + 8 + quote));
    if (!eth)
        return r;
    memcpy(&eth->dst_addr, f + 6, 6);
    memcpy(&eth->src_addr, f, 6);
    memcpy(&eth->ether_type, f + 12, 2);
    if (v4) {
        const struct rte_ipv4_hdr *q = (const struct rte_ipv4_hdr *)(f + 14);
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
        struct icmphdr *icmp = (struct icmphdr *)(ip + 1);
        *ip = (struct rte_ipv4_hdr){
            .version_ihl = RTE_IPV4_VHL_DEF, .time_to_live = 64, .next_proto_id = IPPROTO_ICMP};
        ip->total_length = rte_cpu_to_be_16((uint16_t)(28 + quote));
        ip->src_addr = q->dst_addr;
        ip->dst_addr = q->src_addr;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
        *icmp = (struct icmphdr){.type = ICMP_DEST_UNREACH, .code = ICMP_FRAG_NEEDED};
        icmp->un.frag.mtu = rte_cpu_to_be_16((uint16_t)from->wire.path_mtu);
        memcpy(icmp + 1, q, quote);
        icmp->checksum = (uint16_t)~rte_raw_cksum(icmp, 8u + quote);
        return r;
    }
    const struct rte_ipv6_hdr *q = (const struct rte_ipv6_hdr *)(f + 14);
    struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)(eth + 1);
    struct icmp6_hdr *icmp = (struct icmp6_hdr *)(ip + 1);
    *ip = (struct rte_ipv6_hdr){
        .vtc_flow = rte_cpu_to_be_32(6u << 28), .proto = IPPROTO_ICMPV6, .hop_limits = 64};
    ip->payload_len = rte_cpu_to_be_16((uint16_t)(8 + quote));
    memcpy(ip->src_addr, q->dst_addr, 16);
    memcpy(ip->dst_addr, q->src_addr, 16);
    *icmp = (struct icmp6_hdr){.icmp6_type = ICMP6_PACKET_TOO_BIG};
    icmp->icmp6_mtu = rte_cpu_to_be_32(from->wire.path_mtu);
    memcpy(icmp + 1, q, quote);
    icmp->icmp6_cksum = rte_ipv6_udptcp_cksum(ip, icmp);
    return r;
}

static bool exceeds_path(const struct sim_end *from, const struct rte_mbuf *m)
{
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    bool ip = m->data_len >= 62 && ((f[12] == 0x08 && f[13] == 0) || (f[12] == 0x86 && f[13] == 0xdd));
    return from->wire.path_mtu && ip && m->pkt_len - sizeof(struct rte_ether_hdr) > from->wire.path_mtu;
}

/* When the last bit has left: now without a rate. */
static uint64_t departure(struct sim_end *from, uint32_t bytes)
{
    uint64_t now = from->link->sim->now;
    if (!from->wire.rate_bps)
        return now;
    uint64_t start = from->busy_until > now ? from->busy_until : now;
    /* Preamble, check sequence and gap take 24 bytes on Ethernet. */
    from->busy_until = start + (uint64_t)(bytes + 24) * 8 * NS_PER_SEC / from->wire.rate_bps;
    return from->busy_until;
}

/* Token bucket: does the policer let it pass? */
static bool conforms(struct sim_end *from, uint32_t bytes, uint64_t departs)
{
    const struct sim_wire *w = &from->wire;
    if (!w->police_bps)
        return true;
    double refill = (double)(departs - from->policed_at) * (double)w->police_bps / (8.0 * NS_PER_SEC);
    from->tokens_missing = from->tokens_missing > refill ? from->tokens_missing - refill : 0;
    from->policed_at = departs;
    if (from->tokens_missing + bytes > w->police_bytes)
        return false;
    from->tokens_missing += bytes;
    return true;
}

static uint64_t arrival(struct sim_end *from, uint64_t departs)
{
    struct sim_wire *w = &from->wire;
    uint64_t when = departs + w->delay_ns + uniform(&from->rng, w->jitter_ns);
    if (chance(&from->rng, w->reorder)) {
        from->stats.reordered++;
        return when + w->reorder_ns;
    }
    if (when < from->last_arrival)
        when = from->last_arrival; /* jitter alone does not reorder */
    from->last_arrival = when;
    return when;
}

void sim_wire_send(struct sim_end *from, struct rte_mbuf *m, struct rte_mbuf *held)
{
    struct sim *s = from->link->sim;
    struct sim_flight f = {.from = from, .bytes = m->pkt_len, .held = held};
    from->stats.packets++;
    from->stats.bytes += m->pkt_len;
    if (s->pcap)
        sim_pcap_frame(s, m, s->now);
    if (exceeds_path(from, m)) {
        struct rte_mbuf *answer = too_big(from, m);
        if (answer)
            sim_flight_add(
                s, &(struct sim_flight){
                       .when = s->now, .m = answer, .from = sim_other(from), .bytes = answer->pkt_len});
        goto drop;
    }
    if (!queue_takes(from, m)) {
        from->stats.queue_drops++;
        goto drop;
    }
    uint64_t departs = departure(from, m->pkt_len);
    if (departs > s->now || held) {
        f.when = departs;
        f.departs = true;
        from->queued_packets++;
        from->queued_bytes += f.bytes;
        sim_flight_add(s, &f);
    }
    bool policed = !conforms(from, f.bytes, departs);
    if (policed || lost(from, m)) {
        from->stats.policed += policed;
        from->stats.lost += !policed;
        rte_pktmbuf_free(m);
        return;
    }
    damage(from, m);
    f = (struct sim_flight){.from = from, .bytes = m->pkt_len, .m = m, .when = arrival(from, departs)};
    if (chance(&from->rng, from->wire.duplicate)) {
        struct sim_flight twin = f;
        twin.m = rte_pktmbuf_copy(m, s->pool, 0, UINT32_MAX);
        if (twin.m) {
            from->stats.duplicated++;
            twin.when += uniform(&from->rng, from->wire.duplicate_ns);
            twin.m->ol_flags = m->ol_flags;
            sim_flight_add(s, &twin);
        }
    }
    sim_flight_add(s, &f);
    return;
drop:
    rte_pktmbuf_free(held);
    rte_pktmbuf_free(m);
}
