// SPDX-License-Identifier: BSD-3-Clause
// A static file server on Leat. One struct server per engine; a connection is a struct conn: it parses a request, builds the response,
// sends it, and goes round.
#pragma once
#include <errno.h>
#include <http_parser.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <time.h>
#include <leat/event.h>
#include <leat/leat.h>
#include <leat/tcp.h>

#define URI_MAX       4096
#define IN_BUFFER     16384
#define HEAD_BUFFER   1024
#define FILE_SMALL    4096 /* bytes of a file that is kept whole and sent with its header */
#define FILES_KNOWN   4096
#define HEADER_VALUE  512
#define NS_PER_SECOND UINT64_C(1000000000)

struct transport;
struct options {
    const struct transport *transport; /* NULL: plain TCP */
    void *tls;                         /* SSL_CTX of transport_tls */
    bool ktls;                         /* the stack is to make the records */
    const char *root;
    const char *index;
    const char *log_path; /* NULL: no log; "-": standard output */
    uint16_t port;
    bool listing;
    bool fastopen_psk;                           /* with a key */
    struct leat_tcp_fastopen fastopen;           /* enable 0: without */
    unsigned idle_s, request_s, send_s, grace_s; /* time-outs, seconds */
    unsigned max_header, max_body, max_conns, max_requests;
    unsigned trust_ms; /* how long a file is what it was when it was looked up */
};

/* The request headers that a static server heeds. */
enum header {
    H_HOST,
    H_RANGE,
    H_IF_RANGE,
    H_IF_MATCH,
    H_IF_NONE_MATCH,
    H_IF_MODIFIED,
    H_IF_UNMODIFIED,
    H_TRANSFER,
    H_EXPECT,
    H_REFERER,
    H_AGENT,
    H_COUNT
};

struct request {
    char uri[URI_MAX + 1];
    uint32_t uri_len;
    char value[H_COUNT][HEADER_VALUE]; /* "" = absent */
    char field[32];                    /* name that is being read */
    uint32_t field_len, value_len;
    int heeded;    /* enum header of the value being read, or -1 */
    uint32_t seen; /* one bit an enum header */
    bool in_value, complete;
    bool wants_continue; /* Expect: 100-continue, and not told yet to go on */
    uint64_t body;       /* bytes of body seen (and thrown away) */
    uint32_t head_bytes; /* of request line and headers */
    bool head_done;
    int error; /* status to answer with instead of serving */
    unsigned method, major, minor;
    bool keep_alive;
};

/* One that is open: of files.c, and of each response that sends it. */
struct file {
    LIST_ENTRY(file) bucket;
    TAILQ_ENTRY(file) age;
    unsigned users;
    uint64_t until; /* leat_now() ns */
    int fd;
    struct stat st;
    char *body; /* all of a small file; NULL: fd has it */
    const char *type;
    char etag[64];
    int head_len;
    char head[160]; /* header fields that every response with it has */
    char path[];
};
struct files {
    LIST_HEAD(file_bucket, file) * buckets; /* NULL: nothing is kept */
    TAILQ_HEAD(, file) known;               /* the oldest first */
    unsigned n;
    uint64_t trust_ns;
};

struct response {
    int status;
    char head[HEAD_BUFFER + FILE_SMALL]; /* behind it the body of a small file */
    char *body;                          /* error page or listing, malloc'ed; NULL: none */
    size_t body_len;
    struct file *file; /* NULL: none */
    off_t offset, length;
    off_t sent;                 /* of head, body and file together */
    size_t head_len, small_len; /* small_len: of the body that lies behind the head */
    bool close;
};

enum conn_state { CONN_HANDSHAKE, CONN_READING, CONN_SENDING, CONN_CLOSING };

