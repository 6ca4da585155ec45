// SPDX-License-Identifier: BSD-3-Clause
// Fast Open between two hosts: round trips, pre-shared keys that are never on the wire, servers that share their keys.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <leat/blackbox.h>
#include <leat/sysctl.h>
#include <leat/tcp.h>
#include "../fixture.h"
#include "sysctl/sysctl.h"

#define KEY "000102030405060708090a0b0c0d0e0f"

static const uint8_t psk[16] = "a key to search";

static void set(struct sim_node *n, const char *name, const char *value)
{
    char full[100], err[300];
    snprintf(full, sizeof(full), "net.inet.tcp.fastopen.%s", name);
    if (sysctl_set_text(sim_engine(n)->sysctl, full, value, err, sizeof(err)) < 0)
        fail_msg("%s", err);
}

static uint64_t counter(struct sim_node *n, const char *name)
{
    char full[100], text[64];
    snprintf(full, sizeof(full), "net.inet.tcp.fastopen.stats.%s", name);
    assert_int_equal(sysctl_get_text(sim_engine(n)->sysctl, full, text, sizeof(text)), 0);
    return strtoull(text, NULL, 10);
}

static int fast_listener(struct pair *p, const void *val, socklen_t len)
{
    set(p->b, "server_enable", "1");
    int fd = listen_b(p, 80, 10);
    assert_int_equal(leat_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, val, len), 0);
    return fd;
}

/* a asks, b answers: virtual ns from the write to the answer. */
static uint64_t exchange(struct pair *p, int listener, const void *val, socklen_t len)
{
    struct sockaddr_in in = addr_of_b(80);
    char buf[100];
    sim_enter(p->a);
    int a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_setsockopt(a, IPPROTO_TCP, TCP_FASTOPEN, val, len), 0);
    uint64_t begin = sim_now(p->sim);
    assert_int_equal(leat_sendto(a, "question", 8, 0, (struct sockaddr *)&in, sizeof(in)), 8);
    int b = -1;
    for (unsigned i = 0; i < 1000 && b < 0; i++) {
        sim_run_for(p->sim, 100 * NS_PER_US);
        sim_enter(p->b);
        b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
    assert_true(b >= 0);
    ssize_t n = -1;
    for (unsigned i = 0; i < 1000 && n < 0; i++) {
        sim_enter(p->b);
        n = leat_read(b, buf, sizeof(buf));
        if (n < 0)
            sim_run_for(p->sim, 100 * NS_PER_US);
    }
    assert_int_equal(n, 8);
    assert_memory_equal(buf, "question", 8);
    assert_int_equal(leat_write(b, "answer", 6), 6);
    n = -1;
    for (unsigned i = 0; i < 1000 && n < 0; i++) {
        sim_run_for(p->sim, 100 * NS_PER_US);
        sim_enter(p->a);
        n = leat_read(a, buf, sizeof(buf));
    }
    assert_int_equal(n, 6);
    uint64_t took = sim_now(p->sim) - begin;
    leat_close(a);
    sim_enter(p->b);
    leat_close(b);
    sim_run_for(p->sim, 100 * NS_PER_MS);
    return took;
}

static void the_second_request_saves_a_round_trip(void **state)
{
    struct pair *p = *state;
    int on = 1, l = fast_listener(p, &on, sizeof(on));
    uint64_t first = exchange(p, l, &on, sizeof(on)), second = exchange(p, l, &on, sizeof(on));
    assert_in_range(first, 4 * NS_PER_MS, 5 * NS_PER_MS);  /* two round trips of 2 ms */
    assert_in_range(second, 2 * NS_PER_MS, 3 * NS_PER_MS); /* one */
    assert_int_equal(counter(p->a, "syn_data_acked"), 1);
    assert_int_equal(counter(p->b, "passive_established"), 1);
    sim_enter(p->b);
    leat_close(l);
}

