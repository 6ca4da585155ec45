// SPDX-License-Identifier: BSD-3-Clause
// All ciphers make the same records of the same keys, open each other's, and stand in for each other when one fails.
//   test_backends [VDEV]    VDEV: the crypto device behind cryptodev
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "eal.h"
#include "keys.h"
#include "tls/session.h"

static const struct siphash_key iv_secret = {{3, 4}};
static struct tls_keystore *keystore;
static const char *vdev;
static uint8_t text[TLS_PAYLOAD_MAX + 64], plain[TLS_RECORD_MAX];
static uint8_t record_a[TLS_RECORD_MAX], record_b[TLS_RECORD_MAX];

static const uint32_t lengths[] = {0,    1,    2,    3,    15,   16,   17,    31,   32,   33,   47,
                                   48,   49,   63,   64,   65,   127,  128,   129,  255,  256,  257,
                                   511,  512,  513,  1000, 1023, 1024, 1025,  1400, 2047, 2048, 2049,
                                   4095, 4096, 4097, 8191, 8192, 8193, 16383, 16384};
#define N_LENGTHS (sizeof(lengths) / sizeof(lengths[0]))

static int setup(void **state)
{
    keystore = tls_keystore_new();
    for (unsigned i = 0; i < sizeof(text); i++)
        text[i] = (uint8_t)(i * 2654435761u >> 24);
    return keystore && (!vdev || eal_with("test_backends", vdev) >= 0) ? 0 : -1;
}

static int teardown(void **state)
{
    tls_keystore_free(keystore);
    return 0;
}

static struct tls_enable some_keys(const struct suite_case *c, struct direction *d)
{
    direction_init(d, c);
    for (unsigned i = 0; i < 32; i++)
        d->key[i] = d->mac[i] = d->iv[i & 15] = (uint8_t)(i * 11 + c->key_len);
    for (unsigned i = 32; i < sizeof(d->mac); i++)
        d->mac[i] = (uint8_t)i;
    d->en.rec_seq[7] = 250; /* numbers that carry */
    return d->en;
}

static struct tls_session *session(const struct tls_enable *en, bool receive, const char *names)
{
    struct tls_session *s = NULL;
    int err = tls_session_new(keystore, en, receive, names, &iv_secret, &s);
    return err ? NULL : s;
}

enum how { PIECES, ELSEWHERE, IN_PLACE, HOWS };

static struct tls_op seal_op(struct tls_session *s, uint8_t *out, uint32_t n, uint64_t seq, enum how how,
                             struct iovec src[3])
{
    memset(out, 0xaa, TLS_RECORD_MAX);
    if (how == PIECES) {
        uint32_t cut = n > 5 ? n / 2 - 3 : n / 2;
        src[0] = (struct iovec){text, cut};
        src[1] = (struct iovec){text + cut, 0};
        src[2] = (struct iovec){text + cut, n - cut};
    } else if (how == ELSEWHERE) {
        src[0] = (struct iovec){text, n};
    } else {
        memcpy(out + s->hlen, text, n);
        src[0] = (struct iovec){out + s->hlen, n};
    }
    return (struct tls_op){.s = s,
                           .src = src,
                           .n_src = how == PIECES ? 3 : 1,
                           .dst = out,
                           .seq = seq,
                           .len = n,
                           .type = TLS_RLTYPE_APP};
}

static uint32_t seal(struct tls_session *s, uint8_t *out, uint32_t n, uint64_t seq, enum how how)
{
    struct iovec src[3];
    struct tls_op op = seal_op(s, out, n, seq, how, src), *ops[] = {&op};
    tls_work(ops, 1);
    assert_int_equal(op.result, 0);
    assert_int_equal(out[tls_record_len(s, n)], 0xaa);
    return tls_record_len(s, n);
}

