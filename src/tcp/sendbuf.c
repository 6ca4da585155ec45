// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/sendbuf.h"
#include <assert.h>
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "base/cksum.h"

void sendbuf_init(struct sendbuf *sb, struct sendbuf_pools *pools, uint32_t hiwat)
{
    *sb = (struct sendbuf){.hiwat = hiwat, .lowat = 1, .pools = pools};
    STAILQ_INIT(&sb->queue);
}

/* ---- extents ---- */

static void extent_over(struct extent *x)
{
    extent_release_fn release = x->release;
    void *arg = x->arg;
    struct sendbuf_pools *pools = x->pools;
    if (release)
        release(x, arg);
    pool_put(&pools->extents, x);
}

/* DPDK's callback: the last packet that carried bytes of an EXTENT_REF is freed, and the buffer has let go of it before. */
static void extent_last_packet(void *addr, void *opaque)
{
    extent_over(opaque);
}

struct extent *extent_new(struct sendbuf_pools *pools, uint32_t len, extent_release_fn release, void *arg)
{
    struct extent *x = pool_get(&pools->extents);
    if (!x)
        return NULL;
    *x = (struct extent){.len = len,
                         .kind = EXTENT_REF,
                         .state = EXTENT_PENDING,
                         .release = release,
                         .arg = arg,
                         .pools = pools};
    x->shared.free_cb = extent_last_packet;
    x->shared.fcb_opaque = x;
    rte_mbuf_ext_refcnt_set(&x->shared, 1);
    return x;
}

void extent_free(struct extent *x)
{
    extent_over(x);
}

static __rte_noinline void reference_let_go(struct extent *x)
{
    if (rte_mbuf_ext_refcnt_update(&x->shared, (int16_t)(-1 - __builtin_popcount(x->unsent))) == 0)
        extent_over(x);
}

/* The buffer's own reference goes. */
static inline void extent_let_go(struct extent *x)
{
    x->sb = NULL;
    if (x->kind == EXTENT_COPY)
        pkt_free(x->m); /* packets that refer to it hold references of their own */
    else
        reference_let_go(x);
}

static void run_on(struct sendbuf *sb)
{
    while (sb->pending && sb->pending->state == EXTENT_READY) {
        sb->ready += sb->pending->len;
        sb->pending = STAILQ_NEXT(sb->pending, link);
    }
}

void sendbuf_append(struct sendbuf *sb, struct extent *x)
{
    x->sb = sb;
    STAILQ_INSERT_TAIL(&sb->queue, x, link);
    sb->bytes += x->len;
    sb->pools->bytes += x->len;
    if (!sb->pending) {
        sb->pending = x;
        run_on(sb);
    }
}

void extent_ready(struct extent *x, const void *addr, rte_iova_t iova)
{
    x->addr = addr;
    x->iova = iova;
    x->state = EXTENT_READY;
    if (x->sb && x->sb->pending == x)
        run_on(x->sb);
}

/* References for all pieces are taken at once: to count them one by one is an atomic addition each, which waits for the stores before it. */
void extent_ready_cut(struct extent *x, const void *addr, rte_iova_t iova, struct extent_cut cut,
                      const uint16_t *sums)
{
    uint32_t rest = x->len > cut.first ? x->len - cut.first : 0;
    x->cut = cut;
    x->sums = sums;
    uint32_t n = 1 + (rest + cut.size - 1) / cut.size;
    assert(n <= EXTENT_PIECES_MAX);
    x->unsent = (uint16_t)((1u << n) - 1);
    rte_mbuf_ext_refcnt_set(&x->shared, (uint16_t)(1 + n));
    extent_ready(x, addr, iova);
}

void extent_failed(struct extent *x)
{
    x->state = EXTENT_FAILED;
    if (x->sb)
        x->sb->failed = true;
}

/* ---- copying in ---- */

/* Headers stand in another buffer, so the headroom is there for the extent itself. */
static_assert(sizeof(struct extent) <= RTE_PKTMBUF_HEADROOM, "an extent lies in a packet's headroom");

static struct extent *copy_extent(struct sendbuf *sb)
{
    struct rte_mbuf *m = pkt_alloc(sb->pools->pkts);
    if (!m)
        return NULL;
    struct extent *x = m->buf_addr;
    x->len = 0; /* field by field: what only the other kind has is not looked at */
    x->room = rte_pktmbuf_tailroom(m);
    x->kind = EXTENT_COPY;
    x->state = EXTENT_READY;
    x->m = m;
    return x;
}

/* Reads from an array of buffers as from one. */
struct source {
    const struct iovec *iov;
    int left;
    size_t off; /* in iov[0] */
};

static void source_skip(struct source *s, size_t n)
{
    while (s->left > 0 && n >= s->iov->iov_len - s->off) {
        n -= s->iov->iov_len - s->off;
        s->iov++;
        s->left--;
        s->off = 0;
    }
    s->off += n;
}

static void source_copy(struct source *s, char *to, uint32_t n)
{
    while (n > 0) {
        size_t some = s->iov->iov_len - s->off;
        if (some > n)
            some = n;
        memcpy(to, (const char *)s->iov->iov_base + s->off, some);
        if (some == n) { /* the next copy goes on from here */
            s->off += some;
            return;
        }
        to += some;
        n -= (uint32_t)some;
        source_skip(s, some);
    }
}

