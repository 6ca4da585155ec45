// SPDX-License-Identifier: BSD-3-Clause
// Socket options of authentication: Linux's TCP_MD5SIG, TCP_MD5SIG_EXT and TCP_AO_*, FreeBSD's TCP_MD5SIG (docs/authentication.md).
#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>
#include <leat/tcp.h>
#include "tcp/auth/keys.h"

static const char *const alg_names[AUTH_N] = {
    [AUTH_MD5] = "md5",
    [AUTH_HMAC_SHA1] = "hmac(sha1)",
    [AUTH_AES_CMAC] = "cmac(aes128)",
    [AUTH_HMAC_SHA256] = "hmac(sha256)",
};

/* ---- whom a key is for ---- */

/* prefix < 0: the address alone. */
static int peer_of(const struct sockaddr_storage *ss, int prefix, struct auth_key *k)
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)ss;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)ss;
    if (ss->ss_family == AF_INET)
        k->peer = ip_addr_v4(in->sin_addr.s_addr);
    else if (ss->ss_family == AF_INET6)
        k->peer = ip_addr_v6(&in6->sin6_addr);
    else
        return -EINVAL;
    bool v4 = ip_addr_is_v4(&k->peer);
    int most = ss->ss_family == AF_INET ? 32 : 128;
    if (prefix > most)
        return -EINVAL;
    if (prefix < 0)
        prefix = most;
    if (v4 && most == 128 && prefix < 96)
        return -EINVAL;
    k->plen = (uint8_t)(v4 && most == 32 ? prefix + 96 : prefix);
    for (unsigned i = 0; i < 16; i++) { /* what the prefix leaves out means nothing */
        unsigned bits = k->plen > 8 * i ? k->plen - 8u * i : 0;
        if (bits < 8)
            k->peer.b[i] &= (uint8_t)(0xff00 >> bits);
    }
    return 0;
}

static void peer_text(const struct auth_key *k, struct sockaddr_storage *ss, uint8_t *prefix)
{
    struct sockaddr_in *in = (struct sockaddr_in *)ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;
    bool v4 = ip_addr_is_v4(&k->peer);
    memset(ss, 0, sizeof(*ss));
    ss->ss_family = v4 ? AF_INET : AF_INET6;
    if (v4)
        in->sin_addr.s_addr = k->peer.w[3];
    else
        memcpy(&in6->sin6_addr, k->peer.b, 16);
    *prefix = (uint8_t)(v4 ? k->plen - 96 : k->plen);
}

static bool same_peer(const struct auth_key *a, const struct auth_key *b)
{
    return a->plen == b->plen && ip_addr_eq(&a->peer, &b->peer);
}

/* Is there a peer that both are for? */
static bool overlap(const struct auth_key *a, const struct auth_key *b)
{
    return auth_key_for(a, &b->peer) || auth_key_for(b, &a->peer);
}

static bool other_kind_overlaps(const struct tcb *tp, const struct auth_key *k)
{
    const struct auth_key *other;
    if (tp->auth)
        TAILQ_FOREACH (other, &tp->auth->keys, link)
            if (auth_key_is_ao(other) != auth_key_is_ao(k) && overlap(other, k))
                return true;
    return false;
}

/* ---- MD5 ---- */

static struct auth_key *md5_exact(const struct tcb *tp, const struct auth_key *like)
{
    struct auth_key *k;
    if (tp->auth)
        TAILQ_FOREACH (k, &tp->auth->keys, link)
            if (!auth_key_is_ao(k) && same_peer(k, like))
                return k;
    return NULL;
}

static int md5_set(struct tcb *tp, bool extended, const struct tcp_md5sig *o)
{
    struct auth_key k = {.alg = AUTH_MD5, .maclen = AUTH_MD5_BYTES};
    bool prefix = extended && (o->tcpm_flags & TCP_MD5SIG_FLAG_PREFIX);
    if (o->tcpm_keylen > AUTH_KEY_MAX || (extended && (o->tcpm_flags & ~TCP_MD5SIG_FLAG_PREFIX)))
        return -EINVAL;
    int err = peer_of(&o->tcpm_addr, prefix ? o->tcpm_prefixlen : -1, &k);
    if (err)
        return err;
    struct auth_key *old = md5_exact(tp, &k);
    if (o->tcpm_keylen == 0) {
        if (!old)
            return -ENOENT;
        auth_key_remove(tp, old);
        auth_keys_changed(tp);
        return 0;
    }
    if (other_kind_overlaps(tp, &k))
        return -EKEYREJECTED;
    k.keylen = (uint8_t)o->tcpm_keylen;
    memcpy(k.key, o->tcpm_key, k.keylen);
    if (old) {
        memcpy(old->key, k.key, sizeof(old->key));
        old->keylen = k.keylen;
    } else {
        err = auth_key_add(tp, &k, NULL);
    }
    OPENSSL_cleanse(&k, sizeof(k));
    auth_keys_changed(tp);
    return err;
}

