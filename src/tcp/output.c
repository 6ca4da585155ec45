// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/output.h"
#include <errno.h>
#include <string.h>
#include <rte_tcp.h>
#include "base/alloc.h"
#include "base/txlen.h"
#include "tcp/accecn.h"
#include "tcp/auth/auth.h"
#include "tcp/log.h"
#include "tcp/options.h"
#include "tcp/stats.h"
#include "tcp/tcp.h"

#define TCP_HEADER 20u
#define MAX_WINDOW 65535u

/* What a segment is, before it is one. */
struct segment {
    tcp_seq seq;
    uint32_t len;
    uint8_t flags;
    uint8_t ace, ecn;  /* ECN flags of the TCP header, field of the IP header */
    bool stamps_alone; /* the usual options: not in options, but written where they leave */
    uint64_t sum;      /* of what has been written, where the port leaves checksums to us; else 0 */
    unsigned optlen;
    uint8_t options[TCP_OPTIONS_MAX];
};

/* The window field; remembers the edge that it announces, which never moves back (RFC 9293 §3.8.6). Inline although headers are written in two
 * places: a call is 10 instructions a segment. */
static __rte_always_inline uint16_t window_field(struct tcb *tp, uint8_t flags)
{
    uint32_t wnd = tcp_receive_window(tp);
    unsigned scale = flags & RTE_TCP_SYN_FLAG ? 0 : tp->rcv_scale;
    uint32_t promised = seq_gt(tp->rcv_adv, tp->rcv_nxt) ? tp->rcv_adv - tp->rcv_nxt : 0;
    uint32_t said = promised > wnd && !(flags & RTE_TCP_SYN_FLAG) ? promised : wnd;
    uint32_t field =
        (said + (1u << scale) - 1) >> scale; /* rounded up, as FreeBSD: else scaling takes back a part */
    if (field > MAX_WINDOW)
        field = MAX_WINDOW;
    if (__builtin_expect(field == 0, 0)) {
        tp->snd_zerowin++;
        tp->flags |= TF_RXWIN0SENT;
    }
    tp->rcv_wnd = wnd;
    if (seq_gt(tp->rcv_nxt + (field << scale), tp->rcv_adv))
        tp->rcv_adv = tp->rcv_nxt + (field << scale);
    return (uint16_t)field;
}

/* Of what the header's fields were made of, not of the packet: to load in other widths what was stored just before waits until every store
 * before that has left the core, those into the packets' cold buffers too. window: the field. */
static __rte_noinline uint64_t header_sum(const struct tcb *tp, const struct segment *s, uint16_t window)
{
    uint32_t options[TCP_OPTIONS_MAX / sizeof(uint32_t)];
    uint64_t sum = (uint64_t)tp->lport + tp->fport + htonl(s->seq) + window;
    sum += s->flags & RTE_TCP_ACK_FLAG ? htonl(tp->rcv_nxt) : 0;
    sum += tcp_flags_field(TCP_HEADER + s->optlen, s->flags, s->ace);
    if (s->stamps_alone)
        tcp_options_stamps(tp, options);
    else
        memcpy(options, s->options, s->optlen);
    for (unsigned i = 0; i < s->optlen / sizeof(options[0]); i++)
        sum += options[i];
    return sum;
}

/* A large packet that is cut later, and a signed one, are not summed here. */
static bool summed_here(const struct tcb *tp, const struct segment *s)
{
    return __builtin_expect(tp->path.netif->sums_tcp, 0) && s->len <= tp->maxseg && !(tp->flags & TF_AUTH);
}

