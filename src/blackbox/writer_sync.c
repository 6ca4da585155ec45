// SPDX-License-Identifier: BSD-3-Clause
// The writer in the engine's own time, so that a simulated run writes the same files every time.
#include "base/alloc.h"
#include "blackbox/files.h"

struct bb_writer {
    struct bb_layer *l;
    struct bb_files *files;
    struct bb_written written;
    struct bb_dumps done;
};

static struct bb_writer *sync_create(struct bb_layer *l)
{
    struct bb_writer *w = mem_alloc(sizeof(*w));
    if (!w)
        return NULL;
    w->l = l;
    w->files = bb_files_new(l, &w->written);
    if (!w->files) {
        mem_free(w);
        return NULL;
    }
    STAILQ_INIT(&w->done);
    return w;
}

static bool sync_submit(struct bb_writer *w, struct bb_dump *d)
{
    bb_files_dump(w->files, d);
    STAILQ_INSERT_TAIL(&w->done, d, link);
    return true;
}

static unsigned sync_reap(struct bb_writer *w)
{
    unsigned n = 0;
    struct bb_dump *d;
    for (; (d = STAILQ_FIRST(&w->done)) != NULL; n++) {
        STAILQ_REMOVE_HEAD(&w->done, link);
        bb_dump_done(w->l, d);
    }
    return n;
}

static void sync_destroy(struct bb_writer *w)
{
    sync_reap(w);
    bb_files_free(w->files);
    mem_free(w);
}

static const struct bb_written *sync_written(const struct bb_writer *w)
{
    return &w->written;
}

const struct bb_writer_ops bb_writer_sync = {
    .name = "sync",
    .create = sync_create,
    .destroy = sync_destroy,
    .submit = sync_submit,
    .reap = sync_reap,
    .written = sync_written,
};
