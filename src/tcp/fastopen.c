// SPDX-License-Identifier: BSD-3-Clause
// Fast Open's server: which SYNs may bring data, how many at a time, and what leaves before the handshake is over (RFC 7413 §4.2, §5.1).
#include "tcp/fastopen.h"
#include <errno.h>
#include <string.h>
#include <rte_jhash.h>
#include "base/alloc.h"
#include "tcp/log.h"
#include "tcp/output.h"
#include "tcp/stats.h"

#define HELD_SLOTS   16
#define HELD_SLOT_NS (4 * NS_PER_SEC) /* a reset connection keeps its place for about a minute, as in Linux */

struct fastopen_queue {
    uint32_t refs;             /* the listener, and connections that hold a place */
    uint32_t pending;          /* connections in SYN_RECEIVED */
    uint32_t held[HELD_SLOTS]; /* those that were reset, by the slot of time */
    uint64_t slot;             /* the newest */
};

static struct fastopen_stats *stats(const struct tcb *tp)
{
    return &tp->e->tcp->fastopen->stats;
}

/* ---- the queue ---- */

static void queue_put(struct fastopen_queue *q)
{
    if (q && --q->refs == 0)
        mem_free(q);
}

/* Slots whose time is over are free again. */
static void queue_age(struct fastopen_queue *q, uint64_t now)
{
    uint64_t slot = now / HELD_SLOT_NS, steps = slot - q->slot;
    for (uint64_t i = 1; i <= RTE_MIN(steps, (uint64_t)HELD_SLOTS); i++)
        q->held[(q->slot + i) % HELD_SLOTS] = 0;
    q->slot = slot;
}

static uint32_t queue_used(struct fastopen_queue *q, uint64_t now)
{
    uint32_t n = q->pending;
    queue_age(q, now);
    for (unsigned i = 0; i < HELD_SLOTS; i++)
        n += q->held[i];
    return n;
}

/* What TCP_FASTOPEN asked for; by 1, FreeBSD's word for "on", half of the backlog, and one at least. */
static uint32_t queue_limit(const struct tcb *listener)
{
    uint32_t want = listener->fastopen->queue_want, half = listener->listen->backlog / 2;
    if (want > 1)
        return RTE_MIN(want, listener->e->tcp->params.somaxconn);
    return half > 0 ? half : 1;
}

/* tp leaves its place, which stays taken for a time when a RST emptied it. */
static void leave(struct tcb *tp, bool by_reset)
{
    struct fastopen *fo = tp->fastopen;
    struct fastopen_queue *q = fo->queue;
    if (!fo->holds)
        return;
    fo->holds = false;
    fo->queue = NULL;
    q->pending--;
    if (by_reset) {
        queue_age(q, tp->e->now);
        q->held[q->slot % HELD_SLOTS]++;
    }
    queue_put(q);
}

int fastopen_listen(struct tcb *tp)
{
    struct fastopen *fo = tp->fastopen;
    if (!fo || fo->queue)
        return 0;
    fo->queue = mem_alloc(sizeof(*fo->queue));
    if (!fo->queue)
        return -ENOBUFS;
    fo->queue->refs = 1;
    return 0;
}

/* ---- SYN ---- */

static enum fastopen_verdict answer_with(struct tcb *listener, const struct ip_addr *peer,
                                         struct fastopen_option *answer)
{
    if (fastopen_fresh(listener->e->tcp, peer, answer))
        return FASTOPEN_ANSWER;
    stats(listener)->server_nokey++;
    return FASTOPEN_ORDINARY;
}

static enum fastopen_verdict judge(struct tcb *listener, const struct tcp_segment *s,
                                   struct fastopen_option *answer)
{
    struct tcp_layer *t = listener->e->tcp;
    const struct fastopen *fo = listener->fastopen;
    const struct ip_addr *peer = &segment_info(s)->src;
    if (t->fastopen->params.acceptany) {
        stats(listener)->server_cookie_valid++;
        fastopen_fresh(t, peer, answer);
        return FASTOPEN_ACCEPT;
    }
    enum fastopen_validity v =
        fastopen_check(t, fo->has_psk ? fo->psk : NULL, peer, s->opt.fo_cookie, s->opt.fo_len);
    enum fastopen_verdict verdict = answer_with(listener, peer, answer);
    if (verdict == FASTOPEN_ORDINARY)
        return verdict;
    stats(listener)->server_cookie_valid += v == FASTOPEN_VALID;
    stats(listener)->server_cookie_invalid += v == FASTOPEN_INVALID;
    stats(listener)->server_psk_invalid += v == FASTOPEN_UNPROVEN;
    return v == FASTOPEN_VALID ? FASTOPEN_ACCEPT : verdict;
}

