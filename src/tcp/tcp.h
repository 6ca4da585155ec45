// SPDX-License-Identifier: BSD-3-Clause
// TCP of one engine: the door for the socket floor (calls below) and for the TCP rooms (struct tcp_layer).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/ecn.h"
#include "tcp/functions.h"
#include "tcp/loss/loss.h"
#include "tcp/stack.h"
#include "tcp/tcb.h"

struct bb_layer;
struct tcp_rack;
TAILQ_HEAD(tcb_list, tcb);

/* What the socket floor wants to hear. Called within the receive, wheel or due phase; must not call back into
 * TCP's output, and must not close or abort the connection: the caller still has it. */
struct tcp_upcalls {
    void (*connected)(struct tcb *tp);        /* active open done */
    void (*acceptable)(struct tcb *listener); /* its complete queue grew */
    void (*readable)(struct tcb *tp);         /* bytes, FIN or error arrived */
    void (*writable)(struct tcb *tp);         /* send space grew past lowat */
    void (*failed)(struct tcb *tp,
                   int error); /* the connection is over: ECONNRESET, ETIMEDOUT, ... tp->error is set */
    /* The tcb goes: the socket forgets it. Last call. */
    void (*detached)(struct tcb *tp);
};

struct tcp_listen { /* of a listening tcb */
    uint32_t backlog;
    uint32_t n_complete;
    struct tcb_list complete; /* what accept() gives; half-open connections are in the SYN cache */
};

struct
    tcp_params { /* sysctl net.inet.tcp.*, each with FreeBSD's name and default where it has one: params.c */
    uint32_t sendspace, recvspace, sendbuf_max, recvbuf_max, maxsockbuf;
    bool sendbuf_auto, recvbuf_auto, rfc1323, sack, delayed_ack, path_mtu_discovery, always_keepalive,
        tolerate_missing_ts, drop_synfin, insecure_rst, insecure_syn, icmp_may_rst, blackhole_local,
        insecure_ack, tso, sendbuf_auto_lowat, nolocaltimewait, fast_finwait2_recycle, rfc6191,
        functions_inherit;
    uint32_t log_in_vain, maxunacktime_ms, msl_local_ms, maxtcptw, maxorphans;
    uint32_t sendbuf_inc, mssdflt, v6mssdflt, minmss, blackhole, ack_war_ms, ack_war_cnt, quickack_bytes;
    uint32_t delacktime_ms, msl_ms, rexmit_min_ms, rexmit_max_ms, rexmit_initial_ms, rexmit_slop_ms;
    uint32_t keepinit_ms, keepidle_ms, keepintvl_ms, keepcnt, persmin_ms, persmax_ms, finwait2_timeout_ms;
    uint32_t maxtcb, reass_maxqueuelen, reass_maxsegments, initcwnd_segments, port_first, port_last,
        somaxconn;
    uint64_t recvbytes_limit;
    char stack_default[32], cc_default[16];
};

struct tcp_stats; /* stats.h: FreeBSD's tcpstat names where it has them */

struct tcp_layer {
    struct engine *e;
    struct tcp_params params;
    const struct tcp_stack *stack_default; /* what params name */
    uint32_t stack_users[TCP_STACKS_MAX];  /* connections of each, by tcp_stack_id() */
    const struct tcp_cc *cc_default;
    struct tcp_stats *stats;
    struct hostcache *hostcache; /* hostcache.c: what earlier connections learned of their peers */
    struct tcp_rack *rack;       /* settings, counters and memory of stacks/rack.h */
    struct tcp_loss loss;        /* settings, counters and memory of loss/ and cc/ */
    struct tcp_ecn ecn;          /* settings and counters of ECN */
    struct auth_layer *auth;     /* auth/keys.h */
    struct pmtu_layer pmtu;      /* settings and counters of pmtu.c */
    struct pool tcbs, reass_segs;
    struct sendbuf_pools send;
    uint64_t made;                /* connections and listeners so far: their ids */
    uint64_t recv_bytes;          /* buffers held in all receive and reassembly queues */
    uint32_t states[TCP_NSTATES]; /* connections in each state */
    uint32_t orphans;             /* connections that no socket has, but for those in TIME_WAIT */
    struct tcb_list time_wait;    /* in TIME_WAIT, the one whose time began first before the others */
    struct bb_layer *bb;          /* black box; its rounds */
    struct wheel_timer bb_timer;
    struct demux *demux;           /* demux.c: connections by four-tuple; listeners and bound ports */
    struct tcp_syncache *syncache; /* syncache.c: half-open passive connections */
    struct tcp_fastopen *fastopen; /* fastopen.h */
    struct tcb_list all;
    struct tcb *walk;   /* tcp_walk(): the next to visit; NULL: none */
    uint32_t walk_left; /* and how many more at most */
};

