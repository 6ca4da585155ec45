// SPDX-License-Identifier: BSD-3-Clause
// Writing: bytes are copied into the send buffer.
#include <limits.h>
#include <signal.h>
#include <leat/leat.h>
#include "socket/socket.h"
#include "tls/tls.h"

int socket_send_state(struct socket *so)
{
    if (so->error)
        return socket_take_error(so);
    if (so->cant_send)
        return -EPIPE;
    if (so->connecting)
        return -EAGAIN;
    if (!so->connected)
        return -ENOTCONN;
    return so->tp ? 0 : -EPIPE;
}

struct send_wait {
    const struct socket *so;
    uint32_t space; /* wanted */
};

static bool writable(void *arg)
{
    const struct send_wait *w = arg;
    const struct socket *so = w->so;
    if (so->connecting)
        return false;
    return so->error || so->cant_send || !so->tp || so->tp->state == TCPS_CLOSED ||
           sendbuf_space(&so->tp->snd) >= w->space;
}

/* A TLS record of a type of its own goes whole or not at all; others are worth framing from so->tp->snd.lowat on. */
static uint32_t space_wanted(const struct socket *so, size_t len, uint8_t type)
{
    if (!so->tls_tx || !so->tp)
        return 1;
    return type ? (uint32_t)len + ((uint32_t)len / so->tls_tx->max_frame + 1) * TLS_OVERHEAD_MAX
                : so->tp->snd.lowat;
}

/* The rest of iov from byte skip on; tmp has room for iovcnt. */
static int rest_of(const struct iovec *iov, int iovcnt, size_t skip, struct iovec *tmp)
{
    int n = 0;
    for (int i = 0; i < iovcnt; i++) {
        if (skip >= iov[i].iov_len) {
            skip -= iov[i].iov_len;
            continue;
        }
        tmp[n].iov_base = (char *)iov[i].iov_base + skip;
        tmp[n++].iov_len = iov[i].iov_len - skip;
        skip = 0;
    }
    return n;
}

static int64_t send_some(struct socket *so, const struct iovec *iov, int iovcnt, size_t len, int flags,
                         uint8_t type)
{
    int err = socket_send_state(so);
    if (err)
        return err;
    if (so->tls_tx)
        return tls_tx_send(so->tls_tx, so->tp, iov, iovcnt, len, type ? type : TLS_RLTYPE_APP, type != 0,
                           flags & MSG_MORE);
    return tcp_send(so->tp, iov, iovcnt, len, flags & MSG_MORE);
}

static int64_t send_waiting(struct socket *so, const struct iovec *iov, int iovcnt, size_t total, int flags,
                            uint8_t type)
{
    uint64_t deadline = socket_deadline(so, &so->sndtimeo);
    struct iovec tmp[IOV_MAX];
    size_t done = 0;
    so->file.refs++;
    int64_t n = 0;
    while (done < total) {
        int parts = rest_of(iov, iovcnt, done, tmp);
        n = send_some(so, tmp, parts, total - done, flags, type);
        if (n > 0) {
            done += (size_t)n;
            continue;
        }
        if (n != -EAGAIN)
            break;
        struct send_wait w = {so, space_wanted(so, total, type)};
        n = so_wait(so->file.layer->e, writable, &w, deadline);
        if (n < 0)
            break;
    }
    file_put(&so->file);
    if (done > 0)
        return (int64_t)done;
    return n == -ETIMEDOUT ? -EAGAIN : n;
}

int64_t socket_send_type(struct socket *so, const struct iovec *iov, int iovcnt, int flags, uint8_t type)
{
    size_t total = 0;
    for (int i = 0; i < iovcnt; i++)
        total += iov[i].iov_len;
    if (flags & MSG_OOB)
        return -EOPNOTSUPP;
    int64_t n;
    if (total == 0 && !so->tls_tx)
        n = socket_send_state(so);
    else if (total > 0 && socket_waits(so, flags))
        n = send_waiting(so, iov, iovcnt, total, flags, type);
    else
        n = send_some(so, iov, iovcnt, total, flags, type);
    if (n == -EPIPE && !(flags & MSG_NOSIGNAL))
        raise(SIGPIPE);
    return n;
}

int64_t socket_send(struct socket *so, const struct iovec *iov, int iovcnt, int flags)
{
    return socket_send_type(so, iov, iovcnt, flags, 0);
}

ssize_t leat_send(int fd, const void *buf, size_t len, int flags)
{
    struct socket *so = api_socket(fd);
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    return so ? api_result(socket_send(so, &iov, 1, flags)) : -1;
}

ssize_t leat_write(int fd, const void *buf, size_t len)
{
    return leat_send(fd, buf, len, 0);
}

ssize_t leat_writev(int fd, const struct iovec *iov, int iovcnt)
{
    struct socket *so = api_socket(fd);
    if (so && (iovcnt < 0 || iovcnt > IOV_MAX))
        return api_result(-EINVAL);
    return so ? api_result(socket_send(so, iov, iovcnt, 0)) : -1;
}

/* Linux: MSG_FASTOPEN is not looked at once there is a connection, nor the address with it. */
static bool fastopen_late(const struct socket *so, int flags)
{
    return (flags & MSG_FASTOPEN) && so->connected;
}

/* Without a connection there is nobody to send to. */
ssize_t leat_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                    socklen_t addrlen)
{
    struct socket *so = api_socket(fd);
    struct iovec iov = {(void *)(uintptr_t)buf, len};
    if (so && addr && so->connected && !fastopen_late(so, flags))
        return api_result(-EISCONN);
    if (so && addr && !so->connected && socket_fastopen(so, flags))
        return api_result(socket_fastopen_send(so, &iov, 1, flags, addr, addrlen));
    return so ? leat_send(fd, buf, len, flags & ~MSG_FASTOPEN) : -1;
}

ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (msg->msg_iovlen > IOV_MAX)
        return api_result(-EMSGSIZE);
    if (msg->msg_name && !fastopen_late(so, flags) && socket_fastopen(so, flags))
        return api_result(socket_fastopen_send(so, msg->msg_iov, (int)msg->msg_iovlen, flags, msg->msg_name,
                                               msg->msg_namelen));
    int type = msg->msg_controllen ? socket_tls_cmsg(so, msg) : 0;
    if (type < 0)
        return api_result(type);
    return api_result(socket_send_type(so, msg->msg_iov, (int)msg->msg_iovlen, flags, (uint8_t)type));
}
