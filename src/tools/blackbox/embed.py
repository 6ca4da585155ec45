#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""embed.py OUT NAME=FILE...: files as C strings."""
import sys


def literal(text: bytes) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        for at in range(0, len(line), 2000):
            part = line[at:at + 2000]
            lines.append('"' + "".join(
                chr(c) if 32 <= c < 127 and c not in b'"\\?' else f"\\{c:03o}" for c in part) + '"')
    return "\n".join(lines)


with open(sys.argv[1], "w", encoding="ascii") as out:
    for arg in sys.argv[2:]:
        name, path = arg.split("=", 1)
        with open(path, "rb") as f:
            out.write(f"extern const char {name}[];\nconst char {name}[] =\n{literal(f.read())};\n")
