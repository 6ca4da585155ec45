// SPDX-License-Identifier: BSD-3-Clause
// Segment sizes (RFC 9293 §3.7.1, RFC 6691).
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include "tcp/output.h"
#include "tcp/tcp.h"

#define TCP_HEADER 20u

int tcp_path_refresh(struct tcb *tp)
{
    if (tp->path.netif && ip_path_valid(tp->e, &tp->path))
        return 0;
    uint32_t before = tp->path.mtu;
    int err = ip_path_find(tp->e, &tp->laddr, &tp->faddr, tp->scope_index, &tp->path);
    if (err == 0 && tp->path.mtu != before) /* another connection learned it, or it ended (RFC 1191 §6.3) */
        tcp_mss_update(tp);
    return err;
}

uint16_t tcp_mss_largest(const struct ip_addr *faddr, uint32_t mtu, uint16_t user)
{
    uint32_t headers = TCP_HEADER + (ip_addr_is_v4(faddr) ? sizeof(struct ip) : sizeof(struct ip6_hdr));
    uint32_t mss = mtu > headers ? mtu - headers : 1;
    if (user && mss > user)
        mss = user;
    return (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
}

uint16_t tcp_mss_offer(const struct tcb *tp)
{
    return tcp_mss_largest(&tp->faddr,
                           tp->path.netif ? netif_mtu(tp->path.netif, ip_addr_is_v4(&tp->faddr)) : 1500,
                           tp->maxseg_user);
}

void tcp_mss_update(struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    if (tcp_path_refresh(tp) < 0 && !tp->path.netif)
        return;
    uint32_t peer = tp->mss_peer;
    if (peer == 0)
        peer = ip_addr_is_v4(&tp->faddr) ? p->mssdflt : p->v6mssdflt;
    else if (peer < p->minmss)
        peer = p->minmss;
    uint32_t mss = tcp_mss_largest(&tp->faddr, tp->path.mtu, tp->maxseg_user);
    if (mss > peer)
        mss = peer;
    if ((tp->flags & stamps) == stamps)
        mss = mss > 12 ? mss - 12 : 1;
    tp->maxseg = (uint16_t)mss;
}
