// SPDX-License-Identifier: BSD-3-Clause
// Settings, counters and socket options of the rack stack, with FreeBSD's names; docs/rack.md has the table of those that are not here.
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <leat/tcp.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/stacks/rack.h"

#define P(name, field, def, min, max, unit, desc)                                                            \
    SYSCTL_OID_UINT("net.inet.tcp.rack." name, struct tcp_rack, params.field, SYSCTL_RW, def, min, max,      \
                    unit, desc)
#define M(name, field, min, max, desc)                                                                       \
    SYSCTL_OID_UINT("net.inet.tcp.rack." name, struct tcp_rack, maps.field, SYSCTL_RW, 0, min, max,          \
                    "entries", desc)
#define S(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.rack.stats." #field, struct tcp_rack, stats.field, unit, desc)
#define C(field, unit, desc)                                                                                 \
    SYSCTL_OID_COUNTER("net.inet.tcp.rack.stats." #field, struct tcp_rack, maps.field, unit, desc)

#define SPLIT_LIMIT 20000 /* entries; a loss of 10 % among 100,000 segments */

static int set_map_limit(void *base, const struct sysctl_oid *oid, const char *text, char *err,
                         size_t errsize)
{
    struct tcp_rack *l = base;
    uint32_t v = (uint32_t)strtoul(text, NULL, 0);
    if (v > 0 && v < 128) {
        snprintf(err, errsize, "%s: 0 for none, or at least 128", oid->name);
        return -EINVAL;
    }
    l->maps.map_limit = v;
    return 0;
}

static const struct sysctl_oid oids[] = {
    {.name = "net.inet.tcp.rack.map_limit",
     .desc = "Entries of a send map beyond which no new data leaves; 0: none",
     .unit = "entries",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_rack, maps.map_limit),
     .min = 0,
     .max = INT32_MAX,
     .def = 0,
     .set = set_map_limit},
    SYSCTL_OID_UINT(
        "net.inet.tcp.rack.split_limit", struct tcp_rack, maps.split_limit, SYSCTL_RW, SPLIT_LIMIT, 0,
        INT32_MAX, "entries",
        "Entries of a send map made by splits on SACK edges; more SACKs are not noted; 0: no limit"),
    P("tlp.reorder_thresh", reorder_thresh, 2, 1, 30, "",
      "Reordering window: the least round trip time shifted right by this (RFC 8985: a quarter)"),
    P("tlp.reorder_fade", reorder_fade_us, 60000000, 0, UINT32_MAX, "us",
      "Reordering is forgotten so long after it was seen; 0: never (RFC 8985)"),
    P("tlp.rtt_tlp_thresh", tlp_thresh, 1, 1, 255, "",
      "The probe leaves after SRTT + SRTT / this (RFC 8985: 2 * SRTT)"),
    P("tlp.tlpminto", tlp_min_us, 10000, 10, 60000000, "us", "A probe does not leave before"),
    P("timers.delayed_ack", ack_delay_us, 40000, 0, 1000000, "us",
      "When one segment is in flight, whose ACK the peer may delay so long: a probe not before 1.5 * SRTT + "
      "this"),
    P("probertt.filter_life", filter_life_us, 10000000, 100000, UINT32_MAX, "us",
      "The least round trip time is that of the last one or two such spans"),
    P("misc.rack_dsack_ctl", dsack_ctl, 3, 0, 3, "",
      "Bit 1: the reordering window is open before reordering was seen; bit 2: DSACK widens it (3: RFC "
      "8985)"),
    P("use_pacing", use_pacing, 0, 0, 1, "", "New connections are paced, at cwnd / SRTT"),
    P("pacing.pace_max_seg", pace_max_seg, 40, 0, 63, "segments",
      "Segments that may leave together when paced; 0: as many as the rate has in 1 ms"),
    P("policing.hold", policing_hold_us, 30000000, 0, UINT32_MAX, "us",
      "So long a paced connection keeps below the rate that a policer lets through, when it has found one; "
      "0: never"),
    P("misc.sad_thresh", sad_thresh, 100, 0, INT32_MAX, "blocks",
      "SACK blocks that no honest receiver sends, or that find no room, before a peer's SACK is not heard "
      "any more; 0: never"),
    S(policed, "events", "Rates of a policer that paced connections found out"),
    S(recoveries, "episodes", "Fast recoveries"),
    S(reo_timeouts, "timeouts", "Times that the reordering timer went off (RFC 8985 section 6.2 step 5)"),
    S(tlp_timeouts, "timeouts", "Times that the probe timer went off (RFC 8985 section 7.3)"),
    S(tlp_new, "segments", "Probes of new data"),
    S(tlp_retran, "segments", "Probes that were the last segment again"),
    S(tlp_recoveries, "events", "Losses that the probe itself repaired"),
    S(tlp_spurious, "events", "Probes that a DSACK says were not needed"),
    S(lost_segs, "segments", "Segments found lost"),
    S(rexmits, "segments", "Lost segments sent again"),
    S(lostrexmt, "segments", "Of them, retransmissions that were lost in turn"),
    S(reordered, "segments", "ACKs that showed reordering"),
    S(dsack_wider, "events", "Reordering windows made wider by DSACK"),
    S(reneged, "events", "Peers that dropped what they had SACKed"),
    S(attacks, "connections", "Peers whose SACK is not heard any more"),
    S(nomem, "connections", "Connections that found no memory for this stack"),
    C(split_limited, "blocks", "SACK blocks not noted because of split_limit"),
    C(map_limited, "events", "Output passes ended by map_limit"),
    {.name = "net.inet.tcp.rack.stats.alloc_failed",
     .desc = "Send map entries that found no memory",
     .unit = "entries",
     .type = SYSCTL_COUNTER,
     .flags = SYSCTL_RD,
     .offset = offsetof(struct tcp_rack, maps.nomem)},
    C(misaligned, "blocks", "SACK blocks with an edge within a segment"),
};