static void psk_on_both_sockets(void **state)
{
    struct pair *p = *state;
    struct leat_tcp_fastopen with = {.enable = 1}, wrong = {.enable = 1, .psk = "another key"};
    int without = 1;
    memcpy(with.psk, psk, 16);
    int l = fast_listener(p, &with, sizeof(with));
    exchange(p, l, &with, sizeof(with));
    exchange(p, l, &with, sizeof(with));
    assert_int_equal(counter(p->b, "passive_open"), 1);
    exchange(p, l, &wrong, sizeof(wrong));
    exchange(p, l, &without, sizeof(without));
    assert_int_equal(counter(p->b, "passive_open"), 1);
    assert_int_equal(counter(p->b, "server_psk_invalid"), 2);
    assert_int_equal(counter(p->a, "syn_data_fallback"), 2);
    sim_enter(p->b);
    leat_close(l);
}

/* FreeBSD 13 sends the key in the clear on the first contact; here it is searched for on the wire. */
static void a_psk_is_never_on_the_wire(void **state)
{
    struct pair *p = *state;
    struct leat_tcp_fastopen with = {.enable = 1};
    char path[] = "/tmp/leat-psk-XXXXXX";
    memcpy(with.psk, psk, 16);
    close(mkstemp(path));
    assert_int_equal(sim_pcap(p->sim, path), 0);
    int l = fast_listener(p, &with, sizeof(with));
    for (unsigned i = 0; i < 3; i++)
        exchange(p, l, &with, sizeof(with));
    set(p->a, "path_disable_time", "1");
    set(p->b, "server_enable", "0"); /* the path is disabled, and open again */
    exchange(p, l, &with, sizeof(with));
    sim_run_for(p->sim, 3 * NS_PER_SEC);
    set(p->b, "server_enable", "1");
    exchange(p, l, &with, sizeof(with));
    exchange(p, l, &with, sizeof(with));
    assert_int_equal(sim_pcap(p->sim, NULL), 0);
    static uint8_t capture[1 << 20];
    FILE *f = fopen(path, "r");
    size_t n = fread(capture, 1, sizeof(capture), f);
    fclose(f);
    unlink(path);
    assert_true(n > 1000 && n < sizeof(capture));
    assert_non_null(memmem(capture, n, "question", 8)); /* the search finds what is there */
    assert_null(memmem(capture, n, psk, 16));
    assert_null(memmem(capture, n, psk, 8));
    assert_null(memmem(capture, n, psk + 8, 7));
    sim_enter(p->b);
    leat_close(l);
}

/* Behind a router that spreads flows: b goes, and another server with the same keys takes its address. */
static void servers_with_the_same_keys_accept_each_others_cookies(void **state)
{
    struct pair *p = *state;
    int on = 1;
    set(p->b, "autokey", "0");
    set(p->b, "server_enable", "1");
    set(p->b, "setkey", KEY);
    int l = fast_listener(p, &on, sizeof(on));
    exchange(p, l, &on, sizeof(on));
    assert_int_equal(counter(p->b, "server_cookie_sent"), 1);
    set(p->b, "server_enable", "0"); /* all is forgotten, as in another process */
    set(p->b, "server_enable", "1");
    set(p->b, "setkey", KEY);
    exchange(p, l, &on, sizeof(on));
    assert_int_equal(counter(p->b, "passive_open"), 1);
    set(p->b, "server_enable", "0");
    set(p->b, "server_enable", "1");
    set(p->b, "setkey", "ff0102030405060708090a0b0c0d0e0f");
    exchange(p, l, &on, sizeof(on));
    assert_int_equal(counter(p->b, "passive_open"), 1);
    assert_int_equal(counter(p->b, "server_cookie_invalid"), 1);
    sim_enter(p->b);
    leat_close(l);
}

/* Linux's rule: who blocks waits for the handshake, though what is written goes with the SYN, and hears how it ended. */
static void msg_fastopen_waits_on_a_socket_that_blocks(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in in = addr_of_b(80);
    int on = 1, l = fast_listener(p, &on, sizeof(on));
    exchange(p, l, &on, sizeof(on)); /* a cookie */
    sim_enter(p->a);
    int a = leat_socket(AF_INET, SOCK_STREAM, 0);
    uint64_t begin = sim_now(p->sim);
    assert_int_equal(leat_sendto(a, "question", 8, MSG_FASTOPEN, (struct sockaddr *)&in, sizeof(in)), 8);
    assert_true(sim_now(p->sim) - begin >= 2 * NS_PER_MS);
    assert_int_equal(counter(p->a, "syn_data_acked"), 1);
    leat_close(a);
    sim_enter(p->b);
    leat_close(leat_accept(l, NULL, NULL));
    leat_close(l);
    sim_run_for(p->sim, NS_PER_SEC);
    sim_enter(p->a);
    a = leat_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(leat_sendto(a, "question", 8, MSG_FASTOPEN, (struct sockaddr *)&in, sizeof(in)), -1);
    assert_int_equal(errno, ECONNREFUSED);
    assert_int_equal(counter(p->a, "syn_data_sent"), 2);
    leat_close(a);
}