struct demux;
struct tcp_syncache;

/* params.c, stats.c: sysctl names. 0 or -errno. */
int tcp_params_register(struct tcp_layer *t);
int tcp_stats_register(struct tcp_layer *t);
/* hpts.c: names of the engine's wheel. */
int tcp_hpts_register(struct tcp_layer *t);
void tcp_hpts_unregister(struct tcp_layer *t);
/* cc/cc.c: names of congestion controls, blanks between. 0 or -ENOSPC. */
int tcp_cc_names(char *buf, size_t size);
int tcp_create(struct engine *e);
/* Aborts what is left without a word on the wire and frees it. */
void tcp_destroy(struct engine *e);
/* Only the first half: no connection is left, and what they held has been released. */
void tcp_quiesce(struct engine *e);

/*
 * For the socket floor. All return 0 or -errno.
 */
struct tcb *tcp_new(struct engine *e, const struct tcp_upcalls *up, void *so); /* NULL: limit */
#define TCP_BIND_REUSEADDR 1
#define TCP_BIND_REUSEPORT 2
#define TCP_BIND_V6ONLY    4
#define TCP_BIND_V6        8      /* the socket's family is AF_INET6 */
#define TCP_CONNECT_DATA   0x8000 /* tcp_connect(): what is written now may go with the SYN (RFC 7413) */
/* port 0: an ephemeral one. Addresses in network order. -EADDRINUSE, -EADDRNOTAVAIL, -EINVAL (bound already). */
int tcp_bind(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags);
int tcp_listen(struct tcb *tp, int backlog, unsigned flags);
/* The SYN leaves in this turn. -EADDRNOTAVAIL, -EADDRINUSE, -ENETUNREACH, ... */
int tcp_connect(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags);
/* First of the complete queue, with upcalls and socket set to the caller's; NULL: none. */
struct tcb *tcp_accept(struct tcb *listener);
void tcp_adopt(struct tcb *tp, const struct tcp_upcalls *up, void *so);
/* Bytes copied into the send buffer (may be less than asked), or -EPIPE, -ENOTCONN, -ENOBUFS, -EAGAIN (no space). more: MSG_MORE. */
int64_t tcp_send(struct tcb *tp, const struct iovec *iov, int iovcnt, size_t len, bool more);
/* Queues an extent (space is not checked). -EPIPE, -ENOTCONN. */
int tcp_send_extent(struct tcb *tp, struct extent *x);
/* Payload of full segments where every byte is read here anyway and nothing below cuts: what is written can lie as it will leave. 0: elsewhere. */
uint32_t tcp_cut_size(const struct tcb *tp);
/* Is enough ready and not sent to make a packet as large as they get? What has sent it last asks for more (struct extent, want). */
bool tcp_ready_ahead(const struct tcb *tp);
/* The application took n bytes out of tp->rcv: the window may open. */
void tcp_received(struct tcb *tp, uint32_t n);
/* SHUT_WR: FIN follows the queued bytes. */
int tcp_shutdown_write(struct tcb *tp);
/* Last reference of the application is gone. linger 0 or unread data (RFC 2525 §2.17): RST; else FIN and on as orphan. */
void tcp_close(struct tcb *tp, bool abort);
/* Ends the connection with a RST and error, calls failed and detached. */
void tcp_abort(struct tcb *tp, int error);
/* Visits up to most connections and listeners, in the order in which they were made, going on where the last call stopped (first: from the
 * beginning); fn may end the one that it is given. Returns whether that was the last. One walk an engine at a time. tcp.c */
