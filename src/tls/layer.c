// SPDX-License-Identifier: BSD-3-Clause
// TLS of one engine: made, set up by sysctl, taken down.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/cpus.h"
#include "sysctl/sysctl.h"
#include "tls/rx.h"

static int worker_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tls_layer *l = base;
    if (strcmp(text, "thread") != 0 && strcmp(text, "sync") != 0) {
        snprintf(err, errsize, "%s: \"%s\" is neither thread nor sync", oid->name, text);
        return -EINVAL;
    }
    snprintf(l->params.worker, sizeof(l->params.worker), "%s", text);
    return 0;
}

static int cpus_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tls_layer *l = base;
    cpu_set_t set;
    if (strlen(text) >= sizeof(l->params.cpus) || (*text && cpus_parse(text, &set) != 0)) {
        snprintf(err, errsize, "%s: \"%s\" is not a list of CPUs such as 1,4-7", oid->name, text);
        return -EINVAL;
    }
    snprintf(l->params.cpus, sizeof(l->params.cpus), "%s", text);
    return 0;
}

/* Every name must be one that exists, also if it is not built in here. */
static int backends_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tls_layer *l = base;
    for (const char *at = text; *at; at += strspn(at, " ")) {
        size_t len = strcspn(at, " ");
        if (!tls_backend_known(at, len) || strlen(text) >= sizeof(l->params.backends)) {
            snprintf(err, errsize, "%s: \"%.*s\" is none of %s", oid->name, (int)len, at, tls_backend_names);
            return -EINVAL;
        }
        at += len;
    }
    snprintf(l->params.backends, sizeof(l->params.backends), "%s", text);
    return 0;
}

