// SPDX-License-Identifier: BSD-3-Clause
// Page cache of one engine: blocks of files, read without waiting, shared by all its connections, within a limit.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <rte_common.h>
#include "base/pool.h"
#include "base/queue.h"
#include "socket/reader.h"

struct engine;
struct so_layer;

#define FILECACHE_BLOCK (64u * 1024)

enum block_state { BLOCK_READING, BLOCK_READY, BLOCK_FAILED };

struct block;
/* Who waits for a block, or uses it. Embedded in its user. */
struct block_use {
    TAILQ_ENTRY(block_use) link; /* among those who wait, while the block is being read */
    struct block *block;
    bool waiting;
    void (*ready)(
        struct block_use *u); /* called once if the block was not ready when taken; see block->state */
};
TAILQ_HEAD(block_use_list, block_use);

/* An open file, known by what it was when it was opened: a changed file is another file. */
struct cached_file {
    LIST_ENTRY(cached_file) hash;
    TAILQ_ENTRY(cached_file) lru; /* while nothing uses it */
    dev_t dev;
    ino_t ino;
    struct timespec mtime;
    off_t size;
    int fd;         /* ours: a duplicate */
    uint32_t users; /* sendfile calls under way and cached blocks */
};

struct block {
    struct read_request read; /* first: the reader hands it back */
    LIST_ENTRY(block) hash;
    TAILQ_ENTRY(block) lru; /* while refs == 0 and not being read */
    struct cached_file *file;
    uint64_t index; /* offset / FILECACHE_BLOCK */
    uint32_t refs;  /* uses */
    uint32_t bytes; /* valid once ready */
    uint8_t state;  /* enum block_state */
    bool drop;      /* SF_NOCACHE: free with the last use */
    uint8_t *buf;
    rte_iova_t iova;
    struct block_use_list waiters;
};

struct filecache_stats {
    uint64_t hits, misses, evictions, read_errors, no_memory, readahead;
};

struct filecache {
    struct engine *e;
    const struct reader_ops *ops;
    struct reader *reader;
    uint64_t bytes; /* in buffers */
    uint32_t n_files;
    LIST_HEAD(, block) * blocks;      /* by hash of (file, index) */
    LIST_HEAD(, cached_file) * files; /* by hash of (dev, ino) */
    TAILQ_HEAD(, block) idle;         /* least recently used first */
    TAILQ_HEAD(, cached_file) idle_files;
    struct pool block_pool, file_pool;
    void (*freed)(void *arg); /* memory became free after block_take() had none: sendfile.c */
    void *freed_arg;
    bool starved; /* somebody was refused memory */
    struct filecache_stats stats;
};

/* Made by the first sendfile of the engine. 0 or -errno. */
int filecache_create(struct so_layer *l, struct filecache **out);
/* No block may be in use any more. */
void filecache_destroy(struct filecache *c);

/* The open file behind a descriptor of the kernel's, with a user added. NULL and *err: -EBADF, -EINVAL (not a regular file), -EMFILE... */
struct cached_file *cached_file_get(struct filecache *c, int fd, int *err);
void cached_file_put(struct filecache *c, struct cached_file *f);

/* Takes the block into use; when it is not ready a read is under way and u->ready() will be called. 0; -EBUSY (no_io: it is not cached),
 * -EAGAIN (no memory within the limit, or too many reads: freed() tells when to ask again), -EIO (it could not be read). */
int block_take(struct filecache *c, struct cached_file *f, uint64_t index, bool no_io, struct block_use *u);
void block_release(struct filecache *c, struct block_use *u);
/* Starts reading blocks [first, first + n) that are not there yet, as far as memory goes. */
void block_readahead(struct filecache *c, struct cached_file *f, uint64_t first, unsigned n);
