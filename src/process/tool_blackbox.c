// SPDX-License-Identifier: BSD-3-Clause
// leatctl blackbox list | mode | id | dump | follow: the black boxes of a running process.
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "blackbox/stream.h"
#include "engine/control.h"
#include "process/tool.h"
#include "tcp/log.h"

static const char *const modes[] = {
    [TCP_LOG_STATE_OFF] = "off",
    [TCP_LOG_STATE_TAIL] = "tail",
    [TCP_LOG_STATE_HEAD] = "head",
    [TCP_LOG_STATE_HEAD_AUTO] = "head_auto",
    [TCP_LOG_STATE_CONTINUAL] = "continual",
    [TCP_LOG_STATE_TAIL_AUTO] = "tail_auto",
    [TCP_LOG_VIA_BBPOINTS] = "bbpoints",
};

/* Which connections: all, those of an ID, or the one between two addresses. */
struct which {
    bool all;
    char id[TCP_LOG_ID_LEN];
    struct ip_addr laddr, faddr;
    uint16_t lport, fport; /* network order */
};

static bool is_meant(const struct which *w, const struct tcb *tp)
{
    if (w->all)
        return true;
    if (w->id[0])
        return tp->log && strcmp(bb_id(tp->log), w->id) == 0;
    return tp->lport == w->lport && tp->fport == w->fport && ip_addr_eq(&tp->laddr, &w->laddr) &&
           ip_addr_eq(&tp->faddr, &w->faddr);
}

/* ---- on an engine ---- */

enum action { SET_MODE, SET_ID, DUMP };
struct request { /* travels by value */
    enum action action;
    struct which which;
    int mode;
    char text[TCP_LOG_ID_LEN]; /* ID or reason */
    uint32_t done;             /* connections that were meant */
    int error;                 /* of the first that failed, positive */
};

static int carry_out(struct tcb *tp, const struct request *r)
{
    struct bb_layer *bb = tp->e->tcp->bb;
    int err = 0;
    if (r->action == DUMP)
        return tp->log ? bb_dump(bb, tp->log, r->text, false) : 0;
    err = tcp_log_open(tp);
    if (err)
        return err;
    return r->action == SET_MODE ? bb_set_mode(bb, tp->log, r->mode) : bb_set_id(bb, tp->log, r->text);
}

static int on_engine(struct engine *e, void *arg)
{
    struct request *r = arg;
    struct tcb *tp;
    /* An ID's closed connections have no tcb any more. */
    struct bb_bucket *b = r->action == DUMP && r->which.id[0] ? bb_find_id(e->tcp->bb, r->which.id) : NULL;
    if (b) {
        r->done += b->n_nodes;
        bb_dump_id(e->tcp->bb, b, r->text);
        return 0;
    }
    TAILQ_FOREACH (tp, &e->tcp->all, all_link) {
        if (!is_meant(&r->which, tp))
            continue;
        int err = carry_out(tp, r);
        if (err && !r->error)
            r->error = -err;
        r->done++;
    }
    return 0;
}

#define PAGE 64
struct line {
    char local[IP_ADDR_STRLEN + 8], foreign[IP_ADDR_STRLEN + 8], id[TCP_LOG_ID_LEN];
    int mode;
    uint32_t events, serial;
};
struct page { /* travels by value */
    unsigned skip, n;
    bool more;
    struct line lines[PAGE];
};

/* "10.0.0.1.80", "*.80", "*.*", as netstat(1) of FreeBSD. */
static void endpoint(char *out, size_t size, const struct ip_addr *a, uint16_t port)
{
    char text[IP_ADDR_STRLEN], number[8] = "*";
    if (port)
        snprintf(number, sizeof(number), "%u", ntohs(port));
    snprintf(out, size, "%s.%s", ip_addr_is_any(a) ? "*" : ip_addr_str(a, text), number);
}

static void fill_line(struct line *l, const struct bb_log *log)
{
    const struct tcb *tp = log->owner;
    endpoint(l->local, sizeof(l->local), &tp->laddr, tp->lport);
    endpoint(l->foreign, sizeof(l->foreign), &tp->faddr, tp->fport);
    l->mode = (int)(uint8_t)log->mode; /* CLEAR is never a state */
    l->events = log->count;
    l->serial = log->serial;
    snprintf(l->id, sizeof(l->id), "%s", bb_id(log));
}

static int on_engine_page(struct engine *e, void *arg)
{
    struct page *pg = arg;
    const struct bb_log *log;
    unsigned at = 0;
    pg->n = 0;
    pg->more = false;
    TAILQ_FOREACH (log, &e->tcp->bb->logs, link) {
        if (at++ < pg->skip)
            continue;
        if (pg->n == PAGE) {
            pg->more = true;
            break;
        }
        fill_line(&pg->lines[pg->n++], log);
    }
    return 0;
}

static int on_engine_follow(struct engine *e, void *arg)
{
    return bb_follow(e->tcp->bb, *(struct bb_stream **)arg);
}

/* ---- what was asked ---- */

static int parse_port(const char *text, uint16_t *port)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    if (*end || end == text || v == 0 || v > 65535)
        return -EINVAL;
    *port = htons((uint16_t)v);
    return 0;
}

