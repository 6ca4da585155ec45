// SPDX-License-Identifier: BSD-3-Clause
// Finds connections by four-tuple: a chained hash table under a secret key that doubles while it works, a few buckets at a
// time. Listeners and bound ports: ports.c.
#include <errno.h>
#include <rte_jhash.h>
#include "base/alloc.h"
#include "tcp/demux.h"
#include "tcp/stats.h"

#define PORTS          65536
#define TABLE_MIN      1024
#define MOVE_ON_CHANGE 4 /* buckets moved by an insertion: more than enough to end before the next doubling */

int demux_create(struct tcp_layer *t)
{
    struct demux *d = mem_alloc(sizeof(*d));
    if (!d)
        return -ENOMEM;
    t->demux = d;
    d->mask = TABLE_MIN - 1;
    pool_init(&d->held, "port", sizeof(struct tcp_port), PORTS, 64);
    d->table = mem_alloc(TABLE_MIN * sizeof(*d->table));
    d->ports = mem_alloc(PORTS * sizeof(*d->ports));
    if (!d->table || !d->ports) {
        demux_destroy(t);
        return -ENOMEM;
    }
    return 0;
}

void demux_destroy(struct tcp_layer *t)
{
    struct demux *d = t->demux;
    if (!d)
        return;
    RTE_ASSERT(d->n == 0);
    mem_free(d->old);
    mem_free(d->table);
    mem_free(d->ports);
    pool_fini(&d->held);
    mem_free(d);
    t->demux = NULL;
}

uint32_t demux_hash(const struct engine *e, const struct ip_addr *faddr, const struct ip_addr *laddr,
                    uint16_t fport, uint16_t lport)
{
    uint32_t seed = (uint32_t)e->secret.k[0];
    uint32_t ports = (uint32_t)fport << 16 | lport;
    if (ip_addr_is_v4(faddr))
        return rte_jhash_3words(faddr->w[3], laddr->w[3], ports, seed);
    uint32_t key[9] = {faddr->w[0], faddr->w[1], faddr->w[2], faddr->w[3], laddr->w[0],
                       laddr->w[1], laddr->w[2], laddr->w[3], ports};
    return rte_jhash_32b(key, RTE_DIM(key), seed);
}

static bool same_tuple(const struct tcb *tp, const struct ip_addr *faddr, const struct ip_addr *laddr,
                       uint16_t fport, uint16_t lport)
{
    return tp->fport == fport && tp->lport == lport && ip_addr_eq(&tp->faddr, faddr) &&
           ip_addr_eq(&tp->laddr, laddr);
}

struct tcb *demux_find(struct tcp_layer *t, uint32_t hash, const struct ip_addr *faddr,
                       const struct ip_addr *laddr, uint16_t fport, uint16_t lport)
{
    struct tcb *tp = *demux_bucket(t->demux, hash);
    while (tp && !(tp->hash == hash && same_tuple(tp, faddr, laddr, fport, lport)))
        tp = tp->hash_next;
    return tp;
}

/* Moves one bucket of the old table to its two places in the new one. */
static void move_bucket(struct demux *d)
{
    struct tcb *tp = d->old[d->moved];
    struct tcb *next;
    d->old[d->moved++] = NULL;
    for (; tp; tp = next) {
        next = tp->hash_next;
        struct tcb **bucket = &d->table[tp->hash & d->mask];
        tp->hash_next = *bucket;
        *bucket = tp;
    }
}

static void move_some(struct demux *d)
{
    for (unsigned i = 0; d->old && i < MOVE_ON_CHANGE; i++) {
        move_bucket(d);
        if (d->moved > d->old_mask) {
            mem_free(d->old);
            d->old = NULL;
        }
    }
}

/* One connection for each bucket: the table doubles. Without memory the chains grow instead. */
static void grow(struct tcp_layer *t)
{
    struct demux *d = t->demux;
    uint64_t size = 2 * ((uint64_t)d->mask + 1);
    if (d->old || size > (uint64_t)UINT32_MAX + 1)
        return;
    struct tcb **table = mem_alloc(size * sizeof(*table));
    if (!table) {
        t->stats->tablegrow_nomem++;
        d->retry = d->n + d->n / 8;
        return;
    }
    t->stats->tablegrow++;
    d->old = d->table;
    d->old_mask = d->mask;
    d->moved = 0;
    d->table = table;
    d->mask = (uint32_t)(size - 1);
}

static void table_add(struct tcp_layer *t, struct tcb *tp)
{
    struct demux *d = t->demux;
    if (d->n > d->mask && d->n >= d->retry)
        grow(t);
    move_some(d);
    struct tcb **bucket = demux_bucket(d, tp->hash);
    tp->hash_next = *bucket;
    *bucket = tp;
    tp->in_table = true;
    d->n++;
}

static void table_remove(struct tcp_layer *t, struct tcb *tp)
{
    struct tcb **at = demux_bucket(t->demux, tp->hash);
    while (*at != tp)
        at = &(*at)->hash_next;
    *at = tp->hash_next;
    tp->in_table = false;
    t->demux->n--;
    move_some(t->demux);
}

int demux_insert_new(struct tcb *tp, uint32_t hash)
{
    struct tcp_layer *t = tp->e->tcp;
    int rc = ports_use(t, tp);
    if (rc < 0)
        return rc;
    tp->hash = hash;
    table_add(t, tp);
    return 0;
}

int demux_insert(struct tcb *tp)
{
    uint32_t hash = demux_hash(tp->e, &tp->faddr, &tp->laddr, tp->fport, tp->lport);
    if (demux_find(tp->e->tcp, hash, &tp->faddr, &tp->laddr, tp->fport, tp->lport))
        return -EADDRINUSE;
    return demux_insert_new(tp, hash);
}

void demux_remove(struct tcb *tp)
{
    struct tcp_layer *t = tp->e->tcp;
    if (tp->in_table)
        table_remove(t, tp);
    ports_release(t, tp);
}
