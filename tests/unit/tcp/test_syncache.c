// SPDX-License-Identifier: BSD-3-Clause
// The SYN cache: its bounds, what comes after them, and who may end an entry. What peers see of it: packetdrill/scripts/accept.
#include "conversation.h"

static uint32_t half_open(void)
{
    return e.tcp->syncache->entries.used;
}

static void from_port(unsigned port)
{
    peer_port = rte_cpu_to_be_16((uint16_t)port);
}

static void syn(unsigned port)
{
    from_port(port);
    in_opt("S", 0, 0, 0, 1000, "mss 1460 sackOK");
}

static void throw_away_sent(void)
{
    while (at_caught < n_caught)
        next_sent();
    n_caught = at_caught = 0;
}

/* SYNs of n ports from first on, their SYN-ACKs thrown away. */
static void syns(unsigned first, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        syn(first + i);
        throw_away_sent();
    }
}

static void an_entry_is_small(void **state)
{
    assert_true(sizeof(struct half_open) <= 256);
    assert_true(sizeof(struct half_open) * 4 <= sizeof(struct tcb));
}

static void no_connection_before_the_last_ack(void **state)
{
    listening(5);
    syn(1000);
    expect("SA", 0, 0, 1);
    assert_int_equal(e.tcp->tcbs.used, 1);
    assert_int_equal(half_open(), 1);
    assert_int_equal(e.tcp->states[TCPS_SYN_RECEIVED], 1);
    assert_int_equal(stat("sc_added"), 1);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(e.tcp->tcbs.used, 2);
    assert_int_equal(half_open(), 0);
    assert_int_equal(stat("sc_completed"), 1);
}

static void hash_spreads_entries_over_buckets(void **state)
{
    uint32_t most = 0, used = 0;
    listening(5);
    syns(1000, 512);
    for (uint32_t i = 0; i <= e.tcp->syncache->mask; i++) {
        most = RTE_MAX(most, e.tcp->syncache->buckets[i].n);
        used += e.tcp->syncache->buckets[i].n > 0;
    }
    assert_int_equal(half_open(), 512);
    assert_true(most <= 8);   /* one in each on average */
    assert_true(used >= 270); /* 1 - 1/e of 512 would be 324 */
}

static void hash_depends_on_the_secret(void **state)
{
    uint32_t before = demux_hash(&e, &peer, &us, 1, 2), same = 0;
    for (uint64_t k = 100; k < 200; k++) {
        e.secret.k[0] = k;
        same += demux_hash(&e, &peer, &us, 1, 2) % 512 == before % 512;
    }
    assert_true(same < 10);
}

static void sysctl_bucketlimit_then_cookies(void **state)
{
    set("net.inet.tcp.syncache.hashsize", "1");
    set("net.inet.tcp.syncache.bucketlimit", "3");
    struct tcb *l = listening(20);
    syns(1000, 3);
    syn(1003);
    expect("SA", 0, 0, 1);
    assert_int_equal(half_open(), 3);
    assert_int_equal(stat("sc_bucketoverflow"), 1);
    assert_int_equal(stat("sc_sendcookie"), 1);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(stat("sc_recvcookie"), 1);
    assert_int_equal(l->listen->n_complete, 1);
    assert_true(tcp_accept(l)->flags & TF_SACK_PERMIT);
    tcp_close(l, false);
    assert_int_equal(half_open(), 3);
}

static void who_is_in_stays_when_cookies_begin(void **state)
{
    set("net.inet.tcp.syncache.hashsize", "1");
    set("net.inet.tcp.syncache.bucketlimit", "1");
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    uint32_t isn = our_isn;
    syn(1001);
    expect("SA", 0, 0, 1);
    our_isn = isn;
    from_port(1000);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
    assert_int_equal(stat("sc_recvcookie"), 0);
}

static void sysctl_cachelimit(void **state)
{
    set("net.inet.tcp.syncache.cachelimit", "10");
    listening(20);
    syns(1000, 12);
    assert_int_equal(half_open(), 10);
    assert_int_equal(stat("sc_cacheoverflow"), 1); /* the twelfth did not ask */
    assert_int_equal(stat("sc_sendcookie"), 2);
}

