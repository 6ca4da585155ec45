// SPDX-License-Identifier: BSD-3-Clause
// The table of half-open connections, and what segments and time do to them. Sending: synack.c; settings: syncache_params.c.
#include "tcp/syncache.h"
#include <errno.h>
#include <rte_log.h>
#include "base/alloc.h"
#include "tcp/stats.h"
#include "tcp/synack.h"

#define PAUSE_NS        (10 * NS_PER_SEC) /* as FreeBSD: so long no entries are made after an overflow, */
#define PAUSE_SHIFT_MAX 6                 /* and twice as long when the next comes soon */
#define COOKIE_AGE_NS   (2 * SYNCOOKIE_LIFETIME_NS)
#define UNREACH_RXMITS  4 /* SYN-ACKs without an answer before an ICMP error is believed (FreeBSD) */

/* ---- the table ---- */

static struct syncache_bucket *bucket_of(const struct tcp_syncache *c, uint32_t hash)
{
    return &c->buckets[hash & c->mask];
}

int syncache_resize(struct tcp_syncache *c, uint32_t hashsize)
{
    struct syncache_bucket *old = c->buckets, *new = mem_alloc(hashsize * sizeof(*new));
    uint32_t n_old = old ? c->mask + 1 : 0;
    if (!new)
        return -ENOMEM;
    for (uint32_t i = 0; i < hashsize; i++)
        TAILQ_INIT(&new[i].entries);
    c->buckets = new;
    c->mask = hashsize - 1;
    for (uint32_t i = 0; i < n_old; i++) {
        struct half_open *h;
        while ((h = TAILQ_LAST(&old[i].entries, half_open_list)) != NULL) {
            struct syncache_bucket *to = bucket_of(c, h->hash);
            TAILQ_REMOVE(&old[i].entries, h, link);
            TAILQ_INSERT_HEAD(&to->entries, h, link);
            to->n++;
        }
    }
    mem_free(old);
    return 0;
}

struct half_open *syncache_find(const struct tcp_syncache *c, uint32_t hash, const struct ip_addr *faddr,
                                const struct ip_addr *laddr, uint16_t fport, uint16_t lport)
{
    struct half_open *h;
    TAILQ_FOREACH (h, &bucket_of(c, hash)->entries, link)
        if (h->hash == hash && h->fport == fport && h->lport == lport && ip_addr_eq(&h->faddr, faddr) &&
            ip_addr_eq(&h->laddr, laddr))
            return h;
    return NULL;
}

static struct half_open *find_by_segment(const struct tcp_syncache *c, const struct tcp_segment *s)
{
    const struct pkt_info *info = segment_info(s);
    return syncache_find(c, info->hash, &info->src, &info->dst, s->th->src_port, s->th->dst_port);
}

void syncache_walk(const struct tcp_layer *t, void (*fn)(void *arg, const struct half_open *h), void *arg)
{
    const struct half_open *h;
    for (uint32_t i = 0; i <= t->syncache->mask; i++)
        TAILQ_FOREACH (h, &t->syncache->buckets[i].entries, link)
            fn(arg, h);
}

static void entry_free(struct half_open *h)
{
    struct tcp_layer *t = h->e->tcp;
    struct syncache_bucket *b = bucket_of(t->syncache, h->hash);
    if (wheel_timer_armed(&h->timer))
        wheel_cancel(&h->e->wheel, &h->timer);
    TAILQ_REMOVE(&b->entries, h, link);
    b->n--;
    t->states[TCPS_SYN_RECEIVED]--;
    pool_put(&t->syncache->entries, h);
}

void syncache_flush(struct tcp_layer *t)
{
    struct half_open *h;
    for (uint32_t i = 0; i <= t->syncache->mask; i++)
        while ((h = TAILQ_FIRST(&t->syncache->buckets[i].entries)) != NULL)
            entry_free(h);
}

/* ---- bounds ---- */

