// SPDX-License-Identifier: BSD-3-Clause
// sysctl, sockstat and tcpdrop as scripts call them, answered by an engine.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct engine;

bool stack_command_is(const char *word);    /* the name of one */
bool stack_command_named(const char *text); /* text has the name of one in it */
/* Writes the answer to out. 0, or -1 with a message. Changes the words. */
int stack_command(struct engine *e, char *const *word, unsigned n, FILE *out, char *err, size_t errlen);
