// SPDX-License-Identifier: BSD-3-Clause
// The adapter's command socket: a request is words, each with its NUL; the answer one byte of status and text.
#pragma once

#define CONTROL_ENV    "LEAT_PACKETDRILL_SOCKET"
#define CONTROL_OK     '0'
#define CONTROL_FAILED '1'
