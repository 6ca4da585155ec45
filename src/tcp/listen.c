// SPDX-License-Identifier: BSD-3-Clause
// A listener: its queues, and the SYN that makes a new connection (RFC 9293 §3.10.7.2).
#include "base/alloc.h"
#include "tcp/input.h"
#include "tcp/stats.h"

struct tcp_listen *tcp_listen_new(struct tcb *tp)
{
    struct tcp_listen *l = mem_alloc(sizeof(*l));
    if (!l)
        return NULL;
    TAILQ_INIT(&l->incomplete);
    TAILQ_INIT(&l->complete);
    tp->listen = l;
    return l;
}

void tcp_listen_free(struct tcb *tp)
{
    struct tcp_listen *l = tp->listen;
    struct tcb *child;
    while ((child = TAILQ_FIRST(&l->incomplete)) != NULL || (child = TAILQ_FIRST(&l->complete)) != NULL)
        tcp_free(child);
    mem_free(l);
    tp->listen = NULL;
}

/* FreeBSD's measure: half as many again as the application asked for, and never none. */
static bool queue_full(const struct tcp_listen *l)
{
    return l->n_incomplete + l->n_complete > l->backlog + l->backlog / 2;
}

static bool inherit_algorithms(struct tcb *tp, const struct tcb *listener)
{
    if (tp->stack != listener->stack) {
        const struct tcp_stack *before = tp->stack;
        tp->stack = listener->stack;
        before->fini(tp, false);
        if (tp->stack->init(tp) < 0) {
            tp->stack = before;
            return before->init(tp) == 0; /* the default one serves as well */
        }
    }
    if (tp->cc != listener->cc) {
        tp->cc = listener->cc;
        tp->cc->init(tp);
    }
    return true;
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
}

/* A connection in SYN_RECEIVED, its SYN-ACK due. NULL: no memory or no way back. */
static struct tcb *embryo(struct tcb *listener, const struct tcp_segment *s)
{
    struct engine *e = listener->e;
    const struct pkt_info *info = segment_info(s);
    struct tcb *tp = tcp_new(e, NULL, NULL);
    if (!tp)
        return NULL;
    inherit(tp, listener);
    tp->faddr = info->src;
    tp->laddr = info->dst;
    tp->fport = s->th->src_port;
    tp->lport = s->th->dst_port;
    tp->scope_index = ip_addr_is_link_local(&info->src) && info->netif ? info->netif->index : 0;
    tp->started = tp->last_rcv = e->now;
    if (!inherit_algorithms(tp, listener) ||
        ip_path_find(e, &tp->laddr, &tp->faddr, tp->scope_index, &tp->path) < 0 || demux_insert(tp) < 0) {
        tcp_free(tp);
        return NULL;
    }
    tp->rcv_scale = tcp_window_scale(e->tcp);
    tcp_isn_init(tp);
    tcp_take_syn(tp, s);
    if (!(tp->flags & TF_NOOPT))
        ecn_accepted(tp, ecn_answer(e->tcp, tcp_ace(s->th)));
    tcp_set_state(tp, TCPS_SYN_RECEIVED);
    tcp_timer_arm(tp, TT_KEEP, e->now + tp->keepinit_ms * NS_PER_MS);
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

void tcp_input_listen(struct tcb *listener, struct tcp_segment *s)
{
    struct tcp_stats *st = listener->e->tcp->stats;
    struct tcp_listen *l = listener->listen;
    if (s->flags & RTE_TCP_RST_FLAG) {
        st->badrst++;
    } else if (s->flags & RTE_TCP_ACK_FLAG) {
        st->badackhandshake++;
        tcp_refuse(listener->e, listener, s);
    } else if (!(s->flags & RTE_TCP_SYN_FLAG)) {
        st->listendrop++;
    } else if (!syn_good(s)) {
        st->badsyn++;
    } else if (queue_full(l)) {
        st->listenoverflow++;
    } else {
        struct tcb *tp = embryo(listener, s);
        if (!tp) {
            st->nostate++;
            return;
        }
        tp->listener = listener;
        TAILQ_INSERT_TAIL(&l->incomplete, tp, accept_link);
        l->n_incomplete++;
        tcb_mark_due(tp);
    }
}
