// SPDX-License-Identifier: BSD-3-Clause
// The ciphers that are built in, the best first, which of them a session has, and the way to them.
#include <errno.h>
#include <string.h>
#include <rte_common.h>
#include "base/cksum.h"
#include "cipher/cryptodev/cryptodev.h"
#include "cipher/openssl/openssl.h"
#include "tls/session.h"
#ifdef LEAT_IPSEC_MB
#include "cipher/ipsec_mb/ipsec_mb.h"
#endif

/* By priority. */
static const struct tls_backend *const backends[] = {
#ifdef LEAT_IPSEC_MB
    &tls_backend_ipsec_mb,
#endif
    &tls_backend_openssl,
    &tls_backend_cryptodev,
};
const char tls_backend_names[] = "ipsec_mb openssl cryptodev"; /* also where one is not built in */
_Static_assert(RTE_DIM(backends) <= TLS_BACKENDS_MAX, "a session remembers so many");

const struct tls_backend *tls_backend_at(unsigned i)
{
    return i < RTE_DIM(backends) ? backends[i] : NULL;
}

const struct tls_backend *tls_backend_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < RTE_DIM(backends); i++)
        if (strlen(backends[i]->name) == len && memcmp(backends[i]->name, name, len) == 0)
            return backends[i];
    return NULL;
}

bool tls_backend_known(const char *name, size_t len)
{
    for (const char *at = tls_backend_names; *at; at += strcspn(at, " "), at += strspn(at, " "))
        if (strcspn(at, " ") == len && memcmp(at, name, len) == 0)
            return true;
    return false;
}

/* ---- a session's backend ---- */

static void order_fill(struct tls_session *s, const char *names)
{
    s->n_order = 0;
    for (size_t len; *names && s->n_order < TLS_BACKENDS_MAX; names += len, names += strspn(names, " ")) {
        len = strcspn(names, " ");
        const struct tls_backend *b = tls_backend_find(names, len);
        if (b)
            s->order[s->n_order++] = b;
    }
}

/* The first of those left that can and does begin. */
static int begin_next(struct tls_session *s)
{
    int err = -EOPNOTSUPP;
    for (; s->at < s->n_order; s->at++, s->refusals++) {
        const struct tls_backend *b = s->order[s->at];
        int answer = b->can(s);
        if (answer == 0)
            answer = b->begin(s);
        if (answer == 0) {
            s->backend = b;
            return 0;
        }
        err = answer;
    }
    return err;
}

static bool scatters(const struct tls_session *s)
{
    return s->backend->scatters && s->backend->scatters(s);
}

int tls_backend_begin(struct tls_session *s, const char *names)
{
    order_fill(s, names);
    int err = begin_next(s);
    s->scatters = err == 0 && scatters(s);
    return err;
}

int tls_backend_next(struct tls_session *s)
{
    s->backend->end(s);
    s->backend = NULL;
    s->at++;
    s->refusals++;
    return begin_next(s);
}

/* ---- records ---- */

/* How many of ops from the first on have its backend and direction. */
static unsigned same_kind(struct tls_op **ops, unsigned n)
{
    const struct tls_session *first = ops[0]->s;
    unsigned same = 1;
    while (same < n && ops[same]->s->backend == first->backend && ops[same]->s->receive == first->receive)
        same++;
    return same;
}

/* For a cipher that knows no pieces: the record is made at one place and copied. */
static void seal_apart(const struct tls_backend *b, struct tls_op *op)
{
    static __thread uint8_t record[TLS_RECORD_MAX];
    struct tls_op one = *op, *ops[] = {&one};
    one.dst = record;
    one.cut.size = 0;
    b->seal(ops, 1);
    op->result = one.result;
    if (op->result)
        return;
    struct tls_cut_at to = tls_cut_begin(op);
    tls_cut_copy(&to, record, tls_record_len(op->s, op->len));
}

static bool apart(const struct tls_op *op)
{
    return op->cut.size != 0 && !scatters(op->s);
}

static void seal_by(const struct tls_backend *b, struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        for (some = 0; some < n && !apart(ops[some]); some++)
            ;
        if (some > 0) {
            b->seal(ops, some);
        } else {
            seal_apart(b, ops[0]);
            some = 1;
        }
    }
}

static void work_by(const struct tls_backend *b, bool receive, struct tls_op **ops, unsigned n)
{
    if (receive)
        b->open(ops, n);
    else
        seal_by(b, ops, n);
}

/* When the whole record is there: to load what was stored just before would wait for the stores. */
static void add_up(struct tls_op *op)
{
    struct tls_cut_at at = tls_cut_begin(op);
    uint32_t n, left = tls_record_len(op->s, op->len);
    for (uint16_t *sum = op->sums; left > 0; left -= n, sum++) {
        const uint8_t *piece = tls_cut_next(&at, left, &n);
        *sum = cksum_bytes(piece, n);
    }
}

/* Its backend has given up and left the record as it was: the session goes on with another, or the record has failed. */
static void fail_over(struct tls_op *op, const struct tls_backend *gave_up)
{
    struct tls_session *s = op->s;
    while (op->result == -EAGAIN) {
        if (s->backend == gave_up && tls_backend_next(s) != 0)
            gave_up = NULL;
        if (!s->backend) {
            op->result = -EIO;
            return;
        }
        gave_up = s->backend;
        work_by(gave_up, s->receive, &op, 1);
    }
}

void tls_work(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        const struct tls_backend *b = ops[0]->s->backend;
        if (!b) { /* none is left for this session */
            ops[0]->result = -EIO;
            some = 1;
            continue;
        }
        some = same_kind(ops, n);
        work_by(b, ops[0]->s->receive, ops, some);
        for (unsigned i = 0; i < some; i++) {
            if (ops[i]->result == -EAGAIN)
                fail_over(ops[i], b);
            if (ops[i]->cut.size != 0 && ops[i]->result == 0)
                add_up(ops[i]);
        }
    }
}
