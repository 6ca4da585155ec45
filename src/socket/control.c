// SPDX-License-Identifier: BSD-3-Clause
// fcntl(2), ioctl(2) and dup(2).
#include <linux/sockios.h>
#include <stdarg.h>
#include <leat/leat.h>
#include "socket/socket.h"

static struct file *file_of(struct so_layer *l, int fd)
{
    struct file *f = fd_file(l, fd);
    if (!f)
        errno = EBADF;
    return f;
}

int leat_dup(int fd)
{
    return leat_fcntl(fd, F_DUPFD, 0);
}

static int dup_from(struct so_layer *l, struct file *f, int min, bool cloexec)
{
    return min < 0 ? -EINVAL : fd_install(l, f, min, cloexec);
}

int leat_fcntl(int fd, int cmd, ...)
{
    struct so_layer *l = api_layer();
    struct file *f = l ? file_of(l, fd) : NULL;
    va_list ap;
    va_start(ap, cmd);
    int arg = va_arg(ap, int);
    va_end(ap);
    if (!f)
        return -1;
    struct fd_slot *slot = &l->fds[(uint32_t)fd - l->params.fd_base];
    switch (cmd) {
    case F_GETFL:
        return (int)(O_RDWR | f->flags);
    case F_SETFL:
        f->flags = arg & O_NONBLOCK;
        return 0;
    case F_GETFD:
        return slot->cloexec ? FD_CLOEXEC : 0;
    case F_SETFD:
        slot->cloexec = arg & FD_CLOEXEC;
        return 0;
    case F_DUPFD:
        return (int)api_result(dup_from(l, f, arg, false));
    case F_DUPFD_CLOEXEC:
        return (int)api_result(dup_from(l, f, arg, true));
    case F_SETOWN:
        return 0; /* no SIGIO comes */
    default:
        return (int)api_result(-EINVAL);
    }
}

static int ioctl_number(struct file *f, unsigned long request, int *out)
{
    if (f->ops != &socket_ops)
        return -ENOTTY;
    const struct socket *so = (struct socket *)f;
    const struct tcb *tp = so->tp;
    switch (request) {
    case FIONREAD: /* SIOCINQ */
        if (so->listening)
            return -EINVAL;
        *out = (int)socket_readable_bytes(so);
        return 0;
    case TIOCOUTQ: /* SIOCOUTQ */
        if (so->listening)
            return -EINVAL;
        *out = tp ? (int)tp->snd.bytes : 0;
        return 0;
    case SIOCATMARK:
        *out = 0;
        return 0;
    default:
        return -ENOTTY;
    }
}

int leat_ioctl(int fd, unsigned long request, ...)
{
    struct so_layer *l = api_layer();
    struct file *f = l ? file_of(l, fd) : NULL;
    va_list ap;
    va_start(ap, request);
    int *arg = va_arg(ap, int *);
    va_end(ap);
    if (!f)
        return -1;
    if (request == FIOCLEX || request == FIONCLEX)
        return leat_fcntl(fd, F_SETFD, request == FIOCLEX ? FD_CLOEXEC : 0);
    if (!arg)
        return (int)api_result(-EFAULT);
    if (request == FIONBIO) {
        f->flags = *arg ? f->flags | O_NONBLOCK : f->flags & ~(uint32_t)O_NONBLOCK;
        return 0;
    }
    if (request == FIOASYNC)
        return 0;
    return (int)api_result(ioctl_number(f, request, arg));
}
