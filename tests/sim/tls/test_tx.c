// SPDX-License-Identifier: BSD-3-Clause
// What applications write becomes records: boundaries, types, partial sends, sendfile, rekeying, ends, and a torture by seeds.
#include "sim/chance.h"
#include "sim/tls/records.h"
#include "socket/socket.h"
#include "tls/tls.h"
#include <fcntl.h>
#include <unistd.h>

/* ktls(4): a write is cut into records of 16384 bytes and a rest; none is joined with the next. */
static void test_a_write_is_cut_into_records(void **state)
{
    struct stream *s = stream_new(*state);
    assert_int_equal(enable_tx(s, key_one), 0);
    int size = 200000;
    assert_int_equal(leat_setsockopt(s->fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(stream_write(s, 40000, 0), 40000);
    assert_int_equal(stream_write(s, 10, 0), 10);
    assert_int_equal(stream_write(s, 0, 0), -1);
    assert_int_equal(errno, EINVAL);
    stream_drain(s);
    stream_check(s);
    assert_int_equal(s->records, 4);
    assert_int_equal(s->lens[0], 16384);
    assert_int_equal(s->lens[2], 7232);
    assert_int_equal(s->lens[3], 10);
    assert_int_equal(s->types[3], TLS_RLTYPE_APP);
    stream_free(s);
}

/* Event 51 of the black box: plaintext, record number, error, type; flex8 = 0: sent. */
static void test_the_black_box_tells_of_records(void **state)
{
    struct stream *s = stream_new(*state);
    struct tcp_log_buffer b[8];
    assert_int_equal(enable_tx(s, key_one), 0);
    sim_enter(s->p->b);
    record_events(s->fd_b);
    assert_int_equal(stream_write(s, 1000, 0), 1000);
    stream_drain(s);
    assert_int_equal(stream_write(s, 10, 0), 10);
    stream_drain(s);
    sim_enter(s->p->b);
    assert_int_equal(tls_events(s->fd_b, b, 8), 2);
    for (unsigned i = 0; i < 2; i++) {
        const struct tcp_log_bbr *x = &b[i].tlb_stackinfo.u_bbr;
        assert_int_equal(x->flex1, i == 0 ? 1000 : 10);
        assert_int_equal(x->flex2, i);
        assert_int_equal(x->flex3, 0);
        assert_int_equal(x->flex7, TLS_RLTYPE_APP);
        assert_int_equal(x->flex8, 0);
    }
    stream_free(s);
}

/* What was written before the keys came leaves as it is, then records: never mixed. */
static void test_data_before_enabling_leaves_in_plaintext_first(void **state)
{
    struct stream *s = stream_new(*state);
    sim_enter(s->p->b);
    assert_int_equal(leat_send(s->fd_b, "hello", 5, 0), 5);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(stream_write(s, 1000, 0), 1000);
    sim_run_for(s->p->sim, 100 * NS_PER_MS);
    assert_true(stream_take(s, 5) == 5);
    assert_memory_equal(s->wire, "hello", 5);
    s->wire_len = 0;
    stream_drain(s);
    stream_check(s);
    stream_free(s);
}

static void test_a_record_of_another_type(void **state)
{
    struct stream *s = stream_new(*state);
    assert_int_equal(stream_write_type(s, 2, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_ALERT, 1), -1);
    assert_int_equal(errno, EINVAL); /* no TLS yet */
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(stream_write(s, 100, 0), 100);
    assert_int_equal(stream_write_type(s, 2, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_ALERT, 1), 2);
    assert_int_equal(stream_write_type(s, 50, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE, 1), 50);
    assert_int_equal(stream_write_type(s, 2, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_ALERT, 2), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(stream_write_type(s, 2, IPPROTO_TCP, TLS_GET_RECORD, TLS_RLTYPE_ALERT, 1), -1);
    assert_int_equal(stream_write_type(s, 2, SOL_SOCKET, TLS_SET_RECORD_TYPE, TLS_RLTYPE_ALERT, 1), -1);
    stream_drain(s);
    stream_check(s);
    assert_int_equal(s->records, 3);
    assert_int_equal(s->types[1], TLS_RLTYPE_ALERT);
    assert_int_equal(s->types[2], TLS_RLTYPE_HANDSHAKE);
    stream_free(s);
}

/* A type of its own makes the send atomic: EMSGSIZE when it never fits, EAGAIN when it does not now. */
static void test_a_typed_send_is_all_or_nothing(void **state)
{
    struct stream *s = stream_new(*state);
    int size = 4096;
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(leat_setsockopt(s->fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(stream_write_type(s, 5000, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE, 1),
                     -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_true(stream_write(s, 2000, 0) > 0);
    assert_int_equal(stream_write_type(s, 3000, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE, 1),
                     -1);
    assert_int_equal(errno, EAGAIN);
    stream_drain(s);
    stream_check(s);
    stream_free(s);
}

static void test_msg_more_and_cork_make_one_record(void **state)
{
    struct stream *s = stream_new(*state);
    int on = 1, off = 0;
    assert_int_equal(enable_tx(s, key_one), 0);
    for (unsigned i = 0; i < 7; i++)
        assert_int_equal(stream_write(s, 100, MSG_MORE), 100);
    assert_int_equal(stream_write(s, 100, 0), 100);
    leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_CORK, &on, sizeof(on));
    assert_int_equal(stream_write(s, 10, 0), 10);
    assert_int_equal(stream_write(s, 20, 0), 20);
    for (unsigned i = 0; i < 2; i++) /* a record of a type is one, corked or not */
        assert_int_equal(stream_write_type(s, 5, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE, 1),
                         5);
    leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_CORK, &off, sizeof(off));
    assert_int_equal(stream_write(s, 30, MSG_MORE), 30);
    assert_int_equal(stream_write_type(s, 2, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_ALERT, 1), 2);
    assert_int_equal(stream_write(s, 40, MSG_MORE), 40);
    assert_int_equal(leat_shutdown(s->fd_b, SHUT_WR), 0);
    assert_int_equal(stream_drain(s), 0);
    stream_check(s);
    const uint32_t lens[] = {800, 30, 5, 5, 30, 2, 40};
    assert_int_equal(s->records, 7);
    assert_memory_equal(s->lens, lens, sizeof(lens));
    stream_free(s);
}

/* TLS 1.0's CBC: a write's first byte goes ahead (1/n-1 splitting), unless kern.ipc.tls.tls10_split is 0. */
static void test_tls10_writes_are_split(void **state)
{
    static const struct siphash_key none;
    static const uint8_t mac[20] = "a key of 20 bytes.";
    struct stream *s = stream_new(*state);
    struct tls_enable en = {.cipher_key = key_one,
                            .iv = key_two,
                            .auth_key = mac,
                            .cipher_algorithm = CRYPTO_AES_CBC,
                            .cipher_key_len = 16,
                            .iv_len = 16,
                            .auth_algorithm = CRYPTO_SHA1_HMAC,
                            .auth_key_len = sizeof(mac),
                            .tls_vmajor = 3,
                            .tls_vminor = TLS_MINOR_VER_ZERO};
    tls_session_put(s->keys, s->rx);
    assert_int_equal(tls_session_new(s->keys, &en, true, "openssl", &none, &s->rx), 0);
    sim_enter(s->p->b);
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en)), 0);
    assert_int_equal(stream_write(s, 20000, 0), 20000);
    stream_drain(s);
    assert_int_equal(stream_write(s, 1, 0), 1);
    assert_int_equal(stream_write(s, 0, 0), 0); /* the empty record of those who do it themselves */
    stream_drain(s);
    set_sysctl(s->p->b, "kern.ipc.tls.tls10_split", 0);
    assert_int_equal(stream_write(s, 10, 0), 10);
    stream_drain(s);
    stream_check(s);
    const uint32_t lens[] = {1, 16384, 3615, 1, 0, 10};
    assert_int_equal(s->records, 6);
    assert_memory_equal(s->lens, lens, sizeof(lens));
    stream_free(s);
}

static int file_of(const struct stream *s, size_t len)
{
    char name[] = "/tmp/leat_tls.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    assert_int_equal(write(fd, s->sent, len), len);
    return fd;
}

/* Headers, a file whose blocks come late, trailers, with a slow worker; the count is exact at every EAGAIN. */
static void test_sendfile_through_records(void **state)
{
    struct stream *s = stream_new(*state);
    enum { HEAD = 100, BODY = 1000000, TAIL = 50 };
    set_sysctl(s->p->b, "leat.filecache.sync_delay", 5000);
    set_sysctl(s->p->b, "leat.tls.sync_delay", 300);
    assert_int_equal(enable_tx(s, key_one), 0);
    int file = file_of(s, STREAM_MAX / 2);
    while (s->sent_len < HEAD + BODY + TAIL) {
        off_t n = 0, body = (off_t)s->sent_len < HEAD ? HEAD : (off_t)s->sent_len;
        struct iovec head = {s->sent + s->sent_len, s->sent_len < HEAD ? HEAD - s->sent_len : 0},
                     tail = {s->sent + HEAD + BODY, TAIL};
        struct leat_sf_hdtr hdtr = {&head, 1, &tail, 1};
        sim_enter(s->p->b);
        if (s->sent_len >= HEAD + BODY)
            stream_write(s, HEAD + BODY + TAIL - s->sent_len, 0);
        else if (leat_sendfile(file, s->fd_b, body, (size_t)(HEAD + BODY - body), &hdtr, &n, 0) < 0)
            assert_int_equal(errno, EAGAIN);
        s->sent_len += (size_t)n;
        sim_run_for(s->p->sim, NS_PER_MS);
        if (stream_take(s, SIZE_MAX) > 0)
            stream_open(s);
    }
    close(file);
    stream_drain(s);
    stream_check(s);
    stream_free(s);
}

static void header_and_file(struct stream *s, int file, uint32_t len)
{
    off_t n;
    assert_int_equal(stream_write(s, 100, MSG_MORE), 100);
    assert_int_equal(leat_sendfile(file, s->fd_b, (off_t)s->sent_len, len, NULL, &n, 0), 0);
    assert_int_equal(n, len);
    s->sent_len += len;
    sim_run_for(s->p->sim, NS_PER_MS);
    sim_enter(s->p->b);
}

/* What MSG_MORE began and a small file that is cached share a record; one that must be read, or is large, has its own. */
static void test_a_small_file_joins_its_header(void **state)
{
    struct stream *s = stream_new(*state);
    assert_int_equal(enable_tx(s, key_one), 0);
    int file = file_of(s, 20000);
    header_and_file(s, file, 500);
    header_and_file(s, file, 500);
    header_and_file(s, file, 5000);
    close(file);
    assert_int_equal(leat_shutdown(s->fd_b, SHUT_WR), 0);
    assert_int_equal(stream_drain(s), 0);
    stream_check(s);
    const uint32_t lens[] = {100, 500, 600, 100, 5000};
    assert_int_equal(s->records, 5);
    assert_memory_equal(s->lens, lens, sizeof(lens));
    stream_free(s);
}

/*
 * kern.ipc.tls.engine_bytes is taken by one connection, and the other's records wait: they go on when the last of the first's is done, though
 * nothing else happens then.
 */
static void test_a_starved_connection_goes_on(void **state)
{
    struct stream *s = stream_new(*state);
    struct tls_enable en = enable_of(key_one);
    int fd_a, fd_b;
    set_sysctl(s->p->b, "kern.ipc.tls.engine_bytes", 1000);
    set_sysctl(s->p->b, "kern.ipc.tls.inline_max", 0);
    set_sysctl(s->p->b, "leat.tls.sync_delay", 1000);
    connect_pair(s->p, s->listener, 443, &fd_a, &fd_b);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(leat_setsockopt(fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en)), 0);
    assert_int_equal(leat_send(fd_b, s->sent, 5000, 0), 5000);
    assert_int_equal(stream_write(s, 5000, 0), 5000);
    stream_drain(s);
    stream_check(s);
    stream_free(s);
}

