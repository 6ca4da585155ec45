// SPDX-License-Identifier: BSD-3-Clause
// sendfile(2) of FreeBSD: headers, a range of a file and trailers become extents of the send buffer; the file's are filled when its
// pages arrive. Nothing waits for the disk.
#include <errno.h>
#include <sys/epoll.h>
#include <leat/leat.h>
#include "base/alloc.h"
#include "socket/filecache.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"
#include "tcp/log.h"
#include "tls/tls.h"

struct sendfile_layer {
    struct so_layer *l;
    struct filecache *cache;
    struct pool pieces;
    TAILQ_HEAD(, socket) starved; /* were refused file cache memory: told to try again when some is freed */
};

/* A run of a block in a send buffer. */
struct piece {
    struct block_use use; /* first */
    struct sendfile_layer *sf;
    struct extent *x;
    struct tls_record *r; /* TLS: instead of x, the record whose payload the run is */
    uint32_t offset, len; /* in the block */
    bool queued;          /* in a send buffer, or has been */
};

/* One call. */
struct transfer {
    struct socket *so;
    struct cached_file *file;
    off_t offset, end; /* of the file, what is left */
    int flags;
    off_t sent; /* queued so far */
};

static void piece_done(void *arg)
{
    struct piece *p = arg;
    struct sendfile_layer *sf = p->sf;
    if (p->use.block)
        block_release(sf->cache, &p->use);
    pool_put(&sf->pieces, p);
}

static void piece_release(struct extent *x, void *arg)
{
    piece_done(arg);
}

/* The bytes that were promised will not come: a FIN after them would be a lie, so the connection ends with a RST. */
static void piece_fail(struct piece *p)
{
    struct so_stats *st = &p->sf->l->stats;
    if (p->use.block->state == BLOCK_FAILED)
        st->sendfile_ioerr++;
    else
        st->sendfile_shrunk++;
    if (p->r) {
        tls_record_lost(p->r);
        return;
    }
    struct sendbuf *sb = p->x->sb;
    extent_failed(p->x);
    if (sb)
        tcp_abort(container_of(sb, struct tcb, snd), ECONNABORTED);
}

static void piece_ready(struct block_use *u)
{
    struct piece *p = (struct piece *)u;
    struct block *b = u->block;
    if (b->state == BLOCK_FAILED || p->offset + p->len > b->bytes) {
        piece_fail(p);
        return;
    }
    if (p->r) {
        tls_record_data(p->r, b->buf + p->offset); /* never encrypted in place: others send it too */
        return;
    }
    struct sendbuf *sb = p->x->sb;
    extent_ready(p->x, b->buf + p->offset, b->iova == RTE_BAD_IOVA ? RTE_BAD_IOVA : b->iova + p->offset);
    if (sb)
        tcb_mark_due(container_of(sb, struct tcb, snd));
}

static struct piece *piece_new(struct sendfile_layer *sf, uint32_t offset, uint32_t len, bool tls)
{
    struct piece *p = pool_get(&sf->pieces);
    if (!p)
        return NULL;
    *p = (struct piece){.sf = sf, .offset = offset, .len = len, .use.ready = piece_ready};
    if (tls)
        return p;
    p->x = extent_new(&sf->l->e->tcp->send, len, piece_release, p);
    if (!p->x) {
        pool_put(&sf->pieces, p);
        return NULL;
    }
    return p;
}

static void piece_discard(struct piece *p)
{
    if (p->x)
        extent_free(p->x); /* calls piece_release */
    else
        piece_done(p);
}

static void starve(struct sendfile_layer *sf, struct socket *so)
{
    if (!so->starved) {
        so->starved = true;
        TAILQ_INSERT_TAIL(&sf->starved, so, starved_link);
    }
    sf->l->stats.sendfile_nocache++;
}

static void sendfile_feed(void *arg)
{
    struct sendfile_layer *sf = arg;
    struct socket *so = TAILQ_FIRST(&sf->starved);
    if (!so)
        return;
    sendfile_forget(so);
    file_notify(&so->file, EPOLLOUT);
    sf->cache->starved = !TAILQ_EMPTY(&sf->starved);
}

void sendfile_forget(struct socket *so)
{
    if (!so->starved)
        return;
    so->starved = false;
    TAILQ_REMOVE(&so->file.layer->sendfile->starved, so, starved_link);
}

