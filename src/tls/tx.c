// SPDX-License-Identifier: BSD-3-Clause
// The sending side: what applications write becomes records, records become extents of the send buffer. The order of framing is the
// order on the wire, whoever seals them.
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "tls/iov.h"
#include "tls/tls.h"

#define ADAPTIVE_BURST (128u * 1024) /* bytes in small records after a pause */
#define ADAPTIVE_PAUSE (1 * NS_PER_SEC)

void tls_tx_lowat(const struct tls_tx *tx, struct tcb *tp)
{
    uint32_t whole = tx->max_frame + TLS_OVERHEAD_MAX;
    tp->snd.lowat = tp->snd.hiwat / 2 < whole ? tp->snd.hiwat / 2 : whole;
}

int tls_tx_new(struct tls_layer *l, struct tcb *tp, struct tls_session *s, struct tls_tx **out)
{
    struct tls_tx *tx = pool_get(&l->txs);
    if (!tx)
        return -ENOMEM;
    *tx = (struct tls_tx){
        .l = l, .s = s, .refs = 1, .worker = l->next_worker++, .max_frame = (uint16_t)l->params.maxlen};
    TAILQ_INIT(&tx->queue);
    tls_tx_lowat(tx, tp);
    *out = tx;
    return 0;
}

void tls_tx_rekey(struct tls_tx *tx, struct tcb *tp, struct tls_session *s)
{
    tls_tx_flush(tx, tp);
    tls_close_session(tx->l, tx->s);
    tx->s = s;
    tx->l->stats.rekeys_tx++;
}

void tls_tx_put(struct tls_tx *tx)
{
    struct tls_layer *l = tx->l;
    if (--tx->refs > 0)
        return;
    if (tx->starved)
        TAILQ_REMOVE(&l->starved, tx, starved_link);
    pool_put(&l->txs, tx);
}

/* ---- one record ---- */

static void source_done(struct tls_record *r)
{
    void (*done)(void *) = r->src_done;
    r->src_done = NULL;
    if (done)
        done(r->src_arg);
}

static void record_free(struct tls_record *r)
{
    struct tls_tx *tx = r->tx;
    struct tls_layer *l = tx->l;
    source_done(r);
    if (r->x) { /* never queued */
        r->x->release = NULL;
        extent_free(r->x);
    }
    if (r->op.s)
        tls_close_session(l, r->op.s);
    tls_buffer_put(l, r->buf, r->which, r->iova);
    pool_put(&l->records, r);
    tls_tx_put(tx);
}

/* The send buffer lets go: all is acked, or the connection is over. */
static void record_released(struct extent *x, void *arg)
{
    struct tls_record *r = arg;
    r->x = NULL;
    if (r->under_way)
        return; /* a worker has it: tls_record_done() */
    if (r->queued)
        TAILQ_REMOVE(&r->tx->queue, r, link);
    record_free(r);
}

/* With all the memory it will need: bytes that a record has taken will be sent. */
static struct tls_record *record_new(struct tls_tx *tx, uint8_t type, uint32_t payload_max)
{
    struct tls_layer *l = tx->l;
    struct tls_record *r = pool_get(&l->records);
    if (!r)
        return NULL;
    *r = (struct tls_record){.tx = tx, .op.type = type};
    r->buf = tls_buffer_get(l, payload_max + TLS_OVERHEAD_MAX, &r->which, &r->iova);
    r->x = r->buf ? extent_new(&l->e->tcp->send, 0, record_released, r) : NULL;
    if (!r->x) {
        if (r->buf)
            tls_buffer_put(l, r->buf, r->which, r->iova);
        pool_put(&l->records, r);
        return NULL;
    }
    tx->refs++;
    return r;
}

