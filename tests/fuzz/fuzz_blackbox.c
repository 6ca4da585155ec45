// SPDX-License-Identifier: BSD-3-Clause
// Files of the black box as leatctl reads and prints them.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/blackbox/blackbox.h"

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    stderr = fopen("/dev/null", "w"); /* the fuzzer has its own */
    return stderr && freopen("/dev/null", "w", stdout) ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[32];
    if (fd < 0)
        fd = memfd_create("box", 0);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    blackbox_show(2, (char *[]){"show", path, NULL});
    blackbox_show(3, (char *[]){"show", "-S", path, NULL});
    blackbox_summary(2, (char *[]){"summary", path, NULL});
    blackbox_html(2, (char *[]){"html", path, NULL});
    return 0;
}
