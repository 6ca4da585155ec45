// SPDX-License-Identifier: BSD-3-Clause
// Worker threads and their rings, without sockets: order, limits, a slow worker, an end at any moment. Also built with ThreadSanitizer
// (test tls_workers_tsan).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/rng.h"
#include "eal.h"
#include "engine/engine.h"
#include "tls/tls.h"

#define FLOWS 8
#define JOBS  64 /* of a flow, at most under way */

struct job {
    struct tls_job job; /* first */
    struct iovec src;
    uint8_t *buf;
    bool used;
};

struct flow {
    struct tls_flow flow; /* first */
    struct tls_session *s;
    struct job jobs[JOBS];
    uint64_t next, done; /* records given and come back */
    bool told;           /* go_on was called */
};

struct fixture {
    struct engine e;
    struct tls_layer l;
    struct tls_keystore *keys;
    struct flow flows[FLOWS];
    uint8_t text[TLS_PAYLOAD_MAX];
    unsigned released;
};

static struct fixture *fixture;

static void on_done(struct tls_job *j)
{
    struct job *r = (struct job *)j;
    struct flow *f = (struct flow *)j->flow;
    assert_int_equal(j->op.result, 0);
    assert_int_equal(j->op.seq, f->done); /* the order of framing */
    assert_memory_not_equal(r->buf + f->s->hlen, fixture->text, 32);
    assert_int_equal(r->buf[0], TLS_RLTYPE_APP);
    f->done++;
    r->used = false;
    f->flow.refs--;
}

static void on_go_on(struct tls_flow *f)
{
    ((struct flow *)f)->told = true;
}

static void on_release(struct tls_flow *f)
{
    fixture->released++;
}

static const struct tls_flow_ops flow_ops = {.done = on_done, .go_on = on_go_on, .release = on_release};

static int setup(void **state)
{
    static const uint8_t key[32] = "0123456789abcdef0123456789abcdef", iv[12] = "an iv of 12";
    static const struct siphash_key none;
    static bool eal;
    struct fixture *x = fixture = calloc(1, sizeof(*x));
    if (!eal && eal_with("test_workers", "crypto_null") < 0)
        return -1;
    eal = true;
    x->keys = tls_keystore_new();
    x->l = (struct tls_layer){
        .e = &x->e,
        .params = {.threads = 2, .queue = 256, .session_bytes = 1 << 18, .engine_bytes = 1 << 20}};
    TAILQ_INIT(&x->l.starved);
    x->l.ops = &tls_worker_thread;
    struct tls_enable en = {.cipher_key = key,
                            .iv = iv,
                            .cipher_algorithm = CRYPTO_AES_NIST_GCM_16,
                            .cipher_key_len = 32,
                            .iv_len = 12,
                            .tls_vmajor = 3,
                            .tls_vminor = 4};
    for (unsigned i = 0; i < FLOWS; i++) {
        struct flow *f = &x->flows[i];
        tls_flow_init(&f->flow, &x->l, &flow_ops);
        if (tls_session_new(x->keys, &en, false, i % 2 ? "openssl" : tls_backend_names, &none, &f->s) != 0)
            return -1;
        for (unsigned j = 0; j < JOBS; j++)
            f->jobs[j].buf = malloc(TLS_RECORD_MAX);
    }
    return 0;
}

static int teardown(void **state)
{
    struct fixture *x = fixture;
    if (x->l.workers)
        x->l.ops->destroy(x->l.workers);
    for (unsigned i = 0; i < FLOWS; i++) {
        struct flow *f = &x->flows[i];
        if (f->next != f->done || x->l.under_way != 0 || x->l.bytes_under_way != 0)
            return -1;
        tls_session_put(x->keys, f->s);
        tls_flow_put(&f->flow);
        for (unsigned j = 0; j < JOBS; j++)
            free(f->jobs[j].buf);
    }
    int lost = x->released != FLOWS;
    tls_keystore_free(x->keys);
    free(x);
    return lost ? -1 : 0;
}

static void start(struct fixture *x)
{
    x->l.workers = x->l.ops->create(&x->l, (uint32_t)x->l.params.threads);
    assert_non_null(x->l.workers);
}

