// SPDX-License-Identifier: BSD-3-Clause
// Many paced connections on one engine: what the wheel costs for each departure, and how late departures are.
//   hpts wheel|engine|own [CONNS [BYTES_S [MS]]]     100000 connections, 12500 bytes/s (100 kbit/s) each, 1000 ms
// wheel: the wheel alone, in CPU time, by a clock of its own, with turns of a slot (10 us) and of 2 us. engine: connections as the stack has them (struct tcb, its
// timers, the engine's due list, the pacer), only that no segment is built, by the machine's clock: their lateness is worth something on a CPU that is free.
// own: the same as on a CPU of its own: by the thread's CPU time, which stands while others have the CPU, and without what that clock counts though it was not the engine's:
// where more than a slot passes between two readings, and 1 us for each timer served meanwhile, the rest is left out. How much that is, and how much of it a loop finds that
// does nothing but read the clock, is printed; where they differ much, it was not the machine.
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sysctl/sysctl.h"
#include "tcp/tcp.h"

#define MSS 1448

static unsigned conns = 100000;
static uint64_t rate = 12500, length_ms = 1000;
static clockid_t clock_id = CLOCK_MONOTONIC; /* of the engine */

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

static bool own;
static struct gaps { /* between two readings of the clock */
    uint64_t last, n, ns, longest;
} gaps;

/* Is it longer than what was done since can have taken? Returns what is too much, ns. */
static uint64_t gap_since(uint64_t now, uint64_t timers)
{
    uint64_t took = now - gaps.last, most = WHEEL_SLOT_NS + timers * NS_PER_US;
    gaps.last = now;
    gaps.longest = RTE_MAX(gaps.longest, took);
    if (took <= most)
        return 0;
    gaps.n++;
    gaps.ns += took - most;
    return took - most;
}

static uint64_t machine_clock(void *arg)
{
    static uint64_t fired;
    const struct engine *e = arg;
    uint64_t now = read_clock(clock_id), timers = e->wheel.fired - fired, lost = gap_since(now, timers);
    fired = e->wheel.fired;
    if (own)
        offset -= lost;
    return now + offset;
}

/* What this machine does to a loop that only reads the clock. */
static void machine_alone(void)
{
    uint64_t from = read_clock(clock_id);
    gaps = (struct gaps){.last = from};
    while (gaps.last < from + length_ms * NS_PER_MS)
        gap_since(read_clock(clock_id), 0);
    printf("own: a loop that only reads the clock: %lu gaps of more than a slot, beyond it %.2f %% of the "
           "time; the longest %.1f us\n",
           gaps.n, (double)gaps.ns / (double)length_ms / 1e4, (double)gaps.longest / NS_PER_US);
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
    e->now = machine_clock(e);
    TAILQ_FOREACH (tp, &e->tcp->all, all_link) {
        tp->pacer.next = e->now + 50 * NS_PER_MS + (uint64_t)rand() * (gap / 1000) / (RAND_MAX / 1000);
        pacer_wait(tp);
    }
}

/* How often the scheduler took the CPU away. */
static long preempted(void)
{
    struct rusage u;
    getrusage(RUSAGE_THREAD, &u);
    return u.ru_nivcsw;
}

static struct engine *engine_make(struct sim *sim)
{
    struct sim_node *n = sim ? sim_host(sim, "paced") : NULL;
    if (!n)
        die("host");
    struct engine *e = sim_engine(n);
    gaps.last = read_clock(clock_id);
    offset = e->now - gaps.last;
    e->env.clock = machine_clock;
    e->env.arg = e;
    e->params.wheel_budget = 1024;
    open_all(e);
    start_all(e);
    return e;
}

static void engine(void)
{
    if (own)
        machine_alone();
    struct sim *sim = sim_eal_init(64) < 0 ? NULL : sim_create(1);
    struct engine *e = engine_make(sim);
    const char *name = own ? "own" : "engine";
    for (uint64_t end = e->now + 50 * NS_PER_MS + gap; e->now < end;)
        engine_turn(e);
    memset(e->wheel.late, 0, sizeof(e->wheel.late));
    e->wheel.behind_max_ns = 0;
    gaps = (struct gaps){.last = gaps.last};
    size_t allocated = mallinfo2().uordblks;
    long taken = preempted();
    uint64_t wall = read_clock(CLOCK_MONOTONIC), cpu = read_clock(CLOCK_THREAD_CPUTIME_ID);
    uint64_t before = sent, turns = e->stats.turns, from = e->now;
    while (e->now < from + length_ms * NS_PER_MS)
        engine_turn(e);
    cpu = read_clock(CLOCK_THREAD_CPUTIME_ID) - cpu;
    wall = read_clock(CLOCK_MONOTONIC) - wall;
    double took = (double)(e->now - from) / NS_PER_SEC;
    printf("%s: %u connections at %lu bytes/s: %.0f departures/s of %.0f, %.0f turns/s; %ld bytes allocated "
           "meanwhile\n",
           name, conns, rate, (double)(sent - before) / took, conns * 1e9 / (double)gap,
           (double)(e->stats.turns - turns) / took, (long)(mallinfo2().uordblks - allocated));
    printf("%s: the CPU was taken away %ld times and %.1f %% of the time; %lu gaps of more than a slot and 1 "
           "us a timer, beyond it %.2f %% of the time; the longest %.1f us\n",
           name, preempted() - taken, 100 - (double)cpu * 100 / (double)wall, gaps.n,
           (double)gaps.ns / took / 1e7, (double)gaps.longest / NS_PER_US);
    char text[100];
    sysctl_get_text(e->sysctl, "net.inet.tcp.hpts.lateness", text, sizeof(text));
    printf("%s: lateness in us: %s\n%s: slots late:", name, text, name);
    for (unsigned i = 0; i < WHEEL_LATE_BUCKETS; i++)
        printf(" %lu", e->wheel.late[i]);
    printf("\n");
    sim_destroy(sim);
}

int main(int argc, char **argv)
{
    bool alone = argc > 1 && strcmp(argv[1], "wheel") == 0;
    own = argc > 1 && strcmp(argv[1], "own") == 0;
    if (own)
        clock_id = CLOCK_THREAD_CPUTIME_ID;
    if (argc > 2)
        conns = (unsigned)strtoul(argv[2], NULL, 10);
    if (argc > 3)
        rate = strtoull(argv[3], NULL, 10);
    if (argc > 4)
        length_ms = strtoull(argv[4], NULL, 10);
    if (argc < 2 || (!alone && !own && strcmp(argv[1], "engine") != 0) || conns == 0 || rate == 0 ||
        length_ms == 0) {
        fprintf(stderr, "usage: hpts wheel|engine|own [CONNS [BYTES_S [MS]]]\n");
        return 2;
    }
    gap = (MSS + 54) * NS_PER_SEC / rate;
    if (alone)
        wheel_alone();
    else
        engine();
    return 0;
}
