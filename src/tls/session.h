// SPDX-License-Identifier: BSD-3-Clause
// One direction of one TLS connection: its keys, its record format, the number of its next record, and the cipher backend that does the
// work. Knows no socket and no engine, so that it is tested alone.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <leat/tls.h>
#include "base/rng.h"

#define TLS_HEADER        5u
#define TLS_PAYLOAD_MAX   16384u                   /* RFC 8446 §5.1 */
#define TLS_OVERHEAD_MAX  (TLS_HEADER + 16u + 64u) /* IV, MAC and padding of what we send */
#define TLS_EXPANSION_MAX 2048u                    /* what a received record may add (RFC 5246 §6.2.3) */
#define TLS_RECORD_MAX    (TLS_HEADER + TLS_PAYLOAD_MAX + TLS_EXPANSION_MAX)
#define TLS_AAD_MAX       13u
#define TLS_NONCE         12u
#define TLS_MAC_MAX       48u

enum tls_suite { TLS_SUITE_GCM, TLS_SUITE_CHACHA20, TLS_SUITE_CCM, TLS_SUITE_CBC, TLS_SUITES };

/* The secret part, in memory that is locked where that is allowed, kept out of core dumps, and wiped when it is given back. */
struct tls_keys {
    uint8_t cipher[32];
    uint8_t auth[64];
    uint8_t iv[16]; /* salt (4), whole nonce (12) or CBC's chained IV (16) */
};

#define TLS_BACKENDS_MAX 4

struct tls_backend;
struct tls_session {
    struct tls_keys *keys;
    const struct tls_backend *backend;                 /* NULL: none is left that can */
    void *cipher;                                      /* the backend's */
    const struct tls_backend *order[TLS_BACKENDS_MAX]; /* those that may be asked, in order of preference */
    uint8_t n_order, at;                               /* at: where in order the backend is */
    uint8_t refusals_counted;                          /* of refusals, already in a statistic */
    uint8_t refusals;    /* backends that were asked before it and could not, or gave up */
    uint64_t seq;        /* of the next record to frame or to open */
    uint64_t nonce_base; /* TLS 1.2 with explicit nonces, sending: a record's is this plus its number */
    struct siphash_key iv_secret; /* CBC of TLS 1.1 and 1.2: explicit IVs are drawn from it */
    uint32_t refs;                /* its user and every record that still needs it */
    uint8_t suite;                /* enum tls_suite */
    uint8_t vminor;               /* 1 to 4: TLS 1.0 to 1.3 */
    uint8_t key_len, iv_len, auth_len;
    uint8_t auth_algorithm; /* CRYPTO_*, 0 for AEAD */
    uint8_t mac_len;
    uint8_t hlen; /* header with explicit nonce or IV */
    bool receive;
    bool scatters; /* its first backend seals in pieces by itself; others' records would be copied to them */
};

/* Tells what tls_session_new() would refuse in a struct tls_enable. 0; -EINVAL, -EFAULT as ktls does. */
int tls_enable_check(const struct tls_enable *en);

/* Where sessions get memory for their keys. */
struct tls_keystore;
struct tls_keystore *tls_keystore_new(void);     /* NULL: no memory */
void tls_keystore_free(struct tls_keystore *ks); /* every session must be gone */
/* Pages that could not be locked (RLIMIT_MEMLOCK). */
uint64_t tls_keystore_unlocked(const struct tls_keystore *ks);

/*
 * A session for what en says, with the first of the backends (names, blanks between, in order of preference) that takes it. 0 and *out, or
 * -EINVAL, -EFAULT (en is wrong), -EOPNOTSUPP (no backend takes it), -ENOMEM. Not thread safe as to ks.
 */
int tls_session_new(struct tls_keystore *ks, const struct tls_enable *en, bool receive, const char *backends,
                    const struct siphash_key *iv_secret, struct tls_session **out);
static inline struct tls_session *tls_session_hold(struct tls_session *s)
{
    s->refs++;
    return s;
}
/* The last reference wipes the keys. Engine's thread. */
void tls_session_put(struct tls_keystore *ks, struct tls_session *s);
const char *tls_suite_name(const struct tls_session *s); /* "AES-128-GCM", ... */

/* ---- frame.c: what a record looks like ---- */

/* Bytes behind n bytes of payload: inner type, MAC, padding, tag. */
uint32_t tls_trailer_len(const struct tls_session *s, uint32_t n);
static inline uint32_t tls_record_len(const struct tls_session *s, uint32_t n)
{
    return s->hlen + n + tls_trailer_len(s, n);
}
/* Writes hlen bytes: the header of record seq with n bytes of payload, and its explicit nonce or IV. */
void tls_header_write(const struct tls_session *s, uint8_t *out, uint64_t seq, uint8_t type, uint32_t n);
/* Associated data of an AEAD record, or what a MAC begins with; returns its length. n: bytes of payload (TLS 1.3: of what follows the
 * header). */
