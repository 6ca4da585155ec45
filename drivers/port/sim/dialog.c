// SPDX-License-Identifier: BSD-3-Clause
// Conversations: numbers mapped between the script and the host, packets injected, expected, compared.
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_tcp.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "ip/ip.h"
#include "link/link.h"
#include "port/sim/dialog.h"

#define HORIZON     (600 * NS_PER_SEC)
#define FIRST_RPORT 40000

/* ---- life ---- */

static int config_defaults(struct dialog *d, const struct dialog_config *config)
{
    struct dialog_config *c = &d->config;
    if (config)
        *c = *config;
    c->local = c->local ? c->local : c->v6 ? "fd3d:fa7b:d17d::1/48" : "192.168.0.1/16";
    c->gateway = c->gateway ? c->gateway : c->v6 ? "fd3d:fa7b:d17d::2" : "192.168.0.2";
    c->remote = c->remote ? c->remote : c->v6 ? "2001:db8::1" : "192.0.2.1";
    c->seed = c->seed ? c->seed : 1;
    d->tolerance = NS_PER_MS;
    d->next_rport = FIRST_RPORT;
    return ip_addr_parse(c->remote, &d->remote);
}

static int host_connect(struct dialog *d)
{
    static const struct rte_ether_addr mac = {{0x02, 0, 0, 0, 0, 0x99}};
    const struct sim_port_options opt = {.mtu = d->config.mtu};
    struct ip_addr gateway, any = d->config.v6 ? (struct ip_addr){.w = {0}} : ip_addr_v4(0);
    char local[IP_ADDR_STRLEN];
    snprintf(local, sizeof(local), "%.*s", (int)strcspn(d->config.local, "/"), d->config.local);
    d->link = sim_stub(d->sim, d->host, &opt);
    if (!d->link)
        return -ENOMEM;
    int err = ip_addr_parse(local, &d->local);
    if (!err)
        err = ip_addr_parse(d->config.gateway, &gateway);
    if (!err)
        err = sim_addr(d->link, d->host, d->config.local);
    if (!err)
        err = neigh_set_static(sim_netif(d->link, d->host), &gateway, &mac);
    return err ? err : route_add(sim_engine(d->host), &any, 0, &gateway, sim_netif(d->link, d->host));
}

struct dialog *dialog_new(const struct dialog_config *config)
{
    struct dialog *d = calloc(1, sizeof(*d));
    if (!d)
        return NULL;
    int err = config_defaults(d, config);
    if (!err && sim_eal_init(256) < 0)
        err = -ENOMEM;
    d->sim = err ? NULL : sim_create(d->config.seed);
    d->host = d->sim ? sim_host(d->sim, "host") : NULL;
    if (!err)
        err = d->host ? host_connect(d) : -ENOMEM;
    if (!err && d->config.pcap)
        err = sim_pcap(d->sim, d->config.pcap);
    if (err) {
        dialog_free(d);
        errno = -err;
        return NULL;
    }
    dialog_run_ms(d, 0);
    while (d->n_sent > 0)
        dialog_take(d, NULL, 0, NULL, NULL, 0);
    d->start = d->when = sim_now(d->sim);
    return d;
}

static struct dialog_packet packet_pop(struct dialog *d)
{
    struct dialog_packet p = d->sent[d->sent_head];
    d->sent_head = (d->sent_head + 1) % d->sent_room;
    d->n_sent--;
    return p;
}

int64_t dialog_free(struct dialog *d)
{
    while (d->n_sent > 0)
        rte_pktmbuf_free(packet_pop(d).m);
    int64_t missing = d->sim ? sim_destroy(d->sim) : 0;
    free(d->sent);
    free(d);
    return missing;
}

static __attribute__((format(printf, 2, 3))) void failed(struct dialog *d, const char *format, ...)
{
    char message[2000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof(message), format, ap);
    va_end(ap);
    if (d->config.fail) {
        d->config.fail(d->config.arg, message);
        return;
    }
    fprintf(stderr, "%s\n", message);
    abort();
}

/* ---- time ---- */

