// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <rte_ethdev.h>
#include "base/alloc.h"
#include "ethdev.h"
#include "link/link.h"
#include "link/spread.h"

#define DESCRIPTORS_DEFAULT 1024
#define SEGS_DEFAULT        64    /* where the driver names no limit */
#define TSO_DEFAULT         65535 /* less headers; where the driver names no limit: IP's own */
#define TSO_HEADERS_MAX     256
#define FRAME_OVERHEAD      (RTE_ETHER_HDR_LEN + RTE_ETHER_CRC_LEN + 0u)
#define GROUPS_MAX          NETIF_GROUPS_MAX

/* Not RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE: our packets refer to memory they do not own. */
#define TX_OFFLOADS                                                                                          \
    (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |           \
     RTE_ETH_TX_OFFLOAD_TCP_TSO | RTE_ETH_TX_OFFLOAD_MULTI_SEGS)
#define RX_OFFLOADS                                                                                          \
    (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM | RTE_ETH_RX_OFFLOAD_UDP_CKSUM)
#define RSS_TCP (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_TCP)

/*
 * net_tap computes checksums and cuts TSO in software, and gets them wrong when a piece of the packet has an
 * odd length; it refuses for ever a segment that with the Ethernet header is larger than the MTU (DPDK 22.11).
 * We do the same at the same cost, and right.
 */
static bool offloads_are_wrong(const struct rte_eth_dev_info *info)
{
    return strcmp(info->driver_name, "net_tap") == 0;
}

struct ethdev {
    struct port port;
    uint16_t id;
    struct rte_eth_dev_info info;
    struct rte_ether_addr groups[GROUPS_MAX];
    uint16_t n_groups;
    uint16_t beyond; /* groups that did not fit: the device lets all through while there are any */
    bool started;
};

static struct ethdev *ethdev_of(struct port *p)
{
    return (struct ethdev *)p;
}

uint16_t ethdev_id(const struct port *p)
{
    return ((const struct ethdev *)p)->id;
}

static uint16_t ethdev_rx_burst(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    return rte_eth_rx_burst(ethdev_of(p)->id, queue, pkts, n);
}

static uint16_t ethdev_tx_burst(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    return rte_eth_tx_burst(ethdev_of(p)->id, queue, pkts, n);
}

static uint16_t ethdev_tx_prepare(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    return rte_eth_tx_prepare(ethdev_of(p)->id, queue, pkts, n);
}

