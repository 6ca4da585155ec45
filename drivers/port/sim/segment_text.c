// SPDX-License-Identifier: BSD-3-Clause
// The notation: text to segment and back.
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_byteorder.h>
#include <rte_common.h>
#include "port/sim/segment.h"

struct text {
    const char *begin, *at;
    char *err;
    size_t errlen;
    bool v6;
};

static const char flag_letters[] = "FSRP.UEWA"; /* bit 0 up */

/* ---- words and numbers ---- */

static __attribute__((format(printf, 2, 3))) int wrong(struct text *t, const char *format, ...)
{
    char what[160];
    va_list ap;
    va_start(ap, format);
    vsnprintf(what, sizeof(what), format, ap);
    va_end(ap);
    snprintf(t->err, t->errlen, "column %d: %s, at \"%.30s\"", (int)(t->at - t->begin) + 1, what, t->at);
    return -EINVAL;
}

static void skip_space(struct text *t)
{
    while (*t->at == ' ' || *t->at == '\t')
        t->at++;
}

static bool at_end(struct text *t)
{
    skip_space(t);
    return *t->at == 0 || *t->at == '\n' || *t->at == '\r' || !strncmp(t->at, "//", 2);
}

static bool take(struct text *t, const char *what)
{
    skip_space(t);
    size_t n = strlen(what);
    if (strncmp(t->at, what, n) != 0)
        return false;
    if (isalnum((unsigned char)what[n - 1]) && (isalnum((unsigned char)t->at[n]) || t->at[n] == '_'))
        return false;
    t->at += n;
    return true;
}

static int need(struct text *t, const char *what)
{
    return take(t, what) ? 0 : wrong(t, "expected \"%s\"", what);
}

static int number(struct text *t, uint64_t max, uint32_t *out)
{
    char *end;
    *out = 0;
    skip_space(t);
    if (!isdigit((unsigned char)*t->at))
        return wrong(t, "expected a number");
    errno = 0;
    unsigned long long v = strtoull(t->at, &end, 0);
    if (errno || v > max)
        return wrong(t, "number too large, at most %llu", (unsigned long long)max);
    t->at = end;
    *out = (uint32_t)v;
    return 0;
}

/* A word of letters, digits and underscores. */
static bool word(struct text *t, char *out, size_t size)
{
    size_t n = 0;
    skip_space(t);
    while ((isalnum((unsigned char)t->at[n]) || t->at[n] == '_') && n + 1 < size)
        n++;
    memcpy(out, t->at, n);
    out[n] = 0;
    t->at += n;
    return n > 0;
}

/* ---- options ---- */

static int opt_put(struct text *t, struct segment *s, const void *bytes, unsigned n)
{
    if (s->opt_len + n > SEGMENT_OPT_MAX)
        return wrong(t, "options longer than %d bytes", SEGMENT_OPT_MAX);
    memcpy(s->opt + s->opt_len, bytes, n);
    s->opt_len = (uint8_t)(s->opt_len + n);
    return 0;
}

static int opt_mss(struct text *t, struct segment *s)
{
    uint32_t v;
    int err = number(t, UINT16_MAX, &v);
    uint8_t b[4] = {2, 4, (uint8_t)(v >> 8), (uint8_t)v};
    return err ? err : opt_put(t, s, b, 4);
}

static int opt_wscale(struct text *t, struct segment *s)
{
    uint32_t v;
    int err = number(t, UINT8_MAX, &v);
    uint8_t b[3] = {3, 3, (uint8_t)v};
    return err ? err : opt_put(t, s, b, 3);
}

static int opt_timestamps(struct text *t, struct segment *s)
{
    uint32_t val = 0, ecr = 0;
    uint8_t b[10] = {8, 10};
    int err = need(t, "val");
    if (err)
        return err;
    s->ts_val_any = take(t, "...");
    err = s->ts_val_any ? 0 : number(t, UINT32_MAX, &val);
    if (err || (err = need(t, "ecr")) != 0 || (err = number(t, UINT32_MAX, &ecr)) != 0)
        return err;
    s->ts_ecr_absolute = take(t, "!");
    val = rte_cpu_to_be_32(val);
    ecr = rte_cpu_to_be_32(ecr);
    memcpy(b + 2, &val, 4);
    memcpy(b + 6, &ecr, 4);
    return opt_put(t, s, b, 10);
}

