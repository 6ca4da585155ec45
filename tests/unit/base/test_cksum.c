// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum over chains of buffers: RFC 1071, against a sum of single bytes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/cksum.h"
#include "base/rng.h"

#define LEN 3000

/* Buffers that nobody allocated: the sum looks at data, length and next alone. */
struct chain {
    struct rte_mbuf m[8];
    uint8_t data[8][LEN];
};
static struct chain c;
static uint8_t flat[LEN];

static void cut(const unsigned *lens, unsigned n)
{
    unsigned at = 0;
    memset(&c, 0, sizeof(c));
    for (unsigned i = 0; i < n; i++) {
        memcpy(c.data[i], flat + at, lens[i]);
        c.m[i].buf_addr = c.data[i];
        c.m[i].data_len = (uint16_t)lens[i];
        c.m[i].next = i + 1 < n ? &c.m[i + 1] : NULL;
        at += lens[i];
    }
    c.m[0].pkt_len = at;
    c.m[0].nb_segs = (uint16_t)n;
}

/* RFC 1071 §1, in network order. */
static uint16_t by_bytes(unsigned off, unsigned len)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < len; i++)
        sum += i & 1 ? flat[off + i] : (uint32_t)flat[off + i] << 8;
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return rte_cpu_to_be_16((uint16_t)sum);
}

/* +0 and -0 are one number. */
static void same(unsigned off, unsigned len)
{
    uint16_t got = cksum_mbuf(&c.m[0], off, len), want = by_bytes(off, len);
    if (got != want && !(got == 0xffff && want == 0) && !(got == 0 && want == 0xffff))
        fail_msg("off %u len %u: %04x, expected %04x", off, len, got, want);
}

static void rfc1071_3_example(void **state)
{
    static const uint8_t example[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    static const unsigned whole[] = {8}, odd[] = {1, 3, 4};
    memcpy(flat, example, 8);
    cut(whole, 1);
    assert_int_equal(cksum_mbuf(&c.m[0], 0, 8), rte_cpu_to_be_16(0xddf2));
    cut(odd, 3);
    assert_int_equal(cksum_mbuf(&c.m[0], 0, 8), rte_cpu_to_be_16(0xddf2));
}

static void rfc1071_2b_odd_buffers_and_offsets(void **state)
{
    struct rng r;
    rng_seed(&r, 5);
    for (int round = 0; round < 2000; round++) {
        unsigned lens[8], n = 1 + rng_below(&r, 8), total = 0;
        for (unsigned i = 0; i < n; i++)
            total += lens[i] = rng_below(&r, i == 0 ? 100 : 300);
        for (unsigned i = 0; i < total; i++)
            flat[i] = (uint8_t)rng_u64(&r);
        cut(lens, n);
        unsigned off = rng_below(&r, total + 1);
        same(off, rng_below(&r, total - off + 1));
        same(off, total - off);
    }
}

static void carries_are_not_lost(void **state)
{
    static const unsigned lens[] = {1, 999, 1, 999, 1000};
    memset(flat, 0xff, LEN);
    cut(lens, 5);
    for (unsigned off = 0; off < 1003; off++)
        same(off, LEN - off);
}

/* Any alignment, any length; no byte beside the copy is touched. */
static void a_copy_has_the_sum_of_its_bytes(void **state)
{
    static uint8_t to[LEN + 2];
    struct rng r;
    rng_seed(&r, 6);
    for (unsigned i = 0; i < LEN; i++)
        flat[i] = (uint8_t)rng_u64(&r);
    for (int round = 0; round < 3000; round++) {
        unsigned off = rng_below(&r, 70), len = rng_below(&r, round % 2 ? 200 : 1500),
                 at = 1 + rng_below(&r, 64);
        memset(to, 0xa5, sizeof(to));
        uint16_t got = cksum_copy(to + at, flat + off, len);
        assert_int_equal(got, by_bytes(off, len));
        assert_memory_equal(to + at, flat + off, len);
        assert_int_equal(to[at - 1], 0xa5);
        assert_int_equal(to[at + len], 0xa5);
    }
}

static void nothing_sums_to_nothing(void **state)
{
    static const unsigned lens[] = {4, 4};
    cut(lens, 2);
    assert_int_equal(cksum_mbuf(&c.m[0], 0, 0), 0);
    assert_int_equal(cksum_mbuf(&c.m[0], 8, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc1071_3_example),       cmocka_unit_test(rfc1071_2b_odd_buffers_and_offsets),
        cmocka_unit_test(carries_are_not_lost),    cmocka_unit_test(a_copy_has_the_sum_of_its_bytes),
        cmocka_unit_test(nothing_sums_to_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
