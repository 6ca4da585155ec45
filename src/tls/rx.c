// SPDX-License-Identifier: BSD-3-Clause
// From ciphertext to records: a header is looked for where the last record ended, what is whole goes to a cipher, and comes back in order.
#include "tls/rx.h"
#include <errno.h>
#include <string.h>
#include "tcp/fastopen.h"
#include "tcp/log.h"
#include "tcp/recvbuf.h"

#define RETRY_NS           (10 * NS_PER_MS) /* when memory was short */
#define KEY_UPDATE         24               /* RFC 8446 §4 */
#define HANDSHAKE_HEAD_LEN 4u

static const struct tls_flow_ops rx_flow_ops;

static struct tls_rx *rx_of(const struct tls_rx_record *r)
{
    return container_of(r->job.flow, struct tls_rx, flow);
}

/* ---- memory ---- */

static uint8_t *buffer_get(struct tls_rx *rx, uint32_t size, uint8_t *which, rte_iova_t *iova)
{
    struct tls_layer *l = rx->flow.l;
    uint8_t *buf = tls_buffer_get(l, size, which, iova);
    if (buf)
        recvbuf_charge(rx->tp, &rx->memory, l->buffers[*which].size);
    return buf;
}

static void buffer_put(struct tls_rx *rx, uint8_t *buf, uint8_t which, rte_iova_t iova)
{
    struct tls_layer *l = rx->flow.l;
    if (!buf)
        return;
    if (rx->tp)
        recvbuf_uncharge(rx->tp, &rx->memory, l->buffers[which].size);
    tls_buffer_put(l, buf, which, iova);
}

void tls_rx_free_record(struct tls_rx_record *r)
{
    struct tls_rx *rx = rx_of(r);
    if (r->job.op.s)
        tls_close_session(rx->flow.l, r->job.op.s);
    buffer_put(rx, r->joined, r->joined_which, r->joined_iova);
    buffer_put(rx, r->buf, r->which, r->iova);
    pool_put(&rx->flow.l->rx_records, r);
    tls_flow_put(&rx->flow);
}

static struct tls_rx_record *record_new(struct tls_rx *rx, uint32_t len)
{
    struct tls_rx_record *r = pool_get(&rx->flow.l->rx_records);
    if (!r)
        return NULL;
    memset(r, 0, sizeof(*r));
    r->buf = buffer_get(rx, len, &r->which, &r->iova);
    if (!r->buf) {
        pool_put(&rx->flow.l->rx_records, r);
        return NULL;
    }
    r->job.flow = &rx->flow;
    rx->flow.refs++;
    r->job.op = (struct tls_op){.src = r->src, .dst = r->buf, .len = len};
    return r;
}

/* Plaintext and ciphertext that is being opened: not much more than TCP itself may hold, whatever the size of the records. */
static bool memory_left(const struct tls_rx *rx)
{
    return rx->memory < recvbuf_limit(rx->tp);
}

/* ---- the ciphertext ---- */

struct place {
    struct rte_mbuf *m;
    const uint8_t *p;
};

static struct place next_header(const struct tls_rx *rx)
{
    struct rte_mbuf *head = rx->tp->rcv.head;
    return rx->at ? (struct place){rx->at, rx->at_byte}
                  : (struct place){head, rte_pktmbuf_mtod(head, const uint8_t *)};
}

/* The next contiguous piece, n bytes at most; that there are so many is known. */
static const uint8_t *piece_of(struct place *at, uint32_t n, uint32_t *len)
{
    const uint8_t *end;
    while (at->p == (end = rte_pktmbuf_mtod_offset(at->m, const uint8_t *, at->m->data_len))) {
        at->m = at->m->next;
        at->p = rte_pktmbuf_mtod(at->m, const uint8_t *);
    }
    const uint8_t *p = at->p;
    *len = (uint32_t)(end - p) < n ? (uint32_t)(end - p) : n;
    at->p += *len;
    return p;
}

