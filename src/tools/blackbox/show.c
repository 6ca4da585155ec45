// SPDX-License-Identifier: BSD-3-Clause
// leatctl blackbox show [-S] [-e EVENT,...] [-t FROM[,TO]] [-i ID] FILE: a line for each event. Sequence numbers count from each side's first
// one, with -S they are as on the wire.
#include "tools/blackbox/blackbox.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/blackbox/file.h"
#include "tools/blackbox/segment.h"

enum { FLAG_ACK = 0x10 };

struct show {
    bool events[256], all;
    double from, to; /* seconds since the first event */
    bool absolute;
    const char *id;
    uint32_t irs, iss; /* what sequence numbers count from */
    bool irs_known;
    uint64_t first, before;
    int64_t connection; /* of the line before; -1: none yet */
};

static void print_flags(uint8_t flags)
{
    static const char letters[] = "FSRP.UEW"; /* as packetdrill's and tcpdump's, lowest bit first */
    for (int i = 0; i < 8; i++)
        if (flags & (1 << i))
            putchar(letters[i]);
}

/* The peer's first number: of its SYN, or of what is seen first. */
static void learn_irs(struct show *w, const struct box_segment *s, bool in)
{
    if (w->irs_known || (!in && !(s->flags & FLAG_ACK)))
        return;
    w->irs = in ? s->seq : s->ack - 1;
    w->irs_known = true;
}

static void print_segment(struct show *w, const struct box_event *e)
{
    struct box_segment s;
    bool in = e->b.tlb_eventid == TCP_LOG_IN;
    box_segment(e, &s);
    learn_irs(w, &s, in);
    uint32_t from = w->absolute ? 0 : in ? w->irs : w->iss, back = w->absolute ? 0 : in ? w->iss : w->irs;
    print_flags(s.flags);
    printf(" %u:%u(%u)", s.seq - from, s.seq - from + e->b.tlb_len, e->b.tlb_len);
    if (s.flags & FLAG_ACK)
        printf(" ack %u", s.ack - back);
    printf(" win %u", s.wnd);
    for (unsigned i = 0; i < s.n_sack; i++)
        printf("%s%u:%u", i ? " " : " sack ", s.sack[i].start - back, s.sack[i].end - back);
    if (e->b.tlb_eventid == TCP_LOG_OUT && e->b.tlb_stackinfo.u_bbr.flex8 == 1)
        printf(" retransmitted");
    if (e->b.tlb_eventid == TCP_LOG_OUT && e->b.tlb_errno > 0)
        printf(" %s", strerror(e->b.tlb_errno));
}

static void print_timer(uint32_t flex1)
{
    static const char *const which[] = {"retransmission", "persist",     "keepalive",
                                        "2MSL",           "delayed ACK", "stack"};
    static const char *const what[] = {"fires", "has fired", "starts", "stops"};
    uint32_t w = flex1 & 0xff, d = flex1 >> 8;
    printf("%s %s", w < 6 ? which[w] : "?", d < 4 ? what[d] : "?");
}

/* What belongs to the event itself. */
static void print_detail(struct show *w, const struct box_event *e)
{
    const struct tcp_log_buffer *b = &e->b;
    const struct tcp_log_bbr *x = &b->tlb_stackinfo.u_bbr;
    switch (b->tlb_eventid) {
    case TCP_LOG_IN:
    case TCP_LOG_OUT:
        if (b->tlb_eventflags & TLB_FLAG_HDR)
            print_segment(w, e);
        return;
    case TCP_LOG_RTO:
        print_timer(b->tlb_flex1);
        return;
    case TCP_LOG_RTT:
        printf("%.3f ms", x->flex1 / 1000.0);
        return;
    case TCP_LOG_USERSEND:
        printf("%u bytes", b->tlb_len);
        if (b->tlb_errno)
            printf(", %s", strerror(b->tlb_errno));
        return;
    case TCP_LOG_USER_EVENT:
        printf("type %u subtype %u", b->tlb_flex1, b->tlb_flex2);
        return;
    case TCP_LOG_SENDFILE:
        printf("%" PRIu64 " bytes from %" PRIu64, b->tlb_stackinfo.u_sf.length, b->tlb_stackinfo.u_sf.offset);
        return;
    case TCP_LOG_CONNEND:
        if (b->tlb_errno)
            printf("%s", strerror(b->tlb_errno));
        return;
    default:
        if (b->tlb_eventflags & TLB_FLAG_STACKINFO)
            printf("%u %u %u %u %u %u %u %u", x->flex1, x->flex2, x->flex3, x->flex4, x->flex5, x->flex6,
                   x->flex7, x->flex8);
    }
}

