// SPDX-License-Identifier: BSD-3-Clause
// What random conversations draw alike.
#pragma once
#include <rte_ethdev.h>
#include "base/rng.h"
#include "port/sim/sim.h"

/* A port that does much for the stack, or nothing, and may keep what it sends. */
static void port_by_chance(struct rng *r, struct sim_port_options *o)
{
    static const uint16_t mtus[] = {0, 576, 1280, 9000};
    *o = (struct sim_port_options){.mtu = mtus[rng_below(r, 4)], .hold_tx = rng_below(r, 2)};
    if (rng_below(r, 2))
        o->tx_offloads =
            RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    if (o->tx_offloads && rng_below(r, 2))
        o->tx_offloads |= RTE_ETH_TX_OFFLOAD_TCP_TSO;
    if (rng_below(r, 2))
        o->rx_offloads = RTE_ETH_RX_OFFLOAD_TCP_CKSUM;
    o->tx_seg_max =
        rng_below(r, 4) || o->mtu == 9000 ? 0 : 1; /* a frame of 9,000 bytes does not fit in one buffer */
}
