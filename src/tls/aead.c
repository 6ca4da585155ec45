// SPDX-License-Identifier: BSD-3-Clause
// The common frame of AEAD records for all ciphers.
#include "tls/aead.h"
#include <errno.h>

static bool is_13(const struct tls_session *s)
{
    return s->vminor == TLS_MINOR_VER_THREE;
}

static void fill(const struct tls_op *op, struct tls_aead *a, const uint8_t *explicit, uint8_t type)
{
    tls_nonce(op->s, op->seq, explicit, a->nonce);
    a->aad_len = (uint8_t)tls_aad(op->s, op->seq, type, is_13(op->s) ? a->inner + TLS_TAG : a->inner, a->aad);
}

void tls_aead_seal_begin(const struct tls_op *op, struct tls_aead *a, uint8_t *header)
{
    a->inner = op->len + is_13(op->s);
    tls_header_write(op->s, header, op->seq, op->type, op->len);
    fill(op, a, header + TLS_HEADER, op->type);
}

void tls_aead_gather(const struct tls_op *op, const struct tls_aead *a)
{
    struct iov_at at = {op->src, op->src_off};
    uint8_t *body = tls_body(op);
    iov_copy(&at, body, op->len);
    if (a->inner > op->len)
        body[op->len] = op->type;
}

bool tls_aead_seal_stream(const struct tls_op *op, const struct tls_aead *a, const uint8_t *header,
                          tls_encrypt_fn encrypt,
                          bool (*finish)(const struct tls_op *op, void *arg, uint8_t *tag), void *arg)
{
    struct tls_cut_at to = tls_cut_begin(op);
    struct iov_at from = {op->src, op->src_off};
    uint8_t tag[TLS_TAG];
    uint32_t some;
    tls_cut_copy(&to, header, op->s->hlen);
    for (uint32_t left = op->len; left > 0; left -= some) {
        uint8_t *at = tls_cut_next(&to, left, &some);
        for (size_t n, done = 0; done < some; done += n) {
            const uint8_t *payload = iov_next(&from, some - done, &n);
            if (!encrypt(op, arg, at + done, payload, n))
                return false;
        }
    }
    if (a->inner > op->len && !encrypt(op, arg, tls_cut_next(&to, 1, &some), &op->type, 1))
        return false;
    if (!finish(op, arg, tag))
        return false;
    tls_cut_copy(&to, tag, TLS_TAG);
    return true;
}

bool tls_aead_open_begin(struct tls_op *op, struct tls_aead *a, struct iov_at *at)
{
    uint8_t head[TLS_HEADER + 8] = {0};
    op->result = -EBADMSG;
    if (op->len < op->s->hlen + TLS_TAG)
        return false;
    a->inner = op->len - op->s->hlen - TLS_TAG;
    iov_copy(at, head, op->s->hlen);
    op->type = head[0];
    fill(op, a, head + TLS_HEADER, head[0]);
    return true;
}

/* Where the payload of TLS 1.3 ends: the last byte that is not padding is the type (RFC 8446 §5.4). */
static int inner_end(struct tls_op *op, uint32_t inner)
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

void tls_aead_open_end(struct tls_op *op, const struct tls_aead *a, bool good)
{
    if (!good)
        memset(op->dst, 0, a->inner);
    else if (is_13(op->s))
        op->result = inner_end(op, a->inner);
    else
        op->result = a->inner > TLS_PAYLOAD_MAX ? -EMSGSIZE : (int)a->inner;
}
