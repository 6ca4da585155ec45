// SPDX-License-Identifier: BSD-3-Clause
// libssl does the handshake over a BIO of Leat's; its keys then go to the stack, for both directions, and what is left of the protocol
// (alerts, KeyUpdate, a refused renegotiation) is a few bytes that are answered here. Where the stack does not take the keys, libssl goes on.
#include "tls.h"
#include "httpd.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <leat/leat.h>
#include <leat/ssl.h>
#include <openssl/err.h>

#define CHUNK          16384
#define TICKETS        2
#define KEY_UPDATE_MAX 100 /* without a byte of data between them */

/* RFC 8446 §6, RFC 5246 §7.2 */
enum { ALERT_WARNING = 1, ALERT_FATAL = 2 };
enum { CLOSE_NOTIFY = 0, UNEXPECTED_MESSAGE = 10, BAD_RECORD_MAC = 20, NO_RENEGOTIATION = 100 };

struct tls_conn {
    SSL *ssl;
    int fd;
    bool want;   /* the stack is to have the keys */
    bool ktls;   /* and has them */
    bool open;   /* the handshake is over */
    bool closed; /* close_notify, or a fatal alert, is out */
    bool is_13;
    bool finished;   /* our Finished is out: TLS 1.3 counts its records anew */
    bool update_due; /* the peer wants us to change keys before we send anything else */
    unsigned updates;
    uint64_t sent_records;
    struct tls_secrets secrets;
};

/* ---- the context ---- */

static void on_keylog(const SSL *ssl, const char *line)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    bool client = strncmp(line, "CLIENT_TRAFFIC_SECRET_0 ", 24) == 0;
    if (!t || (!client && strncmp(line, "SERVER_TRAFFIC_SECRET_0 ", 24) != 0))
        return;
    long n = 0;
    uint8_t *secret = OPENSSL_hexstr2buf(strrchr(line, ' ') + 1, &n);
    if (secret && n <= SECRET_MAX) {
        memcpy(client ? t->secrets.client : t->secrets.server, secret, (size_t)n);
        t->secrets.len = (unsigned)n;
    }
    OPENSSL_clear_free(secret, (size_t)n);
}

/* How many records (tickets) went out under the key that the stack gets. */
static void on_message(int write, int version, int type, const void *data, size_t len, SSL *ssl, void *arg)
{
    struct tls_conn *t = SSL_get_app_data(ssl);
    if (!t || !write)
        return;
    if (type == SSL3_RT_HEADER)
        t->sent_records++;
    else if (type == SSL3_RT_HANDSHAKE && len > 0 && *(const uint8_t *)data == SSL3_MT_FINISHED &&
             !t->finished) {
        t->finished = true;
        t->sent_records = 0;
    }
}

/* RFC 7301: http/1.1, or no protocol in common. */
static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
                   unsigned in_len, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours) - 1, in, in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

