// SPDX-License-Identifier: BSD-3-Clause
// The tree of names in DPDK's telemetry: "/leat/sysctl" lists its parts, "/leat/sysctl,PREFIX" gives what is below, as
// dpdk-telemetry.py and collectors that know DPDK ask. DPDK allows no dots in keys, so net.inet.tcp.msl is net/inet/tcp/msl there.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <rte_telemetry.h>
#include "process/tool.h"

#define NAME_LEN 128

/* DPDK's thread has no way to be told that a command is gone: it asks here who answers now. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct process *answers;
static bool registered; /* for good: there is no way back */

#define PARTS_MAX 256

struct answer {
    struct process *p;
    struct rte_tel_data *data;
    unsigned n;
    char parts[PARTS_MAX][NAME_LEN]; /* listed so far */
};

/* The part of the tree that a name belongs to, once: all names would be more than DPDK's array holds. */
static int add_part(const char *name, void *arg)
{
    struct answer *a = arg;
    char part[NAME_LEN];
    snprintf(part, sizeof(part), "%s", name);
    char *dot = strrchr(part, '.');
    if (dot)
        *dot = 0;
    for (unsigned i = 0; i < a->n; i++)
        if (strcmp(a->parts[i], part) == 0)
            return 0;
    if (a->n == PARTS_MAX)
        return -ENOSPC;
    memcpy(a->parts[a->n++], part, sizeof(part));
    return rte_tel_data_add_array_string(a->data, part);
}

static int add_value(const char *name, void *arg)
{
    const struct answer *a = arg;
    char key[NAME_LEN], value[1024];
    bool number;
    int rc = tool_sysctl_get(a->p, name, value, sizeof(value), &number);
    if (rc)
        return rc;
    snprintf(key, sizeof(key), "%s", name);
    for (char *dot = strchr(key, '.'); dot; dot = strchr(dot, '.'))
        *dot = '/';
    value[RTE_TEL_MAX_STRING_LEN - 1] = 0; /* DPDK refuses longer ones */
    if (!number)
        return rte_tel_data_add_dict_string(a->data, key, value);
    return value[0] == '-' ? rte_tel_data_add_dict_int(a->data, key, atoi(value))
                           : rte_tel_data_add_dict_u64(a->data, key, strtoull(value, NULL, 10));
}

/* Both spellings of a prefix are understood. */
static void prefix_of(const char *params, char prefix[NAME_LEN])
{
    snprintf(prefix, NAME_LEN, "%s", params);
    for (char *slash = strchr(prefix, '/'); slash; slash = strchr(slash, '/'))
        *slash = '.';
}

static int on_sysctl(const char *cmd, const char *params, struct rte_tel_data *data)
{
    struct answer a = {.data = data};
    char prefix[NAME_LEN];
    int rc = -ENXIO;
    pthread_mutex_lock(&lock);
    a.p = answers;
    if (a.p && !params) {
        rte_tel_data_start_array(data, RTE_TEL_STRING_VAL);
        rc = tool_sysctl_walk(a.p, "", add_part, &a);
    } else if (a.p) {
        rte_tel_data_start_dict(data);
        prefix_of(params, prefix);
        rc = tool_sysctl_walk(a.p, prefix, add_value, &a);
        rc = rc == 0 ? -ENOENT : rc;
    }
    pthread_mutex_unlock(&lock);
    return rc < 0 ? rc : 0;
}

void tool_telemetry_open(struct process *p)
{
    pthread_mutex_lock(&lock);
    if (!registered)
        registered = rte_telemetry_register_cmd(
                         "/leat/sysctl", on_sysctl,
                         "Leat's settings and counters: parts of the tree, or values below a name") == 0;
    answers = p;
    pthread_mutex_unlock(&lock);
}

void tool_telemetry_close(void)
{
    pthread_mutex_lock(&lock);
    answers = NULL;
    pthread_mutex_unlock(&lock);
}
