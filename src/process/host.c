// SPDX-License-Identifier: BSD-3-Clause
// All floors on one engine, and their stations in the turn.
#include "process/host.h"
#include <errno.h>
#include "engine/control.h"
#include "ip/ip.h"
#include "link/link.h"
#include "socket/socket.h"
#include "tcp/tcp.h"
#include "tls/tls.h"

/* Lowest first; taken down the other way round. */
static const struct floor {
    int (*create)(struct engine *e);
    void (*destroy)(struct engine *e);
} floors[] = {
    {link_create, link_destroy}, {ip_create, ip_destroy}, {tcp_create, tcp_destroy},
    {tls_create, tls_destroy},   {so_create, so_destroy},
};

static void take_down(struct engine *e, unsigned n)
{
    while (n-- > 0)
        floors[n].destroy(e);
    engine_destroy(e);
}

struct engine *host_create(const struct engine_config *config)
{
    struct engine *e = engine_create(config);
    if (!e)
        return NULL;
    for (unsigned i = 0; i < RTE_DIM(floors); i++) {
        int err = floors[i].create(e);
        if (err) {
            take_down(e, i);
            errno = -err;
            return NULL;
        }
    }
    engine_station(e, PHASE_RECEIVE, link_receive, NULL);
    engine_station(e, PHASE_TRANSMIT, link_transmit, NULL);
    engine_station(e, PHASE_CONTROL, control_station, NULL);
    return e;
}

void host_destroy(struct engine *e)
{
    link_discard(e);
    take_down(e, RTE_DIM(floors));
}
