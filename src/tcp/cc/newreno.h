// SPDX-License-Identifier: BSD-3-Clause
// NewReno's window arithmetic, for others to build on (their state begins with struct newreno).
#pragma once
#include "tcp/cc/cc.h"

struct newreno {
    uint32_t bytes_acked;                /* towards the next segment of congestion avoidance */
    uint32_t prior_cwnd, prior_ssthresh; /* before the last cut */
};

void newreno_init(struct tcb *tp);
void newreno_acked(struct tcb *tp, const struct cc_ack *a);
void newreno_event(struct tcb *tp, enum cc_event ev, uint32_t flight);
/* Cuts to ssthresh, remembering what was before. */
void newreno_cut(struct tcb *tp, uint32_t ssthresh);
