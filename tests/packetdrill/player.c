// SPDX-License-Identifier: BSD-3-Clause
// Events one after the other, each at its time.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <leat/leat.h>
#include "base/units.h"
#include "player.h"
#include "sysctl/sysctl.h"

#define HORIZON ((int64_t)(600 * NS_PER_SEC))

int player_failed(struct player *p, const struct event *e, const char *format, ...)
{
    va_list ap;
    int n = snprintf(p->err, p->errlen, "%s:%u: ", p->script->path, e->line);
    va_start(ap, format);
    vsnprintf(p->err + n, p->errlen - (size_t)n, format, ap);
    va_end(ap);
    return -1;
}

static int64_t now(const struct player *p)
{
    return (int64_t)(sim_now(p->dialog->sim) - p->dialog->start);
}

/* ---- options ---- */

static int number_option(struct player *p, const char *name, uint64_t otherwise, uint64_t *out)
{
    const char *text = script_option(p->script, name);
    char *end;
    *out = text ? strtoull(text, &end, 10) : otherwise;
    if (!text || (*text && *end == 0))
        return 0;
    snprintf(p->err, p->errlen, "%s: --%s=%s: expected a number", p->script->path, name, text);
    return -1;
}

static int check_options(struct player *p)
{
    static const char *const known[] = {
        "ip_version", "tolerance_usecs", "tolerance_percent", "mtu",
        "local_ip",   "remote_ip",       "gateway_ip",        "netmask_ip",
        "bind_port",  "connect_port",    "strict_segments",   "tcp_ts_tick_usecs",
        "non_fatal",  "define",          "verbose",           "tcp_ts_ecr_scaled", /* ours always is */
    };
    for (unsigned i = 0; i < p->script->n_options; i++) {
        const char *name = p->script->options[i].name;
        bool found = false;
        for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
            found |= !strcmp(known[k], name);
        if (!found) {
            snprintf(p->err, p->errlen, "%s: unknown option --%s", p->script->path, name);
            return -1;
        }
    }
    return 0;
}

static int percent_option(struct player *p)
{
    const char *text = script_option(p->script, "tolerance_percent");
    char *end = NULL;
    p->tolerance_percent = text ? strtod(text, &end) : 0;
    if (!text || (*text && *end == 0 && p->tolerance_percent >= 0 && p->tolerance_percent <= 100))
        return 0;
    snprintf(p->err, p->errlen, "%s: --tolerance_percent=%s: expected 0 to 100", p->script->path, text);
    return -1;
}

static int non_fatal_option(struct player *p)
{
    const char *text = script_option(p->script, "non_fatal");
    while (text && *text) {
        size_t n = strcspn(text, ",");
        if (n == 6 && !strncmp(text, "packet", n)) {
            p->packets_may_differ = true;
        } else if (n == 7 && !strncmp(text, "syscall", n)) {
            p->calls_may_differ = true;
        } else {
            snprintf(p->err, p->errlen, "%s: --non_fatal: expected packet or syscall", p->script->path);
            return -1;
        }
        text += n + (text[n] == ',');
    }
    return 0;
}

static int start(struct player *p)
{
    uint64_t tolerance, mtu, bind_port, connect_port, tick;
    char local[80];
    const char *local_ip = script_option(p->script, "local_ip");
    if (check_options(p) < 0 || number_option(p, "tolerance_usecs", 4000, &tolerance) < 0 ||
        percent_option(p) < 0 || non_fatal_option(p) < 0 ||
        number_option(p, "tcp_ts_tick_usecs", 0, &tick) < 0 || number_option(p, "mtu", 1500, &mtu) < 0 ||
        number_option(p, "bind_port", DIALOG_PORT, &bind_port) < 0 ||
        number_option(p, "connect_port", DIALOG_PORT, &connect_port) < 0)
        return -1;
    struct dialog_config c = {
        .v6 = p->script->v6,
        .mtu = (uint16_t)mtu,
        .remote = script_option(p->script, "remote_ip"),
        .gateway = script_option(p->script, "gateway_ip"),
        .pcap = getenv("PCAP"),
        .strict = script_option(p->script, "strict_segments") != NULL,
        .ts_tick_us = (uint32_t)tick,
    };
    if (local_ip) {
        snprintf(local, sizeof(local), strchr(local_ip, '/') ? "%s" : c.v6 ? "%s/48" : "%s/16", local_ip);
        c.local = local;
    }
    p->tolerance = (int64_t)tolerance * 1000;
    p->bind_port = (uint16_t)bind_port;
    p->connect_port = (uint16_t)connect_port;
    p->dialog = dialog_new(&c);
    if (!p->dialog) {
        snprintf(p->err, p->errlen, "%s: no host could be made: %m", p->script->path);
        return -1;
    }
    p->dialog->tolerance = (uint64_t)p->tolerance;
    char err[200];
    if (p->stack && sysctl_set_text(sim_engine(p->dialog->host)->sysctl, "net.inet.tcp.functions_default",
                                    p->stack, err, sizeof(err)) < 0) {
        snprintf(p->err, p->errlen, "%s: stack %s: %s", p->script->path, p->stack, err);
        return -1;
    }
    return 0;
}

/* ---- events ---- */

/* The script time at which the event is to begin; INT64_MAX: whenever. */
static int64_t begins(const struct player *p, const struct event *e)
{
    if (e->time_kind == TIME_ANY)
        return INT64_MAX;
    bool relative = e->time_kind == TIME_RELATIVE || e->time_kind == TIME_RELATIVE_RANGE;
    return e->time + (relative ? p->at : 0);
}

