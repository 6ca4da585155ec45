/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The black box: what TCP thought, event by event, in a ring for each connection. Options, modes, events and records are those of FreeBSD's
 * TCP Blackbox Recorder (tcp_log_buf.h, record version 9). docs/blackbox.md lists what each event carries.
 */
#ifndef LEAT_BLACKBOX_H
#define LEAT_BLACKBOX_H

#include <stdint.h>
#include <leat/leat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- options of level IPPROTO_TCP, FreeBSD's numbers ---- */

#define TCP_LOG                                                                                              \
    34 /* int: mode. EINVAL unknown, EBUSY disable_all, ECANCELED its ID was left out by log_auto_ratio */
#define TCP_LOGBUF                                                                                           \
    35 /* get: whole records, oldest first; they leave the ring. val NULL: *len says how much there is */
#define TCP_LOGID     36 /* string; get: with its NUL. ENOBUFS, EINVAL longer than TCP_LOG_ID_LEN - 1 */
#define TCP_LOGDUMP   37 /* set: reason; this connection's records go to the writer. ENOBUFS, EINVAL too long */
#define TCP_LOGDUMPID 38 /* set: reason; those of all connections with this ID */
#define TCP_LOGID_CNT                                                                                        \
    46 /* get: uint32_t, connections with this ID: open, and closed ones that still hold records */
#define TCP_LOG_TAG 47 /* string for all connections of the ID. EOPNOTSUPP without an ID, EINVAL too long */

#define TCP_LOG_ID_LEN     64 /* bytes, with the NUL */
#define TCP_LOG_TAG_LEN    32
#define TCP_LOG_REASON_LEN 32

/* ---- modes: what happens when the ring is full, and when the connection ends ---- */

#define TCP_LOG_STATE_CLEAR     (-1) /* an action: frees all records, then off */
#define TCP_LOG_STATE_OFF       0    /* records are kept */
#define TCP_LOG_STATE_TAIL      1    /* the oldest go */
#define TCP_LOG_STATE_HEAD      2    /* recording stops */
#define TCP_LOG_STATE_HEAD_AUTO 3    /* dumped, then off; dumped at the end */
#define TCP_LOG_STATE_CONTINUAL 4    /* dumped, goes on; dumped at the end */
#define TCP_LOG_STATE_TAIL_AUTO 5    /* the oldest go; dumped at the end */
#define TCP_LOG_VIA_BBPOINTS    6    /* only trace points record; dumped at the end */

/* ---- events ---- */

enum tcp_log_events {
    TCP_LOG_IN = 1,
    TCP_LOG_OUT = 2,
    TCP_LOG_RTO = 3,
    TCP_LOG_SB_WAKE = 4,
    TCP_LOG_BAD_RETRAN = 5,
    TCP_LOG_PRR = 6,
    TCP_LOG_REORDER = 7,
    TCP_LOG_HPTS = 8,
    BBR_LOG_BBRUPD = 9,
    BBR_LOG_BBRSND = 10,
    BBR_LOG_ACKCLEAR = 11,
    BBR_LOG_TIMERSTAR = 13,
    BBR_LOG_TIMERCANC = 14,
    BBR_LOG_ENTREC = 15,
    BBR_LOG_EXITREC = 16,
    BBR_LOG_CWND = 17,
    BBR_LOG_BWSAMP = 18,
    BBR_LOG_MSGSIZE = 19,
    BBR_LOG_BBRRTT = 20,
    BBR_LOG_JUSTRET = 21,
    BBR_LOG_STATE = 22,
    BBR_LOG_PKT_EPOCH = 23,
    BBR_LOG_PERSIST = 24,
    TCP_LOG_FLOWEND = 25,
    BBR_LOG_RTO = 26,
    BBR_LOG_DOSEG_DONE = 27,
    BBR_LOG_THRESH_CALC = 29,
    TCP_LOG_MAPCHG = 30,
    TCP_LOG_USERSEND = 31,
    BBR_LOG_TO_PROCESS = 35,
    BBR_LOG_HPTSDIAG = 37,
    BBR_LOG_PROGRESS = 39,
    TCP_LOG_SOCKET_OPT = 40,
    BBR_LOG_ENOBUF_JMP = 42,
    BBR_LOG_HPTSI_CALC = 43,
    BBR_LOG_RTT_SHRINKS = 44,
    TCP_LOG_RTT = 47,
    BBR_LOG_SETTINGS_CHG = 48,
    TCP_LOG_REASS = 50,
    TCP_HDWR_TLS = 51,
    BBR_LOG_TSTMP_VAL = 53,
    TCP_LOG_CONNEND = 54,
    TCP_SACK_FILTER_RES = 56,
    TCP_SAD_DETECTION = 57,
    TCP_LOG_USER_EVENT = 59,
    TCP_LOG_SENDFILE = 60,
    RACK_DSACK_HANDLING = 64,
    TCP_HYSTART = 65,
    TCP_CHG_QUERY = 66,
    TCP_RACK_LOG_COLLAPSE = 67,
    TCP_RACK_TP_TRIGGERED = 68,
    TCP_LOG_PRU = 70,
};

