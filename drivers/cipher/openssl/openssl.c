// SPDX-License-Identifier: BSD-3-Clause
// Sessions on EVP: a context each, with the key in it, that every record only gives a new nonce.
#include "cipher/openssl/openssl.h"
#include <errno.h>
#include <stdio.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include "base/alloc.h"
#include "cipher/openssl/priv.h"

static const EVP_CIPHER *cipher_of(const struct tls_session *s)
{
    bool big = s->key_len == 32;
    switch (s->suite) {
    case TLS_SUITE_GCM:
        return big ? EVP_aes_256_gcm() : EVP_aes_128_gcm();
    case TLS_SUITE_CCM:
        return big ? EVP_aes_256_ccm() : EVP_aes_128_ccm();
    case TLS_SUITE_CHACHA20:
        return EVP_chacha20_poly1305();
    default:
        return big ? EVP_aes_256_cbc() : EVP_aes_128_cbc();
    }
}

static const char *digest_of(const struct tls_session *s)
{
    return s->auth_algorithm == CRYPTO_SHA1_HMAC       ? "SHA1"
           : s->auth_algorithm == CRYPTO_SHA2_256_HMAC ? "SHA256"
                                                       : "SHA384";
}

static int evp_can(const struct tls_session *s)
{
    return s->key_len == 32 || (s->key_len == 16 && s->suite != TLS_SUITE_CHACHA20) ? 0 : -EOPNOTSUPP;
}

static bool mac_begin(const struct tls_session *s, struct evp_state *st)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)(uintptr_t)digest_of(s), 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    st->mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac);
    return st->mac && EVP_MAC_init(st->mac, s->keys->auth, s->auth_len, params) == 1;
}

static bool cipher_begin(const struct tls_session *s, EVP_CIPHER_CTX *ctx)
{
    int enc = !s->receive;
    if (EVP_CipherInit_ex(ctx, cipher_of(s), NULL, NULL, NULL, enc) != 1)
        return false;
    if (s->suite == TLS_SUITE_CBC)
        EVP_CIPHER_CTX_set_padding(ctx, 0);
    else if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, TLS_NONCE, NULL) != 1)
        return false;
    if (s->suite == TLS_SUITE_CCM && EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, NULL) != 1)
        return false;
    return EVP_CipherInit_ex(ctx, NULL, NULL, s->keys->cipher, NULL, enc) == 1;
}

/* Libcrypto cleanses what it frees. */
static void evp_end(struct tls_session *s)
{
    struct evp_state *st = s->cipher;
    EVP_CIPHER_CTX_free(st->ctx);
    EVP_MAC_CTX_free(st->mac);
    mem_free(st);
    s->cipher = NULL;
}

static int evp_begin(struct tls_session *s)
{
    struct evp_state *st = mem_alloc(sizeof(*st));
    if (!st)
        return -ENOMEM;
    s->cipher = st;
    st->ctx = fault_now() ? NULL : EVP_CIPHER_CTX_new();
    if (!st->ctx || !cipher_begin(s, st->ctx) || (s->suite == TLS_SUITE_CBC && !mac_begin(s, st))) {
        int err = st->ctx ? -EOPNOTSUPP : -ENOMEM;
        evp_end(s);
        return err;
    }
    return 0;
}

static void evp_seal(struct tls_op **ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (ops[i]->s->suite == TLS_SUITE_CBC)
            evp_cbc_seal(ops[i]);
        else
            evp_aead_seal(ops[i]);
    }
}

static void evp_open(struct tls_op **ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (ops[i]->s->suite == TLS_SUITE_CBC)
            evp_cbc_open(ops[i]);
        else
            evp_aead_open(ops[i]);
    }
}

static void evp_describe(char *text, size_t size)
{
    snprintf(text, size, "%s", OpenSSL_version(OPENSSL_VERSION));
}

const struct tls_backend tls_backend_openssl = {
    .name = "openssl",
    .priority = 20,
    .can = evp_can,
    .begin = evp_begin,
    .seal = evp_seal,
    .open = evp_open,
    .end = evp_end,
    .describe = evp_describe,
};
