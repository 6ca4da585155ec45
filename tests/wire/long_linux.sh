#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# long_linux.sh BUILD [SECONDS [STACK]]: Leat and this kernel open connections to each other and talk, over a wire that loses, delays,
# reorders, repeats and narrows (tests/wire/lossy.c), while the kernel's options change; every byte is compared. 1800 s when none are
# said, and at the end 1 GiB each way. STACK: net.inet.tcp.functions_default.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
seconds=${2-1800} stack=${3-default} seed=${LEAT_SEED-$(date +%s)}
hardness=100
phases=$(((seconds + 299) / 300))
configure "net.inet.tcp.functions_default = $stack"
echo "$seconds s in $phases phases, stack $stack, LEAT_SEED=$seed"

# leat0, the port's end, belongs to nobody; the kernel's address is on kernel0, and lossy carries frames from one to the other.
wire_up() {
    for _ in $(seq 100); do ip link show leat0 >/dev/null 2>&1 && break; kill -0 "$leat" || fail "talk did not start"; sleep 0.1; done
    sysctl -qw net.ipv6.conf.leat0.disable_ipv6=1
    ip link set leat0 promisc on arp off up
    "$build/tests/wire/lossy" kernel0 leat0 "$seed" 10 "$hardness" >"$work/lossy.log" 2>&1 &
    lossy=$!
    pids+=("$lossy")
    for _ in $(seq 100); do ip link show kernel0 >/dev/null 2>&1 && break; kill -0 "$lossy" || fail "$(cat "$work/lossy.log")"; sleep 0.1; done
    ip addr add $KERNEL4/24 dev kernel0
    ip link set kernel0 up
    ip -6 addr add $KERNEL6/64 dev kernel0 nodad
}
wire_down() {
    kill "$lossy"
    wait "$lossy" || fail "lossy ended with $?"
    tail -n 2 "$work/lossy.log" | sed 's/^/   /'
}
talk_both() { # talk_both CONNS SECONDS [BYTES]
    local program=("$build/tests/wire/talk" --conf "$work/leat.conf" -- --vdev=net_tap0,iface=leat0 --)
    "${program[@]}" 7000 $KERNEL4 $KERNEL6 "$1" "$2" "$seed" ${3+"$3"} >"$work/server.log" 2>&1 &
    leat=$!
    pids+=("$leat")
    wire_up
    local bad=0
    "$build/tests/wire/talk_kernel" 7000 $LEAT4 $LEAT6 "$1" "$2" $((seed + 1)) ${3+"$3"} >"$work/kernel.log" 2>&1 || bad=1
    wait "$leat" || bad=1
    sed 's/^/   Leat:   /' "$work/server.log"
    sed 's/^/   kernel: /' "$work/kernel.log"
    [ $bad -eq 0 ] || fail "a conversation went wrong"
    wire_down
}
# What the kernel may do, another way in each phase.
kernel_options=(
    "net.ipv4.tcp_sack=1 net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=2"
    "net.ipv4.tcp_sack=1 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=1"
    "net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=0"
    "net.ipv4.tcp_sack=1 net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=0 net.ipv4.tcp_ecn=1"
    "net.ipv4.tcp_sack=0 net.ipv4.tcp_timestamps=0 net.ipv4.tcp_window_scaling=0 net.ipv4.tcp_ecn=2"
    "net.ipv4.tcp_sack=1 net.ipv4.tcp_timestamps=1 net.ipv4.tcp_window_scaling=1 net.ipv4.tcp_ecn=1"
)
for ((i = 0; i < phases; i++)); do
    for option in ${kernel_options[$((i % ${#kernel_options[@]}))]}; do sysctl -qw "$option"; done
    echo "phase $((i + 1)): ${kernel_options[$((i % ${#kernel_options[@]}))]}"
    talk_both 12 $((seconds / phases))
    seed=$((seed + 2))
done
echo "1 GiB each way, over a milder wire"
hardness=5
talk_both 1 0 $((1 << 29)) # each end opens one connection
