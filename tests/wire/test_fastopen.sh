#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Fast Open with the kernel both ways, and tshark's word for what was on the wire: data in the SYN, acknowledged by the SYN-ACK.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
echo "hello from leat" >"$www/hello.txt"
sysctl -qw net.ipv4.tcp_fastopen=3
fields() { tshark -r "$1" -Y "$2" -T fields -e tcp.len -e tcp.ack 2>/dev/null; }

# ---- the kernel's curl, Leat's httpd on three engines: each accepts the cookies of the others ----
printf '[leat]\nengines = 3\nmemory = 768\ncontrol = %s\n[port tap0]\nqueues = 3\naddr = %s/24\naddr6 = %s/64\n[sysctl]\nleat.engine.idle_us = 100\n' \
    "$work/leat.sock" $LEAT4 $LEAT6 >"$work/leat.conf"
serve_httpd --fastopen
capture "$work/server.pcap"
for i in 1 2 3 4 5 6; do
    expect "curl $i" "$(curl -s --max-time 10 --tcp-fastopen "http://$LEAT4/hello.txt")" "hello from leat"
    expect "curl $i, IPv6" "$(curl -s --max-time 10 --tcp-fastopen "http://[$LEAT6]/hello.txt")" "hello from leat"
done
sleep 1.5 # few packets: tcpdump gets them when its block is old enough
end_capture
sound "$work/server.pcap"
syn='tcp.flags.syn==1 && tcp.flags.ack==0 && tcp.len>0'
sent=$(fields "$work/server.pcap" "$syn" | wc -l)
expect "SYNs with data from the kernel" "$sent" 10
expect "cookies in SYN-ACKs" "$(fields "$work/server.pcap" 'tcp.flags==0x12 && tcp.options.tfo.cookie' | wc -l | awk '{print ($1 >= 2)}')" 1
acked=$(fields "$work/server.pcap" 'tcp.flags.syn==1 && tcp.flags.ack==1 && tcp.ack>1' | wc -l)
expect "SYN-ACKs that acknowledge data" "$acked" "$sent"
expect "passive_established" "$(sysctl_of net.inet.tcp.fastopen.stats.passive_established)" "$sent"
stop_server() { kill -TERM "$server"; wait "$server" || true; }
stop_server

# ---- two processes with the same key, one after the other: the second accepts the cookie that the first gave ----
configure net.inet.tcp.fastopen.autokey=0 net.inet.tcp.fastopen.server_enable=1 net.inet.tcp.fastopen.setkey=000102030405060708090a0b0c0d0e0f
ip tcp_metrics flush all
serve_httpd --fastopen
expect "first process" "$(curl -s --max-time 10 --tcp-fastopen "http://$LEAT4/hello.txt")" "hello from leat"
expect "its cookies" "$(sysctl_of net.inet.tcp.fastopen.stats.server_cookie_sent)" 1
stop_server
serve_httpd --fastopen
expect "second process" "$(curl -s --max-time 10 --tcp-fastopen "http://$LEAT4/hello.txt")" "hello from leat"
expect "accepts it" "$(sysctl_of net.inet.tcp.fastopen.stats.passive_established)" 1
stop_server

# ---- a pre-shared key: Leat's httpd and Leat's client, two processes with a bridge between them ----
key=101112131415161718191a1b1c1d1e1f
echo $key >"$work/psk"
echo ${key/1f/ff} >"$work/other.psk"
echo nothing >"$work/bad.psk"
printf "[leat]\nmemory = 256\ncontrol = %s\n" "$work/bad.sock" >"$work/bad.conf"
ask() { # ask OUT [--psk=FILE]: a client of its own asks three times
    local out=$work/$1 client
    shift
    printf '[leat]\nmemory = 512\ncontrol = %s\n[port tap1]\naddr = 10.64.0.3/24\n[sysctl]\nnet.inet.ip.dad_count = 0\n' "$work/ask.sock" >"$work/ask.conf"
    "$build/examples/fastopen" --conf "$work/ask.conf" -- --vdev=net_tap1,iface=leat1 -- "$@" $LEAT4 80 /hello.txt >"$out" 2>"$out.err" &
    client=$!
    pids+=("$client")
    for _ in $(seq 100); do ip link show leat1 >/dev/null 2>&1 && break; sleep 0.1; done
    ip link set leat1 down
    ip link set leat1 address 02:64:00:00:00:03 master bridge
    ip link set leat1 up
    wait "$client" || fail "the client ended with $?: $(cat "$out.err")"
    cat "$out"
}
expect "a bad key" "$("$build/examples/httpd/httpd" --conf "$work/bad.conf" -- --no-pci -- --fastopen=psk:"$work/bad.psk" 2>&1 | tail -n 1)" \
    "httpd: --fastopen=psk:$work/bad.psk: the first line must be 32 hexadecimal digits"
