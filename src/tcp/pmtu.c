// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/pmtu.h"
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/input.h"
#include "tcp/output.h"

#define PROBE_TRIES     3 /* RFC 8899 §5.1.2 MAX_PROBES: one loss may have another reason */
#define PROBE_PRECISION 8 /* bytes: the search ends when it knows the size so well */
#define PROBE_FOLLOWERS                                                                                      \
    3 /* segments behind the probe, so that its loss shows without a timeout (RFC 4821 §7.4) */

static struct pmtu_layer *layer_of(const struct tcb *tp)
{
    return &tp->e->tcp->pmtu;
}

/* ---- settings ---- */

#define UINT(name, field, def, min, max, unit, desc)                                                         \
    SYSCTL_OID_UINT("net.inet.tcp." name, struct pmtu_layer, params.field, SYSCTL_RW, def, min, max, unit,   \
                    desc)
#define COUNTER(name, field, unit, desc)                                                                     \
    SYSCTL_OID_COUNTER("net.inet.tcp.stats." name, struct pmtu_layer, stats.field, unit, desc)

static const struct sysctl_oid oids[] = {
    UINT("pmtud_blackhole_detection", blackhole_detection, 0, 0, 3, "",
         "Smaller segments when full ones time out: 0 off, 1 on, 2 for IPv4 only, 3 for IPv6 only"),
    UINT("pmtud_blackhole_mss", blackhole_mss, 1200, 216, 65495, "bytes",
         "Segment size that is tried first in an IPv4 black hole"),
    UINT("v6pmtud_blackhole_mss", v6blackhole_mss, 1220, 216, 65475, "bytes",
         "Segment size that is tried first in an IPv6 black hole"),
    UINT("plpmtud", plpmtud, 1, 0, 2, "",
         "Probing for larger segments (RFC 4821): 0 off, 1 out of a black hole, 2 on every connection"),
    UINT("plpmtud_base_mss", base_mss, 1024, 216, 65495, "bytes",
         "Segment size that a connection begins with when plpmtud is 2"),
    UINT("plpmtud_interval", interval_ms, 600000, 1000, 24 * 3600 * 1000, "ms",
         "Time until larger segments are tried again (RFC 4821 section 7.7)"),
    UINT("pmtud_icmp_timeouts", icmp_timeouts, 0, 0, 5, "timeouts",
         "ICMP that makes segments smaller than ones that were acknowledged is believed after so many "
         "timeouts of "
         "what it quotes (RFC 5927 section 7.2); 0: at once"),
    COUNTER("pmtud_claims_held", claims_held, "packets", "ICMP too big that waited for a timeout"),
    COUNTER("pmtud_claims_refuted", claims_refuted, "packets",
            "ICMP too big that was not believed: what it quoted was acknowledged"),
    COUNTER("pmtud_blackhole_activated", blackhole_activated, "events",
            "Black holes met: segments became smaller"),
    COUNTER("pmtud_blackhole_activated_min_mss", blackhole_activated_min_mss, "events",
            "Black holes that took no smaller segments either: default MSS, fragments allowed"),
    COUNTER("pmtud_blackhole_failed", blackhole_failed, "events",
            "Smaller segments did not help: size as before"),
    COUNTER("plpmtud_probes", probes, "segments", "Probes for a larger segment size sent"),
    COUNTER("plpmtud_good", probes_good, "segments", "Probes that arrived"),
    COUNTER("plpmtud_lost", probes_lost, "segments", "Probes that were lost"),
};

int tcp_pmtu_create(struct tcp_layer *t)
{
    return sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), &t->pmtu);
}

void tcp_pmtu_destroy(struct tcp_layer *t)
{
    sysctl_unregister(t->e->sysctl, &t->pmtu);
}

/* ---- ICMP that waits (RFC 5927 §7.2) ---- */

