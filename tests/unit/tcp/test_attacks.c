// SPDX-License-Identifier: BSD-3-Clause
// Attacks by name: what they reach for is out of reach, and what the worst input costs is bounded, counted in instructions.
#include "conversation.h"
#include "instructions.h"
#include "tcp/demux.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/reassembly.h"

/* One segment through tcp_input(), without the output that it causes. */
static uint64_t cost_of(struct rte_mbuf *m)
{
    instructions_begin();
    tcp_input(&e, &m, 1);
    return instructions_end();
}

static void at_most(const char *what, uint64_t cost, uint64_t limit)
{
    if (!INSTRUCTIONS_COUNTED)
        return;
    print_message("%s: %llu instructions, at most %llu\n", what, (unsigned long long)cost,
                  (unsigned long long)limit);
    if (cost > limit)
        fail_msg("%s: %llu instructions, at most %llu", what, (unsigned long long)cost,
                 (unsigned long long)limit);
}

static void forget_sent(void)
{
    run_due();
    while (at_caught < n_caught)
        rte_pktmbuf_free(caught[at_caught++]);
    n_caught = at_caught = 0;
}

/* What an ordinary segment costs, for comparison. */
static void cost_of_a_segment_in_order(void **state)
{
    established();
    at_most("a segment in order", cost_of(segment("PA", 1, 100, 1, 65535, "")), 1500);
    forget_sent();
}

/* ---- SYN floods: what one too many costs while connections have work (net.inet.tcp.syncache.busyrate) ---- */

static void cost_of_a_syn_that_is_shed(void **state)
{
    struct rte_mbuf *m;
    established();
    set("net.inet.tcp.syncache.cachelimit", "0");
    set("net.inet.tcp.syncache.busyrate", "1");
    for (unsigned i = 0; i < 2; i++) { /* a cookie begins it, the second one spends what there is */
        peer_port = rte_cpu_to_be_16((uint16_t)(20000 + i));
        m = segment("S", 0, 0, 0, 65535, "mss 1460 sackOK");
        e.n_due_last = 1;
        at_most("a SYN answered with a cookie", cost_of(m), 4000);
        forget_sent();
    }
    peer_port = rte_cpu_to_be_16(20002);
    m = segment("S", 0, 0, 0, 65535, "mss 1460 sackOK");
    e.n_due_last = 1;
    at_most("a SYN that is shed", cost_of(m), 500);
    forget_sent();
    assert_int_equal(stat("sc_shed"), 1);
}

/* ---- CVE-2016-5696: a common limit of challenge ACKs told an attacker what happens on other people's connections ---- */

static unsigned challenges_answered(unsigned rsts)
{
    unsigned before = n_caught;
    for (unsigned i = 0; i < rsts; i++)
        in("R", 100, 0, 0, 0);
    unsigned n = n_caught - before;
    forget_sent();
    return n;
}

static void cve_2016_5696_challenge_acks_of_one_connection_do_not_count_for_another(void **state)
{
    struct tcb *l = listening(10);
    uint16_t ports[2] = {rte_cpu_to_be_16(40000), rte_cpu_to_be_16(40001)};
    for (unsigned i = 0; i < 2; i++) {
        peer_port = ports[i];
        in_opt("S", 0, 0, 0, 65535, "mss 1460");
        expect("SA", 0, 0, 1);
        in("A", 1, 0, 1, 65535);
        tcp_adopt(tcp_accept(l), &upcalls, &owner);
    }
    wait_ms(1000);
    peer_port = ports[0];
    assert_int_equal(challenges_answered(200), 5); /* net.inet.tcp.ack_war_cnt */
    peer_port = ports[1];
    assert_int_equal(challenges_answered(200), 5);
    assert_int_equal(stat("challenge_limited"), 390);
}

/* ---- CVE-2018-5390 (SegmentSmack), CVE-2018-6922: reassembly of tiny segments out of order ---- */

static void tiny_runs(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = segment("A", 3 + 2 * i, 1, 1, 65535, "");
        tcp_input(&e, &m, 1);
        forget_sent();
    }
}

