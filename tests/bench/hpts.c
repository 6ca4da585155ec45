// SPDX-License-Identifier: BSD-3-Clause
// Many paced connections on one engine: what the wheel costs for each departure, and how late departures are.
//   hpts wheel|engine [CONNS [BYTES_S [MS]]]     100000 connections, 12500 bytes/s (100 kbit/s) each, 1000 ms
// wheel: the wheel alone, in CPU time, by a clock of its own, with turns of a slot (10 us) and of 2 us. engine: connections as the stack has them (struct tcb, its
// timers, the engine's due list, the pacer), only that no segment is built, by the machine's clock: their lateness is worth something on a CPU that is free.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sysctl/sysctl.h"
#include "tcp/tcp.h"

#define MSS 1448

static unsigned conns = 100000;
static uint64_t rate = 12500, length_ms = 1000;

static uint64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "hpts: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- the wheel alone ---- */

struct departure { /* as far from the next as connections are */
    struct wheel_timer timer;
    uint64_t next;
    char rest[sizeof(struct tcb) - sizeof(struct wheel_timer) - sizeof(uint64_t)];
};
static struct wheel wheel;
static uint64_t gap;

static void depart(struct wheel_timer *t, uint64_t now)
{
    struct departure *d = container_of(t, struct departure, timer);
    d->next += gap;
    wheel_arm(&wheel, t, d->next);
}

/* CPU time of turns so long, ns. */
static double turns_until(uint64_t *now, uint64_t end, uint64_t turn)
{
    uint64_t before = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    for (; *now < end; *now += turn)
        wheel_advance(&wheel, *now, 1024);
    return (double)(read_clock(CLOCK_PROCESS_CPUTIME_ID) - before);
}

static void measure(uint64_t *now, uint64_t turn)
{
    double best = 1e9;
    for (int run = 0; run < 5; run++) {
        uint64_t fired = wheel.fired, ms = *now + length_ms * NS_PER_MS / 5;
        double took = turns_until(now, ms, turn) / (double)(wheel.fired - fired);
        best = took < best ? took : best;
    }
    printf("wheel: %u timers, one each %.1f ms, turns of %lu us: %.1f ns insert + fire, turns included (best "
           "of 5); p99 %lu us late\n",
           conns, (double)gap / NS_PER_MS, turn / 1000, best, wheel_late(&wheel, 0.99) / NS_PER_US);
}

static void wheel_alone(void)
{
    size_t size = conns * sizeof(struct departure);
    struct departure *d = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t now = 0;
    if (d == MAP_FAILED)
        die("memory");
    madvise(d, size, MADV_HUGEPAGE); /* as on huge pages of DPDK */
    wheel_init(&wheel, 0);
    for (unsigned i = 0; i < conns; i++) {
        wheel_timer_init(&d[i].timer, depart);
        d[i].next = NS_PER_MS + (uint64_t)rand() * (gap / 1000) / (RAND_MAX / 1000);
        wheel_arm(&wheel, &d[i].timer, d[i].next);
    }
    turns_until(&now, 2 * gap, WHEEL_SLOT_NS);
    measure(&now, WHEEL_SLOT_NS);
    measure(&now, 2000);
    munmap(d, size);
}

/* ---- connections of an engine ---- */

static uint64_t sent, offset;

static void pace(struct tcb *tp)
{
    for (bool open = pacer_begin(tp); open; open = pacer_open(tp)) {
        pacer_sent(tp, MSS);
        sent++;
    }
    pacer_wait(tp);
}
static void timer(struct tcb *tp, enum tcp_timer which, uint64_t now)
{
    tcb_mark_due(tp);
}
static int nothing(struct tcb *tp)
{
    return 0;
}
static void nothing_left(struct tcb *tp, bool dying)
{
}
static struct tcp_stack stack;

static uint64_t machine_clock(void *arg)
{
    return read_clock(CLOCK_MONOTONIC) + offset;
}

