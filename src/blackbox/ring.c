// SPDX-License-Identifier: BSD-3-Clause
// A connection's ring: a chain of chunks, the oldest record in front. What happens when it is full, its mode decides.
#include <errno.h>
#include <string.h>
#include "blackbox/blackbox.h"

static struct bb_chunk *chunk_new(struct bb_layer *l, struct bb_log *log)
{
    struct bb_chunk *c = pool_get(&l->chunks);
    if (c) {
        c->first = c->end = 0;
        STAILQ_INSERT_TAIL(&log->chunks, c, link);
    }
    return c;
}

static void payload_free(struct bb_layer *l, struct bb_record *r)
{
    if (r->payload)
        pool_put(&l->payloads, r->payload);
    r->payload = NULL;
}

void bb_free_chunks(struct bb_layer *l, struct bb_chunks *chunks, uint32_t count)
{
    struct bb_chunk *c;
    while ((c = STAILQ_FIRST(chunks)) != NULL) {
        STAILQ_REMOVE_HEAD(chunks, link);
        for (uint16_t i = c->first; i < c->end; i++)
            payload_free(l, &c->r[i]);
        pool_put(&l->chunks, c);
    }
    l->records -= count;
}

void bb_count(struct bb_log *log, int64_t n)
{
    log->count = (uint32_t)(log->count + n);
    if (log->node)
        log->node->bucket->records = (uint32_t)(log->node->bucket->records + n);
}

static void clear(struct bb_layer *l, struct bb_log *log)
{
    bb_free_chunks(l, &log->chunks, log->count);
    bb_count(log, -(int64_t)log->count);
}

/* The oldest record goes, and its chunk when it was the last in it. */
static void drop_oldest(struct bb_layer *l, struct bb_log *log)
{
    struct bb_chunk *c = STAILQ_FIRST(&log->chunks);
    payload_free(l, &c->r[c->first++]);
    bb_count(log, -1);
    l->records--;
    if (c->first == c->end) {
        STAILQ_REMOVE_HEAD(&log->chunks, link);
        pool_put(&l->chunks, c);
    }
}

/* Memory is short: the oldest chunk becomes the newest. False: there is none to take. */
static bool recycle_chunk(struct bb_layer *l, struct bb_log *log)
{
    struct bb_chunk *c = STAILQ_FIRST(&log->chunks);
    if (!c)
        return false;
    for (uint16_t i = c->first; i < c->end; i++)
        payload_free(l, &c->r[i]);
    l->stats.lost += (uint64_t)(c->end - c->first);
    bb_count(log, c->first - (int64_t)c->end);
    l->records -= (uint32_t)(c->end - c->first);
    c->first = c->end = 0;
    STAILQ_REMOVE_HEAD(&log->chunks, link);
    STAILQ_INSERT_TAIL(&log->chunks, c, link);
    return true;
}

/* The limit is reached: one record less. False: the event is not to be recorded. */
static bool make_room(struct bb_layer *l, struct bb_log *log)
{
    switch (log->mode) {
    case TCP_LOG_STATE_HEAD:
        log->mode = TCP_LOG_STATE_OFF;
        return false;
    case TCP_LOG_STATE_HEAD_AUTO: /* what can't be dumped yet stays; the next event tries again */
        if (bb_dump(l, log, "auto-dumped from head", false) == 0)
            log->mode = TCP_LOG_STATE_OFF;
        return false;
    case TCP_LOG_STATE_CONTINUAL:
    case TCP_LOG_VIA_BBPOINTS:
        if (bb_dump(l, log,
                    log->mode == TCP_LOG_STATE_CONTINUAL ? "auto-dumped from continual"
                                                         : "auto-dumped from bbpoints",
                    false) == 0)
            return true;
        break;
    default:
        /* Nobody has asked for it by name: it would only fill memory. */
        if (log->auto_selected && !log->node && !l->params.auto_all) {
            clear(l, log);
            log->mode = TCP_LOG_STATE_OFF;
            return false;
        }
    }
    if (log->count == 0)
        return false;
    drop_oldest(l, log);
    l->stats.lost++;
    return true;
}

/* A chunk with room for one more, or NULL. */
static struct bb_chunk *chunk_with_room(struct bb_layer *l, struct bb_log *log)
{
    struct bb_chunk *c = STAILQ_LAST(&log->chunks, bb_chunk, link);
    if (c && c->end < BB_CHUNK_RECORDS)
        return c;
    bool within = l->records < l->params.global_limit;
    c = within ? chunk_new(l, log) : NULL;
    if (c)
        return c;
    /* As a full ring, but by whole chunks: nothing less frees memory. */
    if (log->mode == TCP_LOG_STATE_HEAD || log->mode == TCP_LOG_STATE_HEAD_AUTO) {
        make_room(l, log);
        return NULL;
    }
    return recycle_chunk(l, log) ? STAILQ_LAST(&log->chunks, bb_chunk, link) : NULL;
}

/* By its own limit, or by its log ID's. */
static bool full(const struct bb_layer *l, const struct bb_log *log)
{
    return log->count >= log->limit ||
           (log->node && l->params.id_events && log->node->bucket->records >= l->params.id_events);
}