/*
 * Users' worst trouble with TLS in a stack: a body that comes again from a full send buffer on, with valid MACs, because a partial send
 * was not exact. Keep-alive responses, each write going on where the last one said it stopped; writev(2) of header and body.
 */
static void test_no_body_is_replayed_after_a_full_send_buffer(void **state)
{
    struct stream *s = stream_new(*state);
    unsigned full = 0;
    int size = 65536;
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(leat_setsockopt(s->fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    while (s->sent_len < 1500000) {
        struct iovec iov[2] = {{s->sent + s->sent_len, 200}, {s->sent + s->sent_len + 200, 300000}};
        sim_enter(s->p->b);
        ssize_t n = leat_writev(s->fd_b, iov, 2);
        full += n < 300200;
        s->sent_len += n > 0 ? (size_t)n : 0;
        sim_run_for(s->p->sim, 3 * NS_PER_MS);
        if (stream_take(s, 16158) > 0)
            stream_open(s);
    }
    stream_drain(s);
    stream_check(s);
    assert_true(full > 20);
    stream_free(s);
}

static void test_a_file_that_shrinks_ends_the_connection(void **state)
{
    struct stream *s = stream_new(*state);
    off_t n;
    set_sysctl(s->p->b, "leat.filecache.sync_delay", 20000);
    assert_int_equal(enable_tx(s, key_one), 0);
    int file = file_of(s, 500000);
    sim_enter(s->p->b);
    leat_sendfile(file, s->fd_b, 0, 0, NULL, &n, 0);
    assert_true(n > 0);
    assert_int_equal(ftruncate(file, 100), 0);
    assert_int_equal(stream_drain(s), -1);
    assert_int_equal(errno, ECONNRESET);
    close(file);
    stream_free(s);
}

/* RFC 8446 §4.6.3: records after the second enabling are of the new key, those before of the old. */
static void test_new_keys_on_a_live_connection(void **state)
{
    struct stream *s = stream_new(*state);
    set_sysctl(s->p->b, "leat.tls.sync_delay", 2000);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(stream_write(s, 10000, 0), 10000);
    assert_int_equal(stream_write_type(s, 5, IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE, 1), 5);
    assert_int_equal(enable_tx(s, key_two), 0);
    size_t before = s->sent_len;
    assert_int_equal(stream_write(s, 10000, 0), 10000);
    while (s->plain_len < before) {
        sim_run_for(s->p->sim, NS_PER_MS);
        stream_take(s, s->records == 0 ? 10000 + 22 : 5 + 22);
        stream_open(s);
    }
    stream_rekey_rx(s, key_two);
    stream_drain(s);
    stream_check(s);
    assert_int_equal(counter(s->p->b, "kern.ipc.tls.stats.rekeys_tx"), 1);
    struct tls_enable other = enable_of(key_two);
    other.cipher_key_len = 16;
    sim_enter(s->p->b);
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &other, sizeof(other)), -1);
    assert_int_equal(errno, EALREADY);
    stream_free(s);
}

