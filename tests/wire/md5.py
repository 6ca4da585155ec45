# SPDX-License-Identifier: BSD-3-Clause
"""md5.py ADDRESS PORT PASSWORD BYTES: the kernel's TCP-MD5 (RFC 2385) against an echo server: BYTES there and back. PASSWORD "" signs nothing."""
import socket
import struct
import sys
import threading

address, port, password, size = sys.argv[1], int(sys.argv[2]), sys.argv[3].encode(), int(sys.argv[4])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM)
s.settimeout(20)
if password:
    raw = socket.inet_pton(family, address)
    peer = struct.pack("=HHI16s", family, 0, 0, raw) if family == socket.AF_INET6 else struct.pack("=HH4s", family, 0, raw)
    s.setsockopt(socket.IPPROTO_TCP, 14, peer.ljust(128, b"\0") + struct.pack("=BBHi80s", 0, 0, len(password), 0, password))
try:
    s.connect((address, port))
except TimeoutError:
    sys.exit(3)
data = bytes(i * 31 & 255 for i in range(251)) * (size // 251 + 1)
sender = threading.Thread(target=lambda: (s.sendall(data[:size]), s.shutdown(socket.SHUT_WR)))
sender.start()
got = b"".join(iter(lambda: s.recv(1 << 20), b""))
sender.join()
sys.exit(0 if got == data[:size] else 1)
