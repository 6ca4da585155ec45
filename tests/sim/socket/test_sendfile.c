// SPDX-License-Identifier: BSD-3-Clause
// leat_sendfile() between two simulated hosts: bytes, counts, a slow disk, a shrinking file.
#include "sim/fixture.h"
#include <fcntl.h>
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
    }
    close(file);
    sim_run_for(p->sim, 100 * NS_PER_MS);
    have = read_all(p, fd_a, (size_t)have);
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
        TEST(test_a_whole_file_with_headers_and_trailers),  TEST(test_a_range_across_blocks),
        TEST(test_more_than_there_is_sends_to_the_end),     TEST(test_a_disk_that_takes_20_ms_a_read),
        TEST(test_a_file_that_shrinks_ends_the_connection), TEST(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
