// SPDX-License-Identifier: BSD-3-Clause
// The send map alone: against a model that knows each byte, and by hand where the shape matters (merged, split, bounded, no memory).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/rng.h"
#include "tcp/loss/sendmap.h"

#define MSS   10u
#define BASE  0xffffff00u /* numbers wrap in every test */
#define BYTES 100000u

static struct sendmap_shared shared;
static struct sendmap m;

/* What is known of each byte. */
static struct {
    uint8_t state, rexmits;
    uint64_t xmit;
} model[BYTES];
static uint32_t una, top; /* outstanding: [una, top) */
static uint64_t now;
static uint64_t record_ns; /* of what was delivered, the one sent last */
static tcp_seq record_end;
static uint32_t told; /* bytes of the last call that were reported as delivered */

static void delivered(void *arg, const struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                      struct sendmap_entry *older)
{
    assert_true(seq_leq(e->start, start) && seq_leq(end, e->end) && seq_lt(start, end));
    for (tcp_seq s = start; s != end; s++) {
        assert_int_not_equal(model[s - BASE].state, SENDMAP_SACKED);
        assert_int_equal(model[s - BASE].xmit, e->xmit_ns);
        assert_int_equal(model[s - BASE].rexmits, e->rexmits);
    }
    told += end - start;
    if (sendmap_older(record_ns, record_end, e->xmit_ns, end)) {
        record_ns = e->xmit_ns;
        record_end = end;
        m.before = e->state == SENDMAP_FLYING ? older : sendmap_sent_before(&m, e->xmit_ns, end);
    }
}

static uint32_t check_tree(const struct sendmap_entry *e, const struct sendmap_entry *parent)
{
    if (!e)
        return 0;
    assert_ptr_equal(e->parent, parent);
    if (parent)
        assert_true(parent->rank >= e->rank);
    return check_tree(e->left, e) + check_tree(e->right, e) + 1;
}

/* Every invariant, and the model byte by byte. */
static void check(void)
{
    uint32_t n = 0, sacked = 0, lost = 0, splits = 0, segs = 0, at = una;
    for (const struct sendmap_entry *e = m.first; e; e = e->next) {
        assert_int_equal(e->start, BASE + at);
        assert_true(seq_lt(e->start, e->end));
        if (e->prev)
            assert_false(e->state == SENDMAP_SACKED && e->prev->state == SENDMAP_SACKED);
        for (; BASE + at != e->end; at++) {
            assert_int_equal(model[at].state, e->state);
            if (e->state != SENDMAP_SACKED) {
                assert_int_equal(model[at].xmit, e->xmit_ns);
                assert_int_equal(model[at].rexmits, e->rexmits);
            }
        }
        assert_ptr_equal(sendmap_find(&m, e->start), e);
        assert_ptr_equal(sendmap_find(&m, e->end - 1), e);
        sacked += e->state == SENDMAP_SACKED ? e->end - e->start : 0;
        segs += e->state == SENDMAP_SACKED ? e->segs : 0;
        lost += e->state == SENDMAP_LOST ? e->end - e->start : 0;
        splits += e->extra;
        n++;
    }
    assert_int_equal(at, top);
    assert_int_equal(n, m.n);
    assert_int_equal(check_tree(m.root, NULL), n);
    assert_int_equal(sacked, m.sacked);
    assert_int_equal(segs, m.sacked_segs);
    assert_int_equal(lost, m.lost);
    assert_int_equal(splits, m.splits);
    assert_int_equal(sendmap_flight(&m), top - una - sacked - lost);
    uint32_t flying = 0;
    const struct sendmap_entry *before = NULL;
    for (const struct sendmap_entry *e = m.oldest; e; e = e->newer) {
        assert_int_equal(e->state, SENDMAP_FLYING);
        if (e->older)
            assert_true(sendmap_older(e->older->xmit_ns, e->older->end, e->xmit_ns, e->end));
        if (sendmap_older(e->xmit_ns, e->end, record_ns, record_end))
            before = e;
        flying += e->end - e->start;
    }
    assert_ptr_equal(m.before, before);
    assert_int_equal(flying, sendmap_flight(&m));
    for (const struct sendmap_entry *e = m.lost_first; e; e = e->newer) {
        assert_int_equal(e->state, SENDMAP_LOST);
        if (e->older)
            assert_true(seq_lt(e->older->start, e->start));
        lost -= e->end - e->start;
    }
    assert_int_equal(lost, 0);
}

