// SPDX-License-Identifier: BSD-3-Clause
// leat.conf(5): what is read, and that complaints name place, key, value and what was expected.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <arpa/inet.h>
#include "base/alloc.h"
#include "engine/config.h"

static const char whole[] = "[leat]\n"
                            "engines = 4\n"
                            "memory = 512 ; MiB\n"
                            "control = /run/leat.sock\n"
                            "# a comment\n"
                            "[port tap0]\n"
                            "vdev = net_tap0,iface=leat0\n"
                            "mtu = 9000\n"
                            "addr = 10.64.0.1/24\n"
                            "addr6 = fd64::1/64\n"
                            "gateway = 10.64.0.254\n"
                            "gateway6 = fe80::1\n"
                            "route = 10.9.0.0/16 10.64.0.9\n"
                            "route = 2001:db8::/32\n"
                            "lro = yes\n"
                            "[sysctl]\n"
                            "net.inet.tcp.msl = 5000\n";

static void every_key_is_read(void **state)
{
    struct config c;
    char err[256] = "";

    config_init(&c);
    assert_int_equal(config_parse(&c, whole, err, sizeof(err)), 0);
    assert_int_equal(c.engines, 4);
    assert_int_equal(c.memory, 512);
    assert_string_equal(c.control, "/run/leat.sock");
    assert_int_equal(c.n_ports, 1);
    assert_string_equal(c.ports[0].vdev, "net_tap0,iface=leat0");
    assert_int_equal(c.ports[0].mtu, 9000);
    assert_int_equal(c.ports[0].n_addrs, 2);
    assert_int_equal(c.ports[0].addrs[0].plen, 24);
    assert_int_equal(c.ports[0].addrs[1].plen, 64);
    assert_int_equal(c.ports[0].n_routes, 4);
    assert_int_equal(c.ports[0].routes[0].dst.plen, 0);
    assert_int_equal(c.ports[0].routes[0].gateway.w[3], inet_addr("10.64.0.254"));
    assert_true(ip_addr_is_any(&c.ports[0].routes[3].gateway));
    assert_true(c.ports[0].lro && c.ports[0].offloads);
    assert_int_equal(c.n_settings, 1);
    assert_string_equal(c.settings[0].value, "5000");
    config_free(&c);
}

static void complaint(const char *text, const char *a, const char *b)
{
    struct config c;
    char err[256] = "";

    config_init(&c);
    assert_int_equal(config_parse(&c, text, err, sizeof(err)), -EINVAL);
    if (!strstr(err, a) || !strstr(err, b))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err, a, b);
    config_free(&c);
}

static void complaints_name_line_key_value_and_range(void **state)
{
    complaint("[leat]\nengines = 0\n", "text:2: [leat] engines: \"0\"", "1..128");
    complaint("[leat]\nengines = 4x\n", "\"4x\"", "1..128");
    complaint("[leat]\nengines = -1\n", "\"-1\"", "1..128");
    complaint("[leat]\nengines = 99999999999999999999\n", "engines", "1..128");
    complaint("[leat]\nmotor = 1\n", "motor", "no such key");
    complaint("[lead]\nx = 1\n", "lead", "no such section");
    complaint("[port 0]\naddr = 10.0.0.1/33\n", "10.0.0.1/33", "192.0.2.1/24");
    complaint("[port 0]\naddr = 10.0.0.1/\n", "10.0.0.1/", "192.0.2.1/24");
    complaint("[port 0]\naddr = 0.0.0.0/0\n", "0.0.0.0/0", "address");
    complaint("[port 0]\naddr = 224.0.0.1/4\n", "224.0.0.1", "address");
    complaint("[port 0]\nmtu = 9001\n", "9001", "576..9000");
    complaint("[port 0]\nlro = perhaps\n", "perhaps", "yes or no");
    complaint("[port 0]\nroute = 10.0.0.0/8 fe80::1\n", "fe80::1", "family");
    complaint("[port 0123456789012345678901234567890123]\nmtu = 1500\n", "port", "31");
    complaint("[leat]\nnonsense\n", "text:2", "NAME = VALUE");
}

static void set_comes_after_the_file(void **state)
{
    struct config c;
    char err[256];

    config_init(&c);
    assert_int_equal(config_parse(&c, "[sysctl]\na.b = 1\n", err, sizeof(err)), 0);
    assert_int_equal(config_set(&c, "a.b=2=3", err, sizeof(err)), 0);
    assert_string_equal(c.settings[1].name, "a.b");
    assert_string_equal(c.settings[1].value, "2=3");
    assert_int_equal(config_set(&c, "a.b", err, sizeof(err)), -EINVAL);
    assert_non_null(strstr(err, "NAME=VALUE"));
    config_free(&c);
}

static void missing_file_is_named(void **state)
{
    struct config c;
    char err[256];

    config_init(&c);
    assert_int_equal(config_read(&c, "/nonexistent/leat.conf", err, sizeof(err)), -ENOENT);
    assert_non_null(strstr(err, "/nonexistent/leat.conf"));
    config_free(&c);
}

static void every_failed_allocation_is_survived(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    int rc = -ENOMEM;

    for (int n = 1; rc && n < 200; n++) {
        struct config c;
        char err[256];

        config_init(&c);
        fault_countdown = n;
        fault_run = 1;
        rc = config_parse(&c, whole, err, sizeof(err));
        fault_countdown = -1;
        assert_true(rc == 0 || rc == -ENOMEM);
        config_free(&c);
    }
    assert_int_equal(rc, 0);
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(complaints_name_line_key_value_and_range),
        cmocka_unit_test(set_comes_after_the_file),
        cmocka_unit_test(missing_file_is_named),
        cmocka_unit_test(every_failed_allocation_is_survived),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
