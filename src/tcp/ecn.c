// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/ecn.h"
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/input.h"

enum { ENABLE_NEVER, ENABLE_ALWAYS, ENABLE_WHEN_ASKED };

#define S(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." #field, struct tcp_ecn, stats.field, unit, desc)

static const struct sysctl_oid oids[] = {
    SYSCTL_OID_UINT("net.inet.tcp.ecn.enable", struct tcp_ecn, params.enable, SYSCTL_RW, 2, 0, 2, "",
                    "ECN (RFC 3168): 0 never, 1 offered and accepted, 2 accepted when the peer offers it"),
    SYSCTL_OID_UINT("net.inet.tcp.ecn.maxretries", struct tcp_ecn, params.maxretries, SYSCTL_RW, 1, 0, 255,
                    "segments", "SYNs and SYN-ACKs that are repeated with ECN before it is given up"),
    S(ecn_rcvce, "segments", "Segments received with Congestion Experienced"),
    S(ecn_rcvect0, "segments", "Segments received with ECT(0)"),
    S(ecn_rcvect1, "segments", "Segments received with ECT(1)"),
    S(ecn_sndect0, "segments", "Segments sent with ECT(0)"),
    S(ecn_sndect1, "segments", "Segments sent with ECT(1)"),
    S(ecn_shs, "connections", "Handshakes that agreed on ECN"),
    S(ecn_rcwnd, "events", "Windows cut because of ECN"),
};

int tcp_ecn_create(struct tcp_layer *t)
{
    return sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), &t->ecn);
}

void tcp_ecn_destroy(struct tcp_layer *t)
{
    sysctl_unregister(t->e->sysctl, &t->ecn);
}

static struct tcp_ecn *ecn(const struct tcb *tp)
{
    return &tp->e->tcp->ecn;
}

/* ---- handshake ---- */

enum ecn_answer ecn_answer(const struct tcp_layer *t, uint8_t syn_ace)
{
    if (t->ecn.params.enable == ENABLE_NEVER || (syn_ace & ACE_SETUP) != ACE_SETUP)
        return ECN_REFUSED;
    return ECN_CLASSIC; /* RFC 9768 §3.1.1: with AE too, who does not know it answers as to a classic offer */
}

uint8_t ecn_synack_flags(struct tcp_layer *t, uint8_t *answer, unsigned resent)
{
    if (resent > t->ecn.params.maxretries)
        *answer = ECN_REFUSED;
    return *answer == ECN_CLASSIC ? ACE_ECE : 0;
}

void ecn_accepted(struct tcb *tp, enum ecn_answer answer)
{
    tp->ecn = 0;
    if (answer == ECN_REFUSED)
        return;
    tp->ecn = TE_ON;
    ecn(tp)->stats.ecn_shs++;
}

uint8_t ecn_syn_flags(struct tcb *tp)
{
    const struct ecn_params *p = &ecn(tp)->params;
    /* RFC 3168 §6.1.1: a host that has sent one SYN without does not use ECN, whatever the answer. */
    if (p->enable != ENABLE_ALWAYS || tp->rexmits > p->maxretries || (tp->flags & TF_NOOPT)) {
        tp->ecn = 0;
        return 0;
    }
    tp->ecn = TE_ASKED;
    return ACE_SETUP;
}

void ecn_synack_received(struct tcb *tp, uint8_t ace)
{
    bool agreed = (tp->ecn & TE_ASKED) && (ace & ACE_SETUP) == ACE_ECE;
    ecn_accepted(tp, agreed ? ECN_CLASSIC : ECN_REFUSED);
}

void ecn_syn_received(struct tcb *tp, uint8_t ace)
{
    ecn_accepted(tp, tp->ecn & TE_ASKED ? ecn_answer(tp->e->tcp, ace) : ECN_REFUSED);
}

uint8_t ecn_own_synack_flags(struct tcb *tp)
{
    uint8_t answer = tp->ecn & TE_ON ? ECN_CLASSIC : ECN_REFUSED;
    uint8_t ace = ecn_synack_flags(tp->e->tcp, &answer, tp->rexmits);
    if (answer == ECN_REFUSED)
        tp->ecn = 0;
    return ace;
}

/* ---- conversation ---- */

void ecn_input(struct tcb *tp, uint8_t ace, enum ecn_field field)
{
    struct ecn_stats *st = &ecn(tp)->stats;
    st->ecn_rcvce += field == ECN_CE;
    st->ecn_rcvect0 += field == ECN_ECT0;
    st->ecn_rcvect1 += field == ECN_ECT1;
    if (!(tp->ecn & TE_ON))
        return;
    if (ace & ACE_CWR) {
        tp->ecn &= (uint16_t)~TE_SEND_ECE;
        tcp_ack_now(tp); /* as FreeBSD: the sender learns early that this mark is dealt with */
    }
    if (field == ECN_CE) /* after CWR: the segment itself may be marked */
        tp->ecn |= TE_SEND_ECE;
}

bool ecn_congested(struct tcb *tp, tcp_seq ack, bool ece)
{
    if (!(tp->ecn & TE_ON))
        return false;
    if ((tp->ecn & TE_REDUCED) && seq_geq(ack, tp->ecn_recover))
        tp->ecn &= (uint16_t)~TE_REDUCED;
    if (!ece || (tp->ecn & TE_REDUCED))
        return false;
    ecn(tp)->stats.ecn_rcwnd++;
    ecn_reduced(tp);
    return true;
}

void ecn_reduced(struct tcb *tp)
{
    if (!(tp->ecn & TE_ON))
        return;
    tp->ecn |= TE_REDUCED | TE_SEND_CWR;
    tp->ecn_recover = tp->snd_max + 1;
}

enum ecn_field ecn_output(struct tcb *tp, uint8_t *ace, bool fresh)
{
    *ace = 0;
    if (!(tp->ecn & TE_ON))
        return ECN_NOT_ECT;
    if (tp->ecn & TE_SEND_ECE)
        *ace |= ACE_ECE;
    if (!fresh)
        return ECN_NOT_ECT; /* RFC 3168 §6.1.4 to §6.1.6: ACKs, retransmissions, probes */
    if (tp->ecn & TE_SEND_CWR) {
        *ace |= ACE_CWR;
        tp->ecn &= (uint16_t)~TE_SEND_CWR;
    }
    ecn(tp)->stats.ecn_sndect0++;
    return ECN_ECT0;
}
