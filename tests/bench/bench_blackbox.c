// SPDX-License-Identifier: BSD-3-Clause
// The black box's account: a connection records in continuous mode at a rate, a thread writes, and in the end every event is either in the files
// or counted as lost, there and in the SKIP blocks. With a disk that is slower than the events come, too.
//   bench_blackbox [--rate EVENTS/S (0: as fast as it goes)] [--seconds S] [--disk BYTES/S (0: as it is)] [--limit EVENTS] [--queue DUMPS]
//                  [--ring EVENTS] [DIRECTORY]
#include <errno.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/syscall.h>
#include "blackbox/blackbox.h"
#include "port/sim/sim.h"
#include "sysctl/sysctl.h"
#include "tools/blackbox/file.h"

#define SEC   UINT64_C(1000000000)
#define BATCH 64 /* events between two looks at the clock, as an engine's turn has */

static uint64_t rate = 1000000, seconds = 10, disk;
static const char *limit = "5000000", *queue = "1024", *ring = "5000";
static char directory[200] = "/tmp/leat-bench-XXXXXX";
static struct sysctl_tree *tree;
static struct bb_layer *l;

static uint64_t clock_ns(clockid_t which)
{
    struct timespec t;
    clock_gettime(which, &t);
    return (uint64_t)t.tv_sec * SEC + (uint64_t)t.tv_nsec;
}

/* The disk of the bench: takes what the real one takes, and its time for it. */
ssize_t write(int fd, const void *p, size_t n)
{
    if (disk && fd > STDERR_FILENO) {
        uint64_t ns = n * SEC / disk;
        nanosleep(&(struct timespec){(time_t)(ns / SEC), (long)(ns % SEC)}, NULL);
    }
    return syscall(SYS_write, fd, p, n);
}

static void describe(const void *owner, struct tcp_log_header *h)
{
    static const uint8_t faddr[4] = {10, 0, 0, 2}, laddr[4] = {10, 0, 0, 1};
    h->tlh_af = 2;
    h->tlh_ie.ie_fport = 0x3930;
    h->tlh_ie.ie_lport = 0x5000;
    memcpy(h->tlh_ie.ie_faddr + 12, faddr, 4);
    memcpy(h->tlh_ie.ie_laddr + 12, laddr, 4);
}
static const char *stack_name(uint8_t id)
{
    return "default";
}

static void set(const char *name, const char *value)
{
    char full[100], err[200];
    snprintf(full, sizeof(full), "net.inet.tcp.bb.%s", name);
    if (sysctl_set_text(tree, full, value, err, sizeof(err)) != 0) {
        fprintf(stderr, "bench_blackbox: %s\n", err);
        exit(2);
    }
}

static void set_up(void)
{
    const struct bb_env env = {.utc_offset_ns =
                                   (int64_t)(clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC)),
                               .describe = describe,
                               .stack_name = stack_name};
    tree = sysctl_tree_new();
    if (sim_eal_init(64) < 0 || bb_create(&env, tree, &l) < 0)
        exit(2);
    set("directory", directory);
    set("log_global_limit", limit);
    set("log_session_limit", ring);
    set("queue", queue);
}

/* Half are segments, half are events without a header, as in a transfer. */
static void fill(struct bb_record *r, uint64_t i)
{
    memset(&r->b.tlb_errno, 0,
           offsetof(struct tcp_log_buffer, tlb_stackinfo) - offsetof(struct tcp_log_buffer, tlb_errno));
    r->b.tlb_stackid = 0;
    r->b.tlb_eventflags = i % 2 ? 0 : TLB_FLAG_HDR;
    r->b.tlb_len = 0;
    if (i % 2)
        return;
    r->b.tlb_len = 1448;
    r->b.tlb_th[12] = 0x80;
    r->b.tlb_th[13] = 0x10;
    memset(r->b.tlb_opts, 1, 12);
}

