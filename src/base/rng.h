// SPDX-License-Identifier: BSD-3-Clause
// Two kinds of chance, both passed in by whoever creates the engine: rng for what only needs to differ
// (jitter, port choice), secrets for what an attacker must not guess (ISN, hash keys), by siphash over a key.
#pragma once
#include <stdint.h>

struct rng {
    uint64_t s[4]; /* xoshiro256** */
};
void rng_seed(struct rng *r, uint64_t seed);
uint64_t rng_u64(struct rng *r);
/* Uniform in [0, bound); bound > 0. */
uint32_t rng_below(struct rng *r, uint32_t bound);

struct siphash_key {
    uint64_t k[2];
};
/* SipHash-2-4 (Aumasson, Bernstein 2012). */
uint64_t siphash24(const struct siphash_key *key, const void *data, uint32_t len);
