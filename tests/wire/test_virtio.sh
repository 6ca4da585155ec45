#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Two processes of Leat, net_vhost of one to net_virtio_user of the other: nobody writes checksums on this wire, and net_virtio_user's segments
# are as large as TSO makes them. The server is at one end, then at the other: files arrive whole over HTTP and HTTPS, and there and back.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
head -c 32M /dev/urandom >"$www/32M.bin"
printf 'GET /32M.bin HTTP/1.0\r\n\r\n' >"$work/get"
echo go >"$work/go"
mkfifo "$work/in" "$work/out"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=leat -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
sum=$(sha256sum <"$www/32M.bin")
ctl() { "$build/leatctl" -s "$work/$1.sock" "${@:2}"; }
counts() { ctl "$1" sysctl -n "${@:2}" | paste -sd ' '; }

begin() { # begin server|client PROGRAM ARG...: on ${port[server|client]}
    local end=$1 program=$2 host=1 vdev=net_virtio_user0,path=$work/wire,queue_size=1024
    [ "$end" = server ] || host=2
    [ "${port[$end]}" = virtio_user0 ] || vdev=net_vhost0,iface=$work/wire,tso=1
    {
        printf '[leat]\nmemory = 384\ncontrol = %s\n[port %s]\n' "$work/$end.sock" "${port[$end]}"
        printf 'addr = 10.64.0.%d/24\naddr6 = fd64::%d/64\n[sysctl]\n' $host $host
        printf '%s\n' "leat.engine.idle_us = 100" "net.inet.ip.dad_count = 0" "net.inet6.ip6.dad_count = 0"
    } >"$work/$end.conf"
    "$build/$program" --conf "$work/$end.conf" -- --no-huge --single-file-segments --vdev="$vdev" -- "${@:3}" 2>>"$work/server.log" <&0 &
    pids+=($!)
    for _ in $(seq 100); do
        [ -S "$work/wire" ] && return 0
        kill -0 $! 2>/dev/null || break
        sleep 0.1
    done
    fail "$program did not start on ${port[$end]}"
}
input() { # input FILE: as soon as the server's link is up, for then the client is at the other end
    for _ in $(seq 100); do ctl server ifconfig 2>/dev/null | grep -q 'status: active' && break; sleep 0.1; done
    cat "$1"
}
begin_server() { begin server "${server[@]}" </dev/null >>"$work/server.log"; }
begin_client() { # begin_client FILE
    input "$1" >"$work/in" &
    timeout 30 bash -c "$reader" <"$work/out" >"$work/said" &
    reading=$!
    begin client "${client[@]}" <"$work/in" >"$work/out"
}
transfer() { # transfer WHAT FILE WANTED: $client has FILE for input; what it writes makes $reader say WANTED
    local end bytes packets none
    for end in $order; do "begin_$end" "$2"; done
    wait $reading || true
    for end in server client; do
        # With TSO the checksums of IPv4 headers are written in software: they say nothing of TCP's.
        none=(net.inet.ip.stats.badsum net.inet.tcp.stats.rcvbadsum net.link.${port[$end]}.{drop_tx_refused,sw_tso})
        [ ${port[$end]} = virtio_user0 ] || none+=(net.link.vhost0.sw_cksum)
        expect "$1: $end: IP's and TCP's bad checksums, packets refused, cut in software (and summed)" "$(counts $end "${none[@]}")" "${none[*]/*/0}"
    done
    expect "$1" "$(cat "$work/said")" "$3"
    for end in server client; do
        read -r bytes packets <<<"$(counts $end net.inet.tcp.stats.rcvbyte net.inet.tcp.stats.rcvpack)"
        [ "$bytes" -gt 1000000 ] || continue
        echo "   ${port[$end]} received $packets segments of $((bytes / packets)) bytes"
        [ ${port[$end]} = vhost0 ] || continue # DPDK 22.11's net_vhost has no TSO for what it sends
        [ $((bytes / packets)) -gt 8000 ] || fail "no TSO"
        large=$((large + 1))
    done
    kill "${pids[@]}" || true
    wait "${pids[@]}" || true
    pids=()
    rm -f "$work"/*.sock "$work/wire"
}

large=0
for at in vhost0 virtio_user0; do
    order="server client"
    declare -A port=([server]=vhost0 [client]=virtio_user0)
    [ $at = vhost0 ] || { order="client server" port=([server]=virtio_user0 [client]=vhost0); }
    reader="tail -c 32M | sha256sum" # without HTTP's header
    server=(examples/httpd/httpd --root "$www") client=(tests/wire/pipe 10.64.0.1 80)
    transfer "HTTP, the server on $at" "$work/get" "$sum"
    reader=sha256sum
    server=(examples/echo 7) client=(tests/wire/pipe fd64::1 7)
    transfer "there and back, IPv6, the server on $at" "$www/32M.bin" "$sum"
    reader="grep -m 1 begin" # it has compared what came
    server=(examples/httpd/httpd --root "$www" --grace 0 --tls "$work/cert.pem" "$work/key.pem")
    client=(tests/bench/https 10.64.0.1 443 /32M.bin "${sum%% *}" 1 60)
    transfer "HTTPS, the server on $at" "$work/go" begin
done
expect "streams with TSO" $large 4
