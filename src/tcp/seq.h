// SPDX-License-Identifier: BSD-3-Clause
// Sequence numbers modulo 2^32 (RFC 9293 §3.4).
#pragma once
#include <stdbool.h>
#include <stdint.h>

typedef uint32_t tcp_seq;

static inline bool seq_lt(tcp_seq a, tcp_seq b)
{
    return (int32_t)(a - b) < 0;
}
static inline bool seq_leq(tcp_seq a, tcp_seq b)
{
    return (int32_t)(a - b) <= 0;
}
static inline bool seq_gt(tcp_seq a, tcp_seq b)
{
    return (int32_t)(a - b) > 0;
}
static inline bool seq_geq(tcp_seq a, tcp_seq b)
{
    return (int32_t)(a - b) >= 0;
}
static inline tcp_seq seq_max(tcp_seq a, tcp_seq b)
{
    return seq_gt(a, b) ? a : b;
}
static inline tcp_seq seq_min(tcp_seq a, tcp_seq b)
{
    return seq_lt(a, b) ? a : b;
}
