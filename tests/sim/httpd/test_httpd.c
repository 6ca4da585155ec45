// SPDX-License-Identifier: BSD-3-Clause
// examples/httpd on one simulated host, asked by another in bytes: what HTTP/1.1 (RFC 9110, RFC 9112) wants, limits, and time-outs in
// virtual time.
#include "sim/fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
#include "httpd/httpd.h"

enum { BIG = 300000 };
static char root[] = "/tmp/leat_httpd.XXXXXX", big[BIG];
static struct options opt;
static struct server server;
static struct pair *p;
static char answer[BIG + 65536];
static size_t answer_len;
static bool ended; /* the server closed */

/* ---- the folder ---- */

static void file(const char *name, const char *bytes, size_t len, mode_t mode)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), len);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void remove_file(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(unlink(path), 0);
}

static void folder(const char *name)
{
    char path[512];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static int make_folder(void **state)
{
    char path[512];
    assert_non_null(mkdtemp(root));
    for (unsigned i = 0; i < BIG; i++)
        big[i] = (char)('a' + i % 23);
    folder("folder");
    folder("with index");
    file("hello.txt", "hello from leat\n", 16, 0644);
    file("empty", "", 0, 0644);
    file("big.bin", big, BIG, 0644);
    file("folder/a&b.txt", "x", 1, 0644);
    file("with index/index.html", "<p>index", 8, 0644);
    snprintf(path, sizeof(path), "%s/way-out", root);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof(path), "%s/pipe", root);
    assert_int_equal(mkfifo(path, 0644), 0);
    return 0;
}

static int remove_folder(void **state)
{
    char command[256];
    snprintf(command, sizeof(command), "rm -rf '%s'", root);
    return system(command); // NOLINT
}

/* ---- the server and its client ---- */

static int loop(void *arg)
{
    server_turn(&server);
    return 0;
}

static int begin(void **state)
{
    char log[64];
    snprintf(log, sizeof(log), "%s/.log", root);
    opt = (struct options){.root = root,
                           .index = "index.html",
                           .log_path = strdup(log),
                           .port = 80,
                           .listing = true,
                           .idle_s = 15,
                           .request_s = 10,
                           .send_s = 60,
                           .grace_s = 10,
                           .max_header = 8192,
                           .max_body = 100000,
                           .max_conns = 10,
                           .max_requests = 1000};
    unlink(log);
    server = (struct server){0};
    p = pair_new(7, NULL);
    sim_enter(p->b);
    assert_int_equal(server_open(&server, &opt), 0);
    return 0;
}

static int end(void **state)
{
    sim_enter(p->b);
    server_close(&server);
    sim_app(p->b, NULL, NULL);
    sim_run_for(p->sim, 100 * NS_PER_SEC);
    pair_free(p);
    free((char *)(uintptr_t)opt.log_path);
    return 0;
}

/* The server's time-outs need its turns also when nothing is on the wire. */
static void run(unsigned ms)
{
    for (unsigned i = 0; i < ms; i += 5) {
        sim_enter(p->b);
        sim_app(p->b, loop, NULL);
        sim_run_for(p->sim, 5 * NS_PER_MS);
    }
}

static int client(void)
{
    struct sockaddr_in in = addr_of_b(80);
    sim_enter(p->a);
    int fd = leat_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    assert_int_equal(leat_connect(fd, (struct sockaddr *)&in, sizeof(in)), -1);
    run(10);
    answer_len = 0;
    answer[0] = 0;
    ended = false;
    return fd;
}

static void say(int fd, const char *text)
{
    sim_enter(p->a);
    assert_int_equal(leat_write(fd, text, strlen(text)), strlen(text));
}

/* Adds what has come to answer[]. */
static void hear(int fd)
{
    ssize_t n;
    sim_enter(p->a);
    while ((n = leat_read(fd, answer + answer_len, sizeof(answer) - 1 - answer_len)) > 0)
        answer_len += (size_t)n;
    answer[answer_len] = 0;
    ended |= n == 0;
}

