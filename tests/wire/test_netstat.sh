#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What a person sees of connections: leatctl netstat, sockstat and tcpdrop on an httpd of two engines, with the kernel's curl at the other end.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
configure
sed -i 's/^\[leat\]/&\nengines = 2/; s/^\[sysctl\]/&\nleat.engine.idle_us = 100/' "$work/leat.conf"
echo hello >"$www/index.html"
serve_httpd
ctl() { "$build/leatctl" -s "$work/leat.sock" "$@" 2>&1; }
has() { # has WHAT PATTERN FILE
    grep -Eq -- "$2" "$3" || { cat "$3"; fail "$1: no line like $2"; }
    echo "ok: $1: $(grep -E -m1 -- "$2" "$3")"
}

# Three idle connections, one of IPv6.
exec 4<>/dev/tcp/$LEAT4/80 5<>/dev/tcp/$LEAT4/80 6<>/dev/tcp/$LEAT6/80
printf 'GET / HT' >&4
sleep 0.3
port() { ss -Htn state established "dport = :80" | awk -v d="$1" '$4 ~ d { n = split($3, a, ":"); print a[n] }' | sort -n | sed -n "${2}p"; }
one=$(port "$LEAT4" 1) two=$(port "$LEAT4" 2) three=$(port "$LEAT6" 1)

ctl netstat -an >"$work/an"
cat "$work/an"
has "head" '^Active Internet connections \(including servers\)$' "$work/an"
has "columns" '^Proto +Recv-Q +Send-Q +Local Address +Foreign Address +\(state\)' "$work/an"
has "IPv4" "^tcp4 +0 +0 $LEAT4\.80 +$KERNEL4\.$one +ESTABLISHED" "$work/an"
has "IPv6" "^tcp6 +0 +0 $LEAT6\.80 +$KERNEL6\.$three +ESTABLISHED" "$work/an"
has "a listener, once for both engines" '^tcp4?6? .*\*\.80 +\*\.\* +LISTEN' "$work/an"
expect "listeners of port 80" "$(grep -c 'LISTEN' "$work/an")" "$(grep 'LISTEN' "$work/an" | sort -u | wc -l)"
ctl netstat -n >"$work/n"
expect "without -a no listener" "$(grep -c LISTEN "$work/n")" 0
ctl netstat >"$work/names"
has "services have names" "$LEAT4\.http " "$work/names"
expect "-f inet6" "$(ctl netstat -n -f inet6 | grep -c '^tcp4 ')" 0
ctl netstat -anx -p tcp >"$work/x"
has "-x: timers and windows" 'R-HIWA S-HIWA .*rexmt persist +keep +2msl +delack rcvtime.*cwin ssthresh +MSS' "$work/x"
has "-x: stack and congestion control" "$LEAT4\.80 +$KERNEL4\.$one +ESTABLISHED .* default +(newreno|cubic) +[1-9][0-9]* " "$work/x"
ctl netstat -Ln >"$work/L"
cat "$work/L"
has "-L" '^tcp4?6? +0/0/[1-9][0-9]* +\*\.80$' "$work/L"

ctl netstat -s >"$work/s"
has "-s" $'^\t[1-9][0-9]* packets sent$' "$work/s"
has "-s: accepts of both engines" $'^\t[1-9][0-9]* connection accepts$' "$work/s"
has "-s: states" $'^\t3 connections in ESTABLISHED state$' "$work/s"
has "-s: every other counter with its meaning" $'^\t[0-9]+ challenge_acks: Challenge ACKs sent' "$work/s"
expect "-s -s leaves zeros out" "$(ctl netstat -s -s | grep -Ec $'^\t+0 ')" 0
expect "-s -p icmp" "$(ctl netstat -s -p icmp | head -n 1)" "icmp:"
ctl netstat -i >"$work/i"
cat "$work/i"
has "-i" "^tap0 +1500 <Link#[0-9]+> +([0-9a-f]{2}:){5}[0-9a-f]{2} +[1-9]" "$work/i"
has "-i: addresses" "^tap0 +- 10\.64\.0\.0/24 +$LEAT4 " "$work/i"
ctl netstat -rn >"$work/r"
cat "$work/r"
has "-r" '^10\.64\.0\.0/24 +link#[0-9]+ +U +tap0$' "$work/r"
has "-r: IPv6" '^Internet6:$' "$work/r"

ctl sockstat -4 -s >"$work/sock"
cat "$work/sock"
has "sockstat" "^[a-z0-9]+ +httpd +$server +[0-9]+ +tcp4 +$LEAT4:80 +$KERNEL4:$one +ESTABLISHED" "$work/sock"
expect "sockstat -l: listeners only" "$(ctl sockstat -l -q | grep -vc ' \*:\* *$')" 0
expect "sockstat -p" "$(ctl sockstat -q -c -p "$two" | grep -c "$KERNEL4:$two")" 1
expect "sockstat -p of nobody" "$(ctl sockstat -q -p 9)" ""

# tcpdrop: the peer gets a RST.
expect "tcpdrop -l" "$(ctl tcpdrop -l -a | grep -c '^tcpdrop ')" 3
expect "by addresses" "$(ctl tcpdrop $LEAT4 80 $KERNEL4 "$one")" "$LEAT4 80 $KERNEL4 $one: dropped"
sleep 0.3
expect "it is gone at the other end" "$(ss -Htn state established "dport = :80" | grep -c ":$one ")" 0
expect "twice" "$(ctl tcpdrop $LEAT4:80 $KERNEL4:"$one" || echo "status $?")" "$LEAT4 80 $KERNEL4 $one: No such process
status 1"
expect "by state" "$(ctl tcpdrop -s ESTABLISHED | sort | wc -l)" 2
sleep 0.3
expect "nobody is left" "$(ctl netstat -n | grep -c ESTABLISHED)" 0
for i in $(seq 5); do curl -s -o /dev/null "http://$LEAT4/"; done
expect "and httpd serves on" "$(curl -s http://$LEAT4/)" hello

# What cannot be understood is said.
refused() { # refused TEXT COMMAND...
    local said status=0 text=$1
    shift
    said=$(ctl "$@") || status=$?
    [ $status -eq 2 ] && [[ $said == *"$text"* ]] || fail "$*: status $status, said \"$said\""
    echo "ok: $said"
}
refused '"-Q"' netstat -Q
refused '"sctp"' netstat -p sctp
refused '"lots"' sockstat -p lots
refused '"ESTAB"' tcpdrop -s ESTAB
refused '"here"' tcpdrop here 80 there 1
