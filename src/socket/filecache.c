// SPDX-License-Identifier: BSD-3-Clause
#include "socket/filecache.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <rte_malloc.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "socket/socket.h"

#define BLOCK_BUCKETS 4096u
#define FILE_BUCKETS  1024u
#define READ_DEPTH    256u

static unsigned block_bucket(const struct cached_file *f, uint64_t index)
{
    uint64_t h = ((uintptr_t)f >> 6) * UINT64_C(0x9e3779b97f4a7c15) + index * UINT64_C(0xc2b2ae3d27d4eb4f);
    return (unsigned)(h >> 32) % BLOCK_BUCKETS;
}

static unsigned file_bucket(dev_t dev, ino_t ino)
{
    return (unsigned)(((uint64_t)ino * UINT64_C(0x9e3779b97f4a7c15) + dev) >> 32) % FILE_BUCKETS;
}

/* ---- files ---- */

static void cached_file_free(struct filecache *c, struct cached_file *f)
{
    LIST_REMOVE(f, hash);
    close(f->fd);
    c->n_files--;
    pool_put(&c->file_pool, f);
}

static void cached_file_use(struct filecache *c, struct cached_file *f)
{
    if (f->users++ == 0)
        TAILQ_REMOVE(&c->idle_files, f, lru);
}

void cached_file_put(struct filecache *c, struct cached_file *f)
{
    if (--f->users > 0)
        return;
    TAILQ_INSERT_TAIL(&c->idle_files, f, lru);
    if (c->n_files > c->e->so->params.filecache_files) {
        struct cached_file *oldest = TAILQ_FIRST(&c->idle_files);
        TAILQ_REMOVE(&c->idle_files, oldest, lru);
        cached_file_free(c, oldest);
    }
}

static bool cached_file_is(const struct cached_file *f, const struct stat *st)
{
    return f->ino == st->st_ino && f->dev == st->st_dev && f->size == st->st_size &&
           f->mtime.tv_sec == st->st_mtim.tv_sec && f->mtime.tv_nsec == st->st_mtim.tv_nsec;
}

static struct cached_file *cached_file_new(struct filecache *c, int fd, const struct stat *st, int *err)
{
    struct cached_file *f = pool_get(&c->file_pool);
    if (!f) {
        *err = -ENOMEM;
        return NULL;
    }
    int how = fcntl(fd, F_GETFL);
    if (how < 0 || (how & O_PATH) || (how & O_ACCMODE) == O_WRONLY) {
        *err = -EBADF; /* as sendfile(2), not later as a read error */
        pool_put(&c->file_pool, f);
        return NULL;
    }
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) {
        *err = -errno;
        pool_put(&c->file_pool, f);
        return NULL;
    }
    *f =
        (struct cached_file){.dev = st->st_dev, .ino = st->st_ino, .mtime = st->st_mtim, .size = st->st_size};
    f->fd = own;
    f->users = 1;
    LIST_INSERT_HEAD(&c->files[file_bucket(st->st_dev, st->st_ino)], f, hash);
    c->n_files++;
    return f;
}

struct cached_file *cached_file_get(struct filecache *c, int fd, int *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        *err = -errno;
        return NULL;
    }
    if (!S_ISREG(st.st_mode)) {
        *err = -EINVAL;
        return NULL;
    }
    struct cached_file *f;
    LIST_FOREACH (f, &c->files[file_bucket(st.st_dev, st.st_ino)], hash) {
        if (cached_file_is(f, &st)) {
            cached_file_use(c, f);
            return f;
        }
    }
    return cached_file_new(c, fd, &st, err);
}

/* ---- blocks ---- */

static struct block *block_find(struct filecache *c, const struct cached_file *f, uint64_t index)
{
    struct block *b;
    LIST_FOREACH (b, &c->blocks[block_bucket(f, index)], hash) {
        if (b->file == f && b->index == index)
            return b;
    }
    return NULL;
}

static void block_free(struct filecache *c, struct block *b)
{
    LIST_REMOVE(b, hash);
    rte_free(b->buf);
    c->bytes -= FILECACHE_BLOCK;
    cached_file_put(c, b->file);
    pool_put(&c->block_pool, b);
}

