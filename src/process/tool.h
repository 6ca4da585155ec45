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
    /* Asked first: true when it has answered on fd by itself, status line and all, and perhaps goes on writing to a copy of fd. NULL: never. */
    bool (*stream)(struct process *p, int argc, char **argv, int fd);
};
int tool_sysctl(struct process *p, int argc, char **argv, FILE *out);
/* The value of a name as text, counters and gauges added up over engines. 0; -ENOENT, -ENOSPC, or control_call()'s error. */
int tool_sysctl_get(struct process *p, const char *name, char *value, size_t size, bool *number);
/* A counter's value, added up over engines, and its description (desc NULL: not wanted). False: no such counter, or no answer. */
bool tool_sysctl_counter(struct process *p, const char *name, uint64_t *value, char *desc, size_t size);
/* Calls fn for each name below prefix ("": all), stops at its first nonzero. That, control_call()'s error, or how many there were. */
int tool_sysctl_walk(struct process *p, const char *prefix, int (*fn)(const char *name, void *arg),
                     void *arg);
int tool_tls(struct process *p, int argc, char **argv, FILE *out);
int tool_ifconfig(struct process *p, int argc, char **argv, FILE *out);
int tool_netstat(struct process *p, int argc, char **argv, FILE *out);
int tool_sockstat(struct process *p, int argc, char **argv, FILE *out);
int tool_tcpdrop(struct process *p, int argc, char **argv, FILE *out);
int tool_tcpsso(struct process *p, int argc, char **argv, FILE *out);

int tool_blackbox(struct process *p, int argc, char **argv, FILE *out);
bool tool_blackbox_stream(struct process *p, int argc, char **argv, int fd);

struct tool_socket;
/* Unix stream socket, mode 0600, for the same user only. NULL and errno. path NULL: the default. */
struct tool_socket *tool_socket_open(struct process *p, const char *path);
void tool_socket_close(struct tool_socket *t);

/* DPDK's telemetry (rte_telemetry) answers /leat/sysctl from open to close. */
void tool_telemetry_open(struct process *p);
void tool_telemetry_close(void);
