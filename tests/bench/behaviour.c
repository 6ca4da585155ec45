// SPDX-License-Identifier: BSD-3-Clause
// How the congestion controls behave, in the simulator's virtual time. One line of numbers for each measurement, blanks between:
//   behaviour goodput STACK CC random|periodic LOSS RTT_MS EVENTS   goodput, window, share of packets that were lost, timeouts; over so many losses
//   behaviour pair CC CC RATE_MBPS RTT_MS QUEUE SECONDS       two flows through one queue: their goodputs, Jain's index
//   behaviour burst CC RATE_MBPS RTT_MS LOST                  that many segments lost at once: time until all is repaired
//   behaviour trace CC RATE_MBPS RTT_MS QUEUE SECONDS         time, window and smoothed round trip time of one flow
//   behaviour flows STACK LOSS RTT_MS BYTES COUNT             transfers one after the other: their times (50, 90, 99 percent, ms), timeouts; of the slowest percent: segments lost of each, share with a timeout
//   behaviour tail STACK RTT_MS SEGMENTS COUNT                each loses its last segment: share repaired without a timeout, and within two round trips and 40 ms of the last ACK
//   behaviour reorder STACK RTT_MS PART SECONDS               segments overtake by that part of the round trip: share sent again for nothing
//   behaviour policed STACK paced|unpaced RATE_MBPS RTT_MS BUCKET_KB PART SECONDS   a policer; each four seconds that part of its rate is to be sent (0: as fast as it goes): share sent again, Mbit/s, timeouts
// docs/congestion.md and docs/rack.md have the plots that tests/bench/behaviour.py draws of them.
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include <leat/sysctl.h>
#include <leat/tcp.h>
#include "port/sim/sim.h"

#define PORT     5001
#define MSS      1448
#define FLOWS    2
#define BUFFERS  (64 << 20)
#define CHUNK_NS (4 * NS_PER_SEC)

static struct world {
    struct sim *sim;
    struct sim_node *client, *server;
    struct sim_link *link;
    struct sim_wire *out; /* from client to server, where data goes */
    unsigned flows;
    int from[FLOWS], to[FLOWS], listener;
    uint64_t received[FLOWS];
    uint64_t target;
    bool open;         /* all connections are there */
    uint64_t to_write; /* bytes that a flow writes in all; 0: without end */
    uint64_t written;
} w;

static char buf[1 << 18];

