// SPDX-License-Identifier: BSD-3-Clause
#include "httpd.h"
#include "tls.h"
#include "../fastopen/psk.h"
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <leat/sysctl.h>

static struct options options = {
    .root = ".",
    .index = "index.html",
    .ktls = true,
    .idle_s = 15,
    .request_s = 10,
    .send_s = 60,
    .grace_s = 10,
    .max_header = 8192,
    .max_body = 1 << 20,
    .max_conns = 100000,
    .max_requests = 100000,
    .trust_ms = 1000,
};
static __thread struct server *server; /* of this engine */
static const char *cert, *key;         /* of --tls */
static volatile sig_atomic_t stop_wanted;
static atomic_uint engines_running;

static const char usage_text[] =
    "usage: httpd [--conf FILE] [--set NAME=VALUE]... [-- EAL-OPTION...] -- [OPTION...]\n"
    "  --root DIR          folder to serve (.)\n"
    "  --port N            TCP port (80; with --tls 443)\n"
    "  --tls CERT KEY      HTTPS, TLS 1.2 and 1.3: files of the certificate chain and of the private key, "
    "PEM\n"
    "  --no-ktls           libssl makes the records, not the stack\n"
    "  --index NAME        file served for a folder (index.html)\n"
    "  --listing           list folders that have no index file (403 otherwise)\n"
    "  --access-log FILE   combined log format; - is standard output\n"
    "  --idle-timeout S    between requests (15)        --request-timeout S  for a whole request (10)\n"
    "  --send-timeout S    without progress (60)        --grace S            to finish after SIGTERM (10)\n"
    "  --max-header N      bytes of request line and headers (8192)\n"
    "  --max-body N        bytes of a request's body, which is thrown away (1048576)\n"
    "  --max-conns N       connections of one engine (100000)\n"
    "  --max-requests N    requests of one connection (100000)\n"
    "  --trust MS          a file at a path is looked at again after so long (1000); 0: each time\n"
    "  --fastopen[=psk:FILE]  take requests that come with the SYN (RFC 7413); FILE: a key of 32 "
    "hexadecimal\n"
    "                      digits, and only from those who hold it\n";

static void on_signal(int sig)
{
    stop_wanted = 1;
}

static unsigned number(const char *name, const char *text, unsigned min, unsigned max)
{
    char *end;
    errno = 0;
    unsigned long v = strtoul(text, &end, 10);
    if (errno || *end || end == text || *text == '-' || v < min || v > max) {
        fprintf(stderr, "httpd: --%s: \"%s\" is not a number from %u to %u\n", name, text, min, max);
        exit(2);
    }
    return (unsigned)v;
}

/* "psk:FILE" */
static void fastopen(const char *text)
{
    options.fastopen.enable = 1;
    if (!text)
        return;
    bool psk = strncmp(text, "psk:", 4) == 0;
    const char *wrong = psk ? psk_read(text + 4, options.fastopen.psk) : "expected psk:FILE";
    if (wrong) {
        fprintf(stderr, "httpd: --fastopen=%s: %s\n", text, wrong);
        exit(2);
    }
    options.fastopen_psk = true;
}

