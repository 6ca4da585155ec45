// SPDX-License-Identifier: BSD-3-Clause
// From a URI to a file below the root. The kernel guards the root (openat2, RESOLVE_BENEATH): no dot-dot, no link leads out.
#include "httpd.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Removes percent encoding; refuses NUL, a lone percent sign, and control characters. Length, or -1. */
static int unescape(const char *in, uint32_t len, char *out, size_t size)
{
    size_t n = 0;
    for (uint32_t i = 0; i < len; i++) {
        int ch = (unsigned char)in[i];
        if (ch == '%') {
            int hi = i + 2 < len ? hex(in[i + 1]) : -1, lo = hi < 0 ? -1 : hex(in[i + 2]);
            if (hi < 0 || lo < 0)
                return -1;
            ch = hi << 4 | lo;
            i += 2;
        }
        if (ch < 0x20 || ch == 0x7f || n + 1 >= size)
            return -1;
        out[n++] = (char)ch;
    }
    out[n] = 0;
    return (int)n;
}

int path_decode(const char *uri, uint32_t len, char out[PATH_MAX], bool *slash)
{
    char plain[URI_MAX + 2];
    /* The absolute form, "http://host/path", is allowed in every request (RFC 9112 §3.2.2). */
    if (len > 7 && strncasecmp(uri, "http://", 7) == 0) {
        const char *p = memchr(uri + 7, '/', len - 7);
        len = p ? len - (uint32_t)(p - uri) : 1;
        uri = p ? p : "/";
    }
    const char *end = memchr(uri, '?', len);
    if (end)
        len = (uint32_t)(end - uri);
    if (len == 0 || uri[0] != '/')
        return 400;
    if (unescape(uri, len, plain, sizeof(plain)) < 0)
        return 400;
    size_t n = 0, top = 0;
    size_t starts[URI_MAX / 2 + 1]; /* where each part of out begins, to undo it at dot-dot */
    *slash = false;
    for (char *part = plain; *part;) {
        part += strspn(part, "/");
        size_t l = strcspn(part, "/");
        *slash = l == 0 || part[l] == '/';
        if (l == 2 && part[0] == '.' && part[1] == '.') {
            if (top == 0)
                return 400;
            n = starts[--top];
            *slash = true;
        } else if (l == 1 && part[0] == '.') {
            *slash = true;
        } else if (l > 0) {
            if (n + l + 2 > PATH_MAX)
                return 414;
            starts[top++] = n;
            if (n > 0)
                out[n++] = '/';
            memcpy(out + n, part, l);
            n += l;
        }
        part += l;
    }
    if (n == 0)
        out[n++] = '.';
    out[n] = 0;
    if (strcmp(out, ".") == 0)
        *slash = true;
    return 0;
}

int path_encode(const char *path, char *out, size_t size)
{
    size_t n = 0;
    for (; *path && n + 4 <= size; path++) {
        if (isalnum((unsigned char)*path) || strchr("-._~/", *path))
            out[n++] = *path;
        else
            n += (size_t)snprintf(out + n, size - n, "%%%02X", (unsigned char)*path);
    }
    if (*path || n >= size)
        return -1;
    out[n] = 0;
    return (int)n;
}

int path_open(int root, const char *path, struct stat *st)
{
    struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
    if (fd < 0)
        return -errno;
    if (fstat(fd, st) < 0) {
        int err = errno;
        close(fd);
        return -err;
    }
    return fd;
}

