// SPDX-License-Identifier: BSD-3-Clause
// leatctl blackbox summary FILE: what became of each connection, and what it waited for, in words.
#include "tools/blackbox/blackbox.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/blackbox/file.h"
#include "tools/blackbox/flow.h"

static const char *const why_words[FLOW_HANDSHAKE] = {
    [FLOW_APPLICATION] = "application-limited",
    [FLOW_NOT_READY] = "waiting for the disk or a cipher",
    [FLOW_RECEIVER] = "limited by the receiver's window",
    [FLOW_CWND] = "limited by the congestion window",
    [FLOW_STACK] = "held by the stack (pacing, bursts, Nagle, cork)",
};

static double percent(uint64_t part, uint64_t whole)
{
    return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void print_ms(const char *what, const struct flow_range *r)
{
    if (r->n > 0)
        printf("  %-14s %.3f / %.3f / %.3f ms (least, mean, most), %" PRIu64 " samples\n", what,
               (double)r->least / 1e3, (double)r->sum / (double)r->n / 1e3, (double)r->most / 1e3, r->n);
}

static void print_bytes(const char *what, const struct flow_range *r)
{
    if (r->n > 0)
        printf("  %-14s %" PRIu64 " / %" PRIu64 " / %" PRIu64 " bytes (least, mean, most)\n", what, r->least,
               r->sum / r->n, r->most);
}

static void print_states(const struct flow *f)
{
    printf("  states        ");
    for (unsigned i = 0; i < f->n_states; i++)
        printf("%s%s +%.6f", i ? ", " : " ", box_state_name(f->states[i].state),
               (double)f->states[i].at / 1e6);
    putchar('\n');
}

/* The sentences that somebody wants to read first. */
static void print_verdict(const struct flow *f)
{
    uint64_t total = flow_sending_time(f);
    printf("  verdict       ");
    const char *sep = " ";
    for (unsigned i = 0; i < FLOW_HANDSHAKE; i++) {
        if (percent(f->waited[i], total) < 1)
            continue;
        printf("%s%s %.0f %% of the time", sep, why_words[i], percent(f->waited[i], total));
        sep = ", ";
    }
    if (f->zero_window)
        printf("%sreceiver's window 0 for %.0f ms", sep, (double)f->zero_window / 1e3), sep = ", ";
    if (f->timeouts)
        printf("%s%u retransmission timeouts", sep, f->timeouts), sep = ", ";
    if (f->missing)
        printf("%s%" PRIu64 " events missing: not all of this is sure", sep, f->missing), sep = ", ";
    if (sep[0] == ' ')
        printf(" nothing to be seen");
    putchar('\n');
}

static void print_flow(const struct flow *f)
{
    char buf[128];
    double seconds = (double)(f->last - f->first) / 1e6, sending = (double)flow_sending_time(f) / 1e6;
    printf("%s\n  id %s, tag %s, stack %s, %" PRIu64 " events in %.6f s\n", box_endpoints(&f->header, buf),
           f->header.tlh_id, f->header.tlh_tag, f->stack, f->events, seconds);
    print_states(f);
    printf("  sent           %" PRIu64 " bytes in %" PRIu64 " segments, %" PRIu64
           " retransmitted (%.2f %%), %.3f Mbit/s\n",
           f->bytes_out, f->segs_out, f->rexmits, percent(f->rexmits, f->data_segs),
           sending > 0 ? (double)f->bytes_out * 8 / sending / 1e6 : 0);
    printf("  received       %" PRIu64 " bytes in %" PRIu64 " segments, %" PRIu64 " with SACK blocks\n",
           f->bytes_in, f->segs_in, f->sacks);
    print_ms("round trip", &f->rtt);
    print_bytes("cwnd", &f->cwnd);
    print_bytes("in flight", &f->flight);
    printf("  recovery       %u episodes, %u timeouts, %u spurious\n", f->recoveries, f->timeouts,
           f->spurious);
    print_verdict(f);
}

static int take(const struct box_event *e, void *arg)
{
    return flows_take(arg, e) ? 0 : 1;
}

int blackbox_summary(int argc, char **argv)
{
    struct flows fs = {0};
    char err[256];
    bool broken;
    if (argc != 2) {
        fputs("usage: leatctl blackbox summary FILE\n", stderr);
        return 2;
    }
    int rc = box_read(argv[1], take, &fs, &broken, err, sizeof(err));
    for (uint32_t i = 0; rc == 0 && i < fs.n; i++)
        print_flow(&fs.f[i]);
    if (rc)
        fprintf(stderr, "leatctl: %s\n", rc < 0 ? err : "no memory");
    else if (broken)
        fprintf(stderr, "leatctl: %s breaks off\n", argv[1]);
    flows_free(&fs);
    return rc != 0;
}
