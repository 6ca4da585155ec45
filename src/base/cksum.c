// SPDX-License-Identifier: BSD-3-Clause
#include "base/cksum.h"
#include <rte_byteorder.h>
#include <string.h>

/* Halves of 64-bit words, in as many sums as the CPU adds at once: a compiler makes no such thing of additions of 16 bits by itself. */
static uint64_t sum_words(const uint8_t **at, uint32_t *len)
{
    uint64_t sum[4] = {0}, w[4];
    const uint8_t *p = *at;
    for (; *len >= sizeof(w); *len -= sizeof(w), p += sizeof(w)) {
        memcpy(w, p, sizeof(w));
        for (unsigned i = 0; i < 4; i++)
            sum[i] += (w[i] & UINT32_MAX) + (w[i] >> 32);
    }
    *at = p;
    return sum[0] + sum[1] + sum[2] + sum[3]; /* of 4 GiB at most: no carry is lost */
}

static uint16_t raw_sum(const void *data, uint32_t len)
{
    const uint8_t *p = data;
    uint64_t sum = sum_words(&p, &len);
    uint32_t w = 0;
    for (; len >= sizeof(w); len -= sizeof(w), p += sizeof(w)) {
        memcpy(&w, p, sizeof(w));
        sum += w;
    }
    if (len > 0) {
        w = 0;
        memcpy(&w, p, len);
        sum += w;
    }
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}

uint16_t cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
    uint32_t sum = 0, done = 0;

    while (off >= rte_pktmbuf_data_len(m) && m->next) {
        off -= rte_pktmbuf_data_len(m);
        m = m->next;
    }
    for (; m && done < len; m = m->next) {
        uint32_t n = RTE_MIN(rte_pktmbuf_data_len(m) - off, len - done);
        uint16_t part = raw_sum(rte_pktmbuf_mtod_offset(m, const void *, off), n);

        sum += done & 1 ? rte_bswap16(part) : part; /* RFC 1071 §2 (B) */
        done += n;
        off = 0;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}
