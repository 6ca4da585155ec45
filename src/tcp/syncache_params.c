// SPDX-License-Identifier: BSD-3-Clause
// The SYN cache's settings, and its making and unmaking. Names, units and defaults as FreeBSD; all may be changed at any time.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/syncache.h"

#define HASHSIZE    512u
#define BUCKETLIMIT 30
#define CACHELIMIT  (HASHSIZE * BUCKETLIMIT)

static int set_hashsize(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tcp_syncache *c = base;
    uint32_t n = (uint32_t)strtoul(text, NULL, 0);
    if (n & (n - 1)) {
        snprintf(err, errsize, "%s: %u is not a power of two", oid->name, n);
        return -EINVAL;
    }
    if (syncache_resize(c, n) < 0) {
        snprintf(err, errsize, "%s: no memory for %u buckets", oid->name, n);
        return -ENOMEM;
    }
    c->params.hashsize = n;
    return 0;
}

static int set_cachelimit(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                          size_t errsize)
{
    struct tcp_syncache *c = base;
    c->params.cachelimit = c->entries.limit = (uint32_t)strtoul(text, NULL, 0);
    return 0;
}

#define UINT(name, field, def, max, unit, desc)                                                              \
    SYSCTL_OID_UINT("net.inet.tcp." name, struct tcp_syncache, params.field, SYSCTL_RW, def, 0, max, unit,   \
                    desc)
#define BOOL(name, field, def, desc)                                                                         \
    SYSCTL_OID_BOOL("net.inet.tcp." name, struct tcp_syncache, params.field, SYSCTL_RW, def, desc)

static const struct sysctl_oid oids[] = {
    {.name = "net.inet.tcp.syncache.hashsize",
     .desc = "Buckets of the SYN cache: a power of two",
     .unit = "buckets",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_syncache, params.hashsize),
     .min = 1,
     .max = 1 << 20,
     .def = HASHSIZE,
     .set = set_hashsize},
    {.name = "net.inet.tcp.syncache.cachelimit",
     .desc = "Half-open connections of an engine",
     .unit = "connections",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_syncache, params.cachelimit),
     .min = 0,
     .max = 16 << 20,
     .def = CACHELIMIT,
     .set = set_cachelimit},
    UINT("syncache.bucketlimit", bucketlimit, BUCKETLIMIT, 65535, "connections",
         "Half-open connections in one bucket of the SYN cache"),
    UINT("syncache.rexmtlimit", rexmtlimit, 3, 12, "segments",
         "Times that a SYN-ACK is sent again before the half-open connection is dropped"),
    UINT("syncache.busyrate", busyrate, 20000, 10 * 1000 * 1000, "segments/s",
         "SYNs that are answered although connections have work, while the SYN cache overflows; 0: all"),
    BOOL("syncache.rst_on_sock_fail", rst_on_sock_fail, 1,
         "RST for the last ACK of a handshake when the accept queue is full or memory is short; 0: silence, "
         "and the peer may try again"),
    BOOL("syncookies", syncookies, 1, "SYN cookies (RFC 4987) when the SYN cache is full"),
    BOOL("syncookies_only", syncookies_only, 0,
         "SYN cookies always and no SYN cache; only with net.inet.tcp.syncookies"),
    SYSCTL_OID_GAUGE("net.inet.tcp.syncache.count", struct tcp_syncache, entries.used, "connections",
                     "Half-open connections in the SYN cache"),
};

int syncache_create(struct tcp_layer *t)
{
    struct tcp_syncache *c = mem_alloc(sizeof(*c));
    if (!c)
        return -ENOMEM;
    t->syncache = c;
    pool_init(&c->entries, "syncache", sizeof(struct half_open), CACHELIMIT, 64);
    syncookie_keys_init(&c->keys, &t->e->secret);
    int rc = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), c);
    if (rc == 0)
        rc = syncache_shed_create(c, &t->e->secret);
    return rc < 0 ? rc : syncache_resize(c, HASHSIZE);
}

void syncache_destroy(struct tcp_layer *t)
{
    struct tcp_syncache *c = t->syncache;
    if (!c)
        return;
    sysctl_unregister(t->e->sysctl, c);
    pool_fini(&c->entries);
    mem_free(c->shed);
    mem_free(c->buckets);
    mem_free(c);
    t->syncache = NULL;
}
