// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/loss/sendmap.h"
#include <errno.h>
#include <rte_common.h>

void sendmap_shared_init(struct sendmap_shared *s)
{
    pool_init(&s->entries, "send map entries", sizeof(struct sendmap_entry), UINT32_MAX, 256);
}

void sendmap_shared_fini(struct sendmap_shared *s)
{
    pool_fini(&s->entries);
}

/* ---- order of sequence: a list, and a treap (Seidel, Aragon 1996) on it. Ranks are chance: O(log n) whatever the peer does. ---- */

static uint32_t next_rank(struct sendmap *m)
{
    uint32_t x = m->seed; /* xorshift (Marsaglia 2003) */
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return m->seed = x;
}

/* Where the pointer to e stands. */
static struct sendmap_entry **link_to(struct sendmap *m, const struct sendmap_entry *e)
{
    struct sendmap_entry *p = e->parent;
    return !p ? &m->root : p->left == e ? &p->left : &p->right;
}

/* e takes the place of its parent, which becomes its child. */
static void rotate_up(struct sendmap *m, struct sendmap_entry *e)
{
    struct sendmap_entry *p = e->parent, *child;
    *link_to(m, p) = e;
    e->parent = p->parent;
    if (p->left == e) {
        child = p->left = e->right;
        e->right = p;
    } else {
        child = p->right = e->left;
        e->left = p;
    }
    if (child)
        child->parent = p;
    p->parent = e;
}

static void tree_insert(struct sendmap *m, struct sendmap_entry *e)
{
    e->left = e->right = NULL;
    e->rank = next_rank(m);
    if (e->prev && !e->prev->right) {
        e->parent = e->prev;
        e->prev->right = e;
    } else if (e->next) { /* then its left is free: prev, if any, is below it */
        e->parent = e->next;
        e->next->left = e;
    } else {
        e->parent = NULL;
        m->root = e;
    }
    while (e->parent && e->parent->rank < e->rank)
        rotate_up(m, e);
}

static void tree_remove(struct sendmap *m, struct sendmap_entry *e)
{
    while (e->left && e->right)
        rotate_up(m, e->left->rank > e->right->rank ? e->left : e->right);
    struct sendmap_entry *child = e->left ? e->left : e->right;
    *link_to(m, e) = child;
    if (child)
        child->parent = e->parent;
}

/* After prev; NULL: at the front. */
static void seq_insert(struct sendmap *m, struct sendmap_entry *e, struct sendmap_entry *prev)
{
    e->prev = prev;
    e->next = prev ? prev->next : m->first;
    *(prev ? &prev->next : &m->first) = e;
    *(e->next ? &e->next->prev : &m->last) = e;
    tree_insert(m, e);
    m->n++;
}

static void seq_remove(struct sendmap *m, struct sendmap_entry *e)
{
    tree_remove(m, e);
    *(e->prev ? &e->prev->next : &m->first) = e->next;
    *(e->next ? &e->next->prev : &m->last) = e->prev;
    m->n--;
}

struct sendmap_entry *sendmap_find(const struct sendmap *m, tcp_seq seq)
{
    struct sendmap_entry *e = m->root;
    while (e && (seq_lt(seq, e->start) || seq_geq(seq, e->end)))
        e = seq_lt(seq, e->start) ? e->left : e->right;
    return e;
}

/* ---- order of time, and of what is lost ---- */

/* After at; NULL: at the front. */
static void time_insert(struct sendmap *m, struct sendmap_entry *e, struct sendmap_entry *at)
{
    e->older = at;
    e->newer = at ? at->newer : m->oldest;
    *(at ? &at->newer : &m->oldest) = e;
    *(e->newer ? &e->newer->older : &m->newest) = e;
}

static void time_remove(struct sendmap *m, struct sendmap_entry *e)
{
    if (m->before == e)
        m->before = e->older;
    *(e->older ? &e->older->newer : &m->oldest) = e->newer;
    *(e->newer ? &e->newer->older : &m->newest) = e->older;
}

/* It was just sent. */
static void time_append(struct sendmap *m, struct sendmap_entry *e)
{
    struct sendmap_entry *at = m->newest;
    while (at && sendmap_older(e->xmit_ns, e->end, at->xmit_ns, at->end))
        at = at->older;
    time_insert(m, e, at);
}

