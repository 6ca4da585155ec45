// SPDX-License-Identifier: BSD-3-Clause
// Access log in the combined format, buffered and appended whole lines at a time, so that several engines may share the file.
#include "httpd.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOG_BUFFER 65536
#define LOG_LINE   (3 * URI_MAX)

struct access_log {
    int fd;
    size_t len;
    char buf[LOG_BUFFER];
};

struct access_log *log_open(const char *path)
{
    struct access_log *l = malloc(sizeof(*l));
    if (!l)
        return NULL;
    l->len = 0;
    l->fd = strcmp(path, "-") == 0 ? dup(STDOUT_FILENO)
                                   : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (l->fd < 0) {
        free(l);
        return NULL;
    }
    return l;
}

void log_flush(struct access_log *l)
{
    size_t done = 0;
    while (done < l->len) {
        ssize_t n = write(l->fd, l->buf + done, l->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break; /* a full disk must not stop the server */
        done += (size_t)n;
    }
    l->len = 0;
}

/* What a client sent must not forge lines: quotes and controls are escaped. */
static size_t log_text(char *out, size_t room, const char *in)
{
    size_t n = 0;
    if (!*in && room > 1)
        out[n++] = '-';
    for (; *in && n + 5 < room; in++) {
        unsigned char ch = (unsigned char)*in;
        if (ch < 0x20 || ch >= 0x7f || ch == '"' || ch == '\\')
            n += (size_t)snprintf(out + n, room - n, "\\x%02X", ch);
        else
            out[n++] = (char)ch;
    }
    return n;
}

void log_request(struct access_log *l, const struct conn *c)
{
    if (l->len + LOG_LINE + 4 * HEADER_VALUE * 2 > sizeof(l->buf))
        log_flush(l);
    char *p = l->buf + l->len, *end = l->buf + sizeof(l->buf);
    char date[40];
    time_t now = time(NULL);
    struct tm tm;
    localtime_r(&now, &tm);
    strftime(date, sizeof(date), "%d/%b/%Y:%H:%M:%S %z", &tm);
    const struct request *r = &c->req;
    off_t body = c->res.sent - (off_t)c->res.head_len;
    p += snprintf(p, (size_t)(end - p), "%s - - [%s] \"%s ", c->peer, date,
                  r->head_done ? http_method_str((enum http_method)r->method) : "-");
    p += log_text(p, LOG_LINE, r->uri);
    p += snprintf(p, (size_t)(end - p), " HTTP/%u.%u\" %d %lld \"", r->major, r->minor, c->res.status,
                  (long long)(body > 0 ? body : 0));
    p += log_text(p, 2 * HEADER_VALUE, r->value[H_REFERER]);
    p += snprintf(p, (size_t)(end - p), "\" \"");
    p += log_text(p, 2 * HEADER_VALUE, r->value[H_AGENT]);
    p += snprintf(p, (size_t)(end - p), "\"\n");
    l->len = (size_t)(p - l->buf);
}

void log_close(struct access_log *l)
{
    log_flush(l);
    close(l->fd);
    free(l);
}
