// SPDX-License-Identifier: BSD-3-Clause
// What an ACK costs a sender that has much outstanding, in ns of one core and (under callgrind) in instructions of its turns:
//   recovery STACK OUTSTANDING clean|honest|bytes|alternate [ACKS]
// clean: each ACK acknowledges two segments. honest: one segment of a hundred of a window is lost once; a receiver that behaves SACKs the others one by one until all is
// repaired. bytes, alternate: a hostile one sends ACKs with four blocks each, of one byte, or of every other segment, anywhere in the window.
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include <leat/leat.h>
#include <leat/sysctl.h>
#include "base/rng.h"
#include "port/sim/dialog.h"
#include "sysctl/sysctl.h"
#include "engine/engine.h"

#define MSS    216u
#define BLOCKS 4u

struct run {
    uint32_t first, end; /* segments */
};

static struct {
    struct dialog *d;
    int fd;
    uint32_t outstanding; /* segments */
    uint32_t *queue;      /* segments on their way, in the order in which they were sent */
    uint32_t head, n, room;
    uint8_t *got;     /* by segment, modulo room */
    uint32_t next;    /* the first that is missing */
    uint32_t highest; /* the first that was never sent */
    struct run recent[BLOCKS];
    unsigned n_recent;
    uint64_t acks;
    struct rng rng;
} w;

static void die(const char *what)
{
    fprintf(stderr, "recovery: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void set(const char *name, const char *value)
{
    char err[128];
    if (sysctl_set_text(sim_engine(w.d->host)->sysctl, name, value, err, sizeof(err)) < 0) {
        fprintf(stderr, "recovery: %s\n", err);
        exit(1);
    }
}

static void fill(void)
{
    static char buf[65536];
    sim_enter(w.d->host);
    while (leat_write(w.fd, buf, sizeof(buf)) > 0)
        ;
}

/* What the sender sent goes on its way. */
static void collect(void)
{
    while (w.d->n_sent > 0) {
        struct rte_mbuf *m = w.d->sent[w.d->sent_head].m;
        w.d->sent_head = (w.d->sent_head + 1) % w.d->sent_room;
        w.d->n_sent--;
        const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *) + 14;
        const struct rte_tcp_hdr *th = (const struct rte_tcp_hdr *)(ip + 20);
        uint32_t at = (rte_be_to_cpu_32(th->sent_seq) - w.d->isn_live - 1) / MSS;
        if (m->pkt_len > 100 && w.n < w.room) {
            w.queue[(w.head + w.n++) % w.room] = at;
            w.highest = at + 1 > w.highest ? at + 1 : w.highest;
        }
        rte_pktmbuf_free(m);
    }
}

static uint32_t take(void)
{
    if (w.n == 0) {
        fprintf(stderr, "recovery: nothing is on its way\n");
        exit(1);
    }
    uint32_t at = w.queue[w.head];
    w.head = (w.head + 1) % w.room;
    w.n--;
    return at;
}

static void put_block(struct segment *s, unsigned i, uint32_t start, uint32_t end)
{
    uint32_t be[2] = {rte_cpu_to_be_32(start), rte_cpu_to_be_32(end)};
    memcpy(s->opt + 4 + 8 * i, be, 8);
}

static void inject(uint32_t ack, const struct run *blocks, unsigned n, bool bytes)
{
    char err[200];
    struct segment s = {.flags = RTE_TCP_ACK_FLAG,
                        .seq = 1,
                        .ack = 1 + ack * MSS,
                        .has_win = true,
                        .win = 65535,
                        .tos = -1,
                        .ttl = -1,
                        .ecn = SEGMENT_ECN_ANY,
                        .flow = -1};
    if (n > 0) {
        s.opt[0] = s.opt[1] = 1;
        s.opt[2] = 5;
        s.opt[3] = (uint8_t)(2 + 8 * n);
        s.opt_len = (uint8_t)(4 + 8 * n);
    }
    for (unsigned i = 0; i < n; i++)
        put_block(&s, i, bytes ? 1 + blocks[i].first * MSS + 7 : 1 + blocks[i].first * MSS,
                  bytes ? 1 + blocks[i].first * MSS + 8 : 1 + blocks[i].end * MSS);
    if (dialog_send(w.d, &s, err, sizeof(err)) < 0) {
        fprintf(stderr, "recovery: %s\n", err);
        exit(1);
    }
    dialog_run_until(w.d, sim_now(w.d->sim) + 1000);
    w.acks++;
    collect();
}

/* It arrives; the receiver's state follows. */
static void arrive(uint32_t at)
{
    if (at < w.next || w.got[at % w.room])
        return;
    w.got[at % w.room] = 1;
    while (w.got[w.next % w.room])
        w.got[w.next++ % w.room] = 0;
}

static bool has(uint32_t at)
{
    return at >= w.next && w.got[at % w.room];
}

/* The blocks of an honest receiver: the run that at lies in, then those reported before (RFC 2018 §4). */
static void report(uint32_t at)
{
    struct run now = {at, at + 1}, kept[BLOCKS];
    unsigned n = 0;
    if (has(at)) {
        for (unsigned i = 0; i < w.n_recent; i++) /* it grows an old one, mostly */
            if (w.recent[i].end == at || w.recent[i].first == at + 1) {
                now.first = now.first < w.recent[i].first ? now.first : w.recent[i].first;
                now.end = now.end > w.recent[i].end ? now.end : w.recent[i].end;
            }
        kept[n++] = now;
    }
    for (unsigned i = 0; i < w.n_recent && n < BLOCKS; i++) {
        bool inside = n > 0 && w.recent[i].first >= now.first && w.recent[i].end <= now.end && has(at);
        if (w.recent[i].first >= w.next && !inside)
            kept[n++] = w.recent[i];
    }
    memcpy(w.recent, kept, n * sizeof(*kept));
    w.n_recent = n;
}

static void clean_ack(uint32_t segments)
{
    for (uint32_t i = 0; i < segments && w.n > 0; i++)
        arrive(take());
    inject(w.next, NULL, 0, false);
    fill();
}

static void open_connection(const char *stack)
{
    char text[32];
    int size = (int)(w.outstanding * MSS);
    w.d = dialog_new(NULL);
    if (!w.d)
        die("simulator");
    set("net.inet.tcp.functions_default", stack);
    set("net.inet.tcp.cc.algorithm", "newreno");
    set("net.inet.tcp.initcwnd_segments", "1000");
    set("net.inet.tcp.abc_l_var", "100");
    set("net.inet.tcp.idle_restart", "0");
    snprintf(text, sizeof(text), "%d", 2 * size + 65536);
    set("kern.ipc.maxsockbuf", text);
    sim_enter(w.d->host);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(DIALOG_PORT)};
    int listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size)) < 0 ||
        leat_bind(listener, (struct sockaddr *)&any, sizeof(any)) < 0 || leat_listen(listener, 1) < 0)
        die("listen");
    dialog_inject(w.d, "S 0:0(0) win 65535 <mss 216,sackOK,nop,nop,nop,wscale 14>");
    dialog_expect(w.d, "S. 0:0(0) ack 1 <...>");
    dialog_run_ms(w.d, 1);
    dialog_inject(w.d, ". 1:1(0) ack 1 win 65535");
    w.fd = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (w.fd < 0)
        die("accept");
    fill();
    dialog_run_until(w.d, sim_now(w.d->sim) + 1000);
    collect();
}

