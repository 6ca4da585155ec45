// SPDX-License-Identifier: BSD-3-Clause
// How many and how long: TIME-WAIT, orphans, closed windows; and TCP_INFO in every state.
#include "conversation.h"
#include <leat/tcp.h>

/* A passive connection whose listener is gone; several may follow. */
static struct tcb *passive(void)
{
    struct tcb *l = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_bind(l, &us, our_port, TCP_BIND_REUSEADDR), 0);
    assert_int_equal(tcp_listen(l, 10, TCP_BIND_REUSEADDR), 0);
    in_opt("S", 0, 0, 0, 65535, "mss 1460");
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 65535);
    struct tcb *tp = tcp_accept(l);
    tcp_adopt(tp, &upcalls, &owner);
    tcp_free(l);
    return tp;
}

/* One that closed first: in TIME_WAIT, or (last false) FIN_WAIT_2. */
static struct tcb *closed_first(bool last)
{
    struct tcb *tp = passive();
    app_closes(tp);
    expect("FA", 1, 0, 1);
    if (!last) {
        in("A", 1, 0, 2, 65535);
        return tp;
    }
    in("FA", 1, 0, 2, 65535);
    expect("A", 2, 0, 2);
    peer_port = (uint16_t)(peer_port + 256);
    return tp;
}

static void sysctl_maxtcptw_ends_the_oldest(void **state)
{
    set("net.inet.tcp.maxtcptw", "32");
    for (int i = 0; i < 40; i++) {
        closed_first(true);
        wait_ms(1);
    }
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 32);
    assert_int_equal(stat("tw_overflow"), 8);
    assert_int_equal(rte_be_to_cpu_16(TAILQ_FIRST(&e.tcp->time_wait)->fport), 40008);
}

/* A FIN that comes again starts the time again: that connection is the youngest now. */
static void a_repeated_fin_makes_young(void **state)
{
    set("net.inet.tcp.maxtcptw", "32");
    struct tcb *first = closed_first(true);
    uint16_t mine = first->fport;
    for (int i = 1; i < 32; i++)
        closed_first(true);
    uint16_t after = peer_port;
    peer_port = mine;
    our_isn = first->iss;
    in("FA", 1, 0, 2, 65535);
    expect("A", 2, 0, 2);
    peer_port = after;
    closed_first(true);
    assert_ptr_equal(TAILQ_PREV(TAILQ_LAST(&e.tcp->time_wait, tcb_list), tcb_list, accept_link), first);
}

static void rfc9293_3_3_2_time_wait_lasts_two_msl(void **state)
{
    set("net.inet.tcp.msl", "5000");
    closed_first(true);
    wait_ms(9990);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 1);
    wait_ms(20);
    assert_int_equal(e.tcp->tcbs.used, 0);
}

static void sysctl_msl_local_and_nolocaltimewait(void **state)
{
    us = peer; /* both ends are ours */
    closed_first(true);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 1);
    wait_ms(25);
    assert_int_equal(e.tcp->tcbs.used, 0);
    set("net.inet.tcp.msl_local", "1000");
    set("net.inet.tcp.nolocaltimewait", "1");
    closed_first(true);
    wait_ms(2);
    assert_int_equal(e.tcp->tcbs.used, 0);
    assert_int_equal(stat("tw_overflow"), 0);
}

static void sysctl_rfc6191_off_keeps_time_wait(void **state)
{
    set("net.inet.tcp.rfc6191", "0");
    struct tcb *tp = closed_first(true);
    uint16_t after = peer_port;
    peer_port = tp->fport;
    our_isn = tp->iss;
    in("S", 100000, 0, 0, 65535);
    assert_int_equal(stat("tw_recycles"), 0);
    assert_int_equal(tp->state, TCPS_TIME_WAIT);
    peer_port = after;
}

static void sysctl_maxorphans_resets_at_close(void **state)
{
    set("net.inet.tcp.maxorphans", "1");
    struct tcb *a = passive();
    app_closes(a);
    expect("FA", 1, 0, 1);
    assert_int_equal(e.tcp->orphans, 1);
    peer_port = (uint16_t)(peer_port + 256);
    struct tcb *b = passive();
    app_closes(b);
    expect("RA", 1, 0, 1);
    assert_int_equal(stat("orphan_drops"), 1);
    assert_int_equal(e.tcp->orphans, 1);
}

