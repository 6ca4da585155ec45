#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# packages.sh build|test: installs the packages of tests/packages that are missing (test includes build).
set -eu
here=$(dirname "$(readlink -f "$0")")
want=$(awk -v kind="$1" '$1 == "build" || $1 == kind {print $2}' <(grep -v '^#' "$here/packages"))
missing=()
for p in $want; do
    dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q '^install ok installed$' || missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "missing packages: ${missing[*]}: install them as root" >&2; exit 1; }
    as_root=(sudo)
fi
echo "installing: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
