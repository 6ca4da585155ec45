// SPDX-License-Identifier: BSD-3-Clause
#include "process/connections.h"
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "tcp/loss/rto.h"
#include "tcp/syncache.h"

#define PAGE_CONNECTIONS 100

struct page { /* travels by value */
    bool first, last;
    bool half_open; /* connections are done, the SYN cache's entries follow */
    unsigned skip;  /* of those, how many earlier pages had */
    unsigned n;
    struct connection c[PAGE_CONNECTIONS];
};

static void fill_timers(const struct tcb *tp, struct connection *c)
{
    uint64_t now = tp->e->now;
    for (int i = 0; i < TT_N; i++) {
        uint64_t at = tp->timer_at[i];
        c->timer[i] = at == TIME_NEVER ? TIME_NEVER : at > now ? at - now : 0;
    }
    c->idle = tp->last_rcv ? now - tp->last_rcv : 0;
}

static void fill(const struct tcb *tp, struct connection *c)
{
    *c = (struct connection){
        .laddr = tp->laddr,
        .faddr = tp->faddr,
        .lport = ntohs(tp->lport),
        .fport = ntohs(tp->fport),
        .engine = (uint8_t)tp->e->id,
        .id = tp->id,
        .state = tp->state,
        .v6 = tp->state == TCPS_LISTEN || tp->state == TCPS_CLOSED ? tp->bind_flags & TCP_BIND_V6
                                                                   : !ip_addr_is_v4(&tp->faddr),
        .v6only = tp->bind_flags & TCP_BIND_V6ONLY,
        .owned = tp->so != NULL,
        .recvq = tp->rcv.bytes,
        .sendq = tp->snd.bytes,
        .rcv_hiwat = tp->rcv.hiwat,
        .snd_hiwat = tp->snd.hiwat,
        .rcv_lowat = tp->rcv.lowat,
        .snd_lowat = tp->snd.lowat,
        .rcv_memory = tp->rcv.memory,
        .cwnd = tp->cwnd,
        .ssthresh = tp->ssthresh,
        .mss = tp->maxseg,
        .rtt = tp->srtt,
        .rttvar = tp->rttvar,
        .rto = rto_current(tp),
        .rexmits = (uint32_t)tp->rexmit_segs,
        .ooo = (uint32_t)tp->ooo_segs,
        .zerowin = tp->snd_zerowin,
    };
    if (tp->listen) {
        c->qlen = tp->listen->n_complete;
        c->qlimit = tp->listen->backlog;
    }
    snprintf(c->stack, sizeof(c->stack), "%s", tp->stack->name);
    snprintf(c->cc, sizeof(c->cc), "%s", tp->cc->name);
    fill_timers(tp, c);
}

static int take(struct tcb *tp, void *arg)
{
    struct page *pg = arg;
    fill(tp, &pg->c[pg->n++]);
    return 0;
}

struct half_open_walk {
    struct page *pg;
    unsigned at;
};

static void take_half_open(void *arg, const struct half_open *h)
{
    struct half_open_walk *w = arg;
    struct page *pg = w->pg;
    if (w->at++ < pg->skip || pg->n == PAGE_CONNECTIONS)
        return;
    struct connection *c = &pg->c[pg->n++];
    *c = (struct connection){
        .laddr = h->laddr,
        .faddr = h->faddr,
        .lport = ntohs(h->lport),
        .fport = ntohs(h->fport),
        .engine = (uint8_t)h->e->id,
        .state = TCPS_SYN_RECEIVED,
        .v6 = !ip_addr_is_v4(&h->faddr),
        .half_open = true,
        .ssthresh = UINT32_MAX,
        .rexmits = h->rxmits > 0 ? h->rxmits - 1u : 0,
        .idle = h->e->now - h->started,
        .stack = "-",
        .cc = "-",
    };
    for (int i = 0; i < TT_N; i++)
        c->timer[i] = TIME_NEVER;
}

static int on_engine_page(struct engine *e, void *arg)
{
    struct page *pg = arg;
    if (!pg->half_open) {
        pg->half_open = tcp_walk(e->tcp, pg->first, PAGE_CONNECTIONS, take, pg);
        return 0;
    }
    struct half_open_walk w = {pg, 0};
    syncache_walk(e->tcp, take_half_open, &w);
    pg->skip += pg->n;
    pg->last = pg->skip >= w.at;
    return 0;
}

