// SPDX-License-Identifier: BSD-3-Clause
// leatctl tcpdrop, as tcpdrop(8) of FreeBSD: ends a connection by its addresses and ports, all of them (-a), or those of a state (-s), stack
// (-S) or congestion control (-C); -l only lists the commands that would. The peer gets a RST, the application ECONNABORTED.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "process/connections.h"
#include "tcp/demux.h"

struct target { /* travels by value */
    struct connection_ends ends;
    bool found;
};

static int on_engine_drop(struct engine *e, void *arg)
{
    struct target *t = arg;
    const struct connection_ends *c = &t->ends;
    uint32_t hash = demux_hash(e, &c->faddr, &c->laddr, c->fport, c->lport);
    struct tcb *tp = demux_find(e->tcp, hash, &c->faddr, &c->laddr, c->fport, c->lport);
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
    char text[CONNECTION_ENDS_STRLEN];
    int rc = drop(p, t);
    fprintf(out, "%s: %s\n", connection_ends_str(&t->ends, text), rc ? strerror(-rc) : "dropped");
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
        .ends = {.laddr = c->laddr, .faddr = c->faddr, .lport = htons(c->lport), .fport = htons(c->fport)}};
    return 0;
}

static void print_command(const struct target *t, FILE *out)
{
    char text[CONNECTION_ENDS_STRLEN];
    fprintf(out, "tcpdrop %s\n", connection_ends_str(&t->ends, text));
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

static int drop_one(struct process *p, int argc, char **argv, FILE *out)
{
    struct target t;
    const char *what, *arg;
    if (!connection_ends_parse(argc, argv, &t.ends, &what, &arg))
        return usage(out, what, arg);
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