int tcp_rack_create(struct tcp_layer *t)
{
    struct tcp_rack *l = mem_alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    t->rack = l;
    sendmap_shared_init(&l->maps);
    pool_init(&l->conns, "rack connections", sizeof(struct rack_conn), UINT32_MAX, 64);
    return sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), l);
}

void tcp_rack_destroy(struct tcp_layer *t)
{
    if (!t->rack)
        return;
    sysctl_unregister(t->e->sysctl, t->rack);
    pool_fini(&t->rack->conns);
    sendmap_shared_fini(&t->rack->maps);
    mem_free(t->rack);
    t->rack = NULL;
}

static void set_dsack(struct rack_conn *c, unsigned bits)
{
    c->options.window_at_once = bits & 1;
    c->options.dsack_widens = bits & 2;
}

void rack_take_params(struct tcb *tp, struct rack_conn *c)
{
    const struct rack_params *p = &tp->e->tcp->rack->params;
    c->options.reorder_thresh = (uint8_t)p->reorder_thresh;
    c->options.reorder_fade_ns = p->reorder_fade_us * NS_PER_US;
    c->options.filter_life_ns = p->filter_life_us * NS_PER_US;
    set_dsack(c, p->dsack_ctl);
    c->tlp_thresh = (uint8_t)p->tlp_thresh;
    c->tlp_min_ns = p->tlp_min_us * NS_PER_US;
    c->ack_delay_ns = p->ack_delay_us * NS_PER_US;
    c->sad_thresh = p->sad_thresh;
    c->pace = p->use_pacing;
    tp->pacer.max_segs = (uint16_t)p->pace_max_seg;
}

/* ---- socket options ---- */

static void set_pacing(struct tcb *tp, bool on)
{
    rack_conn(tp)->pace = on;
    if (!on)
        pacer_wish(tp, 0);
    else if (TCPS_HAVEESTABLISHED(tp->state))
        rack_pace(tp);
    if (TCPS_HAVEESTABLISHED(tp->state))
        tcb_mark_due(tp); /* what waited for the pacer waits no more */
}