enum fastopen_verdict fastopen_syn(struct tcb *listener, const struct tcp_segment *s,
                                   struct fastopen_option *answer)
{
    struct tcp_layer *t = listener->e->tcp;
    struct fastopen *fo = listener->fastopen;
    if (!(listener->flags & TF_FASTOPEN) || !t->fastopen->params.server_enable || !fo || !fo->queue)
        return FASTOPEN_ORDINARY;
    if (!fastopen_length_good(s->opt.fo_len)) {
        stats(listener)->server_cookie_badlen++;
        return FASTOPEN_ORDINARY;
    }
    memset(answer, 0, sizeof(*answer));
    answer->experimental = s->opt.fo_experimental;
    fastopen_keys_refresh(t);
    if (s->opt.fo_len == 0 && !t->fastopen->params.acceptany) {
        stats(listener)->server_request++;
        return answer_with(listener, &segment_info(s)->src, answer);
    }
    if (queue_used(fo->queue, t->e->now) >= queue_limit(listener)) { /* §5.1 */
        stats(listener)->server_pending_overflow++;
        return FASTOPEN_ORDINARY;
    }
    return judge(listener, s, answer);
}

/* RFC 7413 §2.1, §6.1: nothing tells a SYN that the network repeats from a new one; but it can be counted. */
static void count_repetition(struct tcb *tp)
{
    struct tcp_fastopen *f = tp->e->tcp->fastopen;
    uint32_t h = rte_jhash_3words(tp->hash, tp->irs, tp->fport, (uint32_t)tp->e->secret.k[1]) | 1;
    uint32_t *slot = &f->seen[(h >> 1) % FASTOPEN_SEEN];
    f->stats.syn_repeated += *slot == h;
    *slot = h;
}

/* The data goes to the application now (§4.2.2). */
static void deliver_data(struct tcb *tp, struct tcp_segment *s)
{
    tcp_seq before = tp->rcv_nxt;
    if (s->len == 0 || !tcp_trim(tp, s))
        return;
    tcp_input_payload(tp, s);
    tp->fastopen->syn_data = tp->rcv_nxt != before;
    stats(tp)->syn_data_received += tp->fastopen->syn_data;
}

/* And so does the end of it, if all of the data was taken (RFC 9293 §3.10.7.4, eighth step). */
static void deliver(struct tcb *tp, struct tcp_segment *s)
{
    tcp_seq end = s->seq + 1 + s->len;
    bool fin = s->flags & RTE_TCP_FIN_FLAG;
    s->seq++;
    s->flags &= (uint8_t) ~(RTE_TCP_SYN_FLAG | RTE_TCP_FIN_FLAG);
    deliver_data(tp, s);
    if (!fin || tp->rcv_nxt != end)
        return;
    tp->fin_seq = tp->rcv_nxt++;
    tp->fastopen->fin = true;
    tp->up->readable(tp);
}

bool fastopen_take(struct tcb *listener, struct tcb *tp, struct tcp_segment *s,
                   const struct fastopen_option *answer)
{
    struct fastopen *fo = fastopen_state(tp);
    if (!fo)
        return false;
    fo->queue = listener->fastopen->queue;
    fo->queue->refs++;
    fo->queue->pending++;
    fo->holds = fo->early = true;
    fo->option = *answer;
    fo->offered = answer->len > 0;
    tp->flags |= TF_FASTOPEN;
    tp->snd_nxt = tp->snd_max = tp->iss; /* the SYN-ACK is still to be sent */
    tp->rtt_start = 0;
    tp->segs_out = 0;
    tp->stack->established(tp); /* cwnd: the answer may leave before the handshake is over */
    stats(tp)->passive_open++;
    count_repetition(tp);
    if (tcp_logging(tp))
        tcp_log_in(tp, s);
    deliver(tp, s);
    tcb_mark_due(tp);
    return true;
}

/* ---- what leaves in SYN_RECEIVED ---- */

/* Bytes that window and cwnd leave from snd_nxt on. */
static uint32_t early_room(const struct tcb *tp)
{
    tcp_seq first = tp->iss + 1;
    uint32_t out = seq_gt(tp->snd_nxt, first) ? tp->snd_nxt - first : 0;
    uint32_t most = RTE_MIN(tp->cwnd, tp->snd_wnd), ready = tp->snd.ready;
    most = RTE_MIN(most, ready);
    return most > out ? most - out : 0;
}

