// SPDX-License-Identifier: BSD-3-Clause
// How other threads speak to an engine: a request goes through the engine's ring, is carried out in its control phase and
// is marked done. Tools come in through toolsocket.h.
#pragma once
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct engine;

struct control_request {
    int (*run)(struct engine *e, void *arg);
    int result;
    _Atomic int state; /* control.c */
    size_t size;
    _Alignas(16) char arg[]; /* a copy: a request that was given up still finds it */
};

/*
 * From a thread that is not an engine's: run(e, copy of arg) is called on the engine's thread; the copy, as run left it, is copied back.
 * Pointers in arg must outlive the engine's turn even after a time-out. -EBUSY: ring full or engine not running; -ETIMEDOUT after
 * timeout_ms; -ENOMEM; -ESHUTDOWN; else run's result.
 */
int control_call(struct engine *e, int (*run)(struct engine *, void *), void *arg, size_t arg_size,
                 unsigned timeout_ms);
/* The station of PHASE_CONTROL: at most one request. */
unsigned control_station(struct engine *e, void *unused);
/* The engine runs no more: those who wait are told. */
void control_drain(struct engine *e);
