// SPDX-License-Identifier: BSD-3-Clause
// The driver interface of the wire: a port has queues, each owned by one engine. Implemented by
// drivers/port/ethdev (any DPDK port) and drivers/port/sim (the simulated wire). Send tags (NIC TLS,
// pacing) will be added here.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <rte_ether.h>
#include <rte_mbuf.h>

struct port;

struct port_ops {
    /* As rte_eth_rx_burst: received packets, whole Ethernet frames, checksum result in ol_flags when
     * offloaded. */
    uint16_t (*rx_burst)(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
    /* As rte_eth_tx_burst: takes the first so many, the rest stays the caller's. */
    uint16_t (*tx_burst)(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
    /* As rte_eth_tx_prepare: returns how many from the first are fit to send; the next one never will be.
     * NULL: all are. */
    uint16_t (*tx_prepare)(struct port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n);
    bool (*link_up)(struct port *p);
    int (*set_mtu)(struct port *p, uint16_t mtu); /* 0 or -errno; NULL: fixed */
    int (*join)(struct port *p, const struct rte_ether_addr *group,
                bool on); /* multicast filter; NULL: gets all */
    /* No more packets either way, and whatever the port still held is freed: before the floors that made
     * those go. NULL: nothing held */
    void (*stop)(struct port *p);
    void (*close)(struct port *p); /* gives the rest back */
};

struct port {
    const struct port_ops *ops;
    char name[32];
    struct rte_ether_addr mac;
    uint16_t mtu; /* of IP, bytes */
    uint16_t mtu_max;
    uint16_t queues;                 /* RX/TX queue pairs */
    uint64_t tx_offloads;            /* RTE_ETH_TX_OFFLOAD_* that are on */
    uint64_t rx_offloads;            /* RTE_ETH_RX_OFFLOAD_* that are on */
    uint32_t tso_max;                /* bytes of one TSO packet's payload at most; 0 = no TSO */
    uint16_t tx_seg_max;             /* mbuf segments of one packet at most (1: must be linear) */
    uint16_t tso_seg_max;            /* of a TSO packet; 0: as tx_seg_max */
    uint16_t reta_size;              /* RSS: entries of reta, 0 = the port does not spread */
    uint16_t reta[512];              /* queue of (hash % reta_size) */
    _Alignas(4) uint8_t rss_key[52]; /* symmetric Toeplitz */
    uint8_t rss_key_len;
};
