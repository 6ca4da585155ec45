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
# A second kernel behind the first one, which forwards and answers ARP for both; the way to it passes HTB's token bucket with room for 40 packets.
FAR4=10.64.0.3
unshare --net sleep 300 &
far=$!
pids+=("$far")
until [ "$(readlink /proc/$far/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
in_far() { nsenter -t $far -n "$@"; }
ip link add shaped type veth peer name far netns $far
ip link set shaped up
ip route add $FAR4/32 dev shaped
in_far ip addr add $FAR4/24 dev far
in_far ip link set far up
for i in shaped far; do o=; [ $i = far ] && o=in_far; $o ethtool -K $i tx off tso off gso off gro off >/dev/null; done
echo 1 >/proc/sys/net/ipv4/ip_forward
for i in leat0 shaped; do echo 1 >/proc/sys/net/ipv4/conf/$i/proxy_arp; done
tc qdisc add dev shaped root handle 1: htb default 1
tc class add dev shaped parent 1: classid 1:1 htb rate 400mbit burst 32k
tc qdisc add dev shaped parent 1:1 handle 10: pfifo limit 40
sum=$(sha256sum <"$www/40.bin")
start=$(date +%s.%N)
expect "40 MiB at 400 Mbit/s" "$(in_far curl -sS --max-time 120 "http://$LEAT4/40.bin" | sha256sum)" "$sum"
awk -v a="$start" -v b="$(date +%s.%N)" 'BEGIN {t = b - a; printf "   %.0f Mbit/s\n", 8 * 41.94304 / t; exit t > 4}' ||
    fail "less than 84 Mbit/s of the 400 shaped"
drops=$(tc -s qdisc show dev shaped | sed -n 's/.*dropped \([0-9]*\).*/\1/p' | sort -n | tail -1)
[ "$drops" -gt 0 ] || fail "the queue dropped nothing: the test shows nothing"
echo "ok: $drops packets dropped by the queue, $(sysctl_of net.inet.tcp.stats.sndrexmitpack) retransmitted"
