// SPDX-License-Identifier: BSD-3-Clause
// Shell commands of a script. Its first word may be one that asks the stack (stack_commands.h); what follows a pipe is the shell's.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "player.h"
#include "stack_commands.h"

#define WORDS_MAX 16

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

static int ask_stack(struct player *p, const struct event *e, char *const *word, unsigned n, const char *pipe)
{
    char *text = NULL, err[500];
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        abort();
    int failed = stack_command(sim_engine(p->dialog->host), word, n, out, err, sizeof(err));
    fclose(out);
    if (failed) {
        player_failed(p, e, "%s", err);
    } else if (pipe) {
        char command[600];
        snprintf(command, sizeof(command), "exec >/dev/null; %s", pipe);
        failed = shell(p, e, command, text);
    }
    free(text);
    return failed;
}

/* One command line. */
static int run_line(struct player *p, const struct event *e, char *line)
{
    char *pipe = strchr(line, '|'), *save, *word[WORDS_MAX], whole[1000];
    unsigned n = 0;
    snprintf(whole, sizeof(whole), "%s", line);
    if (pipe)
        *pipe++ = 0;
    for (char *w = strtok_r(line, " \t", &save); w && n < WORDS_MAX; w = strtok_r(NULL, " \t", &save))
        word[n++] = w;
    if (n > 0 && stack_command_is(word[0]) && !(pipe && stack_command_named(pipe)))
        return ask_stack(p, e, word, n, pipe);
    if (stack_command_named(whole))
        return player_failed(p, e, "`%s`: the stack's commands come first in a line", whole);
    return n > 0 ? shell(p, e, whole, "") : 0;
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
