#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# httpd as its users meet it, through curl over both families, and every packet read back by tshark.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
echo "hello from leat" >"$www/hello.txt"
echo "<p>index" >"$www/index.html"
mkdir "$www/folder"
echo x >"$www/folder/a&b.txt"
ln -s /etc/passwd "$www/way-out"
head -c 3000000 /dev/urandom >"$www/three.bin"
serve_httpd
capture "$work/all.pcap"
get() { curl -s --max-time 20 -o "$work/body" -D "$work/head" -w '%{http_code}' "$@"; }
header() { tr -d '\r' <"$work/head" | sed -n "s/^$1: //Ip"; }

for url in "http://$LEAT4" "http://[$LEAT6]"; do
    expect "$url GET" "$(get "$url/hello.txt")" 200
    expect "body" "$(cat "$work/body")" "hello from leat"
    expect "type" "$(header content-type)" "text/plain; charset=utf-8"
    etag=$(header etag) modified=$(header last-modified)
    expect "index" "$(get "$url/"; cat "$work/body")" "200<p>index"
    expect "large" "$(get "$url/three.bin"; cmp "$work/body" "$www/three.bin" && echo same)" 200same
    expect "HEAD" "$(get -I "$url/three.bin"; header content-length)" "2003000000"
    expect "range" "$(get -r 6-9 "$url/hello.txt"; cat "$work/body")" "206from"
    expect "content-range" "$(header content-range)" "bytes 6-9/16"
    expect "last bytes" "$(get -r -5 "$url/hello.txt"; cat "$work/body")" "206leat"
    expect "beyond" "$(get -r 100- "$url/hello.txt"; header content-range)" "416bytes */16"
    expect "if-none-match" "$(get -H "If-None-Match: $etag" "$url/hello.txt")" 304
    expect "if-modified-since" "$(get -H "If-Modified-Since: $modified" "$url/hello.txt")" 304
    expect "if-match" "$(get -H 'If-Match: "other"' "$url/hello.txt")" 412
    expect "missing" "$(get "$url/nothing")" 404
    expect "folder redirect" "$(get "$url/folder"; header location)" "301/folder/"
    expect "listing" "$(get "$url/folder/"; grep -o 'a&amp;b.txt' "$work/body")" "200a&amp;b.txt"
    expect "dot dot" "$(get --path-as-is "$url/../../etc/passwd")" 400
    expect "a link that leads out" "$(get "$url/way-out")" 403
    expect "method" "$(get -X DELETE "$url/hello.txt"; header allow)" "405GET, HEAD"
    expect "unknown method" "$(get -X BREW "$url/hello.txt")" 501
    expect "long URI" "$(get "$url/$(printf 'a%.0s' $(seq 5000))")" 414
    expect "large header" "$(get -H "X: $(printf 'a%.0s' $(seq 9000))" "$url/")" 431
    expect "large body" "$(get -H 'Expect:' -X POST -H 'Content-Length: 99999999' --data x "$url/")" 413
    expect "no host" "$(get -H 'Host:' "$url/")" 400
    expect "keep-alive" "$(curl -sv --max-time 20 "$url/hello.txt" "$url/hello.txt" 2>&1 | grep -c 'Re-using existing connection')" 1
    expect "close" "$(get -H 'Connection: close' "$url/"; header connection)" 200close
done
# Five requests in one segment, answered in order.
exec 3<>"/dev/tcp/$LEAT4/80"
for i in 1 2 3 4; do printf 'GET /hello.txt HTTP/1.1\r\nHost: x\r\n\r\n'; done >"$work/pipe"
printf 'GET /hello.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' >>"$work/pipe"
cat "$work/pipe" >&3
expect "pipelining" "$(timeout 10 cat <&3 | grep -c '^hello from leat')" 5
exec 3>&-
# A request that never ends is answered 408 when its time is up.
exec 3<>"/dev/tcp/$LEAT4/80"
printf 'GET / HT' >&3
expect "request time-out" "$(timeout 15 cat <&3 | head -c 12)" "HTTP/1.1 408"
exec 3>&-
end_capture
sound "$work/all.pcap"
expect "access log" "$(grep -c '"GET /hello.txt HTTP/1.1" 200 16 "-" "curl/' "$work/access.log" | awk '{print ($1 >= 4)}')" 1
# SIGTERM: a download under way is finished, then the process ends.
curl -s --max-time 20 --limit-rate 2M -o "$work/late" "http://$LEAT4/three.bin" &
late=$!
sleep 0.5
kill -TERM "$server"
wait $late || fail "the download was cut at SIGTERM"
cmp "$work/late" "$www/three.bin"
wait "$server" || fail "httpd ended with status $?"
echo "ok: graceful stop"
