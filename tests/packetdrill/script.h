// SPDX-License-Identifier: BSD-3-Clause
// A packetdrill script as it is read: options, then events in order; the language of google's and nplab's packetdrill for TCP.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "port/sim/segment.h"

#define SCRIPT_DEFINES_MAX 32

/* ---- values: what calls take and give ---- */

enum value_kind {
    VALUE_ELLIPSIS, /* ... : whatever */
    VALUE_INTEGER,
    VALUE_STRING,
    VALUE_LIST,   /* [a, b] */
    VALUE_STRUCT, /* {name=a, b}: a member without a name is positional */
    VALUE_NULL
};
struct value {
    enum value_kind kind;
    int64_t integer;
    char *string; /* VALUE_STRING: len bytes and a NUL */
    size_t len;
    char *name; /* as a member of a struct */
    struct value *first, *next;
};

/* ---- events ---- */

enum time_kind { TIME_ABSOLUTE, TIME_RELATIVE, TIME_ANY, TIME_ABSOLUTE_RANGE, TIME_RELATIVE_RANGE };
enum event_kind { EVENT_CALL, EVENT_INJECT, EVENT_EXPECT, EVENT_COMMAND, EVENT_CODE };
struct event {
    struct event *next;
    unsigned line;
    enum event_kind kind;
    enum time_kind time_kind;
    int64_t time, time_end; /* ns; end of a range */
    struct segment segment; /* EVENT_INJECT, EVENT_EXPECT */
    char *text;             /* EVENT_COMMAND, EVENT_CODE; EVENT_CALL: its name */
    struct value *args, *result;
    char *error;       /* errno's name expected, NULL: none said */
    int64_t call_ends; /* a call that blocks until then, relative as time is; -1: one that does not */
};

struct script_option {
    char *name, *value;
};
struct script {
    const char *path;
    bool v6;
    struct script_option options[64];
    unsigned n_options;
    struct event *events;
    struct event *cleanup; /* a command without a time at the end: run whatever happened; NULL: none */
};

/* Reads the file; defines are "SYMBOL" or "SYMBOL=value", NULL-terminated. 0, or -1 with a message "path:line: ..." in err. */
int script_read(struct script *s, const char *path, const char *const *defines, char *err, size_t errlen);
void script_free(struct script *s);
const char *script_option(const struct script *s, const char *name); /* the last one; NULL: not given */

/* preprocess.c: #ifdef, #ifndef, #else, #endif by symbols of --define on the command line and in the text, and words of the text
 * replaced by their values. Lines keep their numbers. To be freed; NULL with a message in err. */
char *preprocess(const char *text, const char *const *defines, char *err, size_t errlen, const char *path);

/* A constant's number: SOL_SOCKET, ECONNRESET ... False: unknown. */
bool symbol_find(const char *name, int64_t *value);
const char *symbol_errno(int error); /* "ECONNRESET", "0" for 0 */
