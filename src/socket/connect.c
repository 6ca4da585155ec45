// SPDX-License-Identifier: BSD-3-Clause
// Making, naming and connecting sockets.
#include <leat/leat.h>
#include "socket/socket.h"
#include "tcp/fastopen.h"
#include "tcp/log.h"
#include "tls/tls.h"

int leat_socket(int domain, int type, int protocol)
{
    struct so_layer *l = api_layer();
    int kind = type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (!l)
        return -1;
    if (domain != AF_INET && domain != AF_INET6)
        return (int)api_result(-EAFNOSUPPORT);
    if (kind != SOCK_STREAM || (protocol != 0 && protocol != IPPROTO_TCP))
        return (int)api_result(kind == SOCK_STREAM || kind == SOCK_DGRAM ? -EPROTONOSUPPORT : -EINVAL);
    struct socket *so = socket_new(l, (uint16_t)domain);
    if (!so)
        return (int)api_result(-ENFILE);
    so->tp = tcp_new(l->e, &socket_upcalls, so);
    if (!so->tp) {
        pool_put(&l->sockets, so);
        return (int)api_result(-ENOBUFS);
    }
    so->file.flags = type & SOCK_NONBLOCK ? O_NONBLOCK : 0;
    int fd = fd_install(l, &so->file, 0, type & SOCK_CLOEXEC);
    if (fd < 0)
        socket_ops.close(&so->file);
    return (int)api_result(fd);
}

int leat_close(int fd)
{
    struct so_layer *l = api_layer();
    return l ? (int)api_result(fd_close(l, fd)) : -1;
}

int leat_bind(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
    struct socket *so = api_socket(fd);
    struct ip_addr a;
    uint16_t port;
    uint32_t scope;
    if (!so)
        return -1;
    int err = sockaddr_read(so, addr, addrlen, &a, &port, &scope);
    if (!err && !so->tp)
        err = -EINVAL;
    if (!err && scope)
        so->tp->scope_index = scope;
    if (!err)
        err = tcp_bind(so->tp, &a, port, so->bind_flags);
    if (!err) {
        so->laddr = a;
        so->lport = so->tp->lport;
    }
    return (int)api_result(err);
}

int leat_listen(int fd, int backlog)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    bool may = so->tp && !so->connected && !so->connecting;
    int err = may ? tcp_log_pru(so->tp, PRU_LISTEN, tcp_listen(so->tp, backlog, so->bind_flags)) : -EINVAL;
    if (!err) {
        so->listening = true;
        so->laddr = so->tp->laddr;
        so->lport = so->tp->lport;
    }
    return (int)api_result(err);
}

static bool settled(void *arg)
{
    const struct socket *so = arg;
    return !so->connecting;
}

int socket_connect_wait(struct socket *so)
{
    struct so_layer *l = so->file.layer;
    so->file.refs++;
    int err = so_wait(l->e, settled, so, socket_deadline(so, &so->sndtimeo));
    if (err == -ETIMEDOUT)
        err = -EINPROGRESS;
    if (!err && so->error)
        err = socket_take_error(so);
    file_put(&so->file);
    return err;
}

int socket_connect_start(struct socket *so, const struct sockaddr *addr, socklen_t addrlen, unsigned flags)
{
    uint32_t scope;
    int err = sockaddr_read(so, addr, addrlen, &so->faddr, &so->fport, &scope);
    if (err)
        return err;
    if (ip_addr_is_any(&so->faddr)) /* "this host" */
        so->faddr = so->family == AF_INET || ip_addr_is_v4(&so->faddr) ? ip_addr_v4(htonl(INADDR_LOOPBACK))
                                                                       : ip_addr_v6(&in6addr_loopback);
    if (scope)
        so->tp->scope_index = scope;
    err = tcp_connect(so->tp, &so->faddr, so->fport, so->bind_flags | flags);
    tcp_log_pru(so->tp, PRU_CONNECT, err);
    if (err)
        return err;
    so->connecting = true;
    so->laddr = so->tp->laddr;
    so->lport = so->tp->lport;
    return 0;
}

