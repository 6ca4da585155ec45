// SPDX-License-Identifier: BSD-3-Clause
// What leatctl asks of a running process, carried out on a thread of its own through the engines' control rings.
#pragma once
#include <stdio.h>
#include "process/priv.h"

#define TOOL_TIMEOUT_MS 2000
#define TOOL_ARGS_MAX   64

/* One command. Prints its answer, or what is wrong, to out; returns leatctl's exit status. */
struct tool_command {
    const char *name;
    int (*run)(struct process *p, int argc, char **argv, FILE *out);
};
int tool_sysctl(struct process *p, int argc, char **argv, FILE *out);
int tool_ifconfig(struct process *p, int argc, char **argv, FILE *out);

struct tool_socket;
/* Unix stream socket, mode 0600, for the same user only. NULL and errno. path NULL: the default. */
struct tool_socket *tool_socket_open(struct process *p, const char *path);
void tool_socket_close(struct tool_socket *t);
