// SPDX-License-Identifier: BSD-3-Clause
// A thread without an engine gets ENXIO from every call, and touches nothing, while the engine works on.
#include "sim/fixture.h"
#include <pthread.h>

struct stranger {
    int fd, ep;
    unsigned wrong, rounds;
    volatile bool stop;
};

#define NO(expr) (errno = 0, s->wrong += !((expr) < 0 && errno == ENXIO))

static void *call_everything(void *arg)
{
    struct stranger *s = arg;
    struct sockaddr_in in = addr_of_b(80);
    socklen_t len = sizeof(in);
    struct epoll_event ev = {.events = EPOLLIN};
    struct leat_kevent kev = {0};
    struct pollfd pfd = {.fd = s->fd, .events = POLLIN};
    struct iovec iov = {&in, sizeof(in)};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct leat_zc z;
    off_t sent;
    char buf[16] = {0};
    while (!s->stop) {
        NO(leat_engine());
        NO(leat_socket(AF_INET, SOCK_STREAM, 0));
        NO(leat_bind(s->fd, (struct sockaddr *)&in, sizeof(in)));
        NO(leat_listen(s->fd, 5));
        NO(leat_accept4(s->fd, NULL, NULL, 0));
        NO(leat_connect(s->fd, (struct sockaddr *)&in, sizeof(in)));
        NO(leat_read(s->fd, buf, sizeof(buf)));
        NO(leat_readv(s->fd, &iov, 1));
        NO(leat_recvfrom(s->fd, buf, sizeof(buf), 0, NULL, NULL));
        NO(leat_recvmsg(s->fd, &msg, 0));
        NO(leat_write(s->fd, buf, sizeof(buf)));
        NO(leat_writev(s->fd, &iov, 1));
        NO(leat_sendto(s->fd, buf, sizeof(buf), 0, NULL, 0));
        NO(leat_sendmsg(s->fd, &msg, 0));
        NO(leat_shutdown(s->fd, SHUT_RDWR));
        NO(leat_getsockname(s->fd, (struct sockaddr *)&in, &len));
        NO(leat_getpeername(s->fd, (struct sockaddr *)&in, &len));
        NO(leat_getsockopt(s->fd, SOL_SOCKET, SO_ERROR, buf, &len));
        NO(leat_setsockopt(s->fd, SOL_SOCKET, SO_KEEPALIVE, buf, 4));
        NO(leat_fcntl(s->fd, F_GETFL));
        NO(leat_ioctl(s->fd, FIONREAD, buf));
        NO(leat_poll(&pfd, 1, 0));
        NO(leat_dup(s->fd));
        NO(leat_zc_recv(s->fd, &z, 1, 1, 0));
        NO(leat_zc_send(s->fd, buf, 1, 0, NULL, NULL));
        NO(leat_sendfile(0, s->fd, 0, 1, NULL, &sent, 0));
        NO(leat_epoll_create1(0));
        NO(leat_epoll_ctl(s->ep, EPOLL_CTL_ADD, s->fd, &ev));
        NO(leat_epoll_wait(s->ep, &ev, 1, 0));
        NO(leat_kqueue());
        NO(leat_kevent(s->ep, &kev, 1, NULL, 0, NULL));
        NO(leat_close(s->fd));
        s->wrong += leat_now() != 0;
        s->rounds++;
    }
    return NULL;
}

static void test_a_thread_without_an_engine(void **state)
{
    struct pair *p = *state;
    int a, b, l = listen_b(p, 80, 5);
    static char block[10000];
    connect_pair(p, l, 80, &a, &b);
    sim_enter(p->b);
    struct stranger s = {.fd = b, .ep = leat_epoll_create1(0)};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, call_everything, &s), 0);
    size_t sent = 0, got = 0;
    for (int i = 0; i < 2000; i++) {
        ssize_t n;
        sim_enter(p->a);
        if ((n = leat_write(a, block, sizeof(block))) > 0)
            sent += (size_t)n;
        sim_run_for(p->sim, 10 * NS_PER_MS);
        sim_enter(p->b);
        while ((n = leat_read(b, block, sizeof(block))) > 0)
            got += (size_t)n;
    }
    s.stop = true;
    pthread_join(t, NULL);
    assert_int_equal(s.wrong, 0);
    assert_true(s.rounds > 0);
    assert_true(got == sent && got > 1000000);
    sim_enter(p->b);
    leat_close(s.ep);
    leat_close(b);
    leat_close(l);
    sim_enter(p->a);
    leat_close(a);
    sim_run_for(p->sim, 10 * NS_PER_SEC);
}

/* Another engine's descriptor is none here. */
static void test_another_engine(void **state)
{
    struct pair *p = *state;
    int l = listen_b(p, 80, 5);
    sim_enter(p->a);
    assert_int_equal(leat_listen(l, 1), -1);
    assert_int_equal(errno, EBADF);
    sim_enter(NULL);
    assert_int_equal(leat_close(l), -1);
    assert_int_equal(errno, ENXIO);
    sim_enter(p->b);
    assert_int_equal(leat_close(l), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_thread_without_an_engine, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(test_another_engine, pair_setup, pair_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
