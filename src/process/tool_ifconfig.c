// SPDX-License-Identifier: BSD-3-Clause
// leatctl ifconfig [-a | -l | IF [[inet|inet6] ADDRESS[/N] [netmask M | prefixlen N] [alias|-alias] | up | down | mtu N]], as
// ifconfig(8) of FreeBSD. A change reaches every engine or none.
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ethdev.h>
#include "engine/control.h"
#include "ip/ip.h"
#include "link/link.h"
#include "process/tool.h"

#define LISTING_TEXT 16384
#define LISTING_ITEM 512 /* bytes of one item at most */

/* A page of the listing; an item is an interface's head, an address or an interface's end. */
struct listing {             /* travels by value */
    char name[NETIF_NAMSIZ]; /* "" = all */
    bool found, more;
    unsigned skip, at; /* items that earlier pages had; items seen */
    size_t len;
    char text[LISTING_TEXT];
};

/* Does the next item belong on this page? */
static bool item(struct listing *l)
{
    if (l->at < l->skip) {
        l->at++;
        return false;
    }
    l->more |= l->len + LISTING_ITEM > sizeof(l->text);
    l->at += !l->more;
    return !l->more;
}

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

/* Offloads in use, with FreeBSD's names and numbers (IFCAP_*, net/if.h). */
static void list_options(struct listing *l, const struct port *port)
{
    static const struct {
        bool tx;
        uint64_t offload;
        uint32_t cap;
        const char *name;
    } caps[] = {
        {false, RTE_ETH_RX_OFFLOAD_TCP_CKSUM, 0x1, "RXCSUM"},
        {true, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 0x2, "TXCSUM"},
        {true, RTE_ETH_TX_OFFLOAD_TCP_TSO, 0x100, "TSO4"},
        {true, RTE_ETH_TX_OFFLOAD_TCP_TSO, 0x200, "TSO6"},
        {false, RTE_ETH_RX_OFFLOAD_TCP_LRO, 0x400, "LRO"},
        {false, RTE_ETH_RX_OFFLOAD_TCP_CKSUM, 0x200000, "RXCSUM_IPV6"},
        {true, RTE_ETH_TX_OFFLOAD_TCP_CKSUM, 0x400000, "TXCSUM_IPV6"},
    };
    char names[128] = "";
    uint32_t sum = 0;
    size_t len = 0;
    for (unsigned i = 0; i < RTE_DIM(caps); i++) {
        if (!((caps[i].tx ? port->tx_offloads : port->rx_offloads) & caps[i].offload))
            continue;
        len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", sum ? "," : "", caps[i].name);
        sum |= caps[i].cap;
    }
    add(l, "\toptions=%x<%s>\n", sum, names);
}

static void list_head(struct listing *l, const struct netif *nif)
{
    if (nif->loopback) {
        add(l, "%s: flags=%s metric 0 mtu %u\n", nif->name,
            nif->up ? "8049<UP,LOOPBACK,RUNNING,MULTICAST>" : "8048<LOOPBACK,RUNNING,MULTICAST>", nif->mtu);
        return;
    }
    const uint8_t *b = nif->mac.addr_bytes;
    add(l, "%s: flags=%s metric 0 mtu %u\n", nif->name,
        nif->up ? "8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST>" : "8802<BROADCAST,SIMPLEX,MULTICAST>",
        nif->mtu);
    list_options(l, nif->port);
    add(l, "\tether %02x:%02x:%02x:%02x:%02x:%02x\n", b[0], b[1], b[2], b[3], b[4], b[5]);
}

