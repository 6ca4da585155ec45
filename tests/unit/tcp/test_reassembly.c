// SPDX-License-Identifier: BSD-3-Clause
// The reassembly queue and the receive queue, with a model: every byte is a function of its sequence number.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <rte_eal.h>
#include "base/alloc.h"
#include "base/rng.h"
#include "tcp/recvbuf.h"
#include "tcp/stats.h"

static struct rte_mempool *pool;
static struct engine e;
static struct tcp_layer t;
static struct tcp_stats stats;
static struct tcb tp;

static int set_up_group(void **state)
{
    char *argv[] = {"test", "--no-huge", "--no-shconf", "--no-pci", "-m", "64", "--log-level=error"};
    if (rte_eal_init(7, argv) < 0)
        return -1;
    pool = rte_pktmbuf_pool_create("p", 4095, 0, 64, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    return pool ? 0 : -1;
}

#define START 0xfffff000u /* numbers wrap in every test */

static int set_up(void **state)
{
    memset(&t, 0, sizeof(t));
    memset(&stats, 0, sizeof(stats));
    memset(&tp, 0, sizeof(tp));
    e.tcp = &t;
    t.e = &e;
    t.stats = &stats;
    t.params.reass_maxqueuelen = 100;
    t.params.recvbytes_limit = 64 << 20;
    pool_init(&t.reass_segs, "reass", sizeof(struct reass_run), 10000, 64);
    tp.e = &e;
    tp.flags = TF_SACK_PERMIT;
    tp.rcv_nxt = START;
    tp.rcv.hiwat = 256 << 10;
    return 0;
}

static int tear_down(void **state)
{
    reass_free(&tp);
    recvbuf_free(&tp);
    assert_int_equal(tp.rcv.memory, 0);
    assert_int_equal(tp.rcv.bytes, 0);
    assert_int_equal(t.recv_bytes, 0);
    pool_fini(&t.reass_segs);
    assert_int_equal(rte_mempool_in_use_count(pool), 0);
    return 0;
}

static uint8_t byte_at(tcp_seq seq)
{
    return (uint8_t)(seq * 2654435761u >> 13);
}

static struct rte_mbuf *data(tcp_seq seq, uint32_t len)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool), *last = m;
    for (uint32_t i = 0; i < len; i++) {
        if (last->data_len == 1500) {
            last->next = rte_pktmbuf_alloc(pool);
            last = last->next;
        }
        *rte_pktmbuf_mtod_offset(last, uint8_t *, last->data_len) = byte_at(seq + i);
        last->data_len++;
    }
    m->pkt_len = len;
    return m;
}

static void out_of_order(uint32_t at, uint32_t len)
{
    reass_insert(&tp, data(START + at, len), START + at, len, false);
}

static uint32_t in_order(uint32_t at, uint32_t len, bool *fin)
{
    assert_int_equal(tp.rcv_nxt, START + at);
    recvbuf_append(&tp, data(START + at, len));
    tp.rcv_nxt += len;
    return tp.reass ? reass_advance(&tp, fin) : 0;
}

static void check_bytes(uint32_t from, uint32_t to)
{
    uint32_t seq = START + from;
    assert_int_equal(tp.rcv.bytes, to - from);
    for (const struct rte_mbuf *m = tp.rcv.head; m; m = m->next)
        for (uint32_t i = 0; i < m->data_len; i++)
            assert_int_equal(*rte_pktmbuf_mtod_offset(m, const uint8_t *, i), byte_at(seq++));
    assert_int_equal(seq, START + to);
}

static void a_gap_is_filled(void **state)
{
    bool fin = true;
    out_of_order(1000, 1000);
    out_of_order(2000, 500);
    assert_int_equal(tp.reass->runs, 1);
    assert_int_equal(in_order(0, 1000, &fin), 1500);
    assert_false(fin);
    assert_null(tp.reass);
    check_bytes(0, 2500);
}

static void what_came_first_stays(void **state)
{
    bool fin;
    out_of_order(1000, 1000);
    out_of_order(1500, 1000); /* front known */
    out_of_order(500, 1000);  /* back known */
    assert_int_equal(tp.reass->runs, 1);
    in_order(0, 600, &fin);
    check_bytes(0, 2500);
}

