// SPDX-License-Identifier: BSD-3-Clause
// leatctl tcpdrop, as tcpdrop(8) of FreeBSD: ends a connection by its addresses and ports, all of them (-a), or those of a state (-s), stack
// (-S) or congestion control (-C); -l only lists the commands that would. The peer gets a RST, the application ECONNABORTED.
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "process/connections.h"
#include "tcp/demux.h"

struct target { /* travels by value */
    struct ip_addr laddr, faddr;
    uint16_t lport, fport; /* network order */
    bool found;
};

static int on_engine_drop(struct engine *e, void *arg)
{
    struct target *t = arg;
    uint32_t hash = demux_hash(e, &t->faddr, &t->laddr, t->fport, t->lport);
    struct tcb *tp = demux_find(e->tcp, hash, &t->faddr, &t->laddr, t->fport, t->lport);
    t->found = tp != NULL;
    if (tp)
        tcp_abort(tp, ECONNABORTED);
    return 0;
}

static int drop(struct process *p, struct target *t)
{
    t->found = false;
    for (unsigned i = 0; i < p->n_engines && !t->found; i++) {
        int rc = control_call(p->engines[i].e, on_engine_drop, t, sizeof(*t), TOOL_TIMEOUT_MS);
        if (rc)
            return rc;
    }
    return t->found ? 0 : -ESRCH;
}

static int drop_and_say(struct process *p, struct target *t, FILE *out)
{
    char local[IP_ADDR_STRLEN], foreign[IP_ADDR_STRLEN];
    int rc = drop(p, t);
    fprintf(out, "%s %u %s %u: %s\n", ip_addr_str(&t->laddr, local), ntohs(t->lport),
            ip_addr_str(&t->faddr, foreign), ntohs(t->fport), rc ? strerror(-rc) : "dropped");
    return rc ? 1 : 0;
}

/* ---- many ---- */

struct choice {
    struct process *p;
    FILE *out;
    bool all, list;
    int state; /* -1: any */
    const char *stack, *cc;
    struct target *chosen;
    size_t n, room;
};

/* They are dropped after the walk: that a connection ends moves nobody else in the list, but one thing at a time. */
static int choose(const struct connection *c, void *arg)
{
    struct choice *ch = arg;
    if (c->half_open || c->state == TCPS_LISTEN || c->state == TCPS_CLOSED || c->fport == 0)
        return 0;
    if ((ch->state >= 0 && c->state != ch->state) || (ch->stack && strcmp(ch->stack, c->stack) != 0) ||
        (ch->cc && strcmp(ch->cc, c->cc) != 0))
        return 0;
    if (ch->n == ch->room) {
        size_t room = ch->room ? 2 * ch->room : 256;
        struct target *more = realloc(ch->chosen, room * sizeof(*more));
        if (!more)
            return -ENOMEM;
        ch->chosen = more;
        ch->room = room;
    }
    ch->chosen[ch->n++] = (struct target){
        .laddr = c->laddr, .faddr = c->faddr, .lport = htons(c->lport), .fport = htons(c->fport)};
    return 0;
}

static void print_command(const struct target *t, FILE *out)
{
    char local[IP_ADDR_STRLEN], foreign[IP_ADDR_STRLEN];
    fprintf(out, "tcpdrop %s %u %s %u\n", ip_addr_str(&t->laddr, local), ntohs(t->lport),
            ip_addr_str(&t->faddr, foreign), ntohs(t->fport));
}

static int drop_many(struct choice *ch)
{
    int rc = connections_walk(ch->p, choose, ch), status = 0;
    for (size_t i = 0; i < ch->n && !rc; i++) {
        if (ch->list)
            print_command(&ch->chosen[i], ch->out);
        else
            status |= drop_and_say(ch->p, &ch->chosen[i], ch->out);
    }
    free(ch->chosen);
    if (rc)
        fprintf(ch->out, "tcpdrop: %s\n", strerror(-rc));
    return rc ? 1 : status;
}

