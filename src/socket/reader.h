// SPDX-License-Identifier: BSD-3-Clause
// Reads file blocks without making the engine wait: io_uring, a pread(2) thread where that is missing, and a reader in the engine's
// own time for the simulator.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "base/queue.h"

struct engine;
struct reader;

/* One read, embedded in what is read. Filled in by the asker; result by the reader. */
struct read_request {
    STAILQ_ENTRY(read_request) link;
    int fd;
    void *buf;
    uint32_t len; /* bytes wanted */
    off_t offset;
    int64_t result; /* bytes read (less than len: the file ended there), or -errno */
};
STAILQ_HEAD(read_queue, read_request);

struct reader_ops {
    const char *name;
    struct reader *(*create)(struct engine *e, unsigned depth); /* NULL and errno: not available here */
    /* Finishes or cancels what is under way; every request is then the asker's again. */
    void (*destroy)(struct reader *r);
    /* False: as many reads as it can hold are under way. Starts at the next flush. */
    bool (*submit)(struct reader *r, struct read_request *q);
    void (*flush)(struct reader *r);
    /* Appends finished requests to done; returns how many. Never waits. */
    unsigned (*reap)(struct reader *r, struct read_queue *done);
};

extern const struct reader_ops reader_uring, reader_thread, reader_sync;
/* The read itself, by pread(2): goes on after short reads until len or the end of the file. */
int64_t read_fully(const struct read_request *q);