static int opt_sack(struct text *t, struct segment *s)
{
    uint8_t b[2 + 4 * 8] = {5, 2};
    skip_space(t);
    while (isdigit((unsigned char)*t->at)) {
        uint32_t from, to;
        int err = number(t, UINT32_MAX, &from);
        if (err || (err = need(t, ":")) != 0 || (err = number(t, UINT32_MAX, &to)) != 0)
            return err;
        if (b[1] + 8u > sizeof(b))
            return wrong(t, "more than 4 SACK blocks");
        from = rte_cpu_to_be_32(from);
        to = rte_cpu_to_be_32(to);
        memcpy(b + b[1], &from, 4);
        memcpy(b + b[1] + 4, &to, 4);
        b[1] = (uint8_t)(b[1] + 8);
        skip_space(t);
    }
    return opt_put(t, s, b, b[1]);
}

static int hex_value(char c)
{
    return isdigit((unsigned char)c) ? c - '0' : isxdigit((unsigned char)c) ? tolower(c) - 'a' + 10 : -1;
}

/* kind, length, a prefix of n_prefix bytes, and bytes as hex digits. */
static int opt_hex(struct text *t, struct segment *s, uint8_t kind, const uint8_t *prefix, unsigned n_prefix)
{
    uint8_t b[SEGMENT_OPT_MAX + 1] = {kind, (uint8_t)(2 + n_prefix)};
    if (n_prefix > 0)
        memcpy(b + 2, prefix, n_prefix);
    skip_space(t);
    if (t->at[0] == '0' && t->at[1] == 'x')
        t->at += 2;
    while (hex_value(t->at[0]) >= 0) {
        if (hex_value(t->at[1]) < 0)
            return wrong(t, "an odd number of hex digits");
        if (b[1] >= SEGMENT_OPT_MAX)
            return wrong(t, "options longer than %d bytes", SEGMENT_OPT_MAX);
        b[b[1]++] = (uint8_t)(hex_value(t->at[0]) << 4 | hex_value(t->at[1]));
        t->at += 2;
    }
    return opt_put(t, s, b, b[1]);
}

/* AccECN: order 0 counts ECT(0), CE, ECT(1); order 1 the other way. Trailing counters may be missing. */
static int opt_accecn(struct text *t, struct segment *s, unsigned order, bool experimental)
{
    static const char *const names[2][3] = {{"ee0b", "eceb", "ee1b"}, {"ee1b", "eceb", "ee0b"}};
    static const uint8_t kinds[2] = {172, 174};
    uint8_t b[13] = {experimental ? 254 : kinds[order], 2};
    if (experimental) {
        b[2] = 0xac;
        b[3] = (uint8_t)(0xc0 + order);
        b[1] = 4;
    }
    for (unsigned i = 0; i < 3 && take(t, names[order][i]); i++) {
        uint32_t v;
        int err = number(t, 0xffffff, &v);
        if (err)
            return err;
        b[b[1]++] = (uint8_t)(v >> 16);
        b[b[1]++] = (uint8_t)(v >> 8);
        b[b[1]++] = (uint8_t)v;
    }
    return opt_put(t, s, b, b[1]);
}

/* The same as google's packetdrill writes it: the first counter tells the order. */
static int opt_ecn(struct text *t, struct segment *s)
{
    static const char *const names[2][3] = {{"e0b", "ceb", "e1b"}, {"e1b", "ceb", "e0b"}};
    skip_space(t);
    unsigned order = !strncmp(t->at, "e1b", 3);
    uint8_t b[11] = {order ? 174 : 172, 2};
    for (unsigned i = 0; i < 3 && take(t, names[order][i]); i++) {
        uint32_t v;
        int err = number(t, 0xffffff, &v);
        if (err)
            return err;
        b[b[1]++] = (uint8_t)(v >> 16);
        b[b[1]++] = (uint8_t)(v >> 8);
        b[b[1]++] = (uint8_t)v;
    }
    return b[1] > 2 ? opt_put(t, s, b, b[1]) : wrong(t, "expected e0b or e1b");
}

