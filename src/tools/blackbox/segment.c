// SPDX-License-Identifier: BSD-3-Clause
#include "tools/blackbox/segment.h"
#include <string.h>
#include <arpa/inet.h>

enum { OPT_END = 0, OPT_NOP = 1, OPT_SACK = 5, FLAG_SYN = 2 };

static uint32_t be32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof(v));
    return ntohl(v);
}

static void take_sack(struct box_segment *s, const uint8_t *p, unsigned len)
{
    for (unsigned at = 2; at + 8 <= len && s->n_sack < 4; at += 8) {
        s->sack[s->n_sack].start = be32(p + at);
        s->sack[s->n_sack++].end = be32(p + at + 4);
    }
}

void box_segment(const struct box_event *e, struct box_segment *s)
{
    const uint8_t *th = e->b.tlb_th, *o = e->b.tlb_opts;
    unsigned hlen = (unsigned)(th[12] >> 4) * 4, left = hlen > 20 ? hlen - 20 : 0;
    memset(s, 0, sizeof(*s));
    s->seq = be32(th + 4);
    s->ack = be32(th + 8);
    s->flags = th[13];
    s->wnd = (uint32_t)th[14] << 8 | th[15];
    if (!(s->flags & FLAG_SYN)) /* RFC 7323 §2.2 */
        s->wnd <<= e->b.tlb_eventid == TCP_LOG_IN ? e->b.tlb_snd_scale : e->b.tlb_rcv_scale;
    while (left > 0 && *o != OPT_END) {
        unsigned len = *o == OPT_NOP ? 1 : left > 1 ? o[1] : 0;
        if (len == 0 || len > left || (*o != OPT_NOP && len < 2))
            return;
        if (*o == OPT_SACK)
            take_sack(s, o, len);
        o += len;
        left -= len;
    }
}
