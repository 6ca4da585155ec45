// SPDX-License-Identifier: BSD-3-Clause
// The ciphers that are built in, best first, and the way to them.
#include <string.h>
#include <rte_common.h>
#include "cipher/openssl/openssl.h"
#include "tls/session.h"

static const struct tls_backend *const backends[] = {
    &tls_backend_openssl,
};
const char tls_backend_names[] = "openssl";

const struct tls_backend *tls_backend_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < RTE_DIM(backends); i++)
        if (strlen(backends[i]->name) == len && memcmp(backends[i]->name, name, len) == 0)
            return backends[i];
    return NULL;
}

/* How many of ops from the first on have its backend and direction. */
static unsigned same_kind(struct tls_op **ops, unsigned n)
{
    const struct tls_session *first = ops[0]->s;
    unsigned same = 1;
    while (same < n && ops[same]->s->backend == first->backend && ops[same]->s->receive == first->receive)
        same++;
    return same;
}

void tls_work(struct tls_op **ops, unsigned n)
{
    for (unsigned some; n > 0; ops += some, n -= some) {
        const struct tls_session *s = ops[0]->s;
        some = same_kind(ops, n);
        if (s->receive)
            s->backend->open(ops, some);
        else
            s->backend->seal(ops, some);
    }
}
