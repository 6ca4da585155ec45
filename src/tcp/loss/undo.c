// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/undo.h"
#include <rte_common.h>
#include "tcp/tcp.h"

static uint32_t segments(const struct tcb *tp, uint32_t len)
{
    return (len + tp->maxseg - 1) / tp->maxseg;
}

void undo_begin(struct undo *u, const struct tcb *tp)
{
    *u = (struct undo){.from = tp->snd_una, .to = tp->snd_max, .rexmit_end = tp->snd_una, .armed = true};
}

void undo_sent(struct undo *u, const struct tcb *tp, const struct tcp_sent *s)
{
    if (!u->armed || s->len == 0)
        return;
    if (!u->sent)
        u->rexmit_ts = tcp_ts_now(tp);
    u->sent = true;
    u->rexmit_segs += segments(tp, s->len);
    u->rexmit_end = seq_max(u->rexmit_end, s->seq + s->len);
}

bool undo_by_timestamp(struct undo *u, const struct tcp_ack *a)
{
    if (!u->armed || !u->sent || u->judged || a->acked == 0)
        return false;
    u->judged = true;
    return a->has_ts && a->tsecr != 0 && (int32_t)(a->tsecr - u->rexmit_ts) < 0;
}

bool undo_by_dsack(struct undo *u, const struct tcb *tp, const struct tcp_ack *a)
{
    const struct sack_block *b = &a->sack[0];
    if (!u->armed || !u->sent || seq_lt(b->start, u->from) || seq_gt(b->end, u->rexmit_end))
        return false;
    uint32_t n = segments(tp, b->end - b->start);
    u->rexmit_segs -= RTE_MIN(n, u->rexmit_segs);
    return u->rexmit_segs == 0;
}
