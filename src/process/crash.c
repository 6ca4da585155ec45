// SPDX-License-Identifier: BSD-3-Clause
// A process that dies of a signal writes its black boxes first.
#include <signal.h>
#include <stdlib.h>
#include "base/alloc.h"
#include "process/priv.h"
#include "blackbox/blackbox.h"
#include "tcp/tcp.h"

#define STACK_BYTES 65536

static struct process *dying;
static atomic_flag begun = ATOMIC_FLAG_INIT;

static void on_crash(int sig)
{
    if (!atomic_flag_test_and_set(&begun))
        for (unsigned i = 0; i < dying->n_engines; i++)
            if (dying->engines[i].e && dying->engines[i].e->tcp)
                bb_crash_write(dying->engines[i].e->tcp->bb);
    raise(sig); /* SA_RESETHAND: now it kills */
}

void proc_crash_watch(struct process *p)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    dying = p;
    for (unsigned i = 0; i < RTE_DIM(signals); i++) {
        struct sigaction before, ours = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND | SA_ONSTACK};
        /* A program that has a handler of its own knows better. */
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler == SIG_DFL)
            sigaction(signals[i], &ours, NULL);
    }
}

void *proc_crash_stack(void)
{
    stack_t s = {.ss_sp = mem_alloc(STACK_BYTES), .ss_size = STACK_BYTES};
    if (s.ss_sp)
        sigaltstack(&s, NULL);
    return s.ss_sp;
}

void proc_crash_stack_free(void *stack)
{
    const stack_t off = {.ss_flags = SS_DISABLE};
    sigaltstack(&off, NULL);
    mem_free(stack);
}