/* As FreeBSD: 10 s after an overflow no entries are made; the next overflow soon after makes it 20 s. */
static void an_overflow_pauses_the_cache(void **state)
{
    set("net.inet.tcp.syncache.cachelimit", "1");
    set("net.inet.tcp.syncache.rexmtlimit", "0");
    listening(20);
    syns(1000, 2);
    wait_ms(9900);
    assert_int_equal(half_open(), 0);
    syns(1010, 1);
    assert_int_equal(half_open(), 0);
    assert_int_equal(stat("sc_sendcookie"), 2);
    wait_ms(200);
    syns(1020, 2);
    assert_int_equal(half_open(), 1);
    assert_int_equal(stat("sc_sendcookie"), 3);
    wait_ms(19800);
    syns(1030, 1);
    assert_int_equal(half_open(), 0);
    wait_ms(300);
    syns(1040, 1);
    assert_int_equal(half_open(), 1);
}

static void sysctl_syncookies_0_drops_the_oldest(void **state)
{
    set("net.inet.tcp.syncookies", "0");
    set("net.inet.tcp.syncache.hashsize", "1");
    set("net.inet.tcp.syncache.bucketlimit", "2");
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    uint32_t isn = our_isn;
    syns(1001, 2);
    assert_int_equal(half_open(), 2);
    assert_int_equal(stat("sc_evicted"), 1);
    our_isn = isn;
    from_port(1000);
    in("A", 1, 0, 1, 1000);
    expect("R", 1, 0, ANY_ACK);
    assert_int_equal(l->listen->n_complete, 0);
}

static void sysctl_syncookies_only(void **state)
{
    set("net.inet.tcp.syncookies_only", "1");
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    assert_int_equal(half_open(), 0);
    assert_int_equal(e.wheel.armed, 0);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
}

static void sysctl_syncookies_only_needs_syncookies(void **state)
{
    set("net.inet.tcp.syncookies_only", "1");
    set("net.inet.tcp.syncookies", "0");
    listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    assert_int_equal(half_open(), 1);
}

/* A lucky guess is no connection where no cookie was ever sent. */
static void cookies_are_believed_only_when_some_are_about(void **state)
{
    struct tcb *l = listening(20);
    struct syncookie c = {.mss = 1460};
    struct syncookie_flow flow = {peer, us, peer_port, our_port, PEER_ISN};
    our_isn = syncookie_make(&e.tcp->syncache->keys, &flow, &c, e.now);
    in("A", 1, 0, 1, 1000);
    expect("R", 1, 0, ANY_ACK);
    set("net.inet.tcp.syncookies_only", "1");
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
}

static void a_cookie_is_good_for_30_s_at_most(void **state)
{
    set("net.inet.tcp.syncookies_only", "1");
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    e.now += 31 * NS_PER_SEC;
    in("A", 1, 0, 1, 1000);
    expect("R", 1, 0, ANY_ACK);
    assert_int_equal(l->listen->n_complete, 0);
    assert_int_equal(stat("badackhandshake"), 1);
}

static void timestamps_come_back_with_a_cookie(void **state)
{
    set("net.inet.tcp.syncookies_only", "1");
    struct tcb *l = listening(20);
    in_opt("S", 0, 0, 0, 1000, "mss 1400 wscale 7 sackOK ts 500 0");
    struct sent s = expect("SA", 0, 0, 1);
    char echo[50];
    snprintf(echo, sizeof(echo), "ts 510 %u", s.opt.tsval);
    e.now += 50 * NS_PER_MS;
    in_opt("A", 1, 0, 1, 1000, echo);
    struct tcb *tp = tcp_accept(l);
    assert_true(tcp_has_timestamps(tp));
    assert_int_equal(tp->ts_recent, 510);
    assert_int_equal(tp->snd_scale, 7);
    assert_int_equal(tp->snd_wnd, 1000 << 7);
    assert_int_equal(tp->maxseg, 1400 - 12);
    assert_int_equal(tp->srtt, 50 * NS_PER_MS);
    assert_int_equal(tcp_ts_now(tp), s.opt.tsval + 50);
}

