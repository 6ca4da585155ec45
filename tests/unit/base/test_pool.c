// SPDX-License-Identifier: BSD-3-Clause
// Pools of fixed-size objects: limit, growth, alignment, reuse.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/alloc.h"
#include "base/pool.h"

static void objects_are_apart_and_on_cache_lines(void **state)
{
    struct pool p;
    void *o[50];
    pool_init(&p, "test", 65, 50, 7);
    assert_int_equal(p.size, 128);
    for (int i = 0; i < 50; i++) {
        o[i] = pool_get(&p);
        assert_non_null(o[i]);
        assert_int_equal((uintptr_t)o[i] % 64, 0);
        memset(o[i], i, 128);
    }
    for (int i = 0; i < 50; i++) {
        assert_int_equal(((uint8_t *)o[i])[0], i);
        assert_int_equal(((uint8_t *)o[i])[127], i);
        pool_put(&p, o[i]);
    }
    pool_fini(&p);
}

static void limit_holds_and_is_counted(void **state)
{
    struct pool p;
    void *o[10];
    pool_init(&p, "test", 8, 10, 4);
    for (int i = 0; i < 10; i++)
        o[i] = pool_get(&p);
    assert_null(pool_get(&p));
    assert_null(pool_get(&p));
    assert_int_equal(p.failures, 2);
    assert_int_equal(p.used, 10);
    assert_int_equal(p.made, 10); /* the last slab is only as large as the limit allows */
    pool_put(&p, o[3]);
    assert_ptr_equal(pool_get(&p), o[3]); /* still warm in the cache */
    for (int i = 0; i < 10; i++)
        pool_put(&p, o[i]);
    assert_int_equal(p.used, 0);
    assert_int_equal(p.high, 10);
    pool_fini(&p);
}

static void limit_may_change_at_any_time(void **state)
{
    struct pool p;
    void *o[6];
    pool_init(&p, "test", 64, 4, 4);
    for (int i = 0; i < 4; i++)
        o[i] = pool_get(&p);
    p.limit = 2; /* what is out stays out */
    assert_null(pool_get(&p));
    pool_put(&p, o[3]);
    pool_put(&p, o[2]);
    assert_null(pool_get(&p)); /* two are still used */
    pool_put(&p, o[1]);
    o[1] = pool_get(&p);
    assert_non_null(o[1]);
    p.limit = 6;
    for (int i = 2; i < 6; i++) {
        o[i] = pool_get(&p);
        assert_non_null(o[i]);
    }
    assert_null(pool_get(&p));
    for (int i = 0; i < 6; i++)
        pool_put(&p, o[i]);
    pool_fini(&p);
}

static void every_failed_allocation_is_survived(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct pool p;
    for (int n = 1; n <= 2; n++) { /* the slab, then the object */
        pool_init(&p, "test", 64, 4, 4);
        fault_run = 1;
        fault_countdown = n;
        assert_null(pool_get(&p));
        fault_countdown = -1;
        assert_int_equal(p.failures, 1);
        assert_int_equal(p.used, 0);
        void *o = pool_get(&p);
        assert_non_null(o);
        pool_put(&p, o);
        pool_fini(&p);
    }
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(objects_are_apart_and_on_cache_lines),
        cmocka_unit_test(limit_holds_and_is_counted),
        cmocka_unit_test(limit_may_change_at_any_time),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
