// SPDX-License-Identifier: BSD-3-Clause
// The black box of real conversations: what it recorded is what was on the wire, in the same order; the options and their errors; what is left
// behind when a connection ends.
#include "fixture.h"
#include <dirent.h>
#include <stdio.h>
#include <unistd.h>
#include <leat/blackbox.h>
#include <leat/tcp.h>
#include "sysctl/sysctl.h"

#define BYTES (512 * 1024)

static char directory[] = "/tmp/leat-bblog-XXXXXX";

static void empty_directory(void)
{
    DIR *d = opendir(directory);
    char path[600];
    for (struct dirent *e; (e = readdir(d)) != NULL;) {
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        unlink(path);
    }
    closedir(d);
}

static void set(struct sim_node *n, const char *name, const char *value)
{
    char err[128] = "";
    if (sysctl_set_text(sim_engine(n)->sysctl, name, value, err, sizeof(err)) != 0)
        fail_msg("%s", err);
}

static uint64_t get(struct sim_node *n, const char *name)
{
    char text[64];
    assert_int_equal(sysctl_get_text(sim_engine(n)->sysctl, name, text, sizeof(text)), 0);
    return strtoull(text, NULL, 10);
}

/* Output of a shell command, NUL terminated; the caller frees it. */
static char *output(const char *command)
{
    size_t n = 0, room = 1 << 22;
    char *out = malloc(room);
    FILE *p = popen(command, "r");
    n = fread(out, 1, room - 1, p);
    out[n] = '\0';
    assert_int_equal(pclose(p), 0);
    return out;
}

/* a sends BYTES to b. */
static void transfer(struct pair *p, int a, int b)
{
    static char block[16384], sink[65536];
    size_t sent = 0, got = 0;
    for (uint64_t end = sim_now(p->sim) + 300 * NS_PER_SEC; got < BYTES && sim_now(p->sim) < end;) {
        sim_enter(p->a);
        size_t left = BYTES - sent;
        ssize_t n = left > 0 ? leat_write(a, block, left < sizeof(block) ? left : sizeof(block)) : 0;
        sent += n > 0 ? (size_t)n : 0;
        sim_run_for(p->sim, NS_PER_MS);
        sim_enter(p->b);
        while ((n = leat_read(b, sink, sizeof(sink))) > 0)
            got += (size_t)n;
    }
    assert_int_equal(got, BYTES);
}

/* Every segment that a's black box has, and every one that the wire carried between the two, as tshark reads them. */
#define FIELDS                                                                                               \
    "-o tcp.relative_sequence_numbers:FALSE -T fields -E separator=, -e tcp.srcport -e tcp.seq -e "          \
    "tcp.ack_raw -e "                                                                                        \
    "tcp.flags -e tcp.len"

