// SPDX-License-Identifier: BSD-3-Clause
// A worker in the engine's own time, for the simulator: each record takes a while by the wheel, chosen by the engine's dice.
#include <errno.h>
#include "base/alloc.h"
#include "tls/tls.h"

struct tls_workers {
    struct tls_layer *l;
    struct tls_job_list todo;
    struct wheel_timer timer;
};

static void arm(struct tls_workers *w)
{
    struct engine *e = w->l->e;
    uint64_t most = 2 * (uint64_t)w->l->params.sync_delay_us + 1;
    wheel_arm(&e->wheel, &w->timer, e->now + rng_below(&e->rng, (uint32_t)most) * NS_PER_US);
}

static bool fails(struct tls_workers *w)
{
    uint32_t one_in = w->l->params.sync_fail;
    return one_in && rng_below(&w->l->e->rng, one_in) == 0;
}

static void work_on_first(struct tls_workers *w)
{
    struct tls_job *j = TAILQ_FIRST(&w->todo);
    struct tls_op *ops[] = {&j->op};
    TAILQ_REMOVE(&w->todo, j, link);
    if (fails(w))
        j->op.result = -EIO;
    else
        tls_work(ops, 1);
    tls_job_done(j);
}

static void fire(struct wheel_timer *t, uint64_t now)
{
    struct tls_workers *w = container_of(t, struct tls_workers, timer);
    work_on_first(w);
    if (!TAILQ_EMPTY(&w->todo) && !wheel_timer_armed(&w->timer))
        arm(w);
}

static struct tls_workers *sync_create(struct tls_layer *l, uint32_t n)
{
    struct tls_workers *w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->l = l;
    TAILQ_INIT(&w->todo);
    wheel_timer_init(&w->timer, fire);
    return w;
}

static void sync_destroy(struct tls_workers *w)
{
    wheel_cancel(&w->l->e->wheel, &w->timer);
    while (!TAILQ_EMPTY(&w->todo))
        work_on_first(w);
    mem_free(w);
}

static bool sync_submit(struct tls_workers *w, struct tls_job *j)
{
    TAILQ_INSERT_TAIL(&w->todo, j, link);
    if (!wheel_timer_armed(&w->timer))
        arm(w);
    return true;
}

static void sync_flush(struct tls_workers *w)
{
}

static unsigned sync_reap(struct tls_workers *w)
{
    return 0;
}

const struct tls_worker_ops tls_worker_sync = {
    .name = "sync",
    .create = sync_create,
    .destroy = sync_destroy,
    .submit = sync_submit,
    .flush = sync_flush,
    .reap = sync_reap,
};