static struct tls_op unseal(struct tls_session *s, uint8_t *rec, uint32_t len, uint64_t seq)
{
    struct iovec src[3] = {{rec, 5}, {rec + 5, len / 3}, {rec + 5 + len / 3, len - 5 - len / 3}};
    struct tls_op op = {.s = s, .src = src, .n_src = 3, .dst = plain, .seq = seq, .len = len}, *ops[] = {&op};
    memset(plain, 0x55, sizeof(plain));
    tls_work(ops, 1);
    return op;
}

static void use(struct tls_session *s, const char *name)
{
    s->backend->end(s);
    s->backend = NULL;
    s->at = s->n_order = 0;
    assert_int_equal(tls_backend_begin(s, name), 0);
    assert_string_equal(s->backend->name, name);
}

/* One session, so that explicit IVs are the same; TLS 1.0's chain is put back. */
static void same_records(const struct suite_case *c, const char *name)
{
    struct direction d;
    struct tls_enable en = some_keys(c, &d);
    struct tls_session *s = session(&en, false, "openssl");
    for (unsigned i = 0; i < N_LENGTHS; i++) {
        uint64_t seq = s->seq + i;
        memcpy(s->keys->iv, d.iv, s->iv_len);
        use(s, "openssl");
        uint32_t len = seal(s, record_a, lengths[i], seq, PIECES);
        use(s, name);
        for (enum how how = PIECES; how < HOWS; how++) {
            memcpy(s->keys->iv, d.iv, s->iv_len);
            assert_int_equal(seal(s, record_b, lengths[i], seq, how), len);
            assert_memory_equal(record_a, record_b, len);
        }
    }
    tls_session_put(keystore, s);
}

static void test_every_backend_makes_the_same_records(void **state)
{
    for (unsigned b = 0; tls_backend_at(b); b++) {
        const char *name = tls_backend_at(b)->name;
        unsigned did = 0;
        for (unsigned i = 0; i < N_SUITES; i++) {
            struct direction d;
            struct tls_enable en = some_keys(&suite_cases[i], &d);
            struct tls_session *s = session(&en, false, name);
            if (!s)
                continue;
            tls_session_put(keystore, s);
            same_records(&suite_cases[i], name);
            did++;
        }
        print_message("%s: %u of %u suites\n", name, did, (unsigned)N_SUITES);
        assert_true(did > 0 || (!vdev && strcmp(name, "cryptodev") == 0));
    }
}

/* What was tampered with is refused by all, and no byte of it is left. */
static void opens(const struct suite_case *c, const char *name)
{
    struct direction d;
    struct tls_enable en = some_keys(c, &d);
    struct tls_session *tx = session(&en, false, "openssl"), *rx = session(&en, true, name);
    for (unsigned i = 0; i < N_LENGTHS; i++) {
        uint64_t seq = tx->seq + i;
        memcpy(tx->keys->iv, d.iv, tx->iv_len);
        memcpy(rx->keys->iv, d.iv, rx->iv_len);
        uint32_t len = seal(tx, record_a, lengths[i], seq, PIECES);
        struct tls_op op = unseal(rx, record_a, len, seq);
        assert_int_equal(op.result, lengths[i]);
        assert_int_equal(op.type, TLS_RLTYPE_APP);
        assert_memory_equal(plain, text, lengths[i]);
        for (unsigned j = 0; j < 4; j++) {
            uint32_t at = j == 0   ? len - 1
                          : j == 1 ? tx->hlen
                          : j == 2 ? len - 16
                                   : (uint32_t)tx->hlen + lengths[i] / 2;
            memcpy(rx->keys->iv, d.iv, rx->iv_len);
            record_a[at] ^= 4;
            assert_int_equal(unseal(rx, record_a, len, seq).result, -EBADMSG);
            if (lengths[i] > 16)
                assert_memory_not_equal(plain, text, 16);
            record_a[at] ^= 4;
        }
    }
    tls_session_put(keystore, tx);
    tls_session_put(keystore, rx);
}

