// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: how long, how many; repeats the last ACK, hears no RST (RFC 1337), and gives way to a new SYN of the same peer (RFC 6191).
#include "tcp/hostcache.h"
#include "tcp/input.h"
#include "tcp/reassembly.h"
#include "tcp/stats.h"

/* RFC 6191 §2: the SYN cannot be an old one, by its timestamp or by its sequence number. */
static bool syn_is_new(const struct tcb *tp, const struct tcp_segment *s)
{
    if (tcp_has_timestamps(tp) && (s->opt.seen & TOF_TS) && s->opt.tsval != tp->ts_recent)
        return (int32_t)(s->opt.tsval - tp->ts_recent) > 0;
    return seq_gt(s->seq, tp->rcv_nxt);
}

/* Both ends are this host's: no segment of it can be late on its way for long. */
static bool is_local(const struct tcb *tp)
{
    return ip_addr_find(tp->e, &tp->faddr) != NULL;
}

/* The oldest gives way when there are more than net.inet.tcp.maxtcptw. */
static void make_room(struct tcp_layer *t)
{
    while (t->states[TCPS_TIME_WAIT] >= t->params.maxtcptw) {
        t->stats->tw_overflow++;
        tcp_closed(TAILQ_FIRST(&t->time_wait));
    }
}

void tcp_time_wait(struct tcb *tp)
{
    struct tcp_layer *t = tp->e->tcp;
    const struct tcp_params *p = &t->params;
    uint64_t wait = 2 * p->msl_ms;
    if (is_local(tp)) /* without TIME-WAIT it still lives until its last ACK has left */
        wait = p->nolocaltimewait ? 1 : 2 * p->msl_local_ms;
    if (tp->state != TCPS_TIME_WAIT)
        make_room(t);
    tcp_set_state(tp, TCPS_TIME_WAIT); /* again: its time begins anew */
    TAILQ_INSERT_TAIL(&t->time_wait, tp, accept_link);
    for (int i = 0; i < TT_N; i++)
        tcp_timer_stop(tp, (enum tcp_timer)i);
    reass_free(tp);
    hostcache_learn(tp);
    tcp_timer_arm(tp, TT_2MSL, tp->e->now + wait * NS_PER_MS);
}

bool tcp_input_time_wait(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    const uint8_t syn_ack_rst = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG;
    if ((s->flags & syn_ack_rst) == RTE_TCP_SYN_FLAG && tp->e->tcp->params.rfc6191 && syn_is_new(tp, s)) {
        st->tw_recycles++;
        tcp_closed(tp);
        return true;
    }
    if (s->flags & RTE_TCP_RST_FLAG) {
        st->rcvtimewait++;
        return false;
    }
    if (!(s->flags & RTE_TCP_ACK_FLAG)) { /* as FreeBSD; RFC 9293 §3.10.7.4 would answer an old SYN */
        st->rcvnoack++;
        return false;
    }
    st->rcvtimewait++;
    /* The peer's FIN again: our ACK was lost (RFC 9293 §3.10.7.4, eighth step). */
    if ((s->flags & RTE_TCP_FIN_FLAG) && s->seq + s->len + 1 == tp->rcv_nxt)
        tcp_time_wait(tp);
    bool quiet = s->len == 0 && !(s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG)) &&
                 s->seq == tp->rcv_nxt && s->ack == tp->snd_max;
    if (!quiet)
        tcp_challenge(tp);
    return false;
}