/* A connection that a SYN makes has that SYN in its black box, with its data. */
static void the_black_box_begins_with_the_syn(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in in = addr_of_b(80);
    struct tcp_log_buffer b[8];
    socklen_t len = sizeof(b);
    char err[200];
    int on = 1, l = fast_listener(p, &on, sizeof(on));
    exchange(p, l, &on, sizeof(on));
    sysctl_set_text(sim_engine(p->b)->sysctl, "net.inet.tcp.bb.log_auto_all", "1", err, sizeof(err));
    sysctl_set_text(sim_engine(p->b)->sysctl, "net.inet.tcp.bb.log_auto_ratio", "1", err, sizeof(err));
    sim_enter(p->a);
    int a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(a, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on));
    assert_int_equal(leat_sendto(a, "question", 8, 0, (struct sockaddr *)&in, sizeof(in)), 8);
    sim_run_for(p->sim, 100 * NS_PER_MS);
    sim_enter(p->b);
    int c = leat_accept(l, NULL, NULL);
    assert_int_equal(leat_getsockopt(c, IPPROTO_TCP, TCP_LOGBUF, b, &len), 0);
    assert_true(len >= 2 * sizeof(b[0]));
    assert_int_equal(b[0].tlb_eventid, TCP_LOG_IN);
    assert_int_equal(b[0].tlb_state, 3);     /* SYN_RECEIVED */
    assert_int_equal(b[0].tlb_th[13], 0x02); /* SYN */
    assert_int_equal(b[0].tlb_len, 8);
    leat_close(c);
    leat_close(l);
    sim_enter(p->a);
    leat_close(a);
}

/* RFC 7413 §4.1.3.1: a path that loses SYNs with data or option. */
static bool lose_long_syns(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    bool syn = len > 54 && (frame[14 + 20 + 13] & 2);
    return syn && (frame[14 + 20 + 12] >> 4) > 10;
}

static void a_black_hole_disables_the_path(void **state)
{
    struct pair *p = *state;
    struct sockaddr_in in = addr_of_b(80);
    int on = 1, l = fast_listener(p, &on, sizeof(on));
    sim_wire(p->link, p->a)->lose = lose_long_syns;
    sim_enter(p->a);
    int a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(a, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on));
    assert_int_equal(leat_sendto(a, "question", 8, 0, (struct sockaddr *)&in, sizeof(in)), 8);
    sim_run_for(p->sim, 2 * NS_PER_SEC);
    assert_int_equal(counter(p->a, "path_blackhole"), 1);
    leat_close(a);
    sim_enter(p->b);
    leat_close(leat_accept(l, NULL, NULL));
    exchange(p, l, &on, sizeof(on));
    assert_int_equal(counter(p->a, "path_skipped"), 1);
    sim_enter(p->b);
    leat_close(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_second_request_saves_a_round_trip, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(psk_on_both_sockets, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_psk_is_never_on_the_wire, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(servers_with_the_same_keys_accept_each_others_cookies, pair_setup,
                                        pair_teardown),
        cmocka_unit_test_setup_teardown(msg_fastopen_waits_on_a_socket_that_blocks, pair_setup,
                                        pair_teardown),
        cmocka_unit_test_setup_teardown(the_black_box_begins_with_the_syn, pair_setup, pair_teardown),
        cmocka_unit_test_setup_teardown(a_black_hole_disables_the_path, pair_setup, pair_teardown),
    };
    return cmocka_run_group_tests_name("fastopen", tests, NULL, NULL);
}
