// SPDX-License-Identifier: BSD-3-Clause
// Inside of the room: pieces of a keystore.
#pragma once
#include "tls/session.h"

struct tls_keys *tls_keys_get(struct tls_keystore *ks);         /* zeroed; NULL: no memory */
void tls_keys_put(struct tls_keystore *ks, struct tls_keys *k); /* wiped */
