// SPDX-License-Identifier: BSD-3-Clause
// epoll(7). An item watches its file and stands in the ready list while it may have something to report; waiting costs what is ready,
// not what is watched.
#include <string.h>
#include <leat/event.h>
#include "base/alloc.h"
#include "socket/socket.h"

#define ALWAYS  (EPOLLERR | EPOLLHUP)
#define MODES   (EPOLLET | EPOLLONESHOT | EPOLLWAKEUP | EPOLLEXCLUSIVE)
#define NESTING 5

struct item {
    struct watch watch; /* first */
    TAILQ_ENTRY(item) link;
    TAILQ_ENTRY(item) ready_link;
    struct epoll *ep;
    int fd;
    bool ready;
    struct epoll_event ev;
};
TAILQ_HEAD(item_list, item);

struct epoll {
    struct file file; /* first */
    struct item_list all, ready;
    struct item **by_fd; /* index: fd - fd_base */
    uint32_t n_by_fd;
};

static void item_ready(struct item *it)
{
    struct epoll *ep = it->ep;
    if (it->ready)
        return;
    it->ready = true;
    TAILQ_INSERT_TAIL(&ep->ready, it, ready_link);
    if (!TAILQ_EMPTY(&ep->file.watches))
        file_notify(&ep->file, EPOLLIN);
}

static void item_unready(struct item *it)
{
    if (!it->ready)
        return;
    it->ready = false;
    TAILQ_REMOVE(&it->ep->ready, it, ready_link);
}

/* Disabled by EPOLLONESHOT: nothing but the modes is left. */
static bool enabled(const struct item *it)
{
    return it->ev.events & ~(uint32_t)MODES;
}

static uint32_t wanted(const struct item *it)
{
    return (it->ev.events & ~(uint32_t)MODES) | ALWAYS;
}

static void item_notify(struct watch *w, uint32_t events)
{
    struct item *it = (struct item *)w;
    if (enabled(it) && (events & wanted(it)))
        item_ready(it);
}

static void item_free(struct item *it)
{
    struct epoll *ep = it->ep;
    struct so_layer *l = ep->file.layer;
    item_unready(it);
    file_unwatch(&it->watch);
    TAILQ_REMOVE(&ep->all, it, link);
    ep->by_fd[(uint32_t)it->fd - l->params.fd_base] = NULL;
    pool_put(&l->items, it);
}

static void item_gone(struct watch *w)
{
    item_free((struct item *)w);
}

static uint32_t epoll_poll(struct file *f)
{
    struct epoll *ep = (struct epoll *)f;
    struct item *it;
    TAILQ_FOREACH (it, &ep->ready, ready_link) {
        struct file *watched = it->watch.file;
        if (watched->ops->poll(watched) & wanted(it))
            return EPOLLIN;
    }
    return 0;
}

static void epoll_close(struct file *f)
{
    struct epoll *ep = (struct epoll *)f;
    struct item *it;
    while ((it = TAILQ_FIRST(&ep->all)) != NULL)
        item_free(it);
    mem_free(ep->by_fd);
    pool_put(&f->layer->epolls, ep);
}

const struct file_ops epoll_ops = {.kind = "epoll", .poll = epoll_poll, .close = epoll_close};

void epoll_pools(struct so_layer *l)
{
    pool_init(&l->epolls, "epolls", sizeof(struct epoll), UINT32_MAX, 4);
    pool_init(&l->items, "epoll items", sizeof(struct item), l->params.maxwatches, 64);
}

int leat_epoll_create1(int flags)
{
    struct so_layer *l = api_layer();
    if (!l)
        return -1;
    if (flags & ~EPOLL_CLOEXEC)
        return (int)api_result(-EINVAL);
    struct epoll *ep = pool_get(&l->epolls);
    if (!ep)
        return (int)api_result(-ENOMEM);
    memset(ep, 0, sizeof(*ep));
    file_init(&ep->file, &epoll_ops, l);
    TAILQ_INIT(&ep->all);
    TAILQ_INIT(&ep->ready);
    int fd = fd_install(l, &ep->file, 0, flags & EPOLL_CLOEXEC);
    if (fd < 0)
        epoll_close(&ep->file);
    return (int)api_result(fd);
}

int leat_epoll_create(int size)
{
    if (size <= 0 && api_layer())
        return (int)api_result(-EINVAL);
    return leat_epoll_create1(0);
}

/* ---- changing ---- */

/* Does following the watched epolls from f lead to `to`, or too deep? */
static bool leads_to(const struct file *f, const struct file *to, unsigned depth)
{
    const struct item *it;
    if (f == to || depth > NESTING)
        return true;
    if (f->ops != &epoll_ops)
        return false;
    TAILQ_FOREACH (it, &((const struct epoll *)f)->all, link) {
        if (it->watch.file->ops == &epoll_ops && leads_to(it->watch.file, to, depth + 1))
            return true;
    }
    return false;
}

