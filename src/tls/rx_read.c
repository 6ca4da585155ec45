// SPDX-License-Identifier: BSD-3-Clause
// Reading opened records: application data of many as one stream, or record by record; by copy or on loan.
#include <errno.h>
#include <string.h>
#include "tls/rx.h"

static bool is_data(const struct tls_rx_record *r)
{
    return r->job.op.type == TLS_RLTYPE_APP;
}

/* Where in the application's memory the next byte goes. */
struct sink {
    const struct iovec *iov;
    int iovcnt;
    size_t off, left;
};

static uint32_t pour(struct sink *to, const uint8_t *from, uint32_t n)
{
    uint32_t done = 0;
    if (n > to->left)
        n = (uint32_t)to->left;
    while (done < n) {
        while (to->off == to->iov->iov_len) {
            to->iov++;
            to->off = 0;
        }
        size_t some = to->iov->iov_len - to->off < n - done ? to->iov->iov_len - to->off : n - done;
        memcpy((uint8_t *)to->iov->iov_base + to->off, from + done, some);
        to->off += some;
        done += (uint32_t)some;
    }
    to->left -= n;
    return n;
}

/* n more bytes of r, which is the first, are read. It goes with its last byte, unless somebody still has it on loan. */
static void pass(struct tls_rx *rx, struct tls_rx_record *r, uint32_t n)
{
    r->off += n;
    if (is_data(r))
        rx->plain -= n;
    if (r->off < r->len)
        return;
    if (!is_data(r) || r->len == 0)
        rx->special--;
    TAILQ_REMOVE(&rx->opened, r, link);
    if (r->loans == 0)
        tls_rx_free_record(r);
}

/* Empty records tell a stream's reader nothing. */
static struct tls_rx_record *first_with_data(struct tls_rx *rx)
{
    struct tls_rx_record *r;
    while ((r = TAILQ_FIRST(&rx->opened)) != NULL && is_data(r) && r->len == 0)
        pass(rx, r, 0);
    return r;
}

static int why_nothing(const struct tls_rx *rx)
{
    return rx->error ? rx->error : rx->paused ? -EKEYEXPIRED : -EAGAIN;
}

static int no_data(const struct tls_rx_record *r)
{
    switch (r->job.op.type) {
    case TLS_RLTYPE_HANDSHAKE:
        return -EIO;
    case TLS_RLTYPE_ALERT:
        return -ENXIO;
    default:
        return -EPROTO;
    }
}

static uint32_t take(struct sink *to, const struct tls_rx_record *r, unsigned flags)
{
    uint32_t there = r->len - r->off;
    if (!(flags & TLS_RX_DISCARD))
        return pour(to, r->buf + r->off, there);
    if (there > to->left)
        there = (uint32_t)to->left;
    to->left -= there;
    return there;
}

static int64_t read_stream(struct tls_rx *rx, struct sink *to, unsigned flags)
{
    struct tls_rx_record *r = first_with_data(rx), *next;
    uint32_t done = 0;
    if (!r)
        return why_nothing(rx);
    if (!is_data(r))
        return no_data(r);
    for (; r && is_data(r) && to->left > 0; r = next) {
        next = TAILQ_NEXT(r, link);
        uint32_t n = take(to, r, flags);
        done += n;
        if (!(flags & TLS_RX_PEEK))
            pass(rx, r, n);
    }
    if (!(flags & TLS_RX_PEEK))
        tls_rx_received(rx, done);
    return done;
}

static int64_t read_record(struct tls_rx *rx, struct sink *to, unsigned flags, struct tls_rx_piece *piece)
{
    struct tls_rx_record *r = flags & TLS_RX_NO_EMPTY ? first_with_data(rx) : TAILQ_FIRST(&rx->opened);
    if (!r)
        return why_nothing(rx);
    piece->type = r->job.op.type;
    piece->vminor = rx->s->vminor == TLS_MINOR_VER_THREE ? TLS_MINOR_VER_TWO : rx->s->vminor;
    piece->len = r->len;
    piece->first = r->off == 0;
    uint32_t n = take(to, r, flags);
    piece->last = r->off + n == r->len;
    if (!(flags & TLS_RX_PEEK)) {
        pass(rx, r, n);
        tls_rx_received(rx, n);
    }
    return n;
}

int64_t tls_rx_read(struct tls_rx *rx, const struct iovec *iov, int iovcnt, size_t len, unsigned flags,
                    struct tls_rx_piece *piece)
{
    struct sink to = {iov, iovcnt, 0, len};
    return piece ? read_record(rx, &to, flags, piece) : read_stream(rx, &to, flags);
}

int64_t tls_rx_lend(struct tls_rx *rx, size_t max, void **base, struct tls_rx_record **record)
{
    struct tls_rx_record *r = first_with_data(rx);
    if (!r)
        return why_nothing(rx);
    if (!is_data(r))
        return no_data(r);
    uint32_t there = r->len - r->off, n = there < max ? there : (uint32_t)max;
    *base = r->buf + r->off;
    *record = r;
    r->loans++;
    r->on_loan += n;
    pass(rx, r, n);
    return n;
}

/* The window opens when the record's last piece is back. */
void tls_rx_return(struct tls_rx_record *r)
{
    struct tls_rx *rx = container_of(r->job.flow, struct tls_rx, flow);
    if (--r->loans > 0)
        return;
    uint32_t n = r->on_loan;
    r->on_loan = 0;
    rx->flow.refs++;
    if (r->off == r->len)
        tls_rx_free_record(r);
    tls_rx_received(rx, n);
    tls_flow_put(&rx->flow);
}
