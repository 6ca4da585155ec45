// SPDX-License-Identifier: BSD-3-Clause
// Forged SYNs, sent past the stack through its port.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FLOOD_TARGET_MAC "02:09:00:00:00:01" /* of the server's port; tests/bench/run sees to it */

/* To address and port (network order), per_second at a time. False: no memory. */
bool flood_init(uint32_t address_be, uint16_t port_be, uint64_t per_second);
/* Forges what is due at now (ns), and sends it or throws it away. */
void flood_turn(uint64_t now, bool send);
uint64_t flood_sent(void); /* as many as the port took */
