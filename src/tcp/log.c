// SPDX-License-Identifier: BSD-3-Clause
// The black box of a connection: its state as a record, who is recorded, and the rounds of the layer.
#include "tcp/log.h"
#include <errno.h>
#include <string.h>
#include "tcp/ecn.h"
#include "tcp/input.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/reassembly.h"

enum { AF_INET_BSD = 2, AF_INET6_BSD = 28 };

/* FreeBSD's positions (tcp_var.h), which Wireshark names. */
static const struct flag_name {
    uint32_t ours, freebsd;
} flag_map[] = {
    {TF_ACKNOW, 1u << 0},      {TF_DELACK, 1u << 1},        {TF_NODELAY, 1u << 2},
    {TF_NOOPT, 1u << 3},       {TF_SENTFIN, 1u << 4},       {TF_REQ_SCALE, 1u << 5},
    {TF_RCVD_SCALE, 1u << 6},  {TF_REQ_TSTMP, 1u << 7},     {TF_RCVD_TSTMP, 1u << 8},
    {TF_SACK_PERMIT, 1u << 9}, {TF_FIN_QUEUED, 1u << 11},   {TF_NOPUSH, 1u << 12},
    {TF_MORETOCOME, 1u << 16}, {TF_RXWIN0SENT, 1u << 19},   {TF_RECOVERY, 1u << 20},
    {TF_AUTH, 1u << 22},       {TF_RTO_RECOVERY, 1u << 29}, {TF_FASTOPEN, 1u << 31},
};

static uint32_t freebsd_flags(uint32_t flags)
{
    uint32_t out = 0;
    for (unsigned i = 0; i < RTE_DIM(flag_map); i++)
        if (flags & flag_map[i].ours)
            out |= flag_map[i].freebsd;
    return out;
}

static uint32_t freebsd_flags2(const struct tcb *tp, bool auto_selected)
{
    uint32_t out = tp->ecn & TE_ON ? 1u << 5 : 0;
    if (tp->ecn & TE_SEND_CWR)
        out |= 1u << 6;
    if (tp->ecn & TE_SEND_ECE)
        out |= 1u << 7;
    if (tp->ecn & TE_ACCURATE)
        out |= 1u << 8;
    if (auto_selected)
        out |= 1u << 3;
    return out;
}

static uint32_t us(uint64_t ns)
{
    return (uint32_t)(ns / NS_PER_US);
}

static uint32_t ms(uint64_t ns)
{
    return (uint32_t)(ns / NS_PER_MS);
}

/* What a record keeps of a connection until it leaves: the line that every segment touches as it is, and the few members from elsewhere. */
#define HOT_FROM offsetof(struct tcb, state)
#define HOT_TO   offsetof(struct tcb, stack)
struct picture {
    uint8_t hot[HOT_TO - HOT_FROM];
    uint64_t srtt, rttvar, started;
    uint32_t snd[2]; /* bytes, ready */
    uint32_t rcv_bytes, rcv_lent, iss, recover;
    uint16_t runs, holes;
    bool bytes_in, bytes_out, auto_selected;
};
_Static_assert(sizeof(struct picture) <= BB_RAW_BYTES &&
                   offsetof(struct sendbuf, ready) == offsetof(struct sendbuf, bytes) + sizeof(uint32_t),
               "");

/* What is 0, or what is between snd_una and snd_max, while nothing is lost. */
static __attribute__((noinline)) void rarer(const struct tcb *tp, struct bb_record *r)
{
    struct picture *p = (struct picture *)&r->b.tlb_rxbuf;
    p->runs = tp->reass ? (uint16_t)tp->reass->runs : 0;
    p->holes = tp->recovery ? (uint16_t)tp->recovery->n : 0;
    r->inflight = tp->stack->pipe(tp);
    r->inflight_known = true;
}

static void snapshot(const struct tcb *tp, struct bb_record *r)
{
    struct picture *p = (struct picture *)&r->b.tlb_rxbuf;
    memcpy(p->hot, (const uint8_t *)tp + HOT_FROM, sizeof(p->hot));
    p->srtt = tp->srtt;
    p->rttvar = tp->rttvar;
    p->started = tp->started;
    memcpy(p->snd, &tp->snd.bytes, sizeof(p->snd));
    p->rcv_bytes = tp->rcv.bytes;
    p->rcv_lent = tp->rcv.lent;
    p->iss = tp->iss;
    p->recover = tp->recover;
    p->runs = p->holes = 0;
    p->bytes_in = tp->bytes_in != 0;
    p->bytes_out = tp->bytes_out != 0;
    p->auto_selected = tp->log->auto_selected;
    r->raw = true;
    r->b.tlb_stackid = (uint8_t)tcp_stack_id(tp->stack);
    r->b.tlb_eventflags = TLB_FLAG_RXBUF | TLB_FLAG_TXBUF;
    r->b.tlb_errno = 0;
    r->b.tlb_len = 0;
    if (__builtin_expect(tp->recovery || tp->reass || tp->stack != &tcp_stack_default, 0))
        rarer(tp, r);
}

