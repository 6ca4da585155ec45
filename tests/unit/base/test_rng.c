// SPDX-License-Identifier: BSD-3-Clause
// Chance: xoshiro256** (Blackman, Vigna 2018), splitmix64, SipHash-2-4 (Aumasson, Bernstein 2012) against
// published values.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "base/rng.h"

static void siphash_24_published_vectors(void **state)
{
    static const struct {
        uint32_t len;
        uint64_t hash;
    } vectors[] = {{0, 0x726fdb47dd0e0e31}, {1, 0x74f839c593dc67fd},  {7, 0xab0200f58b01d137},
                   {8, 0x93f5f5799a932462}, {15, 0xa129ca6149be45e5}, {63, 0x958a324ceb064572}};
    const struct siphash_key key = {{0x0706050403020100, 0x0f0e0d0c0b0a0908}};
    uint8_t in[64];
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)i;
    for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
        assert_int_equal(siphash24(&key, in, vectors[i].len), vectors[i].hash);
}

static void siphash_depends_on_every_bit_of_key_and_length(void **state)
{
    const struct siphash_key key = {{1, 2}};
    const uint8_t zeros[16] = {0};
    uint64_t h = siphash24(&key, zeros, 8);
    for (int i = 0; i < 128; i++) {
        struct siphash_key other = key;
        other.k[i / 64] ^= UINT64_C(1) << (i % 64);
        assert_true(siphash24(&other, zeros, 8) != h);
    }
    for (uint32_t len = 0; len < 16; len++)
        assert_true(len == 8 || siphash24(&key, zeros, len) != h);
}

static void xoshiro_published_sequence(void **state)
{
    static const uint64_t want[] = {11520, 0, 1509978240, 1215971899390074240};
    struct rng r = {{1, 2, 3, 4}};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(rng_u64(&r), want[i]);
}

static void seed_is_spread_by_splitmix64(void **state)
{
    struct rng r;
    rng_seed(&r, 0);
    assert_int_equal(r.s[0], 0xe220a8397b1dcdaf);
    assert_int_equal(r.s[1], 0x6e789e6aa1b965f4);
    assert_int_equal(r.s[2], 0x06c45d188009454f);
    assert_int_equal(r.s[3], 0xf88bb8a8724c81ec);
}

static void same_seed_same_sequence(void **state)
{
    struct rng a, b, c;
    rng_seed(&a, 42);
    rng_seed(&b, 42);
    rng_seed(&c, 43);
    unsigned same = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t x = rng_u64(&a);
        assert_int_equal(x, rng_u64(&b));
        same += x == rng_u64(&c);
    }
    assert_int_equal(same, 0);
}

static void below_is_within_and_even(void **state)
{
    struct rng r;
    unsigned n[10] = {0};
    rng_seed(&r, 1);
    for (int i = 0; i < 100000; i++) {
        uint32_t x = rng_below(&r, 10);
        assert_in_range(x, 0, 9);
        n[x]++;
    }
    for (int i = 0; i < 10; i++)
        assert_in_range(n[i], 9500, 10500);
    assert_int_equal(rng_below(&r, 1), 0);
    uint32_t high = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t x = rng_below(&r, UINT32_MAX);
        high = x > high ? x : high;
    }
    assert_true(high > 0xf0000000 && high < UINT32_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(siphash_24_published_vectors),
        cmocka_unit_test(siphash_depends_on_every_bit_of_key_and_length),
        cmocka_unit_test(xoshiro_published_sequence),
        cmocka_unit_test(seed_is_spread_by_splitmix64),
        cmocka_unit_test(same_seed_same_sequence),
        cmocka_unit_test(below_is_within_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
