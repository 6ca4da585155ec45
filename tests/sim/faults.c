// SPDX-License-Identifier: BSD-3-Clause
// Every allocation fails once: the k-th of a whole conversation, for every k. Bytes come right or a call says why not, and nothing leaks.
//   faults [K]    one k alone, to look at
#include "sim/fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <leat/sysctl.h>
#include "base/alloc.h"

enum { COPIED = 30000, FROM_FILE = 70000, TOTAL = COPIED + FROM_FILE, REPLY = 3000 };

static uint8_t content[TOTAL];
static uint64_t at; /* the allocation that fails */

struct run {
    struct pair *p;
    int listener, server, client, server_ep, client_ep, file;
    size_t sent, got, replied, answered;
    bool connecting;
    const char *refused; /* the call that said no */
    int error;
};

/* What a call may say when memory is short; anything else is a bug. A server without memory for the connection that a handshake made says
 * so by RST (net.inet.tcp.syncache.rst_on_sock_fail). */
static bool honest(int error)
{
    return error == ECONNRESET || error == ENOMEM || error == ENOBUFS || error == EMFILE || error == ENFILE ||
           error == ENOSPC;
}

static long long check(struct run *r, const char *call, long long result)
{
    if (result >= 0 || errno == EAGAIN || errno == EINPROGRESS)
        return result;
    r->refused = call;
    r->error = errno;
    if (!honest(errno))
        fail_msg("allocation %llu: %s: %s", (unsigned long long)at, call, strerror(errno));
    return result;
}

static bool watch(struct run *r, int ep, int fd)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT, .data.fd = fd};
    return check(r, "epoll_ctl", leat_epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev)) == 0;
}

static bool begin(struct run *r)
{
    struct sockaddr_in in = addr_of_b(80);
    sim_enter(r->p->b);
    r->listener = (int)check(r, "socket", leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    r->server_ep = (int)check(r, "epoll_create", leat_epoll_create1(0));
    if (r->refused || check(r, "bind", leat_bind(r->listener, (struct sockaddr *)&in, sizeof(in))) < 0 ||
        check(r, "listen", leat_listen(r->listener, 5)) < 0 || !watch(r, r->server_ep, r->listener))
        return false;
    sim_enter(r->p->a);
    r->client = (int)check(r, "socket", leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    r->client_ep = (int)check(r, "epoll_create", leat_epoll_create1(0));
    if (r->refused)
        return false;
    check(r, "connect", leat_connect(r->client, (struct sockaddr *)&in, sizeof(in)));
    return !r->refused && watch(r, r->client_ep, r->client);
}

static void server_turn(struct run *r)
{
    uint8_t buf[4096];
    struct epoll_event ev[4];
    ssize_t n;
    off_t sbytes;
    sim_enter(r->p->b);
    check(r, "epoll_wait", leat_epoll_wait(r->server_ep, ev, 4, 0));
    if (r->server < 0) {
        r->server = (int)check(r, "accept", leat_accept4(r->listener, NULL, NULL, SOCK_NONBLOCK));
        if (r->server < 0 || !watch(r, r->server_ep, r->server))
            return;
    }
    if (r->sent < COPIED) {
        n = check(r, "send", leat_send(r->server, content + r->sent, COPIED - r->sent, MSG_NOSIGNAL));
        r->sent += n > 0 ? (size_t)n : 0;
    }
    if (r->sent >= COPIED && r->sent < TOTAL) {
        check(r, "sendfile",
              leat_sendfile(r->file, r->server, (off_t)r->sent, TOTAL - r->sent, NULL, &sbytes, 0));
        r->sent += (size_t)sbytes;
    }
    while ((n = check(r, "server recv", leat_recv(r->server, buf, sizeof(buf), 0))) > 0)
        r->answered += (size_t)n;
}

static void client_turn(struct run *r)
{
    static uint8_t buf[16384];
    struct epoll_event ev[4];
    ssize_t n;
    sim_enter(r->p->a);
    check(r, "epoll_wait", leat_epoll_wait(r->client_ep, ev, 4, 0));
    while ((n = leat_recv(r->client, buf, sizeof(buf), 0)) > 0) {
        assert_true(r->got + (size_t)n <= TOTAL);
        assert_memory_equal(buf, content + r->got, (size_t)n);
        r->got += (size_t)n;
    }
    if (n < 0)
        check(r, "client recv", n);
    if (r->got == TOTAL && r->replied < REPLY) {
        n = check(r, "client send", leat_send(r->client, content, REPLY - r->replied, MSG_NOSIGNAL));
        r->replied += n > 0 ? (size_t)n : 0;
    }
}

static void end(struct run *r)
{
    sim_enter(r->p->b);
    if (r->server >= 0)
        leat_close(r->server);
    if (r->listener >= 0)
        leat_close(r->listener);
    if (r->server_ep >= 0)
        leat_close(r->server_ep);
    sim_enter(r->p->a);
    if (r->client >= 0)
        leat_close(r->client);
    if (r->client_ep >= 0)
        leat_close(r->client_ep);
    sim_run_for(r->p->sim, NS_PER_SEC);
}

/* Returns the allocations passed. */
static uint64_t converse(int64_t k, int file)
{
    struct run r = {.p = pair_new(1, NULL),
                    .listener = -1,
                    .server = -1,
                    .client = -1,
                    .server_ep = -1,
                    .client_ep = -1,
                    .file = file};
    fault_seen = 0;
    fault_run = 1;
    fault_countdown = k;
    bool good = begin(&r);
    for (unsigned i = 0; good && !r.refused && r.answered < REPLY; i++) {
        if (i == 20000)
            fail_msg("allocation %llu: stalled: sent %zu got %zu answered %zu", (unsigned long long)at,
                     r.sent, r.got, r.answered);
        server_turn(&r);
        if (!r.refused)
            client_turn(&r);
        sim_run_for(r.p->sim, 5 * NS_PER_MS);
    }
    uint64_t seen = fault_seen;
    fault_countdown = -1;
    end(&r);
    pair_free(r.p);
    return seen;
}

static int make_file(void)
{
    char name[] = "/tmp/leat_faults.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    for (unsigned i = 0; i < TOTAL; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 24);
    assert_int_equal(write(fd, content, TOTAL), TOTAL);
    return fd;
}

static int64_t only;

static void every_allocation_of_a_conversation_fails_once(void **state)
{
    int file = make_file();
    uint64_t all = converse(-1, file);
    assert_true(all > 100);
    for (uint64_t k = 1; k <= all; k++) {
        if (only && k != (uint64_t)only)
            continue;
        at = k;
        converse((int64_t)k, file);
    }
    close(file);
}

static void every_allocation_of_a_new_host_fails_once(void **state)
{
    assert_int_equal(sim_eal_init(256), 0);
    for (int64_t k = 1;; k++) {
        struct sim *s = sim_create(1);
        fault_run = 1;
        fault_countdown = k;
        struct sim_node *n = sim_host(s, "a");
        bool reached = fault_countdown < 0;
        fault_countdown = -1;
        assert_int_equal(sim_destroy(s), 0);
        if (!reached) {
            assert_non_null(n);
            assert_true(k > 10);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    only = argc > 1 ? atoll(argv[1]) : 0;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_of_a_new_host_fails_once),
        cmocka_unit_test(every_allocation_of_a_conversation_fails_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