static const struct sysctl_oid oids[] = {
    SYSCTL_OID_BOOL("kern.ipc.tls.enable", struct tls_layer, params.enable, SYSCTL_RW, 0,
                    "TLS records may be framed by the stack"),
    SYSCTL_OID_BOOL("kern.ipc.tls.rx_enable", struct tls_layer, params.rx_enable, SYSCTL_RW, 1,
                    "and opened, when enable is set"),
    SYSCTL_OID_BOOL("kern.ipc.tls.cbc_enable", struct tls_layer, params.cbc_enable, SYSCTL_RW, 1,
                    "AES-CBC is allowed"),
    SYSCTL_OID_BOOL("kern.ipc.tls.tls10_split", struct tls_layer, params.tls10_split, SYSCTL_RW, 1,
                    "TLS 1.0: a write's first byte has a record of its own (against BEAST)"),
    SYSCTL_OID_UINT("kern.ipc.tls.maxlen", struct tls_layer, params.maxlen, SYSCTL_RW, TLS_PAYLOAD_MAX, 64,
                    TLS_PAYLOAD_MAX, "bytes", "payload of a record at most, for new sessions"),
    SYSCTL_OID_BOOL("kern.ipc.tls.adaptive", struct tls_layer, params.adaptive, SYSCTL_RW, 0,
                    "records of one segment for the first 128 KiB after a pause, so that the first byte is "
                    "readable early"),
    SYSCTL_OID_INT("kern.ipc.tls.threads", struct tls_layer, params.threads, SYSCTL_RW, -1, -1, 64, "threads",
                   "workers of an engine, started by its first session; -1: one for each CPU to spare, up to "
                   "4; 0: none"),
    SYSCTL_OID_UINT(
        "kern.ipc.tls.inline_max", struct tls_layer, params.inline_max, SYSCTL_RW, 2048, 0, TLS_PAYLOAD_MAX,
        "bytes",
        "records up to this payload are sealed by the engine itself, if no other stands before them"),
    SYSCTL_OID_UINT("kern.ipc.tls.session_bytes", struct tls_layer, params.session_bytes, SYSCTL_RW, 262144,
                    0, 1 << 30, "bytes", "payload that one connection may have at the workers"),
    SYSCTL_OID_UINT("kern.ipc.tls.engine_bytes", struct tls_layer, params.engine_bytes, SYSCTL_RW, 8 << 20, 0,
                    1 << 30, "bytes", "payload that all connections may have at the workers"),
    {.name = "kern.ipc.tls.backends",
     .desc = "ciphers in order of preference, for new sessions; those not built in are passed over",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tls_layer, params.backends),
     .size = sizeof(((struct tls_layer *)0)->params.backends),
     .def_text = tls_backend_names,
     .set = backends_set},
    {.name = "kern.ipc.tls.cpus",
     .desc = "CPUs of the workers, such as 1,4-7: each is bound to one in turn; empty: those that no engine "
             "is bound "
             "to, and not bound. Read when the first session starts them",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tls_layer, params.cpus),
     .size = sizeof(((struct tls_layer *)0)->params.cpus),
     .def_text = "",
     .set = cpus_set},
    SYSCTL_OID_UINT("kern.ipc.tls.queue", struct tls_layer, params.queue, SYSCTL_RW, 1024, 1, 65536,
                    "records", "records that may wait at one worker; read when the first session starts it"),
    {.name = "leat.tls.worker",
     .desc = "who seals: thread, or sync (in the engine's time, for the simulator)",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tls_layer, params.worker),
     .size = sizeof(((struct tls_layer *)0)->params.worker),
     .def_text = "thread",
     .set = worker_set},
    SYSCTL_OID_UINT("leat.tls.sync_delay", struct tls_layer, params.sync_delay_us, SYSCTL_RW, 0, 0, 60000000,
                    "us", "mean time a record takes with the worker sync"),
    SYSCTL_OID_UINT("leat.tls.sync_fail", struct tls_layer, params.sync_fail, SYSCTL_RW, 0, 0, UINT32_MAX,
                    "records", "one record in so many fails with the worker sync; 0: none"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.enable_calls", struct tls_layer, stats.enable_calls, "calls",
                       "attempts to enable TLS"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.offload_total", struct tls_layer, stats.offload_total, "sessions",
                       "of these, successful"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.failovers", struct tls_layer, stats.failovers, "backends",
                       "backends that could not take a session, or gave one up, and another was asked"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.failed_crypto", struct tls_layer, stats.failed_crypto, "records",
                       "records that could not be sealed or opened"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.corrupted_records", struct tls_layer, stats.corrupted_records,
                       "records", "received headers that are none"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.switch_failed", struct tls_layer, stats.switch_failed, "calls",
                       "requests for a mode that could not be met"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.rekeys_tx", struct tls_layer, stats.rekeys_tx, "sessions",
                       "new keys for sending"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.rekeys_rx", struct tls_layer, stats.rekeys_rx, "sessions",
                       "new keys for receiving"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.tx_records", struct tls_layer, stats.tx_records, "records",
                       "records framed"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.tx_bytes", struct tls_layer, stats.tx_bytes, "bytes",
                       "their payload"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.tx_inline", struct tls_layer, stats.tx_inline, "records",
                       "records sealed by the engine itself"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.rx_inline", struct tls_layer, stats.rx_inline, "records",
                       "records opened by the engine itself"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.rx_records", struct tls_layer, stats.rx_records, "records",
                       "records opened"),
    SYSCTL_OID_COUNTER("kern.ipc.tls.stats.rx_bytes", struct tls_layer, stats.rx_bytes, "bytes",
                       "their payload"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.stats.active", struct tls_layer, stats.active, "sessions", "sessions now"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.stats.sw_tx_inqueue", struct tls_layer, stats.tx_inqueue, "records",
                     "records at the workers now, to be sealed"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.stats.sw_rx_inqueue", struct tls_layer, stats.rx_inqueue, "records",
                     "records at the workers now, to be opened"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.stats.threads", struct tls_layer, stats.threads, "threads",
                     "worker threads"),
    {.name = "kern.ipc.tls.possible",
     .desc = "What is possible here: modes, backends, workers; and what was asked for and refused",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_SKIP,
     .get = tls_report_possible},
    SYSCTL_OID_GAUGE("kern.ipc.tls.sw.gcm", struct tls_layer, stats.suites[TLS_SUITE_GCM], "sessions",
                     "AES-GCM sessions now"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.sw.chacha20", struct tls_layer, stats.suites[TLS_SUITE_CHACHA20],
                     "sessions", "ChaCha20-Poly1305 sessions now"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.sw.ccm", struct tls_layer, stats.suites[TLS_SUITE_CCM], "sessions",
                     "AES-CCM sessions now"),
    SYSCTL_OID_GAUGE("kern.ipc.tls.sw.cbc", struct tls_layer, stats.suites[TLS_SUITE_CBC], "sessions",
                     "AES-CBC sessions now"),
};

static unsigned completions(struct engine *e, void *arg)
{
    struct tls_layer *l = arg;
    if (l->under_way == 0)
        return 0;
    unsigned n = l->ops->reap(l->workers);
    if (!TAILQ_EMPTY(&l->starved))
        tls_feed(l);
    l->ops->flush(l->workers);
    return n;
}

