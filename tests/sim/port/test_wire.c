// SPDX-License-Identifier: BSD-3-Clause
// What a simulated wire does to frames: each property of struct sim_wire by itself, on numbered frames from a host to the test.
#include "sim/fixture.h"
#include <rte_ether.h>
#include <rte_ip.h>
#include "engine/engine.h"
#include "link/link.h"

enum { HEADERS = sizeof(struct rte_ether_hdr) + sizeof(struct rte_ipv4_hdr), ECT0 = 2, CE = 3 };

static struct sim *s;
static struct sim_node *a;
static struct sim_link *l;
static struct sim_wire *w;
static uint64_t began;

struct arrival {
    uint32_t number, len;
    uint64_t after; /* ns since it was sent */
    uint8_t ecn;
    bool good; /* bytes and header checksum as they were sent */
};
static struct arrival got[20000];
static unsigned n_got;

static int begin(void **state)
{
    assert_int_equal(sim_eal_init(256), 0);
    s = sim_create(5);
    a = sim_host(s, "a");
    l = sim_stub(s, a, NULL);
    assert_non_null(l);
    sim_run_for(s, 10 * NS_PER_SEC); /* what an interface says when it comes up */
    for (struct rte_mbuf *m; (m = sim_stub_recv(l, sim_now(s), NULL)) != NULL;)
        rte_pktmbuf_free(m);
    w = sim_wire(l, a);
    began = sim_now(s);
    n_got = 0;
    return 0;
}

static int end(void **state)
{
    assert_int_equal(sim_destroy(s), 0);
    return 0;
}

static uint8_t filling(uint32_t number, uint32_t i)
{
    return (uint8_t)(number * 31 + i);
}

static void send_frame(uint32_t number, uint16_t len, uint8_t ecn)
{
    struct netif *nif = sim_netif(l, a);
    struct rte_mbuf *m = rte_pktmbuf_alloc(sim_engine(a)->pkt_pool);
    assert_non_null(m);
    uint8_t *f = (uint8_t *)rte_pktmbuf_append(m, len);
    for (uint32_t i = 0; i < len; i++)
        f[i] = filling(number, i);
    *(struct rte_ether_hdr *)f = (struct rte_ether_hdr){.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4)};
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(f + sizeof(struct rte_ether_hdr));
    *ip = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF, .type_of_service = ecn, .time_to_live = 64};
    ip->total_length = rte_cpu_to_be_16((uint16_t)(len - sizeof(struct rte_ether_hdr)));
    ip->src_addr = rte_cpu_to_be_32(number);
    ip->hdr_checksum = rte_ipv4_cksum(ip);
    netif_transmit(nif, m);
}

static void look_at(struct rte_mbuf *m, uint64_t when)
{
    struct arrival *x = &got[n_got++];
    const uint8_t *f = rte_pktmbuf_mtod(m, const uint8_t *);
    *x = (struct arrival){.len = m->data_len, .after = when - began};
    if (m->data_len >= HEADERS) {
        struct rte_ipv4_hdr ip = *(const struct rte_ipv4_hdr *)(f + sizeof(struct rte_ether_hdr));
        x->number = rte_be_to_cpu_32(ip.src_addr);
        x->ecn = ip.type_of_service & 3;
        x->good = rte_ipv4_cksum(&ip) == 0xffff || rte_ipv4_cksum(&ip) == 0;
        for (uint32_t i = HEADERS; i < m->data_len; i++)
            x->good &= f[i] == filling(x->number, i);
    }
    rte_pktmbuf_free(m);
}

/* All at once; then everything that arrives within ten seconds. */
static void send_frames(unsigned n, uint16_t len, uint8_t ecn)
{
    struct rte_mbuf *m;
    uint64_t when;
    began = sim_now(s);
    for (unsigned i = 0; i < n; i++) {
        send_frame(i, len, ecn);
        if (i % 500 == 499) /* an interface's queue is short */
            sim_step(s, sim_now(s));
    }
    while ((m = sim_stub_recv(l, began + 10 * NS_PER_SEC, &when)) != NULL)
        look_at(m, when);
}

static const struct sim_wire_stats *stats(void)
{
    return sim_wire_stats(l, a);
}

