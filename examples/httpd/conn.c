// SPDX-License-Identifier: BSD-3-Clause
// A connection's round: read, parse, answer, send, and again; requests that came together are answered in order.
#include "httpd.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void conn_deadline(struct conn *c, unsigned seconds)
{
    c->deadline = leat_now() + seconds * NS_PER_SECOND;
}

/* ---- plain TCP ---- */

static bool plain_open(struct conn *c)
{
    return true;
}

static ssize_t plain_read(struct conn *c, void *buf, size_t len)
{
    return leat_read(c->fd, buf, len);
}

static ssize_t plain_send(struct conn *c, const void *buf, size_t len, bool more)
{
    return leat_send(c->fd, buf, len, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
}

static int plain_sendfile(struct conn *c, int file, off_t offset, size_t len, off_t *sent)
{
    return leat_sendfile(file, c->fd, offset, len, NULL, sent, 0);
}

static void plain_nothing(struct conn *c)
{
}

const struct transport transport_plain = {
    .open = plain_open,
    .read = plain_read,
    .send = plain_send,
    .sendfile = plain_sendfile,
    .finish = plain_nothing,
    .close = plain_nothing,
};

/* ---- a connection ---- */

void conn_open(struct server *s, int fd, const struct sockaddr *addr)
{
    struct conn *c = malloc(sizeof(*c));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    if (!c || leat_epoll_ctl(s->epfd, EPOLL_CTL_ADD, fd, &ev) < 0) {
        free(c);
        leat_close(fd);
        return;
    }
    memset(c, 0, offsetof(struct conn, in));
    c->s = s;
    c->fd = fd;
    c->io = s->opt->transport ? s->opt->transport : &transport_plain;
    c->state = c->io->handshake ? CONN_HANDSHAKE : CONN_READING;
    const void *ip = addr->sa_family == AF_INET ? (const void *)&((const struct sockaddr_in *)addr)->sin_addr
                                                : &((const struct sockaddr_in6 *)addr)->sin6_addr;
    inet_ntop(addr->sa_family, ip, c->peer, sizeof(c->peer));
    http_parser_init(&c->parser, HTTP_REQUEST);
    c->parser.data = c;
    request_reset(&c->req);
    conn_deadline(c, c->io->handshake ? s->opt->request_s : s->opt->idle_s);
    TAILQ_INSERT_TAIL(&s->conns, c, link);
    s->n_conns++;
    if (!c->io->open(c))
        conn_close(c);
}

void conn_close(struct conn *c)
{
    response_clear(&c->res);
    c->io->close(c);
    TAILQ_REMOVE(&c->s->conns, c, link);
    c->s->n_conns--;
    leat_close(c->fd);
    free(c);
}

/* RFC 9110 §10.1.1: the client waits with its body. One that finds no room goes without: it will not wait for ever. */
static void tell_to_go_on(struct conn *c)
{
    static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
    c->req.wants_continue = false;
    c->io->send(c, go_on, sizeof(go_on) - 1, false);
}

/* Feeds the parser what is there. True: a request is complete or wrong, and the response is ready to go. */
static bool conn_parse(struct conn *c)
{
    if (c->in_used == c->in_len)
        return false;
    if (c->req.head_bytes == 0) {
        c->began = leat_now();
        conn_deadline(c, c->s->opt->request_s);
    }
    size_t n = c->in_len - c->in_used;
    bool in_head = !c->req.head_done;
    if (in_head && n > c->s->opt->max_header - c->req.head_bytes)
        n = c->s->opt->max_header - c->req.head_bytes;
    size_t parsed = http_parser_execute(&c->parser, &request_settings, c->in + c->in_used, n);
    enum http_errno err = HTTP_PARSER_ERRNO(&c->parser);
    c->in_used += (uint32_t)parsed;
    if (in_head)
        c->req.head_bytes += (uint32_t)parsed;
    if (!c->req.error && !c->req.head_done && c->req.head_bytes >= c->s->opt->max_header)
        c->req.error = 431;
    if (!c->req.error && err != HPE_OK && err != HPE_PAUSED)
        c->req.error = err == HPE_INVALID_METHOD ? 501 : err == HPE_HEADER_OVERFLOW ? 431 : 400;
    if (!c->req.error && !c->req.complete) {
        if (c->req.wants_continue && c->req.body == 0)
            tell_to_go_on(c);
        return false;
    }
    if (c->req.error)
        respond_error(c, c->req.error);
    else
        respond(c);
    c->state = CONN_SENDING;
    conn_deadline(c, c->s->opt->send_s);
    return true;
}

/* 1: bytes came; 0: none now; -1: the peer is done. */
static int conn_read(struct conn *c)
{
    c->in_used = c->in_len = 0;
    ssize_t n = c->io->read(c, c->in, sizeof(c->in));
    if (n > 0) {
        c->in_len = (uint32_t)n;
        return 1;
    }
    return n < 0 && errno == EAGAIN ? 0 : -1;
}

/* After a call that failed: is it worth another try? */
static bool may_go_on(struct conn *c)
{
    c->starved = errno == ENOBUFS;
    return errno == EAGAIN || errno == ENOBUFS;
}

static int send_bytes(struct conn *c, const char *data, size_t len, size_t done, bool more)
{
    while (done < len) {
        ssize_t n = c->io->send(c, data + done, len - done, more);
        if (n < 0)
            return may_go_on(c) ? 0 : -1;
        c->res.sent += n;
        done += (size_t)n;
    }
    return 1;
}

/* 1: all is queued; 0: no space now; -1: the connection is over. */
static int conn_send(struct conn *c)
{
    struct response *r = &c->res;
    bool has_file = r->file && r->length > 0;
    size_t first = r->head_len + r->small_len;
    int got = 1;
    if (r->sent < (off_t)first)
        got = send_bytes(c, r->head, first, (size_t)r->sent, r->body || has_file);
    if (got == 1 && r->body)
        got = send_bytes(c, r->body, r->body_len, (size_t)r->sent - r->head_len, false);
    while (got == 1 && has_file) {
        off_t done = r->sent - (off_t)r->head_len, n = 0;
        if (done == r->length)
            break;
        int err = c->io->sendfile(c, r->file->fd, r->offset + done, (size_t)(r->length - done), &n);
        r->sent += n;
        if (err < 0)
            got = may_go_on(c) ? 0 : -1;
        else if (n == 0)
            got = -1; /* the file is shorter than the header said */
    }
    return got;
}

/* The response is queued whole: on with the next request, or a close. */
static void conn_next(struct conn *c)
{
    bool close = c->res.close || c->s->draining;
    if (c->s->log)
        log_request(c->s->log, c);
    response_clear(&c->res);
    c->requests++;
    if (close) {
        /* RFC 9112 §9.6: a half close, then what the peer still sends is read, lest a RST overtakes the response. */
        c->io->finish(c);
        leat_shutdown(c->fd, SHUT_WR);
        c->state = CONN_CLOSING;
        conn_deadline(c, 2);
        return;
    }
    c->state = CONN_READING;
    request_reset(&c->req);
    http_parser_init(&c->parser, HTTP_REQUEST);
    conn_deadline(c, c->s->opt->idle_s);
}

/* 1: over to requests; 0: waits; -1: failed. */
static int conn_handshake(struct conn *c)
{
    int got = c->io->handshake(c);
    if (got == 1) {
        c->state = CONN_READING;
        conn_deadline(c, c->s->opt->idle_s);
    }
    return got;
}

void conn_run(struct conn *c)
{
    c->starved = false;
    for (;;) {
        if (c->state == CONN_HANDSHAKE) {
            int got = conn_handshake(c);
            if (got < 0)
                break;
            if (got == 0)
                return;
        }
        if (c->state == CONN_SENDING) {
            off_t before = c->res.sent;
            int got = conn_send(c);
            if (c->res.sent != before)
                conn_deadline(c, c->s->opt->send_s);
            if (got < 0)
                break;
            if (got == 0)
                return;
            conn_next(c);
            continue;
        }
        if (c->state == CONN_READING && conn_parse(c))
            continue;
        int got = conn_read(c);
        if (got < 0)
            break;
        if (got == 0)
            return;
    }
    conn_close(c);
}

/* A request that does not come whole in time is answered (RFC 9110 §15.5.9); everything else that stalls is closed. */
void conn_timeout(struct conn *c)
{
    /* A slow reader still gets what is queued: closed is closed only when it has it, or takes no more. */
    int queued = 0;
    if (c->state == CONN_CLOSING && leat_ioctl(c->fd, TIOCOUTQ, &queued) == 0 && queued > 0 &&
        queued != c->queued) {
        c->queued = queued;
        conn_deadline(c, 2);
        return;
    }
    if (c->state == CONN_SENDING) {
        /* A reader that takes nothing would hold what is queued for as long as it likes. */
        struct linger now = {1, 0};
        leat_setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    }
    if (c->state != CONN_READING || c->req.head_bytes == 0) {
        conn_close(c);
        return;
    }
    respond_error(c, 408);
    c->state = CONN_SENDING;
    conn_deadline(c, 2);
    conn_run(c);
}