/* Returns the events offered; *busy: ns that they took. */
static uint64_t record(struct bb_log *log, uint64_t *busy, uint64_t *took)
{
    uint64_t begin = clock_ns(CLOCK_MONOTONIC), end = begin + seconds * SEC, now, n = 0, sweep = begin;
    while ((now = clock_ns(CLOCK_MONOTONIC)) < end) {
        uint64_t due = rate ? (now - begin) * rate / SEC : n + BATCH;
        uint64_t most = n + 16 * BATCH < due ? n + 16 * BATCH : due;
        for (; n < most; n++) {
            struct bb_record *r = bb_next(l, log, n % 2 ? TCP_LOG_RTT : TCP_LOG_OUT, now);
            if (r)
                fill(r, n);
        }
        bb_reap(l);
        if (now - sweep > BB_SWEEP_NS) {
            bb_sweep(l, now);
            sweep = now;
        }
        *busy += clock_ns(CLOCK_MONOTONIC) - now;
    }
    *took = clock_ns(CLOCK_MONOTONIC) - begin;
    return n;
}

struct found {
    uint64_t events, skipped;
};
static int count(const struct box_event *e, void *arg)
{
    struct found *f = arg;
    f->events += !e->skipped;
    f->skipped += e->skipped;
    return 0;
}

/* Reads all files, and removes them. False: one that cannot be read to its end. */
static bool read_all(struct found *f)
{
    DIR *d = opendir(directory);
    bool good = d != NULL;
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[600], err[256];
        bool broken = false;
        snprintf(path, sizeof(path), "%s/%s", directory, e->d_name);
        if (e->d_name[0] == '.')
            continue;
        if (box_read(path, count, f, &broken, err, sizeof(err)) != 0 || broken) {
            fprintf(stderr, "%s: %s\n", path, broken ? "breaks off" : err);
            good = false;
        }
        unlink(path);
    }
    if (d)
        closedir(d);
    return good;
}

static void options(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *v = i + 1 < argc ? argv[i + 1] : "0";
        if (argv[i][0] != '-')
            snprintf(directory, sizeof(directory), "%s/leat-bench-XXXXXX", argv[i]);
        else if (strcmp(argv[i], "--rate") == 0)
            rate = strtoull(v, NULL, 10), i++;
        else if (strcmp(argv[i], "--seconds") == 0)
            seconds = strtoull(v, NULL, 10), i++;
        else if (strcmp(argv[i], "--disk") == 0)
            disk = strtoull(v, NULL, 10), i++;
        else if (strcmp(argv[i], "--limit") == 0)
            limit = v, i++;
        else if (strcmp(argv[i], "--queue") == 0)
            queue = v, i++;
        else if (strcmp(argv[i], "--ring") == 0)
            ring = v, i++;
        else
            exit(2);
    }
}

static void wait_for_disk(void)
{
    while (l->under_way > 0)
        if (bb_reap(l) == 0)
            usleep(1000);
}

int main(int argc, char **argv)
{
    struct found f = {0};
    uint64_t busy = 0, took = 0;
    options(argc, argv);
    if (!mkdtemp(directory)) {
        perror(directory);
        return 2;
    }
    set_up();
    struct bb_log *log = bb_open(l, l);
    bb_set_mode(l, log, TCP_LOG_STATE_CONTINUAL);
    uint64_t n = record(log, &busy, &took);
    wait_for_disk();
    bb_close(l, log, clock_ns(CLOCK_MONOTONIC));
    wait_for_disk();
    uint64_t all = clock_ns(CLOCK_MONOTONIC);
    bb_sweep(l, all);
    struct bb_stats st = l->stats;
    bb_destroy(l);
    sysctl_tree_free(tree);
    bool readable = read_all(&f);
    rmdir(directory);
    bool exact = readable && n == st.written + st.lost && f.events == st.written && f.skipped == st.lost;
    printf("%" PRIu64 " events in %.1f s (%.0f/s, %.0f ns each with the clock), %" PRIu64
           " written (%.1f MB), %" PRIu64 " lost; in the files %" PRIu64
           " events and SKIP blocks for %" PRIu64 ": %s\n",
           n, (double)took / 1e9, (double)n * 1e9 / (double)took, (double)busy / (double)n, st.written,
           (double)st.bytes / 1e6, st.lost, f.events, f.skipped, exact ? "exact" : "NOT EXACT");
    return !exact;
}
