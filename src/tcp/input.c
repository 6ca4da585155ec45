// SPDX-License-Identifier: BSD-3-Clause
// Received segments: a burst is checked and hashed, its connections are fetched, then each segment passes the stations of
// RFC 9293 §3.10.7 in their order.
#include <string.h>
#include <netinet/in.h>
#include <rte_ip.h>
#include <rte_log.h>
#include <rte_prefetch.h>
#include "base/alloc.h"
#include "base/cksum.h"
#include "tcp/auth/auth.h"
#include "tcp/demux.h"
#include "tcp/input.h"
#include "tcp/log.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

#define TCP_HEADER 20u
#define BURST      32

/* The sum of the pseudo header (RFC 9293 §3.1). */
static uint32_t pseudo_sum(const struct pkt_info *info, uint32_t len)
{
    bool v4 = ip_addr_is_v4(&info->src);
    size_t at = v4 ? 12 : 0;
    uint32_t tail[2] = {rte_cpu_to_be_32(len), rte_cpu_to_be_32(IPPROTO_TCP)};
    uint32_t sum = __rte_raw_cksum(info->src.b + at, 16 - at, 0);
    sum = __rte_raw_cksum(info->dst.b + at, 16 - at, sum);
    return __rte_raw_cksum(tail, sizeof(tail), sum);
}

static bool checksum_good(const struct rte_mbuf *m, const struct pkt_info *info)
{
    if ((info->flags & PKT_CKSUM_OK) || pkt_l4_good(m))
        return true;
    return __rte_raw_cksum_reduce(pseudo_sum(info, m->pkt_len) + cksum_mbuf(m, 0, m->pkt_len)) == 0xffff;
}

static bool header_contiguous(struct rte_mbuf *m, uint32_t len)
{
    return m->data_len >= len || (m->pkt_len >= len && rte_pktmbuf_linearize(m) == 0);
}

