// SPDX-License-Identifier: BSD-3-Clause
// A host: one engine with every floor on it. Made by leat_init() for each core, and by the simulator for
// each node.
#pragma once
#include "engine/engine.h"

/* Creates engine, link, ip, tcp and socket floors and hooks their stations in. NULL and errno; nothing
 * leaks. */
struct engine *host_create(const struct engine_config *config);
/* Ends every socket and connection without a word on the wire and frees all. */
void host_destroy(struct engine *e);
