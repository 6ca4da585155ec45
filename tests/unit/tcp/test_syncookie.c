// SPDX-License-Identifier: BSD-3-Clause
// SYN cookies (RFC 4987 §3.6): what goes in comes out, for the right flow, at the right time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <rte_common.h>
#include "tcp/syncookie.h"

static struct syncookie_keys keys;
static struct syncookie_flow flow;

static int set_up(void **state)
{
    struct siphash_key root = {{1, 2}};
    syncookie_keys_init(&keys, &root);
    flow = (struct syncookie_flow){.faddr = ip_addr_v4(htonl(0x0a000002)),
                                   .laddr = ip_addr_v4(htonl(0x0a000001)),
                                   .fport = htons(40000),
                                   .lport = htons(80),
                                   .irs = 12345};
    return 0;
}

static struct syncookie through(struct syncookie c, uint64_t now)
{
    struct syncookie out = {0};
    tcp_seq iss = syncookie_make(&keys, &flow, &c, now);
    assert_true(syncookie_read(&keys, &flow, iss, now, &out));
    return out;
}

static void mss_goes_to_the_next_lower_of_the_table(void **state)
{
    static const struct {
        uint16_t in, out;
    } cases[] = {{0, 216},     {100, 216},   {216, 216},   {535, 216},   {536, 536},
                 {1199, 536},  {1220, 1200}, {1360, 1360}, {1399, 1360}, {1400, 1400},
                 {1440, 1440}, {1452, 1452}, {1460, 1460}, {8960, 1460}};
    for (unsigned i = 0; i < RTE_DIM(cases); i++)
        assert_int_equal(through((struct syncookie){.mss = cases[i].in}, 0).mss, cases[i].out);
}

static void window_scale_goes_to_the_next_lower_of_the_table(void **state)
{
    static const uint8_t out[15] = {0, 1, 2, 2, 4, 4, 6, 7, 8, 8, 8, 8, 8, 8, 8};
    for (uint8_t i = 0; i < 15; i++) {
        struct syncookie c = through((struct syncookie){.mss = 1460, .scale = true, .wscale = i}, 0);
        assert_true(c.scale);
        assert_int_equal(c.wscale, out[i]);
    }
    assert_false(through((struct syncookie){.mss = 1460, .wscale = 7}, 0).scale);
}

static void sack_is_kept(void **state)
{
    assert_true(through((struct syncookie){.sack = true}, 0).sack);
    assert_false(through((struct syncookie){.sack = false}, 0).sack);
}

static void every_part_of_the_flow_counts(void **state)
{
    struct syncookie c = {.mss = 1460}, out;
    tcp_seq iss = syncookie_make(&keys, &flow, &c, 0);
    struct syncookie_flow other[6];
    for (int i = 0; i < 6; i++)
        other[i] = flow;
    other[0].faddr.b[15]++;
    other[1].laddr.b[15]++;
    other[2].fport++;
    other[3].lport++;
    other[4].irs++;
    other[5].faddr.b[0] = 0xfd;
    for (int i = 0; i < 6; i++)
        assert_false(syncookie_read(&keys, &other[i], iss, 0, &out));
    assert_true(syncookie_read(&keys, &flow, iss, 0, &out));
}

static void no_bit_may_change(void **state)
{
    struct syncookie c = {.mss = 1460, .scale = true, .wscale = 7, .sack = true}, out;
    tcp_seq iss = syncookie_make(&keys, &flow, &c, 0);
    for (int bit = 0; bit < 32; bit++)
        assert_false(syncookie_read(&keys, &flow, iss ^ (tcp_seq)(UINT32_C(1) << bit), 0, &out));
}

static void secrets_rotate_every_15_s_and_live_for_two_periods(void **state)
{
    struct syncookie c = {.mss = 1460}, out;
    for (uint64_t period = 0; period < 7; period++) {
        uint64_t made = period * SYNCOOKIE_LIFETIME_NS + 5 * NS_PER_SEC;
        tcp_seq iss = syncookie_make(&keys, &flow, &c, made);
        assert_true(syncookie_read(&keys, &flow, iss, made, &out));
        assert_true(syncookie_read(&keys, &flow, iss, made + SYNCOOKIE_LIFETIME_NS, &out));
        assert_false(syncookie_read(&keys, &flow, iss, made + 2 * SYNCOOKIE_LIFETIME_NS, &out));
        assert_false(syncookie_read(&keys, &flow, iss, made + 3 * SYNCOOKIE_LIFETIME_NS, &out));
        assert_true(iss != syncookie_make(&keys, &flow, &c, made + SYNCOOKIE_LIFETIME_NS));
    }
    /* Before there was a period, there was no key. */
    tcp_seq odd = syncookie_make(&keys, &flow, &c, SYNCOOKIE_LIFETIME_NS);
    assert_false(syncookie_read(&keys, &flow, odd, 0, &out));
}

static void another_root_is_another_host(void **state)
{
    struct syncookie c = {.mss = 1460}, out;
    struct syncookie_keys others;
    struct siphash_key root = {{1, 3}};
    syncookie_keys_init(&others, &root);
    tcp_seq iss = syncookie_make(&keys, &flow, &c, 0);
    assert_false(syncookie_read(&others, &flow, iss, 0, &out));
}

/* A guess succeeds once in 2^24; 2^20 of them should not, or nearly never. */
static void guesses_fail(void **state)
{
    struct syncookie out;
    struct rng r;
    unsigned hits = 0;
    rng_seed(&r, 1);
    for (int i = 0; i < 1 << 20; i++)
        hits += syncookie_read(&keys, &flow, (tcp_seq)rng_u64(&r), 0, &out);
    assert_in_range(hits, 0, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(mss_goes_to_the_next_lower_of_the_table, set_up),
        cmocka_unit_test_setup(window_scale_goes_to_the_next_lower_of_the_table, set_up),
        cmocka_unit_test_setup(sack_is_kept, set_up),
        cmocka_unit_test_setup(every_part_of_the_flow_counts, set_up),
        cmocka_unit_test_setup(no_bit_may_change, set_up),
        cmocka_unit_test_setup(secrets_rotate_every_15_s_and_live_for_two_periods, set_up),
        cmocka_unit_test_setup(another_root_is_another_host, set_up),
        cmocka_unit_test_setup(guesses_fail, set_up),
    };
    return cmocka_run_group_tests_name("syncookie", tests, NULL, NULL);
}
