// SPDX-License-Identifier: BSD-3-Clause
#include "sysctl/sysctl.h"
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/alloc.h"

struct node {
    const struct sysctl_oid *oid;
    void *base;
};

struct sysctl_tree {
    struct node *nodes; /* in order of the names */
    unsigned n, room;
    bool sealed;
};

struct sysctl_tree *sysctl_tree_new(void)
{
    return mem_alloc(sizeof(struct sysctl_tree));
}

void sysctl_tree_free(struct sysctl_tree *t)
{
    mem_free(t->nodes);
    mem_free(t);
}

void sysctl_tree_seal(struct sysctl_tree *t)
{
    t->sealed = true;
}

/* Index of name, or where it would stand. */
static unsigned position(const struct sysctl_tree *t, const char *name, bool *found)
{
    unsigned lo = 0, hi = t->n;
    *found = false;
    while (lo < hi) {
        unsigned mid = (lo + hi) / 2;
        int c = strcmp(t->nodes[mid].oid->name, name);
        if (c == 0) {
            *found = true;
            return mid;
        }
        if (c < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct node *find(const struct sysctl_tree *t, const char *name)
{
    bool found;
    unsigned i = position(t, name, &found);
    return found ? &t->nodes[i] : NULL;
}

const struct sysctl_oid *sysctl_find(const struct sysctl_tree *t, const char *name)
{
    struct node *node = find(t, name);
    return node ? node->oid : NULL;
}

static void *field(const struct node *node)
{
    return (char *)node->base + node->oid->offset;
}

static bool is_number(const struct sysctl_oid *oid)
{
    return oid->type <= SYSCTL_U64;
}

static void store_number(const struct node *node, int64_t v)
{
    switch (node->oid->type) {
    case SYSCTL_BOOL:
        *(bool *)field(node) = v != 0;
        break;
    case SYSCTL_INT:
        *(int32_t *)field(node) = (int32_t)v;
        break;
    case SYSCTL_UINT:
        *(uint32_t *)field(node) = (uint32_t)v;
        break;
    default:
        *(uint64_t *)field(node) = (uint64_t)v;
        break;
    }
}

static void store_default(const struct node *node)
{
    const struct sysctl_oid *oid = node->oid;
    if (is_number(oid) && !(oid->flags & SYSCTL_RD))
        store_number(node, oid->def);
    else if (oid->type == SYSCTL_STRING && oid->def_text)
        snprintf(field(node), oid->size, "%s", oid->def_text);
}

static int make_room(struct sysctl_tree *t, unsigned n)
{
    if (t->n + n <= t->room)
        return 0;
    unsigned room = 2 * (t->n + n);
    struct node *nodes = mem_alloc(room * sizeof(*nodes));
    if (!nodes)
        return -ENOMEM;
    if (t->n > 0)
        memcpy(nodes, t->nodes, t->n * sizeof(*nodes));
    mem_free(t->nodes);
    t->nodes = nodes;
    t->room = room;
    return 0;
}

int sysctl_register(struct sysctl_tree *t, const struct sysctl_oid *oids, unsigned n, void *base)
{
    int err = make_room(t, n);
    for (unsigned i = 0; !err && i < n; i++) {
        bool found;
        unsigned at = position(t, oids[i].name, &found);
        if (found) {
            for (unsigned j = 0; j < i; j++) { /* all or nothing */
                unsigned k = position(t, oids[j].name, &found);
                memmove(&t->nodes[k], &t->nodes[k + 1], (--t->n - k) * sizeof(*t->nodes));
            }
            return -EEXIST;
        }
        memmove(&t->nodes[at + 1], &t->nodes[at], (t->n - at) * sizeof(*t->nodes));
        t->nodes[at] = (struct node){&oids[i], base};
        t->n++;
        store_default(&t->nodes[at]);
    }
    return err;
}

void sysctl_unregister(struct sysctl_tree *t, void *base)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < t->n; i++) {
        if (t->nodes[i].base != base)
            t->nodes[kept++] = t->nodes[i];
    }
    t->n = kept;
}

static int print_value(const struct node *node, char *buf, size_t size)
{
    const struct sysctl_oid *oid = node->oid;
    uint64_t cursor = 0;
    int n;
    if (oid->get)
        return oid->get(node->base, oid, buf, size);
    if (oid->part) {
        int err = oid->part(node->base, oid, &cursor, buf, size);
        return !err && cursor != SYSCTL_END ? -ENOSPC : err;
    }
    switch (oid->type) {
    case SYSCTL_BOOL:
        n = snprintf(buf, size, "%d", *(bool *)field(node));
        break;
    case SYSCTL_INT:
        n = snprintf(buf, size, "%" PRId32, *(int32_t *)field(node));
        break;
    case SYSCTL_UINT:
    case SYSCTL_GAUGE:
        n = snprintf(buf, size, "%" PRIu32, *(uint32_t *)field(node));
        break;
    case SYSCTL_U64:
    case SYSCTL_COUNTER:
        n = snprintf(buf, size, "%" PRIu64, *(uint64_t *)field(node));
        break;
    case SYSCTL_STRING:
        n = snprintf(buf, size, "%s", (char *)field(node));
        break;
    default:
        return -EOPNOTSUPP;
    }
    return n < 0 || (size_t)n >= size ? -ENOSPC : 0;
}

int sysctl_get_text(struct sysctl_tree *t, const char *name, char *buf, size_t size)
{
    struct node *node = find(t, name);
    return node ? print_value(node, buf, size) : -ENOENT;
}

int sysctl_get_part(struct sysctl_tree *t, const char *name, uint64_t *cursor, char *buf, size_t size)
{
    struct node *node = find(t, name);
    if (!node)
        return -ENOENT;
    if (node->oid->part)
        return node->oid->part(node->base, node->oid, cursor, buf, size);
    *cursor = SYSCTL_END;
    return print_value(node, buf, size);
}

/* ---- refusals, in words ---- */

/* How many characters must change to make a of b, at most `most`. */
static unsigned distance(const char *a, const char *b, unsigned most)
{
    size_t la = strlen(a), lb = strlen(b);
    unsigned row[128];
    if (lb >= 127 || la > lb + most || lb > la + most)
        return most + 1;
    for (unsigned j = 0; j <= lb; j++)
        row[j] = j;
    for (unsigned i = 1; i <= la; i++) {
        unsigned diagonal = row[0];
        row[0] = i;
        for (unsigned j = 1; j <= lb; j++) {
            unsigned change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            unsigned least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = least < change ? least : change;
        }
    }
    return row[lb];
}

static const char *last_part(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

static int refuse_unknown(const struct sysctl_tree *t, const char *name, char *err, size_t errsize)
{
    const char *near = NULL;
    unsigned best = 4;
    for (unsigned i = 0; t->nodes && i < t->n; i++) {
        unsigned d = distance(name, t->nodes[i].oid->name, 3);
        if (d < best ||
            (d == best && near && strcmp(last_part(name), last_part(t->nodes[i].oid->name)) == 0)) {
            best = d;
            near = t->nodes[i].oid->name;
        }
    }
    if (near)
        snprintf(err, errsize, "%s: there is no such name; did you mean %s?", name, near);
    else
        snprintf(err, errsize, "%s: there is no such name", name);
    return -ENOENT;
}

static int refuse_number(const struct sysctl_oid *oid, const char *text, const char *what, char *err,
                         size_t errsize)
{
    snprintf(err, errsize, "%s: \"%s\" is %s; expected %" PRId64 "..%" PRId64 "%s%s", oid->name, text, what,
             oid->min, oid->max, oid->unit[0] ? " " : "", oid->unit);
    return -EINVAL;
}

static int set_number(const struct node *node, const char *text, char *err, size_t errsize)
{
    const struct sysctl_oid *oid = node->oid;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 0);
    if (end == text || isspace((unsigned char)*text))
        return refuse_number(oid, text, "not a number", err, errsize);
    while (isspace((unsigned char)*end))
        end++;
    if (*end)
        return refuse_number(oid, text, "not a number", err, errsize);
    if (errno || v < oid->min || v > oid->max)
        return refuse_number(oid, text, "out of range", err, errsize);
    if (oid->set)
        return oid->set(node->base, oid, text, err, errsize);
    store_number(node, v);
    return 0;
}

static int set_string(const struct node *node, const char *text, char *err, size_t errsize)
{
    const struct sysctl_oid *oid = node->oid;
    if (strlen(text) >= oid->size) {
        snprintf(err, errsize, "%s: \"%s\" is too long; expected at most %u characters", oid->name, text,
                 oid->size - 1);
        return -EINVAL;
    }
    if (oid->set)
        return oid->set(node->base, oid, text, err, errsize);
    snprintf(field(node), oid->size, "%s", text);
    return 0;
}

static bool writable(const struct sysctl_tree *t, const struct sysctl_oid *oid)
{
    return (oid->flags & SYSCTL_RW) || ((oid->flags & SYSCTL_TUN) && !t->sealed);
}

int sysctl_set_text(struct sysctl_tree *t, const char *name, const char *text, char *err, size_t errsize)
{
    struct node *node = find(t, name);
    if (errsize > 0)
        err[0] = 0;
    if (!node)
        return refuse_unknown(t, name, err, errsize);
    if (!writable(t, node->oid)) {
        snprintf(err, errsize, "%s: is read only%s", name,
                 node->oid->flags & SYSCTL_TUN ? " while engines run; set it in the configuration" : "");
        return -EPERM;
    }
    if (is_number(node->oid))
        return set_number(node, text, err, errsize);
    if (node->oid->type == SYSCTL_STRING)
        return set_string(node, text, err, errsize);
    return node->oid->set(node->base, node->oid, text, err, errsize);
}

/* ---- binary access ---- */

static size_t value_size(const struct sysctl_oid *oid)
{
    switch (oid->type) {
    case SYSCTL_BOOL:
    case SYSCTL_INT:
    case SYSCTL_UINT:
    case SYSCTL_GAUGE:
        return 4;
    case SYSCTL_U64:
    case SYSCTL_COUNTER:
        return 8;
    default:
        return 0;
    }
}

static int read_binary(const struct node *node, void *oldp, size_t *oldlenp)
{
    char text[4096];
    size_t size = value_size(node->oid);
    const void *from = field(node);
    int32_t boolean;
    if (node->oid->type == SYSCTL_BOOL) {
        boolean = *(bool *)field(node);
        from = &boolean;
    } else if (size == 0) {
        int err = print_value(node, text, sizeof(text));
        if (err)
            return err;
        size = strlen(text) + 1;
        from = text;
    }
    size_t room = *oldlenp;
    *oldlenp = size;
    if (!oldp)
        return 0;
    if (room < size)
        return -ENOMEM;
    memcpy(oldp, from, size);
    return 0;
}

static int write_binary(struct sysctl_tree *t, const struct node *node, const void *newp, size_t newlen,
                        char *err, size_t errsize)
{
    char text[4096];
    size_t size = value_size(node->oid);
    if (node->oid->type == SYSCTL_PROC && node->oid->size && newlen == node->oid->size) { /* bytes */
        for (size_t i = 0; i < newlen; i++)
            snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)newp)[i]);
        int rc = sysctl_set_text(t, node->oid->name, text, err, errsize);
        explicit_bzero(text, 2 * newlen);
        return rc;
    }
    if (size ? newlen != size : newlen >= sizeof(text)) {
        snprintf(err, errsize, "%s: a value of %zu bytes; expected %zu", node->oid->name, newlen,
                 size ? size : sizeof(text) - 1);
        return -EINVAL;
    }
    if (size == 0)
        snprintf(text, sizeof(text), "%.*s", (int)newlen, (const char *)newp);
    else if (size == 8)
        snprintf(text, sizeof(text), "%" PRId64, *(const int64_t *)newp);
    else if (node->oid->type == SYSCTL_UINT)
        snprintf(text, sizeof(text), "%" PRIu32, *(const uint32_t *)newp);
    else
        snprintf(text, sizeof(text), "%" PRId32, *(const int32_t *)newp);
    return sysctl_set_text(t, node->oid->name, text, err, errsize);
}

