#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# One GiB, hashed, over each family; and again while the kernel's side is shaped to 400 Mbit/s with a short queue, so that packets are lost.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
head -c $((1 << 30)) /dev/urandom >"$www/gib.bin"
head -c $((40 << 20)) "$www/gib.bin" >"$www/40.bin"
echo index >"$www/index.html"
sum=$(sha256sum <"$www/gib.bin")
serve_httpd
for url in "http://$LEAT4" "http://[$LEAT6]"; do
    start=$(date +%s.%N)
    expect "1 GiB from $url" "$(curl -sS --max-time 200 "$url/gib.bin" | sha256sum)" "$sum"
    awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {printf "   %.0f Mbit/s with hashing\n", 8 * 1073.741824 / (b - a)}'
done
# What the kernel receives passes an ifb with a token bucket and room for 40 packets, where this kernel has what that takes.
shaped() {
    ip link add ifb0 type ifb && ip link set ifb0 up && tc qdisc add dev leat0 ingress &&
        tc filter add dev leat0 parent ffff: matchall action mirred egress redirect dev ifb0 &&
        tc qdisc add dev ifb0 root handle 1: htb default 1 &&
        tc class add dev ifb0 parent 1: classid 1:1 htb rate 400mbit burst 32k &&
        tc qdisc add dev ifb0 parent 1:1 handle 10: pfifo limit 40
}
if ! shaped 2>"$work/tc"; then
    echo "left out: shaping: $(head -n 1 "$work/tc")"
    exit 0
fi
sum=$(sha256sum <"$www/40.bin")
start=$(date +%s.%N)
expect "40 MiB at 400 Mbit/s" "$(curl -sS --max-time 120 "http://$LEAT4/40.bin" | sha256sum)" "$sum"
awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {t = b - a; printf "   %.0f Mbit/s\n", 8 * 41.94304 / t; exit t > 4}' ||
    fail "less than 84 Mbit/s of the 400 shaped"
drops=$(tc -s qdisc show dev ifb0 | sed -n 's/.*dropped \([0-9]*\).*/\1/p' | sort -n | tail -1)
[ "$drops" -gt 0 ] || fail "the queue dropped nothing: the test shows nothing"
echo "ok: $drops packets dropped by the queue, $(sysctl_of net.inet.tcp.stats.sndrexmitpack) retransmitted"
