// SPDX-License-Identifier: BSD-3-Clause
// Keys of the record layer: from traffic secrets (RFC 8446 §7.3), before TLS 1.3 from the master secret (RFC 5246 §6.3).
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <string.h>
#include "tls.h"

#define LABEL_MAX 16

static bool derive(const char *algorithm, const OSSL_PARAM *params, uint8_t *out, size_t len)
{
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, algorithm, NULL);
    EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
    bool ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

/* Suites older than TLS 1.2 name MD5 and SHA-1 together; TLS 1.2 takes SHA-256 for them (RFC 5246 §5). */
static char *digest_of(const SSL *ssl)
{
    const EVP_MD *md = SSL_CIPHER_get_handshake_digest(SSL_get_current_cipher(ssl));
    const char *name = EVP_MD_is_a(md, "MD5-SHA1") ? "SHA256" : EVP_MD_get0_name(md);
    return (char *)(uintptr_t)name;
}

/* HKDF-Expand-Label with an empty context (RFC 8446 §7.1). */
static bool expand(const SSL *ssl, const uint8_t *secret, unsigned secret_len, const char *label,
                   uint8_t *out, size_t len)
{
    uint8_t info[3 + 6 + LABEL_MAX + 1];
    size_t n = strlen(label);
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    info[0] = (uint8_t)(len >> 8);
    info[1] = (uint8_t)len;
    info[2] = (uint8_t)(6 + n);
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, n);
    info[9 + n] = 0;
    const OSSL_PARAM p[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_of(ssl), 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)secret, secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + n),
        OSSL_PARAM_construct_end(),
    };
    return derive("HKDF", p, out, len);
}

bool tls_secret_next(const SSL *ssl, uint8_t *secret, unsigned len)
{
    uint8_t next[SECRET_MAX];
    bool ok = expand(ssl, secret, len, "traffic upd", next, len);
    if (ok)
        memcpy(secret, next, len);
    OPENSSL_cleanse(next, sizeof(next));
    return ok;
}

/* RFC 5246 §6.3: MAC keys, keys and IVs of client and server, in this order. */
static bool key_block(const SSL *ssl, bool client, const struct tls_enable *en, struct tls_material *room)
{
    static const char label[] = "key expansion";
    uint8_t master[SSL_MAX_MASTER_KEY_LENGTH], seed[sizeof(label) - 1 + 64],
        block[2 * (SECRET_MAX + 32 + 16)];
    size_t mac = (size_t)en->auth_key_len, key = (size_t)en->cipher_key_len, iv = (size_t)en->iv_len,
           at = !client;
    size_t n = SSL_SESSION_get_master_key(SSL_get_session(ssl), master, sizeof(master));
    memcpy(seed, label, sizeof(label) - 1);
    SSL_get_server_random(ssl, seed + sizeof(label) - 1, 32);
    SSL_get_client_random(ssl, seed + sizeof(label) - 1 + 32, 32);
    const OSSL_PARAM p[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest_of(ssl), 0),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SECRET, master, n),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof(seed)),
        OSSL_PARAM_construct_end(),
    };
    bool ok = derive("TLS1-PRF", p, block, 2 * (mac + key + iv));
    memcpy(room->mac, block + at * mac, mac);
    memcpy(room->key, block + 2 * mac + at * key, key);
    memcpy(room->iv, block + 2 * (mac + key) + at * iv, iv);
    OPENSSL_cleanse(master, sizeof(master));
    OPENSSL_cleanse(block, sizeof(block));
    return ok;
}

/* False: no suite that the stack has, or one with a short tag. */
static bool suite_of(const SSL *ssl, bool is_13, struct tls_enable *en)
{
    const SSL_CIPHER *c = SSL_get_current_cipher(ssl);
    int nid = SSL_CIPHER_get_cipher_nid(c), digest = SSL_CIPHER_get_digest_nid(c);
    bool big = nid == NID_aes_256_gcm || nid == NID_aes_256_ccm || nid == NID_aes_256_cbc ||
               nid == NID_chacha20_poly1305;
    en->cipher_key_len = big ? 32 : 16;
    en->iv_len = is_13 || nid == NID_chacha20_poly1305 ? 12 : 4;
    if (nid == NID_aes_128_gcm || nid == NID_aes_256_gcm) {
        en->cipher_algorithm = CRYPTO_AES_NIST_GCM_16;
    } else if (nid == NID_chacha20_poly1305) {
        en->cipher_algorithm = CRYPTO_CHACHA20_POLY1305;
    } else if (nid == NID_aes_128_ccm || nid == NID_aes_256_ccm) {
        en->cipher_algorithm = CRYPTO_AES_CCM_16;
        return !strstr(SSL_CIPHER_get_name(c), "CCM8") && !strstr(SSL_CIPHER_get_name(c), "CCM_8");
    } else if (nid == NID_aes_128_cbc || nid == NID_aes_256_cbc) {
        en->cipher_algorithm = CRYPTO_AES_CBC;
        en->iv_len = 0;
        en->auth_algorithm = digest == NID_sha1     ? CRYPTO_SHA1_HMAC
                             : digest == NID_sha256 ? CRYPTO_SHA2_256_HMAC
                                                    : CRYPTO_SHA2_384_HMAC;
        en->auth_key_len = digest == NID_sha1 ? 20 : digest == NID_sha256 ? 32 : 48;
    } else {
        return false;
    }
    return true;
}

bool tls_keys_of(const SSL *ssl, const struct tls_secrets *sec, bool client, uint64_t seq,
                 struct tls_enable *en, struct tls_material *room)
{
    bool is_13 = SSL_version(ssl) == TLS1_3_VERSION;
    *en = (struct tls_enable){.cipher_key = room->key,
                              .iv = room->iv,
                              .tls_vmajor = TLS_MAJOR_VER_ONE,
                              .tls_vminor = (uint8_t)(SSL_version(ssl) & 0xff)};
    for (unsigned i = 0; i < 8; i++)
        en->rec_seq[i] = (uint8_t)(seq >> (56 - 8 * i));
    if (!suite_of(ssl, is_13, en))
        return false;
    if (en->auth_key_len > 0)
        en->auth_key = room->mac;
    if (!is_13)
        return key_block(ssl, client, en, room);
    const uint8_t *secret = client ? sec->client : sec->server;
    return sec->len > 0 && expand(ssl, secret, sec->len, "key", room->key, (size_t)en->cipher_key_len) &&
           expand(ssl, secret, sec->len, "iv", room->iv, 12);
}
