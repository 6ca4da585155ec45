// SPDX-License-Identifier: BSD-3-Clause
// Fast Open's client: the cookies that servers gave, the paths that do not take it, and what a SYN-ACK means (RFC 7413 §4.1.3, §4.2).
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <rte_jhash.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/fastopen.h"
#include "tcp/output.h"

/* A server as seen from one of our addresses: paths differ. */
struct fastopen_entry {
    TAILQ_ENTRY(fastopen_entry) link;
    struct ip_addr laddr, faddr;
    uint16_t fport; /* network order; 0 when ports are not told apart */
    uint16_t mss;   /* the peer's; 0: none said */
    uint8_t len;    /* of the cookie; 0: none */
    uint8_t cookie[FASTOPEN_COOKIE_MAX];
    uint64_t disabled_until; /* ns; 0: it is not */
};

static struct tcp_fastopen *layer(const struct tcb *tp)
{
    return tp->e->tcp->fastopen;
}

/* ---- the cache ---- */

void fastopen_cache_init(struct tcp_fastopen *f)
{
    pool_init(&f->entries, "fastopen_cookie", sizeof(struct fastopen_entry), UINT32_MAX,
              32); /* the buckets bound them */
}

static bool make_buckets(struct tcp_fastopen *f)
{
    uint32_t n = f->params.ccache_buckets;
    f->buckets = mem_alloc(n * sizeof(*f->buckets));
    if (!f->buckets)
        return false;
    f->mask = n - 1;
    for (uint32_t i = 0; i < n; i++)
        TAILQ_INIT(&f->buckets[i].entries);
    return true;
}

static uint16_t cache_port(const struct tcb *tp)
{
    return layer(tp)->params.ccache_port ? tp->fport : 0;
}

static struct fastopen_bucket *bucket_of(const struct tcb *tp)
{
    const struct tcp_fastopen *f = layer(tp);
    uint32_t seed = (uint32_t)tp->e->secret.k[1];
    uint32_t h = rte_jhash(&tp->faddr, sizeof(tp->faddr), rte_jhash(&tp->laddr, sizeof(tp->laddr), seed));
    return &f->buckets[rte_jhash_1word(cache_port(tp), h) & f->mask];
}

static struct fastopen_entry *cache_find(const struct tcb *tp)
{
    struct fastopen_entry *e;
    uint16_t port = cache_port(tp);
    if (!layer(tp)->buckets)
        return NULL;
    TAILQ_FOREACH (e, &bucket_of(tp)->entries, link)
        if (e->fport == port && ip_addr_eq(&e->faddr, &tp->faddr) && ip_addr_eq(&e->laddr, &tp->laddr))
            return e;
    return NULL;
}

static void entry_free(struct tcp_fastopen *f, struct fastopen_bucket *b, struct fastopen_entry *e)
{
    TAILQ_REMOVE(&b->entries, e, link);
    b->n--;
    explicit_bzero(e, sizeof(*e));
    pool_put(&f->entries, e);
}

static void bucket_trim(struct tcp_fastopen *f, struct fastopen_bucket *b, uint32_t limit)
{
    while (b->n > limit)
        entry_free(f, b, TAILQ_LAST(&b->entries, fastopen_entries));
}

void fastopen_cache_trim(struct tcp_fastopen *f, uint32_t limit)
{
    for (uint32_t i = 0; f->buckets && i <= f->mask; i++)
        bucket_trim(f, &f->buckets[i], limit);
}

void fastopen_cache_flush(struct tcp_fastopen *f)
{
    fastopen_cache_trim(f, 0);
    mem_free(f->buckets);
    f->buckets = NULL;
}

static void used(const struct tcb *tp, struct fastopen_entry *e)
{
    struct fastopen_bucket *b = bucket_of(tp);
    TAILQ_REMOVE(&b->entries, e, link);
    TAILQ_INSERT_HEAD(&b->entries, e, link);
}

/* The entry of tp's path, made when needed; the least recently used of its bucket goes for it. NULL: no memory. */
static struct fastopen_entry *cache_get(const struct tcb *tp)
{
    struct tcp_fastopen *f = layer(tp);
    struct fastopen_entry *e = cache_find(tp);
    if (e)
        return e;
    if (!f->buckets && !make_buckets(f)) {
        f->stats.ccache_nomem++;
        return NULL;
    }
    struct fastopen_bucket *b = bucket_of(tp);
    if (b->n >= f->params.ccache_bucket_limit) {
        f->stats.ccache_replaced++;
        bucket_trim(f, b, f->params.ccache_bucket_limit - 1);
    }
    e = pool_get(&f->entries);
    if (!e) {
        f->stats.ccache_nomem++;
        return NULL;
    }
    memset(e, 0, sizeof(*e));
    e->laddr = tp->laddr;
    e->faddr = tp->faddr;
    e->fport = cache_port(tp);
    TAILQ_INSERT_HEAD(&b->entries, e, link);
    b->n++;
    return e;
}

/* ---- the SYN ---- */

/* False: the path is disabled. One whose time is over begins anew. */
static bool path_open(const struct tcb *tp, struct fastopen_entry *e)
{
    if (e->disabled_until == 0)
        return true;
    if (tp->e->now < e->disabled_until)
        return false;
    e->disabled_until = 0;
    e->len = 0;
    e->mss = 0;
    return true;
}

static void show_cookie(struct fastopen *fo, const struct fastopen_entry *e)
{
    fo->may_carry = true;
    fo->mss = e->mss;
    fo->option.len = e->len;
    memcpy(fo->option.cookie, e->cookie, e->len);
    if (fo->has_psk) { /* the key never leaves: what goes is its proof, and without a cookie a request */
        uint64_t proof = fastopen_proof(fo->psk, e->cookie, e->len);
        fo->option.len = sizeof(proof);
        memcpy(fo->option.cookie, &proof, sizeof(proof));
    }
}