static bool block_evict_one(struct filecache *c)
{
    struct block *b = TAILQ_FIRST(&c->idle);
    if (!b)
        return false;
    TAILQ_REMOVE(&c->idle, b, lru);
    block_free(c, b);
    c->stats.evictions++;
    return true;
}

static void *block_buffer(struct filecache *c)
{
    uint64_t limit = c->e->so->params.filecache_bytes;
    while (c->bytes + FILECACHE_BLOCK > limit) {
        if (!block_evict_one(c))
            return NULL;
    }
    for (;;) {
        void *buf = fault_now() ? NULL : rte_malloc("leat_filecache", FILECACHE_BLOCK, RTE_CACHE_LINE_SIZE);
        if (buf || !block_evict_one(c))
            return buf;
    }
}

/* Makes the block and starts its read. NULL: no memory, or the reader is full. */
static struct block *block_new(struct filecache *c, struct cached_file *f, uint64_t index)
{
    cached_file_use(c, f); /* of the block; eviction below must not take the file away */
    void *buf = block_buffer(c);
    struct block *b = buf ? pool_get(&c->block_pool) : NULL;
    if (!b)
        goto none;
    *b = (struct block){.file = f, .index = index, .buf = buf, .iova = rte_malloc_virt2iova(buf)};
    TAILQ_INIT(&b->waiters);
    off_t offset = (off_t)(index * FILECACHE_BLOCK);
    off_t rest = f->size - offset;
    b->read.fd = f->fd;
    b->read.buf = buf;
    b->read.offset = offset;
    b->read.len = rest < (off_t)FILECACHE_BLOCK ? (uint32_t)rest : FILECACHE_BLOCK;
    if (!c->ops->submit(c->reader, &b->read))
        goto none;
    b->state = BLOCK_READING;
    LIST_INSERT_HEAD(&c->blocks[block_bucket(f, index)], b, hash);
    c->bytes += FILECACHE_BLOCK;
    return b;
none:
    if (b)
        pool_put(&c->block_pool, b);
    rte_free(buf);
    cached_file_put(c, f);
    c->stats.no_memory++;
    return NULL;
}

static void block_idle(struct filecache *c, struct block *b)
{
    if (b->drop || b->state == BLOCK_FAILED)
        block_free(c, b);
    else
        TAILQ_INSERT_TAIL(&c->idle, b, lru);
    if (c->starved) {
        c->starved = false;
        c->freed(c->freed_arg);
    }
}

int block_take(struct filecache *c, struct cached_file *f, uint64_t index, bool no_io, struct block_use *u)
{
    struct block *b = block_find(c, f, index);
    if (b && b->state == BLOCK_FAILED)
        return -EIO;
    if (no_io && (!b || b->state != BLOCK_READY))
        return -EBUSY;
    if (b) {
        c->stats.hits++;
        if (b->refs == 0 && b->state == BLOCK_READY)
            TAILQ_REMOVE(&c->idle, b, lru);
    } else {
        c->stats.misses++;
        b = block_new(c, f, index);
        if (!b) {
            c->starved = true;
            return -EAGAIN;
        }
    }
    b->refs++;
    u->block = b;
    u->waiting = b->state == BLOCK_READING;
    if (u->waiting)
        TAILQ_INSERT_TAIL(&b->waiters, u, link);
    return 0;
}

void block_release(struct filecache *c, struct block_use *u)
{
    struct block *b = u->block;
    if (u->waiting)
        TAILQ_REMOVE(&b->waiters, u, link);
    u->waiting = false;
    u->block = NULL;
    if (--b->refs == 0 && b->state != BLOCK_READING)
        block_idle(c, b);
}

void block_readahead(struct filecache *c, struct cached_file *f, uint64_t first, unsigned n)
{
    for (uint64_t i = first; i < first + n && (off_t)(i * FILECACHE_BLOCK) < f->size; i++) {
        if (block_find(c, f, i))
            continue;
        if (!block_new(c, f, i))
            return;
        c->stats.readahead++;
    }
}

