// SPDX-License-Identifier: BSD-3-Clause
#include "tcp/functions.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <leat/tcp.h>
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/log.h"
#include "tcp/loss/scoreboard.h"
#include "tcp/stats.h"
#include "tcp/tcp.h"

static const struct tcp_stack *const stacks[] = {&tcp_stack_default, &tcp_stack_rack};
_Static_assert(RTE_DIM(stacks) < TCP_STACKS_MAX, "a place for the count of each");

/* FreeBSD's name for its first stack. */
static const struct {
    const char *name;
    const struct tcp_stack *stack;
} aliases[] = {{"freebsd", &tcp_stack_default}};

const struct tcp_stack *tcp_stack_find(const char *name)
{
    for (unsigned i = 0; i < RTE_DIM(stacks); i++)
        if (strcmp(stacks[i]->name, name) == 0)
            return stacks[i];
    for (unsigned i = 0; i < RTE_DIM(aliases); i++)
        if (strcmp(aliases[i].name, name) == 0)
            return aliases[i].stack;
    return NULL;
}

static const char *alias_of(const struct tcp_stack *stack)
{
    for (unsigned i = 0; i < RTE_DIM(aliases); i++)
        if (aliases[i].stack == stack)
            return aliases[i].name;
    return "";
}

unsigned tcp_stack_id(const struct tcp_stack *stack)
{
    unsigned i = 0;
    while (i < RTE_DIM(stacks) && stacks[i] != stack)
        i++;
    return i;
}

const struct tcp_stack *tcp_stack_by_id(unsigned id)
{
    return id < RTE_DIM(stacks) ? stacks[id] : NULL;
}

static uint32_t *users_of(const struct tcb *tp, const struct tcp_stack *stack)
{
    return &tp->e->tcp->stack_users[tcp_stack_id(stack)];
}

/* ---- a stack and its connection ---- */

int tcp_stack_attach(struct tcb *tp, const struct tcp_stack *s)
{
    tp->stack = s;
    int err = s->init(tp);
    if (!err)
        ++*users_of(tp, s);
    return err;
}

void tcp_stack_detach(struct tcb *tp)
{
    tp->stack->fini(tp, true);
    --*users_of(tp, tp->stack);
}

/* What is a stack's own in a connection. */
#define OWN_FLAGS (TF_RECOVERY | TF_RTO_RECOVERY)
struct own {
    uint64_t state[TCP_STACK_BYTES / 8];
    uint64_t timer_at[TT_N];
    uint64_t rtt_start;
    struct recovery *recovery;
    uint64_t wish; /* of the pacer */
    uint32_t flags, cwnd, ssthresh;
    tcp_seq snd_nxt;
    uint16_t max_segs; /* of the pacer */
    uint8_t dupacks;
};

static void own_take(const struct tcb *tp, struct own *o)
{
    memcpy(o->state, tp->stack_state, sizeof(o->state));
    memcpy(o->timer_at, tp->timer_at, sizeof(o->timer_at));
    o->rtt_start = tp->rtt_start;
    o->recovery = tp->recovery;
    o->wish = tp->pacer.wish;
    o->max_segs = tp->pacer.max_segs;
    o->flags = tp->flags & OWN_FLAGS;
    o->cwnd = tp->cwnd;
    o->ssthresh = tp->ssthresh;
    o->snd_nxt = tp->snd_nxt;
    o->dupacks = tp->dupacks;
}

/* The wheel is armed for the earliest deadline that there ever was: to put one back needs no arming. */
static void own_put(struct tcb *tp, const struct own *o)
{
    memcpy(tp->stack_state, o->state, sizeof(o->state));
    memcpy(tp->timer_at, o->timer_at, sizeof(o->timer_at));
    tp->rtt_start = o->rtt_start;
    tp->recovery = o->recovery;
    tp->flags = (tp->flags & ~OWN_FLAGS) | o->flags;
    pacer_wish(tp, o->wish);
    tp->pacer.max_segs = o->max_segs;
    tp->cwnd = o->cwnd;
    tp->ssthresh = o->ssthresh;
    tp->snd_nxt = o->snd_nxt;
    tp->dupacks = o->dupacks;
}