static void send_bytes(uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to; i++) {
        if (i < top && model[i].state == SENDMAP_SACKED)
            continue;
        model[i].rexmits = i < top ? (uint8_t)(model[i].rexmits + 1) : 0;
        model[i].state = SENDMAP_FLYING;
        model[i].xmit = now;
    }
    sendmap_sent(&m, BASE + from, BASE + to, MSS, now);
    if (to > top)
        top = to;
}

static void start(uint64_t seed)
{
    sendmap_shared_init(&shared);
    sendmap_init(&m, &shared, (uint32_t)seed);
    memset(model, 0, sizeof(model));
    una = top = 0;
    now = 1000;
    record_ns = 0;
    record_end = BASE;
}

static void stop(void)
{
    sendmap_free(&m);
    assert_int_equal(shared.entries.used, 0);
    sendmap_shared_fini(&shared);
    shared = (struct sendmap_shared){0};
}

/* ---- by chance ---- */

static void ack_to(uint32_t to)
{
    told = 0;
    uint32_t fresh = 0;
    for (uint32_t i = una; i < to; i++)
        fresh += model[i].state != SENDMAP_SACKED;
    sendmap_ack(&m, BASE + to, delivered, NULL);
    una = to;
    now++; /* what is sent next is sent later than what was delivered */
    assert_int_equal(told, fresh);
}

static void sack(uint32_t from, uint32_t to)
{
    uint32_t fresh = 0;
    told = 0;
    for (uint32_t i = from; i < to; i++)
        fresh += model[i].state != SENDMAP_SACKED;
    assert_int_equal(sendmap_sack(&m, BASE + from, BASE + to, delivered, NULL), fresh);
    assert_int_equal(told, fresh);
    for (uint32_t i = from; i < to; i++)
        model[i].state = SENDMAP_SACKED;
    now++;
}

static void lose_oldest(void)
{
    if (!m.oldest)
        return;
    for (tcp_seq s = m.oldest->start; s != m.oldest->end; s++)
        model[s - BASE].state = SENDMAP_LOST;
    sendmap_lose(&m, m.oldest);
}

static void renege(void)
{
    if (!m.first || m.first->state != SENDMAP_SACKED)
        return;
    for (tcp_seq s = m.first->start; s != m.first->end; s++) {
        model[s - BASE].state = SENDMAP_LOST;
        model[s - BASE].xmit = m.first->xmit_ns;
        model[s - BASE].rexmits = m.first->rexmits;
    }
    sendmap_renege(&m);
}

static void unlose(void)
{
    sendmap_unlose(&m);
    for (uint32_t i = una; i < top; i++)
        if (model[i].state == SENDMAP_LOST)
            model[i].state = SENDMAP_FLYING;
    m.before = sendmap_sent_before(&m, record_ns, record_end);
}

/* Whole segments from a random one on: receivers report segments. */
static void span(struct rng *r, uint32_t *from, uint32_t *to)
{
    uint32_t segs = (top - una) / MSS, first = rng_below(r, segs),
             n = 1 + rng_below(r, rng_below(r, 2) ? 3 : segs);
    *from = una + first * MSS;
    *to = *from + n * MSS < top ? *from + n * MSS : top;
}

