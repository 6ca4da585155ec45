// SPDX-License-Identifier: BSD-3-Clause
// Records of every version and suite, in both directions, with libssl as the other end, and known answers.
//   test_record [BACKENDS [VDEV]]    ciphers in order of preference; the crypto device behind cryptodev
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/cksum.h"
#include "eal.h"
#include "keys.h"
#include "tls/session.h"

static const struct siphash_key iv_secret = {{1, 2}};
static struct tls_keystore *keystore;
static const char *backends = tls_backend_names, *vdev;
static uint8_t text[TLS_PAYLOAD_MAX], record[TLS_RECORD_MAX], plain[TLS_RECORD_MAX];

static void fill_text(void)
{
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
}

static int setup(void **state)
{
    keystore = tls_keystore_new();
    fill_text();
    return keystore && (!vdev || eal_with("test_record", vdev) >= 0) ? 0 : -1;
}

static int teardown(void **state)
{
    tls_keystore_free(keystore);
    return 0;
}

static struct tls_session *session(const struct tls_enable *en, bool receive)
{
    struct tls_session *s = NULL;
    assert_int_equal(tls_session_new(keystore, en, receive, backends, &iv_secret, &s), 0);
    return s;
}

/* The same record, cut: in pieces as if it had been copied to them, with nothing written between, and added up. */
static void check_cut(struct tls_op op, uint32_t len, struct tls_cut cut)
{
    static uint8_t wide[TLS_RECORD_MAX + TLS_CUTS_MAX * TLS_CUT_GAP], gap[TLS_CUT_GAP];
    uint16_t sums[TLS_CUTS_MAX];
    struct tls_op *ops[] = {&op};
    uint32_t n, full = cut.first, i = 0;
    const uint8_t *at = wide;
    memset(wide, 0xbb, sizeof(wide));
    memset(gap, 0xbb, sizeof(gap));
    op.dst = wide;
    op.cut = cut;
    op.sums = sums;
    tls_work(ops, 1);
    assert_int_equal(op.result, 0);
    for (uint32_t done = 0; done < len; done += n, at += n + TLS_CUT_GAP, full = cut.size, i++) {
        n = len - done < full ? len - done : full;
        assert_memory_equal(at, record + done, n);
        assert_memory_equal(at + n, gap, sizeof(gap));
        assert_int_equal(sums[i], cksum_bytes(record + done, n));
    }
}

/* Where TLS 1.0 chains its records there is no second time. */
static void check_cuts(const struct tls_op *op, uint32_t len)
{
    static const uint16_t sizes[] = {1448, 1220, 8948}, firsts[] = {1, 3, 7, 13, 700};
    if (op->s->suite == TLS_SUITE_CBC && op->s->vminor == TLS_MINOR_VER_ZERO)
        return;
    for (unsigned i = 0; i < 3; i++)
        for (unsigned k = 0; k < 5; k++)
            check_cut(*op, len, (struct tls_cut){firsts[k], sizes[i]});
    check_cut(*op, len, (struct tls_cut){1448, 1448});
}

/* A record with n bytes of text, from three pieces of memory; its length. Cut it is the same. */
static uint32_t seal(struct tls_session *s, uint8_t type, uint32_t n)
{
    struct iovec src[3] = {{text, n / 3}, {text + n / 3, 0}, {text + n / 3, n - n / 3}};
    struct tls_op
        op = {.s = s, .src = src, .n_src = 3, .dst = record, .seq = s->seq++, .len = n, .type = type},
        *ops[] = {&op};
    memset(record, 0xaa, sizeof(record));
    tls_work(ops, 1);
    assert_int_equal(op.result, 0);
    assert_int_equal(record[tls_record_len(s, n)], 0xaa);
    check_cuts(&op, tls_record_len(s, n));
    return tls_record_len(s, n);
}

/* Opens a record, given in pieces; as the op says. */
static struct tls_op open_at(struct tls_session *s, uint8_t *at, uint32_t len, uint64_t seq)
{
    struct iovec src[4] = {{at, 3}, {at + 3, 9}, {at + 12, 1}, {at + 13, len - 13}};
    struct tls_op op = {.s = s, .src = src, .n_src = 4, .dst = plain, .seq = seq, .len = len}, *ops[] = {&op};
    tls_work(ops, 1);
    return op;
}

static struct tls_op unseal(struct tls_session *s, uint8_t *at, uint32_t len)
{
    return open_at(s, at, len, s->seq++);
}

