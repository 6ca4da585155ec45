// SPDX-License-Identifier: BSD-3-Clause
#include "psk.h"
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS 32

const char *psk_read(const char *path, uint8_t psk[16])
{
    char line[80] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        return strerror(errno);
    bool any = fgets(line, sizeof(line), f) != NULL;
    fclose(f);
    if (!any)
        return "the file is empty";
    size_t digits = strspn(line, "0123456789abcdefABCDEF");
    if (digits != DIGITS || line[digits + strspn(line + digits, " \r\n")])
        return "the first line must be 32 hexadecimal digits";
    for (unsigned i = 0; i < DIGITS / 2; i++) {
        char two[3] = {line[2 * i], line[2 * i + 1], 0};
        psk[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    explicit_bzero(line, sizeof(line));
    return NULL;
}