static void die(const char *what)
{
    fprintf(stderr, "behaviour: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- hosts ---- */

static int server_loop(void *arg)
{
    for (unsigned i = 0; i < w.flows; i++) {
        if (w.to[i] < 0)
            w.to[i] = leat_accept4(w.listener, NULL, NULL, SOCK_NONBLOCK);
        ssize_t n = 0;
        while (w.to[i] >= 0 && (n = leat_read(w.to[i], buf, sizeof(buf))) > 0)
            w.received[i] += (uint64_t)n;
    }
    return 0;
}

static int client_loop(void *arg)
{
    for (unsigned i = 0; i < w.flows; i++) {
        ssize_t n = 1;
        while (w.from[i] >= 0 && n > 0) {
            size_t most = w.to_write ? w.to_write - w.written : sizeof(buf);
            n = most ? leat_write(w.from[i], buf, most < sizeof(buf) ? most : sizeof(buf)) : 0;
            w.written += n > 0 ? (uint64_t)n : 0;
        }
    }
    return 0;
}

static void set_text(struct sim_node *n, const char *name, const char *value)
{
    sim_enter(n);
    if (leat_sysctlbyname(name, NULL, NULL, value, strlen(value)) < 0)
        die(name);
}

static void set_number(struct sim_node *n, const char *name, uint32_t value)
{
    sim_enter(n);
    if (leat_sysctlbyname(name, NULL, NULL, &value, sizeof(value)) < 0)
        die(name);
}

/* Buffers never are the limit, and no window is too large for a turn. */
static void unlimited(struct sim_node *n)
{
    uint32_t most = BUFFERS, large = BUFFERS / 2;
    uint64_t all = UINT64_C(1) << 30;
    sim_enter(n);
    if (leat_sysctlbyname("kern.ipc.maxsockbuf", NULL, NULL, &most, sizeof(most)) < 0 ||
        leat_sysctlbyname("net.inet.tcp.sendspace", NULL, NULL, &large, sizeof(large)) < 0 ||
        leat_sysctlbyname("net.inet.tcp.recvspace", NULL, NULL, &large, sizeof(large)) < 0 ||
        leat_sysctlbyname("net.inet.tcp.sendbytes_max", NULL, NULL, &all, sizeof(all)) < 0 ||
        leat_sysctlbyname("net.inet.tcp.recvbytes_max", NULL, NULL, &all, sizeof(all)) < 0)
        die("sysctl");
}

/* Of packets; to take it costs more time than many a short measurement. */
static unsigned megabytes;

static void world_make(uint64_t seed, double rtt_ms, double rate_mbps, unsigned queue)
{
    memset(&w, 0, sizeof(w));
    for (unsigned i = 0; i < FLOWS; i++)
        w.from[i] = w.to[i] = -1;
    if (sim_eal_init(megabytes) < 0 || !(w.sim = sim_create(seed)))
        die("simulator");
    w.client = sim_host(w.sim, "client");
    w.server = sim_host(w.sim, "server");
    struct sim_link *l = sim_link(w.sim, w.client, w.server, NULL);
    if (!l || sim_addr(l, w.client, "10.0.0.1/24") < 0 || sim_addr(l, w.server, "10.0.0.2/24") < 0)
        die("link");
    w.link = l;
    w.out = sim_wire(l, w.client);
    w.out->delay_ns = sim_wire(l, w.server)->delay_ns = (uint64_t)(rtt_ms / 2 * 1e6);
    w.out->rate_bps = (uint64_t)(rate_mbps * 1e6);
    w.out->queue_packets = queue;
    unlimited(w.client);
    unlimited(w.server);
    sim_enter(w.server);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(PORT)};
    w.listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(w.listener, (struct sockaddr *)&any, sizeof(any)) < 0 || leat_listen(w.listener, 8) < 0)
        die("listen");
    sim_app(w.server, server_loop, NULL);
    sim_app(w.client, client_loop, NULL);
}

static void flow_start(const char *cc)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(PORT), .sin_addr.s_addr = htonl(0x0a000002)};
    sim_enter(w.client);
    int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, cc, (socklen_t)strlen(cc)) < 0)
        die(cc);
    if (leat_connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        die("connect");
    w.from[w.flows++] = fd;
}

static struct leat_tcp_info info(unsigned flow)
{
    struct leat_tcp_info i;
    socklen_t len = sizeof(i);
    sim_enter(w.client);
    if (leat_getsockopt(w.from[flow], IPPROTO_TCP, TCP_INFO, &i, &len) < 0)
        die("TCP_INFO");
    return i;
}

/* Of the client. */
static uint64_t counter(const char *name)
{
    char full[64];
    uint64_t v = 0;
    size_t len = sizeof(v);
    snprintf(full, sizeof(full), "net.inet.tcp.stats.%s", name);
    sim_enter(w.client);
    if (leat_sysctlbyname(full, &v, &len, NULL, 0) < 0)
        die(full);
    return v;
}

static void finish(void)
{
    for (unsigned i = 0; i < w.flows; i++) {
        sim_enter(w.client);
        leat_close(w.from[i]);
        sim_enter(w.server);
        if (w.to[i] >= 0)
            leat_close(w.to[i]);
    }
    if (sim_destroy(w.sim) != 0) {
        fprintf(stderr, "behaviour: packet buffers were lost\n");
        exit(1);
    }
}

/* ---- goodput for a chance of loss ---- */

static struct loss {
    double every; /* packets between losses */
    double next;
    uint64_t data, lost;
} loss;

/* Every 1/p-th data segment: the model of RFC 9438 §5 and of Mathis. */
static bool lose_periodic(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    if (len < 200 || (double)++loss.data < loss.next)
        return false;
    loss.next += loss.every;
    loss.lost++;
    return true;
}

