// SPDX-License-Identifier: BSD-3-Clause
// The black box of one engine: a ring of records for each connection that is watched, log IDs that join connections, and dumps that
// leave by a ring to the writer. Knows no connection and no network: who records fills the records in (tcp/log.c).
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <leat/blackbox.h>
#include "base/pool.h"
#include "base/queue.h"

#define BB_CHUNK_RECORDS 11  /* of one chunk: some 4 KiB */
#define BB_PAYLOAD_MAX   256 /* bytes of a segment's data that a record can hold */
#define BB_RAW_BYTES     128 /* a recorder's picture: from tlb_rxbuf to tlb_stackinfo */
#define BB_ID_EXPIRY_NS                                                                                      \
    (60 * UINT64_C(1000000000)) /* a closed connection's records wait so long to be asked for */

_Static_assert(sizeof(union tcp_log_stackspecific) == 104 && sizeof(struct tcp_log_buffer) == 328 &&
                   sizeof(struct tcp_log_header) == 208,
               "as FreeBSD's");
_Static_assert(offsetof(struct tcp_log_buffer, tlb_stackinfo) - offsetof(struct tcp_log_buffer, tlb_rxbuf) ==
                   BB_RAW_BYTES,
               "");

/*
 * One record as it lies in the ring: what FreeBSD's has, and what only Leat keeps. Recording is to be cheap, so that what can be done when the
 * record leaves is left until then: without TLB_FLAG_HDR the header is whatever it was, so is the stack's part behind stack_len, and a raw
 * record has its recorder's own picture of the connection in place of the members from tlb_rxbuf on (bb_env.finish understands it). bb_export()
 * gives the record as FreeBSD has it.
 */
struct bb_record {
    struct tcp_log_buffer b;
    uint64_t now;                    /* ns; of b, tlb_tv and tlb_ticks follow from it unless it is 0 */
    uint32_t flex1, flex2, inflight; /* of a raw record */
    uint32_t stack_len;              /* so much of b.tlb_stackinfo is valid */
    const char *function;            /* net.inet.tcp.bb.log_verbose: who wrote it; else NULL */
    uint8_t *payload; /* first bytes of the segment's data, BB_PAYLOAD_MAX at most; NULL: not kept */
    uint16_t payload_len;
    bool raw, inflight_known;
    uint8_t flex8; /* of a raw record whose part of the stack is not valid */
};
struct bb_chunk {
    STAILQ_ENTRY(bb_chunk) link;
    uint16_t first, end; /* records [first, end) are in use */
    struct bb_record r[BB_CHUNK_RECORDS];
};
STAILQ_HEAD(bb_chunks, bb_chunk);

struct bb_params { /* sysctl net.inet.tcp.bb.*, FreeBSD's names and defaults */
    uint32_t session_limit, global_limit, id_limit, id_tcpcb_limit, disable_all;
    uint32_t id_events; /* Leat's: of all connections of a log ID; 0: no limit */
    uint32_t auto_mode;
    uint64_t auto_ratio;
    bool auto_all, verbose;
    uint32_t tp_number, tp_bbmode, tp_count;
    /* Leat's */
    uint32_t payload; /* bytes of data to keep */
    uint32_t dump_on; /* BB_DUMP_ON_* */
    uint32_t queue;   /* dumps on their way to the writer at most */
    uint64_t file_bytes;
    uint32_t files, gzip; /* gzip: level, 0: plain */
    bool crash;
    char directory[192]; /* "": no files */
    char hosts[192];     /* names of addresses; "": none */
    char writer[16];     /* thread, sync */
};
#define BB_DUMP_ON_RST     1
#define BB_DUMP_ON_TIMEOUT 2
#define BB_DUMP_ON_END     4 /* however it ends */

struct bb_stats {
    uint64_t events;         /* recorded */
    uint64_t lost;           /* not recorded, or recycled before anybody saw them */
    uint64_t dumps;          /* handed to the writer */
    uint64_t dumps_unwanted; /* nobody wanted them: freed */
    uint64_t dumps_refused;  /* the writer's queue was full */
    uint64_t dumped;         /* records in dumps */
    uint64_t written, bytes; /* by the writer: records, bytes */
    uint64_t write_errors;   /* records that could not be written */
    uint64_t files_removed, followers_behind;
    uint64_t expired, pcb_ids_tot;
};

struct bb_bucket;
struct bb_node;
/* A watched connection's ring. Made when first needed; the connection has a pointer to it. */
struct bb_log {
    int8_t mode;        /* TCP_LOG_STATE_* but CLEAR */
    bool auto_selected; /* by log_auto_ratio */
    bool user_mode;     /* set by an option: joining an ID does not change it */
    uint32_t count, limit;
    uint32_t serial;           /* of the next event */
    uint32_t recorded, dumped; /* behind the last one that was recorded; that left in a dump */
    uint32_t incarnation;      /* tells one connection from the next on the same addresses: names its file */
    struct bb_chunks chunks;
    struct bb_node *node; /* its place in a log ID's bucket */
    void *owner;          /* the connection, for env.describe */
    TAILQ_ENTRY(bb_log) link;
};
TAILQ_HEAD(bb_logs, bb_log);

