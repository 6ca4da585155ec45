// SPDX-License-Identifier: BSD-3-Clause
// The settings of TCP: FreeBSD's names, defaults and units where it has the setting. Times are milliseconds.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/tcp.h"

#define KB 1024
#define MB (1024 * 1024)

static int set_pool_limit(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                          size_t errsize)
{
    struct tcp_layer *t = base;
    uint32_t *field = (uint32_t *)((char *)base + oid->offset);
    *field = (uint32_t)strtoul(text, NULL, 0);
    t->tcbs.limit = t->params.maxtcb;
    t->reass_segs.limit = t->params.reass_maxsegments;
    return 0;
}

static int set_cc(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tcp_layer *t = base;
    const struct tcp_cc *cc = tcp_cc_find(text);
    if (!cc) {
        snprintf(err, errsize, "%s: no congestion control is called \"%s\" (see net.inet.tcp.cc.available)",
                 oid->name, text);
        return -EINVAL;
    }
    snprintf(t->params.cc_default, sizeof(t->params.cc_default), "%s", cc->name);
    t->cc_default = cc;
    return 0;
}

static int get_ccs(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    return tcp_cc_names(buf, size);
}

static int get_states(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct tcp_layer *t = base;
    size_t at = 0;
    for (int s = 0; s < TCP_NSTATES; s++) {
        int n = snprintf(buf + at, size - at, "%s%u", s ? " " : "", t->states[s]);
        if (n < 0 || (size_t)n >= size - at)
            return -ENOSPC;
        at += (size_t)n;
    }
    return 0;
}

#define BOOL(name, field, def, desc)                                                                         \
    SYSCTL_OID_BOOL("net.inet.tcp." name, struct tcp_layer, params.field, SYSCTL_RW, def, desc)
#define UINT(name, field, def, min, max, unit, desc)                                                         \
    SYSCTL_OID_UINT("net.inet.tcp." name, struct tcp_layer, params.field, SYSCTL_RW, def, min, max, unit,    \
                    desc)
#define HOUR_MS (3600 * 1000)
#define DAY_MS  (24 * HOUR_MS)

