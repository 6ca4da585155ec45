// SPDX-License-Identifier: BSD-3-Clause
// Descriptors: numbers of one engine that refer to files.
#include <string.h>
#include "base/alloc.h"
#include "socket/socket.h"

void file_init(struct file *f, const struct file_ops *ops, struct so_layer *l)
{
    *f = (struct file){.ops = ops, .layer = l};
    TAILQ_INIT(&f->watches);
}

void file_notify(struct file *f, uint32_t events)
{
    struct watch *w, *next;
    TAILQ_FOREACH_SAFE (w, &f->watches, link, next)
        w->notify(w, events);
}

void file_put(struct file *f)
{
    struct watch *w;
    if (--f->refs > 0)
        return;
    while ((w = TAILQ_FIRST(&f->watches)) != NULL) {
        file_unwatch(w);
        w->gone(w);
    }
    f->ops->close(f);
}

static int table_grow(struct so_layer *l)
{
    uint32_t n = l->n_fds ? 2 * l->n_fds : 256;
    if (n > l->params.maxsockets)
        n = l->params.maxsockets;
    if (n <= l->n_fds)
        return -EMFILE;
    struct fd_slot *fds = mem_alloc(n * sizeof(*fds));
    if (!fds)
        return -EMFILE;
    if (l->n_fds > 0)
        memcpy(fds, l->fds, l->n_fds * sizeof(*fds));
    mem_free(l->fds);
    l->fds = fds;
    l->n_fds = n;
    return 0;
}

/* POSIX: the lowest number that is free. The hint keeps the search short. */
int fd_install(struct so_layer *l, struct file *f, int min, bool cloexec)
{
    uint32_t i = l->fd_hint, base = l->params.fd_base;
    if (min > (int)(base + i))
        i = (uint32_t)min - base;
    for (;; i++) {
        while (i >= l->n_fds) {
            if (table_grow(l) < 0) {
                l->stats.enfile++;
                return -EMFILE;
            }
        }
        if (!l->fds[i].file)
            break;
    }
    if (i == l->fd_hint)
        l->fd_hint = i + 1;
    l->fds[i] = (struct fd_slot){f, cloexec};
    f->refs++;
    return (int)(base + i);
}

static struct fd_slot *slot(struct so_layer *l, int fd)
{
    uint32_t i = (uint32_t)fd - l->params.fd_base;
    return i < l->n_fds && l->fds[i].file ? &l->fds[i] : NULL;
}

struct file *fd_file(struct so_layer *l, int fd)
{
    struct fd_slot *s = slot(l, fd);
    return s ? s->file : NULL;
}

int fd_close(struct so_layer *l, int fd)
{
    struct fd_slot *s = slot(l, fd);
    if (!s)
        return -EBADF;
    struct file *f = s->file;
    *s = (struct fd_slot){0};
    if ((uint32_t)(s - l->fds) < l->fd_hint)
        l->fd_hint = (uint32_t)(s - l->fds);
    file_put(f);
    return 0;
}

struct socket *fd_socket(struct so_layer *l, int fd, int *err)
{
    struct file *f = fd_file(l, fd);
    if (f && f->ops == &socket_ops)
        return (struct socket *)f;
    *err = f ? -ENOTSOCK : -EBADF;
    return NULL;
}
