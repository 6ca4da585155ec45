// SPDX-License-Identifier: BSD-3-Clause
// The table of functions by which google's packetdrill drives a stack in userspace: order and types are its ABI. Each gets userdata first,
// returns -1 with errno on errors, and speaks Linux's numbers.
#pragma once
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>

struct packetdrill_interface {
    void *userdata;
    void (*free)(void *userdata); /* the last call of a run that ended well */
    int (*socket)(void *userdata, int domain, int type, int protocol);
    int (*bind)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    int (*listen)(void *userdata, int fd, int backlog);
    int (*accept)(void *userdata, int fd, struct sockaddr *addr, socklen_t *len);
    int (*connect)(void *userdata, int fd, const struct sockaddr *addr, socklen_t len);
    ssize_t (*read)(void *userdata, int fd, void *buf, size_t n);
    ssize_t (*readv)(void *userdata, int fd, const struct iovec *iov, int n);
    ssize_t (*recv)(void *userdata, int fd, void *buf, size_t n, int flags);
    ssize_t (*recvfrom)(void *userdata, int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                        socklen_t *len);
    ssize_t (*recvmsg)(void *userdata, int fd, struct msghdr *msg, int flags);
    ssize_t (*write)(void *userdata, int fd, const void *buf, size_t n);
    ssize_t (*writev)(void *userdata, int fd, const struct iovec *iov, int n);
    ssize_t (*send)(void *userdata, int fd, const void *buf, size_t n, int flags);
    ssize_t (*sendto)(void *userdata, int fd, const void *buf, size_t n, int flags,
                      const struct sockaddr *addr, socklen_t len);
    ssize_t (*sendmsg)(void *userdata, int fd, const struct msghdr *msg, int flags);
    int (*fcntl)(void *userdata, int fd, int cmd, ...);
    int (*ioctl)(void *userdata, int fd, unsigned long request, ...);
    int (*close)(void *userdata, int fd);
    int (*shutdown)(void *userdata, int fd, int how);
    int (*getsockopt)(void *userdata, int fd, int level, int name, void *val, socklen_t *len);
    int (*setsockopt)(void *userdata, int fd, int level, int name, const void *val, socklen_t len);
    int (*poll)(void *userdata, struct pollfd *fds, nfds_t n, int timeout);
    int (*netdev_send)(void *userdata, const void *buf, size_t n); /* an IP datagram of the peer */
    /* The stack's next IP datagram. *n: room in, length out, 0: none will come. *us: when it left, as gettimeofday() counts. */
    int (*netdev_receive)(void *userdata, void *buf, size_t *n, long long *us);
    int (*usleep)(void *userdata, useconds_t us);
    int (*gettimeofday)(void *userdata, struct timeval *tv, struct timezone *tz);
    int (*epoll_create)(void *userdata, int size);
    int (*epoll_ctl)(void *userdata, int epfd, int op, int fd, struct epoll_event *event);
    int (*epoll_wait)(void *userdata, int epfd, struct epoll_event *events, int max, int timeout);
    int (*pipe)(void *userdata, int fds[2]);
    int (*splice)(void *userdata, int in, loff_t *in_off, int out, loff_t *out_off, size_t n, unsigned flags);
};

typedef void (*packetdrill_interface_init_t)(const char *flags, struct packetdrill_interface *ifc);
__attribute__((visibility("default"))) void packetdrill_interface_init(const char *flags,
                                                                       struct packetdrill_interface *ifc);
