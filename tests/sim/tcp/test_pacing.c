// SPDX-License-Identifier: BSD-3-Clause
// What a paced connection puts on the wire: frames of the first host are timed as they leave.
#include <stdio.h>
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <rte_ethdev.h>
#include <leat/tcp.h>
#include "fixture.h"
#include "sysctl/sysctl.h"

#define MBIT_S  UINT64_C(125000) /* bytes a second */
#define MOST    200000
#define HEADERS 54 /* Ethernet, IPv4, TCP; timestamps take 12 more */

struct departure { /* frames that left at the same time */
    uint64_t at;
    uint32_t frames, bytes;
};

static struct watch {
    struct sim *sim;
    struct departure d[MOST];
    unsigned n, losses;
    uint64_t lose_at; /* the n-th data frame */
    uint64_t frames;
} w;

/* Not lost, but seen. Frames with payload only. */
static bool watch_frame(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    uint64_t now = sim_now(w.sim);
    if (len < HEADERS || frame[12] != 8 || frame[13] != 0)
        return false;
    len = 14u + (uint32_t)(frame[16] << 8 | frame[17]); /* all of it, not only its first buffer */
    if (len < HEADERS + 100)
        return false;
    if (w.n == 0 || w.d[w.n - 1].at != now) {
        if (w.n == MOST)
            return false;
        w.d[w.n++] = (struct departure){.at = now};
    }
    w.d[w.n - 1].frames++;
    w.d[w.n - 1].bytes += len;
    return ++w.frames == w.lose_at;
}

struct flow {
    struct pair *p;
    int fd_a, fd_b;
    uint64_t received;
    uint64_t to_send; /* 0: for ever */
    uint64_t sent;
};

static int send_all(void *arg)
{
    struct flow *f = arg;
    static char bytes[65536];
    while (!f->to_send || f->sent < f->to_send) {
        uint64_t left = f->to_send ? f->to_send - f->sent : sizeof(bytes);
        ssize_t n = leat_write(f->fd_a, bytes, left < sizeof(bytes) ? left : sizeof(bytes));
        if (n < 0)
            break;
        f->sent += (uint64_t)n;
    }
    return 0;
}

static int receive_all(void *arg)
{
    struct flow *f = arg;
    static char bytes[65536];
    ssize_t n;
    while ((n = leat_read(f->fd_b, bytes, sizeof(bytes))) > 0)
        f->received += (uint64_t)n;
    return 0;
}

