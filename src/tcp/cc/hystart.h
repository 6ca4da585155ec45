// SPDX-License-Identifier: BSD-3-Clause
// HyStart++ (RFC 9406): slow start ends when the round trip time grows, before a queue overflows.
#pragma once
#include "tcp/cc/cc.h"

enum hystart_phase { HYSTART_OFF, HYSTART_SLOW_START, HYSTART_CSS };

struct hystart {
    uint8_t phase;                                   /* enum hystart_phase */
    uint8_t samples;                                 /* of this round */
    uint16_t css_rounds;                             /* since CSS began */
    tcp_seq window_end;                              /* this round is over when it is acknowledged */
    uint32_t last_min_us, round_min_us, baseline_us; /* UINT32_MAX: none */
};

/* A connection's first slow start begins. */
void hystart_start(struct hystart *h, const struct tcb *tp);
/* An ACK in slow start that would add `increase` bytes: what it may add. May end slow start: ssthresh = cwnd. */
uint32_t hystart_acked(struct hystart *h, struct tcb *tp, const struct cc_ack *a, uint32_t increase);
/* Slow start ended by loss or mark: RFC 9406 §4.2 serves only the first one. */
static inline void hystart_stop(struct hystart *h)
{
    h->phase = HYSTART_OFF;
}
