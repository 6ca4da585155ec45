// SPDX-License-Identifier: BSD-3-Clause
#include "tools/blackbox/flow.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/blackbox/segment.h"

enum { ESTABLISHED = 4, CLOSE_WAIT = 5, FIN_WAIT_1 = 6, LAST_ACK = 8, MSS_GUESS = 1448 };

static void range_add(struct flow_range *r, uint64_t v)
{
    if (r->n++ == 0 || v < r->least)
        r->least = v;
    if (v > r->most)
        r->most = v;
    r->sum += v;
}

/* States in which data may still be sent. */
static bool sending(int32_t state)
{
    return state == ESTABLISHED || state == CLOSE_WAIT || state == FIN_WAIT_1 || state == LAST_ACK;
}

/* In flight after the event: OUT is written before its segment counts. */
static uint32_t flow_flight(const struct tcp_log_buffer *b)
{
    uint32_t flight = b->tlb_snd_max - b->tlb_snd_una;
    bool fresh = b->tlb_eventid == TCP_LOG_OUT && b->tlb_stackinfo.u_bbr.flex8 != 1;
    return fresh ? flight + b->tlb_len : flight;
}

enum flow_wait flow_wait_of(const struct tcp_log_buffer *b, uint32_t mss)
{
    uint32_t flight = flow_flight(b), queued = b->tlb_txbuf.tls_sb_ccc, ready = b->tlb_txbuf.tls_sb_acc;
    if (!sending(b->tlb_state))
        return FLOW_HANDSHAKE;
    if (queued <= flight)
        return FLOW_APPLICATION;
    if (ready <= flight)
        return FLOW_NOT_READY;
    uint32_t next = queued - flight < mss ? queued - flight : mss;
    if (flight + next > b->tlb_snd_wnd)
        return FLOW_RECEIVER;
    return flight + next > b->tlb_snd_cwnd ? FLOW_CWND : FLOW_STACK;
}

static void take_state(struct flow *f, int32_t state)
{
    if (f->n_states > 0 && f->states[f->n_states - 1].state == state)
        return;
    if (f->n_states == FLOW_STATES)
        return;
    f->states[f->n_states].state = state;
    f->states[f->n_states++].at = f->last - f->first;
}

static void take_segment(struct flow *f, const struct box_event *e)
{
    struct box_segment s;
    if (!(e->b.tlb_eventflags & TLB_FLAG_HDR))
        return;
    box_segment(e, &s);
    if (e->b.tlb_eventid == TCP_LOG_IN) {
        f->segs_in++;
        f->bytes_in += e->b.tlb_len;
        f->sacks += s.n_sack > 0;
        return;
    }
    bool again = e->b.tlb_len > 0 && e->b.tlb_stackinfo.u_bbr.flex8 == 1;
    f->segs_out++;
    f->data_segs += e->b.tlb_len > 0;
    f->rexmits += again;
    f->bytes_out += again ? 0 : e->b.tlb_len;
}

static void take_kind(struct flow *f, const struct box_event *e)
{
    const struct tcp_log_buffer *b = &e->b;
    switch (b->tlb_eventid) {
    case TCP_LOG_IN:
    case TCP_LOG_OUT:
        take_segment(f, e);
        break;
    case TCP_LOG_RTT:
        range_add(&f->rtt, b->tlb_stackinfo.u_bbr.flex1);
        break;
    case TCP_LOG_RTO:
        f->timeouts += b->tlb_flex1 == 0; /* retransmission, fires */
        break;
    case BBR_LOG_ENTREC:
        f->recoveries++;
        break;
    case TCP_LOG_BAD_RETRAN:
        f->spurious++;
        break;
    default:
        break;
    }
}

/* The time since the event before goes to what was waited for then. */
static void account(struct flow *f, const struct box_event *e)
{
    uint64_t passed = e->us > f->last ? e->us - f->last : 0;
    if (!f->seen) {
        f->first = e->us;
        f->seen = true;
        passed = 0;
    }
    f->waited[f->waits] += passed;
    if (f->window_closed)
        f->zero_window += passed;
    f->last = f->first > e->us ? f->last : e->us;
}

bool flows_take(struct flows *fs, const struct box_event *e)
{
    if (e->connection >= fs->n) {
        struct flow *more = realloc(fs->f, (e->connection + 1) * sizeof(*more));
        if (!more)
            return false;
        memset(more + fs->n, 0, (e->connection + 1 - fs->n) * sizeof(*more));
        fs->f = more;
        fs->n = e->connection + 1;
    }
    struct flow *f = &fs->f[e->connection];
    if (e->skipped) {
        f->missing += e->skipped;
        return true;
    }
    account(f, e);
    f->header = *e->section;
    snprintf(f->stack, sizeof(f->stack), "%s", e->stack);
    f->events++;
    take_state(f, e->b.tlb_state);
    take_kind(f, e);
    if (e->b.tlb_eventflags & TLB_FLAG_STACKINFO && e->b.tlb_stackinfo.u_bbr.pkts_out &&
        (e->b.tlb_eventid == TCP_LOG_IN || e->b.tlb_eventid == TCP_LOG_OUT))
        f->mss = e->b.tlb_stackinfo.u_bbr.pkts_out;
    if (sending(e->b.tlb_state)) {
        range_add(&f->cwnd, e->b.tlb_snd_cwnd);
        range_add(&f->flight, flow_flight(&e->b));
    }
    f->waits = flow_wait_of(&e->b, f->mss ? f->mss : MSS_GUESS);
    f->window_closed = sending(e->b.tlb_state) && e->b.tlb_snd_wnd == 0;
    return true;
}

uint64_t flow_sending_time(const struct flow *f)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < FLOW_HANDSHAKE; i++)
        sum += f->waited[i];
    return sum;
}

void flows_free(struct flows *fs)
{
    free(fs->f);
}
