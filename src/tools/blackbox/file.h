// SPDX-License-Identifier: BSD-3-Clause
// Reads the black box's pcapng files (docs/blackbox.md), event by event. What it does not know it passes over, as pcapng readers do.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <leat/blackbox.h>

struct box_event {
    uint32_t number;                      /* in the file, from 1, as Wireshark counts */
    uint64_t us;                          /* since the epoch, UTC */
    const struct tcp_log_header *section; /* the connection; zeros when the file does not say */
    uint32_t connection;                  /* from 0: one number for the same ID, addresses and ports */
    const char *stack;                    /* "" unknown */
    uint32_t skipped;                     /* not 0: so many events are missing here; nothing below is valid */
    struct tcp_log_buffer b;              /* header and options only with TLB_FLAG_HDR */
    const char *comment;                  /* "" none */
};

/* Calls fn for each event until it returns nonzero. 0; fn's value; -1 and a sentence in err. A file that breaks off is read up to the break:
 * then *broken is set. */
int box_read(const char *path, int (*fn)(const struct box_event *e, void *arg), void *arg, bool *broken,
             char *err, size_t errsize);

/* events.c: "OUT", "RTT", ...; "EVENT 99" in buf for one without a name. */
const char *box_event_name(uint8_t id, char buf[16]);
/* Number of a name (or of digits), -1. */
int box_event_number(const char *name);
const char *box_state_name(int32_t state);
/* "10.0.0.1.80 - 10.0.0.2.40712" */
const char *box_endpoints(const struct tcp_log_header *h, char buf[128]);
