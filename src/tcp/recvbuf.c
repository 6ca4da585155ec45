// SPDX-License-Identifier: BSD-3-Clause
// The receive queue: payload by reference, in order. Small payloads are copied together, else a peer that sends one byte a
// segment would hold a buffer for each.
#include <errno.h>
#include <string.h>
#include <rte_mbuf.h>
#include "base/alloc.h"
#include "tcp/recvbuf.h"
#include "tcp/stats.h"

/* Copying so much is cheaper than keeping a buffer for it. */
#define COALESCE_ALWAYS 128

void recvbuf_charge(struct tcb *tp, uint32_t *memory, uint32_t bytes)
{
    *memory += bytes;
    tp->e->tcp->recv_bytes += bytes;
}

void recvbuf_uncharge(struct tcb *tp, uint32_t *memory, uint32_t bytes)
{
    RTE_ASSERT(*memory >= bytes && tp->e->tcp->recv_bytes >= bytes);
    *memory -= bytes;
    tp->e->tcp->recv_bytes -= bytes;
}

static bool engine_room(const struct tcp_layer *t, uint32_t more)
{
    return t->recv_bytes + more <= t->params.recvbytes_limit;
}

bool recvbuf_room(const struct tcb *tp, const struct rte_mbuf *m)
{
    uint32_t more = recvbuf_memory(m);
    /* One segment in order is always let in: a tiny SO_RCVBUF, or an engine that is full of data out of order, must go on. */
    return tp->rcv.memory == 0 ||
           ((uint64_t)tp->rcv.memory + more <= recvbuf_limit(tp) && engine_room(tp->e->tcp, more));
}

bool recvbuf_room_reass(const struct tcb *tp, const struct rte_mbuf *m)
{
    uint32_t more = recvbuf_memory(m);
    uint64_t held = (uint64_t)tp->rcv.memory + (tp->reass ? tp->reass->memory : 0);
    return held + more <= recvbuf_limit(tp) && engine_room(tp->e->tcp, more);
}

struct rte_mbuf *pktchain_skip(struct rte_mbuf *m, uint32_t n)
{
    while (m && n >= m->data_len) {
        struct rte_mbuf *next = m->next;
        n -= m->data_len;
        rte_pktmbuf_free_seg(m);
        m = next;
    }
    if (m) {
        m->data_off = (uint16_t)(m->data_off + n);
        m->data_len = (uint16_t)(m->data_len - n);
    }
    return m;
}

void pktchain_cut(struct rte_mbuf *m, uint32_t len)
{
    for (; m && len > m->data_len; m = m->next)
        len -= m->data_len;
    if (!m)
        return;
    m->data_len = (uint16_t)len;
    rte_pktmbuf_free(m->next);
    m->next = NULL;
}

/* Copies the first bytes of m behind the last buffer, as far as that is ours alone and has room. */
static uint32_t fill_last(struct tcb *tp, const struct rte_mbuf *m)
{
    struct rte_mbuf *last = tp->rcv.tail;
    if (!RTE_MBUF_DIRECT(last) || rte_mbuf_refcnt_read(last) != 1)
        return 0;
    uint32_t n = RTE_MIN((uint32_t)m->data_len, (uint32_t)rte_pktmbuf_tailroom(last));
    memcpy(rte_pktmbuf_mtod_offset(last, char *, last->data_len), rte_pktmbuf_mtod(m, const char *), n);
    last->data_len = (uint16_t)(last->data_len + n);
    tp->rcv.bytes += n;
    tp->e->tcp->stats->rcvcoalesced += n > 0;
    return n;
}

/* Would keeping m's first buffer hold more than two bytes of buffers for each byte of data? */
static bool wasteful(const struct tcb *tp, const struct rte_mbuf *m)
{
    if (m->data_len <= COALESCE_ALWAYS)
        return true;
    uint64_t memory = (uint64_t)tp->rcv.memory + recvbuf_seg_memory(m);
    return memory > 2 * ((uint64_t)tp->rcv.bytes + m->data_len) + RECVBUF_SLACK / 2;
}

static void hang(struct tcb *tp, struct rte_mbuf *m)
{
    struct recvbuf *rb = &tp->rcv;
    if (rb->tail)
        rb->tail->next = m;
    else
        rb->head = m;
    rb->tail = m;
    recvbuf_charge(tp, &rb->memory, recvbuf_seg_memory(m));
    rb->bytes += m->data_len;
}

/* Each buffer by itself: a chain may be of many small ones that came out of order, and must not use up the limit before the window. */
static __rte_noinline void append_many(struct tcb *tp, struct rte_mbuf *m)
{
    struct rte_mbuf *next;
    for (; m; m = next) {
        next = m->next;
        m->next = NULL;
        m->nb_segs = 1;
        uint32_t done = tp->rcv.tail && wasteful(tp, m) ? fill_last(tp, m) : 0;
        m->data_off = (uint16_t)(m->data_off + done);
        m->data_len = (uint16_t)(m->data_len - done);
        if (m->data_len == 0)
            pkt_free(m);
        else
            hang(tp, m);
    }
}

void recvbuf_append(struct tcb *tp, struct rte_mbuf *m)
{
    if (tp->rcv.tail || m->next || m->data_len == 0) {
        append_many(tp, m);
        return;
    }
    m->nb_segs = 1; /* the usual: what came before has been read */
    hang(tp, m);
}

static struct rte_mbuf *copied(struct engine *e, const uint8_t *data, uint32_t len, struct rte_mbuf **last)
{
    struct rte_mbuf *first = NULL, **end = &first, *m;
    for (uint32_t n; len > 0; data += n, len -= n) {
        *end = m = pkt_alloc(e->pkt_pool);
        if (!m) {
            rte_pktmbuf_free(first);
            return NULL;
        }
        n = RTE_MIN(len, (uint32_t)rte_pktmbuf_tailroom(m));
        memcpy(rte_pktmbuf_append(m, (uint16_t)n), data, n);
        end = &m->next;
        *last = m;
    }
    return first;
}

int recvbuf_prepend(struct tcb *tp, const void *data, uint32_t len)
{
    struct recvbuf *rb = &tp->rcv;
    struct rte_mbuf *last = NULL, *first = copied(tp->e, data, len, &last);
    if (!first)
        return len ? -ENOBUFS : 0;
    recvbuf_charge(tp, &rb->memory, recvbuf_memory(first));
    rb->bytes += len;
    last->next = rb->head;
    rb->head = first;
    if (!rb->tail)
        rb->tail = last;
    return 0;
}

struct rte_mbuf *recvbuf_take(struct tcb *tp)
{
    struct recvbuf *rb = &tp->rcv;
    struct rte_mbuf *m = rb->head;
    if (!m)
        return NULL;
    rb->head = m->next;
    if (!rb->head)
        rb->tail = NULL;
    m->next = NULL;
    m->pkt_len = m->data_len;
    rb->bytes -= m->data_len;
    recvbuf_uncharge(tp, &rb->memory, recvbuf_seg_memory(m));
    return m;
}

void recvbuf_drop(struct tcb *tp, uint32_t n)
{
    struct recvbuf *rb = &tp->rcv;
    while (n > 0 && rb->head->data_len <= n) {
        n -= rb->head->data_len;
        pkt_free(recvbuf_take(tp));
    }
    if (n > 0) {
        rb->head->data_off = (uint16_t)(rb->head->data_off + n);
        rb->head->data_len = (uint16_t)(rb->head->data_len - n);
        rb->bytes -= n;
    }
}

void recvbuf_free(struct tcb *tp)
{
    recvbuf_drop(tp, tp->rcv.bytes);
}
