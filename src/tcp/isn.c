// SPDX-License-Identifier: BSD-3-Clause
// Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 §5.4): a secret function of the connection, plus a clock.
#include <string.h>
#include "tcp/tcp.h"

#define ISN_TICK_NS (4 * NS_PER_US) /* RFC 9293 §3.4.1 */

uint64_t tcp_flow_digest(const struct engine *e, const struct ip_addr *laddr, const struct ip_addr *faddr,
                         uint16_t lport, uint16_t fport, enum tcp_digest_use use)
{
    /* No padding: every byte is hashed. Those of the two families differ in length, which is hashed too. */
    uint32_t ports = (uint32_t)lport << 16 | fport;
    if (ip_addr_is_v4(faddr)) {
        const uint32_t key[4] = {laddr->w[3], faddr->w[3], ports, use};
        return siphash24(&e->secret, key, sizeof(key));
    }
    const struct {
        struct ip_addr laddr, faddr;
        uint32_t ports, use;
    } key = {*laddr, *faddr, ports, use};
    return siphash24(&e->secret, &key, sizeof(key));
}

void tcp_isn(const struct engine *e, const struct ip_addr *laddr, const struct ip_addr *faddr, uint16_t lport,
             uint16_t fport, tcp_seq *iss, uint32_t *ts_offset)
{
    /* Its halves tell nothing of each other. */
    uint64_t h = tcp_flow_digest(e, laddr, faddr, lport, fport, DIGEST_ISN);
    *iss = (uint32_t)h + (uint32_t)(e->now / ISN_TICK_NS);
    *ts_offset = (uint32_t)(h >> 32);
}

void tcp_isn_init(struct tcb *tp)
{
    tcp_isn(tp->e, &tp->laddr, &tp->faddr, tp->lport, tp->fport, &tp->iss, &tp->ts_offset);
    tp->snd_una = tp->snd_nxt = tp->snd_max = tp->snd_up = tp->recover = tp->iss;
    tp->snd_wl2 = tp->snd_sml = tp->iss;
}

uint32_t tcp_ts_now(const struct tcb *tp)
{
    return (uint32_t)(tp->e->now / NS_PER_MS) + tp->ts_offset;
}
