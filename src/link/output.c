// SPDX-License-Identifier: BSD-3-Clause
// The way out: frames collect in the interface's queue and leave in bursts; those of lo0 come back.
#include "link/priv.h"
#include "link/spread.h"

#define TX_BATCH    64 /* the port is started early in a long turn */
#define LO_BURST    256u
#define STUCK_TURNS 100000 /* flushes in a row of which the port took nothing */

static void queue_drop(struct netif *nif, uint64_t *counter)
{
    *counter += nif->n_tx;
    rte_pktmbuf_free_bulk(nif->tx, nif->n_tx);
    nif->n_tx = 0;
}

/* What the driver has, or never takes, leaves the queue. */
static void queue_remove(struct netif *nif, uint16_t at, uint16_t n)
{
    uint16_t behind = nif->n_tx - at - n;

    nif->n_tx -= n;
    if (n == 0 || behind == 0)
        return;
    memmove(nif->tx + at, nif->tx + at + n, behind * sizeof(nif->tx[0]));
    memmove(nif->tx_len + at, nif->tx_len + at + n, behind * sizeof(nif->tx_len[0]));
}

/* A packet the driver will never send goes, or the queue would stand still behind it. */
static void prepare(struct netif *nif)
{
    const struct port_ops *ops = nif->port->ops;
    uint16_t n;

    if (!ops->tx_prepare)
        return;
    n = ops->tx_prepare(nif->port, nif->queue, nif->tx, nif->n_tx);
    while (n < nif->n_tx) {
        nif->stats.drop_tx_refused++;
        rte_pktmbuf_free(nif->tx[n]);
        queue_remove(nif, n, 1);
        n += ops->tx_prepare(nif->port, nif->queue, nif->tx + n, nif->n_tx - n);
    }
}

/* n packets from the at-th on. */
static uint16_t send_some(struct netif *nif, uint16_t at, uint16_t n)
{
    uint16_t sent = nif->port->ops->tx_burst(nif->port, nif->queue, nif->tx + at, n);
    uint64_t bytes = 0;

    for (const uint32_t *len = nif->tx_len + at; len < nif->tx_len + at + sent; len++)
        bytes += *len;
    nif->stats.opackets += sent;
    nif->stats.obytes += bytes;
    return sent;
}

/*
 * To the port, or to the engine that has a queue; that one counts what leaves. By batches: behind a full ring thousands may wait, and are
 * not looked at each time.
 */
static uint16_t send_burst(struct netif *nif)
{
    uint16_t done = 0, n, sent;

    if (nif->queue == NETIF_NO_QUEUE)
        return spread_send(nif, nif->tx, nif->n_tx);
    prepare(nif);
    do {
        n = RTE_MIN(nif->n_tx - done, TX_BATCH);
        sent = send_some(nif, done, n);
        done += sent;
    } while (sent == n && done < nif->n_tx);
    return done;
}

/* A full ring empties; a packet that the driver refuses time after time would stop the queue for ever. */
static void drop_first(struct netif *nif)
{
    nif->stats.drop_tx_refused++;
    rte_pktmbuf_free(nif->tx[0]);
}

void netif_flush(struct netif *nif)
{
    uint16_t sent;

    if (nif->n_tx == 0 || nif->loopback)
        return;
    sent = send_burst(nif);
    if (sent == 0 && ++nif->stuck >= STUCK_TURNS) {
        drop_first(nif);
        sent = 1;
    }
    if (sent > 0)
        nif->stuck = 0;
    queue_remove(nif, 0, sent);
    if (nif->n_tx && !netif_link_up(nif))
        queue_drop(nif, &nif->stats.drop_tx_down);
}

void netif_enqueue(struct netif *nif, struct rte_mbuf *m)
{
    uint32_t limit = nif->e->link->priv->params.txq_max;

    if (nif->n_tx >= limit)
        netif_flush(nif);
    if (nif->n_tx >= limit) {
        nif->stats.drop_tx_full++;
        rte_pktmbuf_free(m);
        return;
    }
    nif->tx_len[nif->n_tx] = rte_pktmbuf_pkt_len(m);
    nif->tx[nif->n_tx++] = m;
    if (nif->n_tx % TX_BATCH == 0)
        netif_flush(nif);
}

static __rte_noinline void loop_transmit(struct netif *nif, struct rte_mbuf *m)
{
    if (nif->n_tx >= nif->e->link->priv->params.txq_max) {
        nif->stats.drop_tx_full++;
        rte_pktmbuf_free(m);
        return;
    }
    nif->stats.opackets++;
    nif->stats.obytes += rte_pktmbuf_pkt_len(m);
    nif->tx[nif->n_tx++] = m;
    engine_mark_due(nif->e, &nif->e->link->priv->lo_due);
}

static __rte_noinline void transmit_drop(struct rte_mbuf *m, uint64_t *counter)
{
    ++*counter;
    rte_pktmbuf_free(m);
}

void netif_transmit(struct netif *nif, struct rte_mbuf *m)
{
    if (!nif->up) {
        transmit_drop(m, &nif->stats.drop_tx_down);
    } else if (nif->loopback) {
        loop_transmit(nif, m);
    } else if (!(m->ol_flags & RTE_MBUF_F_TX_TCP_SEG) &&
               rte_pktmbuf_pkt_len(m) > nif->mtu + sizeof(struct rte_ether_hdr)) {
        transmit_drop(m, &nif->stats.drop_tx_toobig);
    } else if (offload_needed(nif->port, m)) {
        offload_finish(nif, m);
    } else {
        netif_enqueue(nif, m);
    }
}

/* As if received: nothing of the sender's wishes remains, and no checksum needs a look. */
static void loop_turn_round(struct netif *nif, struct rte_mbuf *m)
{
    struct pkt_info *info = pkt_info(m);

    nif->stats.ibytes += rte_pktmbuf_pkt_len(m);
    m->ol_flags &= RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL;
    m->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD;
    m->tx_offload = 0;
    info->netif = nif;
    info->flags = PKT_CKSUM_OK;
}

unsigned loop_receive(struct netif *nif)
{
    struct rte_mbuf *ip4[LO_BURST], *ip6[LO_BURST];
    uint16_t n = RTE_MIN(nif->n_tx, LO_BURST), n_ip4 = 0, n_ip6 = 0;
    struct link_layer *l = nif->e->link;

    for (uint16_t i = 0; i < n; i++) {
        struct rte_mbuf *m = nif->tx[i];

        loop_turn_round(nif, m);
        if (*rte_pktmbuf_mtod(m, const uint8_t *) >> 4 == 6)
            ip6[n_ip6++] = m;
        else
            ip4[n_ip4++] = m;
    }
    nif->n_tx -= n;
    memmove(nif->tx, nif->tx + n, nif->n_tx * sizeof(nif->tx[0]));
    nif->stats.ipackets += n;
    if (n_ip4 && l->ip4_input)
        l->ip4_input(nif->e, ip4, n_ip4);
    if (n_ip6 && l->ip6_input)
        l->ip6_input(nif->e, ip6, n_ip6);
    return n;
}

unsigned link_transmit(struct engine *e, void *unused)
{
    struct netif *nif;
    unsigned work = 0;
    uint16_t before;

    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (nif->loopback)
            continue;
        if (nif->spread && nif->queue != NETIF_NO_QUEUE)
            work += spread_transmit(nif);
        before = nif->n_tx;
        netif_flush(nif);
        work += before - nif->n_tx; /* behind a full ring there is nothing to do: an engine may sleep */
    }
    return work;
}
