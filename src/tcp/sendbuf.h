// SPDX-License-Identifier: BSD-3-Clause
// The send buffer: a queue of byte extents that may not be ready yet (ARCHITECTURE §1.3). An extent is copied bytes, file
// pages, application memory, or later a TLS record; TCP sends up to the first extent that is not ready. Segments refer to
// extents and never copy them, except payloads so small that a reference costs more (sendbuf_attach). Where every byte of a segment is
// read here anyway, for its checksum, a record lies as it will leave, cut where segments will be, with room for headers (sendbuf_piece).
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <rte_mbuf.h>
#include "base/pool.h"
#include "base/queue.h"

enum extent_state { EXTENT_PENDING, EXTENT_READY, EXTENT_FAILED };
enum extent_kind {
    EXTENT_COPY, /* bytes copied from a write, in the buffer m, which holds the extent too */
    EXTENT_REF,  /* bytes elsewhere, at addr: file pages, application memory, records */
};

struct extent;
struct sendbuf_pools;
/* The last reference is gone (acked or connection over, and no packet refers to it): the owner takes its memory back. */
typedef void (*extent_release_fn)(struct extent *x, void *arg);

/* Room for headers (TCP 60, IPv6 40, Ethernet with a tag 18 bytes). */
#define EXTENT_GAP        RTE_PKTMBUF_HEADROOM
#define EXTENT_PIECES_MAX 16u
/* Bytes that lie in pieces of size bytes, the first of first, the last of what is left, each behind a gap of EXTENT_GAP. size 0: in one piece. */
struct extent_cut {
    uint16_t first, size;
};

/* TCP has little left that is ready: x, the first that is not, is to be made so. Called while a segment leaves: the connection must not end in it. */
typedef void (*extent_want_fn)(struct extent *x);

struct extent {
    STAILQ_ENTRY(extent) link;
    uint32_t len;  /* bytes; for EXTENT_COPY grows while it is the last of the queue */
    uint32_t room; /* EXTENT_COPY: bytes that may still be added */
    uint8_t kind;
    uint8_t state;      /* written by whoever fills it, on the engine's thread */
    struct sendbuf *sb; /* while queued */
    struct sendbuf_pools *pools;
    struct rte_mbuf *m; /* EXTENT_COPY */
    /* EXTENT_REF; valid once ready */
    const void *addr; /* of the first byte */
    rte_iova_t iova;
    const uint16_t *sums; /* of its pieces */
    struct extent_cut cut;
    uint16_t unsent; /* a bit for each piece that has not left as it lies; its reference is counted */
    extent_release_fn release;
    extent_want_fn want; /* EXTENT_REF; NULL: its owner makes it ready as soon as it can */
    void *arg;
    struct rte_mbuf_ext_shared_info shared; /* counts the buffer's and the packets' references */
};

struct sendbuf_pools {        /* of the engine; made by tcp_create */
    struct pool extents;      /* EXTENT_REF */
    struct rte_mempool *pkts; /* EXTENT_COPY with its data, and headers */
    uint64_t bytes;           /* in all send buffers of the engine */
    uint64_t bytes_limit;
};

struct sendbuf {
    STAILQ_HEAD(, extent) queue;
    uint32_t bytes;      /* queued in all: unacked, unsent and not ready (FIN and PUSH count from here) */
    uint32_t ready;      /* bytes from the front that are ready in one run: TCP may send offsets below this */
    uint32_t hiwat;      /* limit for new data (SO_SNDBUF, auto-tuned) */
    uint32_t lowat;      /* writable when hiwat - bytes >= lowat */
    uint32_t front_off;  /* bytes of the first extent that are acked already */
    uint32_t segment;    /* payload of the segments that extents are cut for; 0: none is cut */
    uint32_t cursor_pos; /* of cursor's first byte, from the first byte of the first extent */
    struct extent *cursor;  /* where sending goes on; NULL: at the first */
    struct extent *pending; /* the first that is not ready */
    bool failed;            /* an extent failed: bytes behind `ready` will never come */
    struct sendbuf_pools *pools;
};

void sendbuf_init(struct sendbuf *sb, struct sendbuf_pools *pools, uint32_t hiwat);
/* Releases every extent (those in packets live on until the packets are freed). */
void sendbuf_fini(struct sendbuf *sb);
static inline uint32_t sendbuf_space(const struct sendbuf *sb)
{
    return sb->bytes >= sb->hiwat ? 0 : sb->hiwat - sb->bytes;
}
/* Copies up to len bytes of iov (from byte skip on) behind the rest. Returns bytes taken (less when buffers run out), or -ENOBUFS for none. */
int64_t sendbuf_append_copy(struct sendbuf *sb, const struct iovec *iov, int iovcnt, size_t skip,
                            uint32_t len);
/* A new EXTENT_REF, not yet queued, or NULL. release is called once when all is over. */
struct extent *extent_new(struct sendbuf_pools *pools, uint32_t len, extent_release_fn release, void *arg);
/* Gives up an extent that was never queued: release is called. */
void extent_free(struct extent *x);
/* Queues x (its len fixed). State may be pending. */
void sendbuf_append(struct sendbuf *sb, struct extent *x);
/* x has its bytes at addr: may grow sb->ready; the caller then marks the connection due. */
void extent_ready(struct extent *x, const void *addr, rte_iova_t iova);
/* The same in pieces, of which sums has what each adds up to (one's complement, not inverted), as long as x is there. */
void extent_ready_cut(struct extent *x, const void *addr, rte_iova_t iova, struct extent_cut cut,
                      const uint16_t *sums);
/* x will never have its bytes. */
void extent_failed(struct extent *x);
/* The first n bytes are acked. n <= bytes. */
void sendbuf_drop(struct sendbuf *sb, uint32_t n);
/*
 * Hangs len bytes from offset off (from the front; off + len <= ready) behind the header mbuf hdr, by reference; payloads of
 * up to SENDBUF_INLINE bytes are copied into hdr's tailroom instead, and where the bytes are to be added up (sum not NULL) all that have
 * room there: they are read anyway, and a packet in one buffer costs less than the references. *sum: the one's complement sum of
 * what was copied, not inverted (base/cksum.h), or SENDBUF_REFERRED. 0 or -ENOBUFS (hdr is then as before).
 */
int sendbuf_attach(struct sendbuf *sb, uint32_t off, uint32_t len, struct rte_mbuf *hdr, int32_t *sum);
#define SENDBUF_REFERRED (-1)
#define SENDBUF_INLINE   640
/*
 * Where the stream will be cut into segments if those that come are full (sb->segment is not 0): bytes from the buffer's end to the next cut.
 * sent: bytes from the front that have been. Only a guess: a segment that is cut elsewhere is copied.
 */
static inline uint32_t sendbuf_to_cut(const struct sendbuf *sb, uint32_t sent)
{
    return sent > sb->bytes ? sb->segment : sb->segment - (sb->bytes - sent) % sb->segment;
}
/*
 * A packet of the len bytes from offset off, for the caller to write headers before them and to send it: its data_off, data_len and what ol_flags
 * says of the buffer are set; *sum is what the payload adds up to. NULL: they are no piece of an extent, or it has left so before and a port may
 * still have it, or there is no buffer: sendbuf_attach.
 */
struct rte_mbuf *sendbuf_piece(struct sendbuf *sb, uint32_t off, uint32_t len, uint16_t *sum);
