// SPDX-License-Identifier: BSD-3-Clause
// Both hosts make and open records by their stacks, in both directions at once, by seeds: any order of calls, keys that change, TLS that begins
// at any moment, ciphertext read ahead and put back, buffers of 4 KiB, slow readers, loss and reordering, slow and failing workers. What
// arrives is what was sent, byte for byte and record type by record type, or the connection has ended with an error; and no byte of the
// secret is ever seen on the wire.
#include "sim/chance.h"
#include "sim/switch.h"
#include "sim/tls/records.h"
#include <unistd.h>

#define TEXT_MAX (1u << 20)
#define CONTROLS 512

struct suite {
    int algorithm, auth, key_len, mac_len, iv_len;
    uint8_t vminor;
};
static const struct suite suites[] = {
    {CRYPTO_AES_NIST_GCM_16, 0, 16, 0, 12, 4},
    {CRYPTO_AES_NIST_GCM_16, 0, 32, 0, 12, 4},
    {CRYPTO_CHACHA20_POLY1305, 0, 32, 0, 12, 4},
    {CRYPTO_AES_CCM_16, 0, 16, 0, 12, 4},
    {CRYPTO_AES_NIST_GCM_16, 0, 16, 0, 4, 3},
    {CRYPTO_CHACHA20_POLY1305, 0, 32, 0, 12, 3},
    {CRYPTO_AES_CBC, CRYPTO_SHA2_256_HMAC, 32, 32, 0, 3},
    {CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20, 0, 2},
    {CRYPTO_AES_CBC, CRYPTO_SHA1_HMAC, 16, 20, 16, 1},
};
#define IS_13(l) ((l)->suite->vminor == 4)

struct control { /* a record that is no application data */
    size_t at;   /* it stands behind so many bytes of it */
    uint8_t type, len, data[64];
};

/* One direction. */
struct lane {
    struct pair *p;
    struct rng *r;
    struct sim_node *from, *to;
    int fd_from, fd_to, file;
    const struct suite *suite;
    unsigned tx_key, rx_key;
    bool tx_on, rx_on, stalled; /* stalled: a KeyUpdate was read, its key not yet set */
    size_t plain_sent, plain_got;
    size_t sent, got; /* application data */
    struct control controls[CONTROLS];
    unsigned c_sent, c_got;
    bool over, broken; /* the end was read; an error */
};

static uint8_t text[TEXT_MAX];
static uint64_t leaks;
static struct {
    uint64_t bytes, controls, keys, broken, whole;
} total;
static const uint8_t key_update[] = {24, 0, 0, 1, 0};

static bool look(void *arg, uint64_t n, const uint8_t *frame, uint32_t len)
{
    leaks += memmem(frame, len, "SECRET", 6) != NULL;
    return false;
}

static uint8_t chance(struct lane *l, uint32_t one_in)
{
    return rng_below(l->r, one_in) == 0;
}

/* ---- keys ---- */

struct key {
    uint8_t cipher[32], auth[64], iv[16];
};

static struct tls_enable enable_lane(const struct lane *l, unsigned number, struct key *k)
{
    const struct suite *s = l->suite;
    for (unsigned i = 0; i < sizeof(*k); i++)
        ((uint8_t *)k)[i] = (uint8_t)(i * 31 + number * 7 + (l->from == l->p->a));
    return (struct tls_enable){.cipher_key = k->cipher,
                               .iv = k->iv,
                               .auth_key = s->mac_len ? k->auth : NULL,
                               .cipher_algorithm = s->algorithm,
                               .cipher_key_len = s->key_len,
                               .iv_len = s->iv_len,
                               .auth_algorithm = s->auth,
                               .auth_key_len = s->mac_len,
                               .tls_vmajor = 3,
                               .tls_vminor = s->vminor};
}

static int set_tx_key(struct lane *l, unsigned number)
{
    struct key k;
    struct tls_enable en = enable_lane(l, number, &k);
    return leat_setsockopt(l->fd_from, IPPROTO_TCP, TCP_TXTLS_ENABLE, &en, sizeof(en));
}

/* ---- sending ---- */

static bool send_ok(struct lane *l, ssize_t n)
{
    if (n < 0 && errno != EAGAIN)
        l->broken = true;
    return n > 0;
}

