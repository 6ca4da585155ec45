#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# leatctl tcpsso changes options of living connections, TCP stack and pacing among them; and the gaps that a rate makes, seen on a TAP wire.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
configure "leat.engine.idle_us = 1000" "leat.engine.idle_turns = 100"
sed -i 's/^\[leat\]/&\nengines = 2/' "$work/leat.conf"
head -c 3000000 /dev/urandom >"$www/3M.bin"
echo hello >"$www/index.html"
serve_httpd
ctl() { "$build/leatctl" -s "$work/leat.sock" "$@" 2>&1; }
refused() { # refused STATUS TEXT ARGUMENT...: the message has it
    local wanted=$1 text=$2 said status=0
    shift 2
    said=$(ctl tcpsso "$@") || status=$?
    [ $status -eq "$wanted" ] || fail "tcpsso $*: status $status, said \"$said\""
    [[ $said == *"$text"* ]] || fail "tcpsso $*: said \"$said\", without \"$text\""
    echo "ok: refused: $said"
}

exec 4<>/dev/tcp/$LEAT4/80 5<>/dev/tcp/$LEAT4/80
printf 'GET / HT' >&4
sleep 0.3
port() { ss -Htn state established "dport = :80" | awk '{ n = split($3, a, ":"); print a[n] }' | sort -n | sed -n "${1}p"; }
one=$(port 1) two=$(port 2)
cc() { ctl sockstat -qcCn | awk -v f="$KERNEL4:$1" '$7 == f { print $8 }'; }
id() { ctl sockstat -qcin | awk -v f="$KERNEL4:$1" '$7 == f { print $8 }'; }

expect "silent when done" "$(ctl tcpsso $LEAT4 80 $KERNEL4 "$one" TCP_CONGESTION newreno)" ""
expect "by addresses" "$(cc "$one") $(cc "$two")" "newreno cubic"
ctl tcpsso "$LEAT4:80" "$KERNEL4:$two" TCP_CONGESTION dctcp
expect "by address:port" "$(cc "$two")" dctcp
ctl tcpsso -i "$(id "$one")" TCP_CONGESTION cubic
expect "by id" "$(cc "$one") $(cc "$two")" "cubic dctcp"
ctl tcpsso -C dctcp IPPROTO_TCP TCP_CONGESTION newreno
expect "by congestion control, with level" "$(cc "$one") $(cc "$two")" "cubic newreno"
ctl tcpsso -s ESTABLISHED -S default TCP_FUNCTION_BLK freebsd
expect "by state and stack" "$(ctl sockstat -qcSn | awk '{ print $8 }' | sort -u)" default
ctl tcpsso -a SO_KEEPALIVE 1
refused 1 "No such file or directory" -i "$(id "$one")" TCP_FUNCTION_BLK nonesuch
refused 1 "no such connection" -i 4000000000 TCP_NODELAY 1
refused 1 "no such connection" $LEAT4 80 $KERNEL4 1 TCP_NODELAY 1
refused 1 "Operation not supported" -a 39 1
refused 2 "no such option" -a TCP_NONESUCH 1
refused 2 "no such state" -s TIME_WAIT TCP_NODELAY 1
refused 2 "too little" -a TCP_NODELAY
refused 2 "too little" TCP_NODELAY 1
count() { ctl sysctl -n net.inet.tcp.functions_available | awk -v s="$1" '$1 == s && $(NF - 1) == "-" { print $NF }'; }
expect "PCBs of both engines" "$(count default)" "$(ctl sockstat -q | wc -l)"
ctl tcpsso $LEAT4 80 $KERNEL4 "$one" TCP_FUNCTION_BLK rack
expect "one has another stack" "$(count rack)" 1
expect "this one" "$(ctl sockstat -qSn | awk -v f="$KERNEL4:$one" '$7 == f { print $8 }')" rack
ctl tcpsso -S rack TCP_FUNCTION_BLK freebsd
expect "and has no more" "$(count rack)" 0
exec 4>&- 5>&-

# A rate for the listeners: their connections have it. 4 Mbit/s of whole frames; a gap is what the frame before it takes.
# Nine of ten gaps are within 5 %, but those for which the engine had no CPU: it counts each call that came late, and a late departure
# spoils the gap before it and the one after. A machine that took the CPU away too often has measured nothing: once more, then.
chrt -a -f -p 10 "$server" 2>/dev/null || echo "not in real time: more of the calls may come late"
late_calls() { # late_calls US: calls later than that
    ctl sysctl net.inet.tcp.hpts.stats.late | sed -n 's/.*\.late\.\([0-9]*\)\([mu]\)s[:=]* */\1 \2 /p' | awk -v us="$1" '{ if ($1 * ($2 == "m" ? 1000 : 1) > us) n += $3 } END { print n + 0 }'
}
pace() { # pace BYTES_S: 0 paced, 1 not, 2 the machine was late
    local before late slack=$((1514 * 1000000 / $1 / 20)) # us
    capture "$work/paced" "tcp and src port 80"
    before=$(late_calls $slack)
    timeout 6 curl -s -o /dev/null --max-time 5 "http://$LEAT4/3M.bin" || true
    late=$(($(late_calls $slack) - before))
    end_capture
    tshark -r "$work/paced" -Y 'tcp.len > 1000' -T fields -e frame.time_epoch -e frame.len 2>/dev/null |
        awk -v rate="$1" -v late=$late 'NR > 1 { gap = $1 - at; due = len / rate; off = gap > due ? gap - due : due - gap; n++; sum += len; near += off <= due * 0.05; if (!from) from = at; last = $1 }
            { at = $1; len = $2 }
            END { got = sum / (last - from)
                  printf "%.0f bytes/s of %d (%.2f %% off), %d gaps, %.1f %% of them within 5 %%, %d calls late\n", got, rate, 100 * (got / rate - 1), n, 100 * near / n, late
                  if (got >= 1.05 * rate) exit 1
                  if (n <= 100 || got <= 0.95 * rate) exit late ? 2 : 1
                  exit near + 2 * late < 0.9 * n ? 1 : near < n / 2 ? 2 : 0 }'
}
paced() { # paced BYTES_S
    local try is
    ctl tcpsso -s LISTEN TCP_PACING_RATE_CAP "$1"
    for try in 1 2 3; do
        is=0
        pace "$1" || is=$?
        [ $is -eq 2 ] || break
    done
    [ $is -eq 0 ] || fail "not paced ($is, $try)"
}
paced 500000
paced 1250000
late=$(sysctl_of net.inet.tcp.hpts.lateness)
[[ $late == p50* ]] || fail "lateness: $late"
echo "ok: lateness in us: $late"