/* The wire's capture holds what a sent, and what arrived at a, in the order in which a saw it. */
static void recorded_is_what_was_on_the_wire(void **state)
{
    struct pair *p = pair_new(7, NULL);
    char pcap[300], command[1024];
    int a, b, mode = TCP_LOG_STATE_CONTINUAL;
    set(p->a, "net.inet.tcp.bb.directory", directory);
    set(p->a, "net.inet.tcp.bb.log_auto_all", "1");
    set(p->a, "net.inet.tcp.bb.log_auto_ratio", "1");
    set(p->a, "net.inet.tcp.bb.log_auto_mode", "4");
    set(p->a, "net.inet.tcp.bb.log_session_limit", "100");
    sim_wire(p->link, p->a)->rate_bps = 20000000;
    sim_wire(p->link, p->b)->rate_bps = 20000000;
    snprintf(pcap, sizeof(pcap), "%s.pcap", directory);
    assert_int_equal(sim_pcap(p->sim, pcap), 0);
    int listener = listen_b(p, 80, 5);
    connect_pair(p, listener, 80, &a, &b);
    sim_wire(p->link, p->a)->loss = 0.02;
    transfer(p, a, b);
    sim_enter(p->a);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, &(socklen_t){sizeof(mode)}), 0);
    assert_int_equal(mode, TCP_LOG_STATE_CONTINUAL);
    leat_close(a);
    sim_enter(p->b);
    leat_close(b);
    leat_close(listener);
    sim_run_for(p->sim, 200 * NS_PER_SEC);
    assert_int_equal(sim_pcap(p->sim, NULL), 0);
    assert_true(get(p->a, "net.inet.tcp.bb.stats.events") > 500);
    assert_int_equal(get(p->a, "net.inet.tcp.bb.stats.lost"), 0);
    assert_int_equal(get(p->a, "net.inet.tcp.bb.stats.written"), get(p->a, "net.inet.tcp.bb.stats.events"));
    pair_free(p);
    /* OUT and IN. The simulator's file has what is lost too: it is written where the packet leaves. */
    static const char *const directions[] = {"tcp.dstport == 80", "tcp.srcport == 80"};
    for (unsigned i = 0; i < 2; i++) {
        snprintf(command, sizeof(command), "tshark -r %s/*.pcapng -Y '%s' " FIELDS " 2>/dev/null", directory,
                 directions[i]);
        char *box = output(command);
        snprintf(command, sizeof(command), "tshark -r %s -Y '%s' " FIELDS " 2>/dev/null", pcap,
                 directions[i]);
        char *wire = output(command);
        assert_true(strlen(wire) > 1000);
        assert_string_equal(box, wire);
        free(box);
        free(wire);
    }
    snprintf(
        command, sizeof(command),
        "tshark -r %s/*.pcapng -V 2>/dev/null | grep -ciE 'malformed|dissector bug|unknown block' || true",
        directory);
    char *bad = output(command);
    assert_string_equal(bad, "0\n");
    /* What recovery thought is there too. */
    static const int events[] = {TCP_LOG_PRU,     TCP_LOG_RTT,      BBR_LOG_CWND,
                                 BBR_LOG_ENTREC,  BBR_LOG_EXITREC,  BBR_LOG_BBRUPD,
                                 BBR_LOG_JUSTRET, TCP_LOG_USERSEND, TCP_LOG_CONNEND};
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        snprintf(command, sizeof(command),
                 "tshark -r %s/*.pcapng -Y 'bblog.event_id == %d' 2>/dev/null | wc -l", directory, events[i]);
        char *n = output(command);
        if (atoi(n) == 0)
            fail_msg("no event %d", events[i]);
        free(n);
    }
    free(bad);
    unlink(pcap);
    empty_directory();
}

/* At 1 MB/s a frame of 1,514 bytes takes 1,514 us, and a simulated host is never late. */
static void a_paced_connection_says_when(void **state)
{
    struct pair *p = pair_new(1, NULL);
    int a, b, mode = TCP_LOG_STATE_TAIL, listener = listen_b(p, 80, 5);
    uint64_t rate = 1000000;
    unsigned waits = 0, departures = 0;
    static struct tcp_log_buffer all[5000];
    socklen_t len = sizeof(all);
    connect_pair(p, listener, 80, &a, &b);
    sim_enter(p->a);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &rate, sizeof(rate)), 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, sizeof(mode)), 0);
    transfer(p, a, b);
    sim_enter(p->a);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGBUF, all, &len), 0);
    for (unsigned i = 0; i < len / sizeof(all[0]); i++) {
        const struct tcp_log_bbr *x = &all[i].tlb_stackinfo.u_bbr;
        if (all[i].tlb_eventid == BBR_LOG_HPTSI_CALC) {
            waits += x->flex1 == 1514 && x->flex2 == 1448 && x->bw_inuse == rate;
        } else if (all[i].tlb_eventid == TCP_LOG_HPTS) {
            departures++;
            assert_int_equal(x->flex1, 0);
            assert_int_equal(x->bw_inuse, rate);
        }
    }
    assert_true(waits > BYTES / 1448 * 8 / 10);
    assert_true(departures >= waits);
    leat_close(a);
    sim_enter(p->b);
    leat_close(b);
    leat_close(listener);
    sim_run_for(p->sim, 200 * NS_PER_SEC);
    pair_free(p);
}