static void cve_2018_5390_tiny_segments_out_of_order_cost_little(void **state)
{
    struct tcb *tp = established();
    tp->rcv.hiwat = 1 << 20; /* so that it is runs that are limited */
    tiny_runs(100);
    assert_int_equal(tp->reass->runs, 100);
    /* The dearest: it belongs before all runs, which are searched from the end. */
    at_most("a tiny segment before 100 runs", cost_of(segment("A", 2, 1, 1, 65535, "")), 4000);
    forget_sent();
    at_most("a tiny segment behind 100 runs", cost_of(segment("A", 900, 1, 1, 65535, "")), 4000);
    forget_sent();
    /* One that covers all runs. */
    at_most("a segment over 100 runs", cost_of(segment("A", 2, 300, 1, 65535, "")), 40000);
    forget_sent();
    assert_int_equal(tp->reass->runs, 1);
}

static void cve_2018_6922_reassembly_is_bounded(void **state)
{
    struct tcb *tp = established();
    tp->rcv.hiwat = 1 << 20;
    tiny_runs(300);
    assert_int_equal(tp->reass->runs, 100); /* net.inet.tcp.reass.maxqueuelen */
    assert_int_equal(stat("rcvreassfull"), 200);
    assert_true(tp->reass->memory <= 2u * tp->rcv.hiwat + 16384);
    set("net.inet.tcp.reass.maxsegments", "0"); /* of all connections */
    reass_free(tp);
    tiny_runs(3);
    assert_int_equal(stat("rcvreassfull"), 203);
}

/* Many small segments that touch are one run; what they hold is counted in buffers, not in bytes of data. */
static void cve_2018_5390_memory_counts_buffers(void **state)
{
    struct tcb *tp = established();
    for (unsigned i = 0; i < 500; i++) {
        struct rte_mbuf *m = segment("A", 3 + i, 1, 1, 65535, "");
        tcp_input(&e, &m, 1);
        forget_sent();
    }
    assert_true((uint64_t)tp->reass->memory + tp->rcv.memory <= 2u * tp->rcv.hiwat + 16384);
    assert_true(stat("rcvmemdrop") > 0);
}

/* ---- CVE-2019-11477, 11478, 11479: SACK Panic and its kin ---- */

static struct tcb *sending(uint32_t segments, const char *options)
{
    struct tcb *tp = established_opt(options);
    tp->snd.hiwat = 1 << 24;
    tp->snd_wnd = tp->max_sndwnd = tp->cwnd = 1 << 24;
    e.tcp->loss.params.output_burst_segs = 10000;
    tp->flags |= TF_NODELAY;
    for (uint32_t i = 0; i < segments; i++) {
        static char bytes[65536];
        struct iovec iov = {bytes, tp->maxseg};
        assert_int_equal(tcp_send(tp, &iov, 1, tp->maxseg, false), tp->maxseg);
        forget_sent();
    }
    assert_int_equal(tp->snd_max - tp->snd_una, segments * tp->maxseg);
    return tp;
}

static struct rte_mbuf *sack_of(const struct tcb *tp, uint32_t first, uint32_t blocks)
{
    struct rte_mbuf *m = segment("A", 1, 0, 1, 65535, "");
    uint8_t o[40] = {1, 1, 5, (uint8_t)(2 + 8 * blocks)};
    for (uint32_t i = 0; i < blocks; i++) {
        uint32_t start = rte_cpu_to_be_32(our_isn + 1 + (first + 2 * i) * tp->maxseg);
        uint32_t end = rte_cpu_to_be_32(our_isn + 1 + (first + 2 * i + 1) * tp->maxseg);
        memcpy(o + 4 + 8 * i, &start, 4);
        memcpy(o + 8 + 8 * i, &end, 4);
    }
    memcpy(rte_pktmbuf_append(m, (uint16_t)(4 + 8 * blocks)), o, 4 + 8 * blocks);
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = (uint8_t)((24 + 8 * blocks) << 2);
    return m;
}

static void cve_2019_11477_a_tiny_mss_is_raised(void **state)
{
    struct tcb *tp = established_opt("mss 48 sackOK");
    assert_int_equal(tp->maxseg, 216); /* net.inet.tcp.minmss */
    set("net.inet.tcp.minmss", "536");
    tcp_mss_update(tp);
    assert_int_equal(tp->maxseg, 536);
}

