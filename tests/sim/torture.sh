#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# torture.sh OUT LONG: seeded runs in the release build, fewer under the sanitizers; 2,000 and more with LONG = 1.
set -eu
seeds=2000 checked=150
[ "$2" -eq 0 ] || { seeds=20000; checked=2000; }
"$1/release/tests/sim/torture" --seeds "$seeds"
"$1/sanitize/tests/sim/torture" --seeds "$checked"
# Connections that change their stack: 1,000 seeds with LONG = 1 (24 are a test of their own in every run); and with TLS below.
if [ "$2" -ne 0 ]; then
    "$1/release/tests/sim/torture_stacks" --seeds 1000
    "$1/sanitize/tests/sim/torture_stacks" --seeds 200
fi
"$1/release/tests/sim/torture" --seeds "$seeds" --stack rack
"$1/sanitize/tests/sim/torture" --seeds "$checked" --stack rack
# TLS in both directions: 300 seeds, 2,000 with LONG = 1.
tls=300 tls_checked=60
[ "$2" -eq 0 ] || { tls=2000; tls_checked=500; }
LEAT_SEEDS=$tls "$1/release/tests/sim/sim_tls_torture"
LEAT_SEEDS=$tls_checked "$1/sanitize/tests/sim/sim_tls_torture"
LEAT_SWITCH=1 LEAT_SEEDS=$((tls / 3)) "$1/release/tests/sim/sim_tls_torture"
