// SPDX-License-Identifier: BSD-3-Clause
// Two ends of libssl joined by memory BIOs, and the keys that they agreed on, as an application would hand them to the stack. For
// TLS 1.3 from the secrets of the key log (RFC 8446 §7.3), before from the master secret (RFC 5246 §6.3, RFC 2246 §6.3).
#pragma once
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <leat/tls.h>

struct direction {
    struct tls_enable en;
    uint8_t key[32], mac[48], iv[16];
};

struct ends {
    SSL_CTX *ctx_client, *ctx_server;
    SSL *client, *server;
    BIO *to_server, *to_client; /* what was sent to it and not yet read */
    struct direction c2s, s2c;
    uint8_t c2s_secret[48], s2c_secret[48]; /* TLS 1.3: of the keys in use */
};

struct suite_case {
    const char *name;
    int version;
    const char *cipher; /* OpenSSL's name */
    int algorithm, auth;
    unsigned key_len, mac_len;
    const char *digest; /* of the key derivation */
};

static const struct suite_case suite_cases[] = {
    {"TLS 1.3 AES-128-GCM", TLS1_3_VERSION, "TLS_AES_128_GCM_SHA256", CRYPTO_AES_NIST_GCM_16, 0, 16, 0,
     "SHA256"},
    {"TLS 1.3 AES-256-GCM", TLS1_3_VERSION, "TLS_AES_256_GCM_SHA384", CRYPTO_AES_NIST_GCM_16, 0, 32, 0,
     "SHA384"},
    {"TLS 1.3 ChaCha20", TLS1_3_VERSION, "TLS_CHACHA20_POLY1305_SHA256", CRYPTO_CHACHA20_POLY1305, 0, 32, 0,
     "SHA256"},
    {"TLS 1.3 AES-128-CCM", TLS1_3_VERSION, "TLS_AES_128_CCM_SHA256", CRYPTO_AES_CCM_16, 0, 16, 0, "SHA256"},
    {"TLS 1.2 AES-128-GCM", TLS1_2_VERSION, "ECDHE-RSA-AES128-GCM-SHA256", CRYPTO_AES_NIST_GCM_16, 0, 16, 0,
     "SHA256"},
    {"TLS 1.2 AES-256-GCM", TLS1_2_VERSION, "ECDHE-RSA-AES256-GCM-SHA384", CRYPTO_AES_NIST_GCM_16, 0, 32, 0,
     "SHA384"},
    {"TLS 1.2 ChaCha20", TLS1_2_VERSION, "ECDHE-RSA-CHACHA20-POLY1305", CRYPTO_CHACHA20_POLY1305, 0, 32, 0,
     "SHA256"},
    {"TLS 1.2 AES-128-CCM", TLS1_2_VERSION, "AES128-CCM", CRYPTO_AES_CCM_16, 0, 16, 0, "SHA256"},
    {"TLS 1.2 AES-256-CCM", TLS1_2_VERSION, "AES256-CCM", CRYPTO_AES_CCM_16, 0, 32, 0, "SHA256"},
    {"TLS 1.2 AES-128-CBC SHA-1", TLS1_2_VERSION, "AES128-SHA", CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20,
     "SHA256"},
    {"TLS 1.2 AES-256-CBC SHA-256", TLS1_2_VERSION, "AES256-SHA256", CRYPTO_AES_CBC, CRYPTO_SHA2_256_HMAC, 32,
     32, "SHA256"},
    {"TLS 1.2 AES-256-CBC SHA-384", TLS1_2_VERSION, "ECDHE-RSA-AES256-SHA384", CRYPTO_AES_CBC,
     CRYPTO_SHA2_384_HMAC, 32, 48, "SHA384"},
    {"TLS 1.1 AES-128-CBC SHA-1", TLS1_1_VERSION, "AES128-SHA", CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20,
     "MD5-SHA1"},
    {"TLS 1.0 AES-256-CBC SHA-1", TLS1_VERSION, "AES256-SHA", CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 32, 20,
     "MD5-SHA1"},
};
#define N_SUITES (sizeof(suite_cases) / sizeof(suite_cases[0]))

/* ---- key derivation ---- */

