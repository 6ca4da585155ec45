# SPDX-License-Identifier: BSD-3-Clause
# For the wire tests, sourced first thing: each runs in a network namespace without a name (gone with its last process), where httpd serves
# $www over a TAP port to the kernel's programs. The test's first argument is a build directory.
set -eu
if [ -z "${LEAT_WIRE_INSIDE-}" ]; then
    how=(unshare --net)
    [ "$(id -u)" -eq 0 ] || how=(unshare --user --map-root-user --net)
    LEAT_WIRE_INSIDE=1 exec "${how[@]}" "$0" "$@"
fi
build=$(readlink -f "$1")
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
work=$(mktemp -d)
www=$work/www
mkdir -p "$www" "$work/run"
export RUNTIME_DIRECTORY=$work/run XDG_RUNTIME_DIR=$work/run
LEAT4=10.64.0.1 KERNEL4=10.64.0.2 LEAT6=fd64::1 KERNEL6=fd64::2
pids=()
on_exit() {
    local status=$?
    for p in "${pids[@]}"; do kill "$p" 2>/dev/null || true; done
    for p in "${pids[@]}"; do wait "$p" 2>/dev/null || true; done
    [ $status -eq 0 ] || { echo "--- server:"; tail -n 40 "$work/server.log" 2>/dev/null; }
    rm -rf "$work"
}
trap on_exit EXIT
trap 'exit 1' INT TERM
ip link set lo up

fail() { echo "FAIL: $*" >&2; exit 1; }
expect() { # expect WHAT GOT WANTED
    [ "$2" = "$3" ] || fail "$1: got \"$2\", wanted \"$3\""
    echo "ok: $1: $2"
}
configure() { # configure [LINE...]: leat.conf, with lines added to [sysctl]
    {
        printf '[leat]\nmemory = 768\ncontrol = %s\n[port tap0]\naddr = %s/24\naddr6 = %s/64\n[sysctl]\n' "$work/leat.sock" $LEAT4 $LEAT6
        printf '%s\n' "$@"
    } >"$work/leat.conf"
}
answers() { curl -s -o /dev/null --max-time 1 "http://$1:${PORT-80}/"; } # answers ADDRESS: a test may say it otherwise
serve() { # serve PROGRAM ARG...: starts a program of the build on leat0 and sets up the kernel's end
    local program=$1
    shift
    [ -f "$work/leat.conf" ] || configure
    "$build/$program" --conf "$work/leat.conf" -- --vdev=net_tap0,iface=leat0 -- "$@" >>"$work/server.log" 2>&1 &
    server=$!
    pids+=("$server")
    local i
    for i in $(seq 100); do
        ip link show leat0 >/dev/null 2>&1 && break
        kill -0 "$server" 2>/dev/null || fail "$program did not start"
        sleep 0.1
    done
    # The kernel's interface has the port's own MAC.
    ip link set leat0 down
    ip link set leat0 address 02:64:00:00:00:02
    ip addr add $KERNEL4/24 dev leat0
    ip link set leat0 up
    ip -6 addr add $KERNEL6/64 dev leat0 nodad
    for i in $(seq 100); do
        answers "$LEAT4" && answers "[$LEAT6]" && return 0
        kill -0 "$server" 2>/dev/null || fail "$program died"
        sleep 0.1
    done
    fail "$program does not answer"
}
serve_httpd() { serve examples/httpd/httpd --root "$www" --listing --access-log "$work/access.log" "$@"; }
sysctl_of() { "$build/leatctl" -s "$work/leat.sock" sysctl -n "$1"; }
capture() { # capture FILE [FILTER]: tcpdump on the kernel's end
    tcpdump -i leat0 -s 0 -B 65536 -w "$1" "${2-}" 2>"$work/tcpdump.log" &
    capture_pid=$!
    pids+=("$capture_pid")
    for _ in $(seq 50); do grep -q 'listening on' "$work/tcpdump.log" && return 0; sleep 0.1; done
    fail "tcpdump did not start: $(cat "$work/tcpdump.log")"
}
end_capture() {
    sleep 0.5
    kill -INT "$capture_pid"
    wait "$capture_pid" 2>/dev/null || true
}
sound() { # sound FILE: no malformed packet, no bad checksum, and there are packets from Leat
    local checks=(-o ip.check_checksum:TRUE -o tcp.check_checksum:TRUE -o udp.check_checksum:TRUE)
    local from bad
    from=$(tshark -r "$1" "${checks[@]}" -Y "ip.src == $LEAT4 || ipv6.src == $LEAT6" 2>/dev/null | wc -l)
    [ "$from" -gt 0 ] || fail "no packet of Leat in $1"
    bad=$(tshark -r "$1" "${checks[@]}" -Y '_ws.malformed || ip.checksum.status == "Bad" || tcp.checksum.status == "Bad" || icmpv6.checksum.status == "Bad" || icmp.checksum.status == "Bad" || tcp.option_len.invalid' 2>/dev/null | head -n 5)
    [ -z "$bad" ] || fail "bad packets: $bad"
    echo "ok: $from packets of Leat, none malformed, every checksum good"
}
