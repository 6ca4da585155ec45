// SPDX-License-Identifier: BSD-3-Clause
// Explicit Congestion Notification (RFC 3168), and its accurate form (AccECN, RFC 9768; its option is in accecn.h): negotiation, marks of what is sent, echoes of what was received. What a mark does to the window is the stack's business.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <rte_tcp.h>
#include "tcp/tcb.h"

struct tcp_layer;
struct tcp_segment;

/* The field of the IP header. */
enum ecn_field { ECN_NOT_ECT, ECN_ECT1, ECN_ECT0, ECN_CE };

/* The ECN flags of a TCP header as one number (RFC 9768 §3.2 calls it the ACE field). */
enum { ACE_ECE = 1, ACE_CWR = 2, ACE_AE = 4 };
#define ACE_SETUP    (ACE_CWR | ACE_ECE)          /* ECN-setup SYN (RFC 3168 §6.1.1) */
#define ACE_ACCURATE (ACE_AE | ACE_CWR | ACE_ECE) /* AccECN SYN (RFC 9768 §3.1.1) */

static inline uint8_t tcp_ace(const struct rte_tcp_hdr *th)
{
    return (uint8_t)((th->tcp_flags >> 6) | (th->data_off & 1) << 2);
}
static inline void tcp_ace_set(struct rte_tcp_hdr *th, uint8_t ace)
{
    th->tcp_flags = (uint8_t)((th->tcp_flags & 0x3f) | (ace & 3) << 6);
    th->data_off = (uint8_t)((th->data_off & 0xfe) | ace >> 2);
}

/* Header length, flags and ECN flags as they are on the wire: offset, AE, CWR, ECE, the rest. */
static inline uint16_t tcp_flags_field(unsigned hlen, uint8_t flags, uint8_t ace)
{
    return htons((uint16_t)(hlen << 10 | (uint32_t)ace << 6 | flags));
}

/* tcb->ecn; 0: no ECN. */
enum tcb_ecn {
    TE_ASKED = 0x1,     /* our SYN offered it, and no SYN went without since */
    TE_ON = 0x2,        /* both ends agreed (RFC 3168) */
    TE_SEND_ECE = 0x4,  /* CE arrived: every ACK says so until the peer's CWR */
    TE_SEND_CWR = 0x8,  /* the window was cut: the next new data says so */
    TE_REDUCED = 0x10,  /* a mark cut the window; until snd_una passes ecn_recover another does not */
    TE_CE = 0x20,       /* the last segment was marked (RFC 8257 §3.2: DCTCP.CE) */
    TE_ACCURATE = 0x40, /* AccECN: ACE is a counter of marked segments; SEND_ECE and SEND_CWR are not used */
    TE_ACE_TELL = 0x80, /* the next segment tells how the SYN-ACK arrived, in ace_rcv (RFC 9768 §3.2.2.1) */
    TE_ACE_AWAIT = 0x100,     /* the peer's first segment will tell how our SYN-ACK arrived */
    TE_OPTION_SEEN = 0x400,   /* an AccECN option came */
    TE_OPTION_ZEROED = 0x800, /* somebody clears its counters: they say nothing (§3.2.3.2.4) */
    TE_LAST_FIELD = 0x3000,   /* enum ecn_field of the last data that came; 0: none */
    TE_ACE_ZEROED = 0x200,    /* somebody clears the ACE field: we send no ECT (§3.2.2.4) */
    TE_OPTION_SILENT =
        0x4000, /* segments with our option seem to be dropped: we send it no more (§3.2.3.2.2) */
    TE_OPTION_PASSES = 0x8000, /* data with our option was acknowledged */
};

struct ecn_params {
    uint32_t enable;     /* net.inet.tcp.ecn.enable */
    uint32_t option;     /* net.inet.tcp.ecn.option: 0, 1 or ACCECN_OPTION_ALWAYS (accecn.h) */
    uint32_t maxretries; /* net.inet.tcp.ecn.maxretries */
};

struct ecn_stats { /* net.inet.tcp.stats.ecn_*: FreeBSD's tcpstat names */
    uint64_t ecn_rcvce, ecn_rcvect0, ecn_rcvect1, ecn_sndect0, ecn_sndect1, ecn_shs, ecn_rcwnd;
    uint64_t ace_nect, ace_ect1, ace_ect0, ace_ce, ace_zeroed, ace_marks, ace_options, ace_option_zeroed;
    uint64_t ace_option_silent;
};

struct tcp_ecn {
    struct ecn_params params;
    struct ecn_stats stats;
};

/* Registers settings and counters. 0 or -errno. */
int tcp_ecn_create(struct tcp_layer *t);
void tcp_ecn_destroy(struct tcp_layer *t);

/*
 * Passive opening. What a listener answers to a SYN is decided once, from flags alone, and kept (a byte) with the half-open
 * connection: ecn_answer(); each SYN-ACK carries ecn_synack_flags() of it; ecn_accepted() hands it to the connection.
 */
enum ecn_answer { ECN_REFUSED, ECN_CLASSIC, ECN_ACCURATE /* + enum ecn_field of the SYN */ };
enum ecn_answer ecn_answer(const struct tcp_layer *t, uint8_t syn_ace, enum ecn_field field);
/* The ACE bits of a SYN-ACK; resent: how often it was sent before. Beyond maxretries it goes without (RFC 3168 §6.1.1.1), and *answer is
 * then ECN_REFUSED for good. */
uint8_t ecn_synack_flags(struct tcp_layer *t, uint8_t *answer, unsigned resent);
void ecn_accepted(struct tcb *tp, enum ecn_answer answer);

/* Active opening: the ACE bits of our SYN; a repeated one goes without from maxretries on. */
uint8_t ecn_syn_flags(struct tcb *tp);
/* The SYN-ACK of an active opening has come. */
void ecn_synack_received(struct tcb *tp, uint8_t ace, enum ecn_field field);
/* Simultaneous opening: the SYN that crossed ours. */
void ecn_syn_received(struct tcb *tp, uint8_t ace, enum ecn_field field);
/* The ACE bits of the SYN-ACK of a connection in SYN_RECEIVED. */
uint8_t ecn_own_synack_flags(struct tcb *tp);

/* A segment of a connection was accepted (its window checked: RFC 3168 §6.1.5). Only called when tp->ecn or field is not 0. With AccECN it
 * sets s->marked and makes s->flags say ECE when there are any. */
void ecn_input(struct tcb *tp, struct tcp_segment *s, enum ecn_field field);
/* Does the ECE of an ACK ask for a smaller window now? Once for a window of data (RFC 3168 §6.1.2): the caller answers with a
 * cut by its congestion control. */
bool ecn_congested(struct tcb *tp, tcp_seq ack, bool ece);
/* The window was cut for a loss: the peer hears of it too, and its ECE for the same window means nothing more. */
void ecn_reduced(struct tcb *tp);
/* The window was cut already for what is in flight from una on: a loss in it doesn't cut again. */
static inline bool ecn_window_reduced(const struct tcb *tp, tcp_seq una)
{
    return (tp->ecn & TE_REDUCED) && seq_lt(una, tp->ecn_recover - 1);
}
/* The ECN flags and (returned) the field of the IP header of a segment about to leave. fresh: new data, no window probe. */
enum ecn_field ecn_output(struct tcb *tp, uint8_t *ace, bool fresh);
