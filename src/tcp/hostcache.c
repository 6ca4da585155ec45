// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/hostcache.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_common.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/loss/rto.h"
#include "tcp/stats.h"

#define ENOUGH_SAMPLES 4 /* FreeBSD's measure: so many let srtt come near the truth */
#define HEADERS_V4     40u
#define HEADERS_V6     60u

struct host {
    TAILQ_ENTRY(host) link;
    struct ip_addr addr;
    uint32_t scope;                    /* interface of a link-local address, else 0 */
    int32_t expire;                    /* seconds left; counted down by prune */
    uint64_t rtt, rttvar;              /* ns; 0 here and below: not known */
    uint32_t ssthresh;                 /* bytes, headers included */
    uint32_t cwnd, sendpipe, recvpipe; /* bytes */
    uint32_t hits, updates;
};

TAILQ_HEAD(host_list, host);

struct bucket {
    struct host_list hosts; /* the last updated first */
    uint32_t length;
};

struct hostcache {
    struct engine *e;
    bool enable;
    uint32_t hashsize, bucketlimit, cachelimit;
    int32_t expire_s, prune_s;
    uint32_t purge, purgenow; /* purgenow always reads 0 */
    uint64_t rekeyed;         /* how often the hash got another key */
    struct siphash_key key;
    struct bucket *table; /* hashsize of them, allocated with the first host */
    struct pool hosts;
    struct wheel_timer pruning; /* armed while there are hosts */
};

/* ---- the table ---- */

struct hash_input { /* no padding: every byte is hashed */
    struct ip_addr addr;
    uint32_t scope, use; /* use: apart from other hashes under the engine's secret */
    uint64_t rekeyed;
};

static void rekey(struct hostcache *c)
{
    struct hash_input in = {.use = 2, .rekeyed = c->rekeyed++};
    c->key.k[0] = siphash24(&c->e->secret, &in, sizeof(in));
    in.use = 3;
    c->key.k[1] = siphash24(&c->e->secret, &in, sizeof(in));
}

static uint32_t scope_of(const struct tcb *tp)
{
    return ip_addr_is_link_local(&tp->faddr) ? tp->scope_index : 0;
}

static struct bucket *bucket_of(const struct hostcache *c, const struct tcb *tp)
{
    struct hash_input in = {.addr = tp->faddr, .scope = scope_of(tp)};
    return &c->table[siphash24(&c->key, &in, sizeof(in)) & (c->hashsize - 1)];
}

static struct host *find_in(const struct bucket *b, const struct tcb *tp)
{
    struct host *h;
    TAILQ_FOREACH (h, &b->hosts, link) {
        if (ip_addr_eq(&h->addr, &tp->faddr) && h->scope == scope_of(tp))
            return h;
    }
    return NULL;
}

static void forget(struct hostcache *c, struct bucket *b, struct host *h)
{
    TAILQ_REMOVE(&b->hosts, h, link);
    b->length--;
    pool_put(&c->hosts, h);
}

static bool make_table(struct hostcache *c)
{
    if (c->table)
        return true;
    c->table = mem_alloc(c->hashsize * sizeof(*c->table));
    if (!c->table)
        return false;
    for (uint32_t i = 0; i < c->hashsize; i++)
        TAILQ_INIT(&c->table[i].hosts);
    c->hosts.limit = (uint32_t)RTE_MIN((uint64_t)c->cachelimit, (uint64_t)c->hashsize * c->bucketlimit);
    rekey(c);
    return true;
}

/* A new host takes the place of the one in its bucket that was updated longest ago, when the bucket or the cache is full. */
static struct host *enter(struct hostcache *c, struct bucket *b, const struct tcb *tp)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (b->length >= c->bucketlimit || c->hosts.used >= c->hosts.limit) {
        struct host *last = TAILQ_LAST(&b->hosts, host_list);
        if (!last)
            return NULL;
        forget(c, b, last);
        st->hc_bucketoverflow++;
    }
    struct host *h = pool_get(&c->hosts);
    if (!h)
        return NULL;
    *h = (struct host){.addr = tp->faddr, .scope = scope_of(tp)};
    TAILQ_INSERT_HEAD(&b->hosts, h, link);
    b->length++;
    st->hc_added++;
    if (!wheel_timer_armed(&c->pruning))
        wheel_arm(&c->e->wheel, &c->pruning, c->e->now + (uint64_t)c->prune_s * NS_PER_SEC);
    return h;
}