bool tcp_pmtu_hold(struct tcb *tp, uint32_t seq, uint32_t mtu)
{
    struct tcp_pmtu *p = &tp->pmtu;
    /* Where nothing so large can have been acknowledged yet the path is being learnt, and that is to be quick. */
    bool learning = tp->bytes_out - tcb_flight(tp) < mtu;
    if (layer_of(tp)->params.icmp_timeouts == 0 || !TCPS_HAVEESTABLISHED(tp->state) || learning)
        return false;
    if (p->claim_mtu == 0 || seq_lt(p->claim_seq, tp->snd_una) || seq_leq(seq, p->claim_seq)) {
        p->claim_seq = seq;
        p->claim_mtu = (uint16_t)mtu;
    }
    layer_of(tp)->stats.claims_held++;
    return true;
}

/* A timeout. Is it of what the claim quoted? */
static void judge_claim(struct tcb *tp)
{
    struct tcp_pmtu *p = &tp->pmtu;
    uint32_t mtu = p->claim_mtu;
    if (seq_lt(p->claim_seq, tp->snd_una)) {
        p->claim_mtu = 0;
        layer_of(tp)->stats.claims_refuted++;
    } else if (p->claim_seq - tp->snd_una < tp->maxseg && tp->rexmits >= layer_of(tp)->params.icmp_timeouts) {
        p->claim_mtu = 0;
        tcp_path_smaller(tp, mtu);
    }
}

/* ---- black holes ---- */

static bool is_v4(const struct tcb *tp)
{
    return ip_addr_is_v4(&tp->faddr);
}

static bool detecting(const struct tcb *tp)
{
    uint32_t how = layer_of(tp)->params.blackhole_detection;
    bool on = how == 1 || how == (is_v4(tp) ? 2u : 3u);
    return on && tp->e->tcp->params.path_mtu_discovery &&
           (tp->state == TCPS_ESTABLISHED || tp->state == TCPS_FIN_WAIT_1);
}

static void search_later(struct tcb *tp, uint64_t wait_ns)
{
    tp->pmtu.probe = 0;
    tp->pmtu.flying = false;
    tp->pmtu.failures = 0;
    tp->pmtu.probe_at = layer_of(tp)->params.plpmtud > 0 ? tp->e->now + wait_ns : 0;
}

/* As FreeBSD: first to the black hole's size, then to the default one without path MTU discovery. */
static void smaller(struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    struct pmtu_layer *l = layer_of(tp);
    uint32_t first = is_v4(tp) ? l->params.blackhole_mss : l->params.v6blackhole_mss;
    tp->pmtu.high = tp->pmtu.mss;
    if (tp->pmtu.mss > first) {
        tp->pmtu.cap = (uint16_t)first;
        tp->pmtu.blackhole = PMTU_BLACKHOLE;
        l->stats.blackhole_activated++;
    } else {
        tp->pmtu.cap = (uint16_t)(is_v4(tp) ? p->mssdflt : p->v6mssdflt);
        tp->pmtu.blackhole = PMTU_MINIMUM;
        l->stats.blackhole_activated_min_mss++;
    }
    tcp_mss_update(tp);
    search_later(tp, NS_PER_SEC);
}

/* The way is open, or the reason another one. */
static void as_before(struct tcb *tp)
{
    tp->pmtu = (struct tcp_pmtu){0};
    tcp_mss_update(tp);
}

void tcp_pmtu_timeout(struct tcb *tp)
{
    if (tp->pmtu.flying)
        tcp_pmtu_resent(tp, tp->pmtu.probe_seq);
    if (tp->pmtu.claim_mtu)
        judge_claim(tp);
    if (!detecting(tp))
        return;
    /* Each size has two chances (FreeBSD). */
    bool turn = tp->rexmits >= 2 && tp->rexmits < 6 && tp->rexmits % 2 == 0;
    if (turn && tcb_flight(tp) >= tp->maxseg && tp->pmtu.blackhole != PMTU_MINIMUM) {
        smaller(tp);
    } else if (tp->rexmits >= 6 && tp->pmtu.blackhole != PMTU_OPEN) {
        layer_of(tp)->stats.blackhole_failed++;
        as_before(tp);
    }
}

/* ---- probing (RFC 4821 §7) ---- */

