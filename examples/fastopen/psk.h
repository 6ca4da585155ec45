// SPDX-License-Identifier: BSD-3-Clause
// The pre-shared key of TCP Fast Open from a file.
#pragma once
#include <stdint.h>

/* The first line of the file as 32 hexadecimal digits. NULL, or what is wrong. */
const char *psk_read(const char *path, uint8_t psk[16]);