/* A segment is never longer than its 16 bits can count: SACKs join ranges of the scoreboard, not packets. */
static void cve_2019_11477_sacks_of_a_full_window_of_tiny_segments(void **state)
{
    struct tcb *tp = sending(600, "mss 48 sackOK");
    for (uint32_t at = 1; at < 600; at += 6) {
        in_packet(sack_of(tp, at, 3));
        forget_sent();
    }
    assert_true(tp->recovery && tp->recovery->n <= 128); /* net.inet.tcp.sack.maxholes */
    in("A", 1, 0, 1 + 600 * 216, 65535);
    forget_sent();
    assert_int_equal(tp->snd_una, tp->snd_max);
    assert_null(tp->recovery);
}

static void cve_2019_11478_a_flood_of_sacks_costs_little(void **state)
{
    struct tcb *tp = sending(600, "mss 1460 sackOK");
    uint64_t worst = 0;
    for (uint32_t at = 599; at > 8;
         at -= 8) {     /* from the end to the beginning: each goes before all others */
        if (at > 150) { /* not yet dear */
            in_packet(sack_of(tp, at - 7, 4));
            forget_sent();
            continue;
        }
        uint64_t cost = cost_of(sack_of(tp, at - 7, 4));
        worst = cost > worst ? cost : worst;
        forget_sent();
    }
    at_most("an ACK with four SACK blocks before 124 ranges", worst, 12000);
    assert_true(stat("sack_sboverflow") > 0);
    at_most("the same again", cost_of(sack_of(tp, 592, 4)), 12000);
    forget_sent();
}

static void cve_2019_11478_memory_of_scoreboards_is_bounded(void **state)
{
    set("net.inet.tcp.sack.globalmaxholes", "0");
    struct tcb *tp = sending(100, "mss 1460 sackOK");
    for (uint32_t at = 1; at < 90; at += 8) {
        in_packet(sack_of(tp, at, 4));
        forget_sent();
    }
    assert_int_equal(tp->recovery->n, SACK_RANGES_OWN);
    assert_true(stat("sack_sboverflow") > 0);
}

static void cve_2019_11479_minmss_bounds_segments_for_each_byte(void **state)
{
    set("net.inet.tcp.minmss", "1000");
    struct tcb *tp = established_opt("mss 8 sackOK");
    tp->snd_wnd = 1 << 20;
    app_writes(tp, 5000);
    for (uint32_t i = 0; i < 5; i++)
        expect(i == 4 ? "PA" : "A", 1 + i * 1000, 1000, 1);
}

/* ---- other dear input ---- */

static void options_of_the_worst_kind_cost_little(void **state)
{
    established();
    struct rte_mbuf *m = segment("A", 1, 0, 1, 65535, "");
    memset(rte_pktmbuf_append(m, 40), 1, 40);
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = 60 << 2;
    at_most("40 NOPs", cost_of(m), 2000);
    m = segment("A", 1, 0, 1, 65535, "");
    uint8_t *o = (uint8_t *)rte_pktmbuf_append(m, 40);
    for (unsigned i = 0; i < 40; i += 2) {
        o[i] = 254;
        o[i + 1] = 2;
    }
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = 60 << 2;
    at_most("20 unknown options", cost_of(m), 2000);
    forget_sent();
}

static void segments_out_of_the_blue_cost_little(void **state)
{
    established();
    peer_port++;
    at_most("a segment of no connection", cost_of(segment("A", 1, 0, 1, 65535, "")), 2500);
    forget_sent();
    peer_port--;
    wait_ms(1);
    at_most("a RST in the window", cost_of(segment("R", 100, 0, 0, 0, "")), 2500);
    forget_sent();
    at_most("a RST outside of it", cost_of(segment("R", 70000000, 0, 0, 0, "")), 1500);
    at_most("an ACK of what was not sent", cost_of(segment("A", 1, 0, 100000, 65535, "")), 2500);
    forget_sent();
}

/* ---- numbers that nobody guesses ---- */

