// SPDX-License-Identifier: BSD-3-Clause
// Files of the black box as leatctl reads them.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tools/blackbox/flow.h"
#include "tools/blackbox/segment.h"

static int take(const struct box_event *e, void *arg)
{
    struct box_segment s;
    char text[128];
    box_endpoints(e->section, text);
    if (!e->skipped && (e->b.tlb_eventflags & TLB_FLAG_HDR))
        box_segment(e, &s);
    return flows_take(arg, e) ? 0 : 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    struct flows fs = {0};
    char path[32], err[256];
    bool broken;
    if (fd < 0)
        fd = memfd_create("box", 0);
    if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    box_read(path, take, &fs, &broken, err, sizeof(err));
    flows_free(&fs);
    return 0;
}