static void block_done(struct filecache *c, struct block *b)
{
    b->state = b->read.result < 0 ? BLOCK_FAILED : BLOCK_READY;
    b->bytes = b->read.result < 0 ? 0 : (uint32_t)b->read.result;
    if (b->state == BLOCK_FAILED)
        c->stats.read_errors++;
    /* What was read short will not be what the file is next time: it must not stay. */
    if (b->bytes < b->read.len)
        b->drop = true;
    b->refs++; /* the waiters below may let go of it */
    struct block_use *u;
    while ((u = TAILQ_FIRST(&b->waiters)) != NULL) {
        TAILQ_REMOVE(&b->waiters, u, link);
        u->waiting = false;
        u->ready(u);
    }
    if (--b->refs == 0)
        block_idle(c, b);
}

static unsigned filecache_completions(struct engine *e, void *arg)
{
    struct filecache *c = arg;
    struct read_queue done = STAILQ_HEAD_INITIALIZER(done);
    unsigned n = c->ops->reap(c->reader, &done);
    struct read_request *q, *next;
    STAILQ_FOREACH_SAFE (q, &done, link, next)
        block_done(c, (struct block *)q);
    return n;
}

static unsigned filecache_flush(struct engine *e, void *arg)
{
    struct filecache *c = arg;
    c->ops->flush(c->reader);
    return 0;
}

/* ---- life ---- */

static int reader_open(struct filecache *c)
{
    const char *want = c->e->so->params.filecache_reader;
    static const struct reader_ops *const readers[] = {
#ifdef LEAT_IO_URING
        &reader_uring,
#endif
        &reader_thread,
        &reader_sync,
    };
    bool any = strcmp(want, "auto") == 0;
    for (unsigned i = 0; i < RTE_DIM(readers); i++) {
        if (!any && strcmp(want, readers[i]->name) != 0)
            continue;
        c->ops = readers[i];
        c->reader = readers[i]->create(c->e, READ_DEPTH);
        if (c->reader)
            return 0;
        if (!any)
            return -errno;
    }
    return any ? -ENOMEM : -EINVAL;
}

int filecache_create(struct so_layer *l, struct filecache **out)
{
    struct filecache *c = mem_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->e = l->e;
    TAILQ_INIT(&c->idle);
    TAILQ_INIT(&c->idle_files);
    pool_init(&c->block_pool, "file blocks", sizeof(struct block), UINT32_MAX, 64);
    pool_init(&c->file_pool, "cached files", sizeof(struct cached_file), UINT32_MAX, 64);
    c->blocks = mem_alloc(BLOCK_BUCKETS * sizeof(*c->blocks));
    c->files = mem_alloc(FILE_BUCKETS * sizeof(*c->files));
    int err = c->blocks && c->files ? reader_open(c) : -ENOMEM;
    if (err) {
        mem_free(c->blocks);
        mem_free(c->files);
        mem_free(c);
        return err;
    }
    engine_station(l->e, PHASE_COMPLETIONS, filecache_completions, c);
    engine_station(l->e, PHASE_TRANSMIT, filecache_flush, c);
    *out = c;
    return 0;
}

void filecache_destroy(struct filecache *c)
{
    c->ops->destroy(c->reader);
    for (unsigned i = 0; i < BLOCK_BUCKETS; i++) {
        struct block *b;
        while ((b = LIST_FIRST(&c->blocks[i])) != NULL) {
            if (b->state == BLOCK_READY && b->refs == 0)
                TAILQ_REMOVE(&c->idle, b, lru);
            block_free(c, b);
        }
    }
    struct cached_file *f;
    while ((f = TAILQ_FIRST(&c->idle_files)) != NULL) {
        TAILQ_REMOVE(&c->idle_files, f, lru);
        cached_file_free(c, f);
    }
    pool_fini(&c->block_pool);
    pool_fini(&c->file_pool);
    mem_free(c->blocks);
    mem_free(c->files);
    mem_free(c);
}