static bool ethdev_link_up(struct port *p)
{
    struct rte_eth_link link = {0};

    return rte_eth_link_get_nowait(ethdev_of(p)->id, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
}

static int ethdev_set_mtu(struct port *p, uint16_t mtu)
{
    int rc = rte_eth_dev_set_mtu(ethdev_of(p)->id, mtu);

    if (rc == 0)
        p->mtu = mtu;
    return rc;
}

static int filter_groups(struct ethdev *d)
{
    int rc = d->beyond ? -ENOSPC : rte_eth_dev_set_mc_addr_list(d->id, d->groups, d->n_groups);

    if (rc == 0)
        return 0;
    rc = rte_eth_allmulticast_enable(d->id);
    return rc == -ENOTSUP ? 0 : rc; /* devices without any filter get all */
}

static int ethdev_join(struct port *p, const struct rte_ether_addr *group, bool on)
{
    struct ethdev *d = ethdev_of(p);
    uint16_t i;

    for (i = 0; i < d->n_groups; i++) {
        if (rte_is_same_ether_addr(&d->groups[i], group))
            break;
    }
    if (on && i == d->n_groups) {
        if (d->n_groups == GROUPS_MAX)
            d->beyond++;
        else
            d->groups[d->n_groups++] = *group;
    } else if (!on && i < d->n_groups) {
        d->groups[i] = d->groups[--d->n_groups];
    } else if (!on && d->beyond) {
        d->beyond--;
    } else {
        return 0;
    }
    return filter_groups(d);
}

static uint16_t stopped_burst(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
    return 0;
}

static bool stopped_link_up(struct port *p)
{
    return false;
}

static void stopped_close(struct port *p)
{
    mem_free(ethdev_of(p));
}

static const struct port_ops stopped_ops = {
    .rx_burst = stopped_burst,
    .tx_burst = stopped_burst,
    .link_up = stopped_link_up,
    .close = stopped_close,
};

/* Drivers give their packets back at the latest when the device is closed. */
static void ethdev_stop(struct port *p)
{
    struct ethdev *d = ethdev_of(p);

    if (d->started)
        rte_eth_dev_stop(d->id);
    rte_eth_dev_close(d->id);
    p->ops = &stopped_ops;
}

static void ethdev_close(struct port *p)
{
    ethdev_stop(p);
    mem_free(ethdev_of(p));
}

static const struct port_ops ethdev_ops = {
    .rx_burst = ethdev_rx_burst,
    .tx_burst = ethdev_tx_burst,
    .tx_prepare = ethdev_tx_prepare,
    .link_up = ethdev_link_up,
    .set_mtu = ethdev_set_mtu,
    .join = ethdev_join,
    .stop = ethdev_stop,
    .close = ethdev_close,
};

/* What is being opened, and where to say why it fails. */
struct opening {
    struct ethdev *d;
    const struct ethdev_options *opt;
    struct rte_eth_conf conf;
    char *err;
    size_t errsize;
};

__attribute__((format(printf, 3, 4))) static int refuse(struct opening *o, int rc, const char *fmt, ...)
{
    int len = snprintf(o->err, o->errsize, "port %s: ", o->d->port.name);
    va_list ap;

    va_start(ap, fmt);
    if (len >= 0 && (size_t)len < o->errsize)
        len += vsnprintf(o->err + len, o->errsize - len, fmt, ap);
    va_end(ap);
    if (len >= 0 && (size_t)len < o->errsize)
        snprintf(o->err + len, o->errsize - len, " (%s)", strerror(-rc));
    return rc;
}

/* The smallest room of the pools decides whether a frame fits in one buffer. */
static uint32_t pool_room(const struct opening *o)
{
    uint32_t room = UINT32_MAX;

    for (uint16_t q = 0; q < o->d->port.queues; q++) {
        uint32_t r = rte_pktmbuf_data_room_size(o->opt->pools[q]) - RTE_PKTMBUF_HEADROOM;

        room = RTE_MIN(room, r);
    }
    return room;
}

static int choose_mtu(struct opening *o)
{
    const struct rte_eth_dev_info *info = &o->d->info;
    uint16_t mtu = o->opt->mtu ? o->opt->mtu : RTE_ETHER_MTU;
    uint32_t max = info->max_mtu ? info->max_mtu : RTE_ETHER_MTU;
    uint32_t room = pool_room(o);
    bool scatter = info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER & ~o->opt->rx_offloads_off;

    if (!scatter)
        max = RTE_MIN(max, room - FRAME_OVERHEAD);
    if (mtu > max || mtu < info->min_mtu)
        return refuse(o, -EINVAL, "mtu %u is outside %u..%u%s", mtu, info->min_mtu, max,
                      scatter ? "" : " (the device can't scatter over buffers, see mbuf_size)");
    if (mtu + FRAME_OVERHEAD > room)
        o->conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
    o->conf.rxmode.mtu = mtu;
    o->d->port.mtu = mtu;
    o->d->port.mtu_max =
        o->conf.rxmode.offloads & RTE_ETH_RX_OFFLOAD_SCATTER ? max : RTE_MIN(max, room - FRAME_OVERHEAD);
    return 0;
}

/* virtio has no IPv4 checksum: the header of the large packet has a right one, and who cuts it makes those of the pieces. */
static bool tso_sums_headers(const struct rte_eth_dev_info *info, uint64_t tx)
{
    static const char *const virtio[] = {"net_virtio", "net_virtio_user", "net_vhost"};

    for (unsigned i = 0; i < RTE_DIM(virtio); i++)
        if (strcmp(info->driver_name, virtio[i]) == 0)
            return true;
    return tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM;
}

/* TSO leaves the checksums to the device: without them it is of no use. */
static void choose_offloads(struct opening *o)
{
    const struct rte_eth_dev_info *info = &o->d->info;
    uint64_t tx = info->tx_offload_capa & TX_OFFLOADS & ~o->opt->tx_offloads_off;
    uint64_t rx = info->rx_offload_capa & RX_OFFLOADS & ~o->opt->rx_offloads_off;
    uint64_t tso_needs = RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

    if ((tx & tso_needs) != tso_needs || !tso_sums_headers(info, tx))
        tx &= ~RTE_ETH_TX_OFFLOAD_TCP_TSO;
    if (offloads_are_wrong(info)) {
        tx &= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
        rx = 0;
    }
    o->conf.txmode.offloads = tx;
    o->conf.rxmode.offloads |= rx;
    if (o->opt->lro && (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_TCP_LRO)) {
        o->conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_TCP_LRO;
        if (info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER)
            o->conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
        o->conf.rxmode.max_lro_pkt_size = info->max_lro_pkt_size;
    }
    o->d->port.tx_offloads = tx;
    o->d->port.rx_offloads = o->conf.rxmode.offloads;
}

/* Segments of one packet. Drivers without a limit of their own copy or gather; 0 and the type's maximum
 * mean that. */
static uint16_t seg_limit(uint16_t reported)
{
    return reported == 0 || reported == UINT16_MAX ? SEGS_DEFAULT : reported;
}

static void choose_tx_limits(struct opening *o)
{
    struct port *p = &o->d->port;
    const struct rte_eth_desc_lim *lim = &o->d->info.tx_desc_lim;

    p->tx_seg_max = p->tx_offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS ? seg_limit(lim->nb_mtu_seg_max) : 1;
    p->tso_seg_max = seg_limit(lim->nb_seg_max);
    p->tso_max = p->tx_offloads & RTE_ETH_TX_OFFLOAD_TCP_TSO ? TSO_DEFAULT - TSO_HEADERS_MAX : 0;
}

/* RSS is only worth anything when the table can be read back and both families' TCP is hashed. */
static bool rss_wanted(const struct opening *o)
{
    const struct rte_eth_dev_info *info = &o->d->info;

    return o->d->port.queues > 1 && (info->flow_type_rss_offloads & RSS_TCP) == RSS_TCP &&
           info->reta_size > 0 && info->reta_size <= RTE_DIM(o->d->port.reta);
}

static void choose_rss(struct opening *o)
{
    struct port *p = &o->d->port;
    uint8_t len = o->d->info.hash_key_size ? o->d->info.hash_key_size : 40;

    if (!rss_wanted(o) || len > sizeof(p->rss_key))
        return;
    toeplitz_symmetric_key(p->rss_key, len);
    p->rss_key_len = len;
    o->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    o->conf.rx_adv_conf.rss_conf =
        (struct rte_eth_rss_conf){.rss_key = p->rss_key, .rss_key_len = len, .rss_hf = RSS_TCP};
}

static int setup_queues(struct opening *o)
{
    const struct rte_eth_dev_info *info = &o->d->info;
    uint16_t rxd = o->opt->rx_descriptors, txd = o->opt->tx_descriptors, id = o->d->id;
    int socket = rte_eth_dev_socket_id(id), rc;

    if (!rxd)
        rxd = info->default_rxportconf.ring_size ? info->default_rxportconf.ring_size : DESCRIPTORS_DEFAULT;
    if (!txd)
        txd = info->default_txportconf.ring_size ? info->default_txportconf.ring_size : DESCRIPTORS_DEFAULT;
    rc = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rxd, &txd);
    if (rc)
        return refuse(o, rc, "%u receive and %u transmit descriptors refused", rxd, txd);
    for (uint16_t q = 0; q < o->d->port.queues; q++) {
        struct rte_eth_rxconf rxconf = info->default_rxconf;
        struct rte_eth_txconf txconf = info->default_txconf;

        rxconf.offloads = o->conf.rxmode.offloads & info->rx_queue_offload_capa;
        txconf.offloads = o->conf.txmode.offloads & info->tx_queue_offload_capa;
        rc = rte_eth_rx_queue_setup(id, q, rxd, socket, &rxconf, o->opt->pools[q]);
        if (rc)
            return refuse(o, rc, "receive queue %u refused", q);
        rc = rte_eth_tx_queue_setup(id, q, txd, socket, &txconf);
        if (rc)
            return refuse(o, rc, "transmit queue %u refused", q);
    }
    return 0;
}

