// SPDX-License-Identifier: BSD-3-Clause
// The record cipher that is always there: OpenSSL's EVP.
#pragma once
#include "tls/session.h"

extern const struct tls_backend tls_backend_openssl;
