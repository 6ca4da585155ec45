// SPDX-License-Identifier: BSD-3-Clause
// One packet of a conversation in packetdrill's notation: parsed from text, built into a frame, read from a frame, printed.
//     [(IP fields)] [SPORT > DPORT] FLAGS SEQ:END(LEN) [ack N] [win N] [urg N] [<options>]
//     [(IP fields)] icmp TYPE [CODE] [mtu N] [SEQ:END(LEN)]
// IP fields: tos or class, ttl or hlim, flowlabel, and one of noecn, ect0, ect1, ce, ect01. A digit among the flags is AccECN's counter.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ipaddr.h"

struct rte_mbuf;

#define SEGMENT_OPT_MAX  40
#define SEGMENT_AE       0x100 /* TCP header flag beyond the eight: AccECN's AE, once NS */
#define SEGMENT_TEXT_MAX 400

enum segment_kind { SEGMENT_TCP, SEGMENT_ICMP };
enum segment_ecn {
    SEGMENT_ECN_ANY = -1,
    SEGMENT_NOECN,
    SEGMENT_ECT1,
    SEGMENT_ECT0,
    SEGMENT_CE,
    SEGMENT_ECT01 /* either */
};

/* Numbers are host order, sequence numbers as the script counts. */
struct segment {
    enum segment_kind kind;
    uint16_t sport, dport; /* 0: not said */
    uint16_t flags;
    bool seq_any, seq_absolute; /* "...(LEN)"; "0:0(0)!" */
    bool has_win, has_urg;
    bool opt_any;           /* <...> */
    bool ts_val_any;        /* TS val ... */
    bool ts_ecr_absolute;   /* ecr 5! : not the script's clock */
    uint32_t seq, ack, len; /* of an ICMP message: of the segment it quotes */
    uint16_t win, urg;
    uint8_t opt[SEGMENT_OPT_MAX];
    uint8_t opt_len;
    int tos, ttl, ecn; /* -1: not said; tos is the whole byte, ecn enum segment_ecn */
    int32_t flow;      /* IPv6 flow label; -1: not said */
    uint8_t icmp_type, icmp_code;
    uint32_t icmp_mtu;
};

/* The two ends of a frame; ports host order. */
struct segment_ends {
    struct ip_addr src, dst;
    uint16_t sport, dport;
};

/* text up to its end or newline. 0, or -EINVAL with a message in err: what is wrong and at which column. v6 chooses the ICMP names. */
int segment_parse(struct segment *s, const char *text, bool v6, char *err, size_t errlen);
/* As the notation has it, one line. Returns out. */
char *segment_print(const struct segment *s, char *out, size_t size);

/* Walks options: *at from 0; returns the kind and its bytes, or -1 at the end. A malformed option ends the walk. */
int segment_option_next(const struct segment *s, unsigned *at, const uint8_t **bytes, unsigned *len);
/* The option's place in opt, or NULL. */
uint8_t *segment_option_find(struct segment *s, uint8_t kind, uint8_t len);

/* Builds an Ethernet frame of it into m (empty); payload bytes count up from the sequence number's low byte. quoted: an ICMP message's
 * segment as it left the other side, from its IP header on. 0, -EINVAL or -ENOBUFS. */
int segment_build(const struct segment *s, const struct segment_ends *ends, struct rte_mbuf *m,
                  const uint8_t *quoted, uint16_t quoted_len);
/* Reads a frame. 0; -EPROTONOSUPPORT: neither TCP nor ICMP; -EBADMSG with err: a length or checksum is wrong. */
int segment_read(struct segment *s, struct segment_ends *ends, const struct rte_mbuf *m, char *err,
                 size_t errlen);