static void packet_push(struct dialog *d, struct rte_mbuf *m, uint64_t when)
{
    if (d->n_sent == d->sent_room) {
        unsigned room = d->sent_room ? 2 * d->sent_room : 64;
        struct dialog_packet *sent = malloc(room * sizeof(*sent));
        if (!sent)
            abort(); /* no test can go on */
        for (unsigned i = 0; i < d->n_sent; i++)
            sent[i] = d->sent[(d->sent_head + i) % d->sent_room];
        free(d->sent);
        d->sent = sent;
        d->sent_head = 0;
        d->sent_room = room;
    }
    d->sent[(d->sent_head + d->n_sent++) % d->sent_room] = (struct dialog_packet){when, m};
}

static void collect(struct dialog *d)
{
    struct rte_mbuf *m;
    uint64_t now = sim_now(d->sim);
    while ((m = sim_stub_recv(d->link, now, NULL)) != NULL)
        packet_push(d, m, now);
}

void dialog_run_until(struct dialog *d, uint64_t t)
{
    collect(d);
    while (sim_step(d->sim, t))
        collect(d);
}

void dialog_run_ms(struct dialog *d, double ms)
{
    dialog_run_until(d, sim_now(d->sim) + (uint64_t)(ms * NS_PER_MS));
    dialog_mark(d);
}

void dialog_mark(struct dialog *d)
{
    d->when = sim_now(d->sim);
}

void dialog_next(struct dialog *d, uint16_t lport)
{
    d->lport = lport;
    d->rport = 0;
    d->isn_known = d->syn_seen = false;
    d->n_ts = 0;
}

/* ---- numbers ---- */

static uint32_t live_seq(const struct dialog *d, uint32_t script)
{
    return d->isn_known ? script - d->isn_script + d->isn_live : script;
}

static uint32_t script_seq(const struct dialog *d, uint32_t live)
{
    return d->isn_known ? live - d->isn_live + d->isn_script : live;
}

static uint32_t get32(const uint8_t *b)
{
    uint32_t v;
    memcpy(&v, b, 4);
    return ntohl(v);
}

static void put32(uint8_t *b, uint32_t v)
{
    v = htonl(v);
    memcpy(b, &v, 4);
}

static void ts_learn(struct dialog *d, uint32_t script, uint32_t live)
{
    if (d->n_ts == 0)
        d->first_ts = (struct dialog_ts){script, live};
    d->ts[d->n_ts++ % RTE_DIM(d->ts)] = (struct dialog_ts){script, live};
}

static uint32_t live_ts(const struct dialog *d, uint32_t script)
{
    for (unsigned i = d->n_ts; i > 0 && d->n_ts - i < RTE_DIM(d->ts); i--)
        if (d->ts[(i - 1) % RTE_DIM(d->ts)].script == script)
            return d->ts[(i - 1) % RTE_DIM(d->ts)].live;
    return d->n_ts > 0 ? script - d->first_ts.script + d->first_ts.live : script;
}

/* What the peer sends, in the host's numbers. */
static void to_live(const struct dialog *d, struct segment *s)
{
    uint8_t *o;
    if (s->flags & RTE_TCP_ACK_FLAG)
        s->ack = live_seq(d, s->ack);
    if ((o = segment_option_find(s, 5, 0)) != NULL)
        for (unsigned i = 2; i + 4 <= o[1]; i += 4)
            put32(o + i, live_seq(d, get32(o + i)));
    if (!s->ts_ecr_absolute && (o = segment_option_find(s, 8, 10)) != NULL && get32(o + 6) != 0)
        put32(o + 6, live_ts(d, get32(o + 6)));
}

/* ---- the peer sends ---- */

static uint16_t quote(const struct dialog *d, const struct segment *s, uint8_t *out)
{
    uint16_t hlen = d->config.v6 ? sizeof(struct rte_ipv6_hdr) : sizeof(struct rte_ipv4_hdr);
    uint16_t len = (uint16_t)(sizeof(struct rte_tcp_hdr) + s->len);
    memset(out, 0, hlen + 8u);
    if (d->config.v6) {
        struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)out;
        ip->vtc_flow = htonl(6u << 28);
        ip->payload_len = htons(len);
        ip->proto = IPPROTO_TCP;
        ip->hop_limits = 64;
        memcpy(ip->src_addr, &d->local, 16);
        memcpy(ip->dst_addr, &d->remote, 16);
    } else {
        struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)out;
        *ip = (struct rte_ipv4_hdr){.version_ihl = 0x45,
                                    .total_length = htons((uint16_t)(hlen + len)),
                                    .time_to_live = 64,
                                    .next_proto_id = IPPROTO_TCP,
                                    .src_addr = d->local.w[3],
                                    .dst_addr = d->remote.w[3]};
        ip->hdr_checksum = rte_ipv4_cksum(ip);
    }
    uint8_t *th = out + hlen;
    th[0] = (uint8_t)(d->lport >> 8), th[1] = (uint8_t)d->lport;
    th[2] = (uint8_t)(d->rport >> 8), th[3] = (uint8_t)d->rport;
    put32(th + 4, live_seq(d, s->seq));
    return (uint16_t)(hlen + 8);
}

