// SPDX-License-Identifier: BSD-3-Clause
// What the socket floor asks of TCP (RFC 9293 §3.10.1 to §3.10.6).
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include "tcp/auth/auth.h"
#include "tcp/log.h"
#include "tcp/fastopen.h"
#include "tcp/output.h"
#include "tcp/stats.h"
#include "tcp/tcp.h"

/* Of a connection that nobody above listens to. */
static void no_one(struct tcb *tp)
{
}
static void no_one_failed(struct tcb *tp, int error)
{
}
static const struct tcp_upcalls nobody = {no_one, no_one, no_one, no_one, no_one_failed, no_one};

/* Before and after a connection can send data. */
static __rte_noinline void due_control(struct tcb *tp)
{
    switch (tp->state) {
    case TCPS_CLOSED:
    case TCPS_LISTEN:
        break;
    case TCPS_SYN_SENT:
    case TCPS_SYN_RECEIVED:
        if (tp->fastopen)
            fastopen_output(tp);
        else if (tp->snd_nxt == tp->iss)
            tcp_output_syn(tp);
        else if (tp->state == TCPS_SYN_RECEIVED && (tp->flags & TF_ACKNOW))
            tcp_output_ack(tp);
        break;
    case TCPS_TIME_WAIT:
        if (tp->flags & TF_ACKNOW)
            tcp_output_ack(tp);
        break;
    default:
        tp->stack->output(tp);
    }
}

/* The output pass of a turn. */
static void tcp_due(struct due *d)
{
    struct tcb *tp = container_of(d, struct tcb, due);
    if (tp->state == TCPS_ESTABLISHED)
        tp->stack->output(tp);
    else
        due_control(tp);
}

struct tcb *tcp_new(struct engine *e, const struct tcp_upcalls *up, void *so)
{
    struct tcp_layer *t = e->tcp;
    const struct tcp_params *p = &t->params;
    struct tcb *tp = pool_get(&t->tcbs);
    if (!tp) {
        t->stats->memdrop++;
        return NULL;
    }
    memset(tp, 0, sizeof(*tp));
    tp->e = e;
    tp->id = ++t->made * e->count + e->id;
    tp->up = up ? up : &nobody;
    tp->so = so;
    tp->cc = t->cc_default;
    sendbuf_init(&tp->snd, &t->send, p->sendspace);
    tp->rcv.hiwat = p->recvspace;
    tp->rcv.lowat = 1;
    tp->rcv_scale = 0;
    tp->flags = (p->rfc1323 ? TF_REQ_SCALE | TF_REQ_TSTMP : 0) | (p->sack ? TF_SACK_PERMIT : 0);
    tp->keepidle_ms = p->keepidle_ms;
    tp->keepintvl_ms = p->keepintvl_ms;
    tp->keepcnt = (uint16_t)p->keepcnt;
    tp->keepinit_ms = p->keepinit_ms;
    tp->user_timeout_ms = p->maxunacktime_ms;
    tp->maxseg = (uint16_t)p->mssdflt;
    tp->rto = p->rexmit_initial_ms * NS_PER_MS;
    tp->ssthresh = UINT32_MAX / 2;
    due_init(&tp->due, tcp_due);
    tcp_timers_init(tp);
    if (tcp_stack_attach(tp, t->stack_default) < 0) {
        t->stats->memdrop++;
        pool_put(&t->tcbs, tp);
        return NULL;
    }
    t->states[TCPS_CLOSED]++;
    TAILQ_INSERT_TAIL(&t->all, tp, all_link);
    tcp_log_attach(tp);
    return tp;
}

int tcp_bind(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags)
{
    if (ip_addr_is_multicast(addr))
        return -EADDRNOTAVAIL;
    if (!ip_addr_is_any(addr) && !ip_addr_find(tp->e, addr))
        return -EADDRNOTAVAIL;
    return demux_bind(tp, addr, port_be, flags);
}

