// SPDX-License-Identifier: BSD-3-Clause
// Reading the black box's files: what was written comes back; a file that breaks off is read up to there; what is no such file is refused.
#include "../blackbox/box.h"
#include <stdio.h>
#include <unistd.h>
#include "blackbox/pcapng.h"
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
        cmocka_unit_test(what_sending_waits_for),      cmocka_unit_test(names_and_numbers),
    };
    int fd = mkstemp(path);
    if (fd < 0)
        return 1;
    close(fd);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(path);
    return failed;
}
