// SPDX-License-Identifier: BSD-3-Clause
// RACK (RFC 8985 §6): a segment is lost when one that was sent after it has been delivered, and it has had the time that a reordered one
// takes. Works on the send map; knows neither windows nor timers: it says what is lost, and when to look again.
#pragma once
#include "tcp/loss/sendmap.h"

#define RACK_DUP_THRESH 3  /* RFC 5681's DupThresh, as RFC 8985 §6.2 step 4 uses it */
#define RACK_PERSIST    16 /* recoveries for which DSACK's larger window lasts (§6.2 step 4) */

/* Of a connection; settings as the sysctls of net.inet.tcp.rack, or TCP_RACK_*. */
struct rack_options {
    uint64_t
        reorder_fade_ns; /* reordering is forgotten so long after it was seen last; 0: never, as the RFC has it */
    uint64_t filter_life_ns; /* of the minimum of round trip times */
    uint8_t reorder_thresh;  /* the window is min_RTT >> reorder_thresh */
    bool window_at_once;     /* it is open before reordering was seen */
    bool dsack_widens;       /* DSACK makes it larger */
};

struct rack {                    /* RFC 8985 §5.3 */
    uint64_t xmit_ns;            /* RACK.xmit_ts: of the segment sent last of all that were delivered */
    tcp_seq end_seq;             /* RACK.end_seq */
    tcp_seq fack;                /* RACK.fack: the highest that was delivered */
    uint64_t rtt;                /* RACK.rtt, ns; 0: none yet */
    uint64_t min_rtt;            /* RACK.min_RTT, ns, of the last one or two filter_life_ns; 0: none */
    uint64_t reo_wnd;            /* RACK.reo_wnd, ns */
    uint64_t min_now, min_since; /* the filter: minimum of the present span, and its beginning */
    uint64_t min_last;           /* of the span before */
    uint64_t reordered_at;       /* ns; when reordering_seen */
    tcp_seq dsack_round;         /* RACK.dsack_round, when in_dsack_round */
    uint8_t reo_wnd_mult, reo_wnd_persist;
    bool in_dsack_round, reordering_seen;
};

/* One ACK, while it is being digested: the argument of rack_delivered(). */
struct rack_ack {
    struct rack *rack;
    struct sendmap *map;
    const struct rack_options *options;
    uint64_t now;
    bool has_ts;
    uint32_t tsecr, ts_now; /* what the ACK echoes; our timestamp now */
    /* What it says: */
    uint32_t delivered; /* bytes */
    uint64_t rtt;       /* of the segment sent last among those never sent again; 0: none */
    uint64_t rtt_xmit;
    bool reordered; /* among it was reordering */
};

/* Everything before una has been delivered; min_rtt, ns, from the handshake, 0: none. */
void rack_init(struct rack *r, tcp_seq una, uint64_t min_rtt, uint64_t now);
/* A sendmap_delivered_fn; arg: struct rack_ack. Must be called in ascending order of sequence for what one ACK delivers. Steps 1 to 3. */
void rack_delivered(void *arg, const struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                    struct sendmap_entry *older);
/* The same for a segment that was all that was outstanding, sent once at xmit_ns: nothing is older, nothing reordered. Returns its round trip time, ns. */
uint64_t rack_delivered_alone(struct rack *r, const struct rack_options *o, uint64_t xmit_ns, tcp_seq end,
                              uint64_t now);
/* Step 4: the ACK una carries a DSACK. */
void rack_dsack(struct rack *r, const struct rack_options *o, tcp_seq una, tcp_seq snd_nxt);
/* Step 4: fast recovery, or the one after a timeout, is over. */
void rack_recovered(struct rack *r);
/* Steps 4 and 5, and what the timer does (§6.2): marks what is lost. Returns bytes that are newly lost; *deadline: when to look again, 0: no need. */
uint32_t rack_detect(struct rack *r, struct sendmap *m, const struct rack_options *o, bool in_recovery,
                     uint64_t srtt, uint64_t now, uint64_t *deadline);
/* §6.3: the retransmission timer went off. */
void rack_timeout(struct rack *r, struct sendmap *m, uint32_t mss, uint64_t now);
/* Marks of loss were taken back. */
static inline void rack_reposition(struct rack *r, struct sendmap *m)
{
    m->before = sendmap_sent_before(m, r->xmit_ns, r->end_seq);
}
