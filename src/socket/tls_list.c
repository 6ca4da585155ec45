// SPDX-License-Identifier: BSD-3-Clause
// The TLS sessions of this engine's sockets, a line for each direction (leatctl tls).
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include "socket/socket.h"
#include "sysctl/sysctl.h"
#include "tls/rx.h"
#include "tls/tls.h"

#define LINE_MAX_LEN 256 /* of two lines: both directions of a socket */

static void end_of(const struct ip_addr *a, uint16_t port, char out[64])
{
    char text[IP_ADDR_STRLEN];
    ip_addr_str(a, text);
    snprintf(out, 64, ip_addr_is_v4(a) ? "%s:%u" : "[%s]:%u", text, ntohs(port));
}

/* Why it is not the mode that was asked for, or the backend that was wanted most. */
static void reason_of(const struct socket *so, const struct tls_session *s, char *out, size_t size)
{
    snprintf(out, size, "-");
    if (!s->receive && so->tls_tx->ifnet_refused)
        snprintf(out, size, "ifnet: no port has the capability");
    else if (!s->backend)
        snprintf(out, size, "no backend is left");
    else if (s->refusals > 0)
        snprintf(out, size, "%s cannot", s->order[0]->name);
}

static int line_of(const struct socket *so, const struct tls_flow *f, const struct tls_session *s,
                   uint64_t records, uint64_t bytes, char *out, size_t size)
{
    char local[64] = "-", foreign[64] = "-", reason[48];
    static const char *const versions[] = {"?", "1.0", "1.1", "1.2", "1.3"};
    if (so->tp) {
        end_of(&so->tp->laddr, so->tp->lport, local);
        end_of(&so->tp->faddr, so->tp->fport, foreign);
    }
    reason_of(so, s, reason, sizeof(reason));
    return snprintf(out, size, "%s\t%s\t%s\tTLS %s\t%s\tsw\t%s\t%lu\t%lu\t%u\t%s\n", local, foreign,
                    s->receive ? "rx" : "tx", versions[s->vminor <= 4 ? s->vminor : 0], tls_suite_name(s),
                    s->backend ? s->backend->name : "-", (unsigned long)records, (unsigned long)bytes,
                    f->under_way, reason);
}

static size_t lines_of(const struct socket *so, char *out, size_t size)
{
    int n = 0, more;
    *out = '\0';
    if (so->tls_tx && so->tls_tx->s)
        n = line_of(so, &so->tls_tx->flow, so->tls_tx->s, so->tls_tx->records, so->tls_tx->bytes, out, size);
    if (so->tls_rx && so->tls_rx->s && (size_t)n < size) {
        more = line_of(so, &so->tls_rx->flow, so->tls_rx->s, so->tls_rx->records, so->tls_rx->bytes, out + n,
                       size - (size_t)n);
        n += more;
    }
    return (size_t)n < size ? (size_t)n : size - 1;
}

/* A descriptor may be a duplicate: only the first of a socket is listed. The cursor is a place in the table. */
static const struct socket *socket_at(const struct so_layer *l, uint64_t i)
{
    const struct file *f = l->fds[i].file;
    if (!f || f->ops != &socket_ops)
        return NULL;
    const struct socket *so = (const struct socket *)f;
    if (!so->tls_tx && !so->tls_rx)
        return NULL;
    for (uint64_t j = 0; f->refs > 1 && j < i; j++)
        if (l->fds[j].file == f)
            return NULL;
    return so;
}

static int sessions(void *base, const struct sysctl_oid *oid, uint64_t *cursor, char *buf, size_t size)
{
    const struct so_layer *l = base;
    size_t at = 0;
    char lines[2 * LINE_MAX_LEN];
    buf[0] = '\0';
    for (uint64_t i = *cursor; i < l->n_fds; i++) {
        const struct socket *so = socket_at(l, i);
        size_t n = so ? lines_of(so, lines, sizeof(lines)) : 0;
        if (at + n >= size) {
            *cursor = i;
            return at > 0 ? 0 : -ENOSPC;
        }
        memcpy(buf + at, lines, n + (n > 0));
        at += n;
    }
    *cursor = SYSCTL_END;
    return 0;
}

static const struct sysctl_oid oids[] = {
    {.name = "kern.ipc.tls.sessions",
     .desc = "Sessions now, a line each: local and foreign end, direction, version, cipher, mode, backend, "
             "records, bytes of payload, "
             "records at a worker, why it is not the backend preferred",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_SKIP,
     .part = sessions},
};

int tls_list_register(struct so_layer *l)
{
    return sysctl_register(l->e->sysctl, oids, RTE_DIM(oids), l);
}
