// SPDX-License-Identifier: BSD-3-Clause
// TCP of one engine: made, registered with IP, and taken down.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <netinet/in.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"
#include "tcp/fastopen.h"
#include "tcp/functions.h"
#include "tcp/hostcache.h"
#include "tcp/auth/auth.h"
#include "tcp/log.h"
#include "tcp/reassembly.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"
#include "tcp/stacks/rack.h"
#include "tcp/tcp.h"

static const struct ip_proto tcp_proto = {.input = tcp_input, .error = tcp_icmp_error};

static void layer_free(struct tcp_layer *t)
{
    tcp_rack_destroy(t);
    fastopen_destroy(t);
    syncache_destroy(t);
    sysctl_unregister(t->e->sysctl, t);
    tcp_hpts_unregister(t);
    hostcache_destroy(t);
    tcp_pmtu_destroy(t);
    if (t->stats)
        sysctl_unregister(t->e->sysctl, t->stats);
    mem_free(t->stats);
    tcp_log_destroy(t);
    tcp_auth_destroy(t);
    t->e->tcp = NULL;
    mem_free(t);
}

static int layer_tables(struct tcp_layer *t)
{
    int rc = tcp_params_register(t);
    if (rc == 0)
        rc = tcp_functions_register(t);
    if (rc == 0)
        rc = tcp_hpts_register(t);
    if (rc < 0)
        return rc;
    t->stats = mem_alloc(sizeof(*t->stats));
    if (!t->stats)
        return -ENOMEM;
    rc = tcp_stats_register(t);
    if (rc == 0)
        rc = tcp_loss_create(t);
    if (rc == 0)
        rc = tcp_rack_create(t);
    if (rc == 0)
        rc = hostcache_create(t);
    if (rc == 0)
        rc = tcp_ecn_create(t);
    if (rc == 0)
        rc = tcp_log_create(t);
    if (rc == 0)
        rc = syncache_create(t);
    if (rc == 0)
        rc = tcp_pmtu_create(t);
    if (rc == 0)
        rc = tcp_auth_create(t);
    if (rc == 0)
        rc = fastopen_create(t);
    return rc < 0 ? rc : demux_create(t);
}

int tcp_create(struct engine *e)
{
    struct tcp_layer *t = mem_alloc(sizeof(*t));
    if (!t)
        return -ENOMEM;
    t->e = e;
    e->tcp = t;
    TAILQ_INIT(&t->all);
    TAILQ_INIT(&t->time_wait);
    int rc = layer_tables(t);
    if (rc < 0) {
        layer_free(t);
        return rc;
    }
    pool_init(&t->tcbs, "tcb", sizeof(struct tcb), t->params.maxtcb, 64);
    pool_init(&t->reass_segs, "reass", sizeof(struct reass_run), t->params.reass_maxsegments, 64);
    pool_init(&t->send.extents, "extent", sizeof(struct extent), UINT32_MAX, 256);
    t->send.pkts = e->pkt_pool;
    ip_register(e, IPPROTO_TCP, &tcp_proto);
    return 0;
}

void tcp_quiesce(struct engine *e)
{
    struct tcb *tp;
    ip_register(e, IPPROTO_TCP, NULL);
    while ((tp = TAILQ_FIRST(&e->tcp->all)) != NULL)
        tcp_free(tp);
    syncache_flush(e->tcp);
}

void tcp_destroy(struct engine *e)
{
    struct tcp_layer *t = e->tcp;
    tcp_quiesce(e);
    demux_destroy(t);
    pool_fini(&t->tcbs);
    pool_fini(&t->reass_segs);
    pool_fini(&t->send.extents);
    tcp_loss_destroy(t);
    tcp_rack_destroy(t);
    tcp_ecn_destroy(t);
    layer_free(t);
}

bool tcp_walk(struct tcp_layer *t, bool first, unsigned most, int (*fn)(struct tcb *tp, void *arg), void *arg)
{
    if (first) {
        t->walk = TAILQ_FIRST(&t->all);
        t->walk_left =
            t->tcbs.used; /* those that are made meanwhile stand at the end: it ends all the same */
    }
    while (t->walk && t->walk_left > 0 && most-- > 0) {
        struct tcb *tp = t->walk;
        t->walk = TAILQ_NEXT(tp, all_link);
        t->walk_left--;
        if (fn(tp, arg) != 0)
            break;
    }
    if (t->walk_left == 0)
        t->walk = NULL;
    return t->walk == NULL;
}
