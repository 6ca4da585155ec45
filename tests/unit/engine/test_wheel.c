// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <rte_common.h>
#include "base/rng.h"
#include "engine/wheel.h"

#define HOUR (3600 * NS_PER_SEC)

struct probe {
    struct wheel_timer t;
    uint64_t fired_at;
    unsigned count;
    uint64_t again_at;          /* armed again inside fire; 0: not */
    struct wheel_timer *victim; /* cancelled inside fire */
};
static struct wheel w;

static void fire(struct wheel_timer *t, uint64_t now)
{
    struct probe *p = container_of(t, struct probe, t);
    p->fired_at = now;
    p->count++;
    if (p->again_at)
        wheel_arm(&w, t, p->again_at);
    if (p->victim)
        wheel_cancel(&w, p->victim);
}

static void probe_init(struct probe *p)
{
    *p = (struct probe){0};
    wheel_timer_init(&p->t, fire);
}

/* Never early, and in the slot after the deadline's at the latest, from 10 us to beyond what the wheel spans. */
static void test_deadlines_from_10us_to_5_hours(void **state)
{
    static const uint64_t ahead[] = {1,        10 * NS_PER_US, 999 * NS_PER_US, 10239999,        10240000,
                                     10240001, NS_PER_SEC,     10485760000,     60 * NS_PER_SEC, HOUR,
                                     2 * HOUR, 10737418240000, 3 * HOUR,        5 * HOUR};
    for (unsigned start = 0; start < 3; start++) {
        for (unsigned i = 0; i < RTE_DIM(ahead); i++) {
            uint64_t now = start * 10239 * NS_PER_US + 7;
            struct probe p;
            probe_init(&p);
            wheel_init(&w, now);
            wheel_arm(&w, &p.t, now + ahead[i]);
            while (!p.count) {
                uint64_t next = wheel_next(&w);
                assert_true(next != TIME_NEVER && next < now + ahead[i] + WHEEL_SLOT_NS);
                wheel_advance(&w, next, 10);
            }
            assert_true(p.fired_at >= now + ahead[i]);
            assert_true(p.fired_at < now + ahead[i] + WHEEL_SLOT_NS);
            assert_int_equal(w.armed, 0);
            assert_true(wheel_next(&w) == TIME_NEVER);
        }
    }
}

static void test_stalls_fire_everything_once(void **state)
{
    static const uint64_t stalls[] = {NS_PER_SEC / 2, 1500 * NS_PER_MS, 11 * NS_PER_SEC, HOUR};
    static struct probe p[500];
    for (unsigned s = 0; s < RTE_DIM(stalls); s++) {
        wheel_init(&w, 0);
        for (unsigned i = 0; i < RTE_DIM(p); i++) {
            probe_init(&p[i]);
            wheel_arm(&w, &p[i].t, stalls[s] / RTE_DIM(p) * i);
        }
        unsigned calls = 0;
        while (wheel_advance(&w, stalls[s], 64) == 64)
            calls++;
        assert_int_equal(calls, RTE_DIM(p) / 64);
        for (unsigned i = 0; i < RTE_DIM(p); i++)
            assert_int_equal(p[i].count, 1);
        assert_int_equal(w.armed, 0);
    }
}

static void test_budget_keeps_the_order_of_slots(void **state)
{
    struct probe a, b;
    probe_init(&a);
    probe_init(&b);
    wheel_init(&w, 0);
    wheel_arm(&w, &b.t, 20 * NS_PER_MS);
    wheel_arm(&w, &a.t, 10 * NS_PER_US);
    assert_int_equal(wheel_advance(&w, NS_PER_SEC, 1), 1);
    assert_int_equal(a.count, 1);
    assert_int_equal(b.count, 0);
    assert_int_equal(wheel_advance(&w, NS_PER_SEC, 1), 1);
    assert_int_equal(b.count, 1);
}

/* A timer that arms itself for now does not hold the engine: it waits for the next call. */
static void test_arming_inside_fire_waits_for_the_next_call(void **state)
{
    struct probe p;
    probe_init(&p);
    wheel_init(&w, 0);
    p.again_at = 1;
    wheel_arm(&w, &p.t, 1);
    assert_int_equal(wheel_advance(&w, NS_PER_SEC, 100), 1);
    p.again_at = 0;
    assert_int_equal(wheel_advance(&w, NS_PER_SEC + WHEEL_SLOT_NS, 100), 1);
    assert_int_equal(p.count, 2);
}

static void test_cancel_of_a_neighbour_while_firing(void **state)
{
    struct probe a, b;
    probe_init(&a);
    probe_init(&b);
    wheel_init(&w, 0);
    wheel_arm(&w, &a.t, 100 * NS_PER_US);
    wheel_arm(&w, &b.t, 100 * NS_PER_US);
    a.victim = &b.t;
    b.victim = &a.t;
    assert_int_equal(wheel_advance(&w, NS_PER_MS, 100), 1);
    assert_int_equal(a.count + b.count, 1);
    assert_int_equal(w.armed, 0);
}

/* Random arms, re-arms, cancels and advances against a plain list. */
static void test_against_a_list(void **state)
{
    enum { N = 400 };
    static struct probe p[N];
    static uint64_t want[N]; /* deadline; 0: off */
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct rng r;
        rng_seed(&r, seed);
        uint64_t now = rng_u64(&r) % (100 * HOUR);
        wheel_init(&w, now);
        for (unsigned i = 0; i < N; i++) {
            probe_init(&p[i]);
            want[i] = 0;
        }
        for (unsigned step = 0; step < 5000; step++) {
            unsigned i = rng_below(&r, N);
            uint64_t ahead = rng_u64(&r) % (UINT64_C(1) << (10 + rng_below(&r, 34)));
            if (rng_below(&r, 4)) {
                wheel_arm(&w, &p[i].t, now + ahead);
                want[i] = now + ahead;
            } else {
                wheel_cancel(&w, &p[i].t);
                want[i] = 0;
            }
            if (rng_below(&r, 3))
                continue;
            now += rng_u64(&r) % (UINT64_C(1) << (10 + rng_below(&r, 32)));
            for (unsigned k = 0; k < N; k++)
                p[k].count = 0;
            wheel_advance(&w, now, UINT32_MAX);
            unsigned armed = 0;
            for (unsigned k = 0; k < N; k++) {
                bool due = want[k] && want[k] <= now / WHEEL_SLOT_NS * WHEEL_SLOT_NS;
                /* What became due inside the present slot may wait for the next one. */
                if (due != (p[k].count == 1))
                    fail_msg("seed %lu: timer due at %lu, now %lu, fired %u times", seed, want[k], now,
                             p[k].count);
                if (due)
                    want[k] = 0;
                armed += want[k] != 0;
            }
            assert_int_equal(w.armed, armed);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deadlines_from_10us_to_5_hours),
        cmocka_unit_test(test_stalls_fire_everything_once),
        cmocka_unit_test(test_budget_keeps_the_order_of_slots),
        cmocka_unit_test(test_arming_inside_fire_waits_for_the_next_call),
        cmocka_unit_test(test_cancel_of_a_neighbour_while_firing),
        cmocka_unit_test(test_against_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