/* ---- what is asked ---- */

static int usage(FILE *out, const char *what, const char *arg)
{
    fprintf(out,
            "tcpdrop: %s \"%s\"; expected LOCAL-ADDRESS LOCAL-PORT FOREIGN-ADDRESS FOREIGN-PORT, "
            "LOCAL-ADDRESS:PORT FOREIGN-ADDRESS:PORT, [-l] -a, or [-l] [-C CC] [-S STACK] [-s STATE]\n",
            what, arg);
    return 2;
}

/* A number, or a service of TCP. */
static bool parse_port(const char *text, uint16_t *port_be)
{
    struct servent entry, *found = NULL;
    char space[1024], *end;
    unsigned long v = strtoul(text, &end, 10);
    *port_be = htons((uint16_t)v);
    if (end != text && !*end)
        return v > 0 && v <= 65535;
    if (getservbyname_r(text, "tcp", &entry, space, sizeof(space), &found) != 0 || !found)
        return false;
    *port_be = (uint16_t)found->s_port;
    return true;
}

/* "10.0.0.1:80", "[fd00::1]:80", or netstat's "10.0.0.1.80": cut at the last mark. */
static bool split(char *text, char **port)
{
    char *colon = strrchr(text, ':'), *dot = strrchr(text, '.');
    char *at = text[0] == '[' || (colon && !strchr(text, '.')) ? colon : dot && dot > colon ? dot : colon;
    if (!at || at == text)
        return false;
    *at = 0;
    *port = at + 1;
    if (text[0] == '[' && at[-1] == ']') {
        at[-1] = 0;
        memmove(text, text + 1, strlen(text));
    }
    return true;
}

static int drop_one(struct process *p, int argc, char **argv, FILE *out)
{
    struct target t;
    char *word[4];
    if (argc == 4) {
        memcpy(word, argv, sizeof(word));
    } else {
        word[0] = argv[0];
        word[2] = argv[1];
        if (!split(word[0], &word[1]))
            return usage(out, "no port in", argv[0]);
        if (!split(word[2], &word[3]))
            return usage(out, "no port in", argv[1]);
    }
    if (ip_addr_parse(word[0], &t.laddr) < 0)
        return usage(out, "not an address:", word[0]);
    if (!parse_port(word[1], &t.lport))
        return usage(out, "not a port:", word[1]);
    if (ip_addr_parse(word[2], &t.faddr) < 0)
        return usage(out, "not an address:", word[2]);
    if (!parse_port(word[3], &t.fport))
        return usage(out, "not a port:", word[3]);
    return drop_and_say(p, &t, out);
}

int tool_tcpdrop(struct process *p, int argc, char **argv, FILE *out)
{
    struct choice ch = {.p = p, .out = out, .state = -1};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        char c = argv[i][1];
        if (strcmp(argv[i], "-a") == 0)
            ch.all = true;
        else if (strcmp(argv[i], "-l") == 0)
            ch.list = true;
        else if (strcmp(argv[i], "-la") == 0 || strcmp(argv[i], "-al") == 0)
            ch.all = ch.list = true;
        else if (argv[i][2] || !c || !strchr("sSC", c) || i + 1 == argc)
            return usage(out, "unknown option, or its argument is missing:", argv[i]);
        else if (c == 'S')
            ch.stack = argv[++i];
        else if (c == 'C')
            ch.cc = argv[++i];
        else if ((ch.state = connection_state(argv[++i])) < 0)
            return usage(out, "no such state:", argv[i]);
    }
    bool many = ch.all || ch.state >= 0 || ch.stack || ch.cc;
    if (many && i == argc)
        return drop_many(&ch);
    if (!many && !ch.list && (argc - i == 4 || argc - i == 2))
        return drop_one(p, argc - i, argv + i, out);
    return usage(out,
                 many ? "unexpected word" : "what to drop is missing or too much:", i < argc ? argv[i] : "");
}
