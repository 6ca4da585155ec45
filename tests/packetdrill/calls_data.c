// SPDX-License-Identifier: BSD-3-Clause
// Calls that carry data.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/errqueue.h>
#include <sys/stat.h>
#include <leat/leat.h>
#include "calls.h"

#define BUFFER_MAX (16u << 20)

/* Bytes to send: the string repeated, or a count for "...". */
static char *bytes(struct call *c, const struct value *v, uint64_t n)
{
    if (n > BUFFER_MAX) {
        call_wrong(c, "more than 16 MiB at once");
        return NULL;
    }
    char *b = calloc(1, n + 1);
    if (!b)
        abort();
    if (v && v->kind == VALUE_STRING)
        memcpy(b, v->string, n < v->len ? n : v->len);
    return b;
}

static void check_data(struct call *c, const struct value *want, const char *got, int64_t n)
{
    if (want && want->kind == VALUE_STRING && n >= 0 &&
        (want->len < (size_t)n || memcmp(want->string, got, (size_t)n) != 0))
        call_wrong(c, "other bytes were received");
}

/* read(fd, buf, n), recv(fd, buf, n, flags), recvfrom(fd, buf, n, flags, ..., ...) */
void call_recv(struct call *c)
{
    int64_t n = call_integer(c, 2);
    char *b = bytes(c, NULL, (uint64_t)n);
    int flags = c->e->text[2] == 'c' ? (int)call_integer(c, 3) : 0;
    if (!b)
        return;
    c->result = leat_recv(call_descriptor(c, 0), b, (size_t)n, flags | (c->waiting ? MSG_DONTWAIT : 0));
    c->error = errno;
    check_data(c, c->arg[1], b, c->result);
    free(b);
    errno = c->error;
}

/* write(fd, buf, n), send(fd, buf, n, flags), sendto(fd, buf, n, flags, address, length) */
void call_send(struct call *c)
{
    int64_t n = call_integer(c, 2);
    char *b = bytes(c, c->arg[1], (uint64_t)n);
    int flags = c->e->text[0] == 's' ? (int)call_integer(c, 3) : 0;
    struct sockaddr_storage a;
    if (!b)
        return;
    flags |= MSG_NOSIGNAL | (c->waiting ? MSG_DONTWAIT : 0);
    if (c->n > 4 && c->arg[4]->kind != VALUE_NULL &&
        !(c->arg[4]->kind == VALUE_INTEGER && c->arg[4]->integer == 0)) {
        socklen_t len = call_address(c, 4, &c->p->dialog->remote, c->p->connect_port, &a);
        struct sockaddr_storage peer;
        socklen_t peerlen = sizeof(peer);
        bool connected = leat_getpeername(call_descriptor(c, 0), (struct sockaddr *)&peer, &peerlen) == 0;
        c->result = leat_sendto(call_descriptor(c, 0), b, (size_t)n, flags, (struct sockaddr *)&a, len);
        if (!connected && (c->result >= 0 || errno == EINPROGRESS)) { /* its SYN has not left yet */
            c->error = errno;
            dialog_next(c->p->dialog, 0);
            errno = c->error;
        }
    } else {
        c->result = leat_send(call_descriptor(c, 0), b, (size_t)n, flags);
    }
    c->error = errno;
    free(b);
    errno = c->error;
}

/* [{..., 100}, {"abc", 3}] as an iovec; bytes are freed by iovec_free(). */
static int iovec(struct call *c, const struct value *list, struct iovec *iov, int max)
{
    int n = 0;
    for (const struct value *v = list ? list->first : NULL; v && n < max; v = v->next) {
        const struct value *base = v->first, *len = base ? base->next : NULL;
        if (v->kind != VALUE_STRUCT || !len || len->kind != VALUE_INTEGER) {
            call_wrong(c, "an iovec is [{bytes, length}, ...]");
            break;
        }
        iov[n].iov_base = bytes(c, base, (uint64_t)len->integer);
        iov[n++].iov_len = (size_t)len->integer;
    }
    return n;
}

static void iovec_free(struct iovec *iov, int n)
{
    int error = errno;
    for (int i = 0; i < n; i++)
        free(iov[i].iov_base);
    errno = error;
}

void call_vector(struct call *c)
{
    struct iovec iov[16];
    int n = iovec(c, c->arg[1], iov, 16);
    bool writes = c->e->text[0] == 'w';
    if (!c->failed)
        c->result =
            writes ? leat_writev(call_descriptor(c, 0), iov, n) : leat_readv(call_descriptor(c, 0), iov, n);
    iovec_free(iov, n);
}

/* ---- ancillary data ---- */

