// SPDX-License-Identifier: BSD-3-Clause
// The writer as a thread: dumps come by one ring and go back by another, so that the engine never waits for a disk.
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <rte_ring.h>
#include "base/alloc.h"
#include "blackbox/files.h"

#define RING_SLOTS 65536 /* net.inet.tcp.bb.queue at most */
#define BURST      32

struct bb_writer {
    struct bb_layer *l;
    struct bb_files *files;
    struct bb_written written;
    struct rte_ring *todo, *done;
    sem_t work;
    atomic_bool stop;
    pthread_t thread;
};

/* Until there is work; now and then it looks whether its followers are still there. */
static void rest(struct bb_writer *w)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    if (sem_timedwait(&w->work, &until) < 0 && errno == ETIMEDOUT)
        bb_files_look(w->files);
}

static void *writer_main(void *arg)
{
    struct bb_writer *w = arg;
    void *d[BURST];
    for (;;) {
        unsigned n = rte_ring_sc_dequeue_burst(w->todo, d, BURST, NULL);
        for (unsigned i = 0; i < n; i++)
            bb_files_dump(w->files, d[i]);
        if (n > 0) {
            rte_ring_sp_enqueue_bulk(w->done, d, n, NULL); /* has room for all that are under way */
            continue;
        }
        if (atomic_load(&w->stop))
            return NULL;
        rest(w);
    }
}

static struct rte_ring *ring_new(const struct bb_layer *l, const char *what)
{
    char name[RTE_RING_NAMESIZE];
    snprintf(name, sizeof(name), "leat_bb_%s_%u", what, l->env.engine);
    return fault_now() ? NULL
                       : rte_ring_create(name, RING_SLOTS, SOCKET_ID_ANY,
                                         RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
}

static void writer_free(struct bb_writer *w)
{
    rte_ring_free(w->todo);
    rte_ring_free(w->done);
    if (w->files)
        bb_files_free(w->files);
    sem_destroy(&w->work);
    mem_free(w);
}

static struct bb_writer *thread_create(struct bb_layer *l)
{
    struct bb_writer *w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->l = l;
    sem_init(&w->work, 0, 0);
    w->todo = ring_new(l, "todo");
    w->done = ring_new(l, "done");
    w->files = bb_files_new(l, &w->written);
    if (!w->todo || !w->done || !w->files || pthread_create(&w->thread, NULL, writer_main, w) != 0) {
        writer_free(w);
        return NULL;
    }
    char name[16];
    snprintf(name, sizeof(name), "leat-bb-%u", l->env.engine % 1000u);
    pthread_setname_np(w->thread, name);
    return w;
}

static bool thread_submit(struct bb_writer *w, struct bb_dump *d)
{
    if (rte_ring_sp_enqueue(w->todo, d) != 0)
        return false;
    sem_post(&w->work);
    return true;
}

static unsigned thread_reap(struct bb_writer *w)
{
    void *d[BURST] = {NULL};
    unsigned n = rte_ring_sc_dequeue_burst(w->done, d, BURST, NULL);
    for (unsigned i = 0; i < n; i++)
        bb_dump_done(w->l, d[i]);
    return n;
}

static void thread_destroy(struct bb_writer *w)
{
    atomic_store(&w->stop, true);
    sem_post(&w->work);
    pthread_join(w->thread, NULL);
    while (thread_reap(w) > 0)
        ;
    writer_free(w);
}

static const struct bb_written *thread_written(const struct bb_writer *w)
{
    return &w->written;
}

const struct bb_writer_ops bb_writer_thread = {
    .name = "thread",
    .create = thread_create,
    .destroy = thread_destroy,
    .submit = thread_submit,
    .reap = thread_reap,
    .written = thread_written,
};
