// SPDX-License-Identifier: BSD-3-Clause
// The last thing a dying process does: every ring goes to one file. Called by a signal handler, so nothing here allocates or locks; what
// the engine was in the middle of may be half written, the rest is whole.
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include "blackbox/pcapng.h"

/* "<directory>/crash.e<engine>-<pid>.pcapng" without stdio. */
static char *append(char *to, const char *end, const char *s)
{
    while (*s && to < end)
        *to++ = *s++;
    *to = '\0';
    return to;
}
static char *append_number(char *to, const char *end, unsigned n)
{
    char digits[12], *d = digits + sizeof(digits) - 1;
    *d = '\0';
    do {
        *--d = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return append(to, end, d);
}

static int crash_open(const struct bb_layer *l)
{
    char path[256], *at = path;
    const char *end = path + sizeof(path) - 1;
    at = append(at, end, l->params.directory);
    at = append(at, end, "/crash.e");
    at = append_number(at, end, l->env.engine);
    at = append(at, end, "-");
    at = append_number(at, end, (unsigned)getpid());
    append(at, end, ".pcapng");
    return open(path, O_CREAT | O_WRONLY | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void write_chunks(int fd, struct bb_encoder *en, const struct bb_chunks *chunks)
{
    uint8_t block[BB_ENCODED_MAX];
    const struct bb_chunk *c;
    STAILQ_FOREACH (c, chunks, link)
        for (uint16_t i = c->first; i < c->end && i < BB_CHUNK_RECORDS; i++)
            if (write(fd, block, bb_encode(en, &c->r[i], block)) < 0)
                return;
}

void bb_crash_write(struct bb_layer *l)
{
    const struct bb_log *log;
    const struct bb_node *n;
    int fd = l->params.directory[0] && l->params.crash ? crash_open(l) : -1;
    if (fd < 0)
        return;
    TAILQ_FOREACH (log, &l->logs, link) {
        struct tcp_log_header h;
        struct bb_encoder en;
        memset(&h, 0, sizeof(h));
        bb_header(l, &h, log->node ? log->node->bucket : NULL, "crash", log->count);
        l->env.describe(log->owner, &h);
        const struct bb_chunk *c = STAILQ_FIRST(&log->chunks);
        bb_encoder_init(&en, &h, l->env.stack_name, c ? c->r[c->first].b.tlb_sn : 0);
        en.program = l->program;
        en.finish = l->env.finish;
        write_chunks(fd, &en, &log->chunks);
    }
    TAILQ_FOREACH (n, &l->expiry, expiry) {
        struct tcp_log_header h = n->header;
        struct bb_encoder en;
        bb_header(l, &h, n->bucket, "crash", n->count);
        const struct bb_chunk *c = STAILQ_FIRST(&n->chunks);
        bb_encoder_init(&en, &h, l->env.stack_name, c ? c->r[c->first].b.tlb_sn : 0);
        en.program = l->program;
        en.finish = l->env.finish;
        write_chunks(fd, &en, &n->chunks);
    }
    close(fd);
}