/* As init is promised to find a live connection (stack.h). */
static void own_clear(struct tcb *tp)
{
    memset(tp->stack_state, 0, sizeof(tp->stack_state));
    tp->recovery = NULL;
    if ((tp->flags & TF_RECOVERY) && tp->cwnd > tp->ssthresh)
        tp->cwnd = tp->ssthresh; /* RFC 6582's inflation */
    tp->flags &= ~OWN_FLAGS;
    tp->dupacks = 0;
    tp->rtt_start = 0; /* Karn: who knows what was sent again */
    tcp_timer_stop(tp, TT_STACK);
    pacer_wish(tp, 0);
    tp->pacer.max_segs = 0;
    if (!tcp_timer_armed(tp, TT_PERSIST))
        tp->snd_nxt = tp->snd_max;
}

/* Whatever the two stacks think of each other's timers: something that waits for an ACK has one. */
static void keep_going(struct tcb *tp)
{
    bool timed =
        tcp_timer_armed(tp, TT_REXMT) || tcp_timer_armed(tp, TT_PERSIST) || tcp_timer_armed(tp, TT_STACK);
    if (tp->state <= TCPS_LISTEN || tp->state == TCPS_TIME_WAIT)
        return;
    if (tp->snd_una != tp->snd_max && !timed)
        rto_arm(tp, tp->e->now);
    tcb_mark_due(tp);
}

int tcp_stack_switch(struct tcb *tp, const struct tcp_stack *to)
{
    const struct tcp_stack *from = tp->stack;
    struct tcp_stats *st = tp->e->tcp->stats;
    struct own old, new;
    own_take(tp, &old);
    own_clear(tp);
    int err = to->init(tp);
    if (err < 0) {
        own_put(tp, &old);
        st->stack_switch_failed++;
        return err;
    }
    own_take(tp, &new);
    own_put(tp, &old);
    from->fini(tp, false);
    own_put(tp, &new);
    tp->stack = to;
    --*users_of(tp, from);
    ++*users_of(tp, to);
    st->stack_switches++;
    if (old.flags && to->recovering && seq_gt(tp->recover, tp->snd_una) && seq_leq(tp->recover, tp->snd_max))
        to->recovering(tp, old.flags & TF_RTO_RECOVERY);
    keep_going(tp);
    return 0;
}

void tcp_stack_agree(struct tcb *tp)
{
    if (tp->stack == &tcp_stack_default || tp->stack->handoff_ok(tp) != -EINVAL)
        return;
    if (tcp_stack_switch(tp, &tcp_stack_default) == 0)
        tp->e->tcp->stats->stack_fallbacks++;
}

void tcp_stack_inherit(struct tcb *tp, const struct tcb *listener)
{
    if (tp->stack != listener->stack && tp->e->tcp->params.functions_inherit)
        tcp_stack_switch(tp, listener->stack); /* the default one serves as well */
}

/* ---- options ---- */

/* Nobody will ever send or receive on it again. */
static bool dropped(const struct tcb *tp)
{
    return tp->state == TCPS_TIME_WAIT || (tp->state == TCPS_CLOSED && tp->started);
}

/* In FreeBSD's order of looking. */
static int choose(struct tcb *tp, const struct tcp_function_set *fs)
{
    bool ended = memchr(fs->function_set_name, 0, sizeof(fs->function_set_name)) != NULL;
    if (dropped(tp))
        return -ECONNRESET;
    const struct tcp_stack *to = ended ? tcp_stack_find(fs->function_set_name) : NULL;
    if (!to)
        return -ENOENT;
    if (to == tp->stack)
        return 0;
    int err = tp->state == TCPS_CLOSED ? 0 : to->handoff_ok ? to->handoff_ok(tp) : -EINVAL;
    return err ? err : tcp_stack_switch(tp, to);
}

