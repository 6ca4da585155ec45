// SPDX-License-Identifier: BSD-3-Clause
// Key updates of TLS 1.3 (RFC 8446 §4.6.3) for records that the stack makes. libssl gives a BIO one key and no second: the next is derived
// here, from the traffic secret that libssl tells by its key log (§7.2).
#include <stdio.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include "bio.h"

/* RFC 8446 §7.1, with an empty context. */
static bool expand_label(const struct leat_bio *lb, const char *label, uint8_t *out, size_t len)
{
    static char sha256[] = "SHA256", sha384[] = "SHA384";
    uint8_t info[32] = {(uint8_t)(len >> 8), (uint8_t)len};
    int n = snprintf((char *)info + 3, sizeof(info) - 3, "tls13 %s",
                     label); /* its 0 is the empty context's length */
    int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
    info[2] = (uint8_t)n;
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, lb->secret_len == 48 ? sha384 : sha256, 0),
        OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)(uintptr_t)lb->secret, lb->secret_len),
        OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, (size_t)n + 4),
        OSSL_PARAM_construct_end(),
    };
    EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
    EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
    bool ok = ctx && EVP_KDF_derive(ctx, out, len, params) == 1;
    EVP_KDF_CTX_free(ctx);
    EVP_KDF_free(kdf);
    return ok;
}

/* Where the structure of a cipher has its parts; the nonce is salt and iv. */
struct parts {
    uint8_t *key, *salt, *iv;
    size_t key_len, salt_len, iv_len;
};

#define PARTS(s)                                                                                             \
    (struct parts)                                                                                           \
    {                                                                                                        \
        (s).key, (s).salt, (s).iv, sizeof((s).key), sizeof((s).salt), sizeof((s).iv)                         \
    }

static struct parts parts_of(union crypto_info *info)
{
    switch (info->head.cipher_type) {
    case TLS_CIPHER_AES_GCM_128:
        return PARTS(info->gcm128);
    case TLS_CIPHER_AES_GCM_256:
        return PARTS(info->gcm256);
    case TLS_CIPHER_AES_CCM_128:
        return PARTS(info->ccm128);
    default:
        return PARTS(info->chacha20);
    }
}

static bool next_info(struct leat_bio *lb, union crypto_info *info)
{
    uint8_t next[SECRET_MAX], nonce[12];
    memset(info, 0, sizeof(*info)); /* record numbers begin again with 0 */
    info->head = lb->head;
    struct parts p = parts_of(info);
    bool ok = expand_label(lb, "traffic upd", next, lb->secret_len);
    memcpy(lb->secret, next, lb->secret_len);
    ok = ok && expand_label(lb, "key", p.key, p.key_len) && expand_label(lb, "iv", nonce, sizeof(nonce));
    memcpy(p.salt, nonce, p.salt_len);
    memcpy(p.iv, nonce + p.salt_len, p.iv_len);
    OPENSSL_cleanse(next, sizeof(next));
    OPENSSL_cleanse(nonce, sizeof(nonce));
    return ok;
}

bool leat_bio_next_key(struct leat_bio *lb)
{
    union crypto_info info;
    bool ok = lb->secret_len > 0 && next_info(lb, &info) &&
              leat_setsockopt(lb->fd, SOL_TLS, TLS_TX, &info, crypto_info_size(&info.head)) == 0;
    OPENSSL_cleanse(&info, sizeof(info));
    return ok;
}

/* ---- the key log ---- */

static size_t unhex(const char *hex, uint8_t *out, size_t most)
{
    size_t n = 0;
    for (unsigned v; n < most && sscanf(hex, "%2x", &v) == 1; hex += 2)
        out[n++] = (uint8_t)v;
    return n;
}

static void keep_secret(const SSL *ssl, const char *line)
{
    const char *label = SSL_is_server(ssl) ? "SERVER_TRAFFIC_SECRET_0 " : "CLIENT_TRAFFIC_SECRET_0 ";
    const char *secret = strrchr(line, ' ');
    struct leat_bio *lb = leat_bio_of(SSL_get_wbio(ssl));
    if (lb && secret && strncmp(line, label, strlen(label)) == 0)
        lb->secret_len = unhex(secret + 1, lb->secret, sizeof(lb->secret));
}

static int earlier_index = -1; /* ex_data of a SSL_CTX: the key log callback that was set before ours */

struct earlier {
    SSL_CTX_keylog_cb_func call;
};

static void free_earlier(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int index, long argl, void *argp)
{
    OPENSSL_free(ptr);
}

static void on_keylog(const SSL *ssl, const char *line)
{
    const struct earlier *e = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), earlier_index);
    keep_secret(ssl, line);
    if (e && e->call)
        e->call(ssl, line);
}

static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

static void make_index(void)
{
    earlier_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_earlier);
}

int leat_ssl_key_updates(SSL_CTX *ctx)
{
    if (SSL_CTX_get_keylog_callback(ctx) == on_keylog)
        return 1;
    if (!CRYPTO_THREAD_run_once(&once, make_index) || earlier_index < 0)
        return 0;
    struct earlier *e = OPENSSL_zalloc(sizeof(*e));
    if (!e)
        return 0;
    e->call = SSL_CTX_get_keylog_callback(ctx);
    if (!SSL_CTX_set_ex_data(ctx, earlier_index, e)) {
        OPENSSL_free(e);
        return 0;
    }
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
    return 1;
}
