// SPDX-License-Identifier: BSD-3-Clause
// Counters of TCP: one line gives the field, its name net.inet.tcp.stats.<field>, its unit and its description. Names of
// FreeBSD's struct tcpstat where it has one. A segment that is dropped counts in exactly one of those marked "dropped".
// Counters of loss recovery and timers of the stacks: loss/loss.h.
#pragma once
#include <stdint.h>
#include "tcp/tcp.h"

#define TCP_STATS(X)                                                                                         \
    X(connattempt, "connections", "Active opens")                                                            \
    X(accepts, "connections", "Passive opens that were established")                                         \
    X(connects, "connections", "Connections established, active and passive")                                \
    X(drops, "connections", "Established connections dropped by error or reset")                             \
    X(conndrops, "connections", "Embryonic connections dropped")                                             \
    X(closed, "connections", "Connections closed, by any way")                                               \
    X(memdrop, "connections", "Connections refused or dropped for lack of memory")                           \
    X(listenoverflow, "segments", "Dropped: last ACK of a handshake, and the accept queue is full")          \
    X(listendrop, "segments", "Segments dropped by a listener: neither SYN nor ACK")                         \
    X(badsyn, "segments", "Dropped: SYN from or to an address that cannot have a connection")                \
    X(nostate, "segments", "Dropped: SYN or last ACK, no connection could be made (memory, route)")          \
    X(sc_added, "connections", "Entries made in the SYN cache")                                              \
    X(sc_completed, "connections", "Handshakes completed, from SYN cache or cookie")                         \
    X(sc_retransmitted, "segments", "SYN-ACKs sent again by timer")                                          \
    X(sc_dupsyn, "segments", "Dropped: SYN of a half-open connection again (answered by SYN-ACK)")           \
    X(sc_dropped, "segments", "Dropped: SYN whose SYN-ACK could not be sent")                                \
    X(sc_shed, "segments", "Dropped: SYN of a flood, and connections had work (syncache.busyrate)")          \
    X(sc_shed_again, "segments", "SYNs answered in a flood because they had been shed before")               \
    X(sc_bucketoverflow, "connections", "SYNs that found their bucket of the SYN cache full")                \
    X(sc_cacheoverflow, "connections", "SYNs that found the whole SYN cache full")                           \
    X(sc_zonefail, "connections", "SYNs that found no memory for an entry")                                  \
    X(sc_evicted, "connections", "Oldest entries that went for a new one (without SYN cookies)")             \
    X(sc_reset, "connections", "Half-open connections ended by RST")                                         \
    X(sc_stale, "connections", "Half-open connections given up: rexmtlimit or keepinit")                     \
    X(sc_nolistener, "connections", "Half-open connections dropped: their listener is gone")                 \
    X(sc_aborted, "connections", "Handshakes completed that no connection could be made of")                 \
    X(sc_badack, "segments", "ACKs that do not fit the half-open connection they name")                      \
    X(sc_unreach, "connections", "Half-open connections ended by ICMP errors")                               \
    X(sc_sendcookie, "segments", "SYN cookies sent")                                                         \
    X(sc_recvcookie, "segments", "SYN cookies that came back")                                               \
    X(keeptimeo, "timeouts", "Keepalive timeouts")                                                           \
    X(keepprobe, "segments", "Keepalive probes sent")                                                        \
    X(keepdrops, "connections", "Connections dropped by keepalive or a handshake that took too long")        \
    X(usertimeo, "connections", "Connections dropped by TCP_USER_TIMEOUT (RFC 5482)")                        \
    X(delack, "segments", "Delayed ACKs sent by timer")                                                      \
    X(finwait2_drops, "connections", "Connections dropped in FIN_WAIT_2 that nobody reads any more")         \
    X(orphan_drops, "connections", "Connections reset at close: net.inet.tcp.maxorphans")                    \
    X(orphan_memdrops, "connections", "Connections reset at close: sendbytes_max is nearly reached")         \
    X(tw_recycles, "connections", "TIME-WAIT ended by a new SYN (RFC 6191)")                                 \
    X(tw_overflow, "connections", "TIME-WAIT ended early: net.inet.tcp.maxtcptw")                            \
    X(hc_added, "hosts", "Hosts entered into the host cache")                                                \
    X(hc_bucketoverflow, "hosts", "Hosts that left the host cache early: bucketlimit or cachelimit")         \
    X(cachedrtt, "connections", "Connections that left their RTT in the host cache")                         \
    X(cachedrttvar, "connections", "Connections that left their RTT variance in the host cache")             \
    X(cachedssthresh, "connections", "Connections that left their ssthresh in the host cache")               \
    X(usedrtt, "connections", "Connections that began with the host cache's RTT")                            \
    X(usedrttvar, "connections", "Connections that began with the host cache's RTT variance")                \
    X(usedssthresh, "connections", "Connections that began with the host cache's ssthresh")                  \
    X(sndtotal, "segments", "Segments sent")                                                                 \
    X(sndpack, "segments", "Data segments sent")                                                             \
    X(sndbyte, "bytes", "Data sent")                                                                         \
    X(sndrexmitpack, "segments", "Data segments sent again")                                                 \
    X(sndrexmitbyte, "bytes", "Data sent again")                                                             \
    X(sndacks, "segments", "Segments sent that only acknowledge")                                            \
    X(sndprobe, "segments", "Window probes sent")                                                            \
    X(sndwinup, "segments", "Window updates sent")                                                           \
    X(sndctrl, "segments", "SYN, FIN and RST segments sent without data")                                    \
    X(sndrst, "segments", "Resets sent")                                                                     \
    X(sndnomem, "segments", "Segments not sent for lack of buffers")                                         \
    X(rcvtotal, "segments", "Segments received")                                                             \
    X(rcvpack, "segments", "Segments received in order with data")                                           \
    X(rcvbyte, "bytes", "Data received in order")                                                            \
    X(rcvfastdata, "segments", "In-order data taken by header prediction")                                   \
    X(rcvfastack, "segments", "Pure ACKs taken by header prediction")                                        \
    X(rcvshort, "segments", "Dropped: shorter than a TCP header")                                            \
    X(rcvbadoff, "segments", "Dropped: bad data offset")                                                     \
    X(rcvbadsum, "segments", "Dropped: bad checksum")                                                        \
    X(rcvmulticast, "segments", "Dropped: sent to a group or broadcast address")                             \
    X(rcvcopy, "segments", "Dropped: another engine answers the original")                                   \
    X(rcvnoconn, "segments", "Dropped: no such connection or port (answered by RST where due)")              \
    X(rcvblackholed, "segments", "Dropped: no such port, and net.inet.tcp.blackhole forbids an answer")      \
    X(rcvsynfin, "segments", "Dropped: SYN with FIN, by net.inet.tcp.drop_synfin")                           \
    X(badrst, "segments", "Dropped: RST that is not acceptable")                                             \
    X(rcvrst, "segments", "RST that ended a connection")                                                     \
    X(badackhandshake, "segments", "Dropped: unacceptable ACK during the handshake (answered by RST)")       \
    X(rcvhandshake, "segments", "Dropped: neither SYN, RST nor good ACK while the handshake goes on")        \
    X(rcvnoack, "segments", "Dropped: no ACK flag where RFC 9293 wants one")                                 \
    X(rcvdupack, "segments", "Duplicate ACKs")                                                               \
    X(rcvoldack, "segments", "Old ACKs")                                                                     \
    X(rcvacktoomuch, "segments", "Dropped: acknowledges what was not sent, or far too old (RFC 5961)")       \
    X(rcvackpack, "segments", "ACKs of new data")                                                            \
    X(rcvackbyte, "bytes", "Data acknowledged by ACKs")                                                      \
    X(rcvduppack, "segments", "Dropped: all data known already")                                             \
    X(rcvdupbyte, "bytes", "Data of rcvduppack")                                                             \
    X(rcvpartduppack, "segments", "Segments with some data known already")                                   \
    X(rcvpartdupbyte, "bytes", "Known data cut off from rcvpartduppack")                                     \
    X(rcvafterwin, "segments", "Dropped: all data beyond the window")                                        \
    X(rcvpackafterwin, "segments", "Segments with some data beyond the window")                              \
    X(rcvbyteafterwin, "bytes", "Data beyond the window")                                                    \
    X(rcvwinprobe, "segments", "Window probes received")                                                     \
    X(rcvafterclose, "segments", "Dropped: data after the application closed (answered by RST)")             \
    X(rcvafterfin, "segments", "Dropped: data or FIN after the peer's FIN")                                  \
    X(rcvtimewait, "segments", "Dropped: segments in TIME-WAIT")                                             \
    X(rcvoopack, "segments", "Segments out of order that were kept")                                         \
    X(rcvoobyte, "bytes", "Data out of order that was kept")                                                 \
    X(rcvoodup, "segments", "Dropped: out of order and all data known already")                              \
    X(rcvreassfull, "segments", "Dropped: out of order, and the queue is full (reass.maxqueuelen)")          \
    X(rcvmemdrop, "segments", "Dropped: data, and no memory to keep it (recvbytes_max, 2 * SO_RCVBUF)")      \
    X(rcvcoalesced, "segments", "Small segments copied together to save buffers")                            \
    X(rcvwinupd, "segments", "Window updates received")                                                      \
    X(rcvshutdown, "bytes", "Data acknowledged and thrown away after SHUT_RD")                               \
    X(rcvbadopt, "segments", "Segments whose options were malformed (the rest of the options is ignored)")   \
    X(rcvurg, "segments", "Segments with URG: data is in line (RFC 6093)")                                   \
    X(pawsdrop, "segments", "Dropped by PAWS (RFC 7323)")                                                    \
    X(tsmissing, "segments", "Dropped: no timestamp on a connection that has them (RFC 7323 section 3.2)")   \
    X(challenge_acks, "segments", "Challenge ACKs sent (RFC 5961)")                                          \
    X(challenge_limited, "segments", "Challenge ACKs not sent, by the connection's limit")                   \
    X(synchallenge, "segments", "Dropped: SYN on a live connection")                                         \
    X(dsack_sent, "blocks", "Duplicate SACK blocks found to report (RFC 2883)")                              \
    X(sig_rcvgoodsig, "segments", "TCP-MD5: good signatures (RFC 2385)")                                     \
    X(sig_rcvbadsig, "segments", "Dropped: TCP-MD5 signature that is wrong")                                 \
    X(sig_err_nosigopt, "segments", "Dropped: no TCP-MD5 signature, and one is due")                         \
    X(sig_err_sigopts, "segments", "Dropped: TCP-MD5 signature where none is due")                           \
    X(sig_err_buildsig, "segments", "Segments not sent: the signature could not be made")                    \
    X(ao_good, "segments", "TCP-AO: good MACs (RFC 5925)")                                                   \
    X(ao_bad, "segments", "Dropped: TCP-AO MAC that is wrong")                                               \
    X(ao_keynotfound, "segments", "Dropped: TCP-AO KeyID of no key")                                         \
    X(ao_required, "segments", "Dropped: no TCP-AO option, and one is due")                                  \
    X(ao_unexpected, "segments", "Dropped: TCP-AO option where none is due")                                 \
    X(ao_dropped_icmps, "messages", "ICMP errors ignored because the connection has TCP-AO")                 \
    X(icmp_soft, "messages", "ICMP errors noted as soft errors")                                             \
    X(icmp_hard, "messages", "ICMP errors that ended a connection")                                          \
    X(icmp_toobig, "messages", "ICMP too big that lowered a path's MTU")                                     \
    X(icmp_ignored, "messages", "ICMP errors ignored: no connection, or sequence number out of window")      \
    X(stack_switches, "switches", "Connections that changed to another TCP stack")                           \
    X(stack_switch_failed, "switches", "Changes to a stack that could not begin: the old one went on")       \
    X(stack_fallbacks, "connections",                                                                        \
      "Of stack_switches: to the default one, for the peer lacks what the other needs (SACK)")               \
    X(portexhausted, "connections", "Active opens that found no free port")                                  \
    X(tablegrow, "events", "Doublings of the connection table")                                              \
    X(tablegrow_nomem, "events", "Doublings that found no memory")

struct tcp_stats {
#define TCP_STATS_FIELD(name, unit, desc) uint64_t name;
    TCP_STATS(TCP_STATS_FIELD)
#undef TCP_STATS_FIELD
};

static inline struct tcp_stats *tcp_stats(const struct engine *e)
{
    return e->tcp->stats;
}
