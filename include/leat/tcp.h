/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP options beyond <netinet/tcp.h>, and FreeBSD's struct tcp_info. Option numbers that Linux lacks are 0x10000 + FreeBSD's. */
#ifndef LEAT_TCP_H
#define LEAT_TCP_H

#include <stdint.h>
#include <leat/leat.h>

#define LEAT_TCP_NOPUSH 0x10004
#define LEAT_TCP_NOOPT  0x10008
#define LEAT_TCP_INFO                                                                                        \
    0x10020 /* FreeBSD's: struct leat_freebsd_tcp_info; Linux's TCP_INFO: struct leat_tcp_info */
#define LEAT_TCP_MAXUNACKTIME 0x10044 /* s: as TCP_USER_TIMEOUT, which counts in ms; 0: none */
#define LEAT_TCP_KEEPINIT     0x10080
#define LEAT_TCP_FASTOPEN     0x10401 /* as Linux's TCP_FASTOPEN */

/* FreeBSD's TCP_MD5SIG: an int; 1 = only peers that a key is for (docs/authentication.md). The keys come by Linux's TCP_MD5SIG (14) and
 * TCP_MD5SIG_EXT (32) with struct tcp_md5sig, both of <netinet/tcp.h>. */
#define LEAT_TCP_MD5SIG 0x10010

/* Linux's TCP_AO_*, whose numbers are other options' on FreeBSD: 0x20000 + Linux's. Structures and errors are Linux's (docs/authentication.md). */
#define LEAT_TCP_AO_ADD_KEY  0x20026
#define LEAT_TCP_AO_DEL_KEY  0x20027
#define LEAT_TCP_AO_INFO     0x20028
#define LEAT_TCP_AO_GET_KEYS 0x20029

/*
 * uint64_t: what the connection sends leaves at this rate at most, evenly, bytes of frames a second (FreeBSD's number; every stack heeds it). 0: no limit. The
 * same limit as Linux's SO_MAX_PACING_RATE (level SOL_SOCKET; 32 bits, or 64 where the length says so; all ones: no limit). docs/hpts.md.
 */
#define TCP_PACING_RATE_CAP 1131

/*
 * The connection's TCP stack, by name (FreeBSD's tcp_functions(9)), in any state. set: EINVAL (length; the stack cannot work with this peer),
 * ENOENT (no such stack), ECONNRESET (the connection is over), EAGAIN (ask again later), ENOMEM; on error the stack that was goes on. The
 * names: net.inet.tcp.functions_available; "freebsd" is another one of "default". TCP_FUNCTION_ALIAS (get only): the other name, or "".
 */
#define TCP_FUNCTION_BLK          8192
#define TCP_FUNCTION_ALIAS        8193
#define TCP_FUNCTION_NAME_LEN_MAX 32
struct tcp_function_set {
    char function_set_name[TCP_FUNCTION_NAME_LEN_MAX]; /* with its NUL */
    uint32_t pcbcnt;                                   /* get: connections of this engine that have it */
};

/*
 * Options of the rack stack, FreeBSD's names and numbers: an int. EINVAL: the value, the length; ENOPROTOOPT: the connection has another
 * stack, or the option is one of those that docs/rack.md lists as missing.
 */
#define TCP_RACK_PACE_MAX_SEG                                                                                \
    1054 /* segments that may leave together when paced, 1 to 63; 0: as many as the rate has in 1 ms */
#define TCP_RACK_PACE_ALWAYS  1055 /* pace: at cwnd / SRTT, or at the rates below */
#define TCP_RACK_REORD_THRESH 1061 /* reordering window: min_RTT >> this, 1 to 30 */
#define TCP_RACK_REORD_FADE   1062 /* us after which reordering is forgotten; 0: never */
#define TCP_RACK_TLP_THRESH   1063 /* a probe leaves after SRTT + SRTT / this, 1 to 255 */
#define TCP_RACK_DO_DETECTION 1097 /* 0: SACK blocks of a hostile peer are heard all the same */
#define TCP_RACK_PACE_RATE_CA 1118 /* bytes/s instead of cwnd / SRTT when paced: in congestion avoidance, */
#define TCP_RACK_PACE_RATE_SS 1119 /* in slow start, */
#define TCP_RACK_PACE_RATE_REC                                                                               \
    1120 /* in recovery; the first of the three that is set sets the others; 0: cwnd / SRTT */
#define TCP_RACK_DSACK_OPT 1141 /* bit 1: window before reordering was seen; bit 2: DSACK widens it */

#define LEAT_TCPI_OPT_TIMESTAMPS 0x01
#define LEAT_TCPI_OPT_SACK       0x02
#define LEAT_TCPI_OPT_WSCALE     0x04
#define LEAT_TCPI_OPT_ECN        0x08
#define LEAT_TCPI_OPT_TFO        0x20 /* data of the SYN was taken (Linux: TCPI_OPT_SYN_DATA) */
#define LEAT_TCPI_OPT_ACE        0x40

