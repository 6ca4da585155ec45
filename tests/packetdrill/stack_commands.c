// SPDX-License-Identifier: BSD-3-Clause
// What FreeBSD's sysctl(8), sockstat(1) and tcpdrop(8) would say, of one engine.
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "socket/socket.h"
#include "stack_commands.h"
#include "sysctl/sysctl.h"
#include "tcp/syncache.h"

static const char *const state_names[TCP_NSTATES] = {
    [TCPS_CLOSED] = "CLOSED",         [TCPS_LISTEN] = "LISTEN",           [TCPS_SYN_SENT] = "SYN_SENT",
    [TCPS_SYN_RECEIVED] = "SYN_RCVD", [TCPS_ESTABLISHED] = "ESTABLISHED", [TCPS_CLOSE_WAIT] = "CLOSE_WAIT",
    [TCPS_FIN_WAIT_1] = "FIN_WAIT_1", [TCPS_CLOSING] = "CLOSING",         [TCPS_LAST_ACK] = "LAST_ACK",
    [TCPS_FIN_WAIT_2] = "FIN_WAIT_2", [TCPS_TIME_WAIT] = "TIME_WAIT",
};

struct words {
    struct engine *e;
    char *const *word;
    unsigned n;
    FILE *out;
    char *err;
    size_t errlen;
};

static __attribute__((format(printf, 2, 3))) int wrong(struct words *c, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(c->err, c->errlen, format, ap);
    va_end(ap);
    return -1;
}

/* ---- sysctl [-n] [-w] name[=value]... ---- */

static int sysctl_one(struct words *c, char *text, bool bare)
{
    char old[1024], new[1024], err[300];
    char *value = strchr(text, '=');
    struct sysctl_tree *t = c->e->sysctl;
    if (value)
        *value++ = 0;
    if (sysctl_get_text(t, text, old, sizeof(old)) < 0) {
        if (!value || !sysctl_find(t, text))
            return wrong(c, "unknown sysctl %s", text);
        old[0] = 0; /* only to be written */
    }
    if (!value) {
        fprintf(c->out, bare ? "%s%s\n" : "%s: %s\n", bare ? "" : text, old);
        return 0;
    }
    if (sysctl_set_text(t, text, value, err, sizeof(err)) < 0)
        return wrong(c, "%s", err);
    if (sysctl_get_text(t, text, new, sizeof(new)) < 0)
        new[0] = 0;
    fprintf(c->out, "%s: %s -> %s\n", text, old, new);
    return 0;
}

static int do_sysctl(struct words *c)
{
    bool bare = false;
    int err = 0;
    for (unsigned i = 1; i < c->n && !err; i++) {
        if (!strcmp(c->word[i], "-n"))
            bare = true;
        else if (c->word[i][0] == '-' && strcmp(c->word[i], "-w") != 0 && strcmp(c->word[i], "-q") != 0)
            err = wrong(c, "sysctl: unknown option %s", c->word[i]);
        else if (c->word[i][0] != '-')
            err = sysctl_one(c, c->word[i], bare);
    }
    return err;
}

/* ---- sockstat [-4] [-6] [-P tcp] [-p PORT] [-s] ---- */

struct sockstat {
    struct words *c;
    bool states, v4, v6; /* neither family: both */
    unsigned port;       /* 0: any */
};

static void sockstat_line(const struct sockstat *s, bool v4, const struct ip_addr *laddr, uint16_t lport,
                          const struct ip_addr *faddr, uint16_t fport, enum tcp_state state)
{
    char local[IP_ADDR_STRLEN], foreign[IP_ADDR_STRLEN];
    if ((s->v4 != s->v6 && s->v4 != v4) || (s->port && ntohs(lport) != s->port && ntohs(fport) != s->port))
        return;
    fprintf(s->c->out, "root packetdril %d 3 %s %s:%u %s:%u %s\n", (int)getpid(), v4 ? "tcp4" : "tcp6",
            ip_addr_str(laddr, local), ntohs(lport), ip_addr_str(faddr, foreign), ntohs(fport),
            s->states ? state_names[state] : "");
}

static void sockstat_half_open(void *arg, const struct half_open *h)
{
    sockstat_line(arg, ip_addr_is_v4(&h->laddr), &h->laddr, h->lport, &h->faddr, h->fport, TCPS_SYN_RECEIVED);
}

/* Of a connection by its addresses, of what has none by its socket. */
static bool is_v4(const struct tcb *tp)
{
    const struct socket *so = tp->so;
    if (ip_addr_is_any(&tp->laddr) && ip_addr_is_any(&tp->faddr) && so)
        return so->family == AF_INET;
    return ip_addr_is_v4(&tp->laddr) || ip_addr_is_v4(&tp->faddr);
}

static int do_sockstat(struct words *c)
{
    struct sockstat s = {.c = c};
    const struct tcb *tp;
    for (unsigned i = 1; i < c->n; i++) {
        if (!strcmp(c->word[i], "-s"))
            s.states = true;
        else if (!strcmp(c->word[i], "-p") && i + 1 < c->n)
            s.port = (unsigned)atoi(c->word[++i]);
        else if (!strcmp(c->word[i], "-P") && i + 1 < c->n && !strcmp(c->word[i + 1], "tcp"))
            i++;
        else if (!strcmp(c->word[i], "-4"))
            s.v4 = true;
        else if (!strcmp(c->word[i], "-6"))
            s.v6 = true;
        else
            return wrong(c, "sockstat: unknown option %s", c->word[i]);
    }
    TAILQ_FOREACH (tp, &c->e->tcp->all, all_link)
        sockstat_line(&s, is_v4(tp), &tp->laddr, tp->lport, &tp->faddr, tp->fport, tp->state);
    syncache_walk(c->e->tcp, sockstat_half_open, &s);
    return 0;
}

/* ---- tcpdrop -s STATE ---- */

static int do_tcpdrop(struct words *c)
{
    struct tcb *tp, *next;
    if (c->n != 3 || strcmp(c->word[1], "-s") != 0)
        return wrong(c, "tcpdrop: expected -s STATE");
    for (tp = TAILQ_FIRST(&c->e->tcp->all); tp; tp = next) {
        next = TAILQ_NEXT(tp, all_link);
        if (!strcmp(state_names[tp->state], c->word[2]))
            tcp_abort(tp, ECONNABORTED);
    }
    return 0;
}

/* ---- the table ---- */

static const struct {
    const char *name;
    int (*run)(struct words *c);
} commands[] = {{"sysctl", do_sysctl}, {"sockstat", do_sockstat}, {"tcpdrop", do_tcpdrop}};

bool stack_command_named(const char *text)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strstr(text, commands[i].name))
            return true;
    return false;
}

bool stack_command_is(const char *word)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (!strcmp(commands[i].name, word))
            return true;
    return false;
}

int stack_command(struct engine *e, char *const *word, unsigned n, FILE *out, char *err, size_t errlen)
{
    struct words c = {.e = e, .word = word, .n = n, .out = out, .err = err, .errlen = errlen};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (n > 0 && !strcmp(commands[i].name, word[0]))
            return commands[i].run(&c);
    return wrong(&c, "no such command");
}
