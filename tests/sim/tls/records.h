// SPDX-License-Identifier: BSD-3-Clause
// Between two simulated hosts: b sends TLS records through its stack, a takes the bytes off the wire's end as they come and opens them with
// the record room alone. What a finds must be what b wrote.
#pragma once
#include <leat/blackbox.h>
#include "sim/fixture.h"
#include <leat/sysctl.h>
#include <leat/tls.h>
#include "tls/session.h"

#define STREAM_MAX (4u << 20)

struct stream {
    struct pair *p;
    int fd_a, fd_b, listener;
    struct tls_keystore *keys;
    struct tls_session *rx;
    uint8_t wire[STREAM_MAX + (1u << 20)]; /* received and not yet opened */
    size_t wire_len;
    uint8_t plain[STREAM_MAX], sent[STREAM_MAX];
    uint8_t types[65536]; /* of the records */
    uint32_t lens[65536];
    size_t plain_len, sent_len; /* opened; accepted by the stack */
    unsigned records;
    bool leak; /* plaintext was seen */
};

static const uint8_t key_one[32] = "0123456789abcdef0123456789abcdef",
                     key_two[32] = "fedcba9876543210fedcba9876543210";
static const uint8_t some_iv[12] = "an iv of 12";

static inline struct tls_enable enable_of(const uint8_t *key)
{
    return (struct tls_enable){.cipher_key = key,
                               .iv = some_iv,
                               .cipher_algorithm = CRYPTO_AES_NIST_GCM_16,
                               .cipher_key_len = 32,
                               .iv_len = 12,
                               .tls_vmajor = 3,
                               .tls_vminor = 4};
}

static inline void set_sysctl(struct sim_node *n, const char *name, uint32_t v)
{
    sim_enter(n);
    assert_int_equal(leat_sysctlbyname(name, NULL, NULL, &v, sizeof(v)), 0);
}

static inline uint64_t counter(struct sim_node *n, const char *name)
{
    uint64_t v = 0;
    size_t len = sizeof(v);
    sim_enter(n);
    assert_int_equal(leat_sysctlbyname(name, &v, &len, NULL, 0), 0);
    return v;
}

static inline void stream_rekey_rx(struct stream *s, const uint8_t *key)
{
    static const struct siphash_key none;
    struct tls_enable en = enable_of(key);
    if (s->rx)
        tls_session_put(s->keys, s->rx);
    assert_int_equal(tls_session_new(s->keys, &en, true, "openssl", &none, &s->rx), 0);
}

/* The TLS events of fd's black box, into b. How many. */
static inline unsigned tls_events(int fd, struct tcp_log_buffer *b, unsigned most)
{
    static struct tcp_log_buffer all[256];
    socklen_t len = sizeof(all);
    unsigned n = 0;
    assert_int_equal(leat_getsockopt(fd, IPPROTO_TCP, TCP_LOGBUF, all, &len), 0);
    for (unsigned i = 0; i < len / sizeof(all[0]); i++)
        if (all[i].tlb_eventid == TCP_HDWR_TLS && n < most)
            b[n++] = all[i];
    return n;
}
static inline void record_events(int fd)
{
    int mode = TCP_LOG_STATE_TAIL;
    assert_int_equal(leat_setsockopt(fd, IPPROTO_TCP, TCP_LOG, &mode, sizeof(mode)), 0);
}

static inline int enable_tx(struct stream *s, const uint8_t *key)
{
    struct tls_enable en = enable_of(key);
    sim_enter(s->p->b);
    return leat_setsockopt(s->fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en));
}

static inline struct stream *stream_new(struct pair *p)
{
    struct stream *s = calloc(1, sizeof(*s));
    s->p = p;
    s->keys = tls_keystore_new();
    set_sysctl(p->b, "kern.ipc.tls.enable", 1);
    s->listener = listen_b(p, 443, 5);
    connect_pair(p, s->listener, 443, &s->fd_a, &s->fd_b);
    stream_rekey_rx(s, key_one);
    /* "SECRET" all over: it must never be seen on the wire. */
    for (size_t i = 0; i < STREAM_MAX; i++)
        s->sent[i] = i % 16 < 8 ? (uint8_t) "SECRET.."[i % 8] : (uint8_t)(i * 2654435761u >> 24);
    return s;
}

