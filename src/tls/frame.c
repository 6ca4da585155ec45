// SPDX-License-Identifier: BSD-3-Clause
// The record layer's formats: header, nonce, associated data, trailer (RFC 5246 §6.2, RFC 5288, RFC 6655, RFC 7905, RFC 8446 §5).
#include <errno.h>
#include <string.h>
#include "tls/session.h"

static void put_be64(uint8_t *out, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        out[i] = (uint8_t)v;
}

static void put_be16(uint8_t *out, uint32_t v)
{
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
}

static bool is_13(const struct tls_session *s)
{
    return s->vminor == TLS_MINOR_VER_THREE;
}

static bool has_explicit_nonce(const struct tls_session *s)
{
    return !is_13(s) && (s->suite == TLS_SUITE_GCM || s->suite == TLS_SUITE_CCM);
}

uint32_t tls_trailer_len(const struct tls_session *s, uint32_t n)
{
    if (s->suite != TLS_SUITE_CBC)
        return 16u + is_13(s);
    uint32_t inner = n + s->mac_len;
    return s->mac_len + 16 - inner % 16; /* padding of 1 to 16 bytes */
}

/* TLS 1.3 looks like TLS 1.2 from outside (RFC 8446 §5.1). */
static uint8_t wire_minor(const struct tls_session *s)
{
    return is_13(s) ? TLS_MINOR_VER_TWO : s->vminor;
}

/* RFC 5246 §6.2.3.2: unpredictable. Distinct for each record, and secret until it is sent. */
static void explicit_iv(const struct tls_session *s, uint64_t seq, uint8_t out[16])
{
    for (uint64_t half = 0; half < 2; half++) {
        const uint64_t in[3] = {(uintptr_t)s, seq, half};
        uint64_t v = siphash24(&s->iv_secret, in, sizeof(in));
        memcpy(out + 8 * half, &v, 8);
    }
}

void tls_header_write(const struct tls_session *s, uint8_t *out, uint64_t seq, uint8_t type, uint32_t n)
{
    out[0] = is_13(s) ? TLS_RLTYPE_APP : type;
    out[1] = TLS_MAJOR_VER_ONE;
    out[2] = wire_minor(s);
    put_be16(out + 3, tls_record_len(s, n) - TLS_HEADER);
    if (has_explicit_nonce(s))
        put_be64(out + TLS_HEADER, s->nonce_base + seq); /* never twice under one key (RFC 5288 §3) */
    else if (s->hlen > TLS_HEADER)
        explicit_iv(s, seq, out + TLS_HEADER);
}

unsigned tls_aad(const struct tls_session *s, uint64_t seq, uint8_t type, uint32_t n,
                 uint8_t out[TLS_AAD_MAX])
{
    if (is_13(s)) {
        out[0] = TLS_RLTYPE_APP;
        out[1] = TLS_MAJOR_VER_ONE;
        out[2] = TLS_MINOR_VER_TWO;
        put_be16(out + 3, n);
        return TLS_HEADER;
    }
    put_be64(out, seq);
    out[8] = type;
    out[9] = TLS_MAJOR_VER_ONE;
    out[10] = s->vminor;
    put_be16(out + 11, n);
    return TLS_AAD_MAX;
}

void tls_nonce(const struct tls_session *s, uint64_t seq, const uint8_t *explicit, uint8_t out[TLS_NONCE])
{
    memcpy(out, s->keys->iv, TLS_NONCE);
    if (has_explicit_nonce(s)) {
        memcpy(out + 4, explicit, 8);
        return;
    }
    uint8_t number[8];
    put_be64(number, seq);
    for (unsigned i = 0; i < 8; i++)
        out[4 + i] ^= number[i];
}

/* The fewest bytes that can follow the header. */
static uint32_t body_min(const struct tls_session *s)
{
    if (s->suite == TLS_SUITE_CBC)
        return s->hlen - TLS_HEADER + ((s->mac_len + 16u) & ~15u);
    return s->hlen - TLS_HEADER + 16u + is_13(s);
}

int tls_header_check(const struct tls_session *s, const uint8_t header[TLS_HEADER])
{
    uint32_t body = (uint32_t)header[3] << 8 | header[4];
    if (header[1] != TLS_MAJOR_VER_ONE || header[2] != wire_minor(s))
        return -EINVAL;
    if (is_13(s) ? header[0] != TLS_RLTYPE_APP : header[0] < TLS_RLTYPE_CCS || header[0] > TLS_RLTYPE_APP)
        return -EINVAL;
    /* RFC 8446 §5.2: 256 bytes of growth at most; RFC 5246 §6.2.3: 2048. */
    if (body < body_min(s) || body > TLS_PAYLOAD_MAX + (is_13(s) ? 256 : TLS_EXPANSION_MAX))
        return -EMSGSIZE;
    return (int)(TLS_HEADER + body);
}
