#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Three engines on one TAP port, which has no RSS: flows are shared out in software, with a queue for each engine and
# with one queue for all. Connections and downloads are whole, and an ARP request is answered once.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
head -c 5000000 /dev/urandom >"$www/five.bin"
echo small >"$www/small.txt"

for queues in 3 1; do
    printf '[leat]\nengines = 3\nmemory = 768\ncontrol = %s\n[port tap0]\nqueues = %s\naddr = %s/24\naddr6 = %s/64\n[sysctl]\nleat.engine.idle_us = 100\n' \
        "$work/leat.sock" $queues $LEAT4 $LEAT6 >"$work/leat.conf"
    serve_httpd
    for host in $LEAT4 "[$LEAT6]"; do
        for _ in 1 2 3 4; do
            curl -s --max-time 30 -o "$work/got" "http://$host/five.bin" || fail "curl $host with $queues queues"
            cmp -s "$work/got" "$www/five.bin" || fail "$host with $queues queues: another file"
        done
        good=0
        for _ in $(seq 40); do
            [ "$(curl -s --max-time 5 "http://$host/small.txt")" = small ] && good=$((good + 1))
        done
        expect "$queues queues, connections to $host" $good 40
    done
    [ "$(sysctl_of net.link.tap0.spread_out)" -gt 0 ] || fail "$queues queues: nothing was handed over"
    expect "$queues queues, rings that were full" "$(sysctl_of net.link.tap0.drop_spread_full)" 0
    asked=$(sysctl_of net.link.ether.arp.rxrequests) answered=$(sysctl_of net.link.ether.arp.txreplies)
    ip neigh flush dev leat0
    curl -s -o /dev/null --max-time 10 "http://$LEAT4/small.txt" || fail "curl after the kernel forgot"
    asked=$(($(sysctl_of net.link.ether.arp.rxrequests) - asked))
    answered=$(($(sysctl_of net.link.ether.arp.txreplies) - answered))
    [ $asked -ge 3 ] || fail "$queues queues: not every engine saw the ARP request"
    expect "$queues queues, replies to ARP requests that 3 engines saw" $((answered * 3)) $asked
    kill -TERM $server
    wait $server || fail "httpd with $queues queues ended with $?"
    for _ in $(seq 50); do ip link show leat0 >/dev/null 2>&1 || break; sleep 0.1; done
done
