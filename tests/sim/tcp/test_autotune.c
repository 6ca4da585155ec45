// SPDX-License-Identifier: BSD-3-Clause
// Buffers that follow the bandwidth-delay product (net.inet.tcp.recvbuf_auto, sendbuf_auto), and those that must not.
#include "fixture.h"
#include "sysctl/sysctl.h"

#define PORT  5001
#define CHUNK (256u << 10)

static char bytes[CHUNK], sink[4u << 20];

static void set(struct sim_node *n, const char *name, const char *value)
{
    char err[200];
    if (sysctl_set_text(sim_engine(n)->sysctl, name, value, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static int option(int fd, int name)
{
    int v = 0;
    socklen_t len = sizeof(v);
    assert_int_equal(leat_getsockopt(fd, SOL_SOCKET, name, &v, &len), 0);
    return v;
}

/* a sends without end, b reads at most `most` bytes each turn. */
struct flow {
    int fd_a, fd_b;
    uint64_t received;
    size_t most;
};

static void sent(void *arg)
{
}
static int send_all(void *arg)
{
    struct flow *f = arg;
    while (f->fd_a >= 0 && leat_zc_send(f->fd_a, bytes, sizeof(bytes), 0, sent, NULL) > 0)
        ;
    return 0;
}
static int receive_all(void *arg)
{
    struct flow *f = arg;
    ssize_t n;
    size_t left = f->most;
    while (left > 0 && f->fd_b >= 0 &&
           (n = leat_recv(f->fd_b, sink, left < sizeof(sink) ? left : sizeof(sink), 0)) > 0) {
        f->received += (uint64_t)n;
        left -= (size_t)n;
    }
    return 0;
}

static void connect_flow(struct pair *p, struct flow *f)
{
    struct sockaddr_in in = addr_of_b(PORT);
    int listener = listen_b(p, PORT, 5);
    sim_enter(p->a);
    f->fd_a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_connect(f->fd_a, (struct sockaddr *)&in, sizeof(in));
    sim_run_for(p->sim, 400 * NS_PER_MS);
    sim_enter(p->b);
    f->fd_b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(f->fd_b >= 0);
    leat_close(listener);
    sim_app(p->a, send_all, f);
    sim_app(p->b, receive_all, f);
}

static void close_flow(struct pair *p, struct flow *f)
{
    struct linger reset = {1, 0};
    sim_app(p->a, NULL, NULL);
    sim_app(p->b, NULL, NULL);
    sim_enter(p->a);
    leat_setsockopt(f->fd_a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    leat_close(f->fd_a);
    sim_enter(p->b);
    leat_close(f->fd_b);
    sim_run_for(p->sim, NS_PER_SEC);
}

static void shape(struct pair *p, uint64_t bps, uint64_t rtt_ms)
{
    struct sim_node *ends[] = {p->a, p->b};
    for (int i = 0; i < 2; i++) {
        sim_wire(p->link, ends[i])->rate_bps = bps;
        sim_wire(p->link, ends[i])->delay_ns = rtt_ms * NS_PER_MS / 2;
    }
}

/* Share of the link's rate that reached the application in one second, after warm_ms. */
static double share(struct pair *p, struct flow *f, uint64_t bps, uint64_t warm_ms)
{
    sim_run_for(p->sim, warm_ms * NS_PER_MS);
    uint64_t before = f->received;
    sim_run_for(p->sim, NS_PER_SEC);
    return (double)(f->received - before) * 8 / (double)bps;
}

/* 10 Gbit/s over 100 ms: 125 MB are on their way. Users raise the three limits, as they would on FreeBSD. */
static void ten_gigabit_over_100_ms_is_filled(void **state)
{
    const struct sim_port_options jumbo = {.mtu = 9000};
    assert_int_equal(sim_eal_init(2048), 0);
    struct pair *p = pair_new(1, &jumbo);
    struct sim_node *ends[] = {p->a, p->b};
    struct flow f = {-1, -1, 0, SIZE_MAX};
    for (int i = 0; i < 2; i++) {
        set(ends[i], "kern.ipc.maxsockbuf", "536870912");
        set(ends[i], "net.inet.tcp.recvbuf_max", "536870912");
        set(ends[i], "net.inet.tcp.sendbuf_max", "536870912");
        set(ends[i], "net.inet.tcp.recvbytes_max", "2147483648");
        set(ends[i], "net.inet.tcp.sendbytes_max", "2147483648");
        set(ends[i], "net.inet.tcp.cc.algorithm", "newreno"); /* about buffers, not about windows */
    }
    shape(p, 10000000000u, 100);
    connect_flow(p, &f);
    double got = share(p, &f, 10000000000u, 2500);
    sim_enter(p->b);
    print_message("%.1f %% of 10 Gbit/s, receive buffer %d bytes\n", 100 * got, option(f.fd_b, SO_RCVBUF));
    assert_true(got >= 0.90);
    assert_true(option(f.fd_b, SO_RCVBUF) >= 125000000);
    close_flow(p, &f);
    pair_free(p);
}

/* With FreeBSD's defaults a buffer ends at 2 MiB: what fits into a round trip. */
static void sysctl_recvbuf_max_and_sendbuf_max(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, SIZE_MAX};
    shape(p, 1000000000, 100);
    connect_flow(p, &f);
    double got = share(p, &f, 1000000000, 4000);
    assert_in_range(got * 1000, 120, 180); /* 2 MiB in 100 ms are 168 Mbit/s */
    sim_enter(p->a);
    assert_int_equal(option(f.fd_a, SO_SNDBUF), 2 << 20);
    sim_enter(p->b);
    assert_int_equal(option(f.fd_b, SO_RCVBUF), 2 << 20);
    close_flow(p, &f);
}

static void sysctl_recvbuf_auto_off(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, SIZE_MAX};
    set(p->b, "net.inet.tcp.recvbuf_auto", "0");
    shape(p, 1000000000, 20);
    connect_flow(p, &f);
    sim_run_for(p->sim, NS_PER_SEC);
    sim_enter(p->b);
    assert_in_range(option(f.fd_b, SO_RCVBUF), 65536, 65536 + 1460);
    close_flow(p, &f);
}

static void sysctl_sendbuf_auto_off(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, SIZE_MAX};
    set(p->a, "net.inet.tcp.sendbuf_auto", "0");
    shape(p, 1000000000, 20);
    connect_flow(p, &f);
    sim_run_for(p->sim, NS_PER_SEC);
    sim_enter(p->a);
    assert_in_range(option(f.fd_a, SO_SNDBUF), 32768, 32768 + 1460);
    close_flow(p, &f);
}

/* setsockopt(2): who says a size means it. */
static void so_rcvbuf_ends_tuning(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, SIZE_MAX};
    int size = 100000;
    shape(p, 1000000000, 20);
    connect_flow(p, &f);
    sim_enter(p->b);
    assert_int_equal(leat_setsockopt(f.fd_b, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
    sim_run_for(p->sim, NS_PER_SEC);
    sim_enter(p->b);
    assert_int_equal(option(f.fd_b, SO_RCVBUF), size);
    close_flow(p, &f);
}

/* Memory is for readers: a slow one gets little more than it began with. */
static void a_slow_reader_gets_no_large_buffer(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, 100};
    shape(p, 1000000000, 20);
    connect_flow(p, &f);
    sim_run_for(p->sim, 2 * NS_PER_SEC);
    sim_enter(p->b);
    assert_true(option(f.fd_b, SO_RCVBUF) < 200000);
    close_flow(p, &f);
}

/* A sender that writes little needs no more room. */
static void a_short_exchange_leaves_buffers_alone(void **state)
{
    struct pair *p = *state;
    struct flow f = {-1, -1, 0, SIZE_MAX};
    shape(p, 1000000000, 20);
    connect_flow(p, &f);
    sim_app(p->a, NULL, NULL);
    sim_run_for(p->sim, NS_PER_SEC);
    sim_enter(p->a);
    int before = option(f.fd_a, SO_SNDBUF);
    for (int i = 0; i < 50; i++) {
        sim_enter(p->a);
        assert_int_equal(leat_send(f.fd_a, bytes, 1000, 0), 1000);
        sim_run_for(p->sim, 50 * NS_PER_MS);
    }
    sim_enter(p->a);
    assert_int_equal(option(f.fd_a, SO_SNDBUF), before);
    close_flow(p, &f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ten_gigabit_over_100_ms_is_filled), /* first: it asks for more memory */
        TEST(sysctl_recvbuf_max_and_sendbuf_max),
        TEST(sysctl_recvbuf_auto_off),
        TEST(sysctl_sendbuf_auto_off),
        TEST(so_rcvbuf_ends_tuning),
        TEST(a_slow_reader_gets_no_large_buffer),
        TEST(a_short_exchange_leaves_buffers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