/* Gives the record its place in the stream. Its number is taken only when nothing can go wrong any more. */
static int record_append(struct tls_record *r, struct tcb *tp)
{
    struct tls_tx *tx = r->tx;
    r->x->len = tls_record_len(tx->s, r->op.len);
    int err = tcp_send_extent(tp, r->x);
    if (err)
        return err;
    r->op.s = tls_session_hold(tx->s);
    r->op.seq = tx->s->seq++;
    r->op.dst = r->buf;
    r->queued = true;
    TAILQ_INSERT_TAIL(&tx->queue, r, link);
    tx->burst += r->op.len;
    tx->last_ns = tp->e->now;
    tx->records++;
    tx->bytes += r->op.len;
    tx->l->stats.tx_records++;
    tx->l->stats.tx_bytes += r->op.len;
    return 0;
}

static void record_result(struct tls_record *r)
{
    struct tls_layer *l = r->tx->l;
    struct extent *x = r->x;
    struct tcb *tp = x->sb ? container_of(x->sb, struct tcb, snd) : NULL;
    if (r->op.result == 0) {
        extent_ready(x, r->buf, r->iova);
        if (tp)
            tcb_mark_due(tp);
        return;
    }
    l->stats.failed_crypto++;
    extent_failed(x);
    if (tp)
        tcp_abort(tp, EIO); /* lets go of r */
}

/* After sealing. */
static void record_sealed(struct tls_record *r)
{
    struct tls_layer *l = r->tx->l;
    source_done(r);
    tls_close_session(l, r->op.s);
    r->op.s = NULL;
    if (r->x)
        record_result(r);
    else
        record_free(r);
}

static void seal_inline(struct tls_record *r)
{
    struct tls_op *ops[] = {&r->op};
    r->tx->l->stats.tx_inline++;
    tls_seal(ops, 1);
    record_sealed(r);
}

/* ---- to the ciphers ---- */

static void starve(struct tls_tx *tx)
{
    if (!tx->starved) {
        tx->starved = true;
        TAILQ_INSERT_TAIL(&tx->l->starved, tx, starved_link);
    }
}

static bool is_inline(const struct tls_tx *tx, uint32_t len)
{
    return !tx->l->workers || (len <= tx->l->params.inline_max && tx->under_way == 0);
}

static bool to_worker(struct tls_record *r)
{
    struct tls_tx *tx = r->tx;
    struct tls_layer *l = tx->l;
    if (tx->bytes_under_way > 0 && tx->bytes_under_way + r->op.len > l->params.session_bytes)
        return false; /* comes again when one of its own is done */
    r->under_way = true;
    if ((l->bytes_under_way > 0 && l->bytes_under_way + r->op.len > l->params.engine_bytes) ||
        !l->ops->submit(l->workers, r)) {
        r->under_way = false;
        starve(tx);
        return false;
    }
    tx->under_way++;
    tx->bytes_under_way += r->op.len;
    l->under_way++;
    l->bytes_under_way += r->op.len;
    l->stats.inqueue++;
    return true;
}

/* Hands on what is framed and has its payload. The caller holds a reference to tx. */
static void pump(struct tls_tx *tx)
{
    struct tls_record *r;
    while ((r = TAILQ_FIRST(&tx->queue)) != NULL && r->has_data) {
        TAILQ_REMOVE(&tx->queue, r, link);
        r->queued = false;
        if (is_inline(tx, r->op.len)) {
            seal_inline(r);
        } else if (!to_worker(r)) {
            r->queued = true;
            TAILQ_INSERT_HEAD(&tx->queue, r, link);
            return;
        }
    }
}

void tls_record_done(struct tls_record *r)
{
    struct tls_tx *tx = r->tx;
    struct tls_layer *l = tx->l;
    r->under_way = false;
    tx->under_way--;
    tx->bytes_under_way -= r->op.len;
    l->under_way--;
    l->bytes_under_way -= r->op.len;
    l->stats.inqueue--;
    tx->refs++;
    record_sealed(r);
    pump(tx);
    tls_tx_put(tx);
}

void tls_tx_feed(struct tls_layer *l)
{
    struct tls_tx *tx, *last = TAILQ_LAST(&l->starved, tls_tx_list);
    while (last && (tx = TAILQ_FIRST(&l->starved)) != NULL) {
        TAILQ_REMOVE(&l->starved, tx, starved_link);
        tx->starved = false;
        tx->refs++;
        pump(tx);
        bool stop = tx == last;
        tls_tx_put(tx);
        if (stop)
            break;
    }
}

