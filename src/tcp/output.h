// SPDX-License-Identifier: BSD-3-Clause
// Segment output: builds what a stack decided to send. No algorithm in here.
#pragma once
#include <stdint.h>
#include "tcp/auth/choice.h"
#include "tcp/stack.h"

/*
 * Sends one segment (or one TSO packet of several) of len payload bytes from seq, with options, window and checksum marks.
 * len may exceed maxseg only as far as netif_tso_max() allows. seq may lie below snd_nxt (retransmission). FIN goes out
 * when the segment reaches the end of a queue with TF_FIN_QUEUED, PUSH when it empties what is queued. Moves snd_nxt and snd_max,
 * clears the owed ACK, tells stack->sent, arms TT_REXMT when nothing was in flight. 0; -ENOBUFS (nothing sent, TT_REXMT armed so
 * that it is tried again) or an error of ip_output.
 */
int tcp_output_segment(struct tcb *tp, tcp_seq seq, uint32_t len);
/* SYN or SYN-ACK by state (snd_una == iss). */
int tcp_output_syn(struct tcb *tp);
/* The same with up to len bytes of the send buffer, as far as mss (with its options) and, of a SYN, Fast Open's option allow; and more
 * of it in SYN_RECEIVED, from snd_nxt on (RFC 7413 §4.2.2). */
int tcp_output_opening(struct tcb *tp, uint32_t len, uint32_t mss);
int tcp_output_early(struct tcb *tp, uint32_t len);
/* A bare ACK with the present window and SACK blocks. */
int tcp_output_ack(struct tcb *tp);
/* A bare ACK at once, whatever else is due (RFC 5961). */
int tcp_output_challenge(struct tcb *tp);
/* RST of a connection (RFC 9293 §3.10.7): seq snd_nxt. */
void tcp_output_reset(struct tcb *tp);
/* Keepalive or window probe: seq snd_una - 1, no data (with_byte: one byte beyond the window, persist). */
int tcp_output_probe(struct tcb *tp, bool with_byte);
/* RST or ACK for a segment that belongs to no connection, or a challenge ACK; m is the packet it answers (not taken). tp:
 * whose TOS and TTL it has, or NULL. */
void tcp_respond(struct engine *e, const struct tcb *tp, struct rte_mbuf *m, tcp_seq seq, tcp_seq ack,
                 uint8_t flags);

/* Decisions that every stack shares. */
/* Bytes of new data that may go into the next segment under win (min(snd_wnd, cwnd) - used): 0 when Nagle, SWS avoidance (RFC 9293
 * §3.8.6.2), cork or readiness say wait. */
uint32_t tcp_output_new_len(struct tcb *tp, uint32_t win);
/* The most payload of one packet: a segment, or several where the port cuts them (TSO) and nothing forbids it. */
uint32_t tcp_output_most(const struct tcb *tp);
/* Is there a FIN to send, alone or again? */
bool tcp_output_fin_due(const struct tcb *tp);
/* Must an ACK or window update leave now (TF_ACKNOW, or the window grew by 2 segments or half the buffer)? */
bool tcp_output_ack_due(struct tcb *tp);
/* Quick: has the receive window grown so much that a window update is worth a thought? */
static inline bool tcp_window_may_open(const struct tcb *tp)
{
    uint32_t held = tp->rcv.bytes + tp->rcv.lent, edge = tp->rcv_nxt + tp->rcv.hiwat - held;
    int32_t grown = (int32_t)(edge - tp->rcv_adv);
    return grown >= 2 * (int32_t)tp->maxseg || grown >= (int32_t)(tp->rcv.hiwat / 2);
}
/* The window to announce: free buffer space, no shrinking, SWS avoidance (RFC 9293 §3.8.6.2.2). */
uint32_t tcp_receive_window(struct tcb *tp);

/* What a SYN or SYN-ACK says. */
struct tcp_syn_options {
    uint16_t mss; /* 0: not said */
    bool scale, sack, stamps;
    bool accecn; /* the AccECN option, with its initial values */
    uint8_t wscale;
    uint32_t tsval, tsecr;
    struct auth_choice auth;                /* kind 0: none */
    const struct fastopen_option *fastopen; /* NULL: none; set to NULL when it did not fit */
};
/* optwrite.c: options of a segment in FreeBSD's order and padding; out has room for 40 bytes. Returns the length, a multiple of 4. */
unsigned tcp_options_write(struct tcp_syn_options *o, uint8_t *out);
unsigned tcp_options_syn(const struct tcb *tp, uint8_t *out,
                         bool *fastopen); /* the Fast Open option is among them */
#define TCP_OPTIONS_MAX 40
/* Timestamps and nothing else: TCPOLEN_TIMESTAMP_APPA bytes. */
void tcp_options_stamps(const struct tcb *tp, uint32_t *out);
/* Timestamps where in use; with_news: SACK blocks too, as many as fit, and an AccECN option that is due. */
unsigned tcp_options_data(struct tcb *tp, uint8_t *out, bool with_news);
/* Of a segment that has no other: the digest of TCP-MD5 or TCP-AO where in use. */
unsigned tcp_options_signature(const struct tcb *tp, uint8_t *out);
/* mss.c: the MSS option we send: what the interface takes (RFC 6691: no options taken off). */
uint16_t tcp_mss_offer(const struct tcb *tp);
/* The largest MSS that path, peer and TCP_MAXSEG let, whatever pmtu.c found. */
uint32_t tcp_mss_most(const struct tcb *tp);
/* Makes tp->path good. 0 or -errno of ip_path_find(). */
int tcp_path_refresh(struct tcb *tp);
