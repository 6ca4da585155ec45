/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP options beyond <netinet/tcp.h>, and FreeBSD's struct tcp_info. Option numbers that Linux lacks are 0x10000 + FreeBSD's. */
#ifndef LEAT_TCP_H
#define LEAT_TCP_H

#include <stdint.h>
#include <leat/leat.h>

#define LEAT_TCP_NOPUSH   0x10004
#define LEAT_TCP_NOOPT    0x10008
#define LEAT_TCP_KEEPINIT 0x10080

#define LEAT_TCPI_OPT_TIMESTAMPS 0x01
#define LEAT_TCPI_OPT_SACK       0x02
#define LEAT_TCPI_OPT_WSCALE     0x04
#define LEAT_TCPI_OPT_ECN        0x08

/* getsockopt(IPPROTO_TCP, TCP_INFO): the head has the members of Linux's struct tcp_info that FreeBSD shares, in its order; tcpi_state
 * in Linux's numbers (ESTABLISHED 1 ... CLOSING 11), so that programs compiled for Linux read it right. Times in us. */
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
};

#endif
