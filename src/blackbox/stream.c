// SPDX-License-Identifier: BSD-3-Clause
#include "blackbox/stream.h"
#include <unistd.h>
#include "base/alloc.h"

struct bb_stream *bb_stream_new(int fd)
{
    struct bb_stream *s = mem_alloc(sizeof(*s));
    if (!s)
        return NULL;
    s->fd = fd;
    atomic_init(&s->refs, 1);
    pthread_mutex_init(&s->lock, NULL);
    return s;
}

struct bb_stream *bb_stream_hold(struct bb_stream *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void bb_stream_put(struct bb_stream *s)
{
    if (atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    close(s->fd);
    pthread_mutex_destroy(&s->lock);
    mem_free(s);
}