/* Where m's data begins. kind: what ol_flags says of m's buffer. */
static inline void write_header(struct tcb *tp, struct segment *s, struct rte_mbuf *m, uint64_t kind)
{
    unsigned hlen = TCP_HEADER + s->optlen;
    struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
    m->tx_offload = rte_mbuf_tx_offload(0, 0, hlen, 0, 0, 0, 0);
    m->ol_flags = kind | RTE_MBUF_F_TX_TCP_CKSUM;
    th->src_port = tp->lport;
    th->dst_port = tp->fport;
    th->sent_seq = htonl(s->seq);
    th->recv_ack = s->flags & RTE_TCP_ACK_FLAG ? htonl(tp->rcv_nxt) : 0;
    *(uint16_t *)&th->data_off = tcp_flags_field(hlen, s->flags, s->ace);
    th->rx_win = s->flags & RTE_TCP_RST_FLAG ? 0 : htons(window_field(tp, s->flags));
    th->cksum = 0;
    th->tcp_urp = 0;
    if (s->stamps_alone)
        tcp_options_stamps(tp, (uint32_t *)(th + 1));
    else
        memcpy(th + 1, s->options, s->optlen);
    s->sum = summed_here(tp, s) ? header_sum(tp, s, th->rx_win) : 0;
}

static struct rte_mbuf *build(struct tcb *tp, struct segment *s)
{
    struct rte_mbuf *m = pkt_alloc(tp->e->pkt_pool);
    if (!m)
        return NULL;
    unsigned hlen = TCP_HEADER + s->optlen;
    m->data_len = (uint16_t)hlen;
    m->pkt_len = hlen;
    write_header(tp, s, m, 0);
    return m;
}

/* The black box has it before it leaves, and its errno afterwards. */
static __rte_noinline int to_ip_logged(struct tcb *tp, struct rte_mbuf *m, const struct ip_send *how)
{
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    uint32_t len = m->pkt_len - (uint32_t)(th->data_off >> 4) * 4;
    bool rexmit = len > 0 && seq_lt(ntohl(th->sent_seq), tp->snd_max);
    struct bb_record *r = tcp_log_out(tp, m, len, rexmit);
    int err = ip_output(tp->e, m, how);
    if (r)
        r->b.tlb_errno = -err;
    return err;
}

/* What few connections want: a signature, or fragments instead of path MTU discovery. False: m is gone. */
static __rte_noinline bool finish_special(struct tcb *tp, struct rte_mbuf *m, struct ip_send *how)
{
    how->dont_fragment = how->dont_fragment && !(tp->flags & TF_FRAGMENT);
    if (!(tp->flags & TF_AUTH) || tcp_auth_sign(tp, m))
        return true;
    rte_pktmbuf_free(m);
    return false;
}

static int to_ip(struct tcb *tp, struct rte_mbuf *m, const struct segment *s)
{
    struct ip_send how = {
        .src = &tp->laddr,
        .dst = &tp->faddr,
        .proto = IPPROTO_TCP,
        .tos = tp->tos | s->ecn,
        .ttl = tp->ttl,
        .dont_fragment = tp->e->tcp->params.path_mtu_discovery,
        .sum = s->sum,
        .path = &tp->path,
    };
    if (__builtin_expect(tp->flags & (TF_AUTH | TF_FRAGMENT), 0) && !finish_special(tp, m, &how))
        return -ENOBUFS;
    tp->segs_out++;
    tcp_stats(tp->e)->sndtotal++;
    if (tcp_logging(tp))
        return to_ip_logged(tp, m, &how);
    return ip_output(tp->e, m, &how);
}

/* An ACK has left with the segment. */
static void ack_sent(struct tcb *tp)
{
    tp->flags &= ~(TF_ACKNOW | TF_DELACK | TF_ECN_OPTION);
    tcp_timer_stop(tp, TT_DELACK);
    tp->last_ack_sent = tp->rcv_nxt;
    tp->segs_unacked = 0;
}

