// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/tlp.h"
#include "base/units.h"

uint64_t tlp_timeout(uint64_t srtt, unsigned thresh, uint64_t least, bool single, uint64_t max_ack_delay)
{
    if (srtt == 0)
        return NS_PER_SEC;
    uint64_t pto = srtt + srtt / thresh;
    if (pto < least)
        pto = least;
    uint64_t delayed = srtt + srtt / 2 + max_ack_delay;
    return single && pto < delayed ? delayed : pto;
}

void tlp_sent(struct tlp *t, tcp_seq start, tcp_seq snd_nxt, bool is_retrans)
{
    *t = (struct tlp){.start = start, .end_seq = snd_nxt, .out = true, .is_retrans = is_retrans};
}

bool tlp_dsacked(const struct tlp *t, const struct tlp_ack *a)
{
    return t->out && t->is_retrans && a->dsack && seq_geq(a->dsack_start, t->start) &&
           seq_leq(a->dsack_end, t->end_seq);
}

bool tlp_acked(struct tlp *t, const struct tlp_ack *a)
{
    if (!t->out || seq_lt(a->ack, t->end_seq))
        return false;
    bool repaired = false;
    if (!t->is_retrans || tlp_dsacked(t, a))
        t->out = false; /* the new data arrived, or both copies did */
    else if (seq_gt(a->ack, t->end_seq))
        t->out = false, repaired = true;
    else if (a->bare_duplicate)
        t->out = false; /* both copies arrived at a peer without DSACK */
    return repaired;
}
