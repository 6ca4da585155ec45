// SPDX-License-Identifier: BSD-3-Clause
// leat_sendfile() between two simulated hosts: bytes, counts, a slow disk, a shrinking file.
#include "sim/fixture.h"
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <leat/sysctl.h>

enum { SIZE = 1000000 };
static uint8_t content[SIZE], got[SIZE + 1000];

static int make_file(void)
{
    char name[] = "/tmp/leat_sendfile.XXXXXX";
    int fd = mkstemp(name);
    unlink(name);
    for (unsigned i = 0; i < SIZE; i++)
        content[i] = (uint8_t)(i * 2654435761u >> 24);
    assert_int_equal(write(fd, content, SIZE), SIZE);
    return fd;
}

/* Reads what has come; -1 and errno when the connection broke. */
static ssize_t read_all(struct pair *p, int fd, size_t have)
{
    ssize_t n;
    sim_enter(p->a);
    while ((n = leat_read(fd, got + have, sizeof(got) - have)) > 0)
        have += (size_t)n;
    return n < 0 && errno != EAGAIN ? -1 : (ssize_t)have;
}

static unsigned pause_us; /* not 0: something outside of the virtual world takes part */

static void real_time(struct pair *p)
{
    if (!pause_us)
        return;
    usleep(pause_us);
    sim_app(p->b, NULL, NULL); /* a turn looks whether reads are done */
}

static void transfer(struct pair *p, off_t offset, size_t nbytes, size_t expected)
{
    int fd_a, fd_b, file = make_file(), l = listen_b(p, 80, 5);
    struct iovec head = {"head", 4}, tail = {"tail", 4};
    struct leat_sf_hdtr hdtr = {&head, 1, &tail, 1};
    connect_pair(p, l, 80, &fd_a, &fd_b);
    off_t done = 0, n;
    ssize_t have = 0;
    for (unsigned i = 0; i < 100000 && done < (off_t)expected + 8; i++) {
        sim_enter(p->b);
        off_t body = done > 4 ? done - 4 : 0;
        struct leat_sf_hdtr rest = {&head, done < 4, &tail, 1};
        int err = leat_sendfile(file, fd_b, offset + body, nbytes ? nbytes - (size_t)body : 0,
                                done < 4 ? &hdtr : &rest, &n, 0);
        done += n;
        if (err < 0)
            assert_int_equal(errno, EAGAIN);
        sim_run_for(p->sim, 5 * NS_PER_MS);
        have = read_all(p, fd_a, (size_t)have);
        real_time(p);
    }
    close(file);
    for (unsigned i = 0; i < 100 && have < (ssize_t)expected + 8; i++) {
        sim_run_for(p->sim, 100 * NS_PER_MS);
        have = read_all(p, fd_a, (size_t)have);
        real_time(p);
    }
    assert_int_equal(have, expected + 8);
    assert_memory_equal(got, "head", 4);
    assert_memory_equal(got + 4, content + offset, expected);
    assert_memory_equal(got + 4 + expected, "tail", 4);
}

static void test_a_whole_file_with_headers_and_trailers(void **state)
{
    transfer(*state, 0, 0, SIZE);
}

static void test_a_range_across_blocks(void **state)
{
    transfer(*state, 65000, 200000, 200000);
}

static void test_more_than_there_is_sends_to_the_end(void **state)
{
    transfer(*state, SIZE - 1000, 5000, 1000);
}

static void set(const char *name, uint32_t v)
{
    assert_int_equal(leat_sysctlbyname(name, NULL, NULL, &v, sizeof(v)), 0);
}

static void get(const char *name, uint64_t *v)
{
    size_t len = sizeof(*v);
    assert_int_equal(leat_sysctlbyname(name, v, &len, NULL, 0), 0);
}

/* The readers of real disks, in real time: what the virtual world waits for comes from another thread or from the kernel. */
static void real_reader(struct pair *p, const char *name)
{
    sim_enter(p->b);
    assert_int_equal(leat_sysctlbyname("leat.filecache.reader", NULL, NULL, name, strlen(name) + 1), 0);
    pause_us = 1000;
    transfer(p, 0, 0, SIZE);
    pause_us = 0;
}