static bool send_control(struct lane *l, uint8_t type, const uint8_t *data, uint8_t len)
{
    union {
        struct cmsghdr h;
        char space[CMSG_SPACE(1)];
    } u = {.h = {.cmsg_len = CMSG_LEN(1), .cmsg_level = IPPROTO_TCP, .cmsg_type = TLS_SET_RECORD_TYPE}};
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u, .msg_controllen = sizeof(u.space)};
    *CMSG_DATA(&u.h) = type;
    if (l->c_sent == CONTROLS)
        return false;
    ssize_t n = leat_sendmsg(l->fd_from, &msg, 0);
    if (!send_ok(l, n))
        return false;
    assert_int_equal(n, len); /* all or nothing */
    struct control *c = &l->controls[l->c_sent++];
    *c = (struct control){.at = l->sent, .type = type, .len = len};
    memcpy(c->data, data, len);
    return true;
}

static void some_control(struct lane *l)
{
    static const uint8_t types[] = {TLS_RLTYPE_ALERT, TLS_RLTYPE_HANDSHAKE, 24};
    uint8_t data[64] = {4, 0, 0, 0}, type = types[rng_below(l->r, IS_13(l) ? 3 : 2)];
    uint8_t len = (uint8_t)(4 + rng_below(l->r, 60));
    data[3] = (uint8_t)(len - 4); /* a whole handshake message */
    for (unsigned i = 4; i < len; i++)
        data[i] = (uint8_t)rng_below(l->r, 256);
    send_control(l, type, data, len);
}

static void change_key(struct lane *l)
{
    if (IS_13(l) && send_control(l, TLS_RLTYPE_HANDSHAKE, key_update, sizeof(key_update)))
        assert_int_equal(set_tx_key(l, ++l->tx_key), 0);
}

static void send_file(struct lane *l)
{
    off_t n = 0;
    size_t len = 1 + rng_below(l->r, 60000);
    if (l->sent + len > TEXT_MAX)
        return;
    if (leat_sendfile(l->file, l->fd_from, (off_t)l->sent, len, NULL, &n, 0) < 0 && errno != EAGAIN)
        l->broken = true;
    l->sent += (size_t)n;
}

static void send_data(struct lane *l)
{
    size_t len = 1 + rng_below(l->r, chance(l, 3) ? 40000 : 600);
    if (l->sent + len > TEXT_MAX)
        return;
    struct iovec iov[2] = {{text + l->sent, len / 3}, {text + l->sent + len / 3, len - len / 3}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = leat_sendmsg(l->fd_from, &msg, chance(l, 4) ? MSG_MORE : 0);
    if (send_ok(l, n))
        l->sent += (size_t)n;
}

static void begin_tx(struct lane *l)
{
    static const char hello[100] = "plain";
    errno = 0;
    ssize_t n = chance(l, 2) ? leat_send(l->fd_from, hello, 1 + rng_below(l->r, 99), 0) : 0;
    if (n > 0)
        l->plain_sent += (size_t)n;
    if (n < 0 && errno != EAGAIN)
        l->broken = true;
    else if (chance(l, 3) && set_tx_key(l, 0) == 0)
        l->tx_on = true;
    else if (!l->tx_on && errno == ECONNRESET)
        l->broken = true;
}

static void send_turn(struct lane *l)
{
    int cork = chance(l, 2);
    sim_enter(l->from);
    if (!l->tx_on) {
        begin_tx(l);
        return;
    }
    switch (rng_below(l->r, 12)) {
    case 0:
        some_control(l);
        break;
    case 1:
        change_key(l);
        break;
    case 2:
    case 3:
        send_file(l);
        break;
    case 4:
        leat_setsockopt(l->fd_from, IPPROTO_TCP, TCP_CORK, &cork, sizeof(cork));
        break;
    default:
        send_data(l);
    }
}

/* ---- receiving ---- */

/* Perhaps too far: the rest is put back, in one of two ways. */
static void begin_rx(struct lane *l)
{
    static uint8_t buf[3000];
    struct key k;
    struct tls_enable en = enable_lane(l, 0, &k);
    size_t plain = l->plain_sent - l->plain_got;
    size_t most = chance(l, 2) ? plain : 1 + rng_below(l->r, sizeof(buf));
    ssize_t n = most ? leat_read(l->fd_to, buf, most < sizeof(buf) ? most : sizeof(buf)) : 0;
    errno = 0;
    size_t got = n > 0 ? (size_t)n : 0, ahead = got > plain ? got - plain : 0;
    l->plain_got += got - ahead;
    if (l->tx_on && l->plain_got == l->plain_sent && chance(l, 2)) {
        l->rx_on = leat_tls_enable_rx(l->fd_to, &en, buf + got - ahead, ahead) == 0;
    } else if (ahead > 0 && leat_unread(l->fd_to, buf + got - ahead, ahead) == 0 && chance(l, 2)) {
        l->rx_on = leat_setsockopt(l->fd_to, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)) == 0;
    } else if (ahead == 0 || errno == 0) {
        return;
    }
    if (!l->rx_on) { /* only a connection that is over refuses */
        assert_int_equal(errno, ECONNRESET);
        l->broken = true;
    }
}