static int opt_generic(struct text *t, struct segment *s)
{
    uint32_t kind;
    int err = number(t, UINT8_MAX, &kind);
    return err ? err : opt_hex(t, s, (uint8_t)kind, NULL, 0);
}

static int opt_experiment(struct text *t, struct segment *s)
{
    char id[8];
    if (!word(t, id, sizeof(id)) || strspn(id, "0123456789abcdefABCDEF") != strlen(id) || strlen(id) > 4)
        return wrong(t, "expected an experiment's 16 bit identifier in hex");
    unsigned long v = strtoul(id, NULL, 16);
    uint8_t prefix[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    return opt_hex(t, s, 254, prefix, 2);
}

static int option(struct text *t, struct segment *s)
{
    static const uint8_t nop[] = {1}, eol[] = {0}, sack_ok[] = {4, 2}, fastopen_exp[] = {0xf9, 0x89};
    if (take(t, "nop"))
        return opt_put(t, s, nop, 1);
    if (take(t, "eol"))
        return opt_put(t, s, eol, 1);
    if (take(t, "mss"))
        return opt_mss(t, s);
    if (take(t, "wscale"))
        return opt_wscale(t, s);
    if (take(t, "sackOK"))
        return opt_put(t, s, sack_ok, 2);
    if (take(t, "sack"))
        return opt_sack(t, s);
    if (take(t, "TS"))
        return opt_timestamps(t, s);
    if (take(t, "md5"))
        return opt_hex(t, s, 19, NULL, 0);
    if (take(t, "EXP-FO") || take(t, "exp-FO") || take(t, "FOEXP"))
        return opt_hex(t, s, 254, fastopen_exp, 2);
    if (take(t, "FO"))
        return opt_hex(t, s, 34, NULL, 0);
    if (take(t, "AccECN0"))
        return opt_accecn(t, s, 0, false);
    if (take(t, "AccECN1"))
        return opt_accecn(t, s, 1, false);
    if (take(t, "ECN"))
        return opt_ecn(t, s);
    if (take(t, "exp-AccECN0"))
        return opt_accecn(t, s, 0, true);
    if (take(t, "exp-AccECN1"))
        return opt_accecn(t, s, 1, true);
    if (take(t, "gen-"))
        return opt_generic(t, s);
    if (take(t, "exp-"))
        return opt_experiment(t, s);
    return wrong(t, "unknown TCP option");
}

static int options(struct text *t, struct segment *s)
{
    if (!take(t, "<"))
        return 0;
    if (take(t, "...")) {
        s->opt_any = true;
        return need(t, ">");
    }
    if (take(t, ">"))
        return 0;
    do {
        int err = option(t, s);
        if (err)
            return err;
    } while (take(t, ","));
    return need(t, ">");
}

/* ---- IP fields: (ttl 5, tos 0x10) or [ect0] ---- */

static bool ecn_word(struct text *t, int *ecn)
{
    static const char *const names[] = {"noecn", "ect1", "ect0", "ce", "ect01"};
    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        if (take(t, names[i])) {
            *ecn = (int)i;
            return true;
        }
    }
    return false;
}

static int ip_field(struct text *t, struct segment *s)
{
    uint32_t v;
    int err;
    take(t, "ecn");
    if (ecn_word(t, &s->ecn))
        return 0;
    if (take(t, "tos") || take(t, "class")) {
        err = number(t, UINT8_MAX, &v);
        s->tos = (int)v;
        return err;
    }
    if (take(t, "ttl") || take(t, "hlim")) {
        err = number(t, UINT8_MAX, &v);
        s->ttl = (int)v;
        return err;
    }
    if (take(t, "flowlabel")) {
        if (!t->v6)
            return wrong(t, "a flow label is IPv6's");
        err = number(t, 0xfffff, &v);
        s->flow = (int32_t)v;
        return err;
    }
    return wrong(t, "unknown IP field (tos, class, ttl, hlim, flowlabel, ecn)");
}

static int ip_fields(struct text *t, struct segment *s)
{
    const char *close = take(t, "(") ? ")" : take(t, "[") ? "]" : NULL;
    if (!close)
        return 0;
    do {
        int err = ip_field(t, s);
        if (err)
            return err;
    } while (take(t, ","));
    return need(t, close);
}

/* ---- ICMP ---- */

