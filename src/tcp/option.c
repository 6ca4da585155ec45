// SPDX-License-Identifier: BSD-3-Clause
// Socket options of level IPPROTO_TCP: numbers of <netinet/tcp.h> and <leat/tcp.h>.
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <netinet/tcp.h>
#include <leat/tcp.h>
#include "tcp/auth/auth.h"
#include "tcp/fastopen.h"
#include "tcp/log.h"
#include "tcp/tcp.h"

static int get_int(const void *val, uint32_t len, int *out)
{
    if (len < sizeof(int))
        return -EINVAL;
    memcpy(out, val, sizeof(int));
    return 0;
}

static void set_flag(struct tcb *tp, uint32_t flag, bool on)
{
    tp->flags = on ? tp->flags | flag : tp->flags & ~flag;
}

/* Seconds of the option to milliseconds; 1 to 32767 as Linux. */
static int seconds(int v, uint32_t *ms)
{
    if (v < 1 || v > 32767)
        return -EINVAL;
    *ms = (uint32_t)v * 1000;
    return 0;
}

static void keep_again(struct tcb *tp)
{
    if (tp->state == TCPS_ESTABLISHED || tp->state == TCPS_CLOSE_WAIT)
        tcp_keepalive_arm(tp);
}

static int set_congestion(struct tcb *tp, const void *val, uint32_t len)
{
    char name[16] = "";
    memcpy(name, val, len < sizeof(name) - 1 ? len : sizeof(name) - 1);
    const struct tcp_cc *cc = tcp_cc_find(name);
    if (!cc)
        return -ENOENT;
    if (cc != tp->cc) {
        memset(tp->cc_state, 0, sizeof(tp->cc_state));
        tp->cc = cc;
        cc->init(tp);
    }
    return 0;
}

