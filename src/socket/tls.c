// SPDX-License-Identifier: BSD-3-Clause
// TLS on a socket: the options, control messages and calls of <leat/tls.h>, in FreeBSD's way. (Linux's: ulp.c.)
#include <string.h>
#include <leat/tls.h>
#include "socket/socket.h"
#include "tcp/recvbuf.h"
#include "tls/rx.h"

#define ENABLE_V0 56 /* struct tls_enable without rec_seq, as FreeBSD's first had it */

bool socket_tls_option(int level, int name)
{
    return level == SOL_TLS || (level == IPPROTO_TCP &&
                                ((name >= TCP_TXTLS_ENABLE && name <= TCP_RXTLS_MODE) || name == TCP_ULP));
}

static int read_enable(const void *val, socklen_t len, struct tls_enable *en)
{
    if (len != ENABLE_V0 && len < sizeof(*en))
        return -EINVAL;
    memset(en, 0, sizeof(*en));
    memcpy(en, val, len == ENABLE_V0 ? ENABLE_V0 : sizeof(*en));
    if (len == ENABLE_V0)
        memset(en->rec_seq, 0, sizeof(en->rec_seq)); /* its last bytes were padding then */
    return 0;
}

static int may_enable(const struct socket *so)
{
    if (so->listening)
        return -EINVAL;
    if (!so->connected)
        return -ENOTCONN;
    return so->tp && so->tp->state != TCPS_CLOSED ? 0 : -ECONNRESET;
}

/* ---- sending ---- */

int socket_tls_enable_tx(struct socket *so, const struct tls_enable *en, struct tls_session **made)
{
    struct tls_layer *l = so->file.layer->e->tls;
    struct tls_session *s;
    int err = may_enable(so);
    if (!err)
        err = tls_open_session(l, en, false, &s);
    if (err)
        return err;
    if (!so->tls_tx)
        err = tls_tx_new(l, so->tp, s, &so->tls_tx);
    else if (tls_same_kind(so->tls_tx->s, s))
        tls_tx_rekey(so->tls_tx, so->tp, s);
    else
        err = -EALREADY;
    if (err)
        tls_close_session(l, s);
    else if (made)
        *made = s;
    return err;
}

/* FreeBSD: a socket without TLS has no mode to change, and that is no error. */
static int set_mode(const struct socket *so, int mode)
{
    if (so->listening || (mode != TCP_TLS_MODE_SW && mode != TCP_TLS_MODE_IFNET))
        return -EINVAL;
    if (!so->tls_tx || mode == TCP_TLS_MODE_SW)
        return 0;
    so->tls_tx->ifnet_refused = true;
    so->file.layer->e->tls->stats.switch_failed++;
    return -EOPNOTSUPP; /* no port has the capability */
}

/* ---- receiving ---- */

/* From the record layer: readable, or at the end. */
static void rx_readable(void *arg)
{
    struct socket *so = arg;
    bool eof = socket_eof(so);
    if (eof || tls_rx_readable(so->tls_rx, so->tls_rx->lowat))
        file_notify(&so->file, eof ? EPOLLIN | EPOLLRDHUP | (so->cant_send ? EPOLLHUP : 0) : EPOLLIN);
}

static int unread(struct socket *so, const void *data, size_t len)
{
    if (so->tls_rx)
        return -EALREADY; /* its place would be among records that are being opened */
    if (len > so->tp->rcv.hiwat)
        return -EMSGSIZE;
    return recvbuf_prepend(so->tp, data, (uint32_t)len);
}

static int begin_rx(struct socket *so, struct tls_session *s, const void *ahead, size_t len)
{
    struct tls_layer *l = so->file.layer->e->tls;
    int err = len ? unread(so, ahead, len) : 0;
    if (err)
        return err;
    err = tls_rx_new(l, so->tp, s, rx_readable, so, &so->tls_rx);
    if (err && len)
        recvbuf_drop(so->tp, (uint32_t)len);
    if (!err)
        tls_rx_input(so->tls_rx); /* what is there already */
    return err;
}

int socket_tls_enable_rx(struct socket *so, const struct tls_enable *en, const void *ahead, size_t len)
{
    struct tls_layer *l = so->file.layer->e->tls;
    struct tls_session *s;
    int err = so->tls_rx ? 0 : may_enable(so); /* what came before a reset is opened with its new key too */
    if (!err)
        err = tls_open_session(l, en, true, &s);
    if (err)
        return err;
    if (!so->tls_rx)
        err = begin_rx(so, s, ahead, len);
    else if (len == 0 && tls_same_kind(so->tls_rx->s, s))
        err = tls_rx_rekey(so->tls_rx, s);
    else
        err = -EALREADY;
    if (err)
        tls_close_session(l, s);
    return err;
}

int leat_tls_enable_rx(int fd, const struct tls_enable *en, const void *ahead, size_t len)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (!en || (len && !ahead))
        return (int)api_result(-EFAULT);
    return (int)api_result(socket_tls_enable_rx(so, en, ahead, len));
}

