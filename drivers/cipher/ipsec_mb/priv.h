// SPDX-License-Identifier: BSD-3-Clause
// Inside of the driver.
#pragma once
#include <intel-ipsec-mb.h>
#include "tls/aead.h"

/* Keys as the library wants them: expanded once for the session. */
struct imb_state {
    union {
        struct gcm_key_data gcm;
        uint8_t chacha[32];
        struct {
            uint8_t enc[16 * 15], dec[16 * 15]; /* round keys */
            uint8_t ipad[64], opad[64];         /* HMAC: hash states after the key's block (RFC 2104 §4) */
        } aes;
    };
    void *block; /* of memory, in which this lies aligned */
};

/* For what keeps no state in the manager: functions of this CPU. NULL: the CPU has no AES instructions. */
IMB_MGR *imb_functions(void);

/* stream.c: AES-GCM and ChaCha20-Poly1305, one record after the other; pieces of memory are read where they are. */
void imb_stream_seal(struct tls_op *op);
void imb_stream_open(struct tls_op *op);
/* jobs.c: AES-CCM and AES-CBC with HMAC, whose blocks depend on each other: many records at once. */
void imb_jobs_seal(struct tls_op **ops, unsigned n);
void imb_jobs_open(struct tls_op **ops, unsigned n);
