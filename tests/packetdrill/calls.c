// SPDX-License-Identifier: BSD-3-Clause
// System calls of a script, made on Leat's sockets, their results compared.
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/tcp.h>
#include "calls.h"

bool call_wrong(struct call *c, const char *what)
{
    if (!c->failed)
        player_failed(c->p, c->e, "%s(): %s", c->e->text, what);
    c->failed = true;
    return false;
}

/* ---- arguments ---- */

int64_t call_integer(struct call *c, unsigned i)
{
    if (i < c->n && c->arg[i]->kind == VALUE_INTEGER)
        return c->arg[i]->integer;
    char what[60];
    snprintf(what, sizeof(what), "argument %u: expected a number", i + 1);
    call_wrong(c, what);
    return 0;
}

/* The live descriptor of the script's; an unknown number goes on as one that does not exist. */
static int live_fd(struct player *p, int script)
{
    for (unsigned i = p->n_fds; i > 0; i--)
        if (p->fds[i - 1].script == script && p->fds[i - 1].live >= 0)
            return p->fds[i - 1].live;
    return 1000000 + script;
}

int call_descriptor(struct call *c, unsigned i)
{
    int fd = live_fd(c->p, (int)call_integer(c, i));
    if (fd < 1000000)
        c->p->last_fd = fd;
    return fd;
}

/* What the script calls it is remembered when the call was good. */
void call_new_fd(struct call *c, bool plain)
{
    const struct value *r = c->e->result;
    if (c->result < 0 || !r || r->kind != VALUE_INTEGER || r->integer < 0)
        return;
    if (c->p->n_fds == PLAYER_FDS) {
        call_wrong(c, "too many descriptors");
        return;
    }
    c->p->fds[c->p->n_fds++] = (struct player_fd){(int)r->integer, (int)c->result, plain};
    c->p->last_fd = (int)c->result;
    c->result = r->integer;
}

const struct value *call_member(const struct value *s, const char *name)
{
    for (const struct value *m = s->first; m; m = m->next)
        if (m->name && !strcmp(m->name, name))
            return m;
    return NULL;
}

static const struct value *address_text(const struct value *s)
{
    const struct value *a = call_member(s, "sin_addr");
    return a ? a : call_member(s, "sin6_addr");
}

/* {sa_family = AF_INET, sin_port = htons(80), sin_addr = inet_addr("1.2.3.4")}, or ... */
socklen_t call_address(struct call *c, unsigned i, const struct ip_addr *otherwise, uint16_t port,
                       struct sockaddr_storage *out)
{
    const struct value *v = i < c->n ? c->arg[i] : NULL;
    struct ip_addr a = *otherwise;
    bool v6 = c->p->script->v6;
    memset(out, 0, sizeof(*out));
    if (v && v->kind == VALUE_STRUCT) {
        const struct value *family = call_member(v, "sa_family"), *p = call_member(v, "sin_port"),
                           *text = address_text(v);
        if (!p)
            p = call_member(v, "sin6_port");
        v6 = family && family->kind == VALUE_INTEGER ? family->integer == AF_INET6 : v6;
        port = p && p->kind == VALUE_INTEGER ? (uint16_t)p->integer : port;
        if (text && text->kind == VALUE_STRING && ip_addr_parse(text->string, &a) < 0)
            call_wrong(c, "not an address");
        if (text && text->kind == VALUE_INTEGER)
            a = ip_addr_v4(htonl((uint32_t)text->integer));
    }
    if (v6) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)out;
        in->sin6_family = AF_INET6;
        in->sin6_port = htons(port);
        memcpy(&in->sin6_addr, &a, 16);
        return sizeof(*in);
    }
    struct sockaddr_in *in = (struct sockaddr_in *)out;
    in->sin_family = AF_INET;
    in->sin_port = htons(port);
    in->sin_addr.s_addr = a.w[3];
    return sizeof(*in);
}

/* ---- what is expected ---- */

void call_check_integer(struct call *c, const struct value *want, int64_t got, const char *what)
{
    char message[100];
    if (!want || want->kind != VALUE_INTEGER || want->integer == got)
        return;
    snprintf(message, sizeof(message), "%s is %lld, expected %lld", what, (long long)got,
             (long long)want->integer);
    call_wrong(c, message);
}