SSL_CTX *tls_context(const char *cert, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx || SSL_CTX_use_certificate_chain_file(ctx, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
        fprintf(stderr, "httpd: --tls %s %s: %s\n", cert, key, ERR_reason_error_string(ERR_get_error()));
        SSL_CTX_free(ctx);
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* MAC, then encrypt is what the stack has of CBC (RFC 7366 is not); a client may not ask for a new handshake. */
    SSL_CTX_set_options(ctx, SSL_OP_NO_ENCRYPT_THEN_MAC | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    /* Forward secrecy and AEAD first; what is left is for old clients. */
    SSL_CTX_set_cipher_list(
        ctx, "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AESCCM:RSA+AESGCM:RSA+AESCCM:ECDHE+AES:RSA+AES:"
             "!AESCCM8:!PSK:!SRP:!aNULL");
    SSL_CTX_set_ciphersuites(ctx,
                             "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
                             "TLS_AES_128_CCM_SHA256");
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"leat-httpd", 10);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets: nothing is kept here (RFC 5077) */
    SSL_CTX_set_num_tickets(ctx, TICKETS);
    SSL_CTX_set_keylog_callback(ctx, on_keylog);
    SSL_CTX_set_msg_callback(ctx, on_message);
    SSL_CTX_set_alpn_select_cb(ctx, on_alpn, NULL);
    return ctx;
}

/* ---- the handshake ---- */

static struct tls_conn *tls_open(SSL_CTX *ctx, int fd, bool ktls)
{
    struct tls_conn *t = calloc(1, sizeof(*t));
    BIO *bio = t ? leat_bio_new(fd) : NULL;
    t = bio ? t : (free(t), NULL);
    if (!t || !(t->ssl = SSL_new(ctx))) {
        BIO_free(bio);
        free(t);
        return NULL;
    }
    t->fd = fd;
    t->want = ktls;
    SSL_set_bio(t->ssl, bio, bio);
    SSL_set_app_data(t->ssl, t);
    return t;
}

static void tls_free(struct tls_conn *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    OPENSSL_cleanse(t, sizeof(*t));
    free(t);
}

static bool give_keys(const struct tls_conn *t, bool client, uint64_t seq)
{
    struct tls_enable en;
    struct tls_material room;
    bool ok = tls_keys_of(t->ssl, &t->secrets, client, seq, &en, &room) &&
              leat_setsockopt(t->fd, IPPROTO_TCP, client ? TCP_RXTLS_ENABLE : TCP_TXTLS_ENABLE, &en,
                              sizeof(en)) == 0;
    OPENSSL_cleanse(&room, sizeof(room));
    return ok;
}

/* Both directions or none: the receiving one first, before which nothing has changed. Before TLS 1.3 Finished was record 0. */
static int hand_over(struct tls_conn *t)
{
    t->open = true;
    t->is_13 = SSL_version(t->ssl) == TLS1_3_VERSION;
    if (!t->want || SSL_has_pending(t->ssl) || !give_keys(t, true, t->is_13 ? 0 : 1))
        return 1;
    if (!give_keys(t, false, t->is_13 ? t->sent_records : 1))
        return -1;
    t->ktls = true;
    return 1;
}

static int wait_or_fail(const struct tls_conn *t, int result)
{
    int err = SSL_get_error(t->ssl, result);
    ERR_clear_error();
    return err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static int tls_handshake(struct tls_conn *t)
{
    ERR_clear_error();
    int got = SSL_accept(t->ssl);
    return got == 1 ? hand_over(t) : wait_or_fail(t, got);
}

/* ---- what is left of the protocol, when the stack has the records ---- */

/* One record of a type of its own: all of it or EAGAIN. */
static bool send_typed(const struct tls_conn *t, uint8_t type, const uint8_t *data, size_t len)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(1)];
    } c = {.head = {.cmsg_len = CMSG_LEN(1), .cmsg_level = IPPROTO_TCP, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.room)};
    *CMSG_DATA(&c.head) = type;
    return leat_sendmsg(t->fd, &m, MSG_NOSIGNAL) == (ssize_t)len;
}

static void alert(const struct tls_conn *t, uint8_t level, uint8_t what)
{
    const uint8_t a[2] = {level, what};
    send_typed(t, TLS_RLTYPE_ALERT, a, sizeof(a));
}

static int refuse(struct tls_conn *t, uint8_t what)
{
    t->closed = true;
    alert(t, ALERT_FATAL, what);
    errno = EPROTO;
    return -1;
}

/* RFC 8446 §4.6.3: our own KeyUpdate, under the old key, then the next key. */
static bool change_own_keys(struct tls_conn *t)
{
    static const uint8_t update[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, 0};
    if (!t->update_due)
        return true;
    if (!send_typed(t, TLS_RLTYPE_HANDSHAKE, update, sizeof(update)))
        return false;
    t->update_due = false;
    return tls_secret_next(t->ssl, t->secrets.server, t->secrets.len) && give_keys(t, false, 0);
}

static int on_key_update(struct tls_conn *t, const uint8_t *m, size_t len)
{
    if (len != 5 || m[4] > 1 || ++t->updates > KEY_UPDATE_MAX)
        return refuse(t, UNEXPECTED_MESSAGE);
    if (!tls_secret_next(t->ssl, t->secrets.client, t->secrets.len) || !give_keys(t, true, 0))
        return -1;
    t->update_due |= m[4] == 1;
    return change_own_keys(t) || errno == EAGAIN ? 1 : -1;
}

/* 1: go on reading; -1: over. Before TLS 1.3 a ClientHello asks for a new handshake (RFC 5246 §7.2.2: it may be refused). */
static int on_handshake(struct tls_conn *t, const uint8_t *m, size_t len)
{
    if (t->is_13 && len > 0 && m[0] == SSL3_MT_KEY_UPDATE)
        return on_key_update(t, m, len);
    if (t->is_13 || len == 0 || m[0] != SSL3_MT_CLIENT_HELLO || ++t->updates > KEY_UPDATE_MAX)
        return refuse(t, UNEXPECTED_MESSAGE);
    alert(t, ALERT_WARNING, NO_RENEGOTIATION);
    return 1;
}

