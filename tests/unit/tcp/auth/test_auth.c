// SPDX-License-Identifier: BSD-3-Clause
// What authentication lets pass and what it drops, segment by segment, and its socket options. The peer's signatures are worked out here
// from the other end with the functions that test_vectors.c holds against RFC 9235.
#include "../conversation.h"
#include <leat/tcp.h>
#include "tcp/auth/keys.h"

static struct auth_layer crypto; /* the peer's */
static struct auth_key peer_key; /* what it signs with; sndid and rcvid from its side */
static unsigned damage;          /* 1: its digests are wrong */
static uint32_t peer_sne;

/* ---- the peer's side ---- */

static struct auth_flow peer_flow(uint32_t iss, uint32_t irs)
{
    return (struct auth_flow){peer, us, peer_port, our_port, iss, irs};
}

static void put_option(struct rte_mbuf *m, unsigned at, uint8_t keyid, uint8_t rnext)
{
    uint8_t *o = rte_pktmbuf_mtod_offset(m, uint8_t *, at);
    bool md5 = peer_key.alg == AUTH_MD5;
    o[0] = md5 ? TCPOPT_SIGNATURE : TCPOPT_AO;
    o[1] = (uint8_t)((md5 ? 2 : 4) + peer_key.maclen);
    memset(o + 2, 0, o[1] - 2u);
    if (!md5) {
        o[2] = keyid;
        o[3] = rnext;
    }
}

static void digest(struct rte_mbuf *m, unsigned at)
{
    uint8_t *o = rte_pktmbuf_mtod_offset(m, uint8_t *, at), traffic[32], out[32];
    struct auth_flow f = peer_flow(PEER_ISN, our_isn);
    bool syn = (rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->tcp_flags & 0x12) == RTE_TCP_SYN_FLAG;
    if (peer_key.alg == AUTH_MD5) {
        assert_true(md5_digest(&crypto, &f, true, &peer_key, m, o + 2));
        o[2] ^= (uint8_t)damage;
        return;
    }
    assert_true(ao_traffic_key(&crypto, &f, true, syn, &peer_key, traffic));
    assert_true(ao_mac(&crypto, &f, true, &peer_key, traffic, peer_sne, m, o, out));
    memcpy(o + 4, out, peer_key.maclen);
    o[4] ^= (uint8_t)damage;
}

/* A segment signed with peer_key; rnext: the KeyID that it asks for. */
static struct rte_mbuf *signed_segment(const char *flags, uint32_t seq, uint32_t len, uint32_t ack,
                                       const char *options, uint8_t rnext)
{
    struct rte_mbuf *m = segment(flags, seq, 0, ack, 65535, options);
    unsigned at = m->data_len, room = (2u + (peer_key.alg == AUTH_MD5 ? 0 : 2) + peer_key.maclen + 3) / 4 * 4;
    memset(rte_pktmbuf_append(m, (uint16_t)room), TCPOPT_NOP, room);
    put_option(m, at, peer_key.sndid, rnext);
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = (uint8_t)((at + room) << 2);
    for (uint32_t i = 0; i < len; i++)
        *rte_pktmbuf_append(m, 1) = (char)(seq + i);
    digest(m, at);
    return m;
}
static void in_signed(const char *flags, uint32_t seq, uint32_t len, uint32_t ack, const char *options)
{
    in_packet(signed_segment(flags, seq, len, ack, options, peer_key.rcvid));
}

/* What we sent next is signed as the peer expects; the option's KeyID and RNextKeyID come back. */
static struct sent expect_signed(const char *flags, uint32_t seq, uint32_t len, uint32_t ack, uint8_t *keyid,
                                 uint8_t *rnext)
{
    assert_true(at_caught < n_caught);
    struct rte_mbuf *m = caught[at_caught];
    struct rte_tcp_hdr *th = rte_pktmbuf_mtod(m, struct rte_tcp_hdr *);
    uint8_t flags_now = th->tcp_flags, traffic[32], out[32];
    if (flags_now & RTE_TCP_SYN_FLAG)
        our_isn = rte_be_to_cpu_32(th->sent_seq);
    struct auth_flow f = peer_flow(PEER_ISN, our_isn);
    struct tcp_options o;
    tcp_options_parse(&o, (uint8_t *)(th + 1), (th->data_off >> 4) * 4u - 20, flags_now & RTE_TCP_SYN_FLAG);
    assert_true(o.seen & TOF_AUTH);
    if (peer_key.alg == AUTH_MD5) {
        assert_true(md5_digest(&crypto, &f, false, &peer_key, m, out));
        assert_memory_equal(out, o.auth + 2, 16);
    } else {
        bool syn = (flags_now & 0x12) == RTE_TCP_SYN_FLAG;
        assert_true(ao_traffic_key(&crypto, &f, false, syn, &peer_key, traffic));
        assert_true(ao_mac(&crypto, &f, false, &peer_key, traffic, 0, m, o.auth, out));
        assert_memory_equal(out, o.auth + 4, peer_key.maclen);
        if (keyid)
            *keyid = o.auth[2];
        if (rnext)
            *rnext = o.auth[3];
    }
    return expect(flags, seq, len, ack);
}

