// SPDX-License-Identifier: BSD-3-Clause
// The ring of a connection: each mode with a full ring and at the end, limits, reading out, the automatic mode, log IDs and their expiry.
#include "box.h"
#include <stdio.h>

#define LIMIT 30 /* almost three chunks */

/* Serial numbers of what is in the ring. */
static unsigned serials(struct box *b, struct bb_log *log, uint32_t *first, uint32_t *last)
{
    struct tcp_log_buffer r[200];
    uint32_t n = bb_read(b->l, log, r, sizeof(r)) / (uint32_t)sizeof(r[0]);
    for (uint32_t i = 1; i < n; i++)
        assert_int_equal(r[i].tlb_sn, r[i - 1].tlb_sn + 1);
    *first = n ? r[0].tlb_sn : 0;
    *last = n ? r[n - 1].tlb_sn : 0;
    return n;
}

static void mode_holds(int mode, unsigned events, unsigned n, uint32_t want_first, uint32_t want_last,
                       int then)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, mode);
    uint32_t first, last;
    box_events(b, log, events);
    assert_int_equal(log->mode, then);
    assert_int_equal(log->count, n);
    assert_int_equal(serials(b, log, &first, &last), n);
    assert_int_equal(first, want_first);
    assert_int_equal(last, want_last);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void tail_recycles_the_oldest(void **state)
{
    mode_holds(TCP_LOG_STATE_TAIL, LIMIT + 7, LIMIT, 7, LIMIT + 6, TCP_LOG_STATE_TAIL);
    mode_holds(TCP_LOG_STATE_TAIL_AUTO, 3 * LIMIT, LIMIT, 2 * LIMIT, 3 * LIMIT - 1, TCP_LOG_STATE_TAIL_AUTO);
}

static void head_stops_and_keeps(void **state)
{
    mode_holds(TCP_LOG_STATE_HEAD, LIMIT + 7, LIMIT, 0, LIMIT - 1, TCP_LOG_STATE_OFF);
}

static void head_auto_dumps_and_stops(void **state)
{
    mode_holds(TCP_LOG_STATE_HEAD_AUTO, LIMIT + 7, 0, 0, 0, TCP_LOG_STATE_OFF);
}

static void continual_dumps_and_goes_on(void **state)
{
    mode_holds(TCP_LOG_STATE_CONTINUAL, LIMIT + 7, 7, LIMIT, LIMIT + 6, TCP_LOG_STATE_CONTINUAL);
}

