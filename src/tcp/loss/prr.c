// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/prr.h"
#include <rte_common.h>

void prr_begin(struct prr *p, uint32_t recover_fs)
{
    *p = (struct prr){.recover_fs = RTE_MAX(recover_fs, 1u)};
}

/* More is in flight than should be: send ssthresh / recover_fs of what is delivered. */
static uint32_t proportional(const struct prr *p, uint32_t ssthresh)
{
    uint64_t due = ((uint64_t)p->delivered * ssthresh + p->recover_fs - 1) / p->recover_fs;
    return due > p->out ? (uint32_t)(due - p->out) : 0;
}

/* Less is in flight: not more than was delivered, or with good news a segment more. */
static uint32_t rebuild(const struct prr *p, uint32_t delivered, uint32_t room, uint32_t mss, bool safe,
                        bool conservative)
{
    uint32_t owed = p->delivered > p->out ? p->delivered - p->out : 0;
    if (!conservative) {
        owed = RTE_MAX(owed, delivered);
        if (safe)
            owed += mss;
    }
    return RTE_MIN(owed, room);
}

uint32_t prr_acked(struct prr *p, uint32_t delivered, uint32_t pipe, uint32_t ssthresh, uint32_t mss,
                   bool safe, bool conservative)
{
    p->delivered += delivered;
    uint32_t more = pipe > ssthresh ? proportional(p, ssthresh)
                                    : rebuild(p, delivered, ssthresh - pipe, mss, safe, conservative);
    if (p->out == 0 && more < mss)
        more = mss; /* RFC 9937 §6.2: the first retransmission leaves in any case */
    return pipe + more;
}
