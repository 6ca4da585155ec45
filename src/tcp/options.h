// SPDX-License-Identifier: BSD-3-Clause
// TCP options as received (optread.c). Writing them: optwrite.c.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/stack.h"

#define TCPOPT_EOL             0
#define TCPOPT_NOP             1
#define TCPOPT_MAXSEG          2 /* RFC 9293 §3.2 */
#define TCPOLEN_MAXSEG         4
#define TCPOPT_WINDOW          3 /* RFC 7323 §2 */
#define TCPOLEN_WINDOW         3
#define TCPOPT_SACK_PERMITTED  4 /* RFC 2018 §2 */
#define TCPOLEN_SACK_PERMITTED 2
#define TCPOPT_SACK            5 /* RFC 2018 §3 */
#define TCPOLEN_SACK_HEAD      2
#define TCPOLEN_SACK           8      /* one block */
#define TCPOPT_FAST_OPEN       34     /* RFC 7413 §4.1.1 */
#define TCPOPT_EXPERIMENT      254    /* RFC 6994 */
#define TCPOPT_FAST_OPEN_MAGIC 0xF989 /* of Fast Open before it had a number */
#define TCPOPT_TIMESTAMP       8      /* RFC 7323 §3 */
#define TCPOLEN_TIMESTAMP      10
#define TCPOLEN_TIMESTAMP_APPA 12 /* with two NOPs before it (RFC 7323 appendix A) */
#define TCPOPT_SIGNATURE       19 /* RFC 2385 §3.0 */
#define TCPOLEN_SIGNATURE      18
#define TCPOPT_AO              29 /* RFC 5925 §2.2 */
#define TCPOLEN_AO_HEAD        4
#define TCPOPT_ACCECN0         172 /* RFC 9768 §3.2.3: bytes of ECT(0), CE, ECT(1) */
#define TCPOPT_ACCECN1         174 /* the other way round */
#define TCPOLEN_ACCECN         11
#define TCP_MAX_WINSHIFT       14 /* RFC 7323 §2.3 */

enum tcp_options_seen {
    TOF_MSS = 1,
    TOF_SCALE = 2,
    TOF_TS = 4,
    TOF_SACKPERM = 8,
    TOF_SACK = 16,
    TOF_BAD = 32,
    TOF_FASTOPEN = 64,
    TOF_ACCECN = 128,    /* accecn points at the option */
    TOF_AUTH = 0x4000,   /* TCP-MD5 or TCP-AO: auth points at the option */
    TOF_BADAUTH = 0x8000 /* more than one of them, or one with a wrong length: no digest to believe */
};

struct tcp_options {
    uint16_t seen;  /* TOF_* */
    uint8_t wscale; /* 0..14 */
    uint8_t n_sack;
    uint8_t fo_len;           /* TOF_FASTOPEN: bytes of the cookie, whether possible or not */
    bool fo_experimental;     /* kind 254 */
    const uint8_t *fo_cookie; /* in the segment */
    uint16_t mss;
    uint32_t tsval, tsecr;
    struct sack_block sack[TCP_MAX_SACK];
    const uint8_t *accecn; /* with TOF_ACCECN: the option's first byte; its length is 5, 8 or 11 */
    const uint8_t *auth;   /* with TOF_AUTH: the option's first byte */
};

/*
 * Reads len option bytes. Options that belong to a SYN (MSS, scale, SACK permitted) are heeded only with syn. Unknown ones are skipped,
 * ones with a wrong length too; a length that is impossible (0, 1, beyond the header) ends the reading (TOF_BAD).
 */
void tcp_options_parse(struct tcp_options *o, const uint8_t *p, uint32_t len, bool syn);
