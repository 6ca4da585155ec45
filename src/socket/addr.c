// SPDX-License-Identifier: BSD-3-Clause
// Socket addresses of both families. An AF_INET6 socket speaks IPv4 through mapped addresses (RFC 3493 §3.7).
#include <string.h>
#include <netinet/in.h>
#include "socket/socket.h"

int sockaddr_read(const struct socket *so, const struct sockaddr *sa, socklen_t len, struct ip_addr *addr,
                  uint16_t *port, uint32_t *scope)
{
    *scope = 0;
    if (!sa)
        return -EFAULT;
    if (len < sizeof(sa->sa_family))
        return -EINVAL;
    if (sa->sa_family != so->family)
        return -EAFNOSUPPORT;
    if (so->family == AF_INET) {
        struct sockaddr_in in;
        if (len < sizeof(in))
            return -EINVAL;
        memcpy(&in, sa, sizeof(in));
        *addr = ip_addr_v4(in.sin_addr.s_addr);
        *port = in.sin_port;
        return 0;
    }
    struct sockaddr_in6 in6;
    if (len < sizeof(in6))
        return -EINVAL;
    memcpy(&in6, sa, sizeof(in6));
    *addr = ip_addr_v6(&in6.sin6_addr);
    *port = in6.sin6_port;
    *scope = in6.sin6_scope_id;
    if (ip_addr_is_v4(addr) && (so->bind_flags & TCP_BIND_V6ONLY))
        return -EINVAL;
    return 0;
}

void sockaddr_write(const struct socket *so, const struct ip_addr *addr, uint16_t port, uint32_t scope,
                    struct sockaddr *sa, socklen_t *len)
{
    union {
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } u = {0};
    socklen_t full = so->family == AF_INET ? sizeof(u.in) : sizeof(u.in6);
    if (!sa || !len)
        return;
    if (so->family == AF_INET) {
        u.in.sin_family = AF_INET;
        u.in.sin_port = port;
        u.in.sin_addr.s_addr = addr->w[3];
    } else {
        u.in6.sin6_family = AF_INET6;
        u.in6.sin6_port = port;
        memcpy(&u.in6.sin6_addr, addr->b, 16);
        if (ip_addr_is_link_local(addr) && !ip_addr_is_v4(addr))
            u.in6.sin6_scope_id = scope;
    }
    memcpy(sa, &u, *len < full ? *len : full);
    *len = full;
}