struct icmp_name {
    bool v6;
    uint8_t type;
    int code; /* -1: the type itself */
    const char *name;
};
static const struct icmp_name icmp_names[] = {
    {false, 3, -1, "unreachable"},
    {false, 4, -1, "source_quench"},
    {false, 5, -1, "redirect"},
    {false, 11, -1, "time_exceeded"},
    {false, 12, -1, "parameter_problem"},
    {false, 3, 0, "net_unreachable"},
    {false, 3, 1, "host_unreachable"},
    {false, 3, 2, "protocol_unreachable"},
    {false, 3, 3, "port_unreachable"},
    {false, 3, 4, "frag_needed"},
    {false, 3, 5, "source_route_failed"},
    {false, 3, 6, "net_unknown"},
    {false, 3, 7, "host_unknown"},
    {false, 3, 8, "source_host_isolated"},
    {false, 3, 9, "net_prohibited"},
    {false, 3, 10, "host_prohibited"},
    {false, 3, 11, "net_unreachable_for_tos"},
    {false, 3, 12, "host_unreachable_for_tos"},
    {false, 3, 13, "packet_filtered"},
    {false, 3, 14, "precedence_violation"},
    {false, 3, 15, "precedence_cutoff"},
    {false, 11, 0, "ttl_exceeded_in_transit"},
    {false, 11, 1, "frag_reass_exceeded"},
    {true, 1, -1, "unreachable"},
    {true, 2, -1, "packet_too_big"},
    {true, 3, -1, "time_exceeded"},
    {true, 4, -1, "parameter_problem"},
    {true, 1, 0, "no_route"},
    {true, 1, 1, "admin_prohibited"},
    {true, 1, 2, "not_neighbour"},
    {true, 1, 3, "address_unreachable"},
    {true, 1, 4, "port_unreachable"},
    {true, 3, 0, "exceeded_hop_limit"},
    {true, 3, 1, "exceeded_frag_time"},
    {true, 4, 0, "header_field"},
    {true, 4, 1, "unknown_next_header"},
    {true, 4, 2, "unknown_option"},
};

/* A name of the table, or PREFIXnumber. type -1: looks for a type. */
static int icmp_name(struct text *t, int type, const char *prefix, uint8_t *out)
{
    char name[40], *end;
    const char *before = t->at;
    if (!word(t, name, sizeof(name)))
        return wrong(t, "expected an ICMP name");
    for (unsigned i = 0; i < RTE_DIM(icmp_names); i++) {
        const struct icmp_name *n = &icmp_names[i];
        if (n->v6 != t->v6 || strcmp(n->name, name) != 0 || (type < 0) != (n->code < 0))
            continue;
        if (type >= 0 && n->type != type)
            continue;
        *out = type < 0 ? n->type : (uint8_t)n->code;
        return 0;
    }
    if (!strncmp(name, prefix, strlen(prefix))) {
        unsigned long v = strtoul(name + strlen(prefix), &end, 10);
        if (*end == 0 && v <= UINT8_MAX) {
            *out = (uint8_t)v;
            return 0;
        }
    }
    t->at = before;
    return wrong(t, "unknown ICMP%s %s", t->v6 ? "v6" : "", type < 0 ? "type" : "code");
}

static int sequence(struct text *t, struct segment *s)
{
    uint32_t end = 0;
    int err;
    s->seq_any = take(t, "...");
    if (!s->seq_any) {
        if ((err = number(t, UINT32_MAX, &s->seq)) != 0 || (err = need(t, ":")) != 0 ||
            (err = number(t, UINT32_MAX, &end)) != 0)
            return err;
    }
    if ((err = need(t, "(")) != 0 || (err = number(t, UINT16_MAX, &s->len)) != 0 || (err = need(t, ")")) != 0)
        return err;
    if (!s->seq_any && (uint32_t)(s->seq + s->len) != end)
        return wrong(t, "%u + %u is not %u", s->seq, s->len, end);
    s->seq_absolute = take(t, "!");
    return 0;
}