static void test_read_by_a_thread(void **state)
{
    real_reader(*state, "thread");
}

static void test_read_by_io_uring(void **state)
{
    struct io_uring_params { /* of the kernel; all zero asks for nothing special */
        uint8_t bytes[256];
    } none = {0};
    int ring = (int)syscall(SYS_io_uring_setup, 4, &none);
    if (ring < 0)
        skip(); /* this kernel lets nobody have one: "auto" takes the thread */
    close(ring);
    real_reader(*state, "uring");
}

static void test_read_by_what_there_is(void **state)
{
    real_reader(*state, "auto");
}

/* A page cache of one block serves two connections, one after the other: who finds no room is told when there is some. */
static void test_a_cache_of_one_block(void **state)
{
    struct pair *p = *state;
    int a[2], b[2], l = listen_b(p, 80, 5), file = make_file();
    off_t at[2] = {0}, n;
    size_t have[2] = {0};
    uint64_t nocache, evictions_allowed = 65536;
    static uint8_t bytes[65536];
    for (int i = 0; i < 2; i++)
        connect_pair(p, l, 80, &a[i], &b[i]);
    sim_enter(p->b);
    assert_int_equal(
        leat_sysctlbyname("leat.filecache.max", NULL, NULL, &evictions_allowed, sizeof(uint64_t)), 0);
    set("leat.filecache.sync_delay", 1000);
    for (int turn = 0; turn < 20000 && (have[0] < SIZE || have[1] < SIZE); turn++) {
        for (int i = 0; i < 2; i++) {
            sim_enter(p->b);
            if (at[i] < SIZE && leat_sendfile(file, b[i], at[i], 0, NULL, &n, 0) < 0)
                assert_int_equal(errno, EAGAIN);
            at[i] += at[i] < SIZE ? n : 0;
            sim_run_for(p->sim, NS_PER_MS);
            sim_enter(p->a);
            ssize_t r = leat_read(a[i], bytes, sizeof(bytes));
            if (r > 0) {
                assert_memory_equal(bytes, content + have[i], (size_t)r);
                have[i] += (size_t)r;
            }
        }
    }
    assert_int_equal(have[0], SIZE);
    assert_int_equal(have[1], SIZE);
    sim_enter(p->b);
    get("leat.sendfile.nocache", &nocache);
    assert_true(nocache > 0);
    close(file);
}

