// SPDX-License-Identifier: BSD-3-Clause
// The names net.inet.tcp.hpts.* of the engine's wheel, with FreeBSD's meaning where a polling engine has such a thing: docs/hpts.md.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <rte_common.h>
#include "sysctl/sysctl.h"
#include "tcp/tcp.h"

static int get_lateness(void *base, const struct sysctl_oid *oid, char *buf, size_t size)
{
    const struct wheel *w = base;
    int n = snprintf(buf, size, "p50 %" PRIu64 " p95 %" PRIu64 " p99 %" PRIu64 " p999 %" PRIu64 " max %.1f",
                     wheel_late(w, 0.5) / NS_PER_US, wheel_late(w, 0.95) / NS_PER_US,
                     wheel_late(w, 0.99) / NS_PER_US, wheel_late(w, 0.999) / NS_PER_US,
                     (double)w->behind_max_ns / NS_PER_US);
    return n < 0 || (size_t)n >= size ? -ENOSPC : 0;
}

#define STAT(name, field, unit, desc)                                                                        \
    SYSCTL_OID_COUNTER("net.inet.tcp.hpts.stats." name, struct wheel, field, unit, desc)
#define LATE(i, name, desc) STAT("late." name, late[i], "timers", desc)

static const struct sysctl_oid oids[] = {
    SYSCTL_OID_GAUGE("net.inet.tcp.hpts.out_qcnt", struct wheel, armed, "timers",
                     "Timers on the wheel: a connection has one for all of its own"),
    {.name = "net.inet.tcp.hpts.lateness",
     .desc = "How late timers were served: half of them, 95, 99, 99.9 % and all within so many us",
     .unit = "us",
     .type = SYSCTL_PROC,
     .flags = SYSCTL_RD,
     .get = get_lateness},
    STAT("runs", runs, "runs", "Turns in which timers were due"),
    STAT("hopeless", unfinished, "runs",
         "Turns that left due timers to the next, because leat.engine.wheel_budget was spent"),
    STAT("wheel_wrap", wraps, "runs", "Turns that came more than one turn of the wheel (1.31 s) late"),
    LATE(0, "10us", "Timers served less than a slot after their deadline"),
    LATE(1, "20us", "Timers served 10 us late or more, but not 20"),
    LATE(2, "40us", "Timers served 20 us late or more, but not 40"),
    LATE(3, "80us", "Timers served 40 us late or more, but not 80"),
    LATE(4, "160us", "Timers served 80 us late or more, but not 160"),
    LATE(5, "320us", "Timers served 160 us late or more, but not 320"),
    LATE(6, "640us", "Timers served 320 us late or more, but not 640"),
    LATE(7, "1280us", "Timers served 640 us late or more, but not 1280"),
    LATE(8, "2560us", "Timers served 1.28 ms late or more, but not 2.56"),
    LATE(9, "5120us", "Timers served 2.56 ms late or more, but not 5.12"),
    LATE(10, "10ms", "Timers served 5.12 ms late or more, but not 10.24"),
    LATE(11, "20ms", "Timers served 10.24 ms late or more, but not 20.48"),
    LATE(12, "40ms", "Timers served 20.48 ms late or more, but not 40.96"),
    LATE(13, "80ms", "Timers served 40.96 ms late or more, but not 81.92"),
    LATE(14, "160ms", "Timers served 81.92 ms late or more, but not 163.84"),
    LATE(15, "more", "Timers served 163.84 ms late or more"),
};

static const struct sysctl_oid settings[] = {
    SYSCTL_OID_UINT("net.inet.tcp.hpts.minsleep", struct engine_params, sleep_min_us, SYSCTL_RW, 250, 50,
                    1000000, "us",
                    "An engine that may sleep (leat.engine.idle_us) polls on when the next timer is nearer"),
};

int tcp_hpts_register(struct tcp_layer *t)
{
    int err = sysctl_register(t->e->sysctl, oids, RTE_DIM(oids), &t->e->wheel);
    return err ? err : sysctl_register(t->e->sysctl, settings, RTE_DIM(settings), &t->e->params);
}

void tcp_hpts_unregister(struct tcp_layer *t)
{
    sysctl_unregister(t->e->sysctl, &t->e->wheel);
    sysctl_unregister(t->e->sysctl, &t->e->params);
}
