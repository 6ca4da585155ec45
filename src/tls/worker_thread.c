// SPDX-License-Identifier: BSD-3-Clause
// Threads that seal and open records: to each a ring, from each a ring, no lock but the one it sleeps on. A connection keeps to one worker.
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <rte_pause.h>
#include <rte_ring.h>
#include "base/alloc.h"
#include "base/cpus.h"
#include "tls/tls.h"

#define BURST 16   /* records: fills the lanes of a CPU, and the first is not kept waiting long */
#define SPINS 2000 /* looks at an empty ring before it sleeps: some 20 us */

struct worker {
    pthread_t thread;
    struct rte_ring *todo, *done;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    atomic_bool asleep, stop;
    atomic_uint given;  /* records in all, told by the engine: what a worker that rests looks at */
    uint32_t taken;     /* the worker's */
    uint32_t submitted; /* the engine's; of these, told to a sleeper: */
    uint32_t flushed;
    uint32_t under_way; /* the engine's */
};

struct tls_workers {
    uint32_t n;
    struct worker w[];
};

static bool idle(struct worker *w, memory_order order)
{
    return atomic_load_explicit(&w->given, order) == w->taken && !atomic_load_explicit(&w->stop, order);
}

/* Empty for a while: sleeps until the engine says that there is something. Whoever is second of asleep and given sees the other's. */
static void rest(struct worker *w)
{
    for (unsigned i = 0; i < SPINS; i++) {
        if (!idle(w, memory_order_relaxed))
            return;
        rte_pause();
    }
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->asleep, true);
    while (idle(w, memory_order_seq_cst))
        pthread_cond_wait(&w->wake, &w->lock);
    atomic_store(&w->asleep, false);
    pthread_mutex_unlock(&w->lock);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    struct tls_job *j[BURST];
    struct tls_op *ops[BURST];
    for (;;) {
        unsigned n = rte_ring_sc_dequeue_burst(w->todo, (void **)j, BURST, NULL);
        if (n == 0) {
            if (atomic_load(&w->stop))
                return NULL;
            rest(w);
            continue;
        }
        w->taken += n;
        for (unsigned i = 0; i < n; i++)
            ops[i] = &j[i]->op;
        tls_work(ops, n);
        rte_ring_sp_enqueue_bulk(w->done, (void **)j, n, NULL); /* has room for all that were taken in */
    }
}

static struct rte_ring *ring_new(struct tls_layer *l, uint32_t i, const char *what)
{
    char name[RTE_RING_NAMESIZE];
    snprintf(name, sizeof(name), "leat_tls_%s_%u_%u", what, l->e->id, i);
    return fault_now() ? NULL
                       : rte_ring_create(name, l->params.queue, SOCKET_ID_ANY,
                                         RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

/* The thread that starts it is an engine's, bound to the engine's CPU: a worker must not stay there. */
static void place(struct tls_layer *l, const struct worker *w, uint32_t i)
{
    cpu_set_t set, one;
    CPU_ZERO(&one);
    bool bind = tls_worker_cpus(l, &set);
    CPU_SET((size_t)cpus_nth(&set, l->e->id * tls_workers_wanted(l) + i), &one);
    pthread_setaffinity_np(w->thread, sizeof(set), bind ? &one : &set);
}

static int worker_start(struct tls_layer *l, struct worker *w, uint32_t i)
{
    w->todo = ring_new(l, i, "todo");
    w->done = w->todo ? ring_new(l, i, "done") : NULL;
    if (!w->done) {
        rte_ring_free(w->todo);
        return -ENOMEM;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    int err = pthread_create(&w->thread, NULL, worker_main, w);
    if (err) {
        rte_ring_free(w->todo);
        rte_ring_free(w->done);
        return -err;
    }
    place(l, w, i);
    char name[32];
    snprintf(name, sizeof(name), "leat-tls-%u-%u", l->e->id, i);
    name[15] = '\0'; // what the kernel keeps of a thread's name (pthread_setname_np(3))
    pthread_setname_np(w->thread, name);
    return 0;
}

static struct tls_workers *thread_create(struct tls_layer *l, uint32_t n)
{
    struct tls_workers *ws = mem_alloc(sizeof(*ws) + n * sizeof(ws->w[0]));
    if (!ws)
        return NULL;
    while (ws->n < n && worker_start(l, &ws->w[ws->n], ws->n) == 0)
        ws->n++;
    if (ws->n == 0) {
        mem_free(ws);
        return NULL;
    }
    l->stats.threads = ws->n;
    return ws;
}

static bool thread_submit(struct tls_workers *ws, struct tls_job *j)
{
    struct worker *w = &ws->w[j->flow->worker % ws->n];
    if (w->under_way == rte_ring_get_capacity(w->done) || rte_ring_sp_enqueue(w->todo, j) != 0)
        return false;
    w->under_way++;
    atomic_store_explicit(&w->given, ++w->submitted, memory_order_release);
    return true;
}

static void thread_flush(struct tls_workers *ws)
{
    for (struct worker *w = ws->w; w < ws->w + ws->n; w++) {
        if (w->submitted == w->flushed)
            continue;
        w->flushed = w->submitted;
        atomic_exchange(&w->given, w->submitted);
        if (atomic_load(&w->asleep)) {
            pthread_mutex_lock(&w->lock);
            pthread_cond_signal(&w->wake);
            pthread_mutex_unlock(&w->lock);
        }
    }
}

static unsigned thread_reap(struct tls_workers *ws)
{
    struct tls_job *j[BURST] = {NULL};
    unsigned total = 0, n;
    for (struct worker *w = ws->w; w < ws->w + ws->n; w++) {
        while (w->under_way > 0 && (n = rte_ring_sc_dequeue_burst(w->done, (void **)j, BURST, NULL)) > 0) {
            w->under_way -= n;
            total += n;
            for (unsigned i = 0; i < n; i++)
                tls_job_done(j[i]);
        }
    }
    return total;
}

static void thread_destroy(struct tls_workers *ws)
{
    for (struct worker *w = ws->w; w < ws->w + ws->n; w++) {
        pthread_mutex_lock(&w->lock);
        atomic_store(&w->stop, true);
        pthread_cond_signal(&w->wake);
        pthread_mutex_unlock(&w->lock);
        pthread_join(w->thread, NULL);
    }
    thread_reap(ws);
    for (struct worker *w = ws->w; w < ws->w + ws->n; w++) {
        rte_ring_free(w->todo);
        rte_ring_free(w->done);
        pthread_cond_destroy(&w->wake);
        pthread_mutex_destroy(&w->lock);
    }
    mem_free(ws);
}

const struct tls_worker_ops tls_worker_thread = {
    .name = "thread",
    .create = thread_create,
    .destroy = thread_destroy,
    .submit = thread_submit,
    .flush = thread_flush,
    .reap = thread_reap,
};
