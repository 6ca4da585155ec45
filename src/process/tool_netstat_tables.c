// SPDX-License-Identifier: BSD-3-Clause
// netstat -i and -r: interfaces, their traffic added up over engines, and routes, as netstat(1) of FreeBSD prints them.
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <rte_common.h>
#include "engine/control.h"
#include "ip/ip.h"
#include "link/link.h"
#include "process/tool_netstat.h"

#define PAGE_INTERFACES 16
#define PAGE_ADDRESSES  64
#define PAGE_ROUTES     64

/* ---- interfaces ---- */

struct interface {
    char name[NETIF_NAMSIZ];
    uint16_t mtu, index;
    bool loopback, up;
    uint8_t mac[6];
    uint64_t ipackets, ierrors, idrops, opackets, oerrors;
};
struct address {
    struct ip_addr addr;
    uint8_t plen;
    uint16_t index; /* of its interface */
};
struct interfaces { /* travels by value */
    unsigned skip, n, skip_addresses, n_addresses;
    struct interface i[PAGE_INTERFACES];
    struct address a[PAGE_ADDRESSES];
};

static void add_counters(struct interface *i, const struct netif_stats *s)
{
    i->ipackets += s->ipackets;
    i->ierrors += s->drop_rx_short;
    i->idrops += s->drop_rx_down + s->drop_rx_type + s->drop_rx_vlan + s->drop_rx_not_ours +
                 s->drop_spread_full + s->drop_spread_nobuf;
    i->opackets += s->opackets;
    i->oerrors +=
        s->drop_tx_full + s->drop_tx_down + s->drop_tx_nobuf + s->drop_tx_toobig + s->drop_tx_refused;
}

static int on_engine_interfaces(struct engine *e, void *arg)
{
    struct interfaces *l = arg;
    const struct netif *nif;
    unsigned at = 0;
    TAILQ_FOREACH (nif, &e->link->netifs, link) {
        if (at++ < l->skip || l->n == PAGE_INTERFACES)
            continue;
        struct interface *i = &l->i[l->n++];
        *i = (struct interface){
            .mtu = nif->mtu, .index = nif->index, .loopback = nif->loopback, .up = nif->up};
        snprintf(i->name, sizeof(i->name), "%s", nif->name);
        memcpy(i->mac, nif->mac.addr_bytes, sizeof(i->mac));
        add_counters(i, &nif->stats);
    }
    const struct ifaddr *ia;
    at = 0;
    TAILQ_FOREACH (ia, ip_addrs(e), link) {
        if (at++ < l->skip_addresses || l->n_addresses == PAGE_ADDRESSES)
            continue;
        l->a[l->n_addresses++] = (struct address){ia->addr, ia->plen, ia->netif->index};
    }
    return 0;
}

/* What another engine counted at the same interface; its index there is the same. */
static int on_engine_counters(struct engine *e, void *arg)
{
    struct interface *i = arg;
    const struct netif *nif = netif_find(e, i->name);
    if (nif)
        add_counters(i, &nif->stats);
    return 0;
}

struct table {
    struct interface *i;
    struct address *a;
    unsigned n, n_addresses;
};

/* A page of interfaces and addresses after the other, of engine 0. 0 or -errno. */
static int read_interfaces(struct process *p, struct table *t)
{
    struct interfaces *page = malloc(sizeof(*page));
    int rc = page ? 0 : -ENOMEM;
    while (!rc) {
        *page = (struct interfaces){.skip = t->n, .skip_addresses = t->n_addresses};
        rc = control_call(p->engines[0].e, on_engine_interfaces, page, sizeof(*page), TOOL_TIMEOUT_MS);
        if (rc || page->n + page->n_addresses == 0)
            break;
        struct interface *i = realloc(t->i, (t->n + page->n + 1) * sizeof(*i));
        struct address *a = realloc(t->a, (t->n_addresses + page->n_addresses + 1) * sizeof(*a));
        t->i = i ? i : t->i;
        t->a = a ? a : t->a;
        if (!i || !a) {
            rc = -ENOMEM;
            break;
        }
        memcpy(t->i + t->n, page->i, page->n * sizeof(*i));
        memcpy(t->a + t->n_addresses, page->a, page->n_addresses * sizeof(*a));
        t->n += page->n;
        t->n_addresses += page->n_addresses;
    }
    free(page);
    for (unsigned i = 0; i < t->n && !rc; i++)
        for (unsigned k = 1; k < p->n_engines && !rc; k++)
            rc =
                control_call(p->engines[k].e, on_engine_counters, &t->i[i], sizeof(t->i[i]), TOOL_TIMEOUT_MS);
    return rc;
}