static int make_room(struct epoll *ep, uint32_t i)
{
    if (i < ep->n_by_fd)
        return 0;
    uint32_t n = ep->n_by_fd ? ep->n_by_fd : 64;
    while (n <= i)
        n *= 2;
    struct item **by_fd = mem_alloc(n * sizeof(struct item *));
    if (!by_fd)
        return -ENOMEM;
    if (ep->n_by_fd > 0)
        memcpy(by_fd, ep->by_fd, ep->n_by_fd * sizeof(struct item *));
    mem_free(ep->by_fd);
    ep->by_fd = by_fd;
    ep->n_by_fd = n;
    return 0;
}

static void item_set(struct item *it, const struct epoll_event *ev)
{
    it->ev = *ev;
    item_unready(it);
    if (it->watch.file->ops->poll(it->watch.file) & wanted(it))
        item_ready(it);
}

static int item_add(struct epoll *ep, int fd, struct file *f, const struct epoll_event *ev)
{
    struct so_layer *l = ep->file.layer;
    uint32_t i = (uint32_t)fd - l->params.fd_base;
    if (f->ops == &epoll_ops && leads_to(f, &ep->file, 1))
        return -ELOOP;
    if (make_room(ep, i) < 0)
        return -ENOMEM;
    struct item *it = pool_get(&l->items);
    if (!it)
        return -ENOSPC;
    *it = (struct item){.ep = ep, .fd = fd, .watch = {.notify = item_notify, .gone = item_gone}};
    ep->by_fd[i] = it;
    TAILQ_INSERT_TAIL(&ep->all, it, link);
    file_watch(f, &it->watch);
    item_set(it, ev);
    return 0;
}

static int change(struct epoll *ep, int op, int fd, struct file *f, struct epoll_event *ev)
{
    uint32_t i = (uint32_t)fd - ep->file.layer->params.fd_base;
    struct item *it = i < ep->n_by_fd ? ep->by_fd[i] : NULL;
    if (it && it->watch.file != f)
        item_free(it),
            it = NULL; /* the number was closed (a duplicate keeps the file) and is another file's now */
    if (op == EPOLL_CTL_ADD)
        return it ? -EEXIST : item_add(ep, fd, f, ev);
    if (!it)
        return -ENOENT;
    if (op == EPOLL_CTL_DEL)
        item_free(it);
    else
        item_set(it, ev);
    return 0;
}

int leat_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    struct so_layer *l = api_layer();
    if (!l)
        return -1;
    struct file *e = fd_file(l, epfd), *f = fd_file(l, fd);
    if (!e || !f)
        return (int)api_result(-EBADF);
    if (e->ops != &epoll_ops || e == f || op < EPOLL_CTL_ADD || op > EPOLL_CTL_MOD)
        return (int)api_result(-EINVAL);
    if (op != EPOLL_CTL_DEL && !event)
        return (int)api_result(-EFAULT);
    if (f->ops == &kqueue_ops)
        return (int)api_result(-EPERM);
    return (int)api_result(change((struct epoll *)e, op, fd, f, event));
}

/* ---- waiting ---- */

/* Level-triggered items go back to the end: they are looked at again next time. */
static int collect(struct epoll *ep, struct epoll_event *events, int maxevents)
{
    struct item_list again = TAILQ_HEAD_INITIALIZER(again);
    struct item *it;
    int n = 0;
    while (n < maxevents && (it = TAILQ_FIRST(&ep->ready)) != NULL) {
        uint32_t mask = it->watch.file->ops->poll(it->watch.file) & wanted(it);
        TAILQ_REMOVE(&ep->ready, it, ready_link);
        it->ready = false;
        if (!mask || !enabled(it))
            continue;
        events[n++] = (struct epoll_event){.events = mask, .data = it->ev.data};
        if (it->ev.events & EPOLLONESHOT) {
            it->ev.events &= MODES;
        } else if (!(it->ev.events & EPOLLET)) {
            it->ready = true;
            TAILQ_INSERT_TAIL(&again, it, ready_link);
        }
    }
    TAILQ_CONCAT(&ep->ready, &again, ready_link);
    return n;
}

static bool something(void *arg)
{
    return epoll_poll(arg) != 0;
}

int leat_epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout_ms)
{
    struct so_layer *l = api_layer();
    if (!l)
        return -1;
    struct file *f = fd_file(l, epfd);
    if (!f || f->ops != &epoll_ops || maxevents <= 0)
        return (int)api_result(f ? -EINVAL : -EBADF);
    struct epoll *ep = (struct epoll *)f;
    int n = collect(ep, events, maxevents);
    if (n > 0 || timeout_ms == 0)
        return n;
    uint64_t deadline = timeout_ms < 0 ? TIME_NEVER : l->e->now + (uint64_t)timeout_ms * NS_PER_MS;
    f->refs++;
    int err = so_wait(l->e, something, ep, deadline);
    n = collect(ep, events, maxevents);
    file_put(f);
    return n == 0 && err && err != -ETIMEDOUT ? (int)api_result(err) : n;
}
