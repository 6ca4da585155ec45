// SPDX-License-Identifier: BSD-3-Clause
// A listener: its queue, the segments that come to it (RFC 9293 §3.10.7.2), and the connections that the SYN cache gives it.
#include "base/alloc.h"
#include "tcp/auth/auth.h"
#include "tcp/fastopen.h"
#include "tcp/input.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

struct tcp_listen *tcp_listen_new(struct tcb *tp)
{
    struct tcp_listen *l = mem_alloc(sizeof(*l));
    if (!l)
        return NULL;
    TAILQ_INIT(&l->complete);
    tp->listen = l;
    return l;
}

void tcp_listen_free(struct tcb *tp)
{
    struct tcp_listen *l = tp->listen;
    struct tcb *child;
    while ((child = TAILQ_FIRST(&l->complete)) != NULL)
        tcp_free(child);
    mem_free(l);
    tp->listen = NULL;
}

static void enqueue(struct tcb *listener, struct tcb *tp)
{
    tp->listener = listener;
    TAILQ_INSERT_TAIL(&listener->listen->complete, tp, accept_link);
    listener->listen->n_complete++;
    listener->up->acceptable(listener);
}

void tcp_listen_unqueue(struct tcb *tp)
{
    if (!tp->listener)
        return;
    struct tcp_listen *l = tp->listener->listen;
    TAILQ_REMOVE(&l->complete, tp, accept_link);
    l->n_complete--;
    tp->listener = NULL;
}

static void inherit_algorithms(struct tcb *tp, const struct tcb *listener)
{
    tcp_stack_inherit(tp, listener);
    if (tp->cc != listener->cc) {
        tp->cc = listener->cc;
        tp->cc->init(tp);
    }
}

static void inherit(struct tcb *tp, const struct tcb *listener)
{
    const uint32_t flags =
        TF_NODELAY | TF_NOPUSH | TF_NOOPT | TF_KEEPALIVE | TF_QUICKACK | TF_RCVBUF_FIXED | TF_SNDBUF_FIXED;
    tp->flags |= TF_PASSIVE | (listener->flags & flags);
    tp->snd.hiwat = listener->snd.hiwat;
    tp->snd.lowat = listener->snd.lowat;
    tp->rcv.hiwat = listener->rcv.hiwat;
    tp->rcv.lowat = listener->rcv.lowat;
    tp->tos = listener->tos;
    tp->ttl = listener->ttl;
    tp->maxseg_user = listener->maxseg_user;
    tp->keepinit_ms = listener->keepinit_ms;
    tp->keepidle_ms = listener->keepidle_ms;
    tp->keepintvl_ms = listener->keepintvl_ms;
    tp->keepcnt = listener->keepcnt;
    tp->user_timeout_ms = listener->user_timeout_ms;
    tp->bind_flags = listener->bind_flags;
    if (listener->pacer.limit)
        pacer_limit(tp, listener->pacer.limit);
}

/* What the SYN and our SYN-ACK said. 0, -ENOMEM. */
static int take_half_open(struct tcb *tp, const struct tcb *listener, const struct half_open *h)
{
    tp->iss = h->iss;
    tp->snd_una = tp->snd_up = tp->snd_sml = tp->recover = tp->snd_wl2 = h->iss;
    tp->snd_nxt = tp->snd_max = h->iss + 1;
    tp->irs = tp->snd_wl1 = h->irs;
    tp->rcv_nxt = tp->last_ack_sent = h->irs + 1;
    tp->rcv_wnd = h->wnd;
    tp->rcv_adv = tp->rcv_nxt + h->wnd;
    tp->snd_wnd = tp->max_sndwnd = h->snd_wnd;
    tp->flags &= ~(TF_REQ_SCALE | TF_REQ_TSTMP | TF_SACK_PERMIT);
    if (h->flags & SCF_SCALE)
        tp->flags |= TF_REQ_SCALE | TF_RCVD_SCALE;
    if (h->flags & SCF_STAMPS)
        tp->flags |= TF_REQ_TSTMP | TF_RCVD_TSTMP;
    if (h->flags & SCF_SACK)
        tp->flags |= TF_SACK_PERMIT;
    tp->snd_scale = h->snd_scale;
    tp->rcv_scale = h->rcv_scale;
    tp->ts_offset = h->ts_offset;
    tp->ts_recent = h->ts_recent;
    tp->ts_recent_at = tp->started = h->started;
    tp->last_snd = h->sent_at;
    tp->rtt_start = h->flags & SCF_RESENT ? 0 : h->sent_at;
    tp->rexmits = (uint8_t)(h->rxmits - 1); /* a SYN-ACK was lost: the initial window is one segment */
    tp->segs_in = 1;
    tp->segs_out = h->rxmits;
    tp->mss_peer = h->mss_peer;
    ecn_accepted(tp, (enum ecn_answer)h->ecn);
    int err = tcp_auth_inherit(tp, listener, &h->auth);
    tcp_mss_update(tp);
    tcp_round_buffers(tp);
    return err;
}