/* close(2) with records at the worker: all of them, then the FIN. */
static void test_closing_with_records_at_the_worker(void **state)
{
    struct stream *s = stream_new(*state);
    set_sysctl(s->p->b, "leat.tls.sync_delay", 20000);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_true(stream_write(s, 30000, 0) > 16384);
    assert_int_equal(leat_close(s->fd_b), 0);
    assert_int_equal(stream_drain(s), 0);
    stream_check(s);
    stream_free(s);
}

/* SO_LINGER 0, or the whole host gone: the pools' balances are checked by the fixture. */
static void test_resetting_with_records_at_the_worker(void **state)
{
    struct stream *s = stream_new(*state);
    struct linger l = {1, 0};
    set_sysctl(s->p->b, "leat.tls.sync_delay", 20000);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_true(stream_write(s, 30000, 0) > 16384);
    leat_setsockopt(s->fd_b, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    assert_int_equal(leat_close(s->fd_b), 0);
    assert_int_equal(stream_drain(s), -1);
    assert_int_equal(errno, ECONNRESET);
    connect_pair(s->p, s->listener, 443, &s->fd_a, &s->fd_b);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_true(leat_send(s->fd_b, s->sent, 30000, 0) > 0);
    stream_free(s);
}

static void test_workers_that_are_threads(void **state)
{
    struct stream *s = stream_new(*state);
    sim_enter(s->p->b);
    assert_int_equal(leat_sysctlbyname("leat.tls.worker", NULL, NULL, "thread", 7), 0);
    set_sysctl(s->p->b, "kern.ipc.tls.threads", 2);
    set_sysctl(s->p->b, "kern.ipc.tls.inline_max", 100);
    assert_int_equal(enable_tx(s, key_one), 0);
    for (unsigned i = 0; s->sent_len < 1000000; i++) {
        stream_write(s, 1 + (i * 7919) % 20000, 0);
        sim_run_for(s->p->sim, 200 * NS_PER_US);
        usleep(50);
        if (stream_take(s, SIZE_MAX) > 0)
            stream_open(s);
    }
    for (unsigned i = 0; i < 200 && s->plain_len < s->sent_len; i++) {
        usleep(1000);
        stream_drain(s);
    }
    stream_check(s);
    stream_free(s);
}

static void reset_end(struct sim_node *n, int fd)
{
    struct linger l = {1, 0};
    sim_enter(n);
    leat_setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    leat_close(fd);
}

/* One connection, written to, ended by either end in one of four ways while threads have its records, or not yet, or no more. */
static void one_end(struct stream *s, struct rng *r, int file)
{
    off_t n;
    connect_pair(s->p, s->listener, 443, &s->fd_a, &s->fd_b);
    assert_int_equal(enable_tx(s, key_one), 0);
    for (unsigned i = 0; i < 1 + rng_below(r, 4); i++) {
        sim_enter(s->p->b);
        if (rng_below(r, 2))
            leat_sendfile(file, s->fd_b, rng_below(r, 1000), 1 + rng_below(r, 100000), NULL, &n, 0);
        else
            leat_send(s->fd_b, s->sent, 1 + rng_below(r, 60000), 0);
        sim_run_for(s->p->sim, rng_below(r, 3) * 500 * NS_PER_US);
    }
    if (rng_below(r, 2))
        usleep(rng_below(r, 300));
    if (rng_below(r, 2))
        reset_end(s->p->a, s->fd_a);
    else if (rng_below(r, 2))
        reset_end(s->p->b, s->fd_b);
    sim_run_for(s->p->sim, rng_below(r, 3) * NS_PER_MS);
    sim_enter(s->p->b);
    leat_close(s->fd_b);
    sim_enter(s->p->a);
    leat_close(s->fd_a);
}

/* Pools and memory are checked by the fixture and ASan: the last ones are still at the workers when the host goes. */
static void test_any_end_while_threads_have_records(void **state)
{
    struct stream *s = stream_new(*state);
    struct rng r;
    rng_seed(&r, 7);
    sim_enter(s->p->b);
    assert_int_equal(leat_sysctlbyname("leat.tls.worker", NULL, NULL, "thread", 7), 0);
    set_sysctl(s->p->b, "kern.ipc.tls.threads", 2);
    set_sysctl(s->p->b, "kern.ipc.tls.queue", 8);
    set_sysctl(s->p->b, "kern.ipc.tls.inline_max", 0);
    set_sysctl(s->p->b, "leat.filecache.sync_delay", 700);
    int file = file_of(s, 200000);
    for (unsigned i = 0; i < 150; i++)
        one_end(s, &r, file);
    close(file);
    stream_free(s);
}

static void refused(struct stream *s, const struct tls_enable *en, socklen_t len, int err)
{
    sim_enter(s->p->b);
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, en, len), -1);
    assert_int_equal(errno, err);
}