/* ---- calls ---- */

static void do_socket(struct call *c)
{
    int domain = c->arg[0]->kind == VALUE_INTEGER ? (int)c->arg[0]->integer
                 : c->p->script->v6               ? AF_INET6
                                                  : AF_INET;
    c->result = leat_socket(domain, (int)call_integer(c, 1), (int)call_integer(c, 2));
    call_new_fd(c, false);
}

static void do_bind(struct call *c)
{
    struct sockaddr_storage a;
    socklen_t len = call_address(c, 1, &c->p->dialog->local, c->p->bind_port, &a);
    c->result = leat_bind(call_descriptor(c, 0), (struct sockaddr *)&a, len);
    if (c->result == 0)
        c->p->bound = ntohs(((struct sockaddr_in *)&a)->sin_port);
}

static void do_listen(struct call *c)
{
    c->result = leat_listen(call_descriptor(c, 0), (int)call_integer(c, 1));
    if (c->result == 0)
        dialog_next(c->p->dialog, c->p->bound);
}

static void do_accept(struct call *c)
{
    int flags = !strcmp(c->e->text, "accept4") ? (int)call_integer(c, 3) : 0;
    c->result = leat_accept4(call_descriptor(c, 0), NULL, NULL, flags);
    call_new_fd(c, false);
}

static void do_connect(struct call *c)
{
    struct sockaddr_storage a;
    socklen_t len = call_address(c, 1, &c->p->dialog->remote, c->p->connect_port, &a);
    if (!c->p->waiting) /* asked the first time */
        dialog_next(c->p->dialog, 0);
    c->result = leat_connect(call_descriptor(c, 0), (struct sockaddr *)&a, len);
}

static void do_close(struct call *c)
{
    int fd = call_descriptor(c, 0);
    bool plain = false;
    for (unsigned i = 0; i < c->p->n_fds; i++) {
        if (c->p->fds[i].live == fd && c->p->fds[i].script == c->arg[0]->integer) {
            plain = c->p->fds[i].plain;
            c->p->fds[i].live = -1;
        }
    }
    c->result = plain ? close(fd) : leat_close(fd);
    c->p->last_fd = -1;
}

static void do_shutdown(struct call *c)
{
    c->result = leat_shutdown(call_descriptor(c, 0), (int)call_integer(c, 1));
}

static void do_fcntl(struct call *c)
{
    c->result =
        leat_fcntl(call_descriptor(c, 0), (int)call_integer(c, 1), c->n > 2 ? (int)call_integer(c, 2) : 0);
}

static void do_ioctl(struct call *c)
{
    const struct value *v = c->n > 2 ? c->arg[2] : NULL, *in = v && v->kind == VALUE_LIST ? v->first : v;
    int n = in && in->kind == VALUE_INTEGER ? (int)in->integer : 0;
    bool reads = call_integer(c, 1) != FIONBIO;
    c->result = leat_ioctl(call_descriptor(c, 0), (unsigned long)call_integer(c, 1), &n);
    if (reads && c->result == 0)
        call_check_integer(c, in, n, "the result");
}

/* ---- options ---- */

static socklen_t option_in(struct call *c, const struct value *v, void *out, size_t size)
{
    int *words = out;
    socklen_t n = 0;
    if (v->kind == VALUE_STRING) {
        snprintf(out, size, "%s", v->string);
        return (socklen_t)v->len;
    }
    if (v->kind == VALUE_STRUCT && call_member(v, "function_set_name")) {
        snprintf(out, size, "%s", call_member(v, "function_set_name")->string);
        return 36; /* FreeBSD's struct tcp_function_set: 32 bytes of name, a count */
    }
    for (const struct value *m = v->first; m && n + 4 <= size; m = m->next, n += 4) {
        if (m->kind != VALUE_INTEGER) {
            call_wrong(c, "an option is a number, a list or structure of them, or a string");
            return 0;
        }
        *words++ = (int)m->integer;
    }
    return n;
}

