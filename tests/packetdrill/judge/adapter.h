// SPDX-License-Identifier: BSD-3-Clause
// One simulated host behind packetdrill's table of functions. One lock for everything: packetdrill has at most a second thread, in a
// call that waits; the command socket has a third.
#pragma once
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include "interface.h"
#include "port/sim/dialog.h"

#define ADAPTER_FDS 1024

/* Of the call that waits on a second thread. */
enum adapter_waiter { WAITER_NONE, WAITER_ASLEEP, WAITER_AWAKE };

struct adapter {
    pthread_mutex_t lock;
    pthread_cond_t turn; /* waiter changed */
    pthread_t main;      /* the thread that runs the world */
    enum adapter_waiter waiter;
    pthread_t waiting; /* its thread; valid unless WAITER_NONE */
    struct dialog *dialog;
    struct dialog_config config;
    char stack[16], folder[64], socket_path[100];
    char text[4][64];      /* of config's addresses */
    int live[ADAPTER_FDS]; /* Leat's descriptor behind one of the process; -1: none */
    struct adapter_packet {
        struct adapter_packet *next;
        struct rte_mbuf *m;
        uint64_t when;
    } * first, **last; /* left the stack, not asked for yet */
    int control;       /* the command socket */
};

/* adapter.c: the world up to t, which is virtual ns; what is sent meanwhile is queued. The lock is held. */
void adapter_run_until(struct adapter *a, uint64_t t);
/* One event of the world, at most until; false: none. */
bool adapter_step(struct adapter *a, uint64_t until);
uint64_t adapter_now(const struct adapter *a);
#define ADAPTER_HORIZON (600ull * 1000000000ull) /* nobody waits longer than this, in virtual ns */

/* calls.c */
void adapter_calls(struct packetdrill_interface *ifc);

/* control.c: 0, or -1 with errno */
int control_start(struct adapter *a);
void control_stop(struct adapter *a);
