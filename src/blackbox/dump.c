// SPDX-License-Identifier: BSD-3-Clause
// Dumps: a ring's records leave as they are, to the writer, without being copied. When nobody wants them they are freed: that is no error.
#include <errno.h>
#include <string.h>
#include "blackbox/blackbox.h"

static bool wanted(const struct bb_layer *l)
{
    return l->params.directory[0] || l->followers > 0;
}

/* Started by the first dump that somebody wants. */
static bool writer_ready(struct bb_layer *l)
{
    if (!l->writer) {
        l->ops = strcmp(l->params.writer, "sync") == 0 ? &bb_writer_sync : &bb_writer_thread;
        l->writer = l->ops->create(l);
    }
    return l->writer != NULL;
}

static void text(char *to, size_t size, const char *from)
{
    const char *s = from && from[0] ? from : "UNKNOWN";
    memcpy(to, s, strnlen(s, size - 1));
}

void bb_header(const struct bb_layer *l, struct tcp_log_header *h, const struct bb_bucket *b,
               const char *reason, uint32_t count)
{
    h->tlh_version = TCP_LOG_BUF_VER;
    h->tlh_type = 1;
    h->tlh_length = sizeof(*h) + count * (uint64_t)sizeof(struct tcp_log_buffer);
    h->tlh_offset_sec = l->env.utc_offset_ns / INT64_C(1000000000);
    h->tlh_offset_usec = l->env.utc_offset_ns % INT64_C(1000000000) / 1000;
    text(h->tlh_id, sizeof(h->tlh_id), b ? b->id : NULL);
    text(h->tlh_tag, sizeof(h->tlh_tag), b ? b->tag : NULL);
    text(h->tlh_reason, sizeof(h->tlh_reason), reason);
}

static struct bb_dump *dump_new(struct bb_layer *l)
{
    l->dumps.limit = l->params.queue;
    struct bb_dump *d = writer_ready(l) ? pool_get(&l->dumps) : NULL;
    if (d) {
        memset(d, 0, sizeof(*d));
        STAILQ_INIT(&d->chunks);
    }
    return d;
}

static int submit(struct bb_layer *l, struct bb_dump *d)
{
    if (!l->ops->submit(l->writer, d))
        return -ENOBUFS;
    l->under_way++;
    return 0;
}

/* Sends count records of a chain off; the chain is empty afterwards, or untouched on error. */
static int send_off(struct bb_layer *l, struct bb_chunks *chunks, uint32_t count, struct bb_dump *d)
{
    d->count = count;
    STAILQ_CONCAT(&d->chunks, chunks);
    if (submit(l, d) == 0) {
        l->stats.dumps++;
        l->stats.dumped += count;
        return 0;
    }
    STAILQ_CONCAT(chunks, &d->chunks);
    pool_put(&l->dumps, d);
    l->stats.dumps_refused++;
    return -ENOBUFS;
}

static void unwanted(struct bb_layer *l, struct bb_chunks *chunks, uint32_t count)
{
    bb_free_chunks(l, chunks, count);
    l->stats.dumps_unwanted++;
}

int bb_dump(struct bb_layer *l, struct bb_log *log, const char *reason, bool last)
{
    int err = 0;
    bool gap = log->recorded != log->serial;
    if (log->count == 0 && !(last && gap))
        return 0;
    if (!wanted(l)) {
        unwanted(l, &log->chunks, log->count);
    } else {
        struct bb_dump *d = dump_new(l);
        if (!d) {
            l->stats.dumps_refused++;
            return -ENOBUFS;
        }
        bb_header(l, &d->header, log->node ? log->node->bucket : NULL, reason, log->count);
        l->env.describe(log->owner, &d->header);
        d->incarnation = log->incarnation;
        d->from = log->dumped;
        d->serial = log->serial;
        d->last = last;
        err = send_off(l, &log->chunks, log->count, d);
    }
    if (!err) {
        bb_count(log, -(int64_t)log->count);
        log->dumped = last ? log->serial : log->recorded;
        log->recorded = log->dumped;
    }
    return err;
}

int bb_dump_node(struct bb_layer *l, struct bb_node *n, const char *reason)
{
    int err = 0;
    if (!wanted(l)) {
        unwanted(l, &n->chunks, n->count);
    } else {
        struct bb_dump *d = dump_new(l);
        if (!d) {
            l->stats.dumps_refused++;
            return -ENOBUFS;
        }
        d->header = n->header;
        bb_header(l, &d->header, n->bucket, reason, n->count);
        d->incarnation = n->incarnation;
        d->from = n->dumped;
        d->serial = n->serial;
        d->last = true;
        err = send_off(l, &n->chunks, n->count, d);
    }
    if (!err) {
        n->bucket->records -= n->count;
        n->count = 0;
    }
    return err;
}

int bb_follow(struct bb_layer *l, struct bb_stream *s)
{
    struct bb_dump *d = dump_new(l);
    if (!d)
        return -ENOBUFS;
    d->follower = bb_stream_hold(s);
    if (submit(l, d) < 0) {
        pool_put(&l->dumps, d);
        bb_stream_put(s);
        return -ENOBUFS;
    }
    l->followers++; /* until the writer says otherwise */
    return 0;
}

void bb_dump_done(struct bb_layer *l, struct bb_dump *d)
{
    bb_free_chunks(l, &d->chunks, d->count);
    pool_put(&l->dumps, d);
    l->under_way--;
}

static void count_written(struct bb_layer *l)
{
    const struct bb_written *w = l->ops->written(l->writer);
    l->stats.written = w->records;
    l->stats.bytes = w->bytes;
    l->stats.write_errors = w->errors;
    l->stats.files_removed = w->removed;
    l->stats.followers_behind = w->behind;
    if (l->under_way == 0) /* no new follower is on its way */
        l->followers = w->followers;
}

unsigned bb_reap(struct bb_layer *l)
{
    return l->under_way > 0 ? l->ops->reap(l->writer) : 0;
}

/* A live view: who follows does not wait until a ring is full. */
static void flush_continual(struct bb_layer *l)
{
    struct bb_log *log;
    TAILQ_FOREACH (log, &l->logs, link)
        if (log->mode == TCP_LOG_STATE_CONTINUAL)
            bb_dump(l, log, "auto-dumped from continual", false);
}

void bb_sweep(struct bb_layer *l, uint64_t now)
{
    bb_expire(l, now);
    if (!l->writer)
        return;
    count_written(l);
    if (l->followers > 0)
        flush_continual(l);
}
