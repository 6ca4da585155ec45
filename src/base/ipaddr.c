// SPDX-License-Identifier: BSD-3-Clause
#include "base/ipaddr.h"
#include <arpa/inet.h>
#include <errno.h>

const char *ip_addr_str(const struct ip_addr *a, char buf[IP_ADDR_STRLEN])
{
    if (ip_addr_is_v4(a))
        inet_ntop(AF_INET, &a->w[3], buf, IP_ADDR_STRLEN);
    else
        inet_ntop(AF_INET6, a->b, buf, IP_ADDR_STRLEN);
    return buf;
}

int ip_addr_parse(const char *text, struct ip_addr *out)
{
    uint32_t v4;
    if (inet_pton(AF_INET, text, &v4) == 1) {
        *out = ip_addr_v4(v4);
        return 0;
    }
    return inet_pton(AF_INET6, text, out->b) == 1 ? 0 : -EINVAL;
}
