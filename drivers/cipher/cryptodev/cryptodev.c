// SPDX-License-Identifier: BSD-3-Clause
// Sessions on the first crypto device that can do them.
#include "cipher/cryptodev/cryptodev.h"
#include <errno.h>
#include <stdio.h>
#include "base/alloc.h"
#include "cipher/cryptodev/priv.h"

/* ---- what a session needs ---- */

struct transforms {
    struct rte_crypto_sym_xform first, second;
};

static void aead_of(const struct tls_session *s, struct rte_crypto_sym_xform *x)
{
    static const enum rte_crypto_aead_algorithm algorithm[] = {
        [TLS_SUITE_GCM] = RTE_CRYPTO_AEAD_AES_GCM,
        [TLS_SUITE_CHACHA20] = RTE_CRYPTO_AEAD_CHACHA20_POLY1305,
        [TLS_SUITE_CCM] = RTE_CRYPTO_AEAD_AES_CCM,
    };
    x->type = RTE_CRYPTO_SYM_XFORM_AEAD;
    x->aead.op = s->receive ? RTE_CRYPTO_AEAD_OP_DECRYPT : RTE_CRYPTO_AEAD_OP_ENCRYPT;
    x->aead.algo = algorithm[s->suite];
    x->aead.key.data = s->keys->cipher;
    x->aead.key.length = s->key_len;
    x->aead.iv.offset = CDEV_IV_OFFSET;
    x->aead.iv.length = TLS_NONCE;
    x->aead.digest_length = TLS_TAG;
    x->aead.aad_length = s->vminor == TLS_MINOR_VER_THREE ? TLS_HEADER : TLS_AAD_MAX;
}

/* MAC, then encrypt. */
static void cbc_of(const struct tls_session *s, struct transforms *t)
{
    t->first.type = RTE_CRYPTO_SYM_XFORM_AUTH;
    t->first.next = &t->second;
    t->first.auth.op = RTE_CRYPTO_AUTH_OP_GENERATE;
    t->first.auth.algo = s->mac_len == 20   ? RTE_CRYPTO_AUTH_SHA1_HMAC
                         : s->mac_len == 32 ? RTE_CRYPTO_AUTH_SHA256_HMAC
                                            : RTE_CRYPTO_AUTH_SHA384_HMAC;
    t->first.auth.key.data = s->keys->auth;
    t->first.auth.key.length = s->auth_len;
    t->first.auth.digest_length = s->mac_len;
    t->second.type = RTE_CRYPTO_SYM_XFORM_CIPHER;
    t->second.cipher.op = RTE_CRYPTO_CIPHER_OP_ENCRYPT;
    t->second.cipher.algo = RTE_CRYPTO_CIPHER_AES_CBC;
    t->second.cipher.key.data = s->keys->cipher;
    t->second.cipher.key.length = s->key_len;
    t->second.cipher.iv.offset = CDEV_IV_OFFSET;
    t->second.cipher.iv.length = 16;
}

static bool can_aead(const struct cdev *d, const struct rte_crypto_sym_xform *x)
{
    const struct rte_cryptodev_sym_capability_idx idx = {.type = x->type, .algo.aead = x->aead.algo};
    const struct rte_cryptodev_symmetric_capability *c = rte_cryptodev_sym_capability_get(d->id, &idx);
    return c && rte_cryptodev_sym_capability_check_aead(c, x->aead.key.length, x->aead.digest_length,
                                                        x->aead.aad_length, x->aead.iv.length) == 0;
}

static bool can_cbc(const struct cdev *d, const struct transforms *t)
{
    const struct rte_cryptodev_sym_capability_idx auth = {.type = RTE_CRYPTO_SYM_XFORM_AUTH,
                                                          .algo.auth = t->first.auth.algo};
    const struct rte_cryptodev_sym_capability_idx cipher = {.type = RTE_CRYPTO_SYM_XFORM_CIPHER,
                                                            .algo.cipher = t->second.cipher.algo};
    const struct rte_cryptodev_symmetric_capability *a = rte_cryptodev_sym_capability_get(d->id, &auth),
                                                    *c = rte_cryptodev_sym_capability_get(d->id, &cipher);
    return a && c &&
           rte_cryptodev_sym_capability_check_auth(a, t->first.auth.key.length, t->first.auth.digest_length,
                                                   0) == 0 &&
           rte_cryptodev_sym_capability_check_cipher(c, t->second.cipher.key.length, 16) == 0;
}

static struct cdev *device_for(const struct tls_session *s, struct transforms *t)
{
    struct cdev *d;
    *t = (struct transforms){0};
    if (s->suite == TLS_SUITE_CBC)
        cbc_of(s, t);
    else
        aead_of(s, &t->first);
    for (unsigned i = 0; (d = cdev_at(i)) != NULL; i++) {
        if (atomic_load(&d->failed))
            continue;
        if (s->suite == TLS_SUITE_CBC ? can_cbc(d, t) : can_aead(d, &t->first))
            return d;
    }
    return NULL;
}

/* ---- the backend ---- */

/*
 * TLS 1.0 chains its records; CBC records must be opened in the same time whatever their padding is; no suite of TLS has keys of 24 bytes,
 * which devices would take.
 */
static int cdev_can(const struct tls_session *s)
{
    struct transforms t;
    if (s->suite == TLS_SUITE_CBC && (s->receive || s->vminor == TLS_MINOR_VER_ZERO))
        return -EOPNOTSUPP;
    return (s->key_len == 16 || s->key_len == 32) && device_for(s, &t) ? 0 : -EOPNOTSUPP;
}

static int cdev_begin(struct tls_session *s)
{
    struct transforms t;
    struct cdev *d = device_for(s, &t);
    struct cdev_state *st = d ? mem_alloc(sizeof(*st)) : NULL;
    if (!st)
        return d ? -ENOMEM : -EOPNOTSUPP;
    st->dev = d;
    st->session = fault_now() ? NULL : rte_cryptodev_sym_session_create(d->id, &t.first, d->sessions);
    if (!st->session) {
        mem_free(st);
        return -ENOMEM;
    }
    s->cipher = st;
    return 0;
}

/* The device's driver wipes what it frees. */
static void cdev_end(struct tls_session *s)
{
    struct cdev_state *st = s->cipher;
    rte_cryptodev_sym_session_free(st->dev->id, st->session);
    mem_free(st);
    s->cipher = NULL;
}

static struct cdev *device_of(const struct tls_op *op)
{
    return ((struct cdev_state *)op->s->cipher)->dev;
}

static void cdev_work(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        struct cdev *d = device_of(ops[0]);
        for (some = 1; some < n && device_of(ops[some]) == d; some++)
            ;
        cdev_run(d, ops, some);
    }
}

static void cdev_describe(char *text, size_t size)
{
    struct cdev *d;
    size_t at = 0;
    *text = '\0';
    for (unsigned i = 0; (d = cdev_at(i)) != NULL && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%s, %u queue pairs%s", i ? "; " : "",
                               rte_cryptodev_name_get(d->id), d->n_pairs,
                               atomic_load(&d->failed) ? ", hangs and is not used" : "");
    if (at == 0)
        snprintf(text, size, "no crypto device (for DPDK: --vdev=crypto_aesni_mb, or -a its address)");
}

const struct tls_backend tls_backend_cryptodev = {
    .name = "cryptodev",
    .priority = 10,
    .can = cdev_can,
    .begin = cdev_begin,
    .seal = cdev_work,
    .open = cdev_work,
    .end = cdev_end,
    .describe = cdev_describe,
};