static inline void expand_label(const char *digest, const uint8_t *secret, size_t secret_len,
                                const char *label, uint8_t *out, size_t len)
{
    uint8_t info[64];
    size_t n = strlen(label), hash = secret_len;
    info[0] = (uint8_t)(len >> 8);
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *k = EVP_KDF_CTX_new(kdf);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    OSSL_PARAM p[] = {OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)digest, 0),
                      OSSL_PARAM_construct_int("mode", &mode),
                      OSSL_PARAM_construct_octet_string("key", (void *)(uintptr_t)secret, hash),
                      OSSL_PARAM_construct_octet_string("info", info, 10 + n), OSSL_PARAM_construct_end()};
    EVP_KDF_derive(k, out, len, p);
    EVP_KDF_CTX_free(k);
    EVP_KDF_free(kdf);
}

static inline void tls1_prf(const char *digest, const uint8_t *secret, size_t secret_len, const uint8_t *seed,
                            size_t seed_len, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "TLS1-PRF", NULL);
    EVP_KDF_CTX *k = EVP_KDF_CTX_new(kdf);
    OSSL_PARAM p[] = {OSSL_PARAM_construct_utf8_string("digest", (char *)(uintptr_t)digest, 0),
                      OSSL_PARAM_construct_octet_string("secret", (void *)(uintptr_t)secret, secret_len),
                      OSSL_PARAM_construct_octet_string("seed", (void *)(uintptr_t)seed, seed_len),
                      OSSL_PARAM_construct_end()};
    EVP_KDF_derive(k, out, len, p);
    EVP_KDF_CTX_free(k);
    EVP_KDF_free(kdf);
}

static inline void direction_init(struct direction *d, const struct suite_case *c)
{
    d->en = (struct tls_enable){
        .cipher_key = d->key,
        .iv = d->iv,
        .auth_key = c->mac_len ? d->mac : NULL,
        .cipher_algorithm = c->algorithm,
        .cipher_key_len = (int)c->key_len,
        .auth_algorithm = c->auth,
        .auth_key_len = (int)c->mac_len,
        .tls_vmajor = 3,
        .tls_vminor = (uint8_t)(c->version & 0xff),
    };
    if (c->version == TLS1_3_VERSION || c->algorithm == CRYPTO_CHACHA20_POLY1305)
        d->en.iv_len = 12;
    else if (c->algorithm != CRYPTO_AES_CBC)
        d->en.iv_len = 4;
    else
        d->en.iv_len = c->version == TLS1_VERSION ? 16 : 0;
}

/* TLS 1.3: from one traffic secret. */
static inline void direction_secret(struct direction *d, const struct suite_case *c, const uint8_t *secret)
{
    size_t n = strcmp(c->digest, "SHA384") == 0 ? 48 : 32;
    direction_init(d, c);
    expand_label(c->digest, secret, n, "key", d->key, c->key_len);
    expand_label(c->digest, secret, n, "iv", d->iv, 12);
}

/* RFC 8446 §7.2: the secret after a KeyUpdate. */
static inline void next_secret(const struct suite_case *c, uint8_t *secret)
{
    size_t n = strcmp(c->digest, "SHA384") == 0 ? 48 : 32;
    uint8_t next[48];
    expand_label(c->digest, secret, n, "traffic upd", next, n);
    memcpy(secret, next, n);
}

/* TLS 1.2 and before: Finished was record 0; the explicit parts start anywhere. The last block of a TLS 1.0 Finished is the IV. */
static inline void master_keys(struct ends *e, const struct suite_case *c, const uint8_t *last_c2s,
                               const uint8_t *last_s2c)
{
    uint8_t master[48], seed[13 + 64], block[2 * (48 + 32 + 16)];
    memcpy(seed, "key expansion", 13);
    SSL_SESSION_get_master_key(SSL_get_session(e->client), master, sizeof(master));
    SSL_get_server_random(e->client, seed + 13, 32);
    SSL_get_client_random(e->client, seed + 45, 32);
    tls1_prf(c->digest, master, sizeof(master), seed, sizeof(seed), block, sizeof(block));
    direction_init(&e->c2s, c);
    direction_init(&e->s2c, c);
    size_t iv = (size_t)e->c2s.en.iv_len, at = 0;
    memcpy(e->c2s.mac, block + at, c->mac_len), at += c->mac_len;
    memcpy(e->s2c.mac, block + at, c->mac_len), at += c->mac_len;
    memcpy(e->c2s.key, block + at, c->key_len), at += c->key_len;
    memcpy(e->s2c.key, block + at, c->key_len), at += c->key_len;
    memcpy(e->c2s.iv, block + at, iv), at += iv;
    memcpy(e->s2c.iv, block + at, iv);
    if (c->version == TLS1_VERSION) {
        memcpy(e->c2s.iv, last_c2s, 16);
        memcpy(e->s2c.iv, last_s2c, 16);
    }
    e->c2s.en.rec_seq[7] = e->s2c.en.rec_seq[7] = 1;
}

