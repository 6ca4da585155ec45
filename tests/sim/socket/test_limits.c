// SPDX-License-Identifier: BSD-3-Clause
// Every limit of the socket floor: what lies beyond it is refused with the errno that docs/sockets.md names, is counted, and loses nothing.
#include "sim/fixture.h"
#include <leat/sysctl.h>

static void set(const char *name, uint32_t v)
{
    assert_int_equal(leat_sysctlbyname(name, NULL, NULL, &v, sizeof(v)), 0);
}

static uint64_t count(const char *name)
{
    uint64_t v = 0;
    size_t len = sizeof(v);
    assert_int_equal(leat_sysctlbyname(name, &v, &len, NULL, 0), 0);
    return v;
}

static void kern_ipc_maxsockets(void **state)
{
    struct pair *p = *state;
    int fd[20], n = 0;
    sim_enter(p->b);
    set("kern.ipc.maxsockets", 16);
    while (n < 20 && (fd[n] = leat_socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        n++;
    assert_int_equal(n, 16);
    assert_int_equal(errno, ENFILE);
    assert_int_equal(count("kern.ipc.nosockets"), 1);
    assert_int_equal(leat_dup(fd[0]), -1); /* the table of descriptors has the same size */
    assert_int_equal(errno, EMFILE);
    leat_close(fd[3]);
    assert_int_equal(leat_socket(AF_INET, SOCK_STREAM, 0), fd[3]); /* the lowest that is free */
    set("kern.ipc.maxsockets", 32);
    assert_true(leat_socket(AF_INET, SOCK_STREAM, 0) >= 0);
}

/* A connection that finds no socket waits in the queue until there is one. */
static void accept_without_sockets(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in in = addr_of_b(80);
    int l = listen_b(p, 80, 5), fill[16], n = 0;
    sim_enter(p->a);
    int client = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_connect(client, (struct sockaddr *)&in, sizeof(in));
    sim_run_for(p->sim, 10 * NS_PER_MS);
    sim_enter(p->b);
    set("kern.ipc.maxsockets", 16);
    while (n < 16 && (fill[n] = leat_socket(AF_INET, SOCK_STREAM, 0)) >= 0)
        n++;
    assert_int_equal(leat_accept(l, NULL, NULL), -1);
    assert_int_equal(errno, ENFILE);
    leat_close(fill[0]);
    int fd = leat_accept4(l, NULL, NULL, SOCK_NONBLOCK);
    assert_true(fd >= 0);
    assert_int_equal(leat_write(fd, "x", 1), 1);
    sim_run_for(p->sim, 10 * NS_PER_MS);
    char byte;
    sim_enter(p->a);
    assert_int_equal(leat_read(client, &byte, 1), 1);
}

/* listen(2) with more than the limit gets the limit: 3/2 of it and one more complete connections wait, as on FreeBSD. */
static void kern_ipc_somaxconn(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in in = addr_of_b(80);
    int accepted = 0;
    sim_enter(p->b);
    set("kern.ipc.somaxconn", 2);
    int l = listen_b(p, 80, 1000);
    sim_enter(p->a);
    for (int i = 0; i < 12; i++) {
        int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        leat_connect(fd, (struct sockaddr *)&in, sizeof(in));
        sim_run_for(p->sim, 5 * NS_PER_MS);
    }
    sim_enter(p->b);
    while (leat_accept4(l, NULL, NULL, SOCK_NONBLOCK) >= 0)
        accepted++;
    assert_int_equal(accepted, 4);
}

static void kern_ipc_maxsockbuf(void **state)
{
    struct pair *p = *state;
    int v = 1 << 20, options[] = {SO_SNDBUF, SO_RCVBUF};
    socklen_t len = sizeof(v);
    sim_enter(p->b);
    set("kern.ipc.maxsockbuf", 100000);
    int fd = leat_socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++) {
        v = 1 << 20;
        assert_int_equal(leat_setsockopt(fd, SOL_SOCKET, options[i], &v, sizeof(v)), 0);
        assert_int_equal(leat_getsockopt(fd, SOL_SOCKET, options[i], &v, &len), 0);
        assert_int_equal(v, 100000);
    }
}

/* Send buffers of all connections together: ENOBUFS for those that would have had room of their own, until peers have read. */
static void net_inet_tcp_sendbytes_max(void **state)
{
    struct pair *p = *state;
    static char block[200000];
    int a[3], b[3], l = listen_b(p, 80, 5), size = 131072;
    uint64_t most = 65536, written = 0, read = 0;
    bool refused = false;
    sim_enter(p->b);
    assert_int_equal(leat_sysctlbyname("net.inet.tcp.sendbytes_max", NULL, NULL, &most, sizeof(most)), 0);
    for (int i = 0; i < 3; i++) {
        connect_pair(p, l, 80, &a[i], &b[i]);
        leat_setsockopt(b[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    }
    for (int turn = 0; turn < 200 && read < 3 * 100000; turn++) {
        for (int i = 0; i < 3; i++) {
            sim_enter(p->b);
            ssize_t n = written < 3 * 100000 ? leat_write(b[i], block, 3 * 100000 - written) : 0;
            if (n < 0) {
                assert_true(errno == ENOBUFS || errno == EAGAIN);
                refused |= errno == ENOBUFS;
            }
            written += n > 0 ? (uint64_t)n : 0;
            assert_in_range(count("net.inet.tcp.sendbytes"), 0, most + sizeof(block));
        }
        sim_run_for(p->sim, 5 * NS_PER_MS);
        for (int i = 0; i < 3; i++) {
            sim_enter(p->a);
            ssize_t n = leat_read(a[i], block, sizeof(block));
            read += n > 0 ? (uint64_t)n : 0;
        }
    }
    assert_true(refused);
    assert_int_equal(read, 3 * 100000);
}

static void leat_maxwatches(void **state)
{
    struct pair *p = *state;
    struct epoll_event ev = {.events = EPOLLIN};
    sim_enter(p->b);
    set("leat.maxwatches", 16);
    int ep = leat_epoll_create1(0), kq = leat_kqueue(), fd[18];
    for (int i = 0; i < 18; i++) {
        fd[i] = leat_socket(AF_INET, SOCK_STREAM, 0);
        struct leat_kevent change = {.ident = (uintptr_t)i, .filter = EVFILT_USER, .flags = EV_ADD};
        int e = leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd[i], &ev), e_errno = errno;
        int k = leat_kevent(kq, &change, 1, NULL, 0, NULL), k_errno = errno;
        assert_int_equal(e, i < 16 ? 0 : -1);
        assert_int_equal(k, i < 16 ? 0 : -1);
        if (i >= 16) {
            assert_int_equal(e_errno, ENOSPC);
            assert_int_equal(k_errno, ENOMEM);
        }
    }
    assert_int_equal(count("leat.nowatches.epoll"), 2);
    assert_int_equal(count("leat.nowatches.kqueue"), 2);
    leat_close(fd[0]); /* its watch goes with it */
    assert_int_equal(leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd[17], &ev), 0);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(kern_ipc_maxsockets), T(accept_without_sockets),     T(kern_ipc_somaxconn),
        T(kern_ipc_maxsockbuf), T(net_inet_tcp_sendbytes_max), T(leat_maxwatches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