/* ---- our side ---- */

static struct sockaddr_storage address(const char *text)
{
    struct sockaddr_storage ss = {0};
    struct sockaddr_in *in = (struct sockaddr_in *)&ss;
    struct ip_addr a;
    assert_int_equal(ip_addr_parse(text, &a), 0);
    if (ip_addr_is_v4(&a)) {
        in->sin_family = AF_INET;
        in->sin_addr.s_addr = a.w[3];
    } else {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&ss;
        in6->sin6_family = AF_INET6;
        memcpy(&in6->sin6_addr, a.b, 16);
    }
    return ss;
}

static int set_md5(struct tcb *tp, const char *text, int prefix, const char *key)
{
    struct tcp_md5sig o = {.tcpm_addr = address(text), .tcpm_keylen = (uint16_t)strlen(key)};
    memcpy(o.tcpm_key, key, strlen(key));
    if (prefix >= 0) {
        o.tcpm_flags = TCP_MD5SIG_FLAG_PREFIX;
        o.tcpm_prefixlen = (uint8_t)prefix;
    }
    return tcp_setopt(tp, prefix >= 0 ? TCP_MD5SIG_EXT : TCP_MD5SIG, &o, sizeof(o));
}

static struct leat_tcp_ao_add ao(const char *text, uint8_t prefix, uint8_t sndid, uint8_t rcvid,
                                 const char *key)
{
    struct leat_tcp_ao_add o = {.addr = address(text),
                                .prefix = prefix,
                                .sndid = sndid,
                                .rcvid = rcvid,
                                .keylen = (uint8_t)strlen(key)};
    strcpy(o.alg_name, "hmac(sha1)");
    memcpy(o.key, key, strlen(key));
    return o;
}
static int set_ao(struct tcb *tp, const char *text, uint8_t prefix, uint8_t sndid, uint8_t rcvid,
                  const char *key)
{
    struct leat_tcp_ao_add o = ao(text, prefix, sndid, rcvid, key);
    return tcp_setopt(tp, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o));
}

static void peer_signs(enum auth_alg alg, uint8_t sndid, uint8_t rcvid, const char *key)
{
    peer_key = (struct auth_key){.alg = (uint8_t)alg,
                                 .sndid = sndid,
                                 .rcvid = rcvid,
                                 .maclen = alg == AUTH_MD5 ? 16 : 12,
                                 .keylen = (uint8_t)strlen(key)};
    memcpy(peer_key.key, key, strlen(key));
}

static struct tcb *accepted(struct tcb *l)
{
    struct tcb *tp = tcp_accept(l);
    assert_non_null(tp);
    tcp_adopt(tp, &upcalls, &owner);
    overhear(tp);
    return tp;
}

static struct tcb *established_md5(void)
{
    struct tcb *l = listening(10);
    peer_signs(AUTH_MD5, 0, 0, "secret");
    assert_int_equal(set_md5(l, PEER, -1, "secret"), 0);
    in_signed("S", 0, 0, 0, "mss 1460 sackOK");
    expect_signed("SA", 0, 0, 1, NULL, NULL);
    in_signed("A", 1, 0, 1, "");
    return accepted(l);
}

/* We send with 10, the peer with 20. */
static struct tcb *established_ao(void)
{
    uint8_t keyid, rnext;
    struct tcb *l = listening(10);
    peer_signs(AUTH_HMAC_SHA1, 20, 10, "secret");
    assert_int_equal(set_ao(l, PEER, 32, 10, 20, "secret"), 0);
    in_signed("S", 0, 0, 0, "mss 1460 sackOK");
    expect_signed("SA", 0, 0, 1, &keyid, &rnext);
    assert_int_equal(keyid, 10);
    assert_int_equal(rnext, 20);
    in_signed("A", 1, 0, 1, "");
    return accepted(l);
}

static struct tcb *connecting_signed(struct tcb *tp, const char *flags)
{
    assert_int_equal(tcp_connect(tp, &peer, peer_port, 0), 0);
    our_port = tp->lport;
    run_due();
    expect_signed(flags, 0, 0, ANY_ACK, NULL, NULL);
    return tp;
}

/* ---- RFC 2385 ---- */

