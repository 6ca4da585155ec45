// SPDX-License-Identifier: BSD-3-Clause
// The reassembly queue: runs of bytes without a gap, sorted, never overlapping or touching. What came
// first stays, except where a later segment covers a whole run.
#include <rte_mbuf.h>
#include "base/alloc.h"
#include "tcp/reassembly.h"
#include "tcp/recvbuf.h"
#include "tcp/stats.h"

static struct reass *reass_make(struct tcb *tp)
{
    struct reass *r = mem_alloc(sizeof(*r));
    if (r) {
        TAILQ_INIT(&r->order);
        TAILQ_INIT(&r->recent);
        tp->reass = r;
    }
    return r;
}

static void touch(struct reass *r, struct reass_run *run)
{
    TAILQ_REMOVE(&r->recent, run, recent);
    TAILQ_INSERT_HEAD(&r->recent, run, recent);
}

static void run_unlink(struct tcb *tp, struct reass_run *run)
{
    struct reass *r = tp->reass;
    TAILQ_REMOVE(&r->order, run, order);
    TAILQ_REMOVE(&r->recent, run, recent);
    r->runs--;
    pool_put(&tp->e->tcp->reass_segs, run);
}

static void reass_free_if_empty(struct tcb *tp)
{
    struct reass *r = tp->reass;
    if (r->runs == 0 && !r->fin) {
        RTE_ASSERT(r->memory == 0);
        mem_free(r);
        tp->reass = NULL;
    }
}

void reass_free(struct tcb *tp)
{
    struct reass *r = tp->reass;
    struct reass_run *run;
    if (!r)
        return;
    while ((run = TAILQ_FIRST(&r->order)) != NULL) {
        rte_pktmbuf_free(run->head);
        run_unlink(tp, run);
    }
    recvbuf_uncharge(tp, &r->memory, r->memory);
    mem_free(r);
    tp->reass = NULL;
}

void reass_duplicate(struct tcb *tp, tcp_seq start, tcp_seq end)
{
    if (!(tp->flags & TF_SACK_PERMIT))
        return;
    tp->dsack_start = start;
    tp->dsack_end = end;
    tp->e->tcp->stats->dsack_sent++;
}

static struct rte_mbuf *chain_end(struct rte_mbuf *m)
{
    while (m->next)
        m = m->next;
    return m;
}

/* The last run that begins at or before seq. The newest is the likeliest: losses leave one growing run at the end. */
static struct reass_run *run_before(struct reass *r, tcp_seq seq)
{
    struct reass_run *run = TAILQ_LAST(&r->order, reass_runs);
    while (run && seq_gt(run->start, seq))
        run = TAILQ_PREV(run, reass_runs, order);
    return run;
}

/* Appends b, which begins where a ends, to a. */
static void join(struct tcb *tp, struct reass_run *a, struct reass_run *b)
{
    a->tail->next = b->head;
    a->tail = b->tail;
    a->end = b->end;
    run_unlink(tp, b);
}

static void keep(struct tcb *tp, struct rte_mbuf *m, uint32_t len)
{
    struct tcp_stats *st = tp->e->tcp->stats;
    st->rcvoopack++;
    st->rcvoobyte += len;
    tp->ooo_segs++;
    recvbuf_charge(tp, &tp->reass->memory, recvbuf_memory(m));
}

/* A new run between prev and what follows it. Takes m. False: a limit. */
static bool run_add(struct tcb *tp, struct reass_run *prev, struct rte_mbuf *m, tcp_seq seq, uint32_t len)
{
    struct tcp_layer *t = tp->e->tcp;
    struct reass *r = tp->reass;
    struct reass_run *run = r->runs < t->params.reass_maxqueuelen ? pool_get(&t->reass_segs) : NULL;
    if (!run) {
        t->stats->rcvreassfull++;
        rte_pktmbuf_free(m);
        return false;
    }
    keep(tp, m, len);
    *run = (struct reass_run){.start = seq, .end = seq + len, .head = m, .tail = chain_end(m)};
    if (prev)
        TAILQ_INSERT_AFTER(&r->order, prev, run, order);
    else
        TAILQ_INSERT_HEAD(&r->order, run, order);
    TAILQ_INSERT_HEAD(&r->recent, run, recent);
    r->runs++;
    return true;
}

/* Adds m (seq, len overlapping nothing, behind prev if any, before next if any), joining what it touches. */
static void run_place(struct tcb *tp, struct reass_run *prev, struct rte_mbuf *m, tcp_seq seq, uint32_t len)
{
    struct reass *r = tp->reass;
    if (prev && prev->end == seq) {
        keep(tp, m, len);
        prev->tail->next = m;
        prev->tail = chain_end(m);
        prev->end = seq + len;
        touch(r, prev);
    } else {
        if (!run_add(tp, prev, m, seq, len))
            return;
        prev = prev ? TAILQ_NEXT(prev, order) : TAILQ_FIRST(&r->order);
    }
    struct reass_run *next = TAILQ_NEXT(prev, order);
    if (next && next->start == prev->end)
        join(tp, prev, next);
}

/* A run that a longer segment covers whole gives way to it. */
static void run_discard(struct tcb *tp, struct reass_run *run)
{
    recvbuf_uncharge(tp, &tp->reass->memory, recvbuf_memory(run->head));
    rte_pktmbuf_free(run->head);
    run_unlink(tp, run);
}

