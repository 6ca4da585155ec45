// SPDX-License-Identifier: BSD-3-Clause
// Reading the black box's files: what was written comes back; a file that breaks off is read up to there; what is no such file is refused.
#include "../blackbox/box.h"
#include <stdio.h>
#include <unistd.h>
#include "blackbox/pcapng.h"
#include "tools/blackbox/blackbox.h"
#include "tools/blackbox/flow.h"
#include "tools/blackbox/segment.h"

#define SEGMENT_OPTIONS 12

static char path[] = "/tmp/leat-box-XXXXXX";

struct written {
    uint8_t bytes[8192];
    size_t n;
    uint32_t events;
};

/* A file as the writer makes it: two events, a gap, a segment with a SACK block, another connection. */
static void write_sample(struct written *w)
{
    static const uint8_t sack[SEGMENT_OPTIONS] = {1, 1, 5, 10, 0, 0, 0, 100, 0, 0, 0, 200};
    struct tcp_log_header h = {0};
    struct bb_encoder en;
    struct bb_record r = {
        .b = {.tlb_tv = {5, 42}, .tlb_eventid = TCP_LOG_RTT, .tlb_eventflags = TLB_FLAG_STACKINFO}};
    box_describe(NULL, &h);
    strcpy(h.tlh_id, "shop");
    h.tlh_offset_sec = UTC;
    memset(w, 0, sizeof(*w));
    bb_encoder_init(&en, &h, box_stack, 0);
    r.b.tlb_stackinfo.u_bbr.flex1 = 1500;
    w->n += bb_encode(&en, &r, w->bytes + w->n);
    r.b.tlb_sn = 4;
    r.function = "by_me";
    w->n += bb_encode(&en, &r, w->bytes + w->n);
    r.b.tlb_sn = 5;
    r.b.tlb_eventid = TCP_LOG_IN;
    r.b.tlb_eventflags = TLB_FLAG_HDR;
    r.b.tlb_len = 77;
    r.b.tlb_snd_scale = 2;
    memcpy(r.b.tlb_th,
           (const uint8_t[20]){0x30, 0x39, 0, 80, 0, 0, 0, 9, 0, 0, 0, 50, 0x80, 0x10, 0x01, 0x00}, 20);
    memcpy(r.b.tlb_opts, sack, sizeof(sack));
    w->n += bb_encode(&en, &r, w->bytes + w->n);
    h.tlh_ie.ie_fport = 1;
    bb_encoder_init(&en, &h, box_stack, 5);
    w->n += bb_encode(&en, &r, w->bytes + w->n);
    w->events = 5;
}

static void to_disk(const struct written *w, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(w->bytes, 1, n, f), n);
    fclose(f);
}

struct seen {
    uint32_t n, skipped, connections;
    struct box_event e[8];
    char comment[8][32];
    struct box_segment s;
};

static int see(const struct box_event *e, void *arg)
{
    struct seen *s = arg;
    assert_int_equal(e->number, s->n + 1);
    s->e[s->n] = *e;
    snprintf(s->comment[s->n], 32, "%s", e->comment);
    s->skipped += e->skipped;
    if (!e->skipped && (e->b.tlb_eventflags & TLB_FLAG_HDR))
        box_segment(e, &s->s);
    if (e->connection >= s->connections)
        s->connections = e->connection + 1;
    assert_string_equal(e->section->tlh_id, "shop");
    assert_string_equal(e->stack, "default");
    s->n++;
    return 0;
}

static int see_twice(const struct box_event *e, void *arg)
{
    struct seen *s = arg;
    s->n++;
    return 0;
}

