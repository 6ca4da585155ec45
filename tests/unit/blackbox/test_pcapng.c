// SPDX-License-Identifier: BSD-3-Clause
// Dumps as files: what was recorded is what tshark's own dissector reads back, field by field; gaps, files and their limits.
#include "box.h"
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/resource.h>

static char directory[] = "/tmp/leat-bb-XXXXXX";

static void empty_directory(void)
{
    DIR *d = opendir(directory);
    char path[512];
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        unlink(path);
    }
    closedir(d);
}

static int setup(void **state)
{
    empty_directory();
    *state = box_new(directory);
    return 0;
}
static int teardown(void **state)
{
    box_free(*state);
    return 0;
}

static unsigned files(char *first, size_t size)
{
    DIR *d = opendir(directory);
    unsigned n = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && n++ == 0 && first)
            snprintf(first, size, "%s/%s", directory, e->d_name);
    closedir(d);
    return n;
}

/* What tshark prints of the one file in the directory; complaints fail the test. */
static char *tshark(const char *options)
{
    static char out[1 << 16];
    char file[512] = "", command[2048];
    assert_int_equal(files(file, sizeof(file)), 1);
    snprintf(command, sizeof(command), "tshark -r '%s' %s 2>/dev/null", file, options);
    FILE *p = popen(command, "r");
    size_t n = fread(out, 1, sizeof(out) - 1, p);
    out[n] = '\0';
    assert_int_equal(pclose(p), 0);
    assert_null(strstr(out, "alformed"));
    assert_null(strstr(out, "Dissector bug"));
    return out;
}

static void expect_fields(const char *fields, const char *want)
{
    char options[1024] = "-Y bblog -T fields -E separator=,";
    char copy[512];
    snprintf(copy, sizeof(copy), "%s", fields);
    for (char *save, *f = strtok_r(copy, " ", &save); f; f = strtok_r(NULL, " ", &save))
        snprintf(options + strlen(options), sizeof(options) - strlen(options), " -e bblog.%s", f);
    char *got = tshark(options);
    got[strcspn(got, "\n")] = '\0';
    if (strcmp(got, want) != 0)
        fail_msg("%s: got \"%s\", wanted \"%s\"", fields, got, want);
}

/* Each member of the record's common part, at its own value. */
static void tshark_reads_every_field_of_an_event(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    struct bb_record *r = box_next(b, log, TCP_LOG_RTT, 5 * SEC + 42000);
    r->b.tlb_eventflags = TLB_FLAG_RXBUF | TLB_FLAG_TXBUF | TLB_FLAG_STACKINFO;
    r->b.tlb_errno = 104;
    r->b.tlb_stackid = 1;
    r->b.tlb_rxbuf = (struct tcp_log_sockbuf){101, 102, 103};
    r->b.tlb_txbuf = (struct tcp_log_sockbuf){111, 112, 113};
    r->b.tlb_state = 4;
    r->b.tlb_starttime = 201;
    r->b.tlb_iss = 202;
    r->b.tlb_flags = 1u << 1 | 1u << 5 | 1u << 6 | 1u << 9 | 1u << 20;
    r->b.tlb_snd_una = 203;
    r->b.tlb_snd_max = 204;
    r->b.tlb_snd_cwnd = 205;
    r->b.tlb_snd_nxt = 206;
    r->b.tlb_snd_recover = 207;
    r->b.tlb_snd_wnd = 208;
    r->b.tlb_snd_ssthresh = 209;
    r->b.tlb_srtt = 210;
    r->b.tlb_rttvar = 211;
    r->b.tlb_rcv_up = 212;
    r->b.tlb_rcv_adv = 213;
    r->b.tlb_flags2 = 1u << 5;
    r->b.tlb_rcv_nxt = 214;
    r->b.tlb_rcv_wnd = 215;
    r->b.tlb_dupacks = 216;
    r->b.tlb_segqlen = 217;
    r->b.tlb_snd_numholes = 218;
    r->b.tlb_flex1 = 219;
    r->b.tlb_flex2 = 220;
    r->b.tlb_fbyte_in = 221;
    r->b.tlb_fbyte_out = 222;
    r->b.tlb_snd_scale = 7;
    r->b.tlb_rcv_scale = 9;
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    bb_reap(b->l);
    expect_fields("ticks serial_nr stack_id event_id errno", "5000,0,1,47,104");
    expect_fields("event_flags_rxbuf event_flags_txbuf event_flags_hdr event_flags_stack", "1,1,0,1");
    expect_fields("rxb_acc rxb_ccc rxb_spare txb_acc txb_accs txb_spare", "101,102,103,111,112,113");
    expect_fields("state starttime iss snd_una snd_max snd_cwnd snd_nxt snd_recover snd_wnd snd_ssthresh",
                  "4,201,202,203,204,205,206,207,208,209");
    expect_fields("srtt rttvar rcv_up rcv_adv rcv_nxt rcv_wnd dupacks seg_qlen snd_num_holes",
                  "210,211,212,213,214,215,216,217,218");
    expect_fields("flex_1 flex_2 first_byte_in first_byte_out snd_shift rcv_shift payload_length",
                  "219,220,221,222,7,9,0");
    expect_fields("t_flags_delayed_ack t_flags_ack_now t_flags_sack_permitted t_flags_be_in_fast_recovery "
                  "t_flags2_ecn_permit",
                  "1,0,1,1,1");
    char *time = tshark("-Y bblog -T fields -e frame.time_epoch");
    assert_non_null(strstr(time, "1700000005.000042"));
    bb_close(b->l, log, b->now);
}