static void copy_from(struct place at, uint8_t *to, uint32_t n)
{
    for (uint32_t some; n > 0; to += some, n -= some) {
        const uint8_t *p = piece_of(&at, n, &some);
        memcpy(to, p, some);
    }
}

static int join(struct tls_rx *rx, struct tls_rx_record *r, struct place at)
{
    uint32_t len = r->job.op.len;
    r->joined = buffer_get(rx, len, &r->joined_which, &r->joined_iova);
    if (!r->joined)
        return -ENOMEM;
    copy_from(at, r->joined, len);
    r->src[0] = (struct iovec){r->joined, len};
    r->job.op.n_src = 1;
    return 0;
}

/* Each piece costs a stream cipher an odd beginning and an odd end: where the engine itself opens, copying them together costs less. A
 * worker's time is cheaper than the engine's; CBC and CCM are copied together by their backends. */
static bool worth_joining(const struct tls_rx *rx, const struct tls_rx_record *r)
{
    const int few = 3;
    return r->job.op.n_src > few && (rx->s->suite == TLS_SUITE_GCM || rx->s->suite == TLS_SUITE_CHACHA20) &&
           tls_flow_inline(&rx->flow, r->job.op.len);
}

/* Where the record's bytes are. Moves *at behind it. */
static int gather(struct tls_rx *rx, struct tls_rx_record *r, struct place *at)
{
    struct place from = *at;
    int n = 0;
    for (uint32_t left = r->job.op.len, some; left > 0; left -= some, n++) {
        const uint8_t *p = piece_of(at, left, &some);
        if (n < TLS_RX_PIECES)
            r->src[n] = (struct iovec){(void *)(uintptr_t)p, some};
    }
    r->job.op.n_src = n;
    int err = n > TLS_RX_PIECES || worth_joining(rx, r) ? join(rx, r, from) : 0;
    return n <= TLS_RX_PIECES ? 0 : err;
}

/* ---- ends ---- */

/* Nobody wants what was framed behind the record that was settled last. */
static void cancel(struct tls_rx *rx)
{
    struct tls_rx_record *r;
    while ((r = TAILQ_FIRST(&rx->handed)) != NULL) {
        TAILQ_REMOVE(&rx->handed, r, link);
        if (r->job.under_way) {
            r->cancelled = true;
            rx->cancelled++;
        } else {
            tls_rx_free_record(r);
        }
    }
    rx->held = NULL;
    rx->at = NULL;
    rx->handed_bytes = 0;
}

static void arm(struct tls_rx *rx, uint64_t delay)
{
    struct engine *e = rx->flow.l->e;
    if (!wheel_timer_armed(&rx->timer))
        wheel_arm(&e->wheel, &rx->timer, e->now + delay);
}

/* After a bad record there is no next one (RFC 8446 §5.2, RFC 5246 §7.2.2): the application may still send its alert. */
static void fail(struct tls_rx *rx, int error)
{
    cancel(rx);
    rx->error = error;
    rx->news = true;
}

/* As FreeBSD's: no record at all. The caller may be in the middle of TCP's input: the reset waits for the wheel. */
static void no_record(struct tls_rx *rx, int error)
{
    rx->flow.l->stats.corrupted_records++;
    fail(rx, error);
    rx->abort = true;
    arm(rx, 0);
}

static bool fin_came(const struct tcb *tp)
{
    return TCPS_HAVERCVDFIN(tp->state) || (tp->state == TCPS_CLOSED && !tp->error) || fastopen_fin(tp);
}

/* ---- records that come back ---- */

/* Does a handshake record hold a KeyUpdate? Messages may begin in one record and end in another; it must be the last (§5.1). */
static bool key_update(struct tls_rx *rx, const uint8_t *data, uint32_t n)
{
    bool found = false;
    while (n > 0) {
        if (rx->message.left > 0) {
            uint32_t some = rx->message.left < n ? rx->message.left : n;
            rx->message.left -= some;
            data += some;
            n -= some;
            continue;
        }
        const uint8_t *head = rx->message.head;
        rx->message.head[rx->message.n++] = *data++;
        n--;
        if (rx->message.n < HANDSHAKE_HEAD_LEN)
            continue;
        rx->message.n = 0;
        rx->message.left = (uint32_t)head[1] << 16 | (uint32_t)head[2] << 8 | head[3];
        found |= head[0] == KEY_UPDATE;
    }
    return found;
}

