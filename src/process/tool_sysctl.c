// SPDX-License-Identifier: BSD-3-Clause
// leatctl sysctl [-a] [-d] [-n] [name[=value]...], as sysctl(8). Counters are added up over engines, other values are engine 0's; a
// value is set on every engine or on none.
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "process/tool.h"
#include "sysctl/sysctl.h"

#define NAME_LEN   128
#define VALUE_LEN  1024
#define PAGE_NAMES 64

struct one { /* travels by value */
    char name[NAME_LEN], value[VALUE_LEN], desc[256], unit[32], err[256], def_text[64];
    enum sysctl_type type;
    bool parts; /* a long text: shown piece by piece */
    uint8_t flags;
    int64_t min, max, def;
};

struct piece { /* travels by value */
    char name[NAME_LEN];
    uint64_t cursor;
    char text[16384];
};

struct page {
    char prefix[NAME_LEN];
    unsigned skip, n;
    char names[PAGE_NAMES][NAME_LEN];
};

static int page_add(struct sysctl_tree *t, const struct sysctl_oid *oid, void *arg)
{
    struct page *pg = arg;
    if ((oid->flags & SYSCTL_SKIP) && strcmp(oid->name, pg->prefix) != 0)
        return 0;
    if (pg->skip > 0) {
        pg->skip--;
        return 0;
    }
    snprintf(pg->names[pg->n++], NAME_LEN, "%s", oid->name);
    return pg->n == PAGE_NAMES;
}

static int on_engine_page(struct engine *e, void *arg)
{
    sysctl_walk(e->sysctl, ((struct page *)arg)->prefix, page_add, arg);
    return 0;
}

static int on_engine_get(struct engine *e, void *arg)
{
    struct one *o = arg;
    const struct sysctl_oid *oid = sysctl_find(e->sysctl, o->name);
    if (!oid)
        return -ENOENT;
    o->type = oid->type;
    o->parts = oid->part != NULL;
    o->flags = oid->flags;
    o->min = oid->min;
    o->max = oid->max;
    o->def = oid->def;
    snprintf(o->def_text, sizeof(o->def_text), "%s", oid->def_text ? oid->def_text : "");
    snprintf(o->desc, sizeof(o->desc), "%s", oid->desc);
    snprintf(o->unit, sizeof(o->unit), "%s", oid->unit);
    return o->parts ? 0 : sysctl_get_text(e->sysctl, o->name, o->value, sizeof(o->value));
}

static int on_engine_piece(struct engine *e, void *arg)
{
    struct piece *pc = arg;
    return sysctl_get_part(e->sysctl, pc->name, &pc->cursor, pc->text, sizeof(pc->text));
}

static int on_engine_set(struct engine *e, void *arg)
{
    struct one *o = arg;
    return sysctl_set_text(e->sysctl, o->name, o->value, o->err, sizeof(o->err));
}

static int ask(struct process *p, unsigned i, int (*run)(struct engine *, void *), void *arg, size_t size)
{
    return control_call(p->engines[i].e, run, arg, size, TOOL_TIMEOUT_MS);
}

static bool number_begins(const char *text, const char *at)
{
    return isdigit((unsigned char)*at) && (at == text || isspace((unsigned char)at[-1]));
}

/* Adds the numbers of another engine's text to those of this one, in their order; what is between is the same. */
static void add_numbers(char *text, size_t size, const char *other)
{
    char sum[VALUE_LEN];
    const char *from = text, *b = other;
    size_t at = 0;
    while (*from && at + 24 < sizeof(sum)) {
        if (!number_begins(text, from)) {
            sum[at++] = *from++;
            continue;
        }
        char *end;
        uint64_t v = strtoull(from, &end, 10);
        from = end;
        while (*b && !number_begins(other, b))
            b++;
        v += strtoull(b, &end, 10);
        b = end;
        at += (size_t)snprintf(sum + at, sizeof(sum) - at, "%" PRIu64, v);
    }
    sum[at] = 0;
    snprintf(text, size, "%s", sum);
}