/* When the record leaves. */
static void finish(const struct bb_record *r, struct tcp_log_buffer *b)
{
    const struct picture *p = (const struct picture *)&r->b.tlb_rxbuf;
    struct tcb tp = {0};
    memcpy((uint8_t *)&tp + HOT_FROM, p->hot, sizeof(p->hot));
    b->tlb_rxbuf = (struct tcp_log_sockbuf){p->rcv_bytes, p->rcv_bytes + p->rcv_lent, 0};
    b->tlb_txbuf = (struct tcp_log_sockbuf){p->snd[1], p->snd[0], 0};
    b->tlb_state = tp.state;
    b->tlb_starttime = ms(p->started);
    b->tlb_iss = p->iss;
    b->tlb_flags = freebsd_flags(tp.flags);
    b->tlb_flags2 = freebsd_flags2(&tp, p->auto_selected);
    b->tlb_snd_una = tp.snd_una;
    b->tlb_snd_max = tp.snd_max;
    b->tlb_snd_cwnd = tp.cwnd;
    b->tlb_snd_nxt = tp.snd_nxt;
    b->tlb_snd_recover = p->recover;
    b->tlb_snd_wnd = tp.snd_wnd;
    b->tlb_snd_ssthresh = tp.ssthresh;
    b->tlb_srtt = us(p->srtt);
    b->tlb_rttvar = us(p->rttvar);
    b->tlb_rcv_up = tp.rcv_nxt; /* urgent data is in line (RFC 6093) */
    b->tlb_rcv_adv = tp.rcv_adv;
    b->tlb_rcv_nxt = tp.rcv_nxt;
    b->tlb_rcv_wnd = tp.rcv_wnd;
    b->tlb_dupacks = tp.dupacks;
    b->tlb_segqlen = p->runs;
    b->tlb_snd_numholes = p->holes;
    b->tlb_flex1 = r->flex1;
    b->tlb_flex2 = r->flex2;
    b->tlb_fbyte_in = p->bytes_in ? b->tlb_starttime : 0;
    b->tlb_fbyte_out = p->bytes_out ? b->tlb_starttime : 0;
    b->tlb_snd_scale = tp.snd_scale & 0xf;
    b->tlb_rcv_scale = tp.rcv_scale & 0xf;
    memset(b->tlb_pad, 0, sizeof(b->tlb_pad));
    if (b->tlb_eventflags & TLB_FLAG_STACKINFO) {
        struct tcp_log_bbr *x = &b->tlb_stackinfo.u_bbr;
        x->timeStamp = (uint32_t)(b->tlb_tv.tv_sec * 1000000 + b->tlb_tv.tv_usec);
        x->inflight = r->inflight_known ? r->inflight : tp.snd_max - tp.snd_una;
        x->pkts_out = x->pkts_out ? x->pkts_out : tp.maxseg;
        x->flex8 = r->stack_len > 0 ? x->flex8 : r->flex8;
    }
}

static inline __attribute__((always_inline)) struct bb_record *record(struct tcb *tp, uint8_t event)
{
    struct bb_record *r = bb_next(tp->e->tcp->bb, tp->log, event, tp->e->now);
    if (r)
        snapshot(tp, r);
    return r;
}

void tcp_log_event(struct tcb *tp, uint8_t event, const struct tcp_log_bbr *x, const char *function)
{
    struct bb_record *r = record(tp, event);
    if (!r)
        return;
    r->b.tlb_eventflags |= TLB_FLAG_STACKINFO;
    r->b.tlb_stackinfo.u_bbr = *x;
    r->stack_len = sizeof(*x);
    if (tp->e->tcp->bb->params.verbose)
        r->function = function;
}

/* ---- segments ---- */

static void header(struct bb_record *r, const struct rte_tcp_hdr *th, uint32_t len)
{
    const uint8_t *options = (const uint8_t *)(th + 1);
    uint32_t n = (uint32_t)(th->data_off >> 4) * 4, at = 0;
    r->b.tlb_eventflags |= TLB_FLAG_HDR | TLB_FLAG_STACKINFO;
    r->b.tlb_len = len;
    memcpy(r->b.tlb_th, th, sizeof(r->b.tlb_th));
    if (n >= sizeof(*th) + 12) { /* timestamps: nearly always */
        memcpy(r->b.tlb_opts, options, 12);
        at = 12;
    }
    for (; at + sizeof(*th) < n; at += 4)
        memcpy(r->b.tlb_opts + at, options + at, 4);
}

