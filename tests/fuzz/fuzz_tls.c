// SPDX-License-Identifier: BSD-3-Clause
// The receiving side of TLS with bytes of any content: whole records under the right keys, with the wrong ones, changed, cut, and bytes
// that are none; keys that change; every way to read. Input: the suite, then steps: one byte that says what, one how much, and what
// that needs.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include <leat/sysctl.h>
#include <leat/tls.h>
#include "port/sim/sim.h"
#include "tls/session.h"

struct input {
    const uint8_t *p;
    size_t left;
};

static struct sim *sim;
static struct sim_node *a, *b;
static int listener;
static struct tls_keystore *keys;

static const struct {
    int algorithm, auth, key_len, mac_len, iv_len;
    uint8_t vminor;
} suites[] = {
    {CRYPTO_AES_NIST_GCM_16, 0, 16, 0, 12, 4},
    {CRYPTO_CHACHA20_POLY1305, 0, 32, 0, 12, 4},
    {CRYPTO_AES_CCM_16, 0, 16, 0, 12, 4},
    {CRYPTO_AES_NIST_GCM_16, 0, 32, 0, 4, 3},
    {CRYPTO_CHACHA20_POLY1305, 0, 32, 0, 12, 3},
    {CRYPTO_AES_CBC, CRYPTO_SHA2_384_HMAC, 32, 48, 0, 3},
    {CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20, 0, 2},
    {CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20, 16, 1},
};

static struct tls_enable enable_of(unsigned suite, uint8_t number)
{
    static uint8_t key[64];
    memset(key, number, sizeof(key));
    return (struct tls_enable){.cipher_key = key,
                               .iv = key,
                               .auth_key = suites[suite].mac_len ? key : NULL,
                               .cipher_algorithm = suites[suite].algorithm,
                               .cipher_key_len = suites[suite].key_len,
                               .iv_len = suites[suite].iv_len,
                               .auth_algorithm = suites[suite].auth,
                               .auth_key_len = suites[suite].mac_len,
                               .tls_vmajor = 3,
                               .tls_vminor = suites[suite].vminor};
}

static void set_up(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(443)};
    uint32_t on = 1, delay = 100;
    struct sim_link *link;
    if (sim_eal_init(512) < 0 || !(sim = sim_create(1)) || !(a = sim_host(sim, "a")) ||
        !(b = sim_host(sim, "b")) || !(link = sim_link(sim, a, b, NULL)) || !(keys = tls_keystore_new()))
        abort();
    if (sim_addr(link, a, "10.0.0.1/24") < 0 || sim_addr(link, b, "10.0.0.2/24") < 0)
        abort();
    in.sin_addr.s_addr = htonl(0x0a000002);
    sim_enter(b);
    leat_sysctlbyname("kern.ipc.tls.enable", NULL, NULL, &on, sizeof(on));
    leat_sysctlbyname("leat.tls.sync_delay", NULL, NULL, &delay, sizeof(delay));
    listener = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (leat_bind(listener, (struct sockaddr *)&in, sizeof(in)) < 0 || leat_listen(listener, 16) < 0)
        abort();
}

static bool join(int *fd_a, int *fd_b)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(443)};
    in.sin_addr.s_addr = htonl(0x0a000002);
    sim_enter(a);
    *fd_a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_connect(*fd_a, (struct sockaddr *)&in, sizeof(in));
    sim_run_for(sim, NS_PER_MS);
    sim_enter(b);
    *fd_b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    return *fd_b >= 0;
}

static uint8_t next(struct input *in)
{
    if (in->left == 0)
        return 0;
    in->left--;
    return *in->p++;
}

