// SPDX-License-Identifier: BSD-3-Clause
// AES-GCM, AES-CCM, ChaCha20-Poly1305 (RFC 5288, RFC 6655, RFC 7905, RFC 8446 §5.2).
#include <errno.h>
#include "cipher/openssl/priv.h"

#define TAG 16

static bool is_13(const struct tls_session *s)
{
    return s->vminor == TLS_MINOR_VER_THREE;
}

/* CCM must know the length first (RFC 3610 §2.2). */
static bool begin(struct tls_op *op, EVP_CIPHER_CTX *ctx, const uint8_t *explicit, uint8_t type,
                  uint32_t inner)
{
    uint8_t nonce[TLS_NONCE], aad[TLS_AAD_MAX];
    int n;
    tls_nonce(op->s, op->seq, explicit, nonce);
    unsigned aad_len = tls_aad(op->s, op->seq, type, is_13(op->s) ? inner + TAG : inner, aad);
    if (EVP_CipherInit_ex(ctx, NULL, NULL, NULL, nonce, -1) != 1)
        return false;
    if (op->s->suite == TLS_SUITE_CCM && EVP_CipherUpdate(ctx, NULL, &n, NULL, (int)inner) != 1)
        return false;
    return EVP_CipherUpdate(ctx, NULL, &n, aad, (int)aad_len) == 1;
}

/* CCM takes its data in one piece. */
static bool seal_whole(struct tls_op *op, EVP_CIPHER_CTX *ctx, uint8_t *body, uint32_t inner)
{
    struct iov_at at = {op->src, op->src_off};
    int n;
    iov_copy(&at, body, op->len);
    if (inner > op->len)
        body[op->len] = op->type;
    return EVP_EncryptUpdate(ctx, body, &n, body, (int)inner) == 1;
}

static bool seal_pieces(struct tls_op *op, EVP_CIPHER_CTX *ctx, uint8_t *body, uint32_t inner)
{
    struct iov_at at = {op->src, op->src_off};
    int n;
    for (uint32_t left = op->len; left > 0;) {
        size_t some;
        const uint8_t *from = iov_next(&at, left, &some);
        if (EVP_EncryptUpdate(ctx, body, &n, from, (int)some) != 1)
            return false;
        body += some;
        left -= (uint32_t)some;
    }
    return inner == op->len || EVP_EncryptUpdate(ctx, body, &n, &op->type, 1) == 1;
}

void evp_aead_seal(struct tls_op *op)
{
    EVP_CIPHER_CTX *ctx = ((struct evp_state *)op->s->cipher)->ctx;
    uint32_t inner = op->len + is_13(op->s);
    uint8_t *body = op->dst + op->s->hlen;
    bool in_place = op->n_src == 1 && op->src->iov_base == body;
    int n;
    op->result = -EIO;
    tls_header_write(op->s, op->dst, op->seq, op->type, op->len);
    if (!begin(op, ctx, op->dst + TLS_HEADER, op->type, inner))
        return;
    bool ok = in_place || op->s->suite == TLS_SUITE_CCM ? seal_whole(op, ctx, body, inner)
                                                        : seal_pieces(op, ctx, body, inner);
    if (ok && EVP_EncryptFinal_ex(ctx, body + inner, &n) == 1 &&
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG, body + inner) == 1)
        op->result = 0;
}

/* Where the payload of TLS 1.3 ends: the last byte that is not padding is the type (RFC 8446 §5.4). */
static int inner_type(struct tls_op *op, uint32_t inner)
{
    if (inner > TLS_PAYLOAD_MAX + 1)
        return -EMSGSIZE;
    while (inner > 0 && op->dst[inner - 1] == 0)
        inner--;
    if (inner == 0)
        return -EBADMSG;
    op->type = op->dst[inner - 1];
    return (int)(inner - 1);
}

static bool open_pieces(struct tls_op *op, EVP_CIPHER_CTX *ctx, struct iov_at *at, uint32_t inner)
{
    uint8_t *to = op->dst;
    int n;
    for (uint32_t left = inner; left > 0;) {
        size_t some;
        const uint8_t *from = iov_next(at, left, &some);
        if (EVP_DecryptUpdate(ctx, to, &n, from, (int)some) != 1)
            return false;
        to += some;
        left -= (uint32_t)some;
    }
    return true;
}

/* A bad tag leaves nothing of the plaintext behind. */
static bool verify(struct tls_op *op, EVP_CIPHER_CTX *ctx, struct iov_at *at, uint32_t inner)
{
    uint8_t tag[TAG] = {0};
    int n;
    iov_copy(at, tag, TAG);
    if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
        EVP_DecryptFinal_ex(ctx, op->dst + inner, &n) == 1)
        return true;
    memset(op->dst, 0, inner);
    return false;
}

static bool open_ccm(struct tls_op *op, EVP_CIPHER_CTX *ctx, struct iov_at *at, const uint8_t *head,
                     uint32_t inner)
{
    uint8_t tag[TAG] = {0};
    int n;
    iov_copy(at, op->dst, inner);
    iov_copy(at, tag, TAG);
    return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG, tag) == 1 &&
           begin(op, ctx, head + TLS_HEADER, head[0], inner) &&
           EVP_DecryptUpdate(ctx, op->dst, &n, op->dst, (int)inner) == 1;
}

void evp_aead_open(struct tls_op *op)
{
    EVP_CIPHER_CTX *ctx = ((struct evp_state *)op->s->cipher)->ctx;
    struct iov_at at = {op->src, op->src_off};
    uint8_t head[TLS_HEADER + 8] = {0};
    op->result = -EBADMSG;
    if (op->len < op->s->hlen + (uint32_t)TAG)
        return;
    uint32_t inner = op->len - op->s->hlen - TAG;
    iov_copy(&at, head, op->s->hlen);
    bool ok = op->s->suite == TLS_SUITE_CCM
                  ? open_ccm(op, ctx, &at, head, inner)
                  : begin(op, ctx, head + TLS_HEADER, head[0], inner) && open_pieces(op, ctx, &at, inner) &&
                        verify(op, ctx, &at, inner);
    if (!ok)
        return;
    op->type = head[0];
    op->result = is_13(op->s) ? inner_type(op, inner) : inner > TLS_PAYLOAD_MAX ? -EMSGSIZE : (int)inner;
}
