// SPDX-License-Identifier: BSD-3-Clause
// Fast Open's settings and counters (FreeBSD: net.inet.tcp.fastopen), its socket options, its making and unmaking.
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/fastopen.h"

#define BUCKETS      2048
#define BUCKET_LIMIT 16

/* ---- switches that do more than switch ---- */

static int set_server_enable(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                             size_t errsize)
{
    struct tcp_fastopen *f = base;
    bool on = strtol(text, NULL, 0) != 0;
    if (f->params.server_enable && !on) {
        fastopen_ring_clear(&f->keys);
        fastopen_ring_clear(&f->psks);
        f->auto_period = 0;
    }
    f->params.server_enable = on;
    if (on && f->keys.n == 0)
        fastopen_keys_refresh(f->t);
    return 0;
}

static int set_client_enable(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                             size_t errsize)
{
    struct tcp_fastopen *f = base;
    f->params.client_enable = strtol(text, NULL, 0) != 0;
    if (!f->params.client_enable)
        fastopen_cache_flush(f);
    return 0;
}

static int set_psk_enable(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                          size_t errsize)
{
    struct tcp_fastopen *f = base;
    f->params.psk_enable = strtol(text, NULL, 0) != 0;
    if (!f->params.psk_enable)
        fastopen_ring_clear(&f->psks);
    return 0;
}

static int set_autokey(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tcp_fastopen *f = base;
    f->params.autokey_s = (uint32_t)strtoul(text, NULL, 0);
    f->auto_period = 0; /* the time starts again */
    return 0;
}

static int set_bucket_limit(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                            size_t errsize)
{
    struct tcp_fastopen *f = base;
    f->params.ccache_bucket_limit = (uint32_t)strtoul(text, NULL, 0);
    fastopen_cache_trim(f, f->params.ccache_bucket_limit);
    return 0;
}

static int set_buckets(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    uint32_t n = (uint32_t)strtoul(text, NULL, 0);
    if (n & (n - 1)) {
        snprintf(err, errsize, "%s: %u is not a power of two", oid->name, n);
        return -EINVAL;
    }
    ((struct tcp_fastopen *)base)->params.ccache_buckets = n;
    return 0;
}

/* ---- keys ---- */

static int nibble(char c)
{
    return c >= '0' && c <= '9'         ? c - '0'
           : isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10
                                        : -1;
}

/* 32 hexadecimal digits. What was wrong is not repeated: it may be most of a key. */
static int read_key(const struct sysctl_oid *oid, const char *text, uint8_t key[FASTOPEN_KEY_LEN], char *err,
                    size_t errsize)
{
    size_t n = strlen(text);
    bool good = n == 2 * FASTOPEN_KEY_LEN;
    for (unsigned i = 0; good && i < n; i++)
        good = nibble(text[i]) >= 0;
    if (!good) {
        snprintf(err, errsize, "%s: not a key; expected %d bytes as %d hexadecimal digits", oid->name,
                 FASTOPEN_KEY_LEN, 2 * FASTOPEN_KEY_LEN);
        return -EINVAL;
    }
    for (unsigned i = 0; i < FASTOPEN_KEY_LEN; i++)
        key[i] = (uint8_t)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
    return 0;
}

static int set_key(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    uint8_t key[FASTOPEN_KEY_LEN];
    struct tcp_fastopen *f = base;
    int rc = read_key(oid, text, key, err, errsize);
    if (rc < 0)
        return rc;
    fastopen_ring_add(strstr(oid->name, "setpsk") ? &f->psks : &f->keys, key);
    explicit_bzero(key, sizeof(key));
    return 0;
}

static int set_old_name(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    snprintf(err, errsize, "%s: is now called net.inet.tcp.fastopen.server_enable (and client_enable)",
             oid->name);
    return -EPERM;
}

