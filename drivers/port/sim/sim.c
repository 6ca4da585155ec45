// SPDX-License-Identifier: BSD-3-Clause
// The world: hosts, links and the order of events.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <rte_eal.h>
#include <rte_mempool.h>
#include "ip/ip.h"
#include "link/link.h"
#include "port/sim/priv.h"
#include "process/host.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"

#define TURNS_AT_ONCE 10000 /* a host that has not come to rest after so many turns at one time never will */
#define SIM_EPOCH_NS                                                                                         \
    (INT64_C(1700000000) * (int64_t)NS_PER_SEC) /* when virtual time began, for what is recorded */

/* ---- the process ---- */

static struct rte_mempool *process_pool;

int sim_eal_init(unsigned megabytes)
{
    char mem[16];
    char *argv[] = {"sim", "--no-huge", "--no-shconf",       "--no-pci", "--no-telemetry", "-l", "0",
                    "-m",  mem,         "--log-level=error", NULL};
    if (process_pool)
        return 0;
    snprintf(mem, sizeof(mem), "%u", megabytes);
    if (rte_eal_init(RTE_DIM(argv) - 1, argv) < 0)
        return -1;
    /* Without hugepages a buffer does not cross a page of 4 KiB: one a page. Half of the memory is left to the heap. */
    unsigned n = megabytes * 128;
    process_pool =
        rte_pktmbuf_pool_create("sim", n, 256, sizeof(struct pkt_info), RTE_MBUF_DEFAULT_BUF_SIZE, 0);
    return process_pool ? 0 : -1;
}

/* ---- heap of what is on its way, earliest first; equal times in the order they were sent ---- */

static bool earlier(const struct sim_flight *a, const struct sim_flight *b)
{
    return a->when != b->when ? a->when < b->when : a->serial < b->serial;
}