static bool going_on(void *arg)
{
    return w.received[0] < w.target;
}

static int goodput(char **a)
{
    const char *stack = a[0], *cc = a[1];
    bool periodic = strcmp(a[2], "periodic") == 0;
    double p = atof(a[3]), rtt_ms = atof(a[4]), events = atof(a[5]);
    world_make(1, rtt_ms, 0, 0);
    set_text(w.client, "net.inet.tcp.functions_default", stack);
    set_number(w.server, "net.inet.tcp.delayed_ack", 0); /* every segment is acknowledged, as in the models */
    loss = (struct loss){.every = 1 / p, .next = 1 / p};
    if (periodic)
        w.out->lose = lose_periodic;
    else
        w.out->loss = p;
    flow_start(cc);
    w.target = (uint64_t)(events / 10 / p) * MSS; /* slow start and the first losses do not count */
    sim_run_while(w.sim, going_on, NULL, UINT64_MAX / 2);
    uint64_t t0 = sim_now(w.sim), b0 = w.received[0];
    struct sim_wire_stats s0 = *sim_wire_stats(w.link, w.client);
    w.target += (uint64_t)(events / p) * MSS;
    sim_run_while(w.sim, going_on, NULL, UINT64_MAX / 2);
    double seconds = (double)(sim_now(w.sim) - t0) / 1e9;
    double rate = (double)(w.received[0] - b0) / MSS / seconds;
    const struct sim_wire_stats *s1 = sim_wire_stats(w.link, w.client);
    double happened = (double)(s1->lost - s0.lost) / (double)(s1->packets - s0.packets);
    printf("%s %s %s %g %g %.3f %.2f %.6f %llu\n", stack, cc, a[2], p, rtt_ms, rate * MSS * 8 / 1e6,
           rate * rtt_ms / 1e3, happened, (unsigned long long)counter("rexmttimeo"));
    finish();
    return 0;
}

/* ---- two flows ---- */

/* Marks instead of losses, from a short queue on (RFC 8257 §4.1). */
static void mark(void)
{
    uint32_t on = 1;
    struct sim_node *both[] = {w.client, w.server};
    for (unsigned i = 0; i < 2; i++) {
        sim_enter(both[i]);
        if (leat_sysctlbyname("net.inet.tcp.ecn.enable", NULL, NULL, &on, sizeof(on)) < 0 ||
            leat_sysctlbyname("net.inet.tcp.cc.algorithm", NULL, NULL, "dctcp", 5) < 0)
            die("sysctl");
    }
    w.out->aqm = SIM_RED;
    w.out->ecn = true;
    w.out->red_min = w.out->red_max = 20;
}

static int pair(char **a)
{
    double rate = atof(a[2]), rtt_ms = atof(a[3]), seconds = atof(a[5]);
    world_make(1, rtt_ms, rate, (unsigned)atoi(a[4]));
    if (strcmp(a[0], "dctcp") == 0)
        mark();
    flow_start(a[0]);
    sim_run_for(w.sim, (uint64_t)(seconds * 1e8)); /* a tenth of the time alone */
    flow_start(a[1]);
    sim_run_for(w.sim, (uint64_t)(seconds * 4e8));
    uint64_t b0 = w.received[0], b1 = w.received[1];
    sim_run_for(w.sim, (uint64_t)(seconds * 5e8));
    double x = (double)(w.received[0] - b0), y = (double)(w.received[1] - b1);
    double jain = (x + y) * (x + y) / (2 * (x * x + y * y));
    printf("%s %s %g %g %s %.2f %.2f %.4f\n", a[0], a[1], rate, rtt_ms, a[4], x * 16 / seconds / 1e6,
           y * 16 / seconds / 1e6, jain);
    finish();
    return 0;
}

/* ---- many segments lost at once ---- */

static struct burst {
    bool on;
    unsigned left;
    uint64_t at; /* of the last loss */
} burst;

static bool lose_burst(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    if (!burst.on || burst.left == 0 || len < 200)
        return false;
    burst.left--;
    burst.at = sim_now(w.sim);
    return true;
}

