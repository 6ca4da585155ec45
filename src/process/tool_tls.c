// SPDX-License-Identifier: BSD-3-Clause
// leatctl tls: what is possible here, then every session.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "process/tool.h"
#include "sysctl/sysctl.h"

struct piece { /* travels by value */
    uint64_t cursor;
    char text[8192];
};

static int on_engine_possible(struct engine *e, void *arg)
{
    struct piece *pc = arg;
    return sysctl_get_text(e->sysctl, "kern.ipc.tls.possible", pc->text, sizeof(pc->text));
}

static int on_engine_sessions(struct engine *e, void *arg)
{
    struct piece *pc = arg;
    return sysctl_get_part(e->sysctl, "kern.ipc.tls.sessions", &pc->cursor, pc->text, sizeof(pc->text));
}

static void table_line(char *line, FILE *out)
{
    char *field[11] = {0};
    unsigned n = 0;
    for (char *save, *f = strtok_r(line, "\t", &save); f && n < 11; f = strtok_r(NULL, "\t", &save))
        field[n++] = f;
    if (n == 11)
        fprintf(out, "%-22s %-22s %-3s %-7s %-17s %-5s %-9s %10s %14s %5s  %s\n", field[0], field[1],
                field[2], field[3], field[4], field[5], field[6], field[7], field[8], field[9], field[10]);
}

static unsigned table(char *text, FILE *out)
{
    unsigned n = 0;
    for (char *save, *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save), n++)
        table_line(l, out);
    return n;
}

static int sessions_of(struct process *p, unsigned i, struct piece *pc, FILE *out, unsigned *n)
{
    pc->cursor = 0;
    do {
        int rc = control_call(p->engines[i].e, on_engine_sessions, pc, sizeof(*pc), TOOL_TIMEOUT_MS);
        if (rc)
            return rc;
        *n += table(pc->text, out);
    } while (pc->cursor != SYSCTL_END);
    return 0;
}

static int show(struct process *p, struct piece *pc, FILE *out)
{
    char head[] = "local\tforeign\tdir\tversion\tcipher\tmode\tbackend\trecords\tbytes\tqueue\treason";
    unsigned n = 0;
    int rc = control_call(p->engines[0].e, on_engine_possible, pc, sizeof(*pc), TOOL_TIMEOUT_MS);
    if (rc)
        return rc;
    fprintf(out, "%s\n", pc->text);
    table_line(head, out);
    for (unsigned i = 0; i < p->n_engines && !rc; i++)
        rc = sessions_of(p, i, pc, out, &n);
    if (!rc)
        fprintf(out, "%u sessions\n", n);
    return rc;
}

int tool_tls(struct process *p, int argc, char **argv, FILE *out)
{
    if (argc > 1) {
        fprintf(out, "tls: unexpected argument \"%s\"\n", argv[1]);
        return 2;
    }
    struct piece *pc = calloc(1, sizeof(*pc));
    int rc = pc ? show(p, pc, out) : -ENOMEM;
    free(pc);
    if (rc)
        fprintf(out, "the engine does not answer: %s\n", strerror(-rc));
    return rc != 0;
}
