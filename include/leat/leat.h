/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Leat: sockets of a userspace TCP/IP stack, and the loop that runs it.
 *
 * Calls carry POSIX's names with a prefix and have POSIX's and Linux's values, errno and behaviour; what differs is said here.
 * Every descriptor belongs to the engine (thread) that made it. A call from a thread that runs no engine fails with ENXIO and
 * touches nothing.
 *
 * Blocking: a call on a descriptor without O_NONBLOCK that has to wait runs turns of its engine until it can finish, without
 * calling the application's loop function again. So blocking programs work before and without leat_run().
 */
#ifndef LEAT_LEAT_H
#define LEAT_LEAT_H

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define LEAT_API __attribute__((visibility("default")))
#else
#define LEAT_API
#endif

/* ---- life of the process ---- */

/*
 * Starts DPDK, ports and engines. Arguments (see leat(7)): leat's own first, DPDK's after "--", the program's after a second "--".
 * Returns r like rte_eal_init(3): argv[r] is set to the program's name and the program's own arguments follow it (argc -= r,
 * argv += r). -1 with errno set and a message on standard error.
 *   --conf FILE, -c FILE     configuration (leat.conf(5)); default: $LEAT_CONF, else built-in defaults
 *   --set NAME=VALUE         one sysctl, overriding the file
 */
LEAT_API int leat_init(int argc, char **argv);
/* Called on every engine's thread before its first turn: the place to open listening sockets when there are several engines.
 * Nonzero stops the process's engines; leat_run() then returns -1 with errno ECANCELED. Call before leat_run(). */
LEAT_API int leat_on_start(int (*start)(void *arg), void *arg);
/* Runs all engines: the caller's thread is engine 0, the others have threads of their own. loop is called once per turn on each
 * (may be NULL). Returns 0 after leat_stop(). */
LEAT_API int leat_run(int (*loop)(void *arg), void *arg);
/* Ends leat_run() after the present turn. From any thread or a signal handler. */
LEAT_API void leat_stop(void);
/* Closes everything and gives memory back. After it leat_init() can't be called again (DPDK's limit). */
LEAT_API void leat_fini(void);
/* Number of the caller's engine, 0.., or -1 with errno ENXIO. leat_engines(): how many there are. */
LEAT_API int leat_engine(void);
LEAT_API int leat_engines(void);
/* The engine's clock at the start of this turn, ns, monotonic. 0 on a thread without an engine. */
LEAT_API uint64_t leat_now(void);

/* ---- sockets: as the functions without the prefix ---- */

LEAT_API int leat_socket(int domain, int type, int protocol);
LEAT_API int leat_bind(int fd, const struct sockaddr *addr, socklen_t addrlen);
LEAT_API int leat_listen(int fd, int backlog);
LEAT_API int leat_accept(int fd, struct sockaddr *addr, socklen_t *addrlen);
LEAT_API int leat_accept4(int fd, struct sockaddr *addr, socklen_t *addrlen, int flags);
LEAT_API int leat_connect(int fd, const struct sockaddr *addr, socklen_t addrlen);
LEAT_API int leat_close(int fd);
LEAT_API int leat_shutdown(int fd, int how);
LEAT_API int leat_dup(int fd);
LEAT_API int leat_getpeername(int fd, struct sockaddr *addr, socklen_t *addrlen);
LEAT_API int leat_getsockname(int fd, struct sockaddr *addr, socklen_t *addrlen);
LEAT_API int leat_getsockopt(int fd, int level, int name, void *val, socklen_t *len);
LEAT_API int leat_setsockopt(int fd, int level, int name, const void *val, socklen_t len);
LEAT_API ssize_t leat_read(int fd, void *buf, size_t len);
LEAT_API ssize_t leat_readv(int fd, const struct iovec *iov, int iovcnt);
LEAT_API ssize_t leat_write(int fd, const void *buf, size_t len);
LEAT_API ssize_t leat_writev(int fd, const struct iovec *iov, int iovcnt);
LEAT_API ssize_t leat_recv(int fd, void *buf, size_t len, int flags);
LEAT_API ssize_t leat_recvfrom(int fd, void *buf, size_t len, int flags, struct sockaddr *addr,
                               socklen_t *addrlen);
LEAT_API ssize_t leat_recvmsg(int fd, struct msghdr *msg, int flags);
LEAT_API ssize_t leat_send(int fd, const void *buf, size_t len, int flags);
LEAT_API ssize_t leat_sendto(int fd, const void *buf, size_t len, int flags, const struct sockaddr *addr,
                             socklen_t addrlen);
LEAT_API ssize_t leat_sendmsg(int fd, const struct msghdr *msg, int flags);
LEAT_API int leat_fcntl(int fd, int cmd, ...);
LEAT_API int leat_ioctl(int fd, unsigned long request, ...);
LEAT_API int leat_poll(struct pollfd *fds, nfds_t nfds, int timeout_ms);

/* ---- zero copy ---- */

/* A piece of received data, lent: base and len bytes, owned by the stack until leat_zc_return(). */
struct leat_zc {
    const void *base;
    size_t len;
    void *opaque;
};
/* Lends up to n pieces, at most max bytes in all, in order; they are taken off the receive queue and keep counting against
 * SO_RCVBUF until returned. Returns the number of pieces; 0 at end of stream; -1 (EAGAIN, ...). */
LEAT_API int leat_zc_recv(int fd, struct leat_zc *pieces, int n, size_t max, int flags);
/* Takes lent pieces back, in any order, also after the socket was closed. */
LEAT_API void leat_zc_return(struct leat_zc *pieces, int n);
/* Queues len bytes at base without copying. done(arg) is called on the engine's thread when the stack needs them no more (all acked,
 * or the connection is over): only then may they be changed or freed. Returns len or -1; on -1 done is not called. All or nothing: EAGAIN
 * when the send buffer has no space at all; EOPNOTSUPP when TLS is enabled. Memory for real NICs must be known to DPDK (rte_malloc, hugepages, rte_extmem_register). */
LEAT_API ssize_t leat_zc_send(int fd, const void *base, size_t len, int flags, void (*done)(void *arg),
                              void *arg);

/* ---- sendfile(2) of FreeBSD ---- */

struct leat_sf_hdtr {
    const struct iovec *headers;
    int hdr_cnt;
    const struct iovec *trailers;
    int trl_cnt;
};
#define LEAT_SF_NODISKIO 0x1  /* only what is in the page cache: EBUSY otherwise */
#define LEAT_SF_SYNC     0x2  /* accepted; completion is by leat's own cache: no effect */
#define LEAT_SF_NOCACHE  0x10 /* drop the pages after use */
/*
 * Sends nbytes (0: to the end) of the kernel's file descriptor file from offset, with headers and trailers, without copying and without
 * waiting for the disk. *sbytes is the number of bytes queued (headers included) on every return, also with -1/EAGAIN, EBUSY, EINTR.
 * file may be closed after the call. A file that shrinks before its pages are read ends the connection (ECONNABORTED, counted in
 * leat.sendfile.shrunk).
 */
LEAT_API int leat_sendfile(int file, int fd, off_t offset, size_t nbytes, const struct leat_sf_hdtr *hdtr,
                           off_t *sbytes, int flags);

#ifdef __cplusplus
}
#endif
#endif
