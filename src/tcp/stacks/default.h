// SPDX-License-Identifier: BSD-3-Clause
// Inside of the default stack: default.c decides what ACKs and timers mean, default_output.c what is sent.
#pragma once
#include "tcp/loss/rttring.h"
#include "tcp/stacks/shared.h"

struct default_state {
    struct stack_shared shared;
    bool rexmit_head; /* the first unacknowledged segment goes again in the next pass */
    struct rtt_ring timed;
};
_Static_assert(sizeof(struct default_state) <= TCP_STACK_BYTES, "fits in the tcb");

static inline struct default_state *default_state(struct tcb *tp)
{
    return (struct default_state *)tp->stack_state;
}

void default_output(struct tcb *tp);
void default_sent(struct tcb *tp, const struct tcp_sent *s);
