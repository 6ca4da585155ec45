// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/synack.h"
#include <errno.h>
#include "base/alloc.h"
#include "tcp/auth/auth.h"
#include "tcp/ecn.h"
#include "tcp/output.h"
#include "tcp/stats.h"

#define TCP_HEADER 20u

static unsigned options(struct half_open *h, bool syn, uint8_t *out)
{
    if (h->flags & SCF_NOOPT)
        return tcp_auth_option(&h->auth, out, 0);
    struct tcp_syn_options o = {
        .mss = syn ? h->mss_offer : 0,
        .scale = syn && (h->flags & SCF_SCALE),
        .sack = syn && (h->flags & SCF_SACK),
        .stamps = h->flags & SCF_STAMPS,
        .accecn = syn && h->ecn >= ECN_ACCURATE && !(h->flags & SCF_RESENT) && h->e->tcp->ecn.params.option,
        .wscale = h->rcv_scale,
        .tsval = (uint32_t)(h->e->now / NS_PER_MS) + h->ts_offset,
        .tsecr = h->ts_recent,
        .auth = h->auth,
        .fastopen = syn ? h->answer : NULL,
    };
    unsigned len = tcp_options_write(&o, out);
    if (syn)
        h->answer = NULL; /* only in the first SYN-ACK, as FreeBSD */
    return len;
}

static struct rte_mbuf *build(struct half_open *h, uint8_t flags)
{
    struct rte_mbuf *m = pkt_alloc(h->e->pkt_pool);
    bool syn = flags & RTE_TCP_SYN_FLAG;
    if (!m)
        return NULL;
    struct rte_tcp_hdr *th = (struct rte_tcp_hdr *)rte_pktmbuf_append(m, TCP_HEADER);
    unsigned optlen = options(h, syn, (uint8_t *)(th + 1)), hlen = TCP_HEADER + optlen;
    rte_pktmbuf_append(m, (uint16_t)optlen);
    *th = (struct rte_tcp_hdr){
        .src_port = h->lport,
        .dst_port = h->fport,
        .sent_seq = htonl(syn ? h->iss : h->iss + 1),
        .recv_ack = htonl(h->irs + 1),
        .data_off = (uint8_t)(hlen << 2),
        .tcp_flags = flags,
        .rx_win = htons(h->wnd),
    };
    if (syn && h->ecn)
        tcp_ace_set(th, ecn_synack_flags(h->e->tcp, &h->ecn, h->rxmits - 1u));
    m->l4_len = hlen;
    m->ol_flags |= RTE_MBUF_F_TX_TCP_CKSUM;
    return m;
}

/* The listener has the keys. */
static bool sign(const struct half_open *h, struct rte_mbuf *m)
{
    struct auth_flow f = {h->laddr, h->faddr, h->lport, h->fport, h->iss, h->irs};
    const struct tcb *listener = demux_find_listener(h->e->tcp, h->hash, &h->laddr, h->lport);
    return listener && tcp_auth_sign_flow(listener, &h->auth, &f, m);
}

static int transmit(struct half_open *h, uint8_t flags)
{
    struct engine *e = h->e;
    struct rte_mbuf *m = NULL;
    int err = 0;
    if (!ip_path_valid(e, &h->path))
        err = ip_path_find(e, &h->laddr, &h->faddr, h->scope_index, &h->path);
    if (err == 0 && (m = build(h, flags)) == NULL) {
        tcp_stats(e)->sndnomem++;
        err = -ENOBUFS;
    }
    if (err < 0)
        return err;
    if (h->auth.kind && !sign(h, m)) {
        rte_pktmbuf_free(m);
        return -ENOBUFS;
    }
    struct ip_send how = {
        .src = &h->laddr,
        .dst = &h->faddr,
        .proto = IPPROTO_TCP,
        .tos = h->tos,
        .ttl = h->ttl,
        .dont_fragment = e->tcp->params.path_mtu_discovery && !(h->flags & SCF_UNREACH),
        .path = &h->path,
    };
    tcp_stats(e)->sndtotal++;
    return ip_output(e, m, &how);
}

int synack_send(struct half_open *h)
{
    int err = transmit(h, RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);
    if (err == 0) {
        h->sent_at = h->e->now;
        tcp_stats(h->e)->sndctrl++;
    }
    return err;
}

void synack_challenge(struct half_open *h)
{
    if (transmit(h, RTE_TCP_ACK_FLAG) == 0) {
        tcp_stats(h->e)->challenge_acks++;
        tcp_stats(h->e)->sndacks++;
    }
}
