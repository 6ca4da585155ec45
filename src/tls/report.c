// SPDX-License-Identifier: BSD-3-Clause
// What is possible here, and what was asked for and refused: for people.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/cpus.h"
#include "sysctl/sysctl.h"
#include "tls/tls.h"

struct text {
    char *buf;
    size_t size, at;
};

static void add(struct text *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct text *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = t->at < t->size ? vsnprintf(t->buf + t->at, t->size - t->at, fmt, ap) : 0;
    va_end(ap);
    t->at += (size_t)n;
}

/* ---- backends ---- */

static void add_suites(struct text *t, const struct tls_backend *b, bool receive)
{
    static const char *const names[TLS_SUITES] = {[TLS_SUITE_GCM] = "GCM",
                                                  [TLS_SUITE_CHACHA20] = "ChaCha20",
                                                  [TLS_SUITE_CCM] = "CCM",
                                                  [TLS_SUITE_CBC] = "CBC"};
    static struct tls_keys none;
    unsigned n = 0;
    for (unsigned suite = 0; suite < TLS_SUITES; suite++) {
        const struct tls_session s = {.keys = &none,
                                      .suite = (uint8_t)suite,
                                      .vminor = TLS_MINOR_VER_TWO,
                                      .key_len = 32,
                                      .auth_len = 20,
                                      .mac_len = 20,
                                      .receive = receive};
        if (b->can(&s) == 0)
            add(t, "%s %s", n++ ? "," : "", names[suite]);
    }
    if (n == 0)
        add(t, " nothing");
}

static void add_backend(struct text *t, const struct tls_backend *b)
{
    char what[200] = "";
    if (b->describe)
        b->describe(what, sizeof(what));
    add(t, "backend %s: %s; seals", b->name, what);
    add_suites(t, b, false);
    add(t, "; opens");
    add_suites(t, b, true);
    add(t, "\n");
}

/* ---- the rest ---- */

static void add_cpus(struct text *t, const cpu_set_t *set)
{
    const char *comma = " ";
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, set))
            continue;
        add(t, "%s%d", comma, i);
        comma = ",";
    }
}

static void add_workers(struct text *t, const struct tls_layer *l)
{
    cpu_set_t cpus;
    bool bound = tls_worker_cpus(l, &cpus);
    uint32_t n = l->workers ? l->stats.threads : tls_workers_wanted(l);
    if (n == 0) {
        add(t, "workers: none, the engine seals and opens by itself\n");
        return;
    }
    add(t, "workers: %u of an engine (%s), %s CPU", n, l->workers ? "running" : "from the first session on",
        bound ? "each on one" : "free");
    add_cpus(t, &cpus);
    add(t, "; records of up to %u bytes by the engine itself\n", l->params.inline_max);
}

static void add_modes(struct text *t, const struct tls_layer *l)
{
    if (!l->params.enable)
        add(t, "sw: no, kern.ipc.tls.enable is 0\n");
    else
        add(t, "sw: yes, %s%s\n",
            l->params.rx_enable ? "both directions" : "sending only (kern.ipc.tls.rx_enable is 0)",
            l->params.cbc_enable ? "" : ", no CBC");
    add(t, "ifnet: no, no port has the capability\n");
    uint64_t unlocked = tls_keystore_unlocked(l->keys);
    if (unlocked > 0)
        add(t, "keys: %lu pages are not locked in memory (RLIMIT_MEMLOCK)\n", (unsigned long)unlocked);
    else
        add(t, "keys: locked in memory\n");
}

int tls_report_possible(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct tls_layer *l = base;
    const struct tls_backend *b;
    struct text t = {buf, size, 0};
    add_modes(&t, l);
    for (unsigned i = 0; (b = tls_backend_at(i)) != NULL; i++)
        add_backend(&t, b);
    add_workers(&t, l);
    for (unsigned i = 0; i < TLS_REFUSALS && l->refusals[i].text[0]; i++)
        add(&t, "refused %lu times: %s\n", (unsigned long)l->refusals[i].times, l->refusals[i].text);
    return t.at < size ? 0 : -ENOSPC;
}

/* ---- refusals ---- */

static const char *reason_of(const struct tls_layer *l, const struct tls_enable *en, bool receive, int err)
{
    if (!l->params.enable)
        return "kern.ipc.tls.enable is 0";
    if (receive && !l->params.rx_enable)
        return "kern.ipc.tls.rx_enable is 0";
    if (en->cipher_algorithm == CRYPTO_AES_CBC && !l->params.cbc_enable)
        return "kern.ipc.tls.cbc_enable is 0";
    switch (err) {
    case -EOPNOTSUPP:
        return "none of kern.ipc.tls.backends takes it";
    case -ENOMEM:
        return "no memory";
    default:
        return "the structure is wrong";
    }
}

/* The same one again is counted; a new one takes the place of the oldest. */
void tls_refused(struct tls_layer *l, const struct tls_enable *en, bool receive, int err)
{
    char text[sizeof(l->refusals[0].text)];
    snprintf(text, sizeof(text), "%s, version 3.%u, cipher %d, key of %d bytes: %s",
             receive ? "receiving" : "sending", en->tls_vminor, en->cipher_algorithm, en->cipher_key_len,
             reason_of(l, en, receive, err));
    for (unsigned i = 0; i < TLS_REFUSALS; i++) {
        if (strcmp(l->refusals[i].text, text) == 0) {
            l->refusals[i].times++;
            return;
        }
    }
    struct tls_refusal *r = &l->refusals[l->next_refusal++ % TLS_REFUSALS];
    memcpy(r->text, text, sizeof(text));
    r->times = 1;
}
