// SPDX-License-Identifier: BSD-3-Clause
// Keys of sockets: lists that are searched by peer, for a speaker has a few for each socket. Limited by net.inet.tcp.auth.maxkeys and wiped
// when they go.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "base/alloc.h"
#include "ip/ip.h"
#include "sysctl/sysctl.h"
#include "tcp/auth/keys.h"

static struct auth_layer *layer_of(const struct tcb *tp)
{
    return tp->e->tcp->auth;
}

struct tcp_auth *auth_get(struct tcb *tp)
{
    if (tp->auth)
        return tp->auth;
    struct tcp_auth *a = pool_get(&layer_of(tp)->auths);
    if (!a)
        return NULL;
    memset(a, 0, sizeof(*a));
    TAILQ_INIT(&a->keys);
    tp->auth = a;
    return a;
}

int auth_key_add(struct tcb *tp, const struct auth_key *k, struct auth_key **out)
{
    struct auth_layer *l = layer_of(tp);
    if (!auth_alg_prepare(l, k->alg))
        return -EOPNOTSUPP;
    struct tcp_auth *a = auth_get(tp);
    struct auth_key *copy = a ? pool_get(&l->keys) : NULL;
    if (!copy)
        return -ENOMEM;
    *copy = *k;
    copy->derived = false;
    copy->pkt_good = copy->pkt_bad = 0;
    TAILQ_INSERT_TAIL(&a->keys, copy, link);
    if (out)
        *out = copy;
    return 0;
}

void auth_key_remove(struct tcb *tp, struct auth_key *k)
{
    struct tcp_auth *a = tp->auth;
    TAILQ_REMOVE(&a->keys, k, link);
    if (a->current == k)
        a->current = NULL;
    if (a->rnext == k)
        a->rnext = NULL;
    OPENSSL_cleanse(k, sizeof(*k));
    pool_put(&layer_of(tp)->keys, k);
}

void tcp_auth_free(struct tcb *tp)
{
    struct tcp_auth *a = tp->auth;
    struct auth_key *k;
    if (!a)
        return;
    while ((k = TAILQ_FIRST(&a->keys)) != NULL)
        auth_key_remove(tp, k);
    pool_put(&layer_of(tp)->auths, a);
    tp->auth = NULL;
    tp->flags &= ~TF_AUTH;
}

/* ---- finding ---- */

bool auth_key_for(const struct auth_key *k, const struct ip_addr *peer)
{
    if (ip_addr_is_v4(&k->peer) != ip_addr_is_v4(peer))
        return false;
    unsigned whole = k->plen / 8, rest = k->plen % 8;
    if (memcmp(k->peer.b, peer->b, whole) != 0)
        return false;
    return rest == 0 || ((k->peer.b[whole] ^ peer->b[whole]) >> (8 - rest)) == 0;
}

struct auth_key *auth_md5_find(const struct tcp_auth *a, const struct ip_addr *peer)
{
    struct auth_key *k, *best = NULL;
    TAILQ_FOREACH (k, &a->keys, link)
        if (!auth_key_is_ao(k) && auth_key_for(k, peer) && (!best || k->plen > best->plen))
            best = k;
    return best;
}

struct auth_key *auth_ao_find(const struct tcp_auth *a, const struct ip_addr *peer, int sndid, int rcvid)
{
    struct auth_key *k, *best = NULL;
    TAILQ_FOREACH (k, &a->keys, link)
        if (auth_key_is_ao(k) && (sndid < 0 || k->sndid == sndid) && (rcvid < 0 || k->rcvid == rcvid) &&
            auth_key_for(k, peer) && (!best || k->plen > best->plen))
            best = k;
    return best;
}

/* ---- who is concerned ---- */

static bool any_for_peer(const struct tcb *tp)
{
    const struct tcp_auth *a = tp->auth;
    return auth_md5_find(a, &tp->faddr) || auth_ao_find(a, &tp->faddr, -1, -1);
}