bool tcp_walk(struct tcp_layer *t, bool first, unsigned most, int (*fn)(struct tcb *tp, void *arg),
              void *arg);
/* Level IPPROTO_TCP options by number of <netinet/tcp.h>; name checked here, -ENOPROTOOPT when unknown. */
int tcp_setopt(struct tcb *tp, int name, const void *val, uint32_t len);
int tcp_getopt(struct tcb *tp, int name, void *val, uint32_t *len);
struct leat_tcp_info;
void tcp_fill_info(const struct tcb *tp, struct leat_tcp_info *info);
struct leat_freebsd_tcp_info;
void tcp_fill_freebsd_info(struct tcb *tp, struct leat_freebsd_tcp_info *info);

/*
 * Among TCP rooms.
 */
/* input.c */
void tcp_input(struct engine *e, struct rte_mbuf **pkts, uint16_t n);
void tcp_icmp_error(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, const uint8_t *l4,
                    uint32_t len, int type, int code, uint32_t mtu);
/*
 * recvbuf.c: the receive queue. Everybody who puts data in or takes it out does it here, so that bytes, memory and the engine's
 * recv_bytes agree.
 */
/* Appends m's chain (small data is copied together). Takes m. */
void recvbuf_append(struct tcb *tp, struct rte_mbuf *m);
/* May m be kept (2 * hiwat of buffers, net.inet.tcp.recvbytes_max)? */
bool recvbuf_room(const struct tcb *tp, const struct rte_mbuf *m);
/* Frees the first n bytes. n <= rcv.bytes. The caller then calls tcp_received(). */
void recvbuf_drop(struct tcb *tp, uint32_t n);
/* Takes the first mbuf out (data_len bytes, next is NULL) for somebody who will free it; NULL when empty. */
struct rte_mbuf *recvbuf_take(struct tcb *tp);
void recvbuf_free(struct tcb *tp);

/* demux.c: 0 or -errno. Addresses and ports in network order. */
int demux_create(struct tcp_layer *t);
void demux_destroy(struct tcp_layer *t);
uint32_t demux_hash(const struct engine *e, const struct ip_addr *faddr, const struct ip_addr *laddr,
                    uint16_t fport, uint16_t lport);
struct tcb *demux_find(struct tcp_layer *t, uint32_t hash, const struct ip_addr *faddr,
                       const struct ip_addr *laddr, uint16_t fport, uint16_t lport);
/* Exact address before any; among several (SO_REUSEPORT) the one that hash picks. */
struct tcb *demux_find_listener(struct tcp_layer *t, uint32_t hash, const struct ip_addr *laddr,
                                uint16_t lport);
/* One that is bound there and neither listens nor is connected, or NULL. */
const struct tcb *demux_find_bound(struct tcp_layer *t, const struct ip_addr *laddr, uint16_t lport);
/* Takes a local port (0: an ephemeral one) for tp and sets laddr, lport, bind_flags. -EADDRINUSE, -EINVAL (bound already),
 * -EADDRNOTAVAIL (no ephemeral port free), -ENOMEM. Whether the address is ours is the caller's business. */
int demux_bind(struct tcb *tp, const struct ip_addr *addr, uint16_t port_be, unsigned flags);
/* tp is bound and is to listen: -EADDRINUSE when another listener is in the way. The caller then sets TCPS_LISTEN. */
int demux_listen(struct tcb *tp, unsigned flags);
/* Active open: laddr, faddr, fport and path are set. Chooses lport when it is 0 (RFC 6056; replies must come back to this engine),
 * then inserts. -EADDRINUSE (four-tuple is there), -EADDRNOTAVAIL (no port free), -ENOMEM. */
