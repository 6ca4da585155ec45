// SPDX-License-Identifier: BSD-3-Clause
// Stacks by name, and the change from one to another on a live connection. The other stack is a copy of the default one under a name of its own:
// what the change hands over and what it does not is the same.
#include "conversation.h"
#include <leat/tcp.h>
#include "tcp/functions.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/stacks/default.h"

static struct tcp_stack other, broken;
static unsigned inits, finis;
static bool lazy; /* init stops every timer */

static int other_init(struct tcb *tp)
{
    inits++;
    for (unsigned i = 0; i < RTE_DIM(tp->stack_state); i++)
        assert_int_equal(tp->stack_state[i], 0);
    assert_null(tp->recovery);
    assert_int_equal(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY), 0);
    assert_false(tcp_timer_armed(tp, TT_STACK));
    if (lazy)
        tcp_timer_stop(tp, TT_REXMT);
    return tcp_stack_default.init(tp);
}
static void other_fini(struct tcb *tp, bool dying)
{
    finis++;
    tcp_stack_default.fini(tp, dying);
}
static int other_handoff_ok(const struct tcb *tp)
{
    return tp->flags & TF_SACK_PERMIT ? 0 : -EINVAL;
}
static int broken_init(struct tcb *tp)
{
    memset(tp->stack_state, 0xff, sizeof(tp->stack_state));
    tcp_timer_arm(tp, TT_STACK, tp->e->now + NS_PER_MS);
    tp->cwnd = 1;
    return -ENOMEM;
}

static int set_up_stacks(void **state)
{
    other = broken = tcp_stack_default;
    other.name = "other";
    other.init = other_init;
    other.fini = other_fini;
    other.handoff_ok = other_handoff_ok;
    broken.name = "broken";
    broken.init = broken_init;
    inits = finis = 0;
    lazy = false;
    return set_up(state);
}

/* Not overheard: with the default stack itself. */
static struct tcb *connection(const char *options)
{
    struct tcb *tp = established_opt(options);
    tp->stack = &tcp_stack_default;
    return tp;
}

static int choose(struct tcb *tp, const char *name)
{
    struct tcp_function_set fs = {0};
    memcpy(fs.function_set_name, name, strnlen(name, sizeof(fs.function_set_name)));
    return tcp_setopt(tp, TCP_FUNCTION_BLK, &fs, sizeof(fs));
}

static struct tcp_function_set chosen(struct tcb *tp, int name)
{
    struct tcp_function_set fs;
    uint32_t len = sizeof(fs);
    assert_int_equal(tcp_getopt(tp, name, &fs, &len), 0);
    assert_int_equal(len, 36);
    return fs;
}

/* ---- names ---- */

static void the_option_says_which(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    assert_string_equal(chosen(tp, TCP_FUNCTION_BLK).function_set_name, "default");
    assert_int_equal(chosen(tp, TCP_FUNCTION_BLK).pcbcnt, 2); /* the listener too */
    assert_string_equal(chosen(tp, TCP_FUNCTION_ALIAS).function_set_name, "freebsd");
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    assert_string_equal(chosen(tp, TCP_FUNCTION_BLK).function_set_name, "other");
    assert_int_equal(chosen(tp, TCP_FUNCTION_BLK).pcbcnt, 1);
    assert_string_equal(chosen(tp, TCP_FUNCTION_ALIAS).function_set_name, "");
    assert_int_equal(choose(tp, "freebsd"), 0);
    assert_string_equal(chosen(tp, TCP_FUNCTION_BLK).function_set_name, "default");
    assert_int_equal(chosen(tp, TCP_FUNCTION_BLK).pcbcnt, 2);
    assert_int_equal(stat("stack_switches"), 2);
}

static void errors_in_freebsds_order(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    struct tcp_function_set fs = {.function_set_name = "default"};
    assert_int_equal(tcp_setopt(tp, TCP_FUNCTION_BLK, &fs, sizeof(fs) - 1), -EINVAL);
    assert_int_equal(tcp_setopt(tp, TCP_FUNCTION_ALIAS, &fs, sizeof(fs)), -ENOPROTOOPT);
    assert_int_equal(choose(tp, "nonesuch"), -ENOENT);
    assert_int_equal(choose(tp, "0123456789abcdef0123456789abcdef"), -ENOENT); /* no NUL */
    assert_int_equal(choose(tp, "default"), 0);                                /* has it */
    assert_int_equal(stat("stack_switches"), 0);
    in("R", 1, 0, 0, 0);
    assert_int_equal(choose(tp, "nonesuch"), -ECONNRESET);
    assert_int_equal(choose(tp, "default"), -ECONNRESET);
}

