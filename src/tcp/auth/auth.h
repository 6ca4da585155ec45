// SPDX-License-Identifier: BSD-3-Clause
// Authentication of segments: TCP-MD5 (RFC 2385) and TCP-AO (RFC 5925, RFC 5926). A connection or listener that has keys carries TF_AUTH
// and a struct tcp_auth; all others pay for one branch. A peer that a key is for must sign every segment and gets every segment
// signed; who has no key must not sign. What does not keep to it is dropped before it is looked at.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/input.h"

#define AUTH_KEY_MAX     80 /* bytes of a key (Linux: TCP_MD5SIG_MAXKEYLEN, TCP_AO_MAXKEYLEN) */
#define AUTH_MD5_BYTES   16
#define AUTH_MACLEN      12 /* RFC 5926 §3.2: 96 bits */
#define AUTH_MACLEN_MAX  16 /* as many as fit into a SYN with all other options */
#define AUTH_TRAFFIC_MAX 32
#define AUTH_OPTION_MAX  20 /* with what aligns it */

/* What keys are derived from and the pseudo header is made of, seen from our side. Ports in network order. */
struct auth_flow {
    struct ip_addr laddr, faddr;
    uint16_t lport, fport;
    tcp_seq iss, irs;
};

/* ---- input: false = the segment is to be dropped, and has been counted ---- */

/* Does the segment need a look: is the connection (or listener) an authenticated one, or the segment signed? */
static inline bool tcp_auth_concerns(const struct tcb *tp, const struct tcp_segment *s)
{
    return __builtin_expect((tp->flags & TF_AUTH) != 0 || (s->opt.seen & TOF_AUTH) != 0, 0);
}
bool tcp_auth_input(struct tcb *tp, const struct tcp_segment *s);
/*
 * A segment for a listener, before it does anything: a SYN, or an ACK that ends a handshake nobody remembers (SYN cookie: both ISNs
 * follow from it). choice: how to answer the peer from now on.
 */
bool tcp_auth_listen(const struct tcb *listener, const struct tcp_segment *s, struct auth_choice *choice);
/* May an ICMP error about the connection be heard (RFC 5925 §7.8)? False: counted. type and code as in tcp_icmp_error(). */
bool tcp_auth_icmp(struct tcb *tp, int type, int code);

/* ---- output ---- */

/* Writes the option, digest zero, behind len bytes of options at out, aligned as FreeBSD does. Returns the new length; len when it does not fit. */
unsigned tcp_auth_option(const struct auth_choice *choice, uint8_t *out, unsigned len);
struct auth_choice tcp_auth_choice(const struct tcb *tp);
/* Bytes that the option takes from a segment with `len` bytes of other options. */
static inline unsigned tcp_auth_option_len(const struct auth_choice *choice, unsigned len)
{
    uint8_t scratch[60];
    return tcp_auth_option(choice, scratch, len) - len;
}
/* Fills the digest of m (data at the TCP header, complete but for the checksum). False: not possible, counted; m must not be sent. */
bool tcp_auth_sign(struct tcb *tp, struct rte_mbuf *m);
/* As before, for an answer by listener's keys: SYN-ACK of a half-open connection, RST. */
bool tcp_auth_sign_flow(const struct tcb *listener, const struct auth_choice *choice,
                        const struct auth_flow *f, struct rte_mbuf *m);
/* A RST r in answer to the segment got, which belongs to tp, a connection in its handshake or a listener: the option, and its digest. */
unsigned tcp_auth_respond_option(const struct tcb *tp, const struct ip_addr *peer, uint8_t *out);
bool tcp_auth_sign_answer(const struct tcb *tp, struct rte_mbuf *got, struct rte_mbuf *r);

/* ---- life ---- */

/* tp, its addresses and ISNs set, takes the keys of its listener that are for its peer. 0, -ENOMEM. */
int tcp_auth_inherit(struct tcb *tp, const struct tcb *listener, const struct auth_choice *choice);
/* The peer is known (tcp_connect): TF_AUTH tells from now on whether a key is for it. 0; -EKEYREJECTED: none is, and one is required. */
int tcp_auth_connect(struct tcb *tp);
/* Wipes and gives back all keys. */
void tcp_auth_free(struct tcb *tp);
int tcp_auth_create(struct tcp_layer *t);
void tcp_auth_destroy(struct tcp_layer *t);

/* auth_option.c: socket options. 0 or -errno; -ENOPROTOOPT: none of ours. */
int tcp_auth_setopt(struct tcb *tp, int name, const void *val, uint32_t len);
int tcp_auth_getopt(const struct tcb *tp, int name, void *val, uint32_t *len);