static void set(struct sim_node *n, const char *name, const char *value)
{
    char err[200];
    if (sysctl_set_text(sim_engine(n)->sysctl, name, value, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static void limit(struct flow *f, uint64_t rate)
{
    sim_enter(f->p->a);
    assert_int_equal(leat_setsockopt(f->fd_a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &rate, sizeof(rate)), 0);
}

static struct flow open_flow(uint64_t tx_offloads, uint64_t rate)
{
    struct sim_port_options o = {.tx_offloads = tx_offloads, .tx_seg_max = 64};
    struct flow f = {.p = pair_new(1, &o)};
    memset(&w, 0, sizeof(w));
    w.sim = f.p->sim;
    sim_wire(f.p->link, f.p->a)->lose = watch_frame;
    sim_wire(f.p->link, f.p->a)->delay_ns = sim_wire(f.p->link, f.p->b)->delay_ns = 200 * NS_PER_US;
    set(f.p->a, "net.inet.tcp.sendspace", "1048576"); /* what is sent next is there */
    set(f.p->b, "net.inet.tcp.recvspace", "1048576");
    int listener = listen_b(f.p, 80, 1);
    connect_pair(f.p, listener, 80, &f.fd_a, &f.fd_b);
    leat_close(listener);
    if (rate)
        limit(&f, rate);
    return f;
}

static void begin(struct flow *f)
{
    sim_app(f->p->a, send_all, f);
    sim_app(f->p->b, receive_all, f);
}

static void close_flow(struct flow *f)
{
    struct linger reset = {1, 0};
    sim_app(f->p->a, NULL, NULL);
    sim_app(f->p->b, NULL, NULL);
    sim_enter(f->p->a);
    leat_setsockopt(f->fd_a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    leat_close(f->fd_a);
    sim_enter(f->p->b);
    leat_close(f->fd_b);
    sim_run_for(f->p->sim, NS_PER_SEC);
    pair_free(f->p);
}

#define TSO                                                                                                  \
    (RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_TCP_CKSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS |          \
     RTE_ETH_TX_OFFLOAD_TCP_TSO)

/* Over all, and each gap: what the departure before takes at the rate, within 1 %. */
static void check_gaps(uint64_t rate, unsigned from)
{
    uint64_t bytes = 0;
    double worst = 0;
    assert_true(w.n > from + 20);
    for (unsigned i = from; i + 1 < w.n; i++) {
        double gap = (double)(w.d[i + 1].at - w.d[i].at), due = w.d[i].bytes * 1e9 / (double)rate;
        double off = gap > due ? gap - due : due - gap;
        bytes += w.d[i].bytes;
        worst = off / due > worst ? off / due : worst;
        if (off > due / 100)
            fail_msg("gap %u: %.0f ns after %u bytes, %.0f are due", i, gap, w.d[i].bytes, due);
    }
    double took = (double)(w.d[w.n - 1].at - w.d[from].at), got = (double)bytes * 1e9 / took;
    print_message("%8.1f Mbit/s: %.3f %% off, worst gap %.2f %%, %u frames at a time\n", got * 8e-6,
                  100 * (got / (double)rate - 1), 100 * worst, w.d[w.n - 2].frames);
    assert_true(got > 0.99 * (double)rate && got < 1.01 * (double)rate);
}

static void gaps_at(uint64_t rate, uint64_t offloads, uint64_t ms)
{
    struct flow f = open_flow(offloads, rate);
    begin(&f);
    sim_run_for(f.p->sim, 100 * NS_PER_MS); /* out of slow start */
    w.n = 0;
    sim_run_for(f.p->sim, ms * NS_PER_MS);
    check_gaps(rate, 1);
    for (unsigned i = 0; i < w.n; i++) {
        if (!offloads)
            assert_true(w.d[i].bytes <= 1514 || w.d[i].bytes <= rate / 50000); /* what two slots have */
        else
            assert_true(w.d[i].frames == 2 || (w.d[i].bytes <= rate / 1000 &&
                                               w.d[i].bytes - w.d[i].frames * (HEADERS + 12) <= 65536));
    }
    close_flow(&f);
}

static void one_megabit(void **state)
{
    gaps_at(MBIT_S, 0, 3000);
}
static void ten_megabit(void **state)
{
    gaps_at(10 * MBIT_S, 0, 1000);
}
static void a_hundred_megabit(void **state)
{
    gaps_at(100 * MBIT_S, 0, 500);
}
static void a_gigabit(void **state)
{
    gaps_at(1000 * MBIT_S, 0, 100);
}
static void one_megabit_tso(void **state)
{
    gaps_at(MBIT_S, TSO, 3000);
}
static void ten_megabit_tso(void **state)
{
    gaps_at(10 * MBIT_S, TSO, 1000);
}
static void a_hundred_megabit_tso(void **state)
{
    gaps_at(100 * MBIT_S, TSO, 500);
}
static void a_gigabit_tso(void **state)
{
    gaps_at(1000 * MBIT_S, TSO, 200);
}

/* Who had nothing to send begins with one burst, not with what he might have sent meanwhile. */
static void idle_earns_nothing(void **state)
{
    struct flow f = open_flow(0, 10 * MBIT_S);
    f.to_send = 20000;
    begin(&f);
    sim_run_for(f.p->sim, 500 * NS_PER_MS);
    assert_int_equal(f.received, 20000);
    w.n = 0;
    f.to_send = 60000;
    sim_run_for(f.p->sim, 500 * NS_PER_MS);
    assert_int_equal(f.received, 60000);
    check_gaps(10 * MBIT_S, 0);
    close_flow(&f);
}

/* SO_MAX_PACING_RATE: Linux's number, 32 and 64 bits, all ones for none; one limit with TCP_PACING_RATE_CAP. */
static void the_two_options_are_one_limit(void **state)
{
    struct flow f = open_flow(0, 0);
    uint32_t narrow = 0;
    uint64_t wide = 0;
    socklen_t len = sizeof(narrow);
    sim_enter(f.p->a);
    assert_int_equal(SO_MAX_PACING_RATE, 47);
    assert_int_equal(leat_getsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &len), 0);
    assert_int_equal(len, 4);
    assert_int_equal(narrow, UINT32_MAX);
    len = sizeof(wide);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &wide, &len), 0);
    assert_int_equal(wide, 0);
    narrow = 125000;
    assert_int_equal(leat_setsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof(narrow)), 0);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &wide, &len), 0);
    assert_int_equal(wide, 125000);
    wide = UINT64_C(12500000000);
    assert_int_equal(leat_setsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, sizeof(wide)), 0);
    len = sizeof(wide);
    wide = 0;
    assert_int_equal(leat_getsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &wide, &len), 0);
    assert_int_equal(len, 8);
    assert_int_equal(wide, UINT64_C(12500000000));
    len = sizeof(narrow);
    assert_int_equal(leat_getsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, &len), 0);
    assert_int_equal(narrow, UINT32_MAX);
    struct leat_tcp_info info;
    len = sizeof(info);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
    assert_int_equal(info.tcpi_max_pacing_rate, UINT64_C(12500000000));
    narrow = UINT32_MAX;
    assert_int_equal(leat_setsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, sizeof(narrow)), 0);
    len = sizeof(wide);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &wide, &len), 0);
    assert_int_equal(wide, 0);
    assert_int_equal(leat_setsockopt(f.fd_a, SOL_SOCKET, SO_MAX_PACING_RATE, &narrow, 3), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_PACING_RATE_CAP, &wide, 4), -1);
    assert_int_equal(errno, EINVAL);
    close_flow(&f);
}

