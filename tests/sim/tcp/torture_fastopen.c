// SPDX-License-Identifier: BSD-3-Clause
// Fast Open on a bad wire: loss, reordering, duplicates. Requests and their echoes, one connection after the other from one address; every
// connection's bytes are right, the second one's too that a repeated SYN makes (RFC 7413 §6.1).
//   torture_fastopen [--seeds N] [--first S]
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include "port/sim/sim.h"
#include "sim/seeds.h"
#include "sysctl/sysctl.h"
#include "tcp/fastopen.h"

#define CONNS    6  /* of a seed */
#define SESSIONS 64 /* at a time, of the server */
#define BYTES    4000
#define LIMIT    (600 * NS_PER_SEC)

struct session { /* the server's */
    int fd;
    uint32_t got, sent;
    bool eof, used;
    uint8_t data[BYTES + 1]; /* the end of the stream fits as well */
};

static struct sim *sim;
static struct sim_node *client, *server;
static struct sockaddr_in to = {.sin_family = AF_INET};
static struct session sessions[SESSIONS];
static int listener, fd = -1;
static uint32_t conn, len, got; /* the client's */
static bool shut, wrong, failed;
static struct rng rng;
static uint64_t seed, failures, repeated, taken;

/* The first byte of a request says whose it is, so that a repeated one can be told apart. */
static uint8_t byte_at(uint32_t id, uint32_t i)
{
    return i == 0 ? (uint8_t)id : (uint8_t)(id * 31 + i * 7 + (i >> 8));
}

static void check(const char *who, uint32_t id, uint32_t from, const uint8_t *bytes, ssize_t n)
{
    for (ssize_t i = 0; i < n && !wrong; i++)
        if (bytes[i] != byte_at(id, from + (uint32_t)i)) {
            fprintf(stderr, "seed %lu: %s, connection %u: wrong byte at %zd\n", seed, who, id, from + i);
            wrong = true;
        }
}

static void serve(struct session *s)
{
    ssize_t n = 1;
    while (!s->eof && (n = leat_read(s->fd, s->data + s->got, sizeof(s->data) - s->got)) > 0) {
        check("server", s->data[0], s->got, s->data + s->got, n);
        s->got += (uint32_t)n;
    }
    s->eof |= n == 0;
    bool broken = n < 0 && errno != EAGAIN;
    while (!broken && s->sent < s->got) {
        n = leat_send(s->fd, s->data + s->sent, s->got - s->sent, MSG_NOSIGNAL);
        if (n <= 0) {
            broken = errno != EAGAIN;
            break;
        }
        s->sent += (uint32_t)n;
    }
    if (broken || (s->eof && s->sent == s->got)) {
        leat_close(s->fd);
        s->used = false;
    }
}

static int server_loop(void *arg)
{
    int new;
    while ((new = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct session *s = sessions;
        while (s < sessions + SESSIONS && s->used)
            s++;
        if (s == sessions + SESSIONS) {
            leat_close(new);
            continue;
        }
        *s = (struct session){.fd = new, .used = true};
    }
    for (unsigned i = 0; i < SESSIONS; i++)
        if (sessions[i].used)
            serve(&sessions[i]);
    return 0;
}

static void client_open(void)
{
    uint8_t request[BYTES];
    int on = 1;
    len = 1 + rng_below(&rng, BYTES);
    got = 0;
    shut = failed = false;
    for (uint32_t i = 0; i < len; i++)
        request[i] = byte_at(conn, i);
    sim_enter(client);
    fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(fd, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on));
    if (leat_sendto(fd, request, len, 0, (struct sockaddr *)&to, sizeof(to)) != (ssize_t)len) {
        fprintf(stderr, "seed %lu: sendto: %s\n", seed, strerror(errno));
        wrong = true;
    }
}

static int client_loop(void *arg)
{
    uint8_t buf[BYTES];
    if (fd < 0)
        return 0;
    if (!shut && leat_shutdown(fd, SHUT_WR) == 0)
        shut = true;
    ssize_t n;
    while ((n = leat_read(fd, buf, sizeof(buf))) > 0) {
        check("client", conn, got, buf, n);
        got += (uint32_t)n;
    }
    if (n < 0 && errno == EAGAIN)
        return 0;
    failed = n < 0 || got != len;
    if (n == 0 && got != len) {
        fprintf(stderr, "seed %lu: connection %u: %u of %u bytes came back\n", seed, conn, got, len);
        wrong = true;
    }
    leat_close(fd);
    fd = -1;
    return 0;
}

