// SPDX-License-Identifier: BSD-3-Clause
// The Internet checksum over packets in several buffers. DPDK's rte_raw_cksum_mbuf() (22.11) loses the
// carries of a buffer that begins at an odd offset, so the stack uses this one.
#pragma once
#include <stdint.h>
#include <rte_mbuf.h>

/* The one's complement sum (RFC 1071), not inverted, of len bytes from off. off + len must lie within the
 * packet. */
uint16_t cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len);

/* The same of len bytes that lie together. */
uint16_t cksum_bytes(const void *data, uint32_t len);

/* memcpy(), and the sum of what it copied, not inverted: every byte is loaded once. */
uint16_t cksum_copy(void *to, const void *from, uint32_t len);

/* The sum of a packet's first part, of so many bytes, and of what follows it. */
static inline uint16_t cksum_join(uint16_t first, uint32_t len, uint16_t next)
{
    uint32_t sum = (uint32_t)first + (len & 1 ? rte_bswap16(next) : next); /* RFC 1071 §2 (B) */
    return (uint16_t)((sum >> 16) + sum);
}
