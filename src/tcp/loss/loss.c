// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/loss.h"
#include <errno.h>
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/tcp.h"

#define P(name, field, def, min, max, unit, desc)                                                            \
    SYSCTL_OID_UINT("net.inet.tcp." name, struct tcp_loss, params.field, SYSCTL_RW, def, min, max, unit, desc)
#define B(name, field, def, desc)                                                                            \
    SYSCTL_OID_BOOL("net.inet.tcp." name, struct tcp_loss, params.field, SYSCTL_RW, def, desc)
#define S(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." #field, struct tcp_loss, stats.field, unit, desc)

static int set_holes(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tcp_loss *l = base;
    l->params.sack_globalmaxholes = (uint32_t)strtoul(text, NULL, 0);
    l->holes.limit = l->params.sack_globalmaxholes / SACK_RANGES_MAX;
    return 0;
}

static const struct sysctl_oid oids[] = {
    P("sack.maxholes", sack_maxholes, 128, 1, SACK_RANGES_MAX, "holes",
      "Holes in the scoreboard of one connection"),
    {.name = "net.inet.tcp.sack.globalmaxholes",
     .desc = "Holes in all scoreboards of an engine, beyond the first eight of each",
     .unit = "holes",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_loss, params.sack_globalmaxholes),
     .min = 0,
     .max = 1 << 30,
     .def = 65536,
     .set = set_holes},
    P("abc_l_var", abc_l_var, 2, 1, 100, "segments",
      "Segments that one ACK may add in slow start (RFC 3465)"),
    P("retries", rexmit_retries, 12, 1, 12, "timeouts",
      "Timeouts in a row before the connection is given up"),
    P("maxpersistidle", maxpersistidle_ms, 2 * 3600 * 1000, 1000, INT32_MAX, "ms",
      "A closed window is probed so long without any answer"),
    P("output_burst", output_burst_segs, 64, 1, 10000, "segments",
      "Segments of one connection in one turn of the engine"),
    B("rfc3042", rfc3042, 1, "Limited transmit: new data on the first two duplicate ACKs"),
    B("rfc3465", rfc3465, 1, "Slow start counts acknowledged bytes (RFC 3465)"),
    B("do_prr", do_prr, 1, "Proportional rate reduction in SACK recovery (RFC 9937)"),
    B("do_prr_conservative", do_prr_conservative, 0, "PRR never sends more than was delivered"),
    B("sack.lrd", sack_lrd, 1, "Lost retransmissions are found by SACK of what was sent after them"),
    B("early_retransmit", early_retransmit, 1,
      "Fewer duplicate ACKs are enough when less than four segments are in flight (RFC 5827)"),
    B("frto", frto, 1, "After a timeout, find out whether it was a mistake (F-RTO, RFC 5682)"),
    B("eifel", eifel, 1, "Timestamps tell whether a retransmission was a mistake (RFC 3522)"),
    B("dsack_undo", dsack_undo, 1, "DSACK tells whether retransmissions were a mistake (RFC 3708)"),
    B("rexmit_drop_options", rexmit_drop_options, 0,
      "The third retransmission of a SYN goes without options"),
    B("idle_restart", idle_restart, 1,
      "The window after an idle time is the initial one (RFC 5681 section 4.1)"),
    S(rttupdated, "samples", "Round trip samples taken"),
    S(rexmttimeo, "timeouts", "Retransmission timeouts"),
    S(timeoutdrop, "connections", "Connections dropped by retransmission timeout"),
    S(persisttimeo, "timeouts", "Persist timeouts"),
    S(persistdrop, "connections", "Connections dropped in persist state"),
    S(syn_rexmits, "segments", "SYNs sent again"),
    S(fast_recoveries, "episodes", "Fast recoveries without SACK"),
    S(sack_recovery_episode, "episodes", "Fast recoveries with SACK"),
    S(sack_rexmits, "segments", "Segments sent again in SACK recovery"),
    S(sack_rexmit_bytes, "bytes", "Data sent again in SACK recovery"),
    S(sack_rescues, "segments", "Rescue retransmissions (RFC 6675 rule 4)"),
    S(newreno_partial_acks, "segments", "Partial ACKs in recovery without SACK"),
    S(limited_transmits, "segments", "Segments sent by limited transmit"),
    S(sack_rcv_blocks, "blocks", "SACK blocks received"),
    S(sack_dsacks, "blocks", "DSACK blocks received"),
    S(sack_bad_blocks, "blocks", "SACK blocks ignored: outside of what was sent"),
    S(sack_sboverflow, "blocks", "SACK blocks ignored: the scoreboard is full"),
    S(recovery_nomem, "segments", "ACKs whose SACK blocks found no memory"),
    S(sack_lostrexmt, "segments", "Retransmissions found lost by SACK (sack.lrd)"),
    S(early_rexmits, "episodes", "Recoveries begun by early retransmit (RFC 5827)"),
    S(frto_spurious, "events", "Timeouts found a mistake by F-RTO"),
    S(eifel_spurious, "events", "Retransmissions found a mistake by timestamps"),
    S(dsack_spurious, "events", "Retransmissions found a mistake by DSACK"),
    S(idle_restarts, "events", "Restarts after idle"),
    S(burst_limited, "events", "Output passes ended by output_burst"),
};

int tcp_loss_create(struct tcp_layer *t)
{
    struct tcp_loss *l = &t->loss;
    int err = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), l);
    if (!err)
        err = tcp_cc_create(t->e->sysctl, &l->cc);
    if (err)
        return err;
    pool_init(&l->recoveries, "recoveries", sizeof(struct recovery), UINT32_MAX, 64);
    pool_init(&l->holes, "SACK holes", SACK_RANGES_MAX * sizeof(struct sack_block),
              l->params.sack_globalmaxholes / SACK_RANGES_MAX, 8);
    return 0;
}

void tcp_loss_destroy(struct tcp_layer *t)
{
    pool_fini(&t->loss.recoveries);
    pool_fini(&t->loss.holes);
    sysctl_unregister(t->e->sysctl, &t->loss);
    sysctl_unregister(t->e->sysctl, &t->loss.cc);
}