/* What the device really does: its table and key decide where flows arrive. */
static bool read_rss(struct ethdev *d)
{
    struct rte_eth_rss_reta_entry64 reta[RTE_DIM(d->port.reta) / RTE_ETH_RETA_GROUP_SIZE];
    struct rte_eth_rss_conf conf = {.rss_key = d->port.rss_key, .rss_key_len = sizeof(d->port.rss_key)};
    uint16_t n = d->info.reta_size;

    memset(reta, 0xff, sizeof(reta));
    if (rte_eth_dev_rss_reta_query(d->id, reta, n) != 0)
        return false;
    for (uint16_t i = 0; i < n; i++) {
        d->port.reta[i] = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
        if (d->port.reta[i] >= d->port.queues)
            return false;
    }
    if (rte_eth_dev_rss_hash_conf_get(d->id, &conf) == 0 && (conf.rss_hf & RSS_TCP) != RSS_TCP)
        return false;
    d->port.reta_size = n;
    return true;
}

static int configure(struct opening *o)
{
    struct ethdev *d = o->d;
    uint16_t id = d->id;
    int rc = rte_eth_dev_info_get(id, &d->info);

    if (rc)
        return refuse(o, rc, "no answer about its capabilities");
    d->port.queues = RTE_MIN(d->info.max_rx_queues, d->info.max_tx_queues);
    d->port.queues = RTE_MIN(o->opt->queues, d->port.queues);
    if (d->port.queues == 0)
        return refuse(o, -EINVAL, "no queues");
    rc = choose_mtu(o);
    if (rc)
        return rc;
    choose_offloads(o);
    choose_tx_limits(o);
    choose_rss(o);
    rc = rte_eth_dev_configure(id, d->port.queues, d->port.queues, &o->conf);
    if (rc)
        return refuse(o, rc, "configuration with %u queues refused", d->port.queues);
    return setup_queues(o);
}