struct sendmap_entry *sendmap_sent_before(const struct sendmap *m, uint64_t xmit_ns, tcp_seq end)
{
    struct sendmap_entry *at = NULL;
    for (struct sendmap_entry *e = m->oldest; e && sendmap_older(e->xmit_ns, e->end, xmit_ns, end);
         e = e->newer)
        at = e;
    return at;
}

/* The lost one below e; NULL: none. Losses come in order mostly, and those out of order near others. */
static struct sendmap_entry *lost_below(const struct sendmap *m, const struct sendmap_entry *e)
{
    struct sendmap_entry *p = e->prev, *n = e->next;
    if (!m->lost_first || seq_lt(e->start, m->lost_first->start))
        return NULL;
    if (seq_gt(e->start, m->lost_last->start))
        return m->lost_last;
    for (;;) { /* there is one on either side */
        if (p->state == SENDMAP_LOST)
            return p;
        if (n->state == SENDMAP_LOST)
            return n->older;
        p = p->prev;
        n = n->next;
    }
}

static void lost_insert(struct sendmap *m, struct sendmap_entry *e)
{
    struct sendmap_entry *at = lost_below(m, e);
    e->older = at;
    e->newer = at ? at->newer : m->lost_first;
    *(at ? &at->newer : &m->lost_first) = e;
    *(e->newer ? &e->newer->older : &m->lost_last) = e;
    m->lost += e->end - e->start;
}

static void lost_remove(struct sendmap *m, struct sendmap_entry *e)
{
    *(e->older ? &e->older->newer : &m->lost_first) = e->newer;
    *(e->newer ? &e->newer->older : &m->lost_last) = e->older;
    m->lost -= e->end - e->start;
}

/* Out of the order of its state. */
static void state_leave(struct sendmap *m, struct sendmap_entry *e)
{
    if (e->state == SENDMAP_FLYING)
        time_remove(m, e);
    else if (e->state == SENDMAP_LOST)
        lost_remove(m, e);
}

/* ---- entries ---- */

void sendmap_init(struct sendmap *m, struct sendmap_shared *shared, uint32_t seed)
{
    *m = (struct sendmap){.shared = shared, .seed = seed ? seed : 1};
}

void sendmap_free(struct sendmap *m)
{
    struct sendmap_entry *e = m->first, *next;
    for (; e; e = next) {
        next = e->next;
        pool_put(&m->shared->entries, e);
    }
    if (m->spare)
        pool_put(&m->shared->entries, m->spare);
    sendmap_init(m, m->shared, m->seed);
}

static struct sendmap_entry *entry_get(struct sendmap *m)
{
    struct sendmap_entry *e = m->spare;
    m->spare = NULL;
    if (!e)
        e = pool_get(&m->shared->entries);
    if (!e)
        m->shared->nomem++;
    return e;
}

static void entry_put(struct sendmap *m, struct sendmap_entry *e)
{
    if (!m->spare)
        m->spare = e;
    else
        pool_put(&m->shared->entries, e);
}

static void entry_remove(struct sendmap *m, struct sendmap_entry *e)
{
    seq_remove(m, e);
    m->splits -= e->extra;
    entry_put(m, e);
}

/* e becomes [start, at); returns the new [at, end) of the same kind. NULL: no memory. */
static struct sendmap_entry *split(struct sendmap *m, struct sendmap_entry *e, tcp_seq at)
{
    struct sendmap_entry *n = entry_get(m);
    if (!n)
        return NULL;
    *n = *e;
    n->start = at;
    n->extra = false;
    e->end = at;
    seq_insert(m, n, e);
    n->older = e;
    n->newer = e->newer;
    e->newer = n;
    if (n->state == SENDMAP_FLYING) {
        *(n->newer ? &n->newer->older : &m->newest) = n;
        if (m->before == e)
            m->before = n;
    } else {
        *(n->newer ? &n->newer->older : &m->lost_last) = n;
    }
    return n;
}

/* ---- sending ---- */

