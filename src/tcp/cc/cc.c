// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/cc/cc.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/tcp.h"

static const struct tcp_cc *const ccs[] = {&tcp_cc_cubic, &tcp_cc_newreno, &tcp_cc_dctcp};

#define P(name, field, def, min, max, unit, desc)                                                            \
    SYSCTL_OID_UINT("net.inet.tcp.cc." name, struct tcp_cc_layer, params.field, SYSCTL_RW, def, min, max,    \
                    unit, desc)
#define B(name, field, def, desc)                                                                            \
    SYSCTL_OID_BOOL("net.inet.tcp.cc." name, struct tcp_cc_layer, params.field, SYSCTL_RW, def, desc)
#define S(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." #field, struct tcp_cc_layer, stats.field, unit, desc)

static const struct sysctl_oid oids[] = {
    B("abe", abe, 0, "ECN marks cut newreno's window to beta_ecn, less than a loss does (RFC 8511)"),
    P("newreno.beta", newreno_beta, 50, 1, 100, "percent", "Of the window, after a loss"),
    P("newreno.beta_ecn", newreno_beta_ecn, 80, 1, 100, "percent",
      "Of the window, after a mark, with cc.abe"),
    P("dctcp.alpha", dctcp_alpha, 1024, 0, 1024, "1/1024", "Marked fraction that a connection begins with"),
    P("dctcp.shift_g", dctcp_shift_g, 4, 0, 10, "", "A new measurement weighs 2^-g (RFC 8257 section 4.2)"),
    B("dctcp.slowstart", dctcp_slowstart, 0, "The first mark of a connection halves the window"),
    P("hystartplusplus.minrtt_thresh", hystart_minrtt_us, 4000, 1, 1000000, "us",
      "Growth of the round trip time that ends slow start, at least (RFC 9406)"),
    P("hystartplusplus.maxrtt_thresh", hystart_maxrtt_us, 16000, 1, 1000000, "us", "The same, at most"),
    P("hystartplusplus.n_rttsamples", hystart_samples, 8, 1, 8, "samples",
      "Measurements of a round before it is judged"),
    P("hystartplusplus.css_growth_div", hystart_css_div, 4, 1, 1000, "",
      "Conservative slow start grows so many times more slowly"),
    P("hystartplusplus.css_rounds", hystart_css_rounds, 5, 1, 1000, "rounds",
      "Conservative slow start lasts so long before congestion avoidance"),
    S(hystart_css, "events", "Slow starts that became conservative (RFC 9406)"),
    S(hystart_resumed, "events", "Conservative slow starts that were a mistake"),
    S(hystart_exits, "events", "Slow starts ended by HyStart++"),
    S(cc_undone, "events", "Cuts taken back"),
};

int tcp_cc_create(struct sysctl_tree *tree, struct tcp_cc_layer *c)
{
    return sysctl_register(tree, oids, RTE_DIM(oids), c);
}

struct cc_params *cc_params(const struct tcb *tp)
{
    return &tp->e->tcp->loss.cc.params;
}

struct cc_stats *cc_stats(const struct tcb *tp)
{
    return &tp->e->tcp->loss.cc.stats;
}

const struct tcp_cc *tcp_cc_find(const char *name)
{
    for (unsigned i = 0; i < RTE_DIM(ccs); i++)
        if (strcmp(ccs[i]->name, name) == 0)
            return ccs[i];
    return NULL;
}

int tcp_cc_names(char *buf, size_t size)
{
    size_t at = 0;
    for (unsigned i = 0; i < RTE_DIM(ccs); i++)
        at += (size_t)snprintf(buf + at, at < size ? size - at : 0, "%s%s", i ? " " : "", ccs[i]->name);
    return at < size ? 0 : -ENOSPC;
}

uint32_t cc_slow_start(const struct tcb *tp, uint32_t acked)
{
    const struct loss_params *p = &tp->e->tcp->loss.params;
    uint32_t segments = tp->flags & TF_RTO_RECOVERY ? 1 : p->abc_l_var; /* RFC 3465 §2.3 */
    uint32_t most = p->rfc3465 ? RTE_MIN(acked, segments * tp->maxseg) : tp->maxseg;
    uint32_t left = tp->ssthresh - tp->cwnd;
    return RTE_MIN(most, left);
}

uint32_t cc_cut(const struct tcb *tp, uint32_t flight, uint32_t percent)
{
    uint32_t left = (uint32_t)((uint64_t)flight * percent / 100);
    return RTE_MAX(left, 2u * tp->maxseg);
}

void cc_restart(struct tcb *tp)
{
    tp->ssthresh = RTE_MAX(tp->ssthresh, tp->cwnd - tp->cwnd / 4);
    tp->cwnd = RTE_MIN(tp->cwnd, tcp_cc_initial_window(tp));
}

uint32_t tcp_cc_initial_window(const struct tcb *tp)
{
    uint32_t segs = tp->e->tcp->params.initcwnd_segments, mss = tp->maxseg;
    if (segs != 10)
        return segs * mss;
    uint32_t least = RTE_MAX(2 * mss, 14600u);
    return RTE_MIN(10 * mss, least); /* RFC 6928 */
}
