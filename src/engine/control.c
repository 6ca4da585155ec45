// SPDX-License-Identifier: BSD-3-Clause
// Requests of other threads to an engine.
#include "engine/control.h"
#include <errno.h>
#include <string.h>
#include <time.h>
#include <rte_ring.h>
#include "base/alloc.h"
#include "engine/engine.h"

/* The asker waits, then reads the result and frees; when it gives up, the engine frees. Whoever comes second does it. */
enum { WAITING, FINISHED, ABANDONED };

int control_call(struct engine *e, int (*run)(struct engine *, void *), void *arg, size_t arg_size,
                 unsigned timeout_ms)
{
    struct control_request *r = mem_alloc(sizeof(*r) + arg_size);
    if (!r)
        return -ENOMEM;
    r->run = run;
    r->size = arg_size;
    if (arg_size)
        memcpy(r->arg, arg, arg_size);
    atomic_init(&r->state, WAITING);
    if (!e->control || rte_ring_enqueue(e->control, r) != 0) {
        mem_free(r);
        return -EBUSY;
    }
    for (unsigned waited = 0; atomic_load_explicit(&r->state, memory_order_acquire) != FINISHED; waited++) {
        int expected = WAITING;
        if (waited >= timeout_ms * 10 && atomic_compare_exchange_strong(&r->state, &expected, ABANDONED))
            return -ETIMEDOUT;
        nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
    }
    if (arg_size)
        memcpy(arg, r->arg, arg_size);
    int result = r->result;
    mem_free(r);
    return result;
}

static void serve(struct engine *e, struct control_request *r)
{
    int expected = WAITING;
    e->stats.control_requests++;
    if (atomic_load(&r->state) == WAITING)
        r->result = r->run(e, r->arg);
    if (!atomic_compare_exchange_strong(&r->state, &expected, FINISHED))
        mem_free(r);
}

unsigned control_station(struct engine *e, void *unused)
{
    void *r;
    if (!e->control || rte_ring_dequeue(e->control, &r) != 0)
        return 0;
    serve(e, r);
    return 1;
}

void control_drain(struct engine *e)
{
    void *r;
    while (e->control && rte_ring_dequeue(e->control, &r) == 0) {
        ((struct control_request *)r)->run = NULL;
        ((struct control_request *)r)->result = -ESHUTDOWN;
        int expected = WAITING;
        if (!atomic_compare_exchange_strong(&((struct control_request *)r)->state, &expected, FINISHED))
            mem_free(r);
    }
}
