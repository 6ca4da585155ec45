// SPDX-License-Identifier: BSD-3-Clause
// The black box of one engine: made, set up by sysctl, taken down; rings come and go with their connections.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "blackbox/blackbox.h"
#include "blackbox/select.h"
#include "sysctl/sysctl.h"

static int set_writer(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct bb_layer *l = base;
    if (strcmp(text, "thread") != 0 && strcmp(text, "sync") != 0) {
        snprintf(err, errsize, "%s: \"%s\" is neither thread nor sync", oid->name, text);
        return -EINVAL;
    }
    snprintf(l->params.writer, sizeof(l->params.writer), "%s", text);
    return 0;
}

static int get_version(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    return snprintf(buf, size, "%d", TCP_LOG_BUF_VER) < (int)size ? 0 : -ENOSPC;
}

#define BB(N) "net.inet.tcp.bb." N
#define UINT(N, F, DEF, MIN, MAX, UNIT, DESC)                                                                \
    SYSCTL_OID_UINT(BB(N), struct bb_layer, params.F, SYSCTL_RW, DEF, MIN, MAX, UNIT, DESC)
#define BOOL(N, F, DEF, DESC)     SYSCTL_OID_BOOL(BB(N), struct bb_layer, params.F, SYSCTL_RW, DEF, DESC)
#define COUNTER(N, F, UNIT, DESC) SYSCTL_OID_COUNTER(BB(N), struct bb_layer, stats.F, UNIT, DESC)

static const struct sysctl_oid oids[] = {
    BOOL("log_verbose", verbose, 0, "Keep with each event which function wrote it"),
    UINT("log_session_limit", session_limit, 5000, 0, INT32_MAX, "events",
         "Events in the ring of a new connection"),
    UINT("log_global_limit", global_limit, 5000000, 0, INT32_MAX, "events",
         "Events of an engine, with those on their way to the writer"),
    SYSCTL_OID_GAUGE(BB("log_global_entries"), struct bb_layer, records, "events", "Events now held"),
    UINT("log_id_limit", id_limit, 0, 0, INT32_MAX, "IDs", "Log IDs; 0: no limit"),
    SYSCTL_OID_GAUGE(BB("log_id_entries"), struct bb_layer, n_buckets, "IDs", "Log IDs now"),
    UINT("log_id_tcpcb_limit", id_tcpcb_limit, 0, 0, INT32_MAX, "connections",
         "Connections with a log ID; 0: no limit"),
    SYSCTL_OID_GAUGE(BB("log_id_tcpcb_entries"), struct bb_layer, nodes_pool.used, "connections",
                     "Connections with a log ID now, closed ones that hold events too"),
    UINT("disable_all", disable_all, 0, 0, 1, "",
         "Each connection frees its events at its next one, and stops"),
    SYSCTL_OID_U64(BB("log_auto_ratio"), struct bb_layer, params.auto_ratio, SYSCTL_RW, 0, 0, INT64_MAX, "",
                   "One of so many candidates is recorded without being asked for; 0: none"),
    UINT("log_auto_mode", auto_mode, TCP_LOG_STATE_TAIL, TCP_LOG_STATE_OFF, TCP_LOG_VIA_BBPOINTS, "",
         "Mode of those: 1 tail, 2 head, 3 head_auto, 4 continual, 5 tail_auto"),
    BOOL("log_auto_all", auto_all, 0, "Candidates are all new connections, not only new log IDs"),
    UINT("tp.number", tp_number, 0, 0, UINT32_MAX, "",
         "Trace point that switches recording on; 0 none, 4294967295 all"),
    UINT("tp.bbmode", tp_bbmode, TCP_LOG_STATE_CONTINUAL, TCP_LOG_STATE_OFF, TCP_LOG_VIA_BBPOINTS, "",
         "Mode of connections that pass it"),
    UINT("tp.count", tp_count, 0, 0, INT32_MAX, "connections",
         "How many connections a trace point still switches on"),
    UINT("id_events", id_events, 0, 0, INT32_MAX, "events",
         "Events of all connections of a log ID: beyond, their rings are full; 0: no limit"),
    UINT("payload", payload, 0, 0, BB_PAYLOAD_MAX, "bytes",
         "First bytes of each segment's data that are kept; FreeBSD keeps none"),
    UINT("dump_on", dump_on, 0, 0, 7, "",
         "A connection is dumped when it ends by: 1 a reset, 2 a timeout, 3 either, 4 however it ends"),
    UINT("queue", queue, 1024, 1, 65536, "dumps", "Dumps on their way to the writer"),
    {.name = BB("directory"),
     .desc = "Where dumps become files; empty: nowhere",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_TUN,
     .offset = offsetof(struct bb_layer, params.directory),
     .size = sizeof(((struct bb_layer *)0)->params.directory),
     .def_text = ""},
    SYSCTL_OID_U64(BB("file_bytes"), struct bb_layer, params.file_bytes, SYSCTL_TUN, 64 << 20, 65536,
                   INT64_MAX, "bytes", "A connection's file is continued in a new one from this size"),
    SYSCTL_OID_UINT(BB("files"), struct bb_layer, params.files, SYSCTL_TUN, 1024, 2, 1 << 20, "files",
                    "Files of an engine; the oldest are removed"),
    SYSCTL_OID_UINT(BB("gzip"), struct bb_layer, params.gzip, SYSCTL_TUN, 0, 0, 9, "",
                    "Files are packed by gzip at this level, from 1 (fast) to 9; 0: they are not"),
    {.name = BB("hosts"),
     .desc = "hosts(5) file with the names of addresses that dumps carry; empty: none",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_TUN,
     .offset = offsetof(struct bb_layer, params.hosts),
     .size = sizeof(((struct bb_layer *)0)->params.hosts),
     .def_text = "/etc/hosts"},
    SYSCTL_OID_BOOL(BB("crash"), struct bb_layer, params.crash, SYSCTL_TUN, 1,
                    "A process that dies of a signal writes all rings to the directory first"),
    {.name = BB("writer"),
     .desc = "Who writes: thread, or sync (in the engine's time, for the simulator)",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct bb_layer, params.writer),
     .size = sizeof(((struct bb_layer *)0)->params.writer),
     .def_text = "thread",
     .set = set_writer},
    COUNTER("pcb_ids_tot", pcb_ids_tot, "IDs", "Log IDs ever"),
    SYSCTL_OID_GAUGE(BB("pcb_ids_cur"), struct bb_layer, n_buckets, "IDs", "Log IDs now"),
    COUNTER("stats.events", events, "events", "Recorded"),
    COUNTER("stats.lost", lost, "events", "Not recorded, or recycled from a full ring"),
    COUNTER("stats.dumps", dumps, "dumps", "Handed to the writer"),
    COUNTER("stats.dumped", dumped, "events", "Of these dumps"),
    COUNTER("stats.dumps_unwanted", dumps_unwanted, "dumps",
            "Freed, since there was neither a directory nor a follower"),
    COUNTER("stats.dumps_refused", dumps_refused, "dumps",
            "Not taken: the writer's queue was full, or no memory"),
    COUNTER("stats.written", written, "events", "Written"),
    COUNTER("stats.written_bytes", bytes, "bytes", "Written"),
    COUNTER("stats.write_errors", write_errors, "events", "Lost by errors of the file system"),
    COUNTER("stats.files_removed", files_removed, "files", "Removed, by the limit files"),
    COUNTER("stats.followers_behind", followers_behind, "events",
            "Not given to a follower that did not read fast enough"),
    COUNTER("stats.expired", expired, "events", "Of closed connections with a log ID, not asked for in time"),
    SYSCTL_OID_GAUGE(BB("followers"), struct bb_layer, followers, "streams", "leatctl blackbox follow, now"),
    {.name = BB("log_version"),
     .desc = "Version of the record format",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD,
     .get = get_version},
};

