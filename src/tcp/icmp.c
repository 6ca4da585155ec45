// SPDX-License-Identifier: BSD-3-Clause
// ICMP errors about our segments (RFC 1122 §4.2.3.9, RFC 5927, RFC 1191, RFC 8201). Errors never end a synchronized connection:
// anybody can send one.
#include <errno.h>
#include <string.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <rte_byteorder.h>
#include "tcp/fastopen.h"
#include "tcp/hostcache.h"
#include "tcp/auth/auth.h"
#include "tcp/input.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

#define TCP_MAXSOFT 3 /* timeouts after which a soft error ends a handshake (FreeBSD) */

static int errno_v4(int type, int code)
{
    if (type == ICMP_TIME_EXCEEDED)
        return code == ICMP_EXC_TTL ? EHOSTUNREACH : 0;
    if (type == ICMP_PARAMETERPROB)
        return ENOPROTOOPT;
    if (type != ICMP_DEST_UNREACH)
        return 0;
    switch (code) {
    case ICMP_FRAG_NEEDED:
        return EMSGSIZE;
    case ICMP_PROT_UNREACH:
    case ICMP_PORT_UNREACH:
    case ICMP_NET_ANO:
    case ICMP_HOST_ANO:
    case ICMP_PKT_FILTERED:
        return ECONNREFUSED;
    default:
        return code <= ICMP_PREC_CUTOFF ? EHOSTUNREACH : 0;
    }
}

static int errno_v6(int type, int code)
{
    switch (type) {
    case ICMP6_PACKET_TOO_BIG:
        return EMSGSIZE;
    case ICMP6_TIME_EXCEEDED:
        return code == ICMP6_TIME_EXCEED_TRANSIT ? EHOSTUNREACH : 0;
    case ICMP6_PARAM_PROB:
        return code == ICMP6_PARAMPROB_NEXTHEADER ? ECONNREFUSED : ENOPROTOOPT;
    case ICMP6_DST_UNREACH:
        return code == ICMP6_DST_UNREACH_ADMIN || code == ICMP6_DST_UNREACH_NOPORT ? ECONNREFUSED
                                                                                   : EHOSTUNREACH;
    default:
        return 0;
    }
}

/* RFC 1191 §7.1: the sizes that links have. A router that knows nothing of RFC 1191 says 0: the next one below. */
static uint32_t next_plateau(uint32_t mtu)
{
    static const uint16_t plateaus[] = {65535, 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68};
    for (unsigned i = 0; i < RTE_DIM(plateaus); i++)
        if (plateaus[i] < mtu)
            return plateaus[i];
    return 68;
}

void tcp_path_smaller(struct tcb *tp, uint32_t mtu)
{
    if (mtu >= tp->path.mtu)
        return;
    tp->e->tcp->stats->icmp_toobig++;
    hostcache_mtu(tp, mtu);
    tcp_mss_update(tp);
}

/* RFC 1191 §6, RFC 8899 would probe instead. A lie can only lower it as far as minmss. */
static void too_big(struct tcb *tp, tcp_seq seq, uint32_t mtu)
{
    struct tcp_layer *t = tp->e->tcp;
    uint32_t headers = ip_addr_is_v4(&tp->faddr) ? 40 : 60, before = tp->maxseg;
    if (mtu == 0 && ip_addr_is_v4(&tp->faddr))
        mtu = next_plateau(tp->path.mtu);
    if (mtu < t->params.minmss + headers)
        mtu = t->params.minmss + headers;
    /* FreeBSD holds it against the segment size, which is the default one until the peer's SYN; ICMPv6 lowers the path in any case. */
    bool early = !TCPS_HAVERCVDSYN(tp->state) && headers == 40 && mtu >= t->params.mssdflt + headers;
    if (!t->params.path_mtu_discovery || mtu >= tp->path.mtu || early) {
        t->stats->icmp_ignored++;
        return;
    }
    if (tcp_pmtu_hold(tp, seq, mtu))
        return;
    tcp_path_smaller(tp, mtu);
    if (tp->maxseg < before && TCPS_HAVEESTABLISHED(tp->state)) {
        tp->stack->mtu_changed(tp);
        tcb_mark_due(tp);
    }
}

static void unreachable(struct tcb *tp, int error, bool hard)
{
    struct tcp_layer *t = tp->e->tcp;
    bool handshake = !TCPS_HAVEESTABLISHED(tp->state);
    bool refused = hard && tp->state == TCPS_SYN_SENT && t->params.icmp_may_rst;
    bool patience_over = handshake && error != ECONNREFUSED && tp->rxtshift > TCP_MAXSOFT && tp->softerror;
    if (refused || patience_over) {
        t->stats->icmp_hard++;
        if (tp->fastopen)
            fastopen_path_failed(tp);
        tcp_drop(tp, error);
        return;
    }
    t->stats->icmp_soft++;
    if (handshake || error != EHOSTUNREACH) /* an established one heals or times out by itself */
        tp->softerror = (uint16_t)error;
}

static bool ttl_exceeded(const struct ip_addr *dst, int type)
{
    return type == (ip_addr_is_v4(dst) ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED);
}

/* What an ICMP error quotes of a segment of ours. */
struct quote {
    uint16_t lport, fport;
    tcp_seq seq;
    uint32_t hash;
};

static struct tcb *quoted_connection(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst,
                                     const uint8_t *l4, struct quote *q)
{
    uint32_t seq_be;
    memcpy(&q->lport, l4, 2);
    memcpy(&q->fport, l4 + 2, 2);
    memcpy(&seq_be, l4 + 4, 4);
    q->seq = rte_be_to_cpu_32(seq_be);
    q->hash = demux_hash(e, dst, src, q->fport, q->lport);
    return demux_find(e->tcp, q->hash, dst, src, q->fport, q->lport);
}

void tcp_icmp_error(struct engine *e, const struct ip_addr *src, const struct ip_addr *dst, const uint8_t *l4,
                    uint32_t len, int type, int code, uint32_t mtu)
{
    struct quote q = {0};
    struct tcb *tp = len >= 8 ? quoted_connection(e, src, dst, l4, &q) : NULL;
    int error = ip_addr_is_v4(dst) ? errno_v4(type, code) : errno_v6(type, code);
    if (!tp && len >= 8 && error != 0 && error != EMSGSIZE &&
        syncache_unreach(e, q.hash, dst, src, q.fport, q.lport, q.seq))
        tcp_stats(e)->icmp_soft++;
    /* RFC 5927 §4.1: it must quote what is in flight. */
    else if (!tp || error == 0 || seq_lt(q.seq, tp->snd_una) || seq_geq(q.seq, tp->snd_max))
        tcp_stats(e)->icmp_ignored++;
    else if (tp->auth && !tcp_auth_icmp(tp, type, code))
        return; /* counted */
    else if (error == EMSGSIZE)
        too_big(tp, q.seq, mtu);
    else
        unreachable(tp, error, error == ECONNREFUSED || ttl_exceeded(dst, type));
}
