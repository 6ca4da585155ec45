// SPDX-License-Identifier: BSD-3-Clause
// Addresses of both families in one type: text forms (RFC 4291 §2.2, RFC 5952), kinds.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include "base/ipaddr.h"

static struct ip_addr ip(const char *text)
{
    struct ip_addr a;
    assert_int_equal(ip_addr_parse(text, &a), 0);
    return a;
}

static void text_there_and_back(void **state)
{
    static const char *const forms[][2] = {
        {"10.0.0.1", "10.0.0.1"},
        {"0.0.0.0", "0.0.0.0"},
        {"255.255.255.255", "255.255.255.255"},
        {"::", "::"},
        {"::1", "::1"},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1"},
        {"fe80::200:ff:fe00:1", "fe80::200:ff:fe00:1"},
        {"::ffff:10.0.0.1", "10.0.0.1"}, /* one address, whichever way it is written */
        {"::ffff:a00:1", "10.0.0.1"},
    };
    char buf[IP_ADDR_STRLEN];
    for (unsigned i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct ip_addr a = ip(forms[i][0]);
        assert_ptr_equal(ip_addr_str(&a, buf), buf);
        assert_string_equal(buf, forms[i][1]);
    }
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const bad[] = {"",          "10.0.0",    "10.0.0.256", "10.0.0.1/24",
                                      "10.0.0.1 ", " 10.0.0.1", "1.2.3.4.5",  "fe80::1%",
                                      "::1::",     "g::1",      "localhost",  "010.0.0.1x"};
    struct ip_addr a;
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(ip_addr_parse(bad[i], &a), -EINVAL);
}

static void kinds_of_addresses(void **state)
{
    static const struct {
        const char *text;
        bool v4, any, multicast, link_local;
    } kinds[] = {
        {"10.0.0.1", true, false, false, false},
        {"0.0.0.0", true, true, false, false},
        {"224.0.0.1", true, false, true, false},
        {"239.255.255.255", true, false, true, false},
        {"240.0.0.1", true, false, false, false},
        {"169.254.1.1", true, false, false, true},
        {"169.253.1.1", true, false, false, false},
        {"::", false, true, false, false},
        {"::1", false, false, false, false},
        {"ff02::1", false, false, true, false},
        {"fe80::1", false, false, false, true},
        {"febf::1", false, false, false, true},
        {"fec0::1", false, false, false, false},
        {"2001:db8::1", false, false, false, false},
        {"::fffe:10.0.0.1", false, false, false, false},
    };
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct ip_addr a = ip(kinds[i].text);
        assert_int_equal(ip_addr_is_v4(&a), kinds[i].v4);
        assert_int_equal(ip_addr_is_any(&a), kinds[i].any);
        assert_int_equal(ip_addr_is_multicast(&a), kinds[i].multicast);
        assert_int_equal(ip_addr_is_link_local(&a), kinds[i].link_local);
    }
}

static void equality_is_of_all_bits(void **state)
{
    struct ip_addr a = ip("2001:db8::1");
    for (int bit = 0; bit < 128; bit++) {
        struct ip_addr b = a;
        assert_true(ip_addr_eq(&a, &b));
        b.b[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(ip_addr_eq(&a, &b));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_there_and_back),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(kinds_of_addresses),
        cmocka_unit_test(equality_is_of_all_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
