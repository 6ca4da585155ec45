// SPDX-License-Identifier: BSD-3-Clause
// The host cache: net.inet.tcp.hostcache.* with FreeBSD's meaning.
#include "conversation.h"
#include "tcp/hostcache.h"

static const char *get(const char *name)
{
    static char buf[4096];
    char full[100];
    snprintf(full, sizeof(full), "net.inet.tcp.hostcache.%s", name);
    assert_int_equal(sysctl_get_text(e.sysctl, full, buf, sizeof(buf)), 0);
    return buf;
}

static void set_cache(const char *name, const char *value)
{
    char full[100];
    snprintf(full, sizeof(full), "net.inet.tcp.hostcache.%s", name);
    set(full, value);
}

static void drop_listener(void)
{
    struct tcb *tp = TAILQ_FIRST(&e.tcp->all);
    while (tp && tp->state != TCPS_LISTEN)
        tp = TAILQ_NEXT(tp, all_link);
    if (tp)
        tcp_free(tp);
}

/* A passive connection whose round trips, the handshake's among them, all took ms. */
static struct tcb *talk(unsigned samples, unsigned ms)
{
    struct tcb *l = listening(10);
    in_opt("S", 0, 0, 0, 65535, "mss 1460");
    expect("SA", 0, 0, 1);
    wait_ms(ms);
    in("A", 1, 0, 1, 65535);
    struct tcb *tp = tcp_accept(l);
    tcp_adopt(tp, &upcalls, &owner);
    for (unsigned i = 1; i < samples; i++) {
        app_writes(tp, 100);
        expect("PA", 1 + 100 * (i - 1), 100, 1);
        wait_ms(ms);
        in("A", 1, 0, 1 + 100 * i, 65535);
    }
    return tp;
}

static void end(struct tcb *tp)
{
    tcp_free(tp);
    drop_listener();
    peer_port = (uint16_t)(peer_port + 256); /* the next is another connection */
}

static void other_peer(unsigned i)
{
    char text[32];
    snprintf(text, sizeof(text), "10.0.%u.%u", i / 250, 2 + i % 250);
    ip_addr_parse(text, &peer);
}

/* One line of the list, its numbers. */
static void listed(unsigned n, unsigned *mtu, unsigned *ssthresh, unsigned *rtt, unsigned *rttvar,
                   unsigned *cwnd)
{
    const char *line = strstr(get("list"), "EXP\n") + 4;
    while (n-- > 0)
        line = strchr(line, '\n') + 1;
    assert_int_equal(sscanf(line, "%*s %u %u %ums %ums %u", mtu, ssthresh, rtt, rttvar, cwnd), 5);
}

static unsigned rtt_listed(void)
{
    unsigned mtu, ssthresh, rtt, rttvar, cwnd;
    listed(0, &mtu, &ssthresh, &rtt, &rttvar, &cwnd);
    return rtt;
}

static void four_samples_are_enough_three_are_not(void **state)
{
    end(talk(3, 50));
    assert_string_equal(get("count"), "0");
    end(talk(4, 50));
    assert_string_equal(get("count"), "1");
    assert_int_equal(rtt_listed(), 50);
    assert_int_equal(stat("hc_added"), 1);
    assert_int_equal(stat("cachedrtt"), 1);
    assert_int_equal(stat("cachedrttvar"), 1);
    assert_int_equal(stat("cachedssthresh"), 0);
}

static void time_wait_learns_at_its_beginning(void **state)
{
    struct tcb *tp = talk(4, 50);
    app_closes(tp);
    expect("FA", 301, 0, 1);
    in("FA", 1, 0, 302, 65535);
    expect("A", 302, 0, 2);
    assert_string_equal(get("count"), "1");
    wait_ms(61000);
    assert_int_equal(stat("cachedrtt"), 1); /* once */
}

static void a_second_connection_is_averaged_in(void **state)
{
    end(talk(4, 50));
    end(talk(4, 50));
    assert_int_equal(rtt_listed(), 50);
    struct tcb *tp = talk(40, 100);
    unsigned own = (unsigned)(tp->srtt / NS_PER_MS);
    end(tp);
    assert_in_range(rtt_listed(), (50 + own) / 2 - 1, (50 + own) / 2 + 1);
    assert_string_equal(get("count"), "1");
}

/* FreeBSD's cc_conn_init(): the first sample is smoothed into what the cache knows. */
static void a_connection_begins_with_the_cached_rtt(void **state)
{
    end(talk(10, 80));
    struct tcb *tp = talk(1, 160);
    assert_int_equal(stat("usedrtt"), 1);
    assert_int_equal(stat("usedrttvar"), 1);
    assert_in_range(tp->srtt, 89 * NS_PER_MS, 91 * NS_PER_MS); /* 7/8 of 80 and 1/8 of 160 */
    end(tp);
}

