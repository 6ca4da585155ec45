// SPDX-License-Identifier: BSD-3-Clause
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/stats.h"

static const struct sysctl_oid oids[] = {
#define TCP_STATS_OID(field, units, text)                                                                    \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." #field, struct tcp_stats, field, units, text),
    TCP_STATS(TCP_STATS_OID)
#undef TCP_STATS_OID
};

int tcp_stats_register(struct tcp_layer *t)
{
    return sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), t->stats);
}