int demux_connect(struct tcb *tp);
int demux_insert(struct tcb *tp); /* -EADDRINUSE when the four-tuple is there, -ENOMEM */
/* The same for who knows the hash, and that nobody has the four-tuple. -ENOMEM. */
int demux_insert_new(struct tcb *tp, uint32_t hash);
void demux_remove(struct tcb *tp); /* connection, listener or bound port, whatever it is */
/* listen.c: the queue of a listening tcb; NULL: no memory. Free: who is still in it goes too. */
struct tcp_listen *tcp_listen_new(struct tcb *tp);
void tcp_listen_free(struct tcb *tp);
/* tp leaves the queue it waits in, if any. */
void tcp_listen_unqueue(struct tcb *tp);
/* rcvtune.c: the application took n bytes; an ACK came, and the send buffer held so many bytes before it. */
void rcvtune_copied(struct tcb *tp, uint32_t n);
void sndtune(struct tcb *tp, uint32_t held);
/* timers.c: TT_KEEP by the connection's keepalive settings and idle time, or off. */
void tcp_keepalive_arm(struct tcb *tp);
/* isn.c: a secret function of a connection (a port of 0: of all that have the rest), another one for each use. */
enum tcp_digest_use { DIGEST_ISN = 1, DIGEST_PORT };
uint64_t tcp_flow_digest(const struct engine *e, const struct ip_addr *laddr, const struct ip_addr *faddr,
                         uint16_t lport, uint16_t fport, enum tcp_digest_use use);
/* iss (RFC 6528) and timestamp offset (RFC 7323 §5.4) of a four-tuple; addresses and ports in network order. */
void tcp_isn(const struct engine *e, const struct ip_addr *laddr, const struct ip_addr *faddr, uint16_t lport,
             uint16_t fport, tcp_seq *iss, uint32_t *ts_offset);
/* Of a connection's; snd_una, snd_nxt, snd_max = iss. */
void tcp_isn_init(struct tcb *tp);
/* Window scale that we offer: the smallest that can announce kern.ipc.maxsockbuf (RFC 7323 §2.3: 14 at most). */
static inline uint8_t tcp_window_scale(const struct tcp_layer *t)
{
    uint8_t scale = 0;
    while (scale < 14 && (UINT64_C(65535) << scale) < t->params.maxsockbuf)
        scale++;
    return scale;
}
/* state.c: the machine */
void tcp_set_state(struct tcb *tp, enum tcp_state s);
void tcp_established(struct tcb *tp);
/* In FIN_WAIT_2 nobody reads any more: when to give up waiting for the peer's FIN. */
void tcp_fin_wait_2_arm(struct tcb *tp);
void tcp_drop(struct tcb *tp, int error); /* to CLOSED with an error for the socket, no RST */
void tcp_free(struct tcb *tp);            /* out of every list and back to the pool */
/* timewait.c: into TIME_WAIT, or its time begins again. The oldest of the others may go (maxtcptw). */
void tcp_time_wait(struct tcb *tp);
/* timers.c */
void tcp_timer_arm(struct tcb *tp, enum tcp_timer which, uint64_t deadline);
void tcp_timer_stop(struct tcb *tp, enum tcp_timer which);
static inline bool tcp_timer_armed(const struct tcb *tp, enum tcp_timer which)
{
    return tp->timer_at[which] != TIME_NEVER;
}
void tcp_timers_init(struct tcb *tp);
void tcp_timers_stop(struct tcb *tp);
/* loss/rto.c: RFC 6298 */
void rto_sample(struct tcb *tp, uint64_t rtt_ns);
void rto_arm(struct tcb *tp, uint64_t now); /* TT_REXMT = now + rto << rxtshift */
void rto_backoff(struct tcb *tp);
/* isn.c: our clock for timestamps, ms + offset */
uint32_t tcp_ts_now(const struct tcb *tp);
/* mss.c: maxseg by route MTU, peer's option, TCP_MAXSEG and option bytes; RFC 9293 §3.7.1, RFC 6691 */
void tcp_mss_update(struct tcb *tp);
/* ICMP is believed: the path takes no more than mtu. Segments follow; what is in flight is the caller's business. */
void tcp_path_smaller(struct tcb *tp, uint32_t mtu);
/* The largest segment that fits into mtu, at most user bytes (TCP_MAXSEG; 0: no such wish) and what the interface (or NULL) allows. */
uint16_t tcp_mss_largest(const struct ip_addr *faddr, uint32_t mtu, uint16_t user, const struct netif *nif);
