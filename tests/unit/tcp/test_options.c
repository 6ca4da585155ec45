// SPDX-License-Identifier: BSD-3-Clause
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_common.h>
#include "base/rng.h"
#include "tcp/options.h"

static struct tcp_options o;

#define PARSE(syn, ...)                                                                                      \
    do {                                                                                                     \
        const uint8_t bytes[] = {__VA_ARGS__};                                                               \
        tcp_options_parse(&o, bytes, sizeof(bytes), syn);                                                    \
    } while (0)

static void rfc7323_appendix_a_aligned_timestamps(void **state)
{
    PARSE(false, 1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8);
    assert_int_equal(o.seen, TOF_TS);
    assert_int_equal(o.tsval, 0x01020304);
    assert_int_equal(o.tsecr, 0x05060708);
}

static void timestamps_at_any_place(void **state)
{
    PARSE(false, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0);
    assert_int_equal(o.seen, TOF_TS);
    assert_int_equal(o.tsval, 0x01020304);
}

static void syn_as_linux_sends_it(void **state)
{
    PARSE(true, 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7);
    assert_int_equal(o.seen, TOF_MSS | TOF_SACKPERM | TOF_TS | TOF_SCALE);
    assert_int_equal(o.mss, 1460);
    assert_int_equal(o.wscale, 7);
    assert_int_equal(o.tsval, 9);
}

static void rfc7323_2_3_scale_above_14_is_14(void **state)
{
    PARSE(true, 3, 3, 200, 1);
    assert_int_equal(o.seen, TOF_SCALE);
    assert_int_equal(o.wscale, 14);
}

static void rfc9293_3_2_syn_options_count_only_in_syn(void **state)
{
    PARSE(false, 2, 4, 5, 0xb4, 3, 3, 7, 1, 4, 2, 1, 1);
    assert_int_equal(o.seen, 0);
}

static void rfc2018_3_sack_blocks(void **state)
{
    PARSE(false, 1, 1, 5, 18, 0, 0, 0, 10, 0, 0, 0, 20, 0, 0, 0, 30, 0, 0, 0, 40);
    assert_int_equal(o.seen, TOF_SACK);
    assert_int_equal(o.n_sack, 2);
    assert_int_equal(o.sack[0].start, 10);
    assert_int_equal(o.sack[0].end, 20);
    assert_int_equal(o.sack[1].end, 40);
}

static void rfc2018_3_sack_of_wrong_length_is_ignored(void **state)
{
    PARSE(false, 5, 9, 0, 0, 0, 10, 0, 0, 0, 1, 1, 1);
    assert_int_equal(o.seen, 0);
    PARSE(false, 5, 2, 1, 1);
    assert_int_equal(o.n_sack, 0);
}

static void rfc9293_3_1_unknown_options_are_skipped(void **state)
{
    PARSE(true, 253, 4, 0, 0, 77, 2, 2, 4, 2, 24, 0, 0);
    assert_int_equal(o.seen, TOF_MSS);
    assert_int_equal(o.mss, 536);
}

static void end_of_list_ends_it(void **state)
{
    PARSE(true, 0, 2, 4, 5, 0xb4, 0, 0, 0);
    assert_int_equal(o.seen, 0);
}

static void wrong_length_of_a_known_option_skips_it(void **state)
{
    PARSE(true, 2, 3, 5, 4, 2, 0);
    assert_int_equal(o.seen, TOF_SACKPERM);
}

static void impossible_lengths_end_the_reading(void **state)
{
    PARSE(true, 4, 2, 2, 0, 5, 0xb4);
    assert_int_equal(o.seen, TOF_SACKPERM | TOF_BAD);
    PARSE(true, 2, 1, 5, 0xb4);
    assert_int_equal(o.seen, TOF_BAD);
    PARSE(true, 1, 1, 1, 2);
    assert_int_equal(o.seen, TOF_BAD);
    PARSE(true, 8, 10, 0, 0);
    assert_int_equal(o.seen, TOF_BAD);
}

/* Under the sanitizer: an exact allocation for each. */
static void any_bytes_stay_in_bounds(void **state)
{
    struct rng r;
    rng_seed(&r, 1);
    for (int i = 0; i < 200000; i++) {
        uint32_t len = 4 * rng_below(&r, 11);
        uint8_t *p = malloc(len ? len : 1);
        for (uint32_t k = 0; k < len; k++)
            p[k] = (uint8_t)rng_below(&r, rng_below(&r, 2) ? 12 : 256);
        tcp_options_parse(&o, p, len, rng_below(&r, 2));
        assert_true(o.n_sack <= TCP_MAX_SACK);
        free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7323_appendix_a_aligned_timestamps),
        cmocka_unit_test(timestamps_at_any_place),
        cmocka_unit_test(syn_as_linux_sends_it),
        cmocka_unit_test(rfc7323_2_3_scale_above_14_is_14),
        cmocka_unit_test(rfc9293_3_2_syn_options_count_only_in_syn),
        cmocka_unit_test(rfc2018_3_sack_blocks),
        cmocka_unit_test(rfc2018_3_sack_of_wrong_length_is_ignored),
        cmocka_unit_test(rfc9293_3_1_unknown_options_are_skipped),
        cmocka_unit_test(end_of_list_ends_it),
        cmocka_unit_test(wrong_length_of_a_known_option_skips_it),
        cmocka_unit_test(impossible_lengths_end_the_reading),
        cmocka_unit_test(any_bytes_stay_in_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