int tcp_listen(struct tcb *tp, int backlog, unsigned flags)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint32_t most = p->somaxconn;
    uint32_t limit = backlog < 0 || (uint32_t)backlog > most ? most : (uint32_t)backlog;
    if (tp->state == TCPS_LISTEN) {
        tp->listen->backlog = limit;
        return 0;
    }
    if (tp->state != TCPS_CLOSED)
        return -EINVAL;
    struct tcp_listen *l = tcp_listen_new(tp);
    if (!l)
        return -ENOBUFS;
    int err = 0;
    if (!tp->port) {
        struct ip_addr any = flags & TCP_BIND_V6 ? (struct ip_addr){0} : ip_addr_v4(INADDR_ANY);
        err = demux_bind(tp, &any, 0, flags);
    }
    if (!err)
        err = demux_listen(tp, flags);
    if (err) {
        tcp_listen_free(tp);
        return err;
    }
    if (tp->fastopen && (err = fastopen_listen(tp)) < 0) {
        tcp_listen_free(tp);
        return err;
    }
    l->backlog = limit;
    tcp_set_state(tp, TCPS_LISTEN);
    return 0;
}

/* The address the peer will see, and the way there. */
static int choose_source(struct tcb *tp)
{
    if (ip_addr_is_any(&tp->laddr)) {
        int err = ip_source(tp->e, &tp->faddr, tp->scope_index, &tp->laddr);
        if (err)
            return err;
    }
    return ip_path_find(tp->e, &tp->laddr, &tp->faddr, tp->scope_index, &tp->path);
}

int tcp_connect(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags)
{
    struct tcp_layer *t = tp->e->tcp;
    struct ip_addr bound = tp->laddr;
    if (tp->state != TCPS_CLOSED)
        return tp->state == TCPS_LISTEN ? -EOPNOTSUPP : -EISCONN;
    if (port_be == 0)
        return -EADDRNOTAVAIL;
    if (ip_addr_is_multicast(addr))
        return -ENETUNREACH;
    tp->faddr = *addr;
    tp->fport = port_be;
    int err = tcp_auth_connect(tp);
    if (!err)
        err = choose_source(tp);
    if (!err)
        err = demux_connect(tp);
    if (err) {
        tp->laddr = bound;
        tp->fport = 0;
        return err;
    }
    tp->bind_flags |= (uint16_t)(flags & TCP_BIND_V6);
    tcp_isn_init(tp);
    tp->rcv_scale = tcp_window_scale(t);
    tp->started = tp->e->now;
    tcp_mss_update(tp);
    tcp_set_state(tp, TCPS_SYN_SENT);
    t->stats->connattempt++;
    if (tp->flags & TF_FASTOPEN)
        fastopen_connect(tp, flags & TCP_CONNECT_DATA);
    tcp_timer_arm(tp, TT_KEEP, tp->e->now + tp->keepinit_ms * NS_PER_MS);
    tcb_mark_due(tp);
    return 0;
}

struct tcb *tcp_accept(struct tcb *listener)
{
    struct tcp_listen *l = listener->listen;
    struct tcb *tp = l ? TAILQ_FIRST(&l->complete) : NULL;
    if (!tp)
        return NULL;
    tcp_listen_unqueue(tp);
    return tp;
}

void tcp_adopt(struct tcb *tp, const struct tcp_upcalls *up, void *so)
{
    tp->up = up;
    tp->so = so;
}

/* ---- sending ---- */

static int may_send(const struct tcb *tp)
{
    if (tp->error)
        return -tp->error;
    switch (tp->state) {
    case TCPS_SYN_SENT:
    case TCPS_SYN_RECEIVED:
    case TCPS_ESTABLISHED:
    case TCPS_CLOSE_WAIT:
        return tp->flags & TF_FIN_QUEUED ? -EPIPE : 0;
    case TCPS_CLOSED:
        return tp->started ? -EPIPE : -ENOTCONN;
    case TCPS_LISTEN:
        return -ENOTCONN;
    default:
        return -EPIPE;
    }
}

int64_t tcp_send(struct tcb *tp, const struct iovec *iov, int iovcnt, size_t len, bool more)
{
    int err = may_send(tp);
    if (err)
        return err;
    uint32_t space = sendbuf_space(&tp->snd);
    if (space == 0)
        return -EAGAIN;
    int64_t n = sendbuf_append_copy(&tp->snd, iov, iovcnt, 0, len < space ? (uint32_t)len : space);
    if (tcp_logging(tp))
        tcp_log_user_send(tp, (uint32_t)RTE_MAX(n, (int64_t)0), n < 0 ? (int)-n : 0);
    if (n < 0)
        return n;
    if (more && (size_t)n == len)
        tp->flags |= TF_MORETOCOME;
    else
        tp->flags &= ~TF_MORETOCOME;
    if (TCPS_HAVEESTABLISHED(tp->state))
        tcb_mark_due(tp);
    else if (tp->fastopen)
        fastopen_kick(tp);
    return n;
}