static void count(struct tcb *tp, const struct segment *s, bool rexmit)
{
    struct tcp_stats *st = tcp_stats(tp->e);
    if (s->len == 0) {
        if (s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG | RTE_TCP_RST_FLAG))
            st->sndctrl++;
        else
            st->sndacks++;
    } else if (rexmit) {
        if (tp->pmtu.flying)
            tcp_pmtu_resent(tp, s->seq);
        if (tp->ecn & TE_ACCURATE)
            accecn_resent(tp, s->seq, s->len);
        st->sndrexmitpack++;
        st->sndrexmitbyte += s->len;
        tp->rexmit_segs++;
        tp->rexmit_bytes += s->len;
    } else {
        st->sndpack++;
        st->sndbyte += s->len;
        tp->bytes_out += s->len;
    }
}

/* What follows is made ready when it is about to leave. */
static __rte_noinline void want_more(const struct tcb *tp)
{
    struct extent *x = tp->snd.pending;
    if (x->kind == EXTENT_REF && x->want && !tcp_ready_ahead(tp))
        x->want(x);
}

/* The sequence space moved: SYN and FIN count one each. */
static void advance(struct tcb *tp, const struct segment *s)
{
    uint64_t now = tp->e->now;
    tcp_seq end = s->seq + s->len + !!(s->flags & RTE_TCP_SYN_FLAG) + !!(s->flags & RTE_TCP_FIN_FLAG);
    bool rexmit = seq_lt(s->seq, tp->snd_max);
    count(tp, s, rexmit);
    if (end == s->seq)
        return;
    if (s->flags & RTE_TCP_FIN_FLAG)
        tp->flags |= TF_SENTFIN;
    if (!rexmit && s->len > 0 && s->len < tp->maxseg)
        tp->snd_sml = end;
    if (seq_gt(end, tp->snd_nxt))
        tp->snd_nxt = end;
    if (seq_gt(end, tp->snd_max))
        tp->snd_max = end;
    tp->last_snd = now;
    tcp_timer_stop(tp, TT_PERSIST);
    if (!tcp_timer_armed(tp, TT_REXMT))
        rto_arm(tp, now);
    struct tcp_sent sent = {.seq = s->seq, .len = s->len, .flags = s->flags, .rexmit = rexmit, .now = now};
    tp->stack->sent(tp, &sent);
}

/* Nothing could be sent: the retransmission timer sees to it that it is tried again. */
static int not_sent(struct tcb *tp, int err)
{
    tcp_stats(tp->e)->sndnomem++;
    TCP_LOG_EVENT(tp, BBR_LOG_ENOBUF_JMP, .flex1 = (uint32_t)-err);
    if (err == -ENOBUFS)
        tcp_trace_point(tp, TP_ENOBUF);
    if (!tcp_timer_armed(tp, TT_REXMT) && !tcp_timer_armed(tp, TT_PERSIST))
        rto_arm(tp, tp->e->now);
    return err;
}

/* Timestamps where they are in use, SACK blocks, AccECN. */
static void choose_options(struct tcb *tp, struct segment *s)
{
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    bool sack = tp->reass || tp->dsack_start != tp->dsack_end;
    s->stamps_alone = !sack && (tp->flags & (stamps | TF_NOOPT | TF_AUTH | TF_ECN_OPTION)) == stamps;
    s->optlen = s->stamps_alone ? TCPOLEN_TIMESTAMP_APPA : tcp_options_data(tp, s->options, true);
}

/* A full segment stays within the path's MTU with SACK blocks: len is cut for them. */
static void segment_options(struct tcb *tp, struct segment *s)
{
    choose_options(tp, s);
    if (s->stamps_alone || s->optlen == 0)
        return;
    uint8_t plain[TCP_OPTIONS_MAX];
    uint32_t extra = s->optlen - tcp_options_data(tp, plain, false);
    if (extra > 0 && extra < tp->maxseg && s->len > tp->maxseg - extra)
        s->len = tp->maxseg - extra;
}

static __rte_noinline int attach_summed(struct tcb *tp, uint32_t off, struct segment *s, struct rte_mbuf *m)
{
    int32_t sum;
    int err = sendbuf_attach(&tp->snd, off, s->len, m, &sum);
    s->sum = sum == SENDBUF_REFERRED ? 0 : s->sum + (uint32_t)sum;
    return err;
}