static int walk_engine(struct engine *e, struct page *pg, int (*fn)(const struct connection *c, void *arg),
                       void *arg)
{
    pg->first = true;
    pg->half_open = pg->last = false;
    pg->skip = 0;
    do {
        pg->n = 0;
        int rc = control_call(e, on_engine_page, pg, sizeof(*pg), TOOL_TIMEOUT_MS);
        if (rc)
            return rc;
        for (unsigned i = 0; i < pg->n; i++) {
            rc = fn(&pg->c[i], arg);
            if (rc)
                return rc;
        }
        pg->first = false;
    } while (!pg->last);
    return 0;
}

int connections_walk(struct process *p, int (*fn)(const struct connection *c, void *arg), void *arg)
{
    struct page *pg = malloc(sizeof(*pg));
    int rc = pg ? 0 : -ENOMEM;
    for (unsigned i = 0; i < p->n_engines && !rc; i++)
        rc = walk_engine(p->engines[i].e, pg, fn, arg);
    free(pg);
    return rc;
}

static const char *const states[TCP_NSTATES] = {
    [TCPS_CLOSED] = "CLOSED",         [TCPS_LISTEN] = "LISTEN",           [TCPS_SYN_SENT] = "SYN_SENT",
    [TCPS_SYN_RECEIVED] = "SYN_RCVD", [TCPS_ESTABLISHED] = "ESTABLISHED", [TCPS_CLOSE_WAIT] = "CLOSE_WAIT",
    [TCPS_FIN_WAIT_1] = "FIN_WAIT_1", [TCPS_CLOSING] = "CLOSING",         [TCPS_LAST_ACK] = "LAST_ACK",
    [TCPS_FIN_WAIT_2] = "FIN_WAIT_2", [TCPS_TIME_WAIT] = "TIME_WAIT",
};

const char *connection_state_name(unsigned state)
{
    return state < TCP_NSTATES ? states[state] : "?";
}

int connection_state(const char *name)
{
    for (int i = 0; i < TCP_NSTATES; i++)
        if (strcasecmp(name, states[i]) == 0)
            return i;
    return strcasecmp(name, "SYN_RECEIVED") == 0 ? TCPS_SYN_RECEIVED : -1;
}

const char *connection_proto(const struct connection *c)
{
    if (!c->v6)
        return "tcp4";
    return c->state <= TCPS_LISTEN && !c->v6only && ip_addr_is_any(&c->laddr) ? "tcp46" : "tcp6";
}

const char *connection_port(uint16_t port, bool names, char *buf, size_t size)
{
    struct servent entry, *found = NULL;
    char space[1024];
    if (port == 0)
        snprintf(buf, size, "*");
    else if (names && getservbyport_r(htons(port), "tcp", &entry, space, sizeof(space), &found) == 0 && found)
        snprintf(buf, size, "%s", found->s_name);
    else
        snprintf(buf, size, "%u", port);
    return buf;
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

bool connection_ends_parse(int n, char **words, struct connection_ends *e, const char **what,
                           const char **arg)
{
    char *word[4];
    if (n == 4) {
        memcpy(word, words, sizeof(word));
    } else {
        word[0] = words[0];
        word[2] = words[1];
        for (int i = 0; i < 4; i += 2) {
            *what = "no port in";
            *arg = word[i];
            if (!split(word[i], &word[i + 1]))
                return false;
        }
    }
    for (int i = 0; i < 4; i += 2) {
        *what = "not an address:";
        *arg = word[i];
        if (ip_addr_parse(word[i], i ? &e->faddr : &e->laddr) < 0)
            return false;
        *what = "not a port:";
        *arg = word[i + 1];
        if (!parse_port(word[i + 1], i ? &e->fport : &e->lport))
            return false;
    }
    return true;
}

const char *connection_ends_str(const struct connection_ends *e, char buf[CONNECTION_ENDS_STRLEN])
{
    char local[IP_ADDR_STRLEN], foreign[IP_ADDR_STRLEN];
    snprintf(buf, CONNECTION_ENDS_STRLEN, "%s %u %s %u", ip_addr_str(&e->laddr, local), ntohs(e->lport),
             ip_addr_str(&e->faddr, foreign), ntohs(e->fport));
    return buf;
}