static const char *network(const struct ip_addr *a, uint8_t plen, char *buf, size_t size)
{
    struct ip_addr net = *a;
    char text[IP_ADDR_STRLEN];
    unsigned bits = ip_addr_is_v4(a) ? plen + 96u : plen;
    for (unsigned i = 0; i < 16; i++) {
        unsigned keep = bits > 8 * i ? bits - 8 * i : 0;
        if (keep < 8)
            net.b[i] &= (uint8_t)(0xff00 >> keep);
    }
    snprintf(buf, size, "%s/%u", ip_addr_str(&net, text), plen);
    return buf;
}

static void print_interface(const struct table *t, const struct interface *i, FILE *out)
{
    char mac[20] = "", link[20], net[64], addr[IP_ADDR_STRLEN];
    snprintf(link, sizeof(link), "<Link#%u>", i->index);
    if (i->loopback)
        snprintf(mac, sizeof(mac), "%s", i->name);
    else
        snprintf(mac, sizeof(mac), "%02x:%02x:%02x:%02x:%02x:%02x", i->mac[0], i->mac[1], i->mac[2],
                 i->mac[3], i->mac[4], i->mac[5]);
    fprintf(out,
            "%-7s %5u %-19s %-25s %9" PRIu64 " %5" PRIu64 " %5" PRIu64 " %9" PRIu64 " %5" PRIu64 " %5u\n",
            i->name, i->mtu, link, mac, i->ipackets, i->ierrors, i->idrops, i->opackets, i->oerrors, 0);
    for (const struct address *a = t->a; a < t->a + t->n_addresses; a++) {
        if (a->index != i->index)
            continue;
        fprintf(out, "%-7s %5s %-19s %-25s %9s %5s %5s %9s %5s %5s\n", i->name, "-",
                network(&a->addr, a->plen, net, sizeof(net)), ip_addr_str(&a->addr, addr), "-", "-", "-", "-",
                "-", "-");
    }
}

static int failed(int rc, FILE *out)
{
    if (rc)
        fprintf(out, "netstat: %s\n", strerror(-rc));
    return rc ? 1 : 0;
}

int netstat_interfaces(struct process *p, const struct netstat_options *o, FILE *out)
{
    struct table t = {0};
    bool found = !o->interface;
    int rc = read_interfaces(p, &t);
    if (!rc)
        fprintf(out, "%-7s %5s %-19s %-25s %9s %5s %5s %9s %5s %5s\n", "Name", "Mtu", "Network", "Address",
                "Ipkts", "Ierrs", "Idrop", "Opkts", "Oerrs", "Coll");
    for (unsigned i = 0; i < t.n && !rc; i++) {
        if (o->interface && strcmp(o->interface, t.i[i].name) != 0)
            continue;
        found = true;
        print_interface(&t, &t.i[i], out);
    }
    free(t.i);
    free(t.a);
    if (!rc && !found) {
        fprintf(out, "netstat: %s: no such interface\n", o->interface);
        return 1;
    }
    return failed(rc, out);
}

/* ---- routes ---- */

struct route_row {
    struct route_entry r;
    char netif[NETIF_NAMSIZ];
    uint16_t index;
    uint64_t left; /* ns; TIME_NEVER: no end */
};
struct routes { /* travels by value */
    unsigned skip, n;
    struct route_row row[PAGE_ROUTES];
};