/* FreeBSD's form: peers without a key are refused. */
static int md5_require(struct tcb *tp, int on)
{
    struct tcp_auth *a = auth_get(tp);
    if (!a)
        return -ENOMEM;
    a->md5_required = on != 0;
    auth_keys_changed(tp);
    return 0;
}

/* ---- AO: adding and deleting ---- */

/* given has 64 bytes and may lack the NUL. */
static bool is_named(const char *given, const char *name)
{
    size_t n = strlen(name) + 1;
    return memcmp(given, name, n) == 0;
}

static int algorithm(const char *name)
{
    for (int i = AUTH_HMAC_SHA1; i < AUTH_N; i++)
        if (is_named(name, alg_names[i]))
            return i;
    return is_named(name, "cmac(aes)") ? AUTH_AES_CMAC : -ENOENT;
}

static int ao_describe(const struct leat_tcp_ao_add *o, struct auth_key *k)
{
    int alg = algorithm(o->alg_name);
    if (o->reserved || o->reserved2 || o->keylen > AUTH_KEY_MAX || o->ifindex ||
        o->maclen > AUTH_MACLEN_MAX || (o->keyflags & ~AUTH_KEYF_EXCLUDE_OPT))
        return -EINVAL;
    if (alg < 0)
        return alg;
    *k = (struct auth_key){.alg = (uint8_t)alg,
                           .sndid = o->sndid,
                           .rcvid = o->rcvid,
                           .maclen = o->maclen ? o->maclen : AUTH_MACLEN,
                           .keyflags = o->keyflags,
                           .keylen = o->keylen};
    memcpy(k->key, o->key, k->keylen);
    return peer_of(&o->addr, o->prefix, k);
}

/* RFC 5925 §3.1: no two keys of a connection with the same KeyID in one direction. */
static bool ids_taken(const struct tcb *tp, const struct auth_key *k)
{
    const struct auth_key *other;
    if (tp->auth)
        TAILQ_FOREACH (other, &tp->auth->keys, link)
            if (auth_key_is_ao(other) && overlap(other, k) &&
                (other->sndid == k->sndid || other->rcvid == k->rcvid))
                return true;
    return false;
}

/* A connection that began without stays without; an address that is not the connection's peer is a mistake. */
static int ao_may_add(const struct tcb *tp, const struct auth_key *k)
{
    if (tp->state != TCPS_CLOSED && tp->state != TCPS_LISTEN) {
        if (!(tp->flags & TF_AUTH))
            return -EISCONN;
        if (!auth_key_for(k, &tp->faddr))
            return -EINVAL;
    }
    if (other_kind_overlaps(tp, k))
        return -EKEYREJECTED;
    return ids_taken(tp, k) ? -EEXIST : 0;
}

static int ao_add(struct tcb *tp, const struct leat_tcp_ao_add *o)
{
    struct auth_key k, *added = NULL;
    int err = ao_describe(o, &k);
    if (!err && tp->state == TCPS_LISTEN && (o->set_current || o->set_rnext))
        err = -EINVAL; /* a listener has many peers */
    if (!err)
        err = ao_may_add(tp, &k);
    if (!err)
        err = auth_key_add(tp, &k, &added);
    OPENSSL_cleanse(&k, sizeof(k));
    if (err)
        return err;
    if (o->set_current)
        tp->auth->current = added;
    if (o->set_rnext)
        tp->auth->rnext = added;
    auth_keys_changed(tp);
    return 0;
}

static struct auth_key *by_sndid(const struct tcb *tp, uint8_t id)
{
    struct auth_key *k;
    TAILQ_FOREACH (k, &tp->auth->keys, link)
        if (auth_key_is_ao(k) && k->sndid == id)
            return k;
    return NULL;
}

static struct auth_key *by_rcvid(const struct tcb *tp, uint8_t id)
{
    struct auth_key *k;
    TAILQ_FOREACH (k, &tp->auth->keys, link)
        if (auth_key_is_ao(k) && k->rcvid == id)
            return k;
    return NULL;
}

/* Which keys are to be current and rnext; unchanged where not set. -ENOENT: no such key. */
static int ao_pick(const struct tcb *tp, bool set_current, uint8_t current_id, bool set_rnext,
                   uint8_t rnext_id, struct auth_key **current, struct auth_key **rnext)
{
    *current = tp->auth->current;
    *rnext = tp->auth->rnext;
    if ((set_current || set_rnext) && tp->state == TCPS_LISTEN)
        return -EINVAL;
    if (set_current && !(*current = by_sndid(tp, current_id)))
        return -ENOENT;
    if (set_rnext && !(*rnext = by_rcvid(tp, rnext_id)))
        return -ENOENT;
    return 0;
}