/* Lowered and raised while it sends; taken away, the next segment doesn't wait for the gap that was on. */
static void a_limit_changes_at_once(void **state)
{
    struct flow f = open_flow(0, 8000); /* a segment in 190 ms */
    begin(&f);
    sim_run_for(f.p->sim, 400 * NS_PER_MS);
    assert_in_range(w.frames, 2, 4);
    limit(&f, 10 * MBIT_S);
    w.n = 0;
    sim_run_for(f.p->sim, 100 * NS_PER_MS);
    check_gaps(10 * MBIT_S, 1);
    uint64_t before = f.received;
    limit(&f, 0);
    sim_run_for(f.p->sim, 100 * NS_PER_MS);
    assert_true(f.received - before > 1000000);
    close_flow(&f);
}

/* What was lost goes again at the rate, too. */
static void retransmissions_keep_the_rate(void **state)
{
    struct flow f = open_flow(0, 10 * MBIT_S);
    w.lose_at = 40;
    f.to_send = 300000;
    begin(&f);
    sim_run_for(f.p->sim, 20 * NS_PER_MS);
    w.n = 0;
    sim_run_for(f.p->sim, NS_PER_SEC);
    assert_int_equal(f.received, 300000);
    check_gaps(10 * MBIT_S, 1);
    close_flow(&f);
}

/* rack paced by itself: what the window lets out leaves segment by segment, over half a round trip in slow start. */
static void rack_spreads_its_window(void **state)
{
    struct flow f = open_flow(0, 0);
    int on = 1;
    sim_enter(f.p->a);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_ALWAYS, &on, sizeof(on)), -1);
    assert_int_equal(errno, ENOPROTOOPT); /* of another stack */
    close_flow(&f);
    f = (struct flow){.p = pair_new(1, NULL)};
    memset(&w, 0, sizeof(w));
    w.sim = f.p->sim;
    sim_wire(f.p->link, f.p->a)->lose = watch_frame;
    set(f.p->a, "net.inet.tcp.functions_default", "rack");
    set(f.p->a, "net.inet.tcp.rack.use_pacing", "1");
    set(f.p->b, "net.inet.tcp.recvspace", "60000");
    int listener = listen_b(f.p, 80, 1);
    connect_pair(f.p, listener, 80, &f.fd_a, &f.fd_b);
    leat_close(listener);
    sim_wire(f.p->link, f.p->a)->delay_ns = sim_wire(f.p->link, f.p->b)->delay_ns = 10 * NS_PER_MS;
    begin(&f);
    sim_run_for(f.p->sim, 500 * NS_PER_MS);
    w.n = 0;
    sim_run_for(f.p->sim, 200 * NS_PER_MS);
    assert_in_range(w.n, 200, 1000);
    uint64_t longest = 0;
    for (unsigned i = 0; i + 1 < w.n; i++) {
        assert_int_equal(w.d[i].frames, 1);
        longest = w.d[i + 1].at - w.d[i].at > longest ? w.d[i + 1].at - w.d[i].at : longest;
    }
    print_message("%u departures in ten round trips, at most %.1f ms apart\n", w.n, (double)longest / 1e6);
    assert_true(longest < 11 * NS_PER_MS);
    close_flow(&f);
}

