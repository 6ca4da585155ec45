// SPDX-License-Identifier: BSD-3-Clause
// Tail Loss Probe (RFC 8985 §7): when ACKs do not come, one segment goes once more, or a new one, so that the SACK of it shows what was lost,
// and no timeout is needed. When the probe itself repaired the loss, that shows too, and the congestion control hears of it.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/seq.h"

struct tlp {                /* RFC 8985 §5.3 */
    tcp_seq start, end_seq; /* of the probe; TLP.end_seq, when out */
    bool out;               /* a probe is in flight */
    bool is_retrans;        /* TLP.is_retrans */
    bool sampled;           /* a round trip was measured since the last probe */
};

struct tlp_ack {
    tcp_seq ack;
    bool dsack; /* its first block, [dsack_start, dsack_end), is a DSACK */
    tcp_seq dsack_start, dsack_end;
    bool bare_duplicate; /* a duplicate ACK without any block */
};

/*
 * §7.2, ns: SRTT + SRTT / thresh, at least least. single: one segment is in flight, whose ACK may be delayed by max_ack_delay: then at least 1.5 * SRTT + max_ack_delay, as
 * FreeBSD has it (the RFC adds TLP.max_ack_delay, whose value it leaves to the sender).
 */
uint64_t tlp_timeout(uint64_t srtt, unsigned thresh, uint64_t least, bool single, uint64_t max_ack_delay);
/* §7.3: may a probe leave? */
static inline bool tlp_may_probe(const struct tlp *t)
{
    return !t->out && t->sampled;
}
/* It left: [start, snd_nxt), again or new. */
void tlp_sent(struct tlp *t, tcp_seq start, tcp_seq snd_nxt, bool is_retrans);
/* §7.4.2. True: the probe repaired a loss, to which the congestion control is to react. */
bool tlp_acked(struct tlp *t, const struct tlp_ack *a);
/* The DSACK reports the probe: it says nothing of reordering. */
bool tlp_dsacked(const struct tlp *t, const struct tlp_ack *a);
