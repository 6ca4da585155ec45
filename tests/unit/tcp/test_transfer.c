// SPDX-License-Identifier: BSD-3-Clause
// Two hosts in the simulator, TCP's own calls on top: every byte arrives, in order, whatever the wire does, and nothing leaks.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "socket/socket.h"
#include "sysctl/sysctl.h"
#include "tcp/stats.h"
#include "tcp/tcp.h"

/* ---- the floor above: one connection a host, written to and read from in the application phase ---- */

struct peer {
    struct engine *e;
    struct tcb *listener, *tp;
    uint64_t to_send, sent, to_receive, received;
    uint32_t read_most; /* bytes read in one turn: a slow reader */
    uint64_t abort_at;  /* bytes received, then abort; 0 = never */
    bool shut, closed, gone;
    int error;
};
static struct peer *of(struct tcb *tp)
{
    return tp->so;
}
static void quiet(struct tcb *tp)
{
}
static void on_failed(struct tcb *tp, int error)
{
    of(tp)->error = error;
}
static void on_detached(struct tcb *tp)
{
    of(tp)->tp = of(tp)->listener = NULL;
}
static const struct tcp_upcalls upcalls = {quiet, quiet, quiet, quiet, on_failed, on_detached};

static struct engine *current;
__attribute__((weak)) void so_set_current(struct engine *e)
{
    current = e;
}
__attribute__((weak)) struct engine *so_current(void)
{
    return current;
}
static unsigned application(struct engine *e, void *arg)
{
    if (e->so->loop)
        e->so->loop(e->so->loop_arg);
    return 0;
}
__attribute__((weak)) int so_create(struct engine *e)
{
    e->so = mem_alloc(sizeof(*e->so));
    engine_station(e, PHASE_APPLICATION, application, NULL);
    return e->so ? 0 : -ENOMEM;
}
__attribute__((weak)) void so_destroy(struct engine *e)
{
    mem_free(e->so);
}

static uint8_t byte_at(uint64_t at)
{
    return (uint8_t)((at * 2654435761u) >> 11);
}

static void write_some(struct peer *p)
{
    uint8_t bytes[4096];
    while (p->sent < p->to_send) {
        uint32_t n = (uint32_t)RTE_MIN((uint64_t)sizeof(bytes), p->to_send - p->sent);
        for (uint32_t i = 0; i < n; i++)
            bytes[i] = byte_at(p->sent + i);
        struct iovec iov = {bytes, n};
        int64_t done = tcp_send(p->tp, &iov, 1, n, false);
        if (done <= 0)
            return;
        p->sent += (uint64_t)done;
    }
    if (!p->shut) {
        p->shut = true;
        tcp_shutdown_write(p->tp);
    }
}

static void read_some(struct peer *p)
{
    uint32_t n = RTE_MIN(p->tp->rcv.bytes, p->read_most), at = 0;
    for (const struct rte_mbuf *m = p->tp->rcv.head; m && at < n; m = m->next)
        for (uint32_t i = 0; i < m->data_len && at < n; i++, at++)
            if (*rte_pktmbuf_mtod_offset(m, const uint8_t *, i) != byte_at(p->received + at))
                fail_msg("wrong byte at %lu", (unsigned long)(p->received + at));
    if (n > 0) {
        recvbuf_drop(p->tp, n);
        tcp_received(p->tp, n);
        p->received += n;
    }
}

static int loop(void *arg)
{
    struct peer *p = arg;
    if (p->listener && !p->tp) {
        p->tp = tcp_accept(p->listener);
        if (p->tp)
            tcp_adopt(p->tp, &upcalls, p);
    }
    if (!p->tp || p->closed)
        return 0;
    if (p->tp->state != TCPS_SYN_SENT && !p->error)
        write_some(p);
    read_some(p);
    bool end = p->error || (p->shut && p->received == p->to_receive && TCPS_HAVERCVDFIN(p->tp->state)) ||
               (p->shut && p->tp->state == TCPS_CLOSED && p->tp->rcv.bytes == 0);
    bool abort = p->abort_at && p->received >= p->abort_at;
    if (end || abort) {
        p->closed = true;
        tcp_close(p->tp, abort);
        p->tp = NULL;
    }
    return 0;
}

struct world {
    struct sim *s;
    struct sim_node *a, *b;
    struct sim_link *l;
    struct peer pa, pb;
};

static void begin(struct world *w, uint64_t seed)
{
    memset(w, 0, sizeof(*w));
    assert_int_equal(sim_eal_init(256), 0);
    w->s = sim_create(seed);
    w->a = sim_host(w->s, "a");
    w->b = sim_host(w->s, "b");
    w->l = sim_link(w->s, w->a, w->b, NULL);
    assert_int_equal(sim_addr(w->l, w->a, "10.0.0.1/24"), 0);
    assert_int_equal(sim_addr(w->l, w->b, "10.0.0.2/24"), 0);
    w->pa.e = sim_engine(w->a);
    w->pb.e = sim_engine(w->b);
    w->pa.read_most = w->pb.read_most = UINT32_MAX;
    sim_app(w->a, loop, &w->pa);
    sim_app(w->b, loop, &w->pb);
}