static int64_t tolerance_of(const struct player *p, int64_t t)
{
    int64_t share = t == INT64_MAX ? 0 : (int64_t)((double)(t - p->at) * p->tolerance_percent / 100);
    return share > p->tolerance ? share : p->tolerance;
}

static int expect(struct player *p, const struct event *e)
{
    char err[1000];
    uint64_t when;
    int64_t from = begins(p, e), to = from, tolerance = tolerance_of(p, from);
    if (e->time_kind == TIME_ABSOLUTE_RANGE)
        to = e->time_end;
    if (e->time_kind == TIME_RELATIVE_RANGE)
        to = p->at + e->time_end;
    int64_t until = from == INT64_MAX ? now(p) + HORIZON : to + tolerance;
    if (dialog_take(p->dialog, &e->segment, p->dialog->start + (uint64_t)until, &when, err, sizeof(err)) < 0)
        return player_failed(p, e, "%s", err);
    int64_t at = (int64_t)(when - p->dialog->start);
    if (from == INT64_MAX)
        from = to = at;
    if (at < from - tolerance || at > to + tolerance)
        return player_failed(p, e, "sent at %.6f, expected at %.6f, tolerance %.6f", (double)at / NS_PER_SEC,
                             (double)from / NS_PER_SEC, (double)tolerance / NS_PER_SEC);
    p->at = to == from ? from : at;
    return 0;
}

static int inject(struct player *p, const struct event *e)
{
    char err[200];
    return dialog_send(p->dialog, &e->segment, err, sizeof(err)) < 0 ? player_failed(p, e, "%s", err) : 0;
}

static int call(struct player *p, const struct event *e)
{
    bool blocked = false;
    sim_enter(p->dialog->host);
    int err = call_run(p, e, &blocked);
    if (err)
        return err;
    if (blocked && e->call_ends < 0)
        return player_failed(p, e, "%s() would block", e->text);
    if (blocked && p->waiting)
        return player_failed(p, e, "line %u still waits: one call at a time can", p->waiting->line);
    if (blocked) {
        p->waiting = e;
        p->waiting_ends = e->call_ends + (e->time_kind == TIME_RELATIVE ? p->at - e->time : 0);
    }
    dialog_run_until(p->dialog, sim_now(p->dialog->sim));
    return 0;
}

/* The call that waits is asked again, as a thread that sleeps in it would look. */
static int ask_waiting(struct player *p)
{
    const struct event *e = p->waiting;
    bool blocked = false;
    if (!e)
        return 0;
    sim_enter(p->dialog->host);
    if (call_run(p, e, &blocked) < 0)
        return -1;
    if (blocked && now(p) <= p->waiting_ends + p->tolerance)
        return 0;
    p->waiting = NULL;
    if (blocked || now(p) < p->waiting_ends - p->tolerance)
        return player_failed(p, e, "%s() %s at %.6f, expected to end at %.6f", e->text,
                             blocked ? "still waits" : "ended", (double)now(p) / NS_PER_SEC,
                             (double)p->waiting_ends / NS_PER_SEC);
    dialog_run_until(p->dialog, sim_now(p->dialog->sim));
    return 0;
}

static int run_until(struct player *p, int64_t t)
{
    uint64_t until = p->dialog->start + (uint64_t)t;
    while (p->waiting && sim_step(p->dialog->sim, until))
        if (ask_waiting(p) < 0)
            return -1;
    if (t >= now(p))
        dialog_run_until(p->dialog, until);
    return ask_waiting(p);
}

static int play(struct player *p, const struct event *e)
{
    if (e->kind == EVENT_EXPECT)
        return expect(p, e);
    int64_t t = begins(p, e);
    if (t == INT64_MAX)
        t = p->at;
    if (run_until(p, t) < 0)
        return -1;
    p->at = t;
    switch (e->kind) {
    case EVENT_INJECT:
        return inject(p, e);
    case EVENT_COMMAND:
        return command_run(p, e);
    case EVENT_CODE:
        return code_run(p, e);
    default:
        return call(p, e);
    }
}

static bool may_differ(const struct player *p, const struct event *e)
{
    return e->kind == EVENT_CALL ? p->calls_may_differ : e->kind == EVENT_EXPECT && p->packets_may_differ;
}

/* The command at the end restores what the script changed: also after a failure, whose message stays. */
static int clean_up(struct player *p, int error)
{
    char other[300], *err = p->err;
    if (!p->script->cleanup || !p->dialog)
        return error;
    if (!error)
        return command_run(p, p->script->cleanup);
    size_t errlen = p->errlen;
    p->err = other;
    p->errlen = sizeof(other);
    command_run(p, p->script->cleanup);
    p->err = err;
    p->errlen = errlen;
    return error;
}

int player_run(struct player *p, char *err, size_t errlen)
{
    p->err = err;
    p->errlen = errlen;
    p->last_fd = -1;
    int error = start(p);
    for (const struct event *e = p->script->events; e && !error; e = e->next) {
        error = play(p, e);
        if (error && may_differ(p, e))
            error = 0;
        if (!error)
            error = ask_waiting(p);
    }
    if (!error && p->waiting)
        error = run_until(p, p->waiting_ends + p->tolerance + NS_PER_MS);
    error = clean_up(p, error);
    if (!p->dialog)
        return -1;
    int64_t missing = dialog_free(p->dialog);
    if (!error && missing) {
        snprintf(err, errlen, "%s: %lld packet buffers were lost", p->script->path, (long long)missing);
        error = -1;
    }
    return error;
}
