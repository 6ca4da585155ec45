// SPDX-License-Identifier: BSD-3-Clause
// Sockets of one engine: descriptor table, the calls of <leat/leat.h>, readiness for epoll, kqueue and poll.
#pragma once
#include <stdbool.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include "base/pool.h"
#include "base/queue.h"
#include "engine/engine.h"
#include "tcp/tcp.h"

/*
 * A descriptor refers to a file (dup: several to one); what kind it is, its table of functions says.
 */
struct file;
struct file_ops {
    const char *kind;                 /* "socket", "epoll", "kqueue" */
    uint32_t (*poll)(struct file *f); /* EPOLLIN, OUT, RDHUP, HUP, ERR as of now */
    void (*close)(struct file *f);    /* last descriptor is gone: frees f */
};

/* Someone who wants to hear that a file's readiness changed: an epoll item, a knote, a waiting call. */
struct watch {
    TAILQ_ENTRY(watch) link;
    struct file *file;
    /* events: what became true just now (EPOLL* bits); the level is file->ops->poll(). Must not free the file. */
    void (*notify)(struct watch *w, uint32_t events);
    void (*gone)(struct watch *w); /* the file is being closed; the watch is off the list already */
};
TAILQ_HEAD(watch_list, watch);

struct file {
    const struct file_ops *ops;
    struct so_layer *layer;
    struct watch_list watches;
    uint32_t refs;  /* descriptors */
    uint32_t flags; /* O_NONBLOCK */
};

struct socket {
    struct file file; /* first: a socket is a file */
    struct tcb *tp;   /* NULL after the connection is gone */
    uint16_t family;  /* AF_INET, AF_INET6 */
    uint16_t opts;    /* SOO_* */
    int error;        /* SO_ERROR, positive errno; cleared when read */
    bool connecting, connected, listening, cant_read, cant_send;
    uint32_t
        serial;   /* of this use of the structure: what was lent to an earlier one is not given back to it */
    int linger_s; /* -1: SO_LINGER off */
    uint32_t bind_flags; /* TCP_BIND_* */
    struct timeval rcvtimeo, sndtimeo;
    struct ip_addr laddr, faddr; /* remembered past the connection's end for getpeername and logs */
    uint16_t lport, fport;
    TAILQ_ENTRY(socket) starved_link; /* sendfile.c: waits for file cache memory */
    bool starved;
    struct tls_tx *tls_tx; /* what is sent becomes TLS records; NULL: it does not */
    struct tls_rx *tls_rx; /* what comes is TLS records */
    bool tls_ulp;          /* TLS by Linux's options: its control messages and errors */
    bool tls_zerocopy_ro, tls_no_pad;
};

struct fd_slot {
    struct file *file;
    bool cloexec;
};

struct so_layer;
struct sendfile_layer;
/* sendfile.c: its sysctls, and what it holds */
int sendfile_register(struct so_layer *l);
int tls_list_register(struct so_layer *l);
void sendfile_destroy(struct so_layer *l);
/* The socket is closed: it waits no more. */
void sendfile_forget(struct socket *so);

struct so_params { /* sysctl kern.ipc.*, leat.fd_base */
    uint32_t maxsockets, somaxconn, fd_base;
    uint32_t maxwatches;         /* leat.maxwatches: epoll items, and knotes */
    uint64_t filecache_bytes;    /* leat.filecache.max */
    uint32_t filecache_files;    /* leat.filecache.files: open files kept */
    uint32_t sendfile_readahead; /* kern.ipc.sendfile.readahead, blocks */
    uint32_t sync_delay_us;      /* leat.filecache.sync_delay: of the simulator's disk */
    char filecache_reader[16];   /* leat.filecache.reader: auto, uring, thread, sync */
};
struct so_stats {
    uint64_t sockets_made, accept_aborted, enfile;
    uint64_t sendfile_calls, sendfile_bytes, sendfile_shrunk, sendfile_ioerr, sendfile_nocache;
};
struct so_layer {
    struct engine *e;
    struct so_params params;
    struct so_stats stats;
    struct fd_slot *fds;
    uint32_t n_fds, fd_hint; /* size of the table; no free slot below the hint */
    struct pool sockets, epolls, items, kqueues, knotes, completions;
    uint32_t n_files, serial;
    struct sendfile_layer *sendfile; /* made by the first sendfile; sendfile.c frees it */
    int (*loop)(void *arg);          /* leat_run()'s */
    void *loop_arg;
};

int so_create(struct engine *e);
void so_destroy(struct engine *e);

/* The engine of the calling thread: set by leat_init/leat_run, and by the simulator around an application's turn. */
void so_set_current(struct engine *e);
struct engine *so_current(void);

/* Descriptor table. fd_install: lowest free number >= min, or -EMFILE. */
int fd_install(struct so_layer *l, struct file *f, int min, bool cloexec);
struct file *fd_file(struct so_layer *l, int fd); /* NULL: EBADF */
int fd_close(struct so_layer *l, int fd);
struct socket *fd_socket(struct so_layer *l, int fd, int *err); /* -EBADF or -ENOTSOCK in *err */

static inline void file_watch(struct file *f, struct watch *w)
{
    w->file = f;
    TAILQ_INSERT_TAIL(&f->watches, w, link);
}
static inline void file_unwatch(struct watch *w)
{
    if (w->file) {
        TAILQ_REMOVE(&w->file->watches, w, link);
        w->file = NULL;
    }
}
/* One reference less (a descriptor closed, a waiting call done); the last closes the file. fd.c */
void file_put(struct file *f);
/* A new file with no descriptor yet. */
void file_init(struct file *f, const struct file_ops *ops, struct so_layer *l);
/* Tells all watches. */
void file_notify(struct file *f, uint32_t events);