/* ---- RFC 8448 §3: the records of application data and the alert ---- */

static void rfc8448(const char *key, const char *iv, uint64_t seq, uint8_t type, const uint8_t *payload,
                    uint32_t n, const char *expected)
{
    uint8_t k[16], nonce[12], wire[128];
    unhex(key, k);
    unhex(iv, nonce);
    int len = unhex(expected, wire);
    struct tls_enable en = {.cipher_key = k,
                            .iv = nonce,
                            .cipher_algorithm = CRYPTO_AES_NIST_GCM_16,
                            .cipher_key_len = 16,
                            .iv_len = 12,
                            .tls_vmajor = 3,
                            .tls_vminor = 4};
    en.rec_seq[7] = (uint8_t)seq;
    struct tls_session *tx = session(&en, false), *rx = session(&en, true);
    memcpy(text, payload, n);
    assert_int_equal(seal(tx, type, n), len);
    assert_memory_equal(record, wire, (size_t)len);
    struct tls_op op = unseal(rx, wire, (uint32_t)len);
    assert_int_equal(op.result, n);
    assert_int_equal(op.type, type);
    assert_memory_equal(plain, payload, n);
    tls_session_put(keystore, tx);
    tls_session_put(keystore, rx);
}

#define CLIENT_KEY "17422dda596ed5d9acd890e3c63f5051"
#define CLIENT_IV  "5b78923dee08579033e523d9"
#define SERVER_KEY "9f02283b6c9c07efc26bb9f2ac92e356"
#define SERVER_IV  "cf782b88dd83549aadf1e984"

static void test_rfc8448_records(void **state)
{
    uint8_t data[50];
    for (unsigned i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)i;
    rfc8448(CLIENT_KEY, CLIENT_IV, 0, TLS_RLTYPE_APP, data, sizeof(data),
            "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a20441e2b"
            "62974e1f5a6292a2977014bd"
            "1e3deae63aeebb21694915e4");
    rfc8448(SERVER_KEY, SERVER_IV, 1, TLS_RLTYPE_APP, data, sizeof(data),
            "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb501a59a8"
            "fcc49c4bf2e5f0a21c0047c2"
            "abf332540dd032e167c2955d");
    rfc8448(CLIENT_KEY, CLIENT_IV, 1, TLS_RLTYPE_ALERT, (const uint8_t *)"\1\0", 2,
            "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3");
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
}

/* ---- against libssl ---- */

static const uint32_t sizes[] = {1, 2, 15, 16, 17, 1000, 4095, TLS_PAYLOAD_MAX};

/* Ours go to libssl. */
static void ours_to_libssl(struct ends *e, struct tls_session *s)
{
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t len = seal(s, TLS_RLTYPE_APP, sizes[i]);
        assert_int_equal(BIO_write(e->to_server, record, (int)len), len);
        int got = 0, n;
        while ((uint32_t)got < sizes[i] &&
               (n = SSL_read(e->server, plain + got, (int)sizeof(plain) - got)) > 0)
            got += n;
        assert_int_equal(got, sizes[i]);
        assert_memory_equal(plain, text, sizes[i]);
    }
    text[0] = 1, text[1] = 0; /* close_notify */
    uint32_t len = seal(s, TLS_RLTYPE_ALERT, 2);
    BIO_write(e->to_server, record, (int)len);
    assert_int_equal(SSL_read(e->server, plain, 1), 0);
    assert_int_equal(SSL_get_shutdown(e->server), SSL_RECEIVED_SHUTDOWN);
    text[0] = 0, text[1] = (uint8_t)(2654435761u >> 24);
}

/* Would our record be theirs, byte for byte? Only where nothing in it is random. */
static void same_bytes(struct tls_session *s, const uint8_t *wire, uint32_t len, uint32_t n)
{
    if (s->vminor == 4 || s->suite == TLS_SUITE_CHACHA20) {
        assert_int_equal(seal(s, TLS_RLTYPE_APP, n), len);
        assert_memory_equal(record, wire, len);
    }
}