static const struct sysctl_oid oids[] = {
    /* Buffers. */
    UINT("sendspace", sendspace, 32 * KB, 1, 1 << 30, "bytes", "Send buffer of a new connection"),
    UINT("recvspace", recvspace, 64 * KB, 1, 1 << 30, "bytes", "Receive buffer of a new connection"),
    UINT("sendbuf_max", sendbuf_max, 2 * MB, 1, 1 << 30, "bytes",
         "Auto-tuning lets a send buffer grow to this"),
    UINT("recvbuf_max", recvbuf_max, 2 * MB, 1, 1 << 30, "bytes",
         "Auto-tuning lets a receive buffer grow to this"),
    UINT("sendbuf_inc", sendbuf_inc, 8 * KB, 1, 1 << 30, "bytes",
         "Least step of send buffer auto-tuning, which otherwise doubles"),
    BOOL("sendbuf_auto", sendbuf_auto, 1, "Send buffers grow by themselves"),
    BOOL("sendbuf_auto_lowat", sendbuf_auto_lowat, 0,
         "Send buffers grow earlier by what SO_SNDLOWAT keeps the application from filling"),
    BOOL("recvbuf_auto", recvbuf_auto, 1, "Receive buffers grow by themselves"),
    SYSCTL_OID_U64("net.inet.tcp.sendbytes_max", struct tcp_layer, send.bytes_limit, SYSCTL_RW,
                   256 * (int64_t)MB, 64 * KB, INT64_MAX, "bytes", "Data in all send buffers of an engine"),
    SYSCTL_OID_U64("net.inet.tcp.recvbytes_max", struct tcp_layer, params.recvbytes_limit, SYSCTL_RW,
                   256 * (int64_t)MB, 64 * KB, INT64_MAX, "bytes",
                   "Packet buffers held in all receive and reassembly queues of an engine"),
    SYSCTL_OID_UINT("kern.ipc.maxsockbuf", struct tcp_layer, params.maxsockbuf, SYSCTL_RW, 2 * MB, 4 * KB,
                    UINT32_MAX, "bytes", "SO_SNDBUF and SO_RCVBUF at most; decides the window scale offered"),
    /* Extensions. */
    BOOL("rfc1323", rfc1323, 1, "Window scale and timestamps (RFC 7323)"),
    BOOL("sack.enable", sack, 1, "Selective acknowledgements (RFC 2018)"),
    BOOL("tso", tso, 1, "Segments are cut by the port where it can (TSO)"),
    BOOL("path_mtu_discovery", path_mtu_discovery, 1, "Segments forbid fragmentation (RFC 1191, RFC 8201)"),
    BOOL("tolerate_missing_ts", tolerate_missing_ts, 1,
         "Accept segments without timestamps on connections that have them (against RFC 7323 section 3.2)"),
    /* Segment sizes. */
    UINT("mssdflt", mssdflt, 536, 216, 65495, "bytes",
         "Segment size for an IPv4 peer that sent no MSS option"),
    UINT("v6mssdflt", v6mssdflt, 1220, 216, 65475, "bytes",
         "Segment size for an IPv6 peer that sent no MSS option"),
    UINT("minmss", minmss, 216, 1, 65495, "bytes", "A smaller MSS of the peer is taken as this"),
    UINT("initcwnd_segments", initcwnd_segments, 10, 1, 1000, "segments", "Initial window (RFC 6928)"),
    /* Times. */
    BOOL("delayed_ack", delayed_ack, 1, "ACKs wait for a second segment or for delacktime"),
    UINT("delacktime", delacktime_ms, 40, 1, 500, "ms",
         "A delayed ACK waits so long at most (RFC 5681: 500)"),
    UINT("quickack_bytes", quickack_bytes, 0, 0, 1 << 30, "bytes",
         "ACKs of a connection's first bytes do not wait: helps a peer in slow start (FreeBSD: none)"),
    UINT("msl", msl_ms, 30000, 1, 10 * 60 * 1000, "ms", "Maximum segment lifetime: TIME-WAIT is twice this"),
    UINT("msl_local", msl_local_ms, 10, 1, 10 * 60 * 1000, "ms",
         "Maximum segment lifetime when both ends are this host's own addresses"),
    UINT(
        "maxtcptw", maxtcptw, (65535 - 10000) / 2, 32, 16 << 20, "connections",
        "Connections of an engine in TIME-WAIT; the oldest gives way (FreeBSD 13: half the ephemeral ports)"),
    BOOL("nolocaltimewait", nolocaltimewait, 0,
         "Connections between this host's own addresses go without TIME-WAIT"),
    BOOL("rfc6191", rfc6191, 1, "A new SYN ends TIME-WAIT when it cannot be an old one (RFC 6191)"),
    UINT("maxunacktime", maxunacktime_ms, 0, 0, INT32_MAX, "ms",
         "TCP_USER_TIMEOUT of new connections: so long without progress, and they are dropped; 0: no limit"),
    UINT("rexmit_min", rexmit_min_ms, 30, 1, 60000, "ms", "Retransmission timeout at least, before the slop"),
    UINT("rexmit_max", rexmit_max_ms, 64000, 1000, HOUR_MS, "ms", "Retransmission timeout at most"),
    UINT("rexmit_initial", rexmit_initial_ms, 1000, 1, 60000, "ms",
         "Retransmission timeout before the first measurement (RFC 6298)"),
    UINT("rexmit_slop", rexmit_slop_ms, 200, 0, 60000, "ms",
         "Added to the retransmission timeout for the peer's delayed ACKs"),
    UINT("keepinit", keepinit_ms, 75000, 1, DAY_MS, "ms", "The handshake takes so long at most"),
    UINT("keepidle", keepidle_ms, 2 * HOUR_MS, 1, INT32_MAX, "ms",
         "A connection is idle so long before keepalive probes"),
    UINT("keepintvl", keepintvl_ms, 75000, 1, INT32_MAX, "ms", "Time between keepalive probes"),
    UINT("keepcnt", keepcnt, 8, 1, 255, "probes",
         "Unanswered keepalive probes before the connection is dropped"),
    BOOL("always_keepalive", always_keepalive, 1, "Keepalive on every connection, without SO_KEEPALIVE"),
    UINT("persmin", persmin_ms, 5000, 1, HOUR_MS, "ms", "Window probes: shortest interval"),
    UINT("persmax", persmax_ms, 60000, 1, HOUR_MS, "ms", "Window probes: longest interval"),
    UINT("finwait2_timeout", finwait2_timeout_ms, 60000, 1, DAY_MS, "ms",
         "With fast_finwait2_recycle, the peer's FIN is waited for so long when nobody will read"),
    BOOL("fast_finwait2_recycle", fast_finwait2_recycle, 0,
         "FIN_WAIT_2 without a reader ends after finwait2_timeout, else after keepcnt times keepintvl of "
         "silence"),
    UINT("maxorphans", maxorphans, 65536, 0, 16 << 20, "connections",
         "Connections of an engine that still send after their socket was closed; more are reset"),
    /* Defence. */
    UINT("blackhole", blackhole, 0, 0, 3, "",
         "No RST: 1 to SYNs for closed ports, 2 to anything for closed ports, 3 nor for listening ports"),
    BOOL("blackhole_local", blackhole_local, 0, "blackhole counts for this host's own segments too"),
    UINT("log_in_vain", log_in_vain, 0, 0, 2, "", "Log to closed ports: 1 SYNs, 2 any segment"),
    BOOL("drop_synfin", drop_synfin, 0, "Drop segments with both SYN and FIN"),
    BOOL("insecure_rst", insecure_rst, 0, "Take any RST in the window, as RFC 793 did (RFC 5961 section 3)"),
    BOOL("insecure_syn", insecure_syn, 0,
         "A SYN in the window resets the connection, as RFC 793 had it (RFC 5961 section 4)"),
    BOOL("insecure_ack", insecure_ack, 0, "Take old ACKs as RFC 793 did (RFC 5961 section 5)"),
    BOOL("icmp_may_rst", icmp_may_rst, 1, "ICMP unreachable may end a connection in SYN_SENT"),
    UINT("ack_war_timewindow", ack_war_ms, 1000, 0, 60000, "ms",
         "Challenge ACKs of one connection are counted in windows of this length; 0 = no limit"),
    UINT("ack_war_cnt", ack_war_cnt, 5, 0, 10000, "segments",
         "Challenge ACKs of one connection in a window (RFC 5961 section 7); 0 = no limit"),
    /* Limits. */
    {.name = "net.inet.tcp.maxtcb",
     .desc = "Connections of an engine",
     .unit = "connections",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_layer, params.maxtcb),
     .min = 1,
     .max = 16 << 20,
     .def = 1 << 20,
     .set = set_pool_limit},
    {.name = "net.inet.tcp.reass.maxsegments",
     .desc = "Runs of out-of-order data in all reassembly queues of an engine",
     .unit = "runs",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_layer, params.reass_maxsegments),
     .min = 0,
     .max = 16 << 20,
     .def = 65536,
     .set = set_pool_limit},
    UINT("reass.maxqueuelen", reass_maxqueuelen, 100, 0, 65535, "runs",
         "Runs of out-of-order data of one connection"),
    SYSCTL_OID_UINT("kern.ipc.somaxconn", struct tcp_layer, params.somaxconn, SYSCTL_RW, 128, 1, 1 << 20,
                    "connections", "Backlog of listen(2) at most"),
    SYSCTL_OID_UINT("net.inet.ip.portrange.first", struct tcp_layer, params.port_first, SYSCTL_RW, 10000, 1,
                    65535, "port", "First ephemeral port"),
    SYSCTL_OID_UINT("net.inet.ip.portrange.last", struct tcp_layer, params.port_last, SYSCTL_RW, 65535, 1,
                    65535, "port", "Last ephemeral port"),
    /* Algorithms. */
    {.name = "net.inet.tcp.cc.algorithm",
     .desc = "Congestion control of new connections",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_layer, params.cc_default),
     .size = sizeof(((struct tcp_params *)0)->cc_default),
     .def_text = "cubic",
     .set = set_cc},
    {.name = "net.inet.tcp.cc.available",
     .desc = "Congestion controls",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD,
     .get = get_ccs},
    /* Gauges. */
    SYSCTL_OID_GAUGE("net.inet.tcp.pcbcount", struct tcp_layer, tcbs.used, "connections",
                     "Connections and listeners in any state"),
    SYSCTL_OID_GAUGE("net.inet.tcp.reass.cursegments", struct tcp_layer, reass_segs.used, "runs",
                     "Runs of out-of-order data now held"),
    SYSCTL_OID_GAUGE("net.inet.tcp.orphans", struct tcp_layer, orphans, "connections",
                     "Connections that no socket has, but for those in TIME-WAIT"),
    {.name = "net.inet.tcp.states",
     .desc = "Connections by state: CLOSED LISTEN SYN_SENT SYN_RECEIVED ESTABLISHED CLOSE_WAIT FIN_WAIT_1 "
             "CLOSING LAST_ACK FIN_WAIT_2 TIME_WAIT",
     .unit = "connections",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_ADD,
     .get = get_states},
    SYSCTL_OID_COUNTER("net.inet.tcp.stats.tcb_failures", struct tcp_layer, tcbs.failures, "connections",
                       "Connections not made: net.inet.tcp.maxtcb or memory"),
    SYSCTL_OID_COUNTER("net.inet.tcp.sendbytes", struct tcp_layer, send.bytes, "bytes",
                       "Data now in send buffers"),
    SYSCTL_OID_COUNTER("net.inet.tcp.recvbytes", struct tcp_layer, recv_bytes, "bytes",
                       "Packet buffers now held in receive and reassembly queues"),
};

int tcp_params_register(struct tcp_layer *t)
{
    int err = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), t);
    t->cc_default = tcp_cc_find(t->params.cc_default);
    return err;
}
