// SPDX-License-Identifier: BSD-3-Clause
// TLS of the server: libssl shakes hands, then the stack makes and opens the records.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <openssl/ssl.h>
#include <leat/tls.h>

#define SECRET_MAX 48 /* of a hash: SHA-384 */

/* ---- tls_keys.c: what both ends agreed on, as the stack wants it ---- */

/* TLS 1.3: what the next keys come from (RFC 8446 §7.2), from the key log. */
struct tls_secrets {
    uint8_t client[SECRET_MAX], server[SECRET_MAX];
    unsigned len;
};
/* Room for what tls_enable points to. */
struct tls_material {
    uint8_t key[32], mac[SECRET_MAX], iv[16];
};
/* The keys of one direction, seq records of which are used up. False: the stack has no such suite. */
bool tls_keys_of(const SSL *ssl, const struct tls_secrets *sec, bool client, uint64_t seq,
                 struct tls_enable *en, struct tls_material *room);
/* After a KeyUpdate (RFC 8446 §7.2). */
bool tls_secret_next(const SSL *ssl, uint8_t *secret, unsigned len);

/* ---- tls.c ---- */

/* NULL with a message: certificate or key cannot be used. Serves all engines. */
SSL_CTX *tls_context(const char *cert, const char *key);