static void do_setsockopt(struct call *c)
{
    uint8_t value[256] = {0};
    const struct value *v = c->arg[3];
    if (v->kind == VALUE_INTEGER) {
        int n = (int)v->integer;
        memcpy(value, &n, sizeof(n));
    } else {
        option_in(c, v, value, sizeof(value));
    }
    if (!c->failed)
        c->result = leat_setsockopt(call_descriptor(c, 0), (int)call_integer(c, 1), (int)call_integer(c, 2),
                                    value, (socklen_t)call_integer(c, 4));
}

static void do_getsockopt(struct call *c)
{
    uint8_t value[512] = {0};
    const struct value *v = c->arg[3], *len = c->arg[4]->kind == VALUE_LIST ? c->arg[4]->first : NULL;
    socklen_t n = len && len->kind == VALUE_INTEGER ? (socklen_t)len->integer : sizeof(value);
    if (n > sizeof(value)) {
        call_wrong(c, "the option is too long");
        return;
    }
    c->result =
        leat_getsockopt(call_descriptor(c, 0), (int)call_integer(c, 1), (int)call_integer(c, 2), value, &n);
    if (c->result < 0)
        return;
    if (v->kind == VALUE_STRING && (n < v->len || memcmp(value, v->string, v->len) != 0))
        call_wrong(c, "the string is another");
    if (v->kind == VALUE_STRUCT && call_member(v, "function_set_name")) {
        if (strcmp((char *)value, call_member(v, "function_set_name")->string) != 0)
            call_wrong(c, "the stack is another");
        return;
    }
    const int *words = (const int *)(const void *)value;
    for (const struct value *m = v->first; m; m = m->next)
        call_check_integer(c, m, *words++, "the value");
    call_check_integer(c, len, n, "the length");
}

/* ---- events ---- */

static void do_poll(struct call *c)
{
    struct pollfd fds[8];
    unsigned n = 0;
    for (const struct value *v = c->arg[0]->first; v && n < 8; v = v->next) {
        const struct value *fd = call_member(v, "fd"), *events = call_member(v, "events");
        if (v->kind != VALUE_STRUCT || !fd || !events) {
            call_wrong(c, "a pollfd is {fd=, events=, revents=}");
            return;
        }
        fds[n++] = (struct pollfd){.fd = live_fd(c->p, (int)fd->integer), .events = (short)events->integer};
    }
    c->result = leat_poll(fds, n, c->waiting ? 0 : (int)call_integer(c, 2));
    if (c->waiting && c->result == 0 && c->e->result->kind == VALUE_INTEGER && c->e->result->integer > 0) {
        c->result = -1;
        errno = EAGAIN;
        return;
    }
    const struct value *v = c->arg[0]->first;
    for (unsigned i = 0; i < n; i++, v = v->next)
        call_check_integer(c, call_member(v, "revents"), fds[i].revents, "revents");
}

static void do_epoll_create(struct call *c)
{
    c->result = strcmp(c->e->text, "epoll_create1") ? leat_epoll_create((int)call_integer(c, 0))
                                                    : leat_epoll_create1((int)call_integer(c, 0));
    call_new_fd(c, false);
}

static struct epoll_event epoll_event(const struct value *v)
{
    struct epoll_event e = {0};
    const struct value *events = v->kind == VALUE_STRUCT ? call_member(v, "events") : NULL, *data = NULL;
    static const char *const names[] = {"fd", "u32", "u64", "ptr"};
    for (unsigned i = 0; events && !data && i < 4; i++)
        data = call_member(v, names[i]);
    e.events = events ? (uint32_t)events->integer : 0;
    e.data.u64 = data ? (uint64_t)data->integer : 0;
    return e;
}

static void do_epoll_ctl(struct call *c)
{
    struct epoll_event e = epoll_event(c->arg[3]);
    c->result = leat_epoll_ctl(call_descriptor(c, 0), (int)call_integer(c, 1),
                               live_fd(c->p, (int)call_integer(c, 2)), &e);
}

