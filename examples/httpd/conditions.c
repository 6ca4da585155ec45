// SPDX-License-Identifier: BSD-3-Clause
// Conditional requests and ranges (RFC 9110 §13 and §14).
#include "httpd.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of a few times it is asked again and again: now, and when each of the files changed. */
void http_date(time_t t, char out[32])
{
    static __thread struct {
        time_t t;
        char text[32];
    } known[64];
    size_t i = (size_t)t % (sizeof(known) / sizeof(*known));
    if (known[i].t != t || !known[i].text[0]) {
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(known[i].text, sizeof(known[i].text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
        known[i].t = t;
    }
    memcpy(out, known[i].text, sizeof(known[i].text));
}

time_t http_date_parse(const char *text)
{
    /* The preferred form and the two obsolete ones (RFC 9110 §5.6.7). */
    static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                        "%a %b %d %H:%M:%S %Y"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
        struct tm tm = {0};
        const char *end = strptime(text, forms[i], &tm);
        if (end && *end == 0)
            return timegm(&tm);
    }
    return -1;
}

void etag_of(const struct stat *st, char out[64])
{
    snprintf(out, 64, "\"%" PRIx64 "-%" PRIx64 "\"",
             (uint64_t)st->st_mtim.tv_sec * 1000000000 + (uint64_t)st->st_mtim.tv_nsec,
             (uint64_t)st->st_size);
}

/* Is etag in the list? Weak comparison takes W/"x" for "x" (RFC 9110 §8.8.3.2). */
static bool etag_listed(const char *list, const char *etag, bool weak)
{
    size_t len = strlen(etag);
    for (const char *p = list; *p;) {
        p += strspn(p, " \t,");
        if (*p == '*')
            return true;
        bool is_weak = p[0] == 'W' && p[1] == '/';
        if (is_weak)
            p += 2;
        if ((weak || !is_weak) && strncmp(p, etag, len) == 0 && (p[len] == 0 || strchr(" \t,", p[len])))
            return true;
        if (*p == '"') {
            const char *end = strchr(p + 1, '"');
            p = end ? end + 1 : p + strlen(p);
        } else {
            p += strcspn(p, ",");
        }
    }
    return false;
}

int conditions_check(const struct request *r, const struct stat *st, const char *etag)
{
    time_t t;
    if (r->value[H_IF_MATCH][0]) {
        if (!etag_listed(r->value[H_IF_MATCH], etag, false))
            return 412;
    } else if (r->value[H_IF_UNMODIFIED][0]) {
        t = http_date_parse(r->value[H_IF_UNMODIFIED]);
        if (t != -1 && st->st_mtime > t)
            return 412;
    }
    if (r->value[H_IF_NONE_MATCH][0])
        return etag_listed(r->value[H_IF_NONE_MATCH], etag, true) ? 304 : 0;
    if (r->value[H_IF_MODIFIED][0]) {
        t = http_date_parse(r->value[H_IF_MODIFIED]);
        if (t != -1 && st->st_mtime <= t)
            return 304;
    }
    return 0;
}

static bool if_range_holds(const struct request *r, const struct stat *st, const char *etag)
{
    const char *v = r->value[H_IF_RANGE];
    if (!v[0])
        return true;
    if (v[0] == '"' || strncmp(v, "W/", 2) == 0)
        return strcmp(v, etag) == 0; /* ours is strong, so a weak one never holds */
    return http_date_parse(v) == st->st_mtime;
}

/* Digits at *p as a number; false: none, or more than off_t holds. */
static bool digits(const char **p, off_t *out)
{
    if (!isdigit((unsigned char)**p))
        return false;
    char *end;
    errno = 0;
    long long v = strtoll(*p, &end, 10);
    *p = end;
    *out = v;
    return errno == 0;
}

/*
 * One range is served; several in one request are answered with the whole file, as RFC 9110 §14.2 allows. A header that is not a valid
 * range is ignored.
 */
int range_check(const struct request *r, const struct stat *st, const char *etag, struct byte_range *out)
{
    const char *p = r->value[H_RANGE];
    off_t size = st->st_size, first, last;
    *out = (struct byte_range){0, size};
    if (strncmp(p, "bytes=", 6) != 0 || r->method != HTTP_GET || strchr(p, ',') ||
        !if_range_holds(r, st, etag))
        return 200;
    p += 6;
    if (*p == '-') {
        p++;
        if (!digits(&p, &last) || *p)
            return 200;
        if (last == 0 || size == 0)
            return 416;
        out->first = last < size ? size - last : 0;
        out->length = size - out->first;
        return 206;
    }
    if (!digits(&p, &first) || *p++ != '-')
        return 200;
    last = size - 1;
    if (*p && (!digits(&p, &last) || *p || last < first))
        return 200;
    if (first >= size)
        return 416;
    out->first = first;
    out->length = (last < size ? last : size - 1) - first + 1;
    return 206;
}