static void rfc2385_signed_both_ways_from_a_listener(void **state)
{
    struct tcb *tp = established_md5();
    in_signed("PA", 1, 100, 1, "");
    assert_int_equal(tp->rcv.bytes, 100);
    app_reads(tp);
    app_writes(tp, 10);
    expect_signed("PA", 1, 10, 101, NULL, NULL);
    in_signed("A", 101, 0, 11, "");
    app_closes(tp);
    expect_signed("FA", 11, 0, 101, NULL, NULL);
    in_signed("FA", 101, 0, 12, "");
    expect_signed("A", 12, 0, 102, NULL, NULL);
    assert_true(stat("sig_rcvgoodsig") >= 5);
}

static void rfc2385_signed_both_ways_in_an_active_open(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    peer_signs(AUTH_MD5, 0, 0, "pass");
    assert_int_equal(set_md5(tp, PEER, -1, "pass"), 0);
    connecting_signed(tp, "S");
    in_signed("SA", 0, 0, 1, "mss 1460");
    expect_signed("A", 1, 0, 1, NULL, NULL);
    assert_int_equal(connected, 1);
}

static void rfc2385_2_0_a_wrong_digest_is_dropped_in_silence(void **state)
{
    struct tcb *tp = established_md5();
    damage = 1;
    in_signed("PA", 1, 100, 1, "");
    in_signed("R", 1, 0, 0, "");
    damage = 0;
    expect_nothing();
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("sig_rcvbadsig"), 2);
}

static void rfc2385_2_0_a_missing_digest_is_dropped_in_silence(void **state)
{
    struct tcb *tp = established_md5();
    in("PA", 1, 100, 1, 65535);
    in("R", 1, 0, 0, 0);
    expect_nothing();
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
    assert_int_equal(stat("sig_err_nosigopt"), 2);
}

static void a_digest_where_none_is_due_is_dropped(void **state)
{
    struct tcb *tp = established();
    peer_signs(AUTH_MD5, 0, 0, "secret");
    in_signed("PA", 1, 100, 1, "");
    peer_signs(AUTH_HMAC_SHA1, 1, 1, "secret");
    in_signed("PA", 1, 100, 1, "");
    expect_nothing();
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("sig_err_sigopts"), 1);
    assert_int_equal(stat("ao_unexpected"), 1);
}

static void syns_to_a_listener_with_keys(void **state)
{
    struct tcb *l = listening(10);
    peer_signs(AUTH_MD5, 0, 0, "secret");
    assert_int_equal(set_md5(l, PEER, -1, "secret"), 0);
    in_opt("S", 0, 0, 0, 65535, "mss 1460"); /* must sign */
    damage = 1;
    in_signed("S", 0, 0, 0, "mss 1460");
    damage = 0;
    expect_nothing();
    assert_int_equal(stat("sig_err_nosigopt"), 1);
    assert_int_equal(stat("sig_rcvbadsig"), 1);
    ip_addr_parse("10.0.0.9", &peer); /* somebody else must not */
    in_signed("S", 0, 0, 0, "mss 1460");
    expect_nothing();
    assert_int_equal(stat("sig_err_sigopts"), 1);
    in_opt("S", 0, 0, 0, 65535, "mss 1460");
    expect("SA", 0, 0, 1);
}

static void the_longest_prefix_has_the_key(void **state)
{
    struct tcb *l = listening(10);
    assert_int_equal(set_md5(l, "10.0.0.0", 8, "network"), 0);
    assert_int_equal(set_md5(l, "10.0.0.2", 32, "host"), 0);
    peer_signs(AUTH_MD5, 0, 0, "host");
    in_signed("S", 0, 0, 0, "mss 1460");
    expect_signed("SA", 0, 0, 1, NULL, NULL);
    ip_addr_parse("10.200.0.3", &peer);
    peer_signs(AUTH_MD5, 0, 0, "network");
    in_signed("S", 0, 0, 0, "mss 1460");
    expect_signed("SA", 0, 0, 1, NULL, NULL);
}

static void tcp_md5sig_option(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    struct tcp_md5sig o = {.tcpm_addr = address(PEER), .tcpm_keylen = 81};
    assert_int_equal(tcp_setopt(tp, TCP_MD5SIG, &o, sizeof(o)), -EINVAL);
    o.tcpm_keylen = 5;
    assert_int_equal(tcp_setopt(tp, TCP_MD5SIG, &o, sizeof(o) - 1), -EINVAL);
    o.tcpm_addr.ss_family = AF_UNIX;
    assert_int_equal(tcp_setopt(tp, TCP_MD5SIG, &o, sizeof(o)), -EINVAL);
    assert_int_equal(set_md5(tp, PEER, 33, "x"), -EINVAL);
    assert_int_equal(set_md5(tp, PEER, -1, ""), -ENOENT);
    assert_int_equal(set_md5(tp, PEER, -1, "x"), 0);
    assert_int_equal(set_md5(tp, PEER, -1, "y"), 0); /* instead of the old one */
    assert_int_equal(e.tcp->auth->keys.used, 1);
    assert_int_equal(set_ao(tp, "10.0.0.0", 8, 1, 1, "z"), -EKEYREJECTED);
    assert_int_equal(set_md5(tp, PEER, -1, ""), 0);
    assert_false(tp->flags & TF_AUTH);
    set("net.inet.tcp.auth.maxkeys", "0");
    assert_int_equal(set_md5(tp, PEER, -1, "x"), -ENOMEM);
    tcp_close(tp, false);
}