static inline void stream_free(struct stream *s)
{
    if (s->rx)
        tls_session_put(s->keys, s->rx);
    tls_keystore_free(s->keys);
    free(s);
}

/* Opens what is whole. */
static inline void stream_open(struct stream *s)
{
    static uint8_t out[TLS_RECORD_MAX];
    size_t at = 0;
    while (s->wire_len - at >= TLS_HEADER) {
        int len = tls_header_check(s->rx, s->wire + at);
        assert_true(len > 0);
        if (s->wire_len - at < (size_t)len)
            break;
        struct iovec src = {s->wire + at, (size_t)len};
        struct tls_op op = {.s = s->rx,
                            .src = &src,
                            .n_src = 1,
                            .dst = out,
                            .seq = s->rx->seq++,
                            .len = (uint32_t)len},
                      *ops[] = {&op};
        tls_work(ops, 1);
        assert_true(op.result >= 0);
        memcpy(s->plain + s->plain_len, out, (size_t)op.result);
        s->plain_len += (size_t)op.result;
        s->lens[s->records] = (uint32_t)op.result;
        s->types[s->records++] = op.type;
        at += (size_t)len;
    }
    s->wire_len -= at;
    memmove(s->wire, s->wire + at, s->wire_len);
}

/* a takes up to most bytes off its socket. As read(2). */
static inline ssize_t stream_take(struct stream *s, size_t most)
{
    sim_enter(s->p->a);
    ssize_t n = leat_read(s->fd_a, s->wire + s->wire_len,
                          most < sizeof(s->wire) - s->wire_len ? most : sizeof(s->wire) - s->wire_len);
    if (n > 0) {
        size_t from = s->wire_len > 5 ? s->wire_len - 5 : 0;
        s->leak |= memmem(s->wire + from, s->wire_len + (size_t)n - from, "SECRET", 6) != NULL;
        s->wire_len += (size_t)n;
    }
    return n;
}

/* Runs until nothing more comes. The last read(2)'s result. */
static inline ssize_t stream_drain(struct stream *s)
{
    ssize_t n;
    for (unsigned idle = 0; idle < 40;) {
        sim_run_for(s->p->sim, 50 * NS_PER_MS);
        n = stream_take(s, SIZE_MAX);
        if (n == 0 || (n < 0 && errno != EAGAIN))
            break;
        idle = n > 0 ? 0 : idle + 1;
        stream_open(s);
    }
    stream_open(s);
    return n;
}

/* b writes up to len of what comes next; counts what was taken. */
static inline ssize_t stream_write(struct stream *s, size_t len, int flags)
{
    sim_enter(s->p->b);
    ssize_t n = leat_send(s->fd_b, s->sent + s->sent_len, len, flags);
    if (n > 0)
        s->sent_len += (size_t)n;
    return n;
}

static inline ssize_t stream_write_type(struct stream *s, size_t len, int level, int cmsg_type, uint8_t type,
                                        size_t size)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(8)];
    } u = {.h = {.cmsg_len = CMSG_LEN(size), .cmsg_level = level, .cmsg_type = cmsg_type}};
    struct iovec iov = {s->sent + s->sent_len, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = CMSG_SPACE(size)};
    *CMSG_DATA(&u.h) = type;
    sim_enter(s->p->b);
    ssize_t n = leat_sendmsg(s->fd_b, &msg, 0);
    if (n > 0)
        s->sent_len += (size_t)n;
    return n;
}

static inline void stream_check(struct stream *s)
{
    assert_int_equal(s->plain_len, s->sent_len);
    assert_memory_equal(s->plain, s->sent, s->sent_len);
    assert_false(s->leak);
}
