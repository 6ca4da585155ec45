// SPDX-License-Identifier: BSD-3-Clause
// leat.conf(5): what the process starts with. Read once, before any engine exists; settings are carried to
// each engine's tree.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/ipaddr.h"

struct config_setting { /* of [sysctl] or --set, in the order given: the later one wins */
    char *name, *value;
};
struct config_addr {
    struct ip_addr addr;
    uint8_t plen; /* in the family's own bits */
};
struct config_route {
    struct config_addr dst;
    struct ip_addr gateway; /* any: on link */
};

struct config_port { /* [port NAME] */
    char name[32];   /* DPDK's port number, its device name, or that without "net_" */
    char *vdev;      /* device to make, as --vdev takes it; NULL: it is there already */
    uint32_t mtu, queues, rx_descriptors, tx_descriptors; /* 0: default */
    bool lro, promiscuous, offloads;
    struct config_addr *addrs;
    struct config_route *routes;
    unsigned n_addrs, n_routes;
};

struct config {
    uint32_t engines;   /* 0: one per lcore given to the EAL, else one */
    uint32_t memory;    /* MiB for packets and rings; 0: what they need */
    uint32_t mbufs;     /* packet buffers of each engine; 0: by memory */
    uint32_t mbuf_size; /* bytes of data in each, headroom not counted */
    bool hugepages;
    char *control; /* path of the tool socket; NULL: default; "none": no socket */
    struct config_port *ports;
    struct config_setting *settings;
    unsigned n_ports, n_settings;
};

/* Defaults. */
void config_init(struct config *c);
/* Reads a file, or text. 0, or -errno and a sentence in err that names place, key, value and what was
 * expected: -ENOENT, -EACCES ... of the file, -EINVAL, -ENOMEM. c is to be freed in any case. */
int config_read(struct config *c, const char *path, char *err, size_t errsize);
int config_parse(struct config *c, const char *text, char *err, size_t errsize);
/* "NAME=VALUE". 0, -EINVAL, -ENOMEM. */
int config_set(struct config *c, const char *assignment, char *err, size_t errsize);
void config_free(struct config *c);
