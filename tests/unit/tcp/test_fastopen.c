// SPDX-License-Identifier: BSD-3-Clause
// Fast Open's cookies, keys and settings (RFC 7413 §4.1.2). What peers see: packetdrill/scripts/fastopen.
#include "conversation.h"
#include "tcp/fastopen.h"

static const uint8_t key[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const uint8_t psk[16] = {16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};

static void assert_bytes(uint64_t cookie, const char *hex)
{
    char text[17];
    for (unsigned i = 0; i < 8; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const uint8_t *)&cookie)[i]);
    assert_string_equal(text, hex);
}

static void refused(const char *name, const char *value, const char *says)
{
    char err[300];
    assert_true(sysctl_set_text(e.sysctl, name, value, err, sizeof(err)) < 0);
    if (!strstr(err, says))
        fail_msg("%s", err);
}

static uint32_t number(const char *name)
{
    char full[100], buf[64];
    snprintf(full, sizeof(full), "net.inet.tcp.fastopen.%s", name);
    assert_int_equal(sysctl_get_text(e.sysctl, full, buf, sizeof(buf)), 0);
    return (uint32_t)strtoul(buf, NULL, 10);
}

static void cookies_are_siphash_of_the_address(void **state)
{
    struct ip_addr v4, v6, mapped;
    ip_addr_parse("192.0.2.1", &v4);
    ip_addr_parse("2001:db8::1", &v6);
    ip_addr_parse("::ffff:192.0.2.1", &mapped);
    assert_bytes(fastopen_cookie(key, &v4), "e4f7cbc7544477c7");
    assert_bytes(fastopen_cookie(key, &v6), "ddb3e9fc96a9744d");
    assert_bytes(fastopen_cookie(key, &mapped), "e4f7cbc7544477c7");
}

static void proofs_are_siphash_of_the_cookie(void **state)
{
    struct ip_addr v4;
    ip_addr_parse("192.0.2.1", &v4);
    uint64_t c = fastopen_cookie(key, &v4);
    assert_bytes(fastopen_proof(psk, (const uint8_t *)&c, 8), "09c5e6462557fdbf");
}

static void two_keys_live_the_newest_makes_cookies(void **state)
{
    struct fastopen_option o = {0};
    uint8_t other[16] = {1}, third[16] = {2};
    struct fastopen_ring *r = &e.tcp->fastopen->keys;
    assert_false(fastopen_fresh(e.tcp, &peer, &o));
    fastopen_ring_add(r, key);
    uint64_t old = fastopen_cookie(key, &peer), now;
    fastopen_ring_add(r, other);
    assert_true(fastopen_fresh(e.tcp, &peer, &o));
    memcpy(&now, o.cookie, 8);
    assert_true(now == fastopen_cookie(other, &peer));
    assert_int_equal(fastopen_check(e.tcp, NULL, &peer, (uint8_t *)&old, 8), FASTOPEN_VALID);
    fastopen_ring_add(r, third);
    assert_int_equal(fastopen_check(e.tcp, NULL, &peer, (uint8_t *)&old, 8), FASTOPEN_INVALID);
    assert_int_equal(fastopen_check(e.tcp, NULL, &peer, (uint8_t *)&now, 8), FASTOPEN_VALID);
    assert_int_equal(fastopen_check(e.tcp, NULL, &us, (uint8_t *)&now, 8), FASTOPEN_INVALID);
}

static void replaced_keys_are_gone_from_memory(void **state)
{
    struct fastopen_ring *r = &e.tcp->fastopen->keys;
    uint8_t other[16] = {1};
    fastopen_ring_add(r, key);
    fastopen_ring_add(r, other);
    fastopen_ring_add(r, other);
    for (unsigned i = 0; i + 16 <= sizeof(*r); i++)
        assert_memory_not_equal((uint8_t *)r + i, key, 16);
}