/* RFC 7413 §4.2.2: the answer rides on the SYN-ACK if the application has one within the time of a delayed ACK. */
static void send_synack(struct tcb *tp)
{
    bool again = tp->snd_max != tp->iss;
    if (!again && (tp->flags & TF_DELACK) && !(tp->flags & TF_ACKNOW) && tp->snd.ready == 0)
        return;
    if (again) {
        tcp_output_syn(tp);
        tp->snd_nxt = tp->iss + 1;
    } else {
        tcp_output_opening(tp, early_room(tp), (uint16_t)(tp->maxseg + (tcp_has_timestamps(tp) ? 12 : 0)));
        stats(tp)->server_cookie_sent += tp->fastopen->offered && tp->snd_max != tp->iss;
    }
}

static void server_output(struct tcb *tp)
{
    if (tp->snd_nxt == tp->iss) {
        send_synack(tp);
    }
    bool lost = tp->rexmits > 0 || seq_lt(tp->snd_nxt, tp->snd_max); /* data follows the handshake now */
    while (!lost && tp->snd_nxt != tp->iss && early_room(tp) > 0) {
        uint32_t room = early_room(tp);
        if (tcp_output_early(tp, RTE_MIN(room, (uint32_t)tp->maxseg)) < 0)
            break;
    }
    if (tp->snd_nxt != tp->iss && (tp->flags & TF_ACKNOW))
        tcp_output_ack(tp);
}

/* A client's SYN, with what it may bring. */
static void client_output(struct tcb *tp)
{
    struct fastopen *fo = tp->fastopen;
    if (fo->deferred || tp->snd_nxt != tp->iss)
        return;
    if (tp->snd_max != tp->iss || !fo->may_carry) {
        tcp_output_syn(tp);
        return;
    }
    uint16_t mss = fo->mss ? fo->mss : (uint16_t)(ip_addr_is_v4(&tp->faddr) ? 536 : 1220); /* §4.1.3 */
    uint16_t ours = tcp_mss_largest(&tp->faddr, tp->path.mtu, tp->maxseg_user, tp->path.netif);
    tcp_output_opening(tp, tp->snd.ready, RTE_MIN(mss, ours));
    if (tp->snd_max == tp->iss)
        return; /* nothing could be sent */
    fo->syn_len = tp->snd_max - tp->iss - 1;
    stats(tp)->syn_data_sent += fo->syn_len > 0;
}

void fastopen_output(struct tcb *tp)
{
    if (tp->fastopen->early)
        server_output(tp);
    else if (tp->state == TCPS_SYN_SENT)
        client_output(tp);
    else if (tp->snd_nxt == tp->iss) /* both began (RFC 9293 §3.5): an ordinary handshake */
        tcp_output_syn(tp);
    else if (tp->flags & TF_ACKNOW)
        tcp_output_ack(tp);
}

void fastopen_kick(struct tcb *tp)
{
    if (tp->state == TCPS_SYN_SENT && tp->fastopen->deferred) {
        tp->fastopen->deferred = false;
        tcb_mark_due(tp);
    } else if (tp->state == TCPS_SYN_RECEIVED && tp->fastopen->early) {
        tcb_mark_due(tp);
    }
}

/* ---- the end of the handshake, and of the connection ---- */

void fastopen_established(struct tcb *tp)
{
    struct fastopen *fo = tp->fastopen;
    if (!fo->early)
        return;
    if (fo->holds)
        stats(tp)->passive_established++;
    leave(tp, false);
    if (tp->rexmits > 0) { /* a SYN-ACK was lost, and what followed it perhaps too */
        tp->cwnd = tp->maxseg;
        tp->snd_nxt = tp->snd_una;
    }
    if (tp->snd_max != tp->snd_una)
        rto_arm(tp, tp->e->now);
}

void fastopen_reset(struct tcb *tp)
{
    if (!tp->fastopen->holds)
        return;
    stats(tp)->passive_reset++;
    leave(tp, true);
}

void fastopen_closed(struct tcb *tp)
{
    if (!tp->fastopen->holds)
        return;
    stats(tp)->passive_failed++;
    leave(tp, false);
}

struct fastopen *fastopen_state(struct tcb *tp)
{
    if (tp->fastopen)
        return tp->fastopen;
    struct fastopen *fo = pool_get(&tp->e->tcp->fastopen->states);
    if (fo)
        memset(fo, 0, sizeof(*fo));
    tp->fastopen = fo;
    return fo;
}

void fastopen_free(struct tcb *tp)
{
    struct fastopen *fo = tp->fastopen;
    leave(tp, false);
    queue_put(fo->queue);
    explicit_bzero(fo, sizeof(*fo)); /* keys */
    pool_put(&tp->e->tcp->fastopen->states, fo);
    tp->fastopen = NULL;
}
