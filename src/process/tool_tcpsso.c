// SPDX-License-Identifier: BSD-3-Clause
// leatctl tcpsso, as tcpsso(8) of FreeBSD: sets a socket option on living connections and listeners, whatever the program is that has them: one by its
// addresses and ports or its id (-i; sockstat -i), all (-a), or those of a state (-s), stack (-S) and congestion control (-C). Never in TIME_WAIT.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <leat/blackbox.h>
#include <leat/tcp.h>
#include "engine/control.h"
#include "process/connections.h"
#include "socket/socket.h"

enum value { VALUE_INT, VALUE_U64, VALUE_STRING, VALUE_STACK };

static const struct option {
    const char *name;
    int level, number;
    enum value value;
} options[] = {
    {"SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE, VALUE_INT},
    {"SO_MAX_PACING_RATE", SOL_SOCKET, SO_MAX_PACING_RATE, VALUE_U64},
    {"SO_RCVBUF", SOL_SOCKET, SO_RCVBUF, VALUE_INT},
    {"SO_RCVLOWAT", SOL_SOCKET, SO_RCVLOWAT, VALUE_INT},
    {"SO_SNDBUF", SOL_SOCKET, SO_SNDBUF, VALUE_INT},
    {"IP_TOS", IPPROTO_IP, IP_TOS, VALUE_INT},
    {"IP_TTL", IPPROTO_IP, IP_TTL, VALUE_INT},
    {"IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS, VALUE_INT},
    {"IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS, VALUE_INT},
    {"TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION, VALUE_STRING},
    {"TCP_CORK", IPPROTO_TCP, TCP_CORK, VALUE_INT},
    {"TCP_FUNCTION_BLK", IPPROTO_TCP, TCP_FUNCTION_BLK, VALUE_STACK},
    {"TCP_KEEPCNT", IPPROTO_TCP, TCP_KEEPCNT, VALUE_INT},
    {"TCP_KEEPIDLE", IPPROTO_TCP, TCP_KEEPIDLE, VALUE_INT},
    {"TCP_KEEPINIT", IPPROTO_TCP, LEAT_TCP_KEEPINIT, VALUE_INT},
    {"TCP_KEEPINTVL", IPPROTO_TCP, TCP_KEEPINTVL, VALUE_INT},
    {"TCP_LOG", IPPROTO_TCP, TCP_LOG, VALUE_INT},
    {"TCP_LOGID", IPPROTO_TCP, TCP_LOGID, VALUE_STRING},
    {"TCP_MAXSEG", IPPROTO_TCP, TCP_MAXSEG, VALUE_INT},
    {"TCP_MAXUNACKTIME", IPPROTO_TCP, LEAT_TCP_MAXUNACKTIME, VALUE_INT},
    {"TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY, VALUE_INT},
    {"TCP_NOOPT", IPPROTO_TCP, LEAT_TCP_NOOPT, VALUE_INT},
    {"TCP_NOPUSH", IPPROTO_TCP, LEAT_TCP_NOPUSH, VALUE_INT},
    {"TCP_PACING_RATE_CAP", IPPROTO_TCP, TCP_PACING_RATE_CAP, VALUE_U64},
    {"TCP_QUICKACK", IPPROTO_TCP, TCP_QUICKACK, VALUE_INT},
    {"TCP_USER_TIMEOUT", IPPROTO_TCP, TCP_USER_TIMEOUT, VALUE_INT},
};
static const struct {
    const char *name;
    int level;
} levels[] = {{"SOL_SOCKET", SOL_SOCKET},
              {"IPPROTO_IP", IPPROTO_IP},
              {"IPPROTO_IPV6", IPPROTO_IPV6},
              {"IPPROTO_TCP", IPPROTO_TCP}};

#define PAGE_LOOKS  1024 /* connections looked at in one turn */
#define PAGE_ERRORS 32

struct which {
    bool all, by_ends;
    uint64_t id; /* 0: any */
    struct connection_ends ends;
    int state; /* -1: any */
    char stack[16], cc[16];
};

struct setting {
    int level, name;
    uint32_t len;
    _Alignas(8) uint8_t val[256];
};

struct refusal {
    struct connection_ends ends;
    int error;
};

struct page { /* travels by value */
    struct which which;
    struct setting set;
    bool first, last;
    unsigned found, n;
    struct refusal refused[PAGE_ERRORS];
};

/* ---- on an engine ---- */

static bool is_meant(const struct which *w, const struct tcb *tp)
{
    const struct connection_ends *c = &w->ends;
    if (tp->state == TCPS_TIME_WAIT)
        return false;
    if (w->by_ends)
        return tp->lport == c->lport && tp->fport == c->fport && ip_addr_eq(&tp->laddr, &c->laddr) &&
               ip_addr_eq(&tp->faddr, &c->faddr);
    return (!w->id || tp->id == w->id) && (w->state < 0 || tp->state == w->state) &&
           (!w->stack[0] || strcmp(w->stack, tp->stack->name) == 0) &&
           (!w->cc[0] || strcmp(w->cc, tp->cc->name) == 0);
}

/* One that no socket has knows the options of TCP alone. */
static int set(struct tcb *tp, const struct setting *s)
{
    if (socket_tls_option(s->level, s->name) || s->level == SOL_TLS)
        return -EOPNOTSUPP; /* keys, by address */
    if (tp->so)
        return socket_setopt(tp->so, s->level, s->name, s->val, s->len);
    return s->level == IPPROTO_TCP ? tcp_setopt(tp, s->name, s->val, s->len) : -EINVAL;
}

static int visit(struct tcb *tp, void *arg)
{
    struct page *pg = arg;
    if (!is_meant(&pg->which, tp))
        return 0;
    pg->found++;
    int err = set(tp, &pg->set);
    if (err)
        pg->refused[pg->n++] = (struct refusal){{tp->laddr, tp->faddr, tp->lport, tp->fport}, -err};
    return pg->n == PAGE_ERRORS;
}

static int on_engine(struct engine *e, void *arg)
{
    struct page *pg = arg;
    pg->last = tcp_walk(e->tcp, pg->first, PAGE_LOOKS, visit, pg);
    return 0;
}

/* ---- here ---- */

static int set_on_engine(struct engine *e, struct page *pg, FILE *out, int *status)
{
    pg->first = true;
    do {
        char text[CONNECTION_ENDS_STRLEN];
        pg->n = 0;
        int rc = control_call(e, on_engine, pg, sizeof(*pg), TOOL_TIMEOUT_MS);
        if (rc)
            return rc;
        for (unsigned i = 0; i < pg->n; i++)
            fprintf(out, "%s: %s\n", connection_ends_str(&pg->refused[i].ends, text),
                    strerror(pg->refused[i].error));
        *status |= pg->n > 0;
        pg->first = false;
    } while (!pg->last);
    return 0;
}

static int set_everywhere(struct process *p, struct page *pg, FILE *out)
{
    int rc = 0, status = 0;
    bool one = pg->which.id || pg->which.by_ends;
    for (unsigned i = 0; i < p->n_engines && !rc; i++)
        rc = set_on_engine(p->engines[i].e, pg, out, &status);
    if (!rc && one && !pg->found)
        rc = -ESRCH;
    if (rc)
        fprintf(out, "tcpsso: %s\n", rc == -ESRCH ? "no such connection" : strerror(-rc));
    return rc ? 1 : status;
}

static int usage(FILE *out, const char *what, const char *arg)
{
    fprintf(
        out,
        "tcpsso: %s \"%s\"; expected WHICH [LEVEL] OPTION VALUE, where WHICH is -i ID, -a, [-C CC] [-S "
        "STACK] [-s STATE], "
        "LOCAL-ADDRESS LOCAL-PORT FOREIGN-ADDRESS FOREIGN-PORT or LOCAL-ADDRESS:PORT FOREIGN-ADDRESS:PORT\n",
        what, arg);
    return 2;
}

static bool number(const char *text, uint64_t *v)
{
    char *end;
    errno = 0;
    *v = strtoull(text, &end, 0);
    return end != text && !*end && !errno;
}

static bool parse_level(const char *text, int *level)
{
    uint64_t v;
    for (unsigned i = 0; i < RTE_DIM(levels); i++) {
        if (strcmp(levels[i].name, text) == 0) {
            *level = levels[i].level;
            return true;
        }
    }
    *level = number(text, &v) && v <= INT32_MAX ? (int)v : -1;
    return *level >= 0;
}

/* An integer where it is one and the option does not want it otherwise, else a string. */
static bool parse_value(const char *text, enum value kind, struct setting *s)
{
    struct tcp_function_set fs = {0};
    uint64_t wide;
    int v;
    size_t len = strlen(text);
    if (kind == VALUE_STACK) {
        if (len >= sizeof(fs.function_set_name))
            return false;
        memcpy(fs.function_set_name, text, len);
        memcpy(s->val, &fs, s->len = sizeof(fs));
        return true;
    }
    if (kind != VALUE_STRING && number(text[0] == '-' ? text + 1 : text, &wide)) {
        v = (int)strtol(text, NULL, 0);
        s->len = kind == VALUE_U64 ? sizeof(wide) : sizeof(v);
        memcpy(s->val, kind == VALUE_U64 ? (void *)&wide : &v, s->len);
        return kind == VALUE_U64 ? text[0] != '-' : wide <= INT32_MAX;
    }
    s->len = (uint32_t)len;
    memcpy(s->val, text, len < sizeof(s->val) ? len : 0);
    return len > 0 && len < sizeof(s->val);
}

/* [LEVEL] OPTION VALUE */
static int parse_setting(int argc, char **argv, struct setting *s, FILE *out)
{
    const struct option *known = NULL;
    enum value kind = VALUE_INT;
    uint64_t v;
    s->level = -1;
    if (argc == 3 && !parse_level(argv[0], &s->level))
        return usage(out, "no such level:", argv[0]);
    const char *name = argv[argc - 2], *value = argv[argc - 1];
    for (unsigned i = 0; i < RTE_DIM(options); i++)
        if (strcmp(options[i].name, name) == 0)
            known = &options[i];
    if (known) {
        s->name = known->number;
        s->level = s->level < 0 ? known->level : s->level;
        kind = known->value;
    } else {
        if (!number(name, &v) || v > INT32_MAX)
            return usage(out, "no such option:", name);
        s->name = (int)v;
        s->level = s->level < 0 ? IPPROTO_TCP : s->level;
    }
    return parse_value(value, kind, s) ? 0 : usage(out, "no value of this option:", value);
}

/* -i, -a, -C, -S, -s. Returns how many words it took, or less than 0: told. */
static int parse_which(int argc, char **argv, struct which *w, FILE *out)
{
    int i = 1;
    w->state = -1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        char c = argv[i][1];
        if (strcmp(argv[i], "-a") == 0) {
            w->all = true;
            continue;
        }
        if (argv[i][2] || !c || !strchr("iCSs", c) || i + 1 == argc)
            return -usage(out, "unknown option, or its argument is missing:", argv[i]);
        const char *arg = argv[++i];
        if (c == 'S')
            snprintf(w->stack, sizeof(w->stack), "%s", strcmp(arg, "freebsd") == 0 ? "default" : arg);
        else if (c == 'C')
            snprintf(w->cc, sizeof(w->cc), "%s", arg);
        else if (c == 'i' && (!number(arg, &w->id) || w->id == 0))
            return -usage(out, "not an id:", arg);
        else if (c == 's' && ((w->state = connection_state(arg)) < 0 || w->state == TCPS_TIME_WAIT))
            return -usage(out, "no such state:", arg);
    }
    return i;
}

int tool_tcpsso(struct process *p, int argc, char **argv, FILE *out)
{
    struct page *pg = calloc(1, sizeof(*pg));
    if (!pg)
        return 1;
    struct which *w = &pg->which;
    int status, i = parse_which(argc, argv, w, out), left = argc - i;
    const char *what, *arg;
    bool many = w->all || w->state >= 0 || w->stack[0] || w->cc[0];
    if (i < 0) {
        status = -i;
        goto out;
    }
    if (!many && !w->id && left >= 4 && left <= 7) {
        int words = left >= 6 ? 4 : 2;
        w->by_ends = true;
        if (!connection_ends_parse(words, argv + i, &w->ends, &what, &arg)) {
            status = usage(out, what, arg);
            goto out;
        }
        i += words;
        left -= words;
    }
    if ((many && w->id) || !(many || w->id || w->by_ends) || left < 2 || left > 3)
        status = usage(out, "too much, or too little:", i < argc ? argv[i] : "");
    else if ((status = parse_setting(left, argv + i, &pg->set, out)) == 0)
        status = set_everywhere(p, pg, out);
out:
    free(pg);
    return status;
}
