// SPDX-License-Identifier: BSD-3-Clause
// A client that fetches one path over HTTPS again and again on connections that stay: over Leat or, with -DPEER_KERNEL, the kernel's sockets.
//   https [leat options -- EAL options --] ADDRESS PORT PATH SHA256 CONNS SECONDS
// It costs less than a server, so that the server is what is measured: OpenSSL does the handshake, seals the requests, and opens the first
// reply of each connection, whose body must have the SHA-256. Of later replies the records' lengths are read and nothing else: their sum must
// be the first one's. The server cannot tell. Prints replies and bytes of their bodies in the time measured, which begins a second after the
// last connection has had its first reply. Begins when standard input has a byte.
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef PEER_KERNEL
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#define NET(name) name
#else
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/ssl.h>
#define NET(name) leat_##name
#endif

#define CHUNK       65536
#define RECORD_HEAD 5
#define RECORD_MORE 17 /* what AES-GCM of TLS 1.3 adds to the payload: type and tag. No server here pads */
#define RECORD_MOST (16384 + RECORD_MORE)
#define PIECES      64

enum state { HANDSHAKE, PROOF, COUNT };

struct conn {
    int fd;
    SSL *ssl;
    enum state state;
    uint64_t left, body; /* bytes of the reply that are to come; of its body in all */
    EVP_MD_CTX *digest;
    char head[2048];
    unsigned head_len, reply_head; /* PROOF: what came; bytes of the head alone */
    uint8_t record_head[RECORD_HEAD];
    unsigned record_head_len, record; /* bytes of the record's head that are there, bytes to come behind it */
};

static SSL_CTX *ctx;
static struct sockaddr_in to;
static char request[512];
static uint8_t buf[CHUNK], wanted[EVP_MAX_MD_SIZE];
static int epfd;
static unsigned conns, seconds, proved;
static uint64_t replies, bytes, t_begin;
static struct {
    uint64_t at, replies, bytes;
} from;