/* The host to be updated, first in its bucket; NULL: no memory, or not wanted. */
static struct host *to_update(struct hostcache *c, const struct tcb *tp)
{
    if (!c->enable || !make_table(c))
        return NULL;
    struct bucket *b = bucket_of(c, tp);
    struct host *h = find_in(b, tp);
    if (!h) {
        h = enter(c, b, tp);
    } else {
        h->updates++;
        TAILQ_REMOVE(&b->hosts, h, link);
        TAILQ_INSERT_HEAD(&b->hosts, h, link);
    }
    if (h)
        h->expire = c->expire_s;
    return h;
}

/* Hosts whose time is over, or all. */
static void sweep(struct hostcache *c, bool all)
{
    for (uint32_t i = 0; c->hosts.used > 0 && i < c->hashsize; i++) {
        struct host *h, *next;
        TAILQ_FOREACH_SAFE (h, &c->table[i].hosts, link, next) {
            if (all || h->expire <= 0)
                forget(c, &c->table[i], h);
            else
                h->expire -= c->prune_s;
        }
    }
    if (all)
        ip_path_mtu_forget(c->e);
}

static void prune(struct wheel_timer *w, uint64_t now)
{
    struct hostcache *c = container_of(w, struct hostcache, pruning);
    sweep(c, c->purge > 0);
    if (c->purge == 2)
        rekey(c);
    c->purge = 0;
    if (c->hosts.used > 0)
        wheel_arm(&c->e->wheel, w, now + (uint64_t)c->prune_s * NS_PER_SEC);
}

/* ---- what connections give and take ---- */

static void use_rtt(struct tcb *tp, const struct host *h)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    if (tp->srtt > 0 || h->rtt == 0)
        return;
    st->usedrtt++;
    st->usedrttvar += h->rttvar > 0;
    rto_assume(tp, h->rtt, h->rttvar ? h->rttvar : h->rtt);
}

/* What auto-tuning found goes on from there; a size that was asked for stays. */
static void use_pipes(struct tcb *tp, const struct host *h)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint32_t snd = RTE_MIN(h->sendpipe, p->sendbuf_max), rcv = RTE_MIN(h->recvpipe, p->recvbuf_max);
    if (p->sendbuf_auto && !(tp->flags & TF_SNDBUF_FIXED))
        tp->snd.hiwat = RTE_MAX(tp->snd.hiwat, snd);
    if (p->recvbuf_auto && !(tp->flags & TF_RCVBUF_FIXED))
        tp->rcv.hiwat = RTE_MAX(tp->rcv.hiwat, rcv);
}

void hostcache_start(struct tcb *tp)
{
    struct hostcache *c = tp->e->tcp->hostcache;
    if (!c->enable || c->hosts.used == 0)
        return;
    struct host *h = find_in(bucket_of(c, tp), tp);
    if (!h)
        return;
    h->hits++;
    h->expire = c->expire_s;
    use_rtt(tp, h);
    use_pipes(tp, h);
    if (h->ssthresh > 0) {
        tp->ssthresh = RTE_MAX(2u * tp->maxseg, h->ssthresh);
        tp->e->tcp->stats->usedssthresh++;
    }
}

/* In segments with their headers, as FreeBSD keeps it. Only loss sets it below the send buffer: otherwise it says nothing. */
static uint32_t ssthresh_learned(const struct tcb *tp)
{
    uint32_t mss = tp->maxseg, header = ip_addr_is_v4(&tp->faddr) ? HEADERS_V4 : HEADERS_V6;
    if (tp->ssthresh == 0 || tp->ssthresh >= tp->snd.hiwat / 2)
        return 0;
    uint32_t segments = (tp->ssthresh + mss / 2) / mss;
    return RTE_MAX(segments, 2u) * (mss + header);
}

/* The mean of what was known and what is new. */
static uint64_t blend(uint64_t known, uint64_t found)
{
    return found == 0 ? known : known == 0 ? found : (known + found) / 2;
}

