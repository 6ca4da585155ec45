// SPDX-License-Identifier: BSD-3-Clause
// getsockopt(2) and setsockopt(2): numbers of Linux.
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include "socket/socket.h"
#include "sysctl/sysctl.h"
#include "tls/rx.h"

#define BUFFER_MIN 2048

static int give(void *val, socklen_t *len, const void *from, socklen_t size)
{
    if (*len > size)
        *len = size;
    memcpy(val, from, *len);
    return 0;
}

static int give_int(void *val, socklen_t *len, int v)
{
    return give(val, len, &v, sizeof(v));
}

static int take_int(const void *val, socklen_t len, int *v)
{
    if (len < sizeof(int))
        return -EINVAL;
    memcpy(v, val, sizeof(int));
    return 0;
}

static void set_flag(uint32_t *flags, uint32_t flag, bool on)
{
    *flags = on ? *flags | flag : *flags & ~flag;
}

/* ---- SOL_SOCKET ---- */

static uint32_t buffer_size(const struct socket *so, int v)
{
    uint32_t most = so->file.layer->e->tcp->params.maxsockbuf,
             size = v < BUFFER_MIN ? BUFFER_MIN : (uint32_t)v;
    return size < most ? size : most;
}

static int set_linger(struct socket *so, const void *val, socklen_t len)
{
    struct linger l;
    if (len < sizeof(l))
        return -EINVAL;
    memcpy(&l, val, sizeof(l));
    so->linger_s = l.l_onoff ? (l.l_linger < 0 ? 0 : l.l_linger) : -1;
    return 0;
}

static int set_timeout(struct timeval *tv, const void *val, socklen_t len)
{
    struct timeval v;
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, val, sizeof(v));
    if (v.tv_usec < 0 || v.tv_usec >= 1000000)
        return -EDOM;
    *tv = v.tv_sec < 0 ? (struct timeval){0} : v;
    return 0;
}

static uint32_t *recv_lowat(struct socket *so)
{
    return so->tls_rx ? &so->tls_rx->lowat : &so->tp->rcv.lowat; /* plaintext's; TCP's is 1 then */
}

static int set_on_connection(struct socket *so, int name, int v)
{
    struct tcb *tp = so->tp;
    if (!tp)
        return -EINVAL;
    switch (name) {
    case SO_KEEPALIVE:
        set_flag(&tp->flags, TF_KEEPALIVE, v);
        tcp_keepalive_arm(tp);
        break;
    case SO_SNDBUF:
        tp->snd.hiwat = buffer_size(so, v);
        tp->flags |= TF_SNDBUF_FIXED;
        if (so->tls_tx)
            tls_tx_lowat(so->tls_tx, tp);
        break;
    case SO_RCVBUF:
        tp->rcv.hiwat = buffer_size(so, v);
        tp->flags |= TF_RCVBUF_FIXED;
        if (so->tls_rx)
            tls_rx_hiwat(so->tls_rx);
        break;
    default: /* SO_RCVLOWAT */
        *recv_lowat(so) = v < 1 ? 1 : (uint32_t)v < tp->rcv.hiwat ? (uint32_t)v : tp->rcv.hiwat;
    }
    return 0;
}

/* Linux's: unsigned int, or unsigned long by its length; all ones: no limit. */
static int set_pacing_rate(struct socket *so, const void *val, socklen_t len)
{
    uint32_t narrow;
    uint64_t rate;
    if (len < sizeof(narrow))
        return -EINVAL;
    if (!so->tp)
        return -EINVAL;
    memcpy(&narrow, val, sizeof(narrow));
    rate = narrow == UINT32_MAX ? 0 : narrow;
    if (len >= sizeof(rate)) {
        memcpy(&rate, val, sizeof(rate));
        rate = rate == UINT64_MAX ? 0 : rate;
    }
    pacer_limit(so->tp, rate);
    return 0;
}

static int get_pacing_rate(const struct socket *so, void *val, socklen_t *len)
{
    uint64_t rate = so->tp && so->tp->pacer.limit ? so->tp->pacer.limit : UINT64_MAX;
    if (*len >= sizeof(rate))
        return give(val, len, &rate, sizeof(rate));
    return give_int(val, len, (int)(uint32_t)(rate < UINT32_MAX ? rate : UINT32_MAX));
}

static int set_socket(struct socket *so, int name, const void *val, socklen_t len)
{
    int v, err;
    if (name == SO_LINGER)
        return set_linger(so, val, len);
    if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
        return set_timeout(name == SO_RCVTIMEO ? &so->rcvtimeo : &so->sndtimeo, val, len);
    if (name == SO_MAX_PACING_RATE)
        return set_pacing_rate(so, val, len);
    err = take_int(val, len, &v);
    if (err)
        return err;
    switch (name) {
    case SO_REUSEADDR:
        set_flag(&so->bind_flags, TCP_BIND_REUSEADDR, v);
        return 0;
    case SO_REUSEPORT:
        set_flag(&so->bind_flags, TCP_BIND_REUSEPORT, v);
        return 0;
    case SO_KEEPALIVE:
    case SO_SNDBUF:
    case SO_RCVBUF:
    case SO_RCVLOWAT:
        return set_on_connection(so, name, v);
    default:
        return -ENOPROTOOPT;
    }
}