static int get_number(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    struct tcp_fastopen *f = base;
    fastopen_keys_refresh(f->t);
    bool psks = strstr(oid->name, "psks");
    uint32_t v = strstr(oid->name, "keylen") ? FASTOPEN_KEY_LEN
                 : strstr(oid->name, ".max") ? FASTOPEN_KEYS
                 : psks                      ? f->psks.n
                                             : f->keys.n;
    return snprintf(buf, size, "%u", v) < (int)size ? 0 : -ENOSPC;
}

static int list(void *base, const struct sysctl_oid *oid, uint64_t *cursor, char *buf, size_t size)
{
    return fastopen_cache_print(((struct tcp_fastopen *)base)->t, cursor, buf, size);
}

#define NAME(name) "net.inet.tcp.fastopen." name
#define SWITCH(key, field, d, text, function)                                                                \
    {                                                                                                        \
        .name = NAME(key), .desc = text, .unit = "", .type = SYSCTL_BOOL, .flags = SYSCTL_RW,                \
        .offset = offsetof(struct tcp_fastopen, params.field), .min = 0, .max = 1, .def = d, .set = function \
    }
#define NUMBER(key, field, fl, d, least, most, u, text, function)                                            \
    {                                                                                                        \
        .name = NAME(key), .desc = text, .unit = u, .type = SYSCTL_UINT, .flags = fl,                        \
        .offset = offsetof(struct tcp_fastopen, params.field), .min = least, .max = most, .def = d,          \
        .set = function                                                                                      \
    }
#define SHOWN(key, u, text)                                                                                  \
    {                                                                                                        \
        .name = NAME(key), .desc = text, .unit = u, .type = SYSCTL_PROC, .flags = SYSCTL_RD,                 \
        .get = get_number                                                                                    \
    }
#define KEY(key, text)                                                                                       \
    {                                                                                                        \
        .name = NAME(key), .desc = text, .unit = "", .type = SYSCTL_PROC, .flags = SYSCTL_RW,                \
        .size = FASTOPEN_KEY_LEN, .set = set_key                                                             \
    }