/* FreeBSD's int: nobody without a key. */
static void freebsd_tcp_md5sig_refuses_peers_without_key(void **state)
{
    int on = 1, got = 0;
    uint32_t len = sizeof(got);
    struct tcb *l = listening(10), *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_setopt(l, LEAT_TCP_MD5SIG, &on, sizeof(on)), 0);
    assert_int_equal(tcp_getopt(l, LEAT_TCP_MD5SIG, &got, &len), 0);
    assert_int_equal(got, 1);
    in_opt("S", 0, 0, 0, 65535, "mss 1460");
    expect_nothing();
    assert_int_equal(stat("sig_err_nosigopt"), 1);
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_MD5SIG, &on, sizeof(on)), 0);
    assert_int_equal(tcp_connect(tp, &peer, peer_port, 0), -EKEYREJECTED);
    tcp_close(tp, false);
}

/* A key that changes on a live connection counts from the next segment on (RFC 4808 §2). */
static void md5_key_changes_on_a_live_connection(void **state)
{
    struct tcb *tp = established_md5();
    assert_int_equal(set_md5(tp, PEER, -1, "new"), 0);
    in_signed("PA", 1, 100, 1, "");
    assert_int_equal(stat("sig_rcvbadsig"), 1);
    peer_signs(AUTH_MD5, 0, 0, "new");
    in_signed("PA", 1, 100, 1, "");
    assert_int_equal(tp->rcv.bytes, 100);
    app_reads(tp);
    app_writes(tp, 5);
    expect_signed("PA", 1, 5, 101, NULL, NULL);
}

static void options_leave_room_for_the_digest(void **state)
{
    struct tcb *l = listening(10);
    peer_signs(AUTH_MD5, 0, 0, "secret");
    assert_int_equal(set_md5(l, PEER, -1, "secret"), 0);
    in_signed("S", 0, 0, 0, "mss 1460 sackOK");
    struct sent s = expect_signed("SA", 0, 0, 1, NULL, NULL);
    assert_int_equal(s.opt.mss, 1460); /* RFC 6691: announced without options */
    in_signed("A", 1, 0, 1, "");
    struct tcb *tp = accepted(l);
    assert_int_equal(tp->maxseg, 1440);
    tp->cwnd = 100000;
    app_writes(tp, 2880); /* never left to a NIC to cut */
    expect_signed("A", 1, 1440, 1, NULL, NULL);
    expect_signed("PA", 1441, 1440, 1, NULL, NULL);
}

static void more_than_one_digest_is_dropped(void **state)
{
    struct tcb *tp = established_md5();
    struct rte_mbuf *m = segment("PA", 1, 0, 1, 65535, "");
    memset(rte_pktmbuf_append(m, 40), TCPOPT_NOP, 40);
    put_option(m, 20, 0, 0);
    put_option(m, 40, 0, 0);
    rte_pktmbuf_mtod(m, struct rte_tcp_hdr *)->data_off = 60 << 2;
    digest(m, 20);
    in_packet(m);
    expect_nothing();
    assert_int_equal(stat("sig_rcvbadsig"), 1);
    assert_int_equal(tp->state, TCPS_ESTABLISHED);
}

/* ---- RFC 5925 ---- */

static void rfc5925_signed_both_ways_from_a_listener(void **state)
{
    uint8_t keyid, rnext;
    struct tcb *tp = established_ao();
    in_signed("PA", 1, 100, 1, "");
    assert_int_equal(tp->rcv.bytes, 100);
    app_reads(tp);
    app_writes(tp, 10);
    expect_signed("PA", 1, 10, 101, &keyid, &rnext);
    assert_int_equal(keyid, 10);
    assert_int_equal(rnext, 20);
    assert_int_equal(tp->maxseg, 1460 - 16);
    peer_sne = 1; /* its numbers have wrapped meanwhile */
    in_signed("RA", 101, 0, 11, "");
    assert_int_equal(failed_with, ECONNRESET);
}

