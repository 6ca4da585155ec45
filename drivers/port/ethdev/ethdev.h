// SPDX-License-Identifier: BSD-3-Clause
// A port over any DPDK Ethernet device: real NICs, AF_XDP, TAP, memif, virtio, pcap, null, ring.
#pragma once
#include "link/port.h"

struct ethdev_options {
    uint16_t queues;                         /* RX/TX queue pairs wanted; fewer when the device has fewer */
    uint16_t rx_descriptors, tx_descriptors; /* 0: the driver's recommendation, else 1024 */
    uint16_t mtu;                            /* 0: 1500 */
    bool lro;                                /* let the device join received segments */
    bool promiscuous;
    uint64_t tx_offloads_off; /* RTE_ETH_TX_OFFLOAD_* not to use even if offered; all bits: none */
    uint64_t rx_offloads_off;
    struct rte_mempool *const *pools; /* one per queue: received packets; private area of struct pkt_info */
};

/* Configures and starts device port_id. NULL and errno, and a sentence in err that names the device and
 * what it refused. */
struct port *ethdev_open(uint16_t port_id, const struct ethdev_options *opt, char *err, size_t errsize);
/* DPDK's number of the device. */
uint16_t ethdev_id(const struct port *p);
