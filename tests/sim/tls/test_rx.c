// SPDX-License-Identifier: BSD-3-Clause
// What comes as records is read as plaintext: boundaries, types, ends, bad records, window, loans. New keys are in test_rx_keys.c.
#include "sim/tls/receiver.h"
#include <unistd.h>
#include "tcp/tcp.h"

static void test_records_become_a_stream(void **state)
{
    struct receiver *r = receiver_new(*state);
    int n = 0, mode = 9;
    socklen_t len = sizeof(mode);
    assert_int_equal(enable_rx(r, key_one), 0);
    for (unsigned i = 0; i < 20; i++)
        seal_text(r, 1 + i * 800);
    seal_text(r, 16384);
    push_what_fits(r);
    assert_int_equal(leat_ioctl(r->fd_b, FIONREAD, &n), 0);
    while (r->got_len < r->sealed) {
        ssize_t some = pull(r, 5000);
        push(r, SIZE_MAX);
        if (some < 0)
            sim_run_for(r->p->sim, NS_PER_MS);
    }
    got_all(r);
    assert_true(n > 30000);
    assert_int_equal(leat_getsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, TCP_TLS_MODE_SW);
    assert_int_equal(counter(r->p->b, "kern.ipc.tls.stats.rx_bytes"), r->sealed);
    assert_int_equal(counter(r->p->b, "kern.ipc.tls.stats.rx_records"), 21);
    read_fails(r, EAGAIN);
    receiver_free(r);
}

/* A record is readable when the last of its bytes is there and it has been opened, not before. */
static void test_ready_with_the_last_byte(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 40);
    while (r->wire_len > 0) {
        assert_int_equal(ready(r), 0);
        read_fails(r, EAGAIN);
        push(r, 1);
        sim_run_for(r->p->sim, 100 * NS_PER_MS);
    }
    assert_int_equal(ready(r), POLLIN);
    assert_int_equal(pull(r, 100), 40);
    assert_int_equal(ready(r), 0);
    got_all(r);
    receiver_free(r);
}

static void test_epoll_hears_of_opened_records_only(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET}, out;
    set_sysctl(r->p->b, "kern.ipc.tls.inline_max", 0);
    set_sysctl(r->p->b, "leat.tls.sync_delay", 5000);
    sim_enter(r->p->b);
    assert_int_equal(leat_sysctlbyname("leat.tls.worker", NULL, NULL, "sync", 5), 0);
    int ep = leat_epoll_create1(0);
    assert_int_equal(enable_rx(r, key_one), 0);
    assert_int_equal(leat_epoll_ctl(ep, EPOLL_CTL_ADD, r->fd_b, &ev), 0);
    seal_text(r, 1000);
    push(r, 500);
    sim_run_for(r->p->sim, 50 * NS_PER_MS);
    sim_enter(r->p->b);
    assert_int_equal(leat_epoll_wait(ep, &out, 1, 0), 0);
    push(r, SIZE_MAX);
    sim_run_for(r->p->sim, 50 * NS_PER_MS);
    sim_enter(r->p->b);
    assert_int_equal(leat_epoll_wait(ep, &out, 1, 0), 1);
    assert_int_equal(pull(r, 2000), 1000);
    leat_close(ep);
    receiver_free(r);
}

/* Plain read(2) gives application data only; another record stays until its type is asked for. */
static void test_other_types_have_errors_of_their_own(void **state)
{
    struct receiver *r = receiver_new(*state);
    static const struct {
        uint8_t type;
        int err;
    } cases[] = {{TLS_RLTYPE_HANDSHAKE, EIO}, {TLS_RLTYPE_ALERT, ENXIO}, {24, EPROTO}};
    uint8_t buf[100], type;
    int flags;
    assert_int_equal(enable_rx(r, key_one), 0);
    for (unsigned i = 0; i < 3; i++) {
        seal_text(r, 10);
        seal(r, cases[i].type, "\4\0\0\1x", 5);
        seal_text(r, 7);
        push_all(r);
        assert_int_equal(pull(r, 100), 10);
        read_fails(r, cases[i].err);
        read_fails(r, cases[i].err);
        assert_int_equal(ready(r), POLLIN);
        assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 5);
        assert_int_equal(type, cases[i].type);
        assert_int_equal(flags, MSG_EOR);
        assert_memory_equal(buf, "\4\0\0\1x", 5);
        assert_int_equal(pull(r, 100), 7);
    }
    got_all(r);
    receiver_free(r);
}