static void a_zeroed_wire_is_perfect(void **state)
{
    send_frames(1000, 1000, 0);
    assert_int_equal(n_got, 1000);
    for (unsigned i = 0; i < n_got; i++) {
        assert_int_equal(got[i].number, i);
        assert_int_equal(got[i].len, 1000);
        assert_int_equal(got[i].after, 0);
        assert_true(got[i].good);
    }
}

static void rate_spaces_frames(void **state)
{
    w->rate_bps = 10000000;
    w->delay_ns = 3 * NS_PER_MS;
    send_frames(100, 976, 0);
    assert_int_equal(n_got, 100);
    for (unsigned i = 0; i < n_got; i++) /* and 24 bytes of preamble, check sequence and gap */
        assert_int_equal(got[i].after, 3 * NS_PER_MS + (i + 1) * 800000);
}

static void jitter_keeps_order(void **state)
{
    w->delay_ns = 10 * NS_PER_MS;
    w->jitter_ns = 5 * NS_PER_MS;
    uint64_t least = UINT64_MAX, most = 0;
    for (unsigned i = 0; i < 1000; i++) {
        began = sim_now(s);
        send_frame(i, 100, 0);
        uint64_t when;
        struct rte_mbuf *m = sim_stub_recv(l, began + NS_PER_SEC, &when);
        look_at(m, when);
        assert_int_equal(got[i].number, i);
        least = got[i].after < least ? got[i].after : least;
        most = got[i].after > most ? got[i].after : most;
    }
    assert_in_range(least, 10 * NS_PER_MS, 10 * NS_PER_MS + 100000);
    assert_in_range(most, 15 * NS_PER_MS - 100000, 15 * NS_PER_MS);
    n_got = 0;
    send_frames(1000, 100, 0); /* at once: none overtakes another */
    for (unsigned i = 0; i < n_got; i++)
        assert_int_equal(got[i].number, i);
}

static void tail_drop_by_packets(void **state)
{
    w->rate_bps = 1000000;
    w->queue_packets = 10;
    send_frames(100, 1000, 0);
    assert_int_equal(n_got, 10);
    for (unsigned i = 0; i < n_got; i++)
        assert_int_equal(got[i].number, i);
    assert_int_equal(stats()->queue_drops, 90);
}

static void tail_drop_by_bytes(void **state)
{
    w->rate_bps = 1000000;
    w->queue_bytes = 5500;
    send_frames(100, 1000, 0);
    assert_int_equal(n_got, 5);
    assert_int_equal(stats()->queue_drops, 95);
}

static void policer_drops_what_does_not_conform(void **state)
{
    w->police_bps = 1000000;
    w->police_bytes = 5500;
    send_frames(100, 1000, 0); /* at once: what the bucket holds */
    assert_int_equal(n_got, 5);
    for (unsigned i = 0; i < n_got; i++) {
        assert_int_equal(got[i].number, i);
        assert_int_equal(got[i].after, 0);
    }
    assert_int_equal(stats()->policed, 95);
    assert_int_equal(stats()->lost, 0);
    n_got = 0;
    w->rate_bps = 4000000;
    send_frames(400, 1000, 0); /* at four times its rate: a quarter, and the bucket once */
    assert_in_range(n_got, 100 + 5, 100 + 10);
}

static void red_drops_before_the_queue_is_full(void **state)
{
    w->rate_bps = 1000000;
    w->queue_packets = 400;
    w->aqm = SIM_RED;
    w->red_min = 20;
    w->red_max = 100;
    send_frames(300, 100, ECT0);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(got[i].number, i);
    assert_in_range(n_got, 40, 100);
    assert_int_equal(stats()->queue_drops, 300 - n_got);
    assert_int_equal(stats()->marked, 0);
}

static void rfc3168_red_marks_what_is_capable(void **state)
{
    unsigned marked = 0;
    w->rate_bps = 1000000;
    w->queue_packets = 400;
    w->aqm = SIM_RED;
    w->ecn = true;
    w->red_min = 20;
    w->red_max = 100;
    send_frames(300, 100, ECT0);
    assert_int_equal(n_got, 300);
    for (unsigned i = 0; i < n_got; i++) {
        assert_true(got[i].good); /* its checksum is right again */
        assert_true(got[i].ecn == ECT0 || got[i].ecn == CE);
        marked += got[i].ecn == CE;
    }
    assert_in_range(marked, 200, 260);
    assert_int_equal(stats()->marked, marked);
    n_got = 0;
    send_frames(300, 100, 0); /* not capable: dropped */
    assert_in_range(n_got, 40, 100);
    assert_int_equal(stats()->marked, marked);
}