/* Copying so much costs less than a record, an extent and a segment of its own. */
#define JOIN_MAX 4096

/* The last of a small file goes into the record that its header has begun. False: it is not here yet, or there is no such record. */
static bool joins(const struct transfer *t)
{
    const struct tls_tx *tx = t->so->tls_tx;
    off_t rest = t->end - t->offset;
    return tx && rest <= JOIN_MAX && tls_tx_joins(tx, rest);
}

static int64_t join(struct transfer *t, struct piece *p)
{
    const struct block *b = p->use.block;
    struct iovec v = {b->buf + p->offset, p->len};
    int64_t n = tls_tx_send(t->so->tls_tx, t->so->tp, &v, 1, p->len, TLS_RLTYPE_APP, false, false);
    if (n > 0) {
        t->offset += n;
        t->sent += n;
    }
    piece_discard(p);
    return n;
}

/* What was written before stands before, and waits for nothing. */
static void transfer_flush(const struct socket *so)
{
    if (so->tls_tx && so->tp)
        tls_tx_flush(so->tls_tx, so->tp);
}

/* Queues what the next block gives, at most max bytes. Bytes queued, or -errno. */
static int64_t transfer_block(struct sendfile_layer *sf, struct transfer *t, uint32_t max)
{
    uint64_t index = (uint64_t)t->offset / FILECACHE_BLOCK;
    uint32_t in_block = (uint32_t)((uint64_t)t->offset % FILECACHE_BLOCK);
    off_t len = t->end - t->offset;
    if (len > (off_t)(FILECACHE_BLOCK - in_block))
        len = FILECACHE_BLOCK - in_block;
    if (len > (off_t)max)
        len = max;
    struct piece *p = piece_new(sf, in_block, (uint32_t)len, t->so->tls_tx);
    if (!p)
        return -ENOBUFS;
    int err = block_take(sf->cache, t->file, index, (t->flags & LEAT_SF_NODISKIO) != 0, &p->use);
    if (err) {
        piece_discard(p);
        if (err == -EAGAIN)
            starve(sf, t->so);
        return err;
    }
    if (t->flags & LEAT_SF_NOCACHE)
        p->use.block->drop = true;
    if (joins(t) && len == t->end - t->offset && !p->use.waiting && p->use.block->state == BLOCK_READY &&
        p->offset + p->len <= p->use.block->bytes)
        return join(t, p);
    transfer_flush(t->so);
    if (t->so->tls_tx)
        p->r = tls_tx_reserve(t->so->tls_tx, t->so->tp, p->len, piece_done, p, &err);
    else
        err = tcp_send_extent(t->so->tp, p->x);
    if (err) {
        piece_discard(p);
        return err;
    }
    if (!p->use.waiting)
        piece_ready(&p->use);
    t->offset += len;
    t->sent += len;
    return len;
}

/* Payload that may be queued now. */
static uint32_t transfer_space(const struct socket *so)
{
    return so->tls_tx ? tls_tx_room(so->tls_tx, so->tp) : sendbuf_space(&so->tp->snd);
}

/* Can the connection still send? 0, or what a write would say. */
static int transfer_state(const struct socket *so)
{
    if (so->error)
        return -so->error;
    if (so->cant_send || !so->tp)
        return so->connected || so->cant_send ? -EPIPE : -ENOTCONN;
    return so->connected ? 0 : -ENOTCONN;
}

static bool transfer_may_go_on(void *arg)
{
    struct transfer *t = arg;
    return transfer_state(t->so) < 0 || (transfer_space(t->so) > 0 && !t->so->starved);
}

/* Waits for space when the descriptor blocks. 0 to go on, or -errno. */
static int transfer_wait(struct transfer *t)
{
    struct socket *so = t->so;
    if (so->file.flags & O_NONBLOCK)
        return -EAGAIN;
    struct timeval *tv = &so->sndtimeo;
    uint64_t limit = tv->tv_sec * NS_PER_SEC + tv->tv_usec * NS_PER_US;
    struct engine *e = so->file.layer->e;
    int err = so_wait(e, transfer_may_go_on, t, limit ? e->now + limit : TIME_NEVER);
    return err == -ETIMEDOUT ? -EAGAIN : err;
}