static void settings(void **state)
{
    char text[1024], err[200];
    struct tcb *l = listening(5);
    assert_int_equal(sysctl_get_text(e.sysctl, "net.inet.tcp.functions_available", text, sizeof(text)), 0);
    assert_non_null(strstr(text,
                           "\nStack                           D Alias                            PCB count\n"
                           "default                         * -                                1"));
    assert_non_null(strstr(text, "\ndefault                         * freebsd                          1"));
    assert_int_equal(
        sysctl_set_text(e.sysctl, "net.inet.tcp.functions_default", "nonesuch", err, sizeof(err)), -ENOENT);
    set("net.inet.tcp.functions_default", "freebsd");
    sysctl_get_text(e.sysctl, "net.inet.tcp.functions_default", text, sizeof(text));
    assert_string_equal(text, "default");
    tcp_close(l, false);
    sysctl_get_text(e.sysctl, "net.inet.tcp.functions_available", text, sizeof(text));
    assert_non_null(strstr(text, "freebsd                          0"));
}

/* ---- accepted connections ---- */

static struct tcb *accepted(struct tcb *l, const char *options)
{
    in_opt("S", 0, 0, 0, 65535, options);
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 65535);
    struct tcb *tp = tcp_accept(l);
    tcp_adopt(tp, &upcalls, &owner);
    return tp;
}

static void a_child_has_its_listeners(void **state)
{
    struct tcb *l = listening(5);
    tcp_stack_switch(l, &other);
    assert_ptr_equal(accepted(l, "mss 1460 sackOK")->stack, &other);
    assert_int_equal(e.tcp->stack_users[TCP_STACKS_MAX - 1],
                     0); /* no stack of the table: the place after the last */
    set("net.inet.tcp.functions_inherit_listen_socket_stack", "0");
    peer_port++;
    assert_ptr_equal(accepted(l, "mss 1460 sackOK")->stack, &tcp_stack_default);
}

static void a_child_whose_stack_cannot_begin_has_the_default(void **state)
{
    struct tcb *l = listening(5);
    l->stack = &broken;
    struct tcb *tp = accepted(l, "mss 1460 sackOK");
    assert_ptr_equal(tp->stack, &tcp_stack_default);
    assert_int_equal(stat("stack_switch_failed"), 1);
    app_writes(tp, 1000);
    expect("PA", 1, 1000, 1);
    l->stack = &tcp_stack_default;
}

static void without_sack_the_default_takes_over(void **state)
{
    struct tcb *l = listening(5);
    tcp_stack_switch(l, &other);
    struct tcb *tp = accepted(l, "mss 1460");
    assert_ptr_equal(tp->stack, &tcp_stack_default);
    assert_int_equal(stat("stack_fallbacks"), 1);
    assert_int_equal(tp->cwnd, 14600);
    app_writes(tp, 1000);
    expect("PA", 1, 1000, 1);
}

/* ---- live connections ---- */

static void send_segments(struct tcb *tp, unsigned n)
{
    app_writes(tp, n * 1460);
    for (unsigned i = 0; i < n; i++)
        expect(i + 1 == n ? "PA" : "A", 1 + i * 1460, 1460, 1);
}

/* How many segments left meanwhile. */
static unsigned drain(void)
{
    unsigned n = n_caught - at_caught;
    while (at_caught < n_caught)
        next_sent();
    return n;
}

static void a_failing_init_changes_nothing(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 8);
    in_opt("A", 1, 0, 1, 65535, "sack 2921 8761");
    expect("A", 1, 1460, 1); /* in recovery */
    drain();
    struct tcb before = *tp;
    assert_int_equal(tcp_stack_switch(tp, &broken), -ENOMEM);
    before.wheel = tp->wheel; /* may wake for nothing */
    assert_memory_equal(&before, tp, sizeof(before));
    wait_ms(2);
    expect_nothing();
    in("A", 1, 0, 11681, 65535);
    assert_int_equal(stat("stack_switch_failed"), 1);
}

static void in_fast_recovery(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 8);
    in_opt("A", 1, 0, 1, 65535, "sack 5841 11681");
    expect("A", 1, 1460, 1);
    drain();
    uint32_t ssthresh = tp->ssthresh;
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    expect("A", 1, 1460, 1); /* who knows what the one before sent */
    assert_int_equal(finis, 0);
    assert_int_equal(e.tcp->loss.recoveries.used, 0);
    in("A", 1, 0, 1461, 65535); /* each partial ACK shows the next hole, until SACK blocks come */
    expect("A", 1461, 1460, 1);
    in_opt("A", 1, 0, 2921, 65535, "sack 5841 11681");
    expect("A", 2921, 1460, 1);
    in_opt("A", 1, 0, 4381, 65535, "sack 5841 11681");
    expect("A", 4381, 1460, 1);
    in("A", 1, 0, 11681, 65535);
    assert_int_equal(tp->flags & TF_RECOVERY, 0);
    assert_int_equal(tp->ssthresh, ssthresh); /* cut once */
    assert_int_equal(tp->snd.bytes, 0);
}

