// SPDX-License-Identifier: BSD-3-Clause
// kqueue(2) of FreeBSD: EVFILT_READ, WRITE, TIMER and USER.
#include <string.h>
#include <leat/event.h>
#include "socket/socket.h"
#include "tls/rx.h"

struct knote {
    struct watch watch;       /* first; READ and WRITE */
    struct wheel_timer timer; /* TIMER */
    TAILQ_ENTRY(knote) link;
    TAILQ_ENTRY(knote) active_link;
    struct kqueue *kq;
    struct leat_kevent kev;
    uint64_t period;
    bool active, disabled;
};
TAILQ_HEAD(knote_list, knote);

#define BUCKETS 256
struct kqueue {
    struct file file; /* first */
    struct knote_list active;
    struct knote_list notes[BUCKETS]; /* by ident and filter */
};

static struct knote_list *bucket(struct kqueue *kq, uintptr_t ident, short filter)
{
    return &kq->notes[(ident * 31 + (uintptr_t)-filter) % BUCKETS];
}

static struct knote *find(struct kqueue *kq, uintptr_t ident, short filter)
{
    struct knote *kn;
    TAILQ_FOREACH (kn, bucket(kq, ident, filter), link) {
        if (kn->kev.ident == ident && kn->kev.filter == filter)
            return kn;
    }
    return NULL;
}

static void activate(struct knote *kn)
{
    if (kn->active || kn->disabled)
        return;
    kn->active = true;
    TAILQ_INSERT_TAIL(&kn->kq->active, kn, active_link);
    if (!TAILQ_EMPTY(&kn->kq->file.watches))
        file_notify(&kn->kq->file, EPOLLIN);
}

static void deactivate(struct knote *kn)
{
    if (!kn->active)
        return;
    kn->active = false;
    TAILQ_REMOVE(&kn->kq->active, kn, active_link);
}

static void knote_free(struct knote *kn)
{
    struct so_layer *l = kn->kq->file.layer;
    deactivate(kn);
    file_unwatch(&kn->watch);
    wheel_cancel(&l->e->wheel, &kn->timer);
    TAILQ_REMOVE(bucket(kn->kq, kn->kev.ident, kn->kev.filter), kn, link);
    pool_put(&l->knotes, kn);
}

/* ---- what each filter says ---- */

static bool read_state(struct knote *kn)
{
    const struct socket *so = (struct socket *)kn->watch.file;
    const struct tcb *tp = so->tp;
    kn->kev.flags &= (unsigned short)~EV_EOF;
    if (so->listening) {
        kn->kev.data = tp ? tp->listen->n_complete : 0;
        return kn->kev.data > 0;
    }
    kn->kev.data = socket_readable_bytes(so);
    if ((so->connected || so->error) && socket_eof(so)) {
        kn->kev.flags |= EV_EOF;
        kn->kev.fflags = (unsigned)so->error;
        return true;
    }
    int64_t least = kn->kev.ext[0] ? (int64_t)kn->kev.ext[0] : tp ? tp->rcv.lowat : 1; /* NOTE_LOWAT */
    if (so->tls_rx)
        return tls_rx_readable(so->tls_rx, kn->kev.ext[0] ? (uint32_t)least : so->tls_rx->lowat);
    return so->connected && kn->kev.data >= least;
}

static bool write_state(struct knote *kn)
{
    const struct socket *so = (struct socket *)kn->watch.file;
    const struct tcb *tp = so->tp;
    kn->kev.flags &= (unsigned short)~EV_EOF;
    kn->kev.data = tp ? sendbuf_space(&tp->snd) : 0;
    if (so->cant_send || so->error || (so->connected && (!tp || tp->state == TCPS_CLOSED))) {
        kn->kev.flags |= EV_EOF;
        kn->kev.fflags = (unsigned)so->error;
        return true;
    }
    int64_t least = kn->kev.ext[0] ? (int64_t)kn->kev.ext[0] : tp ? tp->snd.lowat : 1;
    return so->connected && kn->kev.data >= least;
}

static bool knote_state(struct knote *kn)
{
    switch (kn->kev.filter) {
    case EVFILT_READ:
        return read_state(kn);
    case EVFILT_WRITE:
        return write_state(kn);
    case EVFILT_TIMER:
        return kn->kev.data > 0;
    default:
        return kn->kev.fflags & NOTE_TRIGGER;
    }
}

static void knote_notify(struct watch *w, uint32_t events)
{
    struct knote *kn = (struct knote *)w;
    uint32_t mine = kn->kev.filter == EVFILT_READ ? EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR
                                                  : EPOLLOUT | EPOLLHUP | EPOLLERR;
    if (events & mine)
        activate(kn);
}

static void knote_gone(struct watch *w)
{
    knote_free((struct knote *)w);
}

