// SPDX-License-Identifier: BSD-3-Clause
// Inside of the rack stack: rack.c decides what ACKs and timers mean, rack_output.c what is sent, rack_sack.c what blocks are believed,
// rack_params.c has settings, counters and options.
#pragma once
#include "tcp/loss/policer.h"
#include "tcp/loss/rack.h"
#include "tcp/loss/tlp.h"
#include "tcp/stacks/shared.h"

/* What TT_STACK waits for. */
enum rack_timer { RACK_TIMER_NONE, RACK_TIMER_REO, RACK_TIMER_TLP };

/* Phases that may have a rate of their own. */
enum rack_pace { RACK_PACE_CA, RACK_PACE_SS, RACK_PACE_REC, RACK_PACE_N };

#define RACK_SEEN 4 /* blocks that are remembered */

struct rack_params { /* sysctl net.inet.tcp.rack.*: rack_params.c */
    uint32_t reorder_thresh, reorder_fade_us, filter_life_us, dsack_ctl;
    uint32_t tlp_thresh, tlp_min_us, ack_delay_us;
    uint32_t sad_thresh; /* blocks that no honest receiver sends, before a peer's SACK is off; 0: never */
    uint32_t use_pacing, pace_max_seg, policing_hold_us;
};

struct rack_stats { /* net.inet.tcp.rack.stats.* */
    uint64_t policed, recoveries, reo_timeouts, tlp_timeouts, tlp_new, tlp_retran, tlp_recoveries,
        tlp_spurious;
    uint64_t lost_segs, rexmits, lostrexmt, reordered, dsack_wider, reneged, attacks, nomem;
};

struct tcp_rack {
    struct rack_params params;
    struct rack_stats stats;
    struct pool conns; /* struct rack_conn */
    struct sendmap_shared maps;
};

/* Of a connection; tcb.stack_state has room for the pointer only. */
struct rack_conn {
    struct sendmap map;
    struct rack rack;
    struct tlp tlp;
    uint64_t at;   /* ns, when timer: its deadline; TT_STACK may go off earlier, for the pacer */
    uint8_t timer; /* enum rack_timer */
    bool force;    /* the next lost segment leaves whatever the window says */
    bool sack_off; /* the peer's blocks are not heard any more */
    uint8_t n_seen;
    struct sack_block seen[RACK_SEEN]; /* blocks of the last ACK: in the map already */
    uint32_t odd;                      /* blocks that no honest receiver sends */
    /* Settings: the sysctls' when the connection began, or TCP_RACK_*. */
    struct rack_options options;
    uint64_t tlp_min_ns, ack_delay_ns;
    uint32_t sad_thresh;
    uint32_t probes;      /* sent, */
    uint64_t probe_bytes; /* and what they carried */
    uint8_t tlp_thresh;
    struct policer policer;          /* when paced */
    bool pace;                       /* at cwnd / SRTT, or at one of */
    uint32_t pace_rate[RACK_PACE_N]; /* bytes/s; 0: none */
};

struct rack_state {
    struct stack_shared shared;
    struct rack_conn *c;
};
_Static_assert(sizeof(struct rack_state) <= TCP_STACK_BYTES, "fits in the tcb");

static inline struct rack_conn *rack_conn(const struct tcb *tp)
{
    return ((const struct rack_state *)tp->stack_state)->c;
}
static inline struct rack_stats *rack_stats(const struct tcb *tp)
{
    return &tp->e->tcp->rack->stats;
}

/* Registers settings and counters. 0 or -errno. */
int tcp_rack_create(struct tcp_layer *t);
/* Every connection must have given its state back. */
void tcp_rack_destroy(struct tcp_layer *t);
/* The sysctls' values for a new connection. */
void rack_take_params(struct tcb *tp, struct rack_conn *c);
int rack_setopt(struct tcb *tp, int name, const void *val, uint32_t len);
int rack_getopt(const struct tcb *tp, int name, void *val, uint32_t *len);

/* rack_sack.c: the ACK's blocks go into the map. Returns bytes that are new; *dsack: the first block reports a duplicate. */
uint32_t rack_sack(struct tcb *tp, const struct tcp_ack *a, struct rack_ack *digest, bool *dsack);

void rack_output(struct tcb *tp);
/* The pacer's wish follows window, round trip time and phase. */
void rack_pace(struct tcb *tp);
void rack_sent(struct tcb *tp, const struct tcp_sent *s);
/* TLP: RFC 8985 §7.3. False: nothing could be sent. */
bool rack_send_probe(struct tcb *tp);
/* RFC 8985 §7.2: nothing is SACKed, no recovery is on, and more than the FIN is out. */
bool rack_tail_in_doubt(const struct tcb *tp, const struct rack_conn *c);
/* Arms the probe's timer if so, else stops it: the map must be up to date. una: the cumulative ACK. */
void rack_arm_tlp(struct tcb *tp, tcp_seq una, uint64_t now);
static inline void rack_arm(struct tcb *tp, struct rack_conn *c, enum rack_timer timer, uint64_t at)
{
    bool pacing = (tp->flags & TF_PACED) && tp->pacer.waiting;
    c->timer = (uint8_t)timer;
    c->at = at;
    tcp_timer_arm(tp, TT_STACK, pacing && tp->pacer.next < at ? tp->pacer.next : at);
}
static inline void rack_disarm(struct tcb *tp, struct rack_conn *c)
{
    c->timer = RACK_TIMER_NONE;
    if (!(tp->flags & TF_PACED))
        tcp_timer_stop(tp, TT_STACK);
}
