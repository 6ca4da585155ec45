// SPDX-License-Identifier: BSD-3-Clause
// Where workers run, and how many there are when nobody says.
#include <string.h>
#include <rte_lcore.h>
#include "base/cpus.h"
#include "tls/tls.h"

/* Takes away the CPUs to which an engine is bound: it polls there. */
static void without_engines(cpu_set_t *set)
{
    unsigned lcore;
    RTE_LCORE_FOREACH(lcore)
    {
        rte_cpuset_t of = rte_lcore_cpuset(lcore);
        if (CPU_COUNT(&of) == 1)
            CPU_CLR((size_t)cpus_nth(&of, 0), set);
    }
}

bool tls_worker_cpus(const struct tls_layer *l, cpu_set_t *out)
{
    if (*l->params.cpus && cpus_parse(l->params.cpus, out) == 0)
        return true;
    cpus_of_process(out);
    cpu_set_t all = *out;
    without_engines(out);
    if (CPU_COUNT(out) == 0)
        *out = all;
    return false;
}

uint32_t tls_workers_wanted(const struct tls_layer *l)
{
    cpu_set_t set, all;
    if (l->params.threads >= 0)
        return (uint32_t)l->params.threads;
    uint32_t engines = l->e->count ? l->e->count : 1, spare;
    if (*l->params.cpus && cpus_parse(l->params.cpus, &set) == 0) {
        spare = (uint32_t)CPU_COUNT(&set);
    } else {
        cpus_of_process(&all);
        set = all;
        without_engines(&set);
        spare = (uint32_t)CPU_COUNT(&set);
        if (CPU_EQUAL(&set, &all)) /* engines float */
            spare = spare > engines ? spare - engines : 0;
    }
    uint32_t each = spare / engines;
    return each < TLS_WORKERS_AUTO ? each : TLS_WORKERS_AUTO;
}