static void bad_record(struct tls_rx *rx, struct tls_rx_record *r)
{
    int error = r->job.op.result == -EMSGSIZE ? -EMSGSIZE : -EBADMSG;
    if (error == -EMSGSIZE)
        rx->flow.l->stats.corrupted_records++;
    else
        rx->flow.l->stats.failed_crypto++;
    tls_rx_free_record(r);
    fail(rx, error);
}

/* The ciphertext goes, the plaintext takes its place in the window. */
static void exchange(struct tls_rx *rx, struct tls_rx_record *r)
{
    uint32_t wire = r->job.op.len;
    rx->handed_bytes -= wire;
    recvbuf_drop(rx->tp, wire);
    if (rx->handed_bytes == 0)
        rx->at = NULL;
    rx->tp->rcv.lent += r->len;
    tcp_received(rx->tp, wire - r->len);
    buffer_put(rx, r->joined, r->joined_which, r->joined_iova);
    r->joined = NULL;
    tls_close_session(rx->flow.l, r->job.op.s);
    r->job.op.s = NULL;
}

static void count(struct tls_rx *rx, const struct tls_rx_record *r)
{
    struct tls_stats *st = &rx->flow.l->stats;
    st->rx_records++;
    st->rx_bytes += r->len;
    rx->records++;
    rx->bytes += r->len;
    if (r->job.op.type == TLS_RLTYPE_APP && r->len > 0)
        rx->plain += r->len;
    else
        rx->special++;
}

/* The first of those handed over is back. */
static void settle(struct tls_rx *rx, struct tls_rx_record *r)
{
    int error = r->job.op.result < 0 ? -r->job.op.result : 0;
    TAILQ_REMOVE(&rx->handed, r, link);
    TCP_LOG_EVENT(rx->tp, TCP_HDWR_TLS, .flex1 = error ? r->job.op.len : (uint32_t)r->job.op.result,
                  .flex2 = (uint32_t)r->job.op.seq, .flex3 = (uint32_t)error, .flex7 = r->job.op.type,
                  .flex8 = 1);
    if (error) {
        bad_record(rx, r);
        return;
    }
    r->len = (uint32_t)r->job.op.result;
    exchange(rx, r);
    count(rx, r);
    TAILQ_INSERT_TAIL(&rx->opened, r, link);
    rx->news = true;
    if (rx->s->vminor == TLS_MINOR_VER_THREE && r->job.op.type == TLS_RLTYPE_HANDSHAKE &&
        key_update(rx, r->buf, r->len)) {
        rx->paused = true;
        cancel(rx); /* they are of the next key */
    }
}

static void settle_all(struct tls_rx *rx)
{
    struct tls_rx_record *r;
    while ((r = TAILQ_FIRST(&rx->handed)) != NULL && r->done)
        settle(rx, r);
}

/* ---- to the ciphers ---- */

static void give(struct tls_rx *rx, struct tls_rx_record *r)
{
    struct tls_op *ops[] = {&r->job.op};
    if (tls_flow_inline(&rx->flow, r->job.op.len)) {
        rx->flow.l->stats.rx_inline++;
        tls_work(ops, 1);
        r->done = true;
        settle_all(rx);
    } else if (!tls_submit(&r->job)) {
        rx->held = r;
    }
}