static bool cookies_only(const struct tcp_syncache *c, uint64_t now)
{
    return c->params.syncookies && (c->params.syncookies_only || now < c->paused_until);
}

/* Can cookies of ours be about? Else an ACK out of the blue must not become a connection, however lucky its guess. */
static bool cookies_about(const struct tcp_syncache *c, uint64_t now)
{
    if (!c->params.syncookies)
        return false;
    return c->params.syncookies_only || (c->overflow_at && now - c->overflow_at < COOKIE_AGE_NS) ||
           (c->paused_until && now < c->paused_until + COOKIE_AGE_NS);
}

static void pause_entries(struct tcp_syncache *c, uint64_t now)
{
    bool again = c->paused_until && now - c->paused_until < PAUSE_NS;
    c->pause_shift = again ? RTE_MIN(c->pause_shift + 1, (uint32_t)PAUSE_SHIFT_MAX) : 0;
    c->paused_until = now + (PAUSE_NS << c->pause_shift);
    RTE_LOG(NOTICE, USER1, "TCP: the SYN cache is full (a SYN flood?): SYN cookies for %u s\n",
            (unsigned)((PAUSE_NS << c->pause_shift) / NS_PER_SEC));
}

/* An entry for one more, off the table. NULL: there is no room, and a cookie must do if there are any. */
static struct half_open *entry_new(struct tcp_layer *t, uint32_t hash)
{
    struct tcp_syncache *c = t->syncache;
    struct syncache_bucket *b = bucket_of(c, hash);
    struct half_open *h = NULL, *oldest;
    if (b->n >= c->params.bucketlimit)
        t->stats->sc_bucketoverflow++;
    else if (c->entries.used >= c->entries.limit)
        t->stats->sc_cacheoverflow++;
    else if ((h = pool_get(&c->entries)) != NULL)
        return h;
    else
        t->stats->sc_zonefail++;
    c->overflow_at = t->e->now;
    if (c->params.syncookies) { /* nobody who is in has to go */
        pause_entries(c, t->e->now);
        return NULL;
    }
    oldest = TAILQ_LAST(&b->entries, half_open_list);
    if (!oldest)
        return NULL;
    t->stats->sc_evicted++;
    entry_free(oldest);
    return pool_get(&c->entries);
}

/* ---- time ---- */

static void timer_arm(struct half_open *h)
{
    const struct tcp_params *p = &h->e->tcp->params;
    uint64_t wait = (p->rexmit_initial_ms * NS_PER_MS) << (h->rxmits > 0 ? h->rxmits - 1 : 0);
    wait = RTE_MIN(wait, p->rexmit_max_ms * NS_PER_MS);
    uint64_t end = h->started + h->keepinit_ms * NS_PER_MS, next = h->e->now + wait;
    wheel_arm(&h->e->wheel, &h->timer, next < end ? next : end);
}

static void timeout(struct wheel_timer *w, uint64_t now)
{
    struct half_open *h = container_of(w, struct half_open, timer);
    struct tcp_layer *t = h->e->tcp;
    if (h->rxmits > t->syncache->params.rexmtlimit || now >= h->started + h->keepinit_ms * NS_PER_MS) {
        t->stats->sc_stale++;
        entry_free(h);
    } else if (!demux_find_listener(t, h->hash, &h->laddr, h->lport)) {
        t->stats->sc_nolistener++;
        entry_free(h);
    } else {
        h->flags |= SCF_RESENT;
        h->rxmits++;
        t->stats->sc_retransmitted += synack_send(h) == 0;
        timer_arm(h);
    }
}

/* ---- SYN ---- */

