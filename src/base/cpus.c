// SPDX-License-Identifier: BSD-3-Clause
#include "base/cpus.h"
#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

static cpu_set_t noted;
static bool is_noted;

void cpus_remember(void)
{
    is_noted = sched_getaffinity(0, sizeof(noted), &noted) == 0;
}

void cpus_of_process(cpu_set_t *out)
{
    if (is_noted) {
        *out = noted;
        return;
    }
    CPU_ZERO(out);
    if (sched_getaffinity(getpid(), sizeof(*out), out) != 0)
        CPU_SET(0, out);
}

/* A number below CPU_SETSIZE at *text, which moves on; -1. */
static long number(const char **text)
{
    char *end;
    if (!isdigit((unsigned char)**text))
        return -1;
    errno = 0;
    long v = strtol(*text, &end, 10);
    *text = end;
    return errno == 0 && v < CPU_SETSIZE ? v : -1;
}

int cpus_parse(const char *text, cpu_set_t *out)
{
    CPU_ZERO(out);
    do {
        long first = number(&text), last = first;
        if (first >= 0 && *text == '-') {
            text++;
            last = number(&text);
        }
        if (first < 0 || last < first)
            return -EINVAL;
        for (long i = first; i <= last; i++)
            CPU_SET((size_t)i, out);
    } while (*text++ == ',');
    return text[-1] == '\0' ? 0 : -EINVAL;
}

int cpus_nth(const cpu_set_t *set, unsigned n)
{
    unsigned left = n % (unsigned)CPU_COUNT(set);
    for (int i = 0; i < CPU_SETSIZE; i++)
        if (CPU_ISSET(i, set) && left-- == 0)
            return i;
    return -1;
}
