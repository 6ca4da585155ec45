// SPDX-License-Identifier: BSD-3-Clause
// leat(7): leat's arguments, "--", the EAL's, "--", the program's.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "process/priv.h"

/* arguments.c complains through this; process.c, which owns it, is not under test. */
int proc_error(struct process *p, int rc, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(p->error, sizeof(p->error), fmt, ap);
    va_end(ap);
    return rc;
}

static struct process p;
static char **eal;
static int n_eal;

static int parse(int argc, char **argv)
{
    config_free(&p.config);
    config_init(&p.config);
    return proc_arguments(&p, argc, argv, &eal, &n_eal);
}
#define PARSE(...)                                                                                           \
    parse((int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)), argv = (char *[]){__VA_ARGS__, NULL})

static void three_parts(void **state)
{
    char **argv;

    assert_int_equal(PARSE("prog", "--set", "a.b=1", "--", "-l", "1", "--", "x", "y"), 6);
    assert_string_equal(argv[7], "x");
    assert_int_equal(n_eal, 2);
    assert_string_equal(eal[0], "-l");
    assert_string_equal(p.config.settings[0].name, "a.b");
}

static void parts_may_be_empty_or_missing(void **state)
{
    char **argv;

    assert_int_equal(PARSE("prog"), 0);
    assert_int_equal(n_eal, 0);
    assert_int_equal(PARSE("prog", "--", "--", "x"), 2);
    assert_int_equal(n_eal, 0);
    assert_string_equal(argv[3], "x");
    assert_int_equal(PARSE("prog", "--"), 1);
    assert_int_equal(n_eal, 0);
    assert_int_equal(PARSE("prog", "--", "--no-huge"), 2);
    assert_int_equal(n_eal, 1);
    assert_string_equal(eal[0], "--no-huge");
}

static void set_overrides_the_file_wherever_it_stands(void **state)
{
    char path[] = "/tmp/leat_conf_XXXXXX", **argv;
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_true(write(fd, "[sysctl]\na = 1\n", 15) == 15);
    close(fd);
    assert_true(PARSE("prog", "--set=a=2", "-c", path) >= 0);
    assert_int_equal(p.config.n_settings, 2);
    assert_string_equal(p.config.settings[1].value, "2");
    setenv("LEAT_CONF", path, 1);
    assert_true(PARSE("prog") >= 0);
    assert_int_equal(p.config.n_settings, 1);
    unsetenv("LEAT_CONF");
    unlink(path);
}

static void unknown_arguments_are_named(void **state)
{
    char **argv;

    assert_int_equal(PARSE("prog", "--sett=1"), -EINVAL);
    assert_non_null(strstr(p.error, "--sett=1"));
    assert_int_equal(PARSE("prog", "--conf"), -EINVAL);
    assert_int_equal(PARSE("prog", "--conf", "--"), -EINVAL);
    assert_int_equal(PARSE("prog", "--conf=/nonexistent"), -ENOENT);
    assert_non_null(strstr(p.error, "/nonexistent"));
    assert_int_equal(PARSE("prog", "--set", "novalue"), -EINVAL);
    assert_non_null(argv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_parts),
        cmocka_unit_test(parts_may_be_empty_or_missing),
        cmocka_unit_test(set_overrides_the_file_wherever_it_stands),
        cmocka_unit_test(unknown_arguments_are_named),
    };
    int failed;

    unsetenv("LEAT_CONF");
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    config_free(&p.config);
    return failed;
}
