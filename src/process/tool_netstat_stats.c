// SPDX-License-Identifier: BSD-3-Clause
// netstat -s: counters of all engines. First the lines that netstat(1) of FreeBSD prints, where there is such a counter, then every other one
// below the protocol's name with its description.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include "engine/control.h"
#include "process/connections.h"
#include "process/tool_netstat.h"

/* %N and %M: the counters; %s and %t: their plurals. */
struct line {
    const char *format;
    const char *counter, *second; /* below net.inet.tcp.stats. */
};
static const struct line tcp_lines[] = {
    {"\t%N packet%s sent", "sndtotal", NULL},
    {"\t\t%N data packet%s (%M byte%t)", "sndpack", "sndbyte"},
    {"\t\t%N data packet%s (%M byte%t) retransmitted", "sndrexmitpack", "sndrexmitbyte"},
    {"\t\t%N ack-only packet%s (%M delayed)", "sndacks", "delack"},
    {"\t\t%N window probe packet%s", "sndprobe", NULL},
    {"\t\t%N window update packet%s", "sndwinup", NULL},
    {"\t\t%N control packet%s", "sndctrl", NULL},
    {"\t%N packet%s received", "rcvtotal", NULL},
    {"\t\t%N ack%s (for %M byte%t)", "rcvackpack", "rcvackbyte"},
    {"\t\t%N duplicate ack%s", "rcvdupack", NULL},
    {"\t\t%N ack%s for unsent data", "rcvacktoomuch", NULL},
    {"\t\t%N packet%s (%M byte%t) received in-sequence", "rcvpack", "rcvbyte"},
    {"\t\t%N completely duplicate packet%s (%M byte%t)", "rcvduppack", "rcvdupbyte"},
    {"\t\t%N old duplicate packet%s", "pawsdrop", NULL},
    {"\t\t%N packet%s with some dup. data (%M byte%t duped)", "rcvpartduppack", "rcvpartdupbyte"},
    {"\t\t%N out-of-order packet%s (%M byte%t)", "rcvoopack", "rcvoobyte"},
    {"\t\t%N packet%s (%M byte%t) of data after window", "rcvpackafterwin", "rcvbyteafterwin"},
    {"\t\t%N window probe%s", "rcvwinprobe", NULL},
    {"\t\t%N window update packet%s", "rcvwinupd", NULL},
    {"\t\t%N packet%s received after close", "rcvafterclose", NULL},
    {"\t\t%N discarded for bad checksum%s", "rcvbadsum", NULL},
    {"\t\t%N discarded for bad header offset field%s", "rcvbadoff", NULL},
    {"\t\t%N discarded because packet%s too short", "rcvshort", NULL},
    {"\t\t%N discarded due to full reassembly queue", "rcvreassfull", NULL},
    {"\t%N connection request%s", "connattempt", NULL},
    {"\t%N connection accept%s", "accepts", NULL},
    {"\t%N bad connection attempt%s", "badsyn", NULL},
    {"\t%N listen queue overflow%s", "listenoverflow", NULL},
    {"\t%N ignored RSTs in the window%s", "badrst", NULL},
    {"\t%N connection%s established (including accepts)", "connects", NULL},
    {"\t\t%N time%s used RTT from hostcache", "usedrtt", NULL},
    {"\t\t%N time%s used RTT variance from hostcache", "usedrttvar", NULL},
    {"\t\t%N time%s used slow-start threshold from hostcache", "usedssthresh", NULL},
    {"\t%N connection%s closed (including %M drop%t)", "closed", "drops"},
    {"\t\t%N connection%s updated cached RTT on close", "cachedrtt", NULL},
    {"\t\t%N connection%s updated cached RTT variance on close", "cachedrttvar", NULL},
    {"\t\t%N connection%s updated cached ssthresh on close", "cachedssthresh", NULL},
    {"\t%N embryonic connection%s dropped", "conndrops", NULL},
    {"\t%N segment%s updated rtt", "rttupdated", NULL},
    {"\t%N retransmit timeout%s", "rexmttimeo", NULL},
    {"\t\t%N connection%s dropped by rexmit timeout", "timeoutdrop", NULL},
    {"\t%N persist timeout%s", "persisttimeo", NULL},
    {"\t\t%N connection%s dropped by persist timeout", "persistdrop", NULL},
    {"\t%N Connection%s (fin_wait_2) dropped because of timeout", "finwait2_drops", NULL},
    {"\t%N keepalive timeout%s", "keeptimeo", NULL},
    {"\t\t%N keepalive probe%s sent", "keepprobe", NULL},
    {"\t\t%N connection%s dropped by keepalive", "keepdrops", NULL},
    {"\t%N correct ACK header prediction%s", "rcvfastack", NULL},
    {"\t%N correct data packet header prediction%s", "rcvfastdata", NULL},
    {"\t%N hostcache entries added", "hc_added", NULL},
    {"\t\t%N bucket overflow%s", "hc_bucketoverflow", NULL},
};

