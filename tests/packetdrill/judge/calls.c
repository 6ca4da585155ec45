// SPDX-License-Identifier: BSD-3-Clause
// packetdrill's calls on Leat's sockets. Each socket has a descriptor of the process too, for packetdrill closes what a script left open with
// the kernel's close(). Every call is made without waiting; one that would wait looks again after each event of the world.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <leat/event.h>
#include <leat/leat.h>
#include "adapter.h"

/* ---- descriptors ---- */

static int live_fd(const struct adapter *a, int fd)
{
    int live = fd >= 0 && fd < ADAPTER_FDS ? a->live[fd] : -1;
    return live;
}

/* A descriptor of the process that stands for the live one. */
static int reserve(struct adapter *a, int live)
{
    if (live < 0)
        return -1;
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC), error = errno;
    if (fd >= ADAPTER_FDS) {
        close(fd);
        fd = -1;
        error = EMFILE;
    }
    if (fd < 0) {
        leat_close(live);
        errno = error;
        return -1;
    }
    a->live[fd] = live;
    return fd;
}

/* ---- entering and leaving ---- */

static struct adapter *enter(void *userdata)
{
    struct adapter *a = userdata;
    pthread_mutex_lock(&a->lock);
    sim_enter(a->dialog->host);
    return a;
}

/* What the call caused leaves now. */
static void leave(struct adapter *a)
{
    int error = errno;
    if (pthread_equal(pthread_self(), a->main))
        adapter_run_until(a, adapter_now(a));
    pthread_mutex_unlock(&a->lock);
    errno = error;
}

static bool would_wait(ssize_t result)
{
    return result < 0 && (errno == EAGAIN || errno == EINPROGRESS || errno == EALREADY);
}

/* Lets the world go on by an event. False: the call has waited long enough. */
static bool wait_an_event(struct adapter *a, uint64_t horizon)
{
    if (pthread_equal(pthread_self(), a->main)) {
        bool more = adapter_step(a, horizon);
        sim_enter(a->dialog->host);
        return more;
    }
    a->waiting = pthread_self();
    a->waiter = WAITER_ASLEEP;
    pthread_cond_broadcast(&a->turn);
    while (a->waiter == WAITER_ASLEEP)
        pthread_cond_wait(&a->turn, &a->lock);
    sim_enter(a->dialog->host);
    return adapter_now(a) < horizon;
}

/* A call with its arguments, as often as it takes. */
struct attempt {
    ssize_t (*once)(int live, const struct attempt *args);
    const void *addr;
    void *buf;
    size_t n;
    int flags;
    socklen_t len;
};

static ssize_t make(void *userdata, int fd, const struct attempt *args)
{
    struct adapter *a = enter(userdata);
    int live = live_fd(a, fd), status = live >= 0 ? leat_fcntl(live, F_GETFL) : -1;
    bool waits = status >= 0 && !(status & O_NONBLOCK);
    uint64_t horizon = adapter_now(a) + ADAPTER_HORIZON;
    if (waits)
        leat_fcntl(live, F_SETFL, status | O_NONBLOCK);
    ssize_t result = args->once(live, args);
    while (waits && would_wait(result) && wait_an_event(a, horizon))
        result = args->once(live, args);
    int error = errno;
    if (waits)
        leat_fcntl(live, F_SETFL, status);
    errno = error;
    leave(a);
    return result;
}

/* ---- life of a socket ---- */

static int do_socket(void *userdata, int domain, int type, int protocol)
{
    struct adapter *a = enter(userdata);
    int fd = reserve(a, leat_socket(domain, type, protocol));
    leave(a);
    return fd;
}

static int do_bind(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct adapter *a = enter(userdata);
    int result = leat_bind(live_fd(a, fd), addr, len);
    leave(a);
    return result;
}

static int do_listen(void *userdata, int fd, int backlog)
{
    struct adapter *a = enter(userdata);
    int result = leat_listen(live_fd(a, fd), backlog);
    leave(a);
    return result;
}

static ssize_t accept_once(int live, const struct attempt *t)
{
    return leat_accept(live, t->buf, (socklen_t *)t->addr);
}

static int do_accept(void *userdata, int fd, struct sockaddr *addr, socklen_t *len)
{
    struct attempt t = {.once = accept_once, .buf = addr, .addr = len};
    int live = (int)make(userdata, fd, &t), error = errno;
    struct adapter *a = enter(userdata);
    errno = error;
    int result = reserve(a, live);
    leave(a);
    return result;
}

static ssize_t connect_once(int live, const struct attempt *t)
{
    int result = leat_connect(live, t->addr, t->len);
    return result < 0 && errno == EISCONN && t->flags ? 0 : result;
}

