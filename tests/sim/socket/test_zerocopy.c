// SPDX-License-Identifier: BSD-3-Clause
// Received buffers lent to the application, and memory of the application sent by reference.
#include "sim/fixture.h"

static unsigned freed;

static void on_done(void *arg)
{
    freed++;
    if (arg)
        *(bool *)arg = true;
}

struct conn {
    struct pair *p;
    int l, a, b;
};

static struct conn conn(void **state)
{
    struct conn c = {.p = *state};
    freed = 0;
    c.l = listen_b(c.p, 80, 5);
    connect_pair(c.p, c.l, 80, &c.a, &c.b);
    return c;
}

static void over(struct conn *c)
{
    sim_enter(c->p->b);
    leat_close(c->b);
    leat_close(c->l);
    sim_enter(c->p->a);
    leat_close(c->a);
    sim_run_for(c->p->sim, 10 * NS_PER_SEC);
}

static void test_lent_pieces_hold_the_bytes_in_order(void **state)
{
    struct conn c = conn(state);
    static char sent[10000], got[10000];
    struct leat_zc z[32];
    size_t n = 0;
    for (unsigned i = 0; i < sizeof(sent); i++)
        sent[i] = (char)(i * 7 >> 3);
    sim_enter(c.p->a);
    assert_int_equal(leat_write(c.a, sent, sizeof(sent)), sizeof(sent));
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    int k = leat_zc_recv(c.b, z, 32, sizeof(got), 0), left = -1;
    assert_true(k > 1);
    for (int i = 0; i < k; i++) {
        memcpy(got + n, z[i].base, z[i].len);
        n += z[i].len;
    }
    assert_int_equal(n, sizeof(sent));
    assert_memory_equal(got, sent, n);
    leat_ioctl(c.b, FIONREAD, &left);
    assert_int_equal(left, 0);
    assert_int_equal(leat_zc_recv(c.b, &z[k < 31 ? k : 31], 1, 1, 0), -1);
    assert_int_equal(errno, EAGAIN);
    leat_zc_return(z, k);
    over(&c);
}

static void test_no_more_than_asked_for(void **state)
{
    struct conn c = conn(state);
    struct leat_zc z[4];
    sim_enter(c.p->a);
    leat_write(c.a, "0123456789", 10);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(leat_zc_recv(c.b, z, 4, 4, 0), 1);
    assert_int_equal(z[0].len, 4);
    assert_memory_equal(z[0].base, "0123", 4);
    assert_int_equal(leat_zc_recv(c.b, z + 1, 3, 100, 0), 1);
    assert_int_equal(z[1].len, 6);
    assert_memory_equal(z[1].base, "456789", 6);
    leat_zc_return(z + 1, 1); /* in any order */
    leat_zc_return(z, 1);
    over(&c);
}