static void rfc5925_signed_both_ways_in_an_active_open(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    peer_signs(AUTH_HMAC_SHA1, 2, 1, "pass");
    assert_int_equal(set_ao(tp, PEER, 32, 1, 2, "pass"), 0);
    connecting_signed(tp, "S");
    in_opt("SA", 0, 0, 1, 65535, "mss 1460");
    assert_int_equal(stat("ao_required"), 1);
    in_signed("SA", 0, 0, 1, "mss 1460");
    expect_signed("A", 1, 0, 1, NULL, NULL);
    assert_int_equal(connected, 1);
}

static void rfc5925_7_5_wrong_missing_and_unknown_are_dropped(void **state)
{
    struct tcb *tp = established_ao();
    damage = 1;
    in_signed("PA", 1, 100, 1, "");
    damage = 0;
    in("PA", 1, 100, 1, 65535);
    in("R", 1, 0, 0, 0);
    peer_key.sndid = 99;
    in_signed("PA", 1, 100, 1, "");
    expect_nothing();
    assert_int_equal(tp->rcv.bytes, 0);
    assert_int_equal(stat("ao_bad"), 1);
    assert_int_equal(stat("ao_required"), 2);
    assert_int_equal(stat("ao_keynotfound"), 1);
    struct leat_tcp_ao_info_opt o;
    uint32_t len = sizeof(o);
    assert_int_equal(tcp_getopt(tp, LEAT_TCP_AO_INFO, &o, &len), 0);
    assert_int_equal(o.pkt_bad, 1);
    assert_int_equal(o.pkt_ao_required, 2);
    assert_int_equal(o.pkt_key_not_found, 1);
    assert_true(o.pkt_good >= 1);
    assert_int_equal(o.current_key, 10);
    assert_int_equal(o.rnext, 20);
}

/* RFC 5925 §2.2: not both kinds, and an MD5 digest is no answer to a key of AO. */
static void rfc5925_2_2_md5_on_an_ao_connection_is_dropped(void **state)
{
    struct tcb *tp = established_ao();
    peer_signs(AUTH_MD5, 0, 0, "secret");
    in_signed("PA", 1, 100, 1, "");
    expect_nothing();
    assert_int_equal(stat("sig_err_sigopts"), 1);
    assert_int_equal(tp->rcv.bytes, 0);
}

/* RFC 5925 §7.5: the peer asks by RNextKeyID, we change; we ask by ours, and accept both meanwhile. */
static void rfc5925_7_5_rollover(void **state)
{
    uint8_t keyid, rnext;
    struct tcb *tp = established_ao();
    assert_int_equal(set_ao(tp, PEER, 32, 11, 21, "second"), 0);
    struct leat_tcp_ao_info_opt o = {.set_rnext = 1, .rnext = 21};
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_INFO, &o, sizeof(o)), 0);
    app_writes(tp, 1);
    expect_signed("PA", 1, 1, 1, &keyid, &rnext);
    assert_int_equal(keyid, 10);
    assert_int_equal(rnext, 21);
    in_packet(signed_segment("PA", 1, 10, 2, "", 11)); /* old key, asks for ours of 11 */
    assert_int_equal(tp->rcv.bytes, 10);
    peer_signs(AUTH_HMAC_SHA1, 21, 11, "second");
    app_reads(tp);
    app_writes(tp, 1);
    expect_signed("PA", 2, 1, 11, &keyid, &rnext);
    assert_int_equal(keyid, 11);
    in_signed("A", 11, 0, 3, "");
    assert_int_equal(tp->snd_una, tp->iss + 3);
    struct leat_tcp_ao_del d = {.addr = address(PEER), .prefix = 32, .sndid = 11, .rcvid = 21};
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_DEL_KEY, &d, sizeof(d)), -EBUSY);
    d.sndid = 10;
    d.rcvid = 20;
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_DEL_KEY, &d, sizeof(d)), 0);
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_DEL_KEY, &d, sizeof(d)), -ENOENT);
    peer_signs(AUTH_HMAC_SHA1, 20, 10, "secret");
    in_signed("PA", 11, 10, 3, "");
    assert_int_equal(stat("ao_keynotfound"), 1);
}

/* PEER_ISN is 0xfffffff0: the peer's numbers wrap with the sixteenth byte. */
static void rfc5925_6_2_sequence_numbers_wrap(void **state)
{
    struct tcb *tp = established_ao();
    in_signed("PA", 1, 40, 1, "");
    assert_int_equal(tp->rcv.bytes, 40);
    peer_sne = 1;
    in_signed("PA", 41, 40, 1, "");
    expect_signed("A", 1, 0, 81, NULL, NULL);
    assert_int_equal(tp->rcv.bytes, 80);
    peer_sne = 0;
    in_signed("PA", 1, 40, 1, ""); /* an old one, from before the wrap */
    expect_signed("A", 1, 0, 81, NULL, NULL);
    in_signed("PA", 81, 40, 1, ""); /* as if it came from the first 4 GB */
    expect_nothing();
    assert_int_equal(stat("ao_bad"), 1);
}