/* Fixed rates of the phases, FreeBSD's options: the first that is set sets all. */
static void rack_keeps_a_fixed_rate(void **state)
{
    struct flow f = open_flow(0, 0);
    struct tcp_function_set rack = {.function_set_name = "rack"};
    int on = 1, rate = (int)(10 * MBIT_S), segs = 64, got;
    socklen_t len = sizeof(got);
    sim_enter(f.p->a);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_FUNCTION_BLK, &rack, sizeof(rack)), 0);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_RATE_CA, &rate, sizeof(rate)), 0);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_RATE_SS, &got, &len), 0);
    assert_int_equal(got, rate);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_MAX_SEG, &segs, sizeof(segs)), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_ALWAYS, &on, sizeof(on)), 0);
    assert_int_equal(leat_getsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_ALWAYS, &got, &len), 0);
    assert_int_equal(got, 1);
    begin(&f);
    sim_run_for(f.p->sim, 100 * NS_PER_MS);
    w.n = 0;
    sim_run_for(f.p->sim, 500 * NS_PER_MS);
    check_gaps(10 * MBIT_S, 1);
    sim_enter(f.p->a);
    uint64_t before = f.received;
    on = 0;
    assert_int_equal(leat_setsockopt(f.fd_a, IPPROTO_TCP, TCP_RACK_PACE_ALWAYS, &on, sizeof(on)), 0);
    sim_run_for(f.p->sim, 100 * NS_PER_MS);
    assert_true(f.received - before > 1000000); /* what waited goes */
    close_flow(&f);
}

/* Accepted connections have the limit of their listener, as on Linux. */
static void a_listeners_limit_is_its_connections(void **state)
{
    struct pair *p = pair_new(1, NULL);
    int listener = listen_b(p, 80, 1), a, b;
    uint32_t rate = 125000;
    assert_int_equal(leat_setsockopt(listener, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, sizeof(rate)), 0);
    connect_pair(p, listener, 80, &a, &b);
    socklen_t len = sizeof(rate);
    rate = 0;
    assert_int_equal(leat_getsockopt(b, SOL_SOCKET, SO_MAX_PACING_RATE, &rate, &len), 0);
    assert_int_equal(rate, 125000);
    leat_close(b);
    leat_close(listener);
    sim_enter(p->a);
    leat_close(a);
    sim_run_for(p->sim, NS_PER_SEC);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_megabit),
        cmocka_unit_test(ten_megabit),
        cmocka_unit_test(a_hundred_megabit),
        cmocka_unit_test(a_gigabit),
        cmocka_unit_test(one_megabit_tso),
        cmocka_unit_test(ten_megabit_tso),
        cmocka_unit_test(a_hundred_megabit_tso),
        cmocka_unit_test(a_gigabit_tso),
        cmocka_unit_test(rack_spreads_its_window),
        cmocka_unit_test(rack_keeps_a_fixed_rate),
        cmocka_unit_test(idle_earns_nothing),
        cmocka_unit_test(the_two_options_are_one_limit),
        cmocka_unit_test(a_limit_changes_at_once),
        cmocka_unit_test(retransmissions_keep_the_rate),
        cmocka_unit_test(a_listeners_limit_is_its_connections),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
