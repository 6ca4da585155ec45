// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/cpus.h"

static void test_lists(void **state)
{
    cpu_set_t s;
    assert_int_equal(cpus_parse("3", &s), 0);
    assert_int_equal(CPU_COUNT(&s), 1);
    assert_true(CPU_ISSET(3, &s));
    assert_int_equal(cpus_parse("0,2-5,9", &s), 0);
    assert_int_equal(CPU_COUNT(&s), 6);
    assert_true(CPU_ISSET(0, &s) && !CPU_ISSET(1, &s) && CPU_ISSET(2, &s) && CPU_ISSET(5, &s) &&
                CPU_ISSET(9, &s));
    static const char *const wrong[] = {
        "", ",", "1,", "a", "1-", "5-2", "1 2", "-1", "1024", "99999999999999999999", "1--2"};
    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_int_equal(cpus_parse(wrong[i], &s), -EINVAL);
}

static void test_the_nth_goes_round(void **state)
{
    cpu_set_t s;
    assert_int_equal(cpus_parse("1,4-5", &s), 0);
    const int expected[] = {1, 4, 5, 1, 4};
    for (unsigned i = 0; i < 5; i++)
        assert_int_equal(cpus_nth(&s, i), expected[i]);
}

/* Binding a thread afterwards changes nothing: DPDK does that to the first thread. */
static void test_what_the_process_may_use_is_remembered(void **state)
{
    cpu_set_t before, one, after;
    cpus_remember();
    sched_getaffinity(0, sizeof(before), &before);
    CPU_ZERO(&one);
    CPU_SET((size_t)cpus_nth(&before, 0), &one);
    sched_setaffinity(0, sizeof(one), &one);
    cpus_of_process(&after);
    assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_the_nth_goes_round),
        cmocka_unit_test(test_what_the_process_may_use_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