/* ktls(4): one record at most, the type with its first piece, MSG_EOR with its last. */
static void test_recvmsg_gives_one_record(void **state)
{
    struct receiver *r = receiver_new(*state);
    uint8_t type;
    int flags;
    char space[CMSG_SPACE(sizeof(struct tls_get_record))];
    struct iovec iov = {r->got, 1000};
    struct msghdr msg = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space)};
    struct tls_get_record get;
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 300);
    seal_text(r, 300);
    seal(r, TLS_RLTYPE_APP, "", 0);
    push_all(r);
    assert_int_equal(leat_recvmsg(r->fd_b, &msg, 0), 300);
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    assert_int_equal(c->cmsg_level, IPPROTO_TCP);
    assert_int_equal(c->cmsg_type, TLS_GET_RECORD);
    assert_int_equal(c->cmsg_len, CMSG_LEN(sizeof(get)));
    memcpy(&get, CMSG_DATA(c), sizeof(get));
    assert_int_equal(get.tls_type, TLS_RLTYPE_APP);
    assert_int_equal(get.tls_vmajor, 3);
    assert_int_equal(get.tls_vminor, 3);
    assert_int_equal(ntohs(get.tls_length), 300);
    assert_int_equal(recv_typed(r, r->got + 300, 100, &type, &flags), 100);
    assert_int_equal(type, TLS_RLTYPE_APP);
    assert_int_equal(flags, 0);
    assert_int_equal(recv_typed(r, r->got + 400, 1000, &type, &flags), 200);
    assert_int_equal(type, 0);
    assert_int_equal(flags, MSG_EOR);
    assert_int_equal(recv_typed(r, r->got + 600, 1000, &type, &flags), 0); /* an empty record is no end */
    assert_int_equal(type, TLS_RLTYPE_APP);
    assert_memory_equal(r->got, r->text, 600);
    assert_int_equal(recv_typed(r, r->got, 1000, &type, &flags), -1);
    assert_int_equal(errno, EAGAIN);
    receiver_free(r);
}

static void test_control_room_that_is_too_small(void **state)
{
    struct receiver *r = receiver_new(*state);
    char space[4];
    struct iovec iov = {r->got, 1000};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = 4};
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 30);
    seal(r, TLS_RLTYPE_ALERT, "\1\0", 2);
    push_all(r);
    assert_int_equal(leat_recvmsg(r->fd_b, &msg, 0), 30);
    assert_int_equal(msg.msg_flags, MSG_CTRUNC);
    msg.msg_controllen = 4;
    assert_int_equal(leat_recvmsg(r->fd_b, &msg, 0), -1);
    assert_int_equal(errno, ENXIO);
    receiver_free(r);
}

static void test_tls_recv_gives_type_and_data(void **state)
{
    struct receiver *r = receiver_new(*state);
    uint8_t type = 99;
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 10, 0, &type), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 30);
    seal(r, TLS_RLTYPE_ALERT, "\1\0", 2);
    push_all(r);
    sim_enter(r->p->a);
    leat_shutdown(r->fd_a, SHUT_WR);
    sim_run_for(r->p->sim, 10 * NS_PER_MS);
    sim_enter(r->p->b);
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 20, 0, &type), 20);
    assert_int_equal(type, TLS_RLTYPE_APP);
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 20, MSG_PEEK, &type), 10);
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 20, 0, &type), 10);
    assert_int_equal(type, TLS_RLTYPE_APP);
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 20, 0, &type), 2);
    assert_int_equal(type, TLS_RLTYPE_ALERT);
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 20, 0, &type), 0);
    assert_int_equal(type, 0);
    receiver_free(r);
}

/* ---- ends ---- */

static void finish(struct receiver *r)
{
    sim_enter(r->p->a);
    assert_int_equal(leat_shutdown(r->fd_a, SHUT_WR), 0);
    sim_run_for(r->p->sim, 20 * NS_PER_MS);
    sim_enter(r->p->b);
}

