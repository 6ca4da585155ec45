// SPDX-License-Identifier: BSD-3-Clause
// leat.conf(5), read with inih.
#include "engine/config.h"
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <ini.h>
#include "base/alloc.h"

struct reading {
    struct config *c;
    char *err;
    size_t errsize;
    int rc; /* of the first complaint */
};

/* What is wrong with a value; the caller adds where. */
__attribute__((format(printf, 3, 4))) static int refuse(struct reading *r, int rc, const char *fmt, ...)
{
    va_list ap;

    if (r->rc == 0) {
        va_start(ap, fmt);
        vsnprintf(r->err, r->errsize, fmt, ap);
        va_end(ap);
        r->rc = rc;
    }
    return rc;
}

static char *copy_text(const char *text)
{
    size_t len = strlen(text) + 1;
    char *copy = mem_alloc(len);

    return copy ? memcpy(copy, text, len) : NULL;
}

static int set_text(struct reading *r, char **field, const char *value)
{
    char *copy = copy_text(value);

    if (!copy)
        return refuse(r, -ENOMEM, "no memory");
    mem_free(*field);
    *field = copy;
    return 0;
}

/* One more zeroed element at the end of an array. */
static void *grow(struct reading *r, void **array, unsigned *n, size_t size)
{
    char *bigger = mem_alloc((*n + 1) * size);

    if (!bigger) {
        refuse(r, -ENOMEM, "no memory");
        return NULL;
    }
    if (*n)
        memcpy(bigger, *array, *n * size);
    mem_free(*array);
    *array = bigger;
    return bigger + (*n)++ * size;
}
#define GROW(R, ARRAY, N) grow(R, (void **)&(ARRAY), &(N), sizeof(*(ARRAY)))

static bool parse_plen(const char *text, unsigned max, uint8_t *plen)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    *plen = (uint8_t)n;
    return *text >= '0' && *text <= '9' && *end == 0 && n <= max;
}

/* "10.0.0.1/24"; without a length the whole address. */
static bool parse_addr(const char *text, struct config_addr *a)
{
    char buf[IP_ADDR_STRLEN + 8];
    char *slash;
    unsigned max;

    if ((size_t)snprintf(buf, sizeof(buf), "%s", text) >= sizeof(buf))
        return false;
    slash = strchr(buf, '/');
    if (slash)
        *slash = 0;
    if (ip_addr_parse(buf, &a->addr) != 0)
        return false;
    max = ip_addr_is_v4(&a->addr) ? 32 : 128;
    a->plen = (uint8_t)max;
    return !slash || parse_plen(slash + 1, max, &a->plen);
}

static int add_addr(struct reading *r, struct config_port *p, const char *value)
{
    struct config_addr a, *place;

    if (!parse_addr(value, &a) || ip_addr_is_any(&a.addr) || ip_addr_is_multicast(&a.addr))
        return refuse(r, -EINVAL, "\"%s\": expected an address and prefix length, as 192.0.2.1/24", value);
    place = GROW(r, p->addrs, p->n_addrs);
    if (!place)
        return -ENOMEM;
    *place = a;
    return 0;
}

static int add_route(struct reading *r, struct config_port *p, const struct config_route *route)
{
    struct config_route *place = GROW(r, p->routes, p->n_routes);

    if (!place)
        return -ENOMEM;
    *place = *route;
    return 0;
}

static int add_gateway(struct reading *r, struct config_port *p, const char *value)
{
    struct config_route route = {.dst.plen = 0};

    if (ip_addr_parse(value, &route.gateway) != 0 || ip_addr_is_any(&route.gateway))
        return refuse(r, -EINVAL, "\"%s\": expected an address", value);
    route.dst.addr = ip_addr_is_v4(&route.gateway) ? ip_addr_v4(0) : ip_addr_v6(&in6addr_any);
    return add_route(r, p, &route);
}

/* "DESTINATION/LENGTH [GATEWAY]" */
static int parse_route(struct reading *r, struct config_port *p, const char *value)
{
    struct config_route route;
    char dst[64], gw[64];
    int n = sscanf(value, "%63s %63s", dst, gw);

    if (n < 1 || !parse_addr(dst, &route.dst))
        return refuse(r, -EINVAL, "\"%s\": expected DESTINATION/LENGTH [GATEWAY]", value);
    route.gateway = ip_addr_is_v4(&route.dst.addr) ? ip_addr_v4(0) : ip_addr_v6(&in6addr_any);
    if (n == 2 && (ip_addr_parse(gw, &route.gateway) != 0 ||
                   ip_addr_is_v4(&route.gateway) != ip_addr_is_v4(&route.dst.addr)))
        return refuse(r, -EINVAL, "\"%s\": expected a gateway of the destination's family", value);
    return add_route(r, p, &route);
}

