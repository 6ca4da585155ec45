// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/syncookie.h"
#include <rte_common.h>

/* FreeBSD's tables: what peers mostly say. */
static const uint16_t msses[8] = {216, 536, 1200, 1360, 1400, 1440, 1452, 1460};
static const uint8_t scales[8] = {0, 0, 1, 2, 4, 6, 7, 8}; /* index 0: no window scale */

/* The low eight bits, before they are mixed with the highest. */
#define COOKIE_ODD         0x01u /* the key of an odd period */
#define COOKIE_SACK        0x02u
#define COOKIE_SCALE(i)    ((i) << 2)
#define COOKIE_MSS(i)      ((i) << 5)
#define COOKIE_SCALE_OF(b) (((b) >> 2) & 7u)
#define COOKIE_MSS_OF(b)   ((b) >> 5)

void syncookie_keys_init(struct syncookie_keys *k, const struct siphash_key *root)
{
    k->root = *root;
    k->period[0] = k->period[1] = UINT64_MAX;
}

/* A key cannot be told from another one, nor from the root: SipHash is a pseudorandom function. */
static const struct siphash_key *key_of(struct syncookie_keys *k, uint64_t period)
{
    unsigned i = period & 1;
    if (k->period[i] != period) {
        uint64_t seed[3] = {period, 0,
                            UINT64_C(0x736f6f6b69657379)}; /* apart from other hashes under the root */
        k->key[i].k[0] = siphash24(&k->root, seed, sizeof(seed));
        seed[1] = 1;
        k->key[i].k[1] = siphash24(&k->root, seed, sizeof(seed));
        k->period[i] = period;
    }
    return &k->key[i];
}

/* No padding: every byte is hashed. IPv4 takes half the time, which counts in a flood; that it is shorter tells the families apart. */
static uint64_t hash_of(const struct siphash_key *key, const struct syncookie_flow *f, uint64_t bits)
{
    struct {
        struct ip_addr faddr, laddr;
        uint16_t fport, lport;
        uint32_t irs;
        uint64_t bits;
    } message = {f->faddr, f->laddr, f->fport, f->lport, f->irs, bits};
    struct {
        uint32_t faddr, laddr;
        uint16_t fport, lport;
        uint32_t irs;
        uint64_t bits;
    } message4 = {f->faddr.w[3], f->laddr.w[3], f->fport, f->lport, f->irs, bits};
    return ip_addr_is_v4(&f->faddr) ? siphash24(key, &message4, sizeof(message4))
                                    : siphash24(key, &message, sizeof(message));
}

static tcp_seq seal(const struct siphash_key *key, const struct syncookie_flow *flow, uint8_t bits)
{
    uint32_t hash = (uint32_t)hash_of(key, flow, bits);
    /* The bits differ from one connection to the next, so that what a host's cookies say cannot be seen at a glance. */
    return (hash & ~0xffu) | (bits ^ hash >> 24);
}

static unsigned index_of_mss(uint16_t mss)
{
    unsigned i = RTE_DIM(msses) - 1;
    while (i > 0 && msses[i] > mss)
        i--;
    return i;
}

static unsigned index_of_scale(const struct syncookie *c)
{
    unsigned i = c->scale ? RTE_DIM(scales) - 1 : 0;
    while (i > 1 && scales[i] > c->wscale)
        i--;
    return i;
}

tcp_seq syncookie_make(struct syncookie_keys *k, const struct syncookie_flow *flow, const struct syncookie *c,
                       uint64_t now)
{
    uint64_t period = now / SYNCOOKIE_LIFETIME_NS;
    unsigned bits = COOKIE_SCALE(index_of_scale(c)) | COOKIE_MSS(index_of_mss(c->mss));
    if (c->sack)
        bits |= COOKIE_SACK;
    if (period & 1)
        bits |= COOKIE_ODD;
    return seal(key_of(k, period), flow, (uint8_t)bits);
}

bool syncookie_read(struct syncookie_keys *k, const struct syncookie_flow *flow, tcp_seq iss, uint64_t now,
                    struct syncookie *c)
{
    uint8_t bits = (uint8_t)(iss ^ iss >> 24);
    uint64_t period = now / SYNCOOKIE_LIFETIME_NS;
    if ((period & 1) != (bits & COOKIE_ODD) && period-- == 0)
        return false; /* of the period before, and there was none */
    if (seal(key_of(k, period), flow, bits) != iss)
        return false;
    *c = (struct syncookie){
        .mss = msses[COOKIE_MSS_OF(bits)],
        .wscale = scales[COOKIE_SCALE_OF(bits)],
        .scale = COOKIE_SCALE_OF(bits) != 0,
        .sack = bits & COOKIE_SACK,
    };
    return true;
}
