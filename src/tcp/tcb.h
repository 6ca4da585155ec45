// SPDX-License-Identifier: BSD-3-Clause
// The connection. What every segment touches lies in the first cache lines; what only recovery or rare options need is
// allocated when first needed. Owned by its engine's table from SYN to the end of TIME-WAIT.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_common.h>
#include <rte_mbuf.h>
#include "base/ipaddr.h"
#include "engine/engine.h"
#include "ip/ip.h"
#include "tcp/pacer.h"
#include "tcp/pmtu.h"
#include "tcp/seq.h"
#include "tcp/sendbuf.h"

/* RFC 9293 §3.3.2; order and numbers of FreeBSD's tcp_fsm.h. */
enum tcp_state {
    TCPS_CLOSED,
    TCPS_LISTEN,
    TCPS_SYN_SENT,
    TCPS_SYN_RECEIVED,
    TCPS_ESTABLISHED,
    TCPS_CLOSE_WAIT,
    TCPS_FIN_WAIT_1,
    TCPS_CLOSING,
    TCPS_LAST_ACK,
    TCPS_FIN_WAIT_2,
    TCPS_TIME_WAIT,
    TCP_NSTATES
};
#define TCPS_HAVERCVDSYN(s)     ((s) >= TCPS_SYN_RECEIVED)
#define TCPS_HAVEESTABLISHED(s) ((s) >= TCPS_ESTABLISHED)
#define TCPS_HAVERCVDFIN(s)     ((s) == TCPS_CLOSE_WAIT || ((s) >= TCPS_CLOSING && (s) != TCPS_FIN_WAIT_2))

/* One wheel entry serves all timers of a connection: it is armed for the earliest, and lazily (a deadline that moves later
 * leaves it where it is). TT_STACK belongs to the stack: pacing, RACK, TLP. */
enum tcp_timer { TT_REXMT, TT_PERSIST, TT_DELACK, TT_KEEP, TT_2MSL, TT_STACK, TT_N };

enum tcb_flags {
    TF_ACKNOW = 0x1,  /* an ACK leaves in this turn */
    TF_DELACK = 0x2,  /* an ACK is owed; TT_DELACK is armed */
    TF_NODELAY = 0x4, /* TCP_NODELAY */
    TF_NOPUSH = 0x8,  /* TCP_CORK / TCP_NOPUSH */
    TF_NOOPT = 0x10,  /* TCP_NOOPT: send and heed no options */
    TF_REQ_SCALE = 0x20,
    TF_RCVD_SCALE = 0x40, /* window scale asked / received; both = in use */
    TF_REQ_TSTMP = 0x80,
    TF_RCVD_TSTMP = 0x100,    /* timestamps likewise */
    TF_SACK_PERMIT = 0x200,   /* SACK in use */
    TF_SENTFIN = 0x400,       /* our FIN has been sent at least once */
    TF_FIN_QUEUED = 0x800,    /* the application closed its side: FIN follows the last byte */
    TF_RECOVERY = 0x1000,     /* fast recovery */
    TF_RTO_RECOVERY = 0x2000, /* after a timeout, until snd_una passes recover */
    TF_MORETOCOME = 0x4000,   /* MSG_MORE: Nagle holds a partial segment */
    TF_ORPHAN = 0x8000,       /* no socket any more */
    TF_KEEPALIVE = 0x10000,
    TF_RST_PENDING = 0x20000,
    TF_PASSIVE = 0x40000,      /* made by a listener */
    TF_FORCE_PROBE = 0x80000,  /* a window probe leaves in this turn */
    TF_CANTRCVMORE = 0x100000, /* SHUT_RD: received data is acked and dropped */
    TF_QUICKACK = 0x200000,
    TF_RCVBUF_FIXED = 0x400000, /* SO_RCVBUF was set: no auto-tuning */
    TF_SNDBUF_FIXED = 0x800000, /* SO_SNDBUF likewise */
    TF_FASTOPEN = 0x1000000,    /* TCP_FASTOPEN */
    TF_PACED = 0x2000000,       /* output at a rate (pacer.h) */
    TF_ECN_OPTION = 0x4000000,  /* an AccECN option goes with the next ACK (accecn.h) */
    TF_RXWIN0SENT = 0x8000000,  /* the last window sent was 0: what comes now is acknowledged at once */
    TF_AUTH = 0x20000000,       /* segments are signed (auth/auth.h); of a listener: it has keys */
    TF_FRAGMENT = 0x40000000,   /* segments may be fragmented on their way: no path MTU discovery */
};