static int transfer_file(struct sendfile_layer *sf, struct transfer *t)
{
    while (t->offset < t->end) {
        int err = transfer_state(t->so);
        if (err)
            return err;
        uint32_t space = transfer_space(t->so);
        int64_t n = space > 0 ? transfer_block(sf, t, space) : -EAGAIN;
        if (n < 0)
            transfer_flush(t->so);
        if (n == -EAGAIN)
            n = transfer_wait(t);
        if (n < 0)
            return (int)n;
    }
    return 0;
}

static int64_t transfer_write(struct socket *so, const struct iovec *v, bool more)
{
    return so->tls_tx ? tls_tx_send(so->tls_tx, so->tp, v, 1, v->iov_len, TLS_RLTYPE_APP, false, more)
                      : tcp_send(so->tp, v, 1, v->iov_len, more);
}

/* Headers or trailers: copied as a write does. more: something of this call follows. */
static int transfer_copy(struct transfer *t, const struct iovec *iov, int cnt, bool more)
{
    size_t total = 0;
    for (int i = 0; i < cnt; i++)
        total += iov[i].iov_len;
    size_t done = 0;
    int first = 0;
    size_t skip = 0;
    while (done < total) {
        int err = transfer_state(t->so);
        if (err)
            return err;
        struct iovec head = {.iov_base = (char *)iov[first].iov_base + skip,
                             .iov_len = iov[first].iov_len - skip};
        int64_t n = head.iov_len == 0 ? 0 : transfer_write(t->so, &head, more || first + 1 < cnt);
        if (n == -EAGAIN)
            n = transfer_wait(t);
        if (n < 0)
            return (int)n;
        done += (size_t)n;
        skip += (size_t)n;
        t->sent += n;
        if (skip == iov[first].iov_len) {
            first++;
            skip = 0;
        }
    }
    return 0;
}

static int transfer_run(struct sendfile_layer *sf, struct transfer *t, const struct leat_sf_hdtr *hdtr)
{
    int err = transfer_state(t->so);
    if (!err && hdtr)
        err = transfer_copy(t, hdtr->headers, hdtr->hdr_cnt, t->offset < t->end || hdtr->trl_cnt > 0);
    if (!err)
        err = transfer_file(sf, t);
    if (!err && hdtr)
        err = transfer_copy(t, hdtr->trailers, hdtr->trl_cnt, false);
    if (t->so->tp && t->sent > 0)
        tcb_mark_due(t->so->tp);
    return err;
}

static int sendfile_layer_get(struct so_layer *l, struct sendfile_layer **out)
{
    if (!l->sendfile) {
        struct sendfile_layer *sf = mem_alloc(sizeof(*sf));
        if (!sf)
            return -ENOMEM;
        sf->l = l;
        TAILQ_INIT(&sf->starved);
        int err = filecache_create(l, &sf->cache);
        if (err) {
            mem_free(sf);
            return err;
        }
        sf->cache->freed = sendfile_feed;
        sf->cache->freed_arg = sf;
        pool_init(&sf->pieces, "sendfile pieces", sizeof(struct piece), UINT32_MAX, 256);
        l->sendfile = sf;
    }
    *out = l->sendfile;
    return 0;
}

/* The socket stays alive while the call waits, whatever the application's other calls do. */
static int sendfile_on(struct so_layer *l, struct socket *so, int file, off_t offset, size_t nbytes,
                       const struct leat_sf_hdtr *hdtr, off_t *sbytes, int flags)
{
    struct sendfile_layer *sf;
    int err = sendfile_layer_get(l, &sf);
    if (err)
        return err;
    struct transfer t = {.so = so, .offset = offset, .flags = flags};
    t.file = cached_file_get(sf->cache, file, &err);
    if (!t.file)
        return err;
    off_t rest = offset < t.file->size ? t.file->size - offset : 0;
    t.end = offset + (nbytes == 0 || (off_t)nbytes > rest ? rest : (off_t)nbytes);
    so->file.refs++;
    err = transfer_run(sf, &t, hdtr);
    uint64_t next = ((uint64_t)t.offset + FILECACHE_BLOCK - 1) / FILECACHE_BLOCK;
    if (t.offset < t.end && !(flags & LEAT_SF_NODISKIO) && !so->starved)
        block_readahead(sf->cache, t.file, next, l->params.sendfile_readahead);
    cached_file_put(sf->cache, t.file);
    file_put(&so->file);
    l->stats.sendfile_calls++;
    l->stats.sendfile_bytes += (uint64_t)t.sent;
    if (so->tp && tcp_logging(so->tp))
        tcp_log_sendfile(so->tp, (uint64_t)offset, (uint64_t)t.sent, (uint32_t)flags);
    *sbytes = t.sent;
    return err;
}

