// SPDX-License-Identifier: BSD-3-Clause
// Conversations by inject and expect: the notation, the mapping of numbers, and what a mismatch says.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <leat/leat.h>
#include "port/sim/dialog.h"

static char complaint[2000];

static void complain(void *arg, const char *message)
{
    snprintf(complaint, sizeof(complaint), "%s", message);
}

static void cmocka_complain(void *arg, const char *message)
{
    fail_msg("%s", message);
}

static struct dialog *dialog_of(bool v6, void (*fail)(void *, const char *))
{
    struct dialog_config c = {.v6 = v6, .fail = fail};
    struct dialog *d = dialog_new(&c);
    assert_non_null(d);
    complaint[0] = 0;
    return d;
}

static int listen_at(struct dialog *d)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(DIALOG_PORT)};
    sim_enter(d->host);
    int fd = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(leat_bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(leat_listen(fd, 10), 0);
    return fd;
}

static void greet(bool v6)
{
    struct dialog *d = dialog_of(v6, cmocka_complain);
    char buf[100];
    int listener = listen_at(d);
    dialog_inject(d, v6 ? "S 0:0(0) win 65535 <mss 1440,sackOK,eol,eol>"
                        : "S 0:0(0) win 65535 <mss 1460,sackOK,eol,eol>");
    dialog_expect_after(d, 0,
                        v6 ? "S. 0:0(0) ack 1 win 65535 <mss 1440,sackOK,eol,eol>"
                           : "S. 0:0(0) ack 1 win 65535 <mss 1460,sackOK,eol,eol>");
    dialog_inject(d, ". 1:1(0) ack 1 win 65535");
    int fd = leat_accept(listener, NULL, NULL);
    assert_true(fd >= 0);
    dialog_inject(d, "P. 1:11(10) ack 1 win 65535");
    assert_int_equal(leat_recv(fd, buf, sizeof(buf), 0), 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(buf[i], 1 + i);
    assert_int_equal(leat_send(fd, buf, 10, 0), 10);
    dialog_expect(d, "P. 1:11(10) ack 11");
    assert_int_equal(leat_close(fd), 0);
    dialog_expect_after(d, 0, "F. 11:11(0) ack 11");
    dialog_inject(d, "F. 11:11(0) ack 12 win 65535");
    dialog_expect_after(d, 0, ". 12:12(0) ack 12");
    leat_close(listener);
    dialog_expect_silence(d, 1000);
    assert_int_equal(dialog_free(d), 0);
}

static void a_conversation_over_ipv4(void **state)
{
    greet(false);
}

static void a_conversation_over_ipv6(void **state)
{
    greet(true);
}

static void a_mismatch_shows_both_segments_and_the_time(void **state)
{
    struct dialog *d = dialog_of(false, complain);
    int listener = listen_at(d);
    dialog_run_ms(d, 250);
    dialog_inject(d, "S 0:0(0) win 65535 <mss 1460>");
    dialog_expect(d, "S. 0:0(0) ack 2 <...>");
    assert_non_null(strstr(complaint, "acknowledgement"));
    assert_non_null(strstr(complaint, "S. 0:0(0) ack 2 <...>"));
    assert_non_null(strstr(complaint, "0.250000: S. 0:0(0) ack 1 win 65535 <mss 1460>"));
    leat_close(listener);
    assert_int_equal(dialog_free(d), 0);
}

static void time_is_checked(void **state)
{
    struct dialog *d = dialog_of(false, complain);
    int listener = listen_at(d);
    dialog_inject(d, "S 0:0(0) win 65535 <mss 1460>");
    dialog_expect_after(d, 5, "S. 0:0(0) ack 1 <...>");
    assert_non_null(strstr(complaint, "expected at 0.005000"));
    leat_close(listener);
    assert_int_equal(dialog_free(d), 0);
}

static void silence_is_checked(void **state)
{
    struct dialog *d = dialog_of(false, complain);
    int listener = listen_at(d);
    dialog_inject(d, "S 0:0(0) win 65535 <mss 1460>");
    dialog_expect_silence(d, 0);
    assert_non_null(strstr(complaint, "expected silence"));
    leat_close(listener);
    assert_int_equal(dialog_free(d), 0);
}

static void what_never_comes_is_said(void **state)
{
    struct dialog *d = dialog_of(false, complain);
    dialog_expect(d, "R 5:5(0)");
    assert_non_null(strstr(complaint, "nothing was sent"));
    assert_int_equal(dialog_free(d), 0);
}

/* ---- the notation ---- */

static void round_trip(const char *text, bool v6)
{
    struct segment s;
    char err[200], out[SEGMENT_TEXT_MAX];
    if (segment_parse(&s, text, v6, err, sizeof(err)) < 0)
        fail_msg("%s: %s", text, err);
    assert_string_equal(segment_print(&s, out, sizeof(out)), text);
}

static void every_option_is_read_and_printed(void **state)
{
    round_trip("S 0:0(0) win 65535 <mss 1460,nop,wscale 6,sackOK,TS val 100 ecr 0>", false);
    round_trip(". 1:1(0) ack 4294967295 win 0 <nop,nop,sack 1:2 3:4 5:6>", false);
    round_trip("SF 7:17(10) win 1 <FO 0102030405060708,eol,eol>", false);
    round_trip("S 0:0(0) win 1 <FO,nop,nop>", false);
    round_trip("SEW 0:0(0) win 1", false);
    round_trip("SEWA 0:0(0) win 1", false);
    round_trip("- 1:1(0) win 1 urg 4", false);
    round_trip(". ...(5) ack 1 <...>", false);
    round_trip("[ce] . 1:1(0) ack 1 win 5", false);
}

static void refuses(const char *text, const char *because)
{
    struct segment s;
    char err[200] = "";
    assert_int_equal(segment_parse(&s, text, false, err, sizeof(err)), -EINVAL);
    if (!strstr(err, because))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err, because);
}

static void what_is_wrong_is_said_with_its_column(void **state)
{
    refuses("Q 0:0(0) win 5", "column 1: expected TCP flags");
    refuses("S 0:5(0) win 5", "0 + 0 is not 5");
    refuses("S 0:0(0) win 65536", "at most 65535");
    refuses("S 0:0(0) win 5 <mss 1460,quux>", "column 26: unknown TCP option");
    refuses("S 0:0(0) win 5 <wscale 3>", "multiple of 4");
    refuses(". 0:0(0) ack 1 <nop,nop,sack 1:2 1:2 1:2 1:2 1:2>", "more than 4");
    refuses("icmp unreachable nonsense [0:0(0)]", "unknown ICMP code");
    refuses("S 0:0(0) win 5 hello", "something follows");
    refuses(". 0:0(0) ack 5 <FO 123,nop>", "odd number of hex");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_conversation_over_ipv4),
        cmocka_unit_test(a_conversation_over_ipv6),
        cmocka_unit_test(a_mismatch_shows_both_segments_and_the_time),
        cmocka_unit_test(time_is_checked),
        cmocka_unit_test(silence_is_checked),
        cmocka_unit_test(what_never_comes_is_said),
        cmocka_unit_test(every_option_is_read_and_printed),
        cmocka_unit_test(what_is_wrong_is_said_with_its_column),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