static void options_and_their_errors(void **state)
{
    struct pair *p = pair_new(1, NULL);
    int a, b, mode = TCP_LOG_STATE_TAIL, listener = listen_b(p, 80, 5);
    char text[128];
    uint32_t count;
    connect_pair(p, listener, 80, &a, &b);
    sim_enter(p->a);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, &(socklen_t){sizeof(mode)}), 0);
    assert_int_equal(mode, TCP_LOG_STATE_OFF);
    mode = TCP_LOG_STATE_TAIL;
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, 2), -1);
    assert_int_equal(errno, EINVAL);
    mode = 99;
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, sizeof(mode)), -1);
    assert_int_equal(errno, EINVAL);
    mode = TCP_LOG_STATE_TAIL;
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, sizeof(mode)), 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG_TAG, "t", 1), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    memset(text, 'x', sizeof(text));
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGID, text, TCP_LOG_ID_LEN), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGID, text, TCP_LOG_ID_LEN - 1), 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGID, "shop", 4), 0);
    socklen_t len = sizeof(text);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGID, text, &len), 0);
    assert_string_equal(text, "shop");
    assert_int_equal(len, 5);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGID_CNT, &count, &(socklen_t){sizeof(count)}), 0);
    assert_int_equal(count, 1);
    memset(text, 'x', sizeof(text));
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG_TAG, text, TCP_LOG_TAG_LEN), -1);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGDUMP, text, TCP_LOG_REASON_LEN), -1);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOG_TAG, "blue", 4), 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGBUF, text, sizeof(text)), -1);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGDUMP, text, &(socklen_t){sizeof(text)}), -1);
    assert_int_equal(leat_write(a, "hello", 5), 5);
    sim_run_for(p->sim, 100 * NS_PER_MS);
    struct tcp_log_buffer r[3];
    len = sizeof(r);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGBUF, r, &len), 0);
    assert_true(len >= 2 * sizeof(r[0]));
    assert_int_equal(r[0].tlb_eventid, TCP_LOG_USERSEND);
    assert_int_equal(r[0].tlb_len, 5);
    assert_int_equal(r[1].tlb_eventid, TCP_LOG_OUT);
    assert_int_equal(r[1].tlb_errno, 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGDUMP, "asked", 5), 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_LOGDUMPID, "asked", 5), 0);
    pair_free(p);
}

/* net.inet.tcp.bb.dump_on: the last moments of a connection that was reset, without anybody having asked. */
static void a_reset_leaves_its_last_moments(void **state)
{
    struct pair *p = pair_new(1, NULL);
    int a, b, listener = listen_b(p, 80, 5);
    char command[600];
    set(p->a, "net.inet.tcp.bb.directory", directory);
    set(p->a, "net.inet.tcp.bb.log_auto_all", "1");
    set(p->a, "net.inet.tcp.bb.log_auto_ratio", "1");
    set(p->a, "net.inet.tcp.bb.dump_on", "1");
    connect_pair(p, listener, 80, &a, &b);
    sim_enter(p->b);
    struct linger now = {1, 0};
    leat_setsockopt(b, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    leat_close(b);
    sim_run_for(p->sim, NS_PER_SEC);
    snprintf(command, sizeof(command),
             "tshark -r %s/*.pcapng -Y 'bblog.event_id == 54 or tcp.flags.reset == 1' 2>/dev/null | wc -l",
             directory);
    char *lines = output(command);
    assert_string_equal(lines, "2\n"); /* the RST that came in, and the connection's end */
    free(lines);
    sim_enter(p->a);
    int mode;
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, &(socklen_t){sizeof(mode)}), -1);
    pair_free(p);
    empty_directory();
}

static void an_application_says_something_too(void **state)
{
    struct pair *p = pair_new(1, NULL);
    int a, b, mode = TCP_LOG_STATE_TAIL, listener = listen_b(p, 80, 5);
    struct tcp_log_buffer r;
    socklen_t len = sizeof(r);
    connect_pair(p, listener, 80, &a, &b);
    sim_enter(p->a);
    assert_int_equal(leat_log_user_event(a, 1, 2, 3, 4, TCP_LOG_USER_START),
                     0); /* nobody listens: nothing happens */
    leat_setsockopt(a, IPPROTO_TCP, TCP_LOG, &mode, sizeof(mode));
    assert_int_equal(leat_log_user_event(a, 1, 2, 3, 4, TCP_LOG_USER_START), 0);
    assert_int_equal(leat_getsockopt(a, IPPROTO_TCP, TCP_LOGBUF, &r, &len), 0);
    assert_int_equal(len, sizeof(r));
    assert_int_equal(r.tlb_eventid, TCP_LOG_USER_EVENT);
    assert_int_equal(r.tlb_flex1, 1);
    assert_int_equal(r.tlb_flex2, 2);
    assert_int_equal(r.tlb_stackinfo.u_user.start, 3);
    assert_int_equal(r.tlb_stackinfo.u_user.flags, TCP_LOG_USER_START);
    assert_int_equal(leat_log_user_event(12345, 1, 2, 3, 4, 0), -1);
    assert_int_equal(errno, EBADF);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(recorded_is_what_was_on_the_wire),
        cmocka_unit_test(a_paced_connection_says_when),
        cmocka_unit_test(options_and_their_errors),
        cmocka_unit_test(a_reset_leaves_its_last_moments),
        cmocka_unit_test(an_application_says_something_too),
    };
    if (!mkdtemp(directory))
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    empty_directory();
    rmdir(directory);
    return failed;
}