static const struct sysctl_oid oids[] = {
    SWITCH("server_enable", server_enable, 0,
           "Listeners with TCP_FASTOPEN take data of SYNs (RFC 7413); off drops all keys", set_server_enable),
    SWITCH("client_enable", client_enable, 1,
           "Connections with TCP_FASTOPEN send data with their SYN; off empties the cookie cache",
           set_client_enable),
    SWITCH("psk_enable", psk_enable, 0,
           "Only cookies that prove a pre-shared key are valid; off drops the keys", set_psk_enable),
    SWITCH("acceptany", acceptany, 0, "Any cookie is valid, even none: for tests and closed networks", NULL),
    SWITCH("ccache_port", ccache_port, 1, "Cookies are kept for each port of a server by itself", NULL),
    NUMBER("autokey", autokey_s, SYSCTL_RW, 120, 0, INT32_MAX, "s",
           "A new random key so often while the server is enabled; 0: only keys that setkey sets",
           set_autokey),
    NUMBER("ccache_bucket_limit", ccache_bucket_limit, SYSCTL_RW, BUCKET_LIMIT, 1, 65535, "cookies",
           "Cookies in one bucket of the client's cache", set_bucket_limit),
    NUMBER("ccache_buckets", ccache_buckets, SYSCTL_TUN, BUCKETS, 1, 1 << 20, "buckets",
           "Buckets of the client's cache: a power of two", set_buckets),
    NUMBER("path_disable_time", path_disable_s, SYSCTL_RW, 900, 0, INT32_MAX, "s",
           "A path that did not take Fast Open is left alone so long", NULL),
    KEY("setkey", "Adds a key for cookies, of 16 bytes as 32 hexadecimal digits; the oldest goes"),
    KEY("setpsk", "Adds a pre-shared key, of 16 bytes as 32 hexadecimal digits; the oldest goes"),
    SHOWN("keylen", "bytes", "Length of keys"),
    SHOWN("maxkeys", "keys", "Keys that live at a time"),
    SHOWN("maxpsks", "keys", "Pre-shared keys that live at a time"),
    SHOWN("numkeys", "keys", "Keys that are set"),
    SHOWN("numpsks", "keys", "Pre-shared keys that are set"),
    {.name = NAME("ccache_list"),
     .desc = "The client's cookies: addresses, port, MSS, seconds for which the path is disabled, cookie",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD,
     .part = list},
    {.name = NAME("enabled"),
     .desc = "Once the name of server_enable; refused",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RW,
     .set = set_old_name},
#define FASTOPEN_STATS_OID(field, units, text)                                                               \
    SYSCTL_OID_COUNTER(NAME("stats." #field), struct tcp_fastopen, stats.field, units, text),
    FASTOPEN_STATS(FASTOPEN_STATS_OID)
#undef FASTOPEN_STATS_OID
};

/* ---- socket options ---- */

static int may_use(const struct tcb *tp)
{
    const struct fastopen_params *p = &tp->e->tcp->fastopen->params;
    if (tp->state != TCPS_CLOSED && tp->state != TCPS_LISTEN)
        return -EINVAL;
    if ((!p->server_enable && !p->client_enable) || (tp->state == TCPS_LISTEN && !p->server_enable))
        return -EPERM;
    return 0;
}

int fastopen_setopt(struct tcb *tp, const void *val, uint32_t len)
{
    int v, err = len < sizeof(int) ? -EINVAL : may_use(tp);
    if (err)
        return err;
    memcpy(&v, val, sizeof(v));
    if (v == 0) { /* connections that are pending go on */
        tp->flags &= ~TF_FASTOPEN;
        return 0;
    }
    struct fastopen *fo = v > 0 ? fastopen_state(tp) : NULL;
    if (!fo)
        return v > 0 ? -ENOBUFS : -EINVAL;
    fo->queue_want = (uint32_t)v;
    if (len >= sizeof(int) + FASTOPEN_KEY_LEN) {
        fo->has_psk = true;
        memcpy(fo->psk, (const uint8_t *)val + sizeof(int), FASTOPEN_KEY_LEN);
    }
    tp->flags |= TF_FASTOPEN;
    return tp->state == TCPS_LISTEN ? fastopen_listen(tp) : 0;
}

int fastopen_connect_setopt(struct tcb *tp, int v)
{
    if (tp->state != TCPS_CLOSED)
        return -EINVAL;
    if (!tp->e->tcp->fastopen->params.client_enable)
        return -EOPNOTSUPP;
    struct fastopen *fo = fastopen_state(tp);
    if (!fo)
        return -ENOBUFS;
    fo->may_defer = v != 0;
    if (v)
        tp->flags |= TF_FASTOPEN;
    return 0;
}

int fastopen_getopt(const struct tcb *tp)
{
    if (!(tp->flags & TF_FASTOPEN))
        return 0;
    return tp->fastopen && tp->fastopen->queue_want ? (int)tp->fastopen->queue_want : 1;
}

/* ---- life ---- */

int fastopen_create(struct tcp_layer *t)
{
    struct tcp_fastopen *f = mem_alloc(sizeof(*f));
    if (!f)
        return -ENOMEM;
    t->fastopen = f;
    f->t = t;
    pool_init(&f->states, "fastopen", sizeof(struct fastopen), UINT32_MAX,
              16); /* net.inet.tcp.maxtcb bounds them */
    fastopen_cache_init(f);
    return sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), f);
}

void fastopen_destroy(struct tcp_layer *t)
{
    struct tcp_fastopen *f = t->fastopen;
    if (!f)
        return;
    sysctl_unregister(t->e->sysctl, f);
    fastopen_cache_flush(f);
    pool_fini(&f->states);
    pool_fini(&f->entries);
    explicit_bzero(f, sizeof(*f));
    mem_free(f);
    t->fastopen = NULL;
}
