// SPDX-License-Identifier: BSD-3-Clause
#include "base/cksum.h"
#include <rte_byteorder.h>
#include <string.h>

/*
 * Programs are built for the oldest CPU that DPDK runs on; this loop takes what is there when they start. A sanitizer is not there yet
 * when the loader chooses.
 */
#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(__clang__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__SANITIZE_ADDRESS__)
#define FOR_EACH_CPU __attribute__((target_clones("avx2", "default"), noinline))
#else
#define FOR_EACH_CPU
#endif

/* Anywhere in memory: through an array on the stack the halves would be stored narrower than they are loaded, which stalls. */
typedef uint64_t lanes __attribute__((vector_size(32), aligned(1), may_alias));

/* Halves of 64-bit words, in as many sums as the CPU adds at once: a compiler makes no such thing of additions of 16 bits by itself.
 * len: a multiple of 64 counts. */
FOR_EACH_CPU static uint64_t sum_words(const uint8_t *p, uint32_t len)
{
    lanes a = {0}, b = {0};
    for (; len >= 2 * sizeof(a); len -= (uint32_t)(2 * sizeof(a)), p += 2 * sizeof(a)) {
        lanes x = *(const lanes *)p, y = *(const lanes *)(p + sizeof(x));
        a += (x & UINT32_MAX) + (x >> 32);
        b += (y & UINT32_MAX) + (y >> 32);
    }
    a += b;
    return a[0] + a[1] + a[2] + a[3]; /* of 4 GiB at most: no carry is lost */
}

/* The same, copied meanwhile. */
FOR_EACH_CPU static uint64_t copy_words(uint8_t *to, const uint8_t *p, uint32_t len)
{
    lanes a = {0}, b = {0};
    for (; len >= 2 * sizeof(a); len -= (uint32_t)(2 * sizeof(a)), p += 2 * sizeof(a), to += 2 * sizeof(a)) {
        lanes x = *(const lanes *)p, y = *(const lanes *)(p + sizeof(x));
        *(lanes *)to = x;
        *(lanes *)(to + sizeof(x)) = y;
        a += (x & UINT32_MAX) + (x >> 32);
        b += (y & UINT32_MAX) + (y >> 32);
    }
    a += b;
    return a[0] + a[1] + a[2] + a[3];
}

/* What is left behind the multiples of 64. */
static uint64_t sum_rest(const uint8_t *p, uint32_t len)
{
    uint64_t sum = 0;
    for (; len >= sizeof(uint64_t); len -= (uint32_t)sizeof(uint64_t), p += sizeof(uint64_t)) {
        uint64_t w;
        memcpy(&w, p, sizeof(w));
        sum += (w & UINT32_MAX) + (w >> 32);
    }
    if (len >= sizeof(uint32_t)) {
        uint32_t w;
        memcpy(&w, p, sizeof(w));
        sum += w;
        len -= (uint32_t)sizeof(w);
        p += sizeof(w);
    }
    if (len > 0) {
        uint32_t w = 0;
        memcpy(&w, p, len);
        sum += w;
    }
    return sum;
}

static uint16_t fold(uint64_t sum)
{
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 32) + (sum & UINT32_MAX);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)((sum >> 16) + sum);
}

uint16_t cksum_bytes(const void *data, uint32_t len)
{
    const uint8_t *p = data;
    uint64_t sum = len >= 64 ? sum_words(p, len) : 0;
    return fold(sum + sum_rest(p + (len & ~63u), len & 63));
}

static uint64_t copy_rest(uint8_t *to, const uint8_t *p, uint32_t len)
{
    uint64_t sum = 0;
    for (; len >= sizeof(uint32_t);
         len -= (uint32_t)sizeof(uint32_t), p += sizeof(uint32_t), to += sizeof(uint32_t)) {
        uint32_t w;
        memcpy(&w, p, sizeof(w));
        memcpy(to, &w, sizeof(w));
        sum += w;
    }
    if (len > 0) {
        uint32_t w = 0;
        memcpy(&w, p, len);
        memcpy(to, &w, len);
        sum += w;
    }
    return sum;
}

uint16_t cksum_copy(void *to, const void *from, uint32_t len)
{
    uint32_t many = len & ~63u;
    uint64_t sum = many ? copy_words(to, from, many) : 0;
    return fold(sum + copy_rest((uint8_t *)to + many, (const uint8_t *)from + many, len & 63));
}

uint16_t cksum_mbuf(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
    uint32_t done = 0;
    uint16_t sum = 0;

    while (off >= rte_pktmbuf_data_len(m) && m->next) {
        off -= rte_pktmbuf_data_len(m);
        m = m->next;
    }
    for (; m && done < len; m = m->next) {
        uint32_t n = RTE_MIN(rte_pktmbuf_data_len(m) - off, len - done);
        uint16_t part = cksum_bytes(rte_pktmbuf_mtod_offset(m, const void *, off), n);

        sum = cksum_join(sum, done, part);
        done += n;
        off = 0;
    }
    return sum;
}