/* Grows the last extent, which is a copy with room, by n bytes. */
static void grow(struct sendbuf *sb, struct extent *x, struct source *s, uint32_t n)
{
    source_copy(s, rte_pktmbuf_mtod_offset(x->m, char *, x->len), n);
    x->len += n;
    x->room -= n;
    sb->bytes += n;
    sb->pools->bytes += n;
    if (!sb->pending)
        sb->ready += n;
}

int64_t sendbuf_append_copy(struct sendbuf *sb, const struct iovec *iov, int iovcnt, size_t skip,
                            uint32_t len)
{
    struct source s = {iov, iovcnt, 0};
    uint32_t done = 0;
    source_skip(&s, skip);
    if (sb->pools->bytes >= sb->pools->bytes_limit)
        return -ENOBUFS;
    while (done < len) {
        struct extent *x = STAILQ_LAST(&sb->queue, extent, link);
        if (!x || x->kind != EXTENT_COPY || x->room == 0) {
            x = copy_extent(sb);
            if (!x)
                return done > 0 ? (int64_t)done : -ENOBUFS;
            sendbuf_append(sb, x);
        }
        uint32_t n = len - done < x->room ? len - done : x->room;
        grow(sb, x, &s, n);
        done += n;
    }
    return done;
}

/* ---- going out ---- */

void sendbuf_drop(struct sendbuf *sb, uint32_t n)
{
    sb->bytes -= n;
    sb->ready -= n;
    sb->pools->bytes -= n;
    sb->front_off += n;
    struct extent *x;
    while ((x = STAILQ_FIRST(&sb->queue)) != NULL && sb->front_off >= x->len) {
        STAILQ_REMOVE_HEAD(&sb->queue, link);
        sb->front_off -= x->len;
        if (sb->cursor == x)
            sb->cursor = NULL;
        else if (sb->cursor)
            sb->cursor_pos -= x->len;
        if (sb->pending == x)
            sb->pending = STAILQ_FIRST(&sb->queue);
        extent_let_go(x);
    }
}