int bb_create(const struct bb_env *env, struct sysctl_tree *tree, struct bb_layer **out)
{
    struct bb_layer *l = mem_alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    int err = sysctl_register(tree, oids, RTE_DIM(oids), l);
    if (err) {
        mem_free(l);
        return err;
    }
    l->env = *env;
    l->sysctl = tree;
    snprintf(l->program, sizeof(l->program), "%.40s, process %d", program_invocation_short_name, getpid());
    TAILQ_INIT(&l->logs);
    TAILQ_INIT(&l->expiry);
    LIST_INIT(&l->buckets);
    pool_init(&l->logs_pool, "black boxes", sizeof(struct bb_log), UINT32_MAX, 64);
    pool_init(&l->chunks, "black box chunks", sizeof(struct bb_chunk), UINT32_MAX, 64);
    pool_init(&l->payloads, "black box payloads", BB_PAYLOAD_MAX, UINT32_MAX, 64);
    pool_init(&l->nodes_pool, "log ID members", sizeof(struct bb_node), UINT32_MAX, 16);
    pool_init(&l->dumps, "black box dumps", sizeof(struct bb_dump), UINT32_MAX, 64);
    *out = l;
    return 0;
}

void bb_destroy(struct bb_layer *l)
{
    bb_expire(l, UINT64_MAX);
    if (l->writer)
        l->ops->destroy(l->writer);
    sysctl_unregister(l->sysctl, l);
    pool_fini(&l->logs_pool);
    pool_fini(&l->chunks);
    pool_fini(&l->payloads);
    pool_fini(&l->nodes_pool);
    pool_fini(&l->dumps);
    mem_free(l);
}

struct bb_log *bb_open(struct bb_layer *l, void *owner)
{
    struct bb_log *log = pool_get(&l->logs_pool);
    if (!log)
        return NULL;
    memset(log, 0, sizeof(*log));
    STAILQ_INIT(&log->chunks);
    log->limit = l->params.session_limit;
    log->incarnation = ++l->incarnations;
    log->owner = owner;
    TAILQ_INSERT_TAIL(&l->logs, log, link);
    return log;
}

struct bb_log *bb_open_auto(struct bb_layer *l, void *owner)
{
    if (!l->params.auto_all || !bb_chosen(l))
        return NULL;
    struct bb_log *log = bb_open(l, owner);
    if (log) {
        log->mode = (int8_t)l->params.auto_mode;
        log->auto_selected = true;
    }
    return log;
}

/* With what reason a ring dumps itself. NULL: it does not. */
static const char *own_reason(int8_t mode)
{
    switch (mode) {
    case TCP_LOG_STATE_HEAD_AUTO:
        return "auto-dumped from head";
    case TCP_LOG_STATE_CONTINUAL:
        return "auto-dumped from continual";
    case TCP_LOG_STATE_TAIL_AUTO:
        return "auto-dumped from tail";
    case TCP_LOG_VIA_BBPOINTS:
        return "auto-dumped from bbpoints";
    default:
        return NULL;
    }
}

void bb_close(struct bb_layer *l, struct bb_log *log, uint64_t now)
{
    const char *reason = own_reason(log->mode);
    bool refused = reason && bb_dump(l, log, reason, true) < 0;
    if (!bb_leave_records(l, log, now) && refused)
        l->stats.lost += log->count;
    bb_free_chunks(l, &log->chunks, log->count);
    TAILQ_REMOVE(&l->logs, log, link);
    pool_put(&l->logs_pool, log);
}
