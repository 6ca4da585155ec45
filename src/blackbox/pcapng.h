// SPDX-License-Identifier: BSD-3-Clause
// Records as pcapng blocks (draft-ietf-opsawg-pcapng), with the custom blocks that Wireshark's bblog dissector knows: the layout of
// docs/blackbox.md. Allocates nothing and calls nobody, so that a crash handler may use it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "blackbox/blackbox.h"

#define BB_PEN          10949u /* private enterprise number of the custom blocks */
#define BB_CUSTOM_BLOCK 0x00000badu
#define BB_CUSTOM_OPT   2989u
#define BB_BLOCK_EVENT  1u
#define BB_BLOCK_SKIP   2u
enum bb_option {
    BB_OPT_VERSION = 1,
    BB_OPT_TCPINFO = 2,
    BB_OPT_DUMPINFO = 4,
    BB_OPT_DUMPTIME = 5,
    BB_OPT_STACKNAME = 6
};
#define BB_TCPINFO_LEN 268u /* of struct tcp_log_buffer: all before the TCP header */
#define BB_SNAPLEN     (4u + 40u + 60u + BB_PAYLOAD_MAX)
#define BB_ENCODED_MAX 3072u /* what bb_encode() writes at most */

/* One connection's blocks, one after the other. */
struct bb_encoder {
    const struct tcp_log_header *h;
    const char *(*stack_name)(uint8_t stackid);
    void (*finish)(const struct bb_record *r, struct tcp_log_buffer *out); /* bb_env's */
    const char *program;                /* for the section's comment; may be NULL */
    const char *local_name, *peer_name; /* of the addresses; NULL: not known */
    int stackid;                        /* of the section that is open; -1: none */
    uint32_t next_serial;               /* a gap before the next record becomes a SKIP block */
};
static inline void bb_encoder_init(struct bb_encoder *en, const struct tcp_log_header *h,
                                   const char *(*stack_name)(uint8_t stackid), uint32_t next_serial)
{
    *en = (struct bb_encoder){.h = h, .stack_name = stack_name, .stackid = -1, .next_serial = next_serial};
}
/* Writes r's block, before it what it needs: a section (the first record, or another stack), a SKIP. Returns the bytes. */
size_t bb_encode(struct bb_encoder *en, const struct bb_record *r, uint8_t out[BB_ENCODED_MAX]);
/* The connection is over, serial would have been its next event's: what is missing before it becomes a SKIP block. Returns the bytes, 0 when
 * nothing is missing. */
size_t bb_encode_end(struct bb_encoder *en, uint32_t serial, uint8_t out[BB_ENCODED_MAX]);
