// SPDX-License-Identifier: BSD-3-Clause
// Answers to segments that are not acceptable.
#include "tcp/input.h"
#include "tcp/output.h"
#include "tcp/stats.h"

void tcp_refuse(struct engine *e, const struct tcb *tp, const struct tcp_segment *s)
{
    if (s->flags & RTE_TCP_RST_FLAG)
        return;
    if (s->flags & RTE_TCP_ACK_FLAG) {
        tcp_respond(e, tp, s->m, s->ack, 0, RTE_TCP_RST_FLAG);
    } else {
        tcp_seq end = s->seq + s->len + !!(s->flags & RTE_TCP_SYN_FLAG) + !!(s->flags & RTE_TCP_FIN_FLAG);
        tcp_respond(e, tp, s->m, 0, end, RTE_TCP_RST_FLAG | RTE_TCP_ACK_FLAG);
    }
}

/* The limit is each connection's own: a common one would tell an attacker about other people's connections (CVE-2016-5696). */
void tcp_challenge(struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint64_t now = tp->e->now;
    if (p->ack_war_ms > 0 && p->ack_war_cnt > 0) {
        if (now - tp->challenge_at >= p->ack_war_ms * NS_PER_MS || tp->challenge_at == 0) {
            tp->challenge_at = now;
            tp->challenges = 0;
        }
        if (tp->challenges >= p->ack_war_cnt) {
            tp->e->tcp->stats->challenge_limited++;
            return;
        }
        tp->challenges++;
    }
    tp->e->tcp->stats->challenge_acks++;
    tcp_output_challenge(tp);
}
