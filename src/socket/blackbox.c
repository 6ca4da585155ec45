// SPDX-License-Identifier: BSD-3-Clause
// What an application writes into a connection's black box.
#include <leat/blackbox.h>
#include "socket/socket.h"
#include "tcp/log.h"

int leat_log_user_event(int fd, uint32_t type, uint32_t subtype, uint64_t start, uint64_t end, uint32_t flags)
{
    struct socket *so = api_socket(fd);
    if (!so)
        return -1;
    if (!so->tp)
        return (int)api_result(-ENOTCONN);
    const struct tcp_log_user u = {
        .timestamp = so->tp->e->now / NS_PER_US, .start = start, .end = end, .flags = flags};
    if (tcp_logging(so->tp))
        tcp_log_user_event(so->tp, type, subtype, &u);
    return 0;
}