void sim_flight_add(struct sim *s, const struct sim_flight *f)
{
    if (s->n_heap == s->room_heap) {
        s->room_heap = s->room_heap ? 2 * s->room_heap : 256;
        s->heap = realloc(s->heap, s->room_heap * sizeof(*s->heap));
        if (!s->heap)
            abort(); /* the simulator itself is out of memory: no test can go on */
    }
    uint32_t i = s->n_heap++;
    struct sim_flight item = *f;
    item.serial = s->serial++;
    while (i > 0 && earlier(&item, &s->heap[(i - 1) / 2])) {
        s->heap[i] = s->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    s->heap[i] = item;
}

static struct sim_flight heap_take(struct sim *s)
{
    struct sim_flight first = s->heap[0], last = s->heap[--s->n_heap];
    uint32_t i = 0;
    for (;;) {
        uint32_t child = 2 * i + 1;
        if (child >= s->n_heap)
            break;
        if (child + 1 < s->n_heap && earlier(&s->heap[child + 1], &s->heap[child]))
            child++;
        if (!earlier(&s->heap[child], &last))
            break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    if (s->n_heap > 0)
        s->heap[i] = last;
    return first;
}

static void arrive(struct sim *s, const struct sim_flight *f)
{
    struct sim_end *from = f->from;
    if (f->departs) {
        from->queued_packets--;
        from->queued_bytes -= f->bytes;
    }
    rte_pktmbuf_free(f->held);
    if (f->m)
        sim_queue_put(&sim_other(from)->rx, f->m);
}

void sim_queue_put(struct sim_queue *q, struct rte_mbuf *m)
{
    if (q->n == q->room) {
        uint32_t room = q->room ? 2 * q->room : 64;
        struct rte_mbuf **pkts = malloc(room * sizeof(*pkts));
        if (!pkts)
            abort();
        for (uint32_t i = 0; i < q->n; i++)
            pkts[i] = q->pkts[(q->head + i) % q->room];
        free(q->pkts);
        *q = (struct sim_queue){pkts, 0, q->n, room};
    }
    q->pkts[(q->head + q->n++) % q->room] = m;
}

struct rte_mbuf *sim_queue_take(struct sim_queue *q)
{
    if (q->n == 0)
        return NULL;
    struct rte_mbuf *m = q->pkts[q->head];
    q->head = (q->head + 1) % q->room;
    q->n--;
    return m;
}

/* ---- hosts ---- */

static uint64_t node_clock(void *arg)
{
    return ((struct sim_node *)arg)->sim->now;
}

static void node_entropy(void *arg, void *buf, size_t len)
{
    struct sim_node *n = arg;
    for (size_t i = 0; i < len; i++)
        ((uint8_t *)buf)[i] = (uint8_t)rng_u64(&n->entropy);
}

static bool node_step(void *arg, struct engine *e, uint64_t until)
{
    struct sim_node *n = arg;
    return sim_step(n->sim, until);
}

static void simulated_settings(struct engine *e)
{
    static const char *const settings[][2] = {
        {"net.inet.ip.dad_count", "0"}, {"net.inet6.ip6.dad_count", "0"}, {"leat.filecache.reader", "sync"},
        {"leat.tls.worker", "sync"},    {"kern.ipc.tls.threads", "1"},    {"net.inet.tcp.bb.writer", "sync"},
    };
    char err[128];
    for (unsigned i = 0; i < RTE_DIM(settings); i++)
        sysctl_set_text(e->sysctl, settings[i][0], settings[i][1], err, sizeof(err));
}

struct sim_node *sim_host(struct sim *s, const char *name)
{
    struct sim_node *n = calloc(1, sizeof(*n)), *other;
    uint64_t index = 1;
    if (!n)
        return NULL;
    STAILQ_FOREACH (other, &s->nodes, list)
        index++;
    n->sim = s;
    snprintf(n->name, sizeof(n->name), "%s", name);
    rng_seed(&n->entropy, s->seed * 1000003 + index);
    struct engine_config config = {
        .count = 1,
        .env = {.clock = node_clock, .entropy = node_entropy, .step = node_step, .arg = n},
        .pkt_pool = s->pool,
    };
    config.env.utc_offset_ns = SIM_EPOCH_NS;
    n->e = host_create(&config);
    if (!n->e) {
        free(n);
        return NULL;
    }
    simulated_settings(n->e);
    STAILQ_INSERT_TAIL(&s->nodes, n, list);
    return n;
}

struct engine *sim_engine(struct sim_node *n)
{
    return n->e;
}

void sim_app(struct sim_node *n, int (*loop)(void *arg), void *arg)
{
    n->e->so->loop = loop;
    n->e->so->loop_arg = arg;
    n->kick = true;
}

void sim_enter(struct sim_node *n)
{
    so_set_current(n ? n->e : NULL);
    if (n)
        n->e->now = n->sim->now;
}

static bool node_has_packets(const struct sim_node *n)
{
    struct sim_link *l;
    STAILQ_FOREACH (l, &n->sim->links, list) {
        for (int i = 0; i < 2; i++)
            if (l->end[i].node == n && l->end[i].rx.n > 0)
                return true;
    }
    return false;
}

/* A call from outside of a turn may have sent something: it leaves in a turn. */
static bool node_has_output(const struct sim_node *n)
{
    const struct netif *nif;
    TAILQ_FOREACH (nif, &n->e->link->netifs, link)
        if (nif->n_tx > 0)
            return true;
    return false;
}

static bool node_wants_turn(const struct sim_node *n)
{
    return n->kick || node_has_output(n) || engine_next(n->e) <= n->sim->now || node_has_packets(n);
}

/* Turns until nothing is left to do at this time: an application may leave work for its next turn. */
static void node_run(struct sim_node *n)
{
    struct engine *before = so_current();
    so_set_current(n->e);
    for (unsigned i = 0; i < TURNS_AT_ONCE; i++) {
        n->kick = false;
        if (engine_turn(n->e) == 0 && !node_wants_turn(n))
            break;
    }
    so_set_current(before);
}

/* ---- links ---- */

static struct sim_link *link_new(struct sim *s, struct sim_node *a, struct sim_node *b,
                                 const struct sim_port_options *opt)
{
    struct sim_link *l = calloc(1, sizeof(*l)), *other;
    unsigned index = 0;
    if (!l)
        return NULL;
    STAILQ_FOREACH (other, &s->links, list)
        index++;
    l->sim = s;
    STAILQ_INSERT_TAIL(&s->links, l, list);
    sim_end_init(&l->end[0], l, a, opt, 2 * index);
    sim_end_init(&l->end[1], l, b, opt, 2 * index + 1);
    for (int i = 0; i < 2; i++) {
        struct sim_end *end = &l->end[i];
        if (!end->node)
            continue;
        char name[NETIF_NAMSIZ];
        snprintf(name, sizeof(name), "sim%u", end->node->n_ports++);
        end->netif = netif_attach(end->node->e, &end->port, 0, name);
        if (!end->netif)
            return NULL;
    }
    return l;
}

struct sim_link *sim_link(struct sim *s, struct sim_node *a, struct sim_node *b,
                          const struct sim_port_options *opt)
{
    return link_new(s, a, b, opt);
}

struct sim_link *sim_stub(struct sim *s, struct sim_node *a, const struct sim_port_options *opt)
{
    return link_new(s, a, NULL, opt);
}

static struct sim_end *end_of(const struct sim_link *l, const struct sim_node *n)
{
    return (struct sim_end *)(uintptr_t)(l->end[0].node == n ? &l->end[0] : &l->end[1]);
}

struct sim_wire *sim_wire(struct sim_link *l, struct sim_node *from)
{
    return &end_of(l, from)->wire;
}

const struct sim_wire_stats *sim_wire_stats(const struct sim_link *l, struct sim_node *from)
{
    return &end_of(l, from)->stats;
}

struct netif *sim_netif(struct sim_link *l, struct sim_node *n)
{
    return end_of(l, n)->netif;
}

int sim_addr(struct sim_link *l, struct sim_node *n, const char *text)
{
    char host[IP_ADDR_STRLEN];
    const char *slash = strchr(text, '/');
    struct ip_addr a;
    if (!slash || (size_t)(slash - text) >= sizeof(host))
        return -EINVAL;
    memcpy(host, text, (size_t)(slash - text));
    host[slash - text] = 0;
    int err = ip_addr_parse(host, &a);
    n->e->now = n->sim->now;
    return err ? err : ip_addr_add(sim_netif(l, n), &a, (uint8_t)atoi(slash + 1));
}

void sim_stub_send(struct sim_link *l, struct rte_mbuf *m)
{
    sim_wire_send(end_of(l, NULL), m, NULL);
}

struct rte_mbuf *sim_stub_recv(struct sim_link *l, uint64_t until, uint64_t *when)
{
    struct sim_queue *q = &end_of(l, NULL)->rx;
    while (q->n == 0 && sim_step(l->sim, until))
        ;
    struct rte_mbuf *m = sim_queue_take(q);
    if (m && when)
        *when = l->sim->now;
    return m;
}

/* ---- time ---- */

static uint64_t next_event(const struct sim *s)
{
    uint64_t t = s->n_heap > 0 ? s->heap[0].when : TIME_NEVER;
    const struct sim_node *n;
    STAILQ_FOREACH (n, &s->nodes, list) {
        uint64_t next = n->kick || node_has_output(n) || node_has_packets(n) ? s->now : engine_next(n->e);
        if (next < t)
            t = next;
    }
    return t > s->now ? t : s->now;
}

bool sim_step(struct sim *s, uint64_t until)
{
    uint64_t t = next_event(s);
    if (t > until) {
        if (until != TIME_NEVER && until > s->now)
            s->now = until;
        return false;
    }
    s->now = t;
    while (s->n_heap > 0 && s->heap[0].when <= s->now) {
        struct sim_flight f = heap_take(s);
        arrive(s, &f);
    }
    struct sim_node *n;
    STAILQ_FOREACH (n, &s->nodes, list)
        if (node_wants_turn(n))
            node_run(n);
    return true;
}

void sim_run_until(struct sim *s, uint64_t t)
{
    while (sim_step(s, t))
        ;
}

void sim_run_for(struct sim *s, uint64_t ns)
{
    sim_run_until(s, s->now + ns);
}

bool sim_run_while(struct sim *s, bool (*going_on)(void *arg), void *arg, uint64_t until)
{
    while (going_on(arg))
        if (!sim_step(s, until))
            return !going_on(arg);
    return true;
}

uint64_t sim_now(const struct sim *s)
{
    return s->now;
}

uint64_t sim_seed(const struct sim *s)
{
    return s->seed;
}

/* ---- life ---- */

struct sim *sim_create(uint64_t seed)
{
    struct sim *s = process_pool ? calloc(1, sizeof(*s)) : NULL;
    if (!s) {
        errno = process_pool ? ENOMEM : EINVAL;
        return NULL;
    }
    s->seed = seed;
    s->now = 1000 * NS_PER_SEC; /* some time after a boot */
    s->pool = process_pool;
    s->pool_free = rte_mempool_avail_count(s->pool);
    STAILQ_INIT(&s->nodes);
    STAILQ_INIT(&s->links);
    return s;
}

static void link_free(struct sim_link *l)
{
    struct rte_mbuf *m;
    for (int i = 0; i < 2; i++) {
        while ((m = sim_queue_take(&l->end[i].rx)) != NULL)
            rte_pktmbuf_free(m);
        free(l->end[i].rx.pkts);
    }
    free(l);
}

static void world_stop(struct sim *s)
{
    while (s->n_heap > 0) {
        struct sim_flight f = heap_take(s);
        rte_pktmbuf_free(f.m);
        rte_pktmbuf_free(f.held);
    }
}

int64_t sim_destroy(struct sim *s)
{
    struct sim_node *n;
    struct sim_link *l;
    world_stop(s); /* packets under way may refer to what hosts own */
    STAILQ_FOREACH (n, &s->nodes, list) {
        so_set_current(n->e);
        n->e->now = s->now;
        host_destroy(n->e);
    }
    so_set_current(NULL);
    while ((n = STAILQ_FIRST(&s->nodes)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->nodes, list);
        free(n);
    }
    while ((l = STAILQ_FIRST(&s->links)) != NULL) {
        STAILQ_REMOVE_HEAD(&s->links, list);
        link_free(l);
    }
    sim_pcap(s, NULL);
    int64_t missing = (int64_t)s->pool_free - (int64_t)rte_mempool_avail_count(s->pool);
    free(s->heap);
    free(s);
    return missing;
}
