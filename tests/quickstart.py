#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""tests/quickstart.py: examples/quickstart as a person sees it: on a terminal it goes on serving, a second terminal fetches by the
command that it printed, Ctrl-C ends it, and neither a process nor a file of it stays behind."""
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

top = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
tmp = tempfile.mkdtemp(prefix="leat-quickstart.")
deadline = time.monotonic() + 600
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TMPDIR"] = tmp  # all that it makes is here
    os.execv(top + "/examples/quickstart", ["quickstart"])

seen = ""


def read_until(pattern):
    """Reads the terminal until the pattern or the end of the program; the match, or None."""
    global seen
    while not (found := re.search(pattern, seen)):
        ready, _, _ = select.select([terminal], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            sys.exit("no end of it; so far:\n" + seen)
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux: the other end is closed
            return None
        if not data:
            return None
        seen += data.decode(errors="replace")
    return found


def processes():
    """Those that name the scratch folder or run from the build of quickstart."""
    mine = []
    for p in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = open("/proc/%s/cmdline" % p, "rb").read().decode(errors="replace")
        except OSError:
            continue
        if tmp in line or top + "/build-quickstart/" in line:
            mine.append(p + ": " + line.replace("\0", " "))
    return mine


bad = []
serving = read_until(r"(?s)still serving.*\(as root: nsenter -t (\d+) -n curl \.\.\.\).* tls\r?\n")
if not serving:
    print(seen)
    sys.exit("it ended before it served")
url = re.search(r"curl -k (https://\S+)", seen).group(1)
page = subprocess.run(["nsenter", "-t", serving.group(1), "-n", "curl", "-sk", url], capture_output=True, text=True, timeout=30).stdout
if "Served by Leat" not in page:
    bad.append("the command it printed fetched: %r" % page)
tls = re.search(r"(\S+/leatctl -s \S+ tls)\r?\n", seen).group(1)
if subprocess.run(tls.split(), capture_output=True, timeout=30).returncode:
    bad.append("failed: " + tls)
os.write(terminal, b"\x03")
read_until(r"\0never")  # to its end
_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
if code not in (0, 130, -signal.SIGINT):
    bad.append("Ctrl-C ended it with %d" % code)
time.sleep(0.2)
if processes():
    bad.append("still there: " + "; ".join(processes()))
left = [os.path.join(d, f) for d, _, files in os.walk(tmp) for f in files]
if left or os.listdir(tmp):
    bad.append("left behind: %s" % (left or os.listdir(tmp)))
else:
    os.rmdir(tmp)
print(seen)
print("\n".join(bad) or "Ctrl-C left nothing behind")
sys.exit(bool(bad))
