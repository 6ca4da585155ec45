// SPDX-License-Identifier: BSD-3-Clause
// TLS on a socket: the options and control messages of <leat/tls.h>.
#include <string.h>
#include <leat/tls.h>
#include "socket/socket.h"
#include "tls/tls.h"

#define ENABLE_V0 56 /* struct tls_enable without rec_seq, as FreeBSD's first had it */

bool socket_tls_option(int level, int name)
{
    return level == IPPROTO_TCP && name >= TCP_TXTLS_ENABLE && name <= TCP_RXTLS_MODE;
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

static int enable_tx(struct socket *so, const struct tls_enable *en)
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
    return err;
}

/* FreeBSD: a socket without TLS has no mode to change, and that is no error. */
static int set_mode(const struct socket *so, int mode)
{
    if (so->listening || (mode != TCP_TLS_MODE_SW && mode != TCP_TLS_MODE_IFNET))
        return -EINVAL;
    if (!so->tls_tx || mode == TCP_TLS_MODE_SW)
        return 0;
    return -EOPNOTSUPP; /* no port has the capability */
}

int socket_tls_setopt(struct socket *so, int level, int name, const void *val, socklen_t len)
{
    struct tls_enable en;
    int mode, err;
    switch (name) {
    case TCP_TXTLS_ENABLE:
        err = read_enable(val, len, &en);
        return err ? err : enable_tx(so, &en);
    case TCP_TXTLS_MODE:
        if (len < sizeof(mode))
            return -EINVAL;
        memcpy(&mode, val, sizeof(mode));
        return set_mode(so, mode);
    default:
        return -ENOPROTOOPT;
    }
}

int socket_tls_getopt(struct socket *so, int level, int name, void *val, socklen_t *len)
{
    int mode = so->tls_tx ? TCP_TLS_MODE_SW : TCP_TLS_MODE_NONE;
    if (name != TCP_TXTLS_MODE)
        return -ENOPROTOOPT;
    if (so->listening)
        return -EINVAL;
    if (*len > sizeof(mode))
        *len = sizeof(mode);
    memcpy(val, &mode, *len);
    return 0;
}

int socket_tls_cmsg(const struct socket *so, const struct msghdr *msg)
{
    const struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    if (!c || c->cmsg_level != IPPROTO_TCP || c->cmsg_type != TLS_SET_RECORD_TYPE)
        return so->tls_tx ? -EINVAL : 0;
    if (!so->tls_tx || c->cmsg_len != CMSG_LEN(1) || *CMSG_DATA(c) == 0)
        return -EINVAL;
    return *CMSG_DATA(c);
}

void socket_tls_flush(struct socket *so)
{
    if (so->tls_tx && so->tp && !(so->tp->flags & TF_NOPUSH))
        tls_tx_flush(so->tls_tx, so->tp);
}

void socket_tls_end(struct socket *so)
{
    if (so->tls_tx)
        tls_tx_end(so->tls_tx, so->tp);
    so->tls_tx = NULL;
}
