#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The library as its users get it: installed with pkg-config (shared and static), as a Meson subproject, and with only public symbols.
set -eu
out=$(readlink -f "$1")
src=$(dirname "$(readlink -f "$0")")/..
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
DESTDIR=$dir/root meson install -C "$out/release" --quiet
pc=$(dirname "$(find "$dir/root" -name leat.pc)")
prefix=$(find "$dir/root" -type d -path '*/include/leat' | sed 's,/include/leat$,,')
libdir=$(dirname "$(find "$dir/root" -name 'libleat.so')")
sed -i "s,^prefix=.*,prefix=$prefix," "$pc/leat.pc" "$pc/leat-ssl.pc"
flags() { PKG_CONFIG_PATH=$pc pkg-config "$@"; }

echo "== shared, by pkg-config"
gcc -Wall -Werror "$src/examples/minimal/minimal.c" $(flags --cflags leat) -L"$libdir" $(flags --libs leat) -o "$dir/minimal"
LD_LIBRARY_PATH=$libdir ldd "$dir/minimal" | grep libleat
gcc -Wall -Werror "$src/examples/tls-echo/tls_echo.c" $(flags --cflags leat-ssl) -L"$libdir" $(flags --libs leat-ssl) -o "$dir/tls-echo"
LD_LIBRARY_PATH=$libdir ldd "$dir/tls-echo" | grep libleat-ssl
echo "== C++ can include every header"
for h in leat blackbox event ssl sysctl tcp tls; do echo "#include <leat/$h.h>"; done | g++ -Wall -Werror -fsyntax-only -x c++ -I"$prefix/include" -
echo "== static, with the shared libraries of DPDK"
gcc "$src/examples/minimal/minimal.c" -I"$prefix/include" "$libdir/libleat.a" $(pkg-config --libs libdpdk libcrypto zlib inih liburing) $(sed -n "s/^Libs.private: //p" "$pc/leat.pc") -o "$dir/minimal_static"

echo "== the simulator, by pkg-config: the same seed is the same world"
sed -i "s,^prefix=.*,prefix=$prefix," "$pc/leat-sim.pc"
gcc -Wall -Werror "$src/examples/simulated/simulated.c" $(flags --cflags leat-sim) -L"$libdir" $(flags --libs leat-sim) -o "$dir/simulated"
[ "$("$dir/simulated" 4)" = "$("$dir/simulated" 4)" ] && "$dir/simulated" 4

echo "== only leat_* is visible"
bad=$(nm -D --defined-only "$libdir/libleat.so" | awk '{print $3}' | grep -v '^leat_' || true)
[ -z "$bad" ] || { echo "visible: $bad"; exit 1; }

echo "== as a subproject"
mkdir -p "$dir/user/subprojects"
ln -s "$(readlink -f "$src")" "$dir/user/subprojects/leat"
cp "$src/examples/minimal/minimal.c" "$src/examples/simulated/simulated.c" "$dir/user/"
cat >"$dir/user/meson.build" <<'M'
project('user', 'c')
executable('user', 'minimal.c', dependencies: dependency('leat', fallback: ['leat', 'leat_dep'], default_options: ['tests=false', 'examples=false']))
executable('simulated', 'simulated.c', dependencies: dependency('leat-sim'))
M
meson setup "$dir/user/build" "$dir/user" >"$dir/setup.log" 2>&1 || { tail -30 "$dir/setup.log"; exit 1; }
ninja -C "$dir/user/build" >"$dir/build.log" 2>&1 || { tail -30 "$dir/build.log"; exit 1; }
echo ok
