// SPDX-License-Identifier: BSD-3-Clause
// The option of AccECN (RFC 9768 §3.2.3): bytes of payload by the ECN field that they came with, where the ACE field counts marked
// segments only, modulo 8. For connections with TE_ACCURATE.
#pragma once
#include "tcp/ecn.h"

/* Counters on the wire begin here, so that somebody who clears them is noticed (§3.2.1). */
#define ACCECN_INIT_E0 1u
#define ACCECN_INIT_E1 1u

void accecn_start(struct tcb *tp);
/* The option goes with the next ACK, if it is sent at all (net.inet.tcp.ecn.option). */
void accecn_due(struct tcb *tp);
/* A segment came with ECT or CE. */
void accecn_received(struct tcb *tp, const struct tcp_segment *s, enum ecn_field field);
/* A segment with the peer's option, its ACK not an old one: sets s->marked to the bytes newly reported marked. */
void accecn_input(struct tcb *tp, struct tcp_segment *s);