/* 1: go on; 0: the peer has closed; -1: over. */
static int on_record(struct tls_conn *t, uint8_t type, const uint8_t *data, size_t len)
{
    if (type == TLS_RLTYPE_HANDSHAKE)
        return on_handshake(t, data, len);
    if (type != TLS_RLTYPE_ALERT || len != 2)
        return refuse(t, UNEXPECTED_MESSAGE);
    if (data[1] == CLOSE_NOTIFY)
        return 0;
    errno = ECONNRESET;
    return !t->is_13 && data[0] == ALERT_WARNING ? 1 : -1;
}

/* Once, when the connection was good until now: nothing is sent after it. */
static void tls_close_notify(struct tls_conn *t)
{
    if (!t->open || t->closed)
        return;
    t->closed = true;
    if (t->ktls)
        alert(t, ALERT_WARNING, CLOSE_NOTIFY);
    else
        SSL_shutdown(t->ssl);
    ERR_clear_error();
}

/* ---- data ---- */

static ssize_t read_ktls(struct tls_conn *t, void *buf, size_t len)
{
    for (;;) {
        uint8_t type = 0;
        ssize_t n = leat_read(t->fd, buf, len);
        if (n >= 0 || (errno != EIO && errno != ENXIO && errno != EPROTO)) {
            if (n < 0 && errno == EBADMSG)
                return refuse(t, BAD_RECORD_MAC);
            t->updates = n > 0 ? 0 : t->updates;
            return n;
        }
        n = leat_tls_recv(t->fd, buf, len, 0, &type);
        int got = n < 0 ? -1 : on_record(t, type, buf, (size_t)n);
        if (got == 0)
            tls_close_notify(t); /* RFC 8446 §6.1: answered, whoever was first */
        if (got <= 0)
            return got;
    }
}

static ssize_t result_of(const struct tls_conn *t, int got)
{
    if (got > 0)
        return got;
    int err = SSL_get_error(t->ssl, got);
    ERR_clear_error();
    errno = err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
    return err == SSL_ERROR_ZERO_RETURN ? 0 : -1;
}

static ssize_t tls_read(struct tls_conn *t, void *buf, size_t len)
{
    if (t->ktls)
        return read_ktls(t, buf, len);
    ERR_clear_error();
    return result_of(t, SSL_read(t->ssl, buf, (int)len));
}

static ssize_t tls_send(struct tls_conn *t, const void *buf, size_t len, bool more)
{
    if (t->ktls)
        return change_own_keys(t) ? leat_send(t->fd, buf, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0)) : -1;
    ERR_clear_error();
    return result_of(t, SSL_write(t->ssl, buf, (int)len));
}

/* libssl makes the records: the file is read piece by piece. */
static int copy_file(struct tls_conn *t, int file, off_t offset, size_t len, off_t *sent)
{
    char chunk[CHUNK];
    while ((size_t)*sent < len) {
        size_t want = len - (size_t)*sent < CHUNK ? len - (size_t)*sent : CHUNK;
        ssize_t n = pread(file, chunk, want, offset + *sent);
        if (n <= 0)
            return n < 0 ? -1 : 0;
        n = tls_send(t, chunk, (size_t)n, false);
        if (n < 0)
            return -1;
        *sent += n;
    }
    return 0;
}

static int tls_sendfile(struct tls_conn *t, int file, off_t offset, size_t len, off_t *sent)
{
    *sent = 0;
    if (!t->ktls)
        return copy_file(t, file, offset, len, sent);
    return change_own_keys(t) ? leat_sendfile(file, t->fd, offset, len, NULL, sent, 0) : -1;
}

/* ---- as the server's transport ---- */

static bool transport_open(struct conn *c)
{
    c->tls = tls_open(c->s->opt->tls, c->fd, c->s->opt->ktls);
    return c->tls != NULL;
}

static int transport_handshake(struct conn *c)
{
    return tls_handshake(c->tls);
}

static ssize_t transport_read(struct conn *c, void *buf, size_t len)
{
    return tls_read(c->tls, buf, len);
}

static ssize_t transport_send(struct conn *c, const void *buf, size_t len, bool more)
{
    return tls_send(c->tls, buf, len, more);
}

static int transport_sendfile(struct conn *c, int file, off_t offset, size_t len, off_t *sent)
{
    return tls_sendfile(c->tls, file, offset, len, sent);
}

static void transport_finish(struct conn *c)
{
    tls_close_notify(c->tls);
}

static void transport_close(struct conn *c)
{
    tls_free(c->tls);
}

const struct transport transport_tls = {
    .open = transport_open,
    .handshake = transport_handshake,
    .read = transport_read,
    .send = transport_send,
    .sendfile = transport_sendfile,
    .finish = transport_finish,
    .close = transport_close,
};
