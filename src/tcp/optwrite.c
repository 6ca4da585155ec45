// SPDX-License-Identifier: BSD-3-Clause
// Options as they are sent. Each option is aligned with NOPs before it and the list ends with EOL, as FreeBSD writes them.
#include <string.h>
#include "tcp/accecn.h"
#include "tcp/auth/auth.h"
#include "tcp/fastopen.h"
#include "tcp/output.h"
#include "tcp/reassembly.h"
#include "tcp/tcp.h"

enum { OPT_EOL, OPT_NOP, OPT_MSS, OPT_WSCALE, OPT_SACK_OK, OPT_SACK, OPT_TS = 8 };

struct writer {
    uint8_t *out;
    unsigned len;
};

/* NOPs until the length modulo `modulo` is `rest`. */
static void align(struct writer *w, unsigned modulo, unsigned rest)
{
    while (w->len % modulo != rest)
        w->out[w->len++] = OPT_NOP;
}

static void put8(struct writer *w, uint8_t v)
{
    w->out[w->len++] = v;
}

static void put16(struct writer *w, uint16_t v)
{
    v = htons(v);
    memcpy(w->out + w->len, &v, 2);
    w->len += 2;
}

static void put32(struct writer *w, uint32_t v)
{
    v = htonl(v);
    memcpy(w->out + w->len, &v, 4);
    w->len += 4;
}

static void timestamps(struct writer *w, uint32_t tsval, uint32_t tsecr)
{
    align(w, 4, 2);
    put8(w, OPT_TS);
    put8(w, 10);
    put32(w, tsval);
    put32(w, tsecr);
}

static void signature(struct writer *w, const struct tcb *tp)
{
    struct auth_choice choice = tcp_auth_choice(tp);
    w->len = tcp_auth_option(&choice, w->out, w->len);
}

static unsigned finish(struct writer *w)
{
    while (w->len % 4 != 0)
        put8(w, OPT_EOL);
    return w->len;
}

unsigned tcp_options_signature(const struct tcb *tp, uint8_t *out)
{
    struct writer w = {out, 0};
    if (tp->flags & TF_AUTH)
        signature(&w, tp);
    return finish(&w);
}

/* RFC 7413 §4.1.1; not aligned, as FreeBSD. What does not fit is left out. */
static void fast_open(struct writer *w, struct tcp_syn_options *o)
{
    const struct fastopen_option *fo = o->fastopen;
    unsigned head = fo->experimental ? 4 : 2;
    if (w->len + head + fo->len > TCP_OPTIONS_MAX) {
        o->fastopen = NULL;
        return;
    }
    put8(w, fo->experimental ? TCPOPT_EXPERIMENT : TCPOPT_FAST_OPEN);
    put8(w, (uint8_t)(head + fo->len));
    if (fo->experimental)
        put16(w, TCPOPT_FAST_OPEN_MAGIC);
    memcpy(w->out + w->len, fo->cookie, fo->len);
    w->len += fo->len;
}

static void put24(struct writer *w, uint32_t v)
{
    put8(w, (uint8_t)(v >> 16));
    put16(w, (uint16_t)v);
}

/* RFC 9768 §3.2.3; SACK blocks come first, and what is left may be too little. */
static bool accecn(struct writer *w, struct ecn_bytes b)
{
    if (w->len + TCPOLEN_ACCECN > TCP_OPTIONS_MAX)
        return false;
    put8(w, TCPOPT_ACCECN0);
    put8(w, TCPOLEN_ACCECN);
    put24(w, b.e0 + ACCECN_INIT_E0);
    put24(w, b.ce);
    put24(w, b.e1 + ACCECN_INIT_E1);
    return true;
}

