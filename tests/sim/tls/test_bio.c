// SPDX-License-Identifier: BSD-3-Clause
// Unmodified libssl on Leat's sockets: b is a server whose records the stack makes and opens (SSL_OP_ENABLE_KTLS), a a client whose
// libssl does so itself. Both sit on leat_bio_new().
#include "sim/tls/records.h"
#include <leat/ssl.h>
#include <openssl/err.h>
#include <unistd.h>
#include "unit/tls/keys.h"

struct talk {
    struct pair *p;
    int fd_a, fd_b, listener;
    SSL_CTX *ctx_client, *ctx_server;
    SSL *client, *server;
};

static SSL *ssl_new(SSL_CTX *ctx, int fd)
{
    SSL *ssl = SSL_new(ctx);
    BIO *bio = leat_bio_new(fd);
    assert_non_null(bio);
    SSL_set_bio(ssl, bio, bio);
    return ssl;
}

static void step(struct talk *t, SSL *ssl)
{
    sim_enter(ssl == t->client ? t->p->a : t->p->b);
    ERR_clear_error();
}

static bool shake(struct talk *t)
{
    for (unsigned i = 0; i < 100; i++) {
        step(t, t->client);
        int a = SSL_do_handshake(t->client);
        step(t, t->server);
        int b = SSL_do_handshake(t->server);
        if (a == 1 && b == 1)
            return true;
        sim_run_for(t->p->sim, 5 * NS_PER_MS);
    }
    return false;
}

static struct talk talk_start(struct pair *p, const struct suite_case *c, bool client_too)
{
    struct talk t = {.p = p, .ctx_client = ctx_new(c, false), .ctx_server = ctx_new(c, true)};
    set_sysctl(p->b, "kern.ipc.tls.enable", 1);
    set_sysctl(p->a, "kern.ipc.tls.enable", 1);
    SSL_CTX_set_options(t.ctx_server, SSL_OP_ENABLE_KTLS);
    if (client_too)
        SSL_CTX_set_options(t.ctx_client, SSL_OP_ENABLE_KTLS);
    t.listener = listen_b(p, 443, 5);
    connect_pair(p, t.listener, 443, &t.fd_a, &t.fd_b);
    t.client = ssl_new(t.ctx_client, t.fd_a);
    t.server = ssl_new(t.ctx_server, t.fd_b);
    SSL_set_connect_state(t.client);
    SSL_set_accept_state(t.server);
    return t;
}

static struct talk talk_new(struct pair *p, const struct suite_case *c, bool client_too)
{
    struct talk t = talk_start(p, c, client_too);
    assert_true(shake(&t));
    return t;
}

static void talk_free(struct talk *t)
{
    SSL_free(t->client);
    SSL_free(t->server);
    SSL_CTX_free(t->ctx_client);
    SSL_CTX_free(t->ctx_server);
}

static uint8_t text[300000], got[300000];
static unsigned lines_seen; /* of the key log */

