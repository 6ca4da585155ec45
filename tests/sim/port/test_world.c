// SPDX-License-Identifier: BSD-3-Clause
// What a simulated world promises: the same seed gives the same bytes at the same times, and idle time costs nothing.
#include "sim/fixture.h"
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* 300 kB over a bad wire, written to a pcap; its bytes. */
static char *story(uint64_t seed, size_t *len)
{
    char path[] = "/tmp/leat_world.XXXXXX", *bytes;
    static char block[100000];
    int fd = mkstemp(path), a, b;
    struct pair *p = pair_new(seed, NULL);
    assert_int_equal(sim_pcap(p->sim, path), 0);
    struct sim_wire *w = sim_wire(p->link, p->a);
    int l = listen_b(p, 80, 5);
    connect_pair(p, l, 80, &a, &b);
    w->loss = 0.05;
    w->duplicate = w->reorder = 0.02;
    w->reorder_ns = 3 * NS_PER_MS;
    w->jitter_ns = NS_PER_MS;
    size_t sent = 0, got = 0;
    for (int i = 0; i < 10000 && got < 300000; i++) {
        ssize_t n;
        sim_enter(p->a);
        while (sent < 300000 && (n = leat_write(a, block, sent < 290000 ? 10000 : 300000 - sent)) > 0)
            sent += (size_t)n;
        sim_run_for(p->sim, 10 * NS_PER_MS);
        sim_enter(p->b);
        while ((n = leat_read(b, block, sizeof(block))) > 0)
            got += (size_t)n;
    }
    assert_int_equal(got, 300000);
    leat_close(b);
    leat_close(l);
    sim_enter(p->a);
    leat_close(a);
    sim_run_for(p->sim, 60 * NS_PER_SEC);
    pair_free(p);
    *len = (size_t)lseek(fd, 0, SEEK_END);
    bytes = malloc(*len);
    assert_int_equal(pread(fd, bytes, *len, 0), *len);
    close(fd);
    unlink(path);
    return bytes;
}

static void test_the_same_seed_is_the_same_world(void **state)
{
    size_t n1, n2, n3;
    char *one = story(11, &n1), *two = story(11, &n2), *other = story(12, &n3);
    assert_true(n1 > 300000);
    assert_int_equal(n1, n2);
    assert_memory_equal(one, two, n1);
    assert_true(n1 != n3 || memcmp(one, other, n1) != 0);
    free(one);
    free(two);
    free(other);
}

/* A hundred connections that only keep alive: at least a thousand simulated seconds in one real one (without sanitizers far more). */
static void test_idle_time_is_cheap(void **state)
{
    struct pair *p = pair_new(1, NULL);
    enum { N = 100, SECONDS = 20000 };
    int a[N], b[N], l = listen_b(p, 80, N), on = 1, every = 60;
    for (int i = 0; i < N; i++) {
        connect_pair(p, l, 80, &a[i], &b[i]);
        sim_enter(p->a);
        assert_int_equal(leat_setsockopt(a[i], IPPROTO_TCP, TCP_KEEPIDLE, &every, sizeof(every)), 0);
        assert_int_equal(leat_setsockopt(a[i], IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof(every)), 0);
        assert_int_equal(leat_setsockopt(a[i], SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
    }
    uint64_t before = sim_wire_stats(p->link, p->a)->packets;
    struct timespec t0, t1;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    sim_run_for(p->sim, SECONDS * NS_PER_SEC);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
    double real = (double)(t1.tv_sec - t0.tv_sec) + (double)(t1.tv_nsec - t0.tv_nsec) / 1e9;
    uint64_t packets = sim_wire_stats(p->link, p->a)->packets - before, probes = N * (SECONDS / 60);
    assert_in_range(packets, probes - N, probes + probes / 20); /* and now and then ARP */
    print_message("%d simulated seconds of %d connections in %.2f real ones: %.0f in one\n", SECONDS, N, real,
                  SECONDS / real);
    assert_true(SECONDS / real > 1000);
    for (int i = 0; i < N; i++) {
        sim_enter(p->b);
        leat_close(b[i]);
        sim_enter(p->a);
        leat_close(a[i]);
    }
    sim_enter(p->b);
    leat_close(l);
    sim_run_for(p->sim, 200 * NS_PER_SEC);
    pair_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_seed_is_the_same_world),
        cmocka_unit_test(test_idle_time_is_cheap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
