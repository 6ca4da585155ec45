// SPDX-License-Identifier: BSD-3-Clause
// Log IDs: a name that joins connections, so that one of them can dump all. Records of a closed connection wait for a minute.
#include <errno.h>
#include <string.h>
#include "base/alloc.h"
#include "blackbox/blackbox.h"
#include "blackbox/select.h"

struct bb_bucket *bb_find_id(struct bb_layer *l, const char *id)
{
    struct bb_bucket *b;
    LIST_FOREACH (b, &l->buckets, link)
        if (strcmp(b->id, id) == 0)
            return b;
    return NULL;
}

const char *bb_id(const struct bb_log *log)
{
    return log->node ? log->node->bucket->id : "";
}

const char *bb_tag(const struct bb_log *log)
{
    return log->node ? log->node->bucket->tag : "";
}

uint32_t bb_id_count(const struct bb_log *log)
{
    return log->node ? log->node->bucket->n_nodes : 0;
}

bool bb_id_left_out(const struct bb_log *log)
{
    return log->node && log->node->bucket->mode == BB_RATIO_OFF;
}

static struct bb_bucket *bucket_new(struct bb_layer *l, const char *id)
{
    if (l->params.id_limit && l->n_buckets >= l->params.id_limit)
        return NULL;
    struct bb_bucket *b = mem_alloc(sizeof(*b));
    if (!b)
        return NULL;
    memcpy(b->id, id, strnlen(id, sizeof(b->id) - 1));
    TAILQ_INIT(&b->nodes);
    b->mode = bb_select_id(l);
    LIST_INSERT_HEAD(&l->buckets, b, link);
    l->n_buckets++;
    l->stats.pcb_ids_tot++;
    return b;
}

static void bucket_free(struct bb_layer *l, struct bb_bucket *b)
{
    LIST_REMOVE(b, link);
    l->n_buckets--;
    mem_free(b);
}

/* The last connection of an ID takes the ID with it. */
static void node_free(struct bb_layer *l, struct bb_node *n)
{
    struct bb_bucket *b = n->bucket;
    TAILQ_REMOVE(&b->nodes, n, link);
    b->n_nodes--;
    b->records -= n->count;
    bb_free_chunks(l, &n->chunks, n->count);
    pool_put(&l->nodes_pool, n);
    if (b->n_nodes == 0)
        bucket_free(l, b);
}

static struct bb_node *node_new(struct bb_layer *l, struct bb_bucket *b, struct bb_log *log)
{
    l->nodes_pool.limit = l->params.id_tcpcb_limit ? l->params.id_tcpcb_limit : UINT32_MAX;
    struct bb_node *n = pool_get(&l->nodes_pool);
    if (!n)
        return NULL;
    memset(n, 0, sizeof(*n));
    STAILQ_INIT(&n->chunks);
    n->bucket = b;
    n->log = log;
    TAILQ_INSERT_TAIL(&b->nodes, n, link);
    b->n_nodes++;
    return n;
}

void bb_leave_id(struct bb_layer *l, struct bb_log *log)
{
    if (!log->node)
        return;
    log->node->bucket->records -= log->count;
    node_free(l, log->node);
    log->node = NULL;
}

/* What the ID brings along: the mode that the ratio chose for it. */
static void adopt(struct bb_log *log, const struct bb_bucket *b)
{
    if (!log->user_mode && b->mode > TCP_LOG_STATE_OFF) {
        log->mode = b->mode;
        log->auto_selected = true;
    }
}

int bb_set_id(struct bb_layer *l, struct bb_log *log, const char *id)
{
    if (log->node && strcmp(log->node->bucket->id, id) == 0) {
        adopt(log, log->node->bucket);
        return 0;
    }
    if (id[0] == '\0') {
        bb_leave_id(l, log);
        return 0;
    }
    struct bb_bucket *b = bb_find_id(l, id);
    bool fresh = !b;
    if (fresh)
        b = bucket_new(l, id);
    struct bb_node *n = b ? node_new(l, b, log) : NULL;
    if (!n) {
        if (b && fresh)
            bucket_free(l, b);
        return -ENOBUFS;
    }
    bb_leave_id(l, log);
    log->node = n;
    b->records += log->count;
    adopt(log, b);
    return 0;
}

int bb_set_tag(struct bb_log *log, const char *tag)
{
    if (!log->node)
        return -EOPNOTSUPP;
    memset(log->node->bucket->tag, 0, TCP_LOG_TAG_LEN);
    memcpy(log->node->bucket->tag, tag, strnlen(tag, TCP_LOG_TAG_LEN - 1));
    return 0;
}

bool bb_leave_records(struct bb_layer *l, struct bb_log *log, uint64_t now)
{
    struct bb_node *n = log->node;
    if (!n)
        return false;
    n->log = NULL;
    log->node = NULL;
    if (log->count == 0) {
        node_free(l, n);
        return true;
    }
    STAILQ_CONCAT(&n->chunks, &log->chunks);
    n->count = log->count;
    n->incarnation = log->incarnation;
    n->serial = log->serial;
    n->dumped = log->dumped;
    log->count = 0;
    l->env.describe(log->owner, &n->header);
    n->expires = now + BB_ID_EXPIRY_NS;
    TAILQ_INSERT_TAIL(&l->expiry, n, expiry);
    return true;
}

void bb_expire(struct bb_layer *l, uint64_t now)
{
    struct bb_node *n;
    while ((n = TAILQ_FIRST(&l->expiry)) != NULL && n->expires <= now) {
        TAILQ_REMOVE(&l->expiry, n, expiry);
        l->stats.expired += n->count;
        node_free(l, n);
    }
}

void bb_dump_id(struct bb_layer *l, struct bb_bucket *b, const char *reason)
{
    uint32_t left = b->n_nodes; /* the last one that goes takes b along */
    struct bb_node *n = TAILQ_FIRST(&b->nodes), *next;
    for (; left > 0; left--, n = next) {
        next = TAILQ_NEXT(n, link);
        if (n->log) {
            bb_dump(l, n->log, reason, false);
        } else if (bb_dump_node(l, n, reason) == 0) {
            TAILQ_REMOVE(&l->expiry, n, expiry);
            node_free(l, n);
        }
    }
}
