// SPDX-License-Identifier: BSD-3-Clause
// leat_init() to leat_fini(): puts DPDK, ports and hosts together and takes them apart.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <rte_cycles.h>
#include <rte_errno.h>
#include <rte_mempool.h>
#include <rte_ring.h>
#include <leat/leat.h>
#include "base/alloc.h"
#include "process/host.h"
#include "process/priv.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"

#define CONTROL_RING  64
#define POOL_CACHE    256
#define MBUFS_DEFAULT 32768
#define MBUFS_MAX     65536 /* more only when asked for by number */
#define MBUFS_SHARE   60    /* per cent of the memory that packets may have by default */
#define PAGE          UINT64_C(4096)

static struct process process;

int proc_error(struct process *p, int rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->error, sizeof(p->error), fmt, ap);
    va_end(ap);
    return rc;
}

static void entropy(void *arg, void *buf, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = getrandom((char *)buf + got, len - got, 0);

        got += n > 0 ? (size_t)n : 0;
    }
}

/* Bytes that one packet buffer takes. Without hugepages a mempool lets no object cross the end of a 4 KiB
 * page. */
static uint64_t mbuf_cost(const struct process *p)
{
    uint64_t size = sizeof(struct rte_mempool_objhdr) + sizeof(struct rte_mbuf) + sizeof(struct pkt_info) +
                    RTE_PKTMBUF_HEADROOM + p->config.mbuf_size + 2 * RTE_CACHE_LINE_SIZE;

    if (p->hugepages)
        return size;
    return size < PAGE ? PAGE / (PAGE / size) : RTE_ALIGN_CEIL(size, PAGE);
}

static uint32_t mbufs_of(const struct process *p)
{
    uint64_t memory = p->config.memory ? p->config.memory : PROC_MEMORY_DEFAULT;
    uint64_t fit = (memory << 20) * MBUFS_SHARE / 100 / mbuf_cost(p) / p->n_engines;

    if (p->config.mbufs)
        return p->config.mbufs;
    if (!p->config.memory && (p->hugepages || !p->eal_ours))
        return MBUFS_DEFAULT;
    return (uint32_t)RTE_MIN(fit, (uint64_t)MBUFS_MAX);
}

static int pool_make(struct process *p, unsigned i)
{
    struct proc_engine *pe = &p->engines[i];
    uint32_t n = mbufs_of(p);
    char name[32];

    snprintf(name, sizeof(name), "leat_pkts_%u", i);
    pe->pool = rte_pktmbuf_pool_create(name, n, POOL_CACHE, sizeof(struct pkt_info),
                                       (uint16_t)(p->config.mbuf_size + RTE_PKTMBUF_HEADROOM),
                                       p->hugepages ? pe->socket_id : SOCKET_ID_ANY);
    if (pe->pool)
        return 0;
    return proc_error(p, -rte_errno,
                      "engine %u: no memory for %u packet buffers: raise [leat] memory or lower mbufs (%s)",
                      i, n, rte_strerror(rte_errno));
}