/* A whole record of len bytes is there. False: no memory. */
static bool frame(struct tls_rx *rx, struct place at, uint32_t len)
{
    struct tls_rx_record *r = record_new(rx, len);
    if (!r || gather(rx, r, &at) < 0) {
        if (r)
            tls_rx_free_record(r);
        arm(rx, RETRY_NS);
        return false;
    }
    r->job.op.s = tls_session_hold(rx->s);
    r->job.op.seq = rx->s->seq++;
    rx->at = at.m;
    rx->at_byte = at.p;
    rx->handed_bytes += len;
    TAILQ_INSERT_TAIL(&rx->handed, r, link);
    give(rx, r);
    return true;
}

/* Bytes of the record that comes next, when all of it is there; 0: not yet; -EINVAL, -EMSGSIZE. */
static int next_record(const struct tls_rx *rx, struct place *at)
{
    uint32_t there = rx->tp->rcv.bytes - rx->handed_bytes;
    uint8_t head[TLS_HEADER];
    if (there < TLS_HEADER)
        return 0;
    *at = next_header(rx);
    copy_from(*at, head, TLS_HEADER);
    int len = tls_header_check(rx->s, head);
    return len < 0 || (uint32_t)len <= there ? len : 0;
}

static bool may_open(struct tls_rx *rx)
{
    if (rx->error || rx->paused || rx->cancelled || rx->held)
        return false;
    rx->full = !memory_left(rx) && (!TAILQ_EMPTY(&rx->opened) || !TAILQ_EMPTY(&rx->handed));
    return !rx->full;
}

/* The peer has closed: half a record will never be whole (FreeBSD: EMSGSIZE). */
static void look_at_end(struct tls_rx *rx)
{
    if (rx->error || rx->paused || rx->full || !TAILQ_EMPTY(&rx->handed) || rx->cancelled ||
        !fin_came(rx->tp))
        return;
    struct place at;
    if (rx->tp->rcv.bytes > 0 && next_record(rx, &at) == 0)
        fail(rx, -EMSGSIZE);
    rx->news = true;
}

bool tls_rx_at_end(const struct tls_rx *rx)
{
    const struct tcb *tp = rx->tp;
    struct place at;
    if (rx->error || !TAILQ_EMPTY(&rx->handed) || rx->cancelled || (rx->paused && tp->rcv.bytes > 0))
        return false;
    return tp->rcv.bytes == 0 || (tp->state == TCPS_CLOSED && next_record(rx, &at) == 0);
}

uint32_t tls_rx_least(const struct tls_rx *rx, uint32_t least)
{
    uint32_t record = TLS_RECORD_MAX + 2u * rx->tp->maxseg, hiwat = rx->tp->rcv.hiwat;
    uint32_t most = hiwat > record ? hiwat - record : 1;
    return least < most ? least : most;
}

bool tls_rx_readable(const struct tls_rx *rx, uint32_t least)
{
    if (rx->special > 0 || rx->error || rx->plain >= tls_rx_least(rx, least))
        return true;
    return rx->plain > 0 && (rx->paused || rx->full); /* no more will come */
}

bool tls_rx_unread(const struct tls_rx *rx)
{
    return rx->tp->rcv.bytes > 0 || !TAILQ_EMPTY(&rx->opened);
}

/* Opens what can be opened. The caller holds a reference. */
static void rx_go_on(struct tls_flow *f)
{
    struct tls_rx *rx = container_of(f, struct tls_rx, flow);
    struct place at;
    int len = 0;
    if (!rx->tp)
        return;
    if (rx->held) {
        struct tls_rx_record *r = rx->held;
        rx->held = NULL;
        give(rx, r);
    }
    while (may_open(rx) && (len = next_record(rx, &at)) > 0 && frame(rx, at, (uint32_t)len))
        ;
    if (len < 0 && !rx->error)
        no_record(rx, len);
    look_at_end(rx);
    if (rx->news) {
        rx->news = false;
        rx->readable(rx->so);
    }
}

static void rx_done(struct tls_job *j)
{
    struct tls_rx_record *r = (struct tls_rx_record *)j;
    struct tls_rx *rx = rx_of(r);
    r->done = true;
    if (!r->cancelled) {
        settle_all(rx);
        return;
    }
    if (--rx->cancelled == 0 && rx->left) {
        rte_pktmbuf_free(rx->left);
        rx->left = NULL;
    }
    tls_rx_free_record(r);
}