static void sysctl_hashsize_moves_who_is_in(void **state)
{
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    set("net.inet.tcp.syncache.hashsize", "16");
    assert_int_equal(e.tcp->syncache->mask, 15);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
    char err[200];
    assert_int_equal(sysctl_set_text(e.sysctl, "net.inet.tcp.syncache.hashsize", "17", err, sizeof(err)),
                     -EINVAL);
    assert_non_null(strstr(err, "17 is not a power of two"));
}

static void sysctl_rexmtlimit(void **state)
{
    listening(20);
    syn(1000);
    wait_ms(14900);
    for (int i = 0; i < 4; i++) /* at 0, 1, 3 and 7 s */
        expect("SA", 0, 0, 1);
    assert_int_equal(half_open(), 1);
    wait_ms(200);
    assert_int_equal(half_open(), 0);
    assert_int_equal(stat("sc_retransmitted"), 3);
    assert_int_equal(stat("sc_stale"), 1);
}

static void without_a_listener_entries_go(void **state)
{
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    tcp_close(l, false);
    wait_ms(1001);
    expect_nothing();
    assert_int_equal(half_open(), 0);
    assert_int_equal(stat("sc_nolistener"), 1);
}

/* An entry is no listener's own: a server that is replaced loses nothing. */
static void the_next_listener_gets_the_connection(void **state)
{
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    tcp_close(l, false);
    l = listening(20);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
}

static void a_lost_syn_ack_means_a_window_of_one_segment(void **state)
{
    struct tcb *l = listening(20);
    syn(1000);
    wait_ms(1001);
    expect("SA", 0, 0, 1);
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 1000);
    struct tcb *tp = tcp_accept(l);
    assert_int_equal(tp->cwnd, tp->maxseg); /* RFC 5681 §3.1 */
    assert_int_equal(tp->srtt, 0);          /* Karn */
}

static void the_handshake_gives_a_round_trip_time(void **state)
{
    struct tcb *l = listening(20);
    syn(1000);
    expect("SA", 0, 0, 1);
    e.now += 30 * NS_PER_MS;
    in("A", 1, 0, 1, 1000);
    assert_int_equal(tcp_accept(l)->srtt, 30 * NS_PER_MS);
}

static void listener_options_are_inherited(void **state)
{
    struct tcb *l = listening(20);
    int one = 1, seconds = 7;
    l->tos = 0x28;
    l->ttl = 9;
    l->snd.hiwat = 100000;
    l->flags |= TF_SNDBUF_FIXED;
    tcp_setopt(l, 1 /* TCP_NODELAY */, &one, sizeof(one));
    tcp_setopt(l, 4 /* TCP_KEEPIDLE */, &seconds, sizeof(seconds));
    syn(1000);
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 1000);
    struct tcb *tp = tcp_accept(l);
    assert_int_equal(tp->tos, 0x28);
    assert_int_equal(tp->ttl, 9);
    assert_true(tp->snd.hiwat >= 100000);
    assert_true((tp->flags & (TF_NODELAY | TF_SNDBUF_FIXED)) == (TF_NODELAY | TF_SNDBUF_FIXED));
    assert_int_equal(tp->keepidle_ms, 7000);
    assert_ptr_equal(tp->stack, l->stack);
}

/* ---- a flood and connections with work ---- */

/* The cache overflows, and the turn before this one had connections to run for. */
static struct tcb *flooded_and_busy(void)
{
    set("net.inet.tcp.syncache.cachelimit", "1");
    set("net.inet.tcp.syncache.rexmtlimit", "0"); /* the one that is in says no more */
    struct tcb *l = listening(20);
    wait_ms(1000);
    syns(1000, 2);
    assert_int_equal(stat("sc_sendcookie"), 1);
    e.n_due_last = 1;
    return l;
}

static void nothing(struct due *d)
{
}

