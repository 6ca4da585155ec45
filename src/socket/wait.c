// SPDX-License-Identifier: BSD-3-Clause
// Calls that wait: the engine goes on turning, without the application's loop.
#include "socket/socket.h"

static bool turn(struct engine *e, uint64_t deadline)
{
    bool inside = e->in_application, alive = true;
    e->in_application = true;
    if (e->env.step)
        alive = e->env.step(e->env.arg, e, deadline);
    else
        engine_turn(e);
    e->in_application = inside;
    return alive;
}

int so_wait(struct engine *e, bool (*ready)(void *arg), void *arg, uint64_t deadline)
{
    while (!ready(arg)) {
        e->now = e->env.clock(e->env.arg);
        if (e->now >= deadline)
            return -ETIMEDOUT;
        if (e->stopping)
            return -EINTR;
        if (!turn(e, deadline) && deadline == TIME_NEVER)
            return -EDEADLK;
    }
    return 0;
}

uint64_t socket_deadline(const struct socket *so, const struct timeval *limit)
{
    uint64_t ns = (uint64_t)limit->tv_sec * NS_PER_SEC + (uint64_t)limit->tv_usec * NS_PER_US;
    return ns ? so->file.layer->e->now + ns : TIME_NEVER;
}
