// SPDX-License-Identifier: BSD-3-Clause
// One of two ends that open connections to each other, again and again, and send each other streams of any length in both directions;
// every byte is compared with what it must be, and every connection must end. The same program over Leat and, with -DTALK_KERNEL, over
// the kernel's sockets.
//   talk [leat options -- EAL options --] PORT ADDRESS4 ADDRESS6 CONNS SECONDS SEED [BYTES]
// CONNS connections at a time are opened to PORT of the addresses, in turn, for SECONDS; as many may come from there. With BYTES each
// carries so much each way, and is opened once. Prints what it did; exit 1 when a byte was another or a connection did not end well.
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef TALK_KERNEL
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#define NET(name) name
#else
#include <leat/leat.h>
#define NET(name) leat_##name
#endif

#define CHUNK   65536
#define SLOTS   256
#define SETTLE  3   /* s: the other end starts, too */
#define PATIENT 180 /* s without a byte: a connection has failed */

/* The first bytes of a connection, from who opened it. */
struct hello {
    uint64_t pattern, from_opener, from_acceptor;
};

struct conn {
    bool used, opener, greeted, shut, ended;
    int fd;
    struct hello hello;
    uint8_t greeting[sizeof(struct hello)];
    size_t greeting_len; /* of it sent, or received */
    uint64_t sent, got, moved_at, sleep_until;
};