static void orphans_in_time_wait_do_not_count(void **state)
{
    closed_first(true);
    assert_int_equal(e.tcp->orphans, 0);
    assert_int_equal(e.tcp->states[TCPS_TIME_WAIT], 1);
    closed_first(false);
    assert_int_equal(e.tcp->orphans, 1);
}

static void orphans_give_way_when_send_memory_is_short(void **state)
{
    set("net.inet.tcp.sendbytes_max", "65536");
    struct tcb *tp = established();
    tp->cwnd = 1000;
    tp->snd.hiwat = 60000;
    app_writes(tp, 60000);
    while (at_caught < n_caught)
        next_sent();
    app_closes(tp);
    struct sent s = next_sent();
    assert_true(s.flags & RTE_TCP_RST_FLAG);
    assert_int_equal(stat("orphan_memdrops"), 1);
}

/* FreeBSD: after an announcement of no space the next data is acknowledged at once. */
static void after_a_window_of_0_acks_are_quick(void **state)
{
    struct tcb *tp = established();
    struct leat_freebsd_tcp_info info;
    tp->rcv.hiwat = 2000;
    tp->rcv_adv = tp->rcv_nxt + 2000;
    in("A", 1, 1000, 1, 65535);
    in("A", 1001, 1000, 1, 65535);
    struct sent s = expect("A", 1, 0, 2001);
    assert_int_equal(s.wnd, 0);
    tcp_fill_freebsd_info(tp, &info);
    assert_int_equal(info.tcpi_snd_zerowin, 1);
    app_reads(tp);
    expect("A", 1, 0, 2001);
    in("A", 2001, 100, 1, 65535);
    expect("A", 1, 0, 2101);
    in("A", 2101, 100, 1, 65535);
    expect_nothing(); /* delayed again */
    wait_ms(41);
    expect("A", 1, 0, 2201);
}

static void sysctl_maxunacktime_is_the_default_of_tcp_user_timeout(void **state)
{
    int v;
    uint32_t len = sizeof(v);
    set("net.inet.tcp.maxunacktime", "3000");
    struct tcb *tp = established();
    assert_int_equal(tcp_getopt(tp, LEAT_TCP_MAXUNACKTIME, &v, &len), 0);
    assert_int_equal(v, 3);
    v = 7;
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_MAXUNACKTIME, &v, sizeof(v)), 0);
    assert_int_equal(tcp_getopt(tp, TCP_USER_TIMEOUT, &v, &len), 0);
    assert_int_equal(v, 7000);
}

/* ---- the walk of tools ---- */

static unsigned visited;
static int visit(struct tcb *tp, void *arg)
{
    visited++;
    if (arg && tp->state != TCPS_LISTEN)
        tcp_free(tp);
    return 0;
}

static void many(unsigned n)
{
    while (n-- > 0)
        assert_non_null(tcp_new(&e, NULL, NULL));
}

static void a_walk_sees_each_connection_once(void **state)
{
    many(1000);
    bool first = true, last;
    do {
        unsigned before = visited;
        last = tcp_walk(e.tcp, first, 64, visit, NULL);
        assert_in_range(visited - before, 1, 64);
        first = false;
    } while (!last);
    assert_int_equal(visited, 1000);
    visited = 0;
}

/* Connections end between two pieces, the next one to be visited among them. */
static void a_walk_survives_what_ends_meanwhile(void **state)
{
    many(300);
    bool last = tcp_walk(e.tcp, true, 100, visit, NULL);
    assert_false(last);
    for (int i = 0; i < 50; i++)
        tcp_free(e.tcp->walk);
    while (!tcp_walk(e.tcp, false, 100, visit, NULL))
        ;
    assert_int_equal(visited, 250);
    visited = 0;
}

static void a_walk_may_end_what_it_sees_and_ends_though_more_is_made(void **state)
{
    many(200);
    bool first = true;
    unsigned rounds = 0;
    while (!tcp_walk(e.tcp, first, 50, visit, &rounds)) {
        first = false;
        many(50);
        assert_true(++rounds < 100);
    }
    assert_true(visited >= 200);
    visited = 0;
}

/* ---- TCP_INFO ---- */

static struct leat_freebsd_tcp_info freebsd(struct tcb *tp)
{
    struct leat_freebsd_tcp_info info;
    uint32_t len = sizeof(info);
    assert_int_equal(tcp_getopt(tp, LEAT_TCP_INFO, &info, &len), 0);
    assert_int_equal(len, sizeof(info));
    return info;
}

