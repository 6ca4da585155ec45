// SPDX-License-Identifier: BSD-3-Clause
#include "blackbox/names.h"
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <sys/utsname.h>
#include "base/alloc.h"

#define NAMES_MAX 4096

struct entry {
    uint8_t addr[16];
    char name[BB_NAME_LEN];
};
struct bb_names {
    char host[BB_NAME_LEN];
    size_t n;
    struct entry e[NAMES_MAX]; /* by address */
};

static int by_address(const void *a, const void *b)
{
    return memcmp(((const struct entry *)a)->addr, ((const struct entry *)b)->addr,
                  sizeof(((struct entry *)0)->addr));
}

const char *bb_names_find(const struct bb_names *n, const uint8_t addr[16])
{
    struct entry key = {0};
    memcpy(key.addr, addr, sizeof(key.addr));
    const struct entry *e = bsearch(&key, n->e, n->n, sizeof(key), by_address);
    return e ? e->name : NULL;
}

const char *bb_names_host(const struct bb_names *n)
{
    return n->host;
}

/* "address name [name...] # comment". False: none of that, or a name that is too long. */
static bool read_line(char *line, struct entry *e)
{
    char *save, *addr = strtok_r(line, " \t\r\n", &save),
                *name = addr ? strtok_r(NULL, " \t\r\n", &save) : NULL;
    memset(e, 0, sizeof(*e));
    if (!name || strlen(name) >= sizeof(e->name))
        return false;
    memcpy(e->name, name, strlen(name));
    return inet_pton(AF_INET, addr, e->addr + 12) == 1 || inet_pton(AF_INET6, addr, e->addr) == 1;
}

/* The first line of an address counts, as it does for the resolver. */
static bool known(const struct bb_names *n, const struct entry *e)
{
    for (size_t i = 0; i < n->n; i++)
        if (by_address(&n->e[i], e) == 0)
            return true;
    return false;
}

static void read_file(struct bb_names *n, FILE *f)
{
    char line[512];
    while (n->n < NAMES_MAX && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "#")] = '\0';
        if (read_line(line, &n->e[n->n]) && !known(n, &n->e[n->n]))
            n->n++;
    }
    qsort(n->e, n->n, sizeof(n->e[0]), by_address);
}

struct bb_names *bb_names_new(const char *path)
{
    struct utsname u;
    struct bb_names *n = mem_alloc(sizeof(*n));
    if (!n)
        return NULL;
    n->n = 0;
    snprintf(n->host, sizeof(n->host), "%.*s", BB_NAME_LEN - 1, uname(&u) == 0 ? u.nodename : "");
    FILE *f = path[0] ? fopen(path, "re") : NULL;
    if (f) {
        read_file(n, f);
        fclose(f);
    }
    return n;
}

void bb_names_free(struct bb_names *n)
{
    mem_free(n);
}