static void what_was_written_comes_back(void **state)
{
    struct written w;
    struct seen s = {0};
    char err[256];
    bool broken;
    write_sample(&w);
    to_disk(&w, w.n);
    assert_int_equal(box_read(path, see, &s, &broken, err, sizeof(err)), 0);
    assert_false(broken);
    assert_int_equal(s.n, w.events);
    assert_int_equal(s.e[0].us, (uint64_t)UTC * 1000000 + 5000042);
    assert_int_equal(s.e[0].b.tlb_stackinfo.u_bbr.flex1, 1500);
    assert_int_equal(s.e[1].skipped, 3);
    assert_string_equal(s.comment[2], "by_me");
    assert_int_equal(s.e[3].us, (uint64_t)UTC * 1000000 + 5000042);
    assert_int_equal(s.e[3].b.tlb_len, 77);
    assert_int_equal(s.s.seq, 9);
    assert_int_equal(s.s.ack, 50);
    assert_int_equal(s.s.wnd, 0x100 << 2);
    assert_int_equal(s.s.n_sack, 1);
    assert_int_equal(s.s.sack[0].start, 100);
    assert_int_equal(s.s.sack[0].end, 200);
    assert_int_equal(s.connections, 2);
}

static void a_file_that_breaks_off(void **state)
{
    struct written w;
    char err[256];
    uint32_t before = 0;
    write_sample(&w);
    for (size_t n = 0; n < w.n; n++) {
        struct seen s = {0};
        bool broken;
        to_disk(&w, n);
        assert_int_equal(box_read(path, see, &s, &broken, err, sizeof(err)), 0);
        assert_true(s.n >= before && s.n < w.events);
        before = s.n;
    }
    assert_int_equal(before, w.events - 1);
}

/* Times are 64 bits of whatever a damaged file holds; nothing is computed with them that C leaves undefined. */
static void times_of_any_64_bits(void **state)
{
    static const int64_t ends[] = {INT64_MAX, INT64_MIN, -1};
    for (unsigned i = 0; i < 9; i++) {
        struct tcp_log_header h = {0};
        struct bb_encoder en;
        struct seen s = {0};
        struct written w = {.events = 1};
        char err[256];
        bool broken;
        box_describe(NULL, &h);
        strcpy(h.tlh_id, "shop");
        h.tlh_offset_sec = h.tlh_offset_usec = ends[i % 3];
        struct bb_record r = {.b = {.tlb_tv = {ends[i / 3], ends[i / 3]}, .tlb_eventid = TCP_LOG_RTT}};
        bb_encoder_init(&en, &h, box_stack, 0);
        w.n = bb_encode(&en, &r, w.bytes);
        to_disk(&w, w.n);
        assert_int_equal(box_read(path, see, &s, &broken, err, sizeof(err)), 0);
        assert_int_equal(s.n, 1);
        uint64_t sum = (uint64_t)ends[i % 3] + (uint64_t)ends[i / 3];
        assert_true(s.e[0].us == sum * 1000000 + sum);
    }
}

/* As net.inet.tcp.bb.gzip writes it: members one behind the other; one that breaks off is read up to there. */
static void packed_files(void **state)
{
    struct written w;
    struct seen s = {0};
    char err[256], command[300];
    bool broken;
    write_sample(&w);
    to_disk(&w, w.n);
    snprintf(command, sizeof(command), "gzip -c %s >%s.gz && cat %s.gz %s.gz >%s && rm %s.gz", path, path,
             path, path, path, path);
    assert_int_equal(system(command), 0);
    struct seen twice = {0};
    assert_int_equal(box_read(path, see_twice, &twice, &broken, err, sizeof(err)), 0);
    assert_false(broken);
    assert_int_equal(twice.n, 2 * w.events);
    assert_int_equal(truncate(path, 300), 0);
    assert_int_equal(box_read(path, see_twice, &s, &broken, err, sizeof(err)), 0);
    assert_true(broken);
    assert_true(s.n >= 1 && s.n < w.events);
}

static void other_files_are_refused(void **state)
{
    char err[256] = "";
    struct seen s = {0};
    bool broken;
    FILE *f = fopen(path, "wb");
    fputs("GET / HTTP/1.1\r\n\r\nwhat is this?", f);
    fclose(f);
    assert_int_equal(box_read(path, see, &s, &broken, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "not a pcapng file"));
    assert_int_equal(box_read("/nonexistent", see, &s, &broken, err, sizeof(err)), -1);
    assert_non_null(strstr(err, "No such file"));
}

