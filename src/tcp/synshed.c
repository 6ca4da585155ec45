// SPDX-License-Identifier: BSD-3-Clause
// SYNs are the least urgent work of an engine. When more of them come than ever complete, connections that have work go first: beyond a
// budget a SYN is dropped unseen, before it costs a checksum, a connection's hash or an answer. An engine with nothing else to do answers
// them all. What was dropped is remembered for some seconds: a SYN that comes again has a sender who waits, which forged ones have not, and
// is answered from a budget of its own.
#include <errno.h>
#include "base/alloc.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

#define SAVED_NS    (10 * NS_PER_MS) /* so much of the budget may be spent at once */
#define PAID_DOUBLE 2                /* a completed handshake pays for its own SYN and one more */

/*
 * SYNs that were shed stand in buckets of four, the newest lowest and the oldest lost for the next: a bit that there is one, ten bits of its
 * hash, and the tick of 2^28 ns (0.27 s). With 2 MiB 97 % of 300,000 SYNs a second are still there after a second, and one forged SYN in
 * 250 at most passes for one of them. Only after AGAIN_TICKS it is answered, so that of a flood of few SYNs, the same again and
 * again, hardly any is. After 32 ticks a SYN looks young again; retransmissions after 2^n s never come just then.
 */
#define BUCKETS_LOG2 18
#define SHED_BITS    16
#define SHED         0x8000u
#define SHED_HASH    0x7fe0u
#define SHED_TICK    0x1fu
#define TICK_LOG2_NS 28
#define AGAIN_TICKS  2

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

/* One SYN out of a budget, if there is one left. */
static bool spend(const struct tcp_syncache *c, uint64_t *spent_until, uint64_t now)
{
    if (*spent_until > now)
        return false;
    uint64_t saved_from = now > SAVED_NS ? now - SAVED_NS : 0;
    *spent_until = RTE_MAX(*spent_until, saved_from) + price(c);
    return true;
}

int syncache_shed_create(struct tcp_syncache *c, const struct siphash_key *secret)
{
    uint64_t seed[2] = {0, UINT64_C(0x676e6964646568)}; /* apart from other hashes under the secret */
    for (; seed[0] < RTE_DIM(c->shed_key); seed[0]++)
        c->shed_key[seed[0]] = (uint32_t)siphash24(secret, seed, sizeof(seed));
    c->shed = mem_alloc(sizeof(*c->shed) << BUCKETS_LOG2);
    return c->shed ? 0 : -ENOMEM;
}

/*
 * NH (RFC 4418 §5.2.2) of what a retransmission has in common with the SYN before: nobody sees it, so that a secret sum of products is
 * enough. Of addresses the lower halves: who forges the upper ones alone is no better off than who repeats his SYNs.
 */
static uint64_t shed_hash(const uint32_t *key, const struct pkt_info *info, const struct rte_tcp_hdr *th)
{
    uint32_t ports = (uint32_t)th->src_port << 16 | th->dst_port;
    uint64_t sum = (uint64_t)(info->src.w[2] + key[0]) * (info->src.w[3] + key[1]) +
                   (uint64_t)(info->dst.w[2] + key[2]) * (info->dst.w[3] + key[3]) +
                   (uint64_t)(ports + key[4]) * (th->sent_seq + key[5]);
    return sum * UINT64_C(0x9e3779b97f4a7c15); /* all of it matters to the highest bits */
}

/* The SYN whose entry stands there was shed before: long enough ago, and may it be answered? Then it is forgotten. */
static __rte_noinline bool answers_again(struct tcp_syncache *c, uint64_t now, uint64_t *bucket, unsigned at)
{
    uint64_t age = (now >> TICK_LOG2_NS) - (*bucket >> at);
    if ((age & SHED_TICK) < AGAIN_TICKS || !spend(c, &c->spent_again_until, now))
        return false;
    *bucket &= ~((uint64_t)UINT16_MAX << at);
    return true;
}

static bool comes_again(struct tcp_syncache *c, uint64_t now, const struct pkt_info *info,
                        const struct rte_tcp_hdr *th)
{
    uint64_t hash = shed_hash(c->shed_key, info, th), *bucket = &c->shed[hash >> (64 - BUCKETS_LOG2)];
    uint64_t mine = SHED | (hash >> 24 & SHED_HASH) | (now >> TICK_LOG2_NS & SHED_TICK);
    for (unsigned at = 0; at < 64; at += SHED_BITS)
        if ((uint16_t)(*bucket >> at ^ mine) <= SHED_TICK) /* the rest is the same */
            return answers_again(c, now, bucket, at);
    *bucket = *bucket << SHED_BITS | mine;
    return false;
}

bool syncache_sheds(struct tcp_layer *t, const struct pkt_info *info, const struct rte_tcp_hdr *th)
{
    struct tcp_syncache *c = t->syncache;
    uint64_t now = t->e->now;
    if (!flooded(c, now) || !busy(t->e) || c->params.busyrate == 0 || spend(c, &c->spent_until, now))
        return false;
    if (comes_again(c, now, info, th)) {
        t->stats->sc_shed_again++;
        return false;
    }
    t->stats->sc_shed++;
    return true;
}

void syncache_paid(struct tcp_syncache *c)
{
    uint64_t pay = c->params.busyrate ? PAID_DOUBLE * price(c) : 0;
    c->spent_until -= RTE_MIN(c->spent_until, pay);
}
