// SPDX-License-Identifier: BSD-3-Clause
// Signed conversations between two hosts: both options, both families, loss, rollover, and what tcpdump says of the signatures.
#include "sim/fixture.h"
#include <arpa/inet.h>
#include <stdio.h>
#include <leat/tcp.h>
#include "sysctl/sysctl.h"

#define SIZE 200000
static uint8_t content[SIZE];

static uint64_t stat_of(struct sim_node *n, const char *name)
{
    char full[100], buf[32];
    snprintf(full, sizeof(full), "net.inet.tcp.stats.%s", name);
    assert_int_equal(sysctl_get_text(sim_engine(n)->sysctl, full, buf, sizeof(buf)), 0);
    return strtoull(buf, NULL, 10);
}

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&ss;
    struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
    in->sin_family = strchr(text, ':') ? AF_INET6 : AF_INET;
    assert_int_equal(inet_pton(in->sin_family, text,
                               in->sin_family == AF_INET6 ? (void *)&in6->sin6_addr : (void *)&in->sin_addr),
                     1);
    return ss;
}

static void md5(int fd, const char *peer, const char *key)
{
    struct tcp_md5sig o = {.tcpm_addr = address(peer), .tcpm_keylen = (uint16_t)strlen(key)};
    memcpy(o.tcpm_key, key, strlen(key));
    assert_int_equal(leat_setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &o, sizeof(o)), 0);
}

static void ao(int fd, const char *peer, const char *alg, uint8_t sndid, uint8_t rcvid, const char *key)
{
    struct leat_tcp_ao_add o = {
        .addr = address(peer), .sndid = sndid, .rcvid = rcvid, .keylen = (uint8_t)strlen(key)};
    o.prefix = o.addr.ss_family == AF_INET6 ? 128 : 32;
    snprintf(o.alg_name, sizeof(o.alg_name), "%s", alg);
    memcpy(o.key, key, strlen(key));
    assert_int_equal(leat_setsockopt(fd, IPPROTO_TCP, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o)), 0);
}

/* Sockets of a and b, not yet connected. */
struct ends {
    struct pair *p;
    bool v6;
    int a, listener, b;
};

static struct ends ends_new(struct pair *p, bool v6)
{
    struct ends e = {p, v6, -1, -1, -1};
    struct sockaddr_storage to = address(v6 ? "fd00::2" : "10.0.0.2");
    ((struct sockaddr_in *)&to)->sin_port = htons(179);
    sim_enter(p->b);
    e.listener = leat_socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_bind(e.listener, (struct sockaddr *)&to,
                               v6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in)),
                     0);
    assert_int_equal(leat_listen(e.listener, 5), 0);
    sim_enter(p->a);
    e.a = leat_socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    return e;
}

/* False: no connection came about within so many seconds. */
static bool ends_connect(struct ends *e, unsigned seconds)
{
    struct sockaddr_storage to = address(e->v6 ? "fd00::2" : "10.0.0.2");
    ((struct sockaddr_in *)&to)->sin_port = htons(179);
    sim_enter(e->p->a);
    assert_int_equal(leat_connect(e->a, (struct sockaddr *)&to, sizeof(struct sockaddr_in6)), -1);
    assert_int_equal(errno, EINPROGRESS);
    for (; seconds > 0 && e->b < 0; seconds--) {
        sim_run_for(e->p->sim, NS_PER_SEC);
        sim_enter(e->p->b);
        e->b = leat_accept4(e->listener, NULL, NULL, SOCK_NONBLOCK);
    }
    return e->b >= 0;
}

static void transfer(struct ends *e, size_t size)
{
    static uint8_t got[65536];
    uint64_t end = sim_now(e->p->sim) + 100 * NS_PER_SEC;
    size_t sent = 0, arrived = 0;
    while (arrived < size) {
        assert_true(sim_now(e->p->sim) < end);
        sim_enter(e->p->a);
        ssize_t n = sent < size ? leat_write(e->a, content + sent, size - sent) : 0;
        sent += n > 0 ? (size_t)n : 0;
        sim_run_for(e->p->sim, NS_PER_MS);
        sim_enter(e->p->b);
        while ((n = leat_read(e->b, got, sizeof(got))) > 0) {
            assert_memory_equal(got, content + arrived, n);
            arrived += (size_t)n;
        }
    }
}

static void ends_close(struct ends *e)
{
    sim_enter(e->p->a);
    leat_close(e->a);
    sim_enter(e->p->b);
    if (e->b >= 0)
        leat_close(e->b);
    leat_close(e->listener);
    sim_run_for(e->p->sim, NS_PER_SEC);
}

static const char *peer_of_a(const struct ends *e)
{
    return e->v6 ? "fd00::2" : "10.0.0.2";
}
static const char *peer_of_b(const struct ends *e)
{
    return e->v6 ? "fd00::1" : "10.0.0.1";
}