bool sendmap_ready(struct sendmap *m)
{
    struct sendmap_shared *s = m->shared;
    if (s->map_limit && m->n >= s->map_limit) {
        s->map_limited++;
        return false;
    }
    if (!m->spare)
        m->spare = pool_get(&s->entries);
    if (!m->spare)
        s->nomem++;
    return m->spare;
}

/* Does what leaves now in segments of mss continue e, so that one entry is right for both? */
static bool continues(const struct sendmap_entry *e, uint64_t now, uint16_t mss, unsigned rexmits)
{
    return e && e->state == SENDMAP_FLYING && e->xmit_ns == now && e->mss == mss && e->rexmits == rexmits &&
           !e->untimed && (e->end - e->start) % mss == 0;
}

/* e is the first in an empty map: the usual case of requests and replies. */
static void alone(struct sendmap *m, struct sendmap_entry *e)
{
    e->prev = e->next = e->older = e->newer = NULL;
    e->parent = e->left = e->right = NULL;
    e->rank = next_rank(m);
    m->first = m->last = m->root = m->oldest = m->newest = e;
    m->n = 1;
}

static struct sendmap_entry *append(struct sendmap *m, tcp_seq seq, tcp_seq end, uint16_t mss, uint64_t now)
{
    struct sendmap_entry *e = entry_get(m);
    if (!e)
        return NULL;
    e->start = seq;
    e->end = end;
    e->xmit_ns = now;
    e->state = SENDMAP_FLYING;
    e->rexmits = 0;
    e->untimed = e->extra = false;
    e->mss = mss;
    if (m->last) {
        seq_insert(m, e, m->last);
        time_append(m, e);
    } else {
        alone(m, e);
    }
    return e;
}

static uint32_t segments(const struct sendmap_entry *e, uint32_t len)
{
    return e->mss > 1 ? (len + e->mss - 1) / e->mss : 1;
}

/* len bytes of e are delivered for good, or in doubt again. */
static void sacked_no_more(struct sendmap *m, struct sendmap_entry *e, uint32_t len)
{
    uint32_t segs = len == e->end - e->start ? e->segs : RTE_MIN(segments(e, len), e->segs - 1);
    m->sacked -= len;
    m->sacked_segs -= segs;
    e->segs -= segs;
}

static void sent_new(struct sendmap *m, tcp_seq seq, tcp_seq end, uint16_t mss, uint64_t now)
{
    struct sendmap_entry *l = m->last;
    if (l && continues(l, now, mss, 0)) {
        l->end = end;
        return;
    }
    if (append(m, seq, end, mss, now) || !l)
        return;
    /* No memory, though it was asked for (sendmap_ready): the last one takes it in. */
    state_leave(m, l);
    if (l->state == SENDMAP_SACKED)
        sacked_no_more(m, l, l->end - l->start);
    l->end = end;
    l->xmit_ns = now;
    l->state = SENDMAP_FLYING;
    l->untimed = true;
    time_append(m, l);
}

/* The whole of e was sent again. */
static void entry_resent(struct sendmap *m, struct sendmap_entry *e, uint16_t mss, uint64_t now)
{
    state_leave(m, e);
    e->state = SENDMAP_FLYING;
    e->xmit_ns = now;
    e->untimed = false;
    e->mss = mss;
    if (e->rexmits < UINT8_MAX)
        e->rexmits++;
    time_append(m, e);
}

/* The first n bytes of e go to prev, which was sent again in the same turn. */
static void shift_resent(struct sendmap *m, struct sendmap_entry *e, uint32_t n)
{
    e->prev->end += n;
    if (n == e->end - e->start) {
        state_leave(m, e);
        entry_remove(m, e);
        return;
    }
    if (e->state == SENDMAP_LOST)
        m->lost -= n;
    e->start += n;
}

/* [seq, end) of e was sent again. */
static void resent(struct sendmap *m, struct sendmap_entry *e, tcp_seq seq, tcp_seq end, uint16_t mss,
                   uint64_t now)
{
    unsigned times = e->rexmits < UINT8_MAX ? e->rexmits + 1u : UINT8_MAX;
    if (seq == e->start && continues(e->prev, now, mss, times)) {
        shift_resent(m, e, end - seq);
        return;
    }
    if (end != e->end)
        split(m, e, end);
    if (seq != e->start) {
        struct sendmap_entry *tail = split(m, e, seq);
        e = tail ? tail : e;
    }
    entry_resent(m, e, mss, now);
}