/* -a, -i ID, or LADDR LPORT FADDR FPORT. 0, or 2 after saying what is wrong. */
static int parse_which(int argc, char **argv, struct which *w, FILE *out)
{
    memset(w, 0, sizeof(*w));
    if (argc == 1 && strcmp(argv[0], "-a") == 0) {
        w->all = true;
        return 0;
    }
    if (argc == 2 && strcmp(argv[0], "-i") == 0 && argv[1][0] && strlen(argv[1]) < sizeof(w->id)) {
        strcpy(w->id, argv[1]);
        return 0;
    }
    if (argc == 4 && ip_addr_parse(argv[0], &w->laddr) == 0 && parse_port(argv[1], &w->lport) == 0 &&
        ip_addr_parse(argv[2], &w->faddr) == 0 && parse_port(argv[3], &w->fport) == 0)
        return 0;
    fprintf(out, "blackbox: which connections? expected -a, -i ID, or LADDR LPORT FADDR FPORT\n");
    return 2;
}

static int parse_mode(const char *text, int *mode)
{
    if (strcmp(text, "clear") == 0) {
        *mode = TCP_LOG_STATE_CLEAR;
        return 0;
    }
    for (unsigned i = 0; i < RTE_DIM(modes); i++) {
        if (strcmp(modes[i], text) == 0) {
            *mode = (int)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int ask_all(struct process *p, const struct request *r, FILE *out)
{
    uint32_t done = 0;
    int error = 0;
    for (unsigned i = 0; i < p->n_engines; i++) {
        struct request one = *r;
        int rc = control_call(p->engines[i].e, on_engine, &one, sizeof(one), TOOL_TIMEOUT_MS);
        if (rc || one.error)
            error = rc ? -rc : one.error;
        done += one.done;
    }
    if (error)
        fprintf(out, "blackbox: %s\n", strerror(error));
    else if (done == 0)
        fprintf(out, "blackbox: no such connection\n");
    else
        fprintf(out, "%u connection%s\n", done, done == 1 ? "" : "s");
    return error || done == 0;
}

static int list(struct process *p, FILE *out)
{
    struct page *pg = malloc(sizeof(*pg));
    int rc = pg ? 0 : 1;
    fprintf(out, "%-30s %-30s %-10s %8s %10s  %s\n", "Local Address", "Foreign Address", "Mode", "Events",
            "Serial", "ID");
    for (unsigned i = 0; !rc && i < p->n_engines; i++) {
        memset(pg, 0, sizeof(*pg));
        do {
            rc = control_call(p->engines[i].e, on_engine_page, pg, sizeof(*pg), TOOL_TIMEOUT_MS);
            for (unsigned k = 0; !rc && k < pg->n; k++) {
                const struct line *l = &pg->lines[k];
                fprintf(out, "%-30s %-30s %-10s %8u %10u  %s\n", l->local, l->foreign, modes[l->mode],
                        l->events, l->serial, l->id);
            }
            pg->skip += pg->n;
        } while (!rc && pg->more);
    }
    free(pg);
    if (rc < 0)
        fprintf(out, "blackbox: the engine does not answer: %s\n", strerror(-rc));
    return rc != 0;
}

static int usage(FILE *out)
{
    fprintf(out,
            "blackbox: expected list, mode MODE WHICH, id NAME WHICH, dump [-r REASON] WHICH or follow\n");
    return 2;
}

/* argv[0] is the value that belongs to the action. */
static int act(struct process *p, enum action action, int argc, char **argv, FILE *out)
{
    struct request r = {.action = action};
    if (argc < 1)
        return usage(out);
    if (action == SET_MODE && parse_mode(argv[0], &r.mode) < 0) {
        fprintf(out, "blackbox: \"%s\": no such mode; expected clear", argv[0]);
        for (unsigned i = 0; i < RTE_DIM(modes); i++)
            fprintf(out, ", %s", modes[i]);
        fprintf(out, "\n");
        return 2;
    }
    size_t most = action == DUMP ? TCP_LOG_REASON_LEN : TCP_LOG_ID_LEN;
    if (strlen(argv[0]) >= most) {
        fprintf(out, "blackbox: \"%s\": longer than %zu characters\n", argv[0], most - 1);
        return 2;
    }
    snprintf(r.text, sizeof(r.text), "%s", argv[0]);
    int rc = parse_which(argc - 1, argv + 1, &r.which, out);
    return rc ? rc : ask_all(p, &r, out);
}

int tool_blackbox(struct process *p, int argc, char **argv, FILE *out)
{
    static char *by_hand = "by leatctl";
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "list") == 0 && argc == 2)
        return list(p, out);
    if (strcmp(what, "mode") == 0)
        return act(p, SET_MODE, argc - 2, argv + 2, out);
    if (strcmp(what, "id") == 0)
        return act(p, SET_ID, argc - 2, argv + 2, out);
    if (strcmp(what, "dump") != 0)
        return usage(out);
    if (argc > 3 && strcmp(argv[2], "-r") == 0)
        return act(p, DUMP, argc - 3, argv + 3, out);
    argv[1] = by_hand;
    return act(p, DUMP, argc - 1, argv + 1, out);
}

bool tool_blackbox_stream(struct process *p, int argc, char **argv, int fd)
{
    if (argc != 2 || strcmp(argv[1], "follow") != 0)
        return false;
    int own = dup(fd);
    struct bb_stream *s = own >= 0 ? bb_stream_new(own) : NULL;
    int rc = s ? 0 : -ENOMEM;
    if (s)
        pthread_mutex_lock(&s->lock); /* the answer goes before the first dump */
    for (unsigned i = 0; !rc && i < p->n_engines; i++)
        rc = control_call(p->engines[i].e, on_engine_follow, &s, sizeof(struct bb_stream *), TOOL_TIMEOUT_MS);
    dprintf(fd, rc ? "1\nblackbox: %s\n" : "0\n", strerror(-rc));
    if (s) {
        pthread_mutex_unlock(&s->lock);
        bb_stream_put(s);
    } else if (own >= 0) {
        close(own);
    }
    return true;
}
