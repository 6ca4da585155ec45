// SPDX-License-Identifier: BSD-3-Clause
// The tree of names: types, ranges, refusals that name key, value and what was expected, binary access as
// sysctlbyname(3).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "sysctl/sysctl.h"

struct room {
    bool on;
    int32_t number;
    uint32_t limit, start, gauge, watched;
    uint64_t big, counter;
    char text[8];
    int square;
};

static int square_get(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    struct room *r = base;
    return snprintf(buf, size, "%d", r->square * r->square) < (int)size ? 0 : -ENOSPC;
}
static int square_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    if (strcmp(text, "two") != 0) {
        snprintf(err, errsize, "%s: \"%s\"; expected two", oid->name, text);
        return -EINVAL;
    }
    ((struct room *)base)->square = 2;
    return 0;
}
static int watched_set(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    ((struct room *)base)->watched = 1000 + (uint32_t)strtoul(text, NULL, 0);
    return 0;
}

static const struct sysctl_oid oids[] = {
    SYSCTL_OID_BOOL("net.inet.tcp.on", struct room, on, SYSCTL_RW, 1, "A truth"),
    SYSCTL_OID_INT("net.inet.tcp.number", struct room, number, SYSCTL_RW, -5, -10, 10, "", "A number"),
    SYSCTL_OID_UINT("net.inet.tcp.limit", struct room, limit, SYSCTL_RW, 7, 1, 4000000000, "packets",
                    "A limit"),
    SYSCTL_OID_UINT("net.inet.tcp.start", struct room, start, SYSCTL_TUN, 3, 1, 9, "ms", "Read at the start"),
    SYSCTL_OID_U64("net.inet6.big", struct room, big, SYSCTL_RW, 1, 0, INT64_MAX, "ns", "A large one"),
    SYSCTL_OID_COUNTER("net.inet.tcp.stats.counter", struct room, counter, "packets", "A counter"),
    SYSCTL_OID_GAUGE("net.inet.tcp.stats.gauge", struct room, gauge, "packets", "A gauge"),
    {.name = "kern.text",
     .desc = "A text",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct room, text),
     .size = 8,
     .def_text = "newreno"},
    {.name = "kern.square",
     .desc = "Functions",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RW,
     .get = square_get,
     .set = square_set},
    {.name = "kern.watched",
     .desc = "A number with a function",
     .unit = "",
     .type = SYSCTL_UINT,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct room, watched),
     .min = 0,
     .max = 9,
     .set = watched_set},
};
#define N (sizeof(oids) / sizeof(oids[0]))

static struct room room;
static struct sysctl_tree *tree;
static char err[256];

static int begin(void **state)
{
    memset(&room, 0, sizeof(room));
    room.counter = 99; /* of a life before: registration does not wipe counters */
    tree = sysctl_tree_new();
    return !tree || sysctl_register(tree, oids, N, &room) != 0;
}
static int end(void **state)
{
    sysctl_tree_free(tree);
    return 0;
}

static int set(const char *name, const char *text)
{
    memset(err, 'x', sizeof(err) - 1);
    return sysctl_set_text(tree, name, text, err, sizeof(err));
}

static void reads(const char *name, const char *want)
{
    char buf[64];
    assert_int_equal(sysctl_get_text(tree, name, buf, sizeof(buf)), 0);
    assert_string_equal(buf, want);
}

static void registration_writes_the_defaults(void **state)
{
    reads("net.inet.tcp.on", "1");
    reads("net.inet.tcp.number", "-5");
    reads("net.inet.tcp.limit", "7");
    reads("net.inet6.big", "1");
    reads("kern.text", "newreno");
    reads("net.inet.tcp.stats.counter", "99");
}

static void values_are_set_and_read_as_text(void **state)
{
    assert_int_equal(set("net.inet.tcp.on", "0"), 0);
    assert_int_equal(set("net.inet.tcp.number", "-10"), 0);
    assert_int_equal(set("net.inet.tcp.limit", "4000000000"), 0);
    assert_int_equal(set("net.inet6.big", "0x7fffffffffffffff"), 0);
    assert_int_equal(set("kern.text", "cubic"), 0);
    assert_int_equal(set("kern.square", "two"), 0);
    assert_false(room.on);
    assert_int_equal(room.number, -10);
    assert_int_equal(room.limit, 4000000000u);
    assert_true(room.big == INT64_MAX);
    reads("kern.text", "cubic");
    reads("kern.square", "4");
    reads("net.inet6.big", "9223372036854775807");
}

