// SPDX-License-Identifier: BSD-3-Clause
// Which engine the calling thread runs.
#include "socket/socket.h"

static __thread struct engine *current;

void so_set_current(struct engine *e)
{
    current = e;
}

struct engine *so_current(void)
{
    return current;
}

struct so_layer *api_layer(void)
{
    if (!current)
        errno = ENXIO;
    return current ? current->so : NULL;
}

struct socket *api_socket(int fd)
{
    struct so_layer *l = api_layer();
    int err;
    if (!l)
        return NULL;
    struct socket *so = fd_socket(l, fd, &err);
    if (!so)
        errno = -err;
    return so;
}