static const struct option long_options[] = {
    {"root", required_argument, NULL, 'r'},
    {"port", required_argument, NULL, 'p'},
    {"index", required_argument, NULL, 'i'},
    {"listing", no_argument, NULL, 'l'},
    {"access-log", required_argument, NULL, 'a'},
    {"idle-timeout", required_argument, NULL, 'I'},
    {"request-timeout", required_argument, NULL, 'R'},
    {"send-timeout", required_argument, NULL, 'S'},
    {"grace", required_argument, NULL, 'G'},
    {"max-header", required_argument, NULL, 'H'},
    {"max-body", required_argument, NULL, 'B'},
    {"max-conns", required_argument, NULL, 'C'},
    {"max-requests", required_argument, NULL, 'Q'},
    {"trust", required_argument, NULL, 't'},
    {"tls", required_argument, NULL, 'T'},
    {"no-ktls", no_argument, NULL, 'K'},
    {"fastopen", optional_argument, NULL, 'F'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

static void options_parse(int argc, char **argv)
{
    int c, index = 0;
    optind = 1;
    while ((c = getopt_long(argc, argv, "h", long_options, &index)) != -1) {
        const char *name = c == 'h' || c == '?' ? "" : long_options[index].name;
        switch (c) {
        case 'r':
            options.root = optarg;
            break;
        case 'p':
            options.port = (uint16_t)number(name, optarg, 1, 65535);
            break;
        case 'T':
            cert = optarg;
            key = optind < argc ? argv[optind++] : NULL;
            break;
        case 'K':
            options.ktls = false;
            break;
        case 'i':
            options.index = optarg;
            break;
        case 'l':
            options.listing = true;
            break;
        case 'a':
            options.log_path = optarg;
            break;
        case 'I':
            options.idle_s = number(name, optarg, 1, 86400);
            break;
        case 'R':
            options.request_s = number(name, optarg, 1, 86400);
            break;
        case 'S':
            options.send_s = number(name, optarg, 1, 86400);
            break;
        case 'G':
            options.grace_s = number(name, optarg, 0, 86400);
            break;
        case 'H':
            options.max_header = number(name, optarg, 256, IN_BUFFER);
            break;
        case 'B':
            options.max_body = number(name, optarg, 0, 1u << 30);
            break;
        case 'C':
            options.max_conns = number(name, optarg, 1, 10000000);
            break;
        case 'Q':
            options.max_requests = number(name, optarg, 1, 1u << 30);
            break;
        case 't':
            options.trust_ms = number(name, optarg, 0, 3600000);
            break;
        case 'F':
            fastopen(optarg);
            break;
        default:
            fputs(usage_text, c == 'h' ? stdout : stderr);
            exit(c == 'h' ? 0 : 2);
        }
    }
    if (cert && !key) {
        fprintf(stderr, "httpd: --tls: expected two files, certificate chain and key\n");
        exit(2);
    }
    if (!options.port)
        options.port = cert ? 443 : 80;
    if (optind < argc) {
        fprintf(stderr, "httpd: unexpected argument \"%s\"\n%s", argv[optind], usage_text);
        exit(2);
    }
}

/* Off by default, as on FreeBSD. Said anew on each engine; a configuration that says 0 is for others, --no-ktls is for us. */
static void enable_ktls(void)
{
    uint32_t on = 1;
    if (options.tls && options.ktls &&
        leat_sysctlbyname("kern.ipc.tls.enable", NULL, NULL, &on, sizeof(on)) < 0)
        fprintf(stderr, "httpd: kern.ipc.tls.enable: %s\n", strerror(errno));
}

/* Once: what TLS can do in this process. */
static void say_possible(void)
{
    static atomic_flag said = ATOMIC_FLAG_INIT;
    char text[2048] = "";
    size_t len = sizeof(text) - 1;
    if (!options.tls || atomic_flag_test_and_set(&said))
        return;
    if (leat_sysctlbyname("kern.ipc.tls.possible", text, &len, NULL, 0) == 0)
        fprintf(stderr, "httpd: TLS by the stack here:\n%s", text);
}

static int engine_start(void *arg)
{
    enable_ktls();
    say_possible();
    server = calloc(1, sizeof(*server));
    if (!server || server_open(server, &options) < 0) {
        free(server);
        server = NULL;
        return -1;
    }
    atomic_fetch_add(&engines_running, 1);
    return 0;
}

static void engine_end(void)
{
    server_close(server);
    free(server);
    server = NULL;
    if (atomic_fetch_sub(&engines_running, 1) == 1)
        leat_stop();
}

static int engine_loop(void *arg)
{
    if (!server)
        return 0;
    if (stop_wanted && !server->draining)
        server_drain(server);
    server_turn(server);
    if (server->draining && server_drained(server))
        engine_end();
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        fputs(usage_text, stdout);
        return 0;
    }
    int used = leat_init(argc, argv);
    if (used < 0)
        return 1;
    options_parse(argc - used, argv + used);
    if (cert) {
        options.transport = &transport_tls;
        options.tls = tls_context(cert, key);
        if (!options.tls)
            return 1;
    }
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGTERM, &sa, NULL);
    sigaction(SIGINT, &sa, NULL);
    signal(SIGPIPE, SIG_IGN);
    leat_on_start(engine_start, NULL);
    int err = leat_run(engine_loop, NULL);
    if (err < 0)
        fprintf(stderr, "httpd: %s\n", strerror(errno));
    SSL_CTX_free(options.tls);
    leat_fini();
    return err < 0;
}