static void a_stranger_begins_with_nothing(void **state)
{
    end(talk(10, 80));
    other_peer(7);
    struct tcb *tp = talk(1, 160);
    assert_int_equal(stat("usedrtt"), 0);
    assert_int_equal(tp->srtt, 160 * NS_PER_MS);
    end(tp);
}

/* tcp_discardcb(): whole segments with headers, and only when it is below half the send buffer. */
static void ssthresh_is_learned_after_loss_only(void **state)
{
    unsigned mtu, ssthresh, rtt, rttvar, cwnd;
    struct tcb *tp = talk(4, 50);
    tp->ssthresh = 5 * 1460 + 10;
    end(tp);
    listed(0, &mtu, &ssthresh, &rtt, &rttvar, &cwnd);
    assert_int_equal(ssthresh, 5 * 1500);
    assert_int_equal(stat("cachedssthresh"), 1);
    tp = talk(4, 50);
    assert_int_equal(tp->ssthresh, 5 * 1500);
    assert_int_equal(stat("usedssthresh"), 1);
    tp->ssthresh = tp->snd.hiwat / 2;
    end(tp);
    assert_int_equal(stat("cachedssthresh"), 1);
}

static void ssthresh_is_two_segments_at_least(void **state)
{
    struct tcb *tp = talk(4, 50);
    tp->ssthresh = 1;
    end(tp);
    tp = talk(1, 50);
    assert_int_equal(tp->ssthresh, 3000);
    end(tp);
}

static void grown_buffers_are_passed_on(void **state)
{
    struct tcb *tp = talk(4, 50);
    tp->rcv.hiwat = 500000;
    tp->snd.hiwat = 400000;
    end(tp);
    tp = talk(1, 50);
    assert_int_equal(tp->rcv.hiwat, 500000);
    assert_int_equal(tp->snd.hiwat, 400000);
    end(tp);
    set("net.inet.tcp.recvbuf_max", "100000");
    set("net.inet.tcp.sendbuf_auto", "0");
    tp = talk(1, 50);
    assert_int_equal(tp->rcv.hiwat, 100000);
    assert_in_range(tp->snd.hiwat, 32768, 34000);
    end(tp);
}

static void sysctl_enable(void **state)
{
    end(talk(4, 50));
    set_cache("enable", "0");
    struct tcb *tp = talk(4, 100);
    assert_int_equal(stat("usedrtt"), 0);
    end(tp);
    assert_int_equal(stat("cachedrtt"), 1);
    set_cache("enable", "1");
    assert_int_equal(rtt_listed(), 50);
}

static void icmp_too_big_is_listed_and_purged(void **state)
{
    unsigned mtu, ssthresh, rtt, rttvar, cwnd;
    struct tcb *tp = talk(1, 50);
    hostcache_mtu(tp, 1200);
    listed(0, &mtu, &ssthresh, &rtt, &rttvar, &cwnd);
    assert_int_equal(mtu, 1200);
    set_cache("purgenow", "1");
    assert_int_equal(path_mtu, 1500);
    assert_string_equal(get("count"), "0");
    end(tp);
}

static void sysctl_purgenow(void **state)
{
    end(talk(4, 50));
    assert_string_equal(get("purgenow"), "0");
    set_cache("purgenow", "0");
    assert_string_equal(get("count"), "1");
    set_cache("purgenow", "1");
    assert_string_equal(get("count"), "0");
    assert_string_equal(get("purgenow"), "0");
    end(talk(4, 50));
    set_cache("purgenow", "2");
    assert_string_equal(get("count"), "0");
    end(talk(4, 50));
    assert_string_equal(get("count"), "1");
}

static void sysctl_purge_waits_for_the_next_prune(void **state)
{
    set_cache("prune", "10");
    end(talk(4, 50));
    set_cache("purge", "1");
    wait_ms(5000);
    assert_string_equal(get("count"), "1");
    wait_ms(5000);
    assert_string_equal(get("count"), "0");
    assert_string_equal(get("purge"), "0");
}

static void sysctl_expire_and_prune(void **state)
{
    set_cache("prune", "10");
    set_cache("expire", "25");
    end(talk(4, 50));
    wait_ms(35000);
    assert_string_equal(get("count"), "1"); /* 25, 15, 5, -5 left */
    wait_ms(6000);
    assert_string_equal(get("count"), "0");
    assert_int_equal(e.wheel.armed, 0);
}

