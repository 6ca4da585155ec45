// SPDX-License-Identifier: BSD-3-Clause
// TLS of one engine: what it may do, what it counts, its worker threads and record buffers; and the door for the socket floor: the
// sending side of a connection. (rx.h: the receiving side.)
#pragma once
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/pool.h"
#include "base/queue.h"
#include "tcp/tcp.h"
#include "tls/flow.h"
#include "tls/session.h"

struct sysctl_oid;
struct tls_params { /* sysctl kern.ipc.tls.*, leat.tls.* */
    bool enable, rx_enable, cbc_enable, adaptive, tls10_split;
    uint32_t maxlen; /* bytes of payload of one record */
    int32_t threads; /* workers; -1: as many as there are CPUs to spare, up to 4; 0: the engine does all */
    uint32_t
        inline_max; /* records up to so many bytes of payload are sealed by the engine when none is ahead of them */
    uint32_t session_bytes; /* that one connection may have at the workers */
    uint32_t engine_bytes;  /* that all may */
    uint32_t sync_delay_us; /* of the simulator's worker: mean time of a record */
    uint32_t sync_fail;     /* of the simulator's worker: one record in so many fails; 0: none */
    uint32_t queue;         /* records that may wait at one worker */
    char backends[64], cpus[64], worker[16];
};
struct tls_stats {
    uint64_t enable_calls, offload_total, failovers, failed_crypto, corrupted_records, rekeys_tx, rekeys_rx,
        switch_failed;
    uint64_t tx_records, tx_bytes, tx_inline, rx_records, rx_bytes, rx_inline;
    uint32_t active, tx_inqueue, rx_inqueue, threads, suites[TLS_SUITES];
};

struct tls_buffer;
/* Record buffers of one size, in memory that NICs can read. */
struct tls_buffers {
    uint32_t size;
    struct tls_buffer *free_list;
    void *slabs;
};
#define TLS_BUFFER_SIZES 3

#define TLS_REFUSALS 8
/* What was asked for and not given, the same ones counted. */
struct tls_refusal {
    uint64_t times;
    char text[120];
};

struct tls_worker_ops;
struct tls_layer {
    struct engine *e;
    struct tls_params params;
    struct tls_stats stats;
    struct tls_keystore *keys;
    struct siphash_key iv_secret;
    struct tls_refusal refusals[TLS_REFUSALS];
    uint32_t next_refusal;
    struct pool records, txs, rx_records, rxs;
    struct tls_buffers buffers[TLS_BUFFER_SIZES];
    const struct tls_worker_ops *ops; /* NULL: no workers (yet) */
    struct tls_workers *workers;
    bool workers_tried;
    uint32_t next_worker;
    uint32_t under_way;           /* records at the workers */
    uint64_t bytes_under_way;     /* their bytes */
    struct tls_flow_list starved; /* wait because engine_bytes or a ring is full */
    uint32_t n_starved;
};

int tls_create(struct engine *e);
void tls_destroy(struct engine *e);
/* Waits for the workers and ends them: nobody reads pages or memory of applications any more. */
void tls_quiesce(struct engine *e);

/* A session as the parameters allow it: -EOPNOTSUPP when switched off. Counts. */
int tls_open_session(struct tls_layer *l, const struct tls_enable *en, bool receive,
                     struct tls_session **out);
void tls_close_session(struct tls_layer *l, struct tls_session *s);
/* May new take over from old on a live connection (RFC 8446 §4.6.3: same version and cipher)? */
bool tls_same_kind(const struct tls_session *a, const struct tls_session *b);

/* ---- report.c ---- */

/* The text of kern.ipc.tls.possible: modes, backends, workers, refusals. */
int tls_report_possible(void *base, const struct sysctl_oid *oid, char *buf, size_t size);
/* Notes that a session was refused. */
void tls_refused(struct tls_layer *l, const struct tls_enable *en, bool receive, int err);

/* ---- record buffers ---- */

void tls_buffers_init(struct tls_layer *l);
void tls_buffers_fini(struct tls_layer *l);
/* At least size bytes (TLS_RECORD_MAX at most), or NULL; which comes back with it. */
uint8_t *tls_buffer_get(struct tls_layer *l, uint32_t size, uint8_t *which, rte_iova_t *iova);
void tls_buffer_put(struct tls_layer *l, uint8_t *buf, uint8_t which, rte_iova_t iova);

