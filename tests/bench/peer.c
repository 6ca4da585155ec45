// SPDX-License-Identifier: BSD-3-Clause
// One end of a benchmark in a process of its own; the same program over Leat and, with -DPEER_KERNEL, over the kernel's sockets.
//   peer [leat options -- EAL options --] server PORT
//   peer [leat options -- EAL options --] rr|crr|bulk ADDRESS PORT CONNS SECONDS
//   peer [leat options -- EAL options --] synflood ADDRESS PORT CONNS SECONDS [SYNS]: bulk by turns without and with SYNS forged SYNs a
//   second, and with as many frames to nobody; SECONDS of each
// The client prints one line: what it counted per second, and the unit.
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef PEER_KERNEL
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#define NET(name) name
#else
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/sysctl.h>
#include "flood.h"
#define NET(name) leat_##name
#endif

#define REQUEST 64
#define REPLY   512
#define CHUNK   (256 * 1024)

struct conn {
    int fd;
    uint32_t got;
    bool started;
    char what; /* a client's: the first byte of its requests */
};

static int epfd, listener = -1;
static struct sockaddr_in to;
static bool client, reconnect, bulk;
static uint64_t syns; /* forged, a second; 0: no flood */
static unsigned conns, seconds;
static uint64_t done, t_begin, t_count, done_at_count;
static struct conn *all;
static volatile sig_atomic_t stop;
static char buf[CHUNK];

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what)
{
    fprintf(stderr, "peer: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void watch(int fd, struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    int on = 1;
    NET(setsockopt)(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (NET(epoll_ctl)(epfd, EPOLL_CTL_ADD, fd, &ev) < 0)
        die("epoll_ctl");
}

/* ---- server: what comes in is requests ('r'; 's': the reply begins with the server's load), or ('b') a wish for bytes without end ---- */

static void tell_load(void)
{
#ifndef PEER_KERNEL
    uint64_t busy_ns = 0;
    size_t len = sizeof(busy_ns);
    if (leat_sysctlbyname("leat.engine.busy", &busy_ns, &len, NULL, 0) < 0)
        die("leat.engine.busy");
    memcpy(buf, &busy_ns, sizeof(busy_ns));
#endif
}

static void server_accept(void)
{
    int fd;
    while ((fd = NET(accept4)(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct conn *c = calloc(1, sizeof(*c));
        c->fd = fd;
        watch(fd, c);
    }
}

static void server_conn(struct conn *c)
{
    ssize_t n;
    while ((n = NET(read)(c->fd, buf, REQUEST)) > 0) {
        if (buf[0] == 'b')
            c->started = true;
        c->got += (uint32_t)n;
        if (c->got >= REQUEST && !c->started) {
            c->got -= REQUEST;
            if (buf[0] == 's')
                tell_load();
            if (NET(send)(c->fd, buf, REPLY, MSG_NOSIGNAL) != REPLY)
                break;
        }
    }
    while (c->started && n < 0 && errno == EAGAIN && NET(send)(c->fd, buf, CHUNK, MSG_NOSIGNAL) > 0)
        errno = EAGAIN;
    if (n == 0 || errno != EAGAIN) {
        NET(close)(c->fd);
        free(c);
    }
}

/* ---- client ---- */

static void request(struct conn *c)
{
    char req[REQUEST] = {c->what};
    c->started = true;
    if (NET(send)(c->fd, req, REQUEST, MSG_NOSIGNAL) != REQUEST)
        die("send");
}

static void client_open(struct conn *c, char what)
{
    c->what = what;
    c->got = 0;
    c->started = false;
    c->fd = NET(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        die("socket");
    if (NET(connect)(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS)
        die("connect");
    watch(c->fd, c);
}

static void client_read(struct conn *c)
{
    ssize_t n;
    while ((n = NET(read)(c->fd, buf, bulk ? CHUNK : REPLY)) > 0) {
        c->got += (uint32_t)n;
        if (bulk) {
            done += (uint64_t)n;
        } else if (c->got == REPLY) {
            c->got = 0;
            done++;
            if (reconnect) {
                /* Ends with a RST: the benchmark must not run out of ports in TIME-WAIT. */
                struct linger off = {.l_onoff = 1, .l_linger = 0};
                NET(setsockopt)(c->fd, SOL_SOCKET, SO_LINGER, &off, sizeof(off));
                NET(close)(c->fd);
                client_open(c, c->what);
                return;
            }
            request(c);
        }
    }
    if (n == 0 || errno != EAGAIN)
        die("read");
}

#ifndef PEER_KERNEL
static struct conn teller; /* asks the server for its load */
/*
 * ---- client of synflood: windows take turns, so that other work of the machine falls on all alike. Their middle counts: the kernel takes
 * 5 % of a CPU that somebody would have all to himself, and all at once ----
 */

#define WINDOW_NS 50000000
#define SETTLE_NS 20000000

enum figure { RATE, LOAD, FRAMES, FIGURES }; /* Gbit/s, share of the server's time, frames/s */

struct sample {
    uint64_t ns, bytes, busy_ns, frames; /* the clock, what came, the server's load, what the flood sent */
};

static struct {
    enum flood_to to;
    bool asked, counts;              /* the server's answer is on its way; the change has settled */
    unsigned turn, turns;            /* done, to do; the first of each kind warms up */
    uint64_t end;                    /* of this part of a turn, ns */
    struct sample from;              /* where its counting began */
    double *all[FLOOD_TOS][FIGURES]; /* of each window */
} window = {.asked = true};

static void windows_begin(void)
{
    window.turns = 1 + seconds * (1000000000 / WINDOW_NS);
    for (unsigned kind = 0; kind < FLOOD_TOS; kind++)
        for (unsigned i = 0; i < FIGURES; i++)
            window.all[kind][i] = calloc(window.turns, sizeof(double));
    client_open(&teller, 's');
}

static void window_add(const struct sample *at)
{
    double ns = (double)(at->ns - window.from.ns);
    unsigned i = window.turn / FLOOD_TOS;
    window.all[window.to][RATE][i] = (double)(at->bytes - window.from.bytes) * 8 / ns;
    window.all[window.to][LOAD][i] = (double)(at->busy_ns - window.from.busy_ns) / ns;
    window.all[window.to][FRAMES][i] = (double)(at->frames - window.from.frames) * 1e9 / ns;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double middle(enum flood_to kind, enum figure i)
{
    double *from = window.all[kind][i] + 1;
    qsort(from, window.turns - 1, sizeof(*from), ascending);
    return from[(window.turns - 1) / 2];
}

static void windows_report(void)
{
    static const char *const names[FLOOD_TOS] = {"quiet", "beside", "flood"};
    double rate[FLOOD_TOS];
    for (enum flood_to kind = 0; kind < FLOOD_TOS; kind++) {
        rate[kind] = middle(kind, RATE);
        printf("%s: %.3f Gbit/s, server %.3f busy, %.0f frames/s\n", names[kind], rate[kind],
               middle(kind, LOAD), middle(kind, FRAMES));
    }
    printf("%.4f share kept, %.4f of quiet\n", rate[FLOOD_SERVER] / rate[FLOOD_BESIDE],
           rate[FLOOD_SERVER] / rate[FLOOD_AWAY]);
    fflush(stdout);
}

/* The server has told its load. */
static void window_sample(uint64_t busy_ns)
{
    struct sample at = {clock_ns(), done, busy_ns, flood_sent()};
    window.asked = false;
    if (!window.counts) {
        window.from = at;
        window.end = at.ns + WINDOW_NS;
    } else {
        window_add(&at);
        window.to = (enum flood_to)(++window.turn % FLOOD_TOS);
        window.end = at.ns + SETTLE_NS;
    }
    window.counts = !window.counts;
    if (window.turn == FLOOD_TOS * window.turns) {
        windows_report();
        stop = 1;
    }
}

static void window_clock(void)
{
    uint64_t now = clock_ns();
    flood_turn(now, window.to);
    if (window.asked || now < window.end)
        return;
    window.asked = true;
    request(&teller);
}

static void teller_read(void)
{
    uint64_t busy_ns;
    ssize_t n = leat_read(teller.fd, buf, REPLY);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n != REPLY)
        die("read");
    memcpy(&busy_ns, buf, sizeof(busy_ns));
    window_sample(busy_ns);
}
#endif

static void client_conn(struct conn *c, uint32_t events)
{
    if (!c->started && (events & (EPOLLOUT | EPOLLERR)))
        request(c);
#ifndef PEER_KERNEL
    else if (c == &teller)
        teller_read();
#endif
    else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
        client_read(c);
}

/* One second to warm up, then `seconds` that count. */
static void client_clock(void)
{
    uint64_t now = clock_ns();
    if (!t_count && now - t_begin >= 1000000000) {
        t_count = now;
        done_at_count = done;
    }
    if (!t_count || now - t_count < (uint64_t)seconds * 1000000000)
        return;
    double rate = (double)(done - done_at_count) * 1e9 / (double)(now - t_count);
    if (bulk)
        printf("%.3f Gbit/s\n", rate * 8 / 1e9);
    else
        printf("%.0f %s\n", rate, reconnect ? "conn/s" : "req/s");
    fflush(stdout);
    stop = 1;
}

static int loop(void *arg)
{
    struct epoll_event ev[256];
#ifdef PEER_KERNEL
    int n = epoll_wait(epfd, ev, 256, 100);
#else
    int n = leat_epoll_wait(epfd, ev, 256, 0);
#endif
    for (int i = 0; i < n; i++) {
        if (!ev[i].data.ptr)
            server_accept();
        else if (client)
            client_conn(ev[i].data.ptr, ev[i].events);
        else
            server_conn(ev[i].data.ptr);
    }
    if (client && !syns)
        client_clock();
#ifndef PEER_KERNEL
    if (client && syns)
        window_clock();
    if (stop)
        leat_stop();
#endif
    return 0;
}

static void start_server(int argc, char **argv)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = NULL};
    int on = 1;
    listener = NET(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    NET(setsockopt)(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (NET(bind)(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || NET(listen)(listener, 4096) < 0 ||
        NET(epoll_ctl)(epfd, EPOLL_CTL_ADD, listener, &ev) < 0)
        die("listen");
}

static void start_client(int argc, char **argv)
{
    client = true;
    reconnect = strcmp(argv[1], "crr") == 0;
    bulk = strcmp(argv[1], "bulk") == 0 || strcmp(argv[1], "synflood") == 0;
    if (strcmp(argv[1], "synflood") == 0)
        syns = argc > 6 ? strtoull(argv[6], NULL, 10) : 100000;
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
    if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
        die(argv[2]);
    conns = (unsigned)atoi(argv[4]);
    seconds = (unsigned)atoi(argv[5]);
#ifndef PEER_KERNEL
    if (syns && !flood_init(to.sin_addr.s_addr, to.sin_port, syns))
        die("flood");
    if (syns)
        windows_begin();
#endif
    all = calloc(conns, sizeof(*all));
    t_begin = clock_ns();
    for (unsigned i = 0; i < conns; i++)
        client_open(&all[i], bulk ? 'b' : 'r');
}

static void on_signal(int sig)
{
    stop = 1;
}

int main(int argc, char **argv)
{
#ifndef PEER_KERNEL
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    argc -= used;
    argv += used;
#endif
    signal(SIGTERM, on_signal);
    epfd = NET(epoll_create1)(0);
    if (argc == 3 && strcmp(argv[1], "server") == 0) {
        start_server(argc, argv);
    } else if (argc == 6 || argc == 7) {
        start_client(argc, argv);
    } else {
        fprintf(stderr,
                "usage: peer server PORT | peer rr|crr|bulk|synflood ADDRESS PORT CONNS SECONDS [SYNS]\n");
        return 2;
    }
#ifdef PEER_KERNEL
    while (!stop)
        loop(NULL);
#else
    leat_run(loop, NULL);
    leat_fini();
#endif
    return 0;
}