/* Whose it is, and what the listener gives it. */
static int entry_flow(struct half_open *h, const struct tcb *listener, const struct tcp_segment *s)
{
    const struct pkt_info *info = segment_info(s);
    struct engine *e = listener->e;
    h->e = e;
    h->hash = info->hash;
    h->faddr = info->src;
    h->laddr = info->dst;
    h->fport = s->th->src_port;
    h->auth = s->auth;
    h->lport = s->th->dst_port;
    h->scope_index = (uint16_t)(ip_addr_is_link_local(&info->src) && info->netif ? info->netif->index : 0);
    h->flags = listener->flags & TF_NOOPT ? SCF_NOOPT : 0;
    h->tos = listener->tos;
    h->ttl = listener->ttl;
    h->wnd = (uint16_t)RTE_MIN(listener->rcv.hiwat, UINT32_C(65535));
    h->keepinit_ms = listener->keepinit_ms;
    h->started = h->sent_at = e->now;
    h->snd_scale = h->rcv_scale = 0;
    h->ecn = ECN_REFUSED;
    h->answer = NULL;
    h->rxmits = 0;
    h->path.netif = NULL;
    int err = ip_path_find(e, &h->laddr, &h->faddr, h->scope_index, &h->path);
    uint32_t mtu = err == 0 && h->path.netif ? netif_mtu(h->path.netif, ip_addr_is_v4(&h->faddr)) : 1500;
    h->mss_offer = tcp_mss_largest(&h->faddr, mtu, listener->maxseg_user, err == 0 ? h->path.netif : NULL);
    return err;
}

/* RFC 7323 §2.2, §3.2; RFC 2018 §2: what the SYN offers and we want. */
static void entry_options(struct half_open *h, const struct tcp_segment *s)
{
    const struct tcp_layer *t = h->e->tcp;
    const struct tcp_options *o = &s->opt;
    h->irs = s->seq;
    h->snd_wnd = (uint16_t)s->wnd;
    h->mss_peer = o->seen & TOF_MSS ? o->mss : 0;
    h->ts_recent = 0;
    if (h->flags & SCF_NOOPT)
        return;
    if (t->params.rfc1323 && (o->seen & TOF_TS)) {
        h->flags |= SCF_STAMPS;
        h->ts_recent = o->tsval;
    }
    if (t->params.rfc1323 && (o->seen & TOF_SCALE)) {
        h->flags |= SCF_SCALE;
        h->snd_scale = o->wscale;
        h->rcv_scale = tcp_window_scale(t);
    }
    if (t->params.sack && (o->seen & TOF_SACKPERM))
        h->flags |= SCF_SACK;
}

static struct syncookie_flow cookie_flow(const struct half_open *h)
{
    return (struct syncookie_flow){h->faddr, h->laddr, h->fport, h->lport, h->irs};
}

static void choose_iss(struct half_open *h, bool cookie)
{
    if (!cookie || (h->flags & SCF_STAMPS)) /* of a cookie only the offset of the timestamps is needed */
        tcp_isn(h->e, &h->laddr, &h->faddr, h->lport, h->fport, &h->iss, &h->ts_offset);
    if (!cookie)
        return;
    const struct tcp_params *p = &h->e->tcp->params;
    struct syncookie_flow flow = cookie_flow(h);
    uint32_t none_said = ip_addr_is_v4(&h->faddr) ? p->mssdflt : p->v6mssdflt;
    struct syncookie c = {
        .mss = h->mss_peer ? h->mss_peer : (uint16_t)none_said,
        .wscale = h->snd_scale,
        .scale = h->flags & SCF_SCALE,
        .sack = h->flags & SCF_SACK,
    };
    h->iss = syncookie_make(&h->e->tcp->syncache->keys, &flow, &c, h->e->now);
}

static void entry_insert(struct half_open *h)
{
    struct tcp_layer *t = h->e->tcp;
    struct syncache_bucket *b = bucket_of(t->syncache, h->hash);
    TAILQ_INSERT_HEAD(&b->entries, h, link);
    b->n++;
    t->states[TCPS_SYN_RECEIVED]++;
    t->stats->sc_added++;
    wheel_timer_init(&h->timer, timeout);
    timer_arm(h);
}