#define TCP_LOG_BUF_VER 9

/* tlb_eventflags */
#define TLB_FLAG_RXBUF     0x0001
#define TLB_FLAG_TXBUF     0x0002
#define TLB_FLAG_HDR       0x0004
#define TLB_FLAG_VERBOSE   0x0008
#define TLB_FLAG_STACKINFO 0x0010

#define TLB_ERRNO_UNKNOWN (-1) /* of TCP_LOG_OUT: not known when it was written */

struct tcp_log_sockbuf {
    uint32_t tls_sb_acc, tls_sb_ccc, tls_sb_spare; /* bytes available; bytes claimed */
};

/* The part that belongs to the event and the stack; docs/blackbox.md says what the flex fields hold. */
struct tcp_log_bbr {
    uint64_t cur_del_rate, delRate, rttProp, bw_inuse;
    uint32_t inflight, applimited, delivered, timeStamp, epoch, lt_epoch, pkts_out;
    uint32_t flex1, flex2, flex3, flex4, flex5, flex6, lost;
    uint16_t pacing_gain, cwnd_gain, flex7;
    uint8_t bbr_state, bbr_substate, inhpts, spare, use_lt_bw, flex8;
    uint32_t pkt_epoch;
};
struct tcp_log_sendfile {
    uint64_t offset, length;
    uint32_t flags;
};
struct tcp_log_user {
    uint64_t timestamp, start, end; /* us since the epoch; as the application gave them */
    uint32_t flags;
};
union tcp_log_stackspecific {
    struct tcp_log_bbr u_bbr;
    struct tcp_log_sendfile u_sf;
    struct tcp_log_user u_user;
    uint64_t u_raw[13];
};

struct tcp_log_buffer {
    struct {
        int64_t tv_sec, tv_usec;
    } tlb_tv;           /* of the engine's clock: add the dump's offset to get UTC */
    uint32_t tlb_ticks; /* ms of the same clock */
    uint32_t tlb_sn;    /* serial number: a gap tells how many events were lost */
    uint8_t tlb_stackid, tlb_eventid;
    uint16_t tlb_eventflags;
    int32_t tlb_errno;
    struct tcp_log_sockbuf tlb_rxbuf, tlb_txbuf;
    int32_t tlb_state; /* TCPS_*: 0 CLOSED ... 10 TIME_WAIT */
    uint32_t tlb_starttime, tlb_iss, tlb_flags, tlb_snd_una, tlb_snd_max, tlb_snd_cwnd, tlb_snd_nxt,
        tlb_snd_recover, tlb_snd_wnd, tlb_snd_ssthresh;
    uint32_t tlb_srtt, tlb_rttvar; /* us */
    uint32_t tlb_rcv_up, tlb_rcv_adv, tlb_flags2, tlb_rcv_nxt, tlb_rcv_wnd, tlb_dupacks;
    int32_t tlb_segqlen, tlb_snd_numholes;
    uint32_t tlb_flex1, tlb_flex2, tlb_fbyte_in, tlb_fbyte_out;
    uint8_t tlb_snd_scale : 4, tlb_rcv_scale : 4;
    uint8_t tlb_pad[3];
    union tcp_log_stackspecific tlb_stackinfo;
    uint32_t tlb_len;     /* payload of the segment */
    uint8_t tlb_th[20];   /* TCP header as on the wire */
    uint8_t tlb_opts[40]; /* and its options */
};

/* What a dump says of its connection. */
struct tcp_log_header {
    uint32_t tlh_version, tlh_type;
    uint64_t tlh_length;
    struct {
        uint16_t ie_fport, ie_lport; /* network order, as the addresses; IPv4: the last four bytes */
        uint8_t ie_faddr[16], ie_laddr[16];
        uint32_t ie6_zoneid;
    } tlh_ie;
    int64_t tlh_offset_sec, tlh_offset_usec; /* what to add to the records' times to get UTC */
    char tlh_id[TCP_LOG_ID_LEN], tlh_reason[TCP_LOG_REASON_LEN], tlh_tag[TCP_LOG_TAG_LEN];
    uint8_t tlh_af; /* FreeBSD's: 2 IPv4, 28 IPv6 */
    uint8_t tlh_pad[7];
};

/* leat_log_user_event() flags: which of start and end mean something. */
#define TCP_LOG_USER_START 1
#define TCP_LOG_USER_END   2

/*
 * Writes event TCP_LOG_USER_EVENT into the connection's ring: type and subtype are the application's own, start and end its times (us since the
 * epoch). 0, also when the connection does not record; -1 and EBADF, ENOTSOCK, ENOTCONN.
 */
LEAT_API int leat_log_user_event(int fd, uint32_t type, uint32_t subtype, uint64_t start, uint64_t end,
                                 uint32_t flags);

#ifdef __cplusplus
}
#endif
#endif
