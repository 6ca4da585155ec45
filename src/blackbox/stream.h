// SPDX-License-Identifier: BSD-3-Clause
// One who follows, as the writers see it.
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include "blackbox/blackbox.h"

struct bb_stream {
    int fd;
    atomic_uint refs;
    pthread_mutex_t lock; /* held while a dump is written */
    bool gone;            /* a write failed: nobody writes to it any more. Under lock */
};
