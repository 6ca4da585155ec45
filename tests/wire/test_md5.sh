#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# RFC 2385 against the kernel's own: signed both ways over each family, wrong and missing signatures connect nobody, and tcpdump finds every
# signature valid.
. "$(dirname "$(readlink -f "$0")")/lib.sh"
answers() { # the signed port itself; one that signs nothing is never answered
    python3 "$here/md5.py" "${1//[][]/}" 80 "secret" 1 >/dev/null 2>&1
}
zcat -f /proc/config.gz 2>/dev/null | grep -q 'CONFIG_TCP_MD5SIG is not set' && { echo "the kernel has no TCP-MD5: nothing to compare with"; exit 0; }
serve examples/echo 80 $KERNEL4 secret $KERNEL6 secret
capture "$work/md5.pcap" "tcp port 80"
for address in $LEAT4 $LEAT6; do
    python3 "$here/md5.py" "$address" 80 secret $((8 << 20)) || fail "8 MiB there and back over $address"
done
end_capture
for password in wrong ""; do
    before=$(($(sysctl_of net.inet.tcp.stats.sig_rcvbadsig) + $(sysctl_of net.inet.tcp.stats.sig_err_nosigopt)))
    status=0
    timeout 4 python3 "$here/md5.py" $LEAT4 80 "$password" 1 || status=$?
    [ $status -ne 0 ] || fail "the password \"$password\" connects"
    after=$(($(sysctl_of net.inet.tcp.stats.sig_rcvbadsig) + $(sysctl_of net.inet.tcp.stats.sig_err_nosigopt)))
    [ "$after" -gt "$before" ] || fail "the password \"$password\" was not counted"
    echo "ok: the password \"$password\" connects nobody"
done
valid=$(tcpdump -r "$work/md5.pcap" -nn -v -M secret 2>/dev/null | grep -c 'md5.* valid')
invalid=$(tcpdump -r "$work/md5.pcap" -nn -v -M secret 2>/dev/null | grep -cE 'md5.* invalid|can.t check' || true)
expect "signatures that tcpdump finds invalid" "$invalid" 0
[ "$valid" -gt 1000 ] || fail "tcpdump finds only $valid valid signatures"
echo "ok: tcpdump finds $valid signatures valid"
sound "$work/md5.pcap"