/* One connection of a log ID: live, or closed with records that wait for a dump. */
struct bb_node {
    TAILQ_ENTRY(bb_node) link, expiry;
    struct bb_bucket *bucket;
    struct bb_log *log; /* NULL: closed */
    struct bb_chunks chunks;
    uint32_t count, incarnation, serial, dumped;
    uint64_t expires;             /* ns */
    struct tcp_log_header header; /* its endpoints */
};
TAILQ_HEAD(bb_nodes, bb_node);
#define BB_RATIO_OFF (-2) /* FreeBSD's TCP_LOG_STATE_RATIO_OFF */
struct bb_bucket {
    LIST_ENTRY(bb_bucket) link;
    char id[TCP_LOG_ID_LEN], tag[TCP_LOG_TAG_LEN];
    struct bb_nodes nodes;
    uint32_t n_nodes, records; /* records: of all its nodes, and of their rings */
    int8_t mode; /* for connections that join: TCP_LOG_STATE_OFF, what the ratio chose, BB_RATIO_OFF */
};
LIST_HEAD(bb_buckets, bb_bucket);

/*
 * One who follows, on all engines: a socket that their writers share. A dump is written whole; who does not read for as long as the
 * socket's SO_SNDTIMEO is left behind. bb_stream_new() gives one reference; each writer has another. The last closes fd.
 */
struct bb_stream;
struct bb_stream *bb_stream_new(int fd); /* NULL: no memory, fd is as before */
struct bb_stream *bb_stream_hold(struct bb_stream *s);
void bb_stream_put(struct bb_stream *s);

/* Records on their way to the writer, and back when they are written. */
struct bb_dump {
    STAILQ_ENTRY(bb_dump) link;
    struct tcp_log_header header;
    struct bb_chunks chunks;
    uint32_t count, incarnation;
    uint32_t from,
        serial; /* from where on events are missing that are not here; of the event that would come next */
    bool last;  /* the connection is over: what is missing at the end is marked, its file can be closed */
    struct bb_stream *follower; /* not NULL: no dump, but one who wants to hear of all dumps from now on */
};
STAILQ_HEAD(bb_dumps, bb_dump);

/* What the layer is told by whoever makes it. */
struct bb_env {
    uint32_t engine;                                               /* number, for names */
    int64_t utc_offset_ns;                                         /* engine's clock to UTC */
    void (*describe)(const void *owner, struct tcp_log_header *h); /* fills endpoints and family in */
    const char *(*stack_name)(uint8_t stackid);
    void (*finish)(const struct bb_record *r,
                   struct tcp_log_buffer *out); /* a raw record's members. Signal safe */
};

struct sysctl_tree;
struct bb_writer;
struct bb_writer_ops;
struct bb_layer {
    struct bb_env env;
    struct sysctl_tree *sysctl;
    char program[64]; /* for the sections' comment */
    struct bb_params params;
    struct bb_stats stats;
    struct pool logs_pool, chunks, payloads, nodes_pool, dumps;
    struct bb_logs logs;
    struct bb_buckets buckets;
    uint32_t n_buckets;
    struct bb_nodes expiry; /* closed nodes, soonest first */
    uint64_t auto_count;    /* candidates so far */
    uint32_t incarnations;
    uint32_t records; /* in all rings, nodes and dumps */
    uint32_t under_way;
    const struct bb_writer_ops *ops; /* NULL: no dump was wanted yet */
    struct bb_writer *writer;
    uint32_t followers;
};

/* Registers net.inet.tcp.bb.*. 0 or -errno. */
int bb_create(const struct bb_env *env, struct sysctl_tree *tree, struct bb_layer **out);
/* Every log must be closed. Waits for the writer. */
void bb_destroy(struct bb_layer *l);

/* ---- a connection's ring: ring.c, layer.c ---- */

/* A new connection: its ring if the automatic mode chooses it, else NULL. */
struct bb_log *bb_open_auto(struct bb_layer *l, void *owner);
/* A ring that is off, for a connection that is asked for; NULL: no memory. */
struct bb_log *bb_open(struct bb_layer *l, void *owner);
/*
 * The place for the next record, with serial number, time and event in it, or NULL: nothing is to be recorded. The other members that every
 * event has (all before tlb_stackinfo, and tlb_len) are the caller's to set. At most one is open at a time. In the modes that dump, a full ring is dumped first.
 */
