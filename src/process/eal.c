// SPDX-License-Identifier: BSD-3-Clause
// DPDK's EAL: by default without hugepages, PCI devices or shared files, so that anybody can run it; what
// the user asks for wins.
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include "base/alloc.h"
#include "base/cpus.h"
#include "process/priv.h"

struct eal_user {
    char **args;
    int n;
};

/* Does the user give one of these options (a list ended by NULL)? */
static bool gives(const struct eal_user *u, const char *const *options)
{
    for (; *options; options++) {
        size_t len = strlen(*options);
        bool is_short = (*options)[1] != '-';

        for (int i = 0; i < u->n; i++) {
            if (strncmp(u->args[i], *options, len) == 0 &&
                (is_short || u->args[i][len] == 0 || u->args[i][len] == '='))
                return true;
        }
    }
    return false;
}
#define GIVES(U, ...) gives(U, (const char *const[]){__VA_ARGS__, NULL})

static int add(struct process *p, const char *fmt, const char *value)
{
    char *arg;
    size_t len = strlen(fmt) + strlen(value) + 1;

    if (p->n_eal_args + 1 >= p->eal_args_room)
        return -E2BIG;
    arg = mem_alloc(len);
    if (!arg)
        return -ENOMEM;
    snprintf(arg, len, fmt, value);
    p->eal_args[p->n_eal_args++] = arg;
    return 0;
}

static int add_number(struct process *p, const char *option, uint32_t n)
{
    char text[64];

    snprintf(text, sizeof(text), "%s%u", option, n);
    return add(p, "%s", text);
}

/* Engines may use every CPU that the process may, so that two processes without -l do not meet on one. */
static int add_lcores(struct process *p)
{
    char text[2048];
    uint32_t n = p->config.engines ? p->config.engines : 1;
    int len = snprintf(text, sizeof(text), n == 1 ? "--lcores=0@(" : "--lcores=(0-%u)@(", n - 1);
    const char *comma = "";
    cpu_set_t set;

    if (sched_getaffinity(0, sizeof(set), &set) != 0)
        return -errno;
    for (int cpu = 0; cpu < CPU_SETSIZE && len < (int)sizeof(text) - 8; cpu++) {
        if (!CPU_ISSET(cpu, &set))
            continue;
        len += snprintf(text + len, sizeof(text) - len, "%s%d", comma, cpu);
        comma = ",";
    }
    snprintf(text + len, sizeof(text) - len, ")");
    return add(p, "%s", text);
}

static int add_memory(struct process *p, const struct eal_user *u, bool pci)
{
    bool huge = !GIVES(u, "--no-huge") &&
                (p->config.hugepages || pci ||
                 GIVES(u, "--in-memory", "--huge-dir", "--huge-unlink", "--socket-mem", "--socket-limit",
                       "--single-file-segments", "--legacy-mem", "--proc-type", "--file-prefix"));
    uint32_t memory = p->config.memory;
    int rc = 0;

    if (!huge && !GIVES(u, "--no-huge"))
        rc = add(p, "%s", "--no-huge");
    if (!rc && !huge && !GIVES(u, "--no-shconf"))
        rc = add(p, "%s", "--no-shconf");
    if (!rc && huge &&
        !GIVES(u, "--in-memory", "--huge-dir", "--huge-unlink", "--legacy-mem", "--proc-type",
               "--file-prefix", "--no-shconf"))
        rc = add(p, "%s", "--in-memory");
    if (!huge && !memory)
        memory = PROC_MEMORY_DEFAULT;
    if (!rc && memory && !GIVES(u, "-m", "--socket-mem")) {
        rc = add(p, "%s", "-m");
        rc = rc ? rc : add_number(p, "", memory);
    }
    p->hugepages = huge;
    return rc;
}

static int build(struct process *p, const char *program, const struct eal_user *u)
{
    bool pci = GIVES(u, "-a", "--allow", "-b", "--block");
    int rc = add(p, "%s", program);

    if (!rc && !pci && !GIVES(u, "--no-pci"))
        rc = add(p, "%s", "--no-pci");
    if (!rc)
        rc = add_memory(p, u, pci);
    if (!rc && !GIVES(u, "-l", "-c", "-s", "--lcores"))
        rc = add_lcores(p);
    if (!rc && !GIVES(u, "--log-level"))
        rc = add(p, "%s", "--log-level=*:warning");
    for (unsigned i = 0; !rc && i < p->config.n_ports; i++) {
        if (p->config.ports[i].vdev)
            rc = add(p, "--vdev=%s", p->config.ports[i].vdev);
    }
    for (int i = 0; !rc && i < u->n; i++)
        rc = add(p, "%s", u->args[i]);
    return rc;
}

static int start(struct process *p, const char *program, const struct eal_user *u)
{
    char **argv;
    int rc;

    p->eal_args_room = 24 + u->n + (int)p->config.n_ports;
    /* Twice: rte_eal_init() exchanges and overwrites pointers. */
    p->eal_args = mem_alloc(2 * p->eal_args_room * sizeof(*p->eal_args));
    rc = p->eal_args ? build(p, program, u) : -ENOMEM;
    if (rc)
        return proc_error(p, rc, "arguments for DPDK: %s", strerror(-rc));
    argv = memcpy(p->eal_args + p->eal_args_room, p->eal_args, p->n_eal_args * sizeof(*p->eal_args));
    if (rte_eal_init(p->n_eal_args, argv) < 0)
        return proc_error(p, -rte_errno, "DPDK does not start: %s", rte_strerror(rte_errno));
    p->eal_ours = true;
    return 0;
}

static int find_lcores(struct process *p)
{
    unsigned lcore, have = rte_lcore_count(), n = 0;

    p->n_engines = p->config.engines ? p->config.engines : have;
    if (p->n_engines > have || p->n_engines > PROC_ENGINES_MAX)
        return proc_error(p, -EINVAL, "[leat] engines: \"%u\": expected at most %u, one for each lcore",
                          p->n_engines, RTE_MIN(have, (unsigned)PROC_ENGINES_MAX));
    p->engines[n++].lcore = rte_get_main_lcore();
    RTE_LCORE_FOREACH_WORKER(lcore)
    {
        if (n < p->n_engines)
            p->engines[n++].lcore = lcore;
    }
    for (unsigned i = 0; i < n; i++)
        p->engines[i].socket_id = (int)rte_lcore_to_socket_id(p->engines[i].lcore);
    return 0;
}

int proc_eal_start(struct process *p, const char *program, char **user, int n_user)
{
    struct eal_user u = {user, n_user};
    int rc = 0;

    /* No lcore is known before rte_eal_init(): the program may have called it, and then its devices are
     * used. */
    cpus_remember();
    if (rte_lcore_count() == 0)
        rc = start(p, program, &u);
    return rc ? rc : find_lcores(p);
}

void proc_eal_end(struct process *p)
{
    if (p->eal_ours)
        rte_eal_cleanup();
    for (int i = 0; i < p->n_eal_args; i++)
        mem_free(p->eal_args[i]);
    mem_free(p->eal_args);
    p->eal_args = NULL;
    p->n_eal_args = 0;
}