static void refused(const char *name, const char *text, int rc, const char *words)
{
    struct room before = room;
    assert_int_equal(set(name, text), rc);
    if (!strstr(err, name) || !strstr(err, words))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err, name, words);
    assert_memory_equal(&room, &before, sizeof(room));
}

static void refusals_name_key_value_and_range(void **state)
{
    refused("net.inet.tcp.limit", "0", -EINVAL, "\"0\" is out of range; expected 1..4000000000 packets");
    refused("net.inet.tcp.limit", "4000000001", -EINVAL, "\"4000000001\" is out of range");
    refused("net.inet.tcp.limit", "-1", -EINVAL, "\"-1\" is out of range");
    refused("net.inet.tcp.number", "11", -EINVAL, "expected -10..10");
    refused("net.inet.tcp.number", "99999999999999999999", -EINVAL, "out of range");
    refused("net.inet.tcp.number", "ten", -EINVAL, "\"ten\" is not a number; expected -10..10");
    refused("net.inet.tcp.number", "", -EINVAL, "\"\" is not a number");
    refused("net.inet.tcp.number", "1 2", -EINVAL, "\"1 2\" is not a number");
    refused("net.inet.tcp.on", "2", -EINVAL, "expected 0..1");
    refused("net.inet.tcp.on", "yes", -EINVAL, "not a number");
    refused("net.inet6.big", "-1", -EINVAL, "expected 0..9223372036854775807 ns");
    refused("kern.text", "12345678", -EINVAL, "\"12345678\" is too long; expected at most 7 characters");
    refused("kern.square", "three", -EINVAL, "expected two");
}

