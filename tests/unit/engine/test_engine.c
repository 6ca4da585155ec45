// SPDX-License-Identifier: BSD-3-Clause
// The order of a turn, what is due, inner turns, idleness.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "sysctl/sysctl.h"

static struct engine *e;
static uint64_t now;
static char told[64]; /* one letter for each thing that ran */

static uint64_t read_clock(void *arg)
{
    return now;
}
static void entropy(void *arg, void *buf, size_t len)
{
    memset(buf, 1, len);
}

static void tell(char c)
{
    size_t n = strlen(told);
    assert_true(n + 1 < sizeof(told));
    told[n] = c;
    told[n + 1] = 0;
}
static unsigned station(struct engine *engine, void *letter)
{
    assert_ptr_equal(engine, e);
    assert_int_equal(engine->now, now);
    tell(*(char *)letter);
    return 1;
}
static unsigned idle(struct engine *engine, void *arg)
{
    return 0;
}

static struct engine *engine_new(void)
{
    struct engine_config c = {.count = 1, .env = {.clock = read_clock, .entropy = entropy}};
    return engine_create(&c);
}

static int begin(void **state)
{
    now = NS_PER_SEC;
    told[0] = 0;
    e = engine_new();
    return !e;
}
static int end(void **state)
{
    engine_destroy(e);
    return 0;
}

struct job {
    struct due due;
    struct wheel_timer timer;
    char letter;
    bool again;
};
static void job_run(struct due *d)
{
    struct job *j = container_of(d, struct job, due);
    tell(j->letter);
    if (j->again)
        engine_mark_due(e, d);
}
static void job_fire(struct wheel_timer *t, uint64_t at)
{
    struct job *j = container_of(t, struct job, timer);
    tell('W');
    engine_mark_due(e, &j->due);
}
static struct job job(char letter)
{
    struct job j = {.letter = letter};
    due_init(&j.due, job_run);
    wheel_timer_init(&j.timer, job_fire);
    return j;
}

static void stations_run_in_the_order_of_a_turn(void **state)
{
    static const enum engine_phase phases[] = {PHASE_CONTROL, PHASE_TRANSMIT, PHASE_APPLICATION,
                                               PHASE_RECEIVE, PHASE_COMPLETIONS};
    static char letters[] = "KTARC";
    struct job j = job('D');
    for (int i = 0; i < 5; i++)
        engine_station(e, phases[i], station, &letters[i]);
    wheel_arm(&e->wheel, &j.timer, now);
    now += 10 * WHEEL_SLOT_NS;
    /* completions, receive, wheel, application, what the timer made due, transmit, control */
    assert_int_equal(engine_turn(e), 7);
    assert_string_equal(told, "CRWADTK");
    assert_int_equal(e->stats.turns, 1);
    assert_int_equal(e->stats.timers, 1);
    assert_int_equal(e->stats.due_runs, 1);
}

static void stations_of_a_phase_run_in_the_order_added(void **state)
{
    static char a = 'a', b = 'b', c = 'c';
    engine_station(e, PHASE_RECEIVE, station, &a);
    engine_station(e, PHASE_RECEIVE, station, &b);
    engine_station(e, PHASE_RECEIVE, station, &c);
    engine_turn(e);
    assert_string_equal(told, "abc");
}

static void marked_often_runs_once_a_turn(void **state)
{
    struct job a = job('a'), b = job('b');
    engine_mark_due(e, &a.due);
    engine_mark_due(e, &b.due);
    engine_mark_due(e, &a.due);
    assert_int_equal(e->n_due, 2);
    assert_int_equal(engine_turn(e), 2);
    assert_string_equal(told, "ab");
    assert_int_equal(engine_turn(e), 0);
    assert_int_equal(e->n_due, 0);
}

static void marked_while_it_runs_waits_for_the_next_turn(void **state)
{
    struct job a = job('a');
    a.again = true;
    engine_mark_due(e, &a.due);
    assert_int_equal(engine_turn(e), 1);
    assert_int_equal(engine_turn(e), 1);
    assert_string_equal(told, "aa");
    engine_unmark_due(e, &a.due);
    engine_unmark_due(e, &a.due);
    assert_int_equal(engine_turn(e), 0);
}

static struct job *victim;
static void job_kill(struct due *d)
{
    tell('k');
    engine_unmark_due(e, &victim->due);
}

static void unmarked_by_another_does_not_run(void **state)
{
    struct job a = job('a'), b = job('b'), c = job('c');
    a.due.run = job_kill;
    victim = &b;
    engine_mark_due(e, &a.due);
    engine_mark_due(e, &b.due);
    engine_mark_due(e, &c.due);
    assert_int_equal(engine_turn(e), 2);
    assert_string_equal(told, "kc");
}

static unsigned blocking_call(struct engine *engine, void *arg)
{
    tell('(');
    engine_turn(engine);
    tell(')');
    return 0;
}