/*
 * setsockopt(IPPROTO_TCP, TCP_FASTOPEN), before listen(), on a listener, or before connecting (RFC 7413): an int, not 0 for on. On a listener it
 * is the number of connections that may be pending before their handshake is over; 1: half the backlog. With the whole structure, a key
 * that both ends share: the listener takes data of SYNs only from clients that have it, a client proves that it has it. EPERM:
 * net.inet.tcp.fastopen.server_enable and client_enable; EINVAL: the state, the length. docs/tfo.md.
 */
struct leat_tcp_fastopen { /* FreeBSD's struct tcp_fastopen */
    int enable;
    uint8_t psk[16];
};

/*
 * getsockopt(IPPROTO_TCP, TCP_INFO), on a socket in any state: Linux's struct tcp_info, whose first 104 bytes are those of glibc's <netinet/tcp.h>, with
 * Linux's numbers of the states (ESTABLISHED 1 ... CLOSING 11). Windows in segments, times in us, those of the last events in ms. 0 where
 * Leat has no such thing.
 */
struct leat_tcp_info {
    uint8_t tcpi_state, tcpi_ca_state, tcpi_retransmits, tcpi_probes, tcpi_backoff, tcpi_options;
    uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4;
    uint8_t tcpi_flags;
    uint32_t tcpi_rto, tcpi_ato, tcpi_snd_mss, tcpi_rcv_mss;
    uint32_t tcpi_unacked, tcpi_sacked, tcpi_lost, tcpi_retrans, tcpi_fackets;
    uint32_t tcpi_last_data_sent, tcpi_last_ack_sent, tcpi_last_data_recv, tcpi_last_ack_recv;
    uint32_t tcpi_pmtu, tcpi_rcv_ssthresh, tcpi_rtt, tcpi_rttvar, tcpi_snd_ssthresh, tcpi_snd_cwnd,
        tcpi_advmss, tcpi_reordering;
    uint32_t tcpi_rcv_rtt, tcpi_rcv_space, tcpi_total_retrans;
    uint64_t tcpi_pacing_rate, tcpi_max_pacing_rate, tcpi_bytes_acked, tcpi_bytes_received;
    uint32_t tcpi_segs_out, tcpi_segs_in, tcpi_notsent_bytes, tcpi_min_rtt, tcpi_data_segs_in,
        tcpi_data_segs_out;
    uint64_t tcpi_delivery_rate;
    uint64_t tcpi_busy_time, tcpi_rwnd_limited, tcpi_sndbuf_limited;
    uint32_t tcpi_delivered, tcpi_delivered_ce;
    uint64_t tcpi_bytes_sent, tcpi_bytes_retrans;
    uint32_t tcpi_dsack_dups, tcpi_reord_seen, tcpi_rcv_ooopack, tcpi_snd_wnd;
};

/*
 * getsockopt(IPPROTO_TCP, LEAT_TCP_INFO), on a socket in any state: FreeBSD's struct tcp_info (tcp(4)), member by member, with FreeBSD's numbers of the
 * states (CLOSED 0, LISTEN 1 ... TIME_WAIT 10; <netinet/tcp_fsm.h>), windows in bytes, times in us. Members that begin with two underscores are
 * 0 on FreeBSD and here.
 */
struct leat_freebsd_tcp_info {
    uint8_t tcpi_state;
    uint8_t __tcpi_ca_state, __tcpi_retransmits, __tcpi_probes, __tcpi_backoff;
    uint8_t tcpi_options; /* LEAT_TCPI_OPT_* */
    uint8_t tcpi_snd_wscale : 4, tcpi_rcv_wscale : 4;
    uint32_t tcpi_rto; /* us, backoff included */
    uint32_t __tcpi_ato;
    uint32_t tcpi_snd_mss, tcpi_rcv_mss; /* payload bytes of a full segment: that we send, that we expect */
    uint32_t __tcpi_unacked, __tcpi_sacked, __tcpi_lost, __tcpi_retrans, __tcpi_fackets;
    uint32_t __tcpi_last_data_sent, __tcpi_last_ack_sent;
    uint32_t tcpi_last_data_recv; /* us since the last segment was received */
    uint32_t __tcpi_last_ack_recv;
    uint32_t __tcpi_pmtu, __tcpi_rcv_ssthresh;
    uint32_t tcpi_rtt, tcpi_rttvar;            /* us, smoothed */
    uint32_t tcpi_snd_ssthresh, tcpi_snd_cwnd; /* bytes */
    uint32_t __tcpi_advmss, __tcpi_reordering, __tcpi_rcv_rtt;
    uint32_t tcpi_rcv_space; /* bytes: the window that we announce */
    uint32_t tcpi_snd_wnd;   /* bytes: the window that the peer announced */
    uint32_t tcpi_snd_bwnd;  /* 0 */
    uint32_t tcpi_snd_nxt, tcpi_rcv_nxt;
    uint32_t tcpi_toe_tid; /* 0 */
    uint32_t tcpi_snd_rexmitpack, tcpi_rcv_ooopack;
    uint32_t tcpi_snd_zerowin;  /* segments sent with a window of 0 */
    uint32_t tcpi_delivered_ce; /* Accurate ECN: CE marks that the peer reported, */
    uint32_t tcpi_received_ce;  /* and those that we received */
    /* Bytes of payload that the peer's AccECN options report by ECN field, and that came so (RFC 9768 section 3.2.3). */
    uint32_t tcpi_delivered_e1_bytes, tcpi_delivered_e0_bytes, tcpi_delivered_ce_bytes;
    uint32_t tcpi_received_e1_bytes, tcpi_received_e0_bytes, tcpi_received_ce_bytes;
    uint32_t tcpi_total_tlp; /* tail loss probes sent */
    uint64_t tcpi_total_tlp_bytes;
    uint32_t tcpi_snd_una, tcpi_snd_max;
    uint32_t tcpi_rcv_numsacks; /* runs of data out of order that we hold */
    uint32_t tcpi_rcv_adv;      /* right edge of the window that we announced */
    uint32_t tcpi_dupacks;      /* duplicate ACKs in a row */
    uint32_t __tcpi_pad[10];
};