static void got_data(struct lane *l, const void *data, size_t n)
{
    assert_true(l->got + n <= l->sent);
    assert_memory_equal(data, text + l->got, n);
    l->got += n;
    if (l->c_got < l->c_sent)
        assert_true(l->got <= l->controls[l->c_got].at);
}

static void got_control(struct lane *l, uint8_t type, const uint8_t *data, size_t n)
{
    assert_true(l->c_got < l->c_sent);
    const struct control *c = &l->controls[l->c_got++];
    assert_int_equal(l->got, c->at);
    assert_int_equal(type, c->type);
    assert_int_equal(n, c->len);
    assert_memory_equal(data, c->data, n);
    l->stalled = type == TLS_RLTYPE_HANDSHAKE && n == sizeof(key_update) && memcmp(data, key_update, n) == 0;
}

static void got_error(struct lane *l)
{
    if (errno == EAGAIN || (errno == EKEYEXPIRED && l->stalled))
        return;
    assert_true(errno == ECONNRESET || errno == EIO || errno == ECONNABORTED || errno == EBADMSG);
    l->broken = true;
}

static void read_record(struct lane *l)
{
    static uint8_t buf[20000];
    uint8_t type = 0;
    ssize_t n =
        leat_tls_recv(l->fd_to, buf, chance(l, 2) ? sizeof(buf) : 64 + rng_below(l->r, 1000), 0, &type);
    if (n < 0)
        got_error(l);
    else if (type == TLS_RLTYPE_APP)
        got_data(l, buf, (size_t)n);
    else if (type)
        got_control(l, type, buf, (size_t)n);
    else
        l->over = true;
}

static void read_loan(struct lane *l)
{
    struct leat_zc pieces[4];
    int n = leat_zc_recv(l->fd_to, pieces, 4, 1 + rng_below(l->r, 30000), 0);
    for (int i = 0; i < n; i++)
        got_data(l, pieces[i].base, pieces[i].len);
    if (n > 0)
        leat_zc_return(pieces, n);
    else if (n < 0 && (errno == EIO || errno == ENXIO || errno == EPROTO))
        read_record(l);
    else if (n < 0)
        got_error(l);
    else
        l->over = true;
}

static void read_stream(struct lane *l)
{
    static uint8_t buf[60000];
    size_t most = 1 + rng_below(l->r, chance(l, 2) ? 300 : sizeof(buf) - 1);
    ssize_t n = chance(l, 8) ? leat_recv(l->fd_to, buf, most, MSG_PEEK) : 0;
    if (n > 0) { /* what is looked at is still there */
        assert_memory_equal(buf, text + l->got, (size_t)n);
        most = (size_t)n;
    }
    n = leat_recv(l->fd_to, buf, most, 0);
    if (n < 0 && (errno == EIO || errno == ENXIO || errno == EPROTO))
        read_record(l);
    else if (n < 0)
        got_error(l);
    else if (n == 0)
        l->over = true;
    else
        got_data(l, buf, (size_t)n);
}

static void set_rx_key(struct lane *l)
{
    struct key k;
    struct tls_enable en = enable_lane(l, l->rx_key + 1, &k);
    uint8_t byte;
    assert_int_equal(leat_recv(l->fd_to, &byte, 1, 0), -1);
    assert_int_equal(errno, EKEYEXPIRED);
    if (!chance(l, 3))
        return;
    assert_int_equal(leat_setsockopt(l->fd_to, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)), 0);
    l->rx_key++;
    l->stalled = false;
}

