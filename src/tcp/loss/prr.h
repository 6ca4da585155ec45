// SPDX-License-Identifier: BSD-3-Clause
// Proportional Rate Reduction (RFC 9937, RFC 6937): in fast recovery, data leaves at the pace at which data is delivered, so that
// the window has shrunk to ssthresh when recovery ends, without silence and without bursts. Knows only bytes.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct prr {
    uint32_t delivered;  /* bytes since recovery began */
    uint32_t out;        /* bytes sent since */
    uint32_t recover_fs; /* bytes in flight when it began */
};

/* Recovery begins with recover_fs bytes in flight (RFC 9937 §6.1: what was SACKed before is not). */
void prr_begin(struct prr *p, uint32_t recover_fs);
/*
 * An ACK delivered `delivered` bytes and leaves `pipe` in flight: the window. safe: it acknowledged new data and shows no further loss,
 * so that the window may be filled faster than it drains. conservative: never that (net.inet.tcp.do_prr_conservative).
 */
uint32_t prr_acked(struct prr *p, uint32_t delivered, uint32_t pipe, uint32_t ssthresh, uint32_t mss,
                   bool safe, bool conservative);
static inline void prr_sent(struct prr *p, uint32_t len)
{
    p->out += len;
}
