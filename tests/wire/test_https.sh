#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# httpd --tls with the TLS of others: curl and openssl in every suite, resumption, KeyUpdate, a refused renegotiation, gnutls-cli, wrk; and
# tshark decrypts what went over the wire. PORT is 443.
PORT=443
. "$(dirname "$(readlink -f "$0")")/lib.sh"
answers() { curl -sk -o /dev/null --max-time 2 "https://$1/"; }
echo "hello from leat" >"$www/hello.txt"
echo "<p>index" >"$www/index.html"
head -c 3000000 /dev/urandom >"$www/three.bin"
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=leat -addext "subjectAltName=IP:$LEAT4,IP:$LEAT6" \
    -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
serve_httpd --tls "$work/cert.pem" "$work/key.pem" --request-timeout 3
capture "$work/all.pcap" "tcp port 443"
export SSLKEYLOGFILE=$work/keys
get() { curl -s --max-time 20 --cacert "$work/cert.pem" -o "$work/body" -w '%{http_code}' "$@"; }
sessions() { sysctl_of kern.ipc.tls.stats.offload_total; }

# Each suite, by name as the client wants it; the file arrives whole, and the stack made and opened the records.
fetch() { # fetch WHAT CURL-OPTION...
    local what=$1 before
    shift
    before=$(sessions)
    expect "$what" "$(get "$@" "https://$LEAT4/three.bin"; cmp "$work/body" "$www/three.bin" && echo same)" 200same
    expect "$what: sessions of the stack" "$(($(sessions) - before))" 2
}
for suite in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 TLS_AES_128_CCM_SHA256; do
    fetch "TLS 1.3 $suite" --tlsv1.3 --tls13-ciphers $suite
done
for suite in ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305 AES128-CCM AES256-CCM \
    ECDHE-RSA-AES128-SHA AES256-SHA256 ECDHE-RSA-AES256-SHA384; do
    fetch "TLS 1.2 $suite" --tlsv1.2 --tls-max 1.2 --ciphers $suite
done
expect "IPv6" "$(get "https://[$LEAT6]/hello.txt"; cat "$work/body")" "200hello from leat"
expect "two requests of a connection" "$(curl -sv --cacert "$work/cert.pem" --max-time 20 "https://$LEAT4/hello.txt" "https://$LEAT4/hello.txt" 2>&1 | grep -c 'Re-using existing connection')" 1
expect "TLS 1.1 is refused" "$(get --tlsv1.1 --tls-max 1.1 --ciphers DEFAULT@SECLEVEL=0 "https://$LEAT4/" || true)" 000

client() { timeout 20 openssl s_client -connect $LEAT4:443 -CAfile "$work/cert.pem" -keylogfile "$work/keys" "$@" 2>&1; }
request='GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n'
last='GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
for version in tls1_2 tls1_3; do
    (printf "$last"; sleep 1) | client -$version -sess_out "$work/session" >"$work/out" || true
    grep -q 'unexpected eof' "$work/out" && fail "$version: closed without close_notify"
    expect "$version: a ticket is taken" "$( (printf "$last"; sleep 1) | client -$version -sess_in "$work/session" | grep -c '^Reused')" 1
done
expect "ALPN" "$( (sleep 0.3) | client -alpn h2,http/1.1 | grep 'ALPN protocol')" "ALPN protocol: http/1.1"
expect "ALPN without a protocol in common" "$( (sleep 0.3) | client -alpn h2 | grep -c 'no application protocol')" 1
# k: the client has new keys; K: and wants new ones of us.
(printf "$request"; sleep 0.5; echo k; sleep 0.5; printf "$request"; sleep 0.5; echo K; sleep 0.5; printf "$request"; sleep 0.5; echo K; sleep 0.5; printf "$last"; sleep 1) |
    client -tls1_3 >"$work/out" || true
