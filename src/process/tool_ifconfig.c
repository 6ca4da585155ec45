// SPDX-License-Identifier: BSD-3-Clause
// leatctl ifconfig [IF [inet|inet6 ADDRESS/N [alias|delete] | up | down | mtu N]], as ifconfig(8) of FreeBSD. Changes reach every engine.
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include "engine/control.h"
#include "ip/ip.h"
#include "link/link.h"
#include "process/tool.h"

struct listing {             /* travels by value */
    char name[NETIF_NAMSIZ]; /* "" = all */
    bool found;
    size_t len;
    char text[16384];
};

static void add(struct listing *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void add(struct listing *l, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(l->text + l->len, sizeof(l->text) - l->len, fmt, ap);
    va_end(ap);
    if (n > 0 && (size_t)n < sizeof(l->text) - l->len)
        l->len += (size_t)n;
}

static void list_address(struct listing *l, const struct ifaddr *ia)
{
    static const char *const state[] = {[IFADDR_TENTATIVE] = " tentative",
                                        [IFADDR_PREFERRED] = "",
                                        [IFADDR_DEPRECATED] = " deprecated",
                                        [IFADDR_DUPLICATED] = " duplicated"};
    char text[IP_ADDR_STRLEN];
    ip_addr_str(&ia->addr, text);
    if (ip_addr_is_v4(&ia->addr)) {
        uint32_t mask = ia->plen ? UINT32_MAX << (32 - ia->plen) : 0;
        struct ip_addr all = ip_addr_v4(ia->addr.w[3] | htonl(~mask));
        add(l, "\tinet %s netmask 0x%08x", text, mask);
        if (!ia->netif->loopback)
            add(l, " broadcast %s", ip_addr_str(&all, text));
        add(l, "%s\n", state[ia->state]);
        return;
    }
    bool local = ip_addr_is_link_local(&ia->addr);
    add(l, "\tinet6 %s%s%s prefixlen %u%s", text, local ? "%" : "", local ? ia->netif->name : "", ia->plen,
        state[ia->state]);
    if (ia->autoconf)
        add(l, " autoconf");
    if (local)
        add(l, " scopeid 0x%x", ia->netif->index);
    add(l, "\n");
}

static void list_netif(struct listing *l, struct engine *e, const struct netif *nif)
{
    const struct ifaddr *ia;
    if (nif->loopback)
        add(l, "%s: flags=%s metric 0 mtu %u\n", nif->name,
            nif->up ? "8049<UP,LOOPBACK,RUNNING,MULTICAST>" : "8048<LOOPBACK,RUNNING,MULTICAST>", nif->mtu);
    else
        add(l, "%s: flags=%s metric 0 mtu %u\n", nif->name,
            nif->up ? "8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>" : "8802<BROADCAST,SIMPLEX,MULTICAST>",
            nif->mtu);
    if (!nif->loopback) {
        const uint8_t *b = nif->mac.addr_bytes;
        add(l, "\tether %02x:%02x:%02x:%02x:%02x:%02x\n", b[0], b[1], b[2], b[3], b[4], b[5]);
    }
    TAILQ_FOREACH (ia, ip_addrs(e), link) {
        if (ia->netif == nif)
            list_address(l, ia);
    }
    if (!nif->loopback)
        add(l, "\tstatus: %s\n", netif_link_up(nif) ? "active" : "no carrier");
}

static int on_engine_list(struct engine *e, void *arg)
{
    struct listing *l = arg;
    const struct netif *nif;
    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (l->name[0] && strcmp(nif->name, l->name) != 0)
            continue;
        l->found = true;
        list_netif(l, e, nif);
    }
    return 0;
}

static int list(struct process *p, const char *name, FILE *out)
{
    struct listing *l = calloc(1, sizeof(*l));
    int status = 1;
    if (!l)
        return 1;
    snprintf(l->name, sizeof(l->name), "%s", name);
    int rc = control_call(p->engines[0].e, on_engine_list, l, sizeof(*l), TOOL_TIMEOUT_MS);
    if (rc)
        fprintf(out, "the engine does not answer: %s\n", strerror(-rc));
    else if (!l->found)
        fprintf(out, "%s: no such interface\n", name);
    else
        status = 0;
    if (!status)
        fputs(l->text, out);
    free(l);
    return status;
}