/* Truncation can be told (RFC 8446 §6.1): an end with close_notify is ENXIO first. */
static void test_close_notify_is_told_from_fin(void **state)
{
    struct receiver *r = receiver_new(*state);
    uint8_t buf[10], type;
    int flags;
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 10);
    seal(r, TLS_RLTYPE_ALERT, "\1\0", 2);
    push_all(r);
    finish(r);
    assert_int_equal(ready(r), POLLIN | POLLRDHUP);
    assert_int_equal(pull(r, 100), 10);
    read_fails(r, ENXIO);
    assert_int_equal(recv_typed(r, buf, sizeof(buf), &type, &flags), 2);
    assert_memory_equal(buf, "\1\0", 2);
    assert_int_equal(pull(r, 100), 0);
    receiver_free(r);
}

static void test_fin_without_close_notify_is_0(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 10);
    push_all(r);
    finish(r);
    assert_int_equal(pull(r, 100), 10);
    assert_int_equal(pull(r, 100), 0);
    receiver_free(r);
}

static void test_fin_inside_a_record_is_emsgsize(void **state)
{
    for (unsigned cut = 1; cut < 30; cut += 7) {
        struct pair *p = pair_new(1, NULL);
        struct receiver *r = receiver_new(p);
        assert_int_equal(enable_rx(r, key_one), 0);
        seal_text(r, 10);
        seal(r, TLS_RLTYPE_APP, r->text + 10, 10);
        r->wire_len -= cut;
        push_all(r);
        assert_int_equal(ready(r), POLLIN);
        finish(r);
        assert_int_equal(ready(r) & POLLIN, POLLIN);
        assert_int_equal(pull(r, 100), 10);
        read_fails(r, EMSGSIZE);
        read_fails(r, EMSGSIZE);
        receiver_free(r);
        pair_free(p);
    }
}

static void test_a_reset_is_econnreset(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct linger l = {1, 0};
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 10);
    seal(r, TLS_RLTYPE_APP, r->text + 10, 10);
    r->wire_len -= 3;
    push_all(r);
    sim_enter(r->p->a);
    leat_setsockopt(r->fd_a, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    leat_close(r->fd_a);
    sim_run_for(r->p->sim, 20 * NS_PER_MS);
    assert_int_equal(pull(r, 100), 10);
    read_fails(r, ECONNRESET);
    assert_int_equal(pull(r, 100), 0);
    receiver_free(r);
}

/* ---- bad records ---- */

/* What came before is read; nothing behind it is opened; the application may still send its alert. */
static void test_a_bad_mac_is_ebadmsg_for_good(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 100);
    seal(r, TLS_RLTYPE_APP, r->text, 50);
    r->wire[r->wire_len - 20] ^= 1;
    seal(r, TLS_RLTYPE_APP, r->text, 50);
    push_all(r);
    assert_int_equal(pull(r, 1000), 100);
    got_all(r);
    read_fails(r, EBADMSG);
    read_fails(r, EBADMSG);
    assert_int_equal(ready(r), POLLIN);
    assert_int_equal(counter(r->p->b, "kern.ipc.tls.stats.failed_crypto"), 1);
    sim_enter(r->p->b);
    assert_int_equal(leat_send(r->fd_b, "alert", 5, 0), 5);
    receiver_free(r);
}

/* Event 51 of the black box: plaintext, record number, error, type; flex8 = 1: received. */
static void test_the_black_box_tells_of_records(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct tcp_log_buffer b[8];
    assert_int_equal(enable_rx(r, key_one), 0);
    sim_enter(r->p->b);
    record_events(r->fd_b);
    seal_text(r, 100);
    seal(r, TLS_RLTYPE_ALERT, "ab", 2);
    seal(r, TLS_RLTYPE_APP, r->text, 50);
    r->wire[r->wire_len - 20] ^= 1;
    push_all(r);
    assert_int_equal(pull(r, 1000), 100);
    sim_enter(r->p->b);
    assert_int_equal(tls_events(r->fd_b, b, 8), 3);
    static const uint32_t len[] = {100, 2}, type[] = {TLS_RLTYPE_APP, TLS_RLTYPE_ALERT};
    for (unsigned i = 0; i < 3; i++) {
        const struct tcp_log_bbr *x = &b[i].tlb_stackinfo.u_bbr;
        assert_int_equal(x->flex2, i);
        assert_int_equal(x->flex8, 1);
        if (i < 2) {
            assert_int_equal(x->flex1, len[i]);
            assert_int_equal(x->flex7, type[i]);
        }
        assert_int_equal(x->flex3, i < 2 ? 0 : EBADMSG);
    }
    receiver_free(r);
}

