// SPDX-License-Identifier: BSD-3-Clause
// What programs of random conversations are asked: PROGRAM [--first SEED] [--seeds COUNT] [--stack NAME].
#pragma once
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct seeds {
    uint64_t first, n;
    const char *stack; /* NULL: not asked */
};

static struct seeds seeds_asked(int argc, char **argv, uint64_t n)
{
    struct seeds s = {.first = 1, .n = n};
    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--seeds") == 0)
            s.n = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--first") == 0)
            s.first = strtoull(argv[i + 1], NULL, 10);
        else if (strcmp(argv[i], "--stack") == 0)
            s.stack = argv[i + 1];
    }
    return s;
}
