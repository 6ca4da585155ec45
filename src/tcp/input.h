// SPDX-License-Identifier: BSD-3-Clause
// Inside of the receiving side: a segment on its way through the stations, and who calls whom. A station that returns false has
// ended the segment: dropped and counted it, or answered it; the connection may then be gone.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include "link/link.h"
#include "tcp/auth/choice.h"
#include "tcp/options.h"
#include "tcp/tcp.h"

struct tcp_segment {
    struct rte_mbuf *m;           /* data at the TCP header, whole; NULL once the payload was taken */
    const struct rte_tcp_hdr *th; /* in m */
    tcp_seq seq, ack;
    uint32_t len;    /* payload bytes that still count */
    uint32_t skip;   /* bytes of m before them: header and what was cut off in front */
    uint32_t wnd;    /* the window field */
    uint32_t marked; /* AccECN: bytes that the peer newly reports marked */
    uint8_t flags;  /* of the header; SYN and FIN are cleared once they are dealt with or out of the window */
    bool predicted; /* header prediction: acceptance is known */
    struct tcp_options opt;
    struct auth_choice auth; /* of a segment for a listener: how its peer is answered */
};

static inline struct pkt_info *segment_info(const struct tcp_segment *s)
{
    return pkt_info(s->m);
}
static inline bool tcp_has_timestamps(const struct tcb *tp)
{
    return (tp->flags & (TF_REQ_TSTMP | TF_RCVD_TSTMP)) == (TF_REQ_TSTMP | TF_RCVD_TSTMP);
}
/* Bytes from rcv_nxt to the edge we announced. */
static inline uint32_t tcp_window_left(const struct tcb *tp)
{
    uint32_t promised = seq_gt(tp->rcv_adv, tp->rcv_nxt) ? tp->rcv_adv - tp->rcv_nxt : 0;
    uint32_t held = tp->rcv.bytes + tp->rcv.lent, space = held < tp->rcv.hiwat ? tp->rcv.hiwat - held : 0;
    if (tp->state == TCPS_SYN_RECEIVED && (tp->flags & TF_PASSIVE)) /* as FreeBSD's SYN cache */
        return promised;
    return space > promised ? space : promised;
}
/* An ACK leaves in this turn, alone or with data. */
static inline void tcp_ack_now(struct tcb *tp)
{
    tp->flags |= TF_ACKNOW;
    tcb_mark_due(tp);
}

/* respond.c: RST to a segment that nobody wants (RFC 9293 §3.10.7.1). Counts nothing, takes nothing. tp: whose TOS
 * and TTL it has, or NULL. */
void tcp_refuse(struct engine *e, const struct tcb *tp, const struct tcp_segment *s);
/* A challenge ACK, as far as the connection's limit goes (RFC 5961 §3.2, §7). */
void tcp_challenge(struct tcb *tp);

/* listen.c. A connection that the segment belongs to: it has just made it, and goes on through the stations. NULL: dealt with. */
struct tcb *tcp_input_listen(struct tcb *listener, struct tcp_segment *s);
/* handshake.c. What came with the SYN: options, window. */
void tcp_take_syn(struct tcb *tp, const struct tcp_segment *s);
void tcp_round_buffers(struct tcb *tp); /* to whole segments */
bool tcp_input_syn_sent(struct tcb *tp, struct tcp_segment *s);
bool tcp_input_syn_received(struct tcb *tp, struct tcp_segment *s); /* the ACK station of SYN_RECEIVED */
/* timewait.c. True: the segment is a SYN that ended the old connection (tp is gone) and may begin a new one. */
bool tcp_input_time_wait(struct tcb *tp, struct tcp_segment *s);
/* validate.c: RST, SYN, PAWS, window */
bool tcp_validate(struct tcb *tp, struct tcp_segment *s);
/* Cuts the segment to the window. */
bool tcp_trim(struct tcb *tp, struct tcp_segment *s);
/* acked.c */
bool tcp_input_ack(struct tcb *tp, struct tcp_segment *s);
/* payload.c: data, FIN; decides when to acknowledge */
void tcp_input_payload(struct tcb *tp, struct tcp_segment *s);
/* Text that comes before the connection is established is kept, and delivered when it is. */
void tcp_input_early_text(struct tcb *tp, struct tcp_segment *s);
void tcp_input_deliver_early(struct tcb *tp);

/* state.c: CLOSED in good order: freed now when nobody has it. */
void tcp_closed(struct tcb *tp);
void tcp_fin_wait_2(struct tcb *tp);
/* TT_2MSL of a FIN_WAIT_2 that nobody reads any more went off: tp may be gone. */
void tcp_fin_wait_2_timeout(struct tcb *tp, uint64_t now);
