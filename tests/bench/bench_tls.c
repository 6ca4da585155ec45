// SPDX-License-Identifier: BSD-3-Clause
// What records cost, without a peer: a connection of the simulator whose send buffer is emptied as if all were acked.
//   bench_tls raw BACKEND SUITE BYTES SECONDS      the cipher alone, as its library has it, over as much memory as path: GB/s
//   bench_tls calls BACKEND SUITE BYTES SECONDS    the same, one record after the other: a nonce, associated data, type and tag of its own for each
//   bench_tls rawopen BACKEND SUITE BYTES SECONDS  the cipher alone, opening records one after the other: GB/s
//   bench_tls path BACKEND SUITE BYTES SECONDS     leat_send() to the sealed record in the send buffer, by the engine itself: GB/s
//   bench_tls share BACKEND SUITE BYTES SECONDS    path and raw (openssl: calls) by turns of some milliseconds, so that others' work falls on both alike:
//       the median of each, GB/s, and of the shares of neighbours
//   bench_tls open|lend BACKEND SUITE BYTES SECONDS  records in the receive queue, in segments, to plaintext that leat_read() has copied or
//       leat_zc_recv() has lent: GB/s
//   bench_tls inline|busy|asleep BACKEND SUITE BYTES SECONDS
//       time of the engine's thread for a record, ns: sealed by itself; by a worker that has work; by one that must be woken
#include <errno.h>
#include <openssl/evp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <leat/sysctl.h>
#include <leat/tls.h>
#include <rte_pause.h>
#include "port/sim/sim.h"
#include "socket/socket.h"
#include "tcp/recvbuf.h"
#include "tls/rx.h"
#include "tls/tls.h"
#ifdef LEAT_IPSEC_MB
#include <intel-ipsec-mb.h>
#endif

#define BATCH 16
#define NS    1e9

static uint8_t text[TLS_PAYLOAD_MAX],
    buffers[BATCH / 4][(TLS_RECORD_MAX + 63) & ~63u] __attribute__((aligned(64)));
static const uint8_t key[32] = "0123456789abcdef0123456789abcdef", iv[12] = "an iv of 12";

static void die(const char *what)
{
    fprintf(stderr, "bench_tls: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * NS + (double)t.tv_nsec;
}

/* Of this thread, so that others who use the machine do not count. */
static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * NS + (double)t.tv_nsec;
}
static double clock_cost; /* of a call of it */

static void measure_clock(void)
{
    double from = cpu_ns();
    for (unsigned i = 0; i < 1000; i++)
        cpu_ns();
    clock_cost = (cpu_ns() - from) / 1001;
}

static struct tls_enable enable_of(const char *suite)
{
    struct tls_enable en = {.cipher_key = key, .iv = iv, .iv_len = 12, .tls_vmajor = 3, .tls_vminor = 4};
    en.cipher_key_len = strcmp(suite, "aes-128-gcm") == 0 || strcmp(suite, "aes-128-ccm") == 0 ? 16 : 32;
    en.cipher_algorithm = strcmp(suite, "chacha20-poly1305") == 0 ? CRYPTO_CHACHA20_POLY1305
                          : strcmp(suite, "aes-128-ccm") == 0     ? CRYPTO_AES_CCM_16
                                                                  : CRYPTO_AES_NIST_GCM_16;
    return en;
}

/* ---- the cipher alone ---- */

static const EVP_CIPHER *evp_of(const struct tls_enable *en)
{
    return en->cipher_algorithm == CRYPTO_CHACHA20_POLY1305 ? EVP_chacha20_poly1305()
           : en->cipher_key_len == 16                       ? EVP_aes_128_gcm()
                                                            : EVP_aes_256_gcm();
}

/* As openssl speed -evp does: key and nonce once, then nothing but data. */
static void raw_openssl(const struct tls_enable *en, int n, uint8_t *out)
{
    static EVP_CIPHER_CTX *ctx;
    int got;
    if (!ctx) {
        ctx = EVP_CIPHER_CTX_new();
        EVP_EncryptInit_ex(ctx, evp_of(en), NULL, key, iv);
    }
    EVP_EncryptUpdate(ctx, out, &got, text, n);
}

