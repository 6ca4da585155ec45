// SPDX-License-Identifier: BSD-3-Clause
// The automatic mode: which connections, or IDs, are recorded without being asked for (net.inet.tcp.bb.log_auto_*).
#pragma once
#include "blackbox/blackbox.h"

/* Every log_auto_ratio-th candidate is chosen; deterministic, the first one is. */
static inline bool bb_chosen(struct bb_layer *l)
{
    const struct bb_params *p = &l->params;
    if (p->auto_ratio == 0 || p->auto_mode == TCP_LOG_STATE_OFF || p->disable_all)
        return false;
    return l->auto_count++ % p->auto_ratio == 0;
}
/* The mode of connections that join a new ID; BB_RATIO_OFF: the ratio left it out. */
static inline int8_t bb_select_id(struct bb_layer *l)
{
    const struct bb_params *p = &l->params;
    if (p->auto_all || p->auto_ratio == 0 || p->auto_mode == TCP_LOG_STATE_OFF || p->disable_all)
        return TCP_LOG_STATE_OFF;
    return bb_chosen(l) ? (int8_t)p->auto_mode : BB_RATIO_OFF;
}
