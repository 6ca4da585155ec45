// SPDX-License-Identifier: BSD-3-Clause
// The connection table, listeners, bound ports and ephemeral ports.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <rte_byteorder.h>
#include "base/alloc.h"
#include "tcp/demux.h"
#include "tcp/stats.h"

static struct engine e;
static struct tcp_layer t;
static struct tcp_stats stats;

/* The floor below: which engine a flow comes back to. */
static uint32_t engines = 1;
uint32_t link_engine_of_flow(const struct netif *nif, const struct ip_addr *faddr,
                             const struct ip_addr *laddr, uint16_t fport, uint16_t lport)
{
    return rte_be_to_cpu_16(lport) % engines;
}

static int set_up(void **state)
{
    memset(&e, 0, sizeof(e));
    memset(&t, 0, sizeof(t));
    memset(&stats, 0, sizeof(stats));
    engines = e.count = 1;
    e.tcp = &t;
    e.secret.k[0] = 0x1234;
    rng_seed(&e.rng, 7);
    t.e = &e;
    t.stats = &stats;
    t.params.port_first = 10000;
    t.params.port_last = 65535;
    return demux_create(&t);
}

static int tear_down(void **state)
{
    for (unsigned i = 0; i < 65536; i++)
        assert_null(t.demux->ports[i]);
    demux_destroy(&t);
    return 0;
}

static struct tcb *fresh(void)
{
    struct tcb *tp = calloc(1, sizeof(*tp));
    tp->e = &e;
    return tp;
}

static void gone(struct tcb *tp)
{
    demux_remove(tp);
    free(tp);
}

static struct ip_addr addr(const char *text)
{
    struct ip_addr a;
    assert_int_equal(ip_addr_parse(text, &a), 0);
    return a;
}

static struct tcb *connection(const char *faddr, uint16_t fport, const char *laddr, uint16_t lport)
{
    struct tcb *tp = fresh();
    tp->faddr = addr(faddr);
    tp->laddr = addr(laddr);
    tp->fport = rte_cpu_to_be_16(fport);
    tp->lport = rte_cpu_to_be_16(lport);
    return tp;
}

static struct tcb *find(const struct tcb *like)
{
    return demux_find(&t, demux_hash(&e, &like->faddr, &like->laddr, like->fport, like->lport), &like->faddr,
                      &like->laddr, like->fport, like->lport);
}

/* 0 and a bound socket, or the error. */
static int bind_to(const char *text, uint16_t port, unsigned flags, struct tcb **out)
{
    struct tcb *tp = fresh();
    struct ip_addr a = addr(text);
    int err = demux_bind(tp, &a, rte_cpu_to_be_16(port), flags);
    *out = err ? NULL : tp;
    if (err)
        free(tp);
    return err;
}

static struct tcb *listener(const char *text, uint16_t port, unsigned flags)
{
    struct tcb *tp;
    assert_int_equal(bind_to(text, port, flags, &tp), 0);
    assert_int_equal(demux_listen(tp, flags), 0);
    tp->state = TCPS_LISTEN;
    return tp;
}

static void connections_are_found_both_families(void **state)
{
    struct tcb *a = connection("10.0.0.2", 1000, "10.0.0.1", 80);
    struct tcb *b = connection("2001:db8::2", 1000, "2001:db8::1", 80);
    struct tcb *again = connection("10.0.0.2", 1000, "10.0.0.1", 80);
    assert_int_equal(demux_insert(a), 0);
    assert_int_equal(demux_insert(b), 0);
    assert_int_equal(demux_insert(again), -EADDRINUSE);
    assert_ptr_equal(find(a), a);
    assert_ptr_equal(find(b), b);
    demux_remove(a);
    assert_null(find(a));
    free(again);
    free(a);
    gone(b);
}

static void the_table_doubles_and_loses_nobody(void **state)
{
    enum { N = 20000 };
    static struct tcb *all[N];
    for (uint32_t i = 0; i < N; i++) {
        all[i] = connection("10.0.0.2", 0, "10.0.0.1", 80);
        all[i]->faddr = ip_addr_v4(rte_cpu_to_be_32(0x0a000000 + i / 50000));
        all[i]->fport = rte_cpu_to_be_16((uint16_t)(1 + i % 50000));
        assert_int_equal(demux_insert(all[i]), 0);
        if (i % 97 == 0)
            for (uint32_t k = 0; k <= i; k += 1 + i / 20)
                assert_ptr_equal(find(all[k]), all[k]);
    }
    assert_true(t.demux->mask + 1 >= N / 2);
    assert_int_equal(stats.tablegrow, 5);
    for (uint32_t i = 0; i < N; i++) {
        assert_ptr_equal(find(all[i]), all[i]);
        gone(all[i]);
    }
    assert_int_equal(t.demux->n, 0);
}

