// SPDX-License-Identifier: BSD-3-Clause
// AES-GCM, AES-CCM, ChaCha20-Poly1305 by EVP.
#include <errno.h>
#include "cipher/openssl/priv.h"
#include "tls/aead.h"

static EVP_CIPHER_CTX *ctx_of(const struct tls_op *op)
{
    return ((struct evp_state *)op->s->cipher)->ctx;
}

/* CCM must know the length first (RFC 3610 §2.2). */
static bool begin(const struct tls_op *op, const struct tls_aead *a)
{
    EVP_CIPHER_CTX *ctx = ctx_of(op);
    int n;
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, a->nonce, -1) != 1)
        return false;
    if (op->s->suite == TLS_SUITE_CCM && EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)a->inner) != 1)
        return false;
    return EVP_CipherUpdate(ctx, NULL, &n, a->aad, a->aad_len) == 1;
}

static bool encrypt(const struct tls_op *op, void *arg, uint8_t *to, const uint8_t *from, size_t n)
{
    int out;
    return EVP_EncryptUpdate(ctx_of(op), to, &out, from, (int)n) == 1;
}

static bool finish(const struct tls_op *op, void *arg, uint8_t *tag)
{
    int out;
    return EVP_EncryptFinal_ex(ctx_of(op), tag, &out) == 1 &&
           EVP_CIPHER_CTX_ctrl(ctx_of(op), EVP_CTRL_AEAD_GET_TAG, TLS_TAG, tag) == 1;
}

/* CCM takes its data in one piece. */
static bool seal_whole(const struct tls_op *op)
{
    struct tls_aead a;
    uint8_t *body = tls_body(op);
    tls_aead_seal_begin(op, &a, op->dst);
    tls_aead_gather(op, &a);
    return begin(op, &a) && encrypt(op, NULL, body, body, a.inner) && finish(op, NULL, body + a.inner);
}

static bool seal_stream(const struct tls_op *op)
{
    struct tls_aead a;
    uint8_t header[TLS_HEADER + 8];
    tls_aead_seal_begin(op, &a, header);
    return begin(op, &a) && tls_aead_seal_stream(op, &a, header, encrypt, finish, NULL);
}

void evp_aead_seal(struct tls_op *op)
{
    bool whole = tls_in_place(op) || op->s->suite == TLS_SUITE_CCM;
    op->result = (whole ? seal_whole(op) : seal_stream(op)) ? 0 : -EIO;
}

static bool open_pieces(const struct tls_op *op, const struct tls_aead *a, struct iov_at *at)
{
    uint8_t *to = op->dst, tag[TLS_TAG] = {0};
    int n;
    for (uint32_t left = a->inner; left > 0;) {
        size_t some;
        const uint8_t *from = iov_next(at, left, &some);
        if (EVP_DecryptUpdate(ctx_of(op), to, &n, from, (int)some) != 1)
            return false;
        to += some;
        left -= (uint32_t)some;
    }
    iov_copy(at, tag, TLS_TAG);
    return EVP_CIPHER_CTX_ctrl(ctx_of(op), EVP_CTRL_AEAD_SET_TAG, TLS_TAG, tag) == 1 &&
           EVP_DecryptFinal_ex(ctx_of(op), to, &n) == 1;
}

static bool open_ccm(const struct tls_op *op, const struct tls_aead *a, struct iov_at *at)
{
    uint8_t tag[TLS_TAG] = {0};
    int n;
    iov_copy(at, op->dst, a->inner);
    iov_copy(at, tag, TLS_TAG);
    return EVP_CIPHER_CTX_ctrl(ctx_of(op), EVP_CTRL_AEAD_SET_TAG, TLS_TAG, tag) == 1 && begin(op, a) &&
           EVP_DecryptUpdate(ctx_of(op), op->dst, &n, op->dst, (int)a->inner) == 1;
}

void evp_aead_open(struct tls_op *op)
{
    struct iov_at at = {op->src, op->src_off};
    struct tls_aead a;
    if (!tls_aead_open_begin(op, &a, &at))
        return;
    bool good =
        op->s->suite == TLS_SUITE_CCM ? open_ccm(op, &a, &at) : begin(op, &a) && open_pieces(op, &a, &at);
    tls_aead_open_end(op, &a, good);
}
