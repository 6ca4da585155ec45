// SPDX-License-Identifier: BSD-3-Clause
// leatctl sockstat [-46cilLnqsSCw] [-p PORTS] [-P tcp]: who has which socket, as sockstat(1) of FreeBSD. Sockets come by their descriptors, then
// connections that no descriptor has any more.
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "engine/control.h"
#include "process/connections.h"
#include "socket/socket.h"

#define PAGE_SOCKETS 100
#define PAGE_SLOTS   4096 /* of the descriptor table, looked at in one turn */

struct options {
    bool v4, v6, connected, listening, not_local, numeric, quiet, ids, states, stacks, ccs;
    uint8_t ports[65536 / 8]; /* set: wanted; all when none is named */
    bool some_ports;
};

struct listing {
    const struct options *o;
    FILE *out;
    char user[33], command[33];
    int pid;
};

/* A socket that has no connection yet, or one with it. */
struct row {
    int fd; /* -1: none */
    struct ip_addr laddr, faddr;
    uint16_t lport, fport; /* host order */
    uint8_t state;
    bool v6, v6only;
    uint64_t id; /* of its connection, 0: has none */
    char stack[16], cc[16];
};

struct page { /* travels by value */
    uint32_t slot;
    unsigned n;
    bool last;
    struct row row[PAGE_SOCKETS];
};

static void fill(const struct socket *so, int fd, struct row *r)
{
    const struct tcb *tp = so->tp;
    *r = (struct row){.fd = fd,
                      .v6 = so->family == AF_INET6,
                      .v6only = so->bind_flags & TCP_BIND_V6ONLY,
                      .state = TCPS_CLOSED};
    r->laddr = so->laddr;
    r->faddr = so->faddr;
    r->lport = ntohs(so->lport);
    r->fport = ntohs(so->fport);
    if (!tp)
        return;
    r->state = tp->state;
    r->id = tp->id;
    if (tp->lport) {
        r->laddr = tp->laddr;
        r->faddr = tp->faddr;
        r->lport = ntohs(tp->lport);
        r->fport = ntohs(tp->fport);
    }
    if (r->fport)
        r->v6 = !ip_addr_is_v4(&r->faddr);
    snprintf(r->stack, sizeof(r->stack), "%s", tp->stack->name);
    snprintf(r->cc, sizeof(r->cc), "%s", tp->cc->name);
}

static int on_engine_page(struct engine *e, void *arg)
{
    struct page *pg = arg;
    struct so_layer *l = e->so;
    uint32_t end = pg->slot + PAGE_SLOTS < l->n_fds ? pg->slot + PAGE_SLOTS : l->n_fds;
    for (; pg->slot < end && pg->n < PAGE_SOCKETS; pg->slot++) {
        struct file *f = l->fds[pg->slot].file;
        if (f && f->ops == &socket_ops)
            fill((struct socket *)f, (int)(pg->slot + l->params.fd_base), &pg->row[pg->n++]);
    }
    pg->last = pg->slot >= l->n_fds;
    return 0;
}

/* ---- lines ---- */

static bool port_wanted(const struct options *o, uint16_t port)
{
    return !o->some_ports || (o->ports[port / 8] & (1u << port % 8));
}

static bool loopback(const struct ip_addr *a)
{
    return ip_addr_is_v4(a) ? a->b[12] == 127 : IN6_IS_ADDR_LOOPBACK((const struct in6_addr *)a->b);
}

static bool wanted(const struct options *o, const struct row *r)
{
    bool connected = r->fport != 0;
    if ((o->connected || o->listening) && !(connected ? o->connected : o->listening && r->lport != 0))
        return false;
    if ((o->v4 || o->v6) && !(r->v6 ? o->v6 : o->v4))
        return false;
    if (o->not_local && (loopback(&r->laddr) || loopback(&r->faddr)))
        return false;
    return port_wanted(o, r->lport) || port_wanted(o, r->fport);
}

static const char *where(const struct options *o, const struct ip_addr *a, uint16_t port, char *buf,
                         size_t size)
{
    char addr[IP_ADDR_STRLEN], service[40];
    snprintf(buf, size, "%s:%s", ip_addr_is_any(a) ? "*" : ip_addr_str(a, addr),
             connection_port(port, false, service, sizeof(service)));
    return buf;
}

static void print(const struct listing *l, const struct row *r)
{
    const struct options *o = l->o;
    char local[100], foreign[100], pid[16] = "?", fd[16] = "?";
    const char *proto = !r->v6                                                     ? "tcp4"
                        : r->fport == 0 && !r->v6only && ip_addr_is_any(&r->laddr) ? "tcp46"
                                                                                   : "tcp6";
    if (!wanted(o, r))
        return;
    if (r->fd >= 0) {
        snprintf(pid, sizeof(pid), "%d", l->pid);
        snprintf(fd, sizeof(fd), "%d", r->fd);
    }
    fprintf(l->out, "%-8s %-10s %-5s %-5s %-5s %-21s %-21s", r->fd >= 0 ? l->user : "?",
            r->fd >= 0 ? l->command : "?", pid, fd, proto,
            where(o, &r->laddr, r->lport, local, sizeof(local)),
            r->fport ? where(o, &r->faddr, r->fport, foreign, sizeof(foreign)) : "*:*");
    if (o->ids)
        fprintf(l->out, " %-8" PRIu64, r->id);
    if (o->states)
        fprintf(l->out, " %-11s", connection_state_name(r->state));
    if (o->stacks)
        fprintf(l->out, " %-8s", r->stack);
    if (o->ccs)
        fprintf(l->out, " %s", r->cc);
    fputc('\n', l->out);
}

