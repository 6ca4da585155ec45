// SPDX-License-Identifier: BSD-3-Clause
// Requests of other threads: one a turn, answered, refused when there is no room, given up without a trace.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rte_ring.h>
#include "base/alloc.h"
#include "engine/control.h"
#include "engine/engine.h"

#define ROOM 4

static struct engine *e;

static uint64_t read_clock(void *arg)
{
    return NS_PER_SEC;
}
static void entropy(void *arg, void *buf, size_t len)
{
    memset(buf, 1, len);
}

/* Without EAL: the ring lives in memory of ours. */
static int begin(void **state)
{
    struct engine_config c = {.count = 1, .env = {.clock = read_clock, .entropy = entropy}};
    e = engine_create(&c);
    e->control = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)rte_ring_get_memsize(ROOM));
    engine_station(e, PHASE_CONTROL, control_station, NULL);
    return rte_ring_init(e->control, "control", ROOM, RING_F_SC_DEQ);
}
static int end(void **state)
{
    free(e->control);
    engine_destroy(e);
    return 0;
}

struct sum {
    int a, b, sum;
};
static int add(struct engine *engine, void *arg)
{
    struct sum *s = arg;
    assert_ptr_equal(engine, e);
    s->sum = s->a + s->b;
    return s->a == 13 ? -EDOM : 0;
}

struct asker {
    pthread_t thread;
    struct sum s;
    unsigned timeout_ms;
    int rc;
};
static void *ask(void *arg)
{
    struct asker *a = arg;
    a->rc = control_call(e, add, &a->s, sizeof(a->s), a->timeout_ms);
    return NULL;
}
static void start(struct asker *a, int x, int y, unsigned timeout_ms)
{
    *a = (struct asker){.s = {x, y, 0}, .timeout_ms = timeout_ms, .rc = 1};
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}
static void wait_for_requests(unsigned n)
{
    for (int i = 0; rte_ring_count(e->control) != n; i++) {
        assert_true(i < 10000);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void request_is_carried_out_in_the_control_phase(void **state)
{
    struct asker a;
    start(&a, 3, 4, 10000);
    wait_for_requests(1);
    assert_int_equal(engine_turn(e), 1);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.rc, 0);
    assert_int_equal(a.s.sum, 7);
    assert_int_equal(e->stats.control_requests, 1);
}

static void result_comes_back_with_what_was_written(void **state)
{
    struct asker a;
    start(&a, 13, 1, 10000);
    wait_for_requests(1);
    engine_turn(e);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.rc, -EDOM);
    assert_int_equal(a.s.sum, 14);
}

static void one_request_a_turn(void **state)
{
    struct asker a[3];
    for (int i = 0; i < 3; i++)
        start(&a[i], i, i, 10000);
    wait_for_requests(3);
    for (unsigned left = 3; left-- > 0;) {
        assert_int_equal(engine_turn(e), 1);
        assert_int_equal(rte_ring_count(e->control), left);
    }
    assert_int_equal(engine_turn(e), 0);
    for (int i = 0; i < 3; i++) {
        pthread_join(a[i].thread, NULL);
        assert_int_equal(a[i].s.sum, 2 * i);
    }
}

static void full_ring_or_no_ring_is_busy(void **state)
{
    struct rte_ring *ring = e->control;
    struct sum s = {1, 2, 0};
    e->control = NULL;
    assert_int_equal(control_call(e, add, &s, sizeof(s), 1000), -EBUSY);
    assert_int_equal(control_station(e, NULL), 0);
    e->control = ring;
    for (unsigned i = 0; i < ROOM - 1; i++) /* given up at once, but still in the ring */
        assert_int_equal(control_call(e, add, &s, sizeof(s), 0), -ETIMEDOUT);
    assert_int_equal(control_call(e, add, &s, sizeof(s), 1000), -EBUSY);
    control_drain(e);
}

static unsigned runs;
static int count_runs(struct engine *engine, void *arg)
{
    runs++;
    return 0;
}

static void request_given_up_is_not_carried_out(void **state)
{
    assert_int_equal(control_call(e, count_runs, NULL, 0, 5), -ETIMEDOUT);
    assert_int_equal(rte_ring_count(e->control), 1);
    assert_int_equal(engine_turn(e), 1); /* frees it */
    assert_int_equal(runs, 0);
    assert_int_equal(rte_ring_count(e->control), 0);
}

static void stopping_engine_tells_who_waits(void **state)
{
    struct asker a;
    struct sum s = {1, 2, 0};
    assert_int_equal(control_call(e, add, &s, sizeof(s), 0), -ETIMEDOUT);
    start(&a, 3, 4, 10000);
    wait_for_requests(2);
    control_drain(e);
    pthread_join(a.thread, NULL);
    assert_int_equal(a.rc, -ESHUTDOWN);
    assert_int_equal(a.s.sum, 0);
    assert_int_equal(rte_ring_count(e->control), 0);
}

static void no_memory_is_told(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct sum s = {1, 2, 0};
    fault_run = 1;
    fault_countdown = 1;
    assert_int_equal(control_call(e, add, &s, sizeof(s), 1000), -ENOMEM);
    fault_countdown = -1;
#else
    skip();
#endif
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(request_is_carried_out_in_the_control_phase),
        TEST(result_comes_back_with_what_was_written),
        TEST(one_request_a_turn),
        TEST(full_ring_or_no_ring_is_busy),
        TEST(request_given_up_is_not_carried_out),
        TEST(stopping_engine_tells_who_waits),
        TEST(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
