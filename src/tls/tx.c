// SPDX-License-Identifier: BSD-3-Clause
// The sending side: what applications write becomes records, records become extents of the send buffer. The order of framing is the
// order on the wire, whoever seals them.
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "tcp/log.h"
#include "tls/iov.h"
#include "tls/tls.h"

#define ADAPTIVE_BURST (128u * 1024) /* bytes in small records after a pause */
#define ADAPTIVE_PAUSE (1 * NS_PER_SEC)

static const struct tls_flow_ops tx_flow_ops;

static struct tls_tx *tx_of(const struct tls_record *r)
{
    return container_of(r->job.flow, struct tls_tx, flow);
}

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
    *tx = (struct tls_tx){.s = s, .max_frame = (uint16_t)l->params.maxlen};
    tls_flow_init(&tx->flow, l, &tx_flow_ops);
    TAILQ_INIT(&tx->queue);
    tls_tx_lowat(tx, tp);
    *out = tx;
    return 0;
}

void tls_tx_rekey(struct tls_tx *tx, struct tcb *tp, struct tls_session *s)
{
    tls_tx_flush(tx, tp);
    tls_close_session(tx->flow.l, tx->s);
    tx->s = s;
    tx->flow.l->stats.rekeys_tx++;
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
    struct tls_tx *tx = tx_of(r);
    struct tls_layer *l = tx->flow.l;
    source_done(r);
    if (r->x) { /* never queued */
        r->x->release = NULL;
        extent_free(r->x);
    }
    if (r->job.op.s)
        tls_close_session(l, r->job.op.s);
    tls_buffer_put(l, r->buf, r->which, r->iova);
    pool_put(&l->records, r);
    tls_flow_put(&tx->flow);
}

/* The send buffer lets go: all is acked, or the connection is over. */
static void record_released(struct extent *x, void *arg)
{
    struct tls_record *r = arg;
    r->x = NULL;
    if (r->job.under_way)
        return; /* a worker has it: tx_done() */
    if (r->queued)
        TAILQ_REMOVE(&tx_of(r)->queue, &r->job, link);
    record_free(r);
}

static_assert(TLS_CUT_GAP == EXTENT_GAP && TLS_CUTS_MAX == EXTENT_PIECES_MAX,
              "headers of packets stand in the gaps of a record");

/* Payload of the segments that a record of n bytes is cut for, or 0, and bytes that its gaps take. */
static uint16_t cut_for(const struct tls_tx *tx, const struct tcb *tp, uint32_t n, uint32_t *gaps)
{
    uint32_t segment = tx->s->scatters ? tcp_cut_size(tp) : 0;
    *gaps = 0;
    if (segment == 0)
        return 0;
    uint32_t len = n + TLS_OVERHEAD_MAX, pieces = (len + segment - 1) / segment + 1;
    if (pieces > TLS_CUTS_MAX || len + pieces * TLS_CUT_GAP > TLS_RECORD_MAX)
        return 0;
    *gaps = pieces * TLS_CUT_GAP;
    return (uint16_t)segment;
}

/* With all the memory it will need: bytes that a record has taken will be sent. tp: it may be cut. */
static struct tls_record *record_new(struct tls_tx *tx, const struct tcb *tp, uint8_t type,
                                     uint32_t payload_max)
{
    struct tls_layer *l = tx->flow.l;
    struct tls_record *r = pool_get(&l->records);
    if (!r)
        return NULL;
    *r = (struct tls_record){.job.flow = &tx->flow, .job.op.type = type};
    uint32_t gaps = 0;
    r->segment = tp ? cut_for(tx, tp, payload_max, &gaps) : 0;
    r->buf = tls_buffer_get(l, payload_max + TLS_OVERHEAD_MAX + gaps, &r->which, &r->iova);
    r->x = r->buf ? extent_new(&l->e->tcp->send, 0, record_released, r) : NULL;
    if (!r->x) {
        if (r->buf)
            tls_buffer_put(l, r->buf, r->which, r->iova);
        pool_put(&l->records, r);
        return NULL;
    }
    tx->flow.refs++;
    return r;
}

/* Where the record goes, now that its place in the stream is known. */
static void record_place(struct tls_record *r, struct tcb *tp)
{
    r->job.op.dst = r->buf;
    if (r->segment == 0)
        return;
    tp->snd.segment = r->segment;
    uint32_t first = sendbuf_to_cut(&tp->snd, tp->snd_max - tp->snd_una);
    r->job.op.dst += TLS_CUT_GAP;
    r->job.op.cut = (struct tls_cut){(uint16_t)first, r->segment};
    r->job.op.sums = r->sums;
}

static void record_wanted(struct extent *x);

