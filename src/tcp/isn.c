// SPDX-License-Identifier: BSD-3-Clause
// Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 §5.4): a secret function of the connection, plus a clock.
#include <string.h>
#include "tcp/tcp.h"

#define ISN_TICK_NS (4 * NS_PER_US) /* RFC 9293 §3.4.1 */

enum isn_use { ISN_SEQUENCE = 1, ISN_TIMESTAMP };

struct isn_key { /* no padding: every byte is hashed */
    struct ip_addr laddr, faddr;
    uint16_t lport, fport;
    uint32_t use;
};

static uint32_t isn_hash(const struct tcb *tp, enum isn_use use)
{
    struct isn_key key = {tp->laddr, tp->faddr, tp->lport, tp->fport, use};
    return (uint32_t)siphash24(&tp->e->secret, &key, sizeof(key));
}

void tcp_isn_init(struct tcb *tp)
{
    tp->iss = isn_hash(tp, ISN_SEQUENCE) + (uint32_t)(tp->e->now / ISN_TICK_NS);
    tp->snd_una = tp->snd_nxt = tp->snd_max = tp->snd_up = tp->recover = tp->iss;
    tp->snd_wl2 = tp->iss;
    tp->ts_offset = isn_hash(tp, ISN_TIMESTAMP);
}

uint32_t tcp_ts_now(const struct tcb *tp)
{
    return (uint32_t)(tp->e->now / NS_PER_MS) + tp->ts_offset;
}
