// SPDX-License-Identifier: BSD-3-Clause
// One address type for both families: 16 bytes in network order, IPv4 as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2),
// so that a connection key has one shape and one hash.
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <netinet/in.h>

struct ip_addr {
    union {
        uint8_t b[16];
        uint32_t w[4];
        uint64_t q[2];
    };
};

static inline struct ip_addr ip_addr_v4(uint32_t addr_be)
{
    struct ip_addr a = {.w = {0, 0, htonl(0xffff), addr_be}};
    return a;
}

static inline struct ip_addr ip_addr_v6(const void *bytes)
{
    struct ip_addr a;
    memcpy(a.b, bytes, 16);
    return a;
}

static inline bool ip_addr_is_v4(const struct ip_addr *a)
{
    return a->q[0] == 0 && a->w[2] == htonl(0xffff);
}

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b)
{
    return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/* 0.0.0.0 or :: */
static inline bool ip_addr_is_any(const struct ip_addr *a)
{
    return a->q[0] == 0 && (a->q[1] == 0 || (a->w[2] == htonl(0xffff) && a->w[3] == 0));
}

static inline bool ip_addr_is_multicast(const struct ip_addr *a)
{
    return ip_addr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}

static inline bool ip_addr_is_link_local(const struct ip_addr *a)
{
    return ip_addr_is_v4(a) ? (a->b[12] == 169 && a->b[13] == 254)
                            : (a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80);
}

#define IP_ADDR_STRLEN INET6_ADDRSTRLEN
/* Writes the usual text form ("10.0.0.1", "fe80::1"); returns buf. base/ipaddr.c */
const char *ip_addr_str(const struct ip_addr *a, char buf[IP_ADDR_STRLEN]);
/* Parses either family. 0 or -EINVAL. base/ipaddr.c */
int ip_addr_parse(const char *text, struct ip_addr *out);
