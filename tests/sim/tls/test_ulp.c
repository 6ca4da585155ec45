// SPDX-License-Identifier: BSD-3-Clause
// Linux's way in: TCP_ULP "tls", level SOL_TLS, its structures, control messages and errors (net/tls of Linux).
#include "sim/tls/records.h"

struct both { /* a and b, each with TLS by Linux's options */
    struct pair *p;
    int fd_a, fd_b, listener;
};

static struct both both_new(struct pair *p)
{
    struct both x = {.p = p};
    set_sysctl(p->a, "kern.ipc.tls.enable", 1);
    set_sysctl(p->b, "kern.ipc.tls.enable", 1);
    x.listener = listen_b(p, 443, 5);
    connect_pair(p, x.listener, 443, &x.fd_a, &x.fd_b);
    return x;
}

static struct tls12_crypto_info_aes_gcm_256 gcm256(uint16_t version, uint8_t key)
{
    struct tls12_crypto_info_aes_gcm_256 i = {
        .info = {.version = version, .cipher_type = TLS_CIPHER_AES_GCM_256},
        .iv = {9, 9, 9, 9, 9, 9, 9, 0xff}};
    memset(i.key, key, sizeof(i.key));
    return i;
}

static int ulp(int fd)
{
    return leat_setsockopt(fd, IPPROTO_TCP, TCP_ULP, "tls", sizeof("tls"));
}

static int keys(int fd, int direction, const void *info, socklen_t len)
{
    return leat_setsockopt(fd, SOL_TLS, direction, info, len);
}

#define REFUSED(call, err)                                                                                   \
    do {                                                                                                     \
        assert_int_equal(call, -1);                                                                          \
        assert_int_equal(errno, err);                                                                        \
    } while (0)

static void on(struct both *x, uint16_t version)
{
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(version, 1);
    sim_enter(x->p->a);
    assert_int_equal(ulp(x->fd_a), 0);
    assert_int_equal(keys(x->fd_a, TLS_TX, &i, sizeof(i)), 0);
    sim_enter(x->p->b);
    assert_int_equal(ulp(x->fd_b), 0);
    assert_int_equal(keys(x->fd_b, TLS_RX, &i, sizeof(i)), 0);
}