static void after_a_timeout(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 4);
    wait_ms(240);
    expect("A", 1, 1460, 1);
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    expect("A", 1, 1460, 1);
    in("A", 1, 0, 1461, 65535);
    expect("A", 1461, 1460, 1);
    expect("A", 2921, 1460, 1);
    in("A", 1, 0, 4381, 65535);
    expect("PA", 4381, 1460, 1);
    in("A", 1, 0, 5841, 65535);
    assert_int_equal(tp->snd.bytes, 0);
}

static void with_fin_sent(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 2);
    app_shuts(tp);
    expect("FA", 2921, 0, 1);
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    expect_nothing();
    in("A", 1, 0, 2921, 65535); /* the FIN is lost */
    assert_int_equal(tcp_stack_switch(tp, &tcp_stack_default), 0);
    run_due();
    wait_ms(240);
    expect("FA", 2921, 0, 1);
    in("A", 1, 0, 2922, 65535);
    assert_int_equal(tp->state, TCPS_FIN_WAIT_2);
    in("FA", 1, 0, 2922, 65535);
    expect("A", 2922, 0, 2);
}

static void while_the_window_is_closed(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 1);
    in("A", 1, 0, 1461, 0);
    app_writes(tp, 1000);
    assert_true(tcp_timer_armed(tp, TT_PERSIST));
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    assert_true(tcp_timer_armed(tp, TT_PERSIST));
    wait_ms(5100);
    expect("A", 1461, 1, 1); /* a probe */
    assert_int_equal(tcp_stack_switch(tp, &tcp_stack_default), 0);
    run_due();
    expect_nothing();
    in("A", 1, 0, 1461, 65535);
    expect("PA", 1461, 1000, 1);
    in("A", 1, 0, 2461, 65535);
    assert_int_equal(tp->snd.bytes, 0);
}

static void something_in_flight_always_has_a_timer(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    send_segments(tp, 2);
    lazy = true;
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    assert_true(tcp_timer_armed(tp, TT_REXMT));
    run_due();
    wait_ms(240);
    expect("A", 1, 1460, 1);
}

static void before_the_handshake_is_over(void **state)
{
    struct tcb *tp = connecting();
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    wait_ms(1100);
    expect("S", 0, 0, ANY_ACK);
    in_opt("SA", 0, 0, 1, 65535, "mss 1460 sackOK");
    expect("A", 1, 0, 1);
    assert_ptr_equal(tp->stack, &other);
    app_writes(tp, 100);
    expect("PA", 1, 100, 1);
}

/* NewReno's window is inflated by what duplicates say has left: that is not handed on. */
static void no_inflated_window_is_handed_on(void **state)
{
    struct tcb *tp = connection("mss 1460");
    send_segments(tp, 8);
    for (int i = 0; i < 5; i++)
        in("A", 1, 0, 1, 65535);
    expect("A", 1, 1460, 1);
    assert_true(tp->cwnd > tp->ssthresh);
    assert_int_equal(tcp_stack_switch(tp, &other), 0);
    run_due();
    expect("A", 1, 1460, 1);
    drain();
    assert_true(tp->cwnd <= tp->ssthresh);
    in("R", 1, 0, 0, 0);
}

/* ---- the default stack ---- */

/* The end of the last recovery is no bound for ever: 2 GB later it would seem to lie ahead. */
static void a_first_loss_after_2_gb(void **state)
{
    struct tcb *tp = connection("mss 1460 sackOK");
    tp->recover = tp->snd_una + 0x7fffffff;
    send_segments(tp, 8);
    in_opt("A", 1, 0, 1, 65535, "sack 5841 11681"); /* a duplicate */
    expect("A", 1, 1460, 1);
    drain();
    in("A", 1, 0, 11681, 65535);
    tp->recover = tp->snd_una + 0x7fffffff;
    app_writes(tp, 8 * 1460);
    drain();
    in_opt("A", 1, 0, 13141, 65535, "sack 14601 18981"); /* an ACK of new data */
    expect("A", 13141, 1460, 1);
    drain();
    assert_int_equal(stat("sack_recovery_episode"), 2);
}

#define TEST_STACKS(f) cmocka_unit_test_setup_teardown(f, set_up_stacks, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_STACKS(the_option_says_which),
        TEST_STACKS(errors_in_freebsds_order),
        TEST_STACKS(settings),
        TEST_STACKS(a_child_has_its_listeners),
        TEST_STACKS(a_child_whose_stack_cannot_begin_has_the_default),
        TEST_STACKS(without_sack_the_default_takes_over),
        TEST_STACKS(a_failing_init_changes_nothing),
        TEST_STACKS(in_fast_recovery),
        TEST_STACKS(after_a_timeout),
        TEST_STACKS(with_fin_sent),
        TEST_STACKS(while_the_window_is_closed),
        TEST_STACKS(something_in_flight_always_has_a_timer),
        TEST_STACKS(before_the_handshake_is_over),
        TEST_STACKS(no_inflated_window_is_handed_on),
        TEST_STACKS(a_first_loss_after_2_gb),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