/* Gives the record its place in the stream. Its number is taken only when nothing can go wrong any more. */
static int record_append(struct tls_record *r, struct tcb *tp)
{
    struct tls_tx *tx = tx_of(r);
    r->x->len = tls_record_len(tx->s, r->job.op.len);
    record_place(r, tp);
    r->x->want = record_wanted;
    int err = tcp_send_extent(tp, r->x);
    if (err)
        return err;
    r->job.op.s = tls_session_hold(tx->s);
    r->job.op.seq = tx->s->seq++;
    r->queued = true;
    TAILQ_INSERT_TAIL(&tx->queue, &r->job, link);
    tx->burst += r->job.op.len;
    tx->last_ns = tp->e->now;
    tx->records++;
    tx->bytes += r->job.op.len;
    tx->flow.l->stats.tx_records++;
    tx->flow.l->stats.tx_bytes += r->job.op.len;
    return 0;
}

static void record_ready(struct tls_record *r)
{
    const struct tls_op *op = &r->job.op;
    rte_iova_t iova = r->iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : r->iova + (rte_iova_t)(op->dst - r->buf);
    struct extent_cut cut = {op->cut.first, op->cut.size};
    if (cut.size != 0)
        extent_ready_cut(r->x, op->dst, iova, cut, r->sums);
    else
        extent_ready(r->x, op->dst, iova);
}

static struct tcb *record_tcb(const struct tls_record *r)
{
    return r->x->sb ? container_of(r->x->sb, struct tcb, snd) : NULL;
}

/* With it the connection ends: now, or when the segment that asked for it has left. */
static void record_fatal(struct tls_record *r, struct tcb *tp)
{
    struct tls_tx *tx = tx_of(r);
    if (tx->in_output) {
        r->queued = true;
        TAILQ_INSERT_HEAD(&tx->queue, &r->job, link);
        tls_starve(&tx->flow);
    } else if (tp) {
        tcp_abort(tp, EIO); /* lets go of r */
    }
}

static void record_result(struct tls_record *r)
{
    struct tls_layer *l = tx_of(r)->flow.l;
    struct extent *x = r->x;
    struct tcb *tp = record_tcb(r);
    if (tp)
        TCP_LOG_EVENT(tp, TCP_HDWR_TLS, .flex1 = r->job.op.len, .flex2 = (uint32_t)r->job.op.seq,
                      .flex3 = (uint32_t)-r->job.op.result, .flex7 = r->job.op.type, .flex8 = 0);
    if (r->job.op.result == 0) {
        record_ready(r);
        if (tp && !tx_of(r)->in_output)
            tcb_mark_due(tp);
        return;
    }
    l->stats.failed_crypto++;
    extent_failed(x);
    record_fatal(r, tp);
}

/* After sealing. */
static void record_sealed(struct tls_record *r)
{
    struct tls_layer *l = tx_of(r)->flow.l;
    source_done(r);
    tls_close_session(l, r->job.op.s);
    r->job.op.s = NULL;
    if (r->x)
        record_result(r);
    else
        record_free(r);
}

static void seal_inline(struct tls_record *r)
{
    struct tls_op *ops[] = {&r->job.op};
    tx_of(r)->flow.l->stats.tx_inline++;
    tls_work(ops, 1);
    record_sealed(r);
}

/* ---- to the ciphers ---- */

/* Payload that stays where it is waits until the record is about to leave: so its bytes are still in the caches then, and the memory of what is
 * acknowledged meanwhile is used again. Workers are never kept waiting. */
static bool too_early(const struct tls_record *r)
{
    bool stays = r->job.op.src == &r->src;
    return stays && !tx_of(r)->flow.l->workers && r->x && r->x->sb &&
           tcp_ready_ahead(container_of(r->x->sb, struct tcb, snd));
}

/* Hands on what is framed and has its payload. The caller holds a reference. */
static void tx_go_on(struct tls_flow *f)
{
    struct tls_tx *tx = container_of(f, struct tls_tx, flow);
    struct tls_job *j;
    while ((j = TAILQ_FIRST(&tx->queue)) != NULL && ((struct tls_record *)j)->has_data) {
        struct tls_record *r = (struct tls_record *)j;
        bool failed = j->op.result != 0;
        if (failed ? tx->in_output : too_early(r))
            return; /* tls_feed(), record_wanted() */
        TAILQ_REMOVE(&tx->queue, j, link);
        r->queued = false;
        if (failed) {
            record_fatal(r, record_tcb(r));
            return;
        }
        if (tls_flow_inline(f, j->op.len)) {
            seal_inline(r);
        } else if (!tls_submit(j)) {
            r->queued = true;
            TAILQ_INSERT_HEAD(&tx->queue, j, link);
            return;
        }
    }
}

static void tx_done(struct tls_job *j)
{
    record_sealed((struct tls_record *)j);
}

static void tx_release(struct tls_flow *f)
{
    pool_put(&f->l->txs, container_of(f, struct tls_tx, flow));
}

static const struct tls_flow_ops tx_flow_ops = {tx_done, tx_go_on, tx_release};