static int attach(struct tcb *tp, uint32_t off, struct segment *s, struct rte_mbuf *m)
{
    if (__builtin_expect(s->sum != 0, 0))
        return attach_summed(tp, off, s, m);
    return sendbuf_attach(&tp->snd, off, s->len, m, NULL);
}

/* The header before the payload where that lies. NULL: there is no room for it. */
static __rte_noinline struct rte_mbuf *build_in_place(struct tcb *tp, uint32_t off, struct segment *s)
{
    uint16_t sum, hlen = (uint16_t)(TCP_HEADER + s->optlen);
    if (s->len == 0 || s->len > tp->maxseg)
        return NULL;
    struct rte_mbuf *m = sendbuf_piece(&tp->snd, off, s->len, &sum);
    if (!m)
        return NULL;
    m->data_off -= hlen;
    m->data_len += hlen;
    m->pkt_len = m->data_len;
    write_header(tp, s, m, RTE_MBUF_F_EXTERNAL);
    s->sum += s->sum ? sum : 0;
    return m;
}

int tcp_output_segment(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    struct segment s; /* options are written before they are read */
    s.seq = seq;
    s.len = len;
    s.flags = RTE_TCP_ACK_FLAG;
    s.ace = s.ecn = 0;
    int err = tcp_path_refresh(tp);
    if (err < 0)
        return not_sent(tp, err);
    segment_options(tp, &s);
    uint32_t off = seq - tp->snd_una;
    if (off + s.len == tp->snd.bytes) {
        if (s.len > 0)
            s.flags |= RTE_TCP_PSH_FLAG;
        if (tp->flags & TF_FIN_QUEUED)
            s.flags |= RTE_TCP_FIN_FLAG;
    }
    if (tp->ecn)
        s.ecn = ecn_output(tp, &s.ace, s.len > 0 && seq_geq(seq, tp->snd_max));
    struct rte_mbuf *m;
    if (__builtin_expect(tp->snd.segment == 0, 1) || !(m = build_in_place(tp, off, &s))) {
        m = build(tp, &s);
        if (!m)
            return not_sent(tp, -ENOBUFS);
        if (s.len > 0 && attach(tp, off, &s, m) < 0) {
            rte_pktmbuf_free(m);
            return not_sent(tp, -ENOBUFS);
        }
    }
    if (s.len > tp->maxseg && !tcp_pmtu_probe_sent(tp, seq, s.len)) {
        m->ol_flags |= RTE_MBUF_F_TX_TCP_SEG;
        pkt_set_tso_segsz(m, tp->maxseg);
    }
    if (__builtin_expect(tp->flags & TF_ECN_OPTION, 0))
        accecn_sent(tp, seq, s.len);
    ack_sent(tp);
    err = to_ip(tp, m, &s);
    advance(tp, &s);
    if (__builtin_expect(tp->snd.pending != NULL, 0))
        want_more(tp);
    return err;
}

int tcp_output_syn(struct tcb *tp)
{
    return tcp_output_opening(tp, 0, 0);
}

int tcp_output_opening(struct tcb *tp, uint32_t len, uint32_t mss)
{
    struct segment s = {.seq = tp->iss, .flags = RTE_TCP_SYN_FLAG};
    bool fastopen;
    int err = tcp_path_refresh(tp);
    if (err < 0)
        return not_sent(tp, err);
    if (tp->state == TCPS_SYN_RECEIVED)
        s.flags |= RTE_TCP_ACK_FLAG;
    s.ace = tp->state == TCPS_SYN_RECEIVED ? ecn_own_synack_flags(tp) : ecn_syn_flags(tp);
    s.optlen = tcp_options_syn(tp, s.options, &fastopen);
    if (len > 0 && mss > s.optlen && (fastopen || tp->state == TCPS_SYN_RECEIVED))
        s.len = RTE_MIN(len, mss - s.optlen);
    struct rte_mbuf *m = build(tp, &s);
    if (!m)
        return not_sent(tp, -ENOBUFS);
    if (s.len > 0 && attach(tp, 0, &s, m) < 0) {
        rte_pktmbuf_free(m);
        return not_sent(tp, -ENOBUFS);
    }
    if (s.flags & RTE_TCP_ACK_FLAG)
        ack_sent(tp);
    err = to_ip(tp, m, &s);
    advance(tp, &s);
    return err;
}