static uint16_t mss_of(const struct segment *s)
{
    struct segment copy = *s;
    const uint8_t *o = segment_option_find(&copy, 2, 4);
    return o ? (uint16_t)(o[2] << 8 | o[3]) : 0;
}

static void ports_for_injection(struct dialog *d, const struct segment *s)
{
    bool syn =
        s->kind == SEGMENT_TCP && (s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) == RTE_TCP_SYN_FLAG;
    if (syn && d->rport && !d->syn_seen) /* what came before was no conversation */
        d->rport = 0;
    d->syn_seen |= syn;
    if (s->kind == SEGMENT_TCP && s->flags & RTE_TCP_SYN_FLAG)
        d->peer_mss = mss_of(s);
    if (s->sport)
        d->rport = s->sport;
    if (s->dport)
        d->lport = s->dport;
    if (!d->rport)
        d->rport = d->next_rport++;
    if (!d->lport)
        d->lport = DIALOG_PORT;
}

int dialog_send(struct dialog *d, const struct segment *script, char *err, size_t errlen)
{
    struct segment s = *script;
    uint8_t quoted[64];
    struct rte_mbuf *m = pkt_alloc(sim_engine(d->host)->pkt_pool);
    if (!m) {
        snprintf(err, errlen, "no packet buffer");
        return -ENOBUFS;
    }
    ports_for_injection(d, &s);
    struct segment_ends ends = {d->remote, d->local, d->rport, d->lport};
    if (s.kind == SEGMENT_TCP)
        to_live(d, &s);
    uint16_t n = s.kind == SEGMENT_ICMP ? quote(d, script, quoted) : 0;
    int error = segment_build(&s, &ends, m, quoted, n);
    if (error) {
        rte_pktmbuf_free(m);
        snprintf(err, errlen, error == -EINVAL ? "\"...\" cannot be sent" : "the packet is too long");
        return error;
    }
    rte_ether_addr_copy(&sim_netif(d->link, d->host)->mac,
                        &rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->dst_addr);
    sim_stub_send(d->link, m);
    dialog_run_until(d, sim_now(d->sim));
    return 0;
}

/* ---- the host sent ---- */

static bool ours(struct dialog *d, const struct segment *s, const struct segment_ends *ends)
{
    if (!ip_addr_eq(&ends->src, &d->local) || !ip_addr_eq(&ends->dst, &d->remote))
        return false;
    if (s->kind != SEGMENT_TCP)
        return true;
    if (!d->rport && s->flags & RTE_TCP_SYN_FLAG) {
        d->rport = s->dport;
        d->lport = s->sport;
    }
    return s->dport == d->rport && s->sport == d->lport;
}

/* The host's numbers as the script counts. expected may be NULL. */
static void to_script(struct dialog *d, struct segment *s, const struct segment *expected)
{
    uint8_t *o, *want;
    struct segment e = expected ? *expected : *s;
    if (s->flags & RTE_TCP_SYN_FLAG && !d->isn_known) {
        d->isn_known = d->syn_seen = true;
        d->isn_live = s->seq;
        d->isn_script = expected && !expected->seq_any ? expected->seq : 0;
    }
    s->seq_absolute = e.seq_absolute;
    if (!e.seq_absolute)
        s->seq = script_seq(d, s->seq);
    if ((o = segment_option_find(s, 8, 10)) != NULL) {
        want = expected && !e.ts_val_any ? segment_option_find(&e, 8, 10) : NULL;
        if (want)
            ts_learn(d, get32(want + 2), get32(o + 2));
    }
}