static void libssl_to_ours(struct ends *e, struct tls_session *rx, struct tls_session *as_libssl)
{
    static uint8_t wire[TLS_RECORD_MAX];
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t got = 0;
        assert_int_equal(SSL_write(e->server, text, (int)sizes[i]), sizes[i]);
        while (got < sizes[i]) { /* TLS 1.0 has an empty record first */
            assert_int_equal(BIO_read(e->to_client, wire, TLS_HEADER), TLS_HEADER);
            int len = tls_header_check(rx, wire);
            assert_true(len > 0);
            assert_int_equal(BIO_read(e->to_client, wire + TLS_HEADER, len - (int)TLS_HEADER),
                             len - (int)TLS_HEADER);
            struct tls_op op = unseal(rx, wire, (uint32_t)len);
            assert_true(op.result >= 0);
            assert_int_equal(op.type, TLS_RLTYPE_APP);
            assert_memory_equal(plain, text + got, (size_t)op.result);
            got += (uint32_t)op.result;
            same_bytes(as_libssl, wire, (uint32_t)len, (uint32_t)op.result);
        }
        assert_int_equal(got, sizes[i]);
    }
}

static void test_every_suite_against_libssl(void **state)
{
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct ends e;
        print_message("%s\n", suite_cases[i].name);
        assert_true(ends_open(&e, &suite_cases[i]));
        struct tls_session *tx = session(&e.c2s.en, false), *rx = session(&e.s2c.en, true),
                           *as = session(&e.s2c.en, false);
        libssl_to_ours(&e, rx, as);
        ours_to_libssl(&e, tx);
        tls_session_put(keystore, tx);
        tls_session_put(keystore, rx);
        tls_session_put(keystore, as);
        ends_close(&e);
    }
}

/* ---- by ourselves ---- */

static struct tls_enable some_keys(const struct suite_case *c, struct direction *d)
{
    direction_init(d, c);
    for (unsigned i = 0; i < 32; i++)
        d->key[i] = d->mac[i] = d->iv[i & 15] = (uint8_t)(i * 7 + 1);
    return d->en;
}

/* All lengths around a block, in place as workers do it; every suite. */
static void test_in_place_as_from_elsewhere(void **state)
{
    static uint8_t other[TLS_RECORD_MAX];
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct direction d;
        struct tls_enable en = some_keys(&suite_cases[i], &d);
        for (uint32_t n = 0; n < 70; n++) {
            struct tls_session *a = session(&en, false), *b = session(&en, false), *rx = session(&en, true);
            b->iv_secret = a->iv_secret;
            uint32_t len = seal(a, TLS_RLTYPE_APP, n);
            memcpy(other + b->hlen, text, n);
            struct iovec src = {other + b->hlen, n};
            struct tls_op op = {.s = b,
                                .src = &src,
                                .n_src = 1,
                                .dst = other,
                                .len = n,
                                .type = TLS_RLTYPE_APP},
                          *ops[] = {&op};
            tls_work(ops, 1);
            assert_int_equal(op.result, 0);
            if (a->suite != TLS_SUITE_CBC || a->vminor == 1)
                assert_memory_equal(record, other, len);
            op = unseal(rx, other, len);
            assert_int_equal(op.result, n);
            assert_memory_equal(plain, text, n);
            tls_session_put(keystore, a);
            tls_session_put(keystore, b);
            tls_session_put(keystore, rx);
        }
    }
}

/* Any bit of the record changed, another number, another key: EBADMSG, and no byte of the text comes out. */
static void test_tampered_replayed_and_foreign_records(void **state)
{
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct direction d, wrong;
        struct tls_enable en = some_keys(&suite_cases[i], &d), other = some_keys(&suite_cases[i], &wrong);
        wrong.key[3] ^= 1;
        struct tls_session *tx = session(&en, false), *rx = session(&en, true),
                           *foreign = session(&other, true);
        uint32_t len = seal(tx, TLS_RLTYPE_APP, 100);
        for (uint32_t byte = 5; byte < len; byte++) {
            if (tx->vminor == 1)
                memcpy(rx->keys->iv, d.iv, 16);
            record[byte] ^= 0x10;
            assert_int_equal(open_at(rx, record, len, 0).result, -EBADMSG);
            record[byte] ^= 0x10;
        }
        if (tx->vminor == 1)
            memcpy(rx->keys->iv, d.iv, 16);
        assert_int_equal(open_at(rx, record, len, 0).result, 100);
        assert_int_equal(open_at(rx, record, len, 1).result, -EBADMSG);
        assert_int_equal(open_at(foreign, record, len, 0).result, -EBADMSG);
        assert_memory_not_equal(plain, text, 16);
        for (uint32_t shorter = tx->hlen; shorter < len; shorter++) {
            if (shorter >= 13)
                assert_int_equal(open_at(rx, record, shorter, 0).result, -EBADMSG);
        }
        tls_session_put(keystore, tx);
        tls_session_put(keystore, rx);
        tls_session_put(keystore, foreign);
    }
}

