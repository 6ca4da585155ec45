// SPDX-License-Identifier: BSD-3-Clause
// For torture: connections change their TCP stack at any moment, as setsockopt(TCP_FUNCTION_BLK) would have it.
#pragma once
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <leat/tcp.h>
#include "base/alloc.h"
#include "base/rng.h"
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "tcp/tcp.h"

/* What the connections were about when they changed. */
struct switched {
    uint64_t all, recovery, timeout, fin, not_ready, persist, refused, nomem;
    int unexpected; /* an error that no stack may give */
};

static inline const struct tcp_stack *any_stack(struct rng *r)
{
    unsigned n = 0;
    while (tcp_stack_by_id(n))
        n++;
    return tcp_stack_by_id(rng_below(r, n));
}

static inline void switch_one(struct tcb *tp, struct rng *r, struct switched *s)
{
    const struct tcp_stack *to = any_stack(r);
    struct tcp_function_set fs = {0};
    struct tcb before = *tp;
    if (tp->state == TCPS_CLOSED || tp->state == TCPS_TIME_WAIT || to == tp->stack)
        return;
    snprintf(fs.function_set_name, sizeof(fs.function_set_name), "%s", to->name);
#ifdef LEAT_FAULT_INJECTION
    if (rng_below(r, 8) == 0)
        fault_countdown = 1 + rng_below(r, 3);
#endif
    int err = tcp_setopt(tp, TCP_FUNCTION_BLK, &fs, sizeof(fs));
#ifdef LEAT_FAULT_INJECTION
    fault_countdown = -1;
#endif
    s->refused += err != 0;
    s->nomem += err == -ENOMEM;
    if (err != 0 && err != -EAGAIN && err != -EINVAL && err != -ENOMEM)
        s->unexpected = err;
    if (err)
        return;
    s->all++;
    s->recovery += (before.flags & TF_RECOVERY) != 0;
    s->timeout += (before.flags & TF_RTO_RECOVERY) != 0;
    s->fin += (before.flags & TF_SENTFIN) != 0;
    s->not_ready += before.snd.ready < before.snd.bytes;
    s->persist += tcp_timer_armed(&before, TT_PERSIST);
}

/* Each connection of the host, with a chance of 1 in `of`. */
static inline void switch_stacks(struct sim_node *n, struct rng *r, unsigned of, struct switched *s)
{
    struct tcb *tp;
    TAILQ_FOREACH (tp, &sim_engine(n)->tcp->all, all_link)
        if (rng_below(r, of) == 0)
            switch_one(tp, r, s);
}

static inline void switched_print(const struct switched *s)
{
    printf("%lu changes of stack: %lu in fast recovery, %lu after a timeout, %lu with FIN sent, %lu with "
           "data not ready, %lu with the "
           "window closed; %lu refused, %lu of them for lack of memory\n",
           s->all, s->recovery, s->timeout, s->fin, s->not_ready, s->persist, s->refused, s->nomem);
}
