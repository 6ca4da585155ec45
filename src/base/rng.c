// SPDX-License-Identifier: BSD-3-Clause
#include "base/rng.h"
#include <string.h>

static uint64_t rotl(uint64_t x, int k)
{
    return x << k | x >> (64 - k);
}

/* splitmix64: spreads a seed over the state, which must not be all zero. */
void rng_seed(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += UINT64_C(0x9e3779b97f4a7c15);
        uint64_t z = seed;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
        r->s[i] = z ^ z >> 31;
    }
}

uint64_t rng_u64(struct rng *r)
{
    uint64_t *s = r->s, result = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

/* Lemire 2019: multiply and shift; the bias of at most 2^-32 does not matter for what rng serves. */
uint32_t rng_below(struct rng *r, uint32_t bound)
{
    return (uint32_t)((rng_u64(r) >> 32) * bound >> 32);
}

struct sip {
    uint64_t a, b, c, d;
};

static inline void sip_round(struct sip *v)
{
    v->a += v->b;
    v->b = rotl(v->b, 13) ^ v->a;
    v->a = rotl(v->a, 32);
    v->c += v->d;
    v->d = rotl(v->d, 16) ^ v->c;
    v->a += v->d;
    v->d = rotl(v->d, 21) ^ v->a;
    v->c += v->b;
    v->b = rotl(v->b, 17) ^ v->c;
    v->c = rotl(v->c, 32);
}

static inline void sip_word(struct sip *v, uint64_t word)
{
    v->d ^= word;
    sip_round(v);
    sip_round(v);
    v->a ^= word;
}

uint64_t siphash24(const struct siphash_key *key, const void *data, uint32_t len)
{
    struct sip v = {key->k[0] ^ UINT64_C(0x736f6d6570736575), key->k[1] ^ UINT64_C(0x646f72616e646f6d),
                    key->k[0] ^ UINT64_C(0x6c7967656e657261), key->k[1] ^ UINT64_C(0x7465646279746573)};
    const uint8_t *p = data;
    uint64_t word;
    uint32_t left = len;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&word, p, 8);
        sip_word(&v, word);
    }
    word = (uint64_t)len << 56;
    for (uint32_t i = 0; i < left; i++)
        word |= (uint64_t)p[i] << 8 * i;
    sip_word(&v, word);
    v.c ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(&v);
    return v.a ^ v.b ^ v.c ^ v.d;
}
