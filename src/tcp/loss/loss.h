// SPDX-License-Identifier: BSD-3-Clause
// What the parts of loss recovery and congestion control share on one engine: settings, counters, memory.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "tcp/cc/cc.h"

struct tcp_layer;

struct loss_params {        /* sysctl net.inet.tcp.*, FreeBSD's names and defaults where it has one: loss.c */
    uint32_t sack_maxholes; /* of one connection */
    uint32_t sack_globalmaxholes;     /* of the engine, beyond those that lie in struct recovery itself */
    uint32_t abc_l_var;               /* RFC 3465 §2.3: segments that one ACK may add in slow start */
    uint32_t rexmit_retries;          /* timeouts in a row before the connection is given up */
    uint32_t maxpersistidle_ms;       /* a closed window without any answer */
    uint32_t output_burst_segs;       /* segments of one connection in one turn */
    bool rfc3042;                     /* limited transmit */
    bool rfc3465;                     /* slow start counts bytes, not ACKs */
    bool do_prr, do_prr_conservative; /* RFC 9937 */
    bool sack_lrd;                    /* lost retransmissions are found and sent again */
    bool early_retransmit;            /* RFC 5827 */
    bool frto;                        /* RFC 5682 */
    bool eifel;                       /* RFC 3522: timestamps undo */
    bool dsack_undo;                  /* RFC 3708 */
    bool rexmit_drop_options;         /* the third SYN retransmission goes without options */
    bool idle_restart;                /* RFC 5681 §4.1 */
};

struct loss_stats { /* sysctl net.inet.tcp.stats.* */
    uint64_t rttupdated, rexmttimeo, timeoutdrop, persisttimeo, persistdrop, syn_rexmits;
    uint64_t fast_recoveries, sack_recovery_episode, sack_rexmits, sack_rexmit_bytes, sack_rescues;
    uint64_t newreno_partial_acks, limited_transmits;
    uint64_t sack_rcv_blocks, sack_dsacks, sack_bad_blocks, sack_sboverflow, recovery_nomem;
    uint64_t sack_lostrexmt, early_rexmits, frto_spurious, eifel_spurious, dsack_spurious;
    uint64_t idle_restarts, burst_limited;
};

struct tcp_loss {
    struct loss_params params;
    struct loss_stats stats;
    struct tcp_cc_layer cc;
    struct pool recoveries; /* struct recovery of loss/scoreboard.h */
    struct pool holes;      /* arrays of sack_maxholes holes for scoreboards that outgrow their own */
};

/* Registers settings and counters; tcp_create() calls it once t->e is set. 0 or -errno. */
int tcp_loss_create(struct tcp_layer *t);
/* Every connection must have given its recovery state back. */
void tcp_loss_destroy(struct tcp_layer *t);
