/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * TLS records inside the stack: after its handshake an application hands the keys over and goes on in plaintext. Options, structures and
 * values are those of FreeBSD's KTLS (tcp(4), ktls(4)).
 */
#ifndef LEAT_TLS_H
#define LEAT_TLS_H

#include <linux/tls.h> /* Linux's own: TLS_TX, TLS_RX, struct tls12_crypto_info_... */
#include <stddef.h>
#include <stdint.h>
#include <leat/leat.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- options of level IPPROTO_TCP ---- */

#define TCP_TXTLS_ENABLE 39 /* set: struct tls_enable */
#define TCP_TXTLS_MODE   40 /* get and set: int, TCP_TLS_MODE_* */
#define TCP_RXTLS_ENABLE 41 /* set: struct tls_enable */
#define TCP_RXTLS_MODE   42 /* get: int */

#define TCP_TLS_MODE_NONE  0
#define TCP_TLS_MODE_SW    1 /* the stack encrypts */
#define TCP_TLS_MODE_IFNET 2 /* the NIC does */
#define TCP_TLS_MODE_TOE   3

/* Values of cipher_algorithm and auth_algorithm (crypto(7) of FreeBSD). */
#define CRYPTO_SHA1_HMAC         7
#define CRYPTO_AES_CBC           11
#define CRYPTO_SHA2_256_HMAC     18
#define CRYPTO_SHA2_384_HMAC     19
#define CRYPTO_AES_NIST_GCM_16   25
#define CRYPTO_AES_128_NIST_GMAC 26 /* auth_algorithm tolerated with CRYPTO_AES_NIST_GCM_16 */
#define CRYPTO_AES_192_NIST_GMAC 27
#define CRYPTO_AES_256_NIST_GMAC 28
#define CRYPTO_AES_CCM_16        40
#define CRYPTO_CHACHA20_POLY1305 41

#define TLS_MAJOR_VER_ONE   3
#define TLS_MINOR_VER_ZERO  1 /* TLS 1.0 */
#define TLS_MINOR_VER_ONE   2
#define TLS_MINOR_VER_TWO   3
#define TLS_MINOR_VER_THREE 4

struct tls_enable {
    const uint8_t *cipher_key;
    const uint8_t *iv;       /* implicit part of the nonce; TLS 1.0 CBC: the first IV */
    const uint8_t *auth_key; /* HMAC key, CBC only */
    int cipher_algorithm;
    int cipher_key_len; /* bytes, as the two below */
    int iv_len;
    int auth_algorithm;
    int auth_key_len;
    int flags; /* 0 */
    uint8_t tls_vmajor;
    uint8_t tls_vminor;
    uint8_t rec_seq[8]; /* number of the next record, big endian */
};

/* ---- records ---- */

#define TLS_RLTYPE_CCS       20
#define TLS_RLTYPE_ALERT     21
#define TLS_RLTYPE_HANDSHAKE 22
#define TLS_RLTYPE_APP       23

/* Control messages of level IPPROTO_TCP. */
#define TLS_SET_RECORD_TYPE 1 /* sendmsg: one byte, the type of the record */
#define TLS_GET_RECORD      2 /* recvmsg: struct tls_get_record */

struct tls_get_record {
    uint8_t tls_type;
    uint8_t tls_vmajor;
    uint8_t tls_vminor;
    uint16_t tls_length; /* bytes of plaintext, big endian */
};

/*
 * recv(2) of one record's data, whatever its type, which is given back: TLS_RLTYPE_*, or 0 when the connection is at its end (the result
 * is 0 too). A record that is longer than len comes in pieces, each with its type. Errors of leat_recv(), and EINVAL: TLS is not enabled
 * for receiving.
 */
LEAT_API ssize_t leat_tls_recv(int fd, void *buf, size_t len, int flags, uint8_t *type);

/*
 * TCP_RXTLS_ENABLE for a TLS library that has read too far: the len bytes at ahead (ciphertext from the first record that is to be opened
 * on) are put back in front of what the socket has not given out yet, and TLS begins with them. Nothing has happened when it fails: the
 * option's errors, EMSGSIZE (more than SO_RCVBUF), ENOBUFS, EPROTO (no record begins there).
 */
LEAT_API int leat_tls_enable_rx(int fd, const struct tls_enable *en, const void *ahead, size_t len);

/*
 * ungetc(3) for a socket: puts len bytes, which were read from it, back in front of what it has not given out yet; for whoever enables TLS
 * by setsockopt(2). All or nothing: EMSGSIZE (more than SO_RCVBUF), ENOBUFS, EALREADY (TLS is enabled for receiving), ENOTCONN.
 */
LEAT_API int leat_unread(int fd, const void *buf, size_t len);

#ifdef __cplusplus
}
#endif
#endif