static __attribute__((noinline)) void keep_payload(struct tcb *tp, struct bb_record *r,
                                                   const struct rte_mbuf *m, uint32_t skip, uint32_t len)
{
    uint32_t n = RTE_MIN(bb_payload_room(tp->e->tcp->bb, r), len);
    uint8_t copy[BB_PAYLOAD_MAX];
    const void *from = n > 0 ? rte_pktmbuf_read(m, skip, n, copy) : NULL;
    if (!from)
        return;
    memcpy(r->payload, from, n);
    r->payload_len = (uint16_t)n;
}

static void payload(struct tcb *tp, struct bb_record *r, const struct rte_mbuf *m, uint32_t skip,
                    uint32_t len)
{
    if (tp->e->tcp->bb->params.payload > 0 && len > 0)
        keep_payload(tp, r, m, skip, len);
}

void tcp_log_in(struct tcb *tp, const struct tcp_segment *s)
{
    struct bb_record *r = record(tp, TCP_LOG_IN);
    if (!r)
        return;
    header(r, s->th, s->len);
    payload(tp, r, s->m, s->skip, s->len);
}

struct bb_record *tcp_log_out(struct tcb *tp, const struct rte_mbuf *m, uint32_t len, bool rexmit)
{
    struct bb_record *r = record(tp, TCP_LOG_OUT);
    if (!r)
        return NULL;
    const struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, const struct rte_tcp_hdr *);
    header(r, th, len);
    payload(tp, r, m, (uint32_t)(th->data_off >> 4) * 4, len);
    r->b.tlb_errno = TLB_ERRNO_UNKNOWN;
    r->flex8 = rexmit;
    return r;
}

/* ---- what comes from above ---- */

void tcp_log_user_send(struct tcb *tp, uint32_t len, int err)
{
    struct bb_record *r = record(tp, TCP_LOG_USERSEND);
    if (!r)
        return;
    r->b.tlb_errno = err;
    r->b.tlb_len = len;
    r->b.tlb_eventflags |= TLB_FLAG_STACKINFO;
}

int tcp_log_pru(struct tcb *tp, enum tcp_log_pru what, int result)
{
    struct bb_record *r = tcp_logging(tp) ? record(tp, TCP_LOG_PRU) : NULL;
    if (r) {
        r->flex1 = what;
        r->b.tlb_errno = -result;
    }
    return result;
}

void tcp_log_sendfile(struct tcb *tp, uint64_t offset, uint64_t length, uint32_t flags)
{
    struct bb_record *r = record(tp, TCP_LOG_SENDFILE);
    if (!r)
        return;
    r->b.tlb_stackinfo.u_sf = (struct tcp_log_sendfile){offset, length, flags};
    r->stack_len = sizeof(r->b.tlb_stackinfo.u_sf);
}

void tcp_log_user_event(struct tcb *tp, uint32_t type, uint32_t subtype, const struct tcp_log_user *u)
{
    struct bb_record *r = record(tp, TCP_LOG_USER_EVENT);
    if (!r)
        return;
    r->flex1 = type;
    r->flex2 = subtype;
    r->b.tlb_stackinfo.u_user = *u;
    r->stack_len = sizeof(*u);
}

static const uint8_t timer_number[TT_N] = {
    [TT_REXMT] = TLT_REXMT, [TT_PERSIST] = TLT_PERSIST, [TT_DELACK] = TLT_DELACK,
    [TT_KEEP] = TLT_KEEP,   [TT_2MSL] = TLT_2MSL,       [TT_STACK] = TLT_STACK,
};

void tcp_log_timer(struct tcb *tp, enum tcp_timer which, enum tcp_log_timer_what what, uint64_t ns)
{
    struct bb_record *r = record(tp, TCP_LOG_RTO);
    if (!r)
        return;
    r->flex1 = timer_number[which] | (uint32_t)what << 8;
    r->flex2 = ms(ns);
}

/* ---- who is recorded ---- */

static void sweep(struct wheel_timer *w, uint64_t now);

static void rounds(struct tcp_layer *t)
{
    if (!wheel_timer_armed(&t->bb_timer))
        wheel_arm(&t->e->wheel, &t->bb_timer, t->e->now + BB_SWEEP_NS);
}