/* The host's own timestamps are not compared: its clock is its own, and scripts count them as they like. What it echoes is. */
static bool options_equal(struct segment want, struct segment sent)
{
    uint8_t *w = segment_option_find(&want, 8, 10), *s = segment_option_find(&sent, 8, 10);
    if (w)
        memset(w + 2, 0, 4);
    if (s)
        memset(s + 2, 0, 4);
    return want.opt_len == sent.opt_len && !memcmp(want.opt, sent.opt, want.opt_len);
}

static const char *difference(const struct segment *want, const struct segment *sent)
{
    if (want->kind != sent->kind)
        return "protocol";
    if (want->kind == SEGMENT_ICMP)
        return want->icmp_type != sent->icmp_type   ? "ICMP type"
               : want->icmp_code != sent->icmp_code ? "ICMP code"
                                                    : NULL;
    if (want->flags != sent->flags)
        return "flags";
    if (want->len != sent->len)
        return "length";
    if (!want->seq_any && want->seq != sent->seq)
        return "sequence number";
    if (want->flags & RTE_TCP_ACK_FLAG && want->ack != sent->ack)
        return "acknowledgement";
    if (want->has_win && want->win != sent->win)
        return "window";
    if (want->urg != sent->urg)
        return "urgent pointer";
    if (!want->opt_any && !options_equal(*want, *sent))
        return "options";
    if ((want->sport && want->sport != sent->sport) || (want->dport && want->dport != sent->dport))
        return "ports";
    if ((want->tos >= 0 && want->tos != sent->tos) || (want->ttl >= 0 && want->ttl != sent->ttl) ||
        (want->flow >= 0 && want->flow != sent->flow))
        return "IP fields";
    if (want->ecn >= 0 && (want->ecn == SEGMENT_ECT01 ? sent->ecn != SEGMENT_ECT0 && sent->ecn != SEGMENT_ECT1
                                                      : want->ecn != sent->ecn))
        return "ECN field";
    return NULL;
}

static double seconds(const struct dialog *d, uint64_t when)
{
    return (double)(when - d->start) / NS_PER_SEC;
}

/* Timestamps advance as the script's do. */
static bool ts_in_time(const struct dialog *d, const struct segment *want, const struct segment *sent)
{
    struct segment w = *want, s = *sent;
    const uint8_t *a = want->ts_val_any ? NULL : segment_option_find(&w, 8, 10),
                  *b = segment_option_find(&s, 8, 10);
    if (!a || !b || d->n_ts == 0)
        return true;
    int64_t apart = (int32_t)(get32(a + 2) - d->first_ts.script - (get32(b + 2) - d->first_ts.live));
    return (uint64_t)llabs(apart) * d->config.ts_tick_us * 1000 <= d->tolerance;
}

static int compare(struct dialog *d, const struct segment *want, const struct segment *sent, uint64_t when,
                   char *err, size_t errlen)
{
    char expected_text[SEGMENT_TEXT_MAX], sent_text[SEGMENT_TEXT_MAX];
    const char *what = difference(want, sent);
    if (!what && d->config.ts_tick_us && !ts_in_time(d, want, sent))
        what = "timestamp";
    if (!what)
        return 0;
    snprintf(err, errlen, "%s not as expected\n  expected:            %s\n  sent at %11.6f: %s", what,
             segment_print(want, expected_text, sizeof(expected_text)), seconds(d, when),
             segment_print(sent, sent_text, sizeof(sent_text)));
    return -EBADMSG;
}

/* The next packet of the conversation. 0; -ETIMEDOUT: none until then; -EBADMSG with err: one that no peer would take. */
static int next_packet(struct dialog *d, uint64_t until, struct segment *sent, uint64_t *when, char *err,
                       size_t errlen)
{
    struct segment_ends ends;
    char why[100] = "";
    for (;;) {
        collect(d);
        while (d->n_sent == 0 && sim_step(d->sim, until))
            collect(d);
        if (d->n_sent == 0)
            return -ETIMEDOUT;
        struct dialog_packet p = packet_pop(d);
        int error = segment_read(sent, &ends, p.m, why, sizeof(why));
        rte_pktmbuf_free(p.m);
        *when = p.when;
        if (error == -EBADMSG) {
            snprintf(err, errlen, "a bad packet was sent at %.6f: %s", seconds(d, p.when), why);
            return error;
        }
        if (d->start == 0) /* what a new host says by itself */
            return 0;
        if (!error && ours(d, sent, &ends))
            return 0;
    }
}

