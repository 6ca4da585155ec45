// SPDX-License-Identifier: BSD-3-Clause
// A program of one's own, tested in the simulator: the server of examples/minimal on one host, a client on another, and between them
// a wire that loses one packet in five. usage: simulated [seed]
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include <port/sim/sim.h>

static const struct sockaddr_in server = {
    .sin_family = AF_INET, .sin_port = 0x611e /* 7777 */, .sin_addr.s_addr = 0x0200000a /* 10.0.0.2 */};
static int listener, client;
static char got[64];
static size_t n_got;

static int serve(void *arg)
{
    int fd;
    while ((fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        leat_write(fd, "hello from leat\n", 16);
        leat_close(fd);
    }
    return 0;
}

static int ask(void *arg)
{
    ssize_t n = leat_read(client, got + n_got, sizeof(got) - n_got);
    n_got += n > 0 ? (size_t)n : 0;
    return 0;
}

static bool incomplete(void *arg)
{
    return n_got < 16;
}

int main(int argc, char **argv)
{
    if (sim_eal_init(256) < 0)
        return 1;
    struct sim *s = sim_create(argc > 1 ? strtoull(argv[1], NULL, 10) : 1);
    struct sim_node *a = sim_host(s, "client"), *b = sim_host(s, "server");
    struct sim_link *l = sim_link(s, a, b, NULL);
    sim_addr(l, a, "10.0.0.1/24");
    sim_addr(l, b, "10.0.0.2/24");
    *sim_wire(l, a) = *sim_wire(l, b) = (struct sim_wire){.delay_ns = 20 * NS_PER_MS, .loss = 0.2};

    sim_enter(b); /* leat_*() calls are b's now */
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(listener, (const struct sockaddr *)&server, sizeof(server)) < 0 ||
        leat_listen(listener, 5) < 0)
        return 1;
    sim_app(b, serve, NULL);
    sim_enter(a);
    client = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_connect(client, (const struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS)
        return 1;
    sim_app(a, ask, NULL);

    uint64_t began = sim_now(s);
    bool good = sim_run_while(s, incomplete, NULL, began + 600 * NS_PER_SEC) &&
                memcmp(got, "hello from leat\n", 16) == 0;
    printf("%s after %.6f s, %lu and %lu packets lost\n", good ? "came whole" : "did not come",
           (double)(sim_now(s) - began) / 1e9, sim_wire_stats(l, a)->lost, sim_wire_stats(l, b)->lost);
    return sim_destroy(s) != 0 || !good;
}