static void open_all(struct engine *e)
{
    stack = tcp_stack_default;
    stack.init = nothing;
    stack.fini = nothing_left;
    stack.output = pace;
    stack.timer = timer;
    for (unsigned i = 0; i < conns; i++) {
        struct tcb *tp = tcp_new(e, NULL, NULL);
        if (!tp)
            die("tcp_new");
        tp->stack = &stack;
        tp->faddr = ip_addr_v4(1);
        tp->maxseg = MSS;
        tcp_set_state(tp, TCPS_ESTABLISHED);
        pacer_limit(tp, rate);
        engine_unmark_due(e, &tp->due);
    }
}

/* Each begins at a moment of its own, when all are there. */
static void start_all(struct engine *e)
{
    struct tcb *tp;
    e->now = machine_clock(NULL);
    TAILQ_FOREACH (tp, &e->tcp->all, all_link) {
        tp->pacer.next = e->now + 50 * NS_PER_MS + (uint64_t)rand() * (gap / 1000) / (RAND_MAX / 1000);
        pacer_wait(tp);
    }
}

static void engine(void)
{
    if (sim_eal_init(64) < 0)
        die("EAL");
    struct sim *sim = sim_create(1);
    struct sim_node *n = sim ? sim_host(sim, "paced") : NULL;
    if (!n)
        die("host");
    struct engine *e = sim_engine(n);
    offset = e->now - read_clock(CLOCK_MONOTONIC);
    e->env.clock = machine_clock;
    e->params.wheel_budget = 1024;
    e->now = machine_clock(NULL);
    open_all(e);
    start_all(e);
    for (uint64_t end = e->now + 50 * NS_PER_MS + gap; e->now < end;)
        engine_turn(e);
    memset(e->wheel.late, 0, sizeof(e->wheel.late));
    e->wheel.behind_max_ns = 0;
    size_t allocated = mallinfo2().uordblks;
    uint64_t cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID), before = sent, turns = e->stats.turns, from = e->now;
    uint64_t long_turns = 0, longest = 0, lost = 0, did = 0;
    while (e->now < from + length_ms * NS_PER_MS) {
        uint64_t last = e->now, fired = e->wheel.fired;
        engine_turn(e);
        /* The turn before took so long for so little: the CPU was somebody else's. */
        uint64_t little = did;
        did = e->wheel.fired - fired;
        if (e->now - last > WHEEL_SLOT_NS + little * NS_PER_US) {
            long_turns++;
            lost += e->now - last;
        }
        longest = RTE_MAX(longest, e->now - last);
    }
    cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    double took = (double)(e->now - from) / NS_PER_SEC;
    printf("engine: %u connections at %lu bytes/s: %.0f departures/s of %.0f, %.0f turns/s, CPU %.0f %%; %ld "
           "bytes allocated meanwhile\n",
           conns, rate, (double)(sent - before) / took, conns * 1e9 / (double)gap,
           (double)(e->stats.turns - turns) / took, (double)cpu / took / 1e7,
           (long)(mallinfo2().uordblks - allocated));
    printf("engine: %lu turns without the CPU for more than a slot, %.2f %% of the time; the longest turn "
           "%.1f us\n",
           long_turns, (double)lost / took / 1e7, (double)longest / NS_PER_US);
    char text[100];
    sysctl_get_text(e->sysctl, "net.inet.tcp.hpts.lateness", text, sizeof(text));
    printf("engine: lateness in us: %s\nengine: slots late:", text);
    for (unsigned i = 0; i < WHEEL_LATE_BUCKETS; i++)
        printf(" %lu", e->wheel.late[i]);
    printf("\n");
    sim_destroy(sim);
}

int main(int argc, char **argv)
{
    bool alone = argc > 1 && strcmp(argv[1], "wheel") == 0;
    if (argc > 2)
        conns = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        rate = strtoull(argv[3], NULL, 10);
    if (argc > 4)
        length_ms = strtoull(argv[4], NULL, 10);
    if (argc < 2 || (!alone && strcmp(argv[1], "engine") != 0) || conns == 0 || rate == 0 || length_ms == 0) {
        fprintf(stderr, "usage: hpts wheel|engine [CONNS [BYTES_S [MS]]]\n");
        return 2;
    }
    gap = (MSS + 54) * NS_PER_SEC / rate;
    if (alone)
        wheel_alone();
    else
        engine();
    return 0;
}