int leat_connect(int fd, const struct sockaddr *addr, socklen_t addrlen)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (so->listening)
        return (int)api_result(-EOPNOTSUPP);
    if (so->connected)
        return (int)api_result(-EISCONN);
    if (so->error)
        return (int)api_result(socket_take_error(so));
    if (so->connecting)
        return (int)api_result(-EALREADY);
    bool defer = so->tp && so->tp->fastopen && so->tp->fastopen->may_defer;
    int err = so->tp && !so->tp->started
                  ? socket_connect_start(so, addr, addrlen, defer ? TCP_CONNECT_DATA : 0)
                  : -ECONNABORTED;
    if (!err && fastopen_deferred(so->tp)) { /* there is a cookie: the SYN goes with the first write */
        so->connecting = false;
        so->connected = true;
    } else if (!err)
        err = socket_waits(so, 0) ? socket_connect_wait(so) : -EINPROGRESS;
    return (int)api_result(err);
}

static bool has_connection(void *arg)
{
    const struct socket *so = arg;
    return !so->tp || so->tp->listen->n_complete > 0;
}

static int accept_one(struct so_layer *l, struct socket *listener, struct sockaddr *addr, socklen_t *addrlen,
                      int flags)
{
    if (!listener->tp || listener->tp->listen->n_complete == 0)
        return -EAGAIN;
    struct socket *so = socket_new(l, listener->family);
    if (!so)
        return -ENFILE;
    so->bind_flags = listener->bind_flags;
    so->file.flags = flags & SOCK_NONBLOCK ? O_NONBLOCK : 0; /* not inherited: accept(2) of Linux */
    int fd = fd_install(l, &so->file, 0, flags & SOCK_CLOEXEC);
    if (fd < 0) { /* the connection waits on in the queue */
        pool_put(&l->sockets, so);
        return fd;
    }
    socket_take(so, tcp_accept(listener->tp));
    so->linger_s = listener->linger_s;
    sockaddr_write(so, &so->faddr, so->fport, so->tp->scope_index, addr, addrlen);
    return fd;
}

int leat_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags)
{
    struct socket *so = api_socket(fd);
    int err = 0;
    if (!so)
        return -1;
    if (!so->listening || (flags & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) || (addr && addrlen && (int)*addrlen < 0))
        return (int)api_result(-EINVAL);
    struct so_layer *l = so->file.layer;
    if (socket_waits(so, 0) && !has_connection(so)) {
        so->file.refs++;
        err = so_wait(l->e, has_connection, so, socket_deadline(so, &so->rcvtimeo));
        if (!err)
            err = accept_one(l, so, addr, addrlen, flags);
        file_put(&so->file);
        return (int)api_result(err == -ETIMEDOUT ? -EAGAIN : err);
    }
    return (int)api_result(accept_one(l, so, addr, addrlen, flags));
}

int leat_accept(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
    return leat_accept4(fd, addr, addrlen, 0);
}

int leat_shutdown(int fd, int how)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (how < SHUT_RD || how > SHUT_RDWR)
        return (int)api_result(-EINVAL);
    if (!so->connected || !so->tp || so->tp->state == TCPS_CLOSED || so->tp->state == TCPS_TIME_WAIT)
        return (int)api_result(-ENOTCONN);
    uint32_t events = 0;
    if (how != SHUT_WR) {
        so->cant_read = true;
        so->tp->flags |= TF_CANTRCVMORE;
        events |= EPOLLIN | EPOLLRDHUP;
    }
    if (how != SHUT_RD) {
        so->cant_send = true;
        if (so->tls_tx)
            tls_tx_flush(so->tls_tx, so->tp);
        tcp_log_pru(so->tp, PRU_SHUTDOWN, tcp_shutdown_write(so->tp));
        events |= EPOLLOUT;
    }
    if (so->cant_send && socket_eof(so))
        events |= EPOLLHUP;
    file_notify(&so->file, events);
    return 0;
}

int leat_getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    struct ip_addr local = so->laddr;
    if (so->family == AF_INET && !ip_addr_is_v4(&local))
        local = ip_addr_v4(INADDR_ANY);
    if (!addr || !addrlen)
        return (int)api_result(-EFAULT);
    if ((int)*addrlen < 0)
        return (int)api_result(-EINVAL);
    sockaddr_write(so, &local, so->lport, so->tp ? so->tp->scope_index : 0, addr, addrlen);
    return 0;
}

int leat_getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (!addr || !addrlen)
        return (int)api_result(-EFAULT);
    if ((int)*addrlen < 0)
        return (int)api_result(-EINVAL);
    if (!so->connected || !so->tp || so->tp->state == TCPS_CLOSED || so->tp->state == TCPS_TIME_WAIT)
        return (int)api_result(-ENOTCONN);
    sockaddr_write(so, &so->faddr, so->fport, so->tp->scope_index, addr, addrlen);
    return 0;
}
