// SPDX-License-Identifier: BSD-3-Clause
// TIME-WAIT: repeats the last ACK, hears no RST (RFC 1337), and gives way to a new SYN of the same peer (RFC 6191).
#include "tcp/input.h"
#include "tcp/stats.h"

/* RFC 6191 §2: the SYN cannot be an old one, by its timestamp or by its sequence number. */
static bool syn_is_new(const struct tcb *tp, const struct tcp_segment *s)
{
    if (tcp_has_timestamps(tp) && (s->opt.seen & TOF_TS) && s->opt.tsval != tp->ts_recent)
        return (int32_t)(s->opt.tsval - tp->ts_recent) > 0;
    return seq_gt(s->seq, tp->rcv_nxt);
}

bool tcp_input_time_wait(struct tcb *tp, struct tcp_segment *s)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    const uint8_t syn_ack_rst = RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG | RTE_TCP_RST_FLAG;
    if ((s->flags & syn_ack_rst) == RTE_TCP_SYN_FLAG && syn_is_new(tp, s)) {
        st->timewait_recycled++;
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