/* RFC 8446 §5.4: padding is taken off, a record of nothing but padding is an error. */
static void test_padding_of_tls13(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[0], &d);
    struct tls_session *tx = session(&en, false), *rx = session(&en, true);
    memset(text + 100, 0, 50);
    text[100] = TLS_RLTYPE_HANDSHAKE;
    uint32_t len = seal(tx, 0, 140); /* the stack's own type byte is one more zero */
    struct tls_op op = unseal(rx, record, len);
    assert_int_equal(op.result, 100);
    assert_int_equal(op.type, TLS_RLTYPE_HANDSHAKE);
    memset(text, 0, 10);
    len = seal(tx, 0, 10);
    assert_int_equal(unseal(rx, record, len).result, -EBADMSG);
    tls_session_put(keystore, tx);
    tls_session_put(keystore, rx);
    fill_text();
}

static int check(struct tls_session *s, uint8_t type, uint8_t major, uint8_t minor, uint16_t len)
{
    const uint8_t h[5] = {type, major, minor, (uint8_t)(len >> 8), (uint8_t)len};
    return tls_header_check(s, h);
}

static void test_headers(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[0], &d);
    struct tls_session *s13 = session(&en, true);
    assert_int_equal(check(s13, 23, 3, 3, 100), 105);
    assert_int_equal(check(s13, 22, 3, 3, 100), -EINVAL);
    assert_int_equal(check(s13, 23, 3, 4, 100), -EINVAL);
    assert_int_equal(check(s13, 23, 3, 3, 16), -EMSGSIZE);
    assert_int_equal(check(s13, 23, 3, 3, 17), 22);
    assert_int_equal(check(s13, 23, 3, 3, 16384 + 256), 5 + 16384 + 256);
    assert_int_equal(check(s13, 23, 3, 3, 16384 + 257), -EMSGSIZE);
    tls_session_put(keystore, s13);
    en = some_keys(&suite_cases[4], &d);
    struct tls_session *s12 = session(&en, true);
    assert_int_equal(check(s12, 21, 3, 3, 24), 29);
    assert_int_equal(check(s12, 21, 3, 3, 23), -EMSGSIZE);
    assert_int_equal(check(s12, 19, 3, 3, 100), -EINVAL);
    assert_int_equal(check(s12, 24, 3, 3, 100), -EINVAL);
    assert_int_equal(check(s12, 23, 2, 3, 100), -EINVAL);
    assert_int_equal(check(s12, 23, 3, 3, 16384 + 2049), -EMSGSIZE);
    tls_session_put(keystore, s12);
}

/* RFC 5288 §3 leaves the explicit nonce open: here it is the record's number. */
static void test_explicit_nonce_is_the_record_number(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[4], &d);
    memcpy(en.rec_seq, "\1\2\3\4\5\6\7\x8", 8);
    struct tls_session *s = session(&en, false);
    seal(s, TLS_RLTYPE_APP, 5);
    assert_memory_equal(record + 5, en.rec_seq, 8);
    seal(s, TLS_RLTYPE_APP, 5);
    assert_memory_equal(record + 5, "\1\2\3\4\5\6\7\x9", 8);
    tls_session_put(keystore, s);
}

/* ---- what is refused, in FreeBSD's words ---- */

static int refused(struct tls_enable en)
{
    struct tls_session *s;
    int err = tls_session_new(keystore, &en, false, tls_backend_names, &iv_secret, &s);
    if (err == 0)
        tls_session_put(keystore, s);
    return err;
}
#define REFUSED(CASE, ERR, ...)                                                                              \
    do {                                                                                                     \
        struct direction d_;                                                                                 \
        struct tls_enable en = some_keys(&suite_cases[CASE], &d_);                                           \
        __VA_ARGS__;                                                                                         \
        assert_int_equal(refused(en), ERR);                                                                  \
    } while (0)

enum { GCM13 = 0, CHACHA13 = 2, GCM12 = 4, CHACHA12 = 6, CBC12 = 9, CBC12_384 = 11, CBC11 = 12, CBC10 = 13 };