static void sweep(struct wheel_timer *w, uint64_t now)
{
    struct tcp_layer *t = container_of(w, struct tcp_layer, bb_timer);
    bb_sweep(t->bb, now);
    /* Only while there is something to go round for: an idle engine sleeps. */
    if (!TAILQ_EMPTY(&t->bb->logs) || !TAILQ_EMPTY(&t->bb->expiry) || t->bb->under_way > 0)
        rounds(t);
}

int tcp_log_open(struct tcb *tp)
{
    if (!tp->log)
        tp->log = bb_open(tp->e->tcp->bb, tp);
    if (!tp->log)
        return -ENOBUFS;
    rounds(tp->e->tcp);
    return 0;
}

void tcp_log_attach(struct tcb *tp)
{
    struct tcp_layer *t = tp->e->tcp;
    if (t->bb->params.auto_ratio == 0)
        return;
    tp->log = bb_open_auto(t->bb, tp);
    if (tp->log)
        rounds(t);
}

/* net.inet.tcp.bb.dump_on: the last moments of what ended badly. */
static void dump_if_asked(struct bb_layer *bb, const struct tcb *tp)
{
    if (tp->error == ECONNRESET && (bb->params.dump_on & BB_DUMP_ON_RST))
        bb_dump(bb, tp->log, "reset", true);
    if (tp->error == ETIMEDOUT && (bb->params.dump_on & BB_DUMP_ON_TIMEOUT))
        bb_dump(bb, tp->log, "timed out", true);
    if (bb->params.dump_on & BB_DUMP_ON_END)
        bb_dump(bb, tp->log, "ended", true);
}

void tcp_log_detach(struct tcb *tp)
{
    struct bb_layer *bb = tp->e->tcp->bb;
    if (!tp->log)
        return;
    struct bb_record *r = record(tp, TCP_LOG_CONNEND);
    if (r)
        r->b.tlb_errno = tp->error;
    dump_if_asked(bb, tp);
    bb_close(bb, tp->log, tp->e->now);
    tp->log = NULL;
    rounds(tp->e->tcp);
}

void tcp_trace_point(struct tcb *tp, enum tcp_trace_point point)
{
    struct bb_params *p = &tp->e->tcp->bb->params;
    if (__builtin_expect(p->tp_number == 0, 1) ||
        (p->tp_number != UINT32_MAX && p->tp_number != (uint32_t)point))
        return;
    if (!tp->log || !bb_recording(tp->log)) {
        if (p->tp_count == 0 || tcp_log_open(tp) < 0)
            return;
        p->tp_count--;
        tp->log->mode = (int8_t)p->tp_bbmode;
    }
    TCP_LOG_EVENT(tp, TCP_RACK_TP_TRIGGERED, .flex1 = point);
}

/* ---- the layer ---- */

static void describe(const void *owner, struct tcp_log_header *h)
{
    const struct tcb *tp = owner;
    bool v4 = ip_addr_is_v4(&tp->faddr) || ip_addr_is_v4(&tp->laddr);
    h->tlh_af = v4 ? AF_INET_BSD : AF_INET6_BSD;
    h->tlh_ie.ie_fport = tp->fport;
    h->tlh_ie.ie_lport = tp->lport;
    memcpy(h->tlh_ie.ie_faddr, tp->faddr.b, 16);
    memcpy(h->tlh_ie.ie_laddr, tp->laddr.b, 16);
    if (v4) {
        memset(h->tlh_ie.ie_faddr, 0, 12);
        memset(h->tlh_ie.ie_laddr, 0, 12);
    }
    h->tlh_ie.ie6_zoneid = tp->scope_index;
}

static const char *stack_name(uint8_t stackid)
{
    const struct tcp_stack *s = tcp_stack_by_id(stackid);
    return s ? s->name : NULL;
}

static unsigned completions(struct engine *e, void *arg)
{
    return bb_reap(arg);
}

int tcp_log_create(struct tcp_layer *t)
{
    const struct bb_env env = {.engine = t->e->id,
                               .utc_offset_ns = t->e->env.utc_offset_ns,
                               .describe = describe,
                               .stack_name = stack_name,
                               .finish = finish};
    int err = bb_create(&env, t->e->sysctl, &t->bb);
    if (err)
        return err;
    wheel_timer_init(&t->bb_timer, sweep);
    engine_station(t->e, PHASE_COMPLETIONS, completions, t->bb);
    return 0;
}

void tcp_log_destroy(struct tcp_layer *t)
{
    if (!t->bb)
        return;
    wheel_cancel(&t->e->wheel, &t->bb_timer);
    bb_destroy(t->bb);
    t->bb = NULL;
}
