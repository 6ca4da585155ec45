// SPDX-License-Identifier: BSD-3-Clause
// Reads pieces of memory as if they were one.
#pragma once
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct iov_at {
    const struct iovec *v;
    size_t off; /* in *v */
};

/* The next contiguous piece, n bytes at most; *len > 0 when n > 0. */
static inline const uint8_t *iov_next(struct iov_at *at, size_t n, size_t *len)
{
    while (at->off == at->v->iov_len) {
        at->v++;
        at->off = 0;
    }
    const uint8_t *p = (const uint8_t *)at->v->iov_base + at->off;
    *len = at->v->iov_len - at->off < n ? at->v->iov_len - at->off : n;
    at->off += *len;
    return p;
}

/* Copies n bytes, which must be there; what lies in place already is left there. */
static inline void iov_copy(struct iov_at *at, uint8_t *to, size_t n)
{
    while (n > 0) {
        size_t some;
        const uint8_t *from = iov_next(at, n, &some);
        if (from != to)
            memcpy(to, from, some);
        to += some;
        n -= some;
    }
}

static inline void iov_skip(struct iov_at *at, size_t n)
{
    for (size_t some; n > 0; n -= some)
        iov_next(at, n, &some);
}
