// SPDX-License-Identifier: BSD-3-Clause
// Inside of the default stack: default.c decides what ACKs and timers mean, default_output.c what is sent.
#pragma once
#include "tcp/loss/frto.h"
#include "tcp/loss/loss.h"
#include "tcp/loss/prr.h"
#include "tcp/loss/rttring.h"
#include "tcp/loss/undo.h"
#include "tcp/tcp.h"

struct default_state {
    bool rexmit_head;  /* the first unacknowledged segment goes again in the next pass */
    uint8_t frto;      /* enum frto_step */
    bool limited_told; /* the congestion control knows that the window is not used */
    uint32_t flight;   /* before the first ACK of the turn acked_at */
    uint64_t acked_at; /* ns */
    struct prr prr;
    struct undo undo;
    struct rtt_ring timed;
};
_Static_assert(sizeof(struct default_state) <= TCP_STACK_BYTES, "fits in the tcb");

static inline struct default_state *default_state(struct tcb *tp)
{
    return (struct default_state *)tp->stack_state;
}
static inline struct loss_stats *loss_stats(const struct tcb *tp)
{
    return &tp->e->tcp->loss.stats;
}
static inline const struct loss_params *loss_params(const struct tcb *tp)
{
    return &tp->e->tcp->loss.params;
}

void default_output(struct tcb *tp);
void default_sent(struct tcb *tp, const struct tcp_sent *s);
