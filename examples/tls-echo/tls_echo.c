// SPDX-License-Identifier: BSD-3-Clause
// Echo over TLS: libssl shakes hands, the stack makes and opens the records (docs/ktls.md). On every engine, with epoll.
// usage: tls-echo [leat options] -- [EAL options] -- CERT KEY [port]
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/ssl.h>
#include <leat/sysctl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define CHUNK 16384

/* What came and has not gone back yet. */
struct session {
    int fd;
    SSL *ssl;
    bool open; /* the handshake is over */
    int len;
    char buf[CHUNK];
};

static const char *cert, *key;
static uint16_t port = 4433;
static __thread int epfd, listener;
static __thread SSL_CTX *ctx;

/* libssl hands its keys to the stack when it may (SSL_OP_ENABLE_KTLS) and the stack takes them (kern.ipc.tls.enable). */
static bool make_context(void)
{
    uint32_t on = 1;
    if (leat_sysctlbyname("kern.ipc.tls.enable", NULL, NULL, &on, sizeof(on)) < 0)
        return false;
    ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || !leat_ssl_key_updates(ctx))
        return false;
    SSL_CTX_set_options(ctx, SSL_OP_ENABLE_KTLS);
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return SSL_CTX_use_certificate_chain_file(ctx, cert) == 1 &&
           SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1;
}

static int start(void *arg)
{
    int off = 0;
    struct sockaddr_in6 addr = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    if (!make_context()) {
        ERR_print_errors_fp(stderr);
        return -1;
    }
    epfd = leat_epoll_create1(0);
    listener = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)); /* IPv4 too */
    if (leat_bind(listener, (struct sockaddr *)&addr, sizeof(addr)) < 0 || leat_listen(listener, 1024) < 0 ||
        leat_epoll_ctl(epfd, EPOLL_CTL_ADD, listener, &ev) < 0) {
        fprintf(stderr, "tls-echo: port %u: %s\n", port, strerror(errno));
        return -1;
    }
    return 0;
}

static void session_close(struct session *s)
{
    SSL_free(s->ssl); /* and its BIO */
    leat_close(s->fd);
    free(s);
}

static void session_open(int fd)
{
    struct session *s = calloc(1, sizeof(*s));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = s};
    SSL *ssl = s ? SSL_new(ctx) : NULL;
    BIO *bio = ssl ? leat_bio_new(fd) : NULL;
    if (!bio || leat_epoll_ctl(epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        BIO_free(bio);
        SSL_free(ssl);
        free(s);
        leat_close(fd);
        return;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    s->fd = fd;
    s->ssl = ssl;
} // NOLINT(clang-analyzer-unix.Malloc): the epoll item holds it

static void say(const SSL *ssl)
{
    printf("tls-echo: %s %s, records made by %s, opened by %s\n", SSL_get_version(ssl), SSL_get_cipher(ssl),
           BIO_get_ktls_send(SSL_get_wbio(ssl)) ? "the stack" : "libssl",
           BIO_get_ktls_recv(SSL_get_rbio(ssl)) ? "the stack" : "libssl");
    fflush(stdout);
}

/* What a call of libssl's that did not succeed means. 0: nothing to do now; -1: over. */
static int wait_or_end(struct session *s, int result)
{
    int err = SSL_get_error(s->ssl, result);
    if (err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE)
        return 0;
    if (err == SSL_ERROR_ZERO_RETURN) /* close_notify came: ours goes */
        SSL_shutdown(s->ssl);
    return -1;
}

/* 1: something moved; 0: nothing to do now; -1: over. */
static int session_step(struct session *s)
{
    int n;
    ERR_clear_error();
    if (!s->open) {
        n = SSL_do_handshake(s->ssl);
        s->open = n == 1;
        if (s->open)
            say(s->ssl);
        return s->open ? 1 : wait_or_end(s, n);
    }
    if (s->len > 0) {
        n = SSL_write(s->ssl, s->buf, s->len);
        if (n <= 0)
            return wait_or_end(s, n);
        s->len -= n;
        memmove(s->buf, s->buf + n, (size_t)s->len);
        return 1;
    }
    n = SSL_read(s->ssl, s->buf, sizeof(s->buf));
    if (n <= 0)
        return wait_or_end(s, n);
    s->len = n;
    return 1;
}

static int loop(void *arg)
{
    struct epoll_event ev[64];
    int n = leat_epoll_wait(epfd, ev, 64, 0);
    for (int i = 0; i < n; i++) {
        struct session *s = ev[i].data.ptr;
        int fd, moved;
        if (!s) {
            while ((fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0)
                session_open(fd);
            continue;
        }
        while ((moved = session_step(s)) > 0)
            ;
        if (moved < 0)
            session_close(s);
    }
    return 0;
}

/* leat_stop() only sets a flag. */
static void on_signal(int sig)
{
    leat_stop(); // NOLINT(bugprone-signal-handler)
}

int main(int argc, char **argv)
{
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    if (argc - used < 3) {
        fprintf(stderr, "usage: tls-echo [leat options] -- [EAL options] -- CERT KEY [port]\n");
        leat_fini();
        return 1;
    }
    cert = argv[used + 1];
    key = argv[used + 2];
    if (argc - used > 3)
        port = (uint16_t)atoi(argv[used + 3]);
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    leat_on_start(start, NULL);
    int err = leat_run(loop, NULL);
    leat_fini();
    return err < 0;
}
