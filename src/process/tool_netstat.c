// SPDX-License-Identifier: BSD-3-Clause
// leatctl netstat [-aLnWx] [-p tcp] [-f inet|inet6] | -s [-p PROTOCOL] | -i [-I IF] | -r: as netstat(1) of FreeBSD. All engines together.
#include "process/tool_netstat.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "process/connections.h"

#define WHERE 22 /* columns of an address, as FreeBSD's; longer ones are not cut */

struct listing {
    const struct netstat_options *o;
    FILE *out;
    struct connection
        *listeners; /* with -a and -L: each address and port once, its queues added up over engines */
    unsigned n, room;
    bool nomem;
};

static bool wanted(const struct netstat_options *o, const struct connection *c)
{
    bool v6 = strcmp(connection_proto(c), "tcp4") != 0;
    return (!o->v4only || !v6 || strcmp(connection_proto(c), "tcp46") == 0) && (!o->v6only || v6);
}

static const char *where(const struct netstat_options *o, const struct ip_addr *a, uint16_t port, char *buf,
                         size_t size)
{
    char addr[IP_ADDR_STRLEN], service[40];
    snprintf(buf, size, "%s.%s", ip_addr_is_any(a) ? "*" : ip_addr_str(a, addr),
             connection_port(port, !o->numeric, service, sizeof(service)));
    return buf;
}

/* ---- connections ---- */

static double seconds(uint64_t ns)
{
    return ns == TIME_NEVER ? 0 : (double)ns / NS_PER_SEC;
}

static void print_extended(const struct connection *c, FILE *out)
{
    char ssthresh[16] = "-";
    if (c->ssthresh < UINT32_MAX / 2)
        snprintf(ssthresh, sizeof(ssthresh), "%u", c->ssthresh);
    fprintf(out, " %6u %6u %6u %6u %6u", c->rcv_hiwat, c->snd_hiwat, c->rcv_lowat, c->snd_lowat,
            c->rcv_memory);
    fprintf(out, " %7.2f %7.2f %7.2f %7.2f %7.2f %7.2f", seconds(c->timer[TT_REXMT]),
            seconds(c->timer[TT_PERSIST]), seconds(c->timer[TT_KEEP]), seconds(c->timer[TT_2MSL]),
            seconds(c->timer[TT_DELACK]), seconds(c->idle));
    fprintf(out, " %6u %6u %5u", c->rexmits, c->ooo, c->zerowin);
    fprintf(out, " %-9s %-9s %8u %8s %5u %8.3f %8.3f %8.3f", c->stack, c->cc, c->cwnd, ssthresh, c->mss,
            (double)c->rtt / NS_PER_MS, (double)c->rttvar / NS_PER_MS, (double)c->rto / NS_PER_MS);
}

static void print_connection(const struct netstat_options *o, const struct connection *c, FILE *out)
{
    char local[100], foreign[100];
    where(o, &c->laddr, c->lport, local, sizeof(local));
    if (c->state == TCPS_LISTEN || c->fport == 0)
        snprintf(foreign, sizeof(foreign), "*.*");
    else
        where(o, &c->faddr, c->fport, foreign, sizeof(foreign));
    fprintf(out, "%-5s %6u %6u %-*s %-*s", connection_proto(c), c->recvq, c->sendq, WHERE, local, WHERE,
            foreign);
    fprintf(out, " %-11s", connection_state_name(c->state));
    if (o->extended)
        print_extended(c, out);
    fputc('\n', out);
}

static void print_header(const struct netstat_options *o, FILE *out)
{
    fprintf(out, "Active Internet connections%s\n", o->all ? " (including servers)" : "");
    fprintf(out, "%-5s %6s %6s %-*s %-*s %-11s", "Proto", "Recv-Q", "Send-Q", WHERE, "Local Address", WHERE,
            "Foreign Address", "(state)");
    if (o->extended)
        fprintf(out,
                " %6s %6s %6s %6s %6s %7s %7s %7s %7s %7s %7s %6s %6s %5s %-9s %-9s %8s %8s %5s %8s %8s %8s",
                "R-HIWA", "S-HIWA", "R-LOWA", "S-LOWA", "R-BCNT", "rexmt", "persist", "keep", "2msl",
                "delack", "rcvtime", "Rexmit", "OOORcv", "0-win", "Stack", "CC", "cwin", "ssthresh", "MSS",
                "rtt(ms)", "rttvar", "rto");
    fputc('\n', out);
}

/* ---- listeners ---- */

static bool same_listener(const struct connection *a, const struct connection *b)
{
    return a->engine != b->engine && a->lport == b->lport && ip_addr_eq(&a->laddr, &b->laddr) &&
           a->v6 == b->v6;
}

/* Every engine listens for itself; a person thinks of them as one. */
static void collect_listener(struct listing *l, const struct connection *c)
{
    for (unsigned i = 0; c->engine > 0 && i < l->n; i++) {
        if (!same_listener(&l->listeners[i], c))
            continue;
        l->listeners[i].qlen += c->qlen;
        l->listeners[i].incqlen += c->incqlen;
        l->listeners[i].qlimit += c->qlimit;
        l->listeners[i].engine = c->engine;
        return;
    }
    if (l->n == l->room) {
        unsigned room = l->room ? 2 * l->room : 64;
        struct connection *more = realloc(l->listeners, room * sizeof(*more));
        if (!more) {
            l->nomem = true;
            return;
        }
        l->listeners = more;
        l->room = room;
    }
    l->listeners[l->n++] = *c;
}

