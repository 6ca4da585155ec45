// SPDX-License-Identifier: BSD-3-Clause
// Reading: bytes are copied out of the receive queue.
#include <limits.h>
#include <string.h>
#include <leat/tls.h>
#include "socket/socket.h"
#include "tcp/fastopen.h"
#include "tls/rx.h"

/* What a call asks for. */
struct wanted {
    const struct iovec *iov;
    int iovcnt;
    size_t total;
    int flags;
    struct tls_rx_piece *piece; /* TLS: one record, and its type; NULL: application data */
};

struct recv_wait {
    const struct socket *so;
    uint32_t bytes;
};

uint32_t socket_readable_bytes(const struct socket *so)
{
    if (!so->tp || so->cant_read)
        return 0;
    return so->tls_rx ? so->tls_rx->plain : so->tp->rcv.bytes;
}

/* Records that are being opened come before an error or the end of the connection. */
static bool opening(const struct socket *so)
{
    return so->tls_rx && so->tp && !so->cant_read && tls_rx_opening(so->tls_rx);
}

static bool readable(void *arg)
{
    const struct recv_wait *w = arg;
    const struct socket *so = w->so;
    if (so->tls_rx && so->tp && (so->tls_rx->paused || tls_rx_readable(so->tls_rx, w->bytes)))
        return true;
    if (opening(so))
        return false;
    if (so->tls_rx)
        return so->error || socket_eof(so);
    return so->error || socket_eof(so) || !so->tp || so->tp->rcv.bytes >= w->bytes;
}

/* Copies up to len bytes from the front of the queue without taking them. */
static uint32_t copy_out(const struct tcb *tp, const struct iovec *iov, int iovcnt, uint32_t len)
{
    const struct rte_mbuf *m = tp->rcv.head;
    uint32_t in = 0, done = 0;
    size_t off = 0;
    while (done < len && iovcnt > 0 && m) {
        size_t n = m->data_len - in;
        if (n > iov->iov_len - off)
            n = iov->iov_len - off;
        if (n > len - done)
            n = len - done;
        memcpy((char *)iov->iov_base + off, rte_pktmbuf_mtod_offset(m, const char *, in), n);
        done += (uint32_t)n;
        off += n;
        in += (uint32_t)n;
        if (in == m->data_len) {
            m = m->next;
            in = 0;
        }
        if (off == iov->iov_len) {
            iov++;
            iovcnt--;
            off = 0;
        }
    }
    return done;
}

static void take(struct tcb *tp, uint32_t n)
{
    recvbuf_drop(tp, n);
    tcp_received(tp, n);
}

static size_t total_of(const struct iovec *iov, int iovcnt)
{
    size_t total = 0;
    for (int i = 0; i < iovcnt; i++)
        total += iov[i].iov_len;
    return total < INT32_MAX ? total : INT32_MAX;
}

static int recv_state(const struct socket *so)
{
    if (so->listening || (!so->connected && !so->connecting && !so->error))
        return -ENOTCONN;
    if (so->tp && fastopen_deferred(so->tp))
        fastopen_kick(so->tp); /* who reads first has nothing to send with the SYN */
    return 0;
}

static int64_t recv_bytes(struct tcb *tp, uint32_t there, const struct wanted *w)
{
    uint32_t n = there < w->total ? there : (uint32_t)w->total;
    if (!(w->flags & MSG_TRUNC)) /* with it a stream's bytes are thrown away (tcp(7) of Linux) */
        n = copy_out(tp, w->iov, w->iovcnt, n);
    if (!(w->flags & MSG_PEEK))
        take(tp, n);
    return n;
}

static int64_t recv_records(struct socket *so, const struct wanted *w)
{
    unsigned flags = (w->flags & MSG_TRUNC ? TLS_RX_DISCARD : 0) | (w->flags & MSG_PEEK ? TLS_RX_PEEK : 0) |
                     (so->tls_ulp ? TLS_RX_NO_EMPTY : 0);
    int64_t n = tls_rx_read(so->tls_rx, w->iov, w->iovcnt, w->total, flags, w->piece);
    return so->tls_ulp && (n == -ENXIO || n == -EPROTO) ? -EIO : n; /* Linux has one errno for all types */
}

/* What is there, up to total bytes: > 0; 0 at the end; -EAGAIN; or the socket's error, after the data that came before it. */
static int64_t recv_now(struct socket *so, const struct wanted *w)
{
    struct tcb *tp = so->tp;
    if (so->tls_rx && tp && !so->cant_read && (w->total > 0 || w->piece)) {
        int64_t n = recv_records(so, w);
        if (n != -EAGAIN || opening(so))
            return n;
    } else if (tp && !so->cant_read && tp->rcv.bytes > 0 && w->total > 0) {
        return recv_bytes(tp, tp->rcv.bytes, w);
    }
    if (w->piece)
        w->piece->type = 0;
    if (so->error)
        return socket_take_error(so);
    return w->total == 0 || socket_eof(so) ? 0 : -EAGAIN;
}