static void rfc5925_5_1_options_excluded(void **state)
{
    struct tcb *l = listening(10);
    peer_signs(AUTH_HMAC_SHA1, 1, 1, "secret");
    peer_key.keyflags = AUTH_KEYF_EXCLUDE_OPT;
    struct leat_tcp_ao_add o = ao(PEER, 32, 1, 1, "secret");
    o.keyflags = LEAT_TCP_AO_KEYF_EXCLUDE_OPT;
    assert_int_equal(tcp_setopt(l, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o)), 0);
    struct rte_mbuf *m = signed_segment("S", 0, 0, 0, "mss 1460", 1);
    rte_pktmbuf_mtod(m, uint8_t *)[23] ^= 1; /* a middlebox changes the MSS */
    in_packet(m);
    expect_signed("SA", 0, 0, 1, NULL, NULL);
}

static void algorithms_and_mac_lengths(void **state)
{
    static const struct {
        const char *name;
        enum auth_alg alg;
        uint8_t maclen;
    } kinds[] = {{"hmac(sha1)", AUTH_HMAC_SHA1, 12},
                 {"cmac(aes128)", AUTH_AES_CMAC, 12},
                 {"hmac(sha256)", AUTH_HMAC_SHA256, 16},
                 {"hmac(sha256)", AUTH_HMAC_SHA256, 9}};
    struct tcb *l = listening(10);
    for (unsigned i = 0; i < RTE_DIM(kinds); i++) {
        char text[20];
        snprintf(text, sizeof(text), "10.0.1.%u", i);
        ip_addr_parse(text, &peer);
        peer_signs(kinds[i].alg, 7, 7, "a key of twenty bytes");
        peer_key.maclen = kinds[i].maclen;
        struct leat_tcp_ao_add o = ao(text, 32, 7, 7, "a key of twenty bytes");
        strcpy(o.alg_name, kinds[i].name);
        o.maclen = kinds[i].maclen == 12 ? 0 : kinds[i].maclen;
        assert_int_equal(tcp_setopt(l, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o)), 0);
        in_signed("S", 0, 0, 0, "mss 1460");
        expect_signed("SA", 0, 0, 1, NULL, NULL);
    }
}

static void tcp_ao_add_key_errors(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    struct leat_tcp_ao_add o = ao(PEER, 32, 1, 1, "x");
#define ADD tcp_setopt(tp, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o))
    o.maclen = 17;
    assert_int_equal(ADD, -EINVAL);
    o = ao(PEER, 32, 1, 1, "x");
    strcpy(o.alg_name, "hmac(md4)");
    assert_int_equal(ADD, -ENOENT);
    o = ao(PEER, 33, 1, 1, "x");
    assert_int_equal(ADD, -EINVAL);
    o = ao(PEER, 32, 1, 1, "x");
    o.reserved2 = 1;
    assert_int_equal(ADD, -EINVAL);
    o = ao(PEER, 32, 1, 1, "x");
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_ADD_KEY, &o, sizeof(o) - 1), -EINVAL);
    assert_int_equal(ADD, 0);
    o.rcvid = 2; /* the SendID is taken */
    assert_int_equal(ADD, -EEXIST);
    o = ao("10.0.0.0", 8, 2, 1, "x"); /* the RecvID, of a peer that both are for */
    assert_int_equal(ADD, -EEXIST);
    o = ao("10.0.0.3", 32, 1, 1, "x");
    assert_int_equal(ADD, 0);
    assert_int_equal(set_md5(tp, PEER, -1, "m"), -EKEYREJECTED);
    tcp_close(tp, false);
    tp = established();
    o = ao(PEER, 32, 1, 1, "x");
    assert_int_equal(ADD, -EISCONN);
}