int tcp_output_early(struct tcb *tp, uint32_t len)
{
    struct segment s = {.seq = tp->snd_nxt, .len = len, .flags = RTE_TCP_ACK_FLAG};
    uint32_t off = tp->snd_nxt - (tp->iss + 1); /* the SYN is not acknowledged yet */
    int err = tcp_path_refresh(tp);
    if (err < 0)
        return not_sent(tp, err);
    s.optlen = tcp_options_data(tp, s.options, false);
    if (off + len == tp->snd.bytes)
        s.flags |= RTE_TCP_PSH_FLAG;
    struct rte_mbuf *m = build(tp, &s);
    if (!m)
        return not_sent(tp, -ENOBUFS);
    if (attach(tp, off, &s, m) < 0) {
        rte_pktmbuf_free(m);
        return not_sent(tp, -ENOBUFS);
    }
    ack_sent(tp);
    err = to_ip(tp, m, &s);
    advance(tp, &s);
    if (tp->snd.pending)
        want_more(tp);
    return err;
}

/* A segment without data that takes no sequence space. */
static int output_bare(struct tcb *tp, struct segment *s)
{
    int err = tcp_path_refresh(tp);
    if (err < 0)
        return err;
    if (s->flags & RTE_TCP_RST_FLAG)
        s->optlen = tcp_options_signature(tp, s->options);
    else
        choose_options(tp, s);
    if (tp->ecn && !(s->flags & RTE_TCP_RST_FLAG))
        ecn_output(tp, &s->ace, false);
    struct rte_mbuf *m = build(tp, s);
    if (!m) {
        tcp_stats(tp->e)->sndnomem++;
        return -ENOBUFS;
    }
    return to_ip(tp, m, s);
}

/* Our FIN is all that is in flight. */
static bool fin_unacked_alone(const struct tcb *tp)
{
    bool closing = tp->state == TCPS_FIN_WAIT_1 || tp->state == TCPS_CLOSING || tp->state == TCPS_LAST_ACK;
    return closing && tp->snd.bytes == 0 && tp->snd_max == tp->snd_una + 1;
}

int tcp_output_ack(struct tcb *tp)
{
    struct segment s = {.seq = tp->snd_nxt, .flags = RTE_TCP_ACK_FLAG};
    bool update = !(tp->flags & (TF_ACKNOW | TF_DELACK));
    if (seq_lt(s.seq, tp->snd_max) && tp->snd_una == tp->snd_nxt)
        s.seq = tp->snd_max; /* RFC 9293 §3.10.7.4: SND.NXT, not where a retransmission went back to */
    if (fin_unacked_alone(tp) &&
        s.seq == tp->snd_max) { /* as FreeBSD: an ACK repeats the FIN that waits for its own */
        s.seq--;
        s.flags |= RTE_TCP_FIN_FLAG;
    }
    int err = output_bare(tp, &s);
    if (err == -ENOBUFS) {
        /* Still owed: as a delayed one, so that a short famine passes. */
        tp->flags &= ~TF_ACKNOW;
        tp->flags |= TF_DELACK;
        tcp_timer_arm(tp, TT_DELACK, tp->e->now + tp->e->tcp->params.delacktime_ms * NS_PER_MS);
        return err;
    }
    bool option = tp->flags & TF_ECN_OPTION;
    ack_sent(tp);
    if (option)
        accecn_ack_sent(tp);
    if (update)
        tcp_stats(tp->e)->sndwinup++;
    else
        tcp_stats(tp->e)->sndacks++;
    return err;
}

