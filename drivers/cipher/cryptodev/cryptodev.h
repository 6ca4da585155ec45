// SPDX-License-Identifier: BSD-3-Clause
// The record cipher of DPDK's crypto devices: --vdev=crypto_openssl, --vdev=crypto_aesni_mb, or hardware.
#pragma once
#include "tls/session.h"

extern const struct tls_backend tls_backend_cryptodev;
