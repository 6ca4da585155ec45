// SPDX-License-Identifier: BSD-3-Clause
// What to answer: a file, a part of it, a folder's page, or an error.
#include "httpd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *reason(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 206:
        return "Partial Content";
    case 301:
        return "Moved Permanently";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 416:
        return "Range Not Satisfiable";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Internal Server Error";
    }
}

void response_clear(struct response *res)
{
    free(res->body);
    if (res->file)
        files_put(res->file);
    memset(res, 0, offsetof(struct response, head));
    memset(&res->body, 0, sizeof(*res) - offsetof(struct response, body));
}

static void head_add(struct response *res, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void head_add(struct response *res, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(res->head + res->head_len, HEAD_BUFFER - res->head_len, fmt, ap);
    va_end(ap);
    res->head_len += (size_t)n < HEAD_BUFFER - res->head_len ? (size_t)n : HEAD_BUFFER - res->head_len - 1;
}

static void head_begin(struct conn *c, int status)
{
    struct response *res = &c->res;
    response_clear(res);
    res->status = status;
    /* A client whose request was not understood whole can't be followed on this connection. */
    res->close = !c->req.complete || c->req.error || !c->req.keep_alive || c->s->draining;
    char date[32];
    http_date(time(NULL), date);
    head_add(res, "HTTP/1.1 %d %s\r\nDate: %s\r\nServer: leat-httpd\r\n", status, reason(status), date);
    if (res->close)
        head_add(res, "Connection: close\r\n");
    else if (c->req.minor == 0)
        head_add(res, "Connection: keep-alive\r\n");
}

static void head_end(struct conn *c)
{
    head_add(&c->res, "\r\n");
    if (c->req.method == HTTP_HEAD && c->req.head_done) {
        free(c->res.body);
        c->res.body = NULL;
        c->res.length = 0;
    }
}

/* The body of a small file goes behind the head, and the file's work is done. */
static void take_small(struct response *res)
{
    const struct file *f = res->file;
    if (!f->body || res->length == 0)
        return;
    memcpy(res->head + res->head_len, f->body + res->offset, (size_t)res->length);
    res->small_len = (size_t)res->length;
    res->length = 0;
}

static void respond_page(struct conn *c, char *page, size_t len)
{
    c->res.body = page;
    c->res.body_len = page ? len : 0;
    head_add(&c->res, "Content-Type: text/html; charset=utf-8\r\nContent-Length: %zu\r\n", c->res.body_len);
    head_end(c);
}

void respond_error(struct conn *c, int status)
{
    head_begin(c, status);
    if (status == 405)
        head_add(&c->res, "Allow: GET, HEAD\r\n");
    char *page = NULL;
    int len = asprintf(&page, "<!doctype html><title>%d %s</title><h1>%d %s</h1>\n", status, reason(status),
                       status, reason(status));
    respond_page(c, len < 0 ? NULL : page, len < 0 ? 0 : (size_t)len);
}

/* To the folder's own name, built from what was understood: what the client wrote may begin with two slashes, and "//host/" would lead
 * to another server. */
static void respond_redirect(struct conn *c, const char *path)
{
    const char *query = memchr(c->req.uri, '?', c->req.uri_len);
    char to[700]; /* the header must fit */
    if (path_encode(path, to, sizeof(to)) < 0 || strlen(to) + (query ? strlen(query) : 0) >= sizeof(to)) {
        respond_error(c, 414);
        return;
    }
    head_begin(c, 301);
    head_add(&c->res, "Location: /%s/%s\r\n", to, query ? query : "");
    respond_page(c, NULL, 0);
}

static void respond_unchanged(struct conn *c, const char *etag)
{
    head_begin(c, 304);
    head_add(&c->res, "ETag: %s\r\n", etag);
    head_end(c);
}

static void respond_unsatisfiable(struct conn *c, off_t size)
{
    head_begin(c, 416);
    head_add(&c->res, "Content-Range: bytes */%lld\r\n", (long long)size);
    respond_page(c, NULL, 0);
}

/* Takes f. */
static void respond_file(struct conn *c, struct file *f)
{
    const struct stat *st = &f->st;
    struct byte_range range = {0, st->st_size};
    int status = conditions_check(&c->req, st, f->etag);
    if (!status)
        status = range_check(&c->req, st, f->etag, &range);
    if (status != 200 && status != 206) {
        if (status == 304)
            respond_unchanged(c, f->etag);
        else if (status == 416)
            respond_unsatisfiable(c, st->st_size);
        else
            respond_error(c, status);
        files_put(f);
        return;
    }
    head_begin(c, status);
    head_add(&c->res, "Content-Type: %s\r\nContent-Length: %lld\r\n%s", f->type, (long long)range.length,
             f->head);
    if (status == 206)
        head_add(&c->res, "Content-Range: bytes %lld-%lld/%lld\r\n", (long long)range.first,
                 (long long)(range.first + range.length - 1), (long long)st->st_size);
    c->res.file = f;
    c->res.offset = range.first;
    c->res.length = range.length;
    head_end(c);
    take_small(&c->res);
}

/* Takes dir. */
static void respond_folder(struct conn *c, struct file *dir, const char *path)
{
    char index[PATH_MAX], uri_path[PATH_MAX + 2];
    int err, n = snprintf(index, sizeof(index), "%s/%s", path, c->s->opt->index);
    struct file *f = n < (int)sizeof(index) ? files_get(&c->s->files, c->s->root, index, &err) : NULL;
    if (f && S_ISREG(f->st.st_mode)) {
        files_put(dir);
        respond_file(c, f);
        return;
    }
    int fd = c->s->opt->listing ? fcntl(dir->fd, F_DUPFD_CLOEXEC, 0) : -1; /* the listing takes it */
    if (f)
        files_put(f);
    files_put(dir);
    if (!c->s->opt->listing) {
        respond_error(c, 403);
        return;
    }
    snprintf(uri_path, sizeof(uri_path), "/%s", strcmp(path, ".") == 0 ? "" : path);
    size_t len;
    char *page = fd < 0 ? NULL : path_listing(fd, uri_path, &len);
    if (!page) {
        respond_error(c, 500);
        return;
    }
    head_begin(c, 200);
    respond_page(c, page, len);
}

static int status_of(int err)
{
    switch (err) {
    case -ENOENT:
    case -ENOTDIR:
        return 404;
    case -ENAMETOOLONG:
        return 414;
    case -EACCES:
    case -EPERM:
    case -EXDEV: /* a way out of the root */
    case -ELOOP:
        return 403;
    case -EMFILE:
    case -ENFILE:
    case -ENOMEM:
        return 503;
    default:
        return 500;
    }
}

void respond(struct conn *c)
{
    char path[PATH_MAX];
    bool slash;
    if (c->req.method != HTTP_GET && c->req.method != HTTP_HEAD) {
        respond_error(c, 405);
        return;
    }
    int status = path_decode(c->req.uri, c->req.uri_len, path, &slash);
    if (status) {
        respond_error(c, status);
        return;
    }
    int err = 0;
    struct file *f = files_get(&c->s->files, c->s->root, path, &err);
    mode_t mode = f ? f->st.st_mode : 0;
    if (!f) {
        respond_error(c, status_of(err));
    } else if (S_ISDIR(mode) && !slash) {
        files_put(f);
        respond_redirect(c, path);
    } else if (S_ISDIR(mode)) {
        respond_folder(c, f, path);
    } else if (S_ISREG(mode) && !slash) {
        respond_file(c, f);
    } else {
        files_put(f);
        respond_error(c, S_ISREG(mode) ? 404 : 403);
    }
}
