// SPDX-License-Identifier: BSD-3-Clause
// leatctl blackbox html FILE [-o PAGE]: one page with plots that needs nothing else: no network, no server.
#include "tools/blackbox/blackbox.h"
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tools/blackbox/file.h"
#include "tools/blackbox/segment.h"

/* page.html, page.js and uPlot, put in by the build: embed.py */
extern const char page_html[], page_js[], uplot_js[], uplot_css[], uplot_license[];

#define POINTS_MAX 200000 /* events of one connection on the page; beyond, the page says so */

/* A connection's events, as rows of numbers; columns below. */
struct rows {
    struct tcp_log_header header;
    char stack[33];
    char *text;
    size_t size;
    FILE *f;
    uint32_t n, left_out;
    uint64_t missing;
};
struct page {
    struct rows *
        *c; /* which stay where they are: each one's stream knows its text's place. NULL: no event yet */
    uint32_t n;
    uint64_t first; /* us; of the whole file */
};

static struct rows *rows_of(struct page *p, const struct box_event *e)
{
    if (e->connection >= p->n) {
        struct rows **more = realloc(p->c, (e->connection + 1) * sizeof(struct rows *));
        if (!more)
            return NULL;
        memset(more + p->n, 0, (e->connection + 1 - p->n) * sizeof(struct rows *));
        p->c = more;
        p->n = e->connection + 1;
    }
    struct rows *r = p->c[e->connection];
    if (!r)
        r = p->c[e->connection] = calloc(1, sizeof(*r));
    if (r && !r->f)
        r->f = open_memstream(&r->text, &r->size);
    return r && r->f ? r : NULL;
}

/* seq, ack, wnd, flags, [start, end, ...] of SACK blocks; relative numbers are the page's work. */
static void put_segment(FILE *f, const struct box_event *e)
{
    struct box_segment s = {0};
    if (e->b.tlb_eventflags & TLB_FLAG_HDR)
        box_segment(e, &s);
    fprintf(f, ",%u,%u,%u,%u,[", s.seq, s.ack, s.wnd, s.flags);
    for (unsigned i = 0; i < s.n_sack; i++)
        fprintf(f, "%s%u,%u", i ? "," : "", s.sack[i].start, s.sack[i].end);
    fputc(']', f);
}

/* The columns that page.js knows by number. */
static void put_row(struct rows *r, const struct box_event *e, uint64_t first)
{
    const struct tcp_log_buffer *b = &e->b;
    const struct tcp_log_bbr *x = &b->tlb_stackinfo.u_bbr;
    fprintf(r->f, "%s[%.6f,%u,%u,%d,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%u,%" PRIu64 ",%u,%u,%u",
            r->n ? ",\n" : "", (double)(int64_t)(e->us - first) / 1e6, b->tlb_sn, b->tlb_eventid,
            b->tlb_state, b->tlb_snd_una, b->tlb_snd_max, b->tlb_snd_cwnd, b->tlb_snd_ssthresh,
            b->tlb_snd_wnd, b->tlb_srtt, b->tlb_rttvar, b->tlb_rxbuf.tls_sb_acc, b->tlb_txbuf.tls_sb_acc,
            b->tlb_txbuf.tls_sb_ccc, b->tlb_iss, b->tlb_len, x->flex1, x->bw_inuse, x->flex8, b->tlb_flex1,
            x->flex2);
    put_segment(r->f, e);
    fputc(']', r->f);
    r->n++;
}

static int take(const struct box_event *e, void *arg)
{
    struct page *p = arg;
    struct rows *r = rows_of(p, e);
    if (!r)
        return 1;
    if (e->skipped) {
        r->missing += e->skipped;
        return 0;
    }
    if (p->first == 0)
        p->first = e->us;
    r->header = *e->section;
    snprintf(r->stack, sizeof(r->stack), "%s", e->stack);
    if (r->n < POINTS_MAX)
        put_row(r, e, p->first);
    else
        r->left_out++;
    return 0;
}

