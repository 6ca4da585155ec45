// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window arithmetic, for others to build on (their state begins with struct newreno).
#pragma once
#include "tcp/cc/cc.h"

struct newreno {
    uint64_t rest; /* of congestion avoidance: what did not make a byte of cwnd yet, times the window */
    uint32_t
        grown; /* bytes of the next segment that cwnd has grown by: the window that is counted is without them */
    uint32_t prior_cwnd, prior_ssthresh; /* before the last cut */
};

void newreno_init(struct tcb *tp);
void newreno_acked(struct tcb *tp, const struct cc_ack *a);
void newreno_event(struct tcb *tp, enum cc_event ev, uint32_t flight);
/* Cuts to ssthresh, remembering what was before. */
void newreno_cut(struct tcb *tp, uint32_t ssthresh);
