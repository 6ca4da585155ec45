// SPDX-License-Identifier: BSD-3-Clause
// Reads by a thread that does nothing else: for kernels without io_uring, or where it is forbidden.
#include "socket/reader.h"
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include "base/alloc.h"

/* One lock is enough: the engine takes it once for a batch of submissions and once to reap, and only while reads are under way. */
struct reader {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    bool stop;
    unsigned depth, under_way;   /* under_way: the engine's own count */
    struct read_queue submitted; /* of the engine, until flush */
    struct read_queue todo, done;
};

int64_t read_fully(const struct read_request *q)
{
    uint32_t got = 0;
    while (got < q->len) {
        ssize_t n = pread(q->fd, (char *)q->buf + got, q->len - got, q->offset + got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (uint32_t)n;
    }
    return got;
}

static void *reader_main(void *arg)
{
    struct reader *r = arg;
    pthread_mutex_lock(&r->lock);
    for (;;) {
        struct read_request *q = STAILQ_FIRST(&r->todo);
        if (q) {
            STAILQ_REMOVE_HEAD(&r->todo, link);
            pthread_mutex_unlock(&r->lock);
            q->result = read_fully(q);
            pthread_mutex_lock(&r->lock);
            STAILQ_INSERT_TAIL(&r->done, q, link);
        } else if (r->stop) {
            break;
        } else {
            pthread_cond_wait(&r->work, &r->lock);
        }
    }
    pthread_mutex_unlock(&r->lock);
    return NULL;
}

static struct reader *thread_create(struct engine *e, unsigned depth)
{
    struct reader *r = mem_alloc(sizeof(*r));
    if (!r) {
        errno = ENOMEM;
        return NULL;
    }
    r->depth = depth;
    STAILQ_INIT(&r->submitted);
    STAILQ_INIT(&r->todo);
    STAILQ_INIT(&r->done);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->work, NULL);
    int err = pthread_create(&r->thread, NULL, reader_main, r);
    if (err) {
        mem_free(r);
        errno = err;
        return NULL;
    }
    return r;
}

static void thread_flush(struct reader *r)
{
    if (STAILQ_EMPTY(&r->submitted))
        return;
    pthread_mutex_lock(&r->lock);
    STAILQ_CONCAT(&r->todo, &r->submitted);
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
}

static void thread_destroy(struct reader *r)
{
    thread_flush(r);
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_signal(&r->work);
    pthread_mutex_unlock(&r->lock);
    pthread_join(r->thread, NULL);
    pthread_cond_destroy(&r->work);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

static bool thread_submit(struct reader *r, struct read_request *q)
{
    if (r->under_way >= r->depth)
        return false;
    r->under_way++;
    STAILQ_INSERT_TAIL(&r->submitted, q, link);
    return true;
}

static unsigned thread_reap(struct reader *r, struct read_queue *done)
{
    if (r->under_way == 0)
        return 0;
    unsigned n = 0;
    struct read_queue batch = STAILQ_HEAD_INITIALIZER(batch);
    pthread_mutex_lock(&r->lock);
    STAILQ_CONCAT(&batch, &r->done);
    pthread_mutex_unlock(&r->lock);
    struct read_request *q;
    STAILQ_FOREACH (q, &batch, link)
        n++;
    STAILQ_CONCAT(done, &batch);
    r->under_way -= n;
    return n;
}

const struct reader_ops reader_thread = {
    .name = "thread",
    .create = thread_create,
    .destroy = thread_destroy,
    .submit = thread_submit,
    .flush = thread_flush,
    .reap = thread_reap,
};
