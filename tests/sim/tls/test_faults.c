// SPDX-License-Identifier: BSD-3-Clause
// Every allocation of a conversation over TLS fails once: the k-th, for every k. Bytes come right, or a call says why not, and nothing
// leaks. Both ends enable both directions, change keys, and put ciphertext back.
//   test_faults [K]    one k alone, to look at
#include "sim/tls/records.h"
#include <unistd.h>
#include "base/alloc.h"

enum { TEXT = 60000 };

static uint8_t text[TEXT];
static uint64_t at; /* the allocation that fails */

struct run {
    struct pair *p;
    int fd_a, fd_b, listener, file;
    size_t sent, got;
    bool refused; /* a call said no, for want of memory */
};

static bool ok(struct run *r, const char *call, int64_t result)
{
    if (result >= 0)
        return true;
    if (errno == EAGAIN)
        return false;
    r->refused = true;
    if (errno != ENOMEM && errno != ENOBUFS && errno != EOPNOTSUPP)
        fail_msg("allocation %llu: %s: %s", (unsigned long long)at, call, strerror(errno));
    return false;
}

static bool enable(struct run *r, int option, const uint8_t *key)
{
    struct tls_enable en = enable_of(key);
    bool tx = option == TCP_TXTLS_ENABLE;
    sim_enter(tx ? r->p->b : r->p->a);
    return ok(r, "setsockopt", leat_setsockopt(tx ? r->fd_b : r->fd_a, IPPROTO_TCP, option, &en, sizeof(en)));
}

static void send_some(struct run *r, size_t end)
{
    off_t n = 0;
    sim_enter(r->p->b);
    if (r->sent < end / 2)
        n = leat_send(r->fd_b, text + r->sent, end / 2 - r->sent, MSG_NOSIGNAL);
    else if (leat_sendfile(r->file, r->fd_b, (off_t)r->sent, end - r->sent, NULL, &n, 0) < 0)
        ok(r, "sendfile", -1);
    if (n < 0)
        ok(r, "send", -1);
    r->sent += n > 0 ? (size_t)n : 0;
}

static void recv_some(struct run *r)
{
    static uint8_t buf[5000];
    sim_enter(r->p->a);
    ssize_t n = leat_recv(r->fd_a, buf, sizeof(buf), 0);
    if (!ok(r, "recv", n))
        return;
    assert_memory_equal(buf, text + r->got, (size_t)n);
    r->got += (size_t)n;
}

static void transfer(struct run *r, size_t end)
{
    for (unsigned i = 0; r->got < end && !r->refused; i++) {
        if (i == 20000)
            fail_msg("allocation %llu: stalled at %zu of %zu", (unsigned long long)at, r->got, r->sent);
        if (r->sent < end)
            send_some(r, end);
        recv_some(r);
        sim_run_for(r->p->sim, 2 * NS_PER_MS);
    }
}

/* The receiver reads too far before it has a key. */
static void begin(struct run *r)
{
    static uint8_t ahead[3000];
    struct tls_enable en = enable_of(key_one);
    if (!enable(r, TCP_TXTLS_ENABLE, key_one))
        return;
    while (r->sent < 5000 && !r->refused)
        send_some(r, TEXT / 2);
    sim_run_for(r->p->sim, NS_PER_SEC);
    sim_enter(r->p->a);
    ssize_t n = leat_recv(r->fd_a, ahead, sizeof(ahead), 0);
    if (!r->refused && ok(r, "recv", n))
        ok(r, "enable", leat_tls_enable_rx(r->fd_a, &en, ahead, (size_t)n));
}

static void change_key(struct run *r)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u = {.h = {.cmsg_len = CMSG_LEN(1), .cmsg_level = IPPROTO_TCP, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t) "\x18\0\0\1\0", 5};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    uint8_t buf[10], type;
    *CMSG_DATA(&u.h) = TLS_RLTYPE_HANDSHAKE;
    sim_enter(r->p->b);
    if (!ok(r, "sendmsg", leat_sendmsg(r->fd_b, &msg, 0)) || !enable(r, TCP_TXTLS_ENABLE, key_two))
        return;
    sim_run_for(r->p->sim, 2 * NS_PER_SEC);
    sim_enter(r->p->a);
    if (ok(r, "tls_recv", leat_tls_recv(r->fd_a, buf, sizeof(buf), 0, &type)))
        enable(r, TCP_RXTLS_ENABLE, key_two);
}

static uint64_t converse(int64_t k, int file)
{
    struct run r = {.p = pair_new(1, NULL), .file = file};
    set_sysctl(r.p->a, "kern.ipc.tls.enable", 1);
    set_sysctl(r.p->b, "kern.ipc.tls.enable", 1);
    set_sysctl(r.p->a, "leat.tls.sync_delay", 500);
    r.listener = listen_b(r.p, 443, 5);
    connect_pair(r.p, r.listener, 443, &r.fd_a, &r.fd_b);
    fault_seen = 0;
    fault_run = 1;
    fault_countdown = k;
    begin(&r);
    if (!r.refused)
        transfer(&r, TEXT / 2);
    if (!r.refused)
        change_key(&r);
    if (!r.refused)
        transfer(&r, TEXT);
    uint64_t seen = fault_seen;
    fault_countdown = -1;
    pair_free(r.p);
    return seen;
}

static int64_t only;

static void every_allocation_fails_once(void **state)
{
    char name[] = "/tmp/leat_faults.XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    for (unsigned i = 0; i < TEXT; i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
    assert_int_equal(write(file, text, TEXT), TEXT);
    uint64_t all = converse(-1, file);
    assert_true(all > 50);
    for (uint64_t k = only ? (uint64_t)only : 1; k <= (only ? (uint64_t)only : all); k++) {
        at = k;
        converse((int64_t)k, file);
    }
    close(file);
}

int main(int argc, char **argv)
{
    only = argc > 1 ? atoll(argv[1]) : 0;
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_allocation_fails_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
