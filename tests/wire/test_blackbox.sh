#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The black boxes of a running process: recorded without being asked, listed, followed live, dumped by name, and left behind when the process dies.
. "$(dirname "$0")/lib.sh"
head -c 3000000 /dev/urandom >"$www/big"
mkdir "$work/boxes"
configure 'net.inet.tcp.bb.log_auto_all = 1' 'net.inet.tcp.bb.log_auto_ratio = 1' 'net.inet.tcp.bb.log_auto_mode = 4' \
    "net.inet.tcp.bb.directory = $work/boxes"
serve_httpd
ctl() { "$build/leatctl" -s "$work/leat.sock" "$@"; }
events() { tshark -r "$1" -Y "$2" 2>/dev/null | wc -l; }

# An exchange of packets is in its file, whole.
rm -f "$work"/boxes/*
curl -s -o "$work/got" "http://$LEAT4/big"
cmp "$work/got" "$www/big" || fail "what curl got"
for _ in $(seq 50); do ls "$work"/boxes/*.pcapng >/dev/null 2>&1 && break; sleep 0.1; done
sleep 1
file=$(ls -S "$work"/boxes/*.pcapng | head -n 1)
[[ $(basename "$file") == UNKNOWN_80_$KERNEL4* ]] || fail "name of $file"
[ "$(events "$file" 'tcp.srcport == 80 && tcp.len > 0')" -gt 20 ] || fail "segments in $file"
tshark -r "$file" -V >"$work/text" 2>/dev/null
! grep -qiE 'malformed|dissector bug' "$work/text" || fail "tshark complains of $file"
# Read without Wireshark: lines, sums, and a page that a browser draws.
"$build/leatctl" blackbox show -e OUT "$file" >"$work/show"
grep -q 'ESTABLISHED .*(1448) ack' "$work/show" || fail "blackbox show"
"$build/leatctl" blackbox summary "$file" | tee "$work/summary"
grep -q ' sent  *3[0-9]* bytes' "$work/summary" || fail "blackbox summary: bytes"
grep -q 'verdict  *[a-z].* of the time' "$work/summary" || fail "blackbox summary: verdict"
"$build/leatctl" blackbox html -o "$work/page.html" "$file"
! grep -qE '(src|href)=.?https?:|@import|url\(http' "$work/page.html" || fail "the page wants the network"
chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update \
    --disable-sync --user-data-dir="$work/chromium" --window-size=1300,1700 --screenshot="$work/page.png" --dump-dom "file://$work/page.html" \
    >"$work/dom" 2>"$work/chromium.log"
expect "plots on the page" "$(grep -o '<canvas' "$work/dom" | wc -l)" 5
grep -q 'events in' "$work/dom" || fail "the page's script did not run: $(cat "$work/chromium.log")"
[ "$(stat -c %s "$work/page.png")" -gt 20000 ] || fail "an empty picture"

expect "events lost" "$(sysctl_of net.inet.tcp.bb.stats.lost)" 0

# A connection that stays: listed, named, dumped, followed.
exec 3<>"/dev/tcp/$LEAT4/80"
port=$(ss -tnH state established dst "$LEAT4:80" | awk '{ sub(/.*:/, "", $3); print $3; exit }')
printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&3
sleep 0.3
ctl blackbox list >"$work/list"
cat "$work/list"
grep -q "^$LEAT4.80 *$KERNEL4.$port *continual" "$work/list" || fail "the connection is not listed"
expect "naming it" "$(ctl blackbox id checkout "$LEAT4" 80 "$KERNEL4" "$port")" "1 connection"
"$build/leatctl" -s "$work/leat.sock" blackbox follow -w "$work/live.pcapng" &
follower=$!
pids+=("$follower")
for _ in $(seq 30); do [ "$(sysctl_of net.inet.tcp.bb.followers)" = 1 ] && break; sleep 0.1; done
expect "followers" "$(sysctl_of net.inet.tcp.bb.followers)" 1
printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&3
sleep 2
[ "$(events "$work/live.pcapng" 'tcp.srcport == 80 && tcp.len > 0')" -ge 1 ] || fail "nothing was followed"
kill "$follower"
# The same into a pipe, read by tshark as it comes.
"$build/leatctl" -s "$work/leat.sock" blackbox follow -w - | tshark -i - -l -T fields -e tcp.srcport -e bblog.event_id >"$work/piped" 2>"$work/piped.err" &
piped=$!
pids+=("$piped")
for _ in $(seq 30); do [ "$(sysctl_of net.inet.tcp.bb.followers)" -ge 1 ] && break; sleep 0.1; done
for _ in $(seq 20); do
    printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&3
    sleep 0.5
    [ "$(awk '$1 == 80' "$work/piped" | wc -l)" -ge 1 ] && break
done
[ "$(awk '$1 == 80' "$work/piped" | wc -l)" -ge 1 ] || fail "tshark read nothing from the pipe: $(cat "$work/piped.err")"
echo "ok: tshark at the pipe: $(wc -l <"$work/piped") events"
kill "$piped" 2>/dev/null || true
for p in $(pgrep -P $$ leatctl); do kill "$p"; done
for _ in $(seq 40); do [ "$(sysctl_of net.inet.tcp.bb.followers)" = 0 ] && break; sleep 0.1; done
expect "followers that are gone" "$(sysctl_of net.inet.tcp.bb.followers)" 0
expect "dump by name" "$(ctl blackbox dump -r asked -i checkout)" "1 connection"
sleep 0.5
ls "$work"/boxes/checkout_80_* >/dev/null || fail "no file by the name"

# Bad input.
for bad in "mode often -a" "mode tail" "mode tail 10.0.0.1" "id $(printf 'x%.0s' $(seq 64)) -a" "dump -i" "what"; do
    ! ctl blackbox $bad >/dev/null 2>"$work/err" || fail "blackbox $bad is taken"
    grep -q '^blackbox: ' "$work/err" || fail "blackbox $bad: $(cat "$work/err")"
done
! ctl blackbox mode tail 10.0.0.1 1 10.0.0.2 2 2>"$work/err" || fail "a connection that is not there"
expect "no such connection" "$(cat "$work/err")" "blackbox: no such connection"

# The process dies.
printf 'GET / HTTP/1.1\r\nHost: x\r\n\r\n' >&3
sleep 0.2
kill -SEGV "$server"
wait "$server" 2>/dev/null && fail "it lives"
crash=$(ls "$work"/boxes/crash.*.pcapng)
[ "$(events "$crash" 'tcp.srcport == 80')" -ge 1 ] || fail "nothing in $crash"
echo "ok: $(tshark -r "$crash" 2>/dev/null | wc -l) events survive the process"