static void list_netif(struct listing *l, struct engine *e, const struct netif *nif)
{
    const struct ifaddr *ia;
    if (item(l))
        list_head(l, nif);
    TAILQ_FOREACH (ia, ip_addrs(e), link) {
        if (ia->netif == nif && item(l))
            list_address(l, ia);
    }
    if (item(l))
        add(l, nif->loopback ? "\tgroups: lo\n" : "\tstatus: %s\n",
            netif_link_up(nif) ? "active" : "no carrier");
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

static int on_engine_names(struct engine *e, void *arg)
{
    struct listing *l = arg;
    const struct netif *nif;
    TAILQ_FOREACH (nif, &e->link->netifs, link)
        add(l, "%s%s", l->len ? " " : "", nif->name);
    add(l, "\n");
    l->found = true;
    return 0;
}

static int list(struct process *p, const char *name, int (*run)(struct engine *, void *), FILE *out)
{
    struct listing *l = calloc(1, sizeof(*l));
    int rc = l ? 0 : -ENOMEM, status = 1;
    bool more = l;
    while (more) {
        unsigned skip = l->at;
        *l = (struct listing){.skip = skip};
        snprintf(l->name, sizeof(l->name), "%s", name);
        rc = control_call(p->engines[0].e, run, l, sizeof(*l), TOOL_TIMEOUT_MS);
        more = rc == 0 && l->more;
        if (rc == 0)
            fputs(l->text, out);
    }
    if (rc)
        fprintf(out, "the engine does not answer: %s\n", strerror(-rc));
    else if (!l->found)
        fprintf(out, "%s: no such interface\n", name);
    else
        status = 0;
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
    unsigned before; /* MTU, or whether it was up: written by the engine */
};

/* Remembers the length, in case the address has to come back. */
static int address_delete(struct netif *nif, struct change *c)
{
    const struct ifaddr *ia;
    TAILQ_FOREACH (ia, ip_addrs(nif->e), link) {
        if (ia->netif == nif && ip_addr_eq(&ia->addr, &c->addr))
            c->plen = ia->plen;
    }
    return ip_addr_del(nif, &c->addr);
}

static int on_engine_change(struct engine *e, void *arg)
{
    struct change *c = arg;
    struct netif *nif = netif_find(e, c->name);
    if (!nif)
        return -ENODEV;
    switch (c->what) {
    case ADDRESS_ADD:
        return ip_addr_add(nif, &c->addr, c->plen);
    case ADDRESS_DELETE:
        return address_delete(nif, c);
    case MTU:
        c->before = nif->mtu;
        return netif_set_mtu(nif, c->mtu);
    default:
        c->before = nif->up;
        nif->up = c->what == UP;
        return 0;
    }
}

/* The change that undoes c, which has been carried out. */
static struct change undoing(const struct change *c)
{
    struct change u = *c;
    switch (c->what) {
    case ADDRESS_ADD:
        u.what = ADDRESS_DELETE;
        break;
    case ADDRESS_DELETE:
        u.what = ADDRESS_ADD;
        break;
    case MTU:
        u.mtu = (uint16_t)c->before;
        break;
    default:
        u.what = c->before ? UP : DOWN;
    }
    return u;
}

static bool parse_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
    char *end;
    unsigned long v = strtoul(text, &end, 10);
    *out = (unsigned)v;
    return *text >= '0' && *text <= '9' && !*end && v >= min && v <= max;
}

/* "255.255.255.0" or "0xffffff00". */
static bool parse_netmask(const char *text, uint8_t *plen)
{
    struct ip_addr a;
    char *end;
    uint64_t mask;
    if (strncmp(text, "0x", 2) == 0) {
        mask = strtoull(text, &end, 16);
        if (*end || mask > UINT32_MAX)
            return false;
    } else {
        if (ip_addr_parse(text, &a) != 0 || !ip_addr_is_v4(&a))
            return false;
        mask = ntohl(a.w[3]);
    }
    *plen = (uint8_t)__builtin_popcountll(mask);
    return mask == (*plen ? (uint32_t)(UINT32_MAX << (32 - *plen)) : 0); /* ones, then zeros */
}

/* "192.0.2.1/24"; without a length 24 or 64. */
static bool parse_address(const char *text, struct change *c)
{
    const char *slash = strchr(text, '/');
    char addr[IP_ADDR_STRLEN];
    size_t len = slash ? (size_t)(slash - text) : strlen(text);
    if (len >= sizeof(addr))
        return false;
    snprintf(addr, sizeof(addr), "%.*s", (int)len, text);
    if (ip_addr_parse(addr, &c->addr) != 0)
        return false;
    unsigned most = ip_addr_is_v4(&c->addr) ? 32 : 128, plen = ip_addr_is_v4(&c->addr) ? 24 : 64;
    if (slash && !parse_number(slash + 1, 0, most, &plen))
        return false;
    c->plen = (uint8_t)plen;
    return true;
}

