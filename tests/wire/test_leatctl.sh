#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# leatctl against a running process of two engines: sysctl, ifconfig, who may ask, and the same tree through DPDK's telemetry.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
configure
sed -i 's/^\[leat\]/&\nengines = 2/; s/^\[sysctl\]/&\nleat.engine.idle_us = 100/' "$work/leat.conf"
echo hello >"$www/index.html"
serve_httpd
ctl() { "$build/leatctl" -s "$work/leat.sock" "$@" 2>&1; }

# sysctl: read, described, set on every engine, refused with key, value and range.
expect "a value" "$(ctl sysctl net.inet.tcp.msl)" "net.inet.tcp.msl: 30000"
expect "bare" "$(ctl sysctl -n net.inet.tcp.msl)" 30000
expect "described" "$(ctl sysctl -d net.inet.tcp.msl)" \
    "net.inet.tcp.msl: Maximum segment lifetime: TIME-WAIT is twice this [ms, 1..600000, default 30000]"
expect "a counter described" "$(ctl sysctl -d leat.engine.turns)" "leat.engine.turns: turns taken [turns, count]"
expect "only before the start" "$(ctl sysctl -d leat.fd_base | grep -c 'before the start only')" 1
expect "set" "$(ctl sysctl net.inet.tcp.msl=5000)" "net.inet.tcp.msl: 30000 -> 5000"
expect "and read" "$(ctl sysctl -n net.inet.tcp.msl)" 5000
expect "all of it, to standard output, and nothing to complain of" \
    "$("$build/leatctl" -s "$work/leat.sock" sysctl -a 2>&1 >"$work/all" && grep -c '^net.inet.tcp.msl: 5000$' "$work/all")" 1
expect "one that can only be written, by its name" "$(ctl sysctl net.inet.tcp.fastopen.setkey || true)" \
    "net.inet.tcp.fastopen.setkey: Operation not supported"
expect "and described" "$(ctl sysctl -d net.inet.tcp.fastopen.setkey | grep -c '32 hexadecimal digits')" 1
refused() { # refused TEXT ARGUMENT: the message has it, the status is 1, nothing has changed
    local said status=0
    said=$(ctl sysctl "$2") || status=$?
    [ $status -eq 1 ] || fail "$2: status $status"
    [[ $said == *"$1"* ]] || fail "$2: said \"$said\", without \"$1\""
    echo "ok: refused: $said"
}
refused 'net.inet.tcp.msl: "0"' net.inet.tcp.msl=0
refused '1..600000' net.inet.tcp.msl=600001
refused '"soon"' net.inet.tcp.msl=soon
refused 'net.inet.tcp.nonsense' net.inet.tcp.nonsense=1
refused 'net.inet.tcp.nonsense' net.inet.tcp.nonsense
refused 'leat.fd_base' leat.fd_base=2000
refused 'leat.engine.turns' leat.engine.turns=1
expect "still" "$(ctl sysctl -n net.inet.tcp.msl)" 5000
all=$(ctl sysctl -a | wc -l)
[ "$all" -gt 250 ] || fail "sysctl -a names only $all"
# Some values are lists of several lines: names begin a line, and have a dot.
expect "sorted, each once" "$(ctl sysctl -a | sed -n 's/^\([a-z][^ :]*\.[^ :]*\):.*/\1/p' | LC_ALL=C sort -uc && echo sorted)" sorted
curl -s -o /dev/null "http://$LEAT4/"
[ "$(ctl sysctl -n net.inet.tcp.stats.accepts)" -ge 1 ] || fail "counters of both engines are not added up"

# ifconfig, as FreeBSD prints it.
ctl ifconfig tap0 | tee "$work/if"
grep -Eq '^tap0: flags=8843<UP,BROADCAST,RUNNING,SIMPLEX,MULTICAST> metric 0 mtu 1500$' "$work/if" || fail "head"
grep -Eq $'^\toptions=[0-9a-f]+<[A-Z0-9_,]*>$' "$work/if" || fail "options"
grep -Eq $'^\tether ([0-9a-f]{2}:){5}[0-9a-f]{2}$' "$work/if" || fail "ether"
grep -Fxq $'\tinet 10.64.0.1 netmask 0xffffff00 broadcast 10.64.0.255' "$work/if" || fail "inet"
grep -Fxq $'\tinet6 fd64::1 prefixlen 64' "$work/if" || fail "inet6"
grep -Eq $'^\tinet6 fe80::[0-9a-f:]+%tap0 prefixlen 64 .*scopeid 0x[0-9a-f]+$' "$work/if" || fail "link-local"
grep -Fxq $'\tstatus: active' "$work/if" || fail "status"
expect "-l" "$(ctl ifconfig -l)" "lo0 tap0"
expect "-a has both" "$(ctl ifconfig -a | grep -c '^[a-z]')" 2
expect "nothing of that name" "$(ctl ifconfig em0)" "em0: no such interface"

# Addresses come and go, in every spelling, and answer.
ctl ifconfig tap0 inet 10.64.0.7/24 alias
for _ in $(seq 50); do curl -s --max-time 1 -o /dev/null http://10.64.0.7/ && break; sleep 0.1; done
expect "the new address answers" "$(curl -s --max-time 5 http://10.64.0.7/)" hello
expect "there already" "$(ctl ifconfig tap0 10.64.0.7/24 alias)" "ifconfig tap0 10.64.0.7/24: engine 0: the address is there already"
ctl ifconfig tap0 10.64.0.7 -alias
expect "gone" "$(ctl ifconfig tap0 | grep -c 10.64.0.7)" 0
curl -s --max-time 1 -o /dev/null http://10.64.0.7/ && fail "an address that is gone answers"
expect "not there" "$(ctl ifconfig tap0 inet 10.64.0.7 delete)" "ifconfig tap0 inet: engine 0: no such address on this interface"
ctl ifconfig tap0 inet 10.65.0.1 netmask 255.255.0.0 alias
expect "netmask" "$(ctl ifconfig tap0 | grep -o 'inet 10.65.0.1 netmask 0xffff0000 broadcast 10.65.255.255')" \
    "inet 10.65.0.1 netmask 0xffff0000 broadcast 10.65.255.255"