/* What is lent counts against the receive buffer: the sender is held back until it returns. */
static void test_loans_close_the_window(void **state)
{
    struct conn c = conn(state);
    enum { N = 2000 };
    static struct leat_zc z[N];
    static char block[65536];
    int rcvbuf = 20000, k = 0, n;
    size_t lent = 0, more = 0;
    sim_enter(c.p->b);
    leat_setsockopt(c.b, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
    for (int i = 0; i < 50; i++) {
        sim_enter(c.p->a);
        leat_write(c.a, block, sizeof(block));
        sim_run_for(c.p->sim, 100 * NS_PER_MS);
        sim_enter(c.p->b);
        while ((n = leat_zc_recv(c.b, z + k, N - k, SIZE_MAX, 0)) > 0)
            for (int j = 0; j < n; j++)
                lent += z[k++].len;
    }
    assert_in_range(lent, 10000, 100000);
    leat_zc_return(z, k);
    sim_run_for(c.p->sim, 10 * NS_PER_SEC); /* a window update or a probe */
    sim_enter(c.p->b);
    k = leat_zc_recv(c.b, z, N, SIZE_MAX, 0);
    assert_true(k > 0);
    for (int j = 0; j < k; j++)
        more += z[j].len;
    assert_true(more > 5000);
    leat_zc_return(z, k);
    over(&c);
}

static void test_loans_outlive_the_socket(void **state)
{
    struct conn c = conn(state);
    struct leat_zc z[4];
    sim_enter(c.p->a);
    leat_write(c.a, "kept", 4);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(leat_zc_recv(c.b, z, 4, 100, 0), 1);
    leat_close(c.b);
    c.b = -1;
    sim_run_for(c.p->sim, 10 * NS_PER_SEC);
    sim_enter(c.p->b);
    assert_memory_equal(z[0].base, "kept", 4);
    leat_zc_return(z, 1);
    over(&c);
}

static void test_end_of_stream_and_reset(void **state)
{
    struct conn c = conn(state);
    struct leat_zc z;
    struct linger now = {1, 0};
    sim_enter(c.p->a);
    leat_shutdown(c.a, SHUT_WR);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(leat_zc_recv(c.b, &z, 1, 100, 0), 0);
    sim_enter(c.p->a);
    leat_setsockopt(c.a, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    leat_close(c.a);
    sim_run_for(c.p->sim, 100 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(leat_zc_recv(c.b, &z, 1, 100, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    leat_close(c.b);
    leat_close(c.l);
}

static void test_sent_memory_is_held_until_all_is_acked(void **state)
{
    struct conn c = conn(state);
    static char block[5000], got[5000];
    memset(block, 'z', sizeof(block));
    sim_enter(c.p->a);
    assert_int_equal(leat_zc_send(c.a, block, sizeof(block), 0, on_done, NULL), sizeof(block));
    assert_int_equal(freed, 0);
    sim_run_for(c.p->sim, NS_PER_MS / 2);
    assert_int_equal(freed, 0); /* on its way: half of the delay */
    sim_run_for(c.p->sim, 200 * NS_PER_MS);
    assert_int_equal(freed, 1);
    sim_enter(c.p->b);
    assert_int_equal(leat_read(c.b, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, block, sizeof(got));
    over(&c);
    assert_int_equal(freed, 1);
}

static void test_references_and_copies_keep_their_order(void **state)
{
    struct conn c = conn(state);
    char got[32];
    sim_enter(c.p->a);
    leat_send(c.a, "one ", 4, MSG_MORE);
    leat_zc_send(c.a, "two ", 4, MSG_MORE, on_done, NULL);
    leat_send(c.a, "three", 5, 0);
    sim_run_for(c.p->sim, 500 * NS_PER_MS);
    sim_enter(c.p->b);
    assert_int_equal(leat_read(c.b, got, sizeof(got)), 13);
    assert_memory_equal(got, "one two three", 13);
    assert_int_equal(freed, 1);
    over(&c);
}

static void test_an_aborted_connection_gives_memory_back_once(void **state)
{
    struct conn c = conn(state);
    static char block[100000];
    bool done = false;
    struct linger now = {1, 0};
    sim_enter(c.p->a);
    assert_int_equal(leat_zc_send(c.a, block, sizeof(block), 0, on_done, &done), sizeof(block));
    sim_run_for(c.p->sim, NS_PER_MS);
    sim_enter(c.p->b);
    leat_setsockopt(c.b, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    leat_close(c.b);
    sim_run_for(c.p->sim, 500 * NS_PER_MS);
    assert_true(done);
    assert_int_equal(freed, 1);
    sim_enter(c.p->a);
    assert_int_equal(leat_zc_send(c.a, block, 10, MSG_NOSIGNAL, on_done, NULL), -1);
    leat_close(c.a);
    sim_enter(c.p->b);
    leat_close(c.l);
    assert_int_equal(freed, 1);
}

static void test_a_full_buffer_takes_nothing(void **state)
{
    struct conn c = conn(state);
    static char block[1 << 20];
    unsigned taken = 0;
    sim_enter(c.p->a);
    while (leat_zc_send(c.a, block, 10000, 0, on_done, NULL) > 0)
        taken++;
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(freed, 0);
    for (int i = 0; i < 1000; i++) {
        sim_enter(c.p->b);
        while (leat_read(c.b, block, sizeof(block)) > 0)
            ;
        sim_run_for(c.p->sim, 10 * NS_PER_MS);
    }
    assert_int_equal(freed, taken);
    over(&c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_lent_pieces_hold_the_bytes_in_order),
        TEST(test_no_more_than_asked_for),
        TEST(test_loans_close_the_window),
        TEST(test_loans_outlive_the_socket),
        TEST(test_end_of_stream_and_reset),
        TEST(test_sent_memory_is_held_until_all_is_acked),
        TEST(test_references_and_copies_keep_their_order),
        TEST(test_an_aborted_connection_gives_memory_back_once),
        TEST(test_a_full_buffer_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
