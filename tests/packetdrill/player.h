// SPDX-License-Identifier: BSD-3-Clause
// Plays a script over one simulated host.
#pragma once
#include "engine/engine.h"
#include "port/sim/dialog.h"
#include "script.h"

#define PLAYER_FDS 64

struct player {
    struct script *script;
    struct dialog *dialog;
    const char *stack; /* net.inet.tcp.functions_default; NULL: as it is */
    bool verbose;
    uint16_t bind_port, connect_port, bound;   /* bound: by the last bind() */
    int64_t tolerance;                         /* ns */
    double tolerance_percent;                  /* of the time since the event before, when that is more */
    bool packets_may_differ, calls_may_differ; /* --non_fatal */
    int64_t at;                                /* script time of the event before, ns from the start */
    struct player_fd {
        int script, live; /* live -1: closed */
        bool plain;       /* a file of the system, not a socket of Leat */
    } fds[PLAYER_FDS];
    unsigned n_fds;
    const struct event *waiting; /* a call that has not ended */
    int64_t waiting_ends;
    int last_fd; /* the live socket of the last call, for code */
    char *err;
    size_t errlen;
};

/* 0, or -1 with a message in err that names the line. */
int player_run(struct player *p, char *err, size_t errlen);

/* calls.c: one call. 0, or -1 with a message. blocked: its result is -1 EAGAIN though the script expects it to wait. */
int call_run(struct player *p, const struct event *e, bool *blocked);
/* commands.c: a shell command, the stack's own words (sysctl, sockstat, tcpdrop) answered by the stack. 0, or -1 with a message. */
int command_run(struct player *p, const struct event *e);
/* code.c: a %{ }% snippet of Python. 0, or -1 with a message. */
int code_run(struct player *p, const struct event *e);

/* Formats a message with the line into p->err; returns -1. */
int player_failed(struct player *p, const struct event *e, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
