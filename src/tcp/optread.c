// SPDX-License-Identifier: BSD-3-Clause
// Options as they arrive. Writing them: optwrite.c.
#include <string.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include "tcp/options.h"

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return rte_be_to_cpu_32(v);
}

/* RFC 7323 appendix A: what nearly every segment carries, and nothing else. */
static bool parse_aligned_timestamp(struct tcp_options *o, const uint8_t *p, uint32_t len)
{
    if (len != TCPOLEN_TIMESTAMP_APPA ||
        get32(p) != (TCPOPT_NOP << 24 | TCPOPT_NOP << 16 | TCPOPT_TIMESTAMP << 8 | TCPOLEN_TIMESTAMP))
        return false;
    o->seen = TOF_TS;
    o->tsval = get32(p + 4);
    o->tsecr = get32(p + 8);
    return true;
}

static void parse_sack(struct tcp_options *o, const uint8_t *p, uint32_t len)
{
    if (len <= TCPOLEN_SACK_HEAD || (len - TCPOLEN_SACK_HEAD) % TCPOLEN_SACK != 0)
        return;
    uint32_t n = (len - TCPOLEN_SACK_HEAD) / TCPOLEN_SACK;
    o->n_sack = (uint8_t)RTE_MIN(n, (uint32_t)TCP_MAX_SACK);
    for (uint32_t i = 0; i < o->n_sack; i++) {
        const uint8_t *block = p + TCPOLEN_SACK_HEAD + i * TCPOLEN_SACK;
        o->sack[i] = (struct sack_block){get32(block), get32(block + 4)};
    }
    o->seen |= TOF_SACK;
}

/* RFC 5925 §2.2: a segment with two of them is no good, nor one with a length that cannot be. */
static void parse_auth(struct tcp_options *o, const uint8_t *p, uint32_t len)
{
    if ((o->seen & TOF_AUTH) || (p[0] == TCPOPT_SIGNATURE ? len != TCPOLEN_SIGNATURE : len < TCPOLEN_AO_HEAD))
        o->seen |= TOF_BADAUTH;
    o->seen |= TOF_AUTH;
    o->auth = p;
}

/* RFC 9768 §3.2.3: other lengths are of the future. The first one counts. */
static void parse_accecn(struct tcp_options *o, const uint8_t *p, uint32_t len)
{
    if ((len != 5 && len != 8 && len != TCPOLEN_ACCECN) || (o->seen & TOF_ACCECN))
        return;
    o->seen |= TOF_ACCECN;
    o->accecn = p;
}

/* The first one counts. */
static void parse_fast_open(struct tcp_options *o, const uint8_t *p, uint32_t len, uint32_t head)
{
    if (o->seen & TOF_FASTOPEN)
        return;
    o->seen |= TOF_FASTOPEN;
    o->fo_len = (uint8_t)(len - head);
    o->fo_experimental = head > 2;
    o->fo_cookie = p + head;
}

static void parse_one(struct tcp_options *o, const uint8_t *p, uint32_t len, bool syn)
{
    switch (p[0]) {
    case TCPOPT_MAXSEG:
        if (syn && len == TCPOLEN_MAXSEG) {
            o->seen |= TOF_MSS;
            o->mss = get16(p + 2);
        }
        break;
    case TCPOPT_WINDOW:
        if (syn && len == TCPOLEN_WINDOW) {
            o->seen |= TOF_SCALE;
            o->wscale = RTE_MIN(p[2], TCP_MAX_WINSHIFT); /* RFC 7323 §2.3: larger is taken as 14 */
        }
        break;
    case TCPOPT_SACK_PERMITTED:
        if (syn && len == TCPOLEN_SACK_PERMITTED)
            o->seen |= TOF_SACKPERM;
        break;
    case TCPOPT_SACK:
        if (!syn)
            parse_sack(o, p, len);
        break;
    case TCPOPT_TIMESTAMP:
        if (len == TCPOLEN_TIMESTAMP) {
            o->seen |= TOF_TS;
            o->tsval = get32(p + 2);
            o->tsecr = get32(p + 6);
        }
        break;
    case TCPOPT_SIGNATURE:
    case TCPOPT_AO:
        parse_auth(o, p, len);
        break;
    case TCPOPT_ACCECN0:
    case TCPOPT_ACCECN1:
        parse_accecn(o, p, len);
        break;
    case TCPOPT_FAST_OPEN:
        if (syn)
            parse_fast_open(o, p, len, 2);
        break;
    case TCPOPT_EXPERIMENT:
        if (syn && len >= 4 && get16(p + 2) == TCPOPT_FAST_OPEN_MAGIC)
            parse_fast_open(o, p, len, 4);
        break;
    default:
        break;
    }
}

void tcp_options_parse(struct tcp_options *o, const uint8_t *p, uint32_t len, bool syn)
{
    o->seen = 0;
    o->n_sack = 0;
    if (len == 0 || parse_aligned_timestamp(o, p, len))
        return;
    while (len > 0 && p[0] != TCPOPT_EOL) {
        uint32_t n = 1;
        if (p[0] != TCPOPT_NOP) {
            n = len < 2 ? 0 : p[1];
            if (n < 2 || n > len) {
                o->seen |= TOF_BAD;
                return;
            }
            parse_one(o, p, n, syn);
        }
        p += n;
        len -= n;
    }
}
