// SPDX-License-Identifier: BSD-3-Clause
// libssl is the other end, for every version and suite, in both directions: it has shaken hands over memory, b's stack gets the keys, and a's
// socket carries what libssl writes and reads. Records are compared with libssl's own, byte by byte, where nothing in them is random.
#include "sim/tls/records.h"
#include "unit/tls/keys.h"

struct bridge {
    struct pair *p;
    int fd_a, fd_b, listener;
    struct ends e;
    const struct suite_case *c;
};

static uint8_t text[60000], got[sizeof(text)];

static bool is_13(const struct bridge *x)
{
    return x->c->version == TLS1_3_VERSION;
}

static void set_keys(struct bridge *x, int option, const struct tls_enable *en)
{
    sim_enter(x->p->b);
    assert_int_equal(leat_setsockopt(x->fd_b, IPPROTO_TCP, option, en, sizeof(*en)), 0);
}

static struct bridge bridge_new(struct pair *p, const struct suite_case *c)
{
    struct bridge x = {.p = p, .c = c};
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
    set_sysctl(p->b, "kern.ipc.tls.enable", 1);
    set_sysctl(p->b, "leat.tls.sync_delay", 200);
    x.listener = listen_b(p, 443, 5);
    connect_pair(p, x.listener, 443, &x.fd_a, &x.fd_b);
    assert_true(ends_open(&x.e, c));
    set_keys(&x, TCP_RXTLS_ENABLE, &x.e.c2s.en);
    set_keys(&x, TCP_TXTLS_ENABLE, &x.e.s2c.en);
    return x;
}

/* What libssl's client has written goes to b, what b has sent to the client. */
static void carry(struct bridge *x)
{
    static uint8_t buf[100000];
    char *out;
    sim_enter(x->p->a);
    long n = BIO_get_mem_data(x->e.to_server, &out);
    ssize_t sent = n > 0 ? leat_send(x->fd_a, out, (size_t)n, 0) : 0;
    if (sent > 0)
        BIO_read(x->e.to_server, buf, (int)sent);
    sim_run_for(x->p->sim, 150 * NS_PER_MS); /* Nagle and a delayed ACK */
    sim_enter(x->p->a);
    while ((sent = leat_read(x->fd_a, buf, sizeof(buf))) > 0)
        assert_int_equal(BIO_write(x->e.to_client, buf, (int)sent), sent);
    sim_enter(x->p->b);
}

static void from_libssl(struct bridge *x, size_t len)
{
    size_t n = 0, first = len / 3;
    assert_int_equal(SSL_write(x->e.client, text, (int)first), (int)first);
    assert_int_equal(SSL_write(x->e.client, text + first, (int)(len - first)), (int)(len - first));
    while (n < len) {
        carry(x);
        ssize_t some = leat_read(x->fd_b, got + n, sizeof(got) - n);
        assert_true(some > 0 || (some < 0 && errno == EAGAIN));
        n += some > 0 ? (size_t)some : 0;
    }
    assert_int_equal(n, len);
    assert_memory_equal(got, text, len);
}

static void to_libssl(struct bridge *x, size_t len)
{
    size_t sent = 0, n = 0;
    while (n < len) {
        sim_enter(x->p->b);
        ssize_t some = sent < len ? leat_send(x->fd_b, text + sent, len - sent, 0) : 0;
        sent += some > 0 ? (size_t)some : 0;
        carry(x);
        int r;
        while ((r = SSL_read(x->e.client, got + n, (int)(sizeof(got) - n))) > 0)
            n += (size_t)r;
        assert_int_equal(SSL_get_error(x->e.client, r), SSL_ERROR_WANT_READ);
    }
    assert_int_equal(n, len);
    assert_memory_equal(got, text, len);
}

/* The record that b's stack makes of the next bytes, and the one that libssl's server makes of them. */
static void same_record(struct bridge *x, size_t len)
{
    static uint8_t ours[20000], theirs[20000];
    sim_enter(x->p->b);
    assert_int_equal(leat_send(x->fd_b, text, len, 0), len);
    sim_run_for(x->p->sim, 300 * NS_PER_MS); /* Nagle and a delayed ACK */
    sim_enter(x->p->a);
    ssize_t n = leat_read(x->fd_a, ours, sizeof(ours));
    assert_int_equal(SSL_write(x->e.server, text, (int)len), (int)len);
    assert_int_equal(BIO_read(x->e.to_client, theirs, sizeof(theirs)), n);
    if (is_13(x) || x->c->algorithm == CRYPTO_CHACHA20_POLY1305)
        assert_memory_equal(ours, theirs, n);
    BIO_write(x->e.to_client, ours, (int)n);
    assert_int_equal(SSL_read(x->e.client, got, sizeof(got)), len);
    assert_memory_equal(got, text, len);
}