static void test_every_backend_opens_them(void **state)
{
    for (unsigned b = 0; tls_backend_at(b); b++) {
        const char *name = tls_backend_at(b)->name;
        unsigned did = 0;
        for (unsigned i = 0; i < N_SUITES; i++) {
            struct direction d;
            struct tls_enable en = some_keys(&suite_cases[i], &d);
            struct tls_session *s = session(&en, true, name);
            if (!s)
                continue;
            tls_session_put(keystore, s);
            opens(&suite_cases[i], name);
            did++;
        }
        print_message("%s: %u of %u suites\n", name, did, (unsigned)N_SUITES);
        assert_true(did > 0 || (!vdev && strcmp(name, "cryptodev") == 0));
    }
}

/* As a worker has them: many records of many sessions, suites and backends in one batch. */
static void test_a_mixed_batch(void **state)
{
    enum { N = 150 };
    static uint8_t out[N][2048 + 256];
    struct iovec src[N];
    struct tls_op op[N], *ops[N];
    struct tls_session *s[N_SUITES];
    struct direction d[N_SUITES];
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct tls_enable en = some_keys(&suite_cases[i], &d[i]);
        s[i] = session(&en, false,
                       i % 3 == 0   ? "cryptodev ipsec_mb openssl"
                       : i % 3 == 1 ? "openssl"
                                    : tls_backend_names);
        assert_non_null(s[i]);
    }
    for (unsigned i = 0; i < N; i++) {
        struct tls_session *of = s[i * 7 / 3 % N_SUITES];
        uint32_t n = i * 131 % 2048;
        src[i] = (struct iovec){text, n};
        op[i] = (struct tls_op){
            .s = of, .src = &src[i], .n_src = 1, .dst = out[i], .seq = of->seq++, .len = n, .type = 23};
        ops[i] = &op[i];
    }
    tls_work(ops, N);
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct tls_session *rx = session(&d[i].en, true, "openssl");
        for (unsigned j = 0; j < N; j++) {
            if (op[j].s != s[i])
                continue;
            assert_int_equal(op[j].result, 0);
            assert_int_equal(unseal(rx, out[j], tls_record_len(s[i], op[j].len), op[j].seq).result,
                             op[j].len);
            assert_memory_equal(plain, text, op[j].len);
        }
        tls_session_put(keystore, rx);
        tls_session_put(keystore, s[i]);
    }
}

/* ---- choice and failing over ---- */

static int refuse(const struct tls_session *s)
{
    return -EOPNOTSUPP;
}
static int fail_to_begin(struct tls_session *s)
{
    return -ENOMEM;
}
static int begin_nothing(struct tls_session *s)
{
    return 0;
}
static int accept_all(const struct tls_session *s)
{
    return 0;
}
static void end_nothing(struct tls_session *s)
{
}
static void give_up(struct tls_op **ops, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        ops[i]->result = -EAGAIN;
}

static const struct tls_backend no_one = {.name = "no_one", .can = refuse};
static const struct tls_backend poor = {.name = "poor", .can = accept_all, .begin = fail_to_begin};
static const struct tls_backend weak = {.name = "weak",
                                        .can = accept_all,
                                        .begin = begin_nothing,
                                        .seal = give_up,
                                        .open = give_up,
                                        .end = end_nothing};

static void test_one_that_refuses_or_fails_makes_room_for_the_next(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[12], &d); /* TLS 1.1 */
    struct tls_session *s =
        session(&en, true, "ipsec_mb cryptodev openssl"); /* neither opens CBC in constant time */
    assert_string_equal(s->backend->name, "openssl");
    assert_true(s->refusals > 0);
    tls_session_put(keystore, s);
    assert_null(session(&en, true, "cryptodev"));
    assert_null(session(&en, true, "nobody"));
}