void hostcache_learn(struct tcb *tp)
{
    struct tcp_layer *t = tp->e->tcp;
    if (tp->rttupdated < ENOUGH_SAMPLES)
        return;
    tp->rttupdated = 0;
    struct host *h = to_update(t->hostcache, tp);
    if (!h)
        return;
    uint32_t ssthresh = ssthresh_learned(tp);
    h->rtt = blend(h->rtt, tp->srtt);
    h->rttvar = blend(h->rttvar, tp->rttvar);
    h->ssthresh = (uint32_t)blend(h->ssthresh, ssthresh);
    h->cwnd = (uint32_t)blend(h->cwnd, tp->cwnd);
    if (!(tp->flags & TF_SNDBUF_FIXED) && tp->snd.hiwat > 2 * t->params.sendspace)
        h->sendpipe = (uint32_t)blend(h->sendpipe, tp->snd.hiwat);
    if (!(tp->flags & TF_RCVBUF_FIXED) && tp->rcv.hiwat > 2 * t->params.recvspace)
        h->recvpipe = (uint32_t)blend(h->recvpipe, tp->rcv.hiwat);
    t->stats->cachedrtt++;
    t->stats->cachedrttvar += tp->rttvar > 0;
    t->stats->cachedssthresh += ssthresh > 0;
}

void hostcache_mtu(struct tcb *tp, uint32_t mtu)
{
    ip_path_mtu_lower(tp->e, &tp->faddr, mtu);
    to_update(tp->e->tcp->hostcache, tp);
}

/* ---- sysctl ---- */

static uint32_t ms(uint64_t ns)
{
    return (uint32_t)((ns + NS_PER_MS / 2) / NS_PER_MS);
}

static int print_host(const struct hostcache *c, const struct host *h, char *buf, size_t size)
{
    char addr[IP_ADDR_STRLEN];
    return snprintf(buf, size, "%-15s %5u %8u %6ums %6ums %8u %8u %8u %4u %4u %4d\n",
                    ip_addr_str(&h->addr, addr), ip_path_mtu_known(c->e, &h->addr), h->ssthresh, ms(h->rtt),
                    ms(h->rttvar), h->cwnd, h->sendpipe, h->recvpipe, h->hits, h->updates, h->expire);
}

/* The cursor is the bucket (upper half) and how many of its hosts were shown. */
static int list(void *base, const struct sysctl_oid *oid, uint64_t *cursor, char *buf, size_t size)
{
    const struct hostcache *c = base;
    size_t at = 0;
    if (*cursor == 0)
        at = (size_t)snprintf(buf, size,
                              "\nIP address        MTU  SSTRESH      RTT   RTTVAR     CWND SENDPIPE RECVPIPE "
                              "HITS  UPD  EXP\n");
    else if (size > 0)
        buf[0] = 0;
    if (at >= size)
        return -ENOSPC;
    for (uint32_t i = (uint32_t)(*cursor >> 32); c->table && i < c->hashsize; i++) {
        uint32_t skip = i == (uint32_t)(*cursor >> 32) ? (uint32_t)*cursor : 0, n = 0;
        const struct host *h;
        TAILQ_FOREACH (h, &c->table[i].hosts, link) {
            if (n++ < skip)
                continue;
            int len = print_host(c, h, buf + at, size - at);
            if ((size_t)len >= size - at) {
                buf[at] = 0;
                bool progress = at > 0;
                *cursor = (uint64_t)i << 32 | (n - 1);
                return progress ? 0 : -ENOSPC;
            }
            at += (size_t)len;
        }
    }
    *cursor = SYSCTL_END;
    return 0;
}

/* How many buckets have how many hosts. */
static int histogram(void *base, const struct sysctl_oid *oid, uint64_t *cursor, char *buf, size_t size)
{
    const struct hostcache *c = base;
    size_t at = 0;
    if (*cursor == 0)
        at = (size_t)snprintf(buf, size, "\nLength\tCount\n");
    for (uint64_t length = *cursor; length <= c->bucketlimit; length++) {
        uint32_t count = 0;
        for (uint32_t i = 0; c->table && i < c->hashsize; i++)
            count += c->table[i].length == length;
        if (!c->table && length == 0)
            count = c->hashsize;
        int len = at < size ? snprintf(buf + at, size - at, "%u\t%u\n", (uint32_t)length, count) : 0;
        if (at + (size_t)len >= size) {
            if (at == 0 || at >= size)
                return -ENOSPC;
            buf[at] = 0;
            *cursor = length;
            return length > 0 ? 0 : -ENOSPC;
        }
        at += (size_t)len;
    }
    *cursor = SYSCTL_END;
    return 0;
}