static void test_a_replayed_record_is_ebadmsg(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 100);
    memcpy(r->wire + r->wire_len, r->wire, r->wire_len);
    r->wire_len *= 2;
    push_all(r);
    assert_int_equal(pull(r, 1000), 100);
    read_fails(r, EBADMSG);
    receiver_free(r);
}

static void test_a_wrong_key_is_ebadmsg(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_two), 0);
    seal_text(r, 100);
    push_all(r);
    read_fails(r, EBADMSG);
    receiver_free(r);
}

static void bad_header(uint8_t at, uint8_t value, int err)
{
    struct pair *p = pair_new(1, NULL);
    struct receiver *r = receiver_new(p);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 10);
    size_t second = r->wire_len;
    seal(r, TLS_RLTYPE_APP, r->text, 10);
    r->wire[second + at] = value;
    push_all(r);
    assert_int_equal(pull(r, 100), 10);
    read_fails(r, err);
    read_fails(r, err);
    assert_int_equal(counter(p->b, "kern.ipc.tls.stats.corrupted_records"), 1);
    sim_enter(p->a); /* FreeBSD drops the connection */
    assert_int_equal(leat_recv(r->fd_a, r->got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    receiver_free(r);
    pair_free(p);
}

static void test_headers_that_are_none(void **state)
{
    bad_header(0, TLS_RLTYPE_ALERT, EINVAL);
    bad_header(1, 2, EINVAL);
    bad_header(2, 4, EINVAL);
    bad_header(3, 0x41, EMSGSIZE); /* 16384 + 256 and more */
    bad_header(4, 3, EMSGSIZE);    /* shorter than type and tag */
}

/* RFC 8446 §5.4: padding up to the limit is taken off; §5.2: more than 2^14 of plaintext is too much. */
static void test_padding_and_too_much_plaintext(void **state)
{
    struct receiver *r = receiver_new(*state);
    static uint8_t padded[TLS_PAYLOAD_MAX + 1];
    assert_int_equal(enable_rx(r, key_one), 0);
    memcpy(padded, r->text, 100);
    padded[100] = TLS_RLTYPE_APP;
    seal(r, 0, padded, TLS_PAYLOAD_MAX);
    r->sealed = 100;
    push_all(r);
    assert_int_equal(pull(r, 1000), 100);
    got_all(r);
    seal(r, TLS_RLTYPE_APP, padded, TLS_PAYLOAD_MAX + 1);
    push_all(r);
    read_fails(r, EMSGSIZE);
    receiver_free(r);
}

/* ---- enabling ---- */

static void test_ciphertext_that_is_there_already(void **state)
{
    struct receiver *r = receiver_new(*state);
    uint8_t hello[5];
    memcpy(r->wire, "hello", 5);
    r->wire_len = 5;
    seal_text(r, 5000);
    seal_text(r, 100);
    push_all(r);
    assert_int_equal(leat_read(r->fd_b, hello, 5), 5);
    assert_memory_equal(hello, "hello", 5);
    assert_int_equal(enable_rx(r, key_one), 0);
    sim_run_for(r->p->sim, NS_PER_MS);
    assert_int_equal(pull(r, 10000), 5100);
    got_all(r);
    receiver_free(r);
}

/* A TLS library that has read ahead puts back what it has too much. */
static void test_ciphertext_pushed_back_by_the_enabling_call(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct tls_enable en = enable_of(key_one);
    static uint8_t ahead[4000];
    seal_text(r, 3000);
    seal_text(r, 3000);
    push_all(r);
    assert_int_equal(leat_read(r->fd_b, ahead, sizeof(ahead)), sizeof(ahead));
    assert_int_equal(leat_tls_enable_rx(r->fd_b, &en, ahead + 1, sizeof(ahead) - 1), -1);
    assert_int_equal(errno, EPROTO);
    assert_int_equal(leat_tls_enable_rx(r->fd_b, NULL, ahead, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(leat_tls_enable_rx(r->fd_b, &en, NULL, 1), -1);
    assert_int_equal(errno, EFAULT);
    assert_int_equal(leat_tls_enable_rx(r->fd_b, &en, ahead, 1 << 30), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(leat_tls_enable_rx(r->fd_b, &en, ahead, sizeof(ahead)), 0);
    sim_run_for(r->p->sim, NS_PER_MS);
    assert_int_equal(pull(r, 10000), 6000);
    got_all(r);
    receiver_free(r);
}

static void test_ciphertext_pushed_back_by_unread(void **state)
{
    struct receiver *r = receiver_new(*state);
    static uint8_t ahead[4000];
    seal_text(r, 3000);
    seal_text(r, 3000);
    push_all(r);
    assert_int_equal(leat_read(r->fd_b, ahead, sizeof(ahead)), sizeof(ahead));
    assert_int_equal(enable_rx(r, key_one), -1); /* the rest begins in the middle of a record */
    assert_int_equal(errno, EPROTO);
    assert_int_equal(leat_unread(r->fd_b, ahead + 1000, 3000), 0);
    assert_int_equal(leat_unread(r->fd_b, ahead, 1000), 0);
    assert_int_equal(leat_unread(r->fd_b, ahead, 1 << 30), -1);
    assert_int_equal(errno, EMSGSIZE);
    assert_int_equal(enable_rx(r, key_one), 0);
    assert_int_equal(leat_unread(r->fd_b, ahead, 1), -1);
    assert_int_equal(errno, EALREADY);
    sim_run_for(r->p->sim, NS_PER_MS);
    assert_int_equal(pull(r, 10000), 6000);
    got_all(r);
    receiver_free(r);
}

static void test_what_is_refused(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct tls_enable en = enable_of(key_one);
    int mode = TCP_TLS_MODE_SW;
    socklen_t len = sizeof(mode);
    sim_enter(r->p->b);
    assert_int_equal(leat_setsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, 55), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(leat_setsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_MODE, &mode, sizeof(mode)), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    assert_int_equal(leat_getsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_ENABLE, &mode, &len), -1);
    assert_int_equal(errno, ENOPROTOOPT);
    assert_int_equal(leat_getsockopt(r->fd_b, IPPROTO_TCP, TCP_RXTLS_MODE, &mode, &len), 0);
    assert_int_equal(mode, TCP_TLS_MODE_NONE);
    assert_int_equal(leat_setsockopt(r->listener, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)), -1);
    assert_int_equal(errno, EINVAL);
    int fresh = leat_socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(leat_setsockopt(fresh, IPPROTO_TCP, TCP_RXTLS_ENABLE, &en, sizeof(en)), -1);
    assert_int_equal(errno, ENOTCONN);
    assert_int_equal(leat_unread(fresh, "x", 1), -1);
    assert_int_equal(errno, ENOTCONN);
    leat_close(fresh);
    set_sysctl(r->p->b, "kern.ipc.tls.rx_enable", 0);
    assert_int_equal(enable_rx(r, key_one), -1);
    assert_int_equal(errno, EOPNOTSUPP);
    set_sysctl(r->p->b, "kern.ipc.tls.rx_enable", 1);
    assert_int_equal(enable_rx(r, key_one), 0);
    assert_int_equal(enable_rx(r, key_two), -1); /* no KeyUpdate has come */
    assert_int_equal(errno, EALREADY);
    receiver_free(r);
}

/* ---- reading in every way ---- */

static void test_peek_lowat_waitall_and_small_reads(void **state)
{
    struct receiver *r = receiver_new(*state);
    int low = 150;
    socklen_t len = sizeof(low);
    static uint8_t buf[1000];
    assert_int_equal(leat_setsockopt(r->fd_b, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)), 0);
    assert_int_equal(enable_rx(r, key_one), 0);
    low = 0;
    assert_int_equal(leat_getsockopt(r->fd_b, SOL_SOCKET, SO_RCVLOWAT, &low, &len), 0);
    assert_int_equal(low, 150);
    seal_text(r, 100);
    push_all(r);
    assert_int_equal(ready(r), 0); /* not 150 bytes yet */
    seal_text(r, 100);
    push_all(r);
    assert_int_equal(ready(r), POLLIN);
    assert_int_equal(leat_recv(r->fd_b, buf, sizeof(buf), MSG_PEEK), 200);
    assert_memory_equal(buf, r->text, 200);
    for (unsigned i = 0; i < 150; i++)
        assert_int_equal(pull(r, 1), 1);
    assert_int_equal(leat_recv(r->fd_b, buf, 20, MSG_TRUNC), 20);
    memcpy(r->got + r->got_len, r->text + r->got_len, 20);
    r->got_len += 20;
    assert_int_equal(pull(r, 1000), 30);
    got_all(r);
    low = 150;
    assert_int_equal(leat_setsockopt(r->fd_b, SOL_SOCKET, SO_RCVLOWAT, &low, sizeof(low)), 0);
    seal_text(r, 10);
    seal(r, TLS_RLTYPE_ALERT, "\1\0", 2);
    push_all(r);
    assert_int_equal(ready(r), POLLIN); /* an alert does not wait for more data */
    receiver_free(r);
}

static void test_lent_plaintext(void **state)
{
    struct receiver *r = receiver_new(*state);
    struct leat_zc pieces[8], later[2];
    size_t done = 0;
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 1000);
    seal_text(r, 2000);
    seal(r, TLS_RLTYPE_ALERT, "\1\0", 2);
    seal_text(r, 500);
    push_all(r);
    assert_int_equal(leat_zc_recv(r->fd_b, pieces, 1, 300, 0), 1);
    assert_int_equal(pieces[0].len, 300);
    assert_memory_equal(pieces[0].base, r->text, 300);
    int n = leat_zc_recv(r->fd_b, pieces + 1, 7, 100000, 0);
    assert_int_equal(n, 2);
    for (int i = 0; i < 3; i++) {
        assert_memory_equal(pieces[i].base, r->text + done, pieces[i].len);
        done += pieces[i].len;
    }
    assert_int_equal(done, 3000);
    assert_int_equal(leat_zc_recv(r->fd_b, later, 1, 1000, 0), -1);
    assert_int_equal(errno, ENXIO);
    leat_zc_return(pieces, 2);
    uint8_t type;
    assert_int_equal(leat_tls_recv(r->fd_b, r->got, 10, 0, &type), 2);
    assert_int_equal(leat_zc_recv(r->fd_b, later, 1, 100, 0), 1);
    leat_close(r->fd_b);
    assert_memory_equal(pieces[2].base, r->text + 1000, 2000);
    leat_zc_return(pieces + 2, 1);
    leat_zc_return(later, 1);
    receiver_free(r);
}