/* Whole messages, as the library's own performance test does: nonce, 13 bytes of associated data, tag. */
static void raw_ipsec_mb(const struct tls_enable *en, uint64_t n, uint8_t *out, bool open)
{
#ifdef LEAT_IPSEC_MB
    static IMB_MGR *m;
    static struct gcm_key_data k;
    static union {
        struct gcm_context_data gcm;
        struct chacha20_poly1305_context_data chacha;
    } c;
    if (!m) {
        m = alloc_mb_mgr(0);
        init_mb_mgr_auto(m, NULL);
        if (en->cipher_key_len == 16)
            IMB_AES128_GCM_PRE(m, key, &k);
        else
            IMB_AES256_GCM_PRE(m, key, &k);
    }
    if (en->cipher_algorithm == CRYPTO_CHACHA20_POLY1305) {
        IMB_CHACHA20_POLY1305_INIT(m, key, &c.chacha, iv, text, 13);
        if (open)
            IMB_CHACHA20_POLY1305_DEC_UPDATE(m, key, &c.chacha, out, text, n);
        else
            IMB_CHACHA20_POLY1305_ENC_UPDATE(m, key, &c.chacha, out, text, n);
        IMB_CHACHA20_POLY1305_ENC_FINALIZE(m, &c.chacha, out + n, 16);
    } else if (open && en->cipher_key_len == 16) {
        IMB_AES128_GCM_DEC(m, &k, &c.gcm, out, text, n, iv, text, 13, out + n, 16);
    } else if (open) {
        IMB_AES256_GCM_DEC(m, &k, &c.gcm, out, text, n, iv, text, 13, out + n, 16);
    } else if (en->cipher_key_len == 16) {
        IMB_AES128_GCM_ENC(m, &k, &c.gcm, out, text, n, iv, text, 13, out + n, 16);
    } else {
        IMB_AES256_GCM_ENC(m, &k, &c.gcm, out, text, n, iv, text, 13, out + n, 16);
    }
#else
    fprintf(stderr, "bench_tls: built without libipsec-mb\n");
    exit(1);
#endif
}

/* What TLS 1.3 needs of EVP for one record, as the backend does it. The tag of an opened one is wrong: that costs the same. */
static void record_openssl(const struct tls_enable *en, int n, uint8_t *out, bool open)
{
    static EVP_CIPHER_CTX *ctx;
    static const uint8_t head[TLS_HEADER], type[1];
    int got;
    if (!ctx) {
        ctx = EVP_CIPHER_CTX_new();
        EVP_CipherInit_ex(ctx, evp_of(en), NULL, key, iv, !open);
    }
    EVP_CipherInit_ex(ctx, NULL, NULL, NULL, iv, -1);
    EVP_CipherUpdate(ctx, NULL, &got, head, sizeof(head));
    EVP_CipherUpdate(ctx, out, &got, text, n);
    if (open) {
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, 16, out + n);
        EVP_CipherFinal_ex(ctx, out + n, &got);
    } else {
        EVP_CipherUpdate(ctx, out + n, &got, type, 1);
        EVP_CipherFinal_ex(ctx, out + n + 1, &got);
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out + n + 1);
    }
}

static double raw(const char *backend, const char *suite, uint32_t n, double seconds, const char *how)
{
    struct tls_enable en = enable_of(suite);
    bool imb = strcmp(backend, "ipsec_mb") == 0, open = strcmp(how, "rawopen") == 0,
         whole = strcmp(how, "raw") == 0;
    double start = cpu_ns(), end = start + seconds * NS, t;
    uint64_t records = 0;
    while ((t = cpu_ns()) < end)
        for (unsigned i = 0; i < 256; i++, records++) {
            if (imb)
                raw_ipsec_mb(&en, n, buffers[i % (BATCH / 4)], open);
            else if (!whole)
                record_openssl(&en, (int)n, buffers[i % (BATCH / 4)], open);
            else
                raw_openssl(&en, (int)n, buffers[i % (BATCH / 4)]);
        }
    return (double)records * n / (t - start);
}

/* ---- a connection ---- */

static struct host {
    struct sim *sim;
    struct sim_node *a, *b;
    int fd_a, fd_b;
    struct engine *e;
    struct tcb *tp;
} h;

static void set(const char *name, const char *value)
{
    if (leat_sysctlbyname(name, NULL, NULL, value, strlen(value) + 1) < 0)
        die(name);
}

static void set_number(const char *name, uint32_t v)
{
    if (leat_sysctlbyname(name, NULL, NULL, &v, sizeof(v)) < 0)
        die(name);
}