/* A record with what follows in the input, under the key that is in use there; perhaps changed or cut afterwards. */
static void send_record(struct input *in, int fd, struct tls_session *tx, uint8_t how)
{
    static uint8_t record[TLS_RECORD_MAX], zeros[TLS_PAYLOAD_MAX];
    uint32_t n = next(in);
    uint8_t type = how & 8 ? next(in) : TLS_RLTYPE_APP;
    struct iovec src = {(void *)(uintptr_t)in->p, n};
    if (how & 0x80)
        src = (struct iovec){zeros, n * 64}; /* a large one: of padding, with type 0 */
    else if (n > in->left)
        src.iov_len = n = (uint32_t)in->left;
    struct tls_op op = {.s = tx,
                        .src = &src,
                        .n_src = 1,
                        .dst = record,
                        .seq = tx->seq++,
                        .len = (uint32_t)src.iov_len,
                        .type = type},
                  *ops[] = {&op};
    if (!(how & 0x80)) {
        in->p += n;
        in->left -= n;
    }
    tls_work(ops, 1);
    size_t len = tls_record_len(tx, op.len);
    if (how & 0x10)
        record[(next(in) * 3u) % len] ^= 1;
    if (how & 0x20)
        len -= next(in) % len;
    leat_send(fd, record, len, MSG_NOSIGNAL);
}

static void send_bytes(struct input *in, int fd)
{
    size_t n = next(in);
    n = n < in->left ? n : in->left;
    leat_send(fd, in->p, n, MSG_NOSIGNAL);
    in->p += n;
    in->left -= n;
}

static void receive(struct input *in, int fd)
{
    static uint8_t buf[20000];
    struct leat_zc pieces[3];
    uint8_t how = next(in), type;
    size_t most = how & 0x80 ? sizeof(buf) : 1 + (how & 0x3f);
    sim_enter(b);
    switch (how >> 5 & 3) {
    case 0:
        leat_recv(fd, buf, most, how & 1 ? MSG_PEEK : 0);
        break;
    case 1:
        leat_tls_recv(fd, buf, most, 0, &type);
        break;
    case 2:
        leat_recv(fd, buf, most, MSG_TRUNC);
        break;
    default: {
        int n = leat_zc_recv(fd, pieces, 3, most, 0);
        if (n > 0)
            leat_zc_return(pieces, n);
    }
    }
}

/* Both ends, or only one of them, get the next key. */
static void change_key(struct input *in, int fd, unsigned suite, struct tls_session **tx, uint8_t *number)
{
    static const struct siphash_key none;
    uint8_t how = next(in);
    struct tls_enable en = enable_of(suite, ++*number);
    if (how & 1) {
        tls_session_put(keys, *tx);
        if (tls_session_new(keys, &en, false, "openssl", &none, tx) < 0)
            abort();
    }
    sim_enter(b);
    if (how & 2)
        leat_setsockopt(fd, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en));
}

static void step(struct input *in, int fd_a, int fd_b, unsigned suite, struct tls_session **tx,
                 uint8_t *number)
{
    uint8_t what = next(in);
    sim_enter(a);
    switch (what & 7) {
    case 0:
    case 1:
    case 2:
        send_record(in, fd_a, *tx, what);
        break;
    case 3:
        send_bytes(in, fd_a);
        break;
    case 4:
        change_key(in, fd_b, suite, tx, number);
        break;
    case 5:
        if (what & 0x40)
            leat_shutdown(fd_a, SHUT_WR);
        break;
    default:
        receive(in, fd_b);
    }
    sim_run_for(sim, (what & 0x40 ? 1000 : 50) * NS_PER_US);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct siphash_key none;
    struct input in = {data, size};
    struct linger reset = {1, 0};
    struct tls_session *tx;
    uint8_t number = 1;
    int fd_a, fd_b;
    if (!sim)
        set_up();
    unsigned suite = next(&in) % (sizeof(suites) / sizeof(suites[0]));
    struct tls_enable en = enable_of(suite, number);
    if (!join(&fd_a, &fd_b) || tls_session_new(keys, &en, false, "openssl", &none, &tx) < 0)
        abort(); /* a leak */
    if (leat_setsockopt(fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)) < 0)
        abort();
    while (in.left > 0)
        step(&in, fd_a, fd_b, suite, &tx, &number);
    tls_session_put(keys, tx);
    sim_enter(a);
    leat_setsockopt(fd_a, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    leat_close(fd_a);
    sim_enter(b);
    leat_close(fd_b);
    sim_run_for(sim, 10 * NS_PER_MS);
    return 0;
}