int leat_sendfile(int file, int fd, off_t offset, size_t nbytes, const struct leat_sf_hdtr *hdtr,
                  off_t *sbytes, int flags)
{
    off_t ignored;
    if (!sbytes)
        sbytes = &ignored;
    *sbytes = 0;
    struct engine *e = so_current();
    int err = e ? 0 : -ENXIO;
    struct socket *so = e ? fd_socket(e->so, fd, &err) : NULL;
    if (so && (offset < 0 || (flags & ~(LEAT_SF_NODISKIO | LEAT_SF_SYNC | LEAT_SF_NOCACHE))))
        err = -EINVAL;
    else if (so)
        err = sendfile_on(e->so, so, file, offset, nbytes, hdtr, sbytes, flags);
    if (err < 0) {
        errno = -err;
        return -1;
    }
    return 0;
}

static int reader_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    static const char *const names[] = {"auto", "uring", "thread", "sync"};
    struct so_layer *l = base;
    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        if (strcmp(text, names[i]) == 0) {
            snprintf(l->params.filecache_reader, sizeof(l->params.filecache_reader), "%s", text);
            return 0;
        }
    }
    snprintf(err, errsize, "%s: \"%s\" is none of auto, uring, thread, sync", oid->name, text);
    return -EINVAL;
}

static const struct sysctl_oid sendfile_oids[] = {
    SYSCTL_OID_U64("leat.filecache.max", struct so_layer, params.filecache_bytes, SYSCTL_RW, 64 << 20,
                   FILECACHE_BLOCK, INT64_MAX, "bytes", "memory of the engine's file cache at most"),
    SYSCTL_OID_UINT("leat.filecache.files", struct so_layer, params.filecache_files, SYSCTL_RW, 1024, 1,
                    1000000, "files", "files kept open by the file cache beyond those in use"),
    {.name = "leat.filecache.reader",
     .desc = "how files are read: auto (io_uring, else a thread), uring, thread, or sync (in the engine, for "
             "the simulator)",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct so_layer, params.filecache_reader),
     .size = sizeof(((struct so_layer *)0)->params.filecache_reader),
     .def_text = "auto",
     .set = reader_set},
    SYSCTL_OID_UINT("leat.filecache.sync_delay", struct so_layer, params.sync_delay_us, SYSCTL_RW, 0, 0,
                    60000000, "us", "time one read takes with the reader sync"),
    SYSCTL_OID_UINT("kern.ipc.sendfile.readahead", struct so_layer, params.sendfile_readahead, SYSCTL_RW, 4,
                    0, 256, "blocks", "blocks of 64 KiB read ahead of what the send buffer takes"),
    SYSCTL_OID_COUNTER("kern.ipc.sendfile.calls", struct so_layer, stats.sendfile_calls, "calls",
                       "sendfile calls"),
    SYSCTL_OID_COUNTER("kern.ipc.sendfile.bytes", struct so_layer, stats.sendfile_bytes, "bytes",
                       "bytes queued by sendfile"),
    SYSCTL_OID_COUNTER("leat.sendfile.shrunk", struct so_layer, stats.sendfile_shrunk, "connections",
                       "connections ended because a file became shorter while it was sent"),
    SYSCTL_OID_COUNTER("leat.sendfile.ioerr", struct so_layer, stats.sendfile_ioerr, "connections",
                       "connections ended because a file could not be read"),
    SYSCTL_OID_COUNTER("leat.sendfile.nocache", struct so_layer, stats.sendfile_nocache, "calls",
                       "sendfile calls that had to wait for memory of the file cache"),
};

int sendfile_register(struct so_layer *l)
{
    return sysctl_register(l->e->sysctl, sendfile_oids, RTE_DIM(sendfile_oids), l);
}

void sendfile_destroy(struct so_layer *l)
{
    struct sendfile_layer *sf = l->sendfile;
    if (!sf)
        return;
    filecache_destroy(sf->cache);
    pool_fini(&sf->pieces);
    mem_free(sf);
    l->sendfile = NULL;
}
