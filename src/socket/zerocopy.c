// SPDX-License-Identifier: BSD-3-Clause
// Data without a copy: received buffers on loan, and memory of the application sent by reference.
#include <leat/leat.h>
#include "base/alloc.h"
#include "socket/socket.h"
#include "tls/rx.h"

/* What a lent buffer remembers, in the mbuf's private area, which nobody else needs any more. */
struct loan {
    struct socket *so;
    uint32_t serial;
    uint32_t len;
};
_Static_assert(sizeof(struct loan) <= sizeof(struct pkt_info), "fits in the private area");

static struct loan *loan_of(struct rte_mbuf *m)
{
    return rte_mbuf_to_priv(m);
}

/* The first n bytes of a buffer that holds more: a second buffer that refers to it. */
static struct rte_mbuf *take_part(struct tcb *tp, uint32_t n)
{
    struct rte_mbuf *whole = tp->rcv.head, *part = pkt_alloc(tp->e->pkt_pool);
    if (!part)
        return NULL;
    rte_pktmbuf_attach(part, whole);
    part->data_len = (uint16_t)n;
    part->pkt_len = n;
    part->next = NULL;
    part->nb_segs = 1;
    recvbuf_drop(tp, n);
    return part;
}

static struct rte_mbuf *take(struct tcb *tp, uint32_t most)
{
    if (!tp->rcv.head)
        return NULL;
    return tp->rcv.head->data_len <= most ? recvbuf_take(tp) : take_part(tp, most);
}

/* TLS: pieces of opened records. The record's address, odd, tells them from packet buffers. */
static int lend_plaintext(struct tls_rx *rx, struct leat_zc *pieces, int n, size_t max)
{
    struct tls_rx_record *r;
    void *base;
    int got = 0;
    int64_t len = 0;
    while (got < n && max > 0 && (len = tls_rx_lend(rx, max, &base, &r)) > 0) {
        pieces[got++] = (struct leat_zc){base, (size_t)len, (char *)r + 1};
        max -= (size_t)len;
    }
    return got > 0 ? got : (int)api_result(len);
}

static struct tls_rx_record *lent_record(const struct leat_zc *piece)
{
    return (uintptr_t)piece->opaque & 1 ? (struct tls_rx_record *)((char *)piece->opaque - 1) : NULL;
}

int leat_zc_recv(int fd, struct leat_zc *pieces, int n, size_t max, int flags)
{
    struct socket *so = api_socket(fd);
    char probe;
    struct iovec iov = {&probe, 1};
    if (!so)
        return -1;
    if (n <= 0 || max == 0)
        return (int)api_result(-EINVAL);
    int64_t there = socket_recv(so, &iov, 1, flags | MSG_PEEK); /* waits and says what read(2) would */
    if (there <= 0)
        return (int)api_result(there);
    if (so->tls_rx)
        return lend_plaintext(so->tls_rx, pieces, n, max);
    struct tcb *tp = so->tp;
    int got = 0;
    while (got < n && max > 0) {
        struct rte_mbuf *m = take(tp, max < UINT16_MAX ? (uint32_t)max : UINT16_MAX);
        if (!m)
            break;
        *loan_of(m) = (struct loan){so, so->serial, m->data_len};
        pieces[got++] = (struct leat_zc){rte_pktmbuf_mtod(m, void *), m->data_len, m};
        tp->rcv.lent += m->data_len;
        max -= m->data_len;
    }
    return got > 0 ? got : (int)api_result(-ENOBUFS);
}

static void return_packet(struct rte_mbuf *m)
{
    struct loan l = *loan_of(m);
    rte_pktmbuf_free(m);
    if (l.so->serial != l.serial || !l.so->tp)
        return; /* the socket has been closed meanwhile */
    l.so->tp->rcv.lent -= l.len;
    tcp_received(l.so->tp, l.len);
}

void leat_zc_return(struct leat_zc *pieces, int n)
{
    for (int i = 0; i < n; i++) {
        struct tls_rx_record *r = lent_record(&pieces[i]);
        if (r)
            tls_rx_return(r);
        else
            return_packet(pieces[i].opaque);
        pieces[i] = (struct leat_zc){0};
    }
}

/* ---- sending ---- */

struct completion {
    void (*done)(void *arg);
    void *arg;
    struct so_layer *l;
};

void zerocopy_pools(struct so_layer *l)
{
    pool_init(&l->completions, "completions", sizeof(struct completion), UINT32_MAX, 64);
}

static void complete(struct extent *x, void *arg)
{
    struct completion c = *(struct completion *)arg;
    pool_put(&c.l->completions, arg);
    if (c.done)
        c.done(c.arg);
}

static int64_t zc_send(struct so_layer *l, struct socket *so, const void *base, size_t len,
                       void (*done)(void *arg), void *arg)
{
    if (sendbuf_space(&so->tp->snd) == 0)
        return -EAGAIN;
    struct completion *c = pool_get(&l->completions);
    struct extent *x = c ? extent_new(&l->e->tcp->send, (uint32_t)len, complete, c) : NULL;
    if (!x) {
        if (c)
            pool_put(&l->completions, c);
        return -ENOBUFS;
    }
    *c = (struct completion){NULL, arg, l}; /* not yet: on failure done is not called */
    extent_ready(x, base, rte_mem_virt2iova(base));
    int err = tcp_send_extent(so->tp, x);
    if (err) {
        extent_free(x);
        return err;
    }
    c->done = done;
    return (int64_t)len;
}

ssize_t leat_zc_send(int fd, const void *base, size_t len, int flags, void (*done)(void *arg), void *arg)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (len == 0 || len > INT32_MAX)
        return api_result(-EINVAL);
    int64_t err = so->tls_tx ? -EOPNOTSUPP : socket_send(so, &(struct iovec){NULL, 0}, 0, flags);
    if (err < 0)
        return api_result(err);
    return api_result(zc_send(so->file.layer, so, base, len, done, arg));
}