struct bb_record *bb_next(struct bb_layer *l, struct bb_log *log, uint8_t event, uint64_t now);
/* The record as FreeBSD has it. */
void bb_export(const struct bb_record *r,
               void (*finish)(const struct bb_record *r, struct tcp_log_buffer *out),
               struct tcp_log_buffer *out);
/* Keeps the first bytes of the segment's data with r, as far as net.inet.tcp.bb.payload and memory go. */
uint32_t bb_payload_room(struct bb_layer *l, struct bb_record *r);
/* TCP_LOG. 0, -EINVAL, -EBUSY. */
int bb_set_mode(struct bb_layer *l, struct bb_log *log, int mode);
/* Does any mode but off? */
static inline bool bb_recording(const struct bb_log *log)
{
    return log->mode > TCP_LOG_STATE_OFF;
}
/* TCP_LOGBUF: moves whole records out, oldest first, into buf of size bytes. Returns the bytes. */
uint32_t bb_read(struct bb_layer *l, struct bb_log *log, void *buf, uint32_t size);
/* Bytes that bb_read() would give with room for all. */
uint32_t bb_readable(const struct bb_log *log);
/* The connection is over, and described for the last time: dumps, or leaves the records with its ID, or frees them. */
void bb_close(struct bb_layer *l, struct bb_log *log, uint64_t now);
/* n records came to the ring, or (negative) left it. */
void bb_count(struct bb_log *log, int64_t n);
/* Frees the records of a chain. */
void bb_free_chunks(struct bb_layer *l, struct bb_chunks *chunks, uint32_t count);

/* ---- log IDs: id.c ---- */

/* TCP_LOGID: "" leaves the ID. 0, -ENOBUFS. */
int bb_set_id(struct bb_layer *l, struct bb_log *log, const char *id);
/* TCP_LOG_TAG. -EOPNOTSUPP. */
int bb_set_tag(struct bb_log *log, const char *tag);
const char *bb_id(const struct bb_log *log);
const char *bb_tag(const struct bb_log *log);
uint32_t bb_id_count(const struct bb_log *log);
/* Has the ratio left its ID out? */
bool bb_id_left_out(const struct bb_log *log);
/* A connection with an ID closes: its records wait in its node. False: it has none. */
bool bb_leave_records(struct bb_layer *l, struct bb_log *log, uint64_t now);
void bb_leave_id(struct bb_layer *l, struct bb_log *log);
/* Lets go what has waited too long. */
void bb_expire(struct bb_layer *l, uint64_t now);
/* TCP_LOGDUMPID: every connection of the ID, closed ones too. */
void bb_dump_id(struct bb_layer *l, struct bb_bucket *b, const char *reason);
struct bb_bucket *bb_find_id(struct bb_layer *l, const char *id);

/* ---- dumps: dump.c ---- */

/* The ring's records go to the writer, or nowhere if nobody wants them. 0, -ENOBUFS (the ring is as before). last: the connection is over. */
int bb_dump(struct bb_layer *l, struct bb_log *log, const char *reason, bool last);
int bb_dump_node(struct bb_layer *l, struct bb_node *n, const char *reason);
/* s hears of every dump from now on. 0 or -ENOBUFS. */
int bb_follow(struct bb_layer *l, struct bb_stream *s);
/* Fills in all but the endpoints. b NULL: no log ID. Signal safe. */
void bb_header(const struct bb_layer *l, struct tcp_log_header *h, const struct bb_bucket *b,
               const char *reason, uint32_t count);
/* The writer is done with d. */
void bb_dump_done(struct bb_layer *l, struct bb_dump *d);
/* Once in a while: what the writer has done comes back; with followers, rings that dump themselves don't wait to be full. Returns the work done. */
unsigned bb_reap(struct bb_layer *l);
void bb_sweep(struct bb_layer *l, uint64_t now);
#define BB_SWEEP_NS (UINT64_C(500000000))

/* ---- writers: writer_thread.c, writer_sync.c ---- */

/* What the writer has done so far, for sysctl: written by its thread, read by the engine. */
struct bb_written {
    _Atomic uint64_t records, bytes, errors, removed, behind;
    _Atomic uint32_t followers;
};
struct bb_writer_ops {
    const char *name;
    struct bb_writer *(*create)(struct bb_layer *l); /* NULL: no memory */
    void (*destroy)(struct bb_writer *w);            /* writes what it has; calls bb_dump_done() for each */
    bool (*submit)(struct bb_writer *w, struct bb_dump *d); /* false: its queue is full */
    unsigned (*reap)(struct bb_writer *w);
    const struct bb_written *(*written)(const struct bb_writer *w);
};
extern const struct bb_writer_ops bb_writer_thread, bb_writer_sync;

/* ---- crash.c ---- */

/* Writes all rings of the layer to a file in net.inet.tcp.bb.directory: nothing but open(2) and write(2), so that a signal handler may. */
void bb_crash_write(struct bb_layer *l);