static void linux_bind_conflict_table(void **state)
{
    const struct {
        const char *first;
        unsigned f1;
        const char *second;
        unsigned f2;
        int expect;
    } cases[] = {
        {"10.0.0.1", 0, "10.0.0.1", 0, -EADDRINUSE},
        {"10.0.0.1", 0, "10.0.0.2", 0, 0},
        {"0.0.0.0", 0, "10.0.0.1", 0, -EADDRINUSE},
        {"10.0.0.1", 0, "0.0.0.0", 0, -EADDRINUSE},
        {"0.0.0.0", TCP_BIND_REUSEADDR, "0.0.0.0", TCP_BIND_REUSEADDR, 0},
        {"0.0.0.0", TCP_BIND_REUSEADDR, "0.0.0.0", 0, -EADDRINUSE},
        {"0.0.0.0", TCP_BIND_REUSEPORT, "0.0.0.0", TCP_BIND_REUSEPORT, 0},
        {"0.0.0.0", TCP_BIND_REUSEPORT, "0.0.0.0", 0, -EADDRINUSE},
        {"::", TCP_BIND_V6, "0.0.0.0", 0, -EADDRINUSE},
        {"0.0.0.0", 0, "::", TCP_BIND_V6, -EADDRINUSE},
        {"::", TCP_BIND_V6 | TCP_BIND_V6ONLY, "0.0.0.0", 0, 0},
        {"0.0.0.0", 0, "::", TCP_BIND_V6 | TCP_BIND_V6ONLY, 0},
        {"::", TCP_BIND_V6, "2001:db8::1", TCP_BIND_V6, -EADDRINUSE},
        {"::", TCP_BIND_V6 | TCP_BIND_V6ONLY, "2001:db8::1", TCP_BIND_V6, -EADDRINUSE},
        {"2001:db8::1", TCP_BIND_V6, "0.0.0.0", 0, 0},
    };
    for (unsigned i = 0; i < RTE_DIM(cases); i++) {
        struct tcb *a, *b;
        assert_int_equal(bind_to(cases[i].first, 80, cases[i].f1, &a), 0);
        int err = bind_to(cases[i].second, 80, cases[i].f2, &b);
        if (err != cases[i].expect)
            fail_msg("case %u: %d", i, err);
        if (b)
            gone(b);
        gone(a);
    }
}

static void linux_reuseaddr_does_not_share_with_a_listener(void **state)
{
    struct tcb *l = listener("0.0.0.0", 80, TCP_BIND_REUSEADDR), *b;
    assert_int_equal(bind_to("10.0.0.1", 80, TCP_BIND_REUSEADDR, &b), -EADDRINUSE);
    gone(l);
}

static void linux_second_listen_after_shared_bind_fails(void **state)
{
    struct tcb *a, *b;
    assert_int_equal(bind_to("0.0.0.0", 80, TCP_BIND_REUSEADDR, &a), 0);
    assert_int_equal(bind_to("0.0.0.0", 80, TCP_BIND_REUSEADDR, &b), 0);
    assert_int_equal(demux_listen(a, TCP_BIND_REUSEADDR), 0);
    a->state = TCPS_LISTEN;
    assert_int_equal(demux_listen(b, TCP_BIND_REUSEADDR), -EADDRINUSE);
    gone(a);
    gone(b);
}

static void reuseaddr_lets_a_server_start_while_old_connections_linger(void **state)
{
    struct tcb *b, *old = connection("10.0.0.2", 1000, "10.0.0.1", 80);
    old->state = TCPS_TIME_WAIT;
    old->bind_flags = TCP_BIND_REUSEADDR; /* as its listener had */
    assert_int_equal(demux_insert(old), 0);
    assert_int_equal(bind_to("0.0.0.0", 80, 0, &b), -EADDRINUSE);
    assert_int_equal(bind_to("0.0.0.0", 80, TCP_BIND_REUSEADDR, &b), 0);
    gone(b);
    gone(old);
}

static void listener_exact_address_before_any_before_dual_stack(void **state)
{
    struct ip_addr one = addr("10.0.0.1"), two = addr("10.0.0.2"), six = addr("2001:db8::1");
    uint16_t port = rte_cpu_to_be_16(80);
    struct tcb *dual = listener("::", 80, TCP_BIND_V6 | TCP_BIND_REUSEPORT);
    assert_ptr_equal(demux_find_listener(&t, 0, &one, port), dual);
    struct tcb *any = listener("0.0.0.0", 80, TCP_BIND_REUSEPORT);
    struct tcb *exact = listener("10.0.0.1", 80, TCP_BIND_REUSEPORT);
    assert_ptr_equal(demux_find_listener(&t, 0, &one, port), exact);
    assert_ptr_equal(demux_find_listener(&t, 0, &two, port), any);
    assert_ptr_equal(demux_find_listener(&t, 0, &six, port), dual);
    assert_null(demux_find_listener(&t, 0, &six, rte_cpu_to_be_16(81)));
    gone(dual);
    gone(any);
    gone(exact);
}

static void ipv6_v6only_listener_hears_no_ipv4(void **state)
{
    struct ip_addr one = addr("10.0.0.1");
    struct tcb *l = listener("::", 80, TCP_BIND_V6 | TCP_BIND_V6ONLY);
    assert_null(demux_find_listener(&t, 0, &one, rte_cpu_to_be_16(80)));
    gone(l);
}