static void rx_release(struct tls_flow *f)
{
    struct tls_rx *rx = container_of(f, struct tls_rx, flow);
    pool_put(&f->l->rxs, rx);
}

static const struct tls_flow_ops rx_flow_ops = {rx_done, rx_go_on, rx_release};

void tls_rx_input(struct tls_rx *rx)
{
    rx->flow.refs++;
    rx_go_on(&rx->flow);
    tls_flow_put(&rx->flow);
}

static void fire(struct wheel_timer *t, uint64_t now)
{
    struct tls_rx *rx = container_of(t, struct tls_rx, timer);
    if (!rx->abort)
        tls_rx_input(rx);
    else if (rx->tp->state != TCPS_CLOSED)
        tcp_abort(rx->tp, -rx->error);
}

void tls_rx_received(struct tls_rx *rx, uint32_t n)
{
    if (!rx->tp)
        return;
    rx->tp->rcv.lent -= n;
    tcp_received(rx->tp, n);
    if (rx->full)
        tls_rx_input(rx);
}

/* ---- life ---- */

void tls_rx_hiwat(const struct tls_rx *rx)
{
    struct tcb *tp = rx->tp;
    uint32_t least = TLS_RECORD_MAX + 2u * tp->maxseg; /* a window smaller than a segment is not announced */
    if (tp->rcv.hiwat < least)
        tp->rcv.hiwat = least;
}

int tls_rx_new(struct tls_layer *l, struct tcb *tp, struct tls_session *s, void (*readable)(void *so),
               void *so, struct tls_rx **out)
{
    struct tls_rx *rx = pool_get(&l->rxs);
    struct place at;
    if (!rx)
        return -ENOMEM;
    memset(rx, 0, sizeof(*rx));
    tls_flow_init(&rx->flow, l, &rx_flow_ops);
    rx->s = s;
    rx->tp = tp;
    rx->readable = readable;
    rx->so = so;
    rx->lowat = tp->rcv.lowat;
    TAILQ_INIT(&rx->handed);
    TAILQ_INIT(&rx->opened);
    wheel_timer_init(&rx->timer, fire);
    if (next_record(rx, &at) < 0) {
        tls_flow_put(&rx->flow);
        return -EPROTO;
    }
    tp->rcv.lowat = 1;
    tls_rx_hiwat(rx);
    *out = rx;
    return 0;
}

int tls_rx_rekey(struct tls_rx *rx, struct tls_session *s)
{
    if (!rx->paused || rx->error)
        return -EALREADY;
    tls_close_session(rx->flow.l, rx->s);
    rx->s = s;
    rx->paused = false;
    rx->flow.l->stats.rekeys_rx++;
    tls_rx_input(rx);
    return 0;
}

/* Workers may still read the ciphertext, which the connection would give back now. */
static void keep_ciphertext(struct tls_rx *rx)
{
    struct rte_mbuf *m, **end = &rx->left;
    while (rx->cancelled > 0 && (m = recvbuf_take(rx->tp)) != NULL) {
        *end = m;
        end = &m->next;
    }
}

void tls_rx_end(struct tls_rx *rx)
{
    struct tls_rx_record *r;
    wheel_cancel(&rx->flow.l->e->wheel, &rx->timer);
    cancel(rx);
    keep_ciphertext(rx);
    while ((r = TAILQ_FIRST(&rx->opened)) != NULL) {
        TAILQ_REMOVE(&rx->opened, r, link);
        r->off = r->len;
        if (r->loans == 0)
            tls_rx_free_record(r);
    }
    if (rx->memory > 0)
        recvbuf_uncharge(rx->tp, &rx->memory, rx->memory);
    tls_close_session(rx->flow.l, rx->s);
    rx->s = NULL;
    rx->tp = NULL;
    tls_flow_put(&rx->flow);
}