int tcp_send_extent(struct tcb *tp, struct extent *x)
{
    int err = may_send(tp);
    if (err)
        return err;
    sendbuf_append(&tp->snd, x);
    if (tcp_logging(tp))
        tcp_log_user_send(tp, x->len, 0);
    tp->flags &= ~TF_MORETOCOME;
    if (TCPS_HAVEESTABLISHED(tp->state))
        tcb_mark_due(tp);
    else if (tp->fastopen)
        fastopen_kick(tp);
    return 0;
}

void tcp_received(struct tcb *tp, uint32_t n)
{
    rcvtune_copied(tp, n);
    if (tcp_window_may_open(tp) && tcp_output_ack_due(tp))
        tcb_mark_due(tp);
}

/* ---- ending ---- */

int tcp_shutdown_write(struct tcb *tp)
{
    switch (tp->state) {
    case TCPS_SYN_RECEIVED: /* the FIN waits for ESTABLISHED (RFC 9293 §3.10.4): tcp_established() */
        break;
    case TCPS_ESTABLISHED:
        tcp_set_state(tp, TCPS_FIN_WAIT_1);
        break;
    case TCPS_CLOSE_WAIT:
        tcp_set_state(tp, TCPS_LAST_ACK);
        break;
    case TCPS_SYN_SENT:
        if (!tp->fastopen)
            return -ENOTCONN;
        fastopen_kick(tp); /* the FIN follows what was written before the connection is there */
        break;
    case TCPS_CLOSED:
    case TCPS_LISTEN:
        return -ENOTCONN;
    default:
        return 0; /* done before */
    }
    tp->flags |= TF_FIN_QUEUED;
    tp->flags &= ~TF_MORETOCOME;
    tcb_mark_due(tp);
    return 0;
}

void tcp_abort(struct tcb *tp, int error)
{
    if (tp->state >= TCPS_SYN_RECEIVED && tp->state != TCPS_TIME_WAIT)
        tcp_output_reset(tp);
    tcp_drop(tp, error);
}

static void orphan(struct tcb *tp)
{
    tp->up = &nobody;
    tp->so = NULL;
    tp->flags |= TF_ORPHAN;
    tp->flags &= ~(TF_NOPUSH | TF_MORETOCOME);
    tp->e->tcp->orphans += tcp_is_orphan(tp, tp->state);
}

/* Is there no room for another connection that only its timers look after? Then it ends now (as Linux's tcp_max_orphans). */
static bool orphans_full(const struct tcb *tp)
{
    const struct tcp_layer *t = tp->e->tcp;
    if (t->orphans > t->params.maxorphans) {
        t->stats->orphan_drops++;
        return true;
    }
    if (tp->snd.bytes > 0 && t->send.bytes > t->send.bytes_limit / 4 * 3) {
        t->stats->orphan_memdrops++;
        return true;
    }
    return false;
}

static void close_listener(struct tcb *tp)
{
    struct tcp_listen *l = tp->listen;
    struct tcb *child;
    while ((child = TAILQ_FIRST(&l->complete)) != NULL)
        tcp_abort(child, ECONNRESET);
    tcp_free(tp);
}

void tcp_close(struct tcb *tp, bool abort)
{
    bool unread = tp->rcv.bytes > 0;
    orphan(tp);
    switch (tp->state) {
    case TCPS_LISTEN:
        close_listener(tp);
        break;
    case TCPS_CLOSED:
    case TCPS_SYN_SENT:
        tcp_free(tp);
        break;
    case TCPS_TIME_WAIT:
        recvbuf_free(tp);
        break;
    default:
        if (abort || unread ||
            orphans_full(tp)) { /* RFC 2525 §2.17: the peer must learn that its data was not read */
            tcp_abort(tp, ECONNABORTED);
        } else {
            if (tp->state == TCPS_FIN_WAIT_2)
                tcp_fin_wait_2_arm(tp);
            tcp_shutdown_write(tp);
        }
    }
}
