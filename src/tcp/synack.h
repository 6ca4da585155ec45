// SPDX-License-Identifier: BSD-3-Clause
// What a half-open connection sends.
#pragma once
#include "tcp/syncache.h"

/* The SYN-ACK, for the first time or again. 0, -ENOBUFS (counted) or an error of ip_output(). */
int synack_send(struct half_open *h);
/* An ACK that asks whether the peer means it (RFC 5961). */
void synack_challenge(struct half_open *h);