static void info_of_closed_and_listen(void **state)
{
    struct leat_tcp_info linux_info;
    uint32_t len = 104;
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(freebsd(tp).tcpi_state, TCPS_CLOSED);
    assert_int_equal(tcp_getopt(tp, TCP_INFO, &linux_info, &len), 0);
    assert_int_equal(len, 104);
    assert_int_equal(linux_info.tcpi_state, 7);
    struct tcb *l = listening(3);
    assert_int_equal(freebsd(l).tcpi_state, TCPS_LISTEN);
}

static void info_as_freebsd_fills_it(void **state)
{
    struct tcb *tp = established_opt("mss 1000 sackOK wscale 3 ts 5 0");
    struct leat_freebsd_tcp_info i = freebsd(tp);
    assert_int_equal(i.tcpi_state, TCPS_ESTABLISHED);
    assert_int_equal(i.tcpi_options, LEAT_TCPI_OPT_TIMESTAMPS | LEAT_TCPI_OPT_SACK | LEAT_TCPI_OPT_WSCALE);
    assert_int_equal(i.tcpi_snd_wscale, 3);
    assert_int_equal(i.tcpi_rcv_wscale, 6);
    assert_int_equal(i.tcpi_snd_mss, 988);
    assert_int_equal(i.tcpi_snd_cwnd, 9880);
    assert_int_equal(i.tcpi_snd_ssthresh, UINT32_MAX / 2);
    assert_int_equal(i.tcpi_snd_wnd, 65535 << 3);
    assert_int_equal(i.tcpi_rcv_space, tp->rcv.hiwat);
    assert_int_equal(i.tcpi_snd_una, tp->iss + 1);
    app_writes(tp, 988);
    next_sent();
    i = freebsd(tp);
    assert_int_equal(i.tcpi_snd_nxt - i.tcpi_snd_una, 988);
    assert_int_equal(i.tcpi_snd_max, i.tcpi_snd_nxt);
    wait_ms(400);
    next_sent();
    i = freebsd(tp);
    assert_int_equal(i.tcpi_snd_rexmitpack, 1);
    assert_int_equal(i.tcpi_rto, 2 * 30000 + 200000); /* one backoff; the slop comes after it */
    in_opt("A", 1001, 100, 1, 1000, "ts 106 0");
    in_opt("A", 3001, 100, 1, 1000, "ts 107 0");
    next_sent();
    next_sent();
    i = freebsd(tp);
    assert_int_equal(i.tcpi_rcv_ooopack, 2);
    assert_int_equal(i.tcpi_rcv_numsacks, 2);
    assert_int_equal(i.tcpi_rcv_nxt, PEER_ISN + 1);
    wait_ms(30);
    i = freebsd(tp);
    assert_in_range(i.tcpi_last_data_recv, 30000, 31000);
}

static void info_in_every_later_state(void **state)
{
    struct tcb *tp = closed_first(false);
    assert_int_equal(freebsd(tp).tcpi_state, TCPS_FIN_WAIT_2);
    in("FA", 1, 0, 2, 65535);
    expect("A", 2, 0, 2);
    assert_int_equal(freebsd(tp).tcpi_state, TCPS_TIME_WAIT);
    peer_port = (uint16_t)(peer_port + 256);
    struct tcb *c = connecting();
    assert_int_equal(freebsd(c).tcpi_state, TCPS_SYN_SENT);
    assert_int_equal(freebsd(c).tcpi_rto, 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sysctl_maxtcptw_ends_the_oldest),
        TEST(a_repeated_fin_makes_young),
        TEST(rfc9293_3_3_2_time_wait_lasts_two_msl),
        TEST(sysctl_msl_local_and_nolocaltimewait),
        TEST(sysctl_rfc6191_off_keeps_time_wait),
        TEST(sysctl_maxorphans_resets_at_close),
        TEST(orphans_in_time_wait_do_not_count),
        TEST(orphans_give_way_when_send_memory_is_short),
        TEST(after_a_window_of_0_acks_are_quick),
        TEST(sysctl_maxunacktime_is_the_default_of_tcp_user_timeout),
        TEST(a_walk_sees_each_connection_once),
        TEST(a_walk_survives_what_ends_meanwhile),
        TEST(a_walk_may_end_what_it_sees_and_ends_though_more_is_made),
        TEST(info_of_closed_and_listen),
        TEST(info_as_freebsd_fills_it),
        TEST(info_in_every_later_state),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