static const struct {
    const char *name, *prefix;
    const struct line *lines;
    unsigned n_lines;
} protocols[] = {
    {"tcp", "net.inet.tcp.stats.", tcp_lines, RTE_DIM(tcp_lines)},
    {"ip", "net.inet.ip.stats.", NULL, 0},
    {"icmp", "net.inet.icmp.stats.", NULL, 0},
    {"ip6", "net.inet6.ip6.stats.", NULL, 0},
    {"icmp6", "net.inet6.icmp6.stats.", NULL, 0},
    {"link", "net.link.", NULL, 0},
    {"tls", "kern.ipc.tls.stats.", NULL, 0},
};

static bool value_of(struct process *p, const char *prefix, const char *counter, uint64_t *value)
{
    char name[128];
    snprintf(name, sizeof(name), "%s%s", prefix, counter);
    return tool_sysctl_counter(p, name, value, NULL, 0);
}

static void print_line(const struct line *l, uint64_t n, uint64_t m, FILE *out)
{
    for (const char *c = l->format; *c; c++) {
        if (*c != '%') {
            fputc(*c, out);
            continue;
        }
        switch (*++c) {
        case 'N':
            fprintf(out, "%" PRIu64, n);
            break;
        case 'M':
            fprintf(out, "%" PRIu64, m);
            break;
        default:
            fputs((*c == 's' ? n : m) == 1 ? "" : "s", out);
        }
    }
    fputc('\n', out);
}

static void print_lines(struct process *p, const char *prefix, const struct line *lines, unsigned n_lines,
                        bool nonzero, FILE *out)
{
    for (const struct line *l = lines; l < lines + n_lines; l++) {
        uint64_t n, m = 0;
        if (!value_of(p, prefix, l->counter, &n) || (l->second && !value_of(p, prefix, l->second, &m)))
            continue;
        if (n > 0 || m > 0 || !nonzero)
            print_line(l, n, m, out);
    }
}

struct rest {
    struct process *p;
    const char *prefix;
    const struct line *lines;
    unsigned n_lines;
    bool nonzero;
    FILE *out;
};

static bool shown(const struct rest *r, const char *counter)
{
    for (unsigned i = 0; i < r->n_lines; i++)
        if (strcmp(r->lines[i].counter, counter) == 0 ||
            (r->lines[i].second && strcmp(r->lines[i].second, counter) == 0))
            return true;
    return false;
}

static int print_rest(const char *name, void *arg)
{
    const struct rest *r = arg;
    const char *counter = name + strlen(r->prefix);
    char desc[256];
    uint64_t n;
    if (!shown(r, counter) && tool_sysctl_counter(r->p, name, &n, desc, sizeof(desc)) &&
        (n > 0 || !r->nonzero))
        fprintf(r->out, "\t%" PRIu64 " %s: %s\n", n, counter, desc);
    return 0;
}

struct states { /* travels by value */
    uint32_t n[TCP_NSTATES];
};

static int on_engine_states(struct engine *e, void *arg)
{
    struct states *s = arg;
    for (int i = 0; i < TCP_NSTATES; i++)
        s->n[i] += e->tcp->states[i];
    return 0;
}

static int print_states(struct process *p, bool nonzero, FILE *out)
{
    struct states s = {0};
    fprintf(out, "\nTCP connection count by state:\n");
    for (unsigned i = 0; i < p->n_engines; i++) {
        int rc = control_call(p->engines[i].e, on_engine_states, &s, sizeof(s), TOOL_TIMEOUT_MS);
        if (rc)
            return rc;
    }
    for (unsigned i = 0; i < TCP_NSTATES; i++)
        if (s.n[i] > 0 || !nonzero)
            fprintf(out, "\t%u connection%s in %s state\n", s.n[i], s.n[i] == 1 ? "" : "s",
                    connection_state_name(i));
    return 0;
}

int netstat_statistics(struct process *p, const struct netstat_options *o, FILE *out)
{
    int rc = 0;
    for (unsigned i = 0; i < RTE_DIM(protocols) && rc >= 0; i++) {
        if (o->protocol && strcmp(o->protocol, protocols[i].name) != 0)
            continue;
        fprintf(out, "%s:\n", protocols[i].name);
        print_lines(p, protocols[i].prefix, protocols[i].lines, protocols[i].n_lines, o->nonzero, out);
        struct rest r = {p, protocols[i].prefix, protocols[i].lines, protocols[i].n_lines, o->nonzero, out};
        rc = tool_sysctl_walk(p, protocols[i].prefix, print_rest, &r);
        if (rc >= 0 && i == 0)
            rc = print_states(p, o->nonzero, out);
    }
    if (rc < 0)
        fprintf(out, "netstat: %s\n", strerror(-rc));
    return rc < 0;
}