static void test_what_is_refused(void **state)
{
    struct stream *s = stream_new(*state);
    struct tls_enable en = enable_of(key_one), bad = en;
    int mode = 7;
    socklen_t len = sizeof(mode);
    refused(s, &en, 55, EINVAL);
    refused(s, &en, 57, EINVAL);
    bad.tls_vmajor = 2;
    refused(s, &bad, sizeof(bad), EINVAL);
    bad = en;
    bad.cipher_key_len = 24;
    refused(s, &bad, sizeof(bad), EOPNOTSUPP);
    assert_int_equal(leat_setsockopt(s->listener, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en)), -1);
    assert_int_equal(errno, EINVAL);
    set_sysctl(s->p->b, "kern.ipc.tls.enable", 0);
    refused(s, &en, sizeof(en), EOPNOTSUPP);
    set_sysctl(s->p->b, "kern.ipc.tls.enable", 1);
    assert_int_equal(leat_getsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, TCP_TLS_MODE_NONE);
    mode = TCP_TLS_MODE_SW;
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, len), 0);
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, 56),
                     0); /* FreeBSD's first structure */
    assert_int_equal(leat_getsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, TCP_TLS_MODE_SW);
    mode = TCP_TLS_MODE_IFNET;
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, len), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    assert_int_equal(counter(s->p->b, "kern.ipc.tls.stats.switch_failed"), 1);
    mode = TCP_TLS_MODE_TOE;
    assert_int_equal(leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, len), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_getsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &mode, &len), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    assert_int_equal(leat_zc_send(s->fd_b, s->sent, 10, 0, NULL, NULL), -1);
    assert_int_equal(errno, EOPNOTSUPP); /* never plaintext */
    assert_int_equal(leat_send(s->fd_b, "x", 1, MSG_OOB), -1);
    stream_free(s);
}

