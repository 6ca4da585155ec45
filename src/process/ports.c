// SPDX-License-Identifier: BSD-3-Clause
// Every DPDK device that the configuration names (all, if it names none) becomes an interface of every
// engine.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <rte_ethdev.h>
#include "ip/ip.h"
#include "link/link.h"
#include "port/ethdev/ethdev.h"
#include "process/priv.h"

#define SPREAD_RING 4096 /* packets on their way between two engines */

/* "0", "net_tap0" and "tap0" all mean net_tap0 when it is DPDK's port 0. */
static bool names(const struct config_port *c, uint16_t id, const char *device)
{
    char number[8];

    snprintf(number, sizeof(number), "%u", id);
    return strcmp(c->name, number) == 0 || strcmp(c->name, device) == 0 ||
           (strncmp(device, "net_", 4) == 0 && strcmp(c->name, device + 4) == 0);
}

static const struct config_port *config_of(const struct process *p, uint16_t id, const char *device)
{
    for (unsigned i = 0; i < p->config.n_ports; i++) {
        if (names(&p->config.ports[i], id, device))
            return &p->config.ports[i];
    }
    return NULL;
}

/* An interface is called like its device ("tap0"), or "eth<n>" where that is an address on a bus or too
 * long. */
static void interface_name(struct proc_port *pp, uint16_t id, const char *device)
{
    if (strncmp(device, "net_", 4) == 0)
        device += 4;
    if (strlen(device) < sizeof(pp->name) && !strchr(device, ':'))
        snprintf(pp->name, sizeof(pp->name), "%s", device);
    else
        snprintf(pp->name, sizeof(pp->name), "eth%u", id);
}

static int open_port(struct process *p, uint16_t id, const char *device)
{
    struct proc_port *pp = &p->ports[p->n_ports];
    const struct config_port *c = config_of(p, id, device);
    struct rte_mempool *pools[PROC_ENGINES_MAX];
    struct ethdev_options opt = {.queues = (uint16_t)p->n_engines, .pools = pools};

    if (p->config.n_ports && !c)
        return 0;
    if (p->n_ports == PROC_PORTS_MAX)
        return proc_error(p, -E2BIG, "port %s: more than %d ports", device, PROC_PORTS_MAX);
    for (unsigned i = 0; i < p->n_engines; i++)
        pools[i] = p->engines[i].pool;
    if (c) {
        opt.queues = (uint16_t)(c->queues ? RTE_MIN(c->queues, p->n_engines) : p->n_engines);
        opt.mtu = (uint16_t)c->mtu;
        opt.rx_descriptors = (uint16_t)c->rx_descriptors;
        opt.tx_descriptors = (uint16_t)c->tx_descriptors;
        opt.lro = c->lro;
        opt.promiscuous = c->promiscuous;
        opt.tx_offloads_off = opt.rx_offloads_off =
            c->offloads ? 0 : UINT64_MAX & ~RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    }
    pp->port = ethdev_open(id, &opt, p->error, sizeof(p->error));
    if (!pp->port)
        return -errno;
    pp->conf = c;
    interface_name(pp, id, device);
    p->n_ports++;
    return 0;
}

static int attach(struct process *p, struct proc_port *pp)
{
    if (p->n_engines > 1) {
        pp->spread = spread_create(pp->port, p->n_engines, SPREAD_RING, p->engines[0].socket_id);
        if (!pp->spread)
            return proc_error(p, -errno, "port %s: no memory for rings between engines", pp->name);
    }
    for (unsigned i = 0; i < p->n_engines; i++) {
        uint16_t queue = i < pp->port->queues ? (uint16_t)i : NETIF_NO_QUEUE;
        struct netif *nif = netif_attach(p->engines[i].e, pp->port, queue, pp->name);

        if (!nif)
            return proc_error(p, -errno, "port %s: interface on engine %u: %s", pp->name, i, strerror(errno));
        netif_set_spread(nif, pp->spread);
    }
    return 0;
}

static int missing_ports(struct process *p)
{
    for (unsigned i = 0; i < p->config.n_ports; i++) {
        bool found = false;

        for (unsigned k = 0; k < p->n_ports; k++)
            found |= p->ports[k].conf == &p->config.ports[i];
        if (!found)
            return proc_error(
                p, -ENODEV, "[port %s]: no such device: expected one that DPDK has found, or vdev = ... here",
                p->config.ports[i].name);
    }
    return 0;
}

int proc_ports_open(struct process *p)
{
    uint16_t id;
    int rc = 0;

    RTE_ETH_FOREACH_DEV(id)
    {
        char device[RTE_ETH_NAME_MAX_LEN] = "";

        rte_eth_dev_get_name_by_port(id, device);
        rc = open_port(p, id, device);
        if (rc)
            return rc;
    }
    rc = missing_ports(p);
    for (unsigned i = 0; !rc && i < p->n_ports; i++)
        rc = attach(p, &p->ports[i]);
    return rc;
}

static int configure_addrs(struct process *p, const struct proc_port *pp, struct netif *nif)
{
    for (unsigned i = 0; i < pp->conf->n_addrs; i++) {
        const struct config_addr *a = &pp->conf->addrs[i];
        char text[IP_ADDR_STRLEN];
        int rc = ip_addr_add(nif, &a->addr, a->plen);

        if (rc)
            return proc_error(p, rc, "[port %s] addr: %s/%u: %s", pp->conf->name, ip_addr_str(&a->addr, text),
                              a->plen, strerror(-rc));
    }
    return 0;
}

static int configure_routes(struct process *p, const struct proc_port *pp, struct netif *nif)
{
    for (unsigned i = 0; i < pp->conf->n_routes; i++) {
        const struct config_route *r = &pp->conf->routes[i];
        char dst[IP_ADDR_STRLEN], gw[IP_ADDR_STRLEN];
        int rc = route_add(nif->e, &r->dst.addr, r->dst.plen, &r->gateway, nif);

        if (rc)
            return proc_error(p, rc, "[port %s] route: %s/%u %s: %s", pp->conf->name,
                              ip_addr_str(&r->dst.addr, dst), r->dst.plen, ip_addr_str(&r->gateway, gw),
                              strerror(-rc));
    }
    return 0;
}

int proc_ports_configure(struct process *p)
{
    for (unsigned i = 0; i < p->n_ports; i++) {
        const struct proc_port *pp = &p->ports[i];

        for (unsigned k = 0; k < p->n_engines; k++) {
            struct netif *nif = netif_find(p->engines[k].e, pp->name);
            int rc = 0;

            ip_netif_up(nif);
            if (pp->conf)
                rc = configure_addrs(p, pp, nif);
            if (!rc && pp->conf)
                rc = configure_routes(p, pp, nif);
            if (rc)
                return rc;
        }
    }
    return 0;
}

void proc_ports_stop(struct process *p)
{
    for (unsigned i = 0; i < p->n_ports; i++) {
        if (p->ports[i].port->ops->stop)
            p->ports[i].port->ops->stop(p->ports[i].port);
    }
}

void proc_ports_close(struct process *p)
{
    for (unsigned i = 0; i < p->n_ports; i++) {
        spread_destroy(p->ports[i].spread);
        p->ports[i].port->ops->close(p->ports[i].port);
    }
    p->n_ports = 0;
}
