// SPDX-License-Identifier: BSD-3-Clause
// Writing before there is a connection (RFC 7413 appendix A): sendto(2) with an address, and the first write after TCP_FASTOPEN_CONNECT.
#include <leat/leat.h>
#include "socket/socket.h"
#include "tcp/fastopen.h"

static size_t total_of(const struct iovec *iov, int iovcnt)
{
    size_t total = 0;
    for (int i = 0; i < iovcnt; i++)
        total += iov[i].iov_len;
    return total;
}

/* FreeBSD's rule: with a cookie or without, what is written is queued, and goes with the SYN or after the handshake. */
static int64_t queue(struct socket *so, const struct iovec *iov, int iovcnt, int flags, size_t total)
{
    int64_t n = total > 0 ? tcp_send(so->tp, iov, iovcnt, total, flags & MSG_MORE) : 0;
    if (n < 0 || (size_t)n == total || !socket_waits(so, flags))
        return n;
    struct iovec rest = {(char *)iov[0].iov_base + n, iov[0].iov_len - (size_t)n};
    int64_t more = iovcnt == 1 ? socket_send(so, &rest, 1, flags) : 0;
    return more > 0 ? n + more : n;
}

/* Linux's, for MSG_FASTOPEN: without a cookie it is connect(2), and nothing is queued; who blocks waits for the handshake, and hears
 * how it went. */
static int64_t connect_or_queue(struct socket *so, const struct iovec *iov, int iovcnt, int flags,
                                size_t total)
{
    bool carries = so->tp->fastopen && so->tp->fastopen->may_carry && total > 0,
         waits = socket_waits(so, flags);
    int64_t n = carries ? queue(so, iov, iovcnt, flags, total) : waits ? 0 : -EINPROGRESS;
    if (n < 0 || !waits)
        return n;
    int err = so->connecting ? socket_connect_wait(so) : 0;
    if (err)
        return err;
    return carries ? n : socket_send(so, iov, iovcnt, flags);
}

static int64_t connect_and_send(struct socket *so, const struct iovec *iov, int iovcnt, int flags,
                                const struct sockaddr *addr, socklen_t addrlen)
{
    int err = socket_connect_start(so, addr, addrlen, TCP_CONNECT_DATA);
    if (err)
        return err;
    if (fastopen_deferred(so->tp))
        fastopen_kick(so->tp);
    size_t total = total_of(iov, iovcnt);
    return flags & MSG_FASTOPEN ? connect_or_queue(so, iov, iovcnt, flags, total)
                                : queue(so, iov, iovcnt, flags, total);
}

int64_t socket_fastopen_send(struct socket *so, const struct iovec *iov, int iovcnt, int flags,
                             const struct sockaddr *addr, socklen_t addrlen)
{
    if (so->connected || so->listening)
        return so->connected ? -EISCONN : -EOPNOTSUPP;
    if (so->connecting)
        return -EALREADY;
    if (so->error)
        return socket_take_error(so);
    if (!so->tp || so->tp->started || so->tls_tx)
        return -ENOTCONN;
    if (flags & MSG_FASTOPEN) {
        struct tcp_fastopen *f = so->tp->e->tcp->fastopen;
        if (!f->params.client_enable)
            return -EOPNOTSUPP;
        so->tp->flags |= TF_FASTOPEN;
    }
    if (!(so->tp->flags & TF_FASTOPEN))
        return -ENOTCONN;
    return connect_and_send(so, iov, iovcnt, flags, addr, addrlen);
}