static void segment(struct box *b, struct bb_log *log, uint8_t event, uint32_t seq, uint32_t len,
                    uint8_t options)
{
    struct bb_record *r = box_next(b, log, event, b->now += SEC);
    uint32_t be = htonl(seq);
    uint16_t src = event == TCP_LOG_IN ? 0x3930 : 0x5000, dst = event == TCP_LOG_IN ? 0x5000 : 0x3930;
    r->b.tlb_eventflags = TLB_FLAG_HDR;
    r->b.tlb_len = len;
    r->b.tlb_state = 4;
    memcpy(r->b.tlb_th, &src, 2);
    memcpy(r->b.tlb_th + 2, &dst, 2);
    memcpy(r->b.tlb_th + 4, &be, 4);
    r->b.tlb_th[12] = (uint8_t)((20 + options) / 4 << 4);
    r->b.tlb_th[13] = 0x10;
    memset(r->b.tlb_opts, 1, options); /* NOPs */
}

/* IN and OUT are packets, dissected as TCP with their ports, sequence numbers and lengths. */
static void tshark_reads_segments_as_tcp(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    segment(b, log, TCP_LOG_IN, 1000, 500, 12);
    segment(b, log, TCP_LOG_OUT, 7000, 1460, 0);
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    bb_reap(b->l);
    char *got = tshark(
        "-o tcp.relative_sequence_numbers:FALSE -o ip.check_checksum:TRUE -T fields -E separator=, -e ip.src "
        "-e "
        "tcp.srcport -e ip.dst -e tcp.dstport -e tcp.seq -e tcp.len -e frame.len -e frame.bblog.serial_nr -e "
        "ip.checksum.status");
    assert_string_equal(
        got, "10.0.0.2,12345,10.0.0.1,80,1000,500,556,0,1\n10.0.0.1,80,10.0.0.2,12345,7000,1460,1504,1,1\n");
    bb_close(b->l, log, b->now);
}

/* Bytes of data that were kept are there, under a right checksum. */
static void tshark_reads_kept_payload(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    box_set(b, "net.inet.tcp.bb.payload", "64");
    segment(b, log, TCP_LOG_IN, 1000, 5, 0);
    struct bb_record *r = &STAILQ_FIRST(&log->chunks)->r[0];
    assert_int_equal(bb_payload_room(b->l, r), 64);
    memcpy(r->payload, "hello", 5);
    r->payload_len = 5;
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    bb_reap(b->l);
    assert_string_equal(
        tshark("-o tcp.check_checksum:TRUE -T fields -E separator=, -e tcp.payload -e tcp.checksum.status"),
        "68656c6c6f,1\n");
    bb_close(b->l, log, b->now);
}

static void gaps_are_marked(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_CONTINUAL);
    box_events(b, log, 2);
    log->serial += 17;
    box_events(b, log, 1);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    box_events(b, log, 1); /* contiguous with the dump before: no gap */
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    char *got = tshark("");
    assert_non_null(strstr(got, "Number of skipped events: 17"));
    char *again = strstr(strstr(got, "skipped") + 1, "skipped");
    assert_null(again);
    assert_string_equal(tshark("-Y bblog.serial_nr -T fields -e bblog.serial_nr"), "0\n1\n19\n20\n");
    bb_close(b->l, log, b->now);
}

/* Nothing comes behind the last events, and they were lost: that is marked too. */
static void a_gap_at_the_end_is_marked(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_CONTINUAL);
    box_events(b, log, 2);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    box_set(b, "net.inet.tcp.bb.log_global_limit", "0");
    assert_int_equal(box_events(b, log, 5), 0);
    bb_close(b->l, log, b->now);
    bb_reap(b->l);
    assert_int_equal(b->l->stats.lost, 5);
    assert_non_null(strstr(tshark(""), "Number of skipped events: 5"));
    empty_directory();
    /* And without any event before it. */
    log = box_log(b, 100, TCP_LOG_STATE_CONTINUAL);
    assert_int_equal(box_events(b, log, 7), 0);
    bb_close(b->l, log, b->now);
    bb_reap(b->l);
    assert_non_null(strstr(tshark(""), "Number of skipped events: 7"));
}