enum what { ADDRESS_ADD, ADDRESS_DELETE, UP, DOWN, MTU };
struct change { /* travels by value */
    char name[NETIF_NAMSIZ];
    enum what what;
    struct ip_addr addr;
    uint8_t plen;
    uint16_t mtu;
};

static int on_engine_change(struct engine *e, void *arg)
{
    const struct change *c = arg;
    struct netif *nif = netif_find(e, c->name);
    if (!nif)
        return -ENODEV;
    switch (c->what) {
    case ADDRESS_ADD:
        return ip_addr_add(nif, &c->addr, c->plen);
    case ADDRESS_DELETE:
        return ip_addr_del(nif, &c->addr);
    case MTU:
        return netif_set_mtu(nif, c->mtu);
    default:
        nif->up = c->what == UP;
        return 0;
    }
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    *out = (unsigned)v;
    return *text >= '0' && *text <= '9' && !*end && v >= min && v <= max;
}

static bool parse_address(char *text, bool v6, struct change *c)
{
    char *slash = strchr(text, '/');
    unsigned plen = v6 ? 64 : 24;
    if (slash) {
        *slash = 0;
        if (!parse_number(slash + 1, 0, v6 ? 128 : 32, &plen))
            return false;
    }
    c->plen = (uint8_t)plen;
    return ip_addr_parse(text, &c->addr) == 0 && ip_addr_is_v4(&c->addr) == !v6;
}

/* What the words after the interface ask for; NULL, or what is wrong with them. */
static const char *parse(int argc, char **argv, struct change *c)
{
    unsigned v;
    bool v6 = strcmp(argv[0], "inet6") == 0;
    if (v6 || strcmp(argv[0], "inet") == 0) {
        if (argc < 2 || argc > 3 || !parse_address(argv[1], v6, c))
            return "expected an address: inet 192.0.2.1/24 or inet6 2001:db8::1/64, then nothing, alias or "
                   "delete";
        if (argc == 3 && strcmp(argv[2], "alias") != 0 && strcmp(argv[2], "delete") != 0 &&
            strcmp(argv[2], "-alias") != 0)
            return "expected alias or delete after the address";
        c->what = argc == 3 && strcmp(argv[2], "alias") != 0 ? ADDRESS_DELETE : ADDRESS_ADD;
        return NULL;
    }
    if (strcmp(argv[0], "mtu") == 0) {
        if (argc != 2 || !parse_number(argv[1], 68, 9000, &v))
            return "expected mtu 68..9000";
        c->what = MTU;
        c->mtu = (uint16_t)v;
        return NULL;
    }
    c->what = strcmp(argv[0], "up") == 0 ? UP : DOWN;
    return argc == 1 && (c->what == UP || strcmp(argv[0], "down") == 0)
               ? NULL
               : "expected inet, inet6, up, down or mtu";
}

int tool_ifconfig(struct process *p, int argc, char **argv, FILE *out)
{
    struct change c = {0};
    if (argc <= 2)
        return list(p, argc == 2 ? argv[1] : "", out);
    snprintf(c.name, sizeof(c.name), "%s", argv[1]);
    const char *wrong = parse(argc - 2, argv + 2, &c);
    if (wrong) {
        fprintf(out, "ifconfig %s %s: %s\n", argv[1], argv[2], wrong);
        return 2;
    }
    for (unsigned i = 0; i < p->n_engines; i++) {
        int rc = control_call(p->engines[i].e, on_engine_change, &c, sizeof(c), TOOL_TIMEOUT_MS);
        if (rc) {
            fprintf(out, "ifconfig %s %s: engine %u: %s\n", argv[1], argv[2], i, strerror(-rc));
            return 1;
        }
    }
    return 0;
}
