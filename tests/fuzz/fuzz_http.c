// SPDX-License-Identifier: BSD-3-Clause
// HTTP requests of any content into examples/httpd, cut into reads as the input says. The stack's calls are replaced by ones that read
// from the input and count what is sent.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "httpd/httpd.h"

static const uint8_t *input;
static size_t input_len;
static uint64_t now = 1;
static bool conn_open_now;

uint64_t leat_now(void)
{
    return now;
}
int leat_close(int fd)
{
    conn_open_now = false;
    return 0;
}
int leat_ioctl(int fd, unsigned long request, ...)
{
    return -1;
}
int leat_setsockopt(int fd, int level, int name, const void *val, socklen_t len)
{
    return 0;
}
int leat_shutdown(int fd, int how)
{
    return 0;
}
int leat_epoll_ctl(int epfd, int op, int fd, struct epoll_event *event)
{
    return 0;
}
/* A first byte of n: the next n % 128 + 1 bytes come at once; every 7th read has nothing yet. */
ssize_t leat_read(int fd, void *buf, size_t len)
{
    if (input_len < 2)
        return 0;
    size_t n = (size_t)(*input & 0x80 ? 4096 : *input % 128 + 1);
    bool wait = *input % 7 == 6;
    input++;
    input_len--;
    if (wait) {
        errno = EAGAIN;
        return -1;
    }
    n = n < input_len ? n : input_len;
    n = n < len ? n : len;
    memcpy(buf, input, n);
    input += n;
    input_len -= n;
    return (ssize_t)n;
}
ssize_t leat_send(int fd, const void *buf, size_t len, int flags)
{
    volatile uint8_t sum = 0; /* touches every byte: a bad length shows under AddressSanitizer */
    for (size_t i = 0; i < len; i++)
        sum ^= ((const uint8_t *)buf)[i];
    (void)sum;
    return (ssize_t)len;
}
int leat_sendfile(int file, int fd, off_t offset, size_t nbytes, const struct leat_sf_hdtr *hdtr,
                  off_t *sbytes, int flags)
{
    struct stat st;
    if (fstat(file, &st) < 0 || offset < 0 || offset + (off_t)nbytes > st.st_size)
        abort(); /* a range beyond the file */
    *sbytes = (off_t)nbytes;
    return 0;
}

/* server.c is not part of this: only what conn.c takes from it. */
static struct options options = {
    .index = "index.html",
    .listing = true,
    .idle_s = 15,
    .request_s = 10,
    .send_s = 60,
    .max_header = 8192,
    .max_body = 4096,
    .max_conns = 1,
    .max_requests = 100,
};
static struct server server;
static char root_name[] = "/tmp/fuzz_http.XXXXXX";

static void put_file(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

static void clean_up(void)
{
    unlinkat(server.root, "file.txt", 0);
    unlinkat(server.root, "sub/x", 0);
    unlinkat(server.root, "sub", AT_REMOVEDIR);
    rmdir(root_name);
}

static void set_up(void)
{
    if (!mkdtemp(root_name))
        abort();
    server.opt = &options;
    server.root = open(root_name, O_RDONLY | O_DIRECTORY);
    if (server.root < 0 || mkdirat(server.root, "sub", 0700) < 0)
        abort();
    put_file(server.root, "file.txt", "0123456789");
    put_file(server.root, "sub/x", "<p>");
    TAILQ_INIT(&server.conns);
    atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    if (!server.opt)
        set_up();
    input = data;
    input_len = size;
    conn_open_now = true;
    conn_open(&server, 3, (struct sockaddr *)&addr);
    for (int i = 0; conn_open_now && i < 10000; i++) {
        now += NS_PER_SECOND / 100;
        conn_run(TAILQ_FIRST(&server.conns));
    }
    if (conn_open_now)
        conn_timeout(TAILQ_FIRST(&server.conns));
    if (conn_open_now)
        conn_close(TAILQ_FIRST(&server.conns));
    return 0;
}