static void step(struct rng *r)
{
    uint32_t from, to;
    now += rng_below(r, 3);
    if (top - una < 2 * MSS || rng_below(r, 4) == 0) {
        if (top - una < 200 * MSS)
            send_bytes(top, top + MSS * (1 + rng_below(r, 5)));
        return;
    }
    span(r, &from, &to);
    switch (rng_below(r, 8)) {
    case 0:
        ack_to(rng_below(r, 4) ? from : to);
        break;
    case 1:
    case 2:
    case 3:
        sack(from, to);
        break;
    case 4:
        lose_oldest();
        break;
    case 5:
        send_bytes(from, rng_below(r, 2) ? from + MSS : to);
        break;
    case 6:
        if (rng_below(r, 10) == 0)
            unlose();
        break;
    case 7:
        if (rng_below(r, 10) == 0)
            renege();
        break;
    }
}

static void any_order_of_events(void **state)
{
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rng r;
        rng_seed(&r, seed);
        start(seed);
        for (unsigned i = 0; i < 400 && top < BYTES - 4000; i++) {
            step(&r);
            check();
        }
        stop();
    }
}

/* ---- by hand ---- */

static void one_turn_is_one_entry(void **state)
{
    start(1);
    for (unsigned i = 0; i < 10; i++)
        send_bytes(top, top + MSS);
    assert_int_equal(m.n, 1);
    now++;
    send_bytes(top, top + MSS);
    assert_int_equal(m.n, 2);
    send_bytes(top, top + 3); /* not a full one: where the next begins must be known */
    assert_int_equal(m.n, 2);
    send_bytes(top, top + MSS);
    assert_int_equal(m.n, 3);
    check();
    stop();
}

static void what_is_sacked_is_merged(void **state)
{
    start(1);
    for (unsigned i = 0; i < 10; i++, now++)
        send_bytes(top, top + MSS);
    sack(20, 30);
    sack(40, 50);
    assert_int_equal(m.n, 10);
    sack(30, 40);
    assert_int_equal(m.n, 8);
    assert_int_equal(m.sacked_segs, 3);
    sack(10, 100);
    assert_int_equal(m.n, 2);
    assert_int_equal(m.sacked_segs, 9);
    check();
    ack_to(100);
    assert_int_equal(m.n, 0);
    assert_int_equal(m.sacked_segs, 0);
    stop();
}

/* A growing block of one entry moves the border and needs no new one. */
static void a_growing_block_splits_once(void **state)
{
    start(1);
    send_bytes(0, 100 * MSS);
    sack(500, 510);
    assert_int_equal(m.n, 3);
    assert_int_equal(m.splits, 2);
    for (uint32_t at = 510; at < 900; at += MSS)
        sack(at, at + MSS);
    for (uint32_t at = 500; at > 100; at -= MSS)
        sack(at - MSS, at);
    assert_int_equal(m.n, 3);
    check();
    stop();
}

static void retransmissions_of_one_turn_are_one_entry(void **state)
{
    start(1);
    send_bytes(0, 20 * MSS);
    now++;
    lose_oldest();
    for (uint32_t at = 0; at < 50; at += MSS)
        send_bytes(at, at + MSS);
    assert_int_equal(m.n, 2);
    check();
    for (uint32_t at = 50; at < 200; at += MSS)
        send_bytes(at, at + MSS);
    assert_int_equal(m.n, 1);
    check();
    stop();
}

/* An edge within a segment is nothing that a receiver would report. */
static void blocks_count_in_whole_segments(void **state)
{
    start(1);
    send_bytes(0, 10 * MSS);
    told = 0;
    assert_int_equal(sendmap_sack(&m, BASE + 41, BASE + 42, delivered, NULL), 0);
    assert_int_equal(sendmap_sack(&m, BASE + 35, BASE + 47, delivered, NULL), 0);
    assert_int_equal(m.n, 1);
    assert_int_equal(shared.misaligned, 2);
    assert_int_equal(sendmap_sack(&m, BASE + 35, BASE + 67, delivered, NULL), 20);
    assert_int_equal(told, 20);
    assert_int_equal(sendmap_find(&m, BASE + 40)->end, BASE + 60);
    stop();
}

/* A peer that acknowledges in pieces of its own may SACK in them too. */
static void a_peer_with_other_pieces(void **state)
{
    start(1);
    send_bytes(0, 10 * MSS);
    ack_to(13);
    sack(25, 42);
    check();
    assert_int_equal(m.sacked, 17);
    stop();
}