static int get_socket(struct socket *so, int name, void *val, socklen_t *len)
{
    const struct tcb *tp = so->tp;
    struct linger l = {so->linger_s >= 0, so->linger_s < 0 ? 0 : so->linger_s};
    switch (name) {
    case SO_ERROR:
        return give_int(val, len, -socket_take_error(so));
    case SO_TYPE:
        return give_int(val, len, SOCK_STREAM);
    case SO_DOMAIN:
        return give_int(val, len, so->family);
    case SO_PROTOCOL:
        return give_int(val, len, IPPROTO_TCP);
    case SO_ACCEPTCONN:
        return give_int(val, len, so->listening);
    case SO_REUSEADDR:
        return give_int(val, len, !!(so->bind_flags & TCP_BIND_REUSEADDR));
    case SO_REUSEPORT:
        return give_int(val, len, !!(so->bind_flags & TCP_BIND_REUSEPORT));
    case SO_KEEPALIVE:
        return give_int(val, len, tp && (tp->flags & TF_KEEPALIVE));
    case SO_SNDBUF:
        return give_int(val, len, tp ? (int)tp->snd.hiwat : 0);
    case SO_RCVBUF:
        return give_int(val, len, tp ? (int)tp->rcv.hiwat : 0);
    case SO_RCVLOWAT:
        return give_int(val, len, tp ? (int)*recv_lowat(so) : 1);
    case SO_SNDLOWAT:
        return give_int(val, len, tp ? (int)tp->snd.lowat : 1);
    case SO_LINGER:
        return give(val, len, &l, sizeof(l));
    case SO_RCVTIMEO:
        return give(val, len, &so->rcvtimeo, sizeof(so->rcvtimeo));
    case SO_SNDTIMEO:
        return give(val, len, &so->sndtimeo, sizeof(so->sndtimeo));
    case SO_MAX_PACING_RATE:
        return get_pacing_rate(so, val, len);
    default:
        return -ENOPROTOOPT;
    }
}

/* ---- IPPROTO_IP, IPPROTO_IPV6 ---- */

static int set_ip(struct socket *so, bool v6, int name, int v)
{
    struct tcb *tp = so->tp;
    if (v6 && name == IPV6_V6ONLY) {
        if (so->lport || so->connected)
            return -EINVAL;
        set_flag(&so->bind_flags, TCP_BIND_V6ONLY, v);
        return 0;
    }
    if (!tp)
        return -EINVAL;
    if (name == (v6 ? IPV6_TCLASS : IP_TOS)) {
        if (v < -1 || v > 255)
            return -EINVAL;
        tp->tos = (uint8_t)((v < 0 ? 0 : v) & ~3); /* the ECN bits are TCP's */
        return 0;
    }
    if (name == (v6 ? IPV6_UNICAST_HOPS : IP_TTL)) {
        if (v < -1 || v > 255 || (v == 0 && !v6))
            return -EINVAL;
        tp->ttl = (uint8_t)(v < 0 ? 0 : v);
        return 0;
    }
    return -ENOPROTOOPT;
}

static int get_ip(struct socket *so, bool v6, int name, void *val, socklen_t *len)
{
    const struct tcb *tp = so->tp;
    char text[32];
    if (v6 && name == IPV6_V6ONLY)
        return give_int(val, len, !!(so->bind_flags & TCP_BIND_V6ONLY));
    if (name == (v6 ? IPV6_TCLASS : IP_TOS))
        return give_int(val, len, tp ? tp->tos : 0);
    if (name != (v6 ? IPV6_UNICAST_HOPS : IP_TTL))
        return -ENOPROTOOPT;
    if (tp && tp->ttl)
        return give_int(val, len, tp->ttl);
    sysctl_get_text(so->file.layer->e->sysctl, v6 ? "net.inet6.ip6.hlim" : "net.inet.ip.ttl", text,
                    sizeof(text));
    return give_int(val, len, atoi(text));
}

/* ---- the calls ---- */

int socket_setopt(struct socket *so, int level, int name, const void *val, socklen_t len)
{
    int v, err;
    switch (level) {
    case SOL_SOCKET:
        return set_socket(so, name, val, len);
    case IPPROTO_TCP:
        if (socket_tls_option(level, name))
            err = socket_tls_setopt(so, level, name, val, len);
        else
            err = so->tp ? tcp_setopt(so->tp, name, val, len) : -EINVAL;
        if (so->tls_tx)
            socket_tls_flush(so);
        return err;
    case SOL_TLS:
        return socket_tls_setopt(so, level, name, val, len);
    case IPPROTO_IP:
    case IPPROTO_IPV6:
        err = level == IPPROTO_IPV6 && so->family != AF_INET6 ? -ENOPROTOOPT : take_int(val, len, &v);
        return err ? err : set_ip(so, level == IPPROTO_IPV6, name, v);
    default:
        return -ENOPROTOOPT;
    }
}

int leat_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    return (int)api_result(val ? socket_setopt(so, level, name, val, len) : -EFAULT);
}

int leat_getsockopt(int fd, int level, int name, void *val, socklen_t *len)
{
    struct socket *so = api_socket(fd);
    int err;
    if (!so)
        return -1;
    if (!val || !len)
        return (int)api_result(-EFAULT);
    if ((int)*len < 0)
        return (int)api_result(-EINVAL);
    switch (level) {
    case SOL_SOCKET:
        err = get_socket(so, name, val, len);
        break;
    case IPPROTO_TCP:
        if (socket_tls_option(level, name))
            err = socket_tls_getopt(so, level, name, val, len);
        else
            err = so->tp ? tcp_getopt(so->tp, name, val, len) : -EINVAL;
        break;
    case SOL_TLS:
        err = socket_tls_getopt(so, level, name, val, len);
        break;
    case IPPROTO_IP:
        err = get_ip(so, false, name, val, len);
        break;
    case IPPROTO_IPV6:
        err = so->family == AF_INET6 ? get_ip(so, true, name, val, len) : -ENOPROTOOPT;
        break;
    default:
        err = -ENOPROTOOPT;
    }
    return (int)api_result(err);
}