/* What the script expects as cmsg_data: a number, a string, or an extended error. Returns its bytes. */
static size_t control_data(struct call *c, const struct value *v, size_t have, void *out, size_t size)
{
    struct sock_extended_err *ee = out;
    memset(out, 0, size);
    if (v->kind == VALUE_STRING) {
        memcpy(out, v->string, v->len < size ? v->len : size);
        return v->len;
    }
    if (v->kind == VALUE_INTEGER) { /* of any width */
        memcpy(out, &v->integer, have < sizeof(v->integer) ? have : sizeof(v->integer));
        return have;
    }
    const struct value *error = call_member(v, "ee_errno"), *origin = call_member(v, "ee_origin"),
                       *type = call_member(v, "ee_type"), *code = call_member(v, "ee_code"),
                       *info = call_member(v, "ee_info"), *data = call_member(v, "ee_data");
    if (!error || !origin || !type || !code || !info || !data) {
        call_wrong(c, "cmsg_data: expected a number, a string or {ee_errno, ee_origin, ee_type, ee_code, "
                      "ee_info, ee_data}");
        return 0;
    }
    *ee = (struct sock_extended_err){.ee_errno = (uint32_t)error->integer,
                                     .ee_origin = (uint8_t)origin->integer,
                                     .ee_type = (uint8_t)type->integer,
                                     .ee_code = (uint8_t)code->integer,
                                     .ee_info = (uint32_t)info->integer,
                                     .ee_data = (uint32_t)data->integer};
    return sizeof(*ee);
}

static void check_control(struct call *c, const struct value *want, struct msghdr *m)
{
    struct cmsghdr *h = CMSG_FIRSTHDR(m);
    for (const struct value *v = want->first; v && !c->failed; v = v->next, h = CMSG_NXTHDR(m, h)) {
        const struct value *level = call_member(v, "cmsg_level"), *type = call_member(v, "cmsg_type"),
                           *data = call_member(v, "cmsg_data");
        uint8_t bytes[64];
        if (!h || !level || !type || !data) {
            call_wrong(c, h ? "a control message is {cmsg_level=, cmsg_type=, cmsg_data=}"
                            : "a control message is missing");
            return;
        }
        call_check_integer(c, level, h->cmsg_level, "cmsg_level");
        call_check_integer(c, type, h->cmsg_type, "cmsg_type");
        size_t have = h->cmsg_len - CMSG_LEN(0), n = control_data(c, data, have, bytes, sizeof(bytes));
        if (!c->failed && (n > have || n > sizeof(bytes) || memcmp(bytes, CMSG_DATA(h), n) != 0))
            call_wrong(c, "the control message has other data");
    }
    if (h && !c->failed)
        call_wrong(c, "a control message too many");
}

void call_message(struct call *c)
{
    struct iovec iov[16];
    char control[512];
    bool structure = c->arg[1]->kind == VALUE_STRUCT, sends = c->e->text[0] == 's';
    const struct value *list = structure ? call_member(c->arg[1], "msg_iov") : NULL,
                       *want = structure ? call_member(c->arg[1], "msg_control") : NULL;
    int n = iovec(c, list, iov, 16);
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
    int flags = (int)call_integer(c, 2) | (c->waiting ? MSG_DONTWAIT : 0);
    if (sends && want && want->first)
        call_wrong(c, "control messages are received only");
    if (!sends) {
        m.msg_control = control;
        m.msg_controllen = sizeof(control);
    }
    if (!c->failed && sends)
        c->result = leat_sendmsg(call_descriptor(c, 0), &m, flags | MSG_NOSIGNAL);
    else if (!c->failed)
        c->result = leat_recvmsg(call_descriptor(c, 0), &m, flags);
    iovec_free(iov, n);
    if (c->failed || c->result < 0 || sends)
        return;
    call_check_integer(c, call_member(c->arg[1], "msg_flags"), m.msg_flags, "msg_flags");
    if (want && want->kind == VALUE_LIST)
        check_control(c, want, &m);
}

/* ---- files ---- */

/* open("path", flags): a file of the system, for sendfile(). */
void call_open(struct call *c)
{
    if (c->arg[0]->kind != VALUE_STRING) {
        call_wrong(c, "argument 1: expected a path");
        return;
    }
    c->result = open(c->arg[0]->string, (int)call_integer(c, 1) | O_CLOEXEC, 0600);
    call_new_fd(c, true);
}

/* sendfile(out, in, [offset], n), as Linux has it; NULL is the beginning. */
void call_sendfile(struct call *c)
{
    const struct value *v = c->arg[2], *in = v->kind == VALUE_LIST ? v->first : v;
    off_t sent = 0, offset = in && in->kind == VALUE_INTEGER ? (off_t)in->integer : 0;
    int out = call_descriptor(c, 0), file = call_descriptor(c, 1);
    c->p->last_fd = out;
    c->result = leat_sendfile(file, out, offset, (size_t)call_integer(c, 3), NULL, &sent, 0);
    if (c->result == 0 || sent > 0)
        c->result = sent;
}