/* ---- window and memory ---- */

static uint64_t held(struct receiver *r)
{
    return sim_engine(r->p->b)->tcp->recv_bytes;
}

/* A reader that does not read shuts the window, and its buffers stay bounded, whatever the size of the records. */
static void slow_reader(uint32_t record, int rcvbuf)
{
    struct pair *p = pair_new(1, NULL);
    struct receiver *r = receiver_new(p);
    if (rcvbuf)
        assert_int_equal(leat_setsockopt(r->fd_b, SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf)), 0);
    assert_int_equal(enable_rx(r, key_one), 0);
    uint32_t hiwat = 0;
    socklen_t len = sizeof(hiwat);
    leat_getsockopt(r->fd_b, SOL_SOCKET, SO_RCVBUF, &hiwat, &len);
    assert_true(hiwat > TLS_RECORD_MAX);
    uint64_t pushed = 0;
    for (unsigned i = 0; i < 400; i++) {
        while (r->wire_len < 100000 && r->sealed + record < STREAM_MAX / 4)
            seal_text(r, record);
        pushed += push(r, SIZE_MAX);
        sim_run_for(p->sim, 5 * NS_PER_MS);
        assert_true(held(r) <= 4 * (uint64_t)hiwat + 100000);
    }
    assert_true(r->wire_len > 0);
    while (r->got_len < r->sealed) {
        if (pull(r, 1 + r->got_len % 3000) < 0)
            sim_run_for(p->sim, NS_PER_MS);
        push(r, SIZE_MAX);
    }
    got_all(r);
    assert_int_equal(held(r), 0);
    receiver_free(r);
    pair_free(p);
}

