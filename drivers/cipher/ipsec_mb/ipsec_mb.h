// SPDX-License-Identifier: BSD-3-Clause
// The record cipher of Intel's multi-buffer library (libipsec-mb): AVX-512 and VAES where the CPU has them.
#pragma once
#include "tls/session.h"

extern const struct tls_backend tls_backend_ipsec_mb;