/* Names of hosts(5), who wrote it, and by which version. */
static void sections_carry_names_process_and_version(void **state)
{
    struct box *b = *state;
    char hosts[] = "/tmp/leat-hosts-XXXXXX", process[64];
    int fd = mkstemp(hosts);
    dprintf(fd,
            "# a comment\n10.0.0.2\tshop.example # and another\n10.0.0.2 second.example\n10.0.0.1 "
            "%070d\nrubbish\n",
            1);
    close(fd);
    box_set(b, "net.inet.tcp.bb.hosts", hosts);
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    segment(b, log, TCP_LOG_IN, 1000, 500, 12);
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    bb_reap(b->l);
    unlink(hosts);
    char here[256];
    gethostname(here, sizeof(here));
    char *got = tshark("-N n -T fields -E separator=, -e ip.src_host -e ip.dst_host");
    char want[300];
    snprintf(want, sizeof(want), "shop.example,%s\n", here);
    assert_string_equal(got, want);
    char file[512], command[1024];
    files(file, sizeof(file));
    snprintf(command, sizeof(command), "capinfos -M '%s'", file);
    FILE *p = popen(command, "r");
    static char out[1 << 14];
    out[fread(out, 1, sizeof(out) - 1, p)] = '\0';
    assert_int_equal(pclose(p), 0);
    snprintf(process, sizeof(process), "%s, process %d", program_invocation_short_name, getpid());
    assert_non_null(strstr(out, process));
    assert_non_null(strstr(out, "leat 0."));
    bb_close(b->l, log, b->now);
}

/* net.inet.tcp.bb.gzip: a member for each dump; tshark reads it as it is. */
static void files_can_be_packed(void **state)
{
    struct box *b = *state;
    char file[512];
    box_set(b, "net.inet.tcp.bb.gzip", "6");
    box_set(b, "net.inet.tcp.bb.file_bytes", "65536");
    struct bb_log *log = box_log(b, 250, TCP_LOG_STATE_CONTINUAL);
    for (unsigned i = 0; i < 3; i++) {
        box_events(b, log, 250);
        bb_dump(b->l, log, "asked", false);
        bb_reap(b->l);
    }
    bb_sweep(b->l, b->now);
    assert_int_equal(files(file, sizeof(file)), 1);
    assert_non_null(strstr(file, ".pcapng.gz"));
    char *got = tshark("-Y bblog.serial_nr -T fields -e bblog.serial_nr");
    unsigned lines = 0;
    for (char *c = got; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 750);
    assert_int_equal(b->l->stats.written, 750);
    assert_true(b->l->stats.bytes < 750 * 304 / 5);
    bb_close(b->l, log, b->now);
}

/* The disk is full in the middle of a dump: what was written of it goes again, and the next one can be read. */
static void a_dump_that_does_not_fit_is_taken_back(void **state)
{
    struct box *b = *state;
    struct rlimit limit, before;
    struct bb_log *log = box_log(b, 5000, TCP_LOG_STATE_CONTINUAL);
    signal(SIGXFSZ, SIG_IGN);
    box_events(b, log, 10);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 100000;
    setrlimit(RLIMIT_FSIZE, &limit);
    box_events(b, log, 1000);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    setrlimit(RLIMIT_FSIZE, &before);
    box_events(b, log, 10);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    bb_sweep(b->l, b->now);
    assert_int_equal(b->l->stats.write_errors, 1000);
    assert_int_equal(b->l->stats.written, 20);
    char *got = tshark("");
    assert_non_null(strstr(got, "Number of skipped events: 1000"));
    unsigned lines = 0;
    for (char *c = got; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 21);
    bb_close(b->l, log, b->now);
}

/* Another stack begins another section. */
static void stacks_are_named(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    box_next(b, log, TCP_LOG_RTT, b->now);
    box_next(b, log, TCP_LOG_RTT, b->now)->b.tlb_stackid = 1;
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    assert_string_equal(tshark("-T fields -E separator=, -e bblog.stack_id -e bblog.serial_nr"),
                        "0,0\n1,1\n");
    bb_close(b->l, log, b->now);
}

/* A hostile log ID stays in the directory. */
static void file_names_are_plain(void **state)
{
    struct box *b = *state;
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    char name[512];
    assert_int_equal(bb_set_id(b->l, log, "../../etc/pass wd"), 0);
    box_events(b, log, 1);
    bb_dump(b->l, log, "asked", false);
    bb_reap(b->l);
    assert_int_equal(files(name, sizeof(name)), 1);
    assert_non_null(strstr(name, "/_._.._etc_pass_wd_80_10.0.0.2_12345"));
    bb_close(b->l, log, b->now);
}