static void tcp_ao_get_keys(void **state)
{
    struct leat_tcp_ao_getsockopt got[3] = {{.get_all = 1}};
    uint32_t len = sizeof(got);
    struct tcb *l = listening(1);
    assert_int_equal(tcp_getopt(l, LEAT_TCP_AO_GET_KEYS, got, &len), -ENOENT);
    set_ao(l, PEER, 32, 1, 2, "abc");
    set_ao(l, "10.1.0.0", 16, 3, 4, "defg");
    assert_int_equal(tcp_getopt(l, LEAT_TCP_AO_GET_KEYS, got, &len), 0);
    assert_int_equal(len, sizeof(got[0]));
    assert_int_equal(got[0].nkeys, 2);
    assert_string_equal(got[0].alg_name, "hmac(sha1)");
    assert_int_equal(got[0].sndid, 1);
    assert_int_equal(got[1].prefix, 16);
    assert_int_equal(got[1].keylen, 4);
    assert_memory_equal(got[1].key, "defg", 4);
    got[0] =
        (struct leat_tcp_ao_getsockopt){.addr = address("10.1.0.0"), .prefix = 16, .sndid = 3, .rcvid = 4};
    len = sizeof(got);
    assert_int_equal(tcp_getopt(l, LEAT_TCP_AO_GET_KEYS, got, &len), 0);
    assert_int_equal(got[0].nkeys, 1);
    len = sizeof(got[0]) - 1;
    assert_int_equal(tcp_getopt(l, LEAT_TCP_AO_GET_KEYS, got, &len), -EINVAL);
}

static void ao_required_refuses_peers_without_key(void **state)
{
    struct leat_tcp_ao_info_opt o = {.ao_required = 1};
    struct tcb *l = listening(10), *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(tcp_setopt(l, LEAT_TCP_AO_INFO, &o, sizeof(o)), 0);
    in_opt("S", 0, 0, 0, 65535, "mss 1460");
    expect_nothing();
    assert_int_equal(stat("ao_required"), 1);
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_INFO, &o, sizeof(o)), 0);
    assert_int_equal(tcp_connect(tp, &peer, peer_port, 0), -EKEYREJECTED);
    tcp_close(tp, false);
}

static void icmp(struct tcb *tp, int type, int code, uint32_t mtu)
{
    uint8_t quoted[8];
    uint32_t seq = rte_cpu_to_be_32(tp->snd_una);
    memcpy(quoted, &tp->lport, 2);
    memcpy(quoted + 2, &tp->fport, 2);
    memcpy(quoted + 4, &seq, 4);
    tcp_icmp_error(&e, &us, &peer, quoted, 8, type, code, mtu);
    run_due();
}

static void rfc5925_7_8_icmp_is_not_believed(void **state)
{
    struct tcb *tp = established_ao();
    app_writes(tp, 1444);
    expect_signed("PA", 1, 1444, 1, NULL, NULL);
    icmp(tp, 3, 4, 600);
    icmp(tp, 3, 3, 0);
    assert_int_equal(tp->maxseg, 1444);
    assert_int_equal(stat("ao_dropped_icmps"), 2);
    struct leat_tcp_ao_info_opt o = {.accept_icmps = 1};
    assert_int_equal(tcp_setopt(tp, LEAT_TCP_AO_INFO, &o, sizeof(o)), 0);
    icmp(tp, 3, 4, 1000);
    assert_int_equal(tp->maxseg, 1000 - 40 - 16);
    expect_signed("A", 1, 944, 1, NULL, NULL);
    expect_signed("PA", 945, 500, 1, NULL, NULL);
}

/* A refusal that the peer can believe. */
static void the_rst_that_answers_a_handshake_is_signed(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    peer_signs(AUTH_MD5, 0, 0, "pass");
    set_md5(tp, PEER, -1, "pass");
    connecting_signed(tp, "S");
    in_signed("SA", 0, 0, 7, "mss 1460"); /* acknowledges what was not sent */
    assert_int_equal(caught[at_caught]->data_len, 40);
    expect_signed("R", 7, 0, ANY_ACK, NULL, NULL);
    in_signed("RA", 0, 0, 1, "");
    assert_int_equal(failed_with, ECONNREFUSED);
}

/* Nothing is remembered of the SYN: keys and ISNs follow from the ACK. */
static void syn_cookies_go_with_keys(void **state)
{
    uint8_t keyid, rnext;
    set("net.inet.tcp.syncookies_only", "1");
    struct tcb *l = listening(10);
    assert_int_equal(set_ao(l, PEER, 32, 10, 20, "secret"), 0);
    peer_signs(AUTH_HMAC_SHA1, 20, 10, "secret");
    in_signed("S", 0, 0, 0, "mss 1460");
    expect_signed("SA", 0, 0, 1, &keyid, &rnext);
    in("A", 1, 0, 1, 65535);
    damage = 1;
    in_signed("A", 1, 0, 1, "");
    damage = 0;
    expect_nothing();
    assert_null(tcp_accept(l));
    in_signed("A", 1, 0, 1, "");
    struct tcb *tp = accepted(l);
    in_signed("PA", 1, 100, 1, "");
    assert_int_equal(tp->rcv.bytes, 100);
    assert_int_equal(stat("ao_required"), 1);
    assert_int_equal(stat("ao_bad"), 1);
}