static uint64_t answered(unsigned first, unsigned n)
{
    uint64_t before = stat("sc_sendcookie") + stat("sc_added"), shed = stat("sc_shed");
    syns(first, n);
    uint64_t now = stat("sc_sendcookie") + stat("sc_added") - before;
    assert_int_equal(now + stat("sc_shed") - shed, n);
    return now;
}

static void sysctl_busyrate_of_syns_while_connections_have_work(void **state)
{
    flooded_and_busy();
    assert_int_equal(answered(2000, 1000), 201); /* what 10 ms saved of 20,000 a second, and one */
    assert_int_equal(answered(3000, 1000), 0);
    wait_ms(1);
    assert_int_equal(answered(4000, 1000), 20);
    set("net.inet.tcp.syncache.busyrate", "5000");
    wait_ms(2);
    assert_int_equal(answered(5000, 1000), 10);
    e.n_due_last = 0;
    struct due d;
    due_init(&d, nothing);
    engine_mark_due(&e, &d); /* a connection is to send in this turn */
    assert_int_equal(answered(6000, 1), 0);
    assert_int_equal(answered(7000, 1000), 1000);
}

/* From now on only who comes again is answered. */
static void no_budget_for_new_ones(void)
{
    flooded_and_busy();
    e.tcp->syncache->spent_until = UINT64_MAX;
}

static void busy_again_after(unsigned ms)
{
    wait_ms(ms);
    e.n_due_last = 1;
}

static void a_shed_syn_gets_in_when_it_comes_again(void **state)
{
    no_budget_for_new_ones();
    syn(5000);
    expect_nothing();
    busy_again_after(1000); /* its sender's RTO */
    syn(5000);
    expect("SA", 0, 0, 1);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(stat("sc_recvcookie"), 1);
    assert_int_equal(stat("sc_shed_again"), 1);
    assert_int_equal(stat("sc_shed"), 1);
}

static void who_was_answered_is_forgotten(void **state)
{
    no_budget_for_new_ones();
    for (unsigned i = 0; i < 3; i++) {
        syn(5000);
        expect_nothing();
        busy_again_after(1000);
        syn(5000);
        expect("SA", 0, 0, 1);
        busy_again_after(1000);
    }
}

static void retransmissions_are_known_however_long_they_wait(void **state)
{
    no_budget_for_new_ones();
    for (unsigned s = 1; s <= 64; s *= 2) {
        for (unsigned phase = 0; phase < 1000; phase += 50) {
            syn(5000);
            expect_nothing();
            e.now += s * NS_PER_SEC;
            e.tcp->syncache->paused_until = UINT64_MAX;
            syn(5000);
            expect("SA", 0, 0, 1);
            e.now += 50 * NS_PER_MS;
        }
    }
}

static void only_the_same_syn_is_known(void **state)
{
    no_budget_for_new_ones();
    syn(5000);
    busy_again_after(1000);
    in_opt("S", 1, 0, 0, 1000, "mss 1460 sackOK"); /* another sequence number */
    syn(5001);
    our_port = rte_cpu_to_be_16(81);
    syn(5000);
    our_port = rte_cpu_to_be_16(80);
    peer.b[15]++;
    syn(5000);
    peer.b[15]--;
    expect_nothing();
    assert_int_equal(stat("sc_shed_again"), 0);
    syn(5000);
    expect("SA", 0, 0, 1);
}

static void the_same_syn_all_the_time_is_answered_seldom(void **state)
{
    no_budget_for_new_ones();
    for (unsigned ms = 0; ms < 3000; ms++) {
        syn(5000);
        throw_away_sent();
        busy_again_after(1);
    }
    assert_in_range(stat("sc_shed_again"), 3000 / 537 - 1, 3000 / 537 + 1);
}

static void syns_that_come_again_have_a_budget_of_their_own(void **state)
{
    no_budget_for_new_ones();
    assert_int_equal(answered(10000, 1000), 0);
    busy_again_after(1000);
    assert_int_equal(answered(10000, 1000), 201);
    busy_again_after(1);
    assert_int_equal(answered(10000, 1000), 20); /* of those that still stand there */
    e.tcp->syncache->spent_until = 0;
    assert_int_equal(answered(20000, 1000), 201);
}

