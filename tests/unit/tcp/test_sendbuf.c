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

enum { BYTES = 400000, HELD = 64, SEGMENT = 1448 };
static uint8_t model[BYTES]; /* everything ever appended */
static uint32_t front, end;  /* model[front..end) is queued */
static struct extent *pending[256];
static uint32_t pending_at[256];
static unsigned n_pending, n_pieces;
static struct rte_mbuf *held[HELD]; /* packets in flight, each with the offset of its bytes in the model */
static uint32_t held_at[HELD];

/* What a pending extent will have, in one piece or cut as records are. */
struct body {
    struct extent_cut cut;
    unsigned sent; /* pieces */
    uint16_t sums[16];
    uint8_t bytes[9000 + 16 * EXTENT_GAP];
};

static void fill_cut(struct extent *x, struct body *b, const uint8_t *from)
{
    uint8_t *to = b->bytes + EXTENT_GAP;
    for (uint32_t n, done = 0, i = 0; done < x->len; done += n, i++, to += n + EXTENT_GAP) {
        uint32_t full = i == 0 ? b->cut.first : b->cut.size;
        n = x->len - done < full ? x->len - done : full;
        memset(to - EXTENT_GAP, 0xee, EXTENT_GAP);
        b->sums[i] = cksum_copy(to, from + done, n);
    }
    extent_ready_cut(x, b->bytes + EXTENT_GAP, RTE_BAD_IOVA, b->cut, b->sums);
}

static void fill(struct extent *x, const uint8_t *from)
{
    struct body *b = x->arg;
    if (b->cut.size) {
        fill_cut(x, b, from);
        return;
    }
    memcpy(b->bytes, from, x->len);
    extent_ready(x, b->bytes, RTE_BAD_IOVA);
}

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
    struct body *body = malloc(sizeof(*body));
    body->sent = 0;
    body->cut = (struct extent_cut){(uint16_t)(1 + rng_below(r, SEGMENT)), rng_below(r, 2) ? SEGMENT : 0};
    struct extent *x = n_pending < 256 ? extent_new(&pools, len, on_release, body) : NULL;
    if (!x) {
        free(body);
        return;
    }
    if (rng_below(r, 2)) {
        fill(x, model + end);
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
    fill(pending[i], model + pending_at[i]);
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

/* Room for one more in flight. */
static unsigned slot_free(struct rng *r)
{
    unsigned slot = rng_below(r, HELD);
    if (held[slot]) { /* its bytes may have been acknowledged long ago */
        check_packet(held[slot], held_at[slot]);
        rte_pktmbuf_free(held[slot]);
        held[slot] = NULL;
    }
    return slot;
}

/* Where the piece i of x begins and how long it is, counted as slowly as can be. */
static uint32_t piece(const struct extent *x, unsigned i, uint32_t *begin)
{
    uint32_t n = 0;
    *begin = 0;
    for (unsigned k = 0;; k++, *begin += n) {
        uint32_t full = k == 0 ? x->cut.first : x->cut.size;
        n = x->len - *begin < full ? x->len - *begin : full;
        if (k == i || n == 0)
            return n;
    }
}

/* Pieces leave as they lie, in order and once, for a second packet would write over the first one's headers. */
static void send_piece(struct sendbuf *sb, struct rng *r)
{
    struct extent *x = STAILQ_FIRST(&sb->queue);
    uint32_t pos = 0, begin;
    for (uint32_t skip = rng_below(r, 8); x && skip > 0; x = STAILQ_NEXT(x, link), skip--)
        pos += x->len;
    if (!x || x->kind != EXTENT_REF)
        return;
    struct body *b = x->arg;
    uint32_t len = b->cut.size ? piece(x, b->sent, &begin) : 0, off = pos + begin - sb->front_off;
    if (len == 0 || pos + begin < sb->front_off || off + len > sb->ready)
        return;
    unsigned slot = slot_free(r);
    uint16_t sum;
    assert_null(sendbuf_piece(sb, off, len + 1, &sum));
    assert_null(sendbuf_piece(sb, off + 1, len - 1, &sum));
    struct rte_mbuf *m = sendbuf_piece(sb, off, len, &sum);
    assert_non_null(m);
    assert_null(sendbuf_piece(sb, off, len, &sum));
    b->sent++;
    n_pieces++;
    m->pkt_len = m->data_len;
    assert_int_equal(sum, cksum_mbuf(m, 0, len));
    memset(rte_pktmbuf_prepend(m, 118), 0xa5, 118); /* as many headers as there may be */
    rte_pktmbuf_adj(m, 98);
    rte_mbuf_sanity_check(m, 1);
    check_packet(m, front + off);
    held[slot] = m;
    held_at[slot] = front + off;
}

static void send_some(struct sendbuf *sb, struct rng *r)
{
    if (sb->ready == 0)
        return;
    uint32_t off = rng_below(r, sb->ready), len = 1 + rng_below(r, sb->ready - off);
    unsigned slot = slot_free(r);
    if (len > 60000)
        len = 60000;
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
                send_some(&sb, &r);
                break;
            case 3:
                send_piece(&sb, &r);
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
    assert_true(n_pieces > 300);
}

/* Segments are counted from what was sent, not from where extents begin. */
static void test_where_the_stream_is_cut(void **state)
{
    struct sendbuf sb;
    sendbuf_init(&sb, &pools, 1 << 20);
    sb.segment = SEGMENT;
    assert_int_equal(sendbuf_to_cut(&sb, 0), SEGMENT);
    sb.bytes = 500;
    assert_int_equal(sendbuf_to_cut(&sb, 0), SEGMENT - 500);
    assert_int_equal(sendbuf_to_cut(&sb, 500), SEGMENT);
    sb.bytes = 500 + 3 * SEGMENT + 7;
    assert_int_equal(sendbuf_to_cut(&sb, 500), SEGMENT - 7);
    sb.bytes = 0;
    assert_int_equal(sendbuf_to_cut(&sb, 1), SEGMENT); /* a SYN */
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
        cmocka_unit_test(test_where_the_stream_is_cut),
        cmocka_unit_test(test_release_waits_for_the_last_packet),
        cmocka_unit_test(test_small_payload_is_inline),
        cmocka_unit_test(test_payload_is_copied_and_summed),
        cmocka_unit_test(test_limit_of_the_engine),
    };
    return cmocka_run_group_tests(tests, set_up, NULL);
}