/* ---- the two ends ---- */

static inline int unhex(const char *hex, uint8_t *out)
{
    int n = 0;
    unsigned v;
    while (sscanf(hex, "%2x", &v) == 1) {
        out[n++] = (uint8_t)v;
        hex += 2;
        while (*hex == ' ' || *hex == '\n')
            hex++;
    }
    return n;
}

static inline void on_keylog(const SSL *ssl, const char *line)
{
    struct ends *e = SSL_get_app_data(ssl);
    uint8_t buf[64];
    if (!e)
        return;
    int n = unhex(strrchr(line, ' ') + 1, buf);
    /* Kept where they are not needed otherwise, until the handshake is over. */
    if (strncmp(line, "CLIENT_TRAFFIC_SECRET_0", 23) == 0)
        memcpy(e->c2s.mac, buf, (size_t)n);
    else if (strncmp(line, "SERVER_TRAFFIC_SECRET_0", 23) == 0)
        memcpy(e->s2c.mac, buf, (size_t)n);
}

static inline int make_cert(EVP_PKEY **key, X509 **cert)
{
    *key = EVP_RSA_gen(2048);
    *cert = X509_new();
    X509_set_version(*cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(*cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(*cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(*cert), 86400);
    X509_set_pubkey(*cert, *key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(*cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"leat", -1, -1, 0);
    X509_set_issuer_name(*cert, X509_get_subject_name(*cert));
    return X509_sign(*cert, *key, EVP_sha256()) > 0;
}

static inline SSL_CTX *ctx_new(const struct suite_case *c, bool server)
{
    static EVP_PKEY *key;
    static X509 *cert;
    SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!key)
        make_cert(&key, &cert);
    SSL_CTX_set_security_level(ctx, 0);
    SSL_CTX_set_min_proto_version(ctx, c->version);
    SSL_CTX_set_max_proto_version(ctx, c->version);
    if (c->version == TLS1_3_VERSION)
        SSL_CTX_set_ciphersuites(ctx, c->cipher);
    else
        SSL_CTX_set_cipher_list(ctx, c->cipher);
    SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_TICKET);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
    if (server) {
        SSL_CTX_use_certificate(ctx, cert);
        SSL_CTX_use_PrivateKey(ctx, key);
    }
    return ctx;
}

/* The last 16 bytes that lie in a memory BIO. */
static inline void peek_last(BIO *b, uint8_t out[16])
{
    char *p;
    long n = BIO_get_mem_data(b, &p);
    if (n >= 16)
        memcpy(out, p + n - 16, 16);
}

/* 1: both ends have finished, and e->c2s and e->s2c say how records go on. */
static inline int ends_open(struct ends *e, const struct suite_case *c)
{
    uint8_t last_c2s[16] = {0}, last_s2c[16] = {0};
    memset(e, 0, sizeof(*e));
    e->ctx_client = ctx_new(c, false);
    e->ctx_server = ctx_new(c, true);
    e->client = SSL_new(e->ctx_client);
    e->server = SSL_new(e->ctx_server);
    e->to_server = BIO_new(BIO_s_mem());
    e->to_client = BIO_new(BIO_s_mem());
    BIO_up_ref(e->to_server);
    BIO_up_ref(e->to_client);
    SSL_set_bio(e->client, e->to_client, e->to_server);
    SSL_set_bio(e->server, e->to_server, e->to_client);
    SSL_set_app_data(e->client, e);
    SSL_set_connect_state(e->client);
    SSL_set_accept_state(e->server);
    for (int i = 0; i < 10; i++) {
        SSL_do_handshake(e->client);
        peek_last(e->to_server, last_c2s);
        SSL_do_handshake(e->server);
        peek_last(e->to_client, last_s2c);
    }
    if (!SSL_is_init_finished(e->client) || !SSL_is_init_finished(e->server))
        return 0;
    if (c->version == TLS1_3_VERSION) {
        memcpy(e->c2s_secret, e->c2s.mac, 48);
        memcpy(e->s2c_secret, e->s2c.mac, 48);
        direction_secret(&e->c2s, c, e->c2s_secret);
        direction_secret(&e->s2c, c, e->s2c_secret);
    } else {
        master_keys(e, c, last_c2s, last_s2c);
    }
    return 1;
}

static inline void ends_close(struct ends *e)
{
    SSL_free(e->client);
    SSL_free(e->server);
    SSL_CTX_free(e->ctx_client);
    SSL_CTX_free(e->ctx_server);
}