expect "replies across three KeyUpdates" "$(grep -c '^hello from leat' "$work/out")" 4
expect "new keys for receiving" "$(sysctl_of kern.ipc.tls.stats.rekeys_rx)" 3
expect "new keys for sending" "$(sysctl_of kern.ipc.tls.stats.rekeys_tx)" 2
(printf "$request"; sleep 0.5; echo R; sleep 1) | client -tls1_2 >"$work/out" || true
tail -n 5 "$work/out"
expect "a new handshake is refused" "$(grep -c 'no renegotiation' "$work/out")" 1
printf "$last" | timeout 10 gnutls-cli --insecure -p 443 $LEAT4 >"$work/out" 2>&1 || true
expect "gnutls-cli" "$(grep -c '^hello from leat' "$work/out")" 1

# Who speaks no TLS, or not in time, is let go; the others do not notice.
expect "plain HTTP" "$(curl -s --max-time 5 "http://$LEAT4:443/" >/dev/null; echo $?)" 56
exec 3<>"/dev/tcp/$LEAT4/443"
expect "a handshake that does not begin" "$(timeout 8 cat <&3 >/dev/null; echo $?)" 0
exec 3>&-
end_capture
sound "$work/all.pcap"
shark() { tshark -r "$work/all.pcap" -o "tls.keylog_file:$work/keys" "$@" 2>/dev/null; }
expect "records that tshark cannot read" "$(shark -Y '_ws.malformed || tls.record.length.invalid || tls.ignored_unknown_record' | wc -l)" 0
replies=$(shark -Y 'http.response.code == 200 && tcp.srcport == 443' -T fields -e http.response.code | tr ',' '\n' | grep -c 200)
[ "$replies" -ge 18 ] || fail "tshark decrypted only $replies replies"
echo "ok: tshark decrypted $replies replies"
expect "close_notify of the server, decrypted" "$(shark -Y 'tls.alert_message.desc == 0 && tcp.srcport == 443' | wc -l | awk '{print ($1 > 10)}')" 1

unset SSLKEYLOGFILE
curl -sk --limit-rate 500k --max-time 3 -o /dev/null "https://$LEAT4/three.bin" &
slow=$!
sleep 1
"$build/leatctl" -s "$work/leat.sock" tls >"$work/out"
expect "leatctl tls: the session" "$(awk '$3 == "tx" || $3 == "rx" {print $3, $4, $5, $6, $7, ($3 == "rx" || $10 > 100000)}' "$work/out" | paste -sd,)" "tx TLS 1.3 AES-128-GCM sw 1,rx TLS 1.3 AES-128-GCM sw 1"
grep -q '^backend openssl: .*seals GCM, ChaCha20, CCM, CBC; opens GCM, ChaCha20, CCM, CBC' "$work/out" || fail "leatctl tls: backends"
wait $slow || true
"$build/leatctl" -s "$work/leat.sock" sysctl kern.ipc.tls.enable=0 >/dev/null
expect "no session of the stack when it may not: libssl goes on" "$(get "https://$LEAT4/hello.txt")" 200
expect "and why" "$("$build/leatctl" -s "$work/leat.sock" tls | grep -c '^refused 1 times: receiving, .*kern.ipc.tls.enable is 0')" 1
"$build/leatctl" -s "$work/leat.sock" sysctl kern.ipc.tls.enable=1 >/dev/null
wrk -t1 -c32 -d3 --timeout 5s "https://$LEAT4/" | tee "$work/wrk"
grep -qE 'Socket errors|Non-2xx' "$work/wrk" && fail "wrk: errors"
kill -TERM "$server"
wait "$server" || fail "httpd ended with status $?"
echo "ok: graceful stop"

# libssl makes the records when told so.
serve_httpd --tls "$work/cert.pem" "$work/key.pem" --no-ktls
expect "--no-ktls" "$(get "https://$LEAT4/three.bin"; cmp "$work/body" "$www/three.bin" && echo same)" 200same
expect "--no-ktls: sessions of the stack" "$(sessions)" 0