static void print_header(const struct listing *l)
{
    if (l->o->quiet)
        return;
    fprintf(l->out, "%-8s %-10s %-5s %-5s %-5s %-21s %-21s", "USER", "COMMAND", "PID", "FD", "PROTO",
            "LOCAL ADDRESS", "FOREIGN ADDRESS");
    if (l->o->ids)
        fprintf(l->out, " %-8s", "ID");
    if (l->o->states)
        fprintf(l->out, " %-11s", "CONN STATE");
    if (l->o->stacks)
        fprintf(l->out, " %-8s", "STACK");
    if (l->o->ccs)
        fprintf(l->out, " CC");
    fputc('\n', l->out);
}

static int print_orphan(const struct connection *c, void *arg)
{
    struct row r = {.fd = -1,
                    .laddr = c->laddr,
                    .faddr = c->faddr,
                    .lport = c->lport,
                    .fport = c->fport,
                    .state = c->state,
                    .id = c->id,
                    .v6 = c->v6,
                    .v6only = c->v6only};
    snprintf(r.stack, sizeof(r.stack), "%s", c->stack);
    snprintf(r.cc, sizeof(r.cc), "%s", c->cc);
    if (!c->owned)
        print(arg, &r);
    return 0;
}

static int print_sockets(struct process *p, const struct listing *l)
{
    struct page *pg = malloc(sizeof(*pg));
    int rc = pg ? 0 : -ENOMEM;
    for (unsigned i = 0; i < p->n_engines && !rc; i++) {
        *pg = (struct page){0};
        while (!pg->last && !rc) {
            pg->n = 0;
            rc = control_call(p->engines[i].e, on_engine_page, pg, sizeof(*pg), TOOL_TIMEOUT_MS);
            for (unsigned k = 0; k < pg->n && !rc; k++)
                print(l, &pg->row[k]);
        }
    }
    free(pg);
    return rc;
}

/* ---- what is asked ---- */

static int usage(FILE *out, const char *what, const char *arg)
{
    fprintf(out, "sockstat: %s \"%s\"; expected [-46cilLnqsSCw] [-p PORT[-PORT][,...]] [-P tcp]\n", what,
            arg);
    return 2;
}

/* "80,443,8000-8100" */
static bool parse_ports(struct options *o, const char *text)
{
    while (*text) {
        char *end;
        unsigned long from = strtoul(text, &end, 10), to = from;
        if (end == text)
            return false;
        if (*end == '-') {
            text = end + 1;
            to = strtoul(text, &end, 10);
            if (end == text)
                return false;
        }
        if (from < 1 || to > 65535 || from > to || (*end && *end != ','))
            return false;
        for (unsigned long port = from; port <= to; port++)
            o->ports[port / 8] |= (uint8_t)(1u << port % 8);
        text = *end ? end + 1 : end;
    }
    return o->some_ports = true;
}

static bool *flag_of(struct options *o, char c)
{
    static bool ignored; /* -u, -w: other families of sockets there are none, and nothing is cut */
    switch (c) {
    case '4':
        return &o->v4;
    case '6':
        return &o->v6;
    case 'c':
        return &o->connected;
    case 'l':
        return &o->listening;
    case 'L':
        return &o->not_local;
    case 'n':
        return &o->numeric;
    case 'q':
        return &o->quiet;
    case 'i':
        return &o->ids;
    case 's':
        return &o->states;
    case 'S':
        return &o->stacks;
    case 'C':
        return &o->ccs;
    case 'w':
        return &ignored;
    default:
        return NULL;
    }
}

static int parse(int argc, char **argv, struct options *o, FILE *out)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            return usage(out, "unexpected word", argv[i]);
        for (const char *c = argv[i] + 1; *c; c++) {
            bool *flag = flag_of(o, *c);
            if (flag) {
                *flag = true;
                continue;
            }
            const char *arg = c[1] ? c + 1 : i + 1 < argc ? argv[++i] : "";
            if (*c == 'p' ? !parse_ports(o, arg) : *c == 'P' ? strcmp(arg, "tcp") != 0 : true)
                return usage(out,
                             *c == 'p'   ? "not a list of ports:"
                             : *c == 'P' ? "no sockets of protocol"
                                         : "unknown option",
                             *c == 'p' || *c == 'P' ? arg : c);
            break;
        }
    }
    return 0;
}

static void who_am_i(struct listing *l)
{
    struct passwd entry, *found = NULL;
    char space[1024];
    l->pid = (int)getpid();
    if (!l->o->numeric && getpwuid_r(geteuid(), &entry, space, sizeof(space), &found) == 0 && found)
        snprintf(l->user, sizeof(l->user), "%s", found->pw_name);
    else
        snprintf(l->user, sizeof(l->user), "%u", (unsigned)geteuid());
    snprintf(l->command, sizeof(l->command), "%s", program_invocation_short_name);
}

int tool_sockstat(struct process *p, int argc, char **argv, FILE *out)
{
    struct options *o = calloc(1, sizeof(*o));
    struct listing l = {.o = o, .out = out};
    if (!o)
        return 1;
    int rc = parse(argc, argv, o, out);
    if (!rc) {
        who_am_i(&l);
        print_header(&l);
        rc = print_sockets(p, &l);
        if (!rc)
            rc = connections_walk(p, print_orphan, &l);
        if (rc)
            fprintf(out, "sockstat: %s\n", strerror(-rc));
        rc = rc ? 1 : 0;
    }
    free(o);
    return rc;
}