const char *path_type(const char *path)
{
    static const struct {
        const char *ext, *type;
    } types[] = {
        {"html", "text/html; charset=utf-8"},
        {"htm", "text/html; charset=utf-8"},
        {"txt", "text/plain; charset=utf-8"},
        {"md", "text/markdown; charset=utf-8"},
        {"css", "text/css; charset=utf-8"},
        {"js", "text/javascript; charset=utf-8"},
        {"mjs", "text/javascript; charset=utf-8"},
        {"json", "application/json"},
        {"xml", "application/xml"},
        {"csv", "text/csv"},
        {"svg", "image/svg+xml"},
        {"png", "image/png"},
        {"jpg", "image/jpeg"},
        {"jpeg", "image/jpeg"},
        {"gif", "image/gif"},
        {"webp", "image/webp"},
        {"avif", "image/avif"},
        {"ico", "image/x-icon"},
        {"bmp", "image/bmp"},
        {"woff", "font/woff"},
        {"woff2", "font/woff2"},
        {"ttf", "font/ttf"},
        {"otf", "font/otf"},
        {"pdf", "application/pdf"},
        {"zip", "application/zip"},
        {"gz", "application/gzip"},
        {"xz", "application/x-xz"},
        {"zst", "application/zstd"},
        {"tar", "application/x-tar"},
        {"wasm", "application/wasm"},
        {"mp3", "audio/mpeg"},
        {"ogg", "audio/ogg"},
        {"wav", "audio/wav"},
        {"flac", "audio/flac"},
        {"mp4", "video/mp4"},
        {"webm", "video/webm"},
        {"mkv", "video/x-matroska"},
        {"m3u8", "application/vnd.apple.mpegurl"},
        {"ts", "video/mp2t"},
        {"mpd", "application/dash+xml"},
        {"m4s", "video/iso.segment"},
    };
    const char *base = strrchr(path, '/');
    const char *dot = strrchr(base ? base : path, '.');
    for (size_t i = 0; dot && i < sizeof(types) / sizeof(*types); i++)
        if (strcasecmp(dot + 1, types[i].ext) == 0)
            return types[i].type;
    return "application/octet-stream";
}

/* ---- listing ---- */

static void html_text(FILE *out, const char *s)
{
    for (; *s; s++) {
        switch (*s) {
        case '<':
            fputs("&lt;", out);
            break;
        case '>':
            fputs("&gt;", out);
            break;
        case '&':
            fputs("&amp;", out);
            break;
        case '"':
            fputs("&quot;", out);
            break;
        default:
            fputc(*s, out);
        }
    }
}

static void uri_text(FILE *out, const char *name)
{
    char text[3 * NAME_MAX + 1];
    if (path_encode(name, text, sizeof(text)) >= 0)
        fputs(text, out);
}

static int not_hidden(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static void list_entry(FILE *out, int dir, const char *name)
{
    struct stat st;
    if (fstatat(dir, name, &st, 0) < 0 || (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)))
        return;
    const char *slash = S_ISDIR(st.st_mode) ? "/" : "";
    char date[32];
    struct tm tm;
    gmtime_r(&st.st_mtime, &tm);
    strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &tm);
    fputs("<tr><td><a href=\"", out);
    uri_text(out, name);
    fprintf(out, "%s\">", slash);
    html_text(out, name);
    fprintf(out, "%s</a><td>%s<td align=right>", slash, date);
    if (S_ISREG(st.st_mode))
        fprintf(out, "%lld", (long long)st.st_size);
    fputs("\n", out);
}

char *path_listing(int dir, const char *uri_path, size_t *len)
{
    char *page = NULL;
    struct dirent **names = NULL;
    int n = scandirat(dir, ".", &names, not_hidden, alphasort);
    FILE *out = n < 0 ? NULL : open_memstream(&page, len);
    if (out) {
        fputs("<!doctype html><meta charset=utf-8><title>", out);
        html_text(out, uri_path);
        fputs("</title><h1>", out);
        html_text(out, uri_path);
        fputs("</h1><table cellpadding=4>\n", out);
        if (strcmp(uri_path, "/") != 0)
            fputs("<tr><td><a href=\"../\">../</a>\n", out);
        for (int i = 0; i < n; i++)
            list_entry(out, dir, names[i]->d_name);
        fputs("</table>\n", out);
        if (fclose(out) != 0) {
            free(page);
            page = NULL;
        }
    }
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    close(dir);
    return page;
}
