// SPDX-License-Identifier: BSD-3-Clause
// The server's keys and the cookies that they make (RFC 7413 §4.1.2).
#include <string.h>
#include <rte_byteorder.h>
#include "tcp/fastopen.h"

static struct siphash_key sip_key(const uint8_t key[FASTOPEN_KEY_LEN])
{
    struct siphash_key k;
    memcpy(k.k, key, sizeof(k.k));
    k.k[0] = rte_le_to_cpu_64(k.k[0]);
    k.k[1] = rte_le_to_cpu_64(k.k[1]);
    return k;
}

uint64_t fastopen_cookie(const uint8_t key[FASTOPEN_KEY_LEN], const struct ip_addr *addr)
{
    struct siphash_key k = sip_key(key);
    bool v4 = ip_addr_is_v4(addr);
    return rte_cpu_to_le_64(siphash24(&k, addr->b + (v4 ? 12 : 0), v4 ? 4 : 16));
}

uint64_t fastopen_proof(const uint8_t psk[FASTOPEN_KEY_LEN], const uint8_t *cookie, uint8_t len)
{
    struct siphash_key k = sip_key(psk);
    return rte_cpu_to_le_64(siphash24(&k, cookie, len));
}

void fastopen_ring_add(struct fastopen_ring *r, const uint8_t key[FASTOPEN_KEY_LEN])
{
    r->newest = r->n == 0 ? 0 : (r->newest + 1) % FASTOPEN_KEYS;
    explicit_bzero(r->key[r->newest], FASTOPEN_KEY_LEN);
    memcpy(r->key[r->newest], key, FASTOPEN_KEY_LEN);
    if (r->n < FASTOPEN_KEYS)
        r->n++;
}

void fastopen_ring_clear(struct fastopen_ring *r)
{
    explicit_bzero(r, sizeof(*r));
}

/* The i-th newest. */
static const uint8_t *ring_key(const struct fastopen_ring *r, uint32_t i)
{
    return r->key[(r->newest + FASTOPEN_KEYS - i) % FASTOPEN_KEYS];
}

/* Derived from what all engines of the process share, so that each accepts what another one gave. */
static void add_automatic(struct tcp_layer *t, uint64_t period)
{
    uint64_t seed[3] = {period, 0, UINT64_C(0x6661737420657965)}; /* apart from other hashes of it */
    uint64_t key[2];
    key[0] = siphash24(&t->e->common, seed, sizeof(seed));
    seed[1] = 1;
    key[1] = siphash24(&t->e->common, seed, sizeof(seed));
    fastopen_ring_add(&t->fastopen->keys, (const uint8_t *)key);
    explicit_bzero(key, sizeof(key));
    t->fastopen->auto_period = period;
}

void fastopen_keys_refresh(struct tcp_layer *t)
{
    struct tcp_fastopen *f = t->fastopen;
    if (!f->params.server_enable || f->params.autokey_s == 0)
        return;
    uint64_t period = t->e->now / (f->params.autokey_s * NS_PER_SEC) + 1;
    if (period == f->auto_period)
        return;
    if (f->auto_period && period > f->auto_period + 1) /* nobody asked for some time */
        add_automatic(t, period - 1);
    add_automatic(t, period);
}

/* Every key and PSK is tried, whether one was right or not: the time tells nothing. */
enum fastopen_validity fastopen_check(struct tcp_layer *t, const uint8_t *own_psk, const struct ip_addr *addr,
                                      const uint8_t *cookie, uint8_t len)
{
    const struct tcp_fastopen *f = t->fastopen;
    uint64_t shown;
    bool plain = false, proven = false;
    if (len != FASTOPEN_COOKIE_LEN)
        return FASTOPEN_INVALID;
    memcpy(&shown, cookie, sizeof(shown));
    for (uint32_t i = 0; i < f->keys.n; i++) {
        uint64_t right = fastopen_cookie(ring_key(&f->keys, i), addr);
        plain |= (right ^ shown) == 0;
        if (own_psk)
            proven |= (fastopen_proof(own_psk, (const uint8_t *)&right, FASTOPEN_COOKIE_LEN) ^ shown) == 0;
        for (uint32_t j = 0; !own_psk && f->params.psk_enable && j < f->psks.n; j++)
            proven |= (fastopen_proof(ring_key(&f->psks, j), (const uint8_t *)&right, FASTOPEN_COOKIE_LEN) ^
                       shown) == 0;
    }
    if (own_psk || f->params.psk_enable)
        return proven ? FASTOPEN_VALID : FASTOPEN_UNPROVEN;
    return plain ? FASTOPEN_VALID : FASTOPEN_INVALID;
}

bool fastopen_fresh(struct tcp_layer *t, const struct ip_addr *addr, struct fastopen_option *out)
{
    const struct fastopen_ring *r = &t->fastopen->keys;
    if (r->n == 0)
        return false;
    uint64_t cookie = fastopen_cookie(ring_key(r, 0), addr);
    out->len = FASTOPEN_COOKIE_LEN;
    memcpy(out->cookie, &cookie, sizeof(cookie));
    return true;
}
