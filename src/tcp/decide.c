// SPDX-License-Identifier: BSD-3-Clause
// Decisions of output that every stack shares: how much new data may go, whether an ACK or FIN must, and which window to announce.
#include "tcp/output.h"
#include "tcp/tcp.h"

/* A small segment is under way. What was sent 2 GB ago is not. */
static bool small_in_flight(const struct tcb *tp)
{
    return seq_gt(tp->snd_sml, tp->snd_una) && seq_leq(tp->snd_sml, tp->snd_max);
}

/* May a segment that is not full go? Nagle with Minshall's change (RFC 9293 §3.7.4), cork, and the sender's side of the silly
 * window syndrome (§3.8.6.2.1). left: bytes queued from snd_nxt on. */
static bool small_may_go(const struct tcb *tp, uint32_t len, uint32_t left)
{
    bool idle = tp->snd_una == tp->snd_max;
    if (seq_lt(tp->snd_nxt, tp->snd_max))
        return true; /* sent before: nothing to wait for */
    if (tp->max_sndwnd > 0 && len >= tp->max_sndwnd / 2)
        return true;
    if (len < left)
        return false; /* a window edge, or bytes that are not ready: more will follow */
    if (tp->flags & TF_FIN_QUEUED)
        return true;
    if (tp->flags & (TF_NOPUSH | TF_MORETOCOME))
        return false;
    return idle || (tp->flags & TF_NODELAY) || !small_in_flight(tp);
}

/* Segmentation by a NIC clears CWR but for the first segment, which AccECN counts with. */
uint32_t tcp_output_most(const struct tcb *tp)
{
    uint32_t full = tp->maxseg;
    bool whole =
        tp->path.netif && tp->e->tcp->params.tso && !(tp->ecn & TE_ACCURATE) && !(tp->flags & TF_AUTH);
    uint32_t tso = whole ? netif_tso_max(tp->path.netif) : 0;
    return tso > full ? tso - tso % full : full;
}

/* More than one segment's worth: a probe of the path's MTU, or whole segments, as many as one packet may hold. */
static __rte_noinline uint32_t several(struct tcb *tp, uint32_t len, uint32_t win)
{
    uint32_t full = tp->maxseg;
    uint32_t probe = __builtin_expect(tp->pmtu.probe_at != 0, 0) ? tcp_pmtu_probe(tp, len) : 0;
    if (probe)
        return probe;
    if (tp->maxseg != full) /* the last probe arrived */
        return tcp_output_new_len(tp, win);
    uint32_t most = tcp_output_most(tp);
    return len > most ? most : len - len % full;
}

uint32_t tcp_cut_size(const struct tcb *tp)
{
    const struct netif *nif = tp->path.netif;
    return nif && nif->sums_tcp && netif_tso_max(nif) == 0 ? tp->maxseg : 0;
}

bool tcp_ready_ahead(const struct tcb *tp)
{
    int32_t ahead = (int32_t)(tp->snd.ready - (tp->snd_max - tp->snd_una));
    return ahead >= (int32_t)tcp_output_most(tp);
}

uint32_t tcp_output_new_len(struct tcb *tp, uint32_t win)
{
    uint32_t off = tp->snd_nxt - tp->snd_una;
    if (off >= tp->snd.ready || win == 0)
        return 0;
    uint32_t len = tp->snd.ready - off;
    if (len > win)
        len = win;
    uint32_t full = tp->maxseg;
    if (len > full)
        return several(tp, len, win);
    return len == full || small_may_go(tp, len, tp->snd.bytes - off) ? len : 0;
}

bool tcp_output_fin_due(const struct tcb *tp)
{
    bool closing = tp->state == TCPS_FIN_WAIT_1 || tp->state == TCPS_CLOSING || tp->state == TCPS_LAST_ACK;
    return closing && (tp->flags & TF_FIN_QUEUED) && !tp->snd.failed &&
           tp->snd_nxt == tp->snd_una + tp->snd.bytes;
}

uint32_t tcp_receive_window(struct tcb *tp)
{
    const struct tcp_layer *t = tp->e->tcp;
    uint32_t held = tp->rcv.bytes + tp->rcv.lent;
    uint32_t space = held >= tp->rcv.hiwat ? 0 : tp->rcv.hiwat - held;
    /* Buffers of the engine run out: everybody gets little, nobody nothing. */
    if (t->recv_bytes > t->params.recvbytes_limit / 4 * 3 && space > 4u * tp->maxseg)
        space = 4u * tp->maxseg;
    if (space < tp->rcv.hiwat / 4 && space < tp->maxseg)
        space = 0; /* RFC 9293 §3.8.6.2.2 */
    uint32_t promised = seq_gt(tp->rcv_adv, tp->rcv_nxt) ? tp->rcv_adv - tp->rcv_nxt : 0;
    if (space < promised)
        space = promised;
    uint32_t most = 65535u << tp->rcv_scale;
    return space < most ? space : most;
}

bool tcp_output_ack_due(struct tcb *tp)
{
    if (tp->flags & TF_ACKNOW)
        return true;
    if (!TCPS_HAVEESTABLISHED(tp->state) || TCPS_HAVERCVDFIN(tp->state))
        return false;
    if (!tcp_window_may_open(tp))
        return false;
    /* A window update is worth a segment when it opens two segments and a good part of the buffer (FreeBSD's measure). */
    uint32_t wnd = tcp_receive_window(tp), hiwat = tp->rcv.hiwat;
    uint32_t promised = seq_gt(tp->rcv_adv, tp->rcv_nxt) ? tp->rcv_adv - tp->rcv_nxt : 0;
    uint32_t grown = wnd > promised ? wnd - promised : 0;
    if (grown >= 2u * tp->maxseg && (grown >= hiwat / 4 || wnd <= hiwat / 8 || hiwat <= 8u * tp->maxseg))
        return true;
    return grown > 0 && grown >= hiwat / 2;
}