static int set_number(struct tcb *tp, int name, int v)
{
    int err = 0;
    switch (name) {
    case TCP_NODELAY:
        set_flag(tp, TF_NODELAY, v);
        break;
    case TCP_CORK:
    case LEAT_TCP_NOPUSH:
        set_flag(tp, TF_NOPUSH, v);
        break;
    case LEAT_TCP_NOOPT:
        set_flag(tp, TF_NOOPT, v);
        break;
    case TCP_QUICKACK:
        set_flag(tp, TF_QUICKACK, v);
        break;
    case TCP_MAXSEG: /* tcp(4): not less than what minmss allows a peer */
        if (v + 40 < (int)tp->e->tcp->params.minmss || v < 1 || v > UINT16_MAX)
            return -EINVAL;
        tp->maxseg_user = (uint16_t)v;
        if (TCPS_HAVEESTABLISHED(tp->state))
            tcp_mss_update(tp);
        break;
    case TCP_KEEPIDLE:
        err = seconds(v, &tp->keepidle_ms);
        break;
    case TCP_KEEPINTVL:
        err = seconds(v, &tp->keepintvl_ms);
        break;
    case LEAT_TCP_KEEPINIT:
        err = seconds(v, &tp->keepinit_ms);
        break;
    case TCP_KEEPCNT:
        if (v < 1 || v > 127)
            return -EINVAL;
        tp->keepcnt = (uint16_t)v;
        break;
    case TCP_FASTOPEN_CONNECT:
        return fastopen_connect_setopt(tp, v);
    case TCP_USER_TIMEOUT:
        if (v < 0)
            return -EINVAL;
        tp->user_timeout_ms = (uint32_t)v;
        break;
    case LEAT_TCP_MAXUNACKTIME:
        if (v < 0 || v > INT_MAX / 1000)
            return -EINVAL;
        tp->user_timeout_ms = (uint32_t)v * 1000;
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (!err && (name == TCP_KEEPIDLE || name == TCP_KEEPINTVL))
        keep_again(tp);
    if ((name == TCP_NODELAY && v) || ((name == TCP_CORK || name == LEAT_TCP_NOPUSH) && !v))
        tcb_mark_due(tp); /* what was held back may go */
    return err;
}

/* FreeBSD's: uint64_t, bytes/s; 0: none. */
static int set_pacing_cap(struct tcb *tp, const void *val, uint32_t len)
{
    uint64_t v;
    if (len < sizeof(v))
        return -EINVAL;
    memcpy(&v, val, sizeof(v));
    pacer_limit(tp, v);
    return 0;
}

int tcp_setopt(struct tcb *tp, int name, const void *val, uint32_t len)
{
    int v = 0, err = tcp_log_setopt(tp, name, val, len);
    if (err != -ENOPROTOOPT)
        return err;
    if (name == TCP_CONGESTION)
        return set_congestion(tp, val, len);
    if (name == TCP_FASTOPEN || name == LEAT_TCP_FASTOPEN)
        return fastopen_setopt(tp, val, len);
    if (name == TCP_FUNCTION_BLK) /* first: no stack can take it over */
        return tcp_functions_setopt(tp, name, val, len);
    if (name == TCP_PACING_RATE_CAP)
        return set_pacing_cap(tp, val, len);
    if (tp->stack->setopt) {
        err = tp->stack->setopt(tp, name, val, len);
        if (err != -ENOPROTOOPT)
            return err;
    }
    err = tcp_auth_setopt(tp, name, val, len);
    if (err != -ENOPROTOOPT)
        return err;
    err = get_int(val, len, &v);
    if (!err)
        err = set_number(tp, name, v);
    TCP_LOG_EVENT(tp, TCP_LOG_SOCKET_OPT, .flex1 = (uint32_t)name,
                  .flex2 = len >= sizeof(v) ? (uint32_t)v : 0, .flex3 = (uint32_t)-err);
    return err;
}

static int get_number(const struct tcb *tp, int name, int *v)
{
    switch (name) {
    case TCP_NODELAY:
        *v = !!(tp->flags & TF_NODELAY);
        break;
    case TCP_CORK:
    case LEAT_TCP_NOPUSH:
        *v = !!(tp->flags & TF_NOPUSH);
        break;
    case LEAT_TCP_NOOPT:
        *v = !!(tp->flags & TF_NOOPT);
        break;
    case TCP_QUICKACK:
        *v = !!(tp->flags & TF_QUICKACK);
        break;
    case TCP_MAXSEG:
        *v = TCPS_HAVEESTABLISHED(tp->state) || !tp->maxseg_user ? tp->maxseg : tp->maxseg_user;
        break;
    case TCP_KEEPIDLE:
        *v = (int)(tp->keepidle_ms / 1000);
        break;
    case TCP_KEEPINTVL:
        *v = (int)(tp->keepintvl_ms / 1000);
        break;
    case LEAT_TCP_KEEPINIT:
        *v = (int)(tp->keepinit_ms / 1000);
        break;
    case TCP_KEEPCNT:
        *v = tp->keepcnt;
        break;
    case TCP_FASTOPEN:
    case LEAT_TCP_FASTOPEN:
        *v = fastopen_getopt(tp);
        break;
    case TCP_FASTOPEN_CONNECT:
        *v = tp->fastopen && tp->fastopen->may_defer;
        break;
    case TCP_USER_TIMEOUT:
        *v = (int)tp->user_timeout_ms;
        break;
    case LEAT_TCP_MAXUNACKTIME:
        *v = (int)(tp->user_timeout_ms / 1000);
        break;
    default:
        return -ENOPROTOOPT;
    }
    return 0;
}

static int give(void *val, uint32_t *len, const void *from, uint32_t size)
{
    if (*len > size)
        *len = size;
    memcpy(val, from, *len);
    return 0;
}

int tcp_getopt(struct tcb *tp, int name, void *val, uint32_t *len)
{
    struct leat_freebsd_tcp_info freebsd;
    struct leat_tcp_info info;
    int v, err = tcp_log_getopt(tp, name, val, len);
    if (err != -ENOPROTOOPT)
        return err;
    if (name == LEAT_TCP_INFO) {
        tcp_fill_freebsd_info(tp, &freebsd);
        return give(val, len, &freebsd, sizeof(freebsd));
    }
    if (name == TCP_INFO) {
        tcp_fill_info(tp, &info);
        return give(val, len, &info, sizeof(info));
    }
    if (name == TCP_CONGESTION)
        return give(val, len, tp->cc->name, (uint32_t)strlen(tp->cc->name) + 1);
    if (name == TCP_FUNCTION_BLK || name == TCP_FUNCTION_ALIAS)
        return tcp_functions_getopt(tp, name, val, len);
    if (name == TCP_PACING_RATE_CAP)
        return give(val, len, &tp->pacer.limit, sizeof(tp->pacer.limit));
    if (tp->stack->getopt) {
        err = tp->stack->getopt(tp, name, val, len);
        if (err != -ENOPROTOOPT)
            return err;
    }
    err = tcp_auth_getopt(tp, name, val, len);
    if (err != -ENOPROTOOPT)
        return err;
    err = get_number(tp, name, &v);
    return err ? err : give(val, len, &v, sizeof(v));
}