static void files_are_limited_in_size_and_number(void **state)
{
    struct box *b = *state;
    box_set(b, "net.inet.tcp.bb.file_bytes", "65536");
    box_set(b, "net.inet.tcp.bb.files", "3");
    struct bb_log *log = box_log(b, 250, TCP_LOG_STATE_CONTINUAL); /* a dump is about 76 KB */
    for (int i = 0; i < 8; i++) {
        box_events(b, log, 250);
        bb_dump(b->l, log, "asked", false);
        bb_reap(b->l);
    }
    bb_sweep(b->l, b->now);
    assert_int_equal(files(NULL, 0), 3);
    assert_int_equal(b->l->stats.files_removed, 5);
    assert_int_equal(b->l->stats.written, 2000);
    assert_int_equal(b->l->stats.write_errors, 0);
    bb_close(b->l, log, b->now);
}

static void files_of_an_earlier_process_count(void **state)
{
    for (int i = 0; i < 5; i++) {
        struct box *b = box_new(directory);
        box_set(b, "net.inet.tcp.bb.files", "2");
        struct bb_log *log = box_log(b, 10, TCP_LOG_STATE_TAIL_AUTO);
        box_events(b, log, 1);
        bb_close(b->l, log, b->now);
        box_free(b);
        assert_int_equal(files(NULL, 0), i == 0 ? 1 : 2);
    }
}

static void what_cannot_be_written_is_counted(void **state)
{
    struct box *b = box_new("/nonexistent");
    struct bb_log *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    box_events(b, log, 7);
    assert_int_equal(bb_dump(b->l, log, "asked", false), 0);
    bb_reap(b->l);
    bb_sweep(b->l, b->now);
    assert_int_equal(b->l->stats.write_errors, 7);
    assert_int_equal(b->l->stats.written, 0);
    bb_close(b->l, log, b->now);
    box_free(b);
}

/* TCP_LOGDUMPID: closed connections of the ID too. */
static void an_id_is_dumped_whole(void **state)
{
    struct box *b = *state;
    struct bb_log *gone = box_log(b, 100, TCP_LOG_STATE_TAIL), *log = box_log(b, 100, TCP_LOG_STATE_TAIL);
    bb_set_id(b->l, gone, "shop");
    bb_set_id(b->l, log, "shop");
    box_events(b, gone, 3);
    box_events(b, log, 4);
    bb_close(b->l, gone, b->now);
    bb_dump_id(b->l, bb_find_id(b->l, "shop"), "asked");
    bb_reap(b->l);
    bb_sweep(b->l, b->now);
    assert_int_equal(b->l->stats.written, 7);
    assert_int_equal(files(NULL, 0), 2);
    assert_int_equal(bb_id_count(log), 1);
    bb_close(b->l, log, b->now);
}

/* A dying process leaves one file with all rings. */
static void rings_outlive_the_process(void **state)
{
    struct box *b = *state;
    struct bb_log *log[3];
    for (int i = 0; i < 3; i++) {
        log[i] = box_log(b, 20, TCP_LOG_STATE_TAIL);
        box_events(b, log[i], 25);
    }
    bb_crash_write(b->l);
    char *got = tshark("-Y bblog.serial_nr -T fields -e bblog.serial_nr");
    unsigned lines = 0;
    for (char *c = got; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 60);
    for (int i = 0; i < 3; i++)
        bb_close(b->l, log[i], b->now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tshark_reads_every_field_of_an_event, setup, teardown),
        cmocka_unit_test_setup_teardown(tshark_reads_segments_as_tcp, setup, teardown),
        cmocka_unit_test_setup_teardown(tshark_reads_kept_payload, setup, teardown),
        cmocka_unit_test_setup_teardown(gaps_are_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gap_at_the_end_is_marked, setup, teardown),
        cmocka_unit_test_setup_teardown(sections_carry_names_process_and_version, setup, teardown),
        cmocka_unit_test_setup_teardown(files_can_be_packed, setup, teardown),
        cmocka_unit_test_setup_teardown(a_dump_that_does_not_fit_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(stacks_are_named, setup, teardown),
        cmocka_unit_test_setup_teardown(file_names_are_plain, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_limited_in_size_and_number, setup, teardown),
        cmocka_unit_test_setup_teardown(files_of_an_earlier_process_count, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_written_is_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(an_id_is_dumped_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(rings_outlive_the_process, setup, teardown),
    };
    if (!mkdtemp(directory))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    empty_directory();
    rmdir(directory);
    return failed;
}