static bool give(struct fixture *x, struct flow *f, uint32_t len)
{
    struct job *r = &f->jobs[f->next % JOBS];
    if (r->used)
        return false;
    r->src = (struct iovec){x->text, len};
    r->job = (struct tls_job){
        .flow = &f->flow,
        .op = {.s = f->s, .src = &r->src, .n_src = 1, .dst = r->buf, .seq = f->next, .len = len, .type = 23}};
    f->flow.refs++;
    if (!tls_submit(&r->job)) {
        f->flow.refs--;
        return false;
    }
    r->used = true;
    f->next++;
    return true;
}

static void turn(struct fixture *x)
{
    x->l.ops->reap(x->l.workers);
    tls_feed(&x->l);
    x->l.ops->flush(x->l.workers);
}

static void drain(struct fixture *x)
{
    for (unsigned i = 0; i < 200000 && x->l.under_way > 0; i++) {
        turn(x);
        usleep(10);
    }
    assert_int_equal(x->l.under_way, 0);
}

static void test_records_come_back_in_order_of_each_flow(void **state)
{
    struct fixture *x = fixture;
    struct rng r;
    rng_seed(&r, 1);
    start(x);
    for (unsigned i = 0; i < 6000; i++) {
        give(x, &x->flows[rng_below(&r, FLOWS)], 32 + rng_below(&r, rng_below(&r, 8) ? 400 : 16000));
        if (rng_below(&r, 10) == 0)
            turn(x);
        if (rng_below(&r, 500) == 0)
            usleep(2000); /* they fall asleep */
    }
    drain(x);
    for (unsigned i = 0; i < FLOWS; i++)
        assert_true(x->flows[i].done > 0);
}

/* kern.ipc.tls.session_bytes: one that has its share under way waits, another does not; it hears when it may go on. */
static void test_a_session_is_limited_alone(void **state)
{
    struct fixture *x = fixture;
    x->l.params.session_bytes = 40000;
    start(x);
    unsigned n = 0;
    while (give(x, &x->flows[0], 16000))
        n++;
    assert_int_equal(n, 2);
    assert_true(give(x, &x->flows[1], 16000));
    assert_false(x->flows[0].flow.starved);
    drain(x);
    assert_true(x->flows[0].told);
    assert_true(give(x, &x->flows[0], 16000));
    drain(x);
}

/* kern.ipc.tls.engine_bytes and kern.ipc.tls.queue: who does not get in is starved, and called when there is room. */
static void test_all_together_are_limited(void **state)
{
    struct fixture *x = fixture;
    x->l.params.engine_bytes = 20000;
    start(x);
    assert_true(give(x, &x->flows[0], 16000));
    assert_false(give(x, &x->flows[1], 16000));
    assert_true(x->flows[1].flow.starved);
    drain(x);
    assert_false(x->flows[1].flow.starved);
    assert_true(x->flows[1].told);
}

static void test_a_full_queue_starves_only_its_own(void **state)
{
    struct fixture *x = fixture;
    x->l.params.queue = 4;
    x->l.params.session_bytes = x->l.params.engine_bytes = 1 << 30;
    start(x);
    unsigned n = 0;
    while (give(x, &x->flows[0], 16384))
        n++;
    assert_int_equal(n, 4);                     /* what is under way counts until it has come back */
    assert_true(give(x, &x->flows[1], 16384));  /* the other worker's */
    assert_false(give(x, &x->flows[2], 16384)); /* the first one's too */
    drain(x);
    assert_true(x->flows[0].told && x->flows[2].told);
}

/* The end at a random moment, many times: what was given comes back, nothing leaks. */
static void test_an_end_at_any_moment(void **state)
{
    struct fixture *x = fixture;
    struct rng r;
    rng_seed(&r, 2);
    for (unsigned round = 0; round < 60; round++) {
        start(x);
        unsigned n = rng_below(&r, 100);
        for (unsigned i = 0; i < n; i++) {
            give(x, &x->flows[rng_below(&r, FLOWS)], 32 + rng_below(&r, 16000));
            if (rng_below(&r, 4) == 0)
                turn(x);
        }
        if (rng_below(&r, 2))
            usleep(rng_below(&r, 300));
        x->l.ops->destroy(x->l.workers);
        x->l.workers = NULL;
        assert_int_equal(x->l.under_way, 0);
    }
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_records_come_back_in_order_of_each_flow),
        TEST(test_a_session_is_limited_alone),
        TEST(test_all_together_are_limited),
        TEST(test_a_full_queue_starves_only_its_own),
        TEST(test_an_end_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
