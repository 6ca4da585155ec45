// SPDX-License-Identifier: BSD-3-Clause
// Congestion controls: the table of them (struct tcp_cc, tcp/stack.h), what they share, and their settings.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tcp/stack.h"

struct sysctl_tree;

struct cc_params { /* sysctl net.inet.tcp.cc.*, FreeBSD's names and defaults: cc.c */
    bool abe;      /* RFC 8511 */
    uint32_t newreno_beta, newreno_beta_ecn; /* percent of the window that a cut leaves */
    uint32_t dctcp_alpha;                    /* of a new connection, 1024 = 1 */
    uint32_t dctcp_shift_g;                  /* weight of a new measurement, 2^-g */
    bool dctcp_slowstart;                    /* the first mark halves */
    uint32_t hystart_minrtt_us, hystart_maxrtt_us, hystart_samples, hystart_css_div, hystart_css_rounds;
};

struct cc_stats {
    uint64_t hystart_css, hystart_resumed, hystart_exits, cc_undone;
};

struct tcp_cc_layer {
    struct cc_params params;
    struct cc_stats stats;
};

/* 0 or -errno. */
int tcp_cc_create(struct sysctl_tree *tree, struct tcp_cc_layer *c);

extern const struct tcp_cc tcp_cc_newreno, tcp_cc_cubic, tcp_cc_dctcp;

struct cc_params *cc_params(const struct tcb *tp);
struct cc_stats *cc_stats(const struct tcb *tp);
/* Bytes that an ACK may add in slow start (RFC 3465): L = abc_l_var segments, one after a timeout. */
uint32_t cc_slow_start(const struct tcb *tp, uint32_t acked); /* not beyond ssthresh */
/* percent of flight, two segments at least (RFC 5681 equation 4). */
uint32_t cc_cut(const struct tcb *tp, uint32_t flight, uint32_t percent);
/* After an idle time (RFC 5681 §4.1): cwnd is the initial window at most; ssthresh remembers three quarters of it (RFC 2861 §2). */
void cc_restart(struct tcb *tp);
