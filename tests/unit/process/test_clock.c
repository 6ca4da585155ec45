// SPDX-License-Identifier: BSD-3-Clause
// The engine's clock against CLOCK_MONOTONIC: no drift, never back, whatever the counter's real frequency.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <time.h>
#include <rte_cycles.h>
#include "base/units.h"
#include "process/clock.h"

/* A counter of real_hz that is believed to have said_hz, for ten minutes; returns the worst error after the
 * first second. */
static uint64_t run(uint64_t real_hz, uint64_t said_hz)
{
    struct clock c;
    uint64_t last = 0, worst = 0;
    const uint64_t tsc0 = 123456789, mono0 = 5 * NS_PER_SEC;

    clock_start(&c, tsc0, mono0, said_hz);
    for (uint64_t us = 0; us < 600 * UINT64_C(1000000); us += 3777) {
        uint64_t tsc = tsc0 + real_hz / 1000 * us / 1000, mono = mono0 + us * 1000, now;

        if (tsc >= c.sync_tsc)
            clock_steer(&c, tsc, mono);
        now = clock_at(&c, tsc);
        assert_true(now >= last);
        last = now;
        if (us > 1000000 && (uint64_t)llabs((int64_t)(now - mono)) > worst)
            worst = (uint64_t)llabs((int64_t)(now - mono));
    }
    return worst;
}

static void no_drift_with_a_wrong_frequency(void **state)
{
    assert_true(run(2400000000, 2400000000) < 10000);
    assert_true(run(2399312000, 2400000000) < 10000);
    assert_true(run(3000000000, 2400000000) < 10000);
    assert_true(run(1000000000, 1100000000) < 10000);
}

static void sleep_of_the_machine_is_jumped_over(void **state)
{
    struct clock c;

    clock_start(&c, 0, 0, 1000000000);
    clock_steer(&c, 100000000, 100 * NS_PER_MS);
    clock_steer(&c, 200000000, 3600 * NS_PER_SEC); /* the counter stood still */
    assert_true(clock_at(&c, 200000000) == 3600 * NS_PER_SEC);
    clock_steer(&c, 300000000, 3600 * NS_PER_SEC + 100 * NS_PER_MS);
    clock_steer(&c, 400000000, 3600 * NS_PER_SEC + 200 * NS_PER_MS);
    assert_true(llabs((int64_t)(clock_at(&c, 450000000) - 3600 * NS_PER_SEC - 250 * NS_PER_MS)) < 1000000);
}

static void monotonic_set_back_slows_but_never_reverses(void **state)
{
    struct clock c;
    uint64_t before;

    clock_start(&c, 0, NS_PER_SEC, 1000000000);
    before = clock_at(&c, 100000000);
    clock_steer(&c, 100000000, NS_PER_SEC + 20 * NS_PER_MS); /* we are 80 ms ahead */
    assert_true(clock_at(&c, 100000000) >= before);
    assert_true(clock_at(&c, 100001000) > before);
}

static void real_clock_follows_monotonic(void **state)
{
    struct clock c;
    struct timespec ts;
    uint64_t mono, last = 0;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    clock_start(&c, rte_rdtsc(), ts.tv_sec * NS_PER_SEC + ts.tv_nsec, UINT64_C(2000000000)); /* a guess */
    for (int i = 0; i < 60; i++) {
        uint64_t now;

        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        now = clock_read(&c);
        assert_true(now >= last);
        last = now;
    }
    clock_gettime(CLOCK_MONOTONIC, &ts);
    mono = ts.tv_sec * NS_PER_SEC + ts.tv_nsec;
    assert_true(llabs((int64_t)(clock_read(&c) - mono)) < (int64_t)(5 * NS_PER_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_drift_with_a_wrong_frequency),
        cmocka_unit_test(sleep_of_the_machine_is_jumped_over),
        cmocka_unit_test(monotonic_set_back_slows_but_never_reverses),
        cmocka_unit_test(real_clock_follows_monotonic),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
