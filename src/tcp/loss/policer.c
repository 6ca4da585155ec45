// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/policer.h"
#include "base/units.h"

#define HEAVY 8  /* one of so many bytes lost: more than chance */
#define ALIKE 16 /* two rounds that differ by less than one part of so many */
#define BELOW                                                                                                \
    16 /* the cap is by one part of so many below what was delivered: a round has few segments to count */
#define STEP      16 /* more is tried in steps of one part of so many, */
#define FORGOTTEN 16 /* until it is twice as much */

void policer_begin(struct policer *p, uint64_t now, uint32_t lost)
{
    p->since = now;
    p->delivered = 0;
    p->lost = lost;
}

static bool alike(uint64_t a, uint64_t b)
{
    return (a > b ? a - b : b - a) * ALIKE < a;
}

bool policer_end(struct policer *p, uint64_t now, bool queued, uint64_t hold)
{
    uint64_t last = p->rate;
    p->rate = now > p->since ? p->delivered * NS_PER_SEC / (now - p->since) : 0;
    p->since = 0;
    bool heavy = (uint64_t)p->lost * HEAVY > (uint64_t)p->delivered + p->lost;
    if (queued || p->rate == 0 || hold == 0 || !(heavy || alike(p->rate, last)))
        return false;
    p->cap = p->rate - p->rate / BELOW;
    p->until = now + hold;
    return true;
}

uint64_t policer_rate(struct policer *p, uint64_t now, uint64_t rtt)
{
    if (now < p->until || p->cap == 0)
        return p->cap;
    uint64_t rounds = 1 + (now - p->until) / rtt;
    if (rounds > FORGOTTEN)
        p->cap = 0;
    return p->cap + p->cap / STEP * rounds;
}
