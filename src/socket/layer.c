// SPDX-License-Identifier: BSD-3-Clause
// The socket floor of one engine.
#include <stdlib.h>
#include "base/alloc.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"
#include "tls/tls.h"

static int limit_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct so_layer *l = base;
    l->params.maxsockets = l->sockets.limit = (uint32_t)strtoul(text, NULL, 0);
    return 0;
}

static int watches_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct so_layer *l = base;
    l->params.maxwatches = l->items.limit = l->knotes.limit = (uint32_t)strtoul(text, NULL, 0);
    return 0;
}

static const struct sysctl_oid oids[] = {
    {.name = "kern.ipc.maxsockets",
     .desc = "Sockets of an engine, and size of its descriptor table",
     .unit = "sockets",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct so_layer, params.maxsockets),
     .min = 16,
     .max = 1 << 24,
     .def = 1 << 20,
     .set = limit_set},
    {.name = "leat.maxwatches",
     .desc = "What epolls watch in an engine at most, and events of its kqueues",
     .unit = "watches",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct so_layer, params.maxwatches),
     .min = 16,
     .max = 1 << 28,
     .def = 1 << 21,
     .set = watches_set},
    SYSCTL_OID_COUNTER("leat.nowatches.epoll", struct so_layer, items.failures, "calls",
                       "epoll_ctl calls refused by leat.maxwatches or for lack of memory"),
    SYSCTL_OID_COUNTER("leat.nowatches.kqueue", struct so_layer, knotes.failures, "calls",
                       "Changes of kqueues refused by leat.maxwatches or for lack of memory"),
    SYSCTL_OID_COUNTER("kern.ipc.nosockets", struct so_layer, sockets.failures, "calls",
                       "Calls refused by kern.ipc.maxsockets or for lack of memory"),
    SYSCTL_OID_UINT("leat.fd_base", struct so_layer, params.fd_base, SYSCTL_TUN, 1024, 0, 1 << 30, "",
                    "Lowest descriptor number"),
    SYSCTL_OID_GAUGE("kern.ipc.numopensockets", struct so_layer, sockets.used, "sockets", "Sockets open now"),
    SYSCTL_OID_COUNTER("kern.ipc.sockets_made", struct so_layer, stats.sockets_made, "sockets",
                       "Sockets made"),
    SYSCTL_OID_COUNTER("kern.ipc.nofds", struct so_layer, stats.enfile, "calls",
                       "Calls that found no free descriptor"),
};

static unsigned application(struct engine *e, void *unused)
{
    struct so_layer *l = e->so;
    if (l->loop)
        l->loop(l->loop_arg);
    return 0;
}

static void pools(struct so_layer *l)
{
    uint32_t n = l->params.maxsockets ? l->params.maxsockets : 1 << 20;
    pool_init(&l->sockets, "sockets", sizeof(struct socket), n, 64);
    epoll_pools(l);
    kqueue_pools(l);
    zerocopy_pools(l);
}

int so_create(struct engine *e)
{
    struct so_layer *l = mem_alloc(sizeof(*l));
    if (!l)
        return -ENOMEM;
    l->e = e;
    e->so = l;
    pools(l);
    int err = sysctl_register(e->sysctl, oids, RTE_DIM(oids), l);
    if (!err)
        err = sendfile_register(l);
    if (!err)
        err = tls_list_register(l);
    if (err) {
        sysctl_unregister(e->sysctl, l);
        e->so = NULL;
        mem_free(l);
        return err;
    }
    l->sockets.limit = l->params.maxsockets;
    l->items.limit = l->knotes.limit = l->params.maxwatches;
    engine_station(e, PHASE_APPLICATION, application, NULL);
    return 0;
}

static void end_connection(struct socket *so)
{
    so->linger_s = -1;
    if (so->tp && !so->listening && so->tp->state != TCPS_CLOSED)
        tcp_drop(so->tp, ECONNABORTED); /* silently: the wire may be gone already */
}

void so_destroy(struct engine *e)
{
    struct so_layer *l = e->so;
    for (uint32_t i = 0; i < l->n_fds; i++) {
        if (!l->fds[i].file)
            continue;
        if (l->fds[i].file->ops == &socket_ops)
            end_connection((struct socket *)l->fds[i].file);
        fd_close(l, (int)(l->params.fd_base + i));
    }
    tcp_quiesce(e);
    tls_quiesce(e);
    sendfile_destroy(l);
    pool_fini(&l->sockets);
    pool_fini(&l->epolls);
    pool_fini(&l->items);
    pool_fini(&l->kqueues);
    pool_fini(&l->knotes);
    pool_fini(&l->completions);
    sysctl_unregister(e->sysctl, l);
    mem_free(l->fds);
    mem_free(l);
    e->so = NULL;
}