unsigned tcp_options_write(struct tcp_syn_options *o, uint8_t *out)
{
    struct writer w = {out, 0};
    if (o->mss) {
        put8(&w, OPT_MSS);
        put8(&w, 4);
        put16(&w, o->mss);
    }
    if (o->scale) {
        align(&w, 2, 1);
        put8(&w, OPT_WSCALE);
        put8(&w, 3);
        put8(&w, o->wscale);
    }
    if (o->sack) {
        align(&w, 2, 0);
        put8(&w, OPT_SACK_OK);
        put8(&w, 2);
    }
    if (o->stamps)
        timestamps(&w, o->tsval, o->tsecr);
    if (o->accecn && o->auth.kind == 0)
        accecn(&w, (struct ecn_bytes){0});
    if (o->fastopen && o->auth.kind == 0)
        fast_open(&w, o);
    else
        o->fastopen = NULL; /* a digest leaves no room for a cookie */
    w.len = tcp_auth_option(&o->auth, out, w.len);
    return finish(&w);
}

unsigned tcp_options_syn(const struct tcb *tp, uint8_t *out, bool *fastopen)
{
    bool answer = tp->state == TCPS_SYN_RECEIVED; /* only what was offered */
    uint32_t scale = answer ? TF_REQ_SCALE | TF_RCVD_SCALE : TF_REQ_SCALE;
    uint32_t stamps = answer ? TF_REQ_TSTMP | TF_RCVD_TSTMP : TF_REQ_TSTMP;
    *fastopen = false;
    if (tp->flags & TF_NOOPT)
        return tcp_options_signature(tp, out);
    struct tcp_syn_options o = {
        .mss = tcp_mss_offer(tp),
        .scale = (tp->flags & scale) == scale,
        .sack = tp->flags & TF_SACK_PERMIT,
        .stamps = (tp->flags & stamps) == stamps,
        .wscale = tp->rcv_scale,
        .tsval = tcp_ts_now(tp),
        .tsecr = tp->ts_recent,
        .auth = tcp_auth_choice(tp),
    };
    if (tp->fastopen && tp->fastopen->offered && tp->snd_max == tp->iss) /* not again (RFC 7413 §4.2.2) */
        o.fastopen = &tp->fastopen->option;
    unsigned len = tcp_options_write(&o, out);
    *fastopen = o.fastopen != NULL;
    return len;
}

static void sack_blocks(struct writer *w, struct tcb *tp)
{
    struct sack_block blocks[TCP_MAX_SACK];
    unsigned room = (TCP_OPTIONS_MAX - 4 - w->len) / 8; /* two NOPs, kind and length go before */
    unsigned n = reass_sack_blocks(tp, blocks, room < TCP_MAX_SACK ? room : TCP_MAX_SACK);
    if (n == 0)
        return;
    align(w, 4, 2);
    put8(w, OPT_SACK);
    put8(w, (uint8_t)(2 + 8 * n));
    for (unsigned i = 0; i < n; i++) {
        put32(w, blocks[i].start);
        put32(w, blocks[i].end);
    }
}

/* The same as tcp_options_data() has it. */
void tcp_options_stamps(const struct tcb *tp, uint32_t *out)
{
    out[0] = htonl(OPT_NOP << 24 | OPT_NOP << 16 | OPT_TS << 8 | 10);
    out[1] = htonl(tcp_ts_now(tp));
    out[2] = htonl(tp->ts_recent);
}

unsigned tcp_options_data(struct tcb *tp, uint8_t *out, bool with_news)
{
    struct writer w = {out, 0};
    const uint32_t stamps = TF_REQ_TSTMP | TF_RCVD_TSTMP;
    if (tp->flags & TF_NOOPT)
        return tcp_options_signature(tp, out);
    if ((tp->flags & stamps) == stamps) {
        put8(&w, OPT_NOP);
        timestamps(&w, tcp_ts_now(tp), tp->ts_recent);
    }
    if (__builtin_expect(tp->flags & TF_AUTH, 0))
        signature(&w, tp);
    if (with_news && (tp->reass || tp->dsack_start != tp->dsack_end) && w.len <= TCP_OPTIONS_MAX - 12)
        sack_blocks(&w, tp);
    if (with_news && (tp->flags & TF_ECN_OPTION))
        tp->ecn_test.written = accecn(&w, tp->ecn_rcv);
    return finish(&w);
}
