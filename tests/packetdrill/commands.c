// SPDX-License-Identifier: BSD-3-Clause
// Shell commands of a script. Its first word may be one that asks the stack (sysctl, sockstat, tcpdrop as FreeBSD's); what follows a pipe is
// the shell's.
#include <arpa/inet.h>
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "player.h"
#include "sysctl/sysctl.h"
#include "tcp/syncache.h"

#define WORDS_MAX 16

static const char *const state_names[TCP_NSTATES] = {
    [TCPS_CLOSED] = "CLOSED",         [TCPS_LISTEN] = "LISTEN",           [TCPS_SYN_SENT] = "SYN_SENT",
    [TCPS_SYN_RECEIVED] = "SYN_RCVD", [TCPS_ESTABLISHED] = "ESTABLISHED", [TCPS_CLOSE_WAIT] = "CLOSE_WAIT",
    [TCPS_FIN_WAIT_1] = "FIN_WAIT_1", [TCPS_CLOSING] = "CLOSING",         [TCPS_LAST_ACK] = "LAST_ACK",
    [TCPS_FIN_WAIT_2] = "FIN_WAIT_2", [TCPS_TIME_WAIT] = "TIME_WAIT",
};

struct command {
    struct player *p;
    const struct event *e;
    char *word[WORDS_MAX];
    unsigned n;
    FILE *out;
};

static struct engine *engine_of(const struct command *c)
{
    return sim_engine(c->p->dialog->host);
}

/* ---- sysctl [-n] [-w] name[=value]... ---- */

static int sysctl_one(struct command *c, char *text, bool bare)
{
    char old[1024], new[1024], err[300];
    char *value = strchr(text, '=');
    struct sysctl_tree *t = engine_of(c)->sysctl;
    if (value)
        *value++ = 0;
    if (sysctl_get_text(t, text, old, sizeof(old)) < 0) {
        if (!value || !sysctl_find(t, text))
            return player_failed(c->p, c->e, "unknown sysctl %s", text);
        old[0] = 0; /* only to be written */
    }
    if (!value) {
        fprintf(c->out, bare ? "%s%s\n" : "%s: %s\n", bare ? "" : text, old);
        return 0;
    }
    if (sysctl_set_text(t, text, value, err, sizeof(err)) < 0)
        return player_failed(c->p, c->e, "%s", err);
    if (sysctl_get_text(t, text, new, sizeof(new)) < 0)
        new[0] = 0;
    fprintf(c->out, "%s: %s -> %s\n", text, old, new);
    return 0;
}

static int do_sysctl(struct command *c)
{
    bool bare = false;
    int err = 0;
    for (unsigned i = 1; i < c->n && !err; i++) {
        if (!strcmp(c->word[i], "-n"))
            bare = true;
        else if (c->word[i][0] == '-' && strcmp(c->word[i], "-w") != 0 && strcmp(c->word[i], "-q") != 0)
            err = player_failed(c->p, c->e, "sysctl: unknown option %s", c->word[i]);
        else if (c->word[i][0] != '-')
            err = sysctl_one(c, c->word[i], bare);
    }
    return err;
}

/* ---- sockstat [-4] [-6] [-P tcp] [-p PORT] [-s] ---- */

struct sockstat {
    struct command *c;
    bool states;
    unsigned port; /* 0: any */
};

static void sockstat_line(const struct sockstat *s, const struct ip_addr *laddr, uint16_t lport,
                          const struct ip_addr *faddr, uint16_t fport, enum tcp_state state)
{
    char local[IP_ADDR_STRLEN], foreign[IP_ADDR_STRLEN];
    if (s->port && ntohs(lport) != s->port && ntohs(fport) != s->port)
        return;
    fprintf(s->c->out, "root packetdril %d 3 %s %s:%u %s:%u %s\n", (int)getpid(),
            ip_addr_is_v4(laddr) ? "tcp4" : "tcp6", ip_addr_str(laddr, local), ntohs(lport),
            ip_addr_str(faddr, foreign), ntohs(fport), s->states ? state_names[state] : "");
}