int leat_unread(int fd, const void *buf, size_t len)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    int err = may_enable(so);
    if (!err)
        err = unread(so, buf, len);
    if (!err && len && so->tp->rcv.bytes >= so->tp->rcv.lowat)
        file_notify(&so->file, EPOLLIN);
    return (int)api_result(err);
}

/* ---- the options ---- */

static int set_freebsd(struct socket *so, int name, const void *val, socklen_t len)
{
    struct tls_enable en;
    int mode, err;
    switch (name) {
    case TCP_TXTLS_ENABLE:
        err = read_enable(val, len, &en);
        return err ? err : socket_tls_enable_tx(so, &en, NULL);
    case TCP_RXTLS_ENABLE:
        err = read_enable(val, len, &en);
        return err ? err : socket_tls_enable_rx(so, &en, NULL, 0);
    case TCP_TXTLS_MODE:
        if (len < sizeof(mode))
            return -EINVAL;
        memcpy(&mode, val, sizeof(mode));
        return set_mode(so, mode);
    default:
        return -ENOPROTOOPT;
    }
}

int socket_tls_setopt(struct socket *so, int level, int name, const void *val, socklen_t len)
{
    return level == SOL_TLS || name == TCP_ULP ? socket_ulp_setopt(so, level, name, val, len)
                                               : set_freebsd(so, name, val, len);
}

int socket_tls_getopt(struct socket *so, int level, int name, void *val, socklen_t *len)
{
    if (level == SOL_TLS || name == TCP_ULP)
        return socket_ulp_getopt(so, level, name, val, len);
    if (name != TCP_TXTLS_MODE && name != TCP_RXTLS_MODE)
        return -ENOPROTOOPT;
    if (so->listening)
        return -EINVAL;
    bool on = name == TCP_TXTLS_MODE ? so->tls_tx != NULL : so->tls_rx != NULL;
    int mode = on ? TCP_TLS_MODE_SW : TCP_TLS_MODE_NONE;
    if (*len > sizeof(mode))
        *len = sizeof(mode);
    memcpy(val, &mode, *len);
    return 0;
}

/* ---- control messages ---- */

static int cmsg_level(const struct socket *so)
{
    return so->tls_ulp ? SOL_TLS : IPPROTO_TCP;
}

int socket_tls_cmsg(const struct socket *so, const struct msghdr *msg)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (!c || c->cmsg_level != cmsg_level(so) || c->cmsg_type != TLS_SET_RECORD_TYPE)
        return so->tls_tx || so->tls_ulp ? -EINVAL : 0;
    if (!so->tls_tx || c->cmsg_len != CMSG_LEN(1) || *CMSG_DATA(c) == 0)
        return -EINVAL;
    return *CMSG_DATA(c);
}

static socklen_t type_size(const struct socket *so)
{
    return so->tls_ulp ? 1 : sizeof(struct tls_get_record);
}

bool socket_tls_wants_type(const struct socket *so, const struct msghdr *msg)
{
    return so->tls_rx && msg->msg_control && msg->msg_controllen >= CMSG_LEN(type_size(so));
}

/* FreeBSD tells the type with a record's first piece only, Linux with each. */
void socket_tls_give_type(const struct socket *so, struct msghdr *msg, const struct tls_rx_piece *piece)
{
    struct tls_get_record get = {.tls_type = piece->type,
                                 .tls_vmajor = TLS_MAJOR_VER_ONE,
                                 .tls_vminor = piece->vminor,
                                 .tls_length = htons((uint16_t)piece->len)};
    size_t room = msg->msg_controllen;
    msg->msg_controllen = 0;
    if (piece->last)
        msg->msg_flags |= MSG_EOR;
    if (!piece->first && !so->tls_ulp)
        return;
    struct cmsghdr *c = msg->msg_control;
    c->cmsg_level = cmsg_level(so);
    c->cmsg_type = TLS_GET_RECORD; /* Linux's TLS_GET_RECORD_TYPE has the same number */
    c->cmsg_len = CMSG_LEN(type_size(so));
    if (so->tls_ulp)
        *CMSG_DATA(c) = piece->type;
    else
        memcpy(CMSG_DATA(c), &get, sizeof(get));
    msg->msg_controllen = room < CMSG_SPACE(type_size(so)) ? room : CMSG_SPACE(type_size(so));
}

/* ---- the rest ---- */

void socket_tls_flush(struct socket *so)
{
    if (so->tls_tx && so->tp && !(so->tp->flags & TF_NOPUSH))
        tls_tx_flush(so->tls_tx, so->tp);
}

void socket_tls_end(struct socket *so)
{
    if (so->tls_tx)
        tls_tx_end(so->tls_tx, so->tp);
    if (so->tls_rx)
        tls_rx_end(so->tls_rx);
    so->tls_tx = NULL;
    so->tls_rx = NULL;
}