static int get(struct process *p, const char *name, struct one *o)
{
    memset(o, 0, sizeof(*o));
    snprintf(o->name, sizeof(o->name), "%s", name);
    int rc = ask(p, 0, on_engine_get, o, sizeof(*o));
    if (rc || (o->type != SYSCTL_COUNTER && o->type != SYSCTL_GAUGE && !(o->flags & SYSCTL_ADD)))
        return rc;
    for (unsigned i = 1; i < p->n_engines; i++) {
        struct one other = *o;
        if (ask(p, i, on_engine_get, &other, sizeof(other)) == 0)
            add_numbers(o->value, sizeof(o->value), other.value);
    }
    return 0;
}

struct style {
    bool describe, bare;
};

/* Of one engine after the other, with turns between the pieces. */
static int show_pieces(struct process *p, const char *name, const struct style *s, FILE *out)
{
    struct piece *pc = malloc(sizeof(*pc));
    int rc = pc ? 0 : -ENOMEM;
    if (!s->bare)
        fprintf(out, "%s: ", name);
    for (unsigned i = 0; i < p->n_engines && !rc; i++) {
        *pc = (struct piece){0};
        snprintf(pc->name, sizeof(pc->name), "%s", name);
        while (pc->cursor != SYSCTL_END && !rc) {
            rc = ask(p, i, on_engine_piece, pc, sizeof(*pc));
            if (!rc)
                fputs(pc->text, out);
        }
    }
    free(pc);
    if (rc)
        fprintf(out, "%s: %s\n", name, strerror(-rc));
    return rc ? 1 : 0;
}

/* What a value is: "ms, 1..60000, default 1000", "segments, count". */
static void print_kind(const struct one *o, FILE *out)
{
    const char *comma = o->unit[0] ? ", " : "";
    fputs(o->unit, out);
    if (o->type == SYSCTL_COUNTER || o->type == SYSCTL_GAUGE)
        fprintf(out, "%s%s", comma, o->type == SYSCTL_COUNTER ? "count" : "gauge");
    else if (o->type <= SYSCTL_U64 && !(o->flags & SYSCTL_RD))
        fprintf(out, "%s%" PRId64 "..%" PRId64 ", default %" PRId64, comma, o->min, o->max, o->def);
    else if (o->type <= SYSCTL_U64)
        fprintf(out, "%snumber", comma);
    else if (o->def_text[0])
        fprintf(out, "%stext, default %s", comma, o->def_text);
    else
        fprintf(out, "%stext", comma);
    if (o->flags & SYSCTL_TUN)
        fputs(", before the start only", out);
    else if (o->flags & SYSCTL_RD && o->type != SYSCTL_COUNTER && o->type != SYSCTL_GAUGE)
        fputs(", read only", out);
}

/* listed: not asked for by its own name; then one that can only be written is described, but has no value to be shown. */
static int show(struct process *p, const char *name, const struct style *s, bool listed, FILE *out)
{
    struct one o;
    int rc = get(p, name, &o);
    if (rc == -EOPNOTSUPP && s->describe)
        rc = 0;
    else if (rc == -EOPNOTSUPP && listed)
        return 0;
    if (rc) {
        fprintf(out, "%s: %s\n", name, strerror(-rc));
        return 1;
    }
    if (o.parts && !s->describe)
        return show_pieces(p, name, s, out);
    if (!s->bare)
        fprintf(out, "%s: ", name);
    fputs(s->describe ? o.desc : o.value, out);
    if (s->describe) {
        fputs(" [", out);
        print_kind(&o, out);
        fputc(']', out);
    }
    fputc('\n', out);
    return 0;
}

int tool_sysctl_get(struct process *p, const char *name, char *value, size_t size, bool *number)
{
    struct one o;
    int rc = get(p, name, &o);
    if (rc)
        return rc;
    *number = o.type <= SYSCTL_U64 || o.type == SYSCTL_COUNTER || o.type == SYSCTL_GAUGE;
    return (size_t)snprintf(value, size, "%s", o.value) < size ? 0 : -ENOSPC;
}