static void set_rate(struct rack_conn *c, enum rack_pace phase, uint32_t rate)
{
    bool first = !c->pace_rate[RACK_PACE_CA] && !c->pace_rate[RACK_PACE_SS] && !c->pace_rate[RACK_PACE_REC];
    c->pace_rate[phase] = rate;
    for (unsigned i = 0; first && i < RACK_PACE_N; i++)
        c->pace_rate[i] = rate;
}

int rack_setopt(struct tcb *tp, int name, const void *val, uint32_t len)
{
    struct rack_conn *c = rack_conn(tp);
    int v = 0;
    if (name < TCP_RACK_PACE_MAX_SEG || name > TCP_RACK_DSACK_OPT)
        return -ENOPROTOOPT;
    if (len >= sizeof(v))
        memcpy(&v, val, sizeof(v));
    bool bad = len < sizeof(v);
    switch (name) {
    case TCP_RACK_REORD_THRESH:
        bad |= v < 1 || v > 30;
        c->options.reorder_thresh = bad ? c->options.reorder_thresh : (uint8_t)v;
        break;
    case TCP_RACK_REORD_FADE:
        bad |= v < 0;
        c->options.reorder_fade_ns = bad ? c->options.reorder_fade_ns : (uint64_t)v * NS_PER_US;
        break;
    case TCP_RACK_TLP_THRESH:
        bad |= v < 1 || v > UINT8_MAX;
        c->tlp_thresh = bad ? c->tlp_thresh : (uint8_t)v;
        break;
    case TCP_RACK_DO_DETECTION:
        c->sad_thresh = bad ? c->sad_thresh : v ? RTE_MAX(tp->e->tcp->rack->params.sad_thresh, 1u) : 0;
        break;
    case TCP_RACK_PACE_MAX_SEG:
        bad |= v < 0 || v > 63;
        tp->pacer.max_segs = bad ? tp->pacer.max_segs : (uint16_t)v;
        break;
    case TCP_RACK_PACE_ALWAYS:
        if (!bad)
            set_pacing(tp, v != 0);
        break;
    case TCP_RACK_PACE_RATE_CA:
    case TCP_RACK_PACE_RATE_SS:
    case TCP_RACK_PACE_RATE_REC:
        if (!bad)
            set_rate(c, (enum rack_pace)(name - TCP_RACK_PACE_RATE_CA), (uint32_t)v);
        break;
    case TCP_RACK_DSACK_OPT:
        bad |= v < 0 || v > 3;
        if (!bad)
            set_dsack(c, (unsigned)v);
        break;
    default:
        return -ENOPROTOOPT;
    }
    return bad ? -EINVAL : 0;
}

int rack_getopt(const struct tcb *tp, int name, void *val, uint32_t *len)
{
    const struct rack_conn *c = rack_conn(tp);
    int v;
    switch (name) {
    case TCP_RACK_REORD_THRESH:
        v = c->options.reorder_thresh;
        break;
    case TCP_RACK_REORD_FADE:
        v = (int)(c->options.reorder_fade_ns / NS_PER_US);
        break;
    case TCP_RACK_TLP_THRESH:
        v = c->tlp_thresh;
        break;
    case TCP_RACK_DO_DETECTION:
        v = c->sad_thresh > 0;
        break;
    case TCP_RACK_PACE_MAX_SEG:
        v = tp->pacer.max_segs;
        break;
    case TCP_RACK_PACE_ALWAYS:
        v = c->pace;
        break;
    case TCP_RACK_PACE_RATE_CA:
    case TCP_RACK_PACE_RATE_SS:
    case TCP_RACK_PACE_RATE_REC:
        v = (int)c->pace_rate[name - TCP_RACK_PACE_RATE_CA];
        break;
    case TCP_RACK_DSACK_OPT:
        v = c->options.window_at_once | c->options.dsack_widens << 1;
        break;
    default:
        return -ENOPROTOOPT;
    }
    if (*len > sizeof(v))
        *len = sizeof(v);
    memcpy(val, &v, *len);
    return 0;
}
