// SPDX-License-Identifier: BSD-3-Clause
// Prints docs/sysctl.md from the tree itself, of one engine with one interface.
#include <stdio.h>
#include <string.h>
#include <rte_common.h>
#include "engine/engine.h"
#include "port/sim/sim.h"
#include "sysctl/sysctl.h"

static const char *const kinds[] = {
    [SYSCTL_BOOL] = "switch", [SYSCTL_INT] = "number",    [SYSCTL_UINT] = "number", [SYSCTL_U64] = "number",
    [SYSCTL_STRING] = "text", [SYSCTL_COUNTER] = "count", [SYSCTL_GAUGE] = "gauge", [SYSCTL_PROC] = "text",
};

/* The interface of this engine stands for any. */
static void print_name(const char *name)
{
    const char *at = strstr(name, ".sim0.");
    if (at)
        printf("| `%.*s.INTERFACE.%s` | ", (int)(at - name), name, at + strlen(".sim0."));
    else
        printf("| `%s` | ", name);
}

static bool is_setting(const struct sysctl_oid *o)
{
    return !(o->flags & SYSCTL_RD);
}

static void print_range(const struct sysctl_oid *o)
{
    if (o->type == SYSCTL_BOOL)
        printf("0, 1");
    else if (o->type == SYSCTL_INT || o->type == SYSCTL_UINT || o->type == SYSCTL_U64)
        printf("%lld – %lld", (long long)o->min, (long long)o->max);
}

static void print_default(const struct sysctl_oid *o)
{
    if (o->type == SYSCTL_STRING)
        printf("%s", o->def_text ? o->def_text : "");
    else if (o->type <= SYSCTL_U64)
        printf("%lld", (long long)o->def);
}

static int setting(struct sysctl_tree *t, const struct sysctl_oid *o, void *arg)
{
    if (!is_setting(o))
        return 0;
    print_name(o->name);
    print_default(o);
    printf(" | ");
    print_range(o);
    printf(" | %s | %s%s |\n", o->unit ? o->unit : "", o->desc,
           o->flags & SYSCTL_TUN ? " (before the start only)" : "");
    return 0;
}

static int reading(struct sysctl_tree *t, const struct sysctl_oid *o, void *arg)
{
    if (is_setting(o))
        return 0;
    print_name(o->name);
    printf("%s | %s | %s |\n", kinds[o->type], o->unit ? o->unit : "", o->desc);
    return 0;
}

int main(void)
{
    struct sim *s = sim_eal_init(256) < 0 ? NULL : sim_create(1);
    struct sim_node *n = s ? sim_host(s, "a") : NULL;
    if (!n || !sim_stub(s, n, NULL))
        return 1;
    struct sysctl_tree *t = sim_engine(n)->sysctl;
    printf("<!-- SPDX-License-Identifier: BSD-3-Clause -->\n# Settings and counters\n\n"
           "Made by `tests/docs/sysctl` from the tree itself; do not edit. Read and set them by `leatctl "
           "sysctl`, in the `[sysctl]` part of leat.conf(5), "
           "with `--set`, or by `leat_sysctlbyname()`. Names are FreeBSD's where FreeBSD has one.\n\n"
           "## Settings\n\n| name | default | range | unit | |\n|---|---|---|---|---|\n");
    sysctl_walk(t, "", setting, NULL);
    printf("\n## Counters and states\n\nCounters are added up over engines.\n\n| name | kind | unit | "
           "|\n|---|---|---|---|\n");
    sysctl_walk(t, "", reading, NULL);
    return sim_destroy(s) != 0;
}