static void inner_turn_leaves_the_application_out(void **state)
{
    static char r = 'R', t = 'T';
    engine_station(e, PHASE_RECEIVE, station, &r);
    engine_station(e, PHASE_APPLICATION, blocking_call, NULL);
    engine_station(e, PHASE_TRANSMIT, station, &t);
    engine_turn(e);
    assert_string_equal(told, "R(RT)T");
    engine_turn(e);
    assert_string_equal(told, "R(RT)TR(RT)T");
}

static void turn_without_work_is_idle(void **state)
{
    engine_station(e, PHASE_RECEIVE, idle, NULL);
    assert_int_equal(engine_turn(e), 0);
    assert_int_equal(e->stats.idle_turns, 1);
    assert_int_equal(e->stats.turns, 1);
}

static void next_is_now_when_something_is_due_else_the_wheels(void **state)
{
    struct job a = job('a');
    engine_turn(e);
    assert_true(engine_next(e) == TIME_NEVER);
    wheel_arm(&e->wheel, &a.timer, now + NS_PER_MS);
    assert_in_range(engine_next(e), now + NS_PER_MS, now + NS_PER_MS + 2 * WHEEL_SLOT_NS);
    engine_mark_due(e, &a.due);
    assert_true(engine_next(e) == e->now);
    engine_turn(e);
    wheel_cancel(&e->wheel, &a.timer);
}

static void wheel_budget_spreads_a_burst_over_turns(void **state)
{
    struct job j[5];
    char err[128];
    assert_int_equal(sysctl_set_text(e->sysctl, "leat.engine.wheel_budget", "2", err, sizeof(err)), 0);
    for (int i = 0; i < 5; i++) {
        j[i] = job('d');
        wheel_arm(&e->wheel, &j[i].timer, now);
    }
    now += NS_PER_MS;
    engine_turn(e);
    assert_string_equal(told, "WWdd");
    engine_turn(e);
    engine_turn(e);
    assert_string_equal(told, "WWddWWddWd");
}

static void every_failed_allocation_is_survived(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct engine *other = NULL;
    for (int n = 1; !other && n < 100; n++) {
        fault_run = 1;
        fault_countdown = n;
        other = engine_new();
        fault_countdown = -1;
    }
    assert_non_null(other);
    engine_destroy(other);
#else
    skip();
#endif
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, begin, end)

/* leat.engine.idle_us at most, net.inet.tcp.hpts.minsleep at least, and awake before the next timer is due by as much as sleeps overran. */
static void sleeps_end_before_the_next_timer(void **state)
{
    struct job j = {0};
    wheel_timer_init(&j.timer, job_fire);
    e->params.idle_us = 1000;
    e->params.sleep_min_us = 250;
    engine_turn(e);
    assert_int_equal(engine_sleep(e), 1000 * NS_PER_US); /* nothing to wait for */
    wheel_arm(&e->wheel, &j.timer, now + 5 * NS_PER_MS);
    assert_int_equal(engine_sleep(e), 1000 * NS_PER_US);
    wheel_arm(&e->wheel, &j.timer, now + 400 * NS_PER_US);
    assert_int_equal(engine_sleep(e), 400 * NS_PER_US);
    engine_slept(e, 400 * NS_PER_US, 460 * NS_PER_US); /* 60 us too long */
    assert_int_equal(engine_sleep(e), 340 * NS_PER_US);
    wheel_arm(&e->wheel, &j.timer, now + 300 * NS_PER_US);
    assert_int_equal(engine_sleep(e), 0); /* 240 us would be left: it polls */
    for (int i = 0; i < 200; i++)
        engine_slept(e, 400 * NS_PER_US, 400 * NS_PER_US); /* sleeps have become exact */
    assert_int_equal(engine_sleep(e), 300 * NS_PER_US - e->oversleep);
    assert_true(e->oversleep < 50);
    engine_slept(e, 400 * NS_PER_US, NS_PER_SEC); /* somebody else had the CPU */
    assert_true(e->oversleep <= 300 * NS_PER_US);
    wheel_arm(&e->wheel, &j.timer, now - 1);
    assert_int_equal(engine_sleep(e), 0);
    wheel_cancel(&e->wheel, &j.timer);
    assert_int_equal(e->stats.idle_sleeps, 202);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(stations_run_in_the_order_of_a_turn), TEST(stations_of_a_phase_run_in_the_order_added),
        TEST(marked_often_runs_once_a_turn),       TEST(marked_while_it_runs_waits_for_the_next_turn),
        TEST(unmarked_by_another_does_not_run),    TEST(inner_turn_leaves_the_application_out),
        TEST(turn_without_work_is_idle),           TEST(next_is_now_when_something_is_due_else_the_wheels),
        TEST(sleeps_end_before_the_next_timer),    TEST(wheel_budget_spreads_a_burst_over_turns),
        TEST(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
