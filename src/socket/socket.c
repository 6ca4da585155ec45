// SPDX-License-Identifier: BSD-3-Clause
// A socket's life, and what it hears from its connection.
#include <string.h>
#include "socket/socket.h"
#include "tcp/fastopen.h"
#include "tcp/log.h"
#include "tls/rx.h"

#define LOST (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP | EPOLLERR)

/* ---- from TCP ---- */

static struct socket *of(struct tcb *tp)
{
    return tp->so;
}

static void on_connected(struct tcb *tp)
{
    struct socket *so = of(tp);
    so->connecting = false;
    so->connected = true;
    so->laddr = tp->laddr;
    so->lport = tp->lport;
    file_notify(&so->file, EPOLLOUT);
}

static void on_acceptable(struct tcb *listener)
{
    if (listener->so)
        file_notify(&of(listener)->file, EPOLLIN);
}

bool socket_eof(const struct socket *so)
{
    const struct tcb *tp = so->tp;
    if (so->cant_read || !tp)
        return true;
    bool eof = TCPS_HAVERCVDFIN(tp->state) || (tp->state == TCPS_CLOSED && tp->started) || fastopen_fin(tp);
    return eof && (!so->tls_rx || tls_rx_at_end(so->tls_rx));
}

static void on_readable(struct tcb *tp)
{
    struct socket *so = of(tp);
    if (so && so->tls_rx)
        tls_rx_input(so->tls_rx); /* says itself when there is something to read */
    else if (so)
        file_notify(&so->file,
                    socket_eof(so) ? EPOLLIN | EPOLLRDHUP | (so->cant_send ? EPOLLHUP : 0) : EPOLLIN);
}

static void on_writable(struct tcb *tp)
{
    if (tp->so)
        file_notify(&of(tp)->file, EPOLLOUT);
}

static void on_failed(struct tcb *tp, int error)
{
    struct socket *so = of(tp);
    so->error = error;
    so->connecting = false;
    file_notify(&so->file, LOST);
}

static void on_detached(struct tcb *tp)
{
    of(tp)->tp = NULL;
}

const struct tcp_upcalls socket_upcalls = {on_connected, on_acceptable, on_readable,
                                           on_writable,  on_failed,     on_detached};

/* ---- life ---- */

/* Of any but a connection with both directions open. */
static __rte_noinline uint32_t poll_special(const struct socket *so)
{
    const struct tcb *tp = so->tp;
    if (so->listening)
        return tp && tp->listen->n_complete > 0 ? EPOLLIN : 0;
    uint32_t mask = so->error ? EPOLLERR : 0;
    if (so->connecting)
        return mask;
    if (!so->connected && !so->error)
        return mask | EPOLLOUT | EPOLLHUP; /* as Linux has it for a socket that never was connected */
    bool eof = socket_eof(so), dead = !tp || tp->state == TCPS_CLOSED;
    if (eof)
        mask |= EPOLLIN | EPOLLRDHUP;
    else if (so->tls_rx ? tls_rx_readable(so->tls_rx, so->tls_rx->lowat) : tp->rcv.bytes >= tp->rcv.lowat)
        mask |= EPOLLIN;
    if (so->cant_send || dead || sendbuf_space(&tp->snd) >= tp->snd.lowat)
        mask |= EPOLLOUT;
    if ((eof && so->cant_send) || dead)
        mask |= EPOLLHUP;
    return mask;
}

static uint32_t socket_poll(struct file *f)
{
    const struct socket *so = (struct socket *)f;
    const struct tcb *tp = so->tp;
    if (!tp || tp->state != TCPS_ESTABLISHED || !so->connected || so->error || so->cant_read ||
        so->cant_send || so->tls_rx)
        return poll_special(so);
    uint32_t mask = tp->rcv.bytes >= tp->rcv.lowat ? EPOLLIN : 0;
    return sendbuf_space(&tp->snd) >= tp->snd.lowat ? mask | EPOLLOUT : mask;
}

static bool all_acked(void *arg)
{
    struct tcb *tp = arg;
    return tp->state == TCPS_CLOSED || tp->state == TCPS_TIME_WAIT || tp->state == TCPS_FIN_WAIT_2;
}

/* SO_LINGER: 0 resets; more lets close(2) of a blocking socket wait until the peer has everything. */
static bool linger(struct socket *so)
{
    struct tcb *tp = so->tp;
    if (so->linger_s < 0 || so->listening || !so->connected)
        return false;
    if (so->linger_s == 0)
        return true;
    if (so->file.flags & O_NONBLOCK)
        return false;
    struct engine *e = so->file.layer->e;
    tcp_shutdown_write(tp);
    so_wait(e, all_acked, tp, e->now + (uint64_t)so->linger_s * NS_PER_SEC);
    return false;
}

static void socket_close(struct file *f)
{
    struct socket *so = (struct socket *)f;
    struct so_layer *l = f->layer;
    bool unread =
        so->tls_rx && tls_rx_unread(so->tls_rx); /* RFC 2525 §2.17, as tcp_close() has it without TLS */
    sendfile_forget(so);
    socket_tls_end(so);
    if (so->tp) {
        bool reset = linger(so) || unread;
        if (so->tp) {
            tcp_log_pru(so->tp, reset ? PRU_ABORT : PRU_CLOSE, 0);
            tcp_close(so->tp, reset);
        }
    }
    so->tp = NULL;
    so->serial = 0;
    pool_put(&l->sockets, so);
}

const struct file_ops socket_ops = {.kind = "socket", .poll = socket_poll, .close = socket_close};

struct socket *socket_new(struct so_layer *l, uint16_t family)
{
    struct socket *so = pool_get(&l->sockets);
    if (!so)
        return NULL;
    memset(so, 0, sizeof(*so));
    file_init(&so->file, &socket_ops, l);
    so->family = family;
    so->linger_s = -1;
    so->bind_flags = family == AF_INET6 ? TCP_BIND_V6 : 0;
    if (++l->serial == 0)
        l->serial = 1;
    so->serial = l->serial;
    l->stats.sockets_made++;
    return so;
}

void socket_take(struct socket *so, struct tcb *tp)
{
    so->tp = tp;
    so->connected = true;
    so->laddr = tp->laddr;
    so->lport = tp->lport;
    so->faddr = tp->faddr;
    so->fport = tp->fport;
    so->error = tp->error;
    tcp_adopt(tp, &socket_upcalls, so);
}

int socket_take_error(struct socket *so)
{
    int err = so->error;
    so->error = 0;
    if (err && so->tp)
        so->tp->error = 0;
    return -err;
}