static ssize_t send_typed(int fd, int level, uint8_t type, const void *data, size_t len)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u = {.h = {.cmsg_len = CMSG_LEN(1), .cmsg_level = level, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    *CMSG_DATA(&u.h) = type;
    return leat_sendmsg(fd, &msg, 0);
}

static ssize_t recv_typed(int fd, void *buf, size_t len, uint8_t *type)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u;
    struct iovec iov = {buf, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    ssize_t n = leat_recvmsg(fd, &msg, 0);
    const struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    *type = 0;
    if (c) {
        assert_int_equal(c->cmsg_level, SOL_TLS);
        assert_int_equal(c->cmsg_type, TLS_GET_RECORD_TYPE);
        assert_int_equal(c->cmsg_len, CMSG_LEN(1));
        *type = *CMSG_DATA(c);
    }
    return n;
}

static void test_data_and_records_of_other_types(void **state)
{
    static const uint16_t versions[] = {TLS_1_2_VERSION, TLS_1_3_VERSION};
    for (unsigned v = 0; v < 2; v++) {
        struct pair *p = pair_new(1, NULL);
        struct both x = both_new(p);
        uint8_t buf[100], type;
        on(&x, versions[v]);
        sim_enter(p->a);
        assert_int_equal(leat_send(x.fd_a, "0123456789", 10, 0), 10);
        assert_int_equal(send_typed(x.fd_a, SOL_TLS, TLS_RLTYPE_HANDSHAKE, "\4\0\0\0", 4), 4);
        REFUSED(send_typed(x.fd_a, IPPROTO_TCP, TLS_RLTYPE_HANDSHAKE, "x", 1), EINVAL);
        assert_int_equal(send_typed(x.fd_a, SOL_TLS, TLS_RLTYPE_ALERT, "\1\0", 2), 2);
        sim_run_for(p->sim, 100 * NS_PER_MS);
        sim_enter(p->b);
        assert_int_equal(recv_typed(x.fd_b, buf, 4, &type), 4); /* the type with every piece */
        assert_int_equal(type, TLS_RLTYPE_APP);
        assert_int_equal(recv_typed(x.fd_b, buf + 4, 90, &type), 6);
        assert_int_equal(type, TLS_RLTYPE_APP);
        assert_memory_equal(buf, "0123456789", 10);
        REFUSED(leat_read(x.fd_b, buf, 10), EIO); /* one errno for all */
        assert_int_equal(recv_typed(x.fd_b, buf, 90, &type), 4);
        assert_int_equal(type, TLS_RLTYPE_HANDSHAKE);
        REFUSED(leat_read(x.fd_b, buf, 10), EIO);
        assert_int_equal(recv_typed(x.fd_b, buf, 90, &type), 2);
        assert_int_equal(type, TLS_RLTYPE_ALERT);
        pair_free(p);
    }
}

/* RFC 5288 §3: the library may have used the nonces before iv. */
static void test_explicit_nonces_go_on_from_iv(void **state)
{
    struct both x = both_new(*state);
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(TLS_1_2_VERSION, 1);
    uint8_t buf[100];
    i.rec_seq[7] = 5;
    sim_enter(x.p->b);
    assert_int_equal(ulp(x.fd_b), 0);
    assert_int_equal(keys(x.fd_b, TLS_TX, &i, sizeof(i)), 0);
    assert_int_equal(leat_send(x.fd_b, "a", 1, 0), 1);
    assert_int_equal(leat_send(x.fd_b, "b", 1, 0), 1);
    sim_run_for(x.p->sim, 300 * NS_PER_MS);
    sim_enter(x.p->a);
    assert_int_equal(leat_read(x.fd_a, buf, sizeof(buf)), 2 * (5 + 8 + 1 + 16));
    assert_memory_equal(buf + 5, "\x9\x9\x9\x9\x9\x9\x9\xff", 8);
    assert_memory_equal(buf + 35, "\x9\x9\x9\x9\x9\x9\xa\0", 8);
}

static void test_what_is_refused(void **state)
{
    struct both x = both_new(*state);
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(TLS_1_3_VERSION, 1), bad = i;
    struct tls12_crypto_info_aes_gcm_128 other = {
        .info = {.version = TLS_1_3_VERSION, .cipher_type = TLS_CIPHER_AES_GCM_128}};
    sim_enter(x.p->b);
    REFUSED(keys(x.fd_b, TLS_TX, &i, sizeof(i)), ENOPROTOOPT); /* no TCP_ULP yet */
    REFUSED(leat_setsockopt(x.fd_b, IPPROTO_TCP, TCP_ULP, "mptcp", 6), ENOENT);
    REFUSED(leat_setsockopt(x.fd_b, IPPROTO_TCP, TCP_ULP, "tls", 0), EINVAL);
    REFUSED(ulp(x.listener), ENOTCONN);
    set_sysctl(x.p->b, "kern.ipc.tls.enable", 0);
    REFUSED(ulp(x.fd_b), ENOENT);
    set_sysctl(x.p->b, "kern.ipc.tls.enable", 1);
    assert_int_equal(ulp(x.fd_b), 0);
    REFUSED(ulp(x.fd_b), EEXIST);
    REFUSED(keys(x.fd_b, TLS_TX, &i, 3), EINVAL);
    REFUSED(keys(x.fd_b, TLS_TX, &i, sizeof(i) - 1), EINVAL);
    REFUSED(keys(x.fd_b, TLS_TX, &i, sizeof(i) + 1), EINVAL);
    bad.info.version = 0x0302;
    REFUSED(keys(x.fd_b, TLS_TX, &bad, sizeof(bad)), EINVAL);
    bad = i;
    bad.info.cipher_type = 99;
    REFUSED(keys(x.fd_b, TLS_TX, &bad, sizeof(bad)), EINVAL);
    REFUSED(leat_setsockopt(x.fd_b, SOL_TLS, 77, &i, sizeof(i)), ENOPROTOOPT);
    assert_int_equal(keys(x.fd_b, TLS_TX, &i, sizeof(i)), 0);
    REFUSED(keys(x.fd_b, TLS_RX, &other, sizeof(other)), EINVAL); /* one cipher for both directions */
    REFUSED(keys(x.fd_b, TLS_TX, &other, sizeof(other)), EINVAL);
    assert_int_equal(keys(x.fd_b, TLS_RX, &i, sizeof(i)), 0);
    REFUSED(keys(x.fd_b, TLS_RX, &i, sizeof(i)), EBUSY); /* no KeyUpdate has come */
    REFUSED(leat_send(x.fd_b, "x", 1, MSG_OOB), EOPNOTSUPP);
}

static void test_tls12_keys_are_for_good(void **state)
{
    struct both x = both_new(*state);
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(TLS_1_2_VERSION, 1);
    sim_enter(x.p->b);
    assert_int_equal(ulp(x.fd_b), 0);
    assert_int_equal(keys(x.fd_b, TLS_TX, &i, sizeof(i)), 0);
    REFUSED(keys(x.fd_b, TLS_TX, &i, sizeof(i)), EBUSY);
}

static void test_new_keys_in_both_directions(void **state)
{
    struct both x = both_new(*state);
    struct tls12_crypto_info_aes_gcm_256 next = gcm256(TLS_1_3_VERSION, 2);
    uint8_t buf[100], type;
    on(&x, TLS_1_3_VERSION);
    sim_enter(x.p->a);
    assert_int_equal(send_typed(x.fd_a, SOL_TLS, TLS_RLTYPE_HANDSHAKE, "\x18\0\0\1\0", 5), 5);
    assert_int_equal(keys(x.fd_a, TLS_TX, &next, sizeof(next)), 0);
    assert_int_equal(leat_send(x.fd_a, "after", 5, 0), 5);
    sim_run_for(x.p->sim, 300 * NS_PER_MS);
    sim_enter(x.p->b);
    REFUSED(leat_read(x.fd_b, buf, 10), EIO);
    assert_int_equal(recv_typed(x.fd_b, buf, 90, &type), 5);
    REFUSED(leat_read(x.fd_b, buf, 10), EKEYEXPIRED);
    REFUSED(recv_typed(x.fd_b, buf, 90, &type), EKEYEXPIRED);
    assert_int_equal(keys(x.fd_b, TLS_RX, &next, sizeof(next)), 0);
    assert_int_equal(leat_read(x.fd_b, buf, 10), 5);
    assert_memory_equal(buf, "after", 5);
}

static void test_switches(void **state)
{
    struct both x = both_new(*state);
    int v = 1;
    socklen_t len = sizeof(v);
    sim_enter(x.p->b);
    assert_int_equal(ulp(x.fd_b), 0);
    REFUSED(leat_setsockopt(x.fd_b, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &v, sizeof(v)), EINVAL); /* no keys yet */
    sim_enter(x.p->a);
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(TLS_1_3_VERSION, 1);
    sim_enter(x.p->b);
    assert_int_equal(keys(x.fd_b, TLS_RX, &i, sizeof(i)), 0);
    assert_int_equal(leat_setsockopt(x.fd_b, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &v, sizeof(v)), 0);
    assert_int_equal(leat_setsockopt(x.fd_b, SOL_TLS, TLS_TX_ZEROCOPY_RO, &v, sizeof(v)), 0);
    v = 0;
    assert_int_equal(leat_getsockopt(x.fd_b, SOL_TLS, TLS_RX_EXPECT_NO_PAD, &v, &len), 0);
    assert_int_equal(v, 1);
    v = 0;
    assert_int_equal(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX_ZEROCOPY_RO, &v, &len), 0);
    assert_int_equal(v, 1);
    v = 2;
    REFUSED(leat_setsockopt(x.fd_b, SOL_TLS, TLS_TX_ZEROCOPY_RO, &v, sizeof(v)), EINVAL);
    REFUSED(leat_setsockopt(x.fd_b, SOL_TLS, TLS_TX_ZEROCOPY_RO, &v, 1), EINVAL);
}

