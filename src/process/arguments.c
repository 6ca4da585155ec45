// SPDX-License-Identifier: BSD-3-Clause
// The command line: leat's arguments, "--", the EAL's, "--", the program's.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "process/priv.h"

/* Index of the next "--" from i, or argc. */
static int dashes(int argc, char **argv, int i)
{
    while (i < argc && strcmp(argv[i], "--") != 0)
        i++;
    return i;
}

/* The value of option name at argv[*i], as "--name=value" or in the next argument; NULL: another option. */
static const char *value_of(int end, char **argv, int *i, const char *name)
{
    size_t len = strlen(name);

    if (!argv[*i] || strncmp(argv[*i], name, len) != 0)
        return NULL;
    if (argv[*i][len] == '=' && name[1] == '-')
        return argv[*i] + len + 1;
    if (argv[*i][len] || *i + 1 >= end)
        return NULL;
    return argv[++*i];
}

static int read_own(struct process *p, int end, char **argv, const char **conf, int pass)
{
    for (int i = 1; i < end; i++) {
        const char *v = value_of(end, argv, &i, "--conf");
        int rc;

        if (!v)
            v = value_of(end, argv, &i, "-c");
        if (v) {
            *conf = v;
            continue;
        }
        v = value_of(end, argv, &i, "--set");
        if (!v)
            return proc_error(p, -EINVAL,
                              "argument %s: expected --conf FILE, --set NAME=VALUE or -- (the EAL's follow, "
                              "and after a second -- the program's)",
                              argv[i]);
        rc = pass ? config_set(&p->config, v, p->error, sizeof(p->error)) : 0;
        if (rc)
            return rc;
    }
    return 0;
}

int proc_arguments(struct process *p, int argc, char **argv, char ***eal, int *n_eal)
{
    int first = dashes(argc, argv, 1), second = dashes(argc, argv, first + 1);
    const char *conf = getenv("LEAT_CONF");
    int rc = read_own(p, first, argv, &conf, 0);

    if (rc == 0 && conf && *conf)
        rc = config_read(&p->config, conf, p->error, sizeof(p->error));
    if (rc == 0) /* after the file, for it overrides the file */
        rc = read_own(p, first, argv, &conf, 1);
    if (rc)
        return rc;
    *eal = argv + first + 1;
    *n_eal = second > first + 1 ? second - first - 1 : 0;
    return second < argc ? second : argc > 0 ? argc - 1 : 0;
}
