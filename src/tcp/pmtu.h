// SPDX-License-Identifier: BSD-3-Clause
// Segment sizes where ICMP says nothing: black hole detection (RFC 2923 §2.1, as FreeBSD) makes segments smaller when full ones time out, packetization
// layer path MTU discovery (RFC 4821) makes them larger again by probing. ICMP's part is in icmp.c.
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct tcb;
struct tcp_layer;

enum pmtu_blackhole {
    PMTU_OPEN,      /* none known */
    PMTU_BLACKHOLE, /* segments of pmtud_blackhole_mss */
    PMTU_MINIMUM    /* of mssdflt, and they may be fragmented */
};

/* The search of one connection. Sizes as an MSS, in bytes, no options taken off. */
struct tcp_pmtu {
    uint16_t mss;       /* what maxseg is made of */
    uint16_t cap;       /* no larger than this; 0: as path and peer let */
    uint16_t high;      /* larger than this did not go through; 0: not known */
    uint16_t probe;     /* size that is tried; 0: none */
    uint8_t failures;   /* probes of this size that were lost */
    uint8_t blackhole;  /* enum pmtu_blackhole */
    bool flying;        /* the probe is in flight */
    uint16_t probe_len; /* of the probe in flight: bytes of data from probe_seq on */
    uint32_t probe_seq;
    uint64_t probe_at;  /* the next probe not before, ns; 0: no search */
    uint32_t claim_seq; /* that an ICMP error quoted, which waits for a timeout of it (RFC 5927 §7.2) */
    uint16_t claim_mtu; /* of the path, as it says; 0: none waits */
};

struct pmtu_params { /* sysctl net.inet.tcp.* */
    uint32_t blackhole_detection, blackhole_mss, v6blackhole_mss;
    uint32_t plpmtud, base_mss, interval_ms;
    uint32_t icmp_timeouts;
};
struct pmtu_stats { /* net.inet.tcp.stats.* */
    uint64_t blackhole_activated, blackhole_activated_min_mss, blackhole_failed;
    uint64_t probes, probes_good, probes_lost;
    uint64_t claims_held, claims_refuted;
};
struct pmtu_layer {
    struct pmtu_params params;
    struct pmtu_stats stats;
};

int tcp_pmtu_create(struct tcp_layer *t);
void tcp_pmtu_destroy(struct tcp_layer *t);

/* MSS and options are known: the search begins if it is to (net.inet.tcp.plpmtud = 2). */
void tcp_pmtu_established(struct tcb *tp);
/* An ICMP error that quotes seq says that the path takes no more than mtu. True: it is not believed before the segment has timed out. */
bool tcp_pmtu_hold(struct tcb *tp, uint32_t seq, uint32_t mtu);
/* The retransmission timer went off: are segments too large? tp->rexmits counts it already. */
void tcp_pmtu_timeout(struct tcb *tp);

/* More than a full segment may be sent (avail bytes): the payload bytes of a probe to send now; 0: none. */
uint32_t tcp_pmtu_probe(struct tcb *tp, uint32_t avail);
/* A segment larger than maxseg leaves. True: it is the probe, else TSO. */
bool tcp_pmtu_probe_sent(struct tcb *tp, uint32_t seq, uint32_t len);
/* Bytes from seq on go again. */
void tcp_pmtu_resent(struct tcb *tp, uint32_t seq);
/* Did the last probe begin at start, and reach to end or beyond? Its loss says nothing of congestion (RFC 4821 §7.7). */
bool tcp_pmtu_was_probe(const struct tcb *tp, uint32_t start, uint32_t end);
