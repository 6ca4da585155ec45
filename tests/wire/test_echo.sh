#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Bulk both ways at once: what the kernel sends, examples/echo returns, 256 MiB over each family, and then from 16 connections
# which end their sending side (half close) and read the rest.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
answers() { python3 "$here/echo.py" "$1" 80 1 1 >/dev/null 2>&1; }
serve examples/echo 80
for address in "$LEAT4" "[$LEAT6]"; do
    python3 "$here/echo.py" "$address" 80 1 $((256 << 20)) || fail "256 MiB there and back over $address"
done
python3 "$here/echo.py" "$LEAT4" 80 16 $((4 << 20)) || fail "16 connections"
expect "segments with a bad checksum" "$(sysctl_of net.inet.tcp.stats.rcvbadsum)" 0