bool tool_sysctl_counter(struct process *p, const char *name, uint64_t *value, char *desc, size_t size)
{
    struct one o;
    if (get(p, name, &o) || o.type != SYSCTL_COUNTER)
        return false;
    *value = strtoull(o.value, NULL, 10);
    if (desc)
        snprintf(desc, size, "%s", o.desc);
    return true;
}

int tool_sysctl_walk(struct process *p, const char *prefix, int (*fn)(const char *name, void *arg), void *arg)
{
    struct page *pg = malloc(sizeof(*pg));
    unsigned seen = 0;
    int rc = pg ? 0 : -ENOMEM;
    do {
        if (rc)
            break;
        memset(pg, 0, sizeof(*pg));
        snprintf(pg->prefix, sizeof(pg->prefix), "%s", prefix);
        pg->skip = seen;
        rc = ask(p, 0, on_engine_page, pg, sizeof(*pg));
        for (unsigned i = 0; rc == 0 && i < pg->n; i++)
            rc = fn(pg->names[i], arg);
        seen += pg->n;
    } while (rc == 0 && pg->n == PAGE_NAMES);
    free(pg);
    return rc ? rc : (int)seen;
}

struct showing {
    struct process *p;
    const char *asked;
    const struct style *style;
    FILE *out;
    int status;
};

static int show_next(const char *name, void *arg)
{
    struct showing *s = arg;
    s->status |= show(s->p, name, s->style, strcmp(name, s->asked) != 0, s->out);
    return 0;
}

/* A name, or everything below it. */
static int show_tree(struct process *p, const char *prefix, const struct style *style, FILE *out)
{
    struct showing s = {p, prefix, style, out, 0};
    int seen = tool_sysctl_walk(p, prefix, show_next, &s);
    if (seen > 0)
        return s.status;
    if (seen < 0) {
        fprintf(out, "the engine does not answer: %s\n", strerror(-seen));
        return 1;
    }
    /* Says what is wrong with the name, and changes nothing that is not there. */
    struct one o = {0};
    snprintf(o.name, sizeof(o.name), "%s", prefix);
    ask(p, 0, on_engine_set, &o, sizeof(o));
    fprintf(out, "%s\n", o.err[0] ? o.err : "no such name");
    return 1;
}

static int set(struct process *p, const char *name, const char *value, FILE *out)
{
    struct one before, o = {0};
    int rc = get(p, name, &before);
    snprintf(o.name, sizeof(o.name), "%s", name);
    snprintf(o.value, sizeof(o.value), "%s", value);
    unsigned done = 0;
    for (; done < p->n_engines; done++) {
        int err = ask(p, done, on_engine_set, &o, sizeof(o));
        if (err) {
            fprintf(out, "%s\n", o.err[0] ? o.err : strerror(-err));
            break;
        }
    }
    if (done == p->n_engines) {
        fprintf(out, "%s: %s -> %s\n", name, rc ? "" : before.value, value);
        return 0;
    }
    while (done-- > 0 && rc == 0)
        ask(p, done, on_engine_set, &before, sizeof(before));
    return 1;
}

int tool_sysctl(struct process *p, int argc, char **argv, FILE *out)
{
    struct style s = {0};
    bool all = false;
    int status = 0, i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        for (const char *c = argv[i] + 1; *c; c++) {
            if (*c == 'a')
                all = true;
            else if (*c == 'd')
                s.describe = true;
            else if (*c == 'n')
                s.bare = true;
            else {
                fprintf(out, "sysctl: unknown option -%c; expected [-a] [-d] [-n] [name[=value]...]\n", *c);
                return 2;
            }
        }
    }
    if (all || i == argc)
        return show_tree(p, "", &s, out);
    for (; i < argc; i++) {
        char *eq = strchr(argv[i], '=');
        if (eq)
            *eq = 0;
        status |= eq ? set(p, argv[i], eq + 1, out) : show_tree(p, argv[i], &s, out);
    }
    return status;
}