static void recv_turn(struct lane *l)
{
    sim_enter(l->to);
    if (!l->rx_on)
        begin_rx(l);
    else if (l->stalled)
        set_rx_key(l);
    else if (chance(l, 4))
        read_record(l);
    else if (chance(l, 4))
        read_loan(l);
    else
        read_stream(l);
}

/* ---- one seed ---- */

static void buffers(struct lane *l)
{
    int small = 4096;
    sim_enter(l->from);
    if (chance(l, 2))
        leat_setsockopt(l->fd_from, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    sim_enter(l->to);
    if (chance(l, 3))
        leat_setsockopt(l->fd_to, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
}

static void host_settings(struct sim_node *n, struct rng *r, bool failing)
{
    set_sysctl(n, "kern.ipc.tls.enable", 1);
    set_sysctl(n, "kern.ipc.tls.threads", rng_below(r, 3) > 0);
    set_sysctl(n, "leat.tls.sync_delay", rng_below(r, 3) * 400);
    set_sysctl(n, "leat.tls.sync_fail", failing ? 200 : 0);
    set_sysctl(n, "leat.filecache.sync_delay", rng_below(r, 3) * 1000);
    set_sysctl(n, "kern.ipc.tls.inline_max", rng_below(r, 2) * 1000);
    set_sysctl(n, "kern.ipc.tls.adaptive", rng_below(r, 2));
    set_sysctl(n, "kern.ipc.tls.maxlen", rng_below(r, 2) ? 16384 : 64 + rng_below(r, 4000));
    set_sysctl(n, "kern.ipc.tls.session_bytes", rng_below(r, 2) ? 262144 : 20000);
    set_sysctl(n, "kern.ipc.tls.engine_bytes", rng_below(r, 2) ? 8 << 20 : 30000);
}

static void wire_settings(struct sim_wire *w, struct rng *r)
{
    w->loss = rng_below(r, 3) ? 0 : 0.02;
    w->duplicate = rng_below(r, 4) ? 0 : 0.01;
    w->reorder = rng_below(r, 4) ? 0 : 0.05;
    w->reorder_ns = 3 * NS_PER_MS;
    w->lose = look;
}

static bool lane_over(const struct lane *l)
{
    return l->over || l->broken;
}

static void finish_sending(struct lane *l)
{
    sim_enter(l->from);
    while (!l->tx_on && !l->broken)
        begin_tx(l);
    leat_shutdown(l->fd_from, SHUT_WR);
}

/* Whole, or ended by an error where ciphers fail; what was read until then was right. (A socket's error is told once, to whoever asks
 * first: the other direction of the same socket may see an end only.) */
static void check_lanes(const struct lane *l, bool failing)
{
    if (failing)
        return;
    assert_false(l[0].broken || l[1].broken);
    for (unsigned k = 0; k < 2; k++) {
        assert_true(l[k].over);
        assert_int_equal(l[k].got, l[k].sent);
        assert_int_equal(l[k].c_got, l[k].c_sent);
    }
}

static struct switched switched;

/* LEAT_SWITCH=1: connections change their TCP stack now and then. */
static void maybe_switch(struct pair *p, struct lane *lanes)
{
    if (!getenv("LEAT_SWITCH"))
        return;
    switch_stacks(p->a, lanes->r, 5, &switched);
    switch_stacks(p->b, lanes->r, 5, &switched);
    assert_int_equal(switched.unexpected, 0);
}

static void run_lanes(struct pair *p, struct lane *lanes, struct rng *r, unsigned turns)
{
    for (unsigned i = 0; i < turns && !lanes[0].broken && !lanes[1].broken; i++) {
        maybe_switch(p, lanes);
        send_turn(&lanes[rng_below(r, 2)]);
        sim_run_for(p->sim, rng_below(r, 4) * NS_PER_MS);
        recv_turn(&lanes[rng_below(r, 2)]);
    }
}

static void drain(struct pair *p, struct lane *lanes)
{
    for (unsigned i = 0; i < 200000 && !(lane_over(&lanes[0]) && lane_over(&lanes[1])); i++) {
        for (unsigned k = 0; k < 2; k++) {
            if (!lane_over(&lanes[k]))
                recv_turn(&lanes[k]);
        }
        if (lanes[0].broken || lanes[1].broken)
            break; /* what is left of the other direction is not worth waiting for */
        if (i % 16 == 0) {
            maybe_switch(p, lanes);
            sim_run_for(p->sim, 5 * NS_PER_MS);
        }
    }
}

static void one_seed(uint64_t seed)
{
    struct rng r;
    struct sim_port_options port;
    rng_seed(&r, seed);
    port_by_chance(&r, &port);
    struct pair *p = pair_new(seed, &port);
    bool failing = rng_below(&r, 5) == 0, abrupt = rng_below(&r, 6) == 0;
    char name[] = "/tmp/leat_tls.XXXXXX";
    int fd_a, fd_b, file = mkstemp(name), listener = listen_b(p, 443, 5);
    unlink(name);
    assert_int_equal(write(file, text, TEXT_MAX), TEXT_MAX);
    host_settings(p->a, &r, failing);
    host_settings(p->b, &r, failing);
    wire_settings(sim_wire(p->link, p->a), &r);
    wire_settings(sim_wire(p->link, p->b), &r);
    struct sockaddr_in in = addr_of_b(443);
    sim_enter(p->a);
    fd_a = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    leat_connect(fd_a, (struct sockaddr *)&in, sizeof(in));
    for (fd_b = -1; fd_b < 0;) {
        sim_run_for(p->sim, 10 * NS_PER_MS);
        sim_enter(p->b);
        fd_b = leat_accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    }
    struct lane *lanes = calloc(2, sizeof(*lanes));
    const struct suite *suite = &suites[rng_below(&r, sizeof(suites) / sizeof(suites[0]))];
    lanes[0] = (struct lane){.p = p,
                             .r = &r,
                             .from = p->a,
                             .to = p->b,
                             .fd_from = fd_a,
                             .fd_to = fd_b,
                             .file = file,
                             .suite = suite};
    lanes[1] = (struct lane){.p = p,
                             .r = &r,
                             .from = p->b,
                             .to = p->a,
                             .fd_from = fd_b,
                             .fd_to = fd_a,
                             .file = file,
                             .suite = suite};
    buffers(&lanes[0]);
    buffers(&lanes[1]);
    run_lanes(p, lanes, &r, 100 + rng_below(&r, 400));
    if (!abrupt && !lanes[0].broken && !lanes[1].broken) {
        finish_sending(&lanes[0]);
        finish_sending(&lanes[1]);
        drain(p, lanes);
        check_lanes(lanes, failing);
    }
    assert_int_equal(leaks, 0);
    for (unsigned k = 0; k < 2; k++) {
        total.bytes += lanes[k].got;
        total.controls += lanes[k].c_got;
        total.keys += lanes[k].rx_key;
        total.broken += lanes[k].broken;
        total.whole += lanes[k].over && !lanes[k].broken;
    }
    assert_int_equal(
        counter(p->a, "net.inet.tcp.stats.rcvbadsum") + counter(p->b, "net.inet.tcp.stats.rcvbadsum"), 0);
    close(file);
    free(lanes);
    pair_free(p); /* nothing leaks, whatever is under way */
}

static void say_switched(void)
{
    if (getenv("LEAT_SWITCH"))
        switched_print(&switched);
}

static void test_torture_by_seeds(void **state)
{
    const char *n = getenv("LEAT_SEEDS"), *first = getenv("LEAT_SEED");
    uint64_t from = first ? strtoull(first, NULL, 0) : 1, count = n ? strtoull(n, NULL, 0) : 60;
    for (size_t i = 0; i < TEXT_MAX; i++)
        text[i] = i % 16 < 8 ? (uint8_t) "SECRET.."[i % 8] : (uint8_t)(i * 2654435761u >> 24);
    for (uint64_t seed = from; seed < from + count; seed++) {
        if (getenv("LEAT_VERBOSE"))
            print_message("seed %llu\n", (unsigned long long)seed);
        one_seed(seed);
    }
    print_message("%llu bytes, %llu records of other types, %llu new keys, %llu streams whole, %llu ended by "
                  "an error\n",
                  (unsigned long long)total.bytes, (unsigned long long)total.controls,
                  (unsigned long long)total.keys, (unsigned long long)total.whole,
                  (unsigned long long)total.broken);
    say_switched();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_torture_by_seeds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
