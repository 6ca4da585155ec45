#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# wrk with 64 connections for five seconds: no socket error, no response but 200.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
echo "hello from leat" >"$www/index.html"
serve_httpd
wrk -t1 -c64 -d5 --timeout 5s "http://$LEAT4/" | tee "$work/wrk"
grep -q 'Socket errors' "$work/wrk" && fail "socket errors"
grep -q 'Non-2xx' "$work/wrk" && fail "responses other than 2xx"
rate=$(awk '/Requests\/sec/ {print int($2)}' "$work/wrk")
[ "$rate" -gt 1000 ] || fail "only $rate requests a second"