/* ---- payload that comes later ---- */

struct tls_record *tls_tx_reserve(struct tls_tx *tx, struct tcb *tp, uint32_t len, void (*src_done)(void *),
                                  void *arg, int *err)
{
    struct tls_record *r = record_new(tx, TLS_RLTYPE_APP, len);
    if (!r) {
        *err = -ENOBUFS;
        return NULL;
    }
    r->op.len = len;
    *err = record_append(r, tp);
    if (*err) {
        record_free(r);
        return NULL;
    }
    r->src_done = src_done;
    r->src_arg = arg;
    return r;
}

void tls_record_data(struct tls_record *r, const void *addr)
{
    struct tls_tx *tx = r->tx;
    r->src = (struct iovec){(void *)(uintptr_t)addr, r->op.len};
    r->op.src = &r->src;
    r->op.n_src = 1;
    r->has_data = true;
    tx->refs++;
    pump(tx);
    tls_tx_put(tx);
}

void tls_record_lost(struct tls_record *r)
{
    struct sendbuf *sb = r->x->sb;
    extent_failed(r->x);
    if (sb)
        tcp_abort(container_of(sb, struct tcb, snd), ECONNABORTED);
}

/* ---- written payload ---- */

static int tx_state(const struct tcb *tp)
{
    if (tp->error)
        return -tp->error;
    return tp->state == TCPS_CLOSED || (tp->flags & TF_FIN_QUEUED) ? -EPIPE : 0;
}

/* What a record may carry: small ones first when asked for, so that the first bytes can be read when the first segment has come. */
static uint32_t frame_limit(struct tls_tx *tx, const struct tcb *tp)
{
    if (!tx->l->params.adaptive)
        return tx->max_frame;
    if (tp->e->now - tx->last_ns > ADAPTIVE_PAUSE)
        tx->burst = 0;
    if (tx->burst >= ADAPTIVE_BURST || tp->maxseg <= 2 * TLS_OVERHEAD_MAX)
        return tx->max_frame;
    uint32_t segment = tp->maxseg - TLS_OVERHEAD_MAX;
    return segment < tx->max_frame ? segment : tx->max_frame;
}

static uint32_t space_of(const struct tls_tx *tx, const struct tcb *tp)
{
    uint32_t space = sendbuf_space(&tp->snd), open = tx->open ? tx->open->op.len + TLS_OVERHEAD_MAX : 0;
    return space > open ? space - open : 0;
}

uint32_t tls_tx_room(const struct tls_tx *tx, const struct tcb *tp)
{
    uint32_t space = space_of(tx, tp);
    if (space < tp->snd.lowat || space <= TLS_OVERHEAD_MAX)
        return 0;
    space -= TLS_OVERHEAD_MAX;
    return space < tx->max_frame ? space : tx->max_frame;
}

/* A record whose payload lies in its buffer. */
static int frame_own(struct tls_record *r, struct tcb *tp)
{
    int err = record_append(r, tp);
    if (err)
        record_free(r);
    else
        tls_record_data(r, r->buf + r->tx->s->hlen);
    return err;
}

/* The engine seals straight from the application's memory. */
static int frame_from(struct tls_record *r, struct tcb *tp, const struct iov_at *at)
{
    struct tls_tx *tx = r->tx;
    int err = record_append(r, tp);
    if (err) {
        record_free(r);
        return err;
    }
    r->op.src = at->v;
    r->op.src_off = at->off;
    r->has_data = true;
    tx->refs++;
    pump(tx);
    tls_tx_put(tx);
    return 0;
}

static int frame(struct tls_tx *tx, struct tcb *tp, struct iov_at *at, uint32_t n, uint8_t type)
{
    struct tls_record *r = record_new(tx, type, n);
    if (!r)
        return -ENOBUFS;
    r->op.len = n;
    if (is_inline(tx, n) && TAILQ_EMPTY(&tx->queue)) {
        int err = frame_from(r, tp, at);
        if (!err)
            iov_skip(at, n);
        return err;
    }
    iov_copy(at, r->buf + tx->s->hlen, n);
    return frame_own(r, tp);
}

