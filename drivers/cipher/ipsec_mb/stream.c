// SPDX-License-Identifier: BSD-3-Clause
// AES-GCM and ChaCha20-Poly1305: the library fills the CPU's lanes with the blocks of one record, so records need not be gathered.
#include <errno.h>
#include <openssl/crypto.h>
#include "cipher/ipsec_mb/priv.h"

union context {
    struct gcm_context_data gcm;
    struct chacha20_poly1305_context_data chacha;
};

static const struct imb_state *state_of(const struct tls_op *op)
{
    return op->s->cipher;
}

static void begin(const struct tls_op *op, union context *c, const struct tls_aead *a)
{
    IMB_MGR *m = imb_functions();
    const struct imb_state *st = state_of(op);
    if (op->s->suite == TLS_SUITE_CHACHA20)
        IMB_CHACHA20_POLY1305_INIT(m, st->chacha, &c->chacha, a->nonce, a->aad, a->aad_len);
    else if (op->s->key_len == 32)
        IMB_AES256_GCM_INIT(m, &st->gcm, &c->gcm, a->nonce, a->aad, a->aad_len);
    else
        IMB_AES128_GCM_INIT(m, &st->gcm, &c->gcm, a->nonce, a->aad, a->aad_len);
}

static void encrypt(const struct tls_op *op, union context *c, uint8_t *to, const uint8_t *from, uint64_t n)
{
    IMB_MGR *m = imb_functions();
    const struct imb_state *st = state_of(op);
    if (op->s->suite == TLS_SUITE_CHACHA20)
        IMB_CHACHA20_POLY1305_ENC_UPDATE(m, st->chacha, &c->chacha, to, from, n);
    else if (op->s->key_len == 32)
        IMB_AES256_GCM_ENC_UPDATE(m, &st->gcm, &c->gcm, to, from, n);
    else
        IMB_AES128_GCM_ENC_UPDATE(m, &st->gcm, &c->gcm, to, from, n);
}

static void decrypt(const struct tls_op *op, union context *c, uint8_t *to, const uint8_t *from, uint64_t n)
{
    IMB_MGR *m = imb_functions();
    const struct imb_state *st = state_of(op);
    if (op->s->suite == TLS_SUITE_CHACHA20)
        IMB_CHACHA20_POLY1305_DEC_UPDATE(m, st->chacha, &c->chacha, to, from, n);
    else if (op->s->key_len == 32)
        IMB_AES256_GCM_DEC_UPDATE(m, &st->gcm, &c->gcm, to, from, n);
    else
        IMB_AES128_GCM_DEC_UPDATE(m, &st->gcm, &c->gcm, to, from, n);
}

static void finish(const struct tls_op *op, union context *c, uint8_t tag[TLS_TAG])
{
    IMB_MGR *m = imb_functions();
    const struct imb_state *st = state_of(op);
    if (op->s->suite == TLS_SUITE_CHACHA20)
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(m, &c->chacha, tag, TLS_TAG);
    else if (op->s->key_len == 32)
        IMB_AES256_GCM_ENC_FINALIZE(m, &st->gcm, &c->gcm, tag, TLS_TAG);
    else
        IMB_AES128_GCM_ENC_FINALIZE(m, &st->gcm, &c->gcm, tag, TLS_TAG);
}

static bool encrypt_some(const struct tls_op *op, void *c, uint8_t *to, const uint8_t *from, size_t n)
{
    encrypt(op, c, to, from, n);
    return true;
}

static bool finish_tag(const struct tls_op *op, void *c, uint8_t *tag)
{
    finish(op, c, tag);
    return true;
}

void imb_stream_seal(struct tls_op *op)
{
    struct tls_aead a;
    union context c;
    uint8_t header[TLS_HEADER + 8], *body = tls_body(op);
    op->result = 0;
    if (tls_in_place(op)) {
        tls_aead_seal_begin(op, &a, op->dst);
        tls_aead_gather(op, &a);
        begin(op, &c, &a);
        encrypt(op, &c, body, body, a.inner);
        finish(op, &c, body + a.inner);
        return;
    }
    tls_aead_seal_begin(op, &a, header);
    begin(op, &c, &a);
    tls_aead_seal_stream(op, &a, header, encrypt_some, finish_tag, &c);
}

void imb_stream_open(struct tls_op *op)
{
    struct iov_at at = {op->src, op->src_off};
    struct tls_aead a;
    union context c;
    uint8_t sent[TLS_TAG] = {0}, tag[TLS_TAG], *to = op->dst;
    if (!tls_aead_open_begin(op, &a, &at))
        return;
    begin(op, &c, &a);
    for (uint32_t left = a.inner; left > 0;) {
        size_t some;
        const uint8_t *from = iov_next(&at, left, &some);
        decrypt(op, &c, to, from, some);
        to += some;
        left -= (uint32_t)some;
    }
    iov_copy(&at, sent, TLS_TAG);
    finish(op, &c, tag);
    tls_aead_open_end(op, &a, CRYPTO_memcmp(sent, tag, TLS_TAG) == 0);
}