static bool going_on(void *arg)
{
    return fd >= 0 && !wrong;
}

static void bad_wire(struct sim_wire *w)
{
    w->delay_ns = (1 + rng_below(&rng, 30)) * NS_PER_MS;
    w->jitter_ns = rng_below(&rng, 20) * NS_PER_MS;
    w->loss = 0.2;
    w->duplicate = 0.2;
    w->reorder = 0.2;
    w->reorder_ns = rng_below(&rng, 2000) * NS_PER_MS;
    w->duplicate_ns = 5 * NS_PER_SEC; /* a SYN may come again after its connection has ended */
}

static void set(struct sim_node *n, const char *name, const char *value)
{
    char err[200];
    if (sysctl_set_text(sim_engine(n)->sysctl, name, value, err, sizeof(err)) < 0) {
        fprintf(stderr, "%s\n", err);
        exit(1);
    }
}

static void set_up(void)
{
    int on = 16;
    rng_seed(&rng, seed);
    sim = sim_create(seed);
    if (getenv("PCAP"))
        sim_pcap(sim, getenv("PCAP"));
    client = sim_host(sim, "client");
    server = sim_host(sim, "server");
    struct sim_link *l = sim_link(sim, client, server, NULL);
    sim_addr(l, client, "10.0.0.1/24");
    sim_addr(l, server, "10.0.0.2/24");
    set(server, "net.inet.tcp.fastopen.server_enable", "1");
    set(server, "net.inet.tcp.msl", "100"); /* TIME-WAIT is over before late SYNs come */
    set(client, "net.inet.tcp.fastopen.path_disable_time", "1");
    memset(sessions, 0, sizeof(sessions));
    to.sin_port = htons(80);
    to.sin_addr.s_addr = htonl(0x0a000002);
    sim_enter(server);
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_setsockopt(listener, IPPROTO_TCP, TCP_FASTOPEN, &on, sizeof(on));
    leat_bind(listener, (struct sockaddr *)&to, sizeof(to));
    leat_listen(listener, 64);
    sim_app(server, server_loop, NULL);
    sim_app(client, client_loop, NULL);
    bad_wire(sim_wire(l, client));
    bad_wire(sim_wire(l, server));
}

static bool run(void)
{
    wrong = false;
    set_up();
    for (conn = 1; conn <= CONNS && !wrong; conn++) {
        client_open();
        uint64_t until = sim_now(sim) + LIMIT;
        while (fd >= 0 && !wrong && sim_now(sim) < until) {
            uint64_t next = sim_now(sim) + 10 * NS_PER_MS;
            sim_run_while(sim, going_on, NULL, next);
            sim_app(client, client_loop, NULL);
            sim_app(server, server_loop, NULL);
        }
        if (fd >= 0 && !wrong) {
            fprintf(stderr, "seed %lu: connection %u stalled\n", seed, conn);
            wrong = true;
        }
        failures += failed; /* a handshake may run out of tries, in all honesty */
        sim_run_for(sim, 3 * NS_PER_SEC);
    }
    taken += sim_engine(server)->tcp->fastopen->stats.syn_data_received;
    repeated += sim_engine(server)->tcp->fastopen->stats.syn_repeated;
    fd = -1;
    int64_t leaks = sim_destroy(sim);
    if (leaks)
        fprintf(stderr, "seed %lu: %ld buffers did not come back\n", seed, leaks);
    return !wrong && leaks == 0;
}

int main(int argc, char **argv)
{
    struct seeds asked = seeds_asked(argc, argv, 50);
    uint64_t bad = 0;
    signal(SIGPIPE, SIG_IGN);
    if (sim_eal_init(256) < 0)
        return 1;
    for (seed = asked.first; seed < asked.first + asked.n; seed++)
        bad += !run();
    printf("%lu seeds of %d connections, %lu failed; SYNs with data taken %lu, of these repeated %lu; "
           "connections that ran out of tries %lu\n",
           asked.n, CONNS, bad, taken, repeated, failures);
    if (asked.n >= 50 && repeated == 0)
        fprintf(stderr, "no SYN came again after its connection had ended: the wire does not do its work\n");
    return bad != 0 || taken == 0 || (asked.n >= 50 && repeated == 0);
}
