// SPDX-License-Identifier: BSD-3-Clause
// Names of addresses for the dumps' name resolution blocks, from a file as hosts(5) has it. Nobody on the network is asked.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define BB_NAME_LEN 64 /* with the NUL; longer names are left out */

struct bb_names;
/* The first name of each address in the file at path, and this machine's own. NULL: no memory. A file that can't be read has no names. */
struct bb_names *bb_names_new(const char *path);
void bb_names_free(struct bb_names *n);
/* The name of the address: 16 bytes, IPv4 in the last four behind zeros. NULL: none known. */
const char *bb_names_find(const struct bb_names *n, const uint8_t addr[16]);
/* What this machine calls itself. */
const char *bb_names_host(const struct bb_names *n);