static bool opens(const struct rte_tcp_hdr *th)
{
    return (th->tcp_flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
}

/* Is m a TCP segment at all, for us? False: counted. */
static bool packet_good(struct engine *e, struct rte_mbuf *m)
{
    struct tcp_stats *st = tcp_stats(e);
    const struct pkt_info *info = pkt_info(m);
    if (info->flags & PKT_COPY) {
        st->rcvcopy++;
    } else if (info->flags & PKT_MULTICAST) {
        st->rcvmulticast++; /* RFC 9293 §3.9.2.3, RFC 1122 §4.2.3.10 */
    } else if (!header_contiguous(m, TCP_HEADER)) {
        st->rcvshort++;
    } else {
        const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
        uint32_t hlen = (th->data_off >> 4) * 4u;
        if (opens(th) && syncache_sheds(e->tcp, info, th))
            return false; /* counted there */
        if (hlen < TCP_HEADER || !header_contiguous(m, hlen))
            st->rcvbadoff++;
        else if (!checksum_good(m, info))
            st->rcvbadsum++;
        else
            return true;
    }
    return false;
}

static void segment_parse(struct tcp_stats *st, struct rte_mbuf *m, struct tcp_segment *s)
{
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    uint32_t hlen = (th->data_off >> 4) * 4u;
    s->m = m;
    s->th = th;
    s->seq = rte_be_to_cpu_32(th->sent_seq);
    s->ack = rte_be_to_cpu_32(th->recv_ack);
    s->wnd = rte_be_to_cpu_16(th->rx_win);
    s->flags = th->tcp_flags;
    s->skip = hlen;
    s->len = m->pkt_len - hlen;
    s->predicted = false;
    s->marked = 0;
    tcp_options_parse(&s->opt, (const uint8_t *)(th + 1), hlen - TCP_HEADER, s->flags & RTE_TCP_SYN_FLAG);
    st->rcvbadopt += (s->opt.seen & TOF_BAD) != 0;
    st->rcvurg += (s->flags & RTE_TCP_URG_FLAG) != 0;
}

/* What was promised is enough nearly always. */
static bool in_window(const struct tcb *tp, uint32_t len)
{
    return (int32_t)len <= (int32_t)(tp->rcv_adv - tp->rcv_nxt) || len <= tcp_window_left(tp);
}

/*
 * Header prediction: the next segment of an established connection, nothing special about it. All it saves is asking what is known:
 * the stations behind are the same.
 */
static bool predict(const struct tcb *tp, const struct tcp_segment *s)
{
    const uint8_t special = RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG;
    if (tp->state != TCPS_ESTABLISHED || (s->flags & special) != RTE_TCP_ACK_FLAG || s->seq != tp->rcv_nxt ||
        tp->reass || !in_window(tp, s->len))
        return false;
    return !tcp_has_timestamps(tp) ||
           ((s->opt.seen & TOF_TS) && (int32_t)(s->opt.tsval - tp->ts_recent) >= 0);
}

/* RFC 7323 §4.3: last_ack_sent, so that with delayed ACKs the oldest unacked segment's time comes back. */
static void timestamp_update(struct tcb *tp, const struct tcp_segment *s)
{
    if ((s->opt.seen & TOF_TS) && tcp_has_timestamps(tp) && seq_leq(s->seq, tp->last_ack_sent) &&
        (int32_t)(s->opt.tsval - tp->ts_recent) >= 0) {
        tp->ts_recent = s->opt.tsval;
        tp->ts_recent_at = tp->e->now;
    }
}

/* RFC 9293 §3.10.7.4, from the sixth step on. */
static void segment_text(struct tcb *tp, struct tcp_segment *s)
{
    if (s->len > 0 || (s->flags & RTE_TCP_FIN_FLAG))
        tcp_input_payload(tp, s);
}

static void segment_synchronized(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tcp_stats(tp->e);
    s->predicted = predict(tp, s);
    if (s->predicted) {
        st->rcvfastdata += s->len > 0;
        st->rcvfastack += s->len == 0;
    } else if (!tcp_validate(tp, s)) {
        return;
    }
    enum ecn_field field = segment_info(s)->tos & 3;
    if (tp->ecn | field)
        ecn_input(tp, s, field);
    if (!(s->flags & RTE_TCP_ACK_FLAG)) {
        st->rcvnoack++;
        return;
    }
    if (tp->state == TCPS_SYN_RECEIVED && !tcp_input_syn_received(tp, s))
        return;
    if (!tcp_input_ack(tp, s))
        return;
    timestamp_update(
        tp, s); /* not earlier: who guesses an ACK wrong must not set our clock of the peer (RFC 5961 §5) */
    segment_text(tp, s);
}

static void segment_no_connection(struct engine *e, struct tcp_segment *s)
{
    const struct tcp_params *p = &e->tcp->params;
    const struct pkt_info *info = segment_info(s);
    bool silent = p->blackhole == 1 ? (s->flags & RTE_TCP_SYN_FLAG) : p->blackhole > 1;
    if (p->log_in_vain == 2 || (p->log_in_vain == 1 && (s->flags & RTE_TCP_SYN_FLAG))) {
        char src[IP_ADDR_STRLEN], dst[IP_ADDR_STRLEN];
        RTE_LOG(INFO, USER1, "TCP segment to closed port: %s:%u -> %s:%u flags 0x%x\n",
                ip_addr_str(&info->src, src), rte_be_to_cpu_16(s->th->src_port), ip_addr_str(&info->dst, dst),
                rte_be_to_cpu_16(s->th->dst_port), s->flags);
    }
    if (silent && (p->blackhole_local || !ip_addr_find(e, &info->src))) {
        tcp_stats(e)->rcvblackholed++;
        return;
    }
    tcp_stats(e)->rcvnoconn++;
    tcp_refuse(e, demux_find_bound(e->tcp, &info->dst, s->th->dst_port), s);
}

static void segment_connection(struct tcb *tp, struct tcp_segment *s);

/* Recurses no further: a new connection is in SYN_RECEIVED. No connection has a group's address, so nobody else needs to ask. */
static void segment_listener(struct engine *e, struct tcp_segment *s)
{
    const struct pkt_info *info = segment_info(s);
    if (ip_addr_is_multicast(&info->dst) || ip_addr_is_multicast(&info->src)) {
        tcp_stats(e)->rcvmulticast++;
        return;
    }
    struct tcb *listener = demux_find_listener(e->tcp, info->hash, &info->dst, s->th->dst_port);
    s->auth = (struct auth_choice){0};
    if (!listener) {
        segment_no_connection(e, s);
        return;
    }
    if (tcp_auth_concerns(listener, s) && !tcp_auth_listen(listener, s, &s->auth))
        return;
    struct tcb *tp = tcp_input_listen(listener, s);
    if (tp)
        segment_connection(tp, s);
}

static void segment_connection(struct tcb *tp, struct tcp_segment *s)
{
    struct engine *e = tp->e;
    tp->segs_in++;
    if (tcp_auth_concerns(tp, s) && !tcp_auth_input(tp, s))
        return;
    if (tcp_logging(tp))
        tcp_log_in(tp, s);
    switch (tp->state) {
    case TCPS_SYN_SENT:
        if (tcp_input_syn_sent(tp, s))
            segment_text(tp, s);
        break;
    case TCPS_TIME_WAIT:
        if (tcp_input_time_wait(tp, s))
            segment_listener(e, s);
        break;
    default:
        segment_synchronized(tp, s);
    }
}

static void segment_input(struct engine *e, struct rte_mbuf *m)
{
    const struct pkt_info *info = pkt_info(m);
    struct tcp_segment s;
    segment_parse(tcp_stats(e), m, &s);
    if ((s.flags & RTE_TCP_SYN_FLAG) && (s.flags & RTE_TCP_FIN_FLAG) && e->tcp->params.drop_synfin) {
        tcp_stats(e)->rcvsynfin++;
        rte_pktmbuf_free(m);
        return;
    }
    struct tcb *tp = demux_find(e->tcp, info->hash, &info->src, &info->dst, s.th->src_port, s.th->dst_port);
    if (tp)
        segment_connection(tp, &s);
    else
        segment_listener(e, &s);
    if (s.m) /* else its data was taken */
        pkt_free(s.m);
}

/* Hashes all first, so that the buckets and then the connections are on their way while others are looked at. */
static uint16_t burst_prepare(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    struct demux *d = e->tcp->demux;
    uint16_t good = 0;
    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = pkts[i];
        if (!packet_good(e, m)) {
            rte_pktmbuf_free(m);
            continue;
        }
        const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
        struct pkt_info *info = pkt_info(m);
        info->hash = demux_hash(e, &info->src, &info->dst, th->src_port, th->dst_port);
        rte_prefetch0(demux_bucket(d, info->hash));
        pkts[good++] = m;
    }
    for (uint16_t i = 0; i < good; i++) {
        const struct tcb *tp = *demux_bucket(d, pkt_info(pkts[i])->hash);
        if (!tp)
            continue;
        const char *hot = (const char *)&tp->e;
        rte_prefetch0(tp);
        rte_prefetch0(hot);
        rte_prefetch0(hot + RTE_CACHE_LINE_SIZE);
    }
    return good;
}

void tcp_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n)
{
    tcp_stats(e)->rcvtotal += n;
    for (uint16_t at = 0; at < n; at += BURST) {
        uint16_t burst = RTE_MIN(BURST, n - at);
        uint16_t good = burst_prepare(e, pkts + at, burst);
        for (uint16_t i = 0; i < good; i++)
            segment_input(e, pkts[at + i]);
    }
}