/* TCP_LOG_VIA_BBPOINTS: only trace points are recorded, and the rest is no loss. */
static void bbpoints_records_trace_points_only(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_VIA_BBPOINTS);
    assert_int_equal(box_events(b, log, 5), 0);
    assert_non_null(box_next(b, log, TCP_RACK_TP_TRIGGERED, b->now));
    assert_int_equal(log->serial, 1);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void off_keeps_what_is_there_and_clear_does_not(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    box_events(b, log, 5);
    assert_int_equal(bb_set_mode(b->l, log, TCP_LOG_STATE_OFF), 0);
    assert_int_equal(box_events(b, log, 5), 0);
    assert_int_equal(log->count, 5);
    assert_int_equal(log->serial, 5); /* what is not recorded because of OFF is no loss */
    assert_int_equal(bb_set_mode(b->l, log, TCP_LOG_STATE_CLEAR), 0);
    assert_int_equal(log->count, 0);
    assert_int_equal(log->mode, TCP_LOG_STATE_OFF);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void modes_that_do_not_exist_are_refused(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    assert_int_equal(bb_set_mode(b->l, log, -2), -EINVAL);
    assert_int_equal(bb_set_mode(b->l, log, 7), -EINVAL);
    assert_int_equal(log->mode, TCP_LOG_STATE_TAIL);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void disable_all_empties_at_the_next_event(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    box_events(b, log, 5);
    box_set(b, "net.inet.tcp.bb.disable_all", "1");
    assert_int_equal(log->count, 5);
    assert_int_equal(box_events(b, log, 1), 0);
    assert_int_equal(log->count, 0);
    assert_int_equal(log->mode, TCP_LOG_STATE_OFF);
    assert_int_equal(bb_set_mode(b->l, log, TCP_LOG_STATE_TAIL), -EBUSY);
    bb_close(b->l, log, b->now);
    box_free(b);
}

/* TCP_LOGBUF: whole records only, and they leave. */
static void reading_removes_whole_records(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    struct tcp_log_buffer r[4];
    box_events(b, log, 10);
    assert_int_equal(bb_readable(log), 10 * sizeof(r[0]));
    assert_int_equal(bb_read(b->l, log, r, sizeof(r) - 1), 3 * sizeof(r[0]));
    assert_int_equal(r[0].tlb_sn, 0);
    assert_int_equal(r[2].tlb_sn, 2);
    assert_int_equal(log->count, 7);
    assert_int_equal(bb_read(b->l, log, r, sizeof(r)), 4 * sizeof(r[0]));
    assert_int_equal(r[0].tlb_sn, 3);
    bb_close(b->l, log, b->now);
    box_free(b);
}

/* net.inet.tcp.bb.log_global_limit: a tail recycles its own, an empty ring gets nothing. */
static void the_limit_in_all_holds(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *a = box_log(b, 1000, TCP_LOG_STATE_TAIL), *c = box_log(b, 1000, TCP_LOG_STATE_TAIL);
    box_set(b, "net.inet.tcp.bb.log_global_limit", "44");
    box_events(b, a, 500);
    assert_true(a->count >= 33 && a->count <= 44);
    assert_int_equal(box_events(b, c, 3), a->count < 44 ? 3 : 0);
    uint32_t first, last;
    serials(b, a, &first, &last);
    assert_int_equal(last, 499);
    assert_true(b->l->stats.lost > 0);
    bb_close(b->l, a, b->now);
    bb_close(b->l, c, b->now);
    assert_int_equal(b->l->records, 0);
    box_free(b);
}

static void every_nth_connection_is_chosen(void **state)
{
    static const unsigned ratio[] = {0, 1, 3}, want[] = {0, 9, 3};
    for (unsigned k = 0; k < 3; k++) {
        struct box *b = box_new(NULL);
        struct bb_log *log[9];
        char text[8];
        unsigned n = 0;
        snprintf(text, sizeof(text), "%u", ratio[k]);
        box_set(b, "net.inet.tcp.bb.log_auto_all", "1");
        box_set(b, "net.inet.tcp.bb.log_auto_ratio", text);
        for (unsigned i = 0; i < 9; i++) {
            log[i] = bb_open_auto(b->l, b);
            n += log[i] != NULL;
            if (log[i])
                assert_int_equal(log[i]->mode, TCP_LOG_STATE_TAIL);
        }
        assert_int_equal(n, want[k]);
        if (ratio[k] == 3)
            assert_non_null(log[0]); /* deterministic: the first one is */
        for (unsigned i = 0; i < 9; i++)
            if (log[i])
                bb_close(b->l, log[i], b->now);
        box_free(b);
    }
}

static void a_chosen_id_passes_its_mode_on(void **state)
{
    struct box *b = box_new(NULL);
    box_set(b, "net.inet.tcp.bb.log_auto_ratio", "2");
    box_set(b, "net.inet.tcp.bb.log_auto_mode", "4");
    struct bb_log *log[4];
    static const char *const id[] = {"one", "two", "one", "two"};
    for (unsigned i = 0; i < 4; i++) {
        log[i] = bb_open(b->l, b);
        assert_int_equal(bb_set_id(b->l, log[i], id[i]), 0);
        assert_int_equal(log[i]->mode, i % 2 == 0 ? TCP_LOG_STATE_CONTINUAL : TCP_LOG_STATE_OFF);
    }
    assert_int_equal(bb_id_count(log[0]), 2);
    assert_string_equal(bb_id(log[1]), "two");
    for (unsigned i = 0; i < 4; i++)
        bb_close(b->l, log[i], b->now);
    assert_int_equal(b->l->n_buckets, 0);
    box_free(b);
}

/* A chosen connection that nobody has named would only fill memory. */
static void a_chosen_one_without_id_is_sacrificed_when_full(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    log->auto_selected = true;
    box_events(b, log, LIMIT + 1);
    assert_int_equal(log->count, 0);
    assert_int_equal(log->mode, TCP_LOG_STATE_OFF);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void records_of_an_id_wait_a_minute(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL),
                  *other = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    assert_int_equal(bb_set_id(b->l, log, "shop"), 0);
    assert_int_equal(bb_set_id(b->l, other, "shop"), 0);
    box_events(b, log, 5);
    bb_close(b->l, log, b->now);
    assert_int_equal(bb_id_count(other), 2);
    bb_sweep(b->l, b->now + 59 * SEC);
    assert_int_equal(bb_id_count(other), 2);
    bb_sweep(b->l, b->now + 60 * SEC);
    assert_int_equal(bb_id_count(other), 1);
    assert_int_equal(b->l->stats.expired, 5);
    assert_int_equal(b->l->records, 0);
    bb_close(b->l, other, b->now);
    box_free(b);
}

/* A closed one without records does not wait. */
static void nothing_to_wait_for(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    assert_int_equal(bb_set_id(b->l, log, "shop"), 0);
    bb_close(b->l, log, b->now);
    assert_int_equal(b->l->n_buckets, 0);
    box_free(b);
}

static void leaving_an_id(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    assert_int_equal(bb_set_tag(log, "t"), -EOPNOTSUPP);
    assert_int_equal(bb_set_id(b->l, log, "a"), 0);
    assert_int_equal(bb_set_tag(log, "t"), 0);
    assert_string_equal(bb_tag(log), "t");
    assert_int_equal(bb_set_id(b->l, log, "b"), 0);
    assert_string_equal(bb_id(log), "b");
    assert_string_equal(bb_tag(log), "");
    assert_int_equal(b->l->n_buckets, 1);
    assert_int_equal(bb_set_id(b->l, log, ""), 0);
    assert_string_equal(bb_id(log), "");
    assert_int_equal(b->l->n_buckets, 0);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void limits_of_ids(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log[3];
    for (int i = 0; i < 3; i++)
        log[i] = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    box_set(b, "net.inet.tcp.bb.log_id_limit", "1");
    box_set(b, "net.inet.tcp.bb.log_id_tcpcb_limit", "2");
    assert_int_equal(bb_set_id(b->l, log[0], "a"), 0);
    assert_int_equal(bb_set_id(b->l, log[1], "b"), -ENOBUFS);
    assert_int_equal(bb_set_id(b->l, log[1], "a"), 0);
    assert_int_equal(bb_set_id(b->l, log[2], "a"), -ENOBUFS);
    assert_string_equal(bb_id(log[2]), "");
    for (int i = 0; i < 3; i++)
        bb_close(b->l, log[i], b->now);
    box_free(b);
}

static uint32_t serial_of(struct bb_log *log, unsigned which)
{
    struct bb_chunk *c;
    STAILQ_FOREACH (c, &log->chunks, link) {
        if (which < (unsigned)(c->end - c->first))
            return c->r[c->first + which].b.tlb_sn;
        which -= (unsigned)(c->end - c->first);
    }
    fail_msg("no such record");
    return 0;
}

/* net.inet.tcp.bb.id_events: the connections of an ID share it; what one gives back another may take. */
static void the_limit_of_an_id_holds(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *one = box_log(b, 100, TCP_LOG_STATE_TAIL), *other = box_log(b, 100, TCP_LOG_STATE_HEAD),
                  *third = box_log(b, 100, TCP_LOG_STATE_TAIL);
    box_set(b, "net.inet.tcp.bb.id_events", "30");
    box_events(b, one, 5); /* before it joins */
    bb_set_id(b->l, one, "shop");
    bb_set_id(b->l, other, "shop");
    assert_int_equal(box_events(b, other, 20), 20);
    assert_int_equal(box_events(b, one, 20), 20); /* full at 10 of its own: its oldest go */
    assert_int_equal(one->count, 10);
    assert_int_equal(serial_of(one, 0), 15);
    assert_int_equal(serial_of(one, 9), 24);
    assert_int_equal(b->l->stats.lost, 15);
    assert_int_equal(box_events(b, other, 1), 0); /* HEAD: stops */
    assert_int_equal(other->mode, TCP_LOG_STATE_OFF);
    assert_int_equal(box_events(b, third, 50), 50); /* of no ID */
    bb_close(b->l, other, b->now);                  /* its records wait, and count */
    assert_int_equal(bb_find_id(b->l, "shop")->records, 30);
    bb_dump_id(b->l, bb_find_id(b->l, "shop"), "asked"); /* nobody wants them: gone */
    assert_int_equal(bb_find_id(b->l, "shop")->records, 0);
    assert_int_equal(box_events(b, one, 25), 25);
    assert_int_equal(one->count, 25);
    bb_set_id(b->l, third, "shop"); /* comes with 50 */
    assert_int_equal(bb_find_id(b->l, "shop")->records, 75);
    bb_set_id(b->l, third, "");
    assert_int_equal(bb_find_id(b->l, "shop")->records, 25);
    bb_close(b->l, one, b->now);
    bb_expire(b->l, b->now + 2 * BB_ID_EXPIRY_NS);
    assert_null(bb_find_id(b->l, "shop"));
    bb_close(b->l, third, b->now);
    assert_int_equal(b->l->records, 0);
    box_free(b);
}

/* Memory runs out: what is there stays readable, a tail goes on in the chunks that it has, a head stops, and nothing is lost uncounted. */
static void rings_survive_out_of_memory(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *tail = box_log(b, 5000, TCP_LOG_STATE_TAIL), *head = box_log(b, 5000, TCP_LOG_STATE_HEAD),
                  *late = box_log(b, 5000, TCP_LOG_STATE_TAIL);
    b->l->chunks.limit = 6;
    box_events(b, head, 2 * BB_CHUNK_RECORDS);
    assert_int_equal(box_events(b, tail, 1000), 1000);
    assert_int_equal(box_events(b, head, 10), 0);
    assert_int_equal(head->mode, TCP_LOG_STATE_OFF);
    assert_int_equal(head->count, 2 * BB_CHUNK_RECORDS);
    assert_int_equal(serial_of(head, 0), 0);
    assert_int_equal(serial_of(tail, tail->count - 1), 999);
    for (uint32_t i = 1; i < tail->count; i++)
        assert_int_equal(serial_of(tail, i), serial_of(tail, i - 1) + 1);
    assert_int_equal(box_events(b, late, 3), 0); /* has none, and gets none */
    assert_int_equal(b->l->stats.lost, 1000 - tail->count + 1 + 3);
    b->l->chunks.limit = UINT32_MAX; /* there is memory again */
    assert_int_equal(box_events(b, late, 3), 3);
    bb_close(b->l, tail, b->now);
    bb_close(b->l, head, b->now);
    bb_close(b->l, late, b->now);
    assert_int_equal(b->l->records, 0);
    assert_int_equal(b->l->chunks.used, 0);
    box_free(b);
}

/* Without a directory and without followers a dump succeeds, and the memory is back. */
static void a_dump_that_nobody_wants(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    box_events(b, log, 20);
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    assert_int_equal(log->count, 0);
    assert_int_equal(b->l->records, 0);
    assert_int_equal(b->l->chunks.used, 0);
    assert_int_equal(b->l->stats.dumps_unwanted, 1);
    bb_close(b->l, log, b->now);
    box_free(b);
}

static void payload_is_kept_as_far_as_asked(void **state)
{
    struct box *b = box_new(NULL);
    struct bb_log *log = box_log(b, LIMIT, TCP_LOG_STATE_TAIL);
    struct bb_record *r = box_next(b, log, TCP_LOG_IN, b->now);
    assert_int_equal(bb_payload_room(b->l, r), 0);
    assert_null(r->payload);
    box_set(b, "net.inet.tcp.bb.payload", "64");
    r = box_next(b, log, TCP_LOG_IN, b->now);
    assert_int_equal(bb_payload_room(b->l, r), 64);
    assert_non_null(r->payload);
    bb_close(b->l, log, b->now);
    assert_int_equal(b->l->payloads.used, 0);
    box_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_recycles_the_oldest),
        cmocka_unit_test(head_stops_and_keeps),
        cmocka_unit_test(head_auto_dumps_and_stops),
        cmocka_unit_test(continual_dumps_and_goes_on),
        cmocka_unit_test(bbpoints_records_trace_points_only),
        cmocka_unit_test(off_keeps_what_is_there_and_clear_does_not),
        cmocka_unit_test(modes_that_do_not_exist_are_refused),
        cmocka_unit_test(disable_all_empties_at_the_next_event),
        cmocka_unit_test(reading_removes_whole_records),
        cmocka_unit_test(the_limit_in_all_holds),
        cmocka_unit_test(every_nth_connection_is_chosen),
        cmocka_unit_test(a_chosen_id_passes_its_mode_on),
        cmocka_unit_test(a_chosen_one_without_id_is_sacrificed_when_full),
        cmocka_unit_test(records_of_an_id_wait_a_minute),
        cmocka_unit_test(nothing_to_wait_for),
        cmocka_unit_test(leaving_an_id),
        cmocka_unit_test(limits_of_ids),
        cmocka_unit_test(the_limit_of_an_id_holds),
        cmocka_unit_test(rings_survive_out_of_memory),
        cmocka_unit_test(a_dump_that_nobody_wants),
        cmocka_unit_test(payload_is_kept_as_far_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
