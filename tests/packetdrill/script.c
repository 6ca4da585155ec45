// SPDX-License-Identifier: BSD-3-Clause
// Reading scripts: options, times, calls and their values. Before it: preprocess.c.
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "script.h"

struct reader {
    struct script *script;
    const char *at;
    unsigned line;
    char *err;
    size_t errlen;
    bool failed;
};

static __attribute__((format(printf, 2, 3))) void *wrong(struct reader *r, const char *format, ...)
{
    char what[400];
    va_list ap;
    if (r->failed)
        return NULL;
    va_start(ap, format);
    vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    snprintf(r->err, r->errlen, "%s:%u: %s", r->script->path, r->line, what);
    r->failed = true;
    return NULL;
}

static void *must(void *p)
{
    if (!p)
        abort(); /* a test cannot go on without memory */
    return p;
}

/* ---- words ---- */

static void next_char(struct reader *r)
{
    if (*r->at == '\n')
        r->line++;
    r->at++;
}

static void skip_until(struct reader *r, const char *end)
{
    while (*r->at && strncmp(r->at, end, strlen(end)) != 0)
        next_char(r);
    for (size_t i = 0; *r->at && i < strlen(end); i++)
        next_char(r);
}

static void skip_space(struct reader *r)
{
    for (;;) {
        if (isspace((unsigned char)*r->at)) {
            next_char(r);
        } else if (r->at[0] == '/' && r->at[1] == '/') {
            skip_until(r, "\n");
        } else if (r->at[0] == '/' && r->at[1] == '*') {
            skip_until(r, "*/");
        } else if (r->at[0] == '#') { /* comments of some scripts */
            skip_until(r, "\n");
        } else {
            return;
        }
    }
}

static bool peek(struct reader *r, const char *what)
{
    skip_space(r);
    return !strncmp(r->at, what, strlen(what));
}

static bool take(struct reader *r, const char *what)
{
    if (r->failed || !peek(r, what))
        return false;
    r->at += strlen(what);
    return true;
}

static bool need(struct reader *r, const char *what)
{
    if (take(r, what))
        return true;
    wrong(r, "expected \"%s\" at \"%.*s\"", what, (int)strcspn(r->at, "\n"), r->at);
    return false;
}

static char *word(struct reader *r)
{
    size_t n = 0;
    skip_space(r);
    while (isalnum((unsigned char)r->at[n]) || r->at[n] == '_')
        n++;
    if (n == 0 || isdigit((unsigned char)*r->at))
        return wrong(r, "expected a word at \"%.*s\"", (int)strcspn(r->at, "\n"), r->at);
    char *w = must(strndup(r->at, n));
    r->at += n;
    return w;
}

/* Seconds with a fraction, as ns. */
static int64_t seconds(struct reader *r)
{
    skip_space(r);
    if (!isdigit((unsigned char)*r->at) && *r->at != '.') {
        wrong(r, "expected a time at \"%.*s\"", (int)strcspn(r->at, "\n"), r->at);
        return 0;
    }
    int64_t whole = 0, fraction = 0, unit = 1000000000;
    for (; isdigit((unsigned char)*r->at); r->at++)
        whole = whole * 10 + (*r->at - '0');
    if (r->at[0] == '.' && r->at[1] != '.') {
        for (r->at++; isdigit((unsigned char)*r->at); r->at++) {
            unit /= 10;
            fraction += (*r->at - '0') * unit;
        }
    }
    return whole * 1000000000 + fraction;
}

/* ---- values ---- */

static struct value *expression(struct reader *r);

static struct value *value_new(enum value_kind kind)
{
    struct value *v = must(calloc(1, sizeof(*v)));
    v->kind = kind;
    return v;
}

static void value_free(struct value *v)
{
    while (v) {
        struct value *next = v->next;
        value_free(v->first);
        free(v->string);
        free(v->name);
        free(v);
        v = next;
    }
}

static struct value *integer(int64_t n)
{
    struct value *v = value_new(VALUE_INTEGER);
    v->integer = n;
    return v;
}