void tcp_pmtu_established(struct tcb *tp)
{
    const struct pmtu_params *p = &layer_of(tp)->params;
    if (p->plpmtud < 2 || tp->pmtu.mss <= p->base_mss)
        return;
    tp->pmtu.cap = (uint16_t)p->base_mss;
    tcp_mss_update(tp);
    search_later(tp, 0);
}

/* The size that was tried went through. */
static void probe_good(struct tcb *tp)
{
    struct tcp_pmtu *p = &tp->pmtu;
    layer_of(tp)->stats.probes_good++;
    p->cap = p->probe;
    if (p->blackhole == PMTU_MINIMUM)
        p->blackhole = PMTU_BLACKHOLE;
    if (p->cap >= tcp_mss_most(tp)) {
        as_before(tp);
        return;
    }
    search_later(tp, 0);
    tcp_mss_update(tp);
}

void tcp_pmtu_resent(struct tcb *tp, uint32_t seq)
{
    struct tcp_pmtu *p = &tp->pmtu;
    if (!p->flying || seq_lt(seq, p->probe_seq) || seq_geq(seq, p->probe_seq + p->probe_len))
        return;
    layer_of(tp)->stats.probes_lost++;
    p->flying = false;
    p->probe_at = tp->e->now + tp->rto; /* what the loss left behind is over then */
    if (++p->failures < PROBE_TRIES)
        return;
    p->high = (uint16_t)(p->probe - 1);
    search_later(tp, tp->rto);
}

/* The whole step first, for most paths take it; then halves. 0: known well enough. */
static uint32_t next_size(const struct tcb *tp)
{
    const struct tcp_pmtu *p = &tp->pmtu;
    uint32_t most = tcp_mss_most(tp), high = p->high && p->high < most ? p->high : most;
    if (p->failures > 0)
        return p->probe;
    if (high <= (uint32_t)p->cap + PROBE_PRECISION)
        return high == most && high > p->cap ? high : 0;
    return p->high ? (p->cap + high + 1u) / 2 : high;
}

/* A probe in flight has ended well when all of it is acknowledged. */
static void look_after_probe(struct tcb *tp)
{
    if (tp->pmtu.flying && seq_geq(tp->snd_una, tp->pmtu.probe_seq + tp->pmtu.probe_len))
        probe_good(tp);
}

static bool quiet(const struct tcb *tp)
{
    return !tp->pmtu.flying && tp->snd_nxt == tp->snd_max && tp->dupacks == 0 && !tp->recovery &&
           !tp->reass && !(tp->flags & (TF_RECOVERY | TF_RTO_RECOVERY));
}

uint32_t tcp_pmtu_probe(struct tcb *tp, uint32_t avail)
{
    struct tcp_pmtu *p = &tp->pmtu;
    look_after_probe(tp);
    if (p->probe_at == 0 || tp->e->now < p->probe_at || !quiet(tp))
        return 0;
    uint32_t size = next_size(tp), options = p->mss - tp->maxseg;
    if (size == 0) { /* settled; paths change, so later from the top again */
        p->high = 0;
        search_later(tp, layer_of(tp)->params.interval_ms * NS_PER_MS);
        return 0;
    }
    if (avail < size + PROBE_FOLLOWERS * (uint32_t)tp->maxseg)
        return 0;
    p->probe = (uint16_t)size;
    return size - options;
}

bool tcp_pmtu_probe_sent(struct tcb *tp, uint32_t seq, uint32_t len)
{
    struct tcp_pmtu *p = &tp->pmtu;
    if (p->probe == 0 || p->flying || seq != tp->snd_max || len + (p->mss - tp->maxseg) != p->probe)
        return false;
    p->flying = true;
    p->probe_seq = seq;
    p->probe_len = (uint16_t)len;
    layer_of(tp)->stats.probes++;
    return true;
}

bool tcp_pmtu_was_probe(const struct tcb *tp, uint32_t start, uint32_t end)
{
    const struct tcp_pmtu *p = &tp->pmtu;
    return p->probe_len > 0 && start == p->probe_seq && seq_leq(end, p->probe_seq + p->probe_len);
}