int tcp_output_challenge(struct tcb *tp)
{
    struct segment s = {.seq = tp->snd_max, .flags = RTE_TCP_ACK_FLAG};
    int err = output_bare(tp, &s);
    if (err == 0) {
        ack_sent(tp);
        tcp_stats(tp->e)->sndacks++;
    }
    return err;
}

void tcp_output_reset(struct tcb *tp)
{
    struct segment s = {.seq = tp->snd_max, .flags = RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG};
    if (tp->state == TCPS_SYN_SENT || tp->state == TCPS_LISTEN || tp->state == TCPS_CLOSED)
        return; /* nobody there who would know the connection (RFC 9293 §3.10.5) */
    tcp_stats(tp->e)->sndrst++;
    output_bare(tp, &s);
}

int tcp_output_probe(struct tcb *tp, bool with_byte)
{
    struct segment s = {.seq = tp->snd_una - 1, .flags = RTE_TCP_ACK_FLAG};
    if (!with_byte || tp->snd.ready == 0) {
        int err = output_bare(tp, &s);
        tcp_stats(tp->e)->sndprobe += with_byte;
        return err;
    }
    /* One byte beyond the window. It is sent, but it is not in flight: snd_nxt stays, and an open window sends it again. */
    s.seq = tp->snd_una;
    s.len = 1;
    int err = tcp_path_refresh(tp);
    if (err < 0)
        return err;
    choose_options(tp, &s);
    if (tp->ecn)
        ecn_output(tp, &s.ace, false);
    struct rte_mbuf *m = build(tp, &s);
    if (!m || attach(tp, 0, &s, m) < 0) {
        rte_pktmbuf_free(m);
        tcp_stats(tp->e)->sndnomem++;
        return -ENOBUFS;
    }
    tcp_stats(tp->e)->sndprobe++;
    ack_sent(tp);
    if (seq_gt(tp->snd_una + 1, tp->snd_max))
        tp->snd_max = tp->snd_una + 1;
    return to_ip(tp, m, &s);
}

void tcp_respond(struct engine *e, const struct tcb *tp, struct rte_mbuf *m, tcp_seq seq, tcp_seq ack,
                 uint8_t flags)
{
    const struct pkt_info *info = pkt_info(m);
    const struct rte_tcp_hdr *got = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    struct ip_path path;
    uint32_t scope = ip_addr_is_link_local(&info->src) ? info->netif->index : 0;
    if (ip_path_find(e, &info->dst, &info->src, scope, &path) < 0)
        return;
    struct rte_mbuf *r = pkt_alloc(e->pkt_pool);
    if (!r) {
        tcp_stats(e)->sndnomem++;
        return;
    }
    uint8_t options[40];
    unsigned optlen = tp ? tcp_auth_respond_option(tp, &info->src, options) : 0, hlen = TCP_HEADER + optlen;
    struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_append(r, (uint16_t)hlen);
    *th = (struct rte_tcp_hdr){
        .src_port = got->dst_port,
        .dst_port = got->src_port,
        .sent_seq = htonl(seq),
        .recv_ack = flags & RTE_TCP_ACK_FLAG ? htonl(ack) : 0,
        .data_off = (uint8_t)(hlen << 2),
        .tcp_flags = flags,
    };
    memcpy(th + 1, options, optlen);
    r->l4_len = hlen;
    if (optlen > 0 && !tcp_auth_sign_answer(tp, m, r)) {
        rte_pktmbuf_free(r);
        return;
    }
    r->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    struct ip_send how = {
        .src = &info->dst, .dst = &info->src, .proto = IPPROTO_TCP, .dont_fragment = true, .path = &path};
    if (tp) {
        how.tos = tp->tos;
        how.ttl = tp->ttl;
    }
    tcp_stats(e)->sndtotal++;
    if (flags & RTE_TCP_RST_FLAG)
        tcp_stats(e)->sndrst++;
    ip_output(e, r, &how);
}