static void print_connection(struct show *s, const struct box_event *e)
{
    char buf[128];
    if (s->connection == e->connection)
        return;
    s->connection = e->connection;
    s->iss = s->absolute ? 0 : e->b.tlb_iss;
    s->irs_known = false;
    printf("%s  id %s  stack %s  reason %s\n", box_endpoints(e->section, buf), e->section->tlh_id, e->stack,
           e->section->tlh_reason);
}

static int print_event(const struct box_event *e, void *arg)
{
    struct show *s = arg;
    const struct tcp_log_buffer *b = &e->b;
    char name[16];
    if (s->id && strcmp(s->id, e->section->tlh_id) != 0)
        return 0;
    if (e->skipped) {
        if (s->all)
            printf("%43s%u events are missing\n", "", e->skipped);
        return 0;
    }
    if (s->first == 0)
        s->first = s->before = e->us;
    double t = (double)(int64_t)(e->us - s->first) / 1e6;
    if ((!s->all && !s->events[b->tlb_eventid]) || t < s->from || t > s->to)
        return 0;
    print_connection(s, e);
    printf("%12.6f %+10.6f %8u %-11s ", t, (double)(int64_t)(e->us - s->before) / 1e6, b->tlb_sn,
           box_event_name(b->tlb_eventid, name));
    s->before = e->us;
    printf("%-11s una %u nxt %u cwnd %u flight %u snd_wnd %u srtt %.3f ms  ", box_state_name(b->tlb_state),
           b->tlb_snd_una - s->iss, b->tlb_snd_nxt - s->iss, b->tlb_snd_cwnd, b->tlb_snd_max - b->tlb_snd_una,
           b->tlb_snd_wnd, b->tlb_srtt / 1000.0);
    print_detail(s, e);
    printf("%s%s\n", e->comment[0] ? "  # " : "", e->comment);
    return ferror(stdout) ? 1 : 0;
}

static bool take_events(struct show *s, char *list)
{
    s->all = false;
    for (char *save, *name = strtok_r(list, ",", &save); name; name = strtok_r(NULL, ",", &save)) {
        int id = box_event_number(name);
        if (id < 0) {
            fprintf(stderr,
                    "leatctl: blackbox show -e: \"%s\" is no event; expected a name such as OUT or RTT, or a "
                    "number\n",
                    name);
            return false;
        }
        s->events[id] = true;
    }
    return true;
}

static bool take_time(struct show *s, const char *text)
{
    char *end;
    s->from = strtod(text, &end);
    if (end != text && *end == '\0')
        return true;
    if (end != text && *end == ',') {
        const char *to = end + 1;
        s->to = strtod(to, &end);
        if (end != to && *end == '\0')
            return true;
    }
    fprintf(stderr,
            "leatctl: blackbox show -t: \"%s\": expected FROM[,TO] in seconds since the first event\n", text);
    return false;
}

int blackbox_show(int argc, char **argv)
{
    struct show s = {.all = true, .from = -1e18, .to = 1e18, .connection = -1};
    char err[256];
    bool broken, good = true;
    int c;
    optind = 1;
    while (good && (c = getopt(argc, argv, "Se:t:i:")) != -1) {
        if (c == 'e')
            good = take_events(&s, optarg);
        else if (c == 't')
            good = take_time(&s, optarg);
        else if (c == 'i')
            s.id = optarg;
        else if (c == 'S')
            s.absolute = true;
        else
            good = false;
    }
    if (!good || optind != argc - 1) {
        if (good)
            fputs("usage: leatctl blackbox show [-S] [-e EVENT,...] [-t FROM[,TO]] [-i ID] FILE\n", stderr);
        return 2;
    }
    if (box_read(argv[optind], print_event, &s, &broken, err, sizeof(err)) < 0) {
        fprintf(stderr, "leatctl: %s\n", err);
        return 1;
    }
    if (broken)
        fprintf(stderr, "leatctl: %s breaks off here\n", argv[optind]);
    return 0;
}
