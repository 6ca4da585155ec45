// SPDX-License-Identifier: BSD-3-Clause
// What happens to a script's text before it is read: #ifdef chooses lines, and words that were defined are replaced, as google's
// packetdrill does it. Lines left out become empty, so that numbers stay.
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script.h"

struct symbol_text {
    const char *name, *value;
    size_t name_len, value_len;
};

struct preprocessor {
    struct symbol_text symbols[2 * SCRIPT_DEFINES_MAX];
    unsigned n, depth, off; /* off: the depth at which text began to be left out; 0: it is not */
    unsigned line;
    char *out;
    size_t len;
    FILE *f;
    char *err;
    size_t errlen;
    const char *path;
    bool failed;
};

static void wrong(struct preprocessor *p, const char *what, int n, const char *at)
{
    if (!p->failed)
        snprintf(p->err, p->errlen, "%s:%u: %s%.*s", p->path, p->line, what, n, at);
    p->failed = true;
}

/* ---- symbols ---- */

/* NAME or NAME=value; quotes around the value are not part of it. */
static void define(struct preprocessor *p, const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);
    if (p->n == 2 * SCRIPT_DEFINES_MAX) {
        wrong(p, "too many symbols", 0, "");
        return;
    }
    struct symbol_text *s = &p->symbols[p->n++];
    s->name = text;
    s->name_len = equals ? (size_t)(equals - text) : len;
    s->value = equals ? equals + 1 : "1";
    s->value_len = equals ? len - s->name_len - 1 : 1;
    if (s->value_len >= 2 && *s->value == '"' && s->value[s->value_len - 1] == '"') {
        s->value++;
        s->value_len -= 2;
    }
}

/* The last definition wins; the command line's come last. */
static const struct symbol_text *find(const struct preprocessor *p, const char *name, size_t len)
{
    for (unsigned i = p->n; i > 0; i--)
        if (p->symbols[i - 1].name_len == len && !memcmp(p->symbols[i - 1].name, name, len))
            return &p->symbols[i - 1];
    return NULL;
}

static bool is_defined(const struct preprocessor *p, const char *name, size_t len)
{
    const struct symbol_text *s = find(p, name, len);
    return s && !(s->value_len == 1 && *s->value == '0');
}

/* --define=... lines of the text. */
static void define_from_text(struct preprocessor *p, const char *text)
{
    static const char option[] = "--define=";
    for (const char *at = text; (at = strstr(at, option)) != NULL;) {
        bool first = at == text || at[-1] == '\n';
        at += sizeof(option) - 1;
        if (first)
            define(p, at, strcspn(at, "\r\n"));
    }
}

/* ---- lines ---- */

static void directive(struct preprocessor *p, const char *line, size_t n)
{
    const char *w = line + 1;
    size_t len = strcspn(w, " \t\r\n");
    const char *name = w + len + strspn(w + len, " \t");
    size_t name_len = strcspn(name, " \t\r\n");
    bool is_ifdef = len == 5 && !strncmp(w, "ifdef", 5), is_ifndef = len == 6 && !strncmp(w, "ifndef", 6);
    if (is_ifdef || is_ifndef) {
        p->depth++;
        if (!p->off && is_defined(p, name, name_len) != is_ifdef)
            p->off = p->depth;
    } else if (len == 4 && !strncmp(w, "else", 4) && p->depth > 0) {
        p->off = p->off == p->depth ? 0 : p->off ? p->off : p->depth;
    } else if (len == 5 && !strncmp(w, "endif", 5) && p->depth > 0) {
        if (p->off == p->depth)
            p->off = 0;
        p->depth--;
    } else {
        wrong(p, "unknown directive ", (int)n, line);
    }
}

/* The end of what is not to be looked into: a string, a command, code, a comment. NULL: nothing such begins here. */
static const char *opaque_end(const char *at)
{
    static const struct {
        const char *begin, *end;
    } kinds[] = {{"\"", "\""}, {"`", "`"}, {"%{", "}%"}, {"//", "\n"}, {"/*", "*/"}, {"--", "\n"}};
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        size_t n = strlen(kinds[i].begin);
        if (strncmp(at, kinds[i].begin, n) != 0)
            continue;
        const char *end = strstr(at + n, kinds[i].end);
        if (!end)
            return at + strlen(at);
        return *kinds[i].end == '\n' ? end : end + strlen(kinds[i].end);
    }
    return NULL;
}

static const char *word_end(const char *at)
{
    while (isalnum((unsigned char)*at) || *at == '_')
        at++;
    return at;
}

/* One piece of text that is kept; returns where it ends. */
static const char *copy(struct preprocessor *p, const char *at)
{
    const char *end = opaque_end(at);
    const struct symbol_text *s = NULL;
    if (!end && (isalpha((unsigned char)*at) || *at == '_')) {
        end = word_end(at);
        s = find(p, at, (size_t)(end - at));
    } else if (!end) {
        end = isalnum((unsigned char)*at) ? word_end(at) : at + 1;
    }
    fwrite(s ? s->value : at, 1, s ? s->value_len : (size_t)(end - at), p->f);
    for (; at < end; at++)
        p->line += *at == '\n';
    return end;
}

static bool is_directive(const char *at)
{
    return *at == '#' && (!strncmp(at, "#if", 3) || !strncmp(at, "#e", 2));
}

static void whole(struct preprocessor *p, const char *text)
{
    bool line_begins = true;
    for (const char *at = text; *at && !p->failed;) {
        const char *first = at + strspn(at, " \t");
        size_t n = strcspn(first, "\n");
        if (line_begins && is_directive(first))
            directive(p, first, n);
        if (line_begins && (is_directive(first) || p->off)) {
            at = first + n;
            line_begins = false;
            continue;
        }
        line_begins = *at == '\n';
        at = copy(p, at);
    }
    if (p->depth)
        wrong(p, "#ifdef without #endif", 0, "");
}

char *preprocess(const char *text, const char *const *defines, char *err, size_t errlen, const char *path)
{
    struct preprocessor p = {.line = 1, .err = err, .errlen = errlen, .path = path};
    p.f = open_memstream(&p.out, &p.len);
    if (!p.f)
        abort();
    define_from_text(&p, text);
    for (; *defines; defines++)
        define(&p, *defines, strlen(*defines));
    whole(&p, text);
    fclose(p.f);
    if (!p.failed)
        return p.out;
    free(p.out);
    return NULL;
}