static int parse_number(struct reading *r, const char *value, uint32_t min, uint32_t max, uint32_t *out)
{
    char *end;
    uintmax_t n;

    errno = 0;
    n = strtoumax(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || errno || n < min || n > max)
        return refuse(r, -EINVAL, "\"%s\": expected a number in %" PRIu32 "..%" PRIu32, value, min, max);
    *out = (uint32_t)n;
    return 0;
}

static int parse_bool(struct reading *r, const char *value, bool *out)
{
    static const char *const words[] = {"no", "yes", "off", "on", "0", "1", "false", "true"};

    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(value, words[i]) == 0) {
            *out = i & 1;
            return 0;
        }
    }
    return refuse(r, -EINVAL, "\"%s\": expected yes or no", value);
}

/* ---- sections ---- */

/* A key is a number, a truth, a text or something with a function. */
struct key {
    const char *name;
    enum { KEY_NUMBER, KEY_BOOL, KEY_TEXT, KEY_PORT } kind;
    size_t offset;
    uint32_t min, max;
    int (*set)(struct reading *r, struct config_port *p, const char *value);
};

static const struct key leat_keys[] = {
    {"engines", KEY_NUMBER, offsetof(struct config, engines), 1, 128, NULL},
    {"memory", KEY_NUMBER, offsetof(struct config, memory), 32, 1 << 20, NULL},
    {"mbufs", KEY_NUMBER, offsetof(struct config, mbufs), 1024, 1 << 24, NULL},
    {"mbuf_size", KEY_NUMBER, offsetof(struct config, mbuf_size), 1024, 16384, NULL},
    {"hugepages", KEY_BOOL, offsetof(struct config, hugepages), 0, 0, NULL},
    {"control", KEY_TEXT, offsetof(struct config, control), 0, 0, NULL},
};
static const struct key port_keys[] = {
    {"vdev", KEY_TEXT, offsetof(struct config_port, vdev), 0, 0, NULL},
    {"mtu", KEY_NUMBER, offsetof(struct config_port, mtu), 576, 9000, NULL},
    {"queues", KEY_NUMBER, offsetof(struct config_port, queues), 1, 128, NULL},
    {"rx_descriptors", KEY_NUMBER, offsetof(struct config_port, rx_descriptors), 64, 32768, NULL},
    {"tx_descriptors", KEY_NUMBER, offsetof(struct config_port, tx_descriptors), 64, 32768, NULL},
    {"lro", KEY_BOOL, offsetof(struct config_port, lro), 0, 0, NULL},
    {"promiscuous", KEY_BOOL, offsetof(struct config_port, promiscuous), 0, 0, NULL},
    {"offloads", KEY_BOOL, offsetof(struct config_port, offloads), 0, 0, NULL},
    {"addr", KEY_PORT, 0, 0, 0, add_addr},
    {"addr6", KEY_PORT, 0, 0, 0, add_addr},
    {"gateway", KEY_PORT, 0, 0, 0, add_gateway},
    {"gateway6", KEY_PORT, 0, 0, 0, add_gateway},
    {"route", KEY_PORT, 0, 0, 0, parse_route},
};

static int set_key(struct reading *r, const struct key *keys, unsigned n, void *base, const char *name,
                   const char *value)
{
    for (const struct key *k = keys; k < keys + n; k++) {
        void *field = (char *)base + k->offset;

        if (strcmp(k->name, name) != 0)
            continue;
        switch (k->kind) {
        case KEY_NUMBER:
            return parse_number(r, value, k->min, k->max, field);
        case KEY_BOOL:
            return parse_bool(r, value, field);
        case KEY_TEXT:
            return set_text(r, field, value);
        case KEY_PORT:
            return k->set(r, base, value);
        }
    }
    return refuse(r, -EINVAL, "no such key");
}
#define SET_KEY(R, KEYS, BASE, NAME, VALUE)                                                                  \
    set_key(R, KEYS, sizeof(KEYS) / sizeof((KEYS)[0]), BASE, NAME, VALUE)

