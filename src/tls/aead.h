// SPDX-License-Identifier: BSD-3-Clause
// What every cipher does before and after an AEAD record (RFC 5288, RFC 6655, RFC 7905, RFC 8446 §5.2), whoever computes.
#pragma once
#include "tls/iov.h"
#include "tls/session.h"

#define TLS_TAG 16u

struct tls_aead {
    uint8_t nonce[TLS_NONCE];
    uint8_t aad[TLS_AAD_MAX];
    uint8_t aad_len;
    uint32_t
        inner; /* bytes to encrypt or decrypt: payload and, in TLS 1.3, the type (when opening also padding) */
};

/* Where what is encrypted goes. */
static inline uint8_t *tls_body(const struct tls_op *op)
{
    return op->dst + op->s->hlen;
}
static inline bool tls_in_place(const struct tls_op *op)
{
    return op->cut.size == 0 && op->n_src == 1 && op->src_off == 0 && op->src->iov_base == tls_body(op);
}
/* Writes the record's header, s->hlen bytes. */
void tls_aead_seal_begin(const struct tls_op *op, struct tls_aead *a, uint8_t *header);
/* Brings the payload to its place in dst, the type behind it where there is one. */
void tls_aead_gather(const struct tls_op *op, const struct tls_aead *a);
/* Encrypts n bytes of a record after those before. False: the cipher has failed. */
typedef bool (*tls_encrypt_fn)(const struct tls_op *op, void *arg, uint8_t *to, const uint8_t *from,
                               size_t n);
/* Seals payload that does not lie in place, as much at once as lies together at both ends; finish writes the tag. False: one has failed. */
bool tls_aead_seal_stream(const struct tls_op *op, const struct tls_aead *a, const uint8_t *header,
                          tls_encrypt_fn encrypt,
                          bool (*finish)(const struct tls_op *op, void *arg, uint8_t *tag), void *arg);
/* Reads the header from *at. False: too short to be a record; op->result says so. */
bool tls_aead_open_begin(struct tls_op *op, struct tls_aead *a, struct iov_at *at);
/* The tag was good or bad: op->result and op->type; of a bad record nothing is left at dst. */
void tls_aead_open_end(struct tls_op *op, const struct tls_aead *a, bool good);
