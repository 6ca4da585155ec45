// SPDX-License-Identifier: BSD-3-Clause
// What a connection is, its black box says: a known state goes through record and file, and tshark's own dissector reads the same values back,
// every field that it has and every event that Leat writes.
#include "conversation.h"
#include <dirent.h>
#include <unistd.h>
#include "tcp/ecn.h"
#include "tcp/log.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/reassembly.h"

#define ROWS 80

static char directory[] = "/tmp/leat-log-XXXXXX";
static struct tcb *tp, saved;
static struct tcp_stack stack;
static struct recovery recovery;
static struct reass reass;

static uint32_t known_pipe(const struct tcb *unused)
{
    return 4321;
}

static void empty_directory(void)
{
    DIR *d = opendir(directory);
    char path[512];
    for (struct dirent *f; (f = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", directory, f->d_name);
        unlink(path);
    }
    closedir(d);
}

/* Every member that a record tells of, at a value of its own. */
static void know(void)
{
    int mode = TCP_LOG_STATE_TAIL;
    empty_directory();
    set("net.inet.tcp.bb.directory", directory);
    set("net.inet.tcp.bb.writer", "sync");
    tp = established();
    assert_int_equal(tcp_log_setopt(tp, TCP_LOG, &mode, sizeof(mode)), 0);
    saved = *tp;
    e.now = 5000042000;
    stack = tcp_stack_default;
    stack.pipe = known_pipe;
    recovery.n = 301;
    reass.runs = 302;
    tp->stack = &stack;
    tp->recovery = &recovery;
    tp->reass = &reass;
    tp->state = TCPS_CLOSE_WAIT;
    tp->started = 303 * NS_PER_MS;
    tp->iss = 304;
    tp->flags = TF_DELACK | TF_SACK_PERMIT;
    tp->ecn = TE_ON;
    tp->snd_una = 305;
    tp->snd_max = 306;
    tp->cwnd = 307;
    tp->snd_nxt = 308;
    tp->recover = 309;
    tp->snd_wnd = 310;
    tp->ssthresh = 311;
    tp->srtt = 312 * NS_PER_US;
    tp->rttvar = 313 * NS_PER_US;
    tp->rcv_adv = 314;
    tp->rcv_nxt = 315;
    tp->rcv_wnd = 316;
    tp->dupacks = 217;
    tp->rcv.bytes = 318;
    tp->rcv.lent = 1000;
    tp->snd.ready = 319;
    tp->snd.bytes = 320;
    tp->bytes_in = tp->bytes_out = 1;
    tp->snd_scale = 7;
    tp->rcv_scale = 9;
    tp->maxseg = 1234;
}

static const struct {
    const char *field, *value;
} known[] = {
    {"ticks", "5000"},
    {"serial_nr", "0"},
    {"stack_id", NULL},
    {"event_id", "17"},
    {"event_flags", "0x0013"},
    {"event_flags_rxbuf", "1"},
    {"event_flags_txbuf", "1"},
    {"event_flags_hdr", "0"},
    {"event_flags_verbose", "0"},
    {"event_flags_stack", "1"},
    {"errno", "0"},
    {"rxb_acc", "318"},
    {"rxb_ccc", "1318"},
    {"rxb_spare", "0"},
    {"txb_acc", "319"},
    {"txb_accs", "320"},
    {"txb_spare", "0"},
    {"state", "5"},
    {"starttime", "303"},
    {"iss", "304"},
    {"t_flags", "0x00000202"},
    {"snd_una", "305"},
    {"snd_max", "306"},
    {"snd_cwnd", "307"},
    {"snd_nxt", "308"},
    {"snd_recover", "309"},
    {"snd_wnd", "310"},
    {"snd_ssthresh", "311"},
    {"srtt", "312"},
    {"rttvar", "313"},
    {"rcv_up", "315"},
    {"rcv_adv", "314"},
    {"t_flags2", "0x00000020"},
    {"rcv_nxt", "315"},
    {"rcv_wnd", "316"},
    {"dupacks", "217"},
    {"seg_qlen", "302"},
    {"snd_num_holes", "301"},
    {"flex_1", "0"},
    {"flex_2", "0"},
    {"first_byte_in", "303"},
    {"first_byte_out", "303"},
    {"snd_shift", "7"},
    {"rcv_shift", "9"},
    {"pad_1", "0"},
    {"pad_2", "0"},
    {"pad_3", "0"},
    {"payload_length", "0"},
};

/* tshark's names of flags, by bit; and ours. */
static const struct {
    const char *field;
    uint32_t ours;
} flags[32] = {
    {"ack_now", TF_ACKNOW},
    {"delayed_ack", TF_DELACK},
    {"no_delay", TF_NODELAY},
    {"no_opt", TF_NOOPT},
    {"sent_fin", TF_SENTFIN},
    {"request_window_scale", TF_REQ_SCALE},
    {"received_window_scale", TF_RCVD_SCALE},
    {"request_timestamp", TF_REQ_TSTMP},
    {"received_timestamp", TF_RCVD_TSTMP},
    {"sack_permitted", TF_SACK_PERMIT},
    {"need_syn", 0},
    {"need_fin", TF_FIN_QUEUED},
    {"no_push", TF_NOPUSH},
    {"prev_valid", 0},
    {"wake_socket_receive", 0},
    {"goodput_in_progress", 0},
    {"more_to_come", TF_MORETOCOME},
    {"listen_queue_overflow", 0},
    {"last_idle", 0},
    {"zero_recv_window_sent", TF_RXWIN0SENT},
    {"be_in_fast_recovery", TF_RECOVERY},
    {"was_in_fast_recovery", 0},
    {"signature", TF_AUTH},
    {"force_data", 0},
    {"tso", 0},
    {"toe", 0},
    {"unused_0", 0},
    {"unused_1", 0},
    {"lost_rtx_detection", 0},
    {"be_in_cong_recovery", TF_RTO_RECOVERY},
    {"was_in_cong_recovery", 0},
    {"tfo", TF_FASTOPEN},
};
static const struct {
    const char *field;
    unsigned ours;
} flags2[11] = {
    {"plpmtu_blackhole", 0},      {"plpmtu_pmtud", 0},
    {"plpmtu_maxsegsnt", 0},      {"log_auto", 0},
    {"drop_after_data", 0},       {"ecn_permit", TE_ON},
    {"ecn_snd_cwr", TE_SEND_CWR}, {"ecn_snd_ece", TE_SEND_ECE},
    {"ace_permit", TE_ACCURATE},  {NULL, 0},
    {"first_bytes_complete", 0},
};

static char *output(const char *command)
{
    static char out[1 << 18];
    FILE *p = popen(command, "r");
    size_t n = fread(out, 1, sizeof(out) - 1, p);
    out[n] = '\0';
    assert_int_equal(pclose(p), 0);
    return out;
}

/* What was recorded goes to a file; tshark's columns of these fields, a line for each event, one string each. */
static unsigned columns(const char *prefix, const char *const *field, unsigned n, char *cell[ROWS][ROWS])
{
    static char command[8192];
    int at = snprintf(command, sizeof(command), "tshark -r %s/*.pcapng -Y bblog -T fields -E separator=,",
                      directory);
    assert_int_equal(tcp_log_setopt(tp, TCP_LOGDUMP, "asked", 5), 0);
    bb_reap(e.tcp->bb);
    for (unsigned i = 0; i < n; i++)
        at += snprintf(command + at, sizeof(command) - (size_t)at, " -e bblog.%s%s", prefix, field[i]);
    snprintf(command + at, sizeof(command) - (size_t)at, " 2>/dev/null");
    unsigned rows = 0;
    char *next = output(command);
    for (char *line; *next && (line = strsep(&next, "\n")) != NULL && rows < ROWS; rows++)
        for (unsigned i = 0; i < n; i++)
            cell[rows][i] = strsep(&line, ",");
    return rows;
}

static void restore(void)
{
    struct bb_log *log = tp->log;
    *tp = saved;
    tp->log = log;
    e.now = 1000 * NS_PER_SEC;
    empty_directory();
}

static void every_field_of_a_known_state(void **state)
{
    const char *field[RTE_DIM(known)];
    char *cell[ROWS][ROWS], stack_id[8];
    know();
    TCP_LOG_EVENT(tp, BBR_LOG_CWND, .flex1 = 1);
    for (unsigned i = 0; i < RTE_DIM(known); i++)
        field[i] = known[i].field;
    assert_int_equal(columns("", field, RTE_DIM(known), cell), 1);
    snprintf(stack_id, sizeof(stack_id), "%u", tcp_stack_id(&stack));
    for (unsigned i = 0; i < RTE_DIM(known); i++) {
        const char *want = known[i].value ? known[i].value : stack_id;
        if (!cell[0][i] || strcmp(cell[0][i], want) != 0)
            fail_msg("bblog.%s: %s, expected %s", field[i], cell[0][i], want);
    }
    restore();
}

/* The tables above leave none out that this tshark has. */
static void no_field_is_forgotten(void **state)
{
    char *all =
        output("tshark -G fields 2>/dev/null | awk -F'\\t' '$3 ~ /^bblog\\./ { print substr($3, 7) }'");
    unsigned n = 0;
    for (char *name; (name = strsep(&all, "\n")) != NULL && *name; n++) {
        bool found = false;
        char full[64];
        for (unsigned i = 0; i < RTE_DIM(known) && !found; i++)
            found = strcmp(name, known[i].field) == 0;
        for (unsigned i = 0; i < RTE_DIM(flags) && !found; i++)
            found = snprintf(full, sizeof(full), "t_flags_%s", flags[i].field) > 0 && strcmp(name, full) == 0;
        for (unsigned i = 0; i < RTE_DIM(flags2) && !found; i++)
            found = flags2[i].field && snprintf(full, sizeof(full), "t_flags2_%s", flags2[i].field) > 0 &&
                    strcmp(name, full) == 0;
        if (!found)
            fail_msg("bblog.%s is in no table", name);
    }
    assert_true(n > 80);
}

/* One flag after the other: tshark sees it, and no other. */
static void every_flag_alone(void **state)
{
    const char *field[RTE_DIM(flags)];
    char *cell[ROWS][ROWS];
    unsigned rows = 0, bit[RTE_DIM(flags)];
    know();
    for (unsigned i = 0; i < RTE_DIM(flags); i++) {
        field[i] = flags[i].field;
        if (!flags[i].ours)
            continue;
        tp->flags = flags[i].ours;
        TCP_LOG_EVENT(tp, TCP_LOG_RTT, .flex1 = i);
        bit[rows++] = i;
    }
    assert_int_equal(columns("t_flags_", field, RTE_DIM(flags), cell), rows);
    for (unsigned row = 0; row < rows; row++)
        for (unsigned i = 0; i < RTE_DIM(flags); i++)
            if (strcmp(cell[row][i], i == bit[row] ? "1" : "0") != 0)
                fail_msg("with %s alone, %s is %s", field[bit[row]], field[i], cell[row][i]);
    restore();
}

static void every_flag_of_the_second_word_alone(void **state)
{
    const char *field[RTE_DIM(flags2)];
    char *cell[ROWS][ROWS];
    unsigned rows = 0, n = 0, bit[RTE_DIM(flags2)];
    know();
    for (unsigned i = 0; i < RTE_DIM(flags2); i++) {
        if (!flags2[i].field)
            continue;
        field[n++] = flags2[i].field;
        if (!flags2[i].ours)
            continue;
        tp->ecn = flags2[i].ours;
        TCP_LOG_EVENT(tp, TCP_LOG_RTT, .flex1 = i);
        bit[rows++] = n - 1;
    }
    tp->ecn = 0;
    tp->log->auto_selected = true;
    TCP_LOG_EVENT(tp, TCP_LOG_RTT, .flex1 = 0);
    tp->log->auto_selected = false;
    bit[rows++] = 3;
    assert_int_equal(columns("t_flags2_", field, n, cell), rows);
    for (unsigned row = 0; row < rows; row++)
        for (unsigned i = 0; i < n; i++)
            if (strcmp(cell[row][i], i == bit[row] ? "1" : "0") != 0)
                fail_msg("with %s alone, %s is %s", field[bit[row]], field[i], cell[row][i]);
    restore();
}

/* Each event by the function that writes it: number, errno, flex fields and length as docs/blackbox.md says. */
static void every_event(void **state)
{
    static const char *const field[] = {"event_id", "errno", "flex_1", "flex_2", "payload_length"};
    static const uint8_t plain[] = {
        TCP_LOG_SB_WAKE, TCP_LOG_BAD_RETRAN, BBR_LOG_BBRUPD,  BBR_LOG_ENTREC,     BBR_LOG_EXITREC,
        BBR_LOG_CWND,    BBR_LOG_JUSTRET,    BBR_LOG_PERSIST, TCP_LOG_SOCKET_OPT, BBR_LOG_ENOBUF_JMP,
        TCP_LOG_RTT,     TCP_LOG_REASS,      TCP_HDWR_TLS,    TCP_HYSTART,        TCP_RACK_TP_TRIGGERED};
    static const struct {
        uint32_t v[5];
    } special[] = {
        {{TCP_LOG_RTO, 0, TLT_KEEP | TLT_STARTING << 8, 1500, 0}},
        {{TCP_LOG_USERSEND, EPIPE, 0, 0, 777}},
        {{TCP_LOG_PRU, ECONNREFUSED, PRU_CONNECT, 0, 0}},
        {{TCP_LOG_SENDFILE, 0, 0, 0, 0}},
        {{TCP_LOG_USER_EVENT, 0, 11, 12, 0}},
    };
    char *cell[ROWS][ROWS];
    unsigned n = RTE_DIM(plain) + RTE_DIM(special);
    struct tcp_log_user u = {1, 2, 3, TCP_LOG_USER_START};
    know();
    for (unsigned i = 0; i < RTE_DIM(plain); i++)
        tcp_log_event(tp, plain[i], &(struct tcp_log_bbr){.flex1 = i}, __func__);
    tcp_log_timer(tp, TT_KEEP, TLT_STARTING, 1500 * NS_PER_MS);
    tcp_log_user_send(tp, 777, EPIPE);
    assert_int_equal(tcp_log_pru(tp, PRU_CONNECT, -ECONNREFUSED), -ECONNREFUSED);
    tcp_log_sendfile(tp, 1, 2, 3);
    tcp_log_user_event(tp, 11, 12, &u);
    assert_int_equal(columns("", field, RTE_DIM(field), cell), n);
    for (unsigned row = 0; row < n; row++) {
        for (unsigned i = 0; i < RTE_DIM(field); i++) {
            uint32_t want = row >= RTE_DIM(plain) ? special[row - RTE_DIM(plain)].v[i]
                            : i == 0              ? plain[row]
                                                  : 0;
            if (strtoul(cell[row][i], NULL, 10) != want)
                fail_msg("event %s: %s is %s, expected %u", cell[row][0], field[i], cell[row][i], want);
        }
    }
    restore();
}

/* The part that tshark leaves alone, as the application reads it. */
static void the_part_of_the_stack(void **state)
{
    struct tcp_log_buffer b[3];
    uint32_t len = sizeof(b);
    know();
    TCP_LOG_EVENT(tp, BBR_LOG_BBRUPD, .flex1 = 1, .flex2 = 2, .flex3 = 3, .flex4 = 4, .flex5 = 5, .flex6 = 6,
                  .flex7 = 7, .flex8 = 8);
    tcp_log_sendfile(tp, 1, 2, 3);
    tcp_log_user_event(tp, 11, 12, &(struct tcp_log_user){1, 2, 3, 4});
    assert_int_equal(tcp_log_getopt(tp, TCP_LOGBUF, b, &len), 0);
    assert_int_equal(len, sizeof(b));
    const struct tcp_log_bbr *x = &b[0].tlb_stackinfo.u_bbr;
    assert_int_equal(x->timeStamp, 5000042000 / NS_PER_US % (UINT64_C(1) << 32));
    assert_int_equal(x->inflight, 4321);
    assert_int_equal(x->pkts_out, 1234);
    const uint32_t flex[] = {x->flex1, x->flex2, x->flex3, x->flex4, x->flex5, x->flex6, x->flex7, x->flex8};
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(flex[i], i + 1);
    assert_int_equal(b[1].tlb_stackinfo.u_sf.offset, 1);
    assert_int_equal(b[1].tlb_stackinfo.u_sf.length, 2);
    assert_int_equal(b[1].tlb_stackinfo.u_sf.flags, 3);
    assert_int_equal(b[2].tlb_stackinfo.u_user.timestamp, 1);
    assert_int_equal(b[2].tlb_stackinfo.u_user.start, 2);
    assert_int_equal(b[2].tlb_stackinfo.u_user.end, 3);
    assert_int_equal(b[2].tlb_stackinfo.u_user.flags, 4);
    restore();
}

/* FreeBSD: of an ID that the ratio left out nobody records, though asked to. */
static void an_id_that_the_ratio_left_out(void **state)
{
    int mode = TCP_LOG_STATE_TAIL, off = TCP_LOG_STATE_OFF;
    struct tcb *one = tcp_new(&e, &upcalls, &owner), *other = tcp_new(&e, &upcalls, &owner);
    set("net.inet.tcp.bb.log_auto_ratio", "2");
    assert_int_equal(tcp_log_setopt(one, TCP_LOGID, "chosen", 6), 0);
    assert_int_equal(tcp_log_setopt(other, TCP_LOGID, "left out", 8), 0);
    assert_int_equal(one->log->mode, TCP_LOG_STATE_TAIL);
    assert_int_equal(other->log->mode, TCP_LOG_STATE_OFF);
    assert_int_equal(tcp_log_setopt(one, TCP_LOG, &mode, sizeof(mode)), 0);
    assert_int_equal(tcp_log_setopt(other, TCP_LOG, &mode, sizeof(mode)), -ECANCELED);
    assert_int_equal(tcp_log_setopt(other, TCP_LOG, &off, sizeof(off)), 0);
    assert_int_equal(tcp_log_setopt(other, TCP_LOGID, "", 0), 0); /* it leaves the ID */
    assert_int_equal(tcp_log_setopt(other, TCP_LOG, &mode, sizeof(mode)), 0);
    tcp_free(one);
    tcp_free(other);
}

/* net.inet.tcp.bb.dump_on = 4: a connection is dumped however it ends. */
static void the_end_is_dumped(void **state)
{
    char command[300];
    int mode = TCP_LOG_STATE_TAIL;
    empty_directory();
    set("net.inet.tcp.bb.directory", directory);
    set("net.inet.tcp.bb.writer", "sync");
    set("net.inet.tcp.bb.dump_on", "4");
    struct tcb *t = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_log_setopt(t, TCP_LOG, &mode, sizeof(mode)), 0);
    TCP_LOG_EVENT(t, BBR_LOG_CWND, .flex1 = 1);
    tcp_free(t);
    bb_reap(e.tcp->bb);
    snprintf(command, sizeof(command), "tshark -r %s/*.pcapng -T fields -e bblog.event_id 2>/dev/null",
             directory);
    assert_string_equal(output(command), "17\n54\n");
    empty_directory();
}

/* net.inet.tcp.bb.log_verbose: who wrote it stands in a comment. */
static void verbose_names_the_function(void **state)
{
    char command[300];
    know();
    set("net.inet.tcp.bb.log_verbose", "1");
    TCP_LOG_EVENT(tp, BBR_LOG_CWND, .flex1 = 1);
    assert_int_equal(tcp_log_setopt(tp, TCP_LOGDUMP, "asked", 5), 0);
    bb_reap(e.tcp->bb);
    snprintf(command, sizeof(command), "grep -ac verbose_names_the_function %s/*.pcapng", directory);
    assert_string_equal(output(command), "1\n");
    restore();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_a_known_state),
        TEST(no_field_is_forgotten),
        TEST(every_flag_alone),
        TEST(every_flag_of_the_second_word_alone),
        TEST(every_event),
        TEST(the_part_of_the_stack),
        TEST(verbose_names_the_function),
        TEST(an_id_that_the_ratio_left_out),
        TEST(the_end_is_dumped),
    };
    if (!mkdtemp(directory))
        return 1;
    int failed_tests = cmocka_run_group_tests_name("log", tests, set_up_group, NULL);
    empty_directory();
    rmdir(directory);
    return failed_tests;
}
