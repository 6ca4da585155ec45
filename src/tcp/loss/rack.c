// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/rack.h"
#include <rte_common.h>
#include "base/units.h"

void rack_init(struct rack *r, tcp_seq una, uint64_t min_rtt, uint64_t now)
{
    *r = (struct rack){.fack = una,
                       .end_seq = una,
                       .rtt = min_rtt,
                       .min_rtt = min_rtt,
                       .min_now = min_rtt,
                       .min_since = now,
                       .reo_wnd_mult = 1};
}

/* Step 1: a minimum over a window of time, so that a path that became longer is noticed. */
static void update_min_rtt(struct rack *r, const struct rack_options *o, uint64_t rtt, uint64_t now)
{
    if (now - r->min_since > o->filter_life_ns) {
        r->min_last = r->min_now;
        r->min_now = rtt;
        r->min_since = now;
    } else if (r->min_now == 0 || rtt < r->min_now) {
        r->min_now = rtt;
    }
    r->min_rtt = r->min_last > 0 ? RTE_MIN(r->min_last, r->min_now) : r->min_now;
}

/* Does the ACK echo a timestamp from before the last transmission of e? */
static bool echoes_older_copy(const struct rack_ack *a, const struct sendmap_entry *e)
{
    uint32_t sent = a->ts_now - (uint32_t)(a->now / NS_PER_MS - e->xmit_ns / NS_PER_MS);
    return a->has_ts && a->tsecr != 0 && (int32_t)(a->tsecr - sent) < 0;
}

/* Step 3 */
static void detect_reordering(struct rack_ack *a, const struct sendmap_entry *e, tcp_seq end)
{
    struct rack *r = a->rack;
    if (seq_gt(end, r->fack)) {
        r->fack = end;
    } else if (seq_lt(end, r->fack) && e->rexmits == 0 && !e->untimed) {
        r->reordering_seen = a->reordered = true;
        r->reordered_at = a->now;
    }
}

void rack_delivered(void *arg, const struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                    struct sendmap_entry *older)
{
    struct rack_ack *a = arg;
    struct rack *r = a->rack;
    uint64_t rtt = RTE_MAX(a->now - e->xmit_ns, UINT64_C(1));
    a->delivered += end - start;
    detect_reordering(a, e, end);
    if (e->untimed)
        return;
    if (e->rexmits == 0) {
        update_min_rtt(r, a->options, rtt, a->now);
        if (e->xmit_ns >= a->rtt_xmit) {
            a->rtt = rtt;
            a->rtt_xmit = e->xmit_ns;
        }
    } else if (rtt < r->min_rtt || echoes_older_copy(a, e)) {
        return; /* step 2: it may be an earlier copy that arrived */
    }
    if (sendmap_older(r->xmit_ns, r->end_seq, e->xmit_ns, end)) {
        r->xmit_ns = e->xmit_ns;
        r->end_seq = end;
        r->rtt = rtt;
        a->map->before = e->state == SENDMAP_FLYING ? older : sendmap_sent_before(a->map, e->xmit_ns, end);
    }
}

uint64_t rack_delivered_alone(struct rack *r, const struct rack_options *o, uint64_t xmit_ns, tcp_seq end,
                              uint64_t now)
{
    uint64_t rtt = RTE_MAX(now - xmit_ns, UINT64_C(1));
    update_min_rtt(r, o, rtt, now);
    r->fack = r->end_seq = end;
    r->xmit_ns = xmit_ns;
    return r->rtt = rtt;
}

void rack_dsack(struct rack *r, const struct rack_options *o, tcp_seq una, tcp_seq snd_nxt)
{
    if (r->in_dsack_round && seq_geq(una, r->dsack_round))
        r->in_dsack_round = false;
    if (r->in_dsack_round || !o->dsack_widens)
        return;
    r->in_dsack_round = true;
    r->dsack_round = snd_nxt;
    if (r->reo_wnd_mult < UINT8_MAX)
        r->reo_wnd_mult++;
    r->reo_wnd_persist = RACK_PERSIST;
}

void rack_recovered(struct rack *r)
{
    if (r->reo_wnd_persist > 0)
        r->reo_wnd_persist--;
    if (r->reo_wnd_persist == 0)
        r->reo_wnd_mult = 1;
}

/* Step 4 */
static uint64_t reordering_window(struct rack *r, const struct sendmap *m, const struct rack_options *o,
                                  bool in_recovery, uint64_t srtt, uint64_t now)
{
    if (r->reordering_seen && o->reorder_fade_ns && now - r->reordered_at > o->reorder_fade_ns)
        r->reordering_seen = false;
    if (!r->reordering_seen && (in_recovery || m->sacked_segs >= RACK_DUP_THRESH || !o->window_at_once))
        return 0;
    uint64_t window = r->reo_wnd_mult * (r->min_rtt >> o->reorder_thresh);
    return RTE_MIN(window, srtt);
}

/* Step 5. Those in flight lie in the order in which they were sent, so that the first that has time left ends it. */
uint32_t rack_detect(struct rack *r, struct sendmap *m, const struct rack_options *o, bool in_recovery,
                     uint64_t srtt, uint64_t now, uint64_t *deadline)
{
    uint32_t lost = 0;
    *deadline = 0;
    if (!m->before)
        return 0;
    r->reo_wnd = reordering_window(r, m, o, in_recovery, srtt, now);
    while (m->before && m->oldest->xmit_ns + r->rtt + r->reo_wnd <= now)
        lost += sendmap_lose(m, m->oldest);
    if (m->before) /* the last of all times that are left, so that one look finds them all */
        *deadline = m->before->xmit_ns + r->rtt + r->reo_wnd;
    return lost;
}

void rack_timeout(struct rack *r, struct sendmap *m, uint32_t mss, uint64_t now)
{
    sendmap_lose_first(m, mss);
    while (m->oldest && m->oldest->xmit_ns + r->rtt + r->reo_wnd <= now)
        sendmap_lose(m, m->oldest);
}