/* A socket that has no peer yet is concerned by every key. */
static bool concerned(const struct tcb *tp)
{
    const struct tcp_auth *a = tp->auth;
    if (!a)
        return false;
    if (tp->state == TCPS_LISTEN || tp->state == TCPS_CLOSED)
        return a->md5_required || a->ao_required || !TAILQ_EMPTY(&a->keys);
    return any_for_peer(tp);
}

void auth_keys_changed(struct tcb *tp)
{
    tp->flags = concerned(tp) ? tp->flags | TF_AUTH : tp->flags & ~TF_AUTH;
    if (TCPS_HAVEESTABLISHED(tp->state))
        tcp_mss_update(tp);
}

int tcp_auth_connect(struct tcb *tp)
{
    struct tcp_auth *a = tp->auth;
    if (!a)
        return 0;
    struct auth_key *k;
    a->sne_known = false;
    TAILQ_FOREACH (k, &a->keys, link)
        k->derived = false;
    if (any_for_peer(tp)) {
        tp->flags |= TF_AUTH;
        return 0;
    }
    tp->flags &= ~TF_AUTH;
    return a->md5_required || a->ao_required ? -EKEYREJECTED : 0;
}

int tcp_auth_inherit(struct tcb *tp, const struct tcb *listener, const struct auth_choice *choice)
{
    const struct auth_key *k;
    if (choice->kind == 0)
        return 0;
    TAILQ_FOREACH (k, &listener->auth->keys, link) {
        int err = auth_key_for(k, &tp->faddr) ? auth_key_add(tp, k, NULL) : 0;
        if (err)
            return err;
    }
    struct tcp_auth *a = tp->auth;
    if (!a)
        return -ENOMEM; /* the listener lost its keys meanwhile: the peer's next try finds out */
    a->accept_icmps = listener->auth->accept_icmps;
    if (choice->kind == TCPOPT_AO) {
        a->current = auth_ao_find(a, &tp->faddr, choice->keyid, -1);
        a->rnext = auth_ao_find(a, &tp->faddr, -1, choice->rnext);
    }
    tp->flags |= TF_AUTH;
    return 0;
}

/* ---- the engine's ---- */

static int set_maxkeys(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct auth_layer *l = base;
    l->maxkeys = (uint32_t)strtoul(text, NULL, 0);
    l->keys.limit = l->maxkeys;
    return 0;
}

static const struct sysctl_oid oids[] = {
    {.name = "net.inet.tcp.auth.maxkeys",
     .desc = "Keys of TCP-MD5 and TCP-AO in all sockets of an engine",
     .unit = "keys",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct auth_layer, maxkeys),
     .min = 0,
     .max = 1 << 24,
     .def = 65536,
     .set = set_maxkeys},
    SYSCTL_OID_GAUGE("net.inet.tcp.auth.keys", struct auth_layer, keys.used, "keys",
                     "Keys of TCP-MD5 and TCP-AO now held"),
};

int tcp_auth_create(struct tcp_layer *t)
{
    struct auth_layer *l = mem_alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    t->auth = l;
    int rc = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), l);
    if (rc < 0)
        return rc;
    pool_init(&l->keys, "TCP keys", sizeof(struct auth_key), l->maxkeys, 16);
    pool_init(&l->auths, "TCP authentication", sizeof(struct tcp_auth), UINT32_MAX, 16);
    return 0;
}

void tcp_auth_destroy(struct tcp_layer *t)
{
    struct auth_layer *l = t->auth;
    if (!l)
        return;
    sysctl_unregister(t->e->sysctl, l);
    for (unsigned i = 0; i < AUTH_N; i++)
        EVP_MAC_CTX_free(l->mac[i]);
    EVP_MD_CTX_free(l->md_ctx);
    EVP_MD_free(l->md5);
    pool_fini(&l->keys);
    pool_fini(&l->auths);
    mem_free(l);
    t->auth = NULL;
}
