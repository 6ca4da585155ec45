// SPDX-License-Identifier: BSD-3-Clause
// The process: what leat_init() makes and leat_fini() gives back. The one place with state that is not an
// engine's.
#pragma once
#include <stdatomic.h>
#include "engine/config.h"
#include "engine/engine.h"
#include "link/port.h"
#include "link/spread.h"
#include "process/clock.h"

#define PROC_ENGINES_MAX    SPREAD_ENGINES_MAX
#define PROC_PORTS_MAX      32
#define PROC_ERROR_LEN      512
#define PROC_MEMORY_DEFAULT 256 /* MiB without hugepages */

struct proc_engine {
    struct engine *e;
    struct clock clock;
    struct rte_mempool *pool;
    unsigned lcore;
    int socket_id; /* NUMA */
};

struct proc_port {
    struct port *port;
    struct spread *spread;          /* NULL with one engine */
    const struct config_port *conf; /* NULL: not in the configuration */
    char name[NETIF_NAMSIZ];        /* of the interface */
};

struct process {
    struct config config;
    bool eal_ours; /* leat_init() started the EAL, so leat_fini() ends it */
    bool hugepages;
    bool ready; /* leat_init() has succeeded */
    unsigned n_engines, n_ports;
    struct siphash_key common; /* of all engines */
    struct proc_engine engines[PROC_ENGINES_MAX];
    struct proc_port ports[PROC_PORTS_MAX];
    char **eal_args;
    int n_eal_args, eal_args_room;
    int (*start)(void *arg);
    void *start_arg;
    _Atomic bool stop, failed;
    char error[PROC_ERROR_LEN];
};

/* Says why, for everybody: keeps it in p->error. Returns rc. */
int proc_error(struct process *p, int rc, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* sysctlbyname.c: where leat_sysctl_error() of this thread looks, PROC_ERROR_LEN bytes. */
char *proc_reason(void);
/* arguments.c: leat's own into the configuration; *eal and *n_eal: the EAL's, within argv; returns what
 * leat_init() does. */
int proc_arguments(struct process *p, int argc, char **argv, char ***eal, int *n_eal);
/* eal.c: starts the EAL, or adopts one that the program has started; finds the lcores. 0 or -errno. */
int proc_eal_start(struct process *p, const char *program, char **user, int n_user);
void proc_eal_end(struct process *p);
/* ports.c: opens ports and attaches them to every engine; then addresses and routes. 0 or -errno. */
int proc_ports_open(struct process *p);
int proc_ports_configure(struct process *p);
void proc_ports_stop(struct process *p);
void proc_ports_close(struct process *p);
/* crash.c: black boxes are written before the process dies of a signal; the stack of a thread for that case. */
void proc_crash_watch(struct process *p);
void *proc_crash_stack(void); /* NULL: no memory, then an overflown stack is not reported */
void proc_crash_stack_free(void *stack);
/* run.c: the station that notices leat_stop(), and an engine's life on its thread. */
unsigned proc_stop_station(struct engine *e, void *process);
int proc_run(struct process *p);