static void connect_them(void)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(443), .sin_addr.s_addr = htonl(0x0a000002)};
    sim_enter(h.b);
    int listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(listener, (struct sockaddr *)&to, sizeof(to)) < 0 || leat_listen(listener, 5) < 0)
        die("listen");
    sim_enter(h.a);
    h.fd_a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_connect(h.fd_a, (struct sockaddr *)&to, sizeof(to));
    sim_run_for(h.sim, 10 * NS_PER_MS);
    sim_enter(h.b);
    h.fd_b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (h.fd_b < 0)
        die("accept");
}

static void set_up(const char *backend, const char *suite, bool workers)
{
    if (sim_eal_init(512) < 0 || !(h.sim = sim_create(1)))
        die("simulator");
    h.a = sim_host(h.sim, "a");
    h.b = sim_host(h.sim, "b");
    struct sim_link *l = sim_link(h.sim, h.a, h.b, NULL);
    if (!l || sim_addr(l, h.a, "10.0.0.1/24") < 0 || sim_addr(l, h.b, "10.0.0.2/24") < 0)
        die("link");
    connect_them();
    set_number("kern.ipc.tls.enable", 1);
    set_number("kern.ipc.tls.threads", workers ? 1 : 0);
    set_number("kern.ipc.tls.inline_max", workers ? 0 : TLS_PAYLOAD_MAX);
    set("kern.ipc.tls.backends", backend);
    set("leat.tls.worker", "thread");
    int err = 0;
    h.e = so_current();
    h.tp = fd_socket(h.e->so, h.fd_b, &err)->tp;
    h.tp->snd.hiwat = 4 << 20;
    struct tls_enable en = enable_of(suite);
    if (leat_setsockopt(h.fd_b, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en)) < 0)
        die("TCP_TXTLS_ENABLE");
}

static void send_records(uint32_t n, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        if (leat_send(h.fd_b, text, n, 0) != (ssize_t)n)
            die("send");
}

static void acked(void)
{
    sendbuf_drop(&h.tp->snd, h.tp->snd.ready);
}

static double path(uint32_t n, double seconds)
{
    double start = cpu_ns(), end = start + seconds * NS, t;
    uint64_t records = 0;
    while ((t = cpu_ns()) < end) {
        for (unsigned i = 0; i < 16; i++, records += BATCH / 4) {
            send_records(n, BATCH / 4);
            acked();
        }
    }
    return (double)records * n / (t - start);
}

#define TURNS 1000

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof(*v), by_value);
    return v[n / 2];
}

static void share(const char *backend, const char *suite, uint32_t n, double seconds)
{
    static double alone[TURNS], records[TURNS], part[TURNS];
    const char *how = strcmp(backend, "openssl") == 0 ? "calls" : "raw";
    double end = now_ns() + seconds * NS;
    unsigned turns = 0;
    while (turns < TURNS && now_ns() < end) {
        alone[turns] = raw(backend, suite, n, 0.002, how);
        records[turns] = path(n, 0.002);
        part[turns] = records[turns] / alone[turns];
        turns++;
    }
    printf("%.3f GB/s alone, %.3f GB/s in records, share %.3f\n", median(alone, turns),
           median(records, turns), median(part, turns));
}

/* ---- receiving ---- */

#define SEGMENT 1448u

/* len bytes at rec as TCP would have put them into the receive queue. */
static void arrive(const uint8_t *rec, uint32_t len)
{
    for (uint32_t n; len > 0; rec += n, len -= n) {
        struct rte_mbuf *m = rte_pktmbuf_alloc(h.e->pkt_pool);
        n = len < SEGMENT ? len : SEGMENT;
        if (!m)
            die("packets");
        memcpy(rte_pktmbuf_append(m, (uint16_t)n), rec, n);
        recvbuf_append(h.tp, m);
        h.tp->rcv_nxt += n;
    }
}

static void seal(struct tls_session *s, uint32_t n)
{
    static uint8_t rec[TLS_RECORD_MAX];
    struct iovec src = {text, n};
    struct tls_op
        op = {.s = s, .src = &src, .n_src = 1, .dst = rec, .seq = s->seq++, .len = n, .type = TLS_RLTYPE_APP},
        *ops[] = {&op};
    tls_work(ops, 1);
    if (op.result != 0)
        die("sealing");
    arrive(rec, tls_record_len(s, n));
}

