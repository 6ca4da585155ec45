// SPDX-License-Identifier: BSD-3-Clause
// What a BIO on a socket of Leat's knows, among the files of libleat-ssl.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <leat/ssl.h>
#include <leat/tls.h>

#define SECRET_MAX 48

union crypto_info {
    struct tls_crypto_info head;
    struct tls12_crypto_info_aes_gcm_128 gcm128;
    struct tls12_crypto_info_aes_gcm_256 gcm256;
    struct tls12_crypto_info_aes_ccm_128 ccm128;
    struct tls12_crypto_info_chacha20_poly1305 chacha20;
};

struct leat_bio {
    int fd;
    bool send, recv; /* the stack seals; opens */
    bool eof, broken;
    uint8_t type;                /* of the record that the next write is; 0: application data */
    struct tls_crypto_info head; /* of what is sent: version and cipher */
    uint8_t secret
        [SECRET_MAX];  /* TLS 1.3: the traffic secret of what is sent (RFC 8446 §7.1); wiped with the BIO */
    size_t secret_len; /* 0: not known */
};

/* The first of the chain that is on a socket of Leat's, or NULL. */
struct leat_bio *leat_bio_of(BIO *chain);
/* A KeyUpdate has been sent: the stack gets the next key. False: it has none, and what follows must not be sent. */
bool leat_bio_next_key(struct leat_bio *lb);
/* Bytes of the structure for a cipher; 0: none that is known. */
socklen_t crypto_info_size(const struct tls_crypto_info *head);
