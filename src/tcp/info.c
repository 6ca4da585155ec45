// SPDX-License-Identifier: BSD-3-Clause
// TCP_INFO, as Linux and as FreeBSD have it.
#include <string.h>
#include <leat/tcp.h>
#include "tcp/fastopen.h"
#include "tcp/loss/rto.h"
#include "tcp/output.h"
#include "tcp/reassembly.h"
#include "tcp/tcp.h"

/* FreeBSD 14 and 15, amd64: programs that read it by offset find each member where they look. */
_Static_assert(offsetof(struct leat_freebsd_tcp_info, tcpi_rcv_space) == 96, "FreeBSD's layout");
_Static_assert(offsetof(struct leat_freebsd_tcp_info, tcpi_total_tlp_bytes) == 168, "FreeBSD's layout");
_Static_assert(sizeof(struct leat_freebsd_tcp_info) == 240, "FreeBSD's layout");
_Static_assert(offsetof(struct leat_tcp_info, tcpi_pacing_rate) == 104, "Linux's layout");
_Static_assert(sizeof(struct leat_tcp_info) == 232, "Linux's layout");

/* Linux's numbers of the states (<netinet/tcp.h>). */
static const uint8_t linux_state[TCP_NSTATES] = {
    [TCPS_CLOSED] = 7,      [TCPS_LISTEN] = 10,    [TCPS_SYN_SENT] = 2,   [TCPS_SYN_RECEIVED] = 3,
    [TCPS_ESTABLISHED] = 1, [TCPS_CLOSE_WAIT] = 8, [TCPS_FIN_WAIT_1] = 4, [TCPS_CLOSING] = 11,
    [TCPS_LAST_ACK] = 9,    [TCPS_FIN_WAIT_2] = 5, [TCPS_TIME_WAIT] = 6,
};

static uint32_t us(uint64_t ns)
{
    return (uint32_t)(ns / NS_PER_US);
}

/* ms since t; 0 = never */
static uint32_t ms_since(const struct tcb *tp, uint64_t t)
{
    return t ? (uint32_t)((tp->e->now - t) / NS_PER_MS) : 0;
}

static uint8_t options(const struct tcb *tp)
{
    uint8_t o = 0;
    if ((tp->flags & (TF_REQ_TSTMP | TF_RCVD_TSTMP)) == (TF_REQ_TSTMP | TF_RCVD_TSTMP))
        o |= LEAT_TCPI_OPT_TIMESTAMPS;
    if (tp->flags & TF_SACK_PERMIT)
        o |= LEAT_TCPI_OPT_SACK;
    if ((tp->flags & (TF_REQ_SCALE | TF_RCVD_SCALE)) == (TF_REQ_SCALE | TF_RCVD_SCALE))
        o |= LEAT_TCPI_OPT_WSCALE;
    if (tp->fastopen && tp->fastopen->syn_data)
        o |= LEAT_TCPI_OPT_TFO;
    if (tp->ecn & TE_ON)
        o |= LEAT_TCPI_OPT_ECN;
    return o;
}

static struct tcp_marks marks(const struct tcb *tp)
{
    struct tcp_marks m = {0};
    if (tp->stack->marks && TCPS_HAVEESTABLISHED(tp->state))
        tp->stack->marks(tp, &m);
    return m;
}

