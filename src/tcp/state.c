// SPDX-License-Identifier: BSD-3-Clause
// The connection's life: states, establishment, the ways to end (RFC 9293 §3.3.2), and who frees what. A connection without a
// socket (an orphan, or one not yet accepted) is freed when it is CLOSED; one with a socket waits for tcp_close().
#include <errno.h>
#include "tcp/hostcache.h"
#include "tcp/auth/auth.h"
#include "tcp/fastopen.h"
#include "tcp/input.h"
#include "tcp/log.h"
#include "tcp/reassembly.h"
#include "tcp/stats.h"

void tcp_set_state(struct tcb *tp, enum tcp_state s)
{
    struct tcp_layer *t = tp->e->tcp;
    t->states[tp->state]--;
    t->states[s]++;
    if (tp->flags & TF_ORPHAN)
        t->orphans += (uint32_t)tcp_is_orphan(tp, s) - (uint32_t)tcp_is_orphan(tp, tp->state);
    if (tp->state == TCPS_TIME_WAIT)
        TAILQ_REMOVE(&t->time_wait, tp, accept_link);
    tp->state = s;
}

/* The wire is done with it: out of every table, no timer, nothing to send. What was received can still be read. */
static void shut(struct tcb *tp)
{
    tcp_log_detach(tp);
    tcp_listen_unqueue(tp);
    if (tp->fastopen)
        fastopen_closed(tp);
    hostcache_learn(tp);
    tcp_timers_stop(tp);
    engine_unmark_due(tp->e, &tp->due);
    demux_remove(tp);
    sendbuf_fini(&tp->snd);
    reass_free(tp);
    tp->e->tcp->stats->closed += tp->state != TCPS_CLOSED;
    tcp_set_state(tp, TCPS_CLOSED);
}

void tcp_closed(struct tcb *tp)
{
    shut(tp);
    if (!tp->so)
        tcp_free(tp);
}

void tcp_drop(struct tcb *tp, int error)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (TCPS_HAVEESTABLISHED(tp->state))
        st->drops++;
    else
        st->conndrops++;
    /* Why nobody answered is more telling than that nobody did (RFC 1122 §4.2.3.9). */
    if (error == ETIMEDOUT && tp->softerror)
        error = tp->softerror;
    tp->error = error;
    shut(tp);
    if (tp->so)
        tp->up->failed(tp, error);
    else
        tcp_free(tp);
}

void tcp_free(struct tcb *tp)
{
    struct tcp_layer *t = tp->e->tcp;
    shut(tp);
    if (tp->listen)
        tcp_listen_free(tp);
    recvbuf_free(tp);
    tcp_stack_detach(tp);
    tcp_auth_free(tp);
    if (tp->fastopen)
        fastopen_free(tp);
    if (tp->so)
        tp->up->detached(tp);
    t->states[TCPS_CLOSED]--;
    if (t->walk == tp)
        t->walk = TAILQ_NEXT(tp, all_link);
    TAILQ_REMOVE(&t->all, tp, all_link);
    pool_put(&t->tcbs, tp);
}

void tcp_established(struct tcb *tp)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    bool peer_done = fastopen_fin(tp);
    if (tp->flags & TF_FIN_QUEUED) /* closed in SYN-RECEIVED, it now sends its FIN (RFC 9293 §3.10.4) */
        tcp_set_state(tp, peer_done ? TCPS_LAST_ACK : TCPS_FIN_WAIT_1);
    else
        tcp_set_state(tp, peer_done ? TCPS_CLOSE_WAIT : TCPS_ESTABLISHED);
    st->connects++;
    tp->rxtshift = 0;
    tcp_timer_stop(tp, TT_REXMT);
    tcp_pmtu_established(tp);
    tcp_stack_agree(tp);
    if (!tp->fastopen || !tp->fastopen->early) /* the window was set up by the SYN */
        tp->stack->established(tp);
    tcp_keepalive_arm(tp);
    tp->up->connected(tp);
}

/* FreeBSD's tcp_maxidle: so long nothing has been heard of a peer that keepalive would have given up. */
static uint64_t idle_most(const struct tcb *tp)
{
    return (uint64_t)tp->keepcnt * tp->keepintvl_ms * NS_PER_MS;
}

void tcp_fin_wait_2_arm(struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t wait = p->fast_finwait2_recycle ? p->finwait2_timeout_ms * NS_PER_MS : idle_most(tp);
    tcp_timer_arm(tp, TT_2MSL, tp->e->now + wait);
}

void tcp_fin_wait_2(struct tcb *tp)
{
    tcp_set_state(tp, TCPS_FIN_WAIT_2);
    /* RFC 9293 §3.3.2 has no end to this state; with nobody left to read, the peer's FIN is not waited for long. */
    if (tp->flags & (TF_ORPHAN | TF_CANTRCVMORE))
        tcp_fin_wait_2_arm(tp);
}

void tcp_fin_wait_2_timeout(struct tcb *tp, uint64_t now)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    if (!p->fast_finwait2_recycle && now - tp->last_rcv < idle_most(tp)) { /* the peer lives */
        tcp_timer_arm(tp, TT_2MSL, now + tp->keepintvl_ms * NS_PER_MS);
        return;
    }
    tp->e->tcp->stats->finwait2_drops++;
    tcp_closed(tp);
}