void fastopen_connect(struct tcb *tp, bool with_data)
{
    struct tcp_fastopen *f = layer(tp);
    struct fastopen_entry *e = f->params.client_enable ? cache_find(tp) : NULL;
    if (!f->params.client_enable || (e && !path_open(tp, e))) {
        f->stats.path_skipped += f->params.client_enable;
        tp->flags &= ~TF_FASTOPEN;
        return;
    }
    struct fastopen *fo = fastopen_state(tp);
    if (!fo) {
        f->stats.ccache_nomem++;
        tp->flags &= ~TF_FASTOPEN;
        return;
    }
    memset(&fo->option, 0, sizeof(fo->option));
    fo->offered = true;
    if (e && e->len && with_data) {
        used(tp, e);
        show_cookie(fo, e);
        fo->deferred = fo->may_defer;
    } else {
        f->stats.cookie_requested++;
    }
}

/* ---- the SYN-ACK ---- */

static void path_disable(struct tcb *tp)
{
    struct tcp_fastopen *f = layer(tp);
    struct fastopen_entry *e = cache_get(tp);
    f->stats.path_disabled++;
    tp->flags &= ~TF_FASTOPEN;
    if (!e)
        return;
    e->len = 0;
    e->disabled_until = tp->e->now + f->params.path_disable_s * NS_PER_SEC;
}

static void count_data(struct tcb *tp, uint32_t acked)
{
    struct fastopen_stats *st = &layer(tp)->stats;
    uint32_t sent = tp->fastopen->syn_len;
    tp->fastopen->syn_data = acked > 0;
    if (sent == 0)
        return;
    st->syn_data_acked += acked == sent;
    st->syn_data_partial += acked > 0 && acked < sent;
    st->syn_data_fallback += acked == 0;
}

static void take_cookie(struct tcb *tp, const struct tcp_segment *s)
{
    struct fastopen_entry *e = cache_get(tp);
    layer(tp)->stats.cookie_received++;
    if (!e)
        return;
    e->len = s->opt.fo_len;
    memcpy(e->cookie, s->opt.fo_cookie, e->len);
    e->mss = s->opt.seen & TOF_MSS ? s->opt.mss : 0;
    e->disabled_until = 0;
    used(tp, e);
}

void fastopen_synack(struct tcb *tp, const struct tcp_segment *s)
{
    struct fastopen *fo = tp->fastopen;
    uint32_t acked = s->ack - tp->snd_una;
    if (!fo->offered)
        return;
    bool option = s->opt.seen & TOF_FASTOPEN;
    bool good = option && s->opt.fo_len > 0 && fastopen_length_good(s->opt.fo_len);
    count_data(tp, acked);
    layer(tp)->stats.cookie_refused += option && !good;
    if (good) {
        take_cookie(tp, s);
    } else if (acked == 0 && (fo->option.len == 0 || fo->syn_len > 0)) { /* §4.1.3.1 */
        layer(tp)->stats.path_blackhole += tp->rexmits > 0;
        path_disable(tp);
    }
    /* §4.2.2: what was not taken goes at once, as ordinary data. */
    sendbuf_drop(&tp->snd, acked);
    tp->snd_una = tp->snd_nxt = tp->snd_max = s->ack;
}

void fastopen_path_failed(struct tcb *tp)
{
    if (tp->fastopen->offered && !tp->fastopen->early)
        path_disable(tp);
}

/* ---- printing ---- */

static int print_entry(const struct fastopen_entry *e, uint64_t now, char *buf, size_t size)
{
    char local[IP_ADDR_STRLEN], remote[IP_ADDR_STRLEN], until[24] = "No", cookie[2 * FASTOPEN_COOKIE_MAX + 1];
    if (e->disabled_until > now)
        snprintf(until, sizeof(until), "%" PRIu64, (e->disabled_until - now) / NS_PER_SEC + 1);
    for (unsigned i = 0; i < e->len; i++)
        snprintf(cookie + 2 * i, 3, "%02x", e->cookie[i]);
    cookie[2 * e->len] = 0;
    int n = snprintf(buf, size, "%s %s %u %u %s %s\n", ip_addr_str(&e->laddr, local),
                     ip_addr_str(&e->faddr, remote), ntohs(e->fport), e->mss, until, cookie);
    return n < 0 || (size_t)n >= size ? -ENOSPC : n;
}

/* One bucket after the other; the cursor is the next. */
int fastopen_cache_print(struct tcp_layer *t, uint64_t *cursor, char *buf, size_t size)
{
    const struct tcp_fastopen *f = t->fastopen;
    const struct fastopen_entry *e;
    size_t at = 0;
    if (*cursor == 0)
        at = (size_t)snprintf(buf, size, "Local IP, Remote IP, Port, MSS, Disabled, Cookie\n");
    else
        buf[0] = 0;
    uint64_t i = *cursor > 0 ? *cursor - 1 : 0;
    for (; f->buckets && i <= f->mask; i++) {
        size_t bucket_at = at;
        TAILQ_FOREACH (e, &f->buckets[i].entries, link) {
            int n = print_entry(e, t->e->now, buf + at, size - at);
            if (n < 0) {
                buf[bucket_at] = 0;
                *cursor = i + 1;
                return bucket_at > 0 ? 0 : -ENOSPC;
            }
            at += (size_t)n;
        }
    }
    *cursor = SYSCTL_END;
    return 0;
}
