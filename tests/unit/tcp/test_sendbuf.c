// SPDX-License-Identifier: BSD-3-Clause
// The send buffer against a model: a string of bytes of which some are not ready yet.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include "base/cksum.h"
#include "base/rng.h"
#include "tcp/sendbuf.h"

static struct sendbuf_pools pools;
static unsigned released;

static int set_up(void **state)
{
    char *argv[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m", "64", "--log-level=error"};
    if (rte_eal_init(7, argv) < 0)
        return -1;
    pools.pkts = rte_pktmbuf_pool_create("p", 4095, 0, 64, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    pools.bytes_limit = 1 << 30;
    pool_init(&pools.extents, "extents", sizeof(struct extent), 10000, 64);
    return pools.pkts ? 0 : -1;
}

static void on_release(struct extent *x, void *arg)
{
    released++;
    free(arg);
}

enum { BYTES = 400000, HELD = 64 };
static uint8_t model[BYTES]; /* everything ever appended */
static uint32_t front, end;  /* model[front..end) is queued */
static struct extent *pending[256];
static uint32_t pending_at[256];
static unsigned n_pending;
static struct rte_mbuf *held[HELD]; /* packets in flight, each with the offset of its bytes in the model */
static uint32_t held_at[HELD];

static void append_some(struct sendbuf *sb, struct rng *r)
{
    uint32_t len = 1 + rng_below(r, rng_below(r, 4) ? 300 : 9000);
    if (end + len > BYTES)
        return;
    for (uint32_t i = 0; i < len; i++)
        model[end + i] = (uint8_t)rng_u64(r);
    if (rng_below(r, 2)) {
        struct iovec iov[2] = {{model + end, len / 3}, {model + end + len / 3, len - len / 3}};
        int64_t n = sendbuf_append_copy(sb, iov, 2, 0, len);
        assert_true(n == -ENOBUFS || (n >= 0 && n <= len));
        end += n > 0 ? (uint32_t)n : 0;
        return;
    }
    uint8_t *bytes = malloc(len);
    memcpy(bytes, model + end, len);
    struct extent *x = n_pending < 256 ? extent_new(&pools, len, on_release, bytes) : NULL;
    if (!x) {
        free(bytes);
        return;
    }
    if (rng_below(r, 2)) {
        extent_ready(x, bytes, RTE_BAD_IOVA);
    } else {
        pending[n_pending] = x;
        pending_at[n_pending++] = end;
    }
    sendbuf_append(sb, x);
    end += len;
}

static void make_ready(struct rng *r)
{
    if (n_pending == 0)
        return;
    unsigned i = rng_below(r, 3) ? 0 : rng_below(r, n_pending);
    extent_ready(pending[i], pending[i]->arg, RTE_BAD_IOVA);
    memmove(pending + i, pending + i + 1, (n_pending - i - 1) * sizeof(pending[0]));
    memmove(pending_at + i, pending_at + i + 1, (n_pending - i - 1) * sizeof(pending_at[0]));
    n_pending--;
}

static void check_packet(struct rte_mbuf *m, uint32_t at)
{
    uint32_t off = 20;
    static uint8_t copy[70000];
    const uint8_t *p = rte_pktmbuf_read(m, 0, m->pkt_len, copy);
    assert_memory_equal(p + off, model + at, m->pkt_len - off);
}

static void send_some(struct sendbuf *sb, struct rng *r)
{
    if (sb->ready == 0)
        return;
    uint32_t off = rng_below(r, sb->ready), len = 1 + rng_below(r, sb->ready - off);
    unsigned slot = rng_below(r, HELD);
    if (len > 60000)
        len = 60000;
    if (held[slot]) { /* its bytes may have been acknowledged long ago */
        check_packet(held[slot], held_at[slot]);
        rte_pktmbuf_free(held[slot]);
        held[slot] = NULL;
    }
    struct rte_mbuf *m = rte_pktmbuf_alloc(pools.pkts);
    if (!m)
        return;
    memset(rte_pktmbuf_append(m, 20), 0, 20);
    bool summed = rng_below(r, 4) == 0;
    int32_t sum = SENDBUF_REFERRED;
    if (sendbuf_attach(sb, off, len, m, summed ? &sum : NULL) < 0) {
        assert_int_equal(m->pkt_len, 20);
        assert_null(m->next);
        rte_pktmbuf_free(m);
        return;
    }
    rte_mbuf_sanity_check(m, 1);
    assert_int_equal(m->pkt_len, 20 + len);
    assert_int_equal(sum, summed && m->nb_segs == 1 ? cksum_mbuf(m, 20, len) : SENDBUF_REFERRED);
    check_packet(m, front + off);
    held[slot] = m;
    held_at[slot] = front + off;
}

static void test_against_a_model(void **state)
{
    unsigned before = rte_mempool_avail_count(pools.pkts);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        struct rng r;
        struct sendbuf sb;
        rng_seed(&r, seed);
        sendbuf_init(&sb, &pools, 1 << 20);
        front = end = n_pending = 0;
        for (unsigned step = 0; step < 3000; step++) {
            switch (rng_below(&r, 5)) {
            case 0:
                append_some(&sb, &r);
                break;
            case 1:
                make_ready(&r);
                break;
            case 2:
            case 3:
                send_some(&sb, &r);
                break;
            default:
                if (sb.ready > 0) {
                    uint32_t n = 1 + rng_below(&r, sb.ready);
                    sendbuf_drop(&sb, n);
                    front += n;
                }
            }
            assert_int_equal(sb.bytes, end - front);
            assert_int_equal(sb.ready, (n_pending ? pending_at[0] : end) - front);
            for (unsigned i = 1; i < n_pending; i++)
                assert_true(pending_at[i] > pending_at[0]);
            assert_int_equal(pools.bytes, sb.bytes);
        }
        sendbuf_fini(&sb);
        for (unsigned i = 0; i < HELD; i++) {
            if (held[i])
                check_packet(held[i], held_at[i]);
            rte_pktmbuf_free(held[i]);
            held[i] = NULL;
        }
        assert_int_equal(pools.extents.used, 0);
        assert_int_equal(rte_mempool_avail_count(pools.pkts), before);
        assert_int_equal(pools.bytes, 0);
    }
}

static void test_release_waits_for_the_last_packet(void **state)
{
    struct sendbuf sb;
    sendbuf_init(&sb, &pools, 1 << 20);
    char *bytes = calloc(1, 5000);
    struct extent *x = extent_new(&pools, 5000, on_release, bytes);
    sendbuf_append(&sb, x);
    assert_int_equal(sb.ready, 0);
    extent_ready(x, bytes, RTE_BAD_IOVA);
    struct rte_mbuf *m = rte_pktmbuf_alloc(pools.pkts);
    assert_int_equal(sendbuf_attach(&sb, 1000, 2000, m, NULL), 0);
    released = 0;
    sendbuf_drop(&sb, 5000);
    assert_int_equal(released, 0);
    rte_pktmbuf_free(m);
    assert_int_equal(released, 1);
    sendbuf_fini(&sb);
}

/* ARCHITECTURE §1.3: small payloads are copied, and the packet is one buffer. */
static void test_small_payload_is_inline(void **state)
{
    struct sendbuf sb;
    char text[SENDBUF_INLINE] = "small";
    struct iovec iov = {text, sizeof(text)};
    sendbuf_init(&sb, &pools, 1 << 20);
    assert_int_equal(sendbuf_append_copy(&sb, &iov, 1, 0, sizeof(text)), sizeof(text));
    struct rte_mbuf *m = rte_pktmbuf_alloc(pools.pkts);
    assert_int_equal(sendbuf_attach(&sb, 0, sizeof(text), m, NULL), 0);
    assert_int_equal(m->nb_segs, 1);
    rte_pktmbuf_free(m);
    sendbuf_fini(&sb);
}

/* For ports without checksums: whatever has room is copied and added up, over the borders of extents, and refers to nothing; what has none
 * is not. */
static void test_payload_is_copied_and_summed(void **state)
{
    struct sendbuf sb;
    static char text[4096];
    struct iovec iov = {text, sizeof(text)};
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (char)(i * 7);
    sendbuf_init(&sb, &pools, 1 << 20);
    assert_int_equal(sendbuf_append_copy(&sb, &iov, 1, 0, sizeof(text)), sizeof(text));
    struct rte_mbuf *m = rte_pktmbuf_alloc(pools.pkts), *many = rte_pktmbuf_alloc(pools.pkts);
    int32_t sum, none;
    assert_int_equal(sendbuf_attach(&sb, 1001, 1447, m, &sum), 0);
    assert_int_equal(sendbuf_attach(&sb, 0, sizeof(text), many, &none), 0);
    assert_int_equal(sum, cksum_mbuf(m, 0, 1447));
    assert_int_equal(none, SENDBUF_REFERRED);
    assert_int_equal(m->nb_segs, 1);
    assert_true(many->nb_segs > 1);
    rte_pktmbuf_free(many);
    sendbuf_fini(&sb);
    assert_memory_equal(rte_pktmbuf_mtod(m, char *), text + 1001, 1447);
    rte_pktmbuf_free(m);
}

static void test_limit_of_the_engine(void **state)
{
    struct sendbuf sb;
    char text[100] = "";
    struct iovec iov = {text, sizeof(text)};
    sendbuf_init(&sb, &pools, 1 << 20);
    pools.bytes_limit = 150;
    assert_int_equal(sendbuf_append_copy(&sb, &iov, 1, 0, 100), 100);
    assert_int_equal(sendbuf_append_copy(&sb, &iov, 1, 0, 100), 100);
    assert_int_equal(sendbuf_append_copy(&sb, &iov, 1, 0, 100), -ENOBUFS);
    pools.bytes_limit = 1 << 30;
    sendbuf_fini(&sb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_a_model),
        cmocka_unit_test(test_release_waits_for_the_last_packet),
        cmocka_unit_test(test_small_payload_is_inline),
        cmocka_unit_test(test_payload_is_copied_and_summed),
        cmocka_unit_test(test_limit_of_the_engine),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