void tls_tx_flush(struct tls_tx *tx, struct tcb *tp)
{
    struct tls_record *r = tx->open;
    tx->open = NULL;
    if (r)
        frame_own(r, tp); /* refused only by a connection that is over */
}

void tls_tx_end(struct tls_tx *tx, struct tcb *tp)
{
    if (tp && tx_state(tp) == 0)
        tls_tx_flush(tx, tp);
    if (tx->open)
        record_free(tx->open);
    tx->open = NULL;
    tls_close_session(tx->l, tx->s); /* records that still need it hold it */
    tx->s = NULL;
    tls_tx_put(tx);
}

/* Adds to the record that MSG_MORE keeps open. Bytes taken, or -errno. */
static int64_t fill_open(struct tls_tx *tx, struct tcb *tp, struct iov_at *at, uint32_t n, uint8_t type)
{
    if (!tx->open) {
        tx->open = record_new(tx, type, tx->max_frame);
        if (!tx->open)
            return -ENOBUFS;
    }
    struct tls_record *r = tx->open;
    if (n > tx->max_frame - r->op.len)
        n = tx->max_frame - r->op.len;
    iov_copy(at, r->buf + tx->s->hlen + r->op.len, n);
    r->op.len += n;
    if (r->op.len == tx->max_frame)
        tls_tx_flush(tx, tp);
    return n;
}

static int64_t send_some(struct tls_tx *tx, struct tcb *tp, struct iov_at *at, size_t left, uint8_t type,
                         bool atomic, bool more)
{
    uint32_t limit = frame_limit(tx, tp), room = atomic ? limit : tls_tx_room(tx, tp);
    if (room == 0)
        return -EAGAIN;
    uint32_t n = left < room ? (uint32_t)left : room;
    n = n < limit ? n : limit;
    if (tx->open || (more && n == left && n < limit))
        return fill_open(tx, tp, at, n, type);
    int err = frame(tx, tp, at, n, type);
    return err ? err : (int64_t)n;
}

/* All or nothing: is there room for len bytes in records? */
static int atomic_room(struct tls_tx *tx, struct tcb *tp, size_t len)
{
    uint32_t limit = frame_limit(tx, tp);
    uint64_t bytes = len + ((len + limit - 1) / limit + !len) * TLS_OVERHEAD_MAX;
    if (bytes > tp->snd.hiwat)
        return -EMSGSIZE;
    return bytes > space_of(tx, tp) ? -EAGAIN : 0;
}

/* TLS 1.0 with CBC knows an empty record, against guessed IVs; elsewhere there is no use for one. */
static int64_t send_empty(struct tls_tx *tx, struct tcb *tp, uint8_t type)
{
    static const struct iovec none = {NULL, 0};
    struct iov_at at = {&none, 0};
    if (tx->s->suite != TLS_SUITE_CBC || tx->s->vminor != TLS_MINOR_VER_ZERO)
        return -EINVAL;
    int err = atomic_room(tx, tp, 0);
    return err ? err : frame(tx, tp, &at, 0, type);
}

int64_t tls_tx_send(struct tls_tx *tx, struct tcb *tp, const struct iovec *iov, int iovcnt, size_t len,
                    uint8_t type, bool atomic, bool more)
{
    struct iov_at at = {iov, 0};
    size_t done = 0;
    int64_t n = tx_state(tp);
    if (n < 0)
        return n;
    if (tx->open && (tx->open->op.type != type || len == 0))
        tls_tx_flush(tx, tp);
    if (len == 0)
        return send_empty(tx, tp, type);
    if (atomic && (n = atomic_room(tx, tp, len)) < 0)
        return n;
    more = more || (tp->flags & TF_NOPUSH);
    while (done < len) {
        n = send_some(tx, tp, &at, len - done, type, atomic, more);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (tx->open && (!more || done < len))
        tls_tx_flush(tx, tp);
    return done > 0 ? (int64_t)done : n;
}
