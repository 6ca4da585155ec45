// SPDX-License-Identifier: BSD-3-Clause
// The tree of names: every setting, limit and counter of an engine, each described once, next to the struct it
// lives in. A room declares a static table of oids over one of its structs and registers it; registration writes
// the defaults. Each engine has its own tree (nothing shared); a process-wide read adds up counters (control.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sysctl_type {
    SYSCTL_BOOL,    /* bool field: 0 or 1 */
    SYSCTL_INT,     /* int32_t field */
    SYSCTL_UINT,    /* uint32_t field */
    SYSCTL_U64,     /* uint64_t field */
    SYSCTL_STRING,  /* char[size] field */
    SYSCTL_COUNTER, /* uint64_t field, read only, added up over engines */
    SYSCTL_GAUGE,   /* uint32_t field, read only, added up over engines */
    SYSCTL_PROC,    /* read and written through functions, as text */
};

enum sysctl_flags {
    SYSCTL_RD = 1,   /* read only */
    SYSCTL_RW = 2,   /* may be changed at any time */
    SYSCTL_TUN = 4,  /* set by configuration before the engine starts, read only afterwards */
    SYSCTL_SKIP = 8, /* long: shown only when asked for by its whole name */
    SYSCTL_ADD = 16, /* SYSCTL_PROC: the words of the text that are numbers are added up over engines */
};

struct sysctl_oid {
    const char *name; /* whole dotted name, FreeBSD's where it has one */
    const char *desc; /* one sentence */
    const char *unit; /* "bytes", "ms", "packets", ... or "" */
    enum sysctl_type type;
    uint8_t flags;
    uint32_t offset; /* of the field in the registered struct */
    uint32_t
        size; /* SYSCTL_STRING: bytes of the field with its NUL; SYSCTL_PROC: of the binary form, whose text is hexadecimal */
    int64_t min, max;     /* numbers: the range that is accepted */
    int64_t def;          /* numbers: default */
    const char *def_text; /* SYSCTL_STRING: default */
    /* SYSCTL_PROC: print into buf (returns 0 or -errno); parse text (0 or -errno, may write a reason into err).
     * SYSCTL_INT..STRING with set: called after the range check and instead of the plain store. */
    int (*get)(void *base, const struct sysctl_oid *oid, char *buf, size_t size);
    int (*set)(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize);
    /* SYSCTL_PROC with a long text, instead of get: prints whole lines from *cursor on (0: the beginning), as many as fit, and moves the
     * cursor; SYSCTL_END when that was all. 0 or -errno. */
    int (*part)(void *base, const struct sysctl_oid *oid, uint64_t *cursor, char *buf, size_t size);
};
#define SYSCTL_END UINT64_MAX

/* Table lines. S is the registered struct's type, F its field. */
#define SYSCTL_OID_BOOL(N, S, F, FLAGS, DEF, DESC)                                                           \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = "", .type = SYSCTL_BOOL, .flags = FLAGS, .offset = offsetof(S, F),  \
        .min = 0, .max = 1, .def = DEF                                                                       \
    }
#define SYSCTL_OID_INT(N, S, F, FLAGS, DEF, MIN, MAX, UNIT, DESC)                                            \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = UNIT, .type = SYSCTL_INT, .flags = FLAGS, .offset = offsetof(S, F), \
        .min = MIN, .max = MAX, .def = DEF                                                                   \
    }
#define SYSCTL_OID_UINT(N, S, F, FLAGS, DEF, MIN, MAX, UNIT, DESC)                                           \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = UNIT, .type = SYSCTL_UINT, .flags = FLAGS,                          \
        .offset = offsetof(S, F), .min = MIN, .max = MAX, .def = DEF                                         \
    }
#define SYSCTL_OID_U64(N, S, F, FLAGS, DEF, MIN, MAX, UNIT, DESC)                                            \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = UNIT, .type = SYSCTL_U64, .flags = FLAGS, .offset = offsetof(S, F), \
        .min = MIN, .max = MAX, .def = DEF                                                                   \
    }
#define SYSCTL_OID_COUNTER(N, S, F, UNIT, DESC)                                                              \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = UNIT, .type = SYSCTL_COUNTER, .flags = SYSCTL_RD,                   \
        .offset = offsetof(S, F)                                                                             \
    }
#define SYSCTL_OID_GAUGE(N, S, F, UNIT, DESC)                                                                \
    {                                                                                                        \
        .name = N, .desc = DESC, .unit = UNIT, .type = SYSCTL_GAUGE, .flags = SYSCTL_RD,                     \
        .offset = offsetof(S, F)                                                                             \
    }

struct sysctl_tree;

struct sysctl_tree *sysctl_tree_new(void); /* NULL: no memory */
void sysctl_tree_free(struct sysctl_tree *t);

/* Adds a table whose fields live in base; writes defaults. 0, -EEXIST (a name twice), -ENOMEM.
 * oids must live as long as the tree. */
int sysctl_register(struct sysctl_tree *t, const struct sysctl_oid *oids, unsigned n, void *base);
/* Takes every oid of base out again (an interface or a loadable part that goes). */
void sysctl_unregister(struct sysctl_tree *t, void *base);
/* From now on SYSCTL_TUN names are read only. */
void sysctl_tree_seal(struct sysctl_tree *t);

const struct sysctl_oid *sysctl_find(const struct sysctl_tree *t, const char *name);
/* Value as text. 0, -ENOENT, -ENOSPC. */
int sysctl_get_text(struct sysctl_tree *t, const char *name, char *buf, size_t size);
/* The same piece by piece, for texts of any length: *cursor is 0 at first and SYSCTL_END after the last piece. */
int sysctl_get_part(struct sysctl_tree *t, const char *name, uint64_t *cursor, char *buf, size_t size);
/* Sets from text. 0, -ENOENT (unknown name), -EPERM (read only), -EINVAL (not a number, out of range); err then holds
 * one sentence that names the key, the value and what was expected. */
int sysctl_set_text(struct sysctl_tree *t, const char *name, const char *text, char *err, size_t errsize);
/* Binary access as sysctlbyname(3): see leat_sysctlbyname(). 0 or -errno (-ENOMEM: *oldlenp too small); err as above. */
int sysctl_access(struct sysctl_tree *t, const char *name, void *oldp, size_t *oldlenp, const void *newp,
                  size_t newlen, char *err, size_t errsize);
/* Calls fn for each name in order of the alphabet, below prefix ("" or NULL: all). Stops at fn's first nonzero and returns it. */
int sysctl_walk(struct sysctl_tree *t, const char *prefix,
                int (*fn)(struct sysctl_tree *, const struct sysctl_oid *, void *arg), void *arg);