/* A backend that gives up under way: the same record, byte for byte, by the next; nothing of it twice. */
static void test_failing_over_under_way(void **state)
{
    for (unsigned i = 0; i < N_SUITES; i++) {
        struct direction d;
        struct tls_enable en = some_keys(&suite_cases[i], &d);
        struct tls_session *s = session(&en, false, "openssl");
        for (enum how how = PIECES; how < HOWS; how++) {
            memcpy(s->keys->iv, d.iv, s->iv_len);
            uint32_t len = seal(s, record_a, 777, 5, how);
            const struct tls_backend *good = s->backend;
            s->backend->end(s);
            s->backend = s->order[0] = &weak;
            s->order[1] = &no_one;
            s->order[2] = &poor;
            s->order[3] = good;
            s->n_order = 4;
            s->at = s->refusals = 0;
            memcpy(s->keys->iv, d.iv, s->iv_len);
            seal(s, record_b, 777, 5, how);
            assert_memory_equal(record_a, record_b, len);
            assert_ptr_equal(s->backend, good);
            assert_int_equal(s->refusals, 3);
        }
        tls_session_put(keystore, s);
    }
}

/* None is left: the record has failed, and so have all that come after. Never plaintext. */
static void test_none_is_left(void **state)
{
    struct direction d;
    struct tls_enable en = some_keys(&suite_cases[0], &d);
    struct tls_session *s = session(&en, false, "openssl");
    struct iovec src[3];
    s->backend->end(s);
    s->backend = s->order[0] = &weak;
    s->order[1] = &poor;
    s->n_order = 2;
    s->at = 0;
    for (unsigned i = 0; i < 3; i++) {
        struct tls_op op = seal_op(s, record_a, 100, i, ELSEWHERE, src), again = op, *ops[] = {&op, &again};
        tls_work(ops, 2);
        assert_int_equal(op.result, -EIO);
        assert_int_equal(again.result, -EIO);
        assert_memory_not_equal(record_a + s->hlen, text, 100);
        assert_null(s->backend);
    }
    tls_session_put(keystore, s);
}

#ifdef LEAT_FAULT_INJECTION
/* Every allocation fails once: another backend, or no session, and never a wrong record. */
static void test_every_allocation_fails_once(void **state)
{
    char names[64];
    for (unsigned i = 0; i < N_SUITES * 3; i++) {
        const struct suite_case *c = &suite_cases[i % N_SUITES];
        struct direction d;
        struct tls_enable en = some_keys(c, &d);
        const char *first = tls_backend_at(i / N_SUITES) ? tls_backend_at(i / N_SUITES)->name : "openssl";
        snprintf(names, sizeof(names), "%s openssl", first);
        for (int64_t at = 1; at < 12; at++) {
            fault_countdown = at;
            fault_run = 1;
            struct tls_session *tx = session(&en, false, names);
            if (tx)
                seal(tx, record_a, 100, 250, PIECES);
            bool hit = fault_countdown < 0;
            fault_countdown = -1;
            if (!tx)
                continue;
            struct tls_session *rx = session(&en, true, "openssl");
            assert_int_equal(unseal(rx, record_a, tls_record_len(tx, 100), 250).result, 100);
            assert_memory_equal(plain, text, 100);
            tls_session_put(keystore, rx);
            tls_session_put(keystore, tx);
            if (!hit)
                break;
        }
    }
}
#endif

int main(int argc, char **argv)
{
    vdev = argc > 1 ? argv[1] : NULL;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_backend_makes_the_same_records),
        cmocka_unit_test(test_every_backend_opens_them),
        cmocka_unit_test(test_a_mixed_batch),
        cmocka_unit_test(test_one_that_refuses_or_fails_makes_room_for_the_next),
        cmocka_unit_test(test_failing_over_under_way),
        cmocka_unit_test(test_none_is_left),
#ifdef LEAT_FAULT_INJECTION
        cmocka_unit_test(test_every_allocation_fails_once),
#endif
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