static unsigned open_descriptors(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 200; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

static void test_idle_files_are_kept_up_to_the_limit(void **state)
{
    struct pair *p = *state;
    int a, b, l = listen_b(p, 80, 5);
    off_t n;
    connect_pair(p, l, 80, &a, &b);
    sim_enter(p->b);
    set("leat.filecache.files", 2);
    unsigned before = open_descriptors();
    for (int i = 0; i < 6; i++) {
        int file = make_file();
        sim_enter(p->b);
        assert_int_equal(leat_sendfile(file, b, 0, 100, NULL, &n, LEAT_SF_NOCACHE), 0);
        assert_int_equal(n, 100);
        close(file);
        for (int k = 0; k < 20; k++) {
            sim_run_for(p->sim, 10 * NS_PER_MS);
            sim_enter(p->a);
            leat_read(a, got, sizeof(got));
        }
    }
    assert_int_equal(open_descriptors(), before + 2);
}

static void test_a_disk_that_takes_20_ms_a_read(void **state)
{
    struct pair *p = *state;
    sim_enter(p->b);
    set("leat.filecache.sync_delay", 20000);
    transfer(p, 0, 0, SIZE);
}

/* The bytes that were promised can't come: a RST, not a FIN, and a count. */
static void test_a_file_that_shrinks_ends_the_connection(void **state)
{
    struct pair *p = *state;
    int fd_a, fd_b, file = make_file(), l = listen_b(p, 80, 5);
    off_t n;
    uint64_t shrunk;
    size_t len = sizeof(shrunk);
    sim_enter(p->b);
    set("leat.filecache.sync_delay", 20000);
    connect_pair(p, l, 80, &fd_a, &fd_b);
    sim_enter(p->b);
    leat_sendfile(file, fd_b, 0, 0, NULL, &n, 0);
    assert_true(n > 0);
    assert_int_equal(ftruncate(file, 100), 0);
    sim_run_for(p->sim, NS_PER_SEC);
    assert_int_equal(read_all(p, fd_a, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    sim_enter(p->b);
    assert_int_equal(leat_sysctlbyname("leat.sendfile.shrunk", &shrunk, &len, NULL, 0), 0);
    assert_int_equal(shrunk, 1);
    close(file);
}

/* A file whose reads fail: sysfs tells no speed of the loopback interface, though the file says to hold a page. */
static void test_a_file_that_cannot_be_read_ends_the_connection(void **state)
{
    struct pair *p = *state;
    char byte;
    int fd_a, fd_b, file = open("/sys/class/net/lo/speed", O_RDONLY), l = listen_b(p, 80, 5);
    if (file < 0 || pread(file, &byte, 1, 0) >= 0)
        skip();
    off_t n;
    uint64_t ioerr;
    size_t len = sizeof(ioerr);
    connect_pair(p, l, 80, &fd_a, &fd_b);
    sim_enter(p->b);
    leat_sendfile(file, fd_b, 0, 0, NULL, &n, 0);
    for (unsigned i = 0; i < 100; i++) { /* the reader is a thread or the kernel: real time */
        usleep(1000);
        sim_app(p->b, NULL, NULL);
        sim_run_for(p->sim, 5 * NS_PER_MS);
    }
    assert_int_equal(read_all(p, fd_a, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    sim_enter(p->b);
    assert_int_equal(leat_sysctlbyname("leat.sendfile.ioerr", &ioerr, &len, NULL, 0), 0);
    assert_int_equal(ioerr, 1);
    close(file);
}

static void test_what_is_refused(void **state)
{
    struct pair *p = *state;
    int fd_a, fd_b, file = make_file(), l = listen_b(p, 80, 5), pipes[2];
    off_t n = 7;
    connect_pair(p, l, 80, &fd_a, &fd_b);
    sim_enter(p->b);
    assert_int_equal(leat_sendfile(-1, fd_b, 0, 0, NULL, &n, 0), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(n, 0);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(leat_sendfile(pipes[0], fd_b, 0, 0, NULL, &n, 0), -1);
    assert_int_equal(errno, EINVAL);
    int writer = open("/dev/shm", O_TMPFILE | O_WRONLY, 0600);
    if (writer >= 0) {
        assert_int_equal(leat_sendfile(writer, fd_b, 0, 0, NULL, &n, 0), -1);
        assert_int_equal(errno, EBADF);
        close(writer);
    }
    assert_int_equal(leat_sendfile(file, fd_b, 0, 0, NULL, &n, 0x4000), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_sendfile(file, fd_b, SIZE + 5, 0, NULL, &n, 0),
                     0); /* beyond the end there is nothing */
    assert_int_equal(n, 0);
    assert_int_equal(leat_sendfile(file, fd_b, -1, 0, NULL, &n, 0), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_sendfile(file, l, 0, 0, NULL, &n, 0), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(leat_sendfile(file, fd_b, 0, 0, NULL, &n, LEAT_SF_NODISKIO), -1);
    assert_int_equal(errno, EBUSY);
    close(pipes[0]);
    close(pipes[1]);
    close(file);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_whole_file_with_headers_and_trailers),
        TEST(test_a_range_across_blocks),
        TEST(test_more_than_there_is_sends_to_the_end),
        TEST(test_a_disk_that_takes_20_ms_a_read),
        TEST(test_a_file_that_shrinks_ends_the_connection),
        TEST(test_a_file_that_cannot_be_read_ends_the_connection),
        TEST(test_what_is_refused),
        TEST(test_read_by_a_thread),
        TEST(test_read_by_io_uring),
        TEST(test_read_by_what_there_is),
        TEST(test_a_cache_of_one_block),
        TEST(test_idle_files_are_kept_up_to_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