void sendbuf_fini(struct sendbuf *sb)
{
    struct extent *x;
    sb->pools->bytes -= sb->bytes;
    sb->bytes = sb->ready = sb->front_off = 0;
    sb->cursor = sb->pending = NULL;
    while ((x = STAILQ_FIRST(&sb->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&sb->queue, link);
        extent_let_go(x);
    }
}

/* The extent that holds the byte at off, and where in it; remembered, for the next question is mostly for what follows. */
static struct extent *seek(struct sendbuf *sb, uint32_t off, uint32_t *in)
{
    uint32_t pos = off + sb->front_off;
    if (!sb->cursor || pos < sb->cursor_pos) {
        sb->cursor = STAILQ_FIRST(&sb->queue);
        sb->cursor_pos = 0;
    }
    while (pos - sb->cursor_pos >= sb->cursor->len) {
        sb->cursor_pos += sb->cursor->len;
        sb->cursor = STAILQ_NEXT(sb->cursor, link);
    }
    *in = pos - sb->cursor_pos;
    return sb->cursor;
}

/* Of x that is cut: the piece that holds the byte at in, and where that begins. */
static inline unsigned piece_of(const struct extent *x, uint32_t in, uint32_t *begin)
{
    if (in < x->cut.first) {
        *begin = 0;
        return 0;
    }
    unsigned before = (in - x->cut.first) / x->cut.size;
    *begin = x->cut.first + before * x->cut.size;
    return before + 1;
}

static inline uint32_t piece_len(const struct extent *x, unsigned i, uint32_t begin)
{
    uint32_t full = i == 0 ? x->cut.first : x->cut.size;
    return RTE_MIN(full, x->len - begin);
}

static inline bool is_cut(const struct extent *x)
{
    return x->kind == EXTENT_REF && x->cut.size != 0;
}

static __rte_noinline const char *reference_at(const struct extent *x, uint32_t in, uint32_t *len)
{
    uint32_t begin = 0;
    unsigned i = 0;
    *len = x->len - in;
    if (is_cut(x)) {
        i = piece_of(x, in, &begin);
        *len = begin + piece_len(x, i, begin) - in;
    }
    return (const char *)x->addr + in + i * EXTENT_GAP;
}

/* The byte at in of x, and how many lie together from there. */
static inline const char *extent_at(const struct extent *x, uint32_t in, uint32_t *len)
{
    if (x->kind == EXTENT_REF)
        return reference_at(x, in, len);
    *len = x->len - in;
    return rte_pktmbuf_mtod_offset(x->m, const char *, in);
}

/* Goes on by what was taken of x. */
static inline const struct extent *extent_step(const struct extent *x, uint32_t *in, uint32_t n)
{
    *in += n;
    if (*in < x->len)
        return x;
    *in = 0;
    return STAILQ_NEXT(x, link);
}

static __rte_noinline void copy_out_many(const struct extent *x, uint32_t in, uint32_t len, char *to)
{
    for (uint32_t n; len > 0; to += n, len -= n, x = extent_step(x, &in, n)) {
        const char *from = extent_at(x, in, &n);
        n = RTE_MIN(n, len);
        memcpy(to, from, n);
    }
}

static inline void copy_out(const struct extent *x, uint32_t in, uint32_t len, char *to)
{
    uint32_t n;
    const char *from = extent_at(x, in, &n);
    if (n >= len)
        memcpy(to, from, len);
    else
        copy_out_many(x, in, len, to);
}

static uint16_t sum_out(const struct extent *x, uint32_t in, uint32_t len, char *to)
{
    uint16_t sum = 0;
    for (uint32_t n, done = 0; done < len; done += n, x = extent_step(x, &in, n)) {
        const char *from = extent_at(x, in, &n);
        n = RTE_MIN(n, len - done);
        sum = cksum_join(sum, done, cksum_copy(to + done, from, n));
    }
    return sum;
}

/* The reference is taken already. */
static inline void refer_to(struct rte_mbuf *m, struct extent *x, const char *at, uint32_t len)
{
    rte_iova_t iova =
        x->iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : x->iova + (rte_iova_t)(at - (const char *)x->addr);
    rte_pktmbuf_attach_extbuf(m, (void *)(uintptr_t)at, iova, (uint16_t)len, &x->shared);
}

/* A buffer that refers to *n bytes of x from in, fewer if they do not lie together. NULL: no buffer. */
static struct rte_mbuf *reference(struct sendbuf *sb, struct extent *x, uint32_t in, uint32_t *n)
{
    struct rte_mbuf *m = pkt_alloc(sb->pools->pkts);
    if (!m)
        return NULL;
    uint32_t together;
    const char *at = extent_at(x, in, &together);
    *n = RTE_MIN(*n, together);
    if (x->kind == EXTENT_COPY) {
        rte_pktmbuf_attach(m, x->m);
        m->data_off = (uint16_t)(x->m->data_off + in);
    } else {
        rte_mbuf_ext_refcnt_update(&x->shared, 1);
        refer_to(m, x, at, *n);
        m->data_off = 0;
    }
    m->data_len = (uint16_t)*n;
    m->pkt_len = *n;
    m->next = NULL;
    m->nb_segs = 1;
    return m;
}

/* Room for len bytes behind what hdr, one buffer, has. */
static char *extend(struct rte_mbuf *hdr, uint32_t len)
{
    char *to = rte_pktmbuf_mtod_offset(hdr, char *, hdr->data_len);
    hdr->data_len = (uint16_t)(hdr->data_len + len);
    hdr->pkt_len += len;
    return to;
}

static __rte_noinline int refer(struct sendbuf *sb, struct extent *x, uint32_t in, uint32_t len,
                                struct rte_mbuf *hdr)
{
    struct rte_mbuf *last = hdr;
    for (uint32_t left = len; left > 0; x = STAILQ_NEXT(x, link), in = 0) {
        while (left > 0 && in < x->len) {
            uint32_t n = RTE_MIN(x->len - in, left);
            n = RTE_MIN(n, (uint32_t)UINT16_MAX);
            struct rte_mbuf *m = reference(sb, x, in, &n);
            if (!m)
                goto none;
            last->next = m;
            last = m;
            hdr->nb_segs++;
            hdr->pkt_len += n;
            in += n;
            left -= n;
        }
    }
    return 0;
none:
    rte_pktmbuf_free(hdr->next);
    hdr->next = NULL;
    hdr->nb_segs = 1;
    hdr->pkt_len = hdr->data_len;
    return -ENOBUFS;
}

int sendbuf_attach(struct sendbuf *sb, uint32_t off, uint32_t len, struct rte_mbuf *hdr, int32_t *sum)
{
    uint32_t in;
    struct extent *x = seek(sb, off, &in);
    if ((len > SENDBUF_INLINE && !sum) || rte_pktmbuf_tailroom(hdr) < len) {
        if (sum)
            *sum = SENDBUF_REFERRED;
        return refer(sb, x, in, len, hdr);
    }
    if (sum)
        *sum = sum_out(x, in, len, extend(hdr, len));
    else
        copy_out(x, in, len, extend(hdr, len));
    return 0;
}

struct rte_mbuf *sendbuf_piece(struct sendbuf *sb, uint32_t off, uint32_t len, uint16_t *sum)
{
    uint32_t in, begin;
    struct extent *x = seek(sb, off, &in);
    if (!is_cut(x))
        return NULL;
    unsigned i = piece_of(x, in, &begin);
    if (begin != in || piece_len(x, i, begin) != len || !(x->unsent & 1u << i))
        return NULL;
    struct rte_mbuf *m = pkt_alloc(sb->pools->pkts);
    if (!m)
        return NULL;
    x->unsent &= (uint16_t) ~(1u << i);
    refer_to(m, x, (const char *)x->addr + in + i * EXTENT_GAP - EXTENT_GAP, EXTENT_GAP + len);
    m->data_off = EXTENT_GAP;
    m->data_len = (uint16_t)len;
    *sum = x->sums[i];
    return m;
}
