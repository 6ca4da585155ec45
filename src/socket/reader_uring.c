// SPDX-License-Identifier: BSD-3-Clause
// Reads by io_uring: one submission system call for all reads of a turn, none to reap.
#include "socket/reader.h"
#include <errno.h>
#include <liburing.h>
#include "base/alloc.h"

struct reader {
    struct io_uring ring;
    unsigned depth, under_way, unsubmitted;
};

static struct reader *uring_create(struct engine *e, unsigned depth)
{
    struct reader *r = mem_alloc(sizeof(*r));
    if (!r) {
        errno = ENOMEM;
        return NULL;
    }
    r->depth = depth;
    int err = io_uring_queue_init(depth, &r->ring, 0);
    if (err < 0) {
        mem_free(r);
        errno = -err;
        return NULL;
    }
    return r;
}

static void uring_flush(struct reader *r)
{
    if (r->unsubmitted == 0)
        return;
    int n = io_uring_submit(&r->ring);
    if (n > 0)
        r->unsubmitted -= (unsigned)n;
}

static bool uring_submit(struct reader *r, struct read_request *q)
{
    if (r->under_way >= r->depth)
        return false;
    struct io_uring_sqe *sqe = io_uring_get_sqe(&r->ring);
    if (!sqe)
        return false;
    io_uring_prep_read(sqe, q->fd, q->buf, q->len, (uint64_t)q->offset);
    io_uring_sqe_set_data(sqe, q);
    r->under_way++;
    r->unsubmitted++;
    return true;
}

/* A short read may be the end of the file or only where the kernel stopped: ask for the rest until it says 0. */
static void uring_finish(struct read_request *q, int res)
{
    q->result = res;
    if (res > 0 && (uint32_t)res < q->len) {
        struct read_request rest = *q;
        rest.buf = (char *)q->buf + res;
        rest.len = q->len - (uint32_t)res;
        rest.offset = q->offset + res;
        int64_t more = read_fully(&rest);
        q->result = more < 0 ? more : res + more;
    }
}

static unsigned uring_reap(struct reader *r, struct read_queue *done)
{
    if (r->under_way == 0)
        return 0;
    uring_flush(r);
    struct io_uring_cqe *cqes[32];
    unsigned n = io_uring_peek_batch_cqe(&r->ring, cqes, 32);
    unsigned finished = 0;
    for (unsigned i = 0; i < n; i++) {
        struct read_request *q = io_uring_cqe_get_data(cqes[i]);
        int res = cqes[i]->res;
        if (res == -EINTR || res == -EAGAIN)
            res = (int)read_fully(q);
        uring_finish(q, res);
        STAILQ_INSERT_TAIL(done, q, link);
        finished++;
    }
    io_uring_cq_advance(&r->ring, n);
    r->under_way -= finished;
    return finished;
}

static void uring_destroy(struct reader *r)
{
    struct read_queue done = STAILQ_HEAD_INITIALIZER(done);
    while (r->under_way > 0) {
        uring_flush(r);
        struct io_uring_cqe *cqe;
        if (io_uring_wait_cqe(&r->ring, &cqe) < 0)
            break;
        uring_reap(r, &done);
    }
    io_uring_queue_exit(&r->ring);
    mem_free(r);
}

const struct reader_ops reader_uring = {
    .name = "uring",
    .create = uring_create,
    .destroy = uring_destroy,
    .submit = uring_submit,
    .flush = uring_flush,
    .reap = uring_reap,
};
