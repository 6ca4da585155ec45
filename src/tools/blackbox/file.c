// SPDX-License-Identifier: BSD-3-Clause
#include "tools/blackbox/file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include "blackbox/pcapng.h"

#define BLOCK_MAX       65536u /* ours are 2 KiB at most */
#define CONNECTIONS_MAX 65536u
enum { SECTION_HEADER = 0x0a0d0d0a, ENHANCED_PACKET = 6, MAGIC = 0x1a2b3c4d, OPT_COMMENT = 1 };

struct reader {
    gzFile f; /* which reads what is not packed as well */
    int (*fn)(const struct box_event *e, void *arg);
    void *arg;
    struct box_event e;
    struct tcp_log_header section;
    struct tcp_log_header *known; /* connections seen so far */
    uint32_t n_known, room;
    char stack[33], comment[201];
    bool in_section;
    uint8_t block[BLOCK_MAX];
};

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}
static uint32_t get32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return v;
}

/* ---- options ---- */

struct option {
    uint16_t code;
    uint32_t len;
    const uint8_t *data;
    uint32_t custom; /* BB_OPT_*, when it is one of ours; data and len are then behind it */
};

/* The next of the options in [*at, end). False: no more, or they are broken. */
static bool next_option(const uint8_t **at, const uint8_t *end, struct option *o)
{
    if (end - *at < 4)
        return false;
    o->code = get16(*at);
    o->len = get16(*at + 2);
    o->data = *at + 4;
    o->custom = 0;
    uint32_t padded = (o->len + 3u) & ~3u;
    if (o->code == 0 || padded > (uint32_t)(end - o->data))
        return false;
    *at = o->data + padded;
    if (o->code == BB_CUSTOM_OPT && o->len >= 8 && get32(o->data) == BB_PEN) {
        o->custom = get32(o->data + 4);
        o->data += 8;
        o->len -= 8;
    }
    return true;
}

