// SPDX-License-Identifier: BSD-3-Clause
// Path MTU discovery from end to end: RFC 1191, RFC 8201. A router in the middle takes 1300 bytes and says
// so.
#include "sim/fixture.h"
#include "ip/priv.h"

enum { SIZE = 300000 };
static uint8_t content[SIZE];

struct flow {
    int a, b;
    size_t sent, got;
};

static struct sockaddr_in6 address_of_b(bool v6, uint16_t port)
{
    struct sockaddr_in6 in = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    struct ip_addr b;
    assert_int_equal(ip_addr_parse(v6 ? "fd00::2" : "::ffff:10.0.0.2", &b), 0);
    memcpy(&in.sin6_addr, b.b, 16);
    return in;
}

static int listen_both(struct pair *p)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    int off = 0;
    sim_enter(p->b);
    int fd = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)), 0);
    assert_int_equal(leat_bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
    assert_int_equal(leat_listen(fd, 5), 0);
    return fd;
}

static struct flow flow_new(struct pair *p, int listener, bool v6)
{
    struct sockaddr_in6 to = address_of_b(v6, 80);
    struct flow f = {0};
    int off = 0;
    sim_enter(p->a);
    f.a = leat_socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(f.a, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    assert_int_equal(leat_connect(f.a, (struct sockaddr *)&to, sizeof(to)), -1);
    assert_int_equal(errno, EINPROGRESS);
    sim_run_for(p->sim, 10 * NS_PER_MS);
    sim_enter(p->b);
    f.b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(f.b >= 0);
    return f;
}

/* SIZE bytes from a to b, within 20 s. */
static void transfer(struct pair *p, struct flow *f)
{
    static uint8_t got[65536];
    uint64_t end = sim_now(p->sim) + 20 * NS_PER_SEC;
    f->sent = f->got = 0;
    while (f->got < SIZE) {
        assert_true(sim_now(p->sim) < end);
        sim_enter(p->a);
        ssize_t n = f->sent < SIZE ? leat_write(f->a, content + f->sent, SIZE - f->sent) : 0;
        f->sent += n > 0 ? (size_t)n : 0;
        sim_run_for(p->sim, NS_PER_MS);
        sim_enter(p->b);
        while ((n = leat_read(f->b, got, sizeof(got))) > 0) {
            assert_memory_equal(got, content + f->got, n);
            f->got += (size_t)n;
        }
    }
}

static void flow_close(struct pair *p, struct flow *f)
{
    sim_enter(p->a);
    leat_close(f->a);
    sim_enter(p->b);
    leat_close(f->b);
}

static uint32_t mtu_to_b(struct pair *p, bool v6)
{
    struct engine *e = sim_engine(p->a);
    struct sockaddr_in6 b = address_of_b(v6, 0);
    struct ip_addr dst = ip_addr_v6(&b.sin6_addr), src;
    struct ip_path path;
    assert_int_equal(ip_source(e, &dst, 0, &src), 0);
    assert_int_equal(ip_path_find(e, &src, &dst, 0, &path), 0);
    return path.mtu;
}

/* The largest packet on the wire from now on. */
static bool note_largest(void *largest, uint64_t n, const uint8_t *frame, uint32_t len)
{
    if (len > *(uint32_t *)largest)
        *(uint32_t *)largest = len;
    return false;
}

static void smaller_path(struct pair *p, bool v6)
{
    int listener = listen_both(p);
    struct flow f = flow_new(p, listener, v6), other = flow_new(p, listener, v6);
    struct sim_wire *wire = sim_wire(p->link, p->a);
    const struct ip_stats *st = &sim_engine(p->a)->ip->stats;
    uint32_t largest = 0;

    assert_int_equal(mtu_to_b(p, v6), 1500);
    wire->path_mtu = 1300;
    transfer(p, &f);
    assert_int_equal(mtu_to_b(p, v6), 1300);
    assert_true(st->icmp_in_error > 0);

    uint64_t errors = st->icmp_in_error; /* the other connection knows without being told */
    transfer(p, &other);
    assert_int_equal(st->icmp_in_error, errors);
    assert_int_equal(st->cantfrag, 0);

    wire->path_mtu =
        0; /* the narrow link has gone: after ten minutes larger ones are tried (RFC 1191 §6.3) */
    sim_run_for(p->sim, 601 * NS_PER_SEC);
    assert_int_equal(mtu_to_b(p, v6), 1500);
    wire->lose = note_largest;
    wire->lose_arg = &largest;
    transfer(p, &f);
    assert_int_equal(largest, 1514);
    wire->lose = NULL;
    flow_close(p, &f);
    flow_close(p, &other);
    sim_enter(p->b);
    leat_close(listener);
}

static void rfc1191_smaller_path_is_found_kept_and_forgotten(void **state)
{
    smaller_path(*state, false);
}

static void rfc8201_smaller_path_is_found_kept_and_forgotten(void **state)
{
    smaller_path(*state, true);
}

int main(void)
{
    for (unsigned i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 24);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rfc1191_smaller_path_is_found_kept_and_forgotten, pair_setup,
                                        pair_teardown),
        cmocka_unit_test_setup_teardown(rfc8201_smaller_path_is_found_kept_and_forgotten, pair_setup,
                                        pair_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