/* A SYN by its number: is it let in? */
static bool let_in(uint32_t i)
{
    struct pkt_info info = {.src = ip_addr_v4(i * 2654435761u), .dst = us};
    struct rte_tcp_hdr th = {.src_port = (uint16_t)i, .dst_port = our_port, .sent_seq = i * 40503u};
    return !syncache_sheds(e.tcp, &info, &th);
}

static void of_300000_shed_syns_nearly_all_are_known_a_second_later(void **state)
{
    uint32_t known = 0, taken_for_known = 0;
    set("net.inet.tcp.syncache.busyrate", "10000000");
    no_budget_for_new_ones();
    for (uint32_t i = 0; i < 300000; i++)
        assert_false(let_in(i) && i < 1000);
    e.now += NS_PER_SEC;
    for (uint32_t i = 0; i < 1000; i++) /* who came first is the first to go */
        known += let_in(i);
    for (uint32_t i = 1000000; i < 1010000; i++)
        taken_for_known += let_in(i);
    print_message("%u of 1,000 known, %u of 10,000 strangers too\n", known, taken_for_known);
    assert_in_range(known, 950, 1000);
    assert_in_range(taken_for_known, 0, 10000 / 250);
}

static void an_engine_without_other_work_answers_every_syn(void **state)
{
    flooded_and_busy();
    e.n_due_last = 0;
    assert_int_equal(answered(2000, 3000), 3000);
}

static void without_a_flood_no_syn_is_shed(void **state)
{
    listening(20);
    e.n_due_last = 1;
    assert_int_equal(answered(2000, 3000), 3000);
    assert_int_equal(stat("sc_added"), 3000);
}

static void completed_handshakes_pay_for_more(void **state)
{
    struct tcb *l = flooded_and_busy();
    answered(2000, 1000);
    wait_ms(10);
    for (unsigned i = 0; i < 1000; i++) { /* all at once, five times what was saved */
        e.n_due_last = 1;
        syn(5000 + i);
        expect("SA", 0, 0, 1);
        in("A", 1, 0, 1, 1000);
        tcp_close(tcp_accept(l), true);
        throw_away_sent();
    }
    assert_int_equal(stat("sc_recvcookie"), 1000);
    assert_int_equal(stat("sc_shed"), 799);
}

static void only_syns_are_shed(void **state)
{
    flooded_and_busy();
    syn(5000);
    expect("SA", 0, 0, 1);
    uint32_t isn = our_isn;
    answered(2000, 1000);
    from_port(5000);
    our_isn = isn;
    in("A", 1, 0, 1, 1000);
    assert_int_equal(stat("sc_recvcookie"), 1);
}

static void without_cookies_an_eviction_tells_of_the_flood(void **state)
{
    set("net.inet.tcp.syncookies", "0");
    set("net.inet.tcp.syncache.cachelimit", "1");
    listening(20);
    wait_ms(1000);
    syns(1000, 2);
    e.n_due_last = 1;
    syns(2000, 1000);
    assert_int_equal(stat("sc_shed"), 1000 - 201);
    wait_ms(1100); /* no overflow for a second */
    e.n_due_last = 1;
    syn(5000);
    expect("SA", 0, 0, 1);
}

static void sysctl_busyrate_0_sheds_nothing(void **state)
{
    set("net.inet.tcp.syncache.busyrate", "0");
    flooded_and_busy();
    assert_int_equal(answered(2000, 3000), 3000);
}

#ifdef LEAT_FAULT_INJECTION
static void no_memory_for_an_entry_means_a_cookie(void **state)
{
    struct tcb *l = listening(20);
    fault_run = 1;
    fault_countdown = 1;
    syn(1000);
    fault_countdown = -1;
    expect("SA", 0, 0, 1);
    assert_int_equal(half_open(), 0);
    assert_int_equal(stat("sc_zonefail"), 1);
    in("A", 1, 0, 1, 1000);
    assert_int_equal(l->listen->n_complete, 1);
}

