// SPDX-License-Identifier: BSD-3-Clause
#include "tools/blackbox/blackbox.h"
#include <stddef.h>
#include <string.h>

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} readers[] = {{"show", blackbox_show}, {"summary", blackbox_summary}, {"html", blackbox_html}};
#define N_READERS (sizeof(readers) / sizeof(readers[0]))

bool blackbox_reads(const char *command)
{
    for (size_t i = 0; i < N_READERS; i++)
        if (strcmp(readers[i].name, command) == 0)
            return true;
    return false;
}

int blackbox_read_command(int argc, char **argv)
{
    for (size_t i = 0; i < N_READERS; i++)
        if (strcmp(readers[i].name, argv[0]) == 0)
            return readers[i].run(argc, argv);
    return 2;
}