static int host_make(struct process *p, unsigned i)
{
    struct proc_engine *pe = &p->engines[i];
    struct engine_config c = {.id = i,
                              .count = p->n_engines,
                              .pkt_pool = pe->pool,
                              .socket_id = pe->socket_id,
                              .common = &p->common};
    struct timespec ts, utc;
    char name[32];

    clock_gettime(CLOCK_REALTIME, &utc);
    clock_gettime(CLOCK_MONOTONIC, &ts);
    clock_start(&pe->clock, rte_rdtsc(), ts.tv_sec * NS_PER_SEC + ts.tv_nsec, rte_get_tsc_hz());
    c.env = (struct engine_env){.clock = clock_read, .entropy = entropy, .arg = &pe->clock};
    c.env.utc_offset_ns =
        (int64_t)((utc.tv_sec - ts.tv_sec) * (int64_t)NS_PER_SEC + utc.tv_nsec - ts.tv_nsec);
    pe->e = host_create(&c);
    if (!pe->e)
        return proc_error(p, -errno, "engine %u: %s", i, strerror(errno));
    engine_station(pe->e, PHASE_CONTROL, proc_stop_station, p);
    snprintf(name, sizeof(name), "leat_control_%u", i);
    pe->e->control = rte_ring_create(name, CONTROL_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
    if (!pe->e->control)
        return proc_error(p, -rte_errno, "engine %u: no memory for its control ring", i);
    return 0;
}

static int hosts_make(struct process *p)
{
    int rc = 0;

    entropy(NULL, &p->common, sizeof(p->common));
    for (unsigned i = 0; !rc && i < p->n_engines; i++)
        rc = pool_make(p, i);
    for (unsigned i = 0; !rc && i < p->n_engines; i++)
        rc = host_make(p, i);
    return rc;
}

/* The file's, then --set's: each engine has its own tree. */
static int settings_apply(struct process *p)
{
    for (unsigned i = 0; i < p->n_engines; i++) {
        struct sysctl_tree *tree = p->engines[i].e->sysctl;

        for (unsigned k = 0; k < p->config.n_settings; k++) {
            const struct config_setting *s = &p->config.settings[k];
            int rc = sysctl_set_text(tree, s->name, s->value, p->error, sizeof(p->error));

            if (rc)
                return rc;
        }
    }
    return 0;
}

static void seal(struct process *p)
{
    for (unsigned i = 0; i < p->n_engines; i++)
        sysctl_tree_seal(p->engines[i].e->sysctl);
}

/* Ports first give back the packets they hold, for those refer to memory of the hosts. */
static void take_down(struct process *p)
{
    proc_ports_stop(p);
    for (unsigned i = 0; i < p->n_engines; i++) {
        struct engine *e = p->engines[i].e;
        struct rte_ring *control = e ? e->control : NULL;

        if (!e)
            continue;
        so_set_current(e);
        host_destroy(e);
        rte_ring_free(control);
    }
    so_set_current(NULL);
    proc_ports_close(p);
    for (unsigned i = 0; i < p->n_engines; i++)
        rte_mempool_free(p->engines[i].pool);
    config_free(&p->config);
    proc_eal_end(p);
}

static int bring_up(struct process *p, const char *program, char **eal, int n_eal)
{
    int rc = proc_eal_start(p, program, eal, n_eal);

    if (!rc)
        rc = hosts_make(p);
    if (!rc)
        rc = proc_ports_open(p);
    if (!rc)
        rc = settings_apply(p);
    if (!rc)
        rc = proc_ports_configure(p);
    return rc;
}

int leat_init(int argc, char **argv)
{
    struct process *p = &process;
    char **eal;
    int n_eal, used, rc;

    if (p->ready) {
        errno = EALREADY;
        return -1;
    }
    config_init(&p->config);
    used = rc = proc_arguments(p, argc, argv, &eal, &n_eal);
    if (rc >= 0)
        rc = bring_up(p, argc > 0 ? argv[0] : "leat", eal, n_eal);
    if (rc < 0) {
        fprintf(stderr, "leat: %s\n", p->error);
        memcpy(proc_reason(), p->error, PROC_ERROR_LEN);
        take_down(p);
        p->n_engines = 0;
        errno = -rc;
        return -1;
    }
    seal(p);
    proc_crash_watch(p);
    p->ready = true;
    so_set_current(p->engines[0].e);
    if (argc > 0) /* only now: it may be the place of the EAL's last argument */
        argv[used] = argv[0];
    return used;
}

int leat_on_start(int (*start)(void *arg), void *arg)
{
    process.start = start;
    process.start_arg = arg;
    return 0;
}

int leat_run(int (*loop)(void *arg), void *arg)
{
    struct process *p = &process;
    int rc;

    if (!p->ready || so_current() != p->engines[0].e) {
        errno = ENXIO;
        return -1;
    }
    for (unsigned i = 0; i < p->n_engines; i++) {
        p->engines[i].e->so->loop = loop;
        p->engines[i].e->so->loop_arg = arg;
        p->engines[i].e->stopping = false;
    }
    rc = proc_run(p);
    atomic_store(&p->stop, false);
    if (rc == 0 && atomic_exchange(&p->failed, false))
        rc = -ECANCELED;
    if (rc) {
        errno = -rc;
        return -1;
    }
    return 0;
}

void leat_stop(void)
{
    atomic_store_explicit(&process.stop, true, memory_order_relaxed);
}

void leat_fini(void)
{
    struct process *p = &process;

    if (!p->ready)
        return;
    take_down(p);
    memset(p, 0, sizeof(*p));
}

int leat_engine(void)
{
    struct engine *e = so_current();

    if (!e) {
        errno = ENXIO;
        return -1;
    }
    return (int)e->id;
}

int leat_engines(void)
{
    return (int)process.n_engines;
}

uint64_t leat_now(void)
{
    struct engine *e = so_current();

    return e ? e->now : 0;
}
