#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""floors.py SOURCE: no room of src/ includes one above it (docs/architecture.md), no file is longer than 800 lines, no function than 80."""
import os
import re
import sys

FLOORS = [["base"], ["sysctl"], ["blackbox"], ["engine"], ["link"], ["ip"], ["tcp"], ["tls"], ["socket"], ["process"], ["tools"]]
FLOOR = {room: i for i, rooms in enumerate(FLOORS) for room in rooms}
# process puts ports together, tls names its ciphers: the doors of drivers/.
DRIVERS = {"port": "process", "cipher": "tls"}

bad = 0


def complain(text):
    global bad
    bad += 1
    print(text)


def includes(path, room, text):
    for name in re.findall(r'#include "([a-z]+)/', text):
        if name in DRIVERS:
            if DRIVERS[name] != room:
                complain("%s includes a driver: %s" % (path, name))
        elif name not in FLOOR:
            complain("%s includes \"%s/...\": no such room" % (path, name))
        elif FLOOR[name] > FLOOR[room]:
            complain("%s includes %s, which is above %s" % (path, name, room))


def lengths(path, lines):
    if len(lines) > 800:
        complain("%s has %d lines" % (path, len(lines)))
    start = None
    for i, line in enumerate(lines):
        if line == "{":
            start = i
        elif line == "}" and start is not None:
            if i - start > 80:
                complain("%s:%d: a function of %d lines" % (path, start, i - start))
            start = None


os.chdir(sys.argv[1])
for top in ["src", "drivers", "examples", "include"]:
    for folder, _, names in os.walk(top):
        for name in sorted(names):
            if not name.endswith((".c", ".h")):
                continue
            path = os.path.join(folder, name)
            with open(path) as f:
                text = f.read()
            lengths(path, text.split("\n"))
            if top == "src":
                includes(path, folder.split("/")[1], text)
sys.exit(bad > 0)