static void splits_are_limited(void **state)
{
    start(1);
    shared.split_limit = 4;
    send_bytes(0, 100 * MSS);
    for (uint32_t i = 1; i < 50; i += 2)
        sendmap_sack(&m, BASE + i * MSS, BASE + (i + 1) * MSS, delivered, NULL);
    assert_true(m.splits <= 4 && m.n <= 5);
    assert_true(shared.split_limited > 0);
    for (uint32_t i = 0; i < m.sacked; i++)
        assert_true(i < 40);                      /* what found no room is not noted */
    sendmap_ack(&m, BASE + 500, delivered, NULL); /* what is merged or acknowledged frees room */
    assert_in_range(m.splits, 0, 1);
    assert_int_equal(sendmap_sack(&m, BASE + 600, BASE + 610, delivered, NULL), 10);
    stop();
}

static void new_data_waits_at_the_map_limit(void **state)
{
    start(1);
    shared.map_limit = 3;
    for (unsigned i = 0; i < 3; i++, now++) {
        assert_true(sendmap_ready(&m));
        send_bytes(top, top + MSS);
    }
    assert_false(sendmap_ready(&m));
    assert_int_equal(shared.map_limited, 1);
    ack_to(10);
    assert_true(sendmap_ready(&m));
    stop();
}

/* Without memory for splits the whole entry counts as sent again, blocks are not noted, and new data finds its reserve. */
static void no_memory(void **state)
{
    start(1);
    send_bytes(0, 10 * MSS);
    assert_true(sendmap_ready(&m));
    shared.entries.limit = 2;
    assert_int_equal(sendmap_sack(&m, BASE + 30, BASE + 50, delivered, NULL), 0);
    assert_int_equal(m.sacked, 0);
    assert_true(shared.nomem > 0);
    now++;
    sendmap_sent(&m, BASE + 20, BASE + 30, MSS, now);
    assert_int_equal(m.newest->xmit_ns, now);
    assert_int_equal(sendmap_flight(&m), 100);
    now++;
    assert_false(sendmap_ready(&m));
    sendmap_sent(&m, BASE + 100, BASE + 110, MSS,
                 now); /* nobody asked before: nothing is forgotten all the same */
    assert_int_equal(sendmap_flight(&m), 110);
    assert_int_equal(m.last->end, BASE + 110);
    stop();
}

static void adopted_bytes_have_no_time(void **state)
{
    start(1);
    assert_int_equal(sendmap_adopt(&m, BASE, BASE + 77, 0), 0);
    assert_true(m.first->untimed);
    assert_int_equal(sendmap_sack(&m, BASE + 33, BASE + 44, delivered, NULL), 0 + 11);
    assert_int_equal(m.n, 3);
    stop();
}

static void a_hundred_thousand_entries_are_found(void **state)
{
    start(7);
    for (uint32_t i = 0; i < 100000; i++, now++)
        sendmap_sent(&m, BASE + i, BASE + i + 1, 1, now);
    unsigned deepest = 0;
    for (uint32_t i = 0; i < 100000; i += 13) {
        unsigned depth = 0;
        for (const struct sendmap_entry *e = sendmap_find(&m, BASE + i); e; e = e->parent)
            depth++;
        deepest = depth > deepest ? depth : deepest;
    }
    assert_in_range(deepest, 17,
                    60); /* 2 ln n is 23, and the deepest of all is seldom more than twice that */
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_events),
        cmocka_unit_test(one_turn_is_one_entry),
        cmocka_unit_test(what_is_sacked_is_merged),
        cmocka_unit_test(a_growing_block_splits_once),
        cmocka_unit_test(retransmissions_of_one_turn_are_one_entry),
        cmocka_unit_test(blocks_count_in_whole_segments),
        cmocka_unit_test(a_peer_with_other_pieces),
        cmocka_unit_test(splits_are_limited),
        cmocka_unit_test(new_data_waits_at_the_map_limit),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(adopted_bytes_have_no_time),
        cmocka_unit_test(a_hundred_thousand_entries_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
