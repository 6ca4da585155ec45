// SPDX-License-Identifier: BSD-3-Clause
// Forged SYNs, sent past the stack through its port.
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define FLOOD_TARGET_MAC "02:09:00:00:00:01" /* of the server's port; tests/bench/run sees to it */
#define FLOOD_BESIDE_MAC "02:09:00:00:00:77" /* of nobody */

enum flood_to {
    FLOOD_AWAY,   /* forged and thrown away */
    FLOOD_BESIDE, /* to the MAC address of nobody: they cross the wire, and the server drops them at its door */
    FLOOD_SERVER,
    FLOOD_TOS,
};

/* To address and port (network order), per_second at a time. False: no memory. */
bool flood_init(uint32_t address_be, uint16_t port_be, uint64_t per_second);
/* Forges what is due at now (ns), and what becomes of it. A sender that falls behind sends less. */
void flood_turn(uint64_t now, enum flood_to to);
uint64_t flood_sent(void); /* as many as the port took */
