// SPDX-License-Identifier: BSD-3-Clause
// BIO_METHOD of Leat's sockets. What libssl asks of a BIO for kTLS is in no manual: its own socket BIO is the reference. Keys come in Linux's
// structures, and a record that the stack has opened goes up behind a header of five bytes.
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include "bio.h"

/* Controls that <openssl/bio.h> keeps to itself. */
#define CTRL_SET_KTLS              72 /* num: sending?; ptr: the keys; 1: the stack has them */
#define CTRL_SET_RECORD_TYPE       74 /* num: of the next write */
#define CTRL_CLEAR_RECORD_TYPE     75
#define CTRL_SET_ZEROCOPY_SENDFILE 90

#define HEADER     5
#define KEY_UPDATE 24 /* RFC 8446 §4 */

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(1)];
};

static bool for_later(int err)
{
    return err == EAGAIN || err == EINTR || err == EINPROGRESS || err == EALREADY;
}

/* ---- reading ---- */

/* One record with its header, as libssl wants to see it. */
static int read_record(int fd, uint8_t *out, int len)
{
    union control c;
    struct iovec iov = {out + HEADER, (size_t)(len - HEADER)};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.room)};
    if (len <= HEADER) {
        errno = EINVAL;
        return -1;
    }
    ssize_t n = leat_recvmsg(fd, &msg, 0);
    if (n < 0 || msg.msg_controllen == 0)
        return (int)n;
    if (!(msg.msg_flags & MSG_EOR)) {
        errno = EMSGSIZE;
        return -1;
    }
    const uint8_t header[HEADER] = {*CMSG_DATA(&c.head), TLS_MAJOR_VER_ONE, TLS_MINOR_VER_TWO,
                                    (uint8_t)(n >> 8), (uint8_t)n};
    memcpy(out, header, HEADER);
    return (int)n + HEADER;
}

static int bio_read(BIO *b, char *out, int len)
{
    struct leat_bio *lb = BIO_get_data(b);
    errno = 0;
    int n = lb->recv ? read_record(lb->fd, (uint8_t *)out, len) : (int)leat_read(lb->fd, out, (size_t)len);
    BIO_clear_retry_flags(b);
    if (n == 0)
        lb->eof = true;
    else if (n < 0 && for_later(errno))
        BIO_set_retry_read(b);
    return n;
}

/* ---- writing ---- */

static int write_typed(struct leat_bio *lb, const char *in, int len)
{
    union control c = {
        .head = {.cmsg_len = CMSG_LEN(1), .cmsg_level = SOL_TLS, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t)in, (size_t)len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof(c.room)};
    *CMSG_DATA(&c.head) = lb->type;
    int n = (int)leat_sendmsg(lb->fd, &msg, MSG_NOSIGNAL);
    if (n >= 0)
        lb->type = 0;
    return n;
}

/* Behind a KeyUpdate everything is of the next key. Without one to give it must not even be sent. */
static bool is_key_update(const struct leat_bio *lb, const char *in, int len)
{
    return lb->send && lb->type == TLS_RLTYPE_HANDSHAKE && len > 0 && *in == KEY_UPDATE &&
           lb->head.version == TLS_1_3_VERSION;
}