/* ---- sending ---- */

/*
 * One record on its way: an extent of the send buffer that is not ready until it is sealed. Its buffer holds the finished record, cut where
 * segments will be if these leave from here as they lie (tcp/sendbuf.h); the payload lies there already, or where the owner of src keeps it
 * until src_done.
 */
struct tls_record {
    struct tls_job job; /* first */
    struct iovec src;
    struct extent *x; /* NULL: the send buffer has let go of it */
    uint8_t *buf;
    rte_iova_t iova;
    uint8_t which;
    bool has_data, queued;
    uint16_t segment; /* payload of the segments that it is cut for; 0: it lies in one piece */
    uint16_t sums[TLS_CUTS_MAX];
    void (*src_done)(void *arg); /* the payload is needed no more; called once */
    void *src_arg;
};

/* A connection's sending side. */
struct tls_tx {
    struct tls_flow flow; /* first */
    struct tls_session *s;
    struct tls_job_list queue; /* framed, not yet with a cipher, in order */
    struct tls_record *open;   /* MSG_MORE: still being filled, not framed */
    uint16_t max_frame;
    bool ifnet_refused;      /* the NIC's mode was asked for */
    bool in_output;          /* a segment leaves: the connection must not end now */
    uint64_t burst, last_ns; /* adaptive: bytes since the last pause */
    uint64_t records, bytes;
};

/* Sending goes on in records of a new session. 0 or -errno. */
int tls_tx_new(struct tls_layer *l, struct tcb *tp, struct tls_session *s, struct tls_tx **out);
/* Records framed from now on are of session s. */
void tls_tx_rekey(struct tls_tx *tx, struct tcb *tp, struct tls_session *s);
/* SO_SNDBUF has changed: how much space is worth a record. */
void tls_tx_lowat(const struct tls_tx *tx, struct tcb *tp);
/*
 * Frames len bytes of iov. Returns the bytes that were framed: less than asked when the buffer is full, which is not an error unless none
 * was: -EAGAIN; -EPIPE, -ENOBUFS, .... A type other than application data, or atomic: all or nothing (-EMSGSIZE: never).
 */
int64_t tls_tx_send(struct tls_tx *tx, struct tcb *tp, const struct iovec *iov, int iovcnt, size_t len,
                    uint8_t type, bool atomic, bool more);
/* The socket goes: what MSG_MORE kept open is framed if the connection can still send, the reference is given back. */
void tls_tx_end(struct tls_tx *tx, struct tcb *tp);
/* Frames what MSG_MORE kept open. */
void tls_tx_flush(struct tls_tx *tx, struct tcb *tp);
/* Is a record open in which len bytes more have room, so that they need none of their own? */
static inline bool tls_tx_joins(const struct tls_tx *tx, off_t len)
{
    return tx->open && len <= (off_t)tx->max_frame - (off_t)tx->open->job.op.len;
}
/* Payload that a record may have now, or 0: no space. */
uint32_t tls_tx_room(const struct tls_tx *tx, const struct tcb *tp);
/* A record of len bytes whose payload comes later; queued: src_done will be called. NULL and *err. */
struct tls_record *tls_tx_reserve(struct tls_tx *tx, struct tcb *tp, uint32_t len, void (*src_done)(void *),
                                  void *arg, int *err);
/* The payload is at addr and stays there until src_done; or it will never come. */
void tls_record_data(struct tls_record *r, const void *addr);
void tls_record_lost(struct tls_record *r);

/* ---- workers ---- */

struct tls_worker_ops {
    const char *name;
    struct tls_workers *(*create)(struct tls_layer *l, uint32_t n);
    /* Finishes what is under way, handing each to tls_job_done(). */
    void (*destroy)(struct tls_workers *w);
    bool (*submit)(struct tls_workers *w, struct tls_job *j); /* false: full */
    void (*flush)(struct tls_workers *w);
    unsigned (*reap)(struct tls_workers *w); /* calls tls_job_done() */
};
extern const struct tls_worker_ops tls_worker_thread, tls_worker_sync;
#define TLS_WORKERS_AUTO 4u
/* kern.ipc.tls.threads, or what -1 means here. */
uint32_t tls_workers_wanted(const struct tls_layer *l);
/* The CPUs of the workers; true: said so by kern.ipc.tls.cpus, each worker is bound to one. */
bool tls_worker_cpus(const struct tls_layer *l, cpu_set_t *out);
