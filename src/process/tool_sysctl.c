// SPDX-License-Identifier: BSD-3-Clause
// leatctl sysctl [-a] [-d] [-n] [name[=value]...], as sysctl(8). Counters are added up over engines, other values are engine 0's; a
// value is set on every engine or on none.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "process/tool.h"
#include "sysctl/sysctl.h"

#define NAME_LEN  128
#define VALUE_LEN 1024

struct one { /* travels by value */
    char name[NAME_LEN], value[VALUE_LEN], desc[256], unit[32], err[256];
    enum sysctl_type type;
    bool parts; /* a long text: shown piece by piece */
    int64_t min, max;
};

struct piece { /* travels by value */
    char name[NAME_LEN];
    uint64_t cursor;
    char text[16384];
};

struct page {
    char prefix[NAME_LEN];
    unsigned skip, n;
    char names[64][NAME_LEN];
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
    return pg->n == 64;
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
    o->min = oid->min;
    o->max = oid->max;
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

static int get(struct process *p, const char *name, struct one *o)
{
    memset(o, 0, sizeof(*o));
    snprintf(o->name, sizeof(o->name), "%s", name);
    int rc = ask(p, 0, on_engine_get, o, sizeof(*o));
    if (rc || (o->type != SYSCTL_COUNTER && o->type != SYSCTL_GAUGE))
        return rc;
    uint64_t sum = strtoull(o->value, NULL, 10);
    for (unsigned i = 1; i < p->n_engines; i++) {
        struct one other = *o;
        if (ask(p, i, on_engine_get, &other, sizeof(other)) == 0)
            sum += strtoull(other.value, NULL, 10);
    }
    snprintf(o->value, sizeof(o->value), "%" PRIu64, sum);
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

static int show(struct process *p, const char *name, const struct style *s, FILE *out)
{
    struct one o;
    int rc = get(p, name, &o);
    if (rc) {
        fprintf(out, "%s: %s\n", name, strerror(-rc));
        return 1;
    }
    if (o.parts && !s->describe)
        return show_pieces(p, name, s, out);
    const char *what = s->describe ? o.desc : o.value;
    if (s->bare)
        fprintf(out, "%s\n", what);
    else if (s->describe && o.unit[0])
        fprintf(out, "%s: %s [%s]\n", name, what, o.unit);
    else
        fprintf(out, "%s: %s\n", name, what);
    return 0;
}

/* A name, or everything below it. */
static int show_tree(struct process *p, const char *prefix, const struct style *s, FILE *out)
{
    struct page *pg = malloc(sizeof(*pg));
    unsigned seen = 0;
    int status = 0;
    do {
        if (!pg)
            return 1;
        memset(pg, 0, sizeof(*pg));
        snprintf(pg->prefix, sizeof(pg->prefix), "%s", prefix);
        pg->skip = seen;
        int rc = ask(p, 0, on_engine_page, pg, sizeof(*pg));
        if (rc) {
            fprintf(out, "the engine does not answer: %s\n", strerror(-rc));
            status = 1;
            break;
        }
        for (unsigned i = 0; i < pg->n; i++)
            status |= show(p, pg->names[i], s, out);
        seen += pg->n;
    } while (pg->n == 64);
    free(pg);
    if (seen == 0 && status == 0) {
        struct one o = {0};
        snprintf(o.name, sizeof(o.name), "%s", prefix);
        ask(p, 0, on_engine_set, &o,
            sizeof(o)); /* says what is wrong with the name, and changes nothing that is not there */
        fprintf(out, "%s\n", o.err[0] ? o.err : "no such name");
        status = 1;
    }
    return status;
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