unsigned tls_aad(const struct tls_session *s, uint64_t seq, uint8_t type, uint32_t n,
                 uint8_t out[TLS_AAD_MAX]);
/* The AEAD nonce; explicit: the 8 bytes behind the header, where the suite has them. */
void tls_nonce(const struct tls_session *s, uint64_t seq, const uint8_t *explicit, uint8_t out[TLS_NONCE]);
/* Looks at the five bytes of a received header. Length of the whole record, or -EINVAL (no such record here), -EMSGSIZE. */
int tls_header_check(const struct tls_session *s, const uint8_t header[TLS_HEADER]);

/* ---- one record's work ---- */

/*
 * A sealed record in pieces of size bytes, the first of first, the last of what is left, with TLS_CUT_GAP bytes between them that are somebody
 * else's. size 0: in one piece.
 */
struct tls_cut {
    uint16_t first, size;
};
#define TLS_CUT_GAP  128u
#define TLS_CUTS_MAX 16u /* pieces */

struct tls_op {
    struct tls_session *s;
    const struct iovec *src; /* seal: the payload; open: the whole record */
    int n_src;
    size_t src_off; /* where in src[0] it begins */
    /* seal: room for tls_record_len(); payload may lie where it belongs already (dst + hlen), otherwise must not overlap.
     * open: room for the record without its header; must not overlap. */
    uint8_t *dst;
    struct tls_cut cut; /* seal: of dst; then the payload must not overlap */
    uint16_t *sums;     /* cut: what the bytes of each piece add up to (base/cksum.h) */
    uint64_t seq;
    uint32_t len; /* seal: bytes of payload; open: of the record */
    uint8_t type; /* seal: given; open: found */
    int result;   /* seal: 0; open: bytes of payload at dst; -EBADMSG, -EIO */
};

/*
 * A cipher: registered in backend.c, chosen per session by its name and place in kern.ipc.tls.backends. One session's records are worked on by
 * one thread at a time; different sessions' at the same time by any threads.
 */
struct tls_backend {
    const char *name;
    int priority; /* the highest is first in the default of kern.ipc.tls.backends */
    /* Can it do this session? 0 or -EOPNOTSUPP. */
    int (*can)(const struct tls_session *s);
    /* Sets s->cipher up. 0 or -errno. Any thread. */
    int (*begin)(struct tls_session *s);
    /*
     * Each op has its result in it afterwards; records of one session stand in order. -EAGAIN: it was not touched, another backend may
     * do it, and this one is not asked again for the session.
     */
    void (*seal)(struct tls_op **ops, unsigned n);
    void (*open)(struct tls_op **ops, unsigned n);
    /* Does it seal a session's records in pieces? NULL: none. */
    bool (*scatters)(const struct tls_session *s);
    /* Wipes and frees s->cipher. */
    void (*end)(struct tls_session *s);
    /* One line for people: what it is here, or why it cannot be used. NULL: nothing to say. */
    void (*describe)(char *text, size_t size);
};
/* The backends by priority; NULL beyond the last. */
const struct tls_backend *tls_backend_at(unsigned i);
/* Gives s the first of names (blanks between) that takes it. 0, or the last one's answer, -EOPNOTSUPP when there was none. */
int tls_backend_begin(struct tls_session *s, const char *names);
/* Takes the backend away that has given up and begins with the next. 0, or -errno: s->backend is NULL. */
int tls_backend_next(struct tls_session *s);
/* NULL: not built in. */
const struct tls_backend *tls_backend_find(const char *name, size_t len);
/* Is it the name of a backend, built in or not? */
bool tls_backend_known(const char *name, size_t len);
/* All names, best first, blanks between. */
extern const char tls_backend_names[];

/* Where pieces lie one behind the other. */
struct tls_cut_at {
    uint8_t *at;
    uint32_t left, size; /* left: of this piece */
};
static inline struct tls_cut_at tls_cut_begin(const struct tls_op *op)
{
    if (op->cut.size == 0)
        return (struct tls_cut_at){op->dst, UINT32_MAX, 0};
    return (struct tls_cut_at){op->dst, op->cut.first, op->cut.size};
}
/* Room for n bytes at most that lie together; *len > 0. */
static inline uint8_t *tls_cut_next(struct tls_cut_at *c, uint32_t n, uint32_t *len)
{
    if (c->left == 0) {
        c->at += TLS_CUT_GAP;
        c->left = c->size;
    }
    uint8_t *to = c->at;
    *len = n < c->left ? n : c->left;
    c->at += *len;
    c->left -= *len;
    return to;
}
static inline void tls_cut_copy(struct tls_cut_at *to, const uint8_t *from, uint32_t n)
{
    for (uint32_t some; n > 0; from += some, n -= some) {
        uint8_t *at = tls_cut_next(to, n, &some);
        memcpy(at, from, some);
    }
}

/* Seals or opens (as their sessions do) a batch of any sessions, each by its backend; adds up what is in pieces. */
void tls_work(struct tls_op **ops, unsigned n);