/* ---- torture: any order of calls, a send buffer of 4 KiB, a slow reader, loss, a slow worker ---- */

static void random_turn(struct stream *s, struct rng *r, int file)
{
    off_t n = 0;
    switch (rng_below(r, 8)) {
    case 0:
        stream_write_type(s, 1 + rng_below(r, 3000), IPPROTO_TCP, TLS_SET_RECORD_TYPE, TLS_RLTYPE_HANDSHAKE,
                          1);
        break;
    case 1:
    case 2:
        sim_enter(s->p->b);
        leat_sendfile(file, s->fd_b, (off_t)s->sent_len, 1 + rng_below(r, 60000), NULL, &n, 0);
        s->sent_len += (size_t)n;
        break;
    case 3:
        stream_write(s, 1 + rng_below(r, 300), MSG_MORE);
        break;
    default:
        stream_write(s, 1 + rng_below(r, rng_below(r, 2) ? 40000 : 500), rng_below(r, 4) ? 0 : MSG_MORE);
    }
}

/* ---- records that wait until they are about to leave ---- */

/* A long file into a window that is closed before all of it has left, with nobody but the engine to seal. */
static int file_into_a_window(struct stream *s, size_t len)
{
    int size = (int)len + 100000, file = file_of(s, len);
    off_t n = 0;
    set_sysctl(s->p->b, "kern.ipc.tls.threads", 0);
    assert_int_equal(enable_tx(s, key_one), 0);
    assert_int_equal(leat_setsockopt(s->fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)), 0);
    assert_int_equal(leat_sendfile(file, s->fd_b, 0, len, NULL, &n, 0), 0);
    assert_int_equal(n, len);
    s->sent_len += len;
    sim_run_for(s->p->sim, 3 * NS_PER_SEC);
    return file;
}