static int hex_digit(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

static struct value *string(struct reader *r)
{
    struct value *v = value_new(VALUE_STRING);
    r->at++; /* the quote */
    v->string = must(malloc(strlen(r->at) + 1));
    while (*r->at && *r->at != '"' && *r->at != '\n') {
        char c = *r->at++;
        if (c == '\\') {
            static const char from[] = "nrt0\\\"", to[] = "\n\r\t\0\\\"";
            const char *e = *r->at ? strchr(from, *r->at) : NULL;
            if (*r->at == 'x' && hex_digit(r->at[1]) >= 0 && hex_digit(r->at[2]) >= 0) {
                c = (char)(hex_digit(r->at[1]) << 4 | hex_digit(r->at[2]));
                r->at += 3;
            } else if (e) {
                c = to[e - from];
                r->at++;
            } else {
                wrong(r, "unknown escape in a string");
            }
        }
        v->string[v->len++] = c;
    }
    v->string[v->len] = 0;
    if (*r->at == '"')
        r->at++;
    else
        wrong(r, "a string does not end");
    return v;
}

/* "a" "b" is one string. */
static void append(struct value *v, struct value *more)
{
    v->string = must(realloc(v->string, v->len + more->len + 1));
    memcpy(v->string + v->len, more->string, more->len + 1);
    v->len += more->len;
    value_free(more);
}

static struct value *list_of(struct reader *r, enum value_kind kind, const char *end)
{
    struct value *list = value_new(kind), **last = &list->first;
    if (take(r, end))
        return list;
    do {
        char *name = NULL;
        const char *before = r->at;
        if (kind == VALUE_STRUCT && (isalpha((unsigned char)*(skip_space(r), r->at)))) {
            before = r->at;
            name = word(r);
            if (take(r, "(")) /* msg_iov(1)= */
                skip_until(r, ")");
            if (!take(r, "=")) {
                free(name);
                name = NULL;
                r->at = before;
            }
        }
        *last = expression(r);
        if (!*last)
            free(name);
        else
            (*last)->name = name;
        if (*last)
            last = &(*last)->next;
    } while (take(r, ","));
    need(r, end);
    return list;
}

/* htons(80), htonl(1), inet_addr("10.0.0.1"), inet_pton(...): numbers stay host order but for addresses, which stay text. */
static struct value *function(struct reader *r, const char *name)
{
    if (strcmp(name, "htons") != 0 && strcmp(name, "htonl") != 0 && strcmp(name, "inet_addr") != 0 &&
        strcmp(name, "inet6_addr") != 0)
        return wrong(r, "unknown function %s", name);
    struct value *v = expression(r);
    need(r, ")");
    return v;
}

static struct value *named(struct reader *r)
{
    int64_t n;
    char *name = word(r);
    struct value *v = NULL;
    if (!name)
        return NULL;
    if (take(r, "("))
        v = function(r, name);
    else if (!strcmp(name, "NULL"))
        v = value_new(VALUE_NULL);
    else if (symbol_find(name, &n))
        v = integer(n);
    else
        wrong(r, "unknown symbol %s", name);
    free(name);
    return v;
}

static struct value *number(struct reader *r)
{
    char *end;
    int64_t n = (int64_t)strtoull(r->at + (*r->at == '-'), &end, 0);
    if (*r->at == '-')
        n = -n;
    r->at = end;
    return integer(n);
}

static struct value *term(struct reader *r)
{
    skip_space(r);
    if (take(r, "..."))
        return value_new(VALUE_ELLIPSIS);
    if (isdigit((unsigned char)*r->at) || *r->at == '-')
        return number(r);
    if (*r->at == '"') {
        struct value *v = string(r);
        while (!r->failed && peek(r, "\""))
            append(v, string(r));
        take(r, "...");
        return v;
    }
    if (take(r, "["))
        return list_of(r, VALUE_LIST, "]");
    if (take(r, "{"))
        return list_of(r, VALUE_STRUCT, "}");
    return named(r);
}

static struct value *expression(struct reader *r)
{
    struct value *v = term(r);
    while (v && !r->failed && take(r, "|")) {
        struct value *more = term(r);
        if (more && v->kind == VALUE_INTEGER && more->kind == VALUE_INTEGER)
            v->integer |= more->integer;
        else
            wrong(r, "\"|\" joins numbers");
        value_free(more);
    }
    return v;
}

/* ---- events ---- */

static void event_time(struct reader *r, struct event *e)
{
    if (take(r, "*")) {
        e->time_kind = TIME_ANY;
        return;
    }
    bool relative = take(r, "+");
    e->time_kind = relative ? TIME_RELATIVE : TIME_ABSOLUTE;
    e->time = seconds(r);
    if (take(r, "~")) {
        e->time_kind = relative ? TIME_RELATIVE_RANGE : TIME_ABSOLUTE_RANGE;
        take(r, "+");
        e->time_end = seconds(r);
    }
}

static void packet_event(struct reader *r, struct event *e, enum event_kind kind)
{
    char err[200];
    e->kind = kind;
    e->line = r->line;
    if (segment_parse(&e->segment, r->at, r->script->v6, err, sizeof(err)) < 0)
        wrong(r, "%s", err);
    else if (kind == EVENT_INJECT && e->segment.opt_any)
        wrong(r, "<...> is for expected packets only");
    r->at += strcspn(r->at, "\n");
}

static void quoted_event(struct reader *r, struct event *e, enum event_kind kind, const char *end)
{
    const char *stop = strstr(r->at, end);
    e->kind = kind;
    if (!stop) {
        wrong(r, "no closing %s", end);
        return;
    }
    e->text = must(strndup(r->at, (size_t)(stop - r->at)));
    while (r->at < stop + strlen(end))
        next_char(r);
}

static void call_event(struct reader *r, struct event *e)
{
    e->kind = EVENT_CALL;
    e->line = r->line;
    e->text = word(r);
    if (r->failed || !need(r, "("))
        return;
    e->args = list_of(r, VALUE_LIST, ")");
    if (r->failed || !need(r, "="))
        return;
    e->result = expression(r);
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
    if (isupper((unsigned char)*r->at))
        e->error = word(r);
    while (*r->at == ' ' || *r->at == '\t')
        r->at++;
    if (*r->at == '(')
        skip_until(r, ")");
}

static struct event *event(struct reader *r)
{
    struct event *e = must(calloc(1, sizeof(*e)));
    e->line = r->line;
    e->call_ends = -1;
    event_time(r, e);
    if (take(r, "..."))
        e->call_ends = seconds(r);
    if (r->failed)
        return e;
    if (take(r, "<"))
        packet_event(r, e, EVENT_INJECT);
    else if (take(r, ">"))
        packet_event(r, e, EVENT_EXPECT);
    else if (take(r, "`"))
        quoted_event(r, e, EVENT_COMMAND, "`");
    else if (take(r, "%{"))
        quoted_event(r, e, EVENT_CODE, "}%");
    else
        call_event(r, e);
    return e;
}

static void option(struct reader *r)
{
    struct script *s = r->script;
    size_t n = strcspn(r->at, "= \t\r\n"), value = 0;
    if (s->n_options == sizeof(s->options) / sizeof(s->options[0])) {
        wrong(r, "too many options");
        return;
    }
    struct script_option *o = &s->options[s->n_options++];
    o->name = must(strndup(r->at, n));
    r->at += n;
    if (*r->at == '=') {
        value = strcspn(++r->at, " \t\r\n");
        const char *quote = strpbrk(r->at, "\"`"); /* --define=NAME="two words" */
        if (quote && quote < r->at + value && strchr(quote + 1, *quote))
            value = (size_t)(strchr(quote + 1, *quote) + 1 - r->at);
        o->value = must(strndup(r->at, value));
        r->at += value;
    } else {
        o->value = must(strdup(""));
    }
    if (!strcmp(o->name, "ip_version"))
        s->v6 = !strcmp(o->value, "ipv6") || !strcmp(o->value, "ipv4-mapped-ipv6");
}

static void cleanup(struct reader *r)
{
    struct event *e = must(calloc(1, sizeof(*e)));
    e->line = r->line;
    r->script->cleanup = e;
    quoted_event(r, e, EVENT_COMMAND, "`");
    skip_space(r);
    if (*r->at && !r->failed)
        wrong(r, "expected a time at \"%.*s\"", (int)strcspn(r->at, "\n"), r->at);
}

static void whole(struct reader *r)
{
    struct event **last = &r->script->events;
    while (take(r, "--"))
        option(r);
    if (take(r, "`")) { /* an initial command: at time zero */
        *last = must(calloc(1, sizeof(**last)));
        (*last)->line = r->line;
        quoted_event(r, *last, EVENT_COMMAND, "`");
        last = &(*last)->next;
    }
    while (skip_space(r), !r->failed && *r->at) {
        if (take(r, "`")) { /* the last word, good or bad */
            cleanup(r);
            return;
        }
        *last = event(r);
        last = &(*last)->next;
    }
}

static char *slurp(struct reader *r, const char *path)
{
    FILE *f = fopen(path, "r");
    char *text = NULL;
    size_t room = 0;
    if (!f)
        return wrong(r, "cannot be read: %m");
    if (getdelim(&text, &room, 0, f) < 0) {
        free(text);
        text = wrong(r, "is empty");
    }
    fclose(f);
    return text;
}

int script_read(struct script *s, const char *path, const char *const *defines, char *err, size_t errlen)
{
    struct reader r = {.script = s, .line = 1, .err = err, .errlen = errlen};
    *s = (struct script){.path = path};
    char *text = slurp(&r, path);
    if (text) {
        char *chosen = preprocess(text, defines, err, errlen, path);
        r.at = chosen;
        r.failed = chosen == NULL;
        if (chosen)
            whole(&r);
        free(chosen);
        free(text);
    }
    return r.failed ? -1 : 0;
}

static void event_free(struct event *e)
{
    value_free(e->args);
    value_free(e->result);
    free(e->text);
    free(e->error);
    free(e);
}

void script_free(struct script *s)
{
    for (unsigned i = 0; i < s->n_options; i++) {
        free(s->options[i].name);
        free(s->options[i].value);
    }
    while (s->events) {
        struct event *e = s->events;
        s->events = e->next;
        event_free(e);
    }
    if (s->cleanup)
        event_free(s->cleanup);
}

const char *script_option(const struct script *s, const char *name)
{
    for (unsigned i = s->n_options; i > 0; i--)
        if (!strcmp(s->options[i - 1].name, name))
            return s->options[i - 1].value;
    return NULL;
}
