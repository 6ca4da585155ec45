// SPDX-License-Identifier: BSD-3-Clause
// The receiving side of a connection: ciphertext in TCP's receive queue becomes records, the ciphers open them, the application reads
// them in order. Until a record is settled its ciphertext stays in the receive queue; its plaintext then counts as lent from that queue,
// so that TCP's window knows all that is unread.
#pragma once
#include "tls/tls.h"

struct rte_mbuf;

/* Pieces of memory that a record may lie in before it is copied together: 16 KiB in segments of 1 KiB. */
#define TLS_RX_PIECES 20

struct tls_rx_record {
    struct tls_job job; /* first */
    TAILQ_ENTRY(tls_rx_record) link;
    struct iovec src[TLS_RX_PIECES];
    uint8_t *buf, *joined; /* plaintext; the ciphertext when it lay in too many pieces */
    rte_iova_t iova, joined_iova;
    uint8_t which, joined_which;
    bool done;        /* the cipher has finished */
    bool cancelled;   /* nobody wants it any more: a new key, an error, or the socket has gone */
    uint32_t len;     /* bytes of plaintext */
    uint32_t off;     /* of these read already */
    uint32_t loans;   /* pieces that the application holds */
    uint32_t on_loan; /* bytes of them */
};
TAILQ_HEAD(tls_rx_list, tls_rx_record);

struct tls_rx {
    struct tls_flow flow; /* first */
    struct tls_session *s;
    struct tcb *tp;             /* NULL: the socket is closed */
    void (*readable)(void *so); /* plaintext, a record of another type, an error or the end is there */
    void *so;
    struct tls_rx_list handed;  /* framed and not yet settled, in order */
    struct tls_rx_list opened;  /* to be read */
    struct tls_rx_record *held; /* the last of handed, when no cipher has taken it yet */
    struct rte_mbuf *at; /* where the next header is looked for; NULL: at the front of the receive queue */
    const uint8_t *at_byte;
    uint32_t handed_bytes; /* from the front of the receive queue to there */
    uint32_t plain;        /* application data to be read, bytes */
    uint32_t special;      /* opened records of another type, and empty ones */
    uint32_t memory;       /* of buffers held */
    uint32_t
        cancelled; /* records at a worker that nobody wants; their ciphertext must stay until they are back */
    uint32_t lowat; /* SO_RCVLOWAT */
    int error;      /* -errno; for good: nothing behind a bad record is opened */
    bool abort;     /* the connection is to be reset */
    bool paused;    /* after a KeyUpdate (RFC 8446 §4.6.3): waits for the new key */
    bool full;      /* buffers: goes on when some are given back */
    bool news;      /* the socket is to hear of something */
    struct {        /* the handshake message that the next record goes on with */
        uint8_t head[4], n;
        uint32_t left;
    } message;
    struct rte_mbuf *left;    /* what cancelled records read from, of a socket that was closed */
    struct wheel_timer timer; /* memory was short, or abort */
    uint64_t records, bytes;
};

/* TLS begins with the first unread byte of tp. -ENOMEM; -EPROTO: no header of a record is there (nothing has changed then). */
int tls_rx_new(struct tls_layer *l, struct tcb *tp, struct tls_session *s, void (*readable)(void *so),
               void *so, struct tls_rx **out);
/* What follows is of session s. -EALREADY: no KeyUpdate has come. */
int tls_rx_rekey(struct tls_rx *rx, struct tls_session *s);
/* The socket goes. */
void tls_rx_end(struct tls_rx *rx);
/* TCP has new bytes, or the peer's FIN. */
void tls_rx_input(struct tls_rx *rx);
/* SO_RCVBUF may have become smaller than a record, which would never be whole then. */
void tls_rx_hiwat(const struct tls_rx *rx);
/* The connection's end is the end of what can be read: no whole record is left behind. */
bool tls_rx_at_end(const struct tls_rx *rx);
/* Are records on their way through the ciphers, or do they wait for it? */
static inline bool tls_rx_opening(const struct tls_rx *rx)
{
    return !TAILQ_EMPTY(&rx->handed) || rx->cancelled;
}
/* Would a read say something other than EAGAIN, least bytes being asked for? */
bool tls_rx_readable(const struct tls_rx *rx, uint32_t least);
/* SO_RCVLOWAT, as far as the window lets so much come. */
uint32_t tls_rx_least(const struct tls_rx *rx, uint32_t least);
/* Anything that has come and was not read (RFC 2525 §2.17)? */
bool tls_rx_unread(const struct tls_rx *rx);

/* ---- rx_read.c ---- */

struct tls_rx_piece {     /* of one record */
    uint8_t type, vminor; /* vminor: of its header */
    uint32_t len;         /* bytes of the whole record */
    bool first, last;     /* begins, ends it */
};
#define TLS_RX_PEEK     1
#define TLS_RX_DISCARD  2
#define TLS_RX_NO_EMPTY 4 /* passes over empty records of application data */
/*
 * Bytes read; -EAGAIN. With piece NULL application data of as many records as fit; in front of another record -EIO (handshake), -ENXIO
 * (alert) or -EPROTO. With piece the data of one record, of any type, which may be empty. In both cases, when nothing is left: -EBADMSG,
 * -EMSGSIZE, -EINVAL after a bad record, -EKEYEXPIRED after a KeyUpdate.
 */
int64_t tls_rx_read(struct tls_rx *rx, const struct iovec *iov, int iovcnt, size_t len, unsigned flags,
                    struct tls_rx_piece *piece);
/* Lends up to max bytes of application data: *base, bytes, and the record to give back. As tls_rx_read() without piece. */
int64_t tls_rx_lend(struct tls_rx *rx, size_t max, void **base, struct tls_rx_record **r);
void tls_rx_return(struct tls_rx_record *r);
/* rx.c, for rx_read.c: the application has let go of n bytes; r is read and not on loan. */
void tls_rx_received(struct tls_rx *rx, uint32_t n);
void tls_rx_free_record(struct tls_rx_record *r);