static void fill(void)
{
    for (size_t i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
}

/* All of the text from one end to the other, with every EAGAIN on the way. */
static void carry(struct talk *t, SSL *from, SSL *to)
{
    size_t sent = 0, n = 0;
    SSL_set_mode(from, SSL_MODE_ENABLE_PARTIAL_WRITE);
    memset(got, 0, sizeof(got));
    while (n < sizeof(text)) {
        step(t, from);
        if (sent < sizeof(text)) {
            size_t some = sizeof(text) - sent < 50000 ? sizeof(text) - sent : 50000;
            int w = SSL_write(from, text + sent, (int)some);
            if (w > 0)
                sent += (size_t)w;
            else
                assert_int_equal(SSL_get_error(from, w), SSL_ERROR_WANT_WRITE);
        }
        sim_run_for(t->p->sim, NS_PER_MS);
        step(t, to);
        int r = SSL_read(to, got + n, (int)(sizeof(got) - n));
        if (r > 0)
            n += (size_t)r;
        else
            assert_int_equal(SSL_get_error(to, r), SSL_ERROR_WANT_READ);
    }
    assert_memory_equal(got, text, sizeof(text));
}

/* What libssl 3.0 hands over: GCM and ChaCha20, in TLS 1.3 for sending only. The rest stays with libssl, and works. */
static void expected_modes(struct talk *t, const struct suite_case *c)
{
    bool send = BIO_get_ktls_send(SSL_get_wbio(t->server)), recv = BIO_get_ktls_recv(SSL_get_rbio(t->server));
    bool named = c->algorithm == CRYPTO_AES_NIST_GCM_16 || c->algorithm == CRYPTO_CHACHA20_POLY1305;
    int mode;
    socklen_t len = sizeof(mode);
    print_message("%s: send %s, receive %s\n", c->name, send ? "stack" : "libssl", recv ? "stack" : "libssl");
    sim_enter(t->p->b);
    assert_int_equal(leat_getsockopt(t->fd_b, IPPROTO_TCP, TCP_TXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, send ? TCP_TLS_MODE_SW : TCP_TLS_MODE_NONE);
    assert_int_equal(leat_getsockopt(t->fd_b, IPPROTO_TCP, TCP_RXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, recv ? TCP_TLS_MODE_SW : TCP_TLS_MODE_NONE);
    if (c->algorithm != CRYPTO_AES_CCM_16) /* libssl has it for some versions of the kernel only */
        assert_int_equal(send, named);
    if (c->algorithm != CRYPTO_AES_CCM_16 && c->version == TLS1_2_VERSION)
        assert_int_equal(recv, named);
}

static void close_notify(struct talk *t)
{
    step(t, t->server);
    assert_true(SSL_shutdown(t->server) >= 0);
    sim_run_for(t->p->sim, 50 * NS_PER_MS);
    step(t, t->client);
    assert_int_equal(SSL_read(t->client, got, 1), 0);
    assert_int_equal(SSL_get_error(t->client, 0), SSL_ERROR_ZERO_RETURN);
    assert_true(SSL_shutdown(t->client) >= 0);
    sim_run_for(t->p->sim, 50 * NS_PER_MS);
    step(t, t->server);
    assert_int_equal(SSL_shutdown(t->server), 1); /* the client's came through the stack's record layer */
}

static void test_every_suite(void **state)
{
    fill();
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct pair *p = pair_new(1, NULL);
        struct talk t = talk_new(p, &suite_cases[i], i % 2);
        expected_modes(&t, &suite_cases[i]);
        carry(&t, t.server, t.client);
        carry(&t, t.client, t.server);
        close_notify(&t);
        talk_free(&t);
        pair_free(p);
    }
}

static int file_of_text(void)
{
    char name[] = "/tmp/leat_bio.XXXXXX";
    int file = mkstemp(name);
    unlink(name);
    fill();
    assert_int_equal(write(file, text, sizeof(text)), sizeof(text));
    return file;
}

static void test_ssl_sendfile(void **state)
{
    struct talk t = talk_new(*state, &suite_cases[0], false);
    int file = file_of_text();
    size_t sent = 0, n = 0;
    while (n < sizeof(text)) {
        step(&t, t.server);
        if (sent < sizeof(text)) {
            ossl_ssize_t some = SSL_sendfile(t.server, file, (off_t)sent, sizeof(text) - sent, 0);
            if (some > 0)
                sent += (size_t)some;
            else
                assert_int_equal(SSL_get_error(t.server, (int)some), SSL_ERROR_WANT_WRITE);
        }
        sim_run_for(t.p->sim, NS_PER_MS);
        step(&t, t.client);
        int r = SSL_read(t.client, got + n, (int)(sizeof(got) - n));
        n += r > 0 ? (size_t)r : 0;
    }
    assert_memory_equal(got, text, sizeof(text));
    close(file);
    talk_free(&t);
}

/* Descriptors of the kernel's still go to the C library. */
static void test_sendfile_of_the_kernel(void **state)
{
    ssize_t sendfile(int out, int in, off_t *off, size_t n);
    char name[] = "/tmp/leat_bio.XXXXXX", buf[8] = {0};
    int file = mkstemp(name), pipes[2];
    off_t off = 1;
    unlink(name);
    assert_int_equal(write(file, "abcdef", 6), 6);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sendfile(pipes[1], file, &off, 4), 4);
    assert_int_equal(off, 5);
    assert_int_equal(read(pipes[0], buf, sizeof(buf)), 4);
    assert_string_equal(buf, "bcde");
    close(file);
    close(pipes[0]);
    close(pipes[1]);
}

/* kern.ipc.tls.enable off: libssl does all, and nobody notices. */
static void test_without_permission_libssl_goes_on(void **state)
{
    struct talk t = {.p = *state,
                     .ctx_client = ctx_new(&suite_cases[4], false),
                     .ctx_server = ctx_new(&suite_cases[4], true)};
    SSL_CTX_set_options(t.ctx_server, SSL_OP_ENABLE_KTLS);
    t.listener = listen_b(t.p, 443, 5);
    connect_pair(t.p, t.listener, 443, &t.fd_a, &t.fd_b);
    t.client = ssl_new(t.ctx_client, t.fd_a);
    t.server = ssl_new(t.ctx_server, t.fd_b);
    SSL_set_connect_state(t.client);
    SSL_set_accept_state(t.server);
    assert_true(shake(&t));
    assert_false(BIO_get_ktls_send(SSL_get_wbio(t.server)));
    fill();
    carry(&t, t.server, t.client);
    talk_free(&t);
}

/* The stack's error for a bad record becomes libssl's, with its alert. */
static void test_a_tampered_record_is_an_ssl_error(void **state)
{
    struct talk t = talk_new(*state, &suite_cases[4], false);
    assert_true(BIO_get_ktls_recv(SSL_get_rbio(t.server)));
    static const uint8_t record[40] = {23, 3, 3, 0, 35, 1, 2, 3};
    sim_enter(t.p->a);
    assert_int_equal(leat_send(t.fd_a, record, sizeof(record), 0), sizeof(record));
    sim_run_for(t.p->sim, 50 * NS_PER_MS);
    step(&t, t.server);
    int r = SSL_read(t.server, got, sizeof(got));
    assert_int_equal(r, -1);
    assert_int_equal(SSL_get_error(t.server, r), SSL_ERROR_SSL);
    sim_run_for(t.p->sim, 50 * NS_PER_MS);
    step(&t, t.client);
    r = SSL_read(t.client, got, sizeof(got));
    assert_true(r <= 0);
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_SSLV3_ALERT_BAD_RECORD_MAC);
    talk_free(&t);
}