static void done_with(int fd)
{
    sim_enter(p->a);
    leat_close(fd);
    run(20);
}

/* One request on a connection of its own. */
static void ask(const char *request)
{
    int fd = client();
    say(fd, request);
    size_t before;
    do {
        before = answer_len;
        run(100);
        hear(fd);
    } while (answer_len != before);
    done_with(fd);
}

#define contains(text)                                                                                       \
    do {                                                                                                     \
        if (!strstr(answer, text))                                                                           \
            fail_msg("\"%s\" is not in:\n%.400s", text, answer);                                             \
    } while (0)

static int status(void)
{
    int code = 0;
    return sscanf(answer, "HTTP/1.1 %d ", &code) == 1 ? code : -1;
}

/* GET with further header lines. */
static int get(const char *target, const char *lines)
{
    static char request[65536];
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", target, lines);
    ask(request);
    return status();
}

static const char *body(void)
{
    const char *at = strstr(answer, "\r\n\r\n");
    return at ? at + 4 : "";
}

/* ---- tests ---- */

static void files_are_served_whole(void **state)
{
    assert_int_equal(get("/hello.txt", ""), 200);
    contains("Content-Type: text/plain; charset=utf-8\r\n");
    contains("Content-Length: 16\r\n");
    assert_string_equal(body(), "hello from leat\n");
    assert_int_equal(get("/big.bin", ""), 200);
    contains("Content-Type: application/octet-stream\r\n");
    assert_int_equal(answer + answer_len - body(), BIG);
    assert_memory_equal(body(), big, BIG);
    assert_int_equal(get("/empty", ""), 200);
    contains("Content-Length: 0\r\n");
    assert_int_equal(get("http://any.host/hello.txt", ""), 200); /* absolute form, RFC 9112 §3.2.2 */
    assert_int_equal(get("/hello.txt?query", ""), 200);
    assert_int_equal(get("/he%6clo.txt", ""), 200);
    ask("HEAD /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(status(), 200);
    contains("Content-Length: 300000\r\n");
    assert_string_equal(body(), "");
}

/* --trust: for so long a file is what it was when it was opened, then what stands at its path; a folder always is what it is. */
static void files_are_believed_for_a_while(void **state)
{
    sim_enter(p->b);
    server_close(&server);
    opt.trust_ms = 2000;
    server = (struct server){0};
    assert_int_equal(server_open(&server, &opt), 0);
    file("changing.txt", "before\n", 7, 0644);
    file("going.bin", big, BIG, 0644);
    assert_int_equal(get("/changing.txt", ""), 200);
    assert_int_equal(get("/going.bin", ""), 200);
    file("changing.txt", "afterwards\n", 11, 0644);
    remove_file("going.bin");
    assert_int_equal(get("/changing.txt", ""), 200);
    assert_string_equal(body(), "before\n");
    contains("Content-Length: 7\r\n");
    assert_int_equal(get("/changing.txt", "Range: bytes=2-4\r\n"), 206);
    assert_string_equal(body(), "for");
    assert_int_equal(get("/going.bin", ""), 200);
    assert_memory_equal(body(), big, BIG);
    run(2100);
    assert_int_equal(get("/changing.txt", ""), 200);
    assert_string_equal(body(), "afterwards\n");
    ask("HEAD /changing.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    contains("Content-Length: 11\r\n");
    assert_string_equal(body(), "");
    assert_int_equal(get("/going.bin", ""), 404);
    remove_file("changing.txt");
}

static void folders_have_an_index_or_a_listing(void **state)
{
    assert_int_equal(get("/with%20index/", ""), 200);
    assert_string_equal(body(), "<p>index");
    assert_int_equal(get("/folder/", ""), 200);
    contains("<a href=\"a%26b.txt\">a&amp;b.txt</a>");
    assert_int_equal(get("/", ""), 200);
    contains("<a href=\"with%20index/\">");
    assert_null(strstr(answer, ".log")); /* hidden files are not listed */
    opt.listing = false;
    assert_int_equal(get("/folder/", ""), 403);
    assert_int_equal(get("/with%20index/", ""), 200);
}

/* A folder without its slash; the way there is never another server's, whatever the request looked like. */
static void redirects_stay_on_this_server(void **state)
{
    assert_int_equal(get("/folder?a=b", ""), 301);
    contains("Location: /folder/?a=b\r\n");
    assert_int_equal(get("//other.host/..//folder", ""), 301);
    contains("Location: /folder/\r\n");
    assert_int_equal(get("/with%20index", ""), 301);
    contains("Location: /with%20index/\r\n");
    assert_int_equal(get("http://other.host/folder", ""), 301);
    contains("Location: /folder/\r\n");
}

static void no_way_out_of_the_root(void **state)
{
    assert_int_equal(get("/../etc/passwd", ""), 400);
    assert_int_equal(get("/folder/../../etc/passwd", ""), 400);
    assert_int_equal(get("/%2e%2e/etc/passwd", ""), 400);
    assert_int_equal(get("/..%2fetc/passwd", ""), 400);
    assert_int_equal(get("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", ""), 400);
    assert_int_equal(get("/folder/../hello.txt", ""), 200);
    assert_int_equal(get("/way-out", ""), 403);
    assert_int_equal(get("/pipe", ""), 403);
    assert_int_equal(get("/hello.txt%00.html", ""), 400);
    assert_int_equal(get("/hello.txt%0d%0aX:", ""), 400);
    assert_int_equal(get("/%zz", ""), 400);
}

static void what_is_not_there(void **state)
{
    assert_int_equal(get("/nothing", ""), 404);
    assert_int_equal(get("/hello.txt/", ""), 404);
    assert_int_equal(get("/hello.txt/more", ""), 404);
}

static void rfc9110_14_ranges(void **state)
{
    static const struct {
        const char *range;
        int status;
        const char *body, *content_range;
    } t[] = {
        {"bytes=6-9", 206, "from", "bytes 6-9/16"},
        {"bytes=0-0", 206, "h", "bytes 0-0/16"},
        {"bytes=-5", 206, "leat\n", "bytes 11-15/16"},
        {"bytes=-100", 206, "hello from leat\n", "bytes 0-15/16"},
        {"bytes=11-", 206, "leat\n", "bytes 11-15/16"},
        {"bytes=11-99", 206, "leat\n", "bytes 11-15/16"},
        {"bytes=16-", 416, "", "bytes */16"},
        {"bytes=-0", 416, "", "bytes */16"},
        {"bytes=9-6", 200, "hello from leat\n", NULL},     /* not valid: ignored */
        {"bytes=0-1,3-4", 200, "hello from leat\n", NULL}, /* several: the whole */
        {"lines=1-2", 200, "hello from leat\n", NULL},     /* another unit */
        {"bytes=99999999999999999999-", 200, "hello from leat\n", NULL},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        char lines[128];
        snprintf(lines, sizeof(lines), "Range: %s\r\n", t[i].range);
        assert_int_equal(get("/hello.txt", lines), t[i].status);
        assert_string_equal(body(), t[i].body);
        if (t[i].content_range) {
            snprintf(lines, sizeof(lines), "Content-Range: %s\r\n", t[i].content_range);
            contains(lines);
        }
    }
}

static void header_of_answer(const char *name, char *value, size_t size)
{
    const char *at = strstr(answer, name);
    assert_non_null(at);
    at += strlen(name) + 2;
    snprintf(value, size, "%.*s", (int)strcspn(at, "\r"), at);
}

static void rfc9110_13_conditions(void **state)
{
    char etag[64], date[64], lines[512];
    get("/hello.txt", "");
    header_of_answer("ETag", etag, sizeof(etag));
    header_of_answer("Last-Modified", date, sizeof(date));
    const struct {
        const char *format, *value;
        int status;
    } t[] = {
        {"If-None-Match: %s\r\n", etag, 304},
        {"If-None-Match: W/%s\r\n", etag, 304},
        {"If-None-Match: \"a\", %s\r\n", etag, 304},
        {"If-None-Match: \"a\"\r\nIf-None-Match: %s\r\n", etag, 304}, /* two lines, one list */
        {"If-None-Match: \"a\"%.0s\r\n", etag, 200},
        {"If-None-Match: *%.0s\r\n", etag, 304},
        {"If-Modified-Since: %s\r\n", date, 304},
        {"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT%.0s\r\n", date, 200},
        {"If-Modified-Since: never%.0s\r\n", date, 200},
        {"If-None-Match: \"a\"\r\nIf-Modified-Since: %s\r\n", date, 200}, /* §13.2.2: the tag decides */
        {"If-Match: %s\r\n", etag, 200},
        {"If-Match: \"a\"%.0s\r\n", etag, 412},
        {"If-Match: W/%s\r\n", etag, 412},
        {"If-Unmodified-Since: %s\r\n", date, 200},
        {"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT%.0s\r\n", date, 412},
        {"Range: bytes=0-3\r\nIf-Range: %s\r\n", etag, 206},
        {"Range: bytes=0-3\r\nIf-Range: \"a\"%.0s\r\n", etag, 200},
        {"Range: bytes=0-3\r\nIf-Range: %s\r\n", date, 206},
    };
    for (unsigned i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        snprintf(lines, sizeof(lines), t[i].format, t[i].value); // NOLINT
        if (get("/hello.txt", lines) != t[i].status)
            fail_msg("%s: %d instead of %d", lines, status(), t[i].status);
    }
}

static void requests_that_are_refused(void **state)
{
    static char text[10000];
    ask("nonsense\r\n\r\n");
    assert_true(status() == 400 || status() == 501);
    ask("GET /hello.txt HTTP/1.1\r\n\r\n"); /* no Host */
    assert_int_equal(status(), 400);
    ask("GET /hello.txt HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert_int_equal(status(), 400);
    ask("GET /hello.txt HTTP/1.1\r\nHost:\r\n\r\n"); /* empty is allowed: RFC 9112 §3.2 */
    assert_int_equal(status(), 200);
    ask("GET hello.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(status(), 400);
    ask("GET /hello.txt HTTP/2.0\r\nHost: x\r\n\r\n");
    assert_int_equal(status(), 505);
    ask("DELETE /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(status(), 405);
    contains("Allow: GET, HEAD\r\n");
    ask("BREW /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(status(), 501);
    /* RFC 9112 §6.1: a coding that is not known; §6.3: two lengths are none. */
    ask("GET /hello.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n");
    assert_int_equal(status(), 501);
    ask("GET /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: "
        "chunked\r\n\r\n0\r\n\r\n");
    assert_int_equal(status(), 400);
    ask("POST /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n");
    assert_int_equal(status(), 413);
    contains("Connection: close\r\n");
    memset(text, 'a', sizeof(text));
    text[5000] = 0;
    text[0] = '/';
    assert_int_equal(get(text, ""), 414);
    memset(text, 'a', sizeof(text));
    memcpy(text, "X: ", 3);
    memcpy(text + 9000, "\r\n", 3);
    assert_int_equal(get("/hello.txt", text), 431);
}

static void bodies_are_read_and_thrown_away(void **state)
{
    ask("GET /hello.txt HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcdeGET /empty HTTP/1.1\r\nHost: "
        "x\r\n\r\n");
    assert_int_equal(status(), 200);
    assert_non_null(strstr(body(), "hello from leat\nHTTP/1.1 200 OK"));
    /* Chunked, with a trailer that means nothing. */
    ask("GET /hello.txt HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nRange: "
        "bytes=0-0\r\nHost: y\r\n\r\n");
    assert_int_equal(status(), 200);
    assert_string_equal(body(), "hello from leat\n");
}

static void rfc9110_1011_expectations(void **state)
{
    int fd = client();
    say(fd, "GET /hello.txt HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    run(50);
    hear(fd);
    assert_string_equal(answer, "HTTP/1.1 100 Continue\r\n\r\n");
    answer_len = 0;
    say(fd, "abc");
    run(50);
    hear(fd);
    assert_int_equal(status(), 200);
    done_with(fd);
    ask("PUT /new HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    assert_int_equal(status(), 405);
    contains("Connection: close\r\n");
    assert_int_equal(get("/hello.txt", "Expect: a miracle\r\n"), 417);
}

static void rfc9112_93_connections_stay_or_close(void **state)
{
    int fd = client();
    say(fd, "GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n");
    run(50);
    say(fd, "GET /empty HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    run(50);
    hear(fd);
    contains("Connection: keep-alive\r\n");
    assert_false(ended);
    say(fd, "GET /empty HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    run(50);
    hear(fd);
    contains("Connection: close\r\n");
    assert_true(ended);
    done_with(fd);
    fd = client();
    say(fd, "GET /empty HTTP/1.0\r\n\r\n");
    run(50);
    hear(fd);
    assert_int_equal(status(), 200);
    assert_true(ended);
    done_with(fd);
    opt.max_requests = 2;
    fd = client();
    say(fd, "GET /empty HTTP/1.1\r\nHost: x\r\n\r\nGET /empty HTTP/1.1\r\nHost: x\r\n\r\n");
    run(50);
    hear(fd);
    assert_true(ended);
    done_with(fd);
}

static void rfc9112_932_pipelined_requests_are_answered_in_order(void **state)
{
    static char request[8192];
    int fd = client();
    size_t len = 0;
    for (int i = 0; i < 50; i++)
        len += (size_t)snprintf(request + len, sizeof(request) - len, "GET /%s HTTP/1.1\r\nHost: x\r\n%s\r\n",
                                i % 2 ? "nothing" : "hello.txt", i == 49 ? "Connection: close\r\n" : "");
    for (size_t i = 0; i < len; i += 777) { /* in pieces that end anywhere */
        sim_enter(p->a);
        size_t n = len - i < 777 ? len - i : 777;
        assert_int_equal(leat_write(fd, request + i, n), n);
        run(5);
    }
    run(100);
    hear(fd);
    assert_true(ended);
    const char *at = answer;
    for (int i = 0; i < 50; i++) {
        at = strstr(at, "HTTP/1.1 ");
        assert_non_null(at);
        assert_int_equal(atoi(at + 9), i % 2 ? 404 : 200);
        at++;
    }
    assert_null(strstr(at, "HTTP/1.1 "));
    done_with(fd);
}

/* The client has half closed: it still gets its answer (RFC 9112 §9.6). */
static void a_half_closed_client_is_answered(void **state)
{
    int fd = client();
    say(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    leat_shutdown(fd, SHUT_WR);
    for (int i = 0; i < 20; i++) {
        run(50);
        hear(fd);
    }
    assert_int_equal(answer + answer_len - body(), BIG);
    assert_true(ended);
    done_with(fd);
}

static void time_outs(void **state)
{
    /* Nothing is asked: closed without a word. */
    int fd = client();
    run(14000);
    hear(fd);
    assert_false(ended);
    run(2000);
    hear(fd);
    assert_true(ended);
    assert_int_equal(answer_len, 0);
    done_with(fd);
    /* A request that drips in byte by byte: 408 (RFC 9110 §15.5.9). */
    fd = client();
    static const char slow[] = "GET /hello.txt HTTP/1.1\r\nHost: x\r\n";
    for (unsigned i = 0; i < 11; i++) {
        char byte[2] = {slow[i], 0};
        say(fd, byte);
        run(1000);
    }
    hear(fd);
    assert_int_equal(status(), 408);
    assert_true(ended);
    done_with(fd);
    /* A client that does not read: reset when the time for sending is over. */
    int small = 2048;
    fd = client();
    sim_enter(p->a);
    leat_setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    say(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\nGET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int i = 0; i < 10; i++)
        say(fd, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    run(70000);
    assert_int_equal(server.n_conns, 0);
    sim_enter(p->a);
    while (leat_read(fd, answer, sizeof(answer)) > 0)
        ;
    assert_int_equal(errno, ECONNRESET);
    done_with(fd);
}

static void connections_are_limited(void **state)
{
    int fd[12];
    for (int i = 0; i < 12; i++)
        fd[i] = client();
    assert_int_equal(server.n_conns, 10);
    hear(fd[11]);
    assert_true(ended);
    for (int i = 0; i < 12; i++)
        done_with(fd[i]);
    assert_int_equal(get("/hello.txt", ""), 200);
}

/* SIGTERM: idle connections end, a response on its way is finished, nobody new comes in. */
static void draining(void **state)
{
    int idle = client(), busy = client();
    sim_wire(p->link, p->b)->rate_bps = 1000000;
    say(busy, "GET /big.bin HTTP/1.1\r\nHost: x\r\n\r\n");
    run(200);
    sim_enter(p->b);
    server_drain(&server);
    run(1000); /* the wire is busy */
    hear(idle);
    assert_true(ended);
    assert_false(server_drained(&server));
    answer_len = 0;
    for (int i = 0; i < 40; i++) {
        run(100);
        hear(busy);
    }
    assert_int_equal(answer + answer_len - body(), BIG);
    assert_memory_equal(body(), big, BIG);
    run(5000); /* what the peer might still have said */
    sim_enter(p->b);
    assert_true(server_drained(&server));
    int late = client();
    sim_enter(p->a);
    assert_int_equal(leat_read(late, answer, 1), -1);
    assert_int_equal(errno, ECONNREFUSED);
    done_with(late);
    done_with(busy);
    done_with(idle);
}

/* Combined format; what a client sends cannot forge a line. */
static void the_access_log(void **state)
{
    static char log[8192];
    get("/hello.txt", "User-Agent: curl\"\\\r\nReferer: http://x/\r\n");
    get("/nothing", "");
    ask("BREW /\r\n\r\n");
    run(500);
    int fd = open(opt.log_path, O_RDONLY);
    ssize_t n = read(fd, log, sizeof(log) - 1);
    close(fd);
    assert_true(n > 0);
    log[n] = 0;
    assert_int_equal(strncmp(log, "10.0.0.1 - - [", 14), 0);
    assert_non_null(strstr(log, "] \"GET /hello.txt HTTP/1.1\" 200 16 \"http://x/\" \"curl\\x22\\x5C\"\n"));
    assert_non_null(strstr(log, "] \"GET /nothing HTTP/1.1\" 404 "));
    assert_non_null(strstr(log, "\" 501 "));
}

#define T(NAME) cmocka_unit_test_setup_teardown(NAME, begin, end)
int main(void)
{
    const struct CMUnitTest tests[] = {
        T(files_are_served_whole),
        T(files_are_believed_for_a_while),
        T(folders_have_an_index_or_a_listing),
        T(redirects_stay_on_this_server),
        T(no_way_out_of_the_root),
        T(what_is_not_there),
        T(rfc9110_14_ranges),
        T(rfc9110_13_conditions),
        T(requests_that_are_refused),
        T(bodies_are_read_and_thrown_away),
        T(rfc9110_1011_expectations),
        T(rfc9112_93_connections_stay_or_close),
        T(rfc9112_932_pipelined_requests_are_answered_in_order),
        T(a_half_closed_client_is_answered),
        T(time_outs),
        T(connections_are_limited),
        T(draining),
        T(the_access_log),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