static struct conn conns[SLOTS];
static struct sockaddr_in to4;
static struct sockaddr_in6 to6;
static unsigned at_a_time, open_now;
static uint64_t random_state, bytes, t_begin, t_end, idle_since, opened, accepted, failed, sent, got;
static int listener;
static bool over;

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static __attribute__((noreturn)) void die(const char *what)
{
    fprintf(stderr, "talk: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t mixed(uint64_t z) /* splitmix64 (Steele and others, 2014) */
{
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static uint64_t draw(uint64_t below)
{
    return mixed(random_state += UINT64_C(0x9e3779b97f4a7c15)) % below;
}

static uint8_t byte_at(uint64_t pattern, uint64_t i)
{
    return (uint8_t)(mixed(pattern + i / 8) >> (i % 8 * 8));
}

/* ---- a connection ---- */

static struct conn *conn_new(int fd, bool opener)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        struct conn *c = &conns[i];
        if (c->used)
            continue;
        *c = (struct conn){.used = true, .fd = fd, .opener = opener, .moved_at = clock_ns()};
        if (draw(2)) {
            int on = 1;
            NET(setsockopt)(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        }
        return c;
    }
    die("more connections than slots");
}

static void conn_end(struct conn *c, const char *why)
{
    if (why) {
        fprintf(stderr, "talk: connection %016lx, %s: %s: %s; sent %lu of %lu, got %lu of %lu\n",
                c->hello.pattern, c->opener ? "opened here" : "accepted", why, strerror(errno), c->sent,
                c->opener ? c->hello.from_opener : c->hello.from_acceptor, c->got,
                c->opener ? c->hello.from_acceptor : c->hello.from_opener);
        failed++;
    }
    open_now -= c->opener;
    NET(close)(c->fd);
    c->used = false;
}

static uint64_t some_length(void)
{
    return bytes ? bytes : draw(4) ? draw(UINT64_C(1) << (4 + draw(20))) : 0;
}

static void open_one(void)
{
    bool six = draw(2);
    int fd = NET(socket)(six ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const struct sockaddr *to = six ? (struct sockaddr *)&to6 : (struct sockaddr *)&to4;
    if (fd < 0 || (NET(connect)(fd, to, six ? sizeof(to6) : sizeof(to4)) < 0 && errno != EINPROGRESS))
        die("connect");
    struct conn *c = conn_new(fd, true);
    c->hello = (struct hello){
        .pattern = draw(UINT64_MAX), .from_opener = some_length(), .from_acceptor = some_length()};
    memcpy(c->greeting, &c->hello, sizeof(c->hello));
    open_now++;
    opened++;
}

static void accept_all(void)
{
    int fd;
    while ((fd = NET(accept4)(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        conn_new(fd, false);
        accepted++;
    }
}

/* True: the greeting has gone, or come, whole. */
static bool greet(struct conn *c)
{
    uint8_t *at = c->greeting + c->greeting_len;
    size_t left = sizeof(c->greeting) - c->greeting_len;
    if (left > 0) {
        ssize_t n = c->opener ? NET(send)(c->fd, at, left, MSG_NOSIGNAL) : NET(read)(c->fd, at, left);
        if (n <= 0) {
            if (n == 0 || (errno != EAGAIN && errno != ENOTCONN && errno != EINPROGRESS))
                conn_end(c, "greeting");
            return false;
        }
        c->greeting_len += (size_t)n;
        c->moved_at = clock_ns();
    }
    c->greeted = c->greeting_len == sizeof(c->greeting);
    if (c->greeted && !c->opener)
        memcpy(&c->hello, c->greeting, sizeof(c->hello));
    return c->greeted;
}

/* Small pieces in some connections, large ones in others. 1: something went; 0: not now; -1: the connection is gone. */
static int write_some(struct conn *c)
{
    uint8_t b[CHUNK];
    uint64_t all = c->opener ? c->hello.from_opener : c->hello.from_acceptor;
    uint64_t pattern = c->opener ? c->hello.pattern : ~c->hello.pattern, n = all - c->sent;
    uint64_t most = (c->hello.pattern >> 8) % 4 || bytes ? CHUNK : 1 + draw(700);
    if (c->shut)
        return 0;
    if (n == 0) {
        c->shut = NET(shutdown)(c->fd, SHUT_WR) == 0;
        return 1;
    }
    n = n > most ? most : n;
    for (uint64_t i = 0; i < n; i++)
        b[i] = byte_at(pattern, c->sent + i);
    ssize_t w = NET(send)(c->fd, b, n, MSG_NOSIGNAL);
    if (w < 0 && errno == EAGAIN)
        return 0;
    if (w < 0) {
        conn_end(c, "send");
        return -1;
    }
    c->sent += (uint64_t)w;
    sent += (uint64_t)w;
    c->moved_at = clock_ns();
    return 1;
}

static int read_some(struct conn *c)
{
    uint8_t b[CHUNK];
    uint64_t all = c->opener ? c->hello.from_acceptor : c->hello.from_opener;
    uint64_t pattern = c->opener ? ~c->hello.pattern : c->hello.pattern;
    if (c->ended || clock_ns() < c->sleep_until)
        return 0;
    ssize_t n = NET(read)(c->fd, b, sizeof(b));
    if (n < 0 && errno == EAGAIN)
        return 0;
    bool right = n >= 0 && c->got + (uint64_t)n <= all && (n > 0 || c->got == all);
    for (ssize_t i = 0; right && i < n; i++)
        right = b[i] == byte_at(pattern, c->got + (uint64_t)i);
    if (!right) {
        conn_end(c, n < 0 ? "read" : n == 0 ? "ended too early" : "a byte is another, or one too many");
        return -1;
    }
    c->ended = n == 0;
    c->got += (uint64_t)n;
    got += (uint64_t)n;
    c->moved_at = clock_ns();
    if ((c->hello.pattern >> 16) % 8 == 0 && !bytes && draw(16) == 0)
        c->sleep_until = c->moved_at + draw(3000) * 1000000; /* the window closes */
    return 1;
}

static void turn(struct conn *c)
{
    int w = 1, r = 1;
    if (!c->greeted && !greet(c)) {
        if (c->used && clock_ns() - c->moved_at > PATIENT * UINT64_C(1000000000))
            conn_end(c, "no greeting for too long");
        return;
    }
    for (int i = 0; i < 8 && (w > 0 || r > 0); i++)
        if ((r = read_some(c)) < 0 || (w = write_some(c)) < 0)
            return;
    if (c->shut && c->ended)
        conn_end(c, NULL);
    else if (clock_ns() - c->moved_at > PATIENT * UINT64_C(1000000000))
        conn_end(c, "nothing moved for too long");
}

/* ---- the whole ---- */

static int loop(void *arg)
{
    uint64_t now = clock_ns();
    bool any = false;
    accept_all();
    for (unsigned i = 0; i < SLOTS; i++) {
        if (!conns[i].used)
            continue;
        any = true;
        turn(&conns[i]);
    }
    bool may_open = bytes ? opened < at_a_time : now < t_end;
    while (now >= t_begin && may_open && open_now < at_a_time && (!bytes || opened < at_a_time))
        open_one();
    if (any || may_open)
        idle_since = now;
    over = now - idle_since > 2 * SETTLE * UINT64_C(1000000000); /* the other end, too, has had its time */
#ifndef TALK_KERNEL
    if (over)
        leat_stop();
#endif
    return 0;
}

static void start(int argc, char **argv)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)atoi(argv[1]))};
    int off = 0, on = 1;
    to4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = any.sin6_port};
    to6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = any.sin6_port};
    errno = EINVAL;
    if (inet_pton(AF_INET, argv[2], &to4.sin_addr) != 1 || inet_pton(AF_INET6, argv[3], &to6.sin6_addr) != 1)
        die("addresses");
    at_a_time = (unsigned)atoi(argv[4]);
    random_state = strtoull(argv[6], NULL, 10);
    bytes = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
    idle_since = clock_ns();
    t_begin = idle_since + SETTLE * UINT64_C(1000000000);
    t_end = t_begin + strtoull(argv[5], NULL, 10) * UINT64_C(1000000000);
    listener = NET(socket)(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    NET(setsockopt)(listener, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    NET(setsockopt)(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (listener < 0 || NET(bind)(listener, (struct sockaddr *)&any, sizeof(any)) < 0 ||
        NET(listen)(listener, 128) < 0)
        die("listen");
}

int main(int argc, char **argv)
{
#ifndef TALK_KERNEL
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    argc -= used;
    argv += used;
#endif
    if (argc < 7 || argc > 8) {
        fprintf(stderr, "usage: talk PORT ADDRESS4 ADDRESS6 CONNS SECONDS SEED [BYTES]\n");
        return 2;
    }
    start(argc, argv);
#ifdef TALK_KERNEL
    while (!over) {
        loop(NULL);
        usleep(500);
    }
#else
    leat_run(loop, NULL);
    leat_fini();
#endif
    printf("%lu connections opened, %lu accepted, %lu failed; %.1f MB sent, %.1f MB received, every byte "
           "compared\n",
           opened, accepted, failed, (double)sent / 1e6, (double)got / 1e6);
    return failed > 0 || opened == 0;
}
