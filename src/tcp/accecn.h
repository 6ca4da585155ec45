// SPDX-License-Identifier: BSD-3-Clause
// The option of AccECN (RFC 9768 §3.2.3): bytes of payload by the ECN field that they came with, where the ACE field counts marked
// segments only, modulo 8. For connections with TE_ACCURATE.
#pragma once
#include "tcp/ecn.h"

/* Counters on the wire begin here, so that somebody who clears them is noticed (§3.2.1). */
#define ACCECN_INIT_E0 1u
#define ACCECN_INIT_E1 1u

#define ACCECN_OPTION_ALWAYS 2 /* net.inet.tcp.ecn.option: it is sent even when it seems to be dropped */

/* synack_lost: our SYN-ACK, which had the option, had to be repeated. */
void accecn_start(struct tcb *tp, bool synack_lost);
/* The option goes with the next ACK, if it is sent at all (net.inet.tcp.ecn.option). */
void accecn_due(struct tcb *tp);

/* Do our options get through (§3.2.3.2.2)? Data that has one and must go again, and ACKs that have one and whose data comes again, are signs that
 * they don't. A segment from seq on with TF_ECN_OPTION has left; */
void accecn_sent(struct tcb *tp, tcp_seq seq, uint32_t len);
/* an ACK without data; */
void accecn_ack_sent(struct tcb *tp);
/* data goes again; */
void accecn_resent(struct tcb *tp, tcp_seq seq, uint32_t len);
/* a segment came, cut to what is new in it. */
void accecn_watch(struct tcb *tp, const struct tcp_segment *s);
/* A segment came with ECT or CE. */
void accecn_received(struct tcb *tp, const struct tcp_segment *s, enum ecn_field field);
/* A segment with the peer's option, its ACK not an old one: sets s->marked to the bytes newly reported marked. */
void accecn_input(struct tcb *tp, struct tcp_segment *s);