static void test_a_record_is_sealed_when_it_is_about_to_leave(void **state)
{
    struct stream *s = stream_new(*state);
    int file = file_into_a_window(s, 600000);
    uint64_t framed = counter(s->p->b, "kern.ipc.tls.stats.tx_records"),
             sealed = counter(s->p->b, "kern.ipc.tls.stats.tx_inline");
    assert_true(framed >= 600000 / 16384);
    assert_true(sealed * 16384 < 200000); /* the window, and one */
    assert_true(stream_write(s, 1000, 0) == 1000);
    leat_shutdown(s->fd_b, SHUT_WR); /* what waits is sent before the FIN */
    assert_int_equal(stream_drain(s), 0);
    stream_check(s);
    assert_int_equal(counter(s->p->b, "kern.ipc.tls.stats.tx_inline"), framed + 1);
    close(file);
    stream_free(s);
}

static void seal_nothing(struct tls_op **ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ops[i]->result = -EIO;
}

/* Found out in the middle of TCP's output, where a connection cannot end. */
static void test_a_cipher_that_fails_late_ends_the_connection(void **state)
{
    struct stream *s = stream_new(*state);
    int err, file = file_into_a_window(s, 600000);
    struct tls_session *session = fd_socket(sim_engine(s->p->b)->so, s->fd_b, &err)->tls_tx->s;
    static struct tls_backend broken; /* the session ends with it */
    broken = *session->backend;
    broken.seal = seal_nothing;
    session->backend = &broken;
    assert_int_equal(stream_drain(s), -1);
    assert_int_equal(errno, ECONNRESET);
    assert_true(s->plain_len < 600000);
    assert_memory_equal(s->plain, s->sent, s->plain_len);
    assert_true(counter(s->p->b, "kern.ipc.tls.stats.failed_crypto") > 0);
    assert_int_equal(stream_write(s, 10, 0), -1);
    assert_int_equal(errno, EIO);
    close(file);
    stream_free(s);
}