/* RFC 9293 §3.10.7.4: the peer has not heard our SYN-ACK. As FreeBSD, other options than before are not looked at. */
static void repeated(struct half_open *h, const struct tcp_segment *s)
{
    struct tcp_stats *st = h->e->tcp->stats;
    st->sc_dupsyn++;
    if (s->opt.seen & TOF_TS)
        h->ts_recent = s->opt.tsval;
    else
        h->flags &= (uint8_t)~SCF_STAMPS;
    if (h->ecn != ECN_REFUSED) /* the peer may have fallen back (RFC 3168 §6.1.1.1) */
        h->ecn = (uint8_t)ecn_answer(h->e->tcp, tcp_ace(s->th), segment_info(s)->tos & 3);
    h->flags |= SCF_RESENT;
    h->rxmits = 1;
    synack_send(h);
    timer_arm(h);
}

bool syncache_has(const struct tcp_layer *t, const struct tcp_segment *s)
{
    return find_by_segment(t->syncache, s) != NULL;
}

int syncache_describe(struct half_open *h, const struct tcb *listener, const struct tcp_segment *s)
{
    int err = entry_flow(h, listener, s);
    if (err < 0)
        return err;
    entry_options(h, s);
    if (!(h->flags & SCF_NOOPT))
        h->ecn = (uint8_t)ecn_answer(h->e->tcp, tcp_ace(s->th), segment_info(s)->tos & 3);
    choose_iss(h, false);
    h->rxmits = 1;
    return 0;
}

void syncache_syn(struct tcb *listener, const struct tcp_segment *s, const struct fastopen_option *answer)
{
    struct tcp_layer *t = listener->e->tcp;
    struct half_open *h = NULL, space;
    bool only = cookies_only(t->syncache, t->e->now);
    if (!only && (h = find_by_segment(t->syncache, s)) != NULL) {
        repeated(h, s);
        return;
    }
    h = only ? NULL : entry_new(t, segment_info(s)->hash);
    bool cookie = !h;
    if (cookie && !t->syncache->params.syncookies) {
        t->stats->nostate++;
        return;
    }
    if (cookie)
        h = &space;
    bool sent = false;
    if (entry_flow(h, listener, s) < 0) {
        t->stats->nostate++;
    } else {
        entry_options(h, s);
        if (!cookie && !(h->flags & SCF_NOOPT)) /* a cookie has no room for it */
            h->ecn = (uint8_t)ecn_answer(t, tcp_ace(s->th), segment_info(s)->tos & 3);
        choose_iss(h, cookie);
        h->answer = answer;
        h->rxmits = 1;
        sent = synack_send(h) == 0;
        t->stats->sc_dropped += !sent;
        t->stats->sc_sendcookie += sent && cookie;
    }
    if (!cookie && sent)
        entry_insert(h);
    else if (!cookie)
        pool_put(&t->syncache->entries, h);
}

/* ---- ACK ---- */

/* RFC 7323 §3.2 and §5.3, and the window that our SYN-ACK announced. False: dropped and counted. */
static bool ack_fits(struct half_open *h, const struct tcp_segment *s)
{
    struct tcp_layer *t = h->e->tcp;
    bool stamps = h->flags & SCF_STAMPS, has_ts = s->opt.seen & TOF_TS;
    if (stamps && has_ts && (int32_t)(s->opt.tsval - h->ts_recent) < 0) {
        t->stats->pawsdrop++;
    } else if (stamps && !has_ts && !t->params.tolerate_missing_ts) {
        t->stats->tsmissing++;
    } else if (seq_leq(s->seq, h->irs) || seq_gt(s->seq, h->irs + 1 + h->wnd)) {
        t->stats->rcvhandshake++;
        synack_challenge(h);
    } else {
        return true;
    }
    return false;
}

