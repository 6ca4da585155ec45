// SPDX-License-Identifier: BSD-3-Clause
// Sizes of segments in whole transfers: interfaces of every MTU, and paths that swallow what is too large without a word.
#include "sim/fixture.h"
#include <stdio.h>
#include <rte_byteorder.h>
#include "sysctl/sysctl.h"

#define SIZE 300000
static uint8_t content[SIZE];

/* What the wire from a does and saw. */
struct hole {
    uint32_t takes;   /* larger IP packets vanish; 0: none */
    uint32_t largest; /* that passed */
    uint64_t vanished;
};

static bool swallow(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    struct hole *h = arg;
    uint32_t size = (uint32_t)(frame[16] << 8 | frame[17]); /* IPv4's total length */
    if (frame[12] != 8 || frame[13] != 0)
        return false;
    if (h->takes && size > h->takes) {
        h->vanished++;
        return true;
    }
    if (size > h->largest)
        h->largest = size;
    return false;
}

static void set(struct sim_node *n, const char *name, const char *value)
{
    char err[200];
    if (sysctl_set_text(sim_engine(n)->sysctl, name, value, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static uint64_t stat_of(struct sim_node *n, const char *name)
{
    char full[100], buf[32];
    snprintf(full, sizeof(full), "net.inet.tcp.stats.%s", name);
    assert_int_equal(sysctl_get_text(sim_engine(n)->sysctl, full, buf, sizeof(buf)), 0);
    return strtoull(buf, NULL, 10);
}

/* SIZE bytes from a to b. */
static void transfer(struct pair *p, int a, int b, size_t size)
{
    static uint8_t got[65536];
    uint64_t end = sim_now(p->sim) + 300 * NS_PER_SEC;
    size_t sent = 0, arrived = 0;
    while (arrived < size) {
        assert_true(sim_now(p->sim) < end);
        sim_enter(p->a);
        ssize_t n = sent < size ? leat_write(a, content + sent, size - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        sim_run_for(p->sim, NS_PER_MS);
        sim_enter(p->b);
        while ((n = leat_read(b, got, sizeof(got))) > 0) {
            assert_memory_equal(got, content + arrived, n);
            arrived += (size_t)n;
        }
    }
}

static void close_both(struct pair *p, int a, int b, int listener)
{
    sim_enter(p->a);
    leat_close(a);
    sim_enter(p->b);
    leat_close(b);
    leat_close(listener);
}

static void rfc9293_3_7_any_interface_mtu(void **state)
{
    static const uint16_t mtus[] = {72, 128, 296, 576, 1006, 1280, 1492, 1500, 4352, 9000, 32000, 65535};
    for (unsigned i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++) {
        struct sim_port_options opt = {.mtu = mtus[i], .tx_seg_max = 64};
        struct pair *p = pair_new(1, &opt);
        struct hole h = {0};
        set(p->a, "net.inet.tcp.sendspace", "1048576"); /* some full segments, whatever they are */
        set(p->b, "net.inet.tcp.recvspace", "1048576");
        int a, b, listener = listen_b(p, 80, 5);
        sim_wire(p->link, p->a)->lose = swallow;
        sim_wire(p->link, p->a)->lose_arg = &h;
        connect_pair(p, listener, 80, &a, &b);
        transfer(p, a, b, mtus[i] < 500 ? SIZE / 10 : SIZE);
        if (h.largest != mtus[i])
            fail_msg("MTU %u: the largest packet had %u bytes", mtus[i], h.largest);
        close_both(p, a, b, listener);
        pair_free(p);
    }
}

/* RFC 2923 §2.1: no ICMP, full segments vanish: the transfer goes on, with the black hole's size; then probing finds the path's. */
static void rfc4821_out_of_a_black_hole(void **state)
{
    struct pair *p = *state;
    struct hole h = {0};
    int a, b, listener = listen_b(p, 80, 5);
    set(p->a, "net.inet.tcp.pmtud_blackhole_detection", "1");
    sim_wire(p->link, p->a)->lose = swallow;
    sim_wire(p->link, p->a)->lose_arg = &h;
    connect_pair(p, listener, 80, &a, &b);
    h.takes = 1400;
    transfer(p, a, b, SIZE);
    assert_int_equal(stat_of(p->a, "pmtud_blackhole_activated"), 1);
    assert_int_equal(stat_of(p->a, "pmtud_blackhole_activated_min_mss"), 0);
    for (int i = 0; i < 20; i++) {
        sim_run_for(p->sim, 2 * NS_PER_SEC);
        transfer(p, a, b, SIZE);
    }
    if (h.largest > 1400 || h.largest < 1400 - 8)
        fail_msg("the search ended at %u bytes of 1400", h.largest);
    assert_true(stat_of(p->a, "plpmtud_lost") >= 3);
    h.takes = 0; /* the way is wide again: after plpmtud_interval that is found out */
    sim_run_for(p->sim, 601 * NS_PER_SEC);
    transfer(p, a, b, SIZE);
    assert_int_equal(h.largest, 1500);
    close_both(p, a, b, listener);
}

/* A narrower hole than the black hole's size: default MSS. */
static void rfc2923_2_1_a_narrow_black_hole(void **state)
{
    struct pair *p = *state;
    struct hole h = {0};
    int a, b, listener = listen_b(p, 80, 5);
    set(p->a, "net.inet.tcp.pmtud_blackhole_detection", "1");
    sim_wire(p->link, p->a)->lose = swallow;
    sim_wire(p->link, p->a)->lose_arg = &h;
    connect_pair(p, listener, 80, &a, &b);
    h.takes = 600;
    transfer(p, a, b, SIZE);
    assert_int_equal(stat_of(p->a, "pmtud_blackhole_activated_min_mss"), 1);
    assert_true(h.largest <= 600);
    close_both(p, a, b, listener);
}

/* Every connection begins small and probes: the full size is reached within the first transfer, over a path that drops nothing. */
static void sysctl_plpmtud_2_reaches_the_full_size(void **state)
{
    struct pair *p = *state;
    struct hole h = {0};
    int a, b, listener = listen_b(p, 80, 5);
    set(p->a, "net.inet.tcp.plpmtud", "2");
    sim_wire(p->link, p->a)->lose = swallow;
    sim_wire(p->link, p->a)->lose_arg = &h;
    connect_pair(p, listener, 80, &a, &b);
    transfer(p, a, b, SIZE);
    assert_int_equal(h.largest, 1500);
    assert_int_equal(stat_of(p->a, "plpmtud_good"), 1);
    assert_int_equal(stat_of(p->a, "sndrexmitpack"), 0);
    close_both(p, a, b, listener);
}

/* RFC 4821 §7.7: probing in a path of 1200 bytes costs retransmissions of the probes and nothing else, and no timeout. */
static void rfc4821_7_7_lost_probes_cost_no_timeout(void **state)
{
    struct pair *p = *state;
    struct hole h = {.takes = 1200};
    int a, b, listener = listen_b(p, 80, 5);
    set(p->a, "net.inet.tcp.plpmtud", "2");
    sim_wire(p->link, p->a)->lose = swallow;
    sim_wire(p->link, p->a)->lose_arg = &h;
    connect_pair(p, listener, 80, &a, &b);
    for (int i = 0; i < 30; i++) {
        transfer(p, a, b, SIZE);
        sim_run_for(p->sim, NS_PER_SEC);
    }
    assert_true(h.largest > 1200 - 8);
    assert_int_equal(stat_of(p->a, "rexmttimeo"), 0);
    assert_int_equal(stat_of(p->a, "plpmtud_lost"), h.vanished);
    close_both(p, a, b, listener);
}

int main(void)
{
    for (unsigned i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 24);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc9293_3_7_any_interface_mtu),
        cmocka_unit_test_setup_teardown(rfc4821_out_of_a_black_hole, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(rfc2923_2_1_a_narrow_black_hole, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(sysctl_plpmtud_2_reaches_the_full_size, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(rfc4821_7_7_lost_probes_cost_no_timeout, pair_setup, pair_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
