// SPDX-License-Identifier: BSD-3-Clause
// Segment sizes (RFC 9293 §3.7.1, RFC 6691).
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include "tcp/auth/auth.h"
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

uint16_t tcp_mss_largest(const struct ip_addr *faddr, uint32_t mtu, uint16_t user, const struct netif *nif)
{
    uint32_t headers = TCP_HEADER + (ip_addr_is_v4(faddr) ? sizeof(struct ip) : sizeof(struct ip6_hdr));
    uint32_t mss = mtu > headers ? mtu - headers : 1;
    if (user && mss > user)
        mss = user;
    if (nif && nif->mss && mss > nif->mss)
        mss = nif->mss;
    return (uint16_t)(mss < UINT16_MAX ? mss : UINT16_MAX);
}

uint16_t tcp_mss_offer(const struct tcb *tp)
{
    uint32_t mtu = tp->path.netif ? netif_mtu(tp->path.netif, ip_addr_is_v4(&tp->faddr)) : 1500;
    /* The path's MTU where it is less, as FreeBSD: what is too big for us there is likely too big on the way back. */
    if (tp->path.netif && tp->path.mtu < mtu)
        mtu = tp->path.mtu;
    return tcp_mss_largest(&tp->faddr, mtu, tp->maxseg_user, tp->path.netif);
}

uint32_t tcp_mss_most(const struct tcb *tp)
{
    const struct tcp_params *p = &tp->e->tcp->params;
    uint32_t peer = tp->mss_peer;
    if (peer == 0)
        peer = ip_addr_is_v4(&tp->faddr) ? p->mssdflt : p->v6mssdflt;
    else if (peer < p->minmss)
        peer = p->minmss;
    return RTE_MIN((uint32_t)tcp_mss_largest(&tp->faddr, tp->path.mtu, tp->maxseg_user, tp->path.netif),
                   peer);
}

/* RFC 6691: options come off what is sent, not off what is announced. */
static uint32_t option_bytes(const struct tcb *tp)
{
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    uint32_t n = (tp->flags & stamps) == stamps ? TCPOLEN_TIMESTAMP_APPA : 0;
    if (tp->flags & TF_AUTH) {
        struct auth_choice choice = tcp_auth_choice(tp);
        n += tcp_auth_option_len(&choice, n);
    }
    return n;
}

void tcp_mss_update(struct tcb *tp)
{
    if (tcp_path_refresh(tp) < 0 && !tp->path.netif)
        return;
    uint32_t mss = tcp_mss_most(tp), options = option_bytes(tp);
    if (tp->pmtu.cap && mss > tp->pmtu.cap)
        mss = tp->pmtu.cap;
    tp->pmtu.mss = (uint16_t)mss;
    tp->maxseg = (uint16_t)(mss > options ? mss - options : 1);
    /* As FreeBSD: routers may cut what is small already, so that there is always a size that passes. */
    if (mss <= tp->e->tcp->params.minmss || tp->pmtu.blackhole == PMTU_MINIMUM)
        tp->flags |= TF_FRAGMENT;
    else
        tp->flags &= ~TF_FRAGMENT;
}