static void die(const char *what)
{
    fprintf(stderr, "https: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static BIO *bio_of(int fd)
{
#ifdef PEER_KERNEL
    return BIO_new_socket(fd, BIO_NOCLOSE);
#else
    return leat_bio_new(fd);
#endif
}

static struct conn *conn_open(void)
{
    struct conn *c = calloc(1, sizeof(*c));
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->fd = NET(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || (NET(connect)(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
        die("connect");
    BIO *b = bio_of(c->fd);
    c->ssl = SSL_new(ctx);
    SSL_set_bio(c->ssl, b, b);
    SSL_set_connect_state(c->ssl);
    c->digest = EVP_MD_CTX_new();
    EVP_DigestInit_ex(c->digest, EVP_sha256(), NULL);
    if (NET(epoll_ctl)(epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
    return c;
}

static bool again(struct conn *c, int n)
{
    int err = SSL_get_error(c->ssl, n);
    if (err != SSL_ERROR_WANT_READ && err != SSL_ERROR_WANT_WRITE)
        die("the server has closed or TLS failed");
    return false;
}

static void ask(struct conn *c)
{
    int len = (int)strlen(request);
    if (SSL_write(c->ssl, request, len) != len)
        die("write");
}

static void replied(struct conn *c)
{
    replies++;
    c->left = c->reply_head + c->body;
    ask(c);
}

/* ---- the first reply ---- */

/* The head may come in pieces; what follows it is body. Bytes of it that are body. */
static unsigned take_head(struct conn *c, const uint8_t *at, unsigned n)
{
    unsigned room = sizeof(c->head) - 1 - c->head_len, some = n < room ? n : room, before = c->head_len;
    memcpy(c->head + c->head_len, at, some);
    c->head[c->head_len += some] = '\0';
    const char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "content-length:");
    if (!end)
        return 0;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !length)
        die("not a reply as expected");
    c->reply_head = (unsigned)(end + 4 - c->head);
    c->left = c->body = strtoull(length + 15, NULL, 10);
    return n - (c->reply_head - before);
}

static void proof(struct conn *c, const uint8_t *at, unsigned n)
{
    uint8_t got[EVP_MAX_MD_SIZE];
    unsigned body = c->reply_head ? n : take_head(c, at, n), size = 0;
    EVP_DigestUpdate(c->digest, at + n - body, body);
    c->left -= body;
    if (!c->reply_head || c->left > 0)
        return;
    EVP_DigestFinal_ex(c->digest, got, &size);
    if (memcmp(got, wanted, size) != 0 || SSL_has_pending(c->ssl))
        die("the body is not the file");
    c->state = COUNT;
    if (++proved == conns)
        t_begin = clock_ns();
    replied(c);
}

/* ---- later ones ---- */

static void record_begin(struct conn *c)
{
    unsigned len = (unsigned)c->record_head[3] << 8 | c->record_head[4];
    if (c->record_head[0] != SSL3_RT_APPLICATION_DATA || len <= RECORD_MORE || len > RECORD_MOST ||
        len - RECORD_MORE > c->left)
        die("not the records of such a reply");
    c->record = len;
    c->left -= len - RECORD_MORE;
    bytes += len - RECORD_MORE;
}

static void record_some(struct conn *c, unsigned n)
{
    c->record -= n;
    if (c->record > 0)
        return;
    c->record_head_len = 0;
    if (c->left > 0)
        return;
    bytes -= c->reply_head;
    replied(c);
}

static void count(struct conn *c, const uint8_t *at, size_t n)
{
    while (n > 0) {
        size_t some;
        if (c->record > 0) {
            some = n < c->record ? n : c->record;
            record_some(c, (unsigned)some);
        } else {
            size_t room = RECORD_HEAD - c->record_head_len;
            some = n < room ? n : room;
            memcpy(c->record_head + c->record_head_len, at, some);
            c->record_head_len += (unsigned)some;
            if (c->record_head_len == RECORD_HEAD)
                record_begin(c);
        }
        at += some;
        n -= some;
    }
}

/* False: there is no more now. */
#ifdef PEER_KERNEL
/* The kernel drops the inside of large records (MSG_TRUNC); the rest is copied. */
static bool count_some(struct conn *c)
{
    bool drop = c->record >= 2048;
    size_t want = drop                    ? c->record
                  : c->left > sizeof(buf) ? c->record + RECORD_HEAD - c->record_head_len % RECORD_HEAD
                                          : sizeof(buf);
    ssize_t n = recv(c->fd, buf, want, drop ? MSG_TRUNC : 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        die("the server has closed");
    if (drop)
        record_some(c, (unsigned)n);
    else
        count(c, buf, (size_t)n);
    return true;
}
#else
static bool count_some(struct conn *c)
{
    struct leat_zc piece[PIECES];
    int n = leat_zc_recv(c->fd, piece, PIECES, SIZE_MAX, 0);
    if (n < 0 && errno == EAGAIN)
        return false;
    if (n <= 0)
        die("the server has closed");
    for (int i = 0; i < n; i++)
        count(c, piece[i].base, piece[i].len);
    leat_zc_return(piece, n);
    return true;
}
#endif

static bool run_once(struct conn *c)
{
    if (c->state == COUNT)
        return count_some(c);
    if (c->state == HANDSHAKE) {
        int got = SSL_do_handshake(c->ssl);
        if (got != 1)
            return again(c, got);
        c->state = PROOF;
        ask(c);
    }
    int n = SSL_read(c->ssl, buf, sizeof(buf));
    if (n <= 0)
        return again(c, n);
    proof(c, buf, (unsigned)n);
    return true;
}

static bool over(void)
{
    uint64_t now = clock_ns();
    if (!from.at && t_begin && now - t_begin > 1000000000) {
        from.at = now;
        from.replies = replies;
        from.bytes = bytes;
        printf("begin\n");
        fflush(stdout);
    }
    if (!from.at || now - from.at < (uint64_t)seconds * 1000000000)
        return false;
    double s = (double)(now - from.at) / 1e9;
    printf("%llu replies %llu bytes %.3f s\n", (unsigned long long)(replies - from.replies),
           (unsigned long long)(bytes - from.bytes), s);
    fflush(stdout);
    return true;
}

static int loop(void *arg)
{
    struct epoll_event ev[64];
    int n = NET(epoll_wait)(epfd, ev, 64, 0);
    for (int i = 0; i < n; i++)
        while (run_once(ev[i].data.ptr))
            ;
    if (over())
        _exit(0);
    return 0;
}

static int start(void *arg)
{
    epfd = NET(epoll_create1)(0);
    for (unsigned i = 0; i < conns; i++)
        conn_open();
    return 0;
}

int main(int argc, char **argv)
{
    int used = 0;
#ifndef PEER_KERNEL
    used = leat_init(argc, argv);
    if (used < 0)
        return 1;
#endif
    argc -= used;
    argv += used;
    long n = 0;
    uint8_t *sum = argc == 7 ? OPENSSL_hexstr2buf(argv[4], &n) : NULL;
    if (n != SHA256_DIGEST_LENGTH) {
        fprintf(stderr, "usage: https ADDRESS PORT PATH SHA256 CONNS SECONDS\n");
        return 2;
    }
    memcpy(wanted, sum, (size_t)n);
    OPENSSL_free(sum);
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", argv[3]);
    conns = (unsigned)atoi(argv[5]);
    seconds = (unsigned)atoi(argv[6]);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384");
    if (getchar() == EOF)
        return 1;
#ifdef PEER_KERNEL
    start(NULL);
    for (;;)
        loop(NULL);
#else
    leat_on_start(start, NULL);
    return leat_run(loop, NULL) < 0;
#endif
}
