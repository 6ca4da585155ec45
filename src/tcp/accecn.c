// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/accecn.h"
#include "tcp/input.h"

#define COUNTER_MASK 0xffffffu /* 24 bits */
#define LAST_SHIFT   12        /* of TE_LAST_FIELD */
#define LOST_ENOUGH  2         /* one loss may have another reason */

void accecn_start(struct tcb *tp, bool synack_lost)
{
    tp->ecn_rcv = tp->ecn_told = (struct ecn_bytes){0};
    tp->ce_rcv = tp->ce_told = 0;
    tp->ecn_test = (struct accecn_test){.data_lost = synack_lost};
}

void accecn_due(struct tcb *tp)
{
    if (tp->e->tcp->ecn.params.option && !(tp->ecn & TE_OPTION_SILENT))
        tp->flags |= TF_ECN_OPTION;
}

/* ---- do they get through? ---- */

static void fall_silent(struct tcb *tp)
{
    if (tp->e->tcp->ecn.params.option == ACCECN_OPTION_ALWAYS)
        return;
    tp->ecn |= TE_OPTION_SILENT;
    tp->flags &= ~TF_ECN_OPTION;
    tp->e->tcp->ecn.stats.ace_option_silent++;
}

static bool undecided(const struct tcb *tp)
{
    return !(tp->ecn & (TE_OPTION_PASSES | TE_OPTION_SILENT));
}

void accecn_sent(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    struct accecn_test *t = &tp->ecn_test;
    if (len == 0 || !t->written || !undecided(tp))
        return;
    t->first_data = false;
    if (!t->watching && seq_geq(seq, tp->snd_max)) {
        t->watching = true;
        t->end = seq + len;
    }
}

void accecn_ack_sent(struct tcb *tp)
{
    struct accecn_test *t = &tp->ecn_test;
    t->said = t->written && undecided(tp);
    if (t->first_data)
        accecn_due(tp);
}

void accecn_resent(struct tcb *tp, tcp_seq seq, uint32_t len)
{
    struct accecn_test *t = &tp->ecn_test;
    if (!t->watching || seq_geq(seq, t->end) || seq_lt(seq + len, t->end))
        return;
    t->watching = false;
    if (++t->data_lost >= LOST_ENOUGH && undecided(tp))
        fall_silent(tp);
}

/* Data that is all old: the ACK of it was lost, or came late. */
static bool repeated(const struct tcp_segment *s)
{
    return s->len == 0 && rte_pktmbuf_pkt_len(s->m) > (s->th->data_off >> 4) * 4u;
}

void accecn_watch(struct tcb *tp, const struct tcp_segment *s)
{
    struct accecn_test *t = &tp->ecn_test;
    if (t->watching && seq_geq(s->ack, t->end)) {
        t->watching = t->said = false;
        tp->ecn |= TE_OPTION_PASSES;
    }
    bool again = repeated(s);
    if (!t->said || (!again && s->len == 0))
        return;
    t->said = false;
    t->acks_lost = again ? t->acks_lost + 1 : 0;
    if (t->acks_lost >= LOST_ENOUGH)
        fall_silent(tp);
}

/* ---- what it says ---- */

/* §3.2.3.3: when another counter moves than before, the peer hears of it at once. */
static void note_field(struct tcb *tp, enum ecn_field field)
{
    unsigned last = (tp->ecn & TE_LAST_FIELD) >> LAST_SHIFT;
    if (last != 0 && last != field && (tp->flags & TF_ECN_OPTION))
        tcp_ack_now(tp);
    tp->ecn = (uint16_t)((tp->ecn & ~TE_LAST_FIELD) | field << LAST_SHIFT);
}

void accecn_received(struct tcb *tp, const struct tcp_segment *s, enum ecn_field field)
{
    struct ecn_bytes *b = &tp->ecn_rcv;
    /* All of it, what is known already too. */
    uint32_t payload = rte_pktmbuf_pkt_len(s->m) - (s->th->data_off >> 4) * 4u;
    if (payload == 0)
        return;
    *(field == ECN_CE ? &b->ce : field == ECN_ECT0 ? &b->e0 : &b->e1) += payload;
    accecn_due(tp);
    note_field(tp, field);
}

/* The counter of the peer moved on, unless the option is an old one. Returns by how much. */
static uint32_t take(uint32_t *counter, uint32_t init, uint32_t said)
{
    uint32_t more = (said - init - *counter) & COUNTER_MASK;
    if (more > COUNTER_MASK / 2)
        return 0;
    *counter += more;
    return more;
}

/* §3.2.3.2.4: the first option cannot say 0 of ECT. */
static bool zeroed(struct tcb *tp, const uint32_t said[3], unsigned n)
{
    if (!(tp->ecn & TE_OPTION_SEEN) && (said[0] == 0 || (n == 3 && said[2] == 0))) {
        tp->ecn |= TE_OPTION_ZEROED;
        tp->e->tcp->ecn.stats.ace_option_zeroed++;
    }
    tp->ecn |= TE_OPTION_SEEN;
    return tp->ecn & TE_OPTION_ZEROED;
}

void accecn_input(struct tcb *tp, struct tcp_segment *s)
{
    const uint8_t *p = s->opt.accecn;
    unsigned n = (p[1] - 2u) / 3; /* 1 to 3: optread.c */
    bool e0_first = p[0] == TCPOPT_ACCECN0;
    struct ecn_bytes *b = &tp->ecn_told;
    uint32_t said[3] = {0};
    for (unsigned i = 0; i < n; i++)
        said[i] = (uint32_t)p[2 + 3 * i] << 16 | (uint32_t)p[3 + 3 * i] << 8 | p[4 + 3 * i];
    if (zeroed(tp, said, n))
        return;
    tp->e->tcp->ecn.stats.ace_options++;
    take(e0_first ? &b->e0 : &b->e1, e0_first ? ACCECN_INIT_E0 : ACCECN_INIT_E1, said[0]);
    if (n > 1)
        s->marked = take(&b->ce, 0, said[1]);
    if (n > 2)
        take(e0_first ? &b->e1 : &b->e0, e0_first ? ACCECN_INIT_E1 : ACCECN_INIT_E0, said[2]);
}