struct tcp_stack;
struct tcp_cc;
struct tcp_upcalls;
struct bb_log;   /* blackbox/blackbox.h */
struct recovery; /* loss/scoreboard.h */
struct reass;    /* reassembly.h */
struct tcp_port; /* demux.c */
struct tcp_auth; /* auth/keys.h */

struct recvbuf {
    struct rte_mbuf *head,
        *tail;      /* payload in order, one mbuf chain linked by next: packet boundaries are not kept */
    uint32_t bytes; /* ready for the application */
    uint32_t hiwat; /* limit (SO_RCVBUF, auto-tuned) */
    uint32_t lent;  /* bytes the application has on loan (zero copy): they count against hiwat */
    uint32_t lowat; /* SO_RCVLOWAT */
    uint32_t
        memory; /* bytes of buffers held (mbuf sizes): bounded by 2 * hiwat, else small segments would cost without limit */
};

/* Bytes of payload by the ECN field that they came with (RFC 9768 §3.2.1; its initial values are added on the wire). */
struct ecn_bytes {
    uint32_t e0, ce, e1;
};

/* Do our AccECN options get through? RFC 9768 §3.2.3.2.2; written by accecn.c. */
struct accecn_test {
    tcp_seq end;       /* of the data that is watched */
    bool watching;     /* data with an option is in flight, and was not sent again */
    bool written;      /* the last segment that was built has an option */
    bool said;         /* an ACK without data left with one, and no data came since */
    bool first_data;   /* the client's first data is to have one (§3.2.3.2.1) */
    uint8_t data_lost; /* segments with an option that were lost, the SYN-ACK too, none having arrived */
    uint8_t acks_lost; /* the same of ACKs, in a row */
};

/* Space for a congestion control's and a stack's own state inside the tcb. */
#define TCP_CC_BYTES    96
#define TCP_STACK_BYTES 128

struct tcb {
    /* Lookup. */
    struct tcb *hash_next;
    uint32_t hash;
    uint16_t fport, lport; /* network order */
    struct ip_addr faddr, laddr;

    /* Every segment. */
    struct engine *e __rte_cache_aligned;
    uint8_t state; /* enum tcp_state */
    uint8_t snd_scale, rcv_scale;
    uint8_t dupacks;
    uint32_t flags; /* enum tcb_flags */
    tcp_seq snd_una, snd_nxt, snd_max;
    uint32_t snd_wnd; /* bytes, scaled */
    tcp_seq snd_wl1, snd_wl2;
    tcp_seq rcv_nxt;
    tcp_seq rcv_adv; /* right edge that we announced */
    tcp_seq last_ack_sent;
    uint32_t rcv_wnd;        /* bytes we would announce now */
    uint32_t ts_recent;      /* RFC 7323 */
    uint16_t maxseg;         /* payload bytes of a full segment, options already taken off */
    uint16_t mss_peer;       /* the peer's MSS option, or its default */
    uint32_t cwnd, ssthresh; /* bytes; written by cc and stack */
    uint32_t segs_unacked;   /* full segments received since the last ACK left */
    uint16_t ecn;            /* enum tcb_ecn of ecn.h; 0 = no ECN */
    uint8_t ace_rcv,
        ace_snd; /* AccECN: marked segments received, and sent ones the peer saw marked; modulo 8 on the wire */
    const struct tcp_stack *stack;
    const struct tcp_cc *cc;
    struct due due;     /* output pass of this turn */
    struct bb_log *log; /* black box (tcp/log.h); NULL: not recorded */

    struct sendbuf snd;
    struct recvbuf rcv;
    struct ip_path path;

    /* Timers. */
    struct wheel_timer wheel;
    uint64_t timer_at[TT_N]; /* deadline, TIME_NEVER = off */

    /* Round trip times, ns (RFC 6298). */
    uint64_t srtt, rttvar, rttmin, rto;
    uint32_t rttupdated; /* samples taken */
    uint64_t rtt_start;  /* send time of rtt_seq when timing without timestamps; 0 = none */
    tcp_seq rtt_seq;
    uint64_t
        stalled_since; /* the wait for an ACK (or an open window) that timers have noticed began; 0 = none */
    uint8_t rxtshift;  /* backoff of the RTO; goes with the next RTT sample (Karn) */
    uint8_t rexmits;   /* timeouts in a row without progress */
    uint8_t persist_shift;
    uint16_t softerror;

