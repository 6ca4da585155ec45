// SPDX-License-Identifier: BSD-3-Clause
// Inside of leatctl netstat: its options, and its parts in tool_netstat_*.c. Each part prints and returns leatctl's exit status.
#pragma once
#include "process/tool.h"

struct netstat_options {
    bool all, numeric, extended, queues, statistics, nonzero, interfaces, routes, wide, v4only, v6only;
    const char *protocol, *interface; /* NULL: all */
};
int netstat_statistics(struct process *p, const struct netstat_options *o, FILE *out);
int netstat_interfaces(struct process *p, const struct netstat_options *o, FILE *out);
int netstat_routes(struct process *p, const struct netstat_options *o, FILE *out);