static void no_memory_for_an_entry_nor_cookies_drops_the_syn(void **state)
{
    set("net.inet.tcp.syncookies", "0");
    listening(20);
    fault_run = 1;
    fault_countdown = 1;
    syn(1000);
    fault_countdown = -1;
    expect_nothing();
    assert_int_equal(stat("nostate"), 1);
}

static void no_memory_for_the_syn_ack_drops_the_syn(void **state)
{
    listening(20);
    syns(999, 1); /* the pool has its memory */
    fault_run = 1;
    fault_countdown = 2;
    syn(1000);
    fault_countdown = -1;
    expect_nothing();
    assert_int_equal(stat("sc_dropped"), 1);
    assert_int_equal(half_open(), 1);
}

static void no_memory_for_the_connection(void **state)
{
    for (int silent = 0; silent < 2; silent++) {
        set("net.inet.tcp.syncache.rst_on_sock_fail", silent ? "0" : "1");
        struct tcb *l = listening(20);
        syn(1000 + (unsigned)silent);
        expect("SA", 0, 0, 1);
        set("net.inet.tcp.maxtcb", "1");
        in("A", 1, 0, 1, 1000);
        set("net.inet.tcp.maxtcb", "100");
        if (!silent) {
            expect("R", 1, 0, ANY_ACK);
            assert_int_equal(half_open(), 0);
        } else {
            in("A", 1, 0, 1, 1000);
            assert_int_equal(l->listen->n_complete, 1);
        }
        tcp_close(l, false);
        while (at_caught < n_caught)
            next_sent();
    }
    assert_int_equal(stat("sc_aborted"), 2);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_is_small),
        TEST(no_connection_before_the_last_ack),
        TEST(hash_spreads_entries_over_buckets),
        TEST(hash_depends_on_the_secret),
        TEST(sysctl_bucketlimit_then_cookies),
        TEST(who_is_in_stays_when_cookies_begin),
        TEST(sysctl_cachelimit),
        TEST(an_overflow_pauses_the_cache),
        TEST(sysctl_syncookies_0_drops_the_oldest),
        TEST(sysctl_syncookies_only),
        TEST(sysctl_syncookies_only_needs_syncookies),
        TEST(cookies_are_believed_only_when_some_are_about),
        TEST(a_cookie_is_good_for_30_s_at_most),
        TEST(timestamps_come_back_with_a_cookie),
        TEST(sysctl_hashsize_moves_who_is_in),
        TEST(sysctl_rexmtlimit),
        TEST(without_a_listener_entries_go),
        TEST(the_next_listener_gets_the_connection),
        TEST(a_lost_syn_ack_means_a_window_of_one_segment),
        TEST(the_handshake_gives_a_round_trip_time),
        TEST(listener_options_are_inherited),
        TEST(sysctl_busyrate_of_syns_while_connections_have_work),
        TEST(a_shed_syn_gets_in_when_it_comes_again),
        TEST(who_was_answered_is_forgotten),
        TEST(retransmissions_are_known_however_long_they_wait),
        TEST(only_the_same_syn_is_known),
        TEST(the_same_syn_all_the_time_is_answered_seldom),
        TEST(syns_that_come_again_have_a_budget_of_their_own),
        TEST(of_300000_shed_syns_nearly_all_are_known_a_second_later),
        TEST(an_engine_without_other_work_answers_every_syn),
        TEST(without_a_flood_no_syn_is_shed),
        TEST(completed_handshakes_pay_for_more),
        TEST(only_syns_are_shed),
        TEST(without_cookies_an_eviction_tells_of_the_flood),
        TEST(sysctl_busyrate_0_sheds_nothing),
#ifdef LEAT_FAULT_INJECTION
        TEST(no_memory_for_an_entry_means_a_cookie),
        TEST(no_memory_for_an_entry_nor_cookies_drops_the_syn),
        TEST(no_memory_for_the_syn_ack_drops_the_syn),
        TEST(no_memory_for_the_connection),
#endif
    };
    return cmocka_run_group_tests_name("syncache", tests, set_up_group, NULL);
}
