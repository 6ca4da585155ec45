// SPDX-License-Identifier: BSD-3-Clause
// The SYN cache: connections that a peer has begun and not yet completed, as small entries instead of whole connections, bounded, in
// buckets that nobody outside can aim at. FreeBSD's shape (tcp_syncache.c): an entry belongs to no listener; the listener that is there
// when the last ACK comes gets the connection. Past its bounds SYN cookies take over (syncookie.h).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "tcp/ecn.h"
#include "tcp/input.h"
#include "tcp/syncookie.h"

enum half_open_flags {
    SCF_SCALE = 0x1,  /* window scale by both sides */
    SCF_STAMPS = 0x2, /* timestamps likewise */
    SCF_SACK = 0x4,   /* the peer permits SACK */
    SCF_NOOPT = 0x8,  /* TCP_NOOPT of the listener */
    SCF_UNREACH = 0x10 /* an ICMP error came */,
    SCF_RESENT = 0x20, /* the SYN-ACK left more than once: no round trip time (Karn) */
    SCF_COOKIE = 0x40, /* not kept: made up from a cookie, or about to be one */
};

/* A connection in SYN_RECEIVED: what its SYN said, what our SYN-ACK says. */
struct half_open {
    TAILQ_ENTRY(half_open) link; /* of its bucket, newest first */
    struct wheel_timer timer;    /* the SYN-ACK goes again */
    struct engine *e;
    uint32_t hash;         /* demux_hash() */
    uint16_t fport, lport; /* network order */
    struct ip_addr faddr, laddr;
    struct ip_path path;
    const struct fastopen_option
        *answer; /* a Fast Open cookie for the SYN-ACK; while the SYN is dealt with only */
    tcp_seq iss, irs;
    uint32_t ts_recent;      /* the peer's, to be echoed */
    uint32_t ts_offset;      /* of our clock */
    uint64_t started;        /* first SYN, ns */
    uint64_t sent_at;        /* last SYN-ACK, ns */
    uint32_t keepinit_ms;    /* the listener's */
    uint16_t wnd;            /* that our SYN-ACK announces */
    uint16_t snd_wnd;        /* of the peer's SYN, never scaled (RFC 7323 §2.2) */
    uint16_t mss_peer;       /* 0: none said */
    uint16_t mss_offer;      /* ours */
    uint16_t scope_index;    /* of link-local addresses */
    uint8_t snd_scale;       /* the peer's shift */
    uint8_t rcv_scale;       /* ours */
    uint8_t flags;           /* enum half_open_flags */
    uint8_t rxmits;          /* SYN-ACKs sent since the last SYN */
    struct auth_choice auth; /* how what we send is signed */
    uint8_t tos, ttl;        /* the listener's */
    uint8_t ecn;             /* enum ecn_answer */
};
TAILQ_HEAD(half_open_list, half_open);

struct syncache_bucket {
    struct half_open_list entries;
    uint32_t n;
};

struct syncache_params { /* net.inet.tcp.syncache.*, net.inet.tcp.syncookies* */
    uint32_t hashsize, bucketlimit, cachelimit, rexmtlimit, busyrate;
    bool rst_on_sock_fail, syncookies, syncookies_only;
};

struct tcp_syncache {
    struct syncache_params params;
    struct pool entries;
    struct syncache_bucket *buckets;
    uint32_t mask;
    uint64_t overflow_at;  /* the last SYN that found no room, ns; 0: never */
    uint64_t paused_until; /* no new entries, only cookies, ns */
    uint32_t pause_shift;  /* pauses that follow each other double */
    /* synshed.c: the budgets of SYNs, and of those that come again, are used up to then, ns */
    uint64_t spent_until, spent_again_until;
    uint64_t *shed; /* SYNs that were shed */
    uint32_t shed_key[6];
    struct syncookie_keys keys;
};

/* 0 or -errno; registers the settings. */
int syncache_create(struct tcp_layer *t);
/* Every entry goes, without a word on the wire. */
void syncache_flush(struct tcp_layer *t);
void syncache_destroy(struct tcp_layer *t);
/* Another number of buckets, a power of two; who is in moves over. 0 or -ENOMEM. */
int syncache_resize(struct tcp_syncache *c, uint32_t hashsize);

struct half_open *syncache_find(const struct tcp_syncache *c, uint32_t hash, const struct ip_addr *faddr,
                                const struct ip_addr *laddr, uint16_t fport, uint16_t lport);
/* Everyone, in no order: for listings. */
void syncache_walk(const struct tcp_layer *t, void (*fn)(void *arg, const struct half_open *h), void *arg);

struct fastopen_option;

/* A SYN that may begin a connection: answered with a SYN-ACK, remembered, or dropped and counted. answer: a Fast Open cookie that goes
 * with the SYN-ACK, or NULL. */
void syncache_syn(struct tcb *listener, const struct tcp_segment *s, const struct fastopen_option *answer);
/* *h of the SYN, as an entry would be, for who makes the connection at once. 0, or -errno: no way to the peer. */
int syncache_describe(struct half_open *h, const struct tcb *listener, const struct tcp_segment *s);
/* Is there an entry for the connection that s belongs to? */
bool syncache_has(const struct tcp_layer *t, const struct tcp_segment *s);
/*
 * An ACK for a listener: what it completes, an entry of the cache or one made up from a cookie in *space. NULL: nothing, dropped and
 * counted; *refuse: it deserves a RST.
 */
struct half_open *syncache_ack(struct tcb *listener, const struct tcp_segment *s, struct half_open *space,
                               bool *refuse);
/* synshed.c: room to remember what is shed, freed with the rest. 0 or -ENOMEM. */
int syncache_shed_create(struct tcp_syncache *c, const struct siphash_key *secret);
/* Is a SYN that comes now one too many? Counts it. The header's first 20 bytes are there, nothing of it was checked. */
bool syncache_sheds(struct tcp_layer *t, const struct pkt_info *info, const struct rte_tcp_hdr *th);
/* A handshake was completed, which the budget is there for. */
void syncache_paid(struct tcp_syncache *c);
/* The connection has been made of it: done with. */
void syncache_completed(struct half_open *h);
/* No connection could be made of it. keep: its timer and the next ACK try again. */
void syncache_aborted(struct half_open *h, bool keep);
/* A RST for a listener. */
void syncache_rst(struct engine *e, const struct tcp_segment *s);
/* An ICMP error quotes our SYN-ACK with this sequence number. False: nobody's. */
bool syncache_unreach(struct engine *e, uint32_t hash, const struct ip_addr *faddr,
                      const struct ip_addr *laddr, uint16_t fport, uint16_t lport, tcp_seq seq);
