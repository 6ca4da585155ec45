# SPDX-License-Identifier: BSD-3-Clause
"""echo.py ADDRESS PORT CONNECTIONS BYTES: sends and reads at once, hashes both ways, says how fast; exit 1 when a byte differs."""
import hashlib
import random
import socket
import sys
import threading
import time

host, port, conns, total = sys.argv[1].strip("[]"), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
block = random.Random(total).randbytes(min(total, (1 << 20) + 7))
wrong = []


def talk():
    s = socket.create_connection((host, port), timeout=60)
    sent = hashlib.sha256()

    def send():
        left = total
        while left > 0:
            part = block[:left]
            sent.update(part)
            s.sendall(part)
            left -= len(part)
        s.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    sender.start()
    got, n = hashlib.sha256(), 0
    while data := s.recv(1 << 18):
        got.update(data)
        n += len(data)
    sender.join()
    if n != total or got.digest() != sent.digest():
        wrong.append("%d bytes of %d came back%s" % (n, total, "" if n != total else ", others than were sent"))


start = time.monotonic()
threads = [threading.Thread(target=talk) for _ in range(conns)]
for t in threads:
    t.start()
for t in threads:
    t.join()
if wrong:
    sys.exit("; ".join(wrong))
took = time.monotonic() - start
print("ok: %s: %d x %d bytes there and back, %.0f Mbit/s each way with hashing" % (host, conns, total, conns * total * 8 / took / 1e6))
