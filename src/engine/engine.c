// SPDX-License-Identifier: BSD-3-Clause
#include "engine/engine.h"
#include <errno.h>
#include <rte_debug.h>
#include <rte_common.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"

#define OVERSLEEP_MOST (300 * NS_PER_US)

static unsigned stations_run(struct engine *e, enum engine_phase phase)
{
    unsigned work = 0;
    for (const struct station *s = e->stations[phase]; s < e->stations[phase] + ENGINE_STATIONS && s->run;
         s++)
        work += s->run(e, s->arg);
    return work;
}

/* An inner turn, of a call that waits, must not call the application again. */
static unsigned application(struct engine *e)
{
    if (e->in_application)
        return 0;
    e->in_application = true;
    unsigned work = stations_run(e, PHASE_APPLICATION);
    e->in_application = false;
    return work;
}

/* As many as are due now; what becomes due meanwhile stands behind them and waits for the next turn. */
static unsigned due(struct engine *e)
{
    unsigned work = 0;
    for (uint32_t n = e->n_due; n > 0 && e->n_due > 0; n--) {
        struct due *d = TAILQ_FIRST(&e->due);
        engine_unmark_due(e, d);
        d->run(d);
        work++;
    }
    e->stats.due_runs += work;
    e->n_due_last = work;
    return work;
}

static unsigned wheel(struct engine *e)
{
    unsigned fired = wheel_advance(&e->wheel, e->now, e->params.wheel_budget);
    e->stats.timers += fired;
    return fired;
}

unsigned engine_turn(struct engine *e)
{
    uint64_t now = e->env.clock(e->env.arg);
    if (e->worked)
        e->stats.busy_ns += now - e->now;
    e->now = now;
    unsigned work = stations_run(e, PHASE_COMPLETIONS);
    work += stations_run(e, PHASE_RECEIVE);
    work += wheel(e);
    work += application(e);
    work += due(e);
    work += stations_run(e, PHASE_TRANSMIT);
    work += stations_run(e, PHASE_CONTROL);
    e->stats.turns++;
    e->worked = work > 0;
    if (!e->worked)
        e->stats.idle_turns++;
    return work;
}

uint64_t engine_next(const struct engine *e)
{
    return TAILQ_EMPTY(&e->due) ? wheel_next(&e->wheel) : e->now;
}

/* Not shorter than the least, not longer than idle_us, not into the next timer's time. */
uint64_t engine_sleep(const struct engine *e)
{
    const struct engine_params *p = &e->params;
    uint64_t ns = p->idle_us * NS_PER_US, next = engine_next(e);
    uint64_t ahead = next > e->now ? next - e->now : 0,
             least = RTE_MIN(p->sleep_min_us, p->idle_us) * NS_PER_US;
    if (ahead < least + e->oversleep)
        return 0;
    return RTE_MIN(ns, ahead - e->oversleep);
}

/* Grows at once, shrinks slowly; one that was far longer was no sleep, but somebody else's work. */
void engine_slept(struct engine *e, uint64_t asked, uint64_t slept)
{
    uint64_t over = slept > asked ? RTE_MIN(slept - asked, OVERSLEEP_MOST) : 0;
    e->stats.idle_sleeps++;
    e->oversleep = over > e->oversleep ? over : e->oversleep - (e->oversleep - over) / 16;
}

void engine_station(struct engine *e, enum engine_phase phase, station_fn run, void *arg)
{
    for (struct station *s = e->stations[phase]; s < e->stations[phase] + ENGINE_STATIONS; s++) {
        if (!s->run) {
            *s = (struct station){run, arg};
            return;
        }
    }
    rte_panic("engine: more than %d stations in phase %d\n", ENGINE_STATIONS, phase);
}

static const struct sysctl_oid engine_oids[] = {
    SYSCTL_OID_UINT("leat.engine.rx_burst", struct engine, params.rx_burst, SYSCTL_RW, 64, 1, 256, "packets",
                    "packets taken from each port in one turn"),
    SYSCTL_OID_UINT("leat.engine.wheel_budget", struct engine, params.wheel_budget, SYSCTL_RW, 1024, 1,
                    1000000, "timers", "timers fired in one turn; the rest follow in the next"),
    SYSCTL_OID_UINT("leat.engine.idle_us", struct engine, params.idle_us, SYSCTL_RW, 0, 0, 10000, "us",
                    "sleep this long after idle_turns empty turns; 0 polls always"),
    SYSCTL_OID_UINT("leat.engine.idle_turns", struct engine, params.idle_turns, SYSCTL_RW, 1000, 1, 100000000,
                    "turns", "empty turns in a row before the engine may sleep"),
    SYSCTL_OID_COUNTER("leat.engine.turns", struct engine, stats.turns, "turns", "turns taken"),
    SYSCTL_OID_COUNTER("leat.engine.turns_idle", struct engine, stats.idle_turns, "turns",
                       "turns with nothing to do"),
    SYSCTL_OID_COUNTER("leat.engine.busy", struct engine, stats.busy_ns, "ns",
                       "time of turns with something to do: the load of an engine that polls"),
    SYSCTL_OID_COUNTER("leat.engine.sleeps", struct engine, stats.idle_sleeps, "sleeps",
                       "times the engine slept"),
    SYSCTL_OID_COUNTER("leat.engine.timers", struct engine, stats.timers, "timers", "timers fired"),
    SYSCTL_OID_COUNTER("leat.engine.due_runs", struct engine, stats.due_runs, "runs",
                       "output passes of connections"),
    SYSCTL_OID_COUNTER("leat.engine.control_requests", struct engine, stats.control_requests, "requests",
                       "requests of other threads carried out"),
    SYSCTL_OID_COUNTER("leat.engine.pkt_alloc_failed", struct engine, stats.pkt_alloc_failed, "packets",
                       "packet buffers that were not to be had"),
    SYSCTL_OID_U64("leat.engine.wheel_behind_max", struct engine, wheel.behind_max_ns, SYSCTL_RD, 0, 0,
                   INT64_MAX, "ns", "the most that a timer was late"),
    SYSCTL_OID_U64("leat.engine.oversleep", struct engine, oversleep, SYSCTL_RD, 0, 0, INT64_MAX, "ns",
                   "how much later than asked for sleeps lately ended: it wakes so much earlier"),
    SYSCTL_OID_GAUGE("leat.engine.timers_armed", struct engine, wheel.armed, "timers", "timers on the wheel"),
};

struct engine *engine_create(const struct engine_config *config)
{
    struct engine *e = mem_alloc(sizeof(*e));
    struct sysctl_tree *tree = e ? sysctl_tree_new() : NULL;
    if (!tree || sysctl_register(tree, engine_oids, RTE_DIM(engine_oids), e) < 0) {
        if (tree)
            sysctl_tree_free(tree);
        mem_free(e);
        errno = ENOMEM;
        return NULL;
    }
    e->sysctl = tree;
    e->env = config->env;
    e->id = config->id;
    e->count = config->count;
    e->pkt_pool = config->pkt_pool;
    TAILQ_INIT(&e->due);
    e->now = e->env.clock(e->env.arg);
    wheel_init(&e->wheel, e->now);
    uint64_t seed;
    e->env.entropy(e->env.arg, &seed, sizeof(seed));
    rng_seed(&e->rng, seed);
    e->env.entropy(e->env.arg, &e->secret, sizeof(e->secret));
    if (config->common)
        e->common = *config->common;
    else
        e->env.entropy(e->env.arg, &e->common, sizeof(e->common));
    return e;
}

void engine_destroy(struct engine *e)
{
    sysctl_tree_free(e->sysctl);
    mem_free(e);
}