/* Version, cipher, number of the next record; the key stays where it is. */
static void test_what_is_told(void **state)
{
    struct both x = both_new(*state);
    struct tls12_crypto_info_aes_gcm_256 i = gcm256(TLS_1_3_VERSION, 1), told;
    socklen_t len = sizeof(told);
    char name[8];
    sim_enter(x.p->b);
    assert_int_equal(leat_getsockopt(x.fd_b, IPPROTO_TCP, TCP_ULP, name, &len), 0);
    assert_int_equal(len, 0);
    assert_int_equal(ulp(x.fd_b), 0);
    len = sizeof(name);
    assert_int_equal(leat_getsockopt(x.fd_b, IPPROTO_TCP, TCP_ULP, name, &len), 0);
    assert_string_equal(name, "tls");
    len = sizeof(told);
    REFUSED(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX, &told, &len), EBUSY);
    assert_int_equal(keys(x.fd_b, TLS_TX, &i, sizeof(i)), 0);
    assert_int_equal(leat_send(x.fd_b, "x", 1, 0), 1);
    memset(&told, 0xaa, sizeof(told));
    assert_int_equal(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX, &told, &len), 0);
    assert_int_equal(told.info.version, TLS_1_3_VERSION);
    assert_int_equal(told.info.cipher_type, TLS_CIPHER_AES_GCM_256);
    assert_memory_equal(told.rec_seq, "\0\0\0\0\0\0\0\1", 8);
    for (unsigned k = 0; k < sizeof(told.key); k++)
        assert_int_equal(told.key[k], 0);
    len = sizeof(told.info);
    assert_int_equal(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX, &told, &len), 0);
    assert_int_equal(len, sizeof(told.info));
    len = 3;
    REFUSED(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX, &told, &len), EINVAL);
    len = sizeof(told) - 1;
    REFUSED(leat_getsockopt(x.fd_b, SOL_TLS, TLS_TX, &told, &len), EINVAL);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_and_records_of_other_types),
        TEST(test_explicit_nonces_go_on_from_iv),
        TEST(test_what_is_refused),
        TEST(test_tls12_keys_are_for_good),
        TEST(test_new_keys_in_both_directions),
        TEST(test_switches),
        TEST(test_what_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