/* The application may do anything in an upcall: the reference keeps tx. */
static void pump(struct tls_tx *tx)
{
    tx->flow.refs++;
    tx_go_on(&tx->flow);
    tls_flow_put(&tx->flow);
}

static void record_wanted(struct extent *x)
{
    struct tls_record *r = x->arg;
    struct tls_tx *tx = tx_of(r);
    tx->flow.refs++;
    tx->in_output = true;
    tx_go_on(&tx->flow);
    tx->in_output = false;
    tls_flow_put(&tx->flow);
}

/* ---- payload that comes later ---- */

struct tls_record *tls_tx_reserve(struct tls_tx *tx, struct tcb *tp, uint32_t len, void (*src_done)(void *),
                                  void *arg, int *err)
{
    struct tls_record *r = record_new(tx, tp, TLS_RLTYPE_APP, len);
    if (!r) {
        *err = -ENOBUFS;
        return NULL;
    }
    r->job.op.len = len;
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
    struct tls_tx *tx = tx_of(r);
    r->src = (struct iovec){(void *)(uintptr_t)addr, r->job.op.len};
    r->job.op.src = &r->src;
    r->job.op.n_src = 1;
    r->has_data = true;
    pump(tx);
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
    if (!tx->flow.l->params.adaptive)
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
    uint32_t space = sendbuf_space(&tp->snd), open = tx->open ? tx->open->job.op.len + TLS_OVERHEAD_MAX : 0;
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
        tls_record_data(r, r->buf + tx_of(r)->s->hlen);
    return err;
}

/* The engine seals straight from the application's memory. */
static int frame_from(struct tls_record *r, struct tcb *tp, const struct iov_at *at)
{
    struct tls_tx *tx = tx_of(r);
    int err = record_append(r, tp);
    if (err) {
        record_free(r);
        return err;
    }
    r->job.op.src = at->v;
    r->job.op.src_off = at->off;
    r->has_data = true;
    pump(tx);
    return 0;
}

static int frame(struct tls_tx *tx, struct tcb *tp, struct iov_at *at, uint32_t n, uint8_t type)
{
    bool now = tls_flow_inline(&tx->flow, n) && TAILQ_EMPTY(&tx->queue);
    struct tls_record *r = record_new(tx, now ? tp : NULL, type, n);
    if (!r)
        return -ENOBUFS;
    r->job.op.len = n;
    if (now) {
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
    tls_close_session(tx->flow.l, tx->s); /* records that still need it hold it */
    tx->s = NULL;
    tls_flow_put(&tx->flow);
}

/* Adds to the record that MSG_MORE keeps open. Bytes taken, or -errno. */
static int64_t fill_open(struct tls_tx *tx, struct tcb *tp, struct iov_at *at, uint32_t n, uint8_t type)
{
    if (!tx->open) {
        tx->open = record_new(tx, NULL, type, tx->max_frame);
        if (!tx->open)
            return -ENOBUFS;
    }
    struct tls_record *r = tx->open;
    if (n > tx->max_frame - r->job.op.len)
        n = tx->max_frame - r->job.op.len;
    iov_copy(at, r->buf + tx->s->hlen + r->job.op.len, n);
    r->job.op.len += n;
    if (r->job.op.len == tx->max_frame)
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

/*
 * CBC of TLS 1.0 takes its IV from the record before, which an attacker has seen when he has a say in this one (Rizzo and Duong, BEAST).
 * One byte in a record of its own goes ahead: its MAC makes the next IV one that nobody knew when the rest was chosen.
 */
static bool splits(const struct tls_tx *tx, size_t len)
{
    return tx->s->vminor == TLS_MINOR_VER_ZERO && tx->s->suite == TLS_SUITE_CBC && len > 1 && !tx->open &&
           tx->flow.l->params.tls10_split;
}

int64_t tls_tx_send(struct tls_tx *tx, struct tcb *tp, const struct iovec *iov, int iovcnt, size_t len,
                    uint8_t type, bool atomic, bool more)
{
    struct iov_at at = {iov, 0};
    size_t done = 0;
    int64_t n = tx_state(tp);
    if (n < 0)
        return n;
    if (tx->open && (atomic || tx->open->job.op.type != type || len == 0))
        tls_tx_flush(tx, tp);
    if (len == 0)
        return send_empty(tx, tp, type);
    if (atomic && (n = atomic_room(tx, tp, len)) < 0)
        return n;
    more = !atomic && (more || (tp->flags & TF_NOPUSH)); /* a type of its own makes a record of its own */
    bool split = !atomic && splits(tx, len);
    while (done < len) {
        bool first = split && done == 0;
        n = send_some(tx, tp, &at, first ? 1 : len - done, type, atomic, more && !first);
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (tx->open && (!more || done < len))
        tls_tx_flush(tx, tp);
    return done > 0 ? (int64_t)done : n;
}
