// SPDX-License-Identifier: BSD-3-Clause
// Records on their way to the workers and back, and who waits when there are too many.
#include "tls/tls.h"

void tls_flow_init(struct tls_flow *f, struct tls_layer *l, const struct tls_flow_ops *ops)
{
    *f = (struct tls_flow){.l = l, .ops = ops, .refs = 1, .worker = l->next_worker++};
}

void tls_starve(struct tls_flow *f)
{
    if (f->starved)
        return;
    f->starved = true;
    f->l->n_starved++;
    TAILQ_INSERT_TAIL(&f->l->starved, f, starved_link);
}

static void unstarve(struct tls_flow *f)
{
    if (!f->starved)
        return;
    f->starved = false;
    f->l->n_starved--;
    TAILQ_REMOVE(&f->l->starved, f, starved_link);
}

void tls_flow_put(struct tls_flow *f)
{
    if (--f->refs > 0)
        return;
    unstarve(f);
    f->ops->release(f);
}

bool tls_flow_inline(const struct tls_flow *f, uint32_t len)
{
    return !f->l->workers || (len <= f->l->params.inline_max && f->under_way == 0);
}

bool tls_submit(struct tls_job *j)
{
    struct tls_flow *f = j->flow;
    struct tls_layer *l = f->l;
    if (f->bytes_under_way > 0 && f->bytes_under_way + j->op.len > l->params.session_bytes)
        return false; /* comes again when one of its own is done */
    j->under_way = true;
    if ((l->bytes_under_way > 0 && l->bytes_under_way + j->op.len > l->params.engine_bytes) ||
        !l->ops->submit(l->workers, j)) {
        j->under_way = false;
        tls_starve(f);
        return false;
    }
    f->under_way++;
    f->bytes_under_way += j->op.len;
    l->under_way++;
    l->bytes_under_way += j->op.len;
    if (j->op.s->receive)
        l->stats.rx_inqueue++;
    else
        l->stats.tx_inqueue++;
    return true;
}

void tls_job_done(struct tls_job *j)
{
    struct tls_flow *f = j->flow;
    struct tls_layer *l = f->l;
    j->under_way = false;
    f->under_way--;
    f->bytes_under_way -= j->op.len;
    l->under_way--;
    l->bytes_under_way -= j->op.len;
    if (j->op.s->receive)
        l->stats.rx_inqueue--;
    else
        l->stats.tx_inqueue--;
    f->refs++;
    f->ops->done(j);
    f->ops->go_on(f);
    tls_flow_put(f);
}

/* Those that starve now, each once: one that starves again stands behind them. */
void tls_feed(struct tls_layer *l)
{
    struct tls_flow *f;
    for (uint32_t n = l->n_starved; n > 0 && (f = TAILQ_FIRST(&l->starved)) != NULL; n--) {
        unstarve(f);
        f->refs++;
        f->ops->go_on(f);
        tls_flow_put(f);
    }
}
