// SPDX-License-Identifier: BSD-3-Clause
// Between two simulated hosts: a sends bytes that it has sealed with the record room alone, b receives TLS records through its stack.
#pragma once
#include "sim/tls/records.h"

struct receiver {
    struct pair *p;
    int fd_a, fd_b, listener;
    struct tls_keystore *keys;
    struct tls_session *tx; /* of a */
    uint8_t wire[1 << 20];  /* to be sent by a */
    size_t wire_len;
    uint8_t text[STREAM_MAX], got[STREAM_MAX + 65536];
    size_t sealed, got_len; /* of text; by b */
};

static inline void receiver_key(struct receiver *r, const struct tls_enable *en)
{
    static const struct siphash_key none;
    if (r->tx)
        tls_session_put(r->keys, r->tx);
    assert_int_equal(tls_session_new(r->keys, en, false, "openssl", &none, &r->tx), 0);
}

static inline struct receiver *receiver_new(struct pair *p)
{
    struct receiver *r = calloc(1, sizeof(*r));
    struct tls_enable en = enable_of(key_one);
    r->p = p;
    r->keys = tls_keystore_new();
    set_sysctl(p->b, "kern.ipc.tls.enable", 1);
    r->listener = listen_b(p, 443, 5);
    connect_pair(p, r->listener, 443, &r->fd_a, &r->fd_b);
    receiver_key(r, &en);
    for (size_t i = 0; i < STREAM_MAX; i++)
        r->text[i] = (uint8_t)(i * 2654435761u >> 24);
    sim_enter(p->b);
    return r;
}

static inline void receiver_free(struct receiver *r)
{
    tls_session_put(r->keys, r->tx);
    tls_keystore_free(r->keys);
    free(r);
}

static inline int enable_rx(struct receiver *r, const uint8_t *key)
{
    struct tls_enable en = enable_of(key);
    sim_enter(r->p->b);
    return leat_setsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en));
}

/* Seals n bytes at data into the bytes to be sent; type 0 leaves a zero byte where TLS 1.3 has its type: more padding. */
static inline uint32_t seal(struct receiver *r, uint8_t type, const void *data, uint32_t n)
{
    struct iovec src = {(void *)(uintptr_t)data, n};
    struct tls_op op = {.s = r->tx,
                        .src = &src,
                        .n_src = 1,
                        .dst = r->wire + r->wire_len,
                        .seq = r->tx->seq++,
                        .len = n,
                        .type = type},
                  *ops[] = {&op};
    tls_work(ops, 1);
    assert_int_equal(op.result, 0);
    r->wire_len += tls_record_len(r->tx, n);
    return tls_record_len(r->tx, n);
}

/* The next n bytes of the text, as application data. */
static inline void seal_text(struct receiver *r, uint32_t n)
{
    seal(r, TLS_RLTYPE_APP, r->text + r->sealed, n);
    r->sealed += n;
}

/* a sends up to n of the bytes; how many it could. */
static inline size_t push(struct receiver *r, size_t n)
{
    sim_enter(r->p->a);
    if (n > r->wire_len)
        n = r->wire_len;
    ssize_t sent = n ? leat_send(r->fd_a, r->wire, n, 0) : 0;
    if (sent > 0) {
        r->wire_len -= (size_t)sent;
        memmove(r->wire, r->wire + sent, r->wire_len);
    }
    sim_enter(r->p->b);
    return sent > 0 ? (size_t)sent : 0;
}

/* As much as fits into both buffers while nobody reads. */
static inline void push_what_fits(struct receiver *r)
{
    while (push(r, SIZE_MAX) > 0)
        sim_run_for(r->p->sim, 5 * NS_PER_MS);
}

static inline void push_all(struct receiver *r)
{
    push_what_fits(r);
    assert_int_equal(r->wire_len, 0);
    sim_run_for(r->p->sim, 300 * NS_PER_MS); /* Nagle and a delayed ACK */
    sim_enter(r->p->b);
}

/* b reads; as read(2). */
static inline ssize_t pull(struct receiver *r, size_t most)
{
    sim_enter(r->p->b);
    ssize_t n = leat_read(r->fd_b, r->got + r->got_len, most);
    if (n > 0)
        r->got_len += (size_t)n;
    return n;
}

static inline void got_all(struct receiver *r)
{
    assert_int_equal(r->got_len, r->sealed);
    assert_memory_equal(r->got, r->text, r->sealed);
}

static inline void read_fails(struct receiver *r, int err)
{
    uint8_t byte;
    sim_enter(r->p->b);
    assert_int_equal(leat_read(r->fd_b, &byte, 1), -1);
    assert_int_equal(errno, err);
}

/* recvmsg(2) with room for the type. *type: 0 when none came; *flags: msg_flags. */
static inline ssize_t recv_typed(struct receiver *r, void *buf, size_t len, uint8_t *type, int *flags)
{
    char space[CMSG_SPACE(sizeof(struct tls_get_record))];
    struct iovec iov = {buf, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    sim_enter(r->p->b);
    ssize_t n = leat_recvmsg(r->fd_b, &msg, 0);
    const struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    *type = 0;
    *flags = msg.msg_flags;
    if (c)
        *type = *CMSG_DATA(c);
    return n;
}

static inline short ready(struct receiver *r)
{
    struct pollfd p = {.fd = r->fd_b, .events = POLLIN | POLLRDHUP};
    sim_enter(r->p->b);
    leat_poll(&p, 1, 0);
    return p.revents;
}