static bool unrepaired(void *arg)
{
    return w.received[0] < w.target;
}

static int burst_loss(char **a)
{
    double rate = atof(a[1]), rtt_ms = atof(a[2]);
    unsigned lost = (unsigned)atoi(a[3]);
    world_make(1, rtt_ms, rate, (unsigned)(2 * rate * 1e6 / 8 * rtt_ms / 1e3 / 1500) + 50);
    w.out->lose = lose_burst;
    flow_start(a[0]);
    sim_run_for(w.sim, (uint64_t)(100 * rtt_ms * 1e6) + 2 * NS_PER_SEC);
    uint32_t flight = info(0).tcpi_unacked;
    burst = (struct burst){.on = true, .left = lost};
    /* Everything that was in flight at the loss, and what was lost with it, has arrived. */
    w.target = w.received[0] + ((uint64_t)flight + lost) * MSS;
    uint64_t began = sim_now(w.sim);
    sim_run_while(w.sim, unrepaired, NULL, began + 600 * NS_PER_SEC);
    struct leat_tcp_info i = info(0);
    printf("%s %g %g %u %u %.2f %u\n", a[0], rate, rtt_ms, lost, flight,
           (double)(sim_now(w.sim) - burst.at) / 1e6 / rtt_ms, i.tcpi_total_retrans);
    finish();
    return 0;
}

/* ---- a window over time ---- */

static int trace(char **a)
{
    double rate = atof(a[1]), rtt_ms = atof(a[2]), seconds = atof(a[4]);
    world_make(1, rtt_ms, rate, (unsigned)atoi(a[3]));
    flow_start(a[0]);
    for (unsigned i = 0; i < 1000; i++) {
        sim_run_for(w.sim, (uint64_t)(seconds * 1e6));
        struct leat_tcp_info t = info(0);
        printf("%.4f %u %.3f\n", (i + 1) * seconds / 1000, t.tcpi_snd_cwnd, t.tcpi_rtt / 1e3);
    }
    finish();
    return 0;
}

/* ---- stacks against each other ---- */

/* A world whose client has that stack, and where no connection learns from the one before. */
static void world_of(const char *stack, uint64_t seed, double rtt_ms)
{
    world_make(seed, rtt_ms, 0, 0);
    set_text(w.client, "net.inet.tcp.functions_default", stack);
    set_number(w.client, "net.inet.tcp.hostcache.enable", 0);
    set_number(w.client, "net.inet.tcp.msl", 10);
    set_number(w.server, "net.inet.tcp.msl", 10);
}

static bool connecting(void *arg)
{
    return w.to[0] < 0;
}

/* One transfer of so many bytes on a connection of its own, without loss until it is open. ns. */
static uint64_t transfer(uint64_t bytes, double p, bool (*lose)(void *, uint64_t, const uint8_t *, uint32_t))
{
    w.flows = 0;
    w.from[0] = w.to[0] = -1;
    w.to_write = w.written = bytes; /* nothing yet */
    w.received[0] = 0;
    w.out->loss = 0;
    w.out->lose = NULL;
    flow_start("cubic");
    sim_run_while(w.sim, connecting, NULL, sim_now(w.sim) + 60 * NS_PER_SEC);
    w.out->loss = p;
    w.out->lose = lose;
    w.written = 0;
    w.target = bytes;
    uint64_t began = sim_now(w.sim);
    sim_app(w.client, client_loop, NULL);
    sim_run_while(w.sim, going_on, NULL, began + 600 * NS_PER_SEC);
    uint64_t took = sim_now(w.sim) - began;
    w.out->loss = 0;
    w.out->lose = NULL;
    sim_enter(w.server);
    leat_close(w.to[0]);
    sim_enter(w.client);
    leat_close(w.from[0]);
    w.from[0] = w.to[0] = -1;
    w.flows = 0;
    sim_run_for(w.sim, 100 * NS_PER_MS + (uint64_t)(4 * w.out->delay_ns));
    return took;
}

struct flow {
    uint64_t ns;
    unsigned lost, timeouts;
};

