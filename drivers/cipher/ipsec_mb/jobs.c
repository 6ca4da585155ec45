// SPDX-License-Identifier: BSD-3-Clause
// AES-CCM and AES-CBC with HMAC by the library's job queue: each block needs the one before it, so the lanes are filled with different
// records. The queue belongs to the thread.
#include <errno.h>
#include <pthread.h>
#include <openssl/crypto.h>
#include "base/alloc.h"
#include "cipher/ipsec_mb/priv.h"

#define BATCH 32

/* What a job refers to while it is under way. */
struct scratch {
    struct tls_aead a;
    uint8_t sent[TLS_TAG], tag[TLS_TAG];
    uint8_t header[TLS_HEADER + 16];
};

/* ---- the thread's queue ---- */

static pthread_key_t queue_key;
static pthread_once_t queue_once = PTHREAD_ONCE_INIT;

static void queue_free(void *m)
{
    free_mb_mgr(m);
}

static void queue_key_make(void)
{
    pthread_key_create(&queue_key, queue_free);
}

static IMB_MGR *queue(void)
{
    pthread_once(&queue_once, queue_key_make);
    IMB_MGR *m = pthread_getspecific(queue_key);
    if (m)
        return m;
    m = fault_now() ? NULL : alloc_mb_mgr(0);
    if (!m)
        return NULL;
    init_mb_mgr_auto(m, NULL);
    if (pthread_setspecific(queue_key, m) != 0) {
        free_mb_mgr(m);
        return NULL;
    }
    return m;
}

/* ---- CCM ---- */

static void ccm_fill(IMB_JOB *j, struct tls_op *op, struct scratch *x, uint8_t *data, uint8_t *tag, bool seal)
{
    const struct imb_state *st = op->s->cipher;
    j->cipher_mode = IMB_CIPHER_CCM;
    j->hash_alg = IMB_AUTH_AES_CCM;
    j->cipher_direction = seal ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    j->chain_order = seal ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
    j->enc_keys = j->dec_keys = st->aes.enc;
    j->key_len_in_bytes = op->s->key_len;
    j->src = j->dst = data;
    j->cipher_start_src_offset_in_bytes = j->hash_start_src_offset_in_bytes = 0;
    j->msg_len_to_cipher_in_bytes = j->msg_len_to_hash_in_bytes = x->a.inner;
    j->iv = x->a.nonce;
    j->iv_len_in_bytes = TLS_NONCE;
    j->u.CCM.aad = x->a.aad;
    j->u.CCM.aad_len_in_bytes = x->a.aad_len;
    j->auth_tag_output = tag;
    j->auth_tag_output_len_in_bytes = TLS_TAG;
}

static void ccm_seal_fill(IMB_JOB *j, struct tls_op *op, struct scratch *x)
{
    tls_aead_seal_begin(op, &x->a, op->dst);
    tls_aead_gather(op, &x->a);
    ccm_fill(j, op, x, tls_body(op), tls_body(op) + x->a.inner, true);
}

/* False: no record. */
static bool ccm_open_prepare(struct tls_op *op, struct scratch *x)
{
    struct iov_at at = {op->src, op->src_off};
    if (!tls_aead_open_begin(op, &x->a, &at))
        return false;
    iov_copy(&at, op->dst, x->a.inner);
    iov_copy(&at, x->sent, TLS_TAG);
    return true;
}

/* ---- CBC ---- */

static IMB_HASH_ALG hmac_of(const struct tls_session *s)
{
    return s->mac_len == 20   ? IMB_AUTH_HMAC_SHA_1
           : s->mac_len == 32 ? IMB_AUTH_HMAC_SHA_256
                              : IMB_AUTH_HMAC_SHA_384;
}

/* What the MAC begins with lies right before the payload, where header and IV will be: these are written when the job is done. */
static void cbc_seal_fill(IMB_JOB *j, struct tls_op *op, struct scratch *x)
{
    const struct imb_state *st = op->s->cipher;
    const struct tls_session *s = op->s;
    struct iov_at at = {op->src, op->src_off};
    uint8_t *body = tls_body(op);
    uint32_t trailer = tls_trailer_len(s, op->len), padding = trailer - s->mac_len;
    iov_copy(&at, body, op->len);
    memset(body + op->len + s->mac_len, (int)padding - 1, padding);
    tls_header_write(s, x->header, op->seq, op->type, op->len);
    tls_aad(s, op->seq, op->type, op->len, body - TLS_AAD_MAX);
    j->cipher_mode = IMB_CIPHER_CBC;
    j->hash_alg = hmac_of(s);
    j->cipher_direction = IMB_DIR_ENCRYPT;
    j->chain_order = IMB_ORDER_HASH_CIPHER;
    j->enc_keys = st->aes.enc;
    j->dec_keys = st->aes.dec;
    j->key_len_in_bytes = s->key_len;
    j->src = body - TLS_AAD_MAX;
    j->dst = body;
    j->cipher_start_src_offset_in_bytes = TLS_AAD_MAX;
    j->msg_len_to_cipher_in_bytes = op->len + trailer;
    j->hash_start_src_offset_in_bytes = 0;
    j->msg_len_to_hash_in_bytes = TLS_AAD_MAX + op->len;
    j->iv = x->header + TLS_HEADER;
    j->iv_len_in_bytes = 16;
    j->u.HMAC._hashed_auth_key_xor_ipad = st->aes.ipad;
    j->u.HMAC._hashed_auth_key_xor_opad = st->aes.opad;
    j->auth_tag_output = body + op->len;
    j->auth_tag_output_len_in_bytes = s->mac_len;
}

/* ---- batches ---- */

static void done(IMB_JOB *j)
{
    struct tls_op *op = j->user_data;
    struct scratch *x = j->user_data2;
    bool ok = j->status == IMB_STATUS_COMPLETED;
    if (!op->s->receive) {
        op->result = ok ? 0 : -EIO;
        if (op->s->suite == TLS_SUITE_CBC)
            memcpy(op->dst, x->header, op->s->hlen);
        return;
    }
    tls_aead_open_end(op, &x->a, ok && CRYPTO_memcmp(x->sent, x->tag, TLS_TAG) == 0);
}

static void submit(IMB_MGR *m, struct tls_op *op, struct scratch *x)
{
    IMB_JOB *j = IMB_GET_NEXT_JOB(m);
    if (op->s->receive)
        ccm_fill(j, op, x, op->dst, x->tag, false);
    else if (op->s->suite == TLS_SUITE_CBC)
        cbc_seal_fill(j, op, x);
    else
        ccm_seal_fill(j, op, x);
    j->user_data = op;
    j->user_data2 = x;
    for (j = IMB_SUBMIT_JOB(m); j; j = IMB_GET_COMPLETED_JOB(m))
        done(j);
}

static void batch(struct tls_op **ops, unsigned n)
{
    struct scratch x[BATCH];
    IMB_JOB *j;
    IMB_MGR *m = queue();
    for (unsigned i = 0; i < n; i++) {
        ops[i]->result = m ? -EIO : -EAGAIN;
        if (m && (!ops[i]->s->receive || ccm_open_prepare(ops[i], &x[i])))
            submit(m, ops[i], &x[i]);
    }
    while (m && (j = IMB_FLUSH_JOB(m)) != NULL)
        done(j);
}

static void batches(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        some = n < BATCH ? n : BATCH;
        batch(ops, some);
    }
}

void imb_jobs_seal(struct tls_op **ops, unsigned n)
{
    batches(ops, n);
}

void imb_jobs_open(struct tls_op **ops, unsigned n)
{
    batches(ops, n);
}