static int do_connect(void *userdata, int fd, const struct sockaddr *addr, socklen_t len)
{
    struct attempt t = {.once = connect_once, .addr = addr, .len = len};
    struct adapter *a = enter(userdata);
    struct sockaddr_storage peer;
    socklen_t peer_len = sizeof(peer);
    int live = live_fd(a, fd);
    /* A second connect() that says EISCONN ends the first one's wait; one on a connected socket is an error. */
    t.flags = live >= 0 && leat_getpeername(live, (struct sockaddr *)&peer, &peer_len) < 0;
    leave(a);
    return (int)make(userdata, fd, &t);
}

static int do_close(void *userdata, int fd)
{
    struct adapter *a = enter(userdata);
    int result = leat_close(live_fd(a, fd)), error = errno;
    if (live_fd(a, fd) >= 0) {
        a->live[fd] = -1;
        close(fd);
    }
    errno = error;
    leave(a);
    return result;
}

static int do_shutdown(void *userdata, int fd, int how)
{
    struct adapter *a = enter(userdata);
    int result = leat_shutdown(live_fd(a, fd), how);
    leave(a);
    return result;
}

/* ---- data ---- */

static ssize_t recv_once(int live, const struct attempt *t)
{
    return leat_recv(live, t->buf, t->n, t->flags);
}
static ssize_t readv_once(int live, const struct attempt *t)
{
    return leat_readv(live, t->addr, (int)t->n);
}
static ssize_t recvmsg_once(int live, const struct attempt *t)
{
    return leat_recvmsg(live, t->buf, t->flags);
}
static ssize_t send_once(int live, const struct attempt *t)
{
    return leat_send(live, t->addr, t->n, t->flags | MSG_NOSIGNAL);
}
static ssize_t writev_once(int live, const struct attempt *t)
{
    return leat_writev(live, t->addr, (int)t->n);
}
static ssize_t sendmsg_once(int live, const struct attempt *t)
{
    return leat_sendmsg(live, t->addr, t->flags | MSG_NOSIGNAL);
}
static ssize_t sendto_once(int live, const struct attempt *t)
{
    return leat_sendto(live, t->buf, t->n, t->flags | MSG_NOSIGNAL, t->addr, t->len);
}

static ssize_t do_read(void *userdata, int fd, void *buf, size_t n)
{
    struct attempt t = {.once = recv_once, .buf = buf, .n = n};
    return make(userdata, fd, &t);
}
static ssize_t do_readv(void *userdata, int fd, const struct iovec *iov, int n)
{
    struct attempt t = {.once = readv_once, .addr = iov, .n = (size_t)n};
    return make(userdata, fd, &t);
}
static ssize_t do_recv(void *userdata, int fd, void *buf, size_t n, int flags)
{
    struct attempt t = {.once = recv_once, .buf = buf, .n = n, .flags = flags};
    return make(userdata, fd, &t);
}
static ssize_t do_recvfrom(void *userdata, int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                           socklen_t *len)
{
    if (len)
        *len = 0; /* recvfrom(2) on a connection says nothing of the sender */
    return do_recv(userdata, fd, buf, n, flags);
}
static ssize_t do_recvmsg(void *userdata, int fd, struct msghdr *msg, int flags)
{
    struct attempt t = {.once = recvmsg_once, .buf = msg, .flags = flags};
    return make(userdata, fd, &t);
}
static ssize_t do_write(void *userdata, int fd, const void *buf, size_t n)
{
    struct attempt t = {.once = send_once, .addr = buf, .n = n};
    return make(userdata, fd, &t);
}
static ssize_t do_writev(void *userdata, int fd, const struct iovec *iov, int n)
{
    struct attempt t = {.once = writev_once, .addr = iov, .n = (size_t)n};
    return make(userdata, fd, &t);
}
static ssize_t do_send(void *userdata, int fd, const void *buf, size_t n, int flags)
{
    struct attempt t = {.once = send_once, .addr = buf, .n = n, .flags = flags};
    return make(userdata, fd, &t);
}
static ssize_t do_sendto(void *userdata, int fd, const void *buf, size_t n, int flags,
                         const struct sockaddr *addr, socklen_t len)
{
    struct attempt t = {
        .once = sendto_once, .buf = (void *)(uintptr_t)buf, .n = n, .flags = flags, .addr = addr, .len = len};
    return make(userdata, fd, &t);
}
static ssize_t do_sendmsg(void *userdata, int fd, const struct msghdr *msg, int flags)
{
    struct attempt t = {.once = sendmsg_once, .addr = msg, .flags = flags};
    return make(userdata, fd, &t);
}

/* ---- control ---- */

static int do_fcntl(void *userdata, int fd, int cmd, ...)
{
    va_list ap;
    va_start(ap, cmd);
    int arg = cmd == F_SETFL ? va_arg(ap, int) : 0;
    va_end(ap);
    struct adapter *a = enter(userdata);
    int result = leat_fcntl(live_fd(a, fd), cmd, arg);
    leave(a);
    return result;
}