/* Bytes worth waiting for. MSG_WAITALL beyond what the buffer can hold comes in several helpings. */
static uint32_t recv_least(const struct socket *so, const struct wanted *w)
{
    const struct tcb *tp = so->tp;
    if (!tp)
        return 1;
    uint32_t least = so->tls_rx ? so->tls_rx->lowat : tp->rcv.lowat;
    if (w->flags & MSG_WAITALL)
        least = w->total < tp->rcv.hiwat ? (uint32_t)w->total : tp->rcv.hiwat / 2;
    return least < w->total ? least : (uint32_t)w->total;
}

static int64_t recv_waiting(struct socket *so, const struct wanted *w)
{
    struct recv_wait wait = {so, recv_least(so, w)};
    struct engine *e = so->file.layer->e;
    so->file.refs++;
    int err = readable(&wait) ? 0 : so_wait(e, readable, &wait, socket_deadline(so, &so->rcvtimeo));
    int64_t n = recv_now(so, w);
    if (n == -EAGAIN && err && err != -ETIMEDOUT)
        n = err;
    file_put(&so->file);
    return n;
}

static int64_t recv_wanted(struct socket *so, const struct wanted *w)
{
    int err = recv_state(so);
    if (err)
        return err;
    if (w->flags & MSG_OOB)
        return -EINVAL; /* urgent data is in line (RFC 6093) */
    if (!socket_waits(so, w->flags))
        return recv_now(so, w);
    int64_t got = recv_waiting(so, w);
    if (!(w->flags & MSG_WAITALL) || (w->flags & MSG_PEEK) || w->iovcnt != 1 || w->piece)
        return got;
    while (got > 0 && (size_t)got < w->total) {
        struct iovec rest = {(char *)w->iov->iov_base + got, w->total - (size_t)got};
        int64_t n = recv_waiting(so, &(struct wanted){&rest, 1, rest.iov_len, w->flags, NULL});
        if (n <= 0)
            break;
        got += n;
    }
    return got;
}

int64_t socket_recv(struct socket *so, const struct iovec *iov, int iovcnt, int flags)
{
    return recv_wanted(so, &(struct wanted){iov, iovcnt, total_of(iov, iovcnt), flags, NULL});
}

ssize_t leat_recv(int fd, void *buf, size_t len, int flags)
{
    struct socket *so = api_socket(fd);
    struct iovec iov = {buf, len};
    return so ? api_result(socket_recv(so, &iov, 1, flags)) : -1;
}

ssize_t leat_read(int fd, void *buf, size_t len)
{
    return leat_recv(fd, buf, len, 0);
}

ssize_t leat_readv(int fd, const struct iovec *iov, int iovcnt)
{
    struct socket *so = api_socket(fd);
    if (so && (iovcnt < 0 || iovcnt > IOV_MAX))
        return api_result(-EINVAL);
    return so ? api_result(socket_recv(so, iov, iovcnt, 0)) : -1;
}

/* A connected stream gives no address (recvfrom(2)). */
ssize_t leat_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr, socklen_t *addrlen)
{
    ssize_t n = leat_recv(fd, buf, len, flags);
    if (n >= 0 && addrlen)
        *addrlen = 0;
    return n;
}

ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (msg->msg_iovlen > IOV_MAX)
        return api_result(-EMSGSIZE);
    struct tls_rx_piece piece = {0};
    struct wanted w = {msg->msg_iov, (int)msg->msg_iovlen, total_of(msg->msg_iov, (int)msg->msg_iovlen),
                       flags, socket_tls_wants_type(so, msg) ? &piece : NULL};
    int64_t n = recv_wanted(so, &w);
    if (n < 0)
        return api_result(n);
    msg->msg_namelen = 0;
    msg->msg_flags = so->tls_rx && msg->msg_controllen && !w.piece ? MSG_CTRUNC : 0;
    if (piece.type)
        socket_tls_give_type(so, msg, &piece);
    else
        msg->msg_controllen = 0;
    return n;
}

ssize_t leat_tls_recv(int fd, void *buf, size_t len, int flags, uint8_t *type)
{
    struct socket *so = api_socket(fd);
    struct iovec iov = {buf, len};
    struct tls_rx_piece piece = {0};
    if (!so)
        return -1;
    if (!so->tls_rx || !type)
        return api_result(so->tls_rx ? -EFAULT : -EINVAL);
    int64_t n = recv_wanted(so, &(struct wanted){&iov, 1, total_of(&iov, 1), flags, &piece});
    *type = piece.type;
    return api_result(n);
}