static void on_line(const SSL *ssl, const char *line)
{
    lines_seen++;
}

/* Both sides change keys, at libssl's own wish and at the peer's; several times. */
static void test_key_updates(void **state)
{
    for (unsigned i = 0; i < 3; i++) {
        struct pair *p = pair_new(1, NULL);
        struct talk t = talk_start(p, &suite_cases[i], false);
        lines_seen = 0;
        SSL_CTX_set_keylog_callback(t.ctx_server, on_line);
        assert_int_equal(leat_ssl_key_updates(t.ctx_server), 1);
        assert_int_equal(leat_ssl_key_updates(t.ctx_server), 1);
        assert_true(shake(&t));
        assert_true(lines_seen > 0); /* who listened before still hears */
        assert_true(BIO_get_ktls_send(SSL_get_wbio(t.server)));
        fill();
        for (unsigned round = 0; round < 3; round++) {
            SSL *who = round % 2 ? t.server : t.client;
            step(&t, who);
            assert_int_equal(SSL_key_update(who, SSL_KEY_UPDATE_REQUESTED), 1);
            carry(&t, who, who == t.client ? t.server : t.client);
            carry(&t, t.server, t.client);
            carry(&t, t.client, t.server);
        }
        assert_true(counter(p->b, "kern.ipc.tls.stats.rekeys_tx") >= 2);
        close_notify(&t);
        talk_free(&t);
        pair_free(p);
    }
}