static void a_covered_run_gives_way(void **state)
{
    bool fin;
    out_of_order(1000, 100);
    out_of_order(1200, 100);
    out_of_order(500, 3000);
    assert_int_equal(tp.reass->runs, 1);
    in_order(0, 500, &fin);
    check_bytes(0, 3500);
}

static void fin_out_of_order_waits_for_its_place(void **state)
{
    bool fin = false;
    reass_insert(&tp, data(START + 100, 50), START + 100, 50, true);
    reass_insert(&tp, NULL, START + 150, 0, true);
    in_order(0, 50, &fin);
    assert_false(fin);
    in_order(50, 50, &fin);
    assert_true(fin);
    assert_null(tp.reass);
    assert_int_equal(tp.rcv_nxt, START + 150);
}

static void expect_blocks(unsigned n, const uint32_t *edges)
{
    struct sack_block b[TCP_MAX_SACK];
    assert_int_equal(reass_sack_blocks(&tp, b, TCP_MAX_SACK), n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(b[i].start, START + edges[2 * i]);
        assert_int_equal(b[i].end, START + edges[2 * i + 1]);
    }
}

static void rfc2018_4_most_recent_block_first(void **state)
{
    out_of_order(100, 100);
    out_of_order(300, 100);
    out_of_order(500, 100);
    expect_blocks(3, (uint32_t[]){500, 600, 300, 400, 100, 200});
    out_of_order(200, 50);
    expect_blocks(3, (uint32_t[]){100, 250, 500, 600, 300, 400});
    out_of_order(700, 10);
    out_of_order(900, 10);
    expect_blocks(4, (uint32_t[]){900, 910, 700, 710, 100, 250, 500, 600});
}

static void rfc2883_4_duplicate_is_reported_first_and_once(void **state)
{
    out_of_order(100, 100);
    out_of_order(300, 100);
    out_of_order(120, 30);
    expect_blocks(3, (uint32_t[]){120, 150, 100, 200, 300, 400});
    expect_blocks(2, (uint32_t[]){100, 200, 300, 400});
}

static void rfc2883_duplicate_below_the_ack(void **state)
{
    reass_duplicate(&tp, START - 100, START - 50);
    struct sack_block b[TCP_MAX_SACK];
    assert_int_equal(reass_sack_blocks(&tp, b, TCP_MAX_SACK), 1);
    assert_int_equal(b[0].start, START - 100);
    assert_int_equal(reass_sack_blocks(&tp, b, TCP_MAX_SACK), 0);
}

static void rfc2018_2_no_blocks_without_sack_permitted(void **state)
{
    struct sack_block b[TCP_MAX_SACK];
    tp.flags = 0;
    out_of_order(100, 100);
    reass_duplicate(&tp, START, START + 1);
    assert_int_equal(reass_sack_blocks(&tp, b, TCP_MAX_SACK), 0);
}

static void reass_maxqueuelen_limits_runs(void **state)
{
    t.params.reass_maxqueuelen = 3;
    for (uint32_t i = 1; i <= 5; i++)
        out_of_order(i * 100, 10);
    assert_int_equal(tp.reass->runs, 3);
    assert_int_equal(stats.rcvreassfull, 2);
    out_of_order(110, 10); /* grows a run: no new one */
    assert_int_equal(stats.rcvreassfull, 2);
}

static void recvbuf_limit_holds_out_of_order(void **state)
{
    tp.rcv.hiwat = 1000;
    for (uint32_t i = 1; i <= 100; i++)
        out_of_order(i * 100, 100);
    assert_true(tp.reass->memory <= recvbuf_limit(&tp));
    assert_true(stats.rcvmemdrop > 0);
}

static void small_segments_share_buffers(void **state)
{
    for (uint32_t i = 0; i < 10000; i++)
        recvbuf_append(&tp, data(START + i, 1));
    check_bytes(0, 10000);
    assert_true(tp.rcv.memory < 2 * 10000 + RECVBUF_SLACK);
    tp.rcv_nxt += 10000;
}

