// SPDX-License-Identifier: BSD-3-Clause
// Time is uint64_t nanoseconds of a monotonic clock that the engine passes down; nobody else reads one.
#pragma once
#include <stdint.h>

#define NS_PER_US  UINT64_C(1000)
#define NS_PER_MS  UINT64_C(1000000)
#define NS_PER_SEC UINT64_C(1000000000)
#define TIME_NEVER UINT64_MAX
