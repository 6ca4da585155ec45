// SPDX-License-Identifier: BSD-3-Clause
// kqueue(2) of FreeBSD, rule by rule.
#include "sim/fixture.h"

static int kq;

static int change(uintptr_t ident, short filter, unsigned short flags, unsigned fflags, int64_t data)
{
    struct leat_kevent c;
    LEAT_EV_SET(&c, ident, filter, flags, fflags, data, (void *)0x1234);
    return leat_kevent(kq, &c, 1, NULL, 0, NULL);
}

static int get(struct leat_kevent *ev, int n)
{
    static const struct timespec now = {0, 0};
    return leat_kevent(kq, NULL, 0, ev, n, &now);
}

struct conn {
    struct pair *p;
    int l, a, b; /* kq watches b */
};

static struct conn conn(void **state)
{
    struct conn c = {.p = *state};
    c.l = listen_b(c.p, 80, 5);
    connect_pair(c.p, c.l, 80, &c.a, &c.b);
    sim_enter(c.p->b);
    kq = leat_kqueue();
    assert_true(kq >= 0);
    return c;
}

static void peer_sends(struct conn *c, const char *text)
{
    sim_enter(c->p->a);
    assert_int_equal(leat_write(c->a, text, strlen(text)), strlen(text));
    sim_run_for(c->p->sim, 100 * NS_PER_MS);
    sim_enter(c->p->b);
}

static void over(struct conn *c)
{
    sim_enter(c->p->b);
    leat_close(kq);
    leat_close(c->b);
    leat_close(c->l);
    sim_enter(c->p->a);
    leat_close(c->a);
    sim_run_for(c->p->sim, NS_PER_SEC);
}

static void test_read_is_level_triggered_and_data_counts_bytes(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    char buf[8];
    assert_int_equal(change((uintptr_t)c.b, EVFILT_READ, EV_ADD, 0, 0), 0);
    assert_int_equal(get(&ev, 1), 0);
    peer_sends(&c, "abcde");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(get(&ev, 1), 1);
        assert_int_equal(ev.ident, c.b);
        assert_int_equal(ev.filter, EVFILT_READ);
        assert_int_equal(ev.data, 5);
        assert_ptr_equal(ev.udata, (void *)0x1234);
        assert_int_equal(ev.flags & (EV_EOF | EV_ERROR), 0);
    }
    leat_read(c.b, buf, 3);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 2);
    leat_read(c.b, buf, 3);
    assert_int_equal(get(&ev, 1), 0);
    over(&c);
}

static void test_clear_reports_a_change_once(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD | EV_CLEAR, 0, 0);
    peer_sends(&c, "abc");
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 3);
    assert_int_equal(get(&ev, 1), 0);
    peer_sends(&c, "de");
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 5);
    over(&c);
}

static void test_oneshot_is_gone_after_one_report(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD | EV_ONESHOT, 0, 0);
    peer_sends(&c, "abc");
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(get(&ev, 1), 0);
    assert_int_equal(change((uintptr_t)c.b, EVFILT_READ, EV_DELETE, 0, 0), -1);
    assert_int_equal(errno, ENOENT);
    over(&c);
}

static void test_dispatch_disables_until_enabled(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD | EV_DISPATCH, 0, 0);
    peer_sends(&c, "abc");
    assert_int_equal(get(&ev, 1), 1);
    peer_sends(&c, "de");
    assert_int_equal(get(&ev, 1), 0);
    assert_int_equal(change((uintptr_t)c.b, EVFILT_READ, EV_ENABLE, 0, 0), 0);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 5);
    over(&c);
}

static void test_disabled_is_silent_and_keeps_its_place(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0);
    peer_sends(&c, "abc");
    assert_int_equal(get(&ev, 1), 0);
    change((uintptr_t)c.b, EVFILT_READ, EV_ENABLE, 0, 0);
    assert_int_equal(get(&ev, 1), 1);
    change((uintptr_t)c.b, EVFILT_READ, EV_DISABLE, 0, 0);
    assert_int_equal(get(&ev, 1), 0);
    assert_int_equal(change((uintptr_t)c.b, EVFILT_READ, EV_DELETE, 0, 0), 0);
    over(&c);
}

static void test_low_water_of_its_own(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD, NOTE_LOWAT, 4);
    peer_sends(&c, "abc");
    assert_int_equal(get(&ev, 1), 0);
    peer_sends(&c, "d");
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 4);
    over(&c);
}

static void test_eof_with_what_is_still_to_be_read(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD, 0, 0);
    peer_sends(&c, "last");
    sim_enter(c.p->a);
    leat_shutdown(c.a, SHUT_WR);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(get(&ev, 1), 1);
    assert_true(ev.flags & EV_EOF);
    assert_int_equal(ev.fflags, 0);
    assert_int_equal(ev.data, 4);
    over(&c);
}

static void test_eof_with_the_error_in_fflags(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev[2];
    struct linger now = {1, 0};
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD, 0, 0);
    sim_enter(c.p->a);
    leat_setsockopt(c.a, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    leat_close(c.a);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(get(ev, 2), 1);
    assert_true(ev[0].flags & EV_EOF);
    assert_int_equal(ev[0].fflags, ECONNRESET);
    leat_close(kq);
    leat_close(c.b);
    leat_close(c.l);
}

static void test_write_tells_the_space(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    static char big[1 << 20];
    change((uintptr_t)c.b, EVFILT_WRITE, EV_ADD, 0, 0);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.filter, EVFILT_WRITE);
    int64_t space = ev.data;
    assert_true(space > 10000);
    assert_int_equal(leat_write(c.b, big, 1000), 1000);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, space - 1000);
    while (leat_write(c.b, big, sizeof(big)) > 0)
        ;
    assert_int_equal(get(&ev, 1), 0);
    over(&c);
}

