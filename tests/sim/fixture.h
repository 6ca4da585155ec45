// SPDX-License-Identifier: BSD-3-Clause
// Two hosts joined by a wire, for tests of whole conversations in virtual time. setup/teardown suit cmocka_unit_test_setup_teardown().
#pragma once
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <leat/event.h>
#include <leat/leat.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sim/replay.h"

struct pair {
    struct sim *sim;
    struct sim_node *a, *b; /* 10.0.0.1, fd00::1 and 10.0.0.2, fd00::2 */
    struct sim_link *link;
};

static inline struct pair *pair_new(uint64_t seed, const struct sim_port_options *opt)
{
    struct pair *p = calloc(1, sizeof(*p));
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(sim_eal_init(256), 0);
    p->sim = sim_create(seed);
    assert_non_null(p->sim);
    world_made(p->sim);
    p->a = sim_host(p->sim, "a");
    p->b = sim_host(p->sim, "b");
    assert_non_null(p->a);
    assert_non_null(p->b);
    p->link = sim_link(p->sim, p->a, p->b, opt);
    assert_non_null(p->link);
    assert_int_equal(sim_addr(p->link, p->a, "10.0.0.1/24"), 0);
    assert_int_equal(sim_addr(p->link, p->b, "10.0.0.2/24"), 0);
    assert_int_equal(sim_addr(p->link, p->a, "fd00::1/64"), 0);
    assert_int_equal(sim_addr(p->link, p->b, "fd00::2/64"), 0);
    sim_wire(p->link, p->a)->delay_ns = sim_wire(p->link, p->b)->delay_ns = NS_PER_MS;
    return p;
}

/* Every buffer must have come back. */
static inline void pair_free(struct pair *p)
{
    assert_int_equal(sim_destroy(p->sim), 0);
    free(p);
}

static inline int pair_setup(void **state)
{
    *state = pair_new(1, NULL);
    return 0;
}

static inline int pair_teardown(void **state)
{
    pair_free(*state);
    return 0;
}

static inline struct sockaddr_in addr_of_b(uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    in.sin_addr.s_addr = htonl(0x0a000002);
    return in;
}

/* A listening socket of b. */
static inline int listen_b(struct pair *p, uint16_t port, int backlog)
{
    struct sockaddr_in in = addr_of_b(port);
    sim_enter(p->b);
    int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    assert_int_equal(leat_bind(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(leat_listen(fd, backlog), 0);
    return fd;
}

/* Connects a to the listener; both ends come back non-blocking. */
static inline void connect_pair(struct pair *p, int listener, uint16_t port, int *fd_a, int *fd_b)
{
    struct sockaddr_in in = addr_of_b(port);
    sim_enter(p->a);
    *fd_a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_connect(*fd_a, (struct sockaddr *)&in, sizeof(in)), -1);
    assert_int_equal(errno, EINPROGRESS);
    sim_run_for(p->sim, 10 * NS_PER_MS);
    sim_enter(p->b);
    *fd_b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    assert_true(*fd_b >= 0);
}
