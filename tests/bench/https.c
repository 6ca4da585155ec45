// SPDX-License-Identifier: BSD-3-Clause
// A client that fetches one path over HTTPS again and again on connections that stay: over Leat or, with -DPEER_KERNEL, the kernel's sockets.
//   https [leat options -- EAL options --] ADDRESS PORT PATH CONNS SECONDS
// Prints replies and bytes of their bodies in the time measured, which begins a second after the start.
#include <arpa/inet.h>
#include <errno.h>
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

#define CHUNK 65536

struct conn {
    int fd;
    SSL *ssl;
    bool open;
    uint64_t left; /* bytes of the reply's body */
    char head[2048];
    int head_len;
};

static SSL_CTX *ctx;
static struct sockaddr_in to;
static char request[512], buf[CHUNK];
static int epfd;
static unsigned conns, seconds;
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

static void conn_open(struct conn *c)
{
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->fd = NET(socket)(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (c->fd < 0 || (NET(connect)(c->fd, (struct sockaddr *)&to, sizeof(to)) < 0 && errno != EINPROGRESS))
        die("connect");
    BIO *b = bio_of(c->fd);
    c->ssl = SSL_new(ctx);
    SSL_set_bio(c->ssl, b, b);
    SSL_set_connect_state(c->ssl);
    if (NET(epoll_ctl)(epfd, EPOLL_CTL_ADD, c->fd, &ev) < 0)
        die("epoll_ctl");
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
    c->head_len = 0;
    c->left = 0;
    if (SSL_write(c->ssl, request, len) != len)
        die("write");
}

/* The head may come in pieces; what follows it is body. Bytes of it that are body. */
static int take_head(struct conn *c, const char *at, int n)
{
    int some = n < (int)sizeof(c->head) - 1 - c->head_len ? n : (int)sizeof(c->head) - 1 - c->head_len,
        before = c->head_len;
    memcpy(c->head + c->head_len, at, (size_t)some);
    c->head[c->head_len += some] = '\0';
    const char *end = strstr(c->head, "\r\n\r\n"), *length = strcasestr(c->head, "content-length:");
    if (!end)
        return 0;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || !length)
        die("not a reply as expected");
    c->left = strtoull(length + 15, NULL, 10);
    return n - ((int)(end + 4 - c->head) - before);
}

static void take(struct conn *c, const char *at, int n)
{
    int body = c->left > 0 ? n : take_head(c, at, n);
    if (body <= 0 && c->left == 0)
        return;
    bytes += (uint64_t)body;
    c->left -= (uint64_t)body;
    if (c->left == 0) {
        replies++;
        ask(c);
    }
}

static bool run_once(struct conn *c)
{
    if (!c->open) {
        int got = SSL_do_handshake(c->ssl);
        if (got != 1)
            return again(c, got);
        c->open = true;
        ask(c);
    }
    int n = SSL_read(c->ssl, buf, sizeof(buf));
    if (n <= 0)
        return again(c, n);
    take(c, buf, n);
    return true;
}

static bool over(void)
{
    uint64_t now = clock_ns();
    if (!from.at && now - t_begin > 1000000000) {
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
    t_begin = clock_ns();
    for (unsigned i = 0; i < conns; i++)
        conn_open(calloc(1, sizeof(struct conn)));
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
    if (argc != 6) {
        fprintf(stderr, "usage: https ADDRESS PORT PATH CONNS SECONDS\n");
        return 2;
    }
    to = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: bench\r\n\r\n", argv[3]);
    conns = (unsigned)atoi(argv[4]);
    seconds = (unsigned)atoi(argv[5]);
    ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_ciphersuites(ctx, "TLS_AES_256_GCM_SHA384");
    SSL_CTX_set_read_ahead(ctx, 1);
#ifdef PEER_KERNEL
    start(NULL);
    for (;;)
        loop(NULL);
#else
    leat_on_start(start, NULL);
    return leat_run(loop, NULL) < 0;
#endif
}