/* A half-open connection is no tcb: its SYN-ACK goes again signed, and a forged ACK or RST does not touch it. */
static void half_open_connections_are_signed(void **state)
{
    struct tcb *l = listening(10);
    peer_signs(AUTH_HMAC_SHA1, 20, 10, "secret");
    assert_int_equal(set_ao(l, PEER, 32, 10, 20, "secret"), 0);
    in_signed("S", 0, 0, 0, "mss 1460");
    expect_signed("SA", 0, 0, 1, NULL, NULL);
    wait_ms(1100);
    expect_signed("SA", 0, 0, 1, NULL, NULL);
    in("R", 1, 0, 0, 0);
    in("A", 1, 0, 1, 65535);
    assert_int_equal(stat("ao_required"), 2);
    in_packet(signed_segment("A", 1, 0, 1, "", 10));
    assert_int_equal(accepted(l)->state, TCPS_ESTABLISHED);
}

static void retransmissions_and_probes_are_signed(void **state)
{
    struct tcb *tp = established_ao();
    app_writes(tp, 10);
    expect_signed("PA", 1, 10, 1, NULL, NULL);
    wait_ms(300);
    expect_signed("PA", 1, 10, 1, NULL, NULL);
    in_signed("A", 1, 0, 11, "");
    assert_int_equal(tp->snd_una, tp->iss + 11);
    tp->keepidle_ms = 5000;
    tcp_keepalive_arm(tp);
    wait_ms(5100);
    expect_signed("A", 10, 0, 1, NULL, NULL);
    tcp_timer_stop(tp, TT_KEEP);
    app_shuts(tp);
    expect_signed("FA", 11, 0, 1, NULL, NULL);
}

static void keys_are_wiped(void **state)
{
    struct tcb *tp = tcp_new(&e, &upcalls, &owner);
    assert_int_equal(set_md5(tp, PEER, -1, "a very secret word"), 0);
    struct auth_key *k = TAILQ_FIRST(&tp->auth->keys);
    char *where = (char *)k->key;
    tcp_close(tp, false);
    assert_int_equal(e.tcp->auth->keys.used, 0);
    assert_memory_not_equal(where, "a very secret word", 18);
}

static int prepare(void **state)
{
    damage = 0;
    peer_sne = 0;
    int rc = set_up(state);
    for (unsigned i = 0; i < AUTH_N; i++)
        assert_true(auth_alg_prepare(&crypto, (enum auth_alg)i));
    return rc;
}
#define AUTH_TEST(f) cmocka_unit_test_setup_teardown(f, prepare, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        AUTH_TEST(rfc2385_signed_both_ways_from_a_listener),
        AUTH_TEST(rfc2385_signed_both_ways_in_an_active_open),
        AUTH_TEST(rfc2385_2_0_a_wrong_digest_is_dropped_in_silence),
        AUTH_TEST(rfc2385_2_0_a_missing_digest_is_dropped_in_silence),
        AUTH_TEST(a_digest_where_none_is_due_is_dropped),
        AUTH_TEST(syns_to_a_listener_with_keys),
        AUTH_TEST(the_longest_prefix_has_the_key),
        AUTH_TEST(tcp_md5sig_option),
        AUTH_TEST(freebsd_tcp_md5sig_refuses_peers_without_key),
        AUTH_TEST(md5_key_changes_on_a_live_connection),
        AUTH_TEST(options_leave_room_for_the_digest),
        AUTH_TEST(more_than_one_digest_is_dropped),
        AUTH_TEST(rfc5925_signed_both_ways_from_a_listener),
        AUTH_TEST(rfc5925_signed_both_ways_in_an_active_open),
        AUTH_TEST(rfc5925_7_5_wrong_missing_and_unknown_are_dropped),
        AUTH_TEST(rfc5925_2_2_md5_on_an_ao_connection_is_dropped),
        AUTH_TEST(rfc5925_7_5_rollover),
        AUTH_TEST(rfc5925_6_2_sequence_numbers_wrap),
        AUTH_TEST(rfc5925_5_1_options_excluded),
        AUTH_TEST(algorithms_and_mac_lengths),
        AUTH_TEST(tcp_ao_add_key_errors),
        AUTH_TEST(tcp_ao_get_keys),
        AUTH_TEST(ao_required_refuses_peers_without_key),
        AUTH_TEST(rfc5925_7_8_icmp_is_not_believed),
        AUTH_TEST(the_rst_that_answers_a_handshake_is_signed),
        AUTH_TEST(retransmissions_and_probes_are_signed),
        AUTH_TEST(syn_cookies_go_with_keys),
        AUTH_TEST(half_open_connections_are_signed),
        AUTH_TEST(keys_are_wiped),
    };
    return cmocka_run_group_tests(tests, set_up_group, NULL);
}