static void middling_segments_hold_at_most_twice_their_bytes(void **state)
{
    for (uint32_t at = 0; at < 100000; at += 500)
        recvbuf_append(&tp, data(START + at, 500));
    check_bytes(0, 100000);
    assert_true(tp.rcv.memory < 2 * 100000 + RECVBUF_SLACK);
}

/* What came out of order is a chain of buffers as empty: with them the limit was reached before the window was, and nothing more came in. */
static void filled_gaps_hold_at_most_twice_their_bytes(void **state)
{
    bool fin;
    tp.rcv.hiwat = 20000;
    for (uint32_t at = 500; at < 12000; at += 500)
        out_of_order(at, 500);
    in_order(0, 500, &fin);
    assert_true(tp.rcv.memory < 2 * 12000 + RECVBUF_SLACK);
    for (uint32_t at = 12000; at < 20000; at += 500) {
        struct rte_mbuf *m = data(START + at, 500);
        assert_true(recvbuf_room(&tp, m));
        recvbuf_append(&tp, m);
    }
    check_bytes(0, 20000);
    tp.rcv_nxt = START + 20000;
}

static void a_lent_buffer_is_not_written_to(void **state)
{
    recvbuf_append(&tp, data(START, 10));
    rte_mbuf_refcnt_update(tp.rcv.tail, 1);
    struct rte_mbuf *lent = tp.rcv.tail;
    recvbuf_append(&tp, data(START + 10, 10));
    assert_int_equal(lent->data_len, 10);
    assert_ptr_not_equal(tp.rcv.tail, lent);
    rte_mbuf_refcnt_update(lent, -1);
}

static void recvbuf_drop_takes_from_the_front(void **state)
{
    recvbuf_append(&tp, data(START, 4000));
    recvbuf_drop(&tp, 1600);
    check_bytes(1600, 4000);
    struct rte_mbuf *m = recvbuf_take(&tp);
    check_bytes(1600 + m->pkt_len, 4000);
    rte_pktmbuf_free(m);
}

static void random_order_gives_the_same_bytes(void **state)
{
    enum { BYTES = 60000 };
    struct rng r;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        set_up(state);
        rng_seed(&r, seed);
        bool fin = false;
        for (unsigned i = 0; tp.rcv_nxt != START + BYTES; i++) {
            uint32_t nxt = tp.rcv_nxt - START;
            uint32_t at = nxt + rng_below(&r, 8000);
            if (rng_below(&r, 4) == 0)
                at = nxt;
            if (at >= BYTES)
                continue;
            uint32_t len = 1 + rng_below(&r, rng_below(&r, 2) ? 20 : 3000);
            if (at + len > BYTES)
                len = BYTES - at;
            if (at == nxt)
                in_order(at, len, &fin);
            else
                out_of_order(at, len);
        }
        check_bytes(0, BYTES);
        assert_null(tp.reass);
        tear_down(state);
    }
    set_up(state);
}

#ifdef LEAT_FAULT_INJECTION
static void memory_failure_drops_and_counts(void **state)
{
    for (int64_t n = 1; n <= 2; n++) {
        fault_run = 1;
        fault_countdown = n;
        out_of_order(100, 100);
        fault_countdown = -1;
        assert_int_equal(stats.rcvmemdrop + stats.rcvreassfull, n);
    }
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_gap_is_filled),
        TEST(what_came_first_stays),
        TEST(a_covered_run_gives_way),
        TEST(fin_out_of_order_waits_for_its_place),
        TEST(rfc2018_4_most_recent_block_first),
        TEST(rfc2883_4_duplicate_is_reported_first_and_once),
        TEST(rfc2883_duplicate_below_the_ack),
        TEST(rfc2018_2_no_blocks_without_sack_permitted),
        TEST(reass_maxqueuelen_limits_runs),
        TEST(recvbuf_limit_holds_out_of_order),
        TEST(small_segments_share_buffers),
        TEST(middling_segments_hold_at_most_twice_their_bytes),
        TEST(filled_gaps_hold_at_most_twice_their_bytes),
        TEST(a_lent_buffer_is_not_written_to),
        TEST(recvbuf_drop_takes_from_the_front),
        TEST(random_order_gives_the_same_bytes),
#ifdef LEAT_FAULT_INJECTION
        TEST(memory_failure_drops_and_counts),
#endif
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