static void knote_fire(struct wheel_timer *t, uint64_t now)
{
    struct knote *kn = container_of(t, struct knote, timer);
    kn->kev.data++;
    if (!(kn->kev.flags & EV_ONESHOT) && kn->period)
        wheel_arm(&kn->kq->file.layer->e->wheel, t, now + kn->period);
    activate(kn);
}

/* ---- changing ---- */

static int timer_set(struct knote *kn, const struct leat_kevent *c)
{
    static const uint64_t units[] = {[0] = NS_PER_MS,
                                     [NOTE_SECONDS] = NS_PER_SEC,
                                     [NOTE_MSECONDS] = NS_PER_MS,
                                     [NOTE_USECONDS] = NS_PER_US,
                                     [NOTE_NSECONDS] = 1};
    unsigned unit = c->fflags & 0xf;
    struct engine *e = kn->kq->file.layer->e;
    if (unit >= RTE_DIM(units) || units[unit] == 0 || c->data < 0)
        return -EINVAL;
    uint64_t ns = (uint64_t)c->data * units[unit];
    kn->period = c->fflags & NOTE_ABSTIME ? 0
                 : ns                     ? ns
                                          : NS_PER_US; /* FreeBSD: a period of 0 is the shortest */
    kn->kev.data = 0;
    kn->kev.fflags = 0;
    wheel_arm(&e->wheel, &kn->timer, c->fflags & NOTE_ABSTIME ? ns : e->now + kn->period);
    return 0;
}

static void user_set(struct knote *kn, const struct leat_kevent *c)
{
    unsigned given = c->fflags & NOTE_FFLAGSMASK, *flags = &kn->kev.fflags;
    switch (c->fflags & NOTE_FFCTRLMASK) {
    case NOTE_FFAND:
        *flags &= given | NOTE_TRIGGER;
        break;
    case NOTE_FFOR:
        *flags |= given;
        break;
    case NOTE_FFCOPY:
        *flags = (*flags & NOTE_TRIGGER) | given;
        break;
    default:
        break;
    }
    if (c->fflags & NOTE_TRIGGER)
        *flags |= NOTE_TRIGGER;
}

static int settings(struct knote *kn, const struct leat_kevent *c)
{
    int err = 0;
    kn->kev.udata = c->udata;
    switch (c->filter) {
    case EVFILT_TIMER:
        if (c->flags & EV_ADD)
            err = timer_set(kn, c);
        break;
    case EVFILT_USER:
        user_set(kn, c);
        break;
    default:
        kn->kev.ext[0] = c->fflags & NOTE_LOWAT ? (uint64_t)c->data : 0;
    }
    return err;
}

static struct knote *knote_new(struct kqueue *kq, const struct leat_kevent *c, struct file *f)
{
    struct knote *kn = pool_get(&kq->file.layer->knotes);
    if (!kn)
        return NULL;
    *kn = (struct knote){.kq = kq, .watch = {.notify = knote_notify, .gone = knote_gone}};
    kn->kev = (struct leat_kevent){.ident = c->ident, .filter = c->filter};
    wheel_timer_init(&kn->timer, knote_fire);
    TAILQ_INSERT_TAIL(bucket(kq, c->ident, c->filter), kn, link);
    if (f)
        file_watch(f, &kn->watch);
    return kn;
}

static int change(struct kqueue *kq, const struct leat_kevent *c)
{
    struct file *f = NULL;
    if (c->filter == EVFILT_READ || c->filter == EVFILT_WRITE) {
        f = fd_file(kq->file.layer, (int)c->ident);
        if (!f)
            return -EBADF;
        if (f->ops != &socket_ops)
            return -EINVAL;
    } else if (c->filter != EVFILT_TIMER && c->filter != EVFILT_USER) {
        return -EINVAL;
    }
    struct knote *kn = find(kq, c->ident, c->filter);
    if (kn && f && kn->watch.file != f) {
        knote_free(kn);
        kn = NULL;
    }
    bool fresh = !kn;
    if (!kn && !(c->flags & EV_ADD))
        return -ENOENT;
    if (c->flags & EV_DELETE) {
        if (kn)
            knote_free(kn);
        return 0;
    }
    if (!kn && !(kn = knote_new(kq, c, f)))
        return -ENOMEM;
    if (c->flags & EV_ADD)
        kn->kev.flags = c->flags & (EV_CLEAR | EV_ONESHOT | EV_DISPATCH);
    int err = settings(kn, c);
    if (err) {
        if (fresh)
            knote_free(kn);
        return err;
    }
    if (c->flags & EV_DISABLE) {
        kn->disabled = true;
        deactivate(kn);
    } else if (c->flags & (EV_ENABLE | EV_ADD)) {
        kn->disabled = false;
    }
    if (knote_state(kn))
        activate(kn);
    return 0;
}

/* ---- collecting ---- */