static int icmp(struct text *t, struct segment *s)
{
    s->kind = SEGMENT_ICMP;
    int err = icmp_name(t, -1, "type_", &s->icmp_type);
    skip_space(t);
    if (!err && isalpha((unsigned char)*t->at) && strncmp(t->at, "mtu", 3) != 0)
        err = icmp_name(t, s->icmp_type, "code_", &s->icmp_code);
    if (!err && take(t, "mtu"))
        err = number(t, UINT32_MAX, &s->icmp_mtu);
    if (!err && take(t, "[")) {
        err = sequence(t, s);
        if (!err)
            err = need(t, "]");
    }
    return err;
}

/* ---- TCP ---- */

static int flags(struct text *t, struct segment *s)
{
    const char *letter, *before;
    skip_space(t);
    before = t->at;
    if (take(t, "-"))
        return 0;
    while (*t->at && (letter = strchr(flag_letters, *t->at)) != NULL) {
        s->flags |= (uint16_t)(1u << (letter - flag_letters));
        t->at++;
        if (!strncmp(t->at, "..", 2)) /* ". ...": the dots that follow are the sequence's */
            break;
    }
    if (*t->at >= '0' && *t->at <= '7') { /* the ACE field: AE, CWR, ECE */
        unsigned ace = (unsigned)(*t->at++ - '0');
        s->flags |= (uint16_t)((ace & 4 ? SEGMENT_AE : 0) | (ace & 2 ? 0x80 : 0) | (ace & 1 ? 0x40 : 0));
    }
    if (strspn(t->at, " \t") > 0 && t->at[strspn(t->at, " \t")] == '.' &&
        t->at[strspn(t->at, " \t") + 1] == ' ') {
        s->flags |= 0x10; /* "F .": the acknowledgement's dot may stand apart */
        skip_space(t);
        t->at++;
    }
    if (*t->at != ' ' && *t->at != '\t') {
        t->at = before;
        return wrong(t, "expected TCP flags of \"%s\" or \"-\"", flag_letters);
    }
    return 0;
}

static int tcp(struct text *t, struct segment *s)
{
    uint32_t v, v2;
    int err;
    skip_space(t);
    if (isdigit((unsigned char)*t->at)) {
        if ((err = number(t, UINT16_MAX, &v)) != 0 || (err = need(t, ">")) != 0 ||
            (err = number(t, UINT16_MAX, &v2)) != 0)
            return err;
        s->sport = (uint16_t)v;
        s->dport = (uint16_t)v2;
    }
    if ((err = flags(t, s)) != 0 || (err = sequence(t, s)) != 0)
        return err;
    if (take(t, "ack") && (err = number(t, UINT32_MAX, &s->ack)) != 0)
        return err;
    if ((s->has_win = take(t, "win"))) {
        if ((err = number(t, UINT16_MAX, &v)) != 0)
            return err;
        s->win = (uint16_t)v;
    }
    if ((s->has_urg = take(t, "urg"))) {
        if ((err = number(t, UINT16_MAX, &v)) != 0)
            return err;
        s->urg = (uint16_t)v;
    }
    if ((err = options(t, s)) != 0)
        return err;
    return s->opt_len % 4 == 0 ? 0 : wrong(t, "options of %u bytes: pad them to a multiple of 4", s->opt_len);
}

int segment_parse(struct segment *s, const char *text, bool v6, char *err, size_t errlen)
{
    struct text t = {text, text, err, errlen, v6};
    *s = (struct segment){.tos = -1, .ttl = -1, .ecn = SEGMENT_ECN_ANY, .flow = -1};
    int error = ip_fields(&t, s);
    if (!error)
        error = take(&t, "icmp") ? icmp(&t, s) : tcp(&t, s);
    if (!error && !at_end(&t))
        error = wrong(&t, "something follows the packet");
    return error;
}

/* ---- printing ---- */

struct out {
    char *at, *end;
};

static __attribute__((format(printf, 2, 3))) void put(struct out *o, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(o->at, (size_t)(o->end - o->at), format, ap);
    va_end(ap);
    o->at = n < o->end - o->at ? o->at + n : o->end - 1;
}

int segment_option_next(const struct segment *s, unsigned *at, const uint8_t **bytes, unsigned *len)
{
    if (*at >= s->opt_len)
        return -1;
    const uint8_t *o = s->opt + *at;
    unsigned room = s->opt_len - *at, n = o[0] <= 1 ? 1 : room >= 2 ? o[1] : 0;
    if (n == 0 || (o[0] > 1 && n < 2) || n > room)
        return -1;
    *bytes = o;
    *len = n;
    *at += n;
    return o[0];
}