/* Half-open connections are nobody's until they are complete: they count for the listener of their port. */
static void count_half_open(struct listing *l, const struct connection *c)
{
    for (unsigned i = 0; i < l->n; i++) {
        const struct connection *listener = &l->listeners[i];
        bool here = ip_addr_is_any(&listener->laddr) || ip_addr_eq(&listener->laddr, &c->laddr);
        bool family = listener->v6 == c->v6 || strcmp(connection_proto(listener), "tcp46") == 0;
        if (listener->lport == c->lport && here && family) {
            l->listeners[i].incqlen++;
            return;
        }
    }
}

static void print_queues(const struct listing *l)
{
    char local[100], queues[40];
    fprintf(l->out, "Current listen queue sizes (qlen/incqlen/maxqlen)\n");
    fprintf(l->out, "%-5s %-32s %s\n", "Proto", "Listen", "Local Address");
    for (unsigned i = 0; i < l->n; i++) {
        const struct connection *c = &l->listeners[i];
        snprintf(queues, sizeof(queues), "%u/%u/%u", c->qlen, c->incqlen, c->qlimit);
        fprintf(l->out, "%-5s %-32s %s\n", connection_proto(c), queues,
                where(l->o, &c->laddr, c->lport, local, sizeof(local)));
    }
}

static int one(const struct connection *c, void *arg)
{
    struct listing *l = arg;
    if (!wanted(l->o, c))
        return 0;
    if (c->half_open)
        count_half_open(l, c);
    if (c->state == TCPS_LISTEN)
        collect_listener(l, c);
    else if (!l->o->queues && (c->state != TCPS_CLOSED || l->o->all))
        print_connection(l->o, c, l->out);
    return 0;
}

static int list_connections(struct process *p, const struct netstat_options *o, FILE *out)
{
    struct listing l = {.o = o, .out = out};
    if (!o->queues)
        print_header(o, out);
    int rc = connections_walk(p, one, &l);
    if (o->queues)
        print_queues(&l);
    else if (o->all)
        for (unsigned i = 0; i < l.n; i++)
            print_connection(o, &l.listeners[i], out);
    free(l.listeners);
    if (l.nomem)
        rc = -ENOMEM;
    if (rc)
        fprintf(out, "netstat: %s\n", strerror(-rc));
    return rc ? 1 : 0;
}

/* ---- what is asked ---- */

static int usage(FILE *out, const char *what, const char *arg)
{
    fprintf(out,
            "netstat: %s \"%s\"; expected [-aLnWx] [-p tcp] [-f inet|inet6], -s [-p PROTOCOL], -i [-I "
            "INTERFACE] or "
            "-r\n",
            what, arg);
    return 2;
}

static const char *const protocols[] = {"tcp", "ip", "ip6", "icmp", "icmp6", "link", "tls"};

static bool known_protocol(const char *name)
{
    for (unsigned i = 0; i < sizeof(protocols) / sizeof(protocols[0]); i++)
        if (strcmp(name, protocols[i]) == 0)
            return true;
    return false;
}

/* The argument of option c: behind it, or the next word. NULL: none. */
static const char *argument(int argc, char **argv, int *i, const char *c)
{
    if (c[1])
        return c + 1;
    return *i + 1 < argc ? argv[++*i] : NULL;
}

static int option_with_argument(struct netstat_options *o, char c, const char *arg, FILE *out)
{
    char name[2] = {c, 0};
    if (!arg)
        return usage(out, "an argument is missing behind option", name);
    if (c == 'p' && !known_protocol(arg))
        return usage(out, "no such protocol:", arg);
    if (c == 'f' && strcmp(arg, "inet") != 0 && strcmp(arg, "inet6") != 0)
        return usage(out, "no such address family:", arg);
    if (c == 'p')
        o->protocol = arg;
    else if (c == 'I')
        o->interface = arg;
    else if (strcmp(arg, "inet") == 0)
        o->v4only = true;
    else
        o->v6only = true;
    return 0;
}

static int parse(int argc, char **argv, struct netstat_options *o, FILE *out)
{
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] != '-' || !argv[i][1])
            return usage(out, "unexpected word", argv[i]);
        for (const char *c = argv[i] + 1; *c; c++) {
            if (strchr("pfI", *c)) {
                char which = *c;
                int rc = option_with_argument(o, which, argument(argc, argv, &i, c), out);
                if (rc)
                    return rc;
                o->interfaces |= which == 'I';
                break;
            }
            bool *flag = *c == 'a'   ? &o->all
                         : *c == 'n' ? &o->numeric
                         : *c == 'x' ? &o->extended
                         : *c == 'L' ? &o->queues
                         : *c == 's' ? &o->statistics
                         : *c == 'i' ? &o->interfaces
                         : *c == 'r' ? &o->routes
                         : *c == 'W' ? &o->wide
                         : *c == '4' ? &o->v4only
                         : *c == '6' ? &o->v6only
                                     : NULL;
            if (!flag)
                return usage(out, "unknown option", argv[i]);
            o->nonzero |= *c == 's' && o->statistics;
            *flag = true;
        }
    }
    return 0;
}

int tool_netstat(struct process *p, int argc, char **argv, FILE *out)
{
    struct netstat_options o = {0};
    int rc = parse(argc, argv, &o, out);
    if (rc)
        return rc;
    if (o.routes)
        return netstat_routes(p, &o, out);
    if (o.interfaces)
        return netstat_interfaces(p, &o, out);
    if (o.statistics)
        return netstat_statistics(p, &o, out);
    if (o.protocol && strcmp(o.protocol, "tcp") != 0)
        return usage(out, "connections are TCP's only, not", o.protocol);
    return list_connections(p, &o, out);
}