/* After a report: once, cleared, disabled, or level and looked at again. True: kn is still there and active. */
static bool reported(struct knote *kn)
{
    unsigned short flags = kn->kev.flags;
    if (flags & EV_ONESHOT) {
        knote_free(kn);
        return false;
    }
    if (flags & EV_DISPATCH)
        kn->disabled = true;
    if (kn->kev.filter == EVFILT_TIMER)
        kn->kev.data = 0;
    if (kn->kev.filter == EVFILT_USER && (flags & (EV_CLEAR | EV_DISPATCH)))
        kn->kev.fflags &= ~(unsigned)NOTE_TRIGGER;
    return !(flags & (EV_CLEAR | EV_DISPATCH)) && kn->kev.filter != EVFILT_TIMER;
}

static int collect(struct kqueue *kq, struct leat_kevent *events, int max)
{
    struct knote_list again = TAILQ_HEAD_INITIALIZER(again);
    struct knote *kn;
    int n = 0;
    while (n < max && (kn = TAILQ_FIRST(&kq->active)) != NULL) {
        deactivate(kn);
        if (!knote_state(kn))
            continue;
        events[n] = kn->kev;
        events[n].fflags &= ~(unsigned)NOTE_TRIGGER;
        n++;
        if (reported(kn)) {
            kn->active = true;
            TAILQ_INSERT_TAIL(&again, kn, active_link);
        }
    }
    TAILQ_CONCAT(&kq->active, &again, active_link);
    return n;
}

static uint32_t kqueue_poll(struct file *f)
{
    struct kqueue *kq = (struct kqueue *)f;
    struct knote *kn;
    TAILQ_FOREACH (kn, &kq->active, active_link) {
        if (knote_state(kn))
            return EPOLLIN;
    }
    return 0;
}

static void kqueue_close(struct file *f)
{
    struct kqueue *kq = (struct kqueue *)f;
    struct knote *kn;
    for (unsigned i = 0; i < BUCKETS; i++)
        while ((kn = TAILQ_FIRST(&kq->notes[i])) != NULL)
            knote_free(kn);
    pool_put(&f->layer->kqueues, kq);
}

const struct file_ops kqueue_ops = {.kind = "kqueue", .poll = kqueue_poll, .close = kqueue_close};

void kqueue_pools(struct so_layer *l)
{
    pool_init(&l->kqueues, "kqueues", sizeof(struct kqueue), UINT32_MAX, 1);
    pool_init(&l->knotes, "knotes", sizeof(struct knote), l->params.maxwatches, 64);
}

int leat_kqueue(void)
{
    struct so_layer *l = api_layer();
    struct kqueue *kq = l ? pool_get(&l->kqueues) : NULL;
    if (!kq)
        return l ? (int)api_result(-ENOMEM) : -1;
    file_init(&kq->file, &kqueue_ops, l);
    TAILQ_INIT(&kq->active);
    for (unsigned i = 0; i < BUCKETS; i++)
        TAILQ_INIT(&kq->notes[i]);
    int fd = fd_install(l, &kq->file, 0, true);
    if (fd < 0)
        kqueue_close(&kq->file);
    return (int)api_result(fd);
}

static bool something(void *arg)
{
    return kqueue_poll(arg) != 0;
}

static uint64_t deadline_of(const struct engine *e, const struct timespec *t)
{
    return t ? e->now + (uint64_t)t->tv_sec * NS_PER_SEC + (uint64_t)t->tv_nsec : TIME_NEVER;
}

/* Errors of changes (and EV_RECEIPT's 0) are reported as events while there is room. -errno: no room. */
static int apply(struct kqueue *kq, const struct leat_kevent *changes, int n, struct leat_kevent *events,
                 int room)
{
    int out = 0;
    for (int i = 0; i < n; i++) {
        int err = change(kq, &changes[i]);
        if (!err && !(changes[i].flags & EV_RECEIPT))
            continue;
        if (out == room)
            return err ? err : out;
        events[out] = changes[i];
        events[out].flags |= EV_ERROR;
        events[out++].data = -err;
    }
    return out;
}

int leat_kevent(int kqfd, const struct leat_kevent *changes, int nchanges, struct leat_kevent *events,
                int nevents, const struct timespec *timeout)
{
    struct so_layer *l = api_layer();
    if (!l)
        return -1;
    struct file *f = fd_file(l, kqfd);
    if (!f || f->ops != &kqueue_ops)
        return (int)api_result(-EBADF);
    struct kqueue *kq = (struct kqueue *)f;
    int n = apply(kq, changes, nchanges, events, nevents);
    if (n != 0 || nevents == 0)
        return (int)api_result(n);
    n = collect(kq, events, nevents);
    if (n > 0 || (timeout && timeout->tv_sec == 0 && timeout->tv_nsec == 0))
        return n;
    f->refs++;
    int err = so_wait(l->e, something, kq, deadline_of(l->e, timeout));
    n = collect(kq, events, nevents);
    file_put(f);
    return n == 0 && err && err != -ETIMEDOUT ? (int)api_result(err) : n;
}