/* A connection in SYN_RECEIVED, waiting to be accepted. NULL: no memory. */
static struct tcb *connection(struct tcb *listener, const struct half_open *h)
{
    struct engine *e = listener->e;
    struct tcb *tp = tcp_new(e, NULL, NULL);
    if (!tp)
        return NULL;
    inherit(tp, listener);
    tp->faddr = h->faddr;
    tp->laddr = h->laddr;
    tp->fport = h->fport;
    tp->lport = h->lport;
    tp->scope_index = h->scope_index;
    tp->path = h->path;
    tp->last_rcv = e->now;
    inherit_algorithms(tp, listener);
    if (demux_insert_new(tp, h->hash) < 0 || take_half_open(tp, listener, h) < 0) {
        tcp_free(tp);
        return NULL;
    }
    tcp_set_state(tp, TCPS_SYN_RECEIVED);
    tcp_timer_arm(tp, TT_KEEP, e->now + tp->keepinit_ms * NS_PER_MS);
    e->tcp->stats->accepts++;
    enqueue(listener, tp);
    return tp;
}

/* FreeBSD's measure: half as many again as the application asked for, and never none. */
static bool queue_full(const struct tcp_listen *l)
{
    return l->n_complete > l->backlog + l->backlog / 2;
}

/* RST, unless net.inet.tcp.blackhole=3 keeps listening ports quiet too. */
static void refuse_to(struct tcb *listener, const struct tcp_segment *s)
{
    const struct tcp_params *p = &listener->e->tcp->params;
    if (p->blackhole < 3 || (!p->blackhole_local && ip_addr_find(listener->e, &segment_info(s)->src)))
        tcp_refuse(listener->e, listener, s);
}

/* The ACK that ends a handshake. */
static struct tcb *listen_ack(struct tcb *listener, struct tcp_segment *s)
{
    struct engine *e = listener->e;
    bool refuse, silent = !e->tcp->syncache->params.rst_on_sock_fail;
    struct half_open space, *h = syncache_ack(listener, s, &space, &refuse);
    struct tcb *tp = NULL;
    if (h) {
        bool full = queue_full(listener->listen);
        tp = full ? NULL : connection(listener, h);
        e->tcp->stats->listenoverflow += full;
        e->tcp->stats->nostate += !full && !tp;
        refuse = !tp && !silent;
        if (tp)
            syncache_completed(h);
        else
            syncache_aborted(h, silent);
    }
    if (refuse)
        refuse_to(listener, s);
    return tp;
}

/* A SYN from ourselves, or from where no one can be. */
static bool syn_good(const struct tcp_segment *s)
{
    const struct pkt_info *info = segment_info(s);
    if (ip_addr_is_multicast(&info->src) || ip_addr_is_any(&info->src) || s->th->src_port == 0)
        return false;
    return s->th->src_port != s->th->dst_port || !ip_addr_eq(&info->src, &info->dst);
}

/* RFC 7413 §4.2.2: a SYN with a valid cookie makes a connection at once. */
static void listen_fast_open(struct tcb *listener, struct tcp_segment *s,
                             const struct fastopen_option *answer)
{
    struct engine *e = listener->e;
    struct fastopen_stats *st = &e->tcp->fastopen->stats;
    struct half_open h;
    bool full = queue_full(listener->listen);
    struct tcb *tp = full || syncache_describe(&h, listener, s) < 0 ? NULL : connection(listener, &h);
    if (tp && fastopen_take(listener, tp, s, answer))
        return;
    st->passive_nomem++;
    if (tp)
        tcp_free(tp);
    if (e->tcp->syncache->params.rst_on_sock_fail)
        tcp_refuse(e, listener, s);
}

static void listen_syn(struct tcb *listener, struct tcp_segment *s)
{
    struct tcp_layer *t = listener->e->tcp;
    struct fastopen_option answer = {0};
    enum fastopen_verdict verdict = FASTOPEN_ORDINARY;
    if ((s->opt.seen & TOF_FASTOPEN) && (listener->flags & TF_FASTOPEN) && !(listener->flags & TF_NOOPT)) {
        verdict = fastopen_syn(listener, s, &answer);
        if (verdict == FASTOPEN_ACCEPT && syncache_has(t, s)) { /* an ordinary handshake is on */
            t->fastopen->stats.server_half_open++;
            verdict = FASTOPEN_ORDINARY;
        }
    }
    if (verdict == FASTOPEN_ACCEPT) {
        listen_fast_open(listener, s, &answer);
        return;
    }
    t->fastopen->stats.server_cookie_sent += verdict == FASTOPEN_ANSWER;
    syncache_syn(listener, s, verdict == FASTOPEN_ANSWER ? &answer : NULL);
}

struct tcb *tcp_input_listen(struct tcb *listener, struct tcp_segment *s)
{
    struct tcp_stats *st = listener->e->tcp->stats;
    const uint8_t syn_ack = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG;
    if (s->flags & RTE_TCP_RST_FLAG) {
        syncache_rst(listener->e, s);
    } else if ((s->flags & syn_ack) == RTE_TCP_ACK_FLAG) {
        return listen_ack(listener, s);
    } else if (s->flags & RTE_TCP_ACK_FLAG) {
        st->badackhandshake++;
        refuse_to(listener, s);
    } else if (!(s->flags & RTE_TCP_SYN_FLAG)) {
        st->listendrop++;
    } else if (!syn_good(s)) {
        st->badsyn++;
    } else {
        listen_syn(listener, s);
    }
    return NULL;
}
