// SPDX-License-Identifier: BSD-3-Clause
// leatctl blackbox show | summary | html: reading without Wireshark. No process is asked.
#pragma once
#include <stdbool.h>

/* argv[0] is the command's name. Exit status: 0, 1 the file, 2 the arguments. */
int blackbox_show(int argc, char **argv);
int blackbox_summary(int argc, char **argv);
int blackbox_html(int argc, char **argv);
/* Is it one of them? */
bool blackbox_reads(const char *command);
int blackbox_read_command(int argc, char **argv);
