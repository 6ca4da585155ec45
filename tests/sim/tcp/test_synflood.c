// SPDX-License-Identifier: BSD-3-Clause
// A flood of SYNs with forged senders: those who are connected notice nothing, others still get in, and the flood holds no more memory
// than the SYN cache's bounds (RFC 4987).
#include <rte_ether.h>
#include "../fixture.h"
#include "base/alloc.h"
#include "ip/ip.h"
#include "port/sim/segment.h"
#include "tcp/stats.h"
#include "tcp/syncache.h"

#define FLOOD_PER_MS 50 /* 50,000 a second */

struct flood {
    struct pair *p;
    struct sim_link *attackers;
    struct rng rng;
    struct rng *again; /* chooses the SYNs that are sent for the second time; NULL: none are */
    int from, to;      /* the bulk connection's ends */
    uint64_t bytes;
};

static int flood_setup(void **state)
{
    struct flood *f = calloc(1, sizeof(*f));
    f->p = pair_new(1, NULL);
    f->from = f->to = -1;
    rng_seed(&f->rng, 7);
    f->attackers = sim_stub(f->p->sim, f->p->b, NULL);
    assert_int_equal(sim_addr(f->attackers, f->p->b, "192.168.0.1/16"), 0);
    struct ip_addr any = ip_addr_v4(0), gateway;
    ip_addr_parse("192.168.0.2", &gateway);
    assert_int_equal(route_add(sim_engine(f->p->b), &any, 0, &gateway, sim_netif(f->attackers, f->p->b)), 0);
    sim_wire(f->p->link, f->p->a)->rate_bps = sim_wire(f->p->link, f->p->b)->rate_bps = 200 * 1000 * 1000;
    *state = f;
    return 0;
}

static int flood_teardown(void **state)
{
    struct flood *f = *state;
    struct rte_mbuf *m;
    while ((m = sim_stub_recv(f->attackers, sim_now(f->p->sim), NULL)) != NULL)
        rte_pktmbuf_free(m);
    pair_free(f->p);
    free(f);
    return 0;
}

static void one_syn(struct flood *f, struct rng *rng)
{
    struct segment s;
    char err[100];
    struct rte_mbuf *m = pkt_alloc(sim_engine(f->p->b)->pkt_pool);
    assert_non_null(m);
    assert_int_equal(segment_parse(&s, "S 0:0(0) win 1000 <mss 1460>", false, err, sizeof(err)), 0);
    s.seq = (uint32_t)rng_u64(rng);
    struct segment_ends ends = {.src = ip_addr_v4((uint32_t)rng_u64(rng) | htonl(0x40000000)),
                                .sport = (uint16_t)(1 + rng_below(rng, 65535)),
                                .dport = 80};
    ends.src.b[12] = (uint8_t)(64 + rng_below(rng, 32));
    ip_addr_parse("10.0.0.2", &ends.dst);
    assert_int_equal(segment_build(&s, &ends, m, NULL, 0), 0);
    rte_ether_addr_copy(&sim_netif(f->attackers, f->p->b)->mac,
                        &rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr);
    sim_stub_send(f->attackers, m);
}

static void move(struct flood *f)
{
    static char buf[65536];
    ssize_t n;
    sim_enter(f->p->a);
    while (leat_send(f->from, buf, sizeof(buf), MSG_NOSIGNAL) > 0)
        ;
    sim_enter(f->p->b);
    while ((n = leat_read(f->to, buf, sizeof(buf))) > 0)
        f->bytes += (uint64_t)n;
}

/* Bytes that the connection carries in so many ms. */
static uint64_t carry(struct flood *f, unsigned ms, bool flooded)
{
    struct rte_mbuf *m;
    f->bytes = 0;
    for (unsigned i = 0; i < ms; i++) {
        for (unsigned k = 0; flooded && k < FLOOD_PER_MS; k++) {
            one_syn(f, &f->rng);
            if (f->again)
                one_syn(f, f->again);
        }
        move(f);
        sim_run_for(f->p->sim, NS_PER_MS);
        while ((m = sim_stub_recv(f->attackers, sim_now(f->p->sim), NULL)) != NULL)
            rte_pktmbuf_free(m);
    }
    return f->bytes;
}

static void established_connections_keep_their_throughput(void **state)
{
    struct flood *f = *state;
    struct tcp_layer *t = sim_engine(f->p->b)->tcp;
    int l = listen_b(f->p, 80, 128), fd_a, fd_b;
    connect_pair(f->p, l, 80, &f->from, &f->to);
    carry(f, 1000, false); /* past slow start */
    uint64_t before = carry(f, 1000, false);
    uint64_t under = carry(f, 1000, true);
    assert_true(before > 20 * 1000 * 1000);
    assert_true(under >= before / 100 * 95);
    assert_true(t->syncache->entries.high <= t->syncache->params.cachelimit);
    assert_true(t->stats->sc_sendcookie > 10000);
    assert_int_equal(t->states[TCPS_ESTABLISHED], 1);
    assert_int_equal(t->tcbs.used, 2);
    /* Somebody else gets in, by a cookie. */
    for (unsigned k = 0; k < 1000; k++)
        one_syn(f, &f->rng);
    connect_pair(f->p, l, 80, &fd_a, &fd_b);
    assert_int_equal(t->stats->sc_recvcookie, 1);
    sim_enter(f->p->b);
    leat_close(l);
}