/* A JSON string that may stand in a script element. */
static void put_string(FILE *f, const char *s)
{
    fputc('"', f);
    for (; *s; s++) {
        if (*s == '"' || *s == '\\' || *s == '<' || *s == '>' || *s == '&' || (unsigned char)*s < 0x20)
            fprintf(f, "\\u%04x", (unsigned char)*s);
        else
            fputc(*s, f);
    }
    fputc('"', f);
}

static void put_data(FILE *f, struct page *p, const char *path)
{
    char buf[128];
    fprintf(f, "const box = {file: ");
    put_string(f, path);
    fprintf(f, ", first: %.6f, connections: [", (double)p->first / 1e6);
    const char *separator = "\n";
    for (uint32_t i = 0; i < p->n; i++) {
        struct rows *r = p->c[i];
        if (!r)
            continue;
        fflush(r->f);
        fprintf(f, "%s{name: ", separator);
        separator = ",\n";
        put_string(f, box_endpoints(&r->header, buf));
        fprintf(f, ", id: ");
        put_string(f, r->header.tlh_id);
        fprintf(f, ", stack: ");
        put_string(f, r->stack);
        fprintf(f, ", missing: %" PRIu64 ", left_out: %u, rows: [\n%s\n]}", r->missing, r->left_out, r->text);
    }
    fprintf(f, "]};\nbox.names = {");
    for (int id = 1; id < 256; id++) {
        char name[16];
        const char *text = box_event_name((uint8_t)id, name);
        if (text != name)
            fprintf(f, "%d: \"%s\", ", id, text);
    }
    fprintf(f, "};\n");
}

static void put_page(FILE *f, struct page *p, const char *path)
{
    fprintf(f, "%s<style>%s</style>\n", page_html, uplot_css);
    fprintf(f, "<!-- uPlot:\n%s-->\n<script>%s</script>\n<script>\n", uplot_license, uplot_js);
    put_data(f, p, path);
    fprintf(f, "%s</script>\n", page_js);
}

static FILE *open_page(const char *out)
{
    FILE *f = out && strcmp(out, "-") != 0 ? fopen(out, "w") : stdout;
    if (!f)
        fprintf(stderr, "leatctl: %s: %s\n", out, strerror(errno));
    return f;
}

static int write_page(struct page *p, const char *path, const char *out)
{
    FILE *f = open_page(out);
    if (!f)
        return 1;
    put_page(f, p, path);
    if (fflush(f) != 0 || ferror(f) || (f != stdout && fclose(f) != 0)) {
        fprintf(stderr, "leatctl: %s: %s\n", out ? out : "-", strerror(errno));
        return 1;
    }
    return 0;
}

int blackbox_html(int argc, char **argv)
{
    struct page p = {0};
    const char *out = NULL;
    char err[256];
    bool broken;
    int c;
    optind = 1;
    while ((c = getopt(argc, argv, "o:")) == 'o')
        out = optarg;
    if (c != -1 || optind != argc - 1) {
        fputs("usage: leatctl blackbox html [-o PAGE] FILE\n", stderr);
        return 2;
    }
    int rc = box_read(argv[optind], take, &p, &broken, err, sizeof(err));
    if (rc)
        fprintf(stderr, "leatctl: %s\n", rc < 0 ? err : "no memory");
    else if (broken)
        fprintf(stderr, "leatctl: %s breaks off; the page shows what there is\n", argv[optind]);
    if (rc == 0)
        rc = write_page(&p, argv[optind], out);
    for (uint32_t i = 0; i < p.n; i++) {
        if (p.c[i] && p.c[i]->f)
            fclose(p.c[i]->f);
        if (p.c[i])
            free(p.c[i]->text);
        free(p.c[i]);
    }
    free(p.c);
    return rc != 0;
}