/* Makes *h of the cookie that the ACK brings back. */
static bool ack_of_cookie(struct half_open *h, const struct tcb *listener, const struct tcp_segment *s)
{
    struct tcp_layer *t = listener->e->tcp;
    struct syncookie c;
    tcp_seq iss;
    if (entry_flow(h, listener, s) < 0)
        return false;
    h->irs = s->seq - 1;
    struct syncookie_flow flow = cookie_flow(h);
    if (!syncookie_read(&t->syncache->keys, &flow, s->ack - 1, t->e->now, &c))
        return false;
    tcp_isn(h->e, &h->laddr, &h->faddr, h->lport, h->fport, &iss, &h->ts_offset);
    h->iss = s->ack - 1;
    h->mss_peer = c.mss;
    h->snd_wnd = (uint16_t)s->wnd;
    h->ts_recent = s->opt.tsval;
    h->flags |= SCF_COOKIE | SCF_RESENT;
    h->rxmits = 1;
    if (h->flags & SCF_NOOPT)
        return true;
    if (c.scale) {
        h->flags |= SCF_SCALE;
        h->snd_scale = c.wscale;
        h->rcv_scale = tcp_window_scale(t);
    }
    if (c.sack)
        h->flags |= SCF_SACK;
    if (t->params.rfc1323 && (s->opt.seen & TOF_TS))
        h->flags |= SCF_STAMPS;
    return true;
}

struct half_open *syncache_ack(struct tcb *listener, const struct tcp_segment *s, struct half_open *space,
                               bool *refuse)
{
    struct tcp_layer *t = listener->e->tcp;
    struct half_open *h = find_by_segment(t->syncache, s);
    *refuse = false;
    if (h && s->ack == h->iss + 1)
        return ack_fits(h, s) ? h : NULL;
    if (cookies_about(t->syncache, t->e->now) && ack_of_cookie(space, listener, s)) {
        t->stats->sc_recvcookie++;
        return space;
    }
    t->stats->sc_badack += h != NULL;
    t->stats->badackhandshake++;
    *refuse = true;
    return NULL;
}

void syncache_completed(struct half_open *h)
{
    h->e->tcp->stats->sc_completed++;
    syncache_paid(h->e->tcp->syncache);
    if (!(h->flags & SCF_COOKIE))
        entry_free(h);
}

void syncache_aborted(struct half_open *h, bool keep)
{
    h->e->tcp->stats->sc_aborted++;
    if (!keep && !(h->flags & SCF_COOKIE))
        entry_free(h);
}

/* ---- RST, ICMP ---- */

/* RFC 5961 §3.2: only at its exact place it is believed at once. */
void syncache_rst(struct engine *e, const struct tcp_segment *s)
{
    struct tcp_stats *st = e->tcp->stats;
    struct half_open *h = find_by_segment(e->tcp->syncache, s);
    tcp_seq next = h ? h->irs + 1 : 0;
    bool inside = h && (s->seq == next || (seq_gt(s->seq, next) && seq_lt(s->seq, next + h->wnd)));
    if (inside && (s->seq == next || e->tcp->params.insecure_rst)) {
        st->sc_reset++;
        entry_free(h);
        return;
    }
    st->badrst++;
    if (inside)
        synack_challenge(h);
}

bool syncache_unreach(struct engine *e, uint32_t hash, const struct ip_addr *faddr,
                      const struct ip_addr *laddr, uint16_t fport, uint16_t lport, tcp_seq seq)
{
    struct half_open *h = syncache_find(e->tcp->syncache, hash, faddr, laddr, fport, lport);
    if (!h || seq != h->iss)
        return false;
    bool first = !(h->flags & SCF_UNREACH);
    h->flags |= SCF_UNREACH;
    if (first || h->rxmits < UNREACH_RXMITS)
        return true;
    e->tcp->stats->sc_unreach++;
    entry_free(h);
    return true;
}