ctl ifconfig tap0 inet 10.65.0.1 delete
ctl ifconfig tap0 inet6 fd65::1 prefixlen 48 alias
expect "prefixlen" "$(ctl ifconfig tap0 | grep -o 'inet6 fd65::1 prefixlen 48')" "inet6 fd65::1 prefixlen 48"
ctl ifconfig tap0 inet6 fd65::1 remove
ctl ifconfig tap0 inet 10.64.0.1/24 mask 1 >/dev/null && fail "a word that is none was taken"
ctl ifconfig tap0 inet 10.66.0.1 netmask 255.0.255.0 >/dev/null && fail "a netmask with holes was taken"
ctl ifconfig tap0 inet fd66::1/64 >/dev/null && fail "inet took an IPv6 address"
# More addresses than fit on a page of the answer.
for i in $(seq 1 240); do echo "10.70.0.$i"; done | while read -r a; do ctl ifconfig tap0 inet "$a/32" alias; done
expect "240 more addresses" "$(ctl ifconfig tap0 | grep -c 'inet 10.70.0')" 240
ctl ifconfig tap0 down
expect "down" "$(ctl ifconfig tap0 | sed -n 's/^tap0: flags=\([^ ]*\) .*/\1/p')" "8802<BROADCAST,SIMPLEX,MULTICAST>"
ctl ifconfig tap0 up
expect "up again" "$(curl -s --max-time 5 "http://$LEAT4/")" hello
ctl ifconfig tap0 mtu 1400
expect "mtu" "$(ctl ifconfig tap0 | sed -n '1s/.* mtu //p')" 1400
ctl ifconfig tap0 mtu 100 >/dev/null && fail "an MTU of 100 was taken"

# Only the owner: by the socket's mode, and by asking who is there.
expect "mode of the socket" "$(stat -c %a "$work/leat.sock")" 600
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 65534 --clear-groups true 2>/dev/null; then
    chmod 711 "$work"
    cp "$build/leatctl" "$work/leatctl"
    as_other() { setpriv --reuid 65534 --clear-groups timeout 5 "$@" 2>&1; }
    said=$(as_other "$work/leatctl" -s "$work/leat.sock" sysctl net.inet.tcp.msl) && fail "another user was answered"
    expect "another user" "$said" "leatctl: $work/leat.sock: Permission denied"
    chmod 666 "$work/leat.sock"
    said=$(as_other "$work/leatctl" -s "$work/leat.sock" sysctl net.inet.tcp.msl) && fail "another user was answered"
    expect "another user, mode 666" "$said" "leatctl: $work/leat.sock: no answer (not your process, or it is going)"
    # And leatctl does not talk to what another user has put there.
    mkdir -m 777 "$work/shared"
    setpriv --reuid 65534 --clear-groups /usr/bin/python3 -c 'import socket, sys, time
s = socket.socket(socket.AF_UNIX)
s.bind(sys.argv[1])
s.listen(1)
time.sleep(60)' "$work/shared/leat.sock" &
    other=$!
    pids+=("$other")
    for _ in $(seq 50); do [ -S "$work/shared/leat.sock" ] && break; sleep 0.1; done
    chmod 666 "$work/shared/leat.sock"
    said=$(setpriv --reuid 65533 --clear-groups timeout 5 "$work/leatctl" -s "$work/shared/leat.sock" sysctl -a 2>&1) &&
        fail "leatctl asked another user's process"
    expect "leatctl" "$said" "leatctl: $work/shared/leat.sock: another user's process listens there"
fi
# A socket that a living process answers is not taken away.
"$build/examples/httpd/httpd" --conf "$work/leat.conf" -- --vdev=net_null0 -- --root "$www" >"$work/second.log" 2>&1 &&
    fail "a second process took the socket"
expect "the first still answers" "$(ctl sysctl -n net.inet.tcp.msl)" 5000

# The same tree through DPDK's telemetry, whose directory is the owner's alone.
python3 - "$work/run" <<'P'
import glob, json, os, socket, stat, sys
path = glob.glob(sys.argv[1] + "/dpdk/*/dpdk_telemetry.v2*")
assert len(path) == 1, "telemetry's socket: %s" % path
assert stat.S_IMODE(os.stat(os.path.dirname(path[0])).st_mode) & 0o077 == 0, "others may look into its directory"
s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.connect(path[0])
s.recv(4096)

def ask(command):
    s.send(command.encode())
    return json.loads(s.recv(65536))[command.split(",")[0]]

parts = ask("/leat/sysctl")
assert len(parts) > 15 and "net.inet.tcp.stats" in parts and len(set(parts)) == len(parts), parts
values = ask("/leat/sysctl,net.inet.tcp.msl")
assert values == {"net/inet/tcp/msl": 5000}, values
values = ask("/leat/sysctl,net.inet.tcp.stats")
assert values["net/inet/tcp/stats/accepts"] >= 1, values
values = ask("/leat/sysctl,net.inet.tcp.functions_default")
assert values == {"net/inet/tcp/functions_default": "default"}, values
assert not ask("/leat/sysctl,no.such.name"), "an unknown name"
print("ok: telemetry: %d parts of the tree" % len(parts))
P