/* What this turn has handed to the workers. A record may also have come back in this turn (the worker sync, by the wheel), and been the one
 * that others waited for. */
static unsigned flush(struct engine *e, void *arg)
{
    struct tls_layer *l = arg;
    if (l->n_starved > 0)
        tls_feed(l);
    if (l->under_way > 0)
        l->ops->flush(l->workers);
    return 0;
}

int tls_create(struct engine *e)
{
    struct tls_layer *l = mem_alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->e = e;
    e->tls = l;
    TAILQ_INIT(&l->starved);
    l->keys = tls_keystore_new();
    int err = l->keys ? sysctl_register(e->sysctl, oids, RTE_DIM(oids), l) : -ENOMEM;
    if (err) {
        tls_keystore_free(l->keys);
        e->tls = NULL;
        mem_free(l);
        return err;
    }
    e->env.entropy(e->env.arg, &l->iv_secret, sizeof(l->iv_secret));
    tls_buffers_init(l);
    pool_init(&l->records, "TLS records", sizeof(struct tls_record), UINT32_MAX, 64);
    pool_init(&l->txs, "TLS senders", sizeof(struct tls_tx), UINT32_MAX, 64);
    pool_init(&l->rx_records, "TLS records received", sizeof(struct tls_rx_record), UINT32_MAX, 64);
    pool_init(&l->rxs, "TLS receivers", sizeof(struct tls_rx), UINT32_MAX, 64);
    engine_station(e, PHASE_COMPLETIONS, completions, l);
    engine_station(e, PHASE_TRANSMIT, flush, l);
    return 0;
}

void tls_quiesce(struct engine *e)
{
    struct tls_layer *l = e->tls;
    if (!l->workers)
        return;
    l->ops->destroy(l->workers);
    l->workers = NULL;
    tls_feed(l); /* by the engine itself */
}

void tls_destroy(struct engine *e)
{
    struct tls_layer *l = e->tls;
    sysctl_unregister(e->sysctl, l);
    pool_fini(&l->records);
    pool_fini(&l->txs);
    pool_fini(&l->rx_records);
    pool_fini(&l->rxs);
    tls_buffers_fini(l);
    tls_keystore_free(l->keys);
    e->tls = NULL;
    mem_free(l);
}

/* ---- sessions ---- */

/* By the first session. Without workers the engine seals by itself. */
static void start_workers(struct tls_layer *l)
{
    uint32_t n = tls_workers_wanted(l);
    l->workers_tried = true;
    l->ops = strcmp(l->params.worker, "sync") == 0 ? &tls_worker_sync : &tls_worker_thread;
    if (n > 0)
        l->workers = l->ops->create(l, n);
}

static int new_session(struct tls_layer *l, const struct tls_enable *en, bool receive,
                       struct tls_session **out)
{
    const struct tls_params *p = &l->params;
    if (!p->enable || (receive && !p->rx_enable))
        return -EOPNOTSUPP;
    l->stats.enable_calls++;
    if (en->cipher_algorithm == CRYPTO_AES_CBC && !p->cbc_enable)
        return -EOPNOTSUPP;
    return tls_session_new(l->keys, en, receive, p->backends, &l->iv_secret, out);
}

int tls_open_session(struct tls_layer *l, const struct tls_enable *en, bool receive, struct tls_session **out)
{
    int err = new_session(l, en, receive, out);
    if (err) {
        tls_refused(l, en, receive, err);
        return err;
    }
    if (!l->workers_tried)
        start_workers(l);
    l->stats.offload_total++;
    l->stats.failovers += (*out)->refusals;
    (*out)->refusals_counted = (*out)->refusals;
    l->stats.active++;
    l->stats.suites[(*out)->suite]++;
    return 0;
}

void tls_close_session(struct tls_layer *l, struct tls_session *s)
{
    if (s->refs == 1) {
        l->stats.failovers += (uint32_t)(s->refusals - s->refusals_counted);
        l->stats.active--;
        l->stats.suites[s->suite]--;
    }
    tls_session_put(l->keys, s);
}

bool tls_same_kind(const struct tls_session *a, const struct tls_session *b)
{
    return a->vminor == TLS_MINOR_VER_THREE && b->vminor == TLS_MINOR_VER_THREE && a->suite == b->suite &&
           a->key_len == b->key_len;
}