static void transfer(struct world *w, uint64_t forth, uint64_t back)
{
    struct ip_addr any = ip_addr_v4(0), server;
    ip_addr_parse("10.0.0.1", &server);
    w->pb.to_send = w->pa.to_receive = forth;
    w->pa.to_send = w->pb.to_receive = back;
    w->pa.listener = tcp_new(w->pa.e, &upcalls, &w->pa);
    assert_int_equal(tcp_bind(w->pa.listener, &any, htons(80), 0), 0);
    assert_int_equal(tcp_listen(w->pa.listener, 5, 0), 0);
    sim_enter(w->b);
    w->pb.tp = tcp_new(w->pb.e, &upcalls, &w->pb);
    assert_int_equal(tcp_connect(w->pb.tp, &server, htons(80), 0), 0);
    sim_enter(NULL);
}

static bool going_on(void *arg)
{
    struct world *w = arg;
    return !w->pa.closed || !w->pb.closed;
}

static void whole(struct world *w)
{
    /* The applications have a look each millisecond, even when nothing comes: a slow reader reads on. */
    for (uint64_t t = 0; t < 3600 * NS_PER_SEC && going_on(w); t = sim_now(w->s) + NS_PER_MS) {
        sim_app(w->a, loop, &w->pa);
        sim_app(w->b, loop, &w->pb);
        sim_run_while(w->s, going_on, w, t);
    }
    if (w->pa.error || w->pb.error || w->pa.received != w->pa.to_receive ||
        w->pb.received != w->pb.to_receive)
        fail_msg("seed %lu: a %lu/%lu error %d state %d, b %lu/%lu error %d state %d",
                 (unsigned long)sim_seed(w->s), (unsigned long)w->pa.received,
                 (unsigned long)w->pa.to_receive, w->pa.error, w->pa.tp ? w->pa.tp->state : -1,
                 (unsigned long)w->pb.received, (unsigned long)w->pb.to_receive, w->pb.error,
                 w->pb.tp ? w->pb.tp->state : -1);
}

static void end(struct world *w)
{
    sim_run_for(w->s, 200 * NS_PER_SEC); /* past TIME-WAIT and every timer */
    assert_int_equal(w->pa.e->tcp->tcbs.used, w->pa.listener ? 1 : 0);
    assert_int_equal(w->pb.e->tcp->tcbs.used, 0);
    assert_int_equal(w->pa.e->tcp->recv_bytes + w->pb.e->tcp->recv_bytes, 0);
    assert_int_equal(w->pa.e->tcp->send.bytes + w->pb.e->tcp->send.bytes, 0);
    assert_int_equal(sim_destroy(w->s), 0);
}

static void both_ways(struct world *w, double loss, double reorder, uint32_t read_most, uint64_t forth,
                      uint64_t back)
{
    struct sim_node *from[2] = {w->a, w->b};
    for (int i = 0; i < 2; i++) {
        struct sim_wire *wire = sim_wire(w->l, from[i]);
        wire->rate_bps = 100 * 1000 * 1000;
        wire->delay_ns = 5 * NS_PER_MS;
        wire->loss = loss;
        wire->reorder = reorder;
        wire->reorder_ns = 7 * NS_PER_MS;
        wire->duplicate = reorder;
        wire->corrupt = loss / 4;
    }
    w->pa.read_most = w->pb.read_most = read_most;
    transfer(w, forth, back);
    whole(w);
}

static void a_perfect_wire(void **state)
{
    struct world w;
    begin(&w, 1);
    both_ways(&w, 0, 0, UINT32_MAX, 4 << 20, 1 << 20);
    end(&w);
}

static void loss_reordering_duplication_corruption(void **state)
{
    struct world w;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        begin(&w, seed);
        both_ways(&w, (double)(seed % 4) * 0.02, (double)(seed % 3) * 0.05, UINT32_MAX, 300000, 100000);
        end(&w);
    }
}

static void slow_readers(void **state)
{
    struct world w;
    begin(&w, 3);
    both_ways(&w, 0.01, 0.02, 900, 200000, 50000);
    end(&w);
}

static void nothing_to_say(void **state)
{
    struct world w;
    begin(&w, 4);
    both_ways(&w, 0.05, 0, UINT32_MAX, 0, 1);
    end(&w);
}

static void an_abort_reaches_the_other_end(void **state)
{
    struct world w;
    begin(&w, 5);
    w.pa.abort_at = 100000;
    transfer(&w, 1 << 20, 0);
    sim_run_while(w.s, going_on, &w, 3600 * NS_PER_SEC);
    assert_int_equal(w.pb.error, ECONNRESET);
    end(&w);
}

static void nobody_listens(void **state)
{
    struct world w;
    begin(&w, 6);
    transfer(&w, 10, 10);
    struct tcb *l = w.pa.listener;
    w.pa.listener = NULL;
    w.pa.closed = true;
    tcp_close(l, false);
    sim_run_while(w.s, going_on, &w, 3600 * NS_PER_SEC);
    assert_int_equal(w.pb.error, ECONNREFUSED);
    end(&w);
}

static void the_other_end_is_dead(void **state)
{
    struct world w;
    begin(&w, 7);
    sim_wire(w.l, w.b)->loss = 1;
    transfer(&w, 10, 10);
    w.pa.closed = true;
    sim_run_while(w.s, going_on, &w, 3600 * NS_PER_SEC);
    assert_true(w.pb.error == ETIMEDOUT || w.pb.error == EHOSTUNREACH || w.pb.error == EHOSTDOWN);
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_perfect_wire),
        cmocka_unit_test(loss_reordering_duplication_corruption),
        cmocka_unit_test(slow_readers),
        cmocka_unit_test(nothing_to_say),
        cmocka_unit_test(an_abort_reaches_the_other_end),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(the_other_end_is_dead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
