// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies (RFC 4987 §3.6): what a half-open connection must remember, in the initial sequence number of our SYN-ACK. Bits as FreeBSD
// has them: 24 of a SipHash-2-4, 8 of MSS, window scale, SACK and which key. Timestamps need no bits, for the ACK carries them.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/ipaddr.h"
#include "base/rng.h"
#include "base/units.h"
#include "tcp/seq.h"

#define SYNCOOKIE_LIFETIME_NS                                                                                \
    (15 * NS_PER_SEC) /* a key makes cookies so long, and knows them for as long again */

/* The two keys that live at a time, derived from a root secret; each is replaced every second lifetime. */
struct syncookie_keys {
    struct siphash_key root;
    struct siphash_key key[2]; /* of even and odd periods */
    uint64_t period[2];        /* that each is of; UINT64_MAX: none yet */
};

/* What a cookie carries of a connection. */
struct syncookie {
    uint16_t mss;   /* the peer's; 0 (none said) comes back as the smallest of the table */
    uint8_t wscale; /* the peer's shift */
    bool scale;     /* window scale is in use */
    bool sack;
};

/* The connection that it belongs to. */
struct syncookie_flow {
    struct ip_addr faddr, laddr;
    uint16_t fport, lport; /* network order */
    tcp_seq irs;
};

void syncookie_keys_init(struct syncookie_keys *k, const struct siphash_key *root);
/* The initial sequence number that says c, at time now. Values go to the next lower ones of the tables. */
tcp_seq syncookie_make(struct syncookie_keys *k, const struct syncookie_flow *flow, const struct syncookie *c,
                       uint64_t now);
/* Is iss a cookie of this flow, made at most two lifetimes ago? Then *c is what it says. */
bool syncookie_read(struct syncookie_keys *k, const struct syncookie_flow *flow, tcp_seq iss, uint64_t now,
                    struct syncookie *c);