static void sockstat_half_open(void *arg, const struct half_open *h)
{
    sockstat_line(arg, &h->laddr, h->lport, &h->faddr, h->fport, TCPS_SYN_RECEIVED);
}

static int do_sockstat(struct command *c)
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
        else if (strcmp(c->word[i], "-4") != 0 && strcmp(c->word[i], "-6") != 0)
            return player_failed(c->p, c->e, "sockstat: unknown option %s", c->word[i]);
    }
    TAILQ_FOREACH (tp, &engine_of(c)->tcp->all, all_link)
        sockstat_line(&s, &tp->laddr, tp->lport, &tp->faddr, tp->fport, tp->state);
    syncache_walk(engine_of(c)->tcp, sockstat_half_open, &s);
    return 0;
}

/* ---- tcpdrop -s STATE ---- */

static int do_tcpdrop(struct command *c)
{
    struct tcb *tp, *next;
    if (c->n != 3 || strcmp(c->word[1], "-s") != 0)
        return player_failed(c->p, c->e, "tcpdrop: expected -s STATE");
    for (tp = TAILQ_FIRST(&engine_of(c)->tcp->all); tp; tp = next) {
        next = TAILQ_NEXT(tp, all_link);
        if (!strcmp(state_names[tp->state], c->word[2]))
            tcp_abort(tp, ECONNABORTED);
    }
    return 0;
}

/* ---- the shell ---- */

static int shell(struct player *p, const struct event *e, const char *command, const char *input)
{
    fflush(NULL);
    FILE *f = popen(command, "w");
    if (!f)
        return player_failed(p, e, "`%s`: %m", e->text);
    fputs(input, f);
    int status = pclose(f);
    if (status == 0)
        return 0;
    return player_failed(p, e, "`%s` ended with status %d", e->text,
                         WIFEXITED(status) ? WEXITSTATUS(status) : status);
}

static int stack_command(struct command *c, int (*run)(struct command *), const char *pipe)
{
    char *text = NULL;
    size_t len = 0;
    c->out = open_memstream(&text, &len);
    if (!c->out)
        abort();
    int err = run(c);
    fclose(c->out);
    if (!err && pipe) {
        char command[600];
        snprintf(command, sizeof(command), "exec >/dev/null; %s", pipe);
        err = shell(c->p, c->e, command, text);
    }
    free(text);
    return err;
}

static bool names_stack_command(const char *text)
{
    static const char *const names[] = {"sysctl", "sockstat", "tcpdrop"};
    for (unsigned i = 0; i < 3; i++)
        if (strstr(text, names[i]))
            return true;
    return false;
}

/* One command line. */
static int run_line(struct player *p, const struct event *e, char *line)
{
    struct command c = {.p = p, .e = e};
    char *pipe = strchr(line, '|'), *save;
    static const struct {
        const char *name;
        int (*run)(struct command *);
    } ours[] = {{"sysctl", do_sysctl}, {"sockstat", do_sockstat}, {"tcpdrop", do_tcpdrop}};
    char whole[1000];
    snprintf(whole, sizeof(whole), "%s", line);
    if (pipe)
        *pipe++ = 0;
    for (char *w = strtok_r(line, " \t", &save); w && c.n < WORDS_MAX; w = strtok_r(NULL, " \t", &save))
        c.word[c.n++] = w;
    for (unsigned i = 0; c.n > 0 && i < 3; i++)
        if (!strcmp(c.word[0], ours[i].name) && !(pipe && names_stack_command(pipe)))
            return stack_command(&c, ours[i].run, pipe);
    if (names_stack_command(whole))
        return player_failed(p, e, "`%s`: the stack's commands come first in a line", whole);
    return c.n > 0 ? shell(p, e, whole, "") : 0;
}

int command_run(struct player *p, const struct event *e)
{
    char *text = strdup(e->text), *save;
    int err = 0;
    if (!text)
        abort();
    sim_enter(p->dialog->host);
    for (char *line = strtok_r(text, "\n;", &save); line && !err; line = strtok_r(NULL, "\n;", &save))
        err = run_line(p, e, line);
    free(text);
    if (!err)
        dialog_run_until(p->dialog, sim_now(p->dialog->sim));
    return err;
}