static int ascending(const void *a, const void *b)
{
    const struct flow *x = a, *y = b;
    return x->ns < y->ns ? -1 : x->ns > y->ns;
}

/* The slowest percent: mean number of segments lost, share of flows with a timeout. */
static void slowest(const struct flow *f, unsigned n)
{
    double lost = 0, late = 0;
    unsigned first = n * 99 / 100;
    for (unsigned i = first; i < n; i++) {
        lost += f[i].lost;
        late += f[i].timeouts > 0;
    }
    printf(" %.2f %.2f\n", lost / (n - first), late / (n - first));
}

static int flows(char **a)
{
    double p = atof(a[1]), rtt_ms = atof(a[2]);
    unsigned n = (unsigned)atoi(a[4]);
    struct flow *f = calloc(n, sizeof(*f));
    world_of(a[0], 1, rtt_ms);
    for (unsigned i = 0; f && i < n; i++) {
        uint64_t lost = sim_wire_stats(w.link, w.client)->lost, timeouts = counter("rexmttimeo");
        f[i].ns = transfer(strtoull(a[3], NULL, 10), p, NULL);
        f[i].lost = (unsigned)(sim_wire_stats(w.link, w.client)->lost - lost);
        f[i].timeouts = (unsigned)(counter("rexmttimeo") - timeouts);
    }
    qsort(f, n, sizeof(*f), ascending);
    printf("%s %g %g %s %u %.2f %.2f %.2f %llu", a[0], p, rtt_ms, a[3], n, (double)f[n / 2].ns / 1e6,
           (double)f[n * 9 / 10].ns / 1e6, (double)f[n * 99 / 100].ns / 1e6,
           (unsigned long long)counter("rexmttimeo"));
    slowest(f, n);
    free(f);
    finish();
    return 0;
}

static struct tail {
    unsigned data, last; /* data segments seen, number of the one to lose */
    uint64_t lost_at, again_at, acked_at;
} tail;

static bool lose_last(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    if (len < 200)
        return false;
    if (++tail.data == tail.last) {
        tail.lost_at = sim_now(w.sim);
        return true;
    }
    if (tail.data > tail.last && tail.again_at == 0)
        tail.again_at = sim_now(w.sim);
    return false;
}

/* When the last ACK before the retransmission arrived. */
static bool watch_acks(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    uint64_t arrives = sim_now(w.sim) + w.out->delay_ns;
    if (tail.lost_at && !tail.again_at)
        tail.acked_at = arrives;
    return false;
}

static int tail_loss(char **a)
{
    double rtt_ms = atof(a[1]);
    unsigned segments = (unsigned)atoi(a[2]), n = (unsigned)atoi(a[3]), without = 0, in_time = 0;
    double sum = 0;
    world_of(a[0], 1, rtt_ms);
    sim_wire(w.link, w.server)->lose = watch_acks;
    for (unsigned i = 0; i < n; i++) {
        /* Up to two segments fewer or more: the last one is not always one whose ACK is delayed. */
        unsigned s = segments + i % 5 > 2 ? segments + i % 5 - 2 : 1;
        uint64_t timeouts = counter("rexmttimeo");
        tail = (struct tail){.last = s};
        transfer((uint64_t)s * MSS, 0, lose_last);
        uint64_t from = tail.acked_at && tail.acked_at < tail.again_at ? tail.acked_at : tail.lost_at;
        double ms = (double)(tail.again_at - from) / 1e6;
        bool timeout = counter("rexmttimeo") != timeouts;
        without += !timeout;
        in_time += !timeout && ms <= 2 * rtt_ms + 40; /* of a delayed ACK */
        sum += ms / rtt_ms;
    }
    printf("%s %g %u %u %.4f %.4f %.3f\n", a[0], rtt_ms, segments, n, (double)without / n,
           (double)in_time / n, sum / n);
    finish();
    return 0;
}

