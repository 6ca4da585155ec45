// SPDX-License-Identifier: BSD-3-Clause
#include "base/cksum.h"
#include <rte_byteorder.h>
#include <rte_ip.h>

uint16_t cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
    uint32_t sum = 0, done = 0;

    while (off >= rte_pktmbuf_data_len(m) && m->next) {
        off -= rte_pktmbuf_data_len(m);
        m = m->next;
    }
    for (; m && done < len; m = m->next) {
        uint32_t n = RTE_MIN(rte_pktmbuf_data_len(m) - off, len - done);
        uint16_t part = rte_raw_cksum(rte_pktmbuf_mtod_offset(m, const void *, off), n);

        sum += done & 1 ? rte_bswap16(part) : part; /* RFC 1071 §2 (B) */
        done += n;
        off = 0;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}
