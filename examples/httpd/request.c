// SPDX-License-Identifier: BSD-3-Clause
// The parser's callbacks: keeps the URI and the few headers that matter.
#include "httpd.h"
#include <string.h>
#include <strings.h>

static const char *const names[H_COUNT] = {
    [H_HOST] = "host",
    [H_RANGE] = "range",
    [H_IF_RANGE] = "if-range",
    [H_IF_MATCH] = "if-match",
    [H_IF_NONE_MATCH] = "if-none-match",
    [H_IF_MODIFIED] = "if-modified-since",
    [H_IF_UNMODIFIED] = "if-unmodified-since",
    [H_TRANSFER] = "transfer-encoding",
    [H_EXPECT] = "expect",
    [H_REFERER] = "referer",
    [H_AGENT] = "user-agent",
};

void request_reset(struct request *r)
{
    r->uri[0] = r->field[0] = 0;
    for (int i = 0; i < H_COUNT; i++)
        r->value[i][0] = 0;
    memset(&r->field_len, 0, sizeof(*r) - offsetof(struct request, field_len));
    r->uri_len = 0;
    r->heeded = -1;
}

static struct request *request_of(http_parser *p)
{
    return &((struct conn *)p->data)->req;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct request *r = request_of(p);
    if (r->uri_len + len > URI_MAX) {
        r->error = 414;
        return 1;
    }
    memcpy(r->uri + r->uri_len, at, len);
    r->uri_len += (uint32_t)len;
    r->uri[r->uri_len] = 0;
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct request *r = request_of(p);
    if (r->head_done)
        return 0; /* trailers change nothing (RFC 9110 §6.5.1) */
    if (r->in_value) {
        r->in_value = false;
        r->field_len = 0;
    }
    /* A name too long to be one of ours is only kept long enough to differ from them. */
    size_t room = sizeof(r->field) - 1 - r->field_len;
    size_t n = len < room ? len : room;
    memcpy(r->field + r->field_len, at, n);
    r->field_len += (uint32_t)n;
    r->field[r->field_len] = 0;
    return 0;
}

static int header_of(const char *field)
{
    for (int i = 0; i < H_COUNT; i++)
        if (strcasecmp(field, names[i]) == 0)
            return i;
    return -1;
}

/* The next field begins: which one? False: it must not be there again. */
static bool begin_value(struct request *r)
{
    r->in_value = true;
    r->value_len = 0;
    r->heeded = header_of(r->field);
    if (r->heeded < 0)
        return true;
    bool again = r->seen & 1u << r->heeded;
    r->seen |= 1u << r->heeded;
    if (again && r->heeded == H_HOST)
        return false; /* RFC 9112 §3.2 */
    if (again && (r->heeded == H_IF_MATCH || r->heeded == H_IF_NONE_MATCH || r->heeded == H_TRANSFER)) {
        /* Several lines are one list (RFC 9110 §5.3). */
        char *value = r->value[r->heeded];
        r->value_len = (uint32_t)strlen(value);
        if (r->value_len + 1 < HEADER_VALUE)
            value[r->value_len++] = ',';
    }
    return true;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct request *r = request_of(p);
    if (r->head_done)
        return 0;
    if (!r->in_value && !begin_value(r)) {
        r->error = 400;
        return 1;
    }
    if (r->heeded < 0)
        return 0;
    char *value = r->value[r->heeded];
    size_t room = HEADER_VALUE - 1 - r->value_len;
    if (len > room) {
        /* What is only logged is cut; a condition cut short would mean something else. */
        if (r->heeded != H_REFERER && r->heeded != H_AGENT) {
            r->error = 431;
            return 1;
        }
        len = room;
    }
    memcpy(value + r->value_len, at, len);
    r->value_len += (uint32_t)len;
    value[r->value_len] = 0;
    return 0;
}

/* 0, or the status that answers what was asked before the body has come. */
static int expectation(const http_parser *p, struct request *r)
{
    if (!r->value[H_EXPECT][0] || r->minor == 0)
        return 0;
    if (strcasecmp(r->value[H_EXPECT], "100-continue") != 0)
        return 417;
    if (r->method != HTTP_GET && r->method != HTTP_HEAD)
        return 405; /* before it is sent for nothing */
    r->wants_continue = r->value[H_TRANSFER][0] || (p->content_length != UINT64_MAX && p->content_length > 0);
    return 0;
}

static int on_head(http_parser *p)
{
    struct conn *c = p->data;
    struct request *r = &c->req;
    r->head_done = true;
    r->method = p->method;
    r->major = p->http_major;
    r->minor = p->http_minor;
    r->keep_alive = http_should_keep_alive(p) && c->requests + 1 < c->s->opt->max_requests;
    if (r->major != 1)
        r->error = 505;
    else if (r->minor >= 1 && !(r->seen & 1u << H_HOST))
        r->error = 400;
    else if (r->value[H_TRANSFER][0] && strcasecmp(r->value[H_TRANSFER], "chunked") != 0)
        r->error = 501; /* RFC 9112 §6.1 */
    else if (p->content_length != UINT64_MAX && p->content_length > c->s->opt->max_body)
        r->error = 413;
    else
        r->error = expectation(p, r);
    return r->error ? -1 : 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct conn *c = p->data;
    c->req.body += len;
    if (c->req.body > c->s->opt->max_body) {
        c->req.error = 413;
        return 1;
    }
    return 0;
}

static int on_complete(http_parser *p)
{
    request_of(p)->complete = true;
    http_parser_pause(p, 1); /* the next request waits until this one is answered */
    return 0;
}

const http_parser_settings request_settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_complete,
};