void sendmap_sent(struct sendmap *m, tcp_seq seq, tcp_seq end, uint16_t mss, uint64_t now)
{
    if (!m->last || seq == m->last->end) {
        sent_new(m, seq, end, mss, now);
        return;
    }
    struct sendmap_entry *e = sendmap_find(m, seq), *next;
    for (; e && seq_lt(e->start, end); e = next) {
        tcp_seq from = seq_max(seq, e->start), to = seq_min(end, e->end);
        next = e->next;
        if (e->state != SENDMAP_SACKED)
            resent(m, e, from, to, mss, now);
    }
    if (seq_gt(end, m->last->end))
        sent_new(m, m->last->end, end, mss, now);
}

int sendmap_adopt(struct sendmap *m, tcp_seq seq, tcp_seq end, uint64_t now)
{
    struct sendmap_entry *e = append(m, seq, end, 1, now);
    if (!e)
        return -ENOMEM;
    e->untimed = true;
    return 0;
}

/* ---- being acknowledged ---- */

/* The cumulative ACK ends within e. */
static void cut(struct sendmap *m, struct sendmap_entry *e, tcp_seq una)
{
    uint32_t n = una - e->start;
    if (e->state == SENDMAP_LOST)
        m->lost -= n;
    else if (e->state == SENDMAP_SACKED)
        sacked_no_more(m, e, n);
    if (e->mss > 1 && n % e->mss != 0)
        e->mss = 1; /* the peer counts in other pieces than we do */
    e->start = una;
}

void sendmap_ack(struct sendmap *m, tcp_seq una, sendmap_delivered_fn delivered, void *arg)
{
    struct sendmap_entry *e;
    while ((e = m->first) != NULL && seq_leq(e->end, una)) {
        if (e->state == SENDMAP_SACKED) {
            sacked_no_more(m, e, e->end - e->start);
        } else {
            struct sendmap_entry *older = e->state == SENDMAP_FLYING ? e->older : NULL;
            delivered(arg, e, e->start, e->end, older);
            state_leave(m, e);
        }
        entry_remove(m, e);
    }
    if (e && seq_lt(e->start, una)) {
        if (e->state != SENDMAP_SACKED)
            delivered(arg, e, e->start, una, e->state == SENDMAP_FLYING ? e->older : NULL);
        cut(m, e, una);
    }
}

/* e, all of it, has been delivered: it joins its neighbours. */
static void sacked_whole(struct sendmap *m, struct sendmap_entry *e, uint32_t segs)
{
    state_leave(m, e);
    e->state = SENDMAP_SACKED;
    e->segs = segs;
    if (e->prev && e->prev->state == SENDMAP_SACKED) {
        struct sendmap_entry *p = e->prev;
        p->end = e->end;
        p->segs += segs;
        entry_remove(m, e);
        e = p;
    }
    if (e->next && e->next->state == SENDMAP_SACKED) {
        e->next->start = e->start;
        e->next->segs += e->segs;
        entry_remove(m, e);
    }
}

/* A split on a SACK edge, if there may be one. */
static struct sendmap_entry *sack_split(struct sendmap *m, struct sendmap_entry *e, tcp_seq at)
{
    struct sendmap_shared *s = m->shared;
    if (s->split_limit && m->splits >= s->split_limit) {
        s->split_limited++;
        return NULL;
    }
    struct sendmap_entry *n = split(m, e, at);
    if (n) {
        n->extra = true;
        m->splits++;
    }
    return n;
}

/* [start, end) of e touches a SACKED neighbour: the border moves, without an entry more. */
static bool sack_border(struct sendmap *m, struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                        sendmap_delivered_fn delivered, void *arg)
{
    bool flying = e->state == SENDMAP_FLYING;
    struct sendmap_entry *p = e->prev, *n = e->next;
    if (start == e->start && end != e->end && p && p->state == SENDMAP_SACKED) {
        delivered(arg, e, start, end, flying ? e->older : NULL);
        p->end = e->start = end;
        p->segs += segments(e, end - start);
    } else if (end == e->end && start != e->start && n && n->state == SENDMAP_SACKED) {
        delivered(arg, e, start, end, flying ? e : NULL);
        n->start = e->end = start;
        n->segs += segments(e, end - start);
    } else {
        return false;
    }
    m->lost -= flying ? 0 : end - start;
    return true;
}