#define HONEST 50

/* Begins so many connections at once; they are never accepted. */
static void honest_connects(struct flood *f)
{
    struct sockaddr_in in = addr_of_b(80);
    sim_enter(f->p->a);
    for (unsigned i = 0; i < HONEST; i++) {
        int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        assert_int_equal(leat_connect(fd, (struct sockaddr *)&in, sizeof(in)), -1);
        assert_int_equal(errno, EINPROGRESS);
    }
}

/* Simulated engines have all the time in the world; this one never comes to rest. */
static unsigned always_busy(struct engine *e, void *arg)
{
    e->n_due_last = 1;
    return 0;
}

/* net.inet.tcp.syncache.busyrate: of 50,000 SYNs a second a busy engine sees 20,000; who is honest comes again, and is known. */
static void honest_clients_get_in_while_syns_are_shed(void **state)
{
    struct flood *f = *state;
    struct tcp_layer *t = sim_engine(f->p->b)->tcp;
    int l = listen_b(f->p, 80, 128);
    engine_station(sim_engine(f->p->b), PHASE_COMPLETIONS, always_busy, NULL);
    connect_pair(f->p, l, 80, &f->from, &f->to);
    carry(f, 1000, false);
    uint64_t before = carry(f, 1000, false);
    carry(f, 1000, true); /* the cache is full */
    uint64_t shed = t->stats->sc_shed, seen = t->stats->sc_sendcookie;
    uint64_t under = carry(f, 1000, true);
    assert_true(under >= before / 100 * 95);
    shed = t->stats->sc_shed - shed;
    seen = t->stats->sc_sendcookie - seen;
    assert_int_equal(seen + shed, 1000 * FLOOD_PER_MS);
    assert_in_range(seen, 19000, 23000);
    honest_connects(f);
    carry(f, 100, true);
    uint32_t at_once = t->states[TCPS_ESTABLISHED] - 1;
    carry(f, 1000, true); /* SYNs after 1 s too */
    uint32_t later = t->states[TCPS_ESTABLISHED] - 1;
    print_message("of %u honest SYNs %u got in at once, %u with the next one\n", HONEST, at_once, later);
    assert_in_range(at_once, 1, HONEST - 1);
    assert_in_range(later, HONEST - 1, HONEST);
    assert_in_range(t->stats->sc_shed_again, later - at_once - HONEST / 5, HONEST + 1000);
    sim_enter(f->p->b);
    leat_close(l);
}

/* Who sends every SYN twice, half a second later, is let in twice as often, no more. */
static void syns_that_all_come_again_have_one_more_budget(void **state)
{
    struct flood *f = *state;
    struct tcp_layer *t = sim_engine(f->p->b)->tcp;
    struct rng before;
    int l = listen_b(f->p, 80, 128);
    engine_station(sim_engine(f->p->b), PHASE_COMPLETIONS, always_busy, NULL);
    connect_pair(f->p, l, 80, &f->from, &f->to);
    carry(f, 100, true);
    before = f->rng;
    carry(f, 600, true);
    f->again = &before;
    carry(f, 100, true);
    uint64_t again = t->stats->sc_shed_again, seen = t->stats->sc_sendcookie;
    carry(f, 1000, true);
    again = t->stats->sc_shed_again - again;
    seen = t->stats->sc_sendcookie - seen;
    assert_in_range(again, 19000, 20250); /* 20,000, and what 10 ms had saved */
    assert_in_range(seen, again + 19000, again + 20250);
    sim_enter(f->p->b);
    leat_close(l);
}

static void an_idle_engine_answers_everybody(void **state)
{
    struct flood *f = *state;
    struct tcp_layer *t = sim_engine(f->p->b)->tcp;
    int l = listen_b(f->p, 80, 128);
    connect_pair(f->p, l, 80, &f->from, &f->to); /* and their hosts know each other */
    f->from = f->to = -1;
    carry(f, 1000, true);
    honest_connects(f);
    carry(f, 100, true);
    assert_int_equal(t->states[TCPS_ESTABLISHED], 1 + HONEST);
    assert_int_equal(t->stats->sc_recvcookie, HONEST);
    assert_int_equal(t->stats->sc_shed, 0);
    sim_enter(f->p->b);
    leat_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(established_connections_keep_their_throughput, flood_setup,
                                        flood_teardown),
        cmocka_unit_test_setup_teardown(honest_clients_get_in_while_syns_are_shed, flood_setup,
                                        flood_teardown),
        cmocka_unit_test_setup_teardown(syns_that_all_come_again_have_one_more_budget, flood_setup,
                                        flood_teardown),
        cmocka_unit_test_setup_teardown(an_idle_engine_answers_everybody, flood_setup, flood_teardown),
    };
    return cmocka_run_group_tests_name("synflood", tests, NULL, NULL);
}