/* Until that much is outstanding, then a window more, so that each turn has sent a part of it. */
static void grow(void)
{
    /* A batch of ACKs is on its way at any time. */
    while (w.highest - w.next + 101 < w.outstanding)
        clean_ack(w.n < 100 ? (w.n + 1) / 2 : 100);
    for (uint32_t i = 0; i < w.outstanding / 2; i++)
        clean_ack(2);
}

static void honest(void)
{
    uint32_t first = w.next, end = first + w.n, lost = 0;
    while (w.next < end && w.n > 0) {
        uint32_t at = take();
        bool again = has(at) || at < w.next;
        /* Each in its place once: what comes a second time is a retransmission and arrives. */
        if (!again && at < end && (at - first) % 100 == 50 && lost <= (at - first) / 100) {
            lost = (at - first) / 100 + 1;
            continue;
        }
        arrive(at);
        report(at);
        inject(w.next, w.recent, w.n_recent, false);
    }
    if (w.next < end) {
        fprintf(stderr, "recovery: not repaired\n");
        exit(1);
    }
}

static void hostile(uint64_t n, bool bytes)
{
    struct run b[BLOCKS];
    for (uint64_t i = 0; i < n; i++) {
        for (unsigned k = 0; k < BLOCKS; k++) {
            uint32_t at = w.next + 1 + 2 * rng_below(&w.rng, (w.outstanding - 4) / 2);
            b[k] = (struct run){at, at + 1};
        }
        inject(w.next, b, BLOCKS, bytes);
    }
}

void recovery_measured(const char *kind, uint64_t n); /* visible to callgrind */
__attribute__((noinline)) void recovery_measured(const char *kind, uint64_t n)
{
    if (strcmp(kind, "honest") == 0)
        honest();
    else if (strcmp(kind, "clean") == 0)
        for (uint64_t i = 0; i < n; i++)
            clean_ack(2);
    else
        hostile(n, strcmp(kind, "bytes") == 0);
}

int main(int argc, char **argv)
{
    struct timespec t0, t1;
    if (argc < 4) {
        fprintf(stderr, "usage: recovery STACK OUTSTANDING clean|honest|bytes|alternate [ACKS]\n");
        return 2;
    }
    w.outstanding = (uint32_t)strtoul(argv[2], NULL, 10);
    w.room = 4 * w.outstanding + 4096;
    w.queue = calloc(w.room, sizeof(*w.queue));
    w.got = calloc(w.room, 1);
    rng_seed(&w.rng, 1);
    if (!w.queue || !w.got || sim_eal_init(512) < 0)
        die("memory");
    open_connection(argv[1]);
    grow();
    w.acks = 0;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
    recovery_measured(argv[3], argc > 4 ? strtoull(argv[4], NULL, 10) : 20000);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
    double ns = (double)(t1.tv_sec - t0.tv_sec) * 1e9 + (double)(t1.tv_nsec - t0.tv_nsec);
    printf("%.1f ns %llu ACKs\n", ns / (double)w.acks, (unsigned long long)w.acks);
    return 0;
}
