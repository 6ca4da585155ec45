// SPDX-License-Identifier: BSD-3-Clause
// Reading: bytes are copied out of the receive queue.
#include <limits.h>
#include <string.h>
#include <leat/leat.h>
#include "socket/socket.h"

struct wanted {
    struct socket *so;
    uint32_t bytes;
};

static bool readable(void *arg)
{
    const struct wanted *w = arg;
    const struct socket *so = w->so;
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
    return 0;
}

/* What is there, up to total bytes: > 0; 0 at the end; -EAGAIN; or the socket's error, after the data that came before it. */
static int64_t recv_now(struct socket *so, const struct iovec *iov, int iovcnt, size_t total, int flags)
{
    struct tcb *tp = so->tp;
    uint32_t there = tp && !so->cant_read ? tp->rcv.bytes : 0;
    if (there > 0 && total > 0) {
        uint32_t n = there < total ? there : (uint32_t)total;
        if (!(flags & MSG_TRUNC)) /* with it a stream's bytes are thrown away (tcp(7) of Linux) */
            n = copy_out(tp, iov, iovcnt, n);
        if (!(flags & MSG_PEEK))
            take(tp, n);
        return n;
    }
    if (so->error)
        return socket_take_error(so);
    return total == 0 || socket_eof(so) ? 0 : -EAGAIN;
}

static int64_t recv_waiting(struct socket *so, const struct iovec *iov, int iovcnt, size_t total, int flags)
{
    uint32_t least = so->tp ? so->tp->rcv.lowat : 1;
    if ((flags & MSG_WAITALL) && so->tp)
        least = total < so->tp->rcv.hiwat ? (uint32_t)total : so->tp->rcv.hiwat / 2;
    struct wanted w = {so, least < total ? least : (uint32_t)total};
    struct engine *e = so->file.layer->e;
    so->file.refs++;
    int err = readable(&w) ? 0 : so_wait(e, readable, &w, socket_deadline(so, &so->rcvtimeo));
    int64_t n = recv_now(so, iov, iovcnt, total, flags);
    if (n == -EAGAIN && err && err != -ETIMEDOUT)
        n = err;
    file_put(&so->file);
    return n;
}

int64_t socket_recv(struct socket *so, const struct iovec *iov, int iovcnt, int flags)
{
    size_t total = total_of(iov, iovcnt);
    int err = recv_state(so);
    if (err)
        return err;
    if (flags & MSG_OOB)
        return -EINVAL; /* urgent data is in line (RFC 6093) */
    if (!socket_waits(so, flags))
        return recv_now(so, iov, iovcnt, total, flags);
    int64_t got = recv_waiting(so, iov, iovcnt, total, flags);
    /* MSG_WAITALL beyond what the buffer can hold comes in several helpings. */
    while ((flags & MSG_WAITALL) && !(flags & MSG_PEEK) && got > 0 && (size_t)got < total && iovcnt == 1) {
        struct iovec rest = {(char *)iov->iov_base + got, total - (size_t)got};
        int64_t n = recv_waiting(so, &rest, 1, rest.iov_len, flags);
        if (n <= 0)
            break;
        got += n;
    }
    return got;
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
    int64_t n = socket_recv(so, msg->msg_iov, (int)msg->msg_iovlen, flags);
    if (n >= 0) {
        msg->msg_namelen = 0;
        msg->msg_controllen = 0;
        msg->msg_flags = 0;
    }
    return api_result(n);
}
