// SPDX-License-Identifier: BSD-3-Clause
// The timers of a connection share one entry of the wheel, which is armed for the earliest. It is lazy: a deadline that moves
// later, as TT_REXMT does with each ACK, leaves the entry where it is, and the entry then finds nothing due and moves on.
#include <errno.h>
#include <rte_common.h>
#include "tcp/input.h"
#include "tcp/log.h"
#include "tcp/output.h"
#include "tcp/stats.h"

static bool keepalive_on(const struct tcb *tp)
{
    return TCPS_HAVEESTABLISHED(tp->state) && tp->state != TCPS_TIME_WAIT &&
           ((tp->flags & TF_KEEPALIVE) || tp->e->tcp->params.always_keepalive);
}

void tcp_keepalive_arm(struct tcb *tp)
{
    if (!TCPS_HAVEESTABLISHED(tp->state))
        return; /* the handshake has the timer */
    tp->keep_probes = 0;
    if (keepalive_on(tp))
        tcp_timer_arm(tp, TT_KEEP, tp->last_rcv + tp->keepidle_ms * NS_PER_MS);
    else
        tcp_timer_stop(tp, TT_KEEP);
}

static void keep_give_up(struct tcb *tp)
{
    tp->e->tcp->stats->keepdrops++;
    tcp_output_reset(tp);
    tcp_drop(tp, ETIMEDOUT);
}

/* RFC 9293 §3.8.4, RFC 5482 */
static void keepalive_timeout(struct tcb *tp, uint64_t now)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    uint64_t idle = now - tp->last_rcv;
    if (!keepalive_on(tp))
        return;
    if (idle < tp->keepidle_ms * NS_PER_MS) {
        tcp_keepalive_arm(tp);
        return;
    }
    st->keeptimeo++;
    if (tp->user_timeout_ms && tp->keep_probes > 0 && idle >= tp->user_timeout_ms * NS_PER_MS) {
        st->usertimeo++;
        keep_give_up(tp);
        return;
    }
    if (tp->keep_probes >= tp->keepcnt) {
        keep_give_up(tp);
        return;
    }
    tp->keep_probes++;
    st->keepprobe++;
    tcp_output_probe(tp, false);
    tcp_timer_arm(tp, TT_KEEP, now + tp->keepintvl_ms * NS_PER_MS);
}

static void delack_timeout(struct tcb *tp)
{
    if (!(tp->flags & TF_DELACK))
        return;
    tp->e->tcp->stats->delack++;
    tp->flags = (tp->flags & ~TF_DELACK) | TF_ACKNOW;
    tcb_mark_due(tp);
}

/* tp may be gone afterwards. */
static void timeout(struct tcb *tp, enum tcp_timer which, uint64_t now)
{
    if (tcp_logging(tp))
        tcp_log_timer(tp, which, TLT_PROCESSING, 0);
    switch (which) {
    case TT_DELACK:
        delack_timeout(tp);
        break;
    case TT_KEEP:
        if (TCPS_HAVEESTABLISHED(tp->state))
            keepalive_timeout(tp, now);
        else
            keep_give_up(tp);
        break;
    case TT_2MSL:
        if (tp->state == TCPS_FIN_WAIT_2)
            tcp_fin_wait_2_timeout(tp, now);
        else
            tcp_closed(tp);
        break;
    default:
        tp->stack->timer(tp, which, now);
    }
}

static enum tcp_timer earliest(const struct tcb *tp)
{
    enum tcp_timer first = 0;
    for (int i = 1; i < TT_N; i++)
        if (tp->timer_at[i] < tp->timer_at[first])
            first = (enum tcp_timer)i;
    return first;
}

/* One timer a call: what it does may end the connection. The others follow at once, for the wheel is armed for them before. */
static void wheel_fire(struct wheel_timer *w, uint64_t now)
{
    struct tcb *tp = container_of(w, struct tcb, wheel);
    enum tcp_timer which = earliest(tp);
    bool due = tp->timer_at[which] <= now;
    if (due)
        tp->timer_at[which] = TIME_NEVER;
    enum tcp_timer next = due ? earliest(tp) : which;
    if (tp->timer_at[next] != TIME_NEVER)
        wheel_arm(&tp->e->wheel, w, tp->timer_at[next]);
    if (due)
        timeout(tp, which, now);
}

void tcp_timer_arm(struct tcb *tp, enum tcp_timer which, uint64_t deadline)
{
    tp->timer_at[which] = deadline;
    if (deadline < tp->wheel.deadline)
        wheel_arm(&tp->e->wheel, &tp->wheel, deadline);
}

void tcp_timer_stop(struct tcb *tp, enum tcp_timer which)
{
    tp->timer_at[which] = TIME_NEVER;
}

void tcp_timers_init(struct tcb *tp)
{
    wheel_timer_init(&tp->wheel, wheel_fire);
    for (int i = 0; i < TT_N; i++)
        tp->timer_at[i] = TIME_NEVER;
}

void tcp_timers_stop(struct tcb *tp)
{
    for (int i = 0; i < TT_N; i++)
        tp->timer_at[i] = TIME_NEVER;
    if (wheel_timer_armed(&tp->wheel))
        wheel_cancel(&tp->e->wheel, &tp->wheel);
}