static void random_loss(void **state)
{
    w->loss = 0.1;
    send_frames(10000, 100, 0);
    assert_in_range(n_got, 9000 - 120, 9000 + 120); /* four standard deviations */
    assert_int_equal(stats()->lost, 10000 - n_got);
}

/* Gilbert-Elliott: the bad state is entered once in 100 frames and lasts 10 on average. */
static void burst_loss(void **state)
{
    unsigned runs = 0, lost = 0;
    w->burst_enter = 0.01;
    w->burst_leave = 0.1;
    w->burst_loss = 1;
    send_frames(10000, 100, 0);
    for (unsigned i = 1; i < n_got; i++) {
        unsigned gap = got[i].number - got[i - 1].number - 1;
        runs += gap > 0;
        lost += gap;
    }
    assert_in_range(lost, 500, 1500); /* 0.01 / (0.01 + 0.1) of all */
    assert_in_range(lost / runs, 7, 14);
}

static bool third_and_tenth(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    assert_ptr_equal(arg, &n_got);
    assert_int_equal(len, 100);
    assert_int_equal(frame[12], 0x08);
    return n == 3 || n == 10;
}

static void chosen_loss(void **state)
{
    assert_int_equal(stats()->packets, 0); /* n counts from the wire's first frame */
    w->lose = third_and_tenth;
    w->lose_arg = &n_got;
    send_frames(20, 100, 0);
    assert_int_equal(n_got, 18);
    for (unsigned i = 0; i < n_got; i++)
        assert_true(got[i].number != 2 && got[i].number != 9);
}

static void duplication(void **state)
{
    unsigned twice = 0;
    w->duplicate = 0.2;
    send_frames(2000, 100, 0);
    for (unsigned i = 1; i < n_got; i++) {
        assert_true(got[i].good);
        twice += got[i].number == got[i - 1].number;
    }
    assert_int_equal(n_got, 2000 + twice);
    assert_in_range(twice, 400 - 72, 400 + 72);
    assert_int_equal(stats()->duplicated, twice);
}

static void reordering(void **state)
{
    unsigned late = 0;
    w->delay_ns = NS_PER_MS;
    w->reorder = 0.2;
    w->reorder_ns = 2 * NS_PER_MS;
    send_frames(2000, 100, 0);
    assert_int_equal(n_got, 2000);
    for (unsigned i = 0; i < n_got; i++) {
        assert_true(got[i].after == NS_PER_MS || got[i].after == 3 * NS_PER_MS);
        late += got[i].after > NS_PER_MS;
    }
    assert_in_range(late, 400 - 72, 400 + 72);
    assert_int_equal(stats()->reordered, late);
    assert_true(got[n_got - 1].after > NS_PER_MS); /* those come behind the others */
}

static void corruption(void **state)
{
    unsigned wrong = 0;
    w->corrupt = 0.5;
    send_frames(1000, 1000, 0);
    assert_int_equal(n_got, 1000);
    for (unsigned i = 0; i < n_got; i++) {
        assert_int_equal(got[i].len, 1000);
        wrong += !got[i].good;
    }
    assert_in_range(stats()->corrupted, 500 - 64, 500 + 64);
    assert_in_range(wrong, stats()->corrupted * 9 / 10,
                    stats()->corrupted); /* the Ethernet header has no sum */
}

static void truncation(void **state)
{
    unsigned cut = 0;
    w->truncate = 0.5;
    send_frames(1000, 1000, 0);
    assert_int_equal(n_got, 1000);
    for (unsigned i = 0; i < n_got; i++) {
        assert_in_range(got[i].len, 1, 1000);
        cut += got[i].len < 1000;
    }
    assert_int_equal(stats()->truncated, cut);
    assert_in_range(cut, 500 - 64, 500 + 64);
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_zeroed_wire_is_perfect),
        T(rate_spaces_frames),
        T(jitter_keeps_order),
        T(tail_drop_by_packets),
        T(tail_drop_by_bytes),
        T(policer_drops_what_does_not_conform),
        T(red_drops_before_the_queue_is_full),
        T(rfc3168_red_marks_what_is_capable),
        T(random_loss),
        T(burst_loss),
        T(chosen_loss),
        T(duplication),
        T(reordering),
        T(corruption),
        T(truncation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