static int set_hashsize(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct hostcache *c = base;
    uint32_t n = (uint32_t)strtoul(text, NULL, 0);
    if (n & (n - 1)) {
        snprintf(err, errsize, "%s: \"%s\" is no power of two", oid->name, text);
        return -EINVAL;
    }
    if (c->table) {
        snprintf(err, errsize, "%s: is read only once the cache holds hosts", oid->name);
        return -EBUSY;
    }
    c->hashsize = n;
    return 0;
}

static int set_purgenow(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct hostcache *c = base;
    unsigned long how = strtoul(text, NULL, 0);
    if (how == 0)
        return 0;
    sweep(c, true);
    if (how == 2)
        rekey(c);
    return 0;
}

#define NAME(n) "net.inet.tcp.hostcache." n
static const struct sysctl_oid oids[] = {
    SYSCTL_OID_BOOL(NAME("enable"), struct hostcache, enable, SYSCTL_RW, 1,
                    "Connections leave what they learn of a host to later ones"),
    SYSCTL_OID_UINT(NAME("cachelimit"), struct hostcache, cachelimit, SYSCTL_TUN, 15360, 1, 1 << 24, "hosts",
                    "Hosts of an engine's cache; hashsize times bucketlimit at most"),
    {.name = NAME("hashsize"),
     .desc = "Buckets of the host cache: a power of two",
     .unit = "buckets",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_TUN,
     .offset = offsetof(struct hostcache, hashsize),
     .min = 1,
     .max = 1 << 20,
     .def = 512,
     .set = set_hashsize},
    SYSCTL_OID_UINT(NAME("bucketlimit"), struct hostcache, bucketlimit, SYSCTL_TUN, 30, 1, 1000, "hosts",
                    "Hosts of one bucket"),
    SYSCTL_OID_GAUGE(NAME("count"), struct hostcache, hosts.used, "hosts", "Hosts in the cache"),
    SYSCTL_OID_INT(NAME("expire"), struct hostcache, expire_s, SYSCTL_RW, 3600, 0, 30 * 86400, "s",
                   "A host that nobody asks for is forgotten after this"),
    SYSCTL_OID_INT(NAME("prune"), struct hostcache, prune_s, SYSCTL_RW, 300, 1, 86400, "s",
                   "Time between two looks for hosts to forget"),
    SYSCTL_OID_UINT(NAME("purge"), struct hostcache, purge, SYSCTL_RW, 0, 0, 2, "",
                    "1: the next prune forgets all hosts; 2: and takes another hash key"),
    {.name = NAME("purgenow"),
     .desc = "1: forgets all hosts and path MTUs at once; 2: and takes another hash key",
     .unit = "",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct hostcache, purgenow),
     .max = 2,
     .set = set_purgenow},
    {.name = NAME("list"),
     .desc = "The hosts, with what is known of them",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_SKIP,
     .part = list},
    {.name = NAME("histo"),
     .desc = "How many buckets hold how many hosts",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_SKIP,
     .part = histogram},
};

int hostcache_create(struct tcp_layer *t)
{
    struct hostcache *c = mem_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->e = t->e;
    wheel_timer_init(&c->pruning, prune);
    int err = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), c);
    if (err) {
        mem_free(c);
        return err;
    }
    pool_init(&c->hosts, "hostcache", sizeof(struct host), c->cachelimit, 64);
    t->hostcache = c;
    return 0;
}

void hostcache_destroy(struct tcp_layer *t)
{
    struct hostcache *c = t->hostcache;
    if (!c)
        return;
    for (uint32_t i = 0; c->table && i < c->hashsize; i++) {
        struct host *h;
        while ((h = TAILQ_FIRST(&c->table[i].hosts)) != NULL)
            forget(c, &c->table[i], h);
    }
    wheel_cancel(&c->e->wheel, &c->pruning);
    pool_fini(&c->hosts);
    sysctl_unregister(t->e->sysctl, c);
    mem_free(c->table);
    mem_free(c);
    t->hostcache = NULL;
}