/* user-issues: a body replayed after a full send buffer is a partial send that was not exact. */
static void one_seed(uint64_t seed)
{
    struct rng r;
    struct sim_port_options port;
    rng_seed(&r, seed);
    port_by_chance(&r, &port);
    struct pair *p = pair_new(seed, &port);
    struct stream *s = stream_new(p);
    int size = 4096;
    sim_wire(p->link, p->a)->loss = sim_wire(p->link, p->b)->loss = rng_below(&r, 3) ? 0 : 0.02;
    set_sysctl(p->b, "leat.tls.sync_delay", rng_below(&r, 3) * 400);
    set_sysctl(p->b, "leat.filecache.sync_delay", rng_below(&r, 3) * 1000);
    set_sysctl(p->b, "kern.ipc.tls.inline_max", rng_below(&r, 2) * 1000);
    set_sysctl(p->b, "kern.ipc.tls.threads", rng_below(&r, 2));
    set_sysctl(p->b, "kern.ipc.tls.adaptive", rng_below(&r, 2));
    sim_enter(p->b);
    if (rng_below(&r, 2))
        leat_setsockopt(s->fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    assert_int_equal(enable_tx(s, key_one), 0);
    int file = file_of(s, STREAM_MAX);
    for (unsigned i = 0; i < 300 && s->sent_len < STREAM_MAX - 100000; i++) {
        random_turn(s, &r, file);
        sim_run_for(p->sim, rng_below(&r, 5) * NS_PER_MS);
        if (stream_take(s, 1 + rng_below(&r, 30000)) > 0)
            stream_open(s);
    }
    close(file);
    sim_enter(p->b);
    leat_shutdown(s->fd_b, SHUT_WR);
    assert_int_equal(stream_drain(s), 0);
    stream_check(s);
    stream_free(s);
    pair_free(p);
}

static void test_torture_by_seeds(void **state)
{
    const char *n = getenv("LEAT_SEEDS");
    for (uint64_t seed = 1; seed <= (n ? strtoul(n, NULL, 0) : 40); seed++)
        one_seed(seed);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_write_is_cut_into_records),
        TEST(test_the_black_box_tells_of_records),
        TEST(test_data_before_enabling_leaves_in_plaintext_first),
        TEST(test_a_record_of_another_type),
        TEST(test_a_typed_send_is_all_or_nothing),
        TEST(test_msg_more_and_cork_make_one_record),
        TEST(test_tls10_writes_are_split),
        TEST(test_sendfile_through_records),
        TEST(test_a_small_file_joins_its_header),
        TEST(test_a_starved_connection_goes_on),
        TEST(test_no_body_is_replayed_after_a_full_send_buffer),
        TEST(test_a_file_that_shrinks_ends_the_connection),
        TEST(test_new_keys_on_a_live_connection),
        TEST(test_closing_with_records_at_the_worker),
        TEST(test_resetting_with_records_at_the_worker),
        TEST(test_workers_that_are_threads),
        TEST(test_any_end_while_threads_have_records),
        TEST(test_a_record_is_sealed_when_it_is_about_to_leave),
        TEST(test_a_cipher_that_fails_late_ends_the_connection),
        TEST(test_what_is_refused),
        cmocka_unit_test(test_torture_by_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