uint8_t *segment_option_find(struct segment *s, uint8_t kind, uint8_t len)
{
    unsigned at = 0, n;
    const uint8_t *o;
    int k;
    while ((k = segment_option_next(s, &at, &o, &n)) >= 0)
        if (k == kind && (len == 0 || n == len))
            return s->opt + (o - s->opt);
    return NULL;
}

static uint32_t be32(const uint8_t *b)
{
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_hex(struct out *o, const uint8_t *b, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        put(o, "%02x", b[i]);
}

static void put_option(struct out *o, int kind, const uint8_t *b, unsigned n)
{
    if (kind == 0) {
        put(o, "eol");
    } else if (kind == 1) {
        put(o, "nop");
    } else if (kind == 2 && n == 4) {
        put(o, "mss %u", b[2] << 8 | b[3]);
    } else if (kind == 3 && n == 3) {
        put(o, "wscale %u", b[2]);
    } else if (kind == 4 && n == 2) {
        put(o, "sackOK");
    } else if (kind == 5 && n > 2 && (n - 2) % 8 == 0) {
        put(o, "sack");
        for (unsigned i = 2; i < n; i += 8)
            put(o, " %u:%u", be32(b + i), be32(b + i + 4));
    } else if (kind == 8 && n == 10) {
        put(o, "TS val %u ecr %u", be32(b + 2), be32(b + 6));
    } else if (kind == 19) {
        put(o, "md5 ");
        put_hex(o, b + 2, n - 2);
    } else if (kind == 34) {
        put(o, n > 2 ? "FO " : "FO");
        put_hex(o, b + 2, n - 2);
    } else {
        put(o, "gen-%d ", kind);
        put_hex(o, b + 2, n - 2);
    }
}

static void put_options(struct out *o, const struct segment *s)
{
    const uint8_t *b;
    unsigned at = 0, n, from = 0;
    int kind;
    if (s->opt_any) {
        put(o, " <...>");
        return;
    }
    if (s->opt_len == 0)
        return;
    put(o, " <");
    while ((kind = segment_option_next(s, &at, &b, &n)) >= 0) {
        put(o, from ? "," : "");
        put_option(o, kind, b, n);
        from = at;
    }
    if (from < s->opt_len) {
        put(o, "%smalformed ", from ? "," : "");
        put_hex(o, s->opt + from, s->opt_len - from);
    }
    put(o, ">");
}

static const char *icmp_text(const struct segment *s, int code)
{
    for (unsigned i = 0; i < RTE_DIM(icmp_names); i++)
        if (icmp_names[i].type == s->icmp_type && icmp_names[i].code == code)
            return icmp_names[i].name;
    return "?";
}

char *segment_print(const struct segment *s, char *out, size_t size)
{
    static const char *const ecn[] = {"noecn", "ect1", "ect0", "ce", "ect01"};
    struct out o = {out, out + size};
    *out = 0;
    if (s->ecn > 0)
        put(&o, "[%s] ", ecn[s->ecn]);
    if (s->tos > 3) /* more than ECN */
        put(&o, "(tos 0x%02x) ", (unsigned)s->tos);
    if (s->flow > 0)
        put(&o, "(flowlabel 0x%x) ", (unsigned)s->flow);
    if (s->kind == SEGMENT_ICMP) {
        put(&o, "icmp %s(%u) code %u mtu %u", icmp_text(s, -1), s->icmp_type, s->icmp_code, s->icmp_mtu);
        return out;
    }
    for (const char *l = "SFRP.UEWA"; *l; l++)
        if (s->flags & 1u << (strchr(flag_letters, *l) - flag_letters))
            put(&o, "%c", *l);
    if (!s->flags)
        put(&o, "-");
    if (s->seq_any)
        put(&o, " ...(%u)", s->len);
    else
        put(&o, " %u:%u(%u)", s->seq, s->seq + s->len, s->len);
    if (s->flags & 0x10)
        put(&o, " ack %u", s->ack);
    if (s->has_win)
        put(&o, " win %u", s->win);
    if (s->has_urg)
        put(&o, " urg %u", s->urg);
    put_options(&o, s);
    return out;
}