    /* Set up once or rarely. */
    tcp_seq iss, irs;
    tcp_seq recover;         /* snd_max when recovery began (RFC 6582, RFC 6675) */
    uint8_t ace_unsaid;      /* marked segments since the last ACK left */
    tcp_seq ecn_recover;     /* TE_REDUCED lasts until snd_una reaches it */
    tcp_seq snd_up, fin_seq; /* sequence number of the peer's FIN once seen in order */
    tcp_seq snd_sml;         /* end of the last small segment sent (Minshall's Nagle) */
    uint32_t max_sndwnd;
    uint32_t challenges;            /* challenge ACKs since challenge_at (RFC 5961 §7) */
    uint64_t challenge_at;          /* ns */
    tcp_seq dsack_start, dsack_end; /* to be reported once; equal = none */
    uint32_t ts_offset;             /* ours */
    uint64_t ts_recent_at;
    uint64_t last_rcv, last_snd; /* times of the last segment in, last data out */
    uint64_t started, idle_since;
    struct recovery *recovery; /* scoreboard, allocated on the first hole */
    struct reass *reass;       /* out of order queue, allocated on the first gap */
    struct tcp_auth *auth;     /* keys; NULL: none */
    struct tcp_pmtu pmtu;
    struct pacer pacer;

    /* Receive buffer auto-tuning (rcvtune.c). */
    uint64_t tune_at;
    tcp_seq tune_seq;
    uint32_t tune_copied;

    /* Above. */
    const struct tcp_upcalls *up;
    void *so;             /* socket; NULL when orphan or not yet accepted */
    struct tcb *listener; /* of a passive connection not yet accepted */
    TAILQ_ENTRY(tcb)
    accept_link;               /* in the listener's queue, later in the engine's of TIME_WAIT */
    TAILQ_ENTRY(tcb) all_link; /* every tcb of the engine */
    struct tcp_listen *listen; /* TCPS_LISTEN only */
    struct fastopen *fastopen; /* RFC 7413; NULL: not in use */
    struct tcp_port *port;     /* demux.c: the local port's list that holds port_link; NULL = not bound */
    LIST_ENTRY(tcb) port_link;
    uint16_t bind_flags; /* TCP_BIND_* */
    bool in_table;       /* demux.c: hash_next is valid */
    int error;           /* pending SO_ERROR, positive errno */

    /* Options. */
    uint64_t id; /* of this connection in the process, never used again (FreeBSD: inp_gencnt) */
    uint8_t tos, ttl;
    uint16_t maxseg_user; /* TCP_MAXSEG; 0 = none */
    uint32_t keepinit_ms, keepidle_ms, keepintvl_ms, user_timeout_ms;
    uint16_t keepcnt, keep_probes;
    uint32_t scope_index;

    /* Counted for TCP_INFO. */
    struct ecn_bytes ecn_rcv, ecn_told; /* AccECN: what came, and what the peer says came */
    uint32_t ce_rcv, ce_told;           /* AccECN: segments marked, likewise */
    struct accecn_test ecn_test;
    uint32_t snd_zerowin; /* segments sent with a window of 0 */
    uint64_t bytes_in, bytes_out, segs_in, segs_out, rexmit_bytes, rexmit_segs, ooo_segs;

    uint64_t stack_state[TCP_STACK_BYTES / 8];
    uint64_t cc_state[TCP_CC_BYTES / 8];
};

/* Bytes sent and neither acked nor known lost or delivered: the stack decides what counts. */
static inline uint32_t tcb_flight(const struct tcb *tp)
{
    return tp->snd_max - tp->snd_una;
}
/* In state s, would it live on without a socket and not just wait out its time? */
static inline bool tcp_is_orphan(const struct tcb *tp, enum tcp_state s)
{
    return (tp->flags & TF_ORPHAN) && s > TCPS_LISTEN && s != TCPS_TIME_WAIT;
}
static inline void tcb_mark_due(struct tcb *tp)
{
    engine_mark_due(tp->e, &tp->due);
}
