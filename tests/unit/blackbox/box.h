// SPDX-License-Identifier: BSD-3-Clause
// A black box without an engine: its owners are names.
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "blackbox/blackbox.h"
#include "sysctl/sysctl.h"

#define SEC UINT64_C(1000000000)
#define UTC INT64_C(1700000000)

struct box {
    struct sysctl_tree *tree;
    struct bb_layer *l;
    uint64_t now;
};

static inline void box_describe(const void *owner, struct tcp_log_header *h)
{
    static const uint8_t faddr[4] = {10, 0, 0, 2}, laddr[4] = {10, 0, 0, 1};
    h->tlh_af = 2;
    h->tlh_ie.ie_fport = 0x3930; /* 12345 */
    h->tlh_ie.ie_lport = 0x5000; /* 80 */
    memcpy(h->tlh_ie.ie_faddr + 12, faddr, 4);
    memcpy(h->tlh_ie.ie_laddr + 12, laddr, 4);
}
static inline const char *box_stack(uint8_t id)
{
    return id == 0 ? "default" : id == 1 ? "rack" : NULL;
}

static inline void box_set(struct box *b, const char *name, const char *value)
{
    char err[128] = "";
    if (sysctl_set_text(b->tree, name, value, err, sizeof(err)) != 0)
        fail_msg("%s", err);
}

static inline struct box *box_new(const char *directory)
{
    struct box *b = calloc(1, sizeof(*b));
    const struct bb_env env = {
        .utc_offset_ns = UTC * (int64_t)SEC, .describe = box_describe, .stack_name = box_stack};
    b->tree = sysctl_tree_new();
    assert_int_equal(bb_create(&env, b->tree, &b->l), 0);
    box_set(b, "net.inet.tcp.bb.writer", "sync");
    if (directory)
        box_set(b, "net.inet.tcp.bb.directory", directory);
    b->now = SEC;
    return b;
}

/* Every record, chunk and node must have come back. */
static inline void box_free(struct box *b)
{
    bb_destroy(b->l);
    sysctl_tree_free(b->tree);
    free(b);
}

static inline struct bb_log *box_log(struct box *b, uint32_t limit, int mode)
{
    struct bb_log *log = bb_open(b->l, b);
    assert_non_null(log);
    log->limit = limit;
    assert_int_equal(bb_set_mode(b->l, log, mode), 0);
    return log;
}

/* The next record, all of it zeros but for serial number, time and event. */
static inline struct bb_record *box_next(struct box *b, struct bb_log *log, uint8_t event, uint64_t now)
{
    struct bb_record *r = bb_next(b->l, log, event, now);
    if (!r)
        return NULL;
    uint32_t serial = r->b.tlb_sn;
    memset(r, 0, sizeof(*r));
    r->b.tlb_sn = serial;
    r->b.tlb_eventid = event;
    r->now = now;
    return r;
}

/* n events; returns how many were taken. */
static inline unsigned box_events(struct box *b, struct bb_log *log, unsigned n)
{
    unsigned taken = 0;
    while (n-- > 0)
        taken += box_next(b, log, TCP_LOG_RTT, b->now += 1000) != NULL;
    return taken;
}