/* Nothing is sent that the peer could not open. */
static void test_a_key_update_without_a_next_key_is_refused(void **state)
{
    struct talk t = talk_new(*state, &suite_cases[0], false);
    step(&t, t.server);
    assert_int_equal(SSL_key_update(t.server, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    errno = 0;
    int r = SSL_do_handshake(t.server);
    assert_int_equal(r, -1);
    assert_int_equal(errno, EOPNOTSUPP);
    assert_int_equal(SSL_get_error(t.server, r), SSL_ERROR_SYSCALL);
    sim_run_for(t.p->sim, 50 * NS_PER_MS);
    step(&t, t.client);
    r = SSL_read(t.client, got, 1);
    assert_int_equal(SSL_get_error(t.client, r), SSL_ERROR_WANT_READ);
    talk_free(&t);
}

/*
 * A body that came again from a full send buffer on: users' worst trouble with TLS in a stack, a partial send that was not exact
 * (lighttpd with OpenSSL over FreeBSD's). Responses on one connection, a small send buffer, a reader that is slow; by SSL_write() and by
 * SSL_sendfile().
 */
static void no_replay(struct pair *p, bool files)
{
    struct talk t = talk_new(p, &suite_cases[0], false);
    int size = 65536, file = file_of_text();
    sim_enter(p->b);
    leat_setsockopt(t.fd_b, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    SSL_set_mode(t.server, SSL_MODE_ENABLE_PARTIAL_WRITE);
    unsigned full = 0;
    for (unsigned response = 0; response < 5; response++) {
        size_t sent = 0, n = 0;
        while (n < sizeof(text)) {
            step(&t, t.server);
            while (sent < sizeof(text)) {
                size_t rest = sizeof(text) - sent;
                int w = files ? (int)SSL_sendfile(t.server, file, (off_t)sent, rest, 0)
                              : SSL_write(t.server, text + sent, (int)rest);
                full += w <= 0;
                if (w <= 0)
                    break;
                sent += (size_t)w;
            }
            sim_run_for(p->sim, 3 * NS_PER_MS);
            step(&t, t.client);
            int r = SSL_read(t.client, got + n, (int)(sizeof(got) - n < 7000 ? sizeof(got) - n : 7000));
            n += r > 0 ? (size_t)r : 0;
        }
        assert_memory_equal(got, text, sizeof(text));
    }
    assert_true(full > 20);
    close(file);
    talk_free(&t);
}

static void test_no_body_is_replayed_by_ssl_write(void **state)
{
    no_replay(*state, false);
}

static void test_no_body_is_replayed_by_ssl_sendfile(void **state)
{
    no_replay(*state, true);
}

static void test_the_bio_itself(void **state)
{
    struct pair *p = *state;
    int fd_a, fd_b, fd = -1;
    int listener = listen_b(p, 80, 5);
    connect_pair(p, listener, 80, &fd_a, &fd_b);
    char buf[10];
    sim_enter(p->b);
    BIO *b = leat_bio_new(fd_b);
    assert_int_equal(BIO_get_fd(b, &fd), fd_b);
    assert_int_equal(fd, fd_b);
    assert_int_equal(BIO_read(b, buf, 10), -1);
    assert_true(BIO_should_read(b) && BIO_should_retry(b));
    assert_int_equal(BIO_puts(b, "hello"), 5);
    assert_int_equal(BIO_flush(b), 1);
    assert_false(BIO_eof(b));
    sim_enter(p->a);
    assert_int_equal(leat_shutdown(fd_a, SHUT_WR), 0);
    sim_run_for(p->sim, 10 * NS_PER_MS);
    sim_enter(p->b);
    assert_int_equal(BIO_read(b, buf, 10), 0);
    assert_false(BIO_should_retry(b));
    assert_true(BIO_eof(b));
    assert_int_equal(BIO_get_close(b), BIO_NOCLOSE);
    assert_int_equal(BIO_set_close(b, BIO_CLOSE), 1);
    BIO_free(b);
    assert_int_equal(leat_fcntl(fd_b, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_suite),
        TEST(test_ssl_sendfile),
        cmocka_unit_test(test_sendfile_of_the_kernel),
        TEST(test_without_permission_libssl_goes_on),
        TEST(test_a_tampered_record_is_an_ssl_error),
        cmocka_unit_test(test_key_updates),
        TEST(test_a_key_update_without_a_next_key_is_refused),
        TEST(test_no_body_is_replayed_by_ssl_write),
        TEST(test_no_body_is_replayed_by_ssl_sendfile),
        TEST(test_the_bio_itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