static void bye(struct bridge *x)
{
    uint8_t type;
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u = {.h = {.cmsg_len = CMSG_LEN(1), .cmsg_level = IPPROTO_TCP, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t) "\1\0", 2};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    *CMSG_DATA(&u.h) = TLS_RLTYPE_ALERT;
    sim_enter(x->p->b);
    assert_int_equal(leat_sendmsg(x->fd_b, &msg, 0), 2);
    carry(x);
    assert_int_equal(SSL_read(x->e.client, got, 1), 0);
    assert_int_equal(SSL_get_error(x->e.client, 0), SSL_ERROR_ZERO_RETURN);
    SSL_shutdown(x->e.client);
    carry(x);
    assert_int_equal(leat_tls_recv(x->fd_b, got, 10, 0, &type), 2);
    assert_int_equal(type, TLS_RLTYPE_ALERT);
    assert_memory_equal(got, "\1\0", 2);
}

static void test_every_suite_both_ways(void **state)
{
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct pair *p = pair_new(1, NULL);
        struct bridge x = bridge_new(p, &suite_cases[i]);
        print_message("%s\n", x.c->name);
        if (x.c->version != TLS1_VERSION) { /* whose libssl has an empty record before each */
            same_record(&x, 1);
            same_record(&x, 500);
            same_record(&x, 16384);
        }
        from_libssl(&x, 50000);
        to_libssl(&x, 50000);
        from_libssl(&x, 3);
        to_libssl(&x, 1);
        bye(&x);
        ends_close(&x.e);
        pair_free(p);
    }
}

/* ---- RFC 8446 §4.6.3 with libssl ---- */

static void send_key_update(struct bridge *x)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u = {.h = {.cmsg_len = CMSG_LEN(1), .cmsg_level = IPPROTO_TCP, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t) "\x18\0\0\1\0", 5};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    *CMSG_DATA(&u.h) = TLS_RLTYPE_HANDSHAKE;
    sim_enter(x->p->b);
    assert_int_equal(leat_sendmsg(x->fd_b, &msg, 0), 5);
    next_secret(x->c, x->e.s2c_secret);
    direction_secret(&x->e.s2c, x->c, x->e.s2c_secret);
    set_keys(x, TCP_TXTLS_ENABLE, &x->e.s2c.en);
}

static void recv_key_update(struct bridge *x)
{
    uint8_t type;
    carry(x);
    assert_int_equal(leat_read(x->fd_b, got, 10), -1);
    assert_int_equal(errno, EIO);
    assert_int_equal(leat_tls_recv(x->fd_b, got, 10, 0, &type), 5);
    assert_int_equal(type, TLS_RLTYPE_HANDSHAKE);
    assert_int_equal(got[0], 24);
    next_secret(x->c, x->e.c2s_secret);
    direction_secret(&x->e.c2s, x->c, x->e.c2s_secret);
    set_keys(x, TCP_RXTLS_ENABLE, &x->e.c2s.en);
}

static void test_key_updates_with_libssl(void **state)
{
    for (unsigned i = 0; i < N_SUITES && suite_cases[i].version == TLS1_3_VERSION; i++) {
        struct pair *p = pair_new(1, NULL);
        struct bridge x = bridge_new(p, &suite_cases[i]);
        for (unsigned round = 0; round < 3; round++) {
            assert_int_equal(SSL_key_update(x.e.client, SSL_KEY_UPDATE_REQUESTED), 1);
            assert_int_equal(SSL_do_handshake(x.e.client), 1);
            recv_key_update(&x);
            from_libssl(&x, 5000);
            send_key_update(&x);
            to_libssl(&x, 5000);
        }
        bye(&x);
        ends_close(&x.e);
        pair_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_suite_both_ways),
        cmocka_unit_test(test_key_updates_with_libssl),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