static uint32_t iss_to(const char *addr, uint16_t port, uint16_t from)
{
    struct ip_addr to;
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    struct ip_addr any = ip_addr_v4(0);
    ip_addr_parse(addr, &to);
    assert_int_equal(tcp_bind(tp, &any, rte_cpu_to_be_16(from), 0), 0);
    assert_int_equal(tcp_connect(tp, &to, rte_cpu_to_be_16(port), 0), 0);
    uint32_t iss = tp->iss;
    tcp_close(tp, true);
    forget_sent();
    return iss;
}

static void rfc6528_3_initial_sequence_numbers(void **state)
{
    uint32_t first = iss_to(PEER, 80, 5000);
    wait_ms(1000);
    assert_int_equal(iss_to(PEER, 80, 5000) - first,
                     250000); /* the same connection again: the clock alone, 4 us */
    uint32_t now = iss_to(PEER, 80, 5000);
    assert_true(iss_to(PEER, 80, 5001) - now > 1000000); /* any other: a hash apart */
    assert_true(iss_to(PEER, 81, 5000) - now > 1000000);
    assert_true(iss_to("10.0.0.3", 80, 5000) - now > 1000000);
    e.secret.k[1] += 7; /* another secret, another world */
    assert_true(iss_to(PEER, 80, 5000) - now > 1000000);
}

static uint16_t port_to(const char *addr, uint16_t port)
{
    struct ip_addr to;
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    ip_addr_parse(addr, &to);
    assert_int_equal(tcp_connect(tp, &to, rte_cpu_to_be_16(port), 0), 0);
    uint16_t chosen = rte_be_to_cpu_16(tp->lport);
    tcp_close(tp, true);
    forget_sent();
    return chosen;
}

/* RFC 6056 §3.3.4 (double hash): what one destination sees of our ports tells nothing of the next destination's. */
static void rfc6056_3_3_4_ephemeral_ports(void **state)
{
    uint16_t a = port_to(PEER, 80), b = port_to("10.0.0.3", 80), c = port_to(PEER, 443);
    assert_true(a >= 10000 && b >= 10000 && c >= 10000);
    assert_int_equal(port_to(PEER, 80), a + 1); /* successive for one, so that none comes back soon */
    assert_true(abs((int)a - (int)b) > 16 && abs((int)a - (int)c) > 16 && abs((int)b - (int)c) > 16);
    e.secret.k[0] ^= 12345;
    assert_true(abs((int)port_to(PEER, 80) - (int)a) > 16);
}

static uint32_t timestamp_of(uint16_t port)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_connect(tp, &peer, rte_cpu_to_be_16(port), 0), 0);
    uint32_t ts = tcp_ts_now(tp);
    tcp_close(tp, true);
    forget_sent();
    return ts;
}

/* RFC 7323 §5.4: timestamps tell neither how long we are up nor which connections are the same host's. */
static void rfc7323_5_4_timestamps_have_an_offset_for_each_connection(void **state)
{
    uint32_t uptime = (uint32_t)(e.now / NS_PER_MS), a = timestamp_of(80), b = timestamp_of(81);
    assert_true(a - uptime > 100000 && b - uptime > 100000);
    assert_true(a - b > 100000 && b - a > 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cost_of_a_segment_in_order),
        TEST(cost_of_a_syn_that_is_shed),
        TEST(cve_2016_5696_challenge_acks_of_one_connection_do_not_count_for_another),
        TEST(cve_2018_5390_tiny_segments_out_of_order_cost_little),
        TEST(cve_2018_5390_memory_counts_buffers),
        TEST(cve_2018_6922_reassembly_is_bounded),
        TEST(cve_2019_11477_a_tiny_mss_is_raised),
        TEST(cve_2019_11477_sacks_of_a_full_window_of_tiny_segments),
        TEST(cve_2019_11478_a_flood_of_sacks_costs_little),
        TEST(cve_2019_11478_memory_of_scoreboards_is_bounded),
        TEST(cve_2019_11479_minmss_bounds_segments_for_each_byte),
        TEST(options_of_the_worst_kind_cost_little),
        TEST(segments_out_of_the_blue_cost_little),
        TEST(rfc6528_3_initial_sequence_numbers),
        TEST(rfc6056_3_3_4_ephemeral_ports),
        TEST(rfc7323_5_4_timestamps_have_an_offset_for_each_connection),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
