// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum over packets in several buffers. DPDK's rte_raw_cksum_mbuf() (22.11) loses the
// carries of a buffer that begins at an odd offset, so the stack uses this one.
#pragma once
#include <stdint.h>
#include <rte_mbuf.h>

/* The one's complement sum (RFC 1071), not inverted, of len bytes from off. off + len must lie within the
 * packet. */
uint16_t cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len);