static void do_epoll_wait(struct call *c)
{
    struct epoll_event events[16],
        want = epoll_event(c->arg[1]->kind == VALUE_LIST && c->arg[1]->first ? c->arg[1]->first : c->arg[1]);
    int64_t max = call_integer(c, 2);
    c->result = leat_epoll_wait(call_descriptor(c, 0), events, max > 16 ? 16 : (int)max,
                                c->waiting ? 0 : (int)call_integer(c, 3));
    if (c->waiting && c->result == 0 && c->e->result->kind == VALUE_INTEGER && c->e->result->integer > 0) {
        c->result = -1;
        errno = EAGAIN;
    } else if (c->result > 0 && want.events &&
               (events[0].events != want.events || events[0].data.u64 != want.data.u64)) {
        call_wrong(c, "other events");
    }
}

/* ---- the table ---- */

static const struct {
    const char *name;
    unsigned min_args;
    void (*run)(struct call *c);
} calls[] = {
    {"socket", 3, do_socket},
    {"bind", 3, do_bind},
    {"listen", 2, do_listen},
    {"accept", 3, do_accept},
    {"accept4", 4, do_accept},
    {"connect", 3, do_connect},
    {"close", 1, do_close},
    {"shutdown", 2, do_shutdown},
    {"read", 3, call_recv},
    {"recv", 4, call_recv},
    {"recvfrom", 4, call_recv},
    {"write", 3, call_send},
    {"send", 4, call_send},
    {"sendto", 4, call_send},
    {"readv", 3, call_vector},
    {"writev", 3, call_vector},
    {"sendmsg", 3, call_message},
    {"recvmsg", 3, call_message},
    {"open", 2, call_open},
    {"sendfile", 4, call_sendfile},
    {"fcntl", 2, do_fcntl},
    {"ioctl", 2, do_ioctl},
    {"setsockopt", 5, do_setsockopt},
    {"getsockopt", 5, do_getsockopt},
    {"poll", 3, do_poll},
    {"epoll_create", 1, do_epoll_create},
    {"epoll_create1", 1, do_epoll_create},
    {"epoll_ctl", 4, do_epoll_ctl},
    {"epoll_wait", 4, do_epoll_wait},
};

static int check_result(struct call *c, bool *blocked)
{
    const struct event *e = c->e;
    int64_t want_error = 0;
    if (c->waiting && c->result < 0 &&
        (c->error == EAGAIN || c->error == EINPROGRESS || c->error == EALREADY)) {
        *blocked = true;
        return 0;
    }
    if (c->waiting && c->result < 0 && c->error == EISCONN && !strcmp(e->text, "connect"))
        c->result = 0;
    *blocked = false;
    if (e->error && !symbol_find(e->error, &want_error))
        return player_failed(c->p, e, "unknown error %s", e->error);
    bool same = !e->result || e->result->kind == VALUE_ELLIPSIS ||
                (e->result->kind == VALUE_INTEGER && e->result->integer == c->result);
    if (!same || (c->result < 0 && e->error && c->error != want_error))
        return player_failed(c->p, e, "%s() = %lld %s, expected %lld %s", e->text, (long long)c->result,
                             c->result < 0 ? symbol_errno(c->error) : "",
                             e->result ? (long long)e->result->integer : 0, e->error ? e->error : "");
    return 0;
}

/* A call that may wait is made without waiting: the player asks again. */
static void run_unblocked(struct call *c, void (*run)(struct call *c))
{
    int fd = c->waiting && c->arg[0]->kind == VALUE_INTEGER ? live_fd(c->p, (int)c->arg[0]->integer) : -1;
    int flags = fd >= 0 && fd < 1000000 ? leat_fcntl(fd, F_GETFL) : -1;
    if (flags >= 0)
        leat_fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    errno = 0;
    run(c);
    c->error = errno;
    if (flags >= 0)
        leat_fcntl(fd, F_SETFL, flags);
}

int call_run(struct player *p, const struct event *e, bool *blocked)
{
    struct call c = {.p = p, .e = e, .waiting = e->call_ends >= 0};
    for (const struct value *v = e->args->first; v && c.n < CALL_ARGS_MAX; v = v->next)
        c.arg[c.n++] = v;
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, e->text) != 0)
            continue;
        if (c.n < calls[i].min_args)
            return player_failed(p, e, "%s(): %u arguments, expected %u", e->text, c.n, calls[i].min_args);
        run_unblocked(&c, calls[i].run);
        return c.failed ? -1 : check_result(&c, blocked);
    }
    return player_failed(p, e, "unknown call %s()", e->text);
}