static void signed_transfer(struct pair *p, bool v6, const char *alg)
{
    struct ends e = ends_new(p, v6);
    sim_wire(p->link, p->a)->loss = sim_wire(p->link, p->b)->loss = 0.02;
    if (alg) {
        sim_enter(p->a);
        ao(e.a, peer_of_a(&e), alg, 1, 2, "a secret");
        sim_enter(p->b);
        ao(e.listener, peer_of_b(&e), alg, 2, 1, "a secret");
    } else {
        sim_enter(p->a);
        md5(e.a, peer_of_a(&e), "a secret");
        sim_enter(p->b);
        md5(e.listener, peer_of_b(&e), "a secret");
    }
    assert_true(ends_connect(&e, 20));
    transfer(&e, SIZE);
    assert_true(stat_of(p->b, alg ? "ao_good" : "sig_rcvgoodsig") > SIZE / 1460);
    assert_int_equal(stat_of(p->a, "ao_bad") + stat_of(p->b, "ao_bad"), 0);
    assert_int_equal(stat_of(p->a, "sig_rcvbadsig") + stat_of(p->b, "sig_rcvbadsig"), 0);
    ends_close(&e);
}

static void rfc2385_transfer_ipv4(void **state)
{
    signed_transfer(*state, false, NULL);
}
static void rfc2385_transfer_ipv6(void **state)
{
    signed_transfer(*state, true, NULL);
}
static void rfc5926_hmac_sha1_transfer_ipv4(void **state)
{
    signed_transfer(*state, false, "hmac(sha1)");
}
static void rfc5926_hmac_sha1_transfer_ipv6(void **state)
{
    signed_transfer(*state, true, "hmac(sha1)");
}
static void rfc5926_aes_cmac_transfer_ipv4(void **state)
{
    signed_transfer(*state, false, "cmac(aes128)");
}
static void rfc5926_aes_cmac_transfer_ipv6(void **state)
{
    signed_transfer(*state, true, "cmac(aes128)");
}
static void hmac_sha256_transfer(void **state)
{
    signed_transfer(*state, false, "hmac(sha256)");
}

static void another_key_connects_nobody(void **state)
{
    struct pair *p = *state;
    struct ends e = ends_new(p, false);
    sim_enter(p->a);
    md5(e.a, peer_of_a(&e), "one");
    sim_enter(p->b);
    md5(e.listener, peer_of_b(&e), "another");
    assert_false(ends_connect(&e, 3));
    assert_true(stat_of(p->b, "sig_rcvbadsig") > 0);
    ends_close(&e);
}

static void one_side_alone_connects_nobody(void **state)
{
    struct pair *p = *state;
    struct ends e = ends_new(p, false);
    sim_enter(p->a);
    ao(e.a, peer_of_a(&e), "hmac(sha1)", 1, 1, "x");
    assert_false(ends_connect(&e, 3));
    assert_true(stat_of(p->b, "ao_unexpected") > 0);
    ends_close(&e);
    e = ends_new(p, false);
    sim_enter(p->b);
    ao(e.listener, peer_of_b(&e), "hmac(sha1)", 1, 1, "x");
    assert_false(ends_connect(&e, 3));
    assert_true(stat_of(p->b, "ao_required") > 0);
    ends_close(&e);
}

/* RFC 5925 §7.5: a key is replaced under a transfer, and nothing is lost by it. */
static void rfc5925_7_5_rollover_under_load(void **state)
{
    struct pair *p = *state;
    struct ends e = ends_new(p, false);
    struct leat_tcp_ao_info_opt next = {.set_rnext = 1, .rnext = 12}, now;
    socklen_t len = sizeof(now);
    sim_enter(p->a);
    ao(e.a, peer_of_a(&e), "hmac(sha1)", 1, 2, "first");
    sim_enter(p->b);
    ao(e.listener, peer_of_b(&e), "hmac(sha1)", 2, 1, "first");
    assert_true(ends_connect(&e, 3));
    transfer(&e, SIZE);
    sim_enter(p->a);
    ao(e.a, peer_of_a(&e), "cmac(aes128)", 11, 12, "second");
    sim_enter(p->b);
    ao(e.b, peer_of_b(&e), "cmac(aes128)", 12, 11, "second");
    sim_enter(p->a);
    assert_int_equal(leat_setsockopt(e.a, IPPROTO_TCP, LEAT_TCP_AO_INFO, &next, sizeof(next)), 0);
    transfer(&e, SIZE);
    sim_enter(p->b);
    assert_int_equal(leat_getsockopt(e.b, IPPROTO_TCP, LEAT_TCP_AO_INFO, &now, &len), 0);
    assert_int_equal(now.current_key, 12);
    assert_int_equal(stat_of(p->a, "ao_bad") + stat_of(p->b, "ao_bad"), 0);
    assert_int_equal(stat_of(p->a, "rexmttimeo"), 0);
    ends_close(&e);
}

int main(void)
{
    for (unsigned i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 24);
#define TEST(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        TEST(rfc2385_transfer_ipv4),
        TEST(rfc2385_transfer_ipv6),
        TEST(rfc5926_hmac_sha1_transfer_ipv4),
        TEST(rfc5926_hmac_sha1_transfer_ipv6),
        TEST(rfc5926_aes_cmac_transfer_ipv4),
        TEST(rfc5926_aes_cmac_transfer_ipv6),
        TEST(hmac_sha256_transfer),
        TEST(another_key_connects_nobody),
        TEST(one_side_alone_connects_nobody),
        TEST(rfc5925_7_5_rollover_under_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
