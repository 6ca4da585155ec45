// SPDX-License-Identifier: BSD-3-Clause
// How other threads speak to an engine: a request goes through the engine's ring, is carried out in its control phase and
// is marked done. Tools reach it through DPDK telemetry (control socket of leat's own beside it for what changes state).
#pragma once
#include <stdatomic.h>
#include <stdint.h>

struct engine;
struct control_output;

struct control_request {
    /* Runs on the engine's thread. Returns 0 or -errno. */
    int (*run)(struct engine *e, void *arg);
    void *arg;
    int result;
    _Atomic int done; /* release-stored 1 by the engine after result */
};

/* From a thread that is not an engine's: queue and wait. -EBUSY: ring full; -ETIMEDOUT after timeout_ms (the request
 * is then abandoned safely); else run's result. */
int control_call(struct engine *e, int (*run)(struct engine *, void *), void *arg, unsigned timeout_ms);
/* The station of PHASE_CONTROL: at most one request. */
unsigned control_station(struct engine *e, void *unused);

/*
 * The tool socket: a Unix stream socket, mode 0600, in its own thread. One request a line, JSON answer a line (see
 * docs/leatctl.md). Commands are a table that rooms add to; each runs on engines through control_call().
 */
struct control_command {
    const char *name; /* "sysctl", "ifconfig", "netstat" */
    /* Runs on the tool thread. argv as on leatctl's command line; prints its answer to out and errors to err.
     * Returns the exit status for the tool. */
    int (*run)(struct engine *const *engines, unsigned n_engines, int argc, char **argv,
               struct control_output *io);
};
void control_printf(struct control_output *io, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void control_errorf(struct control_output *io, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
