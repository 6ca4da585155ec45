// SPDX-License-Identifier: BSD-3-Clause
// Text of any content as leat.conf(5), and as --set: read or refused in words, never worse. What was read
// keeps the ranges that the rest of the process relies on.
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "engine/config.h"

static void check_port(const struct config_port *p)
{
    assert(memchr(p->name, 0, sizeof(p->name)) && p->name[0]);
    assert(p->mtu == 0 || (p->mtu >= 576 && p->mtu <= 9000));
    assert(p->queues <= 128 && p->rx_descriptors <= 32768 && p->tx_descriptors <= 32768);
    for (unsigned i = 0; i < p->n_addrs; i++) {
        const struct config_addr *a = &p->addrs[i];
        assert(a->plen <= (ip_addr_is_v4(&a->addr) ? 32 : 128));
        assert(!ip_addr_is_any(&a->addr) && !ip_addr_is_multicast(&a->addr));
    }
    for (unsigned i = 0; i < p->n_routes; i++) {
        const struct config_route *r = &p->routes[i];
        assert(r->dst.plen <= (ip_addr_is_v4(&r->dst.addr) ? 32 : 128));
        assert(ip_addr_is_v4(&r->dst.addr) == ip_addr_is_v4(&r->gateway));
    }
}

static void check(const struct config *c)
{
    assert(c->engines <= 128);
    assert(c->mbufs == 0 || (c->mbufs >= 1024 && c->mbufs <= 1 << 24));
    assert(c->mbuf_size >= 1024 && c->mbuf_size <= 16384);
    for (unsigned i = 0; i < c->n_ports; i++)
        check_port(&c->ports[i]);
    for (unsigned i = 0; i < c->n_settings; i++)
        assert(c->settings[i].name && c->settings[i].value);
}

/* A refusal says where and why, in a sentence that ends within its buffer. */
static void check_refusal(int rc, const char *err, size_t size)
{
    assert(rc < 0);
    assert(memchr(err, 0, size) && err[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1), err[256];
    struct config c;
    if (!text)
        abort();
    memcpy(text, data, size);
    text[size] = 0;
    config_init(&c);
    memset(err, 0, sizeof(err));
    int rc = config_parse(&c, text, err, sizeof(err));
    if (rc)
        check_refusal(rc, err, sizeof(err));
    else
        check(&c);
    text[strcspn(text, "\n")] = 0; /* the first line as an argument of --set */
    rc = config_set(&c, text, err, sizeof(err));
    if (rc)
        check_refusal(rc, err, sizeof(err));
    config_free(&c);
    free(text);
    return 0;
}
