// SPDX-License-Identifier: BSD-3-Clause
// A bad wire between two interfaces of this machine: frames that the kernel sends on a TAP interface made here leave on another interface,
// and the other way round; on the way some are lost, late (and so overtaken by others), repeated, or wait behind a slow link.
//   lossy TAP INTERFACE SEED SECONDS [PERCENT]: what each direction does to frames is drawn anew from the seed each SECONDS; less than 100
//   PERCENT makes it so much milder. SIGTERM ends it.
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <arpa/inet.h>

#define FRAME_MAX 2048
#define WAITING   16384 /* frames on their way, both directions */
#define MS        UINT64_C(1000000)

struct direction {
    const char *name;
    int in, out;
    double loss, reorder, duplicate; /* chances */
    uint64_t delay, late;            /* ns; late: more of it for those that are overtaken */
    uint64_t bits_per_s;             /* 0: no limit */
    uint64_t queue;                  /* ns: frames that would wait longer at the limit are dropped */
    uint64_t free_at;                /* the slow link has sent what it has */
    uint64_t passed, lost, overflowed, overtaken, repeated;
};

struct frame {
    uint64_t at, number; /* when it leaves; of two at the same time the first goes first */
    struct direction *d;
    uint32_t len;
    uint8_t bytes[FRAME_MAX];
};

static struct frame *heap[WAITING];
static size_t waiting;
static uint64_t numbered, random_state;
static volatile sig_atomic_t stop;

static __attribute__((noreturn)) void die(const char *what)
{
    fprintf(stderr, "lossy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 * MS + (uint64_t)ts.tv_nsec;
}

static uint64_t draw(uint64_t below) /* splitmix64 (Steele and others, 2014) */
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (z ^ z >> 31) % below;
}

static bool happens(double chance)
{
    return (double)draw(1u << 30) < chance * (1u << 30);
}

/* ---- frames on their way ---- */

static bool earlier(const struct frame *a, const struct frame *b)
{
    return a->at != b->at ? a->at < b->at : a->number < b->number;
}

static void swap(size_t i, size_t j)
{
    struct frame *f = heap[i];
    heap[i] = heap[j];
    heap[j] = f;
}

static void put(struct direction *d, const uint8_t *bytes, uint32_t len, uint64_t at)
{
    struct frame *f = waiting < WAITING ? malloc(sizeof(*f)) : NULL;
    if (!f) {
        d->overflowed++;
        return;
    }
    f->at = at;
    f->number = numbered++;
    f->d = d;
    f->len = len;
    memcpy(f->bytes, bytes, len);
    size_t i = waiting++;
    heap[i] = f;
    for (; i > 0 && earlier(heap[i], heap[(i - 1) / 2]); i = (i - 1) / 2)
        swap(i, (i - 1) / 2);
}

static struct frame *take(void)
{
    struct frame *f = heap[0];
    heap[0] = heap[--waiting];
    for (size_t i = 0, child; (child = 2 * i + 1) < waiting; i = child) {
        if (child + 1 < waiting && earlier(heap[child + 1], heap[child]))
            child++;
        if (!earlier(heap[child], heap[i]))
            break;
        swap(i, child);
    }
    return f;
}

/* ---- what the wire does ---- */

static void redraw(struct direction *d, uint64_t percent)
{
    double part = (double)percent / 100;
    d->loss = (double)draw(30) / 1000 * part;
    d->reorder = draw(3) ? 0 : (double)draw(20) / 1000 * part;
    d->duplicate = (double)draw(5) / 1000 * part;
    d->delay = draw(15) * MS * percent / 100;
    d->late = MS / 10 + draw(20) * MS * percent / 100;
    d->bits_per_s = draw(2) ? 0 : (10 + draw(200)) * 1000000 * 100 / percent;
    d->queue = (1 + draw(50)) * MS;
    d->free_at = 0;
    printf("%s: loss %.1f %%, overtaken %.1f %% by up to %.1f ms, repeated %.1f %%, delay %.0f ms, %.0f "
           "Mbit/s\n",
           d->name, d->loss * 100, d->reorder * 100, (double)d->late / 1e6, d->duplicate * 100,
           (double)d->delay / 1e6, d->bits_per_s ? (double)d->bits_per_s / 1e6 : INFINITY);
    fflush(stdout);
}

