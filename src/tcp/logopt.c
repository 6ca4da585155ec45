// SPDX-License-Identifier: BSD-3-Clause
// The black box's socket options, with the errors of FreeBSD's (tcp_log_buf.c).
#include <errno.h>
#include <string.h>
#include "tcp/log.h"

static bool is_log_option(int name)
{
    return (name >= TCP_LOG && name <= TCP_LOGDUMPID) || name == TCP_LOGID_CNT || name == TCP_LOG_TAG;
}

/* The connection was there and is over. */
static bool dropped(const struct tcb *tp)
{
    return tp->state == TCPS_CLOSED && tp->started != 0;
}

/* The text of an option, its NUL not needed. -EINVAL: longer than fits, or none at all. */
static int take_text(const void *val, uint32_t len, char *out, uint32_t size)
{
    uint32_t n = (uint32_t)strnlen(val, len);
    if (n >= size)
        return -EINVAL;
    memset(out, 0, size);
    memcpy(out, val, n);
    return 0;
}

static int give(void *val, uint32_t *len, const void *from, uint32_t n)
{
    *len = *len < n ? *len : n;
    memcpy(val, from, *len);
    return 0;
}

static int set_mode(struct tcb *tp, const void *val, uint32_t len)
{
    int mode, err;
    if (len < sizeof(mode))
        return -EINVAL;
    memcpy(&mode, val, sizeof(mode));
    err = tcp_log_open(tp);
    if (!err && mode > TCP_LOG_STATE_OFF && bb_id_left_out(tp->log))
        err = -ECANCELED;
    return err ? err : bb_set_mode(tp->e->tcp->bb, tp->log, mode);
}

static int set_id(struct tcb *tp, const void *val, uint32_t len)
{
    char id[TCP_LOG_ID_LEN];
    int err = take_text(val, len, id, sizeof(id));
    if (!err)
        err = tcp_log_open(tp);
    return err ? err : bb_set_id(tp->e->tcp->bb, tp->log, id);
}

static int set_tag(struct tcb *tp, const void *val, uint32_t len)
{
    char tag[TCP_LOG_TAG_LEN];
    int err = take_text(val, len, tag, sizeof(tag));
    if (err)
        return err;
    return tp->log ? bb_set_tag(tp->log, tag) : -EOPNOTSUPP;
}

static int dump(struct tcb *tp, int name, const void *val, uint32_t len)
{
    struct bb_layer *bb = tp->e->tcp->bb;
    char reason[TCP_LOG_REASON_LEN];
    int err = take_text(val, len, reason, sizeof(reason));
    if (err || !tp->log)
        return err;
    if (name == TCP_LOGDUMP || !tp->log->node)
        return bb_dump(bb, tp->log, reason, false);
    bb_dump_id(bb, tp->log->node->bucket, reason);
    return 0;
}

int tcp_log_setopt(struct tcb *tp, int name, const void *val, uint32_t len)
{
    if (!is_log_option(name))
        return -ENOPROTOOPT;
    if (dropped(tp))
        return -ECONNRESET;
    switch (name) {
    case TCP_LOG:
        return set_mode(tp, val, len);
    case TCP_LOGID:
        return set_id(tp, val, len);
    case TCP_LOG_TAG:
        return set_tag(tp, val, len);
    case TCP_LOGDUMP:
    case TCP_LOGDUMPID:
        return dump(tp, name, val, len);
    default:
        return -EINVAL; /* TCP_LOGBUF, TCP_LOGID_CNT: to be read only */
    }
}

static int get_text(void *val, uint32_t *len, const char *text)
{
    return give(val, len, text, (uint32_t)strlen(text) + 1);
}

int tcp_log_getopt(struct tcb *tp, int name, void *val, uint32_t *len)
{
    int mode = tp->log ? tp->log->mode : TCP_LOG_STATE_OFF;
    uint32_t count = tp->log ? bb_id_count(tp->log) : 0;
    if (!is_log_option(name))
        return -ENOPROTOOPT;
    if (dropped(tp))
        return -ECONNRESET;
    switch (name) {
    case TCP_LOG:
        return give(val, len, &mode, sizeof(mode));
    case TCP_LOGBUF:
        if (val)
            *len = tp->log ? bb_read(tp->e->tcp->bb, tp->log, val, *len) : 0;
        else
            *len = tp->log ? bb_readable(tp->log) : 0;
        return 0;
    case TCP_LOGID:
        return get_text(val, len, tp->log ? bb_id(tp->log) : "");
    case TCP_LOG_TAG:
        return get_text(val, len, tp->log ? bb_tag(tp->log) : "");
    case TCP_LOGID_CNT:
        return give(val, len, &count, sizeof(count));
    default:
        return -EINVAL; /* TCP_LOGDUMP, TCP_LOGDUMPID: to be set only */
    }
}
