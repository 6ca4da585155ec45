// SPDX-License-Identifier: BSD-3-Clause
// AES-CBC with HMAC, MAC then encrypt (RFC 2246 §6.2.3.2, RFC 4346, RFC 5246). Opening takes the same time whatever the padding is
// (Lucky Thirteen, 2013): libcrypto's HMAC has a mode for that, the rest is done with masks.
#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include "cipher/openssl/priv.h"

#define BLOCK 16

static bool mac_of(struct tls_op *op, const uint8_t *payload, uint8_t *out)
{
    struct evp_state *st = op->s->cipher;
    uint8_t head[TLS_AAD_MAX];
    size_t n;
    tls_aad(op->s, op->seq, op->type, op->len, head);
    return EVP_MAC_init(st->mac, NULL, 0, NULL) == 1 && EVP_MAC_update(st->mac, head, sizeof(head)) == 1 &&
           EVP_MAC_update(st->mac, payload, op->len) == 1 &&
           EVP_MAC_final(st->mac, out, &n, TLS_MAC_MAX) == 1;
}

/* The chain of TLS 1.0 goes on from record to record. */
static void remember_iv(struct tls_session *s, const uint8_t *last_block)
{
    if (s->vminor == TLS_MINOR_VER_ZERO)
        memcpy(s->keys->iv, last_block, BLOCK);
}

void evp_cbc_seal(struct tls_op *op)
{
    struct tls_session *s = op->s;
    EVP_CIPHER_CTX *ctx = ((struct evp_state *)s->cipher)->ctx;
    struct iov_at at = {op->src, op->src_off};
    uint8_t *body = op->dst + s->hlen;
    uint32_t trailer = tls_trailer_len(s, op->len);
    int n, total = (int)(op->len + trailer);
    op->result = -EIO;
    iov_copy(&at, body, op->len);
    tls_header_write(s, op->dst, op->seq, op->type, op->len);
    if (!mac_of(op, body, body + op->len))
        return;
    uint32_t padding = trailer - s->mac_len;
    memset(body + op->len + s->mac_len, (int)padding - 1, padding);
    const uint8_t *iv = s->vminor == TLS_MINOR_VER_ZERO ? s->keys->iv : op->dst + TLS_HEADER;
    if (EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
        EVP_EncryptUpdate(ctx, body, &n, body, total) != 1)
        return;
    remember_iv(s, body + total - BLOCK);
    op->result = 0;
}

/* All ones when a < b, else 0, without a branch; both below 2^31. */
static uint32_t mask_lt(uint32_t a, uint32_t b)
{
    return (uint32_t)((int32_t)(a - b) >> 31);
}

static uint32_t mask_eq(uint32_t a, uint32_t b)
{
    uint32_t d = a ^ b;
    return ~(uint32_t)((int32_t)(d | (0 - d)) >> 31);
}

/* Bytes of payload if the padding is good; *good is a mask. With bad padding the record counts as one without any. */
static uint32_t payload_len(const uint8_t *data, uint32_t total, uint32_t mac_len, uint32_t *good)
{
    uint32_t padding = data[total - 1];
    uint32_t ok = ~mask_lt(total, mac_len + 1 + padding);
    uint32_t look = total - 1 < 255 ? total - 1 : 255;
    for (uint32_t i = 0; i < look; i++) {
        uint32_t inside = mask_lt(i, padding);
        ok &= ~inside | mask_eq(data[total - 2 - i], padding);
    }
    *good = ok;
    return total - mac_len - (ok & (padding + 1));
}

/* Copies the MAC from behind the payload without showing where that is: every place it may be at is looked at. */
static void mac_copy(const uint8_t *data, uint32_t total, uint32_t at, uint32_t mac_len, uint8_t *out)
{
    uint32_t first = total > mac_len + 256 ? total - mac_len - 256 : 0;
    memset(out, 0, mac_len);
    for (uint32_t i = first; i < total; i++)
        for (uint32_t j = 0; j < mac_len; j++)
            out[j] |= data[i] & (uint8_t)mask_eq(i, at + j);
}

/* HMAC in constant time over the payload, whose length is secret between 0 and total (OSSL_MAC_PARAM_TLS_DATA_SIZE). */
static bool mac_secret_len(struct tls_op *op, uint32_t len, size_t total, uint8_t *out)
{
    struct evp_state *st = op->s->cipher;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_TLS_DATA_SIZE, &total),
                           OSSL_PARAM_construct_end()};
    uint8_t head[TLS_AAD_MAX];
    size_t n;
    tls_aad(op->s, op->seq, op->type, len, head);
    EVP_MAC_CTX *mac = EVP_MAC_CTX_dup(st->mac);
    bool ok = mac && EVP_MAC_CTX_set_params(mac, params) == 1 &&
              EVP_MAC_update(mac, head, sizeof(head)) == 1 && EVP_MAC_update(mac, op->dst, len) == 1 &&
              EVP_MAC_final(mac, out, &n, TLS_MAC_MAX) == 1;
    EVP_MAC_CTX_free(mac);
    return ok;
}

static bool decrypt(struct tls_op *op, struct iov_at *at, const uint8_t *head, uint32_t total)
{
    struct tls_session *s = op->s;
    EVP_CIPHER_CTX *ctx = ((struct evp_state *)s->cipher)->ctx;
    const uint8_t *iv = s->vminor == TLS_MINOR_VER_ZERO ? s->keys->iv : head + TLS_HEADER;
    uint8_t last[BLOCK];
    int n;
    iov_copy(at, op->dst, total);
    memcpy(last, op->dst + total - BLOCK, BLOCK);
    if (EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, iv) != 1 ||
        EVP_DecryptUpdate(ctx, op->dst, &n, op->dst, (int)total) != 1)
        return false;
    remember_iv(s, last);
    return true;
}

void evp_cbc_open(struct tls_op *op)
{
    uint32_t mac_len = op->s->mac_len, good;
    struct iov_at at = {op->src, op->src_off};
    uint8_t head[TLS_HEADER + BLOCK] = {0}, sent[TLS_MAC_MAX], mac[TLS_MAC_MAX];
    op->result = -EBADMSG;
    if (op->len < op->s->hlen + mac_len + 1 || (op->len - op->s->hlen) % BLOCK != 0)
        return;
    uint32_t total = op->len - op->s->hlen;
    iov_copy(&at, head, op->s->hlen);
    op->type = head[0];
    if (!decrypt(op, &at, head, total))
        return;
    uint32_t len = payload_len(op->dst, total, mac_len, &good);
    mac_copy(op->dst, total, len, mac_len, sent);
    if (!mac_secret_len(op, len, total, mac))
        return;
    good &= mask_eq((uint32_t)CRYPTO_memcmp(mac, sent, mac_len), 0);
    if (good)
        op->result = len > TLS_PAYLOAD_MAX ? -EMSGSIZE : (int)len;
    else
        memset(op->dst, 0, total);
}