static int on_engine_routes(struct engine *e, void *arg)
{
    struct routes *l = arg;
    struct route_entry r[PAGE_ROUTES];
    l->n = route_list(e, l->skip, r, PAGE_ROUTES);
    for (unsigned i = 0; i < l->n; i++) {
        struct route_row *row = &l->row[i];
        *row = (struct route_row){.r = r[i], .index = r[i].netif->index, .left = TIME_NEVER};
        snprintf(row->netif, sizeof(row->netif), "%s", r[i].netif->name);
        row->r.netif = NULL; /* of another thread */
        if (r[i].valid_until != TIME_NEVER)
            row->left = r[i].valid_until > e->now ? r[i].valid_until - e->now : 0;
    }
    return 0;
}

static void print_row(const char *dst, const char *gateway, const char *flags, const char *netif,
                      uint64_t left, FILE *out)
{
    fprintf(out, "%-18s %-18s %-8s %8s", dst, gateway, flags, netif);
    if (left != TIME_NEVER)
        fprintf(out, " %10" PRIu64, left / NS_PER_SEC);
    fputc('\n', out);
}

static void print_route(const struct route_row *row, FILE *out)
{
    bool v4 = ip_addr_is_v4(&row->r.dst), host = row->r.plen == (v4 ? 32 : 128);
    char dst[64], gateway[64], flags[8], addr[IP_ADDR_STRLEN];
    if (row->r.plen == 0)
        snprintf(dst, sizeof(dst), "default");
    else if (host)
        snprintf(dst, sizeof(dst), "%s", ip_addr_str(&row->r.dst, addr));
    else
        network(&row->r.dst, row->r.plen, dst, sizeof(dst));
    if (row->r.has_gateway)
        snprintf(gateway, sizeof(gateway), "%s", ip_addr_str(&row->r.gateway, addr));
    else
        snprintf(gateway, sizeof(gateway), "link#%u", row->index);
    snprintf(flags, sizeof(flags), "U%s%s%s", row->r.has_gateway ? "G" : "", host ? "H" : "",
             row->r.dynamic                           ? "D"
             : row->r.has_gateway && !row->r.autoconf ? "S"
                                                      : "");
    print_row(dst, gateway, flags, row->netif, row->left, out);
}

/* All routes of engine 0 of one family, the shortest prefix first as FreeBSD's tree has them. */
static int print_family(struct process *p, bool v4, FILE *out)
{
    struct routes *l = malloc(sizeof(*l));
    struct route_row *all = NULL;
    unsigned n = 0;
    int rc = l ? 0 : -ENOMEM;
    fprintf(out, "\nInternet%s:\n%-18s %-18s %-8s %8s %10s\n", v4 ? "" : "6", "Destination", "Gateway",
            "Flags", "Netif", "Expire");
    for (unsigned skip = 0; !rc; skip += l->n) {
        l->skip = skip;
        rc = control_call(p->engines[0].e, on_engine_routes, l, sizeof(*l), TOOL_TIMEOUT_MS);
        if (rc || l->n == 0)
            break;
        struct route_row *more = realloc(all, (n + l->n) * sizeof(*more));
        if (!more) {
            rc = -ENOMEM;
            break;
        }
        all = more;
        for (unsigned i = 0; i < l->n; i++)
            if (ip_addr_is_v4(&l->row[i].r.dst) == v4)
                all[n++] = l->row[i];
    }
    while (n > 0 && !rc) /* the longest comes first there */
        print_route(&all[--n], out);
    free(all);
    free(l);
    return rc;
}

int netstat_routes(struct process *p, const struct netstat_options *o, FILE *out)
{
    int rc = 0;
    fprintf(out, "Routing tables\n");
    if (!o->v6only)
        rc = print_family(p, true, out);
    if (!o->v4only && !rc)
        rc = print_family(p, false, out);
    return failed(rc, out);
}
