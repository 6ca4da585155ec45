// SPDX-License-Identifier: BSD-3-Clause
// Records as crypto operations: in place in the record's buffer, in bursts, waited for.
#include <errno.h>
#include <rte_cycles.h>
#include <rte_pause.h>
#include "base/alloc.h"
#include "cipher/cryptodev/priv.h"

#define PATIENCE_S 2 /* without an answer: the device hangs */

static rte_iova_t iova_of(const void *p)
{
    return rte_eal_iova_mode() == RTE_IOVA_VA ? (rte_iova_t)(uintptr_t)p : rte_mem_virt2iova(p);
}

/* The device sees the record as a packet that is never freed. */
static void map(struct rte_crypto_op *o, uint8_t *data, uint32_t len)
{
    struct rte_mbuf *m = &cdev_op(o)->m;
    memset(m, 0, sizeof(*m));
    m->buf_addr = data;
    m->buf_iova = iova_of(data);
    m->buf_len = m->data_len = (uint16_t)len;
    m->pkt_len = len;
    m->nb_segs = 1;
    rte_mbuf_refcnt_set(m, 1);
    o->sym->m_src = m;
    o->sym->m_dst = NULL;
}

static void fill_aead(struct rte_crypto_op *o, struct tls_op *op, uint8_t *data)
{
    struct cdev_op *x = cdev_op(o);
    bool ccm = op->s->suite == TLS_SUITE_CCM;
    uint32_t aad_at = ccm ? 18 : 0;
    map(o, data, x->a.inner + TLS_TAG);
    memcpy(x->iv + ccm, x->a.nonce, TLS_NONCE);
    memcpy(x->aad + aad_at, x->a.aad, x->a.aad_len);
    o->sym->aead.data.offset = 0;
    o->sym->aead.data.length = x->a.inner;
    o->sym->aead.digest.data = data + x->a.inner;
    o->sym->aead.digest.phys_addr = x->m.buf_iova + x->a.inner;
    o->sym->aead.aad.data = x->aad;
    o->sym->aead.aad.phys_addr =
        rte_crypto_op_ctophys_offset(o, CDEV_IV_OFFSET + offsetof(struct cdev_op, aad));
}

/* What the MAC begins with lies right before the payload, where header and IV will be: these are written afterwards. */
static void fill_cbc(struct rte_crypto_op *o, struct tls_op *op)
{
    struct cdev_op *x = cdev_op(o);
    const struct tls_session *s = op->s;
    struct iov_at at = {op->src, op->src_off};
    uint8_t *body = tls_body(op), *start = body - TLS_AAD_MAX;
    uint32_t trailer = tls_trailer_len(s, op->len), padding = trailer - s->mac_len;
    iov_copy(&at, body, op->len);
    memset(body + op->len + s->mac_len, (int)padding - 1, padding);
    tls_header_write(s, x->header, op->seq, op->type, op->len);
    tls_aad(s, op->seq, op->type, op->len, start);
    map(o, start, TLS_AAD_MAX + op->len + trailer);
    memcpy(x->iv, x->header + TLS_HEADER, 16);
    o->sym->auth.data.offset = 0;
    o->sym->auth.data.length = TLS_AAD_MAX + op->len;
    o->sym->auth.digest.data = body + op->len;
    o->sym->auth.digest.phys_addr = x->m.buf_iova + TLS_AAD_MAX + op->len;
    o->sym->cipher.data.offset = TLS_AAD_MAX;
    o->sym->cipher.data.length = op->len + trailer;
}

/* False: it is no record. */
static bool fill(struct rte_crypto_op *o, struct tls_op *op)
{
    struct cdev_op *x = cdev_op(o);
    struct iov_at at = {op->src, op->src_off};
    __rte_crypto_op_reset(o, RTE_CRYPTO_OP_TYPE_SYMMETRIC);
    x->op = op;
    if (op->s->receive) {
        if (!tls_aead_open_begin(op, &x->a, &at))
            return false;
        iov_copy(&at, op->dst, x->a.inner + TLS_TAG);
        fill_aead(o, op, op->dst);
    } else if (op->s->suite == TLS_SUITE_CBC) {
        fill_cbc(o, op);
    } else {
        tls_aead_seal_begin(op, &x->a, op->dst);
        tls_aead_gather(op, &x->a);
        fill_aead(o, op, tls_body(op));
    }
    rte_crypto_op_attach_sym_session(o, ((struct cdev_state *)op->s->cipher)->session);
    return true;
}

static void done(struct rte_crypto_op *o)
{
    struct cdev_op *x = cdev_op(o);
    struct tls_op *op = x->op;
    bool ok = o->status == RTE_CRYPTO_OP_STATUS_SUCCESS;
    if (op->s->receive) {
        tls_aead_open_end(op, &x->a, ok);
        return;
    }
    op->result = ok ? 0 : -EIO;
    if (op->s->suite == TLS_SUITE_CBC)
        memcpy(op->dst, x->header, op->s->hlen);
}

/* Takes what is done; true: something was. */
static bool collect(const struct cdev *d, const struct cdev_pair *p, unsigned *under_way)
{
    struct rte_crypto_op *got[CDEV_DEPTH];
    uint16_t n = rte_cryptodev_dequeue_burst(d->id, p->id, got, CDEV_DEPTH);
    for (uint16_t i = 0; i < n; i++)
        done(got[i]);
    *under_way -= n;
    return n > 0;
}

/* All of n operations are done, or the device is given up: the rest have failed. */
static void run_filled(struct cdev *d, struct cdev_pair *p, struct rte_crypto_op **o, unsigned n)
{
    unsigned sent = 0, under_way = 0;
    uint64_t patience = PATIENCE_S * rte_get_tsc_hz(), since = rte_rdtsc();
    while (sent < n || under_way > 0) {
        unsigned some =
            sent < n ? rte_cryptodev_enqueue_burst(d->id, p->id, o + sent, (uint16_t)(n - sent)) : 0;
        sent += some;
        under_way += some;
        if (collect(d, p, &under_way) || some > 0) {
            since = rte_rdtsc();
            continue;
        }
        if (rte_rdtsc() - since > patience) {
            cdev_give_up(d);
            return;
        }
        rte_pause();
    }
}

/* n <= CDEV_DEPTH. */
static void run_some(struct cdev *d, struct tls_op **ops, unsigned n)
{
    struct cdev_pair *p = cdev_my_pair(d);
    unsigned filled = 0;
    rte_spinlock_lock(&p->lock);
    for (unsigned i = 0; i < n; i++) {
        if (atomic_load_explicit(&d->failed, memory_order_relaxed) || fault_now()) {
            ops[i]->result = -EAGAIN;
            continue;
        }
        ops[i]->result = -EIO;
        if (fill(p->ops[filled], ops[i]))
            filled++;
    }
    if (filled > 0)
        run_filled(d, p, p->ops, filled);
    rte_spinlock_unlock(&p->lock);
}

void cdev_run(struct cdev *d, struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        some = n < CDEV_DEPTH ? n : CDEV_DEPTH;
        run_some(d, ops, some);
    }
}
