// SPDX-License-Identifier: BSD-3-Clause
// SYNs are the least urgent work of an engine. When more of them come than ever complete, connections that have work go first: beyond a
// budget a SYN is dropped unseen, before it costs a checksum, a hash or an answer. An engine with nothing else to do answers them all.
#include "tcp/syncache.h"

#define SAVED_NS    (10 * NS_PER_MS) /* so much of the budget may be spent at once */
#define PAID_DOUBLE 2                /* a completed handshake pays for its own SYN and one more */

/* Does the cache overflow? With SYN cookies the pause that follows tells, or they are all there is. */
static bool flooded(const struct tcp_syncache *c, uint64_t now)
{
    if (c->params.syncookies)
        return c->params.syncookies_only || now < c->paused_until;
    return c->overflow_at && now - c->overflow_at < NS_PER_SEC;
}

/* Connections sent in the turn before, or are to send in this one. */
static bool busy(const struct engine *e)
{
    return e->n_due_last > 0 || e->n_due > 0;
}

static uint64_t price(const struct tcp_syncache *c)
{
    return NS_PER_SEC / c->params.busyrate;
}

bool syncache_sheds(struct tcp_layer *t)
{
    struct tcp_syncache *c = t->syncache;
    uint64_t now = t->e->now;
    if (!flooded(c, now) || !busy(t->e) || c->params.busyrate == 0)
        return false;
    if (c->spent_until > now)
        return true;
    uint64_t saved_from = now > SAVED_NS ? now - SAVED_NS : 0;
    c->spent_until = RTE_MAX(c->spent_until, saved_from) + price(c);
    return false;
}

void syncache_paid(struct tcp_syncache *c)
{
    uint64_t pay = c->params.busyrate ? PAID_DOUBLE * price(c) : 0;
    c->spent_until -= RTE_MIN(c->spent_until, pay);
}