static struct bb_record *take(struct bb_layer *l, struct bb_log *log, struct bb_chunk *c, uint8_t event,
                              uint64_t now)
{
    struct bb_record *r = &c->r[c->end++];
    uint32_t serial = log->serial;
    __asm__("" : "+r"(r)); /* its address is worked out once */
    bb_count(log, 1);
    l->records++;
    l->stats.events++;
    r->b.tlb_sn = serial;
    log->serial = log->recorded = serial + 1;
    r->b.tlb_eventid = event;
    r->now = now;
    r->flex1 = r->flex2 = r->inflight = r->stack_len = 0;
    r->function = NULL;
    r->payload = NULL;
    r->payload_len = 0;
    r->raw = r->inflight_known = false;
    r->flex8 = 0;
    return r;
}

/* The ring is full, or a chunk is, or nothing is to be recorded any more. */
static __attribute__((noinline)) struct bb_record *make_way(struct bb_layer *l, struct bb_log *log,
                                                            uint8_t event, uint64_t now)
{
    if (log->mode <= TCP_LOG_STATE_OFF ||
        (log->mode == TCP_LOG_VIA_BBPOINTS && event != TCP_RACK_TP_TRIGGERED))
        return NULL;
    if (l->params.disable_all) {
        log->serial++;
        clear(l, log);
        log->mode = TCP_LOG_STATE_OFF;
        return NULL;
    }
    bool room = log->limit > 0 && (!full(l, log) || make_room(l, log));
    struct bb_chunk *c = room ? chunk_with_room(l, log) : NULL;
    if (c)
        return take(l, log, c, event, now);
    log->serial++; /* also of an event that is lost: a gap tells of it */
    l->stats.lost++;
    return NULL;
}

struct bb_record *bb_next(struct bb_layer *l, struct bb_log *log, uint8_t event, uint64_t now)
{
    struct bb_chunk *c = STAILQ_LAST(&log->chunks, bb_chunk, link);
    bool plain = c && c->end < BB_CHUNK_RECORDS && log->mode > TCP_LOG_STATE_OFF &&
                 log->mode < TCP_LOG_VIA_BBPOINTS && !full(l, log) && !l->params.disable_all;
    if (__builtin_expect(!plain, 0))
        return make_way(l, log, event, now);
    return take(l, log, c, event, now);
}

void bb_export(const struct bb_record *r,
               void (*finish)(const struct bb_record *r, struct tcp_log_buffer *out),
               struct tcp_log_buffer *out)
{
    bool whole = !r->raw && (r->b.tlb_eventflags & TLB_FLAG_STACKINFO);
    uint32_t stack = whole ? sizeof(out->tlb_stackinfo) : r->stack_len;
    uint32_t hlen = r->b.tlb_eventflags & TLB_FLAG_HDR ? (uint32_t)(r->b.tlb_th[12] >> 4) * 4 : 0;
    uint32_t options = hlen > sizeof(out->tlb_th) ? hlen - (uint32_t)sizeof(out->tlb_th) : 0;
    *out = r->b;
    memset((uint8_t *)&out->tlb_stackinfo + stack, 0, sizeof(out->tlb_stackinfo) - stack);
    memset(out->tlb_opts + options, 0, sizeof(out->tlb_opts) - options);
    if (!(r->b.tlb_eventflags & TLB_FLAG_HDR))
        memset(out->tlb_th, 0, sizeof(out->tlb_th));
    if (r->now) {
        out->tlb_tv.tv_sec = (int64_t)(r->now / UINT64_C(1000000000));
        out->tlb_tv.tv_usec = (int64_t)(r->now % UINT64_C(1000000000) / 1000);
        out->tlb_ticks = (uint32_t)(r->now / UINT64_C(1000000));
    }
    if (r->raw)
        finish(r, out);
}

uint32_t bb_payload_room(struct bb_layer *l, struct bb_record *r)
{
    if (l->params.payload == 0)
        return 0;
    r->payload = pool_get(&l->payloads);
    return r->payload ? l->params.payload : 0;
}

int bb_set_mode(struct bb_layer *l, struct bb_log *log, int mode)
{
    if (mode < TCP_LOG_STATE_CLEAR || mode > TCP_LOG_VIA_BBPOINTS)
        return -EINVAL;
    if (l->params.disable_all && mode > TCP_LOG_STATE_OFF)
        return -EBUSY;
    if (mode == TCP_LOG_STATE_CLEAR) {
        clear(l, log);
        mode = TCP_LOG_STATE_OFF;
    }
    log->mode = (int8_t)mode;
    log->auto_selected = false;
    log->user_mode = true;
    return 0;
}

uint32_t bb_readable(const struct bb_log *log)
{
    return log->count * (uint32_t)sizeof(struct tcp_log_buffer);
}

uint32_t bb_read(struct bb_layer *l, struct bb_log *log, void *buf, uint32_t size)
{
    const uint32_t one = sizeof(struct tcp_log_buffer);
    uint32_t n = 0;
    for (; log->count > 0 && size - n >= one; n += one) {
        struct bb_chunk *c = STAILQ_FIRST(&log->chunks);
        struct tcp_log_buffer b;
        bb_export(&c->r[c->first], l->env.finish, &b);
        memcpy((char *)buf + n, &b, one);
        drop_oldest(l, log);
    }
    return n;
}