/* net_tap gives its kernel interface the port's own address, so neither end would answer the other: ours is
 * its neighbour. The device has no filter, and setting its address would change the kernel's too. */
static void own_address(struct ethdev *d)
{
    if (strcmp(d->info.driver_name, "net_tap") == 0)
        d->port.mac.addr_bytes[RTE_ETHER_ADDR_LEN - 1] ^= 1;
}

static int start(struct opening *o)
{
    struct ethdev *d = o->d;
    int rc = rte_eth_dev_start(d->id);

    if (rc)
        return refuse(o, rc, "does not start");
    d->started = true;
    rc = rte_eth_macaddr_get(d->id, &d->port.mac);
    if (rc)
        return refuse(o, rc, "has no address");
    if (o->opt->promiscuous)
        rte_eth_promiscuous_enable(d->id);
    if (d->port.rss_key_len && !read_rss(d))
        d->port.rss_key_len = 0;
    own_address(d);
    return 0;
}

struct port *ethdev_open(uint16_t port_id, const struct ethdev_options *opt, char *err, size_t errsize)
{
    struct opening o = {.opt = opt, .err = err, .errsize = errsize};
    char name[RTE_ETH_NAME_MAX_LEN] = "?";
    int rc;

    o.d = mem_alloc(sizeof(*o.d));
    if (!o.d) {
        snprintf(err, errsize, "port %u: no memory", port_id);
        errno = ENOMEM;
        return NULL;
    }
    o.d->id = port_id;
    o.d->port.ops = &ethdev_ops;
    rte_eth_dev_get_name_by_port(port_id, name);
    snprintf(o.d->port.name, sizeof(o.d->port.name), "%.31s", name);
    rc = configure(&o);
    if (rc == 0)
        rc = start(&o);
    if (rc) {
        ethdev_close(&o.d->port);
        errno = -rc;
        return NULL;
    }
    return &o.d->port;
}
