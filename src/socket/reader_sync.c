// SPDX-License-Identifier: BSD-3-Clause
// A disk in the engine's own time: every read takes leat.filecache.sync_delay, so that the simulator stays deterministic.
#include "socket/reader.h"
#include <errno.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "socket/socket.h"

struct reader {
    struct engine *e;
    struct wheel_timer timer; /* ends the first read of todo */
    struct read_queue todo, done;
    unsigned depth, under_way;
};

static void sync_arm(struct reader *r)
{
    uint64_t delay = (uint64_t)r->e->so->params.sync_delay_us * NS_PER_US;
    wheel_arm(&r->e->wheel, &r->timer, r->e->now + delay);
}

static void sync_fire(struct wheel_timer *t, uint64_t now)
{
    struct reader *r = container_of(t, struct reader, timer);
    struct read_request *q = STAILQ_FIRST(&r->todo);
    STAILQ_REMOVE_HEAD(&r->todo, link);
    q->result = read_fully(q);
    STAILQ_INSERT_TAIL(&r->done, q, link);
    if (!STAILQ_EMPTY(&r->todo))
        sync_arm(r);
}

static struct reader *sync_create(struct engine *e, unsigned depth)
{
    struct reader *r = mem_alloc(sizeof(*r));
    if (!r) {
        errno = ENOMEM;
        return NULL;
    }
    r->e = e;
    r->depth = depth;
    STAILQ_INIT(&r->todo);
    STAILQ_INIT(&r->done);
    wheel_timer_init(&r->timer, sync_fire);
    return r;
}

static void sync_destroy(struct reader *r)
{
    wheel_cancel(&r->e->wheel, &r->timer);
    mem_free(r);
}

static bool sync_submit(struct reader *r, struct read_request *q)
{
    if (r->under_way >= r->depth)
        return false;
    r->under_way++;
    STAILQ_INSERT_TAIL(&r->todo, q, link);
    if (!wheel_timer_armed(&r->timer))
        sync_arm(r);
    return true;
}

static void sync_flush(struct reader *r)
{
}

static unsigned sync_reap(struct reader *r, struct read_queue *done)
{
    unsigned n = 0;
    struct read_request *q;
    STAILQ_FOREACH (q, &r->done, link)
        n++;
    STAILQ_CONCAT(done, &r->done);
    r->under_way -= n;
    return n;
}

const struct reader_ops reader_sync = {
    .name = "sync",
    .create = sync_create,
    .destroy = sync_destroy,
    .submit = sync_submit,
    .flush = sync_flush,
    .reap = sync_reap,
};
