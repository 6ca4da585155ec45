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

/* At the deadline to the nanosecond, for who advances when wheel_next() says; from 1 ns to beyond what the wheel spans. */
static void test_deadlines_from_10us_to_5_hours(void **state)
{
    static const uint64_t ahead[] = {1,
                                     1023 * NS_PER_MS,
                                     1024 * NS_PER_MS,
                                     1025 * NS_PER_MS,
                                     1310710000,
                                     1310720000,
                                     5 * NS_PER_SEC,
                                     167 * NS_PER_SEC,
                                     168 * NS_PER_SEC,
                                     10 * NS_PER_US,
                                     999 * NS_PER_US,
                                     10239999,
                                     10240000,
                                     10240001,
                                     NS_PER_SEC,
                                     10485760000,
                                     60 * NS_PER_SEC,
                                     HOUR,
                                     2 * HOUR,
                                     10737418240000,
                                     3 * HOUR,
                                     5 * HOUR};
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
            assert_true(p.fired_at == now + ahead[i]);
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

/* Ten of one slot, three at a time. */
static void test_budget_within_a_slot(void **state)
{
    static struct probe p[10];
    wheel_init(&w, 0);
    for (unsigned i = 0; i < 10; i++) {
        probe_init(&p[i]);
        wheel_arm(&w, &p[i].t, 100 * NS_PER_US + i);
    }
    for (unsigned left = 10; left > 0; left -= left < 3 ? left : 3) {
        assert_int_equal(w.armed, left);
        assert_int_equal(wheel_advance(&w, 105 * NS_PER_US, 3), left < 3 ? left : 3);
    }
    assert_int_equal(w.unfinished, 3);
    assert_int_equal(wheel_advance(&w, 105 * NS_PER_US, 3), 0);
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

/* Deadlines around one turn of the lowest level, in a wheel that is looked at each 3 us: not early, not a turn late, once. */
static void test_around_one_turn(void **state)
{
    static const uint64_t ahead[] = {1023 * NS_PER_MS, 1024 * NS_PER_MS, 1025 * NS_PER_MS, 1310719999,
                                     1310720000,       1310720001,       1310730000,       5 * NS_PER_SEC};
    static struct probe p[RTE_DIM(ahead)];
    uint64_t start = 77777777, now;
    wheel_init(&w, start);
    for (unsigned i = 0; i < RTE_DIM(ahead); i++) {
        probe_init(&p[i]);
        wheel_arm(&w, &p[i].t, start + ahead[i]);
    }
    for (now = start; w.armed > 0; now += 3000)
        wheel_advance(&w, now, 10);
    for (unsigned i = 0; i < RTE_DIM(ahead); i++) {
        assert_int_equal(p[i].count, 1);
        assert_true(p[i].fired_at >= start + ahead[i] && p[i].fired_at < start + ahead[i] + 3000);
    }
    assert_int_equal(w.late[0], RTE_DIM(ahead));
    assert_int_equal(w.wraps, 0);
}

/* A stall of more than one turn is counted, and what was due meanwhile is served in order, how late being told. */
static void test_wraps_and_lateness(void **state)
{
    struct probe a, b, c;
    probe_init(&a);
    probe_init(&b);
    probe_init(&c);
    wheel_init(&w, 0);
    wheel_arm(&w, &a.t, 5 * NS_PER_US);
    wheel_advance(&w, 10 * NS_PER_US, 10);
    wheel_arm(&w, &a.t, 500 * NS_PER_MS);
    wheel_arm(&w, &b.t, 500 * NS_PER_MS - 15 * NS_PER_US);
    wheel_advance(&w, 500 * NS_PER_MS, 10);
    assert_int_equal(w.wraps, 0);
    assert_int_equal(w.late[0], 2);
    assert_int_equal(w.late[1], 1);
    assert_int_equal(w.behind_max_ns, 15 * NS_PER_US);
    wheel_arm(&w, &c.t, NS_PER_SEC);
    wheel_advance(&w, 11 * NS_PER_SEC, 10);
    assert_int_equal(c.count, 1);
    assert_int_equal(w.wraps, 1);
    assert_int_equal(w.late[WHEEL_LATE_BUCKETS - 1], 1);
    assert_int_equal(w.behind_max_ns, 10 * NS_PER_SEC);
    assert_int_equal(wheel_late(&w, 0.5), WHEEL_SLOT_NS);
    assert_int_equal(wheel_late(&w, 1), 10 * NS_PER_SEC);
}

/* FreeBSD's hpts misread a distance of 0 slots as a whole turn: armed in the 10 us in which a run ended, for now and a little later. */
static void test_armed_in_the_slot_that_was_served(void **state)
{
    struct probe a, b;
    probe_init(&a);
    probe_init(&b);
    wheel_init(&w, 0);
    wheel_arm(&w, &a.t, 100 * NS_PER_US);
    assert_int_equal(wheel_advance(&w, 100 * NS_PER_US, 10), 1);
    wheel_arm(&w, &a.t, 100 * NS_PER_US);
    wheel_arm(&w, &b.t, 104 * NS_PER_US);
    assert_int_equal(wheel_advance(&w, 101 * NS_PER_US, 10), 1);
    assert_int_equal(a.count, 2);
    assert_int_equal(wheel_next(&w), 104 * NS_PER_US);
    assert_int_equal(wheel_advance(&w, 103 * NS_PER_US, 10), 0);
    assert_int_equal(wheel_advance(&w, 104 * NS_PER_US, 10), 1);
    assert_int_equal(w.late[0], 3);
}

/* Removed, armed and removed again by another while their slot is walked. */
static struct probe *walked;
static void fire_and_move(struct wheel_timer *t, uint64_t now)
{
    for (unsigned i = 0; i < 3; i++) {
        struct wheel_timer *other = &walked[i].t;
        if (other == t)
            continue;
        wheel_cancel(&w, other);
        wheel_arm(&w, other, now);
        wheel_cancel(&w, other);
        wheel_arm(&w, other, now + NS_PER_MS);
    }
    fire(t, now);
}
static void test_moved_while_their_slot_is_walked(void **state)
{
    static struct probe p[3];
    walked = p;
    wheel_init(&w, 0);
    for (unsigned i = 0; i < 3; i++) {
        probe_init(&p[i]);
        p[i].t.fire = fire_and_move;
        wheel_arm(&w, &p[i].t, 100 * NS_PER_US + i);
    }
    assert_int_equal(wheel_advance(&w, 105 * NS_PER_US, 10), 1);
    assert_int_equal(w.armed, 2);
    assert_int_equal(wheel_advance(&w, 106 * NS_PER_US, 10), 0);
    assert_int_equal(wheel_advance(&w, 2 * NS_PER_MS, 1), 1);
    for (unsigned i = 0; i < 3; i++)
        wheel_cancel(&w, &p[i].t);
    assert_int_equal(w.armed, 0);
    assert_true(wheel_next(&w) == TIME_NEVER);
}

/* 50,000 timers of one far block come nearer a few in an advance: none of them, and nobody else, is late. */
static void test_a_crowded_far_block_makes_nobody_late(void **state)
{
    enum { CROWD = 50000 };
    static struct probe crowd[CROWD], beat;
    uint64_t due = 20 * NS_PER_SEC, now;
    wheel_init(&w, 0);
    for (unsigned i = 0; i < CROWD; i++) {
        probe_init(&crowd[i]);
        wheel_arm(&w, &crowd[i].t, due + i % 1000 * WHEEL_SLOT_NS); /* 50 in each slot */
    }
    probe_init(&beat);
    for (now = 0; now < due + 20 * NS_PER_MS; now += WHEEL_SLOT_NS) {
        beat.count = 0;
        wheel_arm(&w, &beat.t, now);
        unsigned fired = wheel_advance(&w, now, 51);
        assert_true(fired <= 51);
        assert_int_equal(beat.count, 1);
    }
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(crowd[i].count, 1);
    assert_int_equal(w.unfinished, 0);
    assert_int_equal(w.behind_max_ns, 0);
    assert_int_equal(w.armed, 0);
}

/* Clocks of 32 bits would turn over here: 2^32 slots (11.93 h) and 2^32 us (71.6 min). */
static void test_where_narrow_clocks_turn_over(void **state)
{
    const uint64_t turns[] = {(UINT64_C(1) << 32) * WHEEL_SLOT_NS, (UINT64_C(1) << 32) * NS_PER_US};
    for (unsigned k = 0; k < RTE_DIM(turns); k++) {
        static struct probe p[100];
        uint64_t start = turns[k] - 50 * NS_PER_MS;
        wheel_init(&w, start);
        for (unsigned i = 0; i < RTE_DIM(p); i++) {
            probe_init(&p[i]);
            wheel_arm(&w, &p[i].t, start + i * NS_PER_MS);
        }
        for (uint64_t now = start; w.armed > 0; now += 7000)
            wheel_advance(&w, now, 1000);
        for (unsigned i = 0; i < RTE_DIM(p); i++)
            assert_true(p[i].fired_at - (start + i * NS_PER_MS) < 7000);
    }
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
                bool due = want[k] && want[k] <= now;
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
        cmocka_unit_test(test_budget_within_a_slot),
        cmocka_unit_test(test_arming_inside_fire_waits_for_the_next_call),
        cmocka_unit_test(test_cancel_of_a_neighbour_while_firing),
        cmocka_unit_test(test_around_one_turn),
        cmocka_unit_test(test_wraps_and_lateness),
        cmocka_unit_test(test_armed_in_the_slot_that_was_served),
        cmocka_unit_test(test_moved_while_their_slot_is_walked),
        cmocka_unit_test(test_a_crowded_far_block_makes_nobody_late),
        cmocka_unit_test(test_where_narrow_clocks_turn_over),
        cmocka_unit_test(test_against_a_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
