// SPDX-License-Identifier: BSD-3-Clause
// What a connection's events add up to.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "tools/blackbox/file.h"

/* What sending waits for between two events. */
enum flow_wait {
    FLOW_APPLICATION,
    FLOW_NOT_READY,
    FLOW_RECEIVER,
    FLOW_CWND,
    FLOW_STACK,
    FLOW_HANDSHAKE,
    FLOW_WAITS
};

struct flow_range {
    uint64_t n, sum, least, most;
};
#define FLOW_STATES 16
struct flow {
    struct tcp_log_header header;
    char stack[33];
    uint64_t events, missing;
    uint64_t first, last; /* us */
    struct {
        int32_t state;
        uint64_t at; /* us since first */
    } states[FLOW_STATES];
    unsigned n_states;
    uint64_t bytes_out, segs_out, data_segs, rexmits, bytes_in, segs_in, sacks;
    struct flow_range rtt, cwnd, flight; /* us, bytes, bytes */
    uint32_t recoveries, timeouts, spurious;
    uint64_t waited[FLOW_WAITS], zero_window; /* us */
    /* Since the event before. */
    enum flow_wait waits;
    bool window_closed, seen;
    uint32_t mss;
};
struct flows {
    struct flow *f; /* by box_event.connection */
    uint32_t n;
};

/* False: no memory. */
bool flows_take(struct flows *fs, const struct box_event *e);
void flows_free(struct flows *fs);
/* us in states in which data can be sent. */
uint64_t flow_sending_time(const struct flow *f);
/* Why does nothing leave after this event? */
enum flow_wait flow_wait_of(const struct tcp_log_buffer *b, uint32_t mss);
