// SPDX-License-Identifier: BSD-3-Clause
// New keys under way (RFC 8446 §4.6.3): opening stops behind a KeyUpdate until the next key is there.
#include "sim/tls/receiver.h"
#include "tcp/tcp.h"

static const uint8_t key_update[] = {24, 0, 0, 1, 0};

static void next_key(struct receiver *r, const uint8_t *key)
{
    struct tls_enable en = enable_of(key);
    receiver_key(r, &en);
}

/* Opening stops behind a KeyUpdate, whatever is under way; what follows is of the next key. */
static void rekey_with_delay(struct pair *p, uint32_t delay, uint32_t inline_max)
{
    struct receiver *r = receiver_new(p);
    uint8_t buf[10], type;
    int flags;
    set_sysctl(p->b, "leat.tls.sync_delay", delay);
    set_sysctl(p->b, "kern.ipc.tls.inline_max", inline_max);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 500);
    seal(r, TLS_RLTYPE_HANDSHAKE, key_update, sizeof(key_update));
    next_key(r, key_two);
    for (unsigned i = 0; i < 10; i++)
        seal_text(r, 700);
    push_all(r);
    sim_run_for(p->sim, NS_PER_SEC);
    assert_int_equal(pull(r, 10000), 500);
    read_fails(r, EIO);
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 5);
    assert_int_equal(type, TLS_RLTYPE_HANDSHAKE);
    assert_int_equal(ready(r), 0);
    read_fails(r, EKEYEXPIRED);
    struct tls_enable other = enable_of(key_two);
    other.cipher_key_len = 16;
    assert_int_equal(leat_setsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &other, sizeof(other)), -1);
    assert_int_equal(errno, EALREADY);
    assert_int_equal(enable_rx(r, key_two), 0);
    sim_run_for(p->sim, NS_PER_SEC);
    assert_int_equal(ready(r), POLLIN);
    assert_int_equal(pull(r, 10000), 7000);
    got_all(r);
    assert_int_equal(counter(p->b, "kern.ipc.tls.stats.rekeys_rx"), 1);
    assert_int_equal(counter(p->b, "kern.ipc.tls.stats.failed_crypto"), 0);
    receiver_free(r);
}

static void test_new_keys_stop_the_opening(void **state)
{
    rekey_with_delay(*state, 0, 16384);
}

static void test_new_keys_with_records_at_the_worker(void **state)
{
    rekey_with_delay(*state, 3000, 0);
}

/* A KeyUpdate behind other messages, one of which began in the record before. */
static void test_key_update_behind_other_messages(void **state)
{
    struct receiver *r = receiver_new(*state);
    uint8_t ticket[304] = {4, 0, 1, 44}, last[64], type;
    int flags;
    assert_int_equal(enable_rx(r, key_one), 0);
    seal(r, TLS_RLTYPE_HANDSHAKE, ticket, 2);
    seal(r, TLS_RLTYPE_HANDSHAKE, ticket + 2, 270);
    memset(last, 24, sizeof(last)); /* bytes of a message are no message */
    memcpy(last + 32, key_update, 5);
    seal(r, TLS_RLTYPE_HANDSHAKE, last, 37);
    next_key(r, key_two);
    seal_text(r, 10);
    push_all(r);
    static uint8_t buf[400];
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 2);
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 270);
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 37);
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), -1);
    assert_int_equal(errno, EKEYEXPIRED);
    assert_int_equal(enable_rx(r, key_two), 0);
    assert_int_equal(pull(r, 100), 10);
    receiver_free(r);
}

/* A blocking read does not wait for what only its caller can do. */
static void test_a_blocking_read_says_ekeyexpired(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal(r, TLS_RLTYPE_HANDSHAKE, key_update, sizeof(key_update));
    push_all(r);
    leat_fcntl(r->fd_b, F_SETFL, 0);
    uint8_t type;
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 100, 0, &type), 5);
    read_fails(r, EKEYEXPIRED);
    receiver_free(r);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_new_keys_stop_the_opening),
        TEST(test_new_keys_with_records_at_the_worker),
        TEST(test_key_update_behind_other_messages),
        TEST(test_a_blocking_read_says_ekeyexpired),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