configure
serve_httpd --fastopen=psk:"$work/psk"
ip link add bridge type bridge
ip addr flush dev leat0
ip link set leat0 master bridge
ip link set bridge up
capture "$work/psk.pcap"
ask with --psk="$work/psk"
ask without
ask another --psk="$work/other.psk"
sleep 1.5
end_capture
sound "$work/psk.pcap"
expect "with the key" "$(grep -c taken "$work/with")" 1
expect "without a key, with another one" "$(cat "$work/without" "$work/another" | grep -c taken)" 0
expect "their requests are answered" "$(cat "$work/without" "$work/another" | grep -c 'first byte')" 6
expect "passive_established" "$(sysctl_of net.inet.tcp.fastopen.stats.passive_established)" 1
expect "server_psk_invalid" "$(sysctl_of net.inet.tcp.fastopen.stats.server_psk_invalid)" 2
expect "SYNs with data" "$(fields "$work/psk.pcap" "$syn" | wc -l)" 3
expect "acknowledged by the SYN-ACK" "$(fields "$work/psk.pcap" 'tcp.flags.syn==1 && tcp.flags.ack==1 && tcp.ack>1' | wc -l)" 1
on_wire() { xxd -p "$work/psk.pcap" | tr -d '\n' | grep -c "$1" || true; }
expect "the request is on the wire" "$(on_wire "$(printf 'GET /hello.txt' | xxd -p)")" 1
expect "the keys are not" "$(on_wire ${key:0:16}) $(on_wire ${key:16:14})" "0 0"
stop_server
ip link del bridge

# ---- Leat's client, the kernel's server ----
cat >"$work/nginx.conf" <<END
daemon off; master_process off; pid $work/nginx.pid; error_log $work/nginx.log;
events {}
http { access_log off; client_body_temp_path $work/b; proxy_temp_path $work/p; fastcgi_temp_path $work/f; uwsgi_temp_path $work/u; scgi_temp_path $work/s;
server { listen 8080 fastopen=16; root $www; } }
END
printf '[leat]\nmemory = 768\ncontrol = %s\n[port tap0]\naddr = %s/24\n[sysctl]\nnet.inet.ip.dad_count = 0\n' "$work/client.sock" $LEAT4 >"$work/client.conf"
nginx -c "$work/nginx.conf" &
pids+=($!)
"$build/examples/fastopen" --conf "$work/client.conf" -- --vdev=net_tap0,iface=leat0 -- $KERNEL4 8080 /hello.txt >"$work/client.out" 2>"$work/client.err" &
client=$!
pids+=("$client")
for _ in $(seq 100); do ip link show leat0 >/dev/null 2>&1 && break; sleep 0.1; done
ip link set leat0 down
ip link set leat0 address 02:64:00:00:00:02
ip link set leat0 up
tcpdump -i leat0 --immediate-mode -U -w "$work/client.pcap" 2>"$work/tcpdump2.log" & # before the kernel answers; its interface goes with the client
capture_pid=$!
pids+=("$capture_pid")
for _ in $(seq 50); do grep -q 'listening on' "$work/tcpdump2.log" && break; sleep 0.1; done
ip addr add $KERNEL4/24 dev leat0
wait "$client" || fail "the client ended with $?: $(cat "$work/client.err")"
wait "$capture_pid" || true
cat "$work/client.out"
sound "$work/client.pcap"
expect "SYNs with data from Leat" "$(fields "$work/client.pcap" "$syn" | wc -l)" 1
expect "acknowledged by the kernel's SYN-ACK" "$(fields "$work/client.pcap" 'tcp.flags.syn==1 && tcp.flags.ack==1 && tcp.ack>1' | wc -l)" 1
expect "the kernel's word" "$(nstat -asz TcpExtTCPFastOpenPassive | awk '/Passive/ {print $2}')" 1
expect "what the client prints" "$(grep -c 'taken' "$work/client.out")" 1
