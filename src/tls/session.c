// SPDX-License-Identifier: BSD-3-Clause
// A session's beginning and end: what may be asked for (the order of the checks is FreeBSD's), copies of the keys, choice of the backend.
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "tls/keystore.h"

static int check_aead(const struct tls_enable *en)
{
    bool is_12 = en->tls_vminor == TLS_MINOR_VER_TWO, is_13 = en->tls_vminor == TLS_MINOR_VER_THREE;
    if (!is_12 && !is_13)
        return -EINVAL;
    if (en->auth_key_len != 0)
        return -EINVAL;
    if (en->cipher_algorithm == CRYPTO_CHACHA20_POLY1305)
        return en->auth_algorithm == 0 && en->iv_len == 12 && en->cipher_key_len == 32 ? 0 : -EINVAL;
    bool gmac = en->cipher_algorithm == CRYPTO_AES_NIST_GCM_16 &&
                en->auth_algorithm >= CRYPTO_AES_128_NIST_GMAC &&
                en->auth_algorithm <= CRYPTO_AES_256_NIST_GMAC;
    if (en->auth_algorithm != 0 && !gmac)
        return -EINVAL;
    return en->iv_len == (is_12 ? 4 : 12) ? 0 : -EINVAL;
}

static int check_cbc(const struct tls_enable *en)
{
    bool sha2 = en->auth_algorithm == CRYPTO_SHA2_256_HMAC || en->auth_algorithm == CRYPTO_SHA2_384_HMAC;
    if (!sha2 && en->auth_algorithm != CRYPTO_SHA1_HMAC)
        return -EINVAL;
    if (en->auth_key_len == 0 || en->auth_key_len > (int)sizeof(((struct tls_keys *)0)->auth))
        return -EINVAL;
    if (en->tls_vminor == TLS_MINOR_VER_THREE || (sha2 && en->tls_vminor != TLS_MINOR_VER_TWO))
        return -EINVAL;
    return en->tls_vminor == TLS_MINOR_VER_ZERO && en->iv_len != 16 ? -EINVAL : 0;
}

int tls_enable_check(const struct tls_enable *en)
{
    if (en->cipher_key_len <= 0 || en->cipher_key_len > 1024 || en->auth_key_len < 0 ||
        en->auth_key_len > 1024 || en->iv_len < 0 || en->iv_len > 16)
        return -EINVAL;
    if (en->tls_vmajor != TLS_MAJOR_VER_ONE || en->tls_vminor < TLS_MINOR_VER_ZERO ||
        en->tls_vminor > TLS_MINOR_VER_THREE || en->flags != 0)
        return -EINVAL;
    int err = -EINVAL;
    switch (en->cipher_algorithm) {
    case CRYPTO_AES_NIST_GCM_16:
    case CRYPTO_AES_CCM_16:
    case CRYPTO_CHACHA20_POLY1305:
        err = check_aead(en);
        break;
    case CRYPTO_AES_CBC:
        err = check_cbc(en);
        break;
    default:
        break;
    }
    if (err)
        return err;
    return !en->cipher_key || (en->iv_len && !en->iv) || (en->auth_key_len && !en->auth_key) ? -EFAULT : 0;
}

static uint8_t suite_of(int algorithm)
{
    switch (algorithm) {
    case CRYPTO_AES_NIST_GCM_16:
        return TLS_SUITE_GCM;
    case CRYPTO_AES_CCM_16:
        return TLS_SUITE_CCM;
    case CRYPTO_AES_CBC:
        return TLS_SUITE_CBC;
    default:
        return TLS_SUITE_CHACHA20;
    }
}

static uint8_t header_len(const struct tls_session *s)
{
    if (s->suite == TLS_SUITE_CBC)
        return s->vminor == TLS_MINOR_VER_ZERO ? TLS_HEADER : TLS_HEADER + 16;
    bool explicit_nonce = s->vminor == TLS_MINOR_VER_TWO && s->suite != TLS_SUITE_CHACHA20;
    return explicit_nonce ? TLS_HEADER + 8 : TLS_HEADER;
}

static void session_fill(struct tls_session *s, const struct tls_enable *en)
{
    s->suite = suite_of(en->cipher_algorithm);
    s->vminor = en->tls_vminor;
    s->key_len = (uint8_t)en->cipher_key_len;
    s->auth_len = (uint8_t)en->auth_key_len;
    s->auth_algorithm = s->suite == TLS_SUITE_CBC ? (uint8_t)en->auth_algorithm : 0;
    if (s->suite == TLS_SUITE_CBC) {
        s->mac_len = s->auth_algorithm == CRYPTO_SHA1_HMAC       ? 20
                     : s->auth_algorithm == CRYPTO_SHA2_256_HMAC ? 32
                                                                 : 48;
        s->iv_len = s->vminor == TLS_MINOR_VER_ZERO ? 16 : 0; /* an explicit IV needs none to start from */
    } else {
        s->iv_len = (uint8_t)en->iv_len;
    }
    s->hlen = header_len(s);
    for (unsigned i = 0; i < sizeof(en->rec_seq); i++)
        s->seq = s->seq << 8 | en->rec_seq[i];
    memcpy(s->keys->cipher, en->cipher_key, s->key_len);
    if (s->iv_len)
        memcpy(s->keys->iv, en->iv, s->iv_len);
    if (s->auth_len)
        memcpy(s->keys->auth, en->auth_key, s->auth_len);
}

int tls_session_new(struct tls_keystore *ks, const struct tls_enable *en, bool receive, const char *backends,
                    const struct siphash_key *iv_secret, struct tls_session **out)
{
    int err = tls_enable_check(en);
    if (err)
        return err;
    if (en->cipher_key_len > (int)sizeof(((struct tls_keys *)0)->cipher))
        return -EOPNOTSUPP;
    struct tls_session *s = mem_alloc(sizeof(*s));
    if (!s || !(s->keys = tls_keys_get(ks))) {
        mem_free(s);
        return -ENOMEM;
    }
    s->refs = 1;
    s->receive = receive;
    s->iv_secret = *iv_secret;
    session_fill(s, en);
    err = tls_backend_begin(s, backends);
    if (err) {
        tls_session_put(ks, s);
        return err;
    }
    *out = s;
    return 0;
}

void tls_session_put(struct tls_keystore *ks, struct tls_session *s)
{
    if (--s->refs > 0)
        return;
    if (s->backend)
        s->backend->end(s);
    tls_keys_put(ks, s->keys);
    explicit_bzero(s, sizeof(*s));
    mem_free(s);
}

const char *tls_suite_name(const struct tls_session *s)
{
    bool big = s->key_len == 32;
    switch (s->suite) {
    case TLS_SUITE_GCM:
        return big ? "AES-256-GCM" : "AES-128-GCM";
    case TLS_SUITE_CCM:
        return big ? "AES-256-CCM" : "AES-128-CCM";
    case TLS_SUITE_CHACHA20:
        return "CHACHA20-POLY1305";
    default:
        return big ? "AES-256-CBC" : "AES-128-CBC";
    }
}