static void sysctl_setkey_wants_16_bytes(void **state)
{
    char err[200];
    refused("net.inet.tcp.fastopen.setkey", "00", "32 hexadecimal digits");
    refused("net.inet.tcp.fastopen.setkey", "zz0102030405060708090a0b0c0d0e0f", "32 hexadecimal digits");
    set("net.inet.tcp.fastopen.setkey", "000102030405060708090a0b0c0d0e0f");
    assert_int_equal(number("numkeys"), 1);
    assert_memory_equal(e.tcp->fastopen->keys.key[0], key, 16);
    /* In binary, as FreeBSD has it. */
    assert_int_equal(
        sysctl_access(e.sysctl, "net.inet.tcp.fastopen.setpsk", NULL, NULL, psk, 16, err, sizeof(err)), 0);
    assert_memory_equal(e.tcp->fastopen->psks.key[0], psk, 16);
    assert_true(
        sysctl_access(e.sysctl, "net.inet.tcp.fastopen.setpsk", NULL, NULL, psk, 15, err, sizeof(err)) < 0);
}

static void refusals_do_not_repeat_the_key(void **state)
{
    char err[300];
    sysctl_set_text(e.sysctl, "net.inet.tcp.fastopen.setpsk", "deadbeefdeadbeefdeadbeefdeadbee", err,
                    sizeof(err));
    assert_null(strstr(err, "beef"));
}

static void the_old_name_is_refused_with_the_new_one(void **state)
{
    refused("net.inet.tcp.fastopen.enabled", "1", "net.inet.tcp.fastopen.server_enable");
}

static void sysctl_server_enable_off_drops_keys(void **state)
{
    set("net.inet.tcp.fastopen.server_enable", "1");
    assert_int_equal(number("numkeys"), 1);
    set("net.inet.tcp.fastopen.setpsk", "000102030405060708090a0b0c0d0e0f");
    set("net.inet.tcp.fastopen.server_enable", "0");
    assert_int_equal(number("numkeys"), 0);
    assert_int_equal(number("numpsks"), 0);
}

static void sysctl_psk_enable_off_drops_psks(void **state)
{
    set("net.inet.tcp.fastopen.psk_enable", "1");
    set("net.inet.tcp.fastopen.setpsk", "000102030405060708090a0b0c0d0e0f");
    assert_int_equal(number("numpsks"), 1);
    set("net.inet.tcp.fastopen.psk_enable", "0");
    assert_int_equal(number("numpsks"), 0);
}

static void engines_of_one_process_agree_on_automatic_keys(void **state)
{
    set("net.inet.tcp.fastopen.server_enable", "1");
    struct tcp_fastopen *f = e.tcp->fastopen;
    struct fastopen_ring first = f->keys;
    e.secret.k[0]++; /* another engine: its own secret differs, the common one does not */
    set("net.inet.tcp.fastopen.server_enable", "0");
    set("net.inet.tcp.fastopen.server_enable", "1");
    assert_memory_equal(&f->keys, &first, sizeof(first));
}

static void a_cookie_lives_for_one_to_two_times_autokey(void **state)
{
    struct fastopen_option o = {0};
    set("net.inet.tcp.fastopen.server_enable", "1");
    for (unsigned begin = 0; begin < 120; begin += 17) {
        e.now += 17 * NS_PER_SEC;
        fastopen_keys_refresh(e.tcp);
        fastopen_fresh(e.tcp, &peer, &o);
        uint64_t made = e.now;
        e.now = made + 120 * NS_PER_SEC;
        fastopen_keys_refresh(e.tcp);
        assert_int_equal(fastopen_check(e.tcp, NULL, &peer, o.cookie, 8), FASTOPEN_VALID);
        e.now = made + 240 * NS_PER_SEC;
        fastopen_keys_refresh(e.tcp);
        assert_int_equal(fastopen_check(e.tcp, NULL, &peer, o.cookie, 8), FASTOPEN_INVALID);
        e.now = made;
    }
}

static void lengths_by_rfc7413_4_1_1(void **state)
{
    for (unsigned len = 0; len <= 40; len++)
        assert_int_equal(fastopen_length_good((uint8_t)len),
                         len == 0 || (len >= 4 && len <= 16 && len % 2 == 0));
}