static void unknown_names_are_refused_with_a_guess(void **state)
{
    refused("net.inet.tcp.limits", "1", -ENOENT, "did you mean net.inet.tcp.limit?");
    refused("net.inet.tcp.nubmer", "1", -ENOENT, "did you mean net.inet.tcp.number?");
    refused("vm.swap", "1", -ENOENT, "no such name");
    assert_null(strstr(err, "did you mean"));
    char buf[8], long_name[400];
    assert_int_equal(sysctl_get_text(tree, "net.inet", buf, sizeof(buf)), -ENOENT);
    memset(long_name, 'a', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = 0;
    assert_int_equal(set(long_name, "1"), -ENOENT); /* whatever fits of the sentence */
}

static void read_only_names_say_so(void **state)
{
    refused("net.inet.tcp.stats.counter", "0", -EPERM, "read only");
    refused("net.inet.tcp.stats.gauge", "0", -EPERM, "read only");
    assert_int_equal(set("net.inet.tcp.start", "5"), 0);
    sysctl_tree_seal(tree);
    refused("net.inet.tcp.start", "6", -EPERM, "read only while engines run; set it in the configuration");
    assert_int_equal(set("net.inet.tcp.limit", "5"), 0);
}

static void a_function_stores_after_the_range_check(void **state)
{
    refused("kern.watched", "10", -EINVAL, "expected 0..9");
    assert_int_equal(set("kern.watched", "9"), 0);
    assert_int_equal(room.watched, 1009);
}

static void short_buffers_are_told(void **state)
{
    char buf[4];
    assert_int_equal(sysctl_get_text(tree, "kern.text", buf, sizeof(buf)), -ENOSPC);
    assert_int_equal(sysctl_set_text(tree, "net.inet.tcp.limit", "0", NULL, 0), -EINVAL);
}

static int access(const char *name, void *old, size_t *oldlen, const void *new, size_t newlen)
{
    return sysctl_access(tree, name, old, oldlen, new, newlen, err, sizeof(err));
}

static void binary_access_as_sysctlbyname(void **state)
{
    int32_t i, j = -3;
    uint32_t u, w = 4000000000u;
    uint64_t q;
    char text[8];
    size_t len = sizeof(i);
    assert_int_equal(access("net.inet.tcp.number", &i, &len, &j, sizeof(j)), 0);
    assert_int_equal(i, -5);
    assert_int_equal(room.number, -3);
    len = sizeof(u);
    assert_int_equal(access("net.inet.tcp.limit", &u, &len, &w, sizeof(w)), 0);
    assert_int_equal(u, 7);
    assert_int_equal(room.limit, w);
    len = sizeof(i);
    assert_int_equal(access("net.inet.tcp.on", &i, &len, NULL, 0), 0);
    assert_int_equal(i, 1);
    len = sizeof(q);
    assert_int_equal(access("net.inet.tcp.stats.counter", &q, &len, NULL, 0), 0);
    assert_int_equal(q, 99);
    assert_int_equal(access("kern.text", NULL, &len, NULL, 0), 0); /* how long is it? */
    assert_int_equal(len, 8);
    assert_int_equal(access("kern.text", text, &len, "bbr", 3), 0);
    assert_string_equal(text, "newreno");
    assert_string_equal(room.text, "bbr");
}

static void binary_access_is_refused_in_words(void **state)
{
    int32_t i = 11;
    uint64_t q = 1;
    size_t len = 2;
    assert_int_equal(access("net.inet.tcp.number", &i, &len, NULL, 0), -ENOMEM);
    assert_int_equal(len, 4);
    assert_non_null(strstr(err, "4 bytes"));
    assert_int_equal(access("net.inet.tcp.number", NULL, NULL, &i, sizeof(i)), -EINVAL);
    assert_non_null(strstr(err, "expected -10..10"));
    assert_int_equal(access("net.inet.tcp.number", NULL, NULL, &q, sizeof(q)), -EINVAL);
    assert_non_null(strstr(err, "8 bytes; expected 4"));
    assert_int_equal(access("net.inet.tcp.nix", NULL, NULL, &i, sizeof(i)), -ENOENT);
    assert_int_equal(access("net.inet.tcp.stats.gauge", NULL, NULL, &i, sizeof(i)), -EPERM);
    assert_int_equal(room.number, -5);
}

static void names_are_unique_all_or_nothing(void **state)
{
    static const struct sysctl_oid more[] = {
        SYSCTL_OID_UINT("a.first", struct room, limit, SYSCTL_RW, 1, 0, 9, "", "New"),
        SYSCTL_OID_UINT("kern.text", struct room, limit, SYSCTL_RW, 1, 0, 9, "", "Taken"),
    };
    struct room other = {0};
    assert_int_equal(sysctl_register(tree, more, 2, &other), -EEXIST);
    assert_null(sysctl_find(tree, "a.first"));
    assert_ptr_equal(sysctl_find(tree, "kern.text"), &oids[7]);
    assert_int_equal(sysctl_register(tree, more, 1, &other), 0);
    sysctl_unregister(tree, &room);
    assert_null(sysctl_find(tree, "kern.text"));
    assert_non_null(sysctl_find(tree, "a.first"));
}

struct seen {
    unsigned n;
    const char *last;
};
static int see(struct sysctl_tree *t, const struct sysctl_oid *oid, void *arg)
{
    struct seen *s = arg;
    assert_true(!s->last || strcmp(s->last, oid->name) < 0);
    s->last = oid->name;
    return ++s->n == 5 ? 55 : 0;
}

static void walk_is_in_order_below_a_prefix(void **state)
{
    static const struct {
        const char *prefix;
        unsigned n;
        int rc;
    } walks[] = {{"net.inet6", 1, 0},
                 {"net.inet.tcp.stats", 2, 0},
                 {"net.inet.tcp.stats.", 2, 0},
                 {"kern.", 3, 0},
                 {"kern.text", 1, 0},
                 {"net.ine", 0, 0},
                 {"net.inet", 5, 55},
                 {"", 5, 55},
                 {NULL, 5, 55}};
    for (unsigned i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        struct seen s = {0};
        assert_int_equal(sysctl_walk(tree, walks[i].prefix, see, &s), walks[i].rc);
        assert_int_equal(s.n, walks[i].n);
    }
}

static void failed_allocation_registers_nothing(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    struct sysctl_tree *t = sysctl_tree_new();
    fault_run = 1;
    fault_countdown = 1;
    assert_int_equal(sysctl_register(t, oids, N, &room), -ENOMEM);
    fault_countdown = -1;
    assert_null(sysctl_find(t, "kern.text"));
    sysctl_tree_free(t);
#else
    skip();
#endif
}

#define TEST(FN) cmocka_unit_test_setup_teardown(FN, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(registration_writes_the_defaults),
        TEST(values_are_set_and_read_as_text),
        TEST(refusals_name_key_value_and_range),
        TEST(unknown_names_are_refused_with_a_guess),
        TEST(read_only_names_say_so),
        TEST(a_function_stores_after_the_range_check),
        TEST(short_buffers_are_told),
        TEST(binary_access_as_sysctlbyname),
        TEST(binary_access_is_refused_in_words),
        TEST(names_are_unique_all_or_nothing),
        TEST(walk_is_in_order_below_a_prefix),
        TEST(failed_allocation_registers_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