static struct auth_key *ao_exact(const struct tcb *tp, const struct auth_key *like)
{
    struct auth_key *k;
    TAILQ_FOREACH (k, &tp->auth->keys, link)
        if (auth_key_is_ao(k) && same_peer(k, like) && k->sndid == like->sndid && k->rcvid == like->rcvid)
            return k;
    return NULL;
}

/* Is the connection signed with it, or may the peer sign with it at our wish? */
static bool in_use(const struct tcb *tp, const struct auth_key *k, const struct auth_key *current,
                   const struct auth_key *rnext)
{
    if (tp->state == TCPS_LISTEN || tp->state == TCPS_CLOSED)
        return k == current || k == rnext;
    const struct auth_key *first = auth_ao_find(tp->auth, &tp->faddr, -1, -1);
    current = current ? current : first;
    return k == current || k == (rnext ? rnext : current);
}

static int ao_del(struct tcb *tp, const struct leat_tcp_ao_del *o)
{
    struct auth_key like = {.sndid = o->sndid, .rcvid = o->rcvid}, *current, *rnext;
    if (o->reserved || o->reserved2 || o->ifindex || (o->keyflags & ~AUTH_KEYF_EXCLUDE_OPT))
        return -EINVAL;
    int err = peer_of(&o->addr, o->prefix, &like);
    if (err)
        return err;
    struct auth_key *k = tp->auth ? ao_exact(tp, &like) : NULL;
    if (!k)
        return -ENOENT;
    err = ao_pick(tp, o->set_current, o->current_key, o->set_rnext, o->rnext, &current, &rnext);
    if (err)
        return err;
    if (in_use(tp, k, current, rnext))
        return -EBUSY;
    tp->auth->current = current;
    tp->auth->rnext = rnext;
    auth_key_remove(tp, k);
    auth_keys_changed(tp);
    return 0;
}

/* ---- AO: what is in force ---- */

static int ao_set_info(struct tcb *tp, const struct leat_tcp_ao_info_opt *o)
{
    struct auth_key *current, *rnext;
    if (o->reserved || o->reserved2)
        return -EINVAL;
    if (tp->state != TCPS_CLOSED && tp->state != TCPS_LISTEN && !tp->auth)
        return -EISCONN;
    struct tcp_auth *a = auth_get(tp);
    if (!a)
        return -ENOMEM;
    int err = ao_pick(tp, o->set_current, o->current_key, o->set_rnext, o->rnext, &current, &rnext);
    if (err)
        return err;
    a->current = current;
    a->rnext = rnext;
    a->ao_required = o->ao_required;
    a->accept_icmps = o->accept_icmps;
    if (o->set_counters) {
        a->pkt_good = o->pkt_good;
        a->pkt_bad = o->pkt_bad;
        a->pkt_no_key = o->pkt_key_not_found;
        a->pkt_required = o->pkt_ao_required;
        a->pkt_dropped_icmp = o->pkt_dropped_icmp;
    }
    auth_keys_changed(tp);
    return 0;
}

static int give(void *val, uint32_t *len, const void *from, uint32_t size)
{
    if (*len > size)
        *len = size;
    memcpy(val, from, *len);
    return 0;
}

static int ao_get_info(const struct tcb *tp, void *val, uint32_t *len)
{
    const struct tcp_auth *a = tp->auth;
    if (!a)
        return -ENOENT;
    struct leat_tcp_ao_info_opt o = {
        .ao_required = a->ao_required,
        .accept_icmps = a->accept_icmps,
        .pkt_good = a->pkt_good,
        .pkt_bad = a->pkt_bad,
        .pkt_key_not_found = a->pkt_no_key,
        .pkt_ao_required = a->pkt_required,
        .pkt_dropped_icmp = a->pkt_dropped_icmp,
    };
    struct auth_choice c = tcp_auth_choice(tp);
    if (tp->state != TCPS_LISTEN && c.kind == TCPOPT_AO) {
        o.set_current = o.set_rnext = 1;
        o.current_key = c.keyid;
        o.rnext = c.rnext;
    }
    return give(val, len, &o, sizeof(o));
}

static bool asked_for(const struct leat_tcp_ao_getsockopt *ask, const struct auth_key *like,
                      const struct tcp_auth *a, const struct auth_key *k)
{
    if (!auth_key_is_ao(k))
        return false;
    if (ask->get_all)
        return true;
    if (ask->is_current || ask->is_rnext)
        return (ask->is_current && k == a->current) || (ask->is_rnext && k == a->rnext);
    return same_peer(k, like) && k->sndid == ask->sndid && k->rcvid == ask->rcvid;
}