static void a_hit_prolongs(void **state)
{
    set_cache("prune", "10");
    set_cache("expire", "25");
    end(talk(4, 50));
    for (int i = 0; i < 4; i++) {
        wait_ms(20000);
        end(talk(1, 50));
    }
    assert_string_equal(get("count"), "1");
}

static void sysctl_bucketlimit_drops_the_one_updated_longest_ago(void **state)
{
    set_cache("hashsize", "1");
    set_cache("bucketlimit", "2");
    for (unsigned i = 0; i < 3; i++) {
        other_peer(i);
        end(talk(4, 50));
    }
    assert_string_equal(get("count"), "2");
    assert_int_equal(stat("hc_bucketoverflow"), 1);
    assert_null(strstr(get("list"), "10.0.0.2 "));
    assert_non_null(strstr(get("list"), "10.0.0.4 "));
}

static void sysctl_cachelimit(void **state)
{
    set_cache("hashsize", "1");
    set_cache("cachelimit", "3");
    for (unsigned i = 0; i < 6; i++) {
        other_peer(i);
        end(talk(4, 50));
    }
    assert_string_equal(get("count"), "3");
}

static void sysctl_hashsize_is_a_power_of_two_and_fixed_in_use(void **state)
{
    char err[200];
    assert_int_equal(sysctl_set_text(e.sysctl, "net.inet.tcp.hostcache.hashsize", "500", err, sizeof(err)),
                     -EINVAL);
    end(talk(4, 50));
    assert_int_equal(sysctl_set_text(e.sysctl, "net.inet.tcp.hostcache.hashsize", "256", err, sizeof(err)),
                     -EBUSY);
    assert_non_null(strstr(err, "net.inet.tcp.hostcache.hashsize"));
}

static void sysctl_list_comes_in_pieces(void **state)
{
    char piece[256], all[20000] = "";
    uint64_t cursor = 0;
    unsigned lines = 0;
    for (unsigned i = 0; i < 60; i++) {
        other_peer(i);
        end(talk(4, 50));
    }
    while (cursor != SYSCTL_END) {
        assert_int_equal(
            sysctl_get_part(e.sysctl, "net.inet.tcp.hostcache.list", &cursor, piece, sizeof(piece)), 0);
        strcat(all, piece);
    }
    for (const char *c = all; *c; c++)
        lines += *c == '\n';
    assert_int_equal(lines, 2 + 60);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(piece, sizeof(piece), "\n10.0.0.%u ", 2 + i);
        assert_non_null(strstr(all, piece));
    }
    assert_int_equal(sysctl_get_text(e.sysctl, "net.inet.tcp.hostcache.list", piece, sizeof(piece)), -ENOSPC);
}

static void sysctl_histo(void **state)
{
    set_cache("hashsize", "4");
    set_cache("bucketlimit", "2");
    assert_string_equal(get("histo"), "\nLength\tCount\n0\t4\n1\t0\n2\t0\n");
    end(talk(4, 50));
    assert_string_equal(get("histo"), "\nLength\tCount\n0\t3\n1\t1\n2\t0\n");
}

static void without_memory_nothing_is_learned(void **state)
{
#ifdef LEAT_FAULT_INJECTION
    for (int n = 1; n <= 3; n++) {
        struct tcb *tp = talk(4, 50);
        fault_countdown = n;
        end(tp);
        fault_countdown = -1;
    }
    assert_string_equal(get("count"), "1"); /* table, host, pool's slab: the third found all */
#else
    skip();
#endif
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(four_samples_are_enough_three_are_not),
        TEST(time_wait_learns_at_its_beginning),
        TEST(a_second_connection_is_averaged_in),
        TEST(a_connection_begins_with_the_cached_rtt),
        TEST(a_stranger_begins_with_nothing),
        TEST(ssthresh_is_learned_after_loss_only),
        TEST(ssthresh_is_two_segments_at_least),
        TEST(grown_buffers_are_passed_on),
        TEST(sysctl_enable),
        TEST(icmp_too_big_is_listed_and_purged),
        TEST(sysctl_purgenow),
        TEST(sysctl_purge_waits_for_the_next_prune),
        TEST(sysctl_expire_and_prune),
        TEST(a_hit_prolongs),
        TEST(sysctl_bucketlimit_drops_the_one_updated_longest_ago),
        TEST(sysctl_cachelimit),
        TEST(sysctl_hashsize_is_a_power_of_two_and_fixed_in_use),
        TEST(sysctl_list_comes_in_pieces),
        TEST(sysctl_histo),
        TEST(without_memory_nothing_is_learned),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