/* Names and texts come from applications, and go to a terminal. */
static void control_characters_do_not_pass(void **state)
{
    struct written w;
    struct seen s = {0};
    char err[256];
    bool broken;
    write_sample(&w);
    uint8_t *at = memmem(w.bytes, w.n, "by_me", 5);
    at[2] = 0x1b;
    to_disk(&w, w.n);
    assert_int_equal(box_read(path, see, &s, &broken, err, sizeof(err)), 0);
    assert_string_equal(s.comment[2], "by?me");
}

/* The page of a file with two connections has both, each with its own events. */
static void a_page_of_two_connections(void **state)
{
    struct written w;
    static char page[1 << 20];
    char out[] = "/tmp/leat-page-XXXXXX";
    close(mkstemp(out));
    write_sample(&w);
    to_disk(&w, w.n);
    assert_int_equal(blackbox_html(4, (char *[]){"html", "-o", out, path, NULL}), 0);
    FILE *f = fopen(out, "r");
    page[fread(page, 1, sizeof(page) - 1, f)] = '\0';
    fclose(f);
    unlink(out);
    char *one = strstr(page, "{name: \"10.0.0.1.80 - 10.0.0.2.12345\""),
         *two = one ? strstr(one, "{name: \"10.0.0.1.80 - 10.0.0.2.256\"") : NULL;
    assert_non_null(two);
    assert_non_null(memmem(one, (size_t)(two - one), "missing: 3,", 11));
    assert_non_null(strstr(two, "rows: [\n[0.000000,5,1,"));
}

static void expect_wait(struct tcp_log_buffer b, enum flow_wait want)
{
    assert_int_equal(flow_wait_of(&b, 1000), want);
}

static void what_sending_waits_for(void **state)
{
    struct tcp_log_buffer b = {.tlb_state = 4,
                               .tlb_eventid = TCP_LOG_IN,
                               .tlb_snd_una = 100,
                               .tlb_snd_max = 2100,
                               .tlb_snd_wnd = 10000,
                               .tlb_snd_cwnd = 10000};
    b.tlb_txbuf.tls_sb_acc = b.tlb_txbuf.tls_sb_ccc = 2000;
    expect_wait(b, FLOW_APPLICATION);
    b.tlb_txbuf.tls_sb_ccc = 5000;
    expect_wait(b, FLOW_NOT_READY);
    b.tlb_txbuf.tls_sb_acc = 5000;
    expect_wait(b, FLOW_STACK);
    b.tlb_snd_cwnd = 2500;
    expect_wait(b, FLOW_CWND);
    b.tlb_snd_wnd = 2500;
    expect_wait(b, FLOW_RECEIVER);
    b.tlb_state = 10;
    expect_wait(b, FLOW_HANDSHAKE);
}

static void names_and_numbers(void **state)
{
    char buf[16];
    assert_int_equal(box_event_number("out"), TCP_LOG_OUT);
    assert_int_equal(box_event_number("47"), TCP_LOG_RTT);
    assert_int_equal(box_event_number("256"), -1);
    assert_int_equal(box_event_number("nothing"), -1);
    assert_string_equal(box_event_name(TCP_LOG_CONNEND, buf), "CONNEND");
    assert_string_equal(box_event_name(200, buf), "EVENT 200");
    assert_string_equal(box_state_name(4), "ESTABLISHED");
    assert_string_equal(box_state_name(11), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_comes_back), cmocka_unit_test(a_file_that_breaks_off),
        cmocka_unit_test(other_files_are_refused),     cmocka_unit_test(control_characters_do_not_pass),
        cmocka_unit_test(times_of_any_64_bits),        cmocka_unit_test(packed_files),
        cmocka_unit_test(a_page_of_two_connections),   cmocka_unit_test(what_sending_waits_for),
        cmocka_unit_test(names_and_numbers),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