static void ao_show(const struct tcp_auth *a, const struct auth_key *k, struct leat_tcp_ao_getsockopt *o)
{
    memset(o, 0, sizeof(*o));
    peer_text(k, &o->addr, &o->prefix);
    memcpy(o->alg_name, alg_names[k->alg], strlen(alg_names[k->alg]));
    memcpy(o->key, k->key, k->keylen);
    o->keylen = k->keylen;
    o->is_current = k == a->current;
    o->is_rnext = k == a->rnext;
    o->sndid = k->sndid;
    o->rcvid = k->rcvid;
    o->maclen = k->maclen;
    o->keyflags = k->keyflags;
    o->pkt_good = k->pkt_good;
    o->pkt_bad = k->pkt_bad;
}

/* As Linux: the first element says what is asked for and how many there is room for; each has the first's size. */
static int ao_get_keys(const struct tcb *tp, void *val, uint32_t *len)
{
    struct leat_tcp_ao_getsockopt ask, one;
    struct auth_key like = {0};
    const struct auth_key *k;
    uint32_t n = 0;
    if (*len < sizeof(ask))
        return -EINVAL;
    memcpy(&ask, val, sizeof(ask));
    if (!tp->auth)
        return -ENOENT;
    bool by_peer = !ask.get_all && !ask.is_current && !ask.is_rnext;
    if (by_peer && peer_of(&ask.addr, ask.prefix, &like) < 0)
        return -EINVAL;
    uint32_t room = *len / sizeof(ask);
    room = ask.nkeys && ask.nkeys < room ? ask.nkeys : room;
    TAILQ_FOREACH (k, &tp->auth->keys, link) {
        if (!asked_for(&ask, &like, tp->auth, k))
            continue;
        if (n < room) {
            ao_show(tp->auth, k, &one);
            memcpy((char *)val + n * sizeof(one), &one, sizeof(one));
        }
        n++;
    }
    OPENSSL_cleanse(&one, sizeof(one));
    memcpy((char *)val + offsetof(struct leat_tcp_ao_getsockopt, nkeys), &n, sizeof(n));
    *len = sizeof(one);
    return n > 0 ? 0 : -ENOENT;
}

/* ---- the doors ---- */

/* Copies the option in: val may lie anywhere. */
#define TAKE(o, val, len)                                                                                    \
    do {                                                                                                     \
        if ((len) < sizeof(o))                                                                               \
            return -EINVAL;                                                                                  \
        memcpy(&(o), val, sizeof(o));                                                                        \
    } while (0)

static int set_md5(struct tcb *tp, bool extended, const void *val, uint32_t len)
{
    struct tcp_md5sig o;
    TAKE(o, val, len);
    int err = md5_set(tp, extended, &o);
    OPENSSL_cleanse(&o, sizeof(o));
    return err;
}

static int set_ao_key(struct tcb *tp, const void *val, uint32_t len)
{
    struct leat_tcp_ao_add o;
    TAKE(o, val, len);
    int err = ao_add(tp, &o);
    OPENSSL_cleanse(&o, sizeof(o));
    return err;
}

static int del_ao_key(struct tcb *tp, const void *val, uint32_t len)
{
    struct leat_tcp_ao_del o;
    TAKE(o, val, len);
    return ao_del(tp, &o);
}

static int set_ao_info(struct tcb *tp, const void *val, uint32_t len)
{
    struct leat_tcp_ao_info_opt o;
    TAKE(o, val, len);
    return ao_set_info(tp, &o);
}

static int set_md5_required(struct tcb *tp, const void *val, uint32_t len)
{
    int on;
    TAKE(on, val, len);
    return md5_require(tp, on);
}

int tcp_auth_setopt(struct tcb *tp, int name, const void *val, uint32_t len)
{
    switch (name) {
    case TCP_MD5SIG:
    case TCP_MD5SIG_EXT:
        return set_md5(tp, name == TCP_MD5SIG_EXT, val, len);
    case LEAT_TCP_MD5SIG:
        return set_md5_required(tp, val, len);
    case LEAT_TCP_AO_ADD_KEY:
        return set_ao_key(tp, val, len);
    case LEAT_TCP_AO_DEL_KEY:
        return del_ao_key(tp, val, len);
    case LEAT_TCP_AO_INFO:
        return set_ao_info(tp, val, len);
    default:
        return -ENOPROTOOPT;
    }
}

int tcp_auth_getopt(const struct tcb *tp, int name, void *val, uint32_t *len)
{
    int on;
    switch (name) {
    case LEAT_TCP_MD5SIG:
        on = tp->auth && (tp->auth->md5_required || auth_md5_find(tp->auth, &tp->faddr));
        return give(val, len, &on, sizeof(on));
    case LEAT_TCP_AO_INFO:
        return ao_get_info(tp, val, len);
    case LEAT_TCP_AO_GET_KEYS:
        return ao_get_keys(tp, val, len);
    default:
        return -ENOPROTOOPT;
    }
}