static void options_of_both_kinds_are_read_on_syns_only(void **state)
{
    const uint8_t both[] = {254, 8, 0xf9, 0x89, 1, 2, 3, 4, 34, 6, 5, 6, 7, 8};
    const uint8_t other[] = {254, 6, 0xf9, 0x88, 1, 2};
    struct tcp_options o;
    tcp_options_parse(&o, both, sizeof(both), true);
    assert_true(o.seen & TOF_FASTOPEN);
    assert_true(o.fo_experimental); /* the first counts */
    assert_int_equal(o.fo_len, 4);
    assert_memory_equal(o.fo_cookie, both + 4, 4);
    tcp_options_parse(&o, both + 8, 6, true);
    assert_false(o.fo_experimental);
    tcp_options_parse(&o, both, sizeof(both), false);
    assert_false(o.seen & TOF_FASTOPEN);
    tcp_options_parse(&o, other, sizeof(other), true);
    assert_false(o.seen & TOF_FASTOPEN);
}

static void an_option_that_does_not_fit_is_left_out(void **state)
{
    uint8_t out[40];
    struct fastopen_option fo = {.len = 16};
    struct tcp_syn_options o = {.mss = 1460, .scale = true, .sack = true, .stamps = true, .fastopen = &fo};
    assert_int_equal(tcp_options_write(&o, out), 40); /* 4 + 4 + 2 + 10 + 18, padded */
    assert_non_null(o.fastopen);
    fo.experimental = true; /* 2 more, still 40 */
    assert_int_equal(tcp_options_write(&o, out), 40);
    assert_non_null(o.fastopen);
}

static void the_cache_is_bounded_and_the_least_recently_used_goes(void **state)
{
    set("net.inet.tcp.fastopen.ccache_buckets", "1");
    set("net.inet.tcp.fastopen.ccache_bucket_limit", "2");
    for (unsigned i = 0; i < 3; i++) {
        struct tcb *tp = tcp_new(&e, &upcalls, &owner);
        tp->flags |= TF_FASTOPEN;
        assert_int_equal(tcp_connect(tp, &peer, rte_cpu_to_be_16((uint16_t)(80 + i)), 0), 0);
        struct tcp_segment s = {.ack = tp->iss + 1};
        s.opt.seen = TOF_FASTOPEN;
        s.opt.fo_len = 8;
        s.opt.fo_cookie = key;
        tp->snd_una = tp->iss + 1;
        fastopen_synack(tp, &s);
        tcp_free(tp);
    }
    assert_int_equal(e.tcp->fastopen->entries.used, 2);
    assert_int_equal(e.tcp->fastopen->stats.ccache_replaced, 1);
    set("net.inet.tcp.fastopen.ccache_bucket_limit", "1");
    assert_int_equal(e.tcp->fastopen->entries.used, 1);
    set("net.inet.tcp.fastopen.client_enable", "0");
    assert_int_equal(e.tcp->fastopen->entries.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cookies_are_siphash_of_the_address),
        TEST(proofs_are_siphash_of_the_cookie),
        TEST(two_keys_live_the_newest_makes_cookies),
        TEST(replaced_keys_are_gone_from_memory),
        TEST(sysctl_setkey_wants_16_bytes),
        TEST(refusals_do_not_repeat_the_key),
        TEST(the_old_name_is_refused_with_the_new_one),
        TEST(sysctl_server_enable_off_drops_keys),
        TEST(sysctl_psk_enable_off_drops_psks),
        TEST(engines_of_one_process_agree_on_automatic_keys),
        TEST(a_cookie_lives_for_one_to_two_times_autokey),
        TEST(lengths_by_rfc7413_4_1_1),
        TEST(options_of_both_kinds_are_read_on_syns_only),
        TEST(an_option_that_does_not_fit_is_left_out),
        TEST(the_cache_is_bounded_and_the_least_recently_used_goes),
    };
    return cmocka_run_group_tests_name("fastopen", tests, set_up_group, NULL);
}