struct server;
struct conn;
/* What a connection's bytes go through. Results are those of read(2), send(2), leat_sendfile(): EAGAIN when it must wait. */
struct transport {
    bool (*open)(struct conn *c);     /* false: no memory */
    int (*handshake)(struct conn *c); /* 1: done; 0: not yet; -1: no. NULL: none is needed */
    ssize_t (*read)(struct conn *c, void *buf, size_t len);
    ssize_t (*send)(struct conn *c, const void *buf, size_t len, bool more);
    int (*sendfile)(struct conn *c, int file, off_t offset, size_t len, off_t *sent);
    void (*finish)(struct conn *c); /* tells the peer that all has been sent */
    void (*close)(struct conn *c);
};
extern const struct transport transport_plain, transport_tls;

struct conn {
    TAILQ_ENTRY(conn) link;
    struct server *s;
    int fd;
    const struct transport *io;
    void *tls; /* of transport_tls */
    enum conn_state state;
    bool starved;      /* the stack had no memory: no event says when it has */
    int queued;        /* CONN_CLOSING: bytes that had not arrived at the last look */
    uint64_t deadline; /* leat_now() ns */
    uint64_t began;    /* of the request */
    unsigned requests;
    http_parser parser;
    struct request req;
    struct response res;
    char peer[INET6_ADDRSTRLEN];
    uint32_t in_len, in_used; /* bytes in in[], bytes of them parsed */
    char in[IN_BUFFER];
};
TAILQ_HEAD(conn_list, conn);

struct access_log;
struct server {
    const struct options *opt;
    int epfd, listen4, listen6;
    int root; /* directory descriptor of the kernel's */
    struct files files;
    struct conn_list conns;
    unsigned n_conns;
    uint64_t next_sweep;
    bool draining;
    uint64_t drain_deadline;
    struct access_log *log;
};

/* server.c */
int server_open(struct server *s, const struct options *opt);
int server_turn(struct server *s);
/* Stops accepting; server_drained() once every response under way is out or the grace time is over. */
void server_drain(struct server *s);
bool server_drained(struct server *s);
void server_close(struct server *s);

/* conn.c */
void conn_open(struct server *s, int fd, const struct sockaddr *addr);
void conn_run(struct conn *c);
void conn_close(struct conn *c);
void conn_timeout(struct conn *c);

/* request.c */
void request_reset(struct request *r);
extern const http_parser_settings request_settings; /* parser->data = struct conn */

/* respond.c */
void respond(struct conn *c); /* request complete or in error: fills c->res */
void respond_error(struct conn *c, int status);
void response_clear(struct response *res);

/* conditions.c: RFC 9110 §13, §14 */
struct byte_range {
    off_t first, length;
};
void etag_of(const struct stat *st, char out[64]);
/* 0: serve; 304 or 412 otherwise. */
int conditions_check(const struct request *r, const struct stat *st, const char *etag);
/* 200: whole file; 206: *out; 416. */
int range_check(const struct request *r, const struct stat *st, const char *etag, struct byte_range *out);
void http_date(time_t t, char out[32]);
time_t http_date_parse(const char *text); /* -1: no date */

/* path.c */
/* Decodes and normalises the path part of uri into a path relative to the root ("." for /). 0, or a status: 400, 414. */
int path_decode(const char *uri, uint32_t len, char out[PATH_MAX], bool *slash);
/* Writes a path as a URI has it, with percent encoding. Length, or -1 when it does not fit. */
int path_encode(const char *path, char *out, size_t size);
/* Opens below the root and nowhere else. A descriptor, or -errno. */
int path_open(int root, const char *path, struct stat *st);
const char *path_type(const char *path);

/* files.c */
bool files_init(struct files *fs, unsigned trust_ms); /* 0: nothing is kept. False: no memory */
void files_fini(struct files *fs);
/* As path_open(), but only a file's st, never a folder's, may be as old as that. NULL and *err. */
struct file *files_get(struct files *fs, int root, const char *path, int *err);
void files_put(struct file *f);
/* The HTML page of a directory, malloc'ed; NULL: no memory or unreadable. */
char *path_listing(int dir, const char *uri_path, size_t *len);

/* log.c */
struct access_log *log_open(const char *path);
void log_request(struct access_log *l, const struct conn *c);
void log_flush(struct access_log *l);
void log_close(struct access_log *l);
