// SPDX-License-Identifier: BSD-3-Clause
// The simulated NIC: what the port offers it does as a NIC would.
#include <string.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include "base/cksum.h"
#include "port/sim/priv.h"

static uint16_t sim_rx_burst(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    struct sim_end *end = (struct sim_end *)p;
    uint16_t got = 0;
    while (got < n && (pkts[got] = sim_queue_take(&end->rx)) != NULL)
        got++;
    return got;
}

/* Would the receiver's NIC look at the checksum anyway, and nobody else? Then it need not be written, only vouched for. */
static bool vouched(const struct sim_end *end)
{
    const struct sim_end *other = &end->link->end[end == &end->link->end[0]];
    return other->node && (other->port.rx_offloads & RTE_ETH_RX_OFFLOAD_TCP_CKSUM) && !end->link->sim->pcap;
}

static void fill_checksum(struct rte_mbuf *m)
{
    uint16_t off = (uint16_t)(m->l2_len + m->l3_len);
    char *l3 = rte_pktmbuf_mtod_offset(m, char *, m->l2_len);
    struct rte_tcp_hdr *th = rte_pktmbuf_mtod_offset(m, struct rte_tcp_hdr *, off);
    if (m->ol_flags & RTE_MBUF_F_TX_IPV4)
        th->cksum = rte_ipv4_phdr_cksum((struct rte_ipv4_hdr *)l3, 0);
    else
        th->cksum = rte_ipv6_phdr_cksum((struct rte_ipv6_hdr *)l3, 0);
    th->cksum = (uint16_t)~cksum_mbuf(m, off, m->pkt_len - off);
}

static void finish(struct sim_end *end, struct rte_mbuf *m)
{
    bool l4 = m->ol_flags & RTE_MBUF_F_TX_TCP_CKSUM, known = l4 && vouched(end);
    if (m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM) {
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, m->l2_len);
        ip->hdr_checksum = 0;
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
    if (l4 && !known)
        fill_checksum(m);
    m->ol_flags &= RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT;
    if (known)
        m->ol_flags |= RTE_MBUF_F_RX_L4_CKSUM_GOOD | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    m->tx_offload = 0;
}

/* One segment of a TSO packet: headers copied and set right, payload copied. */
static struct rte_mbuf *cut(struct rte_mbuf *m, struct rte_mempool *pool, uint32_t hlen, uint32_t off,
                            uint32_t len, uint16_t index)
{
    struct rte_mbuf *s = rte_pktmbuf_copy(m, pool, 0, hlen);
    struct rte_mbuf *body = s ? rte_pktmbuf_copy(m, pool, hlen + off, len) : NULL;
    if (!body || rte_pktmbuf_chain(s, body) < 0) {
        rte_pktmbuf_free(s);
        return NULL;
    }
    s->ol_flags = m->ol_flags & ~(RTE_MBUF_F_TX_TCP_SEG | RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
    s->tx_offload = m->tx_offload;
    struct rte_tcp_hdr *th = rte_pktmbuf_mtod_offset(s, struct rte_tcp_hdr *, m->l2_len + m->l3_len);
    th->sent_seq = rte_cpu_to_be_32(rte_be_to_cpu_32(th->sent_seq) + off);
    if (off + len < m->pkt_len - hlen)
        th->tcp_flags &= (uint8_t) ~(RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
    if (off > 0)
        th->tcp_flags &= (uint8_t)~RTE_TCP_CWR_FLAG;
    if (m->ol_flags & RTE_MBUF_F_TX_IPV4) {
        struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(s, struct rte_ipv4_hdr *, m->l2_len);
        ip->total_length = rte_cpu_to_be_16((uint16_t)(s->pkt_len - m->l2_len));
        ip->packet_id = rte_cpu_to_be_16((uint16_t)(rte_be_to_cpu_16(ip->packet_id) + index));
        s->ol_flags |= RTE_MBUF_F_TX_IP_CKSUM;
    } else {
        struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(s, struct rte_ipv6_hdr *, m->l2_len);
        ip->payload_len = rte_cpu_to_be_16((uint16_t)(s->pkt_len - m->l2_len - sizeof(*ip)));
    }
    return s;
}

static void send_segments(struct sim_end *end, struct rte_mbuf *m)
{
    uint32_t hlen = m->l2_len + m->l3_len + m->l4_len, body = m->pkt_len - hlen;
    uint16_t index = 0;
    for (uint32_t off = 0; off < body; off += m->tso_segsz, index++) {
        uint32_t len = body - off < m->tso_segsz ? body - off : m->tso_segsz;
        struct rte_mbuf *s = cut(m, end->link->sim->pool, hlen, off, len, index);
        if (!s)
            continue; /* a NIC out of buffers: lost on the wire */
        finish(end, s);
        sim_wire_send(end, s, NULL);
    }
    rte_pktmbuf_free(m);
}

/* Frames cross as copies, so that the sender's buffers are free when a NIC would have freed them; a frame that shares nothing goes itself. */
static void send_one(struct sim_end *end, struct rte_mbuf *m)
{
    bool own = RTE_MBUF_DIRECT(m) && m->nb_segs == 1 && rte_mbuf_refcnt_read(m) == 1 && !end->hold_tx;
    struct rte_mbuf *out = own ? m : rte_pktmbuf_copy(m, end->link->sim->pool, 0, UINT32_MAX);
    if (!out) {
        rte_pktmbuf_free(m);
        return;
    }
    if (!own) {
        out->ol_flags = m->ol_flags & ~(RTE_MBUF_F_EXTERNAL | RTE_MBUF_F_INDIRECT);
        out->tx_offload = m->tx_offload;
        if (!end->hold_tx) {
            rte_pktmbuf_free(m);
            m = NULL;
        }
    }
    finish(end, out);
    sim_wire_send(end, out, own ? NULL : m);
}

static uint16_t sim_tx_burst(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    struct sim_end *end = (struct sim_end *)p;
    for (uint16_t i = 0; i < n; i++) {
        if (pkts[i]->ol_flags & RTE_MBUF_F_TX_TCP_SEG)
            send_segments(end, pkts[i]);
        else
            send_one(end, pkts[i]);
    }
    return n;
}

static bool sim_link_up(struct port *p)
{
    return true;
}

static int sim_set_mtu(struct port *p, uint16_t mtu)
{
    p->mtu = mtu;
    return 0;
}

const struct port_ops sim_port_ops = {
    .rx_burst = sim_rx_burst,
    .tx_burst = sim_tx_burst,
    .link_up = sim_link_up,
    .set_mtu = sim_set_mtu,
};

void sim_end_init(struct sim_end *end, struct sim_link *link, struct sim_node *node,
                  const struct sim_port_options *opt, unsigned index)
{
    static const struct sim_port_options plain;
    if (!opt)
        opt = &plain;
    end->link = link;
    end->node = node;
    end->hold_tx = opt->hold_tx;
    rng_seed(&end->rng, link->sim->seed * 7919 + index);
    end->port = (struct port){
        .ops = &sim_port_ops,
        .mac = {{0x02, 0, 0, 0, (uint8_t)(index >> 8), (uint8_t)(index + 1)}},
        .mtu = opt->mtu ? opt->mtu : 1500,
        .mtu_max = 9000,
        .queues = 1,
        .tx_offloads = opt->tx_offloads,
        .rx_offloads = opt->rx_offloads,
        .tso_max = opt->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? 65535 - 128 : 0,
        .tx_seg_max = opt->tx_seg_max ? opt->tx_seg_max : 8,
        .tso_seg_max = 64,
    };
    snprintf(end->port.name, sizeof(end->port.name), "sim%u", index);
}
