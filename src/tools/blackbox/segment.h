// SPDX-License-Identifier: BSD-3-Clause
// A recorded TCP header, in numbers.
#pragma once
#include <stdint.h>
#include "tools/blackbox/file.h"

struct box_segment {
    uint32_t seq, ack, wnd; /* wnd in bytes, scaled */
    uint8_t flags;
    unsigned n_sack;
    struct {
        uint32_t start, end;
    } sack[4];
};
/* Of an event with TLB_FLAG_HDR. */
void box_segment(const struct box_event *e, struct box_segment *s);