/* Runs the engine (or, in the simulator, the world) without the application's loop until ready(arg) or the deadline (ns,
 * TIME_NEVER: none). 0, -ETIMEDOUT, -EINTR (engine stopping). wait.c */
int so_wait(struct engine *e, bool (*ready)(void *arg), void *arg, uint64_t deadline);

/* socket.c */
struct socket *socket_new(struct so_layer *l, uint16_t family); /* without a tcb; NULL: limit */
void socket_take(struct socket *so, struct tcb *tp);            /* an accepted connection */
extern const struct tcp_upcalls socket_upcalls;
bool socket_eof(const struct socket *so); /* nothing more will be read */
int socket_take_error(struct socket *so); /* 0 or -errno; clears it */

/* What most calls begin with: the engine, its layer and the socket. NULL with errno set. api.c */
struct so_layer *api_layer(void);
struct socket *api_socket(int fd);
/* 0 or more as it is; -errno to -1 and errno. */
static inline int64_t api_result(int64_t r)
{
    if (r >= 0)
        return r;
    errno = (int)-r;
    return -1;
}
static inline bool socket_waits(const struct socket *so, int flags)
{
    return !(so->file.flags & O_NONBLOCK) && !(flags & MSG_DONTWAIT);
}
/* Deadline of a call that may wait as long as SO_RCVTIMEO or SO_SNDTIMEO says. */
uint64_t socket_deadline(const struct socket *so, const struct timeval *limit);

/* options.c: setsockopt(2). 0 or -errno. */
int socket_setopt(struct socket *so, int level, int name, const void *val, socklen_t len);

/* addr.c: 0 or -errno. Port in network order. */
int sockaddr_read(const struct socket *so, const struct sockaddr *sa, socklen_t len, struct ip_addr *addr,
                  uint16_t *port, uint32_t *scope);
/* Writes what fits and the full length, as POSIX has it. */
void sockaddr_write(const struct socket *so, const struct ip_addr *addr, uint16_t port, uint32_t scope,
                    struct sockaddr *sa, socklen_t *len);

/* recv.c, send.c: 0 and more, or -errno */
int64_t socket_recv(struct socket *so, const struct iovec *iov, int iovcnt, int flags);
/* Bytes that a read would give now. */
uint32_t socket_readable_bytes(const struct socket *so);
int64_t socket_send(struct socket *so, const struct iovec *iov, int iovcnt, int flags);
/* With the type that a control message gave to the TLS record; 0: none. */
int64_t socket_send_type(struct socket *so, const struct iovec *iov, int iovcnt, int flags, uint8_t type);
/* fastopen.c. Does a write with an address connect (RFC 7413)? */
static inline bool socket_fastopen(const struct socket *so, int flags)
{
    return (flags & MSG_FASTOPEN) || (so->tp && (so->tp->flags & TF_FASTOPEN));
}
int64_t socket_fastopen_send(struct socket *so, const struct iovec *iov, int iovcnt, int flags,
                             const struct sockaddr *addr, socklen_t addrlen);
/* connect.c: the connection begins; flags: TCP_CONNECT_DATA. */
int socket_connect_start(struct socket *so, const struct sockaddr *addr, socklen_t addrlen, unsigned flags);
/* Until it is there: 0, -EINPROGRESS when SO_SNDTIMEO is over, or why not. */
int socket_connect_wait(struct socket *so);
/* 0, or why nothing can be sent now */
int socket_send_state(struct socket *so);

/*
 * tls.c: TLS on a socket. 0 or -errno.
 */
bool socket_tls_option(int level, int name); /* is it one of TLS's? */
int socket_tls_setopt(struct socket *so, int level, int name, const void *val, socklen_t len);
int socket_tls_getopt(struct socket *so, int level, int name, void *val, socklen_t *len);
/* Looks for TLS_SET_RECORD_TYPE in msg. The type, 0 when there is none, -EINVAL. */
int socket_tls_cmsg(const struct socket *so, const struct msghdr *msg);
/* Has msg room for what tells a record's type? And writes it; piece: what was read. */
bool socket_tls_wants_type(const struct socket *so, const struct msghdr *msg);
struct tls_rx_piece;
void socket_tls_give_type(const struct socket *so, struct msghdr *msg, const struct tls_rx_piece *piece);
/* Keys for one direction, as either API has them. 0 or -errno. */
struct tls_enable;
struct tls_session;
int socket_tls_enable_tx(struct socket *so, const struct tls_enable *en, struct tls_session **made);
/* ahead: ciphertext that was read too early and comes first. */
int socket_tls_enable_rx(struct socket *so, const struct tls_enable *en, const void *ahead, size_t len);
/* ulp.c: TCP_ULP and level SOL_TLS */
int socket_ulp_setopt(struct socket *so, int level, int name, const void *val, socklen_t len);
int socket_ulp_getopt(const struct socket *so, int level, int name, void *val, socklen_t *len);
/* What MSG_MORE or TCP_CORK kept open goes. */
void socket_tls_flush(struct socket *so);
/* The socket is closed. */
void socket_tls_end(struct socket *so);
/* Each makes the pools of its own structures. */
void epoll_pools(struct so_layer *l);
void kqueue_pools(struct so_layer *l);
void zerocopy_pools(struct so_layer *l);
/* epoll.c, kqueue.c */
extern const struct file_ops socket_ops, epoll_ops, kqueue_ops;