static struct config_port *port_of(struct reading *r, const char *name)
{
    struct config *c = r->c;
    struct config_port *p;

    for (unsigned i = 0; i < c->n_ports; i++) {
        if (strcmp(c->ports[i].name, name) == 0)
            return &c->ports[i];
    }
    if (!*name || strlen(name) >= sizeof(p->name)) {
        refuse(r, -EINVAL, "expected a port's name of 1 to %zu characters", sizeof(p->name) - 1);
        return NULL;
    }
    p = GROW(r, c->ports, c->n_ports);
    if (p) {
        strcpy(p->name, name);
        p->offloads = true;
    }
    return p;
}

static int add_setting(struct reading *r, const char *name, const char *value)
{
    struct config_setting *s = GROW(r, r->c->settings, r->c->n_settings);

    if (!s)
        return -ENOMEM;
    s->name = copy_text(name);
    s->value = copy_text(value);
    return s->name && s->value ? 0 : refuse(r, -ENOMEM, "no memory");
}

/* inih's handler: 0 makes ini_parse() remember the line of the first error. */
static int on_line(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;
    struct config_port *p;
    char why[160];
    int rc;

    if (r->rc)
        return 0;
    if (strcmp(section, "leat") == 0) {
        rc = SET_KEY(r, leat_keys, r->c, name, value);
    } else if (strcmp(section, "sysctl") == 0) {
        rc = add_setting(r, name, value);
    } else if (strncmp(section, "port ", 5) == 0) {
        p = port_of(r, section + 5 + strspn(section + 5, " "));
        rc = p ? SET_KEY(r, port_keys, p, name, value) : r->rc;
    } else {
        rc = refuse(r, -EINVAL, "no such section: expected [leat], [port NAME] or [sysctl]");
    }
    if (rc) {
        snprintf(why, sizeof(why), "%s", r->err);
        snprintf(r->err, r->errsize, "[%s] %s: %s", section, name, why);
    }
    return rc == 0;
}

void config_init(struct config *c)
{
    *c = (struct config){.mbuf_size = 2048};
}

/* where: "file:line: " before the complaint. */
static int verdict(struct reading *r, const char *where, int line)
{
    char why[256];

    if (r->rc == 0 && line == 0)
        return 0;
    if (r->rc == 0)
        refuse(r, -EINVAL, "expected [SECTION], NAME = VALUE or a comment");
    snprintf(why, sizeof(why), "%s", r->err);
    snprintf(r->err, r->errsize, "%s:%d: %s", where, line, why);
    return r->rc;
}

int config_read(struct config *c, const char *path, char *err, size_t errsize)
{
    struct reading r = {c, err, errsize, 0};
    FILE *f = fopen(path, "re");
    int line, rc;

    if (!f) {
        rc = -errno;
        snprintf(err, errsize, "%s: %s", path, strerror(errno));
        return rc;
    }
    line = ini_parse_file(f, on_line, &r);
    fclose(f);
    return verdict(&r, path, line);
}

int config_parse(struct config *c, const char *text, char *err, size_t errsize)
{
    struct reading r = {c, err, errsize, 0};

    return verdict(&r, "text", ini_parse_string(text, on_line, &r));
}

int config_set(struct config *c, const char *assignment, char *err, size_t errsize)
{
    struct reading r = {c, err, errsize, 0};
    const char *eq = strchr(assignment, '=');
    char name[128];

    if (!eq || eq == assignment || (size_t)(eq - assignment) >= sizeof(name))
        return refuse(&r, -EINVAL, "--set %s: expected NAME=VALUE", assignment);
    memcpy(name, assignment, eq - assignment);
    name[eq - assignment] = 0;
    return add_setting(&r, name, eq + 1);
}

void config_free(struct config *c)
{
    for (unsigned i = 0; i < c->n_ports; i++) {
        mem_free(c->ports[i].vdev);
        mem_free(c->ports[i].addrs);
        mem_free(c->ports[i].routes);
    }
    for (unsigned i = 0; i < c->n_settings; i++) {
        mem_free(c->settings[i].name);
        mem_free(c->settings[i].value);
    }
    mem_free(c->ports);
    mem_free(c->settings);
    mem_free(c->control);
    *c = (struct config){0};
}
