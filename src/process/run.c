// SPDX-License-Identifier: BSD-3-Clause
// The life of each engine on its thread: start function, turns, sleep when idle, stop.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <sys/prctl.h>
#include <rte_launch.h>
#include "engine/control.h"
#include "process/tool.h"
#include "socket/socket.h"

/* leat_stop() may be called by a signal handler: it only sets a flag, which each engine finds at the end of
 * its turn. */
unsigned proc_stop_station(struct engine *e, void *process)
{
    struct process *p = process;

    if (__builtin_expect(atomic_load_explicit(&p->stop, memory_order_relaxed), 0))
        e->stopping = true;
    return 0;
}

/* Nothing has happened for idle_turns turns. */
static void idle(struct engine *e)
{
    uint64_t ns = engine_sleep(e), from;

    if (ns == 0)
        return;
    from = e->env.clock(e->env.arg);
    nanosleep(&(struct timespec){.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)},
              NULL);
    engine_slept(e, ns, e->env.clock(e->env.arg) - from);
}

static void turns(struct engine *e)
{
    uint32_t quiet = 0;

    while (!e->stopping) {
        if (engine_turn(e) > 0)
            quiet = 0;
        else if (++quiet >= e->params.idle_turns && e->params.idle_us)
            idle(e);
    }
}

static int live(struct process *p, struct engine *e)
{
    void *stack = proc_crash_stack();
    prctl(PR_SET_TIMERSLACK,
          1UL); /* sleeps end when they should; the kernel's 50 us are for programs that need not care */
    so_set_current(e);
    if (p->start && p->start(p->start_arg) != 0) {
        atomic_store(&p->failed, true);
        atomic_store(&p->stop, true);
    }
    turns(e);
    control_drain(e);
    proc_crash_stack_free(stack);
    return 0;
}

struct worker {
    struct process *p;
    struct engine *e;
};

static int worker_main(void *arg)
{
    struct worker *w = arg;

    live(w->p, w->e);
    so_set_current(NULL);
    return 0;
}

static int tool_open(struct process *p, struct tool_socket **tools)
{
    const char *path = p->config.control;

    *tools = NULL;
    if (path && strcmp(path, "none") == 0)
        return 0;
    *tools = tool_socket_open(p, path);
    if (*tools)
        return 0;
    fprintf(stderr, "leat: [leat] control = %s: %s\n", path ? path : "(default)", strerror(errno));
    return -errno;
}

int proc_run(struct process *p)
{
    struct worker workers[PROC_ENGINES_MAX];
    struct tool_socket *tools;
    int rc = tool_open(p, &tools);

    if (rc)
        return rc;
    tool_telemetry_open(p);
    for (unsigned i = 1; i < p->n_engines && !rc; i++) {
        workers[i] = (struct worker){p, p->engines[i].e};
        rc = rte_eal_remote_launch(worker_main, &workers[i], p->engines[i].lcore);
    }
    if (rc)
        atomic_store(&p->stop, true);
    else
        live(p, p->engines[0].e);
    for (unsigned i = 1; i < p->n_engines; i++)
        rte_eal_wait_lcore(p->engines[i].lcore);
    tool_telemetry_close();
    tool_socket_close(tools);
    return rc;
}