static void test_a_listener_counts_who_waits(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    struct sockaddr_in in = addr_of_b(80);
    int fd[2];
    change((uintptr_t)c.l, EVFILT_READ, EV_ADD, 0, 0);
    assert_int_equal(get(&ev, 1), 0);
    sim_enter(c.p->a);
    for (int i = 0; i < 2; i++) {
        fd[i] = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        leat_connect(fd[i], (struct sockaddr *)&in, sizeof(in));
    }
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.ident, c.l);
    assert_int_equal(ev.data, 2);
    sim_enter(c.p->a);
    leat_close(fd[0]);
    leat_close(fd[1]);
    over(&c);
}

static void test_errors_are_events_while_there_is_room(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ch[3], ev[4];
    LEAT_EV_SET(&ch[0], 987654, EVFILT_READ, EV_ADD, 0, 0, NULL);
    LEAT_EV_SET(&ch[1], c.b, EVFILT_READ, EV_ADD | EV_RECEIPT, 0, 0, NULL);
    LEAT_EV_SET(&ch[2], c.b, -99, EV_ADD, 0, 0, NULL);
    assert_int_equal(leat_kevent(kq, ch, 3, ev, 4, NULL), 3);
    assert_true(ev[0].flags & ev[1].flags & ev[2].flags & EV_ERROR);
    assert_int_equal(ev[0].data, EBADF);
    assert_int_equal(ev[1].data, 0);
    assert_int_equal(ev[2].data, EINVAL);
    assert_int_equal(leat_kevent(kq, ch, 1, NULL, 0, NULL), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(change((uintptr_t)c.b, EVFILT_WRITE, EV_ENABLE, 0, 0), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(leat_kevent(c.b, NULL, 0, ev, 4, NULL), -1);
    assert_int_equal(errno, EBADF);
    over(&c);
}

static void test_closing_the_socket_takes_its_notes(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    change((uintptr_t)c.b, EVFILT_READ, EV_ADD, 0, 0);
    peer_sends(&c, "abc");
    leat_close(c.b);
    assert_int_equal(get(&ev, 1), 0);
    c.b = -1;
    over(&c);
}

static void test_timer_counts_what_has_run_out(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    assert_int_equal(change(7, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, 10), 0);
    assert_int_equal(get(&ev, 1), 0);
    sim_run_for(c.p->sim, 35 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.ident, 7);
    assert_int_equal(ev.data, 3);
    assert_int_equal(get(&ev, 1), 0);
    assert_int_equal(change(7, EVFILT_TIMER, EV_DELETE, 0, 0), 0);
    assert_int_equal(change(8, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_SECONDS, 1), 0);
    sim_run_for(c.p->sim, 5 * NS_PER_SEC);
    sim_enter(c.p->b);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.data, 1);
    assert_int_equal(change(8, EVFILT_TIMER, EV_DELETE, 0, 0), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(change(9, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, -1), -1);
    assert_int_equal(errno, EINVAL);
    over(&c);
}

static void test_user_events(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    assert_int_equal(change(1, EVFILT_USER, EV_ADD | EV_CLEAR, NOTE_FFCOPY | 0x5, 0), 0);
    assert_int_equal(get(&ev, 1), 0);
    change(1, EVFILT_USER, 0, NOTE_FFOR | NOTE_TRIGGER | 0x2, 0);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.fflags, 0x7);
    assert_int_equal(get(&ev, 1), 0);
    change(1, EVFILT_USER, 0, NOTE_FFAND | NOTE_TRIGGER | 0x3, 0);
    assert_int_equal(get(&ev, 1), 1);
    assert_int_equal(ev.fflags, 0x3);
    over(&c);
}

static void test_waiting_ends_with_the_timeout_or_the_event(void **state)
{
    struct conn c = conn(state);
    struct leat_kevent ev;
    const struct timespec ms20 = {0, 20000000};
    uint64_t before = sim_now(c.p->sim);
    assert_int_equal(leat_kevent(kq, NULL, 0, &ev, 1, &ms20), 0);
    assert_in_range(sim_now(c.p->sim) - before, 20 * NS_PER_MS, 21 * NS_PER_MS);
    change(1, EVFILT_TIMER, EV_ADD, NOTE_MSECONDS, 5);
    before = sim_now(c.p->sim);
    assert_int_equal(leat_kevent(kq, NULL, 0, &ev, 1, &ms20), 1);
    assert_in_range(sim_now(c.p->sim) - before, 4 * NS_PER_MS, 6 * NS_PER_MS);
    over(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_read_is_level_triggered_and_data_counts_bytes),
        TEST(test_clear_reports_a_change_once),
        TEST(test_oneshot_is_gone_after_one_report),
        TEST(test_dispatch_disables_until_enabled),
        TEST(test_disabled_is_silent_and_keeps_its_place),
        TEST(test_low_water_of_its_own),
        TEST(test_eof_with_what_is_still_to_be_read),
        TEST(test_eof_with_the_error_in_fflags),
        TEST(test_write_tells_the_space),
        TEST(test_a_listener_counts_who_waits),
        TEST(test_errors_are_events_while_there_is_room),
        TEST(test_closing_the_socket_takes_its_notes),
        TEST(test_timer_counts_what_has_run_out),
        TEST(test_user_events),
        TEST(test_waiting_ends_with_the_timeout_or_the_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