static uint32_t largest_payload(const struct dialog *d)
{
    uint32_t mtu = d->config.mtu ? d->config.mtu : 1500, headers = d->config.v6 ? 60 : 40;
    uint32_t largest = mtu > headers ? mtu - headers : 1;
    return d->peer_mss && d->peer_mss < largest ? d->peer_mss : largest;
}

/* A script may write segments that follow one another as one, as a NIC that cuts them would be given it. */
static void add_up(struct dialog *d, const struct segment *expected, uint64_t until, struct segment *sent)
{
    struct segment more = {0};
    char err[200];
    uint64_t when;
    if (d->config.strict || expected->kind != SEGMENT_TCP || expected->len <= largest_payload(d))
        return;
    while (sent->len > 0 && sent->len < expected->len &&
           next_packet(d, until, &more, &when, err, sizeof(err)) == 0) {
        if (more.kind != SEGMENT_TCP || more.seq != sent->seq + sent->len)
            return;
        sent->len += more.len;
        sent->flags |= more.flags;
        sent->ack = more.ack;
        sent->win = more.win;
    }
}

int dialog_take(struct dialog *d, const struct segment *expected, uint64_t until, uint64_t *when, char *err,
                size_t errlen)
{
    struct segment sent = {0};
    char text[SEGMENT_TEXT_MAX];
    uint64_t at = 0;
    int error = next_packet(d, until, &sent, &at, err, errlen);
    if (error == -ETIMEDOUT)
        snprintf(err, errlen, "nothing was sent\n  expected:            %s",
                 expected ? segment_print(expected, text, sizeof(text)) : "a packet");
    if (error)
        return error;
    if (when)
        *when = at;
    if (expected)
        add_up(d, expected, until, &sent);
    to_script(d, &sent, expected);
    return expected ? compare(d, expected, &sent, at, err, errlen) : 0;
}

/* ---- lines ---- */

static bool parsed(struct dialog *d, struct segment *s, const char *text)
{
    char err[300];
    if (segment_parse(s, text, d->config.v6, err, sizeof(err)) == 0)
        return true;
    failed(d, "%s\n  %s", err, text);
    return false;
}

void dialog_inject(struct dialog *d, const char *text)
{
    struct segment s;
    char err[300];
    if (!parsed(d, &s, text))
        return;
    if (dialog_send(d, &s, err, sizeof(err)) < 0)
        failed(d, "%s\n  %s", err, text);
    dialog_mark(d);
}

static void expect(struct dialog *d, const char *text, double ms)
{
    struct segment s;
    char err[1000];
    uint64_t when = 0;
    if (!parsed(d, &s, text))
        return;
    if (dialog_take(d, &s, sim_now(d->sim) + HORIZON, &when, err, sizeof(err)) < 0) {
        failed(d, "%s", err);
        return;
    }
    uint64_t due = d->when + (uint64_t)(ms * NS_PER_MS);
    if (ms >= 0 && (when > due + d->tolerance || when + d->tolerance < due))
        failed(d, "sent at %.6f, expected at %.6f (tolerance %.6f)\n  %s", seconds(d, when), seconds(d, due),
               (double)d->tolerance / NS_PER_SEC, text);
    d->when = when;
}

void dialog_expect(struct dialog *d, const char *text)
{
    expect(d, text, -1);
}

void dialog_expect_after(struct dialog *d, double ms, const char *text)
{
    expect(d, text, ms);
}

void dialog_expect_silence(struct dialog *d, double ms)
{
    struct segment sent;
    struct segment_ends ends;
    char why[100], text[SEGMENT_TEXT_MAX];
    dialog_run_ms(d, ms);
    while (d->n_sent > 0) {
        struct dialog_packet p = packet_pop(d);
        int error = segment_read(&sent, &ends, p.m, why, sizeof(why));
        rte_pktmbuf_free(p.m);
        if (error || !ours(d, &sent, &ends))
            continue;
        to_script(d, &sent, NULL);
        failed(d, "expected silence\n  sent at %11.6f: %s", seconds(d, p.when),
               segment_print(&sent, text, sizeof(text)));
        return;
    }
}
