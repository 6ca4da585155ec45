/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * OpenSSL on Leat's sockets (library leat-ssl). A BIO that reads and writes a descriptor of Leat's and answers OpenSSL's kTLS controls: with
 * SSL_OP_ENABLE_KTLS libssl hands its keys to the stack after the handshake, and BIO_get_ktls_send(), BIO_get_ktls_recv() and
 * SSL_sendfile() work as they do on a kernel with TLS. Without the option, or for what libssl or kern.ipc.tls.enable leave out, libssl
 * goes on encrypting by itself. See docs/ktls.md.
 *
 * SSL_sendfile() ends in sendfile(2), so the library has a function of that name in front of the C library's: a descriptor of Leat's goes
 * to leat_sendfile(), any other on to the C library.
 */
#ifndef LEAT_SSL_H
#define LEAT_SSL_H

#include <leat/leat.h>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * A source/sink BIO (BIO_TYPE_DESCRIPTOR) on the connected socket fd, for SSL_set_bio(). The descriptor stays the application's: it is
 * closed with the BIO only after BIO_set_close(bio, BIO_CLOSE). NULL: no memory. Belongs, as fd does, to the engine's thread.
 */
LEAT_API BIO *leat_bio_new(int fd);
/* The method of these BIOs, for BIO_new() and BIO_set_fd(). Made once for the process; NULL: no memory. */
LEAT_API const BIO_METHOD *leat_bio_method(void);

/*
 * Lets connections of ctx change keys (TLS 1.3 KeyUpdate) when the stack makes their records: libssl has no call for that, so the library
 * derives the next key itself from the secret that libssl tells by its key log callback (one that was set before goes on being called; a
 * later SSL_CTX_set_keylog_callback() replaces this one). Without it a KeyUpdate that libssl wants to send is refused with EOPNOTSUPP,
 * which ends the connection. 1, or 0: no memory.
 */
LEAT_API int leat_ssl_key_updates(SSL_CTX *ctx);

#ifdef __cplusplus
}
#endif
#endif
