// SPDX-License-Identifier: BSD-3-Clause
// A TCP stack: the table of functions that decides what an ACK means, what is sent next and when, what a timer means.
// State machine, validation, options, reassembly, send buffer and segment output are shared and know no algorithm.
// default.c is the first; rack.c and bbr.c are compositions of the parts in loss/ and cc/. (FreeBSD: tcp_function_block.)
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/tcb.h"

struct sack_block {
    tcp_seq start, end;
};
#define TCP_MAX_SACK 4

/* An acceptable ACK, validated by input.c, before snd_una moves. */
struct tcp_ack {
    tcp_seq seq, ack;
    uint32_t acked;      /* bytes of sequence space newly acked; 0 = old or duplicate */
    uint32_t wnd;        /* peer's window, scaled */
    uint32_t payload;    /* bytes of data in the segment */
    bool window_changed; /* snd_wnd differs from before */
    bool has_ts;
    uint32_t tsecr;
    bool fin, ece;
    uint32_t marked; /* AccECN: bytes newly reported marked */
    uint8_t n_sack;
    struct sack_block sack[TCP_MAX_SACK]; /* as on the wire: sack[0] may be a DSACK */
    uint64_t now;
};

/* One segment that left, told to the stack after the fact. */
struct tcp_sent {
    tcp_seq seq;
    uint32_t len;  /* payload bytes */
    uint8_t flags; /* TCP header flags */
    bool rexmit;   /* any byte of it was sent before */
    uint64_t now;
};

/* Bytes of what is outstanding, for TCP_INFO. As Linux counts: what was lost and went again is lost until it is acknowledged. */
struct tcp_marks {
    uint32_t sacked, lost, again; /* again: sent again and not acknowledged yet */
    uint32_t probes;              /* tail loss probes sent since the stack began, */
    uint64_t probe_bytes;         /* and their payload */
};

struct tcp_stack {
    const char *name;
    /*
     * Attach to a connection in any state, fresh or live. A live one: snd_una..snd_max is outstanding and snd_nxt = snd_max (with TT_PERSIST
     * armed: as the old stack left it), stack_state is zeros, there is no scoreboard, no TF_RECOVERY and no TF_RTO_RECOVERY; TT_REXMT and TT_PERSIST are
     * as they were, TT_STACK is off. tp->stack is still the old one. 0 or -errno, nothing kept.
     */
    int (*init)(struct tcb *tp);
    /* Detach: give back what init and later calls allocated. dying: the connection ends, else another stack takes over: only memory matters, the
     * rest of the connection is put to what the other stack's init made of it. */
    void (*fini)(struct tcb *tp, bool dying);
    /* Optional, after init on a live connection: the stack before was in recovery until tp->recover, and cut the window for it; timeout: by TT_REXMT.
     * NULL: what is lost is found out anew. */
    void (*recovering)(struct tcb *tp, bool timeout);
    /* May this stack take over the connection now? 0; -EAGAIN: not yet; -EINVAL: never (no SACK, say). Asked again when the handshake is over: with
     * -EINVAL the default stack takes over (functions.h). */
    int (*handoff_ok)(const struct tcb *tp);
    /* The handshake is over: MSS, options and first RTT are known. */
    void (*established)(struct tcb *tp);
    /* Digest an ACK: scoreboard, RTT, congestion response, recovery. May move snd_nxt, cwnd, ssthresh. snd_una is the old one. */
    void (*ack)(struct tcb *tp, const struct tcp_ack *a);
    /* Due: send what window, cwnd, pacing and readiness allow, through tcp_output_segment(). Owes ACKs too. Calls
     * engine_mark_due() or arms TT_STACK when it stopped for another reason than window, cwnd or data. */
    void (*output)(struct tcb *tp);
    /* A segment left (also the ones that shared code sends). */
    void (*sent)(struct tcb *tp, const struct tcp_sent *s);
    /* TT_REXMT, TT_PERSIST or TT_STACK went off. */
    void (*timer)(struct tcb *tp, enum tcp_timer which, uint64_t now);
    /* maxseg became smaller: segments in flight may have to be cut again. */
    void (*mtu_changed)(struct tcb *tp);
    /* Stack's own options; -ENOPROTOOPT when unknown. NULL: none. */
    int (*setopt)(struct tcb *tp, int name, const void *val, uint32_t len);
    int (*getopt)(const struct tcb *tp, int name, void *val, uint32_t *len);
    /* Estimate of bytes in flight (RFC 6675 pipe) for TCP_INFO and application-limited tests. */
    uint32_t (*pipe)(const struct tcb *tp);
    /* What the stack knows of what is outstanding. NULL: nothing. */
    void (*marks)(const struct tcb *tp, struct tcp_marks *m);
};

extern const struct tcp_stack tcp_stack_default, tcp_stack_rack;
/* By name or alias, functions.c. NULL: unknown. */
const struct tcp_stack *tcp_stack_find(const char *name);
/* Its number, for the black box; and back. NULL: none has it. */
unsigned tcp_stack_id(const struct tcp_stack *stack);
const struct tcp_stack *tcp_stack_by_id(unsigned id);

/*
 * Congestion control: a small table that answers events with cwnd and ssthresh (FreeBSD: cc(9)). Knows no segments.
 */
enum cc_event {
    CC_LOSS_FAST, /* enter fast recovery: cut once per window */
    CC_LOSS_RTO,  /* timeout */
    CC_ECN,       /* ECE: as a loss without one */
    CC_UNDO,      /* the last cut was spurious: take cwnd and ssthresh back */
    CC_RECOVERED, /* recovery ended */
    CC_IDLE,      /* restart after idle (RFC 5681 §4.1) */
};
struct cc_ack {
    tcp_seq ack;
    uint32_t acked;  /* bytes newly delivered (acked or sacked) */
    uint32_t marked; /* of them, bytes that the peer says were marked by ECN */
    uint64_t rtt;    /* ns, 0 = no sample */
    uint32_t flight; /* bytes in flight before the ACK */
    /* cwnd was not filled: do not grow (RFC 7661). Of several such ACKs in a row only the first is told. */
    bool app_limited;
    uint64_t now;
};
struct tcp_cc {
    const char *name;             /* TCP_CONGESTION */
    void (*init)(struct tcb *tp); /* state in tp->cc_state; cwnd set by the caller (RFC 6928) */
    void (*acked)(struct tcb *tp, const struct cc_ack *a); /* outside recovery */
    void (*event)(struct tcb *tp, enum cc_event ev, uint32_t flight);
    /* Optional: every ACK of a connection with ECN, in recovery too. */
    void (*feedback)(struct tcb *tp, const struct cc_ack *a);
    bool exact_ecn; /* the peer is to hear of each mark, not of congestion (RFC 8257 section 3.2) */
};
const struct tcp_cc *tcp_cc_find(const char *name);
/* RFC 6928: min(10 * MSS, max(2 * MSS, 14600)), or net.inet.tcp.initcwnd_segments. */
uint32_t tcp_cc_initial_window(const struct tcb *tp);
