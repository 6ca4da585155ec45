// SPDX-License-Identifier: BSD-3-Clause
// Sessions on libipsec-mb: what it can, keys expanded once, records to the stream or the job functions.
#include "cipher/ipsec_mb/ipsec_mb.h"
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "cipher/ipsec_mb/priv.h"

#define ALIGN 64

/* ---- the library ---- */

static IMB_MGR *functions;
static pthread_once_t functions_once = PTHREAD_ONCE_INIT;

/* Kept to the end of the process: read only from here on, for all threads. */
static void functions_make(void)
{
    IMB_MGR *m = alloc_mb_mgr(0);
    if (!m)
        return;
    init_mb_mgr_auto(m, NULL);
    if (m->features & IMB_FEATURE_AESNI)
        functions = m;
    else
        free_mb_mgr(m);
}

IMB_MGR *imb_functions(void)
{
    pthread_once(&functions_once, functions_make);
    return functions;
}

/* ---- sessions ---- */

/*
 * TLS 1.0 chains its records. CBC records of the peer must be opened in the same time whatever their padding is, which the library's HMAC
 * cannot.
 */
static int imb_can(const struct tls_session *s)
{
    if (!imb_functions())
        return -EOPNOTSUPP;
    if (s->suite == TLS_SUITE_CBC && (s->receive || s->vminor == TLS_MINOR_VER_ZERO))
        return -EOPNOTSUPP;
    return s->key_len == 32 || (s->key_len == 16 && s->suite != TLS_SUITE_CHACHA20) ? 0 : -EOPNOTSUPP;
}

static void aes_begin(const struct tls_session *s, struct imb_state *st)
{
    IMB_MGR *m = imb_functions();
    if (s->key_len == 32)
        IMB_AES_KEYEXP_256(m, s->keys->cipher, st->aes.enc, st->aes.dec);
    else
        IMB_AES_KEYEXP_128(m, s->keys->cipher, st->aes.enc, st->aes.dec);
}

static void one_block(const struct tls_session *s, const uint8_t *block, uint8_t *out)
{
    IMB_MGR *m = imb_functions();
    if (s->mac_len == 20)
        IMB_SHA1_ONE_BLOCK(m, block, out);
    else if (s->mac_len == 32)
        IMB_SHA256_ONE_BLOCK(m, block, out);
    else
        IMB_SHA384_ONE_BLOCK(m, block, out);
}

/* RFC 2104 §4. Keys here are never longer than a block. */
static void hmac_begin(const struct tls_session *s, struct imb_state *st)
{
    uint8_t block[128];
    for (unsigned i = 0; i < sizeof(block); i++)
        block[i] = (i < s->auth_len ? s->keys->auth[i] : 0) ^ 0x36;
    one_block(s, block, st->aes.ipad);
    for (unsigned i = 0; i < sizeof(block); i++)
        block[i] ^= 0x36 ^ 0x5c;
    one_block(s, block, st->aes.opad);
    explicit_bzero(block, sizeof(block));
}

static int imb_begin(struct tls_session *s)
{
    IMB_MGR *m = imb_functions();
    uint8_t *block = mem_alloc(sizeof(struct imb_state) + ALIGN);
    if (!block)
        return -ENOMEM;
    struct imb_state *st = (void *)(((uintptr_t)block + ALIGN - 1) & ~(uintptr_t)(ALIGN - 1));
    st->block = block;
    if (s->suite == TLS_SUITE_CHACHA20)
        memcpy(st->chacha, s->keys->cipher, sizeof(st->chacha));
    else if (s->suite != TLS_SUITE_GCM)
        aes_begin(s, st);
    else if (s->key_len == 32)
        IMB_AES256_GCM_PRE(m, s->keys->cipher, &st->gcm);
    else
        IMB_AES128_GCM_PRE(m, s->keys->cipher, &st->gcm);
    if (s->suite == TLS_SUITE_CBC)
        hmac_begin(s, st);
    s->cipher = st;
    return 0;
}

static void imb_end(struct tls_session *s)
{
    struct imb_state *st = s->cipher;
    void *block = st->block;
    explicit_bzero(st, sizeof(*st));
    mem_free(block);
    s->cipher = NULL;
}

/* ---- records ---- */

static bool by_jobs(const struct tls_op *op)
{
    return op->s->suite == TLS_SUITE_CCM || op->s->suite == TLS_SUITE_CBC;
}

/* How many of ops from the first on are of its kind. */
static unsigned run_of(struct tls_op **ops, unsigned n)
{
    unsigned i = 1;
    while (i < n && by_jobs(ops[i]) == by_jobs(ops[0]))
        i++;
    return i;
}

static void imb_seal(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        some = run_of(ops, n);
        if (by_jobs(ops[0]))
            imb_jobs_seal(ops, some);
        for (unsigned i = 0; i < some && !by_jobs(ops[0]); i++)
            imb_stream_seal(ops[i]);
    }
}

static void imb_open(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        some = run_of(ops, n);
        if (by_jobs(ops[0]))
            imb_jobs_open(ops, some);
        for (unsigned i = 0; i < some && !by_jobs(ops[0]); i++)
            imb_stream_open(ops[i]);
    }
}

static bool imb_scatters(const struct tls_session *s)
{
    return s->suite == TLS_SUITE_GCM || s->suite == TLS_SUITE_CHACHA20;
}

static void imb_describe(char *text, size_t size)
{
    const IMB_MGR *m = imb_functions();
    if (!m)
        snprintf(text, size, "this CPU has no AES instructions");
    else
        snprintf(text, size, "libipsec-mb %s, %s%s", imb_get_version_str(),
                 m->features & IMB_FEATURE_AVX512_SKX ? "AVX-512"
                 : m->features & IMB_FEATURE_AVX2     ? "AVX2"
                                                      : "SSE",
                 m->features & IMB_FEATURE_VAES ? " VAES" : "");
}

const struct tls_backend tls_backend_ipsec_mb = {
    .name = "ipsec_mb",
    .priority = 30,
    .can = imb_can,
    .begin = imb_begin,
    .seal = imb_seal,
    .open = imb_open,
    .scatters = imb_scatters,
    .end = imb_end,
    .describe = imb_describe,
};