static int write_key_update(struct leat_bio *lb, const char *in, int len)
{
    if (lb->secret_len == 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int n = write_typed(lb, in, len);
    if (n >= 0 && !leat_bio_next_key(lb))
        lb->broken = true;
    return n;
}

static int write_some(struct leat_bio *lb, const char *in, int len)
{
    errno = lb->broken ? EIO : 0;
    if (lb->broken)
        return -1;
    if (is_key_update(lb, in, len))
        return write_key_update(lb, in, len);
    return lb->type ? write_typed(lb, in, len) : (int)leat_send(lb->fd, in, (size_t)len, MSG_NOSIGNAL);
}

static int bio_write(BIO *b, const char *in, int len)
{
    int n = write_some(BIO_get_data(b), in, len);
    BIO_clear_retry_flags(b);
    if (n < 0 && for_later(errno))
        BIO_set_retry_write(b);
    return n;
}

static int bio_puts(BIO *b, const char *text)
{
    return bio_write(b, text, (int)strlen(text));
}

/* ---- keys ---- */

socklen_t crypto_info_size(const struct tls_crypto_info *head)
{
    switch (head->cipher_type) {
    case TLS_CIPHER_AES_GCM_128:
        return sizeof(struct tls12_crypto_info_aes_gcm_128);
    case TLS_CIPHER_AES_GCM_256:
        return sizeof(struct tls12_crypto_info_aes_gcm_256);
    case TLS_CIPHER_AES_CCM_128:
        return sizeof(struct tls12_crypto_info_aes_ccm_128);
    case TLS_CIPHER_CHACHA20_POLY1305:
        return sizeof(struct tls12_crypto_info_chacha20_poly1305);
    default:
        return 0;
    }
}

/* 0: libssl goes on by itself. */
static long set_keys(struct leat_bio *lb, bool send, const void *keys)
{
    socklen_t size = keys ? crypto_info_size(keys) : 0;
    if (size == 0)
        return 0;
    if (leat_setsockopt(lb->fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls")) < 0 && errno != EEXIST)
        return 0;
    if (leat_setsockopt(lb->fd, SOL_TLS, send ? TLS_TX : TLS_RX, keys, size) < 0)
        return 0;
    *(send ? &lb->send : &lb->recv) = true;
    if (send)
        memcpy(&lb->head, keys, sizeof(lb->head));
    return 1;
}

static long zerocopy_sendfile(const struct leat_bio *lb)
{
    int on = 1;
    return leat_setsockopt(lb->fd, SOL_TLS, TLS_TX_ZEROCOPY_RO, &on, sizeof(on)) == 0;
}

/* ---- controls ---- */

static long ktls_ctrl(struct leat_bio *lb, int cmd, long num, void *ptr)
{
    switch (cmd) {
    case CTRL_SET_KTLS:
        return set_keys(lb, num, ptr);
    case BIO_CTRL_GET_KTLS_SEND:
        return lb->send;
    case BIO_CTRL_GET_KTLS_RECV:
        return lb->recv;
    case CTRL_SET_RECORD_TYPE:
        lb->type = (uint8_t)num;
        return 0;
    case CTRL_CLEAR_RECORD_TYPE:
        lb->type = 0;
        return 0;
    case CTRL_SET_ZEROCOPY_SENDFILE:
        return zerocopy_sendfile(lb);
    default:
        return 0;
    }
}

static void close_if_ours(BIO *b)
{
    struct leat_bio *lb = BIO_get_data(b);
    if (BIO_get_shutdown(b) && BIO_get_init(b))
        leat_close(lb->fd);
    BIO_set_init(b, 0);
}

static long set_fd(BIO *b, int fd, long close)
{
    struct leat_bio *lb = BIO_get_data(b);
    close_if_ours(b);
    OPENSSL_cleanse(lb, sizeof(*lb));
    *lb = (struct leat_bio){.fd = fd};
    BIO_set_shutdown(b, (int)close);
    BIO_set_init(b, 1);
    return 1;
}

static long get_fd(BIO *b, int *fd)
{
    const struct leat_bio *lb = BIO_get_data(b);
    if (!BIO_get_init(b))
        return -1;
    if (fd)
        *fd = lb->fd;
    return lb->fd;
}

static long bio_ctrl(BIO *b, int cmd, long num, void *ptr)
{
    struct leat_bio *lb = BIO_get_data(b);
    switch (cmd) {
    case BIO_C_SET_FD:
        return set_fd(b, *(int *)ptr, num);
    case BIO_C_GET_FD:
        return get_fd(b, ptr);
    case BIO_CTRL_GET_CLOSE:
        return BIO_get_shutdown(b);
    case BIO_CTRL_SET_CLOSE:
        BIO_set_shutdown(b, (int)num);
        return 1;
    case BIO_CTRL_DUP:
    case BIO_CTRL_FLUSH:
        return 1;
    case BIO_CTRL_EOF:
        return lb->eof;
    default:
        return ktls_ctrl(lb, cmd, num, ptr);
    }
}

/* ---- life ---- */

static int bio_create(BIO *b)
{
    struct leat_bio *lb = OPENSSL_zalloc(sizeof(*lb));
    BIO_set_data(b, lb);
    return lb != NULL;
}

static int bio_destroy(BIO *b)
{
    if (!BIO_get_data(b))
        return 1;
    close_if_ours(b);
    OPENSSL_clear_free(BIO_get_data(b), sizeof(struct leat_bio));
    BIO_set_data(b, NULL);
    return 1;
}

static BIO_METHOD *method;
static int method_type;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_method(void)
{
    int index = BIO_get_new_index();
    method_type = index | BIO_TYPE_SOURCE_SINK | BIO_TYPE_DESCRIPTOR;
    BIO_METHOD *m = index < 0 ? NULL : BIO_meth_new(method_type, "leat socket");
    if (m && BIO_meth_set_read(m, bio_read) && BIO_meth_set_write(m, bio_write) &&
        BIO_meth_set_puts(m, bio_puts) && BIO_meth_set_ctrl(m, bio_ctrl) &&
        BIO_meth_set_create(m, bio_create) && BIO_meth_set_destroy(m, bio_destroy))
        method = m;
    else
        BIO_meth_free(m);
}

const BIO_METHOD *leat_bio_method(void)
{
    pthread_once(&once, make_method);
    return method;
}

BIO *leat_bio_new(int fd)
{
    BIO *b = leat_bio_method() ? BIO_new(method) : NULL;
    if (b)
        BIO_set_fd(b, fd, BIO_NOCLOSE);
    return b;
}

struct leat_bio *leat_bio_of(BIO *chain)
{
    for (; chain; chain = BIO_next(chain))
        if (method && BIO_method_type(chain) == method_type)
            return BIO_get_data(chain);
    return NULL;
}