static int do_ioctl(void *userdata, int fd, unsigned long request, ...)
{
    va_list ap;
    va_start(ap, request);
    void *arg = va_arg(ap, void *);
    va_end(ap);
    struct adapter *a = enter(userdata);
    int result = leat_ioctl(live_fd(a, fd), request, arg);
    leave(a);
    return result;
}

static int do_getsockopt(void *userdata, int fd, int level, int name, void *val, socklen_t *len)
{
    struct adapter *a = enter(userdata);
    int result = leat_getsockopt(live_fd(a, fd), level, name, val, len);
    leave(a);
    return result;
}

static int do_setsockopt(void *userdata, int fd, int level, int name, const void *val, socklen_t len)
{
    struct adapter *a = enter(userdata);
    int result = leat_setsockopt(live_fd(a, fd), level, name, val, len);
    leave(a);
    return result;
}

/* ---- waiting for events ---- */

/* Asks at once, then after each event until the time is over. ms -1: no end but the horizon. */
static int poll_until(struct adapter *a, int (*once)(void *arg), void *arg, int ms)
{
    uint64_t wait = ms < 0 ? ADAPTER_HORIZON : (uint64_t)ms * 1000000ull, end = adapter_now(a) + wait;
    int result = once(arg);
    while (result == 0 && ms != 0 && wait_an_event(a, end))
        result = once(arg);
    return result;
}

struct poll_args {
    struct pollfd *fds;
    nfds_t n;
};

static int poll_once(void *arg)
{
    struct poll_args *p = arg;
    return leat_poll(p->fds, p->n, 0);
}

static int do_poll(void *userdata, struct pollfd *fds, nfds_t n, int timeout)
{
    struct pollfd live[64];
    if (n > 64) {
        errno = EINVAL;
        return -1;
    }
    struct adapter *a = enter(userdata);
    for (nfds_t i = 0; i < n; i++)
        live[i] = (struct pollfd){.fd = live_fd(a, fds[i].fd), .events = fds[i].events};
    struct poll_args args = {live, n};
    int result = poll_until(a, poll_once, &args, timeout);
    for (nfds_t i = 0; i < n; i++)
        fds[i].revents = live[i].revents;
    leave(a);
    return result;
}

static int do_epoll_create(void *userdata, int size)
{
    struct adapter *a = enter(userdata);
    int fd = reserve(a, leat_epoll_create(size));
    leave(a);
    return fd;
}

static int do_epoll_ctl(void *userdata, int epfd, int op, int fd, struct epoll_event *event)
{
    struct adapter *a = enter(userdata);
    int result = leat_epoll_ctl(live_fd(a, epfd), op, live_fd(a, fd), event);
    leave(a);
    return result;
}

struct epoll_args {
    int epfd, max;
    struct epoll_event *events;
};

static int epoll_once(void *arg)
{
    struct epoll_args *e = arg;
    return leat_epoll_wait(e->epfd, e->events, e->max, 0);
}

static int do_epoll_wait(void *userdata, int epfd, struct epoll_event *events, int max, int timeout)
{
    struct adapter *a = enter(userdata);
    struct epoll_args args = {live_fd(a, epfd), max, events};
    int result = poll_until(a, epoll_once, &args, timeout);
    leave(a);
    return result;
}

/* ---- what Leat has not ---- */

static int do_pipe(void *userdata, int fds[2])
{
    return pipe(fds);
}

static int do_splice(void *userdata, int in, loff_t *in_off, int out, loff_t *out_off, size_t n,
                     unsigned flags)
{
    errno = ENOSYS;
    return -1;
}

void adapter_calls(struct packetdrill_interface *ifc)
{
    ifc->socket = do_socket;
    ifc->bind = do_bind;
    ifc->listen = do_listen;
    ifc->accept = do_accept;
    ifc->connect = do_connect;
    ifc->read = do_read;
    ifc->readv = do_readv;
    ifc->recv = do_recv;
    ifc->recvfrom = do_recvfrom;
    ifc->recvmsg = do_recvmsg;
    ifc->write = do_write;
    ifc->writev = do_writev;
    ifc->send = do_send;
    ifc->sendto = do_sendto;
    ifc->sendmsg = do_sendmsg;
    ifc->fcntl = do_fcntl;
    ifc->ioctl = do_ioctl;
    ifc->close = do_close;
    ifc->shutdown = do_shutdown;
    ifc->getsockopt = do_getsockopt;
    ifc->setsockopt = do_setsockopt;
    ifc->poll = do_poll;
    ifc->epoll_create = do_epoll_create;
    ifc->epoll_ctl = do_epoll_ctl;
    ifc->epoll_wait = do_epoll_wait;
    ifc->pipe = do_pipe;
    ifc->splice = do_splice;
}