static void reuseport_spreads_by_hash(void **state)
{
    struct ip_addr one = addr("10.0.0.1");
    struct tcb *l[3];
    unsigned hits[3] = {0};
    for (int i = 0; i < 3; i++)
        l[i] = listener("0.0.0.0", 80, TCP_BIND_REUSEPORT);
    for (uint32_t h = 0; h < 3000; h++) {
        struct tcb *tp = demux_find_listener(&t, h * 2654435761u, &one, rte_cpu_to_be_16(80));
        assert_ptr_equal(tp, demux_find_listener(&t, h * 2654435761u, &one, rte_cpu_to_be_16(80)));
        for (int i = 0; i < 3; i++)
            hits[i] += tp == l[i];
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(hits[i], 800, 1200);
        gone(l[i]);
    }
}

static struct tcb *active(const char *faddr, uint16_t fport, int *err)
{
    static struct netif nif;
    struct tcb *tp = connection(faddr, fport, "10.0.0.1", 0);
    tp->path.netif = &nif;
    *err = demux_connect(tp);
    return tp;
}

static void rfc6056_ports_differ_by_destination_and_stay_in_range(void **state)
{
    int err, same = 0;
    struct tcb *tp[100];
    for (int i = 0; i < 100; i++) {
        tp[i] = active(i < 50 ? "10.0.0.2" : "10.0.0.3", 80, &err);
        assert_int_equal(err, 0);
        assert_true(rte_be_to_cpu_16(tp[i]->lport) >= 10000);
        same += i >= 50 && tp[i]->lport == tp[i - 50]->lport;
    }
    assert_true(same < 5);
    for (int i = 0; i < 100; i++)
        gone(tp[i]);
}

static void every_port_of_the_range_serves_each_destination_once(void **state)
{
    int err;
    struct tcb *tp[40];
    t.params.port_first = 20000;
    t.params.port_last = 20019;
    for (int i = 0; i < 40; i++) {
        tp[i] = active("10.0.0.2", i < 20 ? 80 : 81, &err);
        assert_int_equal(err, 0);
    }
    struct tcb *one_more = active("10.0.0.2", 80, &err);
    assert_int_equal(err, -EADDRNOTAVAIL);
    assert_int_equal(stats.portexhausted, 1);
    free(one_more);
    for (int i = 0; i < 40; i++)
        gone(tp[i]);
}

static void active_opens_pick_ports_that_come_back_to_this_engine(void **state)
{
    int err;
    engines = e.count = 4;
    e.id = 3;
    struct tcb *tp[50];
    for (int i = 0; i < 50; i++) {
        tp[i] = active("10.0.0.2", 80, &err);
        assert_int_equal(err, 0);
        assert_int_equal(rte_be_to_cpu_16(tp[i]->lport) % 4, 3);
    }
    for (int i = 0; i < 50; i++)
        gone(tp[i]);
}

static void bind_to_port_0_finds_a_free_one(void **state)
{
    struct tcb *a[20], *b;
    t.params.port_first = 20000;
    t.params.port_last = 20019;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(bind_to("0.0.0.0", 0, TCP_BIND_REUSEADDR, &a[i]), 0);
        for (int k = 0; k < i; k++)
            assert_int_not_equal(a[i]->lport, a[k]->lport);
    }
    assert_int_equal(bind_to("0.0.0.0", 0, 0, &b), -EADDRINUSE);
    for (int i = 0; i < 20; i++)
        gone(a[i]);
}

#ifdef LEAT_FAULT_INJECTION
static void without_memory_the_chains_grow(void **state)
{
    enum { N = 3000 };
    static struct tcb *all[N];
    struct tcb *first = connection("10.0.0.2", 1, "10.0.0.1", 80);
    assert_int_equal(demux_insert(first), 0);
    fault_run = 1000000;
    fault_countdown = 1;
    for (uint32_t i = 0; i < N; i++) {
        all[i] = connection("10.0.0.2", (uint16_t)(2 + i), "10.0.0.1", 80);
        assert_int_equal(demux_insert(all[i]), 0);
    }
    fault_countdown = -1;
    fault_run = 0;
    assert_true(stats.tablegrow_nomem > 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_ptr_equal(find(all[i]), all[i]);
        gone(all[i]);
    }
    gone(first);
}
#endif

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(connections_are_found_both_families),
        TEST(the_table_doubles_and_loses_nobody),
        TEST(linux_bind_conflict_table),
        TEST(linux_reuseaddr_does_not_share_with_a_listener),
        TEST(linux_second_listen_after_shared_bind_fails),
        TEST(reuseaddr_lets_a_server_start_while_old_connections_linger),
        TEST(listener_exact_address_before_any_before_dual_stack),
        TEST(ipv6_v6only_listener_hears_no_ipv4),
        TEST(reuseport_spreads_by_hash),
        TEST(rfc6056_ports_differ_by_destination_and_stay_in_range),
        TEST(every_port_of_the_range_serves_each_destination_once),
        TEST(active_opens_pick_ports_that_come_back_to_this_engine),
        TEST(bind_to_port_0_finds_a_free_one),
#ifdef LEAT_FAULT_INJECTION
        TEST(without_memory_the_chains_grow),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
