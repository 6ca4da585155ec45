// SPDX-License-Identifier: BSD-3-Clause
// lwIP's side of the conversations, a module of its own: it is loaded with RTLD_DEEPBIND, for both stacks have a tcp_input() and more such.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define PORT  7000
#define CONNS 12

/* One end of a conversation. What it sends is a pattern of its own. */
struct end {
    uint64_t to_send, sent, to_get, got, pattern_out, pattern_in;
    bool shut, ended; /* our FIN is asked for; the peer's came */
};

static inline uint8_t byte_at(uint64_t pattern, uint64_t i)
{
    uint64_t x = (pattern + i / 8) * UINT64_C(0x9e3779b97f4a7c15);
    return (uint8_t)((x ^ x >> 29) >> (i % 8 * 8));
}

/* Counts n received bytes. False: one is another than it should be. */
static inline bool take(struct end *e, const uint8_t *b, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (e->got + i >= e->to_get || b[i] != byte_at(e->pattern_in, e->got + i))
            return false;
    e->got += n;
    return true;
}

/* The next bytes to send, at most so many; returns how many. */
static inline uint64_t give(const struct end *e, uint8_t *b, uint64_t most)
{
    uint64_t n = e->to_send - e->sent;
    n = n > most ? most : n;
    for (uint64_t i = 0; i < n; i++)
        b[i] = byte_at(e->pattern_out, e->sent + i);
    return n;
}

/* What the module gives. Addresses: lwIP is 10.0.0.2, Leat 10.0.0.1. */
struct lwip_side {
    struct end *ends; /* CONNS of them, to be filled before open() */
    /* output: a packet leaves; failed: the end of all. */
    void (*init)(void (*output)(const void *packet, unsigned n), void (*failed)(const char *why));
    void (*input)(const void *packet, unsigned n);
    void (*open)(unsigned i);   /* connects conversation i; the others are accepted */
    void (*clock)(uint32_t ms); /* the time; timers that are due run */
};
