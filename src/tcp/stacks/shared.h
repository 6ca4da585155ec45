// SPDX-License-Identifier: BSD-3-Clause
// What every stack that reduces its window for losses does alike: cuts and their taking back, growth, ECN, the handshake's timer, the
// window that opens and closes. How a loss is found is the stack's own.
#pragma once
#include "tcp/loss/frto.h"
#include "tcp/loss/loss.h"
#include "tcp/loss/prr.h"
#include "tcp/loss/undo.h"
#include "tcp/tcp.h"

/* The first member of each stack's state in tcb.stack_state. */
struct stack_shared {
    uint64_t acked_at; /* ns: the turn of the last ACK, */
    struct prr prr;
    struct undo undo;
    uint32_t flight, cwnd; /* and what they were before the first of that turn */
    uint8_t frto;          /* enum frto_step */
    bool limited_told;     /* the congestion control knows that the window is not used */
};

static inline struct stack_shared *stack_shared(struct tcb *tp)
{
    return (struct stack_shared *)tp->stack_state;
}
/* recover counts only while it lies ahead: 2 GB later it would seem to do so again. */
static inline bool stack_before_recover(const struct tcb *tp, tcp_seq una)
{
    return seq_lt(una, tp->recover) && seq_leq(tp->recover, tp->snd_max);
}
static inline struct loss_stats *loss_stats(const struct tcb *tp)
{
    return &tp->e->tcp->loss.stats;
}
static inline const struct loss_params *loss_params(const struct tcb *tp)
{
    return &tp->e->tcp->loss.params;
}

/* What was in flight before this turn's ACKs: output comes after all of them, so the second of them finds less. */
static inline uint32_t stack_flight_of_turn(struct tcb *tp)
{
    struct stack_shared *s = stack_shared(tp);
    if (s->acked_at != tp->e->now) {
        s->acked_at = tp->e->now;
        s->flight = tcb_flight(tp);
        s->cwnd = tp->cwnd;
    }
    return s->flight;
}

/* What a cut is a share of (RFC 5681 equation 4): the window as far as it was in flight. The part of a segment that it has beyond whole ones
 * never is, and counts: of small windows it is much (RFC 9438 §4.6 lets cwnd stand for the flight where it was used). */
static inline uint32_t stack_window_used(struct tcb *tp)
{
    uint32_t flight = stack_flight_of_turn(tp);
    return flight + tp->maxseg > tp->cwnd ? tp->cwnd : flight;
}

/* The handshake is over: the window of a new connection. */
void stack_established(struct tcb *tp);
/* The congestion control hears of it, and the black box of what it decided. */
void stack_congestion(struct tcb *tp, enum cc_event ev, uint32_t flight);
/* One cut for a window of data, whether loss or mark asks for it; una: the cumulative ACK. */
void stack_cut(struct tcb *tp, tcp_seq una, uint32_t flight);
/* RFC 9937: what this ACK delivered lets out; pipe and sacked after it. Sets cwnd. */
void stack_reduce_rate(struct tcb *tp, uint32_t delivered, uint32_t pipe, uint32_t sacked, bool safe);
/* New data was acknowledged outside of fast recovery; rtt: ns, 0 = no sample. */
void stack_grow(struct tcb *tp, const struct tcp_ack *a, uint64_t rtt);
/* Timer and round trip time for an ACK of new data. Returns the sample, ns, 0: none. */
uint64_t stack_progress(struct tcb *tp, const struct tcp_ack *a);
/* Do timestamps or DSACK blocks say that the last cut was a mistake? */
bool stack_mistaken(struct tcb *tp, const struct tcp_ack *a, bool dsack);
/* It was: window and threshold are what they were. pipe: bytes in flight after the ACK. */
void stack_take_back(struct tcb *tp, const struct tcp_ack *a, uint32_t pipe);
/* RFC 3168 §6.1.2, RFC 8257 §3.3. Only when tp->ecn. */
void stack_digest_ecn(struct tcb *tp, const struct tcp_ack *a);
/* Two new segments could leave after this ACK (RFC 5682 §2.1 step 2b). */
bool stack_new_data_ready(const struct tcb *tp, const struct tcp_ack *a);
/* The window opened: probing is over, and what waits goes out. */
void stack_window_opened(struct tcb *tp);
/* TT_REXMT before the connection is established. */
void stack_syn_timeout(struct tcb *tp, uint64_t now);
/* RFC 5681 §4.1, before new data leaves. */
void stack_restart_after_idle(struct tcb *tp);
/* What ended an output pass: nothing but window, cwnd or data; its budget; the pacer. */
enum stack_limit { STACK_DONE = 0, STACK_BURST = 4, STACK_PACED = 6 };
/* What a pass owes beyond data and FIN: an ACK, a question to a closed window. waiting: something would leave if the peer's window let it. */
void stack_end_of_pass(struct tcb *tp, enum stack_limit limit, bool waiting);

/* Everything there is has left, no FIN and no recovery is on. */
static inline bool stack_all_sent(const struct tcb *tp)
{
    return tp->snd_nxt == tp->snd_una + tp->snd.bytes && tp->snd_nxt == tp->snd_max &&
           !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY | TF_FIN_QUEUED | TF_ACKNOW));
}
