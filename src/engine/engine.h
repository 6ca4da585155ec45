// SPDX-License-Identifier: BSD-3-Clause
// One engine per core: it owns its clock reading, wheel, buffers, connections and settings, and runs to completion.
// It knows the order of a turn and nothing of what the floors above do in it: they hook their stations in.
#pragma once
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <rte_mbuf.h>
#include "base/queue.h"
#include "base/rng.h"
#include "base/units.h"
#include "engine/wheel.h"

struct engine;
struct rte_ring;
struct sysctl_tree;
struct link_layer; /* link/link.h */
struct ip_layer;   /* ip/ip.h */
struct tcp_layer;  /* tcp/tcp.h */
struct tls_layer;  /* tls/tls.h */
struct so_layer;   /* socket/socket.h */

/* What the outside world passes in: a real clock and getrandom(2), or the simulator's. */
struct engine_env {
    uint64_t (*clock)(void *arg);                      /* monotonic, ns */
    void (*entropy)(void *arg, void *buf, size_t len); /* called at creation only */
    /* One step of the world while a call waits: NULL on a real engine, which takes a turn; the simulator moves all hosts and
     * links. until: virtual time not to pass. False: nothing will ever happen. */
    bool (*step)(void *arg, struct engine *e, uint64_t until);
    void *arg;
    int64_t utc_offset_ns; /* from clock to UTC, for people who read what was recorded */
};

/* Something that has work for the due phase of this turn: a connection that may send. Embedded in its owner. */
struct due {
    TAILQ_ENTRY(due) link;
    void (*run)(
        struct due
            *d); /* called once per turn however often it was marked; may mark itself for the next turn */
    bool queued;
};
TAILQ_HEAD(due_list, due);

/* A floor's part in the turn. Returns how much it did (packets, completions, events): 0 everywhere = an idle turn. */
typedef unsigned (*station_fn)(struct engine *e, void *arg);
struct station {
    station_fn run;
    void *arg;
};
enum engine_phase {
    PHASE_COMPLETIONS,
    PHASE_RECEIVE,
    PHASE_APPLICATION,
    PHASE_TRANSMIT,
    PHASE_CONTROL,
    PHASES
};
#define ENGINE_STATIONS 4 /* of one phase */

struct engine_params {     /* sysctl leat.engine.* */
    uint32_t rx_burst;     /* packets taken from a port per turn */
    uint32_t wheel_budget; /* timers fired per turn */
    uint32_t idle_us;      /* after idle_turns empty turns sleep this long; 0 = always poll */
    uint32_t idle_turns;
    uint32_t sleep_min_us; /* sysctl net.inet.tcp.hpts.minsleep */
};
struct engine_stats {
    uint64_t turns, idle_turns, busy_ns, idle_sleeps, timers, due_runs, control_requests, pkt_alloc_failed;
};

struct engine {
    uint64_t now; /* ns, read once per turn */
    struct due_list due;
    uint32_t n_due;      /* in the list */
    uint32_t n_due_last; /* that ran in the turn before */
    struct rte_mempool
        *pkt_pool; /* packets received and sent; passed in at creation; private area of struct pkt_info */
    struct link_layer *link;
    struct ip_layer *ip;
    struct tcp_layer *tcp;
    struct tls_layer *tls;
    struct so_layer *so;
    uint32_t id;        /* 0, 1, ... in the process */
    uint32_t count;     /* engines in the process */
    uint64_t oversleep; /* ns: how much later than asked for the engine lately woke from a sleep */
    bool stopping;
    bool worked;         /* the last turn had something to do */
    bool in_application; /* the application phase is running: an inner turn (a blocking call) leaves it out */
    struct rng rng;
    struct siphash_key secret; /* from entropy, for what attackers must not guess */
    struct siphash_key common; /* the same in all engines of the process, for what they must agree on */
    struct engine_params params;
    struct engine_stats stats;
    struct station stations[PHASES][ENGINE_STATIONS];
    struct sysctl_tree *sysctl;
    struct rte_ring *control; /* of struct control_request *, from other threads; NULL in the simulator */
    struct engine_env env;
    struct wheel wheel;
};

struct engine_config {
    uint32_t id, count;
    struct engine_env env;
    struct rte_mempool *pkt_pool;
    int socket_id;                    /* NUMA */
    const struct siphash_key *common; /* NULL: a secret of this engine's own */
};

/* NULL and errno on failure. Makes the sysctl tree and registers leat.engine.*. */
struct engine *engine_create(const struct engine_config *config);
/* The floors above must be gone. */
void engine_destroy(struct engine *e);
/* Adds a station to a phase; they run in the order added. */
void engine_station(struct engine *e, enum engine_phase phase, station_fn run, void *arg);
/* One turn, ARCHITECTURE §2. Returns the work done; 0 = idle. */
unsigned engine_turn(struct engine *e);
/*
 * May the engine sleep now, having nothing to do? ns: for how long, so that it is awake when the next timer is due, whatever sleeps overrun by; 0:
 * it should poll. engine_slept() is told how long it was.
 */
uint64_t engine_sleep(const struct engine *e);
void engine_slept(struct engine *e, uint64_t asked, uint64_t slept);
/* Earliest time at which a turn has something to do by itself (now when something is due; the wheel's next otherwise). */
uint64_t engine_next(const struct engine *e);

static inline void due_init(struct due *d, void (*run)(struct due *))
{
    d->run = run;
    d->queued = false;
}
static inline void engine_mark_due(struct engine *e, struct due *d)
{
    if (!d->queued) {
        d->queued = true;
        e->n_due++;
        TAILQ_INSERT_TAIL(&e->due, d, link);
    }
}
static inline void engine_unmark_due(struct engine *e, struct due *d)
{
    if (d->queued) {
        d->queued = false;
        e->n_due--;
        TAILQ_REMOVE(&e->due, d, link);
    }
}