static int reorder(char **a)
{
    double rtt_ms = atof(a[1]), part = atof(a[2]), seconds = atof(a[3]);
    world_of(a[0], 1, rtt_ms);
    w.out->rate_bps = 20 * 1000 * 1000;
    w.out->queue_packets = 10000;
    flow_start("cubic");
    sim_run_for(w.sim, NS_PER_SEC);
    w.out->reorder = 0.05;
    w.out->reorder_ns = (uint64_t)(rtt_ms * 1e6 * part);
    sim_run_for(w.sim, (uint64_t)(seconds * 1e9));
    struct leat_tcp_info i = info(0);
    uint64_t sent = i.tcpi_bytes_sent / MSS;
    printf("%s %g %g %.6f %u %.2f\n", a[0], rtt_ms, part, (double)i.tcpi_total_retrans / (double)sent,
           i.tcpi_total_retrans, (double)w.received[0] * 8 / (seconds + 1) / 1e6);
    finish();
    return 0;
}

/* Video: four seconds of it, then the next four, each asked for when it is time; the rest of the time nothing is sent. */
static void chunks(double seconds, uint64_t bytes)
{
    uint64_t end = sim_now(w.sim) + (uint64_t)(seconds * 1e9);
    w.to_write = bytes;
    for (uint64_t next = sim_now(w.sim); next < end; next += CHUNK_NS) {
        w.written = 0;
        sim_app(w.client, client_loop, NULL);
        sim_run_until(w.sim, next + CHUNK_NS);
    }
}

static int policed(char **a)
{
    double rate = atof(a[2]), rtt_ms = atof(a[3]), part = atof(a[5]), seconds = atof(a[6]);
    bool pace = strcmp(a[1], "paced") == 0;
    world_of(a[0], 1, rtt_ms);
    if (strcmp(a[0], "rack") == 0)
        set_number(w.client, "net.inet.tcp.rack.use_pacing", pace);
    w.out->rate_bps = 1000 * 1000 * 1000;
    w.out->police_bps = (uint64_t)(rate * 1e6);
    w.out->police_bytes = (uint32_t)(atof(a[4]) * 1e3);
    flow_start("cubic");
    if (part > 0)
        chunks(seconds, (uint64_t)(rate * 1e6 / 8 * part * CHUNK_NS / 1e9));
    else
        sim_run_for(w.sim, (uint64_t)(seconds * 1e9));
    struct leat_tcp_info i = info(0);
    double sent = (double)i.tcpi_bytes_sent / MSS;
    printf("%s %s %g %g %s %g %.6f %.2f %llu\n", a[0], a[1], rate, rtt_ms, a[4], part,
           (double)i.tcpi_total_retrans / sent, (double)w.received[0] * 8 / seconds / 1e6,
           (unsigned long long)counter("rexmttimeo"));
    finish();
    return 0;
}

static const struct {
    const char *name;
    int args;
    int (*run)(char **args);
    unsigned megabytes;
} kinds[] = {
    {"goodput", 6, goodput, 1024}, {"pair", 6, pair, 1024},      {"burst", 4, burst_loss, 1024},
    {"trace", 5, trace, 1024},     {"flows", 5, flows, 256},     {"tail", 4, tail_loss, 256},
    {"reorder", 4, reorder, 256},  {"policed", 7, policed, 256},
};

int main(int argc, char **argv)
{
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (argc == kinds[i].args + 2 && strcmp(argv[1], kinds[i].name) == 0) {
            megabytes = kinds[i].megabytes;
            return kinds[i].run(argv + 2);
        }
    }
    fprintf(stderr, "usage: behaviour goodput STACK CC random|periodic LOSS RTT_MS EVENTS\n"
                    "       behaviour pair CC CC RATE_MBPS RTT_MS QUEUE SECONDS\n"
                    "       behaviour burst CC RATE_MBPS RTT_MS LOST\n"
                    "       behaviour trace CC RATE_MBPS RTT_MS QUEUE SECONDS\n"
                    "       behaviour flows STACK LOSS RTT_MS BYTES COUNT\n"
                    "       behaviour tail STACK RTT_MS SEGMENTS COUNT\n"
                    "       behaviour reorder STACK RTT_MS PART SECONDS\n"
                    "       behaviour policed STACK paced|unpaced RATE_MBPS RTT_MS BUCKET_KB PART SECONDS\n");
    return 2;
}
