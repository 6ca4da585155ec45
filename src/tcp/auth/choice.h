// SPDX-License-Identifier: BSD-3-Clause
// How the segments of a connection are signed (auth.h): kept in half-open entries, where there is no tcb yet.
#pragma once
#include <stdint.h>

struct auth_choice {
    uint8_t kind;   /* 0 not at all, TCPOPT_SIGNATURE, TCPOPT_AO */
    uint8_t maclen; /* bytes of the digest */
    uint8_t keyid;  /* AO: KeyID, our key's SendID */
    uint8_t rnext;  /* AO: RNextKeyID, the RecvID of the key that we want to see */
};
