#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# torture.sh OUT LONG: seeded runs in the release build, fewer under the sanitizers; 2,000 and more with LONG = 1.
set -eu
seeds=2000 checked=150
[ "$2" -eq 0 ] || { seeds=20000; checked=2000; }
"$1/release/tests/sim/torture" --seeds "$seeds"
"$1/sanitize/tests/sim/torture" --seeds "$checked"
