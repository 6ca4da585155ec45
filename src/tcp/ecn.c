// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/ecn.h"
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/accecn.h"
#include "tcp/input.h"
#include "tcp/output.h"

enum { ENABLE_NEVER, ENABLE_ALWAYS, ENABLE_WHEN_ASKED, ENABLE_ACCURATE, ENABLE_ACCURATE_WHEN_ASKED };

/* How a SYN or SYN-ACK arrived, as the ACE field of the answer says it (RFC 9768 §3.1.2); by enum ecn_field. */
static const uint8_t handshake_code[] = {[ECN_NOT_ECT] = 2, [ECN_ECT1] = 3, [ECN_ECT0] = 4, [ECN_CE] = 6};
#define ACE_START    5 /* both counters begin here (§3.2.1) */
#define ACE_START_CE 6 /* or here when the segment of the handshake was marked */

#define S(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." #field, struct tcp_ecn, stats.field, unit, desc)

static const struct sysctl_oid oids[] = {
    SYSCTL_OID_UINT(
        "net.inet.tcp.ecn.enable", struct tcp_ecn, params.enable, SYSCTL_RW, 2, 0, 4, "",
        "ECN: 0 never, 1 offered and accepted, 2 accepted when offered (RFC 3168); 3 and 4 as 1 and "
        "2 with AccECN too (RFC 9768)"),
    SYSCTL_OID_UINT("net.inet.tcp.ecn.maxretries", struct tcp_ecn, params.maxretries, SYSCTL_RW, 1, 0, 255,
                    "segments", "SYNs and SYN-ACKs that are repeated with ECN before it is given up"),
    SYSCTL_OID_UINT(
        "net.inet.tcp.ecn.option", struct tcp_ecn, params.option, SYSCTL_RW, 1, 0, 2, "",
        "AccECN option: 0 not sent, 1 sent with the first segments and whenever a counter moved, as "
        "long as such segments arrive, 2 also when they seem to be dropped"),
    S(ecn_rcvce, "segments", "Segments received with Congestion Experienced"),
    S(ecn_rcvect0, "segments", "Segments received with ECT(0)"),
    S(ecn_rcvect1, "segments", "Segments received with ECT(1)"),
    S(ecn_sndect0, "segments", "Segments sent with ECT(0)"),
    S(ecn_sndect1, "segments", "Segments sent with ECT(1)"),
    S(ecn_shs, "connections", "Handshakes that agreed on ECN"),
    S(ecn_rcwnd, "events", "Windows cut because of ECN"),
    S(ace_nect, "connections", "AccECN handshakes whose SYN arrived as Not-ECT"),
    S(ace_ect1, "connections", "AccECN handshakes whose SYN arrived as ECT(1)"),
    S(ace_ect0, "connections", "AccECN handshakes whose SYN arrived as ECT(0)"),
    S(ace_ce, "connections", "AccECN handshakes whose SYN arrived as CE"),
    S(ace_zeroed, "connections", "AccECN connections on which somebody clears the ACE field"),
    S(ace_options, "segments", "AccECN options received and heeded"),
    S(ace_option_zeroed, "connections", "AccECN connections on which somebody clears the option's counters"),
    S(ace_option_silent, "connections",
      "AccECN connections whose options seem to be dropped: no more are sent"),
    S(ace_marks, "segments", "Segments that AccECN peers reported as marked"),
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

static bool accurate_enabled(const struct tcp_layer *t)
{
    return t->ecn.params.enable >= ENABLE_ACCURATE;
}

enum ecn_answer ecn_answer(const struct tcp_layer *t, uint8_t syn_ace, enum ecn_field field)
{
    if (t->ecn.params.enable == ENABLE_NEVER || syn_ace == 0)
        return ECN_REFUSED;
    if (syn_ace == ACE_SETUP)
        return ECN_CLASSIC;
    if (accurate_enabled(t)) /* RFC 9768 §3.1.3: combinations nobody knows yet are taken as AccECN */
        return ECN_ACCURATE + field;
    return syn_ace == ACE_ACCURATE ? ECN_CLASSIC : ECN_REFUSED;
}

uint8_t ecn_synack_flags(struct tcp_layer *t, uint8_t *answer, unsigned resent)
{
    if (resent > t->ecn.params.maxretries)
        *answer = ECN_REFUSED;
    if (*answer < ECN_ACCURATE)
        return *answer == ECN_CLASSIC ? ACE_ECE : 0;
    return handshake_code[*answer - ECN_ACCURATE];
}

static void count_accurate(struct ecn_stats *st, enum ecn_field field)
{
    st->ace_nect += field == ECN_NOT_ECT;
    st->ace_ect1 += field == ECN_ECT1;
    st->ace_ect0 += field == ECN_ECT0;
    st->ace_ce += field == ECN_CE;
}

void ecn_accepted(struct tcb *tp, enum ecn_answer answer)
{
    tp->ecn = 0;
    if (answer == ECN_REFUSED)
        return;
    ecn(tp)->stats.ecn_shs++;
    tp->ecn = TE_ON;
    if (answer == ECN_CLASSIC)
        return;
    enum ecn_field field = answer - ECN_ACCURATE;
    count_accurate(&ecn(tp)->stats, field);
    tp->ecn |= TE_ACCURATE | TE_ACE_AWAIT;
    accecn_start(tp, tp->rexmits > 0);
    tp->ace_rcv = field == ECN_CE ? ACE_START_CE : ACE_START;
    tp->ace_snd = ACE_START;
}

uint8_t ecn_syn_flags(struct tcb *tp)
{
    const struct ecn_params *p = &ecn(tp)->params;
    bool ask = p->enable == ENABLE_ALWAYS || p->enable == ENABLE_ACCURATE;
    /* RFC 3168 §6.1.1: a host that has sent one SYN without does not use ECN, whatever the answer. */
    if (!ask || tp->rexmits > p->maxretries || (tp->flags & TF_NOOPT)) {
        tp->ecn = 0;
        return 0;
    }
    tp->ecn = TE_ASKED;
    return p->enable == ENABLE_ACCURATE ? ACE_ACCURATE : ACE_SETUP;
}

/* RFC 9768 §3.1.2, table 2. */
static bool accurate_answer(uint8_t ace, enum ecn_field *syn)
{
    for (unsigned f = ECN_NOT_ECT; f <= ECN_CE; f++) {
        if (handshake_code[f] == ace) {
            *syn = (enum ecn_field)f;
            return true;
        }
    }
    return false;
}

void ecn_synack_received(struct tcb *tp, uint8_t ace, enum ecn_field field)
{
    bool asked = tp->ecn & TE_ASKED;
    enum ecn_field syn;
    if (!asked || !accurate_enabled(tp->e->tcp) || !accurate_answer(ace, &syn)) {
        ecn_accepted(tp, asked && ace == ACE_ECE ? ECN_CLASSIC : ECN_REFUSED);
        return;
    }
    ecn_accepted(tp, ECN_ACCURATE + syn);
    tp->ecn = TE_ON | TE_ACCURATE | TE_ACE_TELL;
    tp->ace_snd = syn == ECN_CE ? ACE_START_CE : ACE_START;
    tp->ace_rcv = handshake_code[field];
    accecn_start(tp, false);
    tp->ecn_test.first_data = true;
    accecn_due(tp);
}

void ecn_syn_received(struct tcb *tp, uint8_t ace, enum ecn_field field)
{
    ecn_accepted(tp, ecn_answer(tp->e->tcp, ace, field)); /* whatever our own SYN said, as FreeBSD */
}

uint8_t ecn_own_synack_flags(struct tcb *tp)
{
    uint8_t answer = ECN_REFUSED;
    if (tp->ecn & TE_ACCURATE)
        answer = ECN_ACCURATE + (tp->ace_rcv == ACE_START_CE ? ECN_CE : ECN_NOT_ECT);
    else if (tp->ecn & TE_ON)
        answer = ECN_CLASSIC;
    uint8_t ace = ecn_synack_flags(tp->e->tcp, &answer, tp->rexmits);
    if (answer == ECN_REFUSED)
        tp->ecn = 0;
    return ace;
}

/* ---- conversation ---- */

/* How our SYN-ACK arrived (RFC 9768 §3.2.2.1, §3.2.2.4). */
static void first_ace(struct tcb *tp, uint8_t ace)
{
    tp->ecn &= (uint16_t)~TE_ACE_AWAIT;
    if (ace == 0) {
        tp->ecn |= TE_ACE_ZEROED;
        ecn(tp)->stats.ace_zeroed++;
    }
    tp->ace_snd = ace == handshake_code[ECN_CE] ? ACE_START_CE : ACE_START;
}

/* The counter of the peer moved on. Fewer than eight: who marks more than seven segments between two ACKs loses count, and the window
 * is cut once anyway. An ACK that was overtaken says nothing. */
static void count_marks(struct tcb *tp, struct tcp_segment *s, uint8_t ace)
{
    s->flags &= (uint8_t)~RTE_TCP_ECE_FLAG;
    if (seq_lt(s->ack, tp->snd_una) || (tp->ecn & TE_ACE_ZEROED))
        return;
    if (tp->ecn & TE_ACE_AWAIT) {
        first_ace(tp, ace);
        if (s->opt.seen & TOF_ACCECN)
            accecn_input(tp, s);
        s->marked = 0;
        return;
    }
    uint8_t marks = (ace - tp->ace_snd) & 7;
    s->marked = marks * (uint32_t)tp->maxseg;
    tp->ace_snd = (uint8_t)(tp->ace_snd + marks);
    tp->ce_told += marks;
    ecn(tp)->stats.ace_marks += marks;
    if (s->opt.seen & TOF_ACCECN)
        accecn_input(tp, s);
    if (marks > 0 || s->marked > 0)
        s->flags |= RTE_TCP_ECE_FLAG;
}

/* RFC 9768 §3.2.2.5.1: the counter must not run away from the peer between two ACKs. */
static void count_ce(struct tcb *tp)
{
    tp->ace_rcv++;
    tp->ce_rcv++;
    if (++tp->ace_unsaid >= 3)
        tcp_ack_now(tp);
}

/* RFC 8257 §3.2: the peer is to know exactly what was marked, so an ACK speaks of marked segments or of others, not of both. */
static void dctcp_input(struct tcb *tp, enum ecn_field field)
{
    bool ce = field == ECN_CE;
    if (ce == !!(tp->ecn & TE_CE))
        return;
    if (tp->flags & (TF_DELACK | TF_ACKNOW))
        tcp_output_ack(tp);
    tp->ecn ^= TE_CE;
    tp->ecn = (uint16_t)(ce ? tp->ecn | TE_SEND_ECE : tp->ecn & ~TE_SEND_ECE);
    tcp_ack_now(tp);
}

static void classic_input(struct tcb *tp, uint8_t ace, enum ecn_field field)
{
    if (ace & ACE_CWR) {
        tp->ecn &= (uint16_t)~TE_SEND_ECE;
        tcp_ack_now(tp); /* as FreeBSD: the sender learns early that this mark is dealt with */
    }
    if (field == ECN_CE) /* after CWR: the segment itself may be marked */
        tp->ecn |= TE_SEND_ECE;
}

void ecn_input(struct tcb *tp, struct tcp_segment *s, enum ecn_field field)
{
    struct ecn_stats *st = &ecn(tp)->stats;
    uint8_t ace = tcp_ace(s->th);
    st->ecn_rcvce += field == ECN_CE;
    st->ecn_rcvect0 += field == ECN_ECT0;
    st->ecn_rcvect1 += field == ECN_ECT1;
    if (!(tp->ecn & TE_ON))
        return;
    if (tp->ecn & TE_ACCURATE) {
        accecn_watch(tp, s);
        count_marks(tp, s, ace);
        if (field == ECN_CE)
            count_ce(tp);
        if (field != ECN_NOT_ECT)
            accecn_received(tp, s, field);
    } else if (tp->cc->exact_ecn && s->len > 0) {
        dctcp_input(tp, field);
    } else {
        classic_input(tp, ace, field);
    }
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

static uint8_t accurate_flags(struct tcb *tp)
{
    uint8_t ace = tp->ace_rcv & 7;
    tp->ace_unsaid = 0;
    if (tp->ecn & TE_ACE_TELL) {
        tp->ecn &= (uint16_t)~TE_ACE_TELL;
        tp->ace_rcv = ace == handshake_code[ECN_CE] ? ACE_START_CE : ACE_START;
    }
    return ace;
}

static uint8_t classic_flags(struct tcb *tp, bool fresh)
{
    uint8_t ace = tp->ecn & TE_SEND_ECE ? ACE_ECE : 0;
    if (fresh && (tp->ecn & TE_SEND_CWR)) {
        ace |= ACE_CWR;
        tp->ecn &= (uint16_t)~TE_SEND_CWR;
    }
    return ace;
}

enum ecn_field ecn_output(struct tcb *tp, uint8_t *ace, bool fresh)
{
    *ace = 0;
    if (!(tp->ecn & TE_ON))
        return ECN_NOT_ECT;
    *ace = tp->ecn & TE_ACCURATE ? accurate_flags(tp) : classic_flags(tp, fresh);
    if (!fresh || (tp->ecn & TE_ACE_ZEROED))
        return ECN_NOT_ECT; /* RFC 3168 §6.1.4 to §6.1.6: ACKs, retransmissions, probes */
    ecn(tp)->stats.ecn_sndect0++;
    return ECN_ECT0;
}
