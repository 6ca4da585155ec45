// SPDX-License-Identifier: BSD-3-Clause
// poll(2). The bits of POLL* and EPOLL* agree.
#include <leat/leat.h>
#include "socket/socket.h"

struct polled {
    struct so_layer *l;
    struct pollfd *fds;
    nfds_t n;
    int ready;
};

static bool look(void *arg)
{
    struct polled *p = arg;
    p->ready = 0;
    for (nfds_t i = 0; i < p->n; i++) {
        struct pollfd *pfd = &p->fds[i];
        struct file *f = pfd->fd < 0 ? NULL : fd_file(p->l, pfd->fd);
        pfd->revents = 0;
        if (pfd->fd < 0)
            continue;
        if (f)
            pfd->revents = (short)(f->ops->poll(f) & ((uint32_t)(uint16_t)pfd->events | POLLERR | POLLHUP));
        else
            pfd->revents = POLLNVAL;
        p->ready += pfd->revents != 0;
    }
    return p->ready > 0;
}

int leat_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms)
{
    struct so_layer *l = api_layer();
    if (!l)
        return -1;
    struct polled p = {l, fds, nfds, 0};
    if (look(&p) || timeout_ms == 0)
        return p.ready;
    uint64_t deadline = timeout_ms < 0 ? TIME_NEVER : l->e->now + (uint64_t)timeout_ms * NS_PER_MS;
    int err = so_wait(l->e, look, &p, deadline);
    return err && err != -ETIMEDOUT ? (int)api_result(err) : p.ready;
}
