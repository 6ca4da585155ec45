// SPDX-License-Identifier: BSD-3-Clause
// Sets of CPUs: which this process may use, and lists of them as people write them.
#pragma once
#include <sched.h>

/* Notes the CPUs of the calling thread as the process's; before DPDK binds threads to theirs. */
void cpus_remember(void);
/* What was noted, or else what the process's first thread may use now. */
void cpus_of_process(cpu_set_t *out);
/* "0,2-5". 0, or -EINVAL: not such a list. */
int cpus_parse(const char *text, cpu_set_t *out);
/* The n-th of a set that is not empty, going round. */
int cpus_nth(const cpu_set_t *set, unsigned n);
