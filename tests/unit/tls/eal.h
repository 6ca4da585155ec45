// SPDX-License-Identifier: BSD-3-Clause
// DPDK with one crypto device.
#pragma once
#include <stdio.h>
#include <rte_eal.h>

/* vdev: "crypto_openssl", ... */
static inline int eal_with(const char *program, const char *vdev)
{
    char arg[64], name[64];
    snprintf(arg, sizeof(arg), "--vdev=%s", vdev);
    snprintf(name, sizeof(name), "%s", program);
    char *argv[] = {name,
                    "--no-huge",
                    "-m",
                    "256",
                    "--no-pci",
                    "--no-shconf",
                    "--no-telemetry",
                    "--log-level=*:error",
                    "--lcores=0",
                    arg};
    return rte_eal_init(sizeof(argv) / sizeof(argv[0]), argv);
}
