// SPDX-License-Identifier: BSD-3-Clause
// Inside of the driver.
#pragma once
#include <openssl/evp.h>
#include "tls/iov.h"
#include "tls/session.h"

struct evp_state {
    EVP_CIPHER_CTX *ctx;
    EVP_MAC_CTX *mac; /* CBC: holds the key, nothing fed yet */
};

/* aead.c, cbc.c: set op->result. */
void evp_aead_seal(struct tls_op *op);
void evp_aead_open(struct tls_op *op);
void evp_cbc_seal(struct tls_op *op);
void evp_cbc_open(struct tls_op *op);
