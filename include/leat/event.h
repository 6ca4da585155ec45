/* SPDX-License-Identifier: BSD-3-Clause */
/* Readiness: epoll(7) with Linux's values, and kqueue(2) with FreeBSD's, over leat's descriptors. */
#ifndef LEAT_EVENT_H
#define LEAT_EVENT_H

#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>
#include <leat/leat.h>

#ifdef __cplusplus
extern "C" {
#endif

LEAT_API int leat_epoll_create(int size);
LEAT_API int leat_epoll_create1(int flags);
/* EPOLLIN OUT RDHUP PRI ERR HUP, EPOLLET, EPOLLONESHOT. EPOLLEXCLUSIVE and EPOLLWAKEUP are accepted without effect. An epoll
 * descriptor may be watched by another (nesting up to 5). */
LEAT_API int leat_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event);
/* timeout in ms: 0 returns at once, -1 waits (running the engine's turns). */
LEAT_API int leat_epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout_ms);

struct leat_kevent {
    uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned int fflags;
    int64_t data;
    void *udata;
    uint64_t ext[4];
};
#define LEAT_EV_SET(kevp, i, f, fl, ff, d, u)                                                                \
    do {                                                                                                     \
        struct leat_kevent *kev_ = (kevp);                                                                   \
        *kev_ = (struct leat_kevent){0};                                                                     \
        kev_->ident = (uintptr_t)(i);                                                                        \
        kev_->filter = (short)(f);                                                                           \
        kev_->flags = (unsigned short)(fl);                                                                  \
        kev_->fflags = (unsigned)(ff);                                                                       \
        kev_->data = (int64_t)(d);                                                                           \
        kev_->udata = (void *)(u);                                                                           \
    } while (0)

#ifndef EVFILT_READ /* FreeBSD's <sys/event.h> values */
#define EVFILT_READ     (-1)
#define EVFILT_WRITE    (-2)
#define EVFILT_TIMER    (-7)
#define EVFILT_USER     (-11)
#define EV_ADD          0x0001
#define EV_DELETE       0x0002
#define EV_ENABLE       0x0004
#define EV_DISABLE      0x0008
#define EV_ONESHOT      0x0010
#define EV_CLEAR        0x0020
#define EV_RECEIPT      0x0040
#define EV_DISPATCH     0x0080
#define EV_ERROR        0x4000
#define EV_EOF          0x8000
#define NOTE_LOWAT      0x00000001
#define NOTE_SECONDS    0x00000001
#define NOTE_MSECONDS   0x00000002
#define NOTE_USECONDS   0x00000004
#define NOTE_NSECONDS   0x00000008
#define NOTE_ABSTIME    0x00000010
#define NOTE_FFNOP      0x00000000
#define NOTE_FFAND      0x40000000
#define NOTE_FFOR       0x80000000
#define NOTE_FFCOPY     0xc0000000
#define NOTE_FFCTRLMASK 0xc0000000
#define NOTE_FFLAGSMASK 0x00ffffff
#define NOTE_TRIGGER    0x01000000
#endif

LEAT_API int leat_kqueue(void);
/* READ: data = bytes, or connections to accept on a listener; WRITE: data = space. EV_EOF with fflags = error. */
LEAT_API int leat_kevent(int kq, const struct leat_kevent *changes, int nchanges, struct leat_kevent *events,
                         int nevents, const struct timespec *timeout);

#ifdef __cplusplus
}
#endif
#endif