/* What prev has of m's beginning is cut off. NULL when that is all. */
static struct rte_mbuf *trim_front(struct tcb *tp, struct reass_run *prev, struct rte_mbuf *m, tcp_seq *seq,
                                   uint32_t len)
{
    if (!prev || seq_leq(prev->end, *seq))
        return m;
    tcp_seq end = *seq + len;
    reass_duplicate(tp, *seq, seq_min(prev->end, end));
    if (seq_geq(prev->end, end)) {
        tp->e->tcp->stats->rcvoodup++;
        touch(tp->reass, prev);
        rte_pktmbuf_free(m);
        return NULL;
    }
    m = pktchain_skip(m, prev->end - *seq);
    *seq = prev->end;
    return m;
}

/* Runs that m reaches into: covered ones go, at the last m ends. Returns m's new end. */
static tcp_seq trim_back(struct tcb *tp, struct reass_run *next, struct rte_mbuf *m, tcp_seq seq, tcp_seq end)
{
    while (next && seq_gt(end, next->start)) {
        struct reass_run *after = TAILQ_NEXT(next, order);
        if (tp->dsack_start == tp->dsack_end)
            reass_duplicate(tp, next->start, seq_min(next->end, end));
        if (seq_geq(next->end, end)) {
            end = next->start;
            pktchain_cut(m, end - seq);
            break;
        }
        run_discard(tp, next);
        next = after;
    }
    return end;
}

static void insert_data(struct tcb *tp, struct rte_mbuf *m, tcp_seq seq, uint32_t len)
{
    struct reass_run *prev = run_before(tp->reass, seq);
    tcp_seq end = seq + len;
    m = trim_front(tp, prev, m, &seq, len);
    if (!m)
        return;
    end = trim_back(tp, prev ? TAILQ_NEXT(prev, order) : TAILQ_FIRST(&tp->reass->order), m, seq, end);
    len = end - seq;
    if (!recvbuf_room_reass(tp, m)) {
        tp->e->tcp->stats->rcvmemdrop++;
        rte_pktmbuf_free(m);
        return;
    }
    run_place(tp, prev, m, seq, len);
}

void reass_insert(struct tcb *tp, struct rte_mbuf *m, tcp_seq seq, uint32_t len, bool fin)
{
    if (!tp->reass && !reass_make(tp)) {
        tp->e->tcp->stats->rcvmemdrop++;
        rte_pktmbuf_free(m);
        return;
    }
    if (fin && !tp->reass->fin) {
        tp->reass->fin = true;
        tp->reass->fin_seq = seq + len;
    }
    if (len > 0)
        insert_data(tp, m, seq, len);
    else
        rte_pktmbuf_free(m);
    reass_free_if_empty(tp);
}

/* Takes a run that begins at or before rcv_nxt. Returns its new bytes. */
static uint32_t run_deliver(struct tcb *tp, struct reass_run *run)
{
    uint32_t fresh = seq_gt(run->end, tp->rcv_nxt) ? run->end - tp->rcv_nxt : 0;
    /* What filled the gap reached into the run: that part came twice. The first such part is reported. */
    if (seq_lt(run->start, tp->rcv_nxt) && tp->dsack_start == tp->dsack_end)
        reass_duplicate(tp, run->start, seq_min(run->end, tp->rcv_nxt));
    recvbuf_uncharge(tp, &tp->reass->memory, recvbuf_memory(run->head));
    if (fresh > 0) {
        struct rte_mbuf *m = pktchain_skip(run->head, tp->rcv_nxt - run->start);
        if (tp->flags & TF_CANTRCVMORE)
            rte_pktmbuf_free(m);
        else
            recvbuf_append(tp, m);
        tp->rcv_nxt = run->end;
    } else {
        rte_pktmbuf_free(run->head);
    }
    run_unlink(tp, run);
    return fresh;
}

uint32_t reass_advance(struct tcb *tp, bool *fin)
{
    struct reass *r = tp->reass;
    struct reass_run *run;
    uint32_t bytes = 0;
    while ((run = TAILQ_FIRST(&r->order)) != NULL && seq_leq(run->start, tp->rcv_nxt))
        bytes += run_deliver(tp, run);
    *fin = r->fin && r->fin_seq == tp->rcv_nxt;
    if (*fin)
        r->fin = false;
    reass_free_if_empty(tp);
    return bytes;
}

/* RFC 2883 §4: the second block is the one that holds the duplicate, when it lies in a run beyond the ACK. */
static const struct reass_run *run_around(const struct tcb *tp, tcp_seq seq)
{
    const struct reass_run *run;
    if (tp->reass)
        TAILQ_FOREACH (run, &tp->reass->recent, recent)
            if (seq_leq(run->start, seq) && seq_lt(seq, run->end))
                return run;
    return NULL;
}

unsigned reass_sack_blocks(struct tcb *tp, struct sack_block *out, unsigned max)
{
    const struct reass_run *first = NULL, *run;
    unsigned n = 0;
    if (!(tp->flags & TF_SACK_PERMIT))
        return 0;
    if (tp->dsack_start != tp->dsack_end && n < max) {
        out[n++] = (struct sack_block){tp->dsack_start, tp->dsack_end};
        first = run_around(tp, tp->dsack_start);
        tp->dsack_start = tp->dsack_end;
    }
    if (first && n < max)
        out[n++] = (struct sack_block){first->start, first->end};
    if (tp->reass)
        TAILQ_FOREACH (run, &tp->reass->recent, recent)
            if (run != first && n < max)
                out[n++] = (struct sack_block){run->start, run->end};
    return n;
}