/* What may follow an address. */
static const char *parse_words(int argc, char **argv, bool v4, struct change *c)
{
    unsigned plen;
    c->what = ADDRESS_ADD;
    for (int i = 0; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "alias") == 0 || strcmp(argv[i], "add") == 0) {
            c->what = ADDRESS_ADD;
        } else if (strcmp(argv[i], "-alias") == 0 || strcmp(argv[i], "delete") == 0 ||
                   strcmp(argv[i], "remove") == 0) {
            c->what = ADDRESS_DELETE;
        } else if (v4 && strcmp(argv[i], "netmask") == 0) {
            if (!parse_netmask(value, &c->plen))
                return "expected netmask 255.255.255.0 or 0xffffff00";
            i++;
        } else if (!v4 && strcmp(argv[i], "prefixlen") == 0) {
            if (!parse_number(value, 0, 128, &plen))
                return "expected prefixlen 0..128";
            c->plen = (uint8_t)plen;
            i++;
        } else {
            return v4 ? "expected alias, -alias or netmask after the address"
                      : "expected alias, -alias or prefixlen after the address";
        }
    }
    return NULL;
}

/* What the words after the interface ask for; NULL, or what is wrong with them. */
static const char *parse(int argc, char **argv, struct change *c)
{
    unsigned v;
    bool v6 = strcmp(argv[0], "inet6") == 0, named = v6 || strcmp(argv[0], "inet") == 0;
    if (named && argc < 2)
        return "expected an address";
    if (named || strpbrk(argv[0], ".:")) { /* the family may be left out */
        if (!parse_address(argv[named], c) || (named && ip_addr_is_v4(&c->addr) == v6))
            return "expected an address: inet 192.0.2.1/24 or inet6 2001:db8::1/64";
        return parse_words(argc - 1 - named, argv + 1 + named, ip_addr_is_v4(&c->addr), c);
    }
    if (strcmp(argv[0], "mtu") == 0) {
        if (argc != 2 || !parse_number(argv[1], 576, 9000, &v))
            return "expected mtu 576..9000";
        c->what = MTU;
        c->mtu = (uint16_t)v;
        return NULL;
    }
    c->what = strcmp(argv[0], "up") == 0 ? UP : DOWN;
    return argc == 1 && (c->what == UP || strcmp(argv[0], "down") == 0)
               ? NULL
               : "expected an address, inet, inet6, up, down or mtu";
}

static int change(struct process *p, unsigned engine, struct change *c)
{
    return control_call(p->engines[engine].e, on_engine_change, c, sizeof(*c), TOOL_TIMEOUT_MS);
}

/* On every engine or on none. Index of the engine that refused, with *rc why; -1: done. */
static int change_all(struct process *p, const struct change *wanted, int *rc)
{
    struct change done[PROC_ENGINES_MAX];
    for (unsigned i = 0; i < p->n_engines; i++) {
        done[i] = *wanted;
        *rc = change(p, i, &done[i]);
        if (*rc == 0)
            continue;
        for (unsigned k = i; k-- > 0;) {
            struct change undo = undoing(&done[k]);
            change(p, k, &undo);
        }
        return (int)i;
    }
    return -1;
}

static const char *reason(const struct change *c, int rc)
{
    if (rc == -EEXIST)
        return "the address is there already";
    if (rc == -ENOENT)
        return "no such address on this interface";
    if (rc == -ENODEV)
        return "no such interface";
    if (rc == -EINVAL && c->what == MTU)
        return "more than the port takes";
    return strerror(-rc);
}

int tool_ifconfig(struct process *p, int argc, char **argv, FILE *out)
{
    struct change c = {0};
    int rc;
    if (argc == 2 && strcmp(argv[1], "-l") == 0)
        return list(p, "", on_engine_names, out);
    if (argc <= 2)
        return list(p, argc == 2 && strcmp(argv[1], "-a") != 0 ? argv[1] : "", on_engine_list, out);
    snprintf(c.name, sizeof(c.name), "%s", argv[1]);
    const char *wrong = parse(argc - 2, argv + 2, &c);
    if (wrong) {
        fprintf(out, "ifconfig %s %s: %s\n", argv[1], argv[2], wrong);
        return 2;
    }
    int engine = change_all(p, &c, &rc);
    if (engine < 0)
        return 0;
    fprintf(out, "ifconfig %s %s: engine %d: %s\n", argv[1], argv[2], engine, reason(&c, rc));
    return 1;
}