static void take_text(char *to, size_t size, const uint8_t *from, size_t n)
{
    if (n >= size)
        n = size - 1;
    memcpy(to, from, n);
    to[n] = '\0';
    for (char *c = to; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?'; /* it goes to a terminal */
}

/* ---- blocks ---- */

static bool same_connection(const struct tcp_log_header *a, const struct tcp_log_header *b)
{
    return memcmp(&a->tlh_ie, &b->tlh_ie, sizeof(a->tlh_ie)) == 0 && a->tlh_af == b->tlh_af &&
           memcmp(a->tlh_id, b->tlh_id, sizeof(a->tlh_id)) == 0;
}

static int number_connection(struct reader *r)
{
    for (uint32_t i = r->n_known; i-- > 0;) {
        if (same_connection(&r->known[i], &r->section)) {
            r->e.connection = i;
            return 0;
        }
    }
    if (r->n_known == r->room) {
        uint32_t room = r->room ? 2 * r->room : 16;
        struct tcp_log_header *more = room > CONNECTIONS_MAX ? NULL : realloc(r->known, room * sizeof(*more));
        if (!more)
            return -1;
        r->known = more;
        r->room = room;
    }
    r->known[r->n_known] = r->section;
    r->e.connection = r->n_known++;
    return 0;
}

static void clean_header(struct tcp_log_header *h)
{
    h->tlh_id[sizeof(h->tlh_id) - 1] = h->tlh_tag[sizeof(h->tlh_tag) - 1] =
        h->tlh_reason[sizeof(h->tlh_reason) - 1] = '\0';
    char *texts[] = {h->tlh_id, h->tlh_tag, h->tlh_reason};
    for (unsigned i = 0; i < 3; i++)
        for (char *c = texts[i]; *c; c++)
            if ((unsigned char)*c < 0x20 || *c == 0x7f)
                *c = '?';
}

static int on_section(struct reader *r, const uint8_t *body, uint32_t len)
{
    struct option o;
    const uint8_t *at = body + 16, *end = body + len;
    memset(&r->section, 0, sizeof(r->section));
    r->stack[0] = '\0';
    while (next_option(&at, end, &o)) {
        if (o.custom == BB_OPT_DUMPINFO && o.len == sizeof(r->section))
            memcpy(&r->section, o.data, sizeof(r->section));
        if (o.custom == BB_OPT_STACKNAME && o.len >= 1)
            take_text(r->stack, sizeof(r->stack), o.data + 1, o.len - 1);
    }
    clean_header(&r->section);
    r->in_section = true;
    return number_connection(r);
}

static int report(struct reader *r)
{
    r->e.number++;
    return r->fn(&r->e, r->arg);
}

/* TCPINFO and comment of an event or packet. False: it has none, so it is none of ours. */
static bool take_info(struct reader *r, const uint8_t *at, const uint8_t *end)
{
    struct option o;
    bool found = false;
    r->comment[0] = '\0';
    while (next_option(&at, end, &o)) {
        if (o.custom == BB_OPT_TCPINFO && o.len >= BB_TCPINFO_LEN) {
            memset(&r->e.b, 0, sizeof(r->e.b));
            memcpy(&r->e.b, o.data, BB_TCPINFO_LEN);
            found = true;
        } else if (o.code == OPT_COMMENT) {
            take_text(r->comment, sizeof(r->comment), o.data, o.len);
        }
    }
    return found;
}

static int on_custom(struct reader *r, const uint8_t *body, uint32_t len)
{
    if (len < 12 || get32(body) != BB_PEN)
        return 0;
    if (get32(body + 4) == BB_BLOCK_SKIP) {
        r->e.skipped = get32(body + 8);
        return r->e.skipped ? report(r) : 0;
    }
    if (get32(body + 4) != BB_BLOCK_EVENT || !take_info(r, body + 8, body + len))
        return 0;
    r->e.skipped = 0;
    /* Unsigned: a damaged file may hold any 64 bits. */
    r->e.us = ((uint64_t)r->e.b.tlb_tv.tv_sec + (uint64_t)r->section.tlh_offset_sec) * 1000000 +
              (uint64_t)r->e.b.tlb_tv.tv_usec + (uint64_t)r->section.tlh_offset_usec;
    r->e.b.tlb_eventflags &= (uint16_t)~TLB_FLAG_HDR;
    return report(r);
}

/* TCP header and options, behind the family and the made-up IP header. */
static void take_tcp(struct reader *r, const uint8_t *p, uint32_t n)
{
    uint32_t ip = n < 5 ? 0 : p[4] >> 4 == 4 ? 20 : 40, at = 4 + ip;
    r->e.b.tlb_eventflags &= (uint16_t)~TLB_FLAG_HDR;
    if (ip == 0 || n < at + 20)
        return;
    uint32_t hlen = (uint32_t)(p[at + 12] >> 4) * 4;
    if (hlen < 20 || n < at + hlen)
        return;
    memcpy(r->e.b.tlb_th, p + at, 20);
    memcpy(r->e.b.tlb_opts, p + at + 20, hlen - 20);
    r->e.b.tlb_eventflags |= TLB_FLAG_HDR;
}

static int on_packet(struct reader *r, const uint8_t *body, uint32_t len)
{
    if (len < 20)
        return 0;
    uint32_t captured = get32(body + 12), padded = (captured + 3u) & ~3u;
    if (captured > len - 20 || padded > len - 20 || !take_info(r, body + 20 + padded, body + len))
        return 0;
    r->e.skipped = 0;
    r->e.us = (uint64_t)get32(body + 4) << 32 | get32(body + 8);
    take_tcp(r, body + 20, captured);
    return report(r);
}

static int on_block(struct reader *r, uint32_t type, const uint8_t *body, uint32_t len)
{
    switch (type) {
    case SECTION_HEADER:
        return len < 16 ? -1 : on_section(r, body, len);
    case BB_CUSTOM_BLOCK:
        return on_custom(r, body, len);
    case ENHANCED_PACKET:
        return on_packet(r, body, len);
    default:
        return 0;
    }
}

/* ---- the file ---- */

enum { END, BROKEN, WRONG, STOPPED };

/* n bytes; less at the end, or where the file breaks off. */
static uint32_t take_bytes(struct reader *r, void *to, uint32_t n)
{
    int got = gzread(r->f, to, n);
    return got < 0 ? 0 : (uint32_t)got;
}

/* Is it the end of the file, not only of what can be unpacked? */
static bool at_end(struct reader *r)
{
    int err;
    gzerror(r->f, &err);
    return err == Z_OK;
}

/* One block. -1: go on. */
static int step(struct reader *r, int *result)
{
    uint8_t head[12];
    uint32_t n = take_bytes(r, head, 12);
    if (n == 0 && at_end(r))
        return END;
    if (n < 12)
        return BROKEN;
    uint32_t type = get32(head), len = get32(head + 4);
    if ((type == SECTION_HEADER && get32(head + 8) != MAGIC) || (!r->in_section && type != SECTION_HEADER))
        return WRONG;
    if (len < 12 || len % 4 != 0 || len > BLOCK_MAX)
        return BROKEN;
    memcpy(r->block, head + 8, 4);
    if (len > 12 && take_bytes(r, r->block + 4, len - 12) != len - 12)
        return BROKEN;
    if (get32(r->block + len - 12) != len)
        return BROKEN;
    *result = on_block(r, type, r->block, len - 12);
    return *result ? STOPPED : -1;
}

static gzFile open_file(const char *path)
{
    if (strcmp(path, "-") != 0)
        return gzopen(path, "rb");
    int fd = dup(STDIN_FILENO);
    gzFile f = fd < 0 ? NULL : gzdopen(fd, "rb");
    if (!f && fd >= 0)
        close(fd);
    return f;
}

int box_read(const char *path, int (*fn)(const struct box_event *e, void *arg), void *arg, bool *broken,
             char *err, size_t errsize)
{
    struct reader *r = calloc(1, sizeof(*r));
    int how = BROKEN, result = 0;
    *broken = false;
    errno = ENOMEM;
    if (!r || !(r->f = open_file(path))) {
        snprintf(err, errsize, "%s: %s", path, strerror(errno));
        free(r);
        return -1;
    }
    r->fn = fn;
    r->arg = arg;
    r->e.section = &r->section;
    r->e.stack = r->stack;
    r->e.comment = r->comment;
    while ((how = step(r, &result)) == -1)
        ;
    if (how == WRONG) {
        snprintf(err, errsize, "%s: not a pcapng file of the black box (little-endian)", path);
        result = -1;
    } else if (how == STOPPED && result == -1) {
        snprintf(err, errsize, "%s: more connections than memory", path);
    }
    *broken = how == BROKEN;
    gzclose_r(r->f);
    free(r->known);
    free(r);
    return result;
}