int tcp_functions_setopt(struct tcb *tp, int name, const void *val, uint32_t len)
{
    struct tcp_function_set fs;
    if (name != TCP_FUNCTION_BLK)
        return -ENOPROTOOPT;
    if (len < sizeof(fs))
        return -EINVAL;
    memcpy(&fs, val, sizeof(fs));
    int err = choose(tp, &fs);
    TCP_LOG_EVENT(tp, TCP_LOG_SOCKET_OPT, .flex1 = (uint32_t)name, .flex2 = tcp_stack_id(tp->stack),
                  .flex3 = (uint32_t)-err);
    return err;
}

int tcp_functions_getopt(const struct tcb *tp, int name, void *val, uint32_t *len)
{
    struct tcp_function_set fs = {.pcbcnt = *users_of(tp, tp->stack)};
    if (name != TCP_FUNCTION_BLK && name != TCP_FUNCTION_ALIAS)
        return -ENOPROTOOPT;
    snprintf(fs.function_set_name, sizeof(fs.function_set_name), "%s",
             name == TCP_FUNCTION_BLK ? tp->stack->name : alias_of(tp->stack));
    if (*len > sizeof(fs))
        *len = sizeof(fs);
    memcpy(val, &fs, *len);
    return 0;
}

/* ---- settings ---- */

static int set_default(void *base, const struct sysctl_oid *oid, const char *text, char *err, size_t errsize)
{
    struct tcp_layer *t = base;
    const struct tcp_stack *s = tcp_stack_find(text);
    if (!s) {
        snprintf(err, errsize, "%s: no TCP stack is called \"%s\" (see net.inet.tcp.functions_available)",
                 oid->name, text);
        return -ENOENT;
    }
    snprintf(t->params.stack_default, sizeof(t->params.stack_default), "%s", s->name);
    t->stack_default = s;
    return 0;
}

static int line(char *buf, size_t size, size_t *at, const struct tcp_layer *t, const struct tcp_stack *s,
                const char *alias)
{
    int n = snprintf(buf + *at, size - *at, "\n%-32s%c %-32s %u", s->name, s == t->stack_default ? '*' : ' ',
                     alias, t->stack_users[tcp_stack_id(s)]);
    *at += (size_t)n;
    return *at < size ? 0 : -ENOSPC;
}

/* FreeBSD's table: a head, then a line for each name. */
static int get_available(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct tcp_layer *t = base;
    size_t at = (size_t)snprintf(buf, size, "\n%-32s%c %-32s %s", "Stack", 'D', "Alias", "PCB count");
    int err = at < size ? 0 : -ENOSPC;
    for (unsigned i = 0; i < RTE_DIM(stacks) && !err; i++)
        err = line(buf, size, &at, t, stacks[i], "-");
    for (unsigned i = 0; i < RTE_DIM(aliases) && !err; i++)
        err = line(buf, size, &at, t, aliases[i].stack, aliases[i].name);
    return err;
}

static const struct sysctl_oid oids[] = {
    {.name = "net.inet.tcp.functions_default",
     .desc = "TCP stack of new connections",
     .unit = "",
     .type = SYSCTL_STRING,
     .flags = SYSCTL_RW,
     .offset = offsetof(struct tcp_layer, params.stack_default),
     .size = sizeof(((struct tcp_params *)0)->stack_default),
     .def_text = "default",
     .set = set_default},
    {.name = "net.inet.tcp.functions_available",
     .desc = "TCP stacks: name, * for the default, alias, and connections",
     .unit = "",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD | SYSCTL_ADD,
     .get = get_available},
    SYSCTL_OID_BOOL("net.inet.tcp.functions_inherit_listen_socket_stack", struct tcp_layer,
                    params.functions_inherit, SYSCTL_RW, 1,
                    "Accepted connections have their listener's stack, else functions_default"),
};

int tcp_functions_register(struct tcp_layer *t)
{
    int err = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), t);
    t->stack_default = tcp_stack_find(t->params.stack_default);
    return err;
}