static void test_what_is_refused(void **state)
{
    REFUSED(GCM13, 0, );
    REFUSED(GCM13, -EINVAL, en.flags = 1);
    REFUSED(GCM13, -EINVAL, en.tls_vmajor = 2);
    REFUSED(GCM13, -EINVAL, en.tls_vminor = 0);
    REFUSED(GCM13, -EINVAL, en.tls_vminor = 5);
    REFUSED(GCM13, -EINVAL, en.tls_vminor = 3); /* its IV has 12 bytes */
    REFUSED(GCM13, -EINVAL, en.tls_vminor = 2); /* no GCM before TLS 1.2 */
    REFUSED(GCM13, -EINVAL, en.cipher_key_len = 0);
    REFUSED(GCM13, -EINVAL, en.cipher_key_len = -1);
    REFUSED(GCM13, -EINVAL, en.cipher_key_len = 1025);
    REFUSED(GCM13, -EOPNOTSUPP, en.cipher_key_len = 24);
    REFUSED(GCM13, -EOPNOTSUPP, en.cipher_key_len = 1024);
    REFUSED(GCM13, -EINVAL, en.iv_len = 17);
    REFUSED(GCM13, -EINVAL, en.iv_len = -1);
    REFUSED(GCM13, -EINVAL, en.iv_len = 4);
    REFUSED(GCM13, -EINVAL, en.auth_algorithm = CRYPTO_SHA1_HMAC);
    REFUSED(GCM13, 0, en.auth_algorithm = CRYPTO_AES_128_NIST_GMAC);
    REFUSED(GCM13, -EINVAL, en.auth_key_len = 20);
    REFUSED(GCM13, -EINVAL, en.cipher_algorithm = 1);
    REFUSED(GCM13, -EFAULT, en.cipher_key = NULL);
    REFUSED(GCM13, -EFAULT, en.iv = NULL);
    REFUSED(GCM12, -EINVAL, en.iv_len = 12);
    REFUSED(CHACHA13, -EINVAL, en.iv_len = 4);
    REFUSED(CHACHA12, -EINVAL, en.tls_vminor = 2);
    REFUSED(CHACHA12, -EINVAL, en.auth_algorithm = CRYPTO_AES_128_NIST_GMAC);
    REFUSED(CBC12, -EINVAL, en.tls_vminor = 4);
    REFUSED(CBC12, -EINVAL, en.auth_algorithm = 0);
    REFUSED(CBC12, -EINVAL, en.auth_key_len = 0);
    REFUSED(CBC12, -EFAULT, en.auth_key = NULL);
    REFUSED(CBC12, 0, en.iv_len = 8); /* ignored: explicit IVs */
    REFUSED(CBC12_384, -EINVAL, en.tls_vminor = 2);
    REFUSED(CBC11, 0, );
    REFUSED(CBC10, -EINVAL, en.iv_len = 0);
}

static void test_a_backend_that_is_not_there(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[0], &d);
    struct tls_session *s = NULL;
    assert_int_equal(tls_session_new(keystore, &en, false, "none of these", &iv_secret, &s), -EOPNOTSUPP);
    assert_int_equal(tls_session_new(keystore, &en, false, "", &iv_secret, &s), -EOPNOTSUPP);
    assert_int_equal(tls_session_new(keystore, &en, false, "nobody openssl", &iv_secret, &s), 0);
    assert_string_equal(s->backend->name, "openssl");
    tls_session_put(keystore, s);
}

/* Keys are wiped when the last one who needs them has gone, not before. */
static void test_keys_are_wiped_with_the_last_reference(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[0], &d);
    struct tls_session *s = session(&en, false);
    const uint8_t *key = s->keys->cipher;
    tls_session_hold(s);
    tls_session_put(keystore, s);
    assert_memory_equal(key, d.key, 16);
    tls_session_put(keystore, s);
    for (unsigned i = 8; i < 16; i++) /* the first bytes chain free pieces */
        assert_int_equal(key[i], 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        backends = argv[1];
    if (argc > 2)
        vdev = argv[2];
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc8448_records),
        cmocka_unit_test(test_every_suite_against_libssl),
        cmocka_unit_test(test_in_place_as_from_elsewhere),
        cmocka_unit_test(test_tampered_replayed_and_foreign_records),
        cmocka_unit_test(test_padding_of_tls13),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_explicit_nonce_is_the_record_number),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_a_backend_that_is_not_there),
        cmocka_unit_test(test_keys_are_wiped_with_the_last_reference),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
