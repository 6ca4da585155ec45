#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# examples/tls-echo against programs of the kernel's side: OpenSSL's s_client and Python's ssl, every version and cipher that libssl hands
# to the stack and some that it keeps; 4 MiB there and back; key updates that the client asks for.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=leat -days 2 -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
answers() { openssl s_client -connect "$1:4433" </dev/null >/dev/null 2>&1; }
PORT=4433 serve examples/tls-echo "$work/cert.pem" "$work/key.pem" 4433

cat >"$work/client.py" <<'P'
import os, select, socket, ssl, sys
address, version, cipher, size = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
ctx.minimum_version = ctx.maximum_version = getattr(ssl.TLSVersion, version)
if version != "TLSv1_3":
    ctx.set_ciphers(cipher + ":@SECLEVEL=0")
s = ctx.wrap_socket(socket.create_connection((address, 4433)))
if version != "TLSv1_3" and s.cipher()[0] != cipher:
    sys.exit("cipher %s" % s.cipher()[0])
data, sent, got = os.urandom(size), 0, bytearray()
s.setblocking(False)
while len(got) < size:
    if sent < size:
        try:
            sent += s.send(data[sent:sent + 65536])
        except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
            pass
    try:
        got += s.recv(65536)
    except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
        select.select([s], [s] if sent < size else [], [], 10)
if got != data:
    sys.exit("what came back differs")
s.setblocking(True)
s.unwrap()  # close_notify both ways
P
echo_of() { # echo_of VERSION CIPHER MADE OPENED
    : >"$work/server.log"
    python3 "$work/client.py" "$LEAT4" "$1" "$2" $((4 << 20)) || fail "$1 $2"
    expect "$1 $2" "$(sed -n 's/.*records made by \(.*\)$/\1/p' "$work/server.log" | head -1)" "$3, opened by $4"
}
echo_of TLSv1_3 - "the stack" libssl
for cipher in ECDHE-RSA-AES128-GCM-SHA256 ECDHE-RSA-AES256-GCM-SHA384 ECDHE-RSA-CHACHA20-POLY1305; do
    echo_of TLSv1_2 $cipher "the stack" "the stack"
done
echo_of TLSv1_2 AES128-SHA libssl libssl

# s_client sends a KeyUpdate, and asks for one, at a line with K.
(for i in 1 2 3 4; do echo "before $i"; sleep 0.2; echo K; sleep 0.2; echo "behind $i"; sleep 0.2; done; echo Q) |
    openssl s_client -connect "$LEAT4:4433" -tls1_3 >"$work/s_client.out" 2>&1 || true
expect "lines around key updates" "$(grep -c '^\(before\|behind\) [1-4]$' "$work/s_client.out")" 8