void tcp_fill_info(const struct tcb *tp, struct leat_tcp_info *info)
{
    uint32_t mss = tp->maxseg ? tp->maxseg : 1;
    memset(info, 0, sizeof(*info));
    info->tcpi_state = linux_state[tp->state];
    info->tcpi_ca_state = tp->flags & TF_RTO_RECOVERY ? 4 : tp->flags & TF_RECOVERY ? 3 : 0;
    info->tcpi_retransmits = tp->rxtshift;
    info->tcpi_probes = (uint8_t)tp->keep_probes;
    info->tcpi_backoff = tp->persist_shift;
    if (tp->state == TCPS_LISTEN) { /* as Linux: queue length and limit of a listener */
        info->tcpi_unacked = tp->listen->n_complete;
        info->tcpi_sacked = tp->listen->backlog;
        return;
    }
    info->tcpi_options = options(tp);
    info->tcpi_snd_wscale = tp->snd_scale & 0xf;
    info->tcpi_rcv_wscale = tp->rcv_scale & 0xf;
    info->tcpi_rto = us(rto_current(tp));
    info->tcpi_ato = tp->e->tcp->params.delacktime_ms * 1000;
    info->tcpi_snd_mss = info->tcpi_rcv_mss = info->tcpi_advmss = tp->maxseg;
    info->tcpi_unacked = (tcb_flight(tp) + mss - 1) / mss;
    struct tcp_marks m = marks(tp);
    info->tcpi_sacked = (m.sacked + mss - 1) / mss;
    info->tcpi_lost = (m.lost + mss - 1) / mss;
    info->tcpi_retrans = (m.again + mss - 1) / mss;
    info->tcpi_last_data_sent = ms_since(tp, tp->last_snd);
    info->tcpi_last_data_recv = info->tcpi_last_ack_recv = ms_since(tp, tp->last_rcv);
    info->tcpi_pmtu = tp->path.mtu;
    info->tcpi_rtt = us(tp->srtt);
    info->tcpi_rttvar = us(tp->rttvar);
    info->tcpi_min_rtt = us(tp->rttmin);
    info->tcpi_snd_ssthresh = tp->ssthresh >= UINT32_MAX / 2 ? INT32_MAX : tp->ssthresh / mss;
    info->tcpi_snd_cwnd = tp->cwnd / mss;
    info->tcpi_reordering = 3;
    info->tcpi_rcv_space = info->tcpi_rcv_ssthresh = tp->rcv.hiwat;
    info->tcpi_total_retrans = (uint32_t)tp->rexmit_segs;
    info->tcpi_bytes_acked = tp->bytes_out > tp->snd.bytes ? tp->snd_una - tp->iss - 1 : 0;
    info->tcpi_bytes_received = tp->bytes_in;
    info->tcpi_segs_out = (uint32_t)tp->segs_out;
    info->tcpi_segs_in = (uint32_t)tp->segs_in;
    info->tcpi_notsent_bytes =
        tp->snd.bytes -
        (tp->snd_max - tp->snd_una > tp->snd.bytes ? tp->snd.bytes : tp->snd_max - tp->snd_una);
    info->tcpi_pacing_rate = tp->pacer.rate ? tp->pacer.rate : UINT64_MAX;
    info->tcpi_max_pacing_rate = tp->pacer.limit ? tp->pacer.limit : UINT64_MAX;
    info->tcpi_bytes_sent = tp->bytes_out + tp->rexmit_bytes;
    info->tcpi_bytes_retrans = tp->rexmit_bytes;
    info->tcpi_rcv_ooopack = (uint32_t)tp->ooo_segs;
    info->tcpi_snd_wnd = tp->snd_wnd;
    info->tcpi_delivered_ce = tp->ce_told;
}

static void accecn_info(const struct tcb *tp, struct leat_freebsd_tcp_info *info)
{
    info->tcpi_delivered_ce = tp->ce_told;
    info->tcpi_received_ce = tp->ce_rcv;
    info->tcpi_delivered_e1_bytes = tp->ecn_told.e1;
    info->tcpi_delivered_e0_bytes = tp->ecn_told.e0;
    info->tcpi_delivered_ce_bytes = tp->ecn_told.ce;
    info->tcpi_received_e1_bytes = tp->ecn_rcv.e1;
    info->tcpi_received_e0_bytes = tp->ecn_rcv.e0;
    info->tcpi_received_ce_bytes = tp->ecn_rcv.ce;
}

void tcp_fill_freebsd_info(struct tcb *tp, struct leat_freebsd_tcp_info *info)
{
    memset(info, 0, sizeof(*info));
    info->tcpi_state = tp->state;
    if (tp->state == TCPS_LISTEN)
        return;
    info->tcpi_options = options(tp);
    if (info->tcpi_options & LEAT_TCPI_OPT_WSCALE) {
        info->tcpi_snd_wscale = tp->snd_scale & 0xf;
        info->tcpi_rcv_wscale = tp->rcv_scale & 0xf;
    }
    info->tcpi_rto = us(rto_current(tp));
    info->tcpi_snd_mss = info->tcpi_rcv_mss = tp->maxseg;
    info->tcpi_last_data_recv = tp->last_rcv ? us(tp->e->now - tp->last_rcv) : 0;
    info->tcpi_rtt = us(tp->srtt);
    info->tcpi_rttvar = us(tp->rttvar);
    info->tcpi_snd_ssthresh = tp->ssthresh;
    info->tcpi_snd_cwnd = tp->cwnd;
    info->tcpi_rcv_space = TCPS_HAVERCVDSYN(tp->state) ? tcp_receive_window(tp) : tp->rcv.hiwat;
    info->tcpi_snd_wnd = tp->snd_wnd;
    info->tcpi_snd_nxt = tp->snd_nxt;
    info->tcpi_rcv_nxt = tp->rcv_nxt;
    info->tcpi_snd_rexmitpack = (uint32_t)tp->rexmit_segs;
    info->tcpi_rcv_ooopack = (uint32_t)tp->ooo_segs;
    info->tcpi_snd_zerowin = tp->snd_zerowin;
    accecn_info(tp, info);
    struct tcp_marks m = marks(tp);
    info->tcpi_total_tlp = m.probes;
    info->tcpi_total_tlp_bytes = m.probe_bytes;
    info->tcpi_snd_una = tp->snd_una;
    info->tcpi_snd_max = tp->snd_max;
    info->tcpi_rcv_numsacks = tp->reass ? tp->reass->runs : 0;
    info->tcpi_rcv_adv = tp->rcv_adv;
    info->tcpi_dupacks = tp->dupacks;
}