/*
 * TCP-AO (RFC 5925): layouts of Linux's struct tcp_ao_add, tcp_ao_del, tcp_ao_info_opt and tcp_ao_getsockopt (<linux/tcp.h>), which may be
 * handed over as they are. ifindex and reserved members must be 0. A key is known by its peer, prefix, sndid and rcvid.
 */
#define LEAT_TCP_AO_MAXKEYLEN        80
#define LEAT_TCP_AO_KEYF_EXCLUDE_OPT 2 /* the MAC leaves out the other TCP options */

/* setsockopt(LEAT_TCP_AO_ADD_KEY): EINVAL, ENOENT (algorithm), EEXIST (a KeyID is taken), EKEYREJECTED (the peer has an MD5 key), EISCONN (the
 * connection began without), ENOMEM (net.inet.tcp.auth.maxkeys), EOPNOTSUPP (libcrypto lacks the algorithm). */
struct leat_tcp_ao_add {
    struct sockaddr_storage addr; /* the peer, or its network; the port is ignored */
    char alg_name[64];            /* "hmac(sha1)", "cmac(aes128)", "hmac(sha256)" */
    int32_t ifindex;
    uint32_t set_current : 1, /* sign with it from now on */
        set_rnext : 1,        /* ask the peer to sign with it */
        reserved : 30;
    uint16_t reserved2;
    uint8_t prefix;       /* bits of addr that count */
    uint8_t sndid, rcvid; /* KeyID of what we send and of what we receive */
    uint8_t maclen;       /* bytes of the MAC, at most 16; 0 = 12 */
    uint8_t keyflags;     /* LEAT_TCP_AO_KEYF_* */
    uint8_t keylen;       /* bytes of key */
    uint8_t key[LEAT_TCP_AO_MAXKEYLEN];
} __attribute__((aligned(8)));

/* setsockopt(LEAT_TCP_AO_DEL_KEY): ENOENT, EBUSY (in use: name others in current_key and rnext), EINVAL. */
struct leat_tcp_ao_del {
    struct sockaddr_storage addr;
    int32_t ifindex;
    uint32_t set_current : 1, set_rnext : 1, del_async : 1, reserved : 29;
    uint16_t reserved2;
    uint8_t prefix, sndid, rcvid;
    uint8_t current_key; /* with set_current: sndid of the key to sign with */
    uint8_t rnext;       /* with set_rnext: rcvid of the key to ask for */
    uint8_t keyflags;
} __attribute__((aligned(8)));

/* set- and getsockopt(LEAT_TCP_AO_INFO): ENOENT, EINVAL. */
struct leat_tcp_ao_info_opt {
    uint32_t set_current : 1, /* set: current_key is to be it; get: current_key is valid */
        set_rnext : 1,        /* likewise rnext */
        ao_required : 1,      /* peers without key are refused */
        set_counters : 1,     /* set: the pkt_* too */
        accept_icmps : 1,     /* hear ICMP errors as other connections do (RFC 5925 section 7.8) */
        reserved : 27;
    uint16_t reserved2;
    uint8_t current_key; /* sndid */
    uint8_t rnext;       /* rcvid */
    uint64_t pkt_good, pkt_bad, pkt_key_not_found, pkt_ao_required, pkt_dropped_icmp;
} __attribute__((aligned(8)));

/* getsockopt(LEAT_TCP_AO_GET_KEYS): an array; its first element says what is asked for. ENOENT: no such key. */
struct leat_tcp_ao_getsockopt {
    struct sockaddr_storage addr;
    char alg_name[64];
    uint8_t key[LEAT_TCP_AO_MAXKEYLEN];
    uint32_t nkeys; /* in: elements there is room for (0: as the length says); out: keys that match */
    uint16_t is_current : 1, is_rnext : 1, get_all : 1, reserved : 13;
    uint8_t sndid, rcvid, prefix, maclen, keyflags, keylen;
    int32_t ifindex;
    uint64_t pkt_good, pkt_bad;
} __attribute__((aligned(8)));

#endif