static void arrived(struct direction *d, const uint8_t *bytes, uint32_t len, uint64_t now)
{
    uint64_t leaves = now;
    if (happens(d->loss)) {
        d->lost++;
        return;
    }
    if (d->bits_per_s) {
        uint64_t start = d->free_at > now ? d->free_at : now;
        if (start - now > d->queue) {
            d->overflowed++;
            return;
        }
        leaves = d->free_at = start + len * 8 * 1000 * MS / d->bits_per_s;
    }
    leaves += d->delay;
    if (happens(d->reorder)) {
        d->overtaken++;
        leaves += draw(d->late);
    }
    put(d, bytes, len, leaves);
    if (happens(d->duplicate)) {
        d->repeated++;
        put(d, bytes, len, leaves + draw(d->late));
    }
}

static void receive(struct direction *d, uint64_t now)
{
    uint8_t bytes[FRAME_MAX];
    for (int i = 0; i < 64; i++) {
        ssize_t n = read(d->in, bytes, sizeof(bytes));
        if (n <= 0)
            return;
        arrived(d, bytes, (uint32_t)n, now);
    }
}

static void send_due(uint64_t now)
{
    while (waiting > 0 && heap[0]->at <= now) {
        struct frame *f = take();
        if (write(f->d->out, f->bytes, f->len) < 0)
            f->d->overflowed++;
        else
            f->d->passed++;
        free(f);
    }
}

/* ---- ends ---- */

static int tap_open(const char *name)
{
    struct ifreq r = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    strncpy(r.ifr_name, name, IFNAMSIZ - 1);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) < 0)
        die(name);
    return fd;
}

static int interface_open(const char *name)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL)), on = 1,
        room = 8 << 20;
    struct sockaddr_ll a = {
        .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
    if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)) < 0 ||
        bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        die(name);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
    return fd;
}

static void on_signal(int sig)
{
    stop = 1;
}

static void forward(struct direction d[2], uint64_t period, uint64_t percent)
{
    struct pollfd p[2] = {{.fd = d[0].in, .events = POLLIN}, {.fd = d[1].in, .events = POLLIN}};
    uint64_t redraw_at = 0;
    while (!stop) {
        uint64_t now = clock_ns();
        if (now >= redraw_at) {
            redraw(&d[0], percent);
            redraw(&d[1], percent);
            redraw_at = now + period;
        }
        for (int i = 0; i < 2; i++)
            receive(&d[i], now);
        send_due(now);
        uint64_t next = waiting > 0 ? heap[0]->at : now + 100 * MS;
        next = next > now ? next - now : 0;
        struct timespec wait = {.tv_sec = (time_t)(next / (1000 * MS)),
                                .tv_nsec = (long)(next % (1000 * MS))};
        ppoll(p, 2, &wait, NULL);
    }
}

int main(int argc, char **argv)
{
    uint64_t percent = argc > 5 ? strtoull(argv[5], NULL, 10) : 100;
    if (argc < 5 || argc > 6 || percent == 0) {
        fprintf(stderr, "usage: lossy TAP INTERFACE SEED SECONDS [PERCENT]\n");
        return 2;
    }
    int tap = tap_open(argv[1]), other = interface_open(argv[2]);
    random_state = strtoull(argv[3], NULL, 10);
    struct direction d[2] = {{.name = "from the kernel", .in = tap, .out = other},
                             {.name = "to the kernel", .in = other, .out = tap}};
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    forward(d, strtoull(argv[4], NULL, 10) * 1000 * MS, percent);
    for (int i = 0; i < 2; i++)
        printf("%s: %lu frames passed, %lu lost, %lu dropped at a queue, %lu late, %lu repeated\n", d[i].name,
               d[i].passed, d[i].lost, d[i].overflowed, d[i].overtaken, d[i].repeated);
    return 0;
}