int sysctl_access(struct sysctl_tree *t, const char *name, void *oldp, size_t *oldlenp, const void *newp,
                  size_t newlen, char *err, size_t errsize)
{
    struct node *node = find(t, name);
    if (errsize > 0)
        err[0] = 0;
    if (!node)
        return refuse_unknown(t, name, err, errsize);
    int result = oldlenp ? read_binary(node, oldp, oldlenp) : 0;
    if (result == -ENOMEM)
        snprintf(err, errsize, "%s: the value has %zu bytes, more than the buffer", name, *oldlenp);
    if (result == 0 && newp)
        result = write_binary(t, node, newp, newlen, err, errsize);
    return result;
}

int sysctl_walk(struct sysctl_tree *t, const char *prefix,
                int (*fn)(struct sysctl_tree *, const struct sysctl_oid *, void *arg), void *arg)
{
    size_t len = prefix ? strlen(prefix) : 0;
    int result = 0;
    for (unsigned i = 0; result == 0 && i < t->n; i++) {
        const char *name = t->nodes[i].oid->name;
        /* "net.inet" is above "net.inet.tcp", not above "net.inet6". */
        if (len == 0 || (strncmp(name, prefix, len) == 0 &&
                         (name[len] == 0 || name[len] == '.' || prefix[len - 1] == '.')))
            result = fn(t, t->nodes[i].oid, arg);
    }
    return result;
}