static void test_a_slow_reader_shuts_the_window(void **state)
{
    slow_reader(16384, 0);
    slow_reader(16384, 4096);
    slow_reader(1, 20000);
    slow_reader(100, 0);
}

/* ---- ends with records under way ---- */

static void ready_to_open(struct receiver *r)
{
    set_sysctl(r->p->b, "leat.tls.sync_delay", 20000);
    set_sysctl(r->p->b, "kern.ipc.tls.inline_max", 0);
    assert_int_equal(enable_rx(r, key_one), 0);
    for (unsigned i = 0; i < 5; i++)
        seal_text(r, 5000);
    push_all(r);
}

/* The pools' balances are checked by the fixture. Unread data resets the connection (RFC 2525 §2.17). */
static void test_closing_with_records_at_the_worker(void **state)
{
    struct receiver *r = receiver_new(*state);
    ready_to_open(r);
    assert_int_equal(leat_close(r->fd_b), 0);
    sim_run_for(r->p->sim, 20 * NS_PER_MS);
    sim_enter(r->p->a);
    assert_int_equal(leat_recv(r->fd_a, r->got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    connect_pair(r->p, r->listener, 443, &r->fd_a, &r->fd_b);
    struct tls_enable en = enable_of(key_one);
    receiver_key(r, &en);
    ready_to_open(r); /* and the whole host goes */
    receiver_free(r);
}

static void test_closing_with_unread_plaintext_resets(void **state)
{
    struct receiver *r = receiver_new(*state);
    assert_int_equal(enable_rx(r, key_one), 0);
    seal_text(r, 100);
    push_all(r);
    assert_int_equal(pull(r, 50), 50);
    assert_int_equal(leat_close(r->fd_b), 0);
    sim_run_for(r->p->sim, 20 * NS_PER_MS);
    sim_enter(r->p->a);
    assert_int_equal(leat_recv(r->fd_a, r->got, 1, 0), -1);
    assert_int_equal(errno, ECONNRESET);
    receiver_free(r);
}

static void test_the_end_waits_for_records_under_way(void **state)
{
    struct receiver *r = receiver_new(*state);
    ready_to_open(r);
    finish(r);
    while (pull(r, 7000) != 0) {
        sim_run_for(r->p->sim, NS_PER_MS);
        sim_enter(r->p->b);
    }
    got_all(r);
    receiver_free(r);
}

static void test_workers_that_are_threads(void **state)
{
    struct receiver *r = receiver_new(*state);
    sim_enter(r->p->b);
    assert_int_equal(leat_sysctlbyname("leat.tls.worker", NULL, NULL, "thread", 7), 0);
    set_sysctl(r->p->b, "kern.ipc.tls.threads", 2);
    set_sysctl(r->p->b, "kern.ipc.tls.inline_max", 100);
    assert_int_equal(enable_rx(r, key_one), 0);
    for (unsigned i = 0; r->got_len < 1000000; i++) {
        if (r->sealed < 1000000 && r->wire_len < 500000)
            seal_text(r, 1 + (i * 7919) % 16000);
        push(r, SIZE_MAX);
        sim_run_for(r->p->sim, 300 * NS_PER_US);
        usleep(20);
        pull(r, 1 + (i * 104729) % 40000);
    }
    while (r->got_len < r->sealed) {
        push(r, SIZE_MAX);
        sim_run_for(r->p->sim, NS_PER_MS);
        usleep(100);
        pull(r, 40000);
    }
    got_all(r);
    receiver_free(r);
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, pair_setup, pair_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_records_become_a_stream),
        TEST(test_the_black_box_tells_of_records),
        TEST(test_ready_with_the_last_byte),
        TEST(test_epoll_hears_of_opened_records_only),
        TEST(test_other_types_have_errors_of_their_own),
        TEST(test_recvmsg_gives_one_record),
        TEST(test_control_room_that_is_too_small),
        TEST(test_tls_recv_gives_type_and_data),
        TEST(test_close_notify_is_told_from_fin),
        TEST(test_fin_without_close_notify_is_0),
        cmocka_unit_test(test_fin_inside_a_record_is_emsgsize),
        TEST(test_a_reset_is_econnreset),
        TEST(test_a_bad_mac_is_ebadmsg_for_good),
        TEST(test_a_replayed_record_is_ebadmsg),
        TEST(test_a_wrong_key_is_ebadmsg),
        cmocka_unit_test(test_headers_that_are_none),
        TEST(test_padding_and_too_much_plaintext),
        TEST(test_ciphertext_that_is_there_already),
        TEST(test_ciphertext_pushed_back_by_the_enabling_call),
        TEST(test_ciphertext_pushed_back_by_unread),
        TEST(test_what_is_refused),
        TEST(test_peek_lowat_waitall_and_small_reads),
        TEST(test_lent_plaintext),
        cmocka_unit_test(test_a_slow_reader_shuts_the_window),
        TEST(test_closing_with_records_at_the_worker),
        TEST(test_closing_with_unread_plaintext_resets),
        TEST(test_the_end_waits_for_records_under_way),
        TEST(test_workers_that_are_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