static void take(uint32_t n, bool lend)
{
    static uint8_t out[TLS_PAYLOAD_MAX];
    struct leat_zc piece;
    if (!lend && leat_read(h.fd_b, out, n) != (ssize_t)n)
        die("read");
    if (lend && (leat_zc_recv(h.fd_b, &piece, 1, n, 0) != 1 || piece.len != n))
        die("zc_recv");
    if (lend)
        leat_zc_return(&piece, 1);
}

/* Only from the queue on: who seals and brings the records is somebody else. */
static double receiving(const char *suite, uint32_t n, double seconds, bool lend)
{
    struct tls_enable en = enable_of(suite);
    struct tls_session *s;
    int err = 0;
    struct socket *so = fd_socket(h.e->so, h.fd_b, &err);
    double spent = 0, end = now_ns() + seconds * NS;
    uint64_t records = 0;
    if (leat_setsockopt(h.fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)) < 0 ||
        tls_open_session(h.e->tls, &en, false, &s) < 0)
        die("TCP_RXTLS_ENABLE");
    h.tp->rcv.hiwat = 4 << 20;
    measure_clock();
    for (; now_ns() < end; records += BATCH) {
        for (unsigned i = 0; i < BATCH; i++)
            seal(s, n);
        double from = cpu_ns();
        tls_rx_input(so->tls_rx);
        for (unsigned i = 0; i < BATCH; i++)
            take(n, lend);
        spent += cpu_ns() - from - clock_cost;
    }
    return (double)records * n / spent;
}

/* ---- the engine's time ---- */

static double inline_cost(uint32_t n, double seconds)
{
    return n / path(n, seconds);
}

static void to_cpu(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof(set), &set);
}

static void pass(double ns)
{
    for (double end = now_ns() + ns; now_ns() < end;)
        rte_pause();
}

/* Only what this thread does itself counts: not the waiting, nor others on its CPU. */
static double worker_round(uint32_t n, unsigned batch)
{
    struct tls_layer *l = h.e->tls;
    double from = cpu_ns(), spent;
    send_records(n, batch);
    l->ops->flush(l->workers);
    spent = cpu_ns() - from - clock_cost;
    pass(n * batch + 3000.0);
    while (l->under_way > 0) {
        from = cpu_ns();
        if (l->ops->reap(l->workers) > 0)
            spent += cpu_ns() - from - clock_cost;
    }
    from = cpu_ns();
    acked();
    return spent + cpu_ns() - from - clock_cost;
}

static double worker_cost(uint32_t n, unsigned batch, unsigned pause_us, double seconds)
{
    double end = now_ns() + seconds * NS, spent = 0;
    uint64_t records = 0;
    measure_clock();
    for (unsigned i = 0; i < 50; i++)
        worker_round(n, batch);
    while (now_ns() < end) {
        if (pause_us)
            usleep(pause_us);
        spent += worker_round(n, batch);
        records += batch;
    }
    return spent / (double)records;
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr,
                "usage: bench_tls raw|calls|rawopen|path|share|open|lend|inline|busy|asleep BACKEND SUITE "
                "BYTES SECONDS\n");
        return 2;
    }
    const char *what = argv[1], *backend = argv[2], *suite = argv[3];
    uint32_t n = (uint32_t)atoi(argv[4]);
    double seconds = atof(argv[5]);
    cpu_set_t all;
    sched_getaffinity(0, sizeof(all), &all);
    if (strcmp(what, "raw") == 0 || strcmp(what, "calls") == 0 || strcmp(what, "rawopen") == 0) {
        printf("%.3f GB/s\n", raw(backend, suite, n, seconds, what));
        return 0;
    }
    bool workers = strcmp(what, "busy") == 0 || strcmp(what, "asleep") == 0;
    set_up(backend, suite, workers);
    if (workers) { /* DPDK has bound this thread: the worker takes the other CPU */
        to_cpu(0);
        printf("%.1f ns\n",
               what[0] == 'b' ? worker_cost(n, BATCH / 2, 0, seconds) : worker_cost(n, 1, 200, seconds));
    } else if (strcmp(what, "open") == 0 || strcmp(what, "lend") == 0) {
        printf("%.3f GB/s\n", receiving(suite, n, seconds, what[0] == 'l'));
    } else if (strcmp(what, "share") == 0) {
        share(backend, suite, n, seconds);
    } else if (what[0] == 'i') {
        printf("%.1f ns\n", inline_cost(n, seconds));
    } else {
        printf("%.3f GB/s\n", path(n, seconds));
    }
    return 0;
}