/* [start, end), whole segments of e that are not SACKED yet. False: there was no room to note it. */
static bool sack_part(struct sendmap *m, struct sendmap_entry *e, tcp_seq start, tcp_seq end,
                      sendmap_delivered_fn delivered, void *arg)
{
    uint32_t segs = segments(e, end - start);
    if (!sack_border(m, e, start, end, delivered, arg)) {
        if (end != e->end && !sack_split(m, e, end))
            return false;
        if (start != e->start && !(e = sack_split(m, e, start)))
            return false;
        delivered(arg, e, start, end, e->state == SENDMAP_FLYING ? e->older : NULL);
        sacked_whole(m, e, segs);
    }
    m->sacked += end - start;
    m->sacked_segs += segs;
    return true;
}

/* Edges of a block within e move to where segments of it begin and end. */
static void align(const struct sendmap_entry *e, tcp_seq *start, tcp_seq *end)
{
    if (e->mss <= 1)
        return;
    uint32_t head = (*start - e->start) % e->mss, tail = *end == e->end ? 0 : (*end - e->start) % e->mss;
    *end -= tail;
    if (head > 0)
        *start += e->mss - head;
}

uint32_t sendmap_sack(struct sendmap *m, tcp_seq start, tcp_seq end, sendmap_delivered_fn delivered,
                      void *arg)
{
    struct sendmap_entry *e = sendmap_find(m, start), *next;
    uint32_t fresh = 0;
    for (; e && seq_lt(e->start, end); e = next) {
        tcp_seq from = seq_max(start, e->start), to = seq_min(end, e->end);
        tcp_seq stop = e->end;
        next = e->next;
        if (e->state == SENDMAP_SACKED)
            continue;
        tcp_seq asked = to - from;
        align(e, &from, &to);
        m->shared->misaligned += seq_geq(from, to) || to - from != asked;
        if (seq_geq(from, to))
            continue;
        if (!sack_part(m, e, from, to, delivered, arg))
            continue;
        fresh += to - from;
        while (next && seq_lt(next->start, stop)) /* what was split off */
            next = next->next;
    }
    return fresh;
}

/* ---- being lost ---- */

uint32_t sendmap_lose(struct sendmap *m, struct sendmap_entry *e)
{
    time_remove(m, e);
    e->state = SENDMAP_LOST;
    lost_insert(m, e);
    return e->end - e->start;
}

void sendmap_lose_first(struct sendmap *m, uint32_t len)
{
    struct sendmap_entry *e = m->first;
    if (!e || e->state != SENDMAP_FLYING)
        return;
    if (e->mss > 1)
        len = e->mss;
    if (e->end - e->start > len)
        split(m, e, e->start + len);
    sendmap_lose(m, e);
}

void sendmap_lose_longer(struct sendmap *m, uint32_t len)
{
    struct sendmap_entry *next;
    for (struct sendmap_entry *e = m->oldest; e; e = next) {
        next = e->newer;
        if (e->end - e->start > len)
            sendmap_lose(m, e);
    }
}

void sendmap_unlose(struct sendmap *m)
{
    struct sendmap_entry *e;
    while ((e = m->lost_first) != NULL) {
        lost_remove(m, e);
        e->state = SENDMAP_FLYING;
        time_insert(m, e, sendmap_sent_before(m, e->xmit_ns, e->end));
    }
}

void sendmap_renege(struct sendmap *m)
{
    struct sendmap_entry *e = m->first;
    sacked_no_more(m, e, e->end - e->start);
    e->state = SENDMAP_LOST;
    e->untimed = true;
    lost_insert(m, e);
}

uint32_t sendmap_again(const struct sendmap *m)
{
    uint32_t bytes = 0;
    for (const struct sendmap_entry *e = m->first ? m->oldest : NULL; e; e = e->newer)
        bytes += e->rexmits > 0 ? e->end - e->start : 0;
    return bytes;
}
