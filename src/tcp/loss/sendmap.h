// SPDX-License-Identifier: BSD-3-Clause
// The send map: what is outstanding, and when it was sent last. One entry stands for many segments: those that left in one turn of the
// engine are sent at the same time, so that one time is exact for all of them. It is split where SACK blocks, retransmissions and
// cumulative ACKs end, and what is SACKed is merged again. RFC 8985 §5.2 asks for a time of each segment; this is that, with less memory.
//
// Entries lie in three orders: by sequence (a list, and a tree to find one in O(log n)); those in flight by time of their last transmission; those
// that are lost by sequence. Together they cover snd_una to snd_max without a gap.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "tcp/seq.h"

enum sendmap_state {
    SENDMAP_FLYING, /* sent, and nothing is known of it */
    SENDMAP_LOST,   /* to be sent again: not in flight */
    SENDMAP_SACKED, /* the peer has it; times and counts of merged ones mean nothing */
};

struct sendmap_entry {
    tcp_seq start, end;
    uint64_t xmit_ns; /* last transmission (RFC 8985 §5.2 Segment.xmit_ts) */
    uint8_t state;    /* enum sendmap_state */
    uint8_t rexmits;  /* sent again so often (saturates): Segment.retransmitted */
    bool untimed;     /* xmit_ns is no time to measure with: it covers segments of several times */
    bool extra;       /* made by a split on a SACK edge */
    uint16_t mss;     /* segments begin at start + n * mss; 1: anywhere */
    uint32_t segs;    /* SACKED: segments that were reported */
    struct sendmap_entry *prev, *next;   /* by sequence */
    struct sendmap_entry *older, *newer; /* FLYING: by (xmit_ns, end); LOST: by sequence */
    struct sendmap_entry *parent, *left, *right;
    uint32_t rank; /* of the tree: a parent's is higher */
};

/* What all maps of an engine share. */
struct sendmap_shared {
    struct pool entries;
    uint32_t map_limit;   /* entries of one connection beyond which no new data is sent; 0: none */
    uint32_t split_limit; /* entries of one connection made by splits on SACK edges; 0: no limit */
    uint64_t split_limited, map_limited, nomem, misaligned; /* counters */
};

struct sendmap {
    struct sendmap_entry *first, *last;
    struct sendmap_entry *root;
    struct sendmap_entry *oldest, *newest; /* FLYING */
    /* The one in flight that was sent last before RACK.segment (rack.h); NULL: none. Kept through splits and removals. */
    struct sendmap_entry *before;
    struct sendmap_entry *lost_first, *lost_last;
    struct sendmap_entry *spare; /* one in reserve, so that new data needs no memory after it left */
    struct sendmap_shared *shared;
    uint32_t sacked, lost; /* bytes */
    uint32_t sacked_segs;  /* RACK.segs_sacked */
    uint32_t n;            /* entries */
    uint32_t splits;       /* of them, made by splits on SACK edges (extra) */
    uint32_t seed;
};

/*
 * [start, end) of e has been delivered, and was not known to be; e's times and counts are still those of its last transmission. older: the
 * entry in flight that was sent last before it.
 */
typedef void (*sendmap_delivered_fn)(void *arg, const struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                                     struct sendmap_entry *older);

void sendmap_shared_init(struct sendmap_shared *s);
void sendmap_shared_fini(struct sendmap_shared *s);
/* seed: chance, not 0; an adversary must not know it. */
void sendmap_init(struct sendmap *m, struct sendmap_shared *shared, uint32_t seed);
/* Gives every entry back. */
void sendmap_free(struct sendmap *m);

/* May new data be sent, so that sendmap_sent() has a place for it? Counts when not. */
bool sendmap_ready(struct sendmap *m);
/* [seq, end) left at now, in segments of mss bytes: new, again, or both. Without memory for a split the whole entry counts as sent again. */
void sendmap_sent(struct sendmap *m, tcp_seq seq, tcp_seq end, uint16_t mss, uint64_t now);
/* [seq, end) is outstanding; nobody knows when it was sent. The map is empty or ends at seq. -ENOMEM. */
int sendmap_adopt(struct sendmap *m, tcp_seq seq, tcp_seq end, uint64_t now);

/* The entry that holds seq; NULL: none. */
struct sendmap_entry *sendmap_find(const struct sendmap *m, tcp_seq seq);
/* The cumulative ACK has reached una. */
void sendmap_ack(struct sendmap *m, tcp_seq una, sendmap_delivered_fn delivered, void *arg);
/* All of what is outstanding is one entry in flight that left once, and the map knows when. */
static inline bool sendmap_alone(const struct sendmap *m)
{
    const struct sendmap_entry *e = m->first;
    return e && e == m->last && e->state == SENDMAP_FLYING && e->rexmits == 0 && !e->untimed;
}
/* It has been acknowledged: the map is empty. */
static inline void sendmap_clear(struct sendmap *m)
{
    struct sendmap_entry *e = m->first;
    m->first = m->last = m->root = m->oldest = m->newest = m->before = NULL;
    m->n = m->splits = 0;
    if (!m->spare)
        m->spare = e;
    else
        pool_put(&m->shared->entries, e);
}
/* A SACK block. It counts from the first to the last whole segment in it: a receiver has segments, so that an edge within one is no
 * reason for a split (counted in misaligned). Returns bytes that are new. */
uint32_t sendmap_sack(struct sendmap *m, tcp_seq start, tcp_seq end, sendmap_delivered_fn delivered,
                      void *arg);

/* e (FLYING) is lost. Returns its bytes. */
uint32_t sendmap_lose(struct sendmap *m, struct sendmap_entry *e);
/* The first segment, if it is in flight, is lost; len: its bytes, where the map does not know. */
void sendmap_lose_first(struct sendmap *m, uint32_t len);
/* Everything in flight in pieces of more than len bytes is lost. */
void sendmap_lose_longer(struct sendmap *m, uint32_t len);
/* What is lost is in flight again, as of when it was sent. before is to be set anew. */
void sendmap_unlose(struct sendmap *m);
/* The peer dropped what it had SACKed (RFC 2018 §8): the first entry, which is SACKED, is lost. */
void sendmap_renege(struct sendmap *m);
/* The last entry in flight that was sent before (xmit_ns, end). O(entries in flight). */
struct sendmap_entry *sendmap_sent_before(const struct sendmap *m, uint64_t xmit_ns, tcp_seq end);

/* Was a sent before b? By time, then by sequence (RFC 8985 §6.2 RACK_sent_after, the other way round). */
static inline bool sendmap_older(uint64_t a_ns, tcp_seq a_end, uint64_t b_ns, tcp_seq b_end)
{
    return a_ns < b_ns || (a_ns == b_ns && seq_lt(a_end, b_end));
}
/* Of what is in flight, bytes that were sent again. Walks the map. */
uint32_t sendmap_again(const struct sendmap *m);
/* Bytes sent, not delivered and not known to be lost (RFC 6675 pipe with RFC 8985's marks). */
static inline uint32_t sendmap_flight(const struct sendmap *m)
{
    return m->first && m->last ? m->last->end - m->first->start - m->sacked - m->lost : 0;
}
